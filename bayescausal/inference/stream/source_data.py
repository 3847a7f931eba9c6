"""The record of data that stay in their source.

A :class:`StreamTable` takes the place of the table of a fit whose rows were not held: it knows its
columns, their dims and the number of rows, and yields the rows in blocks. Whole columns it does not
give: code that asks for one is told so.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.inference.data.columns import Table, before_brackets, dim_labels
from bayescausal.inference.data.conform import Conformed, coding_notes, redundant_note
from bayescausal.inference.stream.distinct_rows import COUNT, distinct_rows
from bayescausal.inference.stream.source import open_source
from bayescausal.inference.stream.source_columns import columns_of, raise_problems
from bayescausal.model.structure.read import structure_of
from bayescausal.types import DataError, FixedUnitsError, ModelError

if TYPE_CHECKING:
    import pyarrow as pa
    import pymc as pm

    from bayescausal.inference.record import Fit
    from bayescausal.inference.stream.passes import RowSource, Work
    from bayescausal.inference.stream.source_columns import Column
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "REMEDY",
    "NotHeld",
    "StreamTable",
    "counted",
    "is_streamed",
    "parts_of",
    "read_source",
    "stand_in",
]

#: What to do with rows that cannot be used in one pass.
REMEDY = (
    "Read the rows into memory, all or a sample of them (pandas.read_parquet), and fit the table."
)


class NotHeld(Mapping[str, np.ndarray]):
    """Columns that are known by name and are not in memory, but for some.

    - `words`: where they are.
    - `held`: those that are in memory.
    """

    def __init__(
        self, names: Iterable[str], words: str, held: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self._names, self._words, self._held = tuple(names), words, dict(held or {})

    def __getitem__(self, name: str) -> np.ndarray:
        if name in self._held:
            return self._held[name]
        if name not in self._names:
            raise KeyError(name)
        raise DataError(
            f"The values of {name!r} are not in memory: the fit was made in one pass over "
            f"{self._words}.",
            remedy="Averages can be asked with bayescausal.estimate. For answers about single "
            "units read some of the rows into memory, and fit, or ask about, that table.",
        )

    def get(self, name: str, default: Any = None) -> Any:
        """Return a column that is held, or the default."""
        return self._held.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, eq=False, repr=False)
class StreamTable(Table):
    """Columns by name, whose rows stay in their source."""

    # Where the rows are.
    source: RowSource = field(default=None)  # type: ignore[assignment]
    readers: Mapping[str, Column] = field(default_factory=dict)  # how each column is read
    # The labels of columns of labels, in the order of their codes.
    orders: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    rows: int = 0  # number of rows that were seen

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.rows

    def __repr__(self) -> str:
        return f"Table({', '.join(self.columns)}; {self.rows:,} rows of {self.source.words})"

    def chunks(self, rows: int = 50_000) -> Iterator[dict[str, np.ndarray]]:
        """Yield the columns in blocks of at most `rows` units.

        `rows`: units per block.
        """
        if rows < 1:
            raise DataError(f"chunks(rows={rows}) cannot advance.", expected="rows of 1 or more.")
        parts = parts_of(self.readers.values())
        for batch in self.source.batches(parts, rows):
            if batch.num_rows:
                yield self.decoded(batch, self.columns)

    def decoded(
        self,
        batch: pa.RecordBatch | pa.Table,
        names: Iterable[str],
        weights: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Return the values of some columns in a piece; refuse a value that the fit did not see."""
        out = {}
        for name in names:
            out[name], problems = self.readers[name].read(batch, self.orders.get(name, ()), weights)
            raise_problems(problems, batch.num_rows, self.source)
        return out

    def head(self, names: Iterable[str], rows: int = 64) -> dict[str, np.ndarray]:
        """Return the values of some columns in the first rows."""
        names = list(names)
        if not names:
            return {}
        return self.decoded(self.source.head(parts_of(self.readers[n] for n in names), rows), names)

    def finite(self, names: Iterable[str]) -> bool:
        """Whether rows can be counted by some columns."""
        return all(self.readers[name].finite for name in names)

    def distinct(self, names: Iterable[str]) -> tuple[dict[str, np.ndarray], np.ndarray] | None:
        """Return the distinct rows of some columns, and their counts; None if too many."""
        names = list(names)
        if not names:
            return {}, np.array([float(self.rows)])
        found = distinct_rows(self.source, parts_of(self.readers[n] for n in names))
        if found is None:
            return None
        counts = found[COUNT].to_numpy()
        self.expect(int(counts.sum()))
        return self.decoded(found, names, counts), counts.astype(float)

    def reduce[Result](self, names: Iterable[str], work: Work[Result]) -> Result | None:
        """Return the sum of a function of all pieces of the rows."""
        return self.source.reduce(parts_of(self.readers[n] for n in names), work)

    def expect(self, rows: int) -> None:
        """Refuse a pass that saw other rows than the fit."""
        if rows != self.rows:
            raise DataError(
                f"{self.source.words} has {rows:,} rows now, and had {self.rows:,} when the model "
                "was fitted.",
                expected="The rows of the fit.",
                remedy="Fit again.",
            )


