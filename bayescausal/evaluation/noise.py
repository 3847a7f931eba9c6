"""Noise that is a function of (seed, variable, draw, unit), and of nothing else.

Two worlds can be compared unit by unit only if they share their noise, and two estimands only
if they share it as well. A random generator that is consumed in order cannot promise that: the
value would depend on what was drawn before. Here every value has an *address*. A counter-based
generator (Philox [1]_) is keyed by the seed and the variable's name; the words of its counter
hold the inner replicate, the posterior draw and the block of units:

    ``U = generator(key = hash(seed, variable); counter = (replicate, draw, block))``.

Hence the same seed gives the same noise whatever the chunks, the number of worlds, the order of
the nodes, or the other questions asked. Draws, units and variables have independent noise.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy
   as 1, 2, 3", SC'11, 2011.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.random.op import RandomVariable

from bayescausal.evaluation.program import NOWHERE
from bayescausal.model.structure.own_noise import differences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Variable

    from bayescausal.evaluation.builder import Builder

__all__ = ["BLOCK", "FreshNoise", "as_it_was", "noise_of_others", "replicates_per_group"]

#: Units per block of noise; a chunk of units starts at a multiple of it.
BLOCK = 8192


def replicates_per_group(units: int) -> int:
    """Return how many inner replicates share one address, for a number of units.

    Small populations take many replicates at a time, so that setting up the generator does not
    cost more than using it. It depends on the number of units alone.

    Examples
    --------
    >>> replicates_per_group(100_000), replicates_per_group(8)
    (1, 256)
    """
    return int(np.clip(2048 // max(units, 1), 1, 1024))


@dataclass(frozen=True)
class FreshNoise:
    """Draws of exogenous noise by address."""

    seed: int  # one seed for all variables

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
        """Return noise of one variable for a block of posterior draws and units.

        - `base` ("normal", "logistic" or "gumbel"): standard distribution of its noise.
        - `draws`: indices of the posterior draws.
        - `group`: index of the group of inner replicates.
        - `replicates`: inner replicates to return, from the first of the group.
        - `shape`: shape of the noise for one replicate, for the units asked for.
        - `along`: the axis of `shape` that is cut into blocks of units; None for no unit axis.
        - `start`: the first unit along that axis, a multiple of ``BLOCK``.
        """
        axis = 0 if along is None else along
        moved = shape if along is None else (shape[axis], *shape[:axis], *shape[axis + 1 :])
        out = np.empty((len(draws), replicates, *moved))
        bits = np.random.Philox(key=_key(self.seed, variable, base))
        generator = np.random.Generator(bits)
        state = bits.state
        counter = state["state"]["counter"]
        length = moved[0] if along is not None else 0
        edges = range(0, max(length, 1), BLOCK)
        for row, draw in enumerate(draws):
            for lo in edges:
                counter[:] = (0, (start + lo) // BLOCK, int(draw), group)
                state["buffer_pos"], state["has_uint32"] = 4, 0
                bits.state = state
                if along is None or length <= BLOCK:
                    out[row] = _standard(generator, base, out.shape[1:])
                else:
                    hi = min(lo + BLOCK, length)
                    block = (replicates, hi - lo, *moved[1:])
                    out[row, :, lo:hi] = _standard(generator, base, block)
        return out if along in (None, 0) else np.moveaxis(out, 2, 2 + axis)


def _standard(generator: np.random.Generator, base: str, shape: tuple[int, ...]) -> np.ndarray:
    if base == "normal":
        return generator.standard_normal(shape)
    if base == "logistic":
        return generator.logistic(size=shape)
    if base == "gumbel":
        return generator.gumbel(size=shape)
    raise ValueError(f"unknown base noise {base!r}")


def _key(seed: int, variable: str, base: str) -> int:
    text = f"{seed}\x1f{base}\x1f{variable}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")


def noise_of_others(
    builder: Builder, expressions: Sequence[Variable], world: str, equation: str
) -> dict[Variable, Variable]:
    """Return what stands for the noise of other variables that an equation reads.

    It is the variable minus its own mean, before anything is set: see
    :mod:`bayescausal.model.structure.own_noise`.
    """
    found: dict[Variable, Variable] = {}
    for each in builder.structure.noise_readers:
        if equation not in (each.equation, *builder.structure.deterministics):
            continue
        variable = builder.structure.variable(each.of)
        for spot, mean in differences(expressions, variable, each.means).items():
            [own] = builder.substitute([mean], world, inside=mean in builder.named)
            found[spot] = builder.natural(each.of, world) - own
    return found


def as_it_was(builder: Builder, name: str, value: Variable, world: str) -> Variable:
    """Return the unit's own value where its equation is what it was: consistency.

    Noise that was found from a value gives it back to nine digits, not to the last one, and a
    threshold at the value itself would see the difference.
    """
    rv = builder.structure.variable(name)
    op = rv.owner.op
    if not isinstance(op, RandomVariable) or any([op.ndim_supp, *op.ndims_params]):
        return value
    parts = op.dist_params(rv.owner)
    now, then = (builder.substitute(parts, w, of=name) for w in (world, NOWHERE))
    same = reduce(pt.and_, map(pt.eq, now, then))
    return pt.switch(same, builder.kept(name), value)
