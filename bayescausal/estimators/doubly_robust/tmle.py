r"""Targeted maximum likelihood: predictions moved until no weighted residual is left.

The outcome is brought to [0, 1], its predictions :math:`\hat Q_t` are moved by one number for each
world,

.. math:: \operatorname{logit} Q^*_t = \operatorname{logit} \hat Q_t + \epsilon_t, \qquad
   \sum_i w_i\, \omega_t(\hat e_i)\, 1\{T_i = t\}\, (Y_i - Q^*_{ti}) = 0,

and averaged over the population [1]_ (the weights of the propensity act on the likelihood, which
keeps the step small where they are large [2]_). Doubly robust and efficient as the augmented
weighted estimator; since predictions stay within the range of the outcome, so does the answer,
which steadies it where overlap is thin. It fails as that one does where both models are wrong.

References
----------
.. [1] M. J. van der Laan and S. Rose, *Targeted Learning*, Springer, 2011.
.. [2] S. Gruber and M. J. van der Laan, "tmle: an R package for targeted maximum likelihood
   estimation", Journal of Statistical Software 51(13), 2012.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import expit, logit

from bayescausal.estimators.doubly_robust.influence import (
    DoublyRobust,
    influence_error,
    normalised,
    population_sums,
)
from bayescausal.estimators.estimator import Prepared
from bayescausal.estimators.weighting.balancing import unit_weights, weighted_arms
from bayescausal.estimators.weighting.extremes import extreme_notes
from bayescausal.types import DataError

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["TMLE"]

#: How near to the ends of the outcome's range a prediction may come, as a share of it.
EDGE = 5e-4
STEPS = 50


@dataclass(frozen=True)
class TMLE(DoublyRobust):
    """Predictions of the outcome, targeted by the propensity.

    Parameters
    ----------
    outcome : {"auto", "linear", "logistic"} or an object with fit and predict
        ``"auto"``: logistic where the outcome is 0 or 1, linear otherwise.
    treatment : "logistic", Logistic, or an object with fit and predict_proba
        The model of the treatment.
    folds : int
        A learner predicts the folds that it was not fitted to; 1: its own.
    interactions : bool, optional
        Whether the outcome has a model in each arm, or one that reads the treatment. Default: one,
        with a coefficient of the treatment, for "linear" and "logistic"; of a learner, each arm.

    References
    ----------
    M. J. van der Laan and S. Rose, *Targeted Learning*, Springer, 2011.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.TMLE().name
    'tmle'
    """

    name: ClassVar[str] = "tmle"

    def prepared(self, problem: Problem) -> Prepared:
        """Return the targeted averages, ready for any weights."""
        chance, model, text = self.fitted(problem)
        seen = problem.y[problem.arm >= 0]
        low, high = float(seen.min()), float(seen.max())
        if high == low:
            raise DataError(f"{problem.outcome!r} has one value in these units, {low:g}.")
        y = (problem.y - low) / (high - low)

        def draw(weights: np.ndarray) -> np.ndarray:
            fitted = model.under(weights)
            own, _ = population_sums(problem, chance, weights)
            found = []
            parts = weighted_arms(problem, chance, weights, problem.group)
            for k, (rows, part) in enumerate(zip(problem.arms, parts, strict=True)):
                first = (fitted.values(k) - low) / (high - low)
                start = logit(np.clip(first, EDGE, 1 - EDGE))
                move = _fluctuation(start[:, rows], y[rows], part)
                moved = expit(start + move[:, None])
                found.append(low + (high - low) * (own * moved).sum(axis=1) / own.sum(axis=1))
            return np.stack(found)

        point = unit_weights(problem, chance.point, problem.group)
        return Prepared(
            draw,
            text,
            weights=normalised(problem, point),
            chance=chance.point,
            fitted=model.point,
            se=influence_error(problem, chance.point, model.point),
            notes=extreme_notes(problem, point, chance.point),
        )


def _fluctuation(start: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the move ``(draw,)`` of the logits after which no weighted residual is left."""
    total = weights.sum(axis=1)
    move = np.zeros(len(weights))
    for _ in range(STEPS):
        p = expit(start + move[:, None])
        gap = (weights * (y - p)).sum(axis=1) / total
        slope = (weights * p * (1 - p)).sum(axis=1) / total
        step = np.clip(gap / np.maximum(slope, 1e-12), -2.0, 2.0)
        move = move + step
        if np.abs(step).max() < 1e-9:
            return move
    raise DataError(
        "The targeting step has no finite solution: the weighted outcomes of an arm are all at one "
        "end of their range.",
        remedy="Ask AIPW, or merge levels so that both outcomes occur in each arm.",
    )
