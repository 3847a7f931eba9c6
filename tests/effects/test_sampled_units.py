"""Averages over many units from some of them: unbiased, with the error that is said."""

import numpy as np
import pymc as pm
import pytest
from scipy.special import expit

import bayescausal as bc
from bayescausal.effects.averaging import sampled_units as sampling
from bayescausal.effects.evaluation.inner_draws import Run
from bayescausal.effects.evaluation.planning import plan_run
from bayescausal.effects.evaluation.question import resolve

UNITS, DRAWS = 1_500, 200


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(3)
    x = rng.normal(size=UNITS)
    with pm.Model(coords={"unit": [0]}) as model:
        x_ = pm.Data("x", np.zeros(1), dims="unit")
        a, b, c, d = (pm.Normal(n) for n in "abcd")
        t = pm.Normal("t", 0.2 * x_, 1, dims="unit")
        m = pm.Poisson("m", pm.math.exp(a + b * t + c * x_), dims="unit")
        pm.Bernoulli("y", logit_p=d * m - 1 + 0.5 * x_, dims="unit")
    truth = {"a": 0.2, "b": 0.5, "c": 0.3, "d": 0.8}
    data = bc.simulate(model, truth, units=UNITS, seed=1, data={"x": x})
    posterior = {k: v + 0.2 * rng.normal(size=(1, DRAWS)) for k, v in truth.items()}
    return bc.Fit(model, posterior, data)


def _means(fit, level):
    """E[y | do(t = level)] for each draw, by enumeration of m."""
    a, b, c, d = (np.asarray(fit.value(n))[:, None] for n in "abcd")
    x = np.asarray(fit.columns["x"])[None]
    mu = np.exp(a + b * level + c * x)
    chance, total = np.exp(-mu), 0.0
    for k in range(80):
        total = total + (chance * expit(d * k - 1 + 0.5 * x)).mean(axis=1)
        chance = chance * mu / (k + 1)
    assert chance.mean() < 1e-6
    return total


def test_sampled_units_answer_for_all(fit, monkeypatch):
    monkeypatch.setattr(sampling, "LEAST", 1)
    exact = _means(fit, 1) - _means(fit, 0)
    ate = bc.ATE("t", "y", treated=1, control=0)
    plan = plan_run(Run.of(resolve(fit, ate), 7))
    assert 0 < plan.units < UNITS
    effect = bc.estimate(fit, ate, seed=7)
    gap = np.asarray(effect.draws).ravel() - exact
    # the error of one draw is what is said: its standard error over 200 draws is 5%
    assert effect.mc_error == pytest.approx(gap.std(), rel=0.2)
    assert effect.mc_error < 1.2 * plan.target
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(DRAWS)
    # errors of different draws are independent
    assert abs(np.corrcoef(gap[1:], gap[:-1])[0, 1]) < 4 / np.sqrt(DRAWS)


def test_worlds_share_their_units(fit, monkeypatch):
    monkeypatch.setattr(sampling, "LEAST", 1)
    levels = [bc.Expected("y", {"t": v}) for v in (0, 1)]
    low, high, ate = bc.estimate(fit, [*levels, bc.ATE("t", "y")], seed=7)
    np.testing.assert_allclose(high.draws - low.draws, ate.draws, rtol=0, atol=1e-12)


def test_subgroups_have_all_units(fit, monkeypatch):
    monkeypatch.setattr(sampling, "LEAST", 1)
    group = bc.CATE("t", "y", given={"x": lambda x: x > 0})
    whole = [Run.of(resolve(fit, q), 7) for q in (group, bc.QTE("t", "y", q=0.5))]
    assert all(run.sampled(64) is None for run in whole)
    both = bc.estimate(fit, [bc.ATE("t", "y"), group], seed=7)
    # a question that stands beside one about a subgroup has all units as well
    monkeypatch.setattr(sampling, "LEAST", 10**12)
    alone = bc.estimate(fit, [bc.ATE("t", "y"), group], seed=7)
    np.testing.assert_array_equal(both[0].draws, alone[0].draws)


def test_small_work_has_all_units(fit):
    assert Run.of(resolve(fit, bc.ATE("t", "y")), 7).sampled(64) is None
