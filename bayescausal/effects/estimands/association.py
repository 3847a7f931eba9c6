r"""What is seen: the observed contrast of two groups of units.

.. math:: E[Y \mid X = 1] - E[Y \mid X = 0]

Groups differ in whatever made them, worlds only in what was done; so it equals the average effect
only without confounding.

References
----------
J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.effects.estimands.conditions import Condition, parse_given
from bayescausal.effects.estimands.estimand import Estimand
from bayescausal.effects.estimands.parts import NATURAL, Arm
from bayescausal.effects.words.subject import among, odds_of, on_scale, told_as
from bayescausal.graph.identification.effect_query import EffectQuery
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    import networkx as nx

    from bayescausal.effects.estimands.notation import Notation
    from bayescausal.effects.estimands.parsing import World
    from bayescausal.effects.estimands.parts import Teller

__all__ = ["Association"]


@dataclass(frozen=True, eq=False, repr=False)
class Association(Estimand):
    """The observed contrast, ``E[Y | X=1] - E[Y | X=0]``: rung one, from the same model.

    Parameters
    ----------
    x, y : str
        The two variables. Nothing says that x comes first.
    treated, control : level or (low, high)
        The two groups of units that are compared. Of a continuous x hardly two units have one
        value, so name ranges, either end of which may be None.
    scale : str or EffectScale
        How the two numbers are combined.
    given, population, functional, by
        As for every question (:class:`Estimand`).

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Association("dilution", "coating").describe()
    'E[coating | dilution=1] - E[coating | dilution=0]'
    """

    kind: ClassVar[str] = "association"
    beside: ClassVar = "nothing"
    remark: ClassVar[str] = "An association: what is seen, not what would be done."

    x: str
    y: str
    treated: Any = field(default=1, kw_only=True)
    control: Any = field(default=0, kw_only=True)
    scale: Any = field(default="difference", kw_only=True)

    def _check(self) -> None:
        if not all(isinstance(name, str) and name for name in (self.x, self.y)) or self.x == self.y:
            raise EstimandError(
                f"Association of {self.x!r} and {self.y!r}.", expected="Two different variables."
            )
        arms = self.arms
        if arms["treated"].describe() == arms["control"].describe():
            raise EstimandError(
                f"Association: treated and control are the same group, "
                f"{arms['treated'].describe()}.",
                remedy="Name two different levels.",
            )

    @property
    def outcome_name(self) -> str:
        """Name of the outcome."""
        return self.y

    @property
    def arms(self) -> dict[str, Condition]:
        """The two groups, ``"treated"`` and ``"control"``, each with `given`."""
        return {
            role: parse_given({self.x: getattr(self, role)}) & self.given
            for role in ("treated", "control")
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Every variable the question mentions, each once."""
        return tuple(dict.fromkeys((self.x, self.y, *self.given.reads, *self.by)))

    def worlds(self, graph: nx.DiGraph | None = None) -> dict[str, World]:
        """Return the natural course, the only world: ``"expected"``."""
        return {"expected": {}}

    @property
    def grouped_by(self) -> str:  # type: ignore[override]
        """The variable that forms the two groups."""
        return self.x

    def requested(self, graph: nx.DiGraph | None = None) -> tuple[Arm, ...]:
        """Return the outcome of the two groups, as things are."""
        return tuple(Arm(role, NATURAL, group) for role, group in self.arms.items())

    def query(self, graph: nx.DiGraph) -> EffectQuery:
        """Return a property of what is observed: nothing has to be identified."""
        return EffectQuery(self.title, (self.x,), self.y, seen=True)

    def if_empty(self, condition: str, column: np.ndarray | None) -> str:
        """Return two ranges that units have, where a group of one value of x is empty."""
        if f"{self.x}=" not in condition:
            return super().if_empty(condition, column)
        middle = 0.5
        if column is not None and column.dtype.kind in "iuf":
            seen = np.unique(column[np.isfinite(column)])
            middle = float(f"{np.median(column[np.isfinite(column)]):.3g}")
            if len(seen) > 1 and not seen[0] <= middle < seen[-1]:
                middle = float(seen[0])
        return (
            f"A continuous variable has next to no two units of one value: compare two ranges, as "
            f"Association({self.x!r}, {self.y!r}, treated=({middle:g}, None), "
            f"control=(None, {middle:g}))."
        )

    @property
    def groups(self) -> tuple[str, str]:
        """The two groups in words, without `given`."""
        levels = ({self.x: getattr(self, role)} for role in ("treated", "control"))
        here, there = (parse_given(each).describe() for each in levels)
        return here, there

    def claim(self, said: Teller, cell: dict[str, Any]) -> tuple[str, str]:
        """Return ``where X=1, Y is higher by 2 than where X=0``; and ``on average``."""
        (what, _), (noun, _) = said.quantity(), said.quantity(noun=True)
        here, there = self.groups
        value = said.text(cell["mean"], cell)
        match self.scale.name:
            case "difference":
                side, size = said.side(cell), said.text(abs(cell["mean"]), cell)
                differs = f"differs by {said.with_sign(cell)} from"
                differs = f"is {side} by {size} than" if side else differs
                return f"where {here}, {what} {differs} where {there}", said.taken()
            case "ratio":
                return f"where {here}, {noun} is {value} times that where {there}", ""
            case "odds ratio":
                odds = odds_of(self)
                return f"where {here}, the odds of {odds} are {value} times those where {there}", ""
            case name:
                return f"where {here}, {noun} differs by a {name} of {value} from where {there}", ""

    def opening(self, said: Teller) -> str:
        """Return ``where X=1 against where X=0, Y on average``."""
        here, there = self.groups
        return f"where {here} against where {there},{on_scale(self, said)}{said.within()}"

    def ask(self, said: Teller) -> str:
        """Return ``how does Y on average differ where X=1 from where X=0``."""
        here, there = self.groups
        what = f"{said.quantity()[0]}{said.taken()}"
        whom = among(said.units, self.given)
        return f"how does {what} differ where {here} from where {there}{whom}{told_as(self)}"

    def label(self) -> str:
        """Return ``Association x -- y``."""
        given = f" given {self.given.describe()}" if self.given else ""
        return f"Association {self.x} -- {self.y}{given}"

    def write(self, notation: Notation) -> str:
        """Return ``E[Y | X=1] - E[Y | X=0]``."""
        body = notation.name(self.y)
        parts = (
            self.functional.write(notation, body, arm.write(notation)) for arm in self.arms.values()
        )
        return str(self.scale.write(notation, *parts))
