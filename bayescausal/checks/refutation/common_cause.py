r"""A further common cause in a model: one column that both treatment and outcome read.

The equations of treatment and outcome get one term each on the scale of their location,

.. math:: \eta_T' = \eta_T + \gamma_T\, w, \qquad \eta_Y' = \eta_Y + \gamma_Y\, w,

with :math:`\gamma \sim N(0, s)` and w data of the units. A w that is noise must not move the
answer; a candidate confounder may. The scale s is 1 on a logit or log scale and the standard
deviation of the variable on its own scale.

*When it fails.* Families without a location on a free scale (categories, mixtures) are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.distributions.censored import CensoredRV
from pymc.model.fgraph import model_free_rv, model_named
from pymc.pytensorf import toposort_replace

from bayescausal.model.interventions.support import params_of
from bayescausal.model.noise.read_off import family_of
from bayescausal.model.structure.rebuild import close, open_model
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.inference.record import Fit

__all__ = ["COLUMN", "with_common_cause"]

#: The name of the further column.
COLUMN = "common_cause"

_IDENTITY = {"Normal": 0, "StudentT": 1, "Laplace": 0, "Logistic": 0, "Cauchy": 0, "LogNormal": 0}
_LOGIT = {"Bernoulli": 0}
_LOG = {"Poisson": 0, "Exponential": 0, "Gamma": 1}


def with_common_cause(fit: Fit, names: tuple[str, ...], values: np.ndarray) -> pm.Model:
    """Return the model in which some equations read a further column.

    ``names``: observed random variables with one unit dim or more, the same for all.
    ``values``: the column, with the unit dims of the first name.
    Result: distinct, with data ``common_cause`` and a coefficient ``common_cause_on_<name>`` each.
    Raises ModelError if a family has no location, or the variables lie at different levels.
    """
    structure = fit.structure
    frames = {tuple(d for d in structure.dims[n] if d in structure.unit_dims) for n in names}
    if len(frames) != 1 or any(len(structure.dims[n]) != np.ndim(values) for n in names):
        raise ModelError(
            f"{', '.join(names)} lie at different levels or are vectors: they have no common cause "
            "of one number per unit."
        )
    fgraph, memo, initvals = open_model(fit.model)
    taken = {*fit.model.named_vars, *fit.model.coords}
    if COLUMN in taken:
        raise ModelError(f"The model already has a variable called {COLUMN!r}.")
    dims = next(iter(frames))
    shared = pytensor.shared(np.asarray(values, dtype=float), name=COLUMN)
    column = model_named(shared, COLUMN, *dims)
    replacements = {}
    for name in names:
        marker = memo[structure.variable(name)]
        rv = marker.owner.inputs[0]
        scale = _scale(fit, name)
        base = pm.Normal.dist(0.0, scale)
        label = f"{COLUMN}_on_{name}"
        coefficient = model_free_rv(base, base.type(name=label), None, label)
        moved = _moved(rv, coefficient * column)
        inputs = [moved, *marker.owner.inputs[1:]]
        replacements[marker] = marker.owner.clone_with_new_inputs(inputs).outputs[0]
    toposort_replace(fgraph, tuple(replacements.items()), reverse=True)
    return close(fgraph, initvals)


# ------------------------------------------------------------------------------- private


def _scale(fit: Fit, name: str) -> float:
    family = family_of(_measured(fit.structure.variable(name)))
    if family in _IDENTITY and family != "LogNormal":
        return float(np.nanstd(fit.columns[name])) or 1.0
    return 1.0


def _measured(rv: TensorVariable) -> TensorVariable:
    """Return the variable inside of a censored one."""
    return rv.owner.inputs[0] if isinstance(rv.owner.op, CensoredRV) else rv


def _moved(rv: TensorVariable, by: TensorVariable) -> TensorVariable:
    """Return the random variable with its location moved, inside of a censored one."""
    if isinstance(rv.owner.op, CensoredRV):
        base, *bounds = rv.owner.inputs
        return rv.owner.op.make_node(_moved(base, by), *bounds).outputs[0]
    family = family_of(rv)
    params: list[Any] = params_of(rv)
    if family in _IDENTITY:
        at = _IDENTITY[family]
        new = params[at] + by
    elif family in _LOGIT:
        at = _LOGIT[family]
        p = params[at]
        new = pt.sigmoid(pt.log(p) - pt.log1p(-p) + by)
    elif family in _LOG:
        at = _LOG[family]
        new = params[at] * pt.exp(by)
    else:
        known = ", ".join((*_IDENTITY, *_LOGIT, *_LOG))
        raise ModelError(
            f"{family} has no location that a common cause could move.", expected=f"one of {known}."
        )
    place = next(i for i, v in enumerate(rv.owner.inputs) if v is params[at])
    inputs = list(rv.owner.inputs)
    inputs[place] = new
    return rv.owner.op.make_node(*inputs).outputs[rv.owner.outputs.index(rv)]
