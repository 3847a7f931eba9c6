"""Questions about arrows, asked of a model or of a graph.

A model has a graph (:func:`bayescausal.graph_of`), so whatever a graph can be asked a model can be
asked, and the other way round. The functions here take either, and a fit too; they read the graph
off and hand the question to the room that answers it.

*Observed.* A graph measures every node that is not marked latent. A model measures what it
observes and its unit-level ``pm.Data``; if it observes nothing, it is taken as a plan of a study
in which everything is measured. A fit measures its columns. ``observed=`` overrules all three.

*Deterministics.* The graph of a model passes through them. Where a question names one, the
unit-level Deterministics become nodes; one counts as measured if all its parents are. Its value
is then a function of its parents, so there are separations beyond those that the arrows show:
what is said here holds, and may leave something out [1]_.

PyMC is not imported unless a model or an estimand is given.

References
----------
.. [1] D. Geiger, T. Verma and J. Pearl, "Identifying independence in Bayesian networks",
   Networks 20, 1990 (deterministic nodes).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bayescausal import graph as arrows
from bayescausal.model.graph_queries.graph_of_anything import (
    graph_and_observed,
    is_model,
    named,
    no_unit_dims,
    question_in,
    structure_and_columns,
)
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import networkx as nx

    from bayescausal.graph import Comparison, Identification, Independence, Path, Role
    from bayescausal.model.graph_queries.graph_of_anything import Answer, ModelOrGraph, Question

__all__ = [
    "compare_graphs",
    "identify",
    "implied_independences",
    "paths",
    "roles",
]


def identify(
    model_or_graph: ModelOrGraph,
    treatment: str | Iterable[str] | Question | Answer | None = None,
    outcome: str | Iterable[str] | None = None,
    *,
    observed: Iterable[str] | None = None,
    given: str | Iterable[str] | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> Identification:
    """Decide whether ``P(outcome | do(treatment), given)`` follows from what is measured.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        A model or a fit, whose graph is read off, or a graph, also as text
        (``"Z -> X -> Y; X <-> Y"``).
    treatment, outcome : str or iterable of str, optional
        The variables. Default: those that the graph marks with that role. In the place of the
        treatment a question (an estimand, or an effect) is answered as it is meant: an ``ATT``,
        natural effects or a subgroup have verdicts of their own.
    observed : iterable of str, optional
        The measured variables. Default: what the model or the fit observes, everything if that
        is nothing (the verdict then names what it takes as measured); of a graph all that is not
        marked latent.
    given : str or iterable of str, optional
        What the effect is conditional on.
    unit_dims : str or sequence of str, optional
        The dims that index units, where a model leaves them open.

    Returns
    -------
    Identification
        True if identified, whatever the equations are. It has the adjustment sets, front-door
        sets, instruments, the estimand or the hedge, and says it in words.

    Raises
    ------
    UnknownVariableError
        If a name is not a variable.
    EstimandError
        If the question makes no sense: sets that overlap, a treatment that is not measured,
        `unit_dims` for a graph.
    GraphError
        If the graph cannot be read.

    References
    ----------
    I. Shpitser and J. Pearl, "Complete identification methods for the causal hierarchy",
    Journal of Machine Learning Research 9, 2008.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> import bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     z = pm.Normal("z", dims="unit")
    ...     x = pm.Normal("x", z, dims="unit")
    ...     y = pm.Normal("y", x + z, dims="unit")
    >>> print(bc.identify(model, "x", "y", observed=["x", "y", "z"]))
    Identified by the back door: adjust for z. Assumes no other common cause of x and y.
    >>> print(*bc.identify(model, "x", "y").warnings)
    The model holds no data yet, so z is taken as measured: say with observed= what is measured.
    >>> bc.identify("X -> M -> Y; X <-> Y", "X", "Y").method
    'front door'
    """
    question = question_in(treatment)
    if question is not None:
        if outcome is not None or given is not None:
            raise EstimandError(
                f"{question.label()} names its outcome and its subgroup, and more is given beside "
                "it.",
                expected="a question, or the names of a treatment and an outcome.",
            )
        return _of_question(question, model_or_graph, observed, unit_dims)
    first, last = named(treatment, outcome)
    asked = (first, last, given, observed)
    dag, seen = graph_and_observed(model_or_graph, observed, named=asked, unit_dims=unit_dims)
    found = arrows.identify(dag, first, last, observed=seen, given=given)
    found = _with_design(found, model_or_graph, unit_dims, seen)
    if observed is not None or seen is not None or not is_model(model_or_graph):
        return found
    return _as_planned(
        found, lambda names: arrows.identify(dag, first, last, observed=names, given=given)
    )


def paths(
    model_or_graph: ModelOrGraph,
    start: str | Question | Answer,
    end: str | None = None,
    *,
    given: str | Iterable[str] | None = None,
    limit: int = 5000,
    unit_dims: str | Sequence[str] | None = None,
) -> list[Path]:
    """List all paths between two variables, what each carries and whether it is open.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        A model, a fit or a graph.
    start, end : str
        The two variables; or one question, for its treatment and outcome.
    given : str or iterable of str, optional
        What is conditioned on. Default: what the graph marks as adjusted for; ``[]`` for nothing.
    limit : int
        How many paths there may be.
    unit_dims : str or sequence of str, optional
        The dims that index units, where a model leaves them open.

    Returns
    -------
    list of Path
        Causal paths first, then short ones first. `Path.sentence` says why it is open or shut.

    Raises
    ------
    GraphError
        If there are more than `limit`.
    EstimandError
        If start and end are the same, or conditioned on.

    Examples
    --------
    >>> import bayescausal as bc
    >>> for path in bc.paths("Z -> X -> Y; Z -> Y", "X", "Y", given="Z"):
    ...     print(path.sentence())
    X -> Y (causal) is open.
    X <- Z -> Y (back door) is shut at Z.
    """
    first, last = _ends(start, end)
    dag, _ = graph_and_observed(model_or_graph, named=(first, last, given), unit_dims=unit_dims)
    return arrows.paths(dag, first, last, given=given, limit=limit)


def roles(
    model_or_graph: ModelOrGraph,
    treatment: str | Iterable[str] | Question | Answer | None = None,
    outcome: str | Iterable[str] | None = None,
    *,
    observed: Iterable[str] | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> dict[str, Role]:
    """Say what each variable is to a question, and whether to adjust for it.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        A model, a fit or a graph.
    treatment, outcome : str or iterable of str, optional
        The variables; or one question. Default: those that the graph marks with that role.
    observed : iterable of str, optional
        The measured variables, as in :func:`identify`.
    unit_dims : str or sequence of str, optional
        The dims that index units, where a model leaves them open.

    Returns
    -------
    dict of str to Role
        For every variable, causes first.

    Raises
    ------
    EstimandError
        If the question makes no sense.

    Examples
    --------
    >>> import bayescausal as bc
    >>> print(bc.roles("Z -> X -> M -> Y; Z -> Y", "X", "Y")["M"])
    M is a mediator: do not adjust for it, it carries part of the effect.
    """
    first, last = named(treatment, outcome)
    asked = (first, last, observed)
    dag, seen = graph_and_observed(model_or_graph, observed, named=asked, unit_dims=unit_dims)
    return arrows.roles(dag, first, last, observed=seen)


def implied_independences(
    model_or_graph: ModelOrGraph,
    *,
    observed: Iterable[str] | None = None,
    one_per_pair: bool = False,
    limit: int | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> list[Independence]:
    """List the independences among measured variables that a model or a graph implies.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        A model, a fit or a graph.
    observed : iterable of str, optional
        The measured variables, as in :func:`identify`.
    one_per_pair : bool
        Only the smallest of the minimal sets for each pair.
    limit : int, optional
        At most so many, from the first pair on; of the last one, those that are found first.
    unit_dims : str or sequence of str, optional
        The dims that index units, where a model leaves them open.

    Returns
    -------
    list of Independence
        Sorted by pair, then by size and name of the set.

    Raises
    ------
    UnknownVariableError
        If `observed` names no variable.
    EstimandError
        If `limit` is less than 1.

    Examples
    --------
    >>> import bayescausal as bc
    >>> print(*bc.implied_independences("Z -> X -> Y; W -> Y"), sep="; ")
    W ⊥ X; W ⊥ Z; Y ⊥ Z | X
    """
    dag, seen = graph_and_observed(model_or_graph, observed, named=(observed,), unit_dims=unit_dims)
    return arrows.implied_independences(dag, observed=seen, one_per_pair=one_per_pair, limit=limit)


def compare_graphs(
    left: ModelOrGraph, right: ModelOrGraph, *, unit_dims: str | Sequence[str] | None = None
) -> Comparison:
    """Compare two graphs edge by edge, and by what data could refute.

    Parameters
    ----------
    left, right : pymc.Model, Fit, networkx.DiGraph or str
        Models, fits or graphs in any combination: the graph that a model has, and the one that a
        person believes in.
    unit_dims : str or sequence of str, optional
        The dims that index units, where a model leaves them open.

    Returns
    -------
    Comparison
        True if they are the same. What a model or a fit does not observe counts as latent.

    Raises
    ------
    GraphError
        If a graph cannot be read.

    Examples
    --------
    >>> import pymc as pm
    >>> import bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     z = pm.Normal("z", dims="unit")
    ...     x = pm.Normal("x", z, dims="unit")
    ...     y = pm.Normal("y", x, dims="unit")
    >>> print(bc.compare_graphs("z -> x -> y; z -> y", model))
    Only the left graph has z -> y. Data could refute the right graph alone by: y ⊥ z | x.
    """
    if unit_dims is not None and not (is_model(left) or is_model(right)):
        raise no_unit_dims()
    sides = [with_latents(side, unit_dims if is_model(side) else None) for side in (left, right)]
    return arrows.compare_graphs(*sides)


# --------------------------------------------------------------------------- private


def _of_question(
    question: Question,
    given: ModelOrGraph,
    observed: Iterable[str] | None,
    unit_dims: str | Sequence[str] | None,
) -> Identification:
    """Return the verdict of an estimand, and what it takes as measured."""

    def decided(names: Iterable[str] | None) -> Identification:
        return question.identify(given, observed=names, unit_dims=unit_dims)

    found = decided(observed)
    if observed is not None or not is_model(given):
        return found
    dag, seen = graph_and_observed(given, None, named=(question.names,), unit_dims=unit_dims)
    if seen is not None:
        return found
    # a condition that is no value is a node of the verdict's own graph, which the model has not
    return _as_planned(found, lambda names: decided([n for n in names if n in dag]))


def _with_design(
    found: Identification,
    given: ModelOrGraph,
    unit_dims: str | Sequence[str] | None,
    measured: list[str] | None,
) -> Identification:
    """Return a verdict with what the design of a model's study assumes; a graph has none."""
    structure, _ = structure_and_columns(given, unit_dims)
    if structure is None:
        return found
    from bayescausal.model.study_designs.by_design import by_design

    return by_design(found, structure, getattr(given, "columns", None), measured)


