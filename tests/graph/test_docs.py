"""The examples in the docstrings of the room run, and every public name has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import bayescausal.graph

MODULES = sorted(m.name for m in pkgutil.iter_modules(bayescausal.graph.__path__))
#: Records and helpers that are explained by the function that returns them.
WITHOUT_EXAMPLE = {
    "Comparison",
    "Expression",
    "Hedge",
    "Independence",
    "Instrument",
    "KINDS",
    "Layout",
    "Path",
    "Role",
    "as_names",
    "latents",
    "observables",
    "roots_of_selection",
}


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(f"bayescausal.graph.{name}")
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", bayescausal.graph.__all__)
def test_public_names_are_documented(name):
    thing = getattr(bayescausal.graph, name)
    if name not in WITHOUT_EXAMPLE:
        assert ">>> " in inspect.getdoc(thing)
    elif name != "KINDS":
        assert inspect.getdoc(thing)
