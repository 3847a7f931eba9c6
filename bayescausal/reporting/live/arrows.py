"""What the arrows and the variables of the picture claim, and what the data say of each."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from bayescausal.checks.falsification.arrows import ArrowTest, arrow_tests
from bayescausal.checks.falsification.record import Falsification
from bayescausal.draws.digits import p_text
from bayescausal.graph import column_causes, nameless, roles
from bayescausal.reporting.page.blocks import Grid, Live, Text
from bayescausal.types import BayesCausalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import networkx as nx

    from bayescausal.inference.record import Fit
    from bayescausal.reporting.contents.trust import Outcome

__all__ = ["arrow_blocks"]

#: Graphs with more arrows are tested as a whole only.
MOST_ARROWS = 40

CAUTION = (
    "An arrow allows an effect and claims none; what is claimed is that there are no others. "
    "Whether the data need an arrow is tested by what the graph would imply without it (p-values "
    "adjusted for the number of arrows). The direction of an arrow is not tested."
)


def arrow_blocks(
    fit: Fit,
    dag: nx.DiGraph[str],
    question: tuple[Sequence[str], str | None],
    outcomes: Sequence[Outcome],
) -> tuple[Any, ...]:
    """Return a table of what each arrow claims and of its test, and the same for the picture.

    ``question``: treatments and outcome, for what each variable is to it.
    """
    shown = dag.subgraph(set(dag) - set(column_causes(dag)))
    edges = sorted(shown.edges)
    if not edges:
        return ()
    tests = _tests(fit, edges, outcomes)
    hidden = nameless(dag)
    said = [_claim(dag, edge, hidden) for edge in edges]
    told = [tests if isinstance(tests, str) else _told(tests, edge) for edge in edges]
    rows = [
        (f"{a} -> {b}", claim, test)
        for (a, b), claim, test in zip(edges, said, told, strict=True)
        if a not in hidden
    ]
    record = {
        "arrows": [f"{a} {b}" for a, b in zip(said, told, strict=True)],
        "nodes": [_node(n, dag, question, outcomes) for n in sorted(shown)],
        "names": [[a, b] for a, b in edges],
        "variables": sorted(shown),
    }
    table = Grid(("arrow", "claims", "test"), tuple(rows), "", label="What each arrow claims")
    return (Live("graph", record), Text(CAUTION, "note"), table)


# --------------------------------------------------------------------------- private


def _tests(
    fit: Fit, edges: Sequence[tuple[str, str]], outcomes: Sequence[Outcome]
) -> dict[tuple[str, str], ArrowTest] | str:
    """Return the test of each arrow, or why there is none."""
    checked = [o for o in outcomes if isinstance(o.record, Falsification)]
    if not checked:
        failed = [o.reason for o in outcomes if o.title.startswith("What the graph implies")]
        why = failed[0] if failed else "the check 'implications' was not asked for."
        return f"Not tested: {why}"
    if len(edges) > MOST_ARROWS:
        return f"Not tested: there are more than {MOST_ARROWS} arrows."
    columns = {n: v for n, v in fit.columns.items() if v.ndim == 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return {(t.tail, t.head): t for t in arrow_tests(fit, columns)}
        except Exception as error:  # a test must not take the report with it
            return f"Not tested: {error}"


def _told(tests: dict[tuple[str, str], ArrowTest], edge: tuple[str, str]) -> str:
    found = tests.get(edge)
    return "Not tested: it stands for a cause that is not measured." if found is None else (
        found.sentence()
    )  # fmt: skip


def _claim(dag: nx.DiGraph[str], edge: tuple[str, str], hidden: frozenset[str]) -> str:
    """Say what an arrow claims."""
    tail, head = edge
    if tail in hidden:
        return f"{' and '.join(sorted(dag.successors(tail)))} share a cause that is not measured."
    return f"{tail} may act on {head} directly, and {head} does not act on {tail}."


def _node(
    name: str,
    dag: nx.DiGraph[str],
    question: tuple[Sequence[str], str | None],
    outcomes: Sequence[Outcome],
) -> str:
    """Say what a variable is to the question, and what is claimed of pairs that it is in."""
    treatments, outcome = question
    parts = []
    if treatments and outcome:
        try:
            known = roles(dag, treatments, outcome)
            parts += [known[name].sentence] if name in known else []
        except BayesCausalError:
            pass  # no question that a role could belong to
    for found in (o.record for o in outcomes if isinstance(o.record, Falsification)):
        rows: Iterable[Any] = found.tests.itertuples()
        for row in rows:
            if name in (row.left, row.right) and row.p_value == row.p_value:
                verdict = "refuted" if row.refuted else "not refuted"
                parts.append(
                    f"The missing arrow claims {row.claim}: {verdict} ({p_text(row.q_value)})."
                )
    return " ".join(parts) or f"{name}."
