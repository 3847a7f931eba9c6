r"""Gradient boosting of small trees: an expectation given covariates, for use as a column.

Trees :math:`g_k` are added one at a time to a known start :math:`f_0`,

.. math:: f_k = f_{k-1} + r\, g_k, \qquad
   g_k(x) = \frac{\sum_{i \in l(x)} (y_i - m_i)}{1 + \sum_{i \in l(x)} v_i},

with :math:`m` and :math:`v` the mean and the variance of :math:`y` at :math:`f_{k-1}` (a Normal
variable, or one of 0 and 1), :math:`l(x)` the leaf of :math:`x`, and splits that make the sum over
leaves of squared numerators by denominators the largest [1]_. The number of trees is that of the
least loss in rows that were held out.

References
----------
.. [1] T. Chen and C. Guestrin, XGBoost: a scalable tree boosting system, *KDD*, 2016.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from bayescausal.model.forests.packed import LEAF, Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array

__all__ = ["boosted", "loss"]

#: Levels of a tree, the step towards it, thresholds of a column, and trees at most.
DEPTH, RATE, CUTS, MOST = 3, 0.1, 32, 200
#: Trees without a lower loss, after which no more are tried.
PATIENCE = 10


def loss(y: Array, f: Array, binary: bool) -> Array:
    """Return minus the log-likelihood of each row, up to a constant.

    Examples
    --------
    >>> import numpy as np
    >>> loss(np.array([1.0, 0.0]), np.array([0.0, 0.0]), binary=True).round(3).tolist()
    [0.693, 0.693]
    """
    return np.logaddexp(0.0, f) - y * f if binary else 0.5 * (y - f) ** 2


def boosted(
    x: Array, y: Array, starts: Sequence[tuple[Array, Array]], start: Array, binary: bool
) -> tuple[list[Tree], float]:
    """Return the trees that are added to a start, and the loss of the rows that were held out.

    - `x` (n, p), `y` (n)
    - `starts`: for each fold, its rows (n, whether they are held out) and the start (n) of the
      other rows.
    - `start` (n): of all rows.
    """
    growth = _Growth(x)
    paths = []
    for held, own in starts:
        path, f, inside = [loss(y[held], own[held], binary).sum()], own, ~held
        while len(path) <= MOST and len(path) - 1 - int(np.argmin(path)) < PATIENCE:
            f = f + growth.tree(y, f, inside, binary)[1]
            path.append(loss(y[held], f[held], binary).sum())
        paths.append(path + [path[-1]] * (MOST + 1 - len(path)))
    total = np.sum(paths, axis=0)
    trees, f, everywhere = [], start, np.ones(len(y), dtype=bool)
    for _ in range(int(np.argmin(total))):
        tree, step = growth.tree(y, f, everywhere, binary)
        trees.append(tree)
        f = f + step
    return trees, float(total.min())


class _Growth:
    """Trees that split columns at quantiles of their values."""

    def __init__(self, x: Array) -> None:
        levels = np.linspace(0, 1, CUTS + 2)[1:-1]
        self.cuts = [np.unique(np.quantile(v, levels, method="lower")) for v in x.T]
        self.cuts = [c[c < v.max()] for c, v in zip(self.cuts, x.T, strict=True)]
        at = [np.searchsorted(c, v) for c, v in zip(self.cuts, x.T, strict=True)]
        # Which of its intervals each value is in, numbered over all columns.
        self.keys = np.column_stack(at) + (CUTS + 1) * np.arange(x.shape[1])
        ends = np.arange(CUTS + 1) < np.array([len(c) for c in self.cuts])[:, None]
        self.allowed = ends.ravel()

    def tree(self, y: Array, f: Array, inside: Array, binary: bool) -> tuple[Tree, Array]:
        """Return a tree grown on the rows inside, and its value at all rows."""
        mean = expit(f) if binary else f
        slope = np.where(inside, y - mean, 0.0)
        weight = np.where(inside, mean * (1 - mean) if binary else 1.0, 0.0)
        nodes: list[tuple[int, float, int]] = []
        value = np.zeros(len(y))
        self._grow(np.arange(len(y)), slope, weight, 0, nodes, value)
        column, number, right = map(np.array, zip(*nodes, strict=True))
        return Tree(column, number, right), value

    def _grow(
        self,
        rows: Array,
        slope: Array,
        weight: Array,
        depth: int,
        nodes: list[tuple[int, float, int]],
        value: Array,
    ) -> None:
        """Add the nodes below, parents before children, left before right."""
        total, information = slope[rows].sum(), weight[rows].sum()
        found = self._split(rows, slope, weight) if depth < DEPTH else None
        here = len(nodes)
        if found is None:
            value[rows] = leaf = float(f"{RATE * total / (1 + information):.6g}")
            nodes.append((LEAF, leaf, 0))
            return
        j, k = found
        left = self.keys[rows, j] <= (CUTS + 1) * j + k
        nodes.append((j, float(self.cuts[j][k]), 0))
        self._grow(rows[left], slope, weight, depth + 1, nodes, value)
        nodes[here] = (*nodes[here][:2], len(nodes))
        self._grow(rows[~left], slope, weight, depth + 1, nodes, value)

    def _split(self, rows: Array, slope: Array, weight: Array) -> tuple[int, int] | None:
        """Return the column and the threshold of the best split, None where none is better."""
        keys, p = self.keys[rows].ravel(), self.keys.shape[1]
        sums = []
        for each in (slope[rows], weight[rows]):
            count = np.bincount(keys, np.repeat(each, p), minlength=len(self.allowed))
            sums.append(count.reshape(p, -1).cumsum(axis=1))
        (a, b), (c, d) = ((s, s[:, -1:] - s) for s in sums)
        gain = np.where(self.allowed, (a**2 / (1 + c) + b**2 / (1 + d)).ravel(), -np.inf)
        best = int(gain.argmax())
        whole = slope[rows].sum() ** 2 / (1 + weight[rows].sum())
        if not gain[best] > whole * (1 + 1e-9):
            return None
        return divmod(best, CUTS + 1)
