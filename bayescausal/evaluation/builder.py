"""The expressions of a model with the values of several worlds in the place of its variables."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.graph.replace import vectorize_graph
from pytensor.tensor.random.op import RandomVariable

from bayescausal.evaluation.backend import Compiled, inputs_of
from bayescausal.evaluation.integer_nan import Defined
from bayescausal.evaluation.noise import as_it_was, noise_of_others
from bayescausal.evaluation.program import NOWHERE, Input, Program, per_draw
from bayescausal.model.interventions.domain import doubtful_parameters
from bayescausal.model.interventions.policy import apply_policy, whole
from bayescausal.model.interventions.support import is_discrete, support_of
from bayescausal.model.noise import NoiseRule, noise_rule
from bayescausal.model.noise.means import mean_of
from bayescausal.model.structure.discontinuities import behind_jumps
from bayescausal.model.structure.function_graph import replaced
from bayescausal.model.structure.integer_roles import is_number
from bayescausal.types import FromWorld, NoiseFormError, Policy, Scale, Set, Shift, Stochastic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytensor.graph.basic import Variable

    from bayescausal.annotations import Array
    from bayescausal.evaluation.program import Request
    from bayescausal.model.structure.structure import Structure
    from bayescausal.types import Intervention

__all__ = ["Builder"]


class Builder:
    """Substitutes worlds into the expressions of a model."""

    def __init__(
        self,
        structure: Structure,
        worlds: Mapping[str, Mapping[str, Intervention]],
        recomputed: frozenset[str],
        varying: Callable[[str], bool],
        coupling: dict[str, str],
        own_noise: bool = False,
    ) -> None:
        self.structure = structure
        self.worlds = {**worlds, NOWHERE: {}} if own_noise else worlds
        self.recomputed = recomputed
        self.varying = varying
        self.coupling = coupling
        self.inputs: dict[tuple[str, str, str], Input] = {}
        self.built: dict[tuple[str, str], Variable] = {}
        self.named = {v: n for n, v in structure.model.named_vars.items()}
        lengths = structure.model.dim_lengths.items()
        self.lengths = {v: d for d, v in lengths if d in structure.unit_dims}
        self.own_noise = own_noise  # of each unit: what no intervention reaches is what it was
        self.exact = behind_jumps(structure) if own_noise else frozenset()
        self.below = {w: structure.descendants(do) for w, do in self.worlds.items()}
        self.touched = {w: frozenset(do) | self.below[w] for w, do in self.worlds.items()}
        self.override: dict[tuple[str, str], Variable] = {}
        self.only = next(iter(worlds))
        self.held: frozenset[str] = frozenset()

    def child(self, override: Mapping[tuple[str, str], Variable]) -> Builder:
        """Return a builder with the same inputs in which some variables have given values."""
        other = copy(self)
        other.built = {}
        other.override = dict(override)
        return other

    # -- inputs

    def _input(
        self,
        kind: str,
        name: str,
        variable: Variable,
        dims: tuple[str | None, ...],
        *,
        batched: bool,
        base: str = "",
        world: str = "",
        array: Array | None = None,
    ) -> Variable:
        key = (kind, name, base or world)
        if key not in self.inputs:
            self.inputs[key] = Input(kind, name, variable, dims, batched, base, world, array)
        return self.inputs[key].variable

    def dims_of(self, name: str) -> tuple[str | None, ...]:
        variable = self.structure.variable(name)
        ndim = int(variable.type.ndim)
        dims = tuple(self.structure.model.named_vars_to_dims.get(name) or ())
        return dims if len(dims) == ndim else (None,) * ndim

    def _categories(self, name: str) -> tuple[int, ...]:
        """Return the length of the axis of categories that Gumbel noise has."""
        rv = self.structure.variable(name)
        if rv.owner.op.name == "bernoulli":
            return (2,)
        count = support_of(rv).categories
        if count is None:
            raise NoiseFormError(
                f"The number of categories of {name!r} is not known from the model.",
                remedy='Use coupling="monotone", or give its probabilities a fixed length.',
            )
        return (int(count),)

    def _fresh(
        self, name: str, label: str, extra: tuple[int, ...] = (), dtype: str | None = None
    ) -> Variable:
        """Return a symbolic input shaped like the variable: unit axes of any length."""
        variable = self.structure.variable(name)
        static = (
            None if d in self.structure.unit_dims else s
            for d, s in zip(self.dims_of(name), variable.type.shape, strict=True)
        )
        return pt.TensorType(dtype or variable.type.dtype, (*static, *extra))(label)

    def length(self, dim: str) -> Variable:
        variable = pt.scalar(f"length_{dim}", dtype="int64")
        return self._input("length", dim, variable, (), batched=False)

    def kept(self, name: str) -> Variable:
        if (key := ("value", name, "")) in self.inputs:
            return self.inputs[key].variable
        variable = self._fresh(name, name)
        return self._input("value", name, variable, self.dims_of(name), batched=self.varying(name))

    def noise(self, name: str, rule: NoiseRule) -> Variable:
        if (key := ("noise", name, rule.base)) in self.inputs:
            return self.inputs[key].variable
        extra = self._categories(name) if rule.base == "gumbel" else ()
        variable = self._fresh(name, f"U_{name}", extra, "float64")
        dims = (*self.dims_of(name), *(None,) * len(extra))
        return self._input("noise", name, variable, dims, batched=True, base=rule.base)

    # -- values

    def value(self, name: str, world: str) -> Variable:
        """Return the value of a named variable in a world.

        What it reads is built first, parents before children, each variable once: neither the
        work nor the depth of the calls grows with the number or the length of the paths.
        """
        waiting = [(name, world)]
        while waiting:
            top = waiting[-1]
            if self._is_known(*top):
                waiting.pop()
                continue
            missing = [each for each in self._reads(*top) if not self._is_known(*each)]
            if missing:
                waiting.extend(missing)
                continue
            own, where = waiting.pop()
            act = self.worlds[where].get(own)
            made = self.natural(own, where) if act is None else self._acted(own, act, where)
            self.built[self.key(own, where)] = made
        key = self.key(name, world)
        return self.override[key] if key in self.override else self.built[key]

    def _is_known(self, name: str, world: str) -> bool:
        key = self.key(name, world)
        return key in self.override or key in self.built

    def _reads(self, name: str, world: str) -> list[tuple[str, str]]:
        """Return the values that the value of a variable in a world is made of."""
        act = self.worlds[world].get(name)
        if isinstance(act, FromWorld):
            return [(name, act.world)]
        if isinstance(act, Set | Stochastic):
            return []
        others = [r for r in act.reads or () if r != name] if isinstance(act, Policy) else []
        own = not isinstance(act, Policy) or name in (act.reads or ())
        return [(n, world) for n in [*others, *(self._parents(name, world) if own else ())]]

    def _parents(self, name: str, world: str) -> list[str]:
        """Return the variables that the equation of a variable names, where it is evaluated."""
        structure = self.structure
        parts = structure.imputed.get(name)
        random = name in structure.parameters or name in structure.random or self._is_part(name)
        source = parts[1] if parts else name
        if name in structure.data or (random and self._is_kept(name, source, world)):
            return []
        variable = structure.variable(name)
        roots = [variable] if parts or not random else list(variable.owner.inputs)
        return [self.named[v] for v in self._leaves(roots, inside=[variable]) if v in self.named]

    def _leaves(
        self, roots: Iterable[Variable], inside: Iterable[Variable], stops: Iterable[Variable] = ()
    ) -> list[Variable]:
        """Return the named variables and unit lengths that expressions end at, in a fixed order.

        The walk goes through `inside`, the expressions themselves, and not beyond `stops`.
        """
        within, seen, found = set(inside), set(stops), []
        stack = list(roots)
        while stack:
            top = stack.pop()
            if top in seen:
                continue
            seen.add(top)
            if top in self.lengths or (top in self.named and top not in within):
                found.append(top)
            elif top.owner is not None:
                stack.extend(top.owner.inputs)
        return found

    def key(self, name: str, world: str) -> tuple[str, str]:
        """Return the name and the world in which the value arises, shared where it is the same."""
        act = self.worlds[world].get(name)
        if isinstance(act, FromWorld):
            return self.key(name, act.world)
        return name, world if name in self.touched[world] else NOWHERE

    def natural(self, name: str, world: str) -> Variable:
        """Return the value a variable has in a world before any intervention on itself."""
        structure = self.structure
        parts = structure.imputed.get(name)
        if name in structure.parameters or name in structure.random or self._is_part(name):
            source = parts[1] if parts else name
            if self._is_kept(name, source, world):
                return self.kept(name)
            if parts:
                return self._equation(name, world)
            return self._drawn(name, world)
        if name in structure.data:
            return self.kept(name)
        variable = structure.variable(name)
        if variable.owner is None:
            return variable
        return self._equation(name, world)

    def _is_kept(self, name: str, source: str, world: str) -> bool:
        """Whether a random variable has the value that the unit has."""
        return source not in self.recomputed or (self.own_noise and name not in self.below[world])

    def _drawn(self, name: str, world: str) -> Variable:
        """Return the value of a variable from its noise; integers only of sound parameters."""
        rule = self.rule(name)
        noise = self.noise(name, rule)
        rv = self.structure.variable(name)
        doubtful = doubtful_parameters(rv) if is_discrete(rv) else []
        value, *doubtful = self.substitute([rule.forward(noise), *doubtful], world, of=name)
        if not doubtful:
            return as_it_was(self, name, value, world) if name in self.exact else value
        above = [i.variable for i in self.inputs.values() if i.kind == "noise"]
        noises = sorted(inputs_of([value, *doubtful]) & set(above), key=above.index)
        return Defined(name, len(doubtful))(value, *doubtful, *noises)  # type: ignore[no-any-return]

    def _is_part(self, name: str) -> bool:
        return any(name in pair for pair in self.structure.imputed.values())

    def rule(self, name: str) -> NoiseRule:
        return noise_rule(
            self.structure.variable(name), coupling=self.coupling.get(name, "monotone")
        )

    def _equation(self, name: str, world: str) -> Variable:
        """Return a Deterministic's expression with its parents in a world."""
        variable = self.structure.variable(name)
        return self.substitute([variable], world, inside=True, of=name)[0]

    def substitute(
        self, expressions: Sequence[Variable], world: str, *, inside: bool = False, of: str = ""
    ) -> list[Variable]:
        """Put a world's values in the place of the variables that expressions (`of` one) name."""
        noise = noise_of_others(self, expressions, world, of)
        replace = {
            leaf: self.length(self.lengths[leaf])
            if leaf in self.lengths
            else self.value(self.named[leaf], world)
            for leaf in self._leaves(expressions, expressions if inside else (), noise)
        }
        return replaced(expressions, {**replace, **noise})

    # -- interventions

    def shape(self, name: str) -> list[Variable]:
        lengths = self.structure.model.dim_lengths
        dims = self.dims_of(name)
        if any(d is None for d in dims):
            static = self.structure.variable(name).type.shape
            return [pt.as_tensor_variable(s) for s in static if s is not None]
        return [self.length(d) if d in self.structure.unit_dims else lengths[d] for d in dims]

    def _acted(self, name: str, act: Intervention, world: str) -> Variable:
        variable = self.structure.variable(name)
        dtype = "float64" if is_number(self.structure, name) else variable.type.dtype
        if isinstance(act, Set):
            return self._array("set", name, act.value, world, dtype, full=True)
        if isinstance(act, Shift):
            by = self._array("shift", name, act.by, world, None)
            return whole(name, self.natural(name, world) + by, dtype)
        if isinstance(act, Scale):
            by = self._array("scale", name, act.by, world, None)
            return whole(name, self.natural(name, world) * by, dtype)
        if isinstance(act, Policy):
            reads = [
                self.natural(r, world) if r == name else self.value(r, world)
                for r in act.reads or ()
            ]
            result = apply_policy(name, act, reads)
            return pt.broadcast_to(whole(name, result, dtype), self.shape(name))
        if isinstance(act, FromWorld):
            return self.value(name, act.world)
        assert isinstance(act, Stochastic)
        rule = noise_rule(act.distribution, coupling=self.coupling.get(name, "monotone"))
        return whole(name, rule.forward(self.noise(name, rule)), dtype)

    def _array(
        self,
        label: str,
        name: str,
        value: object,
        world: str,
        dtype: str | None,
        full: bool = False,
    ) -> Variable:
        """Return a number as a constant, filled to all units, or an array as an input."""
        array = np.asarray(value)
        if dtype is not None:
            array = array.astype(dtype)
        dims = self.dims_of(name)
        whole = array.ndim == len(dims) and array.ndim > 0
        if whole and any(d in self.structure.unit_dims for d in dims):
            variable = self._fresh(name, f"{label}_{name}_{world}", dtype=str(array.dtype))
            return self._input(
                "set", name, variable, dims, batched=False, world=f"{label}\0{world}", array=array
            )
        constant = pt.as_tensor_variable(array)
        if not full or whole:
            return constant
        return pt.broadcast_to(constant, self.shape(name))

    # -- requests

    def request(self, request: Request) -> Variable:
        """Return the expression of one result."""
        name, world, event = request.variable, request.world, request.event
        value = self.value(name, world)
        others = getattr(event, "others", ())
        beside = [self.value(n, world) for n in others]
        if request.kind in ("event", "joint"):
            happens = event.of_draw(value, *beside)
            if request.kind == "event":
                return happens
            return happens * (1.0 - event.of_draw(self.value(name, request.other)))
        laws = not any(n in self.held or not self._is_law(n, world) for n in (name, *others))
        if laws and others:  # one that another reads is not independent of it given their parents
            laws = not self.structure.ancestors((name, *others)).intersection((name, *others))
        if request.kind == "draw" or not laws:
            return event.of_draw(value, *beside) if request.kind == "probability" else value
        rv = self.structure.variable(name)
        if request.kind == "probability":
            exact = event.of_law(rv, *(self.structure.variable(n) for n in others))
            if exact is None:
                return event.of_draw(value, *beside)
            return self.substitute([exact], world, of=name)[0]
        exact = mean_of(rv)
        return value if exact is None else self.substitute([exact], world, of=name)[0]

    def _is_law(self, name: str, world: str) -> bool:
        """Whether a variable is drawn from its own law in a world."""
        rv = self.structure.model.named_vars[name]
        op = getattr(rv.owner, "op", None)
        drawn = name in self.recomputed and name not in self.worlds[world]
        return drawn and isinstance(op, RandomVariable | SymbolicRandomVariable)

    def compile(self, requests: tuple[Request, ...], outputs: list[Variable]) -> Program:
        needed = inputs_of(outputs)
        inputs = [i for i in self.inputs.values() if i.variable in needed]
        arguments, batch = per_draw(inputs)
        noisy = {i.variable for i in inputs if i.kind == "noise"}
        behind = [inputs_of([o]) for o in outputs]
        return Program(
            inputs=tuple(inputs),
            requests=requests,
            dims=tuple(self._result_dims(r) for r in requests),
            batched=tuple(bool(read & set(batch)) for read in behind),
            exact=tuple(not read & noisy for read in behind),
            call=Compiled(
                arguments, lambda: vectorize_graph(outputs, replace=batch) if batch else outputs
            ),
            names=frozenset(n for n, _ in self.built),
            expressions=tuple(outputs),
            unit_dims=tuple(self.structure.unit_dims),
        )

    def _result_dims(self, request: Request) -> tuple[str | None, ...]:
        return (*self.dims_of(request.variable), *getattr(request.event, "dims", ()))
