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
import xarray as xr

from bayescausal.inference.conditioning.remainder import Remainder, open_remainder
from bayescausal.inference.data.arrays import own_table
from bayescausal.inference.data.conform import conform
from bayescausal.inference.data.read import as_table, read_data
from bayescausal.inference.fit import check_count, resolve_seed
from bayescausal.inference.record import Fit, build_fit
from bayescausal.inference.sampling.forward import prior_draws
from bayescausal.inference.sampling.sample import draw_unknowns
from bayescausal.model.given import design_in, model_of
from bayescausal.model.interventions.defined import naming
from bayescausal.model.names import Joined
from bayescausal.model.structure.function_graph import dim_sizes
from bayescausal.model.structure.parameters import check_parameters
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm

    from bayescausal.annotations import Data
    from bayescausal.inference.data.read import Observed
    from bayescausal.inference.sampling.sample import Drawn
    from bayescausal.model.design import Design
    from bayescausal.model.structure.structure import Structure

__all__ = ["complete_truth", "prior", "truth"]

_THIN = 5  # steps of a Markov chain between the latent draws that `truth` keeps


def prior(
    model: pm.Model | Design,
    data: Data | None = None,
    *,
    units: int | Mapping[str, int] | None = None,
    draws: int = 1000,
    seed: int | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> Fit:
    """Draw parameters from their prior, in the form of a fit.

    Parameters
    ----------
    model : pm.Model or Design
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
    observed = _read(model, data, units, unit_dims)
    structure = observed.structure
    sizes = _fresh_units(structure, units, data_given=observed.table is not None)
    check_count("draws", draws)
    seed = resolve_seed(seed)
    posterior = prior_draws(observed, draws, seed)
    names = [str(n) for n in posterior.data_vars]
    notes: list[str] = []
    unseen = [n for n in names if n not in structure.parameters]
    if unseen:
        notes.append(f"{', '.join(unseen)}: drawn from their equations, not given the data.")
    if structure.potentials:
        notes.append(f"The Potentials {', '.join(structure.potentials)} are left out of the prior.")
    return build_fit(
        **observed._asdict(),
        groups={"posterior": posterior},
        kind="prior",
        seed=seed,
        methods={Joined(names): "forward"},
        notes=notes,
        sizes=sizes,
    )


def truth(
    model: pm.Model | Design,
    params: Mapping[str, Any],
    data: Data | None = None,
    *,
    units: int | Mapping[str, int] | None = None,
    draws: int = 1,
    seed: int | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> Fit:
    """Put known parameters in the form of a fit.

    Parameters
    ----------
    model : pm.Model or Design
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
    observed = _read(model, data, units, unit_dims)
    structure = observed.structure
    values = check_parameters(structure, params)
    sizes = _fresh_units(structure, units, data_given=observed.table is not None)
    check_count("draws", draws)
    seed = resolve_seed(seed)
    methods = _given(values)
    posterior = _repeated(structure, values, draws)
    notes: tuple[str, ...] = ()
    groups = {"posterior": posterior}
    if observed.table is not None:
        with naming(structure, observed.conformed.columns, lambda: [values]):
            drawn = _unknown_given(observed, values, draws, seed)
        found = drawn.groups["posterior"]
        kept = [v for v in found.data_vars if v not in values]
        groups = {**drawn.groups, "posterior": posterior.merge(found[kept])}
        methods |= drawn.methods
        notes = drawn.notes
    return build_fit(
        **observed._asdict(),
        groups=groups,
        kind="truth",
        seed=seed,
        methods=methods,
        notes=notes,
        sizes=sizes,
    )


def complete_truth(
    structure: Structure, values: Mapping[str, np.ndarray], data: Data, *, seed: int
) -> Fit:
    """Put known parameters and complete data in the form of a fit: nothing is left to draw.

    The model is read once, for many data sets. Refused is a variable without a complete column.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
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
    return build_fit(
        structure=structure,
        table=table,
        conformed=conformed,
        groups={"posterior": _repeated(structure, values, 1)},
        kind="truth",
        seed=seed,
        methods=_given(values),
    )


# ------------------------------------------------------------------------------- private


def _read(
    model: pm.Model | Design,
    data: Data | None,
    units: int | Mapping[str, int] | None,
    unit_dims: str | Sequence[str] | None,
) -> Observed:
    """Read model and data; a design's own data are not taken where fresh units are asked for."""
    if units is None or data is not None:
        return read_data(model, data, unit_dims)
    return read_data(model_of(model), None, unit_dims)._replace(design=design_in(model))


def _given(values: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return how known parameters were drawn."""
    return {Joined(values): "given"} if values else {}


def _repeated(structure: Structure, values: Mapping[str, np.ndarray], draws: int) -> xr.Dataset:
    """Return known parameters as one chain of equal draws."""
    model, own = structure.model, dim_sizes(structure.model)
    arrays, coords = {}, {"chain": np.arange(1), "draw": np.arange(draws)}
    for name, value in values.items():
        dims = structure.dims.get(name) or tuple(f"{name}_dim_{i}" for i in range(value.ndim))
        arrays[name] = (
            ("chain", "draw", *dims),
            np.broadcast_to(value, (1, draws, *value.shape)),
        )
        for d in structure.dims.get(name, ()):
            labels = model.coords.get(d)
            if labels is not None and len(labels) == own[d]:
                coords[d] = np.asarray(labels)
    return xr.Dataset(arrays, coords=coords)


def _fresh_units(
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


def _unknown_given(
    observed: Observed, values: Mapping[str, np.ndarray], draws: int, seed: int
) -> Drawn:
    """Draw latents and empty cells given the data and the parameters."""
    structure, conformed = observed.structure, observed.conformed
    known, integral, _ = open_remainder(structure, conformed, Remainder(fixed=values))
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
