r"""Effects on those who were treated, and on those who were not.

.. math:: ATT = E[Y_1 - Y_0 \mid X = 1], \qquad ATU = E[Y_1 - Y_0 \mid X = 0].

The groups are those of the factual world, the outcomes those of two others, so these are
counterfactual questions, even though an average does not depend on how noise is shared. With a
two-valued treatment and differences, ``ATE = p ATT + (1 - p) ATU``. For a continuous treatment a
group is a range, whose members keep their own treatment in their own world.

They differ from the ATE wherever the treated differ in something that modifies the effect, and have
no answer where nobody is in the group.

References
----------
J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 8.2.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.effects.estimands.averages import GROUPS, TreatmentEffect
from bayescausal.effects.estimands.conditions import Condition, parse_given
from bayescausal.effects.estimands.parsing import World, as_world, refuse_same_worlds
from bayescausal.graph.identification.effect_query import EffectQuery
from bayescausal.types import EstimandError, Set

if TYPE_CHECKING:
    import networkx as nx

    from bayescausal.effects.estimands.notation import Notation

__all__ = ["ATT", "ATU"]


@dataclass(frozen=True, eq=False, repr=False)
class OwnTreatment(TreatmentEffect):
    """The effect on those whose own treatment is at the level of one role: see ATT and ATU."""

    identity: ClassVar = GROUPS
    group: ClassVar[str]

    def _check(self) -> None:
        """Refuse a group that is not a value or a range."""
        for name, level in self._levels(self.group).items():
            value = level.value if isinstance(level, Set) else level
            if not isinstance(value, tuple) and (
                value is None or hasattr(value, "describe") or np.ndim(value) != 0
            ):
                raise EstimandError(
                    f"{self.title}: nobody can be said to be at {self.group}={level!r} of "
                    f"{name!r}.",
                    expected=f"{self.group}= a value, or a range (low, high).",
                    remedy="For a modified treatment ask ATE or CATE with given=.",
                )
        self._arm(self.group)
        self._members()
        refuse_same_worlds(self)

    def _levels(self, role: str) -> dict[str, Any]:
        level = getattr(self, role)
        levels = (level,) if isinstance(self.treatment, str) else level
        return dict(zip(self.treatments, levels, strict=True))

    def _members(self) -> Condition:
        levels = self._levels(self.group)
        return parse_given({k: v.value if isinstance(v, Set) else v for k, v in levels.items()})

    def _arm(self, role: str) -> World:
        """Return the world of a role; in their own world a range leaves units as they are."""
        levels = self._levels(role)
        if role == self.group:
            levels = {k: None if isinstance(v, tuple) else v for k, v in levels.items()}
        return as_world(levels)

    @property
    def condition(self) -> Condition:
        """The units whose own treatment is at the level of the group, and `given`."""
        return self._members() & self.given  # type: ignore[no-any-return]

    def query(self, graph: nx.DiGraph) -> EffectQuery:
        """Return ``P(Y_x' | X = x)``: each unit's own treatment is known."""
        return EffectQuery(self.title, self.treatments, self.outcome, own_treatment=True)

    def write(self, notation: Notation) -> str:
        """Return ``E[Y(1) - Y(0) | X=x]``, x the level of the group."""
        return self._contrast(notation, *self._potentials(notation), self.condition.write(notation))


@dataclass(frozen=True, eq=False, repr=False)
class ATT(OwnTreatment):
    """The average effect on the treated, ``E[Y(1) - Y(0) | X=1]``.

    Parameters
    ----------
    treatment, outcome, treated, control, scale
        As for :class:`ATE`. ``treated=(low, high)`` are the units whose treatment lies in that
        range; each keeps its own treatment in the treated world: ``E[Y - Y(0) | 1 <= X <= 2]``.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    Raises
    ------
    EstimandError
        As for :class:`ATE`, and where nobody can be said to be treated.

    References
    ----------
    J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 8.2.5.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.ATT("dilution", "coating").describe()
    'E[coating(1) - coating(0) | dilution=1]'
    """

    kind: ClassVar[str] = "att"
    group: ClassVar[str] = "treated"


@dataclass(frozen=True, eq=False, repr=False)
class ATU(OwnTreatment):
    """The average effect on the untreated, ``E[Y(1) - Y(0) | X=0]``.

    Parameters
    ----------
    treatment, outcome, treated, control, scale
        As for :class:`ATE`. ``control=(low, high)`` are the units whose treatment lies in that
        range; each keeps its own treatment in the control world.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    Raises
    ------
    EstimandError
        As for :class:`ATE`, and where nobody can be said to be untreated.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.ATU("dilution", "coating").describe()
    'E[coating(1) - coating(0) | dilution=0]'
    """

    kind: ClassVar[str] = "atu"
    group: ClassVar[str] = "control"
