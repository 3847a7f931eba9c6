"""Restricted means, survival curves, totals: against quadrature, enumeration and numpy."""

from __future__ import annotations

import itertools

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import integrate, stats

import bayescausal as bc
from bayescausal.model.noise.restricted import restricted_mean_of
from bayescausal.types import EstimandError, UndefinedEffectError

LIMIT = 2.5

CONTINUOUS = {
    "Normal": (lambda: pm.Normal.dist(1.0, 2.0), stats.norm(1.0, 2.0)),
    "LogNormal": (lambda: pm.LogNormal.dist(0.3, 0.8), stats.lognorm(0.8, scale=np.exp(0.3))),
    "Exponential": (lambda: pm.Exponential.dist(0.4), stats.expon(scale=2.5)),
    "Weibull": (lambda: pm.Weibull.dist(0.6, 2.0), stats.weibull_min(0.6, scale=2.0)),
    "Gamma": (lambda: pm.Gamma.dist(1.7, 0.9), stats.gamma(1.7, scale=1 / 0.9)),
    "StudentT": (lambda: pm.StudentT.dist(3.0, mu=1.0, sigma=2.0), stats.t(3.0, 1.0, 2.0)),
    "HalfCauchy": (lambda: pm.HalfCauchy.dist(1.5), stats.halfcauchy(scale=1.5)),
    "InverseGamma": (lambda: pm.InverseGamma.dist(0.7, 1.0), stats.invgamma(0.7, scale=1.0)),
    "Beta, all below": (lambda: pm.Beta.dist(0.4, 2.0), stats.beta(0.4, 2.0)),
    "Pareto, all above": (lambda: pm.Pareto.dist(1.2, 3.0), stats.pareto(1.2, scale=3.0)),
    "log-logistic, written": (
        lambda: pm.CustomDist.dist(
            0.5, 0.7, dist=lambda m, s, size: pt.exp(m + s * pm.Logistic.dist(0, 1, size=size))
        ),
        stats.fisk(1 / 0.7, scale=np.exp(0.5)),
    ),
    "log-normal, written": (
        lambda: pm.CustomDist.dist(
            0.3, 0.8, dist=lambda m, s, size: pt.exp(m + s * pm.Normal.dist(0, 1, size=size))
        ),
        stats.lognorm(0.8, scale=np.exp(0.3)),
    ),
    "tiny scale": (lambda: pm.Wald.dist(mu=1e-3, lam=1.0), stats.invgauss(1e-3, scale=1.0)),
}


def area(law, limit: float) -> float:
    """E[min(Y, c)] = c - the integral of F below c, in pieces between quantiles."""
    levels = [1e-14, 1e-8, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999, 1 - 1e-8]
    cuts = [float(q) for q in law.ppf(levels) if q < limit]
    low, _ = law.support()
    cuts = [low if np.isfinite(low) else -np.inf, *cuts, limit]
    pieces = [
        integrate.quad(law.cdf, a, b, epsabs=1e-13, epsrel=1e-12, limit=500)[0]
        for a, b in itertools.pairwise(cuts)
        if b > a
    ]
    return limit - sum(pieces)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_restricted_mean_is_the_area_above_the_distribution_function(name):
    make, law = CONTINUOUS[name]
    found = restricted_mean_of(make(), LIMIT).eval(mode="FAST_COMPILE")
    assert float(found) == pytest.approx(area(law, LIMIT), rel=1e-8, abs=1e-9)


