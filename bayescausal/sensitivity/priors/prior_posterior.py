r"""The same question before and after the data: what was learned.

An effect has a prior, because the parameters have one: the answer of the model before it saw a
unit. Beside the posterior (and the truth, where a simulation knows it) it shows what the data did:

.. math:: \text{contraction} = 1 - \frac{Var(\text{effect} \mid \text{data})}{Var(\text{effect})},
   \qquad z = \frac{E(\text{effect} \mid \text{data}) - \text{truth}}{sd(\text{effect} \mid
   \text{data})}.

A contraction near one says that the data speak, near zero that the prior still does; below zero,
that data made the effect less certain, which happens when prior and data disagree. A large
:math:`|z|` at high contraction is a posterior that is sure of the wrong thing [1]_.

*When it misleads.* A high contraction says that the data determined this number, not that the
number is the effect: a confounded contrast contracts just as well.

References
----------
.. [1] M. Betancourt, "Towards a principled Bayesian workflow", 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np
import pandas as pd

from bayescausal.draws.digits import numbers, rows_text, significant
from bayescausal.effects.as_estimand import as_estimand
from bayescausal.effects.estimate import answer, estimate, labelled
from bayescausal.figures.prior_posterior import plot_prior_posterior
from bayescausal.inference.fit import resolve_seed
from bayescausal.inference.given import as_fit
from bayescausal.inference.sampling.prior_and_truth import prior as draw_prior
from bayescausal.inference.sampling.prior_and_truth import truth as known_truth
from bayescausal.types import EstimandError, FitMismatchError

if TYPE_CHECKING:
    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.figures.style import Axes
    from bayescausal.inference.record import Fit

__all__ = ["PriorPosterior", "prior_posterior"]


@dataclass(frozen=True, eq=False, repr=False)
class PriorPosterior:
    """One question, answered by the prior and by the posterior.

    Attributes
    ----------
    prior, posterior : Effect
        The two answers.
    truth : float or None
        The right answer, where it is known.
    contraction : float
        The share of the prior variance that the data took away.
    """

    prior: Effect
    posterior: Effect
    truth: float | None
    contraction: float

    @property
    def z(self) -> float | None:
        """Posterior sds between the posterior mean and the truth; None without a truth."""
        if self.truth is None:
            return None
        return float((self.posterior.mean() - self.truth) / self.posterior.sd())

    def summary(self, prob: float = 0.94) -> pd.DataFrame:
        """Return a table with a row for prior, posterior and truth.

        Parameters
        ----------
        prob : float
            Of the highest-density intervals.

        Returns
        -------
        DataFrame
        """
        rows = [e.summary(prob).iloc[:, :4] for e in (self.prior, self.posterior)]
        table = pd.concat(rows)
        table.index = pd.Index(["prior", "posterior"])
        if self.truth is not None:
            table.loc["truth", "mean"] = self.truth
        return table

    def sentence(self) -> str:
        """Return what was learned, in words."""
        c = self.contraction
        if c < 0:
            told = (
                "The data left this effect less certain than the prior had it: prior and data "
                "disagree, or the model ties it to something that they disagree on."
            )
        elif self.posterior.identification is not None and not self.posterior.identification:
            told = (
                f"The data took away {_share(c)} of the prior variance. They cannot tell the rest, "
                f"however many they are ({self.posterior.identification.status}): where the "
                "posterior lies is also the work of the prior and of the model's form."
            )
        else:
            much = "nearly all" if c > 0.9 else "most" if c > 0.5 else "little"
            told = (
                f"The data took away {_share(c)} of the prior variance: {much} of what is known of "
                "it comes from them."
            )
        [prior] = numbers(float(self.prior.sd()), float(self.prior.mean()))
        text = f"{self.posterior!r} (prior mean {prior}). {told}"
        if self.truth is None:
            return text
        z = abs(self.z or 0.0)
        near = "near" if z < 2 else "far from"
        true = significant(self.truth)
        return f"{text} The truth, {true}, is {z:.1f} posterior sds away: {near} it."

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw prior, posterior and truth in one picture.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw. Default: a new figure.
        **options
            ``prob``: of the intervals.

        Returns
        -------
        matplotlib Axes
        """
        return plot_prior_posterior(
            self.prior.draws.values.ravel(),
            self.posterior.draws.values.ravel(),
            truth=self.truth,
            null=self.posterior.null,
            label=self.posterior.label,
            contraction=self.contraction,
            ax=ax,
            **options,
        )

    def __repr__(self) -> str:
        return f"PriorPosterior({self.sentence()})"

    def _repr_html_(self) -> str:
        table = rows_text(self.summary(), self.posterior.null).to_html()
        return f"<p>{escape(self.sentence())}</p>{table}"


