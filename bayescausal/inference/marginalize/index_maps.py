"""Which cell of a latent does every cell of a factor read?

A factor :math:`\\ell` with cells :math:`f` reads a latent with cells :math:`g`. Units do not depend
on each other through the latent if there is a map :math:`m` with
:math:`\\ell_f(z) = \\ell_f(z_{m(f)})` for all :math:`z`. The map is found by evaluation, whatever
the expression looks like:

1. put all cells of :math:`z` in one state after the other; a cell :math:`f` whose value never
   changes reads none;
2. for every bit :math:`b`, put in state 1 the cells :math:`g` whose number has bit :math:`b` set:
   :math:`\\ell_f` then takes its value under state 1 exactly if :math:`m(f)` has the bit;
3. confirm with random states. An equation that mixes units does not pass.

The number of evaluations grows with the logarithm of the number of cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from bayescausal.model.structure.interpreted import PY_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytensor.graph.basic import Variable

__all__ = ["cell_map", "collect"]


def cell_map(
    factor: Variable,
    holes: Sequence[Variable],
    states: np.ndarray,
    shape: tuple[int, ...],
    points: Sequence[Mapping[Variable, Any]],
) -> np.ndarray | None:
    """Find which cell of the latents every cell of a factor reads.

    - `factor`: log-density, cell by cell.
    - `holes`: where the latents go; all of one shape.
    - `states`: joint states, one row each, one column per latent.
    - `shape`: of the latents.
    - `points`: values of the other inputs to try.
    Returns (int): for every cell of the factor the number of a cell of the latents (where it reads
    none its own, or 0); None if some cell reads several, or the factor is nowhere finite.
    """
    names = [v for point in points[:1] for v in point]
    function = pytensor.function([*holes, *names], factor, mode=PY_MODE, on_unused_input="ignore")
    cells = int(np.prod(shape))
    found: np.ndarray | None = None
    seen: np.ndarray | None = None
    rng = np.random.default_rng(0)
    tries = []
    for point in points:

        def at(state: np.ndarray, point: Mapping[Variable, Any] = point) -> np.ndarray:
            arrays = [
                states[state, j].reshape(shape).astype(h.type.dtype) for j, h in enumerate(holes)
            ]
            with np.errstate(all="ignore"):
                return np.asarray(function(*arrays, *[point[v] for v in names]))

        uniform = np.stack([at(np.full(cells, s)) for s in range(len(states))])
        if found is None or seen is None:
            found, seen = np.full(uniform.shape[1:], -1), np.zeros(uniform.shape[1:], bool)
        seen |= np.isfinite(uniform).any(axis=0)
        guess = _decode(at, uniform, cells)
        found = np.where(found < 0, guess, found)
        tries.append((at, uniform))
    if found is None or seen is None or not seen.all():
        return None
    own = np.arange(cells).reshape(shape) if found.shape == shape else 0
    index: np.ndarray = np.where(found < 0, own, found)
    for at, uniform in tries:
        for _ in range(2):
            state = rng.integers(len(states), size=cells)
            expected = np.take_along_axis(uniform, state[index][None], axis=0)[0]
            if not np.allclose(at(state), expected, rtol=1e-9, atol=1e-9, equal_nan=True):
                return None
    return index


def collect(many: Variable, index: np.ndarray, shape: tuple[int, ...], states: int) -> Variable:
    """Add up what the cells of a factor say about each cell of the latents, by joint state."""
    cells = int(np.prod(shape))
    numbers = np.arange(cells).reshape(shape)
    if index.shape == shape and np.array_equal(index, numbers):
        return many
    for axes in _projections(index.shape, shape):
        rest = tuple(i for i in range(index.ndim) if i not in axes)
        view = numbers.reshape(
            [shape[axes.index(i)] if i in axes else 1 for i in range(index.ndim)]
        )
        if np.array_equal(np.broadcast_to(view, index.shape), index):
            return pt.sum(many, axis=tuple(i + 1 for i in rest))
    flat = many.reshape((states, int(np.prod(index.shape))))
    total = pt.inc_subtensor(pt.zeros((states, cells))[:, index.ravel()], flat)
    return total.reshape((states, *shape))


# ------------------------------------------------------------------------------- private


def _decode(at: Callable[[np.ndarray], np.ndarray], uniform: np.ndarray, cells: int) -> np.ndarray:
    """Read the number of the cell that every cell of the factor reads, bit by bit."""
    out = np.full(uniform.shape[1:], -1)
    numbers = np.arange(cells)
    bits = max(1, int(cells - 1).bit_length())
    for s in range(1, len(uniform)):
        with np.errstate(invalid="ignore"):
            gap = np.abs(uniform[s] - uniform[0])
        differs = (gap > 1e-9) & (out < 0)
        if not differs.any():
            continue
        code = np.zeros(uniform.shape[1:], dtype=int)
        for b in range(bits):
            value = at(np.where(numbers >> b & 1, s, 0))
            with np.errstate(invalid="ignore"):
                near = np.abs(value - uniform[s]) < np.abs(value - uniform[0])
            near |= (value == uniform[s]) & (uniform[s] != uniform[0])
            code |= near.astype(int) << b
        out = np.where(differs & (code < cells), code, out)
    return out


def _projections(full: tuple[int, ...], part: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the increasing choices of axes of `full` whose lengths are those of `part`."""
    from itertools import combinations

    return [
        axes
        for axes in combinations(range(len(full)), len(part))
        if tuple(full[i] for i in axes) == part
    ]
