"""Taking a model apart and putting it together again, and reading the numbers it holds.

Every transform of this package has the shape ``(Model, ...) -> Model``: the model is opened into
PyMC's function graph, changed there, and closed into a *distinct* model. PyMC's own door
(``fgraph_from_model``) refuses two kinds of model, and this file says what becomes of them.

*Custom initial values* (``initval=``; ordered cutpoints nearly always have one) are no part of
the density. They are set aside while the graph is open and given to the new model, if they are
plain numbers whose shape still fits.

*Nested models.* The outer model holds the variables of the inner one under prefixed names and
can be opened; the inner one alone is refused, with the remedy.

Nothing here touches the caller's model: shared data and dim lengths are copied on the way.
"""

from __future__ import annotations

import warnings
from operator import is_not
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.model.fgraph import fgraph_from_model, model_from_fgraph
from pytensor.compile import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import clone_replace, graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import Cast, Identity
from pytensor.tensor.basic import ScalarFromTensor
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.shape import SpecifyShape
from pytensor.tensor.subtensor import (
    AdvancedIncSubtensor,
    AdvancedSubtensor,
    IncSubtensor,
    Subtensor,
)

from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.types import FixedUnitsError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

    import pymc as pm
    from numpy.typing import ArrayLike
    from pytensor.graph.basic import Apply
    from pytensor.graph.fg import FunctionGraph


__all__ = [
    "bare",
    "close",
    "copied",
    "data_values",
    "density_of",
    "dim_sizes",
    "evaluate",
    "imputed_values",
    "is_index",
    "observed_values",
    "open_model",
    "rebuilt",
    "replaced",
    "resize",
]


