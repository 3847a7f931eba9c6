"""What the README shows is what happens."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import bayescausal
from bayescausal.cli import main
from bayescausal.model.formulas.file import model_from_text

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)


@pytest.mark.parametrize(
    "checks", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["quick", "as it stands"]
)
def test_python_blocks_print_what_stands_below_them(checks, tmp_path, monkeypatch):
    """Words agree exactly; numbers to the last digit shown, give or take one.

    The figures are posterior summaries of 4,000 draws, whose Monte Carlo error (0.0003) is far
    below the two decimals shown, so only rounding can move the last digit.

    The block that reads a file finds the data of the block before it there. The report's checks,
    which refit the model, are left to the slow run.
    """
    monkeypatch.chdir(tmp_path)
    ran = 0
    scope: dict = {}
    for (kind, code), (next_kind, shown) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
        if kind != "python":
            continue
        if "read_csv" in code:
            scope["data"].to_csv("parts.csv", index=False)
            assert len(code.strip().splitlines()) <= 11
            end = '"coating.html")'
            assert end in code
            code = code if checks else code.replace(end, f"{end[:-1]}, checks=False)")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, "README.md", "exec"), scope)
        ran += 1
        if next_kind == "text":
            number = r"-?\d+\.\d+"
            assert re.sub(number, "#", out.getvalue()) == re.sub(number, "#", shown)
            for got, said in zip(
                re.findall(number, out.getvalue()), re.findall(number, shown), strict=True
            ):
                assert float(got) == pytest.approx(float(said), abs=0.0101)
    assert ran == 2
    assert any(kind == "text" for kind, _ in BLOCKS)
    [formulas] = [text for kind, text in BLOCKS if kind == "text" and "~ humid" in text]
    (tmp_path / "coating.txt").write_text(formulas, encoding="utf-8")
    model = model_from_text("coating.txt", scope["data"])
    assert bayescausal.to_text(model) == bayescausal.to_text(scope["model"])
    if checks:  # the command as it is printed
        [line] = [t for k, b in BLOCKS if k == "console" for t in b.splitlines() if "--out" in t]
        done = CliRunner().invoke(main, line.split()[4:])
        assert done.exit_code == 0, done.output
        answer = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
        assert answer["effect"]["mean"] == pytest.approx(-0.42, abs=0.02)
    page = (tmp_path / "coating.html").read_text(encoding="utf-8")
    assert "dilution" in page
    assert len(page) < 2_000_000


def test_commands_exist_with_the_options_shown():
    lines = [
        line.removeprefix("$ ").partition("#")[0].split()
        for kind, text in BLOCKS
        if kind == "console"
        for line in text.splitlines()
    ]
    assert ["uv", "run", "pytest"] in lines
    commands = [line[3:] for line in lines if line[:3] == ["uv", "run", "bayescausal"]]
    assert ["demo"] in commands
    for name, *arguments in commands:
        command = main.commands[name]
        command.make_context(
            name, list(arguments), parent=click.Context(main, **main.context_settings)
        )


def test_names_in_the_readme_are_public():
    named = set(re.findall(r"\bbc\.(\w+)", README))
    assert named
    assert named <= set(bayescausal.__all__)


def test_links_to_files_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if not target.startswith("https://"):
            assert (ROOT / target).exists(), target


def test_the_picture_is_small_and_has_words_for_those_who_cannot_see_it():
    [(words, target)] = re.findall(r"!\[([^]]*)\]\(([^)]+)\)", README)
    assert (ROOT / target).stat().st_size < 200_000
    assert len(words) > 60
