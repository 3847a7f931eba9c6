r"""Where an equation jumps, so that it has no derivative.

An average of a step, :math:`E[1(X + h > c)]`, has a derivative, the density of X at c, and no unit
shows it: for almost every unit the step is flat, and the few units next to c jump. A difference of
two worlds a small step apart then measures which units happen to lie there.

A comparison is no jump by itself: splines and ``switch(x > 0, x, 0)`` are continuous. Whether one
is can be seen at the threshold: what is compared is put in the place of what it is compared with,
and the equation must not care on which side it is. Nor is a comparison of a discrete variable: it
is that variable that jumps, where it is drawn. A quotient has a pole, which is met only where its
denominator crosses zero; so has a negative power.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.custom import CustomSymbolicDistRV
from pytensor.graph.basic import equal_computations
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as ps
from pytensor.tensor.elemwise import Elemwise

from bayescausal.model.interventions.domain import changed_parameters, changed_steps
from bayescausal.model.interventions.support import is_discrete, params_of
from bayescausal.model.interventions.total import is_count
from bayescausal.model.noise.means import mean_of
from bayescausal.model.noise.read_off import inner_expression, is_random
from bayescausal.model.noise.signs import constant_of, op_of, plain_of, sign_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytensor.graph.basic import Apply, Variable

    from bayescausal.model.structure.structure import Structure

__all__ = ["Jump", "behind_jumps", "bent_roots", "jumps_of"]


@dataclass(frozen=True, eq=False)
class Jump:
    """A step of an equation that may jump."""

    equation: str
    reads: tuple[str, ...]  # the changed variables that it reads
    words: str
    # The equation on both sides of the threshold, at it; None where it surely jumps.
    sides: tuple[Variable, Variable] | None = None
    condition: Variable | None = None  # which side it is
    pole: bool = False  # whether it is a jump only where some unit crosses it


_ROUNDING = (
    ps.Floor, ps.Ceil, ps.Trunc, ps.RoundHalfToEven, ps.RoundHalfAwayFromZero, ps.IntDiv, ps.Mod,
)  # fmt: skip


def jumps_of(
    structure: Structure, name: str, touched: Iterable[str], *, mean: bool = False
) -> list[Jump]:
    """Return the steps of a variable's equation that may jump.

    - `touched`: the variables that move.
    - `mean`: only the variable's mean is read.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", dims="unit")
    ...     y = pm.Normal("y", 2 * (x > 0), 1, dims="unit")
    >>> [j.words for j in jumps_of(structure_of(model), "y", ["x"])]
    ['a comparison']
    """
    touched = frozenset(touched)
    discrete = {n for n in structure.random if is_discrete(structure.variable(n))}
    out: list[Jump] = []
    for root in _roots(structure, name, touched, mean=mean):
        for node, read in changed_steps(structure, name, touched, root):
            reads = tuple(sorted(set().union(*read)))
            if not discrete.issuperset(reads):
                jump = _jump(name, root, node, reads, read)
                out += [] if jump is None else [jump]
    return out


def bent_roots(
    structure: Structure, name: str, touched: frozenset[str], *, mean: bool = False
) -> list[Variable]:
    """Return the parameters of a variable that have a kink or a pole at which no side is undefined.

    Those of an absolute value, a maximum or a minimum; of a root, a logarithm or a power of what is
    never negative: ``sqrt(x**2)``.
    """
    discrete = {n for n in structure.random if is_discrete(structure.variable(n))}
    return [
        root
        for root in _roots(structure, name, touched, mean=mean)
        if any(
            _bends(node) and not discrete.issuperset(set().union(*read))
            for node, read in changed_steps(structure, name, touched, root)
        )
    ]


def _bends(node: Apply) -> bool:
    """Whether an operation has a kink, or a pole within where it is defined."""
    scalar = getattr(node.op, "scalar_op", None)
    if isinstance(scalar, ps.Pow) and is_count(node.inputs[1]):
        return False
    powers = ps.Sqrt | ps.Log | ps.Log2 | ps.Log10 | ps.Log1p | ps.Pow | ps.TrueDiv | ps.Reciprocal
    below = node.inputs[-1 if isinstance(scalar, ps.TrueDiv) else 0]
    return isinstance(scalar, ps.Abs | ps.ScalarMaximum | ps.ScalarMinimum | ps.Clip) or (
        isinstance(scalar, powers) and (sign_of(below) == "not negative" or _is_square(below))
    )


def _is_square(variable: Variable) -> bool:
    """Whether an expression is an even power."""
    variable = plain_of(variable)
    scalar = getattr(op_of(variable), "scalar_op", None)
    power = constant_of(variable.owner.inputs[1]) if isinstance(scalar, ps.Pow) else None
    return power is not None and power % 2 == 0


def behind_jumps(structure: Structure) -> frozenset[str]:
    """Return the variables that equations which jump read, and what these are made of."""
    full = frozenset(structure.full)
    read = {name for n in structure.full for j in jumps_of(structure, n, full) for name in j.reads}
    return frozenset(read | structure.ancestors(read))


def _roots(
    structure: Structure, name: str, touched: frozenset[str], *, mean: bool
) -> list[Variable]:
    """Return what of an equation changes: its parameters, and what a CustomDist makes of them."""
    roots = changed_parameters(structure, name, touched, mean=mean)
    rv = structure.model.named_vars[name]
    if not isinstance(getattr(rv.owner, "op", None), CustomSymbolicDistRV):
        return roots
    exact = mean_of(rv) if mean else None
    if exact is not None:
        return [exact]
    own = {*rv.owner.inputs, *structure.model.named_vars.values()} - {rv}
    whole = inner_expression(rv)
    drawn = [v for v in ancestors([whole], own) if v not in own and is_random(v)]
    below = [v for v in drawn if v is not whole]
    inner = [p for v in drawn for p in params_of(v) if p not in drawn]
    if below:  # the noise is any number: what is made of it is looked at
        filled = {v: pt.full_like(v, 1.2345) for v in below}
        inner.append(graph_replace([whole], filled, strict=False)[0])
    return [*roots, *(p for p in inner if p not in roots and p.type.ndim <= rv.type.ndim)]


def _jump(
    name: str,
    root: Variable,
    node: Apply,
    reads: tuple[str, ...],
    read: tuple[tuple[str, ...], ...],
) -> Jump | None:
    op, value = node.op, node.outputs[0]
    if type(op).__name__ in ("Argmax", "ArgSortOp"):
        return Jump(name, reads, "a choice of the largest or an order")
    if type(op).__name__ == "SearchsortedOp":
        return Jump(name, reads, "a search in a table")
    if not isinstance(op, Elemwise):
        return None
    scalar = op.scalar_op
    moving = node.inputs[0]
    if isinstance(scalar, ps.Cast):
        kind = str(value.type.dtype)
        if not str(moving.type.dtype).startswith("float") or kind.startswith(("float", "complex")):
            return None
        words = "a conversion to truth values" if kind == "bool" else "a conversion to integers"
        return Jump(name, reads, words)
    if isinstance(scalar, ps.Switch) and read[0] and str(moving.type.dtype).startswith("float"):
        return Jump(name, reads, "a number read as a truth value")
    if isinstance(scalar, _ROUNDING):
        return Jump(name, reads, "rounding")
    if isinstance(scalar, ps.Sign):
        sides = _sides(root, value, moving, pt.zeros_like(moving), (1.0, -1.0))
        return Jump(name, reads, "a sign", sides, value)
    if isinstance(scalar, ps.LogicalComparison):
        left, right = node.inputs
        sides = _sides(root, value, left, right, (True, False))
        return Jump(name, reads, "a comparison", sides, value)
    below = {ps.TrueDiv: 1, ps.Reciprocal: 0}.get(type(scalar))
    if isinstance(scalar, ps.Pow) and not sign_of(node.inputs[1]):  # the power may be negative
        below = 0
    if below is not None and read[below] and sign_of(node.inputs[below]) != "positive":
        words = "a division by an expression that crosses 0"
        return Jump(name, reads, words, None, pt.gt(node.inputs[below], 0), pole=True)
    return None


def _sides(
    root: Variable, node: Variable, left: Variable, right: Variable, values: tuple[Any, Any]
) -> tuple[Variable, Variable] | None:
    """Return an expression at the threshold, on both sides of it."""
    if left.owner is None and not left.name:  # a number is compared with what moves
        left, right = right, left
    at = pt.second(left, right).astype(left.type.dtype)
    shape = pt.second(at, np.asarray(0.0))
    found = []
    for value in values:
        fixed = (shape * 0 + float(value)).astype(node.type.dtype)
        if fixed.type.ndim != node.type.ndim:
            return None
        try:
            here = dict.fromkeys((left, *_same(root, left)), at)
            [side] = graph_replace([root], {**here, node: fixed}, strict=False)
        except Exception:  # what cannot be put in its place is taken to jump
            return None
        found.append(side)
    return found[0], found[1]


def _same(root: Variable, expression: Variable) -> list[Variable]:
    """Return other places at which an expression is written once more."""
    if expression.owner is None:
        return []
    return [
        v
        for v in ancestors([root])
        if v.owner is not None
        and v is not expression
        and v.owner.op == expression.owner.op
        and equal_computations([v], [expression])
    ]
