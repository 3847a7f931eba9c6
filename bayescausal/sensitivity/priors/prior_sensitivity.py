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

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.draws.check import Check
from bayescausal.draws.intervals import check_prob
from bayescausal.effects.as_estimand import as_estimand
from bayescausal.effects.estimate import answer, estimate, labelled
from bayescausal.figures.sensitivity import plot_rows
from bayescausal.inference.fit import check_keywords, resolve_seed
from bayescausal.inference.fit import fit as fit_model
from bayescausal.inference.given import as_fit
from bayescausal.sensitivity.priors.alternatives import alternatives_of
from bayescausal.sensitivity.priors.densities import log_densities
from bayescausal.sensitivity.priors.power_scaling import sensitivity, smooth_weights, weighted_row
from bayescausal.types import EstimandError, FitMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.figures.style import Axes
    from bayescausal.inference.record import Fit

__all__ = ["THRESHOLD", "prior_sensitivity"]

#: Sensitivity from which a component is worth a look.
THRESHOLD = 0.05
#: Shift of the posterior mean, in posterior sds, from which an alternative is worth a look.
SHIFT = 0.5
#: Powers that the table shows.
_SHOWN = (0.8, 1.25)
_K = 0.7


def prior_sensitivity(
    fit: Fit,
    estimand: Estimand | Effect,
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
    fit, estimand = as_fit(fit, "prior_sensitivity"), as_estimand(estimand)
    if fit.kind != "posterior":
        raise FitMismatchError(f"Found a fit of kind {fit.kind!r}.", expected="a posterior.")
    check_prob(prob)
    check_keywords(options, own=["method", "sampler"])
    models = alternatives_of(fit, alternatives)
    seed = fit.seed if seed is None else resolve_seed(seed)
    effect = estimate(fit, estimand, seed=seed)
    if effect.dims:
        raise EstimandError(
            f"{effect.label} has several cells.", expected="one number: no by=, no curve."
        )
    values = effect.draws.values.ravel()
    rows = {"as fitted": weighted_row(values, np.full(values.size, 1 / values.size), prob)}
    rows |= _scaled(fit, values, parameters, prob)
    sizes = fit.draws["posterior"].sizes
    for name, model in models.items():
        again = fit_model(
            model,
            labelled(fit),
            draws=int(sizes["draw"]) if draws is None else draws,
            chains=int(sizes["chain"]) if chains is None else chains,
            seed=seed,
            unit_dims=fit.structure.unit_dims,
            **{"progressbar": False, **options},
        )
        other = answer(again, estimand, seed).draws.values.ravel()
        rows[f"refit: {name}"] = weighted_row(other, np.full(other.size, 1 / other.size), prob)
    table: pd.DataFrame = pd.DataFrame.from_dict(rows, orient="index")
    table["shift"] = (table["mean"] - rows["as fitted"]["mean"]) / rows["as fitted"]["sd"]
    columns = ["mean", "sd", "lower", "upper", "shift", "sensitivity", "pareto_k"]
    table = table.reindex(columns=columns)
    return _check(table, effect, list(models))


# ------------------------------------------------------------------------------- private


def _scaled(fit: Fit, values: np.ndarray, parameters: bool, prob: float) -> dict[str, Any]:
    """Return the rows of power-scaling."""
    found = log_densities(fit)
    parts: dict[str, np.ndarray] = {}
    if found.prior:
        parts["prior"] = np.sum(list(found.prior.values()), axis=0)
    parts["likelihood"] = found.likelihood
    if parameters and len(found.prior) > 1:
        parts |= {f"prior of {name}": term for name, term in found.prior.items()}
    sizes = fit.posterior.sizes
    shape = (sizes["chain"], sizes["draw"])
    rows = {}
    for name, term in parts.items():
        rate = sensitivity(values.reshape(shape), term.reshape(shape))
        powers = _SHOWN if name in ("prior", "likelihood") else _SHOWN[:1]
        for power in powers:
            weights, k = smooth_weights((power - 1) * term)
            row = weighted_row(values, weights, prob)
            rows[f"{name} ^ {power:g}"] = {**row, "sensitivity": rate, "pareto_k": k}
    return rows


def _check(table: pd.DataFrame, effect: Effect, refits: list[str]) -> Check:
    """Return the verdict and its words."""
    null, rows = effect.null, table.to_dict("index")
    prior = float(rows.get("prior ^ 0.8", {"sensitivity": 0.0})["sensitivity"])
    data = float(rows["likelihood ^ 0.8"]["sensitivity"])
    named = {name: rows[f"refit: {name}"] for name in refits}
    turned = [
        name
        for name, row in named.items()
        if null is not None and _side(row, null) != _side(rows["as fitted"], null)
    ]
    moved = [name for name, row in named.items() if abs(row["shift"]) > SHIFT]
    finding = f"Sensitivity of {effect.label} to the prior {prior:.2f}, to the data {data:.2f}: "
    finding += _diagnosis(prior, data)
    single = table[table.index.str.startswith("prior of ")]
    if prior > THRESHOLD and len(single):
        most = str(single["sensitivity"].idxmax()).removeprefix("prior of ")
        most = most.removesuffix(f" ^ {_SHOWN[0]:g}")
        finding += f" Most of it comes from the prior of {most}."
    if named:
        worst = max(named, key=lambda name: abs(named[name]["shift"]))
        finding += (
            f" Of the named alternatives {worst} moves the mean most, by "
            f"{named[worst]['shift']:+.2f} posterior sds."
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


def _side(row: Mapping[Any, float], null: float) -> int:
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
    table: pd.DataFrame, null: float | None, label: str, ax: Axes | None = None, **options: Any
) -> Axes:
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
