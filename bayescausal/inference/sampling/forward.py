"""Draws from the prior: ancestral sampling, each variable given its parents.

Ancestral sampling draws every variable from its equation after its parents. A Potential among the
parameters is part of their prior and no equation, and neither is a transform of their own (an
order, an interval), which restricts them: what they bind is a density without data, drawn by NUTS
like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import xarray as xr
from pymc.pytensorf import toposort_replace

from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.sampling.sample import sample_model
from bayescausal.model.forests.packed import stacked
from bayescausal.model.forests.prior import is_forest
from bayescausal.model.structure.function_graph import PY_MODE, close, dim_sizes, open_model
from bayescausal.model.structure.parameters import moved
from bayescausal.types import ModelError

if TYPE_CHECKING:
    from bayescausal.inference.data.read import Observed
    from bayescausal.model.structure.structure import Structure

__all__ = ["prior_draws"]


def prior_draws(observed: Observed, draws: int, seed: int) -> xr.Dataset:
    """Draw parameters from their prior, and what is not observed of units from their equations.

    Parameters that are bound by a Potential or an order are drawn by NUTS. An improper prior is
    refused.
    """
    structure, model = observed.structure, observed.structure.model
    names = list(structure.parameters)
    if observed.table is not None:
        model = _observed_as_data(condition(structure, observed.conformed).model)
        names = [rv.name for rv in model.free_RVs]
    bound = [p for p in model.potentials if p.name not in structure.potentials]
    if bound or moved(structure):
        return _bound_draws(structure, model, names, [p.name for p in bound], draws, seed)
    outputs = [model[name] for name in names]
    function = pm.compile([], outputs, random_seed=seed, mode=PY_MODE, on_unused_input="ignore")
    try:
        drawn = [function() for _ in range(draws)]
    except NotImplementedError as error:
        raise ModelError(
            f"A prior cannot be drawn from: {error}",
            expected="Proper priors.",
            remedy="Give a Flat parameter a distribution, such as Normal(0, 10).",
        ) from error
    arrays = {}
    coords: dict[str, Any] = {"chain": np.arange(1), "draw": np.arange(draws)}
    sizes = dim_sizes(model)
    for name, values in zip(names, zip(*drawn, strict=True) if names else (), strict=True):
        together = stacked if is_forest(model[name]) else np.stack
        held = together([np.asarray(v) for v in values])[None]
        dims = model.named_vars_to_dims.get(name) or tuple(
            f"{name}_dim_{i}" for i in range(held.ndim - 2)
        )
        arrays[name] = (("chain", "draw", *dims), held)
        for d in dims:
            mine = model.coords.get(d)
            if mine is not None and len(mine) == sizes[d]:
                coords[d] = np.asarray(mine)
    return xr.Dataset(arrays, coords=coords)


def _observed_as_data(model: pm.Model) -> pm.Model:
    """Return the model with every observed variable cut from its equation and held at its data."""
    fgraph, memo, initvals = open_model(model)
    held = [(memo[rv], memo[rv].owner.inputs[1]) for rv in model.observed_RVs]
    toposort_replace(fgraph, tuple(held))
    return close(fgraph, initvals)


def _bound_draws(
    structure: Structure,
    model: pm.Model,
    names: list[str],
    potentials: list[str],
    draws: int,
    seed: int,
) -> xr.Dataset:
    """Draw a prior that is a density without data, sampled like any other."""
    keep = {*names, *potentials, *(v.name for v in model.data_vars)}
    fgraph, _, initvals = open_model(model)
    for i in reversed(range(len(fgraph.outputs))):
        op = getattr(fgraph.outputs[i].owner, "op", None)
        if getattr(op, "name", None) not in keep:
            fgraph.remove_output(i)
    lean = close(fgraph, initvals)
    groups = sample_model(
        structure, lean, draws=-(-draws // 4), chains=4, seed=seed, progressbar=False
    )
    flat = groups["posterior"].stack(one=("chain", "draw")).isel(one=slice(draws))
    flat = flat.drop_vars(["one", "chain", "draw"]).rename(one="draw")
    flat = flat.expand_dims("chain").transpose("chain", "draw", ...)
    return flat[names].assign_coords(chain=np.arange(1), draw=np.arange(draws))
