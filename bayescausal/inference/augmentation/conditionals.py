r"""The conditionals of data augmentation: the parameters of an equation given the empty cells.

*Linear equations.* The coefficients are Normal given the noise; the noise lies on a line, and is
moved by slice sampling. Whole rows are added up once.

*Generalised linear equations.* The coefficients are proposed from a Student-t law about the point
to which one step of Newton's method leads from a fixed one, with the curvature there [1]_. It
depends on the cells and not on where the chain stands, so that the acceptance is that of an
independence chain; every so often a random walk is taken instead.

References
----------
.. [1] D. Gamerman, Sampling from the posterior distribution in generalized linear mixed models,
   *Statistics and Computing* 7, 1997.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.augmentation import linear_kernels, row_kernels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.augmentation.equations import Rows
    from bayescausal.inference.closed_forms.linear import LinearBlock, LinearStatistics
    from bayescausal.inference.sampling.generalised import GeneralisedBlock

__all__ = ["Generalised", "Linear", "Torn"]

#: Every how many sweeps a random walk is taken.
WALK = 5
#: Logarithms of shapes between which a prior is tabulated, and at how many points.
SHAPES, POINTS = (-25.0, 25.0), 20_001


class Torn:
    """The torn rows of an equation, laid out for loops."""

    def __init__(self, rows: Rows, places: Mapping[str, Array]) -> None:
        """`places`: where the cells of each column stand among all cells."""
        self.rows, torn = rows, rows.torn
        self.kind = row_kernels.KINDS[torn.family]
        nothing = np.zeros(0), np.zeros((0, torn.x.shape[1]))
        found = [(place, places[n], more, wide) for n, (place, more, wide) in rows.slopes.items()]
        whole = [(np.zeros(0, dtype=int), np.zeros(0, dtype=int), *nothing), *found]
        self.place, self.cell, self.more, self.wide = (
            np.ascontiguousarray(np.concatenate(v)) for v in zip(*whole, strict=True)
        )
        self.own_cell = places[rows.name] if len(rows.own) else np.zeros(0, dtype=int)
        self.base = tuple(np.ascontiguousarray(v) for v in (torn.offset, torn.x, torn.y))

    def fill(self, z: Array) -> tuple[Array, Array, Array]:
        """Return the offset, columns and outcome with cells in them."""
        return linear_kernels.fill(
            z, *self.base, self.place, self.cell, self.more, self.wide, self.rows.own, self.own_cell
        )


class Linear:
    """The parameters of linear equations in one chain."""

    def __init__(
        self,
        part: LinearBlock,
        equations: Sequence[Torn],
        statistics: LinearStatistics,
        start: Array,
        rng: np.random.Generator,
    ) -> None:
        self.part, self.rng, self.equations = part, rng, equations
        self.known = [e.known for e in part.equations]
        total = (statistics + part.prior).fitted()
        self.reference, self.prior = total, part.prior.about(total)
        self.c = start
        self.sums = []
        self.count, square = 0.0, 0.0
        for torn, known in zip(equations, self.known, strict=True):
            rows = torn.rows.whole
            found = linear_kernels.sums(rows.x, rows.y - rows.offset, rows.counts, total)
            self.sums.append(found)
            if not known:
                self.count += len(rows.y) + float((torn.rows.weights > 0).sum())
        self.table, self.start, self.step, self.t = np.zeros((2, 1)), 0.0, 1.0, 0.0
        self.v = 1.0
        if part.scalar is not None:
            about = statistics.about(total)
            square, count = about.square, max(about.count, 1.0)
            table = part.table(square, count)
            self.table = np.stack([table.log_prior, table.log_g])
            self.start, self.step, self.t = table.start, table.step, table.first

    def sweep(self, z: Array) -> list[tuple[Array, Array, Array]]:
        """Draw the coefficients, then the noise, given the cells; return the rows with these."""
        size = len(self.c)
        known = [self.prior.known_gram.copy(), self.prior.known_moment.copy()]
        gram, moment, square = np.zeros((size, size)), np.zeros(size), 0.0
        filled = []
        for torn, is_known, whole in zip(self.equations, self.known, self.sums, strict=True):
            offset, x, y = torn.fill(z)
            filled.append((offset, x, y))
            more = linear_kernels.sums(x, y - offset, torn.rows.weights, self.reference)
            if is_known:
                known[0] += whole[0] + more[0]
                known[1] += whole[1] + more[1]
            else:
                gram, moment = gram + whole[0] + more[0], moment + whole[1] + more[1]
                square += whole[2] + more[2]
        step, self.t, self.v = linear_kernels.linear(
            self.rng, gram, moment, square, self.count, *known, self.t, self.start, self.step,
            self.table,
        )  # fmt: skip
        self.c = self.reference + step
        return filled

    def scales(self) -> list[float]:
        """Return the variance of each equation that is not known by row."""
        return [1.0 if known else self.v for known in self.known]

    def values(self) -> Array:
        """Return the parameters, side by side: of the noise its coordinate."""
        return np.append(self.c, self.t) if self.part.scalar is not None else self.c

    def unpacked(self, values: Array) -> dict[str, Array]:
        """Return parameters by name, of values (size, n)."""
        out = dict(self.part.unflattened(values[:, : len(self.c)]))
        if self.part.scalar is not None:
            assert self.part.line is not None
            out[self.part.scalar] = self.part.line.to_interval(values[:, -1])
        return out


class Generalised:
    """The parameters of a generalised linear equation in one chain."""

    def __init__(
        self,
        part: GeneralisedBlock,
        equations: Sequence[Torn],
        centre: Array,
        start: Array,
        drawn: Mapping[str, Array],
        rng: np.random.Generator,
    ) -> None:
        self.part, self.rng, self.equations = part, rng, equations
        [torn] = equations
        self.whole = torn.rows.whole.merged()
        self.kind, self.power = torn.kind, float(part.form.power)
        self.c, self.count, self.t = start, 0, 0.0
        if part.form.shape is not None:
            assert part.log_prior is not None
            grid = np.linspace(*SHAPES, POINTS)
            self.step = grid[1] - grid[0]
            height = part.log_prior(np.exp(grid)) + grid
            self.log_prior = np.where(np.isfinite(height), height, -1e300)
            self.t = float(np.log(drawn[str(part.form.shape.name)]))
        self.recentre(centre)

    def recentre(self, centre: Array) -> None:
        """Set the point from which Newton's step is made."""
        self.centre = centre
        self.fixed = self._slopes(self._whole(), centre)

    def _whole(self) -> tuple[Array, ...]:
        rows = self.whole
        return rows.offset, rows.x, rows.y, rows.trials, rows.counts

    def _slopes(self, rows: tuple[Array, ...], c: Array) -> tuple[Array, Array]:
        a = float(np.exp(self.t))
        _, gradient, curvature = row_kernels.slopes(self.kind, self.power, *rows, c, a)
        return gradient, curvature

    def sweep(self, z: Array) -> list[tuple[Array, Array, Array]]:
        """Move the coefficients, then the shape, given the cells; return the rows with these."""
        [torn] = self.equations
        offset, x, y = torn.fill(z)
        self.count += 1
        own = torn.rows.torn
        rows = offset, x, y, own.trials, torn.rows.weights
        whole = self._whole()
        free = self.part.form.shape is not None
        fixed = self._slopes(whole, self.centre) if free else self.fixed
        more = self._slopes(rows, self.centre)
        gram, push = self.part.prior.known_gram, self.part.prior.known_moment
        both = tuple(np.concatenate([a, b]) for a, b in zip(whole, rows, strict=True))
        gradient = fixed[0] + more[0] + push - gram @ self.centre
        self.c = row_kernels.coefficients(
            self.rng, self.kind, self.power, *both, self.c, float(np.exp(self.t)), self.centre,
            gradient, fixed[1] + more[1] + gram, gram, push, self.count % WALK == 0,
        )  # fmt: skip
        if free:
            self.t = row_kernels.shape(
                self.rng, self.kind, self.power, *both[:3], both[4], self.c, self.t, SHAPES[0],
                self.step, self.log_prior,
            )  # fmt: skip
        return [(offset, x, y)]

    def scales(self) -> list[float]:
        """Return the shape."""
        return [float(np.exp(self.t))]

    def values(self) -> Array:
        """Return the parameters, side by side: of the shape its logarithm."""
        return np.append(self.c, self.t) if self.part.form.shape is not None else self.c

    def unpacked(self, values: Array) -> dict[str, Array]:
        """Return parameters by name, of values (size, n)."""
        out, start = {}, 0
        for name, shape in self.part.shapes.items():
            stop = start + int(np.prod(shape))
            out[name] = values[:, start:stop].reshape(len(values), *shape)
            start = stop
        if self.part.form.shape is not None:
            out[str(self.part.form.shape.name)] = np.exp(values[:, -1])
        return out


def flat_of(shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, Any]) -> Array:
    """Return coefficients laid out one after the other."""
    parts = [np.asarray(values[n], dtype=float).reshape(-1) for n in shapes]
    return np.concatenate([np.zeros(0), *parts])
