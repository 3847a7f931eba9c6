"""Entries of tables that expressions of columns point at: ``a[group, year]``, ``b[age - 18]``.

An entry beyond the table is refused with the piece of the rows that it is met in. Whether one that
counts from the end is meant, because no row has that entry's own number, is known of all rows only:
which entries are read is noted piece by piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.inference.stream.source_columns import INDEX
from bayescausal.model.interventions.domain import lookups_of
from bayescausal.model.interventions.undefined import fails, failure
from bayescausal.model.structure.function_graph import bare, evaluate
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bayescausal.annotations import Array
    from bayescausal.inference.stream.source_columns import Column
    from bayescausal.model.interventions.equation_walk import Check
    from bayescausal.model.structure.structure import Structure

__all__ = ["Entries", "Lookups", "together"]

#: By place of a lookup: the entries that are read, each once, and an example of what points at it.
type Entries = dict[int, Array]


@dataclass(frozen=True, eq=False)
class Lookups:
    """The lookups of a model whose entries no single column is the number of."""

    structure: Structure
    checks: tuple[Check, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, structure: Structure, columns: Mapping[str, Column]) -> Lookups:
        touched = [n for n in structure.data if n in columns and columns[n].discrete]
        found = [c for n in structure.random for c in lookups_of(structure, n, touched)]
        known = []
        for check in found:
            length = int(evaluate([check.length])[0])
            [name, *others] = check.reads
            support = columns[name].support
            alone = not others and bare(check.tested) is structure.variable(name)
            if not (alone and support and support.family == INDEX and length > support.upper):
                known.append((check, length))  # the others' values are looked at when they are read
        return cls(structure, tuple(c for c, _ in known), tuple(n for _, n in known))

    def note(self, into: Entries, equations: Collection[str], chunk: Mapping[str, Array]) -> None:
        """Add the entries that some equations read of some rows.

        Raises DataError if one is beyond its table.
        """
        for k, (check, length) in enumerate(zip(self.checks, self.lengths, strict=True)):
            if check.equation not in equations or not chunk.keys() >= {*check.reads}:
                continue
            given = {self.structure.variable(n): chunk[n] for n in check.reads}
            entry = np.asarray(evaluate([check.tested], given)[0])
            found, first = np.unique(entry, return_index=True)
            reads = [np.broadcast_to(chunk[n], entry.shape).ravel()[first] for n in check.reads]
            rows = np.column_stack([found, *reads])
            self._refuse(k, rows[(found >= length) | (found < -length)])
            into.update(together(into, {k: rows}))

    def refuse(self, entries: Entries) -> None:
        """Refuse entries that count from the end where others have the same number.

        Raises DataError.
        """
        for k, rows in entries.items():
            self._refuse(k, rows)

    def _refuse(self, k: int, rows: Array) -> None:
        check, here = self.checks[k], [rows[:, 0], np.asarray(self.lengths[k])]
        bad = fails(check, here, here)
        if np.any(bad):
            words, expected = failure(check, [*here, *rows.T[1:]], bad)
            raise DataError(
                f"The equation of {check.equation!r} is not defined for the rows: {words}.",
                expected=expected,
            )


def together(one: Entries, other: Entries) -> Entries:
    """Return the entries that two sets of rows read."""
    out = dict(one)
    for k, rows in other.items():
        both = np.concatenate([out[k], rows]) if k in out else rows
        out[k] = both[np.unique(both[:, 0], return_index=True)[1]]
    return out
