r"""What every estimator is: a frozen value with its options that turns a problem into draws.

An estimator is *prepared* for a problem: what does not change with the weights (designs, matches,
cross-fitted predictions) is computed once, and what comes back gives the means of the outcome in
the two worlds for any block of weights. A new estimator is one file: a subclass of
:class:`Estimator` that says what it models and assumes, and its :meth:`~Estimator.prepared`.

What its draws are is part of the answer. *Refitted*: all models are fitted anew under the weights
of each draw, so that the draws hold what is not known of them. *Influence*: models are fitted once
(on other folds than those they predict), and the weights act on each unit's contribution to the
answer; this is right to first order where errors of the models enter as a product [1]_.

References
----------
.. [1] V. Chernozhukov, D. Chetverikov, M. Demirer, E. Duflo, C. Hansen, W. Newey and J. Robins,
   "Double/debiased machine learning for treatment and structural parameters", The Econometrics
   Journal 21 (2018), C1-C68.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np

from bayescausal.types import EstimandError, IdentificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bayescausal.annotations import Data, GraphLike
    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.estimators.problem.problem import Problem
    from bayescausal.inference.record import Fit

__all__ = ["INFLUENCE", "REFITTED", "Estimator", "EstimatorWarning", "Prepared"]

REFITTED = (
    "Draws: Bayesian bootstrap over {what}, all models fitted anew under the weights of each draw."
)
INFLUENCE = (
    "Draws: Bayesian bootstrap over {what} of each unit's contribution to the estimate; the models "
    "were fitted once{how}."
)


class EstimatorWarning(UserWarning):
    """An estimate that rests on few units, on large weights, or on a column that was left out."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """An estimator, ready to give the answer under any weights."""

    # Takes a block of weights ``(draw, unit)`` that sum to the number of units, and returns the
    # means in the treated and the control world, ``(2, draw)``; or their difference alone,
    # ``(draw,)``.
    draw: Callable[[np.ndarray], np.ndarray]
    draws_are: str  # what the draws are, in words
    # (unit) What each unit weighs in the mean of its arm: each arm sums to one.
    weights: np.ndarray | None = None
    chance: np.ndarray | None = None  # (unit) The estimated propensity
    # (2, unit) The outcome predicted for each unit at the treated and at the control level.
    fitted: np.ndarray | None = None
    se: float = float("nan")  # standard error by the estimator's own formula, where it has one
    # Further numbers, such as other standard errors.
    numbers: Mapping[str, float] = field(default_factory=dict)
    # Whether the draws lie around the estimate by construction, so that their mean is set to it.
    centred: bool = False
    whom: str = ""  # the population, where the estimator answers for another one than was asked
    notes: tuple[str, ...] = ()  # what a reader must know


@dataclass(frozen=True)
class Estimator:
    """One way from data to the number that a question asks for.

    Use one of its subclasses. Calling ``prepared`` is the work of
    :func:`bayescausal.triangulate`.
    """

    name: ClassVar[str] = ""
    models: ClassVar[str] = ""
    assumes: ClassVar[str] = ""
    #: What must identify the effect: adjustment, an instrument or the front door.
    rests_on: ClassVar[str] = "back door"
    #: Whether it gives the means of both worlds, and not their difference alone.
    both_means: ClassVar[bool] = True
    #: Whether it can average over the units of another table.
    transports: ClassVar[bool] = False
    #: Whether it can do without two levels: a treatment with a dose.
    takes_doses: ClassVar[bool] = False
    #: Whether units at other levels than the two that are compared may belong to the population.
    other_levels: ClassVar[bool] = False
    #: The populations that it can answer for.
    groups: ClassVar[tuple[str, ...]] = ("all", "treated", "control", "overlap")

    def prepared(self, problem: Problem) -> Prepared:
        """Return the estimator, ready to give the answer to a problem under any weights.

        Parameters
        ----------
        problem : Problem
            What is asked, of which units.

        Returns
        -------
        Prepared
        """
        raise NotImplementedError

    def answer(
        self,
        given: Fit | GraphLike,
        estimand: Estimand,
        *,
        data: Data | None = None,
        adjust: str | Iterable[str] | None = None,
        draws: int = 2000,
        seed: int = 0,
    ) -> Effect:
        """Return the answer of this estimator alone, as :func:`bayescausal.triangulate` has it.

        Parameters
        ----------
        given : Fit, or a graph in any form
        estimand : Estimand
            One question.
        data, adjust, draws, seed
            As in :func:`bayescausal.triangulate`.

        Returns
        -------
        Effect

        Examples
        --------
        >>> import bayescausal as bc
        >>> data = {"x": [0, 0, 1, 1], "y": [1.0, 2.0, 4.0, 5.0]}
        >>> effect = bc.estimators.IPW().answer("x -> y", bc.ATE("x", "y"), data=data)
        >>> abs(effect.mean() - 3) < 0.1
        True
        """
        verb = importlib.import_module("bayescausal.estimators.triangulate")
        found = verb.triangulate(
            given, estimand, estimators=self, data=data, adjust=adjust, draws=draws, seed=seed
        )
        return cast("Effect", found.effects[self.name])

    def check(self, problem: Problem) -> None:
        """Refuse a problem that this estimator has no answer to.

        Parameters
        ----------
        problem : Problem
            What is asked, of which units.

        Raises
        ------
        IdentificationError
            If what it rests on does not identify the effect.
        EstimandError
            If population, scale or levels are beyond it.
        DataError
            If an arm is empty.
        """
        label = self.label()
        if self.rests_on == "back door" and problem.adjust is None:
            raise IdentificationError(
                f"{label} adjusts for confounders, and no set of measured variables serves: "
                f"{problem.refused}",
                remedy="Ask a structural model, or an estimator that rests on something else "
                "(TwoStageLeastSquares, FrontDoor) where that identifies the effect.",
            )
        if problem.target is not None and not self.transports:
            raise EstimandError(
                f"{label} reweights or matches the units at hand and has no model of the outcome "
                "to take to those of another table.",
                expected="an estimator that models the outcome, such as Standardization.",
            )
        if problem.group not in self.groups:
            raise EstimandError(
                f"{label} has no answer for {type(problem.estimand).__name__}.",
                expected="a question about " + " or ".join(_WHOM[g] for g in self.groups) + ".",
            )
        if not self.both_means and problem.estimand.scale.name != "difference":
            raise EstimandError(
                f"{label} gives the difference of two means and not the means.",
                expected='scale="difference".',
            )
        others = int((problem.arm < 0).sum())
        dosed = self.takes_doses and problem.dose is not None and problem.group == "all"
        if not dosed or not others:
            problem.refuse_arms()
            if problem.group == "overlap" or not self.other_levels:
                problem.refuse_others(label, ", or ask ATT or ATU")

    def label(self) -> str:
        """Return the estimator with the options that differ from their defaults.

        Examples
        --------
        >>> import bayescausal as bc
        >>> bc.estimators.IPW(weights="overlap").label()
        "IPW(weights='overlap')"
        """
        changed = [
            f"{each.name}={_option(getattr(self, each.name))}"
            for each in fields(self)
            if not _same(getattr(self, each.name), each.default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def draws_text(self, problem: Problem, text: str = REFITTED, how: str = "") -> str:
        """Return what the draws are, over units or clusters."""
        what = problem.units if problem.clusters is None else "clusters"
        return text.format(what=what, how=how)


_WHOM = {
    "all": "all units",
    "treated": "the treated",
    "control": "the untreated",
    "overlap": "the overlap population",
}


def _same(value: object, default: object) -> bool:
    return value is default or (isinstance(value, str | int | float) and value == default)


def _option(value: object) -> str:
    return repr(value) if isinstance(value, str | int | float | bool) else type(value).__name__


def combine(worlds: np.ndarray, scale: object) -> np.ndarray:
    """Return the answer on a scale from the means ``(2, draw)``, or the difference as it is."""
    combining = getattr(scale, "combine", None)
    if worlds.ndim == 1 or combining is None:
        return worlds
    return np.asarray(combining(worlds[0], worlds[1]))
