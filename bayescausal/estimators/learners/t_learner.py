r"""The T-learner: a model of the outcome in each arm.

.. math:: \hat\tau(x) = \hat f_1(x) - \hat f_0(x).

Consistent where both are. The two are regularised apart, so that their difference may vary where
the effect does not, most of all where one arm is small [1]_.

References
----------
.. [1] S. R. Künzel, J. S. Sekhon, P. J. Bickel and B. Yu, "Metalearners for estimating
   heterogeneous treatment effects using machine learning", PNAS 116 (2019), 4156-4165.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bayescausal.estimators.learners.learner import Learner
from bayescausal.estimators.nuisance.learners import outcomes_of, predicted

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["TLearner"]


@dataclass(frozen=True)
class TLearner(Learner):
    """The difference of two models of the outcome, one in each arm.

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
    >>> bc.estimators.TLearner().name
    't_learner'
    """

    name: ClassVar[str] = "t_learner"
    second: ClassVar[bool] = False

    def effect_model(
        self, problem: Problem, rows: np.ndarray, chance: np.ndarray
    ) -> Callable[..., np.ndarray]:
        """Return the difference of the predictions of both arms' models."""
        one, zero = self.arm_models(problem, rows)
        binary = problem.binary
        return lambda x, _=None: (
            predicted(one, x, chance=binary) - predicted(zero, x, chance=binary)
        )

    def worlds(self, problem: Problem, effects: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Return the predictions of both arms' models."""
        return outcomes_of(problem, self.outcome_model(problem), self.folds, together=False)
