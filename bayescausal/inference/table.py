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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.types import DataError, FixedUnitsError, closest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    import xarray as xr

    from bayescausal.model.structure import Structure

__all__ = ["Table", "as_table", "own_table"]


@dataclass(frozen=True, eq=False)
class Table:
    """Columns by name, each with its own dims.

    Attributes
    ----------
    values : mapping of str to ndarray
        One array per column.
    dims : mapping of str to tuple of str
        The dims of each column.
    coords : mapping of str to ndarray
        The labels of every dim that a column has.
    unit_dims : tuple of str
        The dims that count units.
    categories : mapping of str to tuple
        For columns that came as a categorical: its categories, in order.
    ignored : tuple of str
        Names of columns that the model does not have.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.inference import Table
    >>> table = Table({"x": np.arange(5.0)}, {"x": ("unit",)}, {"unit": np.arange(5)}, ("unit",))
    >>> len(table), table.columns, [chunk["x"].tolist() for chunk in table.chunks(rows=3)]
    (5, ('x',), [[0.0, 1.0, 2.0], [3.0, 4.0]])
    """

    values: Mapping[str, np.ndarray]
    dims: Mapping[str, tuple[str, ...]]
    coords: Mapping[str, np.ndarray]
    unit_dims: tuple[str, ...]
    categories: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.values)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each dim."""
        return {dim: len(labels) for dim, labels in self.coords.items()}

    @property
    def index(self) -> np.ndarray | pd.MultiIndex:
        """Labels of the units: an array, or the product of the labels for several unit dims."""
        if len(self.unit_dims) == 1:
            return self.coords[self.unit_dims[0]]
        import pandas as pd

        return pd.MultiIndex.from_product(
            [self.coords[dim] for dim in self.unit_dims], names=self.unit_dims
        )

    def __len__(self) -> int:
        """Return the number of rows of the tidy form: the cells of the largest column."""
        sizes = self.sizes
        cells = [
            int(np.prod([sizes[d] for d in dims if d in self.unit_dims], dtype=int))
            for dims in self.dims.values()
        ]
        return max(cells, default=0)

    def __getitem__(self, name: str) -> np.ndarray:
        """Return one column."""
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __repr__(self) -> str:
        sizes = ", ".join(f"{d}: {n}" for d, n in self.sizes.items() if d in self.unit_dims)
        return f"Table({', '.join(self.columns)}; {sizes})"

    def chunks(self, rows: int = 50_000) -> Iterator[dict[str, np.ndarray]]:
        """Yield the columns in blocks of at most `rows` units along the first unit dim.

        Parameters
        ----------
        rows : int
            Units of the first unit dim per block.

        Yields
        ------
        dict of str to ndarray
            Columns without that dim are yielded whole in every block.
        """
        if rows < 1:
            raise DataError(f"chunks(rows={rows}) cannot advance.", expected="rows of 1 or more.")
        first = self.unit_dims[0]
        for start in range(0, self.sizes.get(first, 0), rows):
            yield {
                name: np.take(
                    value,
                    np.arange(start, min(start + rows, self.sizes[first])),
                    axis=self.dims[name].index(first),
                )
                if first in self.dims[name]
                else value
                for name, value in self.values.items()
            }


def as_table(data: Any, structure: Structure) -> Table:
    """Return `data` as a :class:`Table` of the variables of a model.

    Parameters
    ----------
    data : DataFrame, Table, Mapping or Dataset
        pandas, polars, pyarrow or anything that narwhals reads; a mapping of arrays; an
        xarray Dataset. A :class:`Table` is returned as it is.
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
    >>> from bayescausal.model.structure import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", dims="unit")
    ...     y = pm.Normal("y", x, dims="unit")
    >>> as_table({"x": [0.1, 0.2], "y": [1.0, 2.0], "note": ["a", "b"]}, structure_of(model))
    Table(x, y; unit: 2)
    """
    import xarray as xr

    if isinstance(data, Table):
        table = data
    elif isinstance(data, xr.Dataset):
        table = _from_dataset(data, structure)
    elif isinstance(data, Mapping):
        table = _from_mapping(data, structure)
    else:
        table = _from_frame(_as_pandas(data), structure)
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
    >>> from bayescausal.model.structure import structure_of
    >>> with pm.Model(coords={"unit": range(2)}) as model:
    ...     y = pm.Normal("y", observed=[1.0, 2.0], dims="unit")
    >>> own_table(structure_of(model))["y"].tolist()
    [1.0, 2.0]
    """
    from bayescausal.model.rebuild import data_values, imputed_values, observed_values

    model, wanted = structure.model, _wanted(structure)
    seen = observed_values(model)
    own = {name: seen[name] for name in structure.observed if name in seen}
    for name, (value, mask) in imputed_values(model, structure.imputed).items():
        own[name] = np.where(mask, np.nan, value.astype(float)) if mask.any() else value
    if data is None:
        own.update(data_values(model))
        return _arrays(own, {}, wanted, {}, (), structure)
    extra = {name: value for name, value in own.items() if name not in data}
    if not extra:
        return data
    values = {**data.values, **extra}
    merged = _arrays(values, dict(data.categories), wanted, data.coords, data.ignored, structure)
    _check_sizes(merged, structure)
    return merged


