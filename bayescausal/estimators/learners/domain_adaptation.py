r"""The domain-adaptation learner: imputed effects by models fitted for the other arm's units.

The model of one arm is asked about units of the other, whose covariates are distributed otherwise.
It is fitted with weights that bring its units to those, :math:`\hat e/(1 - \hat e)` for the
untreated and :math:`(1 - \hat e)/\hat e` for the treated; one model is then fitted to the imputed
effects of all units [1]_. Where the outcome's models are flexible enough the weights change
nothing; where they are not, they are right where they are asked.

References
----------
.. [1] S. J. Pan and Q. Yang, "A survey on transfer learning", IEEE Transactions on Knowledge and
   Data Engineering 22 (2010), 1345-1359; as a learner of effects in K. Battocchi et al., *EconML*,
   2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bayescausal.estimators.learners.learner import Learner
from bayescausal.estimators.learners.x_learner import imputed_effects

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["DomainAdaptation"]


@dataclass(frozen=True)
class DomainAdaptation(Learner):
    """Imputed effects by outcome models that are weighted to the other arm.

    Parameters
    ----------
    outcome : object whose fit takes sample_weight, optional
    treatment, effect, folds
        As for every learner.

    References
    ----------
    K. Battocchi et al., *EconML: A Python package for ML-based heterogeneous treatment effects
    estimation*, 2019.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.DomainAdaptation().name
    'domain_adaptation'
    """

    name: ClassVar[str] = "domain_adaptation"

    def effect_model(
        self, problem: Problem, rows: np.ndarray, chance: np.ndarray
    ) -> Callable[..., np.ndarray]:
        """Return the regression of all units' imputed effects."""
        e = np.clip(chance, 1e-3, 1 - 1e-3)
        weights = np.where(problem.treated, (1 - e) / e, e / (1 - e))
        x = self.features(problem)
        models = self.arm_models(problem, rows, weights)
        imputed, _ = imputed_effects(problem, x, rows, models)
        return self.second_stage(problem, rows, imputed, None, "effects of all units")
