"""The course: notebooks are those of the lessons' texts, run, and say what is committed."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

COURSE = Path(__file__).resolve().parent.parent / "docs" / "course"
sys.path.insert(0, str(COURSE))

import make_course  # noqa: E402

sys.path.insert(0, str(COURSE.parent))

import build_pages  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent / "reporting"))

from report_browser import chromium  # noqa: E402

LESSONS = make_course.lessons()
TEXTS = {name: text for path in LESSONS for name, text in make_course.texts(path).items()}
#: One lesson is run with every suite.
CHEAP = {"01_coating_solution"}
NUMBER = r"[-+]?\d+(?:\.\d+)?"
STORIES = {
    "01": "coating",
    "02": "Berkeley",
    "03": "shoe",
    "04": "talent",
    "05": "drown",
    "06": "medication",
    "07": "cancer",
    "08": "enzyme",
    "09": "homework",
    "10": "LaLonde",
}


def committed(name: str):
    return nbformat.read(COURSE / f"{name}.ipynb", as_version=4)


def code(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def said(cell) -> str:
    return "".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )


def test_ten_lessons_tell_the_stories_and_have_an_exercise_hints_and_a_solution():
    assert [path.stem[:2] for path in LESSONS] == list(STORIES)
    for path in LESSONS:
        lesson, solution = (TEXTS[n] for n in (path.stem, f"{path.stem}_solution"))
        assert STORIES[path.stem[:2]] in lesson
        assert re.search(r"\bwrong", lesson, re.I), path.stem
        assert "## Exercise" in lesson
        assert lesson.count("<details>") == lesson.count("</details>") >= 2
        assert ".check(" in solution


@pytest.mark.parametrize("name", TEXTS)
def test_notebooks_are_made_from_the_texts_and_are_clean(name):
    book, fresh = committed(name), make_course.notebook(TEXTS[name])
    assert [(c.cell_type, c.source) for c in book.cells] == [
        (c.cell_type, c.source) for c in fresh.cells
    ]
    assert [c.execution_count for c in code(book)] == list(range(1, len(code(book)) + 1))
    raw = (COURSE / f"{name}.ipynb").read_text(encoding="utf-8")
    assert len(raw) < 40_000
    assert not re.search(r"(/home/|/Users/|/tmp/|/work/|site-packages|Traceback)", raw)


@pytest.mark.parametrize("name", TEXTS)
def test_notebooks_open_in_colab_and_binder(name):
    """The first cell of code installs what is not there; the page says where it can be opened."""
    first = code(committed(name))[0]
    assert first.source == make_course.INSTALL
    assert first.metadata["tags"] == ["remove-cell"]
    root = COURSE.parent.parent
    page = json.loads(build_pages.with_links(COURSE / f"{name}.ipynb", root))
    title, _, rest = "".join(page["cells"][0]["source"]).partition("\n")
    assert title == committed(name).cells[0].source.partition("\n")[0]
    for place in ("colab.research.google.com/github/", "mybinder.org/v2/gh/"):
        assert place in rest
    assert rest.count(f"docs/course/{name}.ipynb") == 2


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in CHEAP)) for n in TEXTS]
)
@pytest.mark.filterwarnings("ignore:Enable tracemalloc", "ignore::DeprecationWarning")
def test_a_notebook_says_what_is_committed(name):
    """Seeds are fixed and posteriors exact: only rounding moves the last digit that is shown."""
    then = code(committed(name))
    now = code(make_course.run(make_course.notebook(TEXTS[name])))
    for a, b in zip(now, then, strict=True):
        assert re.sub(NUMBER, "#", said(a)) == re.sub(NUMBER, "#", said(b))
        for x, y in zip(re.findall(NUMBER, said(a)), re.findall(NUMBER, said(b)), strict=True):
            unit = 10.0 ** -len(y.partition(".")[2]) * ("." in y)
            assert abs(float(x) - float(y)) <= 1.01 * unit + 0.002 * abs(float(y)), (x, y)


def test_solutions_are_right_and_mistakes_are_named():
    """What the committed notebooks show: each solution passes its check."""
    for path in LESSONS[:-1]:
        shown = "".join(said(cell) for cell in code(committed(f"{path.stem}_solution")))
        assert ": pass." in shown, path.stem
    last = "".join(said(cell) for cell in code(committed("10_lalonde_solution")))
    assert "known mistake: ambition forgotten" in last


def test_every_exercise_is_in_a_lesson_and_on_the_page():
    import bayescausal as bc

    page = (COURSE / "exercises.md").read_text(encoding="utf-8")
    course = "".join(TEXTS.values())
    for name in bc.exercise().index:
        assert f"| `{name}` |" in page
        assert f'bc.exercise("{name}")' in course


def test_slides_need_no_network_and_hold_every_cell(tmp_path):
    pages = make_course.write_slides(tmp_path, "../reveal")
    assert len(pages) == len(LESSONS)
    for path, page in zip(LESSONS, pages, strict=True):
        text = page.read_text(encoding="utf-8")
        links = re.findall(r"(?:src|href)=[\"']([^\"'#]+)", text)
        assert links
        assert not any("//" in link for link in links)
        cells = [c for c in committed(path.stem).cells if "tags" not in c.metadata]
        assert "find_spec" not in text  # the cell that installs is on no slide
        assert text.count("<section>") == len(cells) + sum(
            c.cell_type == "markdown" and c.source.startswith("#") for c in cells
        )
    for link in ("reset.css", "reveal.css", "course.css", "reveal.js", "LICENSE"):
        assert (COURSE.parent / "_static" / "reveal" / link).is_file()


@pytest.mark.slow
def test_slides_run_in_a_browser_fit_the_screen_and_ask_the_network_nothing(tmp_path):
    path = chromium()
    from playwright.sync_api import sync_playwright

    shutil.copytree(COURSE.parent / "_static" / "reveal", tmp_path / "reveal")
    pages = make_course.write_slides(tmp_path / "course", "../reveal")
    heights = """() => Reveal.getSlides().map(slide => {
        const at = Reveal.getIndices(slide);
        Reveal.slide(at.h, at.v);
        return slide.scrollHeight - slide.clientHeight;
    })"""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        wrong: list[str] = []
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: None if r.url.startswith("file:") else wrong.append(r.url))
        page.on("requestfailed", lambda r: wrong.append(r.url))
        for each in pages:
            page.goto(each.as_uri())
            page.wait_for_function("Reveal.isReady()")
            over = page.evaluate(heights)
            assert len(over) > 10
            assert max(over) <= 2, (each.name, over)
            page.keyboard.press("Home")
            page.keyboard.press("ArrowRight")
            assert page.evaluate("Reveal.getIndices().h") == 1
        browser.close()
    assert not wrong
