"""The editor in a notebook: its graph is one that every question about graphs takes."""

from __future__ import annotations

import json

import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.reporting.editor import edit_graph as module
from bayescausal.types import GraphError, UnknownVariableError

pytest.importorskip("anywidget", reason="anywidget is not installed")


def test_the_graph_is_what_was_given_and_then_what_was_drawn():
    editor = bc.edit_graph("Z -> X -> Y; Z -> Y", treatment="X", outcome="Y", given="Z")
    assert (editor.treatment, editor.outcome, editor.given) == (("X",), ("Y",), ("Z",))
    assert bc.identify(editor.graph).sentence() == bc.identify("Z->X->Y;Z->Y", "X", "Y").sentence()
    drawing = editor.drawing
    drawing["arrows"] = [*drawing["arrows"], ["X", "<->", "Y"]]
    editor.widget.drawing = drawing  # what the page does
    assert not bc.identify(editor.graph, editor.treatment, editor.outcome)
    assert "X <-> Y" in repr(editor)
    with pytest.raises(GraphError, match="cycle"):
        editor.drawing = {**drawing, "arrows": [["X", "->", "Y"], ["Y", "->", "X"]]}


def test_a_model_and_a_fit_are_read():
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("u", 0, 1, dims="unit")
        x = pm.Normal("x", u, 1, dims="unit")
        pm.Normal("y", pm.Normal("b") * x + u, 1, dims="unit")
    assert set(bc.edit_graph(model).graph.edges) == {("u", "x"), ("u", "y"), ("x", "y")}
    fit = bc.Fit(model, {"b": [[1.0]], "u": [[[0.0, 0.0]]]}, {"x": [0.0, 1.0], "y": [0.0, 1.0]})
    graph = bc.edit_graph(fit, treatment="x", outcome="y").graph
    assert graph.nodes["u"]["latent"] is True
    assert bc.identify(graph).status == "not identified"


def test_columns_without_an_equation_stay_joined():
    data = pd.DataFrame({"a": [0.0, 1.0, 3.0], "b": [2.0, 0.0, 1.0], "y": [1.0, 2.0, 5.0]})
    model = bc.model_from_formulas(["y ~ a + b"], data=data)
    graph = bc.edit_graph(model, treatment="a", outcome="y").graph
    assert bc.identify(graph).adjustment_sets == bc.identify(model, "a", "y").adjustment_sets
    assert bc.identify(graph).adjustment_sets[0] == {"b"}


def test_what_the_page_asks_is_answered(monkeypatch):
    editor = bc.edit_graph("X -> Y", treatment="X", outcome="Y")
    sent = []
    monkeypatch.setattr(type(editor.widget), "send", lambda self, content: sent.append(content))
    request = json.dumps({"ask": "look", "drawing": editor.drawing})
    editor.widget._handle_custom_msg({"id": "7", "request": request}, [])
    [answer] = sent
    assert answer["id"] == "7"
    assert json.loads(answer["answer"])["verdict"]["headline"] == "Identified without adjustment."


def test_an_empty_sheet_and_mistakes():
    assert bc.edit_graph().drawing == {"nodes": [], "arrows": []}
    with pytest.raises(UnknownVariableError, match="'W' is not"):
        bc.edit_graph("X -> Y", treatment="W")
    with pytest.raises(GraphError, match="'U' is not measured"):
        bc.edit_graph("U [latent]; U -> Y", treatment="U")
    with pytest.raises(GraphError, match="no graph yet"):
        bc.edit_graph(treatment="X")


def test_without_anywidget_the_remedy_is_said(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(GraphError, match=r'pip install "bayescausal\[widget\]"'):
        bc.edit_graph("X -> Y")
