"""Names are whole: what is shown joined is never taken apart again at its commas or brackets.

A parameter may be called ``"b, c"``, ``"a[0]"`` or ``"ns(x, 4)"``. Where several names are one key,
the key remembers them; where a label such as ``"b[north]"`` is an entry of a variable, the
variables that there are say which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["Joined", "names_of", "owner_of"]


class Joined(str):
    """Several names as one text, which keeps them.

    Examples
    --------
    >>> key = Joined(["b, c", "d"])
    >>> str(key), names_of(key)
    ('b, c, d', ('b, c', 'd'))
    """

    names: tuple[str, ...]

    def __new__(cls, names: Iterable[str]) -> Joined:
        held = tuple(map(str, names))
        self = super().__new__(cls, ", ".join(held))
        self.names = held
        return self

    def __getnewargs__(self) -> tuple[Any]:  # type: ignore[override]
        return (self.names,)


def names_of(key: str) -> tuple[str, ...]:
    """Return the names in a key: those that it keeps, or the one that it is."""
    return key.names if isinstance(key, Joined) else (key,)


def owner_of(label: str, known: Collection[str]) -> str | None:
    """Return the variable that ``label``, its name or ``name[entry]``, belongs to.

    `known`: the variables that there are.
    """
    if label in known:
        return label
    cuts = [i for i, letter in enumerate(label) if letter == "["] if label.endswith("]") else []
    return next((label[:i] for i in reversed(cuts) if label[:i] in known), None)
