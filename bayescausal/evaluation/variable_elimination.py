"""Summing finite variables out of an average, instead of simulating them.

An expected outcome behind a binary mediator is a sum of two terms,

    ``E[Y] = sum_m P(M = m | parents) E[Y | M = m, parents]``,

and so is every average over the states of discrete variables with few values. The sum is exact and
leaves no Monte Carlo error. Variables are summed one after the other (*variable elimination* [1]_):
each sum ranges over the states of a variable and of those that it meets in some factor, so that
mediators in a row cost what each costs with the one before it, and not their joint states. What
would write out the equations between them too many times is simulated. It is done unit by unit,
hence only where no equation mixes units, and only for averages: which of its states a unit takes
together with something else (a subgroup, the same variable in another world) is a matter of the
joint distribution, which simulation with shared noise keeps.

References
----------
.. [1] D. Koller and N. Friedman, *Probabilistic Graphical Models*, MIT Press, 2009, chapter 9:
   sum-product variable elimination, and its greedy orders.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.utils import CheckParameterValue
from pytensor.graph.traversal import ancestors, toposort
from pytensor.tensor.random.basic import CategoricalRV

from bayescausal.model.interventions.support import support_of
from bayescausal.model.structure.function_graph import density_of, replaced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.evaluation.builder import Builder
    from bayescausal.evaluation.program import Request

__all__ = ["average"]

#: Joint states of the variables that meet in one sum, at most; and of all sums together.
STATES, LARGEST = 32, 256
#: Operations that all tables may have: so many, or as many times those of the plain expression.
OPERATIONS, TIMES = 4_000, 8
#: A finite variable and the world in which its value arises.
type Key = tuple[str, str]


@dataclass(frozen=True, eq=False)
class _Factor:
    """A function of some finite variables: an expression for each of their joint states."""

    scope: tuple[Key, ...]
    table: Mapping[tuple[int, ...], Variable]

    def at(self, state: Mapping[Key, int]) -> Variable:
        return self.table[tuple(state[key] for key in self.scope)]


def average(builder: Builder, request: Request) -> Variable:
    """Return the expression of a request, finite variables summed out where that is exact.

    `builder`: of the program; its ``held`` variables are simulated, because subgroups are formed
    from them.
    """
    plain = builder.request(request)
    if request.kind not in ("mean", "probability"):
        return plain
    found = _summable(builder, request)
    if not found:
        return plain
    holes = {key: _filled(builder, key[0], 0).type() for key in found}
    child = builder.child(holes)
    law = {
        key: [_probability(child, key, value, request) for value in values]
        for key, values in found.items()
    }
    mean = child.request(request)
    scopes = [_read([mean], holes), *(_read(p, holes) | {key} for key, p in law.items())]
    order = _order({key: len(values) for key, values in found.items()}, scopes)
    if order is None or _is_too_long(plain, [mean, *law.values()], scopes, holes, found):
        return plain
    filled = {
        (key, value): _filled(builder, key[0], value)
        for key, values in found.items()
        for value in values
    }

    def factor(scope: set[Key], expressions: Mapping[int, Variable], own: Key | None) -> _Factor:
        keys = tuple(key for key in found if key in scope)
        table = {}
        for state in itertools.product(*(found[key] for key in keys)):
            at = dict(zip(keys, state, strict=True))
            expression = expressions[0 if own is None else at[own]]
            put = {holes[key]: filled[key, value] for key, value in at.items()}
            [table[state]] = replaced([expression], put)
        return _Factor(keys, table)

    factors = [factor(scopes[0], {0: mean}, None)]
    for (key, p), scope in zip(law.items(), scopes[1:], strict=True):
        factors.append(factor(scope, dict(zip(found[key], p, strict=True)), key))
    for key in order:
        factors = _sum_out(key, factors, found)
    return _product([f.table[()] for f in factors])


def _read(expressions: Sequence[Variable], holes: Mapping[Key, Variable]) -> set[Key]:
    """Return the finite variables that expressions read."""
    behind = set(ancestors(expressions))
    return {key for key, hole in holes.items() if hole in behind}


def _is_too_long(
    plain: Variable,
    expressions: Sequence[Variable | Sequence[Variable]],
    scopes: Sequence[set[Key]],
    holes: Mapping[Key, Variable],
    found: Mapping[Key, Sequence[int]],
) -> bool:
    """Tell whether writing out every state would take many times the operations of the plain mean.

    Only what reads a finite variable is written out again for each state.
    """
    total = 0
    for each, scope in zip(expressions, scopes, strict=True):
        roots = list(each) if isinstance(each, list) else [each]
        states = math.prod(len(found[key]) for key in scope)
        reads = {holes[key] for key in scope}
        for v in (v for node in toposort(roots) for v in node.outputs):
            if any(i in reads for i in v.owner.inputs):
                reads.add(v)
        total += states * len(reads)
    return total > max(OPERATIONS, TIMES * len(set(ancestors([plain]))))


def _order(sizes: Mapping[Key, int], scopes: Sequence[set[Key]]) -> list[Key] | None:
    """Return an order in which to sum, cheapest next; None if some sum is too large."""
    left, joined = list(sizes), [set(s) for s in scopes]
    out: list[Key] = []
    work = 0
    while left:
        meets = {key: set().union({key}, *(s for s in joined if key in s)) for key in left}
        cost = {key: math.prod(sizes[other] for other in meets[key]) for key in left}
        best = min(left, key=cost.__getitem__)
        work += cost[best]
        if cost[best] > STATES or work > LARGEST:
            return None
        joined = [s for s in joined if best not in s] + [meets[best] - {best}]
        left.remove(best)
        out.append(best)
    return out


def _sum_out(
    key: Key, factors: Sequence[_Factor], found: Mapping[Key, Sequence[int]]
) -> list[_Factor]:
    """Return the factors after one variable is summed out of those that read it."""
    mine = [f for f in factors if key in f.scope]
    met = {other for f in mine for other in f.scope} - {key}
    scope = tuple(other for other in found if other in met)
    table: dict[tuple[int, ...], Variable] = {}
    for state in itertools.product(*(found[other] for other in scope)):
        at = dict(zip(scope, state, strict=True))
        terms = [_product([f.at({**at, key: value}) for f in mine]) for value in found[key]]
        table[state] = sum(terms[1:], terms[0])
    return [*(f for f in factors if key not in f.scope), _Factor(scope, table)]


def _product(terms: Sequence[Variable]) -> Variable:
    total = terms[0]
    for term in terms[1:]:
        total = total * term
    return total


def _summable(builder: Builder, request: Request) -> dict[tuple[str, str], range]:
    """Return the finite variables that the result depends on, with their values."""
    structure = builder.structure
    frame = [d for d in builder.dims_of(request.variable) if d in structure.unit_dims]
    above = structure.ancestors([request.variable])
    sizes = {n: _values(builder, n, frame) for n in sorted(builder.recomputed & above)}
    if all(values is None for values in sizes.values()):
        return {}
    probe = builder.child({})
    probe.request(request)
    reached = [key for key in probe.built if key[0] in builder.recomputed]
    if structure.mixes({n for n, _ in probe.built} | {request.variable}):
        return {}
    found: dict[Key, range] = {}
    for key in reached:
        name, world = key
        if name == request.variable or name in builder.held or _is_acted(builder, name, world):
            continue
        values = sizes.get(name)
        if values is None:
            continue
        if sum(other == name for other, _ in reached) > 1:
            continue
        if len(values) > STATES:
            return {}
        found[key] = values
    return found


def _is_acted(builder: Builder, name: str, world: str) -> bool:
    return world in builder.worlds and name in builder.worlds[world]


def _values(builder: Builder, name: str, frame: list[str]) -> range | None:
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
    support = support_of(rv, held=False)  # worlds and tables may have other numbers
    lower, upper = np.unique(support.lower), np.unique(support.upper)
    if lower.size != 1 or upper.size != 1 or not np.isfinite([lower[0], upper[0]]).all():
        return None
    return range(int(lower[0]), int(upper[0]) + 1)


def _filled(builder: Builder, name: str, value: int) -> Variable:
    rv = builder.structure.variable(name)
    return pt.full(builder.shape(name), np.asarray(value, dtype=rv.type.dtype))


def _untouched(builder: Builder, name: str) -> str:
    """Return a world whose interventions do not reach the variable."""
    return next(w for w, touched in builder.touched.items() if name not in touched)


def _chance(rv: TensorVariable, value: int) -> Variable:
    """Return P(rv = value | its parameters), with an axis of length 1 where those have none.

    Of categories it is an entry of their probabilities: picked out by an index that is known, so
    that the lengths of all axes are, too.
    """
    if isinstance(rv.owner.op, CategoricalRV):
        (p,) = rv.owner.op.dist_params(rv.owner)
        summed = pt.all(pt.abs(pt.sum(p, axis=-1) - 1.0) <= 1e-5)
        proper = pt.and_(pt.all(pt.ge(p, 0)), summed)
        p = CheckParameterValue("0 <= p <=1, sum(p) = 1")(p, proper)[..., value]
        return pt.expand_dims(p, tuple(range(rv.type.ndim - p.type.ndim)))
    constant = np.full((1,) * rv.type.ndim, value, dtype=rv.type.dtype)
    return pt.exp(density_of(pm.logp, rv, pt.as_tensor_variable(constant)))


def _probability(child: Builder, key: tuple[str, str], value: int, request: Request) -> Variable:
    """Return P(variable = value | parents in its world), laid along the result's dims."""
    name, world = key
    rv = child.structure.variable(name)
    where = world if world in child.worlds else _untouched(child, name)
    [p] = child.substitute([_chance(rv, value)], where, of=name)
    own, wanted = list(child.dims_of(name)), list(child._result_dims(request))
    return p.dimshuffle([own.index(d) if d in own else "x" for d in wanted])
