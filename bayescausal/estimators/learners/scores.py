r"""Scores of units: what a learner is judged by, and what its average is made of.

* The doubly robust score has mean :math:`\tau(x)` given :math:`x` where the outcome or the
  propensity is right.
* The *R-loss* of effects is :math:`\frac1n \sum_i [Y_i - \hat m(X_i) - \{T_i - \hat e(X_i)\}
  \tau(X_i)]^2`, the *DR-loss* :math:`\frac1n \sum_i \{\psi_i - \tau(X_i)\}^2`: of several learners
  that with the smaller one is nearer to the truth, up to noise [1]_.

References
----------
.. [1] A. Schuler, M. Baiocchi, R. Tibshirani and N. Shah, "A comparison of methods for model
   selection when estimating individual treatment effects", 2018; X. Nie and S. Wager,
   "Quasi-oracle estimation of heterogeneous treatment effects", Biometrika 108 (2021), 299-319.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.estimators.nuisance.folds import folds_of, splits
from bayescausal.estimators.nuisance.learners import (
    as_learner,
    features_of,
    fitted_model,
    outcomes_of,
    predicted,
    target_of,
)
from bayescausal.estimators.nuisance.propensity import propensity
from bayescausal.estimators.problem.problem import Same
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["doubly_robust_scores", "losses", "mean_outcome", "refuse_scores"]


def refuse_scores(problem: Problem) -> None:
    """Refuse scores of anything but differences over all units, which are at one of two levels.

    Raises EstimandError.
    """
    others = int((problem.arm < 0).sum())
    found = {
        f"{others:,} {problem.units} are at other levels of {problem.treatment}": others,
        "the question is by groups": problem.estimand.by,
        "the question is about some of the units": problem.group != "all",
        "the population is another table": problem.target is not None,
        f"the scale is {problem.estimand.scale.name!r}": problem.estimand.scale.name
        != "difference",
    }
    for what, holds in found.items():
        if holds:
            raise EstimandError(
                f"Doubly robust scores are differences over all units, at two levels: {what}.",
                expected="an ATE or CATE as a difference, of data with both levels alone.",
                remedy="Leave out the rows of other levels (data=); ask the ATE for the scores.",
            )


def mean_outcome(problem: Problem, model: Any, folds: int) -> np.ndarray:
    """Return the outcome predicted from covariates alone, each fold by fits to the others."""

    def compute() -> np.ndarray:
        own = as_learner(problem, model, "outcome")
        x = features_of(problem, own)
        found = np.empty(problem.n)
        for number, (seen, asked) in enumerate(splits(folds_of(problem, folds))):
            rows = (x.iloc[seen], x.iloc[asked]) if hasattr(x, "iloc") else (x[seen], x[asked])
            where = f"{problem.outcome} without the treatment, fold {number + 1}"
            done = fitted_model(own, rows[0], target_of(problem, seen, own), where)
            found[asked] = predicted(done, rows[1], chance=problem.binary)
        return found

    return problem.once(("mean", Same(model), folds), compute)


def doubly_robust_scores(problem: Problem, both: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return the score of each unit; ``both`` ``(2, unit)``: the outcome predicted in both worlds.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> p = SimpleNamespace(treated=np.array([True, False]), y=np.array([3.0, 1.0]))
    >>> doubly_robust_scores(p, np.array([[2.0, 2.0], [1.0, 1.0]]), np.array([0.5, 0.5])).tolist()
    [3.0, 1.0]
    """
    own = np.where(problem.treated, both[0], both[1])
    one, zero = (np.where(problem.treated == v, chance, 0.5) for v in (True, False))
    weight = np.where(problem.treated, 1 / one, -1 / (1 - zero))  # the other chance may be 0
    return both[0] - both[1] + weight * (problem.y - own)


def losses(
    problem: Problem,
    effects: Mapping[str, np.ndarray],
    model: Any,
    folds: int = 5,
    treatment: object = "logistic",
) -> pd.DataFrame:
    """Return the R-loss and the DR-loss of several learners' effects.

    - `effects` (unit)
    - `model` (object with fit and predict): of the outcome, the same for all learners.
    Returns: one row a learner: ``r_loss``, ``dr_loss``.
    """
    chance = propensity(problem, treatment, folds).point
    m = mean_outcome(problem, model, folds)
    both = outcomes_of(problem, model, folds, together=False)
    scores = doubly_robust_scores(problem, both, chance)
    rows = {}
    for name, tau in effects.items():
        left = problem.y - m - (problem.treated - chance) * tau
        rows[name] = {"r_loss": np.mean(left**2), "dr_loss": np.mean((scores - tau) ** 2)}
    return pd.DataFrame.from_dict(rows, orient="index")
