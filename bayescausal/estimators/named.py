"""Estimators by name, and which of them are asked where nobody named any."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from bayescausal.estimators.estimator import Estimator
from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["KNOWN", "as_estimators", "default_panel"]

#: For each name: the file and the class.
KNOWN: dict[str, tuple[str, str]] = {
    "regression": ("outcome_models.regression", "Regression"),
    "standardization": ("outcome_models.standardization", "Standardization"),
    "stratified": ("outcome_models.stratified", "Stratified"),
    "ipw": ("weighting.ipw", "IPW"),
    "stratification": ("weighting.stratification", "Stratification"),
    "matching": ("matching.matching", "Matching"),
    "aipw": ("doubly_robust.aipw", "AIPW"),
    "tmle": ("doubly_robust.tmle", "TMLE"),
    "s_learner": ("learners.s_learner", "SLearner"),
    "t_learner": ("learners.t_learner", "TLearner"),
    "x_learner": ("learners.x_learner", "XLearner"),
    "domain_adaptation": ("learners.domain_adaptation", "DomainAdaptation"),
    "r_learner": ("learners.r_learner", "RLearner"),
    "dr_learner": ("learners.dr_learner", "DRLearner"),
    "dml": ("learners.double_machine_learning", "DML"),
    "causal_forest": ("learners.causal_forest", "CausalForest"),
    "bcf": ("learners.bayesian_causal_forest", "BCF"),
    "two_stage_least_squares": ("without_back_door.two_stage", "TwoStageLeastSquares"),
    "front_door": ("without_back_door.front_door", "FrontDoor"),
}
#: The panel where adjustment identifies the effect.
PANEL = ("regression", "standardization", "stratified", "ipw", "matching", "aipw", "tmle")


def as_estimators(given: object) -> list[Estimator]:
    """Return estimators of one, or of a list, of values and names.

    Raises EstimandError for an unknown name, with the closest, and for anything that is no
      estimator.

    Examples
    --------
    >>> as_estimators(["regression", "ipw"])[0]
    Regression()
    """
    if isinstance(given, str | Estimator):
        given = [given]
    if not isinstance(given, list | tuple) or not given:
        raise EstimandError(
            f"estimators={given!r}.", expected="a list of estimators or of their names."
        )
    return [_one(each) for each in given]


def default_panel(problem: Problem) -> list[Estimator]:
    """Return who is asked where nobody was named: by what identifies the effect."""
    decided = problem.identification
    if problem.adjust is not None:
        return as_estimators([n for n in PANEL if n in KNOWN])
    if decided.method == "front door":
        return as_estimators(["front_door"])
    if decided.method == "instrument":
        return as_estimators(["two_stage_least_squares"])
    return as_estimators([n for n in PANEL if n in KNOWN])


def _one(given: object) -> Estimator:
    if isinstance(given, Estimator):
        return given
    if isinstance(given, type) and issubclass(given, Estimator):
        return given()
    if not isinstance(given, str):
        raise EstimandError(
            f"{given!r} is not an estimator.",
            expected="a value such as bc.estimators.IPW(), or a name.",
        )
    plain = _bare(given)
    for name, (file, kind) in KNOWN.items():
        if plain in (_bare(name), _bare(kind)):
            module = importlib.import_module(f"bayescausal.estimators.{file}")
            return cast("Estimator", getattr(module, kind)())
    raise EstimandError(
        f"{given!r} is not the name of an estimator.",
        expected=f"one of {', '.join(KNOWN)}.",
        names=closest(given, KNOWN)[:1],
    )


def _bare(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
