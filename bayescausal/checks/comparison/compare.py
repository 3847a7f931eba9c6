r"""Rival models of the same data: which predicts better, and what each answers.

Each model is scored by the expected log predictive density of a unit that was left out [1]_,

.. math:: \mathrm{elpd} = \sum_i \log p(v_i \mid v_{-i}), \qquad
   \log p(v_i \mid \theta) = \sum_{k \in K} \log p(v_{ik} \mid \mathrm{pa}_{ik}, \theta),

with K the random variables that all the models observe: the sum over a model's equations is the
joint density of these variables, so graphs that factorise it differently are compared on one
thing. The leave-one-out density is approximated by Pareto-smoothed importance sampling; a Pareto k
above its threshold says that a unit is too influential for that. *Stacking* weights [2]_ make the
mixture of the models that predicts best.

*Prediction does not pick causes.* Graphs with the same independences (a Markov equivalence class
[3]_) fit the same data equally well and give different answers. What little their scores differ by
comes from priors, equations and noise, so inside a class the weights are those stated beforehand,
equal ones by default, and only between classes they are the stacked ones. The answer is then the
mixture, with its spread between the graphs. A graph with a collider adjusted for may predict better
than the right one. The score says which equations describe the data; the arrows are argued
elsewhere.

*When it fails.* Latent variables of a unit enter with their posterior draws, which have seen the
unit: the score is then conditional, and its Pareto k are high. Units that depend on
each other cannot be left out one by one; the score of such models is no prediction.

References
----------
.. [1] A. Vehtari, A. Gelman and J. Gabry, "Practical Bayesian model evaluation using
   leave-one-out cross-validation and WAIC", Statistics and Computing 27 (2017), 1413-1432.
.. [2] Y. Yao, A. Vehtari, D. Simpson and A. Gelman, "Using stacking to average Bayesian predictive
   distributions", Bayesian Analysis 13 (2018), 917-1007.
.. [3] T. Verma and J. Pearl, "Equivalence and synthesis of causal models", UAI 1990.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayescausal.checks.comparison.comparison import ModelComparison
from bayescausal.checks.comparison.equivalence_classes import (
    divided,
    equivalence_classes,
    equivalent_pairs,
    stated_weights,
)
from bayescausal.checks.comparison.same_data import (
    common_variables,
    refuse_other_data,
    refuse_unlike_scores,
    unit_densities,
)
from bayescausal.effects.as_estimand import as_estimand
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimate import estimate
from bayescausal.inference.given import instead_of_fit
from bayescausal.inference.record import Fit
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arviz_stats.utils import ELPDData

    from bayescausal.annotations import Array
    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["compare"]

STACKED = "A mixture of models by stacking weights: what they predict, not what they cause."
MIXED = (
    "A mixture of models: between graphs that data can tell apart by stacking weights, between "
    "those that no data tell apart by weights stated beforehand."
)


def compare(
    fits: Mapping[str, Fit] | Sequence[Fit],
    estimand: Estimand | Effect | None = None,
    *,
    variables: str | Sequence[str] | None = None,
    weights: Mapping[str, float] | None = None,
    draws: int = 2000,
    seed: int | None = None,
) -> ModelComparison:
    """Compare rival models by prediction, and by what they answer.

    Parameters
    ----------
    fits : mapping of str to Fit, or sequence of Fit
        Posteriors of two models or more, fitted to the same units.
    estimand : Estimand, optional
        A question with one number as its answer: it is answered under each model, and under their
        mixture.
    variables : str or sequence of str, optional
        The random variables whose prediction is scored. Default: all that every model observes.
    weights : mapping of str to float, optional
        How much you believed in each model before seeing the data. It divides the weight of models
        whose graphs no data tell apart. Default: equal for each graph.
    draws : int
        At most so many posterior draws of each model enter the score.
    seed : int, optional
        Of the noise of the answers, and of the mixture. Default: that of the first fit.

    Returns
    -------
    ModelComparison
        ``summary()`` has a row per model, best first: ``elpd``, ``se``, ``elpd_diff`` and ``dse``
        (from the best), ``p_loo``, ``weight`` (between classes of graphs that data can tell apart
        by stacking, inside one as stated beforehand), ``k_max`` (the largest Pareto k), ``k_bad``
        (how many are above the threshold), then the effect under each; the last row is the mixture.

    Raises
    ------
    DataError
        If the fits did not see the same data, have no variable in common, one predicts given
        what in another one is a consequence that is not scored, or one gives densities where
        another one gives probabilities.
    EstimandError
        If there are fewer than two fits, the question has several numbers, or `weights` are not
        a positive number for each model.

    References
    ----------
    A. Vehtari, A. Gelman and J. Gabry, "Practical Bayesian model evaluation using leave-one-out
    cross-validation and WAIC", Statistics and Computing 27 (2017), 1413-1432.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> def line(slope):
    ...     with pm.Model(coords={"unit": [0]}) as model:
    ...         x = pm.Normal("x", 0, 1, dims="unit")
    ...         b = pm.Normal("b", 0, 1)
    ...         y = pm.Normal("y", b * x if slope else b, 1, dims="unit")
    ...     return model
    >>> data = bc.simulate(line(True), {"b": 1.0}, units=100, seed=1)
    >>> fits = {name: bc.fit(line(name == "slope"), data, seed=1, progressbar=False)
    ...         for name in ("slope", "none")}
    >>> bc.compare(fits, bc.ATE("x", "y")).best
    'slope'
    """
    named = _named(fits)
    estimand = None if estimand is None else as_estimand(estimand)
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 2:
        raise EstimandError(f"draws={draws!r}.", expected="A whole number of 2 or more.")
    refuse_other_data(named)
    scored = common_variables(named, variables)
    refuse_unlike_scores(named, scored)
    seed = next(iter(named.values())).seed if seed is None else int(seed)
    loos = {name: _loo(fit, scored, draws) for name, fit in named.items()}
    table = _scores(loos)
    stated = stated_weights(named, weights)
    classes = equivalence_classes(named)
    table["weight"] = divided(table["weight"], classes, stated)
    effects = {} if estimand is None else _answers(named, estimand, seed)
    stacked = None
    if estimand is not None:
        stacked = _stacked(effects, table["weight"], estimand, seed, bool(classes))
    return ModelComparison(
        table=table,
        variables=tuple(scored),
        effects=effects,
        stacked=stacked,
        pareto_k=pd.DataFrame({n: np.asarray(loo.pareto_k) for n, loo in loos.items()}),
        pointwise=pd.DataFrame({n: np.asarray(loo.elpd_i) for n, loo in loos.items()}),
        threshold={n: float(loo.good_k) for n, loo in loos.items()},
        equivalent=equivalent_pairs(named),
        notes=_notes(named, scored),
        classes=tuple(tuple(itertools.chain(*graphs)) for graphs in classes),
        stated=stated is not None,
    )


# ------------------------------------------------------------------------------- private


def _named(fits: object) -> dict[str, Fit]:
    if isinstance(fits, Mapping):
        named = {str(k): v for k, v in fits.items()}
    elif isinstance(fits, Fit) or not hasattr(fits, "__iter__"):
        named = {"model 1": fits}
    else:
        named = {f"model {i}": fit for i, fit in enumerate(fits, start=1)}
    for name, fit in named.items():
        if not isinstance(fit, Fit):
            raise EstimandError(
                f"{name!r} is {type(fit).__name__}, not a fit.",
                expected="Fits, by name.",
                remedy=instead_of_fit(fit)[1],
            )
        if fit.kind != "posterior" or fit.data is None:
            raise EstimandError(f"{name!r} is a {fit.kind}.", expected="Posteriors with data.")
    if len(named) < 2:
        raise EstimandError(
            f"{len(named)} fit to compare.", expected="Two or more, such as {'a': fit, 'b': other}."
        )
    return named


def _loo(fit: Fit, scored: Sequence[str], draws: int) -> ELPDData:
    """Return the leave-one-out score of a model, unit by unit."""
    import arviz as az

    density, posterior = unit_densities(fit, scored, draws)
    # Nothing was learned of a unit whose density has no unknowns: to leave it out changes nothing.
    known = np.ptp(density, axis=(0, 1)) == 0.0

    def score(units: slice | Array, **weights: xr.DataArray) -> ELPDData:
        held = xr.Dataset({"units": (("chain", "draw", "unit"), density[:, :, units])})
        tree = xr.DataTree.from_dict({"posterior": posterior, "log_likelihood": held})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # high Pareto k are shown in the table
            return az.loo(tree, var_name="units", pointwise=True, **weights)

    if not known.any():
        return score(slice(None))
    weights = np.full_like(density, -np.log(density[..., 0].size))
    k = np.zeros(len(known))
    if not known.all():
        others = score(~known)
        weights[:, :, ~known] = others.log_weights.transpose("chain", "draw", "unit")
        k[~known] = others.pareto_k
    return score(
        slice(None),
        log_weights=xr.DataArray(weights, dims=("chain", "draw", "unit")),
        pareto_k=xr.DataArray(k, dims="unit"),
    )


def _scores(loos: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per model, best first."""
    import arviz as az

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = az.compare(dict(loos), method="stacking", round_to="none")
    table = pd.DataFrame(index=found.index)
    table.index.name = "model"
    for new, old in (
        ("elpd", "elpd"),
        ("se", "se"),
        ("elpd_diff", "elpd_diff"),
        ("dse", "dse"),
        ("p_loo", "p"),
        ("weight", "weight"),
    ):
        table[new] = found[old].astype(float)
    k = {name: np.asarray(loo.pareto_k) for name, loo in loos.items()}
    table["k_max"] = [float(np.max(k[n])) for n in table.index]
    table["k_bad"] = [int((k[n] > loos[n].good_k).sum()) for n in table.index]
    return table


