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

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.effects.estimands.averages import TreatmentEffect
from bayescausal.effects.estimands.conditions import Condition, Outside, parse_given
from bayescausal.effects.estimands.functionals import Mean, Probability
from bayescausal.effects.estimands.notation import PLAIN
from bayescausal.effects.estimands.parsing import refuse_options, refuse_same_worlds
from bayescausal.effects.estimands.parts import Arm, Sums
from bayescausal.effects.words.intervention import circumstance, quantity
from bayescausal.effects.words.subject import among, ask_contrast
from bayescausal.graph.identification.effect_query import EffectQuery
from bayescausal.types import EstimandError, Set

if TYPE_CHECKING:
    import networkx as nx

    from bayescausal.effects.estimands.notation import Notation
    from bayescausal.effects.estimands.parts import Teller

__all__ = ["ITE", "PN", "PNS", "PS"]


@dataclass(frozen=True, eq=False, repr=False)
class ITE(TreatmentEffect):
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
    >>> import bayescausal as bc
    >>> bc.ITE("X", "Y").describe()
    'Y(1) - Y(0), for each unit'
    >>> bc.ITE("X", "Y", functional=bc.Probability(below=0)).describe()
    'P(Y(1) - Y(0) < 0)'
    """

    kind: ClassVar[str] = "ite"
    strategy: ClassVar = "each unit"

    bounds: Any = field(default="model", kw_only=True)

    def query(self, graph: nx.DiGraph) -> EffectQuery:
        """Return the joint distribution of the outcome in two worlds."""
        return EffectQuery(self.title, self.treatments, self.outcome, joint=True)

    @property
    def per_unit(self) -> bool:
        """Whether the answer has the unit dims (the functional is the mean)."""
        return isinstance(self.functional, Mean)

    @property
    def null(self) -> float | None:
        """The scale's null for units and quantiles; None for a probability."""
        return None if isinstance(self.functional, Probability) else self.scale.null

    @property
    def signed(self) -> bool:
        """Whether each unit's effect is a difference; what is taken over units has no sign."""
        return self.per_unit and super().signed

    def claim(self, said: Teller, cell: dict[str, Any]) -> tuple[str, str]:
        """Return ``the share of units whose effect is below 0 is 0.2``."""
        if self.per_unit:
            return super().claim(said, cell)
        return f"{self._over(said.units)} is {said.text(cell['mean'], cell)}", ""

    def ask(self, said: Teller) -> str:
        """Return the question in words: what X does to Y, unit by unit or as a share of units."""
        if self.per_unit:
            return ask_contrast(self, said, self.outcome)
        return f"what is {self._over(said.units)}{among(said.units, self.given)}"

    def _over(self, units: str) -> str:
        """Return a functional of the distribution of unit effects in words."""
        scale = "" if self.scale.name == "difference" else f" ({self.scale.name})"
        change = f"the effect{scale} of {self.doing()} on {self.outcome}"
        if isinstance(self.functional, Probability):
            return f"the share of {units} for whom {self.functional.event(PLAIN, change)}"
        return f"{quantity(self.functional, change)[0]} over {units}"

    def write(self, notation: Notation) -> str:
        """Return ``Y(1) - Y(0), for each unit``."""
        effect = str(self.scale.write(notation, *self._potentials(notation)))
        given = self.given.write(notation)
        if not self.per_unit:
            return str(self.functional.write(notation, effect, given))
        each = "for each unit" + (" with " if given else "")
        return effect + (rf",\ \text{{{each}}}" if notation.latex else f", {each}") + given


