r"""Independent draws from a density on the line, known up to a constant.

The line is searched for the mass: a coarse grid is refined around its highest point until some
hundreds of its points lie within 45 nats of it (what lies outside holds less than
:math:`10^{-15}`). On the last grid the log-density is taken to be linear between points, and
*that* density is drawn from exactly, by inversion. With cells of width :math:`h` the relative
error of the density is at most :math:`h^2 |\ell''| / 8`; 4,000 cells over about 19 standard
deviations leave less than :math:`3 \cdot 10^{-6}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Line", "Table", "cell_masses", "draw_line", "tabulated"]

#: Nats below the highest point that still count.
DEPTH = 45.0
#: Cells of the last grid.
CELLS = 4_000
#: Points of a table.
POINTS = 20_000


class Line:
    """A monotone map from the line to an interval, with its log-derivative.

    `lower`, `upper`: ends of the interval, infinite where it has none.

    Examples
    --------
    >>> import numpy as np
    >>> line = Line(0.0, np.inf)
    >>> line.to_interval(np.array([0.0])).tolist()
    [1.0]
    """

    def __init__(self, lower: float, upper: float) -> None:
        self.lower, self.upper = lower, upper
        both = np.isfinite(lower) and np.isfinite(upper)
        self.reach = 36.0 if both else (300.0 if np.isfinite(lower) or np.isfinite(upper) else 30.0)

    def to_interval(self, t: np.ndarray) -> np.ndarray:
        """Return the point of the interval."""
        low, high = np.isfinite(self.lower), np.isfinite(self.upper)
        if low and high:
            return self.lower + (self.upper - self.lower) / (1.0 + np.exp(-t))
        if low:
            return self.lower + np.exp(t)
        if high:
            return self.upper - np.exp(-t)
        return np.sinh(t)

    def log_slope(self, t: np.ndarray) -> np.ndarray:
        """Return the log of the derivative."""
        low, high = np.isfinite(self.lower), np.isfinite(self.upper)
        if low and high:
            return np.asarray(
                np.log(self.upper - self.lower) - np.logaddexp(0, t) - np.logaddexp(0, -t)
            )
        if low:
            return t
        if high:
            return -t
        return np.asarray(np.logaddexp(t, -t) - np.log(2.0))


def draw_line(
    log_density: Callable[[np.ndarray], np.ndarray],
    line: Line,
    size: int,
    rng: np.random.Generator,
    *,
    cells: int = CELLS,
) -> np.ndarray:
    """Return independent draws.

    - `log_density`: of points of the interval, up to a constant; vectorised; minus infinity or NaN
      outside.
    - `cells`: of the last grid.
    Raises ArithmeticError if there is no finite point, or the mass runs off the line: it has no
      finite integral.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> draws = draw_line(lambda s: -s, Line(0.0, np.inf), 100_000, rng)  # exponential
    >>> bool(abs(draws.mean() - 1) < 4 / np.sqrt(100_000))
    True
    """

    def value(t: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            found = np.asarray(log_density(line.to_interval(t)), dtype=float) + line.log_slope(t)
        return np.where(np.isfinite(found), found, -np.inf)

    grid = np.linspace(-line.reach, line.reach, 4_001)
    for _ in range(60):
        height = value(grid)
        top = float(height.max())
        if not np.isfinite(top):
            raise ArithmeticError("the density is zero, or not finite, everywhere")
        inside = np.flatnonzero(height > top - DEPTH)
        first, last = max(inside[0] - 1, 0), min(inside[-1] + 1, len(grid) - 1)
        if len(inside) >= 400:
            break
        grid = np.linspace(grid[first], grid[last], 4_001)
    low, high = float(grid[first]), float(grid[last])
    if (low <= -line.reach or high >= line.reach) and max(height[first], height[last]) > top - 25:
        raise ArithmeticError("the density has no finite integral")
    points = np.linspace(low, high, cells + 1)
    return line.to_interval(_invert(points, value(points), size, rng))


def cell_masses(height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each cell of a grid, the mass and the rise of a density with linear log.

    `height` (n_cells + 1): the log-density at the points of an even grid.
    Returns (n_cells): mass in units of the cells' width, up to a constant; rise of the log-density.
    """
    height = np.maximum(height - height.max(), -700.0)
    left, right = height[:-1], height[1:]
    rise = right - left
    flat = np.abs(rise) < 1e-8
    safe = np.where(flat, 1.0, rise)
    return np.where(flat, np.exp(left), np.exp(left) * np.expm1(safe) / safe), rise


def _invert(t: np.ndarray, height: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw from a density whose log is linear between points."""
    mass, rise = cell_masses(height)
    total = np.cumsum(mass)
    cell = np.minimum(np.searchsorted(total, rng.random(size) * total[-1]), len(mass) - 1)
    u = rng.random(size)
    slope = rise[cell]
    plain = np.abs(slope) < 1e-8
    steep = np.where(plain, 1.0, slope)
    inside = np.where(plain, u, np.log1p(u * np.expm1(steep)) / steep)
    return np.asarray(t[cell] + inside * (t[1] - t[0]))


@dataclass(frozen=True, eq=False)
class Table:
    """A prior and the noise that it gives, along a line, for samplers that move on that line."""

    start: float  # the first point of the line, and how far apart they are
    step: float
    log_prior: np.ndarray  # (n_points) of the point of the line
    log_g: np.ndarray  # (n_points) the log of the noise
    first: float  # where the noise is the one that was guessed

    def noise(self, points: np.ndarray) -> np.ndarray:
        """Return the log of the noise at points of the line."""
        place = np.clip((points - self.start) / self.step, 0, len(self.log_g) - 1.000001)
        k = place.astype(int)
        return np.asarray(self.log_g[k] + (place - k) * (self.log_g[k + 1] - self.log_g[k]))


def tabulated(
    line: Line,
    log_prior: Callable[[np.ndarray], np.ndarray],
    spread: Callable[[np.ndarray], np.ndarray],
    rough: float,
) -> Table:
    """Return a table of a prior and of the noise, about a guess of the noise.

    Raises ArithmeticError if no point of the line has a noise near the guess.
    """
    coarse = np.linspace(-line.reach, line.reach, 4_001)
    with np.errstate(all="ignore"):
        g = spread(line.to_interval(coarse))
    near = np.flatnonzero((g > 1e-9 * rough) & (g < 1e3 * rough))
    if len(near) < 2:
        raise ArithmeticError("the noise has no scale that fits the rows")
    grid = np.linspace(coarse[near[0]], coarse[near[-1]], POINTS)
    with np.errstate(all="ignore"):
        s = line.to_interval(grid)
        height = log_prior(s) + line.log_slope(grid)
        log_g = np.log(spread(s))
    first = float(grid[np.argmin(np.abs(log_g - np.log(rough)))])
    height = np.where(np.isfinite(height), height, -1e300)
    return Table(float(grid[0]), float(grid[1] - grid[0]), height, log_g, first)
