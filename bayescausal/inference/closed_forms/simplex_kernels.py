"""The inner loop of :mod:`.simplex`: one weight against another, and the noise.

This module imports numba; import it only inside functions. The compiled code is cached on disk.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = ["walk"]

#: Width of a step out, and the most of them on each side.
WIDTH, OUT = 3.0, 60
#: Share of pairs whose weights are exchanged; nats that rows tell of a pair, below which a draw
#: from the prior is offered. A pair's sum does not change, so neither choice depends on the move.
SWAPS, FLAT = 0.25, 1.0


@njit(cache=True, nogil=True)
def _height(x: float, c: float, a: float, b: float, up: float, down: float) -> float:
    """Log-density of the logit of a share of c: Gaussian in the share, Beta before."""
    small = math.exp(-abs(x))
    log_more = math.log1p(small)
    share = 1.0 / (1.0 + small)
    if x > 0:
        log_share, log_other = -log_more, -x - log_more
    else:
        share = small * share
        log_share, log_other = x - log_more, -log_more
    t = c * share
    return -0.5 * a * t * t + b * t + up * log_share + down * log_other


@njit(cache=True, nogil=True)
def _noise(
    t: float,
    start: float,
    step: float,
    log_prior: Array,
    log_g: Array,
    count: float,
    square: float,
    f: Array,
    e: Array,
    p: Array,
    q: Array,
) -> float:
    """Log-density of the coordinate of the noise, the coefficients integrated out."""
    place = (t - start) / step
    if not 0.0 <= place < len(log_g) - 1:
        return -np.inf
    k = int(place)
    share = place - k
    height = log_prior[k] + share * (log_prior[k + 1] - log_prior[k])
    log_scale = log_g[k] + share * (log_g[k + 1] - log_g[k])
    v = math.exp(2.0 * log_scale)
    out = height - count * log_scale - 0.5 * square / v
    for i in range(len(p)):
        total = p[i] + q[i] / v
        push = e[i] + f[i] / v
        out += 0.5 * push * push / total - 0.5 * math.log(total)
    return out


@njit(cache=True, nogil=True)
def walk(
    rng: np.random.Generator,
    weights: Array,
    groups: Array,
    prior: Array,
    reference: Array,
    gram: Array,
    moment: Array,
    square: float,
    count: float,
    pull: Array,
    f0: Array,
    e: Array,
    p: Array,
    q: Array,
    start: float,
    step: float,
    log_prior: Array,
    log_g: Array,
    noise: float,
    sweeps: int,
    keep: int,
    pairs: int,
) -> tuple[Array, Array]:
    """Return weights and the coordinate of the noise after every `keep` sweeps."""
    size = len(weights)
    out = np.empty((sweeps // keep, size))
    lines = np.empty(sweeps // keep)
    w = weights.copy()
    t = noise
    unknown = len(log_g) > 1
    for sweep in range(sweeps):
        delta = w - reference
        f = f0 - pull @ delta
        if unknown:
            pushed = gram @ delta
            rest = max(square - 2.0 * (delta @ moment) + delta @ pushed, 0.0)
            here = _noise(t, start, step, log_prior, log_g, count, rest, f, e, p, q)
            level = here + math.log(rng.random())
            low = t - rng.random()
            high = low + 1.0
            for _ in range(OUT):
                if _noise(low, start, step, log_prior, log_g, count, rest, f, e, p, q) < level:
                    break
                low -= 1.0
            for _ in range(OUT):
                if _noise(high, start, step, log_prior, log_g, count, rest, f, e, p, q) < level:
                    break
                high += 1.0
            for _ in range(100):
                at = low + (high - low) * rng.random()
                if _noise(at, start, step, log_prior, log_g, count, rest, f, e, p, q) >= level:
                    t = at
                    break
                if at < t:
                    low = at
                else:
                    high = at
        place = (t - start) / step
        k = min(int(place), max(len(log_g) - 2, 0))
        log_scale = log_g[k]
        if unknown:
            log_scale += (place - k) * (log_g[k + 1] - log_g[k])
        v = math.exp(2.0 * log_scale)
        form = gram / v
        push = moment / v
        for i in range(len(p)):
            total = p[i] + q[i] / v
            back = (e[i] + f0[i] / v) / (total * v)
            for j in range(size):
                push[j] -= pull[i, j] * back
                scaled = pull[i, j] / (v * v * total)
                if scaled != 0.0:
                    for m in range(size):
                        form[j, m] -= scaled * pull[i, m]
        slope = push - form @ delta
        for _ in range(pairs):
            i = int(rng.random() * size)
            first, last = groups[i, 0], groups[i, 1]
            j = first + int(rng.random() * (last - first - 1))
            if j >= i:
                j += 1
            c = w[i] + w[j]
            if not c > 1e-290:
                continue
            # along w_i + u, w_j - u: the slope here, and the curvature
            a = form[i, i] + form[j, j] - 2.0 * form[i, j]
            a = max(a, 0.0)
            b = slope[i] - slope[j] + a * w[i]
            if rng.random() < SWAPS and prior[i] == prior[j]:
                move = w[j] - w[i]
                if math.log(rng.random()) < (slope[i] - slope[j]) * move - 0.5 * a * move * move:
                    w[i], w[j] = w[j], w[i]
                    for m in range(size):
                        slope[m] -= move * (form[i, m] - form[j, m])
                continue
            if a * c * c + abs(b) * c < FLAT:  # the rows say little: from the prior, corrected
                one, two = rng.gamma(prior[i], 1.0), rng.gamma(prior[j], 1.0)
                if not one + two > 0.0:
                    continue
                new, other = c * one / (one + two), c * two / (one + two)
                gain = b * (new - w[i]) - 0.5 * a * (new * new - w[i] * w[i])
                if math.log(rng.random()) < gain:
                    move = new - w[i]
                    w[i], w[j] = new, other
                    for m in range(size):
                        slope[m] -= move * (form[i, m] - form[j, m])
                continue
            x = math.log(max(w[i], 1e-300)) - math.log(max(w[j], 1e-300))
            level = _height(x, c, a, b, prior[i], prior[j]) + math.log(rng.random())
            low = x - WIDTH * rng.random()
            high = low + WIDTH
            for _ in range(OUT):
                if _height(low, c, a, b, prior[i], prior[j]) < level:
                    break
                low -= WIDTH
            for _ in range(OUT):
                if _height(high, c, a, b, prior[i], prior[j]) < level:
                    break
                high += WIDTH
            for _ in range(100):
                at = low + (high - low) * rng.random()
                if _height(at, c, a, b, prior[i], prior[j]) >= level:
                    x = at
                    break
                if at < x:
                    low = at
                else:
                    high = at
            if x > 0:
                new = c / (1.0 + math.exp(-x))
                other = c * math.exp(-x) / (1.0 + math.exp(-x))
            else:
                new = c * math.exp(x) / (1.0 + math.exp(x))
                other = c / (1.0 + math.exp(x))
            move = new - w[i]
            w[i], w[j] = new, other
            for m in range(size):
                slope[m] -= move * (form[i, m] - form[j, m])
        for g in range(size):  # rounding of many transfers
            if g == groups[g, 0]:
                total = 0.0
                for m in range(g, groups[g, 1]):
                    total += w[m]
                for m in range(g, groups[g, 1]):
                    w[m] /= total
        if (sweep + 1) % keep == 0:
            out[sweep // keep] = w
            lines[sweep // keep] = t
    return out, lines
