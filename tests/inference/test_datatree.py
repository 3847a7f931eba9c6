"""A fit, and an effect, in the form that ArviZ reads.

The kind: numbers that are there and that the tools of the ecosystem cannot read. Every group is
compared with the closed form of what it should hold; then ArviZ's own functions are run on it.
"""

from __future__ import annotations

import matplotlib as mpl

mpl.use("agg")

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pymc as pm
import pytest
import xarray as xr
from scipy import stats

import bayescausal as bc
from bayescausal.types import BayesCausalError, ModelError

UNITS, CHAINS, DRAWS = 120, 2, 300
SCHOOLS = ["north", "south"]
EXPECTED = [
    "posterior",
    "sample_stats",
    "log_likelihood",
    "log_prior",
    "posterior_predictive",
    "prior",
    "observed_data",
    "constant_data",
]


def make() -> pm.Model:
    with pm.Model(coords={"unit": [0], "school": SCHOOLS}) as model:
        dose = pm.Data("dose", [0.0], dims="unit")
        school = pm.Data("school_of", [0], dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        tau = pm.HalfNormal("tau", 2.0)
        a = pm.Normal("a", 0.0, tau, dims="school")
        b = pm.Normal("b", 0.0, 3.0)
        pm.Normal("y", a[school] + b * x + dose, 1.0, dims="unit")
    return model


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    dose, school = rng.normal(size=UNITS), rng.integers(0, 2, UNITS)
    x = rng.integers(0, 2, UNITS)
    y = np.array([1.0, -1.0])[school] + 2.0 * x + dose + rng.normal(size=UNITS)
    return {"dose": dose, "school_of": school, "x": x, "y": y}


@pytest.fixture(scope="module")
def fit(data):
    """Draws of which the trace says where they came from: no sampler is needed here."""
    rng = np.random.default_rng(2)
    size = (CHAINS, DRAWS)
    drawn = xr.Dataset(
        {
            "a": (("chain", "draw", "school"), rng.normal([1, -1], 0.2, (*size, 2))),
            "b": (("chain", "draw"), rng.normal(2, 0.25, size)),
            "tau": (("chain", "draw"), rng.gamma(10, 0.15, size)),
        },
        coords={"chain": range(CHAINS), "draw": range(DRAWS), "school": SCHOOLS},
    )
    sampler = xr.Dataset({"diverging": (("chain", "draw"), np.zeros(size, dtype=bool))})
    tree = xr.DataTree.from_dict({"posterior": drawn, "sample_stats": sampler})
    return bc.Fit(make(), tree, data)


@pytest.fixture(scope="module")
def tree(fit):
    return fit.to_datatree()


def location(tree, data):
    a, b = tree.posterior["a"].values, tree.posterior["b"].values
    return a[..., data["school_of"]] + b[..., None] * data["x"] + data["dose"]


# ------------------------------------------------------------------------ what the groups hold


def test_groups_dims_labels_and_types(tree):
    assert sorted(tree.children) == sorted(EXPECTED)
    assert tree.attrs["left_out"] == []
    for group, dims in (
        ("log_likelihood", ("chain", "draw", "unit")),
        ("posterior_predictive", ("chain", "draw", "unit")),
        ("observed_data", ("unit",)),
    ):
        assert set(tree[group].data_vars) == {"x", "y"}
        for name in ("x", "y"):
            assert tree[group][name].dims == dims
            assert tree[group]["unit"].values.tolist() == list(range(UNITS))
    assert tree.posterior["a"].dims == ("chain", "draw", "school")
    assert tree.prior["school"].values.tolist() == SCHOOLS
    assert tree.observed_data["x"].dtype.kind == "i"
    assert tree.posterior_predictive["x"].dtype.kind == "i"
    assert tree.constant_data["school_of"].dtype.kind == "i"
    assert tree.posterior_predictive["y"].dtype == float


def test_data_are_what_was_observed(tree, data):
    for name in ("x", "y"):
        np.testing.assert_array_equal(tree.observed_data[name], data[name])
    for name in ("dose", "school_of"):
        np.testing.assert_array_equal(tree.constant_data[name], data[name])
    assert set(tree.constant_data.data_vars) == {"dose", "school_of"}


def test_log_likelihood_and_prior_are_the_densities(tree, data):
    exact = stats.norm.logpdf(data["y"], location(tree, data), 1.0)
    np.testing.assert_allclose(tree.log_likelihood["y"], exact, rtol=1e-9, atol=1e-9)
    # PyMC holds a constant such as 0.5 in single precision, and takes its logarithm there.
    np.testing.assert_allclose(tree.log_likelihood["x"], np.log(0.5), rtol=np.finfo("f4").eps)
    # Group effects have a parameter above them: scaling their law would change the model.
    assert set(tree.log_prior.data_vars) == {"b", "tau"}
    b, tau = tree.posterior["b"].values, tree.posterior["tau"].values
    np.testing.assert_allclose(
        tree.log_prior["b"], stats.norm.logpdf(b, 0, 3), rtol=np.finfo("f4").eps
    )
    np.testing.assert_allclose(
        tree.log_prior["tau"], stats.halfnorm.logpdf(tau, scale=2), rtol=np.finfo("f4").eps
    )


def test_predictions_are_given_the_observed_parents(tree, data):
    """Within a draw ``y`` minus its location is noise; not so had ``x`` been drawn anew."""
    noise = tree.posterior_predictive["y"].values - location(tree, data)
    n = noise.size
    assert abs(noise.mean()) < 5 / np.sqrt(n)
    assert abs(noise.var() - 1) < 5 * np.sqrt(2 / n)
    treated = noise[..., data["x"] == 1]
    assert abs(treated.mean()) < 5 / np.sqrt(treated.size)
    assert abs(np.corrcoef(noise[0, :-1, 0], noise[0, 1:, 0])[0, 1]) < 5 / np.sqrt(DRAWS)
    shares = tree.posterior_predictive["x"].values
    assert abs(shares.mean() - 0.5) < 5 * 0.5 / np.sqrt(shares.size)


def test_prior_is_the_prior(tree):
    b, tau = tree.prior["b"].values.ravel(), tree.prior["tau"].values.ravel()
    n = b.size
    assert n == CHAINS * DRAWS
    assert abs(b.mean()) < 5 * 3 / np.sqrt(n)
    assert stats.kstest(b, stats.norm(0, 3).cdf).pvalue > 1e-4
    assert stats.kstest(tau, stats.halfnorm(scale=2).cdf).pvalue > 1e-4


def test_a_seed_makes_the_same_groups(fit, tree):
    again = fit.to_datatree(["posterior_predictive", "prior"])
    np.testing.assert_array_equal(again["prior/b"], tree["prior/b"])
    np.testing.assert_array_equal(again["posterior_predictive/y"], tree["posterior_predictive/y"])
    other = fit.to_datatree(["posterior_predictive"], seed=9)
    assert (other["posterior_predictive/y"].values != tree["posterior_predictive/y"].values).all()


def test_empty_cells_are_split_as_pymc_splits_them(fit, data):
    y = data["y"].copy()
    y[[3, 7]] = np.nan
    held = {name: fit.posterior[name].values for name in ("a", "b", "tau")}
    cells = np.random.default_rng(5).normal(size=(CHAINS, DRAWS, 2))
    made = bc.Fit(make(), {**held, "y_unobserved": cells}, {**data, "y": y}).to_datatree()
    seen = np.delete(np.arange(UNITS), [3, 7])
    for group in ("observed_data", "log_likelihood", "posterior_predictive"):
        assert set(made[group].data_vars) == {"x", "y_observed"}
    np.testing.assert_array_equal(made.observed_data["y_observed"], data["y"][seen])
    exact = stats.norm.logpdf(data["y"], location(made, data), 1.0)[..., seen]
    np.testing.assert_allclose(made.log_likelihood["y_observed"], exact, rtol=1e-9, atol=1e-9)


# ------------------------------------------------------------------------------- what ArviZ does


def test_arviz_summary_is_ours(fit, tree):
    table = az.summary(tree, ci_kind="hdi", ci_prob=0.94, round_to="none")
    own = fit.summary()
    for row in ("b", "tau", "a[north]"):
        np.testing.assert_allclose(
            table.loc[row, ["mean", "sd", "hdi94_lb", "hdi94_ub"]].astype(float),
            own.loc[row, ["mean", "sd", "hdi94_lb", "hdi94_ub"]].astype(float),
        )


def test_arviz_loo_compare_and_sensitivity(fit, tree, data):
    """Of a Normal with few parameters the score is near the density at the posterior mean."""
    loo = az.loo(tree, var_name="y", pointwise=True)
    mean = location(tree, data).mean(axis=(0, 1))
    plugged = stats.norm.logpdf(data["y"], mean, 1.0).sum()
    assert abs(loo.elpd - plugged) < 10
    other = bc.Fit(make(), {n: fit.posterior[n].values + 0.5 * (n == "b")
                            for n in ("a", "b", "tau")}, data).to_datatree()  # fmt: skip
    table = az.compare({"near": loo, "far": az.loo(other, var_name="y", pointwise=True)})
    assert table.index[0] == "near"
    found = az.psense_summary(tree, likelihood_var_names=["y"])
    assert set(found.index) == {"a[north]", "a[south]", "b", "tau"}


@pytest.mark.parametrize(
    "name", ["plot_ppc_dist", "plot_ppc_pit", "plot_ppc_interval", "plot_ppc_tstat", "plot_loo_pit"]
)
def test_arviz_predictive_plots(tree, name):
    getattr(az, name)(tree, var_names=["y"])
    plt.close("all")


def test_pymc_computes_the_log_likelihood_of_it(tree, data):
    """With the model as a PyMC user has it, conditioned on the same data."""
    model = make()
    with model:
        pm.set_data({k: data[k] for k in ("dose", "school_of")}, coords={"unit": range(UNITS)})
    conditioned = pm.observe(model, {k: data[k] for k in ("x", "y")})
    bare = xr.DataTree.from_dict({"posterior": tree.posterior.to_dataset()})
    pm.compute_log_likelihood(bare, model=conditioned, progressbar=False)
    np.testing.assert_allclose(bare["log_likelihood/y"], tree["log_likelihood/y"], atol=1e-9)


# --------------------------------------------------------------------- other fits, other groups


def test_what_a_fit_cannot_have_is_left_out_and_said(data):
    known = bc.truth(make(), {"a": [1.0, -1.0], "b": 2.0, "tau": 1.0})
    tree = known.to_datatree()
    assert sorted(tree.children) == ["posterior", "prior"]
    assert any("log_likelihood: A fit without data" in said for said in tree.attrs["left_out"])
    with pytest.raises(ModelError, match="A fit without data has no log_likelihood"):
        known.to_datatree(["log_likelihood"])
    with pytest.raises(BayesCausalError, match=r"'observed' is not a group.*'observed_data'"):
        known.to_datatree(["observed"])
    before = bc.prior(make(), data, draws=20, seed=1).to_datatree()
    assert sorted(before.children) == ["constant_data", "observed_data", "prior"]
    with pm.Model(coords={"unit": [0]}) as flat:
        m = pm.Flat("m")
        pm.Normal("y", m, 1, dims="unit")
    made = bc.Fit(flat, {"m": [[0.0, 0.1]]}, {"y": [0.0, 0.2]}).to_datatree()
    assert "prior" not in made.children
    assert any("A prior cannot be drawn" in said for said in made.attrs["left_out"])


def test_an_effect_is_read_by_arviz(fit, data):
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    tree = effect.to_datatree()
    row = az.summary(tree, ci_kind="hdi", ci_prob=0.94, round_to="none").loc["ATE x -> y"]
    assert row["mean"] == pytest.approx(effect.mean())
    assert (row["hdi94_lb"], row["hdi94_ub"]) == pytest.approx(effect.interval())
    assert tree.posterior.attrs["estimand"] == effect.estimand.describe()
    ratio = (effect / effect).to_datatree()
    assert list(ratio.posterior.data_vars) == ["(ATE x -> y) over (ATE x -> y)"]
    before = bc.estimate(bc.prior(make(), data, draws=20, seed=1), bc.ATE("x", "y"))
    assert list(before.to_datatree().children) == ["prior"]
    each = bc.estimate(fit, bc.ITE("x", "y")).to_datatree()
    assert each["posterior"]["unit"].size == UNITS
