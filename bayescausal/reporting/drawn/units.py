r"""Unit-level answers as pictures: what would have happened, and the effect on each unit.

Of a unit one outcome was seen, :math:`y`. The outcome it would have had under an intervention,
:math:`Y_x(u)`, has a posterior, because the parameters and with them the unit's own noise `u`
are known only up to one (and because noise is not fixed by a discrete outcome). So one side of
the picture is a point and the other is a distribution; where the factual value was not seen
either, it is a distribution too.

- :func:`plot_counterfactual` puts both in one row for each unit. A few units show densities, more
  of them intervals. Values that are whole numbers, and few of them, show as discs whose area is
  their posterior probability, in a ring where the factual value is: a density of a yes or no
  would be a picture of nothing.
- :func:`plot_ite` sorts the units by their effect and draws the interval of each: a caterpillar
  [1]_. Its colours say which intervals leave out the value that means no effect.

*When it misleads.* The intervals are each unit's own: of 100 units without any effect, some six
94% intervals may leave out zero, and the units at the ends of a sorted picture are there partly
by chance. Neighbours share their parameters, so intervals do not err independently. And how one
unit's two outcomes go together is what no data tell (the notes of the answer name the
assumption).

References
----------
.. [1] H. Goldstein and M. J. R. Healy, "The graphical presentation of a collection of means",
   Journal of the Royal Statistical Society A 158 (1995), 175-177.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.draws.intervals import check_prob, interval
from bayescausal.draws.named import listed_labels
from bayescausal.effects.effect import Effect
from bayescausal.figures.rows import (
    draw_circles,
    draw_densities,
    draw_factual,
    draw_intervals,
    finish,
    legend,
    new_axes,
)
from bayescausal.figures.style import BLUE, GREEN, ORANGE, PURPLE, ink, plain, quiet
from bayescausal.model.kinds import as_mask
from bayescausal.types import DataError, EstimandError, unknown_variable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_counterfactual", "plot_ite"]

MOST_DRAWN = 500  # units; of more, some are left out
MOST_DENSITIES = 12  # units; more show intervals
MOST_VALUES = 20  # distinct whole numbers; more are drawn like continuous values
BLOCK = 500  # units whose draws are sorted at once
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, "#A88414")
MARKERS = "Ds^vPX"
DRAWS = ("chain", "draw")


def plot_counterfactual(
    cf: xr.Dataset,
    variable: str,
    *,
    units: Any = None,
    ax: Axes | None = None,
    prob: float = 0.94,
) -> Axes:
    """Draw a variable of each unit as it was and as it would have been.

    Parameters
    ----------
    cf : xarray.Dataset
        From :func:`bayescausal.counterfactual`.
    variable : str
        One of its variables.
    units : label, list of labels, slice of labels or mask, optional
        Which units, along the variable's first dim. Default: all; of more than 500, 500 evenly
        spaced ones, and the axis says so.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    prob : float, default 0.94
        Probability of the highest-density intervals.

    Returns
    -------
    matplotlib.axes.Axes
        One row for each unit, the first on top. Nothing is shown or saved.

    Raises
    ------
    UnknownVariableError
        If there is no such variable.
    DataError
        If `cf` has no factual world, or a unit is not there.
    EstimandError
        For a probability outside (0, 1).

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0, 1]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", 2 * x, 1, dims="unit")
    >>> known = bc.truth(model, {}, {"x": [1.0, 2.0], "y": [2.5, 3.0]})
    >>> ax = bc.plot_counterfactual(bc.counterfactual(known, {"x": 0}), "y")
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['factual', 'counterfactual']
    """
    prob = check_prob(prob)
    array = _select(_variable_of(cf, variable), units)
    worlds = [str(world) for world in array["world"].values]
    names = [world for world in worlds if world != "factual"]
    values, labels, noun = _in_rows(array)
    kept = _thinned(len(labels))
    values, shown = values[..., kept], [labels[i] for i in kept]
    whole = _few_whole_numbers(values)
    dense = len(shown) <= MOST_DENSITIES and not whole
    ax = new_axes(ax, len(shown), (0.3 if dense else 0.0) + 0.25 * len(names))
    seen = values[worlds.index("factual")]
    lane = 0.8 / len(names)
    for place, name in enumerate(names):
        draws = values[worlds.index(name)]
        level = (place - (len(names) - 1) / 2) * lane
        mark = {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}
        if whole:
            draw_circles(ax, draws, level, lane, mark["color"], name)
            draw_circles(ax, seen, level, lane, None, "_factual" if place else "factual")
            continue
        if dense:
            draw_densities(ax, draws, level + lane / 2, lane, mark["color"])
        ends = _ends(draws, prob)
        draw_intervals(ax, _means(draws), ends, level + (lane / 2 if dense else 0), mark, name)
    if not whole:
        ends = _ends(seen, prob)
        draw_factual(ax, _means(seen), ends, 0.4 if dense else 0.0, several=len(names) > 1)
    ax.set_xlabel(plain(_value_words(variable, whole, prob)))
    finish(ax, shown, len(labels), noun, undefined=_undefined(values), whole=whole)
    legend(ax, first="factual")
    return ax


def plot_ite(
    effect: Effect, *, ax: Axes | None = None, prob: float = 0.94, order: bool = True
) -> Axes:
    """Draw the effect on each unit with its interval, sorted: a caterpillar.

    Parameters
    ----------
    effect : Effect
        With one number for each unit: the answer to :func:`bayescausal.ITE`, or any other with
        several cells.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    prob : float, default 0.94
        Probability of the highest-density intervals.
    order : bool, default True
        Sort by posterior mean, the smallest at the bottom; otherwise the first unit on top.

    Returns
    -------
    matplotlib.axes.Axes
        Blue where the interval lies above the value that means no effect, orange below it, grey
        where it includes it; the legend counts all units. Of more than 500, 500 evenly spaced
        ones are drawn, and the axis says so. Nothing is shown or saved.

    Raises
    ------
    EstimandError
        If the effect is one number, or for a probability outside (0, 1).

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> import bayescausal as bc
    >>> draws = np.random.default_rng(1).normal([-2, 0, 3], 0.5, size=(1, 200, 3))
    >>> ax = bc.plot_ite(bc.Effect(xr.DataArray(draws, dims=("chain", "draw", "unit"))))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['above 0: 1', 'includes 0: 1', 'below 0: 1']
    """
    prob = check_prob(prob)
    if not isinstance(effect, Effect):
        raise EstimandError(
            f"plot_ite of {type(effect).__name__}.", expected="an Effect, from estimate."
        )
    if not effect.dims:
        raise EstimandError(
            f"{effect.label} is one number.",
            expected="one for each unit, as ITE gives.",
            remedy="estimate(fit, ITE(...)), or a histogram of effect.draws.",
        )
    values, labels, noun = _in_rows(effect.draws)
    means, (low, high) = values.mean(axis=0), _ends(values, prob)
    rows = np.argsort(-means, kind="stable") if order else np.arange(len(labels))
    drawn = rows[_thinned(len(rows))]
    ax = new_axes(ax, len(drawn), 0.25)
    if effect.null is not None:
        ax.axvline(effect.null, color=ink(), linewidth=0.9, zorder=0)
    for word, member, mark in _sides(low, high, effect.null):
        here = np.where(member, 1.0, np.nan)[drawn]  # rows of other sides stay empty
        label = f"{word}: {int(member.sum()):,}" if word else f"{len(labels):,} {noun}"
        draw_intervals(
            ax, means[drawn] * here, (low[drawn] * here, high[drawn] * here), 0.0, mark, label
        )
    ax.set_xlabel(plain(f"{effect.label} (mean, {100 * prob:g}% HDI)"))
    finish(ax, [labels[i] for i in drawn], len(labels), noun, ordered=order)
    legend(ax)
    return ax


# ------------------------------------------------------------------------- what to draw


def _variable_of(cf: Any, variable: str) -> xr.DataArray:
    """Return the variable, with its worlds checked."""
    if not isinstance(cf, xr.Dataset) or not {"world", *DRAWS} <= set(cf.dims):
        raise DataError(
            f"plot_counterfactual of {type(cf).__name__}.",
            expected="a Dataset with dims world, chain and draw, from counterfactual.",
        )
    if variable not in cf.data_vars:
        raise unknown_variable(variable, map(str, cf.data_vars), what="a variable of this Dataset")
    worlds = [str(world) for world in cf["world"].values] if "world" in cf.coords else []
    if "factual" not in worlds or len(worlds) < 2:
        raise DataError(
            f"The worlds are {', '.join(worlds) or 'without names'}.",
            expected="'factual' and another.",
            remedy="Pass what counterfactual returned, all worlds of it.",
        )
    return cf[variable]


def _select(array: xr.DataArray, units: Any) -> xr.DataArray:
    """Return the chosen units, along the first dim that units have."""
    if units is None:
        return array
    dim = next((str(d) for d in array.dims if d not in ("world", *DRAWS)), None)
    if dim is None:
        raise DataError(f"{array.name!r} has no units to choose from.", remedy="Leave out units=.")
    wanted = units if isinstance(units, slice) else np.atleast_1d(np.asarray(as_mask(units)))
    try:
        if not isinstance(wanted, slice) and wanted.dtype == bool:
            chosen = array.isel({dim: np.flatnonzero(_as_long(wanted, array.sizes[dim], dim))})
        elif dim in array.coords:
            chosen = array.sel({dim: wanted})
        else:
            chosen = array.isel({dim: wanted})
    except (KeyError, IndexError, TypeError) as error:
        known = listed_labels(array[dim].values[:5])
        raise DataError(
            f"units={units!r} is not along {dim!r}.",
            expected=f"labels such as {', '.join(map(repr, known))}, a slice of them, or a mask.",
        ) from error
    if not chosen.sizes[dim]:
        raise DataError(f"No {dim} is selected.", expected="at least one.")
    return chosen


def _as_long(mask: np.ndarray, length: int, dim: str) -> np.ndarray:
    if mask.shape != (length,):
        raise DataError(
            f"The mask has shape {mask.shape}.",
            expected=f"one boolean for each of the {length} {dim} labels.",
        )
    return mask


def _in_rows(array: xr.DataArray) -> tuple[np.ndarray, list[str], str]:
    """Return values (..., draw, row), the label of each row and what a row is."""
    first = [d for d in ("world",) if d in array.dims]
    dims = [str(d) for d in array.dims if d not in (*first, *DRAWS)]
    ordered = array.transpose(*first, *DRAWS, *dims).values
    worlds = ordered.shape[: len(first)]
    rows = int(np.prod([array.sizes[d] for d in dims]))
    count = array.sizes["chain"] * array.sizes["draw"]
    labels = [""]
    for dim in dims:
        own = listed_labels(array[dim].values)
        labels = [f"{a}, {b}" if a else str(b) for a in labels for b in own]
    noun = ", ".join(dims) or str(array.name)
    return ordered.reshape(*worlds, count, rows).astype(float), labels, noun


def _thinned(rows: int) -> np.ndarray:
    """Return all positions, or some of them, evenly spaced with both ends."""
    if rows <= MOST_DRAWN:
        return np.arange(rows)
    return np.linspace(0, rows - 1, MOST_DRAWN).round().astype(int)


def _few_whole_numbers(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return bool((finite == np.round(finite)).all()) and len(np.unique(finite)) <= MOST_VALUES


def _undefined(values: np.ndarray) -> int:
    """Count the rows that have no value in some draw."""
    return int((~np.isfinite(values)).any(axis=(0, 1)).sum())


def _ends(values: np.ndarray, prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the HDI of each column; over the draws that have a value, NaN where none has."""
    ends = np.full((values.shape[1], 2), np.nan)
    full = np.isfinite(values).all(axis=0)
    columns = np.flatnonzero(full)
    for start in range(0, len(columns), BLOCK):
        some = columns[start : start + BLOCK]
        ends[some] = interval(xr.DataArray(values[:, some], dims=("draw", "row")), prob).values
    for column in np.flatnonzero(~full):
        draws = values[np.isfinite(values[:, column]), column]
        if len(draws):
            ends[column] = interval(draws, prob).values
    return ends[:, 0], ends[:, 1]


def _means(values: np.ndarray) -> np.ndarray:
    """Return the mean of each column over the draws that have a value."""
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(finite, values, 0.0).sum(axis=0) / finite.sum(axis=0))


def _sides(
    low: np.ndarray, high: np.ndarray, null: float | None
) -> list[tuple[str, np.ndarray, dict[str, str]]]:
    """Return word, members and mark of each side of the null that has members."""
    if null is None:
        return [("", np.full(len(low), True), {"color": quiet(), "marker": "o"})]
    above, below = low > null, high < null
    sides = [
        (f"above {null:g}", above, {"color": BLUE, "marker": "o"}),
        (f"includes {null:g}", ~above & ~below, {"color": quiet(), "marker": "d"}),
        (f"below {null:g}", below, {"color": ORANGE, "marker": "s"}),
    ]
    return [side for side in sides if side[1].any()]


def _value_words(variable: str, whole: bool, prob: float) -> str:
    how = "area: posterior probability" if whole else f"mean, {100 * prob:g}% HDI"
    return f"{variable} ({how})"
