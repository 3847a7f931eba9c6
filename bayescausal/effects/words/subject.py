"""The words of a contrast of two worlds: the defaults, which a question may replace by its own.

Each takes the question, the teller of the answer and, where there is one number, its cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayescausal.effects.estimands.functionals import Probability
from bayescausal.effects.estimands.notation import PLAIN

if TYPE_CHECKING:
    from bayescausal.effects.estimands.conditions import Condition
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.effects.estimands.parts import Teller

__all__ = ["among", "ask_contrast", "effect_of", "odds_of", "on_scale", "open_contrast", "told_as"]


def odds_of(estimand: Estimand) -> str:
    """Return the event whose odds are meant; the outcome itself where it is a probability."""
    if isinstance(estimand.functional, Probability):
        return estimand.functional.event(PLAIN, estimand.outcome_name)
    if estimand.functional.share:
        return str(estimand.functional.words(estimand.outcome_name).partition(" of ")[2])
    return estimand.outcome_name


def effect_of(estimand: Estimand, said: Teller, cell: dict[str, Any], what: str) -> str:
    """Return that doing something changes something by an amount, on its scale."""
    act = estimand.doing()
    value = said.text(cell["mean"], cell)
    noun, _ = said.quantity(noun=True)
    match estimand.scale.name:
        case "difference":
            side = said.side(cell)
            verb = {"higher": "raises", "lower": "lowers"}.get(side, "changes")
            size = said.text(abs(cell["mean"]), cell) if side else said.with_sign(cell)
            return f"{act} {verb} {what} by {size}{_per(estimand)}"
        case "ratio":
            return f"{act} multiplies {noun} by {value}"
        case "odds ratio":
            return f"{act} multiplies the odds of {odds_of(estimand)} by {value}"
        case "log ratio":
            return f"{act} changes {noun} by a log ratio of {value}{_per(estimand)}"
        case name:
            return f"{act} changes {noun} by {value} on the scale {name!r}"


def on_scale(estimand: Estimand, said: Teller) -> str:
    """Return the outcome and the scale it is told on, after a space."""
    noun, _ = said.quantity(noun=True)
    name = estimand.scale.name
    if name == "difference":
        what, _ = said.quantity()
        return f" {what}{_per(estimand)}{said.taken()}"
    if name == "odds ratio":
        return f" the odds of {odds_of(estimand)} by a factor"
    return f" {noun} by a factor" if name == "ratio" else f" {noun} by a {name}"


def open_contrast(estimand: Estimand, said: Teller) -> str:
    """Return the opening of a sentence about several cells."""
    return f"{estimand.doing()} changes{on_scale(estimand, said)}{said.within()}"


def ask_contrast(estimand: Estimand, said: Teller, what: str) -> str:
    """Return the question about two worlds as a person would ask it, without its mark."""
    act, ask = estimand.doing(), "what does "
    if act.startswith("with "):  # a circumstance comes before what is done
        first, _, act = act.partition(", ")
        ask = f"{first}, what does "
    called = f" ({estimand.called})" if estimand.called else ""
    # of treated and untreated, the group is part of what is asked
    whom = f" among {said.who}" if said.who else among(said.units, estimand.condition)
    return f"{ask}{act} do to {what}{whom}{called}{told_as(estimand)}"


def among(units: str, condition: Condition) -> str:
    """Return the subgroup that a question is about, after a space."""
    return f" among {units} with {condition.describe()}" if condition else ""


def told_as(estimand: Estimand) -> str:
    """Return the scale of an answer in brackets, unless it is a difference."""
    scale = getattr(estimand, "scale", None)
    if scale is None or scale.name == "difference":
        return ""
    article = "an" if scale.name[:1] in tuple("aeiou") else "a"
    return f" (as {article} {scale.name})"


# --------------------------------------------------------------------------- private


def _per(estimand: Estimand) -> str:
    return f" per unit of {estimand.treatments[0]}" if estimand.derivative else ""
