"""Graphs in and out, and errors that point."""

from __future__ import annotations

import random

import networkx as nx
import pandas as pd
import pytest
from graph_scm import random_graph

from bayescausal.graph import (
    as_graph,
    bidirected_edges,
    build_graph,
    latents,
    parse_graph,
    roots_of_selection,
    to_dagitty,
    to_dot,
    to_edges,
    to_formulas,
    to_gml,
    to_mermaid,
    to_text,
)
from bayescausal.types import GraphError, UnknownVariableError


def _edges(graph):
    return set(graph.edges)


# ------------------------------------------------------------------ the arrow language


def test_chains_bidirected_isolated_and_comments():
    graph = parse_graph("Z -> X -> Y; X <-> Y  # a comment; A -> B\nage")
    assert _edges(graph) == {("Z", "X"), ("X", "Y"), ("X<->Y", "X"), ("X<->Y", "Y")}
    assert latents(graph) == {"X<->Y"}
    assert bidirected_edges(graph) == {"X<->Y": ("X", "Y")}
    assert graph.degree("age") == 0
    assert nx.is_frozen(graph)


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("A <- B", {("B", "A")}),
        ("A->B<-C", {("A", "B"), ("C", "B")}),
        ("{A, B} -> C", {("A", "C"), ("B", "C")}),
        ("A -> {B C} -> D", {("A", "B"), ("A", "C"), ("B", "D"), ("C", "D")}),
        ("x.1 -> x_2 -> 3", {("x.1", "x_2"), ("x_2", "3")}),
        ("größe → вес", {("größe", "вес")}),
        ('\'blood pressure\' -> "a \\"b\\" [c]"', {("blood pressure", 'a "b" [c]')}),
        ("A -> B; A -> B", {("A", "B")}),
        ("A -> B;;\n\n;C -> B;", {("A", "B"), ("C", "B")}),
        ("", set()),
        (" # nothing", set()),
    ],
)
def test_arrow_language(text, edges):
    assert _edges(parse_graph(text)) == edges


def test_attributes_of_nodes():
    graph = parse_graph("U [latent]; S [selection]; X [treatment]; Y [outcome]; U -> {X, Y} -> S")
    assert latents(graph) == {"U"}
    assert roots_of_selection(graph) == {"S"}
    assert graph.nodes["X"]["role"] == "treatment"
    assert bidirected_edges(graph) == {}  # U has a name of its own


def test_pairs_are_not_merged_into_one_common_cause():
    graph = parse_graph("A <-> B; B <-> C; A <-> C")
    assert sorted(bidirected_edges(graph)) == ["A<->B", "A<->C", "B<->C"]
    assert all(graph.out_degree(n) == 2 for n in latents(graph))


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("Z -> -> Y", 1, 6, "Expected: a name after '->'"),
        ("X ->", 1, 5, "the end of the text"),
        ("-> X", 1, 1, "a name to begin a statement"),
        ("A -> B\nC -- D", 2, 3, "has no direction"),
        ("A -> B\n\nblood pressure -> C", 3, 7, "in double quotes"),
        ("T-cell -> Y", 1, 2, "in double quotes"),
        ("A -> $", 1, 6, "'$' is not expected"),
        ("A -> 'B", 1, 6, "never closed"),
        ("A -> B; B -> B", 1, 11, "joins a node to itself"),
        ("{A, B -> C", 1, 7, "'}' in the group"),
        ("U [latnt]", 1, 4, "Did you mean 'latent'"),
        ("dag { A -> B", 1, 13, "never closed"),
        ("dag { A -- B }", 1, 9, "has no direction"),
        ("pdag { A -> B }", 1, 1, "without a direction"),
        ("graph { A -> B }", 1, 1, "without a direction"),
        ("digraph { A -> }", 1, 16, "a name of a node"),
        ("dag { A -> B } C", 1, 16, "after the closing brace"),
        ("digraph { A [label B] }", 1, 1, None),
        ("Y ~ X +", 1, 8, "after '~' or '+'"),
        ("Y ~ X Z", 1, 7, "'+' or a new line"),
        ('graph [ node [ id 0 label "a" ] edge [ source 0 target ] ]', 1, None, "not GML"),
    ],
)
def test_errors_show_the_line_and_a_caret(text, line, column, message):
    if message is None:  # two flags: odd, but not wrong
        parse_graph(text)
        return
    with pytest.raises(GraphError) as caught:
        parse_graph(text)
    shown = str(caught.value)
    assert f"Line {line}, column" in shown
    assert message in shown
    rows = shown.split("\n")
    assert rows[1] == "  " + text.split("\n")[line - 1]
    assert rows[2].strip() == "^"
    if column is not None:
        assert f"column {column}:" in shown
        assert rows[2].index("^") == column + 1


