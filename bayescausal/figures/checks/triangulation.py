"""Pictures of estimators: balance, weights, the propensity's calibration, the outcome's accuracy.

:func:`plot_love` shows standardised differences before and after several sets of weights [1]_;
:func:`plot_weights` how far some units count for many; :func:`plot_calibration` whether of those
with a chance of a third about a third are treated; :func:`plot_roc` how well the chance tells the
arms apart, which for a propensity is no virtue: near 1 there is no overlap; :func:`plot_accuracy`
the outcome against what was predicted for it by models that had not seen it.

References
----------
.. [1] T. E. Love, "Displaying covariate balance after adjustment for selection bias", Joint
   Statistical Meetings, 2002.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.figures.style import (
    BLUE,
    CYCLE,
    MARKERS,
    ORANGE,
    legend_above,
    new_axes,
    paper,
    plain,
    quiet,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_accuracy", "plot_calibration", "plot_love", "plot_roc", "plot_weights"]

#: Groups of equal size by predicted chance.
GROUPS = 10
#: Points drawn of each arm.
MOST_POINTS = 1500


def plot_love(balance: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw absolute standardised differences, a row for each column of the adjustment set.

    ``balance``: ``before``, and a column for each set of weights.
    """
    ax = new_axes(ax, height=1.4 + 0.3 * max(len(balance), 1))
    table = balance.abs()
    table = table.reindex(table["before"].sort_values().index)
    places = np.arange(len(table))
    ax.axvline(0.1, color=quiet(), linewidth=0.8, linestyle=(0, (3, 3)))
    ax.axvline(0, color=quiet(), linewidth=0.8)
    ax.plot(table["before"], places, "o", mfc=paper(), mec=quiet(), label="before")
    for k, name in enumerate(c for c in table if c != "before"):
        ax.plot(table[name], places, MARKERS[k % len(MARKERS)], color=CYCLE[k % len(CYCLE)],
                mfc=CYCLE[k % len(CYCLE)] if k < len(CYCLE) else paper(), markersize=5,
                label=plain(str(name)))  # fmt: skip
    ax.set_yticks(places, [plain(str(n)) for n in table.index])
    ax.set_ylim(-0.6, len(table) - 0.4)
    ax.set_xlim(left=-0.02)
    ax.set_xlabel("absolute standardised difference between the arms")
    tidy(ax)
    legend_above(ax)
    return ax


def plot_weights(
    weights: Mapping[str, tuple[np.ndarray, np.ndarray]], *, ax: Axes | None = None
) -> Axes:
    """Draw the weights of each estimator, those of the treated above those of the untreated.

    ``weights``: for each name the weights of both arms, with mean one.
    """
    ax = new_axes(ax, height=1.3 + 0.55 * len(weights))
    rng = np.random.default_rng(0)
    for at, arms in enumerate(weights.values()):
        for values, colour, shift in zip(arms, (BLUE, ORANGE), (-0.16, 0.16), strict=True):
            shown = values if len(values) <= MOST_POINTS else rng.choice(values, MOST_POINTS)
            place = at + shift + rng.uniform(-0.09, 0.09, len(shown))
            ax.plot(shown, place, ".", color=colour, markersize=3, alpha=0.5)
            ax.plot([values.max()], [at + shift], "|", color=colour, markersize=11)
    ax.plot([], [], "o", color=BLUE, label="treated")
    ax.plot([], [], "o", color=ORANGE, label="untreated")
    ax.axvline(1, color=quiet(), linewidth=0.8)
    ax.axvline(0, color=quiet(), linewidth=0.8)
    ax.set_yticks(range(len(weights)), [plain(str(n)) for n in weights])
    ax.set_ylim(len(weights) - 0.5, -0.5)
    ax.set_xlabel("weight of a unit in its arm (mean 1)")
    tidy(ax)
    legend_above(ax)
    return ax


def plot_calibration(
    chance: np.ndarray, happened: np.ndarray, name: str, *, ax: Axes | None = None
) -> Axes:
    """Draw the share that were treated against the chance of it, in groups of equal size.

    ``chance``, ``happened``: ``(unit,)``.
    """
    ax = new_axes(ax, height=3.8, width=4.6)
    order = np.argsort(chance, kind="stable")
    parts = np.array_split(order, min(GROUPS, len(order)))
    mean = np.array([chance[p].mean() for p in parts])
    share = np.array([happened[p].mean() for p in parts])
    error = np.sqrt([max(m * (1 - m), 1e-12) / len(p) for m, p in zip(mean, parts, strict=True)])
    ax.plot([0, 1], [0, 1], color=quiet(), linewidth=0.8)
    ax.vlines(mean, np.clip(share - 1.88 * error, 0, 1), np.clip(share + 1.88 * error, 0, 1),
              color=BLUE, linewidth=1.5)  # fmt: skip
    ax.plot(mean, share, "o", color=BLUE, label=f"{len(parts)} groups, with 94% error")
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel(f"estimated chance of {plain(name)}")
    ax.set_ylabel("share that had it")
    tidy(ax, grid="both", left=True)
    legend_above(ax)
    return ax


def plot_roc(
    chance: np.ndarray, happened: np.ndarray, name: str, *, ax: Axes | None = None
) -> Axes:
    """Draw how well the chance of the treatment tells the arms apart.

    ``chance``, ``happened``: ``(unit,)``.
    """
    ax = new_axes(ax, height=3.8, width=4.6)
    order = np.argsort(-chance, kind="stable")
    last = np.append(np.diff(chance[order]) != 0, True)  # ties are one step
    hits = np.concatenate([[0.0], np.cumsum(happened[order])[last] / max(happened.sum(), 1)])
    false = np.concatenate([[0.0], np.cumsum(~happened[order])[last] / max((~happened).sum(), 1)])
    area = float(np.trapezoid(hits, false))
    ax.plot([0, 1], [0, 1], color=quiet(), linewidth=0.8)
    ax.plot(false, hits, color=BLUE, label=f"area {area:.2f}: 0.5 is a lottery, 1 no overlap")
    ax.set_xlabel(f"share of those without {plain(name)}")
    ax.set_ylabel("share of those with it")
    tidy(ax, grid="both", left=True)
    legend_above(ax)
    return ax


def plot_accuracy(
    y: np.ndarray, predicted: np.ndarray, arm: np.ndarray, name: str, *, ax: Axes | None = None
) -> Axes:
    """Draw outcomes against their predictions by models that had not seen them, by arm.

    ``y``, ``predicted``, ``arm``: ``(unit,)``; the arm is 1, 0, or -1 for those in neither.
    """
    ax = new_axes(ax, height=3.8, width=4.6)
    rng = np.random.default_rng(0)
    for level, colour, who in ((0, ORANGE, "without"), (1, BLUE, "with")):
        inside = np.flatnonzero(arm == level)
        spread = ((y[inside] - y[inside].mean()) ** 2).sum()
        left = ((y[inside] - predicted[inside]) ** 2).sum()
        explained = 1 - left / spread if spread > 0 else np.nan
        some = inside if len(inside) <= MOST_POINTS else rng.choice(inside, MOST_POINTS)
        text = f"{who} {plain(name)}: R² {explained:.2f}, held out"
        ax.plot(predicted[some], y[some], ".", color=colour, markersize=3, alpha=0.5, label=text)
    ends = [float(np.min(predicted)), float(np.max(predicted))]
    ax.plot(ends, ends, color=quiet(), linewidth=0.8)
    ax.set_xlabel("predicted outcome")
    ax.set_ylabel("outcome")
    tidy(ax, grid="both", left=True)
    legend_above(ax, columns=2)
    return ax
