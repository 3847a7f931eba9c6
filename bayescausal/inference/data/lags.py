r"""A lag held as data: a column that is another variable's column one time before.

In a table of units and times the value of one time before is often put beside the row and read as
``pm.Data``. For the model it is then a column like any other, which stays as it is when something
changes the variable itself: an effect is the one *within one time* alone,

.. math:: y_t = b\, x_t + \rho\, y_{t-1} + e_t: \qquad b, \text{ and not } b / (1 - \rho) .

The column is known by its numbers. Continuous values stand in other rows of the variable, whatever
the order of the rows. Discrete ones, and values up to origin and unit, follow it row after row
within units (that a column of the model tells apart, or that have the same number of rows), or
along an axis of an array. It is refused where the variable has an equation, so that something can
change it, and noted where it has none (``x`` and its lag both ``pm.Data``).

The past as a variable with an equation of its own (``y_before ~ Normal(...)``) is a model of two
times, in which it is a cause like others; this is noted.

References
----------
J. M. Robins, A new approach to causal inference in mortality studies with a sustained exposure
period, *Mathematical Modelling* 7, 1986: effects of a history are not those of its last value.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from pytensor.graph.traversal import ancestors

from bayescausal.inference.data.duplicate_columns import CHANCE, ROUNDING, relation
from bayescausal.model.noise.records import record_of
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from bayescausal.annotations import Array
    from bayescausal.model.structure.structure import Structure

__all__ = ["is_lag", "lags_held", "likely_lags"]

#: Rows that hold the row before: all but the first of each unit, which may have any value.
SHARE = 0.5
#: Share of different values from which one is known by its value.
DISTINCT = 0.8
#: Rows below which nothing is told.
LEAST = 8
#: Rows of coded values that are tried first.
FEW = 64
#: Rows that are looked at, and columns of units that are tried.
ROWS, UNITS = 20_000, 20
#: Units, or times, of which some number of rows apart is tried.
MANY = 2_000
#: Triples of rows by which pairs of columns are sorted out.
TRIPLES = 128


def lags_held(structure: Structure, columns: Mapping[str, Array]) -> tuple[str, ...]:
    """Refuse a column that holds a modelled variable one time before; note what has no equation.

    `columns`: those of the model.
    """
    graph = structure.graph
    found = [n for n in (*structure.data, *structure.random) if n in columns and n in graph]
    read = [n for n in found if graph.out_degree(n)]
    units = _units(columns)
    notes = []
    for copy, name in likely_lags({n: columns[n] for n in found}, read, units):
        own = structure.dims.get(copy) == structure.dims.get(name)
        if not own or not is_lag(columns[copy], columns[name], units):
            continue
        if _bounds_a_record(structure, copy, name):
            continue
        readers = ", ".join(graph.successors(copy))
        if copy in structure.data and name in structure.random:
            raise DataError(
                f"The column {copy!r} holds the variable {name!r} one time before: a lag held as "
                f"data. {readers} would read it as it is when something changes {name} at an "
                "earlier time, and an effect would be the one within one time alone.",
                expected=f"a model in which {name} at one time reads {name} at the time before.",
                remedy=f"Write the model over (unit, time), a variable for each time: {name}_1, "
                f'{name}_2, ..., with dims="unit", each reading the one before it. For the effect '
                f"within one time, the past as it was, give the past an equation of its own: "
                f"{copy} = pm.Normal({copy!r}, ...) in the place of pm.Data.",
            )
        notes.append(
            f"{copy} holds {name} one time before: setting {name} leaves it as it is, so that an "
            "effect is the one within one time."
        )
    return tuple(notes)


def _bounds_a_record(structure: Structure, copy: str, name: str) -> bool:
    """Whether a column says from when on a variable was watched, and nothing of its distribution.

    A row of an interval enters where the row before it ends.
    """
    if copy not in structure.data or list(structure.graph.successors(copy)) != [name]:
        return False
    record = record_of(structure.variable(name))
    return record is not None and structure.model[copy] not in ancestors([record.base])


def is_lag(copy: Array, source: Array, units: Iterable[Array] = ()) -> bool:
    """Whether a column holds another one, one time before.

    `units`: columns that may say which unit a row belongs to.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.random.default_rng(1).normal(size=50)
    >>> is_lag(np.append(0.3, y[:-1]), y), is_lag(y**2, y), is_lag(y, y)
    (True, False, False)
    """
    if copy.shape != source.shape or {copy.dtype.kind, source.dtype.kind} - set("biuf"):
        return False
    if relation(source, copy) is not None:
        return False
    a, b = np.asarray(copy, dtype=float), np.asarray(source, dtype=float)
    if a.ndim > 1:
        return any(
            _follows(_along(a, axis, 1), _along(b, axis, 0), _along(a, axis, 0))
            for axis in range(a.ndim)
        )
    a, b = a[:ROWS], b[:ROWS]
    if len(a) < LEAST:
        return False
    if _elsewhere(a, b):
        return True
    coded = len(np.unique(a)) < DISTINCT / 4 * len(a)  # so it is in any quarter of the rows
    if any(_follows(a[i], b[j], a[j], coded=coded) for i, j in _alignments(len(a))):
        return True
    known = (u[:ROWS] for u in units if len(u) == len(copy))
    return any(_follows(a[i], b[j], a[j]) for i, j in map(_pairs, known))


def likely_lags(
    columns: Mapping[str, Array], copies: Iterable[str], units: Iterable[Array]
) -> list[tuple[str, str]]:
    """Return the pairs of a copy and a column that may be lags: all pairs are tried at once.

    Of three rows of a lag all lie on its line with probability 1/8 or more. Among many triples of
    rows that hardly ever holds for fewer than two; of coded values all rows lie on the line.

    Examples
    --------
    >>> import numpy as np
    >>> y, z = np.random.default_rng(1).normal(size=(2, 50))
    >>> columns = {"z": z, "y": y, "before": np.append(0.3, y[:-1])}
    >>> ("before", "y") in likely_lags(columns, ["before"], [])
    True
    """
    copies = list(copies)
    flat = {n: np.asarray(c[:ROWS], float) for n, c in columns.items() if _is_plain(c)}
    pairs = [(c, n) for c in copies for n in columns if c != n]
    rows = max(map(len, flat.values()), default=0)
    if len(flat) * len(copies) < FEW and rows < FEW:
        return pairs
    likely: set[tuple[str, str]] = set()
    for length in {len(c) for c in flat.values()}:
        names = [n for n in flat if len(flat[n]) == length]
        table = np.stack([flat[n] for n in names])
        coded = np.array([len(np.unique(c)) < DISTINCT / 4 * length for c in table])
        found = _share_values(table, coded)
        size = ROUNDING * np.nanmax(np.abs(table), axis=1, initial=0.0)
        apart = 1e-3 * np.ptp(np.nan_to_num(table), axis=1)
        known = (u[:ROWS] for u in units if len(u[:ROWS]) == length)
        for now, before in (*_alignments(length), *map(_pairs, known)):
            found |= _may_follow(table, coded, size, apart, now, before)
        likely |= {(names[i], names[j]) for i, j in zip(*np.nonzero(found), strict=True)}
    wide = columns.keys() - flat.keys()
    return [p for p in pairs if p in likely or wide.intersection(p)]


# ------------------------------------------------------------------------------- private


def _along(array: Array, axis: int, start: int) -> Array:
    """Return all but the first, or the last, along an axis, flat."""
    cut = slice(1, None) if start else slice(None, -1)
    return np.moveaxis(array, axis, 0)[cut].ravel()


def _is_plain(column: Array) -> bool:
    """Whether a column has one axis, numbers, and rows enough to tell."""
    return column.ndim == 1 and column.dtype.kind in "biuf" and len(column) >= LEAST


def _alignments(count: int) -> Iterator[tuple[Array, Array]]:
    """Return rows, and for each the row of the time before: as many ways as times may be ordered.

    The time before lies one row back, or as many as there are units, or one row back within blocks
    of as many rows; times go upwards or downwards.
    """
    rows = np.arange(count)
    for k in range(1, min(count // 2, MANY) + 1):
        if count % k:
            continue
        late, early = rows[k:], rows[:-k]
        yield from ((late, early), (early, late))
        if k > 1:
            blocks = rows.reshape(-1, k)
            late, early = blocks[:, 1:].ravel(), blocks[:, :-1].ravel()
            yield from ((late, early), (early, late))


def _pairs(unit: Array) -> tuple[Array, Array]:
    """Return the rows but the first of each unit, and the rows before them."""
    order = np.argsort(unit, kind="stable")
    same = unit[order][1:] == unit[order][:-1]
    return order[1:][same], order[:-1][same]


def _share_values(table: Array, coded: Array) -> NDArray[np.bool_]:
    """Return which columns, shape (copy, source), may hold each other's continuous values."""
    values = np.where(coded[:, None], np.nan, table)
    order = np.argsort(values, axis=None)
    which, held = order // table.shape[1], values.ravel()[order]
    same = (held[1:] == held[:-1]) & (which[1:] != which[:-1])
    shared = np.zeros(len(table), bool)
    shared[which[1:][same]] = shared[which[:-1][same]] = True
    return np.asarray(shared[:, None] & shared)


