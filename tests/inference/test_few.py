"""Posteriors of a few unknowns, drawn without a chain of steps, against integration on a grid.

Means and standard deviations of draws are held to four standard errors, those of as many
independent draws as the chain is worth: one right comparison in 16,000 is further away.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
from posteriors import close
from scipy import stats

import bayescausal as bc
from bayescausal.inference.sampling import few as module
from bayescausal.inference.sampling import sample
from bayescausal.inference.sampling.few import METHOD, draw_few

RNG = np.random.default_rng(4)
T = RNG.normal(size=60)
Y = 1.5 * np.exp(0.3 * T) + 0.7 * RNG.standard_t(4, 60)


def curved():
    """A curve with Student noise, of two unknowns."""
    with pm.Model(coords={"unit": np.arange(60)}) as model:
        a, s = pm.Normal("a", 0, 1), pm.HalfNormal("s", 1)
        t = pm.Data("t", T, dims="unit")
        pm.StudentT("y", nu=4, mu=1.5 * pm.math.exp(a * t), sigma=s, dims="unit")
    return model


def test_the_draws_are_those_of_the_posterior():
    fit = bc.fit(curved(), {"t": T, "y": Y}, seed=1)
    assert list(fit.methods.values()) == [METHOD]
    a, s = np.meshgrid(np.linspace(-0.5, 1.2, 400), np.linspace(0.2, 2.0, 400), indexing="ij")
    mean = 1.5 * np.exp(a[..., None] * T)
    log = stats.t.logpdf(Y, 4, mean, s[..., None]).sum(axis=-1) + stats.norm.logpdf(a)
    log += stats.halfnorm.logpdf(s)
    p = np.exp(log - log.max())
    p /= p.sum()
    assert p[[0, -1]].sum() + p[:, [0, -1]].sum() < 1e-9  # the grid holds all of it
    for name, values in (("a", a), ("s", s)):
        expected = float((p * values).sum())
        sd = float(np.sqrt((p * (values - expected) ** 2).sum()))
        close(fit.posterior[name], expected, sd)


def test_modes_that_differ_in_sign_are_both_drawn():
    """A chain of small steps stays at the one that it starts from."""
    y = 4 + RNG.normal(size=50)
    with pm.Model(coords={"unit": np.arange(50)}) as model:
        a = pm.Normal("a", 0, 3)
        pm.Normal("y", a**2, 1, dims="unit")
    fit = bc.fit(model, {"y": y}, seed=2)
    assert list(fit.methods.values()) == [METHOD]
    above = np.asarray(fit.posterior["a"] > 0, dtype=float)
    close(above, 0.5, 0.5)
    grid = np.linspace(1.5, 2.5, 2_001)
    p = np.exp(-0.5 * 50 * (y.mean() - grid**2) ** 2 - grid**2 / 18)
    p /= p.sum()
    mean = float((p * grid).sum())
    close(np.abs(fit.posterior["a"]), mean, float(np.sqrt((p * (grid - mean) ** 2).sum())))


def equations(count):
    """Equations that share no unknown, three each."""
    data = {}
    with pm.Model(coords={"unit": np.arange(60)}) as model:
        t = pm.Data("t", T, dims="unit")
        for i in range(count):
            a, b, s = pm.Normal(f"a{i}"), pm.Normal(f"b{i}"), pm.HalfNormal(f"s{i}")
            pm.StudentT(f"y{i}", nu=4, mu=a + b * t, sigma=s, dims="unit")
            data[f"y{i}"] = i + Y
    return model, data | {"t": T}


def test_equations_that_share_no_unknown_are_drawn_apart():
    """Fifteen unknowns are too many for one mixture; and one equation's draws are its own."""
    model, data = equations(5)
    fit = bc.fit(model, data, seed=3)
    assert list(fit.methods.values()) == [METHOD]
    one, few = equations(1)
    alone = bc.fit(one, few, seed=3)
    np.testing.assert_array_equal(fit.posterior["b0"], alone.posterior["b0"])


def conditioned(model, **values):
    return pm.observe(model, values)


def test_a_funnel_is_left_to_a_chain():
    with pm.Model() as model:
        v = pm.Normal("v", 0, 3)
        pm.Normal("x", 0, pm.math.exp(v / 2), shape=5)
    assert draw_few(model, draws=500, chains=2, seed=1) is None


def test_many_unknowns_much_work_and_loops_are_left_to_a_chain(monkeypatch):
    assert draw_few(conditioned(curved(), y=Y), draws=50, chains=2, seed=1) is not None
    with pm.Model() as wide:
        pm.StudentT("y", 4, pm.Normal("a", shape=13).sum(), observed=1.0)
    assert draw_few(wide, draws=50, chains=2, seed=1) is None
    with pm.Model() as loop:
        a = pm.Normal("a")
        out = pytensor.scan(
            lambda last: 0.5 * last, outputs_info=[a], n_steps=5, return_updates=False
        )
        pm.Normal("y", out[-1], 1, observed=1.0)
    assert draw_few(loop, draws=50, chains=2, seed=1) is None
    monkeypatch.setattr(module, "WORK", 1_000)
    assert draw_few(conditioned(curved(), y=Y), draws=50, chains=2, seed=1) is None


@pytest.mark.parametrize("options", [{"method": "nuts"}, {"tune": 300}, {"target_accept": 0.9}])
def test_whoever_asks_for_a_chain_gets_one(options, monkeypatch):
    class ChainError(Exception):
        pass

    def chain(*_, **__):
        raise ChainError

    monkeypatch.setattr(sample, "sample_model", chain)
    assert bc.fit(curved(), {"t": T, "y": Y}, seed=1, cores=1).methods
    with pytest.raises(ChainError):
        bc.fit(curved(), {"t": T, "y": Y}, seed=1, **options)


def test_a_density_of_which_double_precision_holds_nothing_is_refused():
    """Twelve digits before the point leave three behind it."""
    x = np.arange(20.0)
    with pm.Model(coords={"unit": range(20)}) as model:
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        pm.Potential("far", 1e13 * b)
        mu = b * pm.Data("x", x, dims="unit")
        pm.StudentT("y", nu=4, mu=mu, sigma=s, observed=x / 2 + np.sin(x), dims="unit")
    with pytest.raises(bc.types.ModelError, match=r"double precision.*Centre columns"):
        bc.fit(model, seed=1, progressbar=False)


def test_the_units_of_columns_change_no_draw():
    """A treatment in other units has the effect of the first units, divided, drawn in one way."""
    rng, unit = np.random.default_rng(3), 1e4
    z, u = rng.normal(size=(2, 400))
    x = 0.6 * z + u + rng.normal(size=400)
    y = 0.5 * x - u + rng.normal(size=400)
    two_stages = np.cov(z, y)[0, 1] / np.cov(z, x)[0, 1]
    data = pd.DataFrame({"z": z, "x": x * unit, "y": y})
    design = bc.designs.instrument(data, treatment="x", outcome="y", instrument="z", robust=True)
    fit = bc.fit(design, draws=200, chains=2, seed=1, progressbar=False)
    assert "mixture" in next(iter(fit.methods.values()))
    effect = bc.estimate(fit, design.effects["ATE"])
    mean, sd = float(effect.mean()) * unit, float(effect.sd()) * unit
    # the posterior is about least squares in two stages; its sd is that of the ratio of covariances
    residual = y - two_stages * x
    error = residual.std() / (np.sqrt(400) * abs(np.corrcoef(z, x)[0, 1]) * x.std())
    assert abs(mean - two_stages) < error
    assert 0.7 * error < sd < 1.4 * error
