r"""What every learner of conditional effects is: a function of covariates, and its average.

A learner estimates :math:`\tau(x) = E[Y_1 - Y_0 \mid X = x]` with models that are not made for it.
Each unit's :math:`\hat\tau(X_i)` is predicted by models that were fitted to the other folds. Its
average is not the answer: errors of flexible models do not average out, and no interval of it is
right. What is averaged is the score of each unit [1]_,

.. math:: \Gamma_i = \hat\tau(X_i) + \frac{T_i - \hat e(X_i)}{\hat e(X_i)\{1 - \hat e(X_i)\}}
   \big[ Y_i - \hat m_{T_i}(X_i) \big], \qquad
   \hat m_1 - \hat m_0 = \hat\tau,

which corrects the predictions by the weighted residuals (augmented inverse probability weighting,
with the learner's own predictions of both worlds). The draws of the Bayesian bootstrap act on the
scores; they are right to first order where the product of the errors of outcome and propensity
shrinks faster than :math:`n^{-1/2}`.

References
----------
.. [1] S. Athey, J. Tibshirani and S. Wager, "Generalized random forests", The Annals of Statistics
   47 (2019), 1148-1178, section 6; and A. Chernozhukov et al., "Double/debiased machine learning
   for treatment and structural parameters", The Econometrics Journal 21 (2018), C1-C68.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.estimators.doubly_robust.influence import corrected
from bayescausal.estimators.estimator import INFLUENCE, Estimator, Prepared
from bayescausal.estimators.nuisance.folds import folds_of, splits
from bayescausal.estimators.nuisance.learners import (
    as_learner,
    features_of,
    fitted_model,
    need_sklearn,
    outcomes_of,
    predicted,
    target_of,
)
from bayescausal.estimators.nuisance.outcome import Response
from bayescausal.estimators.nuisance.propensity import propensity
from bayescausal.estimators.problem.problem import Same
from bayescausal.estimators.weighting.extremes import refuse_no_overlap
from bayescausal.types import DataError, EstimandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["Learner", "boosting", "regression", "rows_of"]


def boosting(problem: Problem) -> Any:
    """Return the default model of an outcome: gradient boosted trees.

    Of few rows they are shallow and slow to learn, so that they do not follow single units.
    """
    need_sklearn("A learner")
    ensemble = importlib.import_module("sklearn.ensemble")
    kind = "HistGradientBoostingClassifier" if problem.binary else "HistGradientBoostingRegressor"
    return getattr(ensemble, kind)(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=20, random_state=0
    )


def regression() -> Any:
    """Return the default model of an effect, which is a number whatever the outcome is."""
    need_sklearn("A learner")
    ensemble = importlib.import_module("sklearn.ensemble")
    return ensemble.HistGradientBoostingRegressor(
        max_iter=60, learning_rate=0.05, max_leaf_nodes=6, min_samples_leaf=30, random_state=0
    )


def rows_of(x: Any, rows: np.ndarray) -> Any:
    """Return some rows of features, whether they are numbers or a table."""
    return x.iloc[rows] if hasattr(x, "iloc") else x[rows]


@dataclass(frozen=True)
class Learner(Estimator):
    """A learner of conditional effects. Use one of its subclasses.

    Parameters
    ----------
    outcome : object with fit and predict, optional
        The model of the outcome; default: gradient boosted trees.
    treatment : "logistic", Logistic, or an object with fit and predict_proba
        The model of the treatment.
    effect : object with fit and predict, optional
        The model of the effect, where the learner has one.
    folds : int
        Units of one fold are predicted by fits to the others; 1: by fits to all.
    """

    models: ClassVar[str] = "both"
    assumes: ClassVar[str] = "the product of the errors of outcome and propensity is small; overlap"

    outcome: Any = None
    treatment: Any = "logistic"
    effect: Any = None
    folds: int = 5

    #: Whether it has a model of the effect.
    second: ClassVar[bool] = True

    def check(self, problem: Problem) -> None:
        """Refuse a model of the effect where the learner has none."""
        super().check(problem)
        if self.effect is not None and not self.second:
            raise EstimandError(
                f"{type(self).__name__} has no model of the effect to put effect= in.",
                expected="outcome= alone, or a learner such as XLearner, RLearner or DRLearner.",
            )

    # -- what a learner says

    def effect_model(
        self, problem: Problem, rows: np.ndarray, chance: np.ndarray
    ) -> Callable[..., np.ndarray]:
        """Return the effect as a function of features and propensities, learnt from some units.

        Parameters
        ----------
        rows : ndarray of int
            The units to learn from.
        chance : ndarray (unit,)
            The propensity of all units.
        """
        raise NotImplementedError

    # -- what all have

    def outcome_model(self, problem: Problem) -> Any:
        """Return the model of the outcome, not fitted."""
        own = problem.once("boosting", lambda: boosting(problem)) if self.outcome is None else (
            self.outcome
        )  # fmt: skip
        return as_learner(problem, own, "outcome")

    def second_model(self, problem: Problem) -> Any:
        """Return the model of the effect, not fitted."""
        return as_learner(problem, regression() if self.effect is None else self.effect, "effect")

    def features(self, problem: Problem) -> Any:
        """Return the features of all units."""
        x = features_of(problem, self.outcome_model(problem))
        if np.shape(x)[1] == 0:
            raise DataError(
                f"{self.label()} has no covariate to learn an effect of: nothing is adjusted for.",
                remedy="Name covariates with adjust=, or ask an estimator of the average.",
            )
        return x

    def arm_models(
        self, problem: Problem, rows: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[Any, Any]:
        """Return the outcome's models in both arms, the treated first, learnt from some units."""
        x, model = self.features(problem), self.outcome_model(problem)
        found = []
        for level, arm in ((1, "treated"), (0, "untreated")):
            known = rows[problem.arm[rows] == level]
            options = {} if weights is None else {"sample_weight": weights[known]}
            target = target_of(problem, known, model)
            where = f"{problem.outcome} among the {arm}"
            found.append(fitted_model(model, rows_of(x, known), target, where, **options))
        return found[0], found[1]

    def conditional_effects(self, problem: Problem) -> np.ndarray:
        """Return the effect at each unit's covariates, ``(unit,)`` in the order of the problem.

        Each is predicted by models learnt from the other folds.
        """

        def compute() -> np.ndarray:
            chance = propensity(problem, self.treatment, self.folds).point
            x = self.features(problem)
            found = np.empty(problem.n)
            for seen, asked in splits(folds_of(problem, self.folds)):
                known = seen[problem.arm[seen] >= 0]
                effect = self.effect_model(problem, known, chance)
                found[asked] = effect(rows_of(x, asked), chance[asked])
            if not np.isfinite(found).all():
                raise DataError(f"{self.label()} predicts effects that are no finite numbers.")
            return found

        return problem.once(("effects", Same(self)), compute)

    def worlds(self, problem: Problem, effects: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Return the outcome predicted in both worlds, ``(2, unit)``: apart by the effects.

        Its mean given covariates :math:`m(x)` is kept: :math:`m_1 = m + (1 - e)\\tau`,
        :math:`m_0 = m - e\\tau`.
        """
        both = outcomes_of(problem, self.outcome_model(problem), self.folds, together=False)
        mean = chance * both[0] + (1 - chance) * both[1]
        return np.stack([mean + (1 - chance) * effects, mean - chance * effects])

    def prepared(self, problem: Problem) -> Prepared:
        """Return the average of the scores, ready for any weights."""
        chance = propensity(problem, self.treatment, self.folds)
        refuse_no_overlap(problem, chance.point, problem.group)
        effects = self.conditional_effects(problem)
        fitted = self.worlds(problem, effects, chance.point)

        g = problem.population(chance.point)
        how = "" if self.folds == 1 else ", on other folds than those they predict"
        return corrected(
            problem,
            chance,
            Response(problem, np.empty((problem.n, 0)), False, False, fitted),
            self.draws_text(problem, INFLUENCE, how),
            {"average of the learner alone": float(g @ effects / g.sum())},
        )

    def second_stage(
        self,
        problem: Problem,
        rows: np.ndarray,
        target: np.ndarray,
        weights: np.ndarray | None,
        what: str,
    ) -> Callable[..., np.ndarray]:
        """Return the regression of a number on the features of some units, as a function."""
        options = {} if weights is None else {"sample_weight": weights}
        x = self.features(problem)
        own = self.second_model(problem)
        model = fitted_model(own, rows_of(x, rows), target, what, **options)
        return lambda features, _=None: predicted(model, features, chance=False)
