"""Exact draws of conjugate counts, and the one-dimensional sampler."""

from __future__ import annotations

import re

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.inference.closed_forms.blocks import split
from bayescausal.inference.closed_forms.counts import CountBlock, count_block
from bayescausal.inference.closed_forms.one_dimension import Line, cell_masses, draw_line
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.inference.conditioning.row_sums import accumulate
from bayescausal.model.structure.read import structure_of

S = 20_000
LEVEL = 1e-4


def block_of(model, columns, unknown):
    structure = structure_of(model)
    found = next(b for b in split(structure, set(columns), ()) if unknown in b.unknowns)
    return structure, count_block(structure, found, set(columns))


def exact(model, data, unknown):
    structure, block = block_of(model, data, unknown)
    assert isinstance(block, CountBlock), block
    return block.draw(accumulate(block, structure, data), S, 1)


def follows(draws, law):
    return stats.kstest(draws, law.cdf).pvalue > LEVEL


def test_kidney_stones_are_five_beta_laws():
    stones = bc.datasets.kidney_stones()
    fit = bc.fit(stones.model, stones.data, seed=1, draws=5000, chains=4, progressbar=False)
    assert set(fit.methods.values()) == {"conjugate (Beta)"}
    p = fit.posterior["p_success"].sel(arm="A", size="large").values.reshape(-1)
    assert follows(p, stats.beta(1 + 192, 1 + 71))
    assert follows(fit.posterior["p_large"].values.reshape(-1), stats.beta(1 + 343, 1 + 357))
    effect = bc.estimate(fit, bc.ATE("treatment", "success"))
    mean, sd = (stones.answers[f"posterior {k}, sample"] for k in ("mean", "sd"))
    assert abs(effect.mean() - mean) < 4.5 * sd / np.sqrt(20_000)


def test_a_probability_may_be_picked_by_switch_product_or_complement():
    rng = np.random.default_rng(1)
    x, z = rng.integers(2, size=80), rng.integers(2, size=80)
    y = rng.integers(2, size=80)
    ways = {
        "switch": lambda p, q, x: pt.switch(x, p, q),
        "product": lambda p, q, x: p * x + q * (1 - x),
        "complement": lambda p, q, x: pt.switch(x, p, 1 - q),
    }
    for name, way in ways.items():
        with pm.Model(coords={"unit": [0]}) as model:
            xv = pm.Bernoulli("x", 0.5, dims="unit")
            p, q = pm.Beta("p", 2, 3), pm.Uniform("q")
            pm.Bernoulli("y", way(p, q, xv), dims="unit")
        draws = exact(model, {"x": x, "y": y}, "p")
        a, n = y[x == 1].sum(), (x == 1).sum()
        assert follows(draws["p"], stats.beta(2 + a, 3 + n - a)), name
        a, n = y[x == 0].sum(), (x == 0).sum()
        a = n - a if name == "complement" else a
        assert follows(draws["q"], stats.beta(1 + a, 1 + n - a)), name
    assert z.size == 80


def test_binomial_geometric_poisson_and_categorical():
    rng = np.random.default_rng(2)
    n = 60
    g = rng.integers(3, size=n)
    exposure = rng.uniform(0.5, 2, size=n)
    with pm.Model(coords={"unit": [0], "g3": range(3), "c": range(4)}) as model:
        gv = pm.Data("g", np.zeros(1, dtype=int), dims="unit")
        ev = pm.Data("e", np.ones(1), dims="unit")
        p = pm.Beta("p", 1, 2, dims="g3")
        r = pm.Beta("r", 1, 1)
        lam, mu = pm.Gamma("lam", 2, 3, dims="g3"), pm.Exponential("mu", 0.5)
        table = pm.Dirichlet("table", np.ones((3, 4)), dims=("g3", "c"))
        pm.Binomial("b", 5, p[gv], dims="unit")
        pm.Geometric("t", r, dims="unit")
        pm.Poisson("k", lam[gv] * ev, dims="unit")
        pm.Poisson("m", mu, dims="unit")
        pm.Categorical("h", p=table[gv], dims="unit")
    data = {
        "g": g,
        "e": exposure,
        "b": rng.binomial(5, 0.4, n),
        "t": rng.geometric(0.3, n),
        "k": rng.poisson(exposure),
        "m": rng.poisson(2, n),
        "h": rng.integers(4, size=n),
    }
    p = exact(model, data, "p")["p"]
    lam = exact(model, data, "lam")["lam"]
    table = exact(model, data, "table")["table"]
    for level in range(3):
        on = g == level
        assert follows(
            p[:, level], stats.beta(1 + data["b"][on].sum(), 2 + (5 - data["b"][on]).sum())
        )
        law = stats.gamma(2 + data["k"][on].sum(), scale=1 / (3 + exposure[on].sum()))
        assert follows(lam[:, level], law)
        seen = np.bincount(data["h"][on], minlength=4)
        assert follows(table[:, level, 2], stats.beta(1 + seen[2], 3 + seen.sum() - seen[2]))
    np.testing.assert_allclose(table.sum(axis=-1), 1.0)
    r = exact(model, data, "r")["r"]
    assert follows(r, stats.beta(1 + n, 1 + (data["t"] - 1).sum()))
    mu = exact(model, data, "mu")["mu"]
    assert follows(mu, stats.gamma(1 + data["m"].sum(), scale=1 / (0.5 + n)))


