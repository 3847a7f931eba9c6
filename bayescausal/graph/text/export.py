"""Writing graphs: the arrow language, dagitty, DOT, Mermaid, GML, formulas, edge lists.

Each function takes a graph in any form that `parse_graph` reads and returns text that its
language reads back; `parse_graph` reads all of them but Mermaid, so a round trip gives the same
graph. Bidirected edges are written as such where the language has them; other latent nodes keep
their name and are marked latent. Formulas have no marks for latent or isolated nodes: a graph
that has them is written in any other language.

Drawings mark what a reader looks for first: latent nodes and bidirected edges are dashed,
the treatment and the outcome are filled. The arcs that join columns without an equation are light.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import networkx as nx

from bayescausal.graph.structure.canonical import build_graph
from bayescausal.graph.structure.marks import as_names, bidirected_pairs, column_causes, nameless
from bayescausal.graph.text.parse import as_graph
from bayescausal.types import GraphError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayescausal.annotations import GraphLike, Names

__all__ = [
    "to_dagitty",
    "to_dot",
    "to_edges",
    "to_formulas",
    "to_gml",
    "to_mermaid",
    "to_text",
]

_BARE = re.compile(r"[\w.]+")
_MARKS = ("latent", "selection")
_DAGITTY = {
    "latent": "latent",
    "selection": "selected",
    "treatment": "exposure",
    "outcome": "outcome",
    "adjusted": "adjusted",
}


def to_text(graph: GraphLike) -> str:
    """Write a graph in the arrow language, one edge on a line.

    Parameters
    ----------
    graph : networkx.DiGraph or str
        The graph.

    Returns
    -------
    str
        Read back by `parse_graph`; the same for graphs that are equal.

    Examples
    --------
    >>> from bayescausal.graph import to_text
    >>> print(to_text("age; X <-> Y; 'blood pressure' -> X -> Y"))
    age
    X -> Y
    "blood pressure" -> X
    X <-> Y
    """
    dag = as_graph(graph)
    nodes, edges, pairs = _parts(dag)
    lines = []
    for node in nodes:
        marks = _marks(dag, node)
        if marks:
            lines.append(f"{_bare(node)} [{', '.join(marks)}]")
        elif not dag.degree(node):
            lines.append(_bare(node))
    lines += [f"{_bare(a)} -> {_bare(b)}" for a, b in edges]
    lines += [f"{_bare(a)} <-> {_bare(b)}" for a, b in pairs]
    return "\n".join(lines)


def to_edges(graph: GraphLike) -> list[Any]:
    """Write a graph as a list of edges ``(tail, head, arrow)``, isolated nodes as strings.

    Attributes (a latent node that is not a bidirected edge, a role) are not kept.

    Returns
    -------
    list

    Examples
    --------
    >>> from bayescausal.graph import to_edges
    >>> to_edges("age; X -> Y; X <-> Y")
    ['age', ('X', 'Y', '->'), ('X', 'Y', '<->')]
    """
    dag = as_graph(graph)
    nodes, edges, pairs = _parts(dag)
    lone: list[Any] = [node for node in nodes if not dag.degree(node)]
    return lone + [(a, b, "->") for a, b in edges] + [(a, b, "<->") for a, b in pairs]


def to_dagitty(
    graph: GraphLike, *, treatment: Names | None = None, outcome: Names | None = None
) -> str:
    """Write a graph for dagitty, roles and positions included.

    Parameters
    ----------
    graph : networkx.DiGraph or str
        The graph.
    treatment, outcome : str or iterable of str, optional
        Marked as exposure and outcome.

    Returns
    -------
    str
        ``dag { ... }``.

    Examples
    --------
    >>> from bayescausal.graph import to_dagitty
    >>> print(to_dagitty("X -> Y; X <-> Y", treatment="X", outcome="Y"))
    dag {
    X [exposure]
    Y [outcome]
    X -> Y
    X <-> Y
    }
    """
    dag = as_graph(graph)
    roles = _roles(dag, treatment, outcome)
    nodes, edges, pairs = _parts(dag)
    lines = ["dag {"]
    for node in nodes:
        words = [_DAGITTY[mark] for mark in _marks(dag, node, roles)]
        if dag.nodes[node].get("pos"):
            x, y = dag.nodes[node]["pos"]
            words.append(f'pos="{x:.3f},{y:.3f}"')
        lines.append(_bare(node) + (f" [{','.join(words)}]" if words else ""))
    lines += [f"{_bare(a)} -> {_bare(b)}" for a, b in edges]
    lines += [f"{_bare(a)} <-> {_bare(b)}" for a, b in pairs]
    return "\n".join([*lines, "}"])


def to_dot(
    graph: GraphLike, *, treatment: Names | None = None, outcome: Names | None = None
) -> str:
    """Write a graph in DOT, the language of Graphviz.

    Parameters
    ----------
    graph : networkx.DiGraph or str
        The graph.
    treatment, outcome : str or iterable of str, optional
        Filled: the treatment in blue, the outcome in orange.

    Returns
    -------
    str
        ``digraph { ... }``; latent nodes and bidirected edges are dashed.

    Examples
    --------
    >>> from bayescausal.graph import to_dot
    >>> print(to_dot("X -> Y; X <-> Y", treatment="X"))
    digraph {
      "X" [role=treatment, style=filled, fillcolor="#cfe2f3"];
      "Y";
      "X" -> "Y";
      "X" -> "Y" [dir=both, style=dashed, constraint=false];
    }
    """
    dag = as_graph(graph)
    roles = _roles(dag, treatment, outcome)
    nodes, edges, pairs = _parts(dag)
    lines = ["digraph {"]
    for node in nodes:
        marks = _marks(dag, node, roles)
        words = [f"{m}=true" if m in _MARKS else f"role={m}" for m in marks]
        if "latent" in marks:
            words.append("style=dashed")
        elif "treatment" in marks or "outcome" in marks:
            colour = "#cfe2f3" if "treatment" in marks else "#fce5cd"
            words += ["style=filled", f'fillcolor="{colour}"']
        if "selection" in marks:
            words.append("shape=box")
        lines.append(f"  {_quoted(node)}" + (f" [{', '.join(words)}];" if words else ";"))
    lines += [f"  {_quoted(a)} -> {_quoted(b)};" for a, b in edges]
    light = bidirected_pairs(dag)
    for a, b in pairs:
        look = "dir=both, style=dashed, constraint=false"
        look += ', color="#c0c0c0", arrowsize=0.5' if light[a, b] else ""
        lines.append(f"  {_quoted(a)} -> {_quoted(b)} [{look}];")
    return "\n".join([*lines, "}"])


def to_mermaid(
    graph: GraphLike,
    *,
    treatment: Names | None = None,
    outcome: Names | None = None,
    direction: str = "TD",
) -> str:
    """Write a graph as a Mermaid flowchart, as Markdown pages and notebooks draw it.

    Parameters
    ----------
    graph : networkx.DiGraph or str
        The graph.
    treatment, outcome : str or iterable of str, optional
        Filled: the treatment in blue, the outcome in orange.
    direction : {"TD", "LR", "BT", "RL"}
        Where arrows point: top down, left to right, and back.

    Returns
    -------
    str
        ``flowchart TD ...``; latent nodes and bidirected edges are dashed.

    Raises
    ------
    GraphError
        If `direction` is not one of the four.

    Examples
    --------
    >>> from bayescausal.graph import to_mermaid
    >>> print(to_mermaid("X -> Y; X <-> Y", treatment="X"))
    flowchart TD
      n0["X"]
      n1["Y"]
      n0 --> n1
      n0 <-.-> n1
      style n0 fill:#cfe2f3,color:#000
    """
    if direction not in ("TD", "LR", "BT", "RL"):
        raise GraphError(
            f"direction={direction!r} is not a direction of a flowchart.",
            expected="'TD', 'LR', 'BT' or 'RL'.",
        )
    dag = as_graph(graph)
    roles = _roles(dag, treatment, outcome)
    nodes, edges, pairs = _parts(dag)
    key = {node: f"n{i}" for i, node in enumerate(nodes)}
    lines = [f"flowchart {direction}"]
    styles = []
    for node in nodes:
        marks = _marks(dag, node, roles)
        left, right = ("([", "])") if "latent" in marks else ("[", "]")
        lines.append(f'  {key[node]}{left}"{_escaped(node)}"{right}')
        css = []
        if "treatment" in marks or "outcome" in marks:
            css.append(f"fill:{'#cfe2f3' if 'treatment' in marks else '#fce5cd'},color:#000")
        if "latent" in marks:
            css.append("stroke-dasharray:4 4")
        if "selection" in marks:
            css.append("stroke-width:3px")
        if css:
            styles.append(f"  style {key[node]} {','.join(css)}")
    for a, b in edges:
        hidden = dag.nodes[a].get("latent") or dag.nodes[b].get("latent")
        lines.append(f"  {key[a]} {'-.->' if hidden else '-->'} {key[b]}")
    lines += [f"  {key[a]} <-.-> {key[b]}" for a, b in pairs]
    light = [str(len(edges) + i) for i, faint in enumerate(bidirected_pairs(dag).values()) if faint]
    if light:
        styles.append(f"  linkStyle {','.join(light)} stroke:#c0c0c0,stroke-width:1px")
    return "\n".join(lines + styles)


def to_gml(graph: GraphLike) -> str:
    """Write a graph in GML; bidirected edges as the latent nodes they stand for.

    Returns
    -------
    str

    Examples
    --------
    >>> from bayescausal.graph import parse_graph, to_gml, to_text
    >>> to_text(parse_graph(to_gml("X -> Y; X <-> Y"))) == "X -> Y\\nX <-> Y"
    True
    """
    dag = as_graph(graph)
    dag = _in_pairs(dag)
    plain: nx.DiGraph[str] = nx.DiGraph()
    for node in sorted(dag):
        words = {m: 1 for m in _MARKS if dag.nodes[node].get(m)}
        role = {k: dag.nodes[node][k] for k in ("role",) if dag.nodes[node].get(k)}
        plain.add_node(node, **words, **role)
    plain.add_edges_from(sorted(dag.edges))
    return "\n".join(nx.generate_gml(plain))


def to_formulas(graph: GraphLike) -> str:
    """Write a graph as regression formulas, one per node with parents (lavaan's way).

    Parameters
    ----------
    graph : networkx.DiGraph or str
        A graph without isolated nodes, and whose only latent nodes are bidirected edges.

    Returns
    -------
    str
        ``Y ~ X + Z`` for the parents of Y, ``X ~~ Y`` for a common cause.

    Raises
    ------
    GraphError
        If the graph has what formulas cannot say.

    Examples
    --------
    >>> from bayescausal.graph import to_formulas
    >>> print(to_formulas("Z -> X -> Y; Z -> Y; X <-> Y"))
    X ~ Z
    Y ~ X + Z
    X ~~ Y
    """
    dag = as_graph(graph)
    nodes, edges, pairs = _parts(dag)
    for node in nodes:
        if dag.nodes[node].get("latent") or not dag.degree(node):
            what = "latent" if dag.nodes[node].get("latent") else "isolated"
            raise GraphError(
                f"{node!r} is {what}, and formulas cannot say so.",
                remedy="Write the graph with to_text, to_dagitty or to_dot.",
            )
    parents: dict[str, list[str]] = {}
    for a, b in edges:
        parents.setdefault(b, []).append(_bare(a))
    lines = [f"{_bare(b)} ~ {' + '.join(parents[b])}" for b in nodes if b in parents]
    return "\n".join(lines + [f"{_bare(a)} ~~ {_bare(b)}" for a, b in pairs])


# --------------------------------------------------------------------------- private


def _parts(dag: nx.DiGraph[str]) -> tuple[list[str], list[tuple[str, str]], list[tuple[str, str]]]:
    """Return nodes (but for bidirected ones), directed and bidirected edges, all sorted."""
    hidden = nameless(dag)
    nodes = sorted(n for n in dag if n not in hidden)
    edges = sorted((a, b) for a, b in dag.edges if a not in hidden)
    return nodes, edges, list(bidirected_pairs(dag))


def _in_pairs(dag: nx.DiGraph[str]) -> nx.DiGraph[str]:
    """Write the arcs that join columns as bidirected edges, which other languages know."""
    if not column_causes(dag):
        return dag
    nodes, edges, pairs = _parts(dag)
    kept = {n: {k: v for k, v in dag.nodes[n].items() if k != "kind"} for n in nodes}
    return build_graph(kept, edges, pairs)


def _roles(dag: nx.DiGraph[str], treatment: Names | None, outcome: Names | None) -> dict[str, str]:
    roles: dict[str, str] = {}
    for role, names in (("treatment", treatment), ("outcome", outcome)):
        roles.update(dict.fromkeys(as_names(dag, names, role), role))
    return roles


def _marks(dag: nx.DiGraph[str], node: str, roles: dict[str, str] | None = None) -> list[str]:
    marks = [m for m in _MARKS if dag.nodes[node].get(m)]
    role = (roles or {}).get(node) or dag.nodes[node].get("role")
    return [*marks, role] if role else marks


def _bare(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(name: str) -> str:
    signs: Iterable[tuple[str, str]] = (
        ("&", "&amp;"),
        ('"', "&quot;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("#", "&#35;"),
    )
    for sign, code in signs:
        name = name.replace(sign, code)
    return name
