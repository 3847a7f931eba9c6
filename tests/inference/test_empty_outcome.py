"""Empty cells of an outcome that nothing reads leave the closed form as it is.

Siblings looked at: known and unknown spread, two outcomes, another equation with its own rows, an
outcome that is read, one that shares its parameters, a group index, NaN in ``observed=``.
"""

from __future__ import annotations

import warnings

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc

N = 80
RNG = np.random.default_rng(9)
X = RNG.normal(size=N)
Y = 1 + 2 * X + RNG.normal(size=N)
EMPTY = RNG.random(N) < 0.25
HOLES = np.where(EMPTY, np.nan, Y)
G = np.arange(N) % 3
QUICK = {"draws": 1000, "chains": 2, "seed": 1, "progressbar": False}


def linear(kind: str = "") -> pm.Model:
    with pm.Model(coords={"unit": [0], "group": range(3)}) as model:
        m = pm.Normal("m", 0, 3)
        x = pm.Normal("x", m, 1, dims="unit")
        g = pm.Data("g", [0], dims="unit")
        a, b = pm.Normal("a", 0, 9, dims="group"), pm.Normal("b", 0, 9)
        s = 1 if kind == "known" else pm.InverseGamma("v", 3, 3) ** 0.5
        y = pm.Normal("y", a[g] + b * x, s, dims="unit")
        if kind == "read":
            pm.Normal("w", pm.Normal("c") * y, 1, dims="unit")
        if kind == "shared":
            pm.Normal("w", b * x, 1, dims="unit")
    return model


@pytest.mark.parametrize("kind", ["known", "unknown"])
def test_empty_rows_add_nothing_and_the_form_stays_closed(kind: str):
    some = bc.fit(linear(kind), {"x": X, "g": G, "y": HOLES}, **QUICK)
    seen = bc.fit(linear(kind), {"x": X[~EMPTY], "g": G[~EMPTY], "y": Y[~EMPTY]}, **QUICK)
    every = bc.fit(linear(kind), {"x": X, "g": G, "y": Y}, **QUICK)
    form = next(iter(every.methods.values())).partition(" (")[0]
    assert {m.partition(" (")[0] for m in some.methods.values()} == {form}
    for name in ("a", "b"):
        assert some.posterior[name].values == pytest.approx(seen.posterior[name].values)
    assert some.posterior["m"].values == pytest.approx(every.posterior["m"].values)
    cells = some.value("y")[:, EMPTY]
    draws = some.posterior.stack(sample=("chain", "draw"))
    mu = draws["a"].values[G[EMPTY]].T + draws["b"].values[:, None] * X[EMPTY]
    sd = np.sqrt(draws["v"].values)[:, None] if "v" in draws else 1.0
    z = (cells - mu) / sd
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / z.size)
    assert np.abs(np.corrcoef(z.T) - np.eye(EMPTY.sum())).max() < 5 / np.sqrt(len(z))
    effect = bc.estimate(some, bc.ATE("x", "y"))
    assert effect.mean() == pytest.approx(float(seen.posterior["b"].mean()))
    assert any("cells are empty" in note for note in some.notes)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["read", "shared"])
def test_an_outcome_that_is_read_or_shares_its_coefficients_is_not_cut(kind: str):
    w = Y + RNG.normal(size=N)
    fit = bc.fit(linear(kind), {"x": X, "g": G, "y": HOLES, "w": w}, **{**QUICK, "draws": 200})
    assert "y_unobserved" in fit.posterior
    assert not fit.methods.get("y_unobserved", "").startswith("conjugate")


def test_nan_that_the_model_was_given_does_the_same():
    with (
        warnings.catch_warnings(action="ignore"),
        pm.Model(coords={"unit": range(N)}) as model,
    ):
        x = pm.Data("x", X, dims="unit")
        a, b = pm.Normal("a", 0, 9), pm.Normal("b", 0, 9)
        pm.Normal("y", a + b * x, 1, dims="unit", observed=HOLES)
    fit = bc.fit(model, **QUICK)
    design = np.c_[np.ones((~EMPTY).sum()), X[~EMPTY]]
    cov = np.linalg.inv(design.T @ design + np.eye(2) / 81)
    right = cov @ design.T @ Y[~EMPTY]
    assert all(m.startswith("conjugate") for m in fit.methods.values()), fit.methods
    for name, mean, sd in zip("ab", right, np.sqrt(np.diag(cov)), strict=True):
        assert float(fit.posterior[name].mean()) == pytest.approx(mean, abs=4 * sd / 2000**0.5)
