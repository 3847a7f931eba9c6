"""What the dist= function of a CustomDist computes, and which of its inputs is random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.random.op import RandomVariable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    type Pair = tuple[TensorVariable, TensorVariable]

__all__ = ["inner_expression", "is_random", "random_input"]


def is_random(variable: Variable) -> bool:
    """Return whether a variable is drawn, rather than computed."""
    node = variable.owner
    return node is not None and isinstance(node.op, RandomVariable | SymbolicRandomVariable)


def inner_expression(rv: TensorVariable) -> TensorVariable:
    """Return what the ``dist=`` function of a CustomDist computes, in its own parameters."""
    op = rv.owner.op
    return op.fgraph.bind(rv.owner.inputs)[op.default_output]


def random_input(expression: TensorVariable, given: Sequence[Variable]) -> int | None:
    """Return which input of an elementwise expression is random; None unless exactly one is.

    What the distribution is given, its parameters, is not: other variables of a model, or
    expressions of them.
    """
    node = expression.owner
    if node is None or not isinstance(node.op, Elemwise):
        return None
    held = set(given)
    drawn = [
        each not in held and any(is_random(v) and v not in held for v in ancestors([each], held))
        for each in node.inputs
    ]
    return drawn.index(True) if sum(drawn) == 1 else None
