"""Pictures of a discontinuity design: the jump, the effect over bandwidths, the density."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from bayescausal.designs.discontinuity.cutoff_checks import bandwidths as bandwidth_table
from bayescausal.designs.discontinuity.window import eligible_of
from bayescausal.designs.table import numbers
from bayescausal.effects.estimands import DoseResponse, Expected
from bayescausal.effects.estimate import estimate
from bayescausal.figures.style import (
    BLUE,
    ORANGE,
    legend_above,
    mixed,
    new_axes,
    plain,
    quiet,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr
    from matplotlib.axes import Axes

    from bayescausal.designs.discontinuity.side_models import Form
    from bayescausal.designs.discontinuity.window import Window
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit
    from bayescausal.model.design import Design

__all__ = ["bandwidths", "density", "discontinuity"]


def discontinuity(
    fit: Fit,
    ax: Axes | None = None,
    *,
    window: Window,
    form: Form,
    bins: int = 20,
    grid: int | None = None,
) -> Axes:
    """Draw binned means of the outcome, the curve of each side with its 94% band, and the jump.

    ``bins``, ``grid``: bins of the rows, and points of the curve, on each side; default 10 points
    of a straight line, 30 of a curve.
    """
    if grid is None:
        grid = 10 if form.order == 1 and not form.smooth else 30
    ax = new_axes(ax, height=4.0)
    y = window.frame[window.outcome].to_numpy()
    for side, colour, label in ((0, BLUE, "not eligible"), (1, ORANGE, "eligible")):
        own = window.eligible == side
        x = window.distance[own]
        edges = np.linspace(x.min(), x.max(), bins + 1)
        place = np.clip(np.digitize(x, edges) - 1, 0, bins - 1)
        binned = pd.DataFrame({"bin": place, "x": x, "y": y[own]}).groupby("bin")
        means, sizes = binned.mean(), binned.size()
        ax.scatter(
            means["x"] + window.cutoff,
            means["y"],
            s=8 + 30 * sizes / sizes.max(),
            color=mixed(colour, 0.6),
            zorder=2,
        )
        curve = _curve(fit, window, form, side, np.linspace(0.0, x[np.argmax(np.abs(x))], grid))
        at = curve.index.to_numpy()
        tint = mixed(colour, 0.3)
        ax.fill_between(at, curve["low"], curve["high"], color=tint, linewidth=0, zorder=1)
        ax.plot(at, curve["mean"], color=colour, linewidth=2, label=label, zorder=3)
    ax.axvline(window.cutoff, color=quiet(), linewidth=1, linestyle=(0, (4, 2)), zorder=0)
    ax.set_xlabel(plain(window.running))
    ax.set_ylabel(plain(window.outcome))
    tidy(ax, grid="y", left=True)
    legend_above(ax)
    return ax


def _curve(fit: Fit, window: Window, form: Form, side: int, at: np.ndarray) -> pd.DataFrame:
    """Return the mean outcome of one side along the running variable; covariates at their mean."""

    places = np.unique(at) + window.cutoff
    units = pd.DataFrame({window.running: places[:1] if form.kink else places})
    for name in window.covariates:
        units[name] = float(window.frame[name].mean())
    if window.cluster is not None:
        units[window.cluster] = window.frame[window.cluster].mode()[0]
    running, outcome = window.running, window.outcome
    question: Estimand = (
        DoseResponse(
            running, outcome, values=places, population=units
        )  # past a kink it sets the rest
        if form.kink
        else Expected(outcome, do={form.rule: side}, population=units, by=running)
    )
    effect = estimate(fit, question)
    bounds = cast("xr.DataArray", effect.interval())
    table = pd.DataFrame(
        {
            "mean": effect.draws.mean(("chain", "draw")).to_numpy(),
            "low": bounds.sel(ci_bound="lower").to_numpy(),
            "high": bounds.sel(ci_bound="upper").to_numpy(),
        },
        index=pd.Index(effect.draws[window.running].to_numpy().astype(float)),
    )
    return table.sort_index()


def bandwidths(
    fit: Fit,
    ax: Axes | None = None,
    *,
    window: Window,
    again: Callable[..., Design],
    values: Sequence[float] | None = None,
) -> Axes:
    """Draw the effect and its 94% interval over bandwidths, the design's own marked."""
    table = bandwidth_table(fit, window=window, again=again, values=values)
    ax = new_axes(ax)
    at = table.index.to_numpy()
    ax.fill_between(at, table["hdi_3%"], table["hdi_97%"], color=mixed(BLUE, 0.3), linewidth=0)
    ax.plot(at, table["mean"], color=BLUE, linewidth=2, marker="o")
    ax.axhline(0, color=quiet(), linewidth=1)
    own = min(window.bandwidth, float(at.max()))
    ax.axvline(own, color=quiet(), linewidth=1, linestyle=(0, (4, 2)))
    ax.set_xlabel(f"bandwidth ({plain(window.running)})")
    ax.set_ylabel(f"effect on {plain(window.outcome)}")
    return tidy(ax, grid="y", left=True)


def density(fit: Fit, ax: Axes | None = None, *, window: Window, bins: int = 20) -> Axes:
    """Draw how many units there are along the running variable, on each side of the cutoff."""
    running = numbers(window.table, window.running, "running")
    distance = running[~np.isnan(running)] - window.cutoff
    ax = new_axes(ax)
    for side, colour in ((0, BLUE), (1, ORANGE)):
        own = distance[eligible_of(distance, window.side, window.ties) == side]
        edges = np.linspace(0.0, own[np.argmax(np.abs(own))], bins + 1)
        edges = np.sort(edges) + window.cutoff
        ax.hist(own + window.cutoff, bins=edges.tolist(), color=mixed(colour, 0.6))
    ax.axvline(window.cutoff, color=quiet(), linewidth=1, linestyle=(0, (4, 2)))
    ax.set_xlabel(plain(window.running))
    ax.set_ylabel("units")
    return tidy(ax, grid="y", left=True)
