"""Other samples of the units: fewer of them, or drawn with replacement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.checks.refutation.data import taken, why_units_touch
from bayescausal.checks.refutation.refutation import Refutation

if TYPE_CHECKING:
    from bayescausal.checks.refutation.refits import Refits

__all__ = ["Bootstrap", "Resampled", "Subset"]


class Resampled(Refutation):
    """A refutation that leaves units out or repeats them."""

    resamples = True

    def refuse(self, refits: Refits) -> str:
        """Refuse units that depend on each other."""
        touch = why_units_touch(refits.fit)
        return "" if touch is None else str(touch)


class Subset(Resampled):
    """Leave out a share of the units."""

    name = "subset"
    title = "subset of units"
    passing = "the answer does not hang on some of the units"
    failing = (
        "parts of the data disagree by more than their size explains: units differ in ways that "
        "the model does not know, or are not independent"
    )

    def refit(
        self, refits: Refits, number: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Refit to a share of the units."""
        count = max(round(refits.share * refits.length), 2)
        rows = np.sort(rng.choice(refits.length, count, replace=False))
        mean, _ = refits.effect(taken(refits.fit, rows), refits.seed + number, same=False)
        return mean, refits.mean, float(refits.sd * np.sqrt(refits.length / count - 1))


class Bootstrap(Resampled):
    """Draw the units with replacement."""

    name = "bootstrap"
    title = "bootstrap of units"
    passing = "the answer is as uncertain as the data say"
    failing = (
        "the answer moves more than its posterior sd allows: the posterior is too narrow (uneven "
        "variances, dependent units)"
    )

    def refit(
        self, refits: Refits, number: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Refit to as many units, drawn with replacement."""
        rows = np.sort(rng.integers(refits.length, size=refits.length))
        mean, _ = refits.effect(taken(refits.fit, rows), refits.seed + number, same=False)
        return mean, refits.mean, refits.sd
