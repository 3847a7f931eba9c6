r"""Units at times: what every design over a panel needs of its table.

A *panel* has one row per unit and time, *repeated cross-sections* many: people of a state, say,
asked in every year. Times are ordered and counted as periods 0, 1, 2, ...; rows in another order
are sorted. A unit that lacks a period changes who is compared with whom from one period to the
next, and a period that nobody has makes "one period later" two different things: both are refused
unless the caller says that they are missing for no reason that matters [1]_.

References
----------
.. [1] J. M. Wooldridge, *Econometric Analysis of Cross Section and Panel Data*, 2nd ed., MIT
   Press, 2010, section 19.9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.model.kinds import kind_of
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["PanelTable", "as_dates", "in_model", "panel_table", "refuse_gaps", "time_text"]

_LABELS = ", or labels in order: pd.Categorical(..., categories=[...], ordered=True)"
#: Steps between neighbouring times that still count as equal: months differ by 28 to 31 days.
UNEVEN = 1.5


@dataclass(frozen=True, eq=False)
class PanelTable:
    """A table of units at times, sorted."""

    frame: pd.DataFrame  # the rows, by unit and then by time
    # unit, period: (n_rows, int) Codes of the units, and of the times in their order.
    unit: np.ndarray
    period: np.ndarray
    # units, times: what the codes stand for.
    units: tuple[Any, ...]
    times: tuple[Any, ...]
    repeated: bool  # whether units have several rows at a time

    @property
    def labels(self) -> list[str]:
        """The times as text."""
        return [time_text(t) for t in self.times]

    def wide(self, column: str) -> np.ndarray:
        """Return a column as an array, units by times, NaN where there is no row."""
        out = np.full((len(self.units), len(self.times)), np.nan)
        out[self.unit, self.period] = self.frame[column].to_numpy(dtype=float)
        return out

    def kept(self, rows: np.ndarray, periods: int) -> PanelTable:
        """Return the table of some rows of the first periods."""
        there, unit = np.unique(self.unit[rows], return_inverse=True)
        return replace(
            self,
            frame=self.frame.loc[rows].reset_index(drop=True),
            unit=unit,
            period=self.period[rows],
            units=tuple(self.units[k] for k in there),
            times=self.times[:periods],
        )


def panel_table(
    frame: pd.DataFrame, unit: str, time: str, *, repeats: bool, least: int = 2
) -> PanelTable:
    """Return a table of units at times.

    - `frame`: from :func:`bayescausal.designs.table.read_table`.
    - `unit`, `time`: columns.
    - `repeats`: whether units may have several rows at a time. A few such rows are refused all the
      same: they are repetitions in a panel.
    - `least`: how many times are needed.

    Examples
    --------
    >>> import pandas as pd
    >>> late = pd.DataFrame({"id": ["b", "b", "a", "a"], "year": [2001, 2000, 2001, 2000]})
    >>> table = panel_table(late, "id", "year", repeats=False)
    >>> table.frame.values.tolist(), table.repeated
    ([['a', 2000], ['a', 2001], ['b', 2000], ['b', 2001]], False)
    """
    codes, times = _in_order(frame[time], time, "time")
    if len(times) < least:
        raise DataError(
            f"The column {time!r} (time=) has {len(times)} time{'s' * (len(times) != 1)}.",
            expected=f"{least} or more.",
        )
    _refuse_uneven(times, time)
    who, units = _in_order(frame[unit], unit, "unit")
    order = np.lexsort((codes, who))
    frame = frame.iloc[order].reset_index(drop=True)
    who, codes = who[order], codes[order]
    counts = pd.Series(1, index=[who, codes]).groupby(level=[0, 1]).sum()
    several = counts[counts > 1]
    repeated = bool(repeats and len(several) > len(counts) / 2)
    if len(several) and not repeated:
        (u, t), n = several.index[0], int(several.iloc[0])
        raise DataError(
            f"{len(several):,} of {len(counts):,} pairs of {unit} and {time} have several rows: "
            f"{unit} {units[u]}, {time} {time_text(times[t])} has {n}.",
            expected="One row per unit and time"
            + (", or several for most of them (repeated cross-sections)." if repeats else "."),
            remedy="Drop the repetitions, or average them.",
        )
    return PanelTable(frame, who, codes, tuple(units), tuple(times), repeated)


def in_model(name: str, taken: Collection[str] = ()) -> str:
    """Return what the column of the units is called in a model, whose rows are its own ``unit``.

    Examples
    --------
    >>> in_model("shop"), in_model("unit"), in_model("unit", ["units"])
    ('shop', 'units', 'units_')
    """
    if name != "unit":
        return name
    name = "units"
    while name in taken:
        name += "_"
    return name


def refuse_gaps(table: PanelTable, unit: str, time: str, remedy: str) -> None:
    """Refuse units that lack a time which others have."""
    seen = np.zeros((len(table.units), len(table.times)), dtype=bool)
    seen[table.unit, table.period] = True
    short = np.flatnonzero(~seen.all(axis=1))
    if not len(short):
        return
    first = short[0]
    lacks = [label for label, has in zip(table.labels, seen[first], strict=True) if not has]
    raise DataError(
        f"{len(short):,} of {len(table.units):,} units lack periods: {unit} "
        f"{table.units[first]} has no row at {time} {', '.join(lacks[:4])}"
        f"{', ...' if len(lacks) > 4 else ''}.",
        expected="A row of every unit at every time.",
        remedy=remedy,
    )


def time_text(time: object) -> str:
    """Return a time as a person writes it.

    Examples
    --------
    >>> import pandas as pd
    >>> time_text(2004.0), time_text(pd.Timestamp("2004-02-01"))
    ('2004', '2004-02-01')
    """
    if isinstance(time, pd.Timestamp):
        return str(time.date()) if time == time.normalize() else str(time)
    if isinstance(time, float) and time.is_integer():
        return str(int(time))
    return str(time)


def _in_order(column: pd.Series, name: str, role: str) -> tuple[np.ndarray, list[Any]]:
    """Return codes, and what they stand for in order."""
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    found = kind_of(column)
    if found.what == "date":
        values = pd.Series(pd.to_datetime(column))
        order = sorted(values.unique())
    elif found.categories is not None:
        values = pd.Series(found.values.tolist(), dtype=object)
        there = set(values)
        order = [c for c in found.categories if c in there]
    else:
        values = pd.Series(found.values.tolist(), dtype=object)
        if role == "time" and found.what == "label":
            values = as_dates(values, name, _LABELS)
        order = sorted(values.unique(), key=lambda v: (isinstance(v, str), v))
    place = {label: k for k, label in enumerate(order)}
    return values.map(place).to_numpy(dtype=np.int64), order


def as_dates(values: pd.Series, name: str, otherwise: str = "") -> pd.Series:
    """Return text as dates, in the one form that nobody reads in two ways: year, month, day.

    Sorted as text, "10" comes before "9".
    """
    try:
        return pd.Series(pd.to_datetime(values, format="ISO8601"))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"The column {name!r} (time=) holds text such as {values.iloc[0]!r}.",
            expected=f"Numbers, or dates (2004-02-01 in text){otherwise}.",
            remedy=f"Read dates with their format, pd.to_datetime(data[{name!r}], format=...).",
        ) from error


def _refuse_uneven(times: Sequence[Any], name: str) -> None:
    """Refuse a period that no unit has."""
    if len(times) < 3 or isinstance(times[0], str):
        return
    steps = np.array(
        [
            (b - a).total_seconds() if isinstance(b, pd.Timestamp) else float(b) - float(a)
            for a, b in pairwise(times)
        ]
    )
    wide = np.flatnonzero(steps > UNEVEN * steps.min())
    if len(wide):
        a, b = (time_text(times[wide[0] + k]) for k in (0, 1))
        raise DataError(
            f"The column {name!r} (time=) has no row between {a} and {b}, while other times are "
            "nearer to each other: a period is missing.",
            expected="Times of equal distance.",
            remedy="Add the period; or number the periods 0, 1, 2, ... if they are to count as "
            "equally long.",
        )
