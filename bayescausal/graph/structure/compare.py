"""Comparing two graphs: the one a model implies and the one a person believes in.

Two graphs may differ in their edges and still say the same: graphs with the same separations
cannot be told apart by observed data, and an edge more is a weaker claim, not a different one.
`compare_graphs` says all three: which edges differ, whether the claims about the data differ,
and, where a question is named, whether the answer does.

References
----------
.. [1] T. Verma and J. Pearl, "Equivalence and synthesis of causal models", UAI 1990.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayescausal.graph.structure.independences import Independence, implied_independences
from bayescausal.graph.structure.marks import bidirected_pairs, latents, nameless
from bayescausal.graph.structure.mixed_graph import project
from bayescausal.graph.text.parse import as_graph

if TYPE_CHECKING:
    import networkx as nx

    from bayescausal.annotations import GraphLike

__all__ = ["Comparison", "compare_graphs"]

Edge = tuple[str, str]
#: `Comparison.sentence` names so many edges; the record has them all.
MOST = 12


@dataclass(frozen=True)
class Comparison:
    """How two graphs differ.

    ``only_left``, ``only_right``: Edges ``(tail, arrow, head)`` that only one of them has, reversed
        ones left out.
    ``reversed``: Edges ``left: a -> b`` that point the other way in the right graph.
    ``nodes_left``, ``nodes_right``: nodes that only one of them has.
    ``latent_left``, ``latent_right``: nodes that both have and only one marks latent.
    ``claims_left``, ``claims_right``: Independences among the measured variables of both that only
        one implies; one for each pair.
    """

    only_left: tuple[tuple[str, str, str], ...]
    only_right: tuple[tuple[str, str, str], ...]
    reversed: tuple[Edge, ...]
    nodes_left: tuple[str, ...]
    nodes_right: tuple[str, ...]
    latent_left: tuple[str, ...]
    latent_right: tuple[str, ...]
    claims_left: tuple[Independence, ...]
    claims_right: tuple[Independence, ...]

    def __bool__(self) -> bool:
        """Return whether the graphs are the same."""
        edges = self.only_left or self.only_right or self.reversed
        nodes = self.nodes_left or self.nodes_right or self.latent_left or self.latent_right
        return not (edges or nodes)

    def sentence(self) -> str:
        """Return the differences in words."""
        if self:
            return "The graphs are the same."
        parts = []
        for side, nodes in (("left", self.nodes_left), ("right", self.nodes_right)):
            if nodes:
                parts.append(f"Only the {side} graph has {', '.join(nodes)}.")
        for side, edges in (("left", self.only_left), ("right", self.only_right)):
            if edges:
                shown = ", ".join(" ".join(edge) for edge in edges[:MOST])
                shown += f" and {len(edges) - MOST} more edges" if len(edges) > MOST else ""
                parts.append(f"Only the {side} graph has {shown}.")
        if self.reversed:
            shown = ", ".join(f"{a} -> {b}" for a, b in self.reversed)
            parts.append(f"The right graph reverses {shown}.")
        for side, nodes in (("left", self.latent_left), ("right", self.latent_right)):
            if nodes:
                parts.append(f"Only the {side} graph takes {', '.join(nodes)} to be latent.")
        for side, claims in (("left", self.claims_left), ("right", self.claims_right)):
            if claims:
                shown = "; ".join(str(claim) for claim in claims[:5])
                more = f"; and {len(claims) - 5} more" if len(claims) > 5 else ""
                parts.append(f"Data could refute the {side} graph alone by: {shown}{more}.")
        if not self.claims_left and not self.claims_right:
            parts.append("Independences in data cannot tell them apart.")
        return " ".join(parts)

    def __str__(self) -> str:
        return self.sentence()


def compare_graphs(left: GraphLike, right: GraphLike) -> Comparison:
    """Compare two graphs edge by edge, and by what data could refute.

    Result: True if they are the same.

    Examples
    --------
    >>> from bayescausal.graph import compare_graphs
    >>> print(compare_graphs("Z -> X -> Y; Z -> Y", "Z -> X -> Y").sentence())
    Only the left graph has Z -> Y. Data could refute the right graph alone by: Y ⊥ Z | X.
    """
    a, b = as_graph(left), as_graph(right)
    edges_a, edges_b = _edges(a), _edges(b)
    flipped = {
        (t, "->", h)
        for t, arrow, h in edges_a - edges_b
        if arrow == "->" and (h, "->", t) in edges_b
    }
    nodes_a, nodes_b = _visible(a), _visible(b)
    hidden_a, hidden_b = latents(a), latents(b)
    shared = nodes_a & nodes_b
    measured = shared - hidden_a - hidden_b
    return Comparison(
        only_left=tuple(sorted(edges_a - edges_b - flipped)),
        only_right=tuple(sorted(edges_b - edges_a - {(h, "->", t) for t, _, h in flipped})),
        reversed=tuple(sorted((t, h) for t, _, h in flipped)),
        nodes_left=tuple(sorted(nodes_a - nodes_b)),
        nodes_right=tuple(sorted(nodes_b - nodes_a)),
        latent_left=tuple(sorted(shared & hidden_a - hidden_b)),
        latent_right=tuple(sorted(shared & hidden_b - hidden_a)),
        claims_left=_claims_against(a, b, measured),
        claims_right=_claims_against(b, a, measured),
    )


# --------------------------------------------------------------------------- private


def _edges(dag: nx.DiGraph[str]) -> set[tuple[str, str, str]]:
    hidden = nameless(dag)
    directed = {(a, "->", b) for a, b in dag.edges if a not in hidden}
    return directed | {(a, "<->", b) for a, b in bidirected_pairs(dag)}


def _visible(dag: nx.DiGraph[str]) -> set[str]:
    return set(dag) - nameless(dag)


def _claims_against(
    one: nx.DiGraph[str], other: nx.DiGraph[str], measured: set[str]
) -> tuple[Independence, ...]:
    """Return the independences of one graph that the other does not imply."""
    admg = project(other, measured)
    found = []
    for claim in implied_independences(one, observed=measured, one_per_pair=True):
        x, y, z = (admg.mask(s) for s in ([claim.left], [claim.right], claim.given))
        if not admg.separated(x, y, z):
            found.append(claim)
    return tuple(found)
