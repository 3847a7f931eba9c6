"""The picture of a refutation: each refit as a dot, and what should have come out as a mark.

One row per refutation. A bar is what chance allows around the expected value (two of its standard
deviations); dots are the refits. The vertical band is the 94% HDI of the answer that is refuted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.figures.style import (
    BLUE,
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

__all__ = ["plot_refutation"]


def plot_refutation(
    table: pd.DataFrame,
    refits: pd.DataFrame,
    answer: Mapping[str, float],
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw refits beside what was expected of them.

    ``table``: a row per refutation, with ``verdict``.
    ``refits``: a row per refit: ``refutation``, ``found``, ``expected`` and ``allowed``.
    ``answer``: ``low``, ``high`` and ``null`` of the answer.
    """
    shown = [t for t in table.index if table.loc[t, "verdict"] != "undecided"]
    ax = new_axes(ax, height=1.3 + 0.34 * max(len(shown), 1), width=7.6)
    ax.axvspan(answer["low"], answer["high"], color=faint(), label="the answer, 94% HDI")
    ax.axvline(answer["null"], color=quiet(), linewidth=0.8, linestyle=(0, (3, 3)))
    for i, title in enumerate(shown):
        rows = refits[refits["refutation"] == title]
        centre = float(rows["expected"].mean())
        width = 2 * float(np.sqrt((rows["allowed"] ** 2).mean()))
        label = "expected, with 2 sd of chance" if not i else ""
        ax.hlines(
            -i, centre - width, centre + width, color=quiet(), linewidth=4, alpha=0.5, label=label
        )
        moved = rows["found"] - rows["expected"] + centre
        lift = np.linspace(-0.16, 0.16, len(rows)) if len(rows) > 1 else np.zeros(1)
        bad = table.loc[title, "verdict"] != "pass"
        ax.plot(moved, lift - i, "o", ms=3.5, color=ORANGE if bad else BLUE)
        ax.plot([centre], [-i], "|", color=ink(), ms=12)
    ax.plot([], [], "o", ms=3.5, color=BLUE, label="refits")
    if any(table.loc[t, "verdict"] != "pass" for t in shown):
        ax.plot([], [], "o", ms=3.5, color=ORANGE, label="refits that differ")
    ax.set_yticks([-i for i in range(len(shown))], [plain(t) for t in shown])
    ax.set_ylim(-len(shown) + 0.4, 0.6)
    ax.set_xlabel("effect")
    tidy(ax, grid="x")
    legend_above(ax, columns=2)
    return ax
