"""The verb, its record, its words and pictures, and what is refused or warned of."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pymc as pm
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt
import pytensor.tensor as pt
from scipy.special import expit

import bayescausal as bc
from bayescausal.estimators import (
    AIPW,
    IPW,
    EstimatorWarning,
    FrontDoor,
    Logistic,
    Matching,
    Regression,
    Standardization,
    Stratification,
    TwoStageLeastSquares,
)
from bayescausal.estimators.explain.agreement import agreement
from bayescausal.types import (
    DataError,
    EmptySubgroupError,
    EstimandError,
    FitMismatchError,
    IdentificationError,
    UnknownVariableError,
)

GRAPH = "z -> x -> y; z -> y"
ATE = bc.ATE("x", "y")
NO_OVERLAP = r"the propensity of x has no finite solution.*that there is no overlap"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    z = rng.normal(size=400)
    x = rng.binomial(1, expit(z))
    return pd.DataFrame({"z": z, "x": x, "y": 2 * x + z + rng.normal(size=400)})


@pytest.fixture(scope="module")
def found(data):
    return bc.triangulate(GRAPH, ATE, data=data, draws=300, seed=1)


@pytest.fixture(scope="module")
def fit(data):
    """Known parameters and the data: all that estimators need of a fit, without sampling."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        x = pm.Bernoulli("x", logit_p=z, dims="unit")
        effect = pm.Normal("effect")
        pm.Normal("y", effect * x + z, 1, dims="unit")
    return bc.truth(model, {"effect": 2.0}, data, seed=3)


def ask(data, estimators=("regression",), question=ATE, graph=GRAPH, **options):
    return bc.triangulate(
        graph, question, estimators=list(estimators), data=data, draws=20, **options
    )


# ------------------------------------------------------------------------------ record


def test_the_default_panel(found):
    names = ["regression", "standardization", "stratified", "ipw", "matching", "aipw", "tmle"]
    assert list(found.effects) == names
    assert list(found.table.index) == names
    for effect in found.effects.values():
        assert isinstance(effect, bc.Effect)
        assert effect.draws.dims == ("chain", "draw")
        assert bool(effect.identification)
        assert effect.estimand == ATE
        assert effect.population == "the 400 units at hand"
        assert "Adjusted for z." in effect.notes
        assert effect.notes[0].startswith("Draws: ")
        assert float(effect) == pytest.approx(2, abs=0.5)
        assert "Raising x from 0 to 1 raises y by" in effect.sentence()
    assert found.table.loc["ipw", "models"] == "treatment"
    assert found.table.loc["aipw", "assumes"].startswith("the model of the outcome or of")
    assert found.table.loc["ipw", "balance"] < 0.1 < abs(found.balance.loc["z", "before"])
    # equal weights within arms would be as many as there are units
    arms = (found.problem.treated.sum(), found.problem.control.sum())
    assert (found.table["ess_treated"].dropna() <= arms[0] + 1e-9).all()
    assert (found.table["ess_control"].dropna() <= arms[1] + 1e-9).all()


def test_implied_weights_do_not_depend_on_the_units_of_columns(data):
    """Least squares within an arm balances every column exactly, in dollars or in millions."""
    graph = "z -> x -> y; z -> y; w -> x; w -> y"
    plain = data.assign(w=np.random.default_rng(1).gamma(3, size=len(data)))
    scaled = plain.assign(z=1e-4 * plain["z"], w=1e6 * plain["w"] + 1e3)
    tables = [ask(d, ["stratified"], graph=graph).table.loc["stratified"] for d in (plain, scaled)]
    assert max(t["balance"] for t in tables) < 1e-6
    for column in ("ess_treated", "ess_control", "largest_weight"):
        assert tables[1][column] == pytest.approx(tables[0][column], rel=1e-6)


def test_estimators_share_their_weights(found):
    """So that what they have in common cancels: most of the sample."""
    a, b = (found.effects[n] for n in ("ipw", "aipw"))
    assert (a - b).sd() < 0.7 * a.sd()
    again = bc.triangulate(GRAPH, ATE, estimators="aipw", data=_of(found), draws=300, seed=1)
    np.testing.assert_array_equal(again.effects["aipw"].draws, b.draws)


def _of(found):
    return {n: found.problem.table[n] for n in ("z", "x", "y")}


