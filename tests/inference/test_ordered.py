"""Ordered categories with a logistic law: the density of PyMC, and integrals over a grid."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pymc.distributions.transforms import ordered

import bayescausal as bc
from bayescausal.inference.closed_forms.blocks import split
from bayescausal.inference.sampling.about_mode import Posterior
from bayescausal.inference.sampling.generalised import generalised_block
from bayescausal.inference.sampling.ordered import Gaps
from bayescausal.model.structure.read import structure_of

X = np.array([-1.3, 0.2, 0.9, -0.4, 1.7, 0.0, -2.0, 0.6])


def model_of(cuts, compute_p=False, transform=ordered):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        own = {} if transform is None else {"transform": transform}
        kappa = pm.Normal("cut", np.linspace(-1, 1, cuts), 1.5, shape=cuts, **own)
        b = pm.Normal("b", 0, 1)
        pm.OrderedLogistic("y", b * x + 0.1, kappa, compute_p=compute_p, dims="unit")
    return model


@pytest.mark.parametrize(("cuts", "compute_p"), [(1, False), (2, True), (4, False)])
def test_the_density_is_that_of_pymc(cuts, compute_p):
    structure = structure_of(model_of(cuts, compute_p))
    y = np.arange(8) % (cuts + 1)
    [block] = [b for b in split(structure, {"x", "y"}, ()) if "b" in b.unknowns]
    made = generalised_block(structure, block, {"x", "y"})
    rows = made.statistics({"x": X, "y": y})
    gaps = Gaps.of(rows, made.cuts)
    prior = made.prior
    posterior = Posterior(rows.merged(), prior.known_gram, prior.known_moment, None, gaps)
    rng = np.random.default_rng(1)
    points, want = [], []
    for _ in range(5):
        cut, b = np.sort(rng.normal(size=cuts)), rng.normal()
        flat = {"cut": cut, "b": np.array([b])}
        points.append(np.concatenate([flat[n] for n in made.shapes]))
        law = pm.OrderedLogistic.dist(b * X + 0.1, cut)
        total = pm.logp(law, y).sum() + pm.logp(pm.Normal.dist(0, 1), b)
        own = pm.logp(pm.Normal.dist(np.linspace(-1, 1, cuts), 1.5), cut).sum()
        want.append(float((total + own).eval(mode="FAST_COMPILE")))
    points = np.array(points)
    found = posterior.log_density(points)
    np.testing.assert_allclose(found - found[0], np.array(want) - want[0], atol=1e-8)
    # slopes against differences
    gradient, curvature = posterior.slopes(points[0])
    step = 1e-5 * np.eye(points.shape[1])
    ends = posterior.log_density(points[0] + step) - posterior.log_density(points[0] - step)
    np.testing.assert_allclose(gradient, ends / 2e-5, rtol=1e-6, atol=1e-6)
    beside = [posterior.slopes(points[0] + s)[0] - posterior.slopes(points[0] - s)[0] for s in step]
    np.testing.assert_allclose(curvature, -np.array(beside) / 2e-5, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("transform", [ordered, None])
def test_the_posterior_is_that_of_a_grid(transform):
    y = np.array([0, 1, 2, 1, 2, 0, 0, 1])
    fit = bc.fit(model_of(2, transform=transform), pd.DataFrame({"x": X, "y": y}), seed=1)
    how = {n: m for names, m in fit.methods.items() for n in names.split(", ")}
    assert how["b"] == how["cut"] == "laplace (metropolis)"
    b, low = np.linspace(-3, 5, 61), np.linspace(-6, 4, 81)
    gap = np.linspace(0.0125, 8, 320)
    b, low, gap = np.meshgrid(b, low, gap, indexing="ij")
    log = -(b**2) / 2 - (low + 1) ** 2 / 4.5 - (low + gap - 1) ** 2 / 4.5

    def logistic(v):
        return 1 / (1 + np.exp(-v))

    for one, k in zip(X, y, strict=True):
        below = 0.0 if k == 0 else logistic(low + (k - 1) * gap - b * one - 0.1)
        above = 1.0 if k == 2 else logistic(low + k * gap - b * one - 0.1)
        log = log + np.log(above - below)
    p = np.exp(log - log.max())
    p /= p.sum()
    cut = fit.posterior["cut"].values
    pairs = [(fit.posterior["b"].values, b), (cut[..., 0], low), (cut[..., 1], low + gap)]
    for draws, values in pairs:
        mean = (p * values).sum()
        sd = np.sqrt((p * (values - mean) ** 2).sum())
        assert abs(draws.mean() - mean) < 4.5 * sd / np.sqrt(2_000)
        assert abs(draws.std() / sd - 1) < 4.5 / np.sqrt(2_000)


def test_cutpoints_of_another_prior_stay_with_other_methods():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        kappa = pm.Laplace("cut", [-1.0, 1.0], 1.0, shape=2, transform=ordered)
        pm.OrderedLogistic("y", pm.Normal("b") * x, kappa, compute_p=False, dims="unit")
    y = np.array([0, 1, 2, 1, 2, 0, 0, 1])
    fit = bc.fit(model, pd.DataFrame({"x": X, "y": y}), seed=1, draws=200)
    assert "laplace (metropolis)" not in fit.methods.values()
