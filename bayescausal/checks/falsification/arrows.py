"""Do the data need this arrow? Each arrow, by what the graph would claim without it.

An arrow claims nothing that data could refute: it allows an effect. Its absence would. Without the
arrow between a and b the graph implies that they are independent given some set, and the data can
refute that. If they do, the two are associated in a way that the other arrows do not explain, and
some arrow between them is needed; its direction is not told by this. If they do not, the arrow
could be left out without contradicting these data, which is no reason to leave it out: a weak
effect looks the same. As many arrows are tested as there are, the p-values are adjusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.checks.falsification.claims import Tester, adjusted
from bayescausal.checks.falsification.variables import categories_of, read_variables
from bayescausal.draws.digits import p_text
from bayescausal.graph import as_graph, bidirected_edges, build_graph, column_causes
from bayescausal.graph.structure.independences import claim_of
from bayescausal.model.graph_queries.graph_of_anything import graph_and_observed, is_model

if TYPE_CHECKING:
    import networkx as nx
    import pymc as pm

    from bayescausal.annotations import Data, GraphLike
    from bayescausal.graph.structure.independences import Independence
    from bayescausal.inference.record import Fit

__all__ = ["ArrowTest", "arrow_tests"]


@dataclass(frozen=True)
class ArrowTest:
    """What the data say of one arrow.

    ``tail``, ``head``: its ends.
    ``without``: what the graph would claim without it; None if it would claim nothing.
    ``p_value``, ``q_value``: of that claim, and adjusted for how many arrows there are; NaN where
        it was not tested.
    ``note``: why it was not tested.
    """

    tail: str
    head: str
    without: Independence | None = None
    p_value: float = float("nan")
    q_value: float = float("nan")
    note: str = ""

    def sentence(self, level: float = 0.05) -> str:
        """Say what was found."""
        if self.without is None:
            return f"Not tested: {self.note}."
        claim = f"Without it the graph would imply {self.without}"
        if not np.isfinite(self.q_value):
            return f"{claim}, which was not tested: {self.note}."
        p = p_text(self.q_value)
        if self.q_value <= level:
            return f"{claim}, and the data refute that ({p}): some arrow between them is needed."
        return f"{claim}, and the data do not refute that ({p}): they could do without it."


def arrow_tests(model_or_graph: pm.Model | Fit | GraphLike, data: Data) -> list[ArrowTest]:
    """Test each arrow of a graph by what the graph would claim without it.

    ``data``: one row per unit; units are independent.
    Result: one test for each arrow between named variables, sorted by its ends.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> z = rng.normal(size=500)
    >>> x = z + rng.normal(size=500)
    >>> y = x + rng.normal(size=500)
    >>> for test in arrow_tests("z -> x -> y; z -> y", {"x": x, "y": y, "z": z}):
    ...     print(test.tail, test.head, str(test.without), bool(test.q_value < 0.05))
    x y x ⊥ y | z True
    z x x ⊥ z True
    z y y ⊥ z | x False
    """
    dag, seen = graph_and_observed(model_or_graph)
    columns, names = read_variables(
        data,
        dag,
        seen,
        None,
        lenient=is_model(model_or_graph),
        categories=categories_of(model_or_graph),
    )
    tester = Tester(columns, "auto")
    found = []
    hidden = {*bidirected_edges(dag), *column_causes(dag)}
    for tail, head in sorted(edge for edge in dag.edges if edge[0] not in hidden):
        unseen = [n for n in (tail, head) if n not in names]
        if unseen:
            found.append(ArrowTest(tail, head, note=f"{unseen[0]} is not measured"))
            continue
        claim = claim_of(_without(dag, tail, head), tail, head, observed=names)
        if claim is None:
            note = "without it nothing measured would separate them"
            found.append(ArrowTest(tail, head, note=note))
            continue
        outcome = tester.test(claim.left, claim.right, claim.given)
        found.append(ArrowTest(tail, head, claim, outcome.p_value, note=outcome.note))
    q = adjusted([test.p_value for test in found])
    return [
        ArrowTest(t.tail, t.head, t.without, t.p_value, float(value), t.note)
        for t, value in zip(found, q, strict=True)
    ]


def _without(dag: nx.DiGraph[str], tail: str, head: str) -> nx.DiGraph[str]:
    nodes = {n: dict(a) for n, a in dag.nodes(data=True)}
    graph = build_graph(nodes, [e for e in dag.edges if e != (tail, head)])
    return as_graph(graph)
