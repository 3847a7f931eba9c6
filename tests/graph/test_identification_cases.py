"""Published graphs with known answers, and a hundred random ones with answers found otherwise."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bayescausal.graph import (
    adjustment_sets,
    build_graph,
    frontdoor_sets,
    identify,
    implied_independences,
    instruments,
    is_adjustment_set,
    optimal_adjustment_set,
)
from bayescausal.graph.identification.idc import Hedge, check_hedge
from bayescausal.graph.structure.mixed_graph import project

FILE = Path(__file__).parent / "data" / "identification_cases.yaml"
LOADED = yaml.load(FILE.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
CASES = LOADED["cases"] + LOADED["random_cases"]


def _sets(sets):
    return sorted(sorted(s) for s in sets)


def _graph(case):
    return build_graph(case["nodes"], map(tuple, case["directed"]), map(tuple, case["bidirected"]))


def _with(key):
    return [pytest.param(case, id=case["name"]) for case in CASES if key in case]


def test_all_cases_are_there():
    assert len(CASES) == 160


@pytest.mark.parametrize("case", _with("identifiable"))
def test_verdict_and_hedge(case):
    graph = _graph(case)
    given = case.get("conditioned_on")
    verdict = identify(graph, case["treatment"], case["outcome"], given=given)
    assert bool(verdict) == case["identifiable"]
    if verdict:
        assert verdict.estimand is not None
        assert verdict.hedge is None
        assert verdict.sentence().startswith("Identified")
    else:
        assert verdict.estimand is None
        assert check_hedge(project(graph, case["nodes"]), verdict.hedge)


@pytest.mark.parametrize("case", _with("hedge"))
def test_published_hedges_are_hedges_and_others_are_not(case):
    """A graph may have several hedges; the checker accepts the published one, and ours."""
    graph, x, y = _graph(case), frozenset(case["treatment"]), frozenset(case["outcome"])
    admg = project(graph, case["nodes"])
    outer, inner = frozenset(case["hedge"]["F"]), frozenset(case["hedge"]["F_prime"])
    sinks = frozenset(n for n in inner if not set(graph.successors(n)) & inner)
    published = Hedge(outer, inner, sinks, x, y)
    assert check_hedge(admg, published)
    assert not check_hedge(admg, replace(published, F=inner))  # does not meet the treatment
    assert not check_hedge(admg, replace(published, F_prime=outer))
    assert not check_hedge(admg, replace(published, outcome=x, treatment=y))
    without = build_graph(case["nodes"], map(tuple, case["directed"]))
    assert not check_hedge(project(without, case["nodes"]), published)  # no unmeasured causes


@pytest.mark.parametrize("case", _with("minimal_adjustment_sets"))
def test_minimal_adjustment_sets(case):
    graph, x, y = _graph(case), case["treatment"], case["outcome"]
    expected = _sets(case["minimal_adjustment_sets"])
    assert _sets(adjustment_sets(graph, x, y)) == expected
    assert _sets(identify(graph, x, y).adjustment_sets) == expected


#: Small enough to try every subset.
SMALL = [case for case in _with("n_valid_adjustment_sets") if len(case.values[0]["nodes"]) <= 10]


@pytest.mark.parametrize("case", SMALL)
def test_number_of_valid_adjustment_sets(case):
    rest = sorted(set(case["nodes"]) - set(case["treatment"]) - set(case["outcome"]))
    graph, x, y = _graph(case), case["treatment"], case["outcome"]
    valid = [
        set(names)
        for size in range(len(rest) + 1)
        for names in itertools.combinations(rest, size)
        if is_adjustment_set(graph, x, y, names)
    ]
    assert len(valid) == case["n_valid_adjustment_sets"]
    published = case.get("published", {})
    assert all(set(s) in valid for s in published.get("valid_sets", []))
    assert not any(set(s) in valid for s in published.get("biased_sets", []))


@pytest.mark.parametrize("case", _with("optimal_adjustment_set"))
def test_optimal_adjustment_set(case):
    best = optimal_adjustment_set(_graph(case), case["treatment"], case["outcome"])
    expected = case["optimal_adjustment_set"]
    assert best == (None if expected is None else set(expected))


@pytest.mark.parametrize("case", _with("frontdoor_sets"))
def test_frontdoor_sets(case):
    found = frontdoor_sets(_graph(case), case["treatment"], case["outcome"])
    assert _sets(found) == _sets(case["frontdoor_sets"])


@pytest.mark.parametrize("case", _with("instruments"))
def test_instruments(case):
    found = instruments(_graph(case), case["treatment"], case["outcome"])
    expected = {i["z"]: _sets(i["given_any_of"]) for i in case["instruments"]}
    assert {i.variable: _sets(i.given_any_of) for i in found} == expected


@pytest.mark.parametrize("case", _with("implied_independencies"))
def test_implied_independences(case):
    found = [(c.left, c.right, list(c.given)) for c in implied_independences(_graph(case))]
    expected = [(*sorted(c[:2]), sorted(c[2])) for c in case["implied_independencies"]]
    assert sorted(found) == sorted(expected)
