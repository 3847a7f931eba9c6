"""Where a confounder enters each family: a shift equals the family with its parameter shifted."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

from bayescausal.model.noise.location import LINKS, link_of, location_of, shifted
from bayescausal.model.noise.rules import logit
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.types import ModelError

A = 0.3
E = np.exp(A)


def odds(p):
    return p * E / (1 - p + p * E)


CASES = {
    "Normal": (lambda a: pm.Normal.dist(1 + a, 2), 0.7),
    "StudentT": (lambda a: pm.StudentT.dist(4, mu=1 + a, sigma=2), 0.7),
    "Laplace": (lambda a: pm.Laplace.dist(1 + a, 2), 0.7),
    "Logistic": (lambda a: pm.Logistic.dist(1 + a, 2), 0.7),
    "Cauchy": (lambda a: pm.Cauchy.dist(1 + a, 2), 0.7),
    "Gumbel": (lambda a: pm.Gumbel.dist(1 + a, 2), 0.7),
    "SkewNormal": (lambda a: pm.SkewNormal.dist(mu=1 + a, sigma=2, alpha=3), 0.7),
    "AsymmetricLaplace": (lambda a: pm.AsymmetricLaplace.dist(b=2, kappa=0.5, mu=1 + a), 0.7),
    "Moyal": (lambda a: pm.Moyal.dist(1 + a, 2), 0.7),
    "TruncatedNormal": (lambda a: pm.TruncatedNormal.dist(1 + a, 2, lower=0), 0.7),
    "LogNormal": (lambda a: pm.LogNormal.dist(1 + a, 2), 0.7),
    "LogitNormal": (lambda a: pm.LogitNormal.dist(1 + a, 2), 0.7),
    "ExGaussian": (lambda a: pm.ExGaussian.dist(mu=1 + a, sigma=2, nu=1), 0.7),
    "Bernoulli": (lambda a: pm.Bernoulli.dist(odds(0.4) if a else 0.4), 1),
    "Binomial": (lambda a: pm.Binomial.dist(5, odds(0.4) if a else 0.4), 3),
    "Beta": (lambda a: pm.Beta.dist(*(5 * m for m in mean_of_beta(a))), 0.7),
    "Poisson": (lambda a: pm.Poisson.dist(3 * np.exp(a)), 2),
    "NegativeBinomial": (lambda a: pm.NegativeBinomial.dist(mu=3 * np.exp(a), alpha=2), 2),
    "Exponential": (lambda a: pm.Exponential.dist(scale=2 * np.exp(a)), 0.7),
    "Gamma": (lambda a: pm.Gamma.dist(alpha=4, beta=2 * np.exp(-a)), 0.7),
    "Weibull": (lambda a: pm.Weibull.dist(2, 3 * np.exp(a)), 0.7),
    "InverseGamma": (lambda a: pm.InverseGamma.dist(2, 3 * np.exp(a)), 0.7),
    "Censored": (lambda a: pm.Censored.dist(pm.Normal.dist(1 + a, 2), 0, None), 0.0),
}


def mean_of_beta(a):
    mean = odds(0.4) if a else 0.4
    return mean, 1 - mean


@pytest.mark.parametrize("family", CASES)
def test_a_shift_is_the_family_with_its_location_shifted(family):
    build, at = CASES[family]
    old, new = build(0), build(A)
    by = pt.constant(A)
    got, want, before, after = evaluate(
        [
            pm.logp(shifted(old, by), at),
            pm.logp(new, at),
            location_of(old),
            location_of(shifted(old, by)),
        ]
    )
    assert got == pytest.approx(want, rel=1e-9)
    assert after - before == pytest.approx(A, rel=1e-9)


def test_a_location_that_is_another_parameter_too_is_shifted_alone():
    """Of v ~ Normal(m, m) the shift moves the mean and leaves the sd: Normal(m + a, m)."""
    both = pt.constant(2.0)
    moved = pm.logp(shifted(pm.Normal.dist(both, both), pt.constant(A)), 0.7)
    assert evaluate([moved])[0] == pytest.approx(stats.norm.logpdf(0.7, 2 + A, 2))


def test_a_shifted_sigmoid_stays_one():
    """So that the equation is still found to be logistic, and tails survive."""
    eta, by = pt.vector("eta"), pt.constant(A)
    [p] = shifted(pm.Bernoulli.dist(logit_p=eta), by).owner.inputs[2:]
    assert np.array_equal(logit(p).eval({eta: [1.0]}, mode="FAST_COMPILE"), [1.0 + A])


def test_every_family_that_is_known_is_tested():
    assert set(LINKS) <= set(CASES)


@pytest.mark.parametrize(
    ("rv", "family"),
    [
        (pm.Categorical.dist([0.2, 0.8]), "Categorical"),
        (pm.HalfNormal.dist(1), "HalfNormal"),
        (pm.ZeroInflatedPoisson.dist(psi=0.4, mu=2.0), "Mixture"),
        (pm.MvNormal.dist(np.zeros(2), np.eye(2)), "MultivariateNormal"),
    ],
)
def test_a_family_without_a_location_is_refused_by_name(rv, family):
    with pytest.raises(ModelError, match="has no location that a common cause could move") as e:
        link_of(rv)
    assert family in str(e.value)
    assert "NegativeBinomial" in e.value.expected
