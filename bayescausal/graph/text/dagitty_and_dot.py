"""Reading the languages with braces: dagitty and DOT.

Both are ``kind name { statements }``, where a statement names nodes joined by arrows, followed by
attributes in brackets. They differ in what attributes mean:

- dagitty: ``exposure``, ``outcome``, ``adjusted``, ``latent``, ``selected``, ``pos="x,y"``;
- DOT: ``latent=true`` or ``observed=no`` for a node that is not measured, ``dir=both`` for a
  bidirected edge, ``dir=back`` for one that points back. Subgraphs, ports, defaults, HTML labels
  and drawing attributes are read past.

References
----------
.. [1] J. Textor et al., "Robust causal inference using directed acyclic graphs: the R package
   'dagitty'", International Journal of Epidemiology 45, 2016.
.. [2] E. Gansner and S. North, "An open graph visualization system and its applications to
   software engineering", Software: Practice and Experience 30, 2000.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bayescausal.graph.text.draft import ATTRIBUTES, Draft
from bayescausal.graph.text.scanner import Reader

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["read_dagitty_or_dot"]

_DAGITTY_SHORT = {"e": "exposure", "o": "outcome", "u": "latent", "l": "latent", "a": "adjusted"}


def read_dagitty_or_dot(text: str, *, dagitty: bool) -> nx.DiGraph[str]:
    """Read a graph in dagitty or DOT.

    ``text``: from ``dag {`` or ``digraph {`` to the closing brace.
    ``dagitty``: which of the two it is.
    Raises GraphError with the line and a caret.

    Examples
    --------
    >>> sorted(read_dagitty_or_dot("digraph { a -> {b c} }", dagitty=False).edges)
    [('a', 'b'), ('a', 'c')]
    """
    text = _blank_html(text)
    reader = Reader(text, newlines=False)
    draft = Draft(reader)
    kind = reader.take()
    if kind.value.lower() == "strict":
        kind = reader.take()
    if kind.value.lower() not in ("dag", "mag", "digraph"):
        raise reader.error(
            f"a '{kind.value}' may have edges without a direction.",
            at=kind,
            expected="a 'dag'." if dagitty else "a 'digraph'.",
        )
    if reader.token.kind == "name":
        reader.take()
    reader.need("{", f"after '{kind.value}'")
    _statements(reader, draft, dagitty)
    if reader.token.kind != "end":
        raise reader.error(f"found {reader.token.shown()} after the closing brace.")
    return draft.graph()


def _statements(reader: Reader, draft: Draft, dagitty: bool) -> list[str]:
    """Read statements up to the closing brace; return the nodes they name."""
    named: list[str] = []
    while not reader.skip("}"):
        if reader.token.kind == "end":
            raise reader.error("the brace is never closed.", expected="'}'.")
        if reader.skip(";", ","):
            continue
        named += _statement(reader, draft, dagitty)
    return named


def _statement(reader: Reader, draft: Draft, dagitty: bool) -> list[str]:
    start = reader.token
    if not dagitty and start.value.lower() in ("node", "edge", "graph"):
        reader.take()
        _bracketed(reader)
        return []
    left = _operand(reader, draft, dagitty)
    if reader.skip("="):  # a property of the whole graph, such as bb="0,0,1,1"
        reader.name("as the value")
        if left and set(draft.nodes[left[0]]) == set() and not _in_edge(draft, left[0]):
            del draft.nodes[left[0]]
        return []
    named, edges = list(left), []
    while reader.token.kind == "arrow":
        arrow = reader.take()
        right = _operand(reader, draft, dagitty)
        edges += [(a, arrow, b) for a in left for b in right]
        named, left = named + right, right
    attributes: dict[str, str] = {}
    while reader.sees("["):
        attributes.update(_bracketed(reader))
    for a, arrow, b in edges:
        draft.edge(a, _direction(arrow.value, attributes), b, arrow)
    if not edges:
        for name in named:
            draft.node(name, _node_attributes(attributes, dagitty))
    return named


def _operand(reader: Reader, draft: Draft, dagitty: bool) -> list[str]:
    if not dagitty and reader.token.value == "subgraph":
        reader.take()
        if reader.token.kind == "name":
            reader.take()
    if reader.skip("{"):
        return _statements(reader, draft, dagitty)
    name = reader.name("of a node").value
    while not dagitty and reader.skip(":"):  # a port: where the line is attached
        reader.name("of a port")
    draft.node(name)
    return [name]


def _bracketed(reader: Reader) -> dict[str, str]:
    """Read ``[key=value, flag]``; a flag has the value ``"true"``."""
    found = {}
    reader.need("[", "before attributes")
    while not reader.skip("]"):
        if reader.skip(",", ";"):
            continue
        key = reader.name("of an attribute, or ']'").value
        found[key] = reader.name("as the value").value if reader.skip("=") else "true"
    return found


def _node_attributes(given: dict[str, str], dagitty: bool) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for key, value in given.items():
        no = value.casefold() in ("false", "no", "0")
        full = _DAGITTY_SHORT.get(key, key) if dagitty else key
        if full in ATTRIBUTES and not no:
            attributes.update(ATTRIBUTES[full])
        elif key == "observed" and no:
            attributes["latent"] = True
        elif key == "role" and value in ATTRIBUTES:
            attributes.update(ATTRIBUTES[value])
        elif key == "pos":
            numbers = re.findall(r"-?\d+(?:\.\d+)?(?:[eE]-?\d+)?", value)
            if len(numbers) >= 2:
                down = float(numbers[1]) if dagitty else -float(numbers[1])
                attributes["pos"] = (float(numbers[0]), down)
    return attributes


def _direction(arrow: str, attributes: dict[str, str]) -> str:
    if attributes.get("dir") == "both":
        return "<->"
    if attributes.get("dir") == "back":
        return {"->": "<-", "<-": "->"}.get(arrow, arrow)
    return arrow


def _in_edge(draft: Draft, name: str) -> bool:
    return any(name in edge for edge in (*draft.directed, *draft.bidirected))


def _blank_html(text: str) -> str:
    """Replace DOT's ``=<html>`` values by an empty name of the same length."""

    def blank(match: re.Match[str]) -> str:
        return '="' + " " * (len(match.group()) - 3) + '"'

    return re.sub(r"=\s*<(?!-)(?:[^<>]|<[^<>]*>)*>", blank, text)
