"""Exact means against quadrature of the quantile function and against scipy."""

from __future__ import annotations

import warnings

import numpy as np
import pymc as pm
import pytest
from noise_families import continuous, counts, functions, mixed
from scipy import special, stats

from bayescausal.model.noise import mean_of
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.types import UndefinedEffectError

CONTINUOUS = continuous()
COUNTS = counts()
MIXED = mixed()
NONE = {
    "VonMises",
    "LogitNormal",
    "TruncatedGamma",
    "DiscreteWeibull",
    "TruncatedPoisson",
    "CensoredPoisson",
    "CensoredGamma",
}
UNDEFINED = {"Cauchy", "HalfCauchy", "Categorical"}


def by_quadrature(rv):
    """Return ``int q(l) sigmoid'(l) dl`` with 4000 panels of five Gauss points on (-90, 90)."""
    rule, forward, _ = functions(rv)
    edges = np.linspace(-90, 90, 4001)
    nodes, weights = np.polynomial.legendre.leggauss(5)
    half = np.diff(edges) / 2
    ell = (edges[:-1, None] + half[:, None] * (1 + nodes)).ravel()
    mass = (half[:, None] * weights).ravel() * special.expit(ell) * special.expit(-ell)
    if rule.base == "normal":
        z = special.ndtri_exp(special.log_expit(-np.abs(ell)))
        ell = np.where(ell <= 0, z, -z)
    return float(np.sum(mass * forward(ell)))


@pytest.mark.parametrize("family", sorted({**CONTINUOUS, **COUNTS, **MIXED}))
def test_mean_equals_quadrature(family):
    rv = {**CONTINUOUS, **COUNTS, **MIXED}[family][0]
    if family in UNDEFINED:
        with pytest.raises(UndefinedEffectError):
            mean_of(rv)
        return
    mean = mean_of(rv)
    if family in NONE:
        assert mean is None
        return
    value = float(mean.eval(mode=PY_MODE))
    # smooth quantiles: the panels are exact to 1e-9; steps (counts, atoms) fall inside a panel of
    # width 0.045 of height at most 1/4: 0.011 for each unit step, of random sign; 2e-3 for 12 steps
    # of smooth mass, scaled to the values
    smooth = family in CONTINUOUS
    exact = by_quadrature(rv)
    spread = max(abs(exact), 1.0)
    assert value == pytest.approx(
        exact, rel=1e-6 if smooth else 0, abs=0 if smooth else 2e-3 * spread
    )


SCIPY = {
    "Poisson": stats.poisson(2.5).mean(),
    "BetaBinomial": stats.betabinom(15, 2, 3).mean(),
    "HyperGeometric": stats.hypergeom(40, 17, 15).mean(),
    "ExGaussian": stats.exponnorm(1.5, 1, 2).mean(),
    "Rice": stats.rice(0.5, scale=4).mean(),
    "SkewStudentT": stats.jf_skew_t(2, 3, 1, 4).mean(),
    "TruncatedNormal": stats.truncnorm(-1, 2).mean(),
    "ZeroInflatedPoisson": 0.75 * 2.5,
    "HurdlePoisson": 0.75 * 2.5 / (1 - np.exp(-2.5)),
    "HurdleGamma": 0.75 * 2.5 / 4,
    "HurdleLogNormal": 0.75 * np.exp(0.5),
    "DiscreteUniform": 2.0,
    "PoissonMixture": 5.0,
}


