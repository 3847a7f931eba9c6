"""Exercises of linear worlds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from bayescausal.datasets.exercise import Exercise, made
from bayescausal.datasets.exercise_worlds import LinearWorld
from bayescausal.datasets.teaching.key import Known, Mistake
from bayescausal.effects.estimands import ATE, CDE
from bayescausal.graph.text.display import CausalGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["exercise_graph", "linear_exercise"]


def linear_exercise(
    name: str,
    text: str,
    equations: Mapping[str, Mapping[str, float]],
    pair: tuple[str, str],
    wrong: Sequence[tuple[str, Sequence[str] | Callable[[LinearWorld], float], str]],
    solved: str,
    *,
    noise: Mapping[str, float] | None = None,
    selected: tuple[str, float] | None = None,
    hidden: Sequence[str] = (),
    variables: Sequence[str] | None = None,
    mediators: Sequence[str] = (),
) -> Exercise:
    """Make an exercise of a linear world; `wrong` has adjustment sets, and other analyses."""
    world = LinearWorld(equations, noise or {}, selected)
    observed = tuple(v for v in world.names if v not in hidden)
    mistakes = tuple(
        Mistake(
            label,
            how(world) if callable(how) else world.regression(*pair, how),
            why,
        )
        for label, how, why in wrong
    )
    question = CDE(*pair, mediators=dict.fromkeys(mediators, 0)) if mediators else ATE(*pair)
    return made(
        name=name,
        text=text,
        question=question,
        observed=observed,
        graph=exercise_graph(world.edges(), observed),
        world=world,
        key=Known(Mistake("truth", world.effect(*pair, held=mediators), ""), mistakes, solved),
        variables=tuple(variables or observed),
    )


def exercise_graph(
    edges: Sequence[tuple[str, str]], observed: Sequence[str], nodes: Sequence[str] = ()
) -> nx.DiGraph:
    """Return the graph that an exercise shows, frozen, with what is observed as an attribute."""
    graph: nx.DiGraph = CausalGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    for node in graph:
        graph.nodes[node]["observed"] = node in observed
    return nx.freeze(graph)
