"""Positivity is seen where it holds, and seen to fail where it does not."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy.special import expit

import bayescausal as bc
from bayescausal.checks.overlap import propensity as overlap_support
from bayescausal.checks.overlap.propensity import effective_size
from bayescausal.types import BayesCausalError, EstimandError, UnknownVariableError

mpl.use("Agg")
LALONDE = Path(__file__).parents[3] / "shared" / "data" / "lalonde.csv"


def study(slope=1.0, intercept=0.0, units=1500, seed=1, also=0.0):
    """Return a truth in which the log odds of x are linear in z (and in w, unseen by the model)."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        w = pm.Normal("w", 0, 1, dims="unit")
        b = pm.Normal("b")
        x = pm.Bernoulli("x", logit_p=intercept + slope * z, dims="unit")
        pm.Normal("y", b * x + z + w, 1, dims="unit")
    rng = np.random.default_rng(seed)
    z, w = rng.normal(size=(2, units))
    x = (rng.random(units) < expit(intercept + slope * z + also * w)).astype(int)
    y = x + z + w + rng.normal(size=units)
    return bc.truth(model, {"b": 1.0}, pd.DataFrame({"z": z, "w": w, "x": x, "y": y}))


def test_the_propensity_weights_and_balance_are_those_of_the_formulas():
    fit = study()
    check = bc.overlap(fit, "x")
    z, x = fit.columns["z"], fit.columns["x"]
    e = expit(z)
    np.testing.assert_allclose(check.values["chance"][0, :, 1], e, rtol=1e-12)
    weights = np.where(x == 1, e.mean() / e, (1 - e).mean() / (1 - e))
    np.testing.assert_allclose(check.values["weights"][0], weights, rtol=1e-12)
    assert check.table.loc["1", "ess"] == pytest.approx(
        weights[x == 1].sum() ** 2 / (weights[x == 1] ** 2).sum()
    )
    row = check.values["balance"].loc["z"]
    pooled = np.sqrt((z[x == 1].var() + z[x == 0].var()) / 2)
    assert row["before"] == pytest.approx((z[x == 1].mean() - z[x == 0].mean()) / pooled)
    after = np.average(z[x == 1], weights=1 / e[x == 1]) - np.average(
        z[x == 0], weights=1 / (1 - e)[x == 0]
    )
    assert row["after"] == pytest.approx(after / pooled)
    assert row["ratio_before"] == pytest.approx(z[x == 1].var() / z[x == 0].var())
    assert abs(row["before"]) > 0.5 > 0.1 > abs(row["after"])


def test_good_overlap_passes_and_broken_overlap_fails():
    good, bad = bc.overlap(study(0.5), "x"), bc.overlap(study(6.0), "x")
    assert good
    assert good.verdict == "pass"
    assert "None of 1500 units is beyond the support" in good.finding
    assert bad.verdict == "fail"
    out = bad.values["units"]["beyond"] > 0.5
    e = bad.values["chance"][0]
    expected = (e < 0.1 * e.mean(axis=0)).any(axis=1)
    assert out.tolist() == expected.tolist()
    assert f"{out.sum()} of 1500 units" in bad.finding
    assert "rests on the form of the model" in bad.sentence()


def test_a_treatment_that_is_rare_for_everybody_overlaps():
    check = bc.overlap(study(0.3, intercept=-3.5, units=4000), "x")
    assert check.verdict == "pass"
    assert check.table.loc["1", "units"] < 200


def test_only_the_levels_that_an_effect_needs_count():
    fit = study(2.5, intercept=-3.0, units=4000)
    e, x = expit(2.5 * fit.columns["z"] - 3.0), fit.columns["x"]
    verdicts = {e: bc.overlap(fit, "x", effect=e) for e in ("ATE", "ATT", "ATU")}
    assert verdicts["ATE"].verdict == "fail"
    hard = {
        "ATT": ((1 - e < 0.1 * (1 - e).mean()) & (x == 1)).sum(),
        "ATU": ((e < 0.1 * e.mean()) & (x == 0)).sum(),
    }
    assert {k: verdicts[k].table["beyond"].sum() for k in hard} == hard
    assert hard["ATT"] < hard["ATU"] / 10
    assert (verdicts["ATT"].values["weights"][0][fit.columns["x"] == 1] == 1).all()