def test_cycles_are_named():
    with pytest.raises(GraphError, match="directed cycle: A -> B -> C -> A"):
        parse_graph("A -> B -> C -> A")


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (7, "is not a graph"),
        ([("A", "B", "--")], "is not an edge"),
        ([3], "is not an edge"),
        (nx.Graph([("A", "B")]), "undirected"),
        (nx.DiGraph([("A", "B"), ("B", "A")]), "cycle"),
        (nx.DiGraph([(1, "B"), ("1", "C")]), "same name"),
    ],
)
def test_what_is_no_graph(thing, message):
    with pytest.raises(GraphError, match=message):
        parse_graph(thing)


def test_the_name_of_a_bidirected_edge_may_not_be_taken():
    with pytest.raises(GraphError, match="already called"):
        parse_graph("X <-> Y; 'X<->Y' -> Z")


def test_build_graph_refuses_loops():
    with pytest.raises(GraphError, match="to itself"):
        build_graph([], [("A", "A")])


# ----------------------------------------------------------------------- other languages


def test_dagitty_with_roles():
    graph = parse_graph(
        """dag "my graph" {
        bb="0,0,1,1"
        "blood pressure" [exposure,pos="-1.500,0.200"]
        Y [outcome] U [latent] S [selected] Z [adjusted]
        U -> "blood pressure" -> Y <-> Z
        Y -> S  /* selection */ lone
        }"""
    )
    assert graph.nodes["blood pressure"] == {"role": "treatment", "pos": (-1.5, 0.2)}
    assert graph.nodes["Y"]["role"] == "outcome"
    assert graph.nodes["Z"]["role"] == "adjusted"
    assert latents(graph) == {"U", "Y<->Z"}
    assert roots_of_selection(graph) == {"S"}
    assert "lone" in graph
    assert "bb" not in graph


