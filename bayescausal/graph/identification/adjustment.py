"""Adjustment: which variables to hold fixed, and which never to.

Z is an *adjustment set* for (x, y) if, in every model with the graph,

    P(y | do(x)) = sum over z of P(y | x, z) P(z).

It is one exactly if [1]_ (the adjustment criterion; the back-door criterion is the special case
without descendants of x)

1. no z descends from a node on a proper causal path from x to y (a *mediator*, y itself): such
   a node carries part of the effect, or is a consequence of it;
2. Z separates x from y once the first edges of the proper causal paths are removed (the
   *proper back-door graph*).

So the sets are separators in one graph with some nodes forbidden, and the minimal ones can be
listed [2]_. Condition 2 is about opening too: a collider may not be adjusted for unless the path
it opens is shut elsewhere.

With linear equations or, more generally, for the influence function of any efficient
estimator, one valid set has the smallest asymptotic variance: the parents of the causal nodes
that are neither forbidden nor x, the *O-set* [3]_ [4]_. With latent variables it stands
if it is measured, for it beats every other set of the full graph; where it is not, no set need
be best and none is offered.

References
----------
.. [1] I. Shpitser, T. VanderWeele and J. Robins, "On the validity of covariate adjustment for
   estimating causal effects", UAI 2010.
.. [2] B. van der Zander, M. Liskiewicz and J. Textor, "Separators and adjustment sets in causal
   graphs: complete criteria and an algorithmic framework", Artificial Intelligence 270, 2019.
.. [3] L. Henckel, E. Perkovic and M. Maathuis, "Graphical criteria for efficient total effect
   estimation via adjustment in causal linear models", JRSS B 84, 2022.
.. [4] A. Rotnitzky and E. Smucler, "Efficient adjustment sets for population average causal
   treatment effect estimation in graphical models", JMLR 21, 2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.graph.identification.query import Query, read_query
from bayescausal.graph.structure.mixed_graph import ADMG, bits, project
from bayescausal.graph.structure.separators import minimal_separators

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bayescausal.annotations import GraphLike

__all__ = [
    "adjustment_sets",
    "forbidden_nodes",
    "is_adjustment_set",
    "optimal_adjustment_set",
]


def adjustment_sets(
    graph: GraphLike,
    treatment: str | Iterable[str],
    outcome: str | Iterable[str],
    *,
    observed: Iterable[str] | None = None,
    given: str | Iterable[str] | None = None,
) -> Iterator[frozenset[str]]:
    """Generate all minimal adjustment sets, one by one.

    ``observed``: the measured variables. Default: all that are not marked latent.
    ``given``: what the effect is conditional on: the sets are to be used beside these.

    Yields
    ------
    frozenset of str
        Sets of which no proper subset is valid. Nothing if there is none. What the graph marks as
        adjusted for (dagitty's ``adjusted``) is part of each, unless no valid set has it.

    Examples
    --------
    >>> from bayescausal.graph import adjustment_sets
    >>> m = "A -> X; A -> B; C -> B; B -> X; C -> Y; X -> Y"
    >>> sorted(sorted(s) for s in adjustment_sets(m, "X", "Y"))
    [['A', 'B'], ['C']]
    """
    query = read_query(graph, treatment, outcome, observed=observed, given=given)
    for found in question_sets(query):
        yield query.admg.named(found)


def is_adjustment_set(
    graph: GraphLike,
    treatment: str | Iterable[str],
    outcome: str | Iterable[str],
    adjust: str | Iterable[str],
    *,
    observed: Iterable[str] | None = None,
) -> bool:
    """Tell whether a set of variables is valid to adjust for.

    ``observed``: the measured variables; a set that contains others is not valid.
    Result: whether the adjustment criterion holds.

    Examples
    --------
    >>> from bayescausal.graph import is_adjustment_set
    >>> is_adjustment_set("X -> M -> Y", "X", "Y", "M")
    False
    """
    query = read_query(graph, treatment, outcome, observed=observed)
    adjust = query.known(adjust, "adjust")
    if not set(adjust) <= set(query.admg.names):
        return False
    z = query.admg.mask(adjust)
    return valid_adjustment(query.admg, query.x, query.y, z)


def optimal_adjustment_set(
    graph: GraphLike,
    treatment: str | Iterable[str],
    outcome: str | Iterable[str],
    *,
    observed: Iterable[str] | None = None,
) -> frozenset[str] | None:
    """Return the adjustment set with the smallest asymptotic variance.

    Result: the O-set; None if it is not measured, not valid, or there is no causal path.

    Examples
    --------
    >>> from bayescausal.graph import optimal_adjustment_set
    >>> sorted(optimal_adjustment_set("Z -> X -> Y; Z -> Y; P -> Y", "X", "Y"))
    ['P', 'Z']
    """
    query = read_query(graph, treatment, outcome, observed=observed)
    return optimal_of(query)


def forbidden_nodes(
    graph: GraphLike,
    treatment: str | Iterable[str],
    outcome: str | Iterable[str],
    *,
    observed: Iterable[str] | None = None,
) -> frozenset[str]:
    """Return what may never be adjusted for: mediators, the outcome, and their descendants.

    Examples
    --------
    >>> from bayescausal.graph import forbidden_nodes
    >>> sorted(forbidden_nodes("Z -> X -> M -> Y; M -> D", "X", "Y"))
    ['D', 'M', 'Y']
    """
    query = read_query(graph, treatment, outcome, observed=observed)
    admg = query.admg
    return admg.named(admg.descendants(admg.causal_nodes(query.x, query.y)) | query.y)


# ------------------------------------------------------------------- on sets of bits


def usable(admg: ADMG, x: int, y: int, *, before: bool = False) -> int:
    """Return the nodes that may be adjusted for, or only those that x does not affect."""
    forbidden = admg.descendants(admg.causal_nodes(x, y)) | x | y
    if before:
        forbidden |= admg.descendants(x)
    return admg.everything & ~forbidden


def minimal_adjustment(
    admg: ADMG, x: int, y: int, z: int = 0, *, before: bool = False, marked: int = 0
) -> Iterator[int]:
    """Generate the minimal sets to adjust for beside z (z itself left out).

    Where something is conditioned on, or the treated are asked about, `before` treatment only:
    the distribution of the set must not change with the treatment. What is `marked` as adjusted
    for belongs to every set, and none is valid if it may not be.
    """
    allowed = usable(admg, x, y, before=before or bool(z))
    if (z | marked) & ~allowed:
        return
    back_door = admg.proper_back_door(x, y)
    for found in minimal_separators(back_door, x, y, allowed=allowed, required=z | marked):
        yield found & ~z


def question_sets(query: Query, *, before: bool = False) -> Iterator[int]:
    """Generate the minimal sets for a question: with what the graph marks, if any set has that."""
    admg, x, y, z = query.admg, query.x, query.y, query.z
    for marked in dict.fromkeys((query.marked, 0)):
        found = minimal_adjustment(admg, x, y, z, before=before, marked=marked)
        first = next(found, None)
        if first is not None:
            yield first
            yield from found
            return


def valid_adjustment(admg: ADMG, x: int, y: int, z: int) -> bool:
    """Tell whether z meets the adjustment criterion."""
    if z & ~usable(admg, x, y):
        return False
    return admg.proper_back_door(x, y).separated(x, y, z)


def survives_selection(query: Query, z: int) -> bool:
    """Tell whether an adjustment set serves where only selected units are in the data."""
    if not query.selection:
        return True
    full = project(query.graph, {*query.admg.names, *query.selection})
    adjust = full.mask(query.admg.listed(z))
    x, y, s = (full.mask(n) for n in (query.treatment, query.outcome, query.selection))
    return full.separated(y, s, x | adjust) and (not adjust or full.separated(adjust, s))


def optimal_of(query: Query) -> frozenset[str] | None:
    """Return the O-set of the full graph, latent nodes included, if it is measured."""
    full = project(query.graph, query.graph.nodes)
    x, y = full.mask(query.treatment), full.mask(query.outcome)
    causal = full.causal_nodes(x, y)
    if not all(causal >> i & 1 for i in bits(y)):
        return None
    best = full.parents_of(causal) & ~full.descendants(causal) & ~x
    names = full.named(best)
    if not names <= set(query.admg.names) or not valid_adjustment(full, x, y, best):
        return None
    return names
