"""The options of matching, checked when the value is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from bayescausal.estimators.matching.matching import Matching

__all__ = ["check_options"]

CHOICES = {
    "metric": ("propensity", "mahalanobis", "exact"),
    "order": ("largest", "smallest", "data", "random"),
    "ties": ("first", "average"),
}


def check_options(matching: Matching) -> None:
    """Refuse options that are none, and those that another option makes void.

    Raises EstimandError.
    """
    for name, known in CHOICES.items():
        value = getattr(matching, name)
        if value not in known:
            raise EstimandError(
                f"{name}={value!r}.",
                expected=f"one of {', '.join(known)}.",
                names=closest(str(value), known)[:1],
            )
    k, caliper, bins = matching.k, matching.caliper, matching.bins
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise EstimandError(f"k={k!r}.", expected="a whole number of 1 or more.")
    if caliper is not None and not (isinstance(caliper, int | float) and caliper > 0):
        raise EstimandError(f"caliper={caliper!r}.", expected="a positive number, or None.")
    if bins is not None and (isinstance(bins, bool) or not isinstance(bins, int) or bins < 2):
        raise EstimandError(f"bins={bins!r}.", expected="a whole number of 2 or more, or None.")
    void = []
    if matching.metric == "exact":
        if not matching.replace or caliper is not None or k != 1 or matching.bias_correction:
            void = ["replace=", "caliper=", "k=", "bias_correction="]
    elif matching.metric == "mahalanobis" and matching.order in ("largest", "smallest"):
        if not matching.replace:
            raise EstimandError(
                f"order={matching.order!r} is an order by the propensity, and "
                "metric='mahalanobis' has none.",
                expected="order='data' or 'random'.",
            )
    elif matching.search is not None and not matching.replace:
        void = ["replace=False"]
    if void:
        raise EstimandError(
            f"{' and '.join(void) if len(void) == 1 else ', '.join(void)} mean nothing beside "
            + ("metric='exact', which takes all of a cell." if len(void) > 1 else "search=."),
            expected="their defaults.",
        )
