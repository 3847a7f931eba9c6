"""What is done, and to whom, in words: the parts of a sentence that come from the question.

A world says what happens to each variable; two worlds that are compared share some of it. What
differs is the intervention ("raising dilution from 0 to 1"), what is shared is a circumstance
("with humid held at 2"). The population and the subgroup say over whom. Nothing here knows the
answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.estimands.conditions import Condition, Where
from bayescausal.effects.estimands.functionals import Mean, Probability, Quantile
from bayescausal.effects.estimands.notation import PLAIN, number
from bayescausal.effects.estimands.parsing import same_world
from bayescausal.types import Policy, Scale, Set, Shift, Stochastic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.effects.estimands.functionals import Functional
    from bayescausal.types import Intervention

__all__ = [
    "circumstance",
    "intervention_text",
    "listed",
    "population_words",
    "quantity",
    "upper_first",
]


def intervention_text(
    treated: Mapping[str, Intervention], control: Mapping[str, Intervention]
) -> str:
    """Return what the treated world does and the control world does not, and what both do.

    `treated`, `control`: two worlds; a variable that is not named follows its natural course.
    Returns: a phrase that can be the subject of a sentence.

    Examples
    --------
    >>> from bayescausal.types import Set, Shift
    >>> intervention_text({"dilution": Set(1)}, {"dilution": Set(0)})
    'raising dilution from 0 to 1'
    >>> intervention_text({"dose": Shift(-2)}, {})
    'lowering dose by 2'
    >>> intervention_text({"X": Set(1), "M": Set(3)}, {"X": Set(0), "M": Set(3)})
    'raising X from 0 to 1 with M held at 3'
    """
    shared = [n for n in treated if n in control and _same(treated[n], control[n])]
    names = [n for n in dict.fromkeys((*treated, *control)) if n not in shared]
    main = _change(names, treated, control)
    held = circumstance({n: treated[n] for n in shared})
    return f"{main} with {held}" if held else main


def circumstance(world: Mapping[str, Intervention]) -> str:
    """Return what a world does as a state: ``X held at 1``; empty for the natural course.

    Examples
    --------
    >>> from bayescausal.types import Scale, Set
    >>> circumstance({"X": Set(1), "dose": Scale(2)})
    'X held at 1 and dose multiplied by 2'
    """
    return listed([_phrase(name, what, done=True) for name, what in world.items()])


def listed(parts: list[str]) -> str:
    """Return a list as a person would say it.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return parts[0] if len(parts) == 1 else " and ".join(
        p for p in (", ".join(parts[:-1]), parts[-1] if parts else "") if p
    )  # fmt: skip


def population_words(population: str | None, condition: Condition | None, who: str = "") -> str:
    """Return over whom, as the object of "over"; empty where nothing is known.

    `who`: the members of the condition, where they have a name. Default: "those with Z=1".

    Examples
    --------
    >>> from bayescausal.effects.estimands.conditions import parse_given
    >>> population_words("the 1,000 units at hand", parse_given({"Z": 1}))
    'those with Z=1 among the 1,000 units'
    """
    words = (population or "").replace(" at hand", "")
    if words.startswith("the population the "):
        words = words.partition(", ")[0]
    if not condition:
        return words
    words = words.replace(f", {condition.describe()}", "")  # groups that were seen repeat it
    who = who or f"those {_members(condition)}"
    return f"{who} among {words}" if words else who


def quantity(functional: Functional, outcome: str, *, noun: bool = False) -> tuple[str, str]:
    """Return what is said to change, and how it is taken over units.

    `noun`: name the average too ("the average of Y"), for scales that do not read "on average".
    Returns: ``how`` is ``"on average"`` for a mean, else empty.

    Examples
    --------
    >>> from bayescausal.effects.estimands.functionals import Mean, Probability, Quantile
    >>> quantity(Mean(), "Y"), quantity(Quantile(0.5), "Y")
    (('Y', 'on average'), ('the median of Y', ''))
    >>> quantity(Probability(above=2), "Y")
    ('the probability of Y > 2', '')
    """
    match functional:
        case Mean():
            return (f"the average of {outcome}", "") if noun else (outcome, "on average")
        case Quantile(q=0.5):
            return f"the median of {outcome}", ""
        case Quantile(q=q):
            return f"the {number(q)} quantile of {outcome}", ""
        case Probability():
            return f"the probability of {functional.event(PLAIN, outcome)}", ""
        case _:
            return functional.words(outcome), ""


