"""The blocks of a posterior whose forests are drawn by backfitting, apart from all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.inference.forests.backfitting import METHOD, backfit
from bayescausal.inference.forests.gaussian import gaussian_forests
from bayescausal.inference.marginalize.empty_outcomes import filled, unread
from bayescausal.model.forests.stamp import forests_in
from bayescausal.model.names import Joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["NormalForests", "draw_normal", "without_empty"]


class NormalForests(NamedTuple):
    """What was drawn by backfitting."""

    arrays: dict[str, Array]  # (chain, draw, ...)
    methods: dict[str, str]
    outcomes: tuple[str, ...]  # of the equations that were drawn
    rest: tuple[tuple[Block, str], ...]  # blocks of another form, and why they are
    seen: dict[str, Array]  # (chain, draw, row) Values of the forests at some rows


def without_empty(structure: Structure, conformed: Conformed) -> tuple[Conformed, dict[str, Array]]:
    """Leave out the empty cells of the outcomes whose forests are drawn by backfitting.

    Returns:
    - `conformed`: with a value that was seen in those cells, which nothing reads.
    - `rows` (bool): of each of these outcomes, where it is seen.
    """
    rows = {n: ~conformed.missing[n] for n in unread(structure, conformed)}
    if not rows:
        return conformed, {}
    tried = filled(conformed, rows)
    plan = make_plan(structure, set(tried.columns), set(tried.missing), tried.sizes)
    forests = set(forests_in(structure))
    held = [gaussian_forests(structure, tried, b) for b, _ in plan.rest if forests & {*b.unknowns}]
    rows = {
        f.outcome: rows[f.outcome] for f in held if not isinstance(f, str) and f.outcome in rows
    }
    return filled(conformed, rows), rows


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

    - `blocks`: those that have no closed form, and why.
    - `rows` (bool): of outcomes with empty cells, which rows are seen.
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
