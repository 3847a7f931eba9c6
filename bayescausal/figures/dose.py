"""A curve over doses with its bands.

Each dose is a question of its own, answered in every posterior draw; the bands are pointwise
highest-density intervals, so the curve leaves a 94% band somewhere more often than one time in
seventeen. Values between the doses asked are joined by straight lines and were not computed.
Outside the doses that were seen the curve is the model's extrapolation: pass what was seen and it
is marked along the axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayescausal.draws.intervals import check_prob
from bayescausal.figures.read import Shown, as_shown, ends_of
from bayescausal.figures.style import (
    CYCLE,
    GREEN,
    MARKERS,
    legend_above,
    new_axes,
    plain,
    quiet,
    tidy,
)
from bayescausal.types import EstimandError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


__all__ = ["plot_dose_response"]

FEW = 12  # doses; so many are marked one by one
MOST_LINES = len(CYCLE)


def plot_dose_response(
    effect: Any,
    *,
    ax: Axes | None = None,
    prob: float | Sequence[float] = (0.5, 0.94),
    reference: float | Literal["own"] | None = "own",
    seen: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    dose: str | None = None,
    label: str | None = None,
) -> Axes:
    """Draw an answer over doses as a curve with bands.

    Parameters
    ----------
    effect : Effect or DataArray
        With a dim whose labels are numbers, as :func:`bayescausal.DoseResponse` gives; another
        dim (``by=``) gives a curve each.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.
    prob : float or sequence of float
        Probabilities of the highest-density bands.
    reference : float, None or "own"
        The value to compare with. Default: the value of no effect, if there is one.
    seen : array_like, optional
        The doses that were observed; marked along the axis. Default: those of the data that the
        effect was estimated from. ``[]``: none.
    truth : array_like, optional
        The true curve at the doses, where known.
    dose : str, optional
        Name of the dim. Default: the only one whose labels are numbers, or the first.
    label : str, optional
        What the curve is. Default: the effect's own label.

    Returns
    -------
    matplotlib.axes.Axes
        Nothing is shown or saved.

    Raises
    ------
    EstimandError
        If there is no dose, more than four curves, or for a probability outside (0, 1).
    UnknownVariableError
        If `dose` is not a dim.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> import bayescausal as bc
    >>> draws = np.random.default_rng(1).normal([0, 1, 4], 0.3, (1, 500, 3))
    >>> curve = xr.DataArray(draws, dims=("chain", "draw", "dose"), coords={"dose": [0, 1, 2]})
    >>> ax = bc.plot_dose_response(curve, label="pain")
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('dose', 'pain')
    """
    shown = as_shown(effect, label=label, null=reference)
    probs = sorted({check_prob(p) for p in np.atleast_1d(np.asarray(prob, dtype=float)).tolist()})
    along = _dose_dim(shown, dose)
    doses, curves = _curves(shown, along)
    true = _true(truth, len(doses))
    ax = new_axes(ax, height=3.8)
    if shown.null is not None:
        ax.axhline(shown.null, color=quiet(), linewidth=1.2, zorder=1)
    for place, (name, values) in enumerate(curves.items()):
        _draw_curve(ax, doses, values, probs, place, name if len(curves) > 1 else "mean")
    if true is not None:
        ax.plot(doses, true, color=GREEN, linestyle=(0, (4, 2)), linewidth=1.6, label="truth")
    seen = shown.draws[along].attrs.get("seen") if seen is None else seen
    if seen is not None and np.size(seen):
        _draw_seen(ax, seen)
    ax.set_xlabel(plain(along))
    ax.set_ylabel(plain(shown.label))
    tidy(ax, grid="y", left=True)
    legend_above(ax)
    return ax


# --------------------------------------------------------------------------- private


def _dose_dim(shown: Shown, dose: str | None) -> str:
    """Return the dim along which the curve runs."""
    if not shown.dims:
        raise EstimandError(
            f"{shown.label} is one number, not a curve.",
            remedy="Ask DoseResponse(..., values=[...]), or use plot_effect.",
        )
    if dose is not None:
        if dose not in shown.dims:
            raise unknown_variable(dose, shown.dims, what="a dim of this effect")
        names = [dose]
    else:
        names = [d for d in shown.dims if shown.draws[d].dtype.kind in "iuf"]
    if not names or shown.draws[names[0]].dtype.kind not in "biuf":
        raise EstimandError(
            f"{shown.label} has no dim whose labels are numbers: {', '.join(shown.dims)}.",
            remedy="Use plot_forest.",
        )
    return names[0]


def _curves(shown: Shown, along: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return doses in order, and the draws of each curve: dims (draw, dose)."""
    draws = shown.draws.sortby(along)
    doses = draws[along].values.astype(float)
    rest = [d for d in shown.dims if d != along]
    if not rest:
        return doses, {shown.label: Shown(draws, "", None, "").values()}
    stacked = draws.stack(curve=rest)
    if stacked.sizes["curve"] > MOST_LINES:
        raise EstimandError(
            f"{shown.label} has {stacked.sizes['curve']} curves.",
            expected=f"at most {MOST_LINES}.",
            remedy="Select some of them, or use plot_forest.",
        )
    found = {}
    for key in stacked["curve"].values.tolist():
        labels = dict(zip(rest, key, strict=True))
        name = ", ".join(f"{dim}={value}" for dim, value in labels.items())
        found[name] = Shown(draws.sel(labels, drop=True), "", None, "").values()
    return doses, found


def _draw_curve(
    ax: Axes, doses: np.ndarray, values: np.ndarray, probs: list[float], place: int, name: str
) -> None:
    """Draw one curve: bands from wide to narrow, the mean on top."""
    colour = CYCLE[place]
    if len(values) > 1:
        for rank, prob in enumerate(reversed(probs)):
            ends = ends_of(values, prob)
            shade = 0.16 + 0.14 * rank
            label = f"{100 * prob:.6g}% HDI" if not place else ""
            band = {"color": colour, "alpha": shade, "linewidth": 0}
            ax.fill_between(doses, ends[:, 0], ends[:, 1], label=label, **band)  # type: ignore[arg-type]
    mark = MARKERS[place] if len(doses) <= FEW else ""
    ax.plot(
        doses,
        values.mean(axis=0),
        color=colour,
        linewidth=1.8,
        marker=mark,
        markersize=5,
        label=plain(name),
    )


def _draw_seen(ax: Axes, seen: ArrayLike) -> None:
    """Mark the doses that were seen along the axis."""
    values = np.ravel(np.asarray(seen, dtype=float))
    values = values[np.isfinite(values)]
    where = ax.get_xaxis_transform()
    ax.plot(
        values,
        np.full(len(values), 0.012),
        "|",
        color=quiet(),
        markersize=7,
        alpha=0.6,
        transform=where,
        label="doses seen",
    )


def _true(truth: ArrayLike | None, count: int) -> np.ndarray | None:
    if truth is None:
        return None
    values = np.ravel(np.asarray(truth, dtype=float))
    if len(values) != count:
        raise EstimandError(f"{len(values)} true values for {count} doses.", expected="One each.")
    return values
