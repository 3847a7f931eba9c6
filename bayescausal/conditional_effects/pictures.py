"""Pictures of effects that differ between units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.figures.style import BLUE, ORANGE, legend_above, mixed, new_axes, quiet, tidy

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["PICTURES", "draw_benefit", "points"]


def points(ax: Axes, table: pd.DataFrame, color: str = BLUE) -> None:
    """Draw the rows of a table of means and intervals, the first on top."""
    low, high = (c for c in table.columns if c.startswith(("hdi", "R2 hdi")))
    mean = next(c for c in table.columns if c.endswith("mean"))
    at = np.arange(len(table))[::-1]
    ax.hlines(at, table[low], table[high], color=color, lw=2)
    ax.plot(table[mean], at, "o", color=color)
    names = [" = ".join(map(str, n)) if isinstance(n, tuple) else str(n) for n in table.index]
    ax.set_yticks(at, names)
    ax.set_ylim(-0.6, len(table) - 0.4)


def _no_effect(ax: Axes) -> None:
    ax.axvline(0, color=quiet(), lw=1, ls=":")


def _units(found: Any, ax: Axes | None) -> Axes:
    """Draw each unit's effect, in order, with its interval."""
    ax = new_axes(ax, 3.4)
    table = found.units.sort_values("mean", ignore_index=True)
    low, high = (c for c in table.columns if c.startswith("hdi"))
    at = (np.arange(len(table)) + 0.5) / len(table)
    ax.fill_between(at, table[low], table[high], color=BLUE, alpha=0.25, lw=0, label="interval")
    ax.plot(at, table["mean"], color=BLUE, label="posterior mean")
    ax.axhline(0, color=quiet(), lw=1, ls=":")
    ax.set(xlabel="share of the units, by their effect", ylabel=found.estimand.label())
    ax.legend(frameon=False)
    return tidy(ax, grid="y", left=True)


def _spread(found: Any, ax: Axes | None) -> Axes:
    """Draw the posterior of the standard deviation of the effects over units."""
    ax = new_axes(ax, 2.6)
    ax.hist(found.sd, bins=40, color=mixed(BLUE, 0.35), edgecolor=BLUE)
    ax.set(xlabel="standard deviation of the effect over units", yticks=[])
    return tidy(ax)


def _projections(found: Any, ax: Axes | None) -> Axes:
    """Draw how much of the heterogeneity each summary tells."""
    table = found.projections[[c for c in found.projections.columns if c.startswith("R2")]]
    ax = new_axes(ax, 1 + 0.35 * max(len(table), 2))
    points(ax, table)
    ax.set(xlim=(0, 1.02), xlabel="R² of the summary: share of the variance of the effects")
    return tidy(ax)


def _deciles(found: Any, ax: Axes | None) -> Axes:
    """Draw the average effect of tenths of the units by predicted effect."""
    ax = new_axes(ax, 3.2)
    table = found.deciles
    low, high = (c for c in table.columns if c.startswith("hdi"))
    ax.vlines(table.index, table[low], table[high], color=BLUE, lw=2)
    ax.plot(table.index, table["mean"], "o", color=BLUE)
    ax.axhline(np.mean(found.average), color=ORANGE, lw=1, label="average of all units")
    ax.axhline(0, color=quiet(), lw=1, ls=":")
    ax.set(xlabel="tenth of the units, by predicted effect", ylabel="average effect")
    legend_above(ax)
    return tidy(ax, grid="y", left=True)


def _subgroups(found: Any, ax: Axes | None) -> Axes:
    """Draw the average effect of each subgroup."""
    ax = new_axes(ax, 1 + 0.3 * max(len(found.subgroups), 2))
    points(ax, found.subgroups)
    _no_effect(ax)
    ax.axvline(np.mean(found.average), color=ORANGE, lw=1)
    ax.set(xlabel="average effect (line: all units)")
    return tidy(ax)


def _curve(found: Any, ax: Axes | None, covariate: str) -> Axes:
    """Draw the average effect with one covariate set for all units."""
    ax = new_axes(ax, 3.2)
    table = found.curve(covariate)
    low, high = (c for c in table.columns if c.startswith("hdi"))
    numbers = all(isinstance(v, int | float) for v in table.index)
    at = np.asarray(table.index, float) if numbers else np.arange(len(table))
    if numbers and len(table) > 2:
        ax.fill_between(at, table[low], table[high], color=BLUE, alpha=0.25, lw=0)
        ax.plot(at, table["mean"], color=BLUE)
    else:
        ax.vlines(at, table[low], table[high], color=BLUE, lw=2)
        ax.plot(at, table["mean"], "o", color=BLUE)
        ax.set_xticks(at, [str(v) for v in table.index])
    ax.axhline(0, color=quiet(), lw=1, ls=":")
    ax.set(xlabel=covariate, ylabel="average effect, others as they are")
    return tidy(ax, grid="y", left=True)


def draw_benefit(found: Any, ax: Axes | None) -> Axes:
    """Draw what treating a share of the units gains, best first, beside treating at random."""
    ax = new_axes(ax, 3.4)
    table = found.benefit
    low, high = (c for c in table.columns if c.startswith("hdi"))
    share = np.asarray(table.index, float)
    ax.fill_between(share, table[low], table[high], color=BLUE, alpha=0.25, lw=0)
    ax.plot(share, table["mean"], color=BLUE, label="by predicted effect, the largest first")
    ax.plot([0, 1], [0, table["mean"].iloc[-1]], color=ORANGE, ls="--", label="at random")
    ax.axvline(found.share, color=quiet(), lw=1, ls=":", label="the rule treats")
    ax.set(xlabel="share of the units treated", ylabel="gain per unit over treating nobody")
    ax.legend(frameon=False)
    return tidy(ax, grid="y", left=True)


PICTURES: dict[str, Callable[..., Axes]] = {
    "units": _units,
    "spread": _spread,
    "projections": _projections,
    "deciles": _deciles,
    "curve": _curve,
    "subgroups": _subgroups,
}
