"""The layered layout: layers, distances, edges that stay clear of nodes, determinism."""

from __future__ import annotations

import itertools
import random
import time

import networkx as nx
import pytest

from bayescausal.graph import layered_layout
from bayescausal.types import GraphError


def _random_dag(rng: random.Random, n: int) -> nx.DiGraph:
    graph = nx.DiGraph()
    names = [f"v{i}" for i in range(n)]
    graph.add_nodes_from(names)
    graph.add_edges_from(p for p in itertools.combinations(names, 2) if rng.random() < 2.2 / n)
    return graph


def _distance(point, a, b) -> float:
    """From a point to a segment."""
    (px, py), (ax, ay), (bx, by) = point, a, b
    dx, dy = bx - ax, by - ay
    t = max(0.0, min(1.0, ((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy)))
    return ((px - ax - t * dx) ** 2 + (py - ay - t * dy) ** 2) ** 0.5


@pytest.mark.parametrize("n", [3, 8, 15, 25])
def test_edges_point_down_and_stay_clear_of_other_nodes(n):
    rng = random.Random(n)
    for _ in range(15):
        graph = _random_dag(rng, n)
        layout = layered_layout(graph)
        assert set(layout.positions) == set(graph)
        assert set(layout.routes) == set(graph.edges)
        for a, b in itertools.combinations(layout.positions.values(), 2):
            # 1 apart within a layer, 1 apart between layers
            assert max(abs(a[0] - b[0]) if a[1] == b[1] else 1.0, abs(a[1] - b[1])) > 0.999
        for (tail, head), route in layout.routes.items():
            assert route[0] == layout.positions[tail]
            assert route[-1] == layout.positions[head]
            assert all(a[1] > b[1] for a, b in itertools.pairwise(route))
            for other, place in layout.positions.items():
                if other not in (tail, head):
                    gaps = (_distance(place, a, b) for a, b in itertools.pairwise(route))
                    # a dummy stands 0.8 from a node, and an edge rises at least 0.35 per step
                    # sideways: 0.8 * 0.35 / sqrt(1 + 0.35^2) = 0.264
                    assert min(gaps) > 0.26


def test_diamond_has_no_crossing_and_is_symmetric():
    layout = layered_layout(nx.DiGraph([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]))
    (ax, ay), (dx, dy) = layout.positions["a"], layout.positions["d"]
    assert ax == pytest.approx(dx)
    assert ay > layout.positions["b"][1] == layout.positions["c"][1] > dy
    assert layout.layers == (("a",), ("b", "c"), ("d",))


def test_crossings_are_removed():
    """Two parallel chains given in an order that crosses them."""
    layout = layered_layout(
        nx.DiGraph([("a", "y"), ("b", "x"), ("c", "w"), ("x", "1"), ("y", "2")])
    )
    place = layout.positions
    for (a, b), (c, d) in itertools.combinations([("a", "y"), ("b", "x"), ("c", "w")], 2):
        assert (place[a][0] - place[c][0]) * (place[b][0] - place[d][0]) > 0


def test_latent_roots_stand_just_above_what_they_cause():
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "d"), ("u", "d"), ("u", "c")])
    layout = layered_layout(graph)
    assert layout.layers[1] == tuple(sorted(layout.layers[1]))
    assert "u" in layout.layers[1]


def test_it_depends_on_the_graph_alone():
    rng = random.Random(3)
    graph = _random_dag(rng, 12)
    shuffled = nx.DiGraph()
    shuffled.add_nodes_from(rng.sample(list(graph), 12))
    shuffled.add_edges_from(rng.sample(list(graph.edges), graph.number_of_edges()))
    assert layered_layout(graph) == layered_layout(shuffled)


def test_small_and_empty_graphs():
    assert layered_layout(nx.DiGraph()).positions == {}
    assert layered_layout(nx.DiGraph()).size == (0.0, 0.0)
    lone = nx.DiGraph()
    lone.add_nodes_from(["a", "b"])
    assert layered_layout(lone).positions == {"a": (0.0, 0.0), "b": (1.0, 0.0)}


def test_cycles_are_refused():
    with pytest.raises(GraphError, match="cycle"):
        layered_layout(nx.DiGraph([("a", "b"), ("b", "a")]))


def test_a_graph_of_25_nodes_is_placed_at_once():
    graph = _random_dag(random.Random(9), 25)
    start = time.process_time()
    layered_layout(graph)
    assert time.process_time() - start < 0.5
