"""Learners of conditional effects against their formulas in NumPy, and against simulated truths.

Where a learner's models are linear regressions, it is a formula of matrices, computed here without
the package. Averages are compared within standard errors that the estimators' own formulas give.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayescausal as bc
from bayescausal.estimators.learners.learner import Learner
from bayescausal.estimators.learners.scores import doubly_robust_scores, losses
from bayescausal.estimators.nuisance.folds import folds_of
from bayescausal.estimators.problem.reading import read_problem
from bayescausal.types import DataError, EstimandError

sklearn = pytest.importorskip("sklearn", reason="learners need scikit-learn")
from sklearn.ensemble import GradientBoostingRegressor  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402

GRAPH = "a -> t; b -> t; a -> y; b -> y; t -> y"
LINEAR = LinearRegression()


def study(n=400, seed=3):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(size=n)
    t = rng.binomial(1, 1 / (1 + np.exp(-0.8 * a)))
    tau = 1 + b
    y = a + 0.5 * b + t * tau + rng.normal(0, 0.5, n)
    return pd.DataFrame({"a": a, "b": b, "t": t, "y": y}), tau


@pytest.fixture(scope="module")
def problem():
    data, _ = study()
    return read_problem(GRAPH, bc.ATE("t", "y"), data=data, adjust=["a", "b"])


def ols(x, y, w=None):
    x = np.column_stack([np.ones(len(x)), x])
    w = np.ones(len(x)) if w is None else w
    return np.linalg.solve((x.T * w) @ x, (x.T * w) @ y)


def at(beta, x):
    return beta[0] + x @ beta[1:]


def folds(problem, count):
    fold = folds_of(problem, count)
    for k in range(count):
        yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)


def propensity(problem):
    return bc.estimators.IPW().prepared(problem).chance


def test_s_and_t_learners_are_differences_of_regressions(problem):
    x, y, t = problem.x, problem.y, problem.treated
    s, two = np.empty(problem.n), np.empty(problem.n)
    for seen, asked in folds(problem, 3):
        s[asked] = ols(np.column_stack([t, x])[seen], y[seen])[1]
        one, zero = (ols(x[seen[t[seen] == v]], y[seen[t[seen] == v]]) for v in (True, False))
        two[asked] = at(one, x[asked]) - at(zero, x[asked])
    made = bc.estimators.SLearner(outcome=LINEAR, folds=3)
    assert np.allclose(made.conditional_effects(problem), s)
    made = bc.estimators.TLearner(outcome=LINEAR, folds=3)
    assert np.allclose(made.conditional_effects(problem), two)


@pytest.mark.parametrize("weighted", [False, True])
def test_imputed_effects_of_the_x_and_the_domain_adaptation_learner(problem, weighted):
    x, y, t, e = problem.x, problem.y, problem.treated, propensity(problem)
    right = np.empty(problem.n)
    for seen, asked in folds(problem, 3):
        arms = [seen[t[seen] == v] for v in (True, False)]
        w = (
            [(1 - e[arms[0]]) / e[arms[0]], e[arms[1]] / (1 - e[arms[1]])]
            if weighted
            else [None] * 2
        )
        one, zero = (ols(x[r], y[r], v) for r, v in zip(arms, w, strict=True))
        d1, d0 = y[arms[0]] - at(zero, x[arms[0]]), at(one, x[arms[1]]) - y[arms[1]]
        if weighted:
            right[asked] = at(ols(x[np.r_[arms[0], arms[1]]], np.r_[d1, d0]), x[asked])
            continue
        g = np.clip(at(ols(x[seen], e[seen]), x[asked]), 0, 1)
        right[asked] = g * at(ols(x[arms[1]], d0), x[asked])
        right[asked] += (1 - g) * at(ols(x[arms[0]], d1), x[asked])
    kind = bc.estimators.DomainAdaptation if weighted else bc.estimators.XLearner
    made = kind(outcome=LINEAR, effect=LINEAR, folds=3)
    assert np.allclose(made.conditional_effects(problem), right)


def test_r_and_dr_learners_are_regressions_of_residuals_and_scores(problem):
    x, y, t, e = problem.x, problem.y, problem.treated, propensity(problem)
    m, both = np.empty(problem.n), np.empty((2, problem.n))
    for seen, asked in folds(problem, 3):
        m[asked] = at(ols(x[seen], y[seen]), x[asked])
        for k, v in enumerate((True, False)):
            rows = seen[t[seen] == v]
            both[k, asked] = at(ols(x[rows], y[rows]), x[asked])
    scores = doubly_robust_scores(problem, both, e)
    r, dr = np.empty(problem.n), np.empty(problem.n)
    for seen, asked in folds(problem, 3):
        left = t[seen] - e[seen]
        r[asked] = at(ols(x[seen], (y - m)[seen] / left, left**2), x[asked])
        dr[asked] = at(ols(x[seen], scores[seen]), x[asked])
    options = {"outcome": LINEAR, "effect": LINEAR, "folds": 3}
    assert np.abs(t - e).min() > 0.01
    assert np.allclose(bc.estimators.RLearner(**options).conditional_effects(problem), r)
    assert np.allclose(bc.estimators.DRLearner(**options).conditional_effects(problem), dr)
    made = bc.estimators.DML(form="partially linear", outcome=LINEAR, folds=3).prepared(problem)
    theta = (t - e) @ (y - m) / ((t - e) @ (t - e))
    assert np.isclose(made.draw(np.ones((1, problem.n)))[0], theta)
    table = losses(problem, {"r": r, "none": np.zeros(problem.n)}, LINEAR, 3)
    assert np.isclose(table.loc["r", "r_loss"], np.mean((y - m - (t - e) * r) ** 2))
    assert table.loc["r", "dr_loss"] < table.loc["none", "dr_loss"]


def test_the_average_of_a_learner_is_that_of_its_scores(problem):
    made = bc.estimators.TLearner(outcome=LINEAR, folds=3)
    ready = made.prepared(problem)
    scores = doubly_robust_scores(problem, ready.fitted, ready.chance)
    one, zero = ready.draw(np.ones((1, problem.n)))
    # weighted residuals of an arm are divided by the number of units, as in the score
    assert np.isclose(one[0] - zero[0], scores.mean())
    tau = made.conditional_effects(problem)
    assert ready.numbers["average of the learner alone"] == pytest.approx(tau.mean())


@pytest.mark.parametrize("name", ["s_learner", "t_learner", "x_learner", "r_learner", "dr_learner",
                                  "domain_adaptation", "dml"])  # fmt: skip
def test_learners_by_name_find_a_known_average(name):
    data, tau = study(800, seed=5)
    found = bc.triangulate(GRAPH, bc.ATE("t", "y"), estimators=[name], data=data, draws=200,
                           adjust=["a", "b"])  # fmt: skip
    row = found.table.loc[name]
    assert abs(row["estimate"] - tau.mean()) < 4 * row["se"]
    assert "contribution to the estimate" in " ".join(found.effects[name].notes)


def test_a_wrong_outcome_model_is_mended_by_the_propensity():
    """The learner alone is biased by what its outcome model leaves out; its average is not."""
    data, tau = study(4000, seed=9)
    problem = read_problem(GRAPH, bc.ATE("t", "y"), data=data, adjust=["a", "b"])

    class Constant(LinearRegression):
        def fit(self, x, y, sample_weight=None):
            return super().fit(np.zeros((len(x), 1)), y, sample_weight)

        def predict(self, x):
            return super().predict(np.zeros((len(x), 1)))

    made = bc.estimators.TLearner(outcome=Constant(), folds=2).prepared(problem)
    one, zero = made.draw(np.ones((1, problem.n)))
    alone = made.numbers["average of the learner alone"]
    assert abs(one[0] - zero[0] - tau.mean()) < 4 * made.se
    assert abs(alone - tau.mean()) > 6 * made.se


SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.skipif(not (SHARED / "lalonde.csv").exists(), reason="the shared data are absent")
def test_the_published_s_learner_of_lalonde():
    """First effects on held-out rows: a lecture of 2026 on S-learners, scikit-learn's own split."""
    from sklearn.model_selection import train_test_split

    data = pd.read_csv(SHARED / "lalonde.csv")
    for level in ("hispan", "white"):
        data[f"race_{level}"] = (data["race"] == level).astype(int)
    names = ["age", "educ", "married", "nodegree", "re74", "re75", "race_hispan", "race_white"]
    train, test = train_test_split(data, test_size=0.2, random_state=42, stratify=data["treat"])
    model = GradientBoostingRegressor(n_estimators=100, max_depth=6, min_samples_leaf=4)
    direct = GradientBoostingRegressor(**model.get_params())
    direct.fit(train[["treat", *names]].to_numpy(), train["re78"])
    worlds = [test.assign(treat=v)[["treat", *names]].to_numpy() for v in (1, 0)]
    right = direct.predict(worlds[0]) - direct.predict(worlds[1])

    graph = "; ".join([*(f"{n} -> treat; {n} -> re78" for n in names), "treat -> re78"])
    problem = read_problem(graph, bc.ATE("treat", "re78"), data=train, adjust=names)
    assert list(problem.names) == names
    made = bc.estimators.SLearner(outcome=model, folds=1)
    effect = made.effect_model(problem, np.arange(problem.n), np.full(problem.n, 0.5))
    found = effect(test[names].to_numpy(float))
    published = [-1530.55967406, 369.38136095, -1198.06865549, -86.11625054, -833.38280696]
    assert np.allclose(found, right, atol=1e-6 * np.abs(right).max())
    assert np.allclose(found[:5], published, atol=1e-4)


