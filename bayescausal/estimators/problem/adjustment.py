r"""Which variables are adjusted for: those that identification found, or those that were named.

A set Z serves if it blocks every path between treatment and outcome that is not causal and holds
nothing that the treatment changes [1]_. What is named is checked by that rule before anything is
computed: a descendant of the treatment would carry part of the effect away or open a path, and an
open back door leaves the confounding in. A set that was not named is the first of
``Identification.adjustment_sets``, the one that its sentence tells.

References
----------
.. [1] I. Shpitser, T. VanderWeele and J. Robins, "On the validity of covariate adjustment for
   estimating causal effects", UAI 2010.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from bayescausal.graph import paths
from bayescausal.graph.identification.adjustment import survives_selection, valid_adjustment
from bayescausal.types import EstimandError, IdentificationError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bayescausal.graph.identification.verdict import Identification

__all__ = [
    "INSTRUMENT",
    "adjustment_of",
    "check_adjustment",
    "instruments_among",
    "is_served",
    "told_instruments",
]

#: What is said of a variable in a set that was named.
INSTRUMENT = (
    "an instrument, given the others: adjusting for it widens the interval and makes what is "
    "unmeasured weigh more."
)
#: Paths that are looked through for one that is open.
MOST_PATHS = 5000


def adjustment_of(
    decided: Identification, adjust: str | Iterable[str] | None, own: Sequence[str] = ()
) -> tuple[tuple[str, ...] | None, str]:
    """Return the variables to adjust for, or None and the reason why there are none.

    - `decided`: the verdict on the question.
    - `adjust`: the variables; ``"optimal"``: the valid set with the smallest asymptotic variance;
      None: the first of the verdict's sets.
    - `own`: what the question itself conditions on, which belongs to every set.
    Raises IdentificationError if a set that was named does not serve, with the reason.
    """
    graph = decided.question.graph
    if adjust == "optimal" and "optimal" not in graph:
        best = decided.optimal_adjustment_set
        if best is None:
            raise IdentificationError(
                "No adjustment set is known to be the best of all.",
                expected="a question without conditions whose best set is measured.",
                remedy="Leave adjust= out, or name the variables.",
            )
        return tuple(sorted({*best, *own})), ""
    if adjust is not None:
        named = (adjust,) if isinstance(adjust, str) else tuple(dict.fromkeys(adjust))
        check_adjustment(decided, (*named, *(n for n in own if n not in named)))
        return named, ""
    if not decided:
        return None, decided.sentence()
    found = next(iter(decided.adjustment_sets), None)
    if found is None:
        return None, decided.sentence()
    return tuple(sorted({*found, *own})), ""


def check_adjustment(decided: Identification, named: Sequence[str]) -> None:
    """Refuse a set that does not serve, saying why.

    Raises UnknownVariableError for a name that the graph does not have.
    Raises EstimandError for the treatment or the outcome itself.
    Raises IdentificationError for a descendant of the treatment, what is not measured, and a path
      that is left open.
    """
    query = decided.question
    graph, (x,), (y,) = query.graph, query.treatment, query.outcome
    for name in named:
        if name not in graph:
            raise unknown_variable(name, [n for n in graph if n in query.admg.index])
        if name in (x, y):
            what = "treatment" if name == x else "outcome"
            raise EstimandError(
                f"adjust= names {name!r}, the {what}.", expected="variables beside these two."
            )
        if name not in query.admg.index:
            raise IdentificationError(
                f"adjust= names {name!r}, which is not measured.",
                expected=f"variables among {', '.join(query.admg.names)}.",
            )
        if name in nx.descendants(graph, x):
            route = " -> ".join(nx.shortest_path(graph, x, name))
            raise IdentificationError(
                f"adjust= names {name!r}, which descends from the treatment ({route}): adjusting "
                "for it takes part of the effect away or opens a path.",
                expected="variables that the treatment does not change.",
                remedy=_remedy(decided),
            )
    if is_served(decided, named):
        return
    shown = ", ".join(named) if named else "nothing"
    raise IdentificationError(
        f"Adjusting for {shown} leaves {_open(decided, named)}.",
        expected="a set that shuts every path but the causal ones.",
        remedy=_remedy(decided),
    )


def is_served(decided: Identification, named: Sequence[str]) -> bool:
    """Tell whether a set serves; within a subgroup its variables are conditioned on, too."""
    query = decided.question
    held = query.z & ~(query.x | query.y)
    own = query.admg.mask(named)
    serves = valid_adjustment(query.admg, query.x, query.y, own | held)
    return serves and survives_selection(query, own)


def instruments_among(decided: Identification, named: Sequence[str]) -> list[str]:
    """Return variables of a set that tell of the treatment and nothing else of the outcome.

    The set serves without them, and given the others and the treatment they are independent of the
    outcome.
    """
    query = decided.question
    admg = query.admg
    held = query.z & ~(query.x | query.y)
    rest, found = list(named), []
    for name in named:
        others = [n for n in rest if n != name]
        given = admg.mask(others) | held | query.x
        if is_served(decided, others) and admg.separated(admg.mask([name]), query.y, given):
            rest = others
            if not admg.separated(admg.mask([name]), query.x, admg.mask(others) | held):
                found.append(name)
    return found


def told_instruments(decided: Identification, named: Sequence[str]) -> tuple[str, ...]:
    """Return what is said of the instruments in a set."""
    return tuple(f"{name}: {INSTRUMENT}" for name in instruments_among(decided, named))


def _open(decided: Identification, named: Sequence[str]) -> str:
    """Return a path in words that the set leaves open."""
    query = decided.question
    [x], [y] = query.treatment, query.outcome
    held = [*named, *(n for n in query.given if n not in (x, y, *named))]
    for path in paths(query.graph, x, y, given=held, limit=MOST_PATHS):
        if path.open and path.kind != "causal":
            return f"a path open: {path}"
    return "units selected by what the set does not hold"


def _remedy(decided: Identification) -> str:
    sets = [sorted(s) for s, _ in zip(decided.adjustment_sets, range(3), strict=False)]
    if not sets:
        return "No set of measured variables identifies it."
    shown = " or ".join("{" + ", ".join(s) + "}" for s in sets)
    return f"Sets that serve: {shown}."
