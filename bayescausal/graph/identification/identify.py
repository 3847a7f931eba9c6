"""Identification: can the effect be had from what is measured, and how?

One call tries what there is, simplest first, and stops at the first that gives a formula:

1. no directed path from treatment to outcome: no effect;
2. the back door: an adjustment set;
3. the front door;
4. ID, or IDC where something is conditioned on: complete, so that a failure is a proof;
5. an instrument: not a formula but a further assumption.

All sets are found, not only those that were needed. Two more things are looked at. *Selection*:
where units are in the data because of a selection node S, P(V) is P(V | S). An adjustment set z
then still serves if y is independent of S given x, z, and z of S [1]_; if y is a cause of S nothing
does without outside data; else the verdict is undecided. *Conditioning*: `given` may open a path
(a collider) or be a consequence of the treatment; the answer is right for the question asked, and
a warning says that it may not be the question meant.

Identification speaks of the graph and of unlimited data. It does not say that the graph is right,
nor that there are units of every kind (positivity), but for what the graph itself rules out: a
treatment that is a function of what is adjusted for.

References
----------
.. [1] E. Bareinboim, J. Tian and J. Pearl, "Recovering from selection bias in causal and
   statistical inference", AAAI 2014.
.. [2] I. Shpitser and J. Pearl, "Complete identification methods for the causal hierarchy",
   Journal of Machine Learning Research 9, 2008.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from bayescausal.graph.identification.adjustment import (
    minimal_adjustment,
    question_sets,
    survives_selection,
)
from bayescausal.graph.identification.algebra import product
from bayescausal.graph.identification.expression import Expression, P, Sum
from bayescausal.graph.identification.frontdoor import front_doors
from bayescausal.graph.identification.idc import NotIdentified, identify_conditional
from bayescausal.graph.identification.positivity import determines, with_positivity
from bayescausal.graph.identification.query import Query, read_query
from bayescausal.graph.identification.verdict import (
    Identification,
    Status,
    _by_size,
    by_size_of_door,
)
from bayescausal.graph.structure.marks import column_causes
from bayescausal.graph.structure.mixed_graph import project
from bayescausal.graph.structure.separators import AHEAD
from bayescausal.graph.text.notation import joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.annotations import GraphLike

__all__ = ["identify"]


def identify(
    graph: GraphLike,
    treatment: str | Iterable[str] | None = None,
    outcome: str | Iterable[str] | None = None,
    *,
    observed: Iterable[str] | None = None,
    given: str | Iterable[str] | None = None,
) -> Identification:
    """Decide whether ``P(outcome | do(treatment), given)`` follows from what is measured.

    Raises UnknownVariableError if a name is not a node of the graph; EstimandError if the question
        makes no sense: sets that overlap, a treatment that is not measured; GraphError if the graph
        cannot be read.

    References
    ----------
    I. Shpitser and J. Pearl, "Complete identification methods for the causal hierarchy",
    Journal of Machine Learning Research 9, 2008.

    Examples
    --------
    >>> from bayescausal.graph import identify
    >>> verdict = identify("X -> M -> Y; X <-> Y", "X", "Y")
    >>> verdict.method, verdict.frontdoor_sets
    ('front door', [{M}])
    >>> print(verdict.estimand)
    Σ_M P(M | X) Σ_X' P(X') P(Y | X', M)
    >>> print(identify("X -> Y; X <-> Y", "X", "Y"))
    P(Y | do(X)) is not identified: X and Y share unmeasured causes that nothing measured \
stands in for. It would be identified if the common cause of X and Y were measured.
    """
    query = read_query(graph, treatment, outcome, observed=observed, given=given)
    found = identify_query(query, "CATE" if query.given else "ATE")
    return with_positivity(found)


def identify_query(query: Query, kind: str) -> Identification:
    """Decide a question that has been read."""
    if query.selection:
        return _under_selection(query, kind)
    return _identified(query, kind) or _algorithm(query, kind)


def query_text(query: Query) -> str:
    """Return the question as mathematics."""
    given = "".join(f", {name}" for name in query.given)
    return f"P({', '.join(query.outcome)} | do({', '.join(query.treatment)}){given})"


def smallest(query: Query, sets: Iterable[int]) -> int:
    """Return the smallest set to adjust for; last those that leave the treatment one value."""
    graph, names = query.graph, query.admg.named

    def order(found: int) -> tuple[bool, tuple[int, list[str]]]:
        held = {*names(found), *query.given}
        return bool(determines(graph, held, query.treatment)), _by_size(names(found))

    return min(sets, key=order)


def no_common_cause(query: Query, adjusted: int) -> str:
    """Return what the back door assumes; a column as treatment may have any cause but for this."""
    x, y = joined(query.treatment), joined(query.outcome)
    columns = {n for ends in column_causes(query.graph).values() for n in ends}
    if adjusted and columns & set(query.treatment):
        return f"no common cause of {x} and {y} but through these"
    return f"no {'other ' if adjusted else ''}common cause of {x} and {y}"


# --------------------------------------------------------------------------- private


def _identified(query: Query, kind: str) -> Identification | None:
    """Try what needs no algorithm: no path, the back door, the front door."""
    admg, x, y, z = query.admg, query.x, query.y, query.z
    names, text = (query.treatment, query.outcome), query_text(query)
    xs, ys = joined(names[0]), joined(names[1])
    warnings = _warnings(query)
    if not z and not admg.causal_nodes(x, y):
        return Identification(
            kind, text, "identified", "no causal path", P(admg.listed(y)), question=query
        )
    found = list(itertools.islice(question_sets(query), AHEAD))
    if found:
        best = smallest(query, found)
        return Identification(
            kind,
            text,
            "identified",
            "back door",
            _adjusted(query, best),
            assumptions=(no_common_cause(query, best | z),),
            warnings=warnings,
            question=query,
        )
    doors = [] if z else list(itertools.islice(front_doors(admg, x, y), AHEAD))
    if doors:
        best = min(doors, key=lambda s: by_size_of_door(query, admg.named(s)))
        through = joined(sorted(admg.listed(best)))
        assumptions = [
            f"{xs} acts on {ys} through {through} alone",
            f"no common cause of {xs} and {through}",
            f"none of {through} and {ys} but by way of {xs}",
        ]
        return Identification(
            kind,
            text,
            "identified",
            "front door",
            _front_door(query, best),
            assumptions=tuple(assumptions),
            question=query,
        )
    return None


def _algorithm(query: Query, kind: str) -> Identification:
    """Run ID or IDC, then look for an instrument."""
    text, warnings = query_text(query), _warnings(query)
    try:
        estimand = identify_conditional(query.admg, query.y, query.x, query.z)
    except NotIdentified as stop:
        hedge = stop.hedge
    else:
        return Identification(
            kind,
            text,
            "identified",
            "IDC" if query.given else "ID",
            estimand,
            assumptions=("no common causes but those in the graph",),
            warnings=warnings,
            question=query,
        )
    touched = joined(sorted(hedge.F))
    one = "share" if len(hedge.F) > 1 else "has"
    reason = f"{touched} {one} unmeasured causes that nothing measured stands in for"
    refusal = Identification(
        kind,
        text,
        "not identified",
        "none",
        hedge=hedge,
        reason=reason,
        warnings=warnings,
        question=query,
    )
    if query.given or not refusal.instruments:
        return refusal
    return Identification(
        kind,
        text,
        "under assumption",
        "instrument",
        hedge=hedge,
        reason=reason,
        assumptions=("linearity, a homogeneous effect, or monotonicity (then for compliers)",),
        warnings=warnings,
        question=query,
    )


def _adjusted(query: Query, z: int) -> Expression:
    """Return ``sum_z P(y | x, z, given) P(z | given)``."""
    admg = query.admg
    y, over = admg.listed(query.y), admg.listed(z)
    given = admg.listed(query.z)
    inner = P(y, admg.listed(query.x | z | query.z))
    return Sum(over, product([inner, P(over, given)])) if over else inner


def _front_door(query: Query, m: int) -> Expression:
    """Return ``sum_m P(m | x) sum_x' P(x') P(y | x', m)``."""
    admg = query.admg
    x, y, over = admg.listed(query.x), admg.listed(query.y), admg.listed(m)
    inner = Sum(x, product([P(x), P(y, admg.listed(query.x | m))]))
    return Sum(over, product([P(over, x), inner]))


def _warnings(query: Query) -> tuple[str, ...]:
    """Name what is odd about conditioning: consequences of treatment, opened paths."""
    admg, x, y, z = query.admg, query.x, query.y, query.z
    found = []
    after = admg.listed(z & admg.descendants(x))
    if after:
        found.append(
            f"{joined(after)} {'is' if len(after) == 1 else 'are'} affected by "
            f"{joined(query.treatment)}: units alike in it under two treatments are not the same "
            "units, so the contrast is subject to selection bias as an effect."
        )
    back_door = admg.proper_back_door(x, y)
    if query.marked and next(minimal_adjustment(admg, x, y, z, marked=query.marked), None) is None:
        marked = joined(admg.listed(query.marked))
        found.append(
            f"The graph marks {marked} as adjusted for, and no valid adjustment set contains "
            f"{'it' if query.marked.bit_count() == 1 else 'them'}."
        )
    for name in query.given:
        node = admg.mask([name])
        opens = back_door.separated(x, y, z & ~node) and not back_door.separated(x, y, z)
        if opens:
            found.append(
                f"Conditioning on {name} opens a path between {joined(query.treatment)} and "
                f"{joined(query.outcome)}: it is a collider, or descends from one."
            )
    return tuple(found)


def _under_selection(query: Query, kind: str) -> Identification:
    """Decide where only selected units are in the data."""
    full = project(query.graph, {*query.admg.names, *query.selection})
    _x, y, s = (full.mask(n) for n in (query.treatment, query.outcome, query.selection))
    text, names = query_text(query), joined(query.selection)
    status: Status
    warning = f"Units are in the data by selection on {names}."
    admg = query.admg
    if not query.given and not admg.causal_nodes(query.x, query.y) and full.separated(y, s):
        return Identification(
            kind, text, "identified", "no causal path", P(query.outcome), question=query
        )
    sets = [] if query.given else itertools.islice(question_sets(query), AHEAD)
    for found in sets:
        if survives_selection(query, found):
            other = no_common_cause(query, found)
            ignorable = f"selection on {names} to be as the graph has it, and so harmless"
            return Identification(
                kind,
                text,
                "identified",
                "back door",
                _adjusted(query, found),
                assumptions=(other, ignorable),
                warnings=(warning,),
                question=query,
            )
    if full.ancestors(s) & y:
        status = "not identified"
        reason = (
            f"{joined(query.outcome)} acts on the selection {names}, so the units in the data "
            "differ from those left out in what is asked about (selection bias)"
        )
    else:
        status = "undecided"
        reason = f"the data are selected on {names}, and no adjustment set undoes the selection"
    return Identification(
        kind, text, status, "none", reason=reason, warnings=(warning,), question=query
    )
