"""The one form of a graph: a frozen DAG whose unmeasured nodes say so.

A *causal graph* is a directed acyclic graph: an edge ``X -> Y`` says that X may act on Y
directly, a missing edge that it does not [1]_. Nodes that are not measured carry
``latent=True``. A *bidirected edge* ``X <-> Y`` abbreviates an unmeasured common cause of
exactly X and Y [2]_; here it is spelled out, as a latent root with the children X and Y, named
``"X<->Y"``. So every question is asked of an ordinary DAG, and a graph read off a model, typed
by hand or imported has the same form.

Three common causes in pairs are not one common cause of three: the pairs are kept apart.

*Columns without an equation* (``kind="data"``: a ``pm.Data`` of a model) are taken as they come.
Nothing is said of their joint distribution, so they may depend on each other in any way: each two
of them are joined by a bidirected arc. For k columns that is one latent root with k children
(``columns=True``), which has the same projection as the k (k - 1) / 2 arcs.

Other node attributes: ``selection=True`` (a unit is in the data only if it was selected on
this node), ``role`` (``"treatment"``, ``"outcome"`` or ``"adjusted"``, as drawn by whoever made
the graph) and ``pos`` (where it was drawn).

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, chapter 1.
.. [2] J. Tian and J. Pearl, "A general identification condition for causal effects", AAAI 2002.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import networkx as nx

from bayescausal.graph.text.display import CausalGraph
from bayescausal.types import EstimandError, GraphError, unknown_variable

__all__ = [
    "as_graph",
    "as_names",
    "bidirected_edges",
    "bidirected_pairs",
    "build_graph",
    "column_causes",
    "latents",
    "nameless",
    "observables",
    "roots_of_selection",
]

#: What may stand for a graph wherever one is asked for.
GraphLike = Any


def build_graph(
    nodes: Mapping[str, Mapping[str, Any]] | Iterable[str] = (),
    directed: Iterable[tuple[str, str]] = (),
    bidirected: Iterable[tuple[str, str]] = (),
) -> nx.DiGraph:
    """Build a causal graph from its nodes and edges.

    Parameters
    ----------
    nodes : mapping of str to attributes, or iterable of str
        Nodes, also isolated ones. Nodes of edges need not be listed.
    directed, bidirected : iterable of (str, str)
        Edges; a bidirected edge becomes a latent common cause of the two.

    Returns
    -------
    networkx.DiGraph
        Frozen.

    Raises
    ------
    GraphError
        If an edge joins a node to itself, or the directed edges have a cycle.

    Examples
    --------
    >>> from bayescausal.graph import build_graph
    >>> sorted(build_graph([], [("X", "Y")], [("X", "Y")]).nodes)
    ['X', 'X<->Y', 'Y']
    """
    bidirected = list(bidirected)
    graph: nx.DiGraph = CausalGraph()
    if isinstance(nodes, Mapping):
        for name, attributes in nodes.items():
            graph.add_node(name, **attributes)
    else:
        graph.add_nodes_from(nodes)
    for tail, head in directed:
        _no_loop(tail, head, "->")
        graph.add_edge(tail, head)
    for left, right in bidirected:
        _no_loop(left, right, "<->")
        graph.add_nodes_from([left, right])
    for left, right in bidirected:
        name = _latent_name(left, right)
        if name in graph and not _is_bidirected(graph, name, left, right):
            raise GraphError(
                f"A node is already called {name!r}, the name that {left} <-> {right} needs.",
                remedy="Rename that node.",
            )
        graph.add_node(name, latent=True)
        graph.add_edges_from([(name, left), (name, right)])
    return _checked(graph)


def as_graph(graph: GraphLike) -> nx.DiGraph:
    """Return a graph in the one form, whatever it was given as.

    Parameters
    ----------
    graph : networkx.DiGraph, str, or iterable of pairs
        A graph; or text or an edge list, read by `parse_graph`.

    Returns
    -------
    networkx.DiGraph
        Frozen, nodes are strings; columns without an equation are joined. A graph that has this
        form already is returned as it is.

    Raises
    ------
    GraphError
        If it is undirected, has a cycle, or cannot be read.

    Examples
    --------
    >>> from bayescausal.graph import as_graph
    >>> sorted(as_graph([("X", "Y"), ("Z", "Y")]).edges)
    [('X', 'Y'), ('Z', 'Y')]
    """
    if isinstance(graph, nx.DiGraph) and not graph.is_multigraph():
        if nx.is_frozen(graph) and all(isinstance(n, str) for n in graph):
            return _joined(graph)
        return _joined(_copied(graph))
    if isinstance(graph, nx.Graph):
        return _from_other_networkx(graph)
    from bayescausal.graph.text.parse import parse_graph  # the parser builds on this file

    return parse_graph(graph)


def latents(graph: nx.DiGraph) -> frozenset[str]:
    """Return the nodes marked latent, bidirected edges included."""
    return frozenset(n for n, latent in graph.nodes(data="latent") if latent)


def roots_of_selection(graph: nx.DiGraph) -> frozenset[str]:
    """Return the nodes marked as selection nodes."""
    return frozenset(n for n, selected in graph.nodes(data="selection") if selected)


def bidirected_edges(graph: nx.DiGraph) -> dict[str, tuple[str, str]]:
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
        if len(children) == 2 and _is_bidirected(graph, node, *children):
            found[node] = (children[0], children[1])
    return found


def column_causes(graph: nx.DiGraph) -> dict[str, tuple[str, ...]]:
    """Return the latent node that joins the columns without an equation, with these columns.

    Examples
    --------
    >>> from bayescausal.graph import as_graph
    >>> from bayescausal.graph.structure.canonical import build_graph, column_causes
    >>> columns = {"age": {"kind": "data"}, "sex": {"kind": "data"}, "y": {"kind": "random"}}
    >>> column_causes(as_graph(build_graph(columns, [("age", "y"), ("sex", "y")])))
    {'age<->sex': ('age', 'sex')}
    """
    found = [n for n, joins in graph.nodes(data="columns") if joins]
    return {n: tuple(sorted(graph.successors(n))) for n in found}


def nameless(graph: nx.DiGraph) -> frozenset[str]:
    """Return the latent nodes that stand for bidirected arcs: no variables of their own.

    Examples
    --------
    >>> from bayescausal.graph import nameless, parse_graph
    >>> sorted(nameless(parse_graph("X -> Y; Y <-> X")))
    ['X<->Y']
    """
    return frozenset(bidirected_edges(graph)) | frozenset(column_causes(graph))


def bidirected_pairs(graph: nx.DiGraph) -> dict[tuple[str, str], bool]:
    """Return the ends of all bidirected arcs, and whether both are columns without an equation.

    Examples
    --------
    >>> from bayescausal.graph import parse_graph
    >>> from bayescausal.graph.structure.canonical import bidirected_pairs
    >>> bidirected_pairs(parse_graph("X -> Y; Y <-> X"))
    {('X', 'Y'): False}
    """
    found = dict.fromkeys(
        (p for ends in column_causes(graph).values() for p in itertools.combinations(ends, 2)), True
    )
    light = column_causes(graph)
    found |= {ends: False for n, ends in bidirected_edges(graph).items() if n not in light}
    return dict(sorted(found.items()))


def observables(graph: nx.DiGraph, observed: Iterable[str] | None = None) -> frozenset[str]:
    """Return the measured nodes: those in `observed`, or all that are not marked latent.

    Raises
    ------
    UnknownVariableError
        If `observed` names a node that the graph does not have.
    """
    if observed is None:
        return frozenset(graph) - latents(graph)
    return frozenset(as_names(graph, observed, "observed"))


def as_names(
    graph: nx.DiGraph, names: str | Iterable[str] | None, what: str = "variables"
) -> tuple[str, ...]:
    """Return names as a tuple without repetition, all of them nodes of the graph.

    Raises
    ------
    UnknownVariableError
        If a name is not a node.
    EstimandError
        If `names` is neither a name nor several.
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


