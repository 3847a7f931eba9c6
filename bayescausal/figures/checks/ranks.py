r"""Pictures of ranks: are they uniform, and if not, how?

*ECDF difference.* The share of ranks at or below each value, less the share that uniform ranks
have: a line around zero. It leaves the simultaneous band with probability 5% or 1% if the
posterior is right. A hill means ranks that are too small (the posterior is too high), a valley
ranks that are too large; an S, first up, a posterior that is too narrow; first down, one that is
too wide.

*Histogram.* The same ranks in bins, with the pointwise range that each bin keeps to with
probability 99%.

References
----------
T. Säilynoja, P.-C. Bürkner and A. Vehtari, "Graphical test for discrete uniformity and its
applications in goodness-of-fit evaluation and multiple sample comparison", Statistics and Computing
32, 2022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.figures.style import BLUE, ORANGE, new_axes, plain, quiet, tidy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from bayescausal.annotations import Array

__all__ = ["plot_rank_ecdf", "plot_rank_histogram", "rank_panels"]

#: Bins of a histogram.
BINS = 20


def plot_rank_ecdf(
    ranks: Sequence[int] | Array,
    draws: int,
    bands: Mapping[float, tuple[Any, Any]],
    *,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution function of ranks, less the uniform one, with bands.

    ``ranks`` (replicate,): from 0 to `draws`.
    ``draws``: among which was ranked.
    ``bands``: by level: smallest and largest counts of ranks at or below 0, ..., draws - 1.
    """
    ax = new_axes(ax, height=3.2)
    n = len(ranks)
    counts = np.cumsum(np.bincount(np.asarray(ranks, dtype=int), minlength=draws + 1))
    uniform = (np.arange(draws) + 1) / (draws + 1)
    at = np.concatenate([[0.0], uniform, [1.0]])
    outside = False
    for level, alpha in zip(sorted(bands), (0.30, 0.16), strict=False):
        lower, upper = (np.asarray(end) for end in bands[level])
        low = np.concatenate([[0.0], lower / n - uniform, [0.0]])
        high = np.concatenate([[0.0], upper / n - uniform, [0.0]])
        ax.fill_between(at, low, high, color=quiet(), alpha=alpha, linewidth=0)
        outside = bool(((counts[:-1] < lower) | (counts[:-1] > upper)).any())
    line = np.concatenate([[0.0], counts[:-1] / n - uniform, [0.0]])
    colour, width = (ORANGE, 1.8) if outside else (BLUE, 1.4)
    ax.axhline(0.0, color=quiet(), linewidth=0.8)
    ax.plot(at, line, color=colour, linewidth=width)
    tidy(ax, grid=None, left=True)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1])
    ax.set_xlabel("rank of the truth / draws")
    ax.set_ylabel("ECDF difference")
    ax.set_title(plain(title + (": outside" if outside and title else "")), loc="left")
    return ax


def plot_rank_histogram(
    ranks: Sequence[int] | Array,
    draws: int,
    bands: Mapping[float, tuple[Any, Any]] | None = None,
    *,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw ranks in bins, with the range that each bin keeps to.

    ``draws``: among which was ranked.
    ``bands``: not drawn: bins have pointwise ranges. Taken so that both pictures are called alike.
    """
    from scipy import stats

    ax = new_axes(ax, height=3.2)
    bins = next(b for b in range(min(BINS, draws + 1), 0, -1) if (draws + 1) % b == 0)
    place = np.asarray(ranks, dtype=int) * bins // (draws + 1)
    counts = np.bincount(place, minlength=bins)
    low, high = stats.binom.interval(0.99, len(place), 1 / bins)
    ax.axhspan(low, high, color=quiet(), alpha=0.22, linewidth=0)
    ax.axhline(len(place) / bins, color=quiet(), linewidth=0.8)
    inside = (counts >= low) & (counts <= high)
    middle = (np.arange(bins) + 0.5) / bins
    colours = [BLUE if ok else ORANGE for ok in inside]
    ax.bar(middle, counts, width=0.88 / bins, color=colours)
    tidy(ax, grid=None, left=True)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1])
    ax.set_xlabel("rank of the truth / draws")
    ax.set_ylabel("data sets")
    ax.set_title(plain(title), loc="left")
    return ax


def rank_panels(count: int) -> Array:
    """Return so many axes of a new figure, four in a row at most."""
    import matplotlib.pyplot as plt

    columns = min(count, 4 if count > 6 else 3)
    lines = -(-count // columns)
    _, axes = plt.subplots(
        lines,
        columns,
        figsize=(3.0 * columns, 2.4 * lines),
        layout="constrained",
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    flat = axes.reshape(-1)
    for ax in flat[count:]:
        ax.set_visible(False)
    for i, ax in enumerate(flat[:count]):
        ax.label_outer() if i % columns else None
    return flat[:count]
