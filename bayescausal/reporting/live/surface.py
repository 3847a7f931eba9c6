"""What would change the answer: the surface of a hidden confounder, cell by cell."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.draws.digits import level_text, numbers, significant
from bayescausal.reporting.live.levels import number_cell
from bayescausal.sensitivity.confounding.hidden_record import HiddenConfounder, worst_sign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.reporting.contents.trust import Outcome

__all__ = ["hidden_of", "surface_record"]

#: Strengths of a grid that are offered; a larger grid is left to its table.
MOST_CELLS = 150


def hidden_of(outcomes: Sequence[Outcome]) -> HiddenConfounder | None:
    """Return the first check that asked about a hidden confounder, if any."""
    found = [o.record for o in outcomes if isinstance(o.record, HiddenConfounder)]
    return found[0] if found else None


def surface_record(found: HiddenConfounder) -> dict[str, Any] | None:
    """Return the surface as the script shows it: for each pair of strengths the answer."""
    gammas, deltas = (found.surface[n].values.tolist() for n in ("gamma", "delta"))
    if len(gammas) * len(deltas) > MOST_CELLS:
        return None
    cells: list[list[dict[str, Any]]] = [[{} for _ in deltas] for _ in gammas]
    for i, j in product(range(len(gammas)), range(len(deltas))):
        none = gammas[i] == 0 and deltas[j] == 0
        draws = found.effect.draws if none else found.draws.isel(gamma=i, delta=j)
        cell = number_cell(draws, found.null)
        beyond = float((draws > found.null).mean())
        cells[i][j] = cell | {
            "p": round(beyond, 3),
            "ok": bool(found.surface["allowed"].values[i, j]),
        }
    where = found.confounder
    return {
        "treatment": where.treatment,
        "outcome": where.outcome,
        "gammas": [level_text(round(g, 6)) for g in gammas],
        "deltas": [level_text(round(d, 6)) for d in deltas],
        "at": [gammas.index(0.0), deltas.index(0.0)],
        "null": found.null,
        "cells": cells,
        "benchmarks": _benchmarks(found),
        "notes": list(found.notes),
        "draws": int(found.draws.sizes["chain"] * found.draws.sizes["draw"]),
    }


# --------------------------------------------------------------------------- private


def _benchmarks(found: HiddenConfounder) -> list[dict[str, Any]]:
    """Return the covariates to compare a confounder with, and the answer at their strength."""
    sd, sign = found.confounder.sd, worst_sign(found.surface, found.null)
    spread = float(found.effect.sd())
    listed = []
    for name, row in found.benchmarks.iterrows():
        ends = [float(row[n]) for n in ("mean", "lower", "upper")]
        text = "the data rule out a hidden confounder as strong as it"
        if all(np.isfinite(ends)):
            mean, low, high = numbers(spread, *ends, ends=True, apart=[found.null])
            text = f"{mean} [{low}, {high}] ({100 * found.prob:g}% HDI)"
        listed.append(
            {
                "name": str(name),
                "g": significant(abs(row["on_treatment"]) / sd, 2),
                "d": significant(sign * abs(row["on_outcome"]) / sd, 2),
                "text": text,
            }
        )
    return listed
