"""Path-specific effects: one value of the treatment travels along some edges, another along others.

The effect of X along chosen paths compares Y where the children of X on those paths read the
treated value, and its other children the control value [1]_. Where all children on causal paths are
chosen it is the total effect; where all but Y itself are, the natural indirect effect; and the
verdicts are the same. Else it is a question across worlds
(`bayescausal.graph.identification.crossworld`), each edge out of X with its own value; with latent
variables a district that would read both values (the recanting district [2]_) makes it
unidentified.

References
----------
.. [1] C. Avin, I. Shpitser and J. Pearl, "Identifiability of path-specific effects", IJCAI 2005.
.. [2] I. Shpitser, "Counterfactual graphical models for longitudinal mediation analysis with
   unobserved confounding", Cognitive Science 37, 2013.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import networkx as nx

from bayescausal.graph.identification.across_worlds import across, refused, selected
from bayescausal.graph.identification.algebra import marginal, quotient
from bayescausal.graph.identification.crossworld import World
from bayescausal.graph.identification.estimands import decide
from bayescausal.graph.identification.positivity import with_positivity
from bayescausal.graph.identification.query import Query, read_query
from bayescausal.graph.structure.mixed_graph import bits
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.annotations import GraphLike
    from bayescausal.graph.identification.effect_query import EffectQuery
    from bayescausal.graph.identification.verdict import Identification

__all__ = ["identify_along", "refuse_undefined_paths"]


def identify_along(
    graph: GraphLike, asked: EffectQuery, observed: Iterable[str] | None = None
) -> Identification:
    """Decide whether a path-specific effect is identified.

    ``asked``: of one treatment; `along` are its children on the chosen paths. The effect is
        defined: from each of them all paths to the outcome are chosen (no recanting witness).
    ``observed``: as for :func:`identify_effect`.

    Examples
    --------
    >>> from bayescausal.graph.identification.effect_query import EffectQuery
    >>> asked = EffectQuery("PSE", ("X",), "Y", along=frozenset({"M"}))
    >>> found = identify_along("X -> M -> Y; X -> Y", asked)
    >>> found.method, str(found.estimand)
    ('cross-world', "Σ_M P(M | X) P(Y | X', M)")
    >>> identify_along("X -> M -> Y; X -> Y; M <-> Y", asked).status
    'not identified'
    """
    return replace(_along(graph, asked, observed), adjustable=False)


def refuse_undefined_paths(graph: nx.DiGraph[str], paths: tuple[tuple[str, ...], ...]) -> None:
    """Refuse arrows that are not there and recanting witnesses.

    A variable W on a chosen path is a witness unless every continuation from W to the outcome
    is chosen for that beginning; continuations are counted, not listed.
    """
    for path in paths:
        for parent, child in pairwise(path):
            if not graph.has_edge(parent, child):
                raise EstimandError(
                    f"The path {' -> '.join(path)} uses {parent} -> {child}, which is not in the "
                    "graph."
                )
    outcome = paths[0][-1]
    ways: dict[str, int] = {outcome: 1}
    for node in reversed(list(nx.topological_sort(graph))):
        if node != outcome:
            ways[node] = sum(ways.get(child, 0) for child in graph.successors(node))
    chosen: dict[tuple[str, ...], int] = defaultdict(int)
    for path in paths:
        for end in range(2, len(path)):
            chosen[path[:end]] += 1
    for prefix, count in chosen.items():
        if count < ways[prefix[-1]]:
            raise EstimandError(
                f"{prefix[-1]!r} is a recanting witness: the paths chosen through "
                f"{' -> '.join(prefix)} need its treated value, other paths its control value.",
                remedy=f"Choose all paths from {prefix[-1]!r} to {outcome!r}, or none.",
            )


# --------------------------------------------------------------------------- private


def _along(
    graph: GraphLike, asked: EffectQuery, observed: Iterable[str] | None = None
) -> Identification:
    """Decide it as the total effect, or else edge by edge."""
    total = decide(graph, replace(asked, kind="TE", along=frozenset()), observed)
    query, [treatment] = total.question, asked.treatment
    ends = {asked.outcome, *nx.ancestors(query.graph, asked.outcome)}
    causal = {n for n in query.graph.successors(treatment) if n in ends}
    if causal <= asked.along:
        return replace(total, kind=asked.kind, query=asked.text)
    known = {treatment, asked.outcome} & set(asked.given)
    if known or asked.natural_value or not total:
        base = _beyond(total) if total and known else total
        return refused(base, asked.kind, asked.text)
    query = read_query(
        graph, treatment, asked.outcome, observed=observed, given=asked.given or None
    )
    if query.selection:
        return selected(query, asked.kind, asked.text)
    return with_positivity(_by_edges(query, asked, total))


def _beyond(total: Identification) -> Identification:
    """Leave open what is asked of units known by their treatment or outcome."""
    return replace(
        total,
        status="undecided",
        method="none",
        estimand=None,
        assumptions=(),
        reason="path-specific effects on units known by their treatment or outcome are not "
        "decided here",
    )


def _by_edges(query: Query, asked: EffectQuery, total: Identification) -> Identification:
    """Decide it as a question across worlds, each edge out of the treatment with its value."""
    admg, y, z = query.admg, query.y, query.z
    name = query.treatment[0]
    node = admg.index[name]
    one = f"{name}'" if query.crossed else name  # X's own value, where it matters, keeps the name
    labels: dict[tuple[int, int], str] = {}
    for child in query.graph.successors(name):
        label = one if child in asked.along else f"{one}'"
        for measured in bits(admg.mask(_reached(query, child))):
            if labels.setdefault((node, measured), label) != label:
                reason = (
                    f"{admg.names[measured]} is reached from {name} through latent variables on "
                    "chosen paths and on others"
                )
                refusal = replace(
                    total, status="not identified", method="none", estimand=None, reason=reason
                )
                return replace(refusal, kind=asked.kind, query=asked.text, assumptions=())
    worlds = [World(y, {node: f"{one}'"}, labels)]
    if z:
        worlds.append(World(z))
    found = across(query, asked.kind, asked.text, worlds, 0, total.warnings)
    if found.estimand is not None and z:
        names = admg.listed(y)
        joint = found.estimand
        found = replace(found, estimand=quotient(joint, marginal(joint, names), names))
    return found


def _reached(query: Query, child: str) -> set[str]:
    """Return the measured variables at the end of paths from a child through latent ones."""
    if child in query.admg.index:
        return {child}
    found: set[str] = set()
    for after in query.graph.successors(child):
        found |= _reached(query, after)
    return found
