"""Data by name: one table, whatever the data came in.

A model speaks of variables with named dims; data come as rows, columns or arrays. A
:class:`Table` is the meeting point: one array per variable, each with *its own* dims, and one
set of labels per dim. Two shapes of input are understood.

*Tidy*, one row per unit (pandas, polars, pyarrow, ...). A variable :math:`v` with unit dims
:math:`D(v)` takes the value of row :math:`i` at the cell :math:`(\\ell_d(i))_{d \\in D(v)}`, where
:math:`\\ell_d(i)` is the label of row :math:`i` along the unit dim :math:`d`. Labels are found in
the levels of the index, in columns named after the dim, or, for one dim only, in the row index
itself. A variable that lacks some unit dims (the size of a school, in a table of pupils) is
repeated in the rows of its group and must be constant there. Cells that no row speaks of are
missing. A vector variable is spread over columns ``"v[label]"``.

*Arrays* (a mapping, an xarray Dataset). One array per variable, with the dims of the variable.

When it fails: two rows for one cell, a group-level column that varies inside a group, arrays
whose lengths disagree, no rows at all. Each is refused, naming the column and the label.

References
----------
.. [1] H. Wickham, Tidy data, *Journal of Statistical Software* 59(10), 2014.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.data.columns import Table, aligned, dim_labels, wanted_columns
from bayescausal.inference.data.rows import as_pandas, from_frame
from bayescausal.inference.stream.source import in_memory, is_source
from bayescausal.model.kinds import Kind, kind_of
from bayescausal.model.structure.rebuild import (
    data_values,
    dim_sizes,
    imputed_values,
    observed_values,
)
from bayescausal.types import DataError, FixedUnitsError, closest

if TYPE_CHECKING:
    import xarray as xr

    from bayescausal.model.structure.structure import Structure

__all__ = ["as_table", "own_table"]


def as_table(data: Any, structure: Structure) -> Table:
    """Return `data` as a :class:`Table` of the variables of a model.

    Parameters
    ----------
    data : DataFrame, Table, Mapping, Dataset or source of rows
        pandas, polars, pyarrow or anything that narwhals reads; a mapping of arrays; an
        xarray Dataset; the path of Parquet files and the like, read into memory. A
        :class:`Table` is returned as it is.
    structure : Structure
        The model, read.

    Returns
    -------
    Table
        The columns that the model has; the names of the others in ``ignored``.

    Raises
    ------
    DataError
        If the data are empty, have duplicate columns or rows, or shapes that disagree.
    FixedUnitsError
        If the model fixes its number of units and the data have another.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.inference import as_table
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", dims="unit")
    ...     y = pm.Normal("y", x, dims="unit")
    >>> as_table({"x": [0.1, 0.2], "y": [1.0, 2.0], "note": ["a", "b"]}, structure_of(model))
    Table(x, y; unit: 2)
    """
    import xarray as xr

    if is_source(data):
        data = in_memory(data)
    if isinstance(data, Table):
        table = data
    elif isinstance(data, xr.Dataset):
        table = _from_dataset(data, structure)
    elif isinstance(data, Mapping):
        table = _from_mapping(data, structure)
    else:
        table = from_frame(as_pandas(data), structure)
    _check_sizes(table, structure)
    return table


def own_table(structure: Structure, data: Table | None = None) -> Table:
    """Return what the model itself was observed to be, with the columns of `data` in front.

    Parameters
    ----------
    structure : Structure
        A model that is conditioned already, in whole or in part.
    data : Table, optional
        Columns that take the place of the model's own.

    Returns
    -------
    Table
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
    _check_sizes(merged, structure)
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
        if labels is None or others is None or len(labels) != len(others):
            continue
        mine, theirs = list(labels), np.asarray(others).tolist()
        if mine == theirs or set(mine) != set(theirs):
            continue
        if mine == list(range(len(mine))):  # labels, or only places
            raise DataError(
                f"{name!r} has no column, and the rows of the data come in another order along "
                f"{dim!r} than the values that the model holds.",
                expected=f"a column {name!r}, or rows in the order of the model.",
                remedy="Add the column; or sort the rows (sort_index) if their index says which "
                "unit each is, and reset it (reset_index(drop=True)) if it does not.",
            )
        place = {label: i for i, label in enumerate(mine)}
        value = np.take(value, [place[label] for label in theirs], axis=axis)
    return value


# ------------------------------------------------------------------------ which columns


def _check_sizes(table: Table, structure: Structure) -> None:
    """Refuse data without rows, and lengths that the model does not allow."""
    sizes = table.sizes
    named = [name for name in table.columns if name in structure.nodes]
    if not named:
        known = ", ".join(structure.nodes)
        near = tuple(hit for name in table.ignored for hit in closest(name, structure.nodes)[:1])
        raise DataError(
            "No column of the data is a variable of the model.",
            expected=f"Columns among: {known}.",
            names=tuple(dict.fromkeys(near))[:3],
        )
    for dim in table.unit_dims:
        if sizes.get(dim) == 0:
            raise DataError(f"The data have no units along {dim!r}.", expected="One or more rows.")
        length = structure.fixed.get(dim)
        if length is not None and dim in sizes and sizes[dim] != length:
            raise FixedUnitsError(
                f"The data have {sizes[dim]} units along {dim!r}, but the model carries arrays of "
                f"length {length} of its own.",
                expected=f"{length} units.",
                remedy=f"Put those arrays in pm.Data(..., dims={dim!r}), so that they come with "
                "the data.",
            )


# ------------------------------------------------------------------------------- arrays


def _from_dataset(data: xr.Dataset, structure: Structure) -> Table:
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


def _from_mapping(data: Mapping[Any, Any], structure: Structure) -> Table:
    """Read a mapping of arrays: the dims of each variable, in the order of the model."""
    import xarray as xr

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
        if isinstance(value, xr.DataArray) and set(value.dims) == set(wanted[name]):
            value = value.transpose(*wanted[name])
        kind = _kind(name, value)
        values[name] = kind.values
        if kind.categories is not None:
            categories[name] = kind.categories
    return _arrays(values, categories, wanted, labels, tuple(ignored), structure)


def _kind(name: str, value: Any) -> Kind:
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
