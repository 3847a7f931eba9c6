"""Interventions: parse, check, apply.

An intervention replaces the equation of its target and leaves every other equation alone
(modularity, [1]_ section 1.3). ``Set`` cuts the target from its parents. ``Shift``, ``Scale``
and a ``Policy`` that reads its own target keep them: they act on the value that the target
*would have had* in that world just before they act, its natural value [2]_. In the model that
:func:`intervene` returns this natural value is a variable of its own, ``X_natural``.

Everything that cannot be carried out raises an error: an unknown name, a parameter, a
value that is not finite or outside the support, a wrong length, a policy that reads a
descendant of its target (a cycle, for which there is no world).

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009.
.. [2] J. M. Young, M. A. Hernan and J. M. Robins, "Identification, estimation and approximation
   of risk under interventions that depend on the natural value of treatment", Epidemiologic
   Methods 3(1), 2014.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.distributions.shape_utils import change_dist_size
from pymc.distributions.transforms import _default_transform
from pymc.model.fgraph import (
    ModelValuedVar,
    ModelVar,
    model_deterministic,
    model_free_rv,
    model_named,
)
from pymc.pytensorf import replace_vars_in_graphs, rvs_in_graph, toposort_replace
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.op import RandomVariable

from bayescausal.model.interventions.parse_do import (
    as_mapping,
    check_expression,
    check_target,
    name_of,
    parse_interventions,
    refuse_potentials,
)
from bayescausal.model.interventions.policy import apply_policy, cast, whole
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.structure.design_matrix import split_structure
from bayescausal.model.structure.function_graph import (
    close,
    dim_sizes,
    evaluate,
    open_model,
)
from bayescausal.model.structure.integer_roles import is_number, with_types
from bayescausal.model.structure.read import structure_of
from bayescausal.types import Intervention, Policy, Scale, Set, Shift, Stochastic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm

    from bayescausal.model.design import Design
    from bayescausal.model.structure.structure import Structure

__all__ = ["intervene"]


def intervene(
    model: pm.Model | Design,
    do: Mapping[Any, Any],
    *,
    unit_dims: str | Sequence[str] | None = None,
    ignore_potentials: bool = False,
) -> pm.Model:
    """Return the model after an intervention: a distinct, plain ``pm.Model``.

    Parameters
    ----------
    model : pymc.Model or Design
        Any model. It is not changed.
    do : mapping
        ``{name: intervention}``: a value, :class:`~bayescausal.Set`,
        :class:`~bayescausal.Shift`, :class:`~bayescausal.Scale`,
        :class:`~bayescausal.Stochastic`, :class:`~bayescausal.Policy`, or a new mechanism: a
        PyMC expression of the model's variables, or a distribution made with ``.dist``.
    unit_dims : str or sequence of str, optional
        The dims that index units, where the model leaves them open.
    ignore_potentials : bool, default False
        Go on although Potentials act on structural variables.

    Returns
    -------
    pymc.Model
        With the same names and dims. The target becomes data (``Set``), a Deterministic
        (``Shift``, ``Scale``, ``Policy``, an expression) or a random variable
        (``Stochastic``, a distribution). Where the mechanism reads the target's own natural
        value, that is kept as ``<name>_natural``.

    Raises
    ------
    InterventionError
        If the intervention is not possible, with the reason.
    UnknownVariableError
        If a target is not in the model.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     y = pm.Normal("y", 2 * x, 1, dims="unit")
    >>> pm.draw(bc.intervene(model, {"x": 3})["x"])
    array([3.])
    """
    structure = structure_of(model, unit_dims=unit_dims)
    model = structure.model
    if any(isinstance(k, str) and k.endswith("]") for k in as_mapping(do)):
        structure = split_structure(structure, as_mapping(do))
        model = structure.model
    if not ignore_potentials:
        refuse_potentials(structure)
    expressions = {name_of(k): v for k, v in as_mapping(do).items() if isinstance(v, Variable)}
    plain = {name_of(k): v for k, v in do.items() if not isinstance(v, Variable)}
    parsed = parse_interventions(structure, plain, sizes=dim_sizes(model))
    for name, expression in expressions.items():
        check_target(structure, name)
        check_expression(structure, name, expression)
    types = _data_types(structure, parsed, expressions)
    if types:
        model, expressions = with_types(model, types, expressions)
        structure = structure_of(model, unit_dims=structure.unit_dims)
    fgraph, memo, initvals = open_model(model, inlined_views=True)
    order = {n: i for i, n in enumerate(structure.full)}
    env = {n: memo[structure.variable(n)] for n in structure.names()}
    todo: list[tuple[Variable, Variable]] = []
    for name in sorted({*parsed, *expressions}, key=order.__getitem__):
        original = structure.variable(name)
        old = memo[original]
        natural = _renamed(old, f"{name}_natural")
        shape = [fgraph._dim_lengths[d] for d in old.owner.op.dims] or old.shape
        if name in parsed:
            new = _mechanism(name, parsed[name], natural, {**env, name: natural}, shape)
        else:
            [new] = replace_vars_in_graphs(
                [expressions[name]], replacements={**memo, original: natural}
            )
            op = getattr(new.owner, "op", None)
            if isinstance(op, RandomVariable | SymbolicRandomVariable):
                new = change_dist_size(new, tuple(shape)[: old.type.ndim - op.ndim_supp])
        todo.append((old, _as_model_variable(name, old.owner.op.dims, new)))
    toposort_replace(fgraph, tuple(todo), reverse=True)
    initvals = {k: v for k, v in initvals.items() if k not in parsed and k not in expressions}
    return close(fgraph, initvals)


# ------------------------------------------------------------------------- checks


# -------------------------------------------------------------------------- apply


def _mechanism(
    name: str,
    intervention: Intervention,
    natural: Variable,
    env: Mapping[str, Variable],
    shape: Sequence[Variable] | Variable,
) -> Variable:
    """Return the expression that takes the place of the variable whose value is `natural`."""
    dtype = natural.type.dtype
    if isinstance(intervention, Set):
        value = np.asarray(intervention.value, dtype=dtype)
        full = value.ndim == natural.type.ndim
        return pt.as_tensor_variable(value) if full else pt.full(shape, value, dtype=dtype)
    if isinstance(intervention, Shift):
        return whole(name, natural + np.asarray(intervention.by), dtype)
    if isinstance(intervention, Scale):
        return whole(name, natural * np.asarray(intervention.by), dtype)
    if isinstance(intervention, Policy):
        result = apply_policy(name, intervention, [env[r] for r in intervention.reads or ()])
        return pt.broadcast_to(whole(name, result, dtype), tuple(shape))
    assert isinstance(intervention, Stochastic)
    rv = intervention.distribution
    event = rv.owner.op.ndim_supp
    return cast(change_dist_size(rv, tuple(shape)[: natural.type.ndim - event]), dtype)


def _data_types(
    structure: Structure,
    parsed: Mapping[str, Intervention],
    expressions: Mapping[str, Variable],
) -> dict[str, str]:
    """Return the types that ``pm.Data`` need, to take what is done to them."""
    types = {n: "float64" for n in (*parsed, *expressions) if is_number(structure, n)}
    drawn = {n: act.distribution for n, act in parsed.items() if isinstance(act, Stochastic)}
    for name, rv in drawn.items():
        if name in structure.data:
            types[name] = rv.type.dtype
    return {n: t for n, t in types.items() if structure.variable(n).type.dtype != t}


def _as_model_variable(name: str, dims: Sequence[str], new: Variable) -> Variable:
    """Wrap the new mechanism in PyMC's marker, keeping name and dims."""
    if not rvs_in_graph([new]) and not _reads_named(new):
        [value] = evaluate([new])
        shared = pytensor.shared(value, name=name, shape=(None,) * new.type.ndim)
        return model_named(shared, name, *dims)
    op = getattr(new.owner, "op", None)
    if isinstance(op, RandomVariable | SymbolicRandomVariable):
        transform = None if is_discrete(new) else _default_transform(op, new)
        value_variable = new.type()
        value_variable.name = name
        return model_free_rv(new, value_variable, transform, name, *dims)
    return model_deterministic(new.copy(), name, *dims)


def _reads_named(new: Variable) -> bool:
    return any(v.owner is not None and isinstance(v.owner.op, ModelVar) for v in ancestors([new]))


def _renamed(old: Variable, name: str) -> Variable:
    """Return the same model variable under another name."""
    op = old.owner.op
    if isinstance(op, ModelValuedVar):
        value = old.owner.inputs[1]
        return type(op)(name=name, dims=op.dims, transform=op.transform)(
            old.owner.inputs[0], value.type(name=name) if value.owner is None else value
        )
    return type(op)(name=name, dims=op.dims)(*old.owner.inputs)
