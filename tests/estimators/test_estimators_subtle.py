"""Where an estimator would give a number that is silently another's: subgroups, cells, models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy.special import expit

import bayescausal as bc
from bayescausal.estimators import (
    AIPW,
    DML,
    IPW,
    FrontDoor,
    Matching,
    SLearner,
    Standardization,
    Stratified,
    TLearner,
    TwoStageLeastSquares,
)
from bayescausal.estimators.explain.balance import differences
from bayescausal.estimators.learners.scores import mean_outcome
from bayescausal.estimators.nuisance.propensity import propensity
from bayescausal.estimators.problem.problem import Same
from bayescausal.estimators.problem.reading import read_problem
from bayescausal.types import DataError, EstimandError, IdentificationError

GRAPH = "z -> x -> y; z -> y"
ATE = bc.ATE("x", "y")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    z = rng.normal(size=300)
    x = rng.binomial(1, expit(z))
    return pd.DataFrame({"z": z, "x": x, "y": 2 * x + z + rng.normal(size=300)})


def ask(data, estimator, question=ATE, graph=GRAPH, **options):
    return bc.triangulate(graph, question, estimators=[estimator], data=data, draws=5, **options)


# ------------------------------------------------------------------------------ subgroups


def test_a_subgroup_opens_paths_that_a_named_set_must_shut():
    """Within a collider of two hidden causes nothing is not enough, over all units it is."""
    rng = np.random.default_rng(1)
    u, v = rng.normal(size=(2, 400))
    c = (u + v > 0).astype(int)
    x = rng.binomial(1, expit(u))
    table = {"u": u, "v": v, "c": c, "x": x, "y": x + v}
    graph = "u -> c <- v; u -> x -> y <- v"
    assert ask(table, "regression", graph=graph, adjust=[]).problem.adjust == ()
    for question in (bc.ATE("x", "y", given={"c": 1}), bc.ATE("x", "y", by="c")):
        with pytest.raises(IdentificationError, match=r"x <- u -> c <- v -> y"):
            ask(table, "regression", question, graph, adjust=[])
    inside = ask(table, "regression", bc.ATE("x", "y", given={"c": 1}), graph, adjust=["v"])
    assert inside.table["estimate"].iloc[0] == pytest.approx(1.0)  # y = x + v


def test_an_instrument_may_be_none_within_a_subgroup():
    """Looking at a common effect of the instrument and the outcome's causes joins the two."""
    rng = np.random.default_rng(2)
    table = {n: rng.integers(0, 2, 80) for n in ("i", "x", "y", "c", "w")}
    graph = "i -> x -> y; x <-> y; i -> c; y <-> c; w -> y"
    assert len(ask(table, TwoStageLeastSquares(), graph=graph).table) == 1
    for question in (bc.ATE("x", "y", given={"c": 1}), bc.ATE("x", "y", by="c")):
        with pytest.raises(IdentificationError, match="No measured variable is an instrument"):
            ask(table, TwoStageLeastSquares(), question, graph)
    kept = bc.identify(graph, bc.ATE("x", "y", by="w")).instruments
    assert [str(i) for i in kept] == ["i"]


def test_each_subgroup_names_its_own_population(data):
    own = data.assign(g=np.repeat(["a", "b"], 150))
    trimmed = IPW(weights="trimmed", trim=0.3)
    found = ask(own, trimmed, bc.ATE("x", "y", by="g"), GRAPH + "; g -> y")
    said = found.effects["ipw"].population
    assert said.startswith("a: the ")
    assert "; b: the " in said
    parts = [each.whom for each in found.answers["ipw"].prepared]
    assert parts[0] != parts[1]
    assert all(part in said for part in parts)
    all_ = ask(own, IPW(weights="trimmed", trim=1e-9)).effects["ipw"]
    assert all_.population == ask(own, IPW()).effects["ipw"].population == "the 300 units at hand"


# ------------------------------------------------------------------------------- empty cells


def test_empty_cells_are_refused_by_what_cannot_use_them(data):
    """Cut at quantiles, a column with an empty cell would be one cell: nothing adjusted for."""
    holes = data.assign(z=data["z"].where(np.arange(300) % 50 > 0))
    with pytest.raises(DataError, match="z: empty cells in 6 of 300 rows, which exact matching"):
        ask(holes, Matching(metric="exact"))
    mediated = {"x": data["x"], "m": holes["z"].round(), "y": data["y"]}
    with pytest.raises(DataError, match="m: empty cells in 6 of 300 rows, which the front door"):
        ask(mediated, FrontDoor(), graph="x -> m -> y; x <-> y")


