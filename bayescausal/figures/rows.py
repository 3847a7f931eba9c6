"""The marks of a picture with one row for each unit: intervals, densities, circles.

Rows are numbered from 0 and the first is on top, so a level that is larger lies lower. Lines and
marks get thinner with the number of rows, so that some hundred of them stay apart. What is NaN is
not drawn. Matplotlib is imported inside the functions, as everywhere here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.figures.style import ink, paper, plain, tidy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

__all__ = [
    "draw_circles",
    "draw_densities",
    "draw_factual",
    "draw_intervals",
    "finish",
    "legend",
    "new_axes",
]

WIDTH, TALLEST = 6.4, 7.5  # inches of a new figure
MOST_NAMED = 40  # rows; of more, the names are left out
LARGEST_MARK, LARGEST_CIRCLE = 5.0, 14.0  # points across
ROUNDING = 1e-9  # of the size of the values: a spread below is no spread


def new_axes(ax: Axes | None, rows: int, each: float) -> Axes:
    """Return the axes given, or new ones with `each` inches for a row, within a page."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    height = float(np.clip(1.1 + each * rows, 2.0, TALLEST))
    return plt.subplots(figsize=(WIDTH, height), layout="constrained")[1]


def draw_intervals(
    ax: Axes,
    means: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    base: float,
    mark: Mapping[str, Any],
    name: str,
) -> None:
    """Draw a line from end to end and a mark at the mean, `base` below the middle of each row."""
    levels = np.arange(len(means)) + base
    pitch = _pitch(ax, len(means))
    ax.hlines(levels, *ends, color=mark["color"], linewidth=float(np.clip(pitch / 2, 0.5, 2.2)))
    size = float(np.clip(0.8 * pitch, 1.0, LARGEST_MARK))
    ax.plot(means, levels, linestyle="none", markersize=size, label=name, **mark)


def draw_factual(
    ax: Axes,
    means: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    base: float,
    *,
    several: bool,
) -> None:
    """Draw what was seen as a point, or with several worlds as a bar across the row.

    What was not seen has an open mark and its own interval, a little below.
    """
    rows = np.arange(len(means))
    low, high = ends
    apart = high - low > ROUNDING * np.maximum(np.abs(low), np.abs(high))
    seen = np.where(apart, np.nan, means)
    size = float(np.clip(0.6 * _pitch(ax, len(means)), 0.9, 0.8 * LARGEST_MARK))
    if several:
        ax.vlines(seen, rows - 0.42, rows + 0.42, color=ink(), linewidth=1.4, zorder=4)
        mark: dict[str, Any] = {"marker": "|", "markersize": 2.5 * size, "markeredgewidth": 1.4}
        ax.plot([], [], linestyle="none", color=ink(), label="factual", **mark)
    else:
        label = "factual" if not apart.all() else "_factual"
        ax.plot(seen, rows + base, "o", color=ink(), markersize=size, label=label, zorder=4)
    if apart.any():
        open_mark = {"color": ink(), "marker": "o", "markerfacecolor": paper()}
        label = "factual" if apart.all() and not several else "_factual"
        hidden = (np.where(apart, low, np.nan), np.where(apart, high, np.nan))
        below = 0.48 if several or base else 0.28
        draw_intervals(ax, np.where(apart, means, np.nan), hidden, below, open_mark, label)


def draw_densities(ax: Axes, values: np.ndarray, base: float, height: float, colour: str) -> None:
    """Draw the density of each column as a hill upon its level; none where draws are equal."""
    from arviz_stats.base import array_stats

    for row in range(values.shape[1]):
        draws = values[np.isfinite(values[:, row]), row]
        if len(draws) < 10 or np.ptp(draws) <= ROUNDING * np.abs(draws).max():
            continue
        grid, density, _ = array_stats.kde(draws)
        top = row + base - 0.9 * height * density / density.max()
        ax.fill_between(grid, row + base, top, color=colour, alpha=0.3, linewidth=0)


def draw_circles(
    ax: Axes, values: np.ndarray, base: float, lane: float, colour: str | None, name: str
) -> None:
    """Draw the share of each value in each column as the area of a disc; of a ring without colour.

    A disc that fills its ring has probability one.
    """
    widest = float(np.clip(0.9 * lane * _pitch(ax, values.shape[1]), 1.5, LARGEST_CIRCLE))
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    if colour is None:
        style: dict[str, Any] = {"facecolor": "none", "edgecolor": ink(), "linewidth": 1.1}
    else:
        style = {"facecolor": colour, "edgecolor": "none", "linewidth": 0}
    for value in np.unique(values[known]):
        share = (values == value).sum(axis=0) / count
        here = np.flatnonzero(share)
        ax.scatter(np.full(len(here), value), here + base, share[here] * widest**2, **style)
    ax.scatter([], [], LARGEST_CIRCLE**2 / 3, label=name, **style)


def finish(
    ax: Axes,
    labels: Sequence[str],
    total: int,
    noun: str,
    *,
    undefined: int = 0,
    ordered: bool = False,
    whole: bool = False,
) -> None:
    """Name the rows, put the first on top, say in the axis label what is left out."""
    from matplotlib.ticker import MaxNLocator

    rows = len(labels)
    few = rows <= MOST_NAMED
    ax.set_yticks(np.arange(rows) if few else [], [plain(x) for x in labels] if few else [])
    ax.set_ylim(rows - 0.3, -0.7)
    if whole:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.margins(x=0.08)
    notes = ["sorted"] if ordered else []
    if rows < total:
        notes.append(f"{rows:,} of {total:,} drawn")
    elif not few:
        notes.append(f"{total:,}")
    if undefined:
        notes.append(f"{undefined:,} impossible under the model in some draws")
    ax.set_ylabel(plain(f"{noun} ({', '.join(notes)})" if notes else noun))
    tidy(ax)


def legend(ax: Axes, first: str = "") -> None:
    """Put the legend above the axes, where it hides nothing; the entry `first` leads."""
    handles, words = ax.get_legend_handles_labels()
    order = sorted(range(len(words)), key=lambda i: words[i] != first)
    sizes = [h.get_markersize() for h in handles if hasattr(h, "get_markersize")]
    ax.legend(
        [handles[i] for i in order],
        [plain(words[i]) for i in order],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=min(len(words), 4),
        frameon=False,
        borderaxespad=0.2,
        markerscale=max(1.0, LARGEST_MARK / max(sizes)) if sizes else 1.0,
    )


def _pitch(ax: Axes, rows: int) -> float:
    """Return the points from one row to the next."""
    return float(72 * ax.get_window_extent().height / ax.figure.dpi / (rows + 0.4))
