"""Checks of an interrupted series: starts where nothing started, what is left, the pre-period.

The statistic of Ljung and Box [1]_ is taken in each posterior draw of the standardised errors of
that draw. Under the model these are independent standard Normals, so its distribution is known in
each draw, and the mean of its p-values is small where the model leaves autocorrelation [2]_.

References
----------
.. [1] G. M. Ljung and G. E. P. Box, "On a measure of lack of fit in time series models",
   *Biometrika* 65 (1978), 297-303.
.. [2] V. E. Johnson, "A Bayesian chi-squared test for goodness-of-fit", *Annals of Statistics* 32
   (2004), 2361-2384.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from scipy.stats import chi2

from bayescausal.designs.check_tables import said
from bayescausal.designs.series.drawn import errors_of, means_of
from bayescausal.effects.estimate import estimate
from bayescausal.inference.fit import fit as fit_again
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bayescausal.designs.series.series_model import SeriesForm
    from bayescausal.designs.series.timeline import Timeline
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit
    from bayescausal.model.design import Design

__all__ = ["autocorrelation", "placebo_starts", "pre_period"]

#: p-values below which a check warns.
SMALL = 0.05


def placebo_starts(
    fit: Fit,
    *,
    timeline: Timeline,
    again: Callable[..., Design],
    shares: Sequence[float] = (0.5, 0.65, 0.8),
) -> pd.DataFrame:
    """Return the average effect of starts within the pre-period, where nothing started.

    Only times before the true start are read. ``shares``: of the pre-period before each start.
    """

    count = int((timeline.place[timeline.observed] < 0).sum())
    table = timeline.table[: _before(timeline)]
    chains, draws = fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]
    rows = {}
    for share in shares:
        start = table[timeline.time].iloc[round(share * len(table))]
        try:
            design = again(data=table, start=start)
        except DataError:
            continue  # too short on one side for this equation
        found = fit_again(design, seed=fit.seed, chains=chains, draws=draws, progressbar=False)
        effect = estimate(found, cast("Estimand", design.effects["average"]))
        low, high = effect.interval()
        rows[str(start)] = (
            float(effect.mean()),
            float(effect.draws.std()),
            float(low),
            float(high),
        )
    columns = ["mean", "sd", "hdi_3%", "hdi_97%"]
    result = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    result.index.name = "start"
    off = result.index[(result["hdi_3%"] > 0) | (result["hdi_97%"] < 0)]
    if not len(result):
        return said(result, "warn", f"The pre-period of {count} times is too short to be cut.")
    if len(off):
        shown = ", ".join(map(str, off))
        return said(result, "warn", f"The model finds an effect at {shown}, where nothing "
                     "started: the series does not go on as it says.")  # fmt: skip
    return said(result, "pass", "Starts within the pre-period have no effect.")


def autocorrelation(
    fit: Fit, *, timeline: Timeline, form: SeriesForm, lags: Sequence[int] = (1, 4, 12)
) -> pd.DataFrame:
    """Return the mean autocorrelation of the errors, and the test of Ljung and Box, up to lags."""
    errors = errors_of(fit, timeline, form)
    seen = timeline.observed & ((timeline.after == 0) | (form.effect != "each time"))
    errors = errors[:, seen]
    errors = errors - errors.mean(axis=1, keepdims=True)
    count = errors.shape[1]
    square = (errors**2).sum(axis=1)
    lags = [k for k in lags if k < count // 2]
    r = np.array(
        [(errors[:, k:] * errors[:, :-k]).sum(axis=1) / square for k in range(1, max(lags) + 1)]
    )
    weights = 1.0 / (count - np.arange(1, max(lags) + 1))
    rows = {}
    for k in lags:
        q = count * (count + 2) * (r[:k] ** 2 * weights[:k, None]).sum(axis=0)
        rows[k] = (float(r[k - 1].mean()), float(q.mean()), float(chi2.sf(q, k).mean()))
    columns = ["autocorrelation", "Ljung-Box", "p"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table.index.name = "lag"
    if (table["p"] < SMALL).any():
        return said(table, "warn", "What the model leaves is autocorrelated, so intervals are too "
                     "narrow: pass errors='ar1', or a local level.")  # fmt: skip
    return said(table, "pass", "What the model leaves is not autocorrelated.")


def pre_period(fit: Fit, *, timeline: Timeline, form: SeriesForm) -> pd.DataFrame:
    """Compare the observations before the start with replications of them by the model.

    Each statistic of the observations is compared with its posterior predictive distribution.
    """
    seen = timeline.observed & (timeline.after == 0)
    y = timeline.frame[timeline.outcome].to_numpy(dtype=float)[seen]
    mean = means_of(fit, timeline, form)[:, seen]
    replicated = _replicate(fit, timeline, form, mean)
    statistics: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "mean": lambda v: v.mean(axis=-1),
        "sd": lambda v: v.std(axis=-1),
        "lowest": lambda v: v.min(axis=-1),
        "highest": lambda v: v.max(axis=-1),
        "sd of changes": lambda v: np.diff(v, axis=-1).std(axis=-1),
    }
    rows = {}
    for name, statistic in statistics.items():
        own, theirs = float(statistic(y)), statistic(replicated)
        tail = float((theirs > own).mean() + 0.5 * (theirs == own).mean())
        rows[name] = (own, float(theirs.mean()), float(theirs.std()), 2 * min(tail, 1 - tail))
    low, high = np.quantile(replicated, [0.03, 0.97], axis=0)
    inside = float(((y >= low) & (y <= high)).mean())
    rows["share in 94% bands"] = (inside, 0.94, float(np.sqrt(0.94 * 0.06 / len(y))), np.nan)
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["observed", "replicated", "sd", "p"]
    )
    table.index.name = "statistic"
    off = table.index[table["p"] < SMALL / 5]
    if len(off):
        return said(table, "warn", "The model does not give the pre-period back: "
                     f"{', '.join(off)}.")  # fmt: skip
    return said(table, "pass", "The model gives the pre-period back.")


# ------------------------------------------------------------------------------- private


def _before(timeline: Timeline) -> int:
    """Return how many rows of the table lie before the start."""
    total = len(timeline.table)
    after = int((timeline.place >= 0).sum())
    if len(timeline.place) > total:  # rows were put into gaps
        gaps = timeline.labels.astype(str).str.endswith("steps)")
        after -= int((gaps & (timeline.place >= 0)).sum())
    return total - after


def _replicate(fit: Fit, timeline: Timeline, form: SeriesForm, mean: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng([fit.seed, 17])
    if form.family == "poisson":
        return np.asarray(rng.poisson(mean))
    posterior, y = fit.posterior, timeline.outcome
    sigma = posterior[f"sigma_{y}"].to_numpy().reshape(-1, 1)
    if form.family == "student-t":
        nu = posterior[f"nu_{y}"].to_numpy().reshape(-1, 1)
        return np.asarray(mean + sigma * rng.standard_t(np.broadcast_to(nu, mean.shape)))
    return np.asarray(mean + sigma * rng.standard_normal(mean.shape))