# -------------------------------------------------------------------------- optional engines


@pytest.mark.skipif(importlib.util.find_spec("econml") is None, reason="econml is not installed")
@pytest.mark.slow
def test_a_causal_forest_tells_effects_apart():
    data, tau = study(2000, seed=6)
    problem = read_problem(GRAPH, bc.ATE("t", "y"), data=data, adjust=["a", "b"])
    made = bc.estimators.CausalForest(folds=2, trees=200)
    found = made.conditional_effects(problem)
    assert np.corrcoef(found, tau[problem.places])[0, 1] > 0.8
    ready = made.prepared(problem)
    one, zero = ready.draw(np.ones((1, problem.n)))
    assert abs(one[0] - zero[0] - tau.mean()) < 4 * ready.se


@pytest.mark.skipif(importlib.util.find_spec("stochtree") is None, reason="no stochtree")
@pytest.mark.slow
def test_a_bayesian_causal_forest_covers_a_known_effect():
    data, tau = study(1000, seed=7)
    found = bc.triangulate(GRAPH, bc.ATE("t", "y"), estimators=["bcf"], data=data,
                           adjust=["a", "b"], draws=500)  # fmt: skip
    effect = found.effects["bcf"]
    assert abs(effect.mean() - tau.mean()) < 4 * effect.sd()


