"""Robustness values and E-values: published numbers, and per draw against the classical ones."""

from __future__ import annotations

import pickle

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import EstimandError, UndefinedEffectError


def test_robustness_values_of_darfur():
    """Cinelli and Hazlett (2020), table 1: t = 4.18, 783 degrees of freedom."""
    assert bc.robustness_value(4.18, df=783) == pytest.approx(0.139, abs=5e-4)
    assert bc.robustness_value(-4.18, df=783, alpha=0.05) == pytest.approx(0.076, abs=5e-4)
    assert bc.robustness_value(0.5, df=783, alpha=0.05) == 0.0


def test_a_robustness_value_explains_the_effect_away():
    """Confounding that explains RV of both moves the estimate by exactly its own size [1]."""
    t, df = 4.18, 783
    rv = bc.robustness_value(t, df=df)
    bias = np.sqrt(rv * rv / (1 - rv)) * np.sqrt(df)  # in standard errors
    assert bias == pytest.approx(t, rel=1e-9)
    half = bc.robustness_value(t, df=df, q=0.5)
    assert np.sqrt(half**2 / (1 - half)) * np.sqrt(df) == pytest.approx(t / 2, rel=1e-9)


def test_e_values_of_vanderweele_and_ding():
    """Table 1 and text: RR 3.9 (1.8, 8.7) gives 7.26 and 3.0; symmetric in the ratio."""
    value = bc.e_value(3.9, interval=(1.8, 8.7))
    assert value == pytest.approx(7.26, abs=5e-3)
    assert value.limit == pytest.approx(3.0)
    assert bc.e_value(1 / 3.9, interval=(1 / 8.7, 1 / 1.8)).limit == pytest.approx(3.0)
    assert bc.e_value(1.0) == 1.0
    assert bc.e_value(1.2, interval=(0.9, 1.6)).limit == 1.0
    assert bc.e_value(9.0, scale="odds ratio") == pytest.approx(bc.e_value(3.0))
    assert bc.e_value(9.0, scale="odds ratio", rare=True) == pytest.approx(bc.e_value(9.0))
    assert bc.e_value(np.log(3.9), scale="log ratio") == pytest.approx(bc.e_value(3.9))
    same = bc.e_value(0.5, scale="difference", sd=2.0)
    assert same == pytest.approx(bc.e_value(np.exp(0.91 * 0.25)))
    assert pickle.loads(pickle.dumps(value)).limit == value.limit
    assert "7.26 each" in value.sentence()
    assert "3.00 each would do" in value.sentence()


def test_an_effect_gives_its_own_scale_and_interval():
    draws = np.exp(np.random.default_rng(1).normal(np.log(3.9), 0.1, size=4000))
    effect = bc.Effect(draws, estimand=bc.ATE("x", "y", scale="ratio"))
    value = bc.e_value(effect)
    assert value == pytest.approx(bc.e_value(float(effect)))
    assert value.limit == pytest.approx(bc.e_value(effect.interval()[0]))


def linear(link="identity"):
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        a, s = pm.Normal("a", 0, 2), pm.HalfNormal("s", 2)
        x = pm.Normal("x", a * z, s, dims="unit")
        b, c, t = pm.Normal("b", 0, 2), pm.Normal("c", 0, 2), pm.HalfNormal("t", 2)
        mean = b * x + c * z
        pm.Normal("y", mean if link == "identity" else pm.math.exp(mean), t, dims="unit")
    return model


