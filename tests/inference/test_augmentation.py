"""Data augmentation: parameters and empty cells in turn, against integrals done by quadrature."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats
from scipy.special import expit, gammaln, logsumexp

import bayescausal as bc
from bayescausal.inference.augmentation.data_augmentation import METHOD

#: Nodes of a cell and of a parameter: sums over even grids of smooth densities.
CELLS = np.linspace(-7, 7, 141)
LOG_CELL = stats.norm.logpdf(CELLS)


def child(name, eta):
    """Return an equation of a family with a predictor, and its log-density (y, eta, shape)."""
    if name == "normal":
        return pm.Normal("y", eta, 0.8, dims="unit"), lambda y, e: stats.norm.logpdf(y, e, 0.8)
    if name == "logistic":
        return pm.Bernoulli("y", logit_p=eta, dims="unit"), lambda y, e: y * e - np.logaddexp(0, e)
    if name == "probit":
        p = pm.math.invprobit(eta)
        return pm.Bernoulli("y", p, dims="unit"), lambda y, e: stats.norm.logcdf((2 * y - 1) * e)
    if name == "binomial":
        y = pm.Binomial("y", 5, logit_p=eta, dims="unit")
        return y, lambda y, e: y * e - 5 * np.logaddexp(0, e)
    assert name == "poisson"
    y = pm.Poisson("y", pm.math.exp(eta), dims="unit")
    return y, lambda y, e: stats.poisson.logpmf(y, np.exp(e))


def outcome(name, eta, rng):
    if name == "normal":
        return eta + 0.8 * rng.normal(size=eta.shape)
    if name == "poisson":
        return rng.poisson(np.exp(eta))
    p = stats.norm.cdf(eta) if name == "probit" else expit(eta)
    return rng.binomial(5 if name == "binomial" else 1, p)


def summary(log_posterior, grid):
    """Return mean and sd of a density on an even grid."""
    p = np.exp(log_posterior - logsumexp(log_posterior))
    mean = (p * grid).sum()
    return mean, np.sqrt((p * (grid - mean) ** 2).sum())


def agrees(draws, mean, sd):
    """Compare draws with a mean and sd, within 4.5 standard errors of what they are worth."""
    draws = np.asarray(draws)
    worth = min(bc_ess(draws), draws.size)
    assert worth > 1_000
    assert abs(draws.mean() - mean) < 4.5 * sd / np.sqrt(worth)
    assert abs(draws.std() / sd - 1) < 4.5 * np.sqrt(1 / worth)  # tails up to a kurtosis of 5


def bc_ess(draws):
    import arviz as az

    return float(az.ess(draws))


@pytest.mark.parametrize("family", ["normal", "logistic", "probit", "binomial", "poisson"])
def test_a_cell_and_its_child(family):
    rng = np.random.default_rng(6)
    x = rng.normal(size=16)
    with pm.Model(coords={"unit": [0]}) as model:
        x_ = pm.Normal("x", 0, 1, dims="unit")
        _, log_density = child(family, pm.Normal("b", 0.3, 1.2) * x_ + 0.2)
    y = outcome(family, 0.5 * x + 0.2, rng)
    x[[0, 3, 9]] = np.nan
    fit = bc.fit(model, pd.DataFrame({"x": x, "y": y}), seed=1)
    assert METHOD in fit.methods.values()
    b = np.linspace(-5, 6, 1_001)
    eta = b[:, None, None] * CELLS[:, None] + 0.2
    inside = LOG_CELL[:, None] + log_density(y, eta)  # (b, cell, row)
    seen = log_density(y, b[:, None] * np.nan_to_num(x) + 0.2)
    rows = np.where(np.isnan(x), logsumexp(inside, axis=1), seen)
    posterior = stats.norm.logpdf(b, 0.3, 1.2) + rows.sum(axis=1)
    agrees(fit.posterior["b"], *summary(posterior, b))
    joint = (posterior - rows[:, 3])[:, None] + inside[:, :, 3]
    agrees(fit.posterior["x_unobserved"].values[:, :, 1], *summary(logsumexp(joint, axis=0), CELLS))


@pytest.mark.parametrize("family", ["negative binomial", "gamma"])
def test_a_cell_and_a_child_with_a_shape(family):
    rng = np.random.default_rng(4)
    x = rng.normal(size=20)
    with pm.Model(coords={"unit": [0]}) as model:
        x_ = pm.Normal("x", 0, 1, dims="unit")
        a = pm.Gamma("a", 3, 1)
        mean = pm.math.exp(pm.Normal("b", 0, 1) * x_ + 0.5)
        if family == "gamma":
            pm.Gamma("y", alpha=a, beta=a / mean, dims="unit")
        else:
            pm.NegativeBinomial("y", mu=mean, alpha=a, dims="unit")
    mu = np.exp(0.6 * x + 0.5)
    y = rng.gamma(3.0, mu / 3.0) if family == "gamma" else rng.poisson(rng.gamma(3.0, mu / 3.0))
    x[[1, 8, 17]] = np.nan
    fit = bc.fit(model, pd.DataFrame({"x": x, "y": y}), seed=1)
    assert METHOD in fit.methods.values()
    b, t = np.linspace(-2, 3, 61), np.linspace(-3, 4, 81)
    shape = np.exp(t)[:, None, None, None]

    def log_density(eta):
        if family == "gamma":
            logs = shape * (np.log(shape) - eta) - gammaln(shape)
            return logs + (shape - 1) * np.log(y) - shape * y * np.exp(-eta)
        own = gammaln(y + shape) - gammaln(shape) + shape * np.log(shape)
        return own + y * eta - (y + shape) * np.log(shape + np.exp(eta))

    inside = LOG_CELL[:, None] + log_density(b[:, None, None] * CELLS[:, None] + 0.5)
    seen = log_density(b[:, None, None] * np.nan_to_num(x) + 0.5)[:, :, 0]
    rows = np.where(np.isnan(x), logsumexp(inside, axis=2), seen).sum(axis=2)
    joint = rows + stats.norm.logpdf(b) + (stats.gamma.logpdf(np.exp(t), 3) + t)[:, None]
    agrees(fit.posterior["b"], *summary(logsumexp(joint, axis=0), b))
    agrees(np.log(fit.posterior["a"]), *summary(logsumexp(joint, axis=1), t))


def test_two_columns_empty_in_one_row_and_several_children():
    rng = np.random.default_rng(5)
    x = rng.normal(size=12)
    z = 0.5 * x + rng.normal(size=12)
    y, t = x + z + rng.normal(size=12), rng.binomial(1, expit(0.8 * x))
    x[[0, 1, 5]], z[[1, 5, 7]] = np.nan, np.nan
    y[[5, 9]] = np.nan  # its cell says nothing where nothing reads it
    with pm.Model(coords={"unit": [0]}) as model:
        x_ = pm.Normal("x", 0, 1, dims="unit")
        z_ = pm.Normal("z", 0.5 * x_, 1, dims="unit")
        pm.Bernoulli("t", logit_p=0.8 * x_, dims="unit")
        pm.Normal("y", pm.Normal("b") * (x_ + z_), 1, dims="unit")
    fit = bc.fit(model, pd.DataFrame({"x": x, "z": z, "y": y, "t": t}), seed=1)
    assert set(fit.methods.values()) == {METHOD}
    b = np.linspace(-2, 4, 301)
    grid = np.linspace(-7, 7, 71)
    total = stats.norm.logpdf(b)
    for i in range(12):
        xs = grid if np.isnan(x[i]) else x[i : i + 1]
        zs = grid if np.isnan(z[i]) else z[i : i + 1]
        xi, zi = xs[:, None], zs[None]
        log = stats.norm.logpdf(xi) + stats.norm.logpdf(zi, 0.5 * xi)
        log = log + t[i] * 0.8 * xi - np.logaddexp(0, 0.8 * xi)
        if not np.isnan(y[i]):
            log = log + stats.norm.logpdf(y[i], b[:, None, None] * (xi + zi))
            total = total + logsumexp(log, axis=(1, 2))
    agrees(fit.posterior["b"], *summary(total, b))
    # an empty outcome is drawn from its equation: its variance is 1 + E[b^2 (x + z)^2]
    assert fit.posterior["y_unobserved"].shape == (4, 1000, 2)
    b_draws = fit.posterior["b"].values
    want = b_draws * (x[9] + z[9])
    noise = fit.posterior["y_unobserved"].values[:, :, 1] - want
    agrees(noise, 0.0, 1.0)


def test_several_modes_are_seen():
    x = [np.nan, -2.6, 0.4, np.nan, -0.5, -0.2, -2.0, -0.2, -0.9, np.nan]
    y = [4, 1, 2, 0, 1, 1, 0, 2, 1, 28]  # the last row: a cell of 2.7, or of -4.3
    with pm.Model(coords={"unit": [0]}) as model:
        x_ = pm.Normal("x", 0, 1, dims="unit")
        pm.Poisson("y", pm.math.exp(pm.Normal("b", 0.3, 1.2) * x_ + 0.2), dims="unit")
    b = np.linspace(-4, 5, 901)
    total = stats.norm.logpdf(b, 0.3, 1.2)
    for one, count in zip(x, y, strict=True):
        cells = CELLS[None] if np.isnan(one) else np.array([[one]])
        log = stats.poisson.logpmf(count, np.exp(b[:, None] * cells + 0.2))
        total += logsumexp(log + (LOG_CELL if np.isnan(one) else 0), axis=1)
    mean, _ = summary(total, b)
    for seed in (1, 2):
        fit = bc.fit(model, pd.DataFrame({"x": x, "y": y}), seed=seed)
        assert METHOD not in fit.methods.values()
        assert abs(float(fit.posterior["b"].mean()) - mean) < 0.05


def test_a_refitter_draws_as_a_fit_does():
    rng = np.random.default_rng(7)
    with pm.Model(coords={"unit": [0]}) as model:
        x_ = pm.Normal("x", pm.Normal("m"), pm.HalfNormal("s"), dims="unit")
        t_ = pm.Bernoulli("t", logit_p=pm.Normal("p") + pm.Normal("q") * x_, dims="unit")
        pm.Normal("y", pm.Normal("a") + pm.Normal("b") * t_, 1, dims="unit")
    refitter = bc.Refitter(model, ["x", "t", "y"])
    for units in (40, 60):
        x = rng.normal(size=units)
        t = rng.binomial(1, expit(x))
        data = pd.DataFrame({"x": x, "t": t, "y": t + rng.normal(size=units)})
        data.loc[:4, "x"] = np.nan
        fit, again = bc.fit(model, data, seed=1), refitter.fit(data, seed=1)
        assert fit.methods == again.methods
        assert again.posterior.equals(fit.posterior)
        assert not any("plain path" in note for note in again.notes)
