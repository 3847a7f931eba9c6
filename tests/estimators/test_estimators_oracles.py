"""Equality with other packages, on the same folds, within rounding.

EconML, DoubleML, causallib, stochtree and linearmodels are the extra ``estimators-test``; what is
not installed is skipped. They are given the columns, the folds and the models that ours are given,
so nothing is left to chance: the numbers are one formula in two implementations.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayescausal as bc
from bayescausal.estimators import (
    AIPW,
    BCF,
    DML,
    IPW,
    DomainAdaptation,
    DRLearner,
    Matching,
    RLearner,
    SLearner,
    Standardization,
    Stratified,
    TLearner,
    TwoStageLeastSquares,
    XLearner,
)
from bayescausal.estimators.nuisance.folds import folds_of, splits
from bayescausal.estimators.problem.reading import read_problem

pytest.importorskip("sklearn", reason="the extra ml is not installed")
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression, LogisticRegression

GRAPH = "a -> t; b -> t; a -> y; b -> y; t -> y"
LINEAR, LOGISTIC = LinearRegression(), LogisticRegression(tol=1e-10, max_iter=1000)
FOLDS = 3


def needed(package):
    """Return a package of the extra, or skip."""
    reason = f"{package} is not installed (extra estimators-test)"
    return pytest.importorskip(package, reason=reason)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 500))
    t = rng.binomial(1, 1 / (1 + np.exp(-0.8 * a + 0.3 * b)))
    return pd.DataFrame({"a": a, "b": b, "t": t, "y": a + t * (1 + b) + rng.normal(size=500)})


def problem_of(data, question=bc.ATE):
    asked = question("t", "y", population="superpopulation")
    return read_problem(GRAPH, asked, data=data, adjust=["a", "b"])


@pytest.fixture(scope="module")
def problem(data):
    return problem_of(data)


def estimate(estimator, problem):
    one, zero = estimator.prepared(problem).draw(np.ones((1, problem.n)))
    return float(one[0] - zero[0])


def same(problem):
    """Return the folds of the problem as pairs of rows."""
    return list(splits(folds_of(problem, FOLDS)))


# ---------------------------------------------------------------------------------- DoubleML


@pytest.mark.parametrize(("question", "score"), [(bc.ATE, "ATE"), (bc.ATT, "ATTE")])
def test_interactive_regression_is_that_of_doubleml(data, question, score):
    theirs = needed("doubleml")
    problem = problem_of(data, question)
    table = theirs.DoubleMLData.from_arrays(problem.x, problem.y, problem.treated.astype(float))
    model = theirs.DoubleMLIRM(table, LINEAR, LOGISTIC, n_folds=FOLDS, score=score)
    model.set_sample_splitting([same(problem)])
    model.fit()
    ours = DML(outcome=LINEAR, treatment=LOGISTIC, folds=FOLDS)
    assert estimate(ours, problem) == pytest.approx(model.coef[0], rel=1e-8)
    assert ours.prepared(problem).se == pytest.approx(model.se[0], rel=1e-6)


def test_partially_linear_regression_is_that_of_doubleml(problem):
    theirs = needed("doubleml")
    table = theirs.DoubleMLData.from_arrays(problem.x, problem.y, problem.treated.astype(float))
    model = theirs.DoubleMLPLR(table, LINEAR, LOGISTIC, n_folds=FOLDS)
    model.set_sample_splitting([same(problem)])
    model.fit()
    ours = DML(form="partially linear", outcome=LINEAR, treatment=LOGISTIC, folds=FOLDS)
    ready = ours.prepared(problem)
    assert ready.draw(np.ones((1, problem.n)))[0] == pytest.approx(model.coef[0], rel=1e-8)
    assert ready.se == pytest.approx(model.se[0], rel=1e-6)


# ------------------------------------------------------------------------------------ EconML


@pytest.mark.parametrize("name", ["SLearner", "TLearner", "XLearner", "DomainAdaptationLearner"])
def test_learners_are_those_of_econml(problem, name):
    metalearners = _metalearners()
    x, y, t = problem.x, problem.y, problem.treated.astype(int)
    kind = getattr(metalearners, name)
    if name == "SLearner":
        model = kind(overall_model=LINEAR)
        ours = SLearner(outcome=LINEAR, folds=1)
    elif name == "TLearner":
        model = kind(models=LINEAR)
        ours = TLearner(outcome=LINEAR, folds=1)
    elif name == "XLearner":
        model = kind(models=LINEAR, propensity_model=LOGISTIC)
        ours = XLearner(outcome=LINEAR, effect=LINEAR, treatment=LOGISTIC, folds=1)
    else:
        model = kind(models=LINEAR, final_models=LINEAR, propensity_model=LOGISTIC)
        ours = DomainAdaptation(outcome=LINEAR, effect=LINEAR, treatment=LOGISTIC, folds=1)
    model.fit(y, t, X=x)
    np.testing.assert_allclose(ours.conditional_effects(problem), model.effect(x), rtol=1e-7)


def _metalearners():
    needed("econml")
    from econml import metalearners

    return metalearners


class PerArm(RegressorMixin, BaseEstimator):
    """The outcome's regressions in both arms, of features whose last column is the arm."""

    def fit(self, x, y):
        self.models_ = [LinearRegression().fit(x[x[:, -1] == k, :-1], y[x[:, -1] == k])
                        for k in (0, 1)]  # fmt: skip
        return self

    def predict(self, x):
        zero, one = (m.predict(x[:, :-1]) for m in self.models_)
        return np.where(x[:, -1] == 1, one, zero)


