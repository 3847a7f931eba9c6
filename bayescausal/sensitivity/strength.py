r"""How strong hidden confounding must be: the robustness value and the E-value.

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

**E-value** [2]_, for risk ratios: a hidden confounder must be associated with treatment and outcome
by risk ratios of at least

.. math:: E = RR + \sqrt{RR\,(RR - 1)}

each (of :math:`1/RR` where it is below 1) to move the observed ratio to 1. That of the interval is
taken at its end that is closer to 1, and is 1 where the interval holds 1. An odds ratio of a
common outcome stands for a risk ratio of its square root; a difference of means for
:math:`\exp(0.91\, d)`, with :math:`d` in standard deviations of the outcome.

*When they mislead.* They say how strong confounding would have to be, never how strong it is; and
both take one confounder acting in the worst way.

References
----------
.. [1] C. Cinelli and C. Hazlett, "Making sense of sensitivity: extending omitted variable bias",
   JRSS B 82(1), 2020, 39-67.
.. [2] T. J. VanderWeele and P. Ding, "Sensitivity analysis in observational research: introducing
   the E-value", Annals of Internal Medicine 167(4), 2017, 268-274.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import xarray as xr
from pytensor.tensor.random.basic import NormalRV
from scipy import stats

from bayescausal.draws.digits import end_text
from bayescausal.effects.asked import as_estimand
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimate import answer, fit_of
from bayescausal.evaluation.measured import plain_name
from bayescausal.inference.closed_forms.affine import degree
from bayescausal.inference.data.design_matrix import with_columns
from bayescausal.inference.given import as_fit
from bayescausal.inference.record import Fit
from bayescausal.sensitivity.equations import Equations
from bayescausal.types import EstimandError, Set, UndefinedEffectError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["EValue", "e_value", "robustness_value"]


class EValue(float):
    """An E-value: a number, with that of the interval and a sentence.

    Attributes
    ----------
    limit : float or None
        The E-value of the end of the interval that is closer to 1; None without an interval.
    ratio : float
        The risk ratio it is of.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.e_value(3.9, interval=(1.8, 8.7)).limit
    3.0
    """

    limit: float | None
    ratio: float

    def __new__(cls, value: float, ratio: float, limit: float | None = None) -> EValue:
        made = super().__new__(cls, value)
        made.ratio, made.limit = float(ratio), limit
        return made

    def sentence(self) -> str:
        """Return what it means."""
        told, of, limit = (
            "" if v is None else end_text(float(v), 2, [1]) for v in (self, self.ratio, self.limit)
        )
        text = (
            f"A hidden confounder would have to be associated with treatment and outcome by risk "
            f"ratios of {told} each, beyond the measured covariates, to explain away a risk ratio "
            f"of {of}."
        )
        if self.limit is None:
            return text
        if self.limit == 1:
            return f"{text} The interval holds no effect already: its E-value is 1."
        return f"{text} To move the interval to no effect, {limit} each would do."

    def __getnewargs__(self) -> tuple[Any, ...]:  # type: ignore[override]
        return float(self), self.ratio, self.limit


def e_value(
    effect: Effect | float,
    *,
    interval: Sequence[float] | None = None,
    scale: str | None = None,
    rare: bool = False,
    sd: float | None = None,
    prob: float = 0.94,
) -> EValue:
    """Return how strong hidden confounding must be to explain a risk ratio away.

    Parameters
    ----------
    effect : Effect or float
        An effect on the ratio, log ratio, odds ratio or difference scale; or a number.
    interval : (float, float), optional
        Of a number, on the same scale. Of an Effect it is the highest-density interval.
    scale : {"ratio", "log ratio", "odds ratio", "difference"}, optional
        Default: that of the effect; a number is a risk ratio.
    rare : bool, default False
        Whether the outcome is rare (below 15 %), so that an odds ratio is a risk ratio.
    sd : float, optional
        Of the outcome, for a difference of means.
    prob : float
        Of the interval of an Effect.

    Returns
    -------
    EValue
        A float, with ``limit`` for the interval and ``sentence()``.

    Raises
    ------
    EstimandError
        If the effect has several cells, or no risk ratio can be made of it.

    References
    ----------
    T. J. VanderWeele and P. Ding, "Sensitivity analysis in observational research: introducing the
    E-value", Annals of Internal Medicine 167(4), 2017.

    Examples
    --------
    >>> import bayescausal as bc
    >>> round(bc.e_value(3.9), 2), round(bc.e_value(1 / 3.9), 2)
    (7.26, 7.26)
    """
    if isinstance(effect, Effect):
        if interval is not None:
            raise EstimandError(
                "interval= of an Effect.", expected="prob=: its interval is that of its draws."
            )
        low, high = effect.interval(prob)
        value, interval = float(effect), (low, high)
        own = getattr(effect.estimand, "scale", None)
        scale = scale or (own.name if own is not None else None)
        if scale is None:
            raise EstimandError(
                f"{effect.label} has no scale.", remedy='Say which: scale="ratio", ...'
            )
    else:
        value = _finite(effect)
    name = "ratio" if scale is None else str(scale).replace("_", " ")
    ratio = _risk_ratio(value, name, rare, sd)
    limit = None
    if interval is not None:
        ends = [_risk_ratio(_finite(end), name, rare, sd) for end in interval]
        if len(ends) != 2 or not ends[0] <= ratio <= ends[1]:
            raise EstimandError(
                f"interval={tuple(interval)!r} around {value:g}.", expected="(low, high)."
            )
        holds = ends[0] <= 1 <= ends[1]
        limit = 1.0 if holds else _e(ends[0] if ratio > 1 else ends[1])
    return EValue(_e(ratio), ratio, limit)


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
        held = fit_of(source)
        if held is None:
            raise EstimandError(
                f"{source.label} has draws alone: how far treatment and outcome vary beyond what "
                "explains them is not in it.",
                expected="the fit that it was estimated from, or its degrees of freedom.",
                remedy="Call robustness_value(fit, effect), or robustness_value(effect, df=...).",
            )
        source = held
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


def _refuse_effect(effect: Effect, estimand: Any) -> None:
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


def _finite(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise EstimandError(f"Found {value!r} where an effect is needed.", expected="a number.")
    return number


def _risk_ratio(value: float, scale: str, rare: bool, sd: float | None) -> float:
    """Return the risk ratio that an effect on some scale stands for."""
    if scale == "difference":
        if sd is None or not sd > 0:
            raise EstimandError(
                "A difference has no E-value without the sd of the outcome.",
                remedy='Ask with scale="ratio", or give sd= for a difference of means.',
            )
        return math.exp(0.91 * value / sd)
    if scale == "log ratio":
        return math.exp(value)
    if scale not in ("ratio", "odds ratio"):
        raise EstimandError(
            f"scale={scale!r} is not known.",
            expected="'ratio', 'log ratio', 'odds ratio' or 'difference'.",
        )
    if value <= 0:
        raise EstimandError(f"A ratio of {value:g}.", expected="a number above 0.")
    return math.sqrt(value) if scale == "odds ratio" and not rare else value


def _e(ratio: float) -> float:
    ratio = max(ratio, 1 / ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


def _rv(f: Any) -> Any:
    return (np.sqrt(f**4 + 4 * f**2) - f**2) / 2


def _classical(t: Any, df: float | None, q: float, alpha: float | None) -> float:
    t = _finite(t)
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
    worlds = estimand.worlds(structure.graph)
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
