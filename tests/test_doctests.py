"""Every example in every docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "bayescausal"


def modules() -> list[str]:
    """Return the dotted names of the modules that have an example."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


@pytest.mark.parametrize("name", modules())
def test_examples_run(name, capsys):
    module = importlib.import_module(name)
    try:
        failed, ran = doctest.testmod(module)
    finally:
        plt.close("all")
    assert not failed, capsys.readouterr().out
    assert ran, f"{name} shows >>> outside a docstring"


def test_a_wrong_example_is_found():
    def wrong() -> None:
        """Say nothing.

        >>> 1 + 1
        3
        """

    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(verbose=False)
    [example] = finder.find(wrong, "wrong")
    assert runner.run(example, out=lambda _text: None).failed == 1
