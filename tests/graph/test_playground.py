"""One call answers everything about a drawing, as the functions for graphs do."""

from __future__ import annotations

import json
import random

import networkx as nx
import pytest

from bayescausal.graph import (
    adjustment_sets,
    build_graph,
    identify,
    implied_independences,
    is_adjustment_set,
    parse_graph,
    paths,
    roles,
    to_edges,
    to_text,
)
from bayescausal.graph.playground.as_code import as_formulas, as_pymc
from bayescausal.graph.playground.drawings import MOST_NODES, drawing_of, read_drawing
from bayescausal.graph.playground.exercises import EXAMPLES, EXERCISES, check, exercise_of
from bayescausal.graph.playground.explore import explore
from bayescausal.types import GraphError


def ask(**question):
    return json.loads(explore(json.dumps(question)))


def drawn(text, **marks):
    """Return a graph as a drawing, marked."""
    drawing = drawing_of(text)
    for node in drawing["nodes"]:
        node |= {mark: True for mark, names in marks.items() if node["name"] in names}
    return drawing


def random_graph(seed):
    """Return a graph with latent nodes and arcs."""
    rng = random.Random(seed)
    names = list("XABCDY")
    edges = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if rng.random() < 0.4]
    arcs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if rng.random() < 0.12]
    latent = rng.choice("ABCD")
    nodes = {n: {"latent": True} if n == latent and rng.random() < 0.5 else {} for n in names}
    return build_graph(nodes, edges, arcs)


@pytest.mark.parametrize("seed", range(25))
def test_it_says_what_the_functions_say(seed):
    graph = random_graph(seed)
    hidden = {n for n, latent in graph.nodes(data="latent") if latent}
    given = sorted(set("AC") - hidden)
    answer = ask(ask="look", drawing=drawn(to_text(graph), treatment="X", outcome="Y", given=given))
    found = identify(graph, "X", "Y")
    assert answer["verdict"]["status"] == found.status
    assert answer["verdict"]["sentence"] == found.sentence()
    assert answer["verdict"]["estimand"] == (str(found.estimand) if found.estimand else None)
    assert sorted(answer["sets"]["adjustment"]) == sorted(
        map(sorted, adjustment_sets(graph, "X", "Y"))
    )
    assert answer["given"]["valid"] is is_adjustment_set(graph, "X", "Y", given)
    listed = paths(graph, "X", "Y", given=given)
    assert [p["sentence"] for p in answer["paths"]["listed"]] == [p.sentence() for p in listed[:60]]
    assert answer["paths"]["count"] == len(listed)
    assert {n: r["sentence"] for n, r in answer["roles"].items()} == {
        n: str(r) for n, r in roles(graph, "X", "Y").items()
    }
    claims = implied_independences(graph, one_per_pair=True)
    assert [c["text"] for c in answer["independences"]["listed"]] == list(map(str, claims))
    within = answer["verdict"]["within"]
    assert within["sentence"] == identify(graph, "X", "Y", given=given).sentence()


def test_what_adding_a_variable_opens_and_shuts():
    answer = ask(
        ask="look", drawing=drawn("X -> Y; X <- Z -> Y; X -> C <- Y", treatment="X", outcome="Y")
    )
    assert answer["roles"]["Z"]["change"] == "Adding it shuts X <- Z -> Y."
    assert answer["roles"]["C"]["change"] == "Adding it opens X -> C <- Y."
    assert answer["roles"]["C"]["adjust"] == "no"
    marked = drawn("X -> Y; X <- Z -> Y; X -> C <- Y", treatment="X", outcome="Y", given="ZC")
    answer = ask(ask="look", drawing=marked)
    assert answer["roles"]["C"]["change"] == "Leaving it out shuts X -> C <- Y."
    assert answer["given"]["valid"] is False
    assert answer["arrows"] == {"X -> Y": "causal", "X -> C": "open", "Y -> C": "open"}


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("X -> M -> Y", "M", "M is a mediator: do not adjust for it"),
        ("X -> Y; X <- U -> Y; U [latent]", "U", "U is not measured: nothing can be adjusted for"),
        ("X -> Y; X <- Z -> Y", "", "Adjusting for nothing does not give the effect. This path"),
        ("X -> Y; X <- Z -> Y", "Z", "Adjusting for Z removes all confounding"),
    ],
)
def test_a_set_is_judged_in_words(text, given, said):
    answer = ask(ask="look", drawing=drawn(text, treatment="X", outcome="Y", given=given))
    assert said in answer["given"]["sentence"]


