"""The times of a series as numbers, in order, the start among them.

Numbers stay what they are. Dates are counted in the steps of the series (months, quarters, years,
or days) from the start of the intervention, which is 0. Rows are sorted; times that occur twice are
refused, and so is a series that does not go on on both sides of its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.designs.panel_table import as_dates
from bayescausal.designs.table import numbers, read_table, refuse_duplicates, refuse_names
from bayescausal.model.kinds import kind_of
from bayescausal.types import DataError

if TYPE_CHECKING:
    from bayescausal.annotations import Data

__all__ = ["Timeline", "read_timeline"]

#: What counts as two times being one step apart, relative to the step.
NEAR = 1e-6


@dataclass(frozen=True, eq=False)
class Timeline:
    """A series in order."""

    table: pd.DataFrame  # the rows of the caller, sorted, all columns that the design named
    # The columns of the design; the time as a number, and rows for gaps where errors are ordered
    # (their outcome empty).
    frame: pd.DataFrame
    outcome: str
    time: str
    controls: tuple[str, ...]
    labels: pd.Index  # what each time is called, for pictures and tables
    first: float  # the first time at or after the start, as a number
    step: float  # from one time to the next
    place: np.ndarray  # (int) Steps from the first time after the start; negative before
    # Place of the first time after the start in the year, in steps; 0 where times are no months.
    phase: int
    gaps: int  # times without a row between the first and the last
    was_unordered: bool  # whether rows were sorted
    start: str  # the start as it was given

    @property
    def after(self) -> np.ndarray:
        """Whether each row is at or after the start, 0 or 1."""
        return np.asarray(self.place >= 0, dtype=int)

    @property
    def observed(self) -> np.ndarray:
        """Whether each row has an outcome."""
        return np.asarray(self.frame[self.outcome].notna())


def read_timeline(
    data: Data,
    outcome: str,
    time: str,
    start: object,
    controls: tuple[str, ...],
    *,
    own: tuple[str, ...],
    ordered: bool,
) -> Timeline:
    """Read the table; `ordered` says whether errors are, so that gaps matter."""
    table = read_table(
        data, {"outcome": outcome, "time": time, "controls": controls}, missing="keep"
    )
    refuse_names(list(table.columns), own=own)
    if table[time].isna().any():
        raise DataError(
            f"{int(table[time].isna().sum())} rows have no {time}.", expected="A time in every row."
        )
    refuse_duplicates(table, [time], "One row for each time")
    for role, names in (("outcome", (outcome,)), ("controls", controls)):
        for name in names:
            table[name] = numbers(table, name, role)
    if kind_of(table[time]).what == "label":
        table[time] = as_dates(table[time].astype(object), time)
    counted, begin, months = _counted(table[time], time, start)
    _refuse_year_and_month(counted, time)
    order = np.argsort(counted, kind="stable")
    table, counted = table.iloc[order].reset_index(drop=True), counted[order]
    labels = pd.Index(_words(table[time]), name=time)
    first, step, place = _placed(counted, begin, time, start)
    dated = kind_of(table[time]).what != "number"
    frame = table.copy()
    frame[time] = place.astype(float) if dated else counted
    steps = int(place[-1] - place[0]) + 1
    gaps = steps - len(place)
    if ordered and gaps > len(place):
        raise DataError(
            f"Between the first and the last {time} lie {steps:,} steps, of which {len(place):,} "
            "have a row: that is no series of equal steps.",
            expected="A row at most steps.",
            remedy="Look at the times: are they dates that were read as others?",
        )
    if ordered and gaps:
        frame, place, labels = _with_gaps(frame, place, labels, time, first, step, dated)
    timeline = Timeline(
        table=table,
        frame=frame,
        outcome=outcome,
        time=time,
        controls=controls,
        labels=labels,
        first=0.0 if dated else first,
        step=1.0 if dated else step,
        place=place,
        phase=int(first // step) if months else 0,
        gaps=gaps,
        was_unordered=bool((np.diff(order) < 0).any()),
        start=str(start),
    )
    _refuse_empty(timeline)
    return timeline


def _words(times: pd.Series) -> list[object]:
    """Return times as they are shown: dates without the hour where there is none."""
    found = kind_of(times)
    if found.what == "number":
        return list(times)
    if isinstance(times.dtype, pd.PeriodDtype):
        return [str(t) for t in times]
    stamps = pd.to_datetime(times)
    whole = bool((stamps == stamps.dt.normalize()).all())
    return [t.strftime("%Y-%m-%d" if whole else "%Y-%m-%d %H:%M") for t in stamps]


def _counted(times: pd.Series, name: str, start: object) -> tuple[np.ndarray, float, bool]:
    """Return times and start as numbers, and whether they are months."""
    if isinstance(times.dtype, pd.PeriodDtype):
        times = times.dt.to_timestamp()
    if kind_of(times).what == "number":
        if isinstance(start, bool) or not isinstance(start, int | float | np.number):
            raise DataError(f"start={start!r} where {name!r} holds numbers.", expected="A number.")
        return numbers(pd.DataFrame({name: times}), name, "time"), float(start), False
    stamps = pd.to_datetime(times)
    try:
        given = start.to_timestamp() if hasattr(start, "to_timestamp") else start
        form = "ISO8601" if isinstance(given, str) else None
        begin = pd.Timestamp(pd.to_datetime(pd.Series([given]), format=form).iloc[0])
    except (ValueError, TypeError) as error:
        raise DataError(
            f"start={start!r} is no date.", expected="A date, such as '1983-02'."
        ) from error
    if begin is pd.NaT:
        raise DataError(f"start={start!r} is no date.", expected="A date, such as '1983-02'.")
    if stamps.dt.day.nunique() == 1 or bool(stamps.dt.is_month_end.all()):
        months = (stamps.dt.year * 12 + stamps.dt.month - 1).to_numpy(dtype=float)
        late = begin.day > stamps.dt.day.iloc[0] and not stamps.dt.is_month_end.all()
        return months, float(begin.year * 12 + begin.month - 1 + late), True
    origin, day = pd.Timestamp("2000-01-03"), pd.Timedelta(1, "D")
    return ((stamps - origin) / day).to_numpy(dtype=float), (begin - origin) / day, False


def _refuse_year_and_month(counted: np.ndarray, name: str) -> None:
    """Refuse 202012, 202101: between December and January lie 89 of these numbers."""
    year, month = np.divmod(counted, 100)
    whole = (counted == np.round(counted)) & (month >= 1) & (month <= 12)
    if whole.all() and (np.abs(year - 2000) < 200).all() and len(np.unique(year)) > 1:
        raise DataError(
            f"The column {name!r} (time=) holds numbers such as {counted[0]:.0f}, years and "
            "months written together: steps between them are not equal.",
            expected="Dates.",
            remedy=f'pd.to_datetime(data[{name!r}].astype(str), format="%Y%m").',
        )


def _placed(
    counted: np.ndarray, begin: float, name: str, start: object
) -> tuple[float, float, np.ndarray]:
    """Return the first time after the start, the step, and steps from that time."""
    if not len(counted) or not counted[0] <= begin <= counted[-1]:
        raise DataError(
            f"start={start!r} lies outside the series, which has {len(counted)} times.",
            expected=f"A time within the range of {name!r}, with times before it.",
        )
    if begin <= counted[0]:
        raise DataError(
            f"The series starts at the intervention, {start}: it has no pre-period.",
            expected="Times before the start, from which the course without the intervention is "
            "learnt.",
        )
    first = float(counted[counted >= begin][0])
    if len(counted) < 2:
        return first, 1.0, np.zeros(len(counted), int)
    gaps = np.diff(counted)
    step = float(gaps.min())
    places = (counted - first) / step
    if np.abs(places - np.round(places)).max() > max(NEAR, NEAR * np.abs(places).max()):
        divisor = np.gcd.reduce(np.round(gaps).astype(int))
        if np.abs(gaps - np.round(gaps)).max() > NEAR or not divisor:
            shown = ", ".join(f"{g:g}" for g in np.unique(np.round(gaps, 6))[:4])
            raise DataError(
                f"The times of {name!r} are not evenly spaced: steps of {shown}, ...",
                expected="Multiples of one step; times in between may be missing.",
            )
        step = float(divisor)
        places = (counted - first) / step
    return first, step, np.round(places).astype(int)


def _with_gaps(
    frame: pd.DataFrame,
    place: np.ndarray,
    labels: pd.Index,
    time: str,
    first: float,
    step: float,
    dated: bool,
) -> tuple[pd.DataFrame, np.ndarray, pd.Index]:
    """Return the series with a row for every step, empty where there was none."""
    whole = np.arange(place[0], place[-1] + 1)
    frame = frame.set_index(place).reindex(whole)
    missing = ~np.isin(whole, place)
    frame[time] = whole.astype(float) if dated else first + step * whole
    held = dict(zip(place.tolist(), labels, strict=True))
    names = [held.get(int(p), f"({p:+d} steps)") for p in whole]
    controls = [c for c in frame.columns if c != time][1:]
    empty = [c for c in controls if frame.loc[missing, c].isna().any()]
    if empty:
        raise DataError(
            f"{int(missing.sum())} times have no row, and so no value of {', '.join(empty)}, in a "
            "series whose errors go on from time to time.",
            expected="A row for each time, the outcome empty where it was not observed.",
            remedy="Add these rows with the controls, or pass errors='independent' and "
            "level='fixed'.",
        )
    return frame.reset_index(drop=True), whole, pd.Index(names, name=labels.name)


def _refuse_empty(timeline: Timeline) -> None:
    frame = timeline.frame
    for name in timeline.controls:
        if frame[name].isna().any():
            raise DataError(
                f"The control {name!r} is empty at {int(frame[name].isna().sum())} times.",
                expected="A value at every time.",
            )
    for words, side in (("before", 0), ("at or after", 1)):
        seen = timeline.observed & (timeline.after == side)
        if not seen.any():
            raise DataError(
                f"No time {words} the start {timeline.start} has an observed {timeline.outcome}.",
                expected="Observations on both sides.",
            )
    before = frame[timeline.outcome][timeline.observed & (timeline.after == 0)]
    if before.nunique() < 2:
        raise DataError(
            f"{timeline.outcome!r} does not vary before the start: {len(before)} "
            f"observation{'s' * (len(before) != 1)} of {before.iloc[0]:g}.",
            expected="A pre-period from which the course of the series can be learnt.",
        )
