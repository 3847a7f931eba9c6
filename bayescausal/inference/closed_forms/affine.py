r"""Equations that are affine in their unknowns: proof by degrees, and evaluation.

An expression is affine in unknowns :math:`c` if :math:`\mu(c) = o + X c` with :math:`o, X` free of
them. It is *proved* by passing degrees through the graph (sums take the largest, products add,
what is not known to keep a degree has none). The numbers are read off by :mod:`.design`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.ops import ViewOp
from pytensor.graph.replace import clone_replace
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar import basic as ps
from pytensor.tensor.basic import Alloc, Join, MakeVector, ScalarFromTensor, TensorFromScalar
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.extra_ops import CumOp
from pytensor.tensor.math import Dot, Sum
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import (
    AdvancedIncSubtensor,
    AdvancedSubtensor,
    IncSubtensor,
    Subtensor,
)

from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.rebuild import evaluate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pytensor.graph.basic import Apply, Variable

    from bayescausal.model.structure.structure import Structure

__all__ = ["Expressions", "NotAffineError", "degree", "shapes_of"]

NONE = float("inf")


class NotAffineError(Exception):
    """An equation is not of the form that an exact method needs; the message says why."""


# ------------------------------------------------------------------------ degrees


def degree(
    root: Variable, unknown: Collection[Variable], given: Collection[Variable] = ()
) -> float:
    """Return the degree of an expression in some variables: 0, 1, 2, ... or infinity.

    The walk does not go behind the unknown, of degree 1, and the given, of degree 0.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> from bayescausal.inference.closed_forms.affine import degree
    >>> b, x = pt.scalar("b"), pt.vector("x")
    >>> degree(3 + b * x, {b}), degree(pt.exp(x) * b, {b}), degree(pt.exp(b), {b})
    (1, 1, inf)
    """
    known: dict[Variable, float] = {**dict.fromkeys(given, 0), **dict.fromkeys(unknown, 1)}
    stack = [root]
    while stack:
        top = stack[-1]
        if top in known:
            stack.pop()
            continue
        if top.owner is None:
            known[top] = 0
            stack.pop()
            continue
        waiting = [v for v in top.owner.inputs if v not in known]
        if waiting:
            stack.extend(waiting)
            continue
        known[top] = _degree(top.owner, [known[v] for v in top.owner.inputs])
        stack.pop()
    return known[root]


def _degree(node: Apply, inputs: list[float]) -> float:
    op = node.op
    if isinstance(op, Shape | Shape_i):
        return 0  # the shape of a value is not its value
    if not any(inputs):
        return 0
    if isinstance(op, Blockwise):
        op = op.core_op
    if isinstance(op, Elemwise):
        return _scalar_degree(op.scalar_op, node, inputs)
    if isinstance(op, Dot) or type(op).__name__ in ("MatMul", "BatchedDot"):
        return sum(inputs)
    if isinstance(op, Join | MakeVector):
        return max(inputs)
    if isinstance(op, Subtensor | AdvancedSubtensor):
        return inputs[0] if not any(inputs[1:]) else NONE
    if isinstance(op, IncSubtensor | AdvancedIncSubtensor):
        return max(inputs[:2]) if not any(inputs[2:]) else NONE
    if isinstance(op, CAReduce):
        return inputs[0] if isinstance(op, Sum) else NONE
    if isinstance(op, CumOp):
        return inputs[0] if op.mode == "add" else NONE
    first = DimShuffle | Reshape | Alloc | SpecifyShape | ViewOp | CheckAndRaise
    if isinstance(op, first | TensorFromScalar | ScalarFromTensor):
        return inputs[0]
    return NONE


def _scalar_degree(op: ps.ScalarOp, node: Apply, inputs: list[float]) -> float:
    if isinstance(op, ps.Add | ps.Sub | ps.Neg | ps.Identity):
        return max(inputs)
    if isinstance(op, ps.Cast):
        return inputs[0] if "float" in str(node.outputs[0].type.dtype) else NONE
    if isinstance(op, ps.Second):
        return inputs[1]
    if isinstance(op, ps.Mul):
        return sum(inputs)
    if isinstance(op, ps.TrueDiv):
        return inputs[0] if not inputs[1] else NONE
    if isinstance(op, ps.Switch):
        return max(inputs[1:]) if not inputs[0] else NONE
    return NONE


# ---------------------------------------------------------------------- evaluating


class Expressions:
    """Expressions of a model as functions of unknowns and columns, without a compiler.

    Parameters
    ----------
    outputs : sequence of Variable
        Of ``structure.model``.
    columns : collection of str
        Names that are given by data: observed variables and ``pm.Data`` of the units.
    places : mapping of Variable to str, optional
        Expressions that are given too, by the names that they have in the values.

    Attributes
    ----------
    reads : tuple of str
        Random variables and columns that the expressions read.
    """

    def __init__(
        self,
        structure: Structure,
        outputs: Sequence[Variable],
        columns: Collection[str],
        places: Mapping[Variable, str] | None = None,
    ) -> None:
        model, places = structure.model, places or {}
        leaves = {*model.basic_RVs, *(d for d in model.data_vars if d.name in columns)}
        names = {v: str(v.name) for v in named_parents(outputs, leaves | set(places))} | {**places}
        found = sorted(names, key=names.__getitem__)
        self.reads = tuple(names[v] for v in found)
        self._types = {names[v]: str(v.type.dtype) for v in found}
        inputs = {
            v: pt.TensorType(v.type.dtype, v.type.shape if v in places else (None,) * v.type.ndim)(
                f"in_{names[v]}"
            )
            for v in found
        }
        free = clone_replace(list(outputs), replace=inputs, rebuild_strict=False)
        self._call = pytensor.function(
            list(inputs.values()), free, mode=PY_MODE, on_unused_input="ignore"
        )

    def __call__(self, values: Mapping[str, Any]) -> list[np.ndarray]:
        """Return the outputs at values of what they read."""
        with np.errstate(all="ignore"):
            found = self._call(*(np.asarray(values[n], dtype=self._types[n]) for n in self.reads))
        return [np.asarray(v) for v in found]


def shapes_of(structure: Structure, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of parameters of a model."""
    shaped = [n for n in names if structure.variable(n).type.ndim]
    found = evaluate([structure.variable(n).shape for n in shaped]) if shaped else []
    held = {n: tuple(int(k) for k in shape) for n, shape in zip(shaped, found, strict=True)}
    return {n: held.get(n, ()) for n in names}
