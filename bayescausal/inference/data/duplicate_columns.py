"""One column under two names: a graph with an arrow that the data say is there, and it is not.

A mediator is often written twice in PyMC: once as ``pm.Data`` in the outcome's equation, once as
the observed variable of a likelihood of its own. Both hold the same numbers, but for the model they
are two things: an intervention on the treatment changes the variable and not the column that the
outcome reads, so that the path through the mediator is cut without a word and a total effect is
answered by the direct one. Numbers that are the same up to origin and unit (a standardised copy)
are the same column; so are its square, logarithm, root, rounded values or product with another
column, a column of a design matrix, and a copy whose empty cells were filled. Another function of
it that goes one way (ranks, an indicator above a threshold) is noted. Among columns without an
equation (``age`` and ``age2``) all this is noted, and so are dummies of one category.

Equal numbers are no proof where few orders of them are possible (ten zeros and ones), nor where the
variable descends from the column (a treatment that everybody took as assigned).
"""

from __future__ import annotations

import itertools
import math
import re
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from bayescausal.inference.data.function_of import is_function
from bayescausal.model.structure.design_matrix import entries_of, entry_names
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bayescausal.model.structure.structure import Structure

__all__ = ["FEW", "notes_about", "one_name_each", "relation", "same_numbers"]

#: Two columns may agree by chance this often.
CHANCE = 1e-6
#: How far from a straight line the same numbers may be, by rounding.
ROUNDING = 1e-10
#: Rows that are looked at first.
FEW = 1000
#: Columns up to which products of two are tried.
MANY = 20
#: From so many columns on, all are first compared roughly by the first so many of their numbers; no
#: fewer than so many tell.
LEAST, SOME, ENOUGH, ROUGH = 6, 64, 8, 1e-6
#: What a column may be of another.
_TURNS: tuple[tuple[str, Any], ...] = (
    ("the square", np.square),
    ("the logarithm", np.log),
    ("the logarithm of 1 + x", np.log1p),
    ("the root", np.sqrt),
    ("the exponential", np.exp),
    ("the cube", lambda v: v**3),
    ("the inverse", lambda v: 1 / v),
    ("single precision", lambda v: v.astype(np.float32).astype(float)),
    *(("the rounded value", partial(np.round, decimals=k)) for k in range(7)),
)

#: The column and the variable that a note is about.
_FUNCTION = re.compile(r"(\S+) is a function of the variable (\S+) in the data")
#: The columns that a note is about: one is something of another, or two belong together.
_SUBJECTS = re.compile(
    r"(\S+) (?:is the product of (\S+) and (\S+)|is .+ of (\S+)|and (\S+) (?:hold|are) .+): "
    "setting one"
)


