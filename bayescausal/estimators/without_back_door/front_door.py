r"""The front door: the effect read off what carries it, whatever treatment and outcome share.

With mediators M that intercept every directed path,

.. math:: E[Y \mid do(t)] = \sum_m P(m \mid t) \sum_{t'} E[Y \mid m, t']\, P(t') .

The inner sum is a function of m, a regression of the outcome on the mediators in each arm, averaged
over the arms' shares; the outer is its mean among the units at level t, so no model of the
mediators is needed [1]_. Consistent if the regressions are right (of one mediator with few values,
saturated, they always are) and the graph is: no common cause of treatment and mediators, nor of
mediators and outcome beside the treatment. It fails where the treatment leaves the mediators no
spread.

References
----------
.. [1] J. Pearl, "Causal diagrams for empirical research", Biometrika 82 (1995), 669-688.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.estimators.estimator import Estimator, Prepared
from bayescausal.estimators.nuisance.outcome import response
from bayescausal.estimators.problem.encoding import far_means, independent, is_number, refuse_holes
from bayescausal.types import EstimandError, IdentificationError

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["FrontDoor"]

#: A mediator of so many values or fewer has an indicator of each.
FEW = 8


@dataclass(frozen=True)
class FrontDoor(Estimator):
    """The effect through mediators that intercept every directed path.

    Parameters
    ----------
    mediators : tuple of str, optional
        Default: the first front-door set that identification finds.
    outcome : {"auto", "linear", "logistic"}
        The regression of the outcome on the mediators in each arm.

    References
    ----------
    J. Pearl, "Causal diagrams for empirical research", Biometrika 82 (1995), 669-688.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.FrontDoor().assumes
    'the regression of the outcome on mediators is right in each arm'
    """

    name: ClassVar[str] = "front_door"
    models: ClassVar[str] = "outcome"
    assumes: ClassVar[str] = "the regression of the outcome on mediators is right in each arm"
    rests_on: ClassVar[str] = "front door"
    groups: ClassVar[tuple[str, ...]] = ("all",)

    mediators: tuple[str, ...] | None = None
    outcome: Any = "auto"

    def __post_init__(self) -> None:
        if self.mediators is not None:
            named = (self.mediators,) if isinstance(self.mediators, str) else self.mediators
            object.__setattr__(self, "mediators", tuple(named))
        if not isinstance(self.outcome, str):
            raise EstimandError(
                f"outcome={type(self.outcome).__name__}.",
                expected="'auto', 'linear' or 'logistic'.",
            )

    def check(self, problem: Problem) -> None:
        """Refuse a problem without a front door."""
        super().check(problem)
        self._chosen(problem)

    def _chosen(self, problem: Problem) -> tuple[str, ...]:
        sets = [frozenset(s) for s in problem.identification.frontdoor_sets]
        if not sets:
            raise IdentificationError(
                f"No set of measured variables is a front door from {problem.treatment} to "
                f"{problem.outcome}.",
                expected="mediators that intercept every directed path and share no cause with "
                "treatment or outcome.",
            )
        if self.mediators is None:
            return tuple(sorted(sets[0]))
        if frozenset(self.mediators) not in sets:
            shown = " or ".join("{" + ", ".join(sorted(s)) + "}" for s in sets[:3])
            raise IdentificationError(
                f"{', '.join(self.mediators)} is no front door in this graph.",
                expected=f"{shown}.",
            )
        return self.mediators

    def prepared(self, problem: Problem) -> Prepared:
        """Return the two sums, ready for any weights."""
        names = self._chosen(problem)
        table = dict(problem.table)
        for name in names:
            values = table[name]
            refuse_holes(*problem.encoded((name,)), "the front door")
            if is_number(values) and 2 < len(np.unique(values)) <= FEW:
                table[name] = np.array([str(v) for v in values.tolist()], dtype=object)
        columns, labels = replace(problem, table=table).encoded(names)
        kept, ties = independent(columns, labels)
        x = columns[:, kept] - far_means(columns[:, kept])
        inner = replace(problem, x=x, names=tuple(labels[j] for j in kept), _kept={})
        model = response(inner, self.outcome)
        arms = (problem.treated, problem.control)

        def draw(weights: np.ndarray) -> np.ndarray:
            fitted = model.under(weights)
            shares = [(weights * arm).sum(axis=1) for arm in arms]
            found = []
            for arm in arms:
                own = weights * arm
                total = sum(share * fitted.total(k, own) for k, share in enumerate(shares))
                found.append(total / own.sum(axis=1) / (shares[0] + shares[1]))
            return np.stack(found)

        return Prepared(
            draw,
            self.draws_text(problem),
            notes=(f"Through {', '.join(names)}.", *ties),
        )