# ------------------------------------------------------------------------ which columns


def _wanted(structure: Structure) -> dict[str, tuple[str, ...]]:
    """Return the variables that data may speak of, with their dims."""
    names = dict.fromkeys(structure.nodes)
    names.update(dict.fromkeys(v.name for v in structure.model.data_vars))
    return {name: tuple(structure.dims.get(name, ())) for name in names}


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
    wanted = _wanted(structure)
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
        values[name] = np.asarray(array.transpose(*dims).values)
    labels = {
        str(d): np.asarray(data[d].values)
        for d in data.dims
        if d in data.coords and data[d].ndim == 1
    }
    ignored = tuple(str(v) for v in data.data_vars if v not in wanted)
    return _arrays(values, {}, wanted, labels, ignored, structure)


def _from_mapping(data: Mapping[Any, Any], structure: Structure) -> Table:
    """Read a mapping of arrays: the dims of each variable, in the order of the model."""
    import pandas as pd
    import xarray as xr

    wanted = _wanted(structure)
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
        if isinstance(value, pd.Series | pd.Categorical) and isinstance(
            value.dtype, pd.CategoricalDtype
        ):
            categories[name] = tuple(value.dtype.categories)
        if isinstance(value, pd.Series | pd.Index | pd.Categorical):
            values[name] = _plain(pd.Series(value))
        elif isinstance(value, np.ma.MaskedArray):
            values[name] = value.astype(float).filled(np.nan)
        else:
            values[name] = _as_array(name, value)
    return _arrays(values, categories, wanted, labels, tuple(ignored), structure)


def _as_array(name: str, value: Any) -> np.ndarray:
    """Return an array-like as an array, or say which column is none."""
    try:
        return np.asarray(value)
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
    sizes: dict[str, tuple[int, str]] = {d: (len(v), f"the labels of {d!r}") for d, v in
                                         labels.items()}
    own = _own_sizes(structure)
    dims_of = {}
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
                    f"{name!r} has length {size} along {dim!r}, but {source} has {known}.",
                    expected="One length per dim.",
                )
        dims_of[name] = dims
    coords = _labels(labels, {d: n for d, (n, _) in sizes.items()}, structure)
    return Table(values, dims_of, coords, structure.unit_dims, categories, ignored)


def _own_sizes(structure: Structure) -> dict[str, int]:
    """Return the lengths that the dims of the model have now."""
    from bayescausal.model.rebuild import dim_sizes

    return dim_sizes(structure.model)


def _labels(
    given: Mapping[str, np.ndarray], sizes: Mapping[str, int], structure: Structure
) -> dict[str, np.ndarray]:
    """Return the labels of every dim of the model: given, the model's own, or positions."""
    coords: dict[str, np.ndarray] = {}
    own = _own_sizes(structure)
    for dim, length in {**own, **sizes}.items():
        mine = structure.model.coords.get(dim)
        if dim in given and len(given[dim]) == length:
            labels = np.asarray(given[dim])
            if len(set(labels.tolist())) != length:
                raise DataError(
                    f"The labels of {dim!r} are not unique.", expected="One label per unit."
                )
            coords[dim] = labels
        elif mine is not None and len(mine) == length:
            coords[dim] = np.asarray(mine)
        else:
            coords[dim] = np.arange(length)
    return coords


# --------------------------------------------------------------------------------- rows


