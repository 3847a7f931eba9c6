r"""Weighted least squares under many sets of weights at once.

For a design :math:`X` and weights :math:`w` the coefficients solve

.. math:: \Big(\sum_i w_i x_i x_i'\Big)\, \beta = \sum_i w_i x_i y_i .

The cross-products :math:`x_{ij} x_{ik}` do not change with the weights, so those of all draws are
one product of matrices, weights times cross-products, over blocks of rows. Columns are scaled to
one size before anything is solved: incomes of ten thousands beside indicators would lose digits
otherwise.

It fails where a column of the design is a combination of others among the units with weight; that
is refused, naming it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.estimators.problem.encoding import refuse_holes
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CrossProducts",
    "LeastSquares",
    "cross_products",
    "least_squares",
    "refuse_ties",
    "scales_of",
    "solve",
    "with_constant",
]

#: Cross-products (rows times pairs of columns) that are held at once.
HELD = 4_000_000
#: Cross-products of a design that are kept from one block of draws to the next.
KEPT = 8_000_000
#: Reciprocal condition below which columns of one size count as tied.
TIED = 1e-12


def with_constant(x: np.ndarray) -> np.ndarray:
    """Return a design with a column of ones in front.

    Examples
    --------
    >>> import numpy as np
    >>> with_constant(np.array([[2.0], [3.0]])).tolist()
    [[1.0, 2.0], [1.0, 3.0]]
    """
    return np.column_stack([np.ones(len(x)), x])


def cross_products(design: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted cross-products ``(draw, column, column)``.

    Examples
    --------
    >>> import numpy as np
    >>> cross_products(np.array([[1.0, 2.0], [1.0, 4.0]]), np.array([[1.0, 0.5]])).tolist()
    [[[1.5, 4.0], [4.0, 12.0]]]
    """
    return CrossProducts(design).under(weights)


class CrossProducts:
    """The cross-products of a design under many sets of weights, those of its rows kept if few.

    Examples
    --------
    >>> import numpy as np
    >>> CrossProducts(np.array([[1.0, 2.0], [1.0, 4.0]])).under(np.array([[1.0, 0.5]])).tolist()
    [[[1.5, 4.0], [4.0, 12.0]]]
    """

    def __init__(self, design: np.ndarray) -> None:
        self.design = design
        self.left, self.right = np.triu_indices(design.shape[1])
        few = len(design) * len(self.left) <= KEPT
        self.rows = self._rows(slice(None)) if few else None

    def _rows(self, rows: slice) -> np.ndarray:
        part = self.design[rows]
        return np.asarray(part[:, self.left] * part[:, self.right])

    def under(self, weights: np.ndarray) -> np.ndarray:
        """Return the weighted cross-products ``(draw, column, column)``."""
        n, k = self.design.shape
        if self.rows is not None:
            total = weights @ self.rows
        else:
            step = max(1, HELD // len(self.left))
            total = np.zeros((len(weights), len(self.left)))
            for start in range(0, n, step):
                rows = slice(start, start + step)
                total += weights[:, rows] @ self._rows(rows)
        found = np.empty((len(weights), k, k))
        found[:, self.left, self.right] = total
        found[:, self.right, self.left] = total
        return found


def scales_of(design: np.ndarray) -> np.ndarray:
    """Return the size of each column, 1 for an empty one."""
    size = np.sqrt((design**2).mean(axis=0))
    return np.where(size > 0, size, 1.0)


def least_squares(
    design: np.ndarray, y: np.ndarray, weights: np.ndarray, what: str = "the regression"
) -> np.ndarray:
    """Return the coefficients ``(draw, column)`` of y on the design, under each set of weights.

    Raises DataError if columns are tied among the units with weight, or cells are empty.

    Examples
    --------
    >>> import numpy as np
    >>> design = with_constant(np.array([[0.0], [1.0], [2.0]]))
    >>> least_squares(design, np.array([1.0, 3.0, 5.0]), np.ones((1, 3))).round(8).tolist()
    [[1.0, 2.0]]
    """
    return LeastSquares(design, y, what).under(weights)


class LeastSquares:
    """The regression of y on a design, ready for many sets of weights."""

    def __init__(self, design: np.ndarray, y: np.ndarray, what: str = "the regression") -> None:
        both = np.column_stack([design, y])
        self.size = scales_of(both)
        self.products, self.what = CrossProducts(both / self.size), what

    def under(self, weights: np.ndarray) -> np.ndarray:
        """Return the coefficients ``(draw, column)`` under each set of weights.

        Raises DataError if columns are tied among the units with weight.
        """
        found = self.products.under(weights)
        beta = solve(found[:, :-1, :-1], found[:, :-1, -1], self.what)
        return np.asarray(beta * self.size[-1] / self.size[:-1])


def solve(gram: np.ndarray, moment: np.ndarray, what: str) -> np.ndarray:
    """Return the solutions of symmetric systems of one size, refusing those that are singular."""
    diagonal = np.sqrt(np.einsum("bkk->bk", gram))
    if not np.isfinite(gram).all() or not (diagonal > 0).all():
        raise DataError(f"{what}: a column is empty or has no spread among the units with weight.")
    scaled = gram / (diagonal[:, :, None] * diagonal[:, None, :])
    try:
        found = np.linalg.solve(scaled, (moment / diagonal)[..., None])[..., 0] / diagonal
    except np.linalg.LinAlgError:
        found = np.full_like(moment, np.nan)
    if not np.isfinite(found).all():
        raise DataError(
            f"{what} has no single solution: its columns are tied among the units with weight."
        )
    return np.asarray(found)


def refuse_ties(design: np.ndarray, names: Sequence[str], what: str) -> None:
    """Refuse a design whose columns are tied, naming the first that adds nothing.

    Raises DataError.
    """
    scaled = design / scales_of(design)
    refuse_holes(scaled, names, what)
    values = np.linalg.eigvalsh(scaled.T @ scaled / len(scaled))
    if values[0] > TIED * values[-1]:
        return
    for k in range(1, len(names) + 1):
        values = np.linalg.eigvalsh(scaled[:, :k].T @ scaled[:, :k] / len(scaled))
        if values[0] <= TIED * values[-1]:
            raise DataError(
                f"{what}: {names[k - 1]!r} does not vary beside the other columns among its "
                f"{len(design):,} units, so its part cannot be told.",
                expected="columns that vary in each arm.",
                remedy="Leave it out of adjust= if the graph allows, merge levels, or take an "
                "estimator that does not model the arms apart (Regression, IPW).",
            )
