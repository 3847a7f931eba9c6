"""What the names in formulas stand for: modelled variables, columns of data, levels of factors.

A name with a formula of its own is a random variable of the model. A name that only stands on a
right side is *exogenous*: nothing is said about where it comes from. It is given by data, as a
``pm.Data`` with the unit dim; an intervention may set it. A name that is neither is refused: it is
most often misspelled.

A variable is *categorical*, that is, has levels and no order of magnitude, if its family says so
or its column holds labels, or if units are grouped by it. It then enters every term by its levels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.model.files import unsplit
from bayescausal.model.formulas.text import by_accident, check_levels, in_days
from bayescausal.model.formulas.tokens import pointed
from bayescausal.model.formulas.values import call_of, names_in
from bayescausal.model.kinds import Kind, are_numbers, kind_of
from bayescausal.types import RESERVED_NAMES, FormulaError, closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayescausal.model.formulas.families import FamilyChoice
    from bayescausal.model.formulas.parse import Formula

__all__ = ["Column", "Names", "read_names"]

#: The dim of the units in a model from formulas.
UNIT = "unit"
#: Numbers may be so large, and as small as one over it.
LARGEST = 1e100


@dataclass(frozen=True, eq=False)
class Column:
    """What is known of one variable."""

    name: str
    levels: tuple[Any, ...] | None  # the levels of a categorical variable, the reference first
    # Its values in the data, or its codes; None where the data do not have it.
    numeric: np.ndarray | None
    exogenous: bool  # whether it has no formula
    integer: bool = False  # whether it is used as whole numbers: it counts trials, or groups units
    # The number that stands for each level where labels are numbers; None for codes 0, 1, ...
    keys: tuple[Any, ...] | None = None


@dataclass(frozen=True, eq=False)
class Names:
    """All variables of a set of formulas."""

    # Exogenous ones first, then the modelled ones, parents before children.
    columns: Mapping[str, Column]
    parents: Mapping[str, tuple[str, ...]]  # what each formula reads
    rows: int  # rows of the data, or 0
    notes: tuple[str, ...] = field(default=())


def read_names(
    formulas: Mapping[str, Formula],
    families: Mapping[str, FamilyChoice],
    frame: pd.DataFrame | None,
    levels: Mapping[str, tuple[Any, ...]],
) -> Names:
    """Find out what every name in the formulas is.

    - `families`: of every response.
    - `levels`: levels that the caller declares.
    """
    reads = {name: _reads(formula, families[name]) for name, formula in formulas.items()}
    groups = {g for f in formulas.values() for term in f.groups for g in term.group}
    trials = {c.trials for c in families.values() if isinstance(c.trials, str)}
    order = _order(formulas, reads)
    exogenous = list(dict.fromkeys(n for r in reads.values() for n in r if n not in formulas))
    columns: dict[str, Column] = {}
    for name in exogenous:
        formula = next(
            f for f, r in zip(formulas.values(), reads.values(), strict=True) if name in r
        )
        known = list(formulas) + ([] if frame is None else list(frame.columns))
        _refuse_name(name, formula)
        if frame is not None and name in frame:
            use = _uses(name, formulas, name in groups)
            column = _given(name, frame[name], levels.get(name), formula, use)
        elif name in levels:
            own = tuple(levels[name])
            column = _labelled(name, own, kind_of([own[0]]))
        elif frame is None and name in groups:  # one level, until data name them
            column = Column(name, ("0",), np.zeros(1, dtype=np.int64), True)
        else:
            raise _unexplained(name, formula, known, frame)
        if name in trials:
            column = _whole(column, formula, "counts the trials of a binomial")
        columns[name] = column
    for name in order:
        _refuse_name(name, formulas[name])
        series = None if frame is None or name not in frame else frame[name]
        columns[name] = _modelled(name, series, families[name], levels.get(name), formulas[name])
    odd = [n for n in levels if n not in columns]
    if odd:
        raise FormulaError(
            f"levels names {odd[0]!r}, which no formula has.", names=closest(odd[0], columns)[:1]
        )
    return Names(
        columns, {n: tuple(r) for n, r in reads.items()}, 0 if frame is None else len(frame)
    )


def _reads(formula: Formula, choice: FamilyChoice) -> list[str]:
    """Return the variables on the right side of a formula."""
    found: dict[str, None] = {}
    for factor, lookup in formula.factors:
        names = [factor] if lookup else names_in(factor, formula.text)
        found.update(dict.fromkeys(names))
    for group in formula.groups:
        found.update(dict.fromkeys(group.group))
    found.update({n: None for n in (choice.trials, choice.sigma) if isinstance(n, str)})
    return list(found)


def _uses(name: str, formulas: Mapping[str, Formula], grouping: bool) -> frozenset[str]:
    """Return how a column is read: as a group, in C(), or as it is ("x")."""
    found = {"group"} if grouping else set()
    for formula in formulas.values():
        for factor, lookup in formula.factors:
            if name in ([factor] if lookup else names_in(factor, formula.text)):
                found.add("x" if lookup or call_of(factor, formula.text)[0] != "C" else "C")
    return frozenset(found)


def _order(formulas: Mapping[str, Formula], reads: Mapping[str, list[str]]) -> list[str]:
    """Return the responses, parents first, or name a cycle."""
    order: list[str] = []
    path: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        if name in path:
            loop = [*path[path.index(name) :], name]
            if len(loop) == 2:
                text = formulas[name].text
                start = text.index("~")
                raise FormulaError(
                    f"{name!r} stands on both sides of its formula."
                    f"{pointed(text, name, start=start)}",
                    expected="other variables on the right.",
                )
            raise FormulaError(
                f"The formulas go round in a circle: {' -> '.join(reversed(loop))}.",
                expected="an order in which every variable comes after its causes.",
                remedy="Index the variable by time (y0, y1), or take one arrow out.",
            )
        path.append(name)
        for parent in reads[name]:
            if parent in formulas:
                visit(parent)
        path.pop()
        order.append(name)

    for name in formulas:
        visit(name)
    return order


def _refuse_name(name: str, formula: Formula) -> None:
    if name in RESERVED_NAMES or name == UNIT:
        raise FormulaError(
            f"{name!r} is the name of a dim of the results.{pointed(formula.text, name)}",
            expected=f"other names than {', '.join(sorted({*RESERVED_NAMES, UNIT}))}.",
            remedy="Rename the variable.",
        )


def _unexplained(
    name: str, formula: Formula, known: list[str], frame: pd.DataFrame | None
) -> FormulaError:
    where = pointed(formula.text, name, start=formula.text.index("~"))
    if frame is not None:
        what = f"{name!r} has no formula, and the data have no column of that name.{where}"
        remedy = unsplit(frame.columns) or f"Write its formula ({name} ~ 1), or add the column."
    else:
        what = f"{name!r} has no formula, and there are no data to take it from.{where}"
        remedy = f"Write its formula ({name} ~ 1), or pass data= with its column."
    return FormulaError(what, remedy=remedy, names=closest(name, known)[:1])


def _levels_of(kind: Kind, declared: Sequence[object] | None, name: str) -> tuple[Any, ...]:
    """Return the levels of a column: declared, those of the categorical, or sorted."""
    found = list(dict.fromkeys(_seen(kind)))
    if declared is not None:
        odd = [v for v in found if v not in declared]
        if odd:
            raise FormulaError(
                f"{name!r} is {odd[0]!r} in the data, which is none of its levels.",
                expected=", ".join(map(repr, declared)) + ".",
            )
        return tuple(declared)
    if kind.categories is not None:
        return kind.categories
    try:
        return tuple(sorted(found))
    except TypeError as error:
        raise FormulaError(
            f"{name!r} holds labels of several kinds: {found[0]!r}, {found[-1]!r}.",
            expected="texts, or numbers.",
        ) from error


def _seen(kind: Kind) -> list[Any]:
    """Return the values of a column that are not empty."""
    if kind.what != "number":
        return [v for v in kind.values.tolist() if v is not None]
    values = kind.values
    return values[~np.isnan(values)].tolist() if values.dtype.kind == "f" else values.tolist()


def _codes(kind: Kind, levels: tuple[Any, ...]) -> np.ndarray:
    place = {v: i for i, v in enumerate(levels)}
    return np.array([place.get(v, -1) for v in kind.values.tolist()], dtype=np.int64)


def _labelled(name: str, levels: tuple[Any, ...], kind: Kind) -> Column:
    """Return an exogenous category: as codes, or, where its labels are numbers, as these."""
    if not are_numbers(levels):
        return Column(name, levels, _codes(kind, levels), True)
    values = np.array([float(v) for v in kind.values.tolist()])
    keys = tuple(float(v) for v in levels)
    if all(key.is_integer() for key in keys):
        values, keys = values.astype(np.int64), tuple(int(key) for key in keys)
    return Column(name, levels, values, True, keys=keys)


def _given(
    name: str,
    series: pd.Series,
    declared: Sequence[object] | None,
    formula: Formula,
    use: frozenset[str],
) -> Column:
    """Return an exogenous column: complete, as numbers or codes."""
    where = pointed(formula.text, name, start=formula.text.index("~"))
    kind = kind_of(series)
    dates = kind.what == "date"
    labels = declared is not None or kind.what == "label" or (dates and "x" not in use)
    if dates and labels:
        kind = kind_of(pd.Categorical(series))
    if series.isna().any():
        code = labels or "group" in use
        raise FormulaError(
            f"{name!r} has {int(series.isna().sum())} empty cells in the data and no formula."
            f"{where}",
            expected="a complete column.",
            remedy=f"Drop the rows, or make a level of what is missing: "
            f"data[{name!r}].astype(object).fillna('missing'). Labels are not imputed."
            if code
            else f"Write its formula ({name} ~ 1) to have them imputed, or drop the rows.",
        )
    if labels:
        found = _levels_of(kind, declared, name)
        if len(found) < 2 and "group" not in use:
            raise FormulaError(
                f"{name!r} has one level in the data, {found[0]!r}.{where}",
                expected="two levels or more.",
            )
        if use - {"group"} and declared is None:
            check_levels(name, kind, where)
        return _labelled(name, found, kind)
    if dates:
        raise FormulaError(
            f"{name!r} holds dates or durations.{where}",
            expected="numbers, or labels.",
            remedy=f"Say in what unit they count, such as {in_days(name, kind)}.",
        )
    values = kind.values.astype(float)
    if not np.isfinite(values).all():
        raise FormulaError(f"{name!r} is infinite in the data.{where}", expected="Finite numbers.")
    _check_size(name, values, where)
    if "group" in use:
        return _whole(Column(name, None, values, True), formula, "groups units")
    return Column(name, None, values, True)


def _check_size(name: str, values: np.ndarray, where: str) -> None:
    """Refuse numbers whose squares, summed and multiplied, leave double precision."""
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    if largest and not 1 / LARGEST <= largest <= LARGEST:
        raise FormulaError(
            f"The largest value of {name!r} is {largest:.3g}.{where}",
            expected=f"a size between {1 / LARGEST:g} and {LARGEST:g}.",
            remedy=f"Give the column in another unit: data[{name!r}] / {largest:.1g}.",
        )


def _whole(column: Column, formula: Formula, use: str) -> Column:
    """Return a column of whole numbers."""
    values = column.numeric
    if column.levels is not None or values is None or np.any(values != np.round(values)):
        raise FormulaError(
            f"{column.name!r} {use}, and is not whole.{pointed(formula.text, column.name)}",
            expected="whole numbers, or labels." if use == "groups units" else "whole numbers.",
        )
    return Column(column.name, None, values.astype(np.int64), True, integer=True)


def _modelled(
    name: str,
    series: pd.Series | None,
    choice: FamilyChoice,
    declared: Sequence[object] | None,
    formula: Formula,
) -> Column:
    """Return a column that has a formula; empty cells stay empty."""
    where = pointed(formula.text, name)
    if not choice.family.categorical:
        if declared is not None:
            raise FormulaError(
                f"levels names {name!r}, whose family is {choice.family.name}.",
                expected="a variable of the family categorical or ordinal.",
            )
        if series is None:
            return Column(name, None, None, False)
        kind = kind_of(series)
        if kind.what == "label" and not (kind.categories and are_numbers(kind.categories)):
            raise FormulaError(
                f"{name!r} is categorical in the data ({_seen(kind)[0]!r}, ...), but its family is "
                f"{choice.family.name}, for numbers.{where}",
                remedy=by_accident(name, kind)
                or f"Say families={{{name!r}: 'categorical'}} (or 'ordinal'), or code it as "
                + ("0 and 1 and say 'bernoulli'." if len({*_seen(kind)}) == 2 else "numbers."),
            )
        if kind.what == "date":
            raise FormulaError(
                f"{name!r} holds dates or durations.{where}",
                expected="numbers.",
                remedy=f"Say in what unit they count, such as {in_days(name, kind)}.",
            )
        numbers = [np.nan if v is None else float(v) for v in kind.values.tolist()]
        _check_size(name, np.array(numbers), where)
        return Column(name, None, np.array(numbers), False)
    found = declared if declared is not None else choice.levels
    if isinstance(found, int):
        found = tuple(range(found))
    if series is not None:
        kind = kind_of(series)
        found = _levels_of(kind, found, name)
        codes = _codes(kind, found)
        if kind.what == "number" and found != tuple(range(len(found))):
            raise FormulaError(
                f"{name!r} is {choice.family.name} and holds the numbers "
                f"{', '.join(map(str, found[:5]))}.{where}",
                expected="labels, or codes 0, 1, 2, ...",
                remedy=f"Make labels of them: data[{name!r}].astype(str), or, in the order of "
                f"levels, pd.Categorical(data[{name!r}], categories=[...]).",
            )
    else:
        codes = None
    if found is None:
        raise FormulaError(
            f"The levels of {name!r} are not known.{where}",
            remedy=f"Pass data= with its column, or levels={{{name!r}: [...]}}.",
        )
    if len(found) < 2:
        raise FormulaError(f"{name!r} has {len(found)} level.{where}", expected="two or more.")
    return Column(name, tuple(found), codes, False)
