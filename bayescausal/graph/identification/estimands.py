"""The estimand's own query: what has to be identified before a number means what it says.

=============================  ==============================================================
estimand                       what must be a function of P(V)
=============================  ==============================================================
Expected, ATE, TE, QTE,        ``P(y | do(x))``, by adjustment, front door or ID
DoseResponse, Slope, Contrast
CATE                           ``P(y | do(x), z)`` by IDC, z before treatment; z after it makes
                               it a counterfactual, ``P(Y_x | Z = z)``
CDE                            ``P(y | do(x, m))``
ATT, ATU                       ``P(Y_x' | X = x)``, a question across two worlds [1]_
NDE, NIE                       ``P(Y_{x, M_x'})`` and ``P(Y_x')``: the mediation conditions [2]_
                               and, in general, no recanting witness or district [3]_
Shift, Scale, Policy           as ATT: what is set depends on the value X would have had
ITE, PN, PS, PNS               the joint distribution of Y in two worlds: no model of
                               conditional distributions fixes it, so a *coupling* is assumed
any, given the outcome         the same: Y as it was, and Y under what is set
Association                    nothing: it is a property of P(V)
=============================  ==============================================================

An average effect may be identified although the effect on the treated is not.

References
----------
.. [1] I. Shpitser and J. Pearl, "Effects of treatment on the treated: identification and
   generalization", UAI 2009.
.. [2] J. Pearl, "Direct and indirect effects", UAI 2001.
.. [3] C. Avin, I. Shpitser and J. Pearl, "Identifiability of path-specific effects", IJCAI 2005.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import networkx as nx

from bayescausal.graph.identification.across_worlds import (
    across,
    crossing,
    refused,
    relabelled,
    selected,
    subscripted,
)
from bayescausal.graph.identification.algebra import marginal, quotient
from bayescausal.graph.identification.crossworld import World
from bayescausal.graph.identification.effect_query import QUERIES, EffectQuery
from bayescausal.graph.identification.expression import P
from bayescausal.graph.identification.identify import identify_query
from bayescausal.graph.identification.positivity import with_positivity
from bayescausal.graph.identification.query import Query, read_query
from bayescausal.graph.identification.verdict import Identification
from bayescausal.graph.structure.marks import as_names
from bayescausal.graph.structure.mixed_graph import bits
from bayescausal.graph.text.notation import joined
from bayescausal.graph.text.parse import as_graph
from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.annotations import GraphLike

__all__ = ["KINDS", "decide", "identify_effect"]

#: The estimands that `identify_effect` decides.
KINDS: tuple[str, ...] = tuple(QUERIES)


def identify_effect(
    graph: GraphLike,
    kind: str,
    treatment: str | Iterable[str],
    outcome: str | Iterable[str],
    *,
    mediators: str | Iterable[str] | None = None,
    observed: Iterable[str] | None = None,
    given: str | Iterable[str] | None = None,
    coupling: str | None = None,
    natural_value: bool = False,
) -> Identification:
    """Decide whether an estimand is identified: its own query, not that of the average effect.

    Parameters
    ----------
    graph : networkx.DiGraph or str
        The graph.
    kind : str
        The name of the estimand, one of `KINDS`.
    treatment, outcome : str or iterable of str
        The variables.
    mediators : str or iterable of str, optional
        For CDE (required), NDE and NIE. Default: all variables on directed paths.
    observed : iterable of str, optional
        The measured variables. Default: all nodes that are not marked latent.
    given : str or iterable of str, optional
        What the effect is conditional on. Descendants of the treatment make the question a
        counterfactual one; the treatment itself, one about the treated; the outcome, one about
        units known by their outcome, which spans two worlds of one unit.
    coupling : str, optional
        For ITE, PN, PS, PNS, and where `given` names the outcome: the assumption on how the worlds
        go together in one unit.
    natural_value : bool
        Whether what is set depends on the value the treatment would have had (a shift, a scale
        or a policy that reads it).

    Returns
    -------
    Identification
        Its `query` says what was decided.

    Raises
    ------
    EstimandError
        If the estimand is unknown, or the question makes no sense.
    UnknownVariableError
        If a name is not a node of the graph.

    Examples
    --------
    >>> import bayescausal as bc
    >>> mediation = "X -> M -> Y; X -> Y"
    >>> print(bc.identify_effect(mediation, "NDE", "X", "Y").estimand)
    Σ_M P(M | X') P(Y | X, M)
    >>> witness = "X -> W -> M -> Y; W -> Y; X -> Y"
    >>> bool(bc.identify_effect(witness, "NDE", "X", "Y", mediators="M"))
    False
    >>> bc.identify_effect(mediation, "PNS", "X", "Y").status
    'not identified'
    """
    if kind not in KINDS:
        raise EstimandError(
            f"{kind!r} is not an estimand that can be identified.",
            expected="one of " + ", ".join(KINDS) + ".",
            names=closest(kind, KINDS)[:1],
        )
    dag = as_graph(graph)
    asked = replace(
        QUERIES[kind],
        treatment=as_names(dag, treatment, "treatment"),
        outcome=outcome if isinstance(outcome, str | None) else tuple(outcome),
        given=as_names(dag, given, "given"),
        mediators=as_names(dag, mediators, "mediators"),
        coupling=coupling,
        natural_value=natural_value,
    )
    return decide(dag, asked, observed)


def decide(
    graph: GraphLike, asked: EffectQuery, observed: Iterable[str] | None = None
) -> Identification:
    """Decide whether what a question asks is identified.

    ``observed``: the measured variables. Default: all nodes that are not marked latent.
    """
    dag = as_graph(graph)
    xs = as_names(dag, asked.treatment, "treatment")
    known = as_names(dag, asked.given, "given")
    mediators = as_names(dag, asked.mediators, "mediators")
    if asked.controlled:
        if not mediators:
            raise EstimandError(
                "A controlled direct effect holds mediators at a value, and none is named.",
                expected="mediators=, one or more names.",
            )
        xs = (*xs, *(m for m in mediators if m not in xs))
    by_outcome = set(as_names(dag, asked.outcome, "outcome")) & set(known)
    others = tuple(n for n in known if n not in by_outcome and n not in xs)
    query = read_query(dag, xs, asked.outcome, observed=observed, given=others)
    if asked.seen:
        return _association(query)
    natural = query.admg.mask(n for n in known if n in xs)
    if asked.natural_value or asked.own_treatment:
        own = (n for n in xs if not asked.controlled or n not in mediators)
        natural = query.admg.mask(own) | natural
    if by_outcome:
        natural = query.x
    query = replace(query, natural=query.admg.listed(natural), weighing=asked.weighing)
    if asked.joint or by_outcome:
        base = _mediated(query, asked, natural) if asked.mediated else None
        found = _coupled(query, asked, natural, base, known_by=tuple(by_outcome))
    elif asked.mediated:
        found = _mediated(query, asked, natural)
    elif natural or query.z & query.admg.descendants(query.x):
        found = crossing(query, asked.kind, natural)
    else:
        found = identify_query(query, asked.kind)
    found = with_positivity(found)
    return replace(found, adjustable=not (asked.joint or asked.mediated))


# --------------------------------------------------------------------------- private


def _association(query: Query) -> Identification:
    admg = query.admg
    estimand = P(admg.listed(query.y), admg.listed(query.x | query.z))
    names = ", ".join((*query.treatment, *query.given))
    text = f"P({', '.join(query.outcome)} | {names})"
    warnings: tuple[str, ...] = ()
    if query.selection:
        warnings = (f"Units are in the data by selection on {joined(query.selection)}.",)
    return Identification(
        "Association",
        text,
        "identified",
        "observed",
        estimand,
        warnings=warnings,
        question=query,
        adjustable=False,
    )


def _mediated(query: Query, asked: EffectQuery, natural: int = 0) -> Identification:
    """NDE and NIE: Y where X is x and the mediators are as under x'; `natural`: X is known too.

    Where X's own value matters as well it keeps the name, and the two that are set have marks.
    """
    kind, held = asked.kind, _mediators(query, asked.mediators)
    admg, x, y = query.admg, query.x, query.y
    mark = "'" if query.crossed else ""
    own = {node: admg.names[node] + mark for node in bits(x)}
    labels = {node: label + "'" for node, label in own.items()}
    shown = ", ".join((*own.values(), *(f"{m}_{{{', '.join(labels.values())}}}" for m in held)))
    conditions = (*admg.listed(natural), *query.given)
    given = f" | {', '.join(conditions)}" if conditions else ""
    text = f"P({', '.join(query.outcome)}_{{{shown}}}{given})"
    if query.selection:
        return selected(query, kind, text)
    total = (query, kind, natural, mark + "'") if query.crossed else None
    base = crossing(*total) if total else identify_query(query, "TE")
    hidden = [m for m in held if m not in admg.index]
    if not _direct(query, held):  # all of the effect is mediated: Y_{x, M_x'} is Y_x'
        formula = base.estimand if total else relabelled(base.estimand, admg, labels)
        return replace(base, kind=kind, query=text, estimand=formula)
    if not base:
        return refused(base, kind, text)
    if hidden:
        return Identification(
            kind,
            text,
            "not identified",
            "none",
            reason=f"the mediator {joined(hidden)} is not measured",
            question=query,
        )
    m = admg.mask(held)
    worlds = [World(y, own | {node: admg.names[node] for node in bits(m)}), World(m, labels)]
    if query.z | natural:
        worlds.append(World(query.z | natural))
    verdict = across(query, kind, text, worlds, 0, base.warnings)
    if verdict and verdict.estimand is not None:
        joint = marginal(verdict.estimand, admg.listed(m & ~query.z)[::-1])
        if query.z | natural:
            names = admg.listed(y)
            joint = quotient(joint, marginal(joint, names), names)
        verdict = replace(verdict, estimand=joint)
    return verdict


def _mediators(query: Query, mediators: tuple[str, ...]) -> tuple[str, ...]:
    """Return the mediators: those named, or all variables on directed paths."""
    dag = query.graph
    after = set().union(*(nx.descendants(dag, n) for n in query.treatment))
    before = set().union(*(nx.ancestors(dag, n) for n in query.outcome))
    between = after & before - set(query.treatment) - set(query.outcome)
    if not mediators:
        if not between:
            raise EstimandError(
                f"No directed path from {joined(query.treatment)} to {joined(query.outcome)} has a "
                "variable in between.",
                remedy="Without a mediator, ask for the total effect.",
            )
        return tuple(n for n in nx.lexicographical_topological_sort(dag) if n in between)
    named = as_names(dag, mediators, "mediators")
    for name in named:
        if name not in between:
            raise EstimandError(
                f"{name!r} is not a mediator of {joined(query.treatment)} and "
                f"{joined(query.outcome)}.",
                expected=f"a variable on a directed path: {joined(sorted(between)) or 'none'}.",
            )
    return named


def _direct(query: Query, mediators: tuple[str, ...]) -> bool:
    """Tell whether a directed path from treatment to outcome avoids the mediators."""
    rest = query.graph.subgraph(set(query.graph) - set(mediators))
    return any(nx.has_path(rest, a, b) for a in query.treatment for b in query.outcome)


def _coupled(
    query: Query,
    asked: EffectQuery,
    natural: int,
    base: Identification | None = None,
    *,
    known_by: tuple[str, ...] = (),
) -> Identification:
    """ITE, PN, PS, PNS, or units known by their outcome: the outcome in two worlds of one unit."""
    kind, coupling = asked.kind, asked.coupling
    admg, xs, ys = query.admg, joined(query.treatment), joined(query.outcome)
    labels = [f"{n}'" for n in query.treatment]
    both = f"{subscripted(query.outcome, query.treatment)}, {subscripted(query.outcome, labels)}"
    if not asked.joint:
        both = base.query[2:-1].split(" | ")[0] if base else subscripted(query.outcome, labels)
    natural_names = tuple(n for n in query.treatment if natural >> admg.index[n] & 1)
    own = natural_names if asked.own_treatment else ()
    known = [*query.given, *own, *(query.outcome if asked.own_outcome else known_by)]
    text = f"P({both}{' | ' + ', '.join(known) if known else ''})"
    if not admg.causal_nodes(query.x, query.y) and not query.selection:
        return replace(identify_query(query, "TE"), kind=kind, query=text)
    if base is None:
        spans = natural or query.z & admg.descendants(query.x)
        base = crossing(query, kind, natural) if spans else identify_query(query, "TE")
    if not base:
        return refused(base, kind, text)
    if coupling is None:
        return Identification(
            kind,
            text,
            "not identified",
            "coupling",
            reason=(
                f"it depends on how {ys} under two values of {xs} go together in one unit, "
                "which no data fix; they give bounds"
            ),
            question=query,
        )
    return Identification(
        kind,
        text,
        "under assumption",
        "coupling",
        assumptions=(f"the {coupling} coupling of the potential outcomes", *base.assumptions),
        question=query,
    )
