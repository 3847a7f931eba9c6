r"""Competing events: another event ends the follow-up, and what is asked about cannot follow it.

.. code-block:: text

    rx ----> T_1 \
      \           min(T_1, T_2, C), and which of them it is
       +---> T_2 /

Each kind of event has a time with a regression of its own. The data show which comes first, so that
the time of one kind is censored by the other, and what is known of each is its hazard among those
who have had neither. The *cumulative incidence*, :math:`P(T_1 \le t, T_1 < T_2)`, is a function of
these hazards; whether the times are dependent beyond them the data cannot tell, and it does not
matter [1]_. One minus Kaplan-Meier is not this: it is what would happen if no other event did, and
if those who had another were like those who go on.

A difference of cumulative incidences is the total effect: a drug that kills lowers the incidence of
relapse. It is reported with the effect on the other event. The effect if other events were
prevented needs more, times that are independent given covariates [2]_.

References
----------
.. [1] R. L. Prentice et al., "The analysis of failure times in the presence of competing risks",
   Biometrics 34(4), 1978.
.. [2] J. G. Young, M. J. Stensrud, E. J. Tchetgen Tchetgen and M. A. Hernan, "A causal framework
   for classical statistical estimands in failure-time settings with competing events", Statistics
   in Medicine 39(8), 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.designs.time_to_event.nonparametric import aalen_johansen
from bayescausal.draws.intervals import narrowest
from bayescausal.effects.averaging.time_functionals import CumulativeIncidence
from bayescausal.effects.estimands import ATE, Expected
from bayescausal.effects.estimate import estimate
from bayescausal.figures.style import CYCLE, legend_above, new_axes, quiet, tidy
from bayescausal.model.design import Assumption
from bayescausal.types import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bayescausal.annotations import Array
    from bayescausal.designs.time_to_event.records import Records
    from bayescausal.inference.record import Fit

__all__ = [
    "against_aalen_johansen",
    "assumptions_with_rivals",
    "codes_of",
    "effects_with_rivals",
    "plot_incidence",
    "with_rivals",
]

#: Times at which curves are compared and drawn, and standard errors that are remarked on.
TIMES, POINTS, FAR = 5, 25, 3.0


def codes_of(competing: object) -> dict[str, int]:
    """Return the codes of competing events by name."""
    if competing is None:
        return {}
    if isinstance(competing, Mapping):
        named = dict(competing)
    else:
        several = competing if isinstance(competing, list | tuple) else [competing]
        named = {str(v): v for v in several}
    codes = list(named.values())
    whole = all(isinstance(c, int | np.integer) and not isinstance(c, bool) for c in codes)
    if not codes or not whole or len({0, 1, *codes}) != len(codes) + 2:
        raise DataError(
            f"competing={competing!r}.",
            expected="Codes of event= other than 0 (censored) and 1 (the event that is asked "
            'about), such as {"death": 2}.',
        )
    return {str(name): int(code) for name, code in named.items()}


def with_rivals(found: Records, status: Array, codes: Mapping[str, int]) -> Records:
    """Return the records with those of competing events beside them."""
    rivals = []
    for name, code in codes.items():
        if not (status == code).any():
            raise DataError(
                f"competing= names {name!r} = {code}, which no row has.",
                expected=f"Among {sorted(set(status.tolist()) - {0, 1})}.",
            )
        time = f"{found.time}_{name}"
        if not time.isidentifier() or time in found.frame:
            raise DataError(
                f"The time of the competing event would be called {time!r}.",
                expected="A name that is free: letters, digits and underscores.",
                remedy='Name the event: competing={"death": 2}.',
            )
        frame = found.frame.rename(columns={found.time: time})
        seen = (status == code).astype(int)
        rivals.append(replace(found, frame=frame, time=time, status=seen, suffix=f"_{name}"))
    return replace(found, rivals=tuple(rivals))


def effects_with_rivals(
    records: Records, upto: float, times: tuple[float, ...], alone: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the questions: the incidence of each event, and the first as if others never came."""
    worlds = {"treated": records.treated, "control": records.control}
    found = {}
    kinds = (records, *records.rivals)
    for own in kinds:
        label = own.suffix.replace("_", ", ", 1)
        before = [k.time for k in kinds if k is not own]
        for name, at in (("cumulative incidence", times), ("risk difference", upto)):
            found[name + label] = ATE(
                records.treatment, own.time, functional=CumulativeIncidence(at, before), **worlds
            )
    return found | {f"{name}, others prevented": q for name, q in alone.items()}


