"""Questions that are easily answered with a wrong number, each against its truth.

The model behind every number is built here, and the truth is derived here, by enumeration or
quadrature; the wrong answer is computed too, so that the test is seen to tell the two apart.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from scipy.optimize import brentq
from scm_oracles import over_normal, sigmoid, within

import bayescausal as bc
from bayescausal.types import DataError, InterventionError


def test_nonlinear_outcome_behind_a_stochastic_mediator():
    """X -> M -> Y: E sigmoid(3 M) is averaged over M, not taken at the mean of M."""

    def ate(s):
        return over_normal(lambda z: sigmoid(3 * (1 + s * z))) - 0.5  # symmetric at x = 0

    sd = brentq(lambda s: ate(s) - 0.232, 0.1, 5.0)
    assert ate(sd) == pytest.approx(0.232, abs=1e-6)
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        s = pm.HalfNormal("s")
        m = pm.Normal("m", x, s, dims="unit")
        pm.Bernoulli("y", logit_p=3 * m, dims="unit")
    known = bc.truth(model, {"s": sd})
    effect = bc.estimate(known, bc.ATE("x", "y"))
    assert within(effect, 0.232)
    assert effect.mc_error < 1e-3
    at_the_mean = sigmoid(3.0) - 0.5
    assert at_the_mean > 0.38  # what evaluating at the parents' mean would say
    # 100 units, and draws of sd around its value: the interval is over draws, not over unit noise
    data = bc.simulate(model, {"s": sd}, units=100, seed=1)
    spread = np.random.default_rng(1).normal(sd, 0.2, size=(2, 40))
    effect = bc.estimate(bc.Fit(model, {"s": spread}, data), bc.ATE("x", "y"))
    low, high = effect.interval()
    wanted = np.array([ate(v) for v in spread.ravel()])
    assert wanted.min() - 0.01 < low < 0.232 < high < wanted.max() + 0.01
    # 80 draws, each within 5 Monte Carlo errors (their sd varies a little between draws: 6)
    assert np.max(np.abs(effect.draws.values.ravel() - wanted)) < 6 * effect.mc_error
    assert effect.mc_error <= wanted.std() / 10 * 1.2


def modifier_model():
    """U -> Z, and U modifies the effect of X: 0.3 + 3 U."""
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Bernoulli("u", 0.5, dims="unit")
        pm.Bernoulli("z", p=(1 + 4 * u) / 6, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", (0.3 + 3 * u) * x, 1, dims="unit")
    return model


def test_cate_conditions_on_a_modelled_modifier_and_does_not_set_it():
    # P(U = 1 | Z = 1) = (5/6 / 2) / (5/6 / 2 + 1/6 / 2) = 5/6, so 0.3 + 3 * 5/6 = 2.80;
    # do(Z = 1) leaves P(U = 1) = 1/2: 1.80.
    known = bc.truth(modifier_model(), {})
    cate = bc.CATE("x", "y", given={"z": 1}, population="model")
    assert within(bc.estimate(known, cate), 2.80)
    assert bc.estimate(known, cate).mean() == pytest.approx(2.80, abs=0.02)
    doing = bc.Contrast("y", {"x": 1, "z": 1}, {"x": 0, "z": 1}, population="model")
    assert within(bc.estimate(known, doing), 1.80)


def test_cate_in_a_sample_is_the_mean_over_the_units_that_meet_it():
    data = bc.simulate(modifier_model(), {}, units=400, seed=3)
    effect = bc.estimate(bc.truth(modifier_model(), {}, data), bc.CATE("x", "y", given={"z": 1}))
    wanted = (0.3 + 3 * data.u[data.z == 1]).mean()
    assert effect.mc_error == 0
    assert effect.mean() == pytest.approx(wanted, abs=1e-12)


def test_att_with_a_modifier_that_is_itself_modelled():
    """Effect 0.1 + 2 Z, treated are four times in five Z = 1: ATT 1.70, ATE 1.10."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.5, dims="unit")
        x = pm.Bernoulli("x", p=0.2 + 0.6 * z, dims="unit")
        pm.Normal("y", (0.1 + 2 * z) * x + z, 1, dims="unit")
    known = bc.truth(model, {})
    model_wide = {"population": "model"}
    assert within(bc.estimate(known, bc.ATT("x", "y", **model_wide)), 1.70)
    assert within(bc.estimate(known, bc.ATU("x", "y", **model_wide)), 0.50)
    assert within(bc.estimate(known, bc.ATE("x", "y", **model_wide)), 1.10)
    data = bc.simulate(model, {}, units=300, seed=5)
    att = bc.estimate(bc.truth(model, {}, data), bc.ATT("x", "y"))
    assert att.mean() == pytest.approx((0.1 + 2 * data.z[data.x == 1]).mean(), abs=1e-12)


