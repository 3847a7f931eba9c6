"""Linear equations with bounded coefficients, against integration on a grid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from posteriors import close
from scipy import stats

import bayescausal as bc
from bayescausal.inference.hamiltonian import bounded as module
from bayescausal.inference.hierarchies import gibbs
from bayescausal.inference.sampling.refit import Refitter

METHOD = module.BoundedBlock.method
RNG = np.random.default_rng(8)
N = 40
X, Z = RNG.normal(size=(2, N))
Z = 0.9 * X + 0.4 * Z  # the posterior is far from a product


def model_of(priors, known=None):
    """y = a x + b z + noise, with the priors of a and b."""
    with pm.Model(coords={"unit": np.arange(N)}) as model:
        x, z = pm.Data("x", X, dims="unit"), pm.Data("z", Z, dims="unit")
        a, b = priors[0]("a"), priors[1]("b")
        sigma = pm.HalfNormal("s", 1) if known is None else known
        pm.Normal("y", a * x + b * z, sigma, dims="unit")
    return model


def expected(y, grids, log_prior):
    """Return mean and sd of a, b and s by summing over a grid that holds all of the posterior."""
    a, b, s = np.meshgrid(*grids, indexing="ij", sparse=True)
    sums = (
        y @ y
        - 2 * (a * (X @ y) + b * (Z @ y))
        + a**2 * (X @ X)
        + 2 * a * b * (X @ Z)
        + b**2 * (Z @ Z)
    )
    log = -N * np.log(s) - sums / 2 / s**2 + log_prior(a, b)
    log = log + (stats.halfnorm.logpdf(s) if len(grids[2]) > 1 else 0)
    p = np.exp(log - log.max())
    p /= p.sum()
    found = []
    for values in (a, b, s):
        mean = float((p * values).sum())
        found.append((mean, float(np.sqrt((p * (values - mean) ** 2).sum()))))
    return found


def cells(low, high, count=120):
    """Return the middles of cells."""
    step = (high - low) / count
    return low + step * (np.arange(count) + 0.5)


CASES = {
    "of one sign": (
        (lambda n: pm.HalfNormal(n, 0.5), lambda n: pm.Normal(n, 0, 1)),
        (cells(0, 1.5), cells(-1.5, 2.5)),
        lambda a, b: stats.halfnorm.logpdf(a, 0, 0.5) + stats.norm.logpdf(b),
    ),
    "between two": (
        (lambda n: pm.Uniform(n, -0.1, 0.3), lambda n: pm.Exponential(n, 2)),
        (cells(-0.1, 0.3), cells(0, 2)),
        lambda a, b: stats.expon.logpdf(b, scale=0.5) + 0 * a,
    ),
    "cut off": (
        (
            lambda n: pm.TruncatedNormal(n, 0.5, 0.3, lower=0.2, upper=0.6),
            lambda n: pm.TruncatedNormal(n, -1, 0.5, upper=0.1),
        ),
        (cells(0.2, 0.6), cells(-2, 0.1)),
        lambda a, b: stats.norm.logpdf(a, 0.5, 0.3) + stats.norm.logpdf(b, -1, 0.5),
    ),
}


@pytest.mark.parametrize("known", [None, 0.5])
@pytest.mark.parametrize("case", CASES)
def test_the_posterior_is_that_of_a_grid(case, known):
    priors, grids, log_prior = CASES[case]
    y = 0.1 * X + 0.4 * Z + 0.5 * RNG.normal(size=N)
    fit = bc.fit(model_of(priors, known), {"x": X, "z": Z, "y": y}, seed=1, progressbar=False)
    assert set(fit.methods.values()) == {METHOD}
    noise = np.array([known]) if known else cells(0.25, 1.5)
    right = expected(y, (*grids, noise), log_prior)
    for name, (mean, sd) in zip("ab" if known else "abs", right, strict=False):
        close(fit.posterior[name], mean, sd)


def test_an_estimate_far_beyond_the_bound_leaves_an_exponential():
    """Thirty standard deviations beyond, where rejection never accepts."""
    with pm.Model(coords={"unit": np.arange(N)}) as model:
        x = pm.Data("x", np.ones(N), dims="unit")
        pm.Normal("y", pm.HalfNormal("a", 10) * x, 1.0, dims="unit")
    y = np.full(N, -30 / np.sqrt(N))
    fit = bc.fit(model, {"x": np.ones(N), "y": y}, seed=1, progressbar=False)
    assert set(fit.methods.values()) == {METHOD}
    a = cells(0, 0.1, 100_000)
    p = np.exp(-N / 2 * a**2 + a * y.sum() - a**2 / 200)
    mean = float((p * a).sum() / p.sum())
    close(fit.posterior["a"], mean, np.sqrt(float((p * (a - mean) ** 2).sum() / p.sum())))


def test_units_of_measurement_do_not_matter():
    priors = CASES["of one sign"][0]
    y = 0.1 * X + 0.4 * Z + 0.5 * RNG.normal(size=N)
    with pm.Model(coords={"unit": np.arange(N)}) as large:
        x, z = pm.Data("x", X, dims="unit"), pm.Data("z", Z, dims="unit")
        mean = pm.HalfNormal("a", 0.5e6) * x + pm.Normal("b", 0, 1e6) * z
        pm.Normal("y", mean, pm.HalfNormal("s", 1e6), dims="unit")
    small = bc.fit(model_of(priors), {"x": X, "z": Z, "y": y}, seed=1, progressbar=False)
    wide = bc.fit(large, {"x": X, "z": Z, "y": 1e6 * y}, seed=1, progressbar=False)
    for name in "abs":
        right = small.posterior[name]
        close(wide.posterior[name] / 1e6, float(right.mean()), float(right.std()))


def frame(n=200):
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 3, n)
    t = rng.binomial(1, 0.5, n)
    return pd.DataFrame({"x": x, "t": t, "y": np.tanh(x) + t + 0.3 * rng.normal(size=n)})


def test_monotone_curves_need_no_compiler():
    data = frame()
    model = bc.model_from_formulas(["y ~ t + mono(x)"], data=data)
    fit = bc.fit(model, data, seed=1, progressbar=False)
    assert set(fit.methods.values()) == {METHOD}
    assert bool((fit.posterior["b_y_mono(x)"] > 0).all())
    again = Refitter(model, list(data), draws=250, chains=2).fit(data, seed=3)
    assert set(again.methods.values()) == {METHOD}
    one = bc.estimate(fit, bc.ATE("t", "y"))
    two = bc.estimate(again, bc.ATE("t", "y"))
    far = np.hypot(one.sd() / np.sqrt(1_000), two.sd() / np.sqrt(100))  # at the least so many
    assert abs(one.mean() - two.mean()) < 4 * far


def test_what_does_not_mix_is_left_to_another_method(monkeypatch):
    priors = CASES["of one sign"][0]
    y = 0.1 * X + 0.4 * Z + 0.5 * RNG.normal(size=N)
    monkeypatch.setattr(gibbs, "SEVERE", 0.5)
    monkeypatch.setattr(gibbs, "RHAT", 0.5)
    fit = bc.fit(model_of(priors), {"x": X, "z": Z, "y": y}, seed=1, progressbar=False)
    assert METHOD not in fit.methods.values()


def test_a_bound_or_a_spread_that_is_unknown_is_no_such_block():
    priors = (
        lambda n: pm.HalfNormal(n, pm.HalfNormal("tau", 1)),
        lambda n: pm.Normal(n, 0, 1),
    )
    y = 0.1 * X + 0.4 * Z + 0.5 * RNG.normal(size=N)
    fit = bc.fit(model_of(priors), {"x": X, "z": Z, "y": y}, seed=1, progressbar=False)
    assert METHOD not in fit.methods.values()
