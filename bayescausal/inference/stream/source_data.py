"""The record of data that stay in their source.

A :class:`StreamTable` takes the place of the table of a fit whose rows were not held: it knows its
columns, their dims and the number of rows, and yields the rows in blocks. Whole columns it does not
give: code that asks for one is told so.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.data.columns import Table
from bayescausal.inference.stream.distinct_rows import COUNT, distinct_rows
from bayescausal.inference.stream.source_columns import raise_problems
from bayescausal.types import DataError

if TYPE_CHECKING:
    from bayescausal.inference.record import Fit
    from bayescausal.inference.stream.passes import RowSource
    from bayescausal.inference.stream.source_columns import Column

__all__ = ["NotHeld", "StreamTable", "is_streamed", "parts_of", "stand_in"]


class NotHeld(Mapping[str, np.ndarray]):
    """Columns that are known by name and are not in memory, but for some.

    Parameters
    ----------
    words : str
        Where they are.
    held : mapping of str to ndarray, optional
        Those that are in memory.
    """

    def __init__(
        self, names: Any, words: str, held: Mapping[str, np.ndarray] | None = None
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
    """Columns by name, whose rows stay in their source.

    Attributes
    ----------
    source : RowSource
        Where the rows are.
    readers : mapping of str to Column
        How each column is read.
    orders : mapping of str to tuple
        The labels of columns of labels, in the order of their codes.
    rows : int
        Number of rows that were seen.
    """

    source: RowSource = field(default=None)  # type: ignore[assignment]
    readers: Mapping[str, Column] = field(default_factory=dict)
    orders: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    rows: int = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.rows

    def __repr__(self) -> str:
        return f"Table({', '.join(self.columns)}; {self.rows:,} rows of {self.source.words})"

    def chunks(self, rows: int = 50_000) -> Iterator[dict[str, np.ndarray]]:
        """Yield the columns in blocks of at most `rows` units.

        Parameters
        ----------
        rows : int
            Units per block.
        """
        if rows < 1:
            raise DataError(f"chunks(rows={rows}) cannot advance.", expected="rows of 1 or more.")
        parts = parts_of(self.readers.values())
        for batch in self.source.batches(parts, rows):
            if batch.num_rows:
                yield self.decoded(batch, self.columns)

    def decoded(self, batch: Any, names: Any, weights: Any = None) -> dict[str, np.ndarray]:
        """Return the values of some columns in a piece of the source.

        Parameters
        ----------
        weights : ndarray, optional
            How often each row occurs.

        Raises
        ------
        DataError
            If there is a value that the fit did not see.
        """
        out = {}
        for name in names:
            out[name], problems = self.readers[name].read(batch, self.orders.get(name, ()), weights)
            raise_problems(problems, batch.num_rows, self.source)
        return out

    def head(self, names: Any, rows: int = 64) -> dict[str, np.ndarray]:
        """Return the values of some columns in the first rows."""
        names = list(names)
        if not names:
            return {}
        return self.decoded(self.source.head(parts_of(self.readers[n] for n in names), rows), names)

    def finite(self, names: Any) -> bool:
        """Whether rows can be counted by some columns."""
        return all(self.readers[name].finite for name in names)

    def distinct(self, names: Any) -> tuple[dict[str, np.ndarray], np.ndarray] | None:
        """Return the distinct rows of some columns, and how often each occurs.

        Returns
        -------
        values : dict of str to ndarray
        counts : ndarray of float
            None in the place of both if there are too many.
        """
        names = list(names)
        if not names:
            return {}, np.array([float(self.rows)])
        found = distinct_rows(self.source, parts_of(self.readers[n] for n in names))
        if found is None:
            return None
        counts = found[COUNT].to_numpy()
        self.expect(int(counts.sum()))
        return self.decoded(found, names, counts), counts.astype(float)

    def reduce(self, names: Any, work: Any) -> Any:
        """Return the sum of a function of all pieces of the rows.

        Parameters
        ----------
        names : iterable of str
            The columns that it needs.
        """
        return self.source.reduce(parts_of(self.readers[n] for n in names), work)

    def expect(self, rows: int) -> None:
        """Refuse a pass that saw other rows than the fit.

        Raises
        ------
        DataError
        """
        if rows != self.rows:
            raise DataError(
                f"{self.source.words} has {rows:,} rows now, and had {self.rows:,} when the model "
                "was fitted.",
                expected="The rows of the fit.",
                remedy="Fit again.",
            )


def stand_in(fit: Fit, columns: Mapping[str, np.ndarray], rows: int) -> Fit:
    """Return a fit with some rows in the place of all.

    Parameters
    ----------
    fit : Fit
        Whose rows stay in their source.
    columns : mapping of str to ndarray
        Of the rows that take their place.
    rows : int
        Number of them.
    """
    import pandas as pd

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


def parts_of(columns: Any) -> list[str]:
    """Return the source's columns that some variables are read from."""
    return list(dict.fromkeys(part for column in columns for part in column.parts))


def is_streamed(fit: Any) -> bool:
    """Whether the rows of a fit stay in their source."""
    return isinstance(fit.data, StreamTable)
