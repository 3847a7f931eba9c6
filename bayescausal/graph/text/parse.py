"""Reading graphs: `parse_graph` takes what people have and returns the one form.

The arrow language is what one would write on a blackboard::

    Z -> X -> Y; X <-> Y      # a chain, and an unmeasured common cause of X and Y
    age                       # an isolated node
    U [latent]; U -> {X, Y}   # a latent node with a name of its own

=====================  =================================================================
``A -> B``, ``B <- A``   A acts on B; chains may be as long as wanted
``A <-> B``              an unmeasured common cause of A and B
``{A, B} -> C``          every edge between the groups
``A [latent]``           attributes: latent, selection, treatment, outcome, adjusted
``;`` or a new line      the next statement
``#``                    a comment up to the end of the line
=====================  =================================================================

Names are letters, digits, ``_`` and ``.`` in any script; anything else goes in quotes:
``"blood pressure (mm Hg)"``. Also read: dagitty [1]_ (``dag { ... }``, with its roles and
positions), DOT (``digraph { ... }``), GML (``graph [ ... ]``), regression formulas
(``Y ~ X + Z``, ``X ~~ Y``), edge lists and networkx graphs. An undirected edge is refused: it
makes no causal claim.

References
----------
.. [1] J. Textor et al., "Robust causal inference using directed acyclic graphs: the R package
   'dagitty'", International Journal of Epidemiology 45, 2016.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import networkx as nx

from bayescausal.graph.structure.canonical import build_graph, canonical
from bayescausal.graph.text.dagitty_and_dot import read_dagitty_or_dot
from bayescausal.graph.text.draft import ATTRIBUTES, Draft
from bayescausal.graph.text.scanner import Reader, syntax_error
from bayescausal.types import GraphError, closest

if TYPE_CHECKING:
    from bayescausal.annotations import GraphLike

__all__ = ["as_graph", "parse_graph"]

_DAGITTY_KINDS = ("dag", "mag", "pdag", "pag", "cpdag")


def as_graph(graph: GraphLike) -> nx.DiGraph[str]:
    """Return a graph in the one form, whatever it was given as.

    ``graph``: a graph; or text or an edge list, read by `parse_graph`.
    Result: Frozen, nodes are strings; columns without an equation are joined. A graph that has this
        form already is returned as it is.
    Raises GraphError if it is undirected, has a cycle, or cannot be read.

    Examples
    --------
    >>> from bayescausal.graph import as_graph
    >>> sorted(as_graph([("X", "Y"), ("Z", "Y")]).edges)
    [('X', 'Y'), ('Z', 'Y')]
    """
    return canonical(graph) if isinstance(graph, nx.Graph) else parse_graph(graph)


def parse_graph(text: GraphLike) -> nx.DiGraph[str]:
    """Read a graph from text, an edge list or networkx.

    Parameters
    ----------
    text : str, iterable of edges, or networkx.DiGraph
        Text in the arrow language, dagitty, DOT, GML or as formulas: told apart by how it
        begins. Or edges ``(tail, head)`` or ``(tail, head, arrow)`` with an arrow ``"->"``,
        ``"<-"`` or ``"<->"``; a lone string among them is an isolated node.

    Returns
    -------
    networkx.DiGraph
        Frozen. A bidirected edge is a latent root with two children.

    Raises
    ------
    GraphError
        If it cannot be read (the line is shown, with a caret), or has a cycle.

    Examples
    --------
    >>> import bayescausal as bc
    >>> graph = bc.parse_graph("Z -> X -> Y; X <-> Y")
    >>> print(bc.to_text(graph))
    X -> Y
    Z -> X
    X <-> Y
    >>> print(bc.to_text(bc.parse_graph("dag { X [exposure] Y [outcome] X -> Y }")))
    X [treatment]
    Y [outcome]
    X -> Y
    >>> sorted(bc.parse_graph("Y ~ X + Z").edges)
    [('X', 'Y'), ('Z', 'Y')]
    """
    held = text if isinstance(text, nx.Graph) else getattr(text, "graph", None)
    if isinstance(held, nx.Graph):  # a graph, or what holds one: an editor
        return canonical(held)
    if isinstance(text, str):
        return _parse_text(text)
    if isinstance(text, Iterable):
        return _parse_edges(text)
    raise GraphError(
        f"A {type(text).__name__} is not a graph.",
        expected="text such as 'Z -> X -> Y', an edge list, or a networkx.DiGraph.",
    )


def _parse_text(text: str) -> nx.DiGraph[str]:
    bare = re.sub(r"#[^\n]*|//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL).lstrip()
    first = re.match(r"(?:strict\s+)?(\w+)(?:\s+(?:\w+|\"[^\"]*\"))?\s*([{\[])", bare)
    word = first.group(1).lower() if first else ""
    if first and word in _DAGITTY_KINDS and first.group(2) == "{":
        return read_dagitty_or_dot(text, dagitty=True)
    if first and word in ("digraph", "graph") and first.group(2) == "{":
        return read_dagitty_or_dot(text, dagitty=False)
    if first and word == "graph" and first.group(2) == "[":
        return _parse_gml(text)
    if "~" in re.sub(r"\"[^\"]*\"|'[^']*'", "", bare):
        return _formulas(text)
    return _arrows(text)


# ------------------------------------------------------------------ the arrow language


def _arrows(text: str) -> nx.DiGraph[str]:
    reader = Reader(text, newlines=True)
    draft = Draft(reader)
    while reader.token.kind != "end":
        if reader.skip(";", "\n"):
            continue
        _arrow_statement(reader, draft)
        if reader.token.kind != "end" and not reader.sees(";", "\n"):
            found = f"found {reader.token.shown()}."
            raise reader.error(
                found,
                expected="an arrow, ';' or a new line.",
                remedy="Put a name with spaces or other signs in double quotes.",
            )
    return draft.graph()


def _arrow_statement(reader: Reader, draft: Draft) -> None:
    left = _group(reader, draft, "to begin a statement")
    while reader.token.kind == "arrow":
        arrow = reader.take()
        right = _group(reader, draft, f"after '{arrow.value}'")
        for a in left:
            for b in right:
                draft.edge(a, arrow.value, b, arrow)
        left = right


def _group(reader: Reader, draft: Draft, why: str) -> list[str]:
    if reader.skip("{"):
        names = []
        while not reader.skip("}"):
            if not reader.skip(",", ";", "\n"):
                names.append(reader.name("or '}' in the group").value)
        for name in names:
            draft.node(name)
        return names
    name = reader.name(why).value
    draft.node(name)
    if reader.skip("["):
        while not reader.skip("]"):
            if reader.skip(","):
                continue
            word = reader.name("of an attribute, or ']'")
            if word.value not in ATTRIBUTES:
                near = closest(word.value, ATTRIBUTES)[:1]
                raise reader.error(
                    f"'{word.value}' is not an attribute of a node.",
                    at=word,
                    expected="one of " + ", ".join(ATTRIBUTES) + ".",
                    remedy=f"Did you mean {near[0]!r}?" if near else None,
                )
            draft.node(name, ATTRIBUTES[word.value])
    return [name]


# ------------------------------------------------------------- formulas, GML, edge lists


def _formulas(text: str) -> nx.DiGraph[str]:
    """Read ``Y ~ X + 0.5*Z`` (X and Z act on Y) and ``X ~~ Y`` (a common cause)."""
    reader = Reader(text, newlines=True)
    draft = Draft(reader)
    while reader.token.kind != "end":
        if reader.skip(";", "\n"):
            continue
        left = [reader.name("before '~'").value]
        while reader.skip("+"):
            left.append(reader.name("after '+'").value)
        tilde = reader.need("~", "after the name")
        arrow = "<->" if reader.skip("~") else "<-"
        right = [_term(reader)]
        while reader.skip("+"):
            right.append(_term(reader))
        if reader.token.kind != "end" and not reader.sees(";", "\n"):
            raise reader.error(f"found {reader.token.shown()}.", expected="'+' or a new line.")
        for name in left + [n for n in right if n not in ("0", "1")]:
            draft.node(name)
        for a in left:
            for b in right:
                if b not in ("0", "1") and not (arrow == "<->" and a == b):
                    draft.edge(a, arrow, b, tilde)
    return draft.graph()


def _term(reader: Reader) -> str:
    name = reader.name("after '~' or '+'").value
    return reader.name("after '*'").value if reader.skip("*") else name


def _parse_gml(text: str) -> nx.DiGraph[str]:
    try:
        graph = nx.parse_gml(text)
    except nx.NetworkXError as error:
        line = re.search(r"\((\d+),\s*(\d+)\)", str(error))
        at = 0
        if line:
            lines = text.split("\n")[: int(line.group(1)) - 1]
            at = sum(len(s) + 1 for s in lines) + int(line.group(2)) - 1
        raise syntax_error(text, at, f"this is not GML ({error}).") from error
    for _, attributes in graph.nodes(data=True):
        for key in ("latent", "selection"):
            if key in attributes:
                attributes[key] = bool(attributes[key])
    return canonical(graph)


def _parse_edges(edges: Iterable[Any]) -> nx.DiGraph[str]:
    nodes: dict[str, dict[str, Any]] = {}
    directed: list[tuple[str, str]] = []
    bidirected: list[tuple[str, str]] = []
    if isinstance(edges, Mapping) or hasattr(edges, "columns"):
        raise GraphError(
            f"A {type(edges).__name__} does not say which of two names is the cause.",
            expected="a text such as 'x -> y', or pairs (tail, head).",
            remedy="Of a mapping from causes to their effects: "
            "[(cause, effect) for cause, effects in mapping.items() for effect in effects].",
        )
    for edge in edges:
        if isinstance(edge, str):
            if re.search(r"->|<-|--|~", edge):
                raise GraphError(
                    f"{edge!r} stands alone in a list, where a text names one node.",
                    expected="one text, or pairs (tail, head).",
                    remedy='Join the statements: "\\n".join(statements).',
                )
            nodes[edge] = {}
            continue
        parts = tuple(edge) if isinstance(edge, Iterable) else ()
        arrow = parts[2] if len(parts) == 3 else "->"
        if len(parts) not in (2, 3) or arrow not in ("->", "<-", "<->"):
            raise GraphError(
                f"{edge!r} is not an edge.",
                expected="(tail, head), or (tail, head, arrow) with '->', '<-' or '<->'.",
            )
        a, b = str(parts[0]), str(parts[1])
        nodes.setdefault(a, {})
        nodes.setdefault(b, {})
        if arrow == "<->":
            bidirected.append((a, b))
        else:
            directed.append((a, b) if arrow == "->" else (b, a))
    return build_graph(nodes, directed, bidirected)
