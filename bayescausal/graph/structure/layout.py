"""Where to draw the nodes of a DAG: a layered layout.

A causal graph reads best when causes stand above their effects and no arrow runs through a
node. The layered method [1]_ gives both:

1. *layers*: a node stands one layer below the lowest of its parents (longest path); a root
   is then lowered to just above the highest of its children, so that a latent common cause
   stays near what it causes;
2. *dummies*: an edge that spans several layers gets an invisible node in each layer it
   crosses, so that it holds a column of its own and no visible node can stand there;
3. *order*: within a layer, nodes are sorted by the mean place of their neighbours
   (barycentre), downwards and upwards in turn, then neighbours are swapped while that
   removes crossings; the order with the fewest crossings is kept;
4. *coordinates*: each node moves towards the mean of its neighbours while the distances
   within a layer stay at least one: least squares under an order constraint, solved exactly
   by pooling adjacent violators [2]_;
5. *heights*: two layers stand further apart where an edge between them runs far sideways,
   so that it leaves a node steeply and clears the node beside it.

It is deterministic: it depends on names and edges alone, not on the order of insertion.
Minimising crossings exactly is NP-hard, so a few may remain that a person would remove;
beyond some 60 nodes any drawing of this kind is hard to read.

References
----------
.. [1] K. Sugiyama, S. Tagawa and M. Toda, "Methods for visual understanding of hierarchical
   system structures", IEEE Transactions on Systems, Man, and Cybernetics 11, 1981.
.. [2] R. E. Barlow et al., *Statistical Inference under Order Restrictions*, Wiley, 1972.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import networkx as nx

from bayescausal.types import GraphError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Layout", "layered_layout"]

Point = tuple[float, float]

#: Sweeps of the barycentre ordering, and of the coordinate assignment.
SWEEPS = 12
#: Room that an edge takes where it passes a layer, in node distances.
DUMMY_ROOM = 0.6
#: Least steepness of an edge, so that it clears the node beside the one it leaves.
STEEPNESS = 0.35


@dataclass(frozen=True)
class Layout:
    """Positions of nodes and the bends of edges; y grows upwards, roots are on top.

    ``positions``: the centre of each node. Nodes of one layer are at least 1 apart, layers too.
    ``routes``: the points of each edge, from the centre of its tail to the centre of its head.
    ``layers``: the nodes of each layer, from the top, from left to right.
    """

    positions: Mapping[str, Point]
    routes: Mapping[tuple[str, str], tuple[Point, ...]]
    layers: tuple[tuple[str, ...], ...] = field(default=())

    @property
    def size(self) -> Point:
        """Return the width and height of the box around all centres and bends."""
        points = list(self.positions.values()) + [p for r in self.routes.values() for p in r]
        if not points:
            return (0.0, 0.0)
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        return (max(xs) - min(xs), max(ys) - min(ys))


def layered_layout(graph: nx.DiGraph[str]) -> Layout:
    """Place the nodes of a DAG in layers, causes above effects.

    ``graph``: Acyclic. Latent nodes are placed like any other.
    Result: Positions of all nodes and a route for every edge; the upper left corner is near ``(0,
        0)`` and y decreases downwards.
    Raises GraphError if the graph has a directed cycle.

    Examples
    --------
    >>> import networkx as nx
    >>> from bayescausal.graph.structure.layout import layered_layout
    >>> layout = layered_layout(nx.DiGraph([("Z", "X"), ("X", "Y"), ("Z", "Y")]))
    >>> layout.layers
    (('Z',), ('X',), ('Y',))
    >>> len(layout.routes["Z", "Y"])                  # one bend: it passes beside X
    3
    """
    if not nx.is_directed_acyclic_graph(graph):
        cycle = " -> ".join(str(edge[0]) for edge in nx.find_cycle(graph))
        raise GraphError(
            f"The graph has a directed cycle through {cycle}.",
            expected="a directed acyclic graph.",
        )
    if not graph:
        return Layout({}, {}, ())
    depth = _depths(graph)
    layers, chains = _with_dummies(graph, depth)
    above, below = _neighbours(chains)
    layers = _ordered(layers, above, below)
    x = _coordinates(layers, above, below)
    y = _heights(layers, x, below)
    place = {key: (x[key], y[depth_]) for depth_, layer in enumerate(layers) for key in layer}
    positions = {name: place[name,] for name in sorted(graph, key=str)}
    routes = {edge: _straightened([place[key] for key in chain]) for edge, chain in chains.items()}
    visible = tuple(tuple(str(key[0]) for key in layer if len(key) == 1) for layer in layers)
    return Layout(positions, routes, visible)


# Keys: (name,) is a node, (tail, head, depth) a dummy. Tuples of different lengths never clash.
type Key = tuple[str | int, ...]


def _depths(graph: nx.DiGraph[str]) -> dict[str, int]:
    """Return the layer of each node: longest path from a root, roots lowered."""
    order = list(nx.lexicographical_topological_sort(graph, key=str))
    depth: dict[str, int] = {}
    for node in order:
        depth[node] = 1 + max((depth[p] for p in graph.predecessors(node)), default=-1)
    for node in reversed(order):
        if graph.in_degree(node) == 0 and graph.out_degree(node) > 0:
            depth[node] = min(depth[c] for c in graph.successors(node)) - 1
    return depth


def _with_dummies(
    graph: nx.DiGraph[str], depth: Mapping[str, int]
) -> tuple[list[list[Key]], dict[tuple[str, str], list[Key]]]:
    """Return the layers with a dummy wherever an edge passes, and each edge as a chain."""
    layers: list[list[Key]] = [[] for _ in range(max(depth.values()) + 1)]
    for node in nx.lexicographical_topological_sort(graph, key=str):
        layers[depth[node]].append((node,))
    chains: dict[tuple[str, str], list[Key]] = {}
    for tail, head in sorted(graph.edges, key=lambda e: (str(e[0]), str(e[1]))):
        chain: list[Key] = [(tail,)]
        for level in range(depth[tail] + 1, depth[head]):
            layers[level].append((tail, head, level))
            chain.append((tail, head, level))
        chains[tail, head] = [*chain, (head,)]
    return layers, chains


def _neighbours(
    chains: Mapping[tuple[str, str], list[Key]],
) -> tuple[dict[Key, list[Key]], dict[Key, list[Key]]]:
    """Return the neighbours of each key in the layer above and in the layer below."""
    above: dict[Key, list[Key]] = {}
    below: dict[Key, list[Key]] = {}
    for chain in chains.values():
        for upper, lower in itertools.pairwise(chain):
            below.setdefault(upper, []).append(lower)
            above.setdefault(lower, []).append(upper)
    return above, below


def _ordered(
    layers: list[list[Key]], above: Mapping[Key, list[Key]], below: Mapping[Key, list[Key]]
) -> list[list[Key]]:
    """Return the layers ordered so that few edges cross."""
    best = [list(layer) for layer in layers]
    fewest = _crossings(best, below)
    current = [list(layer) for layer in layers]
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        downwards = sweep % 2 == 0
        towards = above if downwards else below
        indices = range(1, len(layers)) if downwards else range(len(layers) - 2, -1, -1)
        for i in indices:
            fixed = {key: p for p, key in enumerate(current[i - 1 if downwards else i + 1])}
            current[i] = _by_barycentre(current[i], fixed, towards)
        _transpose(current, above, below)
        crossings = _crossings(current, below)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in current], crossings
    return best


def _by_barycentre(
    layer: list[Key], fixed: Mapping[Key, int], towards: Mapping[Key, list[Key]]
) -> list[Key]:
    """Sort a layer by the mean place of its neighbours; those without keep their place."""
    scale = len(fixed) / max(len(layer), 1)
    centre = {}
    for place, key in enumerate(layer):
        places = [fixed[n] for n in towards.get(key, ()) if n in fixed]
        centre[key] = sum(places) / len(places) if places else place * scale
    return sorted(layer, key=centre.__getitem__)  # stable, so ties keep their order


def _transpose(
    layers: list[list[Key]], above: Mapping[Key, list[Key]], below: Mapping[Key, list[Key]]
) -> None:
    """Swap neighbours within a layer while that removes crossings."""
    for _ in range(4):
        changed = False
        for i, layer in enumerate(layers):
            up = {key: p for p, key in enumerate(layers[i - 1])} if i else {}
            down = {key: p for p, key in enumerate(layers[i + 1])} if i + 1 < len(layers) else {}
            for j in range(len(layer) - 1):
                left, right = layer[j], layer[j + 1]
                gain = 0
                for places, towards in ((up, above), (down, below)):
                    a = [places[n] for n in towards.get(left, ())] if places else []
                    b = [places[n] for n in towards.get(right, ())] if places else []
                    gain += sum((p > q) - (p < q) for p in a for q in b)
                if gain > 0:
                    layer[j], layer[j + 1] = right, left
                    changed = True
        if not changed:
            return


def _crossings(layers: list[list[Key]], below: Mapping[Key, list[Key]]) -> int:
    """Count the crossings between consecutive layers."""
    total = 0
    for upper, lower in itertools.pairwise(layers):
        place = {key: p for p, key in enumerate(lower)}
        ends = [sorted(place[n] for n in below.get(key, ())) for key in upper]
        for i, left in enumerate(ends):
            for right in ends[i + 1 :]:
                total += sum(p > q for p in left for q in right)
    return total


def _coordinates(
    layers: list[list[Key]], above: Mapping[Key, list[Key]], below: Mapping[Key, list[Key]]
) -> dict[Key, float]:
    """Return x for every key: near its neighbours, at least its room from the one beside."""
    offsets = []
    x: dict[Key, float] = {}
    for layer in layers:
        offset = [0.0]
        for left, right in itertools.pairwise(layer):
            dummies = (len(left) == 3) + (len(right) == 3)
            offset.append(offset[-1] + (1.0, (1.0 + DUMMY_ROOM) / 2, DUMMY_ROOM)[dummies])
        offsets.append(offset)
        x.update({key: o - offset[-1] / 2 for key, o in zip(layer, offset, strict=True)})
    for sweep in range(2 * SWEEPS):
        order = range(len(layers)) if sweep % 2 == 0 else range(len(layers) - 1, -1, -1)
        for i in order:
            layer, offset = layers[i], offsets[i]
            wanted, weights = [], []
            for key in layer:
                near = [*above.get(key, ()), *below.get(key, ())]
                wanted.append(sum(x[n] for n in near) / len(near) if near else x[key])
                weights.append((4.0 if len(key) == 3 else 1.0) * max(len(near), 1))
            moved = _pooled([w - o for w, o in zip(wanted, offset, strict=True)], weights)
            x.update({key: m + o for key, m, o in zip(layer, moved, offset, strict=True)})
    leftmost = min(x.values())
    return {key: round(value - leftmost, 6) for key, value in x.items()}


def _pooled(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the nearest increasing sequence (weighted least squares)."""
    blocks: list[list[float]] = []  # [mean, weight, count]
    for value, weight in zip(values, weights, strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, w, count = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + mean * w) / (last[1] + w)
            last[1] += w
            last[2] += count
    return [mean for mean, _, count in blocks for _ in range(int(count))]


def _heights(
    layers: list[list[Key]], x: Mapping[Key, float], below: Mapping[Key, list[Key]]
) -> list[float]:
    """Return y of each layer, from 0 downwards; wide gaps where an edge runs far sideways."""
    heights = [0.0]
    for layer in layers[:-1]:
        sideways = max((abs(x[k] - x[n]) for k in layer for n in below.get(k, ())), default=0.0)
        heights.append(round(heights[-1] - max(1.0, STEEPNESS * sideways), 6))
    return heights


def _straightened(points: list[Point]) -> tuple[Point, ...]:
    """Drop the bends that lie on a straight line."""
    kept = [points[0]]
    for here, after in itertools.pairwise(points):
        (ax, ay), (bx, by), (cx, cy) = kept[-1], here, after
        if abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) > 1e-6:
            kept.append(here)
    return (*kept, points[-1])
