r"""How much of an answer is the prior's?

Two ways to ask. **Power-scaling** [1]_ raises the prior, or the likelihood, to a power
:math:`\alpha` near one,

.. math:: p_\alpha(\theta \mid y) \propto p(\theta)^{\alpha}\, p(y \mid \theta),

and looks at how far the posterior of the effect moves. No new fit is needed: the draws are
reweighted by :math:`p(\theta)^{\alpha - 1}`, with Pareto-smoothed weights. The *sensitivity* is the
rate at which the distance between the two posteriors (a cumulative Jensen-Shannon distance) grows
with :math:`|\log_2 \alpha|`; above 0.05 it is worth a look:

==========  ===========  ==================================================================
prior       likelihood   meaning
==========  ===========  ==================================================================
low         high         the data speak
high        high         prior and data pull against each other, or data are few
high        low          the prior speaks, the data say little
low         low          neither: weak data, and a prior that does not care
==========  ===========  ==================================================================

**Alternatives** are priors with names that somebody would defend: the model is fitted again under
each. That also reaches priors that are far away, where weights would fail.

*When it fails.* Weights whose Pareto shape is above 0.7 are not to be trusted; the row says so. A
conclusion that no prior moves can still be wrong: priors are not the only assumption.

References
----------
.. [1] N. Kallioinen, T. Paananen, P.-C. Bürkner and A. Vehtari, "Detecting and diagnosing prior and
   likelihood sensitivity with power-scaling", Statistics and Computing 34, 57, 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.distributions.shape_utils import change_dist_size
from pymc.distributions.transforms import _default_transform
from pymc.model.fgraph import model_free_rv
from pymc.pytensorf import toposort_replace
from pymc.util import get_transformed_name
from pytensor.tensor.random.op import RandomVariable
from scipy import special

from bayescausal.draws.check import Check
from bayescausal.draws.intervals import check_prob
from bayescausal.effects.estimand import Estimand
from bayescausal.effects.estimate import answer, estimate
from bayescausal.effects.verdict import _data
from bayescausal.inference.fit import fit as fit_model
from bayescausal.inference.fit import resolve_seed
from bayescausal.model.rebuild import close, open_model
from bayescausal.model.structure import structure_of
from bayescausal.model.support import is_discrete
from bayescausal.sensitivity.densities import log_densities
from bayescausal.types import (
    EstimandError,
    FitMismatchError,
    ParameterError,
    closest,
)

if TYPE_CHECKING:
    from bayescausal.effects.effect import Effect
    from bayescausal.inference.record import Fit

__all__ = ["THRESHOLD", "prior_sensitivity", "with_priors"]

#: Sensitivity from which a component is worth a look.
THRESHOLD = 0.05
#: Shift of the posterior mean, in posterior sds, from which an alternative is worth a look.
SHIFT = 0.5
#: Powers for the rate of change, and those shown in the table.
_NEAR = 1.01
_SHOWN = (0.8, 1.25)
_K = 0.7


def prior_sensitivity(
    fit: Fit,
    estimand: Estimand,
    *,
    alternatives: Mapping[str, Any] | None = None,
    parameters: bool = True,
    prob: float = 0.94,
    draws: int | None = None,
    chains: int | None = None,
    seed: int | None = None,
    **options: Any,
) -> Check:
    """Look at how much an answer depends on the priors of the parameters.

    Parameters
    ----------
    fit : Fit
        A posterior.
    estimand : Estimand
        A question with one number as its answer.
    alternatives : mapping, optional
        Named priors to fit again under: ``{"wide": {"b": pm.Normal.dist(0, 10)}}``, or a model
        with the same variables in place of the inner mapping.
    parameters : bool, default True
        Scale the prior of each parameter by itself, too.
    prob : float, default 0.94
        Of the highest-density intervals.
    draws, chains : int, optional
        Of the fits under alternatives. Default: those of the fit.
    seed : int, optional
        Default: that of the fit.
    **options
        Passed to :func:`bayescausal.fit` for the alternatives.

    Returns
    -------
    Check
        Its table has a row for each way to ask: ``mean``, ``sd``, ``lower``, ``upper``, ``shift``
        (of the mean, in posterior sds) and, for power-scaling, ``sensitivity`` and ``pareto_k``.
        Fails where a named alternative turns the conclusion; warns where the prior has a say.

    Raises
    ------
    FitMismatchError
        If the fit is no posterior.
    EstimandError
        If the answer has several cells.
    ParameterError
        If an alternative names what is no parameter, or gives no distribution.

    References
    ----------
    N. Kallioinen, T. Paananen, P.-C. Bürkner and A. Vehtari, "Detecting and diagnosing prior and
    likelihood sensitivity with power-scaling", Statistics and Computing 34, 57, 2024.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     b = pm.Normal("b", 0, 2)
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> data = bc.simulate(model, {"b": 1.0}, units=200, seed=1)
    >>> fit = bc.fit(model, data, seed=2, progressbar=False)
    >>> wide = {"wide": {"b": pm.Normal.dist(0, 20)}}
    >>> bc.prior_sensitivity(fit, bc.ATE("x", "y"), alternatives=wide).verdict
    'pass'
    """
    if fit.kind != "posterior":
        raise FitMismatchError(f"Found a fit of kind {fit.kind!r}.", expected="a posterior.")
    if not isinstance(estimand, Estimand):
        raise EstimandError(
            f"Found {estimand!r} where a question is needed.",
            expected="an estimand, such as ATE('x', 'y').",
        )
    check_prob(prob)
    models = _alternatives(fit, alternatives)
    seed = fit.seed if seed is None else resolve_seed(seed)
    effect = estimate(fit, estimand, seed=seed)
    if effect.dims:
        raise EstimandError(
            f"{effect.label} has several cells.", expected="one number: no by=, no curve."
        )
    values = effect.draws.values.ravel()
    rows = {"as fitted": _row(values, np.full(values.size, 1 / values.size), prob)}
    rows |= _scaled(fit, values, parameters, prob)
    sizes = fit.draws["posterior"].sizes
    for name, model in models.items():
        again = fit_model(
            model,
            _data(fit),
            draws=int(sizes["draw"]) if draws is None else draws,
            chains=int(sizes["chain"]) if chains is None else chains,
            seed=seed,
            unit_dims=fit.structure.unit_dims,
            **{"progressbar": False, **options},
        )
        other = answer(again, estimand, seed).draws.values.ravel()
        rows[f"refit: {name}"] = _row(other, np.full(other.size, 1 / other.size), prob)
    table = pd.DataFrame.from_dict(rows, orient="index")
    table["shift"] = (table["mean"] - table.loc["as fitted", "mean"]) / table.loc["as fitted", "sd"]
    columns = ["mean", "sd", "lower", "upper", "shift", "sensitivity", "pareto_k"]
    table = table.reindex(columns=columns)
    return _check(table, effect, list(models))


def with_priors(model: pm.Model, priors: Mapping[str, Any]) -> pm.Model:
    """Return the model with other priors of some parameters.

    Parameters
    ----------
    model : pm.Model
        Not changed.
    priors : mapping of str to distribution
        Made by ``.dist``; a distribution of one number is used for every entry of an array.

    Returns
    -------
    pm.Model
        Distinct, with the same names and dims.

    Raises
    ------
    ParameterError
        If a name is no parameter, or what it is given is no such distribution.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.sensitivity.prior_sensitivity import with_priors
    >>> with pm.Model() as model:
    ...     b = pm.Normal("b")
    >>> with_priors(model, {"b": pm.Laplace.dist(0, 1)})["b"].owner.op.name
    'laplace'
    """
    fgraph, memo, initvals = open_model(model)
    todo = []
    for name, rv in priors.items():
        marker = memo[model[name]]
        old, op = marker.owner.inputs[0], marker.owner.op
        made = getattr(getattr(rv, "owner", None), "op", None)
        if not isinstance(made, RandomVariable | SymbolicRandomVariable):
            raise ParameterError(
                f"The prior of {name!r} is {rv!r}.",
                expected="a distribution made by .dist, as pm.Normal.dist(0, 10).",
            )
        if is_discrete(rv) != is_discrete(old) or rv.type.ndim > old.type.ndim:
            raise ParameterError(
                f"The prior of {name!r} has another type or more axes than {name!r} has.",
                expected="a distribution of the same kind.",
            )
        shape = [fgraph._dim_lengths[d] for d in op.dims] or list(old.shape)
        new = change_dist_size(rv, tuple(shape)[: old.type.ndim - made.ndim_supp])
        transform = None if is_discrete(new) else _default_transform(new.owner.op, new)
        value = (
            new.type() if transform is None else transform.forward(new, *new.owner.inputs).type()
        )
        value.name = name if transform is None else get_transformed_name(name, transform)
        todo.append((marker, model_free_rv(new, value, transform, name, *op.dims)))
    toposort_replace(fgraph, tuple(todo), reverse=True)
    return close(fgraph, {k: v for k, v in initvals.items() if k not in priors})


# ------------------------------------------------------------------------------- private


def _alternatives(fit: Fit, given: Any) -> dict[str, pm.Model]:
    """Return a model per named alternative."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ParameterError(
            f"alternatives is a {type(given).__name__}.",
            expected='a mapping such as {"wide": {"b": pm.Normal.dist(0, 10)}}.',
        )
    models = {}
    for name, priors in given.items():
        if isinstance(priors, pm.Model):
            other = structure_of(priors, unit_dims=fit.structure.unit_dims)
            if set(other.nodes) != set(fit.structure.nodes):
                raise ParameterError(
                    f"The model of {name!r} has the variables {', '.join(other.nodes)}.",
                    expected=f"those of the fit: {', '.join(fit.structure.nodes)}.",
                )
            models[str(name)] = priors
            continue
        if not isinstance(priors, Mapping) or not priors:
            raise ParameterError(
                f"The alternative {name!r} is {priors!r}.",
                expected="a mapping from parameters to distributions, or a model.",
            )
        for parameter in priors:
            if parameter not in fit.parameters:
                raise ParameterError(
                    f"{parameter!r} in the alternative {name!r} is not a parameter.",
                    names=closest(str(parameter), fit.parameters)[:1],
                    remedy=f"Parameters: {', '.join(fit.parameters) or 'none'}.",
                )
        models[str(name)] = with_priors(fit.model, priors)
    return models


