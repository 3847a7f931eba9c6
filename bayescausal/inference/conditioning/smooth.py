r"""A smooth function of a few numbers as a polynomial, where it is asked at many points.

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

from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import chebyshev
from scipy.linalg import solve_triangular
from scipy.special import gammaincinv

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array

__all__ = ["Smooth", "near_mode"]

#: Points from which a polynomial is tried, its nodes along each axis, one choice after the other.
MANY, NODES = 800, (10, 16, 24)
#: The largest error, of numbers that stand in an exponent; points that it is seen at.
NEAR, SEEN = 1e-8, 24
#: Of a log-density about its mode: the largest error, the degree, the most terms, points that
#: certify it.
OFF, DEGREE, TERMS, CERTIFY = 0.01, 4, 220, 60


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


def near_mode(
    function: Callable[[Array], Array], mode: Array, root: Array, rng: np.random.Generator
) -> Callable[[Array], Array]:
    """Return a costly log-density of several numbers, near its mode as a polynomial.

    It is fitted at some points and *certified* at others: where it is off by less than :data:`OFF`
    at each of them it takes the place of the function, within a radius of the mode that holds a
    Gaussian but for 1e-5.

    `root`: of the precision at the mode, lower.
    """
    d = len(mode)
    powers = _powers(d)
    if len(powers) > TERMS:
        return function
    radius = float(np.sqrt(2 * gammaincinv(d / 2, 1 - 1e-5)))  # of a Gaussian, but for 1e-5
    count = int(1.5 * len(powers)) + 10
    far = rng.uniform(size=(count + CERTIFY, 1)) ** (1 / d)
    noise = rng.standard_normal((count + CERTIFY, d))
    z = np.where(
        rng.uniform(size=far.shape) < 0.5,
        far * noise / np.linalg.norm(noise, axis=1, keepdims=True),
        np.minimum(1.0, radius / np.linalg.norm(noise, axis=1, keepdims=True)) * noise / radius,
    )
    points = mode + solve_triangular(root.T, radius * z.T).T
    heights = function(points)
    top = float(function(mode[None])[0])
    if not np.isfinite(heights).all():
        return function
    design = _monomials(z, powers)
    fitted = np.linalg.lstsq(design[:count], heights[:count] - top, rcond=None)[0]
    off = np.abs(design[count:] @ fitted - (heights[count:] - top)).max()
    if not off < OFF:
        return function

    def value(asked: Array) -> Array:
        own = (asked - mode) @ root / radius
        inside = (own**2).sum(axis=1) <= 1.0
        found = np.empty(len(asked))
        found[inside] = top + _monomials(own[inside], powers) @ fitted
        if not inside.all():
            found[~inside] = function(asked[~inside])
        return found

    return value


def _powers(d: int) -> list[tuple[int, ...]]:
    """Return the factors of each monomial up to the degree."""
    found: list[tuple[int, ...]] = []
    for k in range(DEGREE + 1):
        found += combinations_with_replacement(range(d), k)
        if len(found) > TERMS:
            break
    return found


def _monomials(z: Array, powers: list[tuple[int, ...]]) -> Array:
    out = np.ones((len(z), len(powers)))
    place = {p: i for i, p in enumerate(powers)}
    for i, factors in enumerate(powers):
        if factors:
            out[:, i] = out[:, place[factors[:-1]]] * z[:, factors[-1]]
    return out
