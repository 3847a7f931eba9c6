"""The files of the editor: one module of JavaScript, one sheet of styles.

The parts stand in files of their own and are joined in their order; only the last exports. So a
page imports one file, and a widget takes it as one text.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["editor_css", "editor_js"]

PARTS = ("canvas.js", "parts.js", "mount.js", "widget.js")


@cache
def editor_js() -> str:
    """Return the module: ``mount(root, ask, options)``, and as its default what a widget needs.

    Examples
    --------
    >>> editor_js().count("export default")
    1
    """
    folder = files("bayescausal.reporting.editor")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in PARTS)


@cache
def editor_css() -> str:
    """Return the looks, which follow the page round it."""
    sheet = files("bayescausal.reporting.editor").joinpath("editor.css")
    return sheet.read_text(encoding="utf-8")
