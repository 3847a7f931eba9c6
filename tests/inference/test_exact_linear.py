"""Exact draws of linear-Gaussian blocks: closed forms, quadrature, and what must be refused."""

from __future__ import annotations

import re

import numpy as np
import pymc as pm
import pytest
from scipy import integrate, stats

import bayescausal as bc
from bayescausal.inference.closed_forms.blocks import split
from bayescausal.inference.closed_forms.linear import LinearBlock
from bayescausal.inference.closed_forms.linear_form import linear_block
from bayescausal.inference.closed_forms.one_dimension import Line, draw_line
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.inference.conditioning.row_sums import accumulate
from bayescausal.inference.sampling.few import METHOD
from bayescausal.model.structure.read import structure_of
from bayescausal.types import BayesCausalError, ModelError

S = 40_000


def block_of(model, columns, unknown):
    structure = structure_of(model)
    found = next(b for b in split(structure, set(columns), ()) if unknown in b.unknowns)
    return structure, linear_block(structure, found, set(columns))


def exact(model, data, unknown, size=S, seed=1):
    structure, block = block_of(model, data, unknown)
    assert isinstance(block, LinearBlock), block
    return block.draw(accumulate(block, structure, data), size, seed)


def near_mean(draws, mean, sd):
    """Whether a mean of independent draws is within 4.5 standard errors."""
    return np.all(np.abs(draws.mean(axis=0) - mean) < 4.5 * sd / np.sqrt(len(draws)))


def data(n=60, seed=0, **more):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return {"x": x, "y": 0.5 + 1.5 * x + 0.7 * rng.normal(size=n), **more}


def test_known_noise_is_the_normal_posterior():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        a, b = pm.Normal("a", 1, 2), pm.Normal("b", 0, 0.5)
        pm.Normal("y", a + b * x, 0.7, dims="unit")
    table = data()
    draws = exact(model, table, "a")
    design = np.column_stack([np.ones(60), table["x"]])
    precision = design.T @ design / 0.49 + np.diag([1 / 4, 4])
    mean = np.linalg.solve(precision, design.T @ table["y"] / 0.49 + np.array([1 / 4, 0]))
    cov = np.linalg.inv(precision)
    both = np.column_stack([draws["a"], draws["b"]])
    assert near_mean(both, mean, np.sqrt(np.diag(cov)))
    spread = np.cov(both.T)
    error = np.sqrt((np.outer(np.diag(cov), np.diag(cov)) + cov**2) / S)
    assert np.all(np.abs(spread - cov) < 4.5 * error)


PRIORS = {
    "half normal": (lambda: pm.HalfNormal("s", 1), lambda s: stats.halfnorm.logpdf(s)),
    "exponential": (lambda: pm.Exponential("s", 2), lambda s: stats.expon.logpdf(s, scale=0.5)),
    "half cauchy": (lambda: pm.HalfCauchy("s", 1), lambda s: stats.halfcauchy.logpdf(s)),
    "uniform": (lambda: pm.Uniform("s", 0.6, 0.8), lambda s: stats.uniform.logpdf(s, 0.6, 0.2)),
    "gamma": (lambda: pm.Gamma("s", 2, 3), lambda s: stats.gamma.logpdf(s, 2, scale=1 / 3)),
    "inverse gamma": (
        lambda: pm.InverseGamma("s", 3, 1),
        lambda s: stats.invgamma.logpdf(s, 3),
    ),
}


@pytest.mark.parametrize("name", PRIORS)
def test_any_prior_of_sigma_agrees_with_quadrature(name):
    build, log_prior = PRIORS[name]
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        a, b = pm.Normal("a", 0, 2), pm.Normal("b", 0, 2)
        pm.Normal("y", a + b * x, build(), dims="unit")
    table = data(25)
    draws = exact(model, table, "a")
    design = np.column_stack([np.ones(25), table["x"]])

    def height(s):  # the marginal of sigma: y is Gaussian given it
        cov = s * s * np.eye(25) + design @ design.T * 4
        return stats.multivariate_normal.logpdf(table["y"], np.zeros(25), cov) + log_prior(s)

    grid = np.linspace(0.6, 0.8, 1501) if name == "uniform" else np.linspace(0.3, 2.0, 2501)
    logs = np.array([height(s) for s in grid])
    weight = np.where(np.isfinite(logs), np.exp(logs - logs.max()), 0.0)
    cdf = integrate.cumulative_simpson(weight, x=grid, initial=0)
    # Kolmogorov-Smirnov at level 1e-4
    assert stats.kstest(draws["s"], lambda q: np.interp(q, grid, cdf / cdf[-1])).pvalue > 1e-4


