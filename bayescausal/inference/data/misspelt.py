"""Columns that are called nearly like a variable that has none."""

from __future__ import annotations

import difflib
import warnings
from itertools import takewhile
from typing import TYPE_CHECKING

from bayescausal.types import DataError, FitWarning

if TYPE_CHECKING:
    from bayescausal.inference.data.columns import Table
    from bayescausal.model.structure.structure import Structure

__all__ = ["look_for_misspelt"]


def look_for_misspelt(table: Table, structure: Structure, latent: tuple[str, ...]) -> None:
    """Refuse a column that nothing reads and that is spelled like a variable without one.

    One whose name only begins like it, as a short form does, is warned of.
    """
    known = {*structure.full, *structure.unit_dims, *structure.model.coords}
    unread = {str(c).casefold().strip(): str(c) for c in table.ignored if str(c) not in known}
    for name in latent:
        key = name.casefold()
        near = [key] if key in unread else []
        if len(key) > 2:
            near += difflib.get_close_matches(key, list(unread), n=1, cutoff=0.8)
        if near:
            raise DataError(
                f"{name!r} has no column, and the column {unread[near[0]]!r} is no variable of the "
                "model.",
                expected=f"a column {name!r}; without one the variable would be latent.",
                names=(unread[near[0]],),
                remedy=f"Rename the column or the variable; if {name!r} is meant to be latent, "
                f"leave {unread[near[0]]!r} out.",
            )
        begun = [column for spelled, column in unread.items() if _begins_alike(key, spelled)]
        if begun:
            warnings.warn(
                f"{name!r} has no column and is taken as latent, and nothing reads the column "
                f"{begun[0]!r}. If that is {name!r}, rename one of the two; if not, leave the "
                "column out.",
                FitWarning,
                stacklevel=2,
            )


def _begins_alike(name: str, other: str) -> bool:
    """Whether two names may be forms of one word: ``coating`` and ``coat``.

    They share their first three letters or more, and most of the shorter one; what they do not
    share are letters, since ``income_1`` and ``income_2`` are two variables.

    Examples
    --------
    >>> _begins_alike("dilution", "diluted"), _begins_alike("income", "outcome")
    (True, False)
    """
    shared = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False))
    )
    rest = name[shared:] + other[shared:]
    return shared >= max(3, 0.7 * min(len(name), len(other))) and rest.isalpha()