@pytest.mark.parametrize("family", SCIPY)
def test_mean_equals_the_closed_form(family):
    rv = {**CONTINUOUS, **COUNTS, **MIXED}[family][0]
    assert float(mean_of(rv).eval(mode=PY_MODE)) == pytest.approx(SCIPY[family], rel=1e-12)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (-1, 2),
        (3, 5),
        (-5, -3),
        (30, 31),
        (-31, -30),
        (2, np.inf),
        (-np.inf, -20),
        (35, np.inf),
        (-np.inf, np.inf),
        (-0.5, np.inf),
        (1.0, 1.0001),
    ],
)
def test_truncated_normal_mean_holds_far_out(lower, upper):
    mean = mean_of(pm.TruncatedNormal.dist(mu=0.0, sigma=1.0, lower=lower, upper=upper))
    nodes, weights = np.polynomial.legendre.leggauss(200)
    a, b = max(lower, -12 if upper > 0 else upper - 12), min(upper, max(lower, 0) + 12)
    x = (a + b) / 2 + (b - a) / 2 * nodes
    density = weights * np.exp(-(x**2 - np.min(x**2)) / 2)
    expected = np.sum(density * x) / np.sum(density)
    # differences of two tails of an interval of width w cost 1e-16 / w
    assert float(mean.eval(mode=PY_MODE)) == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_hurdle_negative_binomial_and_truncated_leaves():
    rv = pm.HurdleNegativeBinomial.dist(psi=0.75, n=np.array(3.0), p=np.array(0.6))
    p = 0.6
    assert float(mean_of(rv).eval(mode=PY_MODE)) == pytest.approx(0.75 * 2 / (1 - p**3), rel=1e-12)
    rv = pm.Truncated.dist(pm.Exponential.dist(2.0), lower=3.0)
    assert float(mean_of(rv).eval(mode=PY_MODE)) == pytest.approx(3.5, rel=1e-12)
    rv = pm.Truncated.dist(pm.Geometric.dist(0.25), lower=3)
    assert float(mean_of(rv).eval(mode=PY_MODE)) == pytest.approx(2 + 4.0, rel=1e-12)


def test_mean_has_the_shape_of_the_variable():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyMC has no default transform for hurdles
        with pm.Model(coords={"unit": range(5)}):
            for rv in (
                pm.Normal("a", 1.0, 2.0, dims="unit"),
                pm.TruncatedNormal("b", 1.0, 2.0, lower=0, dims="unit"),
                pm.HurdleGamma("c", 0.5, 2.0, 2.0, dims="unit"),
                pm.Censored("d", pm.Normal.dist(0, 1), -1, None, dims="unit"),
                pm.StudentT("e", nu=3, mu=1.0, sigma=1.0, dims="unit"),
                pm.ZeroInflatedPoisson("f", 0.5, 2.0, dims="unit"),
                pm.DiracDelta("g", 2, dims="unit"),
                pm.CustomDist(
                    "h", 1.0, dist=lambda m, size: 1 - pm.Normal.dist(m, 1, size=size), dims="unit"
                ),
            ):
                mean = mean_of(rv).eval(mode=PY_MODE)
                assert mean.shape == (5,), rv.name
                assert mean.dtype == "float64", rv.name


def test_time_series_and_custom_means():
    walk = pm.GaussianRandomWalk.dist(mu=0.5, sigma=2, init_dist=pm.Normal.dist(3, 1), steps=3)
    np.testing.assert_allclose(mean_of(walk).eval(mode=PY_MODE), [3, 3.5, 4, 4.5])
    affine = pm.CustomDist.dist(2.0, dist=lambda m, size: 3 - 2 * pm.Exponential.dist(m, size=size))
    assert float(mean_of(affine).eval(mode=PY_MODE)) == pytest.approx(2.0)
    curved = pm.CustomDist.dist(
        2.0, dist=lambda m, size: pm.math.exp(pm.Gamma.dist(m, 4, size=size))
    )
    assert mean_of(curved) is None


def test_mean_of_a_heavy_tail_is_nan_and_not_its_centre():
    mean = mean_of(pm.StudentT.dist(nu=np.array([0.5, 1.0, 2.0]), mu=1.0, sigma=1.0))
    np.testing.assert_array_equal(mean.eval(mode=PY_MODE), [np.nan, np.nan, 1.0])


@pytest.mark.parametrize("rv", [pm.Cauchy.dist(0, 1), pm.HalfCauchy.dist(1), pm.Flat.dist()])
def test_mean_that_does_not_exist_is_refused_with_what_to_ask(rv):
    with pytest.raises(UndefinedEffectError, match=r"mean of .* does not exist.*quantile"):
        mean_of(rv)


def test_mean_of_categories_is_refused():
    with pm.Model():
        grade = pm.OrderedLogistic("grade", eta=0.0, cutpoints=[-1.0, 1.0], compute_p=False)
    with pytest.raises(
        UndefinedEffectError, match=r"values of 'grade' are categories.*Probability"
    ):
        mean_of(grade)
