r"""Points that stand for many values of an exponential family.

The log-likelihood of :math:`n` values with the same parameters is, up to a constant, linear in the
means of the family's statistics :math:`T(y)`. So is that of one or two points, and points with the
same means exist:

================  ===========================  ============================================
family            :math:`T(y)`                 points
================  ===========================  ============================================
Normal            :math:`y, y^2`               mean :math:`\pm` sd
LogNormal         the same of :math:`\log y`   their exponentials
Exponential       :math:`y`                    mean
Gamma             :math:`y, \log y`            :math:`A \pm \sqrt{A^2 - G^2}`
InverseGamma      :math:`1/y, \log y`          the same of :math:`1/y`, inverted
Beta              :math:`\log y, \log(1-y)`    roots of :math:`t^2 - (1 + P^2 - Q^2) t + P^2`
================  ===========================  ============================================

with :math:`A, G` the arithmetic and geometric means, and :math:`P, Q` the geometric means of
:math:`y` and :math:`1-y`. The roots are real because :math:`A \ge G` and :math:`P + Q \le 1`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["POINTS"]

#: From values, the code of each value's cell and the counts: points cell after cell, and how many.
Points = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, int]]


def _means(y: np.ndarray, code: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean of each cell."""
    return np.asarray(np.bincount(code, y, minlength=len(counts)) / counts)


def _normal(y: np.ndarray, code: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, int]:
    mean = _means(y, code, counts)
    sd = np.sqrt(_means((y - mean[code]) ** 2, code, counts))
    return np.concatenate([mean - sd, mean + sd]), 2


def _log_normal(y: np.ndarray, code: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, int]:
    points, fold = _normal(np.log(y), code, counts)
    return np.exp(points), fold


def _exponential(y: np.ndarray, code: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, int]:
    return _means(y, code, counts), 1


def _gamma(y: np.ndarray, code: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, int]:
    mean = _means(y, code, counts)
    # log(A / G) as a mean of small numbers: no difference of large ones
    gap = np.maximum(_means(-np.log1p(y / mean[code] - 1.0), code, counts), 0.0)
    upper = mean * (1.0 + np.sqrt(-np.expm1(-2.0 * gap)))
    geometric = mean * np.exp(-gap)
    return np.concatenate([geometric**2 / upper, upper]), 2


def _inverse_gamma(y: np.ndarray, code: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, int]:
    points, fold = _gamma(1.0 / y, code, counts)
    return 1.0 / points, fold


def _beta(y: np.ndarray, code: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, int]:
    p = np.exp(_means(np.log(y), code, counts))
    q = np.exp(_means(np.log1p(-y), code, counts))
    half = (1.0 + (p - q) * (p + q)) / 2.0
    root = np.sqrt(np.maximum((half - p) * (half + p), 0.0))
    upper = half + root
    return np.concatenate([p**2 / upper, upper]), 2


#: By the name of the op.
POINTS: dict[str, Points] = {
    "NormalRV": _normal,
    "LogNormalRV": _log_normal,
    "ExponentialRV": _exponential,
    "GammaRV": _gamma,
    "InvGammaRV": _inverse_gamma,
    "InverseGammaRV": _inverse_gamma,
    "BetaRV": _beta,
}
