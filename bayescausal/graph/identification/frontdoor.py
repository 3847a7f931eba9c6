"""The front door: an effect read off what carries it.

M meets the front-door criterion for (x, y) if [1]_

1. M intercepts every directed path from x to y;
2. no back-door path from x to M is open;
3. every back-door path from M to y is shut by x.

Then ``P(y | do(x)) = sum_m P(m | x) sum_x' P(y | x', m) P(x')``, whatever x and y have in common.

Conditions 2 and 3 hold for the union of two sets for which they hold, so there is a largest set
between any two bounds: take what meets condition 2, then drop, until nothing changes, what a
back door leads from to y. A front-door set exists between the bounds exactly if the largest one
contains the lower bound and intercepts all directed paths [2]_. Including or excluding one
variable after the other and asking that each time lists all of them without dead ends.

References
----------
.. [1] J. Pearl, "Causal diagrams for empirical research", Biometrika 82, 1995.
.. [2] H. Jeong, J. Tian and E. Bareinboim, "Finding and listing front-door adjustment sets",
   NeurIPS 2022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.graph.identification.query import read_query
from bayescausal.graph.structure.mixed_graph import ADMG, bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bayescausal.annotations import GraphLike

__all__ = ["frontdoor_sets"]


def frontdoor_sets(
    graph: GraphLike,
    treatment: str | Iterable[str],
    outcome: str | Iterable[str],
    *,
    observed: Iterable[str] | None = None,
) -> Iterator[frozenset[str]]:
    """Generate all non-empty sets that meet the front-door criterion.

    ``observed``: the measured variables. Default: all that are not marked latent.

    Yields
    ------
    frozenset of str
        Front-door sets. Nothing if there is none, or no causal path.

    Examples
    --------
    >>> from bayescausal.graph import frontdoor_sets
    >>> [sorted(s) for s in frontdoor_sets("X -> M -> Y; X <-> Y", "X", "Y")]
    [['M']]
    """
    query = read_query(graph, treatment, outcome, observed=observed)
    for found in front_doors(query.admg, query.x, query.y):
        yield query.admg.named(found)


def front_doors(admg: ADMG, x: int, y: int) -> Iterator[int]:
    """Generate the front-door sets as bits; small sets tend to come first."""
    if not admg.causal_nodes(x, y):
        return
    behind = admg.cut(out_of=x).connected(x)  # what an open back-door path joins to x
    candidates = admg.everything & ~(x | y | behind)
    largest = _largest(admg, x, y, candidates)
    if not _intercepts(admg, x, y, largest):
        return
    yield from _between(admg, x, y, 0, largest)


def _between(admg: ADMG, x: int, y: int, lower: int, upper: int) -> Iterator[int]:
    """Generate the front-door sets that contain `lower` and lie in `upper`."""
    todo = [(lower, upper)]
    while todo:
        lower, upper = todo.pop()
        largest = _largest(admg, x, y, upper)
        if lower & ~largest or not _intercepts(admg, x, y, largest):
            continue
        open_ = largest & ~lower
        if not open_:
            if lower:
                yield lower
            continue
        node = open_ & -open_
        todo.append((lower | node, largest))
        todo.append((lower, largest & ~node))


def _largest(admg: ADMG, x: int, y: int, m: int) -> int:
    """Return the largest part of m from which no back-door path leads to y, given x."""
    while True:
        reached = admg.cut(out_of=m).connected(y, x)
        if not reached & m:
            return m
        m &= ~reached


def _intercepts(admg: ADMG, x: int, y: int, m: int) -> bool:
    """Tell whether every directed path from x to y passes through m."""
    first = 0
    for i in bits(x):
        first |= admg.children[i]
    return not admg.descendants(first & ~m, ~m) & y
