"""The noise form of a model: every structural variable as a function of explicit noise.

A PyMC model states each equation as a density, ``v ~ D(parents)``. Its *noise form* states the same
equation as a function of the parents and of one exogenous variable that nothing else shares [1]_,

    ``U_v ~ base``,  ``v := q(U_v; parents)``,

with ``q`` the conditional quantile function (:mod:`bayescausal.model.noise`). The result is again a
plain PyMC model: names and dims are kept, parameters untouched, ``pm.do`` works on it, and the
joint distribution of all variables is that of the original. What it adds is a joint distribution
*across* interventions: the same ``U_v`` in two surgeries is the same unit twice.

The noise form is generative: variables that were observed are computed like the others, and
``pm.observe`` on them is refused by PyMC. Conditioning uses the density form.

When it fails: the choice of ``q`` is a choice (see :mod:`bayescausal.model.noise.rules`), which no
data on single worlds can test; a family without a rule is refused by name.

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 7.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.model.fgraph import model_deterministic, model_free_rv
from pymc.pytensorf import toposort_replace

from bayescausal.model.noise import NoiseRule, noise_rule
from bayescausal.model.noise.ops import register_numba
from bayescausal.model.structure.function_graph import close, evaluate, open_model
from bayescausal.model.structure.read import structure_of
from bayescausal.types import ModelError, NoiseFormError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph import FunctionGraph
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.model.design import Design
    from bayescausal.model.structure.structure import Structure

__all__ = ["noise_form"]

_BASES = {"normal": pm.Normal, "logistic": pm.Logistic, "gumbel": pm.Gumbel}


def noise_form(
    model: pm.Model | Design,
    *,
    unit_dims: Sequence[str] | str | None = None,
    coupling: str | Mapping[str, str] = "monotone",
) -> pm.Model:
    """Rewrite every structural variable as a function of its own explicit noise.

    Parameters
    ----------
    model : pm.Model or Design
        Any PyMC model; never changed.
    unit_dims : sequence of str, optional
        Dims that describe units, where they cannot be told from the model.
    coupling : str or mapping from str to str
        How categories use their noise, for all variables or by name: ``"monotone"`` (a common
        rank in their order) or ``"gumbel"`` (Gumbel noise for each category).

    Returns
    -------
    pm.Model
        A distinct model in which each structural random variable ``v`` is a Deterministic of the
        same name and dims, and ``U_v`` a free random variable with the dims of ``v``: standard
        normal, standard logistic, or standard Gumbel with a last dim ``U_v_category``.

    Raises
    ------
    NoiseFormError
        If a variable's family has no rule, or the coupling does not apply to it.
    UnknownVariableError
        If `coupling` names a variable that is not structural.
    ModelError
        If the model already has a variable called ``U_v``, or an axis has no known length.

    References
    ----------
    .. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 7.1.

    Examples
    --------
    >>> import pymc as pm
    >>> import bayescausal as bc
    >>> with pm.Model(coords={"unit": range(3)}) as model:
    ...     x = pm.Normal("x", dims="unit")
    ...     y = pm.Poisson("y", pm.math.exp(x), dims="unit")
    >>> explicit = bc.noise_form(model)
    >>> [rv.name for rv in explicit.free_RVs], [v.name for v in explicit.deterministics]
    (['U_x', 'U_y'], ['x', 'y'])
    """
    structure = structure_of(model, unit_dims=unit_dims)
    couplings = _couplings(structure, coupling)
    fgraph, memo, initvals = open_model(structure.model, inlined_views=True)
    replacements: dict[Any, Any] = {}
    for name in _random_parts(structure):
        marked = memo[structure.model[name]]
        rv = marked.owner.inputs[0]
        rule = noise_rule(rv, coupling=couplings.get(name, "monotone"))
        noise = _noise_variable(structure, fgraph, rv, name, rule)
        value = rv.type.filter_variable(rule.forward(noise))
        dims = marked.owner.op.dims
        replacements[marked] = model_deterministic(value, name, *dims)
        initvals.pop(name, None)
    toposort_replace(fgraph, tuple(replacements.items()), reverse=True)
    register_numba()
    return close(fgraph, initvals)


def _couplings(structure: Structure, coupling: str | Mapping[str, str]) -> dict[str, str]:
    """Return the coupling of each random variable that was given one."""
    names = _random_parts(structure)
    if isinstance(coupling, str):
        return dict.fromkeys(names, coupling)
    if not isinstance(coupling, Mapping):
        raise NoiseFormError(
            f"coupling is a {type(coupling).__name__}.",
            expected="'monotone', 'gumbel' or a mapping from names to those.",
        )
    for name in coupling:
        if name not in structure.random:
            raise unknown_variable(name, structure.random, what="a random structural variable")
    return dict(coupling)


def _random_parts(structure: Structure) -> list[str]:
    """Return the random variables to rewrite: PyMC's two parts where a variable was imputed."""
    parts: list[str] = []
    for name in structure.random:
        parts.extend(structure.imputed.get(name, (name,)))
    return [name for name in parts if name in structure.model.named_vars]


def _noise_variable(
    structure: Structure, fgraph: FunctionGraph, rv: TensorVariable, name: str, rule: NoiseRule
) -> TensorVariable:
    """Return the exogenous variable of `name`, marked as a free random variable of the model."""
    label = f"U_{name}"
    if label in structure.model.named_vars:
        raise ModelError(
            f"The model already has a variable called {label!r}.",
            expected=f"That name to be free for the noise of {name!r}.",
            remedy=f"Rename {label!r}.",
        )
    dims = tuple(structure.model.named_vars_to_dims.get(name) or ())
    lengths = _lengths(structure, fgraph, rv, name, dims)
    if rule.base == "gumbel":
        count = noise_rule(structure.model[name], coupling="gumbel").event_shape[0]
        (categories,) = evaluate([pt.as_tensor_variable(count)])
        lengths.append(pt.constant(np.int64(categories)))
        if dims:
            axis = f"{label}_category"
            fgraph._coords[axis] = None
            fgraph._dim_lengths[axis] = lengths[-1]
            dims = (*dims, axis)
    base = _BASES[rule.base].dist(0.0, 1.0, size=tuple(lengths) if lengths else None)
    return model_free_rv(base, base.type(), None, label, *dims)


def _lengths(
    structure: Structure,
    fgraph: FunctionGraph,
    rv: TensorVariable,
    name: str,
    dims: tuple[str | None, ...],
) -> list[Any]:
    """Return the length of each axis, from the dims and never from the variable itself."""
    lengths: list[Any] = []
    for axis in range(rv.type.ndim):
        dim = dims[axis] if axis < len(dims) else None
        known = rv.type.shape[axis]
        if dim is not None:
            lengths.append(fgraph._dim_lengths[dim])
        elif known is not None:
            lengths.append(pt.constant(np.int64(known)))
        else:
            (shape,) = evaluate([structure.model[name].shape])
            lengths.append(pt.constant(np.int64(shape[axis])))
    return lengths
