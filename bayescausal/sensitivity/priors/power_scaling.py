r"""Draws reweighted: what a posterior would be if one of its factors counted more or less.

Raising a factor :math:`f` of the density to the power :math:`\alpha` multiplies a draw's weight
by :math:`f(\theta)^{\alpha - 1}`. Weights are smoothed by a Pareto fit to their tail. How far the
posterior of a number moves is measured by the cumulative Jensen-Shannon distance of its
distribution functions, per :math:`|\log_2 \alpha|` [1]_. All of this is ArviZ's; what is here is
the summary of weighted draws, and the cases without a tail that it refuses.

References
----------
.. [1] N. Kallioinen, T. Paananen, P.-C. Bürkner and A. Vehtari, "Detecting and diagnosing prior and
   likelihood sensitivity with power-scaling", Statistics and Computing 34, 57, 2024.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from arviz_stats.base import array_stats

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = ["sensitivity", "smooth_weights", "weighted_row"]

#: The powers between which the rate of change is taken.
_NEAR = (0.99, 1.01)


def _is_constant(term: Array) -> bool:
    """Whether a factor is the same in every draw, so that its power changes nothing."""
    return bool(np.ptp(term) < 1e-12)


def smooth_weights(log_ratio: Array) -> tuple[Array, float]:
    """Return Pareto-smoothed weights, which sum to one, and the shape of their tail.

    Where the shape is above 0.7 the weights are not to be trusted.
    """
    if _is_constant(log_ratio):
        return np.full(log_ratio.size, 1 / log_ratio.size), float("-inf")
    smooth, k = array_stats.psislw(-log_ratio)  # it takes minus the log of the ratio
    return np.exp(smooth), float(k)


def sensitivity(values: Array, term: Array) -> float:
    """Return the rate of change of a posterior with the power of a component.

    ``values``, ``term``: draws of the effect and log density of the component, (chain, draw).
    """
    if _is_constant(term) or _is_constant(values):
        return 0.0
    lower, upper = (np.exp(array_stats.power_scale_lw(term, a, axis=(-2, -1))) for a in _NEAR)
    return float(
        array_stats.power_scale_sense(values, lower / lower.sum(), upper / upper.sum(), *_NEAR)
    )


def weighted_row(values: Array, weights: Array, prob: float) -> dict[str, float]:
    """Return ``mean``, ``sd`` and the narrowest interval, ``lower`` to ``upper``, of draws."""
    mean = float(weights @ values)
    order = np.argsort(values)
    x, total = values[order], np.cumsum(weights[order])
    reach = np.searchsorted(total, (total - weights[order]) + prob - 1e-12)
    inside = reach < len(x)
    start = np.flatnonzero(inside)
    best = start[np.argmin(x[reach[inside]] - x[start])]
    return {
        "mean": mean,
        "sd": float(np.sqrt(weights @ (values - mean) ** 2)),
        "lower": float(x[best]),
        "upper": float(x[reach[best]]),
    }
