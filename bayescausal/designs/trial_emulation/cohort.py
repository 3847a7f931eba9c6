"""Who is eligible when: candidates at their time zero, and the flow of those who were excluded.

Each criterion is read off the history up to time zero, one after the other, and each exclusion is
counted once, under the first criterion that fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array
    from bayescausal.designs.trial_emulation.events import Events
    from bayescausal.designs.trial_emulation.protocol import Protocol

__all__ = ["Cohort", "Flow", "eligible"]


class Flow:
    """Counts who is left after each step."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, step: str, left: int, excluded: int) -> None:
        """Add a step."""
        self.rows.append({"step": step, "left": left, "excluded": excluded})

    def table(self) -> pd.DataFrame:
        """Return the steps as a table."""
        return pd.DataFrame(self.rows, columns=["step", "left", "excluded"])


@dataclass(frozen=True, eq=False)
class Cohort:
    """Those who are eligible, each at a time zero."""

    # ``unit`` (code), ``trial`` (number), ``zero`` (time), and the columns at baseline.
    frame: pd.DataFrame
    flow: Flow


def eligible(events: Events, protocol: Protocol) -> Cohort:
    """Return who is eligible at which time zero, and count who is not."""
    flow = Flow()
    flow.add("units in the table", len(events.units), 0)
    frame = _candidates(events, protocol, flow)
    unit, zero = frame["unit"].to_numpy(), frame["zero"].to_numpy(dtype=float)
    started = events.first(protocol.treatment)[unit]
    ended = events.first(protocol.outcome)[unit]
    lost = np.min([np.full(len(unit), protocol.end), *(
        events.first(name)[unit] for name in protocol.censoring
    )], axis=0)  # fmt: skip
    steps: list[tuple[str, Array]] = [
        (f"no {protocol.outcome} up to time zero", ended > zero),
        ("under observation at time zero", lost > zero),
        (f"no {protocol.treatment} before time zero", started >= zero),
        *_criteria(events, protocol, unit, zero),
    ]
    columns, known = _at_baseline(events, protocol, unit, zero)
    steps += known
    left = np.ones(len(frame), bool)
    for words, fine in steps:
        before = int(left.sum())
        left = left & fine
        flow.add(words, int(left.sum()), before - int(left.sum()))
    if not left.any():
        worst = max(flow.rows[1:], key=lambda row: row["excluded"])
        raise DataError(
            f"Nobody is eligible: most are excluded by {worst['step']!r} "
            f"({worst['excluded']:,} of {len(frame):,}).",
            expected="Units that meet every criterion at their time zero.",
            remedy="Look at the steps: " + "; ".join(
                f"{r['step']}: {r['left']:,}" for r in flow.rows
            ) + ".",
        )  # fmt: skip
    frame = pd.concat([frame, columns], axis=1).loc[left].reset_index(drop=True)
    return Cohort(frame, flow)


# ------------------------------------------------------------------------------- private


def _candidates(events: Events, protocol: Protocol, flow: Flow) -> pd.DataFrame:
    """Return the times zero that are tried: one for each unit, or one for each of its trials."""
    start = events.first_seen() if protocol.time_zero is None else events.first(protocol.time_zero)
    has = np.isfinite(start)
    if protocol.time_zero is not None:
        flow.add(f"with {protocol.time_zero} (time zero)", int(has.sum()), int((~has).sum()))
    units = np.flatnonzero(has)
    if not protocol.sequential:
        return pd.DataFrame({"unit": units, "trial": 0, "zero": start[units]})
    # a trial begins at each step as long as somebody could still be in it
    last = np.min(
        [np.full(len(start), protocol.end), events.first(protocol.outcome),
         events.first(protocol.treatment), *(events.first(n) for n in protocol.censoring)], axis=0
    )  # fmt: skip
    count = np.floor((last[units] - start[units]) / protocol.every + 1e-9).astype(int) + 1
    count = np.maximum(count, 1)
    unit = np.repeat(units, count)
    number = np.concatenate([np.arange(c) for c in count]) if len(count) else np.zeros(0, int)
    flow.add("unit-trials, one at each step", len(unit), 0)
    return pd.DataFrame(
        {"unit": unit, "trial": number, "zero": start[unit] + number * protocol.every}
    )


