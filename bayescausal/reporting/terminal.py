"""Tables and paragraphs for a terminal.

A summary is shown with the digits that each row's sd supports, an interval as ``[low, high]``.
The interval is the 94%
highest-density interval across posterior draws, the package's default everywhere. The sentence
about an effect is the effect's own: :meth:`bayescausal.Effect.sentence`.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TYPE_CHECKING

from bayescausal.draws.digits import numbers, rows_text
from bayescausal.graph.structure.marks import bidirected_pairs, nameless

if TYPE_CHECKING:
    from collections.abc import Sequence

    import networkx as nx
    import pandas as pd
    from rich.table import Table

    from bayescausal.effects.effect import Effect
    from bayescausal.inference.record import Fit

__all__ = [
    "PROB",
    "answer_cells",
    "arrows",
    "frame_table",
    "print_answers",
    "print_frame",
    "print_table",
    "say",
    "shown_parameters",
    "table",
]

#: Probability of the intervals that are shown.
PROB = 0.94
_EDGE, _GAP = 4, 3  # what a table needs at its sides, and beside each column
_GLUE = "\u00a0"  # a space that lines are not broken at


def table(*columns: str, header: bool = True) -> Table:
    """Return an empty rich table: first column to the left, numbers to the right.

    ``header``: whether the headings are shown. Without them all columns are text.
    """
    from rich import box
    from rich.table import Table

    empty = Table(box=box.SIMPLE_HEAD, show_header=header)
    for position, column in enumerate(columns):
        right = position > 0 and header
        side = "right" if right else "left"
        empty.add_column(column, justify=side, no_wrap=right, overflow="fold")  # type: ignore[arg-type]
    return empty


def frame_table(
    frame: pd.DataFrame,
    *,
    first: str = "",
    null: float | None = None,
    columns: Sequence[str] | None = None,
) -> Table:
    """Return a summary DataFrame as a rich table.

    ``frame``: numbers, one row per quantity; the index names the rows.
    ``first``: heading of the index.
    ``null``: the value of no effect.
    ``columns``: which columns. Default: all.
    """
    chosen = [c for c in frame.columns if columns is None or c in columns]
    filled = table(first, *map(str, chosen))
    for name, row in rows_text(frame, null)[chosen].iterrows():
        filled.add_row(_label(name), *["" if v is None else str(v) for v in row])
    return filled


def print_frame(frame: pd.DataFrame, *, first: str = "", null: float | None = None) -> None:
    """Print a summary in as many tables as the width needs: no name and no number is cut.

    ``frame``: as in :func:`frame_table`.
    ``first``: heading of the index.
    ``null``: the value of no effect.
    """
    width = shutil.get_terminal_size((80, 24)).columns
    shown = rows_text(frame, null)
    names = max([len(_label(n)) for n in shown.index] + [len(first)], default=0)
    room = width - min(names, width // 2) - _EDGE
    group: list[str] = []
    for column in shown.columns:
        wide = sum(_column_width(shown, c) for c in (*group, column))
        if group and wide > room:
            print_table(frame_table(frame, first=first, null=null, columns=group))
            group = []
        group.append(column)
    print_table(frame_table(frame, first=first, null=null, columns=group))


def print_table(shown: Table) -> None:
    """Print a table on standard output; square brackets in names are letters, not markup.

    ``shown``: from :func:`table` or :func:`frame_table`.
    """
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(shown)


def say(text: str) -> None:
    """Print a paragraph on standard output, wrapped at the width of the terminal.

    ``text``: Words. An interval in brackets and an arrow stay on one line.
    """
    width = min(100, shutil.get_terminal_size((80, 24)).columns)
    glued = re.sub(r"(\[[^\[\] ]+,) (?=[^\[\] ]+\])| (?=-> )|(?<=->) ", r"\1" + _GLUE, text)
    lines = textwrap.wrap(glued, width, break_long_words=False, break_on_hyphens=False)
    print("\n".join(lines).replace(_GLUE, " "))


def print_answers(effects: Sequence[Effect], fit: Fit, data: str, graph: str) -> None:
    """Print facts, numbers and sentences."""
    facts = table("", "", header=False)
    notes = dict.fromkeys((*fit.notes, *(note for e in effects for note in e.notes)))
    facts.add_row("Data", data)
    facts.add_row("Graph", graph)
    for effect in effects:
        facts.add_row("Question", effect.estimand.describe())
        facts.add_row("Population", effect.population or "")
        if effect.identification is not None:
            verdict = str(effect.identification)  # a note may say the same and more
            verdict = next((note for note in notes if note.startswith(verdict)), verdict)
            facts.add_row("Verdict", verdict)
    said = {str(e.identification) for e in effects}
    for note in notes:
        if not any(note.startswith(verdict) for verdict in said):
            facts.add_row("Note", note)
    print_table(facts)
    for effect in effects:
        answer = _brief(effect.summary(prob=PROB))
        several = bool(effect.dims)
        if several and len(effects) > 1:
            say(effect.label)
        name = effect.estimand.title if len(effects) == 1 else effect.label
        first = ", ".join(effect.dims)
        print_frame(answer if several else answer.set_axis([name]), first=first, null=effect.null)
    print_frame(_brief(fit.summary(shown_parameters(fit))), first="parameter")
    for effect in effects:
        say(effect.sentence(PROB))
    if fit.diagnostics.messages:
        these = "this answer" if len(effects) == 1 else "these answers"
        say(f"Do not rely on {these}: the sampler had trouble, see the notes.")


def shown_parameters(fit: Fit) -> list[str]:
    """Return the parameters that a reader knows: group effects, not what they are made of.

    A model from formulas draws group effects as standard scores times an sd, and correlations as
    twice a half less one; the reader is shown what comes of it.
    """
    drawn = {str(name) for name in fit.posterior.data_vars}
    if not getattr(fit.model, "recipe", None):
        return [name for name in fit.parameters if name in drawn]
    turned = {"z_": "r_", "half_": "cor_"}
    names = []
    for name in fit.parameters:
        for raw, made in turned.items():
            if name.startswith(raw) and made + name.removeprefix(raw) in drawn:
                name = made + name.removeprefix(raw)
        names.append(name)
    return [name for name in dict.fromkeys(names) if name in drawn]


def answer_cells(effect: Effect) -> tuple[str, str]:
    """Return mean and interval of an effect as a table shows them.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.effects.effect import Effect
    >>> answer_cells(Effect(np.linspace(-0.4505, -0.3995, 1001)))
    ('-0.425', '[-0.451, -0.403]')
    """
    low, high = effect.interval(prob=PROB)
    ends = (float(effect), low, high)
    mean, low, high = numbers(float(effect.sd()), *ends, ends=True, apart=[effect.null])
    return mean, f"[{low}, {high}]"


def arrows(graph: nx.DiGraph[str]) -> str:
    """Return the arrows of a graph as a line of text; not those among columns without an equation.

    Examples
    --------
    >>> import networkx as nx
    >>> arrows(nx.DiGraph([("humid", "dilution"), ("dilution", "coating")]))
    'humid -> dilution, dilution -> coating'
    """
    away = nameless(graph)
    lone = [str(node) for node in graph if not graph.degree(node)]
    both = [f"{a} <-> {b}" for (a, b), light in bidirected_pairs(graph).items() if not light]
    edges = [f"{cause} -> {effect}" for cause, effect in graph.edges if cause not in away]
    return ", ".join([*edges, *both, *lone])


def _brief(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the columns that are read first."""
    shown = ["mean", "sd", "hdi94_lb", "hdi94_ub", "ess_bulk", "r_hat", "mc_error"]
    return frame[[column for column in shown if column in frame]]


def _label(name: object) -> str:
    return ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _column_width(frame: pd.DataFrame, column: str) -> int:
    return max(len(str(column)), *(len(str(v)) for v in frame[column])) + _GAP
