"""Labels as codes 0..K-1: in which order.

The order is that of the coords of the dim ``<variable>_level``, of the one dim of the model that
knows all the labels, or of the categories that the column came with. The first of them is taken:
the order of a pandas Categorical is often only the alphabet's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.model.kinds import as_label
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.model.structure.structure import Structure

__all__ = ["codes_of"]


def codes_of(
    name: str,
    raw: np.ndarray,
    categories: Sequence[Any] | None,
    size: int | None,
    structure: Structure,
) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Return labels as codes 0..K-1, and the labels in that order.

    - `categories`: that the column came with.
    - `size`: how many the model has.
    """
    cells = [as_label(v) for v in raw.ravel().tolist()]  # dates go by their text
    found = list(dict.fromkeys(cells))
    coords = {
        d: tuple(v)
        for d, v in structure.model.coords.items()
        if v is not None and d not in structure.unit_dims
    }
    fitting = [
        v for v in coords.values() if set(found) <= set(v) and (size is None or len(v) == size)
    ]
    own = coords.get(f"{name}_level")
    if own is not None:
        odd = [v for v in found if v not in own]
        if odd:
            raise DataError(
                f"{name!r} is {odd[0]!r} in the data, which is none of its levels in the model.",
                expected=", ".join(map(repr, own[:12])) + (", ..." if len(own) > 12 else "."),
                remedy="Build the model from data that have it, or drop those rows.",
            )
        order = own
    elif len(set(fitting)) == 1 and set(categories or ()) <= set(fitting[0]):
        order = fitting[0]  # the model says so; the order of a Categorical is often the alphabet's
    elif categories is not None:
        order = tuple(categories)
    else:
        raise DataError(
            f"{name!r} holds labels ({', '.join(map(repr, found[:4]))}), and the model does not "
            "say which category each is.",
            expected="Codes 0, 1, ..., or a dim of the model whose coords are the labels.",
            remedy=f"Make the column a pandas Categorical with its categories in order: "
            f"pd.Categorical(data[{name!r}], categories=[...]).",
        )
    if size is not None and len(order) != size:
        raise DataError(
            f"{name!r} has {len(order)} categories: {', '.join(map(str, order))}.",
            expected=f"{size}, as in the model.",
        )
    position = {label: i for i, label in enumerate(order)}
    codes = np.array([position[v] for v in cells], dtype=np.int64)
    return codes.reshape(raw.shape), tuple(order)
