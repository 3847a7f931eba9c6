"""docs/minimal_scm.py: the idea in one file, run and checked."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).resolve().parent.parent / "docs" / "minimal_scm.py"


@pytest.fixture(scope="module")
def scm():
    spec = importlib.util.spec_from_file_location("minimal_scm", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["minimal_scm"] = module
    spec.loader.exec_module(module)
    return module


def test_it_is_short_and_needs_numpy_alone():
    text = PATH.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 170
    imports = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert {line.split()[1].split(".")[0] for line in imports} <= {
        "__future__",
        "collections",
        "dataclasses",
        "numpy",
    }


def test_the_three_rungs(scm):
    """Association -0.01, effect -0.42: exact values of the example, within six errors."""
    found = scm.main()
    # slope = -0.42 - 0.54 * cov(humid, dilution) / var(dilution) = -0.42 + 0.54 * 0.7 / 0.98
    assert found["association"] == pytest.approx(-0.42 + 0.54 * 0.7 / 0.98, abs=0.06)
    assert abs(found["effect"] + 0.42) < 6 * found["effect_sd"]
    assert found["effect_sd"] < 0.02
    # in a linear model, one unit more of dilution moves the part by the effect
    assert found["imagined"] - found["seen"] == pytest.approx(found["effect"], abs=0.002)


def test_laws(scm):
    model = scm.coating(-0.4, 0.3)
    rng = np.random.default_rng(0)
    noise = scm.draw_noise(model, 50, rng)
    seen = scm.run(model, noise)
    # effectiveness
    assert (scm.run(model, noise, {"dilution": 2})["dilution"] == 2).all()
    # consistency: abduction gives the noise back, and no action the facts
    again = scm.abduct(model, seen)
    for name in model:
        np.testing.assert_allclose(again[name], noise[name], atol=1e-12)
        np.testing.assert_allclose(scm.run(model, again)[name], seen[name], atol=1e-12)
    # an action leaves its causes alone
    np.testing.assert_array_equal(scm.run(model, noise, {"dilution": 2})["humid"], seen["humid"])
    assert scm.ate(model, "dilution", "coating", noise) == pytest.approx(-0.4)
    assert scm.ate(model, "coating", "humid", noise) == 0
