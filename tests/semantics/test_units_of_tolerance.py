"""How many inner draws a question takes does not depend on the units of its outcome.

The kind of fault: a tolerance in one unit compared with an error in another. The error of a ratio
has no unit; its tolerance was that of the outcome. Siblings that were looked at: log ratio, odds
ratio, a scale of one's own, dose-response, `by=`, slopes (divided by their step already), events
and quantiles (on the outcome's own scale, right), the checks of `collapse` and `smooth` (relative
to the answer), the message that a target was missed (the target of the cell that misses it).

What is asked: y' = 1000 y is the same study, so the same seed must give the same draws of a ratio,
and the error must be the promised one: 0.001 sd of the outcome in a world's mean, so at most
0.001 sd(y) (1 / b)(1 + a / b) of the ratio a / b.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.effects.estimands.scales import EffectScale

RATIO = EffectScale(
    "times", lambda a, b: a / b, 1.0, True, "A ratio.", lambda n, a, b: n.fraction(a, b)
)


def study(unit, draws=1):
    """y = unit * exp(.3 m), m ~ Normal(x, 1): no closed mean through the recomputed m."""
    with pm.Model(coords={"unit": range(2)}) as model:
        a = pm.Normal("a")
        x = pm.Data("x", np.array([0.0, 1.0]), dims="unit")
        m = pm.Normal("m", a * x, 1, dims="unit")
        pm.Normal("y", unit * pm.math.exp(0.3 * pm.math.tanh(m)), 0.1 * unit, dims="unit")
    data = {"x": [0.0, 1.0], "m": [0.0, 1.0], "y": np.array([1.0, 1.2]) * unit}
    return bc.truth(model, {"a": 1.0}, data, draws=draws, seed=1)


@pytest.fixture(scope="module")
def studies():
    return [study(1.0), study(1000.0)]


@pytest.mark.parametrize("scale", ["ratio", "log ratio", RATIO], ids=str)
def test_a_ratio_is_the_same_in_other_units(studies, scale, monkeypatch):
    monkeypatch.setattr("bayescausal.effects.evaluation.inner_draws.WORK", 40_000_000)
    small, large = (bc.estimate(s, bc.ATE("x", "y", scale=scale), seed=2) for s in studies)
    np.testing.assert_allclose(small.draws.values, large.draws.values, rtol=1e-9)
    assert small.mc_error == pytest.approx(large.mc_error, rel=1e-6)
    # by quadrature: E exp(.3 tanh(m)) at the two levels, and the sd of y
    at, w = np.polynomial.hermite_e.hermegauss(60)
    w = w / w.sum()
    a, b = (float(w @ np.exp(0.3 * np.tanh(at + x))) for x in (1.0, 0.0))
    exact = np.log(a / b) if scale == "log ratio" else a / b
    squares = np.mean([w @ np.exp(0.6 * np.tanh(at + x)) for x in (1.0, 0.0)])
    sd = np.sqrt(squares - ((a + b) / 2) ** 2 + 0.1**2)
    most = 1e-3 * sd / b * (1 + a / b) * (a / b)
    assert 0 < small.mc_error < 1.5 * most
    assert abs(float(small) - exact) < 5 * small.mc_error
    assert not any("above its target" in n for n in large.notes)


def test_a_difference_is_as_it_was(studies, monkeypatch):
    monkeypatch.setattr("bayescausal.effects.evaluation.inner_draws.WORK", 40_000_000)
    small, large = (bc.estimate(s, bc.ATE("x", "y"), seed=2) for s in studies)
    np.testing.assert_allclose(1000 * small.draws.values, large.draws.values, rtol=1e-9)


def test_a_curve_takes_its_own_scale(studies, monkeypatch):
    monkeypatch.setattr("bayescausal.effects.evaluation.inner_draws.WORK", 40_000_000)
    ask = bc.DoseResponse("x", "y", values=[0.5, 1.0], control=0.0)
    small, large = (bc.estimate(s, ask, seed=2) for s in studies)
    np.testing.assert_allclose(1000 * small.draws.values, large.draws.values, rtol=1e-9)


def test_odds_of_a_rare_event(monkeypatch):
    """P(y > limit) is near .02: odds move 50 times as much as probabilities do."""
    monkeypatch.setattr("bayescausal.effects.evaluation.inner_draws.WORK", 40_000_000)
    fit = study(1.0)
    event = bc.Probability(above=1.45)
    found = bc.estimate(fit, bc.ATE("x", "y", functional=event, scale="odds ratio"), seed=2)
    p = bc.estimate(fit, bc.Expected("y", {"x": 0.0}, functional=event), seed=2)
    q = bc.estimate(fit, bc.Expected("y", {"x": 1.0}, functional=event), seed=2)
    p, q = float(p), float(q)
    exact = q / (1 - q) * (1 - p) / p
    sd = np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    most = 1e-3 * sd * exact * max(1 / (p * (1 - p)), 1 / (q * (1 - q)))
    assert 0 < found.mc_error < 1.5 * most
    assert found.mc_error > most / 300  # and no more work than that
    assert float(found) == pytest.approx(exact, abs=5 * most)
