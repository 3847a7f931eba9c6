"""Numbers that do not depend on how the work was cut into blocks."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.effects.evaluation import inner_draws as running
from bayescausal.evaluation import evaluate
from bayescausal.evaluation.noise import BLOCK

N = 3 * BLOCK + 77


@pytest.fixture(scope="module")
def fit():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        w = pm.Gamma("w", 2, 1, dims="unit")
        v = pm.Normal("v", dims="unit")
        x = pm.Bernoulli("x", logit_p=z, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b")
        m = pm.Normal("m", a * x + z, 1, dims="unit")
        pm.Bernoulli("y", logit_p=a + b * m + pm.math.log1p(w) * z - v * b, dims="unit")
        pm.Poisson("k", pm.math.exp(a * x + 0.1 * z * w - b * v), dims="unit")
    data = bc.simulate(model, {"a": 0.3, "b": 0.5}, units=N, seed=1)
    draws = np.random.default_rng(1).normal(0.3, 0.2, size=(2, 2, 5))
    return bc.Fit(model, {"a": draws[0], "b": draws[1]}, data)


def questions():
    return [
        bc.ATE("x", "y"),
        bc.ATE("x", "k"),
        bc.CATE("x", "k", given={"z": (0.0, 1.0)}),
        bc.ATT("x", "k"),
        bc.ATE("x", "k", population="superpopulation"),
        bc.QTE("x", "k", q=0.9),
    ]


def answers(fit):
    return [bc.estimate(fit, q).draws.values for q in questions()]


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Every unit and draw is evaluated."""
    monkeypatch.setattr(running, "collapse", lambda *_: None)
    monkeypatch.setattr(running, "WORK", 1_000_000)  # few inner draws of the noise


def test_chunks_do_not_show(fit, monkeypatch):
    found = []
    for chunk in (1, 50_000, 10**9):
        monkeypatch.setattr(evaluate, "CHUNK", chunk)
        found.append(answers(fit))
    for question, *same in zip(questions(), *found, strict=True):
        for other in same[1:]:
            assert np.array_equal(same[0], other), question


@pytest.mark.parametrize("chunk", [1, 10_000, 50_000, 10**9])
@pytest.mark.parametrize("draws", [slice(0, 10), slice(1, 10, 3)])
def test_blocks_are_counted_without_being_made(fit, chunk, draws, monkeypatch):
    from bayescausal.effects.evaluation.question import resolve

    monkeypatch.setattr(evaluate, "CHUNK", chunk)
    question = resolve(fit, bc.ATE("x", "k"))
    program, _ = question.program()
    for options in ({}, {"groups": range(3), "replicates": 2}, {"whole_units": True}):
        made = list(evaluate.tasks(program, question.units, draws, **options))
        assert len(made) == evaluate.count_tasks(program, question.units, draws, **options)
        rows = {(t.rows[0], t.group, t.window.start) for t in made}
        assert len(rows) == len(made)


def test_compound_operations_are_spelt_out(monkeypatch):
    """A softmax, whose own compiled function PyTensor would keep on the operation.

    Siblings looked at: other compound operations (log-sum-exp, spelt out too), scans, random
    operations, scalar loops (which hold no function).
    """
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="unit")
        b = pm.Normal("b", shape=3)
        p = pm.math.softmax(x[:, None] * b[None, :], axis=-1)
        g = pm.Categorical("g", p=p, dims="unit")
        pm.Bernoulli("y", p=pm.math.sigmoid(b[g] + 0.1 * x), dims="unit")
    rng = np.random.default_rng(3)
    data = {"x": rng.normal(size=60), "g": rng.integers(0, 3, 60), "y": rng.integers(0, 2, 60)}
    fit = bc.Fit(model, {"b": rng.normal(size=(2, 60, 3))}, data)
    found = []
    for chunk in (500, 10**9):
        monkeypatch.setattr(evaluate, "CHUNK", chunk)
        found.append(bc.estimate(fit, bc.Expected("y", {"x": 1.0}), seed=1).draws.values)
    assert np.array_equal(*found)
    values = fit.posterior["b"].values
    chance = np.exp(values) / np.exp(values).sum(-1, keepdims=True)
    by_hand = (chance / (1 + np.exp(-values - 0.1))).sum(-1)
    # the level is drawn for 60 units, at least once: an sd of at most 1/2 for each
    assert abs((found[0] - by_hand).mean()) < 4 * 0.5 / np.sqrt(by_hand.size * 60)
