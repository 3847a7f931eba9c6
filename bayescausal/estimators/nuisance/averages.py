"""Averages of predicted outcomes over the population of a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.estimators.nuisance.propensity import propensity
from bayescausal.estimators.numerics.least_squares import with_constant

if TYPE_CHECKING:
    from bayescausal.estimators.nuisance.outcome import Fitted
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["population_means", "population_weights"]


def population_weights(problem: Problem, weights: np.ndarray) -> np.ndarray:
    """Return what each unit weighs in the population, ``(draw or 1, unit)``.

    The weights of the draw count where the population is the one that the units came from.
    """
    own = problem.averaging(weights)
    if problem.group == "overlap":
        return np.asarray(own * problem.population(propensity(problem).under(weights)))
    return np.asarray(own * problem.population())


def population_means(problem: Problem, model: Fitted, weights: np.ndarray) -> np.ndarray:
    """Return the averages of the outcome in both worlds, ``(2, draw)``, over the population."""
    if problem.target is not None:
        rows = with_constant(problem.target.x)
        even = np.full((1, len(rows)), 1.0 / len(rows))
        found = [model.total(k, even, rows) for k in (0, 1)]
    else:
        own = population_weights(problem, weights)
        total = own.sum(axis=1)
        found = [model.total(k, own) / total for k in (0, 1)]
    return np.stack([np.broadcast_to(f, (len(weights),)) for f in found])