def test_residual_and_doubly_robust_learners_are_those_of_econml(problem):
    needed("econml")
    from econml.dml import NonParamDML
    from econml.dr import DRLearner as Theirs

    x, y, t = problem.x, problem.y, problem.treated.astype(int)
    everyone = np.arange(problem.n)
    options = {"outcome": LINEAR, "treatment": LOGISTIC, "effect": LINEAR, "folds": FOLDS}
    chance = IPW(treatment=LOGISTIC, folds=FOLDS).prepared(problem).chance
    residual = NonParamDML(model_y=LINEAR, model_t=LOGISTIC, model_final=LINEAR,
                           discrete_treatment=True, cv=same(problem))  # fmt: skip
    residual.fit(y, t, X=x)
    ours = RLearner(**options).effect_model(problem, everyone, chance)
    np.testing.assert_allclose(ours(x), residual.effect(x).ravel(), rtol=1e-7)
    robust = Theirs(model_propensity=LOGISTIC, model_regression=PerArm(), model_final=LINEAR,
                    min_propensity=1e-9, cv=same(problem))  # fmt: skip
    robust.fit(y, t, X=x)
    ours = DRLearner(**options).effect_model(problem, everyone, chance)
    np.testing.assert_allclose(ours(x), robust.effect(x).ravel(), rtol=1e-7)


# --------------------------------------------------------------------------------- causallib


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_weights_and_standardizations_are_those_of_causallib(problem):
    needed("causallib")
    from causallib import estimation as theirs

    x = pd.DataFrame(problem.x, columns=["a", "b"])
    t, y = pd.Series(problem.treated.astype(int), name="t"), pd.Series(problem.y, name="y")
    whole = {"treatment": LOGISTIC, "folds": 1}
    pairs = [
        (IPW(**whole), theirs.IPW(LOGISTIC)),
        (IPW(weights="overlap", **whole), theirs.OverlapWeights(LOGISTIC)),
        (Standardization(outcome=LINEAR, folds=1), theirs.Standardization(LINEAR)),
        (Stratified(outcome=LINEAR, folds=1), theirs.StratifiedStandardization(LINEAR)),
        (
            AIPW(outcome=LINEAR, **whole),
            theirs.AIPW(theirs.StratifiedStandardization(LINEAR), theirs.IPW(LOGISTIC)),
        ),
    ]
    for ours, model in pairs:
        if isinstance(model, theirs.IPW | theirs.OverlapWeights):
            model.fit(x, t)
        else:
            model.fit(x, t, y)
        means = model.estimate_population_outcome(x, t, y)
        assert estimate(ours, problem) == pytest.approx(means[1] - means[0], rel=1e-7), ours


