"""Sphinx settings. What can be made from the package is made here, when the docs are built."""

from __future__ import annotations

import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS))
sys.path.insert(0, str(ROOT))

from build_for_assistants import full_text  # noqa: E402
from build_pages import sections, told_apart, with_links, write_pages  # noqa: E402
from build_playground import write_playground  # noqa: E402

import bayescausal  # noqa: E402

project = "bayescausal"
author = "The bayescausal developers"
copyright = author
release = version = bayescausal.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "mathml",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
]
html_math_renderer = "mathml"
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "_templates",
    "**.ipynb_checkpoints",
    "gallery/*.py",
    "course/lessons/*",
]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are executed and compared in the tests
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = "bayescausal"
html_static_path = ["_static"]
html_css_files = ["wrap.css"]
html_js_files = ["scroll.js"]
html_extra_path = ["llms.txt", "_build/llms-full.txt"]
html_copy_source = False

autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_filename_map = told_apart(ROOT)
autosummary_context = {
    "listed": {
        f"bayescausal.{room.lower()}": [name.partition(".")[2] for name in sections(ROOT)[room]]
        for room in ("Datasets", "Designs", "Estimators")
    }
}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

write_pages(DOCS, ROOT)
(DOCS / "_build").mkdir(exist_ok=True)
(DOCS / "_build" / "llms-full.txt").write_text(full_text(DOCS), encoding="utf-8")


def _plain_references(app, what, name, obj, options, lines):
    """Give the numbered references of a docstring names of their own, page by page.

    An author's initial at the start of a line is no number of a list.
    """
    lines[:] = [re.sub(r"^(\.\. \[\d+\] )?(?=[A-Z]\. )", r"\1\\", line) for line in lines]
    text = "\n".join(lines)
    if re.search(r"^\.\. \[\d+\] ", text, re.M) and what == "module":
        lines[:] = re.sub(r"\[(\d+)\]_", r"[\1]", text).split("\n")


def _playground(app, exception):
    """Put the playground beside its page; where it cannot be, the page says so."""
    if exception is None and app.builder.format == "html":
        reason = write_playground(
            Path(app.outdir) / "playground", ROOT, DOCS / "_build" / "pyodide"
        )
        if reason:
            print(f"The playground will not run: {reason}.")


def _links(app, docname, source):
    """Say at the head of a notebook of the course where it can be opened and changed."""
    notebook = DOCS / f"{docname}.ipynb"
    if docname.startswith("course/") and notebook.exists():
        source[0] = with_links(notebook, ROOT)


def _slides(name, rawtext, text, lineno, inliner, options=None, content=None):
    """Link the slides of a lesson, a page beside the built ones."""
    from docutils import nodes

    return [nodes.reference(rawtext, "slides", refuri=f"../_static/course/{text}.html")], []


def setup(app):
    """Register what is done to docstrings, the role of slides, and what is written last."""
    app.add_role("slides", _slides)
    app.connect("autodoc-process-docstring", _plain_references, priority=100)
    app.connect("source-read", _links)
    app.connect("build-finished", _playground)
