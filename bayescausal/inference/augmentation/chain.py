"""The chains of data augmentation: their starts, their sweeps, and the draws by name.

This module imports numba; import it only inside functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.augmentation.cell_kernels import cells
from bayescausal.inference.augmentation.conditionals import Generalised, Linear, Torn, flat_of
from bayescausal.inference.augmentation.equations import rows_of_part
from bayescausal.inference.augmentation.linear_kernels import predict
from bayescausal.inference.closed_forms.linear import LinearBlock
from bayescausal.inference.conditioning.row_sums import accumulate
from bayescausal.inference.hierarchies.gibbs import CHAINS, SHORTEST, run_until_mixed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.annotations import Array
    from bayescausal.inference.augmentation.equations import Augmented, Rows
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["draw_chains"]

#: Sweeps of the warm-up, and those after which Newton's steps start from somewhere else.
WARM, RECENTRED = 300, (30, 100, 200)
#: Effective draws, and of all draws the share, that are aimed at; the share that is too small.
ENOUGH, SHARE, FLOOR = 2_000.0, 0.5, 0.25
#: How many sweeps a draw takes at most.
LONGEST = 16
#: Draws given the first cells, about which chains start.
FIRST = 100
#: How many times as far from their middle each chain starts as the farthest of them are.
APART = (2.0, 2.0, 8.0, 8.0)


def draw_chains(
    found: Augmented,
    structure: Structure,
    conformed: Conformed,
    size: int,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Return draws by name, (size, ...)."""
    chains = _chains(found, structure, conformed, rng)
    for sweep in range(WARM):
        for chain in chains:
            chain.sweep()
        if sweep in RECENTRED:
            for parts in zip(*(c.parts for c in chains), strict=True):
                _recentre(parts)

    def run(length: int, thin: int) -> tuple[Array, Array]:
        points, cells = zip(*(c.run(length, thin) for c in chains), strict=True)
        return np.stack(points), np.stack(cells)

    wanted = -(-size // CHAINS)
    length = max(wanted, SHORTEST)
    points, cells = run_until_mixed(
        run, length, enough=ENOUGH, share=SHARE, floor=FLOOR, longest=LONGEST
    )
    some = np.linspace(0, length - 1, wanted).astype(int)
    points, cells = (v[:, some].reshape(-1, v.shape[2])[:size] for v in (points, cells))
    out: dict[str, Array] = {}
    start = 0
    for part in chains[0].parts:
        stop = start + len(part.values())
        out |= part.unpacked(points[:, start:stop])
        start = stop
    for name, place in chains[0].places.items():
        out[f"{name}_unobserved"] = cells[:, place]
    return out


def _chains(
    found: Augmented, structure: Structure, conformed: Conformed, rng: np.random.Generator
) -> list[_Chain]:
    """Return chains that start apart: from other cells, and from draws given these."""
    made = [rows_of_part(p, structure, conformed, found) for p in found.parts]
    starts = []
    for _ in range(CHAINS):
        columns, cells = dict(conformed.columns), {}
        for n in found.holes:
            empty = conformed.missing[n]
            seen = np.asarray(columns[n], dtype=float)[~empty]
            cells[n] = rng.choice(seen, int(empty.sum()))
            columns[n] = np.where(empty, 0.0, columns[n])
            columns[n][empty] = cells[n]
        starts.append((columns, cells))
    fits = []
    for part in found.parts:
        statistics = accumulate(part, structure, starts[0][0])
        key = [int(rng.integers(2**31))]
        fits.append((statistics, part.draw(statistics, FIRST, key) if part.names else {}))
    return [
        _Chain(found, made, fits, cells, i, rng.spawn(1)[0]) for i, (_, cells) in enumerate(starts)
    ]


class _Chain:
    """One chain."""

    def __init__(
        self,
        found: Augmented,
        made: list[list[Rows]],
        fits: list[tuple[Any, dict[str, Array]]],
        cells: dict[str, Array],
        which: int,
        rng: np.random.Generator,
    ) -> None:
        self.rng, start = rng, 0
        self.places: dict[str, Array] = {}
        for n, v in cells.items():
            self.places[n] = np.arange(start, start + len(v))
            start += len(v)
        self.z = np.concatenate([*cells.values()])
        self.parts: list[Linear | Generalised] = []
        for part, rows, (statistics, drawn) in zip(found.parts, made, fits, strict=True):
            torn = [Torn(r, self.places) for r in rows]
            every = [flat_of(part.shapes, _at(drawn, i)) for i in range(FIRST if drawn else 1)]
            centre = np.mean(every, axis=0)
            far = centre + APART[which] * (_end(np.array(every), which) - centre)
            if isinstance(part, LinearBlock):
                self.parts.append(Linear(part, torn, statistics, far, rng))
            else:
                self.parts.append(Generalised(part, torn, centre, far, _at(drawn, which), rng))
        self._lay_out(found.loose)
        self._move([t.fill(self.z) for p in self.parts for t in p.equations])

    def _lay_out(self, loose: list[str]) -> None:
        """Lay the torn rows of all equations one after the other."""
        every = [t for p in self.parts for t in p.equations]
        ends = np.cumsum([0, *(len(t.base[2]) for t in every)])
        size = len(self.z)
        own = np.zeros(size, dtype=int), np.zeros(size, dtype=int)
        for k, torn in enumerate(every):
            own[0][torn.own_cell], own[1][torn.own_cell] = ends[k] + torn.rows.own, k
        cell = np.concatenate([t.cell for t in every])
        entries = np.argsort(cell, kind="stable")
        first = np.searchsorted(cell[entries], np.arange(size + 1))
        row = np.concatenate([ends[k] + t.place for k, t in enumerate(every)])
        last = [self.places[n] for n in self.places if n in loose]
        order = np.concatenate([*(v for n, v in self.places.items() if n not in loose), *last])
        self.fixed = order, *own, first, entries, row
        self.rows = (
            np.concatenate([t.rows.torn.trials for t in every]),
            np.concatenate([t.rows.weights for t in every]),
            np.concatenate([t.rows.torn.counts for t in every]),
            np.repeat(np.arange(len(every)), np.diff(ends)),
            np.array([t.kind for t in every]),
            np.array([float(t.rows.torn.power) for t in every]),
        )

    def sweep(self) -> tuple[Array, Array]:
        """Move once; return parameters and cells."""
        self._move([rows for part in self.parts for rows in part.sweep(self.z)])
        return np.concatenate([p.values() for p in self.parts]), self.z.copy()

    def _move(self, filled: list[tuple[Array, Array, Array]]) -> None:
        """Move the cells given the parameters: `filled` are the torn rows of each equation."""
        rows = iter(filled)
        eta, unit, y, scales = [], [], [], []
        for part in self.parts:
            for torn in part.equations:
                offset, x, values = next(rows)
                found = predict(offset, x, torn.more, torn.wide, part.c)
                eta.append(found[0])
                unit.append(found[1])
                y.append(values)
            scales += part.scales()
        cells(
            self.rng, self.z, *self.fixed, np.concatenate(unit), np.concatenate(eta),
            np.concatenate(y), *self.rows, np.array(scales),
        )  # fmt: skip

    def run(self, length: int, thin: int) -> tuple[Array, Array]:
        """Return every so many-th of the next states, (draw, ...)."""
        states = []
        for _ in range(length):
            for _ in range(thin - 1):
                self.sweep()
            states.append(self.sweep())
        points, cells = zip(*states, strict=True)
        return np.stack(points), np.stack(cells)


def _end(draws: Array, which: int) -> Array:
    """Return a draw at one end, of each two chains at both, of some direction."""
    width = draws.std(axis=0) + 1e-300
    direction = np.random.default_rng(which // 2).standard_normal(draws.shape[1]) / width
    along = draws @ direction
    return np.asarray(draws[along.argmax() if which % 2 else along.argmin()])


def _at(values: Mapping[str, Array], which: int) -> dict[str, Array]:
    return {n: v[which] for n, v in values.items()}


def _recentre(parts: tuple[Linear | Generalised, ...]) -> None:
    """Let Newton's steps of all chains start from the middle of where they are."""
    generalised = [p for p in parts if isinstance(p, Generalised)]
    if generalised:
        centre = np.mean([p.c for p in generalised], axis=0)
        for p in generalised:
            p.recentre(centre)
