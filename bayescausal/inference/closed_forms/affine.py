r"""Equations that are affine in their unknowns: proof, offset and design.

An expression is affine in unknowns :math:`c` if :math:`\mu(c) = o + X c` with :math:`o, X` free of
them. It is *proved* by passing degrees through the graph (sums take the largest, products add,
what is not known to keep a degree has none), and then *read off* by probing: :math:`o = \mu(0)`,
:math:`X_j = \mu(e_j) - o`. A vector of which each row uses one element (an effect of a group) needs
two probes, not one per element: ones give the weight, ``arange`` the place.

The numbers are verified at a random point. A rule of degrees that were wrong would be found there,
not in a posterior.
"""

from __future__ import annotations

from dataclasses import dataclass
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

__all__ = ["Design", "Expressions", "NotAffineError", "degree", "design_of", "shapes_of"]

NONE = float("inf")
#: Elements of one unknown up to which each is probed.
DENSE = 64
#: Elements up to which each is probed where the two probes do not do.
MOST = 512


class NotAffineError(Exception):
    """An equation is not of the form that an exact method needs; the message says why."""


# ------------------------------------------------------------------------ degrees


def degree(
    root: Variable, unknown: Collection[Variable], given: Collection[Variable] = ()
) -> float:
    """Return the degree of an expression in some variables: 0, 1, 2, ... or infinity.

    Parameters
    ----------
    unknown, given : collection of Variable
        Leaves of degree 1 and of degree 0; the walk does not go behind them.

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
    if isinstance(op, Join):
        return max(inputs[1:]) if not inputs[0] else NONE
    if isinstance(op, MakeVector):
        return max(inputs)
    if isinstance(op, Subtensor | AdvancedSubtensor):
        return inputs[0] if not any(inputs[1:]) else NONE
    if isinstance(op, IncSubtensor | AdvancedIncSubtensor):
        return max(inputs[:2]) if not any(inputs[2:]) else NONE
    if isinstance(op, CAReduce):
        return inputs[0] if isinstance(op, Sum) else NONE
    first = DimShuffle | Reshape | Alloc | SpecifyShape | ViewOp | CheckAndRaise
    if isinstance(op, first | TensorFromScalar | ScalarFromTensor):
        return inputs[0]
    return NONE


def _scalar_degree(op: Any, node: Apply, inputs: list[float]) -> float:
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

    Attributes
    ----------
    reads : tuple of str
        Random variables and columns that the expressions read.
    """

    def __init__(self, structure: Structure, outputs: Sequence[Variable], columns: Any) -> None:
        model = structure.model
        leaves = {*model.basic_RVs, *(d for d in model.data_vars if d.name in columns)}
        found = sorted(named_parents(outputs, leaves), key=lambda v: str(v.name))
        self.reads = tuple(str(v.name) for v in found)
        self._types = {str(v.name): str(v.type.dtype) for v in found}
        inputs = {
            v: pt.TensorType(v.type.dtype, (None,) * v.type.ndim)(f"in_{v.name}") for v in found
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


# ------------------------------------------------------------------------- designs


@dataclass(frozen=True, eq=False)
class Design:
    """The offset and the design of some rows: ``mu = offset + X c``.

    Attributes
    ----------
    offset : ndarray, shape (n_rows,)
    dense : list of (slice, ndarray)
        Columns of X, and their values, (n_rows, n_columns).
    scattered : list of (slice, ndarray, ndarray)
        Columns of X of which each row uses one: its place among them, and its weight.
    """

    offset: np.ndarray
    dense: list[tuple[slice, np.ndarray]]
    scattered: list[tuple[slice, np.ndarray, np.ndarray]]

    def times(self, vector: np.ndarray) -> np.ndarray:
        """Return ``X c``."""
        out = np.zeros(len(self.offset))
        for place, block in self.dense:
            out += block @ vector[place]
        for place, index, weight in self.scattered:
            out += weight * vector[place][index]
        return out

    def transposed(self, rows: np.ndarray, size: int) -> np.ndarray:
        """Return ``X' r``."""
        out = np.zeros(size)
        for place, block in self.dense:
            out[place] += block.T @ rows
        for place, index, weight in self.scattered:
            length = place.stop - place.start
            out[place] += np.bincount(index, weight * rows, minlength=length)
        return out

    def gram(self, weights: np.ndarray, size: int) -> np.ndarray:
        """Return ``X' W X`` for a diagonal W."""
        out = np.zeros((size, size))

        def put(p: slice, q: slice, block: np.ndarray) -> None:
            out[p, q] += block
            if p != q:
                out[q, p] += block.T

        for i, (p, x) in enumerate(self.dense):
            weighted = x * weights[:, None]
            for q, z in self.dense[i:]:
                put(p, q, weighted.T @ z)
            for q, index, weight in self.scattered:
                length = q.stop - q.start
                columns = (weighted[:, j] * weight for j in range(x.shape[1]))
                put(p, q, np.stack([np.bincount(index, c, minlength=length) for c in columns]))
        for i, (p, a, u) in enumerate(self.scattered):
            put(p, p, np.diag(np.bincount(a, weights * u * u, minlength=p.stop - p.start)))
            for q, b, v in self.scattered[i + 1 :]:
                shape = (p.stop - p.start, q.stop - q.start)
                joint = np.bincount(
                    a * shape[1] + b, weights * u * v, minlength=shape[0] * shape[1]
                )
                put(p, q, joint.reshape(shape))
        return out


def design_of(
    evaluate: Any, values: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], rows: Any
) -> Design:
    """Return the offset and design of an expression that is affine in its unknowns.

    Parameters
    ----------
    evaluate : callable
        From values of columns and unknowns to one array, the expression.
    values : mapping of str to ndarray
        The columns of the rows at hand.
    shapes : mapping of str to tuple of int
        Of the unknowns, in order: they are laid out one after the other.
    rows : tuple of int
        Shape to which the expression broadcasts; rows are counted in C order.

    Raises
    ------
    NotAffineError
        If the numbers contradict the degrees.
    """

    def at(unknown: Mapping[str, np.ndarray]) -> np.ndarray:
        found = np.asarray(evaluate({**values, **unknown}), dtype=float)
        return np.broadcast_to(found, rows).reshape(-1)

    nothing = {n: np.zeros(shape) for n, shape in shapes.items()}
    offset = at(nothing)
    dense: list[tuple[slice, np.ndarray]] = []
    scattered: list[tuple[slice, np.ndarray, np.ndarray]] = []
    start = 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        place = slice(start, start + size)
        start += size
        found = None
        if size > DENSE:
            found = _scatter(at, nothing, name, shape, offset)
            if found is None and size > MOST:
                raise NotAffineError(f"{name!r} has {size} elements and rows use several of them")
        if found is not None:
            scattered.append((place, *found))
            continue
        block = np.empty((len(offset), size))
        for j in range(size):
            probe = np.zeros(size)
            probe[j] = 1.0
            block[:, j] = at({**nothing, name: probe.reshape(shape)}) - offset
        dense.append((place, block))
    made = Design(offset, dense, scattered)
    rng = np.random.default_rng(20)
    point = {n: rng.normal(size=shape) for n, shape in shapes.items()}
    flat = np.concatenate([np.zeros(0), *(v.reshape(-1) for v in point.values())])
    want, have = at(point), offset + made.times(flat)
    scale = 1.0 + np.abs(want) + np.abs(offset)
    if not np.all(np.abs(want - have) <= 1e-8 * scale):
        raise NotAffineError("the equation is not affine at a random point")
    return made


def _scatter(
    at: Any, nothing: Mapping[str, np.ndarray], name: str, shape: Any, offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the place and weight of the one element that each row uses; None if several."""
    size = int(np.prod(shape))
    weight = at({**nothing, name: np.ones(shape)}) - offset
    moved = at({**nothing, name: np.arange(float(size)).reshape(shape)}) - offset
    with np.errstate(all="ignore"):
        place = np.where(weight != 0, moved / weight, 0.0)
    index = np.rint(place)
    inside = np.isfinite(place) & (index >= 0) & (index < size)
    if not np.all(inside) or not np.allclose(place, index, atol=1e-6):
        return None
    index = index.astype(np.intp)
    probe = np.random.default_rng(21).normal(size=size)
    seen = at({**nothing, name: probe.reshape(shape)}) - offset
    if not np.allclose(seen, weight * probe[index], rtol=1e-8, atol=1e-8):
        return None
    return index, weight
