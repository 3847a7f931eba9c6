r"""Dims that may tell outcomes apart rather than count units.

An outcome on ``(unit, item)`` is written in the same way where the second dim counts units (the
years of a panel) and where it lists outcomes (the items of a questionnaire). In the first an
average runs over both dims; in the second it would pool effects on different outcomes. A dim is
*doubtful* where nothing was measured along it but the outcome, and

* a coefficient of its own multiplies what the dim does not index,
  :math:`\mu_{ij} = a_j + b_j x_i`, so the effect of :math:`x` differs along it by design; or
* the equation is put together along it, entry by entry.

A covariate or a treatment along the dim, as in a panel, says that it counts units. So does an
exchangeable prior with hyperparameters for the effects of the first dim, as in a growth curve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from pytensor.scalar.basic import Add, Sub
from pytensor.tensor.basic import Join, MakeVector
from pytensor.tensor.elemwise import Elemwise

from bayescausal.model.axes.mixing import inside, trace_axes
from bayescausal.model.axes.tags import constant_value, followed_inputs, random_parameters
from bayescausal.types import UnitDimsError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pytensor.graph.basic import Variable

    from bayescausal.model.structure.reader import Reader

__all__ = ["constant_along", "refuse_doubtful"]

#: What keeps an effect free of an interaction, or only arranges entries.
_ADDITIVE = (Add, Sub)


def refuse_doubtful(reader: Reader, dims: Sequence[str], evidence: Collection[str]) -> None:
    """Refuse unit dims that were voted for where one of them may list outcomes.

    - `dims`: what the vote found.
    - `evidence`: variables that are observed or have a column.
    """
    if len(dims) < 2:
        return
    found = {d: why for d in dims if (why := _why(reader, d, dims, evidence))}
    if len(found) == len(dims):
        del found[dims[0]]
    if not found:
        return
    rest = tuple(d for d in dims if d not in found)
    one = repr(rest[0]) if len(rest) == 1 else repr(rest)
    named = " and ".join(map(repr, found))
    raise UnitDimsError(
        f"Whether {named} counts units or tells outcomes apart cannot be told: "
        f"{next(iter(found.values()))}.",
        expected=f"a treatment or a covariate along {named}, if it counts units.",
        remedy=f"Pass unit_dims={one} for an effect on each entry of {named}; or "
        f"unit_dims={tuple(dims)!r} to take every cell as a unit and average over all of them.",
    )


def constant_along(reader: Reader, name: str, length: int) -> str:
    """Return a constant array of some length that an equation reads, in words.

    `name`: a variable.
    """
    variable = reader.named[name]
    passing = {v for v in reader.name_of if _is_passed(reader, reader.name_of[v])}
    seen: set[Variable] = set()
    found: list[tuple[np.ndarray, str | None]] = []
    stack = list(random_parameters(variable.owner) if name in reader.random else [variable])
    stack += inside(variable.owner)
    while stack:
        top = stack.pop()
        if top in seen or (top in reader.name_of and top is not variable and top not in passing):
            continue
        seen.add(top)
        if top.owner is not None:
            stack.extend([*followed_inputs(top.owner), *inside(top.owner)])
            continue
        shared = hasattr(top, "get_value")
        value = top.get_value(borrow=True) if shared else getattr(top, "data", None)
        if length in getattr(value, "shape", ()) and np.ptp(np.asarray(value, float)) > 0:
            found.append((np.asarray(value), top.name))
    made = () if found else (v for v in seen if length in getattr(v.type, "shape", ()))
    for value in map(constant_value, made):
        if value is not None and np.ptp(value.astype(float)) > 0:
            found.append((value, None))
    if not found:
        return "an array"
    value, label = min(found, key=lambda f: f[0].ndim)
    shown = ", ".join(f"{v:.4g}" for v in np.ravel(value)[:3])
    return f"{label}: {shown}, ..." if label else f"{shown}, ..."


def _is_passed(reader: Reader, name: str) -> bool:
    return name not in reader.random and name not in reader.data and not reader.dims[name]


# ------------------------------------------------------------------------------- private


def _why(reader: Reader, dim: str, dims: Sequence[str], evidence: Collection[str]) -> str:
    """Return why a dim is doubtful; an empty text where it is not."""
    full = [n for n in reader.full if reader.is_random(n) and set(dims) <= set(reader.dims[n])]
    sinks = [
        n for n in full if not any(reader.is_random(c) for c in nx.descendants(reader.full, n))
    ]
    for name, own in reader.dims.items():
        if dim not in own or name in sinks:
            continue
        together = reader.is_random(name) and bool(set(own) & set(dims) - {dim})
        if name in reader.data or name in evidence or (not evidence and together):
            return ""
    outcomes = [n for n in full if n in reader.random]
    factors = _factors(reader, dim, dims)
    for outcome in outcomes:
        pair = _interaction(reader, outcome, dim, dims, factors)
        if pair:
            return (
                f"{pair[0]!r} has a value for each entry of {dim!r} and multiplies {pair[1]!r}, "
                f"which has none, in the equation of {outcome!r}"
            )
        if _is_joined(reader, outcome, dim):
            return f"the equation of {outcome!r} is put together along {dim!r}, entry by entry"
    return ""


def _factors(reader: Reader, dim: str, dims: Sequence[str]) -> set[str]:
    """Return the unobserved vectors along one dim alone that no unit-level variable causes."""
    found = set()
    for name in reader.full:
        own = set(reader.dims[name]) & set(dims)
        if own != {dim} or name not in reader.random or name in reader.observed:
            continue
        above = nx.ancestors(reader.full, name)
        learnt = dim == dims[0] and any(n in reader.random for n in above)
        if not learnt and not any(set(reader.dims[n]) & set(dims) - {dim} for n in above):
            found.add(name)
    return found


def _interaction(
    reader: Reader, outcome: str, dim: str, dims: Sequence[str], factors: set[str]
) -> tuple[str, str] | None:
    """Return a factor and a variable without the dim that enter an equation other than as a sum."""
    if not factors:
        return None
    reads: dict[Variable, tuple[str | None, str | None]] = {}
    for variable, name in reader.name_of.items():
        own = set(reader.dims[name])
        if name in factors:
            reads[variable] = (name, None)
        elif name in reader.random or name in reader.data:
            other = bool(own & set(dims)) and dim not in own
            reads[variable] = (None, name if other else None)
    own_rv = reader.named[outcome]
    reads.pop(own_rv, None)
    for parameter in random_parameters(own_rv.owner):
        stack = [parameter]
        while stack:
            top = stack[-1]
            if top in reads:
                stack.pop()
                continue
            inputs = followed_inputs(top.owner) if top.owner is not None else []
            waiting = [i for i in inputs if i not in reads]
            if waiting:
                stack.extend(waiting)
                continue
            found = [reads[i] for i in inputs]
            if top.owner is not None and not _is_additive(top.owner.op):
                pair = _pair(found)
                if pair:
                    return pair
            reads[top] = (
                next((f for f, _ in found if f), None),
                next((o for _, o in found if o), None),
            )
    return None


def _pair(found: list[tuple[str | None, str | None]]) -> tuple[str, str] | None:
    """Return a factor of one input and a variable of another."""
    for i, (factor, _) in enumerate(found):
        for j, (_, other) in enumerate(found):
            if i != j and factor and other:
                return factor, other
    return None


def _is_additive(op: object) -> bool:
    if isinstance(op, Join | MakeVector):
        return True
    return isinstance(op, Elemwise) and isinstance(op.scalar_op, _ADDITIVE)


def _is_joined(reader: Reader, outcome: str, dim: str) -> bool:
    """Whether an equation is a concatenation along a dim."""
    variable = reader.named[outcome]
    every = {d for own in reader.dims.values() for d in own}
    leaves = {
        v: reader.leaf_axes(n, every)
        for n, v in reader.named.items()
        if v is not variable and (n in reader.random or n in reader.data)
    }
    names = reader.batch_dims(outcome)
    if dim not in names:
        return False
    at = len(names) - names.index(dim)
    for parameter in random_parameters(variable.owner):
        axes = trace_axes([parameter], leaves).axes
        if len(axes) >= at and any(kind == "joined" for kind, _ in axes[-at]):
            return True
    return False
