r"""Functionals of a time to an event: the restricted mean, and the survival curve.

.. math:: E[\min(T, \tau)] = \int_0^\tau P(T > t)\,dt, \qquad t \mapsto P(T > t).

The mean of a time that is censored at :math:`\tau` rests on a tail that nobody saw; the
*restricted* mean, the time lived up to :math:`\tau`, does not [1]_. A difference of restricted
means is collapsible and needs no proportional hazards, which a hazard ratio does. Both are defined
for any outcome, not for times alone.

Both are averages over units of a number that each unit has (the expectation of ``min(T, tau)``, the
probability of ``T > t``), exact where the outcome's distribution function is known. A censored
outcome is asked about as the variable that was measured, never as its record.

Where several events compete, the *cumulative incidence* of one of them is the probability that it
comes by a time and before the others,

.. math:: P(T_1 \le t,\; T_1 < T_2),

of which the difference between two worlds is the total effect on that event, whatever part of it
comes about through the others [2]_.

They fail beyond the times that were seen, where the answer rests on the form of the distribution;
and for times that are not comparable (two time zeros).

References
----------
.. [1] P. Royston and M. K. B. Parmar, "Restricted mean survival time: an alternative to the hazard
   ratio for the design and analysis of randomized trials with a time-to-event outcome", BMC
   Medical Research Methodology 13, 2013.
.. [2] J. G. Young, M. J. Stensrud, E. J. Tchetgen Tchetgen and M. A. Hernan, "A causal framework
   for classical statistical estimands in failure-time settings with competing events", Statistics
   in Medicine 39(8), 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.draws.weights import weighted_mean
from bayescausal.effects.estimands.functionals import Functional
from bayescausal.effects.estimands.notation import Notation, number
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["CumulativeIncidence", "RestrictedMean", "Survival"]

#: The dim of a survival curve.
TIME = "time"
#: So many times are written out.
FEW = 6


@dataclass(frozen=True)
class RestrictedMean(Functional):
    """The mean of what happens up to a limit, ``E[min(Y, upto)]``: the restricted mean of a time.

    Parameters
    ----------
    upto : float
        The limit, on the scale of the outcome.

    Raises
    ------
    EstimandError
        If the limit is not a finite number.

    References
    ----------
    P. Royston and M. K. B. Parmar, "Restricted mean survival time", BMC Medical Research
    Methodology 13, 2013.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.ATE("rx", "days", functional=bc.RestrictedMean(upto=365)).describe()
    'E[min(days, 365) | do(rx=1)] - E[min(days, 365) | do(rx=0)]'
    >>> bc.RestrictedMean(upto=5).of([1.0, 4.0, 100.0]).round(3).item()
    3.333
    """

    linear: ClassVar[bool] = True

    upto: float

    def __post_init__(self) -> None:
        if not _is_finite(self.upto):
            raise EstimandError(
                f"upto={self.upto!r} is not a finite number.",
                expected="the time up to which the mean is taken; without one ask the mean.",
            )

    def of(self, values: ArrayLike, weights: ArrayLike | None = None, axis: int = -1) -> np.ndarray:
        """Return the weighted mean of the values cut at the limit."""
        return weighted_mean(np.minimum(values, self.upto), weights, axis=axis)

    def write(self, notation: Notation, body: str, condition: str = "") -> str:
        """Return ``E[min(body, upto) | condition]``."""
        return notation.bracket(
            "E", f"{notation.word('min')}({body}, {number(self.upto)})", condition
        )

    def words(self, outcome: str) -> str:
        """Return what changes, in words."""
        return f"the mean of {outcome} up to {number(self.upto)}"


@dataclass(frozen=True)
class Survival(Functional):
    """The survival curve, ``P(Y > t)`` at several times: the answer has a dim ``"time"``.

    Parameters
    ----------
    times : sequence of float
        Where the curve is evaluated: finite, different, in increasing order.

    Raises
    ------
    EstimandError
        If there is no time, or the times are not finite, or not in increasing order.

    Notes
    -----
    ``Expected("days", {"rx": 1}, functional=Survival(times))`` is the curve of one world, and
    ``ATE("rx", "days", functional=Survival(times))`` the difference of two at each time. A curve
    ends in the same event for everyone: of competing events ask each event's own outcome.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Expected("days", {"rx": 1}, functional=bc.Survival([30, 365])).describe()
    'P(days > t | do(rx=1)), t in {30, 365}'
    >>> bc.Survival([1, 3]).of([1.0, 2.0, 4.0, 8.0]).tolist()
    [0.75, 0.5]
    """

    linear: ClassVar[bool] = True
    share: ClassVar[bool] = True

    times: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", _increasing(self.times))

    @property
    def axis(self) -> tuple[str, tuple[float, ...]]:
        """The name and the values of the dim of the answer."""
        return TIME, self.times

    def of(self, values: ArrayLike, weights: ArrayLike | None = None, axis: int = -1) -> np.ndarray:
        """Return the weighted shares above each time, times last."""
        y = np.asarray(values)
        shares = [weighted_mean((y > t).astype(float), weights, axis=axis) for t in self.times]
        return np.stack(shares, axis=-1)

    def write(self, notation: Notation, body: str, condition: str = "") -> str:
        """Return ``P(body > t | condition)``; the times are told by the question."""
        return notation.paren("P", notation.relation(body, ">", "t"), condition)

    def words(self, outcome: str) -> str:
        """Return what changes, in words."""
        return f"the probability of {outcome} > t"

    def tail(self, notation: Notation) -> str:
        """Return ``, t in {30, 365}``; of many times the first, the second and the last."""
        return _at_times(notation, self.times)


@dataclass(frozen=True)
class CumulativeIncidence(Functional):
    """The probability that an event comes by several times, and before other events.

    Parameters
    ----------
    times : float or sequence of float
        Where it is evaluated: one time, or several in increasing order, along which the answer has
        a dim ``"time"``.
    before : str or sequence of str
        The times of the other events: variables of the model, independent of the outcome given
        their parents. As a function of hazards the answer does not rest on that independence.

    Raises
    ------
    EstimandError
        If the times are negative, not finite or not in increasing order, or no other event is
        named, or one twice.

    References
    ----------
    J. G. Young et al., "A causal framework for classical statistical estimands in failure-time
    settings with competing events", Statistics in Medicine 39(8), 2020.

    Examples
    --------
    >>> import bayescausal as bc
    >>> relapse = bc.CumulativeIncidence([1, 5], before="death")
    >>> bc.Expected("relapse", {"rx": 1}, functional=relapse).describe()
    'P(relapse <= t, before death | do(rx=1)), t in {1, 5}'
    """

    linear: ClassVar[bool] = True
    share: ClassVar[bool] = True

    times: Any
    before: Any

    def __post_init__(self) -> None:
        several = _increasing(self.times)
        object.__setattr__(self, "times", several if np.ndim(self.times) else several[0])
        if several[0] < 0:
            raise EstimandError(
                f"times={self.times!r}.", expected="times since the start: none is negative."
            )
        names = (self.before,) if isinstance(self.before, str) else tuple(self.before)
        if not names or not all(isinstance(n, str) for n in names) or len({*names}) < len(names):
            raise EstimandError(
                f"before={self.before!r}.",
                expected="the times of other events, by name, each once.",
            )
        object.__setattr__(self, "before", names)

    @property
    def at(self) -> tuple[float, ...]:
        """The times, also where it is one."""
        return self.times if isinstance(self.times, tuple) else (self.times,)

    @property
    def axis(self) -> tuple[str, tuple[float, ...]] | None:
        """The name and the values of the dim of the answer; None of one time."""
        return (TIME, self.times) if isinstance(self.times, tuple) else None

    def of(self, values: ArrayLike, weights: ArrayLike | None = None, axis: int = -1) -> np.ndarray:
        """Return the weighted shares at or below each time, times last.

        Of values that are infinite where another event comes first.
        """
        y = np.asarray(values)
        shares = [weighted_mean((y <= t).astype(float), weights, axis=axis) for t in self.at]
        return np.stack(shares, axis=-1) if self.axis else np.asarray(shares[0])

    def write(self, notation: Notation, body: str, condition: str = "") -> str:
        """Return ``P(body <= t, before others | condition)``."""
        others = ", ".join(notation.name(n) for n in self.before)
        word = r"\text{ before }" if notation.latex else " before "
        by = "t" if self.axis else number(self.at[0])
        event = f"{notation.relation(body, '<=', by)},{word}{others}"
        return notation.paren("P", event, condition)

    def words(self, outcome: str) -> str:
        """Return what changes, in words."""
        by = "t" if self.axis else number(self.at[0])
        return f"the probability of {outcome} <= {by} before {', '.join(self.before)}"

    def tail(self, notation: Notation) -> str:
        """Return ``, t in {30, 365}``; of many times the first, the second and the last."""
        return _at_times(notation, self.at) if self.axis else ""


def _increasing(times: object) -> tuple[float, ...]:
    """Return times as a tuple; refuse what is no increasing list of numbers."""
    given = np.atleast_1d(np.asarray(times))
    fine = given.ndim == 1 and given.size and given.dtype.kind in "iuf"
    if not fine or not np.isfinite(given).all() or np.any(np.diff(given) <= 0):
        raise EstimandError(
            f"times={times!r}.",
            expected="one or more finite numbers, each larger than the one before.",
        )
    return tuple(given.tolist())


def _at_times(notation: Notation, times: tuple[float, ...]) -> str:
    """Return the times of a curve, as they stand after a formula."""
    shown: list[str] = [number(t) for t in times]
    if len(shown) > FEW:
        shown = [*shown[:2], r"\dots" if notation.latex else "...", shown[-1]]
    inside = ", ".join(shown)
    levels = rf"\{{{inside}\}}" if notation.latex else f"{{{inside}}}"
    return f", {notation.relation('t', 'in', levels)}"


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and bool(np.isfinite(value))
