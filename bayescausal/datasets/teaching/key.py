"""What an exercise hides: the truth, the mistakes with their numbers, and where data come from.

An answer is compared with a *key*. :class:`Known` has the numbers themselves; a key that was read
from a file finds a number only where it is handed in (:mod:`bayescausal.datasets.teaching.loaded`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from bayescausal.datasets.teaching.sealed import cells
from bayescausal.types import BayesCausalError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import pymc as pm

__all__ = [
    "FITS",
    "Key",
    "Known",
    "Mistake",
    "OfThePackage",
    "Solution",
    "Unwritten",
    "World",
    "WrongAnswer",
]

#: Posterior sds within which a number fits an answer.
FITS = 3.0


class WrongAnswer(BayesCausalError, AssertionError):
    """An answer that is not right, from ``check(answer, strict=True)``."""


@dataclass(frozen=True)
class Mistake:
    """A wrong analysis, the number it leads to, why it is wrong, and the number's own error."""

    name: str
    value: float
    why: str
    error: float = 0.0

    def distance(self, mean: float, sd: float) -> float:
        """Return how many sds an answer is away from the number."""
        return abs(mean - self.value) / math.hypot(sd, self.error)


class World(Protocol):
    """Where data come from."""

    def simulate(self, units: int, seed: int) -> pd.DataFrame:
        """Return a table of units, all variables in it."""

    def model(self, variables: Sequence[str]) -> pm.Model:
        """Return a model that finds the truth."""

    def recipe(self) -> dict[str, Any]:
        """Return what a file must hold to make the data again."""


class Unwritten:
    """What has no recipe: it came from a file already, or is had by name."""

    source = "The exercise was read from a file."
    remedy = "Copy the file."

    def recipe(self) -> dict[str, Any]:
        """Refuse."""
        raise DataError(self.source, remedy=self.remedy)


class OfThePackage(Unwritten):
    """Of an exercise that comes with the package."""

    source = "This exercise is a part of the package."
    remedy = "Use bc.exercise(name); no file is needed."


class Key(Protocol):
    """What an answer is compared with."""

    @property
    def resolution(self) -> float:
        """How far apart the numbers are that an answer has to tell apart."""

    @property
    def can_tell(self) -> bool:
        """Whether there are mistakes to compare with."""

    def near(self, mean: float, sd: float) -> tuple[bool, list[Mistake]] | None:
        """Say whether the truth fits, and which mistakes do; None if the answer is too wide."""

    def solution(self) -> tuple[float, tuple[Mistake, ...], str]:
        """Return the truth, the mistakes, and how it is done right."""

    def recipe(self) -> dict[str, Any]:
        """Return what a file must hold, the truth first among the numbers."""


@dataclass(frozen=True)
class Known:
    """The numbers themselves; `spread` is the outcome's scale, for exercises without mistakes."""

    truth: Mistake
    mistakes: tuple[Mistake, ...]
    how: str
    spread: float = 1.0

    @property
    def resolution(self) -> float:
        """A power of two at or below the smallest distance to a mistake, which it does not tell."""
        gaps = [abs(m.value - self.truth.value) for m in self.mistakes]
        gap = min(gaps, default=abs(self.truth.value) or self.spread)
        return 2.0 ** math.floor(math.log2(gap))

    @property
    def can_tell(self) -> bool:
        """Whether there are mistakes."""
        return bool(self.mistakes)

    def near(self, mean: float, sd: float) -> tuple[bool, list[Mistake]] | None:
        """Compare an answer with all numbers."""
        slack = max(m.error for m in (self.truth, *self.mistakes))
        if cells(mean, FITS * math.hypot(sd, slack), self.resolution) is None:
            return None
        near = [m for m in self.mistakes if m.distance(mean, sd) <= FITS]
        near.sort(key=lambda m: m.distance(mean, sd))
        return self.truth.distance(mean, sd) <= FITS, near

    def solution(self) -> tuple[float, tuple[Mistake, ...], str]:
        """Return what is known."""
        return self.truth.value, self.mistakes, self.how

    def recipe(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        numbers = [asdict(each) for each in (replace(self.truth, name=""), *self.mistakes)]
        return {"numbers": numbers, "how": self.how, "spread": self.spread}


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """What an exercise hides."""

    truth: float  # the right answer
    mistakes: pd.DataFrame  # the number that each known mistake leads to, and why it is wrong
    how: str  # how the right answer is found
    model: pm.Model  # a model that finds it

    def __repr__(self) -> str:
        wrong = "; ".join(f"{name}: {row['value']:.3g}" for name, row in self.mistakes.iterrows())
        return f"Solution(truth {self.truth:.3g}. {self.how} Wrong: {wrong})"
