r"""Unit-level questions: individual effects and probabilities of causation.

For a unit with its own noise `u`, and E an event of the outcome,

.. math::

   ITE(u) &= Y_1(u) - Y_0(u), \\
   PN &= P(\lnot E_0 \mid X = 1, E), \\
   PS &= P(E_1 \mid X = 0, \lnot E), \\
   PNS &= P(E_1, \lnot E_0) .

They depend on how noise is shared between worlds, which no data identify [1]_. For continuous
variables the model's noise form fixes it (ranks are kept); where a variable is discrete a
`coupling` must say it, and bounds stand beside the answer: sharp given the model, or from the
margins alone. Averages of the ITE do not depend on it.

References
----------
.. [1] J. Tian and J. Pearl, "Probabilities of causation: bounds and identification", Annals
   of Mathematics and Artificial Intelligence 28 (2000), 287-313.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bayescausal.effects.estimands.conditions import Condition, Outside, parse_given
from bayescausal.effects.estimands.estimand import NATURAL_UNLESS_SET, Estimand
from bayescausal.effects.estimands.functionals import Mean, Probability
from bayescausal.effects.estimands.parsing import refuse_options, refuse_same_worlds
from bayescausal.types import EstimandError, Set

if TYPE_CHECKING:
    from bayescausal.effects.estimands.notation import Notation

__all__ = ["ITE", "PN", "PNS", "PS"]


@dataclass(frozen=True, eq=False, repr=False)
class ITE(Estimand):
    """The effect on each unit, ``Y(1) - Y(0)``, its own noise kept.

    Parameters
    ----------
    treatment, outcome, treated, control, scale
        As for :class:`~bayescausal.effects.estimands.ATE`. The scale is applied unit by unit.
    coupling : str or mapping, optional
        How a discrete variable's noise is shared between worlds, where the answer depends on
        it: ``"monotone"``, ``"gumbel"``, or a mapping by variable.
    bounds : str
        Which bounds stand beside an answer that depends on the coupling: ``"model"`` or
        ``"margins"``.
    functional : str or Functional
        ``"mean"`` (default): the effect on each unit, with the unit dims. A quantile or a
        probability is taken over units: ``Probability(below=0)`` is the share who lose.
    given, population, by
        As for every question (:class:`Estimand`).

    References
    ----------
    J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, chapter 7.

    Examples
    --------
    >>> from bayescausal.effects.estimands import ITE
    >>> from bayescausal.effects.estimands.functionals import Probability
    >>> ITE("X", "Y").describe()
    'Y(1) - Y(0), for each unit'
    >>> ITE("X", "Y", functional=Probability(below=0)).describe()
    'P(Y(1) - Y(0) < 0)'
    """

    kind: ClassVar[str] = "ite"

    treatment: Any
    outcome: str
    bounds: Any = field(default="model", kw_only=True)
    treated: Any = field(default=1, kw_only=True)
    control: Any = field(default=NATURAL_UNLESS_SET, kw_only=True)
    scale: Any = field(default="difference", kw_only=True)

    def _check(self) -> None:
        refuse_same_worlds(self)

    @property
    def per_unit(self) -> bool:
        """Whether the answer has the unit dims (the functional is the mean)."""
        return isinstance(self.functional, Mean)

    @property
    def null(self) -> float | None:
        """The scale's null for units and quantiles; None for a probability."""
        return None if isinstance(self.functional, Probability) else self.scale.null

    def write(self, notation: Notation) -> str:
        """Return ``Y(1) - Y(0), for each unit``."""
        worlds = self.worlds()
        bodies = (self._potential(notation, worlds[role]) for role in ("treated", "control"))
        effect = str(self.scale.write(notation, *bodies))
        given = self.given.write(notation)
        if not self.per_unit:
            return str(self.functional.write(notation, effect, given))
        each = "for each unit" + (" with " if given else "")
        return effect + (rf",\ \text{{{each}}}" if notation.latex else f", {each}") + given


@dataclass(frozen=True, eq=False, repr=False)
class PN(Estimand):
    """The probability of necessity: without the treatment, would the event not have been?

    ``P(not E in the control world | treatment at the treated level, E)``.

    Parameters
    ----------
    treatment, outcome, treated, control
        As for :class:`~bayescausal.effects.estimands.ATE`.
    event : float, str or Probability, optional
        The event E of the outcome. Default: it equals 1.
    coupling, bounds
        As for :class:`ITE`.
    given, population, by
        As for every question (:class:`Estimand`). There is no functional and no scale.

    References
    ----------
    J. Tian and J. Pearl, "Probabilities of causation: bounds and identification", Annals of
    Mathematics and Artificial Intelligence 28 (2000), 287-313.

    Examples
    --------
    >>> from bayescausal.effects.estimands import PN
    >>> PN("X", "Y").describe()
    'P(Y(0) != 1 | X=1, Y=1)'
    """

    kind: ClassVar[str] = "pn"

    treatment: Any
    outcome: str
    event: Any = field(default=None, kw_only=True)
    bounds: Any = field(default="model", kw_only=True)
    treated: Any = field(default=1, kw_only=True)
    control: Any = field(default=NATURAL_UNLESS_SET, kw_only=True)
    scale: Any = field(default="difference", kw_only=True)

    def _check(self) -> None:
        _check_causation(self)

    @property
    def null(self) -> None:
        """A probability has no null."""
        return None

    @property
    def condition(self) -> Condition:
        """The units at the treated level with the event, and `given`."""
        return _at_level(self, "treated", happens=True) & self.given  # type: ignore[no-any-return]

    def write(self, notation: Notation) -> str:
        """Return ``P(Y(0) != 1 | X=1, Y=1)``."""
        would = _event_in(self, notation, "control", happens=False)
        return notation.paren("P", would, self.condition.write(notation))