def test_the_overlap_population_is_shown_by_its_own_weights():
    """Li, Morgan and Zaslavsky (2018): treated weigh 1 - e, controls e; targets e (1 - e)."""
    fit = study(6.0)
    check, plain = bc.overlap(fit, bc.ATO("x", "y")), bc.overlap(fit, "x", "y")
    e, x = expit(6.0 * fit.columns["z"]), fit.columns["x"]
    weights = np.where(x == 1, 1 - e, e)
    np.testing.assert_allclose(check.values["weights"][0], weights, atol=1e-14)
    kept = [weights[x == k].sum() ** 2 / (weights[x == k] ** 2).sum() for k in (0, 1)]
    np.testing.assert_allclose(check.table["ess"], kept)
    out = check.values["units"]["beyond"] > 0.5
    assert out.tolist() == (plain.values["units"]["beyond"] > 0.5).tolist()
    share = (e * (1 - e))[out].sum() / (e * (1 - e)).sum()
    assert f"carry {share:.1%} of the overlap weights" in check.finding
    assert plain.verdict == "fail"
    assert share < 0.1 < out.mean()
    after = check.values["balance"]["after"].abs().iloc[0]
    assert after < plain.values["balance"]["after"].abs().iloc[0]
    assert bc.overlap(fit, "x", "y", effect="ATO").finding == check.finding
    assert bc.overlap(study(0.5), bc.ATO("x", "y")).verdict == "pass"


def test_an_equation_that_misses_a_cause_leaves_a_difference():
    right = bc.overlap(study(1.0), "x", covariates=["z", "w"])
    wrong = bc.overlap(study(1.0, also=1.0), "x", covariates=["z", "w"])
    assert right.verdict == "pass"
    assert wrong.verdict == "warn"
    assert re.search(r"leaves a difference in (z, )?w\.", wrong.finding)


def test_the_adjustment_set_is_balanced_with_an_outcome():
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("u", 0, 1, dims="unit")
        z = pm.Normal("z", u, 1, dims="unit")
        x = pm.Bernoulli("x", logit_p=z, dims="unit")
        pm.Normal("y", x + z, 1, dims="unit")
    data = bc.simulate(model, {}, units=400, seed=1)
    fit = bc.truth(model, {}, data)
    assert list(bc.overlap(fit, "x", "y").values["balance"].index) == ["z"]


def test_the_uncertainty_of_the_propensity_is_carried():
    world = bc.datasets.coating()
    data = bc.simulate(world.model, world.truth, units=150, seed=3)
    fit = bc.prior(world.model, data, draws=100, seed=1)
    check = bc.overlap(fit, "dilution", draws=50)
    assert len(check.values["chance"]) == 50
    assert (
        check.values["balance"].loc["humid", "after_lb"]
        < check.values["balance"].loc["humid", "after_ub"]
    )


