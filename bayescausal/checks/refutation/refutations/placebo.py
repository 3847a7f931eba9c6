"""Placebo treatments: what took the place of the treatment did nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from bayescausal.checks.refutation.data import permuted
from bayescausal.checks.refutation.refutation import Refutation
from bayescausal.effects.evaluation.outcome_distributions import laws_of
from bayescausal.evaluation.measured import plain_name
from bayescausal.graph import separated
from bayescausal.model.noise import noise_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.checks.refutation.refits import Refits
    from bayescausal.evaluation.builder import Builder

__all__ = ["Permuted", "Redrawn"]

#: The treatment drawn anew, in the graph.
PLACEBO = "(placebo)"


class Permuted(Refutation):
    """Shuffle the treatment."""

    name = "permuted"
    title = "placebo: shuffled"
    passing = "a treatment that did nothing gets no effect"
    failing = (
        "an effect is found where there is none: it comes from the prior or the form of the model"
    )

    def refuse(self, refits: Refits) -> str:
        """Refuse treatments that share a latent cause with what they act on, as of an instrument.

        That cause is learned from both: of a shuffled treatment its equations say something else.
        """
        for name, child, given in _acts_on(refits):
            graph: nx.DiGraph[str] = nx.DiGraph(refits.fit.structure.graph.edges)
            graph.remove_edges_from([(t, v) for t in refits.treatments for v in [*graph[t]]])
            if not separated(graph, name, child, given):
                return (
                    f"{name} and {child} have a latent cause in common, which is learned from "
                    f"both: with a shuffled {name} no effect is not what the model would find."
                )
        return ""

    def refit(
        self, refits: Refits, number: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Refit to treatments in a random order."""
        data = refits.columns | permuted(refits.fit, refits.treatments, rng)
        mean, sd = refits.effect(data, refits.seed + number, same=True)
        return mean, refits.null, sd


class Redrawn(Refutation):
    """Draw the treatment anew from its own equation, given its parents."""

    name = "redrawn"
    title = "placebo: redrawn"
    passing = "a treatment that only shares its causes gets no effect: adjustment takes those out"
    failing = (
        "the adjustment leaves something of the common causes: the outcome's equation has the "
        "wrong form"
    )

    def refuse(self, refits: Refits) -> str:
        """Refuse treatments without an equation."""
        structure = refits.fit.structure
        for name in refits.treatments:
            if name not in structure.random or name in structure.imputed:
                return f"{name} has no equation to be drawn from."
        for name, child, given in _acts_on(refits):
            graph: nx.DiGraph[str] = nx.DiGraph(structure.graph.edges)
            graph.add_edges_from([(cause, PLACEBO) for cause in structure.graph.pred[name]])
            if PLACEBO in graph and not separated(graph, PLACEBO, child, given):
                return (
                    f"{name} has causes that the equation of {child} does not read: a treatment "
                    f"drawn from them goes with {child} because {name} itself does."
                )
        return ""

    def refit(
        self, refits: Refits, number: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Refit to treatments drawn at one posterior draw."""
        place = int(rng.integers(refits.fit.n_draws))
        data = refits.columns
        for name in refits.treatments:
            at, seed = slice(place, place + 1), int(rng.integers(2**31))
            drawn = laws_of(refits.units, name, _new_draw, at, seed=seed)[0][0]
            data[name] = drawn.astype(data[name].dtype)
        mean, sd = refits.effect(data, refits.seed + number, same=True)
        return mean, refits.null, sd


def _acts_on(refits: Refits) -> Iterator[tuple[str, str, list[str]]]:
    """Yield treatments, what they act on directly, and what its equation reads beside them.

    A placebo has no effect if it is independent of that given those, whatever the treatment was.
    """
    graph, names = refits.fit.structure.graph, refits.treatments
    outcome = plain_name(refits.estimand.outcome_name)
    leads = nx.ancestors(graph, outcome) | {outcome}
    for name in names:
        for child in sorted({*graph.successors(name)} & leads - {*names}):
            known = {*refits.fit.columns, *refits.fit.structure.data} - {*names}
            yield name, child, sorted({*graph.predecessors(child)} & known)


def _new_draw(rv: TensorVariable, value: object, builder: Builder) -> list[TensorVariable]:
    """Return a new draw of a variable from its own equation."""
    rule = noise_rule(rv)
    return [rule.forward(builder.noise(rv.name, rule))]
