r"""What is seen beside what would be done.

For a treatment with two levels that units have, the association is the contrast of their outcomes,
from the same fit. A continuous treatment has no two groups; there what is seen is the slope of a
line of the outcome on the treatment alone, times the distance between the levels,

.. math:: \frac{cov(x, y)}{var(x)} (x_1 - x_0),

with its usual standard error, through the units that the question is about. Two units that happen
to have the very levels are no groups. Neither adjusts for anything: that is the point of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands.association import Association
from bayescausal.effects.estimands.functionals import Mean
from bayescausal.effects.estimate import estimate
from bayescausal.effects.evaluation.outcome_distributions import members_of
from bayescausal.effects.without_model.read_table import hardly_twice
from bayescausal.evaluation.evaluate import units_of
from bayescausal.types import BayesCausalError, Set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.inference.record import Fit

__all__ = ["beside"]

LINE = (
    "The association is the slope of a line on the treatment alone, with nothing adjusted for. An "
    "effect that is no straight line differs from it for that reason too."
)
DRAWS = 2000


def beside(fit: Fit, effect: Effect, seed: int) -> Any:
    """Return the association that stands beside an effect, or why there is none.

    Result: the association, with a note where it is a line; words where it has no answer; None
        where there is nothing to compare.
    """
    asked: Any = effect.estimand
    if asked.beside == "nothing" or effect.dims:
        return None
    if asked.beside == "part":
        return (
            "no association beside it. What is seen holds the whole effect of "
            f"{' and '.join(asked.treatments)}, and this is a part of it."
        )
    if len(asked.treatments) != 1:
        return None
    if asked.beside == "line":
        return _line(fit, asked, 1.0, seed) if asked.scale.name == "difference" else None
    levels: list[Any] = [getattr(asked, role, None) for role in ("treated", "control")]
    levels = [level.value if isinstance(level, Set) else level for level in levels]
    if any(level is None or hasattr(level, "describe") or np.ndim(level) for level in levels):
        return None
    if not hasattr(asked, "scale") or effect.null is None:
        return None
    name, scale = asked.treatments[0], asked.scale.name
    told = _different_values(fit, name)
    try:
        seen = Association(
            name,
            asked.outcome_name,
            treated=levels[0],
            control=levels[1],
            scale=asked.scale,
            functional=asked.functional,
            given=asked.given,
        )
        if not told:
            return estimate(fit, seen, seed=seed, progressbar=False)
        why = f"{told}. {seen.if_empty(f'{name}=', fit.columns[name])}"
    except BayesCausalError as error:
        why = str(error)
    line = _line_between(fit, asked, scale, levels, seed)
    return line or f"no association beside it. {why}"


def _different_values(fit: Fit, name: str) -> str:
    """Return how many values a treatment has, where these hardly ever occur twice; else nothing.

    A group of one value would be of a unit or two, and which these are is chance.
    """
    column = fit.columns.get(name)
    if column is None or name in fit.labels or column.dtype.kind not in "iuf":
        return ""
    values, rows = np.unique(column[np.isfinite(column)]), column.size
    told = f"{name} has {len(values):,} different values in {rows:,} rows"
    return told if hardly_twice(values, len(values), rows) else ""


def _line_between(
    fit: Fit, asked: Estimand, scale: str, levels: Sequence[float | str], seed: int
) -> tuple[Effect, str] | None:
    """Return the line times the distance of two levels; None where these are no numbers."""
    if scale != "difference" or any(isinstance(v, str) for v in levels):
        return None
    return _line(fit, asked, float(levels[0]) - float(levels[1]), seed)


def _line(fit: Fit, asked: Estimand, distance: float, seed: int) -> tuple[Effect, str] | None:
    """Return the slope of a line through the units asked about times a distance, as draws."""
    name, outcome = asked.treatments[0], asked.outcome_name
    columns = [fit.columns.get(n) for n in (name, outcome)]
    if any(c is None or c.dtype.kind not in "biuf" for c in columns):
        return None
    if not isinstance(asked.functional, Mean) or columns[0].shape != columns[1].shape:  # type: ignore[union-attr]
        return None
    x, y = (np.ravel(np.asarray(c, dtype=float)) for c in columns)
    kept = np.isfinite(x) & np.isfinite(y)
    if asked.given:
        units = units_of(fit)
        members = None if units is None else members_of(units, asked.given)
        if members is None or np.size(members) != len(x):
            return None
        kept &= np.ravel(members)
    if kept.sum() < 4:
        return None
    x, y = x[kept] - x[kept].mean(), y[kept] - y[kept].mean()
    if not x.any():
        return None
    slope = float(x @ y / (x @ x))
    error = float(np.sqrt(((y - slope * x) ** 2).sum() / (len(x) - 2) / (x @ x)))
    noise = np.random.default_rng(seed).normal(size=DRAWS)
    draws = distance * (slope + error * (noise - noise.mean()))
    return Effect(draws, name=f"line {name} -- {outcome}"), LINE
