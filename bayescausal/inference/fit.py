"""From a model and data to a posterior.

``fit`` conditions the model on the data and draws from

.. math:: p(\\theta, v_{latent}, v_{missing} \\mid v_{obs}, w)

with PyMC's samplers, NUTS by default [1]_. Discrete latents with few states are summed out first
(see :mod:`bayescausal.inference.marginal`) and drawn back from their exact conditional
afterwards, so that what is left is smooth; other discrete unknowns get PyMC's compound step, with
a warning, because such steps mix badly.

References
----------
.. [1] M. D. Hoffman and A. Gelman, The No-U-Turn sampler, *Journal of Machine Learning Research*
   15, 2014.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import xarray as xr
from pymc.pytensorf import toposort_replace

from bayescausal.inference.condition import Conditioned, condition
from bayescausal.inference.exact.plan import (
    Plan,
    as_array,
    derived,
    draw_exact,
    make_plan,
    rest_of,
)
from bayescausal.inference.marginal import marginalise
from bayescausal.inference.read import beyond, read_data
from bayescausal.inference.record import Fit, build_fit
from bayescausal.inference.stream.source import is_source
from bayescausal.model.rebuild import close, open_model
from bayescausal.model.support import is_discrete
from bayescausal.types import BayesCausalError, DataError, FitWarning, ModelError, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bayescausal.inference.columns import Table
    from bayescausal.inference.conform import Conformed
    from bayescausal.inference.exact.blocks import Block
    from bayescausal.model.structure import Structure

__all__ = [
    "METHODS",
    "check_options",
    "draw_posterior",
    "draw_unknowns",
    "fit",
    "fit_read",
    "lean",
    "no_exact",
    "resolve_seed",
    "sample_model",
    "with_exact",
]

#: Groups of draws, how each block was drawn, and what a reader should know.
Drawn = tuple[dict[str, xr.Dataset], dict[str, str], tuple[str, ...]]

#: How the unknowns can be drawn.
METHODS = ("auto", "exact", "nuts")

_OURS = {
    "model": "the first argument",
    "random_seed": "seed=",
    "return_inferencedata": "nothing: a Fit always holds a DataTree",
    "var_names": "nothing: a Fit keeps what a world needs",
}


def fit(
    model: pm.Model,
    data: Any = None,
    *,
    method: str = "auto",
    draws: int = 1000,
    chains: int = 4,
    seed: int | None = None,
    progressbar: bool | str = True,
    unit_dims: str | Sequence[str] | None = None,
    **sampler: Any,
) -> Fit:
    """Condition a model on data and draw from the posterior.

    The posterior is split into independent blocks, and each block drawn by the fastest method
    that is exact: independent draws where a conjugate form fits, NUTS on the rest of the model
    otherwise. ``fit.methods`` says which.

    Parameters
    ----------
    model : pm.Model
        A generative model (or one that is conditioned already). It is not changed.
    data : DataFrame, Mapping, Dataset or source of rows, optional
        One row per unit (pandas, polars, pyarrow), a mapping of arrays, or an xarray Dataset.
        Rows that need not fit in memory: the path of a Parquet file or a folder of them, a
        pyarrow dataset, a DuckDB relation or a Dask DataFrame; they are read once, and the model
        must come down to sums over rows.
        Variables without a column are latent; empty cells of continuous variables are imputed.
        Default: what the model itself was observed to be.
    method : {"auto", "exact", "nuts"}
        ``"auto"`` as above. ``"exact"`` refuses a model with a block that has no exact method.
        ``"nuts"`` takes the plain path for everything.
    draws, chains : int
        Draws kept per chain, and chains. Independent draws are dealt into as many chains.
    seed : int, optional
        Same seed, same draws.
    progressbar : bool or str
        As in ``pm.sample``. If false, the sampler says nothing.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the model leaves it open.
    **sampler
        Passed to ``pm.sample`` where a Markov chain is run: ``tune``, ``target_accept``,
        ``nuts_sampler``, ``cores``, ...

    Returns
    -------
    Fit
        Draws of parameters, latents and empty cells: dims chain, draw and their own.

    Raises
    ------
    DataError
        If the data do not fit the model.
    FixedUnitsError
        If the model fixes its number of units and the data have another.
    UnitDimsError, ModelError
        If the model cannot be read or copied.

    Warns
    -----
    FitWarning
        If the sampler had trouble, or discrete unknowns need a compound step.

    References
    ----------
    A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., CRC Press, 2013, chapters 11 and 18.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     m = pm.Normal("m", 0, 10)
    ...     y = pm.Normal("y", m, 1, dims="unit")
    >>> known = bc.fit(model, {"y": [1.0, 2.0, 3.0]}, draws=500, seed=1, progressbar=False)
    >>> known
    Fit(posterior; 3 units; 4 chains x 500 draws of m)
    """
    check_options(method, draws, chains, sampler)
    if is_source(data):
        from bayescausal.inference.stream.fit_stream import fit_stream

        options = {"draws": draws, "chains": chains, "unit_dims": unit_dims, **sampler}
        options["progressbar"] = progressbar
        return fit_stream(model, data, method=method, seed=resolve_seed(seed), **options)
    structure, table, conformed = read_data(model, data, unit_dims)
    if table is None:
        raise DataError(
            "There is nothing to condition on.",
            expected="data=, or a model with observed variables.",
            remedy="For draws from the prior use bayescausal.prior.",
        )
    return fit_read(
        structure,
        table,
        conformed,
        method=method,
        draws=draws,
        chains=chains,
        seed=resolve_seed(seed),
        progressbar=progressbar,
        **sampler,
    )


def fit_read(
    structure: Structure,
    table: Table,
    conformed: Conformed,
    *,
    notes: Sequence[str] = (),
    draw: Callable[..., Drawn] | None = None,
    seed: int,
    **options: Any,
) -> Fit:
    """Fit a model and data that were read already.

    Parameters
    ----------
    structure, table, conformed
        The model and the data, read.
    notes : sequence of str
        What else a reader should know.
    draw : callable, optional
        Draws the posterior. Default: :func:`draw_posterior`.
    seed : int
    **options
        As in :func:`fit`.

    Returns
    -------
    Fit
    """
    draw = draw_posterior if draw is None else draw
    groups, methods, more = draw(structure, conformed, seed=seed, **options)
    result = build_fit(
        structure=structure,
        table=table,
        conformed=conformed,
        groups=groups,
        kind="posterior",
        seed=seed,
        methods=methods,
        notes=(*beyond(structure), *notes, *more),
    )
    if result.diagnostics.severe:
        warnings.warn(" ".join(result.diagnostics.messages), FitWarning, stacklevel=3)
    return result


def check_options(method: str, draws: int, chains: int, sampler: Mapping[str, Any]) -> None:
    """Refuse a method that there is not, counts below one, and options that are ours to set."""
    if method not in METHODS:
        raise BayesCausalError(
            f"method={method!r} is not known.",
            expected=f"one of {', '.join(map(repr, METHODS))}.",
            names=closest(str(method), METHODS)[:1],
        )
    for name, value in (("draws", draws), ("chains", chains)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise BayesCausalError(f"{name}={value!r}.", expected="An integer of 1 or more.")
    for name in sampler:
        if name in _OURS:
            raise BayesCausalError(f"fit does not take {name}=.", expected=f"{_OURS[name]}.")


def resolve_seed(seed: int | None) -> int:
    """Return the seed, or a fresh one that can be kept.

    Raises
    ------
    BayesCausalError
        If it is not an integer of at least 0.
    """
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise BayesCausalError(f"seed={seed!r} is no seed.", expected="An integer from 0, or None.")
    return int(seed)


def draw_posterior(
    structure: Structure,
    conformed: Conformed,
    *,
    method: str,
    draws: int,
    chains: int,
    seed: int,
    progressbar: bool | str = False,
    **sampler: Any,
) -> Drawn:
    """Draw each block of a posterior by its own method.

    Parameters
    ----------
    structure : Structure
        The model, read.
    conformed : Conformed
        The data.
    method, draws, chains, seed, progressbar, **sampler
        As in :func:`fit`.

    Returns
    -------
    groups, methods, notes
        As :func:`draw_unknowns`.
    """
    plan = Plan((), (), ())
    arrays: dict[str, np.ndarray] = {}
    methods: dict[str, str] = {}
    if method != "nuts":
        plan = make_plan(structure, set(conformed.columns), set(conformed.missing))
        arrays, methods, plan = draw_exact(
            plan, structure, conformed, draws=draws, chains=chains, seed=seed
        )
    if method == "exact" and plan.rest:
        raise no_exact(*plan.rest[0])
    if plan.samplers and not plan.rest:
        empty = xr.Dataset(coords={"chain": np.arange(chains), "draw": np.arange(draws)})
        groups, notes = {"posterior": empty}, ()
    else:
        conditioned = condition(structure, conformed)
        held = [n for s in plan.samplers for n in s.observed]
        model = rest_of(conditioned.model, list(arrays), [*held, *plan.idle])
        groups, more, notes = draw_unknowns(
            structure,
            replace(conditioned, model=model),
            draws=draws,
            chains=chains,
            seed=seed,
            progressbar=progressbar,
            **sampler,
        )
        methods = {**methods, **more}
    return with_exact(structure, conformed, groups, arrays), methods, notes


def no_exact(block: Block, reason: str) -> ModelError:
    """Return the error for a block that has no exact method."""
    return ModelError(
        f"The posterior of {', '.join(block.unknowns)} has no exact method: {reason}.",
        remedy='Fit with method="auto".',
    )


def with_exact(
    structure: Structure,
    conformed: Conformed,
    groups: dict[str, xr.Dataset],
    arrays: Mapping[str, np.ndarray],
) -> dict[str, xr.Dataset]:
    """Return groups with the draws of exact blocks, and what they determine, put in.

    Parameters
    ----------
    structure : Structure
    conformed : Conformed
    groups : dict of str to Dataset
        With ``posterior``.
    arrays : mapping of str to ndarray, shape (chain, draw, ...)

    Returns
    -------
    dict of str to Dataset
    """
    if not arrays:
        return groups
    exact = {n: as_array(structure, n, v, conformed.coords) for n, v in arrays.items()}
    posterior = groups["posterior"].assign(exact)
    posterior = posterior.assign(derived(structure, posterior, conformed.coords))
    return {**groups, "posterior": posterior}


def draw_unknowns(
    structure: Structure,
    conditioned: Conditioned,
    *,
    draws: int,
    chains: int,
    seed: int,
    progressbar: bool | str = False,
    thin: int = 1,
    **sampler: Any,
) -> Drawn:
    """Draw everything that a conditioned model does not know.

    Parameters
    ----------
    structure : Structure
        The model, read.
    conditioned : Conditioned
        The model with the data.
    draws, chains, seed, progressbar, **sampler
        As in :func:`fit`.
    thin : int
        Steps of a Markov chain between two draws that are kept.

    Returns
    -------
    groups : dict of str to Dataset
        ``posterior`` and, if sampled, ``sample_stats``.
    methods : dict of str to str
        How each block of variables was drawn.
    notes : tuple of str
        What a reader should know.
    """
    marginal = marginalise(structure, conditioned)
    model = conditioned.model if marginal is None else marginal.model
    notes: list[str] = [] if marginal is None else list(marginal.notes)
    methods: dict[str, str] = {}
    free = [rv.name for rv in model.free_RVs]
    steps = [rv.name for rv in model.free_RVs if is_discrete(rv)]
    if steps:
        message = (
            f"{', '.join(steps)}: discrete and unknown, with too many states to sum out (or units "
            "that touch through it). Sampled by a compound step, which mixes slowly: look at r_hat."
        )
        warnings.warn(message, FitWarning, stacklevel=3)
        notes.append(message)
        methods[", ".join(steps)] = "compound"
    smooth = [name for name in free if name not in steps]
    if smooth:
        methods[", ".join(smooth)] = "nuts"
    groups = sample_model(
        structure,
        model,
        draws=draws * (thin if free else 1),
        chains=chains,
        seed=seed,
        progressbar=progressbar,
        **sampler,
    )
    if free and thin > 1:
        groups = {
            name: group.isel(draw=slice(None, None, thin)).assign_coords(draw=np.arange(draws))
            for name, group in groups.items()
        }
    if marginal is not None:
        rng = np.random.default_rng([seed, 1])
        groups["posterior"] = groups["posterior"].assign(marginal.recover(groups["posterior"], rng))
        methods[", ".join(marginal.names)] = "summed out"
    return groups, methods, tuple(notes)


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

    Parameters
    ----------
    structure : Structure
        The model, read.
    model : pm.Model
        What is to be sampled: its free variables.
    draws, chains, seed, progressbar, **sampler
        As in :func:`fit`.

    Returns
    -------
    dict of str to Dataset
        ``posterior`` and, if there was anything to sample, ``sample_stats``.
    """
    if not model.free_RVs:
        empty = xr.Dataset(coords={"chain": np.arange(chains), "draw": np.arange(draws)})
        return {"posterior": empty}
    small = lean(structure, model)
    sampler.setdefault("cores", max(1, min(chains, os.cpu_count() or 1)))
    sampler.setdefault("compute_convergence_checks", False)
    sampler.setdefault("quiet", not progressbar)
    try:
        tree = pm.sample(
            draws,
            chains=chains,
            random_seed=seed,
            progressbar=progressbar,
            model=small,
            **sampler,
        )
    except (pm.exceptions.SamplingError, RuntimeError) as error:
        raise _blame(small, error) from error
    keep = ("posterior", "sample_stats", "warmup_posterior", "warmup_sample_stats")
    return {name: tree[name].to_dataset() for name in keep if name in tree.children}