def test_matching_is_that_of_causallib(data):
    """Of one column: of several, its Mahalanobis distance has the covariance within the arms."""
    needed("causallib")
    from causallib.estimation import Matching as Theirs

    asked = bc.ATE("t", "y", population="superpopulation")
    problem = read_problem("a -> t -> y; a -> y", asked, data=data)
    x = pd.DataFrame(problem.x, columns=["a"])
    t, y = pd.Series(problem.treated.astype(int), name="t"), pd.Series(problem.y, name="y")
    means = Theirs(n_neighbors=2).fit(x, t, y).estimate_population_outcome(x, t)
    ours = Matching(metric="mahalanobis", k=2)
    assert estimate(ours, problem) == pytest.approx(means[1] - means[0], rel=1e-9)


# -------------------------------------------------------------------- stochtree, linearmodels


def test_a_bayesian_causal_forest_is_that_of_stochtree(problem):
    """The variance of the prognosis, and of effect times treatment, is that of the outcome."""
    theirs = needed("stochtree")
    ours = BCF(draws=10, burn_in=5, chains=1, treatment=LOGISTIC, folds=FOLDS, seed=3)
    e = IPW(treatment=LOGISTIC, folds=FOLDS).prepared(problem).chance
    x, t = np.ascontiguousarray(problem.x), problem.treated.astype(float)
    model, deep = theirs.BCFModel(), {"min_samples_leaf": 1, "max_depth": -1}
    model.sample(X_train=x, Z_train=t, y_train=problem.y, propensity_train=e, num_gfr=10,
                 num_burnin=5, num_mcmc=10,
                 general_params={"random_seed": 3, "num_chains": 1},
                 prognostic_forest_params=deep | {
                     "num_trees": 100, "sigma2_leaf_init": 1 / 100, "sample_sigma2_leaf": False},
                 treatment_effect_forest_params=deep | {
                     "num_trees": 50, "sigma2_leaf_init": 1 / 50 / t.mean(),
                     "alpha": 0.5, "beta": 2.0, "sample_intercept": False})  # fmt: skip
    effects = model.predict(X=x, Z=t, propensity=e, terms="cate").reshape(problem.n, -1)
    found = ours.conditional_effects(problem)
    np.testing.assert_allclose(found, effects[:, -10:].T, rtol=1e-5, atol=1e-6)
    alone = ours.prepared(problem).draw(np.ones((1, problem.n)))[0]
    assert alone == pytest.approx(effects[:, -10:].mean(), rel=1e-5)


def test_two_stages_are_those_of_linearmodels():
    needed("linearmodels")
    from linearmodels.iv import IV2SLS

    rng = np.random.default_rng(5)
    w, u, z = rng.normal(size=(3, 400))
    x = z + 0.5 * w + u + rng.normal(size=400)
    table = pd.DataFrame({"w": w, "z": z + 0.4 * w, "x": x, "y": 1.5 * x + w + u})
    constant = np.column_stack([np.ones(400), table["w"]])
    theirs = IV2SLS(table["y"], constant, table[["x"]], table[["z"]]).fit()
    found = bc.triangulate("w -> z -> x -> y; w -> x; w -> y; x <-> y", bc.ATE("x", "y"),
                           data=table, draws=5, estimators=[TwoStageLeastSquares()])  # fmt: skip
    assert found.table["estimate"].iloc[0] == pytest.approx(theirs.params["x"], rel=1e-9)
