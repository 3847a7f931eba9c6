"""Pictures of predictive checks: places, quantities, and one variable beside its replicas.

:func:`plot_pit` draws the distribution function of PIT values less the diagonal, with the band in
which a uniform sample stays: a curve that rises above it on the left and falls below it on the
right says that predictions are too narrow; a hill that they are too high (values lie low); and so
on. :func:`plot_quantities` puts every test quantity on one scale, that of its replicas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.figures.style import (
    BLUE,
    CYCLE,
    ORANGE,
    faint,
    ink,
    legend_above,
    new_axes,
    plain,
    quiet,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_pit", "plot_prior", "plot_quantities", "plot_replicas"]

#: Bars of a histogram of numbers, and values of a count that get a place of their own.
BARS, VALUES = 30, 40
#: Where the axis of prior predictions ends, in sd of the data.
EDGE = 12.0


def plot_pit(curves: Mapping[str, Any], *, ax: Axes | None = None) -> Axes:
    """Draw how far PIT values are from uniform.

    ``curves``: by variable: ``at``, ``curve``, ``lower`` and ``upper``, arrays of one length.
    """
    ax = new_axes(ax)
    widest = max(curves.values(), key=lambda c: float(np.max(c.upper)), default=None)
    if widest is not None:
        x = np.concatenate([[0.0], widest.at, [1.0]])
        low, high = (np.concatenate([[0.0], e, [0.0]]) for e in (widest.lower, widest.upper))
        ax.fill_between(x, low, high, color=faint(), label="95% band")
    ax.axhline(0, color=quiet(), linewidth=0.8)
    for i, (name, c) in enumerate(curves.items()):
        x, y = (np.concatenate([[a], v, [b]]) for v, a, b in ((c.at, 0, 1), (c.curve, 0, 0)))
        style = ("-", "--", ":", "-.")[i // len(CYCLE) % 4]
        ax.step(x, y, where="mid", color=CYCLE[i % len(CYCLE)], linestyle=style, label=plain(name))
    ax.set_xlim(0, 1)
    ax.set_xlabel("PIT value")
    ax.set_ylabel("share below, less uniform")
    tidy(ax, grid=None, left=True)
    legend_above(ax)
    return ax


def plot_quantities(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw each test quantity in units of the spread of its replicas.

    ``table``: Indexed by variable and comparison, with ``seen``, ``predicted``, ``lower``,
        ``upper``, ``spread`` and ``verdict``.
    """
    ax = new_axes(ax, height=1.2 + 0.24 * max(len(table), 1))
    spread = table["spread"].to_numpy(dtype=float)
    spread = np.where(spread > 0, spread, 1.0)
    middle = table["predicted"].to_numpy(dtype=float)
    low, high, seen = (
        (table[k].to_numpy(dtype=float) - middle) / spread for k in ("lower", "upper", "seen")
    )
    places = -np.arange(len(table))
    shown = np.clip(seen, -8, 8)
    ax.hlines(places, low, high, color=quiet(), linewidth=4, alpha=0.5, label="replicas, 94%")
    bad = (table["verdict"] != "pass").to_numpy()
    ax.plot(shown[~bad], places[~bad], "o", color=BLUE, label="seen")
    ax.plot(shown[bad], places[bad], "D", color=ORANGE, label="seen, and differs")
    for x, place in zip(seen, places, strict=True):
        if abs(x) > 8:
            side = "right" if x > 0 else "left"
            text = f"{x:.0f} " if x > 0 else f" {x:.0f}"
            ax.annotate(text, (np.clip(x, -8, 8), place), ha=side, va="bottom", fontsize=8)
    names = [f"{plain(str(v))}: {plain(str(c))}" for v, c in table.index]
    ax.set_yticks(places, names)
    ax.set_ylim(-len(table) + 0.4, 0.6)
    ax.set_xlabel("distance from the replicas' mean, in their sd")
    tidy(ax, grid="x")
    legend_above(ax)
    return ax


def plot_replicas(
    seen: np.ndarray,
    drawn: np.ndarray,
    *,
    name: str = "value",
    whole: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of a variable beside that of its replicas.

    ``whole``: whether values are whole numbers, each with a bar of its own.
    """
    ax = new_axes(ax)
    low = min(seen.min(), np.quantile(drawn, 0.002))
    high = max(seen.max(), np.quantile(drawn, 0.998))
    if whole and high - low <= VALUES:
        edges = np.arange(np.floor(low) - 0.5, np.ceil(high) + 1.0)
    else:
        edges = np.linspace(low, high if high > low else low + 1.0, BARS + 1)
    share = np.stack([np.histogram(row, edges)[0] for row in drawn]) / drawn.shape[1]
    ends = np.quantile(share, [0.03, 0.97], axis=0)
    ax.stairs(ends[1], edges, baseline=ends[0], fill=True, color=BLUE, alpha=0.35,
              label="replicas, 94% of draws")  # fmt: skip
    ax.stairs(share.mean(axis=0), edges, color=BLUE, linewidth=1.2, label="replicas, mean")
    own = np.histogram(seen, edges)[0] / len(seen)
    ax.stairs(own, edges, color=ink(), linewidth=1.4, label="seen")
    ax.set_ylim(bottom=0)
    ax.set_xlabel(plain(name))
    ax.set_ylabel("share of units")
    tidy(ax, grid="y", left=True)
    legend_above(ax)
    return ax


def plot_prior(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw what the prior expects of each variable, in units of the data where there are any.

    ``table``: Indexed by variable, with ``q03``, ``q25``, ``q50``, ``q75``, ``q97`` of the prior
        predictive, ``seen_mean`` and ``seen_sd`` (NaN without data) and ``verdict``.
    """
    ax = new_axes(ax, height=1.2 + 0.32 * max(len(table), 1))
    known = bool(table["seen_sd"].notna().all()) and len(table) > 0
    spread = table["seen_sd"].where(table["seen_sd"] > 0, 1.0).fillna(1.0)
    centre = table["seen_mean"].fillna(0.0)
    places = -np.arange(len(table))
    scaled = {
        q: ((table[q] - centre) / spread).to_numpy(dtype=float)
        for q in ("q03", "q25", "q50", "q75", "q97")
    }
    if known:
        ax.axvspan(-2, 2, color=faint(), label="data, within 2 sd")
    edge = EDGE if known else np.inf
    cut = {q: np.clip(v, -edge, edge) for q, v in scaled.items()}
    bad = table["verdict"].isin(["warn", "fail"]).to_numpy()
    for wrong, colour, text in (
        (False, BLUE, "prior predictive, 94% and 50%"),
        (True, ORANGE, "too wide or misplaced"),
    ):
        at = bad == wrong
        ax.hlines(places[at], cut["q03"][at], cut["q97"][at], color=colour, linewidth=1.5)
        ax.hlines(places[at], cut["q25"][at], cut["q75"][at], color=colour, linewidth=5)
        label = text if at.any() else None
        ax.plot(cut["q50"][at], places[at], "o", color=colour, label=label)
    for q, side in (("q03", "left"), ("q97", "right")):
        for x, place in zip(scaled[q], places, strict=True):
            if abs(x) > edge:
                spot = (float(np.clip(x, -edge, edge)), place)
                ax.annotate(f"{x:.0f}", spot, (0, 5), textcoords="offset points",
                            ha=side, fontsize=8)  # fmt: skip
    ax.set_yticks(places, [plain(str(n)) for n in table.index])
    ax.set_ylim(-len(table) + 0.4, 0.6)
    ax.set_xlabel("distance from the data's mean, in their sd" if known else "value")
    tidy(ax, grid="x")
    legend_above(ax)
    return ax