def one_name_each(structure: Structure, columns: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Refuse a column that stands for a modelled variable in the equation of another.

    Returned is a note for each two columns without an equation of which one follows from the other.
    """
    graph = structure.graph
    read = _read(structure, columns)
    random = {n: columns[n] for n in structure.random if n in columns}
    notes: list[str] = []
    for name, column in random.items():
        for copy, (node, values) in read.items():
            if nx.has_path(graph, node, name):
                continue
            readers = ", ".join(graph.successors(node))
            if not (what := _same(name, column, values, columns)):
                if _follows(values, column):
                    notes.append(
                        f"{copy} is a function of the variable {name} in the data: it stays as it "
                        f"is when something changes {name}. If it is made of {name}, write it so "
                        f"in the equation of {readers}."
                    )
                continue
            raise DataError(
                f"The column {copy!r} holds {what}: one column under two names. {readers} would "
                f"read {copy}, which stays as it is when something changes {name}.",
                expected="the variable itself in the equations that read it.",
                remedy=f"In the equation of {readers} write the variable {name} in place of the "
                f"pm.Data {copy!r}.",
            )
    _refuse_twins(graph, random)
    names, near = list(read), _near([values for _, values in read.values()])
    for i, one in enumerate(names):
        for k, two in enumerate(names[i + 1 :], i + 1):
            for a, b in ((one, two), (two, one)):
                if not (near[i, k] if a == one else near[k, i]):
                    continue
                how = relation(read[a][1], read[b][1])
                if how is not None:
                    said = f"{b} is {how} of {a}" if how else f"{a} and {b} hold the same numbers"
                    notes.append(
                        f"{said}: setting one leaves the other as it is. If they are one column, "
                        "write it once" + (f", and {b} as {how} of it." if how else ".")
                    )
                    break
    return (*notes, *_products(read), *_dummies(structure, read))


def notes_about(
    notes: Iterable[str], names: Collection[str], moved: Collection[str] = ()
) -> list[str]:
    """Return the notes on columns that follow from each other of which some, not all, are set.

    `moved`: variables that change with what is set; a function of one of them should too.

    Examples
    --------
    >>> notes_about(["age2 is the square of age: setting one leaves the other"], {"age"})
    ['age2 is the square of age: setting one leaves the other']
    >>> notes_about(["age2 is the square of age: setting one leaves the other"], {"age", "age2"})
    []
    """
    found = []
    for note in notes:
        said = _SUBJECTS.match(note)
        subjects = {n for n in said.groups() if n} if said else set()
        if subjects & {*names} and not subjects <= {*names}:
            found.append(note)
        function = _FUNCTION.match(note)
        if function and function[1] not in names and function[2] in {*names, *moved}:
            found.append(note)
    return found


def _near(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return of which columns, by row, others may be a turn, by column: none else is one.

    Looked at are the first few numbers, all columns at once. Where some of them are missing, the
    column may be one.
    """
    count = len(columns)
    near = np.ones((count, count), dtype=bool)
    length = min((v.size for v in columns), default=0)
    plain = [v.dtype.kind in "biuf" for v in columns]
    if count < LEAST or length < ENOUGH or not all(plain):
        return near
    table = np.stack([v.ravel()[: min(length, SOME)] for v in columns]).astype(float)
    whole = np.isfinite(table).all(axis=1)
    near[:, whole] = False
    turns = [lambda v: v, *(turn for _, turn in _TURNS)]
    with np.errstate(all="ignore"):
        for i, turn in itertools.product(range(count), turns):
            a = turn(table[i])
            seen = np.isfinite(a)
            if seen.sum() < ENOUGH:
                continue
            a, b = a[seen] - a[seen].mean(), table[whole][:, seen]
            b = b - b.mean(axis=1, keepdims=True)
            rest = np.abs(b - (b @ a / (a @ a))[:, None] * a).max(axis=1)
            near[i, whole] |= ~(rest > ROUGH * np.abs(b).max(axis=1))
    return near


def _read(
    structure: Structure, columns: Mapping[str, np.ndarray]
) -> dict[str, tuple[str, np.ndarray]]:
    """Return the columns without an equation that others read, those of a matrix one by one."""
    graph, found = structure.graph, {}
    for node in structure.data:
        if node not in columns or node not in graph or not graph.out_degree(node):
            continue
        if not entry_names(structure, node):
            found[node] = (node, columns[node])
            continue
        for entry, array in entries_of(structure, node, columns[node]).items():
            found[entry] = (node, array)
    return found


def _follows(values: np.ndarray, of: np.ndarray) -> bool:
    """Whether a column is a function of another that goes one way, and not by chance."""
    if values.shape != of.shape or {values.dtype.kind, of.dtype.kind} - set("biuf"):
        return False
    head = is_function(values.ravel()[:FEW], of.ravel()[:FEW])
    return head and is_function(values.ravel(), of.ravel())


def _same(
    name: str, column: np.ndarray, values: np.ndarray, columns: Mapping[str, np.ndarray]
) -> str:
    """Say what of a variable a column holds; nothing if it is none of it."""
    how = relation(column, values)
    if how is not None:
        return f"{how} of the variable {name!r}" if how else f"the numbers of the variable {name!r}"
    for other, factor in list(columns.items())[:MANY]:
        if other != name and _is_product(column, factor, values):
            return f"the product of the variable {name!r} and {other!r}"
    return ""


def _refuse_twins(graph: nx.DiGraph[str], random: Mapping[str, np.ndarray]) -> None:
    """Refuse two variables with one column, of which one is read in the place of the other."""
    names = list(random)
    for i, one in enumerate(names):
        for two in names[i + 1 :]:
            apart = not (nx.has_path(graph, one, two) or nx.has_path(graph, two, one))
            if not apart or not (graph.out_degree(one) or graph.out_degree(two)):
                continue
            if same_numbers(random[one], random[two]):
                copy, name = (one, two) if graph.out_degree(one) else (two, one)
                readers = ", ".join(graph.successors(copy))
                raise DataError(
                    f"The variables {name!r} and {copy!r} hold the same numbers: one column under "
                    f"two names. {readers} would read {copy}, which does not change with {name}.",
                    expected="one variable for one column.",
                    remedy=f"Write {name} in the equation of {readers}, and leave {copy} out.",
                )


def _products(read: Mapping[str, tuple[str, np.ndarray]]) -> list[str]:
    """Note columns that are the product of two others."""
    if len(read) > MANY:
        return []
    notes = []
    for one, two in combinations(read, 2):
        for three in read:
            if three not in (one, two) and _is_product(read[one][1], read[two][1], read[three][1]):
                notes.append(
                    f"{three} is the product of {one} and {two}: setting one of them leaves it as "
                    f"it is. Write {one} * {two} in the equation in its place."
                )
    return notes


def _dummies(structure: Structure, read: Mapping[str, tuple[str, np.ndarray]]) -> list[str]:
    """Note columns of 0 and 1 that an equation reads together and that are never 1 together."""
    ones = {n: v.ravel() == 1 for n, (_, v) in read.items() if v.dtype.kind in "biuf"}
    ones = {n: v for n, v in ones.items() if np.isin(read[n][1], (0, 1)).all()}
    notes = []
    for one, two in combinations(ones, 2):
        a, b = ones[one], ones[two]
        readers = [set(structure.graph.successors(read[n][0])) for n in (one, two)]
        if len(a) != len(b) or (a & b).any() or not readers[0] & readers[1]:
            continue
        n, first, second = len(a), int(a.sum()), int(b.sum())
        orders = [math.lgamma(n - k + 1) - math.lgamma(n - k - second + 1) for k in (first, 0)]
        if first + second <= n and orders[0] - orders[1] < math.log(CHANCE):
            outcome = min(readers[0] & readers[1])
            notes.append(
                f"{one} and {two} are never 1 together, like dummies of one category: setting one "
                "leaves the other as it is, so that a unit would be in both. Write the category "
                f'once, as labels, or ask for Contrast("{outcome}", {{"{one}": 1, "{two}": 0}}, '
                f'{{"{one}": 0, "{two}": 0}}).'
            )
    return notes


def _is_product(one: np.ndarray, other: np.ndarray, third: np.ndarray) -> bool:
    """Whether a column is the product of two others, and says no less than each of them."""
    if not one.shape == other.shape == third.shape:
        return False
    head = [v.ravel()[:FEW] for v in (one, other, third)]
    return (
        _alike(np.asarray(head[0], dtype=float) * head[1], head[2])
        and same_numbers(np.asarray(one, dtype=float) * other, third)
        and not any(same_numbers(a, b) for a, b in ((one, other), (one, third), (other, third)))
    )


def relation(one: np.ndarray, other: np.ndarray) -> str | None:
    """Say what the other column is of this one: "" for the same numbers, None for nothing.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(1).normal(size=50)
    >>> relation(x, 2 * x + 1), relation(x, x**2), relation(x, x**2 + x)
    ('', 'the square', None)
    """
    if one.shape != other.shape or same_numbers(one, other):
        return "" if one.shape == other.shape else None
    if {one.dtype.kind, other.dtype.kind} - set("biuf"):
        return None
    a, b = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    head = a.ravel()[:FEW], b.ravel()[:FEW]
    with np.errstate(all="ignore"):
        for word, turn in _TURNS:
            if not _alike(turn(head[0]), head[1]):
                continue
            turned = turn(a)
            if np.isfinite(turned[np.isfinite(a)]).all() and same_numbers(turned, b):
                return word
    return None


def same_numbers(one: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether two columns hold the same numbers, up to origin and unit, and not by chance.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(1).normal(size=50)
    >>> same_numbers(x, (x - x.mean()) / x.std()), same_numbers(x, x + 0.01 * x**2)
    (True, False)
    >>> same_numbers(np.array([0, 1, 0]), np.array([0, 1, 0]))
    False
    """
    if one.shape != other.shape or {one.dtype.kind, other.dtype.kind} - set("biuf"):
        return False
    a, b = (np.asarray(v, dtype=float).ravel() for v in (one, other))
    if not (_alike(a[:FEW], b[:FEW]) and _alike(a, b)):
        return False
    a = a[~(np.isnan(a) | np.isnan(b))]
    counts = np.unique(a, return_counts=True)[1]
    orders = math.lgamma(len(a) + 1) - sum(math.lgamma(c + 1) for c in counts)
    return math.log(2) - orders < math.log(CHANCE)


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two columns lie on a line where both are seen, which is most of the rows."""
    seen = ~(np.isnan(a) | np.isnan(b))  # an empty cell of one may be filled in the other
    return bool(2 * seen.sum() >= len(seen)) and _straight(a[seen], b[seen])


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
