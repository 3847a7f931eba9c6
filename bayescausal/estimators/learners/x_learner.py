r"""The X-learner: imputed effects of the units of each arm, regressed on covariates.

.. math:: D^1_i = Y_i - \hat f_0(X_i) \;(T_i = 1), \qquad D^0_i = \hat f_1(X_i) - Y_i \;(T_i = 0),
   \qquad \hat\tau(x) = \hat e(x)\, \hat\tau_0(x) + \{1 - \hat e(x)\}\, \hat\tau_1(x),

with :math:`\hat\tau_t` the regression of :math:`D^t` [1]_. The effect has a model of its own, which
may be simpler than that of the outcome, and the arm with more units lends its model to the other.
It is consistent where the outcome's models are; the propensity only weighs the two.

References
----------
.. [1] S. R. Künzel, J. S. Sekhon, P. J. Bickel and B. Yu, "Metalearners for estimating
   heterogeneous treatment effects using machine learning", PNAS 116 (2019), 4156-4165, equations
   8 to 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.estimators.learners.learner import Learner, rows_of
from bayescausal.estimators.nuisance.learners import predicted

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["XLearner", "imputed_effects"]


def imputed_effects(
    problem: Problem, x: Any, rows: np.ndarray, models: tuple[Any, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return each unit's outcome less the prediction of the other arm, treated less untreated.

    Returns:
    - `effects`: of the units `rows`.
    - `treated` (bool)
    """
    one, zero = (predicted(m, rows_of(x, rows), chance=problem.binary) for m in models)
    treated = problem.treated[rows]
    return np.where(treated, problem.y[rows] - zero, one - problem.y[rows]), treated


@dataclass(frozen=True)
class XLearner(Learner):
    """Imputed effects of both arms, regressed and weighed by the propensity.

    Parameters
    ----------
    outcome, treatment, effect, folds
        As for every learner.

    References
    ----------
    S. R. Künzel et al., "Metalearners for estimating heterogeneous treatment effects using machine
    learning", PNAS 116 (2019), 4156-4165.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.XLearner().name
    'x_learner'
    """

    name: ClassVar[str] = "x_learner"

    def effect_model(
        self, problem: Problem, rows: np.ndarray, chance: np.ndarray
    ) -> Callable[..., np.ndarray]:
        """Return the two regressions of imputed effects, weighed."""
        x = self.features(problem)
        imputed, treated = imputed_effects(problem, x, rows, self.arm_models(problem, rows))
        of_one = self.second_stage(
            problem, rows[treated], imputed[treated], None, "effects among the treated"
        )
        of_zero = self.second_stage(
            problem, rows[~treated], imputed[~treated], None, "effects among the untreated"
        )

        def effects(features: Any, e: np.ndarray) -> np.ndarray:
            return e * of_zero(features) + (1 - e) * of_one(features)

        return effects
