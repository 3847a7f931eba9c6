"""The posterior of one number: density, interval, the value of no effect, a region of no interest.

The filled hill is a kernel estimate of the density of the draws; the bar under it is the
highest-density interval, the dot the mean. What is said beside it in numbers is counted from the
draws, never read off the smoothed hill. A *region of practical equivalence* (ROPE) [1]_ holds the
values too close to no effect to matter; how much of the posterior lies in it stands in the legend.

References
----------
.. [1] J. K. Kruschke, "Rejecting or accepting parameter values in Bayesian estimation", Advances
   in Methods and Practices in Psychological Science 1 (2018), 270-280.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayescausal.draws.digits import numbers, significant
from bayescausal.draws.intervals import check_prob
from bayescausal.figures.read import as_number, as_range, as_shown, density, ends_of, percent
from bayescausal.figures.style import (
    BLUE,
    GREEN,
    PURPLE,
    ink,
    legend_above,
    new_axes,
    paper,
    plain,
    quiet,
    tidy,
)
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_effect"]

FAR = 3.0  # widths of the draws: a reference further away is said, not drawn


def plot_effect(
    effect: Any,
    *,
    ax: Axes | None = None,
    prob: float = 0.94,
    reference: float | Literal["own"] | None = "own",
    rope: tuple[float, float] | None = None,
    truth: float | None = None,
    label: str | None = None,
) -> Axes:
    """Draw the posterior of one number: its density, mean and interval.

    Parameters
    ----------
    effect : Effect, DataArray or array_like
        One number for each draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    prob : float
        Probability of the highest-density interval.
    reference : float, None or "own"
        The value to compare with; the legend says how much of the posterior lies on which side.
        Default: the value of no effect that the effect carries.
    rope : (float, float), optional
        Region of practical equivalence; the legend says how much of the posterior lies in it.
    truth : float, optional
        The true value, where it is known.
    label : str, optional
        What the number is. Default: the effect's own label.

    Returns
    -------
    matplotlib.axes.Axes
        Nothing is shown or saved.

    Raises
    ------
    EstimandError
        If there are several cells, for a probability outside (0, 1), a region that is none, or a
        reference or truth that is no number.

    Examples
    --------
    >>> import numpy as np
    >>> import bayescausal as bc
    >>> draws = np.random.default_rng(1).normal(0.2, 0.1, 1000)
    >>> ax = bc.plot_effect(draws, reference=0, label="gain")
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['mean 0.195', '94% HDI 0.022 to 0.387', 'above 0: 97.4%']
    """
    shown = as_shown(effect, label=label, null=reference)
    prob, region = check_prob(prob), as_range(rope, "rope")
    true = None if truth is None else as_number(truth, "truth")
    if shown.dims:
        raise EstimandError(
            f"{shown.label} has several cells ({', '.join(shown.dims)}).",
            expected="one number for each draw.",
            remedy="Use plot_forest, or select a cell of draws.",
        )
    draws = shown.values()[:, 0]
    ax = new_axes(ax, height=3.1)
    _draw_posterior(ax, draws, prob, shown.null)
    if region is not None:
        share = float(((draws >= region[0]) & (draws <= region[1])).mean())
        words = f"ROPE {region[0]:g} to {region[1]:g}: {percent(share)}"
        low, high = region if _near(draws, *region) else (np.nan, np.nan)
        ax.axvspan(low, high, color=PURPLE, alpha=0.18, linewidth=0, zorder=0, label=words)
    if shown.null is not None:
        _draw_reference(ax, draws, shown.null)
    if true is not None:
        style = {"color": GREEN, "linestyle": (0, (4, 2)), "linewidth": 1.6}
        ax.axvline(true, label=f"truth {significant(true)}", **style)  # type: ignore[arg-type]
    tidy(ax, grid=None)
    ax.set_yticks([])
    ax.set_ylim(bottom=-0.09 * ax.get_ylim()[1])
    ax.set_xlabel(plain(shown.label))
    legend_above(ax, columns=3)
    return ax


# --------------------------------------------------------------------------- private


def _draw_posterior(ax: Axes, draws: np.ndarray, prob: float, null: float | None) -> None:
    """Draw density, interval and mean; a line where the draws are all equal."""
    mean, sd = float(draws.mean()), float(draws.std(ddof=1)) if len(draws) > 1 else 0.0
    curve = density(draws)
    if curve is None:
        [value] = numbers(0.0, mean)
        ax.axvline(mean, ymin=0.08, ymax=0.9, color=BLUE, linewidth=2.2, label=f"value {value}")
        ax.plot([mean], [0.0], "o", color=BLUE)
        ax.set_ylim(0.0, 1.0)
        if len(draws) == 1 or np.ptp(draws) == 0:
            return
    else:
        grid, height = curve
        ax.fill_between(grid, 0.0, height, color=BLUE, alpha=0.22, linewidth=0)
        ax.plot(grid, height, color=BLUE, linewidth=1.6)
        ax.set_ylim(0.0, 1.05 * float(height.max()))
    [(low, high)] = ends_of(draws[:, np.newaxis], prob)
    said = numbers(sd, mean, low, high, ends=True, apart=[null])
    level = -0.0 * ax.get_ylim()[1]
    ax.plot(
        [mean],
        [level],
        "o",
        color=paper(),
        markeredgecolor=BLUE,
        markeredgewidth=2,
        markersize=7,
        zorder=6,
        clip_on=False,
        label=f"mean {said[0]}",
    )
    words = f"{100 * prob:.6g}% HDI {said[1]} to {said[2]}"
    ax.plot(
        [low, high],
        [level, level],
        color=BLUE,
        linewidth=5,
        solid_capstyle="butt",
        zorder=5,
        label=words,
    )


def _draw_reference(ax: Axes, draws: np.ndarray, null: float) -> None:
    """Draw the value of no effect, or say where it is if it is far away."""
    above, below = float((draws > null).mean()), float((draws < null).mean())
    side, share = ("above", above) if above >= below else ("below", below)
    words = f"{side} {null:g}: {percent(share)}" if len(draws) > 1 else f"no effect ({null:g})"
    low, high = float(draws.min()), float(draws.max())
    width = max(high - low, 1e-12 * max(abs(low), abs(high), 1e-300))
    away = max(low - null, null - high, 0.0)
    near = (high > low and away <= FAR * width) or high <= low
    style = {"color": quiet(), "linewidth": 1.3, "linestyle": "-"}
    if near:
        ax.axvline(null, label=words, zorder=1, **style)  # type: ignore[arg-type]
        return
    right = null > float(draws.max())
    ax.plot([], [], label=words, **style)  # type: ignore[arg-type]
    ax.annotate(
        f"{null:g}",
        xy=(1.0 if right else 0.0, 0.5),
        xytext=(-34 if right else 34, 0),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
        color=ink(),
        arrowprops={"arrowstyle": "->", "color": quiet()},
    )


def _near(draws: np.ndarray, low: float, high: float) -> bool:
    """Whether a range is close enough to the draws to be drawn beside them."""
    first, last = float(draws.min()), float(draws.max())
    away = max(first - high, low - last, 0.0)
    return last <= first or away <= FAR * (last - first)
