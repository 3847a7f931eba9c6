"""Generalised linear equations with group effects are drawn without a compiler, and exactly."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from scipy import stats
from scipy.special import expit, logsumexp

import bayescausal as bc
from bayescausal.draws.diagnostics import diagnose
from bayescausal.inference.closed_forms.blocks import split
from bayescausal.inference.hamiltonian import split_hamiltonian
from bayescausal.inference.hamiltonian.mixed import MixedBlock, mixed_block
from bayescausal.inference.hamiltonian.split_hamiltonian import _Around, _Reference
from bayescausal.model.structure.read import structure_of

METHOD = MixedBlock.method


def rows_of(n: int, groups: int, family: str, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    data = {
        "g": rng.integers(0, groups, n),
        "x": rng.normal(size=n),
        "t": rng.integers(0, 2, n),
    }
    eta = -0.2 + 0.5 * data["x"] + rng.normal(0, 0.7, groups)[data["g"]]
    data["y"] = {
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "negative binomial": lambda: rng.negative_binomial(2, 2 / (2 + np.exp(eta))),
        "gamma": lambda: rng.gamma(2, np.exp(eta) / 2),
        "trials": lambda: rng.binomial(3, stats.norm.cdf(eta)),
    }.get(family, lambda: rng.binomial(1, expit(eta)))()
    return data


def model_of(kind: str, groups: int) -> pm.Model:
    with pm.Model(coords={"unit": [0], "group": range(groups), "k": ["1", "t"]}) as model:
        g = pm.Data("g", np.zeros(1, int), dims="unit")
        x, t = (pm.Data(n, np.zeros(1), dims="unit") for n in ("x", "t"))
        a, b = pm.Normal("a", 0, 1.5), pm.Normal("b", 0, 1)
        if kind == "correlated":
            chol, _, _ = pm.LKJCholeskyCov(
                "chol", n=2, eta=2, sd_dist=pm.Exponential.dist(1, size=2)
            )
            own = pm.MvNormal("own", 0, chol=chol, dims=("group", "k"))
            eta = a + b * x + own[g, 0] + own[g, 1] * t
        else:
            tau = pm.HalfNormal("tau", 1)
            if kind in ("centred", "gamma"):
                eta = b * x + pm.Normal("u", a, tau, dims="group")[g]
            else:
                eta = a + b * x + tau * pm.Normal("u", 0, 1, dims="group")[g]
        if kind in ("negative binomial", "gamma"):
            k = pm.Exponential("k_", 1)
            if kind == "gamma":
                pm.Gamma("y", alpha=k, beta=k / pm.math.exp(eta), dims="unit")
            else:
                pm.NegativeBinomial("y", mu=pm.math.exp(eta), alpha=k, dims="unit")
        elif kind == "poisson":
            pm.Poisson("y", pm.math.exp(eta), dims="unit")
        elif kind == "trials":
            pm.Binomial("y", 3, pm.math.invprobit(eta), dims="unit")
        else:
            pm.Bernoulli("y", logit_p=eta, dims="unit")
    return model


def block_of(model: pm.Model) -> MixedBlock:
    [block] = split(structure_of(model), {"y"}, ())
    found = mixed_block(structure_of(model), block, {"g", "x", "t", "y"})
    assert not isinstance(found, str), found
    return found


KINDS = "centred", "correlated", "poisson", "negative binomial", "gamma", "trials"


@pytest.mark.parametrize("kind", KINDS)
def test_gaussian_and_rest_are_the_density_of_the_model(kind: str) -> None:
    """log p(h, c | y) - const = log p~(h) + log N(c; mu(h), Q(h)^-1) + r: whatever the Gaussian is.

    And the slopes of r are its differences.
    """
    model, data = model_of(kind, 4), rows_of(60, 4, kind)
    found = block_of(model)
    rng = np.random.default_rng(1)
    work = _Around(_Reference(found.hierarchy, found.statistics(data), rng), rng)
    form = work.reference.form
    at = work.place(work.mixture.draw(4, rng))
    z = 1.5 * rng.standard_normal((4, form.size))
    flat = work.coefficients(at, z)
    own = at.height + work.rest(at, flat) - 0.5 * (z**2).sum(axis=1)
    own += np.log(at.factors[:, form.start[:-1]]).sum(axis=1)
    with pm.observe(model, {"y": data["y"]}) as seen:
        pm.set_data({n: data[n] for n in ("g", "x", "t")}, coords={"unit": range(60)})
    density = seen.compile_logp(mode="FAST_COMPILE")
    names = {str(rv.name): str(seen.rvs_to_values[rv].name) for rv in seen.free_RVs}
    want = []
    for point, c in zip(at.points, flat, strict=True):
        start, here = 0, {}
        shapes = [*work.reference.map.sizes, *found.hierarchy.shapes.items()]
        for name, shape in shapes:
            stop = start + int(np.prod(shape))
            here[names[name]] = np.concatenate([point, c])[start:stop].reshape(shape)
            start = stop
        want.append(float(density(here)))
    np.testing.assert_allclose(np.diff(own), np.diff(want), rtol=1e-8, atol=1e-7)
    way = rng.standard_normal(z.shape)
    ends = [work.rest(at, work.coefficients(at, z + s * 1e-5 * way)) for s in (-1, 1)]
    slope = (work.slope(at, flat) * way).sum(axis=1)
    np.testing.assert_allclose(slope, (ends[1] - ends[0]) / 2e-5, rtol=1e-4, atol=1e-5)


def by_quadrature(y: np.ndarray, g: np.ndarray, groups: int) -> dict[str, tuple[float, ...]]:
    """Mean, sd and kurtosis of the mean a and of log tau, logistic: every integral on a grid."""
    a, log_tau, z = np.linspace(-7, 7, 71), np.linspace(-11, 3, 141), np.linspace(-7.5, 7.5, 151)
    n, s = np.bincount(g, minlength=groups), np.bincount(g, y, minlength=groups)
    height = np.zeros((len(a), len(log_tau)))
    for i, tau in enumerate(np.exp(log_tau)):
        eta = a[:, None] + tau * z
        for j in range(groups):
            rows = s[j] * eta - n[j] * np.logaddexp(0, eta) + stats.norm.logpdf(z)
            height[:, i] += logsumexp(rows, axis=1)
        height[:, i] += stats.halfnorm.logpdf(tau) + log_tau[i]
    height += stats.norm.logpdf(a, 0, 1.5)[:, None]
    p = np.exp(height - height.max())
    p /= p.sum()
    found = {}
    for name, x, w in (("a", a, p.sum(axis=1)), ("tau", log_tau, p.sum(axis=0))):
        mean = w @ x
        sd = np.sqrt(w @ (x - mean) ** 2)
        found[name] = float(mean), float(sd), float(w @ (x - mean) ** 4 / sd**4)
    return found


@pytest.mark.parametrize("kind", ["centred", "uncentred"])
@pytest.mark.parametrize("sure", [0.0, 2.0])
def test_draws_are_those_of_numerical_integration(kind: str, sure: float, monkeypatch) -> None:
    """Independent proposals, and chains; one group of the six is all ones, one all zeros."""
    monkeypatch.setattr(split_hamiltonian, "SURE", sure)
    g = np.repeat(np.arange(6), 4)
    y = np.array([[1] * 4, [0] * 4, [1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 1]]).ravel()
    x = np.zeros(24)
    found = block_of(model_of(kind, 6))
    draws = found.draw(found.statistics({"g": g, "x": x, "t": x, "y": y}), 4_000, [3])
    assert np.all(np.isfinite(draws["u"]))
    want = by_quadrature(y, g, 6)
    for name, drawn in (("a", draws["a"]), ("tau", np.log(draws["tau"]))):
        mean, sd, kurtosis = want[name]
        worth = float(diagnose(drawn.reshape(1, 4, -1))["ess_bulk"][0])
        assert worth > 800
        assert drawn.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(worth))
        error = np.sqrt((kurtosis - 1) / (4 * worth))
        assert drawn.std() / sd == pytest.approx(1, abs=4 * error)


def test_chains_that_do_not_reach_a_heavy_tail_are_refused() -> None:
    """All groups alike, and a scale that may be anything: the tail of tau is that of its prior."""
    with pm.Model(coords={"unit": [0], "group": range(4)}) as model:
        g = pm.Data("g", np.zeros(1, int), dims="unit")
        u = pm.Normal("u", 0, 1, dims="group")
        eta = pm.Normal("a", 0, 1.5) + pm.HalfCauchy("tau", 2) * u[g]
        pm.Bernoulli("y", logit_p=eta, dims="unit")
    found = block_of(model)
    rows = found.statistics({"g": np.repeat(np.arange(4), 3), "y": np.ones(12)})
    with pytest.raises(ArithmeticError):
        found.draw(rows, 4_000, [2])


def test_a_flat_prior_of_a_separated_coefficient_has_no_gaussian() -> None:
    with pm.Model(coords={"unit": [0], "group": range(3)}) as model:
        g = pm.Data("g", np.zeros(1, int), dims="unit")
        x = pm.Data("x", np.zeros(1), dims="unit")
        u = pm.Normal("u", 0, pm.HalfNormal("tau", 1), dims="group")
        pm.Bernoulli("y", logit_p=pm.Flat("b") * x + u[g], dims="unit")
    found = block_of(model)
    x = np.tile([-2.0, -1.0, 1.0, 2.0], 6)
    rows = found.statistics({"g": np.arange(24) % 3, "x": x, "y": (x > 0).astype(int)})
    with pytest.raises(ArithmeticError):
        found.draw(rows, 1_000, [2])


def test_several_equations_and_unknown_trials_are_left_to_others() -> None:
    with pm.Model(coords={"unit": [0], "group": range(3)}) as model:
        g = pm.Data("g", np.zeros(1, int), dims="unit")
        u = pm.Normal("u", 0, pm.HalfNormal("tau", 1), dims="group")
        pm.Bernoulli("y", logit_p=u[g], dims="unit")
        pm.Poisson("w", pm.math.exp(u[g]), dims="unit")
    [block] = split(structure_of(model), {"y", "w"}, ())
    assert mixed_block(structure_of(model), block, {"g", "y", "w"}) == "it is not one equation"


def test_fits_say_how_and_chains_are_run_where_they_are_asked_for() -> None:
    data = rows_of(400, 8, "bernoulli")
    table = {n: data[n] for n in ("x", "t", "y")} | {"g": [f"g{k}" for k in data["g"]]}
    model = bc.model_from_formulas(
        ["y ~ x + t + (1 + t | g)"], {"y": "bernoulli(link=probit)"}, data=table
    )
    fit = bc.fit(model, table, draws=250, chains=4, seed=1, progressbar=False)
    assert set(fit.methods.values()) == {METHOD}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_calibration_by_simulation(kind: str) -> None:
    """Ranks of the truth among the draws are uniform: 200 fits of 40 rows in 6 groups."""
    fits, draws, bins, groups = 200, 255, 8, 6
    found = block_of(model_of(kind, groups))
    rng = np.random.default_rng(11)
    g, ranks, refused = np.arange(40) % groups, [], 0
    for r in range(fits):
        data = {"g": g, "x": rng.normal(size=40), "t": rng.integers(0, 2, 40)}
        truth = simulated(kind, groups, data, rng)
        try:
            post = found.draw(found.statistics(data), draws, [7, r])
        except ArithmeticError:
            refused += 1
            continue
        ranks.append([int((post[n] < v).sum()) for n, v in truth.items()])
    assert refused < 0.1 * fits
    for column in np.transpose(ranks):
        counts = np.bincount(column * bins // (draws + 1), minlength=bins)
        assert stats.chisquare(counts).pvalue > 1e-3 / 4  # 21 columns in all


def simulated(
    kind: str, groups: int, data: dict[str, np.ndarray], rng: np.random.Generator
) -> dict[str, float]:
    """Draw parameters from the prior, and the outcome; return those that are ranked."""
    a, b = 1.5 * rng.normal(), rng.normal()
    eta = a + b * data["x"]
    truth = {"a": a, "b": b}
    if kind == "correlated":  # the correlation of LKJ(2) in two dims: (1 + r) / 2 is Beta(2, 2)
        sd, r = rng.exponential(size=2), 2 * rng.beta(2, 2) - 1
        own = rng.normal(size=(groups, 2)) * sd[0]
        own[:, 1] = sd[1] * (r * own[:, 0] / sd[0] + np.sqrt(1 - r**2) * rng.normal(size=groups))
        eta = eta + own[data["g"], 0] + own[data["g"], 1] * data["t"]
    else:
        truth["tau"] = abs(rng.normal())
        eta = eta + truth["tau"] * rng.normal(size=groups)[data["g"]]
    if kind in ("negative binomial", "gamma"):
        truth["k_"] = k = rng.exponential()
        mean = np.exp(eta)
        if kind == "gamma":
            data["y"] = np.maximum(rng.gamma(k, mean / k), 1e-300)
        else:
            data["y"] = rng.poisson(mean * rng.gamma(k, 1 / k, len(mean)))
    elif kind == "poisson":
        data["y"] = rng.poisson(np.exp(eta))
    elif kind == "trials":
        data["y"] = rng.binomial(3, stats.norm.cdf(eta))
    else:
        data["y"] = rng.binomial(1, expit(eta))
    return truth
