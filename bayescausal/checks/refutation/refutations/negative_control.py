"""A negative control: an outcome that the treatment cannot change.

References
----------
M. Lipsitch, E. Tchetgen Tchetgen and T. Cohen, "Negative controls: a tool for detecting confounding
and bias in observational studies", Epidemiology 21 (2010), 383-388.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.checks.refutation.data import standardized, unit_values
from bayescausal.checks.refutation.refutation import Refutation

if TYPE_CHECKING:
    from bayescausal.checks.refutation.refits import Refits
    from bayescausal.inference.record import Fit

__all__ = ["NegativeControl"]


class NegativeControl(Refutation):
    """Put an outcome that the treatment cannot change in the place of the outcome."""

    name = "negative_control"
    title = "negative control"
    passing = "an outcome that the treatment cannot change is not changed"
    failing = "the treatment seems to change what it cannot: a common cause of both is left out"
    needs_values = True

    def prepare(self, fit: Fit, value: object, outcome: str) -> object:
        """Return a number per unit."""
        return unit_values(fit, value, self.name, outcome)

    def varies(self, refits: Refits) -> bool:
        """The values are what they are."""
        return False

    def refit(
        self, refits: Refits, number: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Refit to the control outcome, on the scale that the priors were made for."""
        values, seen = refits.given[self.name], refits.fit.columns[refits.outcome]
        if np.issubdtype(seen.dtype, np.floating):
            values = np.nanmean(seen) + np.nanstd(seen) * standardized(values)
        data = refits.columns | {refits.outcome: values.astype(seen.dtype)}
        mean, sd = refits.effect(data, refits.seed, same=True)
        return mean, refits.null, sd
