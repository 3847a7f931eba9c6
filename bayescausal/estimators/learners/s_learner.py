r"""The S-learner: one model of the outcome that reads the treatment as a column.

.. math:: \hat\tau(x) = \hat f(1, x) - \hat f(0, x).

Consistent where :math:`f` is. A model that regularises may leave the treatment out altogether, so
that effects are drawn to 0 where they are small beside what else moves the outcome [1]_.

References
----------
.. [1] S. R. Künzel, J. S. Sekhon, P. J. Bickel and B. Yu, "Metalearners for estimating
   heterogeneous treatment effects using machine learning", PNAS 116 (2019), 4156-4165.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.estimators.learners.learner import Learner
from bayescausal.estimators.nuisance.learners import (
    fitted_together,
    outcomes_of,
    predicted,
    with_treatment,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["SLearner"]


@dataclass(frozen=True)
class SLearner(Learner):
    """One model of the outcome, asked at both levels of the treatment.

    Parameters
    ----------
    outcome, treatment, effect, folds
        As for every learner; `effect`, of which it has no model, is refused.

    References
    ----------
    S. R. Künzel et al., "Metalearners for estimating heterogeneous treatment effects using machine
    learning", PNAS 116 (2019), 4156-4165.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.SLearner(folds=2).label()
    'SLearner(folds=2)'
    """

    name: ClassVar[str] = "s_learner"
    second: ClassVar[bool] = False

    def effect_model(
        self, problem: Problem, rows: np.ndarray, chance: np.ndarray
    ) -> Callable[..., np.ndarray]:
        """Return the difference of one model's predictions at both levels."""
        x, model = self.features(problem), self.outcome_model(problem)
        fitted = fitted_together(problem, model, x, rows, problem.outcome)

        def effects(features: Any, _: object = None) -> np.ndarray:
            at = [with_treatment(problem, features, np.full(len(features), v)) for v in (1.0, 0.0)]
            one, zero = (predicted(fitted, f, chance=problem.binary) for f in at)
            return one - zero

        return effects

    def worlds(self, problem: Problem, effects: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Return the model's own predictions at both levels."""
        return outcomes_of(problem, self.outcome_model(problem), self.folds, together=True)
