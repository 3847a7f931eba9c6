"""Minimal separating sets, listed one by one.

A set Z m-separates x from y in an ADMG exactly if it separates them as vertices in the *moral*
graph of the ancestors of x, y and Z, where two nodes are joined if they are adjacent or if
a path leads from one to the other on which every node between is a collider [1]_. A
minimal Z lies among the ancestors of x and y (and of what it must contain), so one undirected
graph serves for all of them:

1. take the moral graph of the ancestors of x, y and the required nodes; leave out the required
   ones, for they are conditioned on;
2. a node that may not be used is left out too, and its neighbours are joined to each other;
3. list the minimal vertex separators of the rest. The one nearest to x comes first; from a
   separator S with the component C of x, each node s of S gives the separator nearest to
   ``C + {s}``. All of them are found that way [2]_, with little work between one and the next.

There may be exponentially many, so they are generated, never collected here. No path is listed.

References
----------
.. [1] B. van der Zander, M. Liskiewicz and J. Textor, "Separators and adjustment sets in causal
   graphs: complete criteria and an algorithmic framework", Artificial Intelligence 270, 2019.
.. [2] H. Shen and W. Liang, "Efficient enumeration of all minimal separators in a graph",
   Theoretical Computer Science 180, 1997.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload

from bayescausal.graph.structure.mixed_graph import ADMG, _closure, bits

__all__ = ["LazySets", "minimal_separators"]

#: So many sets are computed at once, to show the smallest first.
AHEAD = 256


def minimal_separators(
    graph: ADMG, x: int, y: int, *, allowed: int = -1, required: int = 0
) -> Iterator[int]:
    """Generate every set that m-separates x from y and is minimal in containing `required`.

    ``x``, ``y``: sets of nodes (bits) that do not overlap.
    ``allowed``: nodes that may be used.
    ``required``: nodes that every set must contain.

    Yields: a set, `required` included. Nothing if there is none.
    """
    if x & y or required & (x | y):
        return
    ancestral = graph.ancestors(x | y | required)
    moral = moral_graph(graph, ancestral)
    usable = ancestral & allowed & ~(x | y | required)
    shut = ancestral & ~(usable | x | y | required)
    a, b = len(moral), len(moral) + 1
    vertices = [*list(moral), 0, 0]
    for merged, vertex in ((x, a), (y, b)):
        for i in bits(merged):
            vertices[vertex] |= moral[i]
    ends = {a: vertices[a] & ~(x | required), b: vertices[b] & ~(y | required)}
    if ends[a] & y:
        return
    neighbours = [mask & usable if usable >> i & 1 else 0 for i, mask in enumerate(moral)]
    neighbours += [ends[a] & usable, ends[b] & usable]
    for vertex in (a, b):
        for i in bits(neighbours[vertex]):
            neighbours[i] |= 1 << vertex
    left = shut
    while left:  # join the neighbours of each connected group of unusable nodes
        group = _closure(tuple(moral), left & -left, shut)
        left &= ~group
        around = 0
        for i in bits(group):
            around |= moral[i]
        joined = around & usable
        joined |= (1 << a if around & x else 0) | (1 << b if around & y else 0)
        for i in bits(joined):
            neighbours[i] |= joined & ~(1 << i)
    for found in _vertex_separators(tuple(neighbours), a, b):
        yield found | required


def moral_graph(graph: ADMG, ancestral: int) -> list[int]:
    """Return who is joined to whom in the moral graph of an ancestral set."""
    joined = [0] * len(graph.names)
    for district in graph.districts(ancestral):
        # a path of colliders runs through a district; its ends may be parents of its nodes
        reach = (district | graph.parents_of(district)) & ancestral
        for i in bits(reach):
            joined[i] |= reach & ~(1 << i)
    return joined


def _vertex_separators(neighbours: tuple[int, ...], a: int, b: int) -> Iterator[int]:
    everything = (1 << len(neighbours)) - 1

    def beside(group: int) -> int:
        found = 0
        for i in bits(group):
            found |= neighbours[i]
        return found & ~group

    def nearest(group: int) -> int:
        """Return the separator nearest to a connected group that contains a."""
        around = beside(group)
        return beside(_closure(neighbours, 1 << b, everything & ~around & ~group))

    if neighbours[a] >> b & 1:
        return
    first = nearest(1 << a)
    seen, queue = {first}, deque([first])
    while queue:
        separator = queue.popleft()
        yield separator
        side = _closure(neighbours, 1 << a, everything & ~separator)
        for i in bits(separator & ~neighbours[b]):
            following = nearest(side | 1 << i)
            if following not in seen:
                seen.add(following)
                queue.append(following)


class LazySets(Sequence[Any]):
    """A sequence that is computed as far as it is looked at.

    Small first: as many as can be found in the first few hundred are sorted by size and name.
    It equals a list with the same members in the same order, and prints like one.

    ``make``: returns an iterator over the members.
    ``key``: what to sort by.
    ``ahead``: how many are computed at once.

    Examples
    --------
    >>> sets = LazySets(lambda: iter([{"b", "c"}, {"a"}]), key=len)
    >>> sets[0], len(sets), sets == [{"a"}, {"b", "c"}]
    ({'a'}, 2, True)
    """

    def __init__(
        self,
        make: Callable[[], Iterable[Any]],
        key: Callable[[Any], Any],
        ahead: int = AHEAD,
    ) -> None:
        self._make, self._key, self._ahead = make, key, ahead
        self._known: list[Any] | None = None
        self._rest: Iterator[Any] = iter(())
        self._done = False

    def _begin(self) -> list[Any]:
        if self._known is None:
            self._rest = iter(self._make())
            self._known = []
            self._read(self._ahead)
            self._known.sort(key=self._key)
        return self._known

    def _read(self, upto: int | None) -> None:
        known = self._known if self._known is not None else self._begin()
        while not self._done and (upto is None or len(known) < upto):
            try:
                known.append(next(self._rest))
            except StopIteration:
                self._done = True

    def __iter__(self) -> Iterator[Any]:
        known, at = self._begin(), 0
        while True:
            self._read(at + 1)
            if at >= len(known):
                return
            yield known[at]
            at += 1

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        known = self._begin()
        if isinstance(at, int) and at >= 0:
            self._read(at + 1)
        elif isinstance(at, slice) and at.stop is not None and at.stop >= 0:
            self._read(at.stop)
        else:
            self._read(None)
        return known[at]

    def __len__(self) -> int:
        self._begin()
        self._read(None)
        return len(self._begin())

    def __bool__(self) -> bool:
        return bool(self._begin())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, tuple, LazySets)):
            return list(self) == list(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        known = self._begin()
        shown = ", ".join(_shown(s) for s in known[:20])
        more = ", ..." if len(known) > 20 or not self._done else ""
        return f"[{shown}{more}]"


def _shown(member: object) -> str:
    if isinstance(member, (set, frozenset)):
        return "{" + ", ".join(sorted(map(str, member))) + "}"
    return repr(member)
