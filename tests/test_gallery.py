"""Every picture that the package draws has a card in the gallery."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import sys
from pathlib import Path

import bayescausal as bc
from bayescausal.conditional_effects.pictures import PICTURES as PICTURES_OF_UNITS
from bayescausal.estimators.explain.pictures import KINDS

ROOT = Path(bc.__file__).parent
GALLERY = ROOT.parent / "docs" / "gallery"
CODE = "\n".join(path.read_text(encoding="utf-8") for path in sorted(GALLERY.glob("*.py")))


def drawn(code: str, name: str) -> bool:
    return re.search(rf"\bbc\.{name}\(", code) is not None


def records_with_a_plot() -> set[str]:
    """Return the classes of the package that define a method ``plot``."""
    found = set()
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "    def plot(" in text else ():
            if isinstance(node, ast.ClassDef) and any(
                isinstance(part, ast.FunctionDef) and part.name == "plot" for part in node.body
            ):
                found.add(node.name)
    return found


@functools.cache
def makers() -> dict[str, list[str]]:
    """Return the public functions that return each record that can be drawn."""
    drawable = records_with_a_plot()
    found: dict[str, list[str]] = {name: [] for name in drawable}
    for name in bc.__all__:
        value = getattr(bc, name)
        if inspect.isfunction(value):
            answer = str(inspect.signature(value).return_annotation)
            for record in set(re.findall(r"\w+", answer)) & drawable:
                found[record].append(name)
    return found


def pictures_of_designs() -> set[str]:
    """Return the names under which designs hold pictures."""
    found = set()
    for path in (ROOT / "designs").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        made = r"(?:partial|bound)\((?:plots\.\w+|_?plot_\w+)"
        found |= set(re.findall(rf'"([\w ]+)": {made}', text))
        found |= set(re.findall(rf'plots\["([\w ]+)"\] = {made}', text))
    return found


def test_every_public_picture_has_a_card():
    named = [name for name in bc.__all__ if name.startswith("plot")]
    assert len(named) >= 9
    assert [name for name in named if not drawn(CODE, name)] == []


def test_every_record_that_can_be_drawn_has_a_card():
    """Of a check, every kind that has a picture; of another record, one function that makes it."""
    by_record = makers()
    assert {"Effect", "Check", "Calibration", "Assurance", "ModelComparison"} <= set(by_record)
    for record, functions in by_record.items():
        assert functions or record in ("Triangulation", "Triangulations"), record
        found = [name for name in functions if drawn(CODE, name)]
        assert found == functions if record == "Check" else found or not functions, record
    assert drawn(CODE, "triangulate")


def test_every_kind_of_picture_of_a_record_has_a_card():
    for pictures in (PICTURES_OF_UNITS, KINDS):
        assert len(pictures) >= 6
        missing = [kind for kind in pictures if f'.plot("{kind}"' not in CODE]
        assert [kind for kind in missing if kind != "forest"] == []  # the default of triangulate


def test_every_picture_of_a_design_has_a_card():
    names = pictures_of_designs()
    assert {"event_study", "first stage", "sensitivity", "flow", "by_time", "incidence"} <= names
    assert [name for name in sorted(names) if f'.plots["{name}"]' not in CODE] == []
    for name in bc.designs.__all__:  # each design has a picture, and a card
        if inspect.isfunction(getattr(bc.designs, name)):
            assert f"bc.designs.{name}(" in CODE, name


def test_a_picture_without_a_card_is_seen():
    sys.path.insert(0, str(GALLERY.parent))
    pages = importlib.import_module("build_pages")
    assert len(pages.gallery_scripts(GALLERY.parent)) >= 55
    assert not drawn(CODE.replace("bc.plot_worlds(", ""), "plot_worlds")
    assert "Recovery" in makers()
    assert makers()["Recovery"] == ["recover"]