def test_any_function_of_one_scalar_may_be_the_noise():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        b = pm.Normal("b", 0, 2)
        tau = pm.Gamma("tau", 2, 1)
        pm.Normal("y", b * x, tau=tau, dims="unit")
    table = data(30)
    draws = exact(model, table, "tau")
    # p(tau | y) by one integral: b is Gaussian given tau
    grid = np.linspace(1e-3, 8, 4000)
    xx, xy, yy = (table["x"] @ table["x"], table["x"] @ table["y"], table["y"] @ table["y"])
    precision = 0.25 + grid * xx
    logs = 15 * np.log(grid) - 0.5 * grid * yy + 0.5 * (grid * xy) ** 2 / precision
    logs += -0.5 * np.log(precision) + stats.gamma.logpdf(grid, 2)
    weight = np.exp(logs - logs.max())
    cdf = integrate.cumulative_simpson(weight, x=grid, initial=0)
    assert stats.kstest(draws["tau"], lambda q: np.interp(q, grid, cdf / cdf[-1])).pvalue > 1e-4


def test_flat_coefficients_give_the_classical_answer():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        a, b, s = pm.Flat("a"), pm.Flat("b"), pm.HalfFlat("s")
        pm.Normal("y", a + b * x, s, dims="unit")
    table = data(40)
    draws = exact(model, table, "b")
    design = np.column_stack([np.ones(40), table["x"]])
    fitted, rest, *_ = np.linalg.lstsq(design, table["y"])
    df = 40 - 2 - 1  # a flat prior of sigma, not of log sigma
    scale = np.sqrt(rest[0] / df * np.diag(np.linalg.inv(design.T @ design)))
    for name, centre, width in zip("ab", fitted, scale, strict=True):
        law = stats.t(df, loc=centre, scale=width)
        assert stats.kstest(draws[name], law.cdf).pvalue > 1e-4


def test_what_has_no_finite_integral_is_not_drawn():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        a, b = pm.Flat("a"), pm.Flat("b")
        pm.Normal("y", a + b * x, 1, dims="unit")
    structure, block = block_of(model, ("x", "y"), "a")
    stuck = {"x": np.ones(5), "y": np.arange(5.0)}  # the intercept and the slope cannot be told
    with pytest.raises(ArithmeticError, match="not determined"):
        block.draw(accumulate(block, structure, stuck), 10, 1)
    with pytest.raises(ArithmeticError, match="no finite integral"):
        draw_line(lambda s: -np.log(s), Line(0, np.inf), 10, np.random.default_rng(1))


def test_group_effects_with_many_levels_and_known_spread():
    groups = 300
    with pm.Model(coords={"unit": [0], "group": range(groups)}) as model:
        g = pm.Data("g", np.zeros(1, dtype=int), dims="unit")
        x = pm.Normal("x", dims="unit")
        mu = pm.Normal("mu", 0, 3)
        effect = pm.Normal("effect", mu, 0.5, dims="group")
        b = pm.Normal("b", 0, 1)
        pm.Normal("y", effect[g] + b * x, pm.HalfNormal("s"), dims="unit")
    rng = np.random.default_rng(5)
    index = rng.integers(groups, size=2000)
    truth = rng.normal(1.0, 0.5, groups)
    x = rng.normal(size=2000)
    y = truth[index] + 0.3 * x + 0.8 * rng.normal(size=2000)
    draws = exact(model, {"g": index, "x": x, "y": y}, "mu", size=4000)
    assert draws["effect"].shape == (4000, groups)
    # given the mean of the draws of s, compare with the dense normal posterior
    s = draws["s"].mean()
    design = np.zeros((2000, groups + 2))
    design[np.arange(2000), index] = 1
    design[:, groups] = x
    precision = design.T @ design / s**2
    link = np.zeros((groups, groups + 2))
    link[:, :groups] = np.eye(groups)
    link[:, -1] = -1
    precision += link.T @ link / 0.25
    precision[groups, groups] += 1
    precision[-1, -1] += 1 / 9
    mean = np.linalg.solve(precision, design.T @ y / s**2)
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    got = np.column_stack([draws["effect"], draws["b"], draws["mu"]])
    # s is not fixed in the draws: that widens by its relative sd, 1/sqrt(2 * 2000)
    assert np.all(np.abs(got.mean(axis=0) - mean) < 5 * sd / np.sqrt(4000) + 0.05 * sd)
    np.testing.assert_allclose(got.std(axis=0), sd, rtol=5 / np.sqrt(2 * 4000) + 0.02)


