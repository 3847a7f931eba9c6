"""A quantile exactly at the edge of an atom is answered, or said not to settle, without much work.

The kind of fault: simulation is asked for what more draws cannot decide, up to the cap of the work.
Siblings that were looked at: Bernoulli, Poisson, negative binomial and Binomial outcomes,
`Expected`, differences of which one world is flat, a gap in a continuous outcome (said, not
answered), quantiles that are not flat (as before).
"""

from __future__ import annotations

import time

import numpy as np
import pymc as pm
import pytest
from scipy import optimize, stats

import bayescausal as bc
from bayescausal.effects.estimands.functionals import Quantile


def known(outcome, units=50):
    with pm.Model(coords={"unit": range(units)}) as model:
        x = pm.Data("x", np.zeros(units), dims="unit")
        outcome(x, pm.Normal("b"))
    return bc.truth(model, {"b": 1.0}, {"x": np.zeros(units), "y": np.zeros(units)}, seed=1)


#: The rate at which P(Poisson <= 2) = 1/2, to the last digit.
RATE = optimize.brentq(lambda r: stats.poisson.cdf(2, r) - 0.5, 1, 5, xtol=1e-15)

#: The mean at which P(NegativeBinomial <= 1) = 1/2; log(1.5) is in single precision.
MEAN = optimize.brentq(lambda m: stats.nbinom.cdf(1, 1.5, 1.5 / (1.5 + m)) - 0.5, 1, 5, xtol=1e-15)


@pytest.mark.parametrize(
    ("outcome", "at"),
    [
        (lambda x, b: pm.Bernoulli("y", 0.5 + 0.0 * x, dims="unit"), 0),
        (lambda x, b: pm.Poisson("y", RATE + 0.0 * x, dims="unit"), 2),
        (lambda x, b: pm.NegativeBinomial("y", mu=MEAN + 0.0 * x, alpha=1.5, dims="unit"), 1),
        (lambda x, b: pm.Binomial("y", 3, 0.5 + 0.0 * x, dims="unit"), 1),
        (lambda x, b: pm.BetaBinomial("y", n=9, alpha=2 + 0 * x, beta=2, dims="unit"), 4),
    ],
)
def test_the_median_on_an_edge_is_the_lower_value(outcome, at):
    """Definition: the smallest y with P(Y <= y) >= 1/2."""
    fit = known(outcome)
    start = time.perf_counter()
    found = bc.estimate(fit, bc.Expected("y", {"x": 0.0}, functional=Quantile(0.5)))
    assert float(found) == at
    assert found.mc_error == 0.0
    assert not any("Monte Carlo" in n or "flat" in n or "as far as" in n for n in found.notes)
    assert time.perf_counter() - start < 60


def test_a_difference_of_which_one_world_is_flat():
    """P(y=1 | x) = .5 at x=0, .9 at x=1: medians 0 and 1."""
    fit = known(lambda x, b: pm.Bernoulli("y", 0.5 + 0.4 * x, dims="unit"))
    found = bc.estimate(fit, bc.QTE("x", "y", q=0.5, treated=1.0, control=0.0))
    assert float(found) == 1.0
    assert found.mc_error == 0.0


def test_a_gap_of_a_continuous_outcome_is_said_at_once():
    """Half of the units at -5, half at 5: no value between them has a density."""

    def outcome(x, b):
        pm.NormalMixture("y", [0.5, 0.5], [-5.0, 5.0] + 0.0 * x[:, None], 0.1, dims="unit")

    fit = known(outcome)
    start = time.perf_counter()
    found = bc.estimate(fit, bc.Expected("y", {"x": 0.0}, functional="median"))
    assert any("is flat at 0.5" in n and "more draws do not settle" in n for n in found.notes)
    assert time.perf_counter() - start < 60


def test_quantiles_that_settle_are_as_before():
    fit = known(lambda x, b: pm.Normal("y", b * x, 1, dims="unit"))
    found = bc.estimate(fit, bc.QTE("x", "y", q=0.9, treated=1.0, control=0.0))
    assert float(found) == pytest.approx(1.0, abs=5 * found.mc_error + 1e-6)
    upper = bc.estimate(fit, bc.Expected("y", {"x": 0.0}, functional=Quantile(0.9)))
    assert float(upper) == pytest.approx(stats.norm.ppf(0.9), abs=5 * upper.mc_error)
    assert not any("flat" in n for n in (*found.notes, *upper.notes))
    steady = known(lambda x, b: pm.Bernoulli("y", 0.9 + 0.0 * x, dims="unit"))
    assert float(bc.estimate(steady, bc.Expected("y", {"x": 0.0}, functional=Quantile(0.5)))) == 1


def test_beside_an_edge_that_draws_settle_only_at_length():
    """P(y=0) is 1 - (.3 + .3 * .7) = .49 where m is as under t=1, and .61 where as under t=0."""
    with pm.Model(coords={"unit": range(50)}) as model:
        t = pm.Bernoulli("t", 0.5, dims="unit")
        m = pm.Bernoulli("m", 0.3 + 0.4 * t, dims="unit")
        pm.Bernoulli("y", 0.3 + 0.3 * m + 0.1 * t, dims="unit")
    fit = bc.truth(model, {}, {n: np.arange(50) % 2 for n in "tmy"}, seed=1)
    start = time.perf_counter()
    found = bc.estimate(fit, bc.NIE("t", "y", functional=Quantile(0.4902), coupling="monotone"))
    assert float(found) == 1.0
    assert found.mc_error == 0.0
    assert time.perf_counter() - start < 60
