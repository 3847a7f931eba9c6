"""The sign of an expression, where it follows from its form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Constant, Variable
from pytensor.scalar import basic as ps
from pytensor.scalar import math as pm_scalar
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape

from bayescausal.model.interventions.support import support_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytensor.graph.op import Op

__all__ = ["constant_of", "op_of", "plain_of", "sign_of"]


def sign_of(variable: Variable, *, through: bool = False) -> str:
    """Return "positive", "not negative", or "" where the sign does not follow from the form.

    An exponential is called positive although it is 0 below -745: the limit is what is meant. A
    random variable has the sign of its support, which interventions on it must not leave.
    """
    return _sign(variable, through, {})


def _sign(variable: Variable, through: bool, known: dict[Variable, str]) -> str:
    """Return the sign of an expression; parts that are used several times are looked at once."""
    variable = plain_of(variable)
    while through and isinstance(op_of(variable), ViewOp):  # a Deterministic that is not set
        variable = plain_of(variable.owner.inputs[0])
    if variable not in known:
        known[variable] = _sign_by_form(variable, lambda part: _sign(part, through, known))
    return known[variable]


def _sign_by_form(variable: Variable, sign: Callable[[Variable], str]) -> str:
    """Return the sign of an expression from the signs of its parts."""
    if isinstance(op_of(variable), RandomVariable | SymbolicRandomVariable):
        low = np.min(support_of(variable).lower)
        return "positive" if low > 0 else "not negative" if low >= 0 else ""
    if isinstance(variable, Constant):
        low = np.min(variable.data) if np.size(variable.data) else np.nan
        return "positive" if low > 0 else "not negative" if low >= 0 else ""
    op = op_of(variable)
    if isinstance(op, CAReduce) and isinstance(op.scalar_op, ps.Add | ps.Mul):
        return sign(variable.owner.inputs[0])
    if isinstance(op, Shape | Shape_i):
        return "positive"
    if not isinstance(op, Elemwise):
        return ""
    scalar = op.scalar_op
    if isinstance(scalar, ps.Exp | pm_scalar.Sigmoid | pm_scalar.Softplus):
        return "positive"
    if isinstance(scalar, ps.Sqr | ps.Abs):
        return "not negative"
    if isinstance(scalar, ps.Sqrt):
        return sign(variable.owner.inputs[0]) or "not negative"
    if isinstance(scalar, ps.ScalarMaximum):
        signs = [sign(i) for i in variable.owner.inputs]
        return "positive" if "positive" in signs else "not negative" if any(signs) else ""
    if isinstance(scalar, ps.Add | ps.Mul | ps.TrueDiv):
        signs = [sign(i) for i in variable.owner.inputs]
        if not all(signs):
            return ""
        some = any if isinstance(scalar, ps.Add) else all
        return "positive" if some(s == "positive" for s in signs) else "not negative"
    return ""


def plain_of(variable: Variable) -> Variable:
    """Return an expression without changes of shape or type."""
    while True:
        op = op_of(variable)
        moved = isinstance(op, DimShuffle | Alloc | Reshape | SpecifyShape)
        cast = isinstance(op, Elemwise) and isinstance(op.scalar_op, ps.Cast | ps.Identity)
        if not (moved or cast):
            return variable
        variable = variable.owner.inputs[0]


def constant_of(variable: Variable) -> float | None:
    """Return the value of a constant of one entry."""
    variable = plain_of(variable)
    if isinstance(variable, Constant) and np.size(variable.data) == 1:
        return float(np.asarray(variable.data).reshape(()))
    return None


def op_of(variable: Variable) -> Op | None:
    """Return the operation behind a variable."""
    return None if variable.owner is None else variable.owner.op
