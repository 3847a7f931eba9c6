r"""The E-value: how strongly a hidden confounder must go with treatment and outcome.

For risk ratios [1]_: a hidden confounder must be associated with treatment and outcome by risk
ratios of at least

.. math:: E = RR + \sqrt{RR\,(RR - 1)}

each (of :math:`1/RR` where it is below 1) to move the observed ratio to 1. That of the interval is
taken at its end that is closer to 1, and is 1 where the interval holds 1. An odds ratio of a
common outcome stands for a risk ratio of its square root; a difference of means for
:math:`\exp(0.91\, d)`, with :math:`d` in standard deviations of the outcome.

*When it misleads.* It says how strong confounding would have to be, never how strong it is; and it
takes one confounder acting in the worst way.

References
----------
.. [1] T. J. VanderWeele and P. Ding, "Sensitivity analysis in observational research: introducing
   the E-value", Annals of Internal Medicine 167(4), 2017, 268-274.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, SupportsFloat

from bayescausal.draws.digits import end_text
from bayescausal.effects.effect import Effect
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["EValue", "e_value", "finite"]


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

    def __getnewargs__(self) -> tuple[Any, ...]:
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
        Whether the outcome is rare (below 15%), so that an odds ratio is a risk ratio.
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
        value = finite(effect)
    name = "ratio" if scale is None else str(scale).replace("_", " ")
    ratio = _risk_ratio(value, name, rare, sd)
    limit = None
    if interval is not None:
        ends = [_risk_ratio(finite(end), name, rare, sd) for end in interval]
        # the mean of skewed draws may lie outside of their interval
        around = not isinstance(effect, Effect)
        if len(ends) != 2 or (around and not ends[0] <= ratio <= ends[1]):
            raise EstimandError(
                f"interval={tuple(interval)!r} around {value:g}.", expected="(low, high)."
            )
        holds = ends[0] <= 1 <= ends[1]
        limit = 1.0 if holds else _e(ends[0] if ends[0] > 1 else ends[1])
    return EValue(_e(ratio), ratio, limit)


def finite(value: SupportsFloat) -> float:
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
