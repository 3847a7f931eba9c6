"""Surgery, and the rules of do-calculus against enumerated models."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from graph_scm import BinaryModel, random_graph

from bayescausal.graph import (
    as_graph,
    back_door_graph,
    bidirected_edges,
    do_graph,
    explicit_latents,
    is_adjustment_set,
    latent_projection,
    latents,
    observables,
    rule,
    separated,
    to_text,
    without_outgoing,
)
from bayescausal.types import EstimandError, GraphError

TOLERANCE = 1e-9  # as in test_identification_numeric


@pytest.mark.parametrize("number", [1, 2, 3])
def test_rules_of_do_calculus(number):
    """Where the separation holds, the sides are equal; a random model tells them apart if not.

    The converse is checked too: at most 2% of the cases without the separation may agree by
    chance of the graph (sides that no rule in one step joins but several do).
    """
    rng = random.Random(60 + number)
    held = failed = agreed = 0
    while held < 150 or failed < 100:
        graph = random_graph(rng, 5, 0.4, 0.2)
        y, z, *rest = rng.sample(sorted(observables(graph)), 5)
        do, given = rest[:1], rest[1 : 1 + rng.randint(0, 1)]
        model = BinaryModel(graph, rng.randrange(10**9))
        seen = model.truth([y], do, [*given, z])  # axes do, y, given, z
        without = model.truth([y], do, given)[..., None]
        both = np.moveaxis(model.truth([y], [*do, z], given), 1, -1)
        left, right = {1: (seen, without), 2: (both, seen), 3: (both, without)}[number]
        same = abs(left - right).max() < TOLERANCE
        if rule(number, graph, y, z, do=do, given=given):
            assert same, (sorted(graph.edges), y, z, do, given)
            held += 1
        else:
            failed += 1
            agreed += same
    assert agreed <= 0.02 * failed + 5


@pytest.mark.parametrize(
    "call", [lambda: rule(4, "X -> Y", "Y", "X"), lambda: rule(1, "X -> Y", "Y", "Y")]
)
def test_rule_errors(call):
    with pytest.raises(EstimandError):
        call()


def test_projection_keeps_separations_of_what_is_measured():
    rng = random.Random(64)
    for _ in range(80):
        graph = random_graph(rng, 7, 0.35, 0.1)
        kept = rng.sample(sorted(observables(graph)), 4)
        projected = latent_projection(graph, kept)
        assert observables(projected) == set(kept)
        assert latents(projected) == set(bidirected_edges(projected))
        x, y, *rest = kept
        for size in range(3):
            for given in itertools.combinations(rest, size):
                assert separated(graph, x, y, given) == separated(projected, x, y, given)


def test_projection_both_ways():
    graph = as_graph("X -> Y; X <-> Y; Y <-> Z; U1 -> X")
    named = explicit_latents(graph, {("Z", "Y"): "season"})
    assert latents(named) == {"U2", "season"}  # U1 is taken by a measured variable
    assert bidirected_edges(named) == {}
    assert to_text(latent_projection(named)) == to_text(graph)


def test_explicit_latents_errors():
    with pytest.raises(GraphError, match="is not an edge"):
        explicit_latents("X -> Y", {("X", "Y"): "U"})
    with pytest.raises(GraphError, match="taken"):
        explicit_latents("X -> Y; X <-> Y", {("X", "Y"): "X"})


def test_cut_graphs():
    graph = "Z -> X -> M -> Y; Z -> Y; X <-> Y; X -> D"
    assert to_text(do_graph(graph, "X")) == "M -> Y\nX -> D\nX -> M\nZ -> Y"
    assert to_text(without_outgoing(graph, ["X", "Z"])) == "D\nZ\nM -> Y\nX <-> Y"
    assert ("X", "M") not in without_outgoing(graph, "X").edges
    assert "X<->Y" not in do_graph(graph, "X")
    assert set(back_door_graph(graph, "X", "Y").edges) == set(as_graph(graph).edges) - {("X", "M")}


def test_the_back_door_graph_decides_adjustment():
    rng = random.Random(65)
    for _ in range(60):
        graph = random_graph(rng, 5, 0.4, 0.2)
        x, y, z, *_ = rng.sample(sorted(observables(graph)), 5)
        if is_adjustment_set(graph, x, y, z):
            assert separated(back_door_graph(graph, x, y), x, y, z)
