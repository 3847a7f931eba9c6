"""How graphs and lists of findings show themselves: as tables in text, as drawings in a notebook.

The values stay what they are (a ``networkx.DiGraph``, a list, a dict); only their ``print`` and
their display in a notebook are of their own. The drawing is SVG made here, in the layers of
:mod:`~bayescausal.graph.structure.layout`, so that a graph shows itself without a drawing library.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

import networkx as nx

from bayescausal.graph.structure.layout import layered_layout
from bayescausal.graph.structure.marks import bidirected_edges

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CausalGraph", "Table", "TableDict", "TableList", "html_rows", "svg", "text_rows"]

#: Pixels: of a letter, within a box, between boxes and layers.
#: The background of the page a graph is shown on: JupyterLab, VS Code, any other.
_PAPER = "var(--jp-layout-color0, var(--vscode-editor-background, Canvas))"
_LETTER, _PAD, _GAP, _LAYER, _HEIGHT = 7.4, 11.0, 26.0, 68.0, 28.0


class CausalGraph(nx.DiGraph):
    """A directed graph that prints its arrows and shows its picture in a notebook.

    Examples
    --------
    >>> from bayescausal.graph import parse_graph
    >>> print(parse_graph("Z -> X -> Y; Z -> Y"))
    3 variables, 3 arrows
    Z -> X, Y
    X -> Y
    Y
    """

    def __str__(self) -> str:
        return _arrows(self)

    __repr__ = __str__

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        shown = {"text/plain": _arrows(self)}
        if len(self) and nx.is_directed_acyclic_graph(self):
            picture = svg(self)
            shown |= {"image/svg+xml": picture, "text/html": picture}
        return shown

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_().get("text/html", f"<pre>{escape(_arrows(self))}</pre>")


class Table:
    """What has rows: shown as a table in text and in a notebook."""

    #: Names of the columns, and what is said of nothing.
    columns: tuple[str, ...] = ()
    nothing = "Nothing."

    def rows(self) -> list[tuple[str, ...]]:
        """Return the cells as text."""
        raise NotImplementedError

    def __repr__(self) -> str:
        found = self.rows()
        return text_rows(self.columns, found) if found else self.nothing

    __str__ = __repr__

    def _repr_html_(self) -> str:
        found = self.rows()
        return html_rows(self.columns, found) if found else f"<p>{escape(self.nothing)}</p>"


class TableList[Row](Table, list[Row]):
    """A list that shows itself as a table."""

    __hash__ = None


class TableDict(Table, dict[str, Any]):
    """A dict that shows itself as a table."""

    __hash__ = None


def text_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as text, the columns aligned."""
    whole = [tuple(columns), *rows]
    widths = [max(len(row[i]) for row in whole) for i in range(len(columns))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in whole
    ]
    return "\n".join(lines)


def html_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as an HTML table."""
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def svg(graph: nx.DiGraph[str]) -> str:
    """Draw a DAG as SVG: causes above effects, what is latent dashed.

    ``graph``: Acyclic. The latent node of a bidirected edge is drawn as a dot.

    Examples
    --------
    >>> from bayescausal.graph import parse_graph
    >>> svg(parse_graph("X -> Y")).count("<text")
    2
    """
    layout, dots = layered_layout(graph), set(bidirected_edges(graph))
    wide = {n: 6.0 if n in dots else len(str(n)) * _LETTER + 2 * _PAD for n in graph}
    high = {n: 6.0 if n in dots else _HEIGHT for n in graph}
    step = max(wide.values()) + _GAP

    def pixel(point: tuple[float, float]) -> tuple[float, float]:
        return point[0] * step, -point[1] * _LAYER

    routes = {edge: [pixel(p) for p in route] for edge, route in layout.routes.items()}
    centres = {n: pixel(layout.positions[n]) for n in graph}
    every = [*centres.values(), *(p for route in routes.values() for p in route)]
    half = max(wide.values()) / 2 + 6
    left, right = (end(p[0] for p in every) for end in (min, max))
    top, bottom = (end(p[1] for p in every) for end in (min, max))
    box = (left - half, top - _HEIGHT, right - left + 2 * half, bottom - top + 2 * _HEIGHT)
    marks = [_edge(route, wide[b], high[b], a in dots) for (a, b), route in routes.items()]
    marks += [_node(graph, n, centres[n], wide[n], n in dots) for n in graph]
    said = escape(_arrows(graph), quote=True)
    view = " ".join(f"{v:.1f}" for v in box)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" width="{box[2]:.0f}" '
        f'height="{box[3]:.0f}" style="max-width:100%" role="img" aria-label="{said}" '
        f'fill="none" stroke="currentColor" stroke-width="1.3">{"".join(marks)}</svg>'
    )


# --------------------------------------------------------------------------- private


def _arrows(graph: nx.DiGraph[str]) -> str:
    """Return a graph as text: a line for each variable with what it causes."""
    both = bidirected_edges(graph)
    names = [n for n in graph if n not in both]
    count = sum(len(list(graph.successors(n))) for n in names) + len(both)
    lines = [f"{len(names)} variable{'s' * (len(names) != 1)}, {count} arrow{'s' * (count != 1)}"]
    for name in names:
        latent = " (latent)" if graph.nodes[name].get("latent") else ""
        after = ", ".join(str(n) for n in graph.successors(name))
        lines.append(f"{name}{latent}" + (f" -> {after}" if after else ""))
    lines += [f"{a} <-> {b}" for a, b in both.values()]
    return "\n".join(lines)


def _edge(route: list[tuple[float, float]], wide: float, high: float, dashed: bool) -> str:
    """Return an arrow along a route, its head at the border of the box it points to."""
    (x0, y0), (x1, y1) = route[-2], route[-1]
    dx, dy = x1 - x0, y1 - y0
    inside = min(
        (wide / 2) / abs(dx) if dx else math.inf, (high / 2 + 1) / abs(dy) if dy else math.inf
    )
    inside = min(inside, 1.0)
    x, y = x1 - inside * dx, y1 - inside * dy
    length = math.hypot(dx, dy) or 1.0
    ux, uy = dx / length, dy / length
    points = " ".join(f"{px:.1f},{py:.1f}" for px, py in [*route[:-1], (x - 5 * ux, y - 5 * uy)])
    head = " ".join(
        f"{px:.1f},{py:.1f}"
        for px, py in (
            (x, y),
            (x - 8 * ux + 3.5 * uy, y - 8 * uy - 3.5 * ux),
            (x - 8 * ux - 3.5 * uy, y - 8 * uy + 3.5 * ux),
        )
    )
    dash = ' stroke-dasharray="4 3" opacity="0.6"' if dashed else ""
    return (
        f'<polyline points="{points}"{dash}/>'
        f'<polygon points="{head}" fill="currentColor" stroke="none"/>'
    )


def _node(
    graph: nx.DiGraph[str], name: str, at: tuple[float, float], wide: float, dot: bool
) -> str:
    """Return a box with its name upon the arrows; a dot for a hidden common cause."""
    x, y = at
    if dot:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="currentColor" opacity="0.6"/>'
    dash = ' stroke-dasharray="4 3"' if graph.nodes[name].get("latent") else ""
    return (
        f'<rect x="{x - wide / 2:.1f}" y="{y - _HEIGHT / 2:.1f}" width="{wide:.1f}" '
        f'height="{_HEIGHT:.1f}" rx="8" style="fill:{_PAPER}"{dash}/>'
        f'<text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="middle" font-size="13" '
        f'font-family="sans-serif" fill="currentColor" stroke="none">{escape(str(name))}</text>'
    )
