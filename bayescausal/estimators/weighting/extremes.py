"""Weights that explode: what is refused, and what is said of units that stand for many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.estimators.weighting.balancing import effective_size
from bayescausal.types import DataError

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["extreme_notes", "refuse_no_overlap"]

#: A weight of so much of its arm is told; so few effective units of an arm are told.
LARGE, FEW = 0.05, 0.3
#: The same where weights explode.
HUGE, HARDLY_ANY = 0.25, 0.05
#: Smallest propensity that is divided by.
SMALLEST = 1e-8


def refuse_no_overlap(problem: Problem, chance: np.ndarray, tilt: str) -> None:
    """Refuse propensities of 0 or 1 where they are divided by.

    Raises DataError with the number of units that have no chance of the other treatment.
    """
    low, high = chance < SMALLEST, chance > 1 - SMALLEST
    bad = {
        "treated": high & problem.control,
        "control": low & problem.treated,
        "all": (low & problem.treated) | (high & problem.control),
    }.get(tilt, np.zeros(problem.n, dtype=bool))
    if bad.any():
        raise DataError(
            f"No overlap: {int(bad.sum()):,} of {problem.n:,} {problem.units} are at a level of "
            f"{problem.treatment!r} that the model of the treatment gives no chance "
            f"(below {SMALLEST:g}).",
            expected="chances away from 0 and 1.",
            remedy="Ask about units inside the overlap (given=), ask ATO, or pass "
            "weights='overlap'.",
        )


def extreme_notes(
    problem: Problem, weights: np.ndarray, chance: np.ndarray | None = None
) -> tuple[str, ...]:
    """Return what is to be said of weights (unit,) of which some are large."""
    notes = []
    for arm, who in ((problem.treated, "treated"), (problem.control, "untreated")):
        own = np.abs(weights[arm])
        total, size = own.sum(), effective_size(weights[arm])
        if total <= 0:
            continue
        largest = float(own.max() / total)
        if (largest > LARGE and len(own) > 2 / LARGE) or size < FEW * len(own):
            exploding = (largest > HUGE and len(own) > 2 / LARGE) or size < HARDLY_ANY * len(own)
            word = "Exploding" if exploding else "Large"
            notes.append(
                f"{word} weights: the {len(own):,} {who} {problem.units} count as {size:.0f}; "
                f"one carries {largest:.0%} of its arm."
            )
    if chance is not None:
        extreme = int(((chance < 0.01) | (chance > 0.99)).sum())
        if extreme > 0.05 * problem.n:
            notes.append(
                f"Thin overlap: {extreme:,} of {problem.n:,} {problem.units} have a propensity "
                "below 0.01 or above 0.99."
            )
    return tuple(notes)
