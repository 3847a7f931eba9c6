"""The playground in a browser, with Pyodide: draw, ask, and compare with Python."""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import re
import sys
import threading
from pathlib import Path

import pytest
from axe import faults
from report_browser import chromium

import bayescausal as bc
from bayescausal.graph.playground.explore import explore

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import build_playground  # noqa: E402

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Playground</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
</head><body><main><h1>Playground</h1>{}</main></body></html>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


def written(folder: Path) -> str:
    """Write the page as it stands in the docs, without the theme, and what it loads."""
    reason = build_playground.write_playground(folder, ROOT, ROOT / "docs" / "_build" / "pyodide")
    text = (ROOT / "docs" / "playground" / "index.md").read_text(encoding="utf-8")
    raw = re.search(r"```\{raw\} html\n(.*?)```", text, re.S)
    (folder / "index.html").write_text(PAGE.format(raw[1]), encoding="utf-8")
    return reason


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Serve the playground."""
    folder = tmp_path_factory.mktemp("site")
    reason = written(folder)
    if reason:
        pytest.skip(reason)
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser, address, width=1200, scheme="light", end=""):
    """Return a page that has answered, and what it complained of or asked from elsewhere."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on(
        "request",
        lambda r: None if r.url.startswith((address, "data:")) else wrong.append(r.url),
    )
    tab.goto(address + end)
    settled(tab)
    return tab, wrong


def settled(tab):
    ready = "document.querySelector('#playground').dataset.state === 'answered'"
    tab.wait_for_function(ready, timeout=120_000)


@pytest.mark.slow
@pytest.mark.filterwarnings("default::ResourceWarning")
def test_the_page_says_that_it_loads_until_it_has_answered(browser, address):
    """The drawing is there at once; what is said of it, when Python has come."""
    tab = browser.new_context().new_page()
    tab.route("**/pyodide.asm.wasm", lambda route: held.append(route))
    held: list = []
    tab.goto(address)
    tab.wait_for_selector("#playground svg .bc-node")
    note = "getComputedStyle(document.querySelector('#playground'), '::before').content"
    tab.wait_for_timeout(500)  # longer than the pause before a question is asked
    assert tab.evaluate(note).startswith('"Loading Python, once (15 MB; 8 MB')
    tab.wait_for_function("true")
    while not held:
        tab.wait_for_timeout(100)
    held[0].continue_()
    settled(tab)
    assert tab.evaluate(note) == "none"
    tab.close()


@pytest.mark.slow
def test_the_size_that_the_page_names_is_that_of_its_files(tmp_path):
    """In millions of bytes: as they are, and compressed."""
    reason = written(tmp_path)
    if reason:
        pytest.skip(reason)
    files = [tmp_path / "packages.zip", *(tmp_path / "pyodide").iterdir()]
    whole = sum(path.stat().st_size for path in files)
    small = sum(len(gzip.compress(path.read_bytes(), 6)) for path in files)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert f"({whole / 1e6:.0f} MB; {small / 1e6:.0f} MB where" in page


def part(tab, name):
    return tab.inner_text(f"[data-part={name}]")


def shown(tab, which="text"):
    tab.select_option("select[aria-label='Copy as']", which)
    return tab.input_value("[data-part=text]")


def compared(tab):
    """Compare what the page says of its graph with what Python says of the same text."""
    text = shown(tab)
    drawing = json.loads(explore(json.dumps({"ask": "read", "text": text})))["drawing"]
    python = json.loads(explore(json.dumps({"ask": "look", "drawing": drawing})))
    assert python["verdict"]["sentence"] in part(tab, "verdict")
    assert python["given"]["sentence"] in part(tab, "verdict")
    for path in python["paths"]["listed"]:
        assert path["sentence"] in part(tab, "results")
    for claim in python["independences"]["listed"]:
        assert claim["text"] in part(tab, "results")
    assert shown(tab, "pymc") == python["texts"]["pymc"]
    assert shown(tab, "formulas") == python["texts"]["formulas"]
    return python


@pytest.mark.slow
@pytest.mark.filterwarnings("default::ResourceWarning")
def test_draw_ask_and_compare_with_python(address, browser):
    tab, wrong = opened(browser, address)
    assert compared(tab)["verdict"]["sentence"] == bc.identify("Z->X->Y; Z->Y", "X", "Y").sentence()

    # a new variable, by mouse; an arrow, pulled from its dot
    tab.click("[data-do=add]")
    settled(tab)
    tab.fill("[data-part=panel] input", "U")
    tab.keyboard.press("Enter")
    tab.check("[data-mark=latent]")
    settled(tab)
    for to in "XY":
        box = tab.locator(".bc-node[data-name=U] .bc-handle").bounding_box()
        tab.mouse.move(box["x"] + 5, box["y"] + 5)
        tab.mouse.down()
        end = tab.locator(f".bc-node[data-name={to}] rect").bounding_box()
        tab.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=4)
        tab.mouse.up()
        settled(tab)
    assert "U -> X" in shown(tab)
    assert "U -> Y" in shown(tab)
    assert compared(tab)["verdict"]["status"] == "not identified"

    # dragging moves a variable and what is said stays
    before = tab.locator(".bc-node[data-name=Z]").get_attribute("transform")
    box = tab.locator(".bc-node[data-name=Z] rect").bounding_box()
    tab.mouse.move(box["x"] + 8, box["y"] + 8)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 90, box["y"] + 30, steps=4)
    tab.mouse.up()
    settled(tab)
    assert tab.locator(".bc-node[data-name=Z]").get_attribute("transform") != before
    tab.get_by_role("button", name="Undo").click()
    settled(tab)
    assert tab.locator(".bc-node[data-name=Z]").get_attribute("transform") == before

    # hovering answers the question, and the address holds the graph
    tab.hover(".bc-node[data-name=Z]")
    assert "Should I adjust for it?" in part(tab, "hint")
    assert "Z is a confounder" in part(tab, "hint")
    link = shown(tab, "link")
    again, _ = opened(browser, link.partition("#")[0], end="#" + link.partition("#")[2])
    assert shown(again) == shown(tab)
    assert wrong == []