def test_shared_coefficient_and_noise_of_two_equations():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        y = pm.Normal("y", b * x, s, dims="unit")
        pm.Normal("z", b * pm.math.exp(x) + y, s, dims="unit")
    rng = np.random.default_rng(2)
    x = rng.normal(size=50)
    y = 0.4 * x + rng.normal(size=50)
    z = 0.4 * np.exp(x) + y + rng.normal(size=50)
    draws = exact(model, {"x": x, "y": y, "z": z}, "b")
    stacked = np.concatenate([x, np.exp(x)]), np.concatenate([y, z - y])
    grid = np.linspace(0.4, 2, 2000)
    xx, xy, yy = stacked[0] @ stacked[0], stacked[0] @ stacked[1], stacked[1] @ stacked[1]
    precision = 1 + xx / grid**2
    logs = -100 * np.log(grid) - 0.5 * yy / grid**2 + 0.5 * (xy / grid**2) ** 2 / precision
    logs += -0.5 * np.log(precision) + stats.halfnorm.logpdf(grid)
    weight = np.exp(logs - logs.max())
    cdf = integrate.cumulative_simpson(weight, x=grid, initial=0)
    assert stats.kstest(draws["s"], lambda q: np.interp(q, grid, cdf / cdf[-1])).pvalue > 1e-4


def test_statistics_add_and_large_offsets_do_not_cancel():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        a, b, s = pm.Normal("a", 0, 1e7), pm.Normal("b", 0, 100), pm.HalfNormal("s")
        pm.Normal("y", a + b * x, s, dims="unit")
    rng = np.random.default_rng(3)
    x = rng.normal(size=500)
    plain = {"x": x, "y": 2 * x + 0.1 * rng.normal(size=500)}
    moved = {"x": x, "y": plain["y"] + 1e6}
    structure, block = block_of(model, plain, "a")
    near, far = (block.draw(accumulate(block, structure, t), 500, 1) for t in (plain, moved))
    np.testing.assert_allclose(far["a"] - 1e6, near["a"], atol=1e-6)
    np.testing.assert_allclose(far["s"], near["s"], rtol=1e-6)
    whole = accumulate(block, structure, moved)
    parts = accumulate(block, structure, moved, rows=37)
    for draws in zip(block.draw(whole, 200, 1).values(), block.draw(parts, 200, 1).values(),
                     strict=True):  # fmt: skip
        np.testing.assert_allclose(*draws, rtol=1e-6)


def test_counts_stand_for_repeated_rows_and_row_order_does_not_matter():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        pm.Normal("y", b * x, s, dims="unit")
    rng = np.random.default_rng(4)
    rows = {"x": rng.integers(2, size=8), "y": rng.normal(size=8)}
    times = rng.integers(1, 5, size=8)
    order = rng.permutation(int(times.sum()))
    long = {k: np.repeat(v, times)[order] for k, v in rows.items()}
    structure, block = block_of(model, rows, "b")
    counted = block.statistics(rows, times)
    listed = accumulate(block, structure, long)
    for one, two in zip(block.draw(counted, 100, 1).values(), block.draw(listed, 100, 1).values(),
                        strict=True):  # fmt: skip
        np.testing.assert_allclose(one, two, rtol=1e-9)


def test_log_normal_and_multivariate_normal_coefficients():
    cov = np.array([[2.0, 0.5], [0.5, 1.0]])
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        c = pm.MvNormal("c", np.array([0.5, -0.5]), cov)
        pm.LogNormal("y", c[0] + c[1] * x, 0.6, dims="unit")
    table = data(30)
    table["y"] = np.exp(table["y"])
    draws = exact(model, table, "c")
    design = np.column_stack([np.ones(30), table["x"]])
    precision = design.T @ design / 0.36 + np.linalg.inv(cov)
    pull = design.T @ np.log(table["y"]) / 0.36 + np.linalg.solve(cov, [0.5, -0.5])
    mean, spread = np.linalg.solve(precision, pull), np.linalg.inv(precision)
    assert near_mean(draws["c"], mean, np.sqrt(np.diag(spread)))