def open_model(
    model: pm.Model, *, inlined_views: bool = False
) -> tuple[FunctionGraph, dict[Variable, Variable], dict[str, Any]]:
    """Open a model into a function graph.

    - `model`: never changed.
    - `inlined_views`: as in PyMC: whether Deterministics and data stand between other variables.
    Returns:
    - `fgraph`: a copy, every named variable wrapped in PyMC's marker.
    - `memo`: from variables of `model` to those of the graph.
    - `initvals`: the initial values that were set aside, for :func:`close`.

    Examples
    --------
    >>> import pymc as pm
    >>> with pm.Model() as model:
    ...     x = pm.Normal("x", initval=0.5)
    >>> fgraph, memo, initvals = open_model(model)
    >>> copy = close(fgraph, initvals)
    >>> copy is model, float(copy.rvs_to_initial_values[copy["x"]])
    (False, 0.5)
    """
    if model.parent is not None:
        raise ModelError(
            f"The model {model.name or ''!r} is nested in another model.",
            expected="The outer model, which holds the variables of the inner one.",
            remedy="Pass the outer model.",
        )
    initvals = {rv.name: value for rv, value in model.rvs_to_initial_values.items()}
    view = SimpleNamespace(
        **{
            field: getattr(model, field)
            for field in (
                "parent",
                "named_vars",
                "rvs_to_values",
                "free_RVs",
                "observed_RVs",
                "potentials",
                "deterministics",
                "data_vars",
                "dim_lengths",
                "_coords",
                "_dim_lengths",
                "rvs_to_transforms",
                "named_vars_to_dims",
            )
        },
        rvs_to_initial_values={},
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected variables likely created by GP")
            fgraph, memo = fgraph_from_model(view, inlined_views=inlined_views)
    except (NotImplementedError, TypeError, AttributeError) as error:
        raise ModelError(
            f"PyMC cannot copy this model: {error}",
            remedy="Write the variable it names with PyMC's own distributions.",
        ) from error
    return fgraph, memo, {k: v for k, v in initvals.items() if v is not None}


def close(
    fgraph: FunctionGraph,
    initvals: Mapping[str, Any] | None = None,
    *,
    sizes: Mapping[str, int] | None = None,
    coords: Mapping[str, Any] | None = None,
) -> pm.Model:
    """Close a function graph into a new model, giving back the initial values that still fit.

    - `fgraph`: from :func:`open_model`; used up.
    - `initvals`: from :func:`open_model`.
    - `sizes`, `coords`: new lengths and labels of dims, as in :func:`resize`.
    """
    model = model_from_fgraph(fgraph, mutate_fgraph=True)
    resize(model, sizes or {}, coords)
    free = {rv.name: rv for rv in model.free_RVs}
    for name, value in (initvals or {}).items():
        if name in free and _fits(value, free[name], model):
            model.set_initval(free[name], value)
    return model


def _fits(value: Any, rv: Variable, model: pm.Model) -> bool:
    """Whether an initial value may be given to a variable of a new model."""
    if isinstance(value, str):
        return True
    if isinstance(value, Variable) and not isinstance(value, Constant):
        return False
    shape = np.shape(value.data if isinstance(value, Constant) else value)
    dims = model.named_vars_to_dims.get(rv.name)
    if dims is None:
        return len(shape) <= rv.type.ndim
    sizes = dim_sizes(model)
    return shape == () or shape == tuple(sizes[d] for d in dims)


def evaluate(outputs: list[Variable], replace: Mapping[Variable, Any] | None = None) -> list[Any]:
    """Evaluate expressions without a compiler, with some variables replaced by values."""
    if replace:
        constants = {
            var: pytensor.tensor.as_tensor_variable(np.asarray(value, dtype=var.type.dtype))
            for var, value in replace.items()
        }
        outputs = graph_replace(list(outputs), constants, strict=False)
    function = pytensor.function([], list(outputs), mode=PY_MODE, on_unused_input="ignore")
    return [np.asarray(value) for value in function()]


def replaced(
    expressions: Sequence[Variable], replace: Mapping[Variable, Variable]
) -> list[Variable]:
    """Return expressions with some variables replaced.

    Only what reads a replaced variable is built anew, each operation once; what is put in is
    shared and not copied, so that substituting the equations of a graph into each other takes
    work in proportion to their number, not to that of the paths.
    """
    known = dict(replace)
    stack = list(expressions)
    while stack:
        top = stack[-1]
        if top in known:
            stack.pop()
        elif top.owner is None:
            known[top] = top
        elif waiting := [v for v in top.owner.inputs if v not in known]:
            stack.extend(waiting)
        else:
            node = top.owner
            outputs = node.outputs
            inputs = [known[v] for v in node.inputs]
            if any(new is not old for new, old in zip(inputs, node.inputs, strict=True)):
                outputs = rebuilt(node, inputs)
            for old, new in zip(top.owner.outputs, outputs, strict=True):
                known.setdefault(old, new)
    return [known[v] for v in expressions]


def rebuilt(node: Apply, inputs: Sequence[Variable]) -> list[Variable]:
    """Return the results of an operation on other inputs.

    Where these are fractions and were whole, so are the results: the type of a sum, of what is put
    in a place or of a cast from bits to bits was chosen for whole numbers.
    """
    op, inputs = node.op, list(inputs)
    pairs = zip(node.inputs, inputs, strict=True)
    if any(_is_whole(old) and not _is_whole(new) for old, new in pairs):
        if _is_whole(node.outputs[0]) and isinstance(getattr(op, "scalar_op", None), Cast):
            return inputs
        if isinstance(op, CAReduce) and op.acc_dtype is not None:
            op = op.clone(dtype=inputs[0].type.dtype, acc_dtype=inputs[0].type.dtype)
        if isinstance(op, IncSubtensor | AdvancedIncSubtensor) and _is_whole(inputs[0]):
            inputs[0] = inputs[0].astype(inputs[1].type.dtype)
        return list(op.make_node(*inputs).outputs)
    return list(node.clone_with_new_inputs(inputs, strict=False).outputs)


def _is_whole(variable: Variable) -> bool:
    return str(getattr(variable.type, "dtype", "")).startswith(("int", "uint", "bool"))


def density_of(
    density: Callable[..., Variable], rv: Variable, value: Variable | ArrayLike, **options: bool
) -> Variable:
    """Return ``pm.logp`` or ``pm.logcdf`` of a variable, on its very parents.

    PyMC derives that of a truncated variable on a copy of all above it, where a parent is not the
    variable that a world sets, and that of a walk with the variables above its steps drawn anew.
    """
    node = rv.owner
    if node is None or not isinstance(node.op, SymbolicRandomVariable):
        return density(rv, value, **options)
    stands: dict[Variable, Variable] = {}
    stack = [*node.inputs]
    while stack:  # up to variables with a name: what a distribution is made of has none
        top = stack.pop()
        if top.owner is not None and top.name:
            stands[top] = top.type()
        elif top.owner is not None:
            stack.extend(top.owner.inputs)
    [stand] = clone_replace([rv], replace=stands)
    at = value.type() if isinstance(value, Variable) else value
    found = density(stand, at, **options)
    back = {new: old for old, new in stands.items()} | ({at: value} if at is not value else {})
    return graph_replace([found], back, strict=False)[0]


def dim_sizes(model: pm.Model) -> dict[str, int]:
    """Return the length that every dim of a model has now."""
    sizes: dict[str, int] = {}
    derived: dict[str, Variable] = {}
    for dim, length in model.dim_lengths.items():
        if isinstance(length, SharedVariable):
            sizes[dim] = int(length.get_value())
        elif isinstance(length, Constant):
            sizes[dim] = int(length.data)
        else:
            derived[dim] = length
    if derived:
        found = evaluate(list(derived.values()))
        sizes.update({dim: int(value) for dim, value in zip(derived, found, strict=True)})
    return {dim: sizes[dim] for dim in model.dim_lengths}


def dim_length(model: pm.Model, dim: str) -> int:
    """Return the present length of a dim of the model."""
    length = model.dim_lengths[dim]
    if hasattr(length, "get_value"):
        return int(length.get_value())
    return int(np.asarray(getattr(length, "data", None)))


def resize(
    model: pm.Model, sizes: Mapping[str, int], coords: Mapping[str, Any] | None = None
) -> None:
    """Set the length and the labels of dims, in place: only for a model that we made.

    Dims whose length follows from ``pm.Data`` change with the data, not here.
    """
    for dim, size in sizes.items():
        length = model.dim_lengths.get(dim)
        if isinstance(length, SharedVariable):
            length.set_value(np.asarray(size, dtype=length.type.dtype))
        elif isinstance(length, Constant) and int(length.data) != size:
            raise FixedUnitsError(
                f"The model fixes the length of {dim!r} at {int(length.data)}.",
                expected=f"{int(length.data)} units.",
                remedy=f"Give {dim!r} as a coord of the model: pm.Model(coords={{{dim!r}: ...}}).",
            )
        if coords is not None and dim in coords and dim in model.coords:
            model._coords[dim] = tuple(coords[dim])


def copied[M](
    known: MutableMapping[Any, tuple[list[Any], M]], model: pm.Model, make: Callable[[], M]
) -> M:
    """Return what was made of a model before; anew where it has grown or its data were set since.

    `known`: what was made, with what the models held then.
    """
    inputs = (*model.data_vars, *model.dim_lengths.values())
    shared = [v.get_value(borrow=True) for v in inputs if isinstance(v, SharedVariable)]
    starts = model.rvs_to_initial_values.values()
    state = [*model.named_vars, *shared, *model.coords.values(), *starts]
    held = known.get(model)
    if held is None or len(held[0]) != len(state) or any(map(is_not, held[0], state)):
        held = known[model] = state, make()
    return held[1]


def data_values(model: pm.Model) -> dict[str, np.ndarray]:
    """Return the value of every ``pm.Data`` of a model."""
    return {var.name: _value_of(var) for var in model.data_vars}


def observed_values(model: pm.Model) -> dict[str, np.ndarray]:
    """Return what every observed variable of a model was observed to be."""
    return {rv.name: _value_of(model.rvs_to_values[rv]) for rv in model.observed_RVs}


def imputed_values(
    model: pm.Model, pairs: Mapping[str, tuple[str, str]]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return, for each variable with missing cells, its values and the mask of those cells.

    - `model`: a model with PyMC's pairs ``x_observed``, ``x_unobserved`` and the joined ``x``.
    - `pairs`: ``x -> (x_observed, x_unobserved)``.
    Returns (ndarray, ndarray of bool, bool): the value of ``x`` (meaningless under the mask) and
    where it is missing. The mask is found by moving the unobserved cells and seeing what moves.
    """
    out = {}
    for name, (seen, unseen) in pairs.items():
        value = _value_of(model.rvs_to_values[model[seen]])
        [shape] = evaluate([model[unseen].shape])
        joined = [
            evaluate([model[name]], {model[seen]: value, model[unseen]: np.full(shape, fill)})[0]
            for fill in (0, 1)
        ]
        out[name] = (joined[0], joined[0] != joined[1])
    return out


def _value_of(var: Variable) -> np.ndarray:
    """Return the number behind a constant, a shared variable or an expression of them."""
    if isinstance(var, Constant):
        return np.asarray(var.data)
    if isinstance(var, SharedVariable):
        return np.asarray(var.get_value())
    return evaluate([var])[0]


def is_index(variable: Variable, model: pm.Model) -> bool:
    """Whether a variable is itself an index in some equation: a code, not a quantity.

    Examples
    --------
    >>> import pymc as pm
    >>> with pm.Model(coords={"unit": range(2)}) as model:
    ...     g, n = (pm.Data(k, [0, 1], dims="unit") for k in "gn")
    ...     _ = pm.Normal("y", pm.Normal("b", shape=2)[g] + n, dims="unit")
    >>> is_index(g, model), is_index(n, model)
    (True, False)
    """
    roots = [*model.basic_RVs, *model.deterministics, *model.potentials]
    nodes = {v.owner for v in ancestors(roots) if v.owner is not None}
    held = (
        place
        for node in nodes
        if isinstance(node.op, Subtensor | AdvancedSubtensor)
        for place in node.inputs[1:]
    )
    return any(bare(place) is variable for place in held)


def bare(place: Variable) -> Variable:
    """Return what an index is, without casts and changes of shape."""
    while place.owner is not None:
        op = place.owner.op
        cast = isinstance(op, Elemwise) and isinstance(op.scalar_op, Cast | Identity)
        if not cast and not isinstance(op, DimShuffle | ScalarFromTensor | SpecifyShape):
            break
        place = place.owner.inputs[0]
    return place
