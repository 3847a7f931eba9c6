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
ORDER = ("start", "ladder", "contract", "howto", "designs", "limits", "coming_from", "glossary")


def full_text(docs: Path) -> str:
    """Return the pages of `docs` as one text, with the address of each."""
    pages: list[Path] = []
    for name in ORDER:
        page = docs / f"{name}.md"
        pages += [page] if page.exists() else sorted((docs / name).glob("*.md"))
    parts = [(docs / "llms.txt").read_text(encoding="utf-8").partition("## Docs")[0]]
    for page in pages:
        text = re.sub(r"```\{toctree\}.*?```\n?", "", page.read_text(encoding="utf-8"), flags=re.S)
        where = page.relative_to(docs).with_suffix(".html").as_posix()
        parts.append(f"<!-- {where} -->\n\n{text.strip()}\n")
    return "\n".join(parts)


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
