"""Labels of categories: their codes in a world, and levels that a label does not have.

A category is held as a code; worlds, and the rules in them, name its label.

An equation that compares a label with 2 and with 3 has three levels: these, and whatever else the
units have. At a level that nobody has every comparison is false: nothing fails, and the answer is
that of the reference level. A label that points into a table has no levels between the entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import wraps
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.graph.basic import Variable

from bayescausal.evaluation.build import build_program
from bayescausal.evaluation.evaluate import Units, evaluate
from bayescausal.evaluation.program import Request
from bayescausal.model.interventions.policy_words import read_as_words
from bayescausal.model.interventions.support import support_of
from bayescausal.model.labels import in_order, is_labelled
from bayescausal.model.structure.integer_roles import compared_with, role_of
from bayescausal.types import (
    EstimandError,
    FromWorld,
    Intervention,
    InterventionError,
    Policy,
    Scale,
    Set,
    Shift,
    closest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.evaluation.evaluate import NoiseSource
    from bayescausal.inference.record import Fit

__all__ = [
    "coded_levels",
    "encode",
    "in_unit_order",
    "is_category",
    "labels_or_codes",
    "numbers_of",
    "refuse_strangers",
]

#: Posterior draws that are tried.
DRAWS = 8
#: What to do about a level that a treatment does not have.
NAMED = "Name the levels that are compared; where none are named they are 1 and 0."


def refuse_strangers(
    units: Units,
    worlds: Mapping[str, Mapping[str, Intervention]],
    recomputed: frozenset[str],
    source: NoiseSource,
) -> None:
    """Refuse levels that a label does not have.

    Raises InterventionError naming the equation, the variable and the level.
    """
    structure = units.structure
    labels = {
        name: levels
        for name in dict.fromkeys(n for do in worlds.values() for n in do)
        if name in structure.data and (levels := _levels_of(units, name)) is not None
    }
    asked = [
        (world, name, act)
        for world, do in worlds.items()
        for name, act in do.items()
        if name in labels and not isinstance(act, FromWorld)
    ]
    if not asked:
        return
    requests = [Request(world, name, "draw") for world, name, _ in asked]
    program = build_program(
        structure, worlds, requests, recomputed=recomputed, varying=units.varies
    )
    step = max(units.fit.n_draws // DRAWS, 1)
    draws = slice(0, units.fit.n_draws, step)
    for block in evaluate(program, units, draws, source, replicates=1):
        for value, (_, name, act) in zip(block.values, asked, strict=True):
            known = labels[name]
            array = np.asarray(value)
            inside = np.isin(array, known) if len(known) else array == np.round(array)
            if np.all(inside):
                continue
            bad = array[~inside].flat[0]
            equations = ", ".join(repr(n) for n in structure.full.successors(name))
            if not len(known):
                raise InterventionError(
                    f"do({act.describe(name)}) is impossible: {name}={bad:g} lies between the "
                    f"entries of a table that the equation of {equations} reads.",
                    expected=f"whole numbers: {name!r} is a label, not a number.",
                )
            shown = ", ".join(f"{v:g}" for v in known[:12])
            raise InterventionError(
                f"do({act.describe(name)}) is impossible: no unit has {name}={bad:g}, and the "
                f"equation of {equations} does not name it.",
                expected=f"levels among {shown}{', ...' if len(known) > 12 else '.'}",
                remedy="Choose a level that is known. Where all others are one level, the "
                "equation can say so: a threshold, such as pt.ge, in place of an equality.",
            )


def _levels_of(units: Units, name: str) -> np.ndarray | None:
    """Return the levels of data that equations compare with several numbers; or point with: empty.

    Of data that are compared with one number there are two: it, and whatever else.
    """
    held = units.columns.get(name, units.fit.columns.get(name))
    if held is None or role_of(units.structure, name) != "label":
        return None
    keys = compared_with(units.structure, name)
    if not keys and np.asarray(held).dtype.kind == "f":
        return np.zeros(0) if np.all(held == np.round(held)) else None
    return np.union1d(np.asarray(held), sorted(keys)) if len(keys) > 1 else None


def encode(fit: Fit, name: str, label: object, *, remedy: str | None = None) -> Any:
    """Return the code of a category's label; other values as they are.

    - `remedy`: what to do about a label that there is not. Default: what a level needs.
    Raises EstimandError if the variable has labels and this is none of them.
    """
    labels = list(fit.labels.get(name, ()))
    if not labels:
        if isinstance(label, str):
            raise EstimandError(
                f"{name!r} has no categories with labels, so {label!r} cannot be one.",
                expected="a number.",
            )
        return label
    if label in labels:
        return labels.index(label)
    if remedy is None:
        remedy = "" if isinstance(label, str) else NAMED
    raise EstimandError(
        f"{label!r} is not a category of {name!r}.",
        expected=f"one of {', '.join(map(str, labels))}.",
        names=closest(str(label), map(str, labels))[:1],
        remedy=remedy,
    )


def is_category(fit: Fit, name: str) -> bool:
    """Whether the values of a variable are labels, numbers too: they have no order, no distance.

    A variable with labels, or of a categorical distribution; data that are an index or only
    compared, where they have more than two values.
    """
    structure = fit.structure
    if fit.labels.get(name):
        return True
    if name in structure.random and name not in structure.imputed:
        return support_of(structure.variable(name)).categorical
    if name not in structure.data or role_of(structure, name) != "label":
        return False
    held = fit.columns.get(name) if name in fit.columns else fit.value(name)
    return held is not None and len(np.unique(held)) > 2


def numbers_of(labels: Sequence[object]) -> tuple[float, ...]:
    """Return the labels of a category where they are numbers other than its codes; else none.

    Examples
    --------
    >>> numbers_of((1, 2, 3)), numbers_of((0, 1)), numbers_of(("a", "b"))
    ((1.0, 2.0, 3.0), (), ())
    """
    found = tuple(float(v) for v in labels if isinstance(v, Real))
    return () if len(found) < len(labels) or found == tuple(range(len(labels))) else found


def coded_levels(fit: Fit, do: Mapping[str, Intervention]) -> dict[str, Intervention]:
    """Return a world with labels of categories, one or one for each unit, as codes.

    Numbers for each unit are codes where the labels are text. Rules read and return labels.
    """
    return {name: _coded(fit, name, act) for name, act in do.items()}


def in_unit_order(fit: Fit, do: Mapping[str, Any], coords: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a world whose values that carry labels of units stand in the order of the units."""
    if not isinstance(do, Mapping):
        return do  # refused in words where it is read
    ordered = dict(do)
    for key, act in do.items():
        name = str(getattr(key, "name", key))
        field = next((own for kind, own in _AMOUNT.items() if isinstance(act, kind)), None)
        value = act if field is None else getattr(act, field)
        if is_labelled(value):
            value = in_order(value, fit.structure.dims.get(name, ()), coords, f"do({name})")
            value = np.asarray(value)
            ordered[key] = value if field is None else replace(act, **{field: value})
    return ordered


