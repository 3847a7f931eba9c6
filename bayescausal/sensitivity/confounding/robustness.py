r"""The robustness value: how much of what is unexplained a hidden confounder must explain.

**Robustness value** [1]_, for linear models. With :math:`f = |t| / \sqrt{df}` the partial Cohen's f
of the treatment with the outcome, a hidden confounder that explains a share :math:`RV_q` of the
residual variance of treatment *and* of outcome is just strong enough to reduce the effect by a
share :math:`q`:

.. math:: RV_q = \tfrac12 \Bigl(\sqrt{f_q^4 + 4 f_q^2} - f_q^2\Bigr), \qquad f_q = q f.

With ``alpha``, :math:`f_q` is reduced by :math:`t^*_{\alpha, df - 1} / \sqrt{df - 1}`: the effect
then stops being significant. Of a fit there is one value for each posterior draw, with
:math:`f = |b|\, s_X / \sigma_Y`: :math:`b` the effect per unit of the treatment, :math:`s_X` the
root mean square of the treatment's residuals, :math:`\sigma_Y` the residual sd of the outcome. An
effect alone has no residuals: they are those of the fit that it was estimated from, or, with
degrees of freedom stated, its mean over its sd stands for t.

*When it misleads.* It says how strong confounding would have to be, never how strong it is; and it
takes one confounder acting in the worst way.

References
----------
.. [1] C. Cinelli and C. Hazlett, "Making sense of sensitivity: extending omitted variable bias",
   JRSS B 82(1), 2020, 39-67.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, SupportsFloat, overload

import numpy as np
import xarray as xr
from pytensor.tensor.random.basic import NormalRV
from scipy import stats

from bayescausal.effects.as_estimand import as_estimand
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimate import answer, fit_of
from bayescausal.evaluation.measured import plain_name
from bayescausal.inference.closed_forms.affine import degree
from bayescausal.inference.data.design_matrix import with_columns
from bayescausal.inference.given import as_fit
from bayescausal.inference.record import Fit
from bayescausal.sensitivity.confounding.evalues import finite
from bayescausal.sensitivity.equations import Equations
from bayescausal.types import EstimandError, Set, UndefinedEffectError

if TYPE_CHECKING:
    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["robustness_value"]


@overload
def robustness_value(
    source: Fit,
    estimand: Estimand | Effect,
    *,
    q: float = 1.0,
    seed: int | None = None,
) -> Effect: ...


@overload
def robustness_value(
    source: float,
    *,
    df: float,
    q: float = 1.0,
    alpha: float | None = None,
) -> float: ...


@overload
def robustness_value(source: Effect, *, q: float = 1.0, seed: int | None = None) -> Effect: ...


@overload
def robustness_value(
    source: Effect, *, df: float, q: float = 1.0, alpha: float | None = None
) -> float: ...


def robustness_value(
    source: Fit | Effect | float,
    estimand: Estimand | Effect | None = None,
    *,
    df: float | None = None,
    q: float = 1.0,
    alpha: float | None = None,
    seed: int | None = None,
) -> Effect | float:
    """Return the share of residual variance that must be explained to move an effect.

    Parameters
    ----------
    source : Fit, Effect or float
        A fit whose outcome is Normal and linear in the treatment; an effect that was estimated from
        one; or a t statistic.
    estimand : Estimand or Effect, optional
        With a fit: a question on the difference scale that sets one treatment, or its answer.
    df : float, optional
        With a t statistic: its residual degrees of freedom. With an effect: those of its mean over
        its sd, which stands for t where the prior is weak.
    q : float, default 1
        By what share the effect is to be reduced.
    alpha : float, optional
        With `df`: reduce it to the limit of significance at this level instead.
    seed : int, optional
        Of the noise, as in :func:`bayescausal.estimate`.

    Returns
    -------
    Effect or float
        Of a fit, or of an effect without `df`, one value for each posterior draw.

    Raises
    ------
    UndefinedEffectError
        If the outcome is not Normal or not linear in the treatment.
    EstimandError
        If the question or an option does not fit.

    References
    ----------
    C. Cinelli and C. Hazlett, "Making sense of sensitivity: extending omitted variable bias",
    Journal of the Royal Statistical Society B 82(1), 2020.

    Examples
    --------
    >>> import bayescausal as bc
    >>> round(bc.robustness_value(4.18, df=783), 3)
    0.139
    """
    if not 0 < q < math.inf:
        raise EstimandError(f"q={q!r}.", expected="a number above 0.")
    if isinstance(source, Effect):
        _refuse_effect(source, estimand)
        if df is not None:
            return _classical(float(source) / source.sd(), df, q, alpha)
        estimand, seed = source.estimand, source.seed if seed is None else seed
        fit = fit_of(source)
        if fit is None:
            raise EstimandError(
                f"{source.label} has draws alone: how far treatment and outcome vary beyond what "
                "explains them is not in it.",
                expected="the fit that it was estimated from, or its degrees of freedom.",
                remedy="Call robustness_value(fit, effect), or robustness_value(effect, df=...).",
            )
        source = fit
    if not isinstance(source, Fit) and estimand is not None:
        source = as_fit(source, "robustness_value")
    if not isinstance(source, Fit):
        return _classical(source, df, q, alpha)
    if isinstance(estimand, Effect):
        estimand = estimand.estimand
    if df is not None or alpha is not None:
        raise EstimandError(
            "df= and alpha= belong to a t statistic; a posterior has its own spread.",
            remedy="Look at the interval of the robustness value.",
        )
    if estimand is None:
        raise EstimandError("No question.", expected="an estimand, such as ATE('x', 'y').")
    return _posterior(source, as_estimand(estimand), q, source.seed if seed is None else int(seed))


# ------------------------------------------------------------------------------- private


def _refuse_effect(effect: Effect, estimand: object) -> None:
    """Refuse an effect that is no difference of one number, or that comes with a question."""
    if estimand is not None:
        raise EstimandError(
            "An effect and a question.", expected="an effect, which holds its own question."
        )
    if effect.dims:
        raise EstimandError(f"{effect.label} has several cells.", expected="one number.")
    scale = getattr(effect.estimand, "scale", None)
    if scale is not None and scale.name != "difference":
        raise EstimandError(
            f"{effect.label} is on the scale {scale.name!r}.",
            expected="a difference.",
            remedy="For ratios ask for the E-value.",
        )
    if not effect.sd() > 0:
        raise EstimandError(f"{effect.label} is the same in every draw: it has no sd.")


def _rv(f: Any) -> Any:
    return (np.sqrt(f**4 + 4 * f**2) - f**2) / 2


def _classical(t: SupportsFloat, df: float | None, q: float, alpha: float | None) -> float:
    t = finite(t)
    if df is None or not df > 1:
        raise EstimandError(
            f"df={df!r} of a t statistic.", expected="its residual degrees of freedom, above 1."
        )
    f = q * abs(t) / math.sqrt(df)
    if alpha is not None:
        if not 0 < alpha < 1:
            raise EstimandError(f"alpha={alpha!r}.", expected="a number between 0 and 1.")
        f -= stats.t.isf(alpha / 2, df - 1) / math.sqrt(df - 1)
    return float(_rv(f)) if f > 0 else 0.0


def _posterior(fit: Fit, estimand: Estimand, q: float, seed: int) -> Effect:
    fit = with_columns(fit, estimand.names)
    structure = fit.structure
    scale = getattr(estimand, "scale", None)
    if len(estimand.treatments) != 1 or scale is None or scale.name != "difference":
        raise EstimandError(
            f"{estimand.label()} is no difference between two levels of one treatment.",
            expected="such a question: ATE('x', 'y').",
        )
    names = (estimand.treatments[0], estimand.outcome_name)
    worlds = estimand.worlds(structure.graph_for(estimand.names))
    levels = [worlds[role].get(names[0]) for role in ("treated", "control")]
    treatment, outcome = map(plain_name, names)  # a record shares its equation
    if not all(isinstance(level, Set) and np.ndim(level.value) == 0 for level in levels):
        raise EstimandError(
            f"{estimand.label()} does not set {treatment!r} to two numbers.",
            expected="treated= and control= as numbers.",
        )
    for name in (treatment, outcome):
        if structure.require(name) not in structure.random or name not in fit.columns:
            raise EstimandError(
                f"{name!r} is not an observed random variable of the model, so the model does not "
                "say how far it varies beyond what explains it.",
                remedy=f"Give {name!r} an equation and a column; or pass the residual degrees of "
                "freedom: robustness_value(effect, df=...).",
            )
    rv = structure.variable(outcome)
    if not isinstance(rv.owner.op, NormalRV):
        raise UndefinedEffectError(
            f"The robustness value is defined for linear models, and {outcome!r} is not Normal.",
            remedy="For ratios ask for the E-value.",
        )
    mu, sigma = rv.owner.op.dist_params(rv.owner)
    x = {structure.variable(treatment)}
    given = [v for v in structure.model.basic_RVs if v not in x]
    if degree(mu, x, given) > 1 or degree(sigma, x, given) > 0:
        raise UndefinedEffectError(
            f"The robustness value is defined for linear models, and {outcome!r} is not linear in "
            f"{treatment!r}.",
            remedy="Look at the surface of hidden_confounder instead.",
        )
    effect = answer(fit, estimand, seed)
    if effect.dims:
        raise EstimandError(f"{effect.label} has several cells.", expected="one number.")
    gap = float(levels[0].value) - float(levels[1].value)  # type: ignore[union-attr]
    equations = Equations(fit, (treatment, outcome))
    spread, noise = equations.residual_sd(treatment), equations.residual_sd(outcome, exact=sigma)
    like = effect.draws
    shape = like.shape
    f = q * np.abs(like.values / gap) * spread.reshape(shape) / noise.reshape(shape)
    draws = xr.DataArray(_rv(f), dims=like.dims, coords=like.coords)
    below = structure.descendants([treatment]) & structure.ancestors([outcome])
    between = ", ".join(n for n in structure.random if n in below)
    beyond = f" given {between} (on which it does not act)" if between else ""
    notes = (
        f"The share of the residual variance of {treatment} and of {outcome}{beyond} that a hidden "
        f"confounder must explain to reduce the effect by {q:.0%}.",
    )
    return Effect(draws, seed=seed, notes=notes, name=f"robustness value of {estimand.label()}")
