"""Intervals at several levels: each number of a page as it stands, and as it would.

Everything is computed here, from all draws and with the digits of the page, so that the script of
the page only chooses among texts: what it shows is what :func:`bayescausal.estimate` gives, to the
digit where that is exact, and within its Monte Carlo error where noise is simulated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.draws.digits import decimals, numbers
from bayescausal.draws.intervals import narrowest
from bayescausal.draws.named import as_draws
from bayescausal.reporting.decision import PROB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr

    from bayescausal.effects.effect import Effect

__all__ = ["LEVELS", "Swapped", "as_percent", "at_levels", "in_digits", "number_cell", "ranked"]

#: Levels of the intervals that a reader may choose.
LEVELS = (0.5, 0.8, 0.89, 0.94, 0.95, 0.99)


class Swapped(str):
    """A text of the page that changes with the level of the intervals.

    ``levels``: the text at each level, by its percent.
    """

    levels: Mapping[str, str]

    def __new__(cls, text: str, levels: Mapping[str, str]) -> Swapped:
        made = super().__new__(cls, text)
        made.levels = dict(levels)
        return made


def as_percent(level: float) -> str:
    """Return a level as it is written: ``94``."""
    return f"{100 * level:g}"


def at_levels(text: Callable[[float], str]) -> Swapped | str:
    """Return what a function writes at the level of the page, and at all others.

    Examples
    --------
    >>> shown = at_levels(lambda level: f"{100 * level:g}% HDI")
    >>> shown, shown.levels["50"]
    ('94% HDI', '50% HDI')
    """
    usual = text(PROB)
    found = {as_percent(level): text(level) for level in LEVELS}
    return Swapped(usual, found) if {*found.values()} != {usual} else usual


def in_digits(effect: Effect, level: float = PROB) -> list[str]:
    """Return mean and ends of the interval of one number with the digits that its sd supports."""
    ends = (float(effect), *effect.interval(level))  # type: ignore[misc]
    return numbers(float(effect.sd()), *ends, ends=True, apart=[effect.null])  # type: ignore[arg-type]


def number_cell(draws: xr.DataArray, null: float | None, kept: int = 0) -> dict[str, Any]:
    """Return one number for the script: its mean, its intervals, and some of its draws.

    ``draws``: of one number, dims chain and draw.
    ``kept``: how many draws; 0 for none.
    Result: ``m`` the mean, ``e`` the ends by percent, ``d`` draws in order of size.
    """
    values = as_draws(draws).values
    ordered = np.sort(values, axis=None)
    spread = float(values.std(ddof=1)) if values.size > 1 else 0.0
    mean = float(values.mean())
    ends = {}
    for level in LEVELS:
        low, high = (float(v) for v in narrowest(ordered, level))
        shown, *texts = numbers(spread, mean, low, high, ends=True, apart=[null])
        ends[as_percent(level)] = texts
    cell: dict[str, Any] = {"m": shown, "e": ends}
    if kept:
        cell["d"] = ranked(draws, kept, spread)
    return cell


def ranked(draws: xr.DataArray, kept: int, spread: float) -> list[float]:
    """Return some of the draws in order of size, evenly spaced by rank; all if there are few.

    Any share of the draws that lies beyond a point is kept to within ``1 / kept``.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> ranked(xr.DataArray(np.arange(10.0)), 5, 3.0)
    [0.5, 2.5, 4.5, 6.5, 8.5]
    """
    ordered = sorted(draws.values.ravel().tolist())
    places = decimals(spread)
    places = 12 if places is None else places + 2
    if len(ordered) <= kept:
        return [round(v, places) for v in ordered]
    found = []
    for k in range(kept):
        at = (k + 0.5) * len(ordered) / kept - 0.5  # between two draws where it is no rank
        low = int(at)
        share = at - low
        found.append((1 - share) * ordered[low] + share * ordered[min(low + 1, len(ordered) - 1)])
    return [round(v, places) for v in found]
