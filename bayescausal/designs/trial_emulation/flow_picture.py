"""The flow of an emulated trial, as boxes: who is left, and who was excluded why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.figures.style import ink, new_axes, quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bayescausal.designs.trial_emulation.emulation import Emulation
    from bayescausal.inference.record import Fit

__all__ = ["plot_flow"]


def plot_flow(emulation: Emulation, fit: Fit | None = None, ax: Axes | None = None) -> Axes:
    """Draw the flow of an emulated trial.

    - `fit`: not needed: the flow is known before a fit.
    - `ax`: where to draw. Default: a new figure.
    """
    table, ends = emulation.flow(), emulation.ends()
    height = 0.62 * (len(table) + 2.2)
    ax = new_axes(ax, height=height)
    box = {"boxstyle": "round,pad=0.4", "facecolor": "none", "edgecolor": quiet()}
    for k, row in enumerate(table.to_dict("records")):
        ax.text(0.3, -k, f"{row['step']}\n{row['left']:,}", ha="center", va="center", color=ink(),
                fontsize=8, bbox=box)  # fmt: skip
        if row["excluded"]:
            ax.annotate(
                f"excluded: {row['excluded']:,}", xy=(0.3, -k + 0.5), xytext=(0.72, -k + 0.5),
                va="center", color=quiet(), fontsize=8,
                arrowprops={"arrowstyle": "<-", "color": quiet()},
            )  # fmt: skip
        if k:
            ax.annotate("", xy=(0.3, -k + 0.33), xytext=(0.3, -k + 0.67),
                        arrowprops={"arrowstyle": "->", "color": quiet()})  # fmt: skip
    for place, arm in zip((0.08, 0.62), map(str, ends.index), strict=False):
        counts = ends.loc[arm]
        lines = [f"{arm}: {counts['followed']:,.0f} followed"]
        lines += [f"{name}: {counts[name]:,.0f}" for name in ends.columns[1:-1] if counts[name]]
        ax.text(place, -len(table) - 0.35, "\n".join(lines), ha="left", va="center", color=ink(),
                fontsize=8, bbox=box)  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(-len(table) - 1.2, 0.5))
    ax.set_axis_off()
    return ax
