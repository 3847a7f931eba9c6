"""Rows that are affine in the coefficients: which of them each row reads, and how much.

That the effective coefficients are affine was proved by degrees; *which* coefficients each of them
reads is found here by probing at two points, and verified at random ones. A vector of which each
row reads one element (the effect of a group, the step before of a path) needs one probe; a vector
of which rows read neighbours needs as many as there are neighbours. Rows that read no scale are
evaluated once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from bayescausal.inference.closed_forms.design import one_of, slices_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.hierarchies.scale_map import ScaleMap

__all__ = ["AffineMap", "affine_map"]

#: Coefficients of one array of which each is probed, where nothing better will do.
MOST = 512
#: Numbers that are held at a time.
NUMBERS = 4_000_000
#: Numbers of neighbours that rows of a path may read: of a season of as many steps.
STRIDES = (2, 3, 4, 6, 8, 12, 24, 52, 60)


@dataclass(frozen=True, eq=False)
class AffineMap:
    """Rows that are affine in the coefficients: effective ones, then residuals of the priors."""

    pattern: csr_array  # (n_rows, n_coefficients) Where :math:`J` is not zero
    probes: Array  # (n_probes, n_coefficients)
    # rows, places: (int) Rows that each probe moves, and where their entries stand in the pattern.
    rows: list[Array]
    places: list[Array]
    effective: int  # number of rows before the residuals
    fixed: Array  # (n_entries) One where a residual reads its own coefficient
    moving: Array  # (int) Rows that read scales
    # entries, base: (n_rows) J, and the rows where all coefficients are zero, as they are for rows
    # that read none.
    entries: Array
    base: Array

    @property
    def numbers(self) -> int:
        """Numbers that a point takes."""
        size, wide = self.pattern.shape
        return int((len(self.probes) + 2) * (len(self.moving) + wide) + 2 * size + self.pattern.nnz)

    def __call__(self, made: ScaleMap, points: Array) -> tuple[Array, Array]:
        """Return the entries of J, (n, n_entries), and the rows where all coefficients are zero.

        Where none of them reads a scale there is one row for all points.
        """
        n, probes = len(points), len(self.probes)
        if not len(self.moving):
            return self.entries[None], self.base[None]
        flat = np.concatenate([np.zeros((1, self.probes.shape[1])), self.probes])
        parts = made.parts(
            np.repeat(points, probes + 1, axis=0), np.tile(flat, (n, 1)), moving=True
        )
        found = np.concatenate(parts, axis=1).reshape(n, probes + 1, -1)
        found[:, :, self.moving >= self.effective] *= -1.0  # a residual is minus its mean
        base = np.tile(self.base, (n, 1))
        base[:, self.moving] = found[:, 0]
        jacobian = np.tile(self.entries, (n, 1))
        for k, (rows, places) in enumerate(zip(self.rows, self.places, strict=True)):
            jacobian[:, places] = self.fixed[places] + found[:, k + 1, rows] - found[:, 0, rows]
        return jacobian, base

    def verify(self, made: ScaleMap, points: Array, flat: Array) -> None:
        """Compare with the expressions themselves.

        Raises ArithmeticError if they are not what was found.
        """
        found = self(made, points)
        jacobian, base = (np.broadcast_to(v, (len(points), v.shape[1])) for v in found)
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

    Raises ArithmeticError if an array has too many elements of which rows read several.
    """
    points = made.starts
    size = sum(int(np.prod(s)) for s in shapes.values())
    points = points[[0, len(points) - 1]]
    zero = made.rows(points, np.zeros((2, size)))
    effective = zero.shape[1] - sum(int(np.prod(shapes[n])) for n in made.with_prior)

    def slopes(flat: Array) -> Array:
        return made.rows(points, np.stack([flat, flat])) - zero

    probes: list[Array] = []
    rows: list[Array] = []
    columns: list[Array] = []
    taken: list[Array] = []  # of each probe, which rows it moves
    start = 0
    own: list[Array] = []
    for name, shape in shapes.items():
        length = int(np.prod(shape))
        place = np.arange(start, start + length)
        start += length
        if name in made.with_prior:
            own.append(place)
        ways = [*slices_of(shape), *_strides(length)] if length > 4 else []
        found = next((f for way in ways if (f := _slices(slopes, size, place, way))), None)
        if found is None:
            if length > MOST:
                raise ArithmeticError(f"{name!r} has {length} elements that are not read apart")
            found = list(_singles(made, points, zero, place))
        for probe, row, column in found:
            k = next((k for k, moved in enumerate(taken) if not moved[row].any()), len(rows))
            if k == len(rows):
                taken.append(np.zeros(zero.shape[1], dtype=bool))
                probes.append(np.zeros(size))
                rows.append(np.zeros(0, np.int64))
                columns.append(np.zeros(0, np.int64))
            probes[k] = probes[k] + probe  # no row is moved by both
            taken[k][row] = True
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
    result = _evaluated_once(
        made, points[:1], AffineMap(pattern, stacked, rows, places, effective, fixed, *[i] * 3)
    )
    result.verify(made, points, np.random.default_rng(22).normal(size=(2, size)))
    return result


def _evaluated_once(made: ScaleMap, point: Array, whole: AffineMap) -> AffineMap:
    """Return a map that evaluates only the rows that read scales, and only what probes them."""
    count, size = len(whole.probes), whole.probes.shape[1]
    flat = np.concatenate([np.zeros((1, size)), whole.probes])
    parts = made.parts(np.repeat(point, count + 1, axis=0), flat)
    still = np.repeat(made.steady, [v.shape[1] for v in parts])
    found = np.concatenate(parts, axis=1)
    found[:, whole.effective :] *= -1.0  # a residual is the coefficient minus its mean
    entries = whole.fixed.copy()
    rank = np.cumsum(~still) - 1
    probes, rows, places = [], [], []
    for k, (row, place) in enumerate(zip(whole.rows, whole.places, strict=True)):
        entries[place] += found[k + 1, row] - found[0, row]
        own = ~still[row]
        if own.any():
            probes.append(whole.probes[k])
            rows.append(rank[row[own]])
            places.append(place[own])
    return replace(
        whole,
        probes=np.stack(probes) if probes else np.zeros((0, size)),
        rows=rows,
        places=places,
        moving=np.flatnonzero(~still),
        entries=entries,
        base=found[0],
    )


def _strides(length: int) -> list[list[Array]]:
    """Return ways to cut an array of which rows read neighbours: every k-th element."""
    places = np.arange(length)
    return [[places[i::k] for i in range(k)] for k in STRIDES if 2 * k <= length]


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


def _singles(
    made: ScaleMap, points: Array, zero: Array, place: Array
) -> Iterator[tuple[Array, Array, Array]]:
    """Yield probe, rows and columns of each element of an array, many evaluated at once."""
    size = sum(int(np.prod(s)) for s in made.coefficients.values())
    step = max(1, NUMBERS // (2 * zero.shape[1]))
    for part in (place[i : i + step] for i in range(0, len(place), step)):
        flat = np.zeros((len(part), size))
        flat[np.arange(len(part)), part] = 1.0
        found = made.rows(np.tile(points, (len(part), 1)), np.repeat(flat, 2, axis=0))
        moved = np.any(found.reshape(len(part), 2, -1) != zero, axis=1)
        for i, probe, row in zip(part, flat, moved, strict=True):
            seen = np.flatnonzero(row)
            yield probe, seen, np.full(len(seen), i)