# ------------------------------------------------------------------------------- private


def lean(structure: Structure, model: pm.Model) -> pm.Model:
    """Return the model without Deterministics of the units: they would be kept per draw."""
    unit = set(structure.unit_dims)
    below = structure.descendants(structure.nodes) if structure.nodes else frozenset()
    parts = {*structure.deterministics, *structure.imputed, *below}
    gone = [
        d
        for d in model.deterministics
        if d.type.ndim
        and (d.name in parts or unit & set(model.named_vars_to_dims.get(d.name) or ()))
    ]
    if not gone:
        return model
    fgraph, memo, initvals = open_model(model)
    inlined = [(memo[d], memo[d].owner.inputs[0]) for d in gone]
    markers = {marker for marker, _ in inlined}
    toposort_replace(fgraph, tuple(inlined))
    for i in reversed(range(len(fgraph.outputs))):
        out = fgraph.outputs[i]
        if out in markers or out.owner is None or not hasattr(out.owner.op, "dims"):
            fgraph.remove_output(i)
    return close(fgraph, initvals)


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
    return DataError(
        f"The log-density of {', '.join(map(repr, bad))} is not finite at the sampler's start, "
        f"{', '.join(f'{k} = {np.round(v, 3)}' for k, v in list(point.items())[:4])}.",
        expected="Data that the model can produce.",
        remedy="Compare the data with bayescausal.prior, or give initial values: "
        "fit(..., initvals={...}).",
    )
