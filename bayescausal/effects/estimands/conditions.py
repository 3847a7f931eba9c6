r"""Conditions: which units a question is about.

A condition restricts the population to a subgroup. Conditioning is not intervening:
``E[Y | do(X=1), Z=1]`` looks only at units where `Z` is 1, ``E[Y | do(X=1, Z=1)]`` makes it so.
A :class:`Condition` says which variables it reads and which units belong, draw by draw where a
variable is latent. It fails where nobody belongs, and changes the question where `Z` is itself
an effect of `X`; both are for the caller of this file to see, since they need the units and the
graph.

References
----------
J. Pearl, *Causality*, 2nd ed., Cambridge University Press, 2009, section 4.1.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayescausal.effects.estimands.functionals import Probability
from bayescausal.effects.estimands.notation import LATEX, PLAIN, Notation, number
from bayescausal.model.kinds import as_mask, as_text
from bayescausal.model.labels import in_order
from bayescausal.types import EstimandError

__all__ = ["EVERYONE", "Condition", "Outside", "Where", "parse_given"]


@dataclass(frozen=True, eq=False)
class Where:
    """A condition that is a function of named variables.

    Parameters
    ----------
    function : callable
        Takes arrays of values, returns an array of booleans.
    reads : sequence of str, optional
        The variables it reads, in the order of its arguments. Default: the arguments' names.

    Raises
    ------
    EstimandError
        If it is not callable, or what it reads cannot be told.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.Where(lambda a, b: a > b, reads=["dose", "body mass"]).reads
    ('dose', 'body mass')
    """

    function: Callable[..., Any]
    reads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise EstimandError(f"Where takes a function, found {type(self.function).__name__}.")
        reads = (self.reads,) if isinstance(self.reads, str) else tuple(self.reads)
        object.__setattr__(self, "reads", reads or _argument_names(self.function))

    def __repr__(self) -> str:
        return f"Where({self._label()}({', '.join(self.reads)}))"

    def _label(self) -> str:
        label = getattr(self.function, "__name__", "f")
        return "f" if label == "<lambda>" else label


@dataclass(frozen=True, eq=False)
class Outside:
    """The complement of an event, as what a condition asks of a variable.

    Examples
    --------
    >>> from bayescausal.effects.estimands.functionals import Probability
    >>> from bayescausal.effects.estimands.populations import Outside, parse_given
    >>> parse_given({"Y": Outside(Probability(above=2))}).describe()
    'Y <= 2'
    """

    event: Probability  # the event that must not happen


@dataclass(frozen=True, eq=False)
class Condition:
    """Which units belong to the subgroup that a question is about. Made by :func:`parse_given`.

    Examples
    --------
    >>> from bayescausal.effects.estimands.populations import parse_given
    >>> old = parse_given({"age": (60, None), "sex": {"f"}})
    >>> old.describe(), old.reads
    ('age >= 60, sex=f', ('age', 'sex'))
    >>> old.member({"age": [70, 50, 65], "sex": ["f", "f", "m"]})
    array([ True, False, False])
    """

    # For each variable (the empty name for a mask or a function of several) what is asked of it.
    # All clauses must hold.
    clauses: tuple[tuple[str, Any], ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the variables that decide membership, each once."""
        names: dict[str, None] = {}
        for name, spec in self.clauses:
            for read in spec.reads if isinstance(spec, Where) else (name,) if name else ():
                names[read] = None
        return tuple(names)

    @property
    def is_value(self) -> bool:
        """Whether it leaves each variable that it reads one value only."""
        return all(
            bool(name) and not _several(spec) and not _is_array(spec) for name, spec in self.clauses
        )

    @property
    def masks(self) -> tuple[np.ndarray, ...]:
        """The masks among the clauses: one boolean for each unit, in the order of the data."""
        return tuple(spec for name, spec in self.clauses if not name and _is_array(spec))

    def in_order(self, dims: tuple[str, ...], labels: Mapping[str, Any]) -> Condition:
        """Return the condition with masks that carry labels in the order of the units."""
        return Condition(
            tuple(
                (name, np.asarray(in_order(spec, dims, labels, "The mask given=")))
                if not name and _is_array(spec)
                else (name, spec)
                for name, spec in self.clauses
            )
        )

    def __bool__(self) -> bool:
        return bool(self.clauses)

    def __and__(self, other: Condition) -> Condition:
        return Condition(self.clauses + other.clauses)

    def member(self, values: Mapping[str, Any]) -> np.ndarray:
        """Return which units belong.

        `values`: values of the variables that are read, broadcastable against each other: (unit
        dims) or (draw, unit dims).
        Returns (bool): broadcast shape of what was read and of the masks; a scalar True without
        clauses. NaN never belongs.
        Raises EstimandError if a variable is missing, a mask does not fit the units, or a function
          returns something that is not boolean.
        """
        missing = [name for name in self.reads if name not in values]
        if missing:
            raise EstimandError(
                f"The condition reads {', '.join(map(repr, missing))}, whose values are not there.",
                remedy=f"Values: {', '.join(values) or 'none'}.",
            )
        belongs = np.asarray(True)
        for name, spec in sorted(self.clauses, key=lambda clause: not clause[0]):
            inside = _holds(name, spec, values)
            try:
                belongs = belongs & inside
            except ValueError:
                raise EstimandError(
                    f"A condition of shape {inside.shape} for units of shape {belongs.shape}.",
                    expected="One boolean for each unit, in the order of the data.",
                ) from None
        return belongs

    def labels_there_are(self, labels: Mapping[str, Iterable[object]]) -> str:
        """Return the labels of a variable where a clause asks for another one; else nothing."""
        for name, spec in self.clauses:
            known = list(labels.get(name, ()))
            asked = spec if isinstance(spec, list) else [spec]
            if known and any(isinstance(v, str) and v not in known for v in asked):
                return f"{name!r} has the labels {', '.join(map(str, known))}."
        return ""

    def describe(self) -> str:
        """Return the condition as plain mathematics: ``Z=1, 0 <= W <= 2``."""
        return self.write(PLAIN)

    def latex(self) -> str:
        """Return the condition as LaTeX."""
        return self.write(LATEX)

    def write(self, notation: Notation) -> str:
        """Return the condition as mathematics in that notation."""
        return ", ".join(_write(notation, name, spec) for name, spec in self.clauses)

    def __repr__(self) -> str:
        return f"Condition({self.describe() or 'everyone'})"


