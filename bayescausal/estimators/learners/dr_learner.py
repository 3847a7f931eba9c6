r"""The DR-learner: a regression of doubly robust scores on covariates.

.. math:: \psi_i = \hat m_1(X_i) - \hat m_0(X_i) + \frac{T_i - \hat e(X_i)}{\hat e(X_i)\{1 -
   \hat e(X_i)\}} \{Y_i - \hat m_{T_i}(X_i)\}, \qquad \hat\tau(x) = \hat E[\psi \mid X = x].

The error of the nuisances enters as a product, so that the effect may be learnt as well as if they
were known [1]_. Scores of units with a propensity near 0 or 1 are very large.

References
----------
.. [1] E. H. Kennedy, "Towards optimal doubly robust estimation of heterogeneous causal effects",
   Electronic Journal of Statistics 17 (2023), 3008-3049, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bayescausal.estimators.learners.learner import Learner
from bayescausal.estimators.learners.scores import doubly_robust_scores
from bayescausal.estimators.nuisance.learners import outcomes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["DRLearner"]


@dataclass(frozen=True)
class DRLearner(Learner):
    """The regression of doubly robust scores.

    Parameters
    ----------
    outcome, treatment, effect, folds
        As for every learner.

    References
    ----------
    E. H. Kennedy, "Towards optimal doubly robust estimation of heterogeneous causal effects",
    Electronic Journal of Statistics 17 (2023), 3008-3049.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.DRLearner().name
    'dr_learner'
    """

    name: ClassVar[str] = "dr_learner"

    def effect_model(
        self, problem: Problem, rows: np.ndarray, chance: np.ndarray
    ) -> Callable[..., np.ndarray]:
        """Return the regression of the scores."""
        both = outcomes_of(problem, self.outcome_model(problem), self.folds, together=False)
        scores = doubly_robust_scores(problem, both, chance)
        return self.second_stage(problem, rows, scores[rows], None, "scores")
