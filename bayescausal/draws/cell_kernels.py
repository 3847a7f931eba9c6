"""Loops of the summary of many cells: each cell's draws are sorted once, and all is read off.

What stands in :mod:`~bayescausal.draws.diagnostics` for arrays, draw by draw: the order of the
draws gives the interval, the quantiles and the ranks; the order of the draws folded about their
median comes from merging the two sides of it.

This module imports numba; import it only inside functions. The compiled code is cached on disk.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["COLUMNS", "summarise_cells"]

#: What is found of each cell; the ends are those of the highest density interval.
COLUMNS = ("mean", "sd", "low", "high", "ess_bulk", "ess_tail", "r_hat", "mcse_mean")
#: Cells that are read at a time, and the most draws in one drawer of a sort.
TILE, CROWDED = 64, 32
_FAST = {"reassoc", "nsz", "arcp"}


@njit(cache=True, nogil=True, error_model="numpy")
def summarise_cells(flat, start, stop, chains, inside, scores, out):  # type: ignore[no-untyped-def]
    """Fill `out` (column, cell) for some cells of `flat` (draw, cell), its chains one by one.

    `inside`: draws between the ends of the interval. `scores`: normal scores of half ranks. An even
    number of draws of each chain, all finite.
    """
    size = flat.shape[0]
    tile, ordered, work = np.empty((TILE, size)), np.empty(size), np.empty(size)
    place, other = np.empty(2 * size, np.uint32), np.empty(size, np.uint32)
    drawers = np.empty(3 * size + 2, np.uint32)
    halves = np.empty((2 * chains, size // (2 * chains)))
    pairs = np.empty((size // 2 + 2, 2))
    for first in range(start, stop, TILE):
        count = min(TILE, stop - first)
        _moments(flat, first, count, out, tile)
        for cell in range(count):
            x, found = tile[cell], out[:, first + cell]
            _order(x, ordered, place, drawers)
            begin, width = 0, ordered[inside] - ordered[0]
            for i in range(1, size - inside):
                if ordered[i + inside] - ordered[i] < width:
                    begin, width = i, ordered[i + inside] - ordered[i]
            found[2], found[3] = ordered[begin], ordered[begin + inside]
            found[4:] = np.nan
            spread = ordered[-1] - ordered[0]
            largest = max(abs(ordered[0]), abs(ordered[-1]))
            if not spread > 2.220446049250313e-16 * largest or spread == np.inf:
                continue  # a spread below the rounding of the values is no spread
            _score(ordered, place, scores, work)
            between = _centre(work, halves)
            found[4] = _effective(halves, between, pairs)
            r_hat = _reduction(_lag(halves, 0), between, halves.shape[1])
            found[5] = np.inf
            for prob in (0.05, 0.95):
                limit = _between(ordered, prob)
                for i in range(size):
                    work[i] = 1.0 if x[i] <= limit else 0.0
                found[5] = min(found[5], _effective(halves, _centre(work, halves), pairs))
            for i in range(size):
                work[i] = (x[i] - ordered[0]) / spread
            between = _centre(work, halves)
            found[7] = spread * np.sqrt(_variance(work) / _effective(halves, between, pairs))
            if chains > 1:
                _fold(ordered, place, work, other)
                _score(work, other, scores, ordered)
                between = _centre(ordered, halves)
                found[6] = np.fmax(r_hat, _reduction(_lag(halves, 0), between, halves.shape[1]))


@njit(cache=True, nogil=True, error_model="numpy")
def _moments(flat, first, count, out, tile):  # type: ignore[no-untyped-def]
    """Turn some cells, and fill in their mean and standard deviation."""
    size = flat.shape[0]
    total, square = np.zeros(count), np.zeros(count)
    for d in range(size):
        for c in range(count):
            total[c] += flat[d, first + c]
    for c in range(count):
        total[c] /= size
    for d in range(size):
        for c in range(count):
            gap = flat[d, first + c] - total[c]
            square[c] += gap * gap
            tile[c, d] = flat[d, first + c]
    for c in range(count):
        out[0, first + c] = total[c]
        out[1, first + c] = np.sqrt(square[c] / (size - 1))


@njit(cache=True, nogil=True, error_model="numpy")
def _order(x, ordered, place, drawers):  # type: ignore[no-untyped-def]
    """Sort draws: into drawers of equal width first, then each with its neighbours.

    `place`: which draw each is, and behind these the drawer of each draw.
    """
    size, one = len(x), np.uint32(1)
    own, drawer = place[:size], place[size:]
    low, high = x[0], x[0]
    for i in range(1, size):
        low, high = min(low, x[i]), max(high, x[i])
    step = (len(drawers) - 2) / (high - low)
    full = np.uint32(CROWDED + 1)
    if step < np.inf:
        drawers[:] = 0
        for i in range(size):
            drawer[i] = np.uint32((x[i] - low) * step)
            drawers[drawer[i] + one] += one
        full = drawers.max()
    if full > CROWDED:
        order = np.argsort(x)
        for i in range(size):
            own[i] = order[i]
            ordered[i] = x[order[i]]
        return
    total = np.uint32(0)
    for k in range(len(drawers)):
        total += drawers[k]
        drawers[k] = total
    for i in range(size):
        to = drawers[drawer[i]]
        ordered[to], own[to] = x[i], np.uint32(i)
        drawers[drawer[i]] = to + one
    for i in range(1, size):
        value = ordered[i]
        if ordered[i - 1] > value:
            which, j = own[i], i
            while j > 0 and ordered[j - 1] > value:
                ordered[j], own[j] = ordered[j - 1], own[j - 1]
                j -= 1
            ordered[j], own[j] = value, which


@njit(cache=True, nogil=True, error_model="numpy")
def _score(ordered, place, scores, out):  # type: ignore[no-untyped-def]
    """Write the normal score of each draw's rank at its place; equal draws share their mean."""
    size, same = len(ordered), 0
    for i in range(1, size):
        same += ordered[i] == ordered[i - 1]
    if same == 0:
        for i in range(size):
            out[place[i]] = scores[2 * i]
        return
    i = 0
    while i < size:
        j = i
        while j + 1 < size and ordered[j + 1] == ordered[i]:
            j += 1
        for k in range(i, j + 1):
            out[place[k]] = scores[i + j]
        i = j + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _fold(ordered, place, out, where):  # type: ignore[no-untyped-def]
    """Sort the distances of ordered draws from their median."""
    size, one = len(ordered), np.uint32(1)
    middle = _between(ordered, 0.5)
    up = np.uint32(size // 2)
    down, i = up, np.uint32(0)  # draws below that are left
    while down > 0 and up < size:
        left, right = middle - ordered[down - one], ordered[up] - middle
        nearer, own, beyond = left <= right, place[down - one], place[up]
        out[i], where[i] = left if nearer else right, own if nearer else beyond
        down -= np.uint32(nearer)
        up += one - np.uint32(nearer)
        i += one
    while down > 0:
        down -= one
        out[i], where[i] = middle - ordered[down], place[down]
        i += one
    while up < size:
        out[i], where[i] = ordered[up] - middle, place[up]
        up += one
        i += one


@njit(cache=True, nogil=True, error_model="numpy")
def _between(ordered, prob):  # type: ignore[no-untyped-def]
    """Return a quantile, between two draws in proportion."""
    at = prob * (len(ordered) - 1)
    low = int(at)
    one = ordered[low]
    return one + (ordered[min(low + 1, len(ordered) - 1)] - one) * (at - low)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _centre(x, halves):  # type: ignore[no-untyped-def]
    """Write the halves of the chains less their means, and return the variance of these."""
    parts, n = halves.shape
    means = np.empty(parts)
    for h in range(parts):
        part, centred, total = x[h * n : (h + 1) * n], halves[h], 0.0
        for i in range(n):
            total += part[i]
        total /= n
        means[h] = total
        for i in range(n):
            centred[i] = part[i] - total
    grand, square = means.sum() / parts, 0.0
    for h in range(parts):
        square += (means[h] - grand) ** 2
    return square / (parts - 1)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _variance(x):  # type: ignore[no-untyped-def]
    """Return the variance of draws."""
    middle, square = x.sum() / len(x), 0.0
    for i in range(len(x)):
        square += (x[i] - middle) ** 2
    return square / (len(x) - 1)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _lag(halves, t):  # type: ignore[no-untyped-def]
    """Return the autocovariance at a lag."""
    parts, n = halves.shape
    total = 0.0
    for h in range(parts):
        one, other = halves[h, : n - t], halves[h, t:]
        for i in range(n - t):
            total += one[i] * other[i]
    return total / (parts * n)


@njit(cache=True, nogil=True, error_model="numpy")
def _reduction(within, between, n):  # type: ignore[no-untyped-def]
    """Return R-hat of halves: their mean variance (of n), and the variance of their means."""
    return np.sqrt((n * between / (within * n / (n - 1)) + n - 1) / n)


@njit(cache=True, nogil=True, error_model="numpy")
def _effective(halves, between, pairs):  # type: ignore[no-untyped-def]
    """Return the effective sample size, by Geyer's initial monotone sequence."""
    parts, n = halves.shape
    size = parts * n
    within = _lag(halves, 0)
    if within == 0.0 and between == 0.0:
        return float(size)
    unbiased, whole = within * n / (n - 1.0), within + between
    pairs[0, 0], pairs[0, 1] = 1.0, 1.0 - (unbiased - _lag(halves, 1)) / whole
    even, ends, t = 1.0, 0, 1
    on = pairs[0, 0] + pairs[0, 1] > 0
    while on and t < n - 3:
        even = 1.0 - (unbiased - _lag(halves, t + 1)) / whole
        odd = 1.0 - (unbiased - _lag(halves, t + 2)) / whole
        ends += 1
        kept = even + odd >= 0
        pairs[ends, 0], pairs[ends, 1] = even if kept else 0.0, odd if kept else 0.0
        on = even + odd > 0
        t += 2
    if even > 0:
        pairs[ends, 0] = even
    total = -1.0
    for k in range(ends):
        if k and pairs[k, 0] + pairs[k, 1] > pairs[k - 1, 0] + pairs[k - 1, 1]:
            pairs[k, 0] = pairs[k, 1] = (pairs[k - 1, 0] + pairs[k - 1, 1]) / 2.0
        total += 2.0 * (pairs[k, 0] + pairs[k, 1])
    return size / max(total + pairs[ends, 0], 1.0 / np.log10(size))
