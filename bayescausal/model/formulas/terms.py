r"""From terms to columns: what each term adds to a linear predictor.

A term is a product of factors. Its numeric factors multiply into one number; each factor with
several columns, a category or a spline, brings a vector of coefficients. Which levels of a
category get a coefficient depends on what the other terms say already: after an intercept, a
category with K levels has room for K - 1 (the first level is the reference), without one for K.
The rule for any set of terms is that of patsy [1]_: a term spans the subsets of its categories
that no earlier term spans, and these are written with as few coefficients as do it.

References
----------
.. [1] N. J. Smith, *patsy: Describing statistical models in Python*, "From terms to matrices".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt

from bayescausal.model.formulas.columns import Categories, Piecewise, Polynomials, spline
from bayescausal.model.formulas.curves.harmonics import Harmonics
from bayescausal.model.formulas.tokens import pointed
from bayescausal.model.formulas.values import (
    Value,
    call_of,
    degree_of,
    evaluate_factor,
    names_in,
    number_of,
    unparsed,
)
from bayescausal.types import FormulaError, closest

if TYPE_CHECKING:
    import ast
    from collections.abc import Mapping, Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.model.formulas.parse import Formula, TermText
    from bayescausal.model.formulas.variables import Column

__all__ = ["Effect", "Scope", "effects_of", "factor_of", "plain_dim", "product_of", "safe"]

Vector = Categories | Piecewise | Polynomials | Harmonics


def safe(label: str) -> str:
    """Return a label that may stand in the name of a variable: files know no slash there."""
    return label.replace("/", "÷")


def plain_dim(name: str) -> str:
    """Return a name of a dim without commas, at which nutpie takes it apart."""
    return safe(name).replace(",", ";")


@dataclass(frozen=True, eq=False)
class Scope:
    """The variables of a model as far as it is built, and the columns of the data."""

    columns: Mapping[str, Column]
    variables: Mapping[str, Any]
    # The smallest and the largest level of variables that questions are about.
    reach: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def value(self, name: str, *, as_float: bool = False) -> Value:
        """Return a variable as a pair; whole numbers as floats where arithmetic is done."""
        symbolic = self.variables[name]
        if as_float and "float" not in str(symbolic.type.dtype):
            symbolic = pt.cast(symbolic, "float64")
        return Value(symbolic, self.columns[name].numeric)


@dataclass(frozen=True, eq=False)
class Effect:
    """A product of factors with its coefficients' dims.

    Attributes
    ----------
    label : str
        As in names of coefficients.
    number : Value or None
        The product of the numeric factors.
    vectors : tuple
        The factors with several columns.
    reads : frozenset of str
        The variables in it.
    degree : int
        As a polynomial in them; a function that is none counts as its argument.
    plain : bool
        Whether all factors are variables themselves.
    """

    label: str
    number: Value | None
    vectors: tuple[Vector, ...]
    reads: frozenset[str] = frozenset()
    degree: int = 0
    plain: bool = True

    @property
    def dims(self) -> dict[str, tuple[Any, ...]]:
        """Dims and labels of the coefficients."""
        return {plain_dim(v.dim): v.labels for v in self.vectors}

    def times(self, b: TensorVariable) -> TensorVariable:
        """Return what the effect adds to the predictor, with coefficients `b`."""
        if not self.vectors:
            return b if self.number is None else b * self.number.symbolic
        out = _contract(self.vectors, b)
        return out if self.number is None else out * self.number.symbolic

    def columns(self) -> list[Any]:
        """Return the columns as expressions, in the order of the raveled coefficients."""
        out: list[Any] = [1.0 if self.number is None else self.number.symbolic]
        for vector in self.vectors:
            out = [a * c for a in out for c in vector.columns()]
        return out

    def numbers(self, rows: int) -> np.ndarray | None:
        """Return the columns at the data, (n, K); None where the data do not have them."""
        out = np.ones((rows, 1))
        if self.number is not None:
            if self.number.numeric is None:
                return None
            out = out * np.broadcast_to(np.asarray(self.number.numeric, float), (rows,))[:, None]
        for vector in self.vectors:
            found = vector.numbers()
            if found is None:
                return None
            out = (out[:, :, None] * found[:, None, :]).reshape(rows, -1)
        return out

    @property
    def categorical(self) -> bool:
        """Whether all factors are categories."""
        return self.number is None and all(isinstance(v, Categories) for v in self.vectors)


def _contract(vectors: Sequence[Vector], b: TensorVariable) -> TensorVariable:
    if len(vectors) == 1:
        return vectors[0].contract(b)
    parts = [column * _contract(vectors[1:], b[k]) for k, column in enumerate(vectors[0].columns())]
    return sum(parts[1:], parts[0])


def effects_of(
    formula: Formula, terms: Sequence[TermText], intercept: bool, scope: Scope
) -> tuple[list[Effect], list[Value]]:
    """Return the effects that terms stand for, without the intercept, and the offsets.

    - `formula`: for messages.
    - `intercept`: whether an intercept is among them.
    Returns:
    - `effects`
    - `offsets`: added as they are.
    """
    effects: list[Effect] = []
    offsets: list[Value] = []
    spanned: dict[frozenset[str], set[frozenset[str]]] = {
        frozenset(): {frozenset()} if intercept else set()
    }
    for term in terms:
        numbers: dict[str, Value] = {}
        vectors: dict[str, Vector] = {}
        for text, lookup in zip(term.factors, term.lookup, strict=True):
            found = factor_of(text, lookup, formula, scope)
            if isinstance(found, Value):
                numbers[text] = found
            else:
                vectors[text] = found
        if any(text.startswith("offset(") for text in numbers):
            if len(term.factors) > 1:
                raise FormulaError(
                    f"An offset has no coefficient and joins no product."
                    f"{pointed(formula.text, 'offset')}"
                )
            offsets += numbers.values()
            continue
        categories = [t for t, v in vectors.items() if isinstance(v, Categories)]
        others = frozenset(numbers) | (frozenset(vectors) - frozenset(categories))
        for coding in _codings(categories, spanned.setdefault(others, set())):
            kept = {
                t: replace(v, full=coding[t]) if isinstance(v, Categories) else v
                for t, v in vectors.items()
                if t in coding or t not in categories
            }
            used = [
                (t, lookup)
                for t, lookup in zip(term.factors, term.lookup, strict=True)
                if t in kept or t in numbers
            ]
            reads = [[t] if lookup else names_in(t, formula.text) for t, lookup in used]
            effects.append(
                Effect(
                    safe(":".join(_label(t) for t, _ in used)),
                    product_of(list(numbers.values())),
                    tuple(kept.values()),
                    frozenset(name for names in reads for name in names),
                    sum(1 if lookup else degree_of(t, formula.text) for t, lookup in used),
                    all(lookup for _, lookup in used),
                )
            )
    return effects, offsets


def _label(text: str) -> str:
    return text.replace("`", "")


def product_of(values: list[Value]) -> Value | None:
    if not values:
        return None
    symbolic, numeric = values[0].symbolic, values[0].numeric
    for value in values[1:]:
        symbolic = symbolic * value.symbolic
        both = numeric is not None and value.numeric is not None
        numeric = np.asarray(numeric) * np.asarray(value.numeric) if both else None
    return Value(symbolic, numeric)


def _codings(categories: list[str], spanned: set[frozenset[str]]) -> list[dict[str, bool]]:
    """Return the products of categories that span what is new, and whether each is full.

    A category that is not full spans its contrasts alone; a full one the constant too. Two
    products that differ in one category, absent in one and not full in the other, are one product
    with that category full.
    """
    subsets = [
        frozenset(c) for size in range(len(categories) + 1) for c in combinations(categories, size)
    ]
    new = [s for s in subsets if s not in spanned]
    spanned.update(new)
    products: list[dict[str, bool]] = [
        dict.fromkeys(sorted(s, key=categories.index), False) for s in new
    ]
    merged = True
    while merged:
        merged = False
        for small in products:
            for large in products:
                extra = set(large) - set(small)
                if len(extra) != 1 or set(small) - set(large):
                    continue
                [one] = extra
                if large[one] or any(small[k] != large[k] for k in small):
                    continue
                products.remove(small)
                large[one] = True
                merged = True
                break
            if merged:
                break
    return products


def factor_of(text: str, lookup: bool, formula: Formula, scope: Scope) -> Value | Vector:
    """Return one factor as a number or as several columns."""
    if lookup:
        column = scope.columns[text]
        if column.levels is None:
            return scope.value(text)
        return Categories(text, column.levels, scope.value(text), column.keys)
    kind, arguments, options, quoted = call_of(text, formula.text)
    mark = pointed(formula.text, text)
    if kind == "C":
        return _categories(text, arguments, options, quoted, formula, scope)
    for name in names_in(text, formula.text):
        if scope.columns[name].levels is not None:
            raise FormulaError(
                f"{name!r} is categorical, and {text!r} treats it as a number.{mark}",
                remedy=f"Write {name} or C({name}), or code it as numbers in the data.",
            )
    floats = {n: scope.value(n, as_float=True) for n in names_in(text, formula.text)}
    if not floats:
        raise FormulaError(f"{text!r} reads no variable.{mark}", remedy="Leave it out.")
    if kind in ("bs", "ns", "cr", "poly"):
        if len(arguments) == 2:
            second = "degree" if kind == "poly" else "df"
            options = {second: number_of(arguments[1], text, formula.text), **options}
        if not 1 <= len(arguments) <= 2:
            raise FormulaError(
                f"{text!r} has {len(arguments)} arguments.{mark}", expected=f"{kind}(x, 4)."
            )
        inner = unparsed(arguments[0], quoted)
        value = evaluate_factor(inner, floats, formula.text)
        return spline(kind, _label(text), value, options, mark)
    if kind == "offset":
        if len(arguments) != 1:
            raise FormulaError(f"offset() takes one argument.{mark}")
        return evaluate_factor(unparsed(arguments[0], quoted), floats, formula.text)
    return evaluate_factor(text, floats, formula.text)


def _categories(
    text: str,
    arguments: Sequence[ast.expr],
    options: Mapping[str, Any],
    quoted: Mapping[str, str],
    formula: Formula,
    scope: Scope,
) -> Categories:
    """Return ``C(x)``: by the levels of x, or the different values that it has in the data."""
    mark = pointed(formula.text, text)
    names = names_in(text, formula.text)
    if len(arguments) != 1 or len(names) != 1 or set(options) - {"levels", "ref"}:
        raise FormulaError(
            f"{text!r} cannot be read.{mark}",
            expected="C(x), C(x, levels=[...]) or C(x, ref=...), with x a variable.",
        )
    [name] = names
    column = scope.columns[name]
    known: list[Any]
    if column.levels is not None:
        known = list(column.levels)
        key_of = dict(zip(known, column.keys or range(len(known)), strict=True))
    elif column.numeric is not None:
        seen = np.unique(column.numeric[np.isfinite(column.numeric)]).tolist()
        known = [int(v) if float(v).is_integer() else v for v in seen]
        key_of = {v: v for v in known}
    elif "levels" in options:
        known = list(options["levels"])
        key_of = {v: v for v in known}
    else:
        raise FormulaError(
            f"The levels of {name!r} in {text!r} are not known.{mark}",
            remedy=f"Pass data= with its column, or write C({name}, levels=[0, 1]).",
        )
    levels = list(options.get("levels", known))
    if "ref" in options:
        levels = [options["ref"], *(v for v in levels if v != options["ref"])]
    odd = [v for v in levels if v not in key_of]
    lost = [v for v in known if v not in levels]
    if odd or lost:
        raise FormulaError(
            f"{text!r} names the level {odd[0]!r}, which {name!r} does not have.{mark}"
            if odd
            else f"{text!r} leaves out the level {lost[0]!r} of {name!r}.{mark}",
            expected=", ".join(map(repr, known)) + ".",
            names=closest(str(odd[0]), map(str, known))[:1] if odd else (),
        )
    if len(levels) < 2:
        raise FormulaError(f"{name!r} has one level, {levels[0]!r}.{mark}", expected="two or more.")
    if len(levels) > 50 and column.levels is None:
        raise FormulaError(
            f"{name!r} has {len(levels)} different values in the data.{mark}",
            expected="a variable with few values, as C() gives each a coefficient.",
            remedy=f"Use {name} itself, a spline ns({name}, 4), or a group effect (1 | {name}).",
        )
    in_order = column.levels is not None and levels == known and column.keys is None
    keys = None if in_order else tuple(key_of[v] for v in levels)
    return Categories(_label(text), tuple(levels), scope.value(name), keys)
