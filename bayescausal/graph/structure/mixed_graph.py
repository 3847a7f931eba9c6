"""Mixed graphs over the measured variables, and m-separation: what the searches compute on.

Leaving latent nodes out of a DAG gives an acyclic directed mixed graph (ADMG): its *latent
projection* [1]_. For measured a, b:

- ``a -> b`` if a directed path leads from a to b through latent nodes only;
- ``a <-> b`` if some latent node has such paths to both.

It keeps every separation among the measured variables and every identifiability [2]_. Bidirected
edges are pairwise. A path is *open* given Z if every collider on it (two arrowheads meet) is in
Z or has a descendant in Z, and no other node on it is in Z; x and y are *m-separated* by Z if no
path is open [3]_. Deciding it takes one walk over the edges, in which a node is entered
either through an arrowhead or through a tail: paths are never listed.

Sets of nodes are the bits of an integer here (node i is bit i, in a topological order), so that a
union or an intersection of sets costs one machine operation. Names come in and go out at the
edges of this file; no other form of graph is used by the searches.

References
----------
.. [1] T. Verma and J. Pearl, "Equivalence and synthesis of causal models", UAI 1990.
.. [2] J. Tian and J. Pearl, "On the identification of causal effects", technical report
   R-290-L, UCLA, 2003.
.. [3] T. Richardson, "Markov properties for acyclic directed mixed graphs", Scandinavian
   Journal of Statistics 30, 2003.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ADMG", "bits", "project"]


def bits(mask: int) -> Iterator[int]:
    """Return the numbers of the nodes in a set, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def project(graph: nx.DiGraph[str], observed: Iterable[str]) -> ADMG:
    """Return the latent projection of a DAG onto the observed nodes.

    ``observed``: the nodes to keep.
    Result: its nodes in a topological order, ties by name.
    """
    kept = set(observed)
    order = list(nx.lexicographical_topological_sort(graph))
    names = tuple(n for n in order if n in kept)
    index = {n: i for i, n in enumerate(names)}
    reach: dict[str, int] = {}  # measured nodes at the end of paths through latent nodes
    for node in reversed(order):
        mask = 0
        for child in graph.successors(node):
            mask |= 1 << index[child] if child in index else reach[child]
        reach[node] = mask
    children = [reach[n] for n in names]
    siblings = [0] * len(names)
    for node in order:
        if node not in index:
            for i in bits(reach[node]):
                siblings[i] |= reach[node] & ~(1 << i)
    parents = [0] * len(names)
    for i, mask in enumerate(children):
        for j in bits(mask):
            parents[j] |= 1 << i
    return ADMG(names, tuple(parents), tuple(children), tuple(siblings), index)


