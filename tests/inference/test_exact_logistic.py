"""The logistic likelihood in one pass: the plain formula, its derivatives, its place in a model."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from models import logistic

import bayescausal as bc
from bayescausal.inference.closed_forms.compress import fuse, insert
from bayescausal.inference.closed_forms.logistic import BLOCK, logit_sum
from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.conditioning.remainder import compression_of
from bayescausal.inference.data.read import read_data
from bayescausal.model.structure.interpreted import PY_MODE


def evaluated(eta: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    a, b = pt.dvector(), pt.dvector()
    total, slope = pytensor.function([a, b], logit_sum(a, b), mode=PY_MODE)(eta, y)
    return float(total), slope


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 10_000])
def test_value_and_slope_are_those_of_the_formula(size):
    rng = np.random.default_rng(size)
    eta, y = rng.normal(0, 8, size), rng.integers(0, 2, size).astype(float)
    total, slope = evaluated(eta, y)
    assert total == pytest.approx(np.sum(y * eta - np.logaddexp(0, eta)), rel=1e-13, abs=1e-13)
    np.testing.assert_allclose(slope, y - 1 / (1 + np.exp(-eta)), atol=5e-16)


def test_far_tails_neither_overflow_nor_lose_digits():
    eta = np.array([-745.0, -300.0, -40.0, -1e-300, 0.0, 1e-300, 40.0, 300.0, 745.0])
    for y in (np.zeros(9), np.ones(9)):
        total, slope = evaluated(eta, y)
        assert total == pytest.approx(np.sum(y * eta - np.logaddexp(0, eta)), rel=1e-14)
        assert np.all(np.isfinite(slope))
    total, slope = evaluated(np.array([np.nan]), np.ones(1))
    assert np.isnan(total)
    assert np.isnan(slope).all()


def test_derivatives_agree_with_differences():
    rng = np.random.default_rng(3)
    eta, y = rng.normal(0, 2, 20), rng.integers(0, 2, 20).astype(float)
    pytensor.gradient.verify_grad(
        lambda a: logit_sum(a, y)[0], [eta], rng=np.random.default_rng(1), mode=PY_MODE
    )
    pytensor.gradient.verify_grad(
        lambda a: logit_sum(a, y)[1], [eta], rng=np.random.default_rng(1), mode=PY_MODE
    )


def test_a_fused_model_has_the_same_density():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b")
        t = pm.Bernoulli("t", logit_p=a + b * x, dims="unit")
        pm.Bernoulli("y", logit_p=pm.Normal("c"), dims="unit")
        pm.Bernoulli("z", p=pm.math.invlogit(x * pm.Normal("d") + t), dims="unit")
    rng = np.random.default_rng(4)
    data = {"x": rng.normal(size=300), **{n: rng.integers(0, 2, 300) for n in "tyz"}}
    structure, _, conformed, _ = read_data(model, data, None)
    known = condition(structure, conformed).model
    found = fuse(compression_of(structure, conformed, known), structure, conformed)
    assert set(found.fused) == {"t", "z"}
    small = insert(structure, known, found)
    at = [{n: rng.normal() for n in "abcd"} for _ in range(4)]
    gaps = []
    for m in (known, small):
        density = m.compile_fn(m.logp(), mode=PY_MODE, on_unused_input="ignore")
        gaps.append([float(density(p)) for p in at])
    gap = np.subtract(*gaps)
    np.testing.assert_allclose(gap, gap[0], rtol=1e-11)
    slopes = [m.compile_dlogp(mode=PY_MODE) for m in (known, small)]
    order = [[rv.name for rv in m.free_RVs] for m in (known, small)]
    found_slopes = [dict(zip(o, f(at[0]), strict=True)) for o, f in zip(order, slopes, strict=True)]
    for n in "abcd":
        assert found_slopes[0][n] == pytest.approx(found_slopes[1][n], rel=1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning")
def test_the_plain_path_agrees():
    model = logistic()
    data = bc.simulate(model, {"a": 0.2, "b": 1.0}, units=150, seed=1)
    options = {"seed": 2, "draws": 1000, "chains": 2, "progressbar": False}
    options["tune"] = 1000  # a chain is asked for, on the fused operation or on the rows
    fast, plain = (bc.fit(model, data, method=m, **options) for m in ("auto", "nuts"))
    assert set(fast.methods.values()) == {"nuts"}
    for n in ("a", "b"):
        one, two = fast.posterior[n].values, plain.posterior[n].values
        # 5 Monte Carlo errors of the difference at 500 effective draws each: false alarm < 1e-5
        assert abs(one.mean() - two.mean()) < 5 * one.std() * np.sqrt(2 / 500)
