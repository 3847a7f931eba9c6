"""Weights on a simplex against quadrature; one grouping by classes against the general way."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.inference.conditioning.smooth import Smooth
from bayescausal.inference.hierarchies import coefficients, one_grouping


def test_weights_of_two_donors_are_those_of_quadrature():
    rng = np.random.default_rng(3)
    pool = rng.normal(size=(12, 2))
    y = pool @ [0.3, 0.7] + rng.normal(0, 0.8, 12)
    with pm.Model(coords={"row": range(12), "donor": ["a", "b"]}) as model:
        donors = pm.Data("donors", pool, dims=("row", "donor"))
        weights = pm.Dirichlet("weights", np.array([0.5, 0.8]), dims="donor")
        shift = pm.Normal("shift", 0, 0.5)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", (donors * weights).sum(axis=-1) + shift, sigma, dims="row")
    fit = bc.fit(model, {"y": y, "donors": pool}, seed=2, draws=2000, progressbar=False)
    assert list(fit.methods.values()) == ["simplex (coefficients integrated out)"]
    # by hand: w = u**4 thins the pole of the prior at zero, shift integrated out in closed form
    u, s = np.linspace(1e-4, 1 - 1e-4, 600), np.linspace(0.05, 3.5, 500)
    w = u**4 / (u**4 + (1 - u) ** 4)
    slope = np.gradient(w, u)
    rest = y - np.outer(w, pool[:, 0]) - np.outer(1 - w, pool[:, 1])
    square, total = (rest**2).sum(axis=1)[:, None], rest.sum(axis=1)[:, None]
    v, n = s[None] ** 2, 12
    precision = n / v + 1 / 0.25
    height = -n * np.log(s) - 0.5 * np.log(precision) - 0.5 * square / v
    height = height + 0.5 * (total / v) ** 2 / precision - 0.5 * s**2
    height = height - 0.5 * np.log(w)[:, None] - 0.2 * np.log(1 - w)[:, None]
    mass = np.exp(height - height.max()) * slope[:, None]
    mass /= mass.sum()
    drawn = fit.posterior["weights"].to_numpy()[..., 0].ravel()
    mean = float((mass.sum(axis=1) * w).sum())
    spread = float(np.sqrt((mass.sum(axis=1) * (w - mean) ** 2).sum()))
    assert drawn.mean() == pytest.approx(mean, abs=0.02 * 2)
    assert drawn.std() == pytest.approx(spread, rel=0.1)
    sigma_mean = float((mass.sum(axis=0) * s).sum())
    assert float(fit.posterior["sigma"].mean()) == pytest.approx(sigma_mean, rel=0.03)


@pytest.mark.parametrize("worth", [0, 20])
def test_classes_of_groups_give_the_density_of_the_general_way(worth, monkeypatch):
    monkeypatch.setattr(one_grouping, "WORTH", worth)  # 0: the integral as a polynomial
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(60), rng.integers(2, 5, 60))
    x = rng.normal(size=len(group))
    y = 1 + x + rng.normal(size=60)[group] + rng.normal(0, 0.5, len(group))
    data = pd.DataFrame({"y": y, "x": x, "g": [f"g{k}" for k in group]})
    model = bc.model_from_formulas(["y ~ x + (1 | g)"], data=data, noncentered=False)
    fast = bc.fit(model, data, seed=1, draws=300, progressbar=False).posterior
    monkeypatch.setattr(coefficients, "grouped", lambda *args: None)
    slow = bc.fit(model, data, seed=1, draws=300, progressbar=False).posterior
    for name in ("sigma_y", "sd_y_1|g"):  # the same draws of the scales: the same density
        np.testing.assert_allclose(fast[name], slow[name], rtol=1e-6)
    for name in ("b_y_x", "r_y_1|g"):
        error = 5 * slow[name].std(("chain", "draw")) * np.sqrt(2 / 1200)
        gap = abs(fast[name].mean(("chain", "draw")) - slow[name].mean(("chain", "draw")))
        assert bool((gap < error).all())


def test_a_polynomial_stands_for_a_smooth_function_and_for_no_other():
    points = np.random.default_rng(1).uniform(-2, 1, (5000, 2))
    smooth, kinked = (lambda p: np.log(5 + p[:, 0]) * p[:, 1]), (lambda p: np.abs(p[:, 0]))
    asked = []

    def counted(p):
        asked.append(len(p))
        return smooth(p)

    np.testing.assert_allclose(Smooth(counted)(points), smooth(points), rtol=0, atol=1e-7)
    # nodes, those that are compared, and the twentieth or so outside the middle 99% of both
    assert sum(asked) < 10**2 + 16**2 + 24 + 150
    assert (Smooth(kinked)(points) == kinked(points)).all()
    few = Smooth(counted)
    assert (few(points[:300]) == smooth(points[:300])).all()
