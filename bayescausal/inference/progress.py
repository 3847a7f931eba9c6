"""A bar for long work, where one can be shown.

Work that may be short shows nothing until it has taken :data:`PATIENCE` seconds. A notebook without
``ipywidgets`` has no place for a bar (``pip install 'bayescausal[notebook]'`` gives it one): there
the work runs without, and without a warning.
"""

from __future__ import annotations

import contextlib
import importlib.util
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.progress import Progress

__all__ = ["PATIENCE", "can_show", "counted", "showing", "tracked"]

#: Seconds of work before a bar appears.
PATIENCE = 2.0

_TITLE: ContextVar[str | None] = ContextVar("_TITLE", default=None)


def can_show() -> bool:
    """Whether a bar can be drawn without a warning: not in a notebook without widgets.

    Examples
    --------
    >>> can_show()
    True
    """
    if importlib.util.find_spec("ipywidgets") is not None:
        return True
    from rich.console import Console

    return not Console().is_jupyter


@contextlib.contextmanager
def showing(title: str, show: bool) -> Iterator[None]:
    """Let the long loops of a block of code show a bar with a title, or none.

    Examples
    --------
    >>> with showing("counting", True):
    ...     list(tracked(range(3), lambda: 3))
    [0, 1, 2]
    """
    token = _TITLE.set(title if show else None)
    try:
        yield
    finally:
        _TITLE.reset(token)


def tracked[Part](parts: Iterable[Part], total: Callable[[], int]) -> Iterator[Part]:
    """Pass parts on, with a bar once it takes long; only then it is asked how many there will be.

    Examples
    --------
    >>> list(tracked("ab", lambda: 2))
    ['a', 'b']
    """
    title = _TITLE.get()
    if title is None:
        yield from parts
        return
    parts = iter(parts)
    started, bar, task = time.perf_counter(), None, None
    with contextlib.ExitStack() as stack:
        for done, part in enumerate(parts):
            if bar is None and time.perf_counter() - started > PATIENCE:
                bar = _bar()
                if bar is None:  # nowhere to draw it: do not ask again
                    yield part
                    yield from parts
                    return
                stack.enter_context(bar)
                task = bar.add_task(title, total=total(), completed=done)
            yield part
            if bar is not None and task is not None:
                bar.update(task, completed=done + 1)


# --------------------------------------------------------------------------- private


def _bar() -> Progress | None:
    """Return a bar that leaves nothing behind; None where it cannot be drawn."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not can_show() or not (console.is_terminal or console.is_jupyter):
        return None
    return Progress(console=console, transient=True)


@contextlib.contextmanager
def counted(title: str, total: int, done: int, show: bool) -> Iterator[Callable[[bool], None]]:
    """Show progress while replicates are run.

    ``total``, ``done``: replicates in all, and those that were there already.
    ``show``: False: nothing is shown.

    Yields: ``advance(failed)``, once per replicate.
    """
    if not show or not can_show():
        yield lambda failed: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(title, total=total, completed=done)
        failures = 0

        def advance(failed: bool) -> None:
            nonlocal failures
            failures += failed
            shown = f"{title}, {failures} failed" if failures else title
            bar.update(task, advance=1, description=shown)

        yield advance
