"""Tables and paragraphs for a terminal.

A number is shown with three decimals, an interval as ``[low, high]``. The interval is the 94%
highest-density interval across posterior draws, the package's default everywhere. The sentence
about an effect is the effect's own: :meth:`bayescausal.Effect.sentence`.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import networkx as nx
    import pandas as pd
    from rich.table import Table

__all__ = [
    "PROB",
    "arrows",
    "frame_table",
    "interval_text",
    "number_text",
    "print_table",
    "table",
]

#: Probability of the intervals that are shown.
PROB = 0.94
_GLUE = "\u00a0"  # a space that lines are not broken at


def table(*columns: str, header: bool = True) -> Table:
    """Return an empty rich table: first column to the left, numbers to the right.

    Parameters
    ----------
    *columns : str
        The headings.
    header : bool
        Whether the headings are shown. Without them all columns are text.

    Returns
    -------
    rich.table.Table

    Examples
    --------
    >>> from bayescausal.report.terminal import table
    >>> table("Quantity", "Truth").columns[1].justify
    'right'
    """
    from rich import box
    from rich.table import Table

    empty = Table(box=box.SIMPLE_HEAD, show_header=header)
    for position, column in enumerate(columns):
        right = position > 0 and header
        empty.add_column(column, justify="right" if right else "left", no_wrap=right)
    return empty


def frame_table(frame: pd.DataFrame, *, first: str = "") -> Table:
    """Return a summary DataFrame as a rich table.

    Parameters
    ----------
    frame : pandas.DataFrame
        Numbers, one row per quantity; the index names the rows.
    first : str
        Heading of the index.

    Returns
    -------
    rich.table.Table

    Examples
    --------
    >>> import pandas as pd
    >>> from bayescausal.report.terminal import frame_table
    >>> frame_table(pd.DataFrame({"mean": [0.5]}, index=["sigma"])).row_count
    1
    """
    filled = table(first, *map(str, frame.columns))
    for name, row in frame.iterrows():
        label = ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)
        filled.add_row(label, *[number_text(value) for value in row])
    return filled


def print_table(shown: Table) -> None:
    """Print a table on standard output; square brackets in names are letters, not markup.

    Parameters
    ----------
    shown : rich.table.Table
        From :func:`table` or :func:`frame_table`.

    Examples
    --------
    >>> from bayescausal.report.terminal import print_table, table
    >>> print_table(table("a"))  # doctest: +NORMALIZE_WHITESPACE
    <BLANKLINE>
      a
     ───
    <BLANKLINE>
    """
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(shown)


def say(text: str) -> None:
    """Print a paragraph on standard output, wrapped at the width of the terminal.

    Parameters
    ----------
    text : str
        Words. An interval in brackets and an arrow stay on one line.

    Examples
    --------
    >>> from bayescausal.report.terminal import say
    >>> say("Dilution thins the coating.")
    Dilution thins the coating.
    """
    width = min(100, shutil.get_terminal_size((80, 24)).columns)
    glued = re.sub(r"(\[[^\[\] ]+,) (?=[^\[\] ]+\])| (?=-> )|(?<=->) ", r"\1" + _GLUE, text)
    lines = textwrap.wrap(glued, width, break_long_words=False, break_on_hyphens=False)
    print("\n".join(lines).replace(_GLUE, " "))


def number_text(value: Any) -> str:
    """Return a number as a table shows it.

    Examples
    --------
    >>> from bayescausal.report.terminal import number_text
    >>> number_text(-0.42071), number_text(2317.4), number_text(0.00002), number_text(float("nan"))
    ('-0.421', '2317', '2e-05', '-')
    """
    if value is None or isinstance(value, str):
        return value or ""
    number = float(value)
    if number != number:
        return "-"
    if number == 0 or 0.001 <= abs(number) < 1000:
        return f"{number:.3f}"
    return f"{number:.4g}" if abs(number) < 1 else f"{number:.0f}"


def interval_text(bounds: Sequence[float]) -> str:
    """Return an interval as a table shows it.

    Examples
    --------
    >>> from bayescausal.report.terminal import interval_text
    >>> interval_text((-0.4449, -0.3951))
    '[-0.445, -0.395]'
    """
    return f"[{number_text(bounds[0])}, {number_text(bounds[1])}]"


def arrows(graph: nx.DiGraph) -> str:
    """Return a graph as a line of text.

    Examples
    --------
    >>> import networkx as nx
    >>> from bayescausal.report.terminal import arrows
    >>> arrows(nx.DiGraph([("humid", "dilution"), ("dilution", "coating")]))
    'humid -> dilution, dilution -> coating'
    """
    lone = [str(node) for node in graph if not graph.degree(node)]
    return ", ".join([*(f"{cause} -> {effect}" for cause, effect in graph.edges), *lone])
