r"""Checks of a synthetic control: how well it fits, and what it finds where there is nothing.

``fit_quality``
    The root mean squared error before treatment (of the posterior mean) beside the spread of the
    series, and the effective number of donors, :math:`1 / \sum_j w_j^2`.
``weights``
    Posterior of the weights beside those of least squares.
``placebo_space``
    Each donor in turn is taken for treated at the same time; the ratio of the errors after and
    before should be largest for the treated unit. Its rank over the number of units is a p-value
    if treatment fell on any unit alike [1]_.
``placebo_time``
    Treatment is taken to begin earlier, when nothing happened: gaps before the true start.
``leave_one_out``
    The average gap without each of the donors that matter most.

The last three weight by least squares on the simplex, the classical estimator without covariates:
they are repeated often.

References
----------
.. [1] A. Abadie, A. Diamond and J. Hainmueller, "Synthetic control methods for comparative case
   studies", Journal of the American Statistical Association 105(490), 2010.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.designs.panel_table import time_text
from bayescausal.designs.synthetic.least_squares import simplex_weights
from bayescausal.draws.intervals import narrowest
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.designs.synthetic.donors import Series
    from bayescausal.inference.record import Fit

__all__ = ["checks_of", "one", "synthetic"]


def checks_of(series: Series) -> dict[str, Callable[..., pd.DataFrame]]:
    """Return the checks of the design."""
    return {
        "fit_quality": partial(_fit_quality, series),
        "weights": partial(_weights, series),
        "placebo_space": partial(_placebo_space, series),
        "placebo_time": partial(_placebo_time, series),
        "leave_one_out": partial(_leave_one_out, series),
    }


def synthetic(fit: Fit, series: Series) -> np.ndarray:
    """Return draws of what the treated would be on average, (draw, n_treated, n_times)."""
    k = len(series.treated)

    def drawn(name: str, size: int) -> np.ndarray:
        return fit.posterior[name].to_numpy().reshape(-1, k, size)

    donors = len(series.donors)
    out = drawn("weights", donors) @ series.pool
    if series.options.intercept:
        out = out + drawn("intercept", 1)
    if series.options.augmented is not False:
        ridge = drawn("ridge", donors)
        out = out + ridge @ series.pool - np.einsum("skj,kj->sk", ridge, series.means)[:, :, None]
    return out


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _fit_quality(series: Series, fit: Fit) -> pd.DataFrame:
    """Return how well each treated unit is matched before treatment."""
    gap = series.y - synthetic(fit, series).mean(axis=0)
    weights = (
        fit.posterior["weights"].to_numpy().reshape(-1, len(series.treated), len(series.donors))
    )
    rows = []
    for k, s in enumerate(series.start):
        before, inside = series.y[k, :s], series.pool[:, :s]
        outside = (before < inside.min(axis=0)) | (before > inside.max(axis=0))
        rows.append(
            {
                "unit": series.treated[k],
                "periods_before": int(s),
                "rmspe_before": _rms(gap[k, :s]),
                "rmspe_after": _rms(gap[k, s:]),
                "sd_before": float(before.std()),
                "outside_of_donors": int(outside.sum()),
                "effective_donors": float((1 / (weights[:, k] ** 2).sum(axis=-1)).mean()),
            }
        )
    return pd.DataFrame(rows)


def _weights(series: Series, fit: Fit) -> pd.DataFrame:
    """Return the posterior of the weights, largest first."""
    drawn = fit.posterior["weights"].to_numpy()
    drawn = drawn.reshape(-1, len(series.treated), len(series.donors))
    parts = []
    for k, s in enumerate(series.start):
        lower, upper = narrowest(drawn[:, k], 0.94)
        least = simplex_weights(
            series.y[k, :s], series.pool[:, :s], intercept=series.options.intercept
        )
        parts.append(
            pd.DataFrame(
                {
                    "unit": series.treated[k],
                    "donor": list(series.donors),
                    "mean": drawn[:, k].mean(axis=0),
                    "hdi_lower": lower,
                    "hdi_upper": upper,
                    "least_squares": least,
                }
            ).sort_values("mean", ascending=False)
        )
    return pd.concat(parts, ignore_index=True)


def _gap(series: Series, y: np.ndarray, pool: np.ndarray, start: int) -> np.ndarray:
    """Return a series less its combination of least squares."""
    level = series.options.intercept
    w = simplex_weights(y[:start], pool[:, :start], intercept=level)
    gap = y - w @ pool
    return np.asarray(gap - gap[:start].mean() if level else gap)


def one(series: Series, unit: Any) -> int:
    """Return the place of the treated unit that is asked about."""
    if unit is None:
        if len(series.treated) > 1:
            raise DataError(
                "Several units are treated.",
                expected=f"unit=, one of them: {', '.join(repr(u) for u in series.treated)}.",
            )
        return 0
    if unit not in series.treated:
        raise DataError(f"{unit!r} is not treated.", expected=f"One of {series.treated}.")
    return series.treated.index(unit)


def _placebo_space(series: Series, fit: Fit, unit: Any = None) -> pd.DataFrame:
    """Return errors before and after of the treated unit and of every donor in its place."""
    k = one(series, unit)
    start, rows = int(series.start[k]), []
    for j, label in [(-1, series.treated[k]), *enumerate(series.donors)]:
        y = series.y[k] if j < 0 else series.pool[j]
        pool = series.pool if j < 0 else np.delete(series.pool, j, axis=0)
        gap = _gap(series, y, pool, start)
        before, after = _rms(gap[:start]), _rms(gap[start:])
        rows.append((label, j < 0, before, after, after / max(before, 1e-300), gap[start:].mean()))
    names = ["unit", "treated", "rmspe_before", "rmspe_after", "ratio", "average_gap"]
    table = pd.DataFrame(rows, columns=names).sort_values("ratio", ascending=False)
    table["rank"] = np.arange(1, len(table) + 1)
    table["p_value"] = np.where(table["treated"], table["rank"] / len(table), np.nan)
    return table.reset_index(drop=True)


def _placebo_time(series: Series, fit: Fit, unit: Any = None, start: Any = None) -> pd.DataFrame:
    """Return gaps between an earlier start (default: after two thirds) and the true one."""
    k = one(series, unit)
    true = int(series.start[k])
    early = max(2, (2 * true) // 3)
    if start is not None:
        early = sum(bool(t < start) for t in series.times)
    if not 2 <= early < true:
        raise DataError(
            f"start={start!r}: {early} times before it, and {max(true - early, 0)} from then to "
            "the true start.",
            expected="Two or more before, one or more from then on.",
        )
    gap = _gap(series, series.y[k, :true], series.pool[:, :true], early)
    times = [time_text(t) for t in series.times[:true]]
    table = pd.DataFrame({"time": times, "gap": gap})
    table["placebo"] = np.arange(true) >= early
    average = {"time": "average", "gap": gap[early:].mean(), "placebo": True}
    error = {"time": "rmspe before", "gap": _rms(gap[:early]), "placebo": False}
    return pd.concat([table, pd.DataFrame([average, error])], ignore_index=True)


def _leave_one_out(series: Series, fit: Fit, unit: Any = None, most: int = 5) -> pd.DataFrame:
    """Return the average gap with all donors, and without each of those that weigh most."""
    k = one(series, unit)
    s, y = int(series.start[k]), series.y[k]
    weights = simplex_weights(y[:s], series.pool[:, :s], intercept=series.options.intercept)
    rows = [("none", 0.0, _gap(series, y, series.pool, s)[s:].mean())]
    for j in np.argsort(-weights)[:most]:
        if len(series.donors) > 2 and weights[j] > 1e-6:
            gap = _gap(series, y, np.delete(series.pool, j, axis=0), s)
            rows.append((str(series.donors[j]), float(weights[j]), gap[s:].mean()))
    return pd.DataFrame(rows, columns=["without", "weight", "average_gap"])