def test_the_model_of_a_fit_stands_beside(fit, data):
    both = bc.triangulate(fit, [bc.ATT("x", "y")], estimators=[AIPW(), Matching(k=1), "ipw"],
                          draws=100)  # fmt: skip
    assert list(both.effects) == ["aipw", "matching", "ipw"]
    assert both[0].model is not None
    assert "The structural model says" in both.sentence()
    alone = ask(data, ["aipw"], bc.ATT("x", "y"), seed=3)
    assert both.table.loc["aipw", "estimate"] == pytest.approx(alone.table.loc["aipw", "estimate"])
    names = [t.get_text() for t in both.plot().get_yticklabels()]
    assert names == ["structural model", "aipw", "matching", "ipw"]
    assert "effect" not in both.effects["aipw"].identification.sentence()


def test_several_questions(data):
    both = ask(data, ["ipw"], [ATE, bc.ATT("x", "y")])
    assert list(both.effects) == ["ATE x -> y: ipw", "ATT x -> y: ipw"]
    assert both.table.index.names == ["question", "estimator"]
    assert both.sentence().count("alone was asked") == 2
    assert len(both.plot().get_yticklabels()) == 2


def test_the_same_class_twice_has_its_options_as_names(data):
    both = ask(data, [IPW(), IPW(weights="overlap"), "regression"])
    assert list(both.effects) == ["IPW()", "IPW(weights='overlap')", "regression"]
    assert both.effects["IPW(weights='overlap')"].population.endswith("weighted by overlap")
    assert "is about another population and not compared" in both.sentence()
    with pytest.raises(EstimandError, match="is asked twice"):
        ask(data, ["ipw", IPW()])


# ------------------------------------------------------------------------------- words


def test_agreement_is_joint():
    """Two that are far apart for their own intervals, and near for their difference, and back."""
    rng = np.random.default_rng(1)
    shared = rng.normal(size=4000)
    close = agreement({"a": shared, "b": shared + 0.02 + 0.05 * rng.normal(size=4000)})
    assert close.level < 0.5
    apart = agreement({"a": shared, "b": shared + 0.5 + 0.05 * rng.normal(size=4000)})
    assert apart.level == 1.0
    assert apart.pair == ("b", "a")
    assert apart.gap == pytest.approx(0.5, abs=0.01)
    # of one difference d it is P(|d - m| < |m|)
    d = shared * 2 + 1
    level = agreement({"a": np.zeros(4000), "b": d}).level
    assert level == pytest.approx((np.abs(d - d.mean()) < abs(d.mean())).mean())
    assert agreement({"a": shared, "b": shared}).level == 0.0


def test_words_where_they_agree(found):
    text = found.sentence()
    assert text.startswith(
        "7 estimators of ATE x -> y over the 400 units at hand, adjusting for z lie "
    )
    assert "They agree within their joint uncertainty" in text
    assert "it says nothing of what all share, the graph" in text


