"""Pictures of sensitivity: an effect over strengths of confounding, and over ways to ask.

A surface is drawn as filled contours of the posterior mean, with two lines on it: where the mean is
no effect, and where the interval first holds it. Covariates stand on it as points: a hidden
confounder as strong as that covariate would sit there. Rows of estimates are drawn as intervals
under each other, the first one being the reference.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.figures.style import (
    BLUE,
    ORANGE,
    diverging,
    ink,
    new_axes,
    paper,
    plain,
    quiet,
    tidy,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox
    from numpy.typing import ArrayLike

#: Points by which a name may stand above or below its mark.
STEPS = (7, -8, 20, -21, 33, -34, 46, -47, 59, -60)

__all__ = ["plot_rows", "plot_surface"]


def plot_surface(
    gamma: ArrayLike,
    delta: ArrayLike,
    mean: ArrayLike,
    end: ArrayLike,
    *,
    null: float = 0.0,
    points: Mapping[str, tuple[float, float]] | None = None,
    names: tuple[str, str] = ("treatment", "outcome"),
    label: str = "effect",
    prob: float = 0.94,
    levels: int = 12,
    limits: tuple[np.ndarray, np.ndarray] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw an effect over the strengths of a hidden confounder.

    ``gamma``, ``delta``: strengths on the treatment and on the outcome.
    ``mean`` (gamma, delta): the posterior mean.
    ``end`` (gamma, delta): the end of the interval that is closer to no effect.
    ``null``: the value that means no effect.
    ``points``: benchmarks.
    ``names``: treatment and outcome.
    ``levels``: how many colours.
    ``limits``: strengths on the treatment, and the largest ones on the outcome that the data allow
        there: what lies beyond is hatched.
    """
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    gamma, delta = np.asarray(gamma, dtype=float), np.asarray(delta, dtype=float)
    mean, end = np.asarray(mean, dtype=float), np.asarray(end, dtype=float)
    ax = new_axes(ax, height=4.4)
    ax.set_xlabel(plain(f"hidden confounder on {names[0]} (gamma)"))
    ax.set_ylabel(plain(f"hidden confounder on {names[1]} (delta)"))
    if len(gamma) < 2 or len(delta) < 2:
        return _line(ax, gamma, delta, mean, end, null)
    inside = np.full(mean.shape, fill_value=True)
    if limits is not None:
        inside = np.abs(delta) <= np.interp(gamma, *limits)[:, np.newaxis]
    away = float(np.abs(mean - null)[inside].max(initial=0.0)) or 1.0
    norm = TwoSlopeNorm(null, null - away, null + away)
    steps = MaxNLocator(levels + 1).tick_values(mean[inside].min(), mean[inside].max())
    filled = ax.contourf(
        gamma, delta, mean.T, levels=steps, cmap=diverging(), norm=norm, extend="both"
    )
    bar = ax.figure.colorbar(filled, ax=ax, pad=0.02)
    bar.set_label(plain(f"{label}, posterior mean"))
    bar.outline.set_visible(False)
    handles = []
    lines: tuple[tuple[Any, Any, str], ...] = (
        (mean, "-", f"mean is {null:g}"),
        (end, "--", f"{prob:.0%} interval reaches {null:g}"),
    )
    for values, style, words in lines:
        if values.min() < null < values.max():
            ax.contour(gamma, delta, values.T, levels=[null], colors=[ink()], linestyles=[style])
            handles.append(Line2D([], [], color=ink(), linestyle=style, label=words))
    if limits is not None:
        handles += _hatch(ax, *limits, delta)
    _draw_points(ax, points or {}, gamma, delta)
    if handles:
        ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, ncols=2)
    tidy(ax, grid=None, left=True)
    return ax


def _hatch(ax: Axes, gamma: np.ndarray, largest: np.ndarray, delta: np.ndarray) -> list[Any]:
    """Cover what the data rule out; return its line of the legend."""
    from matplotlib.patches import Patch

    style: dict[str, Any] = {"facecolor": paper(), "edgecolor": quiet(), "hatch": "////"}
    style |= {"linewidth": 0, "zorder": 2.5}
    shown = False
    for edge in (delta.min(), delta.max()):
        limit = np.clip(np.copysign(largest, edge), delta.min(), delta.max())
        if edge and np.any(np.abs(limit) < abs(edge)):
            ax.fill_between(gamma, limit, edge, **style)
            shown = True
    return [Patch(label="ruled out by the data", **style)] if shown else []


