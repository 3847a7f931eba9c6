"""Effects on units known by their treatment or by what followed: formula and number, enumerated.

The kind of fault: the treatment's own value and the value that is set stand under one name. Natural
effects whose effect is all mediated took the formula of everybody for units known by their
treatment; natural and path-specific effects given a consequence of the treatment summed the value
that is set with the treatment's own; `plug_in` gave the treatment's own value the level of each arm
(for "ATE, given X", the association).

Siblings that were looked at: ATE, CDE, NDE, NIE and path-specific effects, given causes of the
treatment, consequences of it, the treatment itself, and both; with latent variables.

The truth is enumerated: each variable has four equally open ways of responding to its parents (two
of them constant, so that every combination occurs), and all worlds are computed for every
combination of these ways. Tolerance: rounding, as in test_identification_numeric.
"""

from __future__ import annotations

import itertools
import random

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from graph_scm import random_graph

import bayescausal as bc
from bayescausal.effects.without_model.plug_in import plug_in
from bayescausal.graph import identify_effect, observables
from bayescausal.graph.identification.effect_query import QUERIES, EffectQuery
from bayescausal.graph.identification.path_specific import identify_along
from bayescausal.types import EstimandError

TOLERANCE = 1e-9
WAYS = 4


class Responses:
    """A binary model given by each variable's ways of responding, all worlds enumerated."""

    def __init__(self, graph: nx.DiGraph, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.graph, self.chance, self.way, self.table = graph, np.ones(()), {}, {}
        self.nodes = list(nx.lexicographical_topological_sort(graph))
        self.observed = sorted(observables(graph))
        sizes = [WAYS if graph.in_degree(n) else 2 for n in self.nodes]
        self.way = dict(zip(self.nodes, np.indices(sizes), strict=True))
        for node, size in zip(self.nodes, sizes, strict=True):
            self.chance = self.chance * rng.dirichlet(np.full(size, 3.0))[self.way[node]]
            table = rng.integers(0, 2, size=(2,) * graph.in_degree(node) + (size,))
            table[..., 0], table[..., 1] = 0, 1
            self.table[node] = table

    def world(self, do=None, along=None):
        """Return all values where `do` is set, and some edges out of the treatment carry others."""
        values, along = {}, along or {}
        for node in self.nodes:
            if node in (do or {}):
                values[node] = np.broadcast_to(do[node], self.chance.shape)
                continue
            parents = [
                np.broadcast_to(along.get((p, node), values[p]), self.chance.shape)
                for p in self.graph.predecessors(node)
            ]
            values[node] = self.table[node][(*parents, self.way[node])]
        return values

    def mean(self, values, among):
        """Return the mean of a variable among those whose natural course is so."""
        natural = self.world()
        inside = np.ones(self.chance.shape, dtype=bool)
        for name, value in among.items():
            inside &= natural[name] == value
        weight = self.chance * inside
        return float((weight * values).sum() / weight.sum())

    def shares(self):
        """Return the observed distribution as a table."""
        natural = self.world()
        table = pd.DataFrame({n: natural[n].ravel() for n in self.observed})
        return table.assign(p=self.chance.ravel()).groupby(self.observed, as_index=False).sum()


def _difference(model, kind, x, y, mediators, among):
    """The contrast that plug_in answers, from worlds; levels 1 and 0, mediators held at 1."""
    if kind in ("NDE", "NIE"):
        treated, control = model.world({x: 1}), model.world({x: 0})
        one, other = (1, control) if kind == "NDE" else (0, treated)
        crossed = model.world({x: one, **{m: other[m] for m in mediators}})
        return model.mean(crossed[y], among) - model.mean(control[y], among)
    held = dict.fromkeys(mediators, 1)
    worlds = [model.world({x: level, **held}) for level in (1, 0)]
    return model.mean(worlds[0][y], among) - model.mean(worlds[1][y], among)


def _levels(names, x):
    """Return the levels of all that is set: mediators stay at 1."""
    return [{n: level if n == x else 1 for n in names} for level in (1, 0)]


@pytest.mark.parametrize("kind", ["ATE", "CDE", "NDE", "NIE"])
def test_the_number_is_the_enumerated_one(kind):
    rng = random.Random(8)
    right = crossed = 0
    while right < 60:
        graph = random_graph(rng, rng.randint(3, 5), 0.5, rng.choice([0.0, 0.15]))
        if len(graph) > 6:
            continue
        x, y, z, *rest = rng.sample(sorted(observables(graph)), len(observables(graph)))
        among = rng.choice([{x: 1}, {x: 0}, {z: 1}, {x: 1, z: 0}])
        mediators = []
        if kind != "ATE":
            between = nx.descendants(graph, x) & nx.ancestors(graph, y) if kind != "CDE" else rest
            mediators = [m for m in sorted(between) if m in rest][:2]
            if not mediators:
                continue
        options = {"mediators": mediators} if mediators else {}
        try:
            verdict = identify_effect(graph, kind, x, y, given=list(among), **options)
        except EstimandError:
            continue
        if not verdict:
            continue
        model = Responses(graph, rng.randrange(10**9))
        treated, control = _levels(verdict.question.treatment, x)
        found = plug_in(
            verdict,
            model.shares(),
            count="p",
            empirical=True,
            given=among,
            treated=treated,
            control=control,
        )
        truth = _difference(model, kind, x, y, mediators, among)
        assert abs(float(found) - truth) < TOLERANCE, (sorted(graph.edges), x, y, str(verdict))
        right += 1
        crossed += verdict.question.crossed and verdict.method != "no causal path"
    assert crossed > 10


def test_path_specific_formulas_keep_the_treatments_own_value_apart():
    """Given a consequence of X, its own value is X; X' goes the chosen way and X'' the others."""
    graph = nx.DiGraph([("X", "M"), ("M", "Y"), ("X", "Y"), ("X", "W"), ("W", "V")])
    asked = EffectQuery("PSE", ("X",), "Y", given=("V",), along=frozenset({"M"}))
    verdict = identify_along(graph, asked)
    assert verdict.method == "cross-world"
    model = Responses(verdict.question.graph, 5)
    joint = np.zeros((2,) * len(model.observed))
    shares = model.shares()
    joint[tuple(shares[n].to_numpy() for n in model.observed)] = shares["p"]
    axes = ["X'", "X''", "V", "Y"]
    table = verdict.estimand.evaluate(joint, model.observed, axes)
    for chosen, other, v in itertools.product((0, 1), repeat=3):
        along = {("X", "M"): chosen, ("X", "Y"): other}
        truth = model.mean(model.world(along=along)["Y"], {"V": v})
        assert table[chosen, other, v, 1] == pytest.approx(truth, abs=TOLERANCE)


def test_all_mediated_among_the_treated_is_the_question_of_the_treated():
    """X -> M -> Y, X <-> Y: P(m | x'') with P(y | x, m) for the own x, no front door of all."""
    verdict = identify_effect("X -> M -> Y; X <-> Y", "NIE", "X", "Y", given="X")
    assert verdict.query == "P(Y_{X', M_{X''}} | X)"
    assert verdict.estimand.free == {"X", "X''", "Y"}


def test_the_treatments_own_level_is_asked_for():
    """E[Y_1 | X=1] = 1, E[Y_0 | X=1] = P(Z=1 | X=1) = 3/4; the observed difference is 3/4."""
    verdict = identify_effect("Z -> X -> Y; Z -> Y", "ATE", "X", "Y", given="X")
    data = {"X": [0, 0, 0, 1, 0, 1, 1, 1], "Y": [0, 0, 0, 1, 1, 1, 1, 1], "Z": [0] * 4 + [1] * 4}
    with pytest.raises(EstimandError, match="a value for each of X"):
        plug_in(verdict, data, empirical=True)
    assert float(plug_in(verdict, data, empirical=True, given={"X": 1})) == pytest.approx(0.25)


KINDS = {
    "CDE": {"mediators": {"M": 0}},
    "CATE": {"given": {"Z": 1}},
    "QTE": {"q": 0.5},
    "DoseResponse": {"values": [0, 1]},
}


@pytest.mark.parametrize("kind", sorted(QUERIES))
def test_the_query_of_a_name_is_that_of_the_question(kind):
    """What a name stands for is written beside the questions, which the graph does not know."""
    made = {
        "Expected": lambda: bc.Expected("Y", {"X": 1}),
        "Contrast": lambda: bc.Contrast("Y", {"X": 1}, {"X": 0}),
    }.get(kind, lambda: getattr(bc, kind)("X", "Y", **KINDS.get(kind, {})))
    own, named = made().query(bc.parse_graph("X -> M -> Y; Z -> X; Z -> Y")), QUERIES[kind]
    flags = ("seen", "controlled", "mediated", "own_treatment", "own_outcome", "joint", "along")
    assert {f: getattr(own, f) for f in flags} == {f: getattr(named, f) for f in flags}


def test_adjustment_and_instruments_are_those_of_any_effect_of_what_is_set():
    """Also of a question that has no name in the graph's table; not of parts of an effect."""
    graph = "I -> X -> M -> Y; U -> X; U -> Y; Z -> X; Z -> Y; U[latent]"
    ate, ato = (kind("X", "Y").identify(graph) for kind in (bc.ATE, bc.ATO))
    assert [str(i) for i in ate.instruments] == [str(i) for i in ato.instruments] != []
    for part in (bc.PSE("X", "Y", paths="X -> M -> Y"), bc.NDE("X", "Y"), bc.ITE("X", "Y")):
        found = part.identify(graph)
        assert found.adjustable is False
    assert bc.identify(graph, "X", "Y").adjustable
