r"""Draws reweighted: what a posterior would be if one of its factors counted more or less.

Raising a factor :math:`f` of the density to the power :math:`\alpha` multiplies a draw's weight
by :math:`f(\theta)^{\alpha - 1}`. Weights are smoothed by a Pareto fit to their tail. How far the
posterior of a number moves is measured by the cumulative Jensen-Shannon distance of its
distribution functions, per :math:`|\log_2 \alpha|` [1]_.

References
----------
.. [1] N. Kallioinen, T. Paananen, P.-C. Bürkner and A. Vehtari, "Detecting and diagnosing prior and
   likelihood sensitivity with power-scaling", Statistics and Computing 34, 57, 2024.
"""

from __future__ import annotations

import numpy as np
from scipy import special

__all__ = ["sensitivity", "smooth_weights", "weighted_row"]

#: Power for the rate of change, and its inverse.
_NEAR = 1.01


def smooth_weights(log_ratio: np.ndarray) -> tuple[np.ndarray, float]:
    """Return Pareto-smoothed weights and the shape of their tail.

    Parameters
    ----------
    log_ratio : ndarray
        Log of the ratio of the wanted density to that of the draws.

    Returns
    -------
    weights : ndarray
        They sum to one.
    k : float
        Shape of the tail; above 0.7 the weights are not to be trusted.
    """
    from arviz_stats.base import array_stats

    if np.ptp(log_ratio) < 1e-12:
        return np.full(log_ratio.size, 1 / log_ratio.size), float("-inf")
    smooth, k = array_stats.psislw(-log_ratio)  # it takes minus the log of the ratio
    return np.exp(smooth - special.logsumexp(smooth)), float(k)


def sensitivity(values: np.ndarray, term: np.ndarray) -> float:
    """Return the rate of change of a posterior with the power of a component.

    Parameters
    ----------
    values : ndarray
        Draws of the effect.
    term : ndarray
        Log density of the component, for each draw.

    Returns
    -------
    float
        By central differences at powers near one.
    """
    total = 0.0
    for power in (1 / _NEAR, _NEAR):
        weights, _ = smooth_weights((power - 1) * term)
        total += max(_distance(values, weights), _distance(-values, weights))
    return total / (2 * np.log2(_NEAR))


def _distance(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the cumulative Jensen-Shannon distance of weighted draws from unweighted ones."""
    order = np.argsort(values)
    x, w = values[order], weights[order]
    width = np.diff(x)
    p = (np.arange(len(x)) + 1.0)[:-1] / len(x)
    q = np.minimum(np.cumsum(w)[:-1], 1.0)
    half = 0.5 * (p + q)
    with np.errstate(divide="ignore", invalid="ignore"):
        pq = np.sum(width * np.where(p > 0, p * np.log2(p / half), 0.0))
        qp = np.sum(width * np.where(q > 0, q * np.log2(q / half), 0.0))
    p_area, q_area = np.sum(width * p), np.sum(width * q)
    bound = p_area + q_area
    gap = 0.5 / np.log(2) * (q_area - p_area)
    squared = ((pq + gap) + (qp - gap)) / bound if bound > 0 else 0.0
    return float(np.sqrt(max(squared, 0.0)))


def weighted_row(values: np.ndarray, weights: np.ndarray, prob: float) -> dict[str, float]:
    """Return mean, sd and the narrowest interval of weighted draws.

    Returns
    -------
    dict
        ``mean``, ``sd``, ``lower``, ``upper``.
    """
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
