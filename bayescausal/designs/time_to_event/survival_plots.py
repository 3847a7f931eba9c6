"""Survival curves: under do of each arm, with the steps of Kaplan-Meier beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.designs.time_to_event.event_checks import arm_curves
from bayescausal.draws.intervals import narrowest
from bayescausal.effects.averaging.time_functionals import Survival
from bayescausal.effects.estimands import Expected
from bayescausal.effects.estimate import estimate
from bayescausal.figures.style import CYCLE, legend_above, new_axes, quiet, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bayescausal.designs.time_to_event.nonparametric import Curve
    from bayescausal.designs.time_to_event.records import Records
    from bayescausal.inference.record import Fit

__all__ = ["plot_survival"]

#: Times of a curve.
POINTS = 25


def plot_survival(records: Records, upto: float, fit: Fit, ax: Axes | None = None) -> Axes:
    """Draw the survival curve of each arm had everybody been in it, and what Kaplan-Meier says.

    Steps and curves differ where arms differ in their covariates: the steps compare those who were
    in each arm, the curves the same units in both. The area between the curves up to the horizon,
    shaded, is the difference of the restricted means.

    `ax`: where to draw. Default: a new figure.
    """
    ax = new_axes(ax, height=3.8)
    times = np.linspace(0.0, upto, POINTS + 1)[1:]
    steps = arm_curves(records)
    middle = []
    for colour, level in zip(CYCLE, records.arms, strict=False):
        question = Expected(
            records.time,
            {records.treatment: level},
            functional=Survival(times),
            given={"entered_at": 0.0} if records.unit is not None else None,
        )
        draws = estimate(fit, question, seed=1).draws
        values = np.asarray(draws).reshape(-1, len(times))
        whole = np.concatenate([np.ones((len(values), 1)), values], axis=1)
        at = np.concatenate([[0.0], times])
        low, high = narrowest(whole, 0.94)
        ax.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
        ax.plot(at, whole.mean(axis=0), color=colour, label=f"do({records.treatment} = {level})")
        middle.append(whole.mean(axis=0))
        if level in steps:
            _steps(ax, steps[level], upto, colour)
    at = np.concatenate([[0.0], times])
    ax.fill_between(
        at, middle[0], middle[1], color=quiet(), alpha=0.2, linewidth=0, label="difference of RMST"
    )
    ax.plot([], [], color=quiet(), linewidth=0.9, drawstyle="steps-post", label="Kaplan-Meier")
    ax.set(xlim=(0, upto), ylim=(0, 1.02), xlabel=records.time, ylabel="share without the event")
    legend_above(ax)
    return tidy(ax, grid="y", left=True)


def _steps(ax: Axes, curve: Curve, upto: float, colour: str) -> None:
    inside = curve.times[curve.times < upto]
    at = np.concatenate([[0.0], inside, [upto]])
    ax.step(at, curve.at(at), where="post", color=colour, linewidth=0.9, alpha=0.9)
