"""Censored times in one pass: SciPy's likelihood, its derivatives, its place in a fit."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.designs.time_to_event.distributions import LogLogistic, PiecewiseExponential
from bayescausal.inference.censored.independence import independence_draws
from bayescausal.inference.censored.kernels import KERNELS, TimeSum
from bayescausal.inference.closed_forms.compress import fuse, insert
from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.conditioning.remainder import compression_of
from bayescausal.inference.data.read import read_data
from bayescausal.model.noise.families.times import (
    piecewise_exponential,
    piecewise_exponential_quantile,
)
from bayescausal.model.structure.interpreted import PY_MODE

LAWS = {
    "weibull": lambda eta, k: stats.weibull_min(k, scale=np.exp(eta)),
    "lognormal": lambda eta, s: stats.lognorm(s, scale=np.exp(eta)),
    "loglogistic": lambda eta, s: stats.fisk(1 / s, scale=np.exp(eta)),
}


@pytest.mark.parametrize("family", KERNELS)
def test_the_likelihood_is_that_of_scipy_and_its_derivatives_those_of_differences(family):
    rng = np.random.default_rng(1)
    n = 60
    log_t, eta, kind = rng.normal(size=n), rng.normal(size=n), rng.integers(0, 3, n) * 1.0
    law, t = LAWS[family](eta, 1.3), np.exp(log_t)
    terms = np.select([kind == 1, kind == 0], [law.logpdf(t) + log_t, law.logsf(t)], law.logcdf(t))
    total, slope, in_shape = KERNELS[family](eta, 1.3, log_t, kind)
    assert total == pytest.approx(terms.sum(), rel=1e-11)

    def value(eta, shape):
        return KERNELS[family](eta, shape, log_t, kind)[0]

    step = 1e-6
    by_hand = [
        (value(eta + step * e, 1.3) - value(eta - step * e, 1.3)) / (2 * step) for e in np.eye(n)
    ]
    np.testing.assert_allclose(slope, by_hand, rtol=1e-5, atol=1e-6)
    assert in_shape == pytest.approx(
        (value(eta, 1.3 + step) - value(eta, 1.3 - step)) / (2 * step), rel=1e-6
    )
    a, b = pt.dvector(), pt.dscalar()
    grads = pt.grad(TimeSum(family)(a, b, log_t, kind)[0], [a, b])
    found = pytensor.function([a, b], grads, mode=PY_MODE)(eta, 1.3)
    np.testing.assert_allclose(found[0], slope)
    assert found[1] == pytest.approx(in_shape)


def test_far_tails_keep_their_digits():
    for z in (-30.0, -8.0, 0.0, 19.9, 20.1, 60.0):
        for kind, right in ((0.0, stats.norm.logsf(z)), (2.0, stats.norm.logcdf(z))):
            found = KERNELS["lognormal"](np.zeros(1), 1.0, np.array([z]), np.array([kind]))
            assert found[0] == pytest.approx(right, rel=1e-9)
            assert np.isfinite(found[1]).all()
    steep = KERNELS["weibull"](np.zeros(1), 1.0, np.array([30.0]), np.ones(1))
    assert steep[0] == -np.inf  # a cumulative hazard of 1e13: no start of a chain


def censored(n=400, family="weibull"):
    rng = np.random.default_rng(2)
    x = rng.normal(size=n)
    t = np.exp(1 + 0.4 * x) * rng.weibull(1.5, n)
    c = rng.uniform(1, 6, n)
    with pm.Model(coords={"unit": range(n)}) as model:
        cause, end = pm.Data("x", x, dims="unit"), pm.Data("c", c, dims="unit")
        a, b, k = pm.Normal("a", 0, 5), pm.Normal("b"), pm.LogNormal("k")
        eta = a + b * cause
        base = {
            "weibull": lambda: pm.Weibull.dist(k, pt.exp(eta)),
            "exponential": lambda: pm.Exponential.dist(scale=pt.exp(eta)),
            "lognormal": lambda: pm.LogNormal.dist(eta, k),
            "loglogistic": lambda: LogLogistic.dist(eta, k),
        }[family]()
        pm.Censored("t", base, 0.3, end, dims="unit")
    return model, {"t": np.clip(t, 0.3, c), "x": x, "c": c}


@pytest.mark.parametrize("family", ["weibull", "exponential", "lognormal", "loglogistic"])
def test_a_fused_model_has_the_same_density(family):
    model, data = censored(60, family)
    structure, _, conformed, *_ = read_data(model, data, None)
    known = condition(structure, conformed).model
    found = fuse(compression_of(structure, conformed, known), structure, conformed)
    assert set(found.fused) == {"t"}
    small = insert(structure, known, found)
    rng = np.random.default_rng(4)
    for _ in range(3):
        point = {v.name: rng.normal(0, 0.4) for v in known.value_vars}
        before, after = (
            float(m.compile_fn(m.logp(), mode=PY_MODE, on_unused_input="ignore")(point))
            for m in (known, small)
        )
        # PyMC's tail of a log-normal time is one minus its distribution function: 1e-16 / 1e-9
        assert after == pytest.approx(before, rel=1e-8)


def test_draws_about_the_mode_are_those_of_a_markov_chain():
    """Compared with the posterior on a grid: means to 4 Monte Carlo errors, spreads to 10%."""
    model, data = censored(80, "exponential")
    fit = bc.fit(model, data, draws=1000, seed=1, progressbar=False)
    assert set(fit.methods.values()) == {"laplace (metropolis)"}
    a, b = np.meshgrid(np.linspace(-0.5, 3, 301), np.linspace(-1.5, 2, 301), indexing="ij")
    t, x, c = (data[n] for n in "txc")
    log_p = -((a / 5) ** 2) / 2 - b**2 / 2
    for time, cause, end in zip(t, x, c, strict=True):
        h = time * np.exp(-(a + b * cause))
        if time <= 0.3:
            log_p += np.log(-np.expm1(-h))
        else:
            log_p += -h - (0.0 if time >= end else 1.0) * (a + b * cause)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    for name, values in (("a", a), ("b", b)):
        mean = (p * values).sum()
        sd = np.sqrt((p * (values - mean) ** 2).sum())
        draws = fit.posterior[name].values.ravel()
        assert abs(draws.mean() - mean) < 4 * sd / np.sqrt(2_000)
        assert draws.std() == pytest.approx(sd, rel=0.1)


def test_several_modes_are_refused():
    with pm.Model() as model:
        u = pm.Normal("u", 0, 3)
        pm.Potential("two", pt.logaddexp(-((u - 4) ** 2) * 5, -((u + 4) ** 2) * 5))
    with pytest.raises(ArithmeticError):
        independence_draws(model, draws=50, chains=2, seed=1)
    with pm.Model() as many:
        pm.Normal("v", shape=40)
    with pytest.raises(ArithmeticError, match="40 unknowns, more than 30"):
        independence_draws(many, draws=50, chains=2, seed=1)


def test_piecewise_exponential_times_invert_and_integrate():
    cuts, log_hazards = np.array([1.0, 2.5]), np.log([0.3, 0.8, 0.1])
    ell = np.linspace(-6, 6, 41)
    t = piecewise_exponential_quantile(ell, 0.2, log_hazards, cuts)
    log_f, log_s = piecewise_exponential(t, 0.2, log_hazards, cuts)
    np.testing.assert_allclose(log_f - log_s, ell, atol=1e-9)
    dist = PiecewiseExponential.dist(0.2, log_hazards, cuts)
    grid = np.linspace(1e-6, 60, 600_001)
    density = np.exp(pm.logp(dist, grid).eval(mode="FAST_COMPILE"))
    assert np.trapezoid(density, grid) == pytest.approx(
        1 - np.exp(piecewise_exponential(60.0, 0.2, log_hazards, cuts)[1]), abs=1e-4
    )
    at = np.array([0.5, 1.7, 9.0])
    ends = piecewise_exponential(at, 0.2, log_hazards, cuts)
    for found, right in zip((pm.logcdf(dist, at), pm.logccdf(dist, at)), ends, strict=True):
        np.testing.assert_allclose(found.eval(mode="FAST_COMPILE"), right, rtol=1e-10)
