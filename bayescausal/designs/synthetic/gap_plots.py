"""Pictures of a synthetic control: the treated unit beside its synthetic one, and the gap."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.designs.synthetic.placebo_checks import one, synthetic
from bayescausal.draws.intervals import narrowest
from bayescausal.figures.style import BLUE, ink, mixed, new_axes, quiet, tidy

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from bayescausal.designs.synthetic.donors import Series
    from bayescausal.inference.record import Fit

__all__ = ["plots_of"]


def plots_of(series: Series) -> dict[str, Callable[..., Axes]]:
    """Return the pictures of the design."""
    return {"paths": partial(_plot_paths, series), "gap": partial(_plot_gap, series)}


def _predicted(series: Series, fit: Fit, k: int) -> np.ndarray:
    """Return draws of the untreated outcome, noise included, (draw, time)."""
    mean = synthetic(fit, series)[:, k]
    sigma = fit.posterior["sigma"].to_numpy().reshape(-1, 1)
    rng = np.random.default_rng([fit.seed, 5])
    noise = rng.standard_normal(mean.shape)
    if series.options.robust:
        noise = rng.standard_t(4, mean.shape)
    return np.asarray(mean + sigma * noise)


def _plot_paths(series: Series, fit: Fit, ax: Axes | None = None, unit: Any = None) -> Axes:
    """Draw the treated unit and its synthetic one, with a 94% band of prediction."""

    ax, k = new_axes(ax), one(series, unit)
    drawn, x, o = _predicted(series, fit, k), series.clock, series.options
    lower, upper = narrowest(drawn, 0.94)
    middle = synthetic(fit, series)[:, k].mean(axis=0)
    ax.fill_between(x, lower, upper, color=mixed(BLUE, 0.25), linewidth=0)
    ax.plot(x, middle, color=BLUE, linestyle="--", label=f"synthetic {series.treated[k]}")
    ax.plot(x, series.y[k], color=ink(), label=str(series.treated[k]))
    ax.axvline(x[series.start[k]], color=quiet(), linewidth=1, linestyle=":")
    ax.set_xlabel(o.time)
    ax.set_ylabel(o.outcome)
    tidy(ax, grid="y", left=True)
    ax.legend(frameon=False, loc="best")
    return ax


def _plot_gap(series: Series, fit: Fit, ax: Axes | None = None, unit: Any = None) -> Axes:
    """Draw the treated unit less its synthetic one."""

    ax, k = new_axes(ax), one(series, unit)
    gap, x, o = series.y[k] - _predicted(series, fit, k), series.clock, series.options
    lower, upper = narrowest(gap, 0.94)
    ax.fill_between(x, lower, upper, color=mixed(BLUE, 0.25), linewidth=0)
    ax.plot(x, gap.mean(axis=0), color=BLUE)
    ax.axhline(0.0, color=quiet(), linewidth=1)
    ax.axvline(x[series.start[k]], color=quiet(), linewidth=1, linestyle=":")
    ax.set_xlabel(o.time)
    ax.set_ylabel(f"{o.outcome}: {series.treated[k]} less synthetic")
    return tidy(ax, grid="y", left=True)