#: Where an intervention holds its numbers.
_AMOUNT = {Set: "value", Shift: "by", Scale: "by"}


def labels_or_codes(fit: Fit, do: Mapping[str, object]) -> Mapping[str, object]:
    """Return a world as it was written, with labels as codes; one number may be a code too."""
    if not isinstance(do, Mapping):
        return do  # refused in words where it is read
    coded = dict(do)
    for key, act in do.items():
        name = str(getattr(key, "name", key))
        made = act if isinstance(act, Intervention) else Set(act)
        if made is not act and name not in fit.labels:
            continue
        value = np.asarray(made.value) if isinstance(made, Set) else np.empty(0)
        if value.ndim or not _are_codes(fit.labels.get(name, ()), value):
            coded[key] = _coded(fit, name, made)
    return coded


def _coded(fit: Fit, name: str, act: Intervention) -> Intervention:
    if isinstance(act, Policy):
        return _labelled(fit, name, act)
    if not isinstance(act, Set) or name not in fit.labels:
        return act
    value = np.asarray(act.value)
    if value.ndim == 0:
        return Set(encode(fit, name, value.item()))
    if _are_codes(fit.labels[name], value):
        return act
    each = value.ravel().tolist()
    codes = {label: encode(fit, name, label) for label in dict.fromkeys(each)}
    return Set(np.array([codes[label] for label in each]).reshape(value.shape))


def _are_codes(labels: Sequence[object], value: np.ndarray) -> bool:
    """Whether these are numbers, while the labels are text."""
    return value.dtype.kind in "biuf" and _text(labels)


def _labelled(fit: Fit, name: str, policy: Policy) -> Policy:
    """Return a rule that is given labels where it means labels, and whose labels become codes.

    Labels that are text may be meant by their codes, too: what the rule compares them with tells.
    """
    reads, function = policy.reads or (), policy.function
    words = read_as_words(function, reads, lambda r: fit.labels.get(r, ()))
    tables = {
        r: np.asarray(fit.labels[r])
        for r in reads
        if r in fit.labels and (r in words or not _text(fit.labels[r]))
    }
    if not tables and name not in fit.labels:
        return policy

    @wraps(function)
    def rule(*values: object) -> object:
        if tables and any(isinstance(v, Variable) for v in values):
            raise TypeError("labels are looked up in arrays")
        given = [
            tables[r][np.asarray(v).astype(int)] if r in tables else v
            for r, v in zip(reads, values, strict=True)
        ]
        found = function(*given)
        if name not in fit.labels or isinstance(found, Variable):
            return found
        if _are_codes(fit.labels[name], np.asarray(found)):
            return found
        made = _coded(fit, name, Set(found))
        return made.value if isinstance(made, Set) else found

    vars(rule)["words"] = frozenset(words)
    return Policy(rule, reads=reads)


def _text(labels: Sequence[object]) -> bool:
    return all(isinstance(label, str) for label in labels)
