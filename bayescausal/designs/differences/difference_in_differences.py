r"""Differences in differences: what changed for the treated, less what changed for the others.

.. code-block:: text

    cohort -> treated -> y <- time        cohort, time: when a unit is first treated, and when it
    cohort -> y          ^                is seen; treated = (time >= cohort) is a function of them
                       u[unit]

The estimand is the average effect on the treated, *ATT*, overall, by cohort :math:`g`, by time
:math:`t` or by event time :math:`t - g`. It is identified by *parallel trends*: without treatment,
the outcome of every cohort would have moved as that of the units compared with. The model says so,

.. math::

   y_{it} = a_{g(i)} + u_i + b_t + \tau_{g(i),t}\, d_{it}
            + \lambda_{g(i),t}\,(1 - d_{it}) + e_{it} ,

with one effect :math:`\tau` for each cohort and time, so that no unit already treated serves as a
control of another: a single coefficient on :math:`d` would be an average of the :math:`\tau` with
weights of which some may be negative [1]_. The unit effects :math:`u_i` are random within cohorts;
in a balanced panel the coefficients equal those of fixed unit effects [2]_.

- ``control="never"``: the *leads* :math:`\lambda` are free but for the last period before
  treatment, so that only those never treated tell how time goes by; :math:`\tau_{g,t}` is then
  :math:`(\bar y_{g,t} - \bar y_{g,g-1}) - (\bar y_{\infty,t} - \bar y_{\infty,g-1})` [3]_.
- ``control="not_yet"``: :math:`\lambda = 0`, so that all periods before treatment count, and units
  not yet treated are controls [2]_.

It fails where trends differ: treatment that answers a fall of the outcome, other events that hit
one group, a composition that changes, effects before the treatment or on the controls, and a scale
(log or level) on which they are not parallel. Leads show trends that differed before; that says
nothing certain about afterwards, so *violations* of a stated size are given a prior [4]_.

References
----------
.. [1] A. Goodman-Bacon, "Difference-in-differences with variation in treatment timing", Journal of
   Econometrics 225(2), 2021.
.. [2] J. M. Wooldridge, "Two-way fixed effects, the two-way Mundlak regression, and
   difference-in-differences estimators", working paper, 2021.
.. [3] B. Callaway and P. H. C. Sant'Anna, "Difference-in-differences with multiple time periods",
   Journal of Econometrics 225(2), 2021.
.. [4] A. Rambachan and J. Roth, "A more credible approach to parallel trends", Review of Economic
   Studies 90(5), 2023.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bayescausal.designs.differences.cohorts import cohorts_of
from bayescausal.designs.differences.equation import Equation, compared, equation_of
from bayescausal.designs.differences.event_study import plots_of
from bayescausal.designs.differences.trend_checks import checks_of
from bayescausal.designs.panel_table import panel_table, refuse_gaps
from bayescausal.designs.table import check_choice, numbers, read_table
from bayescausal.model.design import Assumption, Design
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from bayescausal.annotations import Data

__all__ = ["difference_in_differences"]


def difference_in_differences(
    data: Data,
    outcome: str,
    unit: str,
    time: str,
    first_treated: str | None = None,
    treated: str | None = None,
    *,
    covariates: str | Sequence[str] = (),
    control: Literal["never", "not_yet"] = "never",
    effect: Literal["cohort_time", "event_time"] = "cohort_time",
    anticipation: int = 0,
    family: str = "gaussian",
    robust: bool = False,
    unit_effects: bool | None = None,
    clusters: str | Sequence[str] = (),
    violation: Literal["linear", "level"] | None = None,
    violation_scale: float | None = None,
    missing: Literal["refuse", "drop"] = "refuse",
    priors: Mapping[str, Any] | None = None,
) -> Design:
    """Differences in differences as a structural model.

    Parameters
    ----------
    data : DataFrame
        One row per unit and time, or many (repeated cross-sections: `unit` is then the level at
        which treatment was given, such as the state).
    outcome, unit, time : str
        Columns. Times are numbers, dates or an ordered categorical.
    first_treated : str, optional
        Column of the time at which the unit is first treated; 0, empty, or after the last time:
        never.
    treated : str, optional
        In its place, a column of 0 and 1: is the unit treated at that time?
    covariates : str or sequence of str
        Columns that the outcome depends on. Those that are constant in each unit may move the
        outcome differently at each time: trends are then parallel given them.
    control : {"never", "not_yet"}
        Who is compared with: those never treated, or also those not yet treated.
    effect : {"cohort_time", "event_time"}
        One effect for each cohort and time, or one for each event time that all cohorts share.
    anticipation : int
        Periods before the treatment in which it may have effects already.
    family : str
        Of the outcome, as for :func:`bayescausal.model_from_formulas`: ``"gaussian"``,
        ``"bernoulli"``, ``"poisson"``, ``"negative binomial"``, ... Trends are then parallel on
        the scale of the link.
    robust : bool
        Student-t noise in place of Normal noise.
    unit_effects : bool, optional
        Whether each unit has a level of its own. Default: where a panel has several units in
        some cohort.
    clusters : str or sequence of str
        Columns whose levels share a shock: group effects.
    violation : {"linear", "level"}, optional
        A deviation of the treated cohorts from parallel trends: along a line from the period
        before treatment, or by another amount in each treated period. Its prior is Normal about
        0 with the standard deviation `violation_scale` (per period for ``"linear"``, which is
        then also learnt from the periods before treatment).
    violation_scale : float, optional
        In units of the outcome, or of the link.
    missing : {"refuse", "drop"}
        Of rows with an empty cell, and of units that lack periods: refuse the table, or go on
        without them. In tables of two periods units may lack one.
    priors : mapping, optional
        In place of the defaults, as for :func:`bayescausal.model_from_formulas`.

    Returns
    -------
    Design
        Effects ``"ATT"``, ``"by_cohort"``, ``"by_time"``, ``"by_event_time"`` and
        ``"by_cohort_and_time"``; checks ``"pretrends"``, ``"two_way"``, ``"differences"`` and
        ``"violations"``; plots ``"event_study"`` and ``"trends"``.

    Raises
    ------
    DataError
        If the table cannot tell: no unit untreated, none before treatment, periods missing,
        several rows of a unit at a time, a treatment that is switched off, ...

    Examples
    --------
    >>> import bayescausal as bc
    >>> data = {"shop": [1, 1, 2, 2, 3, 3, 4, 4], "year": [1, 2] * 4, "law": [0, 1] * 2 + [0] * 4}
    >>> data["y"] = [2.0, 5.1, 3.0, 5.9, 1.0, 2.0, 2.0, 3.1]
    >>> d = bc.designs.difference_in_differences(data, "y", unit="shop", time="year", treated="law")
    >>> list(d.effects)
    ['ATT', 'by_cohort', 'by_time', 'by_event_time', 'by_cohort_and_time']
    """
    check_choice("control", control, ("never", "not_yet"))
    check_choice("effect", effect, ("cohort_time", "event_time"))
    _check_violation(violation, violation_scale)
    if not isinstance(anticipation, int) or anticipation < 0:
        raise DataError(f"anticipation={anticipation!r}.", expected="0, 1, 2, ... periods.")
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    clusters = (clusters,) if isinstance(clusters, str) else tuple(clusters)
    roles = {
        "outcome": outcome,
        "unit": unit,
        "time": time,
        "treated": treated,
        "covariates": covariates,
        "clusters": tuple(c for c in clusters if c != unit),
    }
    frame = read_table(data, roles | {"first_treated": first_treated}, missing="keep")
    empty = {"first_treated": first_treated} if first_treated else {}
    starts = frame[list(empty.values())]
    frame = read_table(
        frame.assign(_row=range(len(frame))), roles | {"row": "_row"}, missing=missing
    )
    frame = frame.join(starts, on="_row") if first_treated else frame
    numbers(frame, outcome, "outcome", varies=True)
    table = panel_table(frame.drop(columns="_row"), unit, time, repeats=True)
    if missing == "refuse" and len(table.times) > 2:
        refuse_gaps(
            table,
            unit,
            time,
            'Add the rows; or say missing="drop" if they are missing for no reason that has to do '
            "with the outcome: the unit's other rows still count.",
        )
    cohorts = cohorts_of(table, unit, first_treated, treated, anticipation)
    cohorts, said = compared(cohorts, control)
    equation = equation_of(
        Equation(
            cohorts,
            outcome,
            unit,
            time,
            treated or "treated",
            covariates,
            clusters,
            control=control,
            effect=effect,
            family="student-t" if robust and family == "gaussian" else family,
            violation=violation,
            scale=violation_scale,
        ),
        unit_effects,
    )
    if robust and family != "gaussian":
        raise DataError(
            f"robust=True with family={family!r}.",
            expected='robust=True with family="gaussian": Student-t noise.',
            remedy='For counts that vary more than Poisson ones: family="negative binomial".',
        )
    model, columns = equation.model(priors)
    return Design(
        "difference_in_differences",
        model,
        columns,
        equation.effects(),
        _assumptions(equation, said),
        checks_of(equation),
        plots_of(equation),
    )


def _check_violation(violation: str | None, scale: float | None) -> None:
    """Refuse a violation without a size, and a size without a violation."""
    if violation is None and scale is None:
        return
    check_choice("violation", violation, ("linear", "level"))
    if scale is None or not scale > 0:
        raise DataError(
            f"violation={violation!r} with violation_scale={scale!r}.",
            expected="A positive standard deviation, in units of the outcome (or of the link).",
        )


def _assumptions(equation: Equation, said: str) -> tuple[Assumption, ...]:
    """Return what identifies the effects, in the variables of the study."""
    y, unit, d = equation.outcome, equation.unit, equation.treated
    whom = "those never treated" if equation.control == "never" else "those not (yet) treated"
    scale = "" if equation.gaussian else " on the scale of the link"
    given = f" given {', '.join(equation.covariates)}" if equation.covariates else ""
    trends = (
        f"Without {d}, {y} of every cohort would have changed{scale}{given} as that of {whom} did."
    )
    if equation.violation:
        shape = {"linear": "along a line, by", "level": "in each period by"}[equation.violation]
        trends += f" Up to a deviation {shape} about {equation.scale:g} (the prior's sd)."
    early = equation.cohorts.anticipation
    before = f"more than {early} periods before" if early else "before"
    kept = [
        Assumption("parallel trends", trends + said, "pretrends"),
        Assumption("no anticipation", f"{d} does nothing {before} it begins.", "pretrends"),
        Assumption("no interference", f"{d} of one {unit} does nothing to {y} of another."),
    ]
    if equation.effect == "event_time":
        text = f"The effect of {d} depends on the time since it began, and not on the cohort."
        kept.append(Assumption("one course of effects", text, "differences"))
    if equation.cohorts.table.repeated:
        text = f"The rows of each {unit} stand for the same population at every {equation.time}."
        kept.append(Assumption("stable composition", text))
    note = equation.cohorts.table.frame.attrs.get("dropped")
    if note:
        kept.append(Assumption("missing at random", f"{note} Being empty says nothing about {y}."))
    return tuple(kept)
