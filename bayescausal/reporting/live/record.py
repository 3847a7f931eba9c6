"""What the script of a page is given: answers that can be moved, as plain data of bounded size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bayescausal.draws.digits import decimals, significant
from bayescausal.effects.estimands.functionals import Mean
from bayescausal.effects.words.intervention import upper_first
from bayescausal.reporting.live.levels import number_cell
from bayescausal.reporting.live.sliders import Moved, moved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.effects.effect import Effect
    from bayescausal.inference.record import Fit

__all__ = ["MOST_BYTES", "effect_record", "size_of"]

#: Draws that a page holds in all, and at most and at least of each number.
MOST_DRAWS, DRAWS, FEWEST = 40_000, 400, 20
#: Bytes of all answers of a page together.
MOST_BYTES = 1_000_000


def effect_record(
    fit: Fit,
    effect: Effect,
    rope: tuple[float, float] | None,
    share: int,
    levels: Sequence[float | str] | None = None,
    subgroups: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Return one answer as the script moves it; None where it has more cells than can be chosen.

    ``share``: how many answers share the draws that a page may hold.
    """
    try:
        found = moved(fit, effect, levels, subgroups, seed)
    except Exception as error:  # an extra must not take the report with it
        if effect.dims:
            return None
        why = f"Other levels were not computed: {type(error).__name__}: {error}"
        found = Moved([""], [""], {(0, 0): effect.draws}, notes=[why])
    if found is None:
        return None
    count = effect.draws.sizes["chain"] * effect.draws.sizes["draw"]
    most = MOST_DRAWS // share
    cells = max(1, sum(d is not None for d in found.draws.values()))
    if cells * FEWEST > most and not effect.dims:
        told = f"{cells} answers are more than a page may hold: only that to the question is here."
        found, cells = Moved([""], found.groups[:1], {(0, 0): effect.draws}, notes=[told]), 1
    if cells * FEWEST > most:
        return None
    kept = min(count, DRAWS, most // cells)
    while size_of([record := _record(found, effect, rope, kept, count)]) > MOST_BYTES // share:
        if kept == 0:  # what is left are labels and notes
            return None
        kept //= 2
    return record


def _record(
    found: Moved, effect: Effect, rope: tuple[float, float] | None, kept: int, count: int
) -> dict[str, Any]:
    """Return an answer as the script reads it, with `kept` draws of each cell."""
    return {
        "label": effect.label,
        "labels": found.labels,
        "world": _world(effect),
        "treatment": found.treatment,
        "levels": found.levels,
        "groups": found.groups,
        "at": list(found.asked),
        "null": effect.null,
        "rope": None if rope is None else list(rope),
        "cells": _cells(found, effect, kept),
        "notes": [*_kept_words(kept, count), *found.notes],
        "step": _step(effect),
    }


def size_of(records: Sequence[dict[str, Any]]) -> int:
    """Return how many bytes of a page the records take."""
    return sum(len(json.dumps(record, ensure_ascii=False).encode()) for record in records)


# --------------------------------------------------------------------------- private


def _cells(found: Moved, effect: Effect, kept: int) -> list[list[dict[str, Any] | None]]:
    """Return the numbers by group and level."""
    rows: list[list[dict[str, Any] | None]] = []
    for j in range(len(found.groups)):
        row: list[dict[str, Any] | None] = []
        for i in range(len(found.levels)):
            draws = found.draws.get((i, j))
            cell = None if draws is None else number_cell(draws, effect.null, kept)
            if (i, j) in found.expected:
                expected = number_cell(found.expected[i, j], None)
                cell = {**(cell or {}), "x": expected}
            row.append(cell)
        rows.append(row)
    return rows


def _kept_words(kept: int, count: int) -> list[str]:
    """Say which draws the page holds, and how exact what comes of them is."""
    whole = "Means and intervals are those of all draws."
    if kept >= count:
        return [f"{whole} Probabilities and the picture are those of all {count:,} draws too."]
    return [
        f"{whole} Probabilities and the picture come from {kept:,} of {count:,} draws, evenly "
        f"spaced in rank: a probability is within {significant(1 / kept, 2)} of that of all draws."
    ]


def _world(effect: Effect) -> str:
    """Return what is known of the outcome in one world."""
    asked: Any = effect.estimand
    functional = getattr(asked, "functional", None)
    if functional is None or isinstance(functional, Mean):
        return f"Expected {getattr(asked, 'outcome_name', 'outcome')}"
    return upper_first(functional.words(asked.outcome_name))


def _step(effect: Effect) -> float:
    """Return the step of the threshold: a round number, a tenth of the spread or less."""
    spread = float(effect.draws.std())
    places = decimals(spread)
    return 0.01 if places is None else 10.0**-places
