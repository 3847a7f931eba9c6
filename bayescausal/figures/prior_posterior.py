"""Truth, prior and posterior of one number in one picture.

The prior is drawn in outline and the posterior filled, both as densities of their draws on the axis
that shows the posterior and the bulk of the prior. Where the posterior is much narrower its peak is
cut to a readable height and both are scaled to their own maximum: heights say nothing, places and
widths do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.draws.intervals import interval
from bayescausal.figures.read import density
from bayescausal.figures.style import BLUE, ORANGE, ink, legend_above, new_axes, plain, quiet, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_prior_posterior"]


def plot_prior_posterior(
    prior: Any,
    posterior: Any,
    *,
    truth: float | None = None,
    null: float | None = None,
    label: str = "effect",
    contraction: float | None = None,
    prob: float = 0.94,
    ax: Axes | None = None,
) -> Axes:
    """Draw prior and posterior draws of one number, with the truth.

    ``truth``: the right answer.
    ``null``: the value that means no effect.
    ``contraction``: shown in the title.
    ``prob``: of the bars under the densities: highest-density intervals.
    """
    prior, posterior = (np.ravel(np.asarray(v, dtype=float)) for v in (prior, posterior))
    ax = new_axes(ax, height=2.9)
    ends = {}
    for name, draws, colour, low in (
        ("prior", prior, ORANGE, -0.06),
        ("posterior", posterior, BLUE, -0.13),
    ):
        ends[name] = interval(draws, prob).values
        grid, height = _density(draws)
        if name == "posterior":
            ax.fill_between(grid, height, color=colour, alpha=0.35, linewidth=0)
        ax.plot(grid, height, color=colour, linewidth=1.8, label=name)
        ax.plot(ends[name], [low, low], color=colour, linewidth=4, solid_capstyle="butt")
    if null is not None:
        ax.axvline(null, color=quiet(), linewidth=0.8)
    if truth is not None:
        ax.axvline(truth, color=ink(), linestyle="--", linewidth=1.4, label="truth")
    shown = [*ends["prior"], *ends["posterior"], *([] if truth is None else [truth])]
    margin = 0.06 * (max(shown) - min(shown))
    ax.set_xlim(min(shown) - margin, max(shown) + margin)
    ax.set_ylim(-0.2, 1.08)
    ax.set_yticks([])
    ax.set_xlabel(plain(label) + (f" (bars: {prob:.0%} HDI)"))
    legend_above(ax)
    if contraction is not None:
        share = "above 99%" if contraction > 0.99 else f"{contraction:.0%}"
        ax.set_title(f"contraction {share}", loc="right", fontsize="medium")
    return tidy(ax, grid=None)


def _density(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a density on a grid, scaled to height 1; a spike where draws do not vary."""
    low, high = np.quantile(draws, [0.001, 0.999])
    if not high > low:
        return np.array([low, low]), np.array([0.0, 1.0])
    found = density(draws[(draws >= low) & (draws <= high)])
    if found is None:
        return np.array([low, high]), np.array([1.0, 1.0])
    grid, height = found
    return grid, height / height.max()
