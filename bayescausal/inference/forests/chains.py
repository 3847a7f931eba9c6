"""Chains of one equation with forests: run side by side, and put together."""

from __future__ import annotations

import functools
import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from bayescausal.inference.forests.places import ROWS, matched_chains
from bayescausal.inference.sampling.sample import at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.forests.linear_forests import LinearForests

__all__ = ["Chain", "Run", "draw_chains", "seen_rows", "slice_step"]

#: Rows times trees times sweeps from which chains run in processes of their own: some seconds.
LONG = 2e7


class Run(NamedTuple):
    """The draws of one chain."""

    b: Array  # (draw, q) Coefficients
    extra: Array  # (draw, k) The scale or shape, or parameters of the scale
    seen: Array  # (forest, draw, row) Values at some rows, as they were recorded in the sweep
    forests: list[Array]  # (draw, k) Of each forest, packed
    spreads: Array  # (forest, draw) What each is multiplied by


class Chain(Protocol):
    """What draws one chain."""

    def run(self, draws: int, burn: int) -> Run:
        """Return draws after sweeps that are left out."""


def draw_chains(
    make: Callable[[LinearForests, np.random.SeedSequence], Chain],
    form: LinearForests,
    *,
    draws: int,
    burn: int,
    chains: int,
    seed: Sequence[int],
    cores: int | None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Draw the unknowns of an equation.

    Returns:
    - `arrays` (chain, draw, ...): of forests (packed), coefficients and the scale or shape.
    - `seen` (chain, draw, row): the value of each forest at some rows, as it was recorded in the
      sweep.
    """
    held = [make(form, s) for s in np.random.SeedSequence(seed).spawn(chains)]
    work = len(form.y) * sum(s.trees for s in form.shapes) * (draws + burn)
    few = work < LONG or "fork" not in multiprocessing.get_all_start_methods()
    runs = _side_by_side(held, draws, burn, 1 if few else cores or at_once(chains))
    arrays, seen = {}, {}
    for k, name in enumerate(form.forests):
        seen[name] = np.stack([run.seen[k] for run in runs])
        rows = form.x[k][seen_rows(form)]
        arrays[name] = matched_chains([run.forests[k] for run in runs], seen[name], rows, name)
        if (spread := form.spreads[k]) is not None:
            arrays[spread.name] = np.stack([run.spreads[k] for run in runs])
    arrays |= _split(np.stack([run.b for run in runs]), form.names)
    own: dict[str, tuple[int, ...]] = {}
    if form.extra is not None:
        own = {form.extra.name: ()}
    elif form.noise is not None:
        own = form.noise.names
    if own:
        arrays |= _split(np.stack([run.extra for run in runs]), own)
    return arrays, seen


def _split(flat: Array, names: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return parameters that lie side by side along the last axis."""
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in names.values()])
    parts = np.split(flat, ends[:-1], axis=-1) if names else []
    return {
        name: part.reshape(*flat.shape[:-1], *shape)
        for (name, shape), part in zip(names.items(), parts, strict=True)
    }


def seen_rows(form: LinearForests) -> Array:
    """Return the rows at which values are recorded."""
    return np.unique(np.linspace(0, len(form.y) - 1, ROWS).astype(int))


def slice_step(
    density: Callable[[float], float], at: float, width: float, rng: np.random.Generator
) -> float:
    """Return the next state of a slice sampler: step out, shrink."""
    level = density(at) - rng.exponential()
    low = at - width * rng.random()
    high = low + width
    while density(low) > level:
        low -= width
    while density(high) > level:
        high += width
    while True:
        new = rng.uniform(low, high)
        if density(new) > level:
            return float(new)
        low, high = (new, high) if new < at else (low, new)


#: Chains that processes of their own take over, with the memory that they are forked from.
_HELD: list[Callable[[], Run]] = []


def _side_by_side(chains: Sequence[Chain], draws: int, burn: int, cores: int) -> list[Run]:
    """Run chains, several at once where there are several cores."""
    if cores < 2 or len(chains) < 2:
        return [chain.run(draws, burn) for chain in chains]
    _HELD[:] = [functools.partial(chain.run, draws, burn) for chain in chains]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context = multiprocessing.get_context("fork")
            with ProcessPoolExecutor(min(cores, len(chains)), mp_context=context) as pool:
                return list(pool.map(_run, range(len(chains))))
    finally:
        _HELD.clear()


def _run(place: int) -> Run:
    return _HELD[place]()
