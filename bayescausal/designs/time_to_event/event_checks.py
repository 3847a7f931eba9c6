"""Checks of a survival study: against Kaplan-Meier, proportional hazards, follow-up, families."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.designs.time_to_event.competing import against_aalen_johansen
from bayescausal.designs.time_to_event.likelihood import maximum_likelihood
from bayescausal.designs.time_to_event.nonparametric import Curve, cox, kaplan_meier
from bayescausal.effects.estimands import Expected
from bayescausal.effects.estimands.functionals import Probability
from bayescausal.effects.estimate import estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array
    from bayescausal.designs.time_to_event.records import Records
    from bayescausal.inference.record import Fit

__all__ = ["arm_curves", "checks_of", "design_columns"]

#: Times at which curves are compared.
TIMES = 5
#: Standard errors of a difference that is remarked on.
FAR = 3.0


def checks_of(records: Records, family: str, upto: float) -> dict[str, Callable[..., pd.DataFrame]]:
    """Return the checks, by name; each takes the fit."""
    against = {"fit against Kaplan-Meier": partial(against_kaplan_meier, records, upto)}
    if records.rivals:
        against = {
            "incidence against Aalen-Johansen": partial(against_aalen_johansen, records, upto)
        }
    return {
        **against,
        "proportional hazards": partial(proportional_hazards, records),
        "follow-up": partial(follow_up, records, upto),
        "families": partial(families, records, family),
    }


def arm_curves(records: Records) -> dict[object, Curve]:
    """Return the Kaplan-Meier curve of each arm that was seen; intervals stand at their middle."""
    time = records.times
    if records.upper is not None:
        time = (time + records.upper) / 2
    seen: dict[object, Curve] = {}
    for level in records.arms:
        rows = records.arm(level)
        if rows.any():
            entry = None if records.entry is None else records.entry[rows]
            seen[level] = kaplan_meier(time[rows], records.events[rows], entry)
    return seen


def against_kaplan_meier(records: Records, upto: float, fit: Fit) -> pd.DataFrame:
    """Compare the survival of each arm as the model has it with Kaplan-Meier, at several times.

    The model's is averaged over the units of the arm as they are. ``z`` is the difference in
    standard errors of both.
    """
    rows = []
    times = np.linspace(0, upto, TIMES + 1)[1:]
    for level, curve in arm_curves(records).items():
        given = {records.treatment: level}
        if records.unit is not None:
            given["entered_at"] = 0.0
        for t in times:
            question = Expected(
                records.time,
                {records.treatment: level},
                functional=Probability(above=float(t)),
                given=given,
            )
            answer = estimate(fit, question, seed=1)
            at = np.array([t])
            seen, error = float(curve.at(at)[0]), float(curve.error(at)[0])
            spread = float(np.hypot(error, float(answer.sd())))
            z = (float(answer.mean()) - seen) / spread if spread else 0.0
            rows.append(
                {
                    "arm": level,
                    "time": float(t),
                    "model": float(answer.mean()),
                    "sd": float(answer.sd()),
                    "Kaplan-Meier": seen,
                    "se": error,
                    "z": z,
                    "verdict": "differs" if abs(z) > FAR else "agrees",
                }
            )
    return pd.DataFrame(rows)


def design_columns(records: Records) -> tuple[Array, list[str]]:
    """Return treatment and covariates as columns of numbers, labels as indicators."""
    parts: list[pd.DataFrame] = []
    for name in (records.treatment, *records.covariates):
        column = records.frame[name]
        if pd.api.types.is_numeric_dtype(column):
            parts.append(column.astype(float).to_frame(name))
            continue
        found = records.levels if name == records.treatment and records.levels else None
        values = pd.Categorical(column, categories=found)
        made = pd.get_dummies(pd.Series(values), dtype=float).iloc[:, 1:]
        parts.append(made.add_prefix(f"{name}: "))
    table = pd.concat([p.reset_index(drop=True) for p in parts], axis=1)
    return table.to_numpy(dtype=float), list(map(str, table.columns))


def proportional_hazards(records: Records, fit: Fit | None = None) -> pd.DataFrame:
    """Compare the log hazard ratio (Cox) of the first half of the events with that of the second.

    Proportional hazards have one ratio for all times. ``z`` is the difference in standard errors.
    """
    design, names = design_columns(records)
    column = _treated_column(records, names)
    time, event = records.times, records.events
    if records.upper is not None:
        time = (time + records.upper) / 2
    entry = np.zeros(len(time)) if records.entry is None else records.entry
    middle = float(np.median(time[event]))
    late, early = time > middle, entry < middle
    parts = {
        "all": (time, event, design, records.entry),
        "first half of the events": (
            np.minimum(time, middle)[early],
            (event & ~late)[early],
            design[early],
            entry[early],
        ),
        "second half": (
            time[late],
            event[late],
            design[late],
            np.maximum(entry, middle)[late],
        ),
    }
    rows = {}
    for name, part in parts.items():
        try:
            beta, error = cox(*part)
            rows[name] = {"log hazard ratio": beta[column], "se": error[column]}
        except ArithmeticError as stopped:
            rows[name] = {"log hazard ratio": np.nan, "se": np.nan, "verdict": str(stopped)}
    found = pd.DataFrame.from_dict(rows, orient="index")
    halves = found.iloc[1:]
    z = float(np.diff(halves["log hazard ratio"])[0] / np.hypot(*halves["se"]))
    found["z"] = [np.nan, np.nan, z]
    if "verdict" not in found:
        found["verdict"] = ""
    if np.isfinite(z):
        found.loc["second half", "verdict"] = "changes" if abs(z) > FAR else "no change seen"
    found.index.name = "events"
    return found


def _treated_column(records: Records, names: list[str]) -> int:
    """Return the place of the column that tells the treated from the control."""
    if records.treatment in names:
        return names.index(records.treatment)
    return names.index(f"{records.treatment}: {records.treated}")


def follow_up(records: Records, upto: float, fit: Fit | None = None) -> pd.DataFrame:
    """Return, of each arm, rows, events, who is followed at the horizon, and the last time."""
    rows = []
    for level in records.arms:
        some = records.arm(level)
        if not some.any():
            continue
        time = records.times[some]
        left = int((time >= upto).sum())
        rows.append(
            {
                "arm": level,
                "rows": int(some.sum()),
                "events": int(records.events[some].sum()),
                f"followed at {upto:g}": left,
                "last time": float(time.max()),
                "verdict": "extrapolated" if not left else "seen",
            }
        )
    return pd.DataFrame(rows)


def families(records: Records, family: str, fit: Fit | None = None) -> pd.DataFrame:
    """Compare families by their maximum likelihood (AIC, smaller is better), same columns."""
    design, _ = design_columns(records)
    found = maximum_likelihood(records, design)
    table = pd.DataFrame(found).set_index("family").sort_values("AIC")
    table["difference"] = table["AIC"] - table["AIC"].min()
    table["in use"] = ["*" if name == family else "" for name in table.index]
    return table
