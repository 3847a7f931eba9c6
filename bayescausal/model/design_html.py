"""A study design as HTML: its graph, its questions, its assumptions.

What a notebook shows of a :class:`~bayescausal.model.design.Design`. The graph is a small drawing
that needs no other package: nodes where the layered layout puts them, a dashed border where a
variable is not observed.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from bayescausal.graph.structure.layout import layered_layout
from bayescausal.model.structure.read import graph_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import networkx as nx

    from bayescausal.graph.structure.layout import Point
    from bayescausal.model.design import Design

__all__ = ["as_html"]

#: Pixels between nodes of a layer, between layers, around the drawing, and half a node's height.
WIDE, HIGH, ROUND, HALF = 120.0, 70.0, 60.0, 13.0


def as_html(design: Design) -> str:
    """Return a design as HTML.

    Examples
    --------
    >>> import bayescausal as bc
    >>> model = bc.model_from_formulas(["x ~ 1", "y ~ x"])
    >>> design = bc.Design("regression", model, {"y": [1.0]}, {"ATE": bc.ATE("x", "y")})
    >>> page = as_html(design)
    >>> "<svg" in page, "ATE" in page
    (True, True)
    """
    effects = [(name, _described(effect)) for name, effect in design.effects.items()]
    assumed = [(a.name, a.text, a.check) for a in design.assumptions]
    parts = [
        f"<p><b>{escape(design.name.replace('_', ' '))}</b></p>",
        _drawing(graph_of(design.model), _columns(design)),
        _table(("effect", "question"), effects),
    ]
    if assumed:
        parts.append(_table(("assumption", "in this study", "what speaks to it"), assumed))
    more = [f"{kind}: {', '.join(names)}" for kind, names in
            (("checks", design.checks), ("plots", design.plots)) if names]  # fmt: skip
    if more:
        parts.append(f"<p>{escape('; '.join(more))}</p>")
    return f"<div>{''.join(parts)}</div>"


# ------------------------------------------------------------------------------- private


def _described(effect: object) -> str:
    """Return a question as mathematics."""
    describe = getattr(effect, "describe", None)
    return str(describe() if callable(describe) else effect)


def _columns(design: Design) -> set[str]:
    """Return the names of the columns of the data; of a vector ``"v[label]"``, also ``"v"``."""
    held: Any = getattr(design.data, "columns", design.data)
    names = [str(c) for c in held]
    return {*names, *(n.partition("[")[0] for n in names)}


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return rows of text as an HTML table."""
    left = 'style="text-align: left"'
    top = "".join(f"<th {left}>{escape(h)}</th>" for h in heads)
    body = "".join(
        "<tr>" + "".join(f"<td {left}>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _drawing(graph: nx.DiGraph[str], seen: Collection[str]) -> str:
    """Return a graph as an SVG element."""
    layout = layered_layout(graph)
    points = [*layout.positions.values(), *(p for route in layout.routes.values() for p in route)]
    left, top = min(p[0] for p in points), max(p[1] for p in points)

    def place(point: Point) -> Point:
        return ROUND + (point[0] - left) * WIDE, ROUND / 2 + (top - point[1]) * HIGH

    half = {n: 9 + 3.7 * len(str(n)) for n in graph}
    marks = [_arrow([place(p) for p in layout.routes[e]], half[e[1]]) for e in layout.routes]
    for node, point in layout.positions.items():
        x, y = place(point)
        data = graph.nodes[node].get("kind") == "data"
        dashed = "" if node in seen or data else ' stroke-dasharray="4 3"'
        marks.append(
            f'<rect x="{x - half[node]:.1f}" y="{y - HALF:.1f}" width="{2 * half[node]:.1f}" '
            f'height="{2 * HALF:g}" rx="{0 if data else HALF:g}" fill="none" '
            f'stroke="currentColor"{dashed}/><text x="{x:.1f}" y="{y + 4:.1f}" '
            f'text-anchor="middle" font-size="12" fill="currentColor">{escape(str(node))}</text>'
        )
    right, low = place((max(p[0] for p in points), min(p[1] for p in points)))
    width, height = right + ROUND, low + ROUND / 2
    said = "; ".join(f"{a} causes {b}" for a, b in graph.edges)
    return (
        f'<svg role="img" aria-label="{escape(said, quote=True)}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" style="width: {width:.0f}px; max-width: 100%">'
        f"{''.join(marks)}</svg>"
    )


def _arrow(points: list[Point], half: float) -> str:
    """Return an arrow along points, from border to border of the boxes at its ends."""
    (x0, y0), (x1, y1) = points[-2], points[-1]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    reach = min(half / abs(dx) if dx else math.inf, (HALF + 1) / abs(dy) if dy else math.inf)
    x, y = x1 - dx * reach, y1 - dy * reach
    start = (points[0][0], points[0][1] + HALF)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in [start, *points[1:-1], (x - 6 * dx, y - 6 * dy)])
    back, side = (x - 8 * dx, y - 8 * dy), (-4 * dy, 4 * dx)
    head = [(x, y), (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])]
    tip = " ".join(f"{a:.1f},{b:.1f}" for a, b in head)
    return (
        f'<polyline points="{line}" fill="none" stroke="currentColor"/>'
        f'<polygon points="{tip}" fill="currentColor"/>'
    )