def test_dot():
    graph = parse_graph(
        """strict digraph G {  // a comment
        rankdir=LR; node [shape=box]; edge [color="red"];
        a -> {b c} -> d [weight=2];
        subgraph cluster_0 { label="x"; e; f -> e }
        U [observed="no", label=<<b>U</b>>]; L [latent=true];
        U -> a; U:n -> d; L -> {a, b}
        b -> f [dir=both]; g -> c [dir=back];
        }"""
    )
    assert latents(graph) == {"U", "L", "b<->f"}
    assert ("c", "g") in graph.edges
    assert ("b", "f") not in graph.edges
    assert {("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("f", "e"), ("U", "d")} <= _edges(graph)
    assert not {"rankdir", "node", "label", "subgraph", "n"} & set(graph)


def test_formulas():
    graph = parse_graph("Y ~ X + 0.5*Z + 1\nX ~ Z; X ~~ Y; Y ~~ Y")
    assert _edges(graph) - {("X<->Y", "X"), ("X<->Y", "Y")} == {("X", "Y"), ("Z", "Y"), ("Z", "X")}
    assert "X<->Y" in graph


def test_edge_lists_and_networkx():
    graph = parse_graph([("X", "Y"), ("Y", "Z", "<-"), ("X", "Z", "<->"), "lone"])
    assert to_text(graph) == "lone\nX -> Y\nZ -> Y\nX <-> Z"
    numbered = parse_graph(nx.DiGraph([(1, 2)]))
    assert _edges(numbered) == {("1", "2")}
    assert as_graph(numbered) is numbered
    assert _edges(as_graph(nx.MultiDiGraph([("a", "b"), ("a", "b")]))) == {("a", "b")}


def _named(graph, rng):
    """Give nodes names that are no identifiers, roles and latent nodes of their own."""
    odd = ["blood pressure", 'say "no"', "x[0]", "a->b", "größe", "n;1", "back\\slash"]
    names = dict(zip([f"V{i}" for i in range(7)], odd, strict=True))
    copy = nx.DiGraph(nx.relabel_nodes(graph, {k: v for k, v in names.items() if k in graph}))
    for node in [n for n in copy if "<->" in n]:
        a, b = sorted(copy.successors(node))
        copy = nx.relabel_nodes(copy, {node: f"{a}<->{b}"})
    node = rng.choice([n for n in copy if "<->" not in n])
    copy.nodes[node][rng.choice(["latent", "selection"])] = True
    return as_graph(copy)


@pytest.mark.parametrize("write", [to_text, to_dagitty, to_dot, to_gml])
def test_round_trips(write):
    rng = random.Random(1)
    for trial in range(60):
        graph = random_graph(rng, rng.randint(1, 7), 0.3, 0.2)
        graph = _named(graph, rng) if trial % 2 else graph
        back = parse_graph(write(graph))
        assert _edges(back) == _edges(graph)
        assert set(back) == set(graph)
        assert latents(back) == latents(graph)
        assert roots_of_selection(back) == roots_of_selection(graph)


def test_round_trips_of_edges_and_formulas():
    rng = random.Random(2)
    for _ in range(40):
        graph = random_graph(rng, 6, 0.5, 0.2)
        assert _edges(parse_graph(to_edges(graph))) == _edges(graph)
        if all(graph.degree(n) for n in graph):
            assert _edges(parse_graph(to_formulas(graph))) == _edges(graph)


@pytest.mark.parametrize("text", ["lone; X -> Y", "U [latent]; U -> {X, Y}"])
def test_formulas_cannot_say_all(text):
    with pytest.raises(GraphError, match="formulas cannot"):
        to_formulas(text)


def test_drawings_mark_latent_treatment_and_outcome():
    graph = 'U [latent]; U -> {X, Y}; X -> Y; X <-> Y; "odd <name>" -> X; S [selection] <- Y'
    dot = to_dot(graph, treatment="X", outcome="Y")
    assert '"U" [latent=true, style=dashed];' in dot
    assert '"X" [role=treatment' in dot
    assert "dir=both" in dot
    mermaid = to_mermaid(graph, treatment="X", outcome="Y", direction="LR")
    assert mermaid.startswith("flowchart LR")
    assert "odd &lt;name&gt;" in mermaid
    assert mermaid.count("<-.->") == 1
    assert mermaid.count("style") == 4
    again = parse_graph(dot)
    assert again.nodes["X"]["role"] == "treatment"
    assert parse_graph(to_dagitty(graph, treatment="X")).nodes["X"]["role"] == "treatment"


def test_errors_of_exports():
    with pytest.raises(UnknownVariableError, match="Did you mean 'dilution'"):
        to_dot("dilution -> coating", treatment="dilutoin")
    with pytest.raises(GraphError, match="not a direction"):
        to_mermaid("X -> Y", direction="up")


@pytest.mark.parametrize(
    "given", [{"x": ["y"], "y": []}, pd.DataFrame([[0, 1], [0, 0]], ["x", "y"], ["x", "y"])]
)
def test_what_does_not_say_which_is_the_cause_is_refused(given):
    """Their names alone were read: "x has no effect on y, for no directed path joins them"."""
    with pytest.raises(GraphError, match=r"which of two names is the cause.*pairs"):
        as_graph(given)


@pytest.mark.parametrize("statements", [["t -> y", "z -> t"], ("y ~ t",), ["t <- y", ("z", "t")]])
def test_statements_in_a_list_are_no_nodes(statements):
    with pytest.raises(GraphError, match=r"stands alone in a list.*Join the statements"):
        parse_graph(statements)
