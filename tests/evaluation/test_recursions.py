"""What is used twice at every step of a recursion is looked at once.

The kind of fault: a walk through an expression, or a rewrite of one, follows every path and not
every part, so that its cost doubles with each step (growth models and filters written as loops).
Siblings that were looked at: signs of expressions, the length of written code, products that are
multiplied out, sums that are searched for products of matrices.
"""

from __future__ import annotations

import time

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.model.noise.signs import sign_of
from bayescausal.model.structure.function_graph import PY_MODE

STEPS = 40


def recursion(step, steps=STEPS):
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", pm.math.sigmoid(z), dims="unit")
        u = pm.math.sigmoid(b * t + z)
        for _ in range(steps):
            u = step(u)
        pm.Normal("y", u, 1, dims="unit")
    return model


def test_the_sign_of_a_recursion():
    """exp is positive, so are sums and products of it; 2^40 paths lead to it."""
    u = pt.exp(pt.scalar("x"))
    for _ in range(STEPS):
        u = u * u + u
    start = time.perf_counter()
    assert sign_of(u) == "positive"
    assert time.perf_counter() - start < 5


def test_the_code_of_a_recursion_names_each_step():
    model = recursion(lambda u: 0.5 * pt.tanh(u) + 0.5 * u)
    start = time.perf_counter()
    code = bc.model_source(model)
    assert time.perf_counter() - start < 20
    assert len(code) < 200 * STEPS
    made = {}
    exec(code, made)
    point = model.initial_point()
    one, other = (m.compile_logp(mode=PY_MODE)(point) for m in (made["model"], model))
    assert one == pytest.approx(other)


def test_a_logistic_map_compiles():
    """u <- 3.5 u (1 - u): multiplied out, its terms double with every step."""
    u = start = pt.matrix("u")
    for _ in range(20):
        u = 3.5 * u * (1 - u)
    begun = time.perf_counter()
    call = pytensor.function([start], u, mode=PY_MODE)
    assert time.perf_counter() - begun < 20
    value = right = np.array([[0.2, 0.3]])
    for _ in range(20):
        right = 3.5 * right * (1 - right)
    np.testing.assert_allclose(call(value), right, rtol=1e-6)


def test_an_effect_through_a_logistic_map():
    """Each unit's z is observed: E[y | do(t)] is the map of sigmoid(b t + z)."""
    model = recursion(lambda u: 2.5 * u * (1 - u), steps=12)
    z = np.linspace(-1, 1, 20)
    data = {"z": z, "t": np.arange(20) % 2, "y": np.zeros(20)}
    known = bc.truth(model, {"b": 0.5}, data, seed=1)

    def mean(t):
        u = 1 / (1 + np.exp(-(0.5 * t + z)))
        for _ in range(12):
            u = 2.5 * u * (1 - u)
        return u.mean()

    assert float(bc.estimate(known, bc.ATE("t", "y"))) == pytest.approx(mean(1) - mean(0), rel=1e-6)
