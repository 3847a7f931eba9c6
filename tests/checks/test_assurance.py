"""assurance: the curve, the number needed, rules, and its agreement with a closed form."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.checks.studies.assurance_curve import crossing, rising, wilson
from bayescausal.types import BayesCausalError, ParameterError, StudyError

mpl.use("Agg")


def trial() -> pm.Model:
    """A randomised treatment and a Gaussian outcome with known noise."""
    with pm.Model(coords={"unit": [0]}) as model:
        b, i = pm.Normal("b", 0, 1), pm.Normal("i", 0, 1)
        t = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Normal("y", i + b * t, 1, dims="unit")
    return model


MODEL = trial()
TRUTH = {"b": 0.5, "i": 0.0}
ATE = bc.ATE("t", "y")


def run(truth=TRUTH, estimand=ATE, **options):
    base = {"units": [20, 80], "replicates": 6, "seed": 1, "progressbar": False, "draws": 100}
    return bc.assurance(MODEL, truth, estimand, **{**base, **options})


def test_power_is_that_of_the_z_test():
    """Known noise, weak prior: power is close to that of the z test with n / 4 of information.

    80 data sets per size: the interval of a share is .02 to .055 wide (one standard error); the
    prior and the finite draws move the power by less than .02. Bound at 4 standard errors.
    """
    study = run(units=[30, 200], replicates=80, draws=250)
    z = stats.norm.ppf(0.97)
    for row in study.curve.itertuples():
        information = row.units / 4
        shrunk = information / (information + 1)  # of the prior
        sd = math.sqrt(1 / (information + 1))
        exact = stats.norm.sf((z * sd - shrunk * 0.5) / (shrunk / math.sqrt(information)))
        error = math.sqrt(exact * (1 - exact) / 80)
        assert abs(row.met - exact) < 4 * error + 0.02
    assert 30 < study.needed < 200
    low, high = study.needed_interval
    assert low < study.needed < high
    assert "with probability 80% at about" in study.sentence()


def test_rules():
    narrow = run(rule=0.9, replicates=4)
    assert narrow.curve["met"].tolist() == [0.0, 1.0]
    assert narrow.rule == "the 94% HDI is narrower than 0.9"

    def mean_is_positive(row):
        return row["mean"] > 0

    own = run(rule=mean_is_positive, replicates=4)
    assert own.rule == "mean is positive"
    assert own.curve["met"].max() == 1.0
    assert run(rule=lambda row: False, replicates=1).rule == "the rule is met"


def test_rules_in_words():
    words = run(rule="narrower than 0.9", replicates=2, units=[20, 80])
    assert words.rule == "the 94% HDI is narrower than 0.9"
    assert run(rule="excludes_null", replicates=1).rule == "the 94% HDI excludes the null"


def test_truths_from_the_prior_from_draws_and_known():
    """Under the prior the truth is often near zero: assurance stays below the power at 1."""
    prior = run("prior", units=[80], replicates=25)
    assert prior.rows["truth"].nunique() == 25
    strong = run({"b": 1.0, "i": 0.0}, units=[80], replicates=25)
    assert prior.curve["met"][0] < strong.curve["met"][0]
    pilot = bc.prior(MODEL, draws=7, seed=2)
    drawn = run(pilot, units=[20], replicates=25)
    assert set(drawn.rows["truth"].round(9)) <= set(pilot.posterior["b"].values.ravel().round(9))
    with pytest.raises(StudyError, match="lack 'i'"):
        run(bc.truth(pm_without_i(), {"b": 0.5}))


def pm_without_i():
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        pm.Normal("y", b, 1, dims="unit")
    return model


def test_it_resumes(tmp_path):
    path = tmp_path / "power.jsonl"
    whole = run(replicates=3)
    run(replicates=2, path=path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["power-20.jsonl", "power-80.jsonl"]
    again = run(replicates=3, path=path)
    np.testing.assert_array_equal(whole.rows["mean"], again.rows["mean"])
    # More sizes do not change those that were there; without a seed, that of the files.
    more = run(replicates=3, units=[80, 20, 40], path=path, seed=None)
    assert more.seed == 1
    mine = more.rows[more.rows["units"] == 80]["mean"]
    np.testing.assert_array_equal(mine, whole.rows[whole.rows["units"] == 80]["mean"])


def test_failures_are_not_met():
    def breaks(fit, seed):
        raise ZeroDivisionError("no luck")

    study = run(estimand={"breaks": breaks}, replicates=2)
    assert study.curve["failed"].tolist() == [1.0, 1.0]
    assert study.curve["met"].tolist() == [0.0, 0.0]
    assert math.isinf(study.needed)
    assert "never happens" in study.sentence()
    assert "no luck" in study.notes[0]


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"units": 100}, StudyError, "Several numbers"),
        ({"units": []}, StudyError, "Several numbers"),
        ({"units": [10, 2.5]}, StudyError, "holds 2.5"),
        ({"rule": "excludes zeros"}, StudyError, "Did you mean 'excludes zero'"),
        ({"rule": -1.0}, StudyError, "A width above 0"),
        ({"probability": 80}, StudyError, "probability=80"),
        ({"truth": "posterior"}, StudyError, "'prior', values of the parameters"),
        ({"truth": 3.0}, StudyError, "truth_or_prior is a float"),
        ({"truth": {"b": 1.0}}, ParameterError, "No value for 'i'"),
        ({"estimand": [ATE, bc.ATT("t", "y")]}, StudyError, "2 estimands"),
        ({"estimand": bc.ATE("t", "y", by="t2")}, BayesCausalError, "t2"),
        ({"estimand": bc.ITE("t", "y")}, StudyError, "several numbers"),
        ({"estimand": bc.Expected("y", do={"t": 1})}, StudyError, "no null"),
        ({"replicates": 0}, StudyError, "replicates=0"),
        ({"executor": 3}, StudyError, "runs nothing"),
    ],
)
def test_messages(change, error, said):
    with pytest.raises(error, match=said):
        run(**{"replicates": 1, **change})


def test_the_number_needed_by_hand():
    assert crossing([25, 100], np.array([0.6, 1.0]), 0.8) == pytest.approx(7.5**2)
    assert crossing([25, 100], np.array([0.9, 1.0]), 0.8) == 25
    assert math.isinf(crossing([25, 100], np.array([0.1, 0.2]), 0.8))
    assert rising([0.5, 0.4, 0.9]).tolist() == [0.45, 0.45, 0.9]
    low, high = wilson(0, 10)
    assert low == 0.0
    assert high == pytest.approx(0.2775, abs=1e-3)


def test_the_picture_and_the_page():
    study = run(replicates=3, units=[20, 40, 160])
    ax = study.plot()
    assert ax.get_xlabel() == "units"
    assert "94% HDI excludes the null" in ax.get_title(loc="left")
    assert "<table" in study._repr_html_()
    assert repr(study).startswith("Assurance(ATE t -> y")
    assert study.summary().equals(study.curve)
    already = run(replicates=3, units=[20, 40], rule=5.0)
    assert "the smallest number tried" in already.sentence()
