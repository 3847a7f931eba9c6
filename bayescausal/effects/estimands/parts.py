"""What a question hands to whoever answers it: arms, identities, and when two questions are one.

An *arm* is one number of a question: the outcome in a world, over the units that meet a condition.
An *identity* ties questions together, such as TE = NDE - reversed NIE: they take the same inner
draws, so that it holds draw by draw. A *teller* is whoever puts the answer into a sentence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from bayescausal.types import Set

if TYPE_CHECKING:
    from bayescausal.effects.estimands.conditions import Condition
    from bayescausal.effects.estimands.functionals import Probability

__all__ = ["NATURAL", "Arm", "Identity", "Strategy", "Sums", "Teller", "Weighting", "same_key"]

#: Name of the world without any intervention, in which subgroups are formed.
NATURAL = "natural course"

#: How a question is answered: averages over units, the effect on each unit, or the probability
#: that an event of one unit's outcome hangs on its treatment.
Strategy = Literal["averages", "each unit", "causation"]


@dataclass(frozen=True, eq=False)
class Arm:
    """One number of a question: the outcome in a world, over the units that meet a condition.

    With `event` it is whether the event happens to the unit in `world` (and not in `without`).
    """

    name: str
    world: str
    condition: Condition
    event: Probability | None = None
    without: str = ""


@dataclass(frozen=True, eq=False)
class Weighting:
    """What a unit weighs beside what the population says: ``of(e)`` (a tilting function).

    `e` is the chance, by the model and in each draw, that `variable` is at `level`, given what
    causes it in that unit.
    """

    variable: str
    level: Any
    of: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Identity:
    """An equation between questions; `two_valued`: it holds for treatments of two values only."""

    says: str
    two_valued: bool = False


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over units, of what the bounds on a probability of causation are made of.

    `p1` and `p0` are the chances of the event in the treated and in the control world, `low` and
    `high` the Frechet bounds of a unit; those with `at_` are over the units whose own treatment
    is known, ``at_p`` of the chance of the event in their own world; ``x1`` and ``x0`` count the
    units at the treated and the control level, ``x1_e`` and ``x0_e`` their chances of the event.
    """

    weight: np.ndarray
    p1: np.ndarray
    p0: np.ndarray
    low: np.ndarray
    high: np.ndarray
    at_weight: np.ndarray
    at_p: np.ndarray
    at_low: np.ndarray
    at_high: np.ndarray
    x1: np.ndarray
    x1_e: np.ndarray
    x0: np.ndarray
    x0_e: np.ndarray

    @property
    def margins(self) -> tuple[np.ndarray, ...]:
        """P(E_1), P(E_0), then P(x, E), P(x', E), P(x, not E), P(x', not E), and the rest."""
        n = self.weight
        seen = (self.x1_e / n, self.x0_e / n, (self.x1 - self.x1_e) / n, (self.x0 - self.x0_e) / n)
        xy, x_y, xn, x_n = seen
        return self.p1 / n, self.p0 / n, *seen, np.clip(1.0 - xy - x_y - xn - x_n, 0.0, 1.0)


class Teller(Protocol):
    """The sentence about one effect, as far as a question shapes it."""

    units: str
    who: str  #: of a subgroup that has a name

    def quantity(self, *, noun: bool = False) -> tuple[str, str]:
        """Return what changes, and how it is taken over units."""

    def taken(self) -> str:
        """Return how the outcome is taken over units, after a space."""

    def text(self, value: float, cell: dict[str, Any]) -> str:
        """Return a number with the digits that the sd supports."""

    def side(self, cell: dict[str, Any]) -> str:
        """Return ``higher``, ``lower``, or nothing where the sign is not settled."""

    def with_sign(self, cell: dict[str, Any]) -> str:
        """Return a number with its sign."""

    def within(self) -> str:
        """Return over whom several cells are."""


def same_key(value: object) -> Hashable:
    """Return what two values share if and only if they say the same.

    Numbers, labels and records go by what they hold, arrays by their values; functions, tables
    and symbolic variables by being the same object. A level that is set is that level.

    Examples
    --------
    >>> from bayescausal.types import Set
    >>> same_key(Set(1)) == same_key(1.0), same_key([1, 2]) == same_key([2, 1])
    (True, False)
    """
    match value:
        case Set():
            return same_key(value.value)
        case np.ndarray():
            array = np.asarray(value) if value.dtype.kind not in "biuf" else value + 0.0
            held = tuple(array.ravel().tolist()) if array.dtype.hasobject else array.tobytes()
            return array.item() if not array.ndim else (array.shape, str(array.dtype), held)
        case pd.Series():
            return "labelled", same_key(value.to_numpy()), tuple(value.index)
        case xr.DataArray():
            labels = [(str(d), tuple(value[d].values.tolist())) for d in value.dims]
            return "labelled", same_key(value.values), tuple(labels)
        case Mapping():
            return "mapping", frozenset((name, same_key(each)) for name, each in value.items())
        case list() | tuple():
            return type(value).__name__, *map(same_key, value)
        case AbstractSet():
            return "set", frozenset(map(same_key, value))
    if hasattr(value, "owner"):  # a symbolic variable
        return "object", id(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = (same_key(getattr(value, each.name)) for each in dataclasses.fields(value))
        return type(value), *own
    try:
        hash(value)
    except TypeError:
        return "object", id(value)
    return value  # type: ignore[no-any-return]
