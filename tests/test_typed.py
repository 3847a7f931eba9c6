"""Public signatures as type checkers read them: an editor completes what ``estimate`` returns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("checker", ["mypy", "basedpyright"])
def test_answers_have_types(checker):
    options = ["--level", "error"] if checker == "basedpyright" else []
    found = subprocess.run(
        [sys.executable, "-m", checker, *options, "tests/typed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stdout + found.stderr
