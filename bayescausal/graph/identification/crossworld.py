"""Questions that span worlds: is a joint counterfactual a function of P(V)?

The effect on the treated asks for Y in the world where X is set to x', among units whose X was
x in this one; a natural direct effect for Y where X is x and the mediator what it would have been
under x'. Such a question is a set of *worlds*, each with what is set in it and what is asked of it.

The variables that matter are the ancestors of what is asked, world by world. Two worlds share a
variable where its parents have the same values in both, for then it is the same random
variable [1]_. The question is identified exactly if [1]_ [2]_

1. no variable is needed in two versions: nothing observed fixes how the outcome under x and
   the outcome under x' go together in one unit. Where the variable lies between the treatment
   and both the mediator and the outcome, it is the *recanting witness* [3]_;
2. no district of the variables that matter reads one parent with two values (the recanting
   district [4]_): its members have unmeasured causes in common, so they cannot be taken
   from different worlds;
3. each district, everything outside it set, is identified by ID.

Then the joint probability is the product of the districts, each with the values that it reads,
summed over what was not asked. With a single world this is the ID algorithm itself.

References
----------
.. [1] I. Shpitser and J. Pearl, "What counterfactuals can be tested", UAI 2007.
.. [2] J. Correa, S. Lee and E. Bareinboim, "Nested counterfactual identification from arbitrary
   surrogate experiments", NeurIPS 2021.
.. [3] C. Avin, I. Shpitser and J. Pearl, "Identifiability of path-specific effects", IJCAI 2005.
.. [4] I. Shpitser, "Counterfactual graphical models for longitudinal mediation analysis with
   unobserved confounding", Cognitive Science 37, 2013.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bayescausal.graph.identification.algebra import marginal, product
from bayescausal.graph.identification.expression import Expression, Renamed
from bayescausal.graph.identification.idc import Hedge, NotIdentified, identify_joint
from bayescausal.graph.structure.mixed_graph import ADMG, bits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CrossWorldError", "World", "identify_worlds"]


@dataclass(frozen=True)
class World:
    """One world of a question.

    ``asked``: the variables asked about (bits).
    ``fixed``: for each node that is set, what its value is called. Its own name: the value that the
        node has in the world where it is asked about.
    ``along``: for edges ``(parent, child)`` out of a node that is set: what the value is called
        that travels along this edge, where that is not the one in `fixed` (path-specific effects).
    """

    asked: int
    fixed: Mapping[int, str] = field(default_factory=dict)
    along: Mapping[tuple[int, int], str] = field(default_factory=dict)


class CrossWorldError(Exception):
    """Carries the reason why a question is not identified; never leaves this package."""

    def __init__(self, reason: str, hedge: Hedge | None = None) -> None:
        super().__init__(reason)
        self.reason, self.hedge = reason, hedge


def identify_worlds(graph: ADMG, worlds: Sequence[World]) -> Expression:
    """Identify the joint probability of what several worlds are asked about.

    ``worlds``: what is set and asked in each. A variable is asked about in one world only.
    Result: a formula in P(V); values that were set appear under their names in `fixed`.
    Raises CrossWorldError with the reason, and the hedge where there is one.
    """
    reads = _values_read(graph, worlds)
    matter = graph_set(reads)
    factors = []
    for district in graph.districts(matter):
        values = _one_value_each(graph, district, reads)
        try:
            factor = identify_joint(graph, district, graph.everything & ~district)
        except NotIdentified as stop:
            names = ", ".join(graph.listed(district))
            reason = f"how {names} would respond to its causes is not identified"
            raise CrossWorldError(reason, stop.hedge) from None
        for node, label in sorted(values.items()):
            if label != graph.names[node] and graph.names[node] in factor.free:
                factor = Renamed(factor, graph.names[node], label)
        factors.append(factor)
    asked = 0
    for world in worlds:
        asked |= world.asked
    return marginal(product(factors), graph.listed(matter & ~asked)[::-1])


# --------------------------------------------------------------------------- private

Values = dict[int, str]


def graph_set(nodes: Mapping[int, Values]) -> int:
    """Return the keys as a set of bits."""
    return sum(1 << node for node in nodes)


def _values_read(graph: ADMG, worlds: Sequence[World]) -> dict[int, Values]:
    """Return, for each variable that matters, the value it reads of each of its parents."""
    reads: dict[int, Values] = {}
    for world in worlds:
        fixed = graph_set({key: {} for key in world.fixed})
        needed = graph.cut(into=fixed).ancestors(world.asked & ~fixed) & ~fixed
        for node in bits(needed):
            values = {
                p: world.along.get((p, node), world.fixed.get(p, graph.names[p]))
                for p in bits(graph.parents[node])
            }
            other = reads.setdefault(node, values)
            if other != values:
                name = graph.names[node]
                differing = next(p for p in values if values[p] != other[p])
                raise CrossWorldError(
                    f"{name} is needed in two versions, with {graph.names[differing]} as "
                    f"{other[differing]} and as {values[differing]}, and nothing observed fixes "
                    "how the two go together in one unit"
                )
    return reads


def _one_value_each(graph: ADMG, district: int, reads: Mapping[int, Values]) -> Values:
    """Return the value that a district reads of each parent, refusing two of one."""
    found: Values = {node: graph.names[node] for node in bits(district)}
    for node in bits(district):
        for parent, label in reads[node].items():
            if found.setdefault(parent, label) != label:
                names = ", ".join(graph.listed(district))
                raise CrossWorldError(
                    f"{names} share unmeasured causes but would read {graph.names[parent]} both "
                    f"as {found[parent]} and as {label}"
                )
    return {node: label for node, label in found.items() if not district >> node & 1}
