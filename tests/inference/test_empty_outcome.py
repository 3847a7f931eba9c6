"""Empty cells of an outcome that nothing reads leave the closed form as it is.

Siblings looked at: known and unknown spread, two outcomes, another equation with its own rows, an
outcome that is read, one that shares its parameters, a group index, NaN in ``observed=``; outcomes
without a closed form, by sufficient statistics, distinct rows, all rows, the Laplace approximation
and the density that is kept between refits; skewed, heavy-tailed and discrete-looking families.
"""

from __future__ import annotations

import warnings

import arviz_stats as az
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.inference.sampling.few import METHOD
from bayescausal.sensitivity.confounding.confounder import place_confounder
from bayescausal.sensitivity.confounding.strength_grid import Cells

N = 80
RNG = np.random.default_rng(9)
X = RNG.normal(size=N)
Y = 1 + 2 * X + RNG.normal(size=N)
EMPTY = RNG.random(N) < 0.25
HOLES = np.where(EMPTY, np.nan, Y)
G = np.arange(N) % 3
QUICK = {"draws": 1000, "chains": 2, "seed": 1, "progressbar": False}


def linear(kind: str = "") -> pm.Model:
    with pm.Model(coords={"unit": [0], "group": range(3)}) as model:
        m = pm.Normal("m", 0, 3)
        x = pm.Normal("x", m, 1, dims="unit")
        g = pm.Data("g", [0], dims="unit")
        a, b = pm.Normal("a", 0, 9, dims="group"), pm.Normal("b", 0, 9)
        s = 1 if kind == "known" else pm.InverseGamma("v", 3, 3) ** 0.5
        y = pm.Normal("y", a[g] + b * x, s, dims="unit")
        if kind == "read":
            pm.Normal("w", pm.Normal("c") * y, 1, dims="unit")
        if kind == "shared":
            pm.Normal("w", b * x, 1, dims="unit")
    return model


@pytest.mark.parametrize("kind", ["known", "unknown"])
def test_empty_rows_add_nothing_and_the_form_stays_closed(kind: str):
    some = bc.fit(linear(kind), {"x": X, "g": G, "y": HOLES}, **QUICK)
    seen = bc.fit(linear(kind), {"x": X[~EMPTY], "g": G[~EMPTY], "y": Y[~EMPTY]}, **QUICK)
    every = bc.fit(linear(kind), {"x": X, "g": G, "y": Y}, **QUICK)
    form = next(iter(every.methods.values())).partition(" (")[0]
    assert {m.partition(" (")[0] for m in some.methods.values()} == {form}
    for name in ("a", "b"):
        assert some.posterior[name].values == pytest.approx(seen.posterior[name].values)
    assert some.posterior["m"].values == pytest.approx(every.posterior["m"].values)
    cells = some.value("y")[:, EMPTY]
    draws = some.posterior.stack(sample=("chain", "draw"))
    mu = draws["a"].values[G[EMPTY]].T + draws["b"].values[:, None] * X[EMPTY]
    sd = np.sqrt(draws["v"].values)[:, None] if "v" in draws else 1.0
    z = (cells - mu) / sd
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / z.size)
    assert np.abs(np.corrcoef(z.T) - np.eye(EMPTY.sum())).max() < 5 / np.sqrt(len(z))
    effect = bc.estimate(some, bc.ATE("x", "y"))
    assert effect.mean() == pytest.approx(float(seen.posterior["b"].mean()))
    assert any("cells are empty" in note for note in some.notes)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["read", "shared"])
def test_an_outcome_that_is_read_or_shares_its_coefficients_is_not_cut(kind: str):
    w = Y + RNG.normal(size=N)
    fit = bc.fit(linear(kind), {"x": X, "g": G, "y": HOLES, "w": w}, **{**QUICK, "draws": 200})
    assert "y_unobserved" in fit.posterior
    assert not fit.methods.get("y_unobserved", "").startswith("conjugate")


