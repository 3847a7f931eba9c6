"""Put the pages, as one text, into the wheel: ``bayescausal/llms-full.txt``.

An assistant that answers from the installed package reads them there; ``bayescausal/SKILL.md`` says
how. Used by the build of the wheel and by the docs, which serve the same text.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # the docs need the text alone
    BuildHookInterface = object

#: Folders and pages, in the order in which they are read.
ORDER = (
    "install",
    "start",
    "ladder",
    "minimal_scm",
    "contract",
    "howto",
    "designs",
    "datasets",
    "course/index",
    "course/exercises",
    "playground/index",
    "limits",
    "coming_from",
    "glossary",
    "calibration",
)
#: Pages that are left out, and why.
LEFT_OUT = {
    "index": "the landing page: its words stand in llms.txt and on the page start",
    "course/solutions": "a list of links",
    "decisions": "for those who change the package",
    "architecture": "for those who change the package",
    "changelog": "what earlier versions did",
    "benchmarks": "times of machines",
    "api": "made from the docstrings, which `help(bc.ATE)` prints",
    "gallery": "pictures; their code is that of the pages above",
    "notebooks": "long, with outputs; each method has its page above",
    "course": "lessons are notebooks with exercises, and solutions that would be told",
}


def full_text(docs: Path) -> str:
    """Return the pages of `docs` as one text, with the address of each."""
    pages: list[Path] = []
    for name in ORDER:
        page = docs / f"{name}.md"
        pages += [page] if page.exists() else sorted((docs / name).glob("*.md"))
    parts = [(docs / "llms.txt").read_text(encoding="utf-8").partition("## Docs")[0]]
    for page in pages:
        text = _included(page)
        where = page.relative_to(docs).with_suffix(".html").as_posix()
        parts.append(f"<!-- {where} -->\n\n{text.strip()}\n")
    return "\n".join(parts)


def _included(page: Path) -> str:
    """Return the text of a page, with the file that it includes and without what is for a site."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"\A---\n.*?\n---\n+", "", text, flags=re.S)
    text = re.sub(r"```\{(?:toctree|raw|image)\}.*?```\n?", "", text, flags=re.S)
    for whole, name in re.findall(r"(```\{literalinclude\} (\S+)\n.*?```)", text, flags=re.S):
        code = (page.parent / name).read_text(encoding="utf-8").strip()
        text = text.replace(whole, f"```python\n{code}\n```")
    return text


class AssistantsHook(BuildHookInterface):
    """Write the text before a wheel is built."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the text to the wheel; an editable install reads the pages themselves."""
        if version == "editable":
            return
        target = Path(tempfile.mkdtemp()) / "llms-full.txt"
        target.write_text(full_text(Path(self.root) / "docs"), encoding="utf-8")
        build_data["force_include"][str(target)] = "bayescausal/llms-full.txt"
