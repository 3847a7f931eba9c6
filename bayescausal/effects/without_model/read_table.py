"""Discrete data read: a table of any kind, its columns checked, its rows counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.without_model.discrete import Cells
from bayescausal.inference.data.rows import as_pandas
from bayescausal.model.kinds import kind_of
from bayescausal.model.labels import same_order
from bayescausal.types import DataError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bayescausal.annotations import Data

__all__ = ["hardly_twice", "read_cells", "read_frame"]

#: A table with more cells is refused: its posterior would be the prior.
MOST_CELLS = 2_000_000
#: With more values than the first, and fewer rows for each than the second, it is not discrete.
#: Numbers with a fraction are so with more values than the last.
MANY_VALUES, ROWS_EACH, FRACTIONS = 20, 5, 10


def read_frame(data: Data) -> pd.DataFrame:
    """Return tabular data as pandas: a data frame of any kind, or a mapping of columns.

    `data`: pandas, polars, pyarrow or anything that narwhals reads; or a mapping of columns.
    Raises DataError if it is not a table, has no rows, or columns of different lengths.

    Examples
    --------
    >>> read_frame({"x": [0, 1], "y": [1, 1]}).shape
    (2, 2)
    """
    import pandas as pd

    if isinstance(data, Mapping):
        try:
            data = pd.DataFrame(
                {str(n): np.asarray(column) for n, column in same_order(data).items()}
            )
        except ValueError as error:
            raise DataError(
                "The columns of the data do not make a table.",
                expected="columns of one dimension and the same length.",
            ) from error
    if not isinstance(data, pd.DataFrame):
        return as_pandas(data)
    twice = data.columns[data.columns.duplicated()].unique()
    if len(twice) or not len(data):
        raise DataError(
            f"The data have several columns named {twice[0]!r}."
            if len(twice)
            else "The data have no rows.",
            expected="one column per name, and one row or more.",
        )
    return data


def read_cells(
    data: Data,
    names: Sequence[str],
    *,
    count: str | None = None,
    levels: Mapping[str, Sequence[Any]] | None = None,
) -> Cells:
    """Count the rows in each cell of discrete variables.

    - `data`: one row per unit, or one row per cell with a column of counts.
    - `names`: the variables.
    - `count`: the column of counts (or probabilities).
    - `levels`: the values a variable can take, where the data may not show all of them.
    Raises UnknownVariableError if a column is missing.
    Raises DataError if a value is missing, counts are not counts, or a variable is not discrete:
      its values hardly ever occur twice, and `levels` does not list them.

    Examples
    --------
    >>> read_cells({"x": [0, 1, 1], "y": [0, 0, 1]}, ["x", "y"]).counts
    array([[1., 0.],
           [1., 1.]])
    """
    frame = read_frame(data)
    for name in (*names, *((count,) if count is not None else ())):
        if name not in frame.columns:
            raise unknown_variable(name, map(str, frame.columns), what="a column of the data")
    levels = dict(levels or {})
    for name in levels:
        if name not in names:
            raise unknown_variable(name, names, what="a variable of the formula")
    weights = _weights(frame, count)
    found = [_levels(frame, name, levels.get(name)) for name in names]
    size = int(np.prod([float(len(values)) for values, _ in found]))
    if size > MOST_CELLS:
        raise DataError(
            f"The table of {', '.join(names)} has {size:,} cells.",
            expected="discrete variables with few values.",
            remedy="Bin the variables, or fit a model.",
        )
    for name, (values, codes) in zip(names, found, strict=True):
        if name not in levels:
            _refuse_continuous(name, values, codes, weights, frame)
    counts = np.zeros([len(values) for values, _ in found])
    np.add.at(counts, tuple(codes for _, codes in found), weights)
    return Cells(tuple(names), tuple(values for values, _ in found), counts)


def _weights(frame: pd.DataFrame, count: str | None) -> np.ndarray:
    if count is None:
        return np.ones(len(frame))
    try:
        weights = frame[count].to_numpy(dtype=float)
    except (TypeError, ValueError):
        weights = np.array([np.nan])
    if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
        raise DataError(
            f"The column {count!r} does not hold counts.",
            expected="numbers from zero upwards, not all zero.",
        )
    return weights


def _refuse_continuous(
    name: str, values: np.ndarray, codes: np.ndarray, weights: np.ndarray, frame: pd.DataFrame
) -> None:
    """Refuse a column whose values hardly ever occur twice."""
    rows = weights.sum()
    if rows <= 1 + 1e-6 and len(frame) > 1:  # shares: how many rows they rest on is not known
        return
    seen = len(np.unique(codes[weights > 0]))
    if hardly_twice(values, seen, rows):
        raise DataError(
            f"{name} has {seen:,} different values in {rows:,.0f} rows: it is not discrete.",
            expected="discrete variables, whose values occur many times each.",
            remedy=f"Bin {name}, name its values if they are these (levels={{{name!r}: [...]}}), "
            "or fit a model.",
        )


def hardly_twice(values: np.ndarray, seen: int, rows: float) -> bool:
    """Whether a column of which so many values are seen in so many rows is not discrete."""
    fractions = values.dtype.kind == "f" and bool((values != np.round(values)).any())
    return seen > (FRACTIONS if fractions else MANY_VALUES) and seen * ROWS_EACH > rows


def _levels(
    frame: pd.DataFrame, name: str, wanted: Sequence[Any] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a column in order, and which of them each row has."""
    import pandas as pd

    column = frame[name]
    kind = kind_of(column)
    if kind.what == "number":
        column = pd.Series(kind.values)
    missing = int(column.isna().sum())
    if missing:
        raise DataError(
            f"{name} is missing in {missing} of {len(column)} rows.",
            expected="complete rows.",
            remedy="Leave those rows out if they are missing at random, or fit a model.",
        )
    if wanted is not None:
        values = np.array(list(dict.fromkeys(wanted)))
    elif kind.categories is not None:
        values = np.array(list(kind.categories))
    else:
        values = np.array(sorted(column.unique().tolist(), key=_order))
    at = {value: i for i, value in enumerate(values.tolist())}
    codes = np.array([at.get(value, -1) for value in column.tolist()])
    if (codes < 0).any():
        other = column.tolist()[int(np.argmin(codes))]
        raise DataError(
            f"{name} is {other!r} in the data, which levels= does not list.",
            expected=f"one of {', '.join(map(repr, values.tolist()[:20]))}.",
        )
    return values, codes


def _order(value: object) -> tuple[bool, Any]:
    number = isinstance(value, (bool, int, float))
    return (not number, value if number else str(value))
