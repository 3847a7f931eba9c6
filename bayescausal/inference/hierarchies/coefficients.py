r"""Coefficients leave the chain: their integral is known whatever the scales are.

The unknowns of a block are coefficients :math:`c` and a few others :math:`h` (scales, correlations,
length scales, the noise). Given :math:`h` everything about :math:`c` is Gaussian and affine,

.. math::

   y_i \sim N(o_i + x_i' e(c, h),\; \sigma(h)), \qquad
   e(c, h) = e_0(h) + E(h)\, c, \qquad c_j \sim N(m_j(c, h),\; s_j(h)),

where the *effective coefficients* :math:`e` are whatever of the mean reads unknowns and no column:
the effects of groups, centred or not, correlated or not, nested or crossed; weights of a spline or
of a Hilbert-space Gaussian process with its length scale; coefficients that share a scale. Then

.. math:: p(h \mid y) \propto p(h)\, \int p(c \mid h) \prod_i p(y_i \mid c, h)\, dc

is known in closed form and reads the rows through :math:`X'X, X'y, y'y` alone, one pass over them
[1]_. The few :math:`h` are drawn from it (:mod:`.few_unknowns`), and the coefficients from their
exact conditional. Which entries of :math:`E` and of the precision are not zero is found once, so
that the cost is linear in the number of groups (:mod:`.sparse_gaussian`).

References
----------
.. [1] D. Bates, M. Maechler, B. Bolker and S. Walker, Fitting linear mixed-effects models using
   lme4, *Journal of Statistical Software* 67(1), 2015, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csc_array, csr_array, diags_array
from scipy.sparse.linalg import splu

from bayescausal.inference.closed_forms.affine import weights_of
from bayescausal.inference.closed_forms.design import design_of, resolved
from bayescausal.inference.conditioning.smooth import near_mode
from bayescausal.inference.densities.few_unknowns import draw_density
from bayescausal.inference.densities.metropolis import finite
from bayescausal.inference.densities.modes import modes
from bayescausal.inference.hierarchies.affine_map import affine_map
from bayescausal.inference.hierarchies.gibbs import draw_by_gibbs
from bayescausal.inference.hierarchies.one_grouping import grouped
from bayescausal.inference.hierarchies.sparse_gaussian import SparseGaussian, Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.densities.few_unknowns import LogDensity
    from bayescausal.inference.hierarchies.one_grouping import GroupedPosterior
    from bayescausal.inference.hierarchies.parts import AffineEquation, Hierarchy
    from bayescausal.inference.hierarchies.scale_map import ScaleMap, Scales

__all__ = ["CoefficientBlock", "CoefficientStatistics", "GaussianPosterior", "Sums", "posterior_of"]

#: Numbers that are held at a time while the density is evaluated.
NUMBERS = 4_000_000
#: Coefficients from which a point of the density is dear, and it is a polynomial where it can be.
COSTLY = 2_000
#: Columns that all groups share, of which products are looked at.
SHARED = 200
#: Effective coefficients of one array of which each is tried by itself.
DENSE = 4


@dataclass(frozen=True, eq=False)
class Sums:
    """The rows of one equation, about a reference: they add over rows."""

    reference: Array
    count: float
    gram: csr_array
    moment: Array
    square: float

    def about(self, reference: Array) -> Sums:
        step = reference - self.reference
        push = self.gram @ step
        square = max(float(self.square - 2 * step @ self.moment + step @ push), 0.0)
        return replace(self, reference=reference, moment=self.moment - push, square=square)

    def __add__(self, other: Sums) -> Sums:
        more = other.about(self.reference)
        return Sums(
            self.reference,
            self.count + more.count,
            csr_array(self.gram + more.gram),
            self.moment + more.moment,
            self.square + more.square,
        )

    def fitted(self) -> Array:
        """Return a reference near the least-squares fit."""
        scale = np.sqrt(np.maximum(self.gram.diagonal(), 1e-300))
        inverse = diags_array(1 / scale)
        scaled = inverse @ self.gram @ inverse + diags_array(np.full(len(scale), 1e-8))
        found = splu(csc_array(scaled)).solve(self.moment / scale) / scale
        return self.reference + np.where(np.isfinite(found), found, 0.0)


@dataclass(frozen=True, eq=False)
class CoefficientStatistics:
    """What the data of a block come down to. Those of two sets of rows add."""

    sums: tuple[Sums, ...]  # of each equation
    given: dict[str, Array]  # columns of groups that the priors read

    @property
    def reference(self) -> tuple[Array, ...]:
        """About which residuals are taken."""
        return tuple(s.reference for s in self.sums)

    def __add__(self, other: CoefficientStatistics) -> CoefficientStatistics:
        pairs = zip(self.sums, other.sums, strict=True)
        return CoefficientStatistics(tuple(a + b for a, b in pairs), self.given)


class CoefficientBlock:
    """A block whose coefficients are integrated out. Made by :func:`.hierarchy.coefficient_block`.

    - `names` (tuple of str): the coefficients, then the other unknowns.
    - `columns` (tuple of str): the columns that the statistics need.
    - `observed` (tuple of str): the variables whose equations it holds.
    - `method` (str): how it is drawn, in words.
    - `together`: whether rows hang together: none can be left out, but for its weight.
    - `many`: whether it has so many scales that these are drawn by a chain (:mod:`.gibbs`).
    - `chained`: the block drawn by that chain, where it may be run and nothing else fits.
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        *,
        together: bool = False,
        many: bool = False,
        chains: bool = False,
    ) -> None:
        self.hierarchy, self.together, self.many = hierarchy, together, many
        self.chained = CoefficientBlock(hierarchy, many=True) if chains and not many else None
        self.method = "gibbs (coefficients given scales)" if many else "coefficients integrated out"
        self.equations = hierarchy.equations
        self.names = (*hierarchy.shapes, *hierarchy.others)
        self.observed = tuple(e.name for e in self.equations)
        reads = [n for e in self.equations for n in (e.name, *e.reads)]
        self.columns = tuple(dict.fromkeys((*reads, *hierarchy.given)))

    def statistics(
        self,
        chunk: Mapping[str, Array],
        counts: Array | Mapping[str, Array] | None = None,
        *,
        reference: Sequence[Array] | None = None,
    ) -> CoefficientStatistics:
        """Return the statistics of some rows; arguments as of a linear block.

        Counts may be given for some of the equations, in the shape of their variables.

        Raises NotAffineError if the numbers contradict what the expressions promised.
        """
        found = []
        for k, equation in enumerate(self.equations):
            own = counts.get(equation.name) if isinstance(counts, Mapping) else counts
            sums = _sums_of(equation, chunk, own, None if reference is None else reference[k])
            found.append(sums)
        given = {n: np.asarray(chunk[n]) for n in self.hierarchy.given}
        return CoefficientStatistics(tuple(found), given)

    def resolved(
        self, statistics: CoefficientStatistics, chunks: Callable[[], Iterable[Mapping[str, Array]]]
    ) -> bool:
        """Whether products of the columns that all groups share hold what the columns do.

        `chunks` gives the rows where it is called.
        """
        for equation, sums in zip(self.equations, statistics.sums, strict=True):
            entries = np.diff(sums.gram.indptr)
            shared = np.flatnonzero(entries == entries.max(initial=0))[:SHARED]

            def rows(e: AffineEquation = equation, at: Array = shared) -> Iterator[Array]:
                for chunk in chunks():
                    yield _design(e, chunk)[1][:, at].toarray()

            if not resolved(sums.gram[shared][:, shared].toarray(), rows):
                return False
        return True

    def draw(self, statistics: CoefficientStatistics, size: int, seed: Any) -> dict[str, Array]:
        """Return draws of the unknowns, independent but for a few repetitions of scales.

        Those of many scales are of four chains, one after the other.

        Raises ArithmeticError if the density of the scales has a shape that the draws would not
          cover.
        """
        rng = np.random.default_rng(seed)
        if self.many:
            whole = posterior_of(self.hierarchy, statistics)
            return whole.unknowns(*draw_by_gibbs(whole, size, rng))
        posterior: GroupedPosterior | GaussianPosterior | None = self._grouped(statistics)
        posterior = posterior or posterior_of(self.hierarchy, statistics)
        value: LogDensity = posterior.log_density
        starts = posterior.map.starts
        if isinstance(posterior, GaussianPosterior) and posterior.form.size >= COSTLY:
            value, starts = _about_mode(value, starts, rng)
        return posterior.draw(draw_density(value, starts, size, rng), rng)

    def _grouped(self, statistics: CoefficientStatistics) -> GroupedPosterior | None:
        """Return the posterior by classes of groups, where it has that form."""
        made = self.hierarchy.map.at(statistics.given)
        sums = [s.about(s.fitted()) for s in statistics.sums]
        return grouped(self.hierarchy, made, affine_map(made, self.hierarchy.shapes), sums)


