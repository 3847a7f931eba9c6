r"""Averages over worlds: expected outcomes, average and controlled effects.

.. math::

   E[Y \mid do(x)], \qquad
   E[Y \mid do(1), Z] - E[Y \mid do(0), Z], \qquad
   E[Y \mid do(1, m)] - E[Y \mid do(0, m)].

The first is one world, the others compare worlds. A controlled direct effect holds the mediators at
one value for everyone; it needs fewer assumptions than a natural direct effect and does not add up
with an indirect one.

References
----------
J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, sections 3.2 and 4.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bayescausal.effects.estimands.estimand import NATURAL_UNLESS_SET, Estimand
from bayescausal.effects.estimands.parsing import World, mapping_world, refuse_same_worlds
from bayescausal.effects.estimands.parts import Identity
from bayescausal.effects.words.intervention import circumstance
from bayescausal.effects.words.subject import among
from bayescausal.graph.identification.effect_query import EffectQuery
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np

    from bayescausal.effects.estimands.notation import Notation
    from bayescausal.effects.estimands.parts import Teller

__all__ = ["ATE", "CATE", "CDE", "GROUPS", "Contrast", "Expected", "TreatmentEffect"]

#: Of a treatment of two values, whose effect is that on the treated and that on the others.
GROUPS = Identity("ATE = p ATT + (1 - p) ATU", two_valued=True)


@dataclass(frozen=True, eq=False, repr=False)
class Expected(Estimand):
    """The expected outcome in one world, ``E[Y | do(X=1)]``.

    Parameters
    ----------
    outcome : str
        The outcome.
    do : mapping of str to level, optional
        What is done; None is the natural course, ``E[Y]``.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Expected("coating", {"dilution": 1}).describe()
    'E[coating | do(dilution=1)]'
    """

    kind: ClassVar[str] = "expected"
    beside: ClassVar = "nothing"

    outcome: str
    do: Any = None

    def _check(self) -> None:
        self._put("do", mapping_world(self.do, "do"))

    @property
    def treatments(self) -> tuple[str, ...]:
        """Names of the variables that are intervened on."""
        return tuple(self.do or ())

    def worlds(self, graph: nx.DiGraph | None = None) -> dict[str, World]:
        """Return the one world, ``"expected"``."""
        return {"expected": dict(self.do)}

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Return the number of the one world."""
        return values[0]

    def claim(self, said: Teller, cell: dict[str, Any]) -> tuple[str, str]:
        """Return ``with X held at 1, Y is 2.1``; and ``on average``."""
        what, _ = said.quantity()
        return f"{self._as_done()}, {what} is {said.text(cell['mean'], cell)}", said.taken()

    def opening(self, said: Teller) -> str:
        """Return ``with X held at 1, Y on average for each value of Z is``."""
        return f"{self._as_done()}, {said.quantity()[0]}{said.taken()}{said.within()} is"

    def ask(self, said: Teller) -> str:
        """Return ``what is Y on average with X held at 1``."""
        what = f"{said.quantity()[0]}{said.taken()}"
        return f"what is {what}{among(said.units, self.given)} {self._as_done()}"

    def _as_done(self) -> str:
        done = circumstance(self.do)
        return f"with {done}" if done else "as things are"

    def write(self, notation: Notation) -> str:
        """Return ``E[Y | do(X=1)]``."""
        return self._expected(notation, self.do)


@dataclass(frozen=True, eq=False, repr=False)
class TreatmentEffect(Estimand):
    """What most effects have: a treatment at two levels, one outcome, and a scale."""

    treatment: Any
    outcome: str
    treated: Any = field(default=1, kw_only=True)
    control: Any = field(default=NATURAL_UNLESS_SET, kw_only=True)
    scale: Any = field(default="difference", kw_only=True)

    def _check(self) -> None:
        refuse_same_worlds(self)

    def _potentials(self, notation: Notation) -> tuple[str, str]:
        """Return ``Y(1)`` and ``Y(0)``."""
        worlds = self.worlds()
        one, zero = (self._potential(notation, worlds[role]) for role in ("treated", "control"))
        return one, zero


@dataclass(frozen=True, eq=False, repr=False)
class ATE(TreatmentEffect):
    """The average treatment effect, ``E[Y | do(X=1)] - E[Y | do(X=0)]``.

    Parameters
    ----------
    treatment : str or list of str
        The treatment, or several, with lists of levels.
    outcome : str
        The outcome.
    treated, control : level, Intervention or None
        The two worlds; None is the natural course, which is also the default control where
        the treatment is modified (``treated=Shift(1)``).
    scale : str or EffectScale
        How the worlds are combined: ``"difference"``, ``"ratio"``, ``"log ratio"``,
        ``"odds ratio"``.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    Raises
    ------
    EstimandError
        If the question is not well posed: a level that is not finite, equal worlds, the
        outcome among the treatments, an unknown option.

    References
    ----------
    J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 3.2.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.ATE("dilution", "coating").describe()
    'E[coating | do(dilution=1)] - E[coating | do(dilution=0)]'
    """

    kind: ClassVar[str] = "ate"
    identity: ClassVar = GROUPS


