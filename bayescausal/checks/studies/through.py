"""Studies that are answered through estimators, in the place of a model that is fitted.

An estimator needs the graph of the fitted model and the columns that are seen, and no posterior: a
replicate is simulated, the estimator is asked, and its draws are compared with the truth that the
model gives to the same question. So a study says how often the interval of an estimator holds the
truth, and what a wrong graph, a hidden column or few units do to it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from bayescausal.effects.estimands.estimand import Estimand
from bayescausal.types import EstimandError, StudyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import networkx as nx
    import pandas as pd

    from bayescausal.checks.studies.questions import Question
    from bayescausal.effects.effect import Effect

__all__ = ["Answering", "answered", "through"]

#: Draws of the Bayesian bootstrap where none are asked for.
DRAWS = 1000


@runtime_checkable
class Answering(Protocol):
    """What answers a question from a graph and data, as those of ``bc.estimators``."""

    name: str

    def label(self) -> str:
        """Return its name with its options."""

    def answer(
        self, given: nx.DiGraph, estimand: Estimand, *, data: pd.DataFrame, draws: int, seed: int
    ) -> Effect:
        """Return the answer."""


def through(
    questions: Mapping[str, Question],
    estimators: Answering | Sequence[Answering],
    options: Mapping[str, Any],
    *,
    parameters: bool = False,
) -> tuple[dict[str, Question], dict[str, Answering], dict[str, int]]:
    """Return a question for each estimator, who answers it, and the number of draws.

    Raises EstimandError for what is no estimator or no estimand; StudyError for options of a fit
        that there is not.
    """
    given = [estimators] if isinstance(estimators, Answering | str) else list(estimators)
    for each in given:
        if isinstance(each, type) or not isinstance(each, Answering):
            raise EstimandError(
                f"estimators names {each!r}.",
                expected="values, such as [bc.estimators.AIPW(), bc.estimators.IPW()].",
            )
    if not given:
        raise EstimandError("There is no estimator.", expected="one at least, or None.")
    for name, question in questions.items():
        if not isinstance(question, Estimand):
            raise EstimandError(
                f"{name!r} is a function of a fit, and estimators fit no model.",
                expected="an estimand such as ATE('treatment', 'outcome').",
            )
    others = [n for n in options if n not in ("draws", "chains", "cores")]
    if others or parameters:
        said = ", ".join(f"{n}=" for n in (*others, *(["parameters"] if parameters else [])))
        raise StudyError(
            f"{said} is about a fit, and estimators fit no model.",
            expected="draws= alone, those of the Bayesian bootstrap.",
        )
    count = Counter(each.name for each in given)
    names = [each.label() if count[each.name] > 1 else each.name for each in given]
    if len(set(names)) < len(names):
        raise EstimandError("An estimator is asked twice.", expected="options that differ.")
    asked: dict[str, Question] = {}
    by_name: dict[str, Answering] = {}
    for question_name, question in questions.items():
        for name, each in zip(names, given, strict=True):
            asked[f"{question_name}: {name}"] = question
            by_name[f"{question_name}: {name}"] = each
    draws = int(options.get("draws", DRAWS)) * int(options.get("chains", 1))
    return asked, by_name, {"draws": draws}


def answered(
    questions: Mapping[str, Question],
    estimators: Mapping[str, Answering],
    graph: nx.DiGraph,
    data: pd.DataFrame,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Return an Effect for each question, or why there is none."""
    found: dict[str, Any] = {}
    for name, question in questions.items():
        assert isinstance(question, Estimand)
        try:
            found[name] = estimators[name].answer(
                graph, question, data=data, draws=draws, seed=seed
            )
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found