def assumptions_with_rivals(records: Records) -> list[Assumption]:
    """Return what the questions about one of several events rest on."""
    others = ", ".join(r.time for r in records.rivals)
    return [
        Assumption(
            "competing events",
            f"The cumulative incidence is a total effect: a part of it may come about through "
            f"{others}. Report the effects on both.",
            "incidence against Aalen-Johansen",
        ),
        Assumption(
            "others prevented",
            f"Effects named so ask what would happen without {others}: they need {records.time} "
            f"and {others} to be independent given the covariates, of which no data can tell.",
        ),
    ]


def against_aalen_johansen(records: Records, upto: float, fit: Fit) -> pd.DataFrame:
    """Compare the incidence of each event in each arm with the Aalen-Johansen estimate.

    The model's is averaged over the units of the arm as they are. ``z`` is the difference in
    standard errors of both.
    """
    at = np.linspace(0, upto, TIMES + 1)[1:]
    rows = []
    for level in records.arms:
        for own, estimated, error in _observed(records, level, at):
            draws = _incidence(fit, records, own, level, at, given={records.treatment: level})
            mean, sd = draws.mean(axis=0), draws.std(axis=0)
            z = (mean - estimated) / np.maximum(np.hypot(sd, error), 1e-300)
            parts = zip(at, mean, sd, estimated, error, z, strict=True)
            rows += [(level, own.time, *map(float, part)) for part in parts]
    names = ["arm", "event", "time", "model", "sd", "Aalen-Johansen", "se", "z"]
    table = pd.DataFrame(rows, columns=names)
    return table.assign(verdict=np.where(table["z"].abs() > FAR, "differs", "agrees"))


def plot_incidence(records: Records, upto: float, fit: Fit, ax: Axes | None = None) -> Axes:
    """Draw the incidence of the event under do of each arm, and Aalen-Johansen steps.

    `ax`: where to draw. Default: a new figure.
    """
    ax = new_axes(ax, height=3.8)
    at = np.linspace(0.0, upto, POINTS + 1)
    for colour, level in zip(CYCLE, records.arms, strict=False):
        draws = _incidence(fit, records, records, level, at[1:], given=None)
        whole = np.concatenate([np.zeros((len(draws), 1)), draws], axis=1)
        low, high = narrowest(whole, 0.94)
        ax.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
        ax.plot(at, whole.mean(axis=0), color=colour, label=f"do({records.treatment} = {level})")
        fine = np.linspace(0.0, upto, 400)
        _, seen, _ = _observed(records, level, fine)[0]
        ax.step(fine, seen, where="post", color=colour, linewidth=0.9, alpha=0.9)
    ax.plot([], [], color=quiet(), linewidth=0.9, drawstyle="steps-post", label="Aalen-Johansen")
    ax.set(xlim=(0, upto), xlabel=records.time, ylabel="share with the event")
    ax.set_ylim(bottom=0)
    legend_above(ax)
    return tidy(ax, grid="y", left=True)


# ------------------------------------------------------------------------------- private


def _observed(records: Records, level: object, at: Array) -> list[tuple[Records, Array, Array]]:
    """Return, of each event, what those of an arm show at some times, and its standard error."""
    rows = records.arm(level)
    kinds = (records, *records.rivals)
    cause = sum((k + 1) * (own.status[rows] == 1) for k, own in enumerate(kinds))
    entry = None if records.entry is None else records.entry[rows]
    found = aalen_johansen(records.times[rows], np.asarray(cause), at, entry)
    return [(own, *found[k + 1]) for k, own in enumerate(kinds)]


def _incidence(
    fit: Fit,
    records: Records,
    own: Records,
    level: object,
    at: Sequence[float] | Array,
    given: Mapping[str, Any] | None,
) -> Array:
    """Return draws of the incidence of one event in one world."""
    before = [k.time for k in (records, *records.rivals) if k is not own]
    question = Expected(
        own.time,
        {records.treatment: level},
        functional=CumulativeIncidence(np.asarray(at).tolist(), before),
        given=given,
    )
    return np.asarray(estimate(fit, question, seed=1).draws).reshape(-1, len(at))
