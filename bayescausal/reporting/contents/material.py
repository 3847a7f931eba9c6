"""What a report is written from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bayescausal.draws.named import distinct

if TYPE_CHECKING:
    from bayescausal.effects.effect import Effect
    from bayescausal.inference.record import Fit

__all__ = ["Material"]


@dataclass
class Material:
    """All that a report is written from.

    ``naive``: what is seen beside each effect, with a note; or words where there is nothing to
        compare.
    ``seconds``: how long each step took.
    ``live``: each answer as the script of the page moves it; None where it cannot be moved.
    """

    fit: Fit
    effects: list[Effect]
    naive: list[Any] = field(default_factory=list)
    ropes: list[Any] = field(default_factory=list)
    truths: list[Any] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    live: list[Any] = field(default_factory=list)

    @property
    def headings(self) -> list[str]:
        """A heading for each effect, no two of them equal."""
        return distinct([effect.label for effect in self.effects])
