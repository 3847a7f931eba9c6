"""What lies along the axes of a variable, and which inputs of an operation matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pymc.pytensorf import constant_fold
from pytensor.graph.basic import Constant
from pytensor.tensor.basic import Alloc
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.shape import Shape, Shape_i

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Apply, Variable

    from bayescausal.annotations import Array

__all__ = [
    "COUNTED",
    "LOOKUP",
    "NONE",
    "PUT_IN",
    "Axes",
    "Tag",
    "align",
    "blank",
    "constant_axes",
    "constant_value",
    "core_labels",
    "equation_inputs",
    "followed_inputs",
    "has_units",
    "is_tensor",
    "leaf_axes",
    "members_only",
    "ndim_of",
    "only_constants",
    "random_core_ndims",
    "random_parameters",
]

#: What lies along one axis: ("dim", name), ("array", name), ("constant", length), ("order", ""),
#: ("joined", ""), ("member", length), ("group", name). A "constant" is a column without a name; a
#: "member" only fixes the number of units: one value for all, who belongs, who touches whom.
Tag = tuple[str, Any]


#: One frozenset of tags per axis.
Axes = tuple[frozenset[Tag], ...]


NONE: frozenset[Tag] = frozenset()


#: Why the units of a group are tied together: they look up what their group is.
LOOKUP = "indexing one unit by another"

#: Why ``p[arange(n), g]`` ties units together, and how it is written without.
COUNTED = (
    "it counts the rows, as in p[arange(n), g], where pt.sum(p * pt.eq(g[:, None], pt.arange(K)), "
    "axis=1) takes the same entries unit by unit"
)

#: Why ``set_subtensor`` does, and how it is written without.
PUT_IN = "it sets a part of an array, where pt.switch or pt.stack make it unit by unit"


def ndim_of(variable: Variable) -> int:
    return int(getattr(variable.type, "ndim", 0) or 0)


def blank(variable: Variable) -> Axes:
    return (NONE,) * ndim_of(variable)


def leaf_axes(variable: Variable) -> Axes:
    """Label the axes of a constant or shared array by its length; length 1 broadcasts."""
    shape: tuple[int, ...] = ()
    flat: set[int] = set()
    if isinstance(variable, Constant):
        shape = tuple(getattr(variable.data, "shape", ()))
        flat = {a for a, n in enumerate(shape) if n > 1 and _is_flat(variable.data, a)}
    elif hasattr(variable, "get_value") and ndim_of(variable):
        shape = tuple(variable.get_value(borrow=True).shape)
    if len(shape) != ndim_of(variable):
        return blank(variable)
    return tuple(
        NONE if n == 1 else frozenset({("member" if a in flat else "constant", int(n))})
        for a, n in enumerate(shape)
    )


def constant_axes(variable: Variable) -> Axes | None:
    """Label the axes of what is made of constants alone, as its value says; None without one."""
    value = constant_value(variable)
    return None if value is None else leaf_axes(pt.constant(value))


def constant_value(variable: Variable) -> np.ndarray | None:
    """Return the array that is made of constants alone; None if something else is read.

    What is made to the length of a variable has no value yet, and what stands in the frozen graph
    of a CustomDist cannot be evaluated.
    """
    if not is_tensor(variable) or not ndim_of(variable):
        return None
    if variable.owner is not None and not hasattr(variable.owner, "clone_with_new_inputs"):
        return None
    (value,) = constant_fold([variable], raise_not_constant=False)
    return value if isinstance(value, np.ndarray) else None


def _is_flat(values: Array, axis: int) -> bool:
    """Whether an array has the same value all along an axis, as ``np.zeros(n)`` has."""
    return bool(np.all(values == np.take(values, [0], axis=axis)))


def members_only(tags: frozenset[Tag]) -> frozenset[Tag]:
    """Return the tags of an axis whose constants only fix the number of units."""
    return frozenset(("member", t[1]) if t[0] == "constant" else t for t in tags)


def only_constants(tags: frozenset[Tag]) -> frozenset[Tag]:
    """Return the constants along an axis, which remain where its units are mixed."""
    return frozenset(t for t in tags if t[0] in ("constant", "member"))


def align(several: Sequence[Axes]) -> Axes:
    """Merge axes from the right, as broadcasting does."""
    ndim = max((len(a) for a in several), default=0)
    merged = [NONE] * ndim
    for axes in several:
        for i, tags in enumerate(reversed(axes)):
            merged[ndim - 1 - i] = merged[ndim - 1 - i] | tags
    return tuple(merged)


def followed_inputs(node: Apply) -> list[Variable]:
    """Return the inputs whose *values* matter: shapes and random states are left out."""
    op = node.op
    if isinstance(op, (Shape, Shape_i)):
        return []
    if isinstance(op, Alloc):
        return [node.inputs[0]]
    if isinstance(op, RandomVariable):
        return list(op.dist_params(node))
    return [i for i in node.inputs if is_tensor(i)]


def is_tensor(variable: Variable) -> bool:
    return hasattr(variable.type, "ndim") and hasattr(variable.type, "dtype")


def random_parameters(node: Apply) -> list[Variable]:
    """Return the parameters of a random variable's node, without random state and size."""
    op = node.op
    try:
        return [p for p in op.dist_params(node) if is_tensor(p)]
    except (ValueError, NotImplementedError, AttributeError):
        return [i for i in node.inputs if is_tensor(i)]


def random_core_ndims(node: Apply, n: int) -> list[int]:
    """Return how many trailing axes of each parameter belong to one event."""
    cores = getattr(node.op, "ndims_params", None)
    if cores is None or len(cores) != n:
        return [0] * n
    return [int(c) for c in cores]


def equation_inputs(variable: Variable) -> list[Variable]:
    """Return what the equation of a named variable reads: parameters, or the expression."""
    node = variable.owner
    if node is None:
        return []
    if hasattr(node.op, "ndim_supp"):
        return random_parameters(node)
    return [i for i in followed_inputs(node) if not isinstance(i, Constant)] or list(
        followed_inputs(node)
    )


def has_units(tags: frozenset[Tag]) -> bool:
    """Whether units lie along an axis."""
    return any(kind == "dim" for kind, _ in tags)


def core_labels(signature: str) -> list[list[str]]:
    """Return the names of the core axes of each input of a signature."""
    left = signature.split("->")[0]
    groups = left.replace(" ", "").strip("()").split("),(")
    return [[c for c in g.split(",") if c] for g in groups]
