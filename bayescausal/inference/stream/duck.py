"""DuckDB relations: grouped by DuckDB itself, or streamed as Arrow record batches.

A relation is a query that has not run. Distinct rows are counted by the query itself, so that no
row leaves the engine; anything else is streamed from its result. A relation belongs to a connection
and is read by one thread; what is done with the rows is spread over all cores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.inference.stream.distinct_rows import COUNT
from bayescausal.inference.stream.passes import BATCH, reduce_batches
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import duckdb
    import pyarrow as pa

    from bayescausal.inference.stream.passes import Work

__all__ = ["DuckSource"]


class DuckSource:
    """A DuckDB relation."""

    words = "the DuckDB relation"

    def __init__(self, relation: duckdb.DuckDBPyRelation) -> None:
        self.relation = relation
        self.schema = relation.limit(0).to_arrow_table().schema

    def batches(self, columns: Sequence[str], rows: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Yield the rows as record batches."""
        yield from self._run(lambda: self._only(columns).to_arrow_reader(rows))

    def head(self, columns: Sequence[str], rows: int) -> pa.Table:
        """Return the first rows."""
        return self._run(lambda: self._only(columns).limit(rows).to_arrow_table())

    def reduce[Result](self, columns: Sequence[str], work: Work[Result]) -> Result | None:
        """Add up the results of all pieces, on all cores."""
        return reduce_batches(self.batches(columns), work)

    def distinct(self, columns: Sequence[str]) -> pa.Table | None:
        """Return the distinct rows and their counts, by one query."""
        if not columns:
            return None
        names = ", ".join(map(_quoted, columns))
        return self._run(
            lambda: self.relation.aggregate(
                f"{names}, count(*)::BIGINT AS {_quoted(COUNT)}", names
            ).to_arrow_table()
        )

    def _only(self, columns: Sequence[str]) -> duckdb.DuckDBPyRelation:
        return self.relation.project(", ".join(map(_quoted, columns)) if columns else "1 AS one")

    def _run[Result](self, query: Callable[[], Result]) -> Result:
        import duckdb

        try:
            return query()
        except duckdb.Error as error:
            first = str(error).strip().split("\n")[0]
            raise DataError(f"{self.words} cannot be read: {first}") from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