def test_a_latent_mediator_in_the_trace_is_recomputed_not_reused():
    """do(x = 10), y = 3 med: 30. The mediator's draws in the trace belong to x near 0."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        med = pm.Normal("med", x, 1, dims="unit")
        pm.Normal("y", 3 * med, 1, dims="unit")
    rng = np.random.default_rng(1)
    xs = rng.normal(size=50)
    stale = xs + rng.normal(0, 0.3, size=(2, 8, 50))
    data = {"x": xs, "y": 3 * xs + rng.normal(size=50)}
    fit = bc.Fit(model, {"med": stale}, data)
    assert fit.latent == ("med",)
    effect = bc.estimate(fit, bc.Expected("y", {"x": 10}))
    assert within(effect, 30.0, exact=1e-9)
    assert abs(3 * stale.mean()) < 1  # what reusing it would say
    assert within(bc.estimate(fit, bc.Expected("med", {"x": 10})), 10.0)
    # what does not descend from the intervention keeps its draws
    natural = bc.worlds(fit, {"now": {"y": 0}}, variables="med")["med"].sel(world="now")
    np.testing.assert_allclose(natural.values, stale)


def test_arms_share_their_noise():
    """sd of the contrast is the coefficient's, 0.028, not that of two independent predictives."""
    n, sigma = 1000, np.sqrt((0.067**2 - 0.028**2) * 1000 / 2)
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", b * x, sigma, dims="unit")
    rng = np.random.default_rng(2)
    b_draws = rng.normal(0.4, 0.028, size=(4, 500))
    data = {"x": rng.integers(0, 2, n), "y": rng.normal(size=n)}
    fit = bc.Fit(model, {"b": b_draws}, data)
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    np.testing.assert_allclose(effect.draws.values, b_draws, atol=1e-12)
    both = bc.worlds(fit, {"treated": {"x": 1}, "control": {"x": 0}}, kind="draw", variables="y")
    y = both["y"]
    shared = (y.sel(world="treated") - y.sel(world="control")).mean("unit")
    np.testing.assert_allclose(shared.values, b_draws, atol=1e-10)
    # two arms by hand with noise of their own: sqrt(0.028^2 + 2 sigma^2 / n) = 0.067
    own = [rng.normal(b_draws * level, sigma / np.sqrt(n)) for level in (1, 0)]
    assert (own[0] - own[1]).std() == pytest.approx(0.067, rel=0.05)  # 2000 draws: sd within 5%
    assert effect.draws.std().item() == pytest.approx(0.028, rel=0.05)


@pytest.fixture
def binary():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=x, dims="unit")
        pm.Normal("y", x + t, 1, dims="unit")
    return model


@pytest.mark.parametrize(
    ("do", "says"),
    [
        ({"t": 7}, "7"),
        ({"t": -1}, "-1"),
        ({"t": 0.5}, "outside the support"),
        ({"x": np.nan}, "nan"),
        ({"x": [0.0, np.nan]}, "nan"),
        ({"x": np.inf}, "inf"),
    ],
)
def test_values_that_cannot_be_are_refused_everywhere(binary, do, says):
    known = bc.truth(binary, {}, {"x": [0.1, 0.2], "t": [0, 1], "y": [0.0, 1.0]})
    asks = [
        lambda: bc.intervene(binary, do),
        lambda: bc.worlds(known, {"w": do}),
        lambda: bc.simulate(binary, {}, units=2, do=do),
    ]
    for ask in asks:
        with pytest.raises(InterventionError, match=f"(?i){says}"):
            ask()
    with pytest.raises(bc.BayesCausalError, match=f"(?i){says}|finite"):
        bc.estimate(known, bc.Expected("y", do))


def test_nan_in_the_data_is_imputed_or_refused(binary):
    data = {"x": [0.1, np.nan, 0.3], "t": [0, 1, 1], "y": [0.0, 1.0, 1.5]}
    known = bc.truth(binary, {}, data, draws=4, seed=1)
    assert np.isfinite(known.posterior["x_unobserved"].values).all()
    assert any("missing at random" in note for note in known.notes)
    assert np.isfinite(bc.estimate(known, bc.ATE("t", "y")).draws.values).all()
    data = {"x": [0.1, 0.2, 0.3], "t": [0, np.nan, 1], "y": [0.0, 1.0, 1.5]}
    with pytest.raises(DataError, match="'t'"):
        bc.truth(binary, {}, data)
