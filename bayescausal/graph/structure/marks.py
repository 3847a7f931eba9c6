"""What the nodes of a graph are marked as: latent, selected on, a bidirected edge, a column.

The marks are node attributes: see :mod:`bayescausal.graph.structure.canonical`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bayescausal.types import EstimandError, unknown_variable

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "as_names",
    "bidirected_edges",
    "bidirected_pairs",
    "column_causes",
    "is_bidirected",
    "latent_name",
    "latents",
    "nameless",
    "observables",
    "roots_of_selection",
]


def latents(graph: nx.DiGraph[str]) -> frozenset[str]:
    """Return the nodes marked latent, bidirected edges included."""
    return frozenset(n for n, latent in graph.nodes(data="latent") if latent)


def roots_of_selection(graph: nx.DiGraph[str]) -> frozenset[str]:
    """Return the nodes marked as selection nodes."""
    return frozenset(n for n, selected in graph.nodes(data="selection") if selected)


def bidirected_edges(graph: nx.DiGraph[str]) -> dict[str, tuple[str, str]]:
    """Return the latent nodes that stand for bidirected edges, with the ends of each.

    Examples
    --------
    >>> from bayescausal.graph import bidirected_edges, parse_graph
    >>> bidirected_edges(parse_graph("X -> Y; Y <-> X"))
    {'X<->Y': ('X', 'Y')}
    """
    found = {}
    for node in sorted(latents(graph)):
        children = sorted(graph.successors(node))
        if len(children) == 2 and is_bidirected(graph, node, *children):
            found[node] = (children[0], children[1])
    return found


def column_causes(graph: nx.DiGraph[str]) -> dict[str, tuple[str, ...]]:
    """Return the latent node that joins the columns without an equation, with these columns.

    Examples
    --------
    >>> from bayescausal.graph import as_graph
    >>> from bayescausal.graph import build_graph, column_causes
    >>> columns = {"age": {"kind": "data"}, "sex": {"kind": "data"}, "y": {"kind": "random"}}
    >>> column_causes(as_graph(build_graph(columns, [("age", "y"), ("sex", "y")])))
    {'age<->sex': ('age', 'sex')}
    """
    found = [n for n, joins in graph.nodes(data="columns") if joins]
    return {n: tuple(sorted(graph.successors(n))) for n in found}


def nameless(graph: nx.DiGraph[str]) -> frozenset[str]:
    """Return the latent nodes that stand for bidirected arcs: no variables of their own.

    Examples
    --------
    >>> from bayescausal.graph import nameless, parse_graph
    >>> sorted(nameless(parse_graph("X -> Y; Y <-> X")))
    ['X<->Y']
    """
    return frozenset(bidirected_edges(graph)) | frozenset(column_causes(graph))


def bidirected_pairs(graph: nx.DiGraph[str]) -> dict[tuple[str, str], bool]:
    """Return the ends of all bidirected arcs, and whether both are columns without an equation.

    Examples
    --------
    >>> from bayescausal.graph import parse_graph
    >>> from bayescausal.graph import bidirected_pairs
    >>> bidirected_pairs(parse_graph("X -> Y; Y <-> X"))
    {('X', 'Y'): False}
    """
    found = dict.fromkeys(
        (p for ends in column_causes(graph).values() for p in itertools.combinations(ends, 2)), True
    )
    light = column_causes(graph)
    found |= {ends: False for n, ends in bidirected_edges(graph).items() if n not in light}
    return dict(sorted(found.items()))


def observables(graph: nx.DiGraph[str], observed: Iterable[str] | None = None) -> frozenset[str]:
    """Return the measured nodes: those in `observed`, or all that are not marked latent.

    Raises UnknownVariableError if `observed` names a node that the graph does not have.
    """
    if observed is None:
        return frozenset(graph) - latents(graph)
    return frozenset(as_names(graph, observed, "observed"))


def as_names(
    graph: nx.DiGraph[str], names: str | Iterable[str] | None, what: str = "variables"
) -> tuple[str, ...]:
    """Return names as a tuple without repetition, all of them nodes of the graph.

    Raises UnknownVariableError if a name is not a node; EstimandError if `names` is neither a name
        nor several.
    """
    if names is None:
        return ()
    if isinstance(names, str):
        names = (names,)
    if not isinstance(names, Iterable):
        raise EstimandError(
            f"{what}={names!r} is not a name.", expected="a name of a node, or several."
        )
    unique = tuple(dict.fromkeys(names))
    for name in unique:
        if name not in graph:
            hidden = nameless(graph)
            raise unknown_variable(
                name, [n for n in graph if n not in hidden], what="a variable of this graph"
            )
    return unique


def latent_name(left: str, right: str) -> str:
    """Return the name of the latent node that stands for a bidirected edge."""
    first, second = sorted((left, right))
    return f"{first}<->{second}"


def is_bidirected(graph: nx.DiGraph[str], node: str, left: str, right: str) -> bool:
    """Return whether a node stands for the bidirected edge between two others."""
    return (
        node == latent_name(left, right)
        and bool(graph.nodes[node].get("latent"))
        and graph.in_degree(node) == 0
        and set(graph.successors(node)) == {left, right}
    )