def prior_posterior(
    fit: Fit,
    estimand: Estimand | Effect,
    *,
    truth: float | Effect | Mapping[str, Any] | None = None,
    draws: int = 1000,
    seed: int | None = None,
) -> PriorPosterior:
    """Ask a question of the prior and of the posterior, and say what was learned.

    Parameters
    ----------
    fit : Fit
        A posterior.
    estimand : Estimand
        A question with one number as its answer.
    truth : float, Effect or mapping, optional
        The right answer; or the true parameters, from which it is computed for the same units.
    draws : int, default 1000
        Of the prior.
    seed : int, optional
        Default: that of the fit.

    Returns
    -------
    PriorPosterior

    Raises
    ------
    FitMismatchError
        If the fit is no posterior.
    EstimandError
        If the answer has several cells, or the truth is not a number.
    ModelError
        If a prior is improper.

    References
    ----------
    M. Betancourt, "Towards a principled Bayesian workflow", 2020.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     b = pm.Normal("b", 0, 2)
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> data = bc.simulate(model, {"b": 1.0}, units=200, seed=1)
    >>> fit = bc.fit(model, data, seed=2, progressbar=False)
    >>> bc.prior_posterior(fit, bc.ATE("x", "y"), truth={"b": 1.0}).contraction > 0.99
    True
    """
    fit, estimand = as_fit(fit, "prior_posterior"), as_estimand(estimand)
    if fit.kind != "posterior":
        raise FitMismatchError(
            f"Found a fit of kind {fit.kind!r}.", expected="a posterior; the prior is drawn here."
        )
    seed = fit.seed if seed is None else resolve_seed(seed)
    after = estimate(fit, estimand, seed=seed)
    if after.dims:
        raise EstimandError(
            f"{after.label} has several cells.", expected="one number: no by=, no curve."
        )
    dims = fit.structure.unit_dims
    before = draw_prior(fit.model, labelled(fit), draws=draws, seed=seed, unit_dims=dims)
    prior = answer(before, estimand, seed)
    spread = float(prior.sd())
    if not spread > 0:
        raise EstimandError(
            f"{after.label} is the same in every draw of the prior: there is nothing to learn."
        )
    return PriorPosterior(
        prior=prior,
        posterior=after,
        truth=_truth(fit, estimand, truth, seed),
        contraction=float(1 - (after.sd() / spread) ** 2),
    )


def _truth(
    fit: Fit, estimand: Estimand, truth: Mapping[str, Any] | SupportsFloat | None, seed: int
) -> float | None:
    """Return the right answer as a number."""
    if truth is None:
        return None
    if isinstance(truth, Mapping):
        dims = fit.structure.unit_dims
        known = known_truth(fit.model, truth, labelled(fit), seed=seed, unit_dims=dims)
        truth = answer(known, estimand, seed)
    try:
        number = float(truth)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise EstimandError(
            f"truth={truth!r}.", expected="a number, an Effect, or a mapping of parameters."
        )
    return number


def _share(contraction: float) -> str:
    return "more than 99%" if contraction > 0.99 else f"{contraction:.0%}"
