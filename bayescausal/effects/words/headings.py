"""Headings of questions: two different questions never have one heading.

A heading says the kind of question, treatment, outcome and subgroup, and then whatever was asked
otherwise than by default: levels, where mediators are held, scale, functional, over whom. So the
headings of a report and the rows of a forest differ where their questions do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bayescausal.effects.estimands.functionals import Functional
from bayescausal.effects.estimands.notation import PLAIN, number
from bayescausal.effects.estimands.parsing import (
    NATURAL_UNLESS_SET,
    has_default_control,
    is_default,
)
from bayescausal.effects.estimands.populations import Population
from bayescausal.effects.estimands.scales import EffectScale
from bayescausal.types import Intervention, Set

if TYPE_CHECKING:
    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["details"]

#: Options that the short name holds, or that say how an answer is computed.
NOT_SAID = ("given", "q", "values", "step", "bounds")


def details(estimand: Estimand) -> str:
    """Return what was asked otherwise than by default, in brackets; empty where nothing was.

    Examples
    --------
    >>> from bayescausal.effects.estimands import ATE, CDE
    >>> details(ATE("dose", "pain", treated=3, control=2)), details(ATE("X", "Y"))
    (' (3 against 2)', '')
    >>> details(CDE("X", "Y", mediators={"M": 0}))
    ' (M=0)'
    """
    parts = [_levels(estimand)]
    for each in dataclasses.fields(estimand):
        value = getattr(estimand, each.name)
        if not each.kw_only and each.name != "do":
            continue
        if each.name in (*NOT_SAID, "treated", "control"):
            continue
        if each.name == "functional" and hasattr(estimand, "q"):
            continue
        if is_default(each.name, value, None if each.name == "do" else each.default):
            continue
        parts.append(_option(each.name, value))
    told = "; ".join(part for part in parts if part)
    return f" ({told})" if told else ""


# --------------------------------------------------------------------------- private


def _levels(estimand: Estimand) -> str:
    """Return the levels that are compared, unless they are 1 and 0."""
    fields = {each.name: each for each in dataclasses.fields(estimand)}
    roles = [role for role in ("treated", "control") if role in fields]
    if not roles:
        return ""
    treated, control = (getattr(estimand, role, None) for role in ("treated", "control"))
    if roles == ["control"]:
        return "" if control is None else f"against {_level(control)}"
    usual = is_default("treated", treated, 1) and (
        is_default("control", control, 0)
        or (fields["control"].default is NATURAL_UNLESS_SET and has_default_control(estimand))
    )
    if len(estimand.treatments) <= 1:  # a pair of levels of one treatment is a range
        treated, control = _range(treated), _range(control)
    return "" if usual else f"{_level(treated)} against {_level(control)}"


def _range(value: object) -> object:
    """Return a range in words: ``1 or more``; whatever else as it is."""
    match value:
        case Set(value=tuple() as pair):
            return _range(pair)
        case (None, None):
            return "any"
        case (low, None):
            return f"{_level(low)} or more"
        case (None, high):
            return f"{_level(high)} or less"
        case (low, high):
            return f"{_level(low)} to {_level(high)}"
    return value


def _level(value: object) -> str:
    """Return a level, several, or a world."""
    match value:
        case None:
            return "as it is"
        case Mapping():
            return ", ".join(_done(n, v) for n, v in value.items()) or "as it is"
        case Set(value=level):
            return _level(level)
        case Intervention():
            return value.describe("").removeprefix("=") or str(value)
        case tuple():
            return f"({', '.join(_level(v) for v in value)})"
    return number(value)


def _done(name: str, value: object) -> str:
    return PLAIN.intervention(name, value if isinstance(value, Intervention) else Set(value))


def _option(name: str, value: Any) -> str:
    """Return one option in words."""
    match value:
        case Mapping():
            words = ", ".join(
                _done(n, v) if isinstance(v, Intervention) else f"{n}: {v}"
                for n, v in value.items()
            )
            return f"coupling {words}" if name == "coupling" else words
        case EffectScale():
            return value.name
        case Functional():
            if name == "functional":
                return value.text("Y") + value.tail(PLAIN)
            return str(value.event(PLAIN, "Y"))  # type: ignore[attr-defined]
        case Population():
            return _over(value)
        case True:
            return name
    if name == "paths":
        return ", ".join(" -> ".join(path) for path in value)
    if name in ("by", "mediators"):
        listed = [value] if isinstance(value, str) else value
        return f"{'by' if name == 'by' else 'through'} {', '.join(map(str, listed))}"
    return f"{name} {number(value) if isinstance(value, int | float) else value}"


def _over(population: Population) -> str:
    """Return a population as shortly as it can be told."""
    if population.name == "target":
        return population.words
    clusters = getattr(population, "clusters", None)
    return f"{population.name}, {clusters}" if isinstance(clusters, str) else population.name
