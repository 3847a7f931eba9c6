"""A series with a start as a structural model: the function of the design."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bayescausal.designs.series import series_checks as checks
from bayescausal.designs.series import series_plots as plots
from bayescausal.designs.series.series_model import INTERVENTION, OWN, SeriesForm, series_model
from bayescausal.designs.series.timeline import Timeline, read_timeline
from bayescausal.designs.table import check_choice
from bayescausal.effects.estimands import ATT
from bayescausal.model.design import Assumption, Design
from bayescausal.model.formulas.priors import Priors
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from bayescausal.annotations import Data

__all__ = ["interrupted_time_series"]


def interrupted_time_series(
    data: Data,
    outcome: str,
    time: str,
    start: object,
    *,
    trend: bool = True,
    season: int | None = None,
    errors: str = "independent",
    level: str = "fixed",
    effect: str = "level and slope",
    controls: Sequence[str] = (),
    family: str = "gaussian",
    priors: Mapping[str, Any] | None = None,
) -> Design:
    """Something begins at one time, for everyone: the series as a structural model.

    Parameters
    ----------
    data : DataFrame or other table
        One row per time, in any order. An empty outcome is one that was not observed.
    outcome, time : str
        The columns of the outcome and of the time: dates, or numbers.
    start : date or number
        When the intervention began: times from there on are treated.
    trend : bool
        Whether the series has a straight trend.
    season : int, optional
        Times in a season, 12 for months of a year: each has a level of its own.
    errors : {"independent", "ar1"}
        Whether what is left at one time carries over to the next.
    level : {"fixed", "local level", "local trend"}
        Whether the level, or level and drift, wander: a structural time series.
    effect : {"level and slope", "level", "slope", "each time"}
        What the intervention does. The first three are terms of the equation; ``"each time"``
        leaves each time after the start an effect of its own, so that the course without the
        intervention is predicted from the times before.
    controls : sequence of str
        Columns of numbers that the intervention does not change.
    family : {"gaussian", "student-t", "poisson"}
        Of the outcome.
    priors : mapping, optional
        By parameter, as in :func:`bayescausal.model_from_formulas`.

    Returns
    -------
    Design
        Effects ``"average"`` and ``"ATT"`` (over the times after the start), ``"cumulative"``
        (their sum) and ``"by_time"``. Dates are counted in steps of the series from the start.

    Raises
    ------
    DataError
        If there is no time before the start, the start lies outside, a time occurs twice, times are
        not evenly spaced, or a control is empty where errors go on.

    References
    ----------
    A. K. Wagner et al., "Segmented regression analysis of interrupted time series studies in
    medication use research", Journal of Clinical Pharmacy and Therapeutics 27 (2002), 299-309.

    Examples
    --------
    >>> import numpy as np, pandas as pd, bayescausal as bc
    >>> month = pd.date_range("2020-01", periods=60, freq="MS")
    >>> t = np.arange(60)
    >>> y = np.random.default_rng(1).normal(10 + 0.1 * t - 3.0 * (t >= 40), 0.5)
    >>> table = pd.DataFrame({"month": month, "y": y})
    >>> d = bc.designs.interrupted_time_series(
    ...     table, outcome="y", time="month", start="2023-05", effect="level"
    ... )
    >>> fit = bc.fit(d, seed=1, progressbar=False)
    >>> round(float(bc.estimate(fit, d.effects["average"])), 1)
    -3.0
    """
    made = dict(locals())
    _check_options(season, errors, level, effect, family)
    controls = (controls,) if isinstance(controls, str) else tuple(controls)
    form = SeriesForm(trend, season, errors, level, effect, family, Priors(priors, [outcome]))
    timeline = read_timeline(data, outcome, time, start, controls, own=OWN, ordered=form.ordered)
    _refuse_short(timeline, form)
    again = partial(_again, made)
    held: dict[str, Callable[..., pd.DataFrame]] = {
        "placebo_starts": partial(checks.placebo_starts, timeline=timeline, again=again),
        "autocorrelation": partial(checks.autocorrelation, timeline=timeline, form=form),
        "pre_period": partial(checks.pre_period, timeline=timeline, form=form),
    }
    return Design(
        "interrupted_time_series",
        series_model(timeline, form),
        timeline.frame,
        _effects(outcome, time),
        _assumptions(timeline, form),
        held,
        {
            "series": partial(plots.series, timeline=timeline, form=form),
            "pointwise": partial(plots.pointwise, timeline=timeline, form=form),
            "cumulative": partial(plots.cumulative, timeline=timeline, form=form),
        },
    )


def _again(made: dict[str, Any], **changed: Any) -> Design:
    """Return the same design with other options."""
    return interrupted_time_series(**{**made, **changed})


def _effects(outcome: str, time: str) -> dict[str, Any]:
    average = ATT(INTERVENTION, outcome)
    return {
        "average": average,
        "cumulative": ATT(INTERVENTION, outcome, functional="total"),
        "by_time": ATT(INTERVENTION, outcome, by=time),
        "ATT": average,
    }


def _check_options(season: int | None, errors: str, level: str, effect: str, family: str) -> None:
    check_choice("errors", errors, ("independent", "ar1"))
    check_choice("level", level, ("fixed", "local level", "local trend"))
    check_choice("effect", effect, ("level and slope", "level", "slope", "each time"))
    check_choice("family", family, ("gaussian", "student-t", "poisson"))
    if season is not None and (
        isinstance(season, bool) or not isinstance(season, int) or season < 2
    ):
        raise DataError(f"season={season!r}.", expected="2 or more times in a season, or None.")
    if level != "fixed" and errors == "ar1":
        raise DataError(
            f"level={level!r} with errors='ar1': one series cannot tell a wandering level from "
            "errors that carry over.",
            remedy="Pass one of them.",
        )
    if family != "gaussian" and (level != "fixed" or errors == "ar1"):
        raise DataError(
            f"family={family!r} with errors or a level that go on from time to time.",
            expected="family='gaussian', for which they are integrated out exactly.",
            remedy="Take the logarithm of a count, or pass errors='independent', level='fixed'.",
        )


def _refuse_short(timeline: Timeline, form: SeriesForm) -> None:
    """Refuse a pre-period with fewer observations than the equation has coefficients."""
    before = int((timeline.observed & (timeline.after == 0)).sum())
    after = int((timeline.observed & (timeline.after == 1)).sum())
    needed = 2 + form.trend + len(timeline.controls) + (form.season or 1) - 1
    if before < needed:
        raise DataError(
            f"The pre-period has {before} observations.",
            expected=f"{needed} or more for trend, season and controls.",
            remedy="Drop terms, or add earlier times.",
        )
    if "slope" in form.effect and after < 2:
        raise DataError(
            f"There is {after} observation after the start: a change of slope needs two.",
            remedy="Pass effect='level'.",
        )


def _assumptions(timeline: Timeline, form: SeriesForm) -> tuple[Assumption, ...]:
    outcome, start = timeline.outcome, timeline.start
    parts = [
        *(["its trend"] if form.trend else []),
        *(["its season"] if form.season else []),
        *([f"its {form.level}"] if form.level != "fixed" else []),
        *([f"what {', '.join(timeline.controls)} say of it"] if timeline.controls else []),
    ]
    kept = f": {', '.join(parts)} would have gone on" if parts else ""
    found = [
        Assumption(
            "the course continues",
            f"Without the intervention {outcome} would have gone on after {start} as before{kept}.",
            "placebo_starts",
        ),
        Assumption(
            "nothing else at the start",
            f"Nothing else that changes {outcome} began at {start}, and nobody acted before it.",
            "",
        ),
        Assumption("errors", _errors_in_words(timeline, form), "autocorrelation"),
    ]
    if timeline.controls:
        found.append(
            Assumption(
                "controls do not react",
                f"The intervention does not change {', '.join(timeline.controls)}.",
                "",
            )
        )
    return tuple(found)


def _errors_in_words(timeline: Timeline, form: SeriesForm) -> str:
    words = {
        "ar1": "What is left at one time carries over to the next (an autoregression).",
        "independent": "What is left at one time says nothing of the next.",
    }[form.errors]
    before = int((timeline.after == 0).sum())
    words += f" {before} times before the start, {len(timeline.place) - before} from it on."
    if timeline.gaps:
        kept = "kept as gaps" if form.ordered else "left out"
        words += f" {timeline.gaps} times without a row are {kept}."
    if timeline.was_unordered:
        words += " Rows were sorted by time."
    return words
