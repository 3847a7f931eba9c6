r"""The influence function of an average effect, and the standard error that it gives.

.. math:: \psi_i = \frac{1}{\bar g} \Big[ g_i \{m_1(X_i) - m_0(X_i) - \tau\}
   + \omega_1 (Y_i - m_1(X_i)) - \omega_0 (Y_i - m_0(X_i)) \Big]

has mean zero, and no regular estimator has a smaller variance than that of its mean [1]_. About the
units at hand the first term is no error.

References
----------
.. [1] J. Hahn, "On the role of the propensity score in efficient semiparametric estimation of
   average treatment effects", Econometrica 66 (1998), 315-331.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.estimators.estimator import INFLUENCE, REFITTED, Estimator, Prepared
from bayescausal.estimators.nuisance.outcome import response
from bayescausal.estimators.nuisance.propensity import propensity
from bayescausal.estimators.problem.problem import clustered_error
from bayescausal.estimators.weighting.balancing import arm_weights, unit_weights, weighted_arms
from bayescausal.estimators.weighting.extremes import extreme_notes, refuse_no_overlap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.estimators.nuisance.outcome import Response
    from bayescausal.estimators.nuisance.propensity import Chance
    from bayescausal.estimators.problem.problem import Problem

__all__ = [
    "DoublyRobust",
    "corrected",
    "influence",
    "influence_error",
    "normalised",
    "population_sums",
]


@dataclass(frozen=True)
class DoublyRobust(Estimator):
    """What the estimators share that model outcome and treatment: the two models."""

    models: ClassVar[str] = "both"
    assumes: ClassVar[str] = "the model of the outcome or of the treatment is right; overlap"

    outcome: Any = "auto"
    treatment: Any = "logistic"
    folds: int = 5
    interactions: bool | None = None

    def fitted(self, problem: Problem) -> tuple[Chance, Response, str]:
        """Return the propensity, the outcome in both worlds, and what the draws are."""
        chance = propensity(problem, self.treatment, self.folds)
        refuse_no_overlap(problem, chance.point, problem.group)
        apart = not isinstance(self.outcome, str) if self.interactions is None else (
            self.interactions
        )  # fmt: skip
        model = response(problem, self.outcome, together=not apart, folds=self.folds)
        text = self.draws_text(
            problem,
            REFITTED if model.refits and chance.refits else INFLUENCE,
            "" if self.folds == 1 else ", on other folds than those they predict",
        )
        return chance, model, text


def corrected(
    problem: Problem,
    chance: Chance,
    model: Response,
    draws_are: str,
    numbers: Mapping[str, float] | None = None,
) -> Prepared:
    """Return averages of predictions, corrected by the weighted residuals, for any weights.

    - `chance`, `model`: the propensity, and the outcome in both worlds.
    - `draws_are`: what the draws are, in words.
    - `numbers`: further numbers of the estimator.
    """

    def draw(weights: np.ndarray) -> np.ndarray:
        fitted = model.under(weights)
        own, total = population_sums(problem, chance, weights)
        found = []
        parts = weighted_arms(problem, chance, weights, problem.group)
        for k, (rows, part) in enumerate(zip(problem.arms, parts, strict=True)):
            left = part @ problem.y[rows] - fitted.total_of(k, part, rows)
            found.append(fitted.total(k, own) / own.sum(axis=1) + left / total)
        return np.stack(found)

    point = unit_weights(problem, chance.point, problem.group)
    return Prepared(
        draw,
        draws_are,
        weights=normalised(problem, point),
        chance=chance.point,
        fitted=model.point,
        se=influence_error(problem, chance.point, model.point),
        numbers=numbers or {},
        notes=extreme_notes(problem, point, chance.point),
    )


def influence(problem: Problem, chance: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Return the influence of each unit on the difference ``(unit,)``.

    ``chance``: the propensity; ``fitted`` ``(2, unit)``: the outcome predicted in both worlds.
    """
    g = problem.population(chance)
    one, zero = arm_weights(problem, chance, problem.group)
    left = one * (problem.y - fitted[0]) - zero * (problem.y - fitted[1])
    apart = fitted[0] - fitted[1]
    difference = (g @ apart + left.sum()) / g.sum()
    first = 0.0 if problem.fixed else g * (apart - difference)
    return np.asarray((first + left) / g.mean())


def influence_error(problem: Problem, chance: np.ndarray, fitted: np.ndarray) -> float:
    """Return the standard error of the difference; of clusters, by their sums."""
    return clustered_error(problem, influence(problem, chance, fitted) / problem.n)


def population_sums(
    problem: Problem, chance: Chance, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what units weigh in averages ``(draw or 1, unit)``, and the population's size.

    The size ``(draw,)`` is that under the weights, by which weighted residuals are divided.
    """
    if problem.group == "all":
        return problem.averaging(weights), weights.sum(axis=1)
    if problem.group == "overlap":
        g = problem.population(chance.under(weights))
        return problem.averaging(weights) * g, (weights * g).sum(axis=1)
    g = problem.population()
    return problem.averaging(weights) * g, weights @ g


def normalised(problem: Problem, weights: np.ndarray) -> np.ndarray:
    """Return weights that sum to one in each arm."""
    found = np.zeros(problem.n)
    for arm in (problem.treated, problem.control):
        found[arm] = weights[arm] / weights[arm].sum()
    return found
