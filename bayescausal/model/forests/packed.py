r"""A forest as a row of numbers, and its value at rows of covariates.

A sum of trees [1]_ is

.. math:: f(x) = c + \sum_{j=1}^{m} g(x; T_j, M_j),

each tree :math:`T_j` sending :math:`x` to the left where :math:`x_v \le s`, down to a leaf
with a number of :math:`M_j`. Written as one row of
numbers it is a parameter like any other: an array with a place for each draw, that is thinned,
saved, loaded and put into an equation with the draw that it belongs to, and cannot be paired with
another draw by way of a list on the side.

The row begins with a stamp (see :mod:`.stamp`), :math:`m`, :math:`c` and the number of nodes; then
come the places where trees begin, then two numbers for each node, parents before children, the
left child directly behind its parent: what it asks (-1 at a leaf), and its threshold or value.
Rows of one array are as long as the longest; the rest is 0.

References
----------
.. [1] H. A. Chipman, E. I. George and R. E. McCulloch, BART: Bayesian additive regression trees,
   *Annals of Applied Statistics* 4(1), 2010.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from bayescausal.annotations import Array

__all__ = [
    "HEAD",
    "LEAF",
    "Tree",
    "columns_used",
    "evaluate_forests",
    "pack",
    "stacked",
    "unpack",
    "without_fill",
]

#: Numbers before the trees: stamp, number of trees, constant, number of nodes.
HEAD = 4
#: What a leaf asks.
LEAF = -1
#: Columns that fit beside the place of the right child.
_WIDE = 1 << 20


class Tree(NamedTuple):
    """One tree, parents before children, the left child directly behind its parent."""

    column: Array  # (int) That is asked about at each node, :data:`LEAF` at leaves
    value: Array  # (float) Threshold, or the value of a leaf
    right: Array  # (int) The place of the right child; 0 at leaves


def pack(trees: Sequence[Tree], constant: float, stamp: float = 0.0) -> Array:
    """Return a forest as a row of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> stump = Tree(np.array([0, -1, -1]), np.array([0.5, 1.0, 2.0]), np.array([2, 0, 0]))
    >>> forest = pack([stump, stump], 10.0)
    >>> evaluate_forests(np.array([[0.0], [1.0]]), forest).tolist()
    [12.0, 14.0]
    """
    sizes = np.array([len(tree.column) for tree in trees], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if len(trees) else np.zeros(0)
    column = np.concatenate([t.column for t in trees]).astype(np.int64)
    step = np.concatenate([t.right - np.arange(len(t.right)) for t in trees]).astype(np.int64)
    node = np.empty((len(column), 2))
    node[:, 0] = np.where(column == LEAF, LEAF, step * _WIDE + column)
    node[:, 1] = np.concatenate([t.value for t in trees])
    head = [stamp, len(trees), constant, len(column)]
    return np.concatenate([head, starts, node.ravel()])


def unpack(forest: Array) -> tuple[list[Tree], float]:
    """Return the trees of a packed forest, and its constant."""
    m, count = int(forest[1]), int(forest[3])
    starts = forest[HEAD : HEAD + m].astype(np.int64)
    node = forest[HEAD + m : HEAD + m + 2 * count].reshape(count, 2)
    code = node[:, 0].astype(np.int64)
    leaf = code == LEAF
    trees = []
    for a, b in zip(starts, [*starts[1:], count], strict=True):
        own = slice(a, b)
        column = np.where(leaf[own], LEAF, code[own] % _WIDE)
        right = np.where(leaf[own], 0, np.arange(b - a) + code[own] // _WIDE)
        trees.append(Tree(column, node[own, 1].copy(), right))
    return trees, float(forest[2])


def stacked(forests: Sequence[Array]) -> Array:
    """Return packed forests as the rows of one array."""
    out = np.zeros((len(forests), max(map(len, forests), default=0)))
    for row, forest in zip(out, forests, strict=True):
        row[: len(forest)] = forest
    return out


def without_fill(forests: xr.DataArray) -> xr.DataArray:
    """Return packed forests with zeros behind their trees, where joined draws were filled up.

    Draws of several fits have rows of several lengths; xarray joins them with NaN.
    """
    array = forests.values
    ends = HEAD + array[..., 1] + 2 * array[..., 3]
    behind = np.arange(array.shape[-1]) >= ends[..., None]
    return forests.copy(data=np.where(behind, 0.0, array))


def columns_used(forests: Array) -> Array:
    """Return which columns any of some packed forests asks about."""
    found: set[int] = set()
    for forest in forests.reshape(-1, forests.shape[-1]):
        found |= {int(c) for t in unpack(forest)[0] for c in t.column if c != LEAF}
    return np.array(sorted(found), dtype=int)


def evaluate_forests(x: Array, forest: Array) -> Array:
    """Return forests at rows of covariates.

    - `x` (..., n, p)
    - `forest` (..., k): packed. The leading axes of both are broadcast.
    Returns (..., n): NaN where a covariate is NaN.
    """
    from bayescausal.model.forests.packed_loops import evaluate  # it loads numba

    x = np.ascontiguousarray(np.swapaxes(np.asarray(x, dtype=np.float64), -1, -2))
    forest = np.ascontiguousarray(forest, dtype=np.float64)
    lead = np.broadcast_shapes(x.shape[:-2], forest.shape[:-1])
    rows, size = x.reshape(-1, *x.shape[-2:]), forest.reshape(-1, forest.shape[-1])
    which_x = np.broadcast_to(np.arange(len(rows)).reshape(x.shape[:-2]), lead).ravel()
    which_f = np.broadcast_to(np.arange(len(size)).reshape(forest.shape[:-1]), lead).ravel()
    out = np.empty((len(which_x), x.shape[-1]))
    evaluate(rows, size, which_x, which_f, out)
    lost = np.isnan(rows).any(axis=1)
    if lost.any():
        out[lost[which_x]] = np.nan
    return out.reshape(*lead, x.shape[-1])
