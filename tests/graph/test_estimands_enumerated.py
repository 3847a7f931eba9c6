"""Formulas of questions across worlds, as `identify_effect` prints them, against enumeration.

The kind of fault: the level of the treatment that a variable reads (its own, x, or the mediators',
x') is lost on the way from the question to the formula. Where all of the effect was mediated the
natural effects took the formula of the total effect with x in it, not x', so the direct effect got
the indirect one's number and the other way round.

Siblings that were looked at, all right: ATT, ATU, effects given a consequence of the treatment,
subsets of the mediators, subgroups, and no directed path at all.

The truth is enumerated without any formula: both worlds are run side by side on every value of the
hidden variables; a variable with the same parents in both worlds has the same value in both, and
otherwise the two are drawn independently, which is one joint among those that the graph allows.
Tolerance: rounding, as in test_identification_numeric.
"""

from __future__ import annotations

import itertools
import random

import numpy as np
import pandas as pd
import pytest
from graph_scm import BinaryModel, random_graph

from bayescausal.effects.without_model.plug_in import plug_in
from bayescausal.graph import identify_effect, observables
from bayescausal.types import EstimandError

TOLERANCE = 1e-9


def _side_by_side(model: BinaryModel, one: dict, other: dict):
    """Yield ``(values in one world, values in the other, probability)``.

    Levels are numbers, or ``"other"``: the value that the node has in the other world. The second
    world is run first.
    """

    def chance(node, parents):
        table = model.tables[node]
        at = tuple(
            slice(None) if n == node else parents.get(n, 0) if size > 1 else 0
            for n, size in zip(model.nodes, table.shape, strict=True)
        )
        return table[at]

    states = [({}, {}, 1.0)]
    for node in model.nodes:
        parents = list(model.graph.predecessors(node))
        following = []
        for a, b, p in states:
            free = chance(node, b)
            seconds = [(other[node], 1.0)] if node in other else list(enumerate(free))
            for second, q in seconds:
                if node in one:
                    firsts = [(second if one[node] == "other" else one[node], 1.0)]
                elif node not in other and all(a[n] == b[n] for n in parents):
                    firsts = [(second, 1.0)]
                else:
                    firsts = list(enumerate(chance(node, a)))
                for first, r in firsts:
                    state = {**a, node: int(first)}, {**b, node: int(second)}, p * q * r
                    following.append(state)
        states = following
    return states


def _mean(model, y, one, other, given=()):
    """E of y in one world, among units whose other world is as `given`."""
    found = [
        (p, p * a[y])
        for a, b, p in _side_by_side(model, one, other)
        if all(b[n] == v for n, v in dict(given).items())
    ]
    return sum(f for _, f in found) / sum(p for p, _ in found)


def _truth(model, kind, x, y, mediators, z):
    held = dict.fromkeys(mediators, "other")
    if kind == "NDE":
        return _mean(model, y, {x: 1, **held}, {x: 0}) - _mean(model, y, {x: 0}, {x: 0})
    if kind == "NIE":
        return _mean(model, y, {x: 0, **held}, {x: 1}) - _mean(model, y, {x: 0}, {x: 0})
    if kind in ("ATT", "ATU"):
        among = {x: int(kind == "ATT")}
        return _mean(model, y, {x: 1}, {}, among) - _mean(model, y, {x: 0}, {}, among)
    return _mean(model, y, {x: 1}, {}, {z: 1}) - _mean(model, y, {x: 0}, {}, {z: 1})


def _rows(model):
    joint = model.joint()
    cells = np.indices(joint.shape).reshape(joint.ndim, -1).T
    return pd.DataFrame(cells, columns=model.observed).assign(p=joint.reshape(-1))


@pytest.mark.parametrize("kind", ["NDE", "NIE", "ATT", "ATU", "CATE"])
def test_the_number_is_the_enumerated_one(kind):
    rng = random.Random(6)
    right = through = 0
    while right < 60:
        graph = random_graph(rng, rng.randint(3, 5), 0.5, rng.choice([0.0, 0.15]))
        if len(graph) > 7:
            continue
        x, y, z = rng.sample(sorted(observables(graph)), 3)
        options = {}
        if kind == "CATE":
            options["given"] = z
        elif kind in ("NDE", "NIE") and rng.random() < 0.4:
            options["mediators"] = [z]
        try:
            verdict = identify_effect(graph, kind, x, y, **options)
        except EstimandError:  # no mediator: no such question
            continue
        if not verdict:
            continue
        mediators = options.get("mediators")
        if kind in ("NDE", "NIE") and mediators is None:
            mediators = _between(graph, x, y)
        model = BinaryModel(graph, rng.randrange(10**9))
        given = {"given": {z: 1}} if kind == "CATE" else {}
        found = plug_in(verdict, _rows(model), count="p", empirical=True, **given)
        truth = _truth(model, kind, x, y, mediators or (), z)
        assert abs(float(found) - truth) < TOLERANCE, (sorted(graph.edges), x, y, str(verdict))
        right += 1
        through += mediators is not None and _all_mediated(graph, x, y, mediators)
    assert kind not in ("NDE", "NIE") or through > 10


def _between(graph, x, y):
    import networkx as nx

    return sorted(
        n for n in nx.descendants(graph, x) & nx.ancestors(graph, y) if n in observables(graph)
    )


def _all_mediated(graph, x, y, mediators):
    import networkx as nx

    rest = graph.subgraph(set(graph) - set(mediators))
    return nx.has_path(graph, x, y) and not nx.has_path(rest, x, y)


@pytest.mark.parametrize("given", [None, "Z"])
@pytest.mark.parametrize("mediator", [None, "M"])
def test_the_printed_formula_reads_the_mediators_level(given, mediator):
    """X -> M -> Y alone: Y_{x, M_x'} is Y_x', so x' stands in the formula and x does not."""
    graph = "X -> M -> Y; Z -> X; Z -> Y" if given else "X -> M -> Y"
    for kind in ("NDE", "NIE"):
        verdict = identify_effect(graph, kind, "X", "Y", given=given, mediators=mediator)
        assert "X'" in verdict.estimand.free
        assert "X" not in verdict.estimand.free
        assert "X'" in str(verdict.estimand)
        assert verdict.any_value == frozenset()


def test_a_chain_has_no_direct_effect():
    """P(M=1 | x) .2, .8; P(Y=1 | m) .1, .6: NDE 0, NIE (.8 - .2)(.6 - .1) = .3."""
    m, y = {0: 0.2, 1: 0.8}, {0: 0.1, 1: 0.6}
    rows = [
        {"X": a, "M": b, "Y": c, "p": 0.5 * abs(1 - b - m[a]) * abs(1 - c - y[b])}
        for a, b, c in itertools.product((0, 1), repeat=3)
    ]
    for kind, value in (("NDE", 0.0), ("NIE", 0.3)):
        verdict = identify_effect("X -> M -> Y", kind, "X", "Y")
        found = plug_in(verdict, pd.DataFrame(rows), count="p", empirical=True)
        assert float(found) == pytest.approx(value, abs=1e-12)
