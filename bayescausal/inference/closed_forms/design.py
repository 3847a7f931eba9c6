r"""Designs of equations that are affine in their unknowns, read off by probing.

Of :math:`\mu(c) = o + X c` the offset is :math:`o = \mu(0)`, and :math:`X_j = \mu(e_j) - o`. A
vector of which each row uses one element (an effect of a group) needs two probes, not one for each
element: ones give the weight, ``arange`` the place; of a matrix each column is such a vector.

The numbers are verified at a random point. A rule of degrees that were wrong would be found there,
not in a posterior.

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

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.sparse import csr_array

from bayescausal.inference.closed_forms.affine import NotAffineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bayescausal.annotations import Array

__all__ = [
    "CLOSE",
    "LOST",
    "SAME",
    "Design",
    "are_close",
    "basis_of",
    "design_of",
    "one_of",
    "resolved",
    "slices_of",
]

#: Elements of one unknown up to which each is probed.
DENSE = 64
#: Elements up to which each is probed where the two probes do not do.
MOST = 512
#: Slices of an array of which each is probed.
FEW = 16
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


@dataclass(frozen=True, eq=False)
class Design:
    """The offset and the design of some rows: ``mu = offset + X c``.

    Attributes
    ----------
    offset : ndarray, shape (n_rows,)
    dense : list of (slice, ndarray)
        Columns of X, and their values, (n_rows, n_columns).
    scattered : list of (slice, ndarray, ndarray)
        Columns of X of which each row uses one: its place among them, and its weight.
    """

    offset: np.ndarray
    dense: list[tuple[slice, np.ndarray]]
    scattered: list[tuple[slice, np.ndarray, np.ndarray]]

    def times(self, vector: np.ndarray) -> np.ndarray:
        """Return ``X c``."""
        out = np.zeros(len(self.offset))
        for place, block in self.dense:
            out += block @ vector[place]
        for place, index, weight in self.scattered:
            out += weight * vector[place][index]
        return out

    def transposed(self, rows: np.ndarray, size: int) -> np.ndarray:
        """Return ``X' r``."""
        out = np.zeros(size)
        for place, block in self.dense:
            out[place] += block.T @ rows
        for place, index, weight in self.scattered:
            length = place.stop - place.start
            out[place] += np.bincount(index, weight * rows, minlength=length)
        return out

    def gram(self, weights: np.ndarray, size: int) -> np.ndarray:
        """Return ``X' W X`` for a diagonal W."""
        out = np.zeros((size, size))

        def put(p: slice, q: slice, block: np.ndarray) -> None:
            out[p, q] += block
            if p != q:
                out[q, p] += block.T

        for i, (p, x) in enumerate(self.dense):
            weighted = x * weights[:, None]
            for q, z in self.dense[i:]:
                put(p, q, weighted.T @ z)
            for q, index, weight in self.scattered:
                length = q.stop - q.start
                columns = (weighted[:, j] * weight for j in range(x.shape[1]))
                put(p, q, np.stack([np.bincount(index, c, minlength=length) for c in columns]))
        for i, (p, a, u) in enumerate(self.scattered):
            put(p, p, np.diag(np.bincount(a, weights * u * u, minlength=p.stop - p.start)))
            for q, b, v in self.scattered[i + 1 :]:
                shape = (p.stop - p.start, q.stop - q.start)
                joint = np.bincount(
                    a * shape[1] + b, weights * u * v, minlength=shape[0] * shape[1]
                ).reshape(shape)
                put(p, q, joint + joint.T if p == q else joint)
        return out

    def sparse(self, size: int) -> tuple[np.ndarray, csr_array]:
        """Return the offset, and X with what is not zero in it."""
        rows = np.arange(len(self.offset))
        parts = [
            (np.repeat(rows, x.shape[1]), np.tile(np.arange(p.start, p.stop), len(rows)), x.ravel())
            for p, x in self.dense
        ]
        parts += [(rows, p.start + index, weight) for p, index, weight in self.scattered]
        if not parts:
            return self.offset, csr_array((len(rows), size))
        i, j, x = (np.concatenate(part) for part in zip(*parts, strict=True))
        seen = x != 0
        return self.offset, csr_array((x[seen], (i[seen], j[seen])), shape=(len(rows), size))


type Evaluate = Callable[[Mapping[str, Any]], np.ndarray]
"""From values by name to one array."""


