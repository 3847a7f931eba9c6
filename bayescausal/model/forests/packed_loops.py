"""Compiled loops over the trees of a packed forest (see :mod:`.packed`), kept on disk."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["evaluate"]


@njit(cache=True, nogil=True)
def _choose(into, column, value, left, right):  # type: ignore[no-untyped-def]
    for r in range(len(into)):
        into[r] = left[r] if column[r] <= value else right[r]


@njit(cache=True, nogil=True)
def _choose_leaves(into, column, value, left, right):  # type: ignore[no-untyped-def]
    for r in range(len(into)):
        into[r] = left if column[r] <= value else right


@njit(cache=True, nogil=True)
def evaluate(x, forests, which_x, which_f, out):  # type: ignore[no-untyped-def]
    """Add up the trees, each from its leaves to its root over a block of rows.

    A node is a choice between what its children are, row by row, which processors do for several
    rows at once; walking down from the root, each row would wait for guesses of where it goes.
    """
    wide, block = 1 << 20, 1024
    n = x.shape[2]
    whole = np.empty((forests.shape[1] // 2 + 1, block))
    for i in range(len(which_x)):
        forest, rows, own = forests[which_f[i]], x[which_x[i]], out[i]
        m, count = int(forest[1]), int(forest[3])
        nodes = 4 + m
        own[:] = forest[2]
        for first in range(0, n, block):
            after = min(first + block, n)
            held = whole[:, : after - first]
            total = own[first:after]
            for j in range(m):
                start = int(forest[4 + j])
                end = int(forest[5 + j]) if j + 1 < m else count
                for k in range(end - 1, start - 1, -1):
                    code, value = int(forest[nodes + 2 * k]), forest[nodes + 2 * k + 1]
                    into = held[k - start]
                    if code < 0:
                        into[:] = value
                        continue
                    other = k + code // wide
                    column = rows[code % wide, first:after]
                    if other == k + 2 and forest[nodes + 2 * other] < 0:
                        a, b = forest[nodes + 2 * k + 3], forest[nodes + 2 * other + 1]
                        _choose_leaves(into, column, value, a, b)
                    else:
                        _choose(into, column, value, held[k + 1 - start], held[other - start])
                total += held[0]
