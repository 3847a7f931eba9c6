r"""The proportion mediated: the share of the total effect that goes through the mediators.

.. math::

   PM = \frac{E[Y(1, M(1)) - Y(1, M(0))]}{E[Y(1) - Y(0)]} = 1 - \frac{NDE}{TE},

the indirect effect of the treated over the total effect, so that the shares of the direct and of
the indirect effect add up to one [1]_; without an interaction it is NIE / TE. It is identified
where these are. It says little where the total effect may be zero: the posterior of a ratio whose
denominator passes zero has no mean and wide tails, and where direct and indirect effect have
opposite signs it is no share of anything, below 0 or above 1.

References
----------
.. [1] T. J. VanderWeele, *Explanation in Causal Inference*, Oxford University Press, 2015,
   section 2.13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.effects.estimands.mediation import NDE
from bayescausal.effects.estimands.parsing import refuse_options
from bayescausal.effects.estimands.parts import Arm

if TYPE_CHECKING:
    import networkx as nx

    from bayescausal.effects.estimands.estimand import World
    from bayescausal.effects.estimands.notation import Notation
    from bayescausal.effects.estimands.parts import Teller

__all__ = ["ProportionMediated"]

#: Probability of one sign of the total effect below which a share of it says little.
SURE = 0.97


@dataclass(frozen=True, eq=False, repr=False)
class ProportionMediated(NDE):
    """The share of the total effect that goes through the mediators, ``1 - NDE / TE``.

    Parameters
    ----------
    treatment, outcome, mediators, treated, control
        As for :class:`~bayescausal.effects.estimands.NDE`.
    given, population, functional, by
        As for every question.

    References
    ----------
    T. J. VanderWeele, *Explanation in Causal Inference*, Oxford University Press, 2015.

    Examples
    --------
    >>> ProportionMediated("X", "Y", mediators="M").describe()
    '1 - E[Y(1, M(0)) - Y(0)] / E[Y(1) - Y(0)]'
    """

    kind: ClassVar[str] = "proportion mediated"
    identity: ClassVar = None  # type: ignore[assignment]
    beside: ClassVar = "nothing"  # type: ignore[assignment]
    called: ClassVar[str] = "the proportion mediated"
    signed: ClassVar[bool] = False  # type: ignore[misc]
    null: ClassVar[None] = None  # type: ignore[misc]
    multiplies: ClassVar[bool] = False  # type: ignore[misc]

    def _check(self) -> None:
        super()._check()
        refuse_options(self, scale="difference")

    def worlds(self, graph: nx.DiGraph | None = None) -> dict[str, World]:
        """Return the worlds of the total effect, and ``"direct"``, with M as in the control."""
        found = super().worlds(graph)
        return {"treated": self._arm("treated"), "control": found["control"],
                "direct": found["treated"]}  # fmt: skip

    def requested(self, graph: nx.DiGraph | None = None) -> tuple[Arm, ...]:
        """Return the arms of three worlds."""
        return tuple(Arm(name, name, self.condition) for name in ("treated", "control", "direct"))

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Return the share of each draw; NaN where there is no effect at all."""
        treated, control, direct = values[:3]
        total = treated - control
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(total == 0, np.nan, (treated - direct) / total))

    def doubts(self, values: np.ndarray) -> list[str]:
        """Return what a reader must know where the total effect may be zero."""
        total = np.asarray(values[0] - values[1])
        sure = max(float((total > 0).mean()), float((total < 0).mean()))
        if sure >= SURE:
            return []
        return [
            f"The total effect has one sign with probability {sure:.2f}: a share of an effect that "
            "may be zero says little, and its mean nothing. Look at the parts: TE, NDE and NIE."
        ]

    def claim(self, said: Teller, cell: dict[str, Any]) -> tuple[str, str]:
        """Return ``the share of the effect of X on Y that goes through M is 0.7``."""
        return f"{self._share()} is {said.text(cell['mean'], cell)}", ""

    def opening(self, said: Teller) -> str:
        """Return ``the share of the effect of X on Y that goes through M for each Z is``."""
        return f"{self._share()}{said.within()} is"

    def ask(self, said: Teller) -> str:
        """Return ``what share of the effect of X on Y goes through M``."""
        return f"what share of {self._effect()} goes through {self._through()}"

    def write(self, notation: Notation) -> str:
        """Return ``1 - E[Y(1, M(0)) - Y(0)] / E[Y(1) - Y(0)]``."""
        total = self._contrast(notation, *self._potentials(notation), self.given.write(notation))
        return f"1 - {notation.fraction(NDE.write(self, notation), total)}"

    def _effect(self) -> str:
        return f"the effect of {', '.join(self.treatments)} on {self.outcome_name}"

    def _through(self) -> str:
        return ", ".join(self.mediators or ()) or "the mediators"

    def _share(self) -> str:
        return f"the share of {self._effect()} that goes through {self._through()}"
