"""Simulated outcomes: what the treatment reaches is made by the model, with a known effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.checks.refutation.data import simulated, with_parts
from bayescausal.checks.refutation.refutation import Refutation
from bayescausal.effects.estimate import answer

if TYPE_CHECKING:
    import numpy as np

    from bayescausal.checks.refutation.refits import Refits

__all__ = ["Planted", "Zero"]


class Zero(Refutation):
    """Simulate what the treatment reaches, with the treatment held at one value."""

    name = "zero"
    title = "simulated: no effect"
    passing = "no effect is found where the model itself says there is none"
    failing = (
        "fitting does not recover a zero that the model made: the priors or the sampler decide"
    )

    def refit(
        self, refits: Refits, number: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Refit to outcomes that one value of the treatment made."""
        held = {n: refits.reference(n) for n in refits.treatments}
        place, seed = refits.random_place(rng)
        _, columns = simulated(refits.fit, refits.treatments, place, seed, held)
        mean, sd = refits.effect(refits.columns | columns, refits.seed + number, same=True)
        return mean, refits.null, sd


class Planted(Refutation):
    """Simulate what the treatment reaches from one posterior draw, whose effect is known."""

    name = "planted"
    title = "simulated: planted effect"
    passing = "an effect that was put in comes out"
    failing = (
        "fitting does not recover an effect that the model made: the priors or the sampler decide"
    )

    def refit(
        self, refits: Refits, number: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Refit to outcomes that one posterior draw made."""
        fit = refits.fit
        seen = {n: fit.columns[n] for n in refits.treatments}
        place, seed = refits.random_place(rng)
        known, columns = simulated(fit, refits.treatments, place, seed, seen)
        there = with_parts(known, columns={**fit.columns, **columns})
        truth = answer(there, refits.estimand, fit.seed)
        mean, sd = refits.effect(refits.columns | columns, refits.seed + number, same=True)
        return mean, float(truth.draws.mean()), sd
