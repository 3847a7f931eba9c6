r"""Distinct rows and how often each occurs.

A likelihood, or an average, over discrete columns depends on them only through

.. math:: n(v) = \#\{i : x_i = v\},

which adds over rows, and is small: as many numbers as there are distinct rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from bayescausal.inference.stream.passes import RowSource

__all__ = ["COUNT", "MOST", "Counting", "count_rows", "distinct_rows", "folded", "merged"]

#: Name of the column that holds the counts.
COUNT = "__count__"
#: Distinct rows that are held at most.
MOST = 500_000


def count_rows(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.Table:
    """Return the distinct rows of a record batch, with counts."""
    import pyarrow as pa

    if not columns:
        return pa.table({COUNT: pa.array([batch.num_rows], pa.int64())})
    table = pa.Table.from_batches([batch]).select(list(columns))
    found = table.group_by(list(columns), use_threads=False).aggregate([([], "count_all")])
    return _plain(_named(found, "count_all"))


def merged(one: pa.Table, other: pa.Table) -> pa.Table:
    """Return the distinct rows of two counts together."""
    import pyarrow as pa

    names = [n for n in one.column_names if n != COUNT]
    both = pa.concat_tables([one, other.select(one.column_names)], promote_options="permissive")
    if not names:
        return pa.table({COUNT: [sum(both[COUNT].to_pylist())]})
    return folded(both, names)


def folded(counted: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return the distinct rows by fewer of their columns."""
    found = counted.group_by(list(columns), use_threads=False).aggregate([(COUNT, "sum")])
    return _named(found, f"{COUNT}_sum")


def _named(table: pa.Table, counts: str) -> pa.Table:
    """Return a table with the counts last, under their name."""
    keys = [n for n in table.column_names if n != counts]
    table = table.select([*keys, counts]).rename_columns([*keys, COUNT])
    return table.combine_chunks()


def _plain(table: pa.Table) -> pa.Table:
    """Return a table without dictionaries: those of different pieces differ."""
    import pyarrow as pa

    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table[field.name].cast(field.type.value_type))
    return table


class Counting:
    """The pass that counts distinct rows.

    `most`: distinct rows above which it gives up.
    """

    def __init__(self, columns: Sequence[str], most: int = MOST) -> None:
        self.columns, self.most = tuple(columns), most

    def __call__(self, batch: pa.RecordBatch) -> pa.Table | Literal[False]:
        """Return the counts of a piece; False once there are too many distinct rows."""
        found = count_rows(batch, self.columns)
        return found if found.num_rows <= self.most else False

    def add(
        self, one: pa.Table | Literal[False], other: pa.Table | Literal[False]
    ) -> pa.Table | Literal[False]:
        """Return the counts of two pieces."""
        if one is False or other is False:
            return False
        found = merged(one, other)
        return found if found.num_rows <= self.most else False


def distinct_rows(source: RowSource, columns: Sequence[str], most: int = MOST) -> pa.Table | None:
    """Return the distinct rows of a source with their counts, by its engine or by a pass.

    None where there are too many; empty where there are no rows.
    """
    found = source.distinct(columns)
    if found is None:
        found = source.reduce(columns, Counting(columns, most))
    if found is False:
        return None
    if found is None:
        return source.head(columns, 0).append_column(COUNT, [[]]) if columns else None
    found = _plain(found)
    return found if found.num_rows <= most else None
