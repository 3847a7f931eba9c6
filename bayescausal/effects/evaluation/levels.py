"""Levels: those of a treatment that nobody named, and labels of an outcome that are numbers.

A category is held as a code 0, 1, ... Where its labels are numbers (an answer from 1 to 5), an
event "at least 4" is about the labels, and so is a quantile.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.effects.estimands.functionals import Probability
from bayescausal.evaluation.label_levels import encode
from bayescausal.model.interventions.support import support_of
from bayescausal.model.structure.integer_roles import role_of
from bayescausal.types import EstimandError, InterventionError, Set

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit
    from bayescausal.types import Intervention

__all__ = ["coded_event", "number_labels", "refuse_default_levels"]


def number_labels(fit: Fit, name: str) -> tuple[float, ...]:
    """Return the labels of a category where they are numbers other than its codes; else none."""
    labels = tuple(fit.labels.get(name, ()))
    if not all(isinstance(v, Real) for v in labels) or labels == tuple(range(len(labels))):
        return ()
    return tuple(map(float, labels))


def coded_event(fit: Fit, name: str, event: Probability) -> Probability:
    """Return an event of labels as one of codes.

    Raises
    ------
    EstimandError
        For a label that there is not, or a limit where labels have no order.
    """
    if isinstance(event.equals, str):
        return Probability(equals=float(encode(fit, name, event.equals)))
    labels = number_labels(fit, name)
    if not labels:
        return event
    if event.equals is not None:
        return Probability(equals=float(encode(fit, name, event.equals)))
    if list(labels) != sorted(labels):
        raise EstimandError(
            f"The categories of {name!r} have the order {', '.join(f'{v:g}' for v in labels)}: "
            "above and below are not those of numbers.",
            remedy="Ask for each category: Probability(equals=...).",
        )
    if event.between is not None:
        low, high = event.between
        first = int(np.searchsorted(labels, low))
        last = int(np.searchsorted(labels, high, "right")) - 1
        return Probability(at_most=-1) if first > last else Probability(between=(first, last))
    if event.above is not None:
        return Probability(at_least=int(np.searchsorted(labels, event.above, "right")))
    if event.at_least is not None:
        return Probability(at_least=int(np.searchsorted(labels, event.at_least)))
    if event.at_most is not None:
        return Probability(at_most=int(np.searchsorted(labels, event.at_most, "right")) - 1)
    below = float(np.inf if event.below is None else event.below)
    return Probability(at_most=int(np.searchsorted(labels, below)) - 1)


def refuse_default_levels(
    fit: Fit, estimand: Estimand, worlds: Mapping[str, Mapping[str, Intervention]]
) -> None:
    """Refuse levels of a label that nobody named and no unit has."""
    if not getattr(estimand, "_default_levels", False):
        return
    structure = fit.structure
    for name in estimand.treatments:
        column = fit.columns.get(name)
        labelled = name in structure.data and role_of(structure, name) == "label"
        if name in structure.random and name not in structure.imputed:
            labelled = support_of(structure.variable(name)).categorical
        if column is None or not labelled:
            continue
        seen = np.unique(np.asarray(column))
        for do in worlds.values():
            act = do.get(name)
            if not isinstance(act, Set) or np.ndim(act.value) or act.value not in (0, 1):
                continue  # another value was named
            if act.value not in seen:
                shown = ", ".join(f"{v:g}" for v in seen[:12])
                raise InterventionError(
                    f"{estimand.label()} compares the levels 1 and 0 where none are named, and no "
                    f"unit has {name} = {float(act.value):g}.",
                    expected=f"levels among {shown}{', ...' if len(seen) > 12 else '.'}",
                    remedy="Name treated= and control=.",
                )
