"""Chains that repair a mixture: distributions that are known, and shares of a whole in a model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.inference.densities import few_unknowns
from bayescausal.inference.densities.ensemble import draw_ensemble
from bayescausal.inference.densities.few_unknowns import Mixture, draw_density


def shares(u):
    """Return shares of a whole from unconstrained numbers, as PyMC's transform has them."""
    whole = np.concatenate([u, -u.sum(axis=1, keepdims=True)], axis=1)
    whole = np.exp(whole - whole.max(axis=1, keepdims=True))
    return whole / whole.sum(axis=1, keepdims=True)


def dirichlet(alpha):
    """The log-density of the unconstrained numbers: of shares times their product."""
    return lambda u: alpha * np.log(np.maximum(shares(u), 1e-300)).sum(axis=1)


def test_shares_of_a_whole_have_beta_distributions(monkeypatch):
    """No mixture is near to them in so many dimensions: the ensemble draws them, and is right.

    Of a share the distribution is Beta(alpha, (n - 1) alpha). Every tenth draw of a chain is
    independent of the one before but for .4 ** 10 or so; a right sampler fails at p < 1e-4 once in
    10,000 seeds, and there are two comparisons.
    """
    used = []
    monkeypatch.setattr(
        few_unknowns, "draw_ensemble", lambda *a: used.append(1) or draw_ensemble(*a)
    )
    rng = np.random.default_rng(3)
    draws = draw_density(dirichlet(0.7), rng.normal(size=(60, 13)), 12_000, rng)
    assert used
    found = shares(draws)[::10]
    for k in (0, 13):
        assert stats.kstest(found[:, k], stats.beta(0.7, 13 * 0.7).cdf).pvalue > 1e-4


@pytest.mark.parametrize("centre", [0.0, 1.5])
def test_an_exponential_variable_of_a_mixture_beside_it(centre):
    rng = np.random.default_rng(5)
    mixture = Mixture(np.ones(1), np.full((1, 2), centre), np.eye(2)[None])
    draws = draw_ensemble(lambda u: (u - np.exp(u)).sum(axis=1), mixture, 8_000, rng)
    for k in (0, 1):
        assert stats.kstest(np.exp(draws[::10, k]), "expon").pvalue > 1e-4


def test_modes_that_no_step_joins_are_refused():
    """Chains in two modes whose shares the mixture has wrong do not mix, and there are no draws."""
    near = Mixture(np.array([0.5, 0.5]), np.array([[0.0], [40.0]]), np.full((2, 1, 1), 3e-3))

    def value(u):
        return np.where(u[:, 0] < 20, -((u[:, 0] - 1) ** 2) * 50, -((u[:, 0] - 39) ** 2) * 50)

    with pytest.raises(ArithmeticError, match="do not mix"):
        draw_ensemble(value, near, 4_000, np.random.default_rng(1))


def test_r2d2_is_drawn_without_a_markov_chain_of_the_model():
    """Shares of explained variance (Zhang and others 2022), and an effect of known posterior.

    The column of the treatment is orthogonal to the others and has length n, so that its
    coefficient is Normal(t'y / (n + 1), 1 / (n + 1)) whatever the shares are.
    """
    rng, n, p = np.random.default_rng(0), 100, 6
    whole = np.linalg.qr(np.column_stack([np.ones(n), rng.normal(size=(n, p + 1))]))[0][:, 1:]
    x, t = whole[:, :p] * np.sqrt(n), whole[:, p] * np.sqrt(n)
    y = x[:, 0] + 0.5 * t + rng.normal(size=n)
    names = [f"x{j}" for j in range(p)]
    data = pd.DataFrame(x, columns=names).assign(t=t, y=y)
    with pm.Model(coords={"unit": range(n), "of": names}) as model:
        columns = [pm.Data(c, data[c].to_numpy(), dims="unit") for c in names]
        treatment = pm.Data("t", t, dims="unit")
        r2, phi = pm.Beta("r2", 1, 1), pm.Dirichlet("phi", np.full(p, 0.5), dims="of")
        b = pm.Normal("b", 0, pm.math.sqrt(phi * r2 / (1 - r2)), dims="of")
        b_t = pm.Normal("b_t", 0, 1)
        pm.Normal("y", b_t * treatment + sum(b[j] * c for j, c in enumerate(columns)), 1.0,
                  dims="unit")  # fmt: skip
    fit = bc.fit(model, data, seed=1, progressbar=False)
    assert set(fit.methods.values()) == {"coefficients integrated out"}
    found = bc.estimate(fit, bc.ATE("t", "y"))
    mean, sd = (t @ y) / (n + 1), 1 / np.sqrt(n + 1)
    assert abs(float(found.mean()) - mean) < 5 * sd / np.sqrt(2_000)
    assert abs(float(found.sd()) / sd - 1) < 5 / np.sqrt(2 * 2_000)