@dataclass(frozen=True, eq=False, repr=False)
class CATE(TreatmentEffect):
    """The average effect in a subgroup, ``E[Y | do(X=1), Z=1] - E[Y | do(X=0), Z=1]``.

    It conditions on Z and never sets it.

    Parameters
    ----------
    treatment, outcome, treated, control, scale
        As for :class:`ATE`.
    given : mapping, mask or callable
        The subgroup; required.
    population, functional, by
        As for every question (:class:`Estimand`).

    Raises
    ------
    EstimandError
        As for :class:`ATE`, and without a subgroup.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.CATE("X", "Y", given={"Z": 1}).describe()
    'E[Y | do(X=1), Z=1] - E[Y | do(X=0), Z=1]'
    """

    kind: ClassVar[str] = "cate"

    def _check(self) -> None:
        if not self.given:
            raise EstimandError(
                "CATE needs a subgroup.",
                remedy="Pass given={'Z': 1}; for everyone ask ATE, for each level of Z pass by='Z'"
                " to ATE.",
            )
        refuse_same_worlds(self)


@dataclass(frozen=True, eq=False, repr=False)
class CDE(TreatmentEffect):
    """The controlled direct effect, ``E[Y | do(X=1, M=m)] - E[Y | do(X=0, M=m)]``.

    Parameters
    ----------
    treatment, outcome, treated, control, scale
        As for :class:`ATE`.
    mediators : mapping of str to level
        Where each mediator is held, in both worlds.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    Raises
    ------
    EstimandError
        As for :class:`ATE`, and if the mediators are no mapping or hold treatment or outcome.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.CDE("X", "Y", mediators={"M": 0}).describe()
    'E[Y | do(X=1, M=0)] - E[Y | do(X=0, M=0)]'
    """

    kind: ClassVar[str] = "cde"
    beside: ClassVar = "part"
    called: ClassVar[str] = "the controlled direct effect: the mediators held"

    mediators: Any = field(kw_only=True)

    def _check(self) -> None:
        held = mapping_world(self.mediators, "mediators")
        if not held:
            raise EstimandError(
                "CDE needs the values at which the mediators are held.",
                expected="mediators={'M': m}.",
                remedy="Without them ask NDE.",
            )
        for name in (*self.treatments, self.outcome):
            if name in held:
                raise EstimandError(f"{name!r} is a mediator and the treatment or outcome too.")
        self._put("mediators", held)
        refuse_same_worlds(self)

    def query(self, graph: nx.DiGraph) -> EffectQuery:
        """Return ``P(y | do(x, m))``."""
        held = tuple(self.mediators)
        return EffectQuery(
            self.title, self.treatments, self.outcome, mediators=held, controlled=True
        )

    def _arm(self, role: str) -> World:
        return super()._arm(role) | self.mediators  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False, repr=False)
class Contrast(Estimand):
    """Any two worlds, ``E[Y | do(...)] - E[Y | do(...)]``.

    Parameters
    ----------
    outcome : str
        The outcome.
    treated, control : mapping of str to level
        What is done in each world; None or an empty mapping is the natural course.
    scale : str or EffectScale
        How the worlds are combined.
    coupling : str or mapping, optional
        How a discrete variable's noise is shared between worlds, where the answer depends on
        it: ``"monotone"``, ``"gumbel"``, or a mapping by variable.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    Raises
    ------
    EstimandError
        If the worlds are the same, or a level is not finite.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Contrast("Y", {"X": 1, "W": 0}).describe()
    'E[Y | do(X=1, W=0)] - E[Y]'
    """

    kind: ClassVar[str] = "contrast"
    beside: ClassVar = "nothing"

    outcome: str
    treated: Any
    control: Any = None
    scale: Any = field(default="difference", kw_only=True)

    def _check(self) -> None:
        self._put("treated", mapping_world(self.treated, "treated"))
        self._put("control", mapping_world(self.control, "control"))
        if self.outcome in self.treatments:
            raise EstimandError(f"The outcome {self.outcome!r} is set, so nothing is asked.")
        refuse_same_worlds(self)

    @property
    def treatments(self) -> tuple[str, ...]:
        """Names of all variables that are intervened on in either world."""
        return tuple(dict.fromkeys((*self.treated, *(self.control or ()))))

    def worlds(self, graph: nx.DiGraph | None = None) -> dict[str, World]:
        """Return the two worlds, ``"treated"`` and ``"control"``."""
        return {"treated": dict(self.treated), "control": dict(self.control)}
