"""Densities along curves and surfaces: draws against quadrature, and who draws them."""

from __future__ import annotations

import arviz_stats as azs
import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.inference.densities.ridges import draw_ridge
from bayescausal.inference.sampling.few import METHOD


def near(draws, mean, sd):
    """Whether nearly independent draws have a mean, within four standard errors of 2,000."""
    assert abs(np.mean(draws) - mean) < 4 * sd / np.sqrt(2_000)


@pytest.mark.parametrize("thin", [0.05, 0.005])
def test_a_product_that_is_known(thin):
    """N(0, 1) priors of a and b, and ab seen as 1: two branches of a hyperbola.

    Given ab = v the density of a is that of N(0, 1) at a and v / a, times 1 / a.
    """

    def log_density(u):
        return -(u**2).sum(axis=1) / 2 - (u[:, 0] * u[:, 1] - 1) ** 2 / (2 * thin**2)

    rng = np.random.default_rng(2)
    draws = draw_ridge(log_density, rng.normal(size=(60, 2)), 4_000, rng)
    a, v = np.meshgrid(np.exp(np.linspace(-4, 4, 4_001)), 1 + thin * np.linspace(-6, 6, 201))
    p = stats.norm.pdf(a) * stats.norm.pdf(v / a) * stats.norm.pdf(v, 1, thin)  # da / a is even
    mean = float((p * a).sum() / p.sum())
    sd = float(np.sqrt((p * a**2).sum() / p.sum() - mean**2))
    near(draws[:, 0] > 0, 0.5, 0.5)
    near(np.abs(draws[:, 0]), mean, sd)
    near(np.abs(draws[:, 1]), mean, sd)
    near(draws[:, 0] * draws[:, 1], 1.0, 1.5 * thin)


def test_a_sphere_of_two_directions():
    """Uniform on a thin shell about zero: every direction counts, and is as far."""

    def log_density(u):
        return -((np.sqrt((u**2).sum(axis=1)) - 1) ** 2) / (2 * 0.1**2)

    rng = np.random.default_rng(3)
    draws = draw_ridge(log_density, rng.normal(size=(60, 3)), 4_000, rng)
    for axis in range(3):
        near(draws[:, axis], 0.0, 0.6)
        near(draws[:, axis] > 0.5, stats.uniform.sf(0.5, -1, 2), 0.5)  # Archimedes: uniform
    radius = np.linspace(0.3, 1.7, 2_001)
    p = radius**2 * stats.norm.pdf(radius, 1, 0.1)
    near(np.linalg.norm(draws, axis=1), float((p * radius).sum() / p.sum()), 0.11)


def test_ridges_without_an_end_are_refused():
    """A density that is flat in every direction but one has no bells that cover it."""
    rng = np.random.default_rng(4)
    with pytest.raises(ArithmeticError):
        draw_ridge(lambda u: -(u[:, 0] ** 2) / 2, rng.normal(size=(20, 3)), 1_000, rng)


def test_an_instrument_with_a_latent_cause():
    """What data do not tell apart, the cause's loading and the noise, lies along a curve.

    The effect is known by the instrument; the integral over the rest is done by importance
    sampling from what the reduced form, the regression of t and y on z, has with a flat prior:
    there the loading is free between two bounds.
    """
    rng = np.random.default_rng(1)
    n = 300
    z, u = rng.normal(size=(2, n))
    t = 0.8 * z + u + rng.normal(size=n)
    y = 0.5 * t - u + rng.normal(size=n)
    with pm.Model(coords={"unit": [0]}) as model:
        z_, u_ = (pm.Normal(name, 0, 1, dims="unit") for name in "zu")
        a, c, d = (pm.Normal(name) for name in "acd")
        load, s, r = (pm.HalfNormal(name) for name in ("load", "s", "r"))
        t_ = pm.Normal("t", a * z_ + load * u_, s, dims="unit")
        pm.Normal("y", c * t_ + d * u_, r, dims="unit")
    fit = bc.fit(model, {"z": z, "t": t, "y": y}, seed=2)
    assert METHOD in fit.methods.values()
    assert fit.diagnostics.ess_bulk > 400
    assert fit.diagnostics.r_hat < 1.02
    for name, (mean, sd) in reduced_form(z, t, y).items():
        draws = fit.posterior[name].values
        assert abs(draws.mean() - mean) < 4.5 * sd / np.sqrt(azs.ess(draws)), name


def reduced_form(z, t, y, size=500_000):
    """Means and standard deviations of the parameters, by importance sampling."""
    rng = np.random.default_rng(5)
    n, both = len(z), np.stack([t, y], axis=1)
    slope = z @ both / (z @ z)
    rest = both - np.outer(z, slope)
    root = np.linalg.cholesky(rest.T @ rest)
    # Sigma from an inverse Wishart law (Bartlett), the slopes given it: as n rows have them
    free = n - 4
    low = np.zeros((size, 2, 2))
    low[:, 0, 0] = np.sqrt(rng.chisquare(free, size))
    low[:, 1, 1] = np.sqrt(rng.chisquare(free - 1, size))
    low[:, 1, 0] = rng.standard_normal(size)
    half = root @ np.transpose(np.linalg.inv(low), (0, 2, 1))
    sigma = half @ np.transpose(half, (0, 2, 1))
    a, of_y = (
        slope + np.einsum("nij,nj->ni", half, rng.standard_normal((size, 2))) / np.sqrt(z @ z)
    ).T
    c = of_y / a
    # e = t - a z and w = y - c t have the covariance below; load is between its bounds
    ee, ew = sigma[:, 0, 0], sigma[:, 0, 1] - c * sigma[:, 0, 0]
    ww = sigma[:, 1, 1] - 2 * c * sigma[:, 0, 1] + c**2 * sigma[:, 0, 0]
    first, last = np.abs(ew) / np.sqrt(ww), np.sqrt(ee)
    angle = np.pi * rng.random(size)
    load = first + (last - first) * (1 - np.cos(angle)) / 2
    d = ew / load
    s, r = np.sqrt(ee - load**2), np.sqrt(ww - d**2)
    log = -(a**2 + c**2 + d**2 + load**2 + s**2 + r**2) / 2
    # to (load, s, a, d, r, c) from (load, Sigma, a, a c): 1 / (2 s) 1 / load 1 / (2 r) 1 / |a|
    log += np.log((last - first) * np.sin(angle)) - np.log(s * r * load * np.abs(a))
    w = np.exp(log - log.max())
    w /= w.sum()
    assert 1 / (w**2).sum() > 50_000
    out = {}
    for name, v in {"a": a, "c": c, "d": d, "load": load, "s": s, "r": r}.items():
        mean = float(w @ v)
        out[name] = mean, float(np.sqrt(w @ (v - mean) ** 2))
    return out
