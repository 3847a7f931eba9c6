r"""Equations that are affine in their unknowns: proof by degrees, and evaluation.

An expression is affine in unknowns :math:`c` if :math:`\mu(c) = o + X c` with :math:`o, X` free of
them. It is *proved* by passing degrees through the graph (sums take the largest, products add,
what is not known to keep a degree has none). The numbers are read off by :mod:`.design`.

The noise may be one unknown number times a known number of each row. A kernel or precision weight
:math:`w_i` enters a generative model so,

.. math:: y_i \sim N(\mu_i,\; g(s)\, f_i), \qquad f_i = w_i^{-1/2},

and the likelihood of a row is that of :math:`w_i` rows' mean [1]_: sums of squares and products
weighted by :math:`f_i^{-2}`, and a count of rows that is not. A row of weight zero has infinite
noise and no likelihood: it is no row of the data.

References
----------
.. [1] A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., CRC Press, 2013, section 14.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Constant
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
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
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pytensor.graph.basic import Apply, Variable

    from bayescausal.annotations import Array
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "Expressions",
    "NotAffineError",
    "degree",
    "factored",
    "shapes_of",
    "stripped",
    "weights_of",
    "widened",
]

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

    - `outputs`: of ``structure.model``.
    - `columns`: names that are given by data: observed variables and ``pm.Data`` of the units.
    - `places`: expressions that are given too, by the names that they have in the values.

    `reads` (tuple of str): random variables and columns that the expressions read.
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
        return [widened(np.asarray(v)) for v in found]


def widened(values: np.ndarray) -> np.ndarray:
    """Return whole numbers in 64 bits: PyTensor keeps a literal 20 in a byte, whose square is -112.

    Examples
    --------
    >>> import numpy as np
    >>> widened(np.array(20, dtype=np.int8)) ** 2
    np.int64(400)
    """
    return values.astype(np.int64) if values.dtype.kind in "iu" else values


def shapes_of(structure: Structure, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of parameters of a model."""
    shaped = [n for n in names if structure.variable(n).type.ndim]
    found = evaluate([structure.variable(n).shape for n in shaped]) if shaped else []
    held = {n: tuple(int(k) for k in shape) for n, shape in zip(shaped, found, strict=True)}
    return {n: held.get(n, ()) for n in names}


# ------------------------------------------------- noise that is a number times known numbers


def stripped(expression: Variable) -> Variable:
    """Return what was broadcast to make an expression."""
    while expression.owner is not None and expression.type.ndim:
        op = expression.owner.op
        wide = isinstance(op, DimShuffle | Alloc)
        fill = isinstance(op, Elemwise) and isinstance(op.scalar_op, ps.Second)
        if not wide and not fill:
            break
        expression = expression.owner.inputs[1 if fill else 0]
    return expression


def factored(
    spread: Variable, unknown: Collection[Variable], given: Collection[Variable]
) -> tuple[Variable, Variable | None] | None:
    """Return the noise as one unknown number, and the known factor of each row.

    - `spread`: the noise.
    - `unknown`, `given`: leaves that are unknown, and that are known: data, columns.
    Returns: the number, without dims; the factor, None where there is none. None where the noise is
    no such product.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> s, w = pt.scalar("s"), pt.vector("w")
    >>> number, factor = factored(pt.exp(s) / pt.sqrt(w), {s}, {w})
    >>> number.eval({s: 0.0}).item(), factor.eval({w: [4.0, 1.0]}).tolist()
    (1.0, [0.5, 1.0])
    >>> factored(s + w, {s}, {w}) is None
    True
    """
    one = stripped(spread)
    behind = set(ancestors([one], blockers=list(unknown)))
    if not behind & set(unknown):
        return None
    if not one.type.ndim and not behind & set(given):
        return one, None
    return _taken_apart(spread, set(unknown), set(given))


def weights_of(name: str, factor: Array, rows: tuple[int, ...]) -> Array:
    """Return the weight of each row, ``1 / f**2``.

    Raises DataError if some factor is infinite: a weight of zero.
    Raises NotAffineError if some factor is not positive.
    """
    wide = widened(np.broadcast_to(factor, rows).reshape(-1))
    none = int(np.isposinf(wide).sum())
    if none:
        raise DataError(
            f"{none:,} of {wide.size:,} rows of {name!r} have infinite noise: a weight of zero.",
            expected="positive weights.",
            remedy="Leave these rows out of the data; a row without weight says nothing.",
        )
    if not np.all(wide > 0):
        raise NotAffineError(f"the noise of {name!r} is not positive")
    return np.asarray(1.0 / wide**2)


def _taken_apart(
    v: Variable, unknown: set[Variable], given: set[Variable]
) -> tuple[Variable, Variable] | None:
    """Return a number that reads the unknown alone, and a factor that does not."""
    behind = set(ancestors([v]))
    if not behind & unknown:
        return pt.constant(1.0), v
    one = stripped(v)
    if not one.type.ndim and not set(ancestors([one])) & given:
        return one, pt.constant(1.0)
    node = v.owner
    if node is None:
        return None
    if isinstance(node.op, DimShuffle):
        inner = _taken_apart(node.inputs[0], unknown, given)
        if inner is None or not inner[1].type.ndim:
            return inner
        same = inner[1].type.ndim == node.inputs[0].type.ndim
        return (inner[0], node.op(inner[1])) if same else None
    if not isinstance(node.op, Elemwise):
        return None
    op = node.op.scalar_op
    if isinstance(op, ps.Mul | ps.TrueDiv):
        parts = [_taken_apart(i, unknown, given) for i in node.inputs]
        if any(p is None for p in parts):
            return None
        numbers, factors = zip(*(p for p in parts if p is not None), strict=True)
        return node.op(*numbers), node.op(*factors)
    if isinstance(op, ps.Sqrt | ps.Sqr | ps.Identity | ps.Cast | ps.Reciprocal):
        inner = _taken_apart(node.inputs[0], unknown, given)
        return None if inner is None else (node.op(inner[0]), node.op(inner[1]))
    if isinstance(op, ps.Pow) and isinstance(stripped(node.inputs[1]), Constant):
        inner = _taken_apart(node.inputs[0], unknown, given)
        power = stripped(node.inputs[1])
        return None if inner is None else (inner[0] ** power, inner[1] ** power)
    return None
