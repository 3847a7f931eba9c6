"""The same record without a posterior: draws from the prior, or known parameters.

Every question that can be asked of a fit can be asked of the model before data, and of a
population whose parameters are known:

=========  ================================  ==============================================
kind       parameters                        latents and empty cells, where there are data
=========  ================================  ==============================================
posterior  given the data                    given the data
prior      from their prior                  from their equations, given their parents
truth      as given, repeated                given the data and the parameters
=========  ================================  ==============================================

Truth, prior and posterior then stand side by side, and the difference between the last two is
what was learned. Without data there are no units: the population is the model's own.

References
----------
.. [1] M. Humphreys and A. Jacobs, *Integrated Inferences*, Cambridge University Press, 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import xarray as xr
from pymc.pytensorf import toposort_replace

from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.data.conform import conform
from bayescausal.inference.data.read import read_data
from bayescausal.inference.data.table import as_table, own_table
from bayescausal.inference.datatree import draws_priors
from bayescausal.inference.fit import draw_unknowns, resolve_seed, sample_model
from bayescausal.inference.marginalize.integrate import opened
from bayescausal.inference.record import Fit, build_fit
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.parameters import check_parameters, fix_parameters
from bayescausal.model.structure.rebuild import close, dim_sizes, open_model
from bayescausal.types import BayesCausalError, DataError, ModelError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.model.structure.structure import Structure

__all__ = ["complete_truth", "prior", "truth"]

_THIN = 5  # steps of a Markov chain between the latent draws that `truth` keeps


@draws_priors
def prior(
    model: pm.Model,
    data: Any = None,
    *,
    units: int | Mapping[str, int] | None = None,
    draws: int = 1000,
    seed: int | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> Fit:
    """Draw parameters from their prior, in the form of a fit.

    Parameters
    ----------
    model : pm.Model
        Not changed.
    data : DataFrame, Mapping or Dataset, optional
        Units to ask about. They do not inform the parameters. Latent variables and empty cells
        are drawn from their equations.
    units : int or mapping of str to int, optional
        Without data: how many fresh units a question is averaged over.
    draws : int
        Number of draws.
    seed : int, optional
        Same seed, same draws.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the model leaves it open.

    Returns
    -------
    Fit
        Of kind ``"prior"``.

    Raises
    ------
    ModelError
        If a prior is improper.

    References
    ----------
    J. Gabry, D. Simpson, A. Vehtari, M. Betancourt and A. Gelman, "Visualization in Bayesian
    workflow", Journal of the Royal Statistical Society A 182(2), 2019.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     x = pm.Bernoulli("x", 0.5, dims="unit")
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> bc.prior(model, draws=100, seed=1)
    Fit(prior; no units; 1 chains x 100 draws of b)
    """
    structure, table, conformed = read_data(model, data, unit_dims)
    sizes = _sizes(structure, units, data_given=table is not None)
    _check_draws(draws)
    seed = resolve_seed(seed)
    notes: list[str] = []
    world, names = model, list(structure.parameters)
    if table is not None:
        conditioned = condition(structure, conformed)
        world = _observed_as_data(conditioned.model)
        names = [rv.name for rv in world.free_RVs]
        unseen = [n for n in names if n not in structure.parameters]
        if unseen:
            notes.append(f"{', '.join(unseen)}: drawn from their equations, not given the data.")
    groups = _prior_draws(structure, world, names, draws, seed)
    if structure.potentials:
        notes.append(f"The Potentials {', '.join(structure.potentials)} are left out of the prior.")
    return build_fit(
        structure=structure,
        table=table,
        conformed=conformed,
        groups=groups,
        kind="prior",
        seed=seed,
        methods={", ".join(names): "forward"},
        notes=notes,
        sizes=sizes,
    )


def truth(
    model: pm.Model,
    params: Mapping[str, Any],
    data: Any = None,
    *,
    units: int | Mapping[str, int] | None = None,
    draws: int = 1,
    seed: int | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> Fit:
    """Put known parameters in the form of a fit.

    Parameters
    ----------
    model : pm.Model
        Not changed.
    params : mapping of str to float or array_like
        A value for every parameter.
    data : DataFrame, Mapping or Dataset, optional
        Units to ask about. Latent variables and empty cells are drawn given the data and the
        parameters.
    units : int or mapping of str to int, optional
        Without data: how many fresh units a question is averaged over.
    draws : int
        How often the parameters are repeated, with fresh draws of what is unknown of the units.
    seed : int, optional
        Same seed, same draws.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the model leaves it open.

    Returns
    -------
    Fit
        Of kind ``"truth"``, with one chain.

    Raises
    ------
    ParameterError
        If a parameter is missing, unknown, or of the wrong shape or support.

    References
    ----------
    J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 7.1.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     x = pm.Bernoulli("x", 0.5, dims="unit")
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> float(bc.truth(model, {"b": 2.0}).posterior["b"].item())
    2.0
    """
    structure, table, conformed = read_data(model, data, unit_dims)
    values = check_parameters(structure, params)
    sizes = _sizes(structure, units, data_given=table is not None)
    _check_draws(draws)
    seed = resolve_seed(seed)
    methods = {", ".join(values): "given"} if values else {}
    notes: tuple[str, ...] = ()
    own = dim_sizes(model)
    arrays = {
        name: (
            ("chain", "draw", *_dims_of(name, structure, value)),
            np.broadcast_to(value, (1, draws, *value.shape)),
        )
        for name, value in values.items()
    }
    coords = {
        d: np.asarray(model.coords[d])
        for name in values
        for d in structure.dims.get(name, ())
        if model.coords.get(d) is not None and len(model.coords[d]) == own[d]
    }
    coords |= {"chain": np.arange(1), "draw": np.arange(draws)}
    groups = {"posterior": xr.Dataset(arrays, coords=coords)}
    if table is not None:
        found, more, notes = _unknown_given(structure, conformed, values, draws, seed)
        kept = [v for v in found["posterior"].data_vars if v not in values]
        groups = {**found, "posterior": groups["posterior"].merge(found["posterior"][kept])}
        methods |= more
    return build_fit(
        structure=structure,
        table=table,
        conformed=conformed,
        groups=groups,
        kind="truth",
        seed=seed,
        methods=methods,
        notes=notes,
        sizes=sizes,
    )


def complete_truth(
    structure: Structure, values: Mapping[str, np.ndarray], data: Any, *, seed: int
) -> Fit:
    """Put known parameters and complete data in the form of a fit: nothing is left to draw.

    Parameters
    ----------
    structure : Structure
        The model, read once; many data sets share it.
    values : mapping of str to ndarray
        From :func:`~bayescausal.model.structure.parameters.check_parameters`.
    data : DataFrame
        A column for every structural variable, latents included.
    seed : int
        Of the noise in answers.

    Returns
    -------
    Fit
        Of kind ``"truth"``, with one draw.

    Raises
    ------
    DataError
        If a variable has no column, or a cell is empty.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> from bayescausal.inference.sampling.prior_and_truth import complete_truth
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     b = pm.Normal("b")
    ...     y = pm.Normal("y", b, 1, dims="unit")
    >>> complete_truth(structure_of(model), {"b": np.array(2.0)}, {"y": [1.9, 2.3]}, seed=1)
    Fit(truth; 2 units; 1 chains x 1 draws of b)
    """
    table = own_table(structure, as_table(data, structure))
    conformed = conform(table, structure)
    lost = [*conformed.latent, *conformed.missing]
    if lost:
        raise DataError(
            f"{', '.join(map(repr, lost))}: no complete column.",
            expected="Complete data, latents included.",
        )
    own, index = dim_sizes(structure.model), {"chain": np.arange(1), "draw": np.arange(1)}
    arrays = {
        name: (("chain", "draw", *_dims_of(name, structure, value)), value[None, None])
        for name, value in values.items()
    }
    labels = {
        d: np.asarray(structure.model.coords[d])
        for name in values
        for d in structure.dims.get(name, ())
        if structure.model.coords.get(d) is not None and len(structure.model.coords[d]) == own[d]
    }
    return build_fit(
        structure=structure,
        table=table,
        conformed=conformed,
        groups={"posterior": xr.Dataset(arrays, coords=labels | index)},
        kind="truth",
        seed=seed,
        methods={", ".join(values): "given"} if values else {},
    )


# ------------------------------------------------------------------------------- private


def _check_draws(draws: int) -> None:
    """Refuse a number of draws below one."""
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise BayesCausalError(f"draws={draws!r}.", expected="An integer of 1 or more.")


def _sizes(
    structure: Structure, units: int | Mapping[str, int] | None, *, data_given: bool
) -> dict[str, int] | None:
    """Return the number of fresh units that was asked for, per unit dim."""
    if units is None:
        return None
    if data_given:
        raise DataError(
            "Both data and units= were given.",
            expected="Data, whose units are asked about, or a number of fresh ones.",
        )
    own = dim_sizes(structure.model)
    asked = dict(units) if isinstance(units, Mapping) else {structure.unit_dims[0]: units}
    for dim, n in asked.items():
        if dim not in structure.unit_dims:
            raise DataError(
                f"units names {dim!r}, which is not a unit dim.",
                expected=f"Among {', '.join(structure.unit_dims)}.",
                names=closest(str(dim), structure.unit_dims)[:1],
            )
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise DataError(f"units={n!r} along {dim!r}.", expected="A whole number of at least 1.")
    return {**own, **{d: int(n) for d, n in asked.items()}}


def _dims_of(name: str, structure: Structure, value: np.ndarray) -> tuple[str, ...]:
    """Return the dims of a parameter, with PyMC's names where it has none."""
    return structure.dims.get(name) or tuple(f"{name}_dim_{i}" for i in range(value.ndim))