# ------------------------------------------------------------------- what must be refused


REFUSED = {
    "a noise per group": (
        lambda x: (pm.Normal("b") * x, pm.HalfNormal("s", dims="k")[(x > 0).astype(int)]),
        "not one continuous number",
    ),
    "noise that grows with x": (  # times a known number of each row it is a weight
        lambda x: (pm.Normal("b") * x, pm.HalfNormal("s") + pm.math.exp(x)),
        "not one number for all units",
    ),
    "two unknowns in the noise": (
        lambda x: (pm.Normal("b") * x, pm.HalfNormal("s") + pm.HalfNormal("r")),
        "depends on 2 unknowns",
    ),
    "a product": (lambda x: (pm.Normal("b") * pm.Normal("c") * x, 1.0), "not affine"),
    "a square": (lambda x: (pm.Normal("b") ** 2 * x, 1.0), "not affine"),
    "a link": (lambda x: (pm.math.exp(pm.Normal("b")) * x, 1.0), "not affine"),
    "noise in the mean": (
        lambda x: (lambda s: (pm.Normal("b") * x + s, s))(pm.HalfNormal("s")),
        "in the mean and in the noise",
    ),
    "a hierarchical spread": (
        lambda x: (pm.Normal("b", 0, pm.HalfNormal("tau")) * x, 1.0),
        "the prior of 'tau' is not Normal|prior sd of 'b' is unknown",
    ),
    "a prior that is not Normal": (
        lambda x: (pm.Laplace("b", 0, 1) * x, 1.0),
        "the prior of 'b' is not Normal",
    ),
    "a hierarchical prior of the noise": (
        lambda x: (pm.Normal("b") * x, pm.HalfNormal("s", pm.HalfNormal("r"))),
        "prior of 's' has unknown parameters",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_linear_gaussian_is_refused(name):
    build, reason = REFUSED[name]
    with pm.Model(coords={"unit": [0], "k": [0, 1]}) as model:
        x = pm.Normal("x", dims="unit")
        mean, sigma = build(x)
        pm.Normal("y", mean, sigma, dims="unit")
    _, found = block_of(model, ("x", "y"), "b")
    assert isinstance(found, str)
    assert re.search(reason, found), found


def test_the_walk_stops_at_observed_parents():
    """The noise of a parent is no unknown of its child's mean."""
    with pm.Model(coords={"unit": [0]}) as model:
        a, s = pm.Normal("a"), pm.HalfNormal("s")
        x = pm.Normal("x", a, s, dims="unit")
        b, r = pm.Normal("b"), pm.HalfNormal("r")
        pm.Normal("y", b * x, r, dims="unit")
    plan = make_plan(structure_of(model), {"x", "y"})
    assert [set(sampler.names) for sampler in plan.samplers] == [{"a", "s"}, {"b", "r"}]
    assert not plan.rest


def test_latents_missing_cells_mixing_and_potentials_take_the_plain_path():
    with pm.Model(coords={"unit": [0]}) as model:
        a, b, c = pm.Normal("a"), pm.Normal("b"), pm.Normal("c")
        u = pm.Normal("u", a, 1, dims="unit")
        x = pm.Normal("x", u + b, 1, dims="unit")
        pm.Normal("y", c * (x - x.mean()), 1, dims="unit")
        d = pm.Normal("d")
        pm.Potential("p", -(d**2))
    plan = make_plan(structure_of(model), {"x", "y"})
    reasons = {unknown: why for block, why in plan.rest for unknown in block.unknowns}
    assert "latent" in reasons["u"]
    assert "latent" in reasons["a"]
    assert "mixes units" in reasons["c"]
    assert "Potential" in reasons["d"]
    assert not plan.samplers
    partly = make_plan(structure_of(model), {"u", "x", "y"}, {"u"})
    assert any("empty cells" in why for _, why in partly.rest)


# --------------------------------------------------------------------------- in a fit


def test_fit_says_how_each_block_was_drawn_and_computes_deterministics():
    world = bc.datasets.coating()
    rows = bc.simulate(world.model, world.truth, units=200, seed=1)
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        twice = pm.Deterministic("twice", 2 * b)
        pm.Normal("y", b * x + 0 * twice, s, dims="unit")
    table = data(30)
    fit = bc.fit(model, table, seed=3, draws=200, chains=2, progressbar=False)
    assert fit.methods == {"b, s": "conjugate (linear-Gaussian)"}
    assert fit.posterior.sizes["chain"] == 2
    assert fit.posterior.sizes["draw"] == 200
    np.testing.assert_allclose(fit.posterior["twice"], 2 * fit.posterior["b"])
    assert fit.diagnostics.ok
    again = bc.fit(model, table, seed=3, draws=200, chains=2, progressbar=False)
    np.testing.assert_array_equal(fit.posterior["s"], again.posterior["s"])
    other = bc.fit(model, table, seed=4, draws=200, chains=2, progressbar=False)
    assert not np.array_equal(fit.posterior["s"], other.posterior["s"])
    with pytest.raises(ModelError, match=r"b_d0, b_hd has no exact method.*'dilution' is not"):
        bc.fit(world.model, rows, method="exact")
    with pytest.raises(BayesCausalError, match=r"method='nutz' is not known.*'nuts'"):
        bc.fit(world.model, rows, method="nutz")


@pytest.mark.slow
def test_exact_blocks_agree_with_a_long_chain():
    """Means within 4 standard errors, sd within 2%, which is 4 errors of 80,000 draws at least."""
    world = bc.datasets.coating()
    rows = bc.simulate(world.model, world.truth, units=300, seed=1)
    options = {"progressbar": False, "draws": 20_000, "chains": 4}
    quick = bc.fit(world.model, rows, seed=1, **options).summary()
    chain = bc.fit(world.model, rows, seed=2, method="nuts", tune=1000, **options).summary()
    error = np.hypot(quick["mcse_mean"], chain["mcse_mean"])
    assert np.all(np.abs(quick["mean"] - chain["mean"]) < 4 * error)
    np.testing.assert_allclose(quick["sd"], chain["sd"], rtol=0.02)


@pytest.mark.slow
def test_ten_thousand_exact_replicates_are_calibrated():
    """Ranks of the truth among exact draws are uniform: 99% simultaneous bands."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        a, b, s = pm.Normal("a", 0, 1), pm.Normal("b", 0.5, 1), pm.HalfNormal("s", 1)
        pm.Normal("y", a + b * x, s, dims="unit")
    structure, block = block_of(model, ("x", "y"), "a")
    rng = np.random.default_rng(11)
    n, draws = 10_000, 99
    ranks = {k: np.empty(n) for k in ("a", "b", "s")}
    for i in range(n):
        truth = {"a": rng.normal(), "b": 0.5 + rng.normal(), "s": abs(rng.normal())}
        x = rng.normal(size=12)
        y = truth["a"] + truth["b"] * x + truth["s"] * rng.normal(size=12)
        statistics = accumulate(block, structure, {"x": x, "y": y})
        found = block.draw(statistics, draws, [11, i])
        for name, value in truth.items():
            ranks[name][i] = np.sum(found[name] < value)
    for name, found in ranks.items():
        counts = np.bincount(found.astype(int), minlength=draws + 1)
        ecdf = np.cumsum(counts)[:-1] / n
        flat = np.arange(1, draws + 1) / (draws + 1)
        # Kolmogorov's limit at 1% / 3 parameters (discrete ranks make it conservative)
        assert np.max(np.abs(ecdf - flat)) < stats.kstwobign.isf(0.01 / 3) / np.sqrt(n), name


@pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning")
def test_coefficients_in_order_are_no_conjugate_block():
    """An order is a bound on the prior: the conjugate draws would ignore it."""
    with pm.Model(coords={"unit": [0], "k": range(3)}) as model:
        c = pm.Normal(
            "c", 0, 1, dims="k", transform=pm.distributions.transforms.ordered,
            initval=[-1.0, 0.0, 1.0],
        )  # fmt: skip
        w = pm.Data("w", [0], dims="unit")
        pm.Normal("y", c[w], 1, dims="unit")
    data = {"w": [0, 1, 2, 0], "y": [0.5, 0.4, 1.2, 0.6]}
    fit = bc.fit(model, data, seed=1, draws=200, chains=2, unit_dims="unit", progressbar=False)
    assert fit.methods == {"c": METHOD}
    assert (np.diff(fit.posterior["c"], axis=-1) > 0).all()
