"""Generalised linear equations are drawn without a compiler, and exactly."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import arviz_stats as azs
import numpy as np
import pymc as pm
import pytest
from arviz_stats.base import array_stats
from scipy import stats
from scipy.special import expit

import bayescausal as bc
from bayescausal.inference.closed_forms.blocks import split
from bayescausal.inference.conditioning.smooth import near_mode
from bayescausal.inference.data.lags import is_lag, likely_lags
from bayescausal.inference.densities.metropolis import tail_shape
from bayescausal.inference.sampling import about_mode
from bayescausal.inference.sampling.about_mode import Posterior, _mode, draw_about_mode
from bayescausal.inference.sampling.families import FAMILIES, Equation
from bayescausal.inference.sampling.few import METHOD
from bayescausal.inference.sampling.generalised import generalised_block
from bayescausal.model.structure.read import structure_of


def rows_of(family: str, n: int, seed: int = 0, d: int = 2, power: int = -1) -> Equation:
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(n), rng.normal(size=(n, d - 1))])
    offset = 0.3 * rng.normal(size=n)
    eta = offset + x @ np.linspace(0.2, 0.5, d)
    trials = np.ones(n)
    if family in ("logistic", "probit"):
        trials = rng.integers(1, 4, n).astype(float)
    y = {
        "logistic": lambda: rng.binomial(trials.astype(int), expit(eta)),
        "probit": lambda: rng.binomial(trials.astype(int), stats.norm.cdf(eta)),
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "negative binomial": lambda: rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(eta))),
        "gamma": lambda: rng.gamma(2.0, np.exp(eta) * 2.0**power),
    }[family]()
    return Equation(family, offset, x, y.astype(float), trials, rng.integers(1, 3, n) * 1.0, power)


def law(rows: Equation, c: np.ndarray, a: float) -> float:
    """The log-likelihood as SciPy has it."""
    eta = rows.offset + rows.x @ c
    each = {
        "logistic": lambda: stats.binom.logpmf(rows.y, rows.trials, expit(eta)),
        "probit": lambda: stats.binom.logpmf(rows.y, rows.trials, stats.norm.cdf(eta)),
        "poisson": lambda: stats.poisson.logpmf(rows.y, np.exp(eta)),
        "negative binomial": lambda: stats.nbinom.logpmf(rows.y, a, a / (a + np.exp(eta))),
        "gamma": lambda: stats.gamma.logpdf(rows.y, a, scale=np.exp(eta) * a**rows.power),
    }[rows.family]()
    return float(rows.counts @ each)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n", [7, 1_300])
def test_log_likelihoods_and_slopes_are_those_of_scipy(family: str, n: int) -> None:
    rows = rows_of(family, n)
    rng = np.random.default_rng(1)
    points, shapes = rng.normal(0, 0.5, (4, 2)), rng.uniform(0.5, 4, 4)
    found = rows.log_likelihood(points, shapes if FAMILIES[family] else None)
    want = np.array([law(rows, c, a) for c, a in zip(points, shapes, strict=True)])
    np.testing.assert_allclose(np.diff(found), np.diff(want), rtol=1e-9, atol=1e-8 * n)
    step = 1e-5 * np.eye(2)[0]
    numeric = (
        law(rows, points[0] + step, shapes[0]) - law(rows, points[0] - step, shapes[0])
    ) / 2e-5
    first, second = rows.slopes(points[0], float(shapes[0]))
    assert first @ rows.x[:, 0] == pytest.approx(numeric, rel=1e-5)
    ahead = rows.slopes(points[0] + step, float(shapes[0]))[0] @ rows.x[:, 0]
    curved = -(ahead - first @ rows.x[:, 0]) / 1e-5
    assert second @ rows.x[:, 0] ** 2 == pytest.approx(curved, rel=1e-3)


def test_equal_rows_are_counted() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(4_000), rng.integers(0, 2, 4_000)])
    y = rng.integers(0, 2, 4_000).astype(float)
    one = np.ones(4_000)
    rows = Equation("logistic", 0 * one, x, y, one, one)
    short = rows.merged()
    assert len(short.y) == 4
    assert short.counts.sum() == 4_000
    points = rng.normal(size=(3, 2))
    np.testing.assert_allclose(
        short.log_likelihood(points, None), rows.log_likelihood(points, None), rtol=1e-11
    )
    apart = Equation("logistic", 0 * one, rng.normal(size=(4_000, 2)), y, one, one)
    assert apart.merged() is apart


def on_grid(posterior: Posterior, centre: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, ...]:
    """Means and standard deviations by numerical integration."""
    axes = [np.linspace(c - 9 * w, c + 9 * w, 161) for c, w in zip(centre, width, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    height = posterior.log_density(points)
    weight = np.exp(height - height.max())
    weight /= weight.sum()
    mean = weight @ points
    return mean, np.sqrt(weight @ (points - mean) ** 2)


@pytest.mark.parametrize("family", [*FAMILIES, "separated"])
def test_draws_are_those_of_numerical_integration(family: str) -> None:
    n = 12
    if family == "separated":  # a bell fits badly: the likelihood rises without end
        x = np.column_stack([np.ones(6), [-2.0, -1.5, -1.0, 1.0, 1.5, 2.0]])
        y, one = np.array([0, 0, 0, 1, 1, 1.0]), np.ones(6)
        rows = Equation("logistic", 0 * one, x, y, one, one)
    else:
        rows = rows_of(family, n, d=1 if FAMILIES.get(family) else 2)
    size = rows.x.shape[1]
    shaped = FAMILIES.get(family, False)
    prior = (lambda a: stats.halfnorm.logpdf(a, scale=3)) if shaped else None
    posterior = Posterior(rows, np.eye(size) / 4, np.zeros(size), prior)
    draws = draw_about_mode(posterior, 8_000, np.random.default_rng(2))
    mean, sd = on_grid(posterior, draws.mean(axis=0), draws.std(axis=0))
    # neighbours are correlated by .2 at most: 8,000 draws are worth 5,000
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 4 * sd / np.sqrt(5_000))
    assert np.all(np.abs(draws.std(axis=0) / sd - 1) < 0.06)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_calibration_by_simulation(family: str) -> None:
    """Ranks of the truth among the draws are uniform: 1,000 fits of 30 rows, some separated."""
    fits, draws, bins = 1_000, 255, 16
    width = {"logistic": 2.5, "probit": 1.5}.get(family, 0.5)
    prior = (lambda a: stats.halfnorm.logpdf(a, scale=3)) if FAMILIES[family] else None
    rng = np.random.default_rng(11)
    one, ranks = np.ones(30), []
    for r in range(fits):
        x = np.column_stack([one, rng.normal(size=30), rng.integers(0, 2, 30)])
        c, a = width * rng.normal(size=3), abs(3 * rng.normal())
        eta = x @ c
        y = {
            "logistic": lambda: rng.binomial(1, expit(eta)),  # noqa: B023
            "probit": lambda: rng.binomial(1, stats.norm.cdf(eta)),  # noqa: B023
            "poisson": lambda: rng.poisson(np.exp(eta)),  # noqa: B023
            "negative binomial": lambda: rng.negative_binomial(a, a / (a + np.exp(eta))),  # noqa: B023
            "gamma": lambda: np.maximum(rng.gamma(a, np.exp(eta) / a), 1e-300),  # noqa: B023
        }[family]()
        rows = Equation(family, 0 * one, x, y.astype(float), one, one, -1)
        posterior = Posterior(rows, np.eye(3) / width**2, np.zeros(3), prior)
        found = draw_about_mode(posterior, draws, np.random.default_rng([7, r]))
        truth = np.append(c, np.log(a)) if prior else c
        ranks.append((found < truth).sum(axis=0))
    for column in np.transpose(ranks):
        counts = np.bincount(column * bins // (draws + 1), minlength=bins)
        assert stats.chisquare(counts).pvalue > 1e-3 / 4  # 17 columns in all


def test_a_polynomial_takes_the_place_of_many_rows_and_is_certified() -> None:
    rows = rows_of("logistic", 30_000, d=3)
    posterior = Posterior(rows, np.eye(3), np.zeros(3), None)
    mode, root = _mode(posterior)
    rng = np.random.default_rng(3)
    value = near_mode(posterior.log_density, mode, root, rng)
    assert value != posterior.log_density
    near = mode + np.linalg.solve(root.T, rng.normal(size=(3, 40))).T
    np.testing.assert_allclose(value(near), posterior.log_density(near), atol=0.01, rtol=0)
    way = rng.normal(size=(3, 5))
    far = mode + np.linalg.solve(root.T, 8 * way / np.linalg.norm(way, axis=0)).T
    np.testing.assert_allclose(value(far), posterior.log_density(far), rtol=1e-12)

    def kinked(points):
        return -np.abs(points).sum(axis=1)

    assert near_mode(kinked, np.zeros(3), np.eye(3), rng) is kinked


@pytest.mark.parametrize("family", ["gamma", "negative binomial"])
def test_slopes_in_coefficients_and_shape_are_those_of_the_density(family: str) -> None:
    """By central differences, whose error at a step of 1e-4 is about 1e-8 times a third derivative.

    Second ones carry the rounding of the density, some hundred times 1e-16, over the step squared.
    """
    rows = replace(rows_of(family, 12), counts=np.arange(1.0, 13.0))
    precision = np.array([[0.5, 0.1], [0.1, 0.4]])
    posterior = Posterior(rows, precision, np.array([0.1, 0.2]), lambda a: -(a**2) / 50)
    step, axes = 1e-4, 1e-4 * np.eye(3)

    def density(point):
        return posterior.log_density(point[None])[0]

    for point in np.array([[0.3, 0.2, 0.7], [1.0, -0.5, -1.0], [0.0, 0.0, 2.0]]):
        gradient, curvature = posterior.slopes(point)
        first = [(density(point + e) - density(point - e)) / (2 * step) for e in axes]
        second = [
            [
                density(point + a + b) - density(point + a - b)
                - density(point - a + b) + density(point - a - b)
                for b in axes
            ]
            for a in axes
        ]  # fmt: skip
        np.testing.assert_allclose(gradient, first, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(
            curvature, -np.array(second) / (2 * step) ** 2, rtol=1e-4, atol=2e-3
        )


def test_a_climb_that_ends_nowhere_is_no_proof_that_there_is_one_mode(monkeypatch) -> None:
    """It is one where the density it began at is too low to count: under a prior that says so."""
    rows = rows_of("negative binomial", 12)

    def nowhere(*given: object) -> None:
        raise ArithmeticError("no step rises")

    monkeypatch.setattr(about_mode, "_climb", nowhere)
    for spread, refused in ((50.0, True), (0.05, False)):
        prior = partial(stats.norm.logpdf, loc=2.0, scale=spread)
        posterior = Posterior(rows, np.eye(2) / 4, np.zeros(2), prior)
        mode = np.array([0.2, 0.5, np.log(2.0)])
        heights = posterior.log_density(np.array([[*mode[:2], s] for s in about_mode.SHAPES]))
        near = heights > posterior.log_density(mode[None]) - about_mode.FAR
        assert near.any() == refused
        with pytest.raises(ArithmeticError) if refused else nullcontext():
            about_mode._refuse_several(posterior, mode)


def test_a_likelihood_that_rises_without_end_is_refused() -> None:
    x, one = np.array([[-1.0], [1.0]]), np.ones(2)
    rows = Equation("logistic", 0 * one, x, np.array([0.0, 1.0]), one, one)
    with pytest.raises(ArithmeticError):
        draw_about_mode(
            Posterior(rows, np.zeros((1, 1)), np.zeros(1), None), 100, np.random.default_rng(0)
        )


def _model(family: str) -> pm.Model:
    with pm.Model(coords={"unit": [0], "k": ["x", "t"]}) as model:
        x, t = (pm.Data(n, np.zeros(1), dims="unit") for n in ("x", "t"))
        a, b = pm.Normal("a", 0, 2), pm.Normal("b", 0, 1, dims="k")
        eta = a + pm.math.stack([x, t], axis=1) @ b
        if family == "clipped":
            pm.Poisson("y", pm.math.exp(pm.math.clip(eta, -5, 5)), dims="unit")
        elif family == "logistic":
            pm.Bernoulli("y", logit_p=eta, dims="unit")
        elif family == "invprobit":
            pm.Bernoulli("y", pm.math.invprobit(eta), dims="unit")
        elif family == "erf":
            pm.Binomial("y", 3, 1 - (1 - pm.math.erf(eta / np.sqrt(2))) / 2, dims="unit")
        elif family == "trials":
            pm.Binomial("y", 3, logit_p=eta, dims="unit")
        elif family == "poisson":
            pm.Poisson("y", 2 * pm.math.exp(eta), dims="unit")
        elif family == "negative binomial":
            k = pm.Exponential("k_", 1)
            pm.NegativeBinomial("y", mu=pm.math.exp(eta), alpha=k, dims="unit")
        else:
            k = pm.Exponential("k_", 1)
            pm.Gamma("y", alpha=k, beta=k / pm.math.exp(eta), dims="unit")
    return model


@pytest.mark.parametrize(
    "family",
    ["logistic", "invprobit", "erf", "trials", "poisson", "negative binomial", "gamma"],
)
def test_equations_are_recognised_and_have_the_density_of_the_model(family: str) -> None:
    rng = np.random.default_rng(4)
    n = 60
    data = {"x": rng.normal(size=n), "t": rng.integers(0, 2, n)}
    data["y"] = rng.gamma(2, 1, n) if family == "gamma" else rng.integers(0, 2, n)
    model = _model(family)
    structure = structure_of(model)
    [block] = split(structure, {"y"}, ())
    found = generalised_block(structure, block, {"x", "t", "y"})
    assert not isinstance(found, str), found
    rows = found.statistics(data)
    own = Posterior(rows, found.prior.known_gram, found.prior.known_moment, found.log_prior)
    points = rng.normal(0, 0.4, (3, found.size + (found.log_prior is not None)))
    with pm.observe(model, {"y": data["y"]}) as seen:
        pm.set_data({"x": data["x"], "t": data["t"]}, coords={"unit": range(n)})
    density = seen.compile_logp(mode="FAST_COMPILE")
    want = []
    for p in points:
        at = {"a": p[0], "b": p[1:3]}
        want.append(float(density(at | ({"k__log__": p[3]} if len(p) > 3 else {}))))
    np.testing.assert_allclose(np.diff(own.log_density(points)), np.diff(want), rtol=1e-8)


def test_a_predictor_that_is_cut_off_is_left_to_a_chain() -> None:
    structure = structure_of(_model("clipped"))
    [block] = split(structure, {"y"}, ())
    found = generalised_block(structure, block, {"x", "t", "y"})
    assert isinstance(found, str)
    assert "not affine" in found


def test_fits_say_how_and_chains_are_run_where_they_are_asked_for() -> None:
    rng = np.random.default_rng(5)
    n = 300
    data = {"x": rng.normal(size=n), "t": rng.integers(0, 2, n), "y": rng.integers(0, 2, n)}
    fit = bc.fit(_model("logistic"), data, draws=500, chains=4, seed=1, progressbar=False)
    assert fit.methods == {"a, b": "laplace (metropolis)"}
    rows = Equation(
        "logistic", np.zeros(n), np.column_stack([np.ones(n), data["x"], data["t"]]),
        data["y"].astype(float), np.ones(n), np.ones(n),
    )  # fmt: skip
    mean, sd = on_grid_free(Posterior(rows, np.diag([0.25, 1, 1]), np.zeros(3), None))
    assert abs(float(fit.posterior["a"].mean()) - mean) < 4 * sd / np.sqrt(1_200)


def on_grid_free(posterior: Posterior) -> tuple[float, float]:
    """Mean and sd of the first coefficient, by importance sampling with many points."""
    mode, root = _mode(posterior)
    rng = np.random.default_rng(6)
    noise = rng.standard_normal((3, 40_000))
    points = mode + np.linalg.solve(root.T, noise).T
    ratio = posterior.log_density(points) + 0.5 * (noise**2).sum(axis=0)
    weight = np.exp(ratio - ratio.max())
    weight /= weight.sum()
    mean = weight @ points[:, 0]
    return float(mean), float(np.sqrt(weight @ (points[:, 0] - mean) ** 2))


def test_lags_are_not_sorted_out() -> None:
    """Pairs that the full test would call lags stay, in every order of rows and units."""
    rng = np.random.default_rng(7)
    y = rng.normal(size=(40, 6)).cumsum(axis=1)
    before = np.column_stack([rng.normal(size=40), y[:, :-1]])
    count = rng.poisson(3, (40, 6))
    was = np.column_stack([np.zeros(40, int), count[:, :-1]])
    noise = {f"z{i}": rng.normal(size=240) for i in range(12)}
    for order in ("C", "F"):
        columns = {
            "y": y.ravel(order), "before": 2 * before.ravel(order) + 1, "count": count.ravel(order),
            "was": was.ravel(order), **noise,
        }  # fmt: skip
        unit = np.repeat(np.arange(40), 6).reshape(40, 6).ravel(order)
        kept = likely_lags(columns, list(columns), [unit])
        for pair in (("before", "y"), ("was", "count")):
            assert is_lag(columns[pair[0]], columns[pair[1]], [unit])
            assert pair in kept
        assert len(kept) < 60  # of 240 pairs


def test_a_shape_with_two_modes_is_drawn_at_both():
    """Counts that are spread, and a prior that says they are not: both modes have a share.

    Proposals about one mode do not see the other; a mixture has both.
    """
    rng = np.random.default_rng(4)
    y = rng.negative_binomial(1.2, 1.2 / (1.2 + 2.0), 150)
    with pm.Model(coords={"unit": [0]}) as model:
        b, k = pm.Normal("b"), pm.LogNormal("k", 7.2, 0.7)
        pm.NegativeBinomial("y", mu=pm.math.exp(b), alpha=k, dims="unit")
    fit = bc.fit(model, {"y": y}, seed=1, progressbar=False)
    assert list(fit.methods.values()) == [METHOD]
    b, log_k = np.meshgrid(np.linspace(-0.5, 1.8, 300), np.linspace(-1.5, 10, 600), indexing="ij")
    values, counts = np.unique(y, return_counts=True)
    mu, k = np.exp(b)[..., None], np.exp(log_k)[..., None]
    log = (counts * stats.nbinom.logpmf(values, k, k / (k + mu))).sum(axis=-1)
    log += stats.norm.logpdf(b) + stats.norm.logpdf(log_k, 7.2, 0.7)
    p = np.exp(log - log.max())
    p /= p.sum()
    high = np.asarray(fit.posterior["k"] > np.exp(4.0), dtype=float)
    share = float(p[log_k > 4.0].sum())
    assert 0.02 < share < 0.98
    error = np.sqrt(share * (1 - share) / float(azs.ess(high)))
    assert high.mean() == pytest.approx(share, abs=4 * error)


@pytest.mark.parametrize("count", [30, 226, 4000])
@pytest.mark.parametrize("df", [1.5, 30])
def test_tail_shapes_are_those_of_arviz(count, df):
    ratio = np.log(np.abs(np.random.default_rng(7).standard_t(df, count)))
    expected = float(array_stats.psislw(-ratio)[1])
    assert tail_shape(ratio) == pytest.approx(expected, abs=1e-9)
    assert tail_shape(np.append(ratio, -np.inf)) == pytest.approx(expected, abs=1e-9)


def test_tails_without_a_shape():
    assert tail_shape(np.zeros(50)) == -np.inf
    assert tail_shape(np.arange(12.0)) == np.inf
