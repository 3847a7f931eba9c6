"""Pictures of a recovery study: every replicate's interval, sorted, and the truth.

The eye sees bias (the cloud is off the line), a posterior that is too narrow (many intervals miss)
and one that is too wide (none does). Intervals that miss the truth have another colour *and*
are drawn thicker, so that the picture can be read in grey.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.draws.digits import significant
from bayescausal.figures.style import BLUE, ORANGE, ink, new_axes, plain, quiet, tidy

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

    from bayescausal.annotations import Array

__all__ = ["plot_intervals", "plot_panels"]

#: Replicates up to which every interval is drawn; of more, so many evenly spread in the order.
MOST = 400


def plot_intervals(table: pd.DataFrame, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw the 94% intervals of all replicates, sorted by their means, with the truth.

    ``table``: one row per replicate: ``truth``, ``mean``, ``hdi94_lb``, ``hdi94_ub``, ``covered``.
        Rows without numbers are failures, and counted in the title.
    """
    ax = new_axes(ax, height=4.2)
    good = table[~table["mean"].isna()].sort_values("mean", kind="stable")
    held = int(np.nansum(good["covered"]))
    lost = len(table) - len(good)
    also = f", {lost} failed" if lost else ""
    head = f"{title}: " if title else ""
    ax.set_title(
        plain(f"{head}{held:,} of {len(good):,} intervals hold the truth{also}"), loc="left"
    )
    tidy(ax, grid="x")
    ax.set_yticks([])
    ax.set_ylabel("replicates, by posterior mean")
    if good.empty:
        return ax
    order = np.arange(len(good))
    shown = np.unique(np.linspace(0, len(good) - 1, min(MOST, len(good))).astype(int))
    rows, place = good.iloc[shown], order[shown]
    inside = rows["covered"].to_numpy() > 0
    thin = float(np.clip(90 / len(rows), 0.35, 1.0))
    for hit, colour, width, label in (
        (inside, BLUE, 1.0 * thin, "holds the truth"),
        (~inside, ORANGE, 1.7 * thin, "misses it"),
    ):
        if hit.any():
            some = rows[hit]
            ax.hlines(
                place[hit],
                some["hdi94_lb"],
                some["hdi94_ub"],
                color=colour,
                linewidth=width,
                label=label,
            )
            ax.scatter(some["mean"], place[hit], s=5 * thin, color=colour, zorder=3)
    _draw_truth(ax, rows["truth"].to_numpy(), place)
    ax.set_ylim(-0.02 * len(good) - 1, 1.02 * len(good) + 1)
    ax.set_xlabel("posterior mean and 94% HDI")
    _legend_below(ax)
    return ax


def plot_panels(tables: Mapping[str, pd.DataFrame]) -> Array:
    """Draw several estimands beside each other.

    ``tables``: as for :func:`plot_intervals`, by title.
    """
    import matplotlib.pyplot as plt

    columns = min(len(tables), 2)
    lines = -(-len(tables) // columns)
    _, axes = plt.subplots(
        lines,
        columns,
        figsize=(5.2 * columns, 3.9 * lines),
        layout="constrained",
        squeeze=False,
    )
    for ax, (name, table) in zip(axes.flat, tables.items(), strict=False):
        plot_intervals(table, ax=ax)
        said = ax.get_title(loc="left")
        ax.set_title(f"{plain(name)}\n{said}", loc="left", fontsize="medium")
    for ax in list(axes.flat)[len(tables) :]:
        ax.set_visible(False)
    return axes.reshape(-1)[: len(tables)]


def _draw_truth(ax: Axes, truth: np.ndarray, place: np.ndarray) -> None:
    """Draw one line where the truth is one, else a mark per replicate."""
    scale = np.max(np.abs(truth)) or 1.0
    if np.ptp(truth) <= 1e-9 * scale:
        words = f"truth {significant(float(truth[0]))}"
        ax.axvline(truth[0], color=ink(), linewidth=1.2, label=words)
        return
    ax.scatter(truth, place, marker="|", s=16, color=ink(), linewidth=0.9, zorder=4, label="truth")
    ax.axvline(float(truth.mean()), color=quiet(), linewidth=0.9, linestyle=":")


def _legend_below(ax: Axes) -> None:
    """Put the legend under the axes, where it hides no interval."""
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=3,
        frameon=False,
        fontsize="small",
        handlelength=1.2,
        columnspacing=1.2,
    )
