"""Pages of the docs that are made from the package: API reference, gallery, copies.

Used by ``conf.py`` when the docs are built, and by the tests, which need no Sphinx.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import runpy
import shutil
import sys
import tomllib
from pathlib import Path  # noqa: TC003

GROUPS = {
    "a model without PyMC": "Models from formulas",
    "the graph": "The graph",
    "what the arrows say": "What the arrows say",
    "data from known parameters": "Simulation",
    "data in, posterior out": "Fitting",
    "interventions": "Interventions",
    "questions": "Questions",
    "answers": "Answers",
}


def sections(root: Path) -> dict[str, list[str]]:
    """Return the public names under the comments of ``__init__.pyi``."""
    text = (root / "bayescausal" / "__init__.pyi").read_text(encoding="utf-8")
    table = text.partition("# ruff: noqa: I001\n")[2]
    found: dict[str, list[str]] = {}
    heading = "Names"
    for line in table.splitlines():
        comment = re.match(r"\s*# (.+)", line)
        name = re.match(r"from \S+ import (\w+) as", line)
        if comment:
            heading = GROUPS.get(comment.group(1), comment.group(1).capitalize())
        elif name:
            found.setdefault(heading, []).append(name.group(1))
    for room in ("designs", "estimators"):
        stub = (root / "bayescausal" / room / "__init__.pyi").read_text(encoding="utf-8")
        found[room.capitalize()] = [f"{room}.{n}" for n in re.findall(r"(\w+) as \1\b", stub)]
    text = (root / "bayescausal" / "datasets" / "__init__.py").read_text(encoding="utf-8")
    listed = re.findall(r'"(\w+)"', text.partition("__all__ =")[2])
    found["Datasets"] = [f"datasets.{name}" for name in listed]
    return found


def told_apart(root: Path) -> dict[str, str]:
    """Return file names for the pages of names that differ from another in case alone."""
    names = [f"bayescausal.{name}" for found in sections(root).values() for name in found]
    folded = [name.casefold() for name in names]
    twice = [name for name in names if folded.count(name.casefold()) > 1]
    return {name: f"{name}-class" for name in twice if name.rpartition(".")[2][0].isupper()}


def api_page(root: Path) -> str:
    """Return the API reference: every public name, in the order of the argument."""
    lines = [
        "# API reference",
        "",
        "Everything is reached as `bc.name` after `import bayescausal as bc`. Each name is loaded",
        "on first use.",
        "",
    ]
    for heading, names in sections(root).items():
        lines += [f"## {heading}", "", "```{eval-rst}", ".. currentmodule:: bayescausal", ""]
        lines += [".. autosummary::", "   :toctree: generated", "   :nosignatures:", ""]
        lines += [f"   {name}" for name in names]
        lines += ["```", ""]
    return "\n".join(lines)


def gallery_scripts(docs: Path) -> list[Path]:
    """Return the scripts of the gallery, in order."""
    return sorted((docs / "gallery").glob("[0-9]*.py"))


def draw(script: Path, target: Path) -> None:
    """Run one script and save the figure that its function ``figure`` returns."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    sys.path.insert(0, str(script.parent))
    try:
        figure = runpy.run_path(str(script))["figure"]()
    finally:
        sys.path.pop(0)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close("all")


def parts_of(script: Path) -> tuple[str, str, str]:
    """Return the title, the words and the code of a script of the gallery."""
    _, docstring, code = script.read_text(encoding="utf-8").split('"""', 2)
    title, _, words = docstring.strip().partition("\n")
    return title.rstrip("."), words.strip(), code.strip()


def gallery_page(docs: Path) -> str:
    """Return the gallery: a card with a thumbnail for each script."""
    lines = [
        "# Gallery",
        "",
        "Every picture is drawn when these pages are built. A card leads to its",
    ]
    lines += ["code.", "", "::::{grid} 1 2 3 3", ":gutter: 2", ""]
    for script in gallery_scripts(docs):
        title, words, _ = parts_of(script)
        lines += [
            f":::{{grid-item-card}} {title}",
            f":link: gallery/{script.stem}",
            ":link-type: doc",
        ]
        lines += [f":img-top: _static/gallery/{script.stem}.png", f":img-alt: {title}"]
        lines += ["", words, ":::", ""]
    lines += ["::::", "", "```{toctree}", ":hidden:", ""]
    lines += [f"gallery/{script.stem}" for script in gallery_scripts(docs)]
    return "\n".join([*lines, "```", ""])


