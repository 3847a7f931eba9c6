"""Averages of all draws from a polynomial through some: the same numbers, or none."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.effects.averaging import smooth as module
from bayescausal.effects.averaging.collapse import chebyshev_weights
from bayescausal.effects.evaluation import inner_draws as running

N, DRAWS = 4_000, 1_500


def fitted(spread, jump=False):
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        w = pm.Normal("w", dims="unit")
        v = pm.Normal("v", dims="unit")
        x = pm.Bernoulli("x", logit_p=z, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b", shape=2)
        line = pm.math.switch(z > a, 1.0, 0.0) if jump else a
        pm.Bernoulli("y", logit_p=line + b[0] * x * w + b[1] * z + v, dims="unit")
    data = bc.simulate(model, {"a": 0.3, "b": [0.5, 1.0]}, units=N, seed=1)
    rng = np.random.default_rng(2)
    b = rng.normal([0.5, 1.0], spread, size=(1, DRAWS, 2))
    a = b[..., 0] * 0.5 + rng.normal(0.1, spread, size=(1, DRAWS))
    return bc.Fit(model, {"a": a, "b": b}, data)


@pytest.fixture
def counted(monkeypatch):
    """How many draws are evaluated."""
    found = []
    original = running.reduce_question

    def spy(question, program, where, cells, draws, *rest, **options):
        found.append(len(range(question.fit.n_draws)[draws]))
        return original(question, program, where, cells, draws, *rest, **options)

    monkeypatch.setattr(running, "reduce_question", spy)
    monkeypatch.setattr(module, "WORK", 1000)
    return found


def plain(fit, question, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(running, "smooth", lambda *_: None)
        return bc.estimate(fit, question)


@pytest.mark.parametrize(
    "question",
    [
        bc.ATE("x", "y"),
        bc.ATE("x", "y", scale="odds ratio"),
        bc.CATE("x", "y", given={"z": (0.0, 1.0)}),
        bc.Expected("y", {"x": 1}),
        bc.ATT("x", "y"),
    ],
    ids=repr,
)
def test_the_same_numbers_from_fewer_draws(question, counted, monkeypatch):
    fit = fitted(0.004)
    quick = bc.estimate(fit, question)
    assert 0 < sum(counted) < DRAWS / 3
    slow = plain(fit, question, monkeypatch)
    np.testing.assert_allclose(quick.draws, slow.draws, rtol=0, atol=1e-9)
    assert quick.mc_error == 0


@pytest.mark.parametrize("options", [{"spread": 1.0}, {"spread": 0.01, "jump": True}])
def test_wide_or_broken_averages_are_evaluated_at_every_draw(options, counted, monkeypatch):
    fit = fitted(**options)
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    assert max(counted) == DRAWS
    slow = plain(fit, bc.ATE("x", "y"), monkeypatch)
    assert np.array_equal(effect.draws, slow.draws)


def test_weights_that_differ_between_draws_are_no_polynomial(counted):
    bc.estimate(fitted(0.01), bc.ATE("x", "y", population="superpopulation"))
    assert counted == [DRAWS]


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
