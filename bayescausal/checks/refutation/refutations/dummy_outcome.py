"""A dummy outcome: the outcome in a random order, which no treatment can have changed.

The treatment stays tied to its causes, which a shuffled one is not: so it finds what the priors of
the adjustment, and not only those of the effect, put into an answer.

*When it fails.* An informative prior of another cause's coefficient does not fit a shuffled outcome
even where it is right, and the treatment takes up the difference. So it is made on request alone.

References
----------
A. Sharma and E. Kiciman, "DoWhy: an end-to-end library for causal inference", 2020,
arXiv:2011.04216 (dummy outcome refuter).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.checks.refutation.data import permuted
from bayescausal.checks.refutation.refutation import Refutation

if TYPE_CHECKING:
    import numpy as np

    from bayescausal.checks.refutation.refits import Refits

__all__ = ["DummyOutcome"]


class DummyOutcome(Refutation):
    """Shuffle the outcome."""

    name = "dummy_outcome"
    title = "dummy outcome"
    passing = "an outcome that nothing changes is not changed"
    failing = (
        "an effect is found on an outcome that nothing changes: it comes from the priors, of the "
        "effect or of what is adjusted for, or from the form of the model"
    )
    by_default = False

    def refit(
        self, refits: Refits, number: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Refit to an outcome in a random order: there is no effect to find."""
        data = refits.columns | permuted(refits.fit, (refits.outcome,), rng)
        mean, sd = refits.effect(data, refits.seed + number, same=True)
        return mean, refits.null, sd
