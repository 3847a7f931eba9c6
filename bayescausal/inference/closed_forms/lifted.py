r"""Group effects that are scaled after they were looked up.

A non-centred effect is written :math:`\tau\, z_{g(i)}`, a product of unknowns. It equals
:math:`(\tau z)_{g(i)}`: looking up commutes with whatever acts element by element. Written that way
the mean is affine in the vector :math:`\tau z`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.subtensor import AdvancedSubtensor

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply, Variable

__all__ = ["lifted"]


def lifted(root: Variable, rows: set[Variable]) -> Variable:
    """Return an equal expression with look-ups moved outward past what acts element by element.

    Leaves in `rows` vary over rows.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> from bayescausal.inference.closed_forms.affine import degree
    >>> from bayescausal.inference.closed_forms.lifted import lifted
    >>> tau, z, g = pt.scalar("tau"), pt.vector("z"), pt.lvector("g")
    >>> lifted(tau * z[g], {g}).owner.op.__class__.__name__
    'AdvancedSubtensor'
    """
    for _ in range(100):
        for variable in ancestors([root]):
            swap = _swap(variable.owner, rows) if variable.owner is not None else None
            if swap is not None:
                if variable is root:
                    root = swap
                else:
                    [root] = clone_replace([root], {variable: swap}, rebuild_strict=False)
                break
        else:
            return root
    return root


def _moves(variable: Variable, rows: set[Variable]) -> bool:
    return bool(rows & set(ancestors([variable])))


def _swap(node: Apply, rows: set[Variable]) -> Variable | None:
    """Return what to write for an element-wise node over look-ups; None if there is nothing."""
    if not isinstance(node.op, Elemwise):
        return None
    looked = [v for v in node.inputs if _is_look_up(v, rows)]
    if not looked:
        return None
    index = looked[0].owner.inputs[1]
    inner = []
    for v in node.inputs:
        if v in looked:
            if v.owner.inputs[1] is not index:
                return None
            inner.append(v.owner.inputs[0])
        elif (not any(v.type.broadcastable) and v.type.ndim) or _moves(v, rows):
            return None
        else:
            inner.append(v)
    first = looked[0].owner
    return first.op.make_node(node.op(*inner), *first.inputs[1:]).outputs[0]


def _is_look_up(variable: Variable, rows: set[Variable]) -> bool:
    """Whether it is ``vector[index]`` of a vector that does not vary over rows."""
    node = variable.owner
    if node is None or not isinstance(node.op, AdvancedSubtensor) or len(node.inputs) != 2:
        return False
    vector, index = node.inputs
    one = vector.type.ndim == 1 and index.type.ndim == 1 and not index.type.dtype.startswith("bool")
    return one and not _moves(vector, rows) and _moves(index, rows)
