"""What integer data mean to the equations that read them.

Data play three roles. As *numbers* (a dose in a linear equation) integers may take fractions under
an intervention, and slopes in them make sense; as *labels* (an index, a value that is compared) and
as *counts* (the ``n`` of a Binomial) they may not.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.model.fgraph import model_named
from pytensor.graph.basic import Constant
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as ps
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.shape import Shape, Shape_i
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor

from bayescausal.model.interventions.support import params_of
from bayescausal.model.structure.function_graph import (
    bare,
    close,
    data_values,
    evaluate,
    open_model,
    replaced,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pymc as pm
    from pytensor.graph.basic import Apply, Variable

    from bayescausal.model.structure.structure import Structure

__all__ = ["compared_with", "entries_read", "is_number", "is_pooled", "role_of", "with_types"]

#: Roles of data, by structure.
_ROLES: weakref.WeakKeyDictionary[Any, dict[str, str]] = weakref.WeakKeyDictionary()


def is_number(structure: Structure, name: str) -> bool:
    """Whether a variable is integer data that the equations read as numbers.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0, 1]}) as model:
    ...     dose = pm.Data("dose", np.array([0, 1]), dims="unit")
    ...     y = pm.Normal("y", 0.5 * dose, 1, dims="unit")
    >>> is_number(structure_of(model), "dose")
    True
    """
    if name not in structure.data:
        return False
    if not str(structure.variable(name).type.dtype).startswith(("int", "uint")):
        return False
    roles = _ROLES.setdefault(structure, {})
    if name not in roles:
        roles[name] = role_of(structure, name)
    return roles[name] == "number"


def role_of(structure: Structure, name: str) -> str:
    """Return how the equations read integer data: ``"number"``, ``"label"`` or ``"count"``.

    Returns: ``"label"`` where it is an index or is only compared; ``"count"`` where a distribution
    takes it as a whole number.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0, 1]}) as model:
    ...     g = pm.Data("g", np.array([0, 1]), dims="unit")
    ...     a = pm.Normal("a", shape=2)
    ...     y = pm.Normal("y", a[g], 1, dims="unit")
    >>> role_of(structure_of(model), "g")
    'label'
    """
    found = {use for use, _, _ in _uses(structure, name)}
    for use in ("index", "count"):
        if use in found:
            return "label" if use == "index" else "count"
    return "label" if found == {"compared"} else "number"


def compared_with(structure: Structure, name: str) -> frozenset[float]:
    """Return the numbers that data are compared with, where nothing else is done with them.

    Examples
    --------
    >>> import numpy as np, pymc as pm, pytensor.tensor as pt
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0, 1]}) as model:
    ...     arm = pm.Data("arm", np.array([0, 1]), dims="unit")
    ...     y = pm.Normal("y", 2.0 * pt.eq(arm, 1) + 3.0 * pt.eq(arm, 2), 1, dims="unit")
    >>> sorted(compared_with(structure_of(model), "arm"))
    [1.0, 2.0]
    """
    source = structure.model.named_vars[name]
    keys: set[float] = set()
    for use, node, place in _uses(structure, name):
        if use != "compared" or _unlaid(node.inputs[place]) is not source:
            return frozenset()
        other = _unlaid(node.inputs[1 - place])
        if not isinstance(other, Constant):
            return frozenset()
        keys |= {float(v) for v in np.ravel(other.data)}
    return frozenset(keys)


def with_types(
    model: pm.Model, types: Mapping[str, str], expressions: Mapping[str, Variable]
) -> tuple[pm.Model, dict[str, Variable]]:
    """Return a copy of a model in which some ``pm.Data`` have another type.

    - `types`: from names of ``pm.Data`` to types.
    - `expressions`: expressions of the model's variables.
    Returns:
    - `model`
    - `expressions`: of the copy's variables.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> with pm.Model() as model:
    ...     dose = pm.Data("dose", np.array([1, 2]))
    ...     y = pm.Normal("y", 0.5 * dose)
    >>> copy, _ = with_types(model, {"dose": "float64"}, {})
    >>> str(copy["dose"].type.dtype)
    'float64'
    """
    fgraph, memo, initvals = open_model(model, inlined_views=True)
    replace = {}
    for name, dtype in types.items():
        old = memo[model.named_vars[name]]
        value = data_values(model)[name].astype(dtype)
        shared = pytensor.shared(value, name=name, shape=(None,) * value.ndim)
        replace[old] = model_named(shared, name, *old.owner.op.dims)
    lengths = {d: v for d, v in fgraph._dim_lengths.items() if v.owner is not None}
    copied = replaced([*fgraph.outputs, *lengths.values()], replace)
    count = len(fgraph.outputs)
    new = FunctionGraph(outputs=copied[:count], clone=False)
    new._coords = fgraph._coords
    derived = dict(zip(lengths, copied[count:], strict=True))
    new._dim_lengths = {**fgraph._dim_lengths, **derived}
    out = close(new, initvals)
    mine = {v: out.named_vars[n] for n, v in model.named_vars.items() if n in out.named_vars}
    found = replaced(list(expressions.values()), mine)
    return out, dict(zip(expressions, found, strict=True))


# ----------------------------------------------------------------------------- private


def _unlaid(variable: Variable) -> Variable:
    """Return what is laid along other axes."""
    while variable.owner is not None and isinstance(variable.owner.op, DimShuffle | Alloc):
        variable = variable.owner.inputs[0]
    return variable


def entries_read(structure: Structure, name: str) -> int | None:
    """Return the length of the shortest table of which data are the index; None if there is none.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0, 1], "group": range(3)}) as model:
    ...     g = pm.Data("g", np.array([0, 1]), dims="unit")
    ...     a = pm.Normal("a", dims="group")
    ...     y = pm.Normal("y", a[g], 1, dims="unit")
    >>> entries_read(structure_of(model), "g")
    3
    """
    variable = structure.model.named_vars[name]
    tables = [
        node.inputs[0]
        for use, node, place in _uses(structure, name)
        if use == "index" and len(node.inputs) == 2 and bare(node.inputs[place]) is variable
    ]
    lengths = evaluate([table.shape[0] for table in tables]) if tables else []
    return min((int(length) for length in lengths), default=None)


def is_pooled(structure: Structure, name: str) -> bool:
    """Whether what groups have of their own is drawn from a distribution that is learned of them.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0, 1], "group": range(3)}) as model:
    ...     g, h = (pm.Data(n, np.array([0, 1]), dims="unit") for n in "gh")
    ...     free, learned = pm.Normal("a", dims="group"), pm.Normal("b", 0, pm.HalfNormal("s"))
    ...     y = pm.Normal("y", free[g] + pm.Normal("c", learned, dims="group")[h], dims="unit")
    >>> is_pooled(structure_of(model), "g"), is_pooled(structure_of(model), "h")
    (False, True)
    """
    unknown = set(structure.model.free_RVs)
    return any(
        use == "index" and len(unknown & set(ancestors([node.inputs[0]]))) > 1
        for use, node, _ in _uses(structure, name)
    )


def _uses(structure: Structure, name: str) -> list[tuple[str, Any, int]]:
    """Return what becomes of data: each use, the operation, and at which place it takes them."""
    clients: dict[Variable, list[tuple[Any, int]]] = {}
    for variable in ancestors(list(structure.model.named_vars.values())):
        if variable.owner is not None:
            for place, read in enumerate(variable.owner.inputs):
                clients.setdefault(read, []).append((variable.owner, place))
    found: list[tuple[str, Any, int]] = []
    seen: set[Variable] = set()
    stack = [structure.model.named_vars[name]]
    while stack:
        top = stack.pop()
        if top in seen:
            continue
        seen.add(top)
        for node, place in clients.get(top, ()):
            use = _use(node, place)
            if use == "on":
                stack.extend(node.outputs)
            elif use:
                found.append((use, node, place))
    return found


#: Parameters that are whole numbers, by position.
_COUNTS = {
    "BinomialRV": (0,),
    "BetaBinomialRV": (0,),
    "HyperGeometricRV": (0, 1, 2),
    "DiscreteUniformRV": (0, 1),
    "MultinomialRV": (0,),
    "DirichletMultinomialRV": (0,),
}


def _use(node: Apply, place: int) -> str:
    """Return what one operation makes of an integer: "on" where its result is one as well."""
    op = node.op
    if isinstance(op, Shape | Shape_i):
        return ""
    if isinstance(op, AdvancedSubtensor | Subtensor):
        return "on" if place == 0 else "index"
    if isinstance(op, RandomVariable | SymbolicRandomVariable):
        params = params_of(node.out)
        base = getattr(op, "base_rv_op", op)  # of a truncated distribution
        counts = _COUNTS.get(type(base).__name__, ())
        mine = [i for i, p in enumerate(params) if p is node.inputs[place]]
        return "count" if any(i in counts for i in mine) else "number" if mine else ""
    if isinstance(op, Alloc) and place > 0:
        return "count"
    if isinstance(op, Elemwise):
        if isinstance(op.scalar_op, ps.Second) and place == 0:
            return ""  # its shape alone
        if isinstance(op.scalar_op, ps.EQ | ps.NEQ):
            return "compared"
        if isinstance(op.scalar_op, ps.AND | ps.OR | ps.XOR | ps.Invert):
            return "count"
        if isinstance(op.scalar_op, ps.LogicalComparison):
            return "number"
    whole = str(node.outputs[0].type.dtype).startswith(("int", "uint"))
    return "on" if whole else "number"
