"""Clusters left out, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.checks.refutation.data import cluster_codes, taken
from bayescausal.checks.refutation.refutations.resampled import Resampled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.checks.refutation.refits import Refits
    from bayescausal.inference.record import Fit

__all__ = ["Clusters"]

#: Clusters that are left out, at most.
MOST = 40


class Clusters(Resampled):
    """Leave out one cluster at a time, the largest ones where there are many."""

    name = "clusters"
    title = "cluster left out"
    passing = "no cluster makes the answer alone"
    failing = "one cluster makes the answer: look at it, or model clusters"
    needs_values = True
    by_largest = True

    def prepare(self, fit: Fit, value: object, outcome: str) -> object:
        """Return the cluster of each unit, and the labels."""
        return cluster_codes(fit, value)

    def varies(self, refits: Refits) -> bool:
        """Each cluster can be left out once."""
        return False

    def rounds(self, refits: Refits) -> Iterable[tuple[int, str]]:
        """Return the clusters that are left out."""
        codes, labels = refits.given[self.name]
        largest = np.argsort(-np.bincount(codes), kind="stable")[:MOST]
        return ((int(k), labels[k]) for k in np.sort(largest))

    def refit(
        self, refits: Refits, number: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Refit to the other clusters."""
        codes, _ = refits.given[self.name]
        rows = np.flatnonzero(codes != number)
        mean, _ = refits.effect(taken(refits.fit, rows), refits.seed + number, same=False)
        return mean, refits.mean, float(refits.sd * np.sqrt((len(codes) - len(rows)) / len(rows)))
