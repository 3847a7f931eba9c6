"""From a layout in node distances to boxes and curves in inches.

The names are measured, long ones are broken at underscores, dots, spaces and capitals, and the
distances of the layered layout are stretched until every box and every edge that passes one has
room. A drawing to the right is one downwards with width and height exchanged: layers are stretched
by the widths of the boxes then, and rows by their heights. Positions that are given keep their
proportions and grow together until no two boxes touch; their edges are straight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayescausal.graph.structure.layout import Layout, layered_layout
from bayescausal.graph.structure.marks import bidirected_edges
from bayescausal.reporting.drawn.shapes import KINDS, LINE, Box, broken, inside, smooth, text_width
from bayescausal.types import GraphError, unknown_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import networkx as nx

__all__ = ["measured", "placed"]

PAD_X, PAD_Y = 0.13, 0.09  # inches between a name and its border
SIDE, AHEAD = 0.28, 0.48  # inches between boxes of one layer and of two layers, at least
NARROWEST = {"down": (0.9, 0.7), "right": (0.55, 0.9)}  # inches a node distance, at least
LANE = 0.11  # inches between a box and an edge that passes it, at least
DOT = 0.16  # inches across the mark that stands for a bidirected edge
STEEPEST = 2.0  # nothing moves further apart than this many times the larger distance
ASIDE = 0.5  # of half the way between two nodes: how far the mark of a common cause stands off
CLOSEST = 1e-6  # of the whole drawing: two given positions nearer than that are one

type Positions = Mapping[str, tuple[float, float]]
type Placed = tuple[dict[str, Box], dict[tuple[str, str], np.ndarray]]


def measured(
    graph: nx.DiGraph[str], marks: Mapping[str, str], labels: Mapping[str, str] | None = None
) -> dict[str, Box]:
    """Return the box of each node, not yet in place.

    ``marks``: treatment, outcome or adjusted, of the nodes that are one of them.
    ``labels``: what stands in a box in place of the name.
    """
    boxes = {}
    nameless = bidirected_edges(graph)
    for name in labels or {}:
        if name not in graph:
            raise unknown_variable(name, graph, what="a variable of this graph")
    for name in graph:
        text = "" if name in nameless else broken((labels or {}).get(name, name))
        latent = bool(graph.nodes[name].get("latent"))
        kind = marks.get(name, str(graph.nodes[name].get("kind", "random")))
        height = LINE * (text.count("\n") + 1) + 2 * PAD_Y if text else DOT
        width = max(text_width(text, latent) + 2 * PAD_X, height) if text else DOT
        kind = kind if kind in KINDS else "random"
        boxes[name] = Box((0.0, 0.0), width, height, text, kind, latent)
    return boxes


def placed(
    graph: nx.DiGraph[str],
    boxes: Mapping[str, Box],
    direction: Literal["down", "right"],
    positions: Positions | Literal["auto"] | None,
) -> Placed:
    """Return the boxes in their places, and the curve of each edge.

    ``boxes``: from :func:`measured`.
    ``direction``, ``positions``: as in :func:`plot_graph`.
    Raises GraphError for a missing or doubled position, and for another direction.
    """
    if direction not in NARROWEST:
        raise GraphError(f"direction={direction!r}.", expected='"down" or "right".')
    if positions == "auto":
        drawn: dict[str, Any] = {n: at for n, at in graph.nodes(data="pos") if at is not None}
        named = {*graph} - {*bidirected_edges(graph)}
        positions = {n: (x, -y) for n, (x, y) in drawn.items()} if named <= {*drawn} else None
    if positions is not None:
        return _as_given(graph, boxes, positions)
    layout, down = layered_layout(graph), direction == "down"
    flat = {n: replace(b, width=b.height, height=b.width) for n, b in boxes.items()}
    scale = np.array(_stretch(layout, boxes if down else flat, NARROWEST[direction]))
    most = STEEPEST * scale.max()
    while True:
        turned = {n: _turned(scale * at, direction) for n, at in layout.positions.items()}
        put = {n: replace(box, centre=tuple(turned[n])) for n, box in boxes.items()}
        curves = {}
        for edge, points in layout.routes.items():
            route = _turned(scale * points, direction)
            curves[edge] = smooth(route)
            if not down and _hit(edge, curves[edge], put):
                curves[edge] = smooth(_between(route, layout, put))
        free = not any(_hit(edge, curve, put) for edge, curve in curves.items())
        if free or scale[1] > most:
            return put, curves
        scale *= (1.0, 1.1) if down else (1.1, 1.1)


def _turned(points: np.ndarray, direction: str) -> np.ndarray:
    """Return points of a drawing downwards, or turned so that depth grows to the right."""
    return points if direction == "down" else np.stack([-points[..., 1], -points[..., 0]], axis=-1)


def _between(points: np.ndarray, layout: Layout, boxes: Mapping[str, Box]) -> np.ndarray:
    """Let an edge to the right change its row between the layers alone, where no box is wide."""
    bent = [points[0]]
    for layer in filter(None, layout.layers):
        at, half = boxes[layer[0]].centre[0], max(boxes[name].width for name in layer) / 2
        if points[0][0] <= at <= points[-1][0]:
            row = float(np.interp(at, points[:, 0], points[:, 1]))
            inner = points[0][0] < at, at < points[-1][0]
            ends = [at + step for step, passed in zip((-half, half), inner, strict=True) if passed]
            bent += [np.array([end, row]) for end in ends]
    return np.stack([*bent, points[-1]])


def _hit(edge: tuple[str, str], curve: np.ndarray, boxes: Mapping[str, Box]) -> bool:
    """Say whether the curve of an edge runs through the box of another node."""
    return any(inside(curve, box, 0.03).any() for name, box in boxes.items() if name not in edge)


# ----------------------------------------------------------------------- positions given


def _as_given(graph: nx.DiGraph[str], boxes: Mapping[str, Box], positions: Positions) -> Placed:
    """Return boxes at their own places, as far apart as they need."""
    if not isinstance(positions, Mapping):
        raise GraphError(
            f"positions={positions!r}.",
            expected='a mapping of every variable to (x, y), "auto" or None.',
        )
    for name, at in positions.items():
        if not _is_place(at):
            raise GraphError(
                f"The position of {name!r} is {at!r}.", expected="two finite numbers, (x, y)."
            )
    for name in positions:
        if name not in graph:
            raise unknown_variable(name, graph, what="a variable of this graph")
    hidden = bidirected_edges(graph)
    for name, ends in hidden.items():
        if name not in positions and all(end in positions for end in ends):
            positions = {
                **positions,
                name: _beside(positions[ends[0]], positions[ends[1]], positions),
            }
    missing = [name for name in graph if name not in positions]
    if missing:
        raise GraphError(
            f"No position for {', '.join(missing)}.",
            expected="one (x, y) for every variable.",
            remedy="Leave positions out, and places are found.",
        )
    places = {name: np.asarray(positions[name], dtype=float) for name in graph}
    scale = _apart({n: p for n, p in places.items() if n not in hidden}, boxes)
    put = {n: replace(boxes[n], centre=tuple(scale * at)) for n, at in places.items()}
    straight = {(a, b): np.stack([scale * places[a], scale * places[b]]) for a, b in graph.edges}
    return put, {edge: smooth(points) for edge, points in straight.items()}


def _is_place(at: object) -> bool:
    """Whether something is two finite numbers."""
    try:
        place = np.asarray(at, dtype=float)
    except (TypeError, ValueError):
        return False
    return place.shape == (2,) and bool(np.isfinite(place).all())


def _beside(
    one: tuple[float, float], other: tuple[float, float], positions: Positions
) -> tuple[float, float]:
    """Return a place beside the way between two nodes, on the side with more room."""
    middle, way = np.add(one, other) / 2, np.subtract(other, one) / 2
    sides = [middle + side * ASIDE * np.array([-way[1], way[0]]) for side in (1, -1)]
    room = [min(np.hypot(*(side - at)) for at in positions.values()) for side in sides]
    best = sides[int(room[1] > room[0] * (1 + CLOSEST))]
    return float(best[0]), float(best[1])


def _apart(places: Mapping[str, np.ndarray], boxes: Mapping[str, Box]) -> float:
    """Return the inches per unit of the positions at which no two boxes touch."""
    whole = np.ptp(np.stack([*places.values()]), axis=0).max() if places else 0.0
    needs = [0.0]
    for a, b in combinations(places, 2):
        dx, dy = np.abs(places[a] - places[b])
        if max(dx, dy) <= CLOSEST * whole:
            raise GraphError(
                f"{a} and {b} have the same position.", expected="one of its own for each."
            )
        wide = (boxes[a].width + boxes[b].width) / 2 + SIDE
        tall = (boxes[a].height + boxes[b].height) / 2 + SIDE
        needs.append(min(wide / max(dx, 1e-12 * whole), tall / max(dy, 1e-12 * whole)))
    return max(needs) or 1.0


# ------------------------------------------------------------------------ layered layout


def _stretch(
    layout: Layout, boxes: Mapping[str, Box], least: tuple[float, float]
) -> tuple[float, float]:
    """Return the inches per node distance at which boxes and passing edges have room."""
    x_needs, y_needs = [least[0]], [least[1]]
    positions = layout.positions
    for layer in layout.layers:
        row = sorted(layer, key=lambda name: positions[name][0])
        for a, b in pairwise(row):
            room = (boxes[a].width + boxes[b].width) / 2 + SIDE
            x_needs.append(room / (positions[b][0] - positions[a][0]))
    for layer in filter(None, layout.layers):
        level = positions[layer[0]][1]
        passing = [
            np.interp(-level, *_by_depth(r)) for r in layout.routes.values() if _passes(r, level)
        ]
        for name in layer:
            room = boxes[name].width / 2 + LANE
            x_needs += [room / max(abs(x - positions[name][0]), 0.2) for x in passing]
    rows = [
        (positions[layer[0]][1], max(boxes[n].height for n in layer))
        for layer in filter(None, layout.layers)
    ]
    for (y_above, tall), (y_below, tall_below) in pairwise(rows):
        y_needs.append(((tall + tall_below) / 2 + AHEAD) / (y_above - y_below))
    return max(x_needs), max(y_needs)


def _passes(route: Sequence[tuple[float, float]], level: float) -> bool:
    """Say whether an edge crosses a layer without ending in it."""
    return route[-1][1] < level < route[0][1]


def _by_depth(route: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return the depths of an edge's points, increasing, and their x."""
    return [-y for _, y in route], [x for x, _ in route]
