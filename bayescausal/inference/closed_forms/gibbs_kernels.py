"""The inner loops of Gibbs samplers on the sums of a linear block, compiled and cached on disk.

:func:`walk`: weights on simplices (:mod:`.simplex`), one against another, and the noise.
:func:`sweeps`: coefficients between bounds (:mod:`..hamiltonian.bounded`), and the noise.

This module imports numba; import it only inside functions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = ["slice_noise", "sweeps", "walk"]

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


#: Reflections of a trajectory, after which it ends where it is told to have failed.
REFLECTIONS = 200_000


@njit(cache=True, nogil=True)
def _given(t: float, table: Array, start: float, step: float, count: float, rest: float) -> float:
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
def slice_noise(
    rng: np.random.Generator,
    t: float,
    table: Array,
    start: float,
    step: float,
    count: float,
    rest: float,
) -> float:
    """Move the coordinate of the noise by slice sampling."""
    level = _given(t, table, start, step, count, rest) + math.log(rng.random())
    low = t - rng.random()
    high = low + 1.0
    for _ in range(OUT):
        if _given(low, table, start, step, count, rest) < level:
            break
        low -= 1.0
    for _ in range(OUT):
        if _given(high, table, start, step, count, rest) < level:
            break
        high += 1.0
    for _ in range(100):
        at = low + (high - low) * rng.random()
        if _given(at, table, start, step, count, rest) >= level:
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
            t = slice_noise(rng, t, table, start, step, count, rest)
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
