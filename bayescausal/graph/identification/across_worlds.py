"""Questions across worlds: about units known by what they are, and about nested worlds."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from bayescausal.graph.identification.adjustment import question_sets
from bayescausal.graph.identification.algebra import marginal, product, quotient
from bayescausal.graph.identification.crossworld import CrossWorldError, World, identify_worlds
from bayescausal.graph.identification.expression import Expression, P, Renamed, Sum
from bayescausal.graph.identification.identify import _under_selection, no_common_cause, smallest
from bayescausal.graph.identification.verdict import Identification
from bayescausal.graph.structure.mixed_graph import bits
from bayescausal.graph.structure.separators import AHEAD
from bayescausal.graph.text.notation import joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.graph.identification.query import Query
    from bayescausal.graph.structure.mixed_graph import ADMG

__all__ = ["across", "crossing", "refused", "relabelled", "selected", "subscripted"]


def crossing(query: Query, kind: str, natural: int, mark: str = "'") -> Identification:
    """ATT, ATU, policies, and effects given a consequence of the treatment.

    `natural` are the treatments whose own value is known as well, or decides what is set; `mark`
    tells the name of the value that is set from it.
    """
    admg, x, y, z = query.admg, query.x, query.y, query.z
    conditions = ", ".join((*admg.listed(natural), *query.given))
    labels = {node: admg.names[node] + mark for node in bits(x)}
    text = f"P({subscripted(query.outcome, labels.values())} | {conditions})"
    if query.selection:
        return selected(query, kind, text)
    if not admg.causal_nodes(x, y):
        estimand: Expression = P(admg.listed(y), admg.listed(natural | z))
        return Identification(kind, text, "identified", "no causal path", estimand, question=query)
    before = not z & admg.descendants(x)
    if before and natural:
        sets = list(itertools.islice(question_sets(query, before=True), AHEAD))
        if sets:
            best = smallest(query, sets)
            return Identification(
                kind,
                text,
                "identified",
                "back door",
                _treated(query, best, labels, natural),
                assumptions=(no_common_cause(query, best | z),),
                question=query,
            )
    worlds = [World(y, labels), World(z | natural)]
    warnings: tuple[str, ...] = ()
    if not before:
        after = joined(admg.listed(z & admg.descendants(x)))
        warnings = (
            f"{after} comes after {joined(query.treatment)}: the question is a counterfactual one, "
            "about units known by what followed.",
        )
    return across(query, kind, text, worlds, z | natural, warnings)


def across(
    query: Query,
    kind: str,
    text: str,
    worlds: list[World],
    conditions: int,
    warnings: tuple[str, ...] = (),
) -> Identification:
    """Decide a question across worlds."""
    admg = query.admg
    try:
        joint = identify_worlds(admg, worlds)
    except CrossWorldError as stop:
        return Identification(
            kind,
            text,
            "not identified",
            "none",
            hedge=stop.hedge,
            reason=stop.reason,
            warnings=warnings,
            question=query,
        )
    if conditions:
        names = admg.listed(query.y)
        joint = quotient(joint, marginal(joint, names), names)
    return Identification(
        kind,
        text,
        "identified",
        "cross-world",
        joint,
        assumptions=("no common causes but those in the graph, in any world",),
        warnings=warnings,
        question=query,
    )


def refused(base: Identification, kind: str, text: str) -> Identification:
    """Pass a refusal on; an instrument for the total effect does not serve other questions."""
    if base.status == "under assumption":
        base = replace(base, status="not identified", method="none", assumptions=())
    return replace(base, kind=kind, query=text)


def selected(query: Query, kind: str, text: str) -> Identification:
    """Answer a question across worlds where only selected units are in the data."""
    verdict = replace(_under_selection(query, kind), query=text)
    if verdict.status != "identified":
        return verdict
    return replace(
        verdict,
        status="undecided",
        method="none",
        estimand=None,
        assumptions=(),
        reason=f"units are selected on {joined(query.selection)}, and the question "
        "compares two potential outcomes of one unit",
    )


def relabelled(formula: Expression | None, admg: ADMG, labels: dict[int, str]) -> Expression | None:
    """Return a formula with the treatments read at the level that the labels name."""
    for node, label in labels.items():
        if formula is not None and admg.names[node] in formula.free:
            formula = Renamed(formula, admg.names[node], label)
    return formula


def _treated(query: Query, z: int, labels: dict[int, str], natural: int) -> Expression:
    """Return ``sum_z P(y | x', z, given) P(z | x, given)``; of x what is known."""
    admg = query.admg
    over = admg.listed(z)
    read = P(admg.listed(query.y), admg.listed(query.x | z | query.z))
    inner = relabelled(read, admg, labels)
    assert inner is not None
    if not over:
        return inner
    return Sum(over, product([inner, P(over, admg.listed(natural | query.z))]))


def subscripted(names: Iterable[str], labels: Iterable[str]) -> str:
    under = ", ".join(labels)
    return ", ".join(f"{n}_{{{under}}}" for n in names)
