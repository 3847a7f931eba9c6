"""Columns of text that were meant to be something else.

One "n/a" in a CSV makes a column of numbers a column of text, as units ("1.5 kg"), percent signs
and separators ("1,234") do; dates come as text. Read as a
category, such a column has a coefficient for each of its values, and an effect of it is what the
prior says. A category with a level for nearly every row is refused; one with many levels is said.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.types import FormulaError, FormulaWarning

if TYPE_CHECKING:
    from bayescausal.model.kinds import Kind

__all__ = ["by_accident", "check_levels", "in_days"]

#: A number as people write it: a currency before it, separators in it, a unit behind it.
_WRITTEN = re.compile(r"([$€£¥]?)\s*([+-]?\d[\d.,]*)(\s*(?:[^\W\d]|[%°/²³])[^,;]{0,11})?")
_THOUSANDS, _DECIMAL_COMMA = (
    re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?"),
    re.compile(r"[+-]?\d+,\d+"),
)

#: Levels up to which nothing is said.
FEW = 10
#: Share of the rows from which on levels are too many, and from which on they are mentioned.
MOST, MANY = 0.5, 0.1


def check_levels(name: str, kind: Kind, where: str) -> None:
    """Refuse a category with a level for nearly every row; mention one with many.

    `where`: lines with a caret, for messages.
    """
    held = [v for v in kind.values.tolist() if v is not None]
    levels = len(set(held))
    if levels <= FEW or levels < MANY * len(held):
        return
    said = f"{name!r} holds labels, {levels} different ones in {len(held)} rows"
    remedy = by_accident(name, kind) or (
        f"Merge levels, or let them share what they know: (1 | {name})."
    )
    if levels >= MOST * len(held):
        raise FormulaError(
            f"{said}: each would have a coefficient of its own.{where}",
            expected="numbers, or labels that many rows share.",
            remedy=remedy,
        )
    warnings.warn(
        f"{said}: each has a coefficient of its own. {remedy}", FormulaWarning, stacklevel=6
    )


def by_accident(name: str, kind: Kind) -> str:
    """Return what to do with text that is numbers or dates for the most part; else nothing."""
    import pandas as pd

    texts = list(dict.fromkeys(v for v in kind.values.tolist() if isinstance(v, str)))
    if not texts:
        return ""
    odd = [v for v in texts if not _is_number(v)]
    if len(odd) <= len(texts) / 2:
        shown = ", ".join(map(repr, odd[:3])) + (", ..." if len(odd) > 3 else "")
        but = f" but {shown}" if odd else ""
        return (
            f"All are numbers{but}: read it as numbers, "
            f"pd.to_numeric(data[{name!r}], errors='coerce')."
        )
    written = _as_written(name, odd)
    if written:
        return written
    some = pd.Series([v for v in texts[:50] if any(c.isdigit() for c in v)], dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dates = pd.to_datetime(some, errors="coerce", format="mixed")
    if len(some) and dates.notna().mean() > 0.5:
        return f"They look like dates: {in_days(name, None)}."
    return ""


def _as_written(name: str, texts: list[str]) -> str:
    """Return how to read numbers with units or separators; nothing where the text is others."""
    found = [m for v in texts if (m := _WRITTEN.fullmatch(v.strip()))]
    digits = [m[2] for m in found]
    commas = [d for d in digits if "," in d]
    thousands = all(_THOUSANDS.fullmatch(d) for d in commas)
    if not (thousands or all(_DECIMAL_COMMA.fullmatch(d) for d in commas)):
        return ""
    dot = "" if thousands else "."
    found = [m for m in found if _is_number(m[2].replace(",", dot))]
    if len(found) <= len(texts) / 2:
        return ""
    units = Counter(m[3] for m in found if m[3])
    said = [f"a unit ({', '.join(repr(u.strip()) for u in units)})"] if units else []
    if commas:
        said.append("commas between thousands" if thousands else "decimal commas")
    read = f"data[{name!r}].str.strip()"
    kinds = {u.strip() for u in units}
    if len(kinds) > 3:
        return ""  # house numbers, not units
    [(currency, _)] = Counter(m[1] for m in found).most_common(1)
    if currency:
        said, read = [f"a currency ({currency!r})", *said], f"{read}.str.removeprefix({currency!r})"
    if len(kinds) > 1:
        return f"They look like numbers with {' and '.join(said)}: convert them to one unit first."
    for unit in units:
        read += f".str.removesuffix({unit!r})"
    if commas:
        read += f".str.replace(',', {dot!r})"
    return (
        f"They look like numbers with {' and '.join(said)}: read them as numbers, "
        f"pd.to_numeric({read}, errors='coerce')."
    )


def in_days(name: str, kind: Kind | None) -> str:
    """Return code that counts days."""
    held = None if kind is None else next((v for v in kind.values.tolist() if v is not None), None)
    if type(held).__name__ in ("timedelta", "Timedelta"):
        return f"pd.to_timedelta(data[{name!r}]).dt.total_seconds() / 86400"
    if type(held).__name__ == "Period":
        return f"data[{name!r}].dt.year"
    day = f"pd.to_datetime(data[{name!r}])"
    return f"({day} - {day}.min()).dt.days"


def _is_number(text: str | float) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
