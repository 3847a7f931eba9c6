"""Pictures of an interrupted series: as it was and would have been, the effect, its sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.designs.series.drawn import means_of
from bayescausal.draws.intervals import narrowest
from bayescausal.figures.style import (
    BLUE,
    ORANGE,
    ink,
    legend_above,
    mixed,
    new_axes,
    plain,
    quiet,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bayescausal.designs.series.series_model import SeriesForm
    from bayescausal.designs.series.timeline import Timeline
    from bayescausal.inference.record import Fit

__all__ = ["cumulative", "pointwise", "series"]


def series(fit: Fit, ax: Axes | None = None, *, timeline: Timeline, form: SeriesForm) -> Axes:
    """Draw what was observed, what the model fits, and what would have been (94% band)."""
    ax = new_axes(ax, height=3.8)
    at = np.arange(len(timeline.place))
    after = timeline.place >= 0
    fitted = means_of(fit, timeline, form)
    without = means_of(fit, timeline, form, without=True)
    band = hdi_of(without)
    ax.fill_between(at[after], *band[:, after], color=mixed(ORANGE, 0.3), linewidth=0)
    ax.plot(at[after], without.mean(axis=0)[after], color=ORANGE, label="without the intervention")
    shown = ~after if form.effect == "each time" else np.ones(len(at), bool)
    ax.plot(at[shown], fitted.mean(axis=0)[shown], color=BLUE, label="fitted")
    y = timeline.frame[timeline.outcome].to_numpy(dtype=float)
    ax.plot(at, y, ".", color=ink(), markersize=3.5, label="observed")
    ax.set_ylabel(plain(timeline.outcome))
    return _dressed(ax, timeline)


def pointwise(fit: Fit, ax: Axes | None = None, *, timeline: Timeline, form: SeriesForm) -> Axes:
    """Draw the effect at each time after the start, with its 94% band."""
    effect = means_of(fit, timeline, form) - means_of(fit, timeline, form, without=True)
    return _effect(effect, ax, timeline, "effect")


def cumulative(fit: Fit, ax: Axes | None = None, *, timeline: Timeline, form: SeriesForm) -> Axes:
    """Draw the sum of the effects up to each time, with its 94% band."""
    effect = means_of(fit, timeline, form) - means_of(fit, timeline, form, without=True)
    return _effect(np.cumsum(effect * timeline.observed, axis=1), ax, timeline, "cumulative effect")


# ------------------------------------------------------------------------------- private


def _effect(effect: np.ndarray, ax: Axes | None, timeline: Timeline, what: str) -> Axes:
    ax = new_axes(ax, height=2.8)
    at = np.arange(len(timeline.place))
    after = timeline.place >= 0
    band = hdi_of(effect)
    ax.fill_between(at[after], *band[:, after], color=mixed(ORANGE, 0.3), linewidth=0)
    ax.plot(at[after], effect.mean(axis=0)[after], color=ORANGE)
    ax.axhline(0, color=quiet(), linewidth=1)
    ax.set_ylabel(f"{what} on {plain(timeline.outcome)}")
    ax = _dressed(ax, timeline, max(0, int(np.argmax(after)) - int(after.sum()) // 4))
    ax.set_xlim(left=ax.get_xticks()[0] - 0.5)
    return ax


def hdi_of(draws: np.ndarray) -> np.ndarray:
    """Return the lower and the upper ends of the 94% intervals over draws, the first axis."""
    return np.stack(narrowest(draws, 0.94))


def _dressed(ax: Axes, timeline: Timeline, begin: int = 0) -> Axes:
    """Mark the start, and write times from `begin` on where there is room."""
    start = int(np.argmax(timeline.place >= 0))
    ax.axvline(start - 0.5, color=quiet(), linewidth=1, linestyle=(0, (4, 2)))
    count = len(timeline.labels)
    ticks = np.unique(np.linspace(begin, count - 1, min(count - begin, 6)).round().astype(int))
    words = [timeline.labels[k] for k in ticks]
    shown = [f"{w:g}" if isinstance(w, int | float | np.number) else str(w)[:10] for w in words]
    ax.set_xticks(ticks, shown)
    ax.set_xlabel(plain(timeline.time))
    tidy(ax, grid="y", left=True)
    legend_above(ax)
    return ax
