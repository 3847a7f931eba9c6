"""What an estimand is made of, parsed: names, levels, worlds, events, options.

Each function takes what a person writes and returns what the rest can trust, or refuses it. An
option that has no meaning for a question is refused rather than ignored, and so is a contrast of a
world with itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.estimands.conditions import Condition, parse_given
from bayescausal.effects.estimands.functionals import Functional, Probability, parse_functional
from bayescausal.effects.estimands.notation import PLAIN
from bayescausal.effects.estimands.populations import parse_population
from bayescausal.effects.estimands.scales import EffectScale, parse_scale
from bayescausal.model.kinds import as_text
from bayescausal.types import EstimandError, Intervention, Scale, Set, Shift, closest

if TYPE_CHECKING:
    from bayescausal.effects.estimands.estimand import Estimand

__all__ = [
    "NATURAL_UNLESS_SET",
    "PARSERS",
    "World",
    "as_world",
    "default_control",
    "has_default_control",
    "is_default",
    "mapping_world",
    "parse_event",
    "parse_levels",
    "parse_name",
    "parse_names",
    "parse_paths",
    "parse_treatment",
    "refuse_options",
    "refuse_overlaps",
    "refuse_same_worlds",
    "same_world",
]

#: What is done to each variable; the empty mapping is the natural course.
World = dict[str, Intervention]


class _Zero(int):
    """The default control: 0, or the natural course where the treatment is not set."""

    def __repr__(self) -> str:
        return "0"


#: Default of ``control``; an explicit 0 always means ``do(X=0)``.
NATURAL_UNLESS_SET = _Zero(0)


def default_control(treated: object, control: object) -> object:
    """Return the control level: the default is 0, or None where the treatment is modified.

    Examples
    --------
    >>> from bayescausal.effects.estimands.parsing import NATURAL_UNLESS_SET, default_control
    >>> from bayescausal.types import Shift
    >>> default_control(1, NATURAL_UNLESS_SET), default_control(Shift(1), NATURAL_UNLESS_SET)
    (0, None)
    """
    if control is not NATURAL_UNLESS_SET:
        return control
    return None if isinstance(treated, Intervention) and not isinstance(treated, Set) else 0


def as_world(levels: Mapping[str, Any]) -> World:
    """Return a world: each level as an intervention, the natural course left out.

    `levels`: a value, an :class:`~bayescausal.types.Intervention`, or None (natural course).
    Raises EstimandError if a level is not finite, or is no level.

    Examples
    --------
    >>> as_world({"X": 1, "W": None})
    {'X': Set(value=1)}
    """
    world: World = {}
    for name, level in levels.items():
        parse_names(name, "treatment")
        if level is None or (isinstance(level, Mapping) and not level):
            continue
        if isinstance(level, (tuple, Mapping)):
            raise EstimandError(
                f"The level {level!r} of {name!r} is not one value.",
                expected="A number, an array with one value per unit, or an intervention; a range "
                "(low, high) has a meaning only for the treated of ATT and the controls of ATU.",
            )
        level = as_text(level)
        what = level if isinstance(level, Intervention) else Set(level)
        value = getattr(what, "by" if isinstance(what, (Shift, Scale)) else "value", 0)
        if not _is_finite(value):
            raise EstimandError(
                f"The level {value!r} of {name!r} is not finite.", expected="Finite numbers."
            )
        world[name] = what
    return world


def mapping_world(levels: object, what: str) -> World:
    """Return a mapping of levels as a world; None is the natural course.

    Examples
    --------
    >>> mapping_world(None, "do")
    {}
    """
    if levels is None:
        return {}
    if not isinstance(levels, Mapping):
        raise EstimandError(
            f"{what}={levels!r} is not a mapping.", expected="Variables and levels: {'X': 1}."
        )
    return as_world(levels)


def parse_event(event: object) -> Probability:
    """Return the event of an outcome that is meant.

    `event` (None, float, str or Probability): None: the outcome equals 1. A value: it equals that.
    Else any event.

    Examples
    --------
    >>> parse_event(None)
    Probability(equals=1)
    """
    if isinstance(event, Probability):
        return event
    if isinstance(event, (bool, np.bool_)):
        return Probability(equals=int(event))
    if event is None or isinstance(event, (str, int, float, np.number)):
        value: Any = 1 if event is None else event
        return Probability(equals=value)
    raise EstimandError(
        f"event={event!r} is not an event.",
        expected="A value of the outcome, or Probability(above=...).",
    )


def parse_names(names: object, what: str) -> tuple[str, ...]:
    """Return one or several names of variables as a tuple."""
    several = (names,) if isinstance(names, str) else names
    if not isinstance(several, Sequence) or not several:
        raise EstimandError(f"{what}={names!r}.", expected="The name of a variable, or a list.")
    for name in several:
        if not isinstance(name, str) or not name:
            raise EstimandError(f"{what}: {name!r} is not a name.", expected="A string.")
    if len(set(several)) < len(several):
        raise EstimandError(f"{what}={list(several)!r} names a variable twice.")
    return tuple(several)


def parse_name(names: object) -> str:
    if not isinstance(names, str) or not names:
        raise EstimandError(f"outcome={names!r}.", expected="The name of one variable.")
    return names


def parse_levels(names: tuple[str, ...], levels: object, role: str) -> tuple[Any, ...]:
    """Return one level for each of several treatments."""
    if levels is NATURAL_UNLESS_SET or levels is None or np.ndim(_plain(levels)) == 0:
        return (levels,) * len(names)
    if not isinstance(levels, Sequence | np.ndarray) or len(levels) != len(names):
        raise EstimandError(
            f"{role}={levels!r} for {len(names)} treatments.",
            expected=f"A list of one level for each of {', '.join(names)}, or one level for all.",
        )
    return tuple(levels)


def parse_treatment(estimand: Estimand) -> None:
    """Check treatments and levels of a question; several treatments become tuples."""
    names = parse_names(estimand.treatment, "treatment")
    single = isinstance(estimand.treatment, str)
    estimand._put("treatment", names[0] if single else names)
    if estimand.outcome_name in names:
        raise EstimandError(
            f"{estimand.outcome_name!r} is both treatment and outcome.",
            remedy="Name two different variables.",
        )
    roles = [role for role in ("treated", "control") if hasattr(estimand, role)]
    if not single:
        for role in roles:
            estimand._put(role, parse_levels(names, getattr(estimand, role), role))
    if len(roles) == 2:
        estimand._put("_default_levels", estimand.control is NATURAL_UNLESS_SET)
        resolved = tuple(default_control(*pair) for pair in _pairs(estimand))
        estimand._put("control", resolved[0] if single else resolved)


def named_by_text(estimand: Estimand) -> tuple[str, ...]:
    """Return the treatments, if a level of one of them is named by text.

    Examples
    --------
    >>> from bayescausal.effects.estimands.averages import ATE, Expected
    >>> named_by_text(ATE("arm", "y", treated="B", control="A")), named_by_text(ATE("arm", "y"))
    (('arm',), ())
    >>> named_by_text(Expected("y", {"arm": "B"}))
    ('arm',)
    """
    held = [getattr(estimand, role, None) for role in ("treated", "control", "do")]
    flat = [v for one in held for v in (one if isinstance(one, list | tuple) else [one])]
    flat = [v for one in flat for v in (one.values() if isinstance(one, Mapping) else [one])]
    values = [v.value if isinstance(v, Set) else v for v in flat]
    return estimand.treatments if any(isinstance(v, str) for v in values) else ()


def has_default_control(estimand: Estimand) -> bool:
    """Return whether the control is what it would be had it not been named."""
    return all(c is default_control(t, NATURAL_UNLESS_SET) for t, c in _pairs(estimand))


def _pairs(estimand: Estimand) -> zip[tuple[Any, Any]]:
    """Return the two levels of each treatment."""
    single = isinstance(estimand.treatment, str)
    levels = ((v,) if single else v for v in (estimand.treated, estimand.control))
    return zip(*levels, strict=True)


def parse_paths(paths: object, treatment: str, outcome: str) -> tuple[tuple[str, ...], ...]:
    """Return paths as tuples of names, each from treatment to outcome."""
    if isinstance(paths, str):
        paths = [paths]
    elif isinstance(paths, Sequence) and paths and all(isinstance(p, str) for p in paths):
        paths = paths if any("->" in p for p in paths) else [paths]
    if not isinstance(paths, Sequence) or not paths:
        raise EstimandError(f"paths={paths!r}.", expected="'X -> M -> Y', or lists of names.")
    parsed = []
    for path in paths:
        steps = [s.strip() for s in path.split("->")] if isinstance(path, str) else path
        names = parse_names(list(steps), "paths")
        if len(names) < 2 or names[0] != treatment or names[-1] != outcome:
            raise EstimandError(
                f"The path {' -> '.join(names)} does not lead from {treatment!r} to {outcome!r}."
            )
        parsed.append(names)
    return tuple(dict.fromkeys(parsed))


def same_world(a: Mapping[str, Intervention], b: Mapping[str, Intervention]) -> bool:
    """Return whether two worlds are one."""
    if set(a) != set(b):
        return False
    for name, what in a.items():
        mine, yours = vars(what), vars(b[name])
        if type(what) is not type(b[name]):
            return False
        for key, value in mine.items():
            other = yours[key]
            if value is not other and (
                callable(value) or hasattr(value, "owner") or not np.array_equal(value, other)
            ):
                return False
    return True


def refuse_overlaps(question: Estimand) -> None:
    """Refuse a split by what the question itself is about, or its outcome as an event before."""
    for name in question.by:
        if name == question.outcome_name or name in question.treatments:
            raise EstimandError(
                f"by={name!r} is the treatment or the outcome.",
                remedy="Split by a variable that the treatment does not change.",
            )
    same = {question.outcome_name, f"recorded({question.outcome_name})"}
    if same.intersection(question.functional.others):
        raise EstimandError(
            f"before={question.outcome_name!r} is the outcome.",
            expected="the times of other events.",
        )


def refuse_same_worlds(estimand: Estimand) -> None:
    """Refuse a contrast of a world with itself."""
    worlds = estimand.worlds()
    if same_world(worlds["treated"], worlds["control"]):
        world = PLAIN.do(worlds["treated"]) or "the natural course"
        raise EstimandError(
            f"{estimand.title}: treated and control are the same world, {world}.",
            remedy="Name two different levels; the effect would be zero by definition.",
        )


def refuse_options(estimand: Estimand, **defaults: Any) -> None:
    """Refuse options that have no meaning for this estimand, rather than ignore them."""
    for name, default in defaults.items():
        value = getattr(estimand, name)
        if not is_default(name, value, default):
            raise EstimandError(
                f"{estimand.title} has no {name}, found {name}={value!r}.",
                remedy=f"Leave out {name}=.",
            )


def is_default(name: str, value: object, default: object) -> bool:
    if name in PARSERS and name != "outcome":
        parsed = PARSERS[name](default)
        if isinstance(value, (Functional, EffectScale)):
            return bool(value == parsed)
        if isinstance(value, Condition):
            return not value
        return value is parsed or (isinstance(value, (tuple, str)) and value == parsed)
    return value is default or (type(value) in (int, bool, str) and value == default)


# --------------------------------------------------------------------------- private


def _plain(levels: object) -> Any:
    """Return something whose np.ndim tells one level from a list of levels."""
    if isinstance(levels, (list, tuple)):
        return [0] * max(len(levels), 1)
    return 0 if isinstance(levels, (Intervention, str)) else levels


def _is_finite(value: object) -> bool:
    if isinstance(value, str) or hasattr(value, "owner"):
        return True
    try:
        array = np.asarray(value)
    except ValueError:
        return False
    if array.dtype.kind in "USO":
        return all(isinstance(v, str) for v in array.ravel())
    return array.size > 0 and array.dtype.kind in "biuf" and bool(np.all(np.isfinite(array)))


def _parse_by(by: object) -> tuple[str, ...]:
    return () if by is None or (isinstance(by, tuple) and not by) else parse_names(by, "by")


_COUPLINGS = ("monotone", "gumbel")
_BOUNDS = ("model", "margins")


def _parse_coupling(coupling: object) -> str | dict[str, Any] | None:
    """Return None, a coupling's name, or a mapping of variables to names."""
    if isinstance(coupling, Mapping):
        return {parse_name(name): _parse_coupling(value) for name, value in coupling.items()}
    if coupling is None or coupling in _COUPLINGS:
        return coupling
    raise EstimandError(
        f"{coupling!r} is not a coupling.",
        expected="'monotone' (common quantile), 'gumbel' (nominal), or a mapping by variable.",
        names=closest(str(coupling), _COUPLINGS)[:1],
    )


def _parse_bounds(bounds: object) -> str:
    if bounds in _BOUNDS:
        return str(bounds)
    raise EstimandError(
        f"{bounds!r} is not a kind of bounds.",
        expected="'model' (sharp given the model) or 'margins' (from the margins alone).",
        names=closest(str(bounds), _BOUNDS)[:1],
    )


#: How each field of an estimand is parsed.
PARSERS: dict[str, Any] = {
    "outcome": parse_name,
    "given": parse_given,
    "population": parse_population,
    "functional": parse_functional,
    "scale": parse_scale,
    "by": _parse_by,
    "coupling": _parse_coupling,
    "bounds": _parse_bounds,
    "event": parse_event,
}