def test_nan_that_the_model_was_given_does_the_same():
    with (
        warnings.catch_warnings(action="ignore"),
        pm.Model(coords={"unit": range(N)}) as model,
    ):
        x = pm.Data("x", X, dims="unit")
        a, b = pm.Normal("a", 0, 9), pm.Normal("b", 0, 9)
        pm.Normal("y", a + b * x, 1, dims="unit", observed=HOLES)
    fit = bc.fit(model, **QUICK)
    design = np.c_[np.ones((~EMPTY).sum()), X[~EMPTY]]
    cov = np.linalg.inv(design.T @ design + np.eye(2) / 81)
    right = cov @ design.T @ Y[~EMPTY]
    assert all(m.startswith("conjugate") for m in fit.methods.values()), fit.methods
    for name, mean, sd in zip("ab", right, np.sqrt(np.diag(cov)), strict=True):
        assert float(fit.posterior[name].mean()) == pytest.approx(mean, abs=4 * sd / 2000**0.5)


#: Outcomes without a closed form: their laws in PyMC and in scipy.
LAWS = {
    "sums": (pm.Normal, lambda a, x: {"mu": a + x, "sigma": 1}),
    "log sums": (pm.LogNormal, lambda a, x: {"mu": a + x, "sigma": 1}),
    "cells": (pm.StudentT, lambda a, x: {"nu": 4, "mu": a, "sigma": 1}),
    "rows": (pm.StudentT, lambda a, x: {"nu": 4, "mu": a + x, "sigma": 1}),
    "gamma": (pm.Gamma, lambda a, x: {"alpha": 2, "beta": pm.math.exp(-a - x)}),
    "curved": (pm.Normal, lambda a, x: {"mu": pm.math.exp(a) + x, "sigma": 1}),
}
FORMS = {
    "sums": lambda a, x: stats.norm(a + x),
    "log sums": lambda a, x: stats.lognorm(1, 0, np.exp(a + x)),
    "cells": lambda a, x: stats.t(4, a + 0 * x),
    "rows": lambda a, x: stats.t(4, a + x),
    "gamma": lambda a, x: stats.gamma(2, 0, np.exp(a + x)),
    "curved": lambda a, x: stats.norm(np.exp(a) + x),
}