def _about_mode(
    value: LogDensity, starts: Array, rng: np.random.Generator
) -> tuple[LogDensity, Array]:
    """Return a costly log-density with one mode as a polynomial about it, and starts there."""
    (mode, spread), *others = modes(finite(value), starts)
    if others:
        return value, starts
    root = np.linalg.cholesky(np.linalg.inv(spread))
    near = mode + 0.5 * rng.multivariate_normal(np.zeros(len(mode)), spread, 20)
    return near_mode(value, mode, root, rng), np.concatenate([mode[None], near])


def _sums_of(
    equation: AffineEquation,
    chunk: Mapping[str, Array],
    counts: Array | None,
    reference: Array | None,
) -> Sums:
    y = np.asarray(chunk[equation.name], dtype=float)
    design = _design(equation, chunk)
    values = (np.log(y) if equation.log else y).reshape(-1)
    weight = np.ones(len(values))
    if counts is not None:
        spread = np.asarray(counts, dtype=float)
        if spread.shape != y.shape:
            spread = spread.reshape(-1, *(1,) * (y.ndim - 1))
        weight = np.broadcast_to(spread, y.shape).reshape(-1)
    count = 0.0 if equation.known else float(weight.sum())
    if equation.sigma is not None:
        weight = weight * weights_of(equation.name, equation.sigma(chunk)[0], y.shape)
    offset, x = design
    weighted = csr_array(x.T * weight)

    def about(at: Array) -> Sums:
        rest = values - offset - x @ at
        return Sums(at, count, csr_array(weighted @ x), weighted @ rest, float(weight @ rest**2))

    return about(about(np.zeros(equation.size)).fitted() if reference is None else reference)


