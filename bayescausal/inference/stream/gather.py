"""The one pass of a fit: what is taken from each piece of the rows, and how pieces add.

Equations whose columns are all discrete come down to counts of distinct rows; the others to the
statistics of their exact sampler. A set of columns with too many distinct rows changes from the
first kind to the second on the way. The same pass counts what is wrong with the rows.

The pass can be sent to other processes: it carries the model, and each thread that works for it
reads the model once for itself, because compiled expressions are not shared between threads.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bayescausal.inference.closed_forms.affine import NotAffineError
from bayescausal.inference.closed_forms.affine_term import AffineTerm
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.inference.stream.distinct_rows import COUNT, MOST, count_rows, folded, merged
from bayescausal.inference.stream.grouped_equations import AffineSums, PointSums, pointed, shorten
from bayescausal.inference.stream.lookups import Entries, Lookups, together
from bayescausal.inference.stream.source_columns import columns_of
from bayescausal.model.structure.read import structure_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    import pyarrow as pa
    import pymc as pm

    from bayescausal.inference.conditioning.plan import Plan
    from bayescausal.inference.stream.passes import RowColumns
    from bayescausal.inference.stream.source_columns import Column, Problems
    from bayescausal.model.structure.structure import Structure

__all__ = ["Gathered", "Gathering", "Layout", "gathered_by", "layout_of"]

#: Rows whose designs are held at a time.
ROWS = 1 << 16
#: Share of a piece's rows that are distinct from which counting them does not pay.
SHARE = 0.25

_LOCK = threading.Lock()


@dataclass(frozen=True)
class Layout:
    """Which equations lean on which counts, and which read the rows.

    Attributes
    ----------
    counted : tuple of tuple of str
        Sets of variables whose distinct rows are counted.
    leaning : tuple of tuple of int
        For each of them, the samplers that its counts are enough for.
    direct : tuple of int
        Samplers that read the rows.
    raw : tuple of str
        Variables that are read row by row.
    wanted : tuple of int
        The sets whose counts are needed themselves.
    """

    counted: tuple[tuple[str, ...], ...]
    leaning: tuple[tuple[int, ...], ...]
    direct: tuple[int, ...]
    raw: tuple[str, ...]
    wanted: tuple[int, ...] = ()

    def checked(self, place: int) -> tuple[str, ...]:
        """Return the variables that are checked on a set's distinct rows."""
        before = {n for names in self.counted[:place] for n in names} | set(self.raw)
        return tuple(n for n in self.counted[place] if n not in before)


def layout_of(
    samplers: Sequence[Any],
    columns: Mapping[str, Column],
    wanted: Sequence[Sequence[str]] = (),
) -> Layout:
    """Divide the work of a pass; of some sets of columns the distinct rows are `wanted`."""

    def finite(names: Sequence[str]) -> bool:
        return all(columns[n].finite for n in names)

    counted = [i for i, s in enumerate(samplers) if finite(s.columns)]
    used = {n for s in samplers for n in s.columns} | {n for names in wanted for n in names}
    loose = [n for n in columns if n not in used]
    groups = [frozenset(samplers[i].columns) for i in counted] + [frozenset(w) for w in wanted]
    groups += [frozenset([n]) for n in loose if columns[n].finite]
    largest: list[frozenset[str]] = []
    for names in sorted(set(groups), key=lambda s: (-len(s), sorted(s))):
        if not any(names <= other for other in largest):
            largest.append(names)
    leaning: list[list[int]] = [[] for _ in largest]
    for i in counted:
        place = next(k for k, s in enumerate(largest) if set(samplers[i].columns) <= s)
        leaning[place].append(i)
    direct = tuple(i for i in range(len(samplers)) if i not in counted)
    read = dict.fromkeys(n for i in direct for n in samplers[i].columns)
    read.update(dict.fromkeys(n for n in loose if not columns[n].finite))
    order = list(columns)
    sets = tuple(tuple(sorted(s, key=order.index)) for s in largest)
    kept = tuple(k for k, s in enumerate(largest) if any(frozenset(w) <= s for w in wanted))
    return Layout(sets, tuple(map(tuple, leaning)), direct, tuple(read), kept)


