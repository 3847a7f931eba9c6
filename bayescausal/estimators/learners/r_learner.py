r"""The R-learner: residual on residual, the effect as a function.

.. math:: \hat\tau = \arg\min_\tau \sum_i \big[ \{Y_i - \hat m(X_i)\}
   - \{T_i - \hat e(X_i)\}\, \tau(X_i) \big]^2

with :math:`m(x) = E[Y \mid X = x]`, both predicted from other folds [1]_: a regression of
:math:`(Y - \hat m)/(T - \hat e)` with weights :math:`(T - \hat e)^2`. Errors of
:math:`\hat m` and :math:`\hat e` enter as products. Where overlap is thin the weights are near 0
and the effect there is that of its surroundings.

References
----------
.. [1] X. Nie and S. Wager, "Quasi-oracle estimation of heterogeneous treatment effects",
   Biometrika 108 (2021), 299-319, equation 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bayescausal.estimators.learners.learner import Learner
from bayescausal.estimators.learners.scores import mean_outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["RLearner"]

#: How near to 0 the residual of the treatment may come.
LEAST = 0.01


@dataclass(frozen=True)
class RLearner(Learner):
    """The regression of the outcome's residual over that of the treatment.

    Parameters
    ----------
    outcome, treatment, effect, folds
        As for every learner; the model of the effect has to take sample_weight.

    References
    ----------
    X. Nie and S. Wager, "Quasi-oracle estimation of heterogeneous treatment effects", Biometrika
    108 (2021), 299-319.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.RLearner().name
    'r_learner'
    """

    name: ClassVar[str] = "r_learner"

    def effect_model(
        self, problem: Problem, rows: np.ndarray, chance: np.ndarray
    ) -> Callable[..., np.ndarray]:
        """Return the weighted regression of the ratio of residuals."""
        m = mean_outcome(problem, self.outcome_model(problem), self.folds)
        t = problem.treated[rows] - chance[rows]
        t = np.where(np.abs(t) < LEAST, np.where(problem.treated[rows], LEAST, -LEAST), t)
        ratio = (problem.y[rows] - m[rows]) / t
        what = "the ratio of residuals"
        return self.second_stage(problem, rows, ratio, t**2, what)

    def worlds(self, problem: Problem, effects: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Return the outcome's mean, and the effects about it."""
        m = mean_outcome(problem, self.outcome_model(problem), self.folds)
        return np.stack([m + (1 - chance) * effects, m - chance * effects])
