r"""Sources of rows that need not fit in memory: one protocol, one adapter per engine.

A pass over rows is a *reduction*: a function :math:`f` of a piece of the rows whose results add,

.. math:: f(A \cup B) = f(A) \oplus f(B),

so that the pieces may come in any size and order, from threads or from other machines, and a piece
that is lost with its machine is computed again [1]_. Sufficient statistics, counts of distinct rows
and sums of features are such functions. A source knows its columns before it is read, and where
its engine can count distinct rows itself it does.

Pieces are Arrow record batches, whatever the engine. The engines are optional packages, imported
when a source of theirs is opened.

References
----------
.. [1] J. Dean and S. Ghemawat, "MapReduce: simplified data processing on large clusters",
   *Communications of the ACM* 51(1), 2008.
"""

from __future__ import annotations

import glob
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bayescausal.inference.stream.cluster import DaskSource
from bayescausal.inference.stream.duck import DuckSource
from bayescausal.inference.stream.passes import BATCH, RowSource, Work, reduce_batches, required
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset as ds

__all__ = ["in_memory", "is_source", "open_source"]

#: Cells that are read into memory at most where all rows are needed at once.
CELLS = 20_000_000
#: How names of Parquet files end.
SUFFIXES = (".parquet", ".pq", ".parq")


def is_source(data: object) -> bool:
    """Whether data are rows to be read in passes, and not a table in memory.

    `data`: anything.
    Returns: True for a path, a pyarrow dataset, a DuckDB relation, a Dask DataFrame.

    Examples
    --------
    >>> is_source("rows.parquet"), is_source({"x": [1, 2]})
    (True, False)
    """
    if isinstance(data, str | os.PathLike) or (hasattr(data, "reduce") and hasattr(data, "schema")):
        return True
    return _engine(data) is not None


def _engine(data: object) -> str | None:
    """Return which engine an object belongs to, without importing any."""
    root, name = type(data).__module__.partition(".")[0], type(data).__name__
    if root in ("duckdb", "_duckdb") and name == "DuckDBPyRelation":
        return "duckdb"
    if root in ("dask", "dask_expr") and name == "DataFrame":
        return "dask"
    arrow = sys.modules.get("pyarrow.dataset")
    if arrow is not None and isinstance(data, arrow.Dataset):
        return "pyarrow"
    return None


def open_source(data: object) -> RowSource:
    """Return a source of rows.

    `data` (path, pyarrow Dataset, DuckDB relation, Dask DataFrame): a path is a Parquet file, a
    folder of them (with ``key=value`` folders inside, if it is partitioned), or a pattern such as
    ``"rows/*.parquet"``.
    Raises DataError if there is no such file, or it cannot be read.
    Raises BayesCausalError if the engine is not installed.
    """
    if hasattr(data, "reduce") and hasattr(data, "schema"):
        return cast("RowSource", data)
    if isinstance(data, str | os.PathLike):
        return _files(os.fspath(data))
    engine = _engine(data)
    if engine == "duckdb":
        required("pyarrow", "duckdb", "Reading a DuckDB relation")
        return DuckSource(data)
    if engine == "dask":
        required("pyarrow", "dask", "Reading a Dask DataFrame")
        return DaskSource(data)
    if engine == "pyarrow":
        return ArrowSource(data, "the pyarrow dataset")
    raise DataError(
        f"Data of type {type(data).__name__} are no source of rows.",
        expected="A path, a pyarrow dataset, a DuckDB relation or a Dask DataFrame.",
    )


