"""Pictures of differences in differences: effects by event time, and the trends themselves.

``event_study``
    Effects (lags) and, before treatment, deviations (leads) by event time, averaged over cohorts
    by their rows, relative to the last period before treatment; 94% intervals.
``trends``
    Means of the outcome by cohort, and of the treated what they would have been without treatment:
    their mean less the posterior of the effect.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.designs.check_tables import ends
from bayescausal.designs.differences.equation import CELL, LEAD
from bayescausal.designs.differences.trend_checks import coefficients, differences
from bayescausal.figures.style import BLUE, CYCLE, ORANGE, mixed, new_axes, quiet, tidy

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from bayescausal.designs.differences.equation import Equation
    from bayescausal.inference.record import Fit

__all__ = ["event_study", "plots_of"]

#: Cohorts that are drawn apart.
MOST = 3


def plots_of(equation: Equation) -> dict[str, Callable[..., Axes]]:
    """Return the pictures of the design."""
    return {
        "event_study": partial(_plot_event_study, equation),
        "trends": partial(_plot_trends, equation),
    }


def event_study(equation: Equation, fit: Fit) -> pd.DataFrame:
    """Return leads and lags by event time: mean, interval, and whether the model has them."""
    found = equation.cohorts
    parts: dict[int, tuple[float, float, float]] = {}
    for name, rows in ((CELL, found.treated == 1), (LEAD, equation.leads)):
        if not rows.any():
            continue
        draws, cells = coefficients(fit, equation, name)
        labels, _ = equation.cell(rows)
        event = found.event_time
        for e in np.unique(event[rows]):
            counts = pd.Series(labels[rows & (event == e)]).value_counts()
            share = np.array([counts.get(c, 0) for c in cells]) / counts.sum()
            drawn = draws @ share
            parts[int(e)] = (float(drawn.mean()), *ends(drawn))
    model = set(parts)
    before = differences(equation)
    before = before[(before["event_time"] < 0) & ~before["event_time"].isin(list(model))]
    sizes = {found.label[s]: int((found.start == s).sum()) for s in found.starts}
    for e in sorted(set(before["event_time"].tolist())):
        rows_of = before[before["event_time"] == e]
        weight = rows_of["cohort"].map(sizes).to_numpy(dtype=float)
        weight = weight / weight.sum()
        middle = float(weight @ rows_of["difference"])
        half = 1.881 * float(np.sqrt((weight**2) @ (rows_of["se"].to_numpy() ** 2)))
        parts[e] = (middle, middle - half, middle + half)
    parts[-1 - found.anticipation] = (0.0, 0.0, 0.0)
    table = pd.DataFrame.from_dict(parts, orient="index", columns=["mean", "lower", "upper"])
    return table.assign(in_model=[e in model for e in table.index]).sort_index()


def _plot_event_study(equation: Equation, fit: Fit, ax: Axes | None = None) -> Axes:
    """Draw leads and lags."""

    ax = new_axes(ax)
    table = event_study(equation, fit)
    for after, colour, label in ((False, ORANGE, "before (leads)"), (True, BLUE, "effect (lags)")):
        part = table[(table.index >= 0) == after]
        x, y = part.index.to_numpy(), part["mean"].to_numpy()
        ends = np.stack([y - part["lower"], part["upper"] - y])
        ax.errorbar(x, y, ends, fmt="o", color=colour, label=label, markersize=5)
    ax.axhline(0.0, color=quiet(), linewidth=1)
    ax.axvline(-0.5 - equation.cohorts.anticipation, color=quiet(), linewidth=1, linestyle=":")
    ax.set_xlabel("periods since treatment began")
    scale = "" if equation.gaussian else " (scale of the link)"
    ax.set_ylabel(f"effect on {equation.outcome}{scale}")
    tidy(ax, grid="y", left=True)
    ax.legend(frameon=False, loc="best")
    return ax


def _plot_trends(equation: Equation, fit: Fit, ax: Axes | None = None) -> Axes:
    """Draw means by cohort, and the treated as they would have been."""

    ax = new_axes(ax)
    found = equation.cohorts
    y = found.table.frame[equation.outcome].to_numpy(dtype=float)
    times = found.table.times
    x = np.array(times, dtype=object) if isinstance(times[0], str) else np.array(times)
    means = pd.Series(y).groupby([found.start, found.table.period]).mean()
    largest = sorted(found.starts, key=lambda s: -int((found.start == s).sum()))[:MOST]
    if (found.start == found.never).any():
        ax.plot(x, means[found.never].reindex(range(len(x))), color=quiet(), label="never treated")
    for colour, start in zip(CYCLE, sorted(largest), strict=False):
        line = means[start].reindex(range(len(x))).to_numpy()
        ax.plot(x, line, color=colour, label=f"treated from {found.table.labels[start]}")
        without, lower, upper = _without(equation, fit, start, line)
        ax.plot(x[start - 1 :], without, color=colour, linestyle="--")
        ax.fill_between(x[start - 1 :], lower, upper, color=mixed(colour, 0.25), linewidth=0)
        ax.axvline(x[start], color=colour, linewidth=0.8, linestyle=":")
    ax.plot([], [], color=quiet(), linestyle="--", label="had they not been")
    ax.set_xlabel(equation.time)
    ax.set_ylabel(f"mean of {equation.outcome}")
    tidy(ax, grid="y", left=True)
    ax.legend(frameon=False, loc="best")
    return ax


def _without(
    equation: Equation, fit: Fit, start: int, line: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and interval of a cohort's untreated means, from the period before on."""
    found = equation.cohorts
    draws, cells = coefficients(fit, equation, CELL)
    out = [(line[start - 1],) * 3]
    for t in range(start, len(line)):
        label = str(t - start)
        if equation.effect == "cohort_time":
            label = f"{found.label[start]}, {found.table.labels[t]}"
        if label not in cells:
            out.append((np.nan,) * 3)
            continue
        drawn = _back(equation.family, float(line[t]), draws[:, cells.index(label)])
        out.append((float(drawn.mean()), *ends(drawn)))
    middle, lower, upper = np.array(out, dtype=float).T
    return middle, lower, upper


def _back(family: str, mean: float, effect: np.ndarray) -> np.ndarray:
    """Return a mean less an effect on the scale of the link."""
    name = family.split("(")[0].strip().replace("_", " ")
    if name in ("bernoulli", "binomial", "beta"):
        odds = mean / (1 - mean) * np.exp(-effect)
        return np.asarray(odds / (1 + odds))
    if name in ("poisson", "negative binomial", "gamma"):
        return np.asarray(mean * np.exp(-effect))
    return np.asarray(mean - effect)
