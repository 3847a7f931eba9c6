"""Values for the parameters of a model: checked, and put in its place.

A structural model with numbers for its parameters :math:`\\theta` is a *population*: its
equations can be simulated from and intervened on without data. Values are checked by name,
shape and support before anything is drawn: a parameter that is missing, misspelled or of another
shape is an error that names it. A single number stands for all entries of an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
from pymc.distributions.transforms import _default_transform
from pymc.model.fgraph import model_named
from pymc.pytensorf import toposort_replace

from bayescausal.model.forests.prior import as_forest, is_forest
from bayescausal.model.interventions.support import is_discrete, support_of
from bayescausal.model.labels import in_order
from bayescausal.model.structure.function_graph import close, dim_sizes, evaluate, open_model
from bayescausal.types import ParameterError, closest

if TYPE_CHECKING:
    import pymc as pm
    from numpy.typing import ArrayLike

    from bayescausal.model.structure.structure import Structure

__all__ = ["check_parameters", "fix_parameters", "moved"]


def moved(structure: Structure) -> list[str]:
    """Return parameters with a transform of their own: an order, an interval, a sign.

    It restricts them (the density that PyMC samples is that of the restricted variable), which no
    draw from the distribution alone respects.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     a = pm.Normal("a", shape=2, transform=pm.distributions.transforms.ordered)
    ...     y = pm.Normal("y", a[0], pm.HalfNormal("s"), dims="unit")
    >>> moved(structure_of(model))
    ['a']
    """
    model, found = structure.model, []
    for rv in model.free_RVs:
        own = model.rvs_to_transforms.get(rv)
        if rv.name not in structure.parameters or own is None:
            continue
        family = None if is_discrete(rv) else _default_transform(rv.owner.op, rv)
        if type(own) is not type(family):
            found.append(str(rv.name))
    return found


#: Where the value of a forest comes from.
_FORESTS = (
    "The value of a forest is a packed row of trees: take one from its prior, "
    "p = bayescausal.prior(model, data, draws=1).posterior.isel(chain=0, draw=0), or from a fit, "
    "and pass {name: p[name].values}."
)


def check_parameters(structure: Structure, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return a value for every parameter, in its shape and dtype.

    - `structure`: the model, read.
    - `params`: one entry per parameter; a number is broadcast to the shape of the parameter.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0], "k": ["a", "b"]}) as model:
    ...     b = pm.Normal("b", dims="k")
    ...     y = pm.Normal("y", b.sum(), dims="unit")
    >>> check_parameters(structure_of(model), {"b": 0.5})
    {'b': array([0.5, 0.5])}
    """
    if not isinstance(params, Mapping):
        raise ParameterError(
            f"params is a {type(params).__name__}.", expected="A mapping such as {'b': 0.5}."
        )
    known = structure.parameters
    for name in params:
        if name in known:
            continue
        if name in structure.names():
            raise ParameterError(
                f"{name!r} is a structural variable, not a parameter.",
                expected=f"Values for {', '.join(known) or 'no parameters'}.",
                remedy=f"To set it, intervene: do={{{name!r}: ...}}.",
            )
        if name in structure.full:
            raise ParameterError(
                f"{name!r} is computed by the model, not a parameter.",
                expected=f"Values for {', '.join(known) or 'no parameters'}.",
            )
        raise ParameterError(
            f"{name!r} is not a parameter of this model.",
            names=closest(str(name), known)[:1],
            remedy=f"Parameters: {', '.join(known) or 'none'}.",
        )
    lost = [name for name in known if name not in params]
    if lost:
        raise ParameterError(
            f"No value for {', '.join(map(repr, lost))}.",
            expected=f"A value for each of {', '.join(known)}.",
            remedy=_FORESTS if any(is_forest(structure.variable(n)) for n in lost) else None,
        )
    sizes = dim_sizes(structure.model)
    return {name: _one(name, params[name], structure, sizes) for name in known}


def fix_parameters(model: pm.Model, values: Mapping[str, np.ndarray]) -> pm.Model:
    """Return the model with random variables replaced by numbers, kept as data under their names.

    - `model`: not changed.
    - `values`: from :func:`check_parameters`.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     y = pm.Normal("y", b, dims="unit")
    >>> [v.name for v in fix_parameters(model, {"b": np.array(0.5)}).free_RVs]
    ['y']
    """
    fgraph, memo, initvals = open_model(model)
    replacements = []
    for name, value in values.items():
        marker = memo[model[name]]
        shared = pytensor.shared(np.asarray(value, dtype=marker.type.dtype), name=name)
        replacements.append((marker, model_named(shared, name, *marker.owner.op.dims)))
    toposort_replace(fgraph, tuple(replacements))
    return close(fgraph, initvals)


def _one(name: str, given: ArrayLike, structure: Structure, sizes: Mapping[str, int]) -> np.ndarray:
    """Return one value in the shape and dtype of its parameter."""
    rv = structure.variable(name)
    dims = structure.dims.get(name, ())
    given = in_order(given, dims, structure.model.coords, f"The value of {name!r}", places=False)
    try:
        value = np.asarray(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name!r} is {given!r}.", expected="Numbers.") from error
    if not np.isfinite(value).all():
        raise ParameterError(f"{name!r} is not finite.", expected="Finite numbers.")
    if is_forest(rv):
        return as_forest(name, value)
    if dims:
        shape = tuple(sizes[d] for d in dims)
    elif all(s is not None for s in rv.type.shape):
        shape = tuple(rv.type.shape)
    else:
        shape = tuple(int(s) for s in evaluate([rv.shape])[0])
    if value.shape != shape:
        if value.ndim:
            where = f" along {dims}" if dims else ""
            raise ParameterError(
                f"{name!r} has shape {value.shape}.", expected=f"{shape}{where}, or one number."
            )
        value = np.broadcast_to(value, shape).copy()
    support = support_of(rv)
    if not support.contains(value).all():
        bad = value[~np.broadcast_to(support.contains(value), value.shape)].ravel()[0]
        raise ParameterError(
            f"{name!r} is {bad:g}, outside the support of its {support.family} prior.",
            expected=f"{support.describe()}.",
        )
    return value.astype(rv.type.dtype)