def in_memory(data: object, most: int = CELLS) -> pd.DataFrame:
    """Return the rows of a source as a table in memory, if they have few cells."""
    import pyarrow as pa

    source = open_source(data)
    names = [str(n) for n in source.schema.names]
    held, cells = [], 0
    for batch in source.batches(names):
        cells += batch.num_rows * len(names)
        if cells > most:
            raise DataError(
                f"{source.words} has more than {most:,} cells, and all rows are needed at once.",
                expected="A table in memory.",
                remedy="Only bayescausal.fit takes rows in one pass. Read some of them, with "
                "pandas.read_parquet, or fewer columns.",
            )
        held.append(batch)
    table = pa.Table.from_batches(held) if held else source.head(names, 0)
    for i, kind in enumerate(table.schema.types):
        if pa.types.is_decimal(kind):
            table = table.set_column(i, names[i], table.column(i).cast(pa.float64()))
    frame: pd.DataFrame = table.unify_dictionaries().to_pandas()
    return frame


# --------------------------------------------------------------------------- Arrow


def _files(path: str) -> ArrowSource:
    """Open Parquet files."""
    required("pyarrow.parquet", "duckdb", "Reading Parquet files")
    arrow = required("pyarrow.dataset", "duckdb", "Reading Parquet files")
    base, found = None, [path]
    if "://" not in path:
        if os.path.isdir(path):
            base = path
            files = sorted(p for p in Path(path).rglob("*") if p.suffix.lower() in SUFFIXES)
            hidden = [p for p in files if any(k[0] in "._" for k in p.relative_to(path).parts)]
            found = [str(p) for p in files if p not in hidden]
        elif not os.path.exists(path):
            found = sorted(glob.glob(path)) if any(c in path for c in "*?[") else []
        if not found:
            raise DataError(
                f"There is no Parquet file at {path!r}.",
                expected="A file, a folder of files, or a pattern such as 'rows/*.parquet'.",
                remedy=_not_parquet(path),
            )
    try:
        options = {"partitioning": "hive", "partition_base_dir": base} if base else {}
        data = arrow.dataset(found if base or len(found) > 1 else found[0],
                             format="parquet", **options)  # fmt: skip
    except Exception as error:
        raise _unreadable(path, error) from error
    return ArrowSource(data, path)


def _unreadable(words: str, error: Exception) -> DataError:
    first = str(error).strip().split("\n")[0]
    remedy = _not_parquet(words)
    what = "it is no Parquet file." if remedy else first
    return DataError(
        f"{words} cannot be read: {what}", expected="Parquet files of one schema.", remedy=remedy
    )


def _not_parquet(path: str) -> str:
    table = Path(path).suffix.lower() in (".csv", ".tsv", ".txt")
    return f"Pass the table: pandas.read_csv({path!r})." if table else ""


class ArrowSource:
    """A pyarrow dataset, Parquet files among them: threads of this machine."""

    def __init__(self, data: ds.Dataset, words: str) -> None:
        self.data, self.words, self.schema = data, words, data.schema

    def batches(self, columns: Sequence[str], rows: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Yield the rows as record batches; only a few are held at a time."""
        import pyarrow.dataset as arrow

        options: dict[str, Any] = {}
        if str(getattr(self.data, "format", "")) != "" and _is_parquet(self.data):
            # Without these whole row groups would be held.
            options["fragment_scan_options"] = arrow.ParquetFragmentScanOptions(
                pre_buffer=False, use_buffered_stream=True
            )
        try:
            yield from self.data.scanner(
                columns=list(columns),
                batch_size=rows,
                batch_readahead=4,
                fragment_readahead=1,
                cache_metadata=False,  # files may have changed by the next pass
                **options,
            ).to_batches()
        except (OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:
            raise _unreadable(self.words, error) from error

    def head(self, columns: Sequence[str], rows: int) -> pa.Table:
        """Return the first rows."""
        return self.data.head(rows, columns=list(columns), cache_metadata=False)

    def reduce[Result](self, columns: Sequence[str], work: Work[Result]) -> Result | None:
        """Add up the results of all pieces, on all cores."""
        return reduce_batches(self.batches(columns), work)

    def distinct(self, columns: Sequence[str]) -> pa.Table | None:
        """Leave it to a pass."""
        return None


def _is_parquet(data: ds.Dataset) -> bool:
    return type(data.format).__name__ == "ParquetFileFormat"
