"""The picture of a comparison of models: scores on the left, the answer of each on the right.

The two panels share their rows, so that one sees at a glance whether models that predict equally
well disagree on the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.figures.style import BLUE, GREEN, ORANGE, WIDTH, new_axes, plain, quiet, tidy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_comparison"]


def plot_comparison(table: pd.DataFrame, models: Sequence[Any], *, ax: Axes | None = None) -> Axes:
    """Draw the scores of models, and their answers where there are any.

    ``table``: a row per model with ``elpd_diff``, ``dse``, ``weight`` and ``k_bad``, and with
        ``mean``, ``hdi94_lb`` and ``hdi94_ub`` where a question was asked; a row ``stacked`` may
        follow.
    ``models``: the rows that are models.
    Result: that of the scores.
    """
    both = ax is None and "mean" in table
    height = 1.1 + 0.36 * len(table)
    if both:
        import matplotlib.pyplot as plt

        _, (ax, right) = plt.subplots(
            1, 2, figsize=(WIDTH * 1.3, height), layout="constrained", sharey=True
        )
        _answers(right, table)
    ax = new_axes(ax, height=height)
    places = -np.arange(len(models))
    rows = table.loc[list(models)]
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        colour = ORANGE if row["k_bad"] else BLUE
        ends = row["elpd_diff"] + np.array([-2, 2]) * row["dse"]
        ax.plot(ends, [place, place], color=colour, linewidth=2)
        ax.plot(row["elpd_diff"], place, "o", color=colour)
        text = f"weight {row['weight']:.2f}" + (", high k" if row["k_bad"] else "")
        at = (row["elpd_diff"], place)
        ax.annotate(text, at, (0, 6), textcoords="offset points", ha="center", fontsize=8)
    ax.axvline(0, color=quiet(), linewidth=0.8)
    shown = list(table.index) if both else list(models)
    ax.set_yticks(-np.arange(len(shown)), [plain(str(n)) for n in shown])
    ax.set_ylim(-len(shown) + 0.4, 0.7)
    ax.set_xlabel("elpd less that of the best, with 2 se")
    ax.margins(x=0.15)
    tidy(ax, grid="x")
    return ax


def _answers(ax: Axes, table: pd.DataFrame) -> None:
    for i, (name, row) in enumerate(table.iterrows()):
        colour = GREEN if name == "stacked" else BLUE
        ax.plot([row["hdi94_lb"], row["hdi94_ub"]], [-i, -i], color=colour, linewidth=2.5)
        ax.plot(row["mean"], -i, "o", color=colour)
    ax.set_xlabel("effect, with 94% HDI")
    tidy(ax, grid="x")