def test_the_verdicts_of_the_examples():
    methods = {
        title: ask(ask="look", drawing=drawing_of(text))["verdict"]["method"]
        for title, text in EXAMPLES.items()
    }
    assert methods == {
        "Confounder": "back door",
        "Collider": "no causal path",
        "Mediator": "back door",
        "Front door": "front door",
        "Instrument": "instrument",
        "M-bias": "back door",
        "Selection": "none",
        "Napkin": "ID",
        "Bow": "none",
    }
    listed = ask(ask="exercises")
    assert [e["text"] for e in listed["examples"]] == list(EXAMPLES.values())
    assert [e["id"] for e in listed["exercises"]] == [e.id for e in EXERCISES]


# ------------------------------------------------------------------------------ drawings


@pytest.mark.parametrize("seed", range(10))
def test_a_drawing_and_its_graph_go_round(seed):
    graph = random_graph(seed)
    assert to_text(read_drawing(drawing_of(graph)).graph) == to_text(graph)
    answer = ask(ask="look", drawing=drawn(to_text(graph), treatment="X", outcome="Y", given="B"))
    again = ask(ask="read", text=answer["texts"]["dagitty"])["drawing"]
    marks = {m: [n["name"] for n in again["nodes"] if n.get(m)] for m in ("treatment", "outcome")}
    assert marks == {"treatment": ["X"], "outcome": ["Y"]}
    assert to_edges(read_drawing(again).graph) == to_edges(graph)


def test_places_are_kept_in_proportion_and_apart():
    drawing = drawing_of('dag { X [pos="0,0"] Y [pos="1,0"] Z [pos="0.5,-1"] Z -> X Z -> Y }')
    at = {n["name"]: (n["x"], n["y"]) for n in drawing["nodes"]}
    assert at["Y"][0] - at["X"][0] == at["X"][1] - at["Z"][1] == 400
    assert at["Z"][0] == (at["X"][0] + at["Y"][0]) / 2
    laid_out = drawing_of("a_rather_long_name -> Y; another_long_name -> Y")["nodes"]
    first, second = (n for n in laid_out if n["name"] != "Y")
    assert abs(first["x"] - second["x"]) > 9 * len("another_long_name")


@pytest.mark.parametrize(
    ("drawing", "said"),
    [
        ({"nodes": [{"name": "X"}, {"name": "X"}]}, "Two variables are called 'X'"),
        ({"nodes": [{"name": " "}]}, "A variable has no name"),
        ({"nodes": [{"name": "X"}], "arrows": [["X", "->", "Y"]]}, "'Y', which is no variable"),
        (
            {
                "nodes": [{"name": "X"}, {"name": "Y"}],
                "arrows": [["X", "->", "Y"], ["Y", "->", "X"]],
            },
            "directed cycle",
        ),
        ({"nodes": [{"name": f"v{k}"} for k in range(MOST_NODES + 1)]}, "at most 60"),
    ],
)
def test_what_is_no_graph_is_a_problem_in_words(drawing, said):
    assert said in ask(ask="look", drawing=drawing)["problem"]
    with pytest.raises(GraphError, match=said):
        read_drawing(drawing)


def test_half_a_question_waits_and_a_wrong_one_is_a_problem_of_its_own():
    answer = ask(ask="look", drawing=drawn("X -> Y", treatment="X"))
    assert answer["waiting"] == "Mark a variable as outcome."
    assert "verdict" not in answer
    answer = ask(ask="look", drawing=drawn("X [latent]; X -> Y", treatment="X", outcome="Y"))
    assert "not measured" in answer["verdict"]["problem"]
    assert answer["texts"]["text"]
    assert ask(ask="look", drawing={"nodes": [], "arrows": []})["texts"] == {}
    assert "X -- Y" in ask(ask="read", text="X -- Y")["problem"]


# ---------------------------------------------------------------------------------- texts

GRAPHS = [
    "Z -> X -> Y; Z -> Y",
    "X -> Y; X <-> Y",
    'U [latent]; U -> "blood pressure" -> Y; U -> Y; class',
    "pm -> X -> Y; U_X_Y -> X; X <-> Y; model",
]


@pytest.mark.parametrize("text", GRAPHS)
def test_the_code_makes_models_with_the_drawn_graph(text):
    """The graph read off the model is the drawn one, with arcs as variables of their own."""
    import bayescausal as bc

    graph = parse_graph(text)
    spelled = nx.DiGraph(graph)
    if "X<->Y" in spelled:
        name = "U_X_Y_" if "U_X_Y" in spelled else "U_X_Y"
        spelled = nx.relabel_nodes(spelled, {"X<->Y": name})
    for code in (as_pymc(graph), as_formulas(graph)):
        scope: dict[str, object] = {}
        exec(code, scope)
        made = bc.graph_of(scope["model"])
        assert set(made) == set(spelled) - {n for n in made if n not in spelled}
        assert set(made.edges) == set(spelled.edges)


