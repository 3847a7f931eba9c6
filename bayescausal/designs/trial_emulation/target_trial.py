r"""A target trial: the trial that one would have liked to run, emulated with a table of events.

.. code-block:: text

    history up to time zero ----> arm ----> time to the outcome
          \_______________________________^

Most of what goes wrong in cohorts from registers is not confounding but a muddle of three moments
that coincide in a trial: when one is eligible, when one is assigned, and when follow-up starts
[1]_. If treatment is read off the future ("ever treated"), the treated cannot die before they
start: immortal time. If those who started long ago are compared, the frail among them are gone:
prevalent users. Here all three are *time zero*, of a protocol that is written down.

* **Eligibility** is read off the history up to time zero.
* **Assignment**: with ``grace=0`` the arm is what one starts at time zero; with a grace period each
  unit is in both arms until it departs from one.
* **Estimand**: ``"itt"`` compares having started with not having started, whatever comes later;
  ``"per_protocol"`` censors at later departures.
* **Sequential trials** start anew at each step with all who are still eligible: one person can be
  in many [2]_.

What identifies the effect: no common cause of starting and of the outcome but what is adjusted for
at time zero, and for censored clones the same of departing. It fails where departures depend on
what happened *after* time zero and moves the outcome (time-varying confounding).

References
----------
.. [1] M. A. Hernan, B. C. Sauer, S. Hernandez-Diaz, R. Platt and I. Shrier, "Specifying a target
   trial prevents immortal time bias and other self-inflicted injuries in observational analyses",
   Journal of Clinical Epidemiology 79, 2016.
.. [2] G. Danaei, L. A. Garcia Rodriguez, O. Fernandez Cantero, R. Logan and M. A. Hernan,
   "Observational data for comparative effectiveness research: an emulation of randomised trials of
   statins", Statistical Methods in Medical Research 22(1), 2013.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bayescausal.designs.table import check_choice
from bayescausal.designs.time_to_event.survival import survival
from bayescausal.designs.trial_emulation.cohort import eligible
from bayescausal.designs.trial_emulation.emulation import Emulation
from bayescausal.designs.trial_emulation.events import read_events
from bayescausal.designs.trial_emulation.flow_picture import plot_flow
from bayescausal.designs.trial_emulation.follow_up import followed, histories
from bayescausal.designs.trial_emulation.protocol import checked
from bayescausal.effects.estimands import ATE
from bayescausal.model.design import Assumption, Design
from bayescausal.model.formulas.build import model_from_formulas
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from bayescausal.annotations import Data
    from bayescausal.designs.trial_emulation.protocol import Protocol

__all__ = ["target_trial"]


def target_trial(
    events: Data,
    *,
    treatment: str,
    outcome: str,
    follow_up: float,
    unit: str = "id",
    time: str = "date",
    event: str = "type",
    value: str | None = None,
    eligibility: Mapping[str, Any] | Callable[[pd.DataFrame], bool] | None = None,
    time_zero: str | None = None,
    baseline: Sequence[str] = (),
    covariates: Sequence[str] = (),
    grace: float = 0.0,
    stop: str | None = None,
    censoring: Sequence[str] = (),
    end: float | None = None,
    trials: str = "single",
    every: float | None = None,
    estimand: str = "itt",
    model: str = "survival",
    family: str | None = None,
    priors: Mapping[str, Any] | None = None,
) -> Design:
    """Return the emulation of a target trial with a table of events.

    Parameters
    ----------
    events : DataFrame, Mapping or source of rows
        One row for each event: pandas, polars, pyarrow, or a DuckDB relation.
    treatment, outcome : str
        The event that starts the treatment, and the event that is the outcome.
    follow_up : float
        How long a unit is followed from time zero, in days (in the units of `time`, if these are
        numbers).
    unit, time, event, value : str
        Columns: whose event it is, when it was (dates or numbers), what it is, and its value (of
        a measurement).
    eligibility : mapping or callable, optional
        Criteria about the history up to time zero, by event: ``True`` (has happened), ``False``
        (has not), ``(low, high)`` for its last value, a value, or a function of the last value. Or
        one function of the history, a DataFrame with ``time`` (0 is time zero), ``event`` and
        ``value``. Always: no outcome and no treatment before, and still under observation.
    time_zero : str, optional
        The event at which a unit can first enter. Default: its first row.
    baseline : sequence of str, optional
        Events whose last value up to time zero is adjusted for; of events without values, whether
        they have happened.
    covariates : sequence of str, optional
        Columns of the table that do not change within a unit, adjusted for; may stand in
        `eligibility` as well, where True and False are values of a column of 0 and 1.
    grace : float, default 0
        How long after time zero one may start and be of the treated arm. Until a unit departs from
        one arm it is in both (clones that are censored).
    stop : str, optional
        The event that ends the treatment: a departure, per protocol.
    censoring : sequence of str, optional
        Events that end observation. Everybody else is taken to be observed up to `end`.
    end : float, optional
        When the table ends; of dates, days since 1970. Default: its last event.
    trials : {"single", "sequential"}
        One time zero for each unit, or a trial at each step of `every`, with all who are still
        eligible.
    every : float, optional
        The step of sequential trials.
    estimand : {"itt", "per_protocol"}
        Whether departures after the arm is settled are ignored, or end follow-up.
    model : {"survival", "binary"}
        The time to the outcome (:func:`bayescausal.designs.survival`), or whether it happened
        within `follow_up`, where all were followed so long.
    family : str, optional
        Of a survival model.
    priors : mapping, optional
        In place of the defaults, by parameter.

    Returns
    -------
    Design
        ``data`` has one row for each unit, trial and arm. ``effects``: those of a survival design,
        or ``"risk difference"`` and ``"risk ratio"``. ``checks``: those of the model, and
        ``"flow"`` (who was excluded and why), ``"ends"``, ``"immortal time"``, ``"copies"``.
        ``plots``: ``"flow"``, ``"survival"``.

    Raises
    ------
    DataError
        If the table has no such events, nobody is eligible, or an arm is empty.

    Notes
    -----
    Departures from the arm are conditionally independent censoring given what is adjusted for: the
    estimand is standardised over the units at time zero (the g-formula), so that no weights are
    needed for what stands in the model. Rows of one unit in several trials or in both arms are not
    independent: the check ``"copies"`` compares the standard error with that of a bootstrap over
    units.

    References
    ----------
    M. A. Hernan and J. M. Robins, "Using big data to emulate a target trial when a randomized trial
    is not available", American Journal of Epidemiology 183(8), 2016.

    Examples
    --------
    >>> import bayescausal as bc
    >>> rows = [(1, 0, "seen"), (1, 0, "drug"), (1, 50, "death"), (2, 0, "seen"), (2, 30, "death"),
    ...         (3, 0, "seen"), (3, 0, "drug"), (4, 0, "seen"), (4, 90, "seen")]
    >>> events = dict(zip(["id", "day", "type"], zip(*rows)))
    >>> d = bc.designs.target_trial(
    ...     events, time="day", treatment="drug", outcome="death", follow_up=60
    ... )
    >>> d.checks["flow"](None)["left"].tolist()
    [4, 4, 4, 4]
    """
    check_choice("model", model, ("survival", "binary"))
    if family is not None and model == "binary":
        raise DataError(
            f"family={family!r} with model='binary', whose outcome is 0 or 1.",
            expected="a family of times, with model='survival'.",
        )
    table = read_events(
        events, unit=unit, time=time, event=event, value=value, columns=_names(covariates)
    )
    protocol = checked(
        table,
        treatment=treatment,
        outcome=outcome,
        eligibility=eligibility,
        time_zero=time_zero,
        stop=stop,
        baseline=baseline,
        covariates=covariates,
        grace=grace,
        follow_up=follow_up,
        every=every,
        censoring=censoring,
        trials=trials,
        estimand=estimand,
        end=end,
    )
    cohort = eligible(table, protocol)
    history = histories(table, protocol, cohort)
    rows = followed(protocol, cohort, history)
    _refuse_empty_arms(protocol, rows)
    emulation = Emulation(protocol, cohort, history, rows)
    rows = rows.assign(unit=table.units.to_numpy()[rows["unit"].to_numpy()])
    if model == "survival":
        design = _time_model(protocol, rows, family or "weibull", priors)
    else:
        design = _risk_model(protocol, rows, priors)
    return replace(
        design,
        name="target_trial",
        assumptions=(*_assumptions(protocol), *design.assumptions),
        checks={
            "flow": emulation.flow,
            "ends": emulation.ends,
            "immortal time": emulation.immortal_time,
            "copies": emulation.copies,
            **design.checks,
        },
        plots={"flow": partial(plot_flow, emulation), **design.plots},
    )


# ------------------------------------------------------------------------------- private


def _names(given: Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _plain(name: str) -> str:
    """Return the name of an event as the name of a variable."""
    found = re.sub(r"\W+", "_", name).strip("_") or "event"
    return f"v_{found}" if found[0].isdigit() else found


def _refuse_empty_arms(protocol: Protocol, rows: pd.DataFrame) -> None:
    """Refuse a trial in which nobody is in an arm."""
    counts = rows["arm"].value_counts()
    for arm, words in ((1, "starts"), (0, "does not start")):
        if not counts.get(arm, 0):
            raise DataError(
                f"Nobody who is eligible {words} {protocol.treatment!r} at time zero.",
                expected="Units in both arms.",
                remedy="Allow a grace period (grace=), begin trials at several times "
                "(trials='sequential', every=), or look at the flow of the criteria.",
            )


def _columns(protocol: Protocol, rows: pd.DataFrame) -> tuple[pd.DataFrame, str, list[str]]:
    """Return the rows under names that variables may have, the treatment, and the covariates."""
    arm = _plain(protocol.treatment)
    adjusted = {n: _plain(n) for n in protocol.adjusted if rows[n].nunique() > 1}
    frame = rows[["unit", *dict.fromkeys(adjusted)]].rename(columns=adjusted)
    return frame.assign(**{arm: rows["arm"].to_numpy()}), arm, list(adjusted.values())


def _time_model(
    protocol: Protocol, rows: pd.DataFrame, family: str, priors: Mapping[str, Any] | None
) -> Design:
    """Return the design of the time to the outcome."""
    frame, arm, adjusted = _columns(protocol, rows)
    name = f"time_to_{_plain(protocol.outcome)}"
    return survival(
        frame.assign(**{name: rows["time"], "status": rows["status"]}),
        time=name,
        event="status",
        treatment=arm,
        covariates=adjusted,
        family=family,
        upto=protocol.follow_up,
        priors=priors,
    )


def _risk_model(protocol: Protocol, rows: pd.DataFrame, priors: Mapping[str, Any] | None) -> Design:
    """Return the design of whether the outcome happens within the follow-up."""
    short = rows["reason"].isin(["departed", "lost"])
    if short.any():
        raise DataError(
            f"{int(short.sum()):,} of {len(rows):,} rows were not followed for "
            f"{protocol.follow_up:g}: whether they have the outcome by then is not known.",
            expected="An outcome for every row.",
            remedy='Pass model="survival", which takes what is known of them.',
        )
    frame, arm, adjusted = _columns(protocol, rows)
    name = _plain(protocol.outcome)
    frame = frame.assign(**{name: rows["status"].to_numpy()})
    made = model_from_formulas(
        [f"{name} ~ {' + '.join([arm, *adjusted])}"],
        families={name: "bernoulli"},
        data=frame,
        priors=priors,
    )
    columns = frame[[name, arm, *adjusted]]
    effects = {
        "risk difference": ATE(arm, name),
        "risk ratio": ATE(arm, name, scale="ratio"),
    }
    return Design("target_trial", made, columns, effects)


def _assumptions(protocol: Protocol) -> tuple[Assumption, ...]:
    """Return what the emulation rests on, in words of the protocol."""
    rx, end = protocol.treatment, protocol.outcome
    given = ", ".join(protocol.adjusted)
    but = f" but through {given} at time zero" if given else ""
    found = [
        Assumption(
            "emulated assignment",
            f"Among the eligible, {rx} and {end} have no common cause{but}.",
            "bc.hidden_confounder",
        ),
        Assumption(
            "one time zero",
            f"Eligibility, the arm and follow-up begin together; {rx} later on decides nothing "
            "before.",
            "immortal time",
        ),
    ]
    if protocol.clones or protocol.per_protocol:
        found.append(
            Assumption(
                "departures",
                f"Departing from an arm and {end} have no common cause{but}: what happens "
                "after time zero and moves both is not adjusted for.",
                "ends",
            )
        )
    if protocol.clones or protocol.sequential:
        found.append(
            Assumption(
                "copies",
                "Rows of one unit count as independent: if it has many, intervals are too narrow.",
                "copies",
            )
        )
    return tuple(found)
