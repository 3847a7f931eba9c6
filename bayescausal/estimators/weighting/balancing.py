r"""Balancing weights: the arms, weighted to be alike in what is adjusted for.

With the propensity e and a tilting function h [1]_

.. math:: \omega_1 = \frac{h(e)}{e}, \qquad \omega_0 = \frac{h(e)}{1 - e},

make the treated and the untreated represent one population, whose density is h(e) times that of the
units: all for h = 1, the treated for h = e, the untreated for h = 1 - e, the overlap population for
h = e (1 - e), that of pairs for h = min(e, 1 - e), those inside for h = 1{a < e < 1 - a}.

References
----------
.. [1] F. Li, K. L. Morgan and A. M. Zaslavsky, "Balancing covariates via propensity score
   weighting", Journal of the American Statistical Association 113 (2018), 390-400.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bayescausal.estimators.nuisance.propensity import Chance
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["arm_weights", "effective_size", "tilt_of", "unit_weights", "weighted_arms"]


def tilt_of(chance: np.ndarray, tilt: str, trim: float = 0.1) -> np.ndarray:
    """Return h(e) for the population of that name.

    Examples
    --------
    >>> import numpy as np
    >>> tilt_of(np.array([0.05, 0.5, 0.8]), "matching").round(2).tolist()
    [0.05, 0.5, 0.2]
    """
    if tilt == "treated":
        return chance
    if tilt == "control":
        return np.asarray(1.0 - chance)
    if tilt == "overlap":
        return np.asarray(chance * (1.0 - chance))
    if tilt == "matching":
        return np.minimum(chance, 1.0 - chance)
    if tilt == "trimmed":
        return np.asarray(((chance > trim) & (chance < 1.0 - trim)).astype(float))
    return np.ones_like(chance)


def arm_weights(
    problem: Problem, chance: np.ndarray, tilt: str, trim: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the treated and of the untreated, 0 outside their arm.

    ``chance``: ``(unit,)`` or ``(draw, unit)``.
    """
    own = problem.treated, problem.control
    # in each arm the chance of its own units alone: that of others may be 0 there
    one, zero = (np.where(inside, chance, 0.5) for inside in own)
    if tilt in ("treated", "control", "overlap"):  # without a division by what may be small
        odds = {
            "treated": (np.ones_like(chance), zero / (1.0 - zero)),
            "control": ((1.0 - one) / one, np.ones_like(chance)),
            "overlap": (1.0 - one, zero),
        }[tilt]
        return odds[0] * own[0], odds[1] * own[1]
    tilted = tilt_of(chance, tilt, trim)
    return tilted / one * own[0], tilted / (1.0 - zero) * own[1]


def unit_weights(problem: Problem, chance: np.ndarray, tilt: str, trim: float = 0.1) -> np.ndarray:
    """Return the weight of each unit in its arm ``(unit,)``, not divided by their sum."""
    one, zero = arm_weights(problem, chance, tilt, trim)
    return np.asarray(one + zero)


def weighted_arms(
    problem: Problem, chance: Chance, weights: np.ndarray, tilt: str, trim: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of both arms' units under a block of weights, ``(draw, unit of the arm)``.

    Estimators that use the same propensity share them.
    """

    def compute() -> tuple[np.ndarray, np.ndarray]:
        e = chance.under(weights)
        first, second = problem.arms
        one, zero = e[:, first], e[:, second]
        if tilt == "treated":
            return weights[:, first], weights[:, second] * (zero / (1.0 - zero))
        if tilt == "control":
            return weights[:, first] * ((1.0 - one) / one), weights[:, second]
        if tilt == "overlap":
            return weights[:, first] * (1.0 - one), weights[:, second] * zero
        if tilt == "all":
            return weights[:, first] / one, weights[:, second] / (1.0 - zero)
        return (
            weights[:, first] * tilt_of(one, tilt, trim) / one,
            weights[:, second] * tilt_of(zero, tilt, trim) / (1.0 - zero),
        )

    if not chance.refits:
        return compute()
    return problem.remember(("arms", chance.penalty, tilt, trim), weights, compute)


def effective_size(weights: np.ndarray) -> float:
    """Return the effective sample size of weighted units, by Kish.

    Examples
    --------
    >>> import numpy as np
    >>> effective_size(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    total = float((weights**2).sum())
    return float(weights.sum() ** 2 / total) if total > 0 else 0.0
