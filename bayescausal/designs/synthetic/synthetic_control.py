r"""Synthetic control: a weighted average of untreated units stands for the treated one.

.. code-block:: text

    donors[t] ----> y[t] <---- treated[t]      w: weights on a simplex, the same at all times
                     ^
                   w, e[t]

The estimand is the effect on the treated unit at each time since treatment began, its average and
its sum. The model says what the treated unit would have been,

.. math::

   y_t = \sum_j w_j Y_{jt} + \tau_t\, d_t + e_t, \qquad w \sim \mathrm{Dirichlet}(\alpha),
   \qquad e_t \sim N(0, \sigma^2) ,

with an effect :math:`\tau_t` of each treated period, so that the weights are learnt from the
periods before alone, and each effect carries the uncertainty of weights and noise. The average
effect is identified if *the combination that matches before would have matched afterwards*, and
if no donor is touched by the treatment [1]_ [2]_.

A concentration :math:`\alpha` below one prefers few donors, as the classical estimator does. With
:math:`\alpha = 1` and many donors the prior has most of its mass near even weights, and the answer
moves towards the difference from the donors' mean.

It fails where the treated unit lies outside of what donors can be mixed to (an intercept helps
where it is a shift), where few periods before treatment are matched by chance, where donors are
affected too, and where something else happens to the treated unit at that time.

References
----------
.. [1] A. Abadie, A. Diamond and J. Hainmueller, "Synthetic control methods for comparative case
   studies: estimating the effect of California's tobacco control program", Journal of the American
   Statistical Association 105(490), 2010.
.. [2] A. Abadie, "Using synthetic controls: feasibility, data requirements, and methodological
   aspects", Journal of Economic Literature 59(2), 2021.
.. [3] E. Ben-Michael, A. Feller and J. Rothstein, "The augmented synthetic control method", Journal
   of the American Statistical Association 116(536), 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bayescausal.designs.panel_table import panel_table, refuse_gaps
from bayescausal.designs.synthetic.donors import Options, series_of
from bayescausal.designs.synthetic.gap_plots import plots_of
from bayescausal.designs.synthetic.placebo_checks import checks_of
from bayescausal.designs.table import in_model, numbers, read_table, refuse_names
from bayescausal.model.design import Assumption, Design
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Data
    from bayescausal.designs.synthetic.donors import Series

__all__ = ["synthetic_control"]


def synthetic_control(
    data: Data,
    outcome: str,
    unit: str,
    time: str,
    treated: object,
    start: object,
    *,
    donors: Sequence[object] | None = None,
    intercept: bool = False,
    augmented: bool | float = False,
    concentration: float = 0.2,
    robust: bool = False,
    priors: Mapping[str, Any] | None = None,
) -> Design:
    """Synthetic control with weights on a simplex.

    Parameters
    ----------
    data : DataFrame
        One row per unit and time.
    outcome, unit, time : str
        Columns.
    treated : label, or sequence of labels
        The treated unit, or several: each has weights of its own.
    start : time, or mapping of label to time
        The first treated time, of all or of each treated unit.
    donors : sequence of labels, optional
        The units to be combined. Default: all that are not treated.
    intercept : bool
        Whether the treated unit may lie above or below the combination by a constant.
    augmented : bool or float
        Lets coefficients leave the simplex: a ridge regression on the donors' deviations from
        their means before treatment is added. A number is the prior standard deviation of its
        coefficients; True stands for one over the number of donors.
    concentration : float
        Of the Dirichlet prior of the weights.
    robust : bool
        Student-t noise in place of Normal noise.
    priors : mapping, optional
        In place of the defaults: ``"weights"``, ``"effect"``, ``"sigma"``, ``"intercept"``,
        ``"ridge"``, such as ``{"effect": "Normal(0, 20)"}``.

    Returns
    -------
    Design
        Effects ``"ATT"`` and ``"average"`` (the same), ``"cumulative"``, ``"by_time"``, and
        ``"by_unit"`` with several treated; checks ``"fit_quality"``, ``"weights"``,
        ``"placebo_space"``, ``"placebo_time"`` and ``"leave_one_out"``; plots ``"paths"``
        and ``"gap"``.

    Raises
    ------
    DataError
        If the treated unit is not there, there is no time before or after, a unit lacks a time,
        ...

    Examples
    --------
    >>> import numpy as np, bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> rows = [(u, t, 10 + t + rng.normal()) for u in "abcd" for t in range(12)]
    >>> long = dict(zip(("shop", "week", "sales"), map(list, zip(*rows)), strict=True))
    >>> d = bc.designs.synthetic_control(long, "sales", "shop", "week", treated="a", start=9)
    >>> list(d.effects), d.effects["ATT"].describe()
    (['ATT', 'average', 'cumulative', 'by_time'], 'E[sales(1) - sales(0) | treated=1]')
    """
    if not concentration > 0:
        raise DataError(f"concentration={concentration!r}.", expected="A positive number.")
    if augmented is not True and augmented is not False and not augmented > 0:
        raise DataError(f"augmented={augmented!r}.", expected="True, False or a positive number.")
    roles = {"outcome": outcome, "unit": unit, "time": time}
    frame = read_table(data, roles)
    numbers(frame, outcome, "outcome", varies=True)
    refuse_names([outcome, time, in_model(unit)], Options.own)
    labels = _labels(treated)
    if donors is not None:
        wanted = {*labels, *donors}
        frame = frame.loc[frame[unit].isin(wanted)]
    table = panel_table(frame, unit, time, repeats=False, least=3)
    remedy = f"Leave donors with gaps out, or say donors=[...], such as those complete in {time!r}."
    refuse_gaps(table, unit, time, remedy)
    series = series_of(
        table,
        labels,
        dict(start) if isinstance(start, Mapping) else dict.fromkeys(labels, start),
        Options(outcome, unit, time, intercept, augmented, concentration, robust),
        donors,
    )
    return Design(
        "synthetic_control",
        series.model(priors),
        series.data(),
        series.effects(),
        _assumptions(series),
        checks_of(series),
        plots_of(series),
    )


def _labels(treated: object) -> list[object]:
    """Return the treated units."""
    if isinstance(treated, str) or not isinstance(treated, list | tuple | set | frozenset):
        return [treated]
    found = list(dict.fromkeys(treated))
    if not found:
        raise DataError("treated= names no unit.", expected="One or more.")
    return found


def _assumptions(series: Series) -> tuple[Assumption, ...]:
    """Return what identifies the effect."""
    o = series.options
    who = ", ".join(map(str, series.treated))
    kind = "weighted average" + (" and a constant" if o.intercept else "")
    return (
        Assumption(
            "the match continues",
            f"Without treatment, {o.outcome} of {who} would have gone on as the {kind} of the "
            f"{len(series.donors)} donors that matches it before.",
            "placebo_time",
        ),
        Assumption(
            "no interference",
            f"The treatment of {who} does nothing to {o.outcome} of the donors.",
            "leave_one_out",
        ),
        Assumption(
            "no anticipation", f"It does nothing to {who} before it begins.", "placebo_time"
        ),
        Assumption(
            "nothing else happened",
            f"Nothing else changed {o.outcome} of {who} alone at that time.",
            "placebo_space",
        ),
    )
