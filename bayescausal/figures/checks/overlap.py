"""Pictures of overlap: how likely each arm was for whom, and how alike weighting makes the arms.

:func:`plot_chances` puts the propensities of two arms back to back (a mirrored histogram), with
the spread over posterior draws as a band; of several levels it shows, level by level, the range of
its chance in each arm. :func:`plot_balance` is the love plot: standardised differences before and
after weighting, one row per covariate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.figures.style import (
    BLUE,
    CYCLE,
    ORANGE,
    legend_above,
    new_axes,
    paper,
    plain,
    quiet,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_balance", "plot_chances"]

#: Bars of a histogram.
BARS = 25


def plot_chances(
    chance: np.ndarray,
    arm: np.ndarray,
    labels: Sequence[str],
    *,
    name: str = "treatment",
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of the propensity in each arm.

    ``chance`` (draw, unit, level): the chance of each level.
    ``arm`` (unit,): the level that each unit had.
    ``labels``: names of the levels.
    """
    if len(labels) == 2:
        return _mirrored(chance[..., 1], arm, labels, name, ax)
    return _rows(chance, arm, labels, name, ax)


def plot_balance(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the love plot.

    ``table``: a row per covariate with ``measure``, ``before``, ``after``, ``after_lb``,
        ``after_ub``.
    """
    ax = new_axes(ax, height=1.3 + 0.3 * max(len(table), 1))
    order = table.reindex(table["before"].abs().sort_values().index)
    places = np.arange(len(order))
    for limit in (-0.1, 0.1):
        ax.axvline(limit, color=quiet(), linewidth=0.8, linestyle=(0, (3, 3)))
    ax.axvline(0, color=quiet(), linewidth=0.8)
    ax.hlines(places, order["before"], order["after"], color=quiet(), linewidth=0.6)
    ax.hlines(places, order["after_lb"], order["after_ub"], color=BLUE, linewidth=2.5)
    ax.plot(order["before"], places, "o", mfc=paper(), mec=ORANGE, label="before weighting")
    ax.plot(order["after"], places, "o", color=BLUE, label="after weighting, with 94% HDI")
    ax.set_yticks(places, [plain(str(n)) for n in order.index])
    ax.set_ylim(-0.6, len(order) - 0.4)
    correlation = len(order) and (order["measure"] == "correlation").all()
    ax.set_xlabel("correlation with the dose" if correlation else "standardised difference")
    tidy(ax, grid="x")
    legend_above(ax)
    return ax


# ------------------------------------------------------------------------------- private


def _mirrored(
    chance: np.ndarray, arm: np.ndarray, labels: Sequence[str], name: str, ax: Axes | None
) -> Axes:
    ax = new_axes(ax)
    edges = np.linspace(0, 1, BARS + 1)
    for k, (colour, sign) in enumerate(((ORANGE, -1), (BLUE, 1))):
        inside = chance[:, arm == k]
        bars = np.stack([np.histogram(row, edges)[0] for row in inside]) / max(inside.shape[1], 1)
        text = f"{plain(name)}={plain(str(labels[k]))} ({inside.shape[1]:,} units)"
        shown_bars = sign * bars.mean(axis=0)
        ax.stairs(shown_bars, edges, fill=True, color=colour, alpha=0.45, label=text)
        low, high = np.quantile(bars, [0.03, 0.97], axis=0)
        middle = (edges[1:] + edges[:-1]) / 2
        shown = high > 0
        ax.vlines(middle[shown], sign * low[shown], sign * high[shown], color=colour, linewidth=1.2)
    ax.axhline(0, color=quiet(), linewidth=0.8)
    ax.set_xlim(0, 1)
    ax.set_xlabel(f"chance of {plain(name)}={plain(str(labels[1]))} under the model")
    ax.set_ylabel("share of the arm")
    ax.yaxis.set_major_formatter(lambda v, _: f"{abs(v):.2g}")
    tidy(ax, grid="y", left=True)
    legend_above(ax)
    return ax


def _rows(
    chance: np.ndarray, arm: np.ndarray, labels: Sequence[str], name: str, ax: Axes | None
) -> Axes:
    """Draw, level by level, the range of its chance among the units of each arm."""
    mean = chance.mean(axis=0)
    count = len(labels)
    ax = new_axes(ax, height=1.2 + 0.28 * count * (count + 0.6))
    ticks: list[tuple[float, str]] = []
    for level in range(count):
        for k in range(count):
            at = -(level * (count + 0.6) + k)
            values = mean[arm == k, level]
            ends = np.quantile(values, [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0])
            colour = CYCLE[k % len(CYCLE)]
            ax.plot(ends[[0, 6]], [at, at], color=colour, linewidth=0.7)
            ax.plot(ends[[1, 5]], [at, at], color=colour, linewidth=2.2)
            ax.plot(ends[[2, 4]], [at, at], color=colour, linewidth=5, solid_capstyle="butt")
            extra: dict[str, Any] = {"label": f"had {plain(str(labels[k]))}"} if not level else {}
            ax.plot(ends[3], at, "o", color=colour, mec=paper(), **extra)
        middle = -(level * (count + 0.6) + (count - 1) / 2)
        ticks.append((middle, plain(str(labels[level]))))
    ax.set_yticks([t for t, _ in ticks], [label for _, label in ticks])
    ax.set_xlim(left=0)
    ax.set_xlabel(f"chance of each level of {plain(name)} under the model")
    tidy(ax, grid="x")
    legend_above(ax)
    return ax