@pytest.fixture(scope="module")
def doses():
    with pm.Model(coords={"unit": [0], "k": ["a", "b"]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        pm.Categorical(
            "kind", pm.math.softmax(pm.math.stack([0 * z, 0.4 * z, -0.4 * z], -1), -1), dims="unit"
        )
        pm.Normal("dose", 0.4 * z, 1, dims="unit")
        pm.Normal("steep", 3 * z, 1, dims="unit")
        pm.Poisson("count", pm.math.exp(1.5 + 0.1 * z), dims="unit")
        pm.MvNormal("pair", np.zeros(2), np.eye(2), dims=("unit", "k"))
    data = bc.simulate(model, {}, units=900, seed=2)
    return bc.truth(model, {}, data)


def test_categories_counts_and_doses_have_propensities(doses):
    kinds = bc.overlap(doses, "kind")
    assert kinds.verdict == "pass"
    np.testing.assert_allclose(kinds.values["chance"].sum(axis=-1), 1.0)
    count = bc.overlap(doses, "count")
    assert count.verdict == "pass"
    from scipy import stats

    mu = np.exp(1.5 + 0.1 * doses.columns["z"])
    top = int(str(count.values["levels"][0]).split(" to ")[1])
    np.testing.assert_allclose(
        count.values["chance"][0, :, 0], stats.poisson.cdf(top, mu), rtol=1e-10
    )
    dose = bc.overlap(doses, "dose")
    assert dose.verdict == "pass"
    z, t = doses.columns["z"], doses.columns["dose"]
    marginal = stats.norm.pdf(t[:, None], 0.4 * z).mean(axis=1)
    exact = marginal / stats.norm.pdf(t, 0.4 * z)
    np.testing.assert_allclose(np.log(dose.values["weights"][0]), np.log(exact), atol=0.01)
    row = dose.values["balance"].loc["z"]
    assert row["measure"] == "correlation"
    assert row["before"] == pytest.approx(np.corrcoef(z, t)[0, 1])
    assert abs(row["after"]) < row["before"] / 3


def test_a_steep_dose_fails(doses):
    assert bc.overlap(doses, "steep").verdict == "fail"


def test_a_randomised_treatment_passes_and_says_so():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    fit = bc.truth(model, {}, bc.simulate(model, {}, units=100, seed=1))
    check = bc.overlap(fit, "x")
    assert check.verdict == "pass"
    assert any("randomised" in note for note in check.notes)
    assert not bc.estimate(fit, bc.ATE("x", "y")).notes


def test_effective_size_of_equal_weights_is_their_number():
    assert effective_size(np.full((2, 7), 3.0)).tolist() == [7.0, 7.0]


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda f: bc.overlap(f, "dse"), UnknownVariableError, "Did you mean 'dose'"),
        (lambda f: bc.overlap(f, "pair"), EstimandError, "'pair' is a vector"),
        (lambda f: bc.overlap(f, "dose", effect="ATT"), EstimandError, "no two levels"),
        (lambda f: bc.overlap(f, "kind", effect="ATT"), EstimandError, "has 3 levels"),
        (lambda f: bc.overlap(f, "kind", effect="ATX"), EstimandError, "one of ATE, ATT, ATU, ATO"),
        (lambda f: bc.overlap(f, "kind", limit=2), EstimandError, "limit=2"),
        (lambda f: bc.overlap(f, "kind", draws=0), EstimandError, "draws=0"),
        (lambda f: bc.overlap(f, "kind", covariates=["zz"]), UnknownVariableError, "'zz'"),
        (lambda f: bc.overlap(f, "kind", covariates=["kind"]), EstimandError, "is the"),
        (
            lambda f: bc.overlap(f, "kind").plot(kind="x"),
            EstimandError,
            "'propensity' or 'balance'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(doses, ask, error, message):
    with pytest.raises(error, match=message):
        ask(doses)


def test_treatments_without_equation_or_values_are_refused():
    with pm.Model(coords={"unit": [0]}) as model:
        given = pm.Data("given", np.zeros(1), dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", x + given, 1, dims="unit")
    columns = {"given": [0.0, 1.0, 2.0], "x": [1, 1, 1], "y": [0.0, 1.0, 2.0]}
    fit = bc.truth(model, {}, columns)
    with pytest.raises(EstimandError, match="no equation of its own"):
        bc.overlap(fit, "given")
    with pytest.raises(EstimandError, match="one value in these data, 1"):
        bc.overlap(fit, "x")
    with pytest.raises(EstimandError, match="was not observed"):
        bc.overlap(bc.truth(model, {}, {k: columns[k] for k in ("given", "y")}), "x")
    with pytest.raises(EstimandError, match="has no units"):
        bc.overlap(bc.truth(model, {}), "x")


def test_doses_that_others_cannot_have_are_beyond_support(monkeypatch):
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Uniform("z", 0, 1, dims="unit")
        pm.Uniform("x", z, z + 1, dims="unit")
    known = bc.truth(model, {}, bc.simulate(model, {}, units=60, seed=1))
    assert bc.overlap(known, "x").verdict == "fail"
    monkeypatch.setattr(overlap_support, "_place", lambda *_: np.full((1, 60), np.nan))
    with pytest.raises(EstimandError, match="support depends on its parents"):
        bc.overlap(known, "x")


# ------------------------------------------------------------------ notes of an effect


def test_an_effect_that_extrapolates_says_so():
    bad, good = study(6.0), study(0.5)
    assert not any("Extrapolates" in n for n in bc.estimate(good, bc.ATE("x", "y")).notes)
    notes = [n for n in bc.estimate(bad, bc.ATE("x", "y")).notes if "Extrapolates" in n]
    assert len(notes) == 2
    e = expit(6 * bad.columns["z"])
    assert f"for {np.mean(e < 0.1 * e.mean()):.0%} of these units the chance of x=1" in notes[0]


def test_the_note_is_about_the_units_that_are_asked_about():
    fit = study(6.0)

    def levels(estimand):
        notes = [n for n in bc.estimate(fit, estimand).notes if "Extrapolates" in n]
        return [n.split("the chance of ")[1].split(" ")[0] for n in notes]

    assert levels(bc.ATT("x", "y")) == ["x=0"]
    assert levels(bc.CATE("x", "y", given={"z": (1.0, None)})) == ["x=0"]
    assert levels(bc.CATE("x", "y", given={"z": (-0.2, 0.2)})) == []
    mask = np.abs(fit.columns["z"]) < 0.2
    assert levels(bc.ATE("x", "y", given=mask)) == []
    assert levels(bc.ATE("x", "y", population="model")) == []


def test_labels_stand_in_the_note():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        p = pm.math.softmax(pm.math.stack([0 * z, 6 * z], -1), -1)
        x = pm.Categorical("x", p, dims="unit")
        pm.Normal("y", x + z, 1, dims="unit")
    data = bc.simulate(model, {}, units=300, seed=1)
    data["x"] = pd.Categorical.from_codes(data["x"], ["placebo", "drug"])
    fit = bc.truth(model, {}, data)
    notes = bc.estimate(fit, bc.ATT("x", "y", treated="drug", control="placebo")).notes
    assert any("the chance of x=placebo" in n for n in notes)
    assert bc.overlap(fit, "x").table.index.tolist() == ["placebo", "drug"]


# ------------------------------------------------------------------------- Lalonde


@pytest.mark.skipif(not LALONDE.exists(), reason="the data are not here")
def test_the_psid_controls_of_lalonde_are_flagged():
    frame = pd.read_csv(LALONDE)
    names = ["age", "educ", "black", "hispanic", "married", "nodegree", "re74", "re75"]
    frame["black"] = (frame["race"] == "black").astype(int)
    frame["hispanic"] = (frame["race"] == "hispan").astype(int)
    values = (frame[names] - frame[names].mean()) / frame[names].std()
    with pm.Model(coords={"unit": [0]}) as model:
        columns = [pm.Data(n, np.zeros(1), dims="unit") for n in names]
        a, b = pm.Normal("a", 0, 2), pm.Normal("b", 0, 2, shape=len(names))
        pm.Bernoulli("treat", logit_p=a + sum(b[i] * c for i, c in enumerate(columns)), dims="unit")
    data = pd.concat([values, frame["treat"]], axis=1)
    fit = bc.fit(model, data, draws=150, chains=2, seed=1, progressbar=False)
    check = bc.overlap(fit, "treat")
    assert check.verdict == "fail"
    assert check.table.loc["0", "beyond"] > 40  # the PSID controls
    assert check.table.loc["1", "beyond"] < 5
    before = check.values["balance"]["before"]
    assert before["black"] == pytest.approx(1.668, abs=0.01)  # the published imbalance
    whole = bc.overlap(fit, "treat", effect="ATT")
    assert whole.table["beyond"].sum() == 0


# ------------------------------------------------------------------------- pictures


def test_pictures_draw_on_the_axes_given(doses):
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, 2)
    check = bc.overlap(study(1.0, units=200), "x")
    assert check.plot(axes[0]) is axes[0]
    assert check.plot(axes[1], kind="balance") is axes[1]
    assert [t.get_text() for t in axes[1].get_yticklabels()] == ["z"]
    assert bc.overlap(doses, "kind").plot().get_xlabel().startswith("chance of each level of kind")
    plt.close("all")
    assert issubclass(EstimandError, BayesCausalError)
