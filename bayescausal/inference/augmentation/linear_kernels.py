"""Loops of data augmentation: linear equations with empty cells, in compiled code kept on disk.

This module imports numba; import it only inside functions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from bayescausal.inference.closed_forms.gibbs_kernels import slice_noise

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = ["down", "fill", "form", "linear", "noise_of", "predict", "root_of", "sums", "up"]


@njit(cache=True, nogil=True)
def root_of(precision: Array) -> Array:
    """Cholesky's root of a matrix (lower); NaN where there is none."""
    size = len(precision)
    root = np.zeros((size, size))
    for j in range(size):
        for i in range(j, size):
            total = precision[i, j]
            for k in range(j):
                total -= root[i, k] * root[j, k]
            if i == j:
                root[j, j] = math.sqrt(total) if total > 0.0 else math.nan
            else:
                root[i, j] = total / root[j, j]
    return root


@njit(cache=True, nogil=True)
def down(root: Array, v: Array) -> Array:
    """Solve ``root x = v``."""
    x = v.copy()
    for i in range(len(v)):
        for k in range(i):
            x[i] -= root[i, k] * x[k]
        x[i] /= root[i, i]
    return x


@njit(cache=True, nogil=True)
def up(root: Array, v: Array) -> Array:
    """Solve ``root' x = v``."""
    x = v.copy()
    for i in range(len(v) - 1, -1, -1):
        for k in range(i + 1, len(v)):
            x[i] -= root[k, i] * x[k]
        x[i] /= root[i, i]
    return x


@njit(cache=True, nogil=True)
def form(matrix: Array, v: Array) -> float:
    """Return ``v' matrix v``."""
    total = 0.0
    for i in range(len(v)):
        for j in range(len(v)):
            total += v[i] * matrix[i, j] * v[j]
    return total


@njit(cache=True, nogil=True)
def noise_of(rng: np.random.Generator, size: int) -> Array:
    out = np.empty(size)
    for i in range(size):
        out[i] = rng.standard_normal()
    return out


@njit(cache=True, nogil=True)
def fill(
    z: Array,
    offset: Array,
    x: Array,
    y: Array,
    place: Array,
    cell: Array,
    more: Array,
    wide: Array,
    own: Array,
    own_cell: Array,
) -> tuple[Array, Array, Array]:
    """Return the offset, columns and outcome of torn rows with cells in them."""
    offset, x, y = offset.copy(), x.copy(), y.copy()
    for e in range(len(place)):
        offset[place[e]] += z[cell[e]] * more[e]
        for j in range(x.shape[1]):
            x[place[e], j] += z[cell[e]] * wide[e, j]
    for e in range(len(own)):
        y[own[e]] = z[own_cell[e]]
    return offset, x, y


@njit(cache=True, nogil=True)
def sums(x: Array, rest: Array, weights: Array, reference: Array) -> tuple[Array, Array, float]:
    """Return the sums of squares and products of rows about a reference."""
    size = x.shape[1]
    gram, moment, square = np.zeros((size, size)), np.zeros(size), 0.0
    for i in range(len(rest)):
        w, r = weights[i], rest[i]
        for j in range(size):
            r -= x[i, j] * reference[j]
        square += w * r * r
        for j in range(size):
            moment[j] += w * x[i, j] * r
            for k in range(j + 1):
                gram[j, k] += w * x[i, j] * x[i, k]
    for j in range(size):
        for k in range(j):
            gram[k, j] = gram[j, k]
    return gram, moment, square


@njit(cache=True, nogil=True)
def linear(
    rng: np.random.Generator,
    gram: Array,
    moment: Array,
    square: float,
    count: float,
    known_gram: Array,
    known_moment: Array,
    t: float,
    start: float,
    step: float,
    table: Array,
) -> tuple[Array, float, float]:
    """Draw coefficients, about the reference, and the coordinate of the noise; with its variance.

    `table`: as of ``gibbs_kernels.sweeps``.
    """
    v = 1.0
    unknown = table.shape[1] > 1
    if unknown:
        v = _variance(t, start, step, table)
    size = len(moment)
    precision, push = np.empty((size, size)), np.empty(size)
    for i in range(size):
        push[i] = known_moment[i] + moment[i] / v
        for j in range(size):
            precision[i, j] = known_gram[i, j] + gram[i, j] / v
    root = root_of(precision)
    half, noise = down(root, push), noise_of(rng, size)
    for i in range(size):
        half[i] += noise[i]
    c = up(root, half)
    if unknown:
        rest = square + form(gram, c)
        for i in range(size):
            rest -= 2.0 * c[i] * moment[i]
        rest = max(rest, 0.0)
        t = slice_noise(rng, t, table, start, step, count, rest)
        v = _variance(t, start, step, table)
    return c, t, v


@njit(cache=True, nogil=True)
def _variance(t: float, start: float, step: float, table: Array) -> float:
    place = (t - start) / step
    k = min(int(place), table.shape[1] - 2)
    return math.exp(2.0 * (table[1, k] + (place - k) * (table[1, k + 1] - table[1, k])))


@njit(cache=True, nogil=True)
def predict(offset: Array, x: Array, more: Array, wide: Array, c: Array) -> tuple[Array, Array]:
    """Return the predictor of torn rows, and what one unit of each cell adds to it."""
    eta, unit = offset.copy(), more.copy()
    for j in range(len(c)):
        for i in range(len(eta)):
            eta[i] += x[i, j] * c[j]
        for e in range(len(unit)):
            unit[e] += wide[e, j] * c[j]
    return eta, unit
