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

Values are summarised by such means, and summaries of two sets of values by weighted means of
them, in forms in which no difference of large numbers is left: for a Normal mean and variance, for
a Gamma :math:`A` and :math:`\log(A/G)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["POINTS", "Family"]

Array = np.ndarray


@dataclass(frozen=True)
class Family:
    """How values of a family come down to summaries, and these to points.

    Attributes
    ----------
    start : callable
        From values to the summaries of each alone, shape (k, n_values).
    combine : callable
        From summaries of parts, a function that averages over the parts of each cell, and the cell
        of each part, to the summaries of the cells.
    points : callable
        From summaries to points, shape (fold, n_cells).
    """

    start: Callable[[Array], Array]
    combine: Callable[[Array, Callable[[Array], Array], Array], Array]
    points: Callable[[Array], Array]

    def summaries(self, y: Array, code: Array, counts: Array) -> Array:
        """Return the summaries of cells: of values, the cell of each, and how many a cell has."""
        return self.merged(self.start(y), np.ones(len(y)), code, counts)

    def merged(self, parts: Array, weights: Array, code: Array, counts: Array) -> Array:
        """Return the summaries of cells from those of parts, weighted by their values."""

        def mean(x: Array) -> Array:
            return np.asarray(np.bincount(code, x * weights, minlength=len(counts)) / counts)

        return self.combine(parts, mean, code)

    def __call__(self, y: Array, code: Array, counts: Array) -> tuple[Array, int]:
        """Return points cell after cell, and how many each cell has."""
        found = self.points(self.summaries(y, code, counts))
        return found.reshape(-1), len(found)


def _alone(y: Array) -> Array:
    return np.stack([y, np.zeros(len(y))])


def _normal(parts: Array, mean: Callable[[Array], Array], code: Array) -> Array:
    centre = mean(parts[0])
    return np.stack([centre, mean(parts[1] + (parts[0] - centre[code]) ** 2)])


def _normal_points(found: Array) -> Array:
    sd = np.sqrt(found[1])
    return np.stack([found[0] - sd, found[0] + sd])


def _gamma(parts: Array, mean: Callable[[Array], Array], code: Array) -> Array:
    centre = mean(parts[0])
    # log(A / G) as a mean of small numbers: no difference of large ones
    gap = mean(parts[1] - np.log1p(parts[0] / centre[code] - 1.0))
    return np.stack([centre, np.maximum(gap, 0.0)])


def _gamma_points(found: Array) -> Array:
    centre, gap = found
    upper = centre * (1.0 + np.sqrt(-np.expm1(-2.0 * gap)))
    return np.stack([(centre * np.exp(-gap)) ** 2 / upper, upper])


def _means(parts: Array, mean: Callable[[Array], Array], code: Array) -> Array:
    return np.stack([mean(part) for part in parts])


def _beta_points(found: Array) -> Array:
    p, q = np.exp(found)
    half = (1.0 + (p - q) * (p + q)) / 2.0
    root = np.sqrt(np.maximum((half - p) * (half + p), 0.0))
    upper = half + root
    return np.stack([p**2 / upper, upper])


_INVERTED = Family(lambda y: _alone(1.0 / y), _gamma, lambda found: 1.0 / _gamma_points(found))

#: By the name of the op.
POINTS: dict[str, Family] = {
    "NormalRV": Family(_alone, _normal, _normal_points),
    "LogNormalRV": Family(
        lambda y: _alone(np.log(y)), _normal, lambda found: np.exp(_normal_points(found))
    ),
    "ExponentialRV": Family(lambda y: y[None], _means, lambda found: found),
    "GammaRV": Family(_alone, _gamma, _gamma_points),
    "InvGammaRV": _INVERTED,
    "InverseGammaRV": _INVERTED,
    "BetaRV": Family(lambda y: np.stack([np.log(y), np.log1p(-y)]), _means, _beta_points),
}