def _answers(named: Mapping[str, Fit], estimand: Estimand, seed: int) -> dict[str, Effect]:
    effects = {}
    for name, fit in named.items():
        effect = estimate(fit, estimand, seed=seed)
        if effect.dims:
            raise EstimandError(
                f"{estimand.label()} has several numbers ({', '.join(effect.dims)}).",
                expected="A question with one number as its answer.",
            )
        effects[name] = effect
    return effects


def _stacked(
    effects: Mapping[str, Effect],
    weights: pd.Series,
    estimand: Estimand,
    seed: int,
    undecided: bool,
) -> Effect:
    """Return draws of the mixture: from each model as many as its weight says."""
    flat = {name: effect.draws.values.reshape(-1) for name, effect in effects.items()}
    total = max(len(d) for d in flat.values())
    share = np.array([max(float(weights[n]), 0.0) for n in flat])
    exact = share / share.sum() * total
    counts = np.floor(exact).astype(int)
    for at in np.argsort(-(exact - counts), kind="stable")[: total - counts.sum()]:
        counts[at] += 1
    rng = np.random.default_rng(seed)
    parts = [
        rng.choice(d, count, replace=count > len(d))
        for d, count in zip(flat.values(), counts, strict=True)
    ]
    first = next(iter(effects.values()))
    return Effect(
        rng.permutation(np.concatenate(parts)),
        estimand=estimand,
        population=first.population,
        notes=(MIXED if undecided else STACKED,),
        name=f"{estimand.label()}, {'mixture' if undecided else 'stacked'}",
    )


def _notes(named: Mapping[str, Fit], scored: Sequence[str]) -> tuple[str, ...]:
    notes = []
    for name, fit in named.items():
        latent = [n for n in fit.latent if n in fit.structure.graph]
        above = fit.structure.ancestors(scored)
        latent = [n for n in latent if n in above]
        if latent:
            notes.append(
                f"{name}: predicts given {', '.join(latent)}, latent, which was fitted to the "
                "same unit: the score is optimistic."
            )
        touching = fit.structure.mixes(scored)
        if touching:
            notes.append(
                f"{name}: units depend on each other, so that leaving one out is no prediction of "
                "it."
            )
        left_out = [n for n in fit.observed if n not in scored]
        if left_out:
            notes.append(f"{name}: {', '.join(left_out)} not scored.")
    return tuple(notes)
