"""Paths, relatives, roles, independences, comparison."""

from __future__ import annotations

import itertools
import random

import networkx as nx
import pytest
from graph_scm import random_graph

from bayescausal.graph import (
    ancestors,
    children,
    compare_graphs,
    descendants,
    identify,
    implied_independences,
    is_adjustment_set,
    observables,
    parents,
    paths,
    roles,
    separated,
)
from bayescausal.graph.structure.mixed_graph import project
from bayescausal.graph.structure.separators import LazySets, minimal_separators
from bayescausal.types import EstimandError, GraphError, UnknownVariableError

# --------------------------------------------------------------------------- separation


def test_separation_equals_that_of_networkx_and_of_open_paths():
    """Three routes to one answer: the walk, networkx on the DAG, and the paths listed."""
    rng = random.Random(40)
    for _ in range(150):
        graph = random_graph(rng, 5, 0.4, 0.25)
        names = sorted(observables(graph))
        x, y, *rest = rng.sample(names, len(names))
        given = set(rng.sample(rest, rng.randint(0, len(rest))))
        answer = separated(graph, x, y, given)
        assert answer == nx.is_d_separator(graph, {x}, {y}, given)
        assert answer == (not any(p.open for p in paths(graph, x, y, given=given)))
        admg = project(graph, names)
        assert answer == admg.separated(admg.mask([x]), admg.mask([y]), admg.mask(given))


def test_minimal_separators_equal_brute_force():
    rng = random.Random(41)
    for _ in range(200):
        graph = random_graph(rng, rng.randint(3, 6), 0.4, 0.25)
        admg = project(graph, observables(graph))
        n = len(admg.names)
        a, b = rng.sample(range(n), 2)
        rest = [i for i in range(n) if i not in (a, b)]
        allowed = sum(1 << i for i in rest if rng.random() < 0.8)
        inside = [i for i in rest if allowed >> i & 1]
        required = 1 << rng.choice(inside) if inside and rng.random() < 0.4 else 0
        valid = [
            z
            for size in range(len(inside) + 1)
            for z in (sum(1 << i for i in c) for c in itertools.combinations(inside, size))
            if not required & ~z and admg.separated(1 << a, 1 << b, z)
        ]
        minimal = [z for z in valid if not any(w != z and not w & ~z for w in valid)]
        found = list(minimal_separators(admg, 1 << a, 1 << b, allowed=allowed, required=required))
        assert sorted(found) == sorted(minimal)
        assert len(set(found)) == len(found)


def test_lazy_sets_read_no_more_than_they_must():
    read = []

    def numbers():
        for i in range(1000, 0, -1):
            read.append(i)
            yield i

    sets = LazySets(numbers, key=lambda i: i, ahead=10)
    assert bool(sets)
    assert sets[0] == 991  # the smallest of the ten that were computed at once
    assert len(read) == 10
    assert sets[10] == 990
    assert len(read) == 11
    assert "..." in repr(sets)
    assert sets[:2] == [991, 992]
    assert len(sets) == 1000
    assert sets[-1] == 1
    assert LazySets(list, key=len) == []
    assert not LazySets(list, key=len)


def test_implied_independences_hold_and_are_minimal():
    rng = random.Random(42)
    for _ in range(60):
        graph = random_graph(rng, 6, 0.3, 0.15)
        claims = implied_independences(graph)
        for claim in claims:
            assert separated(graph, claim.left, claim.right, claim.given)
            for size in range(len(claim.given)):
                for fewer in itertools.combinations(claim.given, size):
                    assert not separated(graph, claim.left, claim.right, fewer)
        few = [implied_independences(graph, limit=k) for k in (1, 2, 1000)]
        assert [len(f) for f in few] == [min(k, len(claims)) for k in (1, 2, 1000)]
        assert few[2] == claims
        assert all(claim in claims for claim in few[1])
        assert [c.left for c in few[1]] == [c.left for c in claims[:2]]
        shorter = implied_independences(graph, one_per_pair=True)
        assert [(c.left, c.right) for c in shorter] == sorted({(c.left, c.right) for c in claims})


@pytest.mark.parametrize("limit", [0, -1, True])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(EstimandError, match=f"limit={limit}.*at least 1"):
        implied_independences("A -> B -> C", limit=limit)


def test_implied_independences_are_of_measured_variables_only():
    graph = "U [latent]; U -> {X, Y}; Z -> X"
    claims = [str(c) for c in implied_independences(graph)]
    assert claims == ["Y ⊥ Z"]
    assert implied_independences(graph, observed=["X", "Y"]) == []
    selected = implied_independences("A -> S <- B; S [selection]; C")
    assert [str(c) for c in selected] == ["A ⊥ C", "B ⊥ C"]  # A and B are joined by selection


# --------------------------------------------------------------------------- facts


def test_relatives():
    graph = "A -> B -> C; B <-> C; D -> C"
    assert parents(graph, "C") == {"B", "D"}
    assert children(graph, "B") == {"C"}
    assert ancestors(graph, "C") == {"A", "B", "D"}
    assert descendants(graph, ["A", "D"]) == {"B", "C"}


