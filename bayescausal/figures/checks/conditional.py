"""Pictures of conditional effects of learners: how they are spread, and whether they are right.

:func:`plot_effects` shows how far the effects that each learner predicts are spread, which holds
its errors too; :func:`plot_gates` the average of doubly robust scores in groups by predicted
effect, which lies on the diagonal where predictions are right [1]_; :func:`plot_benefit` what
treating those with the largest predicted effects gains over treating nobody (Qini), beside the
straight line of treating as many at random [2]_.

References
----------
.. [1] V. Chernozhukov, M. Demirer, E. Duflo and I. Fernández-Val, "Generic machine learning
   inference on heterogeneous treatment effects in randomized experiments", 2018.
.. [2] S. Yadlowsky, S. Fleming, N. Shah, E. Brunskill and S. Wager, "Evaluating treatment
   prioritization rules via rank-weighted average treatment effects", Journal of the American
   Statistical Association 120 (2025).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.draws.digits import numbers
from bayescausal.figures.style import (
    BLUE,
    CYCLE,
    ORANGE,
    legend_above,
    new_axes,
    plain,
    quiet,
    tidy,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_benefit", "plot_effects", "plot_gates"]

BINS = 40


def plot_effects(effects: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the distribution over units of the effects that each estimator predicts.

    ``effects``: a row a unit, a column an estimator.
    """
    ax = new_axes(ax, height=3.2)
    values = effects.to_numpy()
    ends = np.linspace(values.min(), values.max(), BINS + 1)
    for k, name in enumerate(effects):
        colour = CYCLE[k % len(CYCLE)]
        own = effects[name].to_numpy()
        if np.ptp(own) < 1e-9 * max(1.0, float(np.abs(own).max())):  # one effect for all
            ax.axvline(own[0], color=colour, linewidth=1.6, label=plain(str(name)))
            continue
        count, _ = np.histogram(own, ends)
        ax.stairs(count / len(own), ends, color=colour, linewidth=1.6, label=plain(str(name)))
    ax.axvline(0, color=quiet(), linewidth=0.8)
    ax.set_xlabel("predicted effect of a unit")
    ax.set_ylabel("share of the units")
    tidy(ax, grid="y")
    legend_above(ax)
    return ax


def plot_gates(groups: pd.DataFrame, name: str, *, ax: Axes | None = None) -> Axes:
    """Draw the average effect of groups of units against the effect predicted for them.

    ``groups``: ``predicted``, ``mean``, and the ends of an interval (``hdi..``).
    """
    ax = new_axes(ax, height=3.6)
    low, high = (groups[c] for c in groups if str(c).startswith("hdi"))
    ends = [groups["predicted"].min(), groups["predicted"].max()]
    ax.plot(ends, ends, color=quiet(), linewidth=0.9, label="as predicted")
    ax.vlines(groups["predicted"], low, high, color=BLUE, linewidth=1.8)
    ax.plot(groups["predicted"], groups["mean"], "o", color=BLUE, label="average of the scores")
    ax.axhline(0, color=quiet(), linewidth=0.8, linestyle=(0, (3, 3)))
    ax.set_xlabel(f"effect predicted by {plain(name)}, average of the group")
    ax.set_ylabel("average effect of the group")
    tidy(ax, grid="y")
    legend_above(ax)
    return ax


def plot_benefit(curve: pd.DataFrame, name: str, *, ax: Axes | None = None) -> Axes:
    """Draw the gain per unit of treating the units with the largest predicted effects first.

    ``curve``: by share treated ``mean`` and the ends of an interval; a last row ``"RATE"``.
    """
    ax = new_axes(ax, height=3.6)
    path = curve.drop(index="RATE")
    share = path.index.to_numpy(float)
    low, high = (str(c) for c in curve if str(c).startswith("hdi"))
    ax.fill_between(share, path[low], path[high], color=BLUE, alpha=0.2, linewidth=0)
    ax.plot(share, path["mean"], color=BLUE, label=f"largest effects by {plain(name)} first")
    whole = float(path["mean"].iloc[-1])
    ax.plot([0, 1], [0, whole], color=ORANGE, linewidth=1.2, label="at random")
    ax.axhline(0, color=quiet(), linewidth=0.8)
    area = curve.loc["RATE"]
    ends = (float(area[c]) for c in ("mean", low, high))
    mean, lower, upper = numbers(float(area[high] - area[low]) / 4, *ends, ends=True, apart=[0])
    said = f"RATE {mean} ({low.split('_')[0].replace('hdi', '')}% HDI {lower} to {upper})"
    ax.text(0.98, 0.06, said, transform=ax.transAxes, ha="right", fontsize="small", color=quiet())
    ax.set_xlabel("share of the units treated")
    ax.set_ylabel("gain per unit")
    ax.set_xlim(0, 1)
    tidy(ax, grid="y")
    legend_above(ax)
    return ax
