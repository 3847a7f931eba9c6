"""Models from text files, on the command line and off it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import bayescausal as bc
from bayescausal.cli import main
from bayescausal.model.formulas.file import model_from_text, read_lines
from bayescausal.model.source.from_file import model_from_file
from bayescausal.types import FormulaError, ModelError

TEXT = """\
# what happens in the workshop
humid ~ 1

coating ~ dilution * humid + shift  # dilution is given
family coating: gaussian
prior b_coating_dilution: Normal(0, 1)
levels shift: late, early
"""


def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"humid": rng.normal(size=80), "dilution": rng.integers(0, 2, 80)})
    frame["shift"] = rng.choice(["early", "late"], 80)
    frame["coating"] = 1 - 0.4 * frame.dilution - 0.5 * frame.humid + rng.normal(0, 0.2, 80)
    return frame


def test_a_file_gives_the_model_that_its_parts_give(tmp_path):
    path = tmp_path / "coating.formulas"
    path.write_text(TEXT)
    data = table()
    model = model_from_file(str(path), data)
    same = bc.model_from_formulas(
        ["humid ~ 1", "coating ~ dilution * humid + shift"],
        data=data,
        priors={"b_coating_dilution": "Normal(0, 1)"},
        levels={"shift": ["late", "early"]},
    )
    assert bc.prior_summary(model).equals(bc.prior_summary(same))
    assert list(model.coords["shift_level"]) == ["late", "early"]


def test_levels_that_are_whole_numbers_are_numbers():
    text = "y ~ a + b\nlevels a: 2, -1, 0\nlevels b: 01, 2"
    assert read_lines(text)[1]["levels"] == {"a": [2, -1, 0], "b": ["01", "2"]}


def test_the_command_line_takes_a_formula_file(tmp_path):
    path, rows, out = tmp_path / "coating.txt", tmp_path / "parts.csv", tmp_path / "out.json"
    path.write_text(TEXT)
    table().to_csv(rows, index=False)
    arguments = [str(path), str(rows), "-x", "dilution", "-y", "coating", "--seed", "1"]
    options = ["--draws", "200", "--chains", "2", "--out", str(out)]
    result = CliRunner().invoke(main, ["estimate", *arguments, *options])
    assert result.exit_code == 0, result.output
    answer = json.loads(out.read_text())["effect"]
    # 80 rows with sd 0.2: standard error 0.045; ten of them
    assert abs(answer["mean"] + 0.4) < 0.45


def test_the_help_shows_the_syntax():
    shown = CliRunner().invoke(main, ["estimate", "--help"]).output
    lines = shown.partition("coating.txt:")[2].strip().splitlines()
    text = "\n".join(line.strip() for line in lines[: lines.index("")] if line.strip())
    formulas, options = read_lines(text)
    assert len(formulas) == 3
    assert options["families"] == {"dilution": "bernoulli"}
    assert options["levels"] == {"shift": ["early", "late"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("y ~ 1\nwhat is this", "Line 2 is 'what is this'"),
        ("y ~ 1\nfamily y: poisson\nfamily y: gamma", "Line 3 gives the families of 'y' a second"),
        ("y ~ (1", "bracket"),
        ("# nothing", "There is no formula"),
    ],
)
def test_wrong_files_say_what_is_wrong(tmp_path, text, said):
    path = tmp_path / "model.txt"
    path.write_text(text)
    with pytest.raises(FormulaError, match=said):
        model_from_text(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ModelError, match=r"There is no file '.*none\.txt'"):
        model_from_file(str(tmp_path / "none.txt"))
    with pytest.raises(ModelError, match=r"ends in \.txt"):
        model_from_file("coating")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ModelError, match="cannot be read"):
        model_from_file(str(tmp_path / "bytes.txt"))
