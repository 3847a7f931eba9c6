"""Draws with names: dims ``chain`` and ``draw`` first, whatever they came as.

A posterior draw is one number (or one array of cells) for each chain and draw. Estimators outside
this package return bare arrays; here they get their names, and what is no set of draws is
refused: NaN, an infinity, an array whose axes cannot be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from bayescausal.types import DataError, NotFiniteError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["DRAW_DIMS", "HasDraws", "as_draws", "cells", "distinct", "listed_labels"]

#: The dims of draws, in their order.
DRAW_DIMS = ("chain", "draw")


class HasDraws(Protocol):
    """An answer that carries its draws, such as an effect."""

    @property
    def draws(self) -> xr.DataArray:
        """Draws, as :func:`as_draws` takes them."""


def as_draws(values: ArrayLike | xr.DataArray | HasDraws, name: str | None = None) -> xr.DataArray:
    """Return draws as a DataArray of floats with dims chain and draw first.

    They are a copy, unless they cannot be written to.

    - `values`: a DataArray with dims ``chain`` and ``draw``, ``draw`` alone, or a stacked
      ``sample``; an array ``(draw,)`` or ``(chain, draw)``; a number (one draw); or an effect, for
      its draws.
    - `name`: name of the result.
    """
    if not isinstance(values, xr.DataArray | np.ndarray):
        values = getattr(values, "draws", values)
    array = values if isinstance(values, xr.DataArray) else None
    if array is not None and "sample" in array.dims and not set(DRAW_DIMS) & set(array.dims):
        stacked = set(DRAW_DIMS) <= set(array.coords)
        array = (
            array.unstack("sample")
            if stacked and array["sample"].to_index().nlevels > 1
            else array.rename(sample="draw")
        )
    if array is None or not set(DRAW_DIMS) & set(array.dims):
        array = _from_array(np.asarray(values))
    for dim in DRAW_DIMS:
        if dim not in array.dims:
            array = array.expand_dims(dim) if dim in array.coords else array.expand_dims({dim: [0]})
    array = array.transpose(*DRAW_DIMS, ...)
    if array.dtype.kind not in "biuf":
        raise DataError(f"Draws of type {array.dtype}.", expected="Numbers.")
    array = array.astype(float, copy=array.values.flags.writeable).copy(deep=False)
    if not array.size:
        raise DataError(f"No draws: sizes {dict(array.sizes)}.", expected="One draw at least.")
    bad = int((~np.isfinite(array.values)).sum())
    if bad:
        raise NotFiniteError(
            f"{bad} of {array.size} draws are NaN or infinite.",
            expected="Finite draws.",
            remedy="Find where the quantity is undefined before summarising it.",
        )
    array.name = name
    return array


def cells(draws: xr.DataArray) -> tuple[str, ...]:
    """Return the dims of draws other than chain and draw."""
    return tuple(str(dim) for dim in draws.dims if dim not in DRAW_DIMS)


def listed_labels(labels: ArrayLike | pd.Index) -> list[Any]:
    """Return labels as Python objects, dates as texts: as numbers they would count nanoseconds.

    Examples
    --------
    >>> import pandas as pd
    >>> listed_labels(pd.date_range("2020-03-01", periods=2).values), listed_labels([3, 1])
    (['2020-03-01', '2020-03-02'], [3, 1])
    """
    index = pd.Index(np.asarray(labels))
    return (index.astype(str) if index.dtype.kind in "mM" else index).tolist()


def _from_array(array: np.ndarray) -> xr.DataArray:
    if array.ndim > 2:
        raise DataError(
            f"Draws of shape {array.shape} without names.",
            expected="(draw,) or (chain, draw), or a DataArray with dims chain and draw.",
        )
    shaped = array.reshape((1, -1)) if array.ndim < 2 else array
    coords = {dim: np.arange(n) for dim, n in zip(DRAW_DIMS, shaped.shape, strict=True)}
    return xr.DataArray(shaped, dims=DRAW_DIMS, coords=coords)


def distinct(labels: list[str]) -> list[str]:
    """Return labels of which no two are equal: those that are get a number."""
    seen: dict[str, int] = {}
    found = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        found.append(f"{label} [{seen[label]}]" if labels.count(label) > 1 else label)
    return found
