"""Modes of a density of a few unknowns, and its curvature there, by differences."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array

    type LogDensity = Callable[[Array], Array]

__all__ = ["climb", "derivatives", "modes", "units_of", "uphill"]

#: Points from which a mode is looked for, how far they lie apart, and how many nats below the
#: highest mode another still counts.
CLIMBS, APART, DEEP = 6, 1.0, 12.0
#: Widths of an unknown that steps and limits here are made for; the width that others are given;
#: climbs on the way to it.
NARROW, BROAD, USUAL, TIMES = 1e-3, 10.0, 0.03, 4


def units_of(value: LogDensity, starts: Array) -> Array:
    """Return the unit of each unknown: 1, but where its width at the mode is far from 1.

    The coefficient of an income in cents is some 1e-6 wide, and no step of a fixed size fits it.

    Examples
    --------
    >>> import numpy as np
    >>> widths = np.array([1e-6, 1.0, 1e5])
    >>> units = units_of(lambda u: -((u / widths) ** 2).sum(axis=1) / 2, np.zeros((1, 3)))
    >>> [float(f"{unit:.1g}") for unit in units]
    [3e-05, 1.0, 3000000.0]
    """
    at = starts[int(np.argmax(np.where(np.isnan(heights := value(starts)), -np.inf, heights)))]
    units = np.ones(len(at))
    if not np.isfinite(value(at[None])[0]):
        return units
    for _ in range(TIMES):
        widths = _widths(value, at)
        units = np.where((widths < NARROW) | (widths > BROAD), widths / USUAL, 1.0)
        if np.all(units == 1.0):
            break
        at = climb(partial(_scaled, value, units), at / units)[1] * units
    return units


def _scaled(value: LogDensity, units: Array, points: Array) -> Array:
    return value(points * units)


def _widths(value: LogDensity, at: Array) -> Array:
    """Return how far each unknown goes from a point, the others held, for half a nat; 1: any."""
    steps = 10.0 ** np.arange(-10, 11)
    moved = np.einsum("s,ij->sij", steps, np.eye(len(at))).reshape(-1, len(at))
    found = value(at + moved) + value(at - moved)
    gone = np.abs(value(at[None])[0] - found / 2).reshape(len(steps), -1)
    gone = np.where(np.isfinite(gone), gone, np.inf)
    first = np.argmax(gone > 0.5, axis=0)
    lost = np.take_along_axis(gone, first[None], axis=0)[0]
    return np.where(lost > 0.5, steps[first] * np.sqrt(0.5 / np.maximum(lost, 0.5)), 1.0)


def modes(value: LogDensity, starts: Array) -> list[tuple[Array, Array]]:
    """Return points that Newton's method climbs to, and the covariance of the Gaussian at each.

    It starts from the highest of some points, and from others that lie apart from these: a density
    can have several modes, such as that of loadings whose sign is open.
    """
    heights = value(starts)
    order = np.argsort(-heights)
    begun: list[Array] = []
    for point in starts[order[np.isfinite(heights[order])]]:
        if len(begun) < CLIMBS and all(np.abs(point - b).max() > APART for b in begun):
            begun.append(point)
    if not begun:
        raise ArithmeticError("there is no density at any start")
    found: list[tuple[float, Array, Array]] = []
    for start in begun:
        height, at = climb(value, start)
        _, curve = derivatives(value, at, height, 1e-2)
        values, vectors = np.linalg.eigh(-curve)
        spread = 1.0 / np.clip(values, 1 / 9.0, 1e12)  # no direction wider than sd 3
        covariance = np.asarray((vectors * spread) @ vectors.T)
        gaps = [at - other for _, other, _ in found]
        if all(gap @ np.linalg.solve(covariance, gap) > 1.0 for gap in gaps):
            found.append((height, at, covariance))
    top = max(height for height, _, _ in found)
    high = [(at, covariance) for height, at, covariance in found if height > top - DEEP]
    if not high:
        raise ArithmeticError("the density has no mode that can be found")
    return high


def climb(value: LogDensity, start: Array) -> tuple[float, Array]:
    """Return the height and the place of a mode, near enough for a proposal."""
    at = np.asarray(start, dtype=float)
    height = float(value(at[None])[0])
    if not np.isfinite(height):
        raise ArithmeticError("there is no density where the climb begins")
    for _ in range(60):
        push = _newton(*derivatives(value, at, height, 1e-3))
        at, height, gain = uphill(value, at, height, push, 12)
        if gain < 1e-2:
            break
    return height, at


def uphill(
    value: LogDensity, at: Array, height: float, push: Array, halved: int
) -> tuple[Array, float, float]:
    """Return the highest of a step and its halves, its height, and the gain; or stay for none."""
    tried = at + 0.5 ** np.arange(halved)[:, None] * push
    found = value(tried)
    best = int(np.argmax(found))
    if not found[best] > height:
        return at, height, 0.0
    return tried[best], float(found[best]), float(found[best]) - height


def _newton(slope: Array, curve: Array) -> Array:
    """Return a step uphill: Newton's, with directions of the wrong curvature turned round."""
    values, vectors = np.linalg.eigh(-curve)
    size = np.maximum(np.abs(values), 1e-2)
    push = vectors @ ((vectors.T @ slope) / size)
    return np.asarray(push * min(1.0, 3.0 / max(float(np.abs(push).max()), 1e-12)))


def derivatives(value: LogDensity, at: Array, height: float, step: float) -> tuple[Array, Array]:
    """Return slope and curvature by differences, all points at once."""
    d = len(at)
    one = step * np.eye(d)
    pairs = [(i, j) for i in range(d) for j in range(i)]
    both = [one[i] + one[j] for i, j in pairs]
    points = np.concatenate([one, -one, *([np.stack(both), -np.stack(both)] if both else [])])
    found = value(at + points)
    found = np.where(np.isfinite(found), found, height - 1e3 * step)
    up, down, rest = found[:d], found[d : 2 * d], found[2 * d :]
    slope = (up - down) / (2 * step)
    curve = np.diag((up - 2 * height + down) / step**2)
    for n, (i, j) in enumerate(pairs):
        whole = (rest[n] - 2 * height + rest[len(pairs) + n]) / step**2
        curve[i, j] = curve[j, i] = (whole - curve[i, i] - curve[j, j]) / 2
    return np.asarray(slope), curve
