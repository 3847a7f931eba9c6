"""One variable in several worlds, side by side.

A row is a world. Its hill is the distribution of the variable over units and posterior draws
together: what values a unit would have. The bar under it is another thing, the highest-density
interval of the *average* over units, across posterior draws; it is much narrower, and it is the one
that an average effect compares. Few whole numbers show as discs whose area is their share.

Worlds share their noise, so averages of two worlds move together: two bars that overlap do not
mean that the difference may be zero. Ask the difference itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayescausal.draws.intervals import check_prob
from bayescausal.draws.named import DRAW_DIMS
from bayescausal.figures.read import density, ends_of
from bayescausal.figures.style import CYCLE, ink, legend_above, new_axes, paper, plain, tidy
from bayescausal.types import DataError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

__all__ = ["plot_worlds"]

MOST_WORLDS = 12
MOST_VALUES = 20  # distinct whole numbers; more are drawn like continuous values
MOST_POINTS = 20_000  # values behind a hill; of more, evenly spaced ones


def plot_worlds(
    worlds: xr.DataArray,
    variable: str | None = None,
    *,
    ax: Axes | None = None,
    prob: float = 0.94,
    order: Sequence[str] | None = None,
) -> Axes:
    """Draw the distribution of a variable in several worlds, and its average in each.

    Parameters
    ----------
    worlds : xarray.Dataset or DataArray
        From :func:`bayescausal.worlds`: dims ``world, chain, draw`` and those of the units. With
        ``kind="draw"`` the hills are distributions of outcomes, with ``"expected"`` of units'
        expected outcomes.
    variable : str, optional
        Which variable. Default: the only one.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    prob : float
        Probability of the highest-density interval of the average.
    order : sequence of str, optional
        Names of the worlds, from the top. Default: all, as given.

    Returns
    -------
    matplotlib.axes.Axes
        Nothing is shown or saved.

    Raises
    ------
    DataError
        If these are no worlds, there are too many, or a value is not a number.
    UnknownVariableError
        If the variable or a world is not there.
    EstimandError
        For a probability outside (0, 1).

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", 2 * x, 1, dims="unit")
    >>> known = bc.truth(model, {}, {"x": [0.0, 1.0], "y": [0.1, 2.2]})
    >>> ax = bc.plot_worlds(bc.worlds(known, {"low": {"x": 0}, "high": {"x": 3}}), "y")
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['low', 'high']
    """
    prob = check_prob(prob)
    array = _array(worlds, variable)
    names = _worlds_of(array, order)
    table = [_row(array, name) for name in names]
    whole = _few_whole_numbers(table)
    ax = new_axes(ax, height=float(0.9 + 0.85 * len(names)))
    for at, values in enumerate(table):
        colour = CYCLE[at % len(CYCLE)]
        _draw_discs(ax, at, values, colour) if whole else _draw_hill(ax, at, values, colour)
        _draw_average(ax, at, values, prob, colour)
    ax.set_yticks(range(len(names)), [plain(name) for name in names])
    ax.set_ylim(len(names) - 0.6, -0.95)
    tidy(ax)
    kind = worlds.attrs.get("kind", array.attrs.get("kind"))
    name = plain(str(array.name or "value"))
    ax.set_xlabel(f"expected value of {name}" if kind == "expected" else name)
    legend_above(ax)
    return ax


# --------------------------------------------------------------------------- private


def _array(worlds: object, variable: str | None) -> xr.DataArray:
    """Return the variable, with its dims checked."""
    array = worlds
    if isinstance(worlds, xr.Dataset):
        names = [str(n) for n, v in worlds.data_vars.items() if "world" in v.dims]
        if variable is None and len(names) != 1:
            raise DataError(
                f"The worlds hold {len(names)} variables: {', '.join(names)}.",
                remedy="Name one: plot_worlds(worlds, variable).",
            )
        name = names[0] if variable is None else variable
        if name not in worlds.data_vars:
            raise unknown_variable(name, names, what="a variable of these worlds")
        array = worlds[name]
    if not isinstance(array, xr.DataArray) or not {"world", *DRAW_DIMS} <= {*array.dims}:
        raise DataError(
            f"plot_worlds of {type(worlds).__name__}.",
            expected="a Dataset with dims world, chain and draw, from bayescausal.worlds.",
        )
    if array.dtype.kind not in "biuf" or not np.isfinite(array.values.astype(float)).any():
        raise DataError(f"{array.name!r} has no numbers to draw.", expected="Numbers.")
    return array


def _worlds_of(array: xr.DataArray, order: Sequence[str] | None) -> list[str]:
    known = [str(world) for world in array["world"].values.tolist()]
    names = known if order is None else [str(name) for name in order]
    for name in names:
        if name not in known:
            raise unknown_variable(name, known, what="one of these worlds")
    if not 0 < len(names) <= MOST_WORLDS:
        raise DataError(
            f"{len(names)} worlds in one picture.",
            expected=f"1 to {MOST_WORLDS}.",
            remedy="Choose some: order=[...].",
        )
    return names


def _row(array: xr.DataArray, name: str) -> np.ndarray:
    """Return the values in one world: dims (draw, unit)."""
    at = [str(world) for world in array["world"].values.tolist()].index(name)
    values = array.isel(world=at).transpose(*DRAW_DIMS, ...).values.astype(float)
    return values.reshape(values.shape[0] * values.shape[1], -1)


def _few_whole_numbers(table: list[np.ndarray]) -> bool:
    found: set[float] = set()
    for values in table:
        finite = values[np.isfinite(values)]
        if not (finite == np.round(finite)).all():
            return False
        found |= {*np.unique(finite).tolist()}
    return len(found) <= MOST_VALUES


def _draw_hill(ax: Axes, at: int, values: np.ndarray, colour: str) -> None:
    """Draw the distribution over units and draws as a hill upon its row."""
    flat = values[np.isfinite(values)]
    flat = flat[:: max(1, len(flat) // MOST_POINTS)]
    curve = density(flat)
    if curve is None:
        return
    grid, height = curve
    top = at - 0.82 * height / height.max()
    ax.fill_between(grid, at, top, color=colour, alpha=0.25, linewidth=0)
    ax.plot(grid, top, color=colour, linewidth=1.2)


def _draw_discs(ax: Axes, at: int, values: np.ndarray, colour: str) -> None:
    """Draw the share of each value as the area of a disc above the row."""
    finite = values[np.isfinite(values)]
    found, counts = np.unique(finite, return_counts=True)
    sizes = 480 * counts / len(finite)
    ax.scatter(found, np.full(len(found), at - 0.42), sizes, color=colour, alpha=0.45, linewidth=0)
    for value, count in zip(found, counts, strict=True):
        share = f"{count / len(finite):.0%}"
        ax.text(value, at - 0.42, share, ha="center", va="center", fontsize="x-small", color=ink())


def _draw_average(ax: Axes, at: int, values: np.ndarray, prob: float, colour: str) -> None:
    """Draw the average over units and its interval across draws."""
    with np.errstate(invalid="ignore"):
        averages = np.nanmean(values, axis=1)
    averages = averages[np.isfinite(averages)]
    mean = float(averages.mean())
    if np.ptp(averages) > 0:
        [(low, high)] = ends_of(averages[:, np.newaxis], prob)
        label = f"{100 * prob:.6g}% HDI of the average" if not at else ""
        ax.plot(
            [low, high], [at, at], color=colour, linewidth=5, solid_capstyle="butt", label=label
        )
    ax.plot(
        [mean],
        [at],
        "o",
        color=paper(),
        markeredgecolor=colour,
        markeredgewidth=1.8,
        markersize=6,
        label="average over units" if not at else "",
        zorder=5,
    )