@dataclass(frozen=True, eq=False, repr=False)
class PS(Estimand):
    """The probability of sufficiency: with the treatment, would the event have been?

    ``P(E in the treated world | treatment at the control level, not E)``.

    Parameters
    ----------
    treatment, outcome, treated, control, event, coupling, bounds, given, population, by
        As for :class:`PN`.

    References
    ----------
    J. Tian and J. Pearl, "Probabilities of causation: bounds and identification", Annals of
    Mathematics and Artificial Intelligence 28 (2000), 287-313.

    Examples
    --------
    >>> from bayescausal.effects.estimands import PS
    >>> PS("X", "Y").describe()
    'P(Y(1)=1 | X=0, Y != 1)'
    """

    kind: ClassVar[str] = "ps"

    treatment: Any
    outcome: str
    event: Any = field(default=None, kw_only=True)
    bounds: Any = field(default="model", kw_only=True)
    treated: Any = field(default=1, kw_only=True)
    control: Any = field(default=NATURAL_UNLESS_SET, kw_only=True)
    scale: Any = field(default="difference", kw_only=True)

    def _check(self) -> None:
        _check_causation(self)

    @property
    def null(self) -> None:
        """A probability has no null."""
        return None

    @property
    def condition(self) -> Condition:
        """The units at the control level without the event, and `given`."""
        return _at_level(self, "control", happens=False) & self.given  # type: ignore[no-any-return]

    def write(self, notation: Notation) -> str:
        """Return ``P(Y(1)=1 | X=0, Y != 1)``."""
        would = _event_in(self, notation, "treated", happens=True)
        return notation.paren("P", would, self.condition.write(notation))


@dataclass(frozen=True, eq=False, repr=False)
class PNS(Estimand):
    """The probability of necessity and sufficiency: the event with the treatment only.

    ``P(E in the treated world, not E in the control world)``.

    Parameters
    ----------
    treatment, outcome, treated, control, event, coupling, bounds, given, population, by
        As for :class:`PN`.

    References
    ----------
    J. Tian and J. Pearl, "Probabilities of causation: bounds and identification", Annals of
    Mathematics and Artificial Intelligence 28 (2000), 287-313.

    Examples
    --------
    >>> from bayescausal.effects.estimands import PNS
    >>> PNS("X", "Y").describe()
    'P(Y(1)=1, Y(0) != 1)'
    """

    kind: ClassVar[str] = "pns"

    treatment: Any
    outcome: str
    event: Any = field(default=None, kw_only=True)
    bounds: Any = field(default="model", kw_only=True)
    treated: Any = field(default=1, kw_only=True)
    control: Any = field(default=NATURAL_UNLESS_SET, kw_only=True)
    scale: Any = field(default="difference", kw_only=True)

    def _check(self) -> None:
        _check_causation(self)

    @property
    def null(self) -> None:
        """A probability has no null."""
        return None

    def write(self, notation: Notation) -> str:
        """Return ``P(Y(1)=1, Y(0) != 1)``."""
        yes = _event_in(self, notation, "treated", happens=True)
        no = _event_in(self, notation, "control", happens=False)
        return notation.paren("P", f"{yes}, {no}", self.given.write(notation))


# --------------------------------------------------------------------------- private


def _check_causation(estimand: Any) -> None:
    refuse_options(estimand, functional="mean", scale="difference")
    for role in ("treated", "control"):
        for name, what in estimand._arm(role).items():
            if not isinstance(what, Set):
                raise EstimandError(
                    f"{type(estimand).__name__} needs {name!r} set to a level, found {what!r}.",
                    expected=f"{role}= a value.",
                )
        if not estimand._arm(role):
            raise EstimandError(
                f"{type(estimand).__name__} needs a level, found the natural course.",
                expected=f"{role}= a value.",
            )
    refuse_same_worlds(estimand)


def _at_level(estimand: Any, role: str, *, happens: bool) -> Condition:
    """Return the units whose treatment is at that level, with or without the event."""
    levels = {name: what.value for name, what in estimand._arm(role).items()}
    event = estimand.event if happens else Outside(estimand.event)
    return parse_given(levels) & Condition(((estimand.outcome, event),))


def _event_in(estimand: Any, notation: Notation, role: str, *, happens: bool) -> str:
    body = estimand._potential(notation, estimand._arm(role))
    return str(estimand.event.event(notation, body, happens=happens))
