r"""Taking the conditional mean out: residuals of a variable given others.

A conditional independence is tested on what is left of two variables after their means given Z are
taken out. The mean is a regression on one of four bases of Z, each richer than the one before,

==========  ===================================================================================
linear      numbers as they are, one indicator per level of what is discrete
products    and the products of any two of these, of different variables
splines     linear, and natural cubic splines of each number
full        splines, and the products
==========  ===================================================================================

and the one with the smallest AIC is used: a basis too poor leaves dependence that is not there, one
too rich costs some power, so AIC errs on the safe side [1]_. A basis has never more than a fifth of
the rows as columns. Where the mean is rougher than these bases the residuals keep part of Z.

References
----------
.. [1] T. Hastie, R. Tibshirani and J. Friedman, *The Elements of Statistical Learning*, 2nd ed.,
   Springer, 2009, sections 5.2 and 7.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Column", "Residuals", "design", "residuals"]

#: How many knots a spline has, with fewer rows than `MANY` and from there on.
KNOTS = (6, 9)
MANY = 400

#: The bases, poorest first.
BASES = ("linear", "products", "splines", "full")


@dataclass(frozen=True, eq=False)
class Column:
    """A variable as numbers.

    ``name``: the variable.
    ``values`` (rows,): its values, or the place of its level.
    ``discrete``: whether it takes few values.
    ``ordered``: whether its values are numbers.
    """

    name: str
    values: np.ndarray
    discrete: bool
    ordered: bool = True

    def take(self, rows: np.ndarray) -> Column:
        """Return the column for some rows."""
        return Column(self.name, self.values[rows], self.discrete, self.ordered)


@dataclass(frozen=True, eq=False)
class Residuals:
    """What is left of a variable.

    ``values`` (rows, k): one column, or one per level but one.
    ``used``: how many columns the basis had.
    ``basis``: which basis.
    ``uneven``: whether the size of the residuals depends on Z.
    """

    values: np.ndarray
    used: int
    basis: str
    uneven: bool


def design(given: list[Column], rows: int, basis: str) -> np.ndarray:
    """Return the columns of a basis, orthonormal, the constant first.

    ``given``: the variables Z.
    ``rows``: how many rows they have.
    ``basis``: one of `BASES`.

    Examples
    --------
    >>> import numpy as np
    >>> z = Column("z", np.arange(50.0), False)
    >>> [design([z], 50, basis).shape[1] for basis in ("linear", "splines")]
    [2, 6]
    """
    plain = [_plain(column) for column in given]
    blocks = [np.ones((rows, 1)), *plain]
    if basis in ("splines", "full"):
        blocks += [_spline(c.values) for c in given if not c.discrete]
    if basis in ("products", "full"):
        for i, one in enumerate(plain):
            for other in plain[:i]:
                blocks.append((one[:, :, None] * other[:, None, :]).reshape(rows, -1))
    return _orthonormal(np.hstack(blocks))


def residuals(target: Column, given: list[Column], bases: dict[str, np.ndarray]) -> Residuals:
    """Regress a variable on the basis of Z that predicts it best.

    ``target``: the variable; if it is discrete and has no order, its levels.
    ``given``: the variables Z.
    ``bases``: Bases computed so far, by name; added to.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.linspace(-1, 1, 200)
    >>> noise = np.random.default_rng(1).normal(0, 0.1, 200)
    >>> residuals(Column("y", z**2 + noise, False), [Column("z", z, False)], {}).basis
    'splines'
    """
    y = _encoded(target)
    rows = len(y)
    best: tuple[float, str, np.ndarray, int] | None = None
    for name, basis in _affordable(given, rows, bases):
        left = y - basis @ (basis.T @ y)
        left -= basis @ (basis.T @ left)  # once more, for the digits
        size = np.maximum((left**2).mean(axis=0), 1e-300)
        score = float(rows * np.log(size).sum() + 2 * basis.shape[1] * y.shape[1])
        if best is None or score < best[0] - 1e-9:
            best = (score, name, left, basis.shape[1])
    assert best is not None
    _, name, left, used = best
    whole = np.maximum(((y - y.mean(axis=0)) ** 2).mean(axis=0), 1e-300)
    left = np.where((left**2).mean(axis=0) < 1e-18 * whole, 0.0, left)
    return Residuals(left, used, name, bool(given) and _is_uneven(left, bases["linear"]))


# --------------------------------------------------------------------------- private


def _affordable(
    given: list[Column], rows: int, bases: dict[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    for name in BASES if given else BASES[:1]:
        if name not in bases:
            bases[name] = design(given, rows, name)
        if name == "linear" or bases[name].shape[1] <= rows / 5:
            yield name, bases[name]


def _plain(column: Column) -> np.ndarray:
    """Return a number standardised, or an indicator for each level but one."""
    if not column.discrete:
        return _standard(column.values)[:, None]
    levels = np.unique(column.values)[1:]
    return np.asarray(column.values[:, None] == levels, dtype=float)


def _encoded(column: Column) -> np.ndarray:
    """Return a target: a number (standardised), or an indicator for each level but one."""
    if column.ordered:
        return _standard(column.values)[:, None]
    levels, counts = np.unique(column.values, return_counts=True)
    common = levels[counts >= 10]
    if len(common) == len(levels):  # no rest to stand for the last level
        common = common[1:]
    if not len(common):
        common = levels[1:]
    return np.asarray(column.values[:, None] == common, dtype=float)


def _standard(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    centred = values - values.mean()
    return np.asarray(centred / spread if spread > 0 else centred * 0.0)


def _spline(values: np.ndarray) -> np.ndarray:
    """Return the bent columns of a natural cubic spline; none where there are too few values."""
    z = _standard(values)
    edge = 0.05 if len(z) < MANY else 0.02
    places = np.linspace(edge, 1 - edge, KNOTS[len(z) >= MANY])
    knots = np.unique(np.quantile(z, places))
    if len(knots) < 3:
        return np.empty((len(z), 0))

    def bend(k: float) -> np.ndarray:
        cubed = np.maximum(z - k, 0.0) ** 3 - np.maximum(z - knots[-1], 0.0) ** 3
        return np.asarray(cubed / (knots[-1] - k))

    last = bend(knots[-2])
    return np.column_stack([bend(k) - last for k in knots[:-2]])


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the columns, without those that add nothing."""
    scale = np.linalg.norm(matrix, axis=0)
    matrix = matrix[:, scale > 0] / scale[scale > 0]
    gram = matrix.T @ matrix
    size, turn = np.linalg.eigh(gram)
    keep = size > 1e-10 * size[-1]
    return np.asarray(matrix @ (turn[:, keep] / np.sqrt(size[keep])))


def _is_uneven(left: np.ndarray, basis: np.ndarray) -> bool:
    """Tell whether the squared residuals follow Z, by BIC."""
    squared = left**2 - (left**2).mean(axis=0)
    whole = (squared**2).sum(axis=0)
    rest = whole - ((basis.T @ squared) ** 2).sum(axis=0)
    rows, used = basis.shape
    gain = rows * np.log(np.maximum(whole, 1e-300) / np.maximum(rest, 1e-300))
    return bool((gain > (used - 1) * np.log(rows)).any())