def test_integers_mixtures_and_bounds_are_summed():
    k = np.arange(200)
    laws = {
        "Poisson": (pm.Poisson.dist(3.0), stats.poisson(3.0).pmf(k)),
        "zero-inflated": (
            pm.ZeroInflatedPoisson.dist(0.6, 3.0),
            0.6 * stats.poisson(3.0).pmf(k) + 0.4 * (k == 0),
        ),
        "Geometric": (pm.Geometric.dist(0.3), stats.geom(0.3).pmf(k)),
    }
    for name, (rv, pmf) in laws.items():
        for limit in (2.5, 3.0, 0.5, -1.0):
            found = float(restricted_mean_of(rv, limit).eval(mode="FAST_COMPILE"))
            assert found == pytest.approx(float(pmf @ np.minimum(k, limit)), abs=1e-12), name
    two = pm.Mixture.dist([0.3, 0.7], [pm.Normal.dist(0, 1), pm.Normal.dist(5, 2)])
    parts = 0.3 * area(stats.norm(0, 1), LIMIT) + 0.7 * area(stats.norm(5, 2), LIMIT)
    assert float(restricted_mean_of(two, LIMIT).eval()) == pytest.approx(parts, abs=1e-9)
    cut = pm.Censored.dist(pm.Normal.dist(1, 2), 0.0, 2.0)
    whole = area(stats.norm(1, 2), 2.0) - area(stats.norm(1, 2), 0.0)  # max(T, 0), up to 2
    assert float(restricted_mean_of(cut, LIMIT).eval()) == pytest.approx(whole, abs=1e-9)
    short = pm.Truncated.dist(pm.Normal.dist(1, 2), 0.0, None)
    law = stats.truncnorm(-0.5, np.inf, 1, 2)
    assert float(restricted_mean_of(short, LIMIT).eval()) == pytest.approx(area(law, LIMIT))


def test_what_does_not_exist_is_refused():
    for rv in (
        pm.Cauchy.dist(0, 1),
        pm.Mixture.dist([0.5, 0.5], [pm.Cauchy.dist(0, 1), pm.Normal.dist()]),
    ):
        with pytest.raises(UndefinedEffectError, match="lower tail has none"):
            restricted_mean_of(rv, LIMIT)
    for rv in (
        pm.StudentT.dist(1.0, mu=0.0, sigma=1.0),
        pm.Truncated.dist(pm.Cauchy.dist(0, 1), None, 5.0),
        pm.CustomDist.dist(
            1.0, dist=lambda m, size: 2 * m + pm.StudentT.dist(1.0, mu=0, sigma=1, size=size)
        ),
    ):
        assert np.isnan(restricted_mean_of(rv, LIMIT).eval(mode="FAST_COMPILE"))
    with pytest.raises(UndefinedEffectError, match="categories"):
        restricted_mean_of(pm.Categorical.dist([0.2, 0.8]), LIMIT)


# ------------------------------------------------------------------ questions


N = 6
Z = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
RX = np.array([0, 1, 0, 1, 0, 1])


def study() -> pm.Model:
    """Times to an event, censored at 3; the treated live longer."""
    with pm.Model(coords={"patient": range(N)}) as model:
        z = pm.Data("z", Z, dims="patient")
        rx = pm.Bernoulli("rx", 0.5, dims="patient")
        b, shape = pm.Normal("b"), pm.HalfNormal("shape")
        time = pm.Weibull.dist(shape, pt.exp(0.5 + b * rx - z))
        pm.Censored("days", time, None, 3.0, dims="patient")
    return model


def known() -> bc.Fit:
    days = np.array([0.5, 3.0, 1.0, 2.0, 0.1, 3.0])
    return bc.truth(study(), {"b": 0.7, "shape": 1.4}, {"rx": RX, "days": days, "z": Z})