def _may_follow(
    table: Array, coded: Array, size: Array, apart: Array, now: Array, before: Array
) -> NDArray[np.bool_]:
    """Return which columns, shape (copy, source), may lie on a line with which others.

    `size`, `apart`: of each column, its rounding, and a difference that is none by rounding.
    Whether three rows lie on a line that is not upright is told up to rounding, as :func:`_near`
    tells it, and more widely; rows with empty cells may.
    """
    if len(now) < LEAST:
        return np.zeros((len(table),) * 2, bool)
    rng = np.random.default_rng(0)
    first, steps = rng.integers(0, len(now), TRIPLES), rng.integers(1, len(now) // 2, (2, TRIPLES))
    rows = np.vstack([first, steps]).cumsum(axis=0) % len(now)  # three different ones
    a, b = table[:, now[rows]], table[:, before[rows]]
    (a1, a2), (b1, b2) = (np.moveaxis(v[:, 1:] - v[:, :1], 1, 0) for v in (a, b))
    slack_a, slack_b = (np.abs(one) + np.abs(two) for one, two in ((b1, b2), (a1, a2)))
    level = (b1 == 0) & (b2 == 0)
    out = np.empty((len(table),) * 2, bool)
    for i in range(len(table)):
        gap = np.abs(a1[i] * b2 - a2[i] * b1)
        off = gap > 4 * (size[i] * slack_a + size[:, None] * slack_b[i])
        off |= level & (np.maximum(np.abs(a1[i]), np.abs(a2[i])) > apart[i])
        out[i] = off.sum(axis=1) <= (0 if coded[i] else TRIPLES - 2)
    return out


def _elsewhere(a: Array, b: Array) -> bool:
    """Whether continuous values of one column stand in other rows of another."""
    seen = a[np.isfinite(a)]
    known, places = np.unique(b[np.isfinite(b)], return_index=True)
    fractions = np.any(known != np.rint(known))
    if len(seen) < LEAST or len(known) < DISTINCT * len(b) or not fractions:
        return False
    if len(np.unique(seen)) < DISTINCT * len(seen):
        return False
    rows = np.flatnonzero(np.isfinite(b))[places]
    at = np.clip(np.searchsorted(known, a), 0, len(known) - 1)
    here = known[at] == a
    moved = here & (rows[at] != np.arange(len(a)))
    return bool(moved.sum() >= SHARE * np.isfinite(a).sum())


def _follows(a: Array, b: Array, own: Array, *, coded: bool = False) -> bool:
    """Whether two columns are the same up to origin and unit, and not by chance.

    Not where a column follows from itself (`own`, one time before): what goes round in a circle or
    rises evenly along the rows, a plan of treatments or a trend, follows anything that does.
    """
    seen = np.isfinite(a) & np.isfinite(b) & np.isfinite(own)
    count = len(a)
    if not seen.all():
        a, b, own = a[seen], b[seen], own[seen]
    if len(a) < LEAST or 2 * len(a) < count:
        return False
    if not _on_a_line(a, b, coded=coded) or _determined(a, own):
        return False
    counts = np.unique(a, return_counts=True)[1]
    orders = math.lgamma(len(a) + 1) - sum(math.lgamma(c + 1) for c in counts)
    changes = np.count_nonzero(np.diff(a))
    return bool(math.log(2) - orders < math.log(CHANCE) and changes > 1)


def _determined(a: Array, own: Array) -> bool:
    """Whether a column is a function of its own value before: on a line, or value by value."""
    if _on_a_line(a, own):
        return True
    code = np.unique(own, return_inverse=True)[1]
    if code.max() + 1 > len(a) / 2:
        return False
    first = np.full(code.max() + 1, np.nan)
    first[code] = a
    return bool(np.all(first[code] == a))


def _on_a_line(a: Array, b: Array, *, coded: bool = False) -> bool:
    """Whether all points, or of continuous ones most, lie on one line that rises or falls."""
    places = [int(np.argmin(b)), int(np.argmax(b))]
    if coded:
        few = slice(None, None, max(1, len(a) // FEW))
        near = _near(a, b, *places)
        if near is None or not near(few).all():
            return False
    discrete = coded or len(np.unique(a)) < DISTINCT * len(a)
    if not discrete:
        places += np.linspace(0, len(b) - 1, 5).astype(int).tolist()
    for i, j in combinations(places, 2):
        near = _near(a, b, i, j)
        if near is not None and near(slice(None)).mean() >= (1.0 if discrete else SHARE):
            return True
    return False


def _near(a: Array, b: Array, i: int, j: int) -> Callable[[slice], Array] | None:
    """Return which rows lie on the line through two of them; None where it is level or upright."""
    if b[i] == b[j] or a[i] == a[j]:
        return None
    slope = (a[i] - a[j]) / (b[i] - b[j])
    slack = ROUNDING * (np.abs(a).max() + np.abs(slope) * np.abs(b).max())
    if slack >= abs(a[i] - a[j]):
        return None  # level but for rounding: every row would lie on it
    return lambda rows: np.abs(a[rows] - a[i] - slope * (b[rows] - b[i])) <= slack


def _units(columns: Mapping[str, Array]) -> list[Array]:
    """Return columns that may say which unit a row belongs to: few values, several rows of each."""
    out: list[Array] = []
    for column in columns.values():
        if column.ndim != 1 or len(out) == UNITS:
            continue
        if column.dtype.kind == "f":
            continue
        codes = np.unique(column.astype(str), return_inverse=True)[1]
        if 1 < codes.max() + 1 <= len(codes) / 2:
            out.append(codes)
    return out
