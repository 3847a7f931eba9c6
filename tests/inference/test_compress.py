"""Compression: the log-density differs from the original's by a constant, and by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.inference.closed_forms.points import POINTS
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.types import DataError, MixingError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

N = 600
RNG = np.random.default_rng(5)
X, Z = RNG.normal(size=N), RNG.normal(3, 2, size=N)
D, E, G = RNG.integers(0, 2, N), RNG.integers(0, 3, N), RNG.integers(0, 6, N)
Y = 0.4 * X + 0.2 * G + RNG.normal(size=N) + 50
COUNT = RNG.poisson(2, N)
POSITIVE = RNG.gamma(2.0, 1.0, N)
UNIT_INTERVAL = RNG.beta(2.0, 3.0, N)


def affine(x, z, d, e, g) -> None:
    a, b, c = pm.Normal("a", 0, 10), pm.Laplace("b", 0, 1), pm.StudentT("c", 3)
    pm.Normal("y", a + b * x + c * z**2, pm.HalfCauchy("s", 1), dims="unit", observed=Y)


def centred(x, z, d, e, g) -> None:
    tau = pm.HalfNormal("tau")
    u = pm.Normal("u", 0, tau, dims="group")
    pm.Normal("y", u[g] + pm.Normal("b") * x, pm.Exponential("s", 1), dims="unit", observed=Y)


def non_centred(x, z, d, e, g) -> None:
    m, tau = pm.Normal("m"), pm.HalfNormal("tau")
    u = pm.Normal("u", dims="group")
    pm.Normal("y", m + tau * u[g] + pm.Normal("b") * x, 1.5, dims="unit", observed=Y)


def spread_in_mean(x, z, d, e, g) -> None:
    s = pm.HalfNormal("s")
    b = pm.Normal("b", shape=2)
    design = pt.stack([x, z], axis=1)
    pm.Normal("y", s + pt.exp(b[0]) * x + design @ b, 2 * s, dims="unit", observed=Y)


def log_normal(x, z, d, e, g) -> None:
    pm.LogNormal(
        "y", pm.Normal("a") + pm.Normal("b") * x, pm.HalfNormal("s"), dims="unit", observed=POSITIVE
    )


def known_noise(x, z, d, e, g) -> None:
    pm.Normal("y", pm.Normal("a") + pm.Normal("b") * x, pt.exp(z / 4), dims="unit", observed=Y)


def logistic(x, z, d, e, g) -> None:
    b = pm.Normal("b", shape=3)
    u = pm.Normal("u", 0, pm.HalfNormal("tau"), dims="group")
    pm.Bernoulli("y", logit_p=b[0] + b[1] * d + b[2] * d * e + u[g], dims="unit", observed=D)


def binomial(x, z, d, e, g) -> None:
    p = pm.math.invlogit(pm.Normal("a") + pm.Normal("b") * d)
    pm.Binomial("y", e + 5, p, dims="unit", observed=E)


def poisson(x, z, d, e, g) -> None:
    pm.Poisson("y", pt.exp(pm.Normal("a") + pm.Normal("b") * e), dims="unit", observed=COUNT)


def negative_binomial(x, z, d, e, g) -> None:
    mu = pt.exp(pm.Normal("a") + pm.Normal("b") * d)
    pm.NegativeBinomial("y", mu, pm.Exponential("alpha", 1), dims="unit", observed=COUNT)


def categorical(x, z, d, e, g) -> None:
    b = pm.Normal("b", shape=(2, 3))
    pm.Categorical("y", p=pm.math.softmax(b[d], axis=-1), dims="unit", observed=E)


def exponential(x, z, d, e, g) -> None:
    rate = pt.exp(pm.Normal("a") + pm.Normal("b") * e)
    pm.Exponential("y", rate, dims="unit", observed=POSITIVE)


def gamma(x, z, d, e, g) -> None:
    mu = pt.exp(pm.Normal("a") + pm.Normal("b") * d)
    pm.Gamma("y", mu=mu, sigma=pm.HalfNormal("s"), dims="unit", observed=POSITIVE)


def inverse_gamma(x, z, d, e, g) -> None:
    pm.InverseGamma("y", pm.Exponential("a", 1, shape=2)[d], 1.3, dims="unit", observed=POSITIVE)


def beta(x, z, d, e, g) -> None:
    alpha = pm.Exponential("alpha", 1, shape=2)
    pm.Beta("y", alpha[d], pm.Exponential("beta", 1), dims="unit", observed=UNIT_INTERVAL)


def uneven_noise(x, z, d, e, g) -> None:
    s = pm.HalfNormal("s", shape=2)
    pm.Normal("y", pt.exp(pm.Normal("a")) * d, s[d], dims="unit", observed=Y)


def zero_inflated(x, z, d, e, g) -> None:
    mu = pt.exp(pm.Normal("a") + pm.Normal("b") * d)
    pm.ZeroInflatedPoisson("y", pm.Beta("psi", 1, 1), mu, dims="unit", observed=COUNT)


def two_equations(x, z, d, e, g) -> None:
    s = pm.HalfNormal("s")
    t = pm.Bernoulli("t", logit_p=pm.Normal("a") + pm.Normal("b") * x, dims="unit", observed=D)
    mu = pm.Deterministic("mu", pm.Normal("c") + pm.Normal("d_t") * t, dims="unit")
    pm.Normal("y", mu, s, dims="unit", observed=Y)


COMPRESSED = [
    affine, centred, non_centred, spread_in_mean, log_normal, known_noise, logistic, binomial,
    poisson, negative_binomial, categorical, exponential, gamma, inverse_gamma, beta, uneven_noise,
    zero_inflated, two_equations,
]  # fmt: skip


def built(equations: Callable) -> pm.Model:
    with pm.Model(coords={"unit": range(N), "group": range(6)}) as model:
        data = {"x": X, "z": Z, "d": D, "e": E, "g": G}
        equations(**{f"{k}": pm.Data(f"{k}_", v, dims="unit") for k, v in data.items()})
    return model


def points(model: pm.Model, count: int) -> list[dict]:
    rng = np.random.default_rng(8)
    start = model.initial_point()
    return [{k: rng.normal(0, 0.7, np.shape(v)) for k, v in start.items()} for _ in range(count)]


def log_density(model: pm.Model, at: list[dict]) -> np.ndarray:
    density = model.compile_fn(model.logp(), mode=PY_MODE, on_unused_input="ignore")
    return np.array([float(density(p)) for p in at])


@pytest.mark.parametrize("equations", COMPRESSED, ids=lambda f: f.__name__)
def test_log_density_differs_by_a_constant(equations):
    model = built(equations)
    small = bc.compress(model)
    assert "y" not in small.named_vars
    assert "y_compressed" in small.named_vars
    assert {v.name for v in small.free_RVs} == {v.name for v in model.free_RVs}
    at = points(model, 6)
    before, after = log_density(model, at), log_density(small, at)
    assert np.isfinite(before).all()
    gap = before - after
    np.testing.assert_allclose(gap - gap[0], 0, atol=1e-9 * np.abs(before).max())
    moved = np.ptp(before)
    assert moved > 1  # the points tell densities apart


def test_an_equation_that_cannot_be_compressed_stays(tmp_path):
    small = bc.compress(built(two_equations))
    assert [v.name for v in small.observed_RVs] == ["t"]
    assert "mu" not in small.named_vars
    assert "y_data" not in small.named_vars  # data that nothing reads are gone
    assert small.dim_lengths["unit"].eval(mode=PY_MODE) == N


def test_nothing_of_the_rows_is_left_where_all_is_compressed():
    small = bc.compress(built(affine))
    longest = max(v.get_value().size for v in small.data_vars)
    assert longest < 20
    assert "unit" not in small.coords


def test_the_model_is_not_changed():
    model = built(logistic)
    before = set(model.named_vars)
    bc.compress(model)
    assert set(model.named_vars) == before
    assert len(model["d_"].get_value()) == N


def test_a_generative_model_with_data():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", pm.Normal("m"), 1.0, dims="unit")
        pm.Normal("y", pm.Normal("b") * x, 1.0, dims="unit")
    small = bc.compress(model, {"x": X, "y": Y})
    whole = pm.observe(model, {"x": X, "y": Y})
    at = points(small, 3)
    gap = log_density(whole, at) - log_density(small, at)
    np.testing.assert_allclose(gap, gap[0], rtol=1e-9)


def test_row_order_does_not_matter():
    with pm.Model(coords={"unit": [0]}) as model:
        d = pm.Bernoulli("d", pm.Beta("p", 1, 1), dims="unit")
        pm.Bernoulli("y", logit_p=pm.Normal("b") * d, dims="unit")
    order = np.random.default_rng(1).permutation(N)
    y = (E > 0).astype(int)
    one, two = (bc.compress(model, {"d": D[i], "y": y[i]}) for i in (slice(None), order))
    for name in ("y_counts", "y_d", "y_value"):
        np.testing.assert_array_equal(one[name].get_value(), two[name].get_value())
    assert len(one["y_counts"].get_value()) == 4


def test_noise_that_differs_between_rows_is_not_taken_for_one_number():
    with pm.Model(coords={"unit": range(N)}) as model:
        s = pm.HalfNormal("s", shape=2)
        pm.Normal("y", pm.Normal("b") * X, s[D], dims="unit", observed=Y)
    with pytest.raises(ModelError, match=r"y: .*length"):
        bc.compress(model)
    with pm.Model(coords={"unit": range(N)}) as model:
        x, d = pm.Data("x", X, dims="unit"), pm.Data("d", D, dims="unit")
        s = pm.HalfNormal("s", shape=2)
        pm.Normal("y", pm.Normal("b") * x, s[d], dims="unit", observed=Y)
    with pytest.raises(ModelError, match="more than half of its rows differ"):
        bc.compress(model)


def test_units_that_touch_are_refused():
    with pm.Model(coords={"unit": range(N)}) as model:
        x = pm.Data("x", X, dims="unit")
        pm.Normal("y", pm.Normal("b") * (x - x.mean()), 1.0, dims="unit", observed=Y)
    with pytest.raises(MixingError, match="units depend on each other"):
        bc.compress(model)


def test_an_equation_that_knows_its_place_is_refused():
    with pm.Model(coords={"unit": range(N)}) as model:
        d = pm.Data("d", D, dims="unit")
        trend = pt.arange(d.shape[0]) / 100.0
        pm.Bernoulli("y", logit_p=pm.Normal("b") * d + trend, dims="unit", observed=D)
    with pytest.raises((ModelError, MixingError), match="No equation can be compressed"):
        bc.compress(model)


def test_latents_and_empty_cells_stay():
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("u", dims="unit")
        pm.Normal("y", pm.Normal("b") * u, 1.0, dims="unit")
    with pytest.raises(ModelError, match="u is unknown for each unit"):
        bc.compress(model, {"y": Y})
    holes = np.where(np.arange(N) < 3, np.nan, X)
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", pm.Normal("m"), 1.0, dims="unit")
        pm.Normal("y", pm.Normal("b") * x, 1.0, dims="unit")
    with pytest.raises(ModelError, match=r"cells are imputed|unknown for each unit"):
        bc.compress(model, {"x": holes, "y": Y})


def test_nothing_observed_is_refused():
    with pm.Model(coords={"unit": [0]}) as model:
        pm.Normal("y", pm.Normal("b"), dims="unit")
    with pytest.raises(DataError, match="nothing to compress"):
        bc.compress(model)


@pytest.mark.parametrize("family", sorted(POINTS))
def test_points_have_the_means_of_the_statistics(family):
    statistics = {
        "NormalRV": (lambda y: y, np.square),
        "LogNormalRV": (np.log, lambda y: np.log(y) ** 2),
        "ExponentialRV": (lambda y: y,),
        "GammaRV": (lambda y: y, np.log),
        "InvGammaRV": (np.log, lambda y: 1 / y),
        "InverseGammaRV": (np.log, lambda y: 1 / y),
        "BetaRV": (np.log, lambda y: np.log1p(-y)),
    }[family]
    y = UNIT_INTERVAL if family == "BetaRV" else POSITIVE
    code = np.minimum(G, 4)
    code[0] = 5  # a cell with one row
    counts = np.bincount(code)
    points, fold = POINTS[family](y, code, counts.astype(float))
    for t in statistics:
        want = np.bincount(code, t(y)) / counts
        have = t(points).reshape(fold, -1).mean(axis=0)
        np.testing.assert_allclose(have, want, rtol=1e-7)
