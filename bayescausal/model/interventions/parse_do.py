"""Interventions as a user writes them: parsed, and checked against a structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.op import RandomVariable

from bayescausal.model.interventions.policy_words import read_as_words
from bayescausal.model.interventions.support import is_discrete, support_of
from bayescausal.model.structure.integer_roles import is_number, role_of
from bayescausal.types import (
    FromWorld,
    Intervention,
    InterventionError,
    Policy,
    PotentialError,
    Scale,
    Set,
    Shift,
    Stochastic,
    closest,
    unknown_variable,
)

if TYPE_CHECKING:
    from bayescausal.model.structure.structure import Structure

__all__ = [
    "as_mapping",
    "check_expression",
    "check_target",
    "name_of",
    "parse_interventions",
    "refuse_potentials",
]


def parse_interventions(
    structure: Structure,
    do: Mapping[Any, Any] | None,
    *,
    sizes: Mapping[str, int] | None = None,
) -> dict[str, Intervention]:
    """Parse and check ``{name: value or intervention}`` against a structure.

    - `structure`: of the model that is intervened on.
    - `do`: as given by the user; None and ``{}`` are the natural course.
    - `sizes`: lengths of the unit dims, to check the length of arrays.
    Returns: in the topological order of the graph; values of ``Set`` as arrays of the variable's
    dtype, checked.
    """
    given = {name_of(k): v for k, v in as_mapping(do or {}).items()}
    parsed: dict[str, Intervention] = {}
    for name, value in given.items():
        check_target(structure, name)
        parsed[name] = _check_one(structure, name, value, sizes)
    _refuse_cycles(structure, parsed)
    rank = {n: i for i, n in enumerate(structure.full)}
    return {n: parsed[n] for n in sorted(parsed, key=rank.__getitem__)}


def refuse_potentials(structure: Structure) -> None:
    """Refuse a model whose Potentials act on structural variables: they select units."""
    if structure.potentials:
        named = ", ".join(map(repr, structure.potentials))
        raise PotentialError(
            f"The Potential {named} acts on structural variables: it selects units, and cannot "
            "be simulated from or kept under an intervention.",
            remedy="Write it as an observed variable, or pass ignore_potentials=True to go on "
            "without it.",
        )


def as_mapping(do: object) -> Mapping[Any, Any]:
    if isinstance(do, Mapping):
        return do
    raise InterventionError(
        f"Found {type(do).__name__} where an intervention is needed.",
        expected='a mapping from names to values or interventions, as {"X": 1}.',
    )


def name_of(key: object) -> str:
    if isinstance(key, Variable):
        return str(key.name)
    if isinstance(key, str):
        return key
    raise InterventionError(
        f"The target {key!r} is a {type(key).__name__}.",
        expected="the name of a variable, or the variable itself.",
    )


def check_target(structure: Structure, name: str) -> None:
    if name in structure.parameters:
        raise InterventionError(
            f"{name!r} is a parameter, not a structural variable: it cannot be intervened on.",
            expected=f"one of {', '.join(structure.names())}.",
            remedy=f"To simulate under another value of {name!r}, give it to simulate or truth.",
        )
    if name not in structure.names():
        raise unknown_variable(name, structure.names())


def _check_one(
    structure: Structure, name: str, value: object, sizes: Mapping[str, int] | None
) -> Intervention:
    if isinstance(value, Variable):
        raise InterventionError(
            f"The new mechanism of {name!r} is an expression of one model.",
            remedy="Apply it with intervene(model, {...}), and fit or simulate that model.",
        )
    if not isinstance(value, Intervention):
        value = Set(value)
    if isinstance(value, Set):
        return Set(_check_value(structure, name, value.value, sizes))
    if isinstance(value, Shift | Scale):
        return _check_by(structure, name, value, sizes)
    if isinstance(value, Stochastic):
        return _check_distribution(structure, name, value)
    if isinstance(value, Policy):
        return _check_policy(structure, name, value)
    if isinstance(value, FromWorld):
        return value
    raise InterventionError(
        f"{type(value).__name__} is not an intervention on its own.",
        expected="Set, Shift, Scale, Stochastic or Policy.",
    )


def _number(name: str, value: object, what: str) -> np.ndarray:
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            array = array.astype(float)
    except (TypeError, ValueError):
        raise InterventionError(
            f"The {what} of {name!r} is {value!r}, which is not a number.",
            expected="a number, or one number per unit.",
        ) from None
    if not np.all(np.isfinite(array)):
        bad = "NaN" if np.any(np.isnan(array)) else "infinite"
        raise InterventionError(f"The {what} of {name!r} is {bad}.", expected="finite numbers.")
    return array


def _check_value(
    structure: Structure, name: str, value: object, sizes: Mapping[str, int] | None
) -> np.ndarray:
    variable = structure.variable(name)
    array = _number(name, value, "value")
    array = _fit_shape(structure, name, array, sizes)
    if name in structure.random and name not in structure.imputed:
        support = support_of(variable)
        inside = support.contains(array)
        if not np.all(inside):
            bad = np.broadcast_to(array, np.shape(inside))[~np.asarray(inside)].flat[0]
            raise InterventionError(
                f"do({name} = {bad:g}) is impossible: it is outside the support of the "
                f"{support.family} variable {name!r}.",
                expected=f"{support.describe()}.",
            )
    if is_number(structure, name):
        return array.astype(float)
    if is_discrete(variable):
        bad = array != np.round(array)
        if np.any(bad):
            raise InterventionError(
                f"do({name} = {array[bad].flat[0]:g}) is impossible: {name!r} takes whole "
                f"numbers{_why_whole(structure, name)}.",
                expected="an integer.",
            )
    made = array.astype(variable.type.dtype)
    if np.any(made != array):  # a truth value is 0 or 1, an int32 has an end
        bad = array[made != array].flat[0]
        raise InterventionError(
            f"do({name} = {bad:g}) is impossible: {name!r} is of type {variable.type.dtype}.",
            expected="0 or 1." if made.dtype == bool else "a number that this type holds.",
            remedy="Give the model numbers (integers or floats) where other values make sense.",
        )
    return made


def _fit_shape(
    structure: Structure, name: str, array: np.ndarray, sizes: Mapping[str, int] | None
) -> np.ndarray:
    """Check that `array` broadcasts to the variable: a number, an event, or all units."""
    variable = structure.variable(name)
    ndim = int(variable.type.ndim)
    if array.ndim == 0:
        return array
    dims = structure.dims.get(name, ())
    lengths = [(sizes or {}).get(d) for d in dims] if len(dims) == ndim else [None] * ndim
    event = [s for d, s in zip(dims, lengths, strict=False) if d not in structure.unit_dims]
    last = all(d not in structure.unit_dims for d in dims[len(dims) - len(event) :])
    fits = array.ndim == ndim and all(
        s is None or s == n for s, n in zip(lengths, array.shape, strict=True)
    )
    per_event = (
        bool(event)
        and array.ndim == len(event)
        and all(s is None or s == n for s, n in zip(event, array.shape, strict=True))
    )
    if fits or (per_event and last):
        return array
    wanted = ", ".join(
        f"{d}: {s if s is not None else '?'}" for d, s in zip(dims, lengths, strict=False)
    )
    raise InterventionError(
        f"The value of {name!r} has shape {array.shape}.",
        expected=f"a single number, or one value per unit ({wanted}).",
    )


def _check_by(
    structure: Structure, name: str, value: Shift | Scale, sizes: Mapping[str, int] | None
) -> Intervention:
    what = "shift" if isinstance(value, Shift) else "factor"
    by = _fit_shape(structure, name, _number(name, value.by, what), sizes)
    variable = structure.variable(name)
    if name in structure.random and name not in structure.imputed:
        support = support_of(variable)
        still = 0 if isinstance(value, Shift) else 1
        moves = bool(np.any(by != still))
        bounded = bool(np.any(np.isfinite(support.upper)))
        if support.integer and not np.all(by == np.round(by)):
            raise InterventionError(
                f"A {what} of {by.flat[0]:g} takes {name!r} off the integers.",
                expected=f"a whole number, for {name!r} is discrete.",
            )
        below = bool(np.any(np.isfinite(support.lower)))
        leaves = (
            (bounded and below)
            if isinstance(value, Shift)
            else (bounded and bool(np.any(by > 1))) or (below and bool(np.any(by < 0)))
        )
        if moves and leaves and (support.integer or isinstance(value, Scale)):
            raise InterventionError(
                f"A {what} of {by.flat[0]:g} takes {name!r} out of its support.",
                expected=f"values that stay {support.describe()}.",
                remedy="Use Set, or a Policy that stays inside.",
            )
    if is_discrete(variable) and not is_number(structure, name):
        if not np.all(by == np.round(by)):
            raise InterventionError(
                f"A {what} of {by.flat[0]:g} takes {name!r} off the integers.",
                expected=f"a whole number{_why_whole(structure, name)}.",
            )
        made = by.astype(variable.type.dtype)
        if np.any(made != by) or (made.dtype == bool and isinstance(value, Shift) and np.any(by)):
            raise InterventionError(
                f"A {what} of {by.flat[0]:g} takes {name!r}, of type {variable.type.dtype}, out of "
                "its values.",
                expected="0 or 1." if made.dtype == bool else "numbers that this type holds.",
                remedy="Use Set or a Policy, or give the model numbers in place of truth values.",
            )
        by = made
    return type(value)(by)


def _why_whole(structure: Structure, name: str) -> str:
    """Return why data take whole numbers only, in words."""
    if name not in structure.data:
        return ""
    if structure.variable(name).type.dtype == "bool":
        return f": {name!r} is true or false"
    if role_of(structure, name) == "label":
        return f": {name!r} is a label, not a number"
    return f": a distribution takes {name!r} as a whole number"


def _check_distribution(structure: Structure, name: str, value: Stochastic) -> Stochastic:
    rv = value.distribution
    op = getattr(getattr(rv, "owner", None), "op", None)
    if not isinstance(op, RandomVariable | SymbolicRandomVariable):
        raise InterventionError(
            f"Stochastic for {name!r} holds {type(rv).__name__}, not a distribution.",
            remedy="Make it with .dist, as pm.Bernoulli.dist(0.3).",
        )
    reads = [v.name for v in ancestors([rv]) if v in set(structure.model.named_vars.values())]
    if reads:
        raise InterventionError(
            f"The distribution for {name!r} reads {', '.join(map(repr, reads))}.",
            expected="a distribution that reads no variable of the model.",
            remedy="Give it as a new mechanism: intervene(model, {...}).",
        )
    variable = structure.variable(name)
    if is_discrete(variable) and not is_discrete(rv) and not is_number(structure, name):
        raise InterventionError(
            f"The distribution for {name!r} is continuous.",
            expected=f"a discrete one, for {name!r} is discrete.",
        )
    if rv.type.ndim > variable.type.ndim:
        raise InterventionError(
            f"The distribution for {name!r} has {rv.type.ndim} axes.",
            expected=f"at most {variable.type.ndim}.",
            remedy="Leave its shape out: every unit draws its own.",
        )
    return value


def _check_policy(structure: Structure, name: str, value: Policy) -> Policy:
    below = structure.descendants([name])

    def holds(read: str) -> bool:
        return is_discrete(structure.variable(read))

    for read in value.reads or ():
        if read not in structure.names():
            if read in structure.parameters:
                raise InterventionError(
                    f"The policy for {name!r} reads {read!r}, which is a parameter.",
                    expected=f"among {', '.join(structure.names())}.",
                )
            raise InterventionError(
                f"The policy for {name!r} reads {read!r}, which is not a variable of this model.",
                expected=f"among {', '.join(structure.names())}.",
                names=closest(read, structure.names())[:1],
                remedy="Its arguments name what it reads; or pass reads=[...].",
            )
        if read in below:
            raise InterventionError(
                f"The policy for {name!r} reads {read!r}, a descendant of {name!r}.",
                expected="variables that come before the target.",
            )
    met = read_as_words(value.function, value.reads or (), lambda r: ("",) if holds(r) else ())
    if odd := sorted(met - getattr(value.function, "words", frozenset())):
        raise InterventionError(
            f"The policy for {name!r} compares {', '.join(odd)} with text, but the model holds "
            "numbers there, and no labels of them are known.",
            expected="comparisons with the codes of categories, or a fit whose data had labels.",
        )
    return value


def _refuse_cycles(structure: Structure, parsed: Mapping[str, Intervention]) -> None:
    graph: nx.DiGraph = nx.DiGraph(structure.full.edges)
    for name, intervention in parsed.items():
        reads = intervention.reads or () if isinstance(intervention, Policy) else ()
        if isinstance(intervention, Set | Stochastic | Policy) and name not in reads:
            graph.remove_edges_from(list(graph.in_edges(name)) if name in graph else [])
        graph.add_edges_from((r, name) for r in reads if r != name)
    if not nx.is_directed_acyclic_graph(graph):
        cycle = " -> ".join(str(u) for u, _ in nx.find_cycle(graph))
        raise InterventionError(
            f"The policies read each other in a circle: {cycle}.",
            remedy="Let one of them read only what comes before.",
        )


def check_expression(structure: Structure, name: str, expression: Variable) -> None:
    variable = structure.variable(name)
    named = {v: n for n, v in structure.model.named_vars.items()}
    below = structure.descendants([name])
    for read in (named[v] for v in ancestors([expression]) if v in named):
        if read in below:
            raise InterventionError(
                f"The new mechanism of {name!r} reads {read!r}, a descendant of {name!r}.",
                expected="variables that come before the target.",
            )
    random = isinstance(
        getattr(expression.owner, "op", None), RandomVariable | SymbolicRandomVariable
    )
    ndim = getattr(expression.type, "ndim", None)
    if ndim is None or ndim > variable.type.ndim or (not random and ndim < variable.type.ndim):
        raise InterventionError(
            f"The new mechanism of {name!r} has {getattr(expression.type, 'ndim', 'no')} axes.",
            expected=f"{variable.type.ndim}, as {name!r} has"
            f"{': ' + str(structure.dims[name]) if structure.dims.get(name) else ''}.",
        )
    if is_discrete(variable) and not (is_discrete(expression) or is_number(structure, name)):
        raise InterventionError(
            f"The new mechanism of {name!r} is of type {expression.type.dtype}.",
            expected=f"whole numbers, for {name!r} is discrete.",
            remedy='Convert it: expression.astype("int64").',
        )
