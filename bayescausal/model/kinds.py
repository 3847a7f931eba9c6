"""What a column is: numbers, labels or dates. Decided here, for every table, from its type.

A column of a categorical type holds *labels*, whatever they are: the categories 1, 2, 3 have no
more magnitude than "a", "b", "c". Integers, floats, booleans and decimals, nullable or not, in
numpy, pandas or Arrow, are *numbers*. Text is labels. Dates and durations are neither until
somebody says in what unit they are counted. A column of Python objects is what all its values are,
and labels where they disagree: one "unknown" among numbers makes text of them.

Labels that are neither text nor numbers (the intervals of ``pandas.cut``, dates of a categorical
type) go by their text: samplers and files know no other.

Empty cells (NaN, None, NaT, ``pd.NA``) are of no kind: NaN among numbers, None among labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pandas import Series


__all__ = ["Kind", "are_numbers", "as_label", "as_mask", "as_text", "kind_of", "native_column"]

_NUMBERS = (int, float, Decimal, Fraction, np.number, np.bool_)
#: Types of which a label is what it is.
_PLAIN_TYPES = {str, int, bool, type(None)}
_DATES = (date, timedelta, np.datetime64, np.timedelta64)


@dataclass(frozen=True, eq=False)
class Kind:
    """A column, read."""

    what: str  # "number", "label" or "date"
    # Numbers as bool, int or float, float with NaN where some are empty; labels and dates as
    # objects, None where empty.
    values: np.ndarray
    categories: tuple[Any, ...] | None = None  # of a categorical type, in its order


def kind_of(column: Any) -> Kind:
    """Say what a column is.

    `column` (Series, Categorical, Index or array_like): of one dimension or, if it is an array, of
    any number.

    Examples
    --------
    >>> import pandas as pd
    >>> from decimal import Decimal
    >>> kind_of([Decimal("1.5"), None]).values
    array([1.5, nan])
    >>> kind_of(pd.Categorical([3, 1, 3])).what, kind_of(["a", 1]).what
    ('label', 'label')
    """
    import pandas as pd

    if not isinstance(column, pd.Series | pd.Index | pd.Categorical):
        if hasattr(column, "to_pandas") and "dictionary" in str(getattr(column, "type", "")):
            return kind_of(pd.Categorical(column.to_pylist()))
        if isinstance(column, np.ma.MaskedArray) and column.dtype.kind in "biuf":
            return Kind("number", np.asarray(np.ma.filled(column.astype(float), np.nan)))
        array = np.asarray(column)
        if array.dtype.kind in "biuf":
            return Kind("number", _decimals(array))
        flat = kind_of(pd.Series(array.ravel(), dtype=None if array.dtype.kind in "mM" else object))
        return Kind(flat.what, flat.values.reshape(array.shape), flat.categories)
    series = pd.Series(column)
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return Kind("label", _labels(_objects(series)), tuple(map(as_label, dtype.categories)))
    arrow = _arrow_kind(dtype)
    if arrow == "dictionary":  # its order is that of appearance, which nobody meant
        return Kind("label", _labels(_objects(series)))
    if arrow == "decimal":
        return _of_objects(_objects(series))
    if isinstance(dtype, pd.PeriodDtype) or pd.api.types.is_datetime64_any_dtype(dtype):
        return Kind("date", _objects(series))
    if pd.api.types.is_timedelta64_dtype(dtype) or arrow == "date":
        return Kind("date", _objects(series))
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        if dtype.kind in "cO" and arrow is None and isinstance(dtype, np.dtype):
            return _of_objects(_objects(series))
        if isinstance(dtype, np.dtype):
            return Kind("number", _decimals(series.to_numpy()))
        if series.isna().any():
            own = _numpy_of(dtype)
            whole = own if own.kind == "f" else np.dtype(float)
            return Kind("number", _decimals(series.to_numpy(dtype=whole, na_value=np.nan)))
        return Kind("number", _decimals(series.to_numpy(dtype=_numpy_of(dtype))))
    return _of_objects(_objects(series))


def _decimals(values: np.ndarray) -> np.ndarray:
    """Return single precision as double: the decimal number that was stored, where it is short.

    The nearest single to 0.3 is 0.300000012 in double, so that a unit at 0.3 would lie outside the
    range from 0.1 to 0.3.
    """
    if values.dtype not in (np.float16, np.float32):
        return values
    wide = values.astype(float)
    digits = 3 if values.dtype == np.float16 else 7
    with np.errstate(all="ignore"):
        power = digits - 1 - np.floor(np.log10(np.abs(wide)))
        short = np.round(wide * 10.0**power) / 10.0**power
        same = short.astype(values.dtype) == values
    whole = same | ~np.isfinite(wide) | (wide == 0)
    return np.where(same, short, wide) if whole.all() else wide  # numbers of no few digits


def are_numbers(labels: Iterable[object]) -> bool:
    """Whether all labels of a category are numbers."""
    return all(isinstance(v, _NUMBERS) for v in labels)


def as_label(value: object) -> object:
    """Return a label as text or a plain number; None where it is empty.

    Examples
    --------
    >>> import pandas as pd
    >>> as_label(pd.Interval(0, 40)), as_label(b"a"), as_label(2)
    ('(0, 40]', 'a', 2)
    """
    value = _plain(value)
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Decimal | Fraction):
        return int(value) if value == int(value) else float(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def as_text(value: object) -> object:
    """Return a date, an interval or a decimal as the label that a column has of it; else as it is.

    Examples
    --------
    >>> import numpy as np
    >>> as_text(np.datetime64("2020-01-02")), as_text(2.5)
    ('2020-01-02 00:00:00', 2.5)
    """
    import pandas as pd

    if isinstance(value, np.datetime64 | np.timedelta64):
        value = pd.Series([value])[0]
    named = isinstance(value, bytes | date | time | timedelta | Decimal)
    return as_label(value) if named or isinstance(value, pd.Interval | pd.Period) else value


def as_mask[T](values: T) -> T:
    """Return booleans of a nullable type, or as objects, as plain ones; anything else as it is.

    Raises DataError if some are empty.

    Examples
    --------
    >>> import pandas as pd
    >>> as_mask(pd.Series([1.5, 0.5], dtype="Float64") > 1).tolist()
    [True, False]
    """
    import pandas as pd

    if isinstance(values, slice | tuple):
        return values
    labelled = isinstance(values, pd.Series) or hasattr(values, "dims")
    mask: Any = values if labelled else np.asarray(values)
    if mask.dtype == bool or not (mask.dtype == object or pd.api.types.is_bool_dtype(mask.dtype)):
        return values
    empty = np.asarray(pd.isna(mask))
    held = np.asarray(mask)[~empty]
    if not held.size or not all(isinstance(v, bool | np.bool_) for v in held.tolist()):
        return values
    if empty.any():
        raise DataError(
            f"The mask is empty for {int(empty.sum())} of {empty.size} units.",
            expected="true or false for each.",
            remedy="mask.fillna(False) leaves those units out.",
        )
    return cast("T", mask.astype(bool))


def native_column(column: Any) -> Any:
    """Return a series of narwhals as something of pandas or numpy that keeps its kind."""
    import narwhals as nw
    import pandas as pd

    if isinstance(column.dtype, nw.Enum):
        return pd.Categorical(column.to_list(), categories=list(column.dtype.categories))
    if column.dtype == nw.Categorical:  # its categories have no order that is meant
        held = column.to_list()
        texts = all(v is None or isinstance(v, str) for v in held)
        return pd.Series(held, dtype=object) if texts else pd.Categorical(held)
    if column.dtype in (nw.Int128, nw.UInt128):  # which NumPy does not have
        return np.array(column.to_list(), dtype=object)
    return column.to_numpy()


def _of_objects(values: np.ndarray) -> Kind:
    """Say what Python objects are; None where empty."""
    held = [v for v in values if v is not None]
    if all(isinstance(v, _NUMBERS) for v in held):
        if len(held) == len(values) and held:
            if all(isinstance(v, bool | np.bool_) for v in held):
                return Kind("number", values.astype(bool))
            if all(isinstance(v, int | np.integer) for v in held):
                try:
                    return Kind("number", values.astype(np.int64))
                except OverflowError:
                    pass
        return Kind("number", np.array([np.nan if v is None else float(v) for v in values]))
    if all(isinstance(v, _DATES) or type(v).__name__ == "Period" for v in held):
        return Kind("date", values)
    return Kind("label", _labels(values))


def _labels(values: np.ndarray) -> np.ndarray:
    """Return objects as labels."""
    if set(map(type, values)) <= _PLAIN_TYPES:
        return values
    found = np.empty(len(values), dtype=object)
    found[:] = [as_label(v) for v in values]
    return found


def _objects(series: Series) -> np.ndarray:
    """Return a column as Python objects, None where it is empty."""
    import pandas as pd

    found = np.empty(len(series), dtype=object)
    held = series.tolist()
    if set(map(type, held)) <= _PLAIN_TYPES:
        found[:] = held
        return found
    found[:] = [None if pd.isna(v) is True else _plain(v) for v in held]
    return found


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) and value.dtype.kind in "biufU" else value


def _arrow_kind(dtype: Any) -> str | None:
    """Return what an Arrow type of pandas is where its class does not say so."""
    if type(dtype).__name__ != "ArrowDtype":
        return None
    text = str(dtype.pyarrow_dtype)
    kinds = {"dictionary": "dictionary", "decimal": "decimal"}
    kinds |= dict.fromkeys(("date", "time", "duration", "month"), "date")
    return next((kind for start, kind in kinds.items() if text.startswith(start)), "other")


def _numpy_of(dtype: object) -> np.dtype[Any]:
    own = getattr(dtype, "numpy_dtype", np.dtype(float))
    return own if own.kind in "biuf" else np.dtype(float)