#: The condition that leaves nobody out.
EVERYONE = Condition()


def parse_given(given: object) -> Condition:
    """Return the condition that is meant.

    `given` (None, mapping, mask, callable, Where or Condition): a mapping asks of each variable: a
    value ``{"Z": 1}``; a range ``{"Z": (0, 2)}``, both ends included, None for an open end; a set
    or list of values ``{"Z": {1, 2}}``; a
    :class:`~bayescausal.effects.estimands.functionals.Probability` event; or a function of that
    variable. A mask has one boolean for each unit, in the order of the data. A callable names the
    variables it reads by its arguments (:class:`Where` for other names).
    Returns: the condition; false (everyone belongs) for None.

    Examples
    --------
    >>> from bayescausal.effects.estimands.populations import parse_given
    >>> parse_given(lambda dose, weight: dose > weight).reads
    ('dose', 'weight')
    """
    if given is None:
        return EVERYONE
    if isinstance(given, Condition):
        return given
    if isinstance(given, Where):
        return Condition((("", given),))
    if isinstance(given, Mapping):
        if not given:
            raise EstimandError(
                "given={} asks nothing.", remedy="Leave it out, or name a variable."
            )
        return Condition(tuple((_name(k), _parse_spec(k, v)) for k, v in given.items()))
    if callable(given):
        return Condition((("", Where(given)),))
    mask = as_mask(given if isinstance(given, pd.Series | xr.DataArray) else np.asarray(given))
    if mask.dtype == bool and mask.ndim:
        return Condition((("", mask),))
    raise EstimandError(
        f"given={given!r} cannot be read.",
        expected="A mapping such as {'Z': 1}, a mask of booleans, or a function of variables.",
    )


def _name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise EstimandError(f"{name!r} is not the name of a variable.", expected="A string.")
    return name


def _parse_spec(name: str, spec: object) -> Any:
    """Parse what is asked of one variable: kept as value, range, frozen levels or function."""
    if isinstance(spec, (Where, Probability, Outside)):
        return spec
    if callable(spec):
        return Where(spec, reads=(name,))
    if isinstance(spec, tuple):
        if len(spec) != 2:
            raise EstimandError(
                f"given {name!r}: a tuple of {len(spec)} is not a range.",
                expected="(low, high); a set for several values.",
            )
        low = -np.inf if spec[0] is None else _limit(name, spec[0])
        high = np.inf if spec[1] is None else _limit(name, spec[1])
        if not low <= high:
            raise EstimandError(
                f"given {name!r}: the range ({low:g}, {high:g}) is empty.",
                expected="(low, high), low <= high.",
            )
        return (low, high)
    if isinstance(spec, (AbstractSet, list, range, np.ndarray)):
        levels = list(spec.tolist() if isinstance(spec, np.ndarray) else spec)
        if not levels:
            raise EstimandError(f"given {name!r}: no value is allowed.", expected="One at least.")
        ordered = (
            sorted(levels, key=lambda v: (isinstance(v, str), v))
            if isinstance(spec, AbstractSet)
            else levels
        )
        values = [_value(name, v) for v in ordered]
        return values if len(values) > 1 else values[0]
    return _value(name, spec)


