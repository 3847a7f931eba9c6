"""The blocks of a posterior whose forests are drawn apart from all others: one equation each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.inference.forests import backfitting, separable
from bayescausal.inference.forests.linear_forests import NORMAL, linear_forests
from bayescausal.inference.marginalize.empty_outcomes import filled, unread
from bayescausal.model.forests.stamp import forests_in
from bayescausal.model.names import Joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["ApartForests", "draw_linear", "without_empty"]


class ApartForests(NamedTuple):
    """What was drawn apart."""

    arrays: dict[str, Array]  # (chain, draw, ...)
    methods: dict[str, str]
    outcomes: tuple[str, ...]  # of the equations that were drawn
    rest: tuple[tuple[Block, str], ...]  # blocks of another form, and why they are
    seen: dict[str, Array]  # (chain, draw, row) Values of the forests at some rows


def without_empty(structure: Structure, conformed: Conformed) -> tuple[Conformed, dict[str, Array]]:
    """Leave out the empty cells of the outcomes whose forests are drawn apart.

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
    held = [linear_forests(structure, tried, b) for b, _ in plan.rest if forests & {*b.unknowns}]
    rows = {
        f.outcome: rows[f.outcome] for f in held if not isinstance(f, str) and f.outcome in rows
    }
    return filled(conformed, rows), rows


def draw_linear(
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
) -> ApartForests:
    """Draw the blocks with forests in an equation of independent rows, linear in them.

    - `blocks`: those that have no closed form, and why.
    - `rows` (bool): of outcomes with empty cells, which rows are seen.
    """
    forests = set(forests_in(structure))
    out = ApartForests({}, {}, (), (), {})
    for block, reason in blocks:
        mine = forests & set(block.unknowns)
        form = linear_forests(structure, conformed, block) if mine else reason
        if not isinstance(form, str) and form.noise is not None and not backfitting.has_engine():
            form = "its scale differs between rows, which is drawn with stochtree"
        if isinstance(form, str):
            out = out._replace(rest=(*out.rest, (block, form)))
            continue
        if form.outcome in rows:
            form = form.seen(rows[form.outcome])
        own = [seed, crc32(form.outcome.encode())]
        options: dict[str, Any] = {"draws": draws, "chains": chains, "tune": tune, "cores": cores}
        if form.family == NORMAL and backfitting.has_engine():
            (found, seen), method = (
                backfitting.backfit(form, seed=own, **options),
                backfitting.METHOD,
            )
        else:
            (found, seen), method = (
                separable.draw_separable(form, seed=own, **options),
                separable.METHOD,
            )
        out = ApartForests(
            {**out.arrays, **found},
            {**out.methods, Joined(found): method},
            (*out.outcomes, form.outcome),
            out.rest,
            {**out.seen, **seen},
        )
    return out
