"""Writing down the graph of a model, or any graph, in the languages of other tools.

The writers themselves, and their documentation, are in :mod:`bayescausal.graph.text.export`; these
take a model or a fit as well, whose latent variables (for a fit: those without a column) are
marked. PyMC is not imported unless a model is given.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from bayescausal.graph.text import export
from bayescausal.model.graph_queries.queries import with_latents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bayescausal.annotations import Names
    from bayescausal.model.graph_queries.graph_of_anything import ModelOrGraph

    type Edge = tuple[str, str, str]

__all__ = [
    "to_dagitty",
    "to_dot",
    "to_edges",
    "to_formulas",
    "to_gml",
    "to_mermaid",
    "to_text",
]

_GIVEN = "model_or_graph : pymc.Model, Fit, networkx.DiGraph or str\n    Whose graph.\n"
_UNIT_DIMS = (
    "unit_dims : str or sequence of str, optional\n"
    "    With a model: the dims that index units, where it leaves them open.\n"
)
_GRAPH = re.compile(r"graph : networkx\.DiGraph or str\n(?: +\S.*\n)+")
_NEXT = re.compile(r"^(Returns|Raises|Examples)\n-+\n", re.MULTILINE)


def _documented_by[**P, T](
    writer: Callable[..., object],
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Give a writer of models the docstring of the writer of graphs that it calls."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        text = f"{inspect.getdoc(writer)}\n".replace("from bayescausal.graph ", "from bayescausal ")
        section = _NEXT.search(text)
        head, rest = (text[: section.start()], text[section.start() :]) if section else (text, "")
        if "Parameters\n---" in head:
            head = _GRAPH.sub(_GIVEN, head).rstrip("\n") + f"\n{_UNIT_DIMS}\n"
        else:
            head += f"Parameters\n----------\n{_GIVEN}{_UNIT_DIMS}\n"
        function.__doc__ = head + rest
        return function

    return decorate


@_documented_by(export.to_text)
def to_text(model_or_graph: ModelOrGraph, *, unit_dims: str | Sequence[str] | None = None) -> str:
    return export.to_text(with_latents(model_or_graph, unit_dims))


@_documented_by(export.to_edges)
def to_edges(
    model_or_graph: ModelOrGraph, *, unit_dims: str | Sequence[str] | None = None
) -> list[str | Edge]:
    return export.to_edges(with_latents(model_or_graph, unit_dims))


@_documented_by(export.to_gml)
def to_gml(model_or_graph: ModelOrGraph, *, unit_dims: str | Sequence[str] | None = None) -> str:
    return export.to_gml(with_latents(model_or_graph, unit_dims))


@_documented_by(export.to_formulas)
def to_formulas(
    model_or_graph: ModelOrGraph, *, unit_dims: str | Sequence[str] | None = None
) -> str:
    return export.to_formulas(with_latents(model_or_graph, unit_dims))


@_documented_by(export.to_dagitty)
def to_dagitty(
    model_or_graph: ModelOrGraph,
    *,
    treatment: Names | None = None,
    outcome: Names | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> str:
    graph = with_latents(model_or_graph, unit_dims)
    return export.to_dagitty(graph, treatment=treatment, outcome=outcome)


@_documented_by(export.to_dot)
def to_dot(
    model_or_graph: ModelOrGraph,
    *,
    treatment: Names | None = None,
    outcome: Names | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> str:
    graph = with_latents(model_or_graph, unit_dims)
    return export.to_dot(graph, treatment=treatment, outcome=outcome)


@_documented_by(export.to_mermaid)
def to_mermaid(
    model_or_graph: ModelOrGraph,
    *,
    treatment: Names | None = None,
    outcome: Names | None = None,
    direction: str = "TD",
    unit_dims: str | Sequence[str] | None = None,
) -> str:
    graph = with_latents(model_or_graph, unit_dims)
    return export.to_mermaid(graph, treatment=treatment, outcome=outcome, direction=direction)
