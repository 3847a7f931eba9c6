"""The table of a survival study: times, what was seen of them, arms.

A row says that a unit was followed from `entry` (0, unless it came in late) and what was seen of
its time to the event: exactly when (1), not before ``time`` (0, censored on the right), before
``time`` (2, on the left), or between ``time`` and `upper` (3, in an interval). The codes are those
of ``Surv(type="interval")`` in R [1]_.

References
----------
.. [1] T. M. Therneau and P. M. Grambsch, *Modeling Survival Data*, Springer, 2000, chapter 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.designs.table import labels, numbers, read_table, refuse_names
from bayescausal.model.kinds import kind_of
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bayescausal.annotations import Array, Data

__all__ = ["OWN", "Records", "read_records"]

#: What the design adds to the columns.
OWN = ("censored_at", "seen_until", "window_from", "window_to", "entered_at")

EVENT, RIGHT, LEFT, INTERVAL = 1, 0, 2, 3


@dataclass(frozen=True, eq=False)
class Records:
    """A table of times to an event, checked."""

    frame: pd.DataFrame  # the columns that the model reads, under their own names
    time: str
    treatment: str
    covariates: tuple[str, ...]
    frailty: str | None
    unit: str | None
    status: Array  # (int) 0 right, 1 event, 2 left, 3 interval
    upper: Array | None  # of intervals, their ends
    entry: Array | None  # from when on each row was followed
    levels: tuple[Any, ...] | None  # of a treatment with labels, the control first
    # control, treated: (level) The two that are compared.
    control: Any
    treated: Any
    by_order: bool = False  # whether the two are labels in their order, for want of another word
    suffix: str = ""  # what the columns of a competing event are told by
    rivals: tuple[Records, ...] = ()  # the same rows as records of competing events

    @property
    def times(self) -> Array:
        """The times, as floats."""
        return self.frame[self.time].to_numpy(dtype=float)

    @property
    def end(self) -> float:
        """The end of the study: after every time that was seen."""
        last = self.times.max() if self.upper is None else max(self.times.max(), self.upper.max())
        return float(np.nextafter(last, np.inf))

    @property
    def exact(self) -> bool:
        """Whether every row is an event, or censored on the right or on the left."""
        return self.entry is None and not (self.status == INTERVAL).any()

    @property
    def events(self) -> Array:
        """Which rows end in an event, whenever it was."""
        return self.status != RIGHT

    def arm(self, level: object) -> Array:
        """Return which rows are of an arm."""
        return np.asarray(self.frame[self.treatment].to_numpy() == level)

    @property
    def arms(self) -> tuple[Any, ...]:
        """The two arms that are compared, the control first."""
        return (self.control, self.treated)

    def rate(self) -> float:
        """Return the number of events by the time that was followed."""
        start = 0.0 if self.entry is None else self.entry
        return float(max(self.events.sum(), 0.5) / np.sum(self.times - start))


def read_records(
    data: Data,
    *,
    time: str,
    event: str,
    treatment: str,
    covariates: Sequence[str],
    treated: object,
    control: object,
    entry: str | None,
    upper: str | None,
    frailty: str | None,
    unit: str | None,
    missing: str,
    codes: Sequence[int] = (),
) -> tuple[Records, Array]:
    """Return the table of a survival study and what its events say; refuse what is wrong with it.

    ``codes``: those of competing events, as which these rows are censored.
    """
    given = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    roles: dict[str, Any] = {
        "time": time,
        "event": event,
        "treatment": treatment,
        "covariates": given,
        "entry": entry,
        "frailty": frailty,
        "unit": unit,
    }
    if upper is None:
        frame = read_table(data, roles, missing=missing)
        ends = None
    else:
        frame = read_table(data, {**roles, "upper": upper}, missing="keep")
        ends = frame[upper]
        frame.pop(upper)
        frame = _complete(frame, missing)
        ends = ends.loc[frame.index].reset_index(drop=True)
        frame = frame.reset_index(drop=True)
    names = [time, treatment, *given, *([frailty] if frailty else [])]
    refuse_names([str(n) for n in names], own=OWN)
    _times(frame, time)
    told = _status(frame, event, upper, codes)
    status = np.where(np.isin(told, codes), RIGHT, told)
    start = None if entry is None else _entries(frame, time, entry)
    window = None if ends is None else _windows(frame, time, ends, status)
    levels, low, high = _arms(frame, treatment, treated, control)
    keep = [n for n in frame.columns if n in names or n == unit]
    found = Records(
        frame[keep],
        time,
        treatment,
        given,
        frailty,
        unit,
        status,
        window,
        start,
        levels,
        low,
        high,
        by_order=levels is not None and treated is None and control is None,
    )
    _refuse_silent_arms(found)
    return found, told


# ------------------------------------------------------------------------------- private


def _complete(frame: pd.DataFrame, missing: str) -> pd.DataFrame:
    """Apply the rule of empty cells, which are allowed in the ends of intervals alone."""
    empty = frame.isna().any(axis=1)
    if not empty.any() or missing == "keep":
        return frame
    if missing == "drop":
        return frame.loc[~empty]
    named = ", ".join(map(repr, frame.columns[frame.isna().any()]))
    raise DataError(
        f"{int(empty.sum()):,} of {len(frame):,} rows have an empty cell in {named}.",
        expected="A value in every cell.",
        remedy='Pass missing="drop" to leave these rows out.',
    )


def _times(frame: pd.DataFrame, time: str) -> None:
    """Refuse times that are not positive numbers."""
    values = numbers(frame, time, "time")
    bad = values <= 0
    if bad.any():
        row = int(np.argmax(bad))
        few = values[values > 0].min() / 2 if (values > 0).any() else 0.5
        raise DataError(
            f"{int(bad.sum()):,} of {len(values):,} times in {time!r} are not positive, such as "
            f"{values[row]:g} in row {row}.",
            expected="Times after time zero.",
            remedy="An event at time zero happened before there was a treatment to compare: drop "
            f"these rows, or, where times were rounded down, add half a unit ({few:g}).",
        )
    frame[time] = values


def _status(frame: pd.DataFrame, event: str, upper: str | None, codes: Sequence[int]) -> Array:
    """Return what was seen of each time, as codes."""
    found = kind_of(frame[event])
    values = np.asarray(found.values)
    allowed: tuple[int, ...] = (0, 1, 2, 3) if upper is not None else (0, 1, 2)
    if codes:
        allowed = (0, 1, *codes)
    seen = list(dict.fromkeys(values.ravel().tolist()))
    if found.what != "number" or any(v not in allowed for v in seen):
        shown = ", ".join(repr(v) for v in seen[:4]) + (", ..." if len(seen) > 4 else "")
        words = "0 (censored), 1 (event) or 2 (before the time, censored on the left)"
        remedy = ""
        if found.what == "number" and set(seen) <= {0, 1, 2, 3}:
            remedy = "Rows that say 3 (in an interval) need its end: upper=."
        elif len(seen) == 2:
            last = seen[-1] if not _is_censored(seen[-1]) else seen[0]
            remedy = f"Say what is an event: (data[{event!r}] == {last!r}).astype(int)."
        if codes:
            words = f"0 (censored), 1 (event) or {', '.join(map(str, codes))} (competing events)"
        raise DataError(
            f"The column {event!r} (event=) holds {shown}.",
            expected=f"{words}{', or 3 (between the time and upper=)' if upper else ''}.",
            remedy=remedy or "Code it so.",
        )
    told = values.astype(int)
    if not codes and set(seen) == {EVENT, LEFT}:
        raise DataError(
            f"The column {event!r} (event=) holds 1 and 2, and no 0. In R's tables these say "
            "censored (1) and event (2), and here 2 is an event before the time.",
            expected="0 (censored), 1 (event) or 2 (before the time, censored on the left).",
            remedy=f"Say what is an event: (data[{event!r}] == 2).astype(int). Where 2 does mean "
            "before the time, say 3 with the time near 0 and the time itself as upper=.",
        )
    if not (told != RIGHT).any():
        raise DataError(
            f"There is no event in the data: {event!r} is 0 in every row.",
            expected="1 where the event was seen.",
        )
    return told


def _is_censored(label: object) -> bool:
    text = str(label).lower()
    return any(word in text for word in ("cens", "alive", "lost", "no", "0"))


def _entries(frame: pd.DataFrame, time: str, entry: str) -> Array:
    """Return when each row came in, or refuse entries after the end."""
    start = numbers(frame, entry, "entry", least=0.0)
    bad = start >= frame[time].to_numpy(dtype=float)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{int(bad.sum()):,} rows end before they begin, such as row {row}: {entry!r} is "
            f"{start[row]:g}, {time!r} is {frame[time].iloc[row]:g}.",
            expected="An entry before the time.",
            remedy="Who had the event before coming in was never at risk here: drop these rows. An "
            "interval that began before the entry begins with it: put the entry in its place.",
        )
    return start


def _windows(frame: pd.DataFrame, time: str, ends: pd.Series, status: Array) -> Array:
    """Return the ends of intervals; of other rows, the time."""
    start = frame[time].to_numpy(dtype=float)
    inside = status == INTERVAL
    found = kind_of(ends)
    if found.what != "number":
        raise DataError(f"upper= holds {found.what}s.", expected="Numbers.")
    values = np.asarray(found.values, dtype=float)
    bad = inside & ~(np.isfinite(values) & (values > start))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{int(bad.sum()):,} intervals do not end after they begin, such as row {row}: "
            f"from {start[row]:g} to {values[row]:g}.",
            expected="upper= above the time in every row with the status 3.",
            remedy="Where the event was not seen, the status is 0; where it was seen exactly, 1.",
        )
    return np.where(inside, values, start)


def _arms(
    frame: pd.DataFrame, treatment: str, treated: object, control: object
) -> tuple[tuple[Any, ...] | None, Any, Any]:
    """Return the levels of a treatment with labels, and the two that are compared."""
    if kind_of(frame[treatment]).what == "number":
        values = numbers(frame, treatment, "treatment", varies=True)
        seen = np.unique(values)
        low = 0 if control is None else control
        high = 1 if treated is None else treated
        if (treated is None or control is None) and not set(seen) <= {0.0, 1.0}:
            shown = ", ".join(f"{v:g}" for v in seen[:4]) + (", ..." if len(seen) > 4 else "")
            raise DataError(
                f"The treatment {treatment!r} takes the values {shown}.",
                expected="0 and 1, or the two levels to compare.",
                remedy=f"Pass treated={seen[-1]:g}, control={seen[0]:g}.",
            )
        return None, low, high
    _, found = labels(frame, treatment, "treatment")
    chosen = {"treated": treated, "control": control}
    for role, level in chosen.items():
        if level is not None and level not in found:
            raise DataError(
                f"{role}={level!r} is no level of {treatment!r}.",
                expected=f"One of {', '.join(map(repr, found))}.",
                names=closest(str(level), map(str, found))[:1],
            )
    if len(found) > 2 and None in chosen.values():
        raise DataError(
            f"The treatment {treatment!r} has {len(found)} levels: {', '.join(map(repr, found))}.",
            expected="The two to compare.",
            remedy=f"Pass treated={found[-1]!r}, control={found[0]!r}; the others stay in the "
            "model.",
        )
    low = control if control is not None else next(v for v in found if v != treated)
    high = treated if treated is not None else next(v for v in found if v != low)
    if low == high:
        raise DataError(f"treated= and control= are both {low!r}.", expected="Two levels.")
    return (low, *(v for v in found if v != low)), low, high


def _refuse_silent_arms(found: Records) -> None:
    """Refuse an arm without rows, or without an event."""
    if found.levels is None and not set(found.arms) <= set(found.frame[found.treatment]):
        return  # a dose: levels between those seen may be asked about
    for level in found.arms:
        rows = found.arm(level)
        if not found.events[rows].any():
            raise DataError(
                f"Nobody of the {int(rows.sum()):,} rows with {found.treatment} = {level!r} has "
                "the event.",
                expected="Events in both arms.",
                remedy="The data give no upper limit to the times of that arm: follow it longer, "
                "or compare the risk at a time (bc.designs.ab_test on a 0/1 outcome).",
            )
