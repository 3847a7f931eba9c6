"""Labelled values in the order of other labels.

Entries of a pandas Series and of an xarray DataArray carry labels: which unit, which group. Taken
by their place, values of one group are given to another as soon as somebody has sorted a table. So
where both sides have labels, labels decide: the same labels in another order are put in order, and
other labels are refused. The labels 0, 1, 2, ... that a table has by default may be places only:
beside other labels they decide nothing, and beside the same numbers in another order nothing tells
which is meant, so that is refused. (Labels of groups are written by whoever writes the model: there
0, 1, 2 are labels.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

__all__ = ["OtherLabelsError", "in_order", "is_labelled", "order_of", "plain_labels", "same_order"]


class OtherLabelsError(ValueError):
    """Two sets of labels do not say which entry is which."""


def order_of(
    own: ArrayLike | pd.Index, labels: ArrayLike | pd.Index, *, places: bool = True
) -> list[int] | None:
    """Return the places of `labels` among one's own; None where the order is the same.

    - `own`, `labels`: the labels of an entry each.
    - `places`: whether 0, 1, 2, ... may be places and no labels.
    Raises OtherLabelsError if these are other labels, or nothing tells labels from places.

    Examples
    --------
    >>> order_of(["c", "a", "b"], ["a", "b", "c"])
    [1, 2, 0]
    """
    if _index(own).equals(_index(labels)):  # empty labels, too, are equal to themselves
        return None
    own, labels = _index(own).tolist(), _index(labels).tolist()
    if own == labels or len(own) != len(labels):  # other lengths are refused where they matter
        return None
    place = {label: i for i, label in enumerate(own)}
    if len(place) < len(own) or len(set(labels)) < len(labels):
        return None  # what repeats is no label of one entry
    counted = list(range(len(own))) in (own, labels)
    if not place.keys() & {*labels}:  # 1 beside "1", as files write it
        own, labels = [*map(str, own)], [*map(str, labels)]
        place = {label: i for i, label in enumerate(own)}
    if place.keys() == set(labels):
        if counted and places:
            raise OtherLabelsError("has the numbers 0, 1, 2, ... of the units in another order")
        return [place[label] for label in labels]
    known = set(labels)
    if counted and (places or not place.keys() & known):
        return None
    strange = next(label for label in own if label not in known)
    raise OtherLabelsError(f"has the label {strange!r}, which is not there")


def plain_labels(index: pd.Index) -> pd.Index:
    """Return labels of several levels as one text each.

    Examples
    --------
    >>> import pandas as pd
    >>> list(plain_labels(pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])))
    ['a, 1', 'b, 2']
    """
    tuples = isinstance(index, pd.MultiIndex) or (len(index) and isinstance(index[0], tuple))
    if not tuples:
        return index
    return pd.Index([", ".join(map(str, own)) if isinstance(own, tuple) else own for own in index])


def _index(labels: Any) -> pd.Index:
    index = plain_labels(pd.Index(labels))  # dates as dates, whatever holds them
    if isinstance(index, pd.DatetimeIndex) and index.tz is not None:
        return index.tz_convert(None)
    return index


def is_labelled(value: object) -> bool:
    """Whether the entries of a value may carry labels."""
    return isinstance(value, pd.Series | xr.DataArray)


def in_order(
    value: Any,
    dims: tuple[str, ...],
    labels: Mapping[str, Any],
    what: str,
    *,
    places: bool = True,
) -> Any:
    """Return a value with its dims and entries in the order of others; what has no labels as it is.

    - `value` (Series, DataArray or array_like): what has labels is put in order.
    - `dims`: the dims that it should have.
    - `labels`: the labels along each dim.
    - `what`: what it is, for messages.
    - `places`: whether 0, 1, 2, ... may be places and no labels.
    Raises DataError if it has other labels, or nothing tells labels from places.

    Examples
    --------
    >>> import pandas as pd
    >>> in_order(pd.Series([2, 5], index=["b", "a"]), ("g",), {"g": ["a", "b"]}, "b").tolist()
    [5, 2]
    """
    if isinstance(value, pd.Series) and len(dims) == 1:
        own: dict[str, Any] = {dims[0]: value.index}
    elif isinstance(value, xr.DataArray) and value.ndim == len(dims) == 1:
        dim = value.dims[0]
        own = {dims[0]: value[dim].values} if dim in value.coords else {}
        value = value.rename({dim: dims[0]})
    elif isinstance(value, xr.DataArray) and set(value.dims) == set(dims):
        value = value.transpose(*dims)
        own = {d: value[d].values for d in dims if d in value.coords}
    else:
        return value
    for dim, mine in own.items():
        theirs = labels.get(dim)
        if theirs is None:
            continue
        try:
            order = order_of(mine, theirs, places=places)
        except OtherLabelsError as error:
            raise DataError(
                f"{what}, along {dim!r}, {error}.",
                expected=f"the labels {', '.join(map(str, list(theirs)[:5]))}, ...",
                remedy="Pass an array (to_numpy()) if places count. If labels do, bring it into "
                "the order of the data (reindex), or keep the index of the data when you fit.",
            ) from None
        if order is not None:
            value = value.iloc[order] if isinstance(value, pd.Series) else value.isel({dim: order})
    return value


def same_order(columns: Mapping[Any, ArrayLike]) -> dict[Any, Any]:
    """Return columns with the entries of all that carry labels in the order of the first.

    Raises DataError if their labels differ.

    Examples
    --------
    >>> import pandas as pd
    >>> x, y = pd.Series([1, 2], index=["a", "b"]), pd.Series([4, 3], index=["b", "a"])
    >>> same_order({"x": x, "y": y})["y"].tolist()
    [3, 4]
    """
    series = {name: _as_series(value) for name, value in columns.items()}
    indexes = [v.index for v in series.values() if isinstance(v, pd.Series)]
    named = [i for i in indexes if not i.equals(pd.RangeIndex(len(i)))]  # not places only
    labels = next(iter([*named, *indexes]), None)
    return {
        name: in_order(value, ("row",), {"row": labels}, f"Column {name!r}")
        for name, value in series.items()
    }


def _as_series(value: Any) -> Any:
    """Return a labelled array of one dim as a Series."""
    if isinstance(value, xr.DataArray) and value.ndim == 1 and value.dims[0] in value.coords:
        return pd.Series(value.values, index=value[value.dims[0]].values)
    return value
