"""Simulated, fitted, asked: the answer is near the truth, and equal to a second computation.

Small data and short chains: near means within four posterior sd (a miss of one in 16,000 for each
question under a calibrated posterior); the second computation uses the same draws and no part of
the machinery that answers.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from scm_oracles import sigmoid, within

import bayescausal as bc

SHORT = {"draws": 300, "chains": 2, "seed": 1, "progressbar": False}


def near(effect, truth):
    sd = np.hypot(effect.draws.std().item(), np.max(effect.mc_error))
    return abs(effect.mean() - truth) < 4 * sd


@pytest.mark.slow
def test_a_hierarchy_of_schools():
    """w varies by pupil, its effect by school: an average of partially pooled effects."""
    schools, size = 8, 25
    n = schools * size
    with pm.Model(coords={"pupil": range(n), "school": range(schools)}) as model:
        idx = pm.Data("idx", np.repeat(np.arange(schools), size), dims="pupil")
        mu, tau = pm.Normal("mu", 0, 2), pm.HalfNormal("tau", 1)
        z = pm.Normal("z", 0, 1, dims="school")
        theta = pm.Deterministic("theta", mu + tau * z, dims="school")
        w = pm.Bernoulli("w", 0.5, dims="pupil")
        pm.Normal("y", theta[idx] * w, 1, dims="pupil")
    params = {"mu": 1.0, "tau": 0.5, "z": np.linspace(-1.5, 1.5, schools)}
    data = bc.simulate(model, params, seed=1)
    truth = bc.estimate(bc.truth(model, params, data), bc.ATE("w", "y"))
    assert truth.mean() == pytest.approx(1.0, abs=1e-12)
    fit = bc.fit(model, data, **SHORT, target_accept=0.95)
    effect = bc.estimate(fit, bc.ATE("w", "y"))
    assert near(effect, 1.0)
    post = fit.posterior
    by_hand = post["mu"] + post["tau"] * post["z"].mean("school")
    np.testing.assert_allclose(effect.draws.values, by_hand.values, atol=1e-12)


@pytest.mark.slow
def test_a_latent_confounder():
    """U -> T, U -> Y, and a proxy of U: the effect needs the latent, drawn with the rest."""
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("u", 0, 1, dims="unit")
        pm.Normal("proxy", u, 0.4, dims="unit")
        t = pm.Bernoulli("t", logit_p=1.5 * u, dims="unit")
        a, b = pm.Normal("a", 0, 1), pm.Normal("b", 0, 1)
        pm.Normal("y", a * u + b * t * (1 + u), 0.5, dims="unit")
    params = {"a": 1.0, "b": 0.7}
    data = bc.simulate(model, params, units=200, seed=2)
    fit = bc.fit(model, data.drop(columns="u"), **SHORT)
    assert fit.latent == ("u",)
    effect, att = bc.estimate(fit, [bc.ATE("t", "y"), bc.ATT("t", "y")])
    post = fit.posterior
    treated = data.t.to_numpy() == 1
    np.testing.assert_allclose(
        effect.draws.values, (post["b"] * (1 + post["u"].mean("unit"))).values, atol=1e-12
    )
    by_hand = post["b"] * (1 + post["u"].isel(unit=treated).mean("unit"))
    np.testing.assert_allclose(att.draws.values, by_hand.values, atol=1e-12)
    assert near(effect, 0.7 * (1 + data.u.mean()))
    assert near(att, 0.7 * (1 + data.u[treated].mean()))
    naive = data.y[treated].mean() - data.y[~treated].mean()
    assert abs(naive - effect.mean()) > 4 * effect.draws.std().item()


def test_a_poisson_outcome():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        a, b, c = pm.Normal("a"), pm.Normal("b"), pm.Normal("c")
        pm.Poisson("y", pm.math.exp(a + b * t + c * z), dims="unit")
    params = {"a": 0.5, "b": 0.6, "c": 0.4}
    data = bc.simulate(model, params, units=300, seed=3)
    fit = bc.fit(model, data, **SHORT)
    effect, ratio, zero = bc.estimate(
        fit,
        [bc.ATE("t", "y"), bc.ATE("t", "y", scale="ratio"),
         bc.Expected("y", {"t": 0}, functional=bc.Probability(equals=0))],
    )  # fmt: skip
    post = fit.posterior
    base = np.exp(post["a"].values[..., None] + post["c"].values[..., None] * data.z.to_numpy())
    lift = np.exp(post["b"].values)
    np.testing.assert_allclose(effect.draws.values, base.mean(-1) * (lift - 1), rtol=1e-10)
    np.testing.assert_allclose(ratio.draws.values, lift, rtol=1e-10)
    np.testing.assert_allclose(zero.draws.values, np.exp(-base).mean(-1), rtol=1e-9)
    true_base = np.exp(0.5 + 0.4 * data.z).mean()
    assert near(effect, true_base * (np.exp(0.6) - 1))
    assert near(ratio, np.exp(0.6))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of a step that went too far
def test_an_ordered_outcome():
    with pm.Model(coords={"unit": [0], "cut": range(2)}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        b = pm.Normal("b", 0, 2)
        cuts = pm.Normal("cuts", [-1, 1], 1, dims="cut", initval=np.array([-1.0, 1.0]),
                         transform=pm.distributions.transforms.ordered)  # fmt: skip
        pm.OrderedLogistic("y", eta=b * x, cutpoints=cuts, dims="unit")
    params = {"b": 1.2, "cuts": [-0.5, 1.0]}
    data = bc.simulate(model, params, units=300, seed=4)
    fit = bc.fit(model, data, **SHORT)
    top = bc.estimate(fit, bc.ATE("x", "y", functional=bc.Probability(at_least=2)))
    post = fit.posterior
    high = post["cuts"].isel(cut=1)
    by_hand = sigmoid(post["b"] - high) - sigmoid(-high)
    np.testing.assert_allclose(top.draws.values, by_hand, atol=1e-9)
    assert near(top, sigmoid(1.2 - 1.0) - sigmoid(-1.0))


@pytest.mark.slow
def test_a_mixture_outcome():
    with pm.Model(coords={"unit": [0]}) as model:
        t = pm.Bernoulli("t", 0.5, dims="unit")
        b = pm.Normal("b", 0, 2)
        w = pm.Beta("w", 2, 2)
        parts = [pm.Normal.dist(b * t, 0.5), pm.Normal.dist(4 + 2 * b * t, 0.5)]
        pm.Mixture("y", w=pm.math.stack([w, 1 - w]), comp_dists=parts, dims="unit")
    params = {"b": 1.0, "w": 0.6}
    data = bc.simulate(model, params, units=200, seed=5)
    fit = bc.fit(model, data, **SHORT)
    effect = bc.estimate(fit, bc.ATE("t", "y"))
    post = fit.posterior
    by_hand = post["w"] * post["b"] + (1 - post["w"]) * 2 * post["b"]
    np.testing.assert_allclose(effect.draws.values, by_hand.values, atol=1e-9)
    assert near(effect, 0.6 + 0.4 * 2)
    far = bc.estimate(
        bc.truth(model, params, data), bc.Expected("y", {"t": 1}, functional="median")
    )
    # P(Y <= q) = 0.6 Phi((q - 1) / .5) + 0.4 Phi((q - 6) / .5) = 0.5 far below 6
    from scipy import stats

    assert within(far, 1 + 0.5 * stats.norm.ppf(0.5 / 0.6))


@pytest.mark.slow
def test_a_panel_with_latent_unit_effects():
    units, times = 40, 5
    with pm.Model(coords={"unit": range(units), "time": range(times)}) as model:
        alpha = pm.Normal("alpha", 0, 1, dims="unit")
        season = pm.Normal("season", 0, 1, dims="time")
        t = pm.Bernoulli("t", logit_p=1.5 * alpha[:, None] + season, dims=("unit", "time"))
        b, g = pm.Normal("b", 0, 2), pm.Normal("g", 0, 2)
        pm.Normal("y", alpha[:, None] + (g + b * t) * season, 0.5, dims=("unit", "time"))
    sizes = {"unit": units, "time": times}
    data = bc.simulate(model, {"b": 1.0, "g": 0.5}, units=sizes, seed=6)
    fit = bc.fit(model, data.drop(columns="alpha"), **SHORT)
    assert fit.latent == ("alpha",)
    effect, att, level = bc.estimate(
        fit, [bc.ATE("t", "y"), bc.ATT("t", "y"), bc.Expected("y", {"t": 1})]
    )
    post = fit.posterior
    b, g = post["b"].values, post["g"].values
    mean = data.season.mean()
    np.testing.assert_allclose(effect.draws.values, b * mean, atol=1e-12)
    np.testing.assert_allclose(att.draws.values, b * data.season[data.t == 1].mean(), atol=1e-12)
    whole = post["alpha"].mean("unit").values + (g + b) * mean
    np.testing.assert_allclose(level.draws.values, whole, atol=1e-12)
    assert near(effect, mean)
