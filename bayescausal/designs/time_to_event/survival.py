r"""Survival: what a treatment does to the time until something happens.

.. code-block:: text

    age ------> rx                 T: the time itself
      \        /                   C: how long one was followed
       v      v
         T            C  (no arrow from what moves T, but through rx and age)
          \          /
        min(T, C), T < C           what is in the table

The estimands are contrasts of the distribution of :math:`T` in two worlds: the restricted mean
:math:`E[\min(T, \tau)]`, the survival :math:`P(T > t)`, quantiles. They are marginal, so that they
mean the same with or without covariates. A hazard ratio compares those who are *still alive* in two
worlds, who are not alike; it changes when a covariate is added that is no confounder (it is not
collapsible), and one number for all times needs proportional hazards [1]_. It is a parameter of
some of the models here, never an effect.

What identifies them: no common cause of treatment and time but the covariates, and censoring that
has no cause in common with the time but treatment and covariates (independent censoring). It fails
where the sick leave the study, where time zero is not that of the decision
(:func:`~bayescausal.designs.target_trial`), and where the answer is asked for beyond the times that
were seen: there it is the form of the family that answers [2]_.

References
----------
.. [1] M. A. Hernan, "The hazards of hazard ratios", Epidemiology 21(1), 2010.
.. [2] P. Royston and M. K. B. Parmar, "Restricted mean survival time: an alternative to the hazard
   ratio for the design and analysis of randomized trials with a time-to-event outcome", BMC
   Medical Research Methodology 13, 2013.
.. [3] J. P. Klein and M. L. Moeschberger, *Survival Analysis*, 2nd ed., Springer, 2003, chapter 3.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.designs.table import check_choice
from bayescausal.designs.time_to_event.competing import codes_of, plot_incidence, with_rivals
from bayescausal.designs.time_to_event.event_checks import checks_of
from bayescausal.designs.time_to_event.hazard_models import outcome_model
from bayescausal.designs.time_to_event.questions import assumptions_of, effects_of, horizon
from bayescausal.designs.time_to_event.records import read_records
from bayescausal.designs.time_to_event.survival_plots import plot_survival
from bayescausal.model.design import Design
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.annotations import Data

__all__ = ["survival"]

#: What can be asked for, in the order of the guide.
NAMES = (
    "weibull",
    "exponential",
    "lognormal",
    "loglogistic",
    "gamma",
    "piecewise_exponential",
    "flexible",
)


def survival(
    data: Data,
    *,
    time: str,
    event: str,
    treatment: str,
    covariates: Sequence[str] = (),
    family: str = "weibull",
    treated: object = None,
    control: object = None,
    entry: str | None = None,
    upper: str | None = None,
    unit: str | None = None,
    frailty: str | None = None,
    competing: object = None,
    upto: float | None = None,
    times: Sequence[float] | None = None,
    pieces: int | Sequence[float] | None = None,
    priors: Mapping[str, Any] | None = None,
    missing: str = "refuse",
) -> Design:
    """Return the design of a study of times to an event.

    Parameters
    ----------
    data : DataFrame, Mapping or source of rows
        One row per unit; with a treatment that changes in time, one for each interval between
        changes (`entry` to `time`).
    time : str
        The column of times: of the event, or until when the unit was followed.
    event : str
        What was seen: 1 the event at that time, 0 none until then (censored on the right), 2 the
        event before it (on the left), 3 the event between it and `upper`.
    treatment : str
        The treatment: 0 and 1, labels, or a dose. Where there are more than two levels, name
        `treated` and `control`; all levels stay in the model.
    covariates : sequence of str
        Columns from before the treatment that are adjusted for.
    family : {"weibull", "exponential", "lognormal", "loglogistic", "gamma", \
"piecewise_exponential", "flexible"}
        The distribution of the times, see Notes.
    treated, control : level, optional
        The two worlds that are compared. Default: 1 and 0, or the two labels in order.
    entry : str, optional
        The time from which on each row was followed, where it is not zero (late entry).
    upper : str, optional
        Of events in an interval, its end.
    unit : str, optional
        Of whom the rows are, where a unit has several (one for each interval).
    frailty : str, optional
        A group whose members share an effect on their times, such as a centre or a litter.
    competing : mapping of str to int, int or sequence of int, optional
        Codes in `event` of other events, after which that with the code 1 cannot happen any more,
        such as ``{"death": 2}``. Each has a time with a regression of its own, ``time_death``.
    upto : float, optional
        The horizon of the restricted mean, the survival and the risk. Default: the last time that
        was seen in both arms.
    times : sequence of float, optional
        Times of the survival curve. Default: ten, up to `upto`.
    pieces : int or sequence of float, optional
        Of "piecewise_exponential" and "flexible": how many pieces of constant hazard, or the cuts
        between them. Default: 5 (24), cut at quantiles of the times of events.
    priors : mapping, optional
        In place of the defaults, by parameter: ``{"b_time_rx": "Normal(0, 1)"}``.
    missing : {"refuse", "drop"}
        What to do with rows that have an empty cell.

    Returns
    -------
    Design
        ``effects``: ``"RMST"`` (difference of the restricted means up to `upto`), ``"survival"``
        (difference of the survival curves at `times`), ``"survival at upto"``, ``"risk
        difference"``, ``"median"`` and ``"quantile"`` (the lower quartile). ``checks``: ``"fit
        against Kaplan-Meier"``, ``"proportional hazards"``, ``"follow-up"``, ``"families"``.
        ``plots``: ``"survival"``.

        With competing events the effects are ``"cumulative incidence"`` and ``"risk difference"``
        of the event, ``"risk difference, death"`` and so on of the others, and the above as
        ``"RMST, others prevented"``; the check is ``"incidence against Aalen-Johansen"``, the plot
        ``"incidence"``.

    Raises
    ------
    DataError
        If the table cannot be one of times to an event: times that are not positive, entries after
        the end, codes that are not known, an arm without an event.

    Notes
    -----
    The outcome is a plain PyMC distribution inside ``pm.Censored``, so that every question is about
    the time itself, never about its record. For the Weibull, exponential, lognormal, log-logistic
    and Gamma, ``b_time_rx`` is the logarithm of the factor by which the treatment multiplies times;
    for the two families with a free baseline it is the log hazard ratio. Where hazards are
    proportional the model has the Deterministic ``log_hazard_ratio``. It is not collapsible: adding
    a covariate changes it although nothing is confounded.

    References
    ----------
    J. P. Klein and M. L. Moeschberger, *Survival Analysis*, 2nd ed., Springer, 2003.

    Examples
    --------
    >>> import bayescausal as bc
    >>> data = {"days": [5.0, 8.0, 3.0, 9.0], "died": [1, 0, 1, 1], "drug": [1, 1, 0, 0]}
    >>> d = bc.designs.survival(data, time="days", event="died", treatment="drug")
    >>> list(d.effects)
    ['RMST', 'survival', 'survival at upto', 'risk difference', 'median', 'quantile']
    """
    check_choice("family", family, NAMES)
    codes = codes_of(competing)
    if codes and (upper is not None or unit is not None):
        raise DataError(
            f"competing= with {'upper=' if upper is not None else 'unit='}: which event came first "
            "is known of exact times only, one row per unit.",
            remedy="Leave one of them out.",
        )
    records, told = read_records(
        data,
        time=time,
        event=event,
        treatment=treatment,
        covariates=covariates,
        treated=treated,
        control=control,
        entry=entry,
        upper=upper,
        frailty=frailty,
        unit=unit,
        missing=missing,
        codes=tuple(codes.values()),
    )
    records = with_rivals(records, told, codes) if codes else records
    if pieces is not None and family not in ("piecewise_exponential", "flexible"):
        raise DataError(
            f"pieces={pieces!r} with family={family!r}.",
            expected="A family whose baseline has pieces.",
            remedy="Pass family='piecewise_exponential' or 'flexible'.",
        )
    upto = horizon(records, upto)
    chosen = _times(times, upto)
    model, columns = outcome_model(records, family, pieces, priors)
    return Design(
        name="survival",
        model=model,
        data=columns,
        effects=effects_of(records, upto, chosen),
        assumptions=assumptions_of(records, family, upto),
        checks=checks_of(records, family, upto),
        plots=(
            {"incidence": partial(plot_incidence, records, upto)}
            if codes
            else {"survival": partial(plot_survival, records, upto)}
        ),
    )


def _times(times: Sequence[float] | None, upto: float) -> tuple[float, ...]:
    """Return the times of the curve."""
    if times is None:
        return tuple(float(f"{t:.6g}") for t in np.linspace(0.0, upto, 11)[1:])
    found = np.atleast_1d(np.asarray(times, dtype=float))
    if not len(found) or not np.isfinite(found).all() or (found <= 0).any():
        raise DataError(f"times={times!r}.", expected="Positive numbers.")
    return tuple(np.unique(found).tolist())
