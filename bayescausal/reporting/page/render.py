"""Blocks into a page, and into Markdown.

Both come from templates; whatever is a name, a label or a note is escaped, for it may hold
anything. The only markup that passes is that of drawings made here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from itertools import count
from typing import TYPE_CHECKING

from bayescausal.reporting.decision import PROB
from bayescausal.reporting.live.levels import LEVELS, Swapped, as_percent
from bayescausal.reporting.page.pictures import themed

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from bayescausal.reporting.page.blocks import Picture, Section

__all__ = ["as_html", "as_markdown"]


def as_html(title: str, head: Section, content: tuple[Section, ...]) -> str:
    """Return a page that refers to nothing outside itself, and runs no script but its own.

    ``head``: what comes first.
    """
    from markupsafe import Markup

    numbers = count(1)

    def picture(block: Picture) -> Markup:
        return Markup(themed(block.svg, block.alt, next(numbers)))

    script = files("bayescausal.reporting").joinpath("templates/report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = _environment(True).get_template("report.html")
    return str(
        template.render(
            title=title,
            head=head,
            content=content,
            picture=picture,
            script=Markup(script),
            allowed=f"sha256-{digest}",
            percents=[as_percent(level) for level in LEVELS],
            usual=as_percent(PROB),
        )
    )


def as_markdown(title: str, head: Section, content: tuple[Section, ...]) -> str:
    """Return the same as Markdown; drawings stand at the end, as data."""
    drawings: list[str] = []

    def picture(block: Picture) -> str:
        data = base64.b64encode(block.svg.encode()).decode()
        drawings.append(f"data:image/svg+xml;base64,{data}")
        alt = re.sub(r"[\[\]\\]", " ", " ".join(block.alt.split()))
        return f"![{alt}][figure-{len(drawings)}]"

    template = _environment(False).get_template("report.md")
    text = str(template.render(title=title, head=head, content=content, picture=picture))
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    links = "\n".join(f"[figure-{k}]: {data}" for k, data in enumerate(drawings, 1))
    return f"{text}\n\n{links}\n" if links else f"{text}\n"


@cache
def _environment(escaped: bool) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bayescausal.reporting", "templates"),
        autoescape=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = _markdown
    environment.filters["numeric"] = _numeric
    environment.filters["breakable"] = _breakable
    environment.filters["data"] = _data
    return environment


def _markdown(text: str) -> str:
    """Return text in which nothing is Markdown.

    Examples
    --------
    >>> _markdown("b_0 | <x>")
    'b\\\\_0 \\\\| &lt;x>'
    """
    text = " ".join(str(text).split()).replace("<", "&lt;")
    return re.sub(r"([\\`*_|\[\]#])", r"\\\1", text)


def _numeric(text: str) -> bool:
    """Whether a cell holds a number, so that it stands to the right."""
    return bool(re.fullmatch(r"[-+<>]?\s?[\d.,]+(e[-+]?\d+)?|-", str(text)))


def _breakable(text: str) -> Markup:
    """Return escaped text whose long names may be broken at underscores and dots.

    What changes with the level of the intervals carries the other texts with it.
    """
    from markupsafe import Markup, escape

    shown = Markup(re.sub(r"(?<=\w\w)([_./])(?=[A-Za-z]\w)", r"\1<wbr>", str(escape(text))))
    if not isinstance(text, Swapped):
        return shown
    levels = escape(json.dumps(dict(text.levels), ensure_ascii=False))
    return Markup(f'<span data-levels="{levels}">{shown}</span>')


def _data(record: object) -> Markup:
    """Return plain data as JSON that nothing in it can end.

    Examples
    --------
    >>> str(_data({"name": "</script>"}))
    '{"name":"\\\\u003c/script>"}'
    """
    from markupsafe import Markup

    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))