@pytest.mark.parametrize(("name", "package"), [("CausalForest", "econml"), ("BCF", "stochtree")])
def test_an_engine_that_is_absent_is_named(problem, name, package, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda n, *a: None if n == package else real(n, *a)
    )
    with pytest.raises(EstimandError, match=rf"{package}.*not installed"):
        getattr(bc.estimators, name)().conditional_effects(problem)


# -------------------------------------------------------------------------- what is made of them


def test_groups_and_benefit_curves_are_sums_of_scores():
    data, tau = study(600, seed=8)
    found = bc.triangulate(GRAPH, bc.ATE("t", "y"), data=data, adjust=["a", "b"], draws=100,
                           estimators=[bc.estimators.TLearner(outcome=LINEAR), "ipw"])  # fmt: skip
    table = found.conditional_effects
    assert list(table.index) == list(range(600))
    assert list(table) == ["t_learner"]
    assert np.corrcoef(table["t_learner"], tau)[0, 1] > 0.98
    groups = found.gates("t_learner", 3)
    assert groups["units"].sum() == 600
    order = np.argsort(table["t_learner"].to_numpy(), kind="stable")
    assert groups["predicted"].iloc[2] == pytest.approx(table["t_learner"].iloc[order[400:]].mean())
    right = tau[order].reshape(3, 200).mean(axis=1)
    assert np.all(np.abs(groups["mean"] - right) < 4 * groups["sd"])
    curve = found.benefit("t_learner")
    assert curve.loc[0.0, "mean"] == 0
    assert curve.loc[1.0, "mean"] == pytest.approx(groups["mean"] @ groups["units"] / 600)
    shares = np.array(curve.index[:-1], float)
    beyond = curve["mean"].to_numpy()[:-1] - shares * curve.loc[1.0, "mean"]
    assert curve.loc["RATE", "mean"] == pytest.approx(np.trapezoid(beyond, shares))
    assert curve.loc["RATE"].iloc[1] > 0
    assert found.losses().loc["t_learner", "r_loss"] > 0
    with pytest.raises(EstimandError, match="no effect for each unit"):
        found.gates("ipw")
    for many in (0, 601):
        with pytest.raises(EstimandError, match=f"groups={many}"):
            found.gates("t_learner", many)
    with pytest.raises(EstimandError, match="groups= does not apply to 'benefit'"):
        found.plot("benefit", groups=7)


