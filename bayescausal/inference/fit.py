"""From a model and data to a posterior.

``fit`` conditions the model on the data and draws from

.. math:: p(\\theta, v_{latent}, v_{missing} \\mid v_{obs}, w)

in one line: model and data are read together, once, into one record (:mod:`.data.read`); each block
of the posterior is drawn by the fastest method that is exact (:mod:`.conditioning.posterior`):
independent draws, NUTS on sufficient statistics, NUTS on the rows [1]_; and the draws are checked
and recorded (:mod:`.record`). Rows that stay in their source take the same line, with a pass over
them in the place of arrays (:mod:`.stream.draw_stream`).

References
----------
.. [1] M. D. Hoffman and A. Gelman, The No-U-Turn sampler, *Journal of Machine Learning Research*
   15, 2014.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import re
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.inference.conditioning.posterior import METHODS, draw_posterior
from bayescausal.inference.data.read import beyond, read_data
from bayescausal.inference.record import Fit, build_fit
from bayescausal.inference.stream.draw_stream import draw_stream
from bayescausal.inference.stream.source_data import StreamTable
from bayescausal.model.interventions.defined import naming
from bayescausal.types import BayesCausalError, DataError, FitWarning, closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm

    from bayescausal.annotations import Data
    from bayescausal.inference.data.read import Observed
    from bayescausal.inference.sampling.sample import Drawn
    from bayescausal.model.design import Design

__all__ = [
    "METHODS",
    "SAMPLERS",
    "check_count",
    "check_keywords",
    "check_options",
    "fit",
    "recorded",
    "resolve_seed",
]

#: Who runs the Markov chains, and the packages that it needs.
SAMPLERS: dict[str, tuple[str, ...]] = {
    "pymc": (),
    "nutpie": ("nutpie",),
    "numpyro": ("jax", "numpyro"),
    "blackjax": ("jax", "blackjax"),
}

#: The first version of a package that PyMC can no longer call: 1.6 took `progress_bar` away.
TOO_NEW = {"blackjax": (1, 6)}

_OURS = {
    "model": "the first argument",
    "random_seed": "seed=",
    "return_inferencedata": "nothing: a Fit always holds a DataTree",
    "var_names": "nothing: a Fit keeps what a world needs",
    "trace": "bayescausal.Fit(model, trace), for draws that are there already",
    "idata": "bayescausal.Fit(model, idata), for draws that are there already",
    "weights": "kernel and precision weights in the noise of the model, "
    'pm.Normal("y", mu, sigma / pt.sqrt(w)); survey weights are no part of a generative model: '
    "adjust for what the sampling depended on, and ask about a population= given as a table",
}

#: What ``pm.sample`` hands on to NUTS, whoever runs it.
_STEP = (
    "target_accept",
    "max_treedepth",
    "early_max_treedepth",
    "step_scale",
    "is_cov",
    "scaling",
    "potential",
    "integrator",
    "Emax",
    "adapt_step_size",
    "step_rand",
)


def fit(
    model: pm.Model | Design,
    data: Data | None = None,
    *,
    method: str = "auto",
    draws: int = 1000,
    chains: int = 4,
    seed: int | None = None,
    progressbar: bool | str = True,
    unit_dims: str | Sequence[str] | None = None,
    sampler: str | None = None,
    **options: Any,
) -> Fit:
    """Condition a model on data and draw from the posterior.

    The posterior is split into independent blocks, and each block drawn by the fastest method
    that is exact: independent draws where a conjugate form fits or coefficients can be integrated
    out of Normal equations (random slopes, curves, shrinkage); independence Metropolis-Hastings
    about the mode for a generalised linear equation (logistic, probit, Poisson, Negative Binomial,
    Gamma) with coefficients of its own, where its proposals are seen to fit, and split Hamiltonian
    Monte Carlo about a Gaussian where these have scales; NUTS on sufficient statistics
    where the equations can be compressed, NUTS on the rows otherwise, both replaced by independence
    Metropolis-Hastings from a fitted mixture where unknowns are few and that is seen to fit. An
    option of a Markov chain (``tune``, ``target_accept``) or a `sampler` asks for a chain where
    there is no closed form.
    Discrete latents of few states are summed out and Normal latents, group effects and empty cells
    integrated out where their form is known; they are drawn back from their exact conditionals.
    ``fit.methods`` says which.

    Parameters
    ----------
    model : pm.Model or Design
        A generative model (or one that is conditioned already). It is not changed.
    data : DataFrame, Mapping, Dataset or source of rows, optional
        One row per unit (pandas, polars, pyarrow), a mapping of arrays, or an xarray Dataset.
        Rows that need not fit in memory: the path of a Parquet file or a folder of them, a
        pyarrow dataset, a DuckDB relation or a Dask DataFrame; they are read once, and the model
        must come down to sums over rows.
        Variables without a column are latent; empty cells of continuous variables are imputed.
        Default: the data of the design, or what the model itself was observed to be.
    method : {"auto", "exact", "compressed", "nuts", "laplace"}
        ``"auto"`` as above. ``"exact"`` refuses a model with a block that has no closed form,
        ``"compressed"`` one with an equation that cannot be compressed (see
        :func:`bayescausal.compress`). ``"nuts"`` takes the plain path: nothing compressed, nothing
        integrated out.
        ``"laplace"`` draws from the curvature at the mode and corrects by importance weights; where
        their Pareto k-hat is above 0.7 it falls back to NUTS and says so.
    draws, chains : int
        Draws kept per chain, and chains. Independent draws are dealt into as many chains.
    seed : int, optional
        Same seed, same draws.
    progressbar : bool or str
        As in ``pm.sample``. If false, the sampler says nothing.
    unit_dims : str or sequence of str, optional
        The dims that count units, where the model leaves it open.
    sampler : {"nutpie", "pymc", "numpyro", "blackjax"}, optional
        Who runs the Markov chains. Default: nutpie, or PyMC where there are discrete unknowns.
        ``"numpyro"`` and ``"blackjax"`` run on a GPU where JAX sees one; there,
        ``nuts={"chain_method": "vectorized"}`` runs the chains side by side.
    **options
        Passed to ``pm.sample`` where a Markov chain is run: ``tune``, ``target_accept`` (default:
        the sampler's, or 0.95 where something is integrated out), ``cores``, ``nuts``, ...

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
    Fit(posterior; 3 units; 4 chains x 500 draws of m; conjugate)
    """
    options = check_options(method, draws, chains, options, sampler)
    options |= {"method": method, "draws": draws, "chains": chains, "progressbar": progressbar}
    seed = resolve_seed(seed)
    observed = read_data(model, data, unit_dims, passes=True)
    if observed.table is None:
        raise DataError(
            "There is nothing to condition on.",
            expected="data=, or a model with observed variables.",
            remedy="For draws from the prior use bayescausal.prior.",
        )
    start = time.perf_counter()
    if isinstance(observed.table, StreamTable):
        observed, drawn = draw_stream(observed, seed=seed, **options)
    else:
        structure, conformed = observed.structure, observed.conformed
        with naming(structure, conformed.columns):
            drawn = draw_posterior(structure, conformed, seed=seed, **options)
    return recorded(observed, drawn, seed, start)


def recorded(
    observed: Observed, drawn: Drawn, seed: int, start: float, notes: Sequence[str] = ()
) -> Fit:
    """Return the record of a posterior, its draws checked; warn where they are in trouble.

    Drawing began at `start`, by :func:`time.perf_counter`.
    """
    seconds = round(time.perf_counter() - start, 3)
    posterior = drawn.groups["posterior"].assign_attrs(fitting_time=seconds)
    fit = build_fit(
        **observed._asdict(),
        groups={**drawn.groups, "posterior": posterior},
        kind="posterior",
        seed=seed,
        methods=drawn.methods,
        notes=(*beyond(observed.structure), *notes, *drawn.notes),
    )
    if fit.diagnostics.severe:
        warnings.warn(" ".join(fit.diagnostics.messages), FitWarning, stacklevel=3)
    return fit


def check_options(
    method: str,
    draws: int,
    chains: int,
    options: Mapping[str, Any],
    sampler: str | None = None,
) -> dict[str, Any]:
    """Refuse what there is not, counts below one, and options that are ours to set.

    Returned are the options for ``pm.sample``.
    """
    if method not in METHODS:
        raise BayesCausalError(
            f"method={method!r} is not known.",
            expected=f"one of {', '.join(map(repr, METHODS))}.",
            names=closest(str(method), METHODS)[:1],
        )
    check_count("draws", draws)
    check_count("chains", chains)
    check_keywords(options)
    chosen = options.get("nuts_sampler", sampler)
    if chosen is None:
        return dict(options)
    if sampler is not None and chosen != sampler:
        raise BayesCausalError(
            f"sampler={sampler!r} and nuts_sampler={chosen!r} are the same option.",
            expected="One of them.",
        )
    if chosen not in SAMPLERS:
        raise BayesCausalError(
            f"sampler={chosen!r} is not known.",
            expected=f"one of {', '.join(map(repr, SAMPLERS))}.",
            names=closest(str(chosen), SAMPLERS)[:1],
        )
    lost = [p for p in SAMPLERS[chosen] if importlib.util.find_spec(p) is None]
    if lost:
        bounds = [p if p not in TOO_NEW else _bounded(p) for p in SAMPLERS[chosen]]
        extra = "bayescausal[gpu]" if chosen == "numpyro" else "' '".join(bounds)
        raise BayesCausalError(
            f"sampler={chosen!r} needs {' and '.join(lost)}, which is not installed.",
            remedy=f"Install it: pip install '{extra}', or take sampler='nutpie'.",
        )
    for package in SAMPLERS[chosen]:
        version = importlib.metadata.version(package) if package in TOO_NEW else ""
        below = TOO_NEW.get(package, ())
        if version and tuple(int(n) for n in re.findall(r"\d+", version)[: len(below)]) >= below:
            bound = _bounded(package)
            raise BayesCausalError(
                f"sampler={chosen!r} does not work with {package} {version}: PyMC calls it by an "
                "interface that it no longer has.",
                expected=f"{bound}.",
                remedy=f"Install it: pip install '{bound}', or take sampler='numpyro' or 'nutpie'.",
            )
    return {**options, "nuts_sampler": chosen}


def check_count(name: str, value: object) -> None:
    """Refuse a number of draws or chains that is no integer, or below one."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise BayesCausalError(f"{name}={value!r}.", expected="An integer of 1 or more.")


def _bounded(package: str) -> str:
    """Return a package with the bound on its version, as pip reads it."""
    return f"{package}<{'.'.join(map(str, TOO_NEW[package]))}"


def check_keywords(options: Mapping[str, Any], *, own: Sequence[str] = ()) -> None:
    """Refuse keywords that neither fit, nor the sampler, nor the caller itself (`own`) knows."""
    import pymc as pm

    known = {n for n in inspect.signature(pm.sample).parameters if n not in ("kwargs", "model")}
    steps = {m.name for m in pm.step_methods.STEP_METHODS}
    for name in options:
        if name in _OURS and name not in own:
            raise BayesCausalError(f"fit does not take {name}=.", expected=f"{_OURS[name]}.")
        if name not in {*known, *steps, *_STEP, *own}:
            ours = (*inspect.signature(fit).parameters, *own, *known, *_STEP)
            raise BayesCausalError(
                f"{name}= is no option of fit or of the sampler.",
                expected="an option of bayescausal.fit or pm.sample, such as tune or "
                "target_accept; those of one sampler go into nuts={...}.",
                names=[n for n in closest(name, ours) if n not in ("options", "kwargs")][:1],
            )


def resolve_seed(seed: int | None) -> int:
    """Return the seed, or a fresh one that can be kept; refuse what is no integer from 0."""
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise BayesCausalError(f"seed={seed!r} is no seed.", expected="An integer from 0, or None.")
    return int(seed)