def test_words_where_a_form_is_wrong():
    """The outcome has a square that regression lacks; the treatment depends on it."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=4000)
    x = rng.binomial(1, expit(np.abs(z) * 2 - 1.5))
    data = {"z": z, "a": np.abs(z), "x": x, "y": x + 3 * z**2 + rng.normal(size=4000)}
    graph = "z -> x -> y; z -> y"
    text = ask(data, ["regression", Stratification(), IPW(treatment=_Depends())],
               graph=graph).sentence()  # fmt: skip
    assert "They do not agree within their uncertainty" in text
    assert "Form: estimators that model the outcome differ from those that model the treatment" in (
        text
    )


class _Depends:
    """A propensity that reads the size of z, as the treatment does."""

    def fit(self, x, y):
        return self

    def predict(self, x):
        return expit(np.abs(x[:, 0]) * 2 - 1.5)

    def predict_proba(self, x):
        return np.column_stack([1 - self.predict(x), self.predict(x)])


# ---------------------------------------------------------------------------- pictures


@pytest.mark.parametrize(
    ("kind", "axis"),
    [
        ("forest", "effect"),
        ("love", "absolute standardised difference between the arms"),
        ("propensity", "chance of x=1 under the model"),
        ("weights", "weight of a unit in its arm (mean 1)"),
        ("calibration", "estimated chance of x"),
        ("roc", "share of those without x"),
        ("accuracy", "predicted outcome"),
    ],
)
def test_pictures(found, kind, axis):
    ax = found.plot(kind)
    label = ax.get_xlabel()
    assert label == axis or kind == "forest"
    assert ax.lines or ax.collections
    plt.close("all")


def test_the_accuracy_held_out_is_that_of_the_outcome(found):
    """y = 2 x + z + noise: within an arm z explains var(z) / (var(z) + 1)."""
    ax = found.plot("accuracy")
    said = [t.get_text() for t in ax.get_legend().get_texts()]
    shares = [float(t.split("R² ")[1].split(",")[0]) for t in said]
    z, x = found.problem.table["z"], found.problem.table["x"]
    for share, level in zip(shares, (0, 1), strict=True):
        v = z[x == level].var()
        assert share == pytest.approx(v / (v + 1), abs=0.12)
    plt.close("all")


def test_pictures_that_there_are_not(found, data):
    with pytest.raises(EstimandError, match="Did you mean 'forest'"):
        found.plot("forrest")
    with pytest.raises(EstimandError, match="None of these estimators has weights"):
        ask(data, ["standardization"]).plot("weights")


# ------------------------------------------------------------------------------ learners


class Fails:
    def fit(self, x, y):
        raise ValueError("too few leaves")

    def predict(self, x):  # pragma: no cover
        return x


def test_models_of_ones_own(data):
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression

    lean = AIPW(outcome=LinearRegression(), treatment=LogisticRegression(C=1e6), folds=4)
    found = ask(data, [lean, AIPW(interactions=True)])
    names = list(found.effects)
    values = found.table["estimate"]
    assert values[names[0]] == pytest.approx(values[names[1]], abs=0.1)
    assert "each unit's contribution" in found.effects[names[0]].notes[0]
    holes = data.assign(z=data["z"].where(np.arange(400) > 20))
    with pytest.raises(DataError, match=r"z: empty cells in \d+ of \d+ rows"):
        ask(holes, ["regression"])
    boosted = AIPW(outcome=HistGradientBoostingRegressor(max_iter=5), treatment=_Half(), folds=2)
    assert np.isfinite(float(ask(holes, [boosted]).effects["aipw"]))
    filled = AIPW(outcome=LinearRegression(), treatment=_Half(), folds=2)
    assert float(ask(holes, [filled]).effects["aipw"]) == pytest.approx(2, abs=0.7)
    with pytest.raises(DataError, match=r"Fails failed to fit y.*too few leaves"):
        ask(data, [AIPW(outcome=Fails())])
    with pytest.raises(EstimandError, match="an instance, not a class"):
        ask(data, [AIPW(outcome=Fails)])


class _Half(_Depends):
    def predict(self, x):
        return np.full(len(x), 0.5)


# ------------------------------------------------------------------------------ refusals


def test_names_of_estimators():
    with pytest.raises(EstimandError, match=r"'ipww' is not the name .* Did you mean 'ipw'"):
        bc.triangulate(GRAPH, ATE, estimators=["ipww"], data={"z": [0], "x": [0], "y": [0]})
    for value, said in (
        (lambda: IPW(weights="hayek"), "Did you mean 'hajek'"),
        (lambda: IPW(trim=0.7), "between 0 and 0.5"),
        (lambda: Matching(metric="mahalanobi"), "Did you mean 'mahalanobis'"),
        (lambda: Matching(k=0), "whole number of 1 or more"),
        (lambda: Matching(caliper=-1), "a positive number"),
        (lambda: Matching(metric="exact", k=2), "mean nothing beside metric='exact'"),
        (lambda: Matching(metric="mahalanobis", replace=False), "order='data' or 'random'"),
        (lambda: Matching(search=3), "an object with fit and kneighbors"),
        (lambda: Stratification(strata=0), "whole number of 1 or more"),
        (lambda: Logistic(penalty=-1), "a number of 0 or more"),
        (lambda: FrontDoor(outcome=3), "'auto', 'linear' or 'logistic'"),
    ):
        with pytest.raises(EstimandError, match=said):
            value()


def test_sets_that_do_not_serve():
    rng = np.random.default_rng(3)
    data = {n: rng.integers(0, 2, 60) for n in ("z", "w", "x", "m", "y", "d")}
    graph = "z -> x -> m -> y; z -> y; w -> x; m -> d"
    for adjust, kind, said in (
        (["m", "z"], IdentificationError, r"descends from the treatment \(x -> m\)"),
        (["d", "z"], IdentificationError, r"x -> m -> d"),
        ([], IdentificationError, r"Adjusting for nothing leaves a path open: x <- z -> y"),
        (["w"], IdentificationError, r"Sets that serve: \{z\}"),
        (["zz"], UnknownVariableError, "Did you mean 'z'"),
        (["y"], EstimandError, "the outcome"),
    ):
        with pytest.raises(kind, match=said):
            ask(data, ["regression"], graph=graph, adjust=adjust)
    with pytest.warns(EstimatorWarning, match="w: an instrument"):
        wide = ask(data, ["regression"], graph=graph, adjust=["z", "w"])
    assert wide.problem.adjust == ("z", "w")
    best = ask(data, ["regression"], graph=graph, adjust="optimal")
    assert best.problem.adjust == ("z",)


def test_questions_that_estimators_do_not_answer(data):
    for question, said in (
        (bc.QTE("x", "y", q=0.5), "two levels of one treatment"),
        (bc.ATE("x", "y", functional="median"), "means and probabilities"),
        (bc.ATE(["x", "z"], "y", treated=[1, 1], control=[0, 0]), "has 2 treatments"),
        (bc.ATE("x", "y", population="finite"), "their own noise"),
        (bc.ATE("x", "y", population="model"), "fresh units of a model"),
        (bc.ATE("x", "y", treated=bc.Shift(1)), "two levels"),
        (bc.ATE("x", "y", given={"x": 1}), "ask ATT or ATU"),
        (bc.ATE("x", "y", population=data), "reweights or matches the units at hand"),
    ):
        with pytest.raises(EstimandError, match=said):
            ask(data, ["ipw"], question)
    with pytest.raises(EstimandError, match="uses each unit once"):
        ask(data, [Matching(replace=False)])
    with pytest.raises(EstimandError, match="gives the difference of two means"):
        bc.triangulate("i -> x -> y; x <-> y", bc.ATE("x", "y", scale="ratio"),
                       estimators=[TwoStageLeastSquares()],
                       data=data.rename(columns={"z": "i"}), draws=5)  # fmt: skip
    with pytest.raises(EstimandError, match="which the treatment changes"):
        ask(data.assign(m=0), ["ipw"], bc.ATE("x", "y", given={"m": 1}), GRAPH + "; x -> m")


def test_what_nothing_identifies(data):
    with pytest.raises(IdentificationError, match="adjusts for confounders, and no set"):
        bc.triangulate("x -> y; x <-> y", ATE, data=data)
    with pytest.raises(IdentificationError, match="No measured variable is an instrument"):
        ask(data, [TwoStageLeastSquares()])
    with pytest.raises(IdentificationError, match="is no instrument"):
        ask(data, [TwoStageLeastSquares("z")])
    with pytest.raises(IdentificationError, match="No set of measured variables is a front door"):
        ask(data, [FrontDoor()])


def test_data_that_are_missing_or_wrong(data):
    with pytest.raises(DataError, match="A graph holds no data"):
        bc.triangulate(GRAPH, ATE)
    with pytest.raises(DataError, match=r"No unit has x = 1: one arm is empty \(treated 0,"):
        ask(data[data["x"] == 0])
    with pytest.raises(DataError, match="levels of 'x' there: a, b"):
        ask(data.assign(x=np.where(data["x"] == 1, "a", "b")))
    with pytest.raises(DataError, match="'y' is empty in 400 of 400 rows"):
        ask(data.assign(y=np.nan))
    with pytest.raises(EmptySubgroupError, match="z >= 9"):
        ask(data, question=bc.ATE("x", "y", given={"z": (9, None)}))
    with pytest.raises(EstimandError, match="whole number of 1 or more"):
        bc.triangulate(GRAPH, ATE, data=data, draws=0)
    with pytest.raises(EstimandError, match="3 of 400 units are at other levels of 'x'"):
        ask(data.assign(x=[2, 2, 2, *data["x"][3:]]), ["ipw"])
    with pytest.raises(DataError, match="There is one cluster alone"):
        ask(data.assign(c=1), question=bc.ATE("x", "y", population=bc.Superpopulation("c")))
    model = bc.model_from_formulas(["z ~ 1", "y ~ z"], data=data)
    with pytest.raises(DataError, match="has no data"):
        bc.triangulate(bc.prior(model, draws=5), bc.ATE("z", "y"), estimators=["regression"])
    with pytest.raises((FitMismatchError, EstimandError, ValueError)):
        bc.triangulate(3, ATE, data=data)


def test_no_overlap_is_refused_by_name():
    z = np.r_[np.zeros(40), np.ones(40)]
    data = {"z": z, "x": z.astype(int), "y": z, "w": np.tile([0, 1], 40)}
    graph = "z -> x -> y; z -> y; w -> x; w -> y"
    with pytest.raises(DataError, match=NO_OVERLAP):
        ask(data, ["ipw"], graph=graph)
    z = np.linspace(-3, 3, 200)
    data = {"z": z, "x": (z > 0).astype(int), "y": z}
    for estimator in ("ipw", "aipw", "matching"):
        with pytest.raises(DataError, match=NO_OVERLAP):
            ask(data, [estimator])
    assert np.isfinite(ask(data, ["regression"]).table.loc["regression", "estimate"])


def test_exploding_weights_and_constant_columns_are_warned_of():
    rng = np.random.default_rng(4)
    z = np.r_[rng.normal(size=300), 5.0]
    x = np.r_[rng.binomial(1, expit(2 * z[:300])), 0]
    data = {"z": z, "x": x, "y": rng.normal(size=301), "c": np.ones(301)}
    with pytest.warns(EstimatorWarning, match=r"ipw: Exploding weights: the \d+ untreated units"):
        ask(data, [IPW()])
    plain = {n: v[:300] for n, v in data.items()}
    with pytest.warns(EstimatorWarning, match="c: one value in these units"):
        found = ask(plain, [Regression()], graph=GRAPH + "; c -> x; c -> y")
    assert found.problem.names == ("z",)
    twice = plain | {"c": 2 * plain["z"]}
    found = ask(twice, [Regression()], graph=GRAPH + "; c -> x; c -> y")
    assert any("a linear combination" in note for note in found.effects["regression"].notes)


def test_categories_are_indicators(data):
    rng = np.random.default_rng(5)
    group = np.array(["a", "b", "c"], dtype=object)[rng.integers(0, 3, 400)]
    own = data.assign(g=pd.Categorical(group), y=data["y"] + (group == "c"))
    found = ask(own, [Standardization()], graph=GRAPH + "; g -> x; g -> y")
    assert found.problem.names == ("g=b", "g=c", "z")
    design = np.column_stack(
        [np.ones(400), data["x"], group == "b", group == "c", data["z"]]
    ).astype(float)
    right = np.linalg.lstsq(design, own["y"].to_numpy(), rcond=None)[0][1]
    assert found.table["estimate"].iloc[0] == pytest.approx(right)


@pytest.mark.parametrize("categorical", [True, False])
def test_whole_numbers_that_name_groups_are_indicators(categorical):
    """Chances of x .1, .9, .1 and levels of y 0, 5, 0 in three groups: on a line in none."""
    rng = np.random.default_rng(14)
    g = np.repeat([0, 1, 2], 400)
    x = (np.tile(np.arange(400), 3) < 400 * np.array([0.1, 0.9, 0.1])[g]).astype(int)
    y = np.array([0.0, 5.0, 0.0])[g] + x + rng.normal(0, 0.01, 1200)
    with pm.Model(coords={"unit": [0]}) as model:
        if categorical:
            own = pm.Categorical("g", [0.3, 0.3, 0.4], dims="unit")
        else:
            own = pm.Data("g", [0], dims="unit")
        chance, level = pt.constant([0.1, 0.9, 0.1]), pt.constant([0.0, 5.0, 0.0])
        treated = pm.Bernoulli("x", chance[own], dims="unit")
        pm.Normal("y", level[own] + treated, 1, dims="unit")
    known = bc.truth(model, {}, pd.DataFrame({"g": g, "x": x, "y": y}))
    found = bc.triangulate(known, ATE, estimators=["standardization", "ipw", "aipw"], draws=20)
    assert found.problem.names == ("g=1", "g=2")
    assert found.table["estimate"].to_numpy() == pytest.approx(1, abs=0.01)


def test_weak_instruments_are_told():
    rng = np.random.default_rng(6)
    z, x, y = rng.normal(size=(3, 100))
    found = bc.triangulate("z -> x -> y; x <-> y", ATE, data={"z": z, "x": x, "y": y}, draws=5)
    notes = " ".join(found.effects["two_stage_least_squares"].notes)
    assert "First-stage F: " in notes
    assert "Weak instrument" in notes


def test_a_report_shows_them_when_asked(fit):
    options = {"checks": False, "progressbar": False}
    page = bc.report(fit, [ATE, bc.Association("x", "y")], triangulate=["ipw", "aipw"], **options)
    text = page.markdown
    assert "Other ways to the same number" in text
    assert "2 estimators of ATE x -> y" in text
    assert "What they rest on" in text
    assert "No other estimator answers: Estimators are about two levels of one treatment" in text
    assert "Other ways" not in bc.report(fit, ATE, **options).markdown
