r"""A further common cause in a model: one column that both treatment and outcome read.

The equations of treatment and outcome get one term each on the scale of their location,

.. math:: \eta_T' = \eta_T + \gamma_T\, w, \qquad \eta_Y' = \eta_Y + \gamma_Y\, w,

with :math:`\gamma \sim N(0, s)` and w data of the units
(:mod:`~bayescausal.model.noise.location`). A w that is noise must not move the
answer; a candidate confounder may. The scale s is 1 on a logit or log scale and the standard
deviation of the variable on its own scale.

*When it fails.* Families without a location on a free scale (categories, mixtures) are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor
from pymc.distributions.censored import CensoredRV
from pymc.model.fgraph import model_free_rv, model_named
from pymc.pytensorf import toposort_replace

from bayescausal.model.noise.location import link_of, shifted
from bayescausal.model.noise.read_off import family_of
from bayescausal.model.structure.function_graph import close, open_model
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from bayescausal.inference.record import Fit

__all__ = ["COLUMN", "with_common_cause"]

#: The name of the further column.
COLUMN = "common_cause"


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
        moved = shifted(rv, coefficient * column)
        inputs = [moved, *marker.owner.inputs[1:]]
        replacements[marker] = marker.owner.clone_with_new_inputs(inputs).outputs[0]
    toposort_replace(fgraph, tuple(replacements.items()), reverse=True)
    return close(fgraph, initvals)


# ------------------------------------------------------------------------------- private


def _scale(fit: Fit, name: str) -> float:
    """Return the sd of a variable whose values move themselves, 1 on a logarithmic scale."""
    rv = fit.structure.variable(name)
    if isinstance(rv.owner.op, CensoredRV):
        rv = rv.owner.inputs[0]
    if link_of(rv) == "identity" and family_of(rv) not in ("LogNormal", "LogitNormal"):
        return float(np.nanstd(fit.columns[name])) or 1.0
    return 1.0
