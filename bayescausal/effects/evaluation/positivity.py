"""Whether units alike in what is adjusted for can have another treatment, as far as the data show.

A column that no equation explains may be a function of others all the same: the treatment above a
threshold of a score, or within a window of it; a policy that begins in a year, or in a year and in
some states; age as the year less the year of birth. Then no unit has another treatment with the
same values of these. Or another column is a function of the treatment: its square, its product with
a third, which a table holds beside it. The treatment cannot then change while that column stays.

A function shows itself: in the order of the score the treatment goes back at most
:data:`TURNS` times; within each combination of values it is the same; it is a weighted sum of the
columns, exactly. By chance that is as likely as the data's orders that look so among all orders;
less than :data:`CHANCE`, and it is taken for a function [1]_.

It fails for a function of several continuous columns that is no weighted sum: then overlap
(:func:`bayescausal.overlap`) shows it. A treatment that is assigned by group (of schools, say) is
the same within each group by design: where what the groups have of their own comes from one
distribution (partial pooling), other groups tell, and it is not counted. Beside a free coefficient
for each group nothing tells the treatment from these.

References
----------
.. [1] G. W. Imbens and T. Lemieux, "Regression discontinuity designs: a guide to practice",
   Journal of Econometrics 142, 2008.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.inference.data.function_of import CHANCE, is_function, log_choose
from bayescausal.model.structure.integer_roles import is_pooled, role_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bayescausal.inference.record import Fit

__all__ = ["Tied", "tied_in_data"]

#: How often a function may turn: a threshold never, a square once, a window once, a cube twice.
TURNS = 2

#: With as many values or fewer, a column makes combinations.
VALUES = 50

#: So many rows are looked at first; the others only where these look like a function.
FIRST = 2000

#: A weighted sum leaves over less than this of a column's spread, and has so many rows to spare.
EXACT, SPARE = 1e-9, 20


@dataclass(frozen=True)
class Tied:
    """How a treatment hangs on columns that are adjusted for."""

    of: tuple[str, ...] = ()  # the columns that fix the treatment; empty if every unit has the same
    # Where not empty: the adjusted column that is a function of the treatment (and of `of`).
    moves: str = ""


def tied_in_data(fit: Fit, name: str, held: Iterable[str]) -> Tied | None:
    """Return how a treatment hangs on what is adjusted for, in the data of a fit.

    Returns: None where units alike in `held` can have another treatment, as far as it shows.
    """
    own, held = fit.columns.get(name), tuple(held)
    step = max(np.size(own) // FIRST, 1) if own is not None else 1
    found = None
    for every in dict.fromkeys((step, 1)):
        columns = _columns(fit, name, held, every)
        labelled = _labelled(fit, columns)
        pooled = {n for n in labelled & columns.keys() if is_pooled(fit.structure, n)}
        found = _tied(columns, name, labelled, pooled) if name in columns else None
        if found is None:
            return None
    return found


# --------------------------------------------------------------------------- private


def _columns(fit: Fit, name: str, held: Iterable[str], every: int) -> dict[str, np.ndarray]:
    """Return the columns as numbers, of every so many units, where all are known."""
    own, dims = fit.columns.get(name), fit.structure.dims.get(name, ())
    found: dict[str, np.ndarray] = {}
    if own is None:
        return found
    for other in (name, *held):
        column = fit.columns.get(other)
        if column is None or np.asarray(column).dtype.kind not in "biuf":
            continue
        shape = np.asarray(own).shape
        spread = _spread(np.asarray(column), fit.structure.dims.get(other, ()), dims, shape)
        if spread is not None:
            found[other] = spread.reshape(-1)[::every].astype(float)
    complete = np.all([np.isfinite(c) for c in found.values()], axis=0)
    return {n: c[complete] for n, c in found.items()}


def _spread(
    column: np.ndarray, own: tuple[str, ...], dims: tuple[str, ...], shape: tuple[int, ...]
) -> np.ndarray | None:
    """Return a column along the treatment's dims, the same for all units of a group; or None."""
    if own != tuple(d for d in dims if d in own) or column.ndim != len(own):
        return None
    wide = tuple(n if d in own else 1 for d, n in zip(dims, shape, strict=True))
    return np.broadcast_to(column.reshape(wide), shape) if column.size == np.prod(wide) else None


def _labelled(fit: Fit, columns: Mapping[str, np.ndarray]) -> frozenset[str]:
    """Return which columns name groups: they have labels, or an equation reads them as an index."""
    structure = fit.structure
    whole = [n for n, c in columns.items() if n in structure.data and np.all(c == np.round(c))]
    indexes = [n for n in whole if role_of(structure, n) == "label"]
    return frozenset(fit.labels) | frozenset(indexes)


