"""Weights of rows, as noise: the closed forms against rows that are scaled beforehand.

``y ~ N(x'b, s / sqrt(w))`` has, for every b and s, the likelihood of
``sqrt(w) y ~ N(sqrt(w) x'b, s)`` but for a constant, so both have one posterior.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.model.structure.read import structure_of
from bayescausal.types import BayesCausalError, DataError, ModelError

N = 60
RNG = np.random.default_rng(5)
X, W = RNG.normal(size=N), RNG.uniform(0.2, 3.0, N)
G = np.arange(N) % 6
Y = 1.0 + 2.0 * X + RNG.normal(size=N) / np.sqrt(W)

NOISE = {
    "sigma / sqrt(w)": lambda s, w: s / pt.sqrt(w),
    "sigma * w**-.5": lambda s, w: s * w**-0.5,
    "sqrt(sigma**2 / w)": lambda s, w: pt.sqrt(s**2 / w),
    "1 / (sqrt(w) / sigma)": lambda s, w: 1.0 / (pt.sqrt(w) / s),
}


REASON = "the noise is not one number for all units, nor one times known numbers"


def weighted(noise) -> pm.Model:
    with pm.Model(coords={"row": range(N)}) as model:
        x, w = pm.Data("x", X, dims="row"), pm.Data("w", W, dims="row")
        a, b, s = pm.Normal("a", 0, 10), pm.Normal("b", 0, 10), pm.HalfNormal("s", 2)
        pm.Normal("y", a + b * x, noise(s, w), dims="row")
    return model


def scaled() -> pm.Model:
    with pm.Model(coords={"row": range(N)}) as model:
        one, x = pm.Data("one", W**0.5, dims="row"), pm.Data("x", X * W**0.5, dims="row")
        a, b, s = pm.Normal("a", 0, 10), pm.Normal("b", 0, 10), pm.HalfNormal("s", 2)
        pm.Normal("y", a * one + b * x, s, dims="row")
    return model


@pytest.mark.parametrize("name", NOISE)
def test_weighted_rows_are_drawn_exactly(name):
    options = {"method": "exact", "draws": 100, "chains": 2, "seed": 1, "progressbar": False}
    fit = bc.fit(weighted(NOISE[name]), {"y": Y, "x": X, "w": W}, **options)
    same = bc.fit(scaled(), {"y": Y * W**0.5, "one": W**0.5, "x": X * W**0.5}, **options)
    for parameter in ("a", "b", "s"):
        np.testing.assert_allclose(
            fit.posterior[parameter], same.posterior[parameter], rtol=1e-8, err_msg=parameter
        )


def test_a_weight_of_three_says_what_three_rows_with_that_mean_say():
    """Where sigma is known the mean of three rows is all that they say of the coefficients."""
    k = np.tile([1.0, 3.0], N // 2)
    with pm.Model(coords={"row": range(N)}) as model:
        a = pm.Normal("a", 0, 10)
        pm.Normal("y", a, 1.5 / pt.sqrt(pm.Data("k", k, dims="row")), dims="row")
    fit = bc.fit(model, {"y": Y}, method="exact", draws=4000, chains=1, seed=1, progressbar=False)
    precision = k.sum() / 1.5**2 + 1 / 100
    mean = (k * Y).sum() / 1.5**2 / precision
    draws = fit.posterior["a"].values
    assert draws.mean() == pytest.approx(mean, abs=4 / np.sqrt(4000 * precision))
    assert draws.std() == pytest.approx(precision**-0.5, rel=0.05)


def compressed_like(model: pm.Model, data, points) -> tuple[np.ndarray, pm.Model]:
    small = bc.compress(model, data)
    whole = pm.observe(model, {"y": data["y"]})
    densities = [m.compile_logp(mode="FAST_COMPILE") for m in (whole, small)]
    before, after = ([density(p) for p in points] for density in densities)
    return np.diff(before) - np.diff(after), small


def test_compressed_equations_take_weights():
    """A Student t prior is no closed form, so the sums of the rows go to a Markov chain."""
    with pm.Model(coords={"row": range(N)}) as model:
        x, w = pm.Data("x", X, dims="row"), pm.Data("w", W, dims="row")
        b, s = pm.StudentT("b", 4), pm.HalfNormal("s", 2)
        pm.Normal("y", b * x, s / pt.sqrt(w), dims="row")
    points = [{"b": 0.3, "s_log__": 0.1}, {"b": 1.5, "s_log__": -0.4}, {"b": -1.0, "s_log__": 0.9}]
    gap, small = compressed_like(model, {"y": Y}, points)
    np.testing.assert_allclose(gap, 0.0, atol=1e-8)
    assert small["y_count"].get_value() == N


def test_hierarchies_take_weights():
    def make(w, x):
        with pm.Model(coords={"row": range(N), "g": range(6)}) as model:
            place, rows = pm.Data("place", G, dims="row"), pm.Data("x", x, dims="row")
            one, weight = pm.Data("one", np.ones(N), dims="row"), pm.Data("w", w, dims="row")
            tau = pm.HalfNormal("tau", 1)
            u = pm.Normal("u", 0, tau, dims="g")
            b, s = pm.Normal("b", 0, 5), pm.HalfNormal("s", 2)
            pm.Normal("y", one * u[place] + b * rows, s / pt.sqrt(weight), dims="row")
        return model

    options = {"draws": 100, "chains": 2, "seed": 1, "progressbar": False}
    root = W**0.5
    known = {"place": G, "x": X, "one": np.ones(N), "w": W, "y": Y}
    flat = {"place": G, "x": X * root, "one": root, "w": np.ones(N), "y": Y * root}
    fit = bc.fit(make(W, X), known, **options)
    same = bc.fit(make(np.ones(N), X * root), flat, **options)
    assert all(how != "nuts" for how in fit.methods.values())
    for name in ("tau", "u", "b", "s"):
        np.testing.assert_allclose(fit.posterior[name], same.posterior[name], rtol=1e-5)


def test_a_row_without_weight_is_no_row():
    zero = np.where(np.arange(N) < 4, 0.0, W)
    with pytest.raises(DataError, match=r"4 of 60 rows of 'y' have infinite noise.*Leave these"):
        bc.fit(weighted(NOISE["sigma / sqrt(w)"]), {"y": Y, "x": X, "w": zero}, progressbar=False)


def test_noise_that_is_no_product_keeps_its_rows():
    model = weighted(lambda s, w: s + w)
    [(block, reason)] = make_plan(structure_of(model), {"y", "x", "w"}).rest
    assert (block.unknowns, reason) == (("a", "b", "s"), REASON)
    with pytest.raises(ModelError, match="No equation can be compressed"):
        bc.compress(model, {"y": Y, "x": X, "w": W})


def test_weights_are_no_option_of_a_fit():
    with pytest.raises(BayesCausalError, match=r"fit does not take weights=.*sigma / pt.sqrt\(w\)"):
        bc.fit(weighted(NOISE["sigma / sqrt(w)"]), {"y": Y, "x": X, "w": W}, weights=W)
