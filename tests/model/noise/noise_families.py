"""The families under test, each with an independent reference made from scipy."""

from __future__ import annotations

import warnings

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from scipy import special, stats

from bayescausal.model.noise import noise_rule
from bayescausal.model.structure.interpreted import PY_MODE

GRID = np.linspace(-2.0, 3.0, 11)
DENSITY = np.array([0.1, 0.3, 0.8, 1.2, 0.9, 0.4, 0.2, 0.5, 0.7, 0.3, 0.05])


def two_sided(forms):
    """Wrap (cdf, sf) functions as an object with those methods."""
    cdf, sf = forms
    return type("Reference", (), {"cdf": staticmethod(cdf), "sf": staticmethod(sf)})


def interpolated_cdf(x):
    steps = np.diff(GRID)
    areas = np.concatenate([[0], np.cumsum(steps * (DENSITY[1:] + DENSITY[:-1]) / 2)])
    i = np.clip(np.searchsorted(GRID, x) - 1, 0, len(steps) - 1)
    t = (x - GRID[i]) / steps[i]
    part = steps[i] * (DENSITY[i] * t + (DENSITY[i + 1] - DENSITY[i]) * t**2 / 2)
    return (areas[i] + part) / areas[-1]


def continuous():
    """Family -> (random variable, scipy distribution)."""
    half_t = two_sided(
        (
            lambda x: special.betainc(0.5, 1.5, (x / 2) ** 2 / (3 + (x / 2) ** 2)),
            lambda x: 2 * stats.t(3).sf(x / 2),
        )
    )
    return {
        "Normal": (pm.Normal.dist(1, 2), stats.norm(1, 2)),
        "LogNormal": (pm.LogNormal.dist(1, 0.5), stats.lognorm(0.5, scale=np.e)),
        "StudentT": (pm.StudentT.dist(nu=3, mu=1, sigma=2), stats.t(3, 1, 2)),
        "Gamma": (pm.Gamma.dist(2.5, 4), stats.gamma(2.5, scale=0.25)),
        "InverseGamma": (pm.InverseGamma.dist(3, 2), stats.invgamma(3, scale=2)),
        "ChiSquared": (pm.ChiSquared.dist(4), stats.chi2(4)),
        "Beta": (pm.Beta.dist(2, 3), stats.beta(2, 3)),
        "Exponential": (pm.Exponential.dist(4), stats.expon(scale=0.25)),
        "Weibull": (pm.Weibull.dist(1.5, 2), stats.weibull_min(1.5, scale=2)),
        "Uniform": (pm.Uniform.dist(-1, 3), stats.uniform(-1, 4)),
        "Laplace": (pm.Laplace.dist(1, 2), stats.laplace(1, 2)),
        "AsymmetricLaplace": (
            pm.AsymmetricLaplace.dist(kappa=2, mu=1, b=4),
            stats.laplace_asymmetric(2, 1, 0.25),
        ),
        "Logistic": (pm.Logistic.dist(1, 2), stats.logistic(1, 2)),
        "Gumbel": (pm.Gumbel.dist(1, 2), stats.gumbel_r(1, 2)),
        "Cauchy": (pm.Cauchy.dist(1, 2), stats.cauchy(1, 2)),
        "HalfNormal": (pm.HalfNormal.dist(2), stats.halfnorm(0, 2)),
        "HalfCauchy": (pm.HalfCauchy.dist(2), stats.halfcauchy(0, 2)),
        "HalfStudentT": (pm.HalfStudentT.dist(nu=3, sigma=2), half_t),
        "Pareto": (pm.Pareto.dist(3, 2), stats.pareto(3, scale=2)),
        "Kumaraswamy": (
            pm.Kumaraswamy.dist(2, 3),
            two_sided((lambda x: -np.expm1(3 * np.log1p(-(x**2))), lambda x: (1 - x**2) ** 3)),
        ),
        "Triangular": (pm.Triangular.dist(lower=0, upper=4, c=1), stats.triang(0.25, 0, 4)),
        "Moyal": (pm.Moyal.dist(1, 2), stats.moyal(1, 2)),
        "Wald": (pm.Wald.dist(mu=1, lam=2, alpha=0.5), stats.invgauss(0.5, loc=0.5, scale=2)),
        "ExGaussian": (pm.ExGaussian.dist(mu=1, sigma=2, nu=3), stats.exponnorm(1.5, 1, 2)),
        "SkewNormal": (pm.SkewNormal.dist(mu=1, sigma=2, alpha=3), stats.skewnorm(3, 1, 2)),
        "SkewStudentT": (
            pm.SkewStudentT.dist(a=2, b=3, mu=1, sigma=4),
            stats.jf_skew_t(2, 3, 1, 4),
        ),
        "Rice": (pm.Rice.dist(nu=2, sigma=4), stats.rice(0.5, scale=4)),
        "VonMises": (pm.VonMises.dist(0, 2), stats.vonmises(2)),
        "LogitNormal": (
            pm.LogitNormal.dist(0.5, 2),
            two_sided(
                (
                    lambda x: stats.norm(0.5, 2).cdf(special.logit(x)),
                    lambda x: stats.norm(0.5, 2).sf(special.logit(x)),
                )
            ),
        ),
        "Interpolated": (
            pm.Interpolated.dist(GRID, DENSITY),
            two_sided((interpolated_cdf, lambda x: 1 - interpolated_cdf(x))),
        ),
        "TruncatedNormal": (
            pm.TruncatedNormal.dist(mu=0, sigma=1, lower=-1, upper=2),
            stats.truncnorm(-1, 2),
        ),
        "TruncatedGamma": (
            pm.Truncated.dist(pm.Gamma.dist(2.5, 4), lower=0.25, upper=2.0),
            truncated(stats.gamma(2.5, scale=0.25), 0.25, 2.0),
        ),
        "NormalMixture": (
            pm.NormalMixture.dist([0.25, 0.75], [-1.0, 4.0], [1.0, 2.0]),
            mixture([0.25, 0.75], [stats.norm(-1, 1), stats.norm(4, 2)]),
        ),
        "Mixture": (
            pm.Mixture.dist([0.5, 0.5], [pm.Gamma.dist(2.5, 4), pm.LogNormal.dist(1, 0.5)]),
            mixture([0.5, 0.5], [stats.gamma(2.5, scale=0.25), stats.lognorm(0.5, scale=np.e)]),
        ),
    }


