"""Formulas against the truth: random graphs, random binary models, every probability enumerated.

Tolerance: probabilities of the models stay above 0.1 per variable, so P(V) is at least about
1e-1 to the power of the number of variables (14 at most, latent ones included). A formula has a few
dozen operations, each with a relative error of 2e-16, and divides by conditionals, not by joint
probabilities alone: 1e-9 is far above rounding and far below any wrong formula (a wrong one is off
by 1e-4 or more, see `test_a_wrong_formula_is_seen`).
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from graph_scm import BinaryModel, evaluated, random_graph

from bayescausal.graph import identify, observables, parse_graph
from bayescausal.graph.identification.expression import P
from bayescausal.graph.identification.idc import NotIdentified, check_hedge, identify_conditional
from bayescausal.graph.structure.mixed_graph import project

TOLERANCE = 1e-9


def _answer(admg, y, x, z):
    try:
        return identify_conditional(admg, admg.mask(y), admg.mask(x), admg.mask(z)), None
    except NotIdentified as stop:
        return None, stop.hedge


def _study(seed: int, graphs: int) -> tuple[int, int]:
    rng = random.Random(seed)
    identified = refused = 0
    while identified + refused < graphs:
        n = rng.randint(3, 7)
        graph = random_graph(rng, n, rng.choice([0.3, 0.5, 0.7]), rng.choice([0.15, 0.25, 0.4]))
        if len(graph) > 14:
            continue
        observed = sorted(observables(graph))
        names = rng.sample(observed, n)
        a = rng.randint(1, 2)
        b = a + rng.randint(1, 2)
        x, y, z = names[:a], names[a:b], names[b : b + rng.choice([0, 0, 1, 2])]
        if not y:
            continue
        admg = project(graph, observed)
        formula, hedge = _answer(admg, y, x, z)
        if hedge is not None:
            assert check_hedge(admg, hedge), (sorted(graph.edges), x, y, z)
            refused += 1
            continue
        model = BinaryModel(graph, rng.randrange(10**9))
        value, other = evaluated(formula, model, x + y + z)
        truth = model.truth(y, x, z)
        truth = truth.reshape(truth.shape + (1,) * other)
        assert abs(value - truth).max() < TOLERANCE, (sorted(graph.edges), x, y, z, str(formula))
        identified += 1
    return identified, refused


def test_id_and_idc_equal_the_truth():
    identified, refused = _study(seed=20, graphs=1500)
    assert identified > 800
    assert refused > 150


@pytest.mark.slow
def test_id_and_idc_equal_the_truth_on_many_graphs():
    identified, refused = _study(seed=21, graphs=30_000)
    assert identified > 16_000
    assert refused > 3_000


def test_whatever_route_the_verdict_takes_its_estimand_is_the_truth():
    """Back door, front door, no path, ID: `identify` shows the simplest formula, all are right."""
    rng = random.Random(22)
    seen: dict[str, int] = {}
    for _ in range(700):
        graph = random_graph(rng, rng.randint(3, 6), 0.4, rng.choice([0.1, 0.3]))
        if len(graph) > 13:
            continue
        names = rng.sample(sorted(observables(graph)), 3)
        x, y, z = names[:1], names[1:2], names[2:] if rng.random() < 0.4 else []
        verdict = identify(graph, x, y, given=z)
        seen[verdict.method] = seen.get(verdict.method, 0) + 1
        if not verdict:
            continue
        model = BinaryModel(graph, rng.randrange(10**9))
        value, other = evaluated(verdict.estimand, model, x + y + z)
        truth = model.truth(y, x, z)
        assert abs(value - truth.reshape(truth.shape + (1,) * other)).max() < TOLERANCE
    assert {"back door", "front door", "ID", "IDC", "no causal path"} <= set(seen)


def test_every_adjustment_and_frontdoor_set_gives_the_truth():
    """Not the sets found first only: each of them, by its own formula."""
    from bayescausal.graph.identification.identify import _adjusted, _front_door

    rng = random.Random(23)
    doors = adjustments = 0
    for _ in range(500):
        graph = random_graph(rng, 6, 0.35, 0.15)
        if len(graph) > 13:
            continue
        x, y = rng.sample(sorted(observables(graph)), 2)
        verdict = identify(graph, x, y)
        query = verdict.question
        model = BinaryModel(graph, rng.randrange(10**9))
        truth = model.truth([y], [x])
        for sets, formula in (
            (verdict.adjustment_sets, _adjusted),
            (verdict.frontdoor_sets, _front_door),
        ):
            for found in sets:
                value, _ = evaluated(formula(query, query.admg.mask(found)), model, [x, y])
                assert abs(value - truth).max() < TOLERANCE
                doors += formula is _front_door
                adjustments += formula is _adjusted
    assert doors > 30
    assert adjustments > 80


def test_a_wrong_formula_is_seen():
    """The napkin: with P(V) in place of the carried distribution the answer would be P(Y | X)."""
    graph = parse_graph("W -> Z -> X -> Y; W <-> X; W <-> Y")
    verdict = identify(graph, "X", "Y")
    assert verdict.method == "ID"
    assert str(verdict.estimand) == (
        "[Σ_W P(W) P(X | W, Z) P(Y | W, Z, X)] / [Σ_W P(W) P(X | W, Z)]"
    )
    model = BinaryModel(graph, 5)
    truth = model.truth(["Y"], ["X"])
    value, other = evaluated(verdict.estimand, model, ["X", "Y"])
    assert other == 1  # Z may take any value
    assert verdict.any_value == {"Z"}
    assert abs(value - truth[..., None]).max() < TOLERANCE
    naive, _ = evaluated(P(("Y",), ("X",)), model, ["X", "Y"])
    assert abs(naive - truth).max() > 1e-4


def test_draws_are_carried_along():
    graph = parse_graph("Z -> X -> Y; Z -> Y")
    formula = identify(graph, "X", "Y").estimand
    models = [BinaryModel(graph, seed) for seed in range(4)]
    joint = np.stack([m.joint() for m in models]).reshape(2, 2, 2, 2, 2)
    value = formula.evaluate(joint, models[0].observed, axes=["X", "Y"])
    assert value.shape == (2, 2, 2, 2)
    truth = np.stack([m.truth(["Y"], ["X"]) for m in models]).reshape(value.shape)
    assert abs(value - truth).max() < TOLERANCE


def test_kidney_stones_and_smoking():
    """The two published answers: .832546 vs .778875 (back door), .4525 vs .4975 (front door)."""
    # Charig et al. 1986: successes / patients by stone size and treatment
    table = {
        ("s", "a"): (81, 87),
        ("l", "a"): (192, 263),
        ("s", "b"): (234, 270),
        ("l", "b"): (55, 80),
    }
    joint = np.zeros((2, 2, 2))  # size, treatment, success
    for (size, treatment), (good, n) in table.items():
        joint["sl".index(size), "ab".index(treatment)] = [n - good, good]
    joint /= joint.sum()
    verdict = identify("size -> treatment -> success; size -> success", "treatment", "success")
    value = verdict.estimand.evaluate(joint, ["size", "treatment", "success"])
    assert value[:, 1] == pytest.approx([0.832546, 0.778875], abs=5e-7)
    # Pearl 2009, table 3.1: smoking x, tar z, cancer y
    p_xz = np.array([[0.475, 0.025], [0.025, 0.475]])
    cancer = np.array([[0.10, 0.05], [0.90, 0.85]])
    joint = np.stack([p_xz * (1 - cancer), p_xz * cancer], axis=-1)
    verdict = identify("x -> z -> y; x <-> y", "x", "y")
    value = verdict.estimand.evaluate(joint, ["x", "z", "y"])
    assert value[1, 1] == pytest.approx(0.4525, abs=1e-9)
    assert value[0, 1] == pytest.approx(0.4975, abs=1e-9)
