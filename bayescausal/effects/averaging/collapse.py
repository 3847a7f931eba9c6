r"""Fewer units with the same averages: equal units counted, a continuous column integrated.

An average of something exact over units is an integral against their empirical law. Where units
differ in discrete columns only, equal rows are one row with a weight: the same number. Where they
differ in one or two continuous columns too, the law of these is replaced by nodes: their range is
cut into panels, and in each panel the units' weights are moved to the Chebyshev nodes :math:`x_k`,

.. math:: \frac1n\sum_i f(x_i) \approx \sum_k w_k f(x_k), \qquad w_k = \frac1n\sum_i \ell_k(x_i),

:math:`\ell_k` the Lagrange polynomials of the panel [1]_: exact for polynomials of degree 7 in each
of 64 panels (for two columns, of degree 9 in each column and each of 16 x 16 panels), and for a
link function that is exact to rounding. It is checked against the units
themselves on some draws and dropped if they differ by more than :math:`10^{-10}`.

References
----------
.. [1] J.-P. Berrut and L. N. Trefethen, "Barycentric Lagrange interpolation", SIAM Review 46(3),
   2004.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.effects.evaluation.question import Question
    from bayescausal.evaluation.program import Program

__all__ = ["chebyshev_weights", "collapse"]

#: Units from which it pays, and how many times fewer there must be.
LEAST, GAIN = 2_000, 3
#: Values up to which a column is taken as discrete.
DISCRETE = 2_000
#: Panels of a continuous column and nodes of a panel, for one column and for two.
GRID = ((64, 8), (16, 10))
#: Cells of the discrete columns beside them.
CELLS = 64
#: Largest difference from the units themselves, relative to the size of the averages.
TOLERANCE = 1e-10


def chebyshev_weights(
    *columns: np.ndarray, panels: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights that integrate smooth functions like the points do.

    - `columns` (n_points): one or two coordinates of the points.
    - `panels`: into which the range of each is cut. Default: 64 for one column, 16 for two.
    Returns:
    - `nodes` (2, n_nodes)
    - `weights` (n_nodes): they sum to the number of points; panels without points are left out.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.random.default_rng(1).normal(size=(2, 1000))
    >>> nodes, weights = chebyshev_weights(x)
    >>> bool(abs(weights @ np.tanh(nodes) - np.tanh(x).sum()) < 1e-10)
    True
    >>> (one, two), weights = chebyshev_weights(x, y)
    >>> bool(abs(weights @ np.tanh(one + two) - np.tanh(x + y).sum()) < 1e-7)
    True
    """
    most, nodes = GRID[len(columns) - 1]
    count = panels or most
    parts = [_interpolated(c, count, nodes) for c in columns]
    if len(columns) == 1:
        [(panel, basis, place)] = parts
        weights = np.stack([np.bincount(panel, b, minlength=count) for b in basis.T], axis=1)
        used = np.bincount(panel, minlength=count) > 0
        return place[used].reshape(-1), weights[used].reshape(-1)
    (panel, basis, place), (panel2, basis2, place2) = parts
    joint = panel * count + panel2
    used = np.bincount(joint, minlength=count * count) > 0
    weights = np.empty((int(used.sum()), nodes, nodes))
    for i in range(nodes):
        for j in range(nodes):
            product = basis[:, i] * basis2[:, j]
            weights[:, i, j] = np.bincount(joint, product, minlength=count * count)[used]
    own, other = np.divmod(np.flatnonzero(used), count)
    shape = weights.shape
    one = np.broadcast_to(place[own][:, :, None], shape).reshape(-1)
    two = np.broadcast_to(place2[other][:, None, :], shape).reshape(-1)
    return np.stack([one, two]), weights.reshape(-1)


