r"""The propensity: the chance of the treatment given what is adjusted for.

.. math:: e(x) = P(T = 1 \mid x).

Adjusting for it alone is as good as adjusting for x [1]_, if it is right. Written as logistic
regression its coefficients are fitted anew under the weights of each draw, once for all estimators
that use it. A model with ``fit`` and ``predict_proba`` is fitted once, on other folds than those it
predicts.

It fails where the chance is near 0 or 1: a few units then stand for all.

References
----------
.. [1] P. R. Rosenbaum and D. B. Rubin, "The central role of the propensity score in observational
   studies for causal effects", Biometrika 70 (1983), 41-55.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from bayescausal.estimators.nuisance.learners import chances_of
from bayescausal.estimators.numerics.least_squares import refuse_ties, with_constant
from bayescausal.estimators.numerics.logistic import LogisticRegressions, logistic_point
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["Chance", "Logistic", "propensity"]


@dataclass(frozen=True)
class Logistic:
    """Logistic regression, with a penalty on its coefficients if asked.

    Parameters
    ----------
    penalty : float
        Of half the squared coefficients, the constant excepted: 1 / C of scikit-learn, whose
        default is a penalty of 1.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.Logistic(penalty=1)
    Logistic(penalty=1)
    """

    penalty: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.penalty, int | float) or not 0 <= self.penalty < np.inf:
            raise EstimandError(f"penalty={self.penalty!r}.", expected="a number of 0 or more.")


@dataclass(frozen=True, eq=False)
class Chance:
    """The propensity of a problem at equal weights, and under those of a block of draws.

    `refits`: whether it is fitted anew for each draw.
    """

    problem: Problem
    point: np.ndarray  # (unit) At equal weights
    model: LogisticRegressions | None
    penalty: float

    @property
    def refits(self) -> bool:
        """Whether it is fitted anew for each draw."""
        return self.model is not None

    def under(self, weights: np.ndarray) -> np.ndarray:
        """Return the propensities ``(draw or 1, unit)`` under a block of weights."""
        model = self.model
        if model is None:
            return self.point[None]
        key = ("propensity", self.penalty)
        return self.problem.remember(key, weights, lambda: model.under(weights)[1])


def propensity(problem: Problem, model: object = "logistic", folds: int = 5) -> Chance:
    """Return the propensity of a problem.

    - `model` ("logistic", Logistic, or an object with fit and predict_proba): the model of the
      treatment.
    - `folds`: of a model that is fitted once: it predicts the folds that it was not fitted to; 1:
      its own.

    Raises EstimandError where units are at other levels.
    """
    problem.refuse_others(f"The propensity of {problem.treatment}")
    form = Logistic() if model == "logistic" else model
    if not isinstance(form, Logistic):
        return Chance(problem, chances_of(problem, form, folds), None, 0.0)
    penalty = float(form.penalty)
    return problem.once(("chance", penalty), lambda: _logistic(problem, penalty))


def _logistic(problem: Problem, penalty: float) -> Chance:
    """Return the propensity by logistic regression."""
    design = with_constant(problem.x)
    what = f"the propensity of {problem.treatment}"
    refuse_ties(design, ("constant", *problem.names), what)
    t = problem.treated.astype(float)
    start = logistic_point(design, t, None, penalty, what)
    model = LogisticRegressions(design, t, start, penalty, what)
    return Chance(problem, expit(design @ start), model, penalty)