def upper_first(text: str) -> str:
    """Return the text with its first letter raised; the rest is left alone.

    Examples
    --------
    >>> upper_first("setting iPhone to 1")
    'Setting iPhone to 1'
    """
    return text[:1].upper() + text[1:]


# --------------------------------------------------------------------------- private


def _change(
    names: list[str], treated: Mapping[str, Intervention], control: Mapping[str, Intervention]
) -> str:
    """Return the intervention itself, without what both worlds share."""
    if len(names) == 1:
        [name] = names
        after, before = treated.get(name), control.get(name)
        if isinstance(after, Set) and isinstance(before, Set):
            low, high = _number(before.value), _number(after.value)
            if low is not None and high is not None:
                verb = "raising" if high > low else "lowering"
                return f"{verb} {name} from {number(before.value)} to {number(after.value)}"
            if not (np.ndim(before.value) or np.ndim(after.value)):
                return f"changing {name} from {before.value} to {after.value}"
        if before is None and after is not None and not isinstance(after, Set):
            return _phrase(name, after)
    here = listed([_in_world(name, treated) for name in names])
    if len(names) > 1 and not any(name in control for name in names):
        return f"{here} rather than leaving them as they are"
    return f"{here} rather than {listed([_in_world(name, control) for name in names])}"


def _in_world(name: str, world: Mapping[str, Intervention]) -> str:
    """Return one intervention of a world; what is not set beside others follows them."""
    return f"not setting {name}" if world and name not in world else _phrase(name, world.get(name))


def _phrase(name: str, what: Intervention | None, *, done: bool = False) -> str:
    """Return one intervention: "setting X to 1", or when done "X held at 1"."""
    verb, state, rest = _words(what)
    if done:
        return f"{name} {state}{rest}"
    link = " to" if isinstance(what, Set) else ""
    return f"{verb} {name}{link}{rest}"


def _words(what: Intervention | None) -> tuple[str, str, str]:
    """Return verb, state and what follows the name."""
    match what:
        case None:
            return "leaving", "left", " as it is"
        case Set(value=value):
            return "setting", "held at", f" {_level(value)}"
        case Shift(by=by):
            size = _number(by)
            if size is None:
                return "shifting", "shifted", " by given amounts"
            up = size >= 0
            return (
                "raising" if up else "lowering",
                "raised" if up else "lowered",
                f" by {number(abs(size))}",
            )
        case Scale(by=by):
            return "multiplying", "multiplied", f" by {_level(by, 'given factors')}"
        case Stochastic():
            return "drawing", "drawn", f" from {what.describe('').removeprefix('~')}"
        case Policy():
            return "setting", "set", f" by the rule {what.describe('').removeprefix('=')}"
        case _:
            return "replacing", "replaced", " by a new mechanism"


def _level(value: Any, several: str = "given values") -> str:
    return several if np.ndim(value) else number(value)


def _number(value: Any) -> float | None:
    """Return one number, or None for a label or several values."""
    if isinstance(value, str) or np.ndim(value):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _same(a: Intervention, b: Intervention) -> bool:
    return same_world({"x": a}, {"x": b})


def _members(condition: Condition) -> str:
    """Return the clauses of a condition after "those"."""
    parts = []
    for name, spec in condition.clauses:
        text = Condition(((name, spec),)).describe()
        if isinstance(spec, np.ndarray):
            parts.append(f"in a {text}")
        elif isinstance(spec, Where):
            parts.append(f"where {text} holds")
        else:
            parts.append(f"with {text}")
    return listed(parts)
