"""Conditioning a model on data: the density form, resized to the units at hand.

For columns :math:`v_{obs}` the conditioned model has the log-density

.. math:: \\log p(\\theta) + \\log p(v_{latent}, v_{missing}, v_{obs} \\mid \\theta, w)

over parameters :math:`\\theta`, latent variables and missing cells, :math:`w` being ``pm.Data``.
It is plain PyMC: what is observed is an observed variable whose value is data of the model (named
``"<name>_data"``, so that other values of the same shape can be put in later); a column with
empty cells becomes PyMC's own pair ``x_observed``, ``x_unobserved`` and their join ``x``, or is
left free as a whole, its values and where they are empty being data.

Potentials stay where they are: they are part of the density that is fitted.

The caller's model is never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytensor
import pytensor.tensor as pt
from pymc.distributions.distribution import PartialObservedRV, create_partial_observed_rv
from pymc.distributions.transforms import _default_transform
from pymc.model.fgraph import (
    ModelFreeRV,
    ModelObservedRV,
    model_deterministic,
    model_free_rv,
    model_named,
    model_observed_rv,
)
from pymc.pytensorf import toposort_replace
from pymc.util import get_transformed_name
from pytensor.compile import SharedVariable

from bayescausal.model.structure.function_graph import close, imputed_values, open_model
from bayescausal.types import DataError, ModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pymc as pm
    from pymc.logprob.transforms import Transform
    from pymc.model.fgraph import ModelVar
    from pytensor.graph.basic import Variable

    from bayescausal.inference.data.conform import Conformed
    from bayescausal.model.structure.structure import Structure

__all__ = ["Conditioned", "Partly", "condition"]


@dataclass(frozen=True, eq=False)
class Conditioned:
    """A model that knows the data."""

    model: pm.Model  # distinct from the caller's, dims and coords those of the data
    data_names: Mapping[str, str]  # the name under which an observed column is data of the model
    partly: Mapping[str, Partly]  # columns with empty cells that are free as a whole in the model


@dataclass(frozen=True, eq=False)
class Partly:
    """A column that is empty in part, as data of the model."""

    # values, mask: the column, zero where it is empty, and where that is.
    values: Variable
    mask: Variable


def condition(
    structure: Structure, conformed: Conformed, whole: Collection[str] = ()
) -> Conditioned:
    """Return the model conditioned on columns that fit it.

    - `conformed`: the columns, from :func:`conform`.
    - `whole`: columns with empty cells that are left free as a whole, for
      :func:`.integrate.integrate` to deal with. Others are split in two.
    Raises ModelError if PyMC cannot copy the model, or its data are frozen.
    Raises DataError if the model imputes a column already and the data say otherwise.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.inference import as_table
    >>> from bayescausal.inference import condition
    >>> from bayescausal.inference import conform
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     m = pm.Normal("m")
    ...     y = pm.Normal("y", m, dims="unit")
    >>> structure = structure_of(model)
    >>> known = condition(structure, conform(as_table({"y": [0.0, 0.0]}, structure), structure))
    >>> round(float(known.model.compile_logp()({"m": 0.0})), 4)  # three standard normals at 0
    -2.7568
    """
    model = structure.model
    _same_imputed(structure, conformed)
    fgraph, memo, initvals = open_model(model)
    replacements: dict[Variable, Variable] = {}
    data_names: dict[str, str] = {}
    partly: dict[str, Partly] = {}
    for var in model.data_vars:
        if var.name in conformed.columns:
            _set_data(var.name, memo[var].owner.inputs[0], conformed.columns[var.name])
    for name in structure.random:
        if name not in conformed.columns or name in structure.imputed:
            continue
        marker, array = memo[model[name]], conformed.columns[name]
        if name in conformed.missing:
            mask = conformed.missing[name]
            if name not in whole:
                replacements[marker] = _partly(name, marker, array, mask)
                continue
        rv, op = marker.owner.inputs[0], marker.owner.op
        data_names[name] = _free_name(f"{name}_data", model)
        filled = np.where(mask, 0, array) if name in conformed.missing else array
        shared = pytensor.shared(filled.astype(rv.type.dtype), name=data_names[name])
        if name in conformed.missing:
            empty = pytensor.shared(mask, name=_free_name(f"{name}_empty", model))
            partly[name] = Partly(shared, empty)
            if isinstance(op, ModelObservedRV):
                unknown = rv.type(name=name)
                replacements[marker] = model_free_rv(rv, unknown, None, name, *op.dims)
            continue
        value = model_named(shared, data_names[name], *op.dims)
        replacements[marker] = model_observed_rv(rv, value, name, *op.dims)
    toposort_replace(fgraph, tuple(replacements.items()), reverse=True)
    return Conditioned(
        close(fgraph, initvals, sizes=conformed.sizes, coords=conformed.coords),
        data_names,
        partly,
    )


# ------------------------------------------------------------------------------- private


def _same_imputed(structure: Structure, conformed: Conformed) -> None:
    """Refuse other values for a column that the model itself imputes: its equation is split."""
    for name, (value, mask) in imputed_values(structure.model, structure.imputed).items():
        array = conformed.columns.get(name)
        if array is None:
            continue
        same = array.shape == value.shape and np.array_equal(
            array, np.where(mask, np.nan, value.astype(float)), equal_nan=True
        )
        if not same:
            raise DataError(
                f"The model imputes {name!r} itself, from other values than those of the data.",
                expected="The generative model, without observed=.",
            )


def _free_name(name: str, model: pm.Model) -> str:
    """Return `name`, with underscores until the model does not have it."""
    while name in model.named_vars or name in model.coords:
        name += "_"
    return name


def _set_data(name: str, variable: Variable, array: np.ndarray) -> None:
    """Put new values in (a copy of) a ``pm.Data``."""
    if isinstance(variable, SharedVariable):
        variable.set_value(array.astype(variable.type.dtype))
        return
    frozen = getattr(variable, "data", None)
    if frozen is None or not np.array_equal(frozen, array):
        raise ModelError(
            f"{name!r} is frozen in the model, and the data have other values.",
            expected="pm.Data that can be set.",
            remedy="Pass the model as it was before it was frozen.",
        )


def _partly(name: str, marker: Variable, array: np.ndarray, mask: np.ndarray) -> Variable:
    """Return a variable observed in some cells and free in the others.

    ``x := join(x_observed, x_unobserved)``; both halves follow the equation of ``x``, given the
    parents of their own cells.
    """
    rv, op = marker.owner.inputs[0], marker.owner.op
    (seen, antimask), (unseen, where), _ = create_partial_observed_rv(rv, mask)
    transform = _transform_of(op, rv, unseen, name)
    if transform is None:
        value = unseen.type(name=f"{name}_unobserved")
    else:
        value = transform.forward(unseen, *unseen.owner.inputs).type()
        value.name = get_transformed_name(f"{name}_unobserved", transform)
        value.tag.transform = transform
    known = pt.constant(array[np.asarray(antimask)].astype(rv.type.dtype))
    seen = model_observed_rv(seen, known, f"{name}_observed")
    unseen = model_free_rv(unseen, value, transform, f"{name}_unobserved")
    joined = pt.empty(array.shape, dtype=rv.type.dtype)
    joined = pt.set_subtensor(joined[where], unseen)
    joined = pt.set_subtensor(joined[antimask], seen)
    return model_deterministic(joined, name, *op.dims)


def _transform_of(op: ModelVar, rv: Variable, unseen: Variable, name: str) -> Transform | None:
    """Return the transform of the missing cells: the variable's own, or its family's."""
    split = isinstance(unseen.owner.op, PartialObservedRV)
    default = _default_transform(rv.owner.op, rv)
    if split and rv.owner.op.ndim_supp > 0:
        if default is not None:
            raise DataError(
                f"{name!r} has vectors that are empty in part, and its entries are bound together.",
                expected="Vectors that are whole, or empty as a whole.",
                remedy="Empty the other entries of those vectors too.",
            )
        return None
    if isinstance(op, ModelFreeRV) and rv.owner.op.ndim_supp == 0:
        return op.transform
    return _default_transform(unseen.owner.op, unseen)