def truncated(base, lower, upper):
    whole = base.cdf(upper) - base.cdf(lower)
    return two_sided(
        (
            lambda x: (base.cdf(x) - base.cdf(lower)) / whole,
            lambda x: (base.sf(x) - base.sf(upper)) / whole,
        )
    )


def mixture(weights, parts):
    return two_sided(
        (
            lambda x: sum(w * part.cdf(x) for w, part in zip(weights, parts, strict=True)),
            lambda x: sum(w * part.sf(x) for w, part in zip(weights, parts, strict=True)),
        )
    )


def counts():
    """Family -> (random variable, scipy distribution)."""
    poisson = stats.poisson(2.5)
    q, beta = 0.75, 0.8
    return {
        "Poisson": (pm.Poisson.dist(2.5), poisson),
        "PoissonLarge": (pm.Poisson.dist(3000.0), stats.poisson(3000)),
        "Binomial": (pm.Binomial.dist(12, 0.25), stats.binom(12, 0.25)),
        "BinomialHigh": (pm.Binomial.dist(500, 0.9), stats.binom(500, 0.9)),
        "NegativeBinomial": (pm.NegativeBinomial.dist(n=2, p=0.25), stats.nbinom(2, 0.25)),
        "NegativeBinomialLarge": (
            pm.NegativeBinomial.dist(mu=4000.0, alpha=4.0),
            stats.nbinom(4, 4 / 4004),
        ),
        "Geometric": (pm.Geometric.dist(0.25), stats.geom(0.25)),
        "DiscreteUniform": (pm.DiscreteUniform.dist(-1, 5), stats.randint(-1, 6)),
        "BetaBinomial": (
            pm.BetaBinomial.dist(alpha=2, beta=3, n=15),
            stats.betabinom(15, 2, 3),
        ),
        "HyperGeometric": (pm.HyperGeometric.dist(N=40, k=17, n=15), stats.hypergeom(40, 17, 15)),
        "DiscreteWeibull": (
            pm.DiscreteWeibull.dist(q, beta),
            two_sided(
                (
                    lambda k: 1 - q ** (np.maximum(np.floor(k), -1) + 1) ** beta,
                    lambda k: q ** (np.maximum(np.floor(k), -1) + 1) ** beta,
                )
            ),
        ),
        "Bernoulli": (pm.Bernoulli.dist(0.25), stats.bernoulli(0.25)),
        "Categorical": (
            pm.Categorical.dist([0.125, 0.5, 0.25, 0.125]),
            stats.rv_discrete(values=([0, 1, 2, 3], [0.125, 0.5, 0.25, 0.125])),
        ),
        "ZeroInflatedPoisson": (
            pm.ZeroInflatedPoisson.dist(psi=0.75, mu=2.5),
            mixture([0.25, 0.75], [stats.randint(0, 1), poisson]),
        ),
        "HurdlePoisson": (
            pm.HurdlePoisson.dist(psi=0.75, mu=2.5),
            mixture(
                [0.25, 0.75],
                [
                    stats.randint(0, 1),
                    two_sided(
                        (
                            lambda k: np.where(
                                k < 1, 0, (poisson.cdf(k) - poisson.pmf(0)) / poisson.sf(0)
                            ),
                            lambda k: np.where(k < 1, 1, poisson.sf(k) / poisson.sf(0)),
                        )
                    ),
                ],
            ),
        ),
        "TruncatedPoisson": (
            pm.Truncated.dist(pm.Poisson.dist(2.5), lower=1, upper=6),
            two_sided(
                (
                    lambda k: np.clip(
                        (poisson.cdf(np.floor(k)) - poisson.cdf(0))
                        / (poisson.cdf(6) - poisson.cdf(0)),
                        0,
                        1,
                    ),
                    lambda k: np.clip(
                        (poisson.sf(np.floor(k)) - poisson.sf(6))
                        / (poisson.cdf(6) - poisson.cdf(0)),
                        0,
                        1,
                    ),
                )
            ),
        ),
        "CensoredPoisson": (
            pm.Censored.dist(pm.Poisson.dist(2.5), lower=1, upper=4),
            two_sided(
                (
                    lambda k: np.where(k < 1, 0, np.where(k >= 4, 1, poisson.cdf(k))),
                    lambda k: np.where(k < 1, 1, np.where(k >= 4, 0, poisson.sf(k))),
                )
            ),
        ),
        "PoissonMixture": (
            pm.Mixture.dist([0.5, 0.5], pm.Poisson.dist([1.0, 9.0])),
            mixture([0.5, 0.5], [stats.poisson(1), stats.poisson(9)]),
        ),
    }


