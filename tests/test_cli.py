"""The command line, as a person meets it: answers, exit codes, messages, files."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pandas as pd
import pytest
from click.testing import CliRunner

import bayescausal
from bayescausal import cli
from bayescausal.reporting import files
from bayescausal.types import DataError

MODEL = '''
"""A model file as a user keeps it."""
import pymc as pm
from helper import SIGMA

with pm.Model(coords={"unit": [0]}) as model:
    a, b = pm.Normal("a", 0, 2), pm.Normal("b", 0, 2)
    sigma = pm.HalfNormal("sigma", SIGMA)
    z = pm.Normal("z", 0, 1, dims="unit")
    x = pm.Bernoulli("x", logit_p=z, dims="unit")
    y = pm.Normal("y", a * x + b * z, sigma, dims="unit")


def build():
    return model


def needs(argument):
    return model


def broken():
    raise RuntimeError("no luck")


number = 3
'''


PAIR = """
import numpy as np
import pymc as pm

with pm.Model(coords={"unit": [0], "side": ["left", "right"]}) as model:
    a = pm.Normal("a", 0, 5, dims="side")
    b = pm.Normal("b", 0, 5, dims="side")
    z = pm.Normal("z", 0, 1, dims="unit")
    x = pm.Bernoulli("x", logit_p=z, dims="unit")
    mean = x[:, None] * a + z[:, None] * b
    y = pm.MvNormal("y", mean, cov=np.eye(2), dims=("unit", "side"))
"""


def rows() -> pd.DataFrame:
    """Return 40 rows in which y = 2 x + z, almost."""
    z = [(-1) ** i * (i % 7) / 4 for i in range(40)]
    x = [(i // 2) % 2 for i in range(40)]
    y = [2 * x_ + z_ + 0.01 * ((i % 3) - 1) for i, (x_, z_) in enumerate(zip(x, z, strict=True))]
    return pd.DataFrame({"z": z, "x": x, "y": y, "note": "spare"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a directory with a model file and its data."""
    path = tmp_path_factory.mktemp("cli")
    (path / "helper.py").write_text("SIGMA = 1\n")
    (path / "study.py").write_text(MODEL)
    (path / "wrong.py").write_text("x = 1\ny = undefined_name\n")
    rows().to_csv(path / "data.csv", index=False)
    rows().to_parquet(path / "data.parquet", index=False)
    rows().drop(columns="y").to_csv(path / "no_y.csv", index=False)
    (path / "empty.csv").write_text("")
    (path / "data.txt").write_text("x\n1\n")
    return path


def call(*args: object):
    """Run a command in this process."""
    return CliRunner().invoke(cli.main, [str(arg) for arg in args], catch_exceptions=True)


def ask(folder, *more, model="study.py:model", data="data.csv", x="x", y="y"):
    """Ask the question of the model and the data in `folder`."""
    return call("estimate", f"{folder}/{model}", folder / data, "-x", x, "-y", y, *more)


# ------------------------------------------------------------------------------ plumbing


def test_help_answers_without_importing_pymc():
    code = (
        "import sys\n"
        "from bayescausal.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as done:\n    assert done.code == 0\n"
        "assert not {'pymc', 'numba', 'pandas', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout
    assert "estimate" in done.stdout


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(flag):
    for command in ((), ("demo",), ("estimate",)):
        result = call(*command, flag)
        assert result.exit_code == 0
        assert "Usage:" in result.output


def test_version():
    result = call("--version")
    assert result.exit_code == 0
    assert bayescausal.__version__ in result.output


def test_the_script_is_declared():
    done = subprocess.run(
        [sys.executable, "-m", "bayescausal.cli", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stdout.strip().endswith(bayescausal.__version__)


# ----------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "study.py:"}, "file.py:name"),
        ({"model": "nowhere.py:model"}, "There is no file"),
        ({"model": "stud.py:model"}, "Did you mean 'study.py'? Give the path of a Python file."),
        ({"model": "nowhere.txt"}, "Give a text file with one formula on each line."),
        ({"model": "no/where.txt"}, "/no/where.txt': no folder "),
        ({"model": "study.py:modell"}, "Did you mean 'model'?"),
        ({"model": "study.py:number"}, "gives int"),
        ({"model": "study.py:needs"}, r"needs() of study.py failed"),
        ({"model": "study.py:broken"}, "RuntimeError: no luck"),
        ({"model": "wrong.py:model"}, "line 2: NameError"),
        ({"data": "missing.csv"}, "There is no file"),
        ({"data": "dat.csv"}, "Did you mean 'data.csv'"),
        ({"data": "data.txt"}, ".csv, .parquet"),
        ({"data": "empty.csv"}, "cannot be read"),
        ({"data": "no_y.csv"}, "no column 'y'"),
        ({"x": "treatmnt"}, "'treatmnt' is not a variable"),
        ({"y": "yy"}, "Did you mean 'y'?"),
        ({"x": "a"}, "'a' is a parameter"),
    ],
)
def test_bad_input_is_said_in_one_message_and_exits_2(folder, options, said):
    result = ask(folder, **options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--treated", "1", "--control", "1"), "Error"),
        (("--treated", "one"), "is not a valid float"),
        (("--treated", "7"), "7"),
        (("--population", "everyone"), "everyone"),
        (("--draws", "0"), "--draws"),
        (("--out", "{folder}/none/result.json"), "no directory"),
        (("--out", "{folder}"), "is a directory"),
        (("--unit-dim", "units"), "units"),
    ],
)
def test_bad_options_exit_2_before_any_sampling(folder, arguments, said, monkeypatch):
    monkeypatch.setattr(cli, "_fit", lambda *_a, **_k: pytest.fail("sampled"))
    result = ask(folder, *(part.format(folder=folder) for part in arguments))
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_missing_options_exit_2(folder):
    result = call("estimate", folder / "study.py:model", folder / "data.csv", "-x", "x")
    assert result.exit_code == 2
    assert "--outcome" in result.stderr