def _observed_as_data(model: pm.Model) -> pm.Model:
    """Return the model with every observed variable cut from its equation and held at its data."""
    fgraph, memo, initvals = open_model(model)
    held = [(memo[rv], memo[rv].owner.inputs[1]) for rv in model.observed_RVs]
    toposort_replace(fgraph, tuple(held))
    return close(fgraph, initvals)


def _prior_draws(
    structure: Structure, model: pm.Model, names: list[str], draws: int, seed: int
) -> dict[str, xr.Dataset]:
    """Draw variables forward; parameters bound by a Potential are drawn by NUTS."""
    bound = [p for p in model.potentials if p.name not in structure.potentials]
    if bound:
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
        stacked = np.stack([np.asarray(v) for v in values])[None]
        dims = model.named_vars_to_dims.get(name) or tuple(
            f"{name}_dim_{i}" for i in range(stacked.ndim - 2)
        )
        arrays[name] = (("chain", "draw", *dims), stacked)
        for d in dims:
            mine = model.coords.get(d)
            if mine is not None and len(mine) == sizes[d]:
                coords[d] = np.asarray(mine)
    return {"posterior": xr.Dataset(arrays, coords=coords)}


def _bound_draws(
    structure: Structure,
    model: pm.Model,
    names: list[str],
    potentials: list[str],
    draws: int,
    seed: int,
) -> dict[str, xr.Dataset]:
    """Draw a prior that Potentials are part of: a density without data, sampled like any other."""
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
    return {"posterior": flat.assign_coords(chain=np.arange(1), draw=np.arange(draws))}


def _unknown_given(
    structure: Structure,
    conformed: Any,
    values: Mapping[str, np.ndarray],
    draws: int,
    seed: int,
) -> tuple[dict[str, xr.Dataset], dict[str, str], tuple[str, ...]]:
    """Draw latents and empty cells given the data and the parameters."""
    known, integral = opened(structure, conformed, lambda m: fix_parameters(m, values))
    return draw_unknowns(
        structure,
        known,
        draws=draws,
        chains=1,
        seed=seed,
        thin=_THIN,
        progressbar=False,
        integral=integral or True,
        missing=conformed.missing,
    )