def test_a_variable_may_be_called_as_a_parameter_would_be():
    scope: dict[str, object] = {}
    exec(as_pymc("b_Y_X -> Y; X -> Y; sigma_X -> X"), scope)
    names = set(scope["model"].named_vars)
    assert {"b_Y_X", "b_Y_X_", "sigma_X", "sigma_X_"} <= names


def test_the_code_says_what_a_model_does_not_hold():
    code = as_pymc("S [selection]; U [latent]; U -> X -> S")
    assert "# not measured, so no column of the data: U" in code
    assert "only units selected on S" in code
    with pytest.raises(GraphError, match="cannot stand in a formula"):
        as_formulas("'a`b' -> Y")
    with pytest.raises(GraphError, match="no nodes"):
        as_pymc(nx.DiGraph())


# ------------------------------------------------------------------------------ exercises

SOLVED = {
    "chain": {"given": "M"},
    "fork": {"given": "Z"},
    "collider": {"given": "C"},
    "confounder": {"given": "Z"},
    "long": {"given": "B"},
    "m": {},
    "butterfly": {"given": "C"},
    "traps": {"given": "Z"},
    "proxy": {"given": "A"},
    "measure": {"text": "U [latent]; W [latent]; X <- U -> A -> Y; X <- V -> Y; W -> Y; W -> V;"
                "X -> Y"},
    "front-door": {"text": "X -> M -> Y; X <-> Y"},
    "instrument": {"text": "Z -> X -> Y; X <-> Y"},
    "separated": {"text": "X <- Z -> Y"},
    "marginal": {"text": "X -> Z <- Y"},
    "napkin": {"text": "W -> Z -> X -> Y; W <-> X"},
}  # fmt: skip


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_an_exercise_begins_unsolved_and_can_be_solved(exercise):
    began = ask(ask="start", id=exercise.id)
    told = ask(ask="check", id=exercise.id, drawing=began["drawing"])
    assert told["solved"] is False
    assert told["message"].startswith("Not yet: ")
    solution = dict(SOLVED[exercise.id])
    text = solution.pop("text", None)
    drawing = drawing_of(text) if text else began["drawing"]
    for node in drawing["nodes"]:
        node["given"] = node["name"] in solution.get("given", "")
        node |= {"X": {"treatment": True}, "Y": {"outcome": True}}.get(node["name"], {})
    told = ask(ask="check", id=exercise.id, drawing=drawing)
    assert told["solved"] is True, told
    assert told["message"].startswith("Solved. ")


@pytest.mark.parametrize(
    ("id", "given", "said"),
    [
        ("traps", "ZC", "C is a collider and a descendant of the outcome: do not adjust"),
        ("traps", "ZM", "M is a mediator: do not adjust"),
        ("traps", "ZW", "this set is valid, but 1 variable is enough"),
        ("long", "AB", "1 variable is enough"),
        ("m", "MA", "nothing has to be adjusted for"),
        ("butterfly", "B", "X <- A -> B <- C -> Y"),
        ("proxy", "U", "U cannot be adjusted for"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(id, given, said):
    drawing = ask(ask="start", id=id)["drawing"]
    for node in drawing["nodes"]:
        node["given"] = node["name"] in given
    solved, message = check(id, read_drawing(drawing))
    assert not solved
    assert said in message


def test_the_drawing_of_an_exercise_may_not_be_changed():
    drawing = ask(ask="start", id="fork")["drawing"]
    drawing["arrows"].pop()
    assert check("fork", read_drawing(drawing)) == (
        False,
        "The arrows have changed: begin the exercise again.",
    )
    drawing = ask(ask="start", id="proxy")["drawing"]
    for node in drawing["nodes"]:
        node.pop("latent", None)
    assert "What is measured has changed" in check("proxy", read_drawing(drawing))[1]
    assert "There is no exercise 'frok'" in ask(ask="start", id="frok")["problem"]
    assert "Did you mean 'fork'" in ask(ask="start", id="frok")["problem"]


@pytest.mark.parametrize("seed", range(8))
def test_made_exercises_have_a_solution_and_traps(seed):
    exercise = exercise_of(f"random:{seed}")
    assert exercise.start == exercise_of(f"random:{seed}").start
    graph = parse_graph(exercise.start)
    fewest = identify(graph, "X", "Y").adjustment_sets[0]
    drawing = drawing_of(graph)
    assert check(exercise.id, read_drawing(drawing))[0] is False
    for node in drawing["nodes"]:
        node["given"] = node["name"] in fewest
    assert check(exercise.id, read_drawing(drawing))[0] is True
    assert sum(r.adjust == "no" for r in roles(graph, "X", "Y").values()) > 2
