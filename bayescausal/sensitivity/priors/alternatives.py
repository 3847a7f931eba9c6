"""Other priors for the parameters of a model.

A prior is one factor of the model: replacing it leaves all equations, names and dims as they are.
What is replaced keeps its shape; a distribution of one number serves every entry of an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pymc as pm
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.distributions.shape_utils import change_dist_size
from pymc.distributions.transforms import _default_transform
from pymc.model.fgraph import model_free_rv
from pymc.pytensorf import toposort_replace
from pymc.util import get_transformed_name
from pytensor.tensor.random.op import RandomVariable

from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.structure.function_graph import close, open_model
from bayescausal.model.structure.read import structure_of
from bayescausal.types import ParameterError, closest

if TYPE_CHECKING:
    from bayescausal.inference.record import Fit

__all__ = ["alternatives_of", "with_priors"]


def with_priors(model: pm.Model, priors: Mapping[str, Any]) -> pm.Model:
    """Return the model with other priors of some parameters.

    ``priors``: made by ``.dist``; a distribution of one number is used for every entry of an array.
    Result: distinct, with the same names and dims.
    Raises ParameterError if a name is no parameter, or what it is given is no such distribution.
    """
    fgraph, memo, initvals = open_model(model)
    todo = []
    for name, rv in priors.items():
        marker = memo[model[name]]
        old, op = marker.owner.inputs[0], marker.owner.op
        made = getattr(getattr(rv, "owner", None), "op", None)
        if not isinstance(made, RandomVariable | SymbolicRandomVariable):
            raise ParameterError(
                f"The prior of {name!r} is {rv!r}.",
                expected="a distribution made by .dist, as pm.Normal.dist(0, 10).",
            )
        if is_discrete(rv) != is_discrete(old) or rv.type.ndim > old.type.ndim:
            raise ParameterError(
                f"The prior of {name!r} has another type or more axes than {name!r} has.",
                expected="a distribution of the same kind.",
            )
        shape = [fgraph._dim_lengths[d] for d in op.dims] or list(old.shape)
        new = change_dist_size(rv, tuple(shape)[: old.type.ndim - made.ndim_supp])
        transform = None if is_discrete(new) else _default_transform(new.owner.op, new)
        value = (
            new.type() if transform is None else transform.forward(new, *new.owner.inputs).type()
        )
        value.name = name if transform is None else get_transformed_name(name, transform)
        todo.append((marker, model_free_rv(new, value, transform, name, *op.dims)))
    toposort_replace(fgraph, tuple(todo), reverse=True)
    return close(fgraph, {k: v for k, v in initvals.items() if k not in priors})


def alternatives_of(fit: Fit, given: object) -> dict[str, pm.Model]:
    """Return a model for each named alternative.

    ``given``: ``{name: {parameter: distribution}}`` or ``{name: model}``.
    Raises ParameterError if an alternative names what is no parameter, or gives no distribution.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ParameterError(
            f"alternatives is a {type(given).__name__}.",
            expected='a mapping such as {"wide": {"b": pm.Normal.dist(0, 10)}}.',
        )
    models = {}
    for name, priors in given.items():
        if isinstance(priors, pm.Model):
            other = structure_of(priors, unit_dims=fit.structure.unit_dims)
            if set(other.nodes) != set(fit.structure.nodes):
                raise ParameterError(
                    f"The model of {name!r} has the variables {', '.join(other.nodes)}.",
                    expected=f"those of the fit: {', '.join(fit.structure.nodes)}.",
                )
            models[str(name)] = priors
            continue
        if not isinstance(priors, Mapping) or not priors:
            raise ParameterError(
                f"The alternative {name!r} is {priors!r}.",
                expected="a mapping from parameters to distributions, or a model.",
            )
        for parameter in priors:
            if parameter not in fit.parameters:
                raise ParameterError(
                    f"{parameter!r} in the alternative {name!r} is not a parameter.",
                    names=closest(str(parameter), fit.parameters)[:1],
                    remedy=f"Parameters: {', '.join(fit.parameters) or 'none'}.",
                )
        models[str(name)] = with_priors(fit.model, priors)
    return models