def _as_pandas(data: Any) -> pd.DataFrame:
    """Return any data frame as pandas, without need of pyarrow."""
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        frame = data
    else:
        import narwhals as nw

        try:
            native = nw.from_native(data)
        except TypeError as error:
            raise DataError(
                f"Data of type {type(data).__name__} cannot be read.",
                expected="A data frame (pandas, polars, pyarrow), a mapping of arrays or an "
                "xarray Dataset.",
            ) from error
        if not isinstance(native, nw.DataFrame | nw.LazyFrame):
            raise DataError(
                f"Data of type {type(data).__name__} cannot be read.",
                expected="A whole table, not one column.",
            )
        if isinstance(native, nw.LazyFrame):
            native = native.collect()
        frame = pd.DataFrame({name: _series(native[name]) for name in native.columns})
    twice = [str(c) for c in frame.columns[frame.columns.duplicated()].unique()]
    if twice:
        raise DataError(
            f"The data have several columns named {', '.join(map(repr, twice))}.",
            expected="One column per name.",
        )
    if len(frame) == 0:
        raise DataError("The data have no rows.", expected="One or more rows.")
    return frame


def _series(column: Any) -> Any:
    """Return a narwhals series as something pandas keeps: categories stay categories."""
    import narwhals as nw
    import pandas as pd

    if column.dtype in (nw.Categorical, nw.Enum):
        levels = column.cat.get_categories().to_list()
        return pd.Categorical(column.to_list(), categories=levels)
    return column.to_numpy()


def _plain(column: pd.Series) -> np.ndarray:
    """Return a pandas column as an array: missing numbers are NaN, missing labels None."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        return column.to_numpy()
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        if column.isna().any():
            return column.to_numpy(dtype=float, na_value=np.nan)
        return column.to_numpy(dtype=getattr(dtype, "numpy_dtype", float))
    array = column.astype(object).to_numpy()
    return np.where(pd.isna(array), None, array)


def _from_frame(frame: pd.DataFrame, structure: Structure) -> Table:
    """Read rows: find the labels of each unit dim, then put every cell in its place."""
    import pandas as pd

    wanted = _wanted(structure)
    by_name: dict[str, Any] = {str(c): c for c in frame.columns}
    present: dict[str, list[str]] = {}
    for name, dims in wanted.items():
        columns = _columns_of(name, dims, by_name, structure)
        if columns and set(dims) & set(structure.unit_dims):
            present[name] = columns
    codes, labels = _row_labels(frame, by_name, present, structure)
    sizes = {d: len(v) for d, v in labels.items()}
    coords = _labels(labels, sizes, structure)
    values: dict[str, np.ndarray] = {}
    dims_of: dict[str, tuple[str, ...]] = {}
    categories: dict[str, tuple[Any, ...]] = {}
    for name, columns in present.items():
        unit = tuple(d for d in wanted[name] if d in structure.unit_dims)
        event = tuple(d for d in wanted[name] if d not in structure.unit_dims)
        parts = []
        for column in columns:
            series = frame[by_name[column]]
            if isinstance(series.dtype, pd.CategoricalDtype):
                categories[name] = tuple(series.dtype.categories)
            cells = _place(column, _plain(series), unit, codes, sizes, coords)
            parts.append(cells)
        array = parts[0]
        if event:
            shape = (*array.shape, *(len(coords[d]) for d in event))
            array = np.stack(parts, axis=-1).reshape(shape)
        order = [(*unit, *event).index(d) for d in wanted[name]]
        values[name] = array.transpose(order)
        dims_of[name] = wanted[name]
    used = {c for columns in present.values() for c in columns} | set(structure.unit_dims)
    ignored = tuple(c for c in by_name if c not in used)
    return Table(values, dims_of, coords, structure.unit_dims, categories, ignored)


def _columns_of(
    name: str, dims: tuple[str, ...], by_name: Mapping[str, Any], structure: Structure
) -> list[str]:
    """Return the columns that hold a variable: its name, or ``name[label]`` for a vector."""
    event = [d for d in dims if d not in structure.unit_dims]
    if not event:
        return [name] if name in by_name else []
    own = _own_sizes(structure)
    grids = [list(structure.model.coords.get(d) or range(own[d])) for d in event]
    mesh = np.stack(np.meshgrid(*[np.arange(len(g)) for g in grids], indexing="ij"), axis=-1)
    expected = [
        f"{name}[{','.join(str(g[i]) for g, i in zip(grids, cell, strict=True))}]"
        for cell in mesh.reshape(-1, len(event))
    ]
    found = [c for c in expected if c in by_name]
    if name in by_name:
        raise DataError(
            f"{name!r} is a vector over {', '.join(event)}: one column cannot hold it.",
            expected=f"Columns {', '.join(expected[:4])}{', ...' if len(expected) > 4 else ''}.",
            remedy="Or pass a mapping of arrays.",
        )
    if found and len(found) < len(expected):
        lost = [c for c in expected if c not in by_name]
        raise DataError(
            f"The vector {name!r} lacks the columns {', '.join(lost[:5])}.",
            expected="All of them, or none.",
        )
    return found


def _row_labels(
    frame: pd.DataFrame,
    by_name: Mapping[str, Any],
    present: Mapping[str, list[str]],
    structure: Structure,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return, for each unit dim, the code of every row and the labels the codes stand for."""
    import pandas as pd

    sources: dict[str, Any] = {}
    for dim in structure.unit_dims:
        if dim in by_name:
            sources[dim] = frame[by_name[dim]]
        elif dim in frame.index.names:
            sources[dim] = frame.index.get_level_values(dim).to_series()
    unlabelled = [d for d in structure.unit_dims if d not in sources]
    together = {
        d
        for name in present
        for d in structure.dims[name]
        if len(set(structure.dims[name]) & set(structure.unit_dims)) > 1
    }
    if len(unlabelled) > 1 or together & set(unlabelled):
        raise DataError(
            f"The rows carry no labels for {', '.join(map(repr, unlabelled))}.",
            expected=f"Labels for each of {structure.unit_dims}.",
            remedy="Add a column named after the dim or an index level, or pass a mapping of "
            "arrays with the dims of each variable.",
        )
    codes: dict[str, np.ndarray] = {}
    labels: dict[str, np.ndarray] = {}
    for dim in structure.unit_dims:
        if dim in sources and not (len(structure.unit_dims) == 1):
            codes[dim], labels[dim] = _factorize(dim, pd.Series(sources[dim]), structure)
            continue
        index = sources[dim] if dim in sources else frame.index
        codes[dim] = np.arange(len(frame))
        if isinstance(index, pd.MultiIndex) or not pd.Index(index).is_unique:
            if dim in sources:
                repeated = pd.Index(index)[pd.Index(index).duplicated()][0]
                raise DataError(
                    f"Two rows have the label {repeated!r} along {dim!r}.",
                    expected="One row per unit.",
                )
            labels[dim] = np.arange(len(frame))
        else:
            labels[dim] = np.asarray(index)
    return codes, labels


