"""Categories whose labels are numbers, or text, in everything that answers.

The kind: a category is held as a code 0, 1, ..., and a question about its labels is answered for
the codes. Looked at: labels 10, 20, 40; labels whose order is not that of numbers; text; events,
quantiles, survival curves, restricted means, unit effects and their bounds, probabilities of
causation, averages over the units at hand, worlds, counterfactuals, refutations, heterogeneity.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.checks.overlap.covariates import covariate_columns
from bayescausal.checks.refutation.data import simulated
from bayescausal.designs.mediated.mediator_checks import _predictor
from bayescausal.evaluation.evaluate import units_of
from bayescausal.types import EstimandError, UndefinedEffectError

X = np.arange(40) % 2
SEEN = np.repeat([0, 1, 2, 1], 10)
P = {0: np.array([0.5, 0.3, 0.2]), 1: np.array([0.2, 0.3, 0.5])}
TEXT = ["a", "b", "c"]


@pytest.fixture(scope="module")
def model():
    with pm.Model(coords={"unit": [0]}) as made:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        p = pm.math.stack([0.5 - 0.3 * x, 0.3 + 0 * x, 0.2 + 0.3 * x], axis=-1)
        pm.Categorical("y", p=p, dims="unit")
    return made


@pytest.fixture(scope="module")
def known(model):
    def made(labels):
        y = pd.Categorical.from_codes(SEEN, categories=labels)
        return bc.truth(model, {}, pd.DataFrame({"x": X, "y": y}), draws=2, seed=1)

    return made


def test_a_survival_curve_of_numeric_labels_is_about_the_labels(known):
    fit = known([10, 20, 40])
    found = bc.estimate(fit, bc.ATE("x", "y", functional=bc.Survival([5, 10, 19, 20, 40])))
    right = [(P[1] - P[0])[np.array([10, 20, 40]) > t].sum() for t in (5, 10, 19, 20, 40)]
    np.testing.assert_allclose(found.draws[0, 0], right, atol=1e-12)
    assert np.max(found.mc_error) == 0


def test_the_effect_on_a_unit_is_a_difference_of_labels(known):
    """With one rank for both worlds, a unit seen at y has a rank uniform in its share of P."""
    labels = np.array([10.0, 20.0, 40.0])
    fit = known(labels)
    found = bc.estimate(fit, bc.ITE("x", "y", coupling="monotone"))
    both = bc.counterfactual(fit, {"one": {"x": 1}, "none": {"x": 0}}, coupling="monotone")
    y = both["y"]
    assert set(np.unique(y)) <= {10.0, 20.0, 40.0}
    np.testing.assert_array_equal(y.sel(world="factual")[0, 0], labels[SEEN])
    np.testing.assert_array_equal(found.draws, y.sel(world="one") - y.sel(world="none"))
    share = bc.ITE("x", "y", coupling="monotone", functional=bc.Probability(at_least=15))
    above = bc.estimate(fit, share)
    assert above.draws[0, 0] == np.mean(np.asarray(found.draws)[0, 0] >= 15)
    # Makarov from the margins on P(y1 - y0 < 15), y in 10, 20, 40: sup and inf by enumeration
    F1, F0 = (lambda v, x=x: P[x][labels <= v].sum() for x in (1, 0))
    grid = np.unique(np.r_[labels, labels + 15]) + np.array([[-1e-9], [0], [1e-9]])
    gaps = [F1(v) - F0(v - 15) for v in grid.ravel()]
    less = [F1(v - 1e-7) - F0(v - 15) for v in np.unique(np.r_[labels, labels + 15])]
    low, high = 1 - (1 + min(0.0, *gaps, *less)), 1 - max(0.0, *gaps)
    np.testing.assert_allclose(above.bounds[0, 0], [low, high], atol=2 / 128)


def test_worlds_have_numeric_labels_and_say_those_that_are_text(known):
    fit = known([10, 20, 40])
    assert set(np.unique(bc.worlds(fit, {"a": {"x": 1}}, kind="draw")["y"])) == {10, 20, 40}
    y = bc.worlds(known(TEXT), {"a": {}}, variables="y", kind="draw")["y"]
    assert y.attrs["labels"] == TEXT
    np.testing.assert_array_equal(y[0, 0, 0], SEEN)


@pytest.mark.parametrize(
    "asked",
    [
        bc.ATE("x", "y", functional=bc.Survival([1])),
        bc.ATE("x", "y", functional=bc.Probability(above=1)),
        bc.QTE("x", "y", q=0.5),
        bc.ITE("x", "y", coupling="monotone"),
        bc.ITE("x", "y", coupling="monotone", functional=bc.Probability(above=0)),
    ],
    ids=str,
)
def test_labels_that_are_text_are_no_numbers(known, asked):
    with pytest.raises(EstimandError, match=r"'y' are a, b, c: they are no numbers"):
        bc.estimate(known(TEXT), asked)


def test_an_event_is_a_label(known):
    with pytest.raises(EstimandError, match="1 is not a category of 'y'"):
        bc.estimate(known(TEXT), bc.PNS("x", "y", coupling="monotone"))
    event = bc.ATE("x", "y", functional=bc.Probability(equals="c"))
    assert float(bc.estimate(known(TEXT), event)) == pytest.approx(0.3)
    first = bc.Expected("y", functional=bc.CumulativeIncidence(2, "x"))
    with pytest.raises(EstimandError, match="'y' is a category, and times are compared"):
        bc.estimate(known([1, 2, 3]), first)


@pytest.mark.parametrize(
    "asked",
    [
        bc.ATE("x", "y", population="finite", coupling="monotone"),
        bc.Expected("y"),
        bc.ATE("x", "y", functional="total"),
    ],
    ids=str,
)
@pytest.mark.parametrize("labels", [[10, 20, 40], TEXT], ids=str)
def test_categories_have_no_mean_whoever_is_averaged_over(known, asked, labels):
    with pytest.raises(UndefinedEffectError, match="'y' are categories, which have no mean"):
        bc.estimate(known(labels), asked)


def test_outcomes_are_simulated_at_the_levels_that_units_have():
    """A refutation holds a labelled treatment where it is: codes are not read as labels."""
    with pm.Model(coords={"unit": [0]}) as model:
        g = pm.Categorical("g", p=[0.3, 0.3, 0.4], dims="unit")
        pm.Normal("y", pm.math.stack([0.0, 10.0, 20.0])[g], 1e-6, dims="unit")
    data = pd.DataFrame({"g": pd.Categorical.from_codes(SEEN, [2, 0, 1]), "y": np.zeros(40)})
    fit = bc.truth(model, {}, data, seed=1)
    _, columns = simulated(fit, ("g",), 0, 1, {"g": fit.columns["g"]})
    np.testing.assert_allclose(columns["y"], 10.0 * SEEN, atol=1e-4)
    _, columns = simulated(fit, ("g",), 0, 1, {"g": 1})
    np.testing.assert_allclose(columns["y"], 10.0, atol=1e-4)


def test_effects_that_differ_between_categories_are_told_by_category():
    """The effects of 3, 1, 2 are 5, 0, 0: no line in the label, and one difference of levels."""
    effect = np.array([5.0, 0.0, 0.0])
    with pm.Model(coords={"unit": [0], "k": range(3)}) as model:
        c = pm.Categorical("c", p=[0.3, 0.3, 0.4], dims="unit")
        t = pm.Data("t", np.zeros(1), dims="unit")
        b = pm.Normal("b", dims="k")
        pm.Normal("y", b[c] * t, 1, dims="unit")
    data = {"c": pd.Categorical.from_codes(SEEN, [3, 1, 2]), "t": X * 1.0, "y": np.zeros(40)}
    fit = bc.truth(model, {"b": effect}, pd.DataFrame(data), draws=2)
    found = bc.heterogeneity(fit, bc.ATE("t", "y"))
    assert found.projections.loc["c", "R2 mean"] == pytest.approx(1)
    means = {group: row["mean"] for (_, group), row in found.subgroups.iterrows()}
    assert means == pytest.approx({"3": 5.0, "1": 0.0, "2": 0.0})
    assert found.curve("c")["mean"].to_dict() == pytest.approx({3: 5.0, 1: 0.0, 2: 0.0})
    rule = bc.policy(fit, bc.ATE("t", "y"), rule="threshold", cost=1.0)
    assert rule.words == "units with c == 3"
    np.testing.assert_array_equal(rule.treat, SEEN == 0)


@pytest.fixture(scope="module")
def formulas():
    """A column of the labels 3, 1, 2 without an equation: it is data, and held as it is."""
    rng = np.random.default_rng(1)
    effect = np.array([0.0, 5.0, 1.0])[SEEN]
    data = pd.DataFrame({"c": pd.Categorical.from_codes(SEEN, [3, 1, 2]), "t": X})
    data["y"] = data.t + effect + rng.normal(0, 0.1, 40)
    model = bc.model_from_formulas(["y ~ t + c"], data=data)
    return data, bc.fit(model, data, seed=1, draws=50, chains=2, progressbar=False)


def test_estimators_adjust_for_categories_and_not_for_numbers(formulas):
    data, fit = formulas
    columns = [np.ones(40), X, SEEN == 1, SEEN == 2]
    right = np.linalg.lstsq(np.column_stack(columns).astype(float), data.y, rcond=None)[0][1]
    found = bc.triangulate(fit, bc.ATE("t", "y"), estimators="regression", seed=1)
    assert found.table.loc["regression", "estimate"] == pytest.approx(right, abs=1e-9)


def test_covariates_are_categories_wherever_they_are_told(formulas):
    _, fit = formulas
    found = bc.heterogeneity(fit, bc.ATE("t", "y"))
    assert np.isnan(found.projections.reindex(columns=["slope mean"]).loc["c"]).all()
    assert found.curve("c").index.tolist() == [1, 2, 3]
    columns, _ = covariate_columns(fit, units_of(fit), "t", ["c"], slice(0, 1))
    assert [*columns] == ["c=1", "c=2", "c=3"]
    np.testing.assert_array_equal(columns["c=3"][0], SEEN == 0)
    b = {n: np.asarray(v).reshape(100, -1) for n, v in fit.posterior.items()}
    right = b["b_y_Intercept"] + np.c_[np.zeros(100), b["b_y_c"]][:, SEEN]
    np.testing.assert_allclose(_predictor(fit, "y", ("c",)), right)
