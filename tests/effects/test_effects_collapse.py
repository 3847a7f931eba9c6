"""Averages over units from fewer, weighted units: the same numbers."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.effects.averaging.collapse import chebyshev_weights
from bayescausal.effects.evaluation import inner_draws as running


def test_two_columns_become_nodes():
    """Polynomials up to degree 9 in each column are integrated to rounding."""
    x, y = np.random.default_rng(2).normal(size=(2, 5_000))
    (one, two), weights = chebyshev_weights(x, y)
    assert weights.sum() == pytest.approx(len(x))
    for i in range(0, 10, 3):
        for j in range(0, 10, 3):
            size = (np.abs(x) ** i * np.abs(y) ** j).sum()
            assert weights @ (one**i * two**j) == pytest.approx(
                (x**i * y**j).sum(), abs=1e-9 * size
            )


def test_two_continuous_columns_are_averaged_over_nodes():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        w = pm.Normal("w", dims="unit")
        x = pm.Bernoulli("x", logit_p=z, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b")
        pm.Bernoulli("y", logit_p=a + b * x + z * a + w, dims="unit")
    data = bc.simulate(model, {"a": 0.3, "b": 0.5}, units=100_000, seed=1)
    draws = np.random.default_rng(2).normal(0.5, 0.2, size=(2, 1, 6))
    fit = bc.Fit(model, {"a": draws[0], "b": draws[1]}, data)
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    z, w = data["z"].to_numpy(), data["w"].to_numpy()
    for k in range(6):
        a, b = draws[:, 0, k]
        eta = a + z * a + w
        truth = np.mean(1 / (1 + np.exp(-eta - b)) - 1 / (1 + np.exp(-eta)))
        assert effect.draws.values[0, k] == pytest.approx(truth, abs=1e-10)
    from bayescausal.effects.evaluation.question import resolve
    from bayescausal.effects.evaluation.result import cells_of

    question = resolve(fit, bc.ATE("x", "y"))
    program, where = question.program()
    run = running.Run(question, program, where, cells_of(question, program, where, 1), 1)
    assert run.fewer is not None
    assert run.fewer[0].units.count * 3 < 100_000
