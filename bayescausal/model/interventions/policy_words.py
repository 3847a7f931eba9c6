"""Does a rule compare what it reads with text? A variable that holds codes equals no word.

``lambda region: region == "north"`` is false for every code, without an error, so that the rule
treats nobody. A rule is therefore called once with values that note what they meet.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

__all__ = ["read_as_words"]


class _Noted:
    """A value that stands for a label, and notes that it was compared with a word."""

    def __init__(self, label: object, met: set[str]) -> None:
        self.label, self.met = label, met

    def __eq__(self, other: object) -> bool:
        self.met.add("word" if isinstance(other, str) else "number")
        return bool(self.label == other)

    def __hash__(self) -> int:
        return hash(self.label)

    def __str__(self) -> str:
        self.met.add("word")
        return str(self.label)

    def _reckon(self, *_: object) -> NoReturn:
        self.met.add("number")
        raise TypeError("a label is no number")

    __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __sub__ = __rsub__ = _reckon
    __mul__ = __rmul__ = __truediv__ = __int__ = __float__ = __index__ = _reckon


def read_as_words(
    function: Callable[..., object],
    reads: Sequence[str],
    labels: Callable[[str], Collection[object]],
) -> set[str]:
    """Return which of the variables that a rule reads it compares with text.

    - `function`: the rule.
    - `reads`: what it reads, in the order of its arguments.
    - `labels`: from a name to the labels of its values; empty where it is no category.

    Examples
    --------
    >>> read_as_words(lambda g, x: x * (g == "a"), ("g", "x"), {"g": "ab", "x": ""}.get)
    {'g'}
    """
    found = set()
    for name in reads:
        if not labels(name):
            continue
        met: set[str] = set()
        noted = np.empty(len(labels(name)), dtype=object)
        noted[:] = [_Noted(label, met) for label in labels(name)]
        values = [noted if r == name else np.ones(len(noted)) for r in reads]
        with warnings.catch_warnings(), np.errstate(all="ignore"), suppress(Exception):
            warnings.simplefilter("ignore")
            function(*values)  # for what it meets on the way
        if "word" in met:
            found.add(name)
    return found