def test_a_censored_time_is_answered_for_the_time_itself():
    """5 lies beyond the censoring: the record's restricted mean would stop at 3."""
    laws = {x: [stats.weibull_min(1.4, scale=np.exp(0.5 + 0.7 * x - z)) for z in Z] for x in (0, 1)}
    wanted = {x: np.mean([area(law, 5.0) for law in laws[x]]) for x in (0, 1)}
    ate, one = bc.estimate(
        known(),
        [
            bc.ATE("rx", "days", functional=bc.RestrictedMean(upto=5)),
            bc.Expected("days", {"rx": 1}, functional=bc.RestrictedMean(upto=5)),
        ],
    )
    assert float(ate) == pytest.approx(wanted[1] - wanted[0], abs=1e-9)
    assert float(one) == pytest.approx(wanted[1], abs=1e-9)
    assert ate.mc_error == 0
    assert ate.sentence().startswith(
        "With the parameters given, raising rx from 0 to 1 raises the mean of days up to 5 by "
    )
    assert "the variable that was measured" in ate.sentence()


def test_a_survival_curve_has_a_dim_time():
    times = [0.5, 1.0, 4.0]
    curve, gap = bc.estimate(
        known(),
        [
            bc.Expected("days", {"rx": 1}, functional=bc.Survival(times)),
            bc.ATE("rx", "days", functional=bc.Survival(times), by="z"),
        ],
    )
    above = {
        x: np.array([stats.weibull_min(1.4, scale=np.exp(0.5 + 0.7 * x - z)).sf(times) for z in Z])
        for x in (0, 1)
    }
    assert curve.dims == ("time",)
    np.testing.assert_allclose(curve.mean(), above[1].mean(axis=0), atol=1e-12)
    np.testing.assert_array_equal(curve.draws["time"], times)
    assert gap.draws.dims == ("chain", "draw", "z", "time")
    np.testing.assert_allclose(gap.mean(), above[1] - above[0], atol=1e-12)
    assert curve.estimand.describe() == "P(days > t | do(rx=1)), t in {0.5, 1, 4}"
    assert "P(Y > t), t in {0.5, 1, 4}" in curve.estimand.heading()
    assert "time=0.5: " in curve.sentence()
    assert len(curve.summary()) == 3
    with pm.Model(coords={"time": range(3)}) as long:
        x = pm.Bernoulli("x", 0.5, dims="time")
        pm.Normal("y", x, 1, dims="time")
    fit = bc.truth(long, {})
    with pytest.raises(EstimandError, match="has a dim 'time'"):
        bc.estimate(fit, bc.ATE("x", "y", functional=bc.Survival([1])))


