"""Units in groups: which variable says to what group a unit belongs.

A school-level variable enters the equation of pupils by an index, ``t[school_of]``. The index is
the one place where the model says who belongs to whom; it is found in the expressions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import Cast
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.subtensor import AdvancedSubtensor, indices_from_subtensor

from bayescausal.model.axes.mixing import trace_axes

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable

    from bayescausal.model.structure.structure import Structure

__all__ = ["group_index", "weighted_dim"]


def weighted_dim(structure: Structure, outcome: str) -> str:
    """Return the dim along which the units of an outcome are drawn anew."""
    own = [d for d in structure.dims.get(outcome, ()) if d in structure.unit_dims]
    first = structure.unit_dims[0]
    return first if first in own or not own else own[0]


def group_index(structure: Structure, dim: str, outcome: str) -> str | None:
    """Return the variable of an outcome's units that looks up values along another dim.

    `dim`: of the groups.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"school": range(2), "pupil": range(4)}) as model:
    ...     school_of = pm.Data("school_of", np.array([0, 0, 1, 1]), dims="pupil")
    ...     a = pm.Normal("a", dims="school")
    ...     y = pm.Normal("y", a[school_of], dims="pupil")
    >>> group_index(structure_of(model, unit_dims="pupil"), "school", "y")
    'school_of'
    """
    model = structure.model
    frame = structure.dims.get(outcome, ())
    if dim in frame or dim not in model.dim_lengths:
        return None
    names = {v: n for n, v in model.named_vars.items()}
    leaves = {
        v: tuple(frozenset({("dim", d)}) for d in dims)
        for n, v in model.named_vars.items()
        if len(dims := tuple(model.named_vars_to_dims.get(n) or ())) == v.type.ndim
    }
    found = set()
    for node in {v.owner for v in ancestors([model[outcome]]) if v.owner is not None}:
        if not isinstance(node.op, AdvancedSubtensor):
            continue
        source = trace_axes([node.inputs[0]], leaves).axes
        entries = indices_from_subtensor(node.inputs[1:], node.op.idx_list)
        for tags, entry in zip(source, entries, strict=False):
            name = None if isinstance(entry, slice) else names.get(_uncast(entry))
            if ("dim", dim) in tags and name is not None and structure.dims.get(name) == frame:
                found.add(name)
    return found.pop() if len(found) == 1 else None


def _uncast(variable: Variable) -> Variable:
    """Return what a change of type was applied to."""
    node = variable.owner
    if node is not None and isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, Cast):
        return node.inputs[0]
    return variable
