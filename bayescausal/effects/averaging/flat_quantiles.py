"""Quantiles where the distribution function is flat: at the edge of an atom.

Where ``P(Y <= k)`` is exactly q, the q-quantile is k, but a sample says k or the next value, half
the time each, however many draws it has: its variance does not fall with their number. That is how
it is recognised (four times the draws, the same variance). Where the probability of each value is
known exactly the quantile is taken from it; otherwise it is said between which values it lies, and
no work is spent on what draws do not settle.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.averaging.count_quantiles import ROUNDING
from bayescausal.effects.estimands.functionals import Probability

if TYPE_CHECKING:
    from bayescausal.effects.averaging.blocks import Reduction
    from bayescausal.effects.evaluation.inner_draws import Run

__all__ = ["flat_note", "settled"]

#: Values whose probability is looked at; each is compiled.
VALUES = 12


def settled(run: Run, reduction: Reduction) -> Reduction | None:
    """Return quantiles from exact probabilities; None where there are none."""
    seen = np.unique(reduction.batches[np.isfinite(reduction.batches)])
    if not seen.size or np.any(seen != np.round(seen)) or seen.size > VALUES:
        return None
    q = run.question.estimand.functional.q  # type: ignore[attr-defined]
    total = np.full(reduction.total.shape, np.nan)
    for value in [seen[0] - 1, *seen]:
        below = _probability(run, float(value))
        if below is None:
            return None
        total = np.where(np.isnan(total) & (below >= q * (1 - ROUNDING)), value, total)
        if not np.isnan(total).any():
            break
    if np.isnan(total).any() or np.any(total < seen[0]):
        return None  # beyond what was seen: left to the draws
    return replace(reduction, total=total, batches=total[:, :, None])


def flat_note(run: Run, reduction: Reduction) -> str:
    """Say that draws do not settle a quantile, and between which values it lies."""
    question: Any = run.question
    q, seen = question.estimand.functional.q, reduction.batches
    gap = np.nanmax(seen, axis=2) - np.nanmin(seen, axis=2)
    at = np.unravel_index(int(np.nanargmax(gap)), gap.shape)
    values = np.moveaxis(seen, 2, -1)[at]
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return (
        f"The distribution function of {question.outcome} is flat at {q:g}, as far as the draws "
        f"show: its quantile is {low:.6g} or {high:.6g} in some world, and more draws do not "
        "settle which. Ask for another q, or for the probability of an event."
    )


def _probability(run: Run, value: float) -> np.ndarray | None:
    """Return P(Y <= value) for each arm, cell and draw, where it is exact."""
    asked = run.question.estimand.asking(Probability(at_most=value))
    question = replace(run.question, estimand=asked)
    program, where = question.program()
    other = type(run)(question, program, where, run.cells, run.seed)
    if not other.exact:
        return None
    return other.reduce(slice(0, question.fit.n_draws), 1).total