@dataclass(frozen=True)
class ADMG:
    """An acyclic directed mixed graph; sets of nodes are the bits of an int.

    ``names``: nodes in a topological order.
    ``parents``, ``children``, ``siblings``: for each node the set at the other end of its edges
        ``->``, ``<-``, ``<->``.
    ``index``: the number of each node.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    children: tuple[int, ...]
    siblings: tuple[int, ...]
    index: dict[str, int] = field(compare=False, repr=False)

    # ----------------------------------------------------------------- names and sets

    @property
    def everything(self) -> int:
        """Return the set of all nodes."""
        return (1 << len(self.names)) - 1

    def mask(self, names: Iterable[str]) -> int:
        """Return names as a set."""
        mask = 0
        for name in names:
            mask |= 1 << self.index[name]
        return mask

    def listed(self, mask: int) -> tuple[str, ...]:
        """Return a set as names, in topological order."""
        return tuple(self.names[i] for i in bits(mask))

    def named(self, mask: int) -> frozenset[str]:
        """Return a set as names."""
        return frozenset(self.listed(mask))

    # -------------------------------------------------------------------------- facts

    def ancestors(self, mask: int, within: int = -1) -> int:
        """Return the ancestors of a set, itself included, in the subgraph `within`."""
        return _closure(self.parents, mask & within, within)

    def descendants(self, mask: int, within: int = -1) -> int:
        """Return the descendants of a set, itself included, in the subgraph `within`."""
        return _closure(self.children, mask & within, within)

    def parents_of(self, mask: int) -> int:
        """Return the union of the parents of the nodes of a set."""
        found = 0
        for i in bits(mask):
            found |= self.parents[i]
        return found

    def district(self, node: int, within: int = -1) -> int:
        """Return what bidirected paths `within` join to a node, itself included."""
        return _closure(self.siblings, 1 << node, within)

    def districts(self, within: int = -1) -> list[int]:
        """Return the districts (c-components) of the subgraph `within`."""
        found, left = [], self.everything & within
        while left:
            district = _closure(self.siblings, left & -left, self.everything & within)
            found.append(district)
            left &= ~district
        return found

    def separated(self, x: int, y: int, given: int = 0) -> bool:
        """Tell whether `given` m-separates x from y; they must not overlap."""
        return not self.connected(x, given) & y

    def connected(self, x: int, given: int = 0) -> int:
        """Return all nodes joined to x by a path that is open given a set.

        A walk may turn at a collider that is given, and come back from a given descendant of
        one, so ancestors of what is given need not be found first.
        """
        by_tail, by_head = x & ~given, 0  # entered so far, by kind of end
        todo_tail, todo_head = by_tail, 0
        while todo_tail or todo_head:
            up = sideways = down = 0
            for i in bits(todo_tail):
                up |= self.parents[i]
                sideways |= self.siblings[i]
                down |= self.children[i]
            for i in bits(todo_head):
                if given >> i & 1:
                    up |= self.parents[i]
                    sideways |= self.siblings[i]
                else:
                    down |= self.children[i]
            todo_tail = up & ~given & ~by_tail
            todo_head = (down | sideways) & ~by_head
            by_tail |= todo_tail
            by_head |= todo_head
        return (by_tail | by_head) & ~given

    # ------------------------------------------------------------------------ surgery

    def cut(self, *, into: int = 0, out_of: int = 0) -> ADMG:
        """Remove edges with an arrowhead at `into`, and those that leave `out_of` by a tail."""
        parents = [0 if into >> i & 1 else mask & ~out_of for i, mask in enumerate(self.parents)]
        siblings = [0 if into >> i & 1 else mask & ~into for i, mask in enumerate(self.siblings)]
        return self._with(parents, siblings)

    def without_edges(self, tails: int, heads: int) -> ADMG:
        """Remove the directed edges from `tails` to `heads`."""
        parents = [mask & ~tails if heads >> i & 1 else mask for i, mask in enumerate(self.parents)]
        return self._with(parents, list(self.siblings))

    def _with(self, parents: list[int], siblings: list[int]) -> ADMG:
        children = [0] * len(parents)
        for i, mask in enumerate(parents):
            for j in bits(mask):
                children[j] |= 1 << i
        return replace(
            self, parents=tuple(parents), children=tuple(children), siblings=tuple(siblings)
        )

    # ------------------------------------------------------- queries about two sets

    def causal_nodes(self, x: int, y: int) -> int:
        """Return the nodes, outside x, on proper causal paths from x to y (y included)."""
        first = self.cut(into=x).descendants(x) & ~x
        return first & self.cut(out_of=x).ancestors(y)

    def proper_back_door(self, x: int, y: int) -> ADMG:
        """Return the graph without the first edges of the proper causal paths."""
        return self.without_edges(x, self.causal_nodes(x, y))


def _closure(step: tuple[int, ...], mask: int, within: int) -> int:
    """Return what can be reached from a set by repeated steps inside `within`."""
    found = todo = mask
    while todo:
        reached = 0
        for i in bits(todo):
            reached |= step[i]
        todo = reached & within & ~found
        found |= todo
    return found
