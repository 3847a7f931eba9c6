"""A table of events: who, when, what, and with which value; what is known of a unit at a time.

The history of a unit at a time is what happened up to and including that time. Nothing later may
decide who is eligible, which arm one is in or what is adjusted for [1]_.

References
----------
.. [1] M. A. Hernan and J. M. Robins, "Using big data to emulate a target trial when a randomized
   trial is not available", American Journal of Epidemiology 183(8), 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.designs.table import read_table
from bayescausal.model.kinds import kind_of
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array, Data

__all__ = ["Events", "read_events"]


@dataclass(frozen=True, eq=False)
class Events:
    """A table of events, sorted by time."""

    # ``unit`` (codes), ``time`` (days or the table's own units), ``event`` (text), ``value``.
    frame: pd.DataFrame
    units: pd.Index  # the unit of each code
    columns: pd.DataFrame  # columns that do not change within a unit, one row for each
    types: tuple[str, ...]  # the events that there are
    end: float  # when the table ends

    def require(self, name: str, role: str) -> str:
        """Return the name of an event, or say which there are."""
        if name not in self.types:
            raise DataError(
                f"{role}={name!r} is no event of the table.",
                expected=f"One of {', '.join(map(repr, self.types[:12]))}"
                f"{', ...' if len(self.types) > 12 else ''}.",
                names=closest(str(name), self.types)[:1],
                remedy="A column that does not change within a unit is named in covariates= too."
                if role == "eligibility"
                else "",
            )
        return name

    def of(self, name: str) -> pd.DataFrame:
        """Return the rows of an event."""
        return self.frame.loc[self.frame["event"] == name, ["unit", "time", "value"]]

    def first_seen(self) -> Array:
        """Return when each unit is first in the table."""
        return self.frame.groupby("unit")["time"].min().to_numpy(dtype=float)

    def first(self, name: str) -> Array:
        """Return when each unit first has an event; infinity if it never has."""
        found = self.of(name).groupby("unit")["time"].min()
        return found.reindex(range(len(self.units))).fillna(np.inf).to_numpy(dtype=float)

    def next(self, name: str, units: Array, times: Array) -> Array:
        """Return when each has an event next, from a time on; infinity if it does not."""
        return self._near(name, units, times, "forward")["seen"].fillna(np.inf).to_numpy(float)

    def latest(self, name: str, units: Array, times: Array) -> tuple[Array, Array]:
        """Return whether each had an event up to a time, and the last value then."""
        found = self._near(name, units, times, "backward")
        return found["seen"].notna().to_numpy(), found["value"].to_numpy()

    def _near(self, name: str, units: Array, times: Array, direction: str) -> pd.DataFrame:
        rows = self.of(name).assign(seen=lambda f: f["time"])
        asked = pd.DataFrame({"unit": units, "time": times, "place": np.arange(len(units))})
        found = pd.merge_asof(
            asked.sort_values("time", kind="stable"), rows, on="time", by="unit",
            direction=direction,  # type: ignore[arg-type]
        )  # fmt: skip
        return found.sort_values("place", kind="stable").reset_index(drop=True)


def read_events(
    data: Data,
    *,
    unit: str,
    time: str,
    event: str,
    value: str | None,
    columns: Sequence[str],
) -> Events:
    """Return a table of events, or say what is wrong with it."""
    roles = {"unit": unit, "time": time, "event": event}
    frame = read_table(data, roles)
    rest = read_table(data, {"value": value, "covariates": tuple(columns)}, missing="keep")
    if not len(frame):
        raise DataError("The table of events is empty.", expected="One row for each event.")
    codes, units = pd.factorize(frame[unit], sort=True)
    held = pd.DataFrame(
        {
            "unit": codes.astype(np.int64),
            "time": _times(frame[time], time),
            "event": frame[event].astype(str),
            "value": rest[value] if value else np.nan,
        }
    ).sort_values("time", kind="stable")
    own = _steady(rest, columns, codes, units)
    types = tuple(sorted(held["event"].unique()))
    return Events(held.reset_index(drop=True), units, own, types, float(held["time"].max()))


# ------------------------------------------------------------------------------- private


def _times(column: pd.Series, name: str) -> Array:
    """Return times as numbers: dates as days."""
    found = kind_of(column)
    if found.what == "number":
        return np.asarray(found.values, dtype=float)
    try:
        dates = pd.to_datetime(column, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise DataError(
            f"The column {name!r} (time=) holds {column.iloc[0]!r}.",
            expected="Dates, or numbers such as days.",
            remedy="Turn it into dates first: pd.to_datetime(data[...], format=...).",
        ) from error
    return np.asarray((dates - pd.Timestamp(0)).dt.total_seconds() / 86_400, dtype=float)


def _steady(
    rest: pd.DataFrame, columns: Sequence[str], codes: Array, units: pd.Index
) -> pd.DataFrame:
    """Return columns that do not change within a unit, one row for each unit."""
    kept = {}
    for name in columns:
        known = rest[name].notna()
        groups = rest.loc[known, name].groupby(codes[known])
        several = groups.nunique()
        if (several > 1).any():
            who = units[int(several.index[several > 1][0])]
            raise DataError(
                f"The column {name!r} (covariates=) changes within a unit, such as {who!r}.",
                expected="One value for each unit.",
                remedy=f"What is measured at visits is an event with a value: baseline=[{name!r}].",
            )
        kept[name] = groups.first().reindex(range(len(units)))
    return pd.DataFrame(kept, index=range(len(units)))