def _design(equation: AffineEquation, chunk: Mapping[str, Array]) -> tuple[Array, csr_array]:
    """Return the offset and the columns of the effective coefficients."""
    rows = np.shape(chunk[equation.name])
    made = design_of(lambda v: equation.mean(v)[0], chunk, equation.shapes, rows, dense=DENSE)
    return made.sparse(equation.size)


class GaussianPosterior:
    """The density of the scales, and the coefficients given them."""

    def __init__(
        self, hierarchy: Hierarchy, given: Mapping[str, Array], sums: Sequence[Sums]
    ) -> None:
        self.hierarchy, self.sums = hierarchy, sums
        self.map: ScaleMap = hierarchy.map.at(given)
        self.affine = affine_map(self.map, hierarchy.shapes)
        self.reference = np.concatenate([np.zeros(0), *(s.reference for s in self.sums)])
        self.moment = np.concatenate([np.zeros(0), *(s.moment for s in self.sums)])
        self.equation = np.repeat(np.arange(len(self.sums)), [len(s.moment) for s in self.sums])
        self.form = SparseGaussian(self.affine.pattern, self._terms())
        self.about = np.zeros(self.form.rows)
        self.about[: len(self.reference)] = self.reference

    def _terms(self) -> Terms:
        parts, start = [], 0
        for k, sums in enumerate(self.sums):
            gram = sums.gram.tocoo()
            weight = np.full(gram.nnz, k)
            parts.append(Terms(gram.row + start, gram.col + start, gram.data, weight))
            start += len(sums.moment)
        base = len(self.sums)
        for prior in self.hierarchy.priors:
            terms = prior.terms(start, base)
            if terms is not None:
                parts.append(terms)
            start, base = start + prior.size, base + prior.weights
        return Terms.joined(parts)

    def rows(self, scales: Scales) -> tuple[Array, Array]:
        """Return the precision of each equation, and the rows' constant."""
        noise = np.ones((len(scales.terms), len(self.sums)))
        for k, sigma in enumerate(scales.sigmas):
            if sigma is not None:
                noise[:, k] = sigma
        return 1.0 / noise**2, -(np.log(noise) @ np.array([s.count for s in self.sums]))

    def pieces(
        self, points: Array, scales: Scales | None = None
    ) -> tuple[Array, tuple[Array, Array, Array, Array], Array]:
        """Return the log-density without the integral, the form's arguments, and its constant."""
        scales = self.map.scales(points) if scales is None else scales
        jacobian, shift = self.affine(self.map, points)
        with np.errstate(all="ignore"):
            precision, height = self.rows(scales)
            height = height + scales.log_prior
            weights = [precision]
            for prior, spread in zip(self.hierarchy.priors, scales.spreads, strict=True):
                own, log_volume = prior.precision(spread, len(points))
                weights.append(own)
                height = height + log_volume
        rows = len(self.reference)
        linear = np.zeros((len(points), self.form.rows))
        linear[:, :rows] = precision[:, self.equation] * self.moment
        shift = shift - self.about
        square = precision @ np.array([s.square for s in self.sums])
        return height, (jacobian, np.concatenate(weights, axis=1), linear, shift), square

    def _chunks(self, points: Array) -> list[Array]:
        step = max(1, NUMBERS // self.affine.numbers)
        return [points[i : i + step] for i in range(0, len(points), step)]

    def log_density(self, points: Array) -> Array:
        """Return the log-density of unconstrained scales."""
        out = []
        for part in self._chunks(points):
            height, arguments, square = self.pieces(part)
            finite = np.isfinite(height) & np.isfinite(square)
            for a in arguments:
                finite &= np.isfinite(a).all(axis=1)
            found = np.full(len(part), -np.inf)
            if finite.any():
                jacobian, weights, linear, shift = (
                    a if len(a) == 1 or finite.all() else a[finite] for a in arguments
                )
                value, _ = self.form(jacobian, weights, linear, shift, square[finite])
                found[finite] = height[finite] + value
            out.append(found)
        return np.concatenate(out)

    def coefficients(self, points: Array, rng: np.random.Generator) -> Array:
        """Return coefficients drawn given the scales."""
        flat = np.empty((len(points), self.form.size))
        start = 0
        for part in self._chunks(points):
            arguments = self.pieces(part)[1]
            flat[start : start + len(part)] = self.form.draw(*arguments, rng)
            start += len(part)
        return flat

    def draw(self, points: Array, rng: np.random.Generator) -> dict[str, Array]:
        """Return the unknowns, the coefficients drawn given the scales."""
        return self.unknowns(points, self.coefficients(points, rng))

    def unknowns(self, points: Array, flat: Array) -> dict[str, Array]:
        """Return the unknowns as the model has them."""
        self.affine.verify(self.map, points[:3], flat[:3])
        return self.map.back(points, flat) | self.map.values(points)


def posterior_of(hierarchy: Hierarchy, statistics: CoefficientStatistics) -> GaussianPosterior:
    """Return the posterior, about the fit of all rows: draws do not depend on their order."""
    sums = [s.about(s.fitted()) for s in statistics.sums]
    return GaussianPosterior(hierarchy, statistics.given, sums)
