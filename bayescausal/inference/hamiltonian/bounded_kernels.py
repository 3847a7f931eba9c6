"""The inner loop of :mod:`.bounded`: coefficients between walls, and the noise.

This module imports numba; import it only inside functions. The compiled code is cached on disk.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = ["sweeps"]

#: Reflections of a trajectory, after which it ends where it is told to have failed.
REFLECTIONS = 200_000
#: Widths of a step out of a slice, on each side, and tries to shrink it.
OUT = 60


@njit(cache=True, nogil=True)
def _noise(t: float, table: Array, start: float, step: float, count: float, rest: float) -> float:
    """Log-density of the coordinate of the noise, given the sum of squares that is left."""
    place = (t - start) / step
    if not 0.0 <= place < table.shape[1] - 1:
        return -np.inf
    k = int(place)
    share = place - k
    height = table[0, k] + share * (table[0, k + 1] - table[0, k])
    log_g = table[1, k] + share * (table[1, k + 1] - table[1, k])
    return height - count * log_g - 0.5 * rest * math.exp(-2.0 * log_g)


@njit(cache=True, nogil=True)
def _slice(
    rng: np.random.Generator,
    t: float,
    table: Array,
    start: float,
    step: float,
    count: float,
    rest: float,
) -> float:
    """Move the coordinate of the noise by slice sampling."""
    level = _noise(t, table, start, step, count, rest) + math.log(rng.random())
    low = t - rng.random()
    high = low + 1.0
    for _ in range(OUT):
        if _noise(low, table, start, step, count, rest) < level:
            break
        low -= 1.0
    for _ in range(OUT):
        if _noise(high, table, start, step, count, rest) < level:
            break
        high += 1.0
    for _ in range(100):
        at = low + (high - low) * rng.random()
        if _noise(at, table, start, step, count, rest) >= level:
            return at
        if at < t:
            low = at
        else:
            high = at
    return t


@njit(cache=True, nogil=True)
def _travel(
    rng: np.random.Generator, z: Array, normals: Array, offsets: Array
) -> tuple[Array, bool]:
    """Follow a standard Normal's exact trajectory for a quarter of its period, between walls.

    Walls are ``normals @ z + offsets >= 0``. Returns the end, and whether it was reached.
    """
    size = len(z)
    speed = rng.standard_normal(size)
    left = 0.5 * math.pi
    lengths = np.empty(len(offsets))
    for j in range(len(offsets)):
        lengths[j] = normals[j] @ normals[j]
    last = -1
    for _ in range(REFLECTIONS):
        along, across = normals @ z, normals @ speed
        first, hit = left, -1
        for j in range(len(offsets)):
            reach = math.sqrt(along[j] * along[j] + across[j] * across[j])
            if reach <= abs(offsets[j]):
                continue
            # along cos + across sin = reach cos(time - phase) falls to -offset
            phase = math.atan2(across[j], along[j])
            time = phase + math.acos(-offsets[j] / reach)
            if j == last and time < 1e-9:
                time += 2.0 * math.pi
            elif time < 0.0:
                time = time + 2.0 * math.pi if time < -1e-9 else 0.0
            if time < first:
                first, hit = time, j
        cosine, sine = math.cos(first), math.sin(first)
        moved = cosine * z + sine * speed
        speed = cosine * speed - sine * z
        z = moved
        if hit < 0:
            return z, True
        left -= first
        speed -= 2.0 * (normals[hit] @ speed) / lengths[hit] * normals[hit]
        last = hit
    return z, False


@njit(cache=True, nogil=True)
def sweeps(
    rng: np.random.Generator,
    c: Array,
    t: float,
    gram: Array,
    moment: Array,
    square: float,
    count: float,
    known_gram: Array,
    known_moment: Array,
    lower: Array,
    upper: Array,
    start: float,
    step: float,
    table: Array,
    size: int,
    thin: int,
) -> tuple[Array, Array, bool]:
    """Return coefficients and the coordinate of the noise after every `thin` sweeps.

    The third says whether all trajectories were followed to their end. `table` (2, n): the
    log-density of the coordinate before the data, and the log of the noise; with one column the
    noise is known.
    """
    n = len(c)
    out, lines = np.empty((size, n)), np.empty(size)
    below = np.flatnonzero(np.isfinite(lower))
    above = np.flatnonzero(np.isfinite(upper))
    unknown = table.shape[1] > 1
    whole = True
    for sweep in range(size * thin):
        v = 1.0
        if unknown:
            rest = max(square - 2.0 * (c @ moment) + c @ (gram @ c), 0.0)
            t = _slice(rng, t, table, start, step, count, rest)
            place = (t - start) / step
            k = min(int(place), table.shape[1] - 2)
            v = math.exp(2.0 * (table[1, k] + (place - k) * (table[1, k + 1] - table[1, k])))
        factor = np.linalg.cholesky(known_gram + gram / v)
        inverse = np.linalg.inv(factor).T  # c = centre + inverse z
        centre = inverse @ (inverse.T @ (known_moment + moment / v))
        normals = np.empty((len(below) + len(above), n))
        offsets = np.empty(len(below) + len(above))
        for i in range(len(below)):
            j = below[i]
            normals[i], offsets[i] = inverse[j], centre[j] - lower[j]
        for i in range(len(above)):
            j = above[i]
            normals[len(below) + i] = -inverse[j]
            offsets[len(below) + i] = upper[j] - centre[j]
        z, done = _travel(rng, factor.T @ (c - centre), normals, offsets)
        whole = whole and done
        c = np.minimum(np.maximum(centre + inverse @ z, lower), upper)
        if (sweep + 1) % thin == 0:
            out[sweep // thin], lines[sweep // thin] = c, t
    return out, lines, whole
