"""The blocks of a posterior whose forests are drawn by backfitting, apart from all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from bayescausal.inference.forests.backfitting import METHOD, backfit
from bayescausal.inference.forests.gaussian import gaussian_forests
from bayescausal.model.forests.stamp import forests_in
from bayescausal.model.names import Joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["NormalForests", "draw_normal"]


class NormalForests(NamedTuple):
    """What was drawn by backfitting.

    Attributes
    ----------
    arrays : dict of str to ndarray, shape (chain, draw, ...)
    methods : dict of str to str
    outcomes : tuple of str
        Of the equations that were drawn.
    rest : tuple of (Block, str)
        Blocks of another form, and why they are.
    seen : dict of str to ndarray, shape (chain, draw, row)
        Values of the forests at some rows.
    """

    arrays: dict[str, Array]
    methods: dict[str, str]
    outcomes: tuple[str, ...]
    rest: tuple[tuple[Block, str], ...]
    seen: dict[str, Array]


def draw_normal(
    structure: Structure,
    conformed: Conformed,
    blocks: Sequence[tuple[Block, str]],
    rows: Mapping[str, Array],
    *,
    draws: int,
    chains: int,
    seed: int,
    tune: int | None,
    cores: int | None,
) -> NormalForests:
    """Draw the blocks with forests in a Normal equation.

    Parameters
    ----------
    blocks : sequence of (Block, str)
        Those that have no closed form, and why.
    rows : mapping of str to ndarray of bool
        Of outcomes with empty cells, which rows are seen.
    """
    forests = set(forests_in(structure))
    out = NormalForests({}, {}, (), (), {})
    for block, reason in blocks:
        mine = forests & set(block.unknowns)
        form = gaussian_forests(structure, conformed, block) if mine else reason
        if isinstance(form, str):
            out = out._replace(rest=(*out.rest, (block, form)))
            continue
        if form.outcome in rows:
            form = form.seen(rows[form.outcome])
        own = [seed, crc32(form.outcome.encode())]
        found, seen = backfit(form, draws=draws, chains=chains, seed=own, tune=tune, cores=cores)
        out = NormalForests(
            {**out.arrays, **found},
            {**out.methods, Joined(found): METHOD},
            (*out.outcomes, form.outcome),
            out.rest,
            {**out.seen, **seen},
        )
    return out
