"""A causal graph as a picture, with matplotlib alone.

Causes stand above their effects, an arrow never runs through a node, and what a node is can be
told without colour: a treatment and an outcome have thick borders and their word in the legend,
a latent variable is dashed and slanted, data that the model takes as given have square corners,
a computed quantity (a ``Deterministic``) has no border. The edges on directed paths from the
treatment to the outcome, the ones a total effect travels along, are drawn heavier. Variables that
are adjusted for have a border of their own, and edges on back-door paths that stay open are dotted:
association flows along them that is no effect. Columns without an equation may depend on each
other in any way: light arcs join them.

Positions come from the layered layout [1]_, downwards or to the right, or are given: a graph that
dagitty has drawn keeps its places. They become inches in ``placement``. The same drawing is scaled,
letters included, to the axes it is given. Up to some 25 nodes this stays readable; beyond that a
graph is better asked than looked at.

References
----------
.. [1] K. Sugiyama, S. Tagawa and M. Toda, "Methods for visual understanding of hierarchical
   system structures", IEEE Transactions on Systems, Man, and Cybernetics 11, 1981.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, Literal

import networkx as nx

from bayescausal.graph.identification.identify import identify
from bayescausal.graph.structure.facts import paths
from bayescausal.graph.structure.marks import (
    as_names,
    bidirected_edges,
    bidirected_pairs,
    column_causes,
)
from bayescausal.graph.text.parse import as_graph
from bayescausal.model.graph_queries.graph_of_anything import named
from bayescausal.model.graph_queries.queries import with_latents
from bayescausal.reporting.drawn.placement import measured, placed
from bayescausal.reporting.drawn.shapes import (
    LINE,
    Box,
    bowed,
    draw_arc,
    draw_arrow,
    draw_box,
    draw_legend,
    legend_entries,
    legend_width,
)
from bayescausal.types import BayesCausalError, GraphError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import pymc as pm
    from matplotlib.axes import Axes

    from bayescausal.annotations import Names
    from bayescausal.effects.effect import Effect
    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["plot_graph"]

LARGEST = (13.0, 15.0)  # inches; a larger drawing is scaled down
MARGIN = 0.12


def plot_graph(
    model_or_graph: pm.Model | nx.DiGraph[str] | str | Sequence[Any],
    *,
    treatment: str | Iterable[str] | Estimand | Effect | None = None,
    outcome: str | Iterable[str] | None = None,
    adjustment: str | Iterable[str] | None = "auto",
    direction: Literal["down", "right"] = "down",
    positions: Mapping[str, tuple[float, float]] | Literal["auto"] | None = "auto",
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    unit_dims: str | Iterable[str] | None = None,
) -> Axes:
    """Draw a causal graph in layers, causes above effects or to the left of them.

    Parameters
    ----------
    model_or_graph : pymc.Model, networkx.DiGraph, str or list of edges
        A model, whose graph is read off, or a graph, also as text (``"Z -> X -> Y; X <-> Y"``).
        A node may carry ``latent=True`` and ``kind`` (``"random"``, ``"data"`` or
        ``"deterministic"``). The common cause behind ``X <-> Y`` is a dashed dot.
    treatment, outcome : str or iterable of str, optional
        Marked, together with the directed paths from one to the other; or one question.
    adjustment : str, iterable of str or None
        What is adjusted for; it is marked, and edges on back-door paths from a treatment to an
        outcome that stay open given it are dotted. ``"auto"``: the smallest set that
        identifies the effect, with what the graph marks as adjusted for; nothing where there is
        none. ``[]``: nothing is adjusted for. None: leave both out of the picture. Needs treatment
        and outcome. (A name ``"auto"`` goes into a list.)
    direction : {"down", "right"}
        Where the arrows of the layered layout lead.
    positions : mapping of str to (float, float), "auto" or None
        A place for every variable, in any unit, x to the right and y upwards; edges are straight
        then. ``"auto"``: the places of a text from dagitty or of a DOT file where every variable
        has one, else the layered layout. None: the layered layout.
    labels : mapping of str to str, optional
        What stands in the box of a variable in place of its name.
    ax : matplotlib.axes.Axes, optional
        Where to draw; the drawing is scaled to fit. Default: a new figure of its own size.
    unit_dims : str or iterable of str, optional
        Passed on where a model is given.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, in inches of the unscaled drawing. Nothing is shown or saved.

    Raises
    ------
    UnknownVariableError
        If `treatment`, `outcome`, `adjustment`, or a name in `positions` or `labels` is not in
        the graph.
    GraphError
        If the graph is empty or has a directed cycle, if a variable has no position or two share
        one, or for another direction.

    Examples
    --------
    >>> import networkx as nx
    >>> import bayescausal as bc
    >>> graph = nx.DiGraph([("humid", "dilution"), ("humid", "coating"), ("dilution", "coating")])
    >>> ax = bc.plot_graph(graph, treatment="dilution", outcome="coating")
    >>> sorted(text.get_text() for text in ax.texts)
    ['adjusted for', 'causal path', 'coating', 'dilution', 'humid', 'outcome', 'treatment']
    """
    asked = _as_graph(model_or_graph, unit_dims)
    first, last = named(treatment, outcome)
    treatments, outcomes = as_names(asked, first), as_names(asked, last)
    adjusted = _adjusted(asked, treatments, outcomes, adjustment)
    graph = asked.subgraph(set(asked) - set(column_causes(asked)))
    marks = dict.fromkeys(adjusted or (), "adjusted") | dict.fromkeys(outcomes, "outcome")
    boxes = measured(graph, marks | dict.fromkeys(treatments, "treatment"), labels)
    boxes, curves = placed(graph, boxes, direction, positions)
    joined = [ends for ends, light in bidirected_pairs(asked).items() if light]
    down = direction == "down"
    arcs = {ends: bowed(*(boxes[name] for name in ends), down=down) for ends in joined}
    ways = dict.fromkeys(_causal_edges(graph, treatments, outcomes), "causal")
    if adjusted is not None:
        ways |= dict.fromkeys(_open_edges(asked, treatments, outcomes, adjusted), "open")
    shown = {*(ways.values() if adjusted is not None else ()), *(["joined"] if arcs else [])}
    legend = legend_entries(boxes.values(), shown)
    left, right, bottom, top = _extent(boxes.values(), [*curves.values(), *arcs.values()], legend)

    ax, scale = _axes(ax, right - left, top - bottom)
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    ax.set_aspect("equal")
    ax.set_axis_off()
    for edge, curve in curves.items():
        tail, head = (boxes[name] for name in edge)
        with _named(ax, f"arrow-{sorted(curves).index(edge)}"):
            draw_arrow(ax, curve, tail, head, way=ways.get(edge, ""), scale=scale)
    for ends, curve in arcs.items():
        draw_arc(ax, curve, way=ways.get(ends, "joined"), scale=scale)
    for name, box in boxes.items():
        with _named(ax, f"node-{sorted(boxes).index(name)}"):
            draw_box(ax, box, scale)
    draw_legend(ax, legend, (left + right) / 2, bottom + MARGIN + LINE / 2, scale)
    return ax


# ------------------------------------------------------------------------- what to draw


def _as_graph(model_or_graph: object, unit_dims: Names | None) -> nx.DiGraph[str]:
    """Return the graph itself, or the graph of a model."""
    if isinstance(model_or_graph, (nx.Graph, str, list, tuple)):
        graph = as_graph(model_or_graph)
    else:
        if unit_dims is not None and not isinstance(unit_dims, str):
            unit_dims = tuple(unit_dims)
        graph = as_graph(with_latents(model_or_graph, unit_dims))
    if not graph:
        raise GraphError("The graph has no nodes.", expected="at least one variable.")
    return graph


def _causal_edges(
    graph: nx.DiGraph[str], treatments: Iterable[str], outcomes: Iterable[str]
) -> set[tuple[str, str]]:
    """Return the edges on a directed path from a treatment to an outcome."""
    after = {n for t in treatments for n in (t, *nx.descendants(graph, t))}
    before = {n for y in outcomes for n in (y, *nx.ancestors(graph, y))}
    return {(tail, head) for tail, head in graph.edges if tail in after and head in before}


def _adjusted(
    graph: nx.DiGraph[str],
    treatments: Sequence[str],
    outcomes: Sequence[str],
    adjustment: Names | None,
) -> tuple[str, ...] | None:
    """Return what is adjusted for; None where that is no part of the picture."""
    if adjustment is None or not treatments or not outcomes:
        return None
    if adjustment != "auto":
        return tuple(as_names(graph, adjustment))
    try:
        found = identify(graph, treatments, outcomes)
        best: frozenset[str] = next(iter(found.adjustment_sets), frozenset())
        if found and found.method not in ("back door", "no causal path"):
            return None  # identified with the back door open: not a fault to be marked
    except BayesCausalError:
        return None  # no question that an adjustment could answer
    marked = {n for n, role in graph.nodes(data="role") if role == "adjusted"}
    return tuple(sorted(best if marked <= best else marked))


def _open_edges(
    graph: nx.DiGraph[str],
    treatments: Iterable[str],
    outcomes: Iterable[str],
    adjusted: tuple[str, ...],
) -> set[tuple[str, str]]:
    """Return the edges on back-door paths that are open given what is adjusted for."""
    light = column_causes(graph)
    named = bidirected_edges(graph).items()
    hidden = {frozenset(ends): name for name, ends in named if name not in light}
    found: set[tuple[str, str]] = set()
    for x, y in product(treatments, outcomes):
        if x == y or {x, y} & {*adjusted}:
            continue
        try:
            routes = paths(graph, x, y, given=adjusted)
        except GraphError:
            continue  # thousands of paths: no picture can show them
        for route in routes:
            if route.open and route.kind == "back door":
                for (a, b), arrow in zip(pairwise(route.nodes), route.arrows, strict=True):
                    ends = {"->": [(a, b)], "<-": [(b, a)]}
                    cause = hidden.get(frozenset((a, b)))
                    both = [(cause, a), (cause, b)] if cause else [(min(a, b), max(a, b))]
                    found |= {*ends.get(arrow, both)}
    return found


def _extent(
    boxes: Iterable[Box],
    curves: Iterable[np.ndarray],
    legend: Sequence[tuple[Box, float]],
) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top of everything that is drawn."""
    xs, ys = [], []
    for box in boxes:
        xs += [box.centre[0] - box.width / 2, box.centre[0] + box.width / 2]
        ys += [box.centre[1] - box.height / 2, box.centre[1] + box.height / 2]
    for curve in curves:
        xs += [*curve[:, 0]]
        ys += [*curve[:, 1]]
    left, right, bottom, top = min(xs), max(xs), min(ys), max(ys)
    if legend:
        short = max(0.0, legend_width(legend) - (right - left)) / 2
        left, right, bottom = left - short, right + short, bottom - LINE - 0.18
    return left - MARGIN, right + MARGIN, bottom - MARGIN, top + MARGIN


# ------------------------------------------------------------------------------ drawing


@contextmanager
def _named(ax: Axes, name: str) -> Iterator[None]:
    """Give the patches that are drawn meanwhile a name, which an SVG keeps as their id."""
    before = len(ax.patches)
    yield
    for k, patch in enumerate(ax.patches[before:]):
        patch.set_gid(f"{name}-{k}")


def _axes(ax: Axes | None, width: float, height: float) -> tuple[Axes, float]:
    """Return the axes and by how much the drawing shrinks or grows in them."""
    import matplotlib.pyplot as plt

    if ax is None:
        scale = min(1.0, LARGEST[0] / width, LARGEST[1] / height)
        figure = plt.figure(figsize=(width * scale, height * scale))
        return figure.add_axes((0.0, 0.0, 1.0, 1.0)), scale
    room = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    return ax, min(room.width / width, room.height / height)
