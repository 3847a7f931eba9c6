"""Additive effects of units and times, and a treatment that goes with both: parallel trends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as ps
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.subtensor import AdvancedSubtensor

from bayescausal.model.interventions.support import params_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.graph import Identification
    from bayescausal.model.structure.structure import Structure

__all__ = ["looked_up", "two_way"]

#: The method of the verdict.
TRENDS = "parallel trends"
#: Columns of which two make cells: no more values than this share of the rows.
SHARE = 0.5
#: Share of the cells of two columns that have a row, in a panel at least.
FILLED = 0.8


def two_way(
    found: Identification,
    structure: Structure,
    x: str,
    y: str,
    values: Mapping[str, np.ndarray],
) -> Identification:
    """Lower a verdict that rests on additive effects of two columns that x goes with.

    - `found`: from the arrows: by the back door, or by the form of the equation.
    - `values`: columns.
    """
    own = values.get(x)
    if own is None:
        return found
    seen = np.isfinite(np.asarray(own, dtype=float))  # an empty cell says nothing
    if len(np.unique(own[seen])) != 2:
        return found
    if own.ndim == 2:
        return _along_two_dims(found, structure, x, y, own)
    places = [n for n in looked_up(structure, y) if n != x and n in values]
    if own.ndim != 1:
        return found
    places = [n for n in places if values[n].shape == own.shape]
    values = {n: values[n][seen] for n in (x, *places)}
    own, places = values[x], [n for n in places if len(np.unique(values[n])) > 1]
    for i, unit in enumerate(places):
        for time in places[i + 1 :]:
            if _goes_with(own, values[unit], values[time]):
                lower = _parallel(found, x, y, unit, time, values, structure)
                if lower is not found:
                    return lower
    return found


def _along_two_dims(
    found: Identification, structure: Structure, x: str, y: str, own: np.ndarray
) -> Identification:
    """The same where y lies along units and times, and each has effects along its own dim."""
    dims = structure.dims.get(y, ())
    if structure.dims.get(x) != dims or len(dims) != 2 or y not in structure.random:
        return found
    if not set(dims) <= _effects_along(structure, y):
        return found
    seen = np.isfinite(np.asarray(own, dtype=float))
    codes = np.nonzero(seen)
    flat = own[seen]
    if any(_constant(flat, c) for c in codes):
        return found
    values = {x: flat, dims[0]: codes[0], dims[1]: codes[1]}
    return _parallel(found, x, y, *dims, values, structure)


def looked_up(structure: Structure, y: str, *, switched: bool = True) -> list[str]:
    """Return the columns by whose values an equation has effects: looked up, or switched on.

    `switched`: whether those count that are compared with each value, switch(eq(time, 3), b, 0).
    """
    named = {structure.model.named_vars[n]: n for n in structure.data}
    found: dict[str, None] = {}
    for v in ancestors(params_of(structure.variable(y))):
        node = v.owner
        op = getattr(node, "op", None)
        if isinstance(op, AdvancedSubtensor):
            places = list(node.inputs[1:])
        elif switched and isinstance(op, Elemwise) and isinstance(op.scalar_op, ps.EQ):
            places = list(node.inputs)
        else:
            continue
        read = [named[a] for a in ancestors(places) if a in named]
        if len(read) == 1:
            found[read[0]] = None
    return sorted(found, key=list(structure.full).index)


def _goes_with(x: np.ndarray, unit: np.ndarray, time: np.ndarray) -> bool:
    """Whether x is the same within each cell of two columns, and a function of neither alone."""
    code = np.unique(np.column_stack([unit, time]), axis=0, return_inverse=True)[1].reshape(-1)
    if not _constant(x, code):
        return False
    alone = [np.unique(c, return_inverse=True)[1].reshape(-1) for c in (unit, time)]
    if any(_constant(x, c) for c in alone):
        return False
    return all(c.max() + 1 <= SHARE * len(x) for c in alone)


def _constant(x: np.ndarray, code: np.ndarray) -> bool:
    low, high = np.full(code.max() + 1, np.inf), np.full(code.max() + 1, -np.inf)
    np.minimum.at(low, code, x)
    np.maximum.at(high, code, x)
    return bool(np.all(low == high))


def _starts(x: np.ndarray, unit: np.ndarray, time: np.ndarray) -> np.ndarray | None:
    """Return when each treated unit begins; None where some unit goes back."""
    treated = x == x.max()
    first = {u: time[treated & (unit == u)].min() for u in np.unique(unit[treated])}
    for u, start in first.items():
        own = unit == u
        if np.any(treated[own] != (time[own] >= start)):
            return None
    return np.array(list(first.values()))


def _parallel(
    found: Identification,
    x: str,
    y: str,
    one: str,
    other: str,
    values: Mapping[str, np.ndarray],
    structure: Structure,
) -> Identification:
    """Lower a verdict where x begins at a time in each unit, or comes and goes in a panel.

    A treatment whose own equation reads neither is as good as drawn at random.
    """
    if x in structure.random:
        read = nx.ancestors(structure.graph, x) | _effects_along(structure, x)
        if not read & {one, other}:
            return found
    for unit, time in ((one, other), (other, one)):
        if (starts := _starts(values[x], values[unit], values[time])) is not None:
            alone = f"{x} has no effect before it begins"
            break
    else:
        if not {one, other} <= {*looked_up(structure, y, switched=False), *structure.dims[y]}:
            return found
        cells = np.unique(np.column_stack([values[one], values[other]]), axis=0)
        if len(cells) < FILLED * len(np.unique(values[one])) * len(np.unique(values[other])):
            return found
        unit, time, starts = one, other, np.zeros(0)
        alone = f"{x} has no effect at other {time} than its own"
    text = (
        f"parallel trends: but for {x}, {y} would have changed alike over {time} in all of "
        f"{unit}, on the scale of its equation; {alone}"
    )
    warnings = found.warnings
    if len(np.unique(starts)) > 1 and _is_one_number(structure, x, y):
        cohorts = len(np.unique(starts))
        warnings = (
            *warnings,
            f"{x} begins at {cohorts} different values of {time}, and its effect on {y} is one "
            "number: if the effect differs by cohort or grows with time, it is an average with "
            "weights that may be negative. Give the equation one effect for each cohort and "
            f"{time}, and ask for the average over the treated (ATT).",
        )
    return replace(
        found,
        status="under assumption",
        method=TRENDS,
        estimand=None,
        reason="",
        assumptions=(text,),
        warnings=warnings,
    )


def _effects_along(structure: Structure, name: str) -> set[str]:
    """Return the dims along which an equation has effects: those of parameters with one dim."""
    model = structure.model
    named = {v: n for n, v in model.named_vars.items() if n not in structure.data}
    read = [named[v] for v in ancestors(params_of(structure.variable(name))) if v in named]
    dims = (tuple(model.named_vars_to_dims.get(n) or ()) for n in read)
    return {own[0] for own in dims if len(own) == 1}


def _is_one_number(structure: Structure, x: str, y: str) -> bool:
    """Whether x enters the equation of y times one number, the same for all rows."""
    variable = structure.model.named_vars[x]
    rows = {structure.model.named_vars[n] for n in (*structure.data, *structure.random)} - {
        variable
    }
    for v in ancestors(params_of(structure.variable(y))):
        node = v.owner
        if node is None or not isinstance(node.op, Elemwise):
            continue
        if not isinstance(node.op.scalar_op, ps.Mul):
            continue
        reads = [set(ancestors([i])) for i in node.inputs]
        with_x = [variable in r for r in reads]
        others = [r for r, own in zip(reads, with_x, strict=True) if not own]
        if any(with_x) and any(rows & r for r in others):
            return False
    return True
