"""Pictures of several estimators: what they say, and what that rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.estimators.nuisance.folds import folds_of, splits
from bayescausal.estimators.nuisance.outcome import response
from bayescausal.estimators.nuisance.propensity import propensity
from bayescausal.figures.checks.conditional import plot_benefit, plot_effects, plot_gates
from bayescausal.figures.checks.overlap import plot_chances
from bayescausal.figures.checks.triangulation import (
    plot_accuracy,
    plot_calibration,
    plot_love,
    plot_roc,
    plot_weights,
)
from bayescausal.figures.forest import plot_forest
from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem
    from bayescausal.estimators.triangulation import Triangulation
    from bayescausal.figures.style import Axes

__all__ = ["KINDS", "draw"]

OF_LEARNERS = ("effects", "gates", "benefit")
KINDS = (
    "forest", "love", "propensity", "weights", "calibration", "roc", "accuracy", *OF_LEARNERS
)  # fmt: skip
#: Folds of what is held out for a picture.
FOLDS = 5


def draw(found: Triangulation, kind: str, ax: Axes | None, **options: Any) -> Axes:
    """Draw one picture of a triangulation.

    Raises EstimandError for an unknown kind, or where there is nothing of it to draw.
    """
    if kind not in KINDS:
        raise EstimandError(
            f"kind={kind!r}.",
            expected=f"one of {', '.join(KINDS)}.",
            names=closest(str(kind), KINDS)[:1],
        )
    if options and kind not in ("forest", "gates", "benefit"):
        raise EstimandError(
            f"{', '.join(f'{n}=' for n in options)} with kind={kind!r}.", expected="no options."
        )
    if kind == "forest":
        own = {} if found.model is None else {"structural model": found.model}
        return plot_forest(own | dict(found.effects), ax=ax, **options)
    if found.question.by:
        raise EstimandError(
            f"kind={kind!r} is about one population, and by= makes several.",
            remedy="Ask without by=, with given= of the subgroup.",
        )
    problem = found.problem
    if problem.adjust is None:
        raise EstimandError(
            f"kind={kind!r} is about what is adjusted for, and nothing is.", expected="'forest'."
        )
    if kind in OF_LEARNERS:
        return _of_learners(found, kind, ax, **options)
    if kind == "love":
        return plot_love(found.balance, ax=ax)
    if kind == "weights":
        return plot_weights(_weights(found), ax=ax)
    problem = problem.two_arms
    if kind == "accuracy":
        return plot_accuracy(problem.y, held_out(problem), problem.arm, problem.treatment, ax=ax)
    chance = _chance(found)
    if kind == "propensity":
        both = np.stack([1 - chance, chance], axis=-1)[None]
        labels = [str(_level(found, role)) for role in ("control", "treated")]
        return plot_chances(both, problem.arm, labels, name=problem.treatment, ax=ax)
    if kind == "calibration":
        return plot_calibration(chance, problem.treated, problem.treatment, ax=ax)
    return plot_roc(chance, problem.treated, problem.treatment, ax=ax)


def held_out(problem: Problem) -> np.ndarray:
    """Return the outcome predicted at each unit's own level by models fitted to other folds."""
    found = np.empty(problem.n)
    for seen, asked in splits(folds_of(problem, FOLDS)):
        weights = np.zeros((1, problem.n))
        weights[0, seen] = 1.0
        model = response(problem).under(weights)
        for k, arm in enumerate((problem.treated, problem.control)):
            inside = asked[arm[asked]]
            found[inside] = model.values(k)[0][inside]
    return found


# ------------------------------------------------------------------------------- private


def _of_learners(
    found: Triangulation,
    kind: str,
    ax: Axes | None,
    name: str | None = None,
    groups: int | None = None,
) -> Axes:
    """Draw the effects that learners predict, or whether those of one of them are right."""
    table = found.conditional_effects
    if groups is not None and kind != "gates":
        raise EstimandError(f"groups= does not apply to {kind!r}.", expected='kind="gates".')
    if kind == "effects":
        return plot_effects(table, ax=ax)
    names = list(map(str, table))
    learners = [n for n in names if hasattr(found.answers[n].estimator, "conditional_effects")]
    name = [*learners, *names][0] if name is None else name
    if kind == "gates":
        return plot_gates(found.gates(name, groups or 5), name, ax=ax)
    return plot_benefit(found.benefit(name), name, ax=ax)


def _chance(found: Triangulation) -> np.ndarray:
    """Return the propensity of the first estimator that has one, or a logistic one."""
    for each in found.answers.values():
        if each.prepared[0].chance is not None:
            return each.prepared[0].chance
    return propensity(found.problem.two_arms).point


def _weights(found: Triangulation) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the weights of the treated and of the untreated, each with mean one."""
    problem = found.problem
    shown = {}
    for name, each in found.answers.items():
        own = each.prepared[0].weights
        if own is not None:
            arms = (own[problem.treated], own[problem.control])
            shown[name] = (arms[0] * len(arms[0]), arms[1] * len(arms[1]))
    if not shown:
        raise EstimandError(
            "None of these estimators has weights.", expected="one that has, such as IPW."
        )
    return shown


def _level(found: Triangulation, role: str) -> object:
    act = found.question.worlds()[role][found.problem.treatment]
    return getattr(act, "value", act)