@dataclass
class Gathered:
    """What some rows come down to."""

    rows: int = 0
    problems: Problems = field(default_factory=dict)  # what is wrong with them
    counts: dict[int, Any] = field(default_factory=dict)  # by set: counts of distinct rows
    statistics: dict[int, Any] = field(default_factory=dict)  # by sampler
    failed: dict[int, str] = field(default_factory=dict)  # samplers that the numbers contradict
    entries: Entries = field(default_factory=dict)  # of tables, that expressions point at


class _Reader:
    """A model as one thread reads it."""

    def __init__(
        self, model: pm.Model, unit_dims: Sequence[str], names: Iterable[str], source: RowColumns
    ) -> None:
        structure = structure_of(model, unit_dims=unit_dims, named=names)
        self.columns, _ = columns_of(structure, source)
        plan = make_plan(structure, set(self.columns))
        self.samplers = gathered_by(structure, self.columns, plan)[0]
        self.lookups = Lookups.of(structure, self.columns)


def gathered_by(
    structure: Structure, columns: Mapping[str, Column], plan: Plan
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what gathers sums in a pass, and the terms of equations that are shortened.

    The first are the exact samplers, then one for each equation of sums and of means.
    """
    if not plan.rest:
        return plan.samplers, {}

    terms = shorten(structure, columns, plan.rest)
    assert isinstance(terms, dict)
    sums: list[Any] = []
    for term in terms.values():
        if isinstance(term, AffineTerm):
            sums.append(AffineSums(structure, term))
        elif pointed(term):
            sums.append(PointSums(term))
    return (*plan.samplers, *sums), terms


class _Schema:
    """What of a source travels with a pass: its columns, not its rows."""

    def __init__(self, source: RowColumns) -> None:
        self.words, self.schema = source.words, source.schema


class Gathering:
    """The pass of a fit.

    `orders`: labels in the order of their codes.
    """

    def __init__(
        self,
        model: pm.Model,
        unit_dims: tuple[str, ...],
        source: RowColumns,
        layout: Layout,
        orders: Mapping[str, tuple[Any, ...]],
    ) -> None:
        self.model, self.unit_dims, self.source = model, unit_dims, _Schema(source)
        self.layout, self.orders = layout, dict(orders)
        self.references: dict[int, np.ndarray] = {}
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    @property
    def reader(self) -> _Reader:
        """The model, read by this thread."""
        found = getattr(self._local, "reader", None)
        if found is None:
            with _LOCK:
                names = tuple(self.source.schema.names)
                found = _Reader(self.model, self.unit_dims, names, self.source)
            self._local.reader = found
        return found

    def __call__(self, batch: pa.RecordBatch) -> Gathered:
        """Return what a piece of the rows comes down to."""
        out = Gathered(rows=batch.num_rows)
        for place in range(len(self.layout.counted)):
            self._count(out, place, batch)
        chunk = self._read(out, self.layout.raw, batch, None)
        self._measure(out, self.layout.direct, chunk, batch.num_rows)
        return out

    def _count(self, out: Gathered, place: int, batch: pa.RecordBatch) -> None:
        """Count distinct rows of one set of variables."""
        names = self.layout.counted[place]
        parts = [part for n in names for part in self.reader.columns[n].parts]
        found = count_rows(batch, parts)
        checked = self.layout.checked(place)
        weights = found[COUNT].to_numpy()
        lean, wanted = self.layout.leaning[place], place in self.layout.wanted
        if wanted or not lean or found.num_rows <= max(SHARE * batch.num_rows, 256):
            self._read(out, checked, found, weights)
            if lean or wanted:
                out.counts[place] = found
            return
        self._read(out, checked, batch, None)
        chunk = self._read(Gathered(), names, batch, None)
        self._measure(out, lean, chunk, batch.num_rows)

    def _read(
        self,
        out: Gathered,
        names: Sequence[str],
        batch: pa.RecordBatch | pa.Table,
        weights: np.ndarray | None,
    ) -> dict[str, np.ndarray]:
        """Return values, noting what is wrong with them."""
        chunk: dict[str, np.ndarray] = {}
        columns = self.reader.columns
        for name in names:
            chunk[name], bad = columns[name].read(batch, self.orders.get(name, ()), weights)
            _merge(out.problems, bad)
        for name in names:
            if any(name == n for n, _ in out.problems):
                continue
            known = chunk
            for other in columns[name].given:
                if other not in known:
                    values, _ = columns[other].read(batch, self.orders.get(other, ()), weights)
                    known = {**known, other: values}
            _merge(out.problems, columns[name].outside(chunk[name], known, weights))
        return chunk

    def _measure(
        self,
        out: Gathered,
        which: Sequence[int],
        chunk: Mapping[str, np.ndarray],
        rows: int,
        counts: np.ndarray | None = None,
    ) -> None:
        """Add the statistics of rows to those of their samplers."""
        if out.problems:  # refused at the end, and perhaps not fit to be used
            return
        reader = self.reader
        for i in which:
            sampler = reader.samplers[i]
            for start in range(0, rows, ROWS):
                window = slice(start, min(start + ROWS, rows))
                part = {n: _cut(chunk[n], reader.columns[n], window) for n in sampler.columns}
                weights = None if counts is None else counts[window]
                reader.lookups.note(out.entries, sampler.observed, part)
                try:
                    found = sampler.statistics(part, weights, reference=self.references.get(i))
                except NotAffineError as error:
                    out.failed[i] = str(error)
                    break
                if getattr(found, "reference", None) is not None:
                    self.references.setdefault(i, found.reference)
                have = out.statistics.get(i)
                out.statistics[i] = found if have is None else have + found

    def from_counts(self, found: pa.Table) -> Gathered:
        """Return what rows come down to whose distinct ones an engine has counted."""
        weights = found[COUNT].to_numpy()
        out = Gathered(rows=int(weights.sum()))
        self._read(out, self.layout.checked(0), found, weights)
        out.counts[0] = found
        return out

    def add(self, one: Gathered, other: Gathered) -> Gathered:
        """Return what two sets of rows come down to together."""
        out = Gathered(
            one.rows + other.rows,
            _merge(dict(one.problems), other.problems),
            failed={**one.failed, **other.failed},
            entries=together(one.entries, other.entries),
        )
        for part in (one, other):
            for i, found in part.statistics.items():
                have = out.statistics.get(i)
                out.statistics[i] = found if have is None else have + found
        for place in range(len(self.layout.counted)):
            held = [p.counts[place] for p in (one, other) if place in p.counts]
            if not held:
                continue
            found = held[0] if len(held) == 1 else merged(*held)
            lean = self.layout.leaning[place]
            mixed = len(held) == 1 and any(i in out.statistics for i in lean)
            if place in self.layout.wanted or not (mixed or found.num_rows > MOST):
                out.counts[place] = found
            else:
                self.turn(out, place, found)
        return out

    def rows_of(
        self, found: Gathered, names: Sequence[str], equation: str
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Return distinct rows of what an equation reads, and their counts."""
        sets = self.layout.counted
        place = next(k for k in self.layout.wanted if set(names) <= set(sets[k]))
        parts = [part for n in names for part in self.reader.columns[n].parts]
        counted = folded(found.counts[place], parts)
        counts = counted[COUNT].to_numpy().astype(float)
        entries: Entries = {}
        chunk = self._read(Gathered(), names, counted, counts)
        self.reader.lookups.note(entries, [equation], chunk)
        self.reader.lookups.refuse(entries)
        return chunk, counts

    def turn(self, out: Gathered, place: int, counted: pa.Table) -> None:
        """Turn the distinct rows of a set of variables into statistics, added to `out`."""
        counts = counted[COUNT].to_numpy().astype(float)
        scratch = Gathered()
        chunk = self._read(scratch, self.layout.counted[place], counted, counts)
        if not scratch.problems:
            self._measure(out, self.layout.leaning[place], chunk, len(counts), counts)


def _cut(values: np.ndarray, column: Column, window: slice) -> np.ndarray:
    return values[(*(slice(None),) * column.place, window)]


def _merge(into: Problems, more: Problems) -> Problems:
    for key, (cells, example) in more.items():
        before = into.get(key, (0, example))
        into[key] = (before[0] + cells, before[1])
    return into
