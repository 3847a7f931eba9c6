"""The editor in a notebook: its graph is one that every question about graphs takes."""

from __future__ import annotations

import json

import pandas as pd
import pymc as pm
import pytest
from axe import faults
from report_browser import chromium

import bayescausal as bc
from bayescausal.reporting.editor import edit_graph as module
from bayescausal.reporting.editor.sources import editor_css, editor_js
from bayescausal.types import GraphError, UnknownVariableError

pytest.importorskip("anywidget", reason="anywidget is not installed")


def test_the_graph_is_what_was_given_and_then_what_was_drawn():
    editor = bc.edit_graph("Z -> X -> Y; Z -> Y", treatment="X", outcome="Y", given="Z")
    assert (editor.treatment, editor.outcome, editor.given) == (("X",), ("Y",), ("Z",))
    assert bc.identify(editor.graph).sentence() == bc.identify("Z->X->Y;Z->Y", "X", "Y").sentence()
    assert bc.identify(editor).sentence() == bc.identify(editor.graph).sentence()
    assert bc.to_text(editor) == bc.to_text(editor.graph)
    assert [p.open for p in bc.paths(editor, "X", "Y")] == [True, False]  # Z is given
    drawing = editor.drawing
    drawing["arrows"] = [*drawing["arrows"], ["X", "<->", "Y"]]
    editor.widget.drawing = drawing  # what the page does
    assert not bc.identify(editor, editor.treatment, editor.outcome)
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


#: A model as a notebook gives it to a widget: values, messages, and who listens to them.
MODEL = """async ([source, drawing]) => {
  const url = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
  const widget = (await import(url)).default;
  const values = {drawing, exercises: false}, heard = {};
  window.model = {
    get: (name) => values[name],
    set: (name, value) => { values[name] = value; },
    save_changes: () => window.saved(values.drawing),
    on: (name, f) => { (heard[name] ??= []).push(f); },
    off: (name, f) => { heard[name] = heard[name].filter((g) => g !== f); },
    send: async (content) => {
      const message = await window.kernel(content);
      for (const f of heard["msg:custom"]) f(message);
    },
    told: (value) => { values.drawing = value; for (const f of heard["change:drawing"]) f(); },
  };
  window.leave = widget.render({model: window.model, el: document.querySelector("main")});
  window.left = () => Object.values(heard).flat().length;
}"""


@pytest.mark.slow
@pytest.mark.filterwarnings("default::ResourceWarning")
def test_the_widget_draws_for_the_kernel_and_the_kernel_for_it(monkeypatch):
    """The page draws, the kernel answers; what is drawn is the graph, and the other way round."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    editor = bc.edit_graph("X -> Y; X <- Z -> Y", treatment="X", outcome="Y")
    answers = []
    monkeypatch.setattr(type(editor.widget), "send", lambda self, content: answers.append(content))

    def kernel(content):
        editor.widget._handle_custom_msg(content, [])
        return answers.pop()

    def saved(drawing):
        editor.widget.drawing = drawing

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_page()
        wrong: list[str] = []
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.set_content("<html lang=en><title>Notebook</title><main></main></html>")
        tab.add_style_tag(content=editor_css())
        tab.expose_function("kernel", kernel)
        tab.expose_function("saved", saved)
        tab.evaluate(MODEL, [editor_js(), editor.drawing])
        verdict = tab.locator("[data-part=verdict]")
        verdict.get_by_text("adjust for Z").wait_for()
        tab.focus(".bc-node[data-name=Z]")
        tab.keyboard.press("l")
        verdict.get_by_text("is not identified").wait_for()
        assert editor.graph.nodes["Z"]["latent"] is True
        assert not bc.identify(editor)
        tab.evaluate("drawing => window.model.told(drawing)", bc.edit_graph("A -> B").drawing)
        tab.locator(".bc-node[data-name=A]").wait_for(state="attached")
        assert faults(tab, "main") == []
        tab.evaluate("window.leave()")
        assert tab.evaluate("window.left()") == 0
        assert wrong == []
        browser.close()
