"""Random graphs, and random binary models on them whose every distribution is enumerated."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from bayescausal.graph import build_graph

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from bayescausal.graph.identification.expression import Expression


def random_graph(rng: random.Random, n: int, p: float = 0.4, q: float = 0.25) -> nx.DiGraph:
    """Return a random ADMG of n nodes V0, V1, ... whose order is a random topological one."""
    nodes = [f"V{i}" for i in range(n)]
    order = rng.sample(nodes, n)
    pairs = list(itertools.combinations(order, 2))
    directed = [pair for pair in pairs if rng.random() < p]
    bidirected = [pair for pair in pairs if rng.random() < q]
    return build_graph(nodes, directed, bidirected)


class BinaryModel:
    """A binary model on a DAG (latent roots included) with random conditional tables.

    Probabilities stay in [0.1, 0.9], so that no quotient is close to 0 / 0.
    """

    def __init__(self, graph: nx.DiGraph, seed: int) -> None:
        self.graph = graph
        self.rng = np.random.default_rng(seed)
        self.nodes = list(nx.lexicographical_topological_sort(graph))
        self.axis = {node: i for i, node in enumerate(self.nodes)}
        self.tables = {node: self._table(node) for node in self.nodes}
        self.observed = [n for n in self.nodes if not graph.nodes[n].get("latent")]

    def _table(self, node: str) -> np.ndarray:
        parents = sorted(self.axis[p] for p in self.graph.predecessors(node))
        one = self.rng.uniform(0.1, 0.9, size=(2,) * len(parents))
        shape = [2 if i in parents else 1 for i in range(len(self.nodes))]
        one = one.reshape(shape)
        return np.concatenate([1 - one, one], axis=self.axis[node])

    def joint(self, do: tuple[str, ...] = ()) -> np.ndarray:
        """P(observed | do), one axis per observed variable, for all values of those in `do`."""
        full = np.ones((2,) * len(self.nodes))
        for node in self.nodes:
            if node not in do:
                full = full * self.tables[node]
        return full.sum(axis=tuple(self.axis[n] for n in self.nodes if n not in self.observed))

    def truth(self, y: list[str], x: list[str], z: Sequence[str] = ()) -> np.ndarray:
        """P(y | do(x), z) by truncated factorisation, axes x, y, z."""
        joint = self.joint(tuple(x))
        order = [*x, *y, *z]
        kept = [n for n in self.observed if n in order]
        out = joint.sum(axis=tuple(i for i, n in enumerate(self.observed) if n not in order))
        out = out.transpose([kept.index(n) for n in order])
        if z:
            out = out / out.sum(axis=tuple(range(len(x), len(x) + len(y))), keepdims=True)
        return out


def evaluated(
    expression: Expression, model: BinaryModel, axes: list[str]
) -> tuple[np.ndarray, int]:
    """The formula on the model's P(V): axes as asked for, then those that may take any value."""
    value = expression.evaluate(model.joint(), model.observed)
    names = [n for n in model.observed if n in expression.free]
    other = [n for n in names if n not in axes]
    order = [n for n in axes if n in names] + other
    value = value.transpose([names.index(n) for n in order])
    for at, name in enumerate(axes):  # the effect need not depend on all of them
        if name not in names:
            value = np.expand_dims(value, at)
    return value, len(other)
