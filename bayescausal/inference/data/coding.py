"""Labels as codes 0..K-1: in which order.

The order is that of the coords of the dim ``<variable>_level``, of the one dim of the model that
knows all the labels, or of the categories that the column came with. The first of them is taken:
the order of a pandas Categorical is often only the alphabet's.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.model.kinds import as_label
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.inference.data.columns import Table
    from bayescausal.model.structure.structure import Structure

__all__ = ["codes_of", "refuse_doubtful", "refuse_unknown"]


def codes_of(
    name: str, table: Table, size: int | None, structure: Structure
) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Return labels as codes 0..K-1, and the labels in that order."""
    raw = table[name]
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
    elif len(set(fitting)) == 1 and set(table.categories.get(name, fitting[0])) <= set(fitting[0]):
        order = fitting[0]  # the model says so; the order of a Categorical is often the alphabet's
    elif name in table.categories:
        order = table.categories[name]
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


def refuse_unknown(table: Table, known: Mapping[str, Sequence[object]]) -> None:
    """Refuse labels that are none of those that are known already, such as those of a fit."""
    for name, order in known.items():
        held = dict.fromkeys(as_label(v) for v in table[name].ravel().tolist())
        odd = [v for v in held if v not in (*order, None)]
        if odd:
            raise DataError(
                f"{name!r} is {odd[0]!r} in the table, which is none of its categories.",
                expected=", ".join(map(repr, order[:12])) + (", ..." if len(order) > 12 else "."),
            )


def refuse_doubtful(table: Table, known: Mapping[str, Sequence[object]]) -> None:
    """Refuse plain numbers where labels are numbers that are not their own codes."""
    for name, order in known.items():
        numbers = all(isinstance(v, Real) for v in order)
        if name not in table or not numbers or list(order) == list(range(len(order))):
            continue
        raise DataError(
            f"{name!r} holds plain numbers in the table, and its categories are numbers in another "
            f"order: {', '.join(map(str, order[:12]))}. Codes and labels cannot be told apart.",
            expected="A Categorical column.",
            remedy=f"pd.Categorical(table[{name!r}]) says that they are labels.",
        )
