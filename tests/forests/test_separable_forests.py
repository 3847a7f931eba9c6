"""Forests beside outcomes of independent rows: the compiled moves have the posterior."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats
from scipy.special import expit, ndtr

import bayescausal as bc
from bayescausal.draws.diagnostics import diagnose
from bayescausal.inference.forests import backfitting, row_densities, separable, tree_loops
from bayescausal.inference.forests.linear_forests import Extra, LinearForests, Spread
from bayescausal.inference.forests.moves import PRIOR
from bayescausal.inference.forests.reversible_jump import _Proposal
from bayescausal.inference.forests.spreads import Factors
from bayescausal.inference.sampling.families import Equation
from bayescausal.model.forests.op import forest_value
from bayescausal.model.forests.packed import evaluate_forests
from bayescausal.model.forests.prior import Forest, Shape, cuts_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def ess_of(draws):
    return float(diagnose(np.atleast_2d(draws)[None])["ess_bulk"][0])


#: The distribution given predictor, trials and shape.
LAWS = {
    "normal": lambda eta, k, a: stats.norm(eta, a),
    "poisson": lambda eta, k, a: stats.poisson(np.exp(eta)),
    "negative binomial": lambda eta, k, a: stats.nbinom(a, a / (a + np.exp(eta))),
    "gamma": lambda eta, k, a: stats.gamma(a, scale=np.exp(eta) / a),
}
DRAWS = {
    "normal": lambda rng, eta, k, a: rng.normal(eta, a),
    "logistic": lambda rng, eta, k, a: rng.binomial(k, expit(eta)),
    "probit": lambda rng, eta, k, a: rng.binomial(k, ndtr(eta)),
    "poisson": lambda rng, eta, k, a: rng.poisson(np.exp(eta)),
    "negative binomial": lambda rng, eta, k, a: rng.poisson(rng.gamma(a, np.exp(eta) / a)),
    "gamma": lambda rng, eta, k, a: rng.gamma(a, np.exp(eta) / a),
}
SHAPED = ("normal", "negative binomial", "gamma")


def log_density(family, y, eta, k, a):
    """Up to what does not read the parameters, without rounding in the tails."""
    if family in ("logistic", "probit"):
        law = stats.logistic if family == "logistic" else stats.norm
        return y * law.logcdf(eta) + (k - y) * law.logcdf(-eta)
    law = LAWS[family](eta, k, a)
    return law.logpdf(y) if family in ("normal", "gamma") else law.logpmf(y)


# -------------------------------------------------------------------------- densities


@pytest.mark.parametrize("family", row_densities.FAMILIES)
def test_rows_have_the_density_of_their_family_and_its_derivatives(family):
    """Up to a constant in the predictor; slopes are those that other samplers take."""
    eta = np.array([-40.0, -21.0, -19.0, -3.0, -0.4, 0.0, 1.3, 6.0, 12.0, 30.0])
    if family not in ("logistic", "probit"):
        eta = eta[(eta > -20) & (eta < 20)]
    for y in (0.0, 1.0, 3.0) if family != "gamma" else (0.3, 2.0):
        one = np.ones(len(eta))
        power = 1 if family == "gamma" else 0  # whose scale is exp(eta) / a
        rows = row_densities.Rows(
            row_densities.FAMILIES.index(family), y * one * 1.7**power, 3.0 * one, 1.7
        )
        with np.errstate(all="ignore"):
            right = log_density(family, y, eta, 3, 1.7)
        found = row_densities.heights(rows, eta)
        known = np.isfinite(right) & (right > -600)
        off = (found - right)[known]
        assert known.sum() >= 4
        np.testing.assert_allclose(off, off[-1], rtol=1e-9, atol=1e-9 * np.abs(right[known]).max())
        first, second = row_densities.slopes(rows, eta)
        same = Equation(family, eta, np.zeros((len(eta), 0)), rows.y, rows.trials, one)
        if family == "normal":
            right = (y - eta) / 1.7**2, one / 1.7**2
        else:
            right = same.slopes_at(eta, 1.7)
        np.testing.assert_allclose(first, right[0], rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(second, right[1], rtol=1e-6, atol=1e-12)


def test_both_engines_propose_leaves_with_the_same_density():
    for leaf, centre, scale in ((0.3, 0.1, 0.2), (-4.0, 2.0, 0.05), (8.0, -1.0, 0.3)):
        one = _Proposal(np.zeros(1, int), np.array([centre]), np.array([scale]), 1.4)
        right = stats.norm.logpdf(leaf, 0, 1.4) - one.log_density(np.array([leaf]))
        assert tree_loops._worth(leaf, centre, scale, 1.4) == pytest.approx(right, rel=1e-12)
    rng = np.random.default_rng(1)
    drawn = np.sort([tree_loops._drawn(rng, 0.7, 0.02, 2.0) for _ in range(4000)])
    right = (1 - PRIOR) * stats.t.cdf(drawn, 5, 0.7, 0.02) + PRIOR * stats.norm.cdf(drawn, 0, 2)
    off = np.abs(np.arange(1, 4001) / 4000 - right).max()
    assert off < 1.95 / np.sqrt(4000)  # Kolmogorov: one in a thousand


# ---------------------------------------------------------------- parameters and data


def world(family, seed=3):
    """Nine rows, two forests, two coefficients.

    The second forest has weights, some of them 0, a half-Normal spread, and a coefficient of the
    same numbers.
    """
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.arange(9.0) % 3, np.arange(9.0) // 3])
    size = 0.6 if family in ("poisson", "negative binomial") else 1.0
    shapes = (
        Shape(2, 0.5, 1.0, 0.2, size, cuts=cuts_of(x)),
        Shape(1, 0.6, 1.5, 0.0, size, weights=(1.0, 2.0), cuts=cuts_of(x)),
    )
    extra = None
    if family in SHAPED:
        extra = Extra("a", 1.0, lambda a: 3 * np.log(a) - 2 * a, 1.0)
    weight = np.array([0, 1, 0, 2, 1, -1, 0, 1, 1.0])
    return LinearForests(
        outcome="y", family=family, forests=("f", "g"), shapes=shapes, x=(x, x),
        weights=(np.ones(9), weight), y=np.ones(9), trials=np.full(9, 2.0),
        spreads=(None, Spread("s", 0.5, lambda s: -2 * s**2 if s > 0 else -np.inf)),
        offset=np.linspace(-0.3, 0.3, 9), design=np.column_stack([rng.normal(size=9), weight]),
        names={"b": (2,)}, middle=np.array([0.2, 0.0]), precision=np.diag([4.0, 1 / 0.09]),
        extra=extra, power=-1 if family == "gamma" else 0,
    )  # fmt: skip


def functions(chain):
    """What is compared: sizes of trees, values and their squares and products, coefficients."""
    f, g = chain.values
    nodes = [float((t.parent >= 0).sum()) for t in chain.trees]
    own = [
        f[0],
        f[0] ** 2,
        f[0] * f[8],
        g[4],
        g[4] * g[0],
        *chain.b,
        chain.b[0] ** 2,
        f[3] * chain.b[1],
    ]
    s = chain.spreads[1].value
    return [*nodes, nodes[0] ** 2, *own, np.log(chain.extra), s, s**2, s * g[4] * chain.b[1]]


def successive(family, steps, seed=1):
    """Alternate between data given parameters and a sweep given data, after Geweke (2004)."""
    chain = separable._Chain(world(family), np.random.SeedSequence(seed))
    rng = np.random.default_rng(seed)
    out = np.empty((steps, 16))
    for i in range(steps):
        y = DRAWS[family](rng, chain.eta, 2, chain.extra)
        chain.form = replace(chain.form, y=y.astype(float))
        chain._sweep()
        out[i] = functions(chain)
    return out[20:]


def prior(form, draws, seed=2):
    """Independent draws of the same functions."""
    rng, out = np.random.default_rng(seed), np.empty((draws, 16))

    for i in range(draws):
        one = SimpleNamespace()
        packed = [s.draw(rng) for s in form.shapes]
        one.values = [evaluate_forests(x, p) for x, p in zip(form.x, packed, strict=True)]
        one.trees = [tree_loops.Trees(*[np.zeros(int(p[3]))] * 7) for p in packed]
        one.b = form.middle + rng.normal(size=2) * np.diag(form.precision) ** -0.5
        one.extra = rng.gamma(4, 0.5) if form.extra else 1.0
        one.spreads = None, SimpleNamespace(value=abs(0.5 * rng.normal()))
        out[i] = functions(one)
    return out


def worst(found, right, least):
    """The largest difference of means, in standard errors of `least` independent draws or more."""
    off = []
    for one, two in zip(found.T, right.T, strict=True):
        if two.std() > 0:
            ess = max(ess_of(one), least)
            off.append(abs(one.mean() - two.mean()) / (two.std() * np.sqrt(1 / ess + 1 / len(two))))
    return max(off)


@pytest.mark.parametrize("family", row_densities.FAMILIES)
def test_parameters_and_data_in_turn_have_the_prior(family):
    """A sweep that leaves the posterior as it is leaves the joint law of both as it is.

    Sixteen functions of forests, coefficients, spread and shape; 4.4 standard errors are exceeded
    by one of all of them in a thousand runs.
    """
    found, right = successive(family, 3000), prior(world(family), 2000)
    assert min(ess_of(v) for v in found[:, right.std(axis=0) > 0].T) > 60
    assert worst(found, right, 1) < 4.4


def python_loops(monkeypatch, **faults):
    """Run the compiled moves as plain Python, some of them replaced."""
    names = ("sweep", "_jump", "_leaves", "_choice", "_look", "_put")
    for name in names:
        monkeypatch.setattr(tree_loops, name, getattr(tree_loops, name).py_func)
    for name, fault in faults.items():
        monkeypatch.setattr(tree_loops, name, fault)


SPLITS, WORTH, CHOICE = tree_loops._splits, tree_loops._worth, tree_loops._choice
FAULTS = {
    "priors of splits": {"_splits": lambda prior, depth: SPLITS(prior, depth) + 0.7},
    "leaves as if proposed by the prior": {"_worth": lambda leaf, c, h, spread: 0.0},
    "choices without their chances": {
        "_choice": lambda rng, prior, trees, j: (*CHOICE(rng, prior, trees, j)[:2], 0.0)
    },
}


LEAVES = Factors.given_leaves


@pytest.mark.parametrize("fault", [None, *FAULTS, "a spread that counts leaves twice"])
def test_a_wrong_ratio_is_seen(fault, monkeypatch):
    """The test before this can fail: by far, in fewer steps."""
    python_loops(monkeypatch, **FAULTS.get(fault, {}))
    if fault and fault not in FAULTS:
        twice = lambda self, squares, count, leaf: LEAVES(self, squares, 2 * count, leaf)  # noqa: E731
        monkeypatch.setattr(Factors, "given_leaves", twice)
    off = worst(successive("poisson", 900), prior(world("poisson"), 1000), 50)
    assert off < 4 if fault is None else off > 6


# --------------------------------------------------------------------- whole equations


@pytest.mark.parametrize("family", row_densities.FAMILIES)
def test_a_forest_on_two_values_has_the_posterior_of_enumeration(family, monkeypatch):
    """As beside other samplers, with numbers before the forest, a coefficient and a shape.

    Each of m trees splits on x or not; values of K split trees are Normal, and mixed over K. Their
    joint density times the likelihood on a grid of both values, coefficient and shape gives means
    and standard deviations.
    """
    monkeypatch.setattr(backfitting, "has_engine", lambda: False)
    n, m, s = 40, 3, 1.2
    x, w, c = np.repeat([0.0, 1.0], 20), 1 + np.arange(n) % 2, np.arange(n) // 2 % 2 - 0.5
    k, offset = 2, np.where(np.arange(n) % 5, 0.0, 0.3)
    rng = np.random.default_rng(4)
    y = DRAWS[family](rng, offset + 0.4 * w * (x - 0.5) + 0.5 * c, k, 2.0).astype(float)
    with pm.Model(coords={"unit": range(n)}) as model:
        X, W, C, known = (
            pm.Data(v, q, dims="unit") for v, q in zip("xwco", (x, w, c, offset), strict=True)
        )
        columns = pt.stack([X], axis=1)
        packed = Forest("f_forest", Shape(m, 0.95, 2.0, 0.0, s, cuts=cuts_of(x[:, None])))
        f = pm.Deterministic("f", forest_value(columns, packed), dims="unit")
        eta = known + W * f + C * pm.Normal("b", 0.3, 0.7)
        a = pm.Gamma("a", 6, 3) if family in SHAPED else 1.0
        mean = pm.math.exp(eta)
        {
            "normal": lambda: pm.Normal("y", eta, a, dims="unit"),
            "logistic": lambda: pm.Binomial("y", n=k, logit_p=eta, dims="unit"),
            "probit": lambda: pm.Binomial("y", n=k, p=pm.math.invprobit(eta), dims="unit"),
            "poisson": lambda: pm.Poisson("y", mean, dims="unit"),
            "negative binomial": lambda: pm.NegativeBinomial("y", mu=mean, alpha=a, dims="unit"),
            "gamma": lambda: pm.Gamma("y", alpha=a, beta=a / mean, dims="unit"),
        }[family]()
    held = y if family in ("normal", "gamma") else y.astype(int)
    fit = bc.fit(model, pd.DataFrame({"y": held}), draws=700, chains=2, tune=100, seed=3,
                 progressbar=False, cores=1)  # fmt: skip
    assert set(fit.methods.values()) == {"reversible jump"}
    value = evaluate_forests(np.array([[0.0], [1.0]]), fit.posterior["f_forest"].values)
    found = [value[..., 0], value[..., 1], fit.posterior["b"].values]
    if family in SHAPED:
        found.append(fit.posterior["a"].values)
    grid, slopes = np.linspace(-4, 4, 101), np.linspace(-2, 2.6, 31)
    shapes = np.linspace(0.3, 6.3, 31) if family in SHAPED else np.ones(1)
    side = []
    for rows in (x == 0, x == 1):
        eta = offset[rows] + w[rows] * grid[:, None, None, None]
        eta = eta + c[rows] * slopes[:, None, None]
        log = log_density(family, y[rows], eta, k, shapes[:, None]).sum(axis=-1)
        side.append(np.exp(log - log.max()).reshape(len(grid), -1))
    prior = np.zeros((len(grid), len(grid)))
    both = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    for split in range(1, m + 1):
        cov = s**2 * np.array([[1, (m - split) / m], [(m - split) / m, 1]])
        prior += stats.binom.pmf(split, m, 0.95) * stats.multivariate_normal([0, 0], cov).pdf(both)
    own = np.outer(stats.norm.pdf(slopes, 0.3, 0.7), stats.gamma.pdf(shapes, 6, scale=1 / 3))
    values = prior * ((side[0] * own.ravel()) @ side[1].T)
    rest = own * np.einsum("ik,ij,jk->k", side[0], prior, side[1]).reshape(own.shape)
    marginals = [
        (grid, values.sum(1)),
        (grid, values.sum(0)),
        (slopes, rest.sum(1)),
        (shapes, rest.sum(0)),
    ]
    for draws, (axis, weight) in zip(found, marginals, strict=False):
        weight = weight / weight.sum()
        mean = weight @ axis
        sd = np.sqrt(weight @ (axis - mean) ** 2)
        ess = ess_of(draws)
        assert ess > 150
        assert abs(draws.mean() - mean) < 4 * sd / np.sqrt(ess)
        assert abs(draws.std() / sd - 1) < 4 / np.sqrt(2 * min(ess, ess_of((draws - mean) ** 2)))


@pytest.mark.slow
def test_the_sampler_of_any_likelihood_agrees():
    """`method="nuts"` leaves an equation to it; effects that differ, a count with a shape."""
    rng = np.random.default_rng(1)
    n = 60
    x, z, t = rng.normal(size=n), rng.normal(size=n), rng.binomial(1, 0.5, n)
    mean = np.exp(0.5 + 0.4 * np.sin(x) + t * (0.3 + 0.3 * (x > 0)) + 0.2 * z)
    data = pd.DataFrame({"x": x, "z": z, "t": t, "y": rng.poisson(mean * rng.gamma(3, 1 / 3, n))})
    model = bc.model_from_formulas(
        ["y ~ z + t * bart(x, m=3)"], families={"y": "negative_binomial"}, data=data
    )
    options = {"draws": 600, "chains": 2, "seed": 2, "progressbar": False}
    fits = [bc.fit(model, data, tune=300, method=m, **options) for m in ("auto", "nuts")]
    assert [len(f.methods) for f in fits] == [1, 2]
    assert "nuts" in fits[1].methods.values()
    rows = data[["x"]].to_numpy()[:8]
    for name in fits[0].posterior:
        one, two = (f.posterior[name].values for f in fits)
        if name in fits[0].forests:
            one, two = (np.moveaxis(evaluate_forests(rows, v), -1, 0) for v in (one, two))
        else:
            one, two = one[None], two[None]
        for a, b in zip(one, two, strict=True):
            error = np.sqrt(a.var() / ess_of(a) + b.var() / ess_of(b))
            assert abs(a.mean() - b.mean()) < 4 * error, name
