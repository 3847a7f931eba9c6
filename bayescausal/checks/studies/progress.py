"""A bar that counts replicates; nothing where none is wanted."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bayescausal.inference.progress import can_show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["counted"]


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
