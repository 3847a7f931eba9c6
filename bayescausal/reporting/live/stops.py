"""Stops of a slider: the levels of a treatment at which a question can be asked instead.

A question has other levels where it sets one variable to a plain value. Whatever else it says stays
as it is: its mediators, its scale, its population. Where the units that are averaged are those who
had that level themselves (an effect on the treated), only levels that units have are stops, and
there are none where nearly every unit has a level of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.draws.digits import decimals
from bayescausal.types import Set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit

    type Level = float | str

__all__ = ["Stops", "levels_of", "stops_of"]

#: Stops of the slider.
MOST_LEVELS = 7


@dataclass(frozen=True)
class Stops:
    """Where a question stands among those that differ from it in one level alone.

    ``name``: the variable that is set. ``own``: its level in the question.
    ``other``: the level that it is compared with, None where there is no such level.
    """

    asked: Estimand
    name: str
    own: Level
    other: Level | None

    def question(self, level: Level) -> Estimand:
        """Return the question at another level."""
        asked: Any = self.asked
        role = "treated" if hasattr(asked, "treated") else "do"
        plain = not isinstance(getattr(asked, role), dict)
        return replace(asked, **{role: level if plain else {self.name: level}})

    @property
    def kept(self) -> set[Level]:
        """The levels that the question itself needs."""
        return {self.own} if self.other is None else {self.own, self.other}

    @property
    def own_units(self) -> bool:
        """Whether the level also says whose effect it is."""
        return getattr(self.asked, "group", "") == "treated"


def stops_of(fit: Fit, asked: Any) -> Stops | None:
    """Return where a question stands; None where it sets no single variable to a plain level."""
    if fit.data is None or len(getattr(asked, "treatments", ())) != 1:
        return None
    name = asked.treatments[0]
    pair = [_plain(_at(asked, role, name)) for role in ("treated", "do", "control")]
    own = next((level for level in pair[:2] if level is not None), None)
    return None if own is None else Stops(asked, name, own, pair[2])


def levels_of(fit: Fit, stops: Stops, levels: Sequence[Level] | None) -> list[Level]:
    """Return the levels of the slider, those of the question among them, in order."""
    if any(isinstance(level, str) for level in stops.kept):
        known = list(fit.labels.get(stops.name, ()))
        chosen = known if levels is None else [str(v) for v in levels]
        others = [v for v in known if v in chosen and v not in stops.kept]
        kept = {*others[: 2 * MOST_LEVELS - 2], *stops.kept}
        return [v for v in known if v in kept]
    own = {float(v) for v in stops.kept}
    if stops.own_units:
        seen = _seen(fit, stops.name)
        few = [float(v) for v in seen] if len(seen) <= MOST_LEVELS else []
        return sorted({*(v for v in few if levels is None or v in levels), *own})
    chosen_numbers = _observed(fit, stops.name) if levels is None else [float(v) for v in levels]
    return sorted({*chosen_numbers, *own})


# --------------------------------------------------------------------------- private


def _at(asked: Any, role: str, name: str) -> object:
    """Return the level of a variable in the world of a role."""
    level: Any = getattr(asked, role, None)
    return level.get(name) if isinstance(level, dict) else level


def _plain(level: object) -> Level | None:
    """Return a level that is one number or one label."""
    value = level.value if isinstance(level, Set) else level
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | np.number | np.bool_):
        return float(value)
    return None


def _seen(fit: Fit, name: str) -> Sequence[Any]:
    """Return the different numbers that units have."""
    values = fit.columns.get(name)
    if values is None or values.dtype.kind not in "biuf":
        return []
    seen = np.asarray(values, dtype=float).ravel()
    return list(np.unique(seen[np.isfinite(seen)]))


def _observed(fit: Fit, name: str) -> list[float]:
    """Return levels that units have: all where there are few, else some from 5% to 95%."""
    distinct = np.asarray(_seen(fit, name))
    if len(distinct) <= MOST_LEVELS:
        return [float(v) for v in distinct]
    values = np.asarray(fit.columns[name], dtype=float).ravel()
    seen = values[np.isfinite(values)]
    low, high = (float(v) for v in np.quantile(seen, [0.05, 0.95]))
    stops = np.linspace(low, high, MOST_LEVELS)
    whole = bool(np.all(distinct == np.round(distinct)))
    places = 0 if whole else (decimals(float(seen.std())) or 0)
    return sorted({float(np.round(v, places)) for v in stops})