@pytest.mark.slow
@pytest.mark.filterwarnings("default::ResourceWarning")
def test_everything_by_keyboard_and_narrow_and_dark(address, browser):
    tab, wrong = opened(browser, address, width=400, scheme="dark")
    tab.focus(".bc-node[data-name=Z]")
    assert "Z is a confounder" in part(tab, "hint")
    tab.keyboard.press("g")
    settled(tab)
    assert "Adjusting for Z removes all confounding" in part(tab, "verdict")
    tab.keyboard.press("l")  # given, and not measured
    settled(tab)
    assert "not identified" in part(tab, "verdict")
    assert tab.evaluate("document.activeElement.dataset.name") == "Z"
    tab.keyboard.press("Enter")
    tab.select_option("select[aria-label='Kind of arrow']", "<->")
    tab.select_option("select[aria-label='The other variable']", "Y")
    tab.locator("[data-do=add-arrow]").press("Enter")
    settled(tab)
    assert "Y <-> Z" in shown(tab)
    compared(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    assert (
        tab.evaluate("getComputedStyle(document.querySelector('.bc-editor')).backgroundColor")
        == "rgb(21, 24, 28)"
    )
    assert faults(tab, "#playground") == []
    assert wrong == []


@pytest.mark.slow
@pytest.mark.filterwarnings("default::ResourceWarning")
def test_exercises_and_reading(address, browser):
    tab, wrong = opened(browser, address)
    tab.wait_for_selector("option[value=butterfly]", state="attached")
    tab.select_option("select[aria-label=Exercises]", "butterfly")
    tab.wait_for_function("document.querySelector('[data-part=task]').textContent !== ''")
    settled(tab)
    assert "Block all back doors with the fewest variables" in part(tab, "task")
    assert not tab.is_visible("[data-part=verdict]")  # the answer is not given away
    tab.focus(".bc-node[data-name=B]")
    tab.keyboard.press("g")
    tab.click("[data-do=check]")
    tab.wait_for_function("document.querySelector('[data-part=outcome]').textContent.length > 9")
    assert "X <- A -> B <- C -> Y" in part(tab, "outcome")
    for name in "BC":
        tab.focus(f".bc-node[data-name={name}]")
        tab.keyboard.press("g")
    tab.click("[data-do=check]")
    tab.wait_for_function(
        "document.querySelector('[data-part=outcome]').textContent.startsWith('Solved')"
    )
    assert tab.is_visible("[data-part=verdict]")
    assert faults(tab, "#playground") == []

    tab.get_by_text("Read a graph", exact=True).click()
    tab.fill("[data-part=input]", "X -> Y; X -> ")
    tab.click("[data-do=read]")
    tab.wait_for_function("document.querySelector('[data-part=status]').textContent.length > 20")
    assert "name" in part(tab, "status")
    tab.fill("[data-part=input]", "dag { X [exposure] Y [outcome] X -> M -> Y X <-> Y }")
    tab.click("[data-do=read]")
    tab.wait_for_selector(".bc-node[data-name=M]", state="attached")
    settled(tab)
    assert compared(tab)["verdict"]["method"] == "front door"
    assert wrong == []


def test_without_pyodide_the_build_goes_on_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PYODIDE", str(tmp_path / "none.tgz"))
    reason = written(tmp_path / "site")
    assert reason.startswith("Pyodide was not to be had")
    assert str(tmp_path) not in reason
    built = json.loads((tmp_path / "site" / "playground.json").read_text(encoding="utf-8"))
    assert built == {"pyodide": None, "reason": reason}
    site = {p.name for p in (tmp_path / "site").iterdir()}
    assert {"editor.js", "editor.css", "page.js", "worker.js", "packages.zip"} <= site


def test_what_the_page_imports_is_the_room_and_networkx_alone(tmp_path):
    """The archive, alone on the path, answers: nothing else of the package is needed."""
    import subprocess
    import zipfile

    build_playground.write_packages(tmp_path / "packages.zip", ROOT)
    with zipfile.ZipFile(tmp_path / "packages.zip") as archive:
        archive.extractall(tmp_path / "packages")
    assert (tmp_path / "packages.zip").stat().st_size < 2_000_000
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'packages')!r})\n"
        "from bayescausal.graph.playground.explore import explore\n"
        'print(\'Z\' in explore(\'{"ask": "read", "text": "Z -> X -> Y"}\'))\n'
        "print({'numpy', 'scipy', 'pandas', 'pymc'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split("\n")[:2] == ["True", "set()"], done.stderr
