"""Writing down the graph of a model, or any graph, in the languages of other tools.

The writers themselves are in :mod:`bayescausal.graph.text.export`; these take a model or a fit as
well, whose latent variables (for a fit: those without a column) are marked. PyMC is not imported
unless a model is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayescausal.graph.text import export
from bayescausal.model.structure.graph_queries import with_latents

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "to_dagitty",
    "to_dot",
    "to_edges",
    "to_formulas",
    "to_gml",
    "to_mermaid",
    "to_text",
]


def to_text(model_or_graph: Any, *, unit_dims: str | Sequence[str] | None = None) -> str:
    """Write a graph in the arrow language, one edge on a line.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        Whose graph.
    unit_dims : str or sequence of str, optional
        With a model: the dims that index units.

    Returns
    -------
    str

    Raises
    ------
    GraphError
        If the graph cannot be read or written so.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.to_text("X -> Y")
    'X -> Y'
    """
    return export.to_text(with_latents(model_or_graph, unit_dims))


def to_edges(model_or_graph: Any, *, unit_dims: str | Sequence[str] | None = None) -> list[Any]:
    """Write a graph in a list of edges ``(tail, head, arrow)``, isolated nodes as strings.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        Whose graph.
    unit_dims : str or sequence of str, optional
        With a model: the dims that index units.

    Returns
    -------
    list

    Raises
    ------
    GraphError
        If the graph cannot be read or written so.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.to_edges("X -> Y")
    [('X', 'Y', '->')]
    """
    return export.to_edges(with_latents(model_or_graph, unit_dims))


def to_gml(model_or_graph: Any, *, unit_dims: str | Sequence[str] | None = None) -> str:
    """Write a graph in GML, bidirected edges as the latent nodes they stand for.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        Whose graph.
    unit_dims : str or sequence of str, optional
        With a model: the dims that index units.

    Returns
    -------
    str

    Raises
    ------
    GraphError
        If the graph cannot be read or written so.

    Examples
    --------
    >>> import bayescausal as bc
    >>> "node" in bc.to_gml("X -> Y")
    True
    """
    return export.to_gml(with_latents(model_or_graph, unit_dims))


def to_formulas(model_or_graph: Any, *, unit_dims: str | Sequence[str] | None = None) -> str:
    """Write a graph in regression formulas, one per node with parents.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        Whose graph.
    unit_dims : str or sequence of str, optional
        With a model: the dims that index units.

    Returns
    -------
    str

    Raises
    ------
    GraphError
        If the graph cannot be read or written so.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.to_formulas("X -> Y")
    'Y ~ X'
    """
    return export.to_formulas(with_latents(model_or_graph, unit_dims))


def to_dagitty(
    model_or_graph: Any,
    *,
    treatment: Any = None,
    outcome: Any = None,
    unit_dims: str | Sequence[str] | None = None,
) -> str:
    """Write a graph in the language of dagitty, roles included.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        Whose graph.
    treatment, outcome : str or iterable of str, optional
        Marked.
    unit_dims : str or sequence of str, optional
        With a model: the dims that index units.

    Returns
    -------
    str

    Raises
    ------
    GraphError
        If the graph cannot be read or written so.

    Examples
    --------
    >>> import bayescausal as bc
    >>> "X -> Y" in bc.to_dagitty("X -> Y")
    True
    """
    return export.to_dagitty(
        with_latents(model_or_graph, unit_dims), treatment=treatment, outcome=outcome
    )


def to_dot(
    model_or_graph: Any,
    *,
    treatment: Any = None,
    outcome: Any = None,
    unit_dims: str | Sequence[str] | None = None,
) -> str:
    """Write a graph in DOT, the language of Graphviz; latents dashed, treatment and outcome filled.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        Whose graph.
    treatment, outcome : str or iterable of str, optional
        Marked.
    unit_dims : str or sequence of str, optional
        With a model: the dims that index units.

    Returns
    -------
    str

    Raises
    ------
    GraphError
        If the graph cannot be read or written so.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.to_dot("X -> Y").startswith("digraph")
    True
    """
    return export.to_dot(
        with_latents(model_or_graph, unit_dims), treatment=treatment, outcome=outcome
    )


def to_mermaid(
    model_or_graph: Any,
    *,
    treatment: Any = None,
    outcome: Any = None,
    direction: str = "TD",
    unit_dims: str | Sequence[str] | None = None,
) -> str:
    """Write a graph in a Mermaid flowchart, as Markdown pages and notebooks draw it.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        Whose graph.
    treatment, outcome : str or iterable of str, optional
        Marked.
    direction : {"TD", "LR", "BT", "RL"}, default "TD"
        In which arrows point.
    unit_dims : str or sequence of str, optional
        With a model: the dims that index units.

    Returns
    -------
    str

    Raises
    ------
    GraphError
        If the graph cannot be read or written so.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.to_mermaid("X -> Y").startswith("flowchart")
    True
    """
    return export.to_mermaid(
        with_latents(model_or_graph, unit_dims),
        treatment=treatment,
        outcome=outcome,
        direction=direction,
    )
