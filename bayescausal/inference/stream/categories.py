"""Labels and their codes, for columns that are not in memory.

Which code a label has must be known before the rows are read. Coords of the model say it, or the
column's own categories; where several dims might know the labels, the column is looked at first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.stream.distinct_rows import distinct_rows
from bayescausal.inference.stream.source_columns import is_text
from bayescausal.model.label_codes import codes_of
from bayescausal.model.structure.function_graph import is_index
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.inference.stream.passes import RowSource
    from bayescausal.inference.stream.source_columns import Column
    from bayescausal.model.structure.structure import Structure

__all__ = ["label_orders"]


def label_orders(
    structure: Structure, source: RowSource, columns: Mapping[str, Column]
) -> dict[str, tuple[Any, ...]]:
    """Return, for columns of labels, the labels in the order of their codes.

    The order is that of the coords of the one dim of the model that knows the labels; without such
    a dim, that of the column's own categories, if their number is the model's.

    Raises DataError if labels stand where the model has numbers, or their order is not known.
    """
    import pyarrow as pa

    orders: dict[str, tuple[Any, ...]] = {}
    for name, column in columns.items():
        kind = source.schema.field(column.parts[0]).type
        held = pa.types.is_dictionary(kind)
        if not is_text(kind) and not (held and is_text(kind.value_type)):
            if held and (
                column.support is not None and column.support.categorical
                if column.random
                else is_index(column.variable, structure.model)
            ):
                orders[name] = _by_categories(structure, source, column)
            continue
        categorical = (
            column.discrete
            if not column.random
            else column.support is not None and (column.support.categorical)
        )
        if not categorical:
            family = "data" if not column.random else getattr(column.support, "family", "numbers")
            raise DataError(
                f"The column of {name!r} holds labels ({kind}), but the model says {family}, not "
                "categorical.",
                expected="Numbers.",
                remedy="Code the labels as numbers in the source.",
            )
        size = column.support.categories if column.random and column.support else None
        if held and not _fitting(structure, size):
            first = source.head(list(column.parts), 1).column(0)
            own = first.chunk(0).dictionary.to_pylist() if first.num_chunks else []
            if size is None or len(own) == size:
                orders[name] = tuple(own)
                continue
        orders[name] = _by_coords(structure, source, column, size)
    return orders


def _by_categories(structure: Structure, source: RowSource, column: Column) -> tuple[Any, ...]:
    """Return the order of labels that are numbers: the model's, or that of the column's type."""
    first = source.head(list(column.parts), 1).column(0)
    own = tuple(first.chunk(0).dictionary.to_pylist()) if first.num_chunks else ()
    size = column.support.categories if column.random and column.support else None
    return codes_of(column.name, np.array(own, dtype=object), own, size, structure)[1]


def _fitting(structure: Structure, size: int | None) -> set[tuple[Any, ...]]:
    """Return the labels of dims of the model that might be those of a column."""
    return {
        tuple(v)
        for d, v in structure.model.coords.items()
        if v is not None
        and d not in structure.unit_dims
        and (size is None or len(v) == size)
        and all(isinstance(k, str) for k in v)
    }


def _by_coords(
    structure: Structure, source: RowSource, column: Column, size: int | None
) -> tuple[Any, ...]:
    """Return the labels of the one dim that knows them; look at the rows if several might."""
    fitting = _fitting(structure, size)
    if len(fitting) == 1:
        return next(iter(fitting))
    rows = distinct_rows(source, column.parts)
    labels = [] if rows is None else [v for v in rows.column(0).to_pylist() if v is not None]
    held = np.array(labels, dtype=object)
    try:
        return codes_of(column.name, held, None, size, structure)[1]
    except DataError as error:
        raise DataError(
            error.found,
            expected="Codes 0, 1, ..., or a dim of the model whose coords are the labels.",
            remedy="Give the model such a dim, or write the column as a categorical with all its "
            "categories in order.",
        ) from error
