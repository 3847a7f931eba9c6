"""Positivity that the graph itself rules out: a variable that is a function of others.

A formula such as ``sum_z P(y | x, z) P(z)`` looks at units with x and z together. Where x is a
*function* of z (the treatment above a threshold, ``x = 1 if z >= 0``; a treatment that starts at a
date) a unit with that z has one value of x and no other: ``P(y | x, z)`` has no data at all but
for the boundary where x changes, and positivity [1]_ fails. The number of a fitted model then
rests on the form of its equation, which is carried to values that no unit has: an assumption, and
the one that a regression discontinuity design makes at the boundary alone [2]_.

A node of ``kind="deterministic"``, or marked ``function=True`` (a distribution without spread), is
a function of its parents. Functions of functions are too.

References
----------
.. [1] M. A. Hernán and J. M. Robins, *Causal Inference: What If*, Chapman & Hall, 2020, chapter 3.
.. [2] G. W. Imbens and T. Lemieux, "Regression discontinuity designs: a guide to practice",
   Journal of Econometrics 142, 2008.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bayescausal.graph.identification.expression import P, Renamed, Sum, parts
from bayescausal.graph.text.notation import joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import networkx as nx

    from bayescausal.graph.identification.expression import Expression
    from bayescausal.graph.identification.verdict import Identification

__all__ = ["determined", "determines", "on_the_form", "with_positivity"]

#: The method of a verdict that rests on the form of an equation.
FORM = "form of the equation"
#: The same where what carries it on has a name: at a value of a running variable, at a time.
CONTINUITY, TREND = "continuity at the cutoff", "the trend continues"


def determined(graph: nx.DiGraph[str], names: Iterable[str]) -> frozenset[str]:
    """Return all nodes that are functions of some nodes, those included.

    Examples
    --------
    >>> import networkx as nx
    >>> graph = nx.DiGraph([("r", "D"), ("r", "y"), ("D", "y")])
    >>> graph.nodes["D"]["kind"] = "deterministic"
    >>> sorted(determined(graph, ["r"]))
    ['D', 'r']
    """
    known = set(names)
    functions = [
        n
        for n, marks in graph.nodes(data=True)
        if marks.get("kind") == "deterministic" or marks.get("function")
    ]
    while True:
        more = {n for n in functions if n not in known and 0 < graph.in_degree(n) <= len(known)}
        more = {n for n in more if set(graph.predecessors(n)) <= known}
        if not more:
            return frozenset(known)
        known |= more


def determines(
    graph: nx.DiGraph[str], given: Iterable[str], names: Iterable[str]
) -> tuple[str, ...]:
    """Return which of some variables have one value only, given the others and `given`.

    Examples
    --------
    >>> import networkx as nx
    >>> graph = nx.DiGraph([("r", "D"), ("r", "y"), ("D", "y")])
    >>> graph.nodes["D"]["kind"] = "deterministic"
    >>> determines(graph, ["r"], ["D"]), determines(graph, [], ["D"])
    (('D',), ())
    """
    chosen, conditioned = tuple(names), set(given)
    return tuple(n for n in chosen if n in determined(graph, (conditioned | {*chosen}) - {n}))


def with_positivity(found: Identification) -> Identification:
    """Return the verdict, lowered where its formula needs units that there cannot be.

    A term that looks at v together with what v is a function of needs each value of the one with
    each of the other, unless the formula weighs them by how they occur together: in the front door
    ``sum_m P(m | x) sum_x' P(x') P(y | x', m)``, m goes with x and is looked at with x'.

    ``found``: a verdict with a formula.
    Result: as it was, or identified only by the form of the equation.
    """
    if not found or found.estimand is None or found.method == "observed":
        return found
    graph, known = found.question.graph, set(found.question.given)
    terms = list(_terms(found.estimand, {}, itertools.count()))
    for term in terms:
        for name in sorted(term.given):
            values = {n: v for n, v in term.values.items() if n in term.given}
            if name not in determined(graph, set(values) - {name}):
                continue
            if name in known and name in determined(graph, known - {name}):
                continue  # both are of the question: whoever asks has seen to it
            if not any(_together(graph, other, name, values) for other in terms):
                of = [p for p in graph.predecessors(name) if p in values]
                return on_the_form(found, name, of or sorted(set(values) - {name}))
    return found


def on_the_form(
    found: Identification, name: str, of: Iterable[str], moves: str = "", only: str = ""
) -> Identification:
    """Lower a verdict: given what it holds, `name` has one value only.

    ``found``: a verdict.
    ``name``: what is set.
    ``of``: what it is a function of; empty if every unit has the same.
    ``moves``: the variable held that is a function of `name`, together with `of` if that is not
        empty.
    ``only``: the one value that every unit has.
    Result: Identified only under a further assumption, which is named.
    """

    of = list(of)
    causes, outcome = joined(of), joined(found.question.outcome)
    if moves:
        with_it = joined([name, *of])
        reason = (
            f"{moves} is a function of {with_it} in the data, so that no unit has another {name} "
            f"with the same {joined([moves, *of])}: setting {name} leaves {moves} as it is. If it "
            f"follows from {with_it}, write it so in the equation of {outcome}"
        )
        carries = f"{name} that no unit with the same {joined([moves, *of])} has"
    elif only:
        reason = f"every unit has {name} = {only}, so that nothing is seen of another {name}"
        carries = f"{name} that no unit has"
    else:
        reason = (
            f"{name} is a function of {causes}, so that units alike in {causes} all have the same "
            f"{name}: positivity fails everywhere but at a boundary where {name} changes"
        )
        carries = f"{name} that no unit with the same {causes} has"
    form = f"the form of the equation of {outcome}, which carries it to values of {carries}"
    return replace(
        found,
        status="under assumption",
        method=FORM,
        estimand=None,
        reason=reason,
        assumptions=(form, *found.assumptions),
        function_of=tuple(of) if not moves and name in found.question.treatment else (),
    )


# --------------------------------------------------------------------------- private


@dataclass(frozen=True)
class _Term:
    """An observed conditional probability of a formula, and which value of each variable it reads.

    `values` tells apart the same variable under two labels, or summed over twice.
    """

    of: frozenset[str]
    given: frozenset[str]
    values: Mapping[str, Any]


def _terms(
    expression: Expression, values: Mapping[str, Any], count: Iterator[int]
) -> Iterator[_Term]:
    """Generate the terms of a formula."""
    if isinstance(expression, P):
        named = {n: values.get(n, n) for n in (*expression.of, *expression.given)}
        yield _Term(frozenset(expression.of), frozenset(expression.given), named)
    if isinstance(expression, Sum):
        values = {**values, **{name: next(count) for name in expression.over}}
    if isinstance(expression, Renamed):
        label = expression.label
        values = {**values, expression.name: values.get(label, label)}
    for part in parts(expression):
        yield from _terms(part, values, count)


def _together(graph: nx.DiGraph[str], term: _Term, name: str, values: Mapping[str, Any]) -> bool:
    """Tell whether a term is the chance of a value with those that it is a function of."""
    same = {n for n, value in term.values.items() if values.get(n, None) == value and n in values}
    fixed = name in same and name in determined(graph, same - {name})
    return fixed and bool(same & term.of)
