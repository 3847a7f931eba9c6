r"""Stratified standardization: a model of the outcome in each arm by itself.

.. math:: \hat\tau = \frac{\sum_i g_i\, \{\hat m_1(X_i) - \hat m_0(X_i)\}}{\sum_i g_i},

each :math:`\hat m_t` fitted to the units at level t alone: of linear and logistic regressions it is
standardization with all interactions; of learners it is the T-learner [1]_. Consistent if both
models are right. Each model sees half of the data, and the difference of two that are regularised
differently can look like an effect that varies.

References
----------
.. [1] S. R. Künzel, J. S. Sekhon, P. J. Bickel and B. Yu, "Metalearners for estimating
   heterogeneous treatment effects using machine learning", PNAS 116 (2019), 4156-4165.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bayescausal.estimators.estimator import Estimator
from bayescausal.estimators.nuisance.outcome import response
from bayescausal.estimators.outcome_models.standardization import averaged

if TYPE_CHECKING:
    from bayescausal.estimators.estimator import Prepared
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["Stratified"]


@dataclass(frozen=True)
class Stratified(Estimator):
    """The average difference of two models of the outcome, one for each arm.

    Parameters
    ----------
    outcome : {"auto", "linear", "logistic"} or an object with fit and predict
        ``"auto"``: logistic where the outcome is 0 or 1, linear otherwise.
    folds : int
        A learner predicts the folds that it was not fitted to; 1: its own.

    References
    ----------
    S. R. Künzel, J. S. Sekhon, P. J. Bickel and B. Yu, "Metalearners for estimating heterogeneous
    treatment effects using machine learning", PNAS 116 (2019), 4156-4165.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.Stratified().name
    'stratified'
    """

    name: ClassVar[str] = "stratified"
    models: ClassVar[str] = "outcome"
    assumes: ClassVar[str] = "the model of the outcome is right in each arm"
    transports: ClassVar[bool] = True
    other_levels: ClassVar[bool] = True

    outcome: Any = "auto"
    folds: int = 5

    def prepared(self, problem: Problem) -> Prepared:
        """Return the averages of the predictions under any weights."""
        return averaged(self, problem, response(problem, self.outcome, folds=self.folds))
