"""Each estimand's own query, and questions that span worlds."""

from __future__ import annotations

import random

import networkx as nx
import numpy as np
import pytest
from graph_scm import BinaryModel, random_graph

from bayescausal.graph import KINDS, identify_effect, observables
from bayescausal.graph.identification.crossworld import CrossWorldError, World, identify_worlds
from bayescausal.graph.structure.mixed_graph import project
from bayescausal.types import EstimandError, UnknownVariableError

TOLERANCE = 1e-9  # as in test_identification_numeric


def _truth(model: BinaryModel, worlds, kept: list[str]) -> tuple[np.ndarray, list[str]]:
    """The joint counterfactual, by multiplying mechanisms: each read with its world's values.

    A variable that no world needs in two versions has one mechanism, so the product of the
    conditional tables (latent roots included) with the axes renamed is the joint probability.
    """
    graph, names = model.graph, model.nodes
    labels = [v for _, fixed in worlds for v in fixed.values() if v not in names]
    axes = {name: i for i, name in enumerate([*names, *dict.fromkeys(labels)])}
    reads: dict[str, dict[str, str]] = {}
    for asked, fixed in worlds:
        cut = nx.DiGraph([(a, b) for a, b in graph.edges if b not in fixed])
        cut.add_nodes_from(graph)
        for node in set().union(*(nx.ancestors(cut, a) | {a} for a in asked)) - set(fixed):
            read = {p: fixed.get(p, p) for p in graph.predecessors(node)}
            assert reads.setdefault(node, read) == read
    full = np.ones((2,) * len(axes))
    for node, read in reads.items():
        table = model.tables[node].squeeze()
        own = sorted([node, *read], key=model.axis.__getitem__)
        places = [axes[read.get(n, n)] for n in own]
        order = np.argsort(places)
        shape = [2 if i in places else 1 for i in range(len(axes))]
        full = full * table.transpose(order).reshape(shape)
    summed = tuple(axes[n] for n in reads if n not in kept)
    out = full.sum(axis=summed, keepdims=True)
    idle = [n for n in axes if n not in kept and n not in reads]
    for name in idle:  # nothing depends on it
        out = out.take([0], axis=axes[name])
    left = [n for n in axes if n in kept]
    return out.reshape([out.shape[axes[n]] for n in left]), left


def _aligned(value: np.ndarray, names: list[str], union: list[str]) -> np.ndarray:
    value = value.transpose([names.index(n) for n in union if n in names])
    sizes = iter(value.shape)
    return value.reshape([next(sizes) if n in names else 1 for n in union])


@pytest.mark.parametrize("kind", ["treated", "mediated", "given a consequence"])
def test_cross_world_formulas_equal_the_truth(kind):
    rng = random.Random(30)
    right = refused = 0
    while right + refused < 250:
        graph = random_graph(rng, rng.randint(3, 6), rng.choice([0.3, 0.5]), rng.choice([0.1, 0.3]))
        if len(graph) > 12:
            continue
        observed = sorted(observables(graph))
        x, y, m = rng.sample(observed, 3)
        other = x + "'"
        worlds = {
            "treated": [([y], {x: other}), ([x], {})],
            "mediated": [([y], {x: x, m: m}), ([m], {x: other})],
            "given a consequence": [([y], {x: other}), ([m], {})],
        }[kind]
        admg = project(graph, observed)
        asked = [
            World(admg.mask(names), {admg.index[k]: v for k, v in fixed.items()})
            for names, fixed in worlds
        ]
        try:
            formula = identify_worlds(admg, asked)
        except CrossWorldError:
            refused += 1
            continue
        model = BinaryModel(graph, rng.randrange(10**9))
        value = formula.evaluate(model.joint(), model.observed)
        names = [n for n in model.observed if n in formula.free]
        names += [n for n in (other,) if n in formula.free]
        kept = [n for group, fixed in worlds for n in (*group, *fixed.values())]
        truth, own = _truth(model, worlds, kept)
        union = sorted({*names, *own})
        difference = _aligned(value, names, union) - _aligned(truth, own, union)
        assert abs(difference).max() < TOLERANCE, (sorted(graph.edges), worlds, str(formula))
        right += 1
    assert right > 100
    assert refused > 15