@dataclass(frozen=True, eq=False, repr=False)
class Causation(TreatmentEffect):
    """What the probabilities of causation share. Use :class:`PN`, :class:`PS` or :class:`PNS`."""

    strategy: ClassVar = "causation"
    null: ClassVar[None] = None  # type: ignore[assignment,misc]
    signed: ClassVar[bool] = False  # type: ignore[misc]
    own: ClassVar[str | None] = None  # the level that the units themselves have, if it is known

    event: Any = field(default=None, kw_only=True)
    bounds: Any = field(default="model", kw_only=True)

    def _check(self) -> None:
        refuse_options(self, functional="mean", scale="difference")
        for role in ("treated", "control"):
            for name, what in self._arm(role).items():
                if not isinstance(what, Set):
                    raise EstimandError(
                        f"{self.title} needs {name!r} set to a level, found {what!r}.",
                        expected=f"{role}= a value.",
                    )
            if not self._arm(role):
                raise EstimandError(
                    f"{self.title} needs a level, found the natural course.",
                    expected=f"{role}= a value.",
                )
        refuse_same_worlds(self)

    @property
    def condition(self) -> Condition:
        """The units with what is known of them, treatment and event, and `given`."""
        if self.own is None:
            return self.given  # type: ignore[no-any-return]
        event = self.event if self.own == "treated" else Outside(self.event)
        return self.at(self.own) & Condition(((self.outcome, event),)) & self.given  # type: ignore[no-any-return]

    @property
    def subgroup(self) -> Condition:
        """`given`: the rest is what is asked."""
        return self.given  # type: ignore[no-any-return]

    def at(self, role: str) -> Condition:
        """Return the condition that a unit's own treatment is at the level of a role."""
        return parse_given({n: vars(what)["value"] for n, what in self._arm(role).items()})

    def query(self, graph: nx.DiGraph) -> EffectQuery:
        """Return the joint distribution of the outcome in two worlds, given what is known."""
        known = self.own is not None
        asked = EffectQuery(self.title, self.treatments, self.outcome, joint=True)
        return replace(asked, own_treatment=known, own_outcome=known)

    def claim(self, said: Teller, cell: dict[str, Any]) -> tuple[str, str]:
        """Return ``the probability of necessity is 0.4``."""
        return f"{self.subject(said.units)} is {said.text(cell['mean'], cell)}", ""

    def opening(self, said: Teller) -> str:
        """Return ``the probability of necessity for each value of Z is``."""
        return f"{self.subject(said.units)}{said.within()} is"

    def ask(self, said: Teller) -> str:
        """Return ``what is the probability of necessity``."""
        return f"what is {self.subject(said.units)}"

    def subject(self, units: str = "units") -> str:
        """Return which probability it is, in words."""
        there = "control" if self.own == "treated" else "treated"
        would = f"the probability of {self._happens(there)} with {circumstance(self._arm(there))}"
        if self.own is None:
            other = f"{self._happens('control')} with {circumstance(self._arm('control'))}"
            return f"{would} and {other}"
        return f"among {units} with {self.condition.describe()}, {would} instead"

    def _happens(self, role: str) -> str:
        """Return the event in the treated world, its complement in the control world."""
        event: Probability = self.event
        return event.event(PLAIN, self.outcome, happens=role == "treated")

    def _would(self, notation: Notation, role: str) -> str:
        body = self._potential(notation, self._arm(role))
        return str(self.event.event(notation, body, happens=role == "treated"))

    def write(self, notation: Notation) -> str:
        """Return the probability of what would be, given what is known."""
        worlds = {"treated": ("control",), "control": ("treated",), None: ("treated", "control")}
        would = ", ".join(self._would(notation, role) for role in worlds[self.own])
        return notation.paren("P", would, self.condition.write(notation))

    # ------------------------------------------------------- what the data alone allow

    def known(self, p1: np.ndarray, p0: np.ndarray) -> np.ndarray:
        """Return the chance of what is known of a unit, from its chances of the event."""
        return np.ones_like(p1)

    def total(self, s: Sums) -> np.ndarray:
        """Return the sum over units of the chance of what is known of them."""
        return s.weight

    def frechet(self, s: Sums) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds within each unit's covariates and latents, averaged."""
        low, high = (s.at_low, s.at_high) if self.own else (s.low, s.high)
        return low / self.total(s), high / self.total(s)

    def tian_pearl(self, s: Sums) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds from the margins alone: equations (19), (24), (25) of [1]_."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, repr=False)
class PN(Causation):
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
    >>> import bayescausal as bc
    >>> bc.PN("X", "Y").describe()
    'P(Y(0) != 1 | X=1, Y=1)'
    """

    kind: ClassVar[str] = "pn"
    own: ClassVar[str | None] = "treated"

    def requested(self, graph: nx.DiGraph | None = None) -> tuple[Arm, ...]:
        """Return how often the event happens in the control world, to those who had it."""
        return (Arm("control", "control", self.condition, self.event),)

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Return how often it does not."""
        return np.asarray(1.0 - values[0])

    def known(self, p1: np.ndarray, p0: np.ndarray) -> np.ndarray:
        """Return the chance of the event with the treatment."""
        return p1

    def total(self, s: Sums) -> np.ndarray:
        """Return the number of the treated with the event."""
        return s.at_p

    def tian_pearl(self, s: Sums) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(P(y) - P(y_x')) / P(x, y)`` and ``(P(y'_x') - P(x', y')) / P(x, y)``."""
        _, y0, xy, x_y, _, x_n, _ = s.margins
        return (xy + x_y - y0) / xy, ((1.0 - y0) - x_n) / xy


@dataclass(frozen=True, eq=False, repr=False)
class PS(Causation):
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
    >>> import bayescausal as bc
    >>> bc.PS("X", "Y").describe()
    'P(Y(1)=1 | X=0, Y != 1)'
    """

    kind: ClassVar[str] = "ps"
    own: ClassVar[str | None] = "control"

    def requested(self, graph: nx.DiGraph | None = None) -> tuple[Arm, ...]:
        """Return how often the event happens in the treated world, to those without it."""
        return (Arm("treated", "treated", self.condition, self.event),)

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Return just that."""
        return values[0]

    def known(self, p1: np.ndarray, p0: np.ndarray) -> np.ndarray:
        """Return the chance that the event does not happen without the treatment."""
        return 1.0 - p0

    def total(self, s: Sums) -> np.ndarray:
        """Return the number of the untreated without the event."""
        return s.at_weight - s.at_p

    def tian_pearl(self, s: Sums) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(P(y_x) - P(y)) / P(x', y')`` and ``(P(y_x) - P(x, y)) / P(x', y')``."""
        y1, _, xy, x_y, _, x_n, other = s.margins
        return (y1 - (xy + x_y) - other) / x_n, (y1 - xy) / x_n


@dataclass(frozen=True, eq=False, repr=False)
class PNS(Causation):
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
    >>> import bayescausal as bc
    >>> bc.PNS("X", "Y").describe()
    'P(Y(1)=1, Y(0) != 1)'
    """

    kind: ClassVar[str] = "pns"

    def requested(self, graph: nx.DiGraph | None = None) -> tuple[Arm, ...]:
        """Return how often the event happens in the treated world and not in the control's."""
        return (Arm("treated", "treated", self.condition, self.event, without="control"),)

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Return just that."""
        return values[0]

    def tian_pearl(self, s: Sums) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of equation (19), with units at other levels of the treatment."""
        y1, y0, xy, x_y, xn, x_n, other = s.margins
        low = [y1 - y0, xy + x_y - y0, y1 - (xy + x_y) - other]
        high = [y1, 1.0 - y0, xy + x_n + other, y1 - y0 + xn + x_y + other]
        return np.maximum.reduce(low), np.minimum.reduce(high)
