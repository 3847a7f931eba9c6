"""A further common cause of treatment and outcome: noise, or a column that was given."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.checks.refutation.common_cause import COLUMN, with_common_cause
from bayescausal.checks.refutation.data import standardized, unit_values
from bayescausal.checks.refutation.refutation import Refutation
from bayescausal.types import ModelError

if TYPE_CHECKING:
    import pymc as pm

    from bayescausal.checks.refutation.refits import Refits
    from bayescausal.inference.record import Fit

__all__ = ["CommonCause"]

#: Part of the posterior sd that a common cause of noise may move an answer by.
FREE = 0.05


class CommonCause(Refutation):
    """Add noise, or a column that was given, as a common cause of treatment and outcome."""

    name = "common_cause"
    title = "random common cause"
    passing = "a variable that is noise does not move the answer"
    failing = (
        "the answer moves when one more variable is adjusted for: too few units, or (for a column "
        "that was given) a confounder that the model left out"
    )

    def prepare(self, fit: Fit, value: object, outcome: str) -> object:
        """Return a number per unit."""
        return unit_values(fit, value, self.name, outcome)

    def varies(self, refits: Refits) -> bool:
        """Noise differs from refit to refit; a column that was given does not."""
        return self.name not in refits.given

    def refuse(self, refits: Refits) -> str:
        """Refuse treatments and outcomes without a column, and families without a location."""
        unseen = [n for n in (*refits.treatments, refits.outcome) if n not in refits.columns]
        if unseen:
            return f"{unseen[0]} has no column."
        try:
            self._model(refits)
        except ModelError as error:
            return str(error)
        return ""

    def _model(self, refits: Refits) -> pm.Model:
        """Return the model in which treatment and outcome read a further column."""
        fit, values = refits.fit, refits.given.get(self.name)
        names = [n for n in (*refits.treatments, refits.outcome) if n in fit.structure.random]
        zeros = np.zeros(np.shape(fit.columns[refits.outcome]))
        return with_common_cause(fit, tuple(names), zeros if values is None else values)

    def refit(
        self, refits: Refits, number: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Refit the wider model to the data and the column."""
        given, shape = refits.given.get(self.name), np.shape(refits.fit.columns[refits.outcome])
        column = rng.standard_normal(shape) if given is None else standardized(given)
        data = refits.columns | {COLUMN: column}
        refit = refits.refit(data, refits.seed + number, partial(self._model, refits), self.name)
        object.__setattr__(refit, "labels", refits.fit.labels)
        mean, sd = refits.answered(refit)
        s = refits.sd
        error = sd / np.sqrt(refit.n_draws) + s / np.sqrt(refits.fit.n_draws)
        noise = abs(sd**2 - s**2) + s**2 / float(np.prod(shape)) + (FREE * s) ** 2 + error**2
        return mean, refits.mean, float(np.sqrt(noise))