def test_one_empty_cell_is_filled_in_every_fold(data):
    """It is in one fold alone, so the models of that fold's units have not seen it."""
    from sklearn.linear_model import LinearRegression, LogisticRegression

    one = data.assign(z=data["z"].where(np.arange(300) != 7))
    lean = AIPW(outcome=LinearRegression(), treatment=LogisticRegression(), folds=3)
    found, whole = (ask(d, lean).table["estimate"].iloc[0] for d in (one, data))
    assert found == pytest.approx(whole, abs=0.1)
    problem = read_problem(GRAPH, ATE, data=one)
    there = np.isfinite(problem.x[:, 0])
    x, t = problem.x[there, 0], problem.treated[there]
    spread = np.sqrt((x[t].var() + x[~t].var()) / 2)
    right = (x[t].mean() - x[~t].mean()) / spread
    assert differences(problem)["z"] == pytest.approx(right)


def test_a_column_that_is_the_treatment_is_not_balanced(data):
    problem = read_problem(GRAPH, ATE, data=data.assign(z=1.0 * data["x"]))
    assert differences(problem)["z"] == np.inf


# ------------------------------------------------------------------------- models on the way


def test_classifiers_are_no_models_of_numbers(data):
    """They predict the likeliest count, and not its mean."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    counts = data.assign(y=np.random.default_rng(3).poisson(1 + data["x"]))
    for estimator in (Standardization(outcome=LogisticRegression()),
                      TLearner(outcome=LogisticRegression())):  # fmt: skip
        with pytest.raises(EstimandError, match="is a classifier: of 'y', a number"):
            ask(counts, estimator)
    happened = data.assign(y=(data["y"] > 1).astype(int))
    for estimator in (IPW(treatment=LinearSVC()), Standardization(outcome=LinearSVC())):
        with pytest.raises(EstimandError, match="predicts levels and no chances"):
            ask(happened, estimator)
    with pytest.raises(EstimandError, match="effect=LogisticRegression is a classifier"):
        ask(data, bc.estimators.RLearner(outcome=_Mean(), effect=LogisticRegression()))


class _Mean:
    """Predicts the mean of what it has seen."""

    def fit(self, x, y):
        self.mean = float(np.mean(y))
        return self

    def predict(self, x):
        return np.full(len(x), self.mean)


def test_an_arm_of_one_outcome_is_certain(data):
    from sklearn.tree import DecisionTreeClassifier

    happened = data.assign(y=np.where(data["x"] == 1, 1, (data["z"] > 0).astype(int)))
    made = Stratified(outcome=DecisionTreeClassifier(max_depth=1, random_state=0), folds=1)
    found = ask(happened, made).table["estimate"].iloc[0]
    assert found == pytest.approx(1 - (data["z"] > 0).mean())  # one split tells y_0 of z


def test_a_pipeline_that_drops_the_treatment_is_refused(data):
    """Its effect would be 0, whatever the data."""
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    drops = make_pipeline(make_column_transformer((StandardScaler(), ["z"])), LinearRegression())
    for estimator in (SLearner(outcome=drops, folds=2), Standardization(outcome=drops)):
        with pytest.raises(EstimandError, match="drops the column 'x', so this model knows of no"):
            ask(data, estimator)
    keeps = make_pipeline(
        make_column_transformer((StandardScaler(), ["z"]), remainder="passthrough"),
        LinearRegression(),
    )
    found = ask(data, Standardization(outcome=keeps, folds=1)).table["estimate"].iloc[0]
    right = ask(data, "regression").table["estimate"].iloc[0]
    assert found == pytest.approx(right)


def test_two_models_of_one_text_are_two(data):
    """What was computed is kept for the very object, not for others that look the same."""

    class Constant(_Mean):
        def __init__(self, value):
            self.value = value

        def fit(self, x, y):
            self.mean = self.value
            return self

        def __repr__(self):
            return "Constant()"

    problem = read_problem(GRAPH, ATE, data=data)
    first, second = (mean_outcome(problem, Constant(v), 2) for v in (0.0, 5.0))
    assert set(first) == {0.0}
    assert set(second) == {5.0}
    one = Constant(1)
    assert Same(one) == Same(one)
    assert Same(one) != Same(Constant(1))
    with pytest.raises(EstimandError, match="do not enter as a product"):
        ask(data, DML(outcome=_Mean(), folds=1))


# ------------------------------------------------------------------------ codes and targets


def test_codes_of_categories_are_no_numbers():
    """Codes 0, 1, 2 with chances and outcomes that are highest at 1: a line in them misses that."""
    rng = np.random.default_rng(5)
    g = rng.integers(0, 3, 600)
    x = rng.binomial(1, np.array([0.2, 0.8, 0.3])[g])
    table = pd.DataFrame({"g": g, "x": x, "y": x + np.array([0.0, 5.0, 1.0])[g]})
    with pm.Model(coords={"unit": [0]}) as model:
        a, b = pm.Normal("a", shape=3), pm.Normal("b", shape=3)
        kind = pm.Categorical("g", p=np.ones(3) / 3, dims="unit")
        taken = pm.Bernoulli("x", logit_p=a[kind], dims="unit")
        pm.Normal("y", b[kind] + pm.Normal("effect") * taken, 1, dims="unit")
    fit = bc.truth(model, {"a": [-1.4, 1.4, -0.8], "b": [0, 5, 1], "effect": 1.0}, table)
    found = bc.triangulate(fit, ATE, estimators=["regression", "ipw"], draws=5)
    assert found.problem.names == ("g=1", "g=2")
    assert found.table["estimate"].tolist() == pytest.approx([1.0, 1.0])


# ---------------------------------------------------------------------- scales and clusters


def test_the_standard_error_is_that_of_a_difference(data):
    happened = data.assign(y=(data["y"] > 1).astype(int))
    apart = ask(happened, AIPW()).table["se"].iloc[0]
    assert apart > 0
    ratio = ask(happened, AIPW(), bc.ATE("x", "y", scale="ratio")).table
    assert np.isnan(ratio["se"].iloc[0])


def test_standard_errors_of_clusters_are_those_of_their_sums():
    """Of two means: the sums of residuals of each cluster, over the sizes of the arms."""
    rng = np.random.default_rng(4)
    school = np.repeat(np.arange(20), 15)
    x = (np.arange(20) % 2)[school]
    y = x + rng.normal(size=20)[school] + 0.1 * rng.normal(size=300)
    question = bc.ATE("x", "y", population=bc.Superpopulation(clusters="school"))
    mean = np.array([y[x == k].mean() for k in (0, 1)])
    sums = np.bincount(school, weights=y - mean[x]) / 150
    right = np.sqrt((sums**2).sum())
    for estimator in ("regression", "aipw", Matching(metric="mahalanobis")):
        found = ask({"x": x, "y": y, "school": school}, estimator, question, "x -> y").table
        assert found["se"].iloc[0] == pytest.approx(right), estimator
        # without covariates all are equally near, and the match is the mean of the other arm
        assert found["estimate"].iloc[0] == pytest.approx(mean[1] - mean[0]), estimator


# ------------------------------------------------------------------------- several levels


@pytest.fixture(scope="module")
def three(data):
    """A third level that z leads to and that lifts the outcome: no untreated unit has it."""
    rng = np.random.default_rng(3)
    z, w = rng.normal(size=(2, 600))
    third = rng.random(600) < expit(-2 * z)
    x = np.where(third, "c", np.where(rng.random(600) < expit(z), "b", "a"))
    y = np.where(x == "b", 1.0, 0.0) + np.where(x == "c", 9.0, 0.0) + z + rng.normal(size=600)
    return pd.DataFrame({"z": z, "w": w, "x": x, "y": y})


def test_screening_looks_at_the_two_levels_that_are_compared(three):
    """The third is not counted with the untreated: p-values are those without its units."""
    graph, question = "z -> x -> y; z -> y; w -> y", bc.ATE("x", "y", treated="b", control="a")
    found = bc.estimators.screen(graph, question, data=three)
    alone = bc.estimators.screen(graph, question, data=three[three["x"] != "c"])
    pd.testing.assert_frame_equal(found.table, alone.table)
    assert found.adjust == alone.adjust
    with pytest.raises(DataError, match="No unit has x = d"):
        bc.estimators.screen(graph, bc.ATE("x", "y", treated="d", control="a"), data=three)


def test_no_propensity_counts_a_third_level_as_untreated(three):
    """Overlap weights are refused, whoever averages by them; pictures show the two arms alone."""
    levels = {"treated": "b", "control": "a"}
    for estimator in (Stratified(), Standardization(), IPW()):
        with pytest.raises(EstimandError, match=r"\d+ of 600 units are at other levels of 'x'"):
            ask(three, estimator, bc.ATO("x", "y", **levels))
    found = ask(three, Stratified(), bc.ATE("x", "y", **levels))
    two = three[three["x"] != "c"]
    alone = ask(two, Stratified(), bc.ATE("x", "y", **levels))
    for kind in ("propensity", "calibration", "roc", "accuracy"):
        drawn, expected = (np.concatenate([line.get_xydata() for line in f.plot(kind).lines])
                           for f in (found, alone))  # fmt: skip
        np.testing.assert_allclose(drawn, expected, err_msg=kind)
    with pytest.raises(EstimandError, match="The propensity of x compares two arms"):
        propensity(found.problem)
