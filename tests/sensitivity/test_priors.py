"""Priors: densities, power-scaling by closed forms and ArviZ, refits, prior beside posterior."""

from __future__ import annotations

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from arviz_stats import psense
from scipy import stats

import bayescausal as bc
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.sensitivity.priors.alternatives import with_priors
from bayescausal.sensitivity.priors.densities import log_densities
from bayescausal.sensitivity.priors.power_scaling import weighted_row
from bayescausal.types import BayesCausalError, EstimandError, FitMismatchError, ParameterError

ATE = bc.ATE("x", "y")


def line(sd=2.0):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        b = pm.Normal("b", 0, sd)
        pm.Normal("y", b * x, 1, dims="unit")
    return model


def table(n=100, b=1.0, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return {"x": x, "y": b * x + rng.normal(size=n)}


def fitted(model, data):
    return bc.fit(model, data, draws=1000, chains=4, seed=1, progressbar=False)


@pytest.fixture(scope="module")
def weak():
    return fitted(line(), table())


def test_densities_are_those_of_scipy():
    with pm.Model(coords={"unit": [0], "g": range(3)}) as model:
        top = pm.HalfNormal("top", 2)
        a = pm.Normal("a", 0, top, dims="g")
        b = pm.Exponential("b", 1.0)
        x = pm.Bernoulli("x", 0.3, dims="unit")
        y = pm.Normal("y", a.sum() + x, b, dims="unit")
        assert y is not None
    rng = np.random.default_rng(2)
    draws = {
        "top": np.abs(rng.normal(size=(2, 5))),
        "a": rng.normal(size=(2, 5, 3)),
        "b": rng.exponential(size=(2, 5)) + 0.1,
    }
    data = {"x": [0, 1, 1], "y": [0.1, 0.5, -0.3]}
    found = log_densities(bc.Fit(model, draws, data))
    assert found.above == ("a",)
    flat = {n: v.reshape(10, *v.shape[2:]) for n, v in draws.items()}
    np.testing.assert_allclose(found.prior["top"], stats.halfnorm.logpdf(flat["top"], scale=2))
    np.testing.assert_allclose(found.prior["b"], stats.expon.logpdf(flat["b"]))
    mean = flat["a"].sum(axis=1)[:, None] + np.array(data["x"])
    likelihood = stats.norm.logpdf(np.array(data["y"]), mean, flat["b"][:, None]).sum(axis=1)
    likelihood += stats.bernoulli.logpmf(data["x"], 0.3).sum()
    np.testing.assert_allclose(found.likelihood, likelihood)


def test_scaled_posteriors_are_the_conjugate_ones(weak):
    """A normal prior to the power a has a times its precision; so has the likelihood."""
    data, draws = table(), 4000
    check = bc.prior_sensitivity(weak, ATE)
    for power in (0.8, 1.25):
        for part in ("prior", "likelihood"):
            w = {"prior": 1.0, "likelihood": 1.0, part: power}
            precision = w["prior"] / 4 + w["likelihood"] * np.sum(data["x"] ** 2)
            mean = w["likelihood"] * np.sum(data["x"] * data["y"]) / precision
            row = check.table.loc[f"{part} ^ {power:g}"]
            sd = precision**-0.5
            # weights of a power near one keep most of 4,000 draws: 4.5 errors of 2,000
            assert abs(row["mean"] - mean) < 4.5 * sd / np.sqrt(draws / 2)
            assert row["sd"] == pytest.approx(sd, rel=4.5 / np.sqrt(draws))


def test_the_sensitivity_is_that_of_arviz(weak):
    found = log_densities(weak)
    effect = bc.estimate(weak, ATE)
    shape = effect.draws.shape
    tree = az.from_dict(
        {
            "posterior": {"e": effect.draws.values},
            "log_prior": {"b": found.prior["b"].reshape(shape)},
            "log_likelihood": {"y": found.likelihood.reshape(shape)},
        }
    )
    rows = bc.prior_sensitivity(weak, ATE).table["sensitivity"]
    for group in ("prior", "likelihood"):
        theirs = float(psense(tree, group=group)["e"])
        assert rows[f"{group} ^ 0.8"] == pytest.approx(theirs, rel=1e-9)


def test_a_strong_prior_against_the_data_is_seen():
    check = bc.prior_sensitivity(fitted(line(sd=0.05), table()), ATE)
    assert check.verdict == "warn"
    assert check.table.loc["prior ^ 0.8", "sensitivity"] > 0.05
    assert "both have a say" in check.finding


def test_few_data_leave_the_prior_to_speak_and_many_do_not(weak):
    few = bc.prior_sensitivity(fitted(line(), table(2)), ATE).table["sensitivity"]
    many = bc.prior_sensitivity(weak, ATE).table["sensitivity"]
    assert few["prior ^ 0.8"] > 5 * many["prior ^ 0.8"]


def test_named_alternatives_are_fitted_and_can_turn_the_conclusion(weak):
    alternatives = {
        "wide": {"b": pm.Normal.dist(0, 20)},
        "doubtful": {"b": pm.Normal.dist(0, 0.01)},
        "whole model": line(5.0),
    }
    check = bc.prior_sensitivity(weak, ATE, alternatives=alternatives)
    data = table()
    for name, sd in (("wide", 20), ("doubtful", 0.01), ("whole model", 5.0)):
        precision = sd**-2 + np.sum(data["x"] ** 2)
        row = check.table.loc[f"refit: {name}"]
        mean = np.sum(data["x"] * data["y"]) / precision
        assert abs(row["mean"] - mean) < 4.5 / np.sqrt(precision * 4000)
    assert check.verdict == "fail"
    assert "another one under doubtful" in check.finding
    assert check.plot().get_yticklabels()[0].get_text() == "as fitted"
    kept = bc.prior_sensitivity(weak, ATE, alternatives={"wide": {"b": pm.Normal.dist(0, 20)}})
    assert kept.verdict == "pass"


def test_other_priors_keep_names_dims_and_shapes():
    with pm.Model(coords={"unit": [0], "g": range(3)}) as model:
        s = pm.HalfNormal("s", 1)
        a = pm.Normal("a", 0, 1, dims="g")
        pm.Normal("y", a.sum(), s, dims="unit")
    made = with_priors(model, {"a": pm.StudentT.dist(3, sigma=2), "s": pm.Exponential.dist(1)})
    assert made is not model
    assert made.named_vars_to_dims["a"] == ("g",)
    shape, got = evaluate([made["a"].shape, pm.logp(made["a"], np.zeros(3))])
    assert tuple(shape) == (3,)
    assert got == pytest.approx(stats.t.logpdf(np.zeros(3), 3, scale=2))
    assert made.rvs_to_transforms[made["s"]].name == "log"


def test_weighted_rows_are_the_unweighted_ones_at_equal_weights():
    draws = np.random.default_rng(1).gamma(2.0, size=5000)
    row = weighted_row(draws, np.full(5000, 1 / 5000), 0.9)
    low, high = bc.hdi(draws, 0.9).values
    assert (row["lower"], row["upper"]) == pytest.approx((low, high), abs=2e-3)
    assert row["mean"] == pytest.approx(draws.mean())


# --------------------------------------------------------------- prior and posterior


def test_contraction_is_the_conjugate_one(weak):
    """One less the ratio of variances; that of the prior from 4,000 draws: 4.5 errors."""
    found = bc.prior_posterior(weak, ATE, truth={"b": 1.0}, draws=4000)
    ratio = 1 / (1 / 4 + np.sum(table()["x"] ** 2)) / 4
    assert 1 - found.contraction == pytest.approx(ratio, rel=4.5 * np.sqrt(4 / 4000))
    assert found.truth == pytest.approx(1.0)
    assert abs(found.z) < 4
    assert list(found.summary().index) == ["prior", "posterior", "truth"]
    assert "took away" in found.sentence()
    assert "The truth, 1, is" in repr(found)
    assert "truth" in [t.get_text() for t in found.plot().get_legend().get_texts()]
    same = bc.prior_posterior(weak, ATE, truth=1.0, draws=10)
    assert same.truth == 1.0
    none = bc.prior_posterior(weak, ATE, draws=10)
    assert none.z is None
    assert "truth" not in none.sentence()
    effect = bc.prior_posterior(weak, ATE, truth=bc.Effect([0.9, 1.1]), draws=10)
    assert effect.truth == pytest.approx(1.0)
    assert "truth" in effect._repr_html_()


def test_data_can_leave_an_effect_less_certain():
    prior = bc.Effect(np.random.default_rng(1).normal(size=500))
    wide = bc.Effect(np.random.default_rng(2).normal(scale=2, size=500))
    from bayescausal import PriorPosterior

    found = PriorPosterior(prior, wide, None, -3.0)
    assert "less certain than the prior had it" in found.sentence()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: bc.prior_posterior(bc.prior(line(), draws=4), ATE), FitMismatchError, "kind"),
        (lambda f: bc.prior_sensitivity(bc.prior(line(), draws=4), ATE), FitMismatchError, "kind"),
        (lambda f: bc.prior_posterior(f, "x"), EstimandError, "Found 'x' where a question"),
        (lambda f: bc.prior_sensitivity(f, "x"), EstimandError, "Found 'x' where a question"),
        (lambda f: bc.prior_posterior(f, ATE, truth="big"), EstimandError, "truth='big'"),
        (
            lambda f: bc.prior_posterior(f, bc.DoseResponse("x", "y", values=[0, 1])),
            EstimandError,
            "has several cells",
        ),
        (
            lambda f: bc.prior_sensitivity(f, bc.DoseResponse("x", "y", values=[0, 1])),
            EstimandError,
            "has several cells",
        ),
        (lambda f: bc.prior_sensitivity(f, ATE, prob=2), BayesCausalError, "2"),
        (
            lambda f: bc.prior_sensitivity(f, ATE, alternatives=[1]),
            ParameterError,
            "alternatives is a list",
        ),
        (
            lambda f: bc.prior_sensitivity(f, ATE, alternatives={"w": {"bb": 1}}),
            ParameterError,
            "'bb' in the alternative 'w' is not a parameter. Did you mean 'b'",
        ),
        (
            lambda f: bc.prior_sensitivity(f, ATE, alternatives={"w": {"b": 1}}),
            ParameterError,
            "The prior of 'b' is 1",
        ),
        (
            lambda f: bc.prior_sensitivity(f, ATE, alternatives={"w": {}}),
            ParameterError,
            "The alternative 'w' is {}",
        ),
        (
            lambda f: bc.prior_sensitivity(f, ATE, alternatives={"w": {"b": pm.Poisson.dist(1)}}),
            ParameterError,
            "has another type",
        ),
        (
            lambda f: bc.prior_posterior(f, bc.ATE("y", "x")),
            EstimandError,
            "there is nothing to learn",
        ),
    ],
)
def test_messages(weak, call, error, message):
    with pytest.raises(error) as caught:
        call(weak)
    assert message in str(caught.value)


