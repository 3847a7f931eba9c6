"""The harness of the benchmarks: every kind of table comes about, and nothing is timed here."""

from __future__ import annotations

import json
import sys
from inspect import signature
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import harness, targets  # noqa: E402
from benchmarks.child import main as child  # noqa: E402
from benchmarks.models import MODELS  # noqa: E402


@pytest.fixture
def inside(monkeypatch):
    """Measurements in this process, where alternatives are not run."""
    asked = []

    def measure(task, python=None, **arguments):
        asked.append((task, arguments))
        name = task.partition(":")[2]
        if name in ("by_hand", "expert", "loop", "gcm", "pathmc"):
            return harness.Measure(why="No module named 'elsewhere'")
        return harness.Measure(child(json.dumps({"task": task, "arguments": arguments})))

    for module in ("ate", "sampling", "refits", "growth", "graph"):
        monkeypatch.setattr(f"benchmarks.{module}.measure", measure)
    return asked


@pytest.mark.parametrize("name", [*MODELS, "sampling", "refits", "growth", "graph"])
@pytest.mark.filterwarnings("ignore")
def test_every_group_gives_a_table(name, inside, tmp_path, capsys):
    if name == "coating":  # the chain of a logistic equation costs a compilation: see below
        pytest.skip("run as a child process by test_a_child_reports_its_peak")
    if name == "mixed":
        pytest.skip("the same code as linear, behind a compilation")
    out = tmp_path / "RESULTS.md"
    assert command.main([name, "--quick", "--out", str(out)]) == 0
    text = out.read_text()
    assert f"<!-- {name} -->" in text
    assert f"## {name}" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) >= 2
    assert len({line.count("|") for line in rows}) == 1, "ragged table"
    assert "cores" in text
    assert "bayescausal 0." in text
    assert inside
    if name not in ("growth", "graph"):
        assert "No module named 'elsewhere'" in text  # an alternative that is not there says why
    assert text in capsys.readouterr().out or f"## {name}" in text


def test_a_section_is_replaced_and_the_others_stay(tmp_path):
    out = tmp_path / "RESULTS.md"
    for name, text in (("a", "one"), ("b", "two"), ("a", "three")):
        harness.write(out, name, text)
    text = out.read_text()
    assert "one" not in text
    assert text.index("three") < text.index("two")


def test_a_child_reports_its_peak():
    m = harness.measure("graph:answers", quick=True)
    assert m.why == ""
    assert m.found["peak"] > 1
    assert "bayescausal" in m.found["versions"]


@pytest.mark.parametrize(
    ("task", "words"),
    [("graph:nowhere", "nowhere"), ("nowhere:run", "nowhere")],
)
def test_a_child_that_fails_says_why(task, words):
    m = harness.measure(task)
    assert not m.found
    assert words in m.why


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["coatin"])
    assert "'coatin' is no benchmark" in capsys.readouterr().err


def test_agreement_and_ratio():
    some = {"peak": 5.0, "ess": 10.0}
    one = harness.Measure({**some, "mean": 1.0, "mcse": 0.3, "cold": 9.0, "warm": 1.0})
    two = harness.Measure({**some, "mean": 2.0, "mcse": 0.4, "cold": 6.0, "warm": float("nan")})
    rows = harness.beside(("n",), one, two)
    assert rows[1][-2:] == ("6.0", "2.0")
    assert rows[0][-2:] == ("", "")


def test_the_first_run_is_cold():
    calls = []
    found = harness.clocked(lambda: calls.append(1) or {"mean": len(calls)}, 3)
    assert len(calls) == found["runs"] == found["mean"] == 3
    assert found["cold"] >= 0
    assert found["warm"] >= 0


def test_a_target_is_work_that_runs():
    sizes = {"equations": 4, "units": 20}
    found = child(json.dumps({"task": "targets:one", "arguments": {
        "work": "skip_edges", "warm": True, "sizes": sizes,
    }}))  # fmt: skip
    assert found["answer"] == "0e+00 from the recursion"
    assert 0 <= found["cpu"] < found["cold"] + 10  # asked again, it takes next to nothing
    assert found["cold"] > 0
    assert {row.work for row in targets.ROWS} == set(targets.WORK)
    for row in targets.ROWS:
        assert set(row.sizes) <= set(signature(targets.WORK[row.work]).parameters)