# --------------------------------------------------------------------------- private


def _latent_name(left: str, right: str) -> str:
    first, second = sorted((left, right))
    return f"{first}<->{second}"


def _is_bidirected(graph: nx.DiGraph, node: str, left: str, right: str) -> bool:
    return (
        node == _latent_name(left, right)
        and bool(graph.nodes[node].get("latent"))
        and graph.in_degree(node) == 0
        and set(graph.successors(node)) == {left, right}
    )


def _no_loop(left: str, right: str, arrow: str) -> None:
    if left == right:
        raise GraphError(
            f"{left} {arrow} {right} joins a node to itself.",
            remedy="For feedback over time, use one node per time point.",
        )


def _joined(graph: nx.DiGraph) -> nx.DiGraph:
    """Join the columns that have no equation, unless that has been done."""
    if graph.graph.get("joined") or any(joins for _, joins in graph.nodes(data="columns")):
        return _checked(graph)
    columns = sorted(
        n for n, kind in graph.nodes(data="kind") if kind == "data" and not graph.in_degree(n)
    )
    if len(columns) < 2:
        return _checked(graph)
    copy: nx.DiGraph = nx.DiGraph(graph)
    copy.graph["joined"] = True
    root = "<->".join(columns)
    copy.add_node(root, latent=True, columns=True)
    copy.add_edges_from((root, name) for name in columns)
    return _checked(copy)


def _checked(graph: nx.DiGraph) -> nx.DiGraph:
    """Freeze a graph that is acyclic; refuse any other, naming the cycle."""
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
        raise GraphError(
            f"The graph has a directed cycle: {' -> '.join([*cycle, cycle[0]])}.",
            expected="a directed acyclic graph.",
            remedy="Remove an edge, use one node per time point, or <-> for a common cause.",
        )
    return nx.freeze(graph)


def _copied(graph: nx.DiGraph) -> nx.DiGraph:
    names = {node: str(node) for node in graph}
    if len(set(names.values())) < len(names):
        raise GraphError(
            "Two nodes of the graph have the same name once written as text.",
            remedy="Rename one of them.",
        )
    copy: nx.DiGraph = CausalGraph()
    copy.add_nodes_from((names[n], dict(a)) for n, a in graph.nodes(data=True))
    copy.add_edges_from((names[a], names[b], dict(d)) for a, b, d in graph.edges(data=True))
    return _checked(copy)


def _from_other_networkx(graph: nx.Graph) -> nx.DiGraph:
    if not graph.is_directed():
        raise GraphError(
            "The graph is undirected.",
            expected="a networkx.DiGraph: an arrow says which of the two acts on the other.",
        )
    return _copied(nx.DiGraph(graph))
