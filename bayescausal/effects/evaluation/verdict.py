"""Whether what was asked is identified, for the estimand's own query and the fit's own data.

The graph is the model's, the observed set is the fit's: a structural variable without a column is
latent. Imputed columns count as observed, at random given the model. Where the question is not
identified nonparametrically the posterior still has a mean; it then rests on the prior and on the
parametric form.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from bayescausal.effects.estimands.conditions import Condition
from bayescausal.effects.estimands.functionals import Mean
from bayescausal.effects.evaluation.positivity import tied_in_data
from bayescausal.evaluation.measured import measured, plain_name
from bayescausal.evaluation.program_cache import remember
from bayescausal.graph.identification.algebra import conditioned
from bayescausal.graph.identification.effect_query import EffectQuery
from bayescausal.graph.identification.estimands import decide
from bayescausal.graph.identification.path_specific import identify_along
from bayescausal.graph.identification.positivity import on_the_form
from bayescausal.graph.structure.marks import as_names, nameless, observables
from bayescausal.graph.text.parse import as_graph
from bayescausal.inference.data.design_matrix import with_columns
from bayescausal.inference.record import Fit
from bayescausal.model.graph_queries.graph_of_anything import (
    graph_and_observed,
    structure_and_columns,
)
from bayescausal.model.structure.structure import structural_graph
from bayescausal.model.study_designs.by_design import by_design
from bayescausal.model.study_designs.strata import on_compliers
from bayescausal.types import BayesCausalError, EstimandError, Policy, Scale, Set, Shift

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.graph.identification.verdict import Identification
    from bayescausal.model.structure.structure import Structure

__all__ = ["asked_records", "verdict", "verdict_of", "verdict_on"]


def asked_records(estimand: Estimand) -> tuple[str, ...]:
    """Return the names of a question that are about what was measured, or about its record.

    The outcome is; treatments, mediators and conditions are what the arrows of the model carry.
    """
    named = [n for n in estimand.names if plain_name(n) != n]
    return tuple(dict.fromkeys([estimand.outcome_name, *estimand.functional.others, *named]))


def verdict(fit: Fit, estimand: Estimand) -> Identification | None:
    """Return the identification verdict of an estimand under a fit.

    `fit`: its columns are what is observed; without data everything is.
    Returns: True only if identified without a further assumption. None where there is nothing to
    identify: a model of one variable, an outcome that is set.
    """
    structure = fit.structure
    shown = structure.nodes
    if any(n in structure.deterministics for n in estimand.names):
        shown = (*structure.nodes, *structure.deterministics)
    graph = remember(
        structure,
        ("graph", shown),
        lambda: as_graph(structural_graph(structure.full, shown, structure)),
    )
    found = verdict_on(graph, _observed(fit, graph), estimand, fit)
    return None if found is None else replace(found, asked=estimand)


def verdict_on(
    graph: nx.DiGraph,
    observed: list[str],
    estimand: Estimand,
    fit: Fit | None = None,
    structure: Structure | None = None,
) -> Identification | None:
    """Return the identification verdict of an estimand on a graph.

    - `observed`: what of it is measured.
    - `fit`: whose data may show that a treatment is a function of what is adjusted for.
    - `structure`: the model of the graph, whose equations say what a design assumes. Default: that
      of `fit`.
    """
    structure = structure if fit is None else fit.structure
    if estimand.outcome_name in estimand.treatments:
        return None  # E[X | do(X = x)] = x, whatever the graph
    for name in estimand.functional.others:  # of the outcome and of what it is compared with
        where = "outcome" if hasattr(estimand, "outcome") else "y"
        changed: dict[str, Any] = {where: name, "functional": Mean()}
        other = replace(estimand, **changed)
        found = verdict_on(graph, observed, other, fit, structure)
        if found is not None and not found:
            return found
    graph, given = _conditions(graph, observed, estimand)
    asked = _query(graph, estimand, given)
    named = (*estimand.treatments, estimand.outcome_name, *asked.given)
    hidden = [n for n in dict.fromkeys(named) if n in graph and n not in observed]
    if hidden:
        found = _unmeasured(graph, estimand, asked, [*observed, *hidden], hidden)
        columns = None if fit is None else fit.columns
        return _on_compliers(structure, found, estimand, hidden, observed, columns)
    if not asked.treatment:
        return _natural(graph, asked)
    found = _decide(graph, asked, observed)
    if fit is not None:
        found = _in_these_data(fit, found, estimand)
    if structure is not None:
        found = by_design(found, structure, None if fit is None else fit.columns, observed)
    if estimand.given.masks:
        found = replace(found, warnings=(*found.warnings, _MASKED))
    return found


def verdict_of(
    estimand: Estimand,
    model_or_graph: object,
    observed: Iterable[str] | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> Identification:
    """Return the verdict of an estimand under a model, a fit or a graph.

    `observed`: what is measured. Default: what the model or the fit says, or the marks of the
    graph.
    """
    if isinstance(model_or_graph, Fit) and observed is None and unit_dims is None:
        fit = measured(with_columns(model_or_graph, estimand.names), asked_records(estimand))
        for name in estimand.names:
            fit.structure.require(name)
        _refuse_paths(estimand, fit.structure.graph_for(estimand.names))
        decided = verdict(fit, estimand)
    else:
        graph, seen = graph_and_observed(
            model_or_graph, observed, named=(estimand.names,), unit_dims=unit_dims
        )
        as_names(graph, estimand.names)
        _refuse_paths(estimand, graph)
        known = observables(graph, seen)
        names = [n for n in graph if n in known]
        structure = structure_and_columns(model_or_graph, unit_dims)[0]
        decided = verdict_on(graph, names, estimand, structure=structure)
    if decided is None:
        raise EstimandError(
            f"There is nothing to identify in {estimand.label()}.",
            expected="a question about an outcome that is not set, among two variables or more.",
        )
    return replace(decided, asked=estimand)


def _refuse_paths(estimand: Estimand, graph: nx.DiGraph) -> None:
    """Refuse a path-specific effect that the graph does not define."""
    if hasattr(estimand, "paths"):
        estimand.worlds(graph)


def _decide(graph: nx.DiGraph, asked: EffectQuery, observed: list[str]) -> Identification:
    """Return the verdict where everything the question names is measured."""
    if asked.along:
        return identify_along(graph, asked, observed)
    return decide(graph, asked, observed)


# ------------------------------------------------------------------------ private


def _observed(fit: Fit, graph: nx.DiGraph) -> list[str]:
    """Return what of the graph is measured."""
    structure = fit.structure
    if fit.data is None:
        return [n for n in graph if n not in nameless(graph)]
    seen = {n for n in graph if n in fit.columns or n in structure.data}
    for name in graph:
        if name in structure.deterministics:
            parents = set(graph.predecessors(name))
            if parents and parents <= seen:
                seen.add(name)
    return [n for n in graph if n in seen]


def _conditions(
    graph: nx.DiGraph, observed: list[str], estimand: Estimand
) -> tuple[Any, tuple[str, ...]]:
    """Return what is conditioned on, and the graph with a node for each condition but a value.

    Within a range of Z (a set of its values, an event, a function of it) Z still varies, so that
    looking there does not close a path through Z: the condition is a function of Z, a node of its
    own below it.
    """
    own = {*estimand.treatments, estimand.outcome_name}
    given: list[str] = []
    extra: dict[str, tuple[str, ...]] = {}
    for clause in estimand.given.clauses:
        condition = Condition((clause,))
        if condition.is_value or own & {*condition.reads} or not condition.reads:
            given += condition.reads
            continue
        name = condition.describe()
        while name in graph:
            name += " "
        extra[name] = condition.reads
        given.append(name)
    given += estimand.by
    if not extra:
        return graph, tuple(dict.fromkeys(given))
    wider: nx.DiGraph = nx.DiGraph(graph)
    for name, reads in extra.items():
        wider.add_node(name, kind="deterministic")
        wider.add_edges_from((read, name) for read in reads)
        if {*reads} <= {*observed}:
            observed.append(name)
    return nx.freeze(wider), tuple(dict.fromkeys(given))


def _query(graph: nx.DiGraph, estimand: Estimand, given: tuple[str, ...]) -> EffectQuery:
    """Return what must be identified for a question in a subgroup."""
    own = estimand.query(graph)
    if own.seen:
        return replace(own, given=given)
    return replace(
        own,
        given=tuple(dict.fromkeys((*given, *own.given))),
        coupling=_coupling_words(estimand),
        natural_value=_reads_natural_value(estimand),
    )


def _natural(graph: nx.DiGraph, asked: EffectQuery) -> Identification | None:
    """Nothing is intervened on: a property of the distribution of what is seen."""
    outcome = str(asked.outcome)
    others = [n for n in graph if n != outcome and n not in nameless(graph)]
    if not others:
        return None
    base = decide(graph, EffectQuery("", (others[0],), outcome, seen=True), [*others, outcome])
    return replace(base, kind=asked.kind, query=f"P({outcome})", estimand=None)


def _unmeasured(
    graph: nx.DiGraph,
    estimand: Estimand,
    asked: EffectQuery,
    observed: list[str],
    hidden: list[str],
) -> Identification | None:
    """What the question names is latent: no distribution of measured variables fixes it."""
    base = _decide(graph, asked, observed) if asked.treatment else _natural(graph, asked)
    if base is None:
        return None
    plain = {*estimand.names, *estimand.query(graph).given}  # else the node of a condition
    read = [n for name in hidden for n in ([name] if name in plain else graph.predecessors(name))]
    hidden = [n for n in dict.fromkeys(read) if n not in observed or n in plain]
    named = " and ".join(hidden)
    return replace(
        base,
        status="not identified",
        method="none",
        estimand=None,
        hedge=None,
        reason=f"{named} {'is' if len(hidden) == 1 else 'are'} not measured",
    )


def _on_compliers(
    structure: Structure | None,
    found: Identification | None,
    estimand: Estimand,
    hidden: list[str],
    observed: list[str],
    columns: Mapping[str, Any] | None,
) -> Identification | None:
    """Return the verdict where all that is hidden is a kind of the units that is conditioned on."""
    clauses = estimand.given.clauses
    if structure is None or found is None or len(hidden) != 1 or len(clauses) != 1 or estimand.by:
        return found
    [(name, level)] = clauses
    if name != hidden[0] or isinstance(level, bool) or not isinstance(level, int | float):
        return found
    return on_compliers(found, structure, name, float(level), observed, columns)


#: What a verdict cannot see.
_MASKED = (
    "The mask does not say what it was formed from: this holds if from causes of the treatment "
    "that are adjusted for, not from consequences of the treatment or from the outcome."
)


def _in_these_data(fit: Fit, found: Identification, estimand: Estimand) -> Identification:
    """Lower the verdict where, in the data, units alike in all else have no other treatment."""
    if not found or found.estimand is None or found.method in ("observed", "no causal path"):
        return found
    asked = found.question.treatment
    for name in asked:
        if name not in fit.columns:
            continue
        looked = [given for given in conditioned(found.estimand) if name in given]
        held = tuple(dict.fromkeys(n for given in looked for n in sorted(given - {*asked})))
        tied = remember(fit, ("tied", name, held), partial(tied_in_data, fit, name, held))
        if tied is None:
            continue
        if tied.of or tied.moves:
            return on_the_form(found, name, tied.of, tied.moves)
        value = np.asarray(fit.columns[name]).reshape(-1)[0]
        if not _set_to(estimand, fit, name, value):
            shown = fit.labels[name][int(value)] if name in fit.labels else f"{float(value):g}"
            return on_the_form(found, name, (), "", shown)
    return found


def _set_to(estimand: Estimand, fit: Fit, name: str, value: float) -> bool:
    """Whether a question sets a treatment to this value alone, in all its worlds."""
    own = fit.labels[name][int(value)] if name in fit.labels else value
    try:
        acts = [do[name] for do in estimand.worlds().values() if name in do]
    except BayesCausalError:
        return False
    return all(isinstance(act, Set) and np.all(np.asarray(act.value) == own) for act in acts)


def _reads_natural_value(estimand: Estimand) -> bool:
    try:
        worlds = estimand.worlds()
    except BayesCausalError:
        return False
    for world in worlds.values():
        for name, act in world.items():
            if isinstance(act, Shift | Scale):
                return True
            if isinstance(act, Policy) and name in (act.reads or ()):
                return True
    return False


def _coupling_words(estimand: Estimand) -> str | None:
    coupling = estimand.coupling
    if coupling is None:
        return None
    if isinstance(coupling, str):
        return coupling
    return ", ".join(f"{k}: {v}" for k, v in dict(coupling).items())
