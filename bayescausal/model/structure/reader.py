"""The reading itself: from a ``pm.Model`` to its structure.

Names, edges, the vote on the unit dims, the structural variables, and which equations mix units:
one small method for each rule of :mod:`bayescausal.model.structure.structure`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

import networkx as nx

from bayescausal.model.axes.mixing import trace_axes, written_inside
from bayescausal.model.axes.tags import (
    Axes,
    equation_inputs,
    followed_inputs,
    only_constants,
    random_core_ndims,
    random_parameters,
)
from bayescausal.model.structure.function_graph import dim_length
from bayescausal.model.structure.outcome_dims import constant_along, refuse_doubtful
from bayescausal.model.structure.own_noise import noise_readers
from bayescausal.model.structure.structure import Structure, family_name, structural_graph
from bayescausal.types import RESERVED_NAMES, ModelError, UnitDimsError, closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayescausal.model.axes.tags import Tag

__all__ = ["Reader"]


class Reader:
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
        self._refuse_minibatches()
        self.imputed = self._imputed_pairs()
        self.observed = {v.name for v in model.observed_RVs}
        self.full = self._full_graph()
        self.constants: dict[str, tuple[str, str]] = {}

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
                    remedy=f"Write it with {_plain_name(variable)} instead.",
                )

    def _refuse_minibatches(self) -> None:
        for variable in self.model.observed_RVs:
            op = getattr(variable.owner, "op", None)
            if type(op).__name__ == "MinibatchRandomVariable":
                raise ModelError(
                    f"{variable.name!r} has total_size=: it sees a part of the units at a time.",
                    expected="a model of all units.",
                    remedy="Leave out pm.Minibatch and total_size=, put the whole arrays in "
                    "pm.Data, and pass data that do not fit in memory to bayescausal.fit.",
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
        graph: nx.DiGraph = nx.DiGraph()
        graph.add_nodes_from(self.named)
        for name, variable in self.named.items():
            graph.add_edges_from((p, name) for p in self._nearest(variable))
        ordered: nx.DiGraph = nx.DiGraph()
        order = list(nx.lexicographical_topological_sort(graph))
        rank = {n: i for i, n in enumerate(order)}
        ordered.add_nodes_from(order)
        ordered.add_edges_from(sorted(graph.edges, key=lambda e: (rank[e[0]], rank[e[1]])))
        return nx.freeze(ordered)

    def _nearest(self, variable: Variable) -> set[str]:
        """Return the nearest named ancestors whose value the expression reads."""
        found: set[str] = set()
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
                stack.extend(followed_inputs(top.owner))
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
        voted = next(iter(distinct.values()))
        refuse_doubtful(self, voted, evidence)
        above = set().union(*(nx.ancestors(self.full, n) for n in sinks))
        coarser = [d for n in voters if n in above & evidence for d in self.batch_dims(n)]
        return (*(d for d in dict.fromkeys(coarser) if d not in voted), *voted)

    def _refuse_dimless_evidence(self, evidence: list[str], voters: list[str]) -> None:
        for name in evidence:
            variable = self.named[name]
            last = not (nx.descendants(self.full, name) & set(voters))
            if last and not self.dims[name] and getattr(variable, "ndim", 0) > 0:
                self._refuse_no_dims(name)

    def _refuse_no_dims(self, name: str | None = None) -> NoReturn:
        arrays = [
            n for n in self.full if self.is_random(n) and getattr(self.named[n], "ndim", 0) > 0
        ]
        culprit = name or next(reversed(arrays), None)
        if not culprit and self.potentials:
            named = ", ".join(sorted(map(repr, self.potentials)))
            raise UnitDimsError(
                f"No random variable has dims; what is said of the units stands in the Potential "
                f"{named}, whose equation names no outcome.",
                expected="an outcome with a distribution.",
                remedy='Write the likelihood as pm.Normal("y", ..., observed=y, dims="unit"); a '
                "density of one's own as pm.CustomDist.",
            )
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
        mixing, fixed = self._touching(units, node_set)
        random = tuple(n for n in nodes if self.is_random(n))
        structure = Structure(
            model=self.model,
            unit_dims=units,
            nodes=tuple(nodes),
            random=random,
            data=tuple(n for n in nodes if n in self.data),
            deterministics=tuple(sorted(deterministics, key=rank.__getitem__)),
            parameters=tuple(n for n in self.full if n in self.random - node_set - parts),
            graph=nx.DiGraph(),
            full=self.full,
            dims=MappingProxyType(self.dims),
            imputed=MappingProxyType(self.imputed),
            mixing=MappingProxyType(mixing),
            fixed=MappingProxyType(fixed),
            constants=MappingProxyType(dict(self.constants)),
            observed=tuple(n for n in nodes if n in self.observed or n in self.imputed),
            noise_readers=tuple(noise_readers(self.model, random, nodes)),
            potentials=tuple(
                n
                for n in self.full
                if n in self.potentials and nx.ancestors(self.full, n) & node_set
            ),
        )
        object.__setattr__(structure, "graph", structural_graph(self.full, nodes, structure))
        return structure

    def _touching(
        self, units: tuple[str, ...], nodes: set[str]
    ) -> tuple[dict[str, dict[str, str]], dict[str, int]]:
        """Follow the axes of every equation: what mixes units, what fixes their number."""
        through = {v.name for v in self.model.deterministics if not self.dims[v.name]}
        leaves = {
            v: self.leaf_axes(n, set(units), grouped=n in nodes)
            for n, v in self.named.items()
            if n not in through or n in self.imputed
        }
        mixing: dict[str, dict[str, str]] = {}
        fixed: dict[str, int] = {}
        for name, variable in self.named.items():
            if variable.owner is None or name in self.potentials or name in self.imputed:
                continue
            folded = next((x for x, pair in self.imputed.items() if name in pair), None)
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

    def leaf_axes(self, name: str, units: set[str], *, grouped: bool = False) -> Axes:
        variable = self.named[name]
        ndim = int(getattr(variable, "ndim", 0) or 0)
        dims = tuple(self.model.named_vars_to_dims.get(name) or ())
        if len(dims) == ndim and ndim:
            other = {d: frozenset({("group", d)}) if grouped else frozenset() for d in dims}
            return tuple(frozenset({("dim", d)}) if d in units else other[d] for d in dims)
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
        along: list[Axes] = []
        if random:
            parameters = random_parameters(variable.owner)
            cores = random_core_ndims(variable.owner, len(parameters))
            event = int(getattr(variable.owner.op, "ndim_supp", 0) or 0)
            for d in dims[len(dims) - event :] if event else ():
                if d in units:
                    mixed[d] = f"one {family_name(variable)} spans it"
            for parameter, core in zip(parameters, cores, strict=True):
                trace = trace_axes([parameter], others)
                mixed = {**trace.mixed, **mixed}
                batch = trace.axes[: len(trace.axes) - core] if core else trace.axes
                if event == core == 1:
                    along.append(trace.axes[-1:])
                for tags in trace.axes[len(batch) :]:
                    for kind, label in tags:
                        if kind == "dim":
                            mixed.setdefault(label, f"one {family_name(variable)} spans it")
                aligned.append(batch)
                if event and not core:
                    aligned[-1] = ()
            aligned.append(written_inside(variable.owner))
            batch_names = dims[: len(dims) - event] if event else dims
        else:
            trace = trace_axes([variable], others)  # its own operation too
            mixed = dict(trace.mixed)
            aligned.append(trace.axes)
            batch_names = dims
        fixed: set[str] = set()
        placed = [(batch_names, axes) for axes in aligned]
        placed += [(dims, tuple(map(only_constants, axes))) for axes in along]
        for names, axes in placed:
            for dim, tags in zip(reversed(names), reversed(axes), strict=False):
                if dim in units:
                    self._judge_tags(name, dim, tags, mixed, fixed)
        return mixed, fixed

    def _judge_tags(
        self, name: str, dim: str, tags: frozenset[Tag], mixed: dict[str, str], fixed: set[str]
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
            if kind in ("constant", "member"):
                fixed.add(dim)
            if kind == "constant" and (self.is_random(name) or nx.descendants(self.full, name)):
                self.constants.setdefault(name, (dim, constant_along(self, name, label)))
            if kind == "order":
                mixed.setdefault(dim, "it counts the units by position")


def _plain_name(variable: Variable) -> str:
    """Return how PyMC itself writes a variable of ``pymc.dims``."""
    if variable.owner is None:
        return "pm.Data(..., dims=...)"
    op = variable.owner.op
    core = getattr(op, "core_op", None)
    label = getattr(core, "_print_name", None) or getattr(op, "_print_name", None)
    return f"pm.{label[0]}(..., dims=...)" if label else "pm's own functions (pm.Deterministic)"
