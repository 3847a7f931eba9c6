r"""From scales to a Gaussian: priors, noise and effective coefficients as functions of the scales.

Everything is evaluated at many points at once, without a compiler. That the effective coefficients
are affine in the coefficients was proved by degrees; *which* coefficients each of them reads is
found here by probing at two points, and verified at random ones. A vector of which each reads one
element (the effect of a group) needs one probe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace, vectorize_graph
from scipy.sparse import csr_array

from bayescausal.inference.closed_forms.design import one_of, slices_of
from bayescausal.inference.conditioning.factors import without_checks
from bayescausal.model.structure.rebuild import PY_MODE, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array

__all__ = ["AffineMap", "ScaleMap", "Scales", "affine_map"]

#: Draws from the prior among which a start is looked for.
STARTS = 60
#: Coefficients of one array of which each is probed, where nothing better will do.
MOST = 512


@dataclass(frozen=True, eq=False)
class Scales:
    """What does not read coefficients, at some points.

    Attributes
    ----------
    log_prior : ndarray, shape (n,)
        Of the scales themselves, unconstrained.
    sigmas : list of ndarray or None
        The noise of each equation, where it is unknown; shape (n,).
    spreads : list of ndarray or None
        Prior sd or covariance of each coefficient; shape (n, ...), or without the n.
    """

    log_prior: Array
    sigmas: list[Array | None]
    spreads: list[Array | None]


@dataclass(frozen=True, eq=False)
class ScaleMap:
    """Functions of unconstrained scales. Made by :meth:`of`.

    Attributes
    ----------
    sizes : tuple of (str, tuple of int)
        Names and unconstrained shapes of the scales.
    coefficients : dict of str to tuple of int
        Names and shapes of the coefficients, laid out one after the other.
    given : dict of str to ndarray
        Columns that priors read.
    starts : ndarray, shape (n, dimension)
        Points among which one is likely. Drawn once: a function of them repeats itself.
    """

    sizes: tuple[tuple[str, tuple[int, ...]], ...]
    coefficients: Mapping[str, tuple[int, ...]]
    given: Mapping[str, Array]
    _scales: Callable[..., list[Array]]
    _means: Callable[..., list[Array]]
    starts: Array
    _which: tuple[Sequence[bool], Sequence[bool]]

    @classmethod
    def of(
        cls,
        model: pm.Model,
        scales: Sequence[str],
        shapes: Mapping[str, tuple[int, ...]],
        effective: Sequence[TensorVariable],
        sigmas: Sequence[TensorVariable | None],
        priors: Sequence[tuple[TensorVariable | None, TensorVariable | None]],
        given: Sequence[str],
    ) -> ScaleMap:
        """Return the functions.

        Parameters
        ----------
        scales, given : sequence of str
            Of the unknowns that are no coefficients, and of columns that priors read.
        effective : sequence of TensorVariable
            Affine in the coefficients.
        sigmas : sequence of TensorVariable or None
            Of each equation.
        priors : sequence of (mean, sd or covariance), or of (None, None)
            Of each coefficient.

        Raises
        ------
        NotImplementedError
            If a density is not known.
        """
        rvs = [model[n] for n in scales]
        values = [model.rvs_to_values[rv] for rv in rvs]
        own = [model.rvs_to_values[model[n]] for n in shapes]
        shared = [model[n] for n in given]
        places = [v.type(name=f"given_{v.name}") for v in shared]

        def opened(found: Sequence[TensorVariable]) -> list[TensorVariable]:
            inner = clone_replace(list(found), dict(zip(shared, places, strict=True)))
            return [without_checks(v) for v in inner]

        log_prior = model.logp(vars=rvs, jacobian=True)
        noisy = [s for s in sigmas if s is not None]
        spreads = [s for _, s in priors if s is not None]
        first = opened([log_prior, *model.replace_rvs_by_values([*noisy, *spreads, *rvs])])
        means = [m for m, _ in priors if m is not None]
        second = opened(model.replace_rvs_by_values([*effective, *means]))
        free = [
            rv if t is None else t.forward(rv, *rv.owner.inputs)
            for rv, t in ((rv, model.rvs_to_transforms[rv]) for rv in rvs)
        ]
        draw = pm.compile([], free, random_seed=1, mode=PY_MODE)
        wide = [v for v in free if v.type.ndim]
        shaped = dict(zip(wide, evaluate([v.shape for v in wide]) if wide else (), strict=True))
        sizes = tuple(
            (n, tuple(int(k) for k in shaped.get(v, ()))) for n, v in zip(scales, free, strict=True)
        )
        inputs = {v: shape for v, (_, shape) in zip(values, sizes, strict=True)}
        return cls(
            sizes,
            dict(shapes),
            {},
            _at_many(first, inputs, places),
            _at_many(second, inputs | dict(zip(own, shapes.values(), strict=True)), places),
            _starts(draw, sum(int(np.prod(shape)) for _, shape in sizes)),
            ([s is not None for s in sigmas], [s is not None for _, s in priors]),
        )

    def at(self, given: Mapping[str, Array]) -> ScaleMap:
        """Return the functions at values of the columns that priors read."""
        return replace(self, given=dict(given))

    @property
    def dimension(self) -> int:
        """The number of unconstrained scales."""
        return sum(int(np.prod(shape)) for _, shape in self.sizes)

    def _split(self, points: Array) -> list[Array]:
        out, start = [], 0
        for _, shape in self.sizes:
            stop = start + int(np.prod(shape))
            out.append(points[:, start:stop].reshape(len(points), *shape))
            start = stop
        return out

    def scales(self, points: Array) -> Scales:
        """Return what does not read coefficients."""
        found = iter(self._scales(self._split(points), self.given, len(points)))
        log_prior = np.broadcast_to(next(found), (len(points),))
        sigmas = [next(found).reshape(len(points)) if has else None for has in self._which[0]]
        spreads = [next(found) if has else None for has in self._which[1]]
        return Scales(log_prior, sigmas, spreads)

    def values(self, points: Array) -> dict[str, Array]:
        """Return the scales as the model has them."""
        found = self._scales(self._split(points), self.given, len(points))
        names = [n for n, _ in self.sizes]
        return dict(zip(names, found[len(found) - len(names) :], strict=True))

    def rows(self, points: Array, flat: Array) -> Array:
        """Return the effective coefficients, then the prior means, one after the other.

        Parameters
        ----------
        flat : ndarray, shape (n, n_coefficients)

        Returns
        -------
        ndarray, shape (n, n_rows)
        """
        arrays, start = self._split(points), 0
        for shape in self.coefficients.values():
            stop = start + int(np.prod(shape))
            arrays.append(flat[:, start:stop].reshape(len(flat), *shape))
            start = stop
        found = self._means(arrays, self.given, len(points))
        return np.concatenate([v.reshape(len(points), -1) for v in found], axis=1, dtype=float)


def _starts(draw: Callable[[], list[Array]], dimension: int) -> Array:
    """Return draws from the prior of the scales, and points about zero."""
    found = [0.5 * np.random.default_rng(1).standard_normal((STARTS, dimension))]
    try:
        drawn = [np.concatenate([np.ravel(v) for v in draw()]) for _ in range(STARTS)]
        found.append(np.stack(drawn))
    except (NotImplementedError, ValueError):  # an improper prior has no draws
        pass
    whole = np.concatenate(found)
    return np.asarray(whole[np.isfinite(whole).all(axis=1)])


def _at_many(
    outputs: Sequence[TensorVariable],
    inputs: Mapping[TensorVariable, tuple[int, ...]],
    given: Sequence[TensorVariable],
) -> Callable[..., list[Array]]:
    """Return a function of many values of the inputs, of the given shapes, at once."""
    many = {v: pt.TensorType(v.type.dtype, (None, *v.type.shape))(f"many_{v.name}") for v in inputs}
    batched = vectorize_graph(list(outputs), many)
    wide = [b.type.ndim > o.type.ndim for b, o in zip(batched, outputs, strict=True)]
    call = pytensor.function(
        [*many.values(), *given], batched, mode=PY_MODE, on_unused_input="ignore"
    )
    types = [str(v.type.dtype) for v in given]
    names = [str(v.name).removeprefix("given_") for v in given]

    def at(arrays: Sequence[Array], columns: Mapping[str, Array], size: int) -> list[Array]:
        more = (np.asarray(columns[n], dtype=t) for n, t in zip(names, types, strict=True))
        if size == 1:  # one of many would be broadcast, which is not allowed at run time
            arrays = [np.concatenate([v, v]) for v in arrays]
        with np.errstate(all="ignore"):
            found = call(*arrays, *more)
        found = [v[:size] if w else v for v, w in zip(found, wide, strict=True)]
        return [
            np.asarray(v) if w else np.broadcast_to(v, (size, *np.shape(v)))
            for v, w in zip(found, wide, strict=True)
        ]

    return at


# ------------------------------------------------------------------- what reads which


@dataclass(frozen=True, eq=False)
class AffineMap:
    """Rows that are affine in the coefficients: effective ones, then residuals of the priors.

    Attributes
    ----------
    pattern : csr_array, shape (n_rows, n_coefficients)
        Where :math:`J` is not zero.
    probes : ndarray, shape (n_probes, n_coefficients)
    rows, places : list of ndarray of int
        Rows that each probe moves, and where their entries stand in the pattern.
    effective : int
        Number of rows before the residuals.
    fixed : ndarray, shape (n_entries,)
        One where a residual reads its own coefficient.
    """

    pattern: csr_array
    probes: Array
    rows: list[Array]
    places: list[Array]
    effective: int
    fixed: Array

    @property
    def numbers(self) -> int:
        """Numbers that a point takes."""
        size, wide = self.pattern.shape
        return int((len(self.probes) + 2) * (size + wide) + self.pattern.nnz)

    def __call__(self, made: ScaleMap, points: Array) -> tuple[Array, Array]:
        """Return the entries of J, (n, n_entries), and the rows where all coefficients are zero."""
        n, probes = len(points), len(self.probes)
        flat = np.concatenate([np.zeros((1, self.probes.shape[1])), self.probes])
        found = made.rows(np.repeat(points, probes + 1, axis=0), np.tile(flat, (n, 1)))
        found = found.reshape(n, probes + 1, -1)
        found[:, :, self.effective :] *= -1.0  # a residual is the coefficient minus its mean
        base = found[:, 0]
        jacobian = np.broadcast_to(self.fixed, (n, len(self.fixed))).copy()
        for k, (rows, places) in enumerate(zip(self.rows, self.places, strict=True)):
            jacobian[:, places] += found[:, k + 1, rows] - base[:, rows]
        return jacobian, base.copy()

    def verify(self, made: ScaleMap, points: Array, flat: Array) -> None:
        """Compare with the expressions themselves.

        Raises
        ------
        ArithmeticError
            If they are not what was found.
        """
        jacobian, base = self(made, points)
        want = made.rows(points, flat)
        want[:, self.effective :] = flat[:, self._own()] - want[:, self.effective :]
        for entries, start, row, at in zip(jacobian, base, want, flat, strict=True):
            matrix = csr_array((entries, self.pattern.indices, self.pattern.indptr))
            matrix.resize(self.pattern.shape)
            have, scale = start + matrix @ at, 1.0 + np.abs(start) + np.abs(matrix) @ np.abs(at)
            if not np.all(np.abs(have - row) <= 1e-7 * scale):
                raise ArithmeticError("the effective coefficients are not affine at these scales")

    def _own(self) -> Array:
        return np.asarray(self.pattern.indices[self.fixed == 1.0])


def affine_map(made: ScaleMap, shapes: Mapping[str, tuple[int, ...]]) -> AffineMap:
    """Return which coefficients each row reads.

    Raises
    ------
    ArithmeticError
        If an array has too many elements of which rows read several.
    """
    points = made.starts
    size = sum(int(np.prod(s)) for s in shapes.values())
    points = points[[0, len(points) - 1]]
    zero = made.rows(points, np.zeros((2, size)))
    with_prior = [n for n, has in zip(shapes, made._which[1], strict=True) if has]
    effective = zero.shape[1] - sum(int(np.prod(shapes[n])) for n in with_prior)

    def slopes(flat: Array) -> Array:
        return made.rows(points, np.stack([flat, flat])) - zero

    probes: list[Array] = []
    rows: list[Array] = []
    columns: list[Array] = []
    start = 0
    own: list[Array] = []
    for name, shape in shapes.items():
        length = int(np.prod(shape))
        place = np.arange(start, start + length)
        start += length
        if name in with_prior:
            own.append(place)
        ways = slices_of(shape) if length > 4 else []
        found = next((f for way in ways if (f := _slices(slopes, size, place, way))), None)
        if found is None:
            if length > MOST:
                raise ArithmeticError(f"{name!r} has {length} elements that are not read apart")
            found = [_single(slopes, size, int(i)) for i in place]
        for probe, row, column in found:
            free = (k for k, taken in enumerate(rows) if not np.intersect1d(taken, row).size)
            k = next(free, len(rows))
            if k == len(rows):
                probes.append(np.zeros(size))
                rows.append(np.zeros(0, np.int64))
                columns.append(np.zeros(0, np.int64))
            probes[k] = probes[k] + probe  # no row is moved by both
            rows[k] = np.concatenate([rows[k], row])
            columns[k] = np.concatenate([columns[k], column])
    own_columns = np.concatenate([np.zeros(0, np.int64), *own])
    own_rows = effective + np.arange(len(own_columns))
    shape_of = zero.shape[1], size
    i = np.concatenate([own_rows, *rows])
    j = np.concatenate([own_columns, *columns])
    pattern = csr_array((np.ones(len(i)), (i, j)), shape=shape_of)
    pattern.sort_indices()
    keys = np.repeat(np.arange(shape_of[0]), np.diff(pattern.indptr)) * size + pattern.indices
    places = [np.searchsorted(keys, r * size + c) for r, c in zip(rows, columns, strict=True)]
    fixed = np.zeros(pattern.nnz)
    fixed[np.searchsorted(keys, own_rows * size + own_columns)] = 1.0
    stacked = np.stack(probes) if probes else np.zeros((0, size))
    result = AffineMap(pattern, stacked, rows, places, effective, fixed)
    result.verify(made, points, np.random.default_rng(22).normal(size=(2, size)))
    return result


def _slices(
    slopes: Callable[[Array], Array], size: int, place: Array, way: Sequence[Array]
) -> list[tuple[Array, Array, Array]] | None:
    """Return probe, rows and columns of each slice of an array, if rows read one of each."""
    out = []
    for one in way:
        near = one_of(lambda flat: slopes(flat)[0], size, place[one])
        far = one_of(lambda flat: slopes(flat)[1], size, place[one])
        if near is None or far is None:
            return None
        (first, a), (second, b) = near, far
        if np.any((first != second) & (a != 0) & (b != 0)):
            return None
        seen = np.flatnonzero((a != 0) | (b != 0))
        probe = np.zeros(size)
        probe[place[one]] = 1.0
        out.append((probe, seen, np.where(a != 0, first, second)[seen]))
    return out


def _single(slopes: Callable[[Array], Array], size: int, i: int) -> tuple[Array, Array, Array]:
    probe = np.zeros(size)
    probe[i] = 1.0
    seen = np.flatnonzero(np.any(slopes(probe) != 0, axis=0))
    return probe, seen, np.full(len(seen), i)
