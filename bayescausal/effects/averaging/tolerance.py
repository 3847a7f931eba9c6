"""What a Monte Carlo error is measured against: the outcome's spread, in the answer's own units.

An error that is a thousandth of the outcome's standard deviation is small whatever is asked. Of an
answer that is no difference of means (a ratio, a slope) it is what the answer moves by when the
number of one world moves by that much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.effects.evaluation.slopes import spread_of
from bayescausal.model.interventions.support import support_of
from bayescausal.types import UndefinedEffectError

if TYPE_CHECKING:
    from bayescausal.effects.averaging.blocks import Reduction
    from bayescausal.effects.evaluation.question import Question

__all__ = ["draw_axis", "error_unit", "outcome_sd"]


def draw_axis(question: Question) -> int:
    """Return the axis of the posterior draws in an answer that is combined of its arms."""
    return 1 if question.estimand.curve is None else 2


def outcome_sd(question: Question, pilot: Reduction) -> float:
    """Return the sd of the outcome: what was averaged may be means, which vary less."""
    spread = pilot.spread
    binary = question.estimand.functional.share
    if question.outcome in question.structure.random and not binary:
        support = support_of(question.structure.variable(question.outcome))
        binary = bool(np.all(support.lower == 0) and np.all(support.upper == 1))
        binary = binary and support.integer
        column = question.fit.columns.get(question.outcome)
        if column is not None and column.dtype.kind in "biuf":
            spread = max(spread, float(np.nanstd(column)))
    if binary:
        p = np.clip(pilot.total, 0.0, 1.0)
        spread = max(spread, float(np.sqrt(np.nanmean(p * (1 - p)))))
    return spread


def error_unit(question: Question, pilot: Reduction, sd: float) -> np.ndarray:
    """Return by how much the answer moves, at most, when the number of one world moves by one.

    1 for a difference; ``1 / b`` for a ratio ``a / b`` near 1: what a tolerance in units of the
    outcome is on the scale of the answer. A slope is read against the spread of its treatment,
    not against the small step that it is taken over.
    """
    estimand = question.estimand
    middle = np.nanmean(pilot.total, axis=2, keepdims=True)
    step = 1e-4 * (sd if sd > 0 else float(np.nanmax(np.abs(middle))) or 1.0)
    moves = []
    for arm in range(len(middle)):
        for side in (step, -step):
            moved = middle.copy()
            moved[arm] += side
            try:
                gap = np.abs(estimand.combine(moved) - estimand.combine(middle)) / step
            except UndefinedEffectError:
                continue
            moves.append(np.squeeze(gap, axis=draw_axis(question)))
    most = np.max(moves, axis=0) if moves else np.ones(())
    if not estimand.derivative:
        return most
    spread = spread_of(question.units, estimand.treatments[0])
    width = estimand.divisor  # type: ignore[attr-defined]
    return np.asarray(most * width / (spread or 1.0))
