"""Drawing forests: each draw keeps its own, whoever drew it."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.inference.data.conform import conform
from bayescausal.inference.data.read import as_table
from bayescausal.inference.forests import backfitting
from bayescausal.inference.forests.linear_forests import _prior_of_all, linear_forests
from bayescausal.inference.forests.places import matched_chains
from bayescausal.model.forests.op import forest_at, forest_value
from bayescausal.model.forests.packed import evaluate_forests, stacked
from bayescausal.model.forests.prior import Forest, Shape, cuts_of
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.model.structure.read import structure_of
from bayescausal.types import BayesCausalError, DataError, ModelError

stochtree = pytest.mark.skipif(importlib.util.find_spec("stochtree") is None, reason="no stochtree")
pymc_bart = pytest.mark.skipif(importlib.util.find_spec("pymc_bart") is None, reason="no pymc-bart")
pytestmark = [
    pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning"),
    # PyMC starts a process for each chain
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def trial(n=120, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    t = rng.binomial(1, 1 / (1 + np.exp(-x)))
    y = np.sin(2 * x) + t * (1 + x) + 0.5 * z + 0.3 * rng.normal(size=n)
    return pd.DataFrame({"x": x, "z": z, "t": t, "y": y})


# ------------------------------------------------------------------- putting together


def test_trees_are_put_with_the_chain_that_recorded_their_values_in_whatever_order():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 2))
    shape = Shape(5, 0.9, 1.0, 0.0, 1.0, cuts=cuts_of(x))
    chains = [stacked([shape.draw(rng) for _ in range(4)]) for _ in range(3)]
    recorded = np.stack([evaluate_forests(x, c) for c in chains])
    found = matched_chains([chains[2], chains[0], chains[1]], recorded, x, "f")
    for chain, right in zip(found, chains, strict=True):
        np.testing.assert_array_equal(chain[:, : right.shape[1]], right)
    swapped = recorded.copy()
    swapped[1, [0, 2]] = swapped[1, [2, 0]]
    with pytest.raises(ModelError, match="in chain 1 are not those of its draws"):
        matched_chains(chains, swapped, x, "f")
    with pytest.raises(ModelError, match="agreement to 1e-06, in every draw"):
        matched_chains(chains[:2], recorded, x, "f")


# ------------------------------------------------------------------------ backfitting


@stochtree
def test_backfitting_draws_scale_and_coefficients_beside_the_forests_from_their_posterior():
    """Without covariates to split on a forest is Normal(c, s): the model is a regression.

    Its posterior by quadrature over the scale, coefficients integrated out.
    """
    rng = np.random.default_rng(2)
    n = 25
    t, z = np.repeat([0, 1], [12, 13]), rng.normal(size=n)
    y = 1.0 + 0.8 * t - 0.5 * z + 0.7 * rng.normal(size=n)
    data = pd.DataFrame({"one": np.r_[0.0, np.ones(n - 1)], "t": t, "z": z, "y": y})
    with pm.Model(coords={"unit": range(n)}) as model:
        one, T, Z = (pm.Data(c, data[c].to_numpy(float), dims="unit") for c in ("one", "t", "z"))
        x = pt.stack([one], axis=1)
        level, effect = (
            pm.Deterministic(
                name, forest_value(x, Forest(f"{name}_forest", Shape(3, 1e-9, 2.0, c, s))),
                dims="unit",
            )
            for name, c, s in (("f", 1.0, 2.0), ("g", 0.0, 1.5))
        )  # fmt: skip
        d = pm.Normal("d", 0.1, 0.3)
        b = pm.Normal("b", 0.2 - 0.5 * d, 0.4)  # as where slopes are centred
        sigma = pm.Gamma("sigma", 2, 3)
        pm.Normal("y", level + T * effect + (b + d * T) * Z, sigma, dims="unit")
    fit = bc.fit(model, data, draws=1200, chains=2, tune=50, seed=3, progressbar=False)
    assert set(fit.methods.values()) == {"backfitting"}
    design = np.column_stack([np.ones(n), t, z, t * z])
    middle, prior = np.array([1.0, 0.0, 0.2 - 0.5 * 0.1, 0.1]), np.diag([4.0, 2.25, 0.16, 0.09])
    prior[2, 2] += 0.25 * 0.09
    prior[2, 3] = prior[3, 2] = -0.5 * 0.09
    grid = np.linspace(0.2, 2.5, 1500)
    weight, means = np.empty(len(grid)), np.empty((len(grid), 4))
    for i, s in enumerate(grid):
        cov = design @ prior @ design.T + s**2 * np.eye(n)
        weight[i] = stats.multivariate_normal.logpdf(y, design @ middle, cov)
        push = design.T @ y / s**2 + np.linalg.solve(prior, middle)
        means[i] = np.linalg.solve(design.T @ design / s**2 + np.linalg.inv(prior), push)
    weight = np.exp(weight - weight.max()) * stats.gamma.pdf(grid, 2, scale=1 / 3)
    weight /= weight.sum()
    right = dict(zip(("f", "g", "b", "d"), weight @ means, strict=True)) | {"sigma": weight @ grid}
    post = fit.posterior
    values = {name: post[name].values for name in ("b", "d", "sigma")}
    for name in ("f", "g"):
        packed = post[f"{name}_forest"].values
        values[name] = evaluate_forests(np.ones((1, 1)), packed)[..., 0]
    for name, value in right.items():
        draws = values[name]
        ess = float(bc_ess(draws))
        assert abs(draws.mean() - value) < 4 * draws.std() / np.sqrt(ess), name
        assert ess > 50


@stochtree
def test_backfitting_draws_a_scale_that_differs_between_rows():
    """The same, with a scale of each treatment and a known weight of each row.

    Its posterior by quadrature over both scales.
    """
    rng = np.random.default_rng(5)
    n = 26
    t, z = np.repeat([0, 1], [14, 12]), rng.normal(size=n)
    unit = rng.uniform(0.5, 2, n)
    y = 1.0 + 0.8 * t - 0.5 * z + np.where(t == 1, 0.3, 1.2) * unit * rng.normal(size=n)
    data = pd.DataFrame({"one": np.r_[0.0, np.ones(n - 1)], "t": t, "z": z, "w": unit, "y": y})
    with pm.Model(coords={"unit": range(n)}) as model:
        one, T, Z, W = (pm.Data(c, data[c].to_numpy(float), dims="unit") for c in ("one", *"tzw"))
        x = pt.stack([one], axis=1)
        level, effect = (
            pm.Deterministic(
                name, forest_value(x, Forest(f"{name}_forest", Shape(3, 1e-9, 2.0, c, s))),
                dims="unit",
            )
            for name, c, s in (("f", 1.0, 2.0), ("g", 0.0, 1.5))
        )  # fmt: skip
        b = pm.Normal("b", 0.2, 0.4)
        sigma = pm.Gamma("sigma", 2, 3)
        ratio = pm.Normal("ratio", 0, 1)
        scale = sigma * pm.math.exp(ratio * T) * W
        pm.Normal("y", level + T * effect + b * Z, scale, dims="unit")
    fit = bc.fit(model, data, draws=1200, chains=2, tune=50, seed=3, progressbar=False)
    assert set(fit.methods.values()) == {"backfitting"}
    design = np.column_stack([np.ones(n), t, z])
    middle, spread = np.array([1.0, 0.0, 0.2]), np.array([2.0, 1.5, 0.4])
    sigmas, ratios = np.linspace(0.3, 4, 140), np.linspace(-4, 1.5, 150)
    sigmas, ratios = (v.ravel() for v in np.meshgrid(sigmas, ratios))
    weight, means = np.empty(len(sigmas)), np.empty((len(sigmas), 3))
    for i, (s, r) in enumerate(zip(sigmas, ratios, strict=True)):
        v = (s * np.exp(r * t) * unit) ** 2
        precision = (design.T / v) @ design + np.diag(spread**-2.0)
        push = design.T @ (y / v) + middle / spread**2
        means[i] = np.linalg.solve(precision, push)
        # p(y) = p(y | b) p(b) / p(b | y), at the posterior mean of b
        left = y - design @ means[i]
        weight[i] = stats.norm.logpdf(left, 0, np.sqrt(v)).sum()
        weight[i] += stats.norm.logpdf(means[i], middle, spread).sum()
        weight[i] -= np.linalg.slogdet(precision)[1] / 2
    weight = np.exp(weight - weight.max())
    weight *= stats.gamma.pdf(sigmas, 2, scale=1 / 3) * stats.norm.pdf(ratios)
    weight /= weight.sum()
    right = dict(zip(("f", "g", "b"), weight @ means, strict=True))
    right |= {"sigma": weight @ sigmas, "ratio": weight @ ratios}
    post = fit.posterior
    values = {name: post[name].values for name in ("b", "sigma", "ratio")}
    for name in ("f", "g"):
        packed = post[f"{name}_forest"].values
        values[name] = evaluate_forests(np.ones((1, 1)), packed)[..., 0]
    for name, value in right.items():
        ess = float(bc_ess(values[name]))
        assert abs(values[name].mean() - value) < 4 * values[name].std() / np.sqrt(ess), name
        assert ess > 50


def test_coefficients_whose_means_are_others_have_a_joint_prior():
    """Draws of the prior by PyMC against its mean and covariance; what is not affine is refused."""

    def read(*, spread=0.5, bend=False):
        with pm.Model():
            d = pm.Normal("d", [0.1, 0.3], 0.3, shape=2)
            b = pm.Normal("b", 0.2 - 0.5 * (d**2 if bend else d).sum(), spread or pm.math.exp(d[0]))
            c = pm.Normal("c", b * np.ones(3) + d[1], [0.1, 0.2, 0.3], shape=3)
        return (c, b, d), _prior_of_all([c, b, d], {"c": (3,), "b": (), "d": (2,)})

    variables, (middle, precision) = read()
    drawn = np.column_stack([v.reshape(20_000, -1) for v in pm.draw([*variables], 20_000, 1)])
    cov = np.linalg.inv(precision)
    sd = np.sqrt(np.diag(cov))
    assert (abs(drawn.mean(0) - middle) < 4.5 * sd / 20_000**0.5).all()
    found = np.cov(drawn.T)
    # the variance of a covariance of Normal draws: (cov_ij^2 + cov_ii cov_jj) / n
    assert (abs(found - cov) < 4.5 * np.sqrt((cov**2 + np.outer(sd, sd) ** 2) / 20_000)).all()
    assert "not affine" in read(bend=True)[1]
    assert "spreads that are unknown" in read(spread=None)[1]


def bc_ess(draws):
    from bayescausal.draws.diagnostics import diagnose

    return diagnose(draws[None])["ess_bulk"][0]


@pytest.fixture(scope="module")
def fitted():
    data = trial()
    model = bc.model_from_formulas(["y ~ bcf(t, by=(x, z), m=12, m_effect=6)"], data=data)
    return model, data, bc.fit(model, data, draws=40, chains=2, tune=40, seed=4, progressbar=False)


@stochtree
def test_stored_forests_give_what_the_chain_recorded_in_every_draw(fitted):
    model, data, fit = fitted
    stats_of = fit.draws["sample_stats"].to_dataset()
    rows = np.unique(np.linspace(0, len(data) - 1, 50).astype(int))
    for value in ("f_y_prognosis(x, z)", "f_y_t:effect(x, z)"):
        name = f"{value}_forest"
        [columns] = evaluate([forest_at(model[value]).inputs[0]])
        np.testing.assert_array_equal(columns[:, :2], data[["x", "z"]])
        assert columns.shape == (len(data), 3)  # and the propensity
        found = evaluate_forests(columns[rows], fit.posterior[name].values)
        recorded = stats_of[f"{name}_at"].values
        assert recorded.shape == (2, 40, 50)
        np.testing.assert_allclose(found, recorded, atol=1e-6)
        assert len(np.unique(fit.posterior[name].values[..., 0])) == 80  # a stamp for each draw


@stochtree
def test_same_seed_same_forests_and_every_question_can_be_asked(fitted):
    model, data, fit = fitted
    again = bc.fit(model, data, draws=40, chains=2, tune=40, seed=4, progressbar=False)
    for name in fit.posterior:
        np.testing.assert_array_equal(fit.posterior[name], again.posterior[name])
    assert not np.array_equal(fit.posterior["sigma_y"][0], fit.posterior["sigma_y"][1])
    effect = bc.estimate(fit, bc.ATE("t", "y"), seed=1)
    assert abs(float(effect) - (1 + data["x"].mean())) < 5 * effect.sd()
    tau = bc.estimate(fit, bc.ITE("t", "y"), seed=1).draws.mean(("chain", "draw"))
    assert np.corrcoef(tau, data["x"])[0, 1] > 0.6
    assert list(fit.summary().index) == ["b_y_t", "sd_y_t:effect(x, z)", "sigma_y"]


@stochtree
@pytest.mark.parametrize("method", ["exact", "compressed", "laplace"])
def test_methods_without_trees_are_refused(fitted, method):
    model, data, _ = fitted
    with pytest.raises(ModelError, match="trees have neither a closed form nor sums over rows"):
        bc.fit(model, data, method=method, draws=5, progressbar=False)


# --------------------------------------------------------------------- reversible jump


@pytest.mark.parametrize(
    ("family", "method"),
    [("bernoulli", "reversible jump"), pytest.param("normal", "backfitting", marks=stochtree)],
)
def test_a_forest_on_two_values_has_the_posterior_of_enumeration(family, method):
    """Each of m trees splits on x or not; values of K split trees are Normal, and mixed over K.

    f(0) and f(1) have variance s^2 and covariance s^2 (m - K) / m. Their joint density times the
    likelihood on a grid gives means and standard deviations.
    """
    n, m, s = 48, 4, 1.5
    x = np.repeat([0.0, 1.0], n // 2)
    rng = np.random.default_rng(4)
    y = np.r_[np.arange(24) < 7, np.arange(24) < 17].astype(int) if family == "bernoulli" else (
        rng.normal(x - 0.5, 1.2)
    )  # fmt: skip
    data = pd.DataFrame({"y": y})
    with pm.Model(coords={"unit": range(n)}) as model:
        columns = pt.stack([pm.Data("x", x, dims="unit")], axis=1)
        prior = Forest("f_forest", Shape(m, 0.95, 2.0, 0.0, s, cuts=cuts_of(x[:, None])))
        f = pm.Deterministic("f", forest_value(columns, prior), dims="unit")
        if family == "bernoulli":
            pm.Bernoulli("y", logit_p=f, dims="unit")
        else:
            pm.Normal("y", f, pm.Gamma("sigma", 4, 4), dims="unit")
    fit = bc.fit(model, data, draws=700, chains=2, tune=100, seed=3, progressbar=False, cores=1)
    assert set(fit.methods.values()) == {method}
    grid = np.linspace(-5, 5, 251)
    a, b = np.meshgrid(grid, grid, indexing="ij")
    k0, k1 = y[:24].sum(), y[24:].sum()
    if family == "bernoulli":
        likelihood = np.exp(k0 * a + k1 * b - 24 * (np.logaddexp(0, a) + np.logaddexp(0, b)))
    else:
        far = sum(
            24 * (g - part.mean()) ** 2 + 24 * part.var() for g, part in ((a, y[:24]), (b, y[24:]))
        )
        likelihood = sum(
            stats.gamma.pdf(t, 4, scale=1 / 4) * t**-n * np.exp(-far / (2 * t**2))
            for t in np.linspace(0.6, 2.4, 90)
        )
    density = np.zeros_like(a)
    for k in range(1, m + 1):
        cov = s**2 * np.array([[1, (m - k) / m], [(m - k) / m, 1]])
        normal = stats.multivariate_normal([0, 0], cov).pdf(np.stack([a, b], axis=-1))
        density += stats.binom.pmf(k, m, 0.95) * normal
    weight = density * likelihood / (density * likelihood).sum()
    found = evaluate_forests(np.array([[0.0], [1.0]]), fit.posterior["f_forest"].values)
    for values, axis in ((found[..., 0], a), (found[..., 1], b)):
        mean = (weight * axis).sum()
        sd = np.sqrt((weight * (axis - mean) ** 2).sum())
        ess = float(bc_ess(values))
        assert ess > 150
        assert abs(values.mean() - mean) < 4 * sd / np.sqrt(ess)
        assert abs(values.std() / sd - 1) < 4 / np.sqrt(2 * min(ess, float(bc_ess(values**2))))


@pytest.mark.parametrize(
    ("family", "engine"),
    [("bernoulli", False), ("normal", False), pytest.param("normal", True, marks=stochtree)],
)
def test_spreads_and_constants_of_forests_have_the_posterior_of_enumeration(
    family, engine, monkeypatch
):
    """As above, with values b + s f(x): Normal given s and the number of trees that split.

    So s and b have their means and standard deviations by sums over grids of s, K and the values.
    """
    monkeypatch.setattr(backfitting, "has_engine", lambda: engine)
    n, m, unit = 48, 4, 1.2
    x = np.repeat([0.0, 1.0], n // 2)
    rng = np.random.default_rng(5)
    y = np.r_[np.arange(24) < 7, np.arange(24) < 17].astype(int) if family == "bernoulli" else (
        rng.normal(x + 0.5, 1.0)
    )  # fmt: skip
    data = pd.DataFrame({"y": y})
    with pm.Model(coords={"unit": range(n)}) as model:
        columns = pt.stack([pm.Data("x", x, dims="unit")], axis=1)
        prior = Forest("f_forest", Shape(m, 0.95, 2.0, 0.0, 1.0, cuts=cuts_of(x[:, None])))
        f = pm.Deterministic("f", forest_value(columns, prior), dims="unit")
        eta = pm.Normal("b", 0.3, 0.8) + pm.HalfNormal("s", unit) * f
        if family == "bernoulli":
            pm.Bernoulli("y", logit_p=eta, dims="unit")
        else:
            pm.Normal("y", eta, 1.0 * pm.Gamma("sigma", 400, 400), dims="unit")
    fit = bc.fit(model, data, draws=700, chains=2, tune=150, seed=3, progressbar=False, cores=1)
    assert set(fit.methods.values()) == {"backfitting" if engine else "reversible jump"}
    grid = np.linspace(-5, 5, 121)
    a, c = np.meshgrid(grid, grid, indexing="ij")
    if family == "bernoulli":
        k0, k1 = y[:24].sum(), y[24:].sum()
        likelihood = np.exp(k0 * a + k1 * c - 24 * (np.logaddexp(0, a) + np.logaddexp(0, c)))
    else:
        far = sum(
            24 * (g - part.mean()) ** 2 + 24 * part.var() for g, part in ((a, y[:24]), (c, y[24:]))
        )
        sigmas = np.linspace(0.8, 1.2, 41)
        chance = stats.gamma.pdf(sigmas, 400, scale=1 / 400)
        likelihood = sum(
            p * t**-n * np.exp(-far / (2 * t**2)) for t, p in zip(sigmas, chance, strict=True)
        )
    values = np.stack([a, c], axis=-1)
    sums = dict.fromkeys(("1", "s", "ss", "b", "bb", "a", "aa"), 0.0)
    for s in np.linspace(0.02, 5.0, 60):
        for k in range(1, m + 1):
            own = s**2 * np.array([[1, (m - k) / m], [(m - k) / m, 1]])
            cov = own + 0.8**2
            weight = stats.multivariate_normal([0.3, 0.3], cov).pdf(values) * likelihood
            weight = weight * stats.binom.pmf(k, m, 0.95) * stats.halfnorm.pdf(s, scale=unit)
            pull = np.linalg.solve(cov, np.full(2, 0.8**2))
            b, left = 0.3 + (values - 0.3) @ pull, 0.8**2 * (1 - pull.sum())
            for name, value in zip(
                sums, (1.0, s, s**2, b, b**2 + left, a, a**2), strict=True
            ):  # fmt: skip
                sums[name] += float((weight * value).sum())
    post = fit.posterior
    at = evaluate_forests(np.array([[0.0]]), post["f_forest"].values)[..., 0]
    found = {"s": post["s"].values, "b": post["b"].values}
    found["a"] = found["b"] + found["s"] * at
    for name, draws in found.items():
        mean = sums[name] / sums["1"]
        sd = np.sqrt(sums[name * 2] / sums["1"] - mean**2)
        ess = float(bc_ess(draws))
        assert ess > 100, name
        assert abs(draws.mean() - mean) < 4 * sd / np.sqrt(ess), name
        both = min(ess, float(bc_ess(draws**2)))
        assert abs(draws.std() / sd - 1) < 4 * np.sqrt(kurtosis(draws) / (4 * both)), name


def kurtosis(draws):
    """Of draws, less 1: the variance of a squared deviation in squared variances."""
    return float(stats.kurtosis(draws.ravel(), fisher=False)) - 1


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        ("shared", "two forests have one spread"),
        ("discrete", "a parameter of its predictor is discrete"),
        ("mean", "a forest that a parameter multiplies has a mean that is not 0"),
    ],
)
def test_spreads_of_another_kind_are_left_to_the_sampler_that_takes_any(spoiled, reason):
    data = trial(30)
    x = data["x"].to_numpy()
    shape = Shape(2, 0.5, 2.0, 0.4 if spoiled == "mean" else 0.0, 1.0)
    with pm.Model(coords={"unit": range(30)}) as model:
        columns = pt.stack([pm.Data("x", x, dims="unit")], axis=1)
        f, g = (
            pm.Deterministic(n, forest_value(columns, Forest(f"{n}_forest", shape)), dims="unit")
            for n in "fg"
        )
        s = pm.Bernoulli("s", 0.5) if spoiled == "discrete" else pm.HalfNormal("s")
        second = s if spoiled == "shared" else 1.0
        pm.Normal("y", s * f + second * g * pm.Data("t", data["t"].to_numpy(), dims="unit"),
                  pm.HalfNormal("sigma"), dims="unit")  # fmt: skip
    structure = structure_of(model)
    conformed = conform(as_table(data[["x", "t", "y"]], structure), structure)
    [(block, _)] = make_plan(structure, set(conformed.columns)).rest
    assert linear_forests(structure, conformed, block) == reason


@pytest.mark.slow
def test_without_data_the_chain_has_the_prior(tmp_path):
    """Noise of a million: numbers of leaves and values are those of forests drawn independently."""
    from bayescausal.inference.forests.reversible_jump import ReversibleJump, stored_forests

    rng = np.random.default_rng(5)
    x = np.column_stack([rng.normal(size=30), rng.integers(0, 3, 30)])
    shape = Shape(6, 0.7, 1.5, 1.0, 2.0, weights=(1.0, 2.0), cuts=cuts_of(x))
    with pm.Model() as model:
        f = pm.Flat("f", shape=30)
        pm.Normal("y", f, 1e6, observed=np.zeros(30))
    step = ReversibleJump(model=model, name="f", shape=shape, x=x, folder=str(tmp_path))
    step.setup_chain(7, 0, 4000)
    start = np.ones(30)
    for k in range(4001):
        step.tune = k == 0
        step.astep(start)
    [chain] = stored_forests(str(tmp_path))
    prior = stacked([shape.draw(rng) for _ in range(4000)])
    nodes = chain[:, 3], prior[:, 3]
    values = [evaluate_forests(x[:1], forests)[:, 0] for forests in (chain, prior)]
    for found, right in (nodes, values, [(v - 1) ** 2 for v in values]):
        ess = float(bc_ess(found[None]))
        assert ess > 60
        error = right.std() * np.sqrt(1 / ess + 1 / len(right))
        assert abs(found.mean() - right.mean()) < 4 * error


@stochtree
def test_empty_outcomes_do_not_change_the_sampler_and_are_drawn():
    data = trial(60)
    holes = data.assign(y=data["y"].where(data.index >= 5))
    model = bc.model_from_formulas(["y ~ bcf(t, by=x, m=8, m_effect=4)"], data=data)
    options = {"draws": 60, "chains": 2, "tune": 60, "seed": 1, "progressbar": False}
    fit = bc.fit(model, holes, **options)
    assert {"backfitting", "drawn given the rest"} <= set(fit.methods.values())
    drawn = fit.posterior["y_unobserved"].values.reshape(120, 5)
    x, t = data["x"].to_numpy()[:5], data["t"].to_numpy()[:5]
    names = ("f_y_prognosis(x)", "f_y_t:effect(x)")
    columns = [evaluate([forest_at(model[n]).inputs[0]])[0][:5] for n in names]
    level, effect = (
        evaluate_forests(c, fit.posterior[f"{n}_forest"].values).reshape(120, 5)
        for n, c in zip(names, columns, strict=True)
    )
    b, s = (fit.posterior[n].values.reshape(120, 1) for n in ("b_y_t", "sd_y_t:effect(x)"))
    z = (drawn - level - t * (b + s * effect)) / fit.posterior["sigma_y"].values.reshape(120, 1)
    assert columns[0].shape[1] == 2
    assert np.array_equal(columns[1][:, 0], x)
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * z.size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 3}, "forests, which have a step of their own"),
        ({"cores": 0}, "cores=0. Expected: a whole number of 1"),
        ({"tune": -1}, "tune=-1. Expected: a whole number of 0"),
        ({"tune": 1.5}, "tune=1.5"),
        ({"pgbart": {}}, "pgbart= is no option"),
    ],
)
def test_options_that_forests_have_no_use_for_are_refused(options, message):
    data = trial(20)
    model = bc.model_from_formulas(["y ~ bart(x, m=2)"], data=data)
    with pytest.raises(BayesCausalError, match=message):
        bc.fit(model, data, draws=5, progressbar=False, **options)


def hand_written(data, outcome=True):
    import pymc_bart as pmb

    with pm.Model(coords={"unit": range(len(data))}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=x, dims="unit")
        mu = pmb.BART(
            "mu", pt.stack([x, t], axis=1), data["y"].to_numpy(), m=6, alpha=0.9, dims="unit"
        )
        if outcome:
            pm.StudentT("y", nu=5, mu=mu, sigma=pm.HalfNormal("sigma"), dims="unit")
    return model


@pymc_bart
def test_a_node_of_pymc_bart_is_a_forest_of_its_covariates_with_the_prior_it_was_given():
    data = trial()
    structure = structure_of(hand_written(data))
    assert structure.parameters == ("mu_forest", "sigma")
    assert set(structure.graph.edges) == {("x", "t"), ("x", "y"), ("t", "y")}
    shape = structure.variable("mu_forest").owner.op.shape
    assert (shape.trees, shape.alpha, shape.beta) == (6, 0.9, 2.0)
    assert shape.constant == pytest.approx(data["y"].mean())
    assert shape.spread == pytest.approx(data["y"].std(ddof=0))


@pymc_bart
def test_each_draw_of_a_chain_keeps_the_trees_that_gave_its_mean(monkeypatch):
    """Two chains, one after the other, on a column whose values repeat: to 1e-6 in every draw."""
    from bayescausal.inference.forests import drawn

    data = trial(60)
    seen = {}
    matched = drawn.matched_chains

    def spied(held, recorded, x, name):
        seen.update(recorded=recorded, x=x)
        return matched(held, recorded, x, name)

    monkeypatch.setattr(drawn, "matched_chains", spied)
    fit = bc.fit(hand_written(data), data, draws=12, chains=2, tune=15, seed=5, progressbar=False)
    np.testing.assert_array_equal(seen["x"], data[["x", "t"]])
    found = evaluate_forests(seen["x"], fit.posterior["mu_forest"].values)
    np.testing.assert_allclose(found, seen["recorded"], atol=1e-6)
    assert found.std(axis=2).min() > 0.05  # they have learnt something
    assert not np.allclose(found[0], found[1])  # chains have their own random numbers
    names = {n for names in fit.methods for n in names.split(", ")}
    assert {"mu_forest", "sigma"} <= names
    assert fit.methods["mu_forest"] == "reversible jump"
    assert np.isfinite(float(bc.estimate(fit, bc.ATE("t", "y"), seed=1)))


@pymc_bart
def test_what_a_forest_here_is_not_is_refused_in_words():
    import pymc_bart as pmb

    data = trial(30)
    y = data["y"].to_numpy()
    with pm.Model(coords={"unit": range(30)}) as lines:
        x = pm.Data("x", data[["x"]].to_numpy(), dims=("unit", "k"))
        with pytest.warns(UserWarning, match="experimental"):
            mu = pmb.BART("mu", x, y, m=3, response="linear")
        pm.Normal("y", mu, 1, dims="unit")
    with pytest.raises(ModelError, match="leaves that are lines"):
        structure_of(lines)
    with pm.Model(coords={"unit": range(30)}) as two:
        x = pm.Data("x", data[["x"]].to_numpy(), dims=("unit", "k"))
        both = pmb.BART("mu", x, y, m=3, shape=(2, 30))
        pm.Normal("y", both[0], pm.math.exp(both[1]), dims="unit")
    with pytest.raises(ModelError, match="several outputs"):
        structure_of(two)
    with pytest.raises(BayesCausalError, match="does not draw forests: they have no gradient"):
        bc.fit(hand_written(data), data, sampler="nutpie", draws=5, progressbar=False)
    holes = data.assign(x=data["x"].where(data.index > 2))
    with pytest.raises(DataError, match="splits on 'x_unobserved', which the data do not give"):
        bc.fit(hand_written(data), holes, draws=5, progressbar=False)


def falling(*, b=None, s=None):
    """A forest of z and a line of x, along which y falls; transforms of what is beside it."""
    import pymc_bart as pmb

    data = trial(40)
    data["y"] = -2 * data["x"]
    with pm.Model(coords={"unit": range(40)}) as model:
        z, x = (pm.Data(n, data[n].to_numpy(), dims="unit") for n in "zx")
        mu = pmb.BART("mu", z[:, None], data["y"].to_numpy(), m=2, dims="unit")
        slope = pm.Normal("b", initval=1.0, **({"transform": b} if b else {}))
        scale = pm.HalfNormal("s", **({"transform": s} if s else {}))
        pm.Normal("y", mu + slope * x, scale, dims="unit")
    return model, data


@pymc_bart
def test_what_a_transform_keeps_within_bounds_is_not_drawn_as_if_it_were_free():
    """``transform=`` cuts a prior off: of a coefficient beside a forest, and of the scale."""
    above = pm.distributions.transforms.Interval(0.5, None)
    for kept in ("", "b", "s"):
        model, data = falling(**({kept: above} if kept else {}))
        structure = structure_of(model)
        conformed = conform(as_table(data, structure), structure)
        [(block, _)] = make_plan(structure, set(conformed.columns)).rest
        form = linear_forests(structure, conformed, block)
        assert form == f"{kept} has a transform of its own" if kept else form.names == {"b": ()}


@pymc_bart
@pytest.mark.slow
def test_a_coefficient_beside_a_forest_that_is_kept_within_bounds_stays_there():
    model, data = falling(b=pm.distributions.transforms.Interval(0.0, None))
    fit = bc.fit(model, data, draws=10, chains=1, tune=20, seed=1, progressbar=False)
    assert (fit.posterior["b"] > 0).all()


@pymc_bart
@pytest.mark.slow
@pytest.mark.parametrize("cores", [1, 2])
def test_several_forests_several_chains_side_by_side(cores):
    """A forest for the treatment and one for a count: each chain's trees with its own draws."""
    import pymc_bart as pmb

    data = trial(150).assign(n=np.random.default_rng(3).poisson(2.0, 150))
    with pm.Model(coords={"unit": range(150)}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        e = pmb.BART("e", pt.stack([x], axis=1), data["t"].to_numpy(), m=8, dims="unit")
        t = pm.Bernoulli("t", logit_p=e, dims="unit")
        mu = pmb.BART("mu", pt.stack([x, t], axis=1), np.log1p(data["n"].to_numpy()), m=8)
        pm.Poisson("n", pm.math.exp(mu), dims="unit")
    fit = bc.fit(model, data, draws=60, chains=3, tune=60, seed=6, progressbar=False, cores=cores)
    assert set(fit.forests) == {"e_forest", "mu_forest"}
    same = bc.fit(model, data, draws=60, chains=3, tune=60, seed=6, progressbar=False, cores=1)
    for name in fit.forests:
        np.testing.assert_array_equal(fit.posterior[name], same.posterior[name])
    assert abs(float(bc.estimate(fit, bc.ATE("t", "n"), seed=1))) < 1.5


# ----------------------------------------------------------------------------- studies


@stochtree
@pytest.mark.slow
def test_a_plain_forest_lets_confounding_in_and_the_propensity_mends_it():
    """Treatment follows a step along the diagonal, which trees describe dearly.

    After Hahn, Murray and Carvalho (2020), section 4: effect 0.25, two covariates, 250 units. The
    propensity takes more than 0.4 of the error away in chains as short as these.
    """
    off = {}
    for rhs in ("bart(a, b, t)", "bcf(t, by=(a, b))"):
        errors = []
        for seed in range(6):
            rng = np.random.default_rng(seed)
            a, b = rng.uniform(size=(2, 250))
            mean = np.where(a < b, 1.0, -1.0)
            t = rng.binomial(1, stats.norm.cdf(mean))
            y = mean + 0.25 * t + 0.7 * rng.normal(size=250)
            data = pd.DataFrame({"a": a, "b": b, "t": t, "y": y})
            model = bc.model_from_formulas([f"y ~ {rhs}"], data=data)
            options = {"draws": 300, "chains": 1, "tune": 200, "progressbar": False}
            fit = bc.fit(model, data, seed=seed, **options)
            errors.append(float(bc.estimate(fit, bc.ATE("t", "y"), seed=1)) - 0.25)
        off[rhs] = np.mean(errors)
    assert off["bart(a, b, t)"] > 0.3
    assert abs(off["bcf(t, by=(a, b))"]) < 0.6 * off["bart(a, b, t)"]
