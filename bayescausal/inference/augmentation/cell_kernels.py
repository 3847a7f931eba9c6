"""Loops of data augmentation: the empty cells, in compiled code kept on disk.

This module imports numba; import it only inside functions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from numba import njit

from bayescausal.inference.augmentation.row_kernels import row

if TYPE_CHECKING:
    import numpy as np

    from bayescausal.annotations import Array

__all__ = ["cells"]

#: Degrees of freedom of proposals, Newton's steps to a mode.
FREEDOM, STEPS = 5.0, 5


@njit(cache=True, nogil=True)
def _metropolis(
    rng: np.random.Generator,
    now: float,
    push: float,
    precision: float,
    first: int,
    last: int,
    entries: Array,
    entry_row: Array,
    unit: Array,
    eta: Array,
    y: Array,
    trials: Array,
    weights: Array,
    equation: Array,
    kind: Array,
    power: Array,
    scale: Array,
) -> float:
    """Return a cell that generalised equations read too: `push`, `precision` of the others."""
    at, curve = push / precision, precision
    reach = 3.0 / math.sqrt(precision)
    for step in range(STEPS + 1):
        slope, curve = push - precision * at, precision
        for i in range(first, last):
            e = entries[i]
            r = entry_row[e]
            k = equation[r]
            if kind[k] > 0:
                there = eta[r] + unit[e] * (at - now)
                _, one, two = row(kind[k], there, y[r], trials[r], scale[k], power[k])
                slope += weights[r] * unit[e] * one
                curve += weights[r] * unit[e] ** 2 * max(two, 0.0)
        if step < STEPS:
            at += min(max(slope / curve, -reach), reach)
    new = at + math.sqrt(FREEDOM / rng.chisquare(FREEDOM) / curve) * rng.standard_normal()
    ratio = push * (new - now) - 0.5 * precision * (new * new - now * now)
    far, near = curve * (new - at) ** 2, curve * (now - at) ** 2
    ratio += 0.5 * (FREEDOM + 1.0) * (math.log1p(far / FREEDOM) - math.log1p(near / FREEDOM))
    for i in range(first, last):
        e = entries[i]
        r = entry_row[e]
        k = equation[r]
        if kind[k] > 0:
            there = eta[r] + unit[e] * (new - now)
            ratio += weights[r] * row(kind[k], there, y[r], trials[r], scale[k], power[k])[0]
            ratio -= weights[r] * row(kind[k], eta[r], y[r], trials[r], scale[k], power[k])[0]
    return new if math.log(rng.random()) < ratio else now


@njit(cache=True, nogil=True)
def cells(
    rng: np.random.Generator,
    z: Array,
    order: Array,
    own_row: Array,
    own_equation: Array,
    first_entry: Array,
    entries: Array,
    entry_row: Array,
    unit: Array,
    eta: Array,
    y: Array,
    trials: Array,
    weights: Array,
    known: Array,
    equation: Array,
    kind: Array,
    power: Array,
    scale: Array,
) -> None:
    """Draw each empty cell given everything else, in place: `z`, and the predictors `eta`.

    - `order`: of the cells.
    - `own_row`, `own_equation`: of each cell, where its own equation stands among all torn rows.
    - `first_entry`, `entries`: of each cell, which entries of `entry_row` and `unit` are its
      readers: a torn row, and what one unit adds to its predictor.
    - `weights`, `known`: of each torn row, as observations and as equations of cells.
    - `equation`: of each torn row; `kind`, `power`, `scale` of each equation: the variance of a
      Normal one that is not known by row, the shape of another.
    """
    for at_cell in range(len(order)):
        q = order[at_cell]
        now = z[q]
        r_own = own_row[q]
        precision = known[r_own] / scale[own_equation[q]]
        push = precision * eta[r_own]
        plain = True
        for i in range(first_entry[q], first_entry[q + 1]):
            e = entries[i]
            r = entry_row[e]
            k = equation[r]
            if kind[k] == 0:
                tau = weights[r] / scale[k] * unit[e]
                precision += tau * unit[e]
                push += tau * (y[r] - eta[r] + unit[e] * now)
            else:
                plain = False
        new = push / precision + rng.standard_normal() / math.sqrt(precision)
        if not plain:
            new = _metropolis(
                rng, now, push, precision, first_entry[q], first_entry[q + 1], entries, entry_row,
                unit, eta, y, trials, weights, equation, kind, power, scale,
            )  # fmt: skip
        z[q] = new
        y[r_own] = new
        for i in range(first_entry[q], first_entry[q + 1]):
            e = entries[i]
            eta[entry_row[e]] += unit[e] * (new - now)
