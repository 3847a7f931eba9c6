"""The log-density of one number, as a compiled function gives it."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from bayescausal.inference.densities.one_number import log_density_of

RIGHT = {
    "half-Normal": (lambda: pm.HalfNormal.dist(2.0), stats.halfnorm(scale=2.0)),
    "exponential": (lambda: pm.Exponential.dist(3.0), stats.expon(scale=1 / 3)),
    "gamma": (lambda: pm.Gamma.dist(4.0, 2.0), stats.gamma(4, scale=0.5)),
    "half-Cauchy": (lambda: pm.HalfCauchy.dist(1.5), stats.halfcauchy(scale=1.5)),
    "inverse gamma": (lambda: pm.InverseGamma.dist(3.0, 2.0), stats.invgamma(3, scale=2.0)),
    "log-Normal": (lambda: pm.LogNormal.dist(0.2, 0.7), stats.lognorm(0.7, scale=np.exp(0.2))),
    "Normal": (lambda: pm.Normal.dist(0.3, 0.8), stats.norm(0.3, 0.8)),
    "uniform": (lambda: pm.Uniform.dist(0.0, 3.0), stats.uniform(0, 3)),
    "cut off": (
        lambda: pm.Truncated.dist(pm.Normal.dist(1.0, 1.0), 0.0, 4.0),
        stats.truncnorm(-1, 3, 1, 1),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_it_is_that_of_scipy_within_the_support_and_nothing_outside(name):
    """PyMC holds log(sqrt(2 pi)) and its like in single precision."""
    make, right = RIGHT[name]
    density = log_density_of(make())
    for value in (1e-6, 0.3, 1.7, 2.9, -1.0, 1e4):
        expected = right.logpdf(value)
        assert density(value) == expected or abs(density(value) - expected) < 1e-7 * max(
            1.0, abs(expected)
        )


def test_an_expression_with_other_operations_is_evaluated_as_a_whole():
    """A mixture sums over its parts, which is no scalar operation."""
    parts = [pm.Normal.dist(0.0, 1.0), pm.Normal.dist(3.0, 0.5)]
    density = log_density_of(pm.Mixture.dist([0.3, 0.7], parts))
    right = np.log(0.3 * stats.norm.pdf(1.0) + 0.7 * stats.norm.pdf(1.0, 3.0, 0.5))
    assert density(1.0) == pytest.approx(right, abs=1e-7)
