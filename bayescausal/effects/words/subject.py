"""The subject of a sentence, question by question: what is done, which groups, which probability.

Questions differ in what their worlds are: two worlds to compare, nested worlds, one world, groups
that were seen, the distribution over units. Each becomes a phrase here.
"""

from __future__ import annotations

from typing import Any

from bayescausal.effects.estimands.causation import PN, PS
from bayescausal.effects.estimands.conditions import parse_given
from bayescausal.effects.estimands.curves import Slope
from bayescausal.effects.estimands.functionals import Probability
from bayescausal.effects.estimands.mediation import NDE, NIE, PSE
from bayescausal.effects.estimands.notation import PLAIN, number
from bayescausal.effects.words.intervention import circumstance, deed, listed, quantity

__all__ = ["doing", "groups", "odds_of", "of_units", "probability"]


def doing(estimand: Any) -> str:
    """Return what is done, for every question that compares two worlds."""
    if isinstance(estimand, Slope):
        where = "where it is" if estimand.at is None else number(estimand.at)
        return f"raising {estimand.treatment} a little from {where}"
    if isinstance(estimand, NDE | NIE):
        return _mediated(estimand)
    if isinstance(estimand, PSE):
        act = deed(estimand._arm("treated"), estimand._arm("control"))
        return f"{act} along {listed([' -> '.join(path) for path in estimand.paths])} alone"
    if hasattr(estimand, "treatment"):
        return deed(estimand._arm("treated"), estimand._arm("control"))
    worlds = estimand.worlds()
    return deed(worlds["treated"], worlds["control"])


def _mediated(estimand: Any) -> str:
    """Return a natural direct or indirect effect as a deed."""
    arms = {role: circumstance(estimand._arm(role)) for role in ("treated", "control")}
    arms = {role: text or "nothing done" for role, text in arms.items()}
    names = listed(list(estimand.mediators)) if estimand.mediators else "the mediators"
    own = "its value" if len(estimand.mediators or ()) == 1 else "their values"
    if isinstance(estimand, NDE):
        act = deed(estimand._arm("treated"), estimand._arm("control"))
        return f"{act}, {names} kept as with {arms['control']},"
    here, there = ("treated", "control") if estimand.reverse else ("control", "treated")
    way = f"from {own} with {arms[here]} to {own} with {arms[there]}"
    return f"with {arms[here]}, moving {names} {way}"


def groups(estimand: Any) -> tuple[str, str]:
    """Return the two groups of an association in words."""
    here, there = (
        parse_given({estimand.x: getattr(estimand, role)}).describe()
        for role in ("treated", "control")
    )
    return here, there


def odds_of(estimand: Any) -> str:
    """Return the event whose odds are meant; the outcome itself where it is a probability."""
    if isinstance(estimand.functional, Probability):
        return str(estimand.functional.event(PLAIN, estimand.outcome_name))
    return str(estimand.outcome_name)


def of_units(estimand: Any, units: str = "units") -> str:
    """Return a functional of the distribution of unit effects."""
    act = doing(estimand)
    scale = "" if estimand.scale.name == "difference" else f" ({estimand.scale.name})"
    change = f"the effect{scale} of {act} on {estimand.outcome_name}"
    if isinstance(estimand.functional, Probability):
        return f"the share of {units} for whom {estimand.functional.event(PLAIN, change)}"
    return f"{quantity(estimand.functional, change)[0]} over {units}"


def probability(estimand: Any, units: str = "units") -> str:
    """Return which probability of causation it is, in words."""
    treated, control = (circumstance(estimand._arm(role)) for role in ("treated", "control"))
    event = estimand.event.event(PLAIN, estimand.outcome)
    other = estimand.event.event(PLAIN, estimand.outcome, happens=False)
    if isinstance(estimand, PN):
        group = estimand.condition.describe()
        return f"among {units} with {group}, the probability of {other} with {control} instead"
    if isinstance(estimand, PS):
        group = estimand.condition.describe()
        return f"among {units} with {group}, the probability of {event} with {treated} instead"
    return f"the probability of {event} with {treated} and {other} with {control}"
