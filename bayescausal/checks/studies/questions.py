"""What a study asks: estimands with names, or functions of a fit.

An answer has one number, or one per group, dose or unit. Each number is a *cell* with a label; a
study compares cell by cell. Answers per unit would fill a study with thousands of rows that say the
same, so at most :data:`UNITS` units are kept, evenly spread; a summary pools them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.draws.named import cells as cell_dims
from bayescausal.effects.asked import as_estimand
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands.estimand import Estimand
from bayescausal.effects.evaluation.verdict import asked_records
from bayescausal.evaluation.measured import measured_structure
from bayescausal.model.graph_queries.graph_of_anything import question_in
from bayescausal.model.structure.design_matrix import split_structure
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from bayescausal.inference.record import Fit
    from bayescausal.model.structure.structure import Structure

__all__ = ["UNITS", "Question", "Questions", "as_effect", "cells_of", "parse_questions"]

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