def test_the_unexpected_exits_1(folder):
    """Anything that is not the caller's mistake keeps its traceback, and Python exits with 1."""
    code = (
        "from bayescausal import cli\n"
        "def fail(*a, **k): raise RuntimeError('unforeseen')\n"
        "cli._fit = fail\n"
        f"cli.main(['estimate', r'{folder}/study.py:model', r'{folder}/data.csv', "
        "'-x', 'x', '-y', 'y'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "RuntimeError: unforeseen" in done.stderr


# ------------------------------------------------------------------------------- answers


@pytest.fixture(scope="module")
def answered(folder):
    """Return the outcome of one real run."""
    out = folder / "result.json"
    result = ask(
        folder, "--draws", 300, "--chains", 2, "--seed", 5, "--out", out, model="study.py:build"
    )
    assert result.exit_code == 0, result.output
    return result, json.loads(out.read_text())


def test_estimate_answers_in_words_and_numbers(answered):
    result, _ = answered
    assert "E[y | do(x=1)] - E[y | do(x=0)]" in result.stdout
    assert "40 rows" in result.stdout
    assert "z -> x" in result.stdout
    assert " ".join(result.stdout.split()).count("Identified by the back door: adjust for z.") == 1
    words = " ".join(result.stdout.split())
    [said] = re.findall(r"Raising x from 0 to 1 (\w+) y by (\d\.\d+)", words)
    assert said[0] == "raises"
    # y is 2 x + z up to 0.01: the posterior of the effect is within a few hundredths of 2.
    assert float(said[1]) == pytest.approx(2, abs=0.05)
    assert "Fitting" in result.stderr
    assert "Fitting" not in result.stdout


def test_the_file_says_what_the_screen_says(answered):
    result, written = answered
    [mean] = re.findall(r"ATE +([-\d.]+)", result.stdout)
    assert written["effect"]["mean"] == pytest.approx(float(mean), abs=5e-4)
    assert written["data"]["rows"] == 40
    assert written["identification"].startswith("Identified by the back door")
    assert written["seed"] == 5
    assert set(written["parameters"]) == {"a", "b", "sigma"}
    assert written["versions"]["bayescausal"] == bayescausal.__version__
    assert written["question"] == "E[y | do(x=1)] - E[y | do(x=0)]"


@pytest.mark.slow
def test_trouble_and_what_is_not_identified_are_said_once_beside_the_answer(folder):
    """Ten draws of a chain with a latent confounder: an answer, and what is wrong with it."""
    rows().drop(columns="z").to_csv(folder / "no_z.csv", index=False)
    result = ask(folder, "--draws", 10, "--chains", 2, "--seed", 1, data="no_z.csv")
    assert result.exit_code == 0, result.output
    assert "Do not rely on this answer" in result.stdout
    assert "Warning:" in result.stderr
    assert " ".join(result.stdout.split()).count("is not identified") == 1


def test_an_outcome_with_several_entries_gets_a_row_for_each(folder):
    (folder / "pair.py").write_text(PAIR)
    frame = rows().rename(columns={"y": "y[left]"}).assign(**{"y[right]": lambda d: d["z"]})
    frame.to_csv(folder / "pair.csv", index=False)
    out = folder / "pair.json"
    result = ask(
        folder,
        *("--draws", 200, "--chains", 2, "--seed", 1, "--out", out),
        model="pair.py:model",
        data="pair.csv",
    )
    assert result.exit_code == 0, result.output
    effects = {cell["side"]: cell["mean"] for cell in json.loads(out.read_text())["effect"]}
    # y[left] is 2 x + z and y[right] is z, up to noise of sd 1 that the model states: the
    # standard error of a slope from 40 rows is about 0.32, and the prior shrinks it by less.
    assert effects["left"] == pytest.approx(2, abs=0.2)
    assert effects["right"] == pytest.approx(0, abs=0.2)


def test_parquet_and_seed_give_the_same_answer(answered, folder):
    _, first = answered
    out = folder / "again.json"
    result = ask(
        folder,
        *("--draws", 300, "--chains", 2, "--seed", 5, "--out", out),
        data="data.parquet",
        model="study.py:build",
    )
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text())["effect"]["mean"] == first["effect"]["mean"]


