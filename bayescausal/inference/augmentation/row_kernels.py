"""Loops of data augmentation: rows of generalised linear equations, compiled and kept on disk.

This module imports numba; import it only inside functions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from bayescausal.inference.augmentation.linear_kernels import down, form, noise_of, root_of, up
from bayescausal.inference.forests.row_densities import FAMILIES, height_of, slopes_of

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = ["KINDS", "coefficients", "row", "shape", "slopes"]

#: Families by number.
KINDS = {name: number for number, name in enumerate(FAMILIES)}
NEGATIVE_BINOMIAL, GAMMA = KINDS["negative binomial"], KINDS["gamma"]
#: Degrees of freedom of proposals; steps out of a slice, on each side.
FREEDOM, OUT = 12.0, 60


@njit(cache=True, nogil=True)
def row(
    kind: int, eta: float, y: float, n: float, a: float, power: float
) -> tuple[float, float, float]:
    """Log-likelihood of a row, its slope, and minus its curvature, in the predictor.

    Left out is what does not read the predictor.
    """
    if kind == GAMMA:
        y *= math.exp(-power * math.log(a))
    first, second = slopes_of(kind, eta, y, n, a)
    return height_of(kind, eta, y, n, a), first, second


@njit(cache=True, nogil=True)
def slopes(
    kind: int,
    power: float,
    offset: Array,
    x: Array,
    y: Array,
    trials: Array,
    counts: Array,
    c: Array,
    a: float,
) -> tuple[float, Array, Array]:
    """Return the log-likelihood of rows, its gradient, and minus the second derivatives."""
    size = len(c)
    total, gradient, curvature = 0.0, np.zeros(size), np.zeros((size, size))
    for i in range(len(y)):
        eta = offset[i]
        for j in range(size):
            eta += x[i, j] * c[j]
        value, first, second = row(kind, eta, y[i], trials[i], a, power)
        total += counts[i] * value
        first, second = counts[i] * first, counts[i] * second
        for j in range(size):
            gradient[j] += first * x[i, j]
            for k in range(j + 1):
                curvature[j, k] += second * x[i, j] * x[i, k]
    for j in range(size):
        for k in range(j):
            curvature[k, j] = curvature[j, k]
    return total, gradient, curvature


@njit(cache=True, nogil=True)
def _value(
    kind: int,
    power: float,
    offset: Array,
    x: Array,
    y: Array,
    trials: Array,
    counts: Array,
    c: Array,
    a: float,
) -> float:
    total = 0.0
    for i in range(len(y)):
        eta = offset[i]
        for j in range(len(c)):
            eta += x[i, j] * c[j]
        total += counts[i] * row(kind, eta, y[i], trials[i], a, power)[0]
    return total


@njit(cache=True, nogil=True)
def coefficients(
    rng: np.random.Generator,
    kind: int,
    power: float,
    offset: Array,
    x: Array,
    y: Array,
    trials: Array,
    counts: Array,
    c: Array,
    a: float,
    centre: Array,
    gradient: Array,
    curvature: Array,
    gram: Array,
    push: Array,
    walk: bool,
) -> Array:
    """Move coefficients: `gradient` and `curvature` are those of the log-density at `centre`."""
    size = len(c)
    root = root_of(curvature)
    step = up(root, noise_of(rng, size))
    middle = up(root, down(root, gradient))
    stretch = math.sqrt(FREEDOM / rng.chisquare(FREEDOM))
    new, far, near = np.empty(size), np.empty(size), np.empty(size)
    for j in range(size):
        middle[j] += centre[j]
        new[j] = middle[j] + stretch * step[j]
        if walk:
            new[j] = c[j] + 2.4 / math.sqrt(size) * step[j]
        far[j], near[j] = new[j] - middle[j], c[j] - middle[j]
    ratio = -0.5 * (form(gram, new) - form(gram, c))
    for j in range(size):
        ratio += (new[j] - c[j]) * push[j]
    if not walk:
        ratio += (
            0.5
            * (FREEDOM + size)
            * (
                math.log1p(form(curvature, far) / FREEDOM)
                - math.log1p(form(curvature, near) / FREEDOM)
            )
        )
    ratio += _value(kind, power, offset, x, y, trials, counts, new, a)
    ratio -= _value(kind, power, offset, x, y, trials, counts, c, a)
    return new if math.log(rng.random()) < ratio else c


@njit(cache=True, nogil=True)
def _of_shape(
    kind: int,
    power: float,
    eta: Array,
    y: Array,
    counts: Array,
    t: float,
    start: float,
    step: float,
    log_prior: Array,
) -> float:
    """Log-density of the logarithm of a shape."""
    place = (t - start) / step
    if not 0.0 <= place < len(log_prior) - 1:
        return -np.inf
    k = int(place)
    total = log_prior[k] + (place - k) * (log_prior[k + 1] - log_prior[k])
    a = math.exp(t)
    own = math.lgamma(a)
    for i in range(len(y)):
        value = row(kind, eta[i], y[i], 1.0, a, power)[0] - own
        if kind == NEGATIVE_BINOMIAL:
            value += math.lgamma(y[i] + a) - y[i] * t
        else:
            value += (a - 1.0) * math.log(y[i]) - a * power * t
        total += counts[i] * value
    return total


@njit(cache=True, nogil=True)
def shape(
    rng: np.random.Generator,
    kind: int,
    power: float,
    offset: Array,
    x: Array,
    y: Array,
    counts: Array,
    c: Array,
    t: float,
    start: float,
    step: float,
    log_prior: Array,
) -> float:
    """Move the logarithm of a shape by slice sampling."""
    eta = offset.copy()
    for i in range(len(eta)):
        for j in range(len(c)):
            eta[i] += x[i, j] * c[j]
    here = _of_shape(kind, power, eta, y, counts, t, start, step, log_prior)
    level = here + math.log(rng.random())
    low = t - 0.5 * rng.random()
    high = low + 0.5
    for _ in range(OUT):
        if _of_shape(kind, power, eta, y, counts, low, start, step, log_prior) < level:
            break
        low -= 0.5
    for _ in range(OUT):
        if _of_shape(kind, power, eta, y, counts, high, start, step, log_prior) < level:
            break
        high += 0.5
    for _ in range(100):
        at = low + (high - low) * rng.random()
        if _of_shape(kind, power, eta, y, counts, at, start, step, log_prior) >= level:
            return at
        if at < t:
            low = at
        else:
            high = at
    return t
