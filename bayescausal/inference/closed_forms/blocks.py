r"""Splitting a posterior into independent blocks.

The joint density is a product of *factors*: one per random variable (its law given its parents) and
one per Potential. Unknowns (parameters, latents, missing cells) that meet in a factor depend on
each other a posteriori; the connected components of that relation are the *blocks*,

.. math:: p(\theta \mid data) = \prod_b p(\theta_b \mid data),

and each can be drawn by itself, by whatever method is best for it. In a fully observed model whose
equations have their own parameters, there is a block per equation [1]_.

References
----------
.. [1] D. J. Spiegelhalter and S. L. Lauritzen, "Sequential updating of conditional probabilities on
   directed graphical structures", Networks 20, 1990: global parameter independence.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import networkx as nx
from pytensor.graph.traversal import walk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.model.structure.structure import Structure

__all__ = ["Block", "Factor", "named_parents", "split"]


@dataclass(frozen=True, eq=False)
class Factor:
    """One term of the joint density."""

    name: str  # of the random variable or Potential
    parents: frozenset[str]  # random variables and data that it reads
    observed: bool  # whether its variable was observed, in every cell
    opaque: str = ""  # why only the plain path will do; empty where another may
    # Whether that is only because units hang together: by a latent variable, or an equation.
    together: bool = False


@dataclass(frozen=True, eq=False)
class Block:
    """Unknowns that depend on each other, and on nothing else, given the data."""

    unknowns: tuple[str, ...]  # in the order of the model
    # Every factor that reads one of them: their own laws, and observed equations.
    factors: tuple[Factor, ...] = field(default=())

    @property
    def observed(self) -> tuple[Factor, ...]:
        """The equations of observed variables."""
        return tuple(f for f in self.factors if f.observed)

    @property
    def opaque(self) -> str:
        """Why only the plain path will do, if it is so."""
        return next((f.opaque for f in self.factors if f.opaque), "")

    @property
    def together(self) -> bool:
        """Whether that is only because units hang together."""
        return all(f.together for f in self.factors if f.opaque)


def named_parents(roots: Iterable[Variable], leaves: Collection[Variable]) -> set[Variable]:
    """Return the variables among `leaves` that expressions read, directly or through others.

    The walk stops at a leaf: what lies behind it is not read.
    """
    known = set(leaves)

    def expand(variable: Variable) -> Sequence[Variable] | None:
        if variable in known or variable.owner is None:
            return None
        return list(variable.owner.inputs)

    return {v for v in walk(list(roots), expand, bfs=False) if v in known}


def split(structure: Structure, observed: Collection[str], partly: Collection[str]) -> list[Block]:
    """Return the blocks of a posterior, in the order of the model.

    A variable with empty cells (`partly`) is unknown, and a factor, at once.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.model.structure.read import structure_of
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     a, b = pm.Normal("a"), pm.Normal("b")
    ...     x = pm.Normal("x", a, dims="unit")
    ...     y = pm.Normal("y", b * x, dims="unit")
    >>> [block.unknowns for block in split(structure_of(model), {"x", "y"}, set())]
    [('a',), ('b',)]
    """
    model = structure.model
    random = list(model.basic_RVs)
    leaves = {*random, *model.data_vars}
    factors = [_factor(structure, rv, leaves, observed, partly) for rv in random]
    factors += [_potential(p, leaves) for p in model.potentials]
    unknown = {rv.name for rv in random} - set(observed)
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(rv.name for rv in random if rv.name in unknown)
    touched: dict[str, frozenset[str]] = {}
    for factor in factors:
        met = (factor.parents & unknown) | ({factor.name} & unknown)
        touched[factor.name] = met
        ordered = sorted(met)
        graph.add_edges_from(itertools.pairwise(ordered))
    rank = {rv.name: i for i, rv in enumerate(random)}
    found = []
    for part in nx.connected_components(graph):
        own = tuple(f for f in factors if touched[f.name] & part)
        found.append(Block(tuple(sorted(part, key=rank.__getitem__)), own))
    return sorted(found, key=lambda b: rank[b.unknowns[0]])


def _factor(
    structure: Structure,
    rv: TensorVariable,
    leaves: set[Variable],
    observed: Collection[str],
    partly: Collection[str],
) -> Factor:
    name = str(rv.name)
    parents = {str(v.name) for v in named_parents(rv.owner.inputs, leaves)}
    opaque, together = "", False
    if name in partly:
        opaque = f"{name!r} has empty cells"
    elif structure.mixing.get(name):
        opaque, together = f"the equation of {name!r} mixes units", True
    elif name in structure.random and name not in observed:
        opaque, together = f"{name!r} is latent", True
    elif any(name in pair for pair in structure.imputed.values()):
        opaque = f"the model imputes {name!r}"
    elif name in observed and name not in structure.random:
        opaque = f"the model observes {name!r}, which is no column of units"
    return Factor(name, frozenset(parents), name in observed, opaque, together)


def _potential(potential: TensorVariable, leaves: set[Variable]) -> Factor:
    parents = {str(v.name) for v in named_parents([potential], leaves)}
    return Factor(str(potential.name), frozenset(parents), False, f"Potential {potential.name!r}")
