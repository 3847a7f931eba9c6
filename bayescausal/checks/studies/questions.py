"""What a study asks: estimands with names, or functions of a fit.

An answer has one number, or one per group, dose or unit. Each number is a *cell* with a label; a
study compares cell by cell. Answers per unit would fill a study with thousands of rows that say the
same, so at most :data:`UNITS` units are kept, evenly spread; a summary pools them.

A study may be answered through estimators, in the place of a model that is fitted: an estimator
needs the graph of that model and the columns that are seen, and no posterior. So a study says how
often the interval of an estimator holds the truth, and what a wrong graph, a hidden column or few
units do to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
import xarray as xr

from bayescausal.draws.named import cells as cell_dims
from bayescausal.effects.as_estimand import as_estimand
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands.estimand import Estimand
from bayescausal.effects.evaluation.verdict import asked_records
from bayescausal.evaluation.measured import measured_structure
from bayescausal.model.graph_queries.graph_of_anything import question_in
from bayescausal.model.structure.design_matrix import split_structure
from bayescausal.types import EstimandError, StudyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import networkx as nx
    import pandas as pd
    from numpy.typing import ArrayLike

    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "UNITS",
    "Answering",
    "Question",
    "Questions",
    "answered",
    "as_effect",
    "cells_of",
    "parse_questions",
    "through",
]

#: Units of an answer per unit that are kept.
UNITS = 20

#: An estimand, or a function ``(fit, seed) -> Effect or draws``.
Question = Estimand | Callable[..., Any]
#: What a study is asked: questions, or effects that carry theirs.
type Questions = Question | Effect | Iterable[Question | Effect] | Mapping[str, Question | Effect]


def parse_questions(
    estimands: Questions, structure: Structure | None = None
) -> dict[str, Question]:
    """Return the questions of a study by name.

    ``estimands``: without names: an estimand's label; where two have the same, what each asks in
        full.
    ``structure``: names that estimands mention must be in it.
    Raises EstimandError if there is no question, or something else among them; UnknownVariableError
        if an estimand names no variable of the model.

    Examples
    --------
    >>> from bayescausal.effects.estimands import ATE
    >>> list(parse_questions([ATE("x", "y"), ATE("x", "y", treated=2)]))
    ['E[y | do(x=1)] - E[y | do(x=0)]', 'E[y | do(x=2)] - E[y | do(x=0)]']
    """
    if isinstance(estimands, Mapping):
        named = {str(k): _question(v) for k, v in estimands.items()}
    elif isinstance(estimands, Iterable) and not isinstance(estimands, str):
        named = _named([_question(q) for q in estimands])
    else:
        named = _named([_question(estimands)])
    if not named:
        raise EstimandError("There is no estimand.", expected="One at least.")
    for question in named.values():
        if structure is not None and isinstance(question, Estimand):
            split = split_structure(structure, question.names)
            asked = measured_structure(split, asked_records(question))
            for name in question.names:
                asked.require(name)
    return named


def as_effect(answer: Effect | xr.DataArray | ArrayLike, name: str, fit: Fit) -> Effect:
    """Return what a function of a fit gave, as an Effect with the fit's chains and draws.

    Raises EstimandError if it has another number of draws.
    """
    sizes = fit.draws["posterior"].sizes
    shape = int(sizes["chain"]), int(sizes["draw"])
    if not isinstance(answer, Effect):
        if not isinstance(answer, xr.DataArray):
            answer = np.asarray(answer, dtype=float)
            if answer.ndim <= 1 and answer.size == fit.n_draws:
                answer = answer.reshape(shape)
        answer = Effect(answer, name=name)
    found = int(answer.draws.sizes["chain"]), int(answer.draws.sizes["draw"])
    if found != shape:
        raise EstimandError(
            f"{name!r} gave {found[0]} chains x {found[1]} draws.",
            expected=f"{shape[0]} x {shape[1]}, as the fit has.",
        )
    return answer


def cells_of(
    effect: Effect, unit_dims: tuple[str, ...]
) -> tuple[list[str], np.ndarray, tuple[bool, ...]]:
    """Return the cells of an answer.

    ``unit_dims``: Along which cells are units.
    Result: ``labels``: of each cell, such as ``"z=1"``; empty for one number; ``pooled``: whether a
        cell is one unit of many.
    """
    array = effect.draws
    dims = cell_dims(array)
    along = [d for d in dims if d in unit_dims]
    for d in along:
        n = array.sizes[d]
        if n > UNITS:
            array = array.isel({d: np.unique(np.linspace(0, n - 1, UNITS).astype(int))})
    labels = []
    shape = tuple(array.sizes[d] for d in dims)
    for place in np.ndindex(shape):
        parts = []
        for d, i in zip(dims, place, strict=True):
            value = array[d].values[i] if d in array.coords else i
            shown = f"{value:g}" if isinstance(value, float | np.floating) else str(value)
            parts.append(f"{d}={shown}")
        labels.append(", ".join(parts))
    values = array.values.reshape(*array.shape[:2], -1)
    return labels, values, (bool(along),) * len(labels)


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
    one = [cast("Answering", estimators)]
    given: list[Answering] = [*estimators] if isinstance(estimators, list | tuple) else one
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
    for name in ("draws", "chains"):
        number = options.get(name, 1)
        if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
            raise EstimandError(f"{name}={number!r}.", expected="a whole number of 1 or more.")
    others = [n for n in options if n not in ("draws", "chains", "cores")]
    if others or parameters:
        said = ", ".join(f"{n}=" for n in (*others, *(["parameters"] if parameters else [])))
        raise StudyError(
            f"{said} is about a fit, and estimators fit no model.",
            expected="draws=, those of the Bayesian bootstrap, in each of chains=.",
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


# ------------------------------------------------------------------------------- private


def _named(given: list[Question]) -> dict[str, Question]:
    labels = [_label(q) for q in given]
    seen = Counter(labels)
    long = [
        q.describe() if seen[label] > 1 and isinstance(q, Estimand) else label
        for q, label in zip(given, labels, strict=True)
    ]
    again = Counter(long)
    numbered: Counter[str] = Counter()
    named: dict[str, Question] = {}
    for question, label in zip(given, long, strict=True):
        numbered[label] += 1
        named[f"{label} ({numbered[label]})" if again[label] > 1 else label] = question
    return named


def _label(question: Question) -> str:
    if isinstance(question, Estimand):
        return question.label()
    return str(getattr(question, "__name__", "answer")).strip("<>")


def _question(given: object) -> Question:
    """Return an estimand, that of an effect, or a function of a fit."""
    if callable(given):
        return given
    if question_in(given) is None:
        raise EstimandError(
            f"Found {given!r} where a question is needed.",
            expected="An estimand such as ATE('treatment', 'outcome'), a list of them, or a "
            "mapping of names to estimands or functions (fit, seed) -> Effect.",
        )
    return as_estimand(given)
