r"""Linear-Gaussian blocks: coefficients are Gaussian given sigma, sigma lies on a line.

All unknowns of a block are coefficients :math:`c` and at most one scalar :math:`s`. Its factors are

.. math::

   y_i \sim N(o_i + x_i' c,\; g(s) f_i), \quad r_j \sim N(o_j + x_j' c,\; \sigma_j), \quad
   s \sim \pi,

where :math:`g(s)` is any function of one scalar unknown whose prior is anything, :math:`f_i` a
known factor of each row (:mod:`.affine`: weights), and :math:`\sigma_j` are known: the
coefficients' own priors, and equations with known noise. Then

.. math::

   c \mid s, y \sim N, \qquad
   p(s \mid y) \propto \pi(s)\, g(s)^{-n} \int \exp(-\tfrac12 Q(c, s))\, dc

with a quadratic :math:`Q`: independent draws, no Markov chain [1]_. Both quadratic forms are made
diagonal once, so that a point of the line costs as many operations as there are coefficients. Sums
of squares are taken about a reference near the least-squares fit, not about zero: the difference of
large numbers that would be left is what makes the textbook formula fail.

The data enter through :math:`n, X'X, X'r, r'r` alone, weighted by :math:`f_i^{-2}` but for the
count of rows, which add over rows. Columns that are the same number to many digits (a year, its
square and its cube) lose in products what tells them apart; they are turned into others, with
:math:`X B` and :math:`c = B z` for a B of :mod:`.design`, before products are taken.

References
----------
.. [1] A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., CRC Press, 2013, chapter 14.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh, solve_triangular

from bayescausal.inference.closed_forms.affine import weights_of
from bayescausal.inference.closed_forms.design import (
    CLOSE,
    LOST,
    SAME,
    Design,
    are_close,
    basis_of,
    design_of,
)
from bayescausal.inference.closed_forms.one_dimension import draw_line, tabulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bayescausal.inference.closed_forms.affine import Expressions
    from bayescausal.inference.closed_forms.one_dimension import Line, Table


__all__ = ["Diagonal", "LinearBlock", "LinearStatistics"]

#: Coefficients whose columns are turned: all of a row are held.
MOST_TURNED = 500


@dataclass(frozen=True, eq=False)
class LinearStatistics:
    """What the data of a linear block come down to. Those of two sets of rows add."""

    reference: np.ndarray  # (n_coefficients) About which residuals are taken
    count: float  # rows whose noise is unknown
    # gram, moment, square: ``X'X``, ``X'r`` and ``r'r`` of those rows.
    gram: np.ndarray
    moment: np.ndarray
    square: float
    # known_gram, known_moment, known_square: the same, weighted by precision, of rows whose noise
    # is known.
    known_gram: np.ndarray
    known_moment: np.ndarray
    known_square: float
    # (m, n_coefficients + 1) Of a prior: its rows divided by their noise, then their right side.
    root: np.ndarray | None = None

    def about(self, reference: np.ndarray) -> LinearStatistics:
        """Return the same statistics about another reference."""
        if np.array_equal(reference, self.reference):
            return self
        step = reference - self.reference

        def moved(gram: np.ndarray, moment: np.ndarray, square: float) -> tuple[np.ndarray, float]:
            push = gram @ step
            return moment - push, max(float(square - 2 * step @ moment + step @ push), 0.0)

        moment, square = moved(self.gram, self.moment, self.square)
        known_moment, known_square = moved(self.known_gram, self.known_moment, self.known_square)
        return replace(
            self,
            reference=reference,
            moment=moment,
            square=square,
            known_moment=known_moment,
            known_square=known_square,
        )

    def __add__(self, other: LinearStatistics) -> LinearStatistics:
        more = other.about(self.reference)
        return LinearStatistics(
            self.reference,
            self.count + more.count,
            self.gram + more.gram,
            self.moment + more.moment,
            self.square + more.square,
            self.known_gram + more.known_gram,
            self.known_moment + more.known_moment,
            self.known_square + more.known_square,
        )

    def turned(self, basis: np.ndarray) -> LinearStatistics:
        """Return a prior for z where the coefficients are ``basis @ z``."""
        assert self.root is not None
        rows, right = self.root[:, :-1] @ basis, self.root[:, -1]
        size = basis.shape[1]
        empty = np.zeros((size, size)), np.zeros(size), 0.0
        known = rows.T @ rows, rows.T @ right, float(right @ right)
        return LinearStatistics(np.zeros(size), 0.0, *empty, *known)

    def fitted(self) -> np.ndarray:
        """Return a reference near the least-squares fit of these rows."""
        gram = self.gram + self.known_gram
        scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
        moment = (self.moment + self.known_moment) / scale
        found = np.linalg.lstsq(gram / scale / scale[:, None], moment, rcond=1e-10)[0] / scale
        return self.reference + np.where(np.isfinite(found), found, 0.0)


@dataclass(frozen=True, eq=False)
class LinearEquation:
    """One observed equation: its mean as a function, and what is known of the noise of a row.

    ``known``: whether that is all of the noise; ``weighted``: whether there is anything.
    """

    name: str
    call: Expressions
    known: bool
    weighted: bool
    log: bool
    dims: tuple[str, ...]


class LinearBlock:
    """A block with exact independent draws. Made by :func:`linear_block`.

    - `names` (tuple of str): the coefficients, then the scalar, if there is one.
    - `columns` (tuple of str): the columns that the statistics need.
    - `observed` (tuple of str): the variables whose equations it holds.
    - `method` (str): how it is drawn, in words.
    """

    method = "conjugate (linear-Gaussian)"

    def __init__(
        self,
        shapes: dict[str, tuple[int, ...]],
        equations: list[LinearEquation],
        prior: LinearStatistics,
        scalar: str | None,
        spread: Callable[[np.ndarray], np.ndarray] | None,
        log_prior: Callable[[np.ndarray], np.ndarray] | None,
        line: Line | None,
        basis: np.ndarray | None = None,
    ) -> None:
        self.shapes, self.equations, self.prior = shapes, equations, prior
        self.basis = basis
        self.scalar, self.spread, self.log_prior, self.line = scalar, spread, log_prior, line
        self.names = (*shapes, *((scalar,) if scalar is not None else ()))
        self.observed = tuple(e.name for e in equations)
        reads = [n for e in equations for n in (e.name, *e.call.reads) if n not in shapes]
        self.columns = tuple(dict.fromkeys(reads))
        self.size = sum(int(np.prod(s)) for s in shapes.values())

    def statistics(
        self,
        chunk: Mapping[str, np.ndarray],
        counts: np.ndarray | None = None,
        *,
        reference: np.ndarray | None = None,
    ) -> LinearStatistics:
        """Return the statistics of some rows.

        - `chunk`: the columns, rows along their first axis.
        - `counts` (n_rows): how often each row occurs.
        - `reference`: about which residuals are taken. Default: the fit of these rows.
        Raises NotAffineError if the numbers contradict what the expressions promised.
        """
        parts = self._rows(chunk, counts)
        if reference is None:
            reference = (self._sum(parts, np.zeros(self.size)) + self.prior).fitted()
        return self._sum(parts, reference)

    def turned(self, chunks: Iterable[Mapping[str, np.ndarray]]) -> LinearBlock:
        """Return the block in coordinates in which the columns of some rows are told apart."""
        root = self.prior.root
        if root is None or self.basis is not None or self.size > MOST_TURNED:
            raise ArithmeticError("the coefficients are not determined")

        def whitened() -> Iterator[np.ndarray]:
            yield root[:, :-1]
            for chunk in chunks:
                for known, design, values, weight, _ in self._rows(chunk, None):
                    scale = 1.0 if known else max(float(np.std(values)), 1e-300)
                    x = design.sparse(self.size)[1].toarray()
                    yield x * np.sqrt(weight)[:, None] / scale

        basis = basis_of(whitened())
        held = self.scalar, self.spread, self.log_prior, self.line
        return LinearBlock(self.shapes, self.equations, self.prior.turned(basis), *held, basis)

    def is_close(self, statistics: LinearStatistics, share: float = CLOSE) -> bool:
        """Whether sums of products begin to lose what tells the columns apart."""
        data = statistics.about(statistics.fitted())
        known = self.prior.known_gram + data.known_gram
        return are_close(known + _weight(data) * data.gram, share)

    def _rows(
        self, chunk: Mapping[str, np.ndarray], counts: np.ndarray | None
    ) -> list[tuple[bool, Design, np.ndarray, np.ndarray, float]]:
        """Return, of each equation: whether its noise is known, design, outcome, weight, count."""
        parts = []
        for equation in self.equations:
            y = np.asarray(chunk[equation.name], dtype=float)

            def mean(values: Mapping[str, Any], _e: LinearEquation = equation) -> np.ndarray:
                return _e.call(values)[0]

            design = design_of(mean, chunk, self.shapes, y.shape)
            if self.basis is not None:
                x = design.sparse(self.size)[1].toarray() @ self.basis
                design = Design(design.offset, [(slice(0, self.size), x)], [])
            values = (np.log(y) if equation.log else y).reshape(-1)
            weight = np.ones(len(values))
            if counts is not None:
                spread = np.asarray(counts, dtype=float)
                spread = spread.reshape(-1, *(1,) * (y.ndim - 1))
                weight = np.broadcast_to(spread, y.shape).reshape(-1)
            rows = 0.0 if equation.known else float(weight.sum())
            if equation.weighted:
                zero = {n: np.zeros(s) for n, s in self.shapes.items()}
                factor = equation.call({**chunk, **zero})[1]
                weight = weight * weights_of(equation.name, factor, y.shape)
            parts.append((equation.known, design, values, weight, rows))
        return parts

    def _sum(
        self,
        parts: list[tuple[bool, Design, np.ndarray, np.ndarray, float]],
        reference: np.ndarray,
    ) -> LinearStatistics:
        size = self.size
        sums: dict[bool, list[Any]] = {
            known: [np.zeros((size, size)), np.zeros(size), 0.0] for known in (False, True)
        }
        count = 0.0
        for known, design, values, weight, rows in parts:
            rest = values - design.offset - design.times(reference)
            into = sums[known]
            into[0] = into[0] + design.gram(weight, size)
            into[1] = into[1] + design.transposed(weight * rest, size)
            into[2] = into[2] + float(np.sum(weight * rest * rest))
            count += rows
        return LinearStatistics(reference, count, *sums[False], *sums[True])

    def draw(
        self, statistics: LinearStatistics, size: int, seed: Sequence[int]
    ) -> dict[str, np.ndarray]:
        """Return independent draws of the unknowns.

        Refused is a posterior that has no finite integral.
        """
        rng = np.random.default_rng(seed)
        if self.basis is None and self.is_close(statistics, LOST):
            raise ArithmeticError(SAME)
        # About the fit itself, so that draws do not depend on the order of the rows.
        statistics = statistics.about((statistics + self.prior).fitted())
        prior = self.prior.about(statistics.reference)
        form = Diagonal(statistics, prior)
        scale = np.ones(size)
        out: dict[str, np.ndarray] = {}
        if self.scalar is not None:
            assert self.spread is not None
            assert self.log_prior is not None
            assert self.line is not None
            spread, log_prior = self.spread, self.log_prior

            def log_density(s: np.ndarray) -> np.ndarray:
                return log_prior(s) + form.log_marginal(spread(s))

            out[self.scalar] = draw_line(log_density, self.line, size, rng)
            scale = spread(out[self.scalar])
        flat = form.draw(scale, rng)
        return out | self.unflattened(flat)

    def unflattened(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Return coefficients (size, n_coefficients) by their names and shapes."""
        out, start = {}, 0
        if self.basis is not None:
            flat = flat @ self.basis.T
        for name, shape in self.shapes.items():
            stop = start + int(np.prod(shape))
            out[name] = flat[:, start:stop].reshape(len(flat), *shape)
            start = stop
        return out

    def table(self, square: float, count: float) -> Table:
        """Return the noise along its line, about what a sum of squares over rows makes it."""
        assert self.line is not None
        assert self.log_prior is not None
        assert self.spread is not None
        rough = float(np.sqrt(max(square, 1e-300) / max(count, 1.0)))
        return tabulated(self.line, self.log_prior, self.spread, rough)


