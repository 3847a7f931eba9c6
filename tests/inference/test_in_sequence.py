"""A latent that Normal effects share leaves them in sequence: the same posterior, drawn exactly."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.inference.data.read import read_data
from bayescausal.inference.marginalize.in_sequence import in_sequence
from bayescausal.types import DataError


def shared(rho_prior=(-1, 1)):
    """An instrument: u is the common cause of x and y, by its correlation."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        u = pm.Normal("u", 0, 1, dims="unit")
        rho = pm.Uniform("rho", *rho_prior)
        sx, sy = pm.HalfNormal("sx", 2), pm.HalfNormal("sy", 2)
        root = pt.sqrt(pt.abs(rho))
        own = pt.sqrt(1 - pt.abs(rho))
        pi, b = pm.Normal("pi", 0, 2), pm.Normal("b", 0, 2)
        x = pm.Normal("x", pi * z + sx * root * u, sx * own, dims="unit")
        pm.Normal("y", b * x - (-sy * pt.sign(rho) * root * u) / 1.0, sy * own, dims="unit")
    return model


TRUTH = {"rho": -0.6, "sx": 1.0, "sy": 1.5, "pi": 0.8, "b": 1.5}


@pytest.fixture(scope="module")
def data():
    return bc.simulate(shared(), TRUTH, units=400, seed=3).drop(columns="u")


@pytest.fixture(scope="module")
def fit(data):
    return bc.fit(shared(), data, seed=1, draws=500, progressbar=False)


def log_density(data, theta):
    """The density of (x, y) given z with u integrated out, written down by hand."""
    z, x, y = (data[c].to_numpy() for c in ("z", "x", "y"))
    sx, sy, rho, b = theta["sx"], theta["sy"], theta["rho"], theta["b"]
    e, f = x - theta["pi"] * z, y - b * x
    q = (e / sx) ** 2 - 2 * rho * e * f / (sx * sy) + (f / sy) ** 2
    return np.sum(-0.5 * q / (1 - rho**2) - np.log(sx * sy) - 0.5 * np.log(1 - rho**2))


def test_the_rewritten_model_has_the_density_of_the_bivariate_normal(data):
    observed = read_data(shared(), data, None)
    found = in_sequence(observed.structure, observed.conformed)
    model = pm.observe(
        pm.do(found.structure.model, {n: v for n, v in TRUTH.items() if n not in ("rho", "b")}),
        {n: data[n].to_numpy() for n in ("z", "x", "y")},
    )
    logp = model.compile_logp(vars=model.observed_RVs, sum=True)
    points = [{**TRUTH, "rho": r, "b": b} for r, b in [(-0.6, 1.5), (0.3, 1.0), (0.0, 2.0)]]
    own = [
        logp(
            {
                str(v): np.asarray(
                    np.log((p["rho"] + 1) / (1 - p["rho"])) if "rho" in str(v) else p["b"]
                )
                for v in model.value_vars
            }
        )
        for p in points
    ]
    right = [log_density(data, p) for p in points]
    assert np.diff(own) == pytest.approx(np.diff(right), rel=1e-9)


def test_coefficients_leave_the_chain_and_the_latent_comes_back(data, fit):
    assert set(fit.methods.values()) == {"coefficients integrated out", "integrated out"}
    assert fit.summary(["b", "rho"])["ess_bulk"].min() > 1000
    z, x, y = (data[c].to_numpy() for c in ("z", "x", "y"))
    wald = (z @ y) / (z @ x)
    residual = y - wald * x
    se = residual.std() * np.sqrt(z @ z) / (z @ x)
    b = fit.posterior["b"].values
    assert b.mean() == pytest.approx(wald, abs=0.35 * se)
    assert b.std() == pytest.approx(se, rel=0.15)


