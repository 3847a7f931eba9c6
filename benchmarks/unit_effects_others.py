"""The alternatives of :mod:`benchmarks.unit_effects`: EconML's and stochtree's, in a process.

    python unit_effects_others.py data.npz

reads covariates, treatment and outcome, and prints effects and intervals as JSON. It imports
nothing of this project, so that it runs where these packages are installed.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np

#: Probability of the intervals.
PROB = 0.94


def causal_forest(x: Any, t: Any, y: Any, seed: int) -> dict[str, Any]:
    """EconML's causal forest on residuals of forests."""
    from econml.dml import CausalForestDML
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    leaves = {"min_samples_leaf": 5, "random_state": seed, "n_estimators": 100}
    model = CausalForestDML(
        model_y=RandomForestRegressor(**leaves), model_t=RandomForestClassifier(**leaves),
        discrete_treatment=True, n_estimators=400, random_state=seed,
    )  # fmt: skip
    model.fit(y, t, X=x)
    low, high = (v.ravel() for v in model.effect_interval(x, alpha=1 - PROB))
    ends = [float(v) for v in np.ravel(model.ate_interval(x, alpha=1 - PROB))]
    return {"tau": model.effect(x).ravel(), "lower": low, "upper": high,
            "average": [float(model.ate(x)), *ends]}  # fmt: skip


def doubly_robust(x: Any, t: Any, y: Any, seed: int) -> dict[str, Any]:
    """EconML's DR-learner with boosted trees and a forest of the effect."""
    from econml.dr import ForestDRLearner
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    model = ForestDRLearner(
        model_regression=GradientBoostingRegressor(random_state=seed),
        model_propensity=GradientBoostingClassifier(random_state=seed),
        random_state=seed, n_estimators=400,
    )  # fmt: skip
    model.fit(y, t, X=x)
    low, high = (v.ravel() for v in model.effect_interval(x, alpha=1 - PROB))
    tau = model.effect(x).ravel()
    return {"tau": tau, "lower": low, "upper": high, "average": [tau.mean()]}


def x_learner(x: Any, t: Any, y: Any, seed: int) -> dict[str, Any]:
    """EconML's X-learner of boosted trees."""
    from econml.metalearners import XLearner
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    model = XLearner(
        models=GradientBoostingRegressor(random_state=seed),
        propensity_model=GradientBoostingClassifier(random_state=seed),
    )
    model.fit(y, t, X=x)
    tau = model.effect(x).ravel()
    return {"tau": tau, "average": [tau.mean()]}


def bcf(x: Any, t: Any, y: Any, seed: int) -> dict[str, Any]:
    """Bayesian causal forests of stochtree, with the propensity of a logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from stochtree import BCFModel

    chance = LogisticRegression(max_iter=2000).fit(x, t).predict_proba(x)[:, 1]
    model = BCFModel()
    model.sample(
        X_train=x, Z_train=t, y_train=y, propensity_train=chance, num_gfr=20, num_burnin=200,
        num_mcmc=500, general_params={"random_seed": seed},
    )  # fmt: skip
    draws = np.asarray(model.predict(X=x, Z=t, propensity=chance, terms="cate"))
    draws = draws.reshape(len(x), -1)
    tails = (1 - PROB) / 2, (1 + PROB) / 2
    low, high = np.quantile(draws, tails, axis=1)
    average = draws.mean(axis=0)
    return {"tau": draws.mean(axis=1), "lower": low, "upper": high,
            "average": [average.mean(), *np.quantile(average, tails)]}  # fmt: skip


METHODS = {
    "causal forest (EconML)": causal_forest,
    "DR-learner (EconML)": doubly_robust,
    "X-learner (EconML)": x_learner,
    "BCF (stochtree)": bcf,
}


def main(path: str) -> None:
    """Run every method on one data set."""
    held = np.load(path)
    out = {}
    for name, method in METHODS.items():
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = method(held["x"], held["t"], held["y"], int(held["seed"]))
        out[name] = {k: np.asarray(v, float).tolist() for k, v in found.items()}
        out[name]["seconds"] = time.process_time() - start
    print(json.dumps(out))


if __name__ == "__main__":
    main(sys.argv[1])