def test_a_model_with_other_variables_is_no_alternative(weak):
    with pm.Model(coords={"unit": [0]}) as other:
        pm.Normal("q", dims="unit")
    with pytest.raises(ParameterError, match="has the variables q"):
        bc.prior_sensitivity(weak, ATE, alternatives={"other": other})


def test_the_prior_of_coefficients_that_hang_together_counts_whole():
    """``y ~ t * yr``: the prior does not depend on the zero of yr, so neither does its density at
    coefficients that say the same (b_t' = b_t + c b_tyr, level likewise; the map has determinant
    one). That of the product's coefficient alone is a part of it."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"t": rng.integers(0, 2, 60), "yr": rng.integers(2000, 2021, 60)})
    data["y"] = 0.9 * data.t + 0.1 * (data.yr - 2000) + rng.normal(size=60)
    b = {n: rng.normal(size=(1, 40)) for n in ("Intercept", "t", "yr", "t:yr")}
    totals = []
    for shift in (2010.0, 0.0):  # about the mean, and calendar years
        c = shift - 2010.0
        moved = {
            "Intercept": b["Intercept"] + c * b["yr"], "t": b["t"] + c * b["t:yr"],
            "yr": b["yr"], "t:yr": b["t:yr"],
        }  # fmt: skip
        model = bc.model_from_formulas(["y ~ t * yr"], data=data.assign(yr=data.yr - shift))
        draws = {f"b_y_{n}": v for n, v in moved.items()} | {"sigma_y": np.ones((1, 40))}
        found = log_densities(bc.Fit(model, draws, data.assign(yr=data.yr - shift)))
        assert found.above == ()
        totals.append(sum(found.prior[f"b_y_{n}"] for n in b))
        assert np.ptp(totals[-1] - found.prior["b_y_t:yr"]) > 1
    np.testing.assert_allclose(totals[0], totals[1], atol=0.01)
