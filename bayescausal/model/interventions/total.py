"""Which operations are defined wherever their arguments are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.logprob.utils import CheckParameterValue
from pytensor.graph.basic import Constant, Variable
from pytensor.scalar import basic as ps
from pytensor.scalar import math as pm_scalar
from pytensor.tensor.basic import Alloc, Join, MakeVector, ScalarFromTensor, TensorFromScalar
from pytensor.tensor.elemwise import CAReduce, DimShuffle
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor

from bayescausal.model.noise.signs import constant_of, plain_of

if TYPE_CHECKING:
    from pytensor.graph.op import Op


__all__ = ["ARRAYS", "TOTAL", "is_count", "is_nan", "is_total"]

#: Elementwise functions that are defined wherever their arguments are.
TOTAL = (
    ps.Add, ps.Sub, ps.Mul, ps.Neg, ps.Exp, ps.Exp2, ps.Expm1, ps.Sqr, ps.Abs, ps.Sign, ps.Cast,
    ps.Identity, ps.Second, ps.Switch, ps.Clip, ps.ScalarMaximum, ps.ScalarMinimum, ps.Floor,
    ps.Ceil, ps.Trunc, ps.RoundHalfToEven, ps.RoundHalfAwayFromZero, ps.Sin, ps.Cos, ps.Sinh,
    ps.Cosh, ps.Tanh, ps.ArcSinh, ps.ArcTan, ps.ArcTan2, ps.LogicalComparison, ps.IsNan, ps.IsInf,
    ps.AND, ps.OR, ps.XOR, ps.Invert, pm_scalar.Erf, pm_scalar.Erfc, pm_scalar.Sigmoid,
    pm_scalar.Softplus,
)  # fmt: skip


#: Operations on whole arrays that are defined wherever their arguments are.
ARRAYS = (
    DimShuffle, Alloc, Join, MakeVector, CAReduce, Reshape, Shape, Shape_i, SpecifyShape,
    ScalarFromTensor, TensorFromScalar, Subtensor, AdvancedSubtensor,
    RandomVariable, SymbolicRandomVariable, CheckParameterValue,
)  # fmt: skip


_NAMED_TOTAL = (
    "Dot", "Softmax", "LogSoftmax", "ARange", "CumOp", "Sort", "ArgSort", "Argmax", "Max", "Eye",
    "Tri", "ExtractDiag", "AllocDiag", "Matmul", "IncSubtensor", "AdvancedIncSubtensor", "Split",
)  # fmt: skip


def is_total(op: Op | None) -> bool:
    """Whether an operation on arrays is defined wherever its arguments are."""
    names = (type(op).__name__, type(getattr(op, "core_op", None)).__name__)
    return any(n in _NAMED_TOTAL for n in names)


def is_nan(variable: Variable) -> bool:
    number = constant_of(variable)
    return number is not None and not np.isfinite(number)


def is_count(variable: Variable) -> bool:
    """Whether an exponent is a whole number from 0."""
    variable = plain_of(variable)
    if not isinstance(variable, Constant):
        return False
    values = np.asarray(variable.data)
    return bool(np.all((values >= 0) & (values == np.round(values))))
