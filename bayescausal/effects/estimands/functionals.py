r"""Functionals: which number is taken of the outcome's distribution in one world.

Per posterior draw the outcome has, in each world, a distribution: the mixture over the
population's units and their noise. A functional maps that distribution to a number,

.. math:: E[Y], \qquad Q_q[Y] = \inf\{y : P(Y \le y) \ge q\}, \qquad P(Y \in A),

and only afterwards a scale combines the worlds. So a quantile effect is a difference of marginal
quantiles, which is not the quantile of the unit-level differences.

A mean may fail to exist (Cauchy) or to mean anything (a nominal outcome); a quantile and the
probability of an event always exist. Quantiles of a discrete outcome are insensitive to small
changes: ask for a probability there.

A *linear* functional is an average over units of a number that each unit has, so that parts of a
population add up to the whole; a quantile is none.

References
----------
J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 3.2.
S. Firpo, "Efficient semiparametric estimation of quantile treatment effects", Econometrica 75
(2007), 259-276.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.draws.weights import weighted_mean, weighted_quantile
from bayescausal.effects.estimands.notation import PLAIN, Notation, number
from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Functional", "Mean", "Probability", "Quantile", "Total", "parse_functional"]


@dataclass(frozen=True)
class Functional:
    """What is taken of a distribution. Use :class:`Mean`, :class:`Quantile`, :class:`Probability`.

    A new functional is a subclass in a file of its own with ``of`` and ``write``.
    """

    linear: ClassVar[bool] = False  # an average over units of a number that each unit has
    share: ClassVar[bool] = False  # a probability: between 0 and 1, whatever the outcome is
    averaged: ClassVar[bool] = False  # read off the mean of the outcome, which has to exist
    summed: ClassVar[bool] = False  # a sum over the units, that grows with their number

    @property
    def axis(self) -> tuple[str, tuple[float, ...]] | None:
        """The name and the values of the dim of the answer, where it is several numbers."""
        return None

    @property
    def others(self) -> tuple[str, ...]:
        """Variables beside the outcome that it is taken of."""
        return tuple(getattr(self, "before", ()))

    def of(self, values: ArrayLike, weights: ArrayLike | None = None, axis: int = -1) -> np.ndarray:
        """Return the functional of weighted values along an axis."""
        raise TypeError("Functional is abstract: use Mean, Quantile or Probability")

    def write(self, notation: Notation, body: str, condition: str = "") -> str:
        """Return the functional of `body` given `condition` as mathematics."""
        raise TypeError("Functional is abstract: use Mean, Quantile or Probability")

    def text(self, body: str, condition: str = "") -> str:
        """Return the functional of `body` given `condition` as plain mathematics."""
        return self.write(PLAIN, body, condition)

    def words(self, outcome: str) -> str:
        """Return what is said to change, in words."""
        return self.text(outcome)

    def tail(self, notation: Notation) -> str:
        """Return what a formula says after its end: the values along `axis`."""
        return ""


@dataclass(frozen=True)
class Mean(Functional):
    """The mean, ``E[Y]``.

    Examples
    --------
    >>> Mean().text("Y", "do(X=1)")
    'E[Y | do(X=1)]'
    """

    linear: ClassVar[bool] = True
    averaged: ClassVar[bool] = True

    def of(self, values: ArrayLike, weights: ArrayLike | None = None, axis: int = -1) -> np.ndarray:
        """Return the weighted mean along an axis."""
        return weighted_mean(values, weights, axis=axis)

    def write(self, notation: Notation, body: str, condition: str = "") -> str:
        """Return ``E[body | condition]``."""
        return notation.bracket("E", body, condition)

    def __repr__(self) -> str:
        return "'mean'"


@dataclass(frozen=True)
class Total(Functional):
    """The sum over the units of the population or subgroup, ``sum E[Y]``.

    The cumulative effect over a range of time is the total over the units of that range:
    ``ATE("law", "deaths", given={"month": (12, 24)}, functional="total")``; the average effect over
    it is the mean.

    Only units that are counted have a total: those at hand, or those of a table.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Total().text("Y", "do(X=1)")
    'sum E[Y | do(X=1)]'
    >>> bc.Total().of([1.0, 2.0, 4.0]).item()
    7.0
    """

    linear: ClassVar[bool] = True
    averaged: ClassVar[bool] = True
    summed: ClassVar[bool] = True

    def of(self, values: ArrayLike, weights: ArrayLike | None = None, axis: int = -1) -> np.ndarray:
        """Return the weighted sum along an axis."""
        y = np.asarray(values, dtype=float)
        return np.asarray((y if weights is None else y * np.asarray(weights)).sum(axis=axis))

    def write(self, notation: Notation, body: str, condition: str = "") -> str:
        """Return ``sum E[body | condition]``."""
        return f"{notation.word('sum')} {notation.bracket('E', body, condition)}"

    def words(self, outcome: str) -> str:
        """Return what changes, in words."""
        return f"the total of {outcome}"

    def __repr__(self) -> str:
        return "'total'"


@dataclass(frozen=True)
class Quantile(Functional):
    """The quantile ``Q_q[Y]``, the smallest value with at least a share q at or below it.

    Parameters
    ----------
    q : float
        Between 0 and 1, both excluded.

    Raises
    ------
    EstimandError
        If q is not a number strictly between 0 and 1.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Quantile(0.9).text("Y", "do(X=1)")
    'Q_0.9[Y | do(X=1)]'
    >>> bc.Quantile(0.5).of([1.0, 2.0, 9.0]).item()
    2.0
    """

    q: float

    def __post_init__(self) -> None:
        if not _is_number(self.q) or not 0 < self.q < 1:
            raise EstimandError(
                f"A quantile needs 0 < q < 1, found q={self.q!r}.",
                remedy="For the extremes of a distribution ask Probability(above=...).",
            )

    def of(self, values: ArrayLike, weights: ArrayLike | None = None, axis: int = -1) -> np.ndarray:
        """Return the weighted quantile along an axis."""
        return weighted_quantile(values, self.q, weights, axis=axis)

    def write(self, notation: Notation, body: str, condition: str = "") -> str:
        """Return ``Q_q[body | condition]``."""
        return notation.bracket(notation.subscript("Q", number(self.q)), body, condition)


@dataclass(frozen=True)
class Probability(Functional):
    """The probability of an event of the outcome, such as ``P(Y > a)``.

    Parameters
    ----------
    above, below : float, optional
        Strictly above, strictly below.
    between : (float, float), optional
        Both ends included.
    equals : float or str, optional
        One value, or one category.
    at_least, at_most : float, optional
        The limit included.

    Raises
    ------
    EstimandError
        Unless exactly one event is given, with finite limits in order.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Probability(above=2).text("Y", "do(X=1)")
    'P(Y > 2 | do(X=1))'
    >>> bc.Probability(between=(0, 1)).of([-1.0, 0.5, 1.0, 3.0]).item()
    0.5
    """

    above: float | None = None
    below: float | None = None
    between: tuple[float, float] | None = None
    equals: float | str | None = None
    at_least: float | None = None
    at_most: float | None = None

    linear: ClassVar[bool] = True
    share: ClassVar[bool] = True

    def __post_init__(self) -> None:
        events = {k: v for k, v in vars(self).items() if v is not None}
        if len(events) != 1:
            given = ", ".join(events) or "none"
            raise EstimandError(
                f"A probability needs one event, found {given}.",
                expected="One of above=, below=, between=, equals=, at_least=, at_most=.",
            )
        [(event, value)] = events.items()
        if event == "between":
            _check_range(value, "between")
            object.__setattr__(self, "between", (value[0], value[1]))
        elif not (_is_number(value) or (event == "equals" and isinstance(value, str))):
            raise EstimandError(
                f"{event}={value!r} is not a finite number.",
                expected="A finite number" + (" or a category." if event == "equals" else "."),
                remedy=f"Of a category, ask equals={value!r}." if isinstance(value, str) else None,
            )

    def indicator(self, values: ArrayLike) -> np.ndarray:
        """Return where the event happens.

        Parameters
        ----------
        values : array_like
            Values of the outcome; NaN is never in the event.

        Returns
        -------
        numpy array of bool
            Shape of `values`.
        """
        y = np.asarray(values)
        if self.above is not None:
            return y > self.above
        if self.below is not None:
            return y < self.below
        if self.between is not None:
            return (y >= self.between[0]) & (y <= self.between[1])
        if self.at_least is not None:
            return y >= self.at_least
        if self.at_most is not None:
            return y <= self.at_most
        return np.asarray(y == self.equals)

    def of(self, values: ArrayLike, weights: ArrayLike | None = None, axis: int = -1) -> np.ndarray:
        """Return the weighted share of values in the event along an axis."""
        return weighted_mean(self.indicator(values).astype(float), weights, axis=axis)

    def event(self, notation: Notation, body: str, *, happens: bool = True) -> str:
        """Return the event, or its complement, as mathematics."""
        if self.between is not None:
            low, high = (number(v) for v in self.between)
            inside = notation.relation(notation.relation(low, "<=", body), "<=", high)
            return inside if happens else f"{notation.word('not')} ({inside})"
        for limit, sign, other in (
            (self.above, ">", "<="),
            (self.below, "<", ">="),
            (self.at_least, ">=", "<"),
            (self.at_most, "<=", ">"),
            (self.equals, "=", "!="),
        ):
            if limit is not None:
                return notation.relation(body, sign if happens else other, notation.level(limit))
        raise AssertionError("a Probability always has one event")  # pragma: no cover

    def write(self, notation: Notation, body: str, condition: str = "") -> str:
        """Return ``P(event | condition)``."""
        return notation.paren("P", self.event(notation, body), condition)

    def __repr__(self) -> str:
        [(event, value)] = ((k, v) for k, v in vars(self).items() if v is not None)
        return f"Probability({event}={value!r})"


def parse_functional(functional: str | Functional) -> Functional:
    """Return the functional of that name.

    `functional`: ``"mean"``, ``"median"`` (that is ``Quantile(0.5)``), ``"total"``,
    :class:`Quantile`, :class:`Probability`, or a functional of one's own.

    Examples
    --------
    >>> parse_functional("median")
    Quantile(q=0.5)
    """
    if isinstance(functional, Functional):
        return functional
    named: dict[str, Functional] = {"mean": Mean(), "median": Quantile(0.5), "total": Total()}
    if isinstance(functional, str) and functional.lower() in named:
        return named[functional.lower()]
    raise EstimandError(
        f"{functional!r} is not a functional.",
        expected="'mean', 'median', 'total', Quantile(q), Probability(above=...), "
        "RestrictedMean(upto=...), Survival(times) or CumulativeIncidence(times, before=...).",
        names=closest(str(functional), named)[:1],
    )


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, str) and np.ndim(value) == 0 and math.isfinite(value)
    except TypeError:
        return False


def _check_range(value: object, what: str) -> None:
    ends = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else ()
    if len(ends) != 2 or not all(_is_number(v) for v in ends) or not ends[0] <= ends[1]:
        raise EstimandError(
            f"{what}={value!r} is not a range.", expected="(low, high), low <= high."
        )
