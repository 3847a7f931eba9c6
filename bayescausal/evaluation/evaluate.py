"""Running a program over posterior draws, inner replicates and units, in chunks.

Nothing here grows with draws x units: a block of a few draws and a few thousand units is
evaluated at a time, small enough to stay in the processor's caches, and handed to the caller,
who reduces it. Units are cut along the first unit dim only, and only where no equation that
takes part mixes units along it; noise, being addressed, does not notice.

Small populations are evaluated with several *inner replicates* of their noise per posterior
draw, the batch axis being draws x replicates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bayescausal.evaluation.noise import BLOCK, FreshNoise, replicates_per_group
from bayescausal.model.structure.function_graph import dim_sizes
from bayescausal.model.structure.function_graph import evaluate as number_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayescausal.annotations import Array
    from bayescausal.evaluation.program import Input, Program
    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "Block",
    "NoiseSource",
    "Task",
    "Units",
    "argument",
    "block_of",
    "count_tasks",
    "evaluate",
    "fresh_units",
    "tasks",
    "units_of",
]

#: Elements of one array in a block: 1.2 MB in double precision. Measured from 25,000 to 250,000:
#: below, steps of the interpreter weigh more than the nearest cache saves.
CHUNK = 150_000


@dataclass(frozen=True, eq=False)
class Units:
    """The units that are asked about, and what is known of them."""

    structure: Structure
    sizes: Mapping[str, int]  # lengths of the unit dims
    coords: Mapping[str, Any]  # their labels
    fit: Fit  # where parameters, latents and data come from
    # Values that take the place of the fit's (the units of another table).
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    # Values that differ between draws and take the place of the fit's, draws first.
    latents: Mapping[str, np.ndarray] = field(default_factory=dict)
    # (int) Positions of these units along the first unit dim of the fit; None for all of them.
    rows: np.ndarray | None = None
    fresh: bool = False  # whether these are new units, of which nothing is known

    @property
    def count(self) -> int:
        """Number of units, all unit dims multiplied."""
        return int(np.prod([self.sizes[d] for d in self.structure.unit_dims], dtype=np.int64))

    def varies(self, name: str) -> bool:
        """Whether a kept value differs between draws."""
        return name in self.latents or (name not in self.columns and self.fit.varies(name))

    def value(self, name: str, draws: slice) -> np.ndarray:
        """Return the kept value of a variable, draws first where it varies over them."""
        if name in self.latents:
            return self.latents[name][draws]
        if name in self.columns:
            return self.columns[name]
        value = self.fit.value(name, draws)
        first = self.structure.unit_dims[0]
        dims = self.structure.dims.get(name, ())
        if self.rows is None or first not in dims:
            return value
        axis = dims.index(first) + (1 if self.fit.varies(name) else 0)
        return np.take(value, self.rows, axis=axis)


class NoiseSource(Protocol):
    """Whatever can give the noise of one variable for a block."""

    def draw(
        self,
        variable: str,
        base: str,
        draws: Sequence[int] | np.ndarray,
        group: int,
        replicates: int,
        shape: tuple[int, ...],
        *,
        along: int | None = None,
        start: int = 0,
    ) -> np.ndarray:
        """Return noise of shape ``(draws, replicates, *shape)``."""
        ...


@dataclass(frozen=True, eq=False)
class Block:
    """The results of one block."""

    draws: slice  # posterior draws, of the flattened chains
    group: int  # group of inner replicates
    units: slice  # along the first unit dim
    # For each request: ``(draws, replicates, *dims)``, axes of length 1 where it does not vary.
    values: list[np.ndarray]


def units_of(fit: Fit) -> Units | None:
    """Return the units a fit was conditioned on; None where it has no data."""
    if fit.data is None or fit.sizes is None:
        return None
    structure = fit.structure
    sizes = {d: int(fit.sizes[d]) for d in structure.unit_dims}
    return Units(structure, sizes, fit.coords, fit)


def fresh_units(fit: Fit, count: int) -> Units:
    """Return `count` new units of the model, of which nothing is known."""
    structure = fit.structure
    own = dim_sizes(structure.model)
    first = structure.unit_dims[0]
    free = first not in structure.fixed
    sizes = {d: own[d] for d in structure.unit_dims}
    if (free and not structure.mixes().get(first)) or (own[first] <= 1 and free):
        sizes[first] = count
    coords = {d: np.arange(n) for d, n in sizes.items()}
    return Units(structure, sizes, coords, fit, fresh=True)


def evaluate(
    program: Program,
    units: Units,
    draws: Sequence[slice] | slice,
    noise: NoiseSource | FreshNoise,
    *,
    groups: range = range(1),
    replicates: int | None = None,
    whole_units: bool = False,
) -> Iterator[Block]:
    """Evaluate a program block by block.

    - `draws`: the posterior draws, of the flattened chains.
    - `noise`: fresh or abducted.
    - `groups`: groups of inner replicates; one is enough where the program reads no noise.
    - `replicates`: inner replicates per group. Default: as many as suit the number of units.
    - `whole_units`: do not cut the units (for quantiles).
    """
    cutting: dict[str, Any] = {"replicates": replicates, "whole_units": whole_units}
    for task in tasks(program, units, draws, groups=groups, **cutting):
        yield block_of(program, units, task, noise)


@dataclass(frozen=True, eq=False)
class Task:
    """One block that is to be evaluated."""

    rows: range  # posterior draws, of the flattened chains
    # group, inner: group of inner replicates, and how many.
    group: int
    inner: int
    cut: str | None  # the unit dim that is cut
    window: slice  # along it
    held: dict[str, np.ndarray]  # kept values of these draws, shared by all tasks of the same draws

    @property
    def draws(self) -> slice:
        """The posterior draws as a slice."""
        return slice(self.rows.start, self.rows.stop, self.rows.step)


def tasks(
    program: Program,
    units: Units,
    draws: Sequence[slice] | slice,
    *,
    groups: range = range(1),
    replicates: int | None = None,
    whole_units: bool = False,
) -> Iterator[Task]:
    """Cut the work of :func:`evaluate` into blocks, in its order."""
    inner = 1 if not program.noise else (replicates or replicates_per_group(units.count))
    total = units.fit.n_draws
    cut = None if whole_units else _cut_dim(program, units)
    length = units.sizes[cut] if cut else 1
    step_units, step_draws = _steps(units, cut, inner)
    for piece in [draws] if isinstance(draws, slice) else list(draws):
        rows = range(total)[piece]
        for lo in range(0, len(rows), step_draws):
            held: dict[str, np.ndarray] = {}
            for group in groups:
                for start in range(0, length, step_units):
                    window = slice(start, min(start + step_units, length))
                    yield Task(rows[lo : lo + step_draws], group, inner, cut, window, held)


def count_tasks(
    program: Program,
    units: Units,
    draws: slice,
    *,
    groups: range = range(1),
    replicates: int | None = None,
    whole_units: bool = False,
) -> int:
    """Return how many blocks :func:`tasks` yields, without making them."""
    inner = 1 if not program.noise else (replicates or replicates_per_group(units.count))
    cut = None if whole_units else _cut_dim(program, units)
    step_units, step_draws = _steps(units, cut, inner)
    rows = len(range(units.fit.n_draws)[draws])
    windows = -(-units.sizes[cut] // step_units) if cut else 1
    return -(-rows // step_draws) * len(groups) * windows


def block_of(program: Program, units: Units, task: Task, noise: NoiseSource | FreshNoise) -> Block:
    """Evaluate one block."""
    t = task
    arguments = [
        argument(i, units, t.rows, t.draws, t.group, t.inner, t.cut, t.window, noise, t.held)
        for i in program.inputs
    ]
    with np.errstate(all="ignore"):
        results = program.call(*arguments)
    return Block(
        draws=t.draws,
        group=t.group,
        units=t.window if t.cut else slice(None),
        values=[
            _unbatch(r, b, len(t.rows), t.inner)
            for r, b in zip(results, program.batched, strict=True)
        ],
    )


# ------------------------------------------------------------------------ private


def _cut_dim(program: Program, units: Units) -> str | None:
    """Return the unit dim along which units may be cut, if they can be evaluated in parts."""
    first = units.structure.unit_dims[0]
    return first if units.structure.parts(first, program.names) else None


def _steps(units: Units, cut: str | None, inner: int) -> tuple[int, int]:
    """Return units and draws per block."""
    length = units.sizes[cut] if cut else 1
    per_unit = max(units.count // max(length, 1), 1)
    step_units = BLOCK if cut and length * per_unit > CHUNK else max(length, 1)
    size = min(step_units, length) * per_unit * inner
    return step_units, max(1, CHUNK // max(size, 1))


def argument(
    item: Input,
    units: Units,
    part: range,
    block: slice,
    group: int,
    inner: int,
    cut: str | None,
    window: slice,
    noise: NoiseSource | None,
    held: dict[str, np.ndarray],
) -> Array:
    """Return one argument of a program for a block of draws, replicates and units."""
    if item.kind == "length":
        full = units.sizes[item.name]
        return np.asarray(window.stop - window.start if item.name == cut else full)
    along = item.dims.index(cut) if cut is not None and cut in item.dims else None
    if item.kind == "noise":
        return _noise(item, units, part, group, inner, along, window, noise)
    if item.kind == "set":
        array = item.array
        return array if along is None else array[_at(along, window)]
    if item.name not in held:
        held[item.name] = units.value(item.name, block)
    array = held[item.name]
    if along is not None:
        array = array[_at(along + (1 if item.batched else 0), window)]
    if item.batched and inner > 1:
        array = np.repeat(array, inner, axis=0)
    return array.astype(item.variable.type.dtype, copy=False)


def _noise(
    item: Input,
    units: Units,
    part: range,
    group: int,
    inner: int,
    along: int | None,
    window: slice,
    noise: NoiseSource | None,
) -> np.ndarray:
    first = units.structure.unit_dims[0]
    blocked = item.dims.index(first) if first in item.dims else None
    shape = []
    for axis, dim in enumerate(item.dims):
        if axis == along:
            shape.append(window.stop - window.start)
        else:
            shape.append(_length(item, axis, dim, units))
    assert noise is not None  # only programs without noise are evaluated without
    drawn = noise.draw(
        item.name,
        item.base,
        part,
        group,
        inner,
        tuple(shape),
        along=blocked,
        start=window.start if along is not None else 0,
    )
    return drawn.reshape(-1, *drawn.shape[2:])


def _length(item: Input, axis: int, dim: str | None, units: Units) -> int:
    if dim is not None and dim in units.sizes:
        return int(units.sizes[dim])
    static = item.variable.type.shape[axis]
    if static is not None:
        return int(static)
    if dim is not None:
        sizes = units.fit.sizes or {}
        return int(sizes[dim] if dim in sizes else dim_sizes(units.structure.model)[dim])
    variable = units.structure.variable(item.name)
    return int(number_of([variable.shape[axis]])[0])


def _at(axis: int, window: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, window)


def _unbatch(result: Array, batched: bool, draws: int, inner: int) -> np.ndarray:
    array = np.asarray(result)
    if not batched:
        return array[None, None]
    if array.shape[0] == 1 and draws * inner > 1:
        return array[None]
    return array.reshape(draws, inner, *array.shape[1:])
