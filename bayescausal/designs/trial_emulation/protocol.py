"""The protocol of a target trial, as a record: what a trial would have written down beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.designs.table import check_choice
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from bayescausal.designs.trial_emulation.events import Events

    type Rule = bool | tuple[float, float] | str | Callable[[Any], bool]
    """Has it happened, in which range is its last value, what is that value, a function of it."""

__all__ = ["Protocol", "checked"]


@dataclass(frozen=True, eq=False)
class Protocol:
    """What defines the trial."""

    treatment: str
    outcome: str
    eligibility: Mapping[str, Rule] | Callable[[pd.DataFrame], bool]
    time_zero: str | None
    stop: str | None
    baseline: tuple[str, ...]
    covariates: tuple[str, ...]
    grace: float
    follow_up: float
    every: float
    censoring: tuple[str, ...]
    sequential: bool
    per_protocol: bool
    end: float

    @property
    def clones(self) -> bool:
        """Whether the arm is not known at time zero, so that units are in both until it is."""
        return self.grace > 0

    @property
    def adjusted(self) -> tuple[str, ...]:
        """Columns that the outcome is adjusted for."""
        return (*self.covariates, *self.baseline, *(("trial",) if self.sequential else ()))


def checked(
    events: Events,
    *,
    treatment: str,
    outcome: str,
    eligibility: Any,
    time_zero: str | None,
    stop: str | None,
    baseline: Sequence[str],
    covariates: Sequence[str],
    grace: float,
    follow_up: float,
    every: float | None,
    censoring: Sequence[str],
    trials: str,
    estimand: str,
    end: float | None,
) -> Protocol:
    """Return the protocol, or say what in it the table does not know."""
    check_choice("trials", trials, ("single", "sequential"))
    check_choice("estimand", estimand, ("itt", "per_protocol"))
    events.require(treatment, "treatment")
    events.require(outcome, "outcome")
    several = {"baseline": baseline, "censoring": censoring}
    named = {role: (n,) if isinstance(n, str) else tuple(n) for role, n in several.items()}
    for role, names in named.items():
        for name in names:
            events.require(name, role)
    for role, one in {"time_zero": time_zero, "stop": stop}.items():
        if one is not None:
            events.require(one, role)
    if not callable(eligibility):
        eligibility = dict(eligibility or {})
        for name in eligibility:
            if name not in events.columns:
                events.require(name, "eligibility")
    _positive("follow_up", follow_up)
    if trials == "sequential":
        _positive("every", every)
    if not np.isfinite(grace) or grace < 0 or grace >= follow_up:
        raise DataError(
            f"grace={grace!r} with follow_up={follow_up!r}.",
            expected="From 0 to less than the follow-up.",
        )
    if estimand == "per_protocol" and stop == treatment:
        raise DataError(
            f"stop= and treatment= are both {stop!r}.", expected="Two different events."
        )
    return Protocol(
        treatment,
        outcome,
        eligibility,
        time_zero,
        stop,
        named["baseline"],
        (covariates,) if isinstance(covariates, str) else tuple(covariates),
        float(grace),
        float(follow_up),
        float(every or 0),
        named["censoring"],
        trials == "sequential",
        estimand == "per_protocol",
        events.end if end is None else float(end),
    )


def _positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not value > 0:
        raise DataError(f"{name}={value!r}.", expected="A positive number, in days.")
