"""Tables of any library as a DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from bayescausal.model.kinds import native_column
from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from bayescausal.annotations import Data

__all__ = ["as_frame"]


def as_frame(data: Data | None) -> pd.DataFrame | None:
    """Return the data as pandas."""
    if data is None or isinstance(data, pd.DataFrame):
        frame = data
    elif hasattr(data, "to_dataframe"):
        frame = data.to_dataframe().reset_index()
    elif hasattr(data, "keys") and hasattr(data, "__getitem__") and not hasattr(data, "columns"):
        try:
            frame = pd.DataFrame({str(k): _column(data[k]) for k in cast("Iterable[object]", data)})
        except ValueError as error:
            raise FormulaError(f"data is no table: {error}.") from error
    else:
        frame = _through_narwhals(data)
    if frame is None:
        return None
    frame = frame.rename(columns=str)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise FormulaError(f"The data have several columns named {twice[0]!r}.")
    if not len(frame):
        raise FormulaError("The data have no rows.", expected="One or more rows.")
    return frame


def _column(values: Any) -> ArrayLike:
    held = isinstance(values, pd.Series | pd.Index | pd.Categorical)
    if "dictionary" in str(getattr(values, "type", "")):  # of Arrow
        return pd.Categorical(values.to_pylist())
    return pd.Series(values).reset_index(drop=True) if held else np.asarray(values)


def _through_narwhals(data: object) -> pd.DataFrame:
    import narwhals as nw

    try:
        native: Any = nw.from_native(data)
    except TypeError as error:
        raise FormulaError(
            f"data is a {type(data).__name__}.",
            expected="a data frame (pandas, polars, pyarrow) or a mapping of columns.",
        ) from error
    if isinstance(native, nw.LazyFrame):
        native = native.collect()
    return pd.DataFrame({n: native_column(native[n]) for n in native.columns})
