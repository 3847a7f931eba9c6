"""A design is taken wherever a model is, with its data, and a fit remembers it."""

import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayescausal as bc
from bayescausal.types import FitMismatchError

TRUTH = {"b_y_Intercept": 1.0, "b_y_x": 2.0, "sigma_y": 0.5}


def spread(fit):
    table = pd.DataFrame({"sd": [float(fit.posterior["b_y_x"].std())]}, index=["b_y_x"])
    table.attrs |= {"verdict": "warn", "finding": "The spread is what it is."}
    return table


def broken(fit):
    raise bc.BayesCausalError("There is nothing to check.")


def picture(fit, ax=None):
    import matplotlib.pyplot as plt

    ax = ax if ax is not None else plt.subplots()[1]
    ax.plot([0, 1], [0, 1])
    return ax


@pytest.fixture(scope="module")
def design():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, 40).astype(float)
    data = pd.DataFrame({"x": x, "y": 1 + 2 * x + rng.normal(0, 0.5, 40)})
    model = bc.model_from_formulas(["y ~ x"], data=data)
    return bc.Design(
        "regression",
        model,
        data,
        {"ATE": bc.ATE("x", "y")},
        (bc.Assumption("no confounding", "x and y have no common cause.", "spread"),),
        {"spread": spread, "broken": broken},
        {"picture": picture},
    )


@pytest.fixture(scope="module")
def fit(design):
    return bc.fit(design, seed=1, draws=200, progressbar=False)


def test_a_design_brings_its_data_and_the_fit_remembers_it(design, fit):
    plain = bc.fit(design.model, design.data, seed=1, draws=200, progressbar=False)
    assert fit.design is design
    assert plain.design is None
    xr.testing.assert_equal(fit.posterior, plain.posterior.assign_attrs(fit.posterior.attrs))
    ate = bc.estimate(fit, design.effects["ATE"])
    assert ate.mean() == bc.estimate(plain, bc.ATE("x", "y")).mean()


def test_other_data_and_a_changed_model_work(design):
    half = design.data.iloc[:20]
    assert bc.fit(design, half, seed=1, draws=50, progressbar=False).sizes == {"unit": 20}
    changed = bc.intervene(design.model, {"y": design.model["b_y_x"] * design.model["x"]})
    assert "y" in changed.named_vars
    assert bc.fit(design.model, design.data, seed=1, draws=50, progressbar=False).design is None


def test_every_verb_that_takes_a_model_takes_a_design(design):
    model = design.model
    assert list(bc.graph_of(design).edges) == list(bc.graph_of(model).edges)
    assert bc.to_text(design) == bc.to_text(model)
    assert str(bc.identify(design, "x", "y")) == str(bc.identify(model, "x", "y"))
    assert bc.identify(design, design.effects["ATE"]).status == "identified"
    assert bc.model_source(design) == bc.model_source(model)
    assert bc.prior_summary(design).equals(bc.prior_summary(model))
    assert bc.simulate(design, TRUTH, seed=1).equals(bc.simulate(model, TRUTH, seed=1))
    known = bc.truth(design, TRUTH)
    assert known.design is design
    assert bc.estimate(known, design.effects["ATE"]).mean() == 2.0
    assert bc.prior(design, draws=20, seed=1).sizes == {"unit": 40}
    assert "U_y" in bc.noise_form(design).named_vars
    assert bc.intervene(design, {"x": 1}).named_vars.keys() == model.named_vars.keys()
    assert "y_compressed" in bc.compress(design).named_vars


def test_studies_take_a_design(design):
    ask = design.effects["ATE"]
    options = {"seed": 1, "progressbar": False, "draws": 50, "chains": 2}
    study = bc.recover(design, TRUTH, ask, units=40, replicates=3, **options)
    same = bc.recover(design.model, TRUTH, ask, units=40, replicates=3, **options)
    left = study.rows.drop(columns="seconds")
    assert left.equals(same.rows.drop(columns="seconds"))
    grown = bc.assurance(
        design, TRUTH, ask, units=[40], replicates=2, seed=1, progressbar=False, draws=50
    )
    assert grown.curve["met"].tolist() == [1.0]
    check = bc.calibrate(
        design, ask, units=40, replicates=12, rank_draws=9, seed=1, progressbar=False, draws=50
    )
    assert check.verdict == "undecided"  # 12 data sets are few
    assert "b_y_x" in check.table.index


def test_a_fit_that_is_saved_takes_its_design_back(design, fit, tmp_path):
    path = tmp_path / "study.nc"
    fit.save(path)
    again = bc.load_fit(path, design)
    assert again.design is design
    assert again.notes == fit.notes
    alone = bc.load_fit(path, design.model)
    assert alone.design is None
    assert any("made of a design (regression)" in note for note in alone.notes)
    other = bc.Design("trial", design.model, design.data, dict(design.effects))
    with pytest.raises(FitMismatchError, match="the design was regression and is trial"):
        bc.load_fit(path, other)


def test_a_design_travels(design):
    import cloudpickle

    again = pickle.loads(cloudpickle.dumps(design))
    assert again.name == "regression"
    assert list(again.effects) == ["ATE"]
    assert again.assumptions == design.assumptions
    assert list(again.checks) == ["spread", "broken"]


def test_the_report_shows_the_design(design, fit, tmp_path):
    path = tmp_path / "study.html"
    page = bc.report(
        fit, list(design.effects.values()), path, checks="prior_posterior", progressbar=False
    )
    assert "x and y have no common cause." in page.html
    assert "The spread is what it is." in page.html
    assert "Not applicable: There is nothing to check." in page.html
    assert "Picture of the design regression." in page.html
    head = page.markdown.split("## Question")[0]
    assert "spread: warn. The spread is what it is." in head
    none = bc.report(fit, [design.effects["ATE"]], checks=False, progressbar=False)
    assert "The spread is what it is." not in none.html
    assert "x and y have no common cause." in none.html


def test_a_design_shows_itself(design):
    page = design._repr_html_()
    for said in ("<svg", "x causes y", "ATE", "no common cause", "checks: spread, broken"):
        assert said in page
    assert repr(design).startswith("Design(regression; effects: ATE)")