def mixed():
    """Family -> (random variable, its atoms): continuous with atoms."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "CensoredNormal": (pm.Censored.dist(pm.Normal.dist(0, 1), -1.0, 2.0), (-1.0, 2.0)),
            "CensoredGamma": (pm.Censored.dist(pm.Gamma.dist(2.5, 4), None, 1.5), (1.5,)),
            "HurdleGamma": (pm.HurdleGamma.dist(psi=0.75, alpha=2.5, beta=4), (0.0,)),
            "HurdleLogNormal": (pm.HurdleLogNormal.dist(psi=0.75, mu=0, sigma=1), (0.0,)),
            "NormalAndPoint": (
                pm.Mixture.dist([0.75, 0.25], [pm.Normal.dist(0, 1), pm.DiracDelta.dist(0.5)]),
                (0.5,),
            ),
            "DiracDelta": (pm.DiracDelta.dist(2.5), (2.5,)),
        }


def functions(rv, coupling="monotone"):
    """Return the rule, and its forward and interval maps as functions of one vector."""
    rule = noise_rule(rv, coupling=coupling)
    u = pt.tensor("u", shape=(None,) * (1 + rv.ndim + len(rule.event_shape)))
    v = pt.tensor("v", shape=(None,) * (1 + rv.ndim), dtype=rv.dtype)
    forward = pytensor.function([u], rule.forward(u), mode=PY_MODE)
    if rule.base == "gumbel":
        return rule, quiet(forward), None
    interval = pytensor.function([v], list(rule.interval(v)), mode=PY_MODE)
    return rule, quiet(forward), quiet(interval)


def quiet(function):
    """Infinite noise is part of what is tested: NumPy need not warn of it."""

    def call(*args):
        with np.errstate(all="ignore"):
            return function(*args)

    return call
