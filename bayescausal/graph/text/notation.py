"""How formulas are written: as text for people, and in LaTeX."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LatexStyle", "TextStyle"]


class TextStyle:
    """How formulas are written for people."""

    one, times, bar = "1", " ", " | "

    @staticmethod
    def name(label: str) -> str:
        return label

    @staticmethod
    def sum(over: Sequence[str], body: str) -> str:
        return f"Σ_{over[0] if len(over) == 1 else '{' + ', '.join(over) + '}'} {body}"

    @staticmethod
    def quotient(top: str, bottom: str) -> str:
        return f"[{top}] / [{bottom}]"


class LatexStyle(TextStyle):
    """How formulas are written in LaTeX."""

    one, times, bar = "1", r"\, ", r" \mid "

    @staticmethod
    def name(label: str) -> str:
        stem = label.rstrip("'")
        primes = label[len(stem) :]
        if len(stem) == 1:
            return stem + primes
        signs = {"\\": r"\backslash ", "^": r"\hat{}", "~": r"\sim "}
        safe = "".join(
            signs[c] if c in signs else "\\" + c if c in "_%#&${}" else r"\ " if c == " " else c
            for c in stem
        )
        return rf"\mathrm{{{safe}}}{primes}"

    @staticmethod
    def sum(over: Sequence[str], body: str) -> str:
        return rf"\sum_{{{', '.join(over)}}} {body}"

    @staticmethod
    def quotient(top: str, bottom: str) -> str:
        return rf"\frac{{{top}}}{{{bottom}}}"


def joined(names: tuple[str, ...] | list[str]) -> str:
    """Join names as a person would."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
