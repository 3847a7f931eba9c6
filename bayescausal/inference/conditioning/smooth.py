r"""A smooth function of two numbers as a polynomial, where it is asked at many points.

Where a value is costly (the factor of a matrix) and the points lie in a rectangle, the function is
evaluated at the Chebyshev nodes of the rectangle; the polynomial through these values converges
geometrically where the function is analytic in a neighbourhood [1]_. How near it is, is seen at
points of its own, where both are evaluated; where it is not as near as :data:`NEAR`, and outside
the rectangle, the function itself is taken.

References
----------
.. [1] L. N. Trefethen, *Approximation Theory and Approximation Practice*, SIAM, 2013, chapter 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import chebyshev

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array

__all__ = ["Smooth"]

#: Points from which a polynomial is tried, its nodes along each axis, one choice after the other.
MANY, NODES = 800, (10, 16, 24)
#: The largest error, of numbers that stand in an exponent; points that it is seen at.
NEAR, SEEN = 1e-8, 24


class Smooth:
    """A function of points (n, 2), finite and smooth, that may be asked often.

    Examples
    --------
    >>> import numpy as np
    >>> calls = []
    >>> def costly(points):
    ...     calls.append(len(points))
    ...     return np.exp(points[:, 0]) / (3 + points[:, 1])
    >>> points = np.random.default_rng(1).uniform(-1, 1, (5000, 2))
    >>> bool(np.allclose(Smooth(costly)(points), costly(points), rtol=0, atol=1e-8))
    True
    >>> sum(calls[:-1]) < 1000
    True
    """

    def __init__(self, function: Callable[[Array], Array], *, worth: bool = True) -> None:
        self.function, self.worth = function, worth
        self.low = self.high = np.zeros(0)
        self.coefficients = np.zeros((0, 0))

    def __call__(self, points: Array) -> Array:
        """Return the values."""
        if self.worth and not self.coefficients.size and len(points) >= MANY:
            self._learn(points)
        inside = self._inside(points)
        out = np.empty(len(points))
        if inside.any():
            out[inside] = self._polynomial(points[inside])
        if not inside.all():
            out[~inside] = self.function(points[~inside])
        return out

    def _inside(self, points: Array) -> Array:
        if not self.coefficients.size:
            return np.zeros(len(points), dtype=bool)
        return np.asarray(((points >= self.low) & (points <= self.high)).all(axis=1))

    def _polynomial(self, points: Array) -> Array:
        x, y = ((2 * points - self.low - self.high) / (self.high - self.low)).T
        return np.asarray(chebyshev.chebval2d(x, y, self.coefficients))

    def _learn(self, points: Array) -> None:
        """Find the polynomial over the rectangle that most of the points lie in."""
        self.low, self.high = np.quantile(points, [0.005, 0.995], axis=0)
        within = points[((points >= self.low) & (points <= self.high)).all(axis=1)][:SEEN]
        if not (self.high > self.low).all():
            self.worth = False
            return
        exact = self.function(within)
        for count in NODES:
            at = np.cos(np.pi * (np.arange(count) + 0.5) / count)
            grid = np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)
            middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
            values = self.function(middle + half * grid).reshape(count, count)
            back = np.linalg.inv(chebyshev.chebvander(at, count - 1))
            self.coefficients = back @ values @ back.T
            with np.errstate(invalid="ignore"):
                error = np.abs(self._polynomial(within) - exact).max()
            if error < NEAR:
                return
        self.coefficients, self.worth = np.zeros((0, 0)), False
