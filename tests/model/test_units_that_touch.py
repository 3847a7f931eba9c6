"""Which equations mix units, which do not, and what fixes their number.

What is not known to keep an axis is taken to mix it, so the second list matters as much as the
first: equations of one unit must not be taken to touch others.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from models import autoregressive_latent, gaussian_process, zero_sum
from models import four_units as unit_model

import bayescausal as bc
from bayescausal.model.structure.read import structure_of
from bayescausal.types import MixingError


def data_covariate():
    with unit_model() as model:
        z = pm.Data("z", np.arange(4.0), dims="unit")
        pm.Normal("y", z, 1, dims="unit")
    return model


MIXING = {
    "mean": lambda x: x - x.mean(),
    "sort": lambda x: pt.sort(x),
    "cumulative": lambda x: pt.cumsum(x),
    "matrix": lambda x: pt.as_tensor_variable(np.eye(4)) @ x,
    "softmax": lambda x: pt.special.softmax(x),
    "lag": lambda x: pt.concatenate([[0.0], x[:-1]]),
    "first": lambda x: x - x[0],
    "reverse": lambda x: x[::-1],
    "index": lambda x: x[np.array([1, 0, 3, 2])],
    "reshape": lambda x: x.reshape((2, 2)).sum(axis=1)[np.array([0, 0, 1, 1])],
    "reshape across": lambda x: x.reshape((2, 2)).T.ravel(),
    "reshape of a square": lambda x: (x[:, None] * np.ones((1, 4))).reshape((4, 4)).sum(axis=0),
    "max": lambda x: x / pt.max(x),
    "position": lambda x: x + pt.arange(4),
}


@pytest.mark.parametrize("name", MIXING)
def test_equations_that_mix_units_are_found(name):
    with unit_model() as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", MIXING[name](x), 1, dims="unit")
    structure = structure_of(model)
    assert "unit" in structure.mixing.get("y", {}), structure.mixing
    assert "unit" in structure.mixes()
    assert not structure.mixes(["x"])


@pytest.mark.parametrize("name", MIXING)
def test_deterministics_that_mix_units_are_found_in_models_that_pymc_made(name):
    """pm.observe and pm.do leave a Deterministic its operation alone: cumsum(x) was not seen."""
    with unit_model() as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        mu = pm.Deterministic("mu", MIXING[name](x), dims="unit")
        pm.Normal("y", mu, 1, dims="unit")
    for made in (model, pm.observe(model, {"y": np.zeros(4)}), pm.do(model, {"x": np.ones(4)})):
        assert "unit" in structure_of(made).mixing.get("mu", {})


def test_deterministics_that_fix_the_number_of_units_are_found_in_models_that_pymc_made():
    with unit_model() as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        mu = pm.Deterministic("mu", x * np.arange(4.0), dims="unit")
        pm.Normal("y", mu, 1, dims="unit")
    assert structure_of(pm.observe(model, {"y": np.zeros(4)})).fixed == {"unit": 4}


def hsgp(x):
    prior = pm.gp.HSGP(m=[5], c=1.5, cov_func=pm.gp.cov.ExpQuad(1, ls=1.0))
    return prior.prior("f", X=x[:, None], dims="unit")


def periodic(x):
    cov = pm.gp.cov.Periodic(1, period=3.0, ls=1.1)
    return pm.gp.HSGPPeriodic(m=4, scale=1.0, cov_func=cov).prior("f", X=x[:, None], dims="unit")


APART = {
    "elementwise": lambda x, b: pm.math.exp(b[0] * x) + x**2,
    "switch": lambda x, b: pt.switch(x > 0, b[0], b[1]),
    "parameter matrix": lambda x, b: pt.stack([x, x**2], axis=-1) @ b,
    "event reduction": lambda x, b: (x[:, None] * b).sum(axis=1),
    "parameter mean": lambda x, b: x + b.mean(),
    "lookup": lambda x, b: b[(x > 0).astype("int64")],
    "clip": lambda x, b: pt.clip(x, 0, 1) + b[0],
    "search": lambda x, b: b[pt.clip(pt.searchsorted(np.array([-1.0, 0.5, 2.0]), x), 0, 1)],
    "reshape to a column": lambda x, b: (x.reshape((-1, 1)) * b).sum(axis=1),
    "new axis": lambda x, b: (x[:, None] @ b[:1]) + x[None, :][0],
    "reshape and back": lambda x, b: x.reshape((-1, 1, 1)).reshape((-1,)) + b[0],
    "ravel": lambda x, b: (x[:, None] * b[0]).ravel(),
    "flatten": lambda x, b: (x[None, :, None] * b[0]).flatten(),
    "tile": lambda x, b: pt.tile(x[:, None], (1, 2)) @ b,
    "repeat": lambda x, b: pt.repeat(x[:, None], 2, axis=1) @ b,
    "broadcast": lambda x, b: pt.broadcast_to(x[:, None], (x.shape[0], 2)) @ b,
    "squeeze": lambda x, b: pt.squeeze(x[:, None], 1) * b[0],
    "einsum": lambda x, b: pt.einsum("ij,j->i", pt.stack([x, x**2], axis=1), b),
    "tensordot": lambda x, b: pt.tensordot(pt.stack([x, x**2], axis=1), b, axes=1),
    "hsgp": lambda x, b: hsgp(x) + b[0],
    "periodic hsgp": lambda x, b: periodic(x) + b[0],
    "softmax of an event": lambda x, b: pt.special.softmax(x[:, None] * b, axis=-1)[:, 0],
}


@pytest.mark.parametrize("name", APART)
def test_equations_of_one_unit_are_not_taken_to_mix(name):
    with unit_model(k=range(2)) as model:
        b = pm.Normal("b", dims="k")
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", APART[name](x, b), 1, dims="unit")
    structure = structure_of(model)
    assert not structure.mixes(), structure.mixing
    assert not structure.fixed


@pytest.mark.parametrize("make", [gaussian_process, autoregressive_latent, zero_sum])
def test_distributions_that_span_units_mix_them(make):
    structure = structure_of(make())
    assert structure.mixes()


def test_a_constant_array_along_the_units_fixes_their_number():
    with unit_model() as model:
        pm.Normal("y", np.arange(4.0), 1, dims="unit")
    structure = structure_of(model)
    assert structure.fixed == {"unit": 4}
    assert not structure_of(data_covariate()).fixed
    with unit_model(k=range(2)) as one:
        pm.Normal("y", np.array([[1.0, 2.0]]), 1, dims=("unit", "k"))
    assert not structure_of(one, unit_dims="unit").fixed  # length one broadcasts


@pytest.mark.parametrize("rows", [pt.arange(4), np.arange(4)], ids=["symbolic", "array"])
def test_rows_that_are_counted_are_said_with_the_way_to_write_them(rows):
    """The remedy takes the same entries and lets a bootstrap draw units."""
    g = np.array([0, 2, 1, 1])
    data = {"x": np.arange(4.0), "g": g, "y": np.zeros(4)}

    def fit(pick):
        with unit_model() as model:
            x, k = pm.Data("x", data["x"], dims="unit"), pm.Data("g", g, dims="unit")
            p = x[:, None] * pm.Normal("w", shape=3)
            pm.Normal("y", pick(p, k), 1, dims="unit")
        return bc.truth(model, {"w": [1.0, 2.0, 5.0]}, data)

    counted = fit(lambda p, k: p[rows, k])
    effect = bc.ATE("x", "y")
    assert float(bc.estimate(counted, effect)) == pytest.approx((1 + 5 + 2 + 2) / 4)
    with pytest.raises(MixingError, match=r"counts the rows, as in p\[arange\(n\), g\].*pt\.eq"):
        bc.estimate(counted, replace(effect, population="superpopulation"))
    plain = fit(lambda p, k: pt.sum(p * pt.eq(k[:, None], pt.arange(3)), axis=1))
    assert float(bc.estimate(plain, effect)) == pytest.approx((1 + 5 + 2 + 2) / 4)
    assert np.isfinite(float(bc.estimate(plain, replace(effect, population="superpopulation"))))
    with unit_model() as model:
        x = pm.Normal("x", dims="unit")
        pm.Normal("y", pt.set_subtensor(pt.zeros((4, 2))[:, 0], x).sum(axis=1), 1, dims="unit")
    assert "pt.switch or pt.stack" in structure_of(model).mixing["y"]["unit"]