def _factorize(
    dim: str, column: pd.Series, structure: Structure
) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and labels: in the order of the model's coords, the categories, or sorted."""
    import pandas as pd

    if column.isna().any():
        raise DataError(
            f"The labels of {dim!r} have missing entries.", expected="A label in every row."
        )
    mine = structure.model.coords.get(dim)
    found = column.unique()
    if mine is not None and set(mine) >= set(found) and len(mine) in (
        len(found),
        structure.fixed.get(dim, len(found)),
    ):
        order = list(mine)
    elif isinstance(column.dtype, pd.CategoricalDtype):
        order = [c for c in column.dtype.categories if c in set(found)]
    else:
        try:
            order = sorted(found)
        except TypeError:
            order = list(found)
    position = {label: i for i, label in enumerate(order)}
    return column.map(position).to_numpy(dtype=int), np.asarray(order)


def _place(
    name: str,
    column: np.ndarray,
    unit: tuple[str, ...],
    codes: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
    coords: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Put the rows of one column in the cells of its unit dims."""
    import pandas as pd

    shape = tuple(sizes[d] for d in unit)
    cell = np.ravel_multi_index([codes[d] for d in unit], shape)
    total = int(np.prod(shape))
    if len(cell) == total and np.array_equal(cell, np.arange(total)):
        return column.reshape(shape)
    first = np.full(total, -1)
    first[cell[::-1]] = np.arange(len(cell))[::-1]
    mine, theirs = column, column[first[cell]]
    missing = pd.isna(mine), pd.isna(theirs)
    same = (mine == theirs) | (missing[0] & missing[1])
    every = set(unit) == set(codes)
    clash = np.flatnonzero(first[cell] != np.arange(len(cell))) if every else np.flatnonzero(~same)
    if len(clash):
        where = np.unravel_index(cell[clash[0]], shape)
        group = ", ".join(f"{d}={coords[d][i]!s}" for d, i in zip(unit, where, strict=True))
        raise DataError(
            f"Two rows have {group}."
            if every
            else f"{name!r} varies within {group}: {theirs[clash[0]]!s} and {mine[clash[0]]!s}.",
            expected="One row per unit."
            if every
            else f"One value per {' and '.join(unit)}, repeated in its rows.",
        )
    if (first >= 0).all():
        return column[first].reshape(shape)
    if column.dtype.kind in "biuf":
        out = np.full(total, np.nan)
    else:
        out = np.full(total, None, dtype=object)
    held = first >= 0
    out[held] = column[first[held]]
    return out.reshape(shape)
