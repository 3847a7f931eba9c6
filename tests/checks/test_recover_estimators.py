"""Studies answered through estimators: how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy.stats import binom

import bayescausal as bc
from bayescausal.estimators import AIPW, IPW
from bayescausal.types import EstimandError, StudyError

ATE = bc.ATE("x", "y")


def world(*, confounded=True):
    with pm.Model(coords={"unit": [0]}) as model:
        a, b = pm.Normal("a"), pm.Normal("b")
        if confounded:
            z = pm.Normal("z", 0, 1, dims="unit")
            x = pm.Bernoulli("x", logit_p=a * z, dims="unit")
            pm.Normal("y", b * x + z, 1, dims="unit")
        else:
            x = pm.Bernoulli("x", logit_p=a, dims="unit")
            pm.Normal("y", b * x, 1, dims="unit")
    return model


@pytest.fixture(scope="module")
def model():
    return world()


def study(model, estimators, replicates=30, **options):
    return bc.recover(model, {"a": 1.0, "b": 2.0}, ATE, units=200, replicates=replicates, seed=1,
                      progressbar=False, estimators=estimators, **options)  # fmt: skip


def test_intervals_of_estimators_hold_the_truth(model):
    found = study(model, [IPW(), AIPW()], draws=200)
    summary = found.summary()
    assert list(summary.index) == ["ATE x -> y: ipw", "ATE x -> y: aipw"]
    assert (summary["truth"] == 2).all()
    assert (summary["failed"] == 0).all()
    least = binom.ppf(1e-4, 30, 0.9) / 30
    assert (summary["coverage_94"] >= least).all()
    assert summary.loc["ATE x -> y: aipw", "sd"] < summary.loc["ATE x -> y: ipw", "sd"]
    assert set(found.rows["method"]) == {"estimator"}
    # a row is what the estimator says of those data: other options, other rows
    again = study(model, AIPW(), draws=200, replicates=2).rows
    first = found.rows[found.rows["estimand"] == "ATE x -> y: aipw"]["mean"].to_numpy()[:2]
    np.testing.assert_allclose(again["mean"], first, rtol=1e-12)


def test_a_graph_that_leaves_the_confounder_out_misses(model):
    """E[z | x = 1] - E[z | x = 0] is left: far above 2 in every data set."""
    summary = study(model, AIPW(), fit_model=world(confounded=False), draws=100).summary()
    assert summary["bias"].iloc[0] > 0.5
    assert summary["coverage_94"].iloc[0] < 0.2


def test_a_hidden_confounder_is_a_reason_and_no_number(model):
    found = study(model, AIPW(), observed=["x", "y"], replicates=2)
    assert (found.summary()["failed"] == 1).all()
    assert "no set of measured variables serves" in found.rows["failure"].iloc[0]


def test_ranks_of_the_truth_among_an_estimators_draws(model):
    check = bc.calibrate(model, ATE, units=200, replicates=20, seed=2, progressbar=False,
                         estimators=[AIPW()], draws=100)  # fmt: skip
    assert list(check.table.index) == ["ATE x -> y: aipw"]
    assert check.verdict != "fail"
    assert check.table["failed"].iloc[0] == 0


def test_a_study_through_estimators_is_known_again(model, tmp_path):
    path = tmp_path / "study"
    first = study(model, AIPW(), replicates=1, path=path, draws=20)
    longer = study(model, AIPW(), replicates=2, path=path, draws=20)
    assert longer.rows["mean"].iloc[0] == first.rows["mean"].iloc[0]
    with pytest.raises(StudyError):
        study(model, AIPW(outcome="linear", folds=2), replicates=2, path=path, draws=20)


class Line:
    """Least squares of one's own, which remembers what it was fitted to."""

    def fit(self, x, y):
        self.beta = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)[0]
        return self

    def predict(self, x):
        return self.beta[0] + x @ self.beta[1:]


@pytest.mark.parametrize("verb", [bc.recover, bc.calibrate])
def test_an_interrupted_study_through_estimators_continues_bit_for_bit(model, verb, tmp_path):
    given = (model, {"a": 1.0, "b": 2.0}, ATE) if verb is bc.recover else (model, ATE)
    options = {"estimators": [AIPW(outcome=Line()), IPW()], "units": 80, "replicates": 3,
               "draws": 50, "chains": 2, "seed": 1, "progressbar": False}  # fmt: skip
    seen = []

    def stop(rows):
        seen.append(int(rows["replicate"].iloc[0]))
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verb(*given, path=tmp_path / "study", on_replicate=stop, **options)
    resumed = verb(
        *given, path=tmp_path / "study", on_replicate=lambda rows: seen.append(2), **options
    )
    assert seen == [0, 1, 2]
    whole = verb(*given, **options)
    pd.testing.assert_frame_equal(
        whole.rows.drop(columns="seconds"), resumed.rows.drop(columns="seconds")
    )


def test_what_is_no_study_through_estimators(model):
    for given, said in (
        ("aipw", r"estimators names 'aipw'"),
        ([AIPW], "Expected: values"),
        ([], "There is no estimator"),
        ([AIPW(), AIPW()], "asked twice"),
    ):
        with pytest.raises(EstimandError, match=said):
            study(model, given)
    for options, said in (({"draws": 2.7}, "draws=2.7"), ({"draws": 0}, "draws=0")):
        with pytest.raises(EstimandError, match=said):
            study(model, AIPW(), **options)
    with pytest.raises(EstimandError, match="estimators names 3"):
        study(model, 3)
    with pytest.raises(StudyError, match="tune= is about a fit"):
        study(model, AIPW(), tune=100)
    with pytest.raises(StudyError, match="parameters= is about a fit"):
        study(model, AIPW(), parameters=True)
    with pytest.raises(EstimandError, match="is a function of a fit"):
        bc.recover(model, {"a": 1.0, "b": 2.0}, {"f": lambda fit, seed: 0.0}, units=50,
                   replicates=1, estimators=AIPW())  # fmt: skip
