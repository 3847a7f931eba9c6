"""Where an equation is defined: what must hold for its value to exist.

A logarithm needs a positive argument, a table lookup an index within the table, a Poisson a mean
that is not negative. An intervention sets a variable to values that the model may never have seen,
and an equation that is not defined there has no value; NaN inside must not become a number.

What must hold is read off the expressions of a variable's parameters, and off the conditions that
PyMC's log-density puts on them. Only steps that can fail are listed: sums, products, exponentials
and their like are defined wherever their arguments are, so that most models have nothing to check.
Whoever knows the values (:mod:`bayescausal.evaluation.support`, :mod:`bayescausal.simulation`)
evaluates the checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as ps
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.shape import Shape, Shape_i

from bayescausal.model.interventions.equation_walk import Check, Walk
from bayescausal.model.interventions.support import params_of
from bayescausal.model.interventions.total import ARRAYS, TOTAL, is_nan, is_total
from bayescausal.model.noise.means import mean_of
from bayescausal.model.noise.signs import op_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytensor.graph.basic import Variable

    from bayescausal.model.structure.structure import Structure

__all__ = [
    "changed_parameters",
    "changed_steps",
    "checks_of",
    "doubtful_parameters",
    "float_parameters",
    "lookups_of",
]


def checks_of(
    structure: Structure, name: str, touched: Iterable[str], *, mean: bool = False
) -> list[Check]:
    """Return what must hold for the equation of a variable to be defined.

    - `name`: a random variable or Deterministic.
    - `touched`: the variables whose values may be new; what reads none of them is not checked.
    - `mean`: only the variable's mean is read.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0, 1]}) as model:
    ...     dose = pm.Data("dose", np.array([1.0, 2.0]), dims="unit")
    ...     y = pm.Normal("y", pm.math.log(dose), 1, dims="unit")
    >>> [(c.kind, c.steps[0].words) for c in checks_of(structure_of(model), "y", ["dose"])]
    [('number', 'log(dose)')]
    """
    walk = Walk(structure, name, frozenset(touched))
    rv = structure.model.named_vars[name]
    roots = _roots(rv)
    if not any(walk.changes(r) for r in roots):
        return []
    found = walk.indexes(roots)
    read = set(roots)
    if mean and isinstance(op_of(rv), RandomVariable | SymbolicRandomVariable):
        read = _read_by_mean(rv, roots)
    for root in roots:
        if root in read and walk.changes(root) and str(root.type.dtype).startswith("float"):
            steps = walk.steps(root)
            found += [
                Check(name, "spread", s.spread, s.reads, s.words, direct=walk.direct(s.reads))
                for s in steps
                if s.spread is not None
            ]
            kept = {s.written: s.value for s in steps if s.written not in (None, s.value)}
            if steps:
                tested = graph_replace([root], kept)[0] if kept else root
                found.append(Check(name, "number", tested, walk.reads(root), steps=steps))
    found += [c for c in walk.conditions(rv) if read & set(ancestors([c.tested]))]
    return found


def lookups_of(structure: Structure, name: str, touched: Iterable[str]) -> list[Check]:
    """Return a check for every table lookup of an equation whose index reads `touched` alone."""
    touched = frozenset(touched)
    walk = Walk(structure, name, touched)
    found = walk.indexes(_roots(structure.model.named_vars[name]))
    named = set(walk.named.values()) - touched
    out = []
    for check in found:
        behind = {walk.named[v] for v in ancestors([check.tested]) if v in walk.named}
        if not behind & named:
            out.append(check)
    return out


def changed_parameters(
    structure: Structure, name: str, touched: frozenset[str], *, mean: bool = False
) -> list[Variable]:
    """Return the parameters of a variable, or its expression, that read what changes."""
    walk = Walk(structure, name, touched)
    rv = structure.model.named_vars[name]
    roots = _roots(rv)
    random = isinstance(op_of(rv), RandomVariable | SymbolicRandomVariable)
    read = _read_by_mean(rv, roots) if mean and random else set(roots)
    return [r for r in roots if r in read and walk.changes(r)]


def changed_steps(
    structure: Structure, name: str, touched: frozenset[str], root: Variable
) -> list[tuple[Any, tuple[tuple[str, ...], ...]]]:
    """Return operations behind a parameter that read what changes, and what each input reads."""
    walk = Walk(structure, name, touched)
    return [(n, tuple(walk.reads(i) for i in n.inputs)) for n in walk.nodes([root])]


def doubtful_parameters(rv: Variable) -> list[Variable]:
    """Return the parameters of a random variable that may be NaN or infinite.

    Examples
    --------
    >>> import pymc as pm, pytensor.tensor as pt
    >>> x = pt.vector("x")
    >>> len(doubtful_parameters(pm.Poisson.dist(pt.exp(x))))
    1
    >>> len(doubtful_parameters(pm.Bernoulli.dist(pt.sigmoid(2 * x + 1))))
    0
    """
    return [r for r in float_parameters(rv) if not _is_safe(r)]


def float_parameters(rv: Variable) -> list[Variable]:
    """Return the parameters of a random variable, those of its components, that are floats."""
    return [r for r in _roots(rv) if str(r.type.dtype).startswith("float")]


def _is_safe(parameter: Variable) -> bool:
    """Whether a parameter is finite for all finite values of named variables and inputs."""
    stack, seen = [parameter], set()
    while stack:
        top = stack.pop()
        if top in seen or top.owner is None or (top.name and top is not parameter):
            continue
        seen.add(top)
        op = op_of(top)
        if isinstance(op, Elemwise):
            growing = isinstance(op.scalar_op, ps.Exp | ps.Exp2 | ps.Expm1)
            broken = isinstance(op.scalar_op, ps.Switch) and any(
                is_nan(i) for i in top.owner.inputs[1:]
            )
            if growing or broken or not isinstance(op.scalar_op, TOTAL):
                return False
        elif not (isinstance(op, ARRAYS) or is_total(op)):
            return False
        stack.extend(top.owner.inputs)
    return True


# ----------------------------------------------------------------------------- private


def _roots(rv: Variable) -> list[Variable]:
    """Return the parameters of a random variable, those of its components, or an expression."""
    op = op_of(rv)
    if not isinstance(op, RandomVariable | SymbolicRandomVariable):
        return [rv]
    out: list[Variable] = []
    for p in params_of(rv):
        inner = isinstance(op_of(p), RandomVariable | SymbolicRandomVariable) and p.name is None
        out += _roots(p) if inner else [p]
    return out


def _read_by_mean(rv: Variable, roots: list[Variable]) -> set[Variable]:
    """Return the parameters that a mean reads."""
    try:
        exact = mean_of(rv)
    except Exception:  # without a mean everything is drawn
        return set(roots)
    return set(roots) if exact is None else set(roots) & _behind(exact)


def _behind(variable: Variable) -> set[Variable]:
    """Return what the value of an expression rests on, which is not what its shape does."""
    seen: set[Variable] = set()
    stack = [variable]
    while stack:
        top = stack.pop()
        if top in seen:
            continue
        seen.add(top)
        op = op_of(top)
        if op is None or isinstance(op, Shape | Shape_i):
            continue
        inputs = list(top.owner.inputs)
        if isinstance(op, Alloc):
            inputs = inputs[:1]
        elif isinstance(op, Elemwise) and isinstance(op.scalar_op, ps.Second):
            inputs = inputs[1:]
        stack.extend(inputs)
    return seen
