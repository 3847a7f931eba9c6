"""A drawing of a graph: what an editor holds, and the graph it means.

A drawing is plain data, so that it can travel as JSON::

    {"nodes": [{"name": "X", "x": 60, "y": 40, "treatment": true}, {"name": "Y", "outcome": true}],
     "arrows": [["X", "->", "Y"], ["X", "<->", "Y"]]}

The marks of a node are ``treatment``, ``outcome``, ``latent`` (not measured), ``selected`` (units
are in the data because of it) and ``given`` (conditioned on: what one thinks of adjusting for).
Places are in pixels; y grows downwards, as in dagitty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayescausal.graph.structure.canonical import build_graph
from bayescausal.graph.structure.layout import layered_layout
from bayescausal.graph.structure.marks import bidirected_pairs, nameless
from bayescausal.graph.text.parse import as_graph
from bayescausal.types import GraphError

if TYPE_CHECKING:
    import networkx as nx

    from bayescausal.annotations import GraphLike

__all__ = ["MARKS", "Drawn", "drawing_of", "read_drawing"]

#: What a node may be marked as.
MARKS = ("treatment", "outcome", "latent", "selected", "given")
#: The largest drawing: more variables than a person draws, or reads.
MOST_NODES = 60

_ROOM = (640.0, 400.0)  # pixels that a graph with places of its own is fitted into
_LETTER, _GAP, _LAYER = 9.0, 56.0, 92.0  # pixels of a letter, between names, between layers


@dataclass(frozen=True)
class Drawn:
    """A graph that was drawn, and the question that its marks ask.

    ``graph``: without roles: what is latent or selected on is marked.
    ``treatment``, ``outcome``, ``given``: the names with these marks, in the order of the drawing.
    """

    graph: nx.DiGraph[str]
    treatment: tuple[str, ...]
    outcome: tuple[str, ...]
    given: tuple[str, ...]

    @property
    def marked(self) -> nx.DiGraph[str]:
        """The graph with the question written on its nodes."""
        graph: nx.DiGraph[str] = self.graph.copy()
        roles = (("treatment", self.treatment), ("outcome", self.outcome), ("adjusted", self.given))
        for role, names in roles:
            for name in names:
                graph.nodes[name]["role"] = role
        return as_graph(graph)


def read_drawing(drawing: dict[str, Any]) -> Drawn:
    """Return the graph that a drawing means.

    Raises GraphError where it is no graph: a name twice or empty, an arrow to nowhere, a cycle.

    Examples
    --------
    >>> drawn = read_drawing({"nodes": [{"name": "X", "treatment": True}, {"name": "Y"}],
    ...                       "arrows": [["X", "->", "Y"]]})
    >>> drawn.treatment, list(drawn.graph.edges)
    (('X',), [('X', 'Y')])
    """
    listed = drawing.get("nodes", [])
    if len(listed) > MOST_NODES:
        raise GraphError(
            f"{len(listed)} variables.", expected=f"at most {MOST_NODES} in a drawing."
        )
    nodes: dict[str, dict[str, Any]] = {}
    marked: dict[str, list[str]] = {mark: [] for mark in MARKS}
    for node in listed:
        name = str(node.get("name", "")).strip()
        if not name or name in nodes:
            what = f"Two variables are called {name!r}." if name else "A variable has no name."
            raise GraphError(what, remedy="Give each variable a name of its own.")
        nodes[name] = {"pos": (node["x"] / 100, node["y"] / 100)} if {"x", "y"} <= {*node} else {}
        for mark in MARKS:
            if node.get(mark):
                marked[mark].append(name)
        nodes[name] |= {"latent": True} if node.get("latent") else {}
        nodes[name] |= {"selection": True} if node.get("selected") else {}
    directed: list[tuple[str, str]] = []
    bidirected: list[tuple[str, str]] = []
    for left, arrow, right in drawing.get("arrows", []):
        for end in (left, right):
            if end not in nodes:
                raise GraphError(f"An arrow ends at {end!r}, which is no variable of the drawing.")
        (bidirected if arrow == "<->" else directed).append((left, right))
    graph = build_graph(nodes, directed, bidirected)
    treatment, outcome = marked["treatment"], marked["outcome"]
    given = [name for name in marked["given"] if name not in (*treatment, *outcome)]
    return Drawn(graph, tuple(treatment), tuple(outcome), tuple(given))


def drawing_of(graph: GraphLike) -> dict[str, Any]:
    """Return a graph as a drawing: with the places it has, or those of a layered layout.

    Examples
    --------
    >>> drawing = drawing_of("Z [adjusted]; Z -> X -> Y; X <-> Y")
    >>> [node["name"] for node in drawing["nodes"] if node.get("given")], drawing["arrows"]
    (['Z'], [['X', '->', 'Y'], ['Z', '->', 'X'], ['X', '<->', 'Y']])
    """
    dag = as_graph(graph)
    hidden = nameless(dag)
    shown = [name for name in dag if name not in hidden]
    places = _places(dag.subgraph(shown))
    roles = {"treatment": "treatment", "outcome": "outcome", "adjusted": "given"}
    nodes = []
    for name in shown:
        attributes = dag.nodes[name]
        node = {"name": name, "x": round(places[name][0]), "y": round(places[name][1])}
        node |= {"latent": True} if attributes.get("latent") else {}
        node |= {"selected": True} if attributes.get("selection") else {}
        role = roles.get(str(attributes.get("role")))
        nodes.append(node | ({role: True} if role else {}))
    arrows = [[a, "->", b] for a, b in sorted(dag.edges) if a not in hidden]
    arrows += [[a, "<->", b] for a, b in bidirected_pairs(dag)]
    return {"nodes": nodes, "arrows": arrows}


# --------------------------------------------------------------------------- private


def _places(dag: nx.DiGraph[str]) -> dict[str, tuple[float, float]]:
    """Return where each node stands, in pixels from the upper left corner."""
    given = {n: (float(pos[0]), float(pos[1])) for n, pos in dag.nodes.data("pos") if pos}  # type: ignore[index]
    if len(given) == len(dag) and len({*given.values()}) == len(dag):
        return _fitted(given)
    step = max([120.0, *(len(name) * _LETTER + _GAP for name in dag)])
    layout = layered_layout(dag)
    return {n: (40 + x * step, 40 - y * _LAYER) for n, (x, y) in layout.positions.items()}


def _fitted(given: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Return places moved and scaled into the room, sides in proportion."""
    xs, ys = [float(p[0]) for p in given.values()], [float(p[1]) for p in given.values()]
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    scale = min(
        _ROOM[0] / wide if wide else float("inf"), _ROOM[1] / high if high else float("inf")
    )
    scale = 1.0 if scale == float("inf") else scale
    return {
        name: (40 + scale * (float(x) - min(xs)), 40 + scale * (float(y) - min(ys)))
        for name, (x, y) in given.items()
    }
