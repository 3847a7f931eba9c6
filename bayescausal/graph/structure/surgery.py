"""Surgery: a graph in, a new graph out.

========================  ==================================================================
`latent_projection`       latent nodes become directed and bidirected edges
`explicit_latents`        a bidirected edge becomes a latent node with a name of its own
`do_graph`                the arrows into what is set are removed: do(x)
`without_outgoing`        the arrows out of some nodes are removed
`back_door_graph`         the first edges of the proper causal paths are removed
========================  ==================================================================

With ``G_x̄`` the graph without arrows into x and ``G_z̲`` that without arrows out of z, the
three rules of do-calculus [1]_ are separations in such graphs; `rule` decides them:

1. seeing does not matter: ``P(y | do(x), z, w) = P(y | do(x), w)`` if y, z are separated by
   x, w in ``G_x̄``;
2. setting is seeing: ``P(y | do(x), do(z), w) = P(y | do(x), z, w)`` if they are in
   ``G_x̄z̲``;
3. setting does not matter: ``P(y | do(x), do(z), w) = P(y | do(x), w)`` if they are in
   ``G_x̄`` without arrows into those z that are no ancestors of w there.

References
----------
.. [1] J. Pearl, "Causal diagrams for empirical research", Biometrika 82, 1995.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import networkx as nx

from bayescausal.graph.structure.canonical import build_graph
from bayescausal.graph.structure.marks import (
    as_names,
    bidirected_edges,
    column_causes,
    nameless,
    observables,
)
from bayescausal.graph.structure.mixed_graph import bits, project
from bayescausal.graph.text.display import CausalGraph
from bayescausal.graph.text.parse import as_graph
from bayescausal.types import EstimandError, GraphError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import GraphLike

__all__ = [
    "back_door_graph",
    "do_graph",
    "explicit_latents",
    "latent_projection",
    "rule",
    "without_outgoing",
]

Names = str | Iterable[str]


def latent_projection(graph: GraphLike, observed: Iterable[str] | None = None) -> nx.DiGraph[str]:
    """Project latent nodes out: only measured ones and bidirected edges remain.

    Parameters
    ----------
    graph : networkx.DiGraph or str
        The graph.
    observed : iterable of str, optional
        The nodes to keep. Default: all that are not marked latent.

    Returns
    -------
    networkx.DiGraph
        Frozen; every latent node in it is a bidirected edge.

    Examples
    --------
    >>> import bayescausal as bc
    >>> graph = "U [latent]; U -> {A, B, C}; A -> M -> C; M [latent]"
    >>> print(bc.to_text(bc.latent_projection(graph)))
    A -> C
    A <-> B
    A <-> C
    B <-> C
    """
    dag = as_graph(graph)
    kept = observables(dag, observed)
    admg = project(dag, kept)
    nodes = {n: {k: v for k, v in dag.nodes[n].items() if k != "latent"} for n in admg.names}
    directed = [
        (n, admg.names[j]) for i, n in enumerate(admg.names) for j in bits(admg.children[i])
    ]
    pairs = [
        (n, admg.names[j])
        for i, n in enumerate(admg.names)
        for j in bits(admg.siblings[i])
        if j > i
    ]
    projected = build_graph(nodes, directed, pairs)
    projected.graph.update(dag.graph)
    return projected


def explicit_latents(
    graph: GraphLike, names: Mapping[tuple[str, str], str] | None = None
) -> nx.DiGraph[str]:
    """Turn bidirected edges into latent nodes with names of their own.

    Parameters
    ----------
    graph : networkx.DiGraph or str
        The graph.
    names : mapping of (str, str) to str, optional
        What to call the common cause of two nodes. Default: U1, U2, ... in the order of the
        edges, skipping names that are taken.

    Returns
    -------
    networkx.DiGraph
        Frozen. `latent_projection` turns it back.

    Raises
    ------
    GraphError
        If a name is taken, or `names` names a bidirected edge that is not there.

    Examples
    --------
    >>> import bayescausal as bc
    >>> print(bc.to_text(bc.explicit_latents("X -> Y; X <-> Y", {("X", "Y"): "season"})))
    season [latent]
    X -> Y
    season -> X
    season -> Y
    """
    dag = as_graph(graph)
    hidden: dict[str, tuple[str, ...]] = {**bidirected_edges(dag), **column_causes(dag)}
    wanted = {frozenset(pair): name for pair, name in (names or {}).items()}
    for pair in wanted:
        if pair not in {frozenset(ends) for ends in hidden.values()}:
            raise GraphError(
                f"{' <-> '.join(sorted(pair))} is not an edge of the graph.",
                expected=", ".join(" <-> ".join(ends) for ends in hidden.values()) or "none.",
            )
    taken = set(dag) | set(wanted.values())
    renamed: dict[str, str] = {}
    for node, ends in sorted(hidden.items()):
        number = 1
        name = wanted.get(frozenset(ends))
        while name is None:
            name = f"U{number}" if f"U{number}" not in taken else None
            number += 1
        if name in dag or name in renamed.values():
            raise GraphError(f"The name {name!r} is taken.", expected="a new name.")
        taken.add(name)
        renamed[node] = name
    named = nx.relabel_nodes(dag, renamed, copy=True)
    for name in renamed.values():
        named.nodes[name].pop("columns", None)
    return nx.freeze(named)


def do_graph(graph: GraphLike, treatment: Names) -> nx.DiGraph[str]:
    """Remove the arrows into what is set: the graph of ``do(treatment)``.

    Examples
    --------
    >>> from bayescausal.graph import do_graph, to_text
    >>> print(to_text(do_graph("Z -> X -> Y; Z -> Y; X <-> Y", "X")))
    X -> Y
    Z -> Y
    """
    dag = as_graph(graph)
    gone = set(as_names(dag, treatment, "treatment"))
    return _without(dag, lambda tail, head: head in gone)


def without_outgoing(graph: GraphLike, names: Names) -> nx.DiGraph[str]:
    """Remove the arrows out of some nodes.

    Examples
    --------
    >>> from bayescausal.graph import to_text, without_outgoing
    >>> print(to_text(without_outgoing("Z -> X -> Y; Z -> Y", "X")))
    Z -> X
    Z -> Y
    """
    dag = as_graph(graph)
    gone = set(as_names(dag, names))
    return _without(dag, lambda tail, head: tail in gone)


def back_door_graph(graph: GraphLike, treatment: Names, outcome: Names) -> nx.DiGraph[str]:
    """Remove the first edges of the proper causal paths: what is left is not causal.

    Examples
    --------
    >>> from bayescausal.graph import back_door_graph, to_text
    >>> print(to_text(back_door_graph("Z -> X -> M -> Y; Z -> Y; X -> D", "X", "Y")))
    M -> Y
    X -> D
    Z -> X
    Z -> Y
    """
    dag = as_graph(graph)
    x, y = as_names(dag, treatment, "treatment"), as_names(dag, outcome, "outcome")
    admg = project(dag, dag.nodes)
    causal = admg.named(admg.causal_nodes(admg.mask(x), admg.mask(y)))
    return _without(dag, lambda tail, head: tail in x and head in causal)


def rule(
    number: int, graph: GraphLike, y: Names, z: Names, *, do: Names = (), given: Names = ()
) -> bool:
    """Tell whether a rule of do-calculus applies.

    Parameters
    ----------
    number : {1, 2, 3}
        1: z may be left out of what is seen; 2: setting z is seeing it; 3: z may be left out
        of what is set.
    graph : networkx.DiGraph or str
        The graph.
    y, z : str or iterable of str
        The outcome, and what the rule is about.
    do, given : str or iterable of str
        What is set and seen besides.

    Returns
    -------
    bool
        Whether the separation that the rule asks for holds.

    Raises
    ------
    EstimandError
        If there is no such rule, or sets overlap.

    Examples
    --------
    >>> from bayescausal.graph import rule
    >>> rule(2, "W -> X -> Y; W -> Y", "Y", "X", given="W")      # the back door
    True
    """
    if number not in (1, 2, 3):
        raise EstimandError(f"There is no rule {number!r}.", expected="1, 2 or 3.")
    dag = as_graph(graph)
    sets = [as_names(dag, names) for names in (y, z, do, given)]
    if len({n for names in sets for n in names}) < sum(map(len, sets)):
        raise EstimandError("The sets overlap.", expected="y, z, do and given apart.")
    admg = project(dag, dag.nodes)
    ym, zm, xm, wm = (admg.mask(names) for names in sets)
    cut = admg.cut(into=xm)
    if number == 2:
        cut = cut.cut(out_of=zm)
    elif number == 3:
        cut = cut.cut(into=zm & ~cut.ancestors(wm))
    return cut.separated(zm, ym, xm | wm)


def _without(dag: nx.DiGraph[str], gone: Callable[[str, str], bool]) -> nx.DiGraph[str]:
    """Remove edges, and bidirected ones that have lost an end."""
    copy: nx.DiGraph[str] = CausalGraph()
    copy.add_nodes_from((n, dict(a)) for n, a in dag.nodes(data=True))
    copy.add_edges_from((a, b) for a, b in dag.edges if not gone(a, b))
    copy.graph.update(dag.graph)
    for node in nameless(dag):
        if copy.out_degree(node) < 2:
            copy.remove_node(node)
    return nx.freeze(copy)