class Diagonal:
    """Both quadratic forms in coordinates in which they are diagonal.

    With ``P`` the precision of what is known and ``A / g^2`` that of the rows whose noise is not,
    ``P + tau A = L L'`` and ``L^-1 P L^-T = V diag(p) V'``, so ``z = V' L' (c - reference)`` has
    precisions ``p`` and ``q / g^2`` with ``q = (1 - p) / tau``. It is fit for flat priors
    (``p = 0``) and for coefficients that the rows do not see (``q = 0``).
    """

    def __init__(self, data: LinearStatistics, prior: LinearStatistics) -> None:
        known = prior.known_gram + data.known_gram
        push = prior.known_moment + data.known_moment
        self.count, self.square = data.count, data.square
        self.reference = data.reference
        tau = _weight(data)
        total = known + tau * data.gram
        width = np.sqrt(np.maximum(np.diag(total), 1e-300))
        try:
            lower = cholesky(total / width / width[:, None], lower=True)
        except LinAlgError:
            raise ArithmeticError("the coefficients are not determined") from None
        inner = known / width / width[:, None]
        columns = np.column_stack((inner, push / width, data.moment / width))
        solved = solve_triangular(lower, columns, lower=True)
        half, push, moment = solved[:, :-2], solved[:, -2], solved[:, -1]
        whitened = solve_triangular(lower, half.T, lower=True)
        p, vectors = eigh((whitened + whitened.T) / 2) if len(width) else (np.zeros(0), lower)
        self.p = np.clip(p, 0.0, 1.0)
        self.p[self.p < 1e-13] = 0.0
        self.q = (1.0 - self.p) / tau
        self.q[1.0 - self.p < 1e-13] = 0.0
        self.e = vectors.T @ push
        self.f = vectors.T @ moment
        self.e[self.p == 0.0] = 0.0
        self.f[self.q == 0.0] = 0.0
        self.vectors = vectors
        self.back = solve_triangular(lower.T, vectors) / width[:, None]
        # sum (r - x c)^2 = left + sum q (z - f/q)^2
        with np.errstate(all="ignore"):
            gain = np.where(self.q > 0, self.f**2 / np.where(self.q > 0, self.q, 1.0), 0.0)
        self.left = max(self.square - float(gain.sum()), 0.0)

    def log_marginal(self, g: np.ndarray) -> np.ndarray:
        """Return the log of the integral over the coefficients, at noise g; a constant is left."""
        g = np.asarray(g, dtype=float)
        v = g[:, None] ** 2
        p, q = self.p[None], self.q[None]
        total = p + q / v
        with np.errstate(all="ignore"):
            both = (p > 0) & (q > 0)
            apart = np.where(
                both,
                self.e[None] / np.where(p > 0, p, 1.0) - self.f[None] / np.where(q > 0, q, 1.0),
                0.0,
            )
            cost = np.where(both, p * (q / v) / total * apart**2, 0.0)
            log_volume = np.log(total).sum(axis=1)
            found = -self.count * np.log(g) - 0.5 * (
                log_volume + self.left / g**2 + cost.sum(axis=1)
            )
        return np.where(g > 0, found, -np.inf)

    def draw(self, g: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return coefficients, (size, n_coefficients), one row for each noise in g."""
        v = g[:, None] ** 2
        total = self.p[None] + self.q[None] / v
        centre = (self.e[None] + self.f[None] / v) / total
        # Noise is rotated along, so that draws do not depend on which eigenvectors were found.
        noise = rng.standard_normal(centre.shape) @ self.vectors
        z = centre + noise / np.sqrt(total)
        return np.asarray(self.reference[None] + z @ self.back.T)


def _weight(data: LinearStatistics) -> float:
    """Return a rough precision of the rows whose noise is unknown."""
    rest = data.square / max(data.count, 1.0)
    return 1.0 / rest if rest > 0 and np.isfinite(rest) else 1.0
