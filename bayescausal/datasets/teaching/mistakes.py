r"""The numbers of wrong analyses, computed from the teacher's own model.

An analysis is run on one large data set of the model. Its number is what students' posteriors
gather around, but for the error of that data set, which is kept beside it.

=======================================  =======================================================
written                                  the number
=======================================  =======================================================
``["z", "w"]``, ``[]``                   adjusting for exactly these: a regression of the outcome
                                         on the treatment, these and their products with it
``"without z"``                          adjusting for the right set, z left out
``"adjusting for c"``                    adjusting for the right set, and c
``"unadjusted"``                         adjusting for nothing
a ``pm.Model``, formulas with ``~``      fitted, and asked the question
an estimand                              the answer to this other question, in the true model
a function of the data                   what it returns: a number or an Effect
=======================================  =======================================================

The right set is the smallest that :func:`bayescausal.identify` names for the back door, empty where
there is none. With a set of two-valued variables the regression has all products and is exact
whatever the equations; otherwise it is exact where the outcome is linear in the set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pymc as pm

from bayescausal.datasets.teaching.key import Mistake
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands.estimand import Estimand
from bayescausal.effects.estimate import estimate
from bayescausal.inference.fit import fit
from bayescausal.model.formulas.build import model_from_formulas
from bayescausal.model.graph_queries.queries import identify, roles
from bayescausal.types import BayesCausalError, DataError, EstimandError, closest

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

    from bayescausal.inference.record import Fit

__all__ = ["Analysis", "Study", "analyses", "mistake_of"]

#: Units of the data set that wrong analyses are run on, and draws of their posteriors.
UNITS, DRAWS = 20_000, 200
#: Words between the names of a phrase.
BETWEEN = frozenset(
    [
        "a",
        "also",
        "all",
        "an",
        "and",
        "both",
        "by",
        "effect",
        "for",
        "in",
        "it",
        "not",
        "of",
        "on",
        "only",
        "or",
        "other",
        "set",
        "the",
        "them",
        "to",
        "too",
    ]
)
WAYS = (
    "a list of the variables adjusted for, 'without z', 'adjusting for c', 'unadjusted', a model, "
    "formulas, another question, or a function of the data"
)


class Analysis(NamedTuple):
    """A wrong analysis as it was written, its name, and why it is wrong."""

    name: str
    how: Any
    why: str


class Study(NamedTuple):
    """What a wrong analysis is run on: the true model, a large data set, and the question."""

    truth: Fit
    graph: nx.DiGraph
    data: pd.DataFrame
    observed: tuple[str, ...]
    question: Estimand
    families: Mapping[str, Any] | None


def analyses(mistakes: object) -> list[Analysis]:
    """Read the mistakes that a teacher names, in any of their forms."""
    if isinstance(mistakes, str):
        mistakes = [mistakes]
    if isinstance(mistakes, Mapping):
        mistakes = [(name, *_with_why(how)) for name, how in mistakes.items()]
    if not isinstance(mistakes, Iterable):
        raise DataError(f"mistakes={mistakes!r}.", expected=f"a list of mistakes: {WAYS}.")
    found = [_named(each) for each in mistakes]
    twice = [a.name for i, a in enumerate(found) if a.name in {b.name for b in found[:i]}]
    if twice:
        raise DataError(f"Two mistakes are called {twice[0]!r}.", expected="a name for each.")
    return found


def mistake_of(asked: Analysis, study: Study) -> Mistake:
    """Return a wrong analysis with the number that it leads to.

    Raises DataError if the analysis is not one, cannot be run, or has no number.
    """
    try:
        value, error = _number(asked.how, study)
    except BayesCausalError as problem:
        raise DataError(f"The mistake {asked.name!r} has no number: {problem}") from problem
    if not np.isfinite(value):
        raise DataError(f"The mistake {asked.name!r} leads to {value}.", expected="a number.")
    return Mistake(asked.name, value, asked.why or _why(asked, study), error)


# ------------------------------------------------------------------------------- private


def _with_why(how: object) -> tuple[Any, ...]:
    """Return an analysis, and its reason if it stands beside it."""
    return how if isinstance(how, tuple) else (how,)


def _named(each: object) -> Analysis:
    if isinstance(each, tuple):
        if not 2 <= len(each) <= 3 or not isinstance(each[0], str):
            raise DataError(
                f"Found {each!r} among the mistakes.",
                expected="(name, analysis) or (name, analysis, why it is wrong).",
            )
        return Analysis(each[0], each[1], str(each[2]) if len(each) == 3 else "")
    return Analysis(_name(each), each, "")


def _name(how: object) -> str:
    if isinstance(how, str):
        return how
    if isinstance(how, Estimand):
        return how.label()
    if isinstance(how, pm.Model):
        return how.name or "another model"
    if callable(how):
        return str(getattr(how, "__name__", "another estimator"))
    if _formulas(how):
        return "another model"
    if isinstance(how, list | set | frozenset):
        return f"adjusting for {', '.join(sorted(map(str, how)))}" if how else "unadjusted"
    return repr(how)


def _formulas(how: object) -> bool:
    texts = [how] if isinstance(how, str) else how
    return isinstance(texts, list | tuple) and any("~" in str(text) for text in texts)


def _number(how: Any, study: Study) -> tuple[float, float]:
    """Return the number of an analysis, and its own standard error."""
    if isinstance(how, bool | int | float | np.number):
        raise DataError(f"{how!r} is a number.", expected=f"{WAYS}: the number is computed.")
    if isinstance(how, Estimand):
        return one_number(estimate(study.truth, how, progressbar=False), simulated=True)
    if isinstance(how, pm.Model):
        return _fitted(how, study)
    if _formulas(how):
        return _fitted(model_from_formulas(how, study.families, study.data), study)
    if isinstance(how, str):
        how = _set_in(how, study)
    if _is_set(how):
        return _adjusted([_variable(str(name), study) for name in how], study)
    if isinstance(how, Callable):  # type: ignore[arg-type]
        return _called(how, study)
    raise DataError(f"Found {how!r}.", expected=f"{WAYS}.")


def one_number(effect: Effect, *, simulated: bool) -> tuple[float, float]:
    """Return an answer and its error: of simulation, or that of the data set it comes from."""
    if effect.dims:
        raise EstimandError(f"{effect.label} has several cells.", expected="one number.")
    error = effect.mc_error if simulated else effect.sd()
    error = 0.0 if error is None or not np.isfinite(float(error)) else float(error)
    return float(effect.mean()), error


def _fitted(model: pm.Model, study: Study) -> tuple[float, float]:
    known = {v.name for v in model.basic_RVs} | set(model.named_vars)
    data = study.data[[name for name in study.observed if name in known]]
    found = fit(model, data, draws=DRAWS, chains=4, seed=1, progressbar=False)
    return one_number(estimate(found, study.question, progressbar=False), simulated=False)


def _called(how: Callable[[pd.DataFrame], Any], study: Study) -> tuple[float, float]:
    """Call a function on the whole and on parts, whose spread is the error of the whole."""
    data = study.data[list(study.observed)]
    try:
        whole = how(data.copy())
    except Exception as error:  # whatever a teacher's function raises
        raise DataError(
            f"The function fails on the data: {type(error).__name__}: {error}.",
            expected=f"a function of a table with the columns {', '.join(study.observed)}.",
        ) from error
    if isinstance(whole, Effect):
        return one_number(whole, simulated=False)
    try:
        value = float(whole)
        parts = [float(how(data.iloc[i::8].reset_index(drop=True))) for i in range(8)]
    except Exception as error:
        raise DataError(f"It returns {whole!r}.", expected="a number or an Effect.") from error
    return value, float(np.std(parts, ddof=1)) / np.sqrt(8)


def _adjusted(names: list[str], study: Study) -> tuple[float, float]:
    """Return the answer of a regression of the outcome on the treatment and a set."""
    question = study.question
    if len(question.treatments) != 1:
        raise EstimandError("A set needs one treatment.", expected="a model in its place.")
    treatment, outcome = question.treatments[0], question.outcome_name
    query = question.query(study.graph)
    held = query.mediators if query.controlled else ()
    names = [name for name in dict.fromkeys([*held, *names]) if name != treatment]
    if outcome in names:
        raise DataError(f"{outcome!r} is the outcome.", expected="variables to adjust for.")
    two = all(study.data[name].nunique() == 2 for name in names) and len(names) <= 4
    product = " * ".join([treatment, *names])
    terms = product if two else " + ".join(f"{treatment} * {name}" for name in names)
    others = [f"{name} ~ 1" for name in (*names, treatment)]
    model = model_from_formulas([*others, f"{outcome} ~ {terms or treatment}"], data=study.data)
    return _fitted(model, study._replace(observed=(treatment, outcome, *names)))


def _set_in(text: str, study: Study) -> list[str]:
    """Return the set that a phrase means."""
    words = text.strip()
    if re.fullmatch(r"(unadjusted|naive|no adjustment|adjusting for nothing)", words, re.I):
        return []
    lead = re.match(
        r"(without|dropping|omitting|ignoring|leaving out)\b|"
        r"((also )?(adjust\w*|control\w*|condition\w*|stratif\w*) (for|on|by))\b",
        words,
        re.I,
    )
    if lead is None:
        raise DataError(f"{text!r} is not understood.", expected=f"{WAYS}.")
    named = re.findall(r"[\w.]+", words[lead.end() :])
    known = [n for n in named if n in study.graph]
    odd = [n for n in named if n not in study.graph and n.lower() not in BETWEEN]
    misspelt = [n for n in odd if closest(n, study.graph)]
    if misspelt and known:
        raise DataError(
            f"{text!r} names {misspelt[0]!r}, which is no variable of the model.",
            names=closest(misspelt[0], study.graph)[:1],
            expected=f"among {', '.join(map(str, study.graph))}.",
        )
    if not known:
        raise DataError(
            f"{text!r} names no variable of the model.",
            names=[near for n in named for near in closest(n, study.graph)[:1]],
            expected=f"among {', '.join(map(str, study.graph))}.",
        )
    right = _right_set(study)
    if lead.group(1):
        return [name for name in right if name not in known]
    return [*right, *(name for name in known if name not in right)]


def _right_set(study: Study) -> list[str]:
    found = identify(study.graph, study.question, observed=list(study.observed))
    sets = list(islice(found.adjustment_sets, 1))
    return sorted(sets[0]) if sets else []


def _variable(name: str, study: Study) -> str:
    if name not in study.data:
        raise DataError(
            f"There is no variable {name!r}.", names=closest(name, study.data.columns)[:1]
        )
    return name


def _why(asked: Analysis, study: Study) -> str:
    """Say what the graph says of the variables that were left out or adjusted for."""
    said: list[str] = []
    how = asked.how
    if (isinstance(how, str) or _is_set(how)) and not _formulas(how):
        chosen = _set_in(how, study) if isinstance(how, str) else [str(name) for name in how]
        found = roles(study.graph, *_pair(study), observed=list(study.observed))
        right = _right_set(study)
        said = [found[n].sentence for n in right if n not in chosen]
        said += [found[n].sentence for n in chosen if n not in right and found[n].adjust == "no"]
    named = f"The number is that of another analysis: {asked.name}."
    return " ".join(text[:1].upper() + text[1:] for text in said) or named


def _is_set(how: object) -> bool:
    return isinstance(how, list | set | frozenset | tuple)


def _pair(study: Study) -> tuple[str, str]:
    return study.question.treatments[0], study.question.outcome_name
