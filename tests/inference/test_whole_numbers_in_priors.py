"""Scales that are written as whole numbers: PyTensor keeps 20 in a byte, whose square is -112."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.inference.closed_forms.affine import widened

X = np.linspace(-1, 1, 40)
Y = 30 + 2 * X + np.random.default_rng(1).normal(size=40)


def linear(width, noise):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Data("x", [0.0], dims="unit")
        a, b = pm.Normal("a", 0, width), pm.Normal("b", 0, width)
        pm.Normal("y", a + b * x, noise, dims="unit")
    return model


@pytest.mark.parametrize("width", [11, 12, 16, 20, 100, 1000])
@pytest.mark.parametrize("noise", [1, 20])
def test_the_posterior_is_that_of_least_squares_with_a_ridge(width, noise):
    """Precision X'X / noise**2 + 1 / width**2, by the normal equations."""
    data = pd.DataFrame({"x": X, "y": Y})
    fit = bc.fit(linear(width, noise), data, seed=1, draws=1000, chains=2, progressbar=False)
    design = np.column_stack([np.ones(40), X])
    precision = design.T @ design / float(noise) ** 2 + np.eye(2) / float(width) ** 2
    cov = np.linalg.inv(precision)
    right = cov @ (design.T @ Y) / float(noise) ** 2
    for k, name in enumerate("ab"):
        draws = fit.posterior[name].to_numpy().ravel()
        assert abs(draws.mean() - right[k]) < 5 * np.sqrt(cov[k, k] / 2000)
        # the sd of 2,000 draws has a relative error of 1 / sqrt(4,000)
        assert draws.std() == pytest.approx(np.sqrt(cov[k, k]), rel=5 / np.sqrt(4000))


def test_a_logistic_equation_with_a_wide_prior():
    """The draws are those of a prior sd of 100.0."""
    y = (np.arange(40) % 3 > 0).astype(int)
    found = {}
    for width in (100, 100.0):
        with pm.Model(coords={"unit": [0]}) as model:
            x = pm.Data("x", [0.0], dims="unit")
            a, b = pm.Normal("a", 0, width), pm.Normal("b", 0, width)
            pm.Bernoulli("y", logit_p=a + b * x, dims="unit")
        fit = bc.fit(model, {"x": X, "y": y}, seed=1, draws=500, chains=2, progressbar=False)
        found[type(width)] = [fit.posterior[n].to_numpy() for n in "ab"]
    assert np.allclose(found[int], found[float], rtol=0, atol=1e-9)


def test_group_effects_with_whole_numbers():
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(8), 10)
    y = rng.normal(0, 3, 8)[group] + rng.normal(size=80)
    found = {}
    for one in (20, 20.0):
        with pm.Model(coords={"unit": [0], "group": range(8)}) as model:
            g = pm.Data("g", [0], dims="unit")
            a, spread = pm.Normal("a", 0, one), pm.HalfNormal("spread", 5)
            u = pm.Normal("u", 0, spread, dims="group")
            pm.Normal("y", a + u[g], pm.HalfNormal("noise", one), dims="unit")
        fit = bc.fit(model, {"g": group, "y": y}, seed=1, draws=300, chains=2, progressbar=False)
        found[type(one)] = fit.posterior["a"].to_numpy(), tuple(fit.methods.values())
    assert found[int][1] == found[float][1]
    assert found[int][0] == pytest.approx(found[float][0], abs=1e-6)


@pytest.mark.parametrize("held", [1.0, 0.5])
def test_the_prior_of_a_scale_that_reads_data_is_that_of_the_data(held):
    """Never that of what the model held."""
    with pm.Model(coords={"unit": [0]}) as model:
        lam = pm.Data("lam", held)
        pm.Normal("y", pm.Normal("a"), pm.HalfNormal("k", lam), dims="unit")
    y = np.random.default_rng(1).normal(0, 3, 6)
    fit = bc.fit(model, {"y": y, "lam": 0.05}, seed=1, draws=300, chains=2, progressbar=False)
    assert float(fit.posterior["k"].mean()) < 1  # 3 without the prior


def test_bytes_become_wide():
    assert (widened(np.array([20, 100], dtype=np.int8)) ** 2).tolist() == [400, 10000]
    assert widened(np.array([True])).dtype == bool
