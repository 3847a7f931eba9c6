"""Notebooks and slides of the course, made from the texts in ``lessons``.

    uv run python docs/course/make_course.py          # execute everything and write the notebooks
    uv run python docs/course/make_course.py 03       # one lesson

A lesson is a text with blocks of code. What stands above the heading ``# Solution`` becomes the
notebook of the lesson, what stands below it that of the solution. Slides are made from the
notebooks when the pages are built: one slide for each cell, sections side by side.
"""

from __future__ import annotations

import contextlib
import html
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

COURSE = Path(__file__).resolve().parent
CODE = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
#: First cell of code: where the package is not there, as in Colab, it is installed.
INSTALL = """import importlib.util

if importlib.util.find_spec("bayescausal") is None:  # opened in Colab
    %pip install --quiet "bayescausal[notebook,ml]\""""
SOLUTION = "\n# Solution\n"


def lessons() -> list[Path]:
    """Return the texts, in order."""
    return sorted((COURSE / "lessons").glob("[0-9]*.md"))


def title_of(path: Path) -> str:
    """Return the heading of a text."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def texts(path: Path) -> dict[str, str]:
    """Return the text of each notebook of a lesson, by its name."""
    lesson, _, solution = path.read_text(encoding="utf-8").partition(SOLUTION)
    head = f"# Solution of lesson {title_of(path)}\n"
    return {path.stem: lesson, f"{path.stem}_solution": head + solution}


def notebook(text: str) -> Any:
    """Return a text as a notebook that was not run."""
    cells: list[Any] = []
    for i, part in enumerate(CODE.split(text)):
        if i % 2:
            if i == 1:
                cells.append(new_code_cell(INSTALL, metadata={"tags": ["remove-cell"]}))
            cells.append(new_code_cell(part.rstrip()))
            continue
        for section in re.split(r"^(?=## )", part, flags=re.M):
            if section.strip():
                cells.append(new_markdown_cell(section.strip()))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:02d}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(
        cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}}
    )


def run(book: Any) -> Any:
    """Execute a notebook in this process, in a folder of its own; return it with its outputs."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell.instance(colors="nocolor")
    shell.reset(new_session=True)
    shown: list[Any] = []
    shell.display_trap.hook = lambda value: shown.append(value) if value is not None else None
    count = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for cell in book.cells:
            if cell.cell_type != "code":
                continue
            count += 1
            shown.clear()
            with capture_output() as got:
                done = shell.run_cell(cell.source, store_history=False)
            error = done.error_before_exec or done.error_in_exec
            if error is not None:
                raise RuntimeError(f"{cell.source}\n{got.stdout}") from error
            cell.execution_count = count
            cell.outputs = [new_output("stream", name="stdout", text=t) for t in [got.stdout] if t]
            for value in shown:
                data, _ = shell.display_formatter.format(value)
                kept = {k: v for k, v in data.items() if k in ("text/plain", "text/html")}
                cell.outputs.append(new_output("execute_result", data=kept, execution_count=count))
    return book


# ------------------------------------------------------------------------------- slides

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{reveal}/reset.css">
<link rel="stylesheet" href="{reveal}/reveal.css">
<link rel="stylesheet" href="{reveal}/course.css">
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="{reveal}/reveal.js"></script>
<script>Reveal.initialize({{hash: true, width: 1280, height: 720, center: false,
  transition: "none", controls: true, progress: true, slideNumber: "c/t"}});</script>
</body>
</html>
"""


def slides(book: Any, title: str, reveal: str) -> str:
    """Return a notebook as a page of slides; a section starts at each heading."""
    sections: list[list[str]] = []
    for cell in book.cells:
        if "remove-cell" in cell.metadata.get("tags", []):
            continue
        if cell.cell_type == "markdown":
            if cell.source.startswith("#") or not sections:
                sections.append([])
            sections[-1].append(f"<section>{_prose(cell.source)}</section>")
        else:
            sections[-1].append(f"<section>{_code(cell)}</section>")
    body = "\n".join(f"<section>\n{chr(10).join(each)}\n</section>" for each in sections)
    return PAGE.format(title=html.escape(title), reveal=reveal, slides=body)


def _prose(text: str) -> str:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


def _code(cell: Any) -> str:
    """Return code and what it says; a drawing stands beside its code, long code is set smaller."""
    outputs = []
    for output in cell.outputs:
        if output.output_type == "stream":
            outputs.append(f"<pre class='out'>{html.escape(output.text)}</pre>")
        elif "text/html" in output.data:
            outputs.append(f"<div class='out'>{output.data['text/html']}</div>")
        else:
            outputs.append(f"<pre class='out'>{html.escape(output.data['text/plain'])}</pre>")
    code = f"<pre class='code'><code>{html.escape(cell.source)}</code></pre>"
    drawn = any("<svg" in each for each in outputs)
    names = ["pair"] * drawn + ["long"] * (cell.source.count("\n") > 19)
    said = "\n".join(outputs)
    return f"<div class='{' '.join(names)}'>\n{code}\n<div>{said}</div>\n</div>"


def write_slides(target: Path, reveal: str) -> list[Path]:
    """Write the slides of all lessons."""
    target.mkdir(parents=True, exist_ok=True)
    made = []
    for path in lessons():
        book = nbformat.read(COURSE / f"{path.stem}.ipynb", as_version=4)
        page = target / f"{path.stem}.html"
        page.write_text(slides(book, title_of(path), reveal), encoding="utf-8")
        made.append(page)
    return made


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for lesson in lessons():
        if sys.argv[1:] and not lesson.name.startswith(tuple(sys.argv[1:])):
            continue
        for name, text in texts(lesson).items():
            book = run(notebook(text))
            nbformat.write(book, COURSE / f"{name}.ipynb")
            print(name, flush=True)
