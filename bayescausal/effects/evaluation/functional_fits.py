"""Whether a functional means something for a question: totals and curves are refused elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.effects.estimands.functionals import Total
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.model.structure.structure import Structure

__all__ = ["refuse_functional"]

#: Populations whose units are counted.
COUNTED = ("sample", "finite", "target")


def refuse_functional(structure: Structure, estimand: Estimand, population: str) -> None:
    """Refuse a functional that has no meaning for a question.

    Raises
    ------
    EstimandError
        If a total is asked of units that are not counted, a curve along a dim that the units have,
        or either of units one by one.
    """
    functional = estimand.functional
    if estimand.strategy == "each unit" and functional.linear and not hasattr(functional, "event"):
        if repr(functional) == "'mean'":
            return
        raise EstimandError(
            f"{estimand.label()} is about the effect of each unit, and {functional!r} is taken of "
            "the outcome.",
            expected="functional= 'mean', Quantile(q) or Probability(...) of the units' effects.",
            remedy=f"Ask ATE(..., functional={functional!r}) for the effect on it.",
        )
    if isinstance(functional, Total):
        _refuse_total(estimand, population)
    if functional.axis is not None:
        name = functional.axis[0]
        if name in structure.unit_dims or name in estimand.by:
            raise EstimandError(
                f"The answer to {estimand.label()} has a dim {name!r} of its own, and "
                f"{'the units' if name in structure.unit_dims else 'by='} has {name!r} too.",
                remedy="Ask for one time: functional=Probability(above=...).",
            )


def _refuse_total(estimand: Estimand, population: str) -> None:
    if population not in COUNTED:
        raise EstimandError(
            f"A total over population={population!r}: its units are not counted.",
            expected=f"population= one of {', '.join(map(repr, COUNTED))}, or a table.",
            remedy="Ask the mean, and multiply it by the number of units that is meant.",
        )
    if estimand.grouped_by is not None:
        raise EstimandError(
            "The totals of two groups differ by their sizes already.",
            remedy="Ask the mean of each: functional='mean'.",
        )