def shared_code(shared: str, code: str) -> str:
    """Return the functions of the shared code that a figure takes, and what those take of it."""
    tree = ast.parse(shared)
    made = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    parts = {name: str(ast.get_source_segment(shared, node)) for name, node in made.items()}
    wanted = {name for name in made if f"{name}(" in code}
    for name in reversed(made):  # what stands further up may be called by what stands below
        wanted |= {other for other in made if name in wanted and f"{other}(" in parts[name]}
    body = [f"@functools.cache\n{parts[name]}" for name in made if name in wanted]
    text = "\n".join(body)
    head = [
        str(ast.get_source_segment(shared, node))
        for node in tree.body
        if isinstance(node, ast.Import)
        and any(f"{alias.asname or alias.name}." in text for alias in node.names)
    ]
    return "\n".join(head) + "\n\n\n" + "\n\n\n".join(body)


def figure_page(script: Path) -> str:
    """Return the page of one figure: what it shows, the picture, the code."""
    title, words, code = parts_of(script)
    lines = [f"# {title}", "", words, "", f"![{title}](../_static/gallery/{script.stem}.png)", ""]
    lines += ["```{code-block} python", code, "```", ""]
    if "from common import" in code:
        lines += ["`common` holds what several figures share; of it this one takes:", ""]
        shared = (script.parent / "common.py").read_text(encoding="utf-8")
        lines += ["```{code-block} python", shared_code(shared, code), "```", ""]
    return "\n".join(lines)


def with_links(notebook: Path, root: Path) -> str:
    """Return a notebook whose first cell says where it can be opened and changed."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    _, _, repository = project["urls"]["Source"].partition("https://github.com/")
    path = notebook.relative_to(root).as_posix()
    colab = f"https://colab.research.google.com/github/{repository}/blob/main/{path}"
    binder = f"https://mybinder.org/v2/gh/{repository}/main?labpath={path}"
    content = json.loads(notebook.read_text(encoding="utf-8"))
    links = f"\n\n[Open in Colab]({colab}) · [Open in Binder]({binder})"
    first = content["cells"][0]
    title, _, rest = "".join(first["source"]).partition("\n")
    first["source"] = f"{title}{links}\n{rest}"
    return json.dumps(content, ensure_ascii=False, indent=1)


def course_slides(docs: Path) -> list[Path]:
    """Write the slides of the course, beside a copy of reveal.js: no page loads from elsewhere."""
    sys.path.insert(0, str(docs / "course"))
    try:
        build = importlib.import_module("make_course")
    finally:
        sys.path.pop(0)
    return list(build.write_slides(docs / "_static" / "course", "../reveal"))


def write_pages(docs: Path, root: Path) -> None:
    """Write all pages that are made; those of names that are gone go."""
    shutil.rmtree(docs / "generated", ignore_errors=True)
    (docs / "api.md").write_text(api_page(root), encoding="utf-8")
    for script in gallery_scripts(docs):
        draw(script, docs / "_static" / "gallery" / f"{script.stem}.png")
        script.with_suffix(".md").write_text(figure_page(script), encoding="utf-8")
    (docs / "gallery.md").write_text(gallery_page(docs), encoding="utf-8")
    pages = {"changelog.md": "CHANGELOG.md", "architecture.md": "ARCHITECTURE.md"}
    for page, source in pages.items():
        shutil.copyfile(root / source, docs / page)
    figures = root / "benchmarks" / "RESULTS.md"
    text = figures.read_text(encoding="utf-8") if figures.exists() else "# Benchmarks\n\n"
    if not figures.exists():
        text += "`uv run python -m benchmarks` measures, and writes `benchmarks/RESULTS.md`.\n"
    (docs / "benchmarks.md").write_text(text, encoding="utf-8")
    if not (docs / "calibration.md").exists():
        (docs / "calibration.md").write_text(
            "# Calibration\n\n`uv run python -m benchmarks.calibration` runs the study.\n",
            encoding="utf-8",
        )
    course_slides(docs)
    target = docs / "notebooks"
    target.mkdir(exist_ok=True)
    for notebook in sorted((root / "notebooks").glob("*.ipynb")):
        (target / notebook.name).write_text(with_links(notebook, root), encoding="utf-8")
    names = sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))
    cases = [name for name in names if name.startswith("2")]
    lines = ["# Notebooks", ""]
    for heading, group in (("Methods", sorted({*names} - {*cases})), ("Case studies", cases)):
        lines += [f"## {heading}", "", "```{toctree}", ":maxdepth: 1", ""]
        lines += [*(f"notebooks/{name}" for name in group), "```", ""]
    (docs / "notebooks.md").write_text("\n".join(lines), encoding="utf-8")
