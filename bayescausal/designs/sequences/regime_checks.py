r"""Checks and pictures of panels.

``naive``
    The effect of always against never by one regression of the last outcome on the treatments:
    alone, and with all covariates. With treatment-confounder feedback neither is the effect.
``positivity``
    How many units have followed each regime up to each time, and how many would be expected to be
    treated least likely.
``long_run``
    What the last outcome's equation says of a treatment kept up for ever, if its coefficients on
    the past stay as they are: :math:`\sum_k \beta_k / (1 - \sum_k \rho_k)`, :math:`\beta_k` of the
    treatment and :math:`\rho_k` of the outcome, *k* times back; covariates held where they are.

References
----------
M. A. Hernan and J. M. Robins, *Causal Inference: What If*, Chapman & Hall/CRC, 2020, chapter 20.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.designs.check_tables import ends
from bayescausal.effects.estimate import estimate
from bayescausal.figures.style import BLUE, new_axes, quiet, tidy
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from bayescausal.designs.sequences.waves import Waves
    from bayescausal.inference.record import Fit

__all__ = ["checks_of", "plots_of"]


def checks_of(waves: Waves) -> dict[str, Callable[..., pd.DataFrame]]:
    """Return the checks of the design."""
    return {
        "naive": partial(_naive, waves),
        "positivity": partial(_positivity, waves),
        "long_run": partial(_long_run, waves),
    }


def plots_of(waves: Waves) -> dict[str, Callable[..., Axes]]:
    """Return the pictures of the design."""
    return {"by_time": partial(_plot_by_time, waves)}


def _names(waves: Waves, column: str) -> list[str]:
    return [f"{column}_{waves.times[t]}" for t in waves.at(column)]


def _ols(y: np.ndarray, columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and their covariance."""
    x = np.column_stack([np.ones(len(y)), *columns])
    inverse = np.linalg.pinv(x.T @ x)
    b = inverse @ x.T @ y
    rest = y - x @ b
    return b, inverse * (rest @ rest) / max(len(y) - x.shape[1], 1)


def _naive(waves: Waves, fit: Fit) -> pd.DataFrame:
    """Return regressions of the last outcome beside the g-formula."""

    data = waves.columns
    outcome = _names(waves, waves.outcome)[-1]
    doses = _names(waves, waves.treatment)
    others = [n for c in waves.covariates for n in _names(waves, c)]
    others += [c for c in waves.baseline if pd.api.types.is_numeric_dtype(data[c])]
    y = data[outcome].to_numpy(dtype=float)
    step = waves.levels[0] - waves.levels[1]
    rows = {}
    for label, names in (("treatments alone", doses), ("with covariates", [*doses, *others])):
        b, covariance = _ols(y, [data[n].to_numpy(dtype=float) for n in names])
        pick = np.zeros(len(b))
        pick[1 : 1 + len(doses)] = step
        half = 1.881 * float(np.sqrt(pick @ covariance @ pick))
        middle = float(pick @ b)
        rows[f"regression, {label}"] = (middle, middle - half, middle + half)
    effect = estimate(fit, waves.effects({})["ATE"])
    lower, upper = (float(v) for v in effect.interval())
    rows["g-formula"] = (float(effect.mean()), lower, upper)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["effect", "lower", "upper"])


def _positivity(waves: Waves, fit: Fit) -> pd.DataFrame:
    """Return how many units have followed the regimes, time after time."""
    data, rows = waves.columns, []
    for label, level in zip(("treated", "control"), waves.levels, strict=True):
        followed = np.ones(len(data), dtype=bool)
        for name in _names(waves, waves.treatment):
            before = int(followed.sum())
            followed &= data[name].to_numpy() == level
            rows.append((f"always {label}", name, before, int(followed.sum())))
    table = pd.DataFrame(rows, columns=["regime", "variable", "followed_before", "followed"])
    return table.assign(share=table["followed"] / table["followed_before"].clip(lower=1))


def _long_run(waves: Waves, fit: Fit) -> pd.DataFrame:
    """Return the long-run effect that the last outcome's equation implies."""
    outcome = _names(waves, waves.outcome)[-1]
    column = waves.columns[outcome]
    binary = set(column.unique().tolist()) <= {0, 1}
    if waves.families.get(waves.outcome, "bernoulli" if binary else "gaussian") != "gaussian":
        raise DataError(
            f"The equation of {outcome!r} is not linear: it has no long-run multiplier.",
            remedy="Ask the effects at the times of the table.",
        )
    last = waves.at(waves.outcome)[-1]
    drawn = fit.posterior
    total = np.zeros(fit.n_draws)
    memory = np.zeros(fit.n_draws)
    for into, source, first in ((total, waves.treatment, 0), (memory, waves.outcome, 1)):
        for name in waves.past(source, last, first):
            into += drawn[f"b_{outcome}_{name}"].to_numpy().reshape(-1)
    stable = np.abs(memory) < 1
    with np.errstate(divide="ignore"):
        long = total * (waves.levels[0] - waves.levels[1]) / (1 - memory)
    rows = {}
    for label, values in (("immediate and lagged", total), ("memory", memory), ("long run", long)):
        rows[label] = (float(np.median(values)), *ends(values))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["median", "lower", "upper"])
    return table.assign(probability_stable=float(stable.mean()))


def _plot_by_time(waves: Waves, fit: Fit, ax: Axes | None = None) -> Axes:
    """Draw the effect of always against never on the outcome at each time."""

    ax = new_axes(ax)
    asked = {k: e for k, e in waves.effects({}).items() if k.startswith("at_")}
    for place, effect in enumerate(estimate(fit, e) for e in asked.values()):
        lower, upper = (float(v) for v in effect.interval())
        ax.plot([place, place], [lower, upper], color=BLUE)
        ax.plot(place, float(effect.mean()), "o", color=BLUE)
    ax.axhline(0.0, color=quiet(), linewidth=1)
    ax.set_xticks(range(len(asked)), [k.removeprefix("at_") for k in asked])
    on, off = waves.levels
    ax.set_xlabel("time")
    ax.set_ylabel(f"effect on {waves.outcome}: always {on:g} against always {off:g}")
    tidy(ax, grid="y", left=True)
    return ax