def test_the_latent_is_drawn_from_its_conditional(data, fit):
    post = fit.posterior
    t = {n: post[n].values.reshape(-1, 1) for n in TRUTH}
    z, x, y = (data[c].to_numpy()[None] for c in ("z", "x", "y"))
    lx, ly = t["sx"] * np.sqrt(abs(t["rho"])), t["sy"] * np.sign(t["rho"]) * np.sqrt(abs(t["rho"]))
    vx, vy = t["sx"] ** 2 * (1 - abs(t["rho"])), t["sy"] ** 2 * (1 - abs(t["rho"]))
    precision = 1 + lx**2 / vx + ly**2 / vy
    mean = (lx * (x - t["pi"] * z) / vx + ly * (y - t["b"] * x) / vy) / precision
    standard = (post["u"].values.reshape(mean.shape) - mean) * np.sqrt(precision)
    assert standard.mean() == pytest.approx(0, abs=5 / np.sqrt(standard.size))
    assert standard.std() == pytest.approx(1, abs=5 / np.sqrt(2 * standard.size))


def test_do_acts_on_the_model_as_it_was_written(fit):
    ate = bc.estimate(fit, bc.ATE("x", "y"))
    assert np.allclose(ate.draws.values, fit.posterior["b"].values)
    assert ate.identification.status == "under assumption"


def test_a_refitter_keeps_what_it_found(data, fit):
    refitter = bc.Refitter(shared(), ["z", "x", "y"], draws=500)
    again = refitter.fit(data, seed=1)
    assert np.array_equal(again.posterior["u"], fit.posterior["u"])
    other = refitter.fit(data.iloc[:50], seed=1)
    assert other.posterior["u"].shape == (4, 500, 50)


@pytest.mark.parametrize("kind", ["spread", "curved", "one effect", "not seen", "seen"])
def test_what_is_not_of_the_form_stays_as_it_was(kind):
    coords = {"unit": [0], "g": range(3)}
    with pm.Model(coords=coords) as model:
        u = pm.Normal("u", 0, 1, dims="unit")
        s, b = pm.HalfNormal("s"), pm.Normal("b")
        mean = {"curved": u**2, "spread": u, "not seen": u, "seen": u, "one effect": u}[kind]
        x = pm.Normal("x", b * mean, pt.exp(u) if kind == "spread" else s, dims="unit")
        if kind != "one effect":
            pm.Normal("y", x + u, s, dims="unit")
    columns = {"x": [0.1, 0.5, 0.2], "y": [1.0, 0.3, 0.2]}
    if kind in ("one effect", "not seen"):
        columns.pop("y")
    if kind == "seen":
        columns["u"] = [0.0, 1.0, 2.0]
    observed = read_data(model, columns, None)
    assert in_sequence(observed.structure, observed.conformed) is None


def test_a_latent_that_is_large_is_drawn_when_it_is_asked_for(monkeypatch, tmp_path):
    rng = np.random.default_rng(4)
    z, u = rng.integers(0, 2, 400), rng.normal(size=400)
    x = z + u + 0.3 * rng.normal(size=400)
    columns = {"z": z, "x": x, "y": 1.5 * x - 2 * u + 0.3 * rng.normal(size=400)}
    design = bc.designs.instrument(columns, treatment="x", outcome="y", instrument="z")
    options = {"seed": 1, "draws": 200, "chains": 2, "progressbar": False}
    whole = bc.fit(design, **options)
    monkeypatch.setattr("bayescausal.inference.conditioning.posterior.HELD", 1_000)
    fit = bc.fit(design, **options)
    assert "common_cause" not in fit.posterior
    assert any("drawn when it is asked for" in note for note in fit.notes)
    np.testing.assert_array_equal(fit.posterior["b_y_x"], whole.posterior["b_y_x"])
    drawn = fit.value("common_cause")
    with pytest.raises(DataError, match=r"fit.value\('common_cause'\) returns its draws"):
        fit.summary(["common_cause"])
    assert drawn.shape == (400, 400)
    np.testing.assert_array_equal(fit.value("common_cause", slice(3, 7)), drawn[3:7])
    held = whole.value("common_cause")
    error = held.std(axis=0) * np.sqrt(2 / 400)
    assert np.abs((drawn.mean(axis=0) - held.mean(axis=0)) / error).max() < 4.5
    np.testing.assert_allclose(drawn.std(), held.std(), rtol=0.02)
    ask = design.effects["ATE"]
    np.testing.assert_allclose(
        bc.estimate(fit, ask).draws, bc.estimate(whole, ask).draws, atol=1e-8
    )
    fit.save(tmp_path / "fit.nc")
    back = bc.load_fit(tmp_path / "fit.nc", design)
    np.testing.assert_array_equal(back.value("common_cause", slice(3, 7)), drawn[3:7])
