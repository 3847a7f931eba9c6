"""Reading the table of a study: what each design needs, and refuses, in one place.

A design is given a table as people have it and the names of its columns, each in a role (outcome,
treatment, unit, ...). Whatever is wrong with them is said here, before a model is made: a name that
is no column (with the close ones), one column in two roles, text where a number is needed, a value
that is neither yes nor no, one key on several rows, cells that are empty. Empty cells are counted,
and rows are never left out unless the caller says so, and then it is said how many [1]_.

References
----------
.. [1] D. B. Rubin, "Inference and missing data", Biometrika 63(3), 1976.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.inference.data.rows import as_pandas
from bayescausal.inference.stream.source import in_memory, is_source
from bayescausal.model.kinds import kind_of
from bayescausal.model.labels import same_order
from bayescausal.types import RESERVED_NAMES, DataError, closest, unknown_variable

if TYPE_CHECKING:
    from bayescausal.annotations import Data

    type Columns = Mapping[str, str | Sequence[str] | None]
    """Roles, as the arguments of a design are called, and the columns that play them."""

__all__ = [
    "check_choice",
    "labels",
    "numbers",
    "read_table",
    "refuse_duplicates",
    "refuse_names",
    "yes_no",
]

#: What to do with rows that have an empty cell.
MISSING = ("refuse", "drop", "keep")


def read_table(data: Data, columns: Columns, *, missing: str = "refuse") -> pd.DataFrame:
    """Return the columns of a study, checked, one row per row of the table.

    Parameters
    ----------
    data : DataFrame, Mapping or source of rows
        Any frame that narwhals reads, a mapping of columns, or a source of rows that fits in
        memory.
    columns : mapping of str to str or sequence of str
        By role (``"outcome"``, ``"covariates"``), the name of the column, or several; None and
        empty ones are passed over.
    missing : {"refuse", "drop", "keep"}
        Of rows with an empty cell in one of these columns: refuse the table, leave them out, or
        keep them (NaN). ``frame.attrs["dropped"]`` says in words what was left out.

    Returns
    -------
    DataFrame
        The columns that were named, in their order, the rows numbered from 0.

    Examples
    --------
    >>> from bayescausal.designs.table import read_table
    >>> read_table({"y": [1.0, 2.0], "d": [0, 1], "id": [7, 8]}, {"outcome": "y", "treatment": "d"})
         y  d
    0  1.0  0
    1  2.0  1
    """
    check_choice("missing", missing, MISSING)
    frame = _as_frame(data)
    roles = _roles(columns)
    played: dict[str, str] = {}
    for role, name in roles:
        if name not in frame.columns:
            raise unknown_variable(
                name, map(str, frame.columns), what=f"a column of the data ({role}=)"
            )
        if name in played:
            raise DataError(
                f"The column {name!r} is {played[name]}= and {role}= at once.",
                expected="One role for each column.",
            )
        played[name] = role
    frame = frame[list(played)].reset_index(drop=True)
    return _without_gaps(frame, missing)


def numbers(
    frame: pd.DataFrame,
    column: str,
    role: str,
    *,
    least: float | None = None,
    whole: bool = False,
    varies: bool = False,
) -> np.ndarray:
    """Return a column of numbers, or say why it is none.

    Parameters
    ----------
    frame : DataFrame
        From :func:`read_table`.
    column, role : str
        Its name, and the argument that it was given as.
    least : float, optional
        The smallest value that is allowed.
    whole : bool
        Whether only whole numbers are.
    varies : bool
        Whether two different values are needed.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayescausal.designs.table import numbers
    >>> numbers(pd.DataFrame({"y": [True, False]}), "y", "outcome")
    array([1., 0.])
    """
    found = kind_of(frame[column])
    if found.what != "number":
        shown = [
            v for v in dict.fromkeys(found.values.ravel().tolist()) if v is not None and v == v
        ]
        how = ", such as days since a start." if found.what != "label" else "."
        if found.what == "label" and len(shown) == 2:
            how = f": (data[{column!r}] == {shown[-1]!r}).astype(int)."
        raise DataError(
            f"The column {column!r} ({role}=) holds {found.what}s, such as "
            f"{', '.join(map(repr, shown[:3]))}.",
            expected="Numbers.",
            remedy=f"Turn it into numbers first{how}",
        )
    values = np.asarray(found.values, dtype=float)
    seen = values[~np.isnan(values)]
    if np.isinf(seen).any():
        raise DataError(f"The column {column!r} ({role}=) has infinite values.")
    if whole and (seen != np.round(seen)).any():
        raise DataError(
            f"The column {column!r} ({role}=) has values such as {seen[seen != np.round(seen)][0]}",
            expected="Whole numbers.",
        )
    if least is not None and (seen < least).any():
        raise DataError(
            f"The column {column!r} ({role}=) goes down to {seen.min():g}.",
            expected=f"Values from {least:g}.",
        )
    if varies and (not len(seen) or seen.min() == seen.max()):
        raise DataError(
            f"The column {column!r} ({role}=) has "
            f"{f'the one value {seen[0]:g}' if len(seen) else 'no value'}.",
            expected="Values that differ.",
        )
    return values


def yes_no(frame: pd.DataFrame, column: str, role: str, *, varies: bool = True) -> np.ndarray:
    """Return a column of 0 and 1, or say why it is none.

    Parameters
    ----------
    frame : DataFrame
        From :func:`read_table`.
    column, role : str
        Its name, and the argument that it was given as.
    varies : bool
        Whether both values are needed.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayescausal.designs.table import yes_no
    >>> yes_no(pd.DataFrame({"d": [True, False]}), "d", "treatment")
    array([1, 0])
    """
    found = kind_of(frame[column])
    values = found.values
    seen = [v for v in dict.fromkeys(np.ravel(values).tolist()) if v is not None and v == v]
    if found.what != "number" or any(v not in (0, 1) for v in seen):
        shown = ", ".join(repr(v) for v in seen[:4]) + (", ..." if len(seen) > 4 else "")
        two = f" Such as data[{column!r}] == {seen[-1]!r}." if len(seen) == 2 else ""
        raise DataError(
            f"The column {column!r} ({role}=) holds {shown}.",
            expected="0 and 1, or False and True.",
            remedy=f"Say what is 1.{two}",
        )
    if varies and len(seen) < 2:
        only = f"is {seen[0]:g} in every row" if seen else "is empty"
        raise DataError(f"The column {column!r} ({role}=) {only}.", expected="Both 0 and 1.")
    array = np.asarray(values, dtype=float)
    return array if np.isnan(array).any() else array.astype(int)


def labels(
    frame: pd.DataFrame, column: str, role: str, *, least: int = 2
) -> tuple[np.ndarray, tuple[object, ...]]:
    """Return a column as codes from 0, and the labels that they stand for.

    Parameters
    ----------
    frame : DataFrame
        From :func:`read_table`, without empty cells here.
    column, role : str
        Its name, and the argument that it was given as.
    least : int
        How many different labels are needed.

    Returns
    -------
    (ndarray of int, tuple)
        Labels in the order of a categorical type, else sorted; those without a row are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayescausal.designs.table import labels
    >>> labels(pd.DataFrame({"g": ["b", "a", "b"]}), "g", "arm")
    (array([1, 0, 1]), ('a', 'b'))
    """
    found = kind_of(frame[column])
    values = pd.Series(found.values.tolist(), dtype=object)
    there = list(dict.fromkeys(values.tolist()))
    if found.categories is not None:
        order = [c for c in found.categories if c in set(there)]
    else:
        try:
            order = sorted(there)
        except TypeError:
            order = sorted(there, key=str)
    if len(order) < least:
        shown = ", ".join(map(repr, order))
        raise DataError(
            f"The column {column!r} ({role}=) has {len(order)} label"
            f"{'s' * (len(order) != 1)}: {shown}.",
            expected=f"{least} or more.",
        )
    place = {label: k for k, label in enumerate(order)}
    return values.map(place).to_numpy(dtype=int), tuple(order)


def refuse_duplicates(frame: pd.DataFrame, keys: Sequence[str], what: str) -> None:
    """Refuse several rows of one key: one unit at one time, one arm of one block.

    Parameters
    ----------
    frame : DataFrame
        From :func:`read_table`.
    keys : sequence of str
        The columns that make the key.
    what : str
        What one row stands for, in words: "One row per unit and time".

    Examples
    --------
    >>> import pandas as pd
    >>> from bayescausal.designs.table import refuse_duplicates
    >>> twice = pd.DataFrame({"id": [1, 1], "year": [2000, 2000]})
    >>> try:
    ...     refuse_duplicates(twice, ["id", "year"], "one row per unit and time")
    ... except ValueError as error:
    ...     print(error.found)
    2 rows share their id and year: (1, 2000), 2 rows.
    """
    again = frame.duplicated(list(keys), keep=False)
    if not again.any():
        return
    counts = frame.loc[again].groupby(list(keys), observed=True, sort=False).size()
    shown = [
        f"({', '.join(str(v) for v in (key if isinstance(key, tuple) else (key,)))}), {n} rows"
        for key, n in list(counts.items())[:3]
    ]
    more = f"; and {len(counts) - 3:,} more" if len(counts) > 3 else ""
    raise DataError(
        f"{int(again.sum()):,} rows share their {' and '.join(keys)}: {'; '.join(shown)}{more}.",
        expected=f"{what}.",
        remedy="Drop the repetitions, or average them.",
    )


def refuse_names(names: Sequence[str], own: Sequence[str] = ()) -> None:
    """Refuse names of columns that cannot be names of variables, or that a design takes itself.

    Parameters
    ----------
    names : sequence of str
        The columns.
    own : sequence of str
        Names that the design gives to what it adds to the model.

    Examples
    --------
    >>> from bayescausal.designs.table import refuse_names
    >>> refuse_names(["y", "group"])
    """
    for name in names:
        if not str(name).isidentifier():
            raise DataError(
                f"The column {name!r} cannot be the name of a variable.",
                expected="Letters, digits and underscores, a letter first.",
                remedy="Rename it: data.rename(columns={...}).",
            )
        if name in (*RESERVED_NAMES, "unit", *own):
            raise DataError(
                f"The column {name!r} has a name that the design needs for itself.",
                remedy="Rename it: data.rename(columns={...}).",
            )


def check_choice(name: str, value: object, known: Sequence[str]) -> None:
    """Refuse the value of an option that is none of those there are.

    Examples
    --------
    >>> from bayescausal.designs.table import check_choice
    >>> check_choice("form", "linear", ["linear", "strata"])
    """
    if value not in known:
        raise DataError(
            f"{name}={value!r}.",
            expected=f"One of {', '.join(map(repr, known))}.",
            names=closest(str(value), known)[:1],
        )


# ------------------------------------------------------------------------------- private


def _as_frame(data: Data) -> pd.DataFrame:
    """Return any table as pandas, its names as text."""
    if is_source(data):
        data = in_memory(data)
    if hasattr(data, "to_dataframe"):
        data = data.to_dataframe().reset_index()
    if isinstance(data, Mapping):
        try:
            data = pd.DataFrame(
                {str(name): kind_of(v).values for name, v in same_order(data).items()}
            )
        except ValueError as error:
            raise DataError(
                "The columns of the data do not make a table.",
                expected="Columns of one dimension and the same length.",
            ) from error
    return as_pandas(data).rename(columns=str)


def _roles(columns: Columns) -> list[tuple[str, str]]:
    """Return pairs of a role and a column."""
    found: list[tuple[str, str]] = []
    for role, names in columns.items():
        if names is None:
            continue
        several = (names,) if isinstance(names, str) else names
        if not isinstance(several, Sequence):
            raise DataError(f"{role}={names!r}.", expected="The name of a column, or a list.")
        for name in several:
            if not isinstance(name, str):
                raise DataError(f"{role}={names!r}.", expected="The name of a column, or a list.")
            found.append((role, name))
    return found


def _without_gaps(frame: pd.DataFrame, missing: str) -> pd.DataFrame:
    """Refuse, leave out or keep the rows with an empty cell."""
    empty = frame.isna()
    counts = {str(c): int(n) for c, n in empty.sum().items() if n}
    if not counts or missing == "keep":
        return frame
    rows = int(empty.any(axis=1).sum())
    said = ", ".join(f"{name!r} {n:,}" for name, n in counts.items())
    if missing == "refuse":
        raise DataError(
            f"{rows:,} of {len(frame):,} rows have an empty cell: {said}.",
            expected="A value in every cell.",
            remedy="Leave these rows out, data.dropna(subset=[...]), if being empty has nothing to "
            "do with the outcome; or write a model in which the variable has an equation: bc.fit "
            "then imputes it.",
        )
    kept = frame.loc[~empty.any(axis=1)].reset_index(drop=True)
    if not len(kept):
        raise DataError(f"Every row has an empty cell: {said}.", expected="Rows without one.")
    kept.attrs["dropped"] = (
        f"{rows:,} of {len(frame):,} rows were left out for an empty cell: {said}."
    )
    return kept
