"""Densities of rows in their predictors, by family, and their slopes; compiled and kept.

Families are the places of their names in :data:`FAMILIES`. This module imports numba; import it
only inside functions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = [
    "FAMILIES",
    "HALF_LOG",
    "Rows",
    "height_of",
    "heights",
    "slopes",
    "slopes_of",
]

FAMILIES = ("normal", "logistic", "probit", "poisson", "negative binomial", "gamma")
_NORMAL, _LOGISTIC, _PROBIT, _POISSON, _NEGATIVE_BINOMIAL = range(5)
HALF_LOG = 0.5 * math.log(2.0 * math.pi)


class Rows(NamedTuple):
    """Outcomes of a family. `extra`: its scale or shape, else 1."""

    family: int
    y: Array
    trials: Array
    extra: float


@njit(cache=True, nogil=True, error_model="numpy")
def _log_normal(x: float) -> float:
    """Logarithm of the Normal distribution function."""
    if x > -20.0:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2.0)))
    v = 1.0 / (x * x)
    tail = 1.0 - v * (1.0 - 3.0 * v * (1.0 - 5.0 * v * (1.0 - 7.0 * v * (1.0 - 9.0 * v))))
    return -0.5 * x * x - HALF_LOG - math.log(-x) + math.log(tail)


@njit(cache=True, nogil=True, error_model="numpy")
def height_of(family: int, eta: float, y: float, trials: float, extra: float) -> float:
    """Log-density of a row, up to what does not read its predictor."""
    if family == _LOGISTIC:
        return y * eta - trials * (max(eta, 0.0) + math.log(1.0 + math.exp(-abs(eta))))
    if family == _POISSON:
        return y * eta - math.exp(eta)
    if family == _NEGATIVE_BINOMIAL:
        above = eta - math.log(extra)
        return y * eta - (y + extra) * (max(above, 0.0) + math.log(1.0 + math.exp(-abs(above))))
    if family == _NORMAL:
        return -0.5 * ((y - eta) / extra) ** 2
    if family == _PROBIT:
        up = y * _log_normal(eta) if y > 0 else 0.0
        return up + (trials - y) * _log_normal(-eta) if trials > y else up
    return -extra * eta - y * math.exp(-eta)


@njit(cache=True, nogil=True, error_model="numpy")
def slopes_of(
    family: int, eta: float, y: float, trials: float, extra: float
) -> tuple[float, float]:
    """First and minus the second derivative of a row in its predictor."""
    if family == _LOGISTIC:
        p = 1.0 / (1.0 + math.exp(-eta))
        first, second = y - trials * p, trials * p * (1.0 - p)
    elif family == _POISSON:
        second = math.exp(eta)
        first = y - second
    elif family == _NEGATIVE_BINOMIAL:
        p = 1.0 / (1.0 + extra * math.exp(-eta))
        first, second = y - (y + extra) * p, (y + extra) * p * (1.0 - p)
    elif family == _NORMAL:
        second = extra**-2.0
        first = (y - eta) * second
    elif family == _PROBIT:
        near = -0.5 * eta * eta - HALF_LOG
        up, down = math.exp(near - _log_normal(eta)), math.exp(near - _log_normal(-eta))
        first = y * up - (trials - y) * down
        second = y * up * (up + eta) + (trials - y) * down * (down - eta)
    else:
        second = y * math.exp(-eta)
        first = second - extra
    if math.isfinite(first) and math.isfinite(second):
        return first, max(second, 0.0)
    return 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def heights(rows: Rows, eta: Array) -> Array:
    """Log-density of each row, up to what does not read the predictor."""
    out = np.empty(len(eta))
    for r in range(len(eta)):
        out[r] = height_of(rows.family, eta[r], rows.y[r], rows.trials[r], rows.extra)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def slopes(rows: Rows, eta: Array) -> tuple[Array, Array]:
    """First and minus the second derivative of each row in its predictor."""
    first, second = np.empty(len(eta)), np.empty(len(eta))
    for r in range(len(eta)):
        first[r], second[r] = slopes_of(rows.family, eta[r], rows.y[r], rows.trials[r], rows.extra)
    return first, second
