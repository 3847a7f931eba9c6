"""What a type checker, and so an editor, knows of the public names, which are loaded on first use.

The kind: a result typed ``Any``, after which nothing is completed. Looked at: every public function
and every method of a public class (``Any`` is returned by none but those whose type depends on what
the caller hands in), and their parameters (none begins with an underscore).
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest
from mypy import api

import bayescausal as bc

ROOT = Path(__file__).resolve().parent.parent

#: An expression through the lazy names, and its type.
REVEALED = {
    "bc.estimate(fit, bc.ATE('x', 'y'))": "bayescausal.effects.effect.Effect",
    "bc.estimate(fit, [bc.ATE('x', 'y'), ate])": "bayescausal.effects.listed.Effects",
    "bc.estimate(fit, ate)": "bayescausal.effects.effect.Effect",
    "ate.mean()": "float | xarray.core.dataarray.DataArray",
    "ate.sd()": "float | xarray.core.dataarray.DataArray",
    "ate.interval()": "tuple[float, float] | xarray.core.dataarray.DataArray",
    "ate.probability(above=0)": "float | xarray.core.dataarray.DataArray",
    "ate.plot()": "matplotlib.axes._axes.Axes",
    "ate.sentence()": "str",
    "ate - ate": "bayescausal.effects.effect.Effect",
    "ate.to_datatree()": "xarray.core.datatree.DataTree",
    "fit.to_datatree()": "xarray.core.datatree.DataTree",
    "bc.exercise('fork')": "bayescausal.datasets.exercise.Exercise",
    "bc.exercise()": "pandas.core.frame.DataFrame",
    "bc.robustness_value(fit, ate)": "bayescausal.effects.effect.Effect",
    "bc.robustness_value(4.2, df=783)": "float",
    "bc.identify(fit, ate)": "bayescausal.graph.identification.verdict.Identification",
    "bc.refute(fit, ate)": "bayescausal.draws.check.Check",
}


def test_a_type_checker_sees_through_the_lazy_names(tmp_path):
    lines = ["import bayescausal as bc", "", "def f(fit: bc.Fit, ate: bc.Effect) -> None:"]
    lines += [f"    reveal_type({expression})" for expression in REVEALED]
    script = tmp_path / "asked.py"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    said, errors, _ = api.run(
        [
            f"--config-file={ROOT / 'pyproject.toml'}",
            f"--python-executable={sys.executable}",
            f"--cache-dir={ROOT / '.mypy_cache'}",
            "--no-error-summary",
            str(script),
        ]
    )
    assert not errors
    found = re.findall(r'Revealed type is "(.*)"', said)
    assert dict(zip(REVEALED, found, strict=True)) == REVEALED, said


def public() -> list[tuple[str, object]]:
    """Return public functions, classes and the methods of the classes."""
    found = []
    for name in bc.__all__:
        value = getattr(bc, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            found.append((name, value))
        if inspect.isclass(value):
            methods = inspect.getmembers(value, inspect.isfunction)
            found += [(f"{name}.{m}", f) for m, f in methods if not m.startswith("_")]
    return found


@pytest.mark.parametrize(("name", "value"), public())
def test_no_private_parameter_and_no_answer_without_a_type(name, value):
    try:
        signature = inspect.signature(value)
    except ValueError:
        return
    assert not [p for p in signature.parameters if p.startswith("_")]
    if not inspect.isclass(value):
        assert signature.return_annotation != "Any", name
