"""Effects that are combined keep their verdict and say over whom they are; ratios and signs.

The kind of fault: what belongs to an answer is lost on the way through arithmetic. Siblings that
were looked at: sums, products, ratios, negation, a number times an effect, effects without a
verdict (estimators without a model: none), effects on different subgroups or with different
verdicts.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.effects.estimands.functionals import Probability
from bayescausal.graph import identify
from bayescausal.types import DataError

UNITS = 300


@pytest.fixture(scope="module")
def fit():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.5, dims="unit")
        b, c, a = pm.Normal("b"), pm.Normal("c"), pm.Normal("a")
        x = pm.Bernoulli("x", 0.3 + 0.4 * z, dims="unit")
        pm.Normal("y", a + b * x + c * x * z, 1, dims="unit")
    rng = np.random.default_rng(1)
    z = rng.integers(0, 2, UNITS)
    x = rng.binomial(1, 0.3 + 0.4 * z)
    draws = {n: rng.normal(1, 0.1, (1, 200)) for n in "abc"}
    return bc.Fit(model, draws, {"z": z, "x": x, "y": x + x * z + rng.normal(size=UNITS)})


def test_a_difference_of_two_subgroups_keeps_verdict_and_people(fit):
    one, none = (bc.estimate(fit, bc.CATE("x", "y", given={"z": v})) for v in (1, 0))
    gap = one - none
    np.testing.assert_allclose(gap.draws.values, fit.posterior["c"].values)
    assert gap.verdict == one.verdict
    assert bool(gap.identification)
    assert "among the 300 units; those with z=0 among the 300 units" in gap.sentence()
    assert gap.sentence().endswith(one.sentence().split(". ")[-1])
    assert "identified" in repr(gap)
    for other in (one + none, one / none, 2 * one, -one, one - 1.0, one - bc.estimate(fit, ATE)):
        assert other.verdict
        assert "those with z=1 among" in other.population
    whole = bc.estimate(fit, ATE)
    assert (whole - whole).population == "the 300 units at hand"


ATE = bc.ATE("x", "y")


def test_a_difference_of_equal_effects_is_zero_and_no_rounding_error():
    """0.1 + 0.2 - 0.3 is 5.6e-17 in binary: it has no sign, no chance of being above 0."""
    one, two = bc.Effect([0.1 + 0.2, 0.5]), bc.Effect([0.3, 0.4])
    gap = one - two
    assert gap.draws.values.ravel()[0] == 0.0
    assert gap.draws.values.ravel()[1] == 0.5 - 0.4
    assert (one - one).probability(above=0.0) == 0.0
    assert (one + bc.Effect([-0.3, 0.0])).draws.values.ravel().tolist() == [0.0, 0.5]
    assert float((bc.Effect([1.0, 1.0]) - (1.0 - 1e-9)).mean()) == pytest.approx(1e-9)
    for beyond in (lambda: one - np.inf, lambda: bc.Effect([1e308]) + bc.Effect([1e308])):
        with pytest.raises(DataError, match="NaN or infinite"):  # and not 0
            beyond()


def test_the_weakest_verdict_holds_and_each_is_said():
    sure, unsure = identify("z -> x -> y; z -> y", "x", "y"), identify("x -> y; x <-> y", "x", "y")
    other = identify("w -> x -> y; w -> y", "x", "y")
    a, b, c = (
        bc.Effect([1.0, 2.0], identification=v, name=n)
        for v, n in ((sure, "a"), (unsure, "b"), (other, "c"))
    )
    weak = a - b
    assert not weak.identification
    assert weak.verdict == b.verdict
    assert any(n.startswith("a: Identified by the back door: adjust for z") for n in weak.notes)
    assert any(n.startswith("b: ") and "not identified" in n for n in weak.notes)
    both = c / a
    assert both.identification
    assert any("adjust for w" in n for n in both.notes)
    assert any("adjust for z" in n for n in both.notes)
    assert (a - bc.Effect([1.0, 2.0])).identification is None
    assert (a - a).notes == ()


def test_a_ratio_on_an_outcome_that_changes_sign_is_warned_of(fit):
    words = "y takes both signs: a ratio depends on where zero lies"
    for ask in (
        bc.ATE("x", "y", scale="ratio"),
        bc.ATT("x", "y", scale="log ratio"),
        bc.ITE("x", "y", scale="ratio"),
    ):
        assert any(words in n for n in bc.estimate(fit, ask).notes), ask
    above = Probability(above=0)
    for ask in (ATE, bc.ATE("x", "y", scale="ratio", functional=above)):
        assert not any("both signs" in n for n in bc.estimate(fit, ask).notes)
    positive = bc.Effect([1.0, 2.0], name="gain") / bc.Effect([-1.0, 2.0], name="cost")
    assert any("cost takes both signs" in n for n in positive.notes)
    assert (bc.Effect([1.0, -2.0]) / bc.Effect([1.0, 2.0])).notes == ()


def test_a_ratio_whose_worlds_change_sign_without_data():
    with pm.Model(coords={"unit": range(2)}) as model:
        b = pm.Normal("b")
        x = pm.Normal("x", dims="unit")
        pm.Normal("y", b * x + 0.1, 1, dims="unit")
    found = bc.estimate(bc.prior(model, draws=20, seed=1), bc.ATE("x", "y", scale="ratio"))
    assert any("both signs" in n for n in found.notes)
