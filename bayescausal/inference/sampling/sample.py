"""Running a sampler on a conditioned model: chains, discrete unknowns, whom to blame.

Discrete latents with few states are summed out first (see
:mod:`bayescausal.inference.marginalize.marginal`), Normal latents and empty cells are integrated
out where that is exact (:mod:`bayescausal.inference.marginalize.integrate`), and both are drawn
back from their exact conditional afterwards, so that what is left is smooth and small; other
discrete unknowns get PyMC's compound step, with a warning, because such steps mix badly.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pymc as pm
import xarray as xr

from bayescausal.inference.closed_forms.compress import lean
from bayescausal.inference.conditioning.atoms import draw_atoms, without_atoms
from bayescausal.inference.conditioning.plan import with_arrays
from bayescausal.inference.marginalize.integrate import Integrated, integrate
from bayescausal.inference.marginalize.marginal import marginalise
from bayescausal.inference.progress import can_show
from bayescausal.inference.sampling.few import METHOD, draw_few
from bayescausal.model.interventions.support import is_discrete
from bayescausal.model.names import Joined
from bayescausal.model.structure.function_graph import data_values
from bayescausal.types import BayesCausalError, FitWarning, ModelError, NotFiniteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.inference.conditioning.condition import Conditioned
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "CAREFUL",
    "INTEGRATED",
    "Drawn",
    "at_once",
    "chooses_chain",
    "draw_unknowns",
    "sample_model",
]

#: Chains at once, at most.
CORES = os.cpu_count() or 1

#: Target acceptance where latents were integrated out: what data do not tell apart is a thin ridge,
#: cheap to follow in small steps, and left by large ones.
CAREFUL = 0.95

#: Integrated out, and drawn back from the exact conditional.
INTEGRATED = "integrated out"


class Drawn(NamedTuple):
    """Draws of what is unknown."""

    # ``posterior`` and, where a Markov chain made it, ``sample_stats``.
    groups: dict[str, xr.Dataset]
    methods: dict[str, str]  # how each block of variables was drawn
    notes: tuple[str, ...]  # what a reader should know


def draw_unknowns(
    structure: Structure,
    conditioned: Conditioned,
    *,
    draws: int,
    chains: int,
    seed: int,
    progressbar: bool | str = False,
    thin: int = 1,
    integral: Integrated | bool = True,
    missing: Mapping[str, np.ndarray] | None = None,
    compiled: bool = True,
    **sampler: Any,
) -> Drawn:
    """Draw everything that a conditioned model does not know.

    - `conditioned`: the model with the data.
    - `thin`: steps of a Markov chain between two draws that are kept.
    - `integral`: what was integrated out of the model, or whether that is to be tried here.
    - `missing` (bool): where columns that were integrated out are empty.
    - `compiled`: whether only sums over equal units, and no other density, are drawn without a
      Markov chain (:mod:`.few`).
    """
    whole = conditioned.model
    conditioned, apart = without_atoms(structure, conditioned, discrete=True)
    known = None if isinstance(integral, bool) else integral
    marginal = marginalise(structure, conditioned) if known is None else None
    model = conditioned.model if marginal is None else marginal.model
    notes: list[str] = [] if marginal is None else list(marginal.notes)
    if integral is True and marginal is None:  # a sum over states is no quadratic
        known = integrate(structure, model)
    if known is not None:
        model = known.model
        notes += known.notes
        smooth_left = any(not is_discrete(rv) for rv in model.free_RVs)
        if smooth_left and "target_accept" not in (sampler.get("nuts") or {}):
            sampler.setdefault("target_accept", CAREFUL)
        if isinstance(sampler.get("initvals"), dict):  # what is integrated out starts nowhere
            gone = {*known.names, *known.drawn(missing or {})}
            starts = {k: v for k, v in sampler["initvals"].items() if str(k) not in gone}
            sampler["initvals"] = starts
    methods: dict[str, str] = {}
    free = [rv.name for rv in model.free_RVs]
    steps = [rv.name for rv in model.free_RVs if is_discrete(rv)]
    if steps:
        message = (
            f"{', '.join(steps)}: discrete and unknown, with too many states to sum out (or units "
            "depend on each other through it). Sampled by a slow compound step: look at r_hat."
        )
        warnings.warn(message, FitWarning, stacklevel=3)
        notes.append(message)
        methods[Joined(steps)] = "compound"
    smooth, few = [name for name in free if name not in steps], None
    short = integral is True and marginal is not None and marginal.short
    if not compiled or (short and not chooses_chain(sampler)):
        few = draw_few(model, draws=draws, chains=chains, seed=seed)
    if smooth:
        methods[Joined(smooth)] = "nuts" if few is None else METHOD
    if few is not None:
        groups = _as_groups(structure, conditioned, few)
    else:
        sizes: dict[str, Any] = {"draws": draws * (thin if free else 1), "chains": chains}
        sampler |= {**sizes, "seed": seed, "progressbar": progressbar}
        groups = sample_model(structure, model, **sampler)
        if free and thin > 1:
            groups = {
                name: group.isel(draw=slice(None, None, thin)).assign_coords(draw=np.arange(draws))
                for name, group in groups.items()
            }
    if known is not None:
        rng = np.random.default_rng([seed, 2])
        back = known.recover(groups["posterior"], rng, missing=missing)
        held = data_values(conditioned.model)
        groups = with_arrays(structure, conditioned.model.coords, groups, back, held)
        methods[Joined(back)] = INTEGRATED
    if marginal is not None:
        rng = np.random.default_rng([seed, 1])
        groups["posterior"] = groups["posterior"].assign(marginal.recover(groups["posterior"], rng))
        methods[Joined(marginal.names)] = "summed out"
    if apart:
        back = draw_atoms(whole, apart, groups["posterior"], seed)
        groups = with_arrays(structure, whole.coords, groups, back, data_values(whole))
        methods[Joined(apart)] = "drawn given the rest"
    return Drawn(groups, methods, tuple(notes))


def _as_groups(
    structure: Structure, conditioned: Conditioned, arrays: Mapping[str, np.ndarray]
) -> dict[str, xr.Dataset]:
    """Return draws, (chain, draw, ...), as a posterior."""
    chains, draws = next(iter(arrays.values())).shape[:2]
    empty = xr.Dataset(coords={"chain": np.arange(chains), "draw": np.arange(draws)})
    held = data_values(conditioned.model)
    coords = conditioned.model.coords
    return with_arrays(structure, coords, {"posterior": empty}, arrays, held)  # type: ignore[arg-type]


def sample_model(
    structure: Structure,
    model: pm.Model,
    *,
    draws: int,
    chains: int,
    seed: int,
    progressbar: bool | str,
    **sampler: Any,
) -> dict[str, xr.Dataset]:
    """Run the sampler on a model; say which variable is to blame if it cannot start.

    Returned are ``posterior`` and, if there was anything to sample, ``sample_stats``.
    """
    if not model.free_RVs:
        empty = xr.Dataset(coords={"chain": np.arange(chains), "draw": np.arange(draws)})
        return {"posterior": empty}
    small = lean(structure, model)
    sampler.setdefault("cores", at_once(chains))
    sampler.setdefault("compute_convergence_checks", False)
    sampler.setdefault("quiet", not progressbar)
    try:
        tree = pm.sample(
            draws,
            chains=chains,
            random_seed=seed,
            progressbar=progressbar if can_show() else False,
            model=small,
            **sampler,
        )
    except (pm.exceptions.SamplingError, RuntimeError) as error:
        raise _blame(small, error) from error
    keep = ("posterior", "sample_stats", "warmup_posterior", "warmup_sample_stats")
    return {name: tree[name].to_dataset() for name in keep if name in tree.children}


def at_once(chains: int) -> int:
    """Return how many of some chains run at once where nothing else is said.

    Examples
    --------
    >>> at_once(1)
    1
    """
    return max(1, min(chains, CORES))


def chooses_chain(sampler: Mapping[str, Any]) -> bool:
    """Whether options say how a Markov chain is to run. How many run at once does not.

    Examples
    --------
    >>> chooses_chain({"cores": 1}), chooses_chain({"cores": 1, "target_accept": 0.9})
    (False, True)
    """
    return bool(set(sampler) - {"cores"})


# ------------------------------------------------------------------------------- private


def _blame(model: pm.Model, error: Exception) -> BayesCausalError:
    """Return an error that names the variables whose density is not finite at the start."""
    try:
        point = model.initial_point()
        terms = model.point_logps(point)
    except Exception:
        return ModelError(f"The sampler could not start: {error}")
    bad = [name for name, value in terms.items() if not np.isfinite(value)]
    if not bad:
        return ModelError(f"The sampler stopped: {error}")
    return NotFiniteError(
        f"The log-density of {', '.join(map(repr, bad))} is not finite at the sampler's start, "
        f"{', '.join(f'{k} = {np.round(v, 3)}' for k, v in list(point.items())[:4])}.",
        expected="Data that the model can produce.",
        remedy="Compare the data with bayescausal.prior, or give initial values: "
        "fit(..., initvals={...}).",
    )
