r"""Scales: how the numbers of two worlds are combined.

With `a` and `b` the same functional (a mean, a quantile, a probability) of the outcome in the
treated and in the control world, per posterior draw,

==============  =================================  ====  ===========
name            value                              null  collapsible
==============  =================================  ====  ===========
difference      ``a - b``                          0     yes
ratio           ``a / b``                          1     yes
log ratio       ``log(a / b)``                     0     no
odds ratio      ``[a / (1 - a)] / [b / (1 - b)]``  1     no
==============  =================================  ====  ===========

`a` and `b` are population numbers: a ratio is the ratio of averages, never the average of
ratios; an odds ratio is marginal. A scale is *collapsible* when the population's value is
a weighted average of the values in subgroups [1]_. Odds ratios are not, so a marginal and a
conditional odds ratio differ without any confounding. Each scale is undefined somewhere (a
ratio at ``b = 0``, odds at 0 and 1); that is refused, with what to ask instead, never answered
with an infinity.

A new scale is a value: make a :class:`EffectScale` in a file of its own and pass it as ``scale=``.

References
----------
.. [1] S. Greenland, J. M. Robins and J. Pearl, "Confounding and collapsibility in causal
   inference", Statistical Science 14 (1999), 29-46.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.estimands.notation import PLAIN, Notation
from bayescausal.types import EstimandError, UndefinedEffectError, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr
    from numpy.typing import ArrayLike

    from bayescausal.annotations import Array

__all__ = ["SCALES", "EffectScale", "parse_scale"]


@dataclass(frozen=True)
class EffectScale:
    """How the numbers of two worlds become one.

    Examples
    --------
    >>> parse_scale("ratio").combine(0.3, 0.2).round(6)
    np.float64(1.5)
    """

    name: str  # short name, as in ``scale="ratio"``
    formula: Callable[[Any, Any], Any]  # ``formula(treated, control) -> array``, elementwise
    null: float  # the value that means no effect
    collapsible: bool  # whether the population's value is a weighted average of subgroups' values
    sentence: str  # what the scale says, in words, for a report
    # ``writing(notation, treated, control) -> str``: the formula as mathematics.
    writing: Callable[[Notation, str, str], str]
    # ``undefined(treated, control) -> (mask, reason, remedy)``: where it does not exist.
    undefined: Callable[[Any, Any], tuple[Any, str, str]] | None = None

    def combine(
        self, treated: ArrayLike | xr.DataArray, control: ArrayLike | xr.DataArray
    ) -> Array | xr.DataArray:
        """Return the effect on this scale.

        `treated`, `control`: the functional in each world, aligned (chain, draw and any other
        dims).
        Raises UndefinedEffectError where the scale does not exist (a zero denominator, odds of
          something that is no probability), with what to ask instead.
        """
        a, b = (v if hasattr(v, "dims") else np.asarray(v, dtype=float) for v in (treated, control))
        if self.undefined is not None:
            mask, reason, remedy = self.undefined(a, b)
            bad, total = int(np.sum(np.asarray(mask))), int(np.size(mask))
            if bad:
                raise UndefinedEffectError(
                    f"The {self.name} is undefined in {bad} of {total} draws: {reason}.",
                    remedy=remedy,
                )
        found: Array | xr.DataArray = self.formula(a, b)
        return found

    def write(self, notation: Notation, treated: str, control: str) -> str:
        """Return the scale of two expressions as mathematics."""
        return self.writing(notation, treated, control)

    def text(self, treated: str, control: str) -> str:
        """Return the scale of two expressions as plain mathematics."""
        return self.writing(PLAIN, treated, control)

    def __repr__(self) -> str:
        return repr(self.name)


def parse_scale(scale: str | EffectScale) -> EffectScale:
    """Return the scale of that name.

    `scale`: ``"difference"``, ``"ratio"``, ``"log ratio"``, ``"odds ratio"`` (underscores, hyphens
    and capitals do not matter), or a scale of one's own.
    Raises EstimandError for a name that is not a scale.

    Examples
    --------
    >>> parse_scale("odds_ratio").null
    1.0
    """
    if isinstance(scale, EffectScale):
        return scale
    if isinstance(scale, str):
        name = " ".join(scale.replace("_", " ").replace("-", " ").lower().split())
        if name in SCALES:
            return SCALES[name]
    raise EstimandError(
        f"{scale!r} is not a scale.",
        expected=f"One of {', '.join(SCALES)}, or an EffectScale.",
        names=closest(str(scale), SCALES)[:1],
    )


def _log_ratio(a: Any, b: Any) -> Any:
    return np.log(a / b)


def _odds_ratio[D: (Array, xr.DataArray)](a: D, b: D) -> D:
    return (a / (1.0 - a)) / (b / (1.0 - b))


def _no_ratio[D: (Array, xr.DataArray)](a: D, b: D) -> tuple[D, str, str]:
    return b == 0, "the control world's value is zero", "Ask scale='difference' instead."


def _no_log[D: (Array, xr.DataArray)](a: D, b: D) -> tuple[D, str, str]:
    return (
        (b == 0) | (a * b <= 0),
        "the two worlds' values are not both positive (or both negative)",
        "Ask scale='difference' instead.",
    )


def _no_odds[D: (Array, xr.DataArray)](a: D, b: D) -> tuple[D, str, str]:
    outside = (a < 0) | (a > 1) | (b < 0) | (b > 1)
    if bool(np.any(np.asarray(outside))):
        return (
            outside,
            "odds exist for probabilities only, and a value lies outside [0, 1]",
            "Ask scale='difference' or 'ratio', or a functional that is a probability: "
            "functional=Probability(above=...).",
        )
    return (
        (a == 1) | (b == 0) | (b == 1),
        "a world's probability is 0 or 1, so its odds are 0 or infinite",
        "Ask scale='difference' instead.",
    )


#: The scales by name.
SCALES: Mapping[str, EffectScale] = MappingProxyType(
    {
        s.name: s
        for s in (
            EffectScale(
                "difference",
                lambda a, b: a - b,
                0.0,
                True,
                "A difference of averages; the population's value is the average of the "
                "subgroups' values.",
                lambda n, a, b: f"{a} - {b}",
            ),
            EffectScale(
                "ratio",
                lambda a, b: a / b,
                1.0,
                True,
                "A ratio of averages, not an average of ratios; the population's value is an "
                "average of the subgroups' values, weighted by their control outcome.",
                lambda n, a, b: n.fraction(a, b),
                _no_ratio,
            ),
            EffectScale(
                "log ratio",
                _log_ratio,
                0.0,
                False,
                "The logarithm of a ratio of averages; it is not an average of subgroups' "
                "log ratios.",
                lambda n, a, b: f"{n.word('log')}({n.fraction(a, b)})",
                _no_log,
            ),
            EffectScale(
                "odds ratio",
                _odds_ratio,
                1.0,
                False,
                "A marginal odds ratio. Odds ratios are not collapsible: it differs from the odds "
                "ratio within subgroups even without confounding.",
                lambda n, a, b: n.fraction(f"{n.word('odds')}({a})", f"{n.word('odds')}({b})"),
                _no_odds,
            ),
        )
    }
)
