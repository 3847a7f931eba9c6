"""What two worlds have in common drops out of their difference, and is not drawn."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.inference.record import Fit

N = 40
RNG = np.random.default_rng(3)
DATA = {
    "z": RNG.normal(size=N),
    "g": RNG.integers(0, 3, N),
    "x": RNG.integers(0, 2, N),
    "y": RNG.normal(size=N),
}

#: How a latent variable u, and what no world changes, enters the mean of the outcome.
CANCELS = {
    "affine": lambda x, z, u, b, c: c * u + x * b,
    "scaled with the rest": lambda x, z, u, b, c: (b * x + c * u + z) * pt.exp(c) / 2,
    "a function of it": lambda x, z, u, b, c: b * x - pt.exp(u) * z + pt.sqr(u) / (1 + pt.sqr(z)),
    "a curve of a covariate": lambda x, z, u, b, c: b * x * z + pt.exp(-c * z) + u,
    "behind a switch": lambda x, z, u, b, c: b * x + pt.switch(z > 0, u, c * u),
    "a curve beside what changes": lambda x, z, u, b, c: (b * x + u) * c + pt.tanh(u + c),
}
DIFFERS = {
    "a slope of each unit": lambda x, z, u, b, c: b * x + c * u * x,
    "a link": lambda x, z, u, b, c: pt.exp(b * x / 4 + u / 4),
    "divided by it": lambda x, z, u, b, c: b * x / (2 + pt.sqr(u)),
}


def with_latent(form) -> pm.Model:
    with pm.Model(coords={"unit": [0], "group": range(3)}) as model:
        z, g = pm.Data("z", [0.0], dims="unit"), pm.Data("g", [0], dims="unit")
        u, b, c = pm.Normal("u", dims="unit"), pm.Normal("b", 1, 1), pm.Normal("c")
        a = pm.Normal("a", dims="group")
        x = pm.Bernoulli("x", pm.math.sigmoid(u), dims="unit")
        pm.Normal("y", form(x, z, u, b, c) + a[g] * x, 1, dims="unit")
    return model


def from_worlds(fit, **options):
    """The average difference of the outcome's mean, from the values of all units in both worlds."""
    both = bc.worlds(fit, {"one": {"x": 1}, "none": {"x": 0}}, variables="y", **options)["y"]
    return (both.sel(world="one") - both.sel(world="none")).transpose("chain", "draw", "unit")


@pytest.fixture
def no_latent(monkeypatch):
    """Fits refuse to give u, from then on."""
    value = Fit.value

    def refuse(self, name, *args, **options):
        assert (
            name != "u" or len(range(self.n_draws)[args[0]]) == 1
        )  # who has units is asked of one
        return value(self, name, *args, **options)

    def start():
        monkeypatch.setattr(Fit, "value", refuse)

    return start


@pytest.mark.parametrize("name", CANCELS)
def test_a_latent_that_cancels_is_not_drawn(name, no_latent):
    fit = bc.prior(with_latent(CANCELS[name]), DATA, draws=6, seed=1)
    each = from_worlds(fit)
    assert fit.varies("u")
    no_latent()
    ate, total, by, slope = bc.estimate(
        fit,
        [
            bc.ATE("x", "y"),
            bc.ATE("x", "y", functional="total"),
            bc.ATE("x", "y", by="g"),
            bc.DoseResponse("x", "y", values=[0, 1], control=0),
        ],
        seed=2,
    )
    np.testing.assert_allclose(ate.draws, each.mean("unit"), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(total.draws, each.sum("unit"), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slope.draws.sel(x=1), each.mean("unit"), rtol=1e-12, atol=1e-12)
    for k in range(3):
        own = each.values[..., DATA["g"] == k].mean(-1)
        np.testing.assert_allclose(by.draws.sel(g=k), own, rtol=1e-12, atol=1e-12)
    assert ate.mc_error == 0


@pytest.mark.parametrize("name", DIFFERS)
def test_a_latent_that_does_not_cancel_is_drawn(name):
    fit = bc.prior(with_latent(DIFFERS[name]), DATA, draws=6, seed=1)
    ate = bc.estimate(fit, bc.ATE("x", "y"))
    np.testing.assert_allclose(ate.draws, from_worlds(fit).mean("unit"), rtol=1e-9)


def test_other_scales_need_both_worlds():
    fit = bc.prior(with_latent(lambda x, z, u, b, c: 20 + b * x + u), DATA, draws=6, seed=1)
    both = bc.worlds(fit, {"one": {"x": 1}, "none": {"x": 0}}, variables="y")["y"].mean("unit")
    ratio, one = bc.estimate(
        fit, [bc.ATE("x", "y", scale="ratio"), bc.Expected("y", {"x": 1})], seed=1
    )
    np.testing.assert_allclose(one.draws, both.sel(world="one"), rtol=1e-12)
    expected = both.sel(world="one") / both.sel(world="none")
    np.testing.assert_allclose(ratio.draws, expected, rtol=1e-12)


def test_the_effect_on_each_unit_leaves_it_out_too(no_latent):
    fit = bc.prior(with_latent(CANCELS["a curve of a covariate"]), DATA, draws=6, seed=1)
    each = from_worlds(fit)
    no_latent()
    found = bc.heterogeneity(fit, bc.ATE("x", "y"))
    np.testing.assert_allclose(
        found.units["mean"], each.mean(("chain", "draw")), rtol=1e-9, atol=1e-12
    )


def mediated() -> pm.Model:
    """The direct effect has a common part, exp(m), and a part with noise that differs, x m."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        b = pm.Normal("b", 1, 0.1)
        m = pm.Normal("m", 0.5 * x, 0.5, dims="unit")
        pm.Normal("y", b * x + x * m + pt.exp(m), 1, dims="unit")
    return model


def test_an_identity_holds_in_each_draw_where_one_of_its_parts_would_be_exact():
    fit = bc.prior(mediated(), {k: DATA[k] for k in ("x", "y")} | {"m": DATA["z"]}, draws=8, seed=1)
    direct = bc.NDE("x", "y", mediators="m")
    asked = [bc.TE("x", "y"), direct, bc.NIE("x", "y", mediators="m", reverse=True)]
    total, direct, indirect = bc.estimate(fit, asked)
    np.testing.assert_allclose(total.draws, direct.draws - indirect.draws, atol=1e-10)
    alone = bc.estimate(fit, bc.NDE("x", "y", mediators="m"))
    np.testing.assert_allclose(alone.draws, direct.draws, atol=1e-10)
    np.testing.assert_allclose(direct.draws, fit.posterior["b"], atol=6 * direct.mc_error)
    assert direct.mc_error > 0