def _tied(
    columns: Mapping[str, np.ndarray], name: str, labelled: frozenset[str], pooled: set[str]
) -> Tied | None:
    x = columns[name]
    others = {n: c for n, c in columns.items() if n != name}
    if len(x) > 1 and np.all(x == x[0]):
        return Tied()
    numbers = {n: c for n, c in others.items() if n not in labelled}
    if name in labelled:
        for other, column in numbers.items():
            if is_function(x, column, TURNS, labels=True):
                return Tied((other,))
    else:
        product = _product(x, numbers)
        if product:
            return product
        for other, column in numbers.items():
            if is_function(x, column, TURNS):
                return Tied((other,))
            if is_function(column, x, TURNS):
                return Tied(moves=other)
        total = _sum_of(x, numbers)
        if total:
            return Tied(total)
    rule = _box_of(x, numbers) or _cells_of(x, others, labelled, pooled)
    return Tied(rule) if rule else None


def _box_of(x: np.ndarray, numbers: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return the columns whose ranges say where a two-valued x has one of its values.

    Eligible is who has a score of 60 and an age of 40 at least; both or one of them.
    """
    values, place = np.unique(x, return_inverse=True)
    if len(values) != 2:
        return ()
    names = [n for n, c in numbers.items() if np.ptp(c) > 0]
    for which in (place == 0, place == 1):
        inside = {
            n: (c >= c[which].min()) & (c <= c[which].max())
            for n, c in ((n, numbers[n]) for n in names)
        }
        kept = [*names]
        for name in names:  # those that the others do without
            rest = [inside[n] for n in kept if n != name]
            if rest and np.array_equal(np.all(rest, axis=0), which):
                kept.remove(name)
        if not kept or not np.array_equal(np.all([inside[n] for n in kept], axis=0), which):
            continue
        # so many boxes have ends among the values, and so many ways there are to be inside
        boxes = 2 * len(kept) * math.log(len(x)) + log_choose(len(names), len(kept)) + math.log(2)
        if boxes - log_choose(len(x), int(which.sum())) < math.log(CHANCE):
            return tuple(kept)
    return ()


def _sum_of(x: np.ndarray, numbers: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return the columns of which x is a weighted sum, exactly; none if it is not."""
    names = [n for n, c in numbers.items() if np.ptp(c) > 0]
    if not names or len(x) < len(names) + 1 + SPARE:
        return ()
    design = np.column_stack([_standard(numbers[n]) for n in names])
    weights, left = _fitted(_standard(x), design)
    return tuple(n for n, w in zip(names, weights, strict=True) if abs(w) > EXACT) if left else ()


def _product(x: np.ndarray, numbers: Mapping[str, np.ndarray]) -> Tied | None:
    """Return the column that is a product of x and another, up to the origins of the two."""
    if len(x) < 4 + SPARE:
        return None
    own = _standard(x)
    for third, column in numbers.items():
        if np.ptp(column) == 0:
            continue
        with_it = _standard(column)
        design = np.column_stack([own, with_it, _standard(own * with_it)])
        for other, values in numbers.items():
            if other == third or np.ptp(values) == 0:
                continue
            weights, left = _fitted(_standard(values), design)
            if left and abs(weights[2]) > EXACT:
                return Tied((third,), moves=other)
    return None


def _cells_of(
    x: np.ndarray, others: Mapping[str, np.ndarray], labelled: frozenset[str], pooled: set[str]
) -> tuple[str, ...]:
    """Return the columns within whose combinations x is the same; none for groups that pool."""
    few = {n: np.unique(c, return_inverse=True)[1] for n, c in others.items()}
    few = {n: codes for n, codes in few.items() if n in labelled or codes.max() < VALUES}
    if not few or not _constant(x, list(few.values())):
        return ()
    kept = dict(few)
    for name in sorted(few, key=lambda n: n in labelled):  # a number before a group is left out
        rest = [codes for n, codes in kept.items() if n != name]
        if rest and _constant(x, rest):
            del kept[name]
    return () if len(kept) == 1 and set(kept) <= pooled else tuple(kept)


def _constant(x: np.ndarray, codes: list[np.ndarray]) -> bool:
    """Whether x is the same within each combination, and not by chance."""
    cell = np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].reshape(-1)
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    pairs = np.unique(np.column_stack([cell, place]), axis=0)
    if len(pairs) > cell.max() + 1:
        return False
    share = np.log(counts / len(x))
    size = np.bincount(cell)
    likely = np.logaddexp.reduce(np.outer(size[size > 1], share), axis=1)
    return bool(likely.sum() < math.log(CHANCE))


def _fitted(x: np.ndarray, design: np.ndarray) -> tuple[np.ndarray, bool]:
    weights = np.linalg.lstsq(design, x, rcond=None)[0]
    return weights, bool(np.abs(x - design @ weights).max() < EXACT)


def _standard(column: np.ndarray) -> np.ndarray:
    spread = column.std()
    return np.asarray((column - column.mean()) / (spread if spread > 0 else 1.0))
