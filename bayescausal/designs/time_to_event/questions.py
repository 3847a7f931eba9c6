"""The questions of a survival study, and what their answers rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.designs.time_to_event.competing import assumptions_with_rivals, effects_with_rivals
from bayescausal.designs.time_to_event.families import FAMILIES
from bayescausal.designs.time_to_event.records import LEFT
from bayescausal.effects.averaging.time_functionals import RestrictedMean, Survival
from bayescausal.effects.estimands import ATE, QTE
from bayescausal.effects.estimands.functionals import Probability
from bayescausal.model.design import Assumption
from bayescausal.types import DataError

if TYPE_CHECKING:
    from bayescausal.designs.time_to_event.records import Records

__all__ = ["assumptions_of", "effects_of", "followed", "horizon"]


#: Which two labels are compared for want of another word.
_ORDER = (
    "{} = {} is compared with {}, the first in the order of the labels; treated= and control= say "
    "another."
)


def followed(records: Records) -> dict[Any, float]:
    """Return, of each arm that is compared, the last time that was seen; of a dose, of all."""
    ends = records.times if records.upper is None else np.maximum(records.times, records.upper)
    rows = {level: records.arm(level) for level in records.arms}
    everyone = np.ones(len(ends), bool)
    return {k: float(ends[r if r.any() else everyone].max()) for k, r in rows.items()}


def horizon(records: Records, upto: float | None) -> float:
    """Return up to when times are compared."""
    if upto is None:
        return min(followed(records).values())
    if isinstance(upto, bool) or not isinstance(upto, int | float | np.number) or not upto > 0:
        raise DataError(f"upto={upto!r}.", expected="A positive number, in the units of the times.")
    if not np.isfinite(upto):
        raise DataError(
            f"upto={upto!r}.",
            expected="A finite number.",
            remedy="For the mean of the whole time ask bc.ATE: it rests on a tail nobody saw.",
        )
    return float(upto)


def effects_of(records: Records, upto: float, times: tuple[float, ...]) -> dict[str, object]:
    """Return the questions, by name."""
    worlds: dict[str, Any] = {"treated": records.treated, "control": records.control}
    if records.unit is not None:
        worlds["given"] = {"entered_at": 0.0}  # one row for each unit: its first
    pair = (records.treatment, records.time)
    found: dict[str, object] = {
        "RMST": ATE(*pair, functional=RestrictedMean(upto=upto), **worlds),
        "survival": ATE(*pair, functional=Survival(times), **worlds),
        "survival at upto": ATE(*pair, functional=Probability(above=upto), **worlds),
        "risk difference": ATE(*pair, functional=Probability(at_most=upto), **worlds),
        "median": QTE(*pair, q=0.5, **worlds),
        "quantile": QTE(*pair, q=0.25, **worlds),
    }
    return effects_with_rivals(records, upto, times, found) if records.rivals else found


def assumptions_of(records: Records, family: str, upto: float) -> tuple[Assumption, ...]:
    """Return what identifies the effects, in words of the study."""
    rx, time = records.treatment, records.time
    kind = FAMILIES[family]
    through = f" but through {', '.join(records.covariates)}" if records.covariates else ""
    given = ", ".join([rx, *records.covariates])
    found = [
        Assumption(
            "no unmeasured confounding",
            f"{rx} and {time} have no common cause{through}.",
            "bc.hidden_confounder",
        ),
        Assumption(
            "independent censoring",
            f"How long a unit was followed has no cause in common with {time} but {given}.",
        ),
        Assumption(
            "form of the distribution",
            f"{time} has {kind.words}.",
            "fit against Kaplan-Meier",
        ),
    ]
    if kind.hazards or kind.shape:
        found.append(
            Assumption(
                "hazard ratio",
                f"log_hazard_ratio is a parameter, not an effect of {rx} on {time}: it compares "
                "those who are left in two worlds, and it is not collapsible: another covariate "
                "changes it although nothing is confounded. Report the restricted mean.",
                "proportional hazards",
            )
        )
    found += _of_rows(records, through, given)
    found += assumptions_with_rivals(records) if records.rivals else []
    if records.by_order:
        found.append(Assumption("contrast", _ORDER.format(rx, records.treated, records.control)))
    beyond = {level: last for level, last in followed(records).items() if last < upto}
    for level, last in beyond.items():
        found.append(
            Assumption(
                "extrapolation",
                f"Nobody with {rx} = {level} was followed beyond {last:g}: up to {upto:g} the "
                f"answer is the {family} family's, not the data's.",
                "follow-up",
            )
        )
    return tuple(found)


def _of_rows(records: Records, through: str, given: str) -> list[Assumption]:
    """Return what is assumed of rows that began late, ended early or change their treatment."""
    rx, time = records.treatment, records.time
    found = []
    left = int((records.status == LEFT).sum())
    if left:
        found.append(
            Assumption(
                "codes of the event",
                f"The {left:,} of {len(records.status):,} rows with code 2 had the event at some "
                f"time before {time}. Where 2 is another event, name it: competing=.",
            )
        )
    if records.entry is not None:
        found.append(
            Assumption(
                "late entry",
                f"When a unit came in has no cause in common with {time} but {given}.",
            )
        )
    if records.unit is not None:
        found.append(
            Assumption(
                "treatment in time",
                f"At each change of {rx} there is no common cause of it and of the rest of {time}"
                f"{through}; what {rx} itself moves later is not among them.",
            )
        )
    return found