def test_a_failed_run_leaves_the_old_result(folder, monkeypatch):
    out = folder / "kept.json"
    out.write_text("old")
    monkeypatch.setattr(cli, "_result", lambda *_: {"bad": float("nan"), "worse": object})
    monkeypatch.setattr(files.os, "replace", _refuse)
    result = ask(folder, "--draws", 50, "--chains", 2, "--seed", 1, "--out", out)
    assert result.exit_code == 1
    assert str(result.exception) == "disk full"
    assert out.read_text() == "old"
    assert not list(folder.glob(".kept.json*"))


def _refuse(*_args):
    raise OSError("disk full")


def test_demo_recovers_the_truth_and_resolves_the_paradox():
    done = subprocess.run(
        [sys.executable, "-m", "bayescausal.cli", "demo"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    for name, truth in (("b_dc", "-0.421"), ("b_hc", "-0.540"), ("sigma", "0.200")):
        assert re.search(rf"{name} +{truth} ", shown)
    number = r"([-+]?\d\.\d+)"
    [ate] = re.findall(rf"ATE dilution -> coating +-0.421 +{number}", shown)
    # The posterior sd of the slope is about 0.2 / sqrt(1000 * 0.22) = 0.0135.
    assert abs(float(ate) + 0.421) < 4 * 0.0135
    [new] = re.findall(rf"ATE, new patients +0.054 +0.051 +{number}", shown)
    # The exact posterior mean is 0.0515 and its sd 0.0336: with some 4,000 nearly independent
    # draws the Monte Carlo error is 0.0006. Four of them and rounding.
    assert abs(float(new) - 0.0515) < 0.003
    assert re.search(r"as observed +-0.046", shown)
    assert "only common cause" in " ".join(shown.split())
    assert "Charig" in shown


# ------------------------------------------------------------------- any question, categories


@pytest.fixture(scope="module")
def shifts(folder):
    """Return formulas and data of an outcome that is 3 higher late than early, and 1 with w."""
    frame = rows()
    frame["shift"] = ["late" if x else "early" for x in frame["x"]]
    frame["out"] = 3.0 * (frame["shift"] == "late") + frame["z"]
    frame.to_csv(folder / "shifts.csv", index=False)
    text = "shift ~ 1\nz ~ 1\nout ~ shift + z\nfamily shift: categorical\n"
    (folder / "shifts.txt").write_text(text)
    return lambda *more: call("estimate", folder / "shifts.txt", folder / "shifts.csv", *more)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-x", "shift", "-y", "out", "--treated", "lat"), "'lat' is not a category of 'shift'"),
        (("-x", "shift", "-y", "out", "--treated", "late"), "0 is not a category of 'shift'"),
        (("-q", "ATE(shift, out, treated=lat, control=early)"), "one of early, late"),
        (("-q", "ATE(z, out, treated=high)"), "'z' has no categories with labels"),
        (("-q", "CATE(z, out, given={'shift': 'later'})"), "Did you mean 'late'?"),
        (("-q", "AssociationS(z, out)"), "Did you mean 'Association'?"),
        (("-q", "ATE(z, outt)"), "Did you mean 'out'?"),
        (("-q", "ATE(z"), "cannot be read"),
        (("-q", "Slope(shift, out)"), "'shift' is a label, so there is no derivative"),
        (("-q", "z"), "is not a question"),
        (("-q", "ATE(z, out, treated=open(1))"), "is not a part of a question"),
        (("-q", "ATE(z, out)", "-x", "z"), "not by both"),
        (("-x", "z", "-y", "out", "-e", "QTE"), "needs more than a treatment and an outcome"),
        (("-x", "z", "-y", "out", "-e", "ATTT"), "Did you mean 'ATT'?"),
    ],
)
def test_questions_are_checked_before_any_sampling(shifts, options, said, monkeypatch):
    monkeypatch.setattr(cli, "_fit", lambda *_a, **_k: pytest.fail("sampled"))
    result = shifts(*options)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("question", "needed"),
    [
        ("PS(x, ill)", True),
        ("ATE(x, ill, population=finite)", True),
        ("CATE(x, ill, given={'m': (0, 1)})", True),  # who belongs, x decides
        ("PS(x, ill, coupling=monotone)", False),
        ("CATE(x, ill, given={'z': (0, 1)})", False),
        ("ATE(x, m, population=finite)", False),  # m has no discrete cause that x moves
    ],
)
def test_a_missing_coupling_is_said_before_any_sampling(folder, question, needed, monkeypatch):
    class Sampled(Exception): ...

    def sampled(*_arguments, **_options):
        raise Sampled

    frame = rows()
    frame["m"] = frame["x"] + frame["z"]
    frame["ill"] = (frame["z"] > 0).astype(int)
    frame.to_csv(folder / "ill.csv", index=False)
    text = "x ~ 1\nz ~ 1\nm ~ x\nill ~ m + z\nfamily x: bernoulli\nfamily ill: bernoulli\n"
    (folder / "ill.txt").write_text(text)
    monkeypatch.setattr(cli, "_fit", sampled)
    result = call("estimate", folder / "ill.txt", folder / "ill.csv", "-q", question)
    assert ("noise of 'ill' is shared" in result.stderr) == needed
    assert isinstance(result.exception, Sampled) != needed


