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

from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cross_products", "least_squares", "refuse_ties", "scales_of", "solve", "with_constant"]

#: Cross-products (rows times pairs of columns) that are held at once.
HELD = 4_000_000
#: Reciprocal condition below which columns of one size count as tied.
TIED = 1e-12


def with_constant(x: np.ndarray) -> np.ndarray:
    """Return a design with a column of ones in front.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.estimators.numerics.least_squares import with_constant
    >>> with_constant(np.array([[2.0], [3.0]])).tolist()
    [[1.0, 2.0], [1.0, 3.0]]
    """
    return np.column_stack([np.ones(len(x)), x])


def cross_products(design: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted cross-products ``(draw, column, column)``.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.estimators.numerics.least_squares import cross_products
    >>> cross_products(np.array([[1.0, 2.0], [1.0, 4.0]]), np.array([[1.0, 0.5]])).tolist()
    [[[1.5, 4.0], [4.0, 12.0]]]
    """
    n, k = design.shape
    left, right = np.triu_indices(k)
    step = max(1, HELD // len(left))
    total = np.zeros((len(weights), len(left)))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        total += weights[:, rows] @ (design[rows][:, left] * design[rows][:, right])
    found = np.empty((len(weights), k, k))
    found[:, left, right] = total
    found[:, right, left] = total
    return found


def scales_of(design: np.ndarray) -> np.ndarray:
    """Return the size of each column, 1 for an empty one."""
    size = np.sqrt((design**2).mean(axis=0))
    return np.where(size > 0, size, 1.0)


def least_squares(
    design: np.ndarray, y: np.ndarray, weights: np.ndarray, what: str = "the regression"
) -> np.ndarray:
    """Return the coefficients ``(draw, column)`` of y on the design, under each set of weights.

    Raises
    ------
    DataError
        If columns are tied among the units with weight, or cells are empty.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.estimators.numerics.least_squares import least_squares, with_constant
    >>> design = with_constant(np.array([[0.0], [1.0], [2.0]]))
    >>> least_squares(design, np.array([1.0, 3.0, 5.0]), np.ones((1, 3))).round(8).tolist()
    [[1.0, 2.0]]
    """
    size = scales_of(design)
    gram = cross_products(design / size, weights)
    moment = (weights * y) @ (design / size)
    return solve(gram, moment, what) / size


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

    Raises
    ------
    DataError
    """
    scaled = design / scales_of(design)
    if not np.isfinite(scaled).all():
        empty = [n for n, c in zip(names, scaled.T, strict=True) if not np.isfinite(c).all()]
        rows = int((~np.isfinite(scaled).all(axis=1)).sum())
        raise DataError(
            f"{', '.join(empty)}: empty cells in {rows:,} of {len(design):,} rows, which {what} "
            "cannot use.",
            expected="complete columns, or a model that takes empty cells.",
            remedy="Fill or drop them, or pass a model such as sklearn's "
            "HistGradientBoostingRegressor as outcome=, treatment=.",
        )
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
