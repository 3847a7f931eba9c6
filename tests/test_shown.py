"""What is printed and shown in a notebook: tables and drawings, no addresses of objects.

The kind: a result of the public interface whose ``print`` or display says nothing. Looked at:
graphs from every maker, lists and dicts of results, and the names of the package.
"""

from __future__ import annotations

import copy
import pickle
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.graph import build_graph, paths, roles
from bayescausal.graph.text.display import svg


def fork() -> pm.Model:
    with pm.Model(coords={"unit": [0]}) as model:
        age = pm.Normal("age", dims="unit")
        dose = pm.Normal("dose", age, dims="unit")
        b = pm.Normal("b")
        pm.Normal("cured<1>", b * dose + age, dims="unit")
    return model


@pytest.fixture(scope="module")
def graph():
    return bc.graph_of(fork())


def test_a_graph_prints_its_arrows(graph):
    assert str(graph) == repr(graph)
    assert str(graph).splitlines() == [
        "3 variables, 3 arrows",
        "age -> dose, cured<1>",
        "dose -> cured<1>",
        "cured<1>",
    ]
    both = bc.parse_graph("X -> Y; X <-> Y")
    assert "X <-> Y" in str(both)
    assert "X<->Y" not in str(both)


@pytest.mark.parametrize(
    "make",
    [
        lambda: bc.graph_of(fork()),
        lambda: bc.parse_graph("age -> dose -> cured; dose <-> cured"),
        lambda: build_graph(["a"], [("x", "y")]),
        lambda: bc.latent_projection("Z -> X -> Y; Z -> Y", ["X", "Y"]),
        lambda: bc.explicit_latents("X -> Y; X <-> Y"),
    ],
)
def test_every_graph_shows_its_picture_and_stays_a_digraph(make):
    """The drawing has each name once, and each box stands apart from the others."""
    found = make()
    assert isinstance(found, nx.DiGraph)
    assert nx.is_frozen(found)
    shown = found._repr_mimebundle_()
    assert shown["text/plain"] == str(found)
    root = ElementTree.fromstring(shown["image/svg+xml"])
    space = "{http://www.w3.org/2000/svg}"
    hidden = {n for n in found if "<->" in n}
    assert sorted(t.text for t in root.iter(f"{space}text")) == sorted(set(found) - hidden)
    assert len(list(root.iter(f"{space}polyline"))) == found.number_of_edges()
    boxes = [
        tuple(float(r.attrib[k]) for k in ("x", "y", "width", "height"))
        for r in root.iter(f"{space}rect")
    ]
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    for i, (x, y, w, h) in enumerate(boxes):
        assert left <= x < x + w <= left + width
        assert top <= y < y + h <= top + height
        for x2, y2, w2, h2 in boxes[:i]:
            assert x + w < x2 or x2 + w2 < x or y + h < y2 or y2 + h2 < y
    assert found._repr_html_() == shown["text/html"]


def test_arrow_heads_end_at_the_border_of_the_box_they_point_to():
    root = ElementTree.fromstring(svg(bc.parse_graph("cause -> a_long_name")))
    space = "{http://www.w3.org/2000/svg}"
    [head] = root.iter(f"{space}polygon")
    tip = tuple(map(float, head.attrib["points"].split()[0].split(",")))
    lower = max(root.iter(f"{space}rect"), key=lambda r: float(r.attrib["y"]))
    x, y, w = (float(lower.attrib[k]) for k in ("x", "y", "width"))
    assert x <= tip[0] <= x + w
    assert tip[1] == pytest.approx(y - 1, abs=0.2)


def test_graphs_travel_as_before(graph):
    for again in (pickle.loads(pickle.dumps(graph)), copy.deepcopy(graph), graph.copy()):
        assert list(again.edges) == list(graph.edges)
        assert str(again) == str(graph)
    assert nx.to_dict_of_lists(graph)["dose"] == ["cured<1>"]


def test_findings_are_tables_and_stay_lists_and_dicts():
    dag = "Z -> X -> M -> Y; Z -> Y"
    found = paths(dag, "X", "Y")
    assert isinstance(found, list)
    assert str(found).splitlines() == [
        "path         kind       state",
        "X -> M -> Y  causal     open",
        "X <- Z -> Y  back door  open",
    ]
    assert "shut at Z" in str(bc.paths(dag, "X", "Y", given="Z"))
    named = roles(dag, "X", "Y")
    assert isinstance(named, dict)
    lines = str(named).splitlines()
    assert lines[0].split() == ["variable", "role", "adjust", "why"]
    assert lines[1].startswith("Z         confounder  yes")
    claims = bc.implied_independences(dag)
    assert isinstance(claims, list)
    assert str(claims).splitlines()[1].split() == ["M", "Z", "X"]
    assert "nothing" in str(bc.implied_independences("X -> Y; W -> Y"))
    assert str(bc.implied_independences("X -> Y")) == "No independence among what is measured."
    for each in (found, named, claims):
        assert "<td>" in each._repr_html_()
        assert " object at 0x" not in str(each)
        assert pickle.loads(pickle.dumps(each)) == each
        assert len(each) > 0


def test_names_are_escaped_in_html(graph):
    shown = bc.roles(graph, "dose", "cured<1>")._repr_html_()
    assert "cured&lt;1&gt;" in shown
    assert "cured<1>" not in shown
    assert "cured&lt;1&gt;" in graph._repr_html_()


def test_a_list_of_effects_is_a_table():
    model = fork()
    rng = np.random.default_rng(1)
    data = {n: rng.normal(size=30) for n in ("age", "dose", "cured<1>")}
    known = bc.truth(model, {"b": 2.0}, data)
    found = bc.estimate(known, [bc.ATE("dose", "cured<1>"), bc.ITE("dose", "cured<1>")])
    assert isinstance(found, list)
    lines = str(found).splitlines()
    assert lines[0].startswith("effect ")
    assert "ATE dose -> cured<1>" in lines[1]
    assert "back door" in lines[1]
    assert "30 unit" in lines[2]
    assert "cured&lt;1&gt;" in found._repr_html_()


def test_dir_lists_the_public_names_alone():
    assert dir(bc) == sorted(bc.__all__)
    assert not [n for n in dir(bc) if n.startswith("_")]
