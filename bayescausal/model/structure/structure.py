"""Reading the structural causal model off a plain ``pm.Model``.

A generative PyMC model already is a structural causal model [1]_: every named random variable
has an equation, and the expression of its parameters names its parents. What the model does
not say is which variables describe *units* (people, plates, schools) and which are parameters
shared by all. The dims say it:

* *Unit dims* are the batch dims of the random *sinks*, the random variables with dims on which
  no other random variable depends. Event dims do not count; Deterministics, Potentials and data
  never are sinks. If nothing remains (a sink that is one time series), all dims of the sink.
  Where anything is observed, or named in the data, only that votes; what was measured at another
  level and is a cause of a sink brings its dims in. A dim that may list outcomes rather than
  count units is refused (:mod:`.levels`).
* *Structural variables* carry a unit dim anywhere, or lie on a directed path between two
  variables that do. They are the nodes of the graph; all other random variables are
  *parameters*.
* An edge is what an expression names, even with a zero coefficient; the *shape* of a variable
  is not its value, and makes no edge.

It fails where a variable describes units but has no dims: that is refused, with the remedy.

References
----------
.. [1] J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 1.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from pytensor.graph.basic import Constant
from pytensor.tensor.elemwise import DimShuffle

from bayescausal.graph.text.display import CausalGraph
from bayescausal.types import (
    FixedUnitsError,
    closest,
    unknown_variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayescausal.model.structure.own_noise import OwnNoise

__all__ = ["Structure"]


@dataclass(frozen=True, eq=False)
class Structure:
    """What a model says about its units, its variables and their equations."""

    model: pm.Model  # the model as given
    unit_dims: tuple[str, ...]  # the dims that index units
    nodes: tuple[str, ...]  # the structural variables, parents before children
    # random, data, deterministics, parameters: random nodes; nodes that are ``pm.Data``;
    # Deterministics with a unit dim or between two nodes; all other random variables.
    random: tuple[str, ...]
    data: tuple[str, ...]
    deterministics: tuple[str, ...]
    parameters: tuple[str, ...]
    graph: nx.DiGraph  # frozen graph of the structural variables, Deterministics passed through
    # Frozen graph of *all* named variables. What an intervention changes is found here.
    full: nx.DiGraph
    dims: Mapping[str, tuple[str, ...]]  # the dims of each named variable
    # PyMC's imputed pairs: ``x -> (x_observed, x_unobserved)``.
    imputed: Mapping[str, tuple[str, str]]
    # ``variable -> {unit dim: why its equation mixes units along it}``.
    mixing: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Unit dims whose length is fixed by constant arrays in the model.
    fixed: Mapping[str, int] = field(default_factory=dict)
    # ``variable -> (unit dim, the constant array in words)``.
    constants: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    observed: tuple[str, ...] = ()  # random nodes that the model itself observes
    potentials: tuple[str, ...] = ()  # Potentials that read a structural variable
    # Equations that read the noise of another variable (a control function).
    noise_readers: tuple[OwnNoise, ...] = ()

    def refuse_constants(self) -> None:
        """Refuse constant arrays along the units: the graph does not show what they are."""
        for name, (dim, what) in self.constants.items():
            raise FixedUnitsError(
                f"The equation of {name!r} reads a constant array of length {self.fixed[dim]} "
                f"along {dim!r} ({what}): a column that the graph cannot show and no question "
                "can name.",
                expected=f"a variable or pm.Data with dims={dim!r}.",
                remedy=f'Put the array in pm.Data: x = pm.Data("x", array, dims="{dim}").',
            )

    def variable(self, name: str) -> Variable:
        """Return the model variable called `name`."""
        try:
            return self.model.named_vars[name]
        except (KeyError, TypeError):
            raise unknown_variable(name, self.names()) from None

    def names(self) -> tuple[str, ...]:
        """Return the names that can be asked about: nodes, then unit-level Deterministics."""
        return (*self.nodes, *self.deterministics)

    def require(self, name: str) -> str:
        """Return `name` if it is a node or unit-level Deterministic."""
        if name in self.names():
            return name
        if name in self.parameters:
            raise type(unknown_variable(name, ()))(
                f"{name!r} is a parameter, not a structural variable.",
                expected="a variable that carries a unit dim "
                f"({', '.join(map(repr, self.unit_dims))}).",
                remedy=f"Variables: {', '.join(self.names())}.",
                names=closest(name, self.names())[:1],
            )
        if name in self.model.dim_lengths and name not in self.full:
            raise type(unknown_variable(name, ()))(
                f"{name!r} is a dim of the model, not a variable.",
                expected=f"one of {', '.join(self.names())}.",
                remedy="To ask about its labels, put them in a variable: "
                f'pm.Data("{name}_code", codes, dims="{self.unit_dims[0]}").',
            )
        own = self.dims.get(name, ())
        if name in self.full and own and not set(own) & set(self.unit_dims):
            raise type(unknown_variable(name, ()))(
                f"{name!r} varies along {', '.join(map(repr, own))}, which does not count units "
                f"here ({', '.join(map(repr, self.unit_dims))} does).",
                remedy=f"Read both levels as units: unit_dims={(*own, *self.unit_dims)!r}.",
            )
        raise unknown_variable(name, self.names())

    def graph_with(self, names: Sequence[str]) -> nx.DiGraph[str]:
        """Return the graph with some named variables as its nodes, Deterministics too."""
        return structural_graph(self.full, names, self)

    def graph_for(self, names: Iterable[str]) -> nx.DiGraph[str]:
        """Return the causal graph, with those of the names that are Deterministics as nodes."""
        more = [n for n in names if n in self.deterministics]
        return self.graph_with((*self.nodes, *more)) if more else self.graph

    def descendants(self, names: Iterable[str]) -> frozenset[str]:
        """Return all proper descendants of `names` among all named variables."""
        found: set[str] = set()
        for name in names:
            found |= nx.descendants(self.full, name)
        return frozenset(found)

    def ancestors(self, names: Iterable[str]) -> frozenset[str]:
        """Return all proper ancestors of `names` among all named variables."""
        found: set[str] = set()
        for name in names:
            found |= nx.ancestors(self.full, name)
        return frozenset(found)

    def parts(self, dim: str, names: Iterable[str] | None = None) -> bool:
        """Return whether units along a dim can be evaluated in parts.

        They cannot where an equation of `names` mixes them, nor where the model carries an array
        that is as long as they are.
        """
        return dim not in self.fixed and dim not in self.mixes(names)

    def mixes(self, names: Iterable[str] | None = None) -> dict[str, str]:
        """Return ``{unit dim: reason}`` for the unit dims that any of `names` mixes."""
        found: dict[str, str] = {}
        for name in self.mixing if names is None else names:
            for dim, reason in self.mixing.get(name, {}).items():
                found.setdefault(dim, f"the equation of {name!r} mixes units: {reason}")
        return found


# ------------------------------------------------------------------------ private


def structural_graph(full: nx.DiGraph, shown: Sequence[str], structure: Structure) -> nx.DiGraph:
    """Project the graph of all named variables on `shown`, passing through the rest."""
    parts = {p: x for x, pair in structure.imputed.items() for p in pair}
    keep = set(shown)
    passing = {
        n
        for n in full
        if n not in keep and n not in structure.parameters and n not in structure.potentials
    }
    graph: nx.DiGraph = nx.DiGraph()
    for name in (n for n in full if n in keep):
        graph.add_node(name, **_attributes(name, structure))
    reads = {each.equation: each.parents for each in structure.noise_readers}
    for child in graph:
        seen: set[str] = set()
        stack = list(reads.get(child, full.predecessors(child)))
        while stack:
            top = stack.pop()
            if top in seen:
                continue
            seen.add(top)
            if top in keep:
                if top != child:
                    graph.add_edge(top, child)
            elif top in passing or top in parts:
                stack.extend(full.predecessors(top))
    rank = {n: i for i, n in enumerate(full)}
    ordered: nx.DiGraph = CausalGraph()
    ordered.graph["arcs"] = tuple(
        (each.of, each.equation)
        for each in structure.noise_readers
        if {each.of, each.equation} <= keep
    )
    ordered.add_nodes_from(graph.nodes(data=True))
    ordered.add_edges_from(sorted(graph.edges, key=lambda e: (rank[e[0]], rank[e[1]])))
    return nx.freeze(ordered)


def _attributes(name: str, structure: Structure) -> dict[str, Any]:
    model = structure.model
    variable = model.named_vars[name]
    if name in structure.random:
        kind = "random"
        source = structure.imputed.get(name)
        family = family_name(model.named_vars[source[0]] if source else variable)
    elif name in structure.data:
        kind, family = "data", "Data"
    else:
        kind, family = "deterministic", "Deterministic"
    sure = {"function": True} if kind == "random" and _without_spread(variable) else {}
    return sure | {
        "kind": kind,
        "family": family,
        "dims": structure.dims.get(name, ()),
        "observed": name in structure.observed,
        "mixes": dict(structure.mixing.get(name, {})),
    }


def _without_spread(variable: Variable) -> bool:
    """Tell whether a distribution has one value given its parents, such as Bernoulli(r >= 0)."""
    family = family_name(variable)
    if family == "DiracDelta":
        return True
    if family != "Bernoulli" or variable.owner is None:
        return False
    return _zero_or_one(variable.owner.inputs[-1])


def _zero_or_one(p: Variable) -> bool:
    """Tell whether a probability can only be 0 or 1, by its expression."""
    if p.dtype == "bool":
        return True
    if isinstance(p, Constant):
        return bool(np.isin(p.data, (0, 1)).all())
    if p.owner is None:
        return False
    if isinstance(p.owner.op, DimShuffle):
        return _zero_or_one(p.owner.inputs[0])
    kind = type(getattr(p.owner.op, "scalar_op", None)).__name__
    if kind in ("Cast", "Mul", "Switch"):
        return all(_zero_or_one(part) for part in p.owner.inputs)
    return False


def family_name(variable: Variable) -> str:
    op = getattr(variable.owner, "op", None)
    label = getattr(op, "_print_name", None)
    return str(label[0]) if label else type(op).__name__
