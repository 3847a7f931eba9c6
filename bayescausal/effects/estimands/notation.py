r"""How an estimand is written: once, in two alphabets.

Every estimand, functional, scale and condition writes itself through a :class:`Notation`:
:data:`PLAIN` for the console (``E[Y | do(X=1)]``) and :data:`LATEX` for paper
(``\mathbb{E}\left[\mathrm{Y} \mid \mathrm{do}(\mathrm{X}=1)\right]``). A formula is assembled
in one place, so the two never disagree. Names of variables are text, not identifiers: they may
hold spaces, brackets or underscores, and are escaped where the alphabet needs it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.draws.digits import level_text
from bayescausal.types import Intervention, Policy, Scale, Set, Shift, Stochastic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["LATEX", "PLAIN", "Notation", "Symbol", "number"]

_LATEX_SPECIAL = {
    "\\": r"\backslash{}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "^": r"\hat{}",
    "~": r"\sim{}",
    " ": r"\ ",
}
_LATEX_WORDS = {
    "<=": r"\le",
    ">=": r"\ge",
    "!=": r"\ne",
    "in": r"\in",
    "~": r"\sim",
    "E": r"\mathbb{E}",
    "P": r"\mathbb{P}",
    "do": r"\mathrm{do}",
    "odds": r"\mathrm{odds}",
    "log": r"\log",
    "not": r"\lnot",
    "min": r"\min",
    "sum": r"\sum",
}


def number(value: object) -> str:
    """Return a value as a person would write it; arrays by their size.

    `value` (float, str or array_like): a level of a variable, or an array of levels.
    Returns: whole numbers in full, others with six significant digits at most.

    Examples
    --------
    >>> number(0.1 + 0.2), number(1234567), number([1, 2, 3])
    ('0.3', '1234567', '[3 values]')
    """
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.ndim:
        return f"[{' x '.join(str(n) for n in array.shape)} values]"
    try:
        return level_text(float(array))
    except (TypeError, ValueError):
        return str(value)


@dataclass(frozen=True, eq=False)
class Symbol(Intervention):
    """A level written as a symbol, for curves and derivatives. Never evaluated.

    Examples
    --------
    >>> Symbol("x").describe("dose")
    'dose=x'
    """

    symbol: str

    def describe(self, name: str) -> str:
        """Return ``X=x``."""
        return f"{name}={self.symbol}"


@dataclass(frozen=True)
class Notation:
    """One alphabet for formulas.

    Examples
    --------
    >>> from bayescausal.effects.estimands.notation import LATEX, PLAIN
    >>> PLAIN.bracket("E", "Y", "do(X=1)")
    'E[Y | do(X=1)]'
    >>> LATEX.name("b_0")
    '\\\\mathrm{b\\\\_0}'
    """

    latex: bool = False  # write LaTeX instead of plain text
    # Words and relations that this alphabet spells in its own way.
    words: Mapping[str, str] = field(default_factory=dict)

    def word(self, word: str) -> str:
        """Return an operator or relation in this alphabet."""
        return self.words.get(word, word)

    def name(self, name: str) -> str:
        """Return the name of a variable, escaped."""
        if not self.latex:
            return name
        return r"\mathrm{" + "".join(_LATEX_SPECIAL.get(c, c) for c in name) + "}"

    def level(self, value: object) -> str:
        """Return a level: a number, or the label of a category."""
        return self.name(value) if isinstance(value, str) else number(value)

    def relation(self, left: str, sign: str, right: str) -> str:
        """Return ``left sign right``; an equals sign stands without spaces."""
        if sign == "=":
            return f"{left}={right}"
        return f"{left} {self.word(sign)} {right}"

    def levels(self, values: Iterable[Any]) -> str:
        """Return a set of levels in braces."""
        inside = ", ".join(self.level(value) for value in values)
        return r"\{" + inside + r"\}" if self.latex else "{" + inside + "}"

    def subscript(self, base: str, below: str) -> str:
        """Return a letter with a subscript."""
        return f"{base}_{{{below}}}" if self.latex else f"{base}_{below}"

    def bracket(self, operator: str, body: str, condition: str = "") -> str:
        """Return ``operator[body | condition]``."""
        return self._enclose(operator, "[", "]", body, condition)

    def paren(self, operator: str, body: str, condition: str = "") -> str:
        """Return ``operator(body | condition)``."""
        return self._enclose(operator, "(", ")", body, condition)

    def _enclose(self, operator: str, left: str, right: str, body: str, condition: str) -> str:
        bar = r" \mid " if self.latex else " | "
        inside = f"{body}{bar}{condition}" if condition else body
        if self.latex:
            return f"{self.word(operator)}\\left{left}{inside}\\right{right}"
        return f"{operator}{left}{inside}{right}"

    def fraction(self, above: str, below: str) -> str:
        """Return a fraction."""
        return f"\\frac{{{above}}}{{{below}}}" if self.latex else f"{above} / {below}"

    def intervention(self, name: str, intervention: Intervention) -> str:
        """Return what happens to one variable: ``X=1``, ``X=X+2``, ``X~D``, ``X=f(W)``."""
        if not self.latex:
            return intervention.describe(name)
        shown = self.name(name)
        match intervention:
            case Symbol():
                return intervention.describe(shown)
            case Set(value=str(value)):
                return f"{shown}={self.name(value)}"
            case Set() | Shift() | Scale():
                return intervention.describe(shown)
            case Stochastic():
                family, bracket, rest = intervention.describe("").removeprefix("~").partition("(")
                return f"{shown} \\sim {self.name(family)}{bracket}{rest}"
            case Policy():
                reads = ", ".join(self.name(r) for r in intervention.reads or ())
                function = intervention.describe("").removeprefix("=").split("(")[0]
                return f"{shown}={self.name(function) if len(function) > 1 else function}({reads})"
            case _:
                left, _, right = intervention.describe(name).partition("=")
                return f"{self.name(left)}={self.name(right)}"

    def argument(self, name: str, intervention: Intervention) -> str:
        """Return the part of an intervention that stands inside ``Y( )``: a level, mostly."""
        text = self.intervention(name, intervention)
        return text.removeprefix(f"{self.name(name)}=")

    def do(self, world: Mapping[str, Intervention]) -> str:
        """Return ``do(X=1, W=0)``, or nothing for the natural course."""
        inside = ", ".join(self.intervention(name, what) for name, what in world.items())
        return f"{self.word('do')}({inside})" if inside else ""


#: Plain text, as on the console.
PLAIN = Notation()
#: LaTeX, as in a paper.
LATEX = Notation(latex=True, words=_LATEX_WORDS)
