"""What a picture is made of: draws with a label, whatever they came as.

A picture takes anything that holds draws: an array, a ``DataArray``, or a record with ``draws``
and, if it likes, ``label``, ``null`` (the value that means no effect) and ``kind``. So figures know
nothing of the record that holds an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, SupportsFloat

import numpy as np
import xarray as xr

from bayescausal.draws.digits import level_text
from bayescausal.draws.intervals import interval
from bayescausal.draws.named import DRAW_DIMS, as_draws, cells, listed_labels
from bayescausal.types import EstimandError

__all__ = ["Shown", "as_number", "as_range", "as_shown", "density", "ends_of", "percent"]

_EVEN = 1e-12  # of the size of the values: a spread below is no spread
LOWEST, HIGHEST = 0.0005, 0.9995  # a share beyond is said to be beyond


@dataclass(frozen=True)
class Shown:
    """Draws with what is known of them.

    ``null``: the value that means no effect.
    ``kind``: ``"posterior"``, ``"prior"`` or ``"truth"``.
    """

    draws: xr.DataArray
    label: str
    null: float | None
    kind: str

    @property
    def dims(self) -> tuple[str, ...]:
        """The dims other than chain and draw."""
        return cells(self.draws)

    def values(self) -> np.ndarray:
        """Return draws in a row, cells in columns."""
        flat = self.draws.transpose(*DRAW_DIMS, ...).values
        return np.asarray(flat.reshape(flat.shape[0] * flat.shape[1], -1))

    def names(self) -> list[str]:
        """Return the label of each cell, ``Z=0, W=1``; empty for one number."""
        labels = [""]
        for dim in self.dims:
            values = [_plain(v) for v in listed_labels(self.draws[dim].values)]
            labels = [f"{a}, {dim}={b}" if a else f"{dim}={b}" for a in labels for b in values]
        return labels


def as_shown(
    given: Any, *, label: str | None = None, null: float | Literal["own"] | None = "own"
) -> Shown:
    """Return anything that holds draws as draws with a label.

    ``label``: default: that of the record, or the DataArray's name.
    ``null``: the value that means no effect. ``"own"``: that of the record, none without.
    """
    held = getattr(given, "draws", given)
    own = getattr(given, "label", None) or getattr(held, "name", None)
    draws = as_draws(held, getattr(held, "name", None))
    value = getattr(given, "null", None) if isinstance(null, str) and null == "own" else null
    return Shown(
        draws,
        str(label if label is not None else own or "effect"),
        None if value is None else as_number(value, "reference"),
        str(getattr(given, "kind", None) or "posterior"),
    )


def as_number(value: SupportsFloat, what: str) -> float:
    """Return a finite number, or refuse it."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise EstimandError(f"{what}={value!r}.", expected="A finite number.")
    return number


def as_range(given: object, what: str) -> tuple[float, float] | None:
    """Return a range of two numbers, low first; None for None.

    Examples
    --------
    >>> as_range((-0.1, 0.1), "rope")
    (-0.1, 0.1)
    """
    if given is None:
        return None
    ends = tuple(given) if isinstance(given, tuple | list | np.ndarray) else ()
    if len(ends) == 2:
        low, high = (as_number(end, what) for end in ends)
        if low < high:
            return low, high
    raise EstimandError(f"{what}={given!r}.", expected="(low, high), low < high.")


def density(values: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return grid and density of draws; None where they do not vary, or are too few."""
    from arviz_stats.base import array_stats

    apart = float(np.ptp(values))
    if len(values) < 10 or apart <= _EVEN * float(np.abs(values).max()):
        return None
    centre = float(values.mean())
    grid, height, _ = array_stats.kde((values - centre) / apart)
    return grid * apart + centre, height / apart


def ends_of(values: np.ndarray, prob: float) -> np.ndarray:
    """Return the HDI of each column: dims (column, 2)."""
    return np.asarray(interval(xr.DataArray(values, dims=("draw", "cell")), prob).values)


def percent(share: float) -> str:
    """Return a share in percent; a share that is all but 0 or 1 is not rounded to it.

    Examples
    --------
    >>> percent(0.5), percent(0.99997), percent(1.0), percent(0.0001)
    ('50.0%', '> 99.9%', '100%', '< 0.1%')
    """
    if share in (0.0, 1.0):
        return f"{100 * share:.0f}%"
    if share > HIGHEST:
        return "> 99.9%"
    return "< 0.1%" if share < LOWEST else f"{100 * share:.1f}%"


def _plain(value: object) -> str:
    return level_text(value) if isinstance(value, int | float) else str(value)
