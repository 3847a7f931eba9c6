r"""Who is treated from when on: cohorts, event times, and the cells of cohorts and times.

A *cohort* is the set of units that are first treated at one time :math:`g`; the *event time* of a
row is :math:`t - g` in periods, 0 in the first treated one. Treatment is absorbing: a unit that is
treated stays so. Whoever is treated in the first period shows nothing of itself untreated.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.designs.panel_table import time_text
from bayescausal.designs.table import yes_no
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import SupportsFloat

    from bayescausal.designs.panel_table import PanelTable

__all__ = ["Cohorts", "cohorts_of"]

#: The start of a unit whose rows do not show it.
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Cohorts:
    """Cohorts of a panel, by rows."""

    table: PanelTable
    # (n_rows, int) The period in which the row's unit is first treated; the number of periods where
    # never.
    start: np.ndarray
    anticipation: int = 0  # periods before the treatment in which it may have effects already

    @property
    def never(self) -> int:
        """What `start` is where a unit is not treated within the table."""
        return len(self.table.times)

    @property
    def starts(self) -> list[int]:
        """The first periods of the cohorts, those never treated left out."""
        return [int(s) for s in np.unique(self.start) if s < self.never]

    @property
    def treated(self) -> np.ndarray:
        """0 or 1 for each row."""
        return (self.table.period >= self.start).astype(int)

    @property
    def event_time(self) -> np.ndarray:
        """Periods since the first treated one; minus the number of periods where never."""
        return np.where(self.start < self.never, self.table.period - self.start, -self.never)

    @property
    def before(self) -> np.ndarray:
        """Rows of treated units before treatment, but for the period of reference."""
        reference = self.start - 1 - self.anticipation
        eventually = self.start < self.never
        return eventually & (self.table.period < self.start) & (self.table.period != reference)

    @property
    def label(self) -> dict[int, Any]:
        """What each start is called: the time itself, and 0 or "never"."""
        times = self.table.times
        numeric = all(isinstance(t, int | float) and float(t).is_integer() for t in times)
        if numeric and min(times) > 0:
            return {s: int(times[s]) for s in self.starts} | {self.never: 0}
        return {s: time_text(times[s]) for s in self.starts} | {self.never: "never"}

    def kept(self, rows: np.ndarray, periods: int) -> Cohorts:
        """Return the cohorts of some rows of the first periods."""
        table = self.table.kept(rows, periods)
        return Cohorts(table, np.minimum(self.start[rows], periods), self.anticipation)


def cohorts_of(
    table: PanelTable, unit: str, first_treated: str | None, treated: str | None, anticipation: int
) -> Cohorts:
    """Return who is treated from when on; refuse what no design of differences can use."""
    if (first_treated is None) == (treated is None):
        raise DataError(
            "first_treated= and treated= are both given."
            if treated
            else "Neither first_treated= nor treated= is given.",
            expected="One of them: the column of the time of first treatment, or of 0 and 1.",
        )
    if first_treated is not None:
        start = _from_times(table, first_treated)
    else:
        assert treated is not None
        start = _from_rows(table, unit, treated)
        known = start != UNKNOWN
        if not known.all():
            if len(table.times) == 2:  # units seen once would otherwise stay on one side only
                known = np.bincount(table.unit)[table.unit] > 1
            units = len(np.unique(table.unit[~known]))
            said = (
                f"{int((~known).sum()):,} rows of {units:,} units were left out: missing rows "
                "leave open from when on they are treated. "
            )
            table, start = table.kept(known, len(table.times)), start[known]
            table.frame.attrs["dropped"] = table.frame.attrs.get("dropped", "") + said
    per_unit = pd.Series(start).groupby(table.unit)
    mixed = per_unit.nunique()
    if (mixed > 1).any():
        who = table.units[int(mixed.index[mixed > 1][0])]
        raise DataError(
            f"{first_treated!r} differs between rows of one unit: {unit} {who}.",
            expected="One time of first treatment for each unit.",
            remedy="Let unit= be the level at which treatment was given.",
        )
    found = Cohorts(table, start, anticipation)
    _refuse(found, per_unit.first(), unit)
    return found


def _from_times(table: PanelTable, column: str) -> np.ndarray:
    """Return the period from which each row's unit is treated, from a column of times."""
    values, times = table.frame[column], table.times
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    values = values.astype(object)
    never = (values.isna() | values.isin(["never", ""])).to_numpy(copy=True)
    if isinstance(times[0], pd.Timestamp):
        never |= (values == 0).to_numpy()
        return _searched(pd.Index(times), values, never, column, _as_date)
    if isinstance(times[0], str):
        never |= (values == 0).to_numpy() & (0 not in times)
        place = {t: k for k, t in enumerate(times)}
        return _searched(pd.RangeIndex(len(times)), values, never, column, place.get)
    never |= (values == 0).to_numpy() & (float(times[0]) > 0)
    return _searched(pd.Index(times, dtype=float), values, never, column, _as_number)


