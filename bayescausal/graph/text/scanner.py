"""Reading text, with errors that point: the scanner shared by all graph languages.

The arrow language, dagitty and DOT have the same words: names (bare or quoted), arrows, a few
punctuation marks and comments. `scan` cuts a text into them; `Reader` walks over them and, when
something is wrong, shows the line with a caret under the culprit::

    Line 1, column 6: '->' has no name before it.
      Z -> -> Y
           ^
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bayescausal.types import GraphError

__all__ = ["ARROWS", "Reader", "Token", "scan", "syntax_error"]

#: Arrows, and what each is called in all languages.
ARROWS = {"->": "->", "<-": "<-", "<->": "<->", "→": "->", "←": "<-", "↔": "<->"}
_UNORIENTED = ("--", "@-@", "@->", "<-@", "@--", "--@")

_PATTERN = re.compile(
    r"""
      (?P<space>[^\S\n]+)
    | (?P<newline>\n)
    | (?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)
    | (?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    | (?P<arrow><->|->|<-(?!@)|→|←|↔|@-@|@->|<-@|@--|--@|--)
    | (?P<number>-?\d+\.\d+(?![\w.])|-\d+)
    | (?P<name>[\w.]+)
    | (?P<mark>[;{}\[\],=:~+*()])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """One word of a text: its kind, its value and where it begins."""

    kind: str
    value: str
    start: int

    def shown(self) -> str:
        """Return the token as it is named in an error."""
        return {"end": "the end of the text", "newline": "the end of the line"}.get(
            self.kind, f"'{self.value}'"
        )


def scan(text: str, *, newlines: bool) -> list[Token]:
    """Cut a text into tokens, the last one of kind ``"end"``.

    ``newlines``: whether the end of a line is a token (it ends a statement) or only space.
    Result: kinds: name, arrow, mark, newline, end.
    Raises GraphError at a character that starts no token, or an arrow without a direction.
    """
    tokens, at = [], 0
    while at < len(text):
        match = _PATTERN.match(text, at)
        if match is None:
            if text[at] in "\"'":
                raise syntax_error(text, at, "the quote is never closed.")
            raise syntax_error(
                text,
                at,
                f"{text[at]!r} is not expected here.",
                remedy="Put a name with such characters in double quotes.",
            )
        kind, value = str(match.lastgroup), match.group()
        if kind == "quoted":
            tokens.append(Token("name", re.sub(r"\\(.)", r"\1", value[1:-1]), at))
        elif kind == "arrow":
            if value in _UNORIENTED:
                raise syntax_error(
                    text,
                    at,
                    f"'{value}' has no direction.",
                    expected="'->', '<-', or '<->' for an unmeasured common cause.",
                )
            tokens.append(Token("arrow", ARROWS[value], at))
        elif kind in ("name", "number"):
            tokens.append(Token("name", value, at))
        elif kind == "mark" or (kind == "newline" and newlines):
            tokens.append(Token(kind, value, at))
        at = match.end()
    return [*tokens, Token("end", "", len(text.rstrip()))]


def syntax_error(
    text: str, at: int, found: str, *, expected: str | None = None, remedy: str | None = None
) -> GraphError:
    """Build the error for a mistake at a place of a text: the line, and a caret below it."""
    at = min(at, len(text))
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[start : end if end >= 0 else len(text)].rstrip("\r")
    number = text.count("\n", 0, at) + 1
    pad = "".join("\t" if c == "\t" else " " for c in line[: at - start])
    return GraphError(
        f"Line {number}, column {at - start + 1}: {found}\n  {line}\n  {pad}^\n",
        expected=expected,
        remedy=remedy,
    )


class Reader:
    """A place in a list of tokens.

    ``text``: what is read.
    ``newlines``: whether line ends are tokens.
    """

    def __init__(self, text: str, *, newlines: bool) -> None:
        self.text = text
        self.tokens = scan(text, newlines=newlines)
        self.at = 0

    @property
    def token(self) -> Token:
        """Return the token to be read next."""
        return self.tokens[self.at]

    def take(self) -> Token:
        """Return the next token and go past it."""
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def sees(self, *values: str) -> bool:
        """Tell whether the next token is one of these marks or arrows."""
        return self.token.kind in ("mark", "arrow", "newline") and self.token.value in values

    def skip(self, *values: str) -> bool:
        """Go past the next token if it is one of these marks."""
        if self.sees(*values):
            self.take()
            return True
        return False

    def need(self, value: str, why: str) -> Token:
        """Go past a mark that must be there."""
        if not self.sees(value):
            raise self.error(f"found {self.token.shown()}.", expected=f"'{value}' {why}.")
        return self.take()

    def name(self, why: str) -> Token:
        """Go past a name that must be there."""
        if self.token.kind != "name":
            raise self.error(f"found {self.token.shown()}.", expected=f"a name {why}.")
        return self.take()

    def error(
        self,
        found: str,
        *,
        at: Token | None = None,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> GraphError:
        """Build the error for a mistake at a token, by default the next one."""
        place = (at or self.token).start
        return syntax_error(self.text, place, found, expected=expected, remedy=remedy)