def _draw_points(
    ax: Axes, points: Mapping[str, tuple[float, float]], gamma: np.ndarray, delta: np.ndarray
) -> None:
    """Mark the benchmarks; those beyond the grid are left out."""
    marks: list[tuple[float, float, str]] = []
    for name, (x, y) in {"none": (0.0, 0.0), **points}.items():
        if not (gamma.min() <= x <= gamma.max() and delta.min() <= y <= delta.max()):
            continue
        marker = "D" if name == "none" else "o"
        ax.plot(
            x,
            y,
            marker,
            color=ink(),
            markeredgecolor=paper(),
            markersize=7,
            clip_on=False,
            zorder=3,
        )
        marks.append((x, y, "no confounder" if name == "none" else f"as strong as {name}"))
    if marks:
        _name_points(ax, marks)


def _name_points(ax: Axes, marks: list[tuple[float, float, str]]) -> None:
    """Write a name beside each mark, where it covers no other name and no other mark."""
    from matplotlib.transforms import Bbox

    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    frame = ax.get_window_extent()
    at = ax.transData.transform([(x, y) for x, y, _ in marks])
    taken = [Bbox.from_bounds(px - 5, py - 5, 10, 10) for px, py in at]
    for own, (x, y, words) in enumerate(marks):
        best: tuple[float, Any, Any] | None = None
        for step, left in product(STEPS, (False, True)):
            style: dict[str, Any] = {"ha": "right" if left else "left", "va": "center"}
            text = ax.annotate(
                plain(words),
                (x, y),
                xytext=(-9 if left else 9, step),
                textcoords="offset points",
                color=ink(),
                **style,
            )
            box = text.get_window_extent()
            hidden = sum(_shared(box, other) for k, other in enumerate(taken) if k != own)
            outside = box.width * box.height - _shared(box, frame)
            cost = 10 * hidden + 3 * outside + abs(step)
            if best is None or cost < best[0]:
                if best is not None:
                    best[1].remove()
                best = (cost, text, box)
            else:
                text.remove()
        assert best is not None
        taken.append(best[2])


def _shared(one: Bbox, other: Bbox) -> float:
    """Return the area that two boxes have in common."""
    from matplotlib.transforms import Bbox

    both = Bbox.intersection(one, other)
    return 0.0 if both is None else float(both.width * both.height)


def _line(
    ax: Axes, gamma: np.ndarray, delta: np.ndarray, mean: np.ndarray, end: np.ndarray, null: float
) -> Axes:
    """Draw one row or column of strengths as a curve."""
    across = len(gamma) >= len(delta)
    x = gamma if across else delta
    ax.plot(x, mean.ravel(), "o-", color=BLUE, label="mean")
    ax.plot(x, end.ravel(), "--", color=BLUE, label="end of the interval")
    ax.axhline(null, color=quiet(), linewidth=0.8)
    ax.set_xlabel(ax.get_xlabel() if across else ax.get_ylabel())
    ax.set_ylabel("effect")
    ax.legend(frameon=False)
    return tidy(ax, grid="y", left=True)


def plot_rows(
    labels: Sequence[str],
    mean: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    null: float | None = 0.0,
    label: str = "effect",
    marked: Sequence[bool] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw estimates of one effect under each other, the first being the reference.

    ``labels``: one for each row, the first on top.
    ``mean``, ``lower``, ``upper``: means and ends of intervals.
    ``null``: the value that means no effect.
    ``marked``: rows to draw in the other colour.
    """
    mean, lower, upper = (np.asarray(v, dtype=float) for v in (mean, lower, upper))
    count = len(labels)
    marked = [False] * count if marked is None else list(marked)
    ax = new_axes(ax, height=0.9 + 0.32 * count)
    if null is not None:
        ax.axvline(null, color=quiet(), linewidth=0.8)
    ax.axvline(mean[0], color=quiet(), linewidth=0.8, linestyle=":")
    for i in range(count):
        colour = ORANGE if marked[i] else BLUE
        ax.plot([lower[i], upper[i]], [i, i], color=colour, linewidth=2.2, solid_capstyle="butt")
        ax.plot(mean[i], i, "o", color=colour, markeredgecolor=paper(), markersize=7)
    ax.set_yticks(range(count), [plain(str(text)) for text in labels])
    ax.set_ylim(count - 0.5, -0.5)
    ax.set_xlabel(plain(label))
    return tidy(ax)
