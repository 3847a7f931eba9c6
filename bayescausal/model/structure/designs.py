r"""What a study design assumes, read off the equations of a model and its columns.

Four kinds of structure say more than the arrows do:

======================================  ==========================================================
structure                               what identifies the effect
======================================  ==========================================================
the treatment begins at a value of a    *continuity at the cutoff*: but for it, the outcome
running variable                        changes continuously there [1]_
the treatment begins at a time          *the trend continues*
additive effects of unit and time, and  *parallel trends*: but for it, the outcome would have
a treatment that goes with both         changed alike in all units [2]_
a threshold that moves the treatment    *the threshold is an instrument* at the cutoff: continuity,
and the outcome through it alone        exclusion and monotonicity, for compliers [1]_
======================================  ==========================================================

None of them is a property of the arrows alone, so each is an assumption that is named. With
staggered treatments and one number for the effect, two-way effects give an average with weights
that may be negative [3]_: that is said.

References
----------
.. [1] G. W. Imbens and T. Lemieux, "Regression discontinuity designs: a guide to practice",
   Journal of Econometrics 142, 2008.
.. [2] A. Abadie, "Semiparametric difference-in-differences estimators", Review of Economic
   Studies 72, 2005.
.. [3] A. Goodman-Bacon, "Difference-in-differences with variation in treatment timing", Journal of
   Econometrics 225, 2021.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as ps
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.subtensor import AdvancedSubtensor

from bayescausal.model.interventions.support import params_of
from bayescausal.model.structure.rebuild import data_values
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pytensor.graph.basic import Variable

    from bayescausal.graph import Identification
    from bayescausal.model.structure.structure import Structure

__all__ = ["by_design"]

#: The methods of verdicts that a design qualifies.
FORM, TRENDS, THRESHOLD = "form of the equation", "parallel trends", "threshold as an instrument"
#: Columns of which two make cells: no more values than this share of the rows.
SHARE = 0.5


def by_design(
    found: Identification,
    structure: Structure,
    columns: Mapping[str, np.ndarray] | None = None,
    measured: Collection[str] | None = None,
) -> Identification:
    """Return a verdict with what the design of the study assumes.

    Parameters
    ----------
    found : Identification
        From the arrows.
    columns : mapping of str to ndarray, optional
        The data. Default: what the model itself holds.
    measured : collection of str, optional
        Names of what is measured. Default: all.
    """
    question = found.question
    if len(question.treatment) != 1 or len(question.outcome) != 1 or found.method == "observed":
        return found
    [x], [y] = question.treatment, question.outcome
    if y not in structure.random or structure.imputed.get(y):
        return found
    values = {n: np.asarray(v) for n, v in data_values(structure.model).items()}
    for name in columns or {}:
        try:
            values[name] = np.asarray((columns or {})[name])
        except DataError:  # rows that stay in their source
            continue
    if found.method == FORM:
        return _at_a_boundary(found, x, y, values, structure)
    if found and found.method == "back door":
        return _two_way(found, structure, x, y, values)
    if found.status == "not identified" and found.method == "none":
        return _threshold(found, structure, x, y, measured)
    return found


# --------------------------------------------------------------------------- a boundary


def _at_a_boundary(
    found: Identification,
    x: str,
    y: str,
    values: Mapping[str, np.ndarray],
    structure: Structure,
) -> Identification:
    """Name what a treatment that begins at a value of one variable rests on at that value."""
    if len(found.function_of) != 1:
        return found
    [r] = found.function_of
    own, score = values.get(x), values.get(r)
    if own is not None and score is not None and own.shape == score.shape and own.ndim == 1:
        if score.dtype.kind not in "iuf" or not _switches_once(own, score):
            return found
    elif x not in structure.full or not _comparisons(structure, x, {r}):
        return found
    if score is not None and _is_time(score, structure, r):
        text = (
            f"the trend continues: without {x}, {y} would have gone on with {r} as its equation "
            f"says, and nothing else changed when {x} did"
        )
    else:
        text = (
            f"continuity at the cutoff: but for {x}, {y} changes continuously with {r} where {x} "
            f"changes, and units do not choose their side of it"
        )
    return replace(found, assumptions=(*found.assumptions, text))


def _switches_once(x: np.ndarray, r: np.ndarray) -> bool:
    """Whether a two-valued column changes once along another."""
    kept = np.isfinite(np.asarray(x, dtype=float)) & np.isfinite(np.asarray(r, dtype=float))
    x, r = x[kept], r[kept]
    levels = np.unique(x)
    if len(levels) != 2:
        return False
    low, high = r[x == levels[0]], r[x == levels[1]]
    return bool(low.max() < high.min() or high.max() < low.min())


def _is_time(r: np.ndarray, structure: Structure, name: str) -> bool:
    """Whether a column runs evenly along the rows, one row for each value: a series."""
    dims = structure.dims.get(name, ())
    steps = np.diff(np.asarray(r, dtype=float))
    if r.ndim != 1 or len(r) < 3 or len(dims) != 1:
        return False
    return bool(np.all(steps != 0) and np.allclose(steps, steps[0], rtol=1e-6))


# --------------------------------------------------------------------------- two-way effects


def _two_way(
    found: Identification,
    structure: Structure,
    x: str,
    y: str,
    values: Mapping[str, np.ndarray],
) -> Identification:
    """Lower a verdict that rests on additive effects of two columns that x goes with."""
    own = values.get(x)
    if own is None or len(np.unique(own)) != 2:
        return found
    if own.ndim == 2:
        return _along_two_dims(found, structure, x, y, own)
    places = [n for n in _looked_up(structure, y) if n != x and n in values]
    if own.ndim != 1:
        return found
    places = [n for n in places if values[n].shape == own.shape and len(np.unique(values[n])) > 1]
    for i, unit in enumerate(places):
        for time in places[i + 1 :]:
            if _goes_with(own, values[unit], values[time]):
                u, t = _ordered(own, unit, time, values)
                return _parallel(found, x, y, u, t, values, structure)
    return found


def _along_two_dims(
    found: Identification, structure: Structure, x: str, y: str, own: np.ndarray
) -> Identification:
    """The same where y lies along units and times, and each has effects along its own dim."""
    dims = structure.dims.get(y, ())
    if structure.dims.get(x) != dims or len(dims) != 2 or y not in structure.random:
        return found
    model = structure.model
    named = {v: n for n, v in model.named_vars.items() if n not in structure.data}
    read = [named[v] for v in ancestors(params_of(structure.variable(y))) if v in named]
    effects = {tuple(model.named_vars_to_dims.get(n) or ()) for n in read}
    if not all((d,) in effects for d in dims):
        return found
    codes = [c.reshape(-1) for c in np.indices(own.shape)]
    flat = own.reshape(-1)
    if any(_constant(flat, c) for c in codes):
        return found
    values = {x: flat, dims[0]: codes[0], dims[1]: codes[1]}
    u, t = _ordered(flat, *dims, values)
    return _parallel(found, x, y, u, t, values, structure)


def _looked_up(structure: Structure, y: str) -> list[str]:
    """Return the columns by which an equation looks effects up, each in an array of its own."""
    named = {structure.model.named_vars[n]: n for n in structure.data}
    found: dict[str, None] = {}
    for v in ancestors(params_of(structure.variable(y))):
        node = v.owner
        if node is None or not isinstance(node.op, AdvancedSubtensor):
            continue
        read = [named[a] for a in ancestors(list(node.inputs[1:])) if a in named]
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


def _ordered(
    x: np.ndarray, one: str, other: str, values: Mapping[str, np.ndarray]
) -> tuple[str, str]:
    """Return which column is the unit and which the time: along time x does not go back."""
    if _starts(x, values[one], values[other]) is not None:
        return one, other
    return (other, one) if _starts(x, values[other], values[one]) is not None else (one, other)


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
    unit: str,
    time: str,
    values: Mapping[str, np.ndarray],
    structure: Structure,
) -> Identification:
    text = (
        f"parallel trends: but for {x}, {y} would have changed alike over {time} in all of "
        f"{unit}, on the scale of its equation; {x} has no effect before it begins"
    )
    warnings = found.warnings
    starts = _starts(values[x], values[unit], values[time])
    if starts is not None and len(np.unique(starts)) > 1 and _is_one_number(structure, x, y):
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
        assumptions=(text,),
        warnings=warnings,
    )


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


# --------------------------------------------------------------------------- a threshold


def _threshold(
    found: Identification,
    structure: Structure,
    x: str,
    y: str,
    measured: Collection[str] | None,
) -> Identification:
    """Find a threshold of a measured variable that moves x, and y through x alone."""
    if x not in structure.random:
        return found
    seen = set(structure.nodes if measured is None else measured) - {x, y}
    scores = _comparisons(structure, x, seen) - _comparisons(structure, y, seen)
    if not scores:
        return found
    r = sorted(scores)[0]
    assumptions = (
        f"the threshold of {r} moves {x} and has no effect on {y} but through {x}",
        f"continuity at the cutoff: but for {x}, {y} changes continuously with {r} there",
        "monotonicity: crossing it makes nobody do the opposite; the effect is that on the "
        "compliers at the cutoff, and elsewhere it rests on the form of the equations",
    )
    return replace(
        found, status="under assumption", method=THRESHOLD, hedge=None, assumptions=assumptions
    )


def _comparisons(structure: Structure, name: str, among: Collection[str]) -> set[str]:
    """Return the variables of which the equation of another compares one alone with a number."""
    model = structure.model
    named = {v: n for n, v in model.named_vars.items()}
    own = model.named_vars[name]
    stops = [v for n, v in model.named_vars.items() if n in structure.nodes and v is not own]
    roots = params_of(own) if name in structure.random else [own]
    found: set[str] = set()
    for v in ancestors(list(roots), blockers=stops):
        op = getattr(v.owner, "op", None)
        if not isinstance(op, Elemwise) or not isinstance(op.scalar_op, ps.LogicalComparison):
            continue
        read = {named[a] for a in _named(v, stops, named)} & set(structure.nodes)
        found |= read if len(read) == 1 and read <= set(among) else set()
    return found


def _named(v: Variable, stops: list[Variable], named: Mapping[Variable, str]) -> list[Variable]:
    return [a for a in ancestors([v], blockers=stops) if a in named]
