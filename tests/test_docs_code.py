"""The code of the docs runs and prints what stands below it; every public name has its entry.

Blocks marked ``python`` run, page by page, in one namespace each; those marked ``py`` or ``r`` are
code of other tools, or half sentences, and are shown only.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path

import click
import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pytest

import bayescausal
from bayescausal.cli import main

DOCS = Path(__file__).resolve().parent.parent / "docs"
sys.path.insert(0, str(DOCS))

import build_for_assistants  # noqa: E402
import build_pages  # noqa: E402

MADE = {"api.md", "gallery.md", "changelog.md", "architecture.md", "benchmarks.md", "notebooks.md"}
PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if path.name not in MADE and not {"_build", "generated", "gallery", "lessons"} & {*path.parts}
)
#: The first block of the landing page is that of the README, which has a test of its own.
ELSEWHERE = {"index.md"}
NUMBER = r"-?\d+(?:\.\d+)?"


def blocks(path: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)


def run(code: str, scope: dict, name: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, name, "exec"), scope)
    plt.close("all")
    return out.getvalue()


def differs(got: str, said: str) -> str | None:
    """Compare texts: words exactly, numbers to one unit of the last digit that is shown."""
    if re.sub(NUMBER, "#", got) != re.sub(NUMBER, "#", said):
        return f"{got!r} is not {said!r}"
    for a, b in zip(re.findall(NUMBER, got), re.findall(NUMBER, said), strict=True):
        unit = 10.0 ** -len(b.partition(".")[2])
        if abs(float(a) - float(b)) > 1.01 * unit * ("." in b):
            return f"{a} is not {b}"
    return None


RUN = [
    p for p in PAGES if p.name not in ELSEWHERE and any(kind == "python" for kind, _ in blocks(p))
]


#: Pages whose code takes more than ten seconds.
SLOW = (
    "triangulate",
    "survival",
    "which_estimand",
    "regimes",
    "transport",
    "write_up",
    "exercises",
)


def test_the_pages_that_teach_have_code():
    assert {"start", "ladder", "formulas", "questions", "coming_from"} <= {p.stem for p in RUN}


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=[pytest.mark.slow] * (p.stem in SLOW), id=p.stem) for p in RUN],
)
def test_code_prints_what_stands_below_it(path, tmp_path, monkeypatch):
    """Figures come from exact posteriors or fixed seeds: only rounding moves the last digit."""
    monkeypatch.chdir(tmp_path)
    prints_what_it_says(path)


def test_what_an_assistant_is_told_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path(bayescausal.__file__).parent / "SKILL.md"
    prints_what_it_says(path)
    words = path.read_text(encoding="utf-8")
    assert re.match(r"---\nname: bayescausal\ndescription: .+\n---\n", words)
    named = set(re.findall(r"\bbc\.(\w+)", words))
    assert named <= set(bayescausal.__all__)


def pages_of_the_site() -> set[str]:
    """Return the addresses of all pages that are written by hand, without an ending."""
    lessons = (DOCS / "course").glob("*.ipynb")
    return {p.relative_to(DOCS).with_suffix("").as_posix() for p in [*PAGES, *lessons]}


def test_the_text_for_assistants_holds_every_page_or_says_why_not():
    text = build_for_assistants.full_text(DOCS)
    held = set(re.findall(r"<!-- (\S+)\.html -->\n\n#", text))
    left_out = build_for_assistants.LEFT_OUT
    for page in pages_of_the_site() - held:
        reason = left_out.get(page) or left_out.get(page.partition("/")[0])
        assert reason, f"{page} is neither in llms-full.txt nor left out with a reason"
    assert not held & set(left_out)
    assert held <= pages_of_the_site()
    assert {name.removesuffix(".md") for name in MADE} <= set(left_out)
    assert "toctree" not in text
    assert "literalinclude" not in text
    assert "def counterfactual" in text or "abduct" in text  # the idea in 150 lines, not its name


def test_the_short_text_for_assistants_links_every_page_of_the_long_one():
    short = (DOCS / "llms.txt").read_text(encoding="utf-8")
    text = build_for_assistants.full_text(DOCS)
    held = set(re.findall(r"<!-- (\S+\.html) -->", text))
    linked = set(re.findall(r"\]\((\S+\.html)\)", short))
    assert held - linked == set()
    assert linked - held <= {"api.html", "gallery.html", "notebooks.html", "course/index.html"}
    assert "(llms-full.txt)" in short


def prints_what_it_says(path: Path) -> None:
    scope: dict = {}
    found = blocks(path)
    for (kind, code), (below, said) in zip(found, [*found[1:], ("", "")], strict=True):
        if kind != "python":
            continue
        got = run(code, scope, path.name)
        if below == "text":
            assert differs(got, said) is None, differs(got, said)
        else:
            assert not got, f"{path.name} prints {got!r} and does not show it"


def test_our_code_beside_that_of_others_runs_too():
    """The page says that ours is run: none of it stands in a block that is only shown."""
    for kind, code in blocks(DOCS / "coming_from.md"):
        assert kind in ("python", "text") or "bc." not in code


def test_the_comparison_sees_a_wrong_word_and_a_wrong_number():
    assert differs("ATE -0.42 yes", "ATE -0.43 yes") is None
    assert differs("ATE -0.42 yes", "ATE -0.44 yes")
    assert differs("ATE -0.42 yes", "ATE -0.42 no")
    assert differs("3 rows", "4 rows")


def test_the_landing_page_shows_the_code_of_the_readme():
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    [code] = [b for k, b in blocks(DOCS / "index.md") if k == "python"]
    shown = next(b for k, b in blocks(DOCS / "index.md") if k == "text")
    lines = [line for line in code.splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert line in readme
    for line in shown.splitlines():
        assert line in readme


def test_commands_in_the_docs_exist():
    for path in PAGES:
        for kind, text in blocks(path):
            for line in text.splitlines() if kind == "console" else ():
                words = line.removeprefix("$ ").split()
                if words[:3] == ["uv", "run", "bayescausal"]:
                    name, *arguments = words[3:]
                    main.commands[name].make_context(
                        name, arguments, parent=click.Context(main, **main.context_settings)
                    )


def test_names_in_the_docs_are_public():
    for path in [*PAGES, DOCS / "llms.txt"]:
        named = set(re.findall(r"\bbc\.(\w+)", path.read_text(encoding="utf-8")))
        assert named - {"name"} <= set(bayescausal.__all__), path


def test_every_public_name_is_in_the_reference():
    listed = [n for names in build_pages.sections(DOCS.parent).values() for n in names]
    rooms = ("designs", "estimators", "datasets")
    inside = [f"{room}.{n}" for room in rooms for n in getattr(bayescausal, room).__all__]
    assert sorted(listed) == sorted([*bayescausal.__all__, *inside])
    page = build_pages.api_page(DOCS.parent)
    for name in [*bayescausal.__all__, *inside]:
        assert f"   {name}\n" in page


def test_links_between_pages_lead_somewhere():
    for path in PAGES:
        for target in re.findall(
            r"(?<![\"'])\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")
        ):
            if not target.startswith("https://"):
                there = path.parent / target
                copied = DOCS.parent / "notebooks" / there.name  # copied at the build
                found = there.exists() or there.name in MADE or copied.exists()
                assert found, f"{path.name} -> {target}"


def test_every_page_is_reached_from_the_landing_page():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    toc = set(re.findall(r"^([\w/]+)$", text, re.M))
    below = (DOCS / "designs" / "index.md").read_text(encoding="utf-8")
    toc |= {f"designs/{name}" for name in re.findall(r"^(\w+)$", below, re.M)}
    course = (DOCS / "course" / "index.md").read_text(encoding="utf-8")
    toc |= {f"course/{name}" for name in re.findall(r"^(\w+)$", course, re.M)}
    for path in PAGES:
        name = path.relative_to(DOCS).with_suffix("").as_posix()
        assert name in toc or name == "index" or name.startswith("decisions/0"), name


QUICK = {"01_effect", "05_graph_right", "13_falsification"}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(path, marks=[] if path.stem in QUICK else pytest.mark.slow, id=path.stem)
        for path in build_pages.gallery_scripts(DOCS)
    ],
)
def test_gallery_scripts_draw(script, tmp_path):
    target = tmp_path / "figure.png"
    build_pages.draw(script, target)
    assert target.stat().st_size > 5_000


def test_the_gallery_shows_every_script():
    page = build_pages.gallery_page(DOCS)
    for script in build_pages.gallery_scripts(DOCS):
        assert f"_static/gallery/{script.stem}.png" in page
        title, words, code = build_pages.parts_of(script)
        assert title
        assert words.endswith(".")
        assert code in build_pages.figure_page(script)
        assert max(map(len, code.splitlines())) <= 88, script.stem
