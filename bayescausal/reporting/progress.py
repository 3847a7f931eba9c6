"""A line that says what a report is doing; nothing where none is wanted."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bayescausal.inference.progress import can_show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["steps"]


@contextlib.contextmanager
def steps(total: int, show: bool) -> Iterator[Callable[[str], None]]:
    """Show which of so many steps is going on, on standard error.

    ``show``: False: nothing is shown. True: on a terminal, or in a notebook that has a place for
        it; a file is left clean.

    Yields: ``tell(what)``, at the beginning of each step.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not show or not can_show() or not (console.is_terminal or console.is_jupyter):
        yield lambda what: None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("Report: {task.description}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, completed=-1)

        def tell(what: str) -> None:
            bar.update(task, advance=1, description=what)

        yield tell
