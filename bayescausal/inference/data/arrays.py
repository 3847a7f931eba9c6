"""Arrays by name: a mapping, an xarray Dataset, and what the model itself holds.

One array per variable, with the dims of the variable; of a Dataset the dims go by name. Arrays
whose lengths disagree, or that are ragged, are refused, naming the variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayescausal.inference.data.columns import (
    Table,
    aligned,
    check_sizes,
    dim_labels,
    wanted_columns,
)
from bayescausal.model.kinds import Kind, kind_of
from bayescausal.model.labels import OtherLabelsError, in_order, order_of, plain_labels
from bayescausal.model.structure.function_graph import (
    data_values,
    dim_sizes,
    imputed_values,
    observed_values,
)
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from bayescausal.model.structure.structure import Structure

__all__ = ["from_dataset", "from_mapping", "own_table"]


def own_table(structure: Structure, data: Table | None = None) -> Table:
    """Return what the model itself was observed to be, with the columns of `data` in front.

    Cells that the model imputes are NaN.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.inference import own_table
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": range(2)}) as model:
    ...     y = pm.Normal("y", observed=[1.0, 2.0], dims="unit")
    >>> own_table(structure_of(model))["y"].tolist()
    [1.0, 2.0]
    """
    model, wanted = structure.model, wanted_columns(structure)
    seen = observed_values(model)
    own = {name: seen[name] for name in structure.observed if name in seen}
    for name, (value, mask) in imputed_values(model, structure.imputed).items():
        own[name] = np.where(mask, np.nan, value.astype(float)) if mask.any() else value
    if data is None:
        own.update(data_values(model))
        return _arrays(own, {}, wanted, {}, (), structure)
    extra = {name: value for name, value in own.items() if name not in data}
    extra |= _held(structure, data)
    extra = {name: _in_order(name, value, structure, data) for name, value in extra.items()}
    if not extra:
        return data
    values = {**data.values, **extra}
    merged = _arrays(values, dict(data.categories), wanted, data.coords, data.ignored, structure)
    check_sizes(merged, structure)
    return merged


def _held(structure: Structure, data: Table) -> dict[str, np.ndarray]:
    """Return the ``pm.Data`` without a column whose values in the model fit the units at hand."""
    lost = [n for n in structure.data if n not in data and not closest(n, data.ignored)]
    if not lost:
        return {}
    held, sizes = data_values(structure.model), data.sizes
    fitting = {}
    for name in lost:
        dims = structure.dims[name]
        if all(sizes.get(d, n) == n for d, n in zip(dims, held[name].shape, strict=True)):
            fitting[name] = held[name]
    return fitting


def _in_order(name: str, value: np.ndarray, structure: Structure, data: Table) -> np.ndarray:
    """Return values that the model holds in the order of the units of the data, by their labels."""
    for axis, dim in enumerate(structure.dims[name]):
        labels, others = structure.model.coords.get(dim), data.coords.get(dim)
        if labels is None or others is None or {*labels} != {*np.asarray(others).tolist()}:
            continue
        try:
            order = order_of(labels, others)
        except OtherLabelsError:  # labels, or only places
            raise DataError(
                f"{name!r} has no column, and the rows of the data come in another order along "
                f"{dim!r} than the values that the model holds.",
                expected=f"a column {name!r}, or rows in the order of the model.",
                remedy="Add the column; or sort the rows (sort_index) if their index says which "
                "unit each is, and reset it (reset_index(drop=True)) if it does not.",
            ) from None
        value = value if order is None else np.take(value, order, axis=axis)
    return value


def from_dataset(data: xr.Dataset, structure: Structure) -> Table:
    """Read an xarray Dataset: dims by name, labels from its coords."""
    wanted = wanted_columns(structure)
    values: dict[str, np.ndarray] = {}
    for name, dims in wanted.items():
        if name not in data:
            continue
        array = data[name]
        if set(array.dims) != set(dims):
            raise DataError(
                f"{name!r} has dims {tuple(array.dims)} in the Dataset.",
                expected=f"The dims of the model: {dims}.",
                remedy="Rename them with Dataset.rename.",
            )
        values[name] = _kind(name, array.transpose(*dims).values).values
    labels = {
        str(d): np.asarray(data[d].values)
        for d in data.dims
        if d in data.coords and data[d].ndim == 1
    }
    ignored = tuple(str(v) for v in data.data_vars if v not in wanted)
    return _arrays(values, {}, wanted, labels, ignored, structure)


def from_mapping(data: Mapping[Any, Any], structure: Structure) -> Table:
    """Read a mapping of arrays: the dims of each variable, in the order of the model."""
    wanted = wanted_columns(structure)
    values: dict[str, np.ndarray] = {}
    categories: dict[str, tuple[Any, ...]] = {}
    labels: dict[str, np.ndarray] = {}
    ignored = []
    for key, value in data.items():
        name = str(key)
        if name in structure.unit_dims:
            labels[name] = np.asarray(value)
            continue
        if name not in wanted:
            ignored.append(name)
            continue
        held = structure.model.coords
        fixed = {d: held[d] for d in wanted[name] if d not in structure.unit_dims and held.get(d)}
        value = in_order(value, wanted[name], {**labels, **fixed}, f"Column {name!r}")
        for dim, own in _unit_labels(value, wanted[name], structure).items():
            if dim not in fixed:
                labels.setdefault(dim, own)
        kind = _kind(name, value)
        values[name] = kind.values
        if kind.categories is not None:
            categories[name] = kind.categories
    return _arrays(values, categories, wanted, labels, tuple(ignored), structure)


def _unit_labels(
    value: object, dims: tuple[str, ...], structure: Structure
) -> dict[str, np.ndarray]:
    """Return the labels that a column carries, where they tell units apart."""
    if isinstance(value, pd.Series) and len(dims) == 1:
        found = {dims[0]: plain_labels(value.index).to_numpy()}
    elif isinstance(value, xr.DataArray):
        found = {d: value[d].values for d in dims if d in value.coords}
    else:
        return {}
    return {
        d: v
        for d, v in found.items()
        if d in structure.unit_dims
        and pd.Index(v).is_unique
        and not pd.Index(v).equals(pd.RangeIndex(len(v)))  # places only
    }


def _kind(name: str, value: ArrayLike) -> Kind:
    """Return what an array-like holds, or say which column is none."""
    try:
        return kind_of(value)
    except ValueError as error:
        raise DataError(
            f"Column {name!r} is ragged: its rows have different lengths.",
            expected="A rectangular array.",
        ) from error


def _arrays(
    values: dict[str, np.ndarray],
    categories: dict[str, tuple[Any, ...]],
    wanted: Mapping[str, tuple[str, ...]],
    labels: Mapping[str, np.ndarray],
    ignored: tuple[str, ...],
    structure: Structure,
) -> Table:
    """Check that arrays have the dims of their variables and agree on the lengths."""
    sizes: dict[str, tuple[int, str]] = {
        d: (len(v), f"the labels of {d!r}") for d, v in labels.items()
    }
    own = dim_sizes(structure.model)
    dims_of = {}
    values = {name: aligned(value) for name, value in values.items()}
    for name, value in values.items():
        dims = wanted[name]
        if not dims:
            dims_of[name] = tuple(f"{name}_dim_{i}" for i in range(value.ndim))
            continue
        if value.ndim != len(dims):
            raise DataError(
                f"{name!r} has {value.ndim} dimensions (shape {value.shape}).",
                expected=f"{len(dims)}, one for each of {dims}.",
            )
        for dim, size in zip(dims, value.shape, strict=True):
            known, source = sizes.setdefault(dim, (size, repr(name)))
            if dim not in structure.unit_dims and own.get(dim, size) != size:
                known, source = own[dim], "the model"
            if known != size:
                raise DataError(
                    f"{name!r} has length {size} along {dim!r}, against {known} of {source}.",
                    expected="One length per dim.",
                )
        dims_of[name] = dims
    coords = dim_labels(labels, {d: n for d, (n, _) in sizes.items()}, structure)
    return Table(values, dims_of, coords, structure.unit_dims, categories, ignored)
