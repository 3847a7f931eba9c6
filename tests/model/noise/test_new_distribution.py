"""A distribution that is registered as docs/howto/new_distribution.md shows."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.tensor.random.op import RandomVariable
from scipy import stats

import bayescausal as bc
from bayescausal.model.noise import mean_of, noise_rule
from bayescausal.model.noise.families.continuous import log1mexp
from bayescausal.model.noise.families.table import FAMILIES, Family

SCALE = np.array([[1.0, 0.6, -0.2], [0.6, 2.0, 0.3], [-0.2, 0.3, 0.5]])
MU = np.array([1.0, -2.0, 0.5])


class GompertzRV(RandomVariable):
    name = "Gompertz"
    signature = "(),()->()"
    dtype = "floatX"
    _print_name = ("Gompertz", "\\operatorname{Gompertz}")

    @classmethod
    def rng_fn(cls, rng, eta, b, size):
        return np.log1p(rng.exponential(size=size) / eta) / b


class Gompertz(pm.Continuous):
    rv_op = GompertzRV()

    @classmethod
    def dist(cls, eta, b, **options):
        return super().dist([pt.as_tensor_variable(eta), pt.as_tensor_variable(b)], **options)

    def support_point(rv, size, eta, b):
        return pt.full(size, 1.0) if size else pt.ones_like(eta * b)

    def logp(value, eta, b):
        return pt.log(eta * b) + b * value - eta * pt.expm1(b * value)


def gompertz_tails(x, eta, b):
    log_s = -eta * np.expm1(b * np.maximum(x, 0.0))
    return log1mexp(log_s), log_s


@pytest.fixture(params=["tails alone", "closed"])
def gompertz(request, monkeypatch):
    closed = None
    if request.param == "closed":

        def closed(xp, ell, eta, b):
            return xp.log1p(xp.softplus(ell) / eta) / b

    monkeypatch.setitem(FAMILIES, "Gompertz", Family(gompertz_tails, closed=closed))


def survival():
    with pm.Model(coords={"unit": range(400)}) as model:
        old = pm.Bernoulli("old", 0.4, dims="unit")
        eta = pm.Exponential("eta", 1.0)
        b_old = pm.Normal("b_old")
        Gompertz("years", eta * pt.exp(b_old * old), 0.8, dims="unit")
    return model


@pytest.mark.slow
@pytest.mark.parametrize("gompertz", ["tails alone"], indirect=True)
@pytest.mark.usefixtures("gompertz")
def test_a_univariate_family_is_one_entry_of_the_table():
    model, truth = survival(), {"eta": 0.5, "b_old": 1.0}
    data = bc.simulate(model, truth, seed=1)
    young = data["years"][data["old"] == 0]
    assert stats.kstest(young, lambda x: -np.expm1(-0.5 * np.expm1(0.8 * x))).pvalue > 1e-3
    done = bc.simulate(bc.intervene(model, {"old": 1}), truth, seed=1)
    assert stats.kstest(done["years"], lambda x: -np.expm1(-0.5 * np.e * np.expm1(0.8 * x))).pvalue
    fit = bc.fit(model, data, draws=200, tune=200, chains=2, seed=2, progressbar=False)
    assert float(fit.posterior["eta"].mean()) == pytest.approx(0.5, abs=0.15)
    effect = bc.estimate(fit, bc.ATE("old", "years"))
    assert effect.probability(below=0.0) > 0.99


@pytest.mark.usefixtures("gompertz")
def test_counterfactuals_invert_the_new_family():
    model, truth = survival(), {"eta": 0.5, "b_old": 1.0}
    data = bc.simulate(model, truth, seed=1)
    known = bc.truth(model, truth, data)
    same = bc.counterfactual(known, {"old": data["old"].to_numpy()})["years"]
    for world in np.squeeze(same.values):
        np.testing.assert_allclose(world, data["years"], rtol=1e-9)
    other = np.squeeze(bc.counterfactual(known, {"old": 1})["years"].values)[1]
    # the rank is kept: eta expm1(b years) is a unit's own standard exponential
    own = np.where(data["old"] == 1, 1.0, np.exp(-1.0)) * np.expm1(0.8 * data["years"])
    np.testing.assert_allclose(other, np.log1p(own) / 0.8, rtol=1e-9)


# ----------------------------------------------------------------- the multivariate Student t


def test_the_student_vector_has_its_distribution():
    nu = 4.0
    rule = noise_rule(pm.MvStudentT.dist(nu=nu, mu=MU, scale=SCALE))
    assert (rule.base, rule.event_ndim, rule.discrete) == ("logistic", 1, False)
    u = np.random.default_rng(1).logistic(size=(4000, 3))
    v = rule.forward(pt.as_tensor_variable(u)).eval(mode="FAST_COMPILE")
    for axis in np.eye(3):  # each entry, and each pair by its sum
        for along in (axis, axis + np.roll(axis, 1)):
            spread = np.sqrt(along @ SCALE @ along)
            assert stats.kstest((v - MU) @ along / spread, stats.t(nu).cdf).pvalue > 1e-3
    distance = np.einsum("ni,ij,nj->n", v - MU, np.linalg.inv(SCALE), v - MU) / 3
    assert stats.kstest(distance, stats.f(3, nu).cdf).pvalue > 1e-3


def test_the_student_vector_is_inverted():
    rule = noise_rule(pm.MvStudentT.dist(nu=2.5, mu=MU, scale=SCALE))
    u = 5 * np.random.default_rng(2).normal(size=(200, 3))
    v = rule.forward(pt.as_tensor_variable(u)).eval(mode="FAST_COMPILE")
    lo, hi = (end.eval(mode="FAST_COMPILE") for end in rule.interval(pt.as_tensor_variable(v)))
    np.testing.assert_allclose(lo, u, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(lo, hi)


@pytest.mark.parametrize(("nu", "exists"), [(0.9, False), (1.5, True)])
def test_the_student_vector_has_a_mean_above_one_degree_of_freedom(nu, exists):
    mean = mean_of(pm.MvStudentT.dist(nu=nu, mu=MU, scale=SCALE)).eval(mode="FAST_COMPILE")
    np.testing.assert_array_equal(mean, MU if exists else np.full(3, np.nan))


def scores():
    with pm.Model(coords={"unit": range(2000), "test": ["read", "count", "draw"]}) as model:
        school = pm.Bernoulli("school", 0.5, dims="unit")
        gain = pm.Normal("gain", dims="test")
        mu = MU + gain * school[:, None]
        pm.MvStudentT("score", nu=5.0, mu=mu, scale=SCALE, dims=("unit", "test"))
    return model


def test_a_rule_of_its_own_serves_every_verb():
    model, truth = scores(), {"gain": np.array([0.5, 1.0, 2.0])}
    data = bc.simulate(model, truth, seed=1)
    names = [f"score[{name}]" for name in ("read", "count", "draw")]
    done = bc.simulate(bc.intervene(model, {"school": 1}), truth, seed=2)
    np.testing.assert_allclose(done[names].mean(), MU + truth["gain"], atol=0.15)
    fit = bc.fit(model, data, draws=200, tune=200, chains=2, seed=3, progressbar=False)
    gain = fit.posterior["gain"].mean(["chain", "draw"])
    np.testing.assert_allclose(gain, truth["gain"], atol=0.3)
    effect = bc.estimate(fit, bc.ATE("school", "score"))
    np.testing.assert_allclose(effect.draws.mean(["chain", "draw"]), gain)
    known = bc.truth(model, truth, data)
    other = np.squeeze(bc.counterfactual(known, {"school": 1})["score"].values)[1]
    moved = (1 - data["school"].to_numpy())[:, None] * truth["gain"]
    np.testing.assert_allclose(other, data[names] + moved, atol=1e-6)
