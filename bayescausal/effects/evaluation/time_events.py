"""What is requested of an outcome beside its mean and one event: a value cut, a curve.

Each says what it is of a draw, and what it is given the outcome's parents, so that the noise of the
outcome itself is integrated out where its distribution function is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytensor.tensor as pt

from bayescausal.effects.estimands.functionals import Probability
from bayescausal.effects.evaluation.events import Event, full
from bayescausal.model.noise.restricted import restricted_mean_of

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

__all__ = ["Curve", "Cut"]


@dataclass(frozen=True)
class Cut:
    """The outcome, cut at a limit."""

    upto: float

    def of_draw(self, value: TensorVariable) -> TensorVariable:
        """Return the value, or the limit where that is less."""
        return pt.minimum(value, self.upto).astype("float64")

    def of_law(self, rv: TensorVariable) -> TensorVariable | None:
        """Return the mean of the cut value given the parents; None where it is not known."""
        found = restricted_mean_of(rv, self.upto)
        return None if found is None else full(rv, found)


@dataclass(frozen=True)
class Curve:
    """Whether the outcome is above each of several values, along a last axis."""

    name: str
    values: tuple[float, ...]

    @property
    def dims(self) -> tuple[str, ...]:
        """The name of the last axis."""
        return (self.name,)

    def of_draw(self, value: TensorVariable) -> TensorVariable:
        """Return indicators, the values last."""
        return pt.stack([event.of_draw(value) for event in self._events()], axis=-1)

    def of_law(self, rv: TensorVariable) -> TensorVariable | None:
        """Return probabilities given the parents, the values last; None where not known."""
        each = [event.of_law(rv) for event in self._events()]
        if any(p is None or p.type.ndim != rv.type.ndim for p in each):
            return None
        return pt.stack(each, axis=-1)

    def _events(self) -> list[Event]:
        return [Event(Probability(above=value)) for value in self.values]
