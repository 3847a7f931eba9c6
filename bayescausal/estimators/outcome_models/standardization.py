r"""Standardization: average what the model of the outcome predicts in both worlds.

.. math:: \hat E_g[Y_t] = \frac{\sum_i g_i\, \hat m_t(X_i)}{\sum_i g_i}, \qquad
   m_t(x) = E[Y \mid T = t, X = x],

also called g-computation, G-formula or, with a learner that reads the treatment as one of its
columns, the S-learner [1]_ [2]_. Consistent if the model of the outcome is right, whatever gives
the treatment. Where an arm has no units alike it predicts by its form. With a penalised learner the
effect is drawn towards none, and its draws, with models fitted once, hold too little of what is not
known of them.

References
----------
.. [1] J. M. Robins, "A new approach to causal inference in mortality studies with a sustained
   exposure period", Mathematical Modelling 7 (1986), 1393-1512.
.. [2] M. A. Hernan and J. M. Robins, *Causal Inference: What If*, Chapman & Hall/CRC, 2020,
   chapter 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.estimators.estimator import INFLUENCE, REFITTED, Estimator, Prepared
from bayescausal.estimators.nuisance.averages import population_means
from bayescausal.estimators.nuisance.outcome import response
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from bayescausal.estimators.nuisance.outcome import Response
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["PLUG_IN", "Standardization", "averaged"]

PLUG_IN = (
    "The learner is fitted once, so the draws hold the spread of the average alone and none of the "
    "learner's own error: the interval is too narrow."
)


@dataclass(frozen=True)
class Standardization(Estimator):
    """The average of the outcome predicted at both levels, by one model with all units.

    Parameters
    ----------
    outcome : {"auto", "linear", "logistic"} or an object with fit and predict
        ``"auto"``: logistic where the outcome is 0 or 1, linear otherwise.
    interactions : bool
        Whether the treatment has an interaction with every column, so that the effect may differ
        between units, as in :class:`Stratified`; without, of a linear outcome, it is
        :class:`Regression`.
    folds : int
        A learner predicts the folds that it was not fitted to; 1: its own.

    References
    ----------
    M. A. Hernan and J. M. Robins, *Causal Inference: What If*, Chapman & Hall/CRC, 2020,
    chapter 13.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.Standardization(interactions=True).label()
    'Standardization(interactions=True)'
    """

    name: ClassVar[str] = "standardization"
    models: ClassVar[str] = "outcome"
    assumes: ClassVar[str] = "the model of the outcome is right"
    transports: ClassVar[bool] = True
    other_levels: ClassVar[bool] = True

    outcome: Any = "auto"
    interactions: bool = False
    folds: int = 5

    def prepared(self, problem: Problem) -> Prepared:
        """Return the averages of the predictions under any weights."""
        together = not self.interactions or not isinstance(self.outcome, str)
        model = response(problem, self.outcome, together=together, folds=self.folds)
        return averaged(self, problem, model)


def averaged(estimator: Estimator, problem: Problem, model: Response) -> Prepared:
    """Return the averages of a model's predictions under any weights."""
    if problem.target is not None and not model.refits:
        raise EstimandError(
            f"{estimator.label()} predicts the units that its folds hold, not those of a table.",
            expected="outcome='linear' or 'logistic' for a table of units.",
        )
    text = REFITTED if model.refits else INFLUENCE
    notes = () if model.refits else (PLUG_IN,)
    linear = model.refits and not model.logistic and not model.together
    return Prepared(
        lambda weights: population_means(problem, model.under(weights), weights),
        estimator.draws_text(problem, text),
        fitted=model.point,
        weights=_implied(problem, model) if linear and problem.target is None else None,
        notes=notes,
    )


def _implied(problem: Problem, model: Response) -> np.ndarray | None:
    """Return the weights with which outcomes enter the averages of linear regressions."""
    if problem.group == "overlap":
        return None
    own = problem.population()
    middle = (own @ model.design) / own.sum()
    found = np.zeros(problem.n)
    for rows in (problem.treated, problem.control):
        sums = model.design[rows].T  # the smallest weights under which these are those of all units
        size = np.abs(sums).max(axis=1) + np.abs(middle) + np.finfo(float).tiny
        found[rows] = np.linalg.lstsq(sums / size[:, None], middle / size, rcond=None)[0]
    return found