def _criteria(
    events: Events, protocol: Protocol, unit: Array, zero: Array
) -> list[tuple[str, Array]]:
    """Return the caller's criteria in words, and who meets each."""
    rules = protocol.eligibility
    if callable(rules):
        return [("meets the rule of eligibility", _by_history(rules, events, unit, zero))]
    found = []
    for name, rule in rules.items():
        if name in events.columns:
            value = events.columns[name].to_numpy()[unit]
            seen = ~pd.isna(value)
            if isinstance(rule, bool):
                found.append((f"{name} is {rule}", _has_truth(name, rule, seen, value)))
                continue
        else:
            seen, value = events.latest(name, unit, zero)
        found.append(_criterion(name, rule, seen, value))
    return found


def _has_truth(name: str, rule: bool, seen: Array, value: Array) -> Array:
    """Return whose column is true, or false: of an event the same words say whether it happened."""
    others = [v for v in pd.unique(value[seen]) if v not in (0, 1)]
    if others:
        raise DataError(
            f"eligibility[{name!r}] is {rule}, and {name!r} is a column of values such as "
            f"{others[0]}.",
            expected="a value, a range (low, high), or a function of the value; True and False "
            "of an event, or of a column of 0 and 1.",
        )
    return _is(rule, seen, value)


def _is(rule: object, seen: Array, value: Array) -> Array:
    """Return who has a value; of an empty cell pandas does not say whether it is the same."""
    return np.array([bool(s) and bool(v == rule) for s, v in zip(seen, value, strict=True)], bool)


def _criterion(name: str, rule: object, seen: Array, value: Array) -> tuple[str, Array]:
    """Return one criterion in words, and who meets it."""
    if rule is True:
        return f"with {name}", seen
    if rule is False:
        return f"without {name}", ~seen
    if callable(rule):
        fine = [bool(s) and bool(rule(v)) for s, v in zip(seen, value, strict=True)]
        return f"{name} meets its rule", np.array(fine, bool)
    if isinstance(rule, tuple) and len(rule) == 2:
        low, high = rule
        numbers = pd.to_numeric(pd.Series(value), errors="coerce").to_numpy(dtype=float)
        return f"{name} from {low:g} to {high:g}", seen & (numbers >= low) & (numbers <= high)
    if isinstance(rule, str | int | float | np.number):
        return f"{name} is {rule}", _is(rule, seen & ~pd.isna(value), value)
    raise DataError(
        f"eligibility[{name!r}] is {rule!r}.",
        expected="True (has happened), False (has not), a range (low, high) of the last value, a "
        "value, or a function of the last value.",
    )


def _by_history(
    rule: Callable[[pd.DataFrame], bool], events: Events, unit: Array, zero: Array
) -> Array:
    """Return who meets a rule about the history up to time zero."""
    groups = dict(iter(events.frame.groupby("unit")))
    fine = []
    for u, z in zip(unit, zero, strict=True):
        rows = groups[u]
        history = rows.loc[rows["time"] <= z, ["time", "event", "value"]].copy()
        history["time"] = history["time"] - z
        fine.append(bool(rule(history)))
    return np.array(fine, bool)


def _at_baseline(
    events: Events, protocol: Protocol, unit: Array, zero: Array
) -> tuple[pd.DataFrame, list[tuple[str, Array]]]:
    """Return the columns that are adjusted for, and who has them."""
    columns: dict[str, Any] = {}
    steps = []
    for name in protocol.covariates:
        columns[name] = events.columns[name].to_numpy()[unit]
        fine = ~pd.isna(columns[name])
        if not fine.all():
            steps.append((f"{name} is known", fine))
    for name in protocol.baseline:
        seen, value = events.latest(name, unit, zero)
        number = pd.Series(value)
        if not number.notna().any():  # an event without values: has it happened?
            columns[name] = seen.astype(int)
            continue
        columns[name] = number.infer_objects().to_numpy()
        steps.append((f"{name} is known at time zero", seen & number.notna().to_numpy()))
    return pd.DataFrame(columns, index=range(len(unit))), steps
