"""Reading the structural causal model off a plain ``pm.Model``.

A generative PyMC model already is a structural causal model [1]_: every named random variable
has an equation, and the expression of its parameters names its parents. What the model does
not say is which variables describe *units* (people, plates, schools) and which are parameters
shared by all. The dims say it:

* *Unit dims* are the batch dims of the random *sinks*, the random variables with dims on which
  no other random variable depends. Event dims do not count; Deterministics, Potentials and data
  never are sinks. If nothing remains (a sink that is one time series), all dims of the sink.
  Where anything is observed, or named in the data, only that votes.
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

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pymc as pm
from pytensor.graph.basic import Constant

from bayescausal.model.mixing import (
    Axes,
    _followed_inputs,
    random_core_ndims,
    random_parameters,
    trace_axes,
)
from bayescausal.types import (
    RESERVED_NAMES,
    ModelError,
    UnitDimsError,
    closest,
    unknown_variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytensor.graph.basic import Variable

__all__ = ["Structure", "graph_of", "structure_of"]


@dataclass(frozen=True, eq=False)
class Structure:
    """What a model says about its units, its variables and their equations.

    Attributes
    ----------
    model : pymc.Model
        The model as given.
    unit_dims : tuple of str
        The dims that index units.
    nodes : tuple of str
        The structural variables, parents before children.
    random, data, deterministics, parameters : tuple of str
        Random nodes; nodes that are ``pm.Data``; Deterministics with a unit dim or between
        two nodes; all other random variables.
    graph : networkx.DiGraph
        Frozen graph of the structural variables, Deterministics passed through.
    full : networkx.DiGraph
        Frozen graph of *all* named variables. What an intervention changes is found here.
    dims : mapping from str to tuple of str
        The dims of each named variable.
    imputed : mapping from str to (str, str)
        PyMC's imputed pairs: ``x -> (x_observed, x_unobserved)``.
    mixing : mapping from str to mapping
        ``variable -> {unit dim: why its equation mixes units along it}``.
    fixed : mapping from str to int
        Unit dims whose length is fixed by constant arrays in the model.
    observed : tuple of str
        Random nodes that the model itself observes.
    potentials : tuple of str
        Potentials that read a structural variable.
    """

    model: pm.Model
    unit_dims: tuple[str, ...]
    nodes: tuple[str, ...]
    random: tuple[str, ...]
    data: tuple[str, ...]
    deterministics: tuple[str, ...]
    parameters: tuple[str, ...]
    graph: nx.DiGraph
    full: nx.DiGraph
    dims: Mapping[str, tuple[str, ...]]
    imputed: Mapping[str, tuple[str, str]]
    mixing: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fixed: Mapping[str, int] = field(default_factory=dict)
    observed: tuple[str, ...] = ()
    potentials: tuple[str, ...] = ()

    def variable(self, name: str) -> Any:
        """Return the model variable called `name`.

        Raises
        ------
        UnknownVariableError
            If the model has no such variable.
        """
        try:
            return self.model.named_vars[name]
        except (KeyError, TypeError):
            raise unknown_variable(name, self.names()) from None

    def names(self) -> tuple[str, ...]:
        """Return the names that can be asked about: nodes, then unit-level Deterministics."""
        return (*self.nodes, *self.deterministics)

    def require(self, name: str) -> str:
        """Return `name` if it is a node or unit-level Deterministic.

        Raises
        ------
        UnknownVariableError
            If it is not, with the closest names; a parameter is named as such.
        """
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
        raise unknown_variable(name, self.names())

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

    def mixes(self, names: Iterable[str] | None = None) -> dict[str, str]:
        """Return ``{unit dim: reason}`` for the unit dims that any of `names` mixes."""
        found: dict[str, str] = {}
        for name in self.mixing if names is None else names:
            for dim, reason in self.mixing.get(name, {}).items():
                found.setdefault(dim, f"the equation of {name!r} mixes units: {reason}")
        return found


def graph_of(
    model: Any,
    *,
    unit_dims: str | Sequence[str] | None = None,
    deterministics: bool = False,
) -> nx.DiGraph:
    """Read the causal graph off a PyMC model.

    Parameters
    ----------
    model : pymc.Model
        Any model: generative, conditioned on data, or already under ``pm.do``.
    unit_dims : str or sequence of str, optional
        The dims that index units, where the model leaves them open.
    deterministics : bool, default False
        Show the unit-level Deterministics as nodes instead of passing through them.

    Returns
    -------
    networkx.DiGraph
        Frozen. Nodes are the structural variables, parents first, with attributes ``kind``
        (``"random"``, ``"data"`` or ``"deterministic"``), ``family``, ``dims``, ``observed``
        and ``mixes`` (a mapping from unit dim to the reason why the equation mixes units).

    Raises
    ------
    UnitDimsError
        If the unit dims cannot be told: pass `unit_dims`, or give the variables dims.
    ModelError
        If the model cannot be read.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", 0, 1, dims="unit")
    ...     b = pm.Normal("b", 0, 1)
    ...     y = pm.Normal("y", b * x, 1, dims="unit")
    >>> list(bc.graph_of(model).edges)
    [('x', 'y')]
    """
    structure = structure_of(model, unit_dims=unit_dims)
    if not deterministics:
        return structure.graph
    shown = (*structure.nodes, *structure.deterministics)
    return _structural_graph(structure.full, shown, structure)


def structure_of(
    model: Any,
    *,
    unit_dims: str | Sequence[str] | None = None,
    named: Iterable[str] = (),
) -> Structure:
    """Read units, variables and equations off a PyMC model.

    Parameters
    ----------
    model : pymc.Model
        Any model.
    unit_dims : str or sequence of str, optional
        The dims that index units, where the model leaves them open.
    named : iterable of str, optional
        Variables that the data have a column for: then only they, and what the model
        observes, vote on the unit dims.

    Returns
    -------
    Structure

    Raises
    ------
    UnitDimsError, ModelError
    """
    if isinstance(model, Structure):
        model = model.model
    if not isinstance(model, pm.Model):
        raise ModelError(
            f"Found {type(model).__name__} where a PyMC model is needed.",
            expected="a pymc.Model.",
            remedy="Pass the model itself: with pm.Model(...) as model: ...",
        )
    reader = _Reader(model)
    return reader.read(unit_dims, frozenset(named))


class _Reader:
    """Reads one model; holds what is read on the way."""

    def __init__(self, model: pm.Model) -> None:
        self.model = model
        self.named: dict[str, Variable] = dict(model.named_vars)
        self.name_of = {v: n for n, v in self.named.items()}
        self.random = {v.name for v in model.basic_RVs}
        self.data = {v.name for v in model.data_vars}
        self.potentials = {v.name for v in model.potentials}
        self.dims: dict[str, tuple[str, ...]] = {
            n: tuple(d for d in (model.named_vars_to_dims.get(n) or ()) if d is not None)
            for n in self.named
        }
        self._refuse_reserved()
        self._refuse_named_dims_variables()
        self.imputed = self._imputed_pairs()
        self.observed = {v.name for v in model.observed_RVs}
        self.full = self._full_graph()

    # -- names

    def _refuse_reserved(self) -> None:
        used = {*self.named, *(d for ds in self.dims.values() for d in ds)}
        for name in sorted(used & RESERVED_NAMES):
            raise ModelError(
                f"{name!r} is used as a name of a variable or dim.",
                expected=f"names other than {', '.join(sorted(RESERVED_NAMES))}: "
                "results carry dims of these names.",
                remedy="Rename it in the model.",
            )

    def _refuse_named_dims_variables(self) -> None:
        for name, variable in self.named.items():
            if type(variable).__name__.startswith("XTensor"):
                raise ModelError(
                    f"{name!r} is a variable of pymc.dims.",
                    expected="variables of pymc's own distributions and data.",
                    remedy=f"Write it with pm.{_family(variable)}(..., dims=...) instead.",
                )

    def _imputed_pairs(self) -> dict[str, tuple[str, str]]:
        pairs = {}
        for name in (v.name for v in self.model.deterministics):
            parts = (f"{name}_observed", f"{name}_unobserved")
            if all(p in self.random for p in parts):
                pairs[name] = parts
        return pairs

    def is_random(self, name: str) -> bool:
        return name in self.random or name in self.imputed

    # -- edges

    def _full_graph(self) -> nx.DiGraph:
        graph = nx.DiGraph()
        graph.add_nodes_from(self.named)
        for name, variable in self.named.items():
            graph.add_edges_from((p, name) for p in self._nearest(variable))
        ordered = nx.DiGraph()
        order = list(nx.lexicographical_topological_sort(graph))
        rank = {n: i for i, n in enumerate(order)}
        ordered.add_nodes_from(order)
        ordered.add_edges_from(sorted(graph.edges, key=lambda e: (rank[e[0]], rank[e[1]])))
        return nx.freeze(ordered)

    def _nearest(self, variable: Variable) -> set[str]:
        """Return the nearest named ancestors whose value the expression reads."""
        found: set[str] = set()
        if variable.owner is None:
            return found
        seen: set[Variable] = set()
        stack = list(equation_inputs(variable))
        while stack:
            top = stack.pop()
            if top in seen:
                continue
            seen.add(top)
            if top in self.name_of:
                found.add(self.name_of[top])
            elif top.owner is not None:
                stack.extend(_followed_inputs(top.owner))
        return found

    # -- unit dims

    def batch_dims(self, name: str) -> tuple[str, ...]:
        dims = self.dims[name]
        variable = self.named[self.imputed[name][1] if name in self.imputed else name]
        event = int(getattr(getattr(variable.owner, "op", None), "ndim_supp", 0) or 0)
        return dims[: len(dims) - event] if event else dims

    def unit_dims(
        self, given: str | Sequence[str] | None, in_data: frozenset[str]
    ) -> tuple[str, ...]:
        known = list(dict.fromkeys(d for n in self.named for d in self.dims[n]))
        if given is not None:
            asked = (given,) if isinstance(given, str) else tuple(given)
            for dim in asked:
                if dim not in known:
                    raise UnitDimsError(
                        f"unit_dims names {dim!r}, which no variable of the model carries.",
                        expected=f"among {', '.join(map(repr, known)) or 'no dims at all'}.",
                        names=closest(dim, known)[:1],
                        remedy='Give the unit-level variables dims: pm.Normal(..., dims="unit").'
                        if not known
                        else None,
                    )
            if not asked:
                raise UnitDimsError("unit_dims is empty.", expected="at least one dim.")
            return asked
        return self._vote(in_data)

    def _vote(self, in_data: frozenset[str]) -> tuple[str, ...]:
        parts = {p for pair in self.imputed.values() for p in pair}
        randoms = [n for n in self.full if self.is_random(n) and n not in parts]
        evidence = {n for n in randoms if n in in_data or n in self.observed or n in self.imputed}
        voters = [n for n in randoms if n in evidence] if evidence else randoms
        self._refuse_dimless_evidence(voters if evidence else [], voters)
        sinks = [
            n for n in voters if self.dims[n] and not (nx.descendants(self.full, n) & set(voters))
        ]
        candidates = {n: self.batch_dims(n) for n in sinks}
        candidates = {n: d for n, d in candidates.items() if d} or {n: self.dims[n] for n in sinks}
        if not candidates:
            self._refuse_no_dims()
        distinct = {frozenset(d): d for d in candidates.values()}
        if len(distinct) > 1:
            shown = "; ".join(f"{n!r} has {d}" for n, d in candidates.items())
            options = " or ".join(f"unit_dims={d!r}" for d in distinct.values())
            raise UnitDimsError(
                f"The unit dims cannot be told: {shown}.",
                expected="all final outcomes (random variables nothing depends on) at one level.",
                remedy=f"Pass {options}; or several levels at once, as "
                f"unit_dims={tuple(dict.fromkeys(x for d in distinct.values() for x in d))!r}.",
            )
        return next(iter(distinct.values()))

    def _refuse_dimless_evidence(self, evidence: list[str], voters: list[str]) -> None:
        for name in evidence:
            variable = self.named[name]
            last = not (nx.descendants(self.full, name) & set(voters))
            if last and not self.dims[name] and getattr(variable, "ndim", 0) > 0:
                self._refuse_no_dims(name)

    def _refuse_no_dims(self, name: str | None = None) -> None:
        arrays = [
            n for n in self.full if self.is_random(n) and getattr(self.named[n], "ndim", 0) > 0
        ]
        culprit = name or next(reversed(arrays), None)
        what = f"{culprit!r} is an array without dims" if culprit else "No variable has dims"
        example = culprit or "y"
        raise UnitDimsError(
            f"{what}, so units cannot be told from parameters.",
            expected="every variable that differs between units to carry a unit dim.",
            remedy='Name it: pm.Model(coords={"unit": range(n)}) and '
            f'pm.Normal("{example}", ..., dims="unit").',
        )

    # -- structural variables

    def structural(self, units: tuple[str, ...]) -> list[str]:
        parts = {p for pair in self.imputed.values() for p in pair}
        carrying = {
            n
            for n in self.full
            if n not in parts
            and (self.is_random(n) or n in self.data)
            and set(self.dims[n]) & set(units)
        }
        above: set[str] = set()
        below: set[str] = set()
        for n in carrying:
            above |= nx.ancestors(self.full, n)
            below |= nx.descendants(self.full, n)
        between = {n for n in above & below if n in self.random and n not in parts}
        return [n for n in self.full if n in carrying | between]

    # -- the whole

    def read(self, given: str | Sequence[str] | None, in_data: frozenset[str]) -> Structure:
        units = self.unit_dims(given, in_data)
        nodes = self.structural(units)
        node_set = set(nodes)
        parts = {p for pair in self.imputed.values() for p in pair}
        deterministics = [
            v.name
            for v in self.model.deterministics
            if v.name not in self.imputed
            and (
                set(self.dims[v.name]) & set(units)
                or (
                    nx.ancestors(self.full, v.name) & node_set
                    and nx.descendants(self.full, v.name) & node_set
                )
            )
        ]
        rank = {n: i for i, n in enumerate(self.full)}
        parameters = [
            n for n in self.full if n in self.random and n not in node_set and n not in parts
        ]
        mixing, fixed = self._touching(units)
        structure = Structure(
            model=self.model,
            unit_dims=units,
            nodes=tuple(nodes),
            random=tuple(n for n in nodes if self.is_random(n)),
            data=tuple(n for n in nodes if n in self.data),
            deterministics=tuple(sorted(deterministics, key=rank.__getitem__)),
            parameters=tuple(parameters),
            graph=nx.DiGraph(),
            full=self.full,
            dims=MappingProxyType(self.dims),
            imputed=MappingProxyType(self.imputed),
            mixing=MappingProxyType(mixing),
            fixed=MappingProxyType(fixed),
            observed=tuple(n for n in nodes if n in self.observed or n in self.imputed),
            potentials=tuple(
                n for n in self.full if n in self.potentials and self._reads(n, node_set)
            ),
        )
        object.__setattr__(structure, "graph", _structural_graph(self.full, nodes, structure))
        return structure

    def _reads(self, name: str, nodes: set[str]) -> bool:
        return bool(nx.ancestors(self.full, name) & nodes)

    def _touching(self, units: tuple[str, ...]) -> tuple[dict[str, dict[str, str]], dict[str, int]]:
        """Follow the axes of every equation: what mixes units, what fixes their number."""
        leaves = {v: self._leaf(n, set(units)) for n, v in self.named.items()}
        mixing: dict[str, dict[str, str]] = {}
        fixed: dict[str, int] = {}
        for name, variable in self.named.items():
            if variable.owner is None or name in self.potentials:
                continue
            folded = next((x for x, pair in self.imputed.items() if name in pair), None)
            if name in self.imputed:
                continue
            shown = folded or name
            found = self._trace_one(name, leaves, set(units))
            if folded:
                for dim in set(self.dims[folded]) & set(units):
                    found[0].setdefault(dim, "missing values are imputed by position")
            if found[0]:
                mixing.setdefault(shown, {}).update(found[0])
            for dim in found[1]:
                fixed[dim] = dim_length(self.model, dim)
        return mixing, fixed

    def _leaf(self, name: str, units: set[str]) -> Axes:
        variable = self.named[name]
        ndim = int(getattr(variable, "ndim", 0) or 0)
        dims = tuple(self.model.named_vars_to_dims.get(name) or ())
        if len(dims) == ndim and ndim:
            return tuple(frozenset({("dim", d)}) if d in units else frozenset() for d in dims)
        free = frozenset({("array", name)})
        return (free,) * ndim

    def _trace_one(
        self, name: str, leaves: Mapping[Variable, Axes], units: set[str]
    ) -> tuple[dict[str, str], set[str]]:
        variable = self.named[name]
        others = {v: a for v, a in leaves.items() if v is not variable}
        dims = tuple(self.model.named_vars_to_dims.get(name) or ())
        random = name in self.random
        mixed: dict[str, str] = {}
        aligned: list[Axes] = []
        if random:
            parameters = random_parameters(variable.owner)
            cores = random_core_ndims(variable.owner, len(parameters))
            event = int(getattr(variable.owner.op, "ndim_supp", 0) or 0)
            for d in dims[len(dims) - event :] if event else ():
                if d in units:
                    mixed[d] = f"one {_family(variable)} spans it"
            for parameter, core in zip(parameters, cores, strict=True):
                trace = trace_axes([parameter], others)
                mixed = {**trace.mixed, **mixed}
                batch = trace.axes[: len(trace.axes) - core] if core else trace.axes
                for tags in trace.axes[len(batch) :]:
                    for kind, label in tags:
                        if kind == "dim":
                            mixed.setdefault(label, f"one {_family(variable)} spans it")
                aligned.append(batch)
                if event and not core:
                    aligned[-1] = ()
            batch_names = dims[: len(dims) - event] if event else dims
        else:
            trace = trace_axes(equation_inputs(variable), others)
            mixed = dict(trace.mixed)
            aligned.append(trace.axes)
            batch_names = dims
        fixed: set[str] = set()
        for axes in aligned:
            for dim, tags in zip(reversed(batch_names), reversed(axes), strict=False):
                if dim in units:
                    self._judge_tags(name, dim, tags, mixed, fixed)
        return mixed, fixed

    def _judge_tags(
        self, name: str, dim: str, tags: Any, mixed: dict[str, str], fixed: set[str]
    ) -> None:
        for kind, label in tags:
            if kind == "array":
                what = "pm.Data" if label in self.data else "random variable"
                raise UnitDimsError(
                    f"The {what} {label!r} has no dims, but varies over {dim!r} in the equation "
                    f"of {name!r}.",
                    expected=f"dims={dim!r} on every variable that differs between units.",
                    remedy=f'Give {label!r} its dims: dims="{dim}".',
                )
            if kind == "constant":
                fixed.add(dim)
            if kind == "order":
                mixed.setdefault(dim, "it counts the units by position")


# ------------------------------------------------------------------------ private


def dim_length(model: pm.Model, dim: str) -> int:
    """Return the present length of a dim of the model."""
    length = model.dim_lengths[dim]
    if hasattr(length, "get_value"):
        return int(length.get_value())
    return int(np.asarray(getattr(length, "data", None)))


def equation_inputs(variable: Variable) -> list[Variable]:
    """Return what the equation of a named variable reads: parameters, or the expression."""
    node = variable.owner
    if node is None:
        return []
    if hasattr(node.op, "ndim_supp"):
        return random_parameters(node)
    return [i for i in _followed_inputs(node) if not isinstance(i, Constant)] or list(
        _followed_inputs(node)
    )


def _family(variable: Variable) -> str:
    op = getattr(variable.owner, "op", None)
    label = getattr(op, "_print_name", None)
    return str(label[0]) if label else type(op).__name__


def _structural_graph(full: nx.DiGraph, shown: Sequence[str], structure: Structure) -> nx.DiGraph:
    """Project the graph of all named variables on `shown`, passing through the rest."""
    parts = {p: x for x, pair in structure.imputed.items() for p in pair}
    keep = set(shown)
    passing = {
        n
        for n in full
        if n not in keep and n not in structure.parameters and n not in structure.potentials
    }
    graph = nx.DiGraph()
    for name in (n for n in full if n in keep):
        graph.add_node(name, **_attributes(name, structure))
    for child in graph:
        seen: set[str] = set()
        stack = list(full.predecessors(child))
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
    ordered = nx.DiGraph()
    ordered.add_nodes_from(graph.nodes(data=True))
    ordered.add_edges_from(sorted(graph.edges, key=lambda e: (rank[e[0]], rank[e[1]])))
    return nx.freeze(ordered)


def _attributes(name: str, structure: Structure) -> dict[str, Any]:
    model = structure.model
    variable = model.named_vars[name]
    if name in structure.random:
        kind = "random"
        source = structure.imputed.get(name)
        family = _family(model.named_vars[source[0]] if source else variable)
    elif name in structure.data:
        kind, family = "data", "Data"
    else:
        kind, family = "deterministic", "Deterministic"
    return {
        "kind": kind,
        "family": family,
        "dims": structure.dims.get(name, ()),
        "observed": name in structure.observed,
        "mixes": dict(structure.mixing.get(name, {})),
    }