def _limit(name: str, value: Any) -> float:
    try:
        limit = float(value)
    except (TypeError, ValueError):
        limit = np.nan
    if np.isnan(limit):
        raise EstimandError(
            f"given {name!r}: {value!r} is not a limit.",
            expected="A number.",
            remedy="Of dates and other labels, name a set. A range of a column of the table is a "
            f"mask, one boolean for each unit: given=data[{name!r}].between(low, high).",
        )
    return limit


def _value(name: str, value: object) -> float | str:
    value = as_text(value)
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "biuf" or not np.isfinite(array):
        raise EstimandError(
            f"given {name!r}: {value!r} is not a value.",
            expected="A finite number, a label, a range (low, high), a set of values, a function.",
        )
    return array.item()


def _several(spec: object) -> bool:
    """Tell whether more than one value meets what is asked of a variable."""
    if isinstance(spec, tuple):
        return bool(spec[0] != spec[1])
    return isinstance(spec, (list, Where, Probability, Outside))


def _is_array(spec: object) -> bool:
    return isinstance(spec, np.ndarray | pd.Series | xr.DataArray)


def _holds(name: str, spec: Any, values: Mapping[str, Any]) -> np.ndarray:
    """Return where one clause holds."""
    if _is_array(spec):
        return np.asarray(spec)
    if isinstance(spec, Where):
        inside = np.asarray(spec.function(*(np.asarray(values[r]) for r in spec.reads)))
        if inside.dtype != bool:
            raise EstimandError(
                f"The condition {spec!r} returned {inside.dtype}, not booleans.",
                remedy="Compare: for example z > 0.",
            )
        return inside
    value = np.asarray(values[name])
    event = spec.event if isinstance(spec, Outside) else spec
    ranged = isinstance(event, Probability) and event.equals is None
    if value.dtype.kind in "SU" and (isinstance(spec, tuple) or ranged):
        raise EstimandError(
            f"given {name!r}: its values are labels ({', '.join(map(str, value.ravel()[:3]))}), "
            "which have no range.",
            expected="A label, a set of labels, or a function of them.",
        )
    if isinstance(spec, Probability):
        return spec.indicator(value)
    if isinstance(spec, Outside):
        return ~spec.event.indicator(value) & (value == value)
    if isinstance(spec, tuple):
        return (value >= spec[0]) & (value <= spec[1])
    if isinstance(spec, list):
        return np.asarray(np.logical_or.reduce([value == level for level in spec]))
    return np.asarray(value == spec)


def _write(notation: Notation, name: str, spec: Any) -> str:
    """Return one clause as mathematics."""
    shown = notation.name(name)
    if _is_array(spec):
        text = f"mask of {int(spec.sum())} of {spec.size} units"
        return notation.name(text) if notation.latex else text
    if isinstance(spec, Where):
        label = notation.name(spec._label()) if len(spec._label()) > 1 else spec._label()
        return f"{label}({', '.join(notation.name(r) for r in spec.reads)})"
    if isinstance(spec, Probability):
        return spec.event(notation, shown)
    if isinstance(spec, Outside):
        return spec.event.event(notation, shown, happens=False)
    if isinstance(spec, tuple):
        low, high = spec
        if np.isinf(high):
            return notation.relation(shown, ">=", number(low))
        if np.isinf(low):
            return notation.relation(shown, "<=", number(high))
        return notation.relation(notation.relation(number(low), "<=", shown), "<=", number(high))
    if isinstance(spec, list):
        return notation.relation(shown, "in", notation.levels(spec))
    return notation.relation(shown, "=", notation.level(spec))


def _argument_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a function's arguments without defaults."""
    try:
        parameters: Sequence[inspect.Parameter] = tuple(
            inspect.signature(function).parameters.values()
        )
    except (TypeError, ValueError):
        parameters = ()
    names = tuple(p.name for p in parameters if p.default is p.empty)
    starred = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
    if not names or starred:
        raise EstimandError(
            "What the condition reads cannot be told from its arguments.",
            remedy="Name its arguments after variables, or use Where(function, reads=[...]).",
        )
    return names
