"""Predictive checks pass on right equations and fail on wrong ones."""

from __future__ import annotations

import arviz as az
import matplotlib as mpl
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from models import pair
from scipy import stats

import bayescausal as bc
from bayescausal.checks.predictive.quantities import p_value
from bayescausal.checks.predictive.uniform import uniformity
from bayescausal.types import EstimandError, UnknownVariableError

mpl.use("Agg")


# ------------------------------------------------------------------------ uniformity


def test_uniform_numbers_fail_as_often_as_stated():
    """Of 400 uniform samples 5% fail; within 4 standard errors, false alarm below 1e-4."""
    rng = np.random.default_rng(1)
    failed = np.mean([uniformity(rng.random(150)).p_value <= 0.05 for _ in range(400)])
    assert abs(failed - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 400)


def test_the_band_holds_what_the_p_value_accepts():
    rng = np.random.default_rng(2)
    for a in (1.0, 1.3, 0.8):
        for _ in range(10):
            found = uniformity(rng.beta(a, a, 200))
            inside = ((found.curve >= found.lower) & (found.curve <= found.upper)).all()
            assert inside or found.p_value < 0.06
            assert not inside or found.p_value > 0.04


@pytest.mark.parametrize("bent", [(1.5, 1.5), (0.7, 0.7), (1.3, 1.0)])
def test_too_wide_too_narrow_and_shifted_predictions_are_seen(bent):
    numbers = np.random.default_rng(3).beta(*bent, 1000)
    assert uniformity(numbers).p_value < 0.01


def test_p_values_are_two_sided_and_reach_into_the_tail():
    drawn = np.random.default_rng(4).normal(size=999)
    assert p_value(0.0, drawn) > 0.9
    assert p_value(2.0, drawn) == pytest.approx(p_value(-2.0, drawn), abs=0.03)
    assert p_value(4.0, drawn) == pytest.approx(0.002)
    assert p_value(9.0, drawn) < 1e-12


# ------------------------------------------------------------------- right equations