def test_paths_their_kinds_and_reasons():
    graph = "Z -> X -> Y; Z -> Y; X -> C <- Y; C -> D; X <-> Y"
    found = {str(p): p for p in paths(graph, "X", "Y")}
    assert list(found) == ["X -> Y", "X <-> Y", "X <- Z -> Y", "X -> C <- Y"]
    assert [p.kind for p in found.values()] == ["causal", "back door", "back door", "non-causal"]
    assert [p.open for p in found.values()] == [True, True, True, False]
    assert found["X -> C <- Y"].blocked_by == ("C",)
    after = {str(p): p for p in paths(graph, "X", "Y", given=["Z", "D"])}
    assert after["X <- Z -> Y"].blocked_by == ("Z",)
    assert after["X -> C <- Y"].open  # through the descendant of the collider
    assert after["X -> C <- Y"].opened_by == ("C",)
    assert "opened by conditioning on C" in after["X -> C <- Y"].sentence()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: paths("X -> Y", "X", "X"), EstimandError, "the same"),
        (lambda: paths("X -> Z -> Y", "X", "Y", given="Y"), EstimandError, "conditioned on"),
        (lambda: paths("A -> B -> C; A -> C", "A", "C", limit=1), GraphError, "more than 1 paths"),
        (lambda: separated("X -> Y -> Z", "X", "Y", "X"), EstimandError, "named twice"),
        (lambda: parents("dilution -> coating", "dilutoin"), UnknownVariableError, "Did you mean"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --------------------------------------------------------------------------- roles


@pytest.mark.parametrize(
    ("graph", "variable", "role", "adjust"),
    [
        ("Z -> X -> Y; Z -> Y", "Z", "confounder", "yes"),
        ("Z -> A -> X -> Y; Z -> Y", "Z", "confounder", "may"),
        ("Z -> A -> X -> Y; Z -> Y", "A", "conditional instrument", "may"),
        ("X -> M -> Y", "M", "mediator", "no"),
        ("X -> M -> Y; M -> D", "D", "descendant of a mediator", "no"),
        ("X -> C <- Y; X -> Y", "C", "collider", "no"),
        ("X -> C <- Y; X -> Y; C -> D", "D", "descendant of the outcome", "no"),
        ("A -> X; A -> M <- B; B -> Y; X -> Y", "M", "collider", "no"),
        ("A -> X; A -> M <- B; B -> Y; X -> Y; M -> D", "D", "descendant of a collider", "no"),
        (
            "A -> X; A -> M <- B; B -> Y; X -> Y; M -> D; Q -> D",
            "D",
            "descendant of a collider",
            "no",
        ),
        ("Z -> X -> Y; X <-> Y", "Z", "instrument", "no"),
        ("Z -> X -> Y", "Z", "instrument", "no"),
        ("X -> Y; P -> Y", "P", "precision variable", "may"),
        ("X -> Y; X -> D", "D", "descendant of the treatment", "may"),
        ("X -> Y; Q", "Q", "unrelated", "may"),
        ("U [latent]; U -> {X, Y}; X -> Y", "U", "confounder", "cannot"),
        ("X -> Y", "X", "treatment", "no"),
        ("X -> Y", "Y", "outcome", "no"),
    ],
)
def test_roles(graph, variable, role, adjust):
    found = roles(graph, "X", "Y")[variable]
    assert role in found.roles
    assert found.adjust == adjust
    assert found.sentence.startswith(f"{variable} is ")
    assert str(found).endswith(".")


def test_advice_never_contradicts_the_criterion():
    """ "no" and "yes" are right: alone or beside the first minimal set."""
    rng = random.Random(43)
    for _ in range(150):
        graph = random_graph(rng, 6, 0.35, 0.15)
        x, y = rng.sample(sorted(observables(graph)), 2)
        sets = list(identify(graph, x, y).adjustment_sets)
        for name, role in roles(graph, x, y).items():
            if name in (x, y):
                continue
            if role.adjust == "yes":
                assert all(name in s for s in sets)
                assert sets
            if role.adjust == "may":
                assert any(is_adjustment_set(graph, x, y, s | {name}) for s in sets)
            if role.adjust == "no" and sets and "instrument" not in role.roles:
                assert not any(is_adjustment_set(graph, x, y, s | {name}) for s in sets)


def test_roles_use_the_marks_of_the_graph():
    found = roles("X [treatment]; Y [outcome]; Z -> X -> Y; Z -> Y")
    assert found["X"].roles == ("treatment",)
    assert found["Z"].adjust == "yes"


# --------------------------------------------------------------------------- comparison


def test_same_graphs_compare_equal():
    same = compare_graphs("X -> Y; X <-> Y", "X <-> Y; X -> Y")
    assert same
    assert same.sentence() == "The graphs are the same."


def test_differences_are_named():
    found = compare_graphs(
        "Z -> X -> Y; A -> B; U [latent]; U -> Y", "X -> Z; X -> Y; X <-> Y; U -> Y"
    )
    assert not found
    assert found.reversed == (("Z", "X"),)
    assert found.only_left == (("A", "->", "B"),)
    assert found.only_right == (("X", "<->", "Y"),)
    assert found.nodes_left == ("A", "B")
    assert found.latent_left == ("U",)
    assert "reverses Z -> X" in str(found)


def test_equivalent_graphs_are_said_to_be_so():
    found = compare_graphs("A -> B -> C", "A <- B <- C")
    assert not found
    assert "cannot tell them apart" in found.sentence()
    collider = compare_graphs("A -> B -> C", "A -> B <- C")
    assert [str(c) for c in collider.claims_left] == ["A ⊥ C | B"]
    assert [str(c) for c in collider.claims_right] == ["A ⊥ C"]