def test_categories_and_any_question_are_answered(shifts, folder):
    out = folder / "several.json"
    result = shifts(
        *("-q", "ATE(shift, out, treated=late, control=early)"),
        *("-q", "DoseResponse(z, out, values=[0, 1])", "-q", "bc.ATE(z, out, by='shift')"),
        *("--draws", 200, "--chains", 2, "--seed", 1, "--out", out),
    )
    assert result.exit_code == 0, result.output
    answers = json.loads(out.read_text())["answers"]
    assert answers[0]["effect"]["mean"] == pytest.approx(3, abs=0.1)
    curve = [cell["mean"] for cell in answers[1]["effect"]]
    assert curve[1] - curve[0] == pytest.approx(1, abs=0.1)
    assert [cell["shift"] for cell in answers[2]["effect"]] == ["early", "late"]
    assert "ATE shift -> out (late against early)" in " ".join(result.stdout.split())
    assert "…" not in result.stdout


# -------------------------------------------------------------------------------- the report


def test_a_report_is_written(folder):
    page = folder / "page.html"
    result = ask(folder, "--draws", 50, "--chains", 2, "--seed", 1, "--report", page, "--no-checks")
    assert result.exit_code == 0, result.output
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "Effect of x on y" in page.read_text(encoding="utf-8")
    assert f"Wrote {page}" in result.stderr


@pytest.mark.parametrize(
    ("name", "said"), [("page.pdf", "ends in '.pdf'"), ("none/page.html", "There is no directory")]
)
def test_a_report_that_cannot_be_written_is_refused_at_once(folder, name, said):
    result = ask(folder, "--report", folder / name)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Fitting" not in result.stderr


def test_a_table_that_was_read_as_one_column_says_how_to_read_it(tmp_path):
    """Found once as "the data have no column 'x': add the column", of a file with semicolons."""
    frame = rows()
    frame.to_csv(tmp_path / "rows.csv", sep=";", index=False)
    (tmp_path / "study.txt").write_text("y ~ x + z\n")
    table, [line] = pd.read_csv(tmp_path / "rows.csv"), [";".join(frame.columns)]
    result = call("estimate", tmp_path / "study.txt", tmp_path / "rows.csv", "-x", "x", "-y", "y")
    assert result.exit_code == 2
    assert line in result.output
    assert "sep=';'" in result.output
    model = bayescausal.model_from_formulas(["y ~ x + z"], data=frame)
    for ask in (
        lambda: bayescausal.fit(model, table),
        lambda: bayescausal.fit(model, str(tmp_path / "rows.csv")),
    ):
        with pytest.raises(DataError, match=r"sep=';'|pandas\.read_csv"):
            ask()
    with pytest.raises(DataError, match=r"There is no Parquet file.*pandas\.read_csv"):
        bayescausal.fit(model, str(tmp_path / "none.csv"))
