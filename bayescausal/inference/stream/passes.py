"""Rows of named columns, read in passes: what a source offers, and one pass over it.

References
----------
.. [1] J. Dean and S. Ghemawat, "MapReduce: simplified data processing on large clusters",
   OSDI 2004.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from bayescausal.types import BayesCausalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from types import ModuleType

    import pyarrow as pa

__all__ = ["BATCH", "RowColumns", "RowSource", "Work", "required"]

#: Rows of a piece.
BATCH = 1 << 18


class Work[Result](Protocol):
    """What is done with the pieces of a pass: it can be sent to other processes."""

    def __call__(self, batch: pa.RecordBatch) -> Result:
        """Return the result of one piece, a record batch."""
        ...

    def add(self, one: Result, other: Result) -> Result:
        """Return the result of two pieces together."""
        ...


class RowColumns(Protocol):
    """The columns of a source of rows."""

    words: str  # what it is, for messages
    schema: pa.Schema  # names and types of the columns, known without reading rows


class RowSource(RowColumns, Protocol):
    """Rows of named columns, read in passes."""

    def reduce[Result](self, columns: Sequence[str], work: Work[Result]) -> Result | None:
        """Return the sum of the results of all pieces, None if there is no row."""
        ...

    def batches(self, columns: Sequence[str], rows: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Yield the rows as record batches of at most `rows`."""
        ...

    def head(self, columns: Sequence[str], rows: int) -> pa.Table:
        """Return the first rows as an Arrow table."""
        ...

    def distinct(self, columns: Sequence[str]) -> pa.Table | None:
        """Return the distinct rows as an Arrow table with their counts; None: by a pass."""
        ...


def required(name: str, extra: str, what: str) -> ModuleType:
    """Import an optional package that something needs, or say which extra brings it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise BayesCausalError(
            f"{what} needs the package {package}, which is not installed.",
            remedy=f"Install it with the extra: pip install 'bayescausal[{extra}]'.",
        ) from error


def reduce_batches[Result](
    batches: Iterator[pa.RecordBatch], work: Work[Result], threads: int | None = None
) -> Result | None:
    """Add up the results of record batches, in order.

    The first one is done before the others start, so that what it settles is settled.

    Parameters
    ----------
    threads : int, optional
        Default: one per core.

    None if there is no row.
    """
    full = (b for b in batches if b.num_rows)
    first = next(full, None)
    if first is None:
        return None
    total = work(first)
    many = threads or max(1, min(os.cpu_count() or 1, 16))
    if many == 1:
        for batch in full:
            total = work.add(total, work(batch))
        return total
    with ThreadPoolExecutor(many) as pool:
        waiting: list[Future[Result]] = []
        try:
            for batch in full:
                waiting.append(pool.submit(work, batch))
                if len(waiting) > 2 * many:
                    total = work.add(total, waiting.pop(0).result())
            for future in waiting:
                total = work.add(total, future.result())
        except BaseException:
            for future in waiting:
                future.cancel()
            raise
    return total
