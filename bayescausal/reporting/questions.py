"""Questions as a person would ask them, and as code: each estimand in words of its own.

Total, direct, indirect and controlled effects are different questions about the same two variables;
what differs is what is done (:mod:`~bayescausal.effects.words.subject`) and what it is called.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.estimands.averages import CDE, Association, Expected
from bayescausal.effects.estimands.causation import ITE, PN, PNS, PS
from bayescausal.effects.estimands.conditions import Condition
from bayescausal.effects.estimands.curves import DoseResponse
from bayescausal.effects.estimands.functionals import Mean
from bayescausal.effects.estimands.mediation import NDE, NIE, PSE, TE
from bayescausal.effects.estimands.parsing import NATURAL_UNLESS_SET, is_default
from bayescausal.effects.words.intervention import circumstance, quantity
from bayescausal.effects.words.subject import doing, groups, of_units, probability

if TYPE_CHECKING:
    from bayescausal.effects.effect import Effect

__all__ = ["as_code", "asked_in_words"]

#: What the literature calls a part of an effect.
CALLED: dict[type, str] = {
    TE: "the total effect, along all paths",
    NDE: "the natural direct effect: not through the mediators",
    NIE: "the natural indirect effect: through the mediators alone",
    CDE: "the controlled direct effect: the mediators held",
    PSE: "a path-specific effect",
}


def asked_in_words(effect: Effect) -> str:
    """Return a question without its population and its mark.

    Examples
    --------
    >>> from bayescausal.effects.effect import Effect
    >>> from bayescausal.effects.estimands import ATE, CDE
    >>> from bayescausal.reporting.questions import asked_in_words
    >>> asked_in_words(Effect([0.1, 0.2], ATE("x", "y", treated=2)))
    'what does raising x from 0 to 2 do to y on average'
    """
    estimand: Any = effect.estimand
    given = estimand.given.describe() if estimand.given else ""
    among = f" among {effect.units} with {given}" if given else ""
    if isinstance(estimand, PN | PS | PNS):
        return f"what is {probability(estimand, effect.units)}"
    if isinstance(estimand, ITE) and not estimand.per_unit:
        return f"what is {of_units(estimand, effect.units)}{among}"
    what = _what(effect)
    if isinstance(estimand, Expected):
        done = circumstance(estimand.do)
        return f"what is {what}{among} {f'with {done}' if done else 'as things are'}"
    scale = getattr(estimand, "scale", None)
    told = "" if scale is None or scale.name == "difference" else f" (as {_a(scale.name)})"
    if isinstance(estimand, Association):
        here, there = groups(estimand)
        return f"how does {what} differ where {here} from where {there}{among}{told}"
    if isinstance(estimand, DoseResponse):
        setting = f"{estimand.treatment} set to each value"
        if estimand.control is None:
            return f"what is {what}{among} with {setting}"
        base = circumstance(estimand.worlds()["control"]) or "nothing done"
        return f"how does {what}{among} with {setting} differ from that with {base}{told}"
    act, ask = doing(estimand), "what does "
    if act.startswith("with "):  # a circumstance comes before what is done
        first, _, act = act.partition(", ")
        ask = f"{first}, what does "
    called = next(
        (f" ({words})" for kind, words in CALLED.items() if isinstance(estimand, kind)), ""
    )
    # of treated and untreated, the group is part of what is asked
    group = estimand.condition.describe() if estimand.condition else ""
    members = f" among {effect.units} with {group}" if group else ""
    return f"{ask}{act} do to {what}{members}{called}{told}"


def as_code(estimand: Any) -> str | None:
    """Return a question as the call that makes it; None where it holds what code cannot say here.

    Examples
    --------
    >>> from bayescausal.effects.estimands import CATE
    >>> from bayescausal.reporting.questions import as_code
    >>> as_code(CATE("x", "y", given={"z": 1}))
    "CATE('x', 'y', given={'z': 1})"
    """
    parts = []
    for each in sorted(dataclasses.fields(estimand), key=lambda f: bool(f.kw_only)):
        value = getattr(estimand, each.name)
        if each.default is NATURAL_UNLESS_SET and estimand._has_default_control():
            continue
        if each.kw_only and is_default(each.name, value, each.default):
            continue
        # a pair of levels of one treatment is a range; several treatments have lists
        pair = each.name in ("treated", "control") and len(estimand.treatments) == 1
        shown = _plain(value, pair)
        if "<" in shown or "lambda" in shown or "..." in shown:
            return None
        parts.append(shown if not each.kw_only else f"{each.name}={shown}")
    return f"{type(estimand).__name__}({', '.join(parts)})"


# --------------------------------------------------------------------------- private


def _a(noun: str) -> str:
    return f"an {noun}" if noun[:1] in tuple("aeiou") else f"a {noun}"


def _what(effect: Effect) -> str:
    """Return what is asked about, as the sentence of the answer says it."""
    estimand: Any = effect.estimand
    if isinstance(estimand, ITE):
        return str(estimand.outcome_name)
    if effect.binary and isinstance(estimand.functional, Mean):
        return f"the probability of {estimand.outcome_name}"
    what, how = quantity(estimand.functional, estimand.outcome_name)
    return f"{what} {how}".strip()


def _plain(value: Any, levels: bool) -> str:
    if isinstance(value, Condition):
        held = {name: _ends(spec) for name, spec in value.clauses}
        known = int | float | str | tuple | set | frozenset
        plain = all(name and isinstance(spec, known) for name, spec in held.items())
        return repr(held) if plain else "<a mask or a rule>"
    if isinstance(value, np.ndarray):
        return repr(value.tolist())
    return repr(list(value) if isinstance(value, tuple) and not levels else value)


def _ends(spec: Any) -> Any:
    """Return a range with None where it has no end."""
    if not isinstance(spec, tuple):
        return spec
    return tuple(None if isinstance(v, float) and math.isinf(v) else v for v in spec)