def test_the_area_of_a_ranking_does_not_move_with_the_size_of_the_effect():
    """RATE is about the order of the units: an effect that all have more says nothing of it."""
    rows = []
    for shift in (0.0, 10.0):
        data, _ = study(300, seed=8)
        data = data.assign(y=data["y"] + shift * data["t"])
        found = bc.triangulate(GRAPH, bc.ATE("t", "y"), data=data, adjust=["a", "b"], draws=5,
                               estimators=[bc.estimators.TLearner(outcome=LINEAR)])  # fmt: skip
        rows.append(found.benefit("t_learner").loc["RATE"].to_numpy())
    assert rows[1] == pytest.approx(rows[0], abs=0.05 * (rows[0][2] - rows[0][1]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"data": {"t": lambda f: np.where(f.index % 5 == 0, 2, f["t"])}},
            "120 units are at other",
        ),
        ({"question": bc.ATT("t", "y")}, "some of the units"),
        ({"question": bc.ATE("t", "y", scale="ratio")}, "the scale is 'ratio'"),
        (
            {"question": bc.ATE("t", "y", population=pd.DataFrame({"a": [0.0], "b": [1.0]}))},
            "table",
        ),
    ],
)
def test_scores_of_anything_else_are_refused(change, said):
    data, _ = study(600, seed=8)
    data = data.assign(**change.get("data", {}), y=np.exp(data["y"] / 10))
    question = change.get("question", bc.ATE("t", "y"))
    found = bc.triangulate(GRAPH, question, data=data, adjust=["a", "b"], draws=5,
                           estimators=[bc.estimators.Standardization()])  # fmt: skip
    for ask in (found.losses, lambda: found.gates("standardization", 2),
                lambda: found.benefit("standardization")):  # fmt: skip
        with pytest.raises(EstimandError, match=said):
            ask()
    with pytest.raises(EstimandError, match=said):
        bc.estimators.nuisance_scores(GRAPH, question, data=data, adjust=["a", "b"])


# -------------------------------------------------------------------------- bad input


def test_bad_models_and_questions_are_refused(problem):
    with pytest.raises(EstimandError, match="Pass an instance"):
        bc.estimators.XLearner(outcome=LinearRegression).conditional_effects(problem)
    for kind in (bc.estimators.SLearner, bc.estimators.TLearner, bc.estimators.CausalForest):
        with pytest.raises(EstimandError, match="no model of the effect"):
            kind(effect=LINEAR).check(problem)
    with pytest.raises(EstimandError, match="'interactive', 'partially linear'"):
        bc.estimators.DML(form="linear").check(problem)

    class Broken(LinearRegression):
        def fit(self, x, y):
            raise ValueError("no convergence")

    with pytest.raises(DataError, match=r"Broken failed to fit.*no convergence"):
        bc.estimators.DRLearner(outcome=Broken()).conditional_effects(problem)

    class Weightless(LinearRegression):
        def fit(self, x, y):
            return super().fit(x, y)

    bc.estimators.XLearner(outcome=Weightless(), effect=Weightless()).conditional_effects(problem)
    for made in (
        bc.estimators.DomainAdaptation(outcome=Weightless()),
        bc.estimators.RLearner(outcome=LINEAR, effect=Weightless()),
    ):
        with pytest.raises(DataError, match="Pass a model whose fit takes sample_weight"):
            made.conditional_effects(problem)
    data, _ = study(60)
    bare = read_problem("t -> y", bc.ATE("t", "y"), data=data[["t", "y"]])
    with pytest.raises(DataError, match="no covariate"):
        bc.estimators.TLearner(outcome=LINEAR).conditional_effects(bare)
    data["y"] = (data["y"] > 0).astype(int)
    zero_one = read_problem(GRAPH, bc.ATE("t", "y"), data=data, adjust=["a", "b"])
    with pytest.raises(EstimandError, match="is 0 or 1"):
        bc.estimators.BCF().check(zero_one)
    made = bc.estimators.XLearner(outcome=LogisticRegression(), effect=LINEAR, folds=2)
    assert np.abs(made.conditional_effects(zero_one)).max() < 2


def test_a_learner_is_a_frozen_value():
    assert bc.estimators.XLearner(folds=2) == bc.estimators.XLearner(folds=2)
    assert isinstance(bc.estimators.XLearner(), Learner)