REFUSED = {
    "a logit": (
        lambda x: pm.Bernoulli("y", logit_p=pm.Normal("b") * x, dims="unit"),
        "not of one conjugate family",
    ),
    "half of a probability": (
        lambda x: pm.Bernoulli("y", p=pm.Beta("b", 1, 1) / 2, dims="unit"),
        "NUMBERS:not one of the unknowns",
    ),
    "a mean of two": (
        lambda x: pm.Bernoulli("y", p=(pm.Beta("b", 1, 1) + pm.Beta("c", 1, 1)) / 2, dims="unit"),
        "NUMBERS:several unknowns",
    ),
    "a mixed prior": (
        lambda x: pm.Bernoulli("y", p=pm.Uniform("b", 0, 0.5), dims="unit"),
        "prior of 'b' is not conjugate",
    ),
    "another law": (
        lambda x: pm.NegativeBinomial("y", mu=pm.Gamma("b", 1, 1), alpha=1, dims="unit"),
        "not conjugate to its prior",
    ),
    "a hierarchical prior": (
        lambda x: pm.Bernoulli("y", p=pm.Beta("b", pm.Gamma("c", 1, 1), 1), dims="unit"),
        "not of one conjugate family",
    ),
    "an unknown number of trials": (
        lambda x: pm.Binomial("y", 3, pm.math.sqr(pm.Beta("b", 1, 1)), dims="unit"),
        "not an entry of its unknowns",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_conjugate_is_refused(name):
    build, reason = REFUSED[name]
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        build(x)
    data = {"x": np.zeros(4), "y": np.array([0, 1, 1, 0])}
    structure, found = block_of(model, data, "b")
    if reason.startswith("NUMBERS:"):
        from bayescausal.inference.closed_forms.affine import NotAffineError

        with pytest.raises(NotAffineError, match=reason.removeprefix("NUMBERS:")):
            accumulate(found, structure, data)
        fit = bc.fit(model, data, draws=400, tune=400, chains=2, seed=1, progressbar=False)
        assert all("conjugate" not in m for m in fit.methods.values())
    else:
        assert isinstance(found, str)
        assert re.search(reason, found), found


def test_a_block_per_table_and_statistics_that_add():
    stones = bc.datasets.kidney_stones()
    structure = structure_of(stones.model)
    plan = make_plan(structure, set(stones.data.columns))
    assert [s.names for s in plan.samplers] == [("p_large",), ("p_treatment",), ("p_success",)]
    rows = bc.fit(stones.model, stones.data, seed=1, draws=10, chains=1, progressbar=False).columns
    block = plan.samplers[2]
    whole, parts = (accumulate(block, structure, rows, rows=k) for k in (10_000, 13))
    np.testing.assert_array_equal(whole.first, parts.first)
    np.testing.assert_array_equal(whole.second, parts.second)
    cells = stones.data.groupby(list(stones.data.columns)).size().reset_index(name="count")
    codes = {"treatment": {"B": 0, "A": 1}, "large": {"small": 0, "large": 1}}
    columns = {
        n: np.array([codes.get(n, {}).get(v, v) for v in cells[n]]) for n in stones.data.columns
    }
    counted = block.statistics(columns, cells["count"].to_numpy())
    np.testing.assert_array_equal(whole.first, counted.first)


LAWS = {
    "normal": (stats.norm(3, 0.2), -np.inf, np.inf),
    "far and narrow": (stats.norm(1e4, 1e-3), -np.inf, np.inf),
    "gamma": (stats.gamma(0.7), 0, np.inf),
    "tiny scale": (stats.expon(scale=1e-9), 0, np.inf),
    "two humps": (None, -np.inf, np.inf),
    "beta": (stats.beta(0.8, 3), 0, 1),
    "upper end": (stats.uniform(-1, 1), -np.inf, 0),
    "heavy tail": (stats.cauchy(1, 0.1), -np.inf, np.inf),
}


@pytest.mark.parametrize("name", LAWS)
def test_draws_on_a_line(name):
    law, low, high = LAWS[name]
    rng = np.random.default_rng(4)
    if law is None:
        one, two = stats.norm(-2, 0.5), stats.norm(2, 0.5)
        draws = draw_line(
            lambda t: np.logaddexp(one.logpdf(t), two.logpdf(t) + np.log(3)),
            Line(low, high), 50_000, rng,
        )  # fmt: skip
        assert stats.kstest(draws, lambda q: (one.cdf(q) + 3 * two.cdf(q)) / 4).pvalue > LEVEL
        return
    draws = draw_line(law.logpdf, Line(low, high), 50_000, rng)
    assert stats.kstest(draws, law.cdf).pvalue > LEVEL


def test_the_grid_is_fine_enough():
    """The stated error, width^2 |curvature| / 8, holds; a coarse grid shows that it can be seen."""
    law = stats.logistic()
    points = np.linspace(-20, 20, 4_001)

    def error(every):
        mass, _ = cell_masses(law.logpdf(points[::every]))
        return np.max(np.abs(np.cumsum(mass) / mass.sum() - law.cdf(points[::every][1:])))

    assert error(1) < 0.01**2 * 0.5 / 8
    assert error(100) > 1e-3


def test_nothing_to_draw_is_refused():
    with pytest.raises(ArithmeticError, match="zero, or not finite"):
        draw_line(lambda t: np.full_like(t, -np.inf), Line(0, 1), 5, np.random.default_rng(1))


@pytest.mark.slow
def test_ten_thousand_exact_replicates_of_counts_are_calibrated():
    """Ranks of the truth among exact draws are uniform: 99% simultaneous bands for all together.

    A probability by cell (Beta), shares (Dirichlet) and a rate with exposure (Gamma), each from its
    prior, data from them, 99 draws of the posterior.
    """
    with pm.Model(coords={"unit": [0], "cell": range(2), "kind": range(3)}) as model:
        x = pm.Bernoulli("x", 0.4, dims="unit")
        time = pm.Data("time", [1.0], dims="unit")
        p = pm.Beta("p", 2, 3, dims="cell")
        q = pm.Dirichlet("q", [1.0, 2.0, 0.5], dims="kind")
        r = pm.Gamma("r", 2, 1)
        pm.Bernoulli("y", p[x], dims="unit")
        pm.Categorical("k", q, dims="unit")
        pm.Poisson("c", r * time, dims="unit")
    n, draws, units = 10_000, 99, 12
    rng = np.random.default_rng(17)
    seen = ("x", "y", "k", "c", "time")
    blocks = {name: block_of(model, seen, name) for name in ("p", "q", "r")}
    ranks = {k: np.empty(n) for k in ("p0", "p1", "q0", "q1", "q2", "r")}
    for i in range(n):
        truth = {"p": rng.beta(2, 3, 2), "q": rng.dirichlet([1.0, 2.0, 0.5]), "r": rng.gamma(2)}
        flags, hours = rng.binomial(1, 0.4, units), rng.uniform(0.5, 2, units)
        data = {
            "x": flags,
            "time": hours,
            "y": rng.binomial(1, truth["p"][flags]),
            "k": rng.choice(3, size=units, p=truth["q"]),
            "c": rng.poisson(truth["r"] * hours),
        }
        for name, (structure, block) in blocks.items():
            found = block.draw(accumulate(block, structure, data), draws, [17, i])[name]
            below = np.sum(found < truth[name], axis=0)
            for j, rank in enumerate(np.atleast_1d(below)):
                ranks[name if name == "r" else f"{name}{j}"][i] = rank
    flat = np.arange(1, draws + 1) / (draws + 1)
    for name, found in ranks.items():
        ecdf = np.cumsum(np.bincount(found.astype(int), minlength=draws + 1))[:-1] / n
        # Kolmogorov's limit at 1% / 6 (discrete ranks make it conservative)
        limit = stats.kstwobign.isf(0.01 / len(ranks)) / np.sqrt(n)
        assert np.max(np.abs(ecdf - flat)) < limit, name
