"""Rows into cells: tidy data frames, one row per unit.

Row :math:`i` carries a label :math:`\\ell_d(i)` for every unit dim :math:`d`: in a level of the
index, in a column named after the dim, or, for one dim only, as its place in the frame. The value
of a variable with unit dims :math:`D` in row :math:`i` goes to the cell
:math:`(\\ell_d(i))_{d \\in D}`.

Two rows for one cell contradict each other if the variable has all unit dims; if it lacks some
(a school, in a table of pupils) they are repetitions and have to agree.

References
----------
.. [1] H. Wickham, Tidy data, *Journal of Statistical Software* 59(10), 2014.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.data.columns import Table, aligned, dim_labels, wanted_columns
from bayescausal.model.kinds import kind_of, native_column
from bayescausal.model.labels import plain_labels
from bayescausal.model.structure.function_graph import dim_sizes
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import ArrayLike

    from bayescausal.model.structure.structure import Structure

__all__ = ["as_pandas", "from_frame", "plain"]


def as_pandas(data: object) -> pd.DataFrame:
    """Return any data frame as pandas, without need of pyarrow."""
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        frame = data
    else:
        import narwhals as nw

        held: Any = data
        try:
            native = nw.from_native(held)
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
        frame = pd.DataFrame({name: native_column(native[name]) for name in native.columns})
    twice = [str(c) for c in frame.columns[frame.columns.duplicated()].unique()]
    if twice:
        raise DataError(
            f"The data have several columns named {', '.join(map(repr, twice))}.",
            expected="One column per name.",
        )
    if len(frame) == 0:
        raise DataError("The data have no rows.", expected="One or more rows.")
    return frame


def plain(column: ArrayLike) -> np.ndarray:
    """Return a column as an array: missing numbers are NaN, missing labels None."""
    return aligned(kind_of(column).values)


def from_frame(frame: pd.DataFrame, structure: Structure) -> Table:
    """Read rows: find the labels of each unit dim, then put every cell in its place."""
    wanted = wanted_columns(structure)
    by_name: dict[str, Any] = {str(c): c for c in frame.columns}
    present: dict[str, list[str]] = {}
    for name, dims in wanted.items():
        columns = _columns_of(name, dims, by_name, structure)
        if columns and set(dims) & set(structure.unit_dims):
            present[name] = columns
    codes, labels = _row_labels(frame, by_name, present, structure)
    sizes = {d: len(v) for d, v in labels.items()}
    coords = dim_labels(labels, sizes, structure)
    values: dict[str, np.ndarray] = {}
    dims_of: dict[str, tuple[str, ...]] = {}
    categories: dict[str, tuple[Any, ...]] = {}
    for name, columns in present.items():
        unit = tuple(d for d in wanted[name] if d in structure.unit_dims)
        event = tuple(d for d in wanted[name] if d not in structure.unit_dims)
        parts = []
        for column in columns:
            kind = kind_of(frame[by_name[column]])
            if kind.categories is not None:
                categories[name] = kind.categories
            cells = _place(column, aligned(kind.values), unit, codes, sizes, coords)
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
    own = dim_sizes(structure.model)
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
        if dim in sources and len(structure.unit_dims) != 1:
            codes[dim], labels[dim] = _factorize(dim, pd.Series(sources[dim]), structure)
            continue
        index = sources.get(dim, frame.index)
        codes[dim] = np.arange(len(frame))
        if not pd.Index(index).is_unique:
            if dim in sources:
                repeated = pd.Index(index)[pd.Index(index).duplicated()][0]
                raise DataError(
                    f"Two rows have the label {repeated!r} along {dim!r}.",
                    expected="One row per unit.",
                )
            labels[dim] = np.arange(len(frame))
        else:
            labels[dim] = np.asarray(plain_labels(pd.Index(index)))
    return codes, labels


def _factorize(dim: str, column: pd.Series, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and labels: in the order of the model's coords, the categories, or sorted."""
    import pandas as pd

    if column.isna().any():
        raise DataError(
            f"The labels of {dim!r} have missing entries.", expected="A label in every row."
        )
    mine = structure.model.coords.get(dim)
    found = column.unique()
    if (
        mine is not None
        and set(mine) >= set(found)
        and len(mine)
        in (
            len(found),
            structure.fixed.get(dim, len(found)),
        )
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
