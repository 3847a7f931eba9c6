"""Whatever is asked, as a graph and what of it is measured.

A graph measures every node that is not marked latent. A model measures what it observes and its
unit-level ``pm.Data``, or everything if it observes nothing (that of a study design: what the
design has columns of); a fit measures its columns. Columns
without an equation (unit-level ``pm.Data``) may depend on each other in any way: they are joined by
bidirected arcs. PyMC is not imported unless a model is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from bayescausal import graph as arrows
from bayescausal.model.given import model_of, without_column
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import networkx as nx
    import pymc as pm

    from bayescausal.annotations import GraphLike, Names
    from bayescausal.model.design import Design
    from bayescausal.model.structure.structure import Structure

    type ModelOrGraph = pm.Model | Design | Structure | HasStructure | GraphLike
    """Whatever has a graph: a model, its structure, a fit, or a graph in any form."""

__all__ = [
    "Answer",
    "HasStructure",
    "Question",
    "graph_and_observed",
    "is_model",
    "named",
    "no_unit_dims",
    "question_in",
    "structure_and_columns",
]


class Question(Protocol):
    """What an estimand offers: its variables, its name, and its verdict."""

    @property
    def treatments(self) -> tuple[str, ...]: ...
    @property
    def outcome_name(self) -> str: ...
    def label(self) -> str: ...
    @property
    def names(self) -> Iterable[str]: ...
    def identify(
        self,
        model_or_graph: ModelOrGraph,
        *,
        observed: Iterable[str] | None = None,
        unit_dims: str | Sequence[str] | None = None,
    ) -> arrows.Identification: ...


class HasStructure(Protocol):
    """What carries the structure of its model, and the columns that it has data of: a fit."""

    @property
    def structure(self) -> Structure: ...
    @property
    def columns(self) -> Mapping[str, object]: ...
    @property
    def data(self) -> object: ...


class Answer(Protocol):
    """What carries a question: an effect."""

    @property
    def estimand(self) -> Question | None: ...
    @property
    def label(self) -> str: ...


def question_in(given: object) -> Question | None:
    """Return the question of an estimand, or of what carries one: an answer, an exercise.

    Estimands live in a room above this one, so they are known by what they offer.
    """
    held = given
    for name in ("estimand", "question"):
        held = getattr(given, name, None) if held is None or held is given else held
    for each in (given, held):
        if hasattr(each, "treatments") and hasattr(each, "outcome_name"):
            return cast("Question", each)
    if hasattr(given, "estimand") and hasattr(given, "draws") and given.estimand is None:
        raise EstimandError(
            f"The effect {cast('Answer', given).label!r} carries no question: it was made by "
            "arithmetic or by hand.",
            expected="an estimand, such as ATE('treatment', 'outcome'), or the answer to one.",
            remedy="Ask for each of the effects that it was made of.",
        )
    return None


def named[T: (str | None, Names | None)](
    treatment: Names | Question | Answer | None, outcome: T
) -> tuple[Names | None, T | str]:
    """Return treatment and outcome as names, where the first is a question too.

    `outcome`: not given with a question, which has its own.
    """
    question = question_in(treatment)
    if question is None:
        return cast("Names | None", treatment), outcome
    if outcome is not None:
        raise EstimandError(
            f"{question.label()} names its outcome, and {outcome!r} is given beside it.",
            expected="a question, or the names of a treatment and an outcome.",
        )
    if not question.treatments:
        raise EstimandError(
            f"{question.label()} names no treatment.", expected="a question about a treatment."
        )
    return question.treatments, question.outcome_name


def graph_and_observed(
    model_or_graph: ModelOrGraph,
    observed: Iterable[str] | None = None,
    *,
    named: Iterable[str | Iterable[str] | None] = (),
    unit_dims: str | Sequence[str] | None = None,
) -> tuple[nx.DiGraph, list[str] | None]:
    """Return the graph of whatever is given, and what of it is measured.

    - `model_or_graph`: what is asked.
    - `observed`: what is measured, if the caller says so.
    - `named`: the names in the question: where one is a Deterministic, those are nodes.
    - `unit_dims`: the dims that index units, where a model leaves them open.

    Examples
    --------
    >>> graph, observed = graph_and_observed("X -> Y", ["Y"])
    >>> sorted(graph), observed
    (['X', 'Y'], ['Y'])
    """
    if isinstance(observed, str):
        observed = (observed,)
    observed = None if observed is None else list(observed)
    if question_in(model_or_graph) is not None:
        raise EstimandError(
            f"Found {model_or_graph!r} where a model, a fit or a graph is needed.",
            expected="the model, fit or graph first, then the question.",
            remedy="Exchange the two arguments.",
        )
    structure, columns = structure_and_columns(model_or_graph, unit_dims)
    if structure is None:
        return arrows.as_graph(cast("GraphLike", model_or_graph)), observed
    asked = {n for names in named for n in ((names,) if isinstance(names, str) else names or ())}
    structure, columns = _with_columns(structure, columns, asked)
    dag = structure.graph
    if asked & set(structure.deterministics):
        shown = (*structure.nodes, *structure.deterministics)
        dag = structure.graph_with(shown)
    dag = arrows.as_graph(dag)  # joins the columns that have no equation
    if observed is None and not (structure.observed or columns):
        hidden = without_column(model_of(model_or_graph))
        if hidden & set(dag):
            columns = tuple(n for n in structure.random if n not in hidden)
    return dag, _measured(structure, dag, columns) if observed is None else observed


def is_model(given: object) -> bool:
    """Tell a model (or what holds one: a fit) from a graph, without importing PyMC.

    `given`: what is asked.
    """
    given = model_of(given)
    if hasattr(given, "structure") and hasattr(given, "columns"):
        return True
    modules = [each.__module__ for each in type(given).__mro__]
    ours = "bayescausal.model.structure.structure"
    return any(m == ours or m.split(".")[0] == "pymc" for m in modules)


# --------------------------------------------------------------------------- private


def structure_and_columns(
    given: ModelOrGraph, unit_dims: str | Sequence[str] | None
) -> tuple[Structure | None, tuple[str, ...] | None]:
    """Return the structure of a model and the columns of a fit; None for a graph."""
    given = cast("ModelOrGraph", model_of(given))
    if not is_model(given):
        if unit_dims is not None:
            raise no_unit_dims()
        return None, None
    from bayescausal.model.structure import read

    columns = None
    if hasattr(given, "structure"):
        fit = cast("HasStructure", given)
        columns = tuple(fit.columns) if fit.data is not None else None
        given = fit.structure
    if isinstance(given, read.Structure):
        if unit_dims is None:
            return given, columns
        given = given.model
    structure = read.structure_of(read.whole_model(given), unit_dims=unit_dims)
    structure.refuse_constants()
    return structure, columns


def _with_columns(
    structure: Structure, columns: tuple[str, ...] | None, asked: Iterable[str]
) -> tuple[Structure, tuple[str, ...] | None]:
    """Return the structure with the columns and records that are asked about as nodes."""
    if not any(isinstance(n, str) and n.endswith(("]", ")")) for n in asked):
        return structure, columns
    from bayescausal.model.structure.design_matrix import named_structure

    opened = named_structure(structure, asked)
    if columns is None and opened is not structure:
        columns = structure.observed or None  # the rewritten model does not hold them
    if columns is not None:
        columns = (*columns, *(n for n in opened.data if n not in structure.data))
    return opened, columns


def no_unit_dims() -> EstimandError:
    """Build the error for unit dims together with a graph."""
    return EstimandError(
        "unit_dims= is given with a graph, which has no dims.",
        expected="unit_dims= together with a model.",
    )


def _measured(
    structure: Structure, dag: nx.DiGraph, columns: tuple[str, ...] | None
) -> list[str] | None:
    """Return what of a model is measured; None where everything is."""
    own = structure.observed if columns is None else columns
    if not own:
        return None
    seen = {n for n in dag if n in own or n in structure.data}
    for name in dag:  # causes come first
        if name in structure.deterministics:
            parents = set(dag.predecessors(name))
            if parents and parents <= seen:
                seen.add(name)
    return [n for n in dag if n in seen]
