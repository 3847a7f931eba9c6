r"""Inverse probability weighting: units stand for others like them that were treated differently.

.. math:: \hat E_h[Y_t] = \frac{\sum_i w_i\, \omega_t(e_i)\, 1\{T_i = t\}\, Y_i}
   {\sum_i w_i\, \omega_t(e_i)\, 1\{T_i = t\}}

with the weights of :mod:`~bayescausal.estimators.weighting.balancing` (Hajek's form; divided by the
number of units instead it is Horvitz and Thompson's [1]_). Consistent if the propensity is right,
whatever the outcome depends on. It needs overlap: where the propensity is near 0 or 1 a few units
carry the answer, whose error then has long tails [2]_. Overlap, matching and trimmed weights avoid
that by asking about another population, which the answer names.

References
----------
.. [1] M. A. Hernan and J. M. Robins, *Causal Inference: What If*, Chapman & Hall/CRC, 2020,
   chapter 12.
.. [2] R. K. Crump, V. J. Hotz, G. W. Imbens and O. A. Mitnik, "Dealing with limited overlap in
   estimation of average treatment effects", Biometrika 96 (2009), 187-199.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.estimators.estimator import INFLUENCE, REFITTED, Estimator, Prepared
from bayescausal.estimators.nuisance.propensity import propensity
from bayescausal.estimators.weighting.balancing import tilt_of, unit_weights, weighted_arms
from bayescausal.estimators.weighting.extremes import extreme_notes, refuse_no_overlap
from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from bayescausal.estimators.nuisance.propensity import Chance
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["IPW"]

WEIGHTS = ("hajek", "stabilised", "horvitz-thompson", "overlap", "matching", "trimmed")
TILTED = ("overlap", "matching", "trimmed")


@dataclass(frozen=True)
class IPW(Estimator):
    """The difference of the arms' weighted means.

    Parameters
    ----------
    weights : str
        ``"hajek"``: each arm's weights divided by their sum; ``"stabilised"``: the same answer, the
        weights told with mean one; ``"horvitz-thompson"``: divided by the number of units;
        ``"overlap"``, ``"matching"``, ``"trimmed"``: for the average effect alone, over the overlap
        population, that of matched pairs, or those with a propensity inside the limits.
    treatment : "logistic", Logistic, or an object with fit and predict_proba
        The model of the treatment.
    trim : float
        With ``"trimmed"``: the propensity lies between this and one minus this.
    folds : int
        A learner predicts the folds that it was not fitted to; 1: its own.

    References
    ----------
    M. A. Hernan and J. M. Robins, *Causal Inference: What If*, Chapman & Hall/CRC, 2020,
    chapter 12.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.IPW(weights="overlap")
    IPW(weights='overlap', treatment='logistic', trim=0.1, folds=5)
    """

    name: ClassVar[str] = "ipw"
    models: ClassVar[str] = "treatment"
    assumes: ClassVar[str] = "the propensity is right; overlap"

    weights: str = "hajek"
    treatment: Any = "logistic"
    trim: float = 0.1
    folds: int = 5

    def __post_init__(self) -> None:
        if self.weights not in WEIGHTS:
            raise EstimandError(
                f"weights={self.weights!r}.",
                expected=f"one of {', '.join(WEIGHTS)}.",
                names=closest(str(self.weights), WEIGHTS)[:1],
            )
        if not 0 < self.trim < 0.5:
            raise EstimandError(f"trim={self.trim!r}.", expected="a number between 0 and 0.5.")

    def check(self, problem: Problem) -> None:
        """Refuse other weights than those of the population that is asked about."""
        super().check(problem)
        if self.weights in TILTED and problem.group not in ("all", self.weights):
            raise EstimandError(
                f"weights={self.weights!r} make a population of their own, and "
                f"{type(problem.estimand).__name__} names another.",
                expected="ATE, or weights='hajek'.",
            )

    def prepared(self, problem: Problem) -> Prepared:
        """Return the weighted means, ready for any weights of the units."""
        chance = propensity(problem, self.treatment, self.folds)
        tilt = self.weights if self.weights in TILTED else problem.group
        refuse_no_overlap(problem, chance.point, tilt)
        point = unit_weights(problem, chance.point, tilt, self.trim)
        for arm, who in ((problem.treated, "treated"), (problem.control, "untreated")):
            if not point[arm].sum() > 0:
                raise EstimandError(
                    f"No {who} unit has a propensity between {self.trim:g} and {1 - self.trim:g}.",
                    remedy="Ask for a smaller trim=, or weights='overlap'.",
                )
        own = np.where(problem.treated, point / point[problem.treated].sum(), 0.0)
        own += np.where(problem.control, point / point[problem.control].sum(), 0.0)
        notes = list(extreme_notes(problem, point, chance.point))
        if self.weights == "stabilised":
            share = np.where(problem.treated, problem.treated.mean(), problem.control.mean())
            notes.append(f"Stabilised weights: largest {(point * share).max():.3g}, mean "
                         f"{(point * share)[problem.arm >= 0].mean():.3g}.")  # fmt: skip
        if problem.fixed and problem.target is None:
            notes.append(
                "The weighted means vary with the units that were drawn: about these very units "
                "the interval is on the wide side."
            )
        return Prepared(
            lambda w: self._means(problem, chance, w, tilt),
            self.draws_text(problem, REFITTED if chance.refits else INFLUENCE,
                            "" if self.folds == 1 else ", on other folds than they predict"),
            weights=own,
            chance=chance.point,
            whom=_whom(problem, tilt, chance.point, self.trim),
            notes=tuple(notes),
        )  # fmt: skip

    def _means(
        self, problem: Problem, chance: Chance, weights: np.ndarray, tilt: str
    ) -> np.ndarray:
        found = []
        parts = weighted_arms(problem, chance, weights, tilt, self.trim)
        for rows, part in zip(problem.arms, parts, strict=True):
            total = part.sum(axis=1)
            if self.weights == "horvitz-thompson":
                total = (weights * tilt_of(chance.under(weights), tilt)).sum(axis=1)
            found.append(part @ problem.y[rows] / total)
        return np.stack(found)


def _whom(problem: Problem, tilt: str, chance: np.ndarray, trim: float) -> str:
    """Return the population where it is another than was asked about."""
    if tilt == problem.group:
        return ""
    if tilt == "trimmed":
        inside = int(((chance > trim) & (chance < 1 - trim)).sum())
        if inside == problem.n:
            return ""
        return (
            f"the {inside:,} of {problem.n:,} {problem.units} with a propensity between {trim:g} "
            f"and {1 - trim:g}"
        )
    named = {"overlap": "weighted by overlap", "matching": "weighted as matched pairs"}[tilt]
    return f"{problem.whom}, {named}"
