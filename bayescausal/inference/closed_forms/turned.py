r"""Coordinates in which columns that are nearly the same are told apart.

A year, its square and its cube are one number to many digits, and :math:`X'X` has twice the digits
of :math:`X`: where a column lies within :data:`CLOSE` of those before it (as a share of its squared
length), rounding is no longer small beside what it adds. There the coefficients are written as
:math:`c = B z` with :math:`B = R^{-1}` from the QR decomposition [1]_ of the rows of the data above
those of the prior, before any product is taken: the products of :math:`X B` are near the identity.

References
----------
.. [1] G. H. Golub and C. F. Van Loan, *Matrix Computations*, 4th ed., 2013, section 5.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bayescausal.annotations import Array

__all__ = ["CLOSE", "LOST", "SAME", "are_close", "basis_of", "resolved"]

#: What a column adds to those before it, as a share of its squared length: where products of
#: columns begin to lose it, and where they have lost it.
CLOSE, LOST = 1e-9, 1e-12
#: Such a share of a column that is a sum of others.
EQUAL = 1e-26
#: What is said where products of columns have lost what tells them apart.
SAME = (
    "the coefficients are not determined: columns, or sums of some, are the same to nearly all "
    "digits that products of them hold"
)


def are_close(gram: Array, share: float = CLOSE) -> bool:
    """Whether a column adds less than such a share to those before it."""
    width = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    try:
        lower = cholesky(gram / width / width[:, None], lower=True)
    except (LinAlgError, ValueError):
        return bool(np.all(np.isfinite(gram)))
    return bool(np.any(np.diag(lower) ** 2 < share))


def resolved(gram: Array, parts: Callable[[], Iterable[Array]]) -> bool:
    """Whether products of columns hold what the columns do.

    - `gram` (k, k): the products.
    - `parts`: gives the rows, (n, k), where it is called.
    A column that is a sum of others adds nothing, which products say as well.
    """
    if not gram.size or not are_close(gram):
        return True
    upper, _ = _decomposed(parts())
    length = np.maximum(np.sqrt((upper**2).sum(axis=0)), 1e-300)
    shares = (np.diag(upper) / length[: len(upper)]) ** 2
    return not bool(np.any((shares > EQUAL) & (shares < CLOSE)))


def basis_of(parts: Iterable[Array]) -> Array:
    """Return B, (k, k), such that the products of ``X B`` are near the identity.

    - `parts` (n, k): rows of X, those of the prior among them.
    Raises ArithmeticError if some columns are the same.
    """
    upper, width = _decomposed(parts)
    length = np.sqrt((upper**2).sum(axis=0))
    if len(upper) < len(width) or np.any(np.abs(np.diag(upper)) < 1e-15 * length):
        raise ArithmeticError("the coefficients are not determined")
    inverse: Array = solve_triangular(upper, np.eye(len(width))) / width[:, None]
    return inverse


def _decomposed(parts: Iterable[Array]) -> tuple[Array, Array]:
    """Return R of rows whose columns are divided by a width, and the widths."""
    upper, width = np.zeros((0, 0)), np.zeros(0)
    for rows in parts:
        if not width.size:
            width = np.sqrt((rows**2).sum(axis=0))
            width[width == 0] = 1.0
            upper = np.zeros((0, len(width)))
        upper = np.linalg.qr(np.concatenate([upper, rows / width]), mode="r")
    return upper, width
