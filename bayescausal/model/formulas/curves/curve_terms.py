"""Reading curves in formulas: ``s(x)``, ``s(x, by=g)``, ``s(x, z)``, ``hsgp(x)``, ``mono(x)``,
``hill(x)``, and sums of trees, ``bart(x, z)``, ``bcf(t, by=(x, z))``.

A penalised spline is a line and a curve about it, so ``s(x)`` is read as the ordinary term ``x``
and a curve; ``t:s(x)`` as ``t + t:x`` and a curve times ``t``, for a line has a height as well as a
slope: without ``t`` it would be 0 where ``x`` happens to have its zero; ``s(x, z)`` as
``x + z + x:z`` and the products of lines and curves; ``by=g`` as a product with ``g``. The other
curves have no line. Where an equation has no intercept, its lines have none.

A forest has a constant of its own: beside ``t:bart(x)`` there is no ordinary term ``t``, and a
forest that nothing multiplies takes the place of the intercept. ``bcf(t, by=(x, z))`` is read as a
prognostic forest of ``x``, ``z`` and the propensity of ``t``, the ordinary term ``t``, and ``t``
times a forest of how effects differ from its coefficient.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from bayescausal.model.formulas.tokens import pointed
from bayescausal.model.formulas.values import call_of, unparsed
from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.model.formulas.parse import Formula, TermText

__all__ = ["CURVES", "TREES", "Curve", "CurveTerm", "split_curves"]

#: The functions of formulas that are curves, and how many arguments each takes at most.
CURVES = {"s": 2, "hsgp": 3, "mono": 1, "hill": 1, "bart": 1000, "bcf": 1}
#: Those that are sums of trees; the last two are the parts of ``bcf``.
TREES = ("bart", "prognosis", "effect")


@dataclass(frozen=True)
class Curve:
    """One curve."""

    kind: str  # a name in :data:`CURVES`
    arguments: tuple[str, ...]  # what it is a curve in
    options: Mapping[str, Any] = field(hash=False, compare=False)
    text: str = field(hash=False, compare=False)  # as written in the formula

    @property
    def label(self) -> str:
        """The curve without its options."""
        return f"{self.kind}({', '.join(self.arguments)})".replace("`", "")

    def mark(self, formula: Formula) -> str:
        """Return lines that point at the curve, for messages."""
        return self.mark_in(formula.text)

    def mark_in(self, text: str) -> str:
        """Return lines that point at the curve in the text of a formula."""
        return pointed(text, self.text)

    def checked(self, known: set[str], formula: Formula) -> Mapping[str, Any]:
        """Return the options; refuse unknown ones."""
        odd = [o for o in self.options if o not in known]
        if odd:
            raise FormulaError(
                f"{self.kind}() takes no option {odd[0]!r}.{self.mark(formula)}",
                expected=", ".join(sorted({*known, "by"})) + ".",
            )
        return self.options


@dataclass(frozen=True)
class CurveTerm:
    """A product with a curve in it."""

    curves: tuple[Curve, ...]
    # factors, lookup: the other factors, as in :class:`.parse.TermText`.
    factors: tuple[str, ...] = ()
    lookup: tuple[bool, ...] = ()
    # In a part of ``s(x, z)``, the arguments whose constant and line it is multiplied with.
    lines: tuple[str, ...] = ()

    @property
    def trees(self) -> bool:
        """Whether it is a sum of trees, alone or multiplied."""
        return any(curve.kind in TREES for curve in self.curves)

    @property
    def label(self) -> str:
        """As in names of parameters."""
        lines = [f"line({a})" for a in self.lines]
        return ":".join([*self.factors, *lines, *(c.label for c in self.curves)]).replace("`", "")


def split_curves(
    terms: tuple[TermText, ...], text: str, *, intercept: bool
) -> tuple[tuple[TermText, ...], tuple[CurveTerm, ...]]:
    """Return the ordinary terms of a right side, with the lines of its curves, and the curves.

    `text`: the formula, for messages.
    """
    plain: dict[frozenset[str], TermText] = {}
    curved: dict[CurveTerm, None] = {}

    def add_plain(factors: dict[str, bool], like: TermText) -> None:
        held = type(like)(tuple(factors), tuple(factors.values()))
        plain.setdefault(frozenset(factors), held)

    def add_curve(found: CurveTerm) -> None:
        held = next((other for other in curved if other == found), found)
        for one, other in zip(found.curves, held.curves, strict=True):
            _refuse_twice(one, other, text)
        curved.setdefault(found)

    for term in terms:
        curves: list[Curve] = []
        others: dict[str, bool] = {}
        for factor, lookup in zip(term.factors, term.lookup, strict=True):
            kind = "" if lookup else call_of(factor, text)[0]
            if kind in CURVES:
                curve, by = _curve(factor, text)
                curves.append(curve)
                others |= by
            else:
                others[factor] = lookup
        if not curves:
            plain.setdefault(frozenset(term.factors), term)
            continue
        if any(curve.kind == "bcf" for curve in curves):
            for found in _causal_forest(curves, others, text):
                add_curve(found)
            add_plain({found.factors[0]: True}, term)
            continue
        margins = [m for c in curves for m in _margins(c)]
        surface = any(len(c.arguments) > 1 and c.kind == "s" for c in curves)
        if intercept and others and any(m.kind == "s" for m in margins):
            add_plain(others, term)  # the constant of what is multiplied
        for bent in product((False, True), repeat=len(margins)):
            pairs = list(zip(margins, bent, strict=True))
            if any(not b and m.kind != "s" for m, b in pairs):
                continue  # of these there is no line
            lines = [m.arguments[0] for m, b in pairs if not b]
            if any(bent):
                held = tuple(lines) if surface else ()
                known = others | ({} if surface else {_plain(a): _is_name(a) for a in lines})
                bends = tuple(m for m, b in pairs if b)
                add_curve(CurveTerm(bends, tuple(known), tuple(known.values()), held))
                continue
            sets = product((False, True), repeat=len(lines)) if surface else [(True,) * len(lines)]
            for kept in sets:
                if used := [a for a, k in zip(lines, kept, strict=True) if k]:
                    add_plain(others | {_plain(a): _is_name(a) for a in used}, term)
    for found in curved:
        if found.curves[0].kind in ("bart", "prognosis"):  # which have a constant of their own
            plain.pop(frozenset(found.factors), None)
    return tuple(sorted(plain.values(), key=lambda term: len(term.factors))), tuple(curved)


def _refuse_twice(one: Curve, other: Curve, text: str) -> None:
    """Refuse a curve that is there with other options."""
    if one.options.get("of") != other.options.get("of"):
        raise FormulaError(
            f"{other.text!r} and {one.text!r} would have a forest of the same covariates twice, "
            f"beside what each adds to the effect.{one.mark_in(text)}",
            expected="one bcf() of the same covariates.",
            remedy=f"Write the second as {one.options.get('of')} * "
            f"bart({', '.join(one.arguments)}).",
        )
    if one.options != other.options:
        raise FormulaError(
            f"{other.text!r} and {one.text!r} are the same curve with other options."
            f"{one.mark_in(text)}",
            expected="each curve once.",
        )


def _margins(curve: Curve) -> list[Curve]:
    """Return a penalised surface as the curves that it is the product of."""
    if curve.kind != "s":
        return [curve]
    return [Curve("s", (a,), curve.options, curve.text) for a in curve.arguments]


def _plain(argument: str) -> str:
    return argument.strip("`") if _is_name(argument) else argument


def _is_name(argument: str) -> bool:
    return argument.strip("`").isidentifier() or argument.startswith("`")


def _causal_forest(
    curves: list[Curve], others: Mapping[str, bool], text: str
) -> tuple[CurveTerm, CurveTerm]:
    """Read ``bcf(t, by=(x, z))`` as its two forests."""
    curve = curves[0]
    options = dict(curve.options)
    by = options.pop("by", ())
    given = (by,) if isinstance(by, str) else by
    treatment = curve.arguments[0].strip("`")
    wrong = not _is_name(curve.arguments[0]) or not isinstance(given, tuple) or not given
    if wrong or others or len(curves) > 1 or treatment in given:
        raise FormulaError(
            f"{curve.text!r} cannot be read.{curve.mark_in(text)}",
            expected="a treatment, and the covariates that its effect may vary with and that it "
            "is adjusted for, by themselves: bcf(t, by=(x, z)).",
        )
    names = tuple(n if n.isidentifier() else f"`{n}`" for n in given)
    effect = {k.removesuffix("_effect"): v for k, v in options.items() if k.endswith("_effect")}
    prognosis = {k: v for k, v in options.items() if not k.endswith("_effect")}
    return (
        CurveTerm((Curve("prognosis", names, {**prognosis, "of": treatment}, curve.text),)),
        CurveTerm(
            (Curve("effect", names, {**effect, "of": treatment}, curve.text),),
            (treatment,),
            (True,),
        ),
    )


def _curve(factor: str, text: str) -> tuple[Curve, dict[str, bool]]:
    """Read one curve, and what ``by=`` multiplies it with."""
    kind, arguments, options, quoted = call_of(factor, text)
    most = CURVES[kind]
    texts = [unparsed(a, quoted) for a in arguments if not isinstance(a, ast.Constant)]
    if len(texts) != len(arguments) or not 1 <= len(texts) <= most or len(set(texts)) < len(texts):
        several = {1: "one variable", 2: "one variable or two", 3: "one to three variables"}
        example = {"bart": "bart(x, z, m=50)", "bcf": "bcf(t, by=(x, z))"}
        raise FormulaError(
            f"{factor!r} cannot be read.{pointed(text, factor)}",
            expected=f"{kind}() of {several.get(most, 'different variables')}, with options by "
            f"name: {example.get(kind, f'{kind}(x, by=g)')}.",
        )
    held = dict(options)
    by = () if kind == "bcf" else held.pop("by", None)
    if isinstance(by, tuple) and kind != "bcf":
        raise FormulaError(
            f"{factor!r} has several variables in by=.{pointed(text, factor)}",
            expected=f"one: {kind}(x, by=g).",
        )
    by = by or None
    return Curve(kind, tuple(texts), held, factor), {} if by is None else {str(by): True}