def test_the_posterior_of_the_robustness_value_is_around_the_classical_one():
    """With weak priors and 800 units the two differ by less than a fifth of a posterior sd."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=800)
    x = 0.5 * z + rng.normal(size=800)
    y = 0.2 * x + 0.7 * z + rng.normal(size=800)
    fit = bc.fit(linear(), {"x": x, "y": y, "z": z}, seed=1, progressbar=False)
    posterior = bc.robustness_value(fit, bc.ATE("x", "y"))
    design = np.column_stack([x, z])
    beta, rss, _, _ = np.linalg.lstsq(design, y, rcond=None)
    se = np.sqrt(rss[0] / 798 * np.linalg.inv(design.T @ design)[0, 0])
    classical = bc.robustness_value(beta[0] / se, df=798)
    assert abs(float(posterior) - classical) < 0.2 * posterior.sd()
    doubled = bc.robustness_value(fit, bc.ATE("x", "y", treated=2))
    np.testing.assert_allclose(doubled.draws, posterior.draws)
    half = bc.robustness_value(fit, bc.ATE("x", "y"), q=0.5)
    assert np.all(half.draws.values < posterior.draws.values)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bc.robustness_value(4.0), EstimandError, "df=None of a t statistic"),
        (lambda: bc.robustness_value("t"), EstimandError, "Found 't' where an effect is needed"),
        (lambda: bc.robustness_value(4.0, df=9, q=0), EstimandError, "q=0"),
        (lambda: bc.robustness_value(4.0, df=9, alpha=2), EstimandError, "alpha=2"),
        (lambda: bc.e_value(-1.0), EstimandError, "A ratio of -1"),
        (
            lambda: bc.e_value(1.0, scale="difference"),
            EstimandError,
            "without the sd of the outcome",
        ),
        (lambda: bc.e_value(1.0, scale="hazard"), EstimandError, "scale='hazard' is not known"),
        (
            lambda: bc.e_value(2.0, interval=(3, 4)),
            EstimandError,
            "around 2. Expected: (low, high)",
        ),
        (lambda: bc.e_value(bc.Effect([1.0, 2.0])), EstimandError, "has no scale"),
        (
            lambda: bc.e_value(bc.Effect([1.0, 2.0], name="e"), interval=(1, 2)),
            EstimandError,
            "interval= of an Effect",
        ),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_the_robustness_value_of_what_is_not_linear_is_refused():
    model = linear("exp")
    truth = {"a": 0.5, "s": 1.0, "b": 0.2, "c": 0.1, "t": 1.0}
    fit = bc.truth(model, truth, bc.simulate(model, truth, units=20, seed=1))
    with pytest.raises(UndefinedEffectError, match="'y' is not linear in 'x'"):
        bc.robustness_value(fit, bc.ATE("x", "y"))
    with pytest.raises(EstimandError, match="no difference between two levels"):
        bc.robustness_value(fit, bc.ATE("x", "y", scale="ratio"))
    with pytest.raises(EstimandError, match="df= and alpha= belong to a t statistic"):
        bc.robustness_value(fit, bc.ATE("x", "y"), df=3)
    with pytest.raises(EstimandError, match="No question"):
        bc.robustness_value(fit)
    with pm.Model(coords={"unit": [0]}) as poisson:
        x = pm.Normal("x", dims="unit")
        pm.Poisson("y", pm.math.exp(0.1 * x), dims="unit")
    known = bc.truth(poisson, {}, {"x": [0.0, 1.0], "y": [1, 2]})
    with pytest.raises(UndefinedEffectError, match="not Normal"):
        bc.robustness_value(known, bc.ATE("x", "y"))


@pytest.mark.parametrize("draws", [[*np.linspace(2, 3, 99), 1000.0], [1.1 + 2e-16] * 99 + [1.1]])
def test_the_e_value_of_draws_whose_mean_is_outside_of_their_interval(draws):
    """One draw of 100 in the thousands moves the mean, not the interval; equal draws have a mean
    that is theirs but for rounding. The E-value is of the mean, its limit of the lower end."""
    effect = bc.Effect(draws, name="risk")
    mean, low = np.mean(draws), float(effect.interval()[0])
    found = bc.e_value(effect, scale="ratio")
    assert found == pytest.approx(mean + np.sqrt(mean * (mean - 1)))
    assert found.limit == pytest.approx(low + np.sqrt(low * (low - 1)))
