r"""The effect on the overlap population: those whose treatment was most open.

.. math::

   \frac{E[w\,(Y_1 - Y_0)]}{E[w]}, \qquad w = e(Z)\,(1 - e(Z)), \qquad e(z) = P(X = 1 \mid z),

with `Z` the causes of the treatment in the model and `e` the model's own chance, in each posterior
draw [1]_. Units that nearly always, or nearly never, are treated weigh next to nothing, so the
answer does not rest on the form of the model where there is no overlap; of all weights by `e` these
estimate with the least variance where the outcome's is the same for all. The price is another
population: where the effect differs between units it is not the average effect, and with a common
effect, or a treatment by lot, the two are one number.

References
----------
.. [1] F. Li, K. L. Morgan and A. M. Zaslavsky, "Balancing covariates via propensity score
   weighting", Journal of the American Statistical Association 113 (2018), 390-400.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.effects.estimands.averages import TreatmentEffect
from bayescausal.effects.estimands.parsing import refuse_options, refuse_same_worlds
from bayescausal.effects.estimands.parts import Weighting
from bayescausal.effects.words.subject import on_scale
from bayescausal.graph.identification.effect_query import EffectQuery
from bayescausal.graph.structure.marks import nameless
from bayescausal.types import EstimandError, Set

if TYPE_CHECKING:
    import networkx as nx

    from bayescausal.effects.estimands.notation import Notation
    from bayescausal.effects.estimands.parts import Teller

__all__ = ["ATO"]


def _overlap(chance: np.ndarray) -> np.ndarray:
    """Return what a unit weighs: most where both treatments were as likely."""
    return chance * (1.0 - chance)


@dataclass(frozen=True, eq=False, repr=False)
class ATO(TreatmentEffect):
    """The average effect on the overlap population, each unit weighted by ``e(1 - e)``.

    Parameters
    ----------
    treatment : str
        One treatment of two values, with a distribution in the model.
    outcome, treated, control, scale
        As for :class:`~bayescausal.effects.estimands.ATE`.
    given, population, by
        As for every question (:class:`Estimand`). The functional is the mean.

    Raises
    ------
    EstimandError
        As for :class:`~bayescausal.effects.estimands.ATE`, for several treatments, levels that are
        no single value, and a subgroup formed by the treatment; when it is answered, for a
        treatment without a distribution or with other than two values.

    References
    ----------
    F. Li, K. L. Morgan and A. M. Zaslavsky, "Balancing covariates via propensity score weighting",
    Journal of the American Statistical Association 113 (2018), 390-400.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.ATO("X", "Y").describe()
    'E[w (Y(1) - Y(0))] / E[w], w = e(1 - e), e = P(X=1 | pa(X))'
    """

    kind: ClassVar[str] = "ato"
    called: ClassVar[str] = "the effect on those whose treatment was most open: overlap weights"

    def _check(self) -> None:
        refuse_options(self, functional="mean")
        if not isinstance(self.treatment, str):
            raise EstimandError("ATO is about one treatment.", expected="One name.")
        for role in ("treated", "control"):
            what = self._arm(role).get(self.treatment)
            if not isinstance(what, Set) or np.ndim(what.value):
                found = "the natural course" if what is None else repr(what)
                raise EstimandError(
                    f"ATO compares two levels of {self.treatment!r}, found {found}.",
                    expected=f"{role}= a value.",
                )
        if self.treatment in self.given.reads:
            raise EstimandError(
                f"ATO weights units by their chance of {self.treatment!r}, and the subgroup is "
                "formed by it.",
                remedy="Ask ATT or ATU.",
            )
        refuse_same_worlds(self)

    @property
    def weighting(self) -> Weighting:
        """``e(1 - e)``, with e the chance of the treated level."""
        level = vars(self._arm("treated")[self.treatment])["value"]
        return Weighting(self.treatment, level, _overlap)

    def query(self, graph: nx.DiGraph) -> EffectQuery:
        """Return ``P(y | do(x), z)`` given the causes of the treatment, which make the weights."""
        causes = graph.predecessors(self.treatment) if self.treatment in graph else ()
        given = tuple(name for name in causes if name not in nameless(graph))
        return EffectQuery(self.title, self.treatments, self.outcome, given, weighing=True)

    # ------------------------------------------------------------------------- words

    def claim(self, said: Teller, cell: dict[str, Any]) -> tuple[str, str]:
        """Return ``raising X from 0 to 1 raises Y by 2``; and ``on average, by overlap``."""
        start, taken = super().claim(said, cell)
        return start, f"{taken}, weighted by overlap,"

    def opening(self, said: Teller) -> str:
        """Return ``raising X from 0 to 1 changes Y on average, weighted by overlap,``."""
        return f"{self.doing()} changes{on_scale(self, said)}, weighted by overlap,{said.within()}"

    def write(self, notation: Notation) -> str:
        """Return ``E[w (Y(1) - Y(0))] / E[w], w = e(1 - e), e = P(X=1 | pa(X))``."""
        given, signed = self.given.write(notation), self.signed
        treated, control = self._potentials(notation)

        def mean(body: str) -> str:
            above = notation.bracket("E", f"w {body}", given)
            answer = notation.fraction(above, notation.bracket("E", "w", given))
            return answer if notation.latex or signed else f"({answer})"

        if signed:
            answer = mean(f"({treated} - {control})")
        else:
            answer = str(self.scale.write(notation, mean(treated), mean(control)))
        name = notation.name(self.treatment)
        causes = rf"\mathrm{{pa}}({name})" if notation.latex else f"pa({name})"
        level = notation.intervention(self.treatment, self._arm("treated")[self.treatment])
        comma = r",\ " if notation.latex else ", "
        return comma.join((answer, "w = e(1 - e)", f"e = {notation.paren('P', level, causes)}"))