@pytest.mark.parametrize(
    ("graph", "kind", "options", "identified"),
    [
        ("X -> M -> Y; X -> Y", "NDE", {}, True),
        ("X -> M -> Y; X -> Y", "NIE", {}, True),
        ("X -> M -> Y; X -> Y; Z -> M; Z -> Y", "NDE", {"mediators": "M"}, True),
        ("X -> M -> Y; X -> Y; M <-> Y", "NDE", {}, False),
        ("X -> M -> Y; X -> Y; M <-> Y", "ATE", {}, True),
        # the recanting witness: W carries the effect to the mediator and past it
        ("X -> W -> M -> Y; W -> Y; X -> Y", "NDE", {"mediators": "M"}, False),
        ("X -> W -> M -> Y; W -> Y; X -> Y", "NIE", {"mediators": "M"}, False),
        ("X -> W -> M -> Y; W -> Y; X -> Y", "NDE", {"mediators": ["M", "W"]}, True),
        # all of the effect goes through M, whatever else is confounded
        ("X -> M -> Y; M <-> Y", "NIE", {}, True),
        ("X -> L -> Y; X -> Y; L [latent]", "NDE", {}, False),
        ("X -> L -> Y; L [latent]", "NIE", {}, True),
        ("X -> M -> Y; X -> Y; Z -> X; Z -> Y", "NDE", {"given": "Z"}, True),
        ("X -> M -> Y; X -> Y; M <-> Y", "CDE", {"mediators": "M"}, False),
        ("X -> M -> Y; X -> Y; Z -> M; Z -> Y", "CDE", {"mediators": "M"}, True),
        ("Z -> X -> Y; Z -> Y", "ATT", {}, True),
        ("Z -> X -> Y; Z -> Y", "ATU", {}, True),
        ("X -> M -> Y; X <-> Y", "ATT", {}, True),
        ("X -> Y; X <-> Y", "ATT", {}, False),
        # the average effect is identified, that on the treated is not: X and its child share causes
        ("X -> W -> Y; Z -> X; Z -> W; Z <-> X; W <-> Y", "ATE", {}, True),
        ("Z -> X -> Y; Z -> Y", "CATE", {"given": "Z"}, True),
        ("X -> Y; X -> C", "CATE", {"given": "C"}, True),
        ("X -> C -> Y; X -> Y", "CATE", {"given": "C"}, False),
        ("X -> Y; X -> C <- Y", "CATE", {"given": "C"}, False),
        ("X -> Y", "Association", {}, True),
        ("X -> Y; X <-> Y", "Association", {}, True),
        ("X -> Y", "ITE", {}, False),
        ("X -> Y", "PN", {}, False),
        ("X -> Y", "PNS", {"coupling": "monotone"}, False),
        ("Y -> X", "ITE", {}, True),
        ("Z -> X -> Y; Z -> Y", "ATE", {"natural_value": True}, True),
        ("X -> Y; X <-> Y", "ATE", {"natural_value": True}, False),
    ],
)
def test_known_verdicts(graph, kind, options, identified):
    verdict = identify_effect(graph, kind, "X", "Y", **options)
    assert bool(verdict) is identified, verdict
    assert verdict.kind == kind
    assert (verdict.status == "identified") is identified
    assert verdict.sentence().endswith(".")


def test_an_average_effect_may_be_identified_where_that_on_the_treated_is_not():
    napkin = "W -> Z -> X -> Y; W <-> X; W <-> Y"
    assert identify_effect(napkin, "ATE", "X", "Y")
    refused = identify_effect(napkin, "ATT", "X", "Y")
    assert refused.status == "not identified"
    assert refused.query == "P(Y_{X'} | X)"


def test_treated_by_adjustment_uses_what_comes_before():
    verdict = identify_effect("Z -> X -> Y; Z -> Y", "ATT", "X", "Y")
    assert verdict.method == "back door"
    assert str(verdict.estimand) == "Σ_Z P(Y | Z, X') P(Z | X)"
    assert verdict.adjustment_sets == [{"Z"}]


def test_coupling_is_a_further_assumption():
    alone = identify_effect("X -> Y", "PNS", "X", "Y")
    assert alone.status == "not identified"
    assert "bounds" in alone.reason
    with_it = identify_effect("X -> Y", "PNS", "X", "Y", coupling="monotone")
    assert with_it.status == "under assumption"
    assert "monotone" in with_it.assumptions[0]
    worse = identify_effect("X -> Y; X <-> Y", "PN", "X", "Y", coupling="monotone")
    assert worse.status == "not identified"


def test_recanting_witness_is_named():
    graph = "X -> W -> M -> Y; W -> Y; X -> Y"
    verdict = identify_effect(graph, "NDE", "X", "Y", mediators="M")
    assert "W is needed in two versions" in verdict.sentence()


def test_an_instrument_for_the_total_effect_does_not_serve_other_questions():
    graph = "Z -> X -> M -> Y; X -> Y; X <-> Y; X <-> M"
    assert identify_effect(graph, "ATE", "X", "Y").status == "under assumption"
    for kind in ("NDE", "NIE", "ITE", "PN", "ATT"):
        verdict = identify_effect(graph, kind, "X", "Y", coupling="monotone")
        assert verdict.status == "not identified"
        assert verdict.method == "none"


def test_every_kind_gives_a_verdict():
    graph = "Z -> X -> M -> Y; Z -> Y; X -> Y; Z -> M"
    for kind in KINDS:
        mediators = "M" if kind in ("CDE", "NDE", "NIE") else None
        assert identify_effect(graph, kind, "X", "Y", mediators=mediators).kind == kind


@pytest.mark.parametrize(
    ("kind", "options", "error", "message"),
    [
        ("ATTT", {}, EstimandError, "Did you mean 'ATT'"),
        ("CDE", {}, EstimandError, "none is named"),
        ("NDE", {"mediators": "Z"}, EstimandError, "not a mediator"),
        ("NDE", {"mediators": "Q"}, UnknownVariableError, "'Q' is not a variable"),
    ],
)
def test_errors(kind, options, error, message):
    with pytest.raises(error, match=message):
        identify_effect("Z -> X -> Y; X -> M -> Y", kind, "X", "Y", **options)


def test_mediation_without_a_mediator_is_refused():
    with pytest.raises(EstimandError, match="No directed path"):
        identify_effect("X -> Y", "NDE", "X", "Y")


def test_selection_leaves_questions_across_worlds_undecided():
    graph = "X -> M -> Y; S [selection]; W -> S; X -> Y"
    assert identify_effect(graph, "ATE", "X", "Y")
    assert identify_effect(graph, "NDE", "X", "Y").status == "undecided"
    assert identify_effect(graph, "ATT", "X", "Y").status == "undecided"
