"""The pieces of a formula, and powers and products that say too much or something else."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

from bayescausal.types import FormulaError

__all__ = ["pointed", "refuse_explosions", "refuse_powers_of_names", "tokens_of"]

#: Powers, products of a power before equal ones are joined, and factors joined by ``*``, at most.
MOST_POWER, MOST_PRODUCTS, MOST_FACTORS = 10, 100_000, 10


def pointed(text: str, what: str, *, start: int = 0, within: str = "") -> str:
    """Return lines that show a formula with carets below a part of it.

    - `text`: the formula.
    - `what`: the part; if it does not occur, nothing is pointed at.
    - `start`: where in `text` to start looking.
    - `within`: a longer part in which to look first.
    """
    base = text.find(within, start) if within else start
    base = start if base < 0 else base
    left = r"(?<!\w)" if re.match(r"\w", what) else ""
    right = r"(?!\w)" if re.search(r"\w$", what) else ""
    hit = re.compile(left + re.escape(what) + right).search(text, base) if what else None
    under = f"\n    {' ' * hit.start()}{'^' * len(what)}" if hit else ""
    return f"\n    {text}{under}\n"


def tokens_of(part: str, text: str) -> list[Any]:
    from formulaic.errors import FormulaicError
    from formulaic.parser.algos.tokenize import tokenize

    try:
        return list(tokenize(part))
    except FormulaicError as error:
        raise syntax_error(text, error) from error


def syntax_error(text: str, error: Exception) -> FormulaError:
    """Pass on formulaic's complaint in plain text, its mark turned into a caret."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", str(error))
    said, _, shown = plain.partition("\n")
    said = re.sub(r"[⧛⧚]", "", said).strip().rstrip(".").replace("insuffient", "insufficient")
    said = re.sub(r"`([^`]*)`", r"'\1'", said)
    marked = re.search(r"⧛(.*?)⧚", shown, re.S)
    whole = re.sub(r"[⧛⧚]", "", shown).strip()
    start = max(text.find(whole), 0) if whole else 0
    if "context" in said:
        said = "a bracket or quote is not closed, or not opened"
    elif "String literals" in said:
        said = "a quoted text is no term"
    mark = pointed(text, marked.group(1) if marked else "", start=start)
    return FormulaError(
        f"The formula cannot be read: {said}.{mark}",
        expected="names and calls joined by + - : * / and ( ), such as 'y ~ x * z + log(w)'.",
    )


def refuse_powers_of_names(part: str, text: str) -> None:
    """``x**2`` is the term ``x``; nobody who writes it means that."""
    tokens = tokens_of(part, text)
    for before, token in pairwise(tokens):
        kind = token.kind.value == "operator" and str(token) in ("**", "^")
        if kind and before.kind.value in ("name", "python"):
            name = str(before)
            raise FormulaError(
                f"The formula raises {name!r} to a power, which in formulas is {name!r} itself."
                f"{pointed(text, name, start=text.index('~'))}",
                remedy=f"For the square write I({name}**2).",
            )


def refuse_explosions(part: str, text: str) -> None:
    """Refuse powers and products of which the expansion alone would take long."""
    tokens = tokens_of(part, text)
    starts: list[int] = []
    opened: dict[int, int] = {}
    run: list[int] = [0]
    for i, token in enumerate(tokens):
        kind, word = token.kind.value, str(token)
        if kind == "context" and word == "(":
            starts.append(i)
            run.append(0)
        elif kind == "context" and word == ")" and starts:
            opened[i] = starts.pop()
            run.pop()
        elif kind == "operator" and word == "*":
            run[-1] += 1
            if run[-1] > MOST_FACTORS:
                raise FormulaError(
                    f"The formula multiplies more than {MOST_FACTORS} terms by '*', which gives a "
                    f"coefficient to each of their {2 ** (MOST_FACTORS + 1):,} products or more."
                    f"{pointed(text, '*')}",
                    expected="products of few terms.",
                    remedy="Take low orders alone: (a + b + c)**2 has all pairs.",
                )
        elif kind == "operator" and word in ("+", "-"):
            run[-1] = 0
        elif kind == "operator" and word in ("**", "^"):
            after = str(tokens[i + 1]) if i + 1 < len(tokens) else ""
            if after == "(":  # the sum of two numbers is a set of terms here, not their sum
                raise FormulaError(
                    f"The formula raises terms to a power in brackets.{pointed(text, word)}",
                    expected="a positive integer, such as (x + z)**2.",
                )
            if i - 1 in opened:
                _refuse_power(tokens, opened[i - 1], i, text)


def _refuse_power(tokens: list[Any], start: int, at: int, text: str) -> None:
    """Refuse one power whose expansion has too many products."""
    inside = tokens[start:at]
    names = len({str(t) for t in inside if t.kind.value in ("name", "python")})
    plain = all(str(t) in ("+", "-") for t in inside if t.kind.value == "operator")
    terms = names if plain else 2 ** min(names, 60) - 1
    after = str(tokens[at + 1]) if at + 1 < len(tokens) else ""
    power = int(after) if after.isdigit() else 1
    if power * math.log(max(terms, 1)) <= math.log(MOST_PRODUCTS) and power <= MOST_POWER:
        return
    raise FormulaError(
        f"The formula raises {names} terms to the power {power}, which is more than can be "
        f"expanded.{pointed(text, f'**{after}')}",
        expected=f"a power of at most {MOST_POWER}, and at most {MOST_PRODUCTS:,} products.",
        remedy=f"A product holds each variable once, so **{names} says the same."
        if names < power
        else "Take a lower power: **2 has all pairs.",
    )