def read_source(
    model: pm.Model, data: object, unit_dims: str | Sequence[str] | None
) -> tuple[Structure, StreamTable, Conformed]:
    """Read a model together with a source of rows, of which no row is read yet.

    Refused is a model whose units are not rows, and a source without a column of it.
    """
    source = open_source(data)
    names = [str(n) for n in source.schema.names]
    votes = (*names, *before_brackets(names))
    structure = structure_of(model, unit_dims=unit_dims, named=votes)
    _refuse_shape(structure, source)
    columns, ignored = columns_of(structure, source)
    held = NotHeld(columns, source.words)
    table = StreamTable(
        held,
        {n: c.dims for n, c in columns.items()},
        {},
        structure.unit_dims,
        ignored=tuple(ignored),
        source=source,
        readers=dict(columns),
    )
    return structure, table, Conformed(held, {}, (), {}, {}, {}, ())


def counted(
    structure: Structure, table: StreamTable, orders: Mapping[str, tuple[Any, ...]], rows: int
) -> tuple[StreamTable, Conformed]:
    """Return what a fit keeps of rows that it does not hold, now that a pass has seen them."""
    [unit] = structure.unit_dims
    coords: dict[str, Any] = dim_labels({}, {unit: 0}, structure)
    coords[unit] = pd.RangeIndex(rows)
    orders = dict(orders)
    table = replace(table, coords=coords, categories=orders, orders=orders, rows=rows)
    notes = (
        *coding_notes(orders),
        *redundant_note(table.ignored, structure),
        f"Fitted in one pass over the {rows:,} rows of {table.source.words}; they stay there.",
    )
    sizes = {d: len(v) for d, v in coords.items()}
    return table, Conformed(table.values, {}, (), sizes, coords, orders, notes)


def stand_in(fit: Fit, columns: Mapping[str, np.ndarray], rows: int) -> Fit:
    """Return a fit whose rows stay in their source with some rows in the place of all."""
    [unit] = fit.structure.unit_dims
    coords: dict[str, Any] = {**fit.coords, unit: pd.RangeIndex(rows)}
    known = fit.columns
    names, words = tuple(known), getattr(known, "_words", "the source")
    held = NotHeld(names, words, columns)
    dims = {n: fit.structure.dims[n] for n in names}
    made = copy.copy(fit)
    fields: dict[str, Any] = {
        "columns": held,
        "coords": coords,
        "sizes": {**(fit.sizes or {}), unit: rows},
        "data": Table(held, dims, coords, fit.structure.unit_dims),
    }
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


def parts_of(columns: Iterable[Column]) -> list[str]:
    """Return the source's columns that some variables are read from."""
    return list(dict.fromkeys(part for column in columns for part in column.parts))


def is_streamed(fit: Fit) -> bool:
    """Whether the rows of a fit stay in their source."""
    return isinstance(fit.data, StreamTable)


def _refuse_shape(structure: Structure, source: RowSource) -> None:
    """Refuse models whose units are not rows."""
    if len(structure.unit_dims) != 1:
        raise ModelError(
            f"The units have several dims ({', '.join(structure.unit_dims)}), and rows are read in "
            "one pass, one unit each.",
            expected="One unit dim.",
            remedy=REMEDY,
        )
    [unit] = structure.unit_dims
    if unit in structure.fixed:
        raise FixedUnitsError(
            f"The model carries arrays of length {structure.fixed[unit]} of its own, and the rows "
            f"of {source.words} are read in pieces.",
            remedy=f"Put those arrays in pm.Data(..., dims={unit!r}), and in the source.",
        )
    if structure.observed:
        raise ModelError(
            f"The model observes {', '.join(map(repr, structure.observed))} itself.",
            expected="A generative model: all that is observed comes from the source.",
        )
