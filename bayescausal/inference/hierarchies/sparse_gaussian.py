r"""Gaussians with a sparse precision of fixed pattern: integral, mean and draws, many at once.

For coefficients :math:`c` and rows :math:`\delta = J c + d` the quadratic form

.. math::

   q(c) = \sum_k w_k \left( s_k + \delta' A_k \delta - 2 g_k' \delta \right)

has the precision :math:`Q = J' A J`, :math:`A = \sum_k w_k A_k`, and the mean
:math:`\hat c = Q^{-1} J' (g - A d)`; then

.. math:: \int e^{-q(c) / 2}\, dc = (2\pi)^{p/2}\, |Q|^{-1/2}\, e^{-q(\hat c) / 2} .

Where :math:`J` and the weights change and the places of what is not zero do not, the order of
elimination and the places in the Cholesky factor are found once [1]_. The cost of an integral is
then linear in the groups of a grouped regression. The form is evaluated at the mean itself, so that
no difference of large numbers is left. A factor that is nearly full is left to LAPACK.

References
----------
.. [1] T. A. Davis, *Direct Methods for Sparse Linear Systems*, SIAM, 2006, chapters 4 and 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse import coo_array, csc_array, csr_array
from scipy.sparse.linalg import splu

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from bayescausal.annotations import Array

__all__ = ["SparseGaussian", "Terms"]

#: Products of which a precision is made: each takes 16 bytes.
MOST_PRODUCTS = 30_000_000
#: Share of a triangle above which it is treated as full, and the size from which that pays.
FULL, LARGE = 0.3, 96
#: What the compiled loop reads of the pattern, in its order.
_PLACES = (
    *("indptr", "indices", "left", "right", "term", "entry", "first", "second", "out"),
    *("q_place", "start", "l_row", "back_start", "back_place", "back_column", "order"),
)


@dataclass(frozen=True, eq=False)
class Terms:
    """The entries of the matrices :math:`A_k`."""

    # rows, columns: (n_entries, int) Places among the rows; both halves of a symmetric matrix.
    rows: Array
    columns: Array
    values: Array  # (n_entries)
    weight: Array  # (n_entries, int) Which weight multiplies each entry

    @classmethod
    def joined(cls, parts: Sequence[Terms]) -> Terms:
        """Return all entries of some terms."""
        names = "rows", "columns", "values", "weight"
        return cls(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))


class SparseGaussian:
    """The pattern of a quadratic form: evaluated at many values of its entries.

    - `jacobian` (n_rows, n_coefficients): its pattern; the values are given at each call, in the
      order of its data.
    - `terms`: all :math:`A_k`.
    Raises ArithmeticError if the precision is a sum of too many products.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> zero = np.array([0])
    >>> form = SparseGaussian(csr_array(np.eye(1)), Terms(zero, zero, np.array([2.0]), zero))
    >>> one = np.ones((1, 1))
    >>> log_integral, mean = form(one, one, one, 0 * one, np.zeros(1))
    >>> round(float(mean[0, 0]), 6)  # of exp(-(2 c^2 - 2 c) / 2)
    0.5
    """

    def __init__(self, jacobian: csr_array, terms: Terms) -> None:
        jacobian = csr_array(jacobian)
        self.rows, self.size = jacobian.shape
        self.indptr = jacobian.indptr.astype(np.int64)
        self.indices = jacobian.indices.astype(np.int64)
        self.row_of = np.repeat(np.arange(self.rows), np.diff(self.indptr))
        self.left, self.right = terms.rows, terms.columns
        self.values, self.term = terms.values, terms.weight
        self._multiply_out()

    def _multiply_out(self) -> None:
        """Find which products make each entry of the precision, and the order of elimination."""
        length = np.diff(self.indptr)
        per = length[self.left] * length[self.right]
        if per.sum() > MOST_PRODUCTS:
            raise ArithmeticError(f"the precision of the coefficients is {per.sum():,} products")
        entry = np.repeat(np.arange(len(per)), per)
        inner = np.arange(len(entry)) - np.repeat(np.cumsum(per) - per, per)
        wide = length[self.right][entry]
        first = self.indptr[self.left[entry]] + inner // wide
        second = self.indptr[self.right[entry]] + inner % wide
        a, b = self.indices[first], self.indices[second]
        pattern = coo_array((np.ones(len(a)), (a, b)), shape=(self.size, self.size)).tocsc()
        self.order = _order(csc_array(pattern))
        rank = np.empty(self.size, np.int64)
        rank[self.order] = np.arange(self.size)
        lower = rank[a] >= rank[b]
        self.entry, self.first, self.second = entry[lower], first[lower], second[lower]
        flat = rank[b[lower]] * self.size + rank[a[lower]]  # column after column
        places, self.out = np.unique(flat, return_inverse=True)
        self.q_row, self.q_column = places % self.size, places // self.size
        structure = _symbolic(self.size, self.q_row, self.q_column)
        self.start = np.concatenate([[0], np.cumsum([len(s) for s in structure])]).astype(np.int64)
        self.l_row = np.concatenate([np.zeros(0, np.int64), *structure])
        triangle = self.size * (self.size + 1) / 2
        self.full = self.size >= LARGE and len(self.l_row) > FULL * triangle
        touched = self.q_row[self.q_row != self.q_column]
        self.apart = int(touched.min()) if len(touched) else self.size
        inner, on = self.q_column >= self.apart, self.q_row == self.q_column
        self.parts = [np.flatnonzero(v) for v in (on & ~inner, ~on & ~inner, inner)]
        column = np.repeat(np.arange(self.size), np.diff(self.start))
        below = np.flatnonzero(self.l_row != column)
        by_row = below[np.argsort(self.l_row[below], kind="stable")]
        counts = np.bincount(self.l_row[below], minlength=self.size)
        self.back_start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.back_place, self.back_column = by_row, column[by_row]
        self.q_place = np.searchsorted(
            column * self.size + self.l_row, self.q_column * self.size + self.q_row
        )
        # without a sign, places cost the compiled loop no test of it
        self.loop = {name: getattr(self, name).astype(np.uint32) for name in _PLACES}

    def __call__(
        self, jacobian: Array, weights: Array, linear: Array, shift: Array, square: Array
    ) -> tuple[Array, Array]:
        """Return the log integrals, a constant left out, and the means.

        - `jacobian` (n, n_entries): values of :math:`J`; of one row where they are always the same.
        - `weights` (n, n_weights): :math:`w_k`.
        - `linear`, `shift` (n, n_rows): :math:`\\sum_k w_k g_k` and :math:`d`; the latter of one
          row where it is the same.
        - `square` (n): :math:`\\sum_k w_k s_k`.
        Returns:
        - `log_integral` (n): minus infinity where the precision is not positive definite.
        - `mean` (n, n_coefficients)
        """
        return self._solve(jacobian, weights, linear, shift, square, None)

    def draw(
        self, jacobian: Array, weights: Array, linear: Array, shift: Array, rng: np.random.Generator
    ) -> Array:
        """Return one draw of the coefficients for each row of the arguments."""
        noise = rng.standard_normal((len(weights), self.size))
        return self._solve(jacobian, weights, linear, shift, np.zeros(0), noise)[1]

    def factored(
        self, jacobian: Array, weights: Array, linear: Array, shift: Array, square: Array
    ) -> tuple[Array, Array, Array]:
        """Return log integrals, means and the Cholesky factors :math:`L` of the precisions."""
        factors = np.empty((len(weights), len(self.l_row)))
        arguments = jacobian, weights, linear, shift, square
        return *self._solve(*arguments, None, factors), factors

    def spread(self, factors: Array, noise: Array) -> Array:
        """Return :math:`P'L^{-T} z`: of the precision's inverse, if z is standard Normal."""
        return self._substituted(factors, noise, transposed=True)

    def gathered(self, factors: Array, push: Array) -> Array:
        """Return the transpose of that, :math:`L^{-1} P v`."""
        return self._substituted(factors, push, transposed=False)

    def _substituted(self, factors: Array, vectors: Array, *, transposed: bool) -> Array:
        out = np.array(vectors, dtype=float, order="C")
        places = (self.loop[n] for n in ("start", "l_row", "order"))
        kernels().substitute(*places, factors, out, transposed)
        return out

    def _whole(self, q: Array, push: Array, noise: Array | None) -> tuple[float, Array] | None:
        """Return the log of the root of the determinant, and the solution; None of no precision.

        The first coefficients in the order of elimination that do not touch each other, the larger
        of two crossed groupings, are eliminated at once: what is left is as large as the rest.
        """
        k, rest = self.apart, self.size - self.apart
        on, off, inner = self.parts
        if not (q[on] > 0).all():
            return None
        root, below, corner = np.sqrt(q[on]), np.zeros((rest, k)), np.zeros((rest, rest))
        below[self.q_row[off] - k, self.q_column[off]] = q[off]
        corner[self.q_row[inner] - k, self.q_column[inner] - k] = q[inner]
        below /= root
        try:
            lower = np.linalg.cholesky(corner - below @ below.T)
        except np.linalg.LinAlgError:
            return None
        first = push[:k] / root
        second = solve_triangular(lower, push[k:] - below @ first, lower=True, check_finite=False)
        if noise is not None:
            first, second = first + noise[:k], second + noise[k:]
        last = solve_triangular(lower, second, lower=True, trans="T", check_finite=False)
        found = np.concatenate([(first - below.T @ last) / root, last])
        return float(np.log(root).sum() + np.log(np.diag(lower)).sum()), found

    def _entries(self, weights: Array) -> Array:
        return np.asarray(self.values * weights[self.term])

    def _solve(
        self,
        jacobian: Array,
        weights: Array,
        linear: Array,
        shift: Array,
        square: Array,
        noise: Array | None,
        factors: Array | None = None,
    ) -> tuple[Array, Array]:
        n = len(weights)
        heights, means = np.full(n, -np.inf), np.zeros((n, self.size))
        if not self.full or factors is not None:
            places = [self.loop[name] for name in _PLACES]
            kernels().factorise(
                *places,
                jacobian,
                self.values,
                weights,
                linear,
                shift,
                np.zeros((0, 0)) if noise is None else noise,
                square,
                heights,
                means,
                np.empty((1, len(self.l_row))) if factors is None else factors,
            )
            return heights, means
        jacobian = np.broadcast_to(jacobian, (n, jacobian.shape[1]))
        shift = np.broadcast_to(shift, (n, self.rows))
        for b in range(n):
            entries = self._entries(weights[b])
            products = entries[self.entry] * jacobian[b, self.first] * jacobian[b, self.second]
            q = np.bincount(self.out, products, len(self.q_row))
            pushed = np.bincount(self.left, entries * shift[b, self.right], self.rows)
            rows = (linear[b] - pushed)[self.row_of]
            push = np.bincount(self.indices, jacobian[b] * rows, self.size)[self.order]
            found = self._whole(q, push, None if noise is None else noise[b][self.order])
            if found is None:
                continue
            log_root, means[b, self.order] = found
            if noise is None:
                moves = jacobian[b] * means[b, self.indices]
                rest = shift[b] + np.bincount(self.row_of, moves, self.rows)
                form = square[b] + entries @ (rest[self.left] * rest[self.right])
                heights[b] = -log_root - 0.5 * (form - 2 * linear[b] @ rest)
        return heights, means


def kernels() -> ModuleType:
    """Return the compiled loops; they load numba."""
    from bayescausal.inference.hierarchies import sparse_kernels

    return sparse_kernels


def _order(pattern: csc_array) -> Array:
    """Return an order of elimination with little fill: minimum degree."""
    size = pattern.shape[0]
    if size < 3:
        return np.arange(size)
    diagonal = coo_array((np.full(size, 1e3 * size), (np.arange(size),) * 2)).tocsc()
    found = splu(
        csc_array(abs(pattern) + diagonal),
        permc_spec="MMD_AT_PLUS_A",
        options={"SymmetricMode": True},
        diag_pivot_thresh=0.0,
    )
    return np.argsort(np.asarray(found.perm_c, dtype=np.int64))


def _symbolic(size: int, rows: Array, columns: Array) -> list[Array]:
    """Return the places in each column of the Cholesky factor, the diagonal first."""
    below: list[set[int]] = [set() for _ in range(size)]
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        below[j].add(i)
    for j in range(size):
        below[j].add(j)
        rest = below[j] - {j}
        if rest:
            below[min(rest)] |= rest
    return [np.array(sorted(b), dtype=np.int64) for b in below]
