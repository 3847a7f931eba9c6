"""Draws of a few unknowns from densities whose distribution functions are known.

Every third draw is compared with the distribution function by Kolmogorov's statistic. Neighbours of
the chain repeat one another with a probability of .2 at most, so of draws three apart less than 1%
do, and the statistic has its own law but for that. A right sampler fails a test at p < 1e-4 once in
10,000 seeds; there are some ten comparisons, with fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from scipy import stats

import bayescausal as bc
from bayescausal.inference.densities.few_unknowns import draw_density
from bayescausal.inference.densities.ridges import draw_ridge


def normal(u):
    return -(u**2).sum(axis=1) / 2


def half_normal_on_the_log_scale(u):
    return (u - np.exp(2 * u) / 2).sum(axis=1)


def half_cauchy_on_the_log_scale(u):
    return (u - np.log1p(np.exp(2 * u))).sum(axis=1)


def two_narrow_modes_far_apart(u):
    near, far = (-((u[:, 0] - c) ** 2) * 12.5 for c in (-6, 6))
    return np.logaddexp(near, far) - u[:, 1] ** 2 / 2


def curved(u):
    return -(u[:, 0] ** 2) / 2 - (u[:, 1] - u[:, 0] ** 2) ** 2 / 2


CASES = [
    (normal, 4, stats.norm.cdf),
    (normal, 9, stats.norm.cdf),
    (half_normal_on_the_log_scale, 2, lambda u: stats.halfnorm.cdf(np.exp(u))),
    (half_cauchy_on_the_log_scale, 1, lambda u: stats.halfcauchy.cdf(np.exp(u))),
    (
        two_narrow_modes_far_apart,
        2,
        lambda u: (stats.norm.cdf(5 * (u + 6)) + stats.norm.cdf(5 * (u - 6))) / 2,
    ),
    (curved, 2, stats.norm.cdf),
]


@pytest.mark.parametrize(("density", "dimension", "cdf"), CASES)
def test_draws_have_the_distribution(density, dimension, cdf):
    rng = np.random.default_rng(7)
    starts = 2 * rng.normal(size=(120, dimension))
    draws = draw_density(density, starts, 4_000, rng)
    assert draws.shape == (4_000, dimension)
    assert stats.kstest(draws[::3, 0], cdf).pvalue > 1e-4
    chains = draws[:, 0].reshape(4, -1)
    assert float(array_stats.ess(chains, chain_axis=0, draw_axis=1)) > 2_000


def test_a_mixture_of_wrong_tails_is_refused():
    """A density that hardly has an integral: no Student-t with six degrees of freedom covers it."""

    def slow(u):
        return -1.02 * np.log1p((u**2).sum(axis=1) / 1e-3)

    with pytest.raises(ArithmeticError, match=r"heavy tail|are accepted|no density|not mix"):
        draw_density(slow, np.ones((4, 2)), 1_000, np.random.default_rng(1))


def test_a_density_that_is_nowhere_is_refused():
    with pytest.raises(ArithmeticError, match="no density at any start"):
        draw_density(
            lambda u: np.full(len(u), np.nan), np.ones((4, 2)), 100, np.random.default_rng(1)
        )


def test_unknowns_of_any_width_are_drawn():
    """Widths of 1e-6, 1 and 1e5 about places that far from zero: no step of one size fits all."""
    widths, size = np.array([1e-6, 1.0, 1e5]), 4_000
    middle = 30 * widths
    for draw in (draw_density, draw_ridge):
        rng = np.random.default_rng(2)
        starts = middle + widths * rng.normal(size=(20, 3))
        drawn = draw(lambda u: -(((u - middle) / widths) ** 2).sum(axis=1) / 2, starts, size, rng)
        z = (drawn - middle) / widths
        # neighbours are nearly independent: as if of half as many draws, five standard errors
        assert np.all(np.abs(z.mean(axis=0)) < 5 / np.sqrt(size / 2))
        assert np.all(np.abs(z.var(axis=0) - 1) < 5 * np.sqrt(2 / (size / 2)))


def test_a_column_in_other_units_and_far_from_zero_is_drawn_the_same_way():
    """x in ten-thousandths from another zero: the same model in other names of its numbers."""
    rng = np.random.default_rng(4)
    x, t = rng.normal(size=150), rng.integers(0, 2, 150)
    y = x + t + 0.5 * t * x + 0.5 * rng.standard_t(4, 150)
    found = []
    for unit, zero in ((1.0, 0.0), (1e4, 1e7), (1e-4, 0.1)):
        data = pd.DataFrame({"x": zero + unit * x, "t": t, "y": y})
        model = bc.model_from_formulas(["y ~ t * x"], families={"y": "student-t"}, data=data)
        fit = bc.fit(model, data, seed=1, draws=500, progressbar=False)
        assert set(fit.methods.values()) == {"mixture (independence Metropolis)"}
        ask = bc.ATE("x", "y", treated=zero + unit, control=zero)
        found.append(bc.estimate(fit, ask))
    # two means of 2,000 nearly independent draws: as if of half as many, five standard errors
    error = 5 * found[0].sd() * np.sqrt(2 / 1_000)
    for other in found[1:]:
        assert abs(other.mean() - found[0].mean()) < error
        assert abs(other.sd() / found[0].sd() - 1) < 5 * np.sqrt(2 / 2_000)
