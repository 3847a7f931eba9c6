r"""One tree while it is sampled: to split a leaf, to take a split back, to ask something else.

A tree is written as in :mod:`bayescausal.model.forests.packed`: parents before children, the left
child directly behind its parent. With it goes the leaf of every row of the data, so that nothing is
walked down again. All moves keep the prior's law of what a node asks: a column with the weights of
the columns, a threshold among those of the column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import gammaln

from bayescausal.model.forests.packed import LEAF, Tree

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.model.forests.prior import Shape

__all__ = [
    "BACK",
    "DF",
    "LOG_T",
    "PRIOR",
    "SPLIT",
    "Growing",
    "Rules",
    "changed",
    "grown",
    "pruned",
    "stump",
]

#: Degrees of freedom of the proposals of leaves, and the logarithm of what their density is over.
DF = 5.0
LOG_T = float(gammaln((DF + 1) / 2) - gammaln(DF / 2) - 0.5 * np.log(DF * np.pi))
#: The share of leaves that are drawn from the prior.
PRIOR = 0.1
#: Chances to split, to take back, to change; a tree without splits is split.
SPLIT, BACK = 0.4, 0.4


class Growing(NamedTuple):
    """A tree, and where the rows of the data are."""

    # column, value, right: as in a packed tree; of leaves the value is not used.
    column: list[int]
    value: list[float]
    right: list[int]
    depth: list[int]  # of each node
    at: Array  # (n, int) The leaf of each row

    @property
    def leaves(self) -> list[int]:
        """The places of the leaves."""
        return [k for k, c in enumerate(self.column) if c == LEAF]

    @property
    def last_splits(self) -> list[int]:
        """The nodes whose children are both leaves."""
        held = self.column
        return [
            k for k, c in enumerate(held)
            if c != LEAF and self.right[k] == k + 2 and held[k + 1] == held[k + 2] == LEAF
        ]  # fmt: skip

    def with_leaves(self, values: Array) -> Tree:
        """Return the tree with the values of its leaves, one for each node."""
        column = np.array(self.column)
        split = np.array(self.value)
        return Tree(column, np.where(column == LEAF, values, split), np.array(self.right))


class Rules:
    """What a node may ask, and with what probability.

    `x` (n, p)
    """

    def __init__(self, shape: Shape, x: Array) -> None:
        self.x, self.cuts = x, shape.cuts
        weights = shape.column_weights
        self.any = bool(weights.sum() > 0)
        upto = np.cumsum(weights)
        self.upto = upto / upto[-1] if self.any else upto  # the last is 1, without rounding

    def draw(self, rng: np.random.Generator) -> tuple[int, float]:
        """Draw a column and a threshold."""
        column = int(np.searchsorted(self.upto, rng.random(), side="right"))
        cuts = self.cuts[column]
        return column, float(cuts[rng.integers(len(cuts))])


def stump(n: int) -> Growing:
    """Return a tree that asks nothing."""
    return Growing([LEAF], [0.0], [0], [0], np.zeros(n, dtype=np.int64))


def grown(tree: Growing, k: int, rule: tuple[int, float], x: Array) -> Growing:
    """Return the tree with its leaf `k` split."""
    column, threshold = rule
    depth = tree.depth[k] + 1
    at = np.where(tree.at > k, tree.at + 2, tree.at)
    rows = np.flatnonzero(tree.at == k)
    at[rows] = np.where(x[rows, column] <= threshold, k + 1, k + 2)
    right = [r + 2 if r > k else r for r in tree.right]
    return Growing(
        [*tree.column[:k], column, LEAF, LEAF, *tree.column[k + 1 :]],
        [*tree.value[:k], threshold, 0.0, 0.0, *tree.value[k + 1 :]],
        [*right[:k], k + 2, 0, 0, *right[k + 1 :]],
        [*tree.depth[:k], depth - 1, depth, depth, *tree.depth[k + 1 :]],
        at,
    )


def pruned(tree: Growing, k: int) -> Growing:
    """Return the tree with the two leaves below `k` taken together."""
    right = [r - 2 if r > k + 2 else r for r in tree.right]
    at = np.where(tree.at > k + 2, tree.at - 2, tree.at)
    at[(tree.at == k + 1) | (tree.at == k + 2)] = k
    return Growing(
        [*tree.column[:k], LEAF, *tree.column[k + 3 :]],
        [*tree.value[:k], 0.0, *tree.value[k + 3 :]],
        [*right[:k], 0, *right[k + 3 :]],
        [*tree.depth[: k + 1], *tree.depth[k + 3 :]],
        at,
    )


def changed(tree: Growing, k: int, rule: tuple[int, float], x: Array) -> Growing:
    """Return the tree with `k`, whose children are leaves, asking something else."""
    return grown(pruned(tree, k), k, rule, x)
