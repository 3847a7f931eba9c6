r"""A causal forest: trees whose splits are where the effect differs, by EconML.

After the residuals of outcome and treatment are taken, a forest is grown whose leaves have effects
as different as can be, each tree with one part of the units for its splits and another for its
effects; :math:`\hat\tau(x)` is the residual regression with the forest's weights at :math:`x` [1]_.
The average is that of doubly robust scores, as of every learner.

It needs ``econml`` (extra ``forests``), and some thousand units.

References
----------
.. [1] S. Athey, J. Tibshirani and S. Wager, "Generalized random forests", The Annals of Statistics
   47 (2019), 1148-1178.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bayescausal.estimators.learners.learner import Learner, rows_of
from bayescausal.estimators.learners.scores import mean_outcome
from bayescausal.estimators.problem.encoding import refuse_holes
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["CausalForest", "need"]


def need(package: str, what: str) -> None:
    """Refuse what needs a package of the extra ``forests`` where that is not installed.

    Raises EstimandError.
    """
    if importlib.util.find_spec(package) is None:
        raise EstimandError(
            f"{what} needs {package}, which is not installed.",
            remedy="Install the extra: pip install 'bayescausal[forests]'.",
        )


@dataclass(frozen=True)
class CausalForest(Learner):
    """A forest of effects on residuals.

    Parameters
    ----------
    outcome, treatment, effect, folds
        As for every learner; `effect`, whose model is the forest, is refused.
    trees : int
    seed : int

    References
    ----------
    S. Athey, J. Tibshirani and S. Wager, "Generalized random forests", The Annals of Statistics 47
    (2019), 1148-1178.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.CausalForest(trees=400).label()
    'CausalForest(trees=400)'
    """

    name: ClassVar[str] = "causal_forest"
    second: ClassVar[bool] = False

    trees: int = 500
    seed: int = 0

    def effect_model(
        self, problem: Problem, rows: np.ndarray, chance: np.ndarray
    ) -> Callable[..., np.ndarray]:
        """Return the forest grown on the residuals of some units."""
        need("econml", "CausalForest")
        x = np.asarray(rows_of(self.features(problem), rows), dtype=float)
        refuse_holes(problem.x, problem.names, "the causal forest")
        m = mean_outcome(problem, self.outcome_model(problem), self.folds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside the engine
            forest = importlib.import_module("econml.grf").CausalForest(
                n_estimators=4 * -(-self.trees // 4), random_state=self.seed, n_jobs=1
            )
            forest.fit(x, (problem.treated - chance)[rows].reshape(-1, 1), (problem.y - m)[rows])
        return lambda features, _=None: np.asarray(
            forest.predict(np.asarray(features, float))
        ).ravel()

    def worlds(self, problem: Problem, effects: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Return the outcome's mean, and the effects about it."""
        m = mean_outcome(problem, self.outcome_model(problem), self.folds)
        return np.stack([m + (1 - chance) * effects, m - chance * effects])
