"""What a report is made of: sections of blocks, which know nothing of HTML or Markdown.

A section is a heading and blocks: paragraphs, facts, lists, tables, pictures, code. The functions
that write a report return these; two templates turn the same blocks into a page and into Markdown,
so that the two never say different things.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsFloat

from bayescausal.draws.digits import level_text, rows_text, significant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

__all__ = ["Bullets", "Code", "Facts", "Grid", "Live", "Picture", "Section", "Text", "grid"]


@dataclass(frozen=True)
class Text:
    """A paragraph.

    ``style``: ``"symbols"``: mathematics, as plain text.
    ``latex``: the same mathematics for Markdown.
    """

    text: str
    style: str = ""
    latex: str = ""
    kind: str = "text"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]
    kind: str = "bullets"


@dataclass(frozen=True)
class Facts:
    """Terms and what they are."""

    pairs: tuple[tuple[str, str], ...]
    kind: str = "facts"


@dataclass(frozen=True)
class Grid:
    """A table of text cells.

    ``rows``: the first cell of each row is its heading.
    ``caption``: empty where the heading above says it already.
    ``label``: what it is, for those who do not see it. Default: the caption.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    label: str = ""
    kind: str = "grid"


@dataclass(frozen=True)
class Picture:
    """A drawing.

    ``svg``: with the colours of a light page.
    ``alt``: what it shows, for those who do not see it.
    """

    svg: str
    alt: str
    caption: str = ""
    kind: str = "picture"


@dataclass(frozen=True)
class Code:
    """A listing."""

    text: str
    language: str = "python"
    kind: str = "code"


@dataclass(frozen=True)
class Live:
    """Something for the script of the page to move; without a script, and in Markdown, nothing.

    ``what``: which part of the script it is for: ``"effect"``, ``"graph"`` or ``"surface"``.
    ``record``: plain data.
    """

    what: str
    record: Mapping[str, Any]
    kind: str = "live"


@dataclass(frozen=True)
class Section:
    """A heading with its blocks and, under it, further sections.

    Examples
    --------
    >>> Section("Prior & posterior", (Text("None."),)).anchor
    'prior-posterior'
    """

    title: str
    blocks: tuple[Any, ...] = ()
    parts: tuple[Section, ...] = ()

    @property
    def anchor(self) -> str:
        """A name for links."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"


def grid(
    frame: pd.DataFrame,
    caption: str,
    *,
    first: str = "",
    most: int = 40,
    formats: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    columns: Sequence[str] | None = None,
    null: float | None = None,
    label: str = "",
) -> Grid:
    """Return a DataFrame as a table of text.

    Where it has columns ``mean`` and ``sd``, numbers have the digits that the sd supports; others
    have four significant digits.

    ``first``: heading of the index.
    ``most``: at most so many rows; the caption says how many were left out.
    ``formats``: format specifications by column.
    ``names``: headings by column.
    ``columns``: which columns. Default: all.
    ``null``: the value of no effect.
    ``label``: what the table is, where it has no caption.

    Examples
    --------
    >>> import pandas as pd
    >>> grid(pd.DataFrame({"mean": [0.12356]}, index=["b"]), "Parameters").rows
    (('b', '0.1236'),)
    """
    chosen = [c for c in (columns or frame.columns) if c in frame.columns]
    shown = rows_text(frame, null)[chosen] if {"mean", "sd"} <= {*frame} else frame[chosen]
    formats, names = formats or {}, names or {}
    rows = []
    for key, values in zip(shown.index[:most], shown.itertuples(index=False), strict=False):
        own = ", ".join(map(_label, key if isinstance(key, tuple) else (key,)))
        cells = (cell(v, formats.get(c, "")) for c, v in zip(chosen, values, strict=True))
        rows.append((own, *cells))
    more = len(shown) - len(rows)
    caption = f"{caption} ({len(rows)} of {len(shown)} rows)".strip() if more > 0 else caption
    heads = (first, *(str(names.get(c, str(c).replace("_", " "))) for c in chosen))
    return Grid(heads, tuple(rows), caption, label)


def _label(key: object) -> str:
    """Return an entry of an index: a number that is no whole one with the digits that tell it."""
    return level_text(key) if isinstance(key, float) and key != round(key, 6) else str(key)


def cell(value: object, form: str = "") -> str:
    """Return a value as a table shows it; a dash for what is undefined.

    Examples
    --------
    >>> cell(0.00001234), cell(1234567.0), cell(float("nan")), cell(True), cell(3)
    ('1.234e-05', '1,234,567', '-', 'yes', '3')
    """
    if value is None:
        return "-"
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list):
        return " to ".join(cell(v, form) for v in value)
    if not isinstance(value, SupportsFloat):
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return format(number, form) if form and number == number else significant(number)