def _searched(
    grid: pd.Index,
    values: pd.Series,
    never: np.ndarray,
    column: str,
    read: Callable[[Any], Any],
) -> np.ndarray:
    """Return the place of each start among the times; refuse what cannot be read as a time."""
    found = {v: read(v) for v in values[~never].unique()}
    unread = [v for v, when in found.items() if when is None]
    if unread:
        raise DataError(
            f"The column {column!r} (first_treated=) holds {unread[0]!r}.",
            expected="Times as in the column of times; 0, empty or 'never' for those never "
            "treated.",
            remedy="Write 'never' for those treated after the last time of the table; leave out "
            "those treated before the first.",
        )
    place = {v: int(grid.searchsorted(when)) for v, when in found.items()}
    return np.array(
        [len(grid) if not_ever else place[v] for v, not_ever in zip(values, never, strict=True)],
        dtype=np.int64,
    )


def _as_date(value: Any) -> pd.Timestamp | None:
    if isinstance(value, Number):
        return None  # pandas would read 2006 as nanoseconds
    try:
        return pd.Timestamp(pd.to_datetime([value], format="ISO8601")[0])
    except (ValueError, TypeError):
        return None


def _as_number(value: SupportsFloat | str) -> float | None:
    try:
        found = float(value)
    except (ValueError, TypeError):
        return None
    return None if np.isnan(found) else found


def _from_rows(table: PanelTable, unit: str, column: str) -> np.ndarray:
    """Return the same from 0 and 1 by rows; refuse a treatment that is switched off."""
    d = yes_no(table.frame, column, "treated")
    cells = pd.DataFrame({"u": table.unit, "t": table.period, "d": d}).groupby(["u", "t"])["d"]
    low, high = cells.min(), cells.max()
    if (low != high).any():
        u, t = low.index[(low != high).to_numpy()][0]
        raise DataError(
            f"{column!r} is 0 and 1 in rows of {unit} {table.units[u]} at {table.labels[t]}.",
            expected="One value for each unit and time.",
            remedy="Let unit= be the level at which treatment was given.",
        )
    off = low.groupby(level="u").diff() < 0
    if off.any():
        u, t = low.index[off.to_numpy()][0]
        raise DataError(
            f"The treatment {column!r} is switched off: {unit} {table.units[u]} is treated and at "
            f"{table.labels[t]} no longer.",
            expected="Units that stay treated once they are.",
            remedy="Leave out the rows from then on, or use bc.designs.panel, in which treatments "
            "come and go.",
        )
    seen = low.reset_index(name="d").rename(columns={"level_0": "u", "level_1": "t"})
    on = seen[seen["d"] == 1].groupby("u")["t"].min()
    starts = np.full(len(table.units), len(table.times))
    starts[on.index] = on.to_numpy()
    off_last = np.full(len(table.units), -1)
    last = seen[seen["d"] == 0].groupby("u")["t"].max()
    off_last[last.index] = last.to_numpy()
    # untreated up to where it is seen, while others begin later; or the row before is missing
    latest = int(on.max()) if len(on) else -1
    unknown = np.where(starts == len(table.times), off_last < latest, starts > off_last + 1)
    return np.where(unknown, UNKNOWN, starts)[table.unit]


def _refuse(found: Cohorts, per_unit: pd.Series, unit: str) -> None:
    """Refuse tables without a treated, an untreated, or a time before."""
    starts, n = found.starts, len(per_unit)
    if not starts:
        raise DataError("No unit is treated within the table.", expected="Treated units.")
    early = per_unit.index[(per_unit == 0).to_numpy()]
    if len(early) == n:
        raise DataError(
            "Every unit is treated from the first period on.",
            expected="Periods before the treatment, and units without it.",
        )
    if len(early):
        zero = found.table.times[0] == 0
        shown = ", ".join(str(found.table.units[int(u)]) for u in early[:4])
        raise DataError(
            f"{len(early):,} of {n:,} units are treated from the first period on: {unit} {shown}"
            f"{', ...' if len(early) > 4 else ''}. Nothing shows what they were before.",
            expected="A period before the treatment of each treated unit.",
            remedy="Leave these units out: the effect is then that on the others."
            + (" If 0 stands for never, leave it empty." if zero else ""),
        )
    short = [s for s in starts if s - 1 - found.anticipation < 0]
    if short:
        raise DataError(
            f"Those first treated at {found.table.labels[short[0]]} have no period before "
            f"anticipation={found.anticipation} sets in.",
            expected="One or more periods before.",
            remedy="Leave them out, or make anticipation smaller.",
        )
    seen = set(zip(found.start.tolist(), found.table.period.tolist(), strict=True))
    for s in starts:
        base = s - 1 - found.anticipation
        if (s, base) not in seen:
            labels = found.table.labels
            raise DataError(
                f"Those first treated at {labels[s]} have no row at {labels[base]}, the period "
                "before, with which all others are compared.",
                expected="A row in that period.",
            )
