"""From a fit or from a graph with data, and a question, to the record of a problem.

Of a fit the graph and the columns are taken, nothing of its draws: what the estimators say rests on
the arrows and the data, not on the equations. Columns of groups (of schools, in a fit of pupils)
are given to each unit by the index through which the model reads them.

Refused are questions that no estimator here is about: doses without two levels, quantiles,
mediation, single units; a population that only a model can draw; a subgroup that the treatment
changes; empty cells of treatment and outcome.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import networkx as nx
import numpy as np

from bayescausal.effects.estimands.functionals import Mean, Probability
from bayescausal.effects.estimands.populations import Superpopulation
from bayescausal.effects.evaluation.population_units import cluster_labels, plural, units_noun
from bayescausal.effects.evaluation.verdict import verdict_of
from bayescausal.effects.without_model.read_table import read_frame
from bayescausal.estimators.numerics.least_squares import with_constant
from bayescausal.estimators.problem.adjustment import adjustment_of, told_instruments
from bayescausal.estimators.problem.columns_of_fit import columns_of
from bayescausal.estimators.problem.encoding import encode, far_means, independent, is_number
from bayescausal.estimators.problem.problem import GROUPS, Problem
from bayescausal.estimators.problem.target import refuse_empty_cells, target_rows
from bayescausal.graph.structure.marks import observables
from bayescausal.graph.text.parse import as_graph
from bayescausal.inference.data.rows import plain
from bayescausal.inference.record import Fit
from bayescausal.types import (
    DataError,
    EstimandError,
    Set,
    unknown_variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from bayescausal.annotations import Data, GraphLike
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.effects.estimands.populations import Population
    from bayescausal.graph.identification.verdict import Identification

__all__ = ["cells_of", "read_problem"]

#: Subgroups that `by` may form.
MOST_CELLS = 200


def read_problem(
    given: object,
    estimand: Estimand,
    *,
    data: Data | None = None,
    adjust: str | Iterable[str] | None = None,
) -> Problem:
    """Return the problem of a question, for a fit or for a graph with data.

    Raises EstimandError if the question is not one that estimators answer.
    Raises DataError if data are missing, given twice, or have empty cells in treatment or outcome.
    Raises IdentificationError if `adjust` does not serve.
    Raises UnknownVariableError if a column is missing.
    """
    _refuse_question(estimand)
    if isinstance(given, Fit):
        if data is not None:
            raise DataError(
                "data= is given beside a fit, which has its own.",
                expected="a fit, or a graph with data=.",
            )
        decided, table = columns_of(given, estimand)
        noun = units_noun(given.structure)
        labels: np.ndarray | pd.Index | None = None if given.data is None else given.data.index
    else:
        if data is None:
            raise DataError(
                "A graph holds no data.",
                expected="a fit, or a graph with data=.",
                remedy="triangulate(graph, question, data=table).",
            )
        frame = read_frame(data)
        table = {str(n): plain(frame[n]) for n in frame.columns}
        name, labels = frame.index.name, frame.index
        noun = plural(str(name)) if name and str(name).isalpha() and len(str(name)) > 3 else "units"
        decided = verdict_of(estimand, given, _measured(given, table))
    return _problem(estimand, decided, table, adjust, noun, labels)


def cells_of(problem: Problem) -> list[tuple[tuple[Any, ...], Problem]]:
    """Return the subgroups that `by` asks for, with their labels; one without labels otherwise."""
    by = problem.estimand.by
    if not by:
        return [((), problem)]
    levels = []
    for name in by:
        column = (problem.target or problem).table[name]
        found = sorted(dict.fromkeys(np.asarray(column).tolist()))
        if len(found) > MOST_CELLS:
            raise EstimandError(
                f"by={name!r} has {len(found)} values.",
                expected=f"at most {MOST_CELLS}: a discrete variable.",
            )
        levels.append(found)
    cells: list[tuple[tuple[Any, ...], Problem]] = []
    grid = np.stack([g.ravel() for g in np.meshgrid(*map(_as_objects, levels), indexing="ij")])
    for labels in grid.T:
        cell = dict(zip(by, labels, strict=True))
        whom = ", ".join(f"{n}={v}" for n, v in cell.items())
        part = problem.part(partial(_has_levels, cell), whom)
        cells.append((tuple(labels), _without_ties(part)))
    return cells


# ------------------------------------------------------------------------------- private


def _has_levels(cell: Mapping[str, object], table: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.logical_and.reduce([np.asarray(table[n] == v) for n, v in cell.items()])


def _as_objects(levels: list[Any]) -> np.ndarray:
    found = np.empty(len(levels), dtype=object)
    found[:] = levels
    return found


def _problem(
    estimand: Estimand,
    decided: Identification,
    table: Mapping[str, np.ndarray],
    adjust: str | Iterable[str] | None,
    noun: str,
    labels: np.ndarray | pd.Index | None,
) -> Problem:
    [name], outcome = estimand.treatments, estimand.outcome_name
    own = [n for n in decided.question.given if n in table]
    adjusted, why = adjustment_of(decided, adjust, own if estimand.weighting is not None else ())
    needed = (*estimand.names, *(adjusted or ()))
    for each in needed:
        if each not in table:
            raise unknown_variable(each, table, what="a column of the data")
    _refuse_consequences(estimand, decided)
    for each in (name, outcome, *estimand.given.reads, *estimand.by):
        refuse_empty_cells(each, table[each])
    y, binary = _outcome(estimand, table[outcome])
    arm, dose, levels = _arms(estimand, table[name])
    x, names, _ = encode({n: table[n] for n in adjusted or ()})
    x = x if names else np.empty((len(y), 0))
    population = estimand.population
    group = GROUPS[type(estimand).__name__]
    target = target_rows(estimand, adjusted or (), table, group)
    count = f"{len(y):,}"
    whom = f"the {count} units at hand" if population.name == "sample" else population.words
    if isinstance(population, Superpopulation):
        whom = f"{population.words}, {count} seen"
    problem = Problem(
        estimand=estimand,
        identification=decided,
        y=y,
        arm=arm,
        dose=dose,
        levels=levels,
        adjust=adjusted,
        refused=why,
        x=x,
        names=names,
        group=group,
        table=dict(table),
        target=target,
        clusters=_clusters(population, table, len(y), labels),
        fixed=population.name != "superpopulation",
        whom=whom.replace("units", noun),
        units=noun,
        binary=binary,
        notes=() if adjust is None else told_instruments(decided, adjusted or ()),
        rows=np.arange(len(y)),
        places=np.arange(len(y)),
    )
    others = problem.arm < 0
    if others.any() and problem.group in ("treated", "control"):
        problem = problem.kept(np.flatnonzero(~others), (
            f"{int(others.sum()):,} {noun} at other levels of {name} are in neither arm: left out.",
        ))  # fmt: skip
    if estimand.given:
        given = estimand.given.in_order(("row",), {"row": labels})
        words = {
            n: dict.fromkeys(table[n].tolist()) for n in given.reads if not is_number(table[n])
        }
        problem = problem.part(given.member, given.describe(), given.labels_there_are(words))
    return _about_means(_without_ties(_by_arm(problem)))


def _by_arm(problem: Problem) -> Problem:
    """Return the problem with its units in the order of their arms, counted anew."""
    order = np.argsort(-problem.arm, kind="stable")
    kept = problem.rows[order]
    return replace(
        problem,
        y=problem.y[order],
        arm=problem.arm[order],
        dose=None if problem.dose is None else problem.dose[order],
        x=problem.x[order],
        table={n: v[order] for n, v in problem.table.items()},
        clusters=None if problem.clusters is None else problem.clusters[kept],
        rows=np.arange(problem.n),
        places=problem.places[order],
        _kept={},
    )


def _without_ties(problem: Problem) -> Problem:
    """Leave out the columns that cannot be told from the others among these units."""
    kept, notes = independent(problem.x, problem.names)
    if len(kept) == len(problem.names):
        return problem
    if problem.target is not None:
        _refuse_other_target(problem.x, problem.target.x, kept, problem.names)
    return replace(
        problem,
        x=problem.x[:, kept],
        names=tuple(problem.names[j] for j in kept),
        target=None if problem.target is None else problem.target.columns(kept),
        notes=tuple(dict.fromkeys((*problem.notes, *notes))),
    )


def _about_means(problem: Problem) -> Problem:
    """Take the columns that are far from zero about their means."""
    means = far_means(problem.x)
    if not means.any():
        return problem
    target = problem.target
    if target is not None:
        target = replace(target, x=target.x - means)
    return replace(problem, x=problem.x - means, target=target)


def _refuse_other_target(
    x: np.ndarray, there: np.ndarray, kept: np.ndarray, names: tuple[str, ...]
) -> None:
    """Refuse a target that differs from the data in what these units cannot tell apart."""
    rest = np.setdiff1d(np.arange(x.shape[1]), kept)
    whole = np.isfinite(x).all(axis=1)
    base = with_constant(x[whole][:, kept])
    size = np.abs(x[whole][:, rest]).max(axis=0, initial=1e-300)
    known = np.linalg.lstsq(base, x[whole][:, rest] / size, rcond=None)[0]
    off = np.abs(there[:, rest] / size - with_constant(there[:, kept]) @ known) > 1e-6
    if off.any():
        name = names[rest[int(off.any(axis=0).argmax())]]
        raise DataError(
            f"{name} is constant, or a function of other columns, among the units of the data, and "
            f"{int(off.any(axis=1).sum()):,} rows of the target table have other values: what "
            "the effect is there cannot be learned from the data.",
            expected="a target within the data.",
            remedy="Leave these rows out of the table.",
        )


def _refuse_question(estimand: Estimand) -> None:
    title = type(estimand).__name__
    if title not in GROUPS:
        raise EstimandError(
            f"Estimators are about two levels of one treatment; {estimand.label()} is not.",
            expected=f"one of {', '.join(GROUPS)}.",
            remedy="Ask bc.estimate(fit, ...), which answers it through the model.",
        )
    if len(estimand.treatments) != 1:
        raise EstimandError(
            f"{estimand.label()} has {len(estimand.treatments)} treatments.",
            expected="one.",
            remedy="Ask bc.estimate(fit, ...), which answers it through the model.",
        )
    if not isinstance(estimand.functional, Mean | Probability):
        raise EstimandError(
            f"Estimators answer means and probabilities; {estimand.label()} asks for "
            f"{estimand.functional!r}.",
            expected='functional="mean" or a Probability.',
            remedy="Ask bc.estimate(fit, ...), which answers it through the model.",
        )
    name = estimand.population.name
    if name in ("finite", "model"):
        why = (
            "the very units at hand with their own noise"
            if name == "finite"
            else "fresh units of a model"
        )
        raise EstimandError(
            f"population={name!r} asks about {why}, of which an estimator without a model knows "
            "nothing.",
            expected='population="sample", "superpopulation" or a table of units.',
        )
    for read in estimand.given.reads:
        if read in (estimand.treatments[0], estimand.outcome_name):
            raise EstimandError(
                f"given= reads {read!r}, which the question itself is about.",
                expected="a subgroup formed by what comes before the treatment.",
                remedy="For those at a level of the treatment ask ATT or ATU.",
            )


def _refuse_consequences(estimand: Estimand, decided: Identification) -> None:
    """Refuse subgroups formed by what the treatment changes."""
    after = nx.descendants(decided.question.graph, estimand.treatments[0])
    for name in (*estimand.given.reads, *estimand.by):
        if name in after:
            raise EstimandError(
                f"The subgroup reads {name!r}, which the treatment changes: that is a question "
                "about units that came to be so, which needs each unit's own noise.",
                expected="a subgroup formed by what comes before the treatment.",
                remedy="Ask bc.estimate(fit, ...), which answers it through the model.",
            )


def _measured(given: object, table: Mapping[str, np.ndarray]) -> list[str]:
    """Return what of the graph there are columns of."""
    graph = as_graph(cast("GraphLike", given))
    return [n for n in graph if n in observables(graph, None) and n in table]


def _outcome(estimand: Estimand, column: np.ndarray) -> tuple[np.ndarray, bool]:
    functional = estimand.functional
    if isinstance(functional, Probability):
        return functional.indicator(column).astype(float), True
    if not is_number(column):
        raise EstimandError(
            f"The outcome {estimand.outcome_name!r} holds labels, which have no mean.",
            expected="numbers, or functional=Probability(equals=...).",
        )
    y = np.asarray(column, dtype=float)
    if not np.isfinite(y).all():
        raise DataError(f"The outcome {estimand.outcome_name!r} is infinite in some rows.")
    return y, bool(np.isin(y, (0.0, 1.0)).all())


def _arms(
    estimand: Estimand, column: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, tuple[float, float] | None]:
    """Return the arm of each unit, its dose, and the two doses compared."""
    worlds, name = estimand.worlds(), estimand.treatments[0]
    values = []
    for role in ("treated", "control"):
        act = worlds[role].get(name)
        if not isinstance(act, Set) or np.ndim(act.value):
            found = "the natural course" if act is None else repr(act)
            raise EstimandError(
                f"Estimators compare two levels of {name!r}; {role}= is {found}.",
                expected="a value.",
                remedy="Ask bc.estimate(fit, ...), which answers it through the model.",
            )
        values.append(act.value.item() if hasattr(act.value, "item") else act.value)
    arm = np.full(len(column), -1)
    for k, value in zip((1, 0), values, strict=True):
        arm[np.asarray(column == value, dtype=bool)] = k
    if not is_number(column) or any(isinstance(v, str) for v in values):
        return arm, None, None
    return arm, np.asarray(column, dtype=float), (float(values[0]), float(values[1]))


def _clusters(
    population: Population,
    table: Mapping[str, np.ndarray],
    length: int,
    rows: np.ndarray | pd.Index | None,
) -> np.ndarray | None:
    labels = getattr(population, "clusters", None)
    if labels is None:
        return None
    if isinstance(labels, str):
        if labels not in table:
            raise unknown_variable(labels, table, what="a column of the data")
        labels = table[labels]
    labels = cluster_labels(labels, "row", rows, length)
    if labels.dtype.kind == "O":
        labels = labels.astype(str)
    if len(np.unique(labels)) < 2:
        raise DataError("There is one cluster alone.", expected="two at least.")
    return labels
