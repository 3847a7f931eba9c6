r"""Sums of products: terms with a coefficient and features.

A term whose coefficient belongs to a group, :math:`r_{g(i)} f(x_i)`, has an index, the group of
each unit: its coefficient is the array of all groups, and its average is
:math:`\sum_l r_l\, \overline{f\,1[g = l]}`, a sum over groups in place of one over units.

*What several worlds have in common drops out of their differences.* A unit's latent variable, its
noise, or any function of what no world changes, may enter the mean of the outcome of every world in
the same terms,

.. math:: E[Y_i(a)] = \sum_t c_t f_t(x_i, a) + \sum_s c_s f_s(x_i) g_s(u_i),

the second sum being the same for all :math:`a`. Whatever :math:`g_s(u_i)` is, it cancels in
:math:`E[Y_i(1)] - E[Y_i(0)]`: a latent common cause of 100,000 units is not drawn for a contrast
that it drops out of. What is left is exact. Terms are the same if their factors are written the
same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.tensor.basic import Alloc
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.graph.op import Op


__all__ = [
    "NoExpansionError",
    "Term",
    "Written",
    "contracted",
    "is_matrix_product",
    "merged",
    "narrowed",
    "negated",
    "ordered",
    "product",
    "single",
    "without_common",
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


class Written:
    """Expressions in which what is written the same is one expression."""

    def __init__(self) -> None:
        self.memo: dict[Variable, Variable] = {}
        self.table: dict[Any, Variable] = {}

    def of(self, root: Variable) -> Variable:
        """Return the expression that stands for all that are written like this one.

        Examples
        --------
        >>> import pytensor.tensor as pt
        >>> x, y, written = pt.vector("x"), pt.vector("y"), Written()
        >>> written.of(2.0 * (x + y)) is written.of(2.0 * (x + y))
        True
        >>> written.of(2.0 * (x + y)) is written.of(2.0 * (x - y))
        False
        """
        stack = [root]
        while stack:
            top = stack[-1]
            node = top.owner
            if top in self.memo:
                stack.pop()
            elif node is None:
                self.memo[top] = self._leaf(top)
            elif waiting := [v for v in node.inputs if v not in self.memo]:
                stack.extend(waiting)
            else:
                parts = [self.memo[v] for v in node.inputs]
                place = node.outputs.index(top)
                same = all(a is b for a, b in zip(parts, node.inputs, strict=True))
                made = top if same else node.clone_with_new_inputs(parts).outputs[place]
                self.memo[top] = self.table.setdefault((node.op, place, *map(id, parts)), made)
        return self.memo[root]

    def _leaf(self, leaf: Variable) -> Variable:
        if not isinstance(leaf, Constant) or not isinstance(leaf.data, np.ndarray):
            return leaf
        return self.table.setdefault((leaf.type, leaf.data.tobytes()), leaf)


def without_common(
    sums: Sequence[list[Term]], known: Callable[[Term], bool], written: Written
) -> list[list[Term]]:
    """Return the terms of each world whose averages are known; the others must be the same in all.

    Raises NoExpansionError if the others differ between the worlds.
    """

    def same(v: Variable | None) -> int:
        return 0 if v is None else id(written.of(v))

    left = [
        Counter(
            (same(t.coefficient), tuple(sorted(map(same, t.features))), *map(same, t.index))
            for t in terms
            if not known(t)
        )
        for terms in sums
    ]
    if any(each != left[0] for each in left):
        raise NoExpansionError
    return [[t for t in terms if known(t)] for terms in sums]
