r"""Sums of products: terms with a coefficient and features.

A term whose coefficient belongs to a group, :math:`r_{g(i)} f(x_i)`, has an index, the group of
each unit: its coefficient is the array of all groups, and its average is
:math:`\sum_l r_l\, \overline{f\,1[g = l]}`, a sum over groups in place of one over units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytensor.tensor as pt
from pytensor.tensor.basic import Alloc
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.graph.op import Op


__all__ = [
    "NoExpansionError",
    "Term",
    "contracted",
    "is_matrix_product",
    "merged",
    "narrowed",
    "negated",
    "ordered",
    "product",
    "single",
]


#: Terms of one expression, at most.
MOST = 256


class NoExpansionError(Exception):
    """The expression is no sum of products, or one of too many."""


@dataclass(frozen=True, eq=False)
class Term:
    """``coefficient x product of features``; a coefficient of None is 1.

    With an index, which has a place for each axis of the coefficient, the coefficient of a unit is
    the element at the places of that unit.
    """

    coefficient: Variable | None
    features: tuple[Variable, ...] = ()
    index: tuple[Variable, ...] = ()


def merged(terms: list[Term]) -> list[Term]:
    """Return terms with the coefficients of equal features added up."""
    groups: dict[tuple[tuple[Variable, ...], ...], list[Variable | None]] = {}
    for t in terms:
        groups.setdefault((t.features, t.index), []).append(t.coefficient)
    if len(groups) > MOST:
        raise NoExpansionError
    return [Term(_total(found), *key) for key, found in groups.items()]


def _total(coefficients: list[Variable | None]) -> Variable | None:
    if len(coefficients) == 1:
        return coefficients[0]
    return pt.add(*(pt.as_tensor(1.0) if c is None else c for c in coefficients))


def ordered(features: Iterable[Variable]) -> tuple[Variable, ...]:
    """Return factors in one order, so that equal products are equal tuples."""
    return tuple(sorted(features, key=id))


def single(coefficient: Variable) -> Variable:
    """Return a coefficient that is one number as a scalar, whatever its axes of length one."""
    return coefficient.sum() if coefficient.type.ndim else coefficient


def product(a: Term, b: Term) -> Term:
    one, other = a.coefficient, b.coefficient
    if a.index or b.index:
        if a.index and b.index and a.index != b.index:
            raise NoExpansionError  # the groups of two groupings
        one = one if a.index or one is None else single(one)
        other = other if b.index or other is None else single(other)
    coefficient = (one if other is None else other) if one is None or other is None else one * other
    return Term(coefficient, ordered([*a.features, *b.features]), a.index or b.index)


def negated(t: Term) -> Term:
    coefficient = pt.as_tensor(-1.0) if t.coefficient is None else -t.coefficient
    return Term(coefficient, t.features, t.index)


def is_matrix_product(op: Op) -> bool:
    """Whether an operation is the product of two matrices: ``dot``, or ``@``."""
    return isinstance(op.core_op if isinstance(op, Blockwise) else op, Dot)


def contracted(
    matrix: Variable,
    vector: Variable,
    axis: int,
    known: dict[Any, Variable],
    shapes: Mapping[Variable, Sequence[int | None]],
) -> list[Term]:
    """Return the terms of a matrix of data times a vector of parameters, one for each weight.

    - `axis`: of the matrix, that is summed over.
    - `known`: elements and columns that were taken before, so that equal ones are one expression.
    - `shapes`: lengths of the axes of inputs, where known.
    """
    other = 1 - axis
    if matrix.type.ndim != 2 or vector.type.ndim != 2 or vector.type.shape[axis] != 1:
        raise NoExpansionError  # PyTensor multiplies by a vector as by a matrix of one column
    length = _length(matrix, axis, shapes) or _length(vector, other, shapes)
    if length is None or length > MOST:
        raise NoExpansionError

    def part(v: Variable, k: int, at: int) -> Variable:
        own = (slice(None),) * at + (slice(k, k + 1),)
        return known.setdefault((v, at, k), v[own])

    return [Term(part(vector, k, other), (part(matrix, k, axis),)) for k in range(length)]


def _length(
    root: Variable, axis: int, shapes: Mapping[Variable, Sequence[int | None]]
) -> int | None:
    """Return the length of an axis of an input that was moved about; None if not known."""
    while root.type.shape[axis] is None and root not in shapes:
        order = getattr(getattr(root.owner, "op", None), "new_order", None)
        if order is None:
            return None
        root, axis = root.owner.inputs[0], order[axis]
    static = root.type.shape[axis]
    return shapes[root][axis] if static is None else int(static)


def narrowed(root: Variable, known: dict[Variable, Variable]) -> Variable:
    """Return an expression of parameters, not repeated for every unit."""
    stack = [root]
    while stack:
        top = stack[-1]
        node = top.owner
        op = None if node is None else node.op
        if top in known:
            stack.pop()
        elif isinstance(op, Elemwise | DimShuffle | Alloc):
            parts = node.inputs[:1] if isinstance(op, Alloc) else node.inputs
            if waiting := [v for v in parts if v not in known]:
                stack.extend(waiting)
                continue
            found = [known[v] for v in parts]
            if isinstance(op, Alloc):
                missing = top.type.ndim - found[0].type.ndim
                order = (*("x",) * missing, *range(found[0].type.ndim))
                known[top] = found[0].dimshuffle(*order) if missing else found[0]
            elif all(new is old for new, old in zip(found, node.inputs, strict=True)):
                known[top] = top
            else:
                made = node.clone_with_new_inputs(found, strict=False)
                known[top] = made.outputs[node.outputs.index(top)]
        else:
            known[top] = top
    return known[root]
