"""Columns of whole numbers that a world sets to fractions, whatever the equation does with them.

Kind: the type of a result was chosen for whole numbers: the square of an integer column, which is
computed in 64 bits, cut 1.5 to 1 (``k**2`` gave 1 for 2.25), and the sum of integer items raised a
TypeError. Right values by NumPy.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.model.structure.interpreted import PY_MODE

ITEMS = np.array([[1, 0, 2], [2, 1, 1], [0, 3, 1], [4, 1, 0]])
K = np.array([1, 2, 0, 3])
#: What the equation does with an integer column and with items, and NumPy with numbers.
EQUATIONS = {
    "square": (lambda k, i: k**2 + i[:, 0], lambda k, i: k**2 + i[:, 0]),
    "polynomial": (
        lambda k, i: 3 * k * k - 2 * k + i[:, 0],
        lambda k, i: 3 * k**2 - 2 * k + i[:, 0],
    ),
    "cast": (lambda k, i: k.astype("int8") + i[:, 0], lambda k, i: k + i[:, 0]),
    "sum": (lambda k, i: k + i.sum(axis=1), lambda k, i: k + i.sum(axis=1)),
    "mean": (lambda k, i: k * i.mean(axis=1), lambda k, i: k * i.mean(axis=1)),
    "product": (lambda k, i: k + i.prod(axis=1), lambda k, i: k + i.prod(axis=1)),
    "put": (
        lambda k, i: pt.set_subtensor(pt.zeros_like(k)[:], k) + pt.set_subtensor(i[:, 1], k)[:, 1],
        lambda k, i: 2 * k,
    ),
    "added": (lambda k, i: pt.inc_subtensor(i[:, 0], k)[:, 0], lambda k, i: k + i[:, 0]),
    "halves": (lambda k, i: k // 2 + i[:, 0], lambda k, i: k // 2 + i[:, 0]),
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_fractions_stay_fractions(equation):
    written, by_numpy = EQUATIONS[equation]
    with pm.Model(coords={"unit": range(4), "item": range(3)}) as model:
        items = pm.Data("items", ITEMS, dims=("unit", "item"))
        k = pm.Data("k", K, dims="unit")
        pm.Normal("y", 0.5 * written(k, items), 1e-9, dims="unit")
    fit = bc.truth(model, {}, {"items": ITEMS, "k": K, "y": np.zeros(4)})
    worlds = {"set": ({"k": 1.5}, K * 0 + 1.5), "shift": ({"k": bc.Shift(0.5)}, K + 0.5)}
    for do, column in worlds.values():
        right = 0.5 * by_numpy(column, ITEMS)
        assert float(bc.estimate(fit, bc.Expected("y", do))) == pytest.approx(right.mean())
        drawn = pm.draw(bc.intervene(model, do)["y"], random_seed=1, mode=PY_MODE)
        np.testing.assert_allclose(drawn, right, atol=1e-7)
    if equation != "put":
        right = 0.5 * by_numpy(K, np.full(ITEMS.shape, 1.5))
        asked = bc.Expected("y", {"items": 1.5})
        assert float(bc.estimate(fit, asked)) == pytest.approx(right.mean())
