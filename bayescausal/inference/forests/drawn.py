"""Forests beside any likelihood, in a Markov chain with everything else that is unknown."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import xarray as xr

from bayescausal.inference.forests.places import ROWS, matched_chains, with_values
from bayescausal.inference.forests.reversible_jump import ReversibleJump, stored_forests
from bayescausal.inference.progress import can_show
from bayescausal.inference.sampling.sample import Drawn, at_once
from bayescausal.model.forests.prior import cuts_of, forest_of
from bayescausal.model.forests.stamp import stamped
from bayescausal.model.names import Joined
from bayescausal.types import BayesCausalError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.conditioning.condition import Conditioned
    from bayescausal.model.structure.structure import Structure

__all__ = ["check_forest_options", "draw_forests", "with_stamps"]

METHOD = "reversible jump"


def draw_forests(
    structure: Structure,
    conditioned: Conditioned,
    *,
    draws: int,
    chains: int,
    seed: int,
    progressbar: bool | str = False,
    **sampler: Any,
) -> Drawn:
    """Draw what a conditioned model does not know, forests among it, by a Markov chain."""
    chosen = sampler.get("nuts_sampler", "pymc")
    if chosen != "pymc":
        raise BayesCausalError(
            f"sampler={chosen!r} does not draw forests: they have no gradient.",
            expected="sampler='pymc', or none.",
        )
    model, places = with_values(structure, conditioned.model)
    others = [rv.name for rv in model.free_RVs if rv.name not in places]
    with tempfile.TemporaryDirectory(prefix="forests-") as folder:
        steps = []
        with model:
            for k, (name, (forest, x)) in enumerate(places.items()):
                (folder_of := Path(folder, str(k))).mkdir()
                shape = forest_of(structure.variable(forest))
                if not shape.cuts:
                    shape = replace(shape, cuts=cuts_of(x))
                steps.append(ReversibleJump(model, name, shape, x, str(folder_of)))
        sampler.setdefault("cores", at_once(chains))
        try:
            tree = pm.sample(
                draws,
                chains=chains,
                random_seed=seed,
                step=steps,
                model=model,
                progressbar=progressbar if can_show() else False,
                compute_convergence_checks=False,
                quiet=not progressbar,
                nuts_sampler="pymc",
                **sampler,
            )
        except (pm.exceptions.SamplingError, RuntimeError, ConnectionError) as error:
            raise ModelError(f"The sampler stopped: {error}") from error
        posterior = tree["posterior"].to_dataset()
        found, seen = {}, {}
        for k, (name, (forest, x)) in enumerate(places.items()):
            recorded = posterior[name].values
            held = stored_forests(str(Path(folder, str(k))))
            found[forest] = matched_chains(held, recorded, x, name)
            pick = np.unique(np.linspace(0, recorded.shape[2] - 1, ROWS).astype(int))
            seen[f"{forest}_at"] = (("chain", "draw", f"{forest}_row"), recorded[:, :, pick])
    return _groups(structure, tree, posterior, places, found, seen, others)


def check_forest_options(sampler: Mapping[str, Any]) -> None:
    """Refuse options of a sampler that forests have no use for, and numbers that are none."""
    if "step" in sampler:
        raise BayesCausalError(
            "step= was given for a model with forests, which have a step of their own.",
            remedy="Leave it out.",
        )
    for name, least in (("tune", 0), ("cores", 1)):
        given = sampler.get(name)
        whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
        if given is not None and (not whole or given < least):
            raise BayesCausalError(
                f"{name}={given!r}.", expected=f"a whole number of {least} or more."
            )


def with_stamps(structure: Structure, drawn: Drawn, seen: Mapping[str, Array]) -> Drawn:
    """Return draws with a stamp on each forest of what was drawn beside it.

    `seen` (chain, draw, row): values of forests at some rows, for the diagnostics.
    """
    posterior = drawn.groups["posterior"]
    arrays = {str(n): v.values for n, v in posterior.data_vars.items()}
    forests = {n: (posterior[n].dims, v) for n, v in stamped(structure, arrays).items()}
    groups = {**drawn.groups, "posterior": posterior.assign(forests)}
    if seen:
        held = groups.get("sample_stats", xr.Dataset())
        at = {f"{n}_at": (("chain", "draw", f"{n}_row"), v) for n, v in seen.items()}
        groups["sample_stats"] = held.assign(at)
    return drawn._replace(groups=groups)


# ------------------------------------------------------------------------------- private


def _groups(
    structure: Structure,
    tree: xr.DataTree,
    posterior: xr.Dataset,
    places: Mapping[str, tuple[str, Array]],
    found: Mapping[str, Array],
    seen: Mapping[str, Any],
    others: Sequence[str],
) -> Drawn:
    """Return the draws with stamped forests in the place of their values at the data."""
    keep = ("posterior", "sample_stats")
    groups = {name: tree[name].to_dataset() for name in keep if name in tree.children}
    arrays = {n: (("chain", "draw", f"{n}_dim_0"), v) for n, v in found.items()}
    groups["posterior"] = posterior.drop_vars(list(places)).assign(arrays)
    groups["posterior"] = groups["posterior"].drop_dims(
        [d for d in groups["posterior"].dims if d not in _dims_used(groups["posterior"])]
    )
    groups["sample_stats"] = groups["sample_stats"].assign(seen)
    methods: dict[str, str] = {Joined(found): METHOD}
    if others:
        methods[Joined(others)] = "nuts"
    return Drawn(groups, methods, ())


def _dims_used(data: xr.Dataset) -> set[str]:
    return {str(d) for v in data.data_vars.values() for d in v.dims}
