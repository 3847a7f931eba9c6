"""Unknowns with atoms among real numbers: drawn from their own equation, or refused."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.types import ModelError

N = 40

pytestmark = pytest.mark.filterwarnings("ignore:No safe default transform")


def clipped(mu, sigma, size):
    return pt.clip(pm.Normal.dist(mu, sigma, size=size), -0.5, np.inf)


LAWS = {
    "censored": lambda mu: pm.Censored("w", pm.Normal.dist(mu, 1), lower=-0.5, upper=None,
                                       dims="unit"),
    "clipped": lambda mu: pm.CustomDist("w", mu, 1.0, dist=clipped, dims="unit"),
    "hurdle": lambda mu: pm.HurdleGamma("w", psi=0.5, alpha=2, beta=pt.exp(-mu), dims="unit"),
    "spike": lambda mu: pm.Mixture("w", w=[0.4, 0.6], comp_dists=[
        pm.DiracDelta.dist(0.0), pm.Normal.dist(mu, 1)], dims="unit"),
}  # fmt: skip


def mean(law, mu):
    """E[w] given the mean of what lies behind it."""
    if law == "hurdle":
        return 0.5 * 2 * np.exp(mu)
    if law == "spike":
        return 0.6 * mu
    a = -0.5 - mu
    return -0.5 * stats.norm.cdf(a) + mu * stats.norm.sf(a) + stats.norm.pdf(a)


@pytest.mark.parametrize(
    ("law", "holes"), [("censored", True), ("clipped", False), ("hurdle", False), ("spike", True)]
)
def test_an_unread_unknown_with_atoms_is_drawn_with_its_atoms(law, holes):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        LAWS[law](0.7 * x)
    x = np.random.default_rng(3).normal(size=N)
    data = {"x": x}
    right = mean(law, 0.7 * x).mean()
    if holes:
        data["w"] = np.where(np.arange(N) < 20, np.nan, 1.0)
        right = (mean(law, 0.7 * x)[:20].sum() + 20) / N
    draws = 500
    fit = bc.truth(model, {}, data, draws=draws, seed=1)
    name = "recorded(w)" if law in ("censored", "clipped") else "w"
    found = bc.estimate(fit, bc.Expected(name))
    error = float(found.sd()) / np.sqrt(draws)
    assert abs(float(found.mean()) - right) < 4.5 * error


@pytest.mark.parametrize(
    ("law", "holes"), [("censored", False), ("clipped", True), ("hurdle", True), ("spike", False)]
)
def test_one_that_is_read_is_refused(law, holes):
    with pm.Model(coords={"unit": [0]}) as model:
        w = LAWS[law](pt.as_tensor_variable(0.3))
        pm.Normal("y", 2 * w, 1, dims="unit")
    data = {"y": np.ones(N)}
    if holes:
        data["w"] = np.where(np.arange(N) < 20, np.nan, 1.0)
    found = "The empty cells of 'w' are unknown" if holes else "'w' is unknown"
    remedy = "Drop those rows, or" if holes else "Give 'w' a column, or"
    with pytest.raises(ModelError, match=f"{found} and read .* {remedy} write"):
        bc.truth(model, {}, data, seed=1)


def test_a_spike_and_slab_is_refused_with_the_way_to_write_it():
    """A chain of a gradient finds P(b = 0 | y) = 0; by Bayes it is above 1/2 here."""
    x = np.random.default_rng(4).normal(size=12)
    y = np.random.default_rng(5).normal(size=12)
    precision = 1 + x @ x  # of the slab
    assert np.exp((x @ y) ** 2 / precision / 2) / np.sqrt(precision) < 1  # its Bayes factor
    with pm.Model(coords={"unit": [0]}) as model:
        cause = pm.Normal("x", 0, 1, dims="unit")
        b = pm.Mixture("b", [0.5, 0.5], [pm.DiracDelta.dist(0.0), pm.Normal.dist(0, 1)])
        pm.Normal("y", b * cause, 1, dims="unit")
    for method in ("auto", "laplace"):
        with pytest.raises(ModelError, match=r"'b' is unknown and read by.*Write it as a product"):
            bc.fit(model, {"x": x, "y": y}, method=method, progressbar=False)
