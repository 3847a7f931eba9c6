"""One column under two names: a graph with an arrow that the data say is there, and it is not.

A mediator is often written twice in PyMC: once as ``pm.Data`` in the outcome's equation, once as
the observed variable of a likelihood of its own. Both hold the same numbers, but for the model they
are two things: an intervention on the treatment changes the variable and not the column that the
outcome reads, so that the path through the mediator is cut without a word and a total effect is
answered by the direct one. Numbers that are the same up to origin and unit (a standardised copy)
are the same column.

Equal numbers are no proof where few orders of them are possible (ten zeros and ones), nor where the
variable descends from the column (a treatment that everybody took as assigned).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.model.structure import Structure

__all__ = ["one_name_each", "same_numbers"]

#: Two columns may agree by chance this often.
CHANCE = 1e-6
#: How far from a straight line the same numbers may be, by rounding.
ROUNDING = 1e-10
#: Rows that are looked at first.
FEW = 1000


def one_name_each(structure: Structure, columns: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Refuse a column that stands for a modelled variable in the equation of another.

    Parameters
    ----------
    structure : Structure
        The model, read.
    columns : mapping of str to ndarray
        Its columns.

    Returns
    -------
    tuple of str
        A note for each two columns without an equation that hold the same numbers.

    Raises
    ------
    DataError
        Naming both, and who reads the copy.
    """
    graph = structure.graph
    read = [n for n in structure.data if n in columns and n in graph and graph.out_degree(n)]
    for name in structure.random:
        if name not in columns:
            continue
        for copy in read:
            if nx.has_path(graph, copy, name) or not same_numbers(columns[name], columns[copy]):
                continue
            readers = ", ".join(graph.successors(copy))
            raise DataError(
                f"The column {copy!r} holds the numbers of the variable {name!r}: one column under "
                f"two names. {readers} would read {copy}, which stays as it is when something "
                f"changes {name}.",
                expected="the variable itself in the equations that read it.",
                remedy=f"In the equation of {readers} write the variable {name} in place of the "
                f"pm.Data {copy!r}.",
            )
    return tuple(
        f"{a} and {b} hold the same numbers: setting one leaves the other as it is. If they are "
        "one column, write it once."
        for i, a in enumerate(read)
        for b in read[i + 1 :]
        if same_numbers(columns[a], columns[b])
    )


def same_numbers(one: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether two columns hold the same numbers, up to origin and unit, and not by chance.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.inference.twins import same_numbers
    >>> x = np.random.default_rng(1).normal(size=50)
    >>> same_numbers(x, (x - x.mean()) / x.std()), same_numbers(x, x + 0.01 * x**2)
    (True, False)
    >>> same_numbers(np.array([0, 1, 0]), np.array([0, 1, 0]))
    False
    """
    if one.shape != other.shape or {one.dtype.kind, other.dtype.kind} - set("biuf"):
        return False
    a, b = (np.asarray(v, dtype=float).ravel() for v in (one, other))
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return False
    a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    if not (_straight(a[:FEW], b[:FEW]) and _straight(a, b)):
        return False
    counts = np.unique(a, return_counts=True)[1]
    orders = math.lgamma(len(a) + 1) - sum(math.lgamma(c + 1) for c in counts)
    return math.log(2) - orders < math.log(CHANCE)


def _straight(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether points lie on a line that is neither level nor upright."""
    if len(a) < 2:
        return False
    a, b = a - a.mean(), b - b.mean()
    size_a, size_b = np.abs(a).max(), np.abs(b).max()
    if not size_a or not size_b:
        return len(a) <= FEW and not size_a and not size_b
    slope = np.dot(a, b) / np.dot(a, a)
    return bool(slope) and bool(np.abs(b - slope * a).max() <= ROUNDING * size_b)
