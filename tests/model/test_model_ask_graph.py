"""The same questions of a model and of a graph, with the same answers."""

from __future__ import annotations

import subprocess
import sys

import networkx as nx
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.graph import parse_graph
from bayescausal.model.graph_queries.graph_of_anything import graph_and_observed
from bayescausal.model.graph_queries.queries import (
    compare_graphs,
    identify,
    implied_independences,
    paths,
    roles,
)
from bayescausal.types import EstimandError, GraphError, UnknownVariableError

TEXT = "z -> x -> m -> y; z -> y"


def build(**observed):
    with pm.Model(coords={"unit": range(3)}) as model:
        z = pm.Normal("z", dims="unit", observed=observed.get("z"))
        x = pm.Normal("x", z, dims="unit", observed=observed.get("x"))
        m = pm.Normal("m", x, dims="unit", observed=observed.get("m"))
        total = pm.Deterministic("total", m + z, dims="unit")
        pm.Normal("y", total, dims="unit", observed=observed.get("y"))
    return model


def test_a_model_that_observes_nothing_measures_everything():
    model = build()
    for asked in (model, TEXT, parse_graph(TEXT), [("z", "x"), ("x", "m"), ("m", "y"), ("z", "y")]):
        verdict = identify(asked, "x", "y")
        assert verdict.adjustment_sets == [{"z"}]
        assert verdict.frontdoor_sets == [{"m"}]
        assert [str(c) for c in implied_independences(asked)] == ["m ⊥ z | x", "x ⊥ y | m, z"]
        assert roles(asked, "x", "y")["m"].adjust == "no"
        assert [str(p) for p in paths(asked, "x", "y")] == ["x -> m -> y", "x <- z -> y"]
    assert compare_graphs(model, TEXT)


def test_what_a_model_does_not_observe_is_latent_and_observed_overrules():
    three = [0.0, 0.0, 0.0]
    model = build(x=three, m=three, y=three)
    assert identify(model, "x", "y").method == "front door"
    assert identify(model, "x", "y", observed=["x", "y", "z"]).method == "back door"
    assert implied_independences(model) == []
    found = compare_graphs(model, TEXT)
    assert not found
    assert found.latent_left == ("z",)


def test_data_containers_are_measured():
    with pm.Model(coords={"unit": range(3)}) as model:
        z = pm.Data("z", [0.0, 1.0, 2.0], dims="unit")
        x = pm.Normal("x", z, dims="unit", observed=[0.0, 1.0, 2.0])
        pm.Normal("y", x + z, dims="unit", observed=[0.0, 1.0, 2.0])
    assert identify(model, "x", "y").adjustment_sets == [{"z"}]


def test_a_fit_measures_its_columns():
    model = build()
    names = ("x", "m", "y")
    data = bc.simulate(model, {}, units=20, seed=1)[list(names)]
    known = bc.truth(model, {}, data, draws=2, seed=1)
    assert identify(known, "x", "y").method == "front door"
    assert identify(bc.truth(model, {}), "x", "y").method == "back door"


def test_a_deterministic_that_is_named_becomes_a_node():
    model = build()
    assert "total" not in graph_and_observed(model)[0]
    assert identify(model, "x", "total").adjustment_sets == [{"z"}]
    three = [0.0, 0.0, 0.0]
    hidden = build(x=three, m=three, y=three)
    with pytest.raises(EstimandError, match="'total' is not measured"):
        identify(hidden, "x", "total")


def test_unit_dims_reach_the_model_and_are_refused_with_a_graph():
    with pm.Model(coords={"a": range(2), "b": range(3)}) as model:
        x = pm.Normal("x", dims="a")
        pm.Normal("y", x[:, None], dims=("a", "b"))
    assert list(graph_and_observed(model, unit_dims=("a", "b"))[0].edges) == [("x", "y")]
    for ask in (
        lambda: identify(TEXT, "x", "y", unit_dims="unit"),
        lambda: implied_independences(TEXT, unit_dims="unit"),
        lambda: compare_graphs(TEXT, TEXT, unit_dims="unit"),
    ):
        with pytest.raises(EstimandError, match="unit_dims= is given with a graph"):
            ask()
    assert compare_graphs(build(), TEXT, unit_dims="unit")


def test_mistakes_are_named():
    with pytest.raises(UnknownVariableError, match="Did you mean 'x'"):
        identify(build(), "X", "y")
    with pytest.raises(GraphError, match="undirected"):
        identify(nx.Graph([("x", "y")]), "x", "y")
    with pytest.raises(GraphError):
        identify(42, "x", "y")


def test_a_graph_costs_no_pymc():
    code = (
        "import sys; from bayescausal import compare_graphs, identify;"
        "identify('X -> Y; Z -> X; Z -> Y', 'X', 'Y'); compare_graphs('X -> Y', 'Y -> X');"
        "assert 'pymc' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
