r"""Nearest units of the other arm: which, and with what weight.

A match is a row of weights over the units of the other arm, which sum to one. Where several are
equally near, ``"first"`` takes those that stand first in the data and ``"average"`` takes them all.
Units with the same values are one point of a k-d tree [1]_, so that discrete covariates, with many
ties, cost little.

References
----------
.. [1] J. L. Bentley, "Multidimensional binary search trees used for associative searching",
   Communications of the ACM 18 (1975), 509-517.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Search", "greedy", "nearest", "searched"]


class Search(Protocol):
    """A search for the nearest, as scikit-learn's NearestNeighbors."""

    def fit(self, x: np.ndarray, /) -> Self:
        """Take the points among which it searches."""

    def kneighbors(self, x: np.ndarray, /, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
        """Return distances and places of the nearest."""


#: Further points that are looked at, since some may be equally near.
MORE = 8


def nearest(
    points: np.ndarray, others: np.ndarray, k: int, ties: str, caliper: float = np.inf
) -> csr_array:
    """Return the matches ``(unit, other)`` with replacement.

    - `points`, `others` (unit, coordinate): distances between them are Euclidean.
    - `k`: how many others each unit is matched with.
    - `ties` ("first" or "average"): whom to take of those that are equally near.
    - `caliper`: nobody further away is matched; a row without a match is empty.

    Examples
    --------
    >>> import numpy as np
    >>> others = np.array([[1.0], [1.0], [5.0]])
    >>> nearest(np.array([[0.0]]), others, 1, "average").toarray().tolist()
    [[0.5, 0.5, 0.0]]
    """
    distinct, place = np.unique(others, axis=0, return_inverse=True)
    place = place.reshape(-1)
    order = np.argsort(place, kind="stable")
    counts = np.bincount(place, minlength=len(distinct))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    power = 1 if points.shape[1] == 1 else 2  # of one coordinate, distances without rounding
    many = min(k + MORE, len(distinct))
    distance, found = cKDTree(distinct).query(points, k=[*range(1, many + 1)], p=power)
    if ties == "average":
        return _averaged(distance, found, counts, starts, order, k, caliper, len(others))
    return _first(distance, found, counts, starts, order, k, caliper, len(others))


def greedy(
    points: np.ndarray,
    others: np.ndarray,
    k: int,
    turns: Sequence[int] | np.ndarray,
    caliper: float = np.inf,
) -> csr_array:
    """Return the matches ``(unit, other)`` without replacement: the nearest that is left.

    `turns`: the order in which units choose; for k > 1 they choose in so many rounds.
    """
    free = np.ones(len(others), dtype=bool)
    chosen: list[list[int]] = [[] for _ in points]
    for _ in range(k):
        for i in turns:
            away = np.sqrt(((others - points[i]) ** 2).sum(axis=1)) if points.shape[1] > 1 else (
                np.abs(others[:, 0] - points[i, 0])
            )  # fmt: skip
            away[~free] = np.inf
            j = int(away.argmin())
            if np.isfinite(away[j]) and away[j] <= caliper:
                free[j] = False
                chosen[i].append(j)
    rows = np.repeat(np.arange(len(points)), [len(c) for c in chosen])
    columns = np.array([j for c in chosen for j in c], dtype=int)
    return _shares(rows, columns, (len(points), len(others)))


def searched(
    points: np.ndarray, others: np.ndarray, k: int, search: Search, caliper: float = np.inf
) -> csr_array:
    """Return the matches by a search of one's own: an object with ``fit`` and ``kneighbors``."""
    distance, found = search.fit(others).kneighbors(points, n_neighbors=k)
    rows = np.repeat(np.arange(len(points)), k)
    inside = np.ravel(distance) <= caliper
    return _shares(rows[inside], np.ravel(found)[inside], (len(points), len(others)))


# ------------------------------------------------------------------------------- private


def _shares(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_array:
    """Return matches of which each row has equal weights that sum to one."""
    counts = np.bincount(rows, minlength=shape[0])
    values = 1.0 / counts[rows] if len(rows) else np.empty(0)
    return csr_array((values, (rows, columns)), shape=shape)


def _first(
    distance: np.ndarray,
    found: np.ndarray,
    counts: np.ndarray,
    starts: np.ndarray,
    order: np.ndarray,
    k: int,
    caliper: float,
    size: int,
) -> csr_array:
    """Take the k nearest, of those equally near the first in the data."""
    steps = np.arange(min(k, int(counts.max())))
    member = starts[found][..., None] + steps  # unit, point, member
    there = steps < counts[found][..., None]
    index = np.where(there, order[np.minimum(member, size - 1)], size)
    away = np.where(there, distance[..., None], np.inf)
    index, away = (v.reshape(len(found), -1) for v in (index, away))
    ranked = np.lexsort((index, away), axis=1)[:, :k]
    index, away = (np.take_along_axis(v, ranked, axis=1) for v in (index, away))
    inside = np.isfinite(away) & (away <= caliper)
    rows = np.broadcast_to(np.arange(len(found))[:, None], index.shape)[inside]
    return _shares(rows, index[inside], (len(found), size))


def _averaged(
    distance: np.ndarray,
    found: np.ndarray,
    counts: np.ndarray,
    starts: np.ndarray,
    order: np.ndarray,
    k: int,
    caliper: float,
    size: int,
) -> csr_array:
    """Take the k nearest and all that are as near as the last of them."""
    reached = np.cumsum(counts[found], axis=1)
    last = np.argmax(reached >= min(k, size), axis=1)
    limit = np.take_along_axis(distance, last[:, None], axis=1)
    inside = (distance <= limit * (1 + 1e-12)) & (distance <= caliper)
    unit, column = np.nonzero(inside)
    point = found[unit, column]
    sizes = counts[point]
    rows = np.repeat(unit, sizes)
    offsets = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    columns = order[np.repeat(starts[point], sizes) + offsets]
    return _shares(rows, columns, (len(found), size))
