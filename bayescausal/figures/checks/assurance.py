"""A picture of assurance: the probability that an answer is good enough, over numbers of units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.figures.style import BLUE, ORANGE, new_axes, plain, quiet, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_assurance"]


def plot_assurance(
    curve: pd.DataFrame,
    probability: float,
    needed: float,
    *,
    title: str = "",
    rule: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw the curve with its Monte Carlo intervals, and the number of units needed.

    ``curve``: ``units``, ``met``, ``lower``, ``upper``, ``fitted``.
    ``probability``: the wanted one, a line across.
    ``needed``: where the curve reaches it; infinite: nowhere.
    ``title``, ``rule``: what was asked, and what is good enough.
    """
    ax = new_axes(ax, height=3.6)
    units = curve["units"].to_numpy(dtype=float)
    met = curve["met"].to_numpy()
    below = np.clip(met - curve["lower"].to_numpy(), 0, None)
    above = np.clip(curve["upper"].to_numpy() - met, 0, None)
    ax.axhline(probability, color=quiet(), linewidth=0.9, linestyle="--")
    if len(units) > 1:
        root = np.linspace(np.sqrt(units[0]), np.sqrt(units[-1]), 200)
        line = np.interp(root, np.sqrt(units), curve["fitted"].to_numpy())
        ax.plot(root**2, line, color=BLUE, linewidth=1.4)
    ax.errorbar(units, met, yerr=[below, above], fmt="o", color=BLUE, markersize=5, capsize=3)
    if np.isfinite(needed):
        ax.axvline(needed, color=ORANGE, linewidth=1.2, linestyle=":")
        ax.annotate(
            f"{int(np.ceil(needed)):,} units",
            (needed, 0.02),
            xytext=(5, 0),
            textcoords="offset points",
            color=ORANGE,
            va="bottom",
        )
    tidy(ax, grid="y", left=True)
    ax.set_ylim(0, 1.03)
    if len(units) > 1 and units[-1] / units[0] > 4:
        ax.set_xscale("log")
        ax.set_xticks(units, [f"{int(n):,}" for n in units])
        ax.minorticks_off()
    ax.set_xlabel("units")
    ax.set_ylabel("probability")
    ax.set_title(plain(f"{title}: {rule}" if title and rule else title or rule), loc="left")
    return ax
