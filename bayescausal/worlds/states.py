"""Summing finite variables out of an average, instead of simulating them.

An expected outcome behind a binary mediator is a sum of two terms,

    ``E[Y] = sum_m P(M = m | parents) E[Y | M = m, parents]``,

and so is every average over the states of discrete variables with few values. The sum is exact,
costs as many evaluations as there are joint states, and leaves no Monte Carlo error. It is done
unit by unit, hence only where no equation mixes units, and only for averages: which of its
states a unit takes together with something else (a subgroup, the same variable in another
world) is a matter of the joint distribution, which simulation with shared noise keeps.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayescausal.model.support import support_of

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable

__all__ = ["average"]

#: Joint states that are summed at most.
STATES = 32


def average(builder: Any, request: Any) -> Variable:
    """Return the expression of a request, finite variables summed out where that is exact.

    Parameters
    ----------
    builder : Builder
        Of the program; its ``held`` variables are simulated, because subgroups are formed from
        them.
    request : Request

    Returns
    -------
    Variable
    """
    plain = builder.request(request)
    if request.kind not in ("mean", "probability"):
        return plain
    found = _summable(builder, request)
    if not found:
        return plain
    names = list(found)
    total: Variable | None = None
    for state in itertools.product(*(found[key] for key in names)):
        override = {
            key: _filled(builder, key[0], value) for key, value in zip(names, state, strict=True)
        }
        child = builder.child(override)
        term = child.request(request)
        for key, value in zip(names, state, strict=True):
            term = term * _probability(child, key, value, request.variable)
        total = term if total is None else total + term
    assert total is not None
    return total


def _summable(builder: Any, request: Any) -> dict[tuple[str, str], range]:
    """Return the finite variables the result depends on, with their values."""
    probe = builder.child({})
    probe.request(request)
    structure = builder.structure
    reached = [key for key in probe.memo if key[0] in builder.recomputed]
    if structure.mixes({n for n, _ in probe.memo} | {request.variable}):
        return {}
    frame = [d for d in builder.dims_of(request.variable) if d in structure.unit_dims]
    found: dict[tuple[str, str], range] = {}
    count = 1
    for key in reached:
        name, world = key
        if name == request.variable or name in builder.held or _is_acted(builder, name, world):
            continue
        values = _values(builder, name, frame)
        if values is None:
            continue
        if sum(other == name for other, _ in reached) > 1:
            continue
        count *= len(values)
        found[key] = values
    return found if 1 < count <= STATES else {}


def _is_acted(builder: Any, name: str, world: str) -> bool:
    return world in builder.worlds and name in builder.worlds[world]


def _values(builder: Any, name: str, frame: list[str]) -> range | None:
    """Return the values of a finite discrete unit-level variable."""
    structure = builder.structure
    if name not in structure.random or name in structure.imputed:
        return None
    dims = builder.dims_of(name)
    if not dims or any(d not in frame for d in dims):
        return None
    rv = structure.variable(name)
    if not str(rv.type.dtype).startswith(("int", "uint", "bool")):
        return None
    support = support_of(rv)
    lower, upper = np.unique(support.lower), np.unique(support.upper)
    if lower.size != 1 or upper.size != 1 or not np.isfinite([lower[0], upper[0]]).all():
        return None
    return range(int(lower[0]), int(upper[0]) + 1)


def _filled(builder: Any, name: str, value: int) -> Variable:
    rv = builder.structure.variable(name)
    return pt.full(builder.shape(name), np.asarray(value, dtype=rv.type.dtype))


def _untouched(builder: Any, name: str) -> str:
    """Return a world whose interventions do not reach the variable."""
    return next(w for w, touched in builder.touched.items() if name not in touched)


def _probability(child: Any, key: tuple[str, str], value: int, outcome: str) -> Variable:
    """Return P(variable = value | parents in its world), laid along the outcome's dims."""
    name, world = key
    rv = child.structure.variable(name)
    where = world if world in child.worlds else _untouched(child, name)
    constant = np.full((1,) * rv.type.ndim, value, dtype=rv.type.dtype)
    [p] = child.substitute([pt.exp(pm.logp(rv, pt.as_tensor_variable(constant)))], where)
    own, wanted = list(child.dims_of(name)), list(child.dims_of(outcome))
    return p.dimshuffle([own.index(d) if d in own else "x" for d in wanted])
