"""Formulas for units whose own treatment is known: each value is the one that is meant.

``P(y_x' | x)`` has two values of the treatment: the one that units had and the one that is set. The
kind: the first was taken from `treated` where `given` said it. Siblings looked at: one world, two
treatments, a group that is said twice, path-specific effects that no formula has.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import bayescausal as bc
from bayescausal.types import EstimandError

P_W, P_Z = np.array([0.3, 0.7]), np.array([0.6, 0.4])
P_X = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])  # given z
P_Y = np.array(
    [[[0.1, 0.7], [0.5, 0.2], [0.8, 0.4]], [[0.3, 0.6], [0.9, 0.1], [0.2, 0.5]]]
)  # w x z
GRAPH = "z -> x -> y; z -> y; w -> y"


@pytest.fixture(scope="module")
def table():
    rows = []
    for w, z, x, y in itertools.product(range(2), range(2), range(3), range(2)):
        chance = P_Y[w, x, z] if y else 1 - P_Y[w, x, z]
        rows.append({"w": w, "z": z, "x": x, "y": y, "p": P_W[w] * P_Z[z] * P_X[z, x] * chance})
    return pd.DataFrame(rows)


def _mean(own, x, w=None):
    """E[Y_x | X = own], or of Y_{w, x}: z as it is where X is `own`."""
    z = P_Z * P_X[:, own] / (P_Z @ P_X[:, own])
    return float((P_W @ P_Y[:, x] if w is None else P_Y[w, x]) @ z)


@pytest.mark.parametrize(
    ("question", "right"),
    [
        (bc.CATE("x", "y", given={"x": 0}), _mean(0, 1) - _mean(0, 0)),
        (bc.ATE("x", "y", given={"x": 2}), _mean(2, 1) - _mean(2, 0)),
        (bc.CATE("x", "y", given={"x": 0}, treated=2, scale="ratio"), _mean(0, 2) / _mean(0, 0)),
        (bc.Expected("y", {"x": 1}, given={"x": 2}), _mean(2, 1)),
        (bc.Contrast("y", {"x": 2}, {"x": 1}, given={"x": 0}), _mean(0, 2) - _mean(0, 1)),
        (
            bc.Contrast("y", {"x": 2, "w": 1}, {"x": 1, "w": 0}, given={"x": 0}),
            _mean(0, 2, 1) - _mean(0, 1, 0),
        ),
        (bc.ATT("x", "y", treated=2), _mean(2, 2) - _mean(2, 0)),
        (bc.ATU("x", "y", treated=2), _mean(0, 2) - _mean(0, 0)),
        (bc.Contrast("y", {"x": 1}, {"x": 0}), (P_W @ (P_Y[:, 1] - P_Y[:, 0])) @ P_Z),
    ],
    ids=lambda v: v.describe() if hasattr(v, "describe") else "",
)
def test_units_known_by_their_treatment(table, question, right):
    effect = bc.plug_in(bc.identify(GRAPH, question), table, count="p", empirical=True)
    assert float(effect) == pytest.approx(right)


def test_what_no_formula_says_is_refused(table):
    nobody = bc.identify(GRAPH, bc.ATT("x", "y", given={"x": 0}))
    with pytest.raises(EstimandError, match="is about nobody: x=1, x=0"):
        bc.plug_in(nobody, table, count="p", empirical=True)
    natural = bc.identify(GRAPH, bc.Contrast("y", {"x": 1}))
    with pytest.raises(EstimandError, match="two worlds that set the same variables"):
        bc.plug_in(natural, table, count="p", empirical=True)


@pytest.mark.parametrize(
    ("path", "words"),
    [("x -> m -> y", "'m' is a recanting witness"), ("x -> n -> y", "which is not in the graph")],
)
def test_a_verdict_on_paths_that_define_no_effect_is_refused(path, words):
    """m is read by y as treated and by n, on another path, as control."""
    graph = "x -> m -> n -> y; m -> y; x -> y"
    with pytest.raises(EstimandError, match=words):
        bc.identify(graph, bc.PSE("x", "y", paths=path))
