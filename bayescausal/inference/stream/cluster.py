"""Dask DataFrames: each partition is reduced where it lies, and only results travel.

The results are added in a tree. A partition whose worker dies is read and reduced again on another
one: the result of a piece depends on nothing but its rows, so that the answer is the same. With a
``distributed.Client`` at hand its cluster is used, the threads of this process otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayescausal.inference.stream.passes import BATCH, reduce_batches, required
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    import pyarrow as pa

    from bayescausal.inference.stream.passes import Work

__all__ = ["DaskSource"]

#: Results that are added at a time.
FAN = 8


class DaskSource:
    """A Dask DataFrame."""

    words = "the Dask DataFrame"

    def __init__(self, frame: Any) -> None:
        import pyarrow as pa

        self.frame = frame
        self.schema = pa.Schema.from_pandas(frame._meta, preserve_index=False)
        untyped = [f.name for f in self.schema if pa.types.is_null(f.type)]
        for name in untyped:
            self.schema = self.schema.set(self.schema.names.index(name), self._first_field(name))

    def batches(self, columns: Sequence[str], rows: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Yield the rows as record batches, partition by partition."""
        part = self._only(columns)
        for i in range(part.npartitions):
            yield from _batches(part.get_partition(i).compute(), columns, rows)

    def head(self, columns: Sequence[str], rows: int) -> pa.Table:
        """Return the first rows, of the first partition that has any."""
        import pyarrow as pa

        for batch in self.batches(columns, rows):
            return pa.Table.from_batches([batch])
        return self.schema.empty_table().select(list(columns))

    def reduce[Result](self, columns: Sequence[str], work: Work[Result]) -> Result | None:
        """Add up the results of all partitions, on the cluster."""
        dask = required("dask", "dask", "Reading a Dask DataFrame")
        shared = dask.delayed(work, pure=False, traverse=False)
        names = list(columns)
        level = [
            dask.delayed(_reduced, pure=False)(shared, part, names)
            for part in self._only(columns).to_delayed()
        ]
        while len(level) > 1:
            level = [
                dask.delayed(_added, pure=False)(shared, level[i : i + FAN])
                for i in range(0, len(level), FAN)
            ]
        if not level:
            return None
        try:
            total: Result | None = level[0].compute()
        except Exception as error:
            if type(error).__name__ != "KilledWorker":
                raise
            raise DataError(
                f"{self.words} cannot be read: every worker that took a certain partition died. "
                f"{error}",
                remedy="Make the partitions smaller, or give the workers more memory.",
            ) from error
        return total

    def distinct(self, columns: Sequence[str]) -> pa.Table | None:
        """Leave it to a pass, whose partitions count their own."""
        return None

    def _first_field(self, name: str) -> pa.Field:
        """Return the field of a column of Python objects, whose type only its values tell."""
        import pyarrow as pa

        for batch in self.batches([name]):
            if batch.column(0).null_count < batch.num_rows:
                return batch.schema.field(0)
        return pa.field(name, pa.null())

    def _only(self, columns: Sequence[str]) -> Any:
        by_name = {str(c): c for c in self.frame.columns}
        return self.frame[[by_name[c] for c in columns]]


def _batches(part: pd.DataFrame, columns: Sequence[str], rows: int = BATCH) -> list[pa.RecordBatch]:
    """Return a pandas partition as record batches."""
    import pyarrow as pa

    part = part.set_axis([str(c) for c in part.columns], axis="columns")
    if not len(columns):
        part = part.assign(one=0)
    try:
        table = pa.Table.from_pandas(part, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        first = str(error).strip().split("\n")[0]
        raise DataError(
            f"The Dask DataFrame cannot be read: {first}",
            expected="One kind of value in a column.",
        ) from error
    return [b for b in table.to_batches(max_chunksize=rows) if b.num_rows]


def _reduced[Result](
    work: Work[Result], part: pd.DataFrame, columns: Sequence[str]
) -> Result | None:
    """Reduce one partition, in the process where it lies."""
    return reduce_batches(iter(_batches(part, columns)), work, threads=1)


def _added[Result](work: Work[Result], results: list[Result | None]) -> Result | None:
    total: Result | None = None
    for result in results:
        if result is not None:
            total = result if total is None else work.add(total, result)
    return total
