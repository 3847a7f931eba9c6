r"""Sums along a dim: a walk in the place of its steps.

A path written by its steps, :math:`c = \mathrm{cumsum}(g z + r)` with Normal :math:`z`, reads every
step at every time: :math:`z` has a dense posterior precision. The walk :math:`c` itself has a
banded one, and says the same [1]_: as the map from :math:`z` to :math:`c` is affine and one to one,

.. math::

   z_t \sim N(m_t, s_t) \iff c_t \sim N(c_{t-1} + g m_t + r_t,\; |g| s_t), \qquad
   z_t = (c_t - c_{t-1} - r_t) / g .

So a walk takes the place of its steps among the coefficients where nothing else reads them, and the
steps are computed from it. What :math:`z` stands for may be a walk or a path itself: the level of a
local trend is the sum of a slope that is a sum.

References
----------
.. [1] J. Durbin and S. J. Koopman, *Time Series Analysis by State Space Methods*, 2nd ed., Oxford
   University Press, 2012, chapter 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import walk as traverse
from pytensor.scalar.basic import Add, Cast, Identity, Mul, Neg, Sub, TrueDiv
from pytensor.tensor.basic import Join
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.extra_ops import CumOp

from bayescausal.inference.closed_forms.blocks import named_parents

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array

__all__ = ["Stand", "sums", "walked"]


@dataclass(frozen=True, eq=False)
class Stand:
    """What stands for a coefficient."""

    place: Variable  # the random variable itself, or a walk
    # mean, spread: of the law of what stands there.
    mean: TensorVariable
    spread: TensorVariable
    which: Array | None  # (int) Which sd each element has
    value: TensorVariable  # the coefficient, of what stands there
    plain: bool  # whether its elements are independent


def sums(roots: Sequence[Variable], leaves: Collection[Variable]) -> list[Variable]:
    """Return the cumulative sums that expressions are made of, inner ones first."""
    known = set(leaves)

    def expand(v: Variable) -> Sequence[Variable] | None:
        return None if v in known or v.owner is None else list(v.owner.inputs)

    found = [v for v in traverse(list(roots), expand, bfs=False) if _is_sum(v) and v not in known]
    inside = {v: set(traverse([v], expand, bfs=False)) for v in found}
    return sorted(found, key=lambda v: len([w for w in found if w in inside[v]]))


def walked(
    means: Mapping[str, TensorVariable],
    stands: Mapping[str, Stand],
    leaves: set[Variable],
    shape_of: Callable[[str], tuple[int, ...]],
    is_free: Callable[[Variable], bool],
) -> tuple[dict[str, TensorVariable], dict[str, Stand]]:
    """Return means in which walks stand for the steps that they are sums of, and what stands where.

    - `means`: of the equations.
    - `stands`: of the coefficients.
    - `leaves`: what expressions are made of; walks are added.
    - `shape_of`: from the name of a coefficient to its shape.
    - `is_free`: whether an expression reads no rows.
    """
    means, stands = dict(means), dict(stands)
    done: set[Variable] = set()
    while True:
        found = (v for v in sums(list(means.values()), leaves) if v not in done and is_free(v))
        top = next(found, None)
        if top is None:
            return means, stands
        done.add(top)
        change = _one(top, means, stands, leaves, shape_of)
        if change is None:
            continue
        name, stand, instead = change
        leaves.add(stand.place)
        old = stands[name]
        means = {n: _with(m, {top: instead}, leaves) for n, m in means.items()}
        if any(old.place in named_parents([m], leaves) for m in means.values()):
            raise AssertionError(name)  # nothing else reads it: seen before
        stands[name] = stand


# ------------------------------------------------------------------------------- private


def _is_sum(v: Variable) -> bool:
    return v.owner is not None and isinstance(v.owner.op, CumOp) and v.owner.op.mode == "add"


def _one(
    top: Variable,
    means: Mapping[str, TensorVariable],
    stands: Mapping[str, Stand],
    leaves: set[Variable],
    shape_of: Callable[[str], tuple[int, ...]],
) -> tuple[str, Stand, TensorVariable] | None:
    """Return which coefficient a walk can stand for, the walk, and what the sum is of it."""
    steps, axis = top.owner.inputs[0], top.owner.op.axis
    if axis is None and steps.type.ndim != 1:
        return None
    axis = 0 if axis is None else int(axis) % steps.type.ndim
    first: TensorVariable | None = None
    if steps.owner is not None and isinstance(steps.owner.op, Join):
        _, *parts = steps.owner.inputs
        if len(parts) != 2 or parts[0].type.shape[axis] != 1 or int(_axis_of(steps)) != axis:
            return None
        first, steps = parts
    inside = {s.place: n for n, s in stands.items()}
    near = [inside[v] for v in named_parents([steps], leaves) if v in inside]
    others = [_with(m, {top: top.type()}, leaves) for m in means.values()]
    others += [] if first is None else [first]
    for name in sorted(near, key=lambda n: (not stands[n].plain, n)):
        stand = stands[name]
        laws = [v for n, s in stands.items() if n != name for v in (s.mean, s.spread)]
        factor = _factor(steps, stand.place, set(inside), leaves)
        alone = not any(stand.place in named_parents([v], leaves) for v in (*others, *laws))
        if factor is None or not alone or len(shape_of(name)) != steps.type.ndim:
            continue
        shape = shape_of(name)
        walk = pt.tensor(f"{name}|walk", shape=shape, dtype=steps.type.dtype)
        reading = {*leaves, walk}
        rest = _with(steps, {stand.place: pt.zeros(shape)}, reading)
        before = _before(walk, axis, shape)
        step = (walk - before - rest) / factor
        moved = before + rest + factor * _with(stand.mean, {stand.place: step}, reading)
        spread = abs(factor) * stand.spread
        new = Stand(
            walk,
            moved,
            spread,
            stand.which,
            _with(stand.value, {stand.place: step}, reading),
            False,
        )
        whole = walk if first is None else pt.concatenate([first, first + walk], axis=axis)
        return name, new, whole
    return None


def _axis_of(joined: Variable) -> int:
    axis = int(joined.owner.inputs[0].data)
    return axis % joined.type.ndim


def _before(walk: TensorVariable, axis: int, shape: tuple[int, ...]) -> TensorVariable:
    """Return a walk one step before, zero at the start."""
    cut = (slice(None),) * axis + (slice(None, -1),)
    nothing = pt.zeros(tuple(1 if i == axis else k for i, k in enumerate(shape)))
    return pt.concatenate([nothing, walk[cut]], axis=axis)


def _factor(
    expression: Variable, place: Variable, places: set[Variable], leaves: Collection[Variable]
) -> TensorVariable | None:
    """Return the number that multiplies every element of a coefficient in an expression, if one.

    Other coefficients may be added to it, none multiplies it.
    """
    if expression is place:
        return pt.constant(1.0)
    node = expression.owner
    if node is None or expression in leaves:
        return None
    if isinstance(node.op, DimShuffle):
        same = node.op.new_order == tuple(range(expression.type.ndim))
        return _factor(node.inputs[0], place, places, leaves) if same else None
    if not isinstance(node.op, Elemwise):
        return None
    op = node.op.scalar_op
    own = [i for i in node.inputs if place in named_parents([i], leaves)]
    if len(own) != 1 or own[0].type.ndim != expression.type.ndim:
        return None
    inner = _factor(own[0], place, places, leaves)
    if inner is None or isinstance(op, Add | Identity):
        return inner
    if isinstance(op, Cast):
        return inner if "float" in str(expression.type.dtype) else None
    if isinstance(op, Neg):
        return -inner
    if isinstance(op, Sub):
        return inner if node.inputs[0] is own[0] else -inner
    others = [i for i in node.inputs if i is not own[0]]
    number = all(all(i.type.broadcastable) for i in others)
    if not number or named_parents(others, leaves) & places:
        return None
    times = [pt.squeeze(i) if i.type.ndim else i for i in others]
    if isinstance(op, Mul):
        return cast("TensorVariable", pt.mul(inner, *times))
    if isinstance(op, TrueDiv) and node.inputs[0] is own[0]:
        return inner / times[0]
    return None


def _with(
    expression: TensorVariable, change: Mapping[Variable, Variable], leaves: Collection[Variable]
) -> TensorVariable:
    """Return an expression with parts replaced; what it reads stays what it is."""
    same = {v: v for v in named_parents([expression], leaves)}
    [out] = graph_replace([expression], {**same, **change}, strict=False)
    return cast("TensorVariable", out)