def test_curves_and_cuts_go_through_mediators_and_evidence():
    """A discrete mediator is summed out; units that keep their noise count their own event."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Bernoulli("m", 0.2 + 0.6 * x, dims="unit")
        pm.Exponential("y", scale=1.0 + m + x, dims="unit")
    data = {"x": [0, 1, 1], "m": [0, 0, 1], "y": [1.0, 2.0, 5.0]}
    fit = bc.truth(model, {}, data)
    found, cut, own = bc.estimate(
        fit,
        [
            bc.ATE("x", "y", functional=bc.Survival([1, 2])),
            bc.ATE("x", "y", functional=bc.RestrictedMean(2)),
            bc.ATE(
                "x",
                "y",
                functional=bc.RestrictedMean(3),
                population="finite",
                coupling={"m": "monotone"},
            ),
        ],
    )
    t = np.array([1.0, 2.0])
    s = {x: 0.8 * np.exp(-t / (1 + x)) + 0.2 * np.exp(-t / (2 + x)) for x in (0,)}
    s[1] = 0.2 * np.exp(-t / 2) + 0.8 * np.exp(-t / 3)
    np.testing.assert_allclose(found.mean(), s[1] - s[0], atol=1e-12)
    e = lambda scale: scale * (1 - np.exp(-2 / scale))  # noqa: E731
    wanted = 0.2 * e(2) + 0.8 * e(3) - 0.8 * e(1) - 0.2 * e(2)
    assert float(cut) == pytest.approx(wanted, abs=1e-12)
    assert np.isfinite(float(own))
    assert own.bounds is None


# ------------------------------------------------------------------ totals


def series() -> tuple[bc.Fit, np.ndarray]:
    n = 8
    month = np.arange(n)
    with pm.Model(coords={"row": range(n)}) as model:
        when = pm.Data("month", month.astype(float), dims="row")
        law = pm.Data("law", (month >= 4).astype(int), dims="row")
        b = pm.Normal("b")
        pm.Poisson("deaths", pt.exp(1 + b * law * when), dims="row")
    data = {"month": month.astype(float), "law": (month >= 4) * 1, "deaths": month}
    fit = bc.truth(model, {"b": -0.1}, data)
    return fit, np.exp(1 - 0.1 * month) - np.exp(1)


def test_a_total_is_the_sum_over_the_units_of_a_range():
    fit, effect = series()
    each = {"given": {"month": (4, 6)}}
    total, mean, everyone, by = bc.estimate(
        fit,
        [
            bc.ATE("law", "deaths", functional="total", **each),
            bc.ATE("law", "deaths", **each),
            bc.ATE("law", "deaths", functional=bc.Total()),
            bc.ATT("law", "deaths", functional="total"),
        ],
    )
    assert float(total) == pytest.approx(effect[4:7].sum(), abs=1e-12)
    assert float(total) == pytest.approx(3 * float(mean), abs=1e-12)
    assert float(everyone) == pytest.approx(effect.sum(), abs=1e-12)
    assert float(by) == pytest.approx(effect[4:].sum(), abs=1e-12)
    assert total.estimand.describe().startswith("sum E[deaths | do(law=1)")
    assert "lowers the total of deaths by" in total.sentence()


def test_a_simulated_total_is_counted_once():
    """The mean of exp(Normal mediator) squared is simulated; each replicate is one population."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Normal("m", x, 1, dims="unit")
        pm.Normal("y", pt.tanh(m), 1, dims="unit")
    fit = bc.truth(model, {}, {"x": [0, 1, 1], "m": [0.1, 0.2, 0.3], "y": [0.0, 1.0, 2.0]})
    total, mean = bc.estimate(fit, [bc.ATE("x", "y", functional="total"), bc.ATE("x", "y")], seed=3)
    low, high = (
        integrate.quad(lambda v, x=x: np.tanh(v) * stats.norm(x).pdf(v), -12, 12)[0] for x in (0, 1)
    )
    assert float(mean) == pytest.approx(high - low, abs=5 * float(mean.mc_error))
    assert float(total) == pytest.approx(3 * (high - low), abs=5 * float(total.mc_error))
    assert float(total.mc_error) < 0.02


def test_totals_are_refused_where_units_are_not_counted():
    fit, _ = series()
    with pytest.raises(EstimandError, match="not counted"):
        bc.estimate(fit, bc.ATE("law", "deaths", functional="total", population="superpopulation"))
    with pytest.raises(EstimandError, match="differ by their sizes"):
        bc.estimate(fit, bc.Association("law", "deaths", functional="total"))
    with pytest.raises(EstimandError, match="effect of each unit"):
        bc.estimate(fit, bc.ITE("law", "deaths", functional=bc.RestrictedMean(2)))


def test_functionals_are_checked_and_read_from_text():
    from bayescausal.effects.words.from_text import question_from_text

    for bad in ([], [1, 1], [2, 1], [np.nan], ["a"], [[1, 2]]):
        with pytest.raises(EstimandError, match="times="):
            bc.Survival(bad)
    for bad in (np.inf, "a", [1, 2], None):
        with pytest.raises(EstimandError, match="upto="):
            bc.RestrictedMean(bad)
    asked = question_from_text("ATE(rx, days, functional=RestrictedMean(upto=5))")
    assert asked == bc.ATE("rx", "days", functional=bc.RestrictedMean(5))
    curve = question_from_text("Expected(days, {rx: 1}, functional=Survival([1, 2]))")
    assert curve == bc.Expected("days", {"rx": 1}, functional=bc.Survival([1, 2]))
    assert r"\min(" in asked.latex()
