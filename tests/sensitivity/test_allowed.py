"""A hidden confounder cannot explain more than is left unexplained."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from scipy.special import expit

import bayescausal as bc
from bayescausal.sensitivity.confounding.allowed import Allowed
from bayescausal.sensitivity.confounding.confounder import Confounder

INF = float("inf")


def where(kind="bernoulli", prevalence=0.3, links=("logit", "identity")) -> Confounder:
    return Confounder("U", "t", "y", kind, prevalence, ("unit",), links, gaussian=False)


def test_a_normal_treatment_leaves_the_share_of_the_formula():
    """Var(U | X) = s^2 / (g^2 + s^2) with R^2 = g^2 + s^2 for a standard Normal U."""
    allowed = Allowed(where("normal", links=("identity", "identity")), (1.25, 0.5), 0.0)
    left = 1.0**2 / (0.75**2 + 1.0**2)  # R = 1.25
    assert allowed.delta(0.75) == pytest.approx(0.5 / np.sqrt(left))
    assert allowed.delta([0.0, 1.25]).tolist() == [0.5, INF]
    assert allowed(0.75, [0.62, 0.63]).tolist() == [True, False]
    assert not allowed(1.3, 0.0)
    assert allowed(-0.75, -0.62)


@pytest.mark.parametrize("gamma", [0.5, 3.0])
def test_a_two_valued_treatment_by_enumeration(gamma):
    p, base = 0.3, -0.4
    chance = {1: expit(base + gamma * 0.7), 0: expit(base - gamma * 0.3)}
    level = p * chance[1] + (1 - p) * chance[0]
    share = {1: p * chance[1] / level, 0: p * (1 - chance[1]) / (1 - level)}
    left = level * share[1] * (1 - share[1]) + (1 - level) * share[0] * (1 - share[0])
    allowed = Allowed(where(prevalence=p), (INF, 0.2), level)
    assert allowed.delta(gamma) == pytest.approx(0.2 / np.sqrt(left))
    assert allowed.gamma == INF


def test_a_normal_confounder_of_a_two_valued_treatment_by_quadrature():
    at = np.linspace(-9, 9, 20_001)
    weights = np.exp(-(at**2) / 2)
    weights /= weights.sum()
    chance = expit(0.3 + 1.5 * at)
    level = weights @ chance
    left = 0.0
    for arm, share in ((chance, level), (1 - chance, 1 - level)):
        left += share * ((weights * arm / share) @ at**2 - ((weights * arm / share) @ at) ** 2)
    allowed = Allowed(where("normal"), (INF, 1.0), float(level))
    assert allowed.delta(1.5) == pytest.approx(1 / np.sqrt(left), rel=1e-6)


def test_outcomes_without_a_residual_have_no_limit():
    allowed = Allowed(where(links=("log", "logit")), (INF, INF), 2.0)
    assert allowed(5.0, 100.0)


@pytest.fixture(scope="module")
def fit():
    """The coating model, as measured: humid explains more than all that is left."""
    with pm.Model(coords={"unit": [0]}) as model:
        h = pm.Normal("h", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=pm.Normal("a") * h, dims="unit")
        b, c, s = pm.Normal("b"), pm.Normal("c"), pm.HalfNormal("s")
        pm.Normal("y", b * t + c * h, s, dims="unit")
    data = bc.simulate(model, {"a": -0.4, "b": -0.42, "c": -0.54, "s": 0.2}, units=400, seed=1)
    return bc.fit(model, data, draws=200, chains=2, seed=1, progressbar=False)


@pytest.mark.slow
def test_strengths_that_are_ruled_out_are_marked_and_tip_nothing(fit):
    """Planted: a confounder of five residual sds copies the treatment, and the mean is reversed."""
    found = bc.hidden_confounder(
        fit, bc.ATE("t", "y"), gamma=[3.0], delta=[-1.2, -0.2, 0.2, 1.2], draws=100, seed=1
    )
    beyond = ~found.surface["allowed"]
    assert beyond.sel(delta=-1.2).all()
    assert beyond.sel(delta=1.2).all()
    assert not beyond.sel(delta=[-0.2, 0.0, 0.2]).any()
    assert (found.surface["mean"].sel(gamma=3.0) > 0).any(), "else nothing is tested here"
    assert found.tipping_point.isna().all(axis=None)
    assert any("the data rule them out" in note for note in found.notes)
    assert np.isnan(found.benchmarks.loc["h", "mean"])
    assert "explain more than the equations leave unexplained" in found.sentence()
    words = [text.get_text() for text in found.plot().get_legend().get_texts()]
    assert "ruled out by the data" in words


@pytest.mark.slow
def test_default_strengths_are_allowed(fit):
    found = bc.hidden_confounder(fit, bc.ATE("t", "y"), draws=50, seed=1)
    assert found.surface["allowed"].all()
    assert found.surface.sizes == {"gamma": 5, "delta": 7}
    # Without an arrow into the treatment nothing is confounded. The likelihood is another one, so
    # the answers are not the same; the fault above moved them by fifty posterior sds.
    plain = found.surface.sel(gamma=0.0)
    assert (abs(plain["mean"] - float(found.effect)) < plain["sd"]).all()
