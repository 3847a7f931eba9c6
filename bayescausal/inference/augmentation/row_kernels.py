"""Loops of data augmentation: rows of generalised linear equations, compiled and kept on disk.

This module imports numba; import it only inside functions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from bayescausal.inference.augmentation.linear_kernels import down, form, noise_of, root_of, up
from bayescausal.inference.forests.row_densities import log_normal

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = ["KINDS", "coefficients", "row", "shape", "slopes"]

#: Families by number.
KINDS = {
    "normal": 0, "logistic": 1, "probit": 2, "poisson": 3, "negative binomial": 4, "gamma": 5,
}  # fmt: skip
#: Degrees of freedom of proposals; steps out of a slice, on each side.
FREEDOM, OUT = 12.0, 60


@njit(cache=True, nogil=True)
def row(
    kind: int, eta: float, y: float, n: float, a: float, power: float
) -> tuple[float, float, float]:
    """Log-likelihood of a row, its slope, and minus its curvature, in the predictor."""
    if kind == 1:
        small = math.exp(-abs(eta))
        p = 1.0 / (1.0 + small) if eta > 0 else small / (1.0 + small)
        value = y * eta - n * (max(eta, 0.0) + math.log1p(small))
        return value, y - n * p, n * p * (1.0 - p)
    if kind == 2:
        value, first, second = 0.0, 0.0, 0.0
        constant = 0.5 * math.log(2.0 * math.pi)
        if y > 0:
            height = log_normal(eta)
            up = math.exp(-0.5 * eta * eta - constant - height)
            value, first, second = y * height, y * up, y * up * (up + eta)
        if n - y > 0:
            height = log_normal(-eta)
            down = math.exp(-0.5 * eta * eta - constant - height)
            value += (n - y) * height
            first -= (n - y) * down
            second += (n - y) * down * (down - eta)
        return value, first, second
    if kind == 3:
        mean = math.exp(min(eta, 700.0))
        return y * eta - mean, y - mean, mean
    if kind == 4:
        x = eta - math.log(a)
        small = math.exp(-abs(x))
        p = 1.0 / (1.0 + small) if x > 0 else small / (1.0 + small)
        log_sum = math.log(a) + max(x, 0.0) + math.log1p(small)
        total = y + a
        return y * eta - total * log_sum, y - total * p, total * p * (1.0 - p)
    size = y * math.exp(min(-eta - power * math.log(a), 700.0))
    return -size - a * (eta + power * math.log(a)), size - a, size


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
        value += a * t + math.lgamma(y[i] + a) if kind == 4 else (a - 1.0) * math.log(y[i])
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
