"""What a question says that its formula does not: levels, subgroup, event and scale.

A verdict is about variables, ``P(y | do(x))``; the question it was asked with says which values of
them are meant. Where the caller names none, these are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayescausal.effects.estimands.functionals import Mean, Probability
from bayescausal.effects.estimands.populations import Target
from bayescausal.types import EstimandError, Set

if TYPE_CHECKING:
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.graph.identification.verdict import Identification

__all__ = ["Asked", "as_asked"]


class Asked(NamedTuple):
    """What is evaluated beside the formula."""

    treated: Any = 1
    control: Any = 0
    given: Any = None
    event: Any = None
    scale: Any = "difference"


def as_asked(identification: Identification, named: Asked) -> Asked:
    """Return what the caller named, and for the rest what the question says.

    Raises EstimandError for a question that is about more than values of its variables.
    """
    asked: Any = identification.asked
    if asked is None:
        return named
    names = identification.question.treatment
    own = {
        "treated": lambda: _level(asked, names, 0),
        "control": lambda: _level(asked, names, 1),
        "given": lambda: _given(asked, identification),
        "event": lambda: _event(asked),
        "scale": lambda: getattr(asked, "scale", "difference"),
    }
    if isinstance(asked.population, Target):
        raise _more(asked, "the population that the rows were drawn from")
    silent = Asked()._asdict()
    return Asked(
        **{
            n: own[n]() if type(value) is type(silent[n]) and value == silent[n] else value
            for n, value in named._asdict().items()
        }
    )


def _level(asked: Estimand, names: tuple[str, ...], which: int) -> dict[str, object] | None:
    """Return the levels of the treatments in a world; of a control that is not asked about, None.

    Those of a reversed indirect effect change places: E[y(1, M(0))] - E[y(1, M(1))].
    """
    arms = getattr(asked, "treated", None), getattr(asked, "control", None)
    if not hasattr(asked, "treated"):
        acts = asked.worlds()["expected"].items()
        return None if which else {n: _value(asked, act) for n, act in acts}
    reverse = getattr(asked, "reverse", False)
    level = arms[1 - which if reverse else which]
    if isinstance(level, Mapping) and {*level} != {*asked.treatments}:
        raise _more(asked, "two worlds that set the same variables")
    each = level if isinstance(level, Mapping) else dict.fromkeys(asked.treatments or names, level)
    if isinstance(level, tuple):  # one for each treatment
        each = dict(zip(asked.treatments, level, strict=True))
    held = getattr(asked, "mediators", None) if asked.kind == "cde" else None
    return {n: _value(asked, act) for n, act in {**each, **(held or {})}.items()}


def _given(asked: Estimand, identification: Identification) -> dict[str, object] | None:
    """Return the values of what the effect is conditional on."""
    query = identification.question
    if asked.by:
        raise EstimandError(
            f"{asked.label()} asks for one effect for each value of {', '.join(asked.by)}, and a "
            "formula has one value of it.",
            remedy=f"Ask for one at a time: plug_in(..., given={{{asked.by[0]!r}: value}}).",
        )
    clauses = {n: v for n, v in asked.condition.clauses if n in (*query.given, *query.natural)}
    if identification.kind in ("ATT", "ATU"):  # these say which treatment units had
        own = {(n, _value(asked, v)) for n, v in asked.condition.clauses if n in query.natural}
        if len({n for n, _ in own}) < len(own):
            raise EstimandError(
                f"{asked.label()} is about nobody: {asked.condition.describe()}.",
                remedy="Leave the treatment out of given=, or ask CATE.",
            )
        clauses = {n: v for n, v in clauses.items() if n in query.given}
    ranges = set(query.given) - {*clauses}
    if ranges and identification.kind != "ATO":  # a range is a variable of its own in the graph
        raise _more(asked, "one value for each variable")
    return {n: _value(asked, v) for n, v in clauses.items()} or None


def _event(asked: Estimand) -> float | str | None:
    """Return the value of the outcome whose probability is asked for; None for a mean."""
    if isinstance(asked.functional, Mean):
        return None
    if isinstance(asked.functional, Probability) and asked.functional.equals is not None:
        return asked.functional.equals
    raise _more(asked, "a mean or the probability of one value")


def _value(asked: Estimand, level: object) -> object:
    """Return the one value of a level."""
    level = level.value if isinstance(level, Set) else level
    if not isinstance(level, str | int | float | bool | np.generic):
        raise _more(asked, "one value for each variable")
    return level


def _more(asked: Estimand, what: str) -> EstimandError:
    return EstimandError(
        f"{asked.label()} asks for more than a formula of probabilities says.",
        expected=f"{what}.",
        remedy="Name what is meant by treated=, control=, given= and event= beside the verdict "
        "on the names, bc.identify(graph, treatment, outcome), or fit a model.",
    )