def _interpolated(
    x: np.ndarray, panels: int, nodes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the panel of each point, its Lagrange polynomials, and the nodes of each panel."""
    low, high = float(x.min()), float(x.max())
    width = max((high - low) / panels, np.finfo(float).tiny)
    panel = np.clip(((x - low) / width).astype(int), 0, panels - 1)
    inside = (x - low) / width - panel  # in [0, 1]
    k = np.arange(nodes)
    node = 0.5 - 0.5 * np.cos((k + 0.5) * np.pi / nodes)
    sign = (-1.0) ** k * np.sin((k + 0.5) * np.pi / nodes)
    gap = inside[:, None] - node[None]
    hit = gap == 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = sign / gap
        basis = ratio / ratio.sum(axis=1, keepdims=True)
    basis = np.where(hit.any(axis=1, keepdims=True), hit.astype(float), basis)
    return panel, basis, low + width * (np.arange(panels)[:, None] + node[None])


def collapse(question: Question, program: Program) -> tuple[Question, Program, bool] | None:
    """Return the same question of fewer, weighted units; None where there are none.

    Returns:
    - `question`: with ``counts``, a weight per unit.
    - `program`
    - `checked`: whether it is exact as it stands; if not, the caller must check it.
    """
    units, structure = question.units, question.structure
    linear = question.estimand.functional.linear
    if program.noise or question.abducted or not linear or units.count < LEAST:
        return None
    if question.population not in ("sample", "target") or structure.mixes(program.names):
        return None
    if question.counts is not None:  # they are few already
        return None
    if any(a.condition.masks for a in question.arms):
        return None
    first = structure.unit_dims[0]
    if structure.fixed:  # rows that agree in what they read may differ in what the model carries
        return None
    wide = [i for i in program.inputs if any(d in structure.unit_dims for d in i.dims)]
    if not wide or any(i.batched or i.dims != (first,) for i in wide):
        return None
    arrays = [
        np.asarray(units.value(i.name, slice(0, 1)) if i.kind == "value" else i.array) for i in wide
    ]
    codes = [_codes(a) for a in arrays]
    loose = [k for k, c in enumerate(codes) if c is None]
    if len(loose) > 2 or any(wide[k].kind != "value" or wide[k].name in question.reads
                             for k in loose):  # fmt: skip
        return None
    cell, where = _cells([c for c in codes if c is not None], units.sizes[first])
    if not loose:
        if len(where) * GAIN > units.count:
            return None
        counts = np.bincount(cell).astype(float)
        return (*_smaller(question, program, wide, [a[where] for a in arrays], counts), True)
    panels, each = GRID[len(loose) - 1]
    most = len(where) * (panels * each) ** len(loose)
    if len(where) > CELLS or most * GAIN > units.count:
        return None
    columns = [arrays[k].astype(float) for k in loose]
    nodes, weights, owner = [], [], []
    for c in range(len(where)):
        inside = cell == c
        found = chebyshev_weights(*(x[inside] for x in columns))
        nodes.append(np.atleast_2d(found[0]))
        weights.append(found[1])
        owner.append(np.full(len(found[1]), where[c]))
    rows = np.concatenate(owner)
    moved = dict(zip(loose, np.concatenate(nodes, axis=1), strict=True))
    values = [moved[k] if k in moved else a[rows] for k, a in enumerate(arrays)]
    return (*_smaller(question, program, wide, values, np.concatenate(weights)), False)


def _codes(array: np.ndarray) -> np.ndarray | None:
    """Return codes of a column's values; None for a continuous one."""
    if array.dtype.kind == "f" and len(np.unique(array[:10_000])) > DISCRETE:
        return None
    found, codes = np.unique(array, return_inverse=True)
    return codes if len(found) <= DISCRETE else None


def _cells(codes: list[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell of each unit, and a unit of each cell."""
    cell = np.zeros(length, dtype=np.int64)
    for code in codes:
        joint = cell * (int(code.max()) + 1) + code
        _, cell = np.unique(joint, return_inverse=True)
    where = np.unique(cell, return_index=True)[1]
    return cell, where


def _smaller(
    question: Question, program: Program, wide: list[Any], values: list[np.ndarray], counts: Array
) -> tuple[Question, Program]:
    first = question.structure.unit_dims[0]
    columns = {i.name: v for i, v in zip(wide, values, strict=True) if i.kind == "value"}
    arrays = {id(i): v for i, v in zip(wide, values, strict=True)}
    units = replace(
        question.units,
        sizes={**question.units.sizes, first: len(counts)},
        coords={**question.units.coords, first: np.arange(len(counts))},
        columns={**question.units.columns, **columns},
        rows=None,
    )
    inputs = tuple(
        replace(i, array=arrays[id(i)]) if i.kind == "set" and id(i) in arrays else i
        for i in program.inputs
    )
    return replace(question, units=units, counts=counts), replace(program, inputs=inputs)
