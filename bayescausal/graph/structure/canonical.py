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

from collections.abc import Iterable, Mapping
from typing import Any

import networkx as nx

from bayescausal.graph.structure.marks import is_bidirected, latent_name
from bayescausal.graph.text.display import CausalGraph
from bayescausal.types import GraphError

__all__ = ["build_graph", "canonical"]


def build_graph(
    nodes: Mapping[str, Mapping[str, Any]] | Iterable[str] = (),
    directed: Iterable[tuple[str, str]] = (),
    bidirected: Iterable[tuple[str, str]] = (),
) -> nx.DiGraph[str]:
    """Build a causal graph from its nodes and edges.

    ``nodes``: nodes, also isolated ones. Nodes of edges need not be listed.
    ``directed``, ``bidirected``: Edges; a bidirected edge becomes a latent common cause of the two.
    Raises GraphError if an edge joins a node to itself, or the directed edges have a cycle.

    Examples
    --------
    >>> from bayescausal.graph import build_graph
    >>> sorted(build_graph([], [("X", "Y")], [("X", "Y")]).nodes)
    ['X', 'X<->Y', 'Y']
    """
    bidirected = list(bidirected)
    graph: nx.DiGraph[str] = CausalGraph()
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
        name = latent_name(left, right)
        if name in graph and not is_bidirected(graph, name, left, right):
            raise GraphError(
                f"A node is already called {name!r}, the name that {left} <-> {right} needs.",
                remedy="Rename that node.",
            )
        graph.add_node(name, latent=True)
        graph.add_edges_from([(name, left), (name, right)])
    return _checked(graph)


def canonical(graph: nx.Graph[str]) -> nx.DiGraph[str]:
    """Return a graph of networkx in the one form: see :func:`bayescausal.graph.as_graph`."""
    if isinstance(graph, nx.DiGraph) and not graph.is_multigraph():
        if nx.is_frozen(graph) and all(isinstance(n, str) for n in graph):
            return _joined(graph)
        return _joined(_copied(graph))
    return _from_other_networkx(graph)


# --------------------------------------------------------------------------- private


def _no_loop(left: str, right: str, arrow: str) -> None:
    if left == right:
        raise GraphError(
            f"{left} {arrow} {right} joins a node to itself.",
            remedy="For feedback over time, use one node per time point.",
        )


def _joined(graph: nx.DiGraph[str]) -> nx.DiGraph[str]:
    """Join the columns that have no equation, and what shares noise, unless that has been done."""
    if graph.graph.get("joined") or any(joins for _, joins in graph.nodes(data="columns")):
        return _checked(graph)
    columns = sorted(
        n for n, kind in graph.nodes(data="kind") if kind == "data" and not graph.in_degree(n)
    )
    arcs = graph.graph.get("arcs", ())
    if len(columns) < 2 and not arcs:
        return _checked(graph)
    copy: nx.DiGraph[str] = nx.DiGraph(graph)
    copy.graph["joined"] = True
    if len(columns) > 1:
        root = "<->".join(columns)
        copy.add_node(root, latent=True, columns=True)
        copy.add_edges_from((root, name) for name in columns)
    for left, right in arcs:  # variables that share noise
        root = latent_name(left, right)
        copy.add_node(root, latent=True)
        copy.add_edges_from([(root, left), (root, right)])
    return _checked(copy)


def _checked(graph: nx.DiGraph[str]) -> nx.DiGraph[str]:
    """Freeze a graph that is acyclic; refuse any other, naming the cycle."""
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
        raise GraphError(
            f"The graph has a directed cycle: {' -> '.join([*cycle, cycle[0]])}.",
            expected="a directed acyclic graph.",
            remedy="Remove an edge, use one node per time point, or <-> for a common cause.",
        )
    return nx.freeze(graph)


def _copied(graph: nx.DiGraph[str]) -> nx.DiGraph[str]:
    names = {node: str(node) for node in graph}
    if len(set(names.values())) < len(names):
        raise GraphError(
            "Two nodes of the graph have the same name once written as text.",
            remedy="Rename one of them.",
        )
    copy: nx.DiGraph[str] = CausalGraph()
    copy.add_nodes_from((names[n], dict(a)) for n, a in graph.nodes(data=True))
    copy.add_edges_from((names[a], names[b], dict(d)) for a, b, d in graph.edges(data=True))
    return _checked(copy)


def _from_other_networkx(graph: nx.Graph[str]) -> nx.DiGraph[str]:
    if not graph.is_directed():
        raise GraphError(
            "The graph is undirected.",
            expected="a networkx.DiGraph: an arrow says which of the two acts on the other.",
        )
    return _copied(nx.DiGraph(graph))