def design_of(
    evaluate: Evaluate,
    values: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    rows: tuple[int, ...],
    *,
    dense: int = DENSE,
) -> Design:
    """Return the offset and design of an expression that is affine in its unknowns.

    - `evaluate`: from values of columns and unknowns to one array, the expression.
    - `values`: the columns of the rows at hand.
    - `shapes`: of the unknowns, in order: they are laid out one after the other.
    - `rows`: shape to which the expression broadcasts; rows are counted in C order.
    - `dense`: elements of one unknown up to which each is probed.
    Raises NotAffineError if the numbers contradict the degrees.
    """

    def at(unknown: Mapping[str, np.ndarray]) -> np.ndarray:
        found = np.asarray(evaluate({**values, **unknown}), dtype=float)
        return np.broadcast_to(found, rows).reshape(-1)

    nothing = {n: np.zeros(shape) for n, shape in shapes.items()}
    offset = at(nothing)
    blocks: list[tuple[slice, np.ndarray]] = []
    scattered: list[tuple[slice, np.ndarray, np.ndarray]] = []
    start = 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        place = slice(start, start + size)
        start += size
        found = None
        if size > dense:
            found = _scatter(at, nothing, name, shape, offset)
            if found is None and size > MOST:
                raise NotAffineError(f"{name!r} has {size} elements and rows use several of them")
        if found is not None:
            scattered.extend((place, *one) for one in found)
            continue
        block = np.empty((len(offset), size))
        for j in range(size):
            probe = np.zeros(size)
            probe[j] = 1.0
            block[:, j] = at({**nothing, name: probe.reshape(shape)}) - offset
        blocks.append((place, block))
    made = Design(offset, blocks, scattered)
    rng = np.random.default_rng(20)
    point = {n: rng.normal(size=shape) for n, shape in shapes.items()}
    flat = np.concatenate([np.zeros(0), *(v.reshape(-1) for v in point.values())])
    want, have = at(point), offset + made.times(flat)
    scale = 1.0 + np.abs(want) + np.abs(offset)
    if not np.all(np.abs(want - have) <= 1e-8 * scale):
        raise NotAffineError("the equation is not affine at a random point")
    return made


def _scatter(
    at: Evaluate,
    nothing: Mapping[str, np.ndarray],
    name: str,
    shape: tuple[int, ...],
    offset: np.ndarray,
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Return places and weights of the elements that each row uses, one of each slice; or None."""

    def slope(values: np.ndarray) -> np.ndarray:
        return np.asarray(at({**nothing, name: values.reshape(shape)}) - offset)

    for slices in slices_of(shape):
        found = [one_of(slope, int(np.prod(shape)), one) for one in slices]
        if all(one is not None for one in found):
            return [one for one in found if one is not None]
    return None


def slices_of(shape: tuple[int, ...]) -> list[list[np.ndarray]]:
    """Return ways to cut an array: flat places along its last axis, or along its first."""
    places = np.arange(int(np.prod(shape))).reshape(shape)
    ways = [[places.reshape(-1)]]
    if len(shape) > 1:
        ways += [
            [one.reshape(-1) for one in np.moveaxis(places, axis, 0)]
            for axis in (-1, 0)
            if shape[axis] <= FEW
        ]
    return ways


def one_of(
    slope: Callable[[np.ndarray], np.ndarray], size: int, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the place and weight of the one element among some that each row uses, or None.

    - `slope`: from values of all elements, flat, to what they add to each row.
    - `size`: of all elements.
    - `places` (int): of the elements in question.
    """

    def at(values: np.ndarray | float) -> np.ndarray:
        whole = np.zeros(size)
        whole[places] = values
        return slope(whole)

    weight = at(1.0)
    moved = at(np.arange(float(len(places))))
    with np.errstate(all="ignore"):
        order = np.where(weight != 0, moved / weight, 0.0)
    index = np.rint(order)
    inside = np.isfinite(order) & (index >= 0) & (index < len(places))
    if not np.all(inside) or not np.allclose(order, index, atol=1e-6):
        return None
    index = index.astype(np.intp)
    probe = np.random.default_rng(21).normal(size=len(places))
    if not np.allclose(at(probe), weight * probe[index], rtol=1e-8, atol=1e-8):
        return None
    return places[index], weight


# ------------------------------------------------------- columns that are nearly the same


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
