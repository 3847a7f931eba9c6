"""A graph while its text is being read: nodes with attributes, and edges.

Shared by the languages: it refuses an edge from a node to itself where it stands in the text,
takes an edge that is written twice once, and knows what the attributes of a node mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayescausal.graph.structure.canonical import build_graph

if TYPE_CHECKING:
    import networkx as nx

    from bayescausal.graph.text.scanner import Reader, Token

__all__ = ["ATTRIBUTES", "Draft"]

#: Attributes of a node in text, and what each sets.
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "latent": {"latent": True},
    "unobserved": {"latent": True},
    "selection": {"selection": True},
    "selected": {"selection": True},
    "treatment": {"role": "treatment"},
    "exposure": {"role": "treatment"},
    "outcome": {"role": "outcome"},
    "adjusted": {"role": "adjusted"},
    "adjustedNode": {"role": "adjusted"},
}


class Draft:
    """What has been read so far: nodes with attributes, and edges."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.nodes: dict[str, dict[str, Any]] = {}
        self.directed: dict[tuple[str, str], None] = {}
        self.bidirected: dict[tuple[str, str], None] = {}

    def node(self, name: str, attributes: dict[str, Any] | None = None) -> None:
        self.nodes.setdefault(name, {}).update(attributes or {})

    def edge(self, left: str, arrow: str, right: str, at: Token) -> None:
        if left == right:
            raise self.reader.error(f"{left} {arrow} {right} joins a node to itself.", at=at)
        if arrow == "<->":
            first, second = sorted((left, right))
            self.bidirected[first, second] = None
        else:
            self.directed[(left, right) if arrow == "->" else (right, left)] = None

    def graph(self) -> nx.DiGraph[str]:
        return build_graph(self.nodes, self.directed, self.bidirected)
