"""Our own calibration, in short: every family of ``benchmarks/calibration.py``.

The committed table (``docs/calibration.md``) is the long run of the same families. Here 200 data
sets per family: of right answers at most 1% of the families fail.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "calibration.py"


def study():
    spec = importlib.util.spec_from_file_location("calibration_study", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STUDY = study()


def test_the_families_are_those_promised():
    assert set(STUDY.FAMILIES) == {
        "linear",
        "mediator",
        "logistic",
        "poisson",
        "ordered",
        "hierarchical",
        "instrument",
        "panel",
        "slopes",
        "crossed",
        "curve",
        "shrinkage",
        "level",
        "separation",
        "negative_binomial",
        "horseshoe",
        "bounded",
        "logistic_groups",
        "shares",
        "unequal",
    }


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("family", list(STUDY.FAMILIES))
def test_answers_are_calibrated(family):
    check = STUDY.run(family, 200)
    assert check.verdict != "fail", check.finding
    assert check.table["failed"].max() <= 0.02
    assert (check.table["slack"] < 1e-9).all()
