"""The inner loop of :mod:`.sparse_gaussian`: sparse Cholesky factors of one pattern.

This module imports numba; import it only inside functions. The compiled code is cached on disk.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = ["collapse", "factorise", "substitute"]


@njit(cache=True, nogil=True)
def factorise(
    indptr: Array,
    indices: Array,
    left: Array,
    right: Array,
    term: Array,
    entry: Array,
    first: Array,
    second: Array,
    out: Array,
    q_place: Array,
    start: Array,
    l_row: Array,
    back_start: Array,
    back_place: Array,
    back_column: Array,
    order: Array,
    jacobian: Array,
    values: Array,
    weights: Array,
    linear: Array,
    shift: Array,
    noise: Array,
    square: Array,
    heights: Array,
    means: Array,
    factors: Array,
) -> None:
    """Fill in the log integrals, and the means; or draws. Arguments as there.

    `factors` is room for the Cholesky factors: of each, or of one at a time.
    """
    size, rows = len(order), len(indptr) - 1
    column = np.zeros(size)
    entries = np.empty(len(values))
    push = np.empty(rows)
    half = np.empty(size)
    for b in range(len(weights)):
        jac = jacobian[b if len(jacobian) > 1 else 0]
        moves = shift[b if len(shift) > 1 else 0]
        factor = factors[b if len(factors) > 1 else 0]
        for e in range(len(values)):
            entries[e] = values[e] * weights[b, term[e]]
        factor[:] = 0.0
        for k in range(len(out)):
            factor[q_place[out[k]]] += entries[entry[k]] * jac[first[k]] * jac[second[k]]
        good, height = True, 0.0
        for j in range(size):
            for p in range(start[j], start[j + 1]):
                column[l_row[p]] = factor[p]
            for q in range(back_start[j], back_start[j + 1]):
                place, k = back_place[q], back_column[q]
                own = factor[place]
                for p in range(place, start[k + 1]):
                    column[l_row[p]] -= factor[p] * own
            if not column[j] > 0.0:
                good = False
                break
            root = math.sqrt(column[j])
            height -= math.log(root)
            for p in range(start[j], start[j + 1]):
                factor[p] = column[l_row[p]] / root
                column[l_row[p]] = 0.0
        if not good:
            column[:] = 0.0
            continue
        heights[b] = height
        for r in range(rows):
            push[r] = linear[b, r]
        for e in range(len(values)):
            push[left[e]] -= entries[e] * moves[right[e]]
        half[:] = 0.0
        for r in range(rows):
            for p in range(indptr[r], indptr[r + 1]):
                half[indices[p]] += jac[p] * push[r]
        for j in range(size):
            column[j] = half[order[j]]
        for j in range(size):  # L x = push
            x = column[j] / factor[start[j]]
            column[j] = x
            for p in range(start[j] + 1, start[j + 1]):
                column[l_row[p]] -= factor[p] * x
        if len(noise):
            for j in range(size):
                column[j] += noise[b, order[j]]
        for i in range(size):  # L' x = that
            j = size - 1 - i
            x = column[j]
            for p in range(start[j] + 1, start[j + 1]):
                x -= factor[p] * column[l_row[p]]
            column[j] = x / factor[start[j]]
        for j in range(size):
            means[b, order[j]] = column[j]
            column[j] = 0.0
        if len(noise):
            continue
        form = square[b]
        for r in range(rows):
            moved = moves[r]
            for p in range(indptr[r], indptr[r + 1]):
                moved += jac[p] * means[b, indices[p]]
            push[r] = moved
            form -= 2.0 * linear[b, r] * moved
        for e in range(len(values)):
            form += entries[e] * push[left[e]] * push[right[e]]
        heights[b] -= 0.5 * form


@njit(cache=True, nogil=True)
def substitute(
    start: Array, l_row: Array, order: Array, factors: Array, vectors: Array, transposed: bool
) -> None:
    """Solve for each of some vectors with the factor of its own, in place: L x = P v, or P'L'x."""
    size = len(order)
    column = np.empty(size)
    for b in range(len(vectors)):
        factor = factors[b]
        if transposed:
            column[:] = vectors[b]
            for i in range(size):
                j = size - 1 - i
                x = column[j]
                for p in range(start[j] + 1, start[j + 1]):
                    x -= factor[p] * column[l_row[p]]
                column[j] = x / factor[start[j]]
                vectors[b, order[j]] = column[j]
            continue
        for j in range(size):
            column[j] = vectors[b, order[j]]
        for j in range(size):
            x = column[j] / factor[start[j]]
            vectors[b, j] = x
            for p in range(start[j] + 1, start[j + 1]):
                column[l_row[p]] -= factor[p] * x


@njit(cache=True, nogil=True)
def collapse(
    indptr: Array,
    indices: Array,
    data: Array,
    rows: Array,
    middle: Array,
    spread: Array,
    noisy: Array,
    precision: Array,
    normal: Array,
    step: Array,
    push: Array,
    chosen: Array,
) -> None:
    """Choose scales and coefficients in turn; fill in step, push and chosen. See :mod:`.collapsed`.

    - `middle`, `spread`, `noisy` (t, n, k): of each point, of n chains.
    - `step`, `push` (n, n_rows): coefficients about the reference, and what is left of the moment.
    """
    for chain in range(normal.shape[0]):
        for k in range(len(rows)):
            row = rows[k]
            diagonal = 0.0
            for place in range(indptr[row], indptr[row + 1]):
                if indices[place] == row:
                    diagonal += data[place]
            p = precision[chain, row] * diagonal
            pull = precision[chain, row] * (push[chain, row] + diagonal * step[chain, row])
            best, at = -np.inf, 0
            for i in range(middle.shape[0]):
                if noisy[i, chain, k] == -np.inf:
                    continue
                m, v = middle[i, chain, k], spread[i, chain, k] ** 2
                wide = 1.0 + p * v
                value = noisy[i, chain, k] - 0.5 * math.log(wide)
                value += (m * pull + 0.5 * pull * pull * v - 0.5 * p * m * m) / wide
                if value > best:
                    best, at = value, i
            m, v = middle[at, chain, k], spread[at, chain, k] ** 2
            wide = 1.0 + p * v
            new = (m + pull * v) / wide + math.sqrt(v / wide) * normal[chain, k]
            chosen[chain, k] = at
            move = new - step[chain, row]
            step[chain, row] = new
            for place in range(indptr[row], indptr[row + 1]):
                push[chain, indices[place]] -= data[place] * move