def _scaled(fit: Fit, values: np.ndarray, parameters: bool, prob: float) -> dict[str, Any]:
    """Return the rows of power-scaling."""
    found = log_densities(fit)
    parts: dict[str, np.ndarray] = {}
    if found.prior:
        parts["prior"] = np.sum(list(found.prior.values()), axis=0)
    parts["likelihood"] = found.likelihood
    if parameters and len(found.prior) > 1:
        parts |= {f"prior of {name}": term for name, term in found.prior.items()}
    rows = {}
    for name, term in parts.items():
        rate = _sensitivity(values, term)
        powers = _SHOWN if name in ("prior", "likelihood") else _SHOWN[:1]
        for power in powers:
            weights, k = _weights((power - 1) * term)
            row = _row(values, weights, prob)
            rows[f"{name} ^ {power:g}"] = {**row, "sensitivity": rate, "pareto_k": k}
    return rows


def _weights(log_ratio: np.ndarray) -> tuple[np.ndarray, float]:
    """Return Pareto-smoothed weights and the shape of their tail."""
    from arviz_stats.base import array_stats

    if np.ptp(log_ratio) < 1e-12:
        return np.full(log_ratio.size, 1 / log_ratio.size), float("-inf")
    smooth, k = array_stats.psislw(-log_ratio)  # it takes minus the log of the ratio
    return np.exp(smooth - special.logsumexp(smooth)), float(k)


