"""Choosing units by label, list of labels, slice of labels, or mask."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayescausal.draws.named import listed_labels
from bayescausal.model.kinds import as_mask
from bayescausal.model.labels import in_order
from bayescausal.types import DataError, MixingError, closest

if TYPE_CHECKING:
    from collections.abc import Hashable

    from bayescausal.evaluation.evaluate import Units

__all__ = ["select_units"]


def select_units(units: Units, chosen: object) -> Units:
    """Return some of the units.

    - `units`: those at hand.
    - `chosen` (None, label, sequence of labels, slice of labels, or mask): along the first unit
      dim; None for all.
    Raises DataError if a label is not there, with the closest ones, or none is left.
    Raises MixingError if units depend on each other, so that some cannot be asked about without the
      others.
    """
    if chosen is None:
        return units
    structure = units.structure
    first = structure.unit_dims[0]
    length = units.sizes[first]
    labels = np.asarray(units.coords[first]) if units.coords.get(first) is not None else None
    labels = np.arange(length) if labels is None else labels
    rows = _rows(chosen, labels, first)
    if not len(rows):
        raise DataError(f"No {first} is selected.", expected="at least one.")
    mixed = structure.mixes().get(first)
    if mixed:
        raise MixingError(
            f"Some units cannot be asked about without the others: {mixed}.",
            remedy="Ask about all, and select from the result.",
        )
    if first in structure.fixed and len(rows) < length:
        raise MixingError(
            f"Some units cannot be asked about without the others: the model carries an array of "
            f"its own of {structure.fixed[first]} {first}s.",
            remedy=f'Put the array in pm.Data(..., dims="{first}"); or ask about all, and select '
            "from the result.",
        )
    cut: dict[str, np.ndarray] = {}
    for name, column in units.columns.items():
        dims = structure.dims.get(name, ())
        cut[name] = np.take(column, rows, axis=dims.index(first)) if first in dims else column
    return replace(
        units,
        sizes={**units.sizes, first: len(rows)},
        coords={**units.coords, first: labels[rows]},
        columns=cut,
        rows=rows,
    )


def _rows(chosen: object, labels: np.ndarray, dim: str) -> np.ndarray:
    """Return positions of the chosen labels."""
    if labels.dtype.kind in "mM":
        labels = pd.Index(labels).astype(object).to_numpy()
    if isinstance(chosen, slice):
        start = 0 if chosen.start is None else _one(chosen.start, labels, dim)
        stop = len(labels) - 1 if chosen.stop is None else _one(chosen.stop, labels, dim)
        return np.arange(start, stop + 1, chosen.step)
    if isinstance(chosen, set | frozenset):
        chosen = sorted(chosen, key=str)
    chosen = as_mask(chosen)
    if isinstance(chosen, pd.Series | xr.DataArray) and chosen.dtype == bool:
        chosen = in_order(chosen, (dim,), {dim: labels}, "The mask units=")
    array = np.asarray(chosen)
    if array.dtype == bool:
        if array.shape != labels.shape:
            raise DataError(
                f"The mask has shape {array.shape}.",
                expected=f"one boolean for each of the {len(labels)} {dim} labels.",
            )
        return np.flatnonzero(array)
    if array.ndim and isinstance(chosen, Iterable) and not isinstance(chosen, tuple):
        wanted = list(chosen)
    else:
        wanted = [chosen]
    place = {_key(label): i for i, label in enumerate(labels.tolist())}
    return np.array([_find(w, place, dim) for w in wanted], dtype=int)


def _one(label: object, labels: np.ndarray, dim: str) -> int:
    place = {_key(x): i for i, x in enumerate(labels.tolist())}
    return _find(label, place, dim)


def _key(label: object) -> Hashable:
    return label.item() if hasattr(label, "item") else label


def _find(label: object, place: dict[Any, int], dim: str) -> int:
    key: Any = _key(label)
    shown: list[Any] = list(place)[:5]
    if isinstance(shown[0], pd.Timestamp | pd.Timedelta):
        with suppress(TypeError, ValueError):
            key = type(shown[0])(key)
        shown = listed_labels(shown)
    if key not in place:
        raise DataError(
            f"{label!r} is not a label of {dim!r}.",
            expected=f"labels such as {', '.join(map(repr, shown))}.",
            names=closest(str(label), map(str, place))[:1],
        )
    return place[key]