def mixed(units=400, seed=1):
    """Return a model with five families, and data from it."""
    with pm.Model(coords={"unit": [0], "k": ["left", "right"]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        b = pm.Normal("b", 0, 1)
        yes = pm.Bernoulli("yes", logit_p=b * z, dims="unit")
        kind = pm.Categorical(
            "kind", pm.math.softmax(pm.math.stack([0 * z, b * z, 0.5 + 0 * z], -1), -1), dims="unit"
        )
        count = pm.Poisson("count", pm.math.exp(1 + 0.3 * b * yes), dims="unit")
        wait = pm.Gamma("wait", 2, pm.math.exp(-0.2 * b * z), dims="unit")
        mu = pm.math.stack([b * count, wait + kind], -1)
        pm.MvNormal("pair", mu, np.array([[1.0, 0.5], [0.5, 2.0]]), dims=("unit", "k"))
    return model, bc.simulate(model, {"b": 0.8}, units=units, seed=seed)


def test_known_parameters_have_the_pit_values_of_the_distribution_functions():
    model, data = mixed()
    check = bc.posterior_check(bc.truth(model, {"b": 0.8}, data, draws=100, seed=5))
    assert check.verdict == "pass"
    assert check.finding.startswith("All ")
    z = data["z"].to_numpy()
    np.testing.assert_allclose(check.values["pit"]["z"], stats.norm.cdf(z), atol=1e-12)
    wait = stats.gamma.cdf(data["wait"], 2, scale=np.exp(0.16 * z))
    np.testing.assert_allclose(check.values["pit"]["wait"], wait, atol=1e-9)
    mu = np.exp(1 + 0.24 * data["yes"])
    pit = check.values["pit"]["count"]
    assert (pit <= stats.poisson.cdf(data["count"], mu) + 1e-9).all()
    assert (pit >= stats.poisson.cdf(data["count"] - 1, mu) - 1e-9).all()
    assert {"pair[left]", "pair[right]"} <= set(check.values["pit"])
    rows = check.table.loc["kind"].index
    assert [r for r in rows if r.startswith("share")] == [f"share of {i}" for i in (0, 1, 2)]


def test_a_right_posterior_passes():
    world = bc.datasets.coating()
    data = bc.simulate(world.model, world.truth, units=300, seed=7)
    fit = bc.fit(world.model, data, draws=250, chains=2, seed=1, progressbar=False)
    check = bc.posterior_check(fit)
    assert check
    assert set(check.table.index.get_level_values(0)) == {"humid", "dilution", "coating"}
    tree = check.values["tree"]
    assert tree["posterior_predictive"]["coating"].sizes["draw"] == 500
    az.plot_ppc_dist(tree, var_names=["coating"], num_samples=20)


def test_leaving_out_is_needed_and_done():
    """With as many coefficients as a third of the units, PIT values pile up unless left out."""
    rng = np.random.default_rng(8)
    with pm.Model(coords={"unit": [0]}) as model:
        xs = [pm.Data(f"x{i}", np.zeros(1), dims="unit") for i in range(12)]
        b = pm.Normal("b", 0, 5, shape=12)
        pm.Normal("y", sum(b[i] * x for i, x in enumerate(xs)), 1, dims="unit")
    x = rng.normal(size=(12, 36))
    data = {f"x{i}": row for i, row in enumerate(x)} | {"y": x.sum(axis=0) + rng.normal(size=36)}
    fit = bc.fit(model, data, draws=2000, chains=2, seed=1, progressbar=False)
    left_out = bc.posterior_check(fit, draws=4000).values["pit"]["y"]
    design = x.T
    hat = design @ np.linalg.solve(design.T @ design + np.eye(12) / 25, design.T)
    fitted = hat @ data["y"]
    left = (data["y"] - fitted) / (1 - np.diag(hat))  # residual of the unit left out
    exact = stats.norm.cdf(left / np.sqrt(1 / (1 - np.diag(hat))))
    kept = stats.norm.cdf((data["y"] - fitted) / np.sqrt(1 + np.diag(hat)))
    assert np.abs(left_out - exact).mean() < 0.3 * np.abs(kept - exact).mean()


# -------------------------------------------------------------------- wrong equations


def fitted(change, seed=11, units=400):
    """Return a fit of straight lines to data that were changed: conjugate, so it costs little."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        a, b, c = (pm.Normal(n, 0, 2) for n in "abc")
        x = pm.Normal("x", c * z, 1, dims="unit")
        s = pm.HalfNormal("s", 2)
        pm.Normal("y", a + b * x + z, s, dims="unit")
    truth = {"a": 0.0, "b": 1.0, "c": 0.5, "s": 0.7}
    data = bc.simulate(model, truth, units=units, seed=seed)
    data = change(data, np.random.default_rng(seed))
    return bc.fit(model, data, draws=250, chains=2, seed=1, progressbar=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d, r: d.assign(y=d.y + 0.5 * d.z**2), "curve in z of y"),
        (lambda d, r: d.assign(y=d.y + r.standard_t(2, len(d))), " y "),
        (lambda d, r: d.assign(y=d.y + r.exponential(2, len(d))), "skewness of y"),
        (lambda d, r: d.assign(z=d.z * 1.6), "sd of z"),
    ],
)
def test_a_wrong_equation_fails_and_is_named(change, said):
    check = bc.posterior_check(fitted(change))
    assert check.verdict == "fail"
    assert said in check.finding
    assert "mend its form" in check.sentence()


def test_a_wrong_equation_of_a_yes_or_no_fails():
    world = bc.datasets.coating()
    data = bc.simulate(world.model, world.truth, units=400, seed=1)
    data["dilution"] = (data["humid"].abs() < 0.75).astype(int)
    check = bc.posterior_check(bc.truth(world.model, world.truth, data, draws=200), "dilution")
    assert check.verdict == "fail"
    assert "curve in humid of dilution" in check.finding


def test_values_that_the_model_calls_impossible_fail():
    with pm.Model(coords={"unit": [0]}) as model:
        a = pm.HalfNormal("a")
        pm.Uniform("y", 0, a, dims="unit")
    y = np.linspace(0.01, 0.9, 60)
    check = bc.posterior_check(bc.truth(model, {"a": 0.5}, {"y": y}, draws=50, seed=1))
    assert check.verdict == "fail"
    assert "values of y are impossible under it" in check.finding


def test_a_deviation_that_is_certain_and_small_warns():
    with pm.Model(coords={"unit": [0]}) as model:
        pm.Normal("y", 0, 1, dims="unit")
    rng = np.random.default_rng(1)
    y = rng.standard_t(16, 40_000) / np.sqrt(16 / 14)
    table = bc.posterior_check(bc.truth(model, {}, {"y": y}, draws=200, seed=1)).table
    row = table.loc[("y", "PIT")]
    assert (row["seen"] < 0.02) == (row["verdict"] in ("warn", "pass"))
    assert row["verdict"] == "warn"


def test_own_quantities_are_compared():
    lag = {"lag": lambda x: np.corrcoef(x[1:], x[:-1])[0, 1]}
    verdicts = []
    for order in ("z", "y"):
        fit = fitted(lambda d, r, by=order: d.sort_values(by) if by == "y" else d)
        table = bc.posterior_check(fit, "y", quantities=lag).table
        verdicts.append(table.loc[("y", "lag"), "verdict"])
    assert verdicts == ["pass", "fail"]
    with pytest.raises(EstimandError, match="The quantity 'bad' gave"):
        bc.posterior_check(fit, "y", quantities={"bad": lambda x: x})


def test_missing_cells_and_latent_parents_are_said():
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("u", 0, 1, dims="unit")
        x = pm.Normal("x", u, 1, dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    rng = np.random.default_rng(3)
    x = rng.normal(0, np.sqrt(2), 80)
    y = x + rng.normal(size=80)
    x[:5] = np.nan
    fit = bc.prior(model, {"x": x, "y": y}, draws=60, seed=1)
    check = bc.posterior_check(fit)
    assert len(check.values["pit"]["x"]) == 75
    assert any("x is predicted from u, latent" in n for n in check.notes)


def without_y():
    model = pair()
    return bc.prior(model, {"x": [0.0, 1.0]}, draws=3, seed=1)


def test_what_makes_no_sense_is_refused():
    model, data = mixed(30)
    fit = bc.truth(model, {"b": 0.8}, data, draws=20, seed=1)
    with pytest.raises(EstimandError, match="level=2"):
        bc.posterior_check(fit, level=2)
    with pytest.raises(EstimandError, match="draws=0"):
        bc.posterior_check(fit, draws=0)
    with pytest.raises(UnknownVariableError, match="Did you mean 'wait'"):
        bc.posterior_check(fit, "wiat")
    with pytest.raises(EstimandError, match="no data to compare with"):
        bc.posterior_check(bc.truth(model, {"b": 0.8}))
    with pytest.raises(UnknownVariableError, match="is not an observed random variable"):
        bc.posterior_check(without_y(), "y")
    check = bc.posterior_check(fit, "z")
    with pytest.raises(EstimandError, match="one of 'pit', 'quantities', 'predictive'"):
        check.plot(kind="ppc")
    with pytest.raises(UnknownVariableError, match="'q' is not a variable of this check"):
        check.plot(variable="q")


def test_pictures_draw_on_the_axes_given():
    import matplotlib.pyplot as plt

    model, data = mixed(60)
    check = bc.posterior_check(bc.truth(model, {"b": 0.8}, data, draws=50, seed=1))
    _, axes = plt.subplots(1, 4)
    assert check.plot(axes[0]) is axes[0]
    assert check.plot(axes[1], kind="quantities") is axes[1]
    assert check.plot(axes[2], kind="predictive", variable="wait").get_xlabel() == "wait"
    assert check.plot(axes[3], kind="predictive", variable="kind") is axes[3]
    plt.close("all")


# ------------------------------------------------------------------------------ priors


def wide_model(scale=30.0, sigma=0.1):
    with pm.Model(coords={"unit": [0]}) as model:
        humid = pm.Normal("humid", 0, 1, dims="unit")
        a, b, e = (pm.Normal(n, 0, scale) for n in "abe")
        dilution = pm.Bernoulli("dilution", logit_p=a + b * humid, dims="unit")
        s = pm.HalfNormal("s", sigma)
        pm.Normal("coating", a + e * dilution, s, dims="unit")
    return model


def test_a_sensible_prior_passes_with_its_effect():
    world = bc.datasets.coating()
    data = bc.simulate(world.model, world.truth, units=200, seed=1)
    check = bc.prior_check(
        world.model, data, estimands=bc.ATE("dilution", "coating"), seed=1, draws=300
    )
    assert check.verdict == "pass"
    row = check.table.loc["ATE dilution -> coating"]
    assert row["q03"] == pytest.approx(stats.norm.ppf(0.03), abs=0.35)  # b_dc ~ N(0, 1)
    assert row["width"] == pytest.approx(
        (row["q97"] - row["q03"]) / data["coating"].std(), rel=0.01
    )
    assert check.plot() is not None


def test_priors_that_are_absurdly_wide_are_named():
    world = bc.datasets.coating()
    data = bc.simulate(world.model, world.truth, units=200, seed=1)
    check = bc.prior_check(
        wide_model(), data, estimands=[bc.ATE("dilution", "coating")], seed=1, draws=300
    )
    assert check.verdict == "warn"
    assert "of the prior's chances are within 0.01 of 0 or 1" in check.finding
    assert "coating: the prior predictive is" in check.finding
    assert "sd of the outcome" in check.finding


def test_priors_that_expect_something_else_fail_and_narrow_effects_warn():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        e = pm.Normal("e", 0, 0.001)
        pm.Normal("y", e * x, 0.1, dims="unit")
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, 100)
    data = pd.DataFrame({"x": x, "y": rng.normal(size=100)})
    check = bc.prior_check(model, data, estimands=bc.ATE("x", "y"), seed=1, draws=200)
    assert check.verdict == "fail"
    assert "values lie where the prior expects none" in check.finding
    assert "it is settled" in check.finding


def test_without_data_the_model_is_simulated_and_nothing_is_decided():
    world = bc.datasets.coating()
    check = bc.prior_check(world.model, seed=1, draws=300, units=50)
    assert check.verdict == "undecided"
    assert check.table.loc["humid", "q97"] == pytest.approx(stats.norm.ppf(0.97), abs=0.1)
    assert check.values["tree"]["posterior_predictive"]["coating"].shape == (1, 300, 50)
    assert bc.prior_check(wide_model(), seed=1, draws=300).verdict == "warn"
    with pytest.raises(EstimandError, match="where a question is needed"):
        bc.prior_check(world.model, estimands="ATE")


@pytest.mark.slow
def test_right_models_fail_as_rarely_as_stated():
    """In 120 data sets from the model at most 5% fail: more than 14 has probability below .002."""
    world = bc.datasets.coating()
    refitter = bc.Refitter(world.model, ["humid", "dilution", "coating"], draws=250, chains=2)
    failed = 0
    for seed in range(120):
        data = bc.simulate(world.model, world.truth, units=200, seed=seed)
        failed += bc.posterior_check(refitter.fit(data, seed=seed)).verdict == "fail"
    assert failed <= 14