def _sensitivity(values: np.ndarray, term: np.ndarray) -> float:
    """Return the rate of change of the posterior with the power, by central differences."""
    total = 0.0
    for power in (1 / _NEAR, _NEAR):
        weights, _ = _weights((power - 1) * term)
        total += max(_distance(values, weights), _distance(-values, weights))
    return total / (2 * np.log2(_NEAR))


def _distance(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the cumulative Jensen-Shannon distance of weighted draws from unweighted ones."""
    order = np.argsort(values)
    x, w = values[order], weights[order]
    width = np.diff(x)
    p = (np.arange(len(x)) + 1.0)[:-1] / len(x)
    q = np.minimum(np.cumsum(w)[:-1], 1.0)
    half = 0.5 * (p + q)
    with np.errstate(divide="ignore", invalid="ignore"):
        pq = np.sum(width * np.where(p > 0, p * np.log2(p / half), 0.0))
        qp = np.sum(width * np.where(q > 0, q * np.log2(q / half), 0.0))
    p_area, q_area = np.sum(width * p), np.sum(width * q)
    bound = p_area + q_area
    gap = 0.5 / np.log(2) * (q_area - p_area)
    squared = ((pq + gap) + (qp - gap)) / bound if bound > 0 else 0.0
    return float(np.sqrt(max(squared, 0.0)))


def _row(values: np.ndarray, weights: np.ndarray, prob: float) -> dict[str, float]:
    """Return mean, sd and the narrowest interval of weighted draws."""
    mean = float(weights @ values)
    order = np.argsort(values)
    x, total = values[order], np.cumsum(weights[order])
    reach = np.searchsorted(total, (total - weights[order]) + prob - 1e-12)
    inside = reach < len(x)
    start = np.flatnonzero(inside)
    best = start[np.argmin(x[reach[inside]] - x[start])]
    return {
        "mean": mean,
        "sd": float(np.sqrt(max(weights @ (values - mean) ** 2, 0.0))),
        "lower": float(x[best]),
        "upper": float(x[reach[best]]),
    }


def _check(table: pd.DataFrame, effect: Effect, refits: list[str]) -> Check:
    """Return the verdict and its words."""
    null = effect.null
    has_prior = "prior ^ 0.8" in table.index
    prior = float(table.loc["prior ^ 0.8", "sensitivity"]) if has_prior else 0.0
    data = float(table.loc["likelihood ^ 0.8", "sensitivity"])
    named = table.loc[[f"refit: {name}" for name in refits]]
    turned = (
        []
        if null is None
        else [
            str(i).removeprefix("refit: ")
            for i, row in named.iterrows()
            if _side(row, null) != _side(table.loc["as fitted"], null)
        ]
    )
    moved = [
        str(i).removeprefix("refit: ") for i, row in named.iterrows() if abs(row["shift"]) > SHIFT
    ]
    finding = f"Sensitivity of {effect.label} to the prior {prior:.2f}, to the data {data:.2f}: "
    finding += _diagnosis(prior, data)
    single = table[table.index.str.startswith("prior of ")]
    if prior > THRESHOLD and len(single):
        most = str(single["sensitivity"].idxmax()).removeprefix("prior of ").partition(" ^")[0]
        finding += f" Most of it comes from the prior of {most}."
    if len(named):
        worst = named["shift"].abs().idxmax()
        finding += (
            f" Of the named alternatives {str(worst).removeprefix('refit: ')} moves the mean most, "
            f"by {named.loc[worst, 'shift']:+.2f} posterior sds."
        )
    if turned:
        finding += f" The conclusion is another one under {', '.join(turned)}."
    verdict = "fail" if turned else "warn" if prior > THRESHOLD or moved else "pass"
    notes = []
    bad = table.index[table["pareto_k"] > _K]
    if len(bad):
        notes.append(f"The weights of {', '.join(bad)} are not to be trusted (Pareto k above 0.7).")
    return Check(
        name="prior sensitivity",
        verdict=verdict,
        finding=finding,
        meaning="Passing means that stronger, weaker and the named other priors leave the answer "
        "where it is; failing, that who holds another prior will hold another conclusion: say "
        "which prior is meant, and why.",
        table=table,
        notes=tuple(notes),
        values={"effect": effect.draws},
        picture=partial(_picture, table, null, effect.label),
    )


def _side(row: Any, null: float) -> int:
    """Return on which side of no effect an interval lies; 0 where it holds it."""
    return int(row["lower"] > null) - int(row["upper"] < null)


def _diagnosis(prior: float, data: float) -> str:
    """Return what the two sensitivities mean together."""
    if prior > THRESHOLD and data > THRESHOLD:
        return "both have a say, as when they disagree or data are few."
    if prior > THRESHOLD:
        return "the prior speaks, and the data say little."
    if data > THRESHOLD:
        return "the data speak."
    return "neither moves it much: the data are weak, and the prior does not care."


def _picture(
    table: pd.DataFrame, null: float | None, label: str, ax: Any = None, **options: Any
) -> Any:
    from bayescausal.figures.sensitivity import plot_rows

    return plot_rows(
        list(table.index),
        table["mean"],
        table["lower"],
        table["upper"],
        null=null,
        label=label,
        marked=[str(name).startswith("refit") for name in table.index],
        ax=ax,
        **options,
    )
