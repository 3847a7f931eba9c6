"""Reading formulas: text into a response, terms and group effects.

A formula is written in the notation of Wilkinson and Rogers [1]_::

    coating ~ dilution * humid + (1 | batch)

Left of ``~`` stands one variable. Right of it stand *terms*, products of *factors*; an intercept
is there unless ``0`` or ``-1`` takes it away. ``a * b`` is ``a + b + a:b``, ``a / b`` is
``a + a:b``, ``(a + b)**2`` all pairs. A factor is the name of a variable (in backticks if it is
not an identifier) or an expression such as ``log(x)`` or ``I(x**2)``.

*Group effects* are written as in lme4 [2]_: ``(1 | g)`` gives every level of ``g`` its own
intercept, ``(x | g)`` its own intercept and slope, correlated, ``(x || g)`` the same uncorrelated.

The algebra of terms is formulaic's; group effects, which formulaic does not know, are cut out of
the text at its own tokens first. Nothing is evaluated here.

It fails where the notation says something else than one would think: ``x**2`` on its own is ``x``
(a product of a term with itself), so it is refused, and so is a response that is not a variable.

References
----------
.. [1] G. N. Wilkinson and C. E. Rogers, "Symbolic description of factorial models for analysis of
   variance", *Applied Statistics* 22 (1973), 392-399.
.. [2] D. Bates et al., "Fitting linear mixed-effects models using lme4", *Journal of Statistical
   Software* 67(1), 2015.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bayescausal.model.formulas.curves.curve_terms import split_curves
from bayescausal.model.formulas.tokens import (
    pointed,
    refuse_explosions,
    refuse_powers_of_names,
    syntax_error,
    tokens_of,
)
from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bayescausal.model.formulas.curves.curve_terms import CurveTerm

__all__ = ["Formula", "GroupTerm", "TermText", "parse_formula", "parse_formulas", "split_formulas"]


@dataclass(frozen=True)
class TermText:
    """A product of factors, as text."""

    factors: tuple[str, ...]  # the factors; none for the intercept
    lookup: tuple[bool, ...]  # whether each factor is the name of a variable

    @property
    def label(self) -> str:
        """The term as it is written in names of coefficients."""
        return ":".join(self.factors) if self.factors else "1"


@dataclass(frozen=True)
class GroupTerm:
    """Effects that differ between the levels of a grouping variable."""

    terms: tuple[TermText, ...]  # left of the bar
    group: tuple[str, ...]  # the grouping variable; several for the levels of their product
    correlated: bool  # one bar, not two

    @property
    def label(self) -> str:
        """The group effect without its brackets, with one bar."""
        return "+".join(term.label for term in self.terms) + "|" + ":".join(self.group)


@dataclass(frozen=True)
class Formula:
    """One parsed formula."""

    text: str  # as given
    response: str  # the variable on the left
    intercept: bool  # whether there is one
    terms: tuple[TermText, ...]  # the other terms
    groups: tuple[GroupTerm, ...]  # the group effects
    curves: tuple[CurveTerm, ...] = ()  # the products with curves in them

    @property
    def factors(self) -> list[tuple[str, bool]]:
        """All factors, and whether each is the name of a variable."""
        terms: list[TermText | CurveTerm] = [*self.terms, *self.curves]
        terms += [t for g in self.groups for t in g.terms]
        found = [f for t in terms for f in zip(t.factors, t.lookup, strict=True)]
        arguments = [a for t in self.curves for c in t.curves for a in c.arguments]
        arguments += [a for t in self.curves for a in t.lines]
        return found + [(a, False) for a in arguments]


def split_formulas(formulas: str | Iterable[str]) -> list[str]:
    """Return the formulas of a sequence, or of a text with one on each line."""
    if isinstance(formulas, str):
        lines = [line.partition("#")[0].strip() for line in formulas.splitlines()]
        found = [line for line in lines if line]
    else:
        try:
            found = list(formulas)
        except TypeError:
            found = [cast("str", formulas)]
    wrong = next((f for f in found if not isinstance(f, str)), None)
    if wrong is not None or not found:
        what = f"{wrong!r} is not a formula." if found else "There is no formula."
        raise FormulaError(what, expected="a list of texts such as 'y ~ x + z'.")
    return found


def parse_formulas(formulas: str | Iterable[str]) -> dict[str, Formula]:
    """Parse several formulas, and refuse two for one response.

    `formulas`: one formula for each variable; a text has one on each line.

    Examples
    --------
    >>> parsed = parse_formulas(["x ~ 1", "y ~ x * z + (1 | g)"])
    >>> [term.label for term in parsed["y"].terms], parsed["y"].groups[0].label
    (['x', 'z', 'x:z'], '1|g')
    """
    parsed: dict[str, Formula] = {}
    for text in split_formulas(formulas):
        formula = parse_formula(text)
        if formula.response in parsed:
            raise FormulaError(
                f"{formula.response!r} stands on the left of two formulas: "
                f"{parsed[formula.response].text!r} and {text!r}.",
                expected="one formula for each variable.",
                remedy="Join their right sides with +.",
            )
        parsed[formula.response] = formula
    return parsed


def parse_formula(text: str) -> Formula:
    """Parse one formula."""
    left, tilde, right = text.partition("~")
    if not tilde:
        raise FormulaError(
            f"The formula has no '~'.{pointed(text, '')}",
            expected="response ~ terms, such as 'y ~ x + z'.",
        )
    if not right.strip():
        raise FormulaError(
            f"The formula has nothing right of '~'.{pointed(text, '~')}",
            remedy=f"A variable without parents is written {left.strip() or 'y'} ~ 1.",
        )
    response = _response(left, text)
    fixed, groups = _cut_groups(right, text)
    intercept, found = _terms(fixed, text)
    terms, curves = split_curves(found, text, intercept=intercept)
    return Formula(text, response, intercept, terms, tuple(groups), curves)


# ------------------------------------------------------------------------------- private


def _response(left: str, text: str) -> str:
    """Return the one variable on the left."""
    name = left.strip()
    if re.fullmatch(r"`[^`]+`", name):
        return name[1:-1]
    if re.fullmatch(r"[^\W\d]\w*", name):
        return name
    remedy = None
    if re.match(r"log\s*\(", name):
        remedy = "For the logarithm of a variable use the family 'lognormal'."
    elif "+" in name or "," in name:
        remedy = "Write one formula for each variable."
    elif re.search(r"\W", name.replace(" ", "_")) is None and name:
        remedy = f"Put a name that is not an identifier in backticks: `{name}` ~ ..."
    raise FormulaError(
        f"The left side of the formula is {name!r}.{pointed(text, name)}"
        if name
        else f"The formula has no response.{pointed(text, '~')}",
        expected="the name of one variable.",
        remedy=remedy,
    )


def _cut_groups(right: str, text: str) -> tuple[str, list[GroupTerm]]:
    """Cut the group effects out of a right side; return the rest and the effects."""
    tokens = tokens_of(right, text)
    spans: list[tuple[int, int]] = []
    stack: list[int] = []
    bars: dict[int, int] = {}
    for i, token in enumerate(tokens):
        kind, word = token.kind.value, str(token)
        if kind == "context" and word == "(":
            stack.append(i)
        elif kind == "context" and word == ")" and stack:
            start = stack.pop()
            if start in bars:
                spans.append((start, i))
        elif kind == "operator" and word in ("|", "||"):
            if not stack:
                raise FormulaError(
                    f"The formula has a bar outside of brackets.{pointed(text, word)}",
                    remedy="Put group effects in brackets: (1 | group).",
                )
            if stack[-1] in bars:
                raise FormulaError(
                    f"The formula has two bars in one group effect.{pointed(text, word)}",
                    remedy="Write one pair of brackets for each group effect.",
                )
            bars[stack[-1]] = i
    groups: list[GroupTerm] = []
    drop: set[int] = set()
    for start, end in spans:
        drop |= _span_to_drop(tokens, start, end, text)
        bar = bars[start]
        sides = (
            right[tokens[start].source_end + 1 : tokens[bar].source_start],
            right[tokens[bar].source_end + 1 : tokens[end].source_start],
        )
        groups += _group_terms(*sides, correlated=str(tokens[bar]) == "|", text=text)
    if not spans:
        return right, groups
    kept = [t for i, t in enumerate(tokens) if i not in drop]
    return " ".join(right[t.source_start : t.source_end + 1] for t in kept) or "1", groups


def _span_to_drop(tokens: list[Any], start: int, end: int, text: str) -> set[int]:
    """Return the tokens of a group effect and the plus sign that joins it."""
    before = str(tokens[start - 1]) if start else ""
    after = str(tokens[end + 1]) if end + 1 < len(tokens) else ""
    if before not in ("", "+", "(") or after not in ("", "+", "-", ")"):
        wrong = before if before not in ("", "+", "(") else after
        raise FormulaError(
            f"The formula joins a group effect by {wrong!r}."
            f"{pointed(text, wrong, start=text.index('~'))}",
            expected="group effects added to the other terms with +.",
        )
    span = set(range(start, end + 1))
    if before == "+":
        return span | {start - 1}
    return span | ({end + 1} if after == "+" else set())


def _group_terms(left: str, right: str, *, correlated: bool, text: str) -> list[GroupTerm]:
    """Parse both sides of a bar; ``a/b`` on the right gives two group effects."""
    if not left.strip() or not right.strip():
        raise FormulaError(
            f"The formula has a group effect with an empty side.{pointed(text, '|')}",
            expected="(effects | group), such as (1 | batch).",
        )
    intercept, slopes = _terms(left, text)
    terms = ((TermText((), ()),) if intercept else ()) + slopes
    if not terms:
        raise FormulaError(
            f"The formula has a group effect without an effect.{pointed(text, left.strip())}",
            expected="(effects | group), such as (1 | batch).",
        )
    _, grouping = _terms(f"0 + {right}", text)
    if any(not all(g.lookup) for g in grouping) or not grouping:
        raise FormulaError(
            f"The formula groups by {right.strip()!r}.{pointed(text, right.strip())}",
            expected="a variable, or a product of variables: (1 | a), (1 | a:b), (1 | a/b).",
        )
    return [GroupTerm(terms, g.factors, correlated and len(terms) > 1) for g in grouping]


def _terms(part: str, text: str) -> tuple[bool, tuple[TermText, ...]]:
    """Return whether there is an intercept, and the other terms of a right side."""
    from formulaic.errors import FormulaicError
    from formulaic.parser import DefaultFormulaParser

    refuse_powers_of_names(part, text)
    refuse_explosions(part, text)
    try:
        found = DefaultFormulaParser(include_intercept=True).get_terms(part)
    except FormulaicError as error:
        if "`.` operator" in str(error):
            raise FormulaError(
                f"The formula uses '.', all other columns.{pointed(text, '.')}",
                remedy="Name the parents: the formula is the graph.",
            ) from error
        raise syntax_error(text, error) from error
    terms: Sequence[Any] = list(getattr(found, "root", found))
    intercept, out = False, []
    for term in terms:
        factors = tuple(f for f in term.factors if f.eval_method.value != "literal")
        if not factors:
            intercept = True
            continue
        if len(factors) != len(term.factors):
            raise FormulaError(
                f"The formula multiplies a term by a number.{pointed(text, '')}",
                remedy="Put arithmetic in I(): I(2 * x).",
            )
        out.append(
            TermText(
                tuple(_tidy(f.expr, lookup=f.eval_method.value == "lookup") for f in factors),
                tuple(f.eval_method.value == "lookup" for f in factors),
            )
        )
    return intercept, tuple(sorted(out, key=lambda term: len(term.factors)))


def _tidy(expr: str, *, lookup: bool) -> str:
    """Return a factor in one way of writing, so that its name does not depend on spaces."""
    if lookup:
        return expr
    return re.sub(r"\s+", " ", expr).strip()
