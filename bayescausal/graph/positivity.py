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

from dataclasses import replace
from typing import TYPE_CHECKING

from bayescausal.graph.expression import Expression, P, _parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import networkx as nx

    from bayescausal.graph.identification import Identification

__all__ = ["determined", "determines", "on_the_form", "with_positivity"]

#: The method of a verdict that rests on the form of an equation.
FORM = "form of the equation"


def determined(graph: nx.DiGraph, names: Iterable[str]) -> frozenset[str]:
    """Return all nodes that are functions of some nodes, those included.

    Examples
    --------
    >>> import networkx as nx
    >>> from bayescausal.graph.positivity import determined
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


def determines(graph: nx.DiGraph, given: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return which of some variables have one value only, given the others and `given`.

    Examples
    --------
    >>> import networkx as nx
    >>> from bayescausal.graph.positivity import determines
    >>> graph = nx.DiGraph([("r", "D"), ("r", "y"), ("D", "y")])
    >>> graph.nodes["D"]["kind"] = "deterministic"
    >>> determines(graph, ["r"], ["D"]), determines(graph, [], ["D"])
    (('D',), ())
    """
    chosen, held = tuple(names), set(given)
    return tuple(n for n in chosen if n in determined(graph, (held | {*chosen}) - {n}))


def with_positivity(found: Identification, names: Iterable[str]) -> Identification:
    """Return the verdict, lowered where its formula needs units that there cannot be.

    Parameters
    ----------
    found : Identification
        A verdict with a formula.
    names : iterable of str
        What the question sets, or compares across worlds: treatments and mediators.

    Returns
    -------
    Identification
        As it was, or identified only by the form of the equation.
    """
    if not found or found.estimand is None or found.method == "observed":
        return found
    graph, asked = found.question.graph, tuple(names)
    for term in _terms(found.estimand):
        fixed = determines(graph, set(term.given) - {*asked}, set(term.given) & {*asked})
        for name in fixed:
            of = [p for p in graph.predecessors(name) if p in term.given]
            return on_the_form(found, name, of or sorted(set(term.given) - {name}))
    return found


def on_the_form(found: Identification, name: str, of: Iterable[str]) -> Identification:
    """Lower a verdict: given `of`, `name` has one value only.

    Parameters
    ----------
    found : Identification
        A verdict.
    name : str
        What is set.
    of : iterable of str
        What it is a function of.

    Returns
    -------
    Identification
        Identified only under a further assumption, which is named.
    """
    from bayescausal.graph.identification import _and

    causes, outcome = _and(list(of)), _and(found.question.outcome)
    reason = (
        f"{name} is a function of {causes}, so that units alike in {causes} all have the same "
        f"{name}: positivity fails everywhere but at a boundary where {name} changes"
    )
    form = (
        f"the form of the equation of {outcome}, which carries it to values of {name} that no "
        f"unit with the same {causes} has"
    )
    return replace(
        found,
        status="under assumption",
        method=FORM,
        estimand=None,
        reason=reason,
        assumptions=(form, *found.assumptions),
    )


# --------------------------------------------------------------------------- private


def _terms(expression: Expression) -> Iterator[P]:
    """Generate the observed conditional probabilities in a formula."""
    if isinstance(expression, P):
        yield expression
    for part in _parts(expression):
        yield from _terms(part)