def _as_planned(
    found: Identification, again: Callable[[list[str]], Identification]
) -> Identification:
    """Name what the verdict takes as measured, where the model observes nothing and it matters."""
    query = found.question
    asked = {*query.treatment, *query.outcome, *query.given}
    used = found.rests_on - asked
    used -= {n for n, kind in query.graph.nodes(data="kind") if kind == "data"}
    if not found or not used:
        return found
    seen = [n for n in query.admg.names if n not in used]
    if again(seen):
        return found
    names = sorted(used)
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    verb = "is" if len(names) == 1 else "are"
    note = (
        f"The model holds no data yet, so {listed} {verb} taken as measured: say with observed= "
        "what is measured."
    )
    return replace(found, warnings=(*found.warnings, note))


def _ends(start: str | Question | Answer, end: str | None) -> tuple[str, str]:
    """Return the two ends of the paths, which a question names too."""
    first, last = named(start, end)
    names = (first,) if isinstance(first, str) else tuple(first or ())
    if len(names) != 1 or last is None:
        raise EstimandError(
            f"Paths from {', '.join(map(str, names)) or 'nothing'} to {last or 'nothing'}.",
            expected="two variables, or a question with one treatment.",
        )
    return names[0], last


def with_latents(given: ModelOrGraph, unit_dims: str | Sequence[str] | None) -> nx.DiGraph:
    """Return a graph in which what is not measured is marked latent."""
    dag, seen = graph_and_observed(given, unit_dims=unit_dims)
    if seen is None:
        return dag
    marked = {n: {**a, "latent": n not in seen} for n, a in dag.nodes(data=True)}
    return arrows.build_graph(marked, dag.edges)
