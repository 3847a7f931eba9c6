"""A CustomDist made of one random variable and increasing or decreasing maps.

If ``w`` has the noise form ``w := q(U)`` and ``g`` is increasing, ``v = g(w)`` has the noise form
``v := g(q(U))``; if ``g`` is decreasing, ``v := g(q(-U))``, which is again the quantile function of
``v`` because normal and logistic noise are symmetric. So the function chosen for a transformed
variable does not depend on how its distribution was written, and shifted, scaled, logged or
squashed families need no rule of their own:

    ``shifted exponential = c + Exponential``, ``logit-normal = sigmoid(Normal)``.

When it fails: a map that is not monotone (a square, a modulus), or that mixes several random
variables, has no such form and is refused, naming the operation.

References
----------
.. [1] G. Casella and R. L. Berger, *Statistical Inference*, 2nd ed., Duxbury, 2002, section 2.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytensor.scalar as ps
import pytensor.tensor as pt
from pymc.distributions.custom import CustomSymbolicDistRV
from pytensor.scalar import math as ps_math

from bayescausal.model.noise.read_off import (
    family_of,
    inner_expression,
    is_random,
    random_input,
    refusal,
)
from bayescausal.model.noise.records import record_of, record_rule
from bayescausal.model.noise.rules import NoiseRule, noise_rule, rule_of
from bayescausal.types import NoiseFormError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytensor.graph.basic import Apply
    from pytensor.graph.op import Op
    from pytensor.tensor.variable import TensorVariable

    type Pair = tuple[TensorVariable, TensorVariable]

__all__ = []

#: Increasing functions of one variable -> their inverses.
_INCREASING: dict[type, Callable[[TensorVariable], TensorVariable]] = {
    ps.Exp: pt.log,
    ps.Expm1: pt.log1p,
    ps.Log: pt.exp,
    ps.Log1p: pt.expm1,
    ps.Sqrt: pt.sqr,
    ps.Tanh: pt.arctanh,
    ps.ArcTanh: pt.tanh,
    ps.Sinh: pt.arcsinh,
    ps.ArcSinh: pt.sinh,
    ps_math.Sigmoid: lambda v: pt.log(v) - pt.log1p(-v),
    ps_math.Softplus: lambda v: v + pt.log(-pt.expm1(-v)),
}


@rule_of.register(CustomSymbolicDistRV)
def _custom(op: Op, rv: TensorVariable, coupling: str) -> NoiseRule:
    if op.ndim_supp:
        raise refusal(rv)
    record = record_of(rv)
    if record is not None:
        return record_rule(rv, record)
    rule = _rule_of(inner_expression(rv), rv)
    return NoiseRule(
        family_of(rv), rule.base, rule.discrete, rule.event_ndim, rule.forward, rule.interval
    )


def _rule_of(expression: TensorVariable, rv: TensorVariable) -> NoiseRule:
    """Return the rule of an expression in one random variable, following it inwards."""
    if is_random(expression) and expression not in rv.owner.inputs:
        return noise_rule(expression)
    position = random_input(expression, rv.owner.inputs)
    if position is None:
        raise _not_monotone(expression, rv)
    inner = _rule_of(expression.owner.inputs[position], rv)
    node = expression.owner
    backward, sign = _inverse(node, position, expression, rv)
    whole = str(node.inputs[position].dtype).startswith(("int", "uint"))

    def forward(u: TensorVariable) -> TensorVariable:
        inputs = list(node.inputs)
        inputs[position] = inner.forward(u if sign is None else sign * u)
        return node.op(*inputs)

    def interval(value: TensorVariable) -> Pair:
        before = backward(value)
        before = pt.round(before.astype("float64")).astype("int64") if whole else before
        lo, hi = inner.interval(before)
        if sign is None:
            return lo, hi
        return pt.switch(sign > 0, lo, -hi), pt.switch(sign > 0, hi, -lo)

    return NoiseRule(inner.family, inner.base, inner.discrete, inner.event_ndim, forward, interval)


def _inverse(
    node: Apply, position: int, expression: TensorVariable, rv: TensorVariable
) -> tuple[Callable[[TensorVariable], TensorVariable], Any]:
    """Return the inverse of one step, and its direction (None: increasing)."""
    scalar_op = node.op.scalar_op
    others = [v for i, v in enumerate(node.inputs) if i != position]
    if type(scalar_op) in _INCREASING:
        return _INCREASING[type(scalar_op)], None
    if isinstance(scalar_op, ps.Cast):
        return lambda v: v, None
    if isinstance(scalar_op, ps.Neg):
        return lambda v: -v, pt.constant(-1.0)
    if isinstance(scalar_op, ps.Add):
        rest = sum(others[1:], others[0])
        return lambda v: v - rest, None
    if isinstance(scalar_op, ps.Sub):
        (other,) = others
        if position == 0:
            return lambda v: v + other, None
        return lambda v: other - v, pt.constant(-1.0)
    if isinstance(scalar_op, ps.Mul):
        factor = others[0]
        for each in others[1:]:
            factor = factor * each
        return lambda v: v / factor, pt.sign(factor)
    if isinstance(scalar_op, ps.TrueDiv) and position == 0:
        (other,) = others
        return lambda v: v * other, pt.sign(other)
    raise _not_monotone(expression, rv)


def _not_monotone(expression: TensorVariable, rv: TensorVariable) -> NoiseFormError:
    node = expression.owner
    step = "a constant" if node is None else str(getattr(node.op, "scalar_op", node.op))
    name = repr(rv.name) if rv.name else family_of(rv)
    return NoiseFormError(
        f"{name} has no noise form: its dist= function uses {step}, which is not an increasing or "
        "decreasing map of one random variable.",
        remedy="Name each random variable and compute the rest in a Deterministic.",
    )