def outcome(kind: str) -> tuple[pm.Model, dict[str, np.ndarray]]:
    """Return a model with one unknown, of a prior that has no closed form, and data with gaps."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Data("x", [0.0], dims="unit")
        a = pm.StudentT("a", nu=3, mu=0, sigma=2)
        law, inputs = LAWS[kind]
        law("y", **inputs(a, x), dims="unit")
    y = FORMS[kind](0.5, X).rvs(N, random_state=np.random.default_rng(3))
    return model, {"x": X, "y": np.where(EMPTY, np.nan, y)}


def check(kind: str, fit: bc.Fit, data: dict[str, np.ndarray]) -> None:
    """Compare a posterior with the sum over a grid, and its cells with their law."""
    grid = np.linspace(-2, 3, 2001)
    rows = FORMS[kind](grid[:, None], X[~EMPTY]).logpdf(data["y"][~EMPTY]).sum(axis=1)
    weight = np.exp(rows - rows.max()) * stats.t(3, 0, 2).pdf(grid)
    mean = np.average(grid, weights=weight)
    sd = np.sqrt(np.average((grid - mean) ** 2, weights=weight))
    draws = fit.posterior["a"].values.ravel()
    error = 4 * sd / np.sqrt(float(az.ess(fit.posterior["a"].values)))
    assert draws.mean() == pytest.approx(mean, abs=error)
    assert draws.std() == pytest.approx(sd, rel=0.2)
    cells = fit.value("y")[:, EMPTY]
    level = FORMS[kind](draws[:, None], X[EMPTY]).cdf(cells)
    assert stats.kstest(level.ravel(), "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(level.T) - np.eye(EMPTY.sum())).max() < 5 / np.sqrt(len(level))
    assert fit.methods["y_unobserved"] == "drawn given the rest"
    if "sample_stats" in fit.draws.children:
        assert not [n for n in fit.draws["sample_stats"].dims if "y" in str(n)]


@pytest.mark.parametrize("kind", LAWS)
def test_other_forms_leave_empty_rows_out_too(kind: str):
    model, data = outcome(kind)
    fit = bc.fit(model, data, **QUICK)
    check(kind, fit, data)
    count = int((~EMPTY).sum())
    if "sums" in kind:
        assert fit.methods["a"] == "compressed (nuts)"
        assert any(f"1 terms for {count} rows" in note for note in fit.notes)
    if kind == "cells":
        assert fit.methods["a"] == METHOD  # no two rows are equal


@pytest.mark.parametrize("kind", ["sums", "rows"])
def test_what_is_kept_between_refits_leaves_them_out_as_data(kind: str):
    model, data = outcome(kind)
    options = {k: v for k, v in QUICK.items() if k != "seed"}
    refitter = bc.Refitter(model, ["y"], **options)
    first = refitter.fit(data, seed=1)
    assert not any("plain path" in note for note in first.notes)
    check(kind, first, data)
    again = {**data, "y": np.roll(data["y"], 7)}  # other cells are empty, nothing is compiled
    [recipe] = refitter._recipes.values()
    second = refitter.fit(again, seed=1)
    assert [r is recipe for r in refitter._recipes.values()] == [True]
    assert second.posterior.sizes["y_unobserved_dim_0"] == EMPTY.sum()
    assert refitter.fit(data, seed=1).posterior.equals(first.posterior)


def test_a_refit_with_a_closed_form_keeps_it():
    data = {"x": X, "g": G, "y": HOLES}
    refitter = bc.Refitter(linear("unknown"), ["x", "y"], draws=500, chains=2)
    refit, fit = (
        refitter.fit(data, seed=1),
        bc.fit(linear("unknown"), data, **{**QUICK, "draws": 500}),
    )
    assert not any("plain path" in note for note in refit.notes)
    assert refit.methods == fit.methods
    assert all(how.startswith("conjugate") for how in refit.methods.values())
    for name in fit.posterior.data_vars:
        assert np.array_equal(refit.posterior[name], fit.posterior[name]), name


def test_a_latent_class_of_units_is_summed_out_of_the_rows_that_are_seen():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.4, dims="unit")
        a = pm.Normal("a", 0, 3)
        pm.Normal("y", a + 3 * z, 1, dims="unit")
    y = np.where(EMPTY, np.nan, 0.5 + 3 * (RNG.random(N) < 0.4) + RNG.normal(size=N))
    fit = bc.fit(model, {"y": y}, **QUICK)
    grid = np.linspace(-2, 3, 2001)[:, None]
    law = stats.norm.pdf
    rows = np.log(0.6 * law(y[~EMPTY], grid, 1) + 0.4 * law(y[~EMPTY], grid + 3, 1)).sum(axis=1)
    weight = np.exp(rows - rows.max()) * law(grid[:, 0], 0, 3)
    mean = np.average(grid[:, 0], weights=weight)
    draws = fit.posterior["a"].values
    assert draws.mean() == pytest.approx(mean, abs=4 * draws.std() / az.ess(draws) ** 0.5)
    assert fit.methods["y_unobserved"] == "drawn given the rest"
    z = fit.value("y")[:, EMPTY] - draws.reshape(-1, 1) - 3 * fit.value("z")[:, EMPTY]
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    seen = fit.value("z")[:, EMPTY].mean()
    assert seen == pytest.approx(0.4, abs=5 * np.sqrt(0.24 / z.size))


def test_a_hidden_confounder_is_summed_out_of_the_rows_that_are_seen():
    with pm.Model(coords={"unit": [0]}) as model:
        a, b = pm.Normal("a"), pm.Normal("b")
        x = pm.Bernoulli("x", logit_p=a, dims="unit")
        pm.Normal("y", b * x, 1, dims="unit")
    x = (X > 0).astype(int)
    y = np.where(EMPTY, np.nan, x + RNG.normal(size=N))
    fit = bc.fit(model, {"x": x, "y": y}, **QUICK)
    where = place_confounder(fit, bc.ATE("x", "y"))
    cells = Cells(fit, where, draws=100, chains=2)
    made = cells.fit(0.5, 1.0, seed=1)
    assert cells.methods == {"importance": 1, "nuts": 0}
    assert made.value("y").shape == (200, N)

    def density(a: float, b: float) -> float:
        total = np.zeros(N)
        for u in (-0.5, 0.5):
            p = 1 / (1 + np.exp(-a - 0.5 * u))
            total += (
                0.5
                * np.where(x, p, 1 - p)
                * np.where(EMPTY, 1.0, stats.norm.pdf(y, b * x + 1.0 * u, 1))
            )
        return float(np.log(total).sum() + stats.norm.logpdf([a, b]).sum())

    found = cells.sampled.compile_logp()
    places = [{"a": 0.0, "b": 0.0}, {"a": 0.7, "b": -1.2}]
    assert np.diff([found(p) for p in places]) == pytest.approx(
        np.diff([density(**p) for p in places])
    )


def test_generalised_equations_keep_their_methods_and_their_draws():
    """The rows that are seen, alone, are the oracle: empty ones add nothing, in any equation."""
    rng = np.random.default_rng(4)
    t = rng.binomial(1, 1 / (1 + np.exp(-X)))
    y = rng.gamma(3, np.exp(0.3 * X + 0.5 * t + 0.4 * G) / 3)
    data = pd.DataFrame({"x": X, "t": t, "g": np.array(["a", "b", "c"])[G], "y": y})
    empty = data.assign(y=np.where(EMPTY, np.nan, y))
    forms, families = ["t ~ x", "y ~ t + x + (1 | g)"], {"t": "bernoulli", "y": "gamma"}
    model = bc.model_from_formulas(forms, data=data, families=families)
    seen, some = (bc.fit(model, rows, **QUICK) for rows in (data[~EMPTY], empty))
    whole = bc.fit(model, data, **QUICK)
    again = bc.Refitter(model, data.columns, draws=1000, chains=2).fit(empty, seed=1)
    for fit in (some, again):
        methods = {k: v for k, v in fit.methods.items() if k != "y_unobserved"}
        assert methods == whole.methods
        for name in ("b_y_t", "b_y_x"):
            assert fit.posterior[name].values == pytest.approx(seen.posterior[name].values)
        assert fit.posterior["b_t_x"].values == pytest.approx(whole.posterior["b_t_x"].values)


def test_counts_without_a_column_are_drawn_from_their_equations():
    """Known parameters, covariates alone: y reads a count m that has no column either.

    m ~ Poisson(exp(x)) and y ~ Binomial(m, 1/4) given it, so that y ~ Poisson(exp(x) / 4).
    """
    n = 4000
    x = np.random.default_rng(5).normal(0, 0.5, n)
    with pm.Model(coords={"unit": [0]}) as model:
        X = pm.Data("x", [0.0], dims="unit")
        b = pm.Normal("b")
        m = pm.Poisson("m", pm.math.exp(b * X), dims="unit")
        pm.Binomial("y", m, 0.25, dims="unit")
    with warnings.catch_warnings():
        warnings.simplefilter("error", bc.FitWarning)  # "sampled by a slow compound step"
        known = bc.truth(model, {"b": 1.0}, data={"x": x}, seed=3)
    m, y = (known.value(name).ravel() for name in "my")
    assert (y <= m).all()
    for found, mean in ((m, np.exp(x)), (y, np.exp(x) / 4)):
        assert abs(found.sum() - mean.sum()) < 4 * np.sqrt(mean.sum())
        square = (found - mean) ** 2 / mean  # of a count: mean 1, variance 2 + 1 / mean
        assert abs(square.mean() - 1) < 4 * np.sqrt(np.mean(2 + 1 / mean) / n)
