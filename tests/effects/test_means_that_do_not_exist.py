"""Kind: a mean that does not exist, answered or refused without saying what to ask instead.

The mean of 1 / e, e Normal, and of exp(e), e Exponential with a rate below 1, are infinite or do
not exist: an average of draws is a number all the same. Student's t with one degree of freedom,
Pareto and InverseGamma with a shape of one have none either, which was refused as "NaN".
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.effects.averaging.heavy_tails import HEAVY, _tail
from bayescausal.types import UndefinedEffectError

UNIT = {"dims": "unit"}


def world(outcome):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        outcome(x)
    return bc.truth(model, {})


@pytest.mark.parametrize(
    "outcome",
    [
        lambda x: pm.Cauchy("y", x, 1, **UNIT),
        lambda x: pm.StudentT("y", nu=1, mu=x, sigma=1, **UNIT),
        lambda x: pm.Pareto("y", alpha=1.0, m=1 + x, **UNIT),
        lambda x: pm.InverseGamma("y", alpha=0.8, beta=1.0 + x, **UNIT),
    ],
)
def test_a_mean_without_a_value_is_refused_with_what_to_ask(outcome):
    fit = world(outcome)
    with pytest.raises(UndefinedEffectError, match=r"mean of 'y'.*does not exist.*bc\.QTE"):
        bc.estimate(fit, bc.ATE("x", "y"))
    assert np.isfinite(float(bc.estimate(fit, bc.QTE("x", "y", q=0.5))))


@pytest.mark.parametrize(
    ("outcome", "heavy"),
    [
        (lambda x: 1 / pm.Normal("e", x, 1, **UNIT), True),
        (lambda x: pm.math.exp(pm.Exponential("e", 0.9, **UNIT) + x), True),
        (lambda x: pm.math.exp(pm.Normal("e", x, 1, **UNIT)), False),
        (lambda x: pm.Normal("e", x, 1, **UNIT) ** 3, False),
    ],
)
def test_a_mean_that_draws_do_not_tell_says_so(outcome, heavy):
    fit = world(lambda x: pm.Deterministic("y", outcome(x), **UNIT))
    effect = bc.estimate(fit, bc.ATE("x", "y"), seed=1)
    assert any("may not exist" in note for note in effect.notes) == heavy


def test_the_tail_of_batches():
    """Sums of x^-0.9 have its tail, k = 1 / 0.9; those of a variance are near Normal."""
    rng = np.random.default_rng(0)
    sums = lambda draw: np.array([_tail(draw((50, 8, 64)).mean(axis=0)) for _ in range(20)])  # noqa: E731
    assert np.all(sums(lambda size: rng.pareto(0.9, size)) > HEAVY)
    for draw in (rng.normal, rng.exponential, lambda size: rng.standard_t(3, size)):
        assert np.all(sums(lambda size, draw=draw: draw(size=size)) < HEAVY)
