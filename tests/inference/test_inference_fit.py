"""Fitting, the record of a fit, known parameters, and fits on disk."""

from __future__ import annotations

import logging
import time
import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from pymc.distributions import transforms

import bayescausal as bc
from bayescausal.inference import Fit, Table, fit, load_fit, prior, truth
from bayescausal.inference.conditioning.plan import make_plan
from bayescausal.inference.fit import resolve_seed
from bayescausal.inference.sampling.diagnose import diagnose
from bayescausal.inference.sampling.few import METHOD
from bayescausal.model.structure.read import structure_of
from bayescausal.simulation.repeat import Repeater
from bayescausal.types import (
    BayesCausalError,
    DataError,
    FitMismatchError,
    FitWarning,
    ModelError,
    ParameterError,
    UnknownVariableError,
)

logging.getLogger("pymc").setLevel(logging.ERROR)


def make():
    with pm.Model(coords={"unit": [0]}) as model:
        a, b = pm.Normal("a", 0, 10), pm.Normal("b", 0, 10)
        s = pm.HalfNormal("s", 5)
        x = pm.Normal("x", 0, 1, dims="unit")
        mu = pm.Deterministic("mu", a + b * x, dims="unit")
        pm.Normal("y", mu, s, dims="unit")
        pm.Deterministic("twice", 2 * b)
    return model


def data(n=60, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": 1.0 + 2.0 * x + 0.5 * rng.normal(size=n)})


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.fixture(scope="module")
def fitted(model):
    frame = data()
    frame.loc[3, "x"] = np.nan
    return fit(model, frame, draws=300, chains=2, seed=1, progressbar=False)


def given(names, chains=2, draws=50, seed=0):
    """Draws that no sampler made, for the record."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(chains, draws, *shape)) for name, shape in names.items()}


# ------------------------------------------------------------------------------- fitting


def test_posterior_is_that_of_least_squares(fitted):
    frame = data().drop(index=3)
    design = np.column_stack([np.ones(len(frame)), frame["x"]])
    beta = np.linalg.lstsq(design, frame["y"], rcond=None)[0]
    resid = frame["y"] - design @ beta
    se = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * (resid @ resid) / (len(frame) - 2))
    for name, wanted, error in zip("ab", beta, se, strict=True):
        draws = fitted.posterior[name]
        # the priors have sd 10 and the cell without x tells little: the posterior mean is within
        # a quarter of a standard error of least squares, Monte Carlo error .04 of one (600 draws)
        assert abs(float(draws.mean()) - wanted) < 0.25 * error
        assert float(draws.std()) == pytest.approx(error, rel=0.2)


def test_a_fit_knows_what_it_holds(fitted, model):
    assert fitted.model is model
    assert fitted.kind == "posterior"
    assert fitted.seed == 1
    assert fitted.parameters == ("a", "b", "s")
    assert fitted.observed == ("x", "y")
    assert fitted.latent == ()
    assert fitted.n_draws == 600
    assert fitted.sizes["unit"] == 60
    assert isinstance(fitted.data, Table)
    assert set(fitted.posterior.data_vars) == {"a", "b", "s", "x_unobserved", "twice"}
    assert set(fitted.methods.values()) == {"data augmentation (gibbs)"}
    [names] = fitted.methods
    assert set(names.split(", ")) == {"a", "b", "s", "x_unobserved"}
    assert any("x: 1 of 60 cells" in note for note in fitted.notes)
    assert list(fitted.summary().index) == ["a", "b", "s"]
    assert {"mean", "sd", "hdi94_lb", "ess_bulk", "r_hat"} <= set(fitted.summary().columns)
    assert repr(fitted).startswith("Fit(posterior; 60 units; 2 chains x 300 draws of a, b, s")
    assert "<table" in fitted._repr_html_()
    with pytest.raises(UnknownVariableError, match=r"'bb' is not drawn.*Did you mean 'b'"):
        fitted.summary(["bb"])


def test_values_of_variables_by_draw(fitted):
    assert fitted.value("y").shape == (60,)
    block = fitted.value("x", slice(10, 25))
    assert block.shape == (15, 60)
    cells = fitted.posterior["x_unobserved"].values.reshape(600, 1)
    np.testing.assert_array_equal(block[:, 3], cells[10:25, 0])
    seen = np.arange(60) != 3
    assert (block[:, seen] == data()["x"].to_numpy()[seen]).all()
    assert fitted.value("b", slice(0, 7)).shape == (7,)
    assert fitted.varies("x")
    assert not fitted.varies("y")
    with pytest.raises(UnknownVariableError, match="'z' is not a variable"):
        fitted.value("z")


def test_a_fit_knows_how_long_it_took_and_keeps_it(tmp_path):
    with pm.Model(coords={"unit": [0]}) as model:
        pm.Normal("y", pm.Normal("m"), 1, dims="unit")
    start = time.perf_counter()
    found = fit(model, {"y": [0.0, 1.0]}, draws=20, seed=1, progressbar=False)
    assert 0 < found.seconds < time.perf_counter() - start + 0.001
    found.save(tmp_path / "fit.nc")
    assert load_fit(tmp_path / "fit.nc", model).seconds == found.seconds
    assert np.isnan(truth(model, {"m": 0.0}, {"y": [0.0]}).seconds)


@pytest.mark.slow
def test_same_seed_same_draws_at_once_or_one_after_the_other(model, fitted):
    frame = data()
    frame.loc[3, "x"] = np.nan
    again = fit(model, frame, draws=300, chains=2, seed=1, cores=2, progressbar=False)
    xr.testing.assert_equal(again.posterior, fitted.posterior)


def test_a_latent_confounder_is_summed_out_and_drawn_back():
    rng = np.random.default_rng(0)
    with pm.Model(coords={"unit": [0]}) as model:
        m = pm.Normal("m", 3, 1)
        u = pm.Bernoulli("u", 0.4, dims="unit")
        pm.Normal("y", m * u, 0.5, dims="unit")
    u = rng.binomial(1, 0.4, 80)
    y = 3.0 * u + 0.5 * rng.normal(size=80)
    found = fit(model, {"y": y}, draws=200, chains=2, seed=1, progressbar=False)
    assert found.methods == {"m": METHOD, "u": "summed out"}
    assert found.latent == ("u",)
    assert found.posterior["u"].dims == ("chain", "draw", "unit")
    assert any("summed out exactly" in note for note in found.notes)
    # y is 6 standard deviations apart between the two states: the state is all but known
    assert np.mean((found.value("u").mean(axis=0) > 0.5) == u) > 0.97


def test_discrete_unknowns_with_many_states_are_a_compound_step_with_a_warning():
    with pm.Model(coords={"unit": [0]}) as model:
        k = pm.Poisson("k", 3, dims="unit")
        pm.Normal("y", k, 1, dims="unit")
    with pytest.warns(FitWarning, match="k: discrete and unknown"):
        found = fit(
            model,
            {"y": [2.0, 4.0]},
            draws=300,
            chains=2,
            seed=1,
            tune=200,
            progressbar=False,
            cores=1,
        )
    assert found.methods == {"k": "compound"}
    assert found.posterior["k"].shape == (2, 300, 2)


def test_a_model_conditioned_by_pymc_needs_no_data(model):
    frame = data(20)
    with pm.Model(coords={"unit": range(20)}) as plain:
        b = pm.Normal("b")
        x = pm.Normal("x", dims="unit")
        pm.Normal("y", b * x, 1, dims="unit")
    seen = pm.observe(plain, {k: frame[k].to_numpy() for k in "xy"})
    found = fit(seen, draws=200, chains=2, seed=1, progressbar=False)
    assert found.observed == ("x", "y")
    np.testing.assert_array_equal(found.columns["y"], frame["y"])
    with pytest.raises(DataError, match=r"nothing to condition on.*bayescausal.prior"):
        fit(plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 0}, r"draws=0. Expected: An integer of 1"),
        ({"chains": 1.5}, r"chains=1.5"),
        ({"random_seed": 1}, r"fit does not take random_seed=. Expected: seed="),
        ({"var_names": ["a"]}, r"fit does not take var_names="),
        ({"seed": -1}, r"seed=-1 is no seed"),
        ({"seed": "x"}, r"seed='x' is no seed"),
    ],
)
def test_options_are_checked_before_any_work(model, options, message):
    with pytest.raises(BayesCausalError, match=message):
        fit(model, data(5), **options)


def test_seed_is_made_when_none_is_given_and_can_be_used_again():
    seed = resolve_seed(None)
    assert resolve_seed(seed) == seed


def test_a_sampler_that_cannot_start_names_the_variable():
    with pm.Model(coords={"unit": [0]}) as model:
        lower = pm.Normal("lower", 100, 1)
        pm.Uniform("y", lower, lower + 1, dims="unit")
    with pytest.raises(DataError, match=r"log-density of 'y' is not finite.*prior"):
        fit(model, {"y": [0.0, 1.0]}, draws=10, chains=1, seed=1, progressbar=False)


def test_trouble_of_the_sampler_is_said_plainly(model):
    structure = structure_of(model)
    rng = np.random.default_rng(0)
    good = xr.Dataset({"a": (("chain", "draw"), rng.normal(size=(4, 1000)))})
    clean = diagnose({"posterior": good}, structure, {})
    assert clean.ok
    assert not clean.severe
    apart = good + xr.DataArray([0.0, 0.0, 0.0, 3.0], dims="chain")
    worse = diagnose({"posterior": apart}, structure, {})
    assert "r_hat of a" in worse.messages[0]
    assert worse.severe
    stats = xr.Dataset({"diverging": (("chain", "draw"), rng.random((4, 1000)) < 0.01)})
    split = diagnose({"posterior": good, "sample_stats": stats}, structure, {})
    assert f"{split.divergences} of 4000 draws diverged" in split.messages[0]
    slow = xr.Dataset({"a": (("chain", "draw"), np.cumsum(rng.normal(size=(4, 1000)), axis=1))})
    assert any("worth only" in m for m in diagnose({"posterior": slow}, structure, {}).messages)
    assert diagnose({"posterior": apart}, structure, None).ok


# ---------------------------------------------------------------------------- by hand


def test_a_model_and_a_trace_of_ones_own_make_a_fit(model):
    frame = data(8)
    trace = given({"a": (), "b": (), "s": ()})
    for form in (trace, xr.Dataset({k: (("chain", "draw"), v) for k, v in trace.items()})):
        found = Fit(model, form, frame)
        assert found.parameters == ("a", "b", "s")
        assert found.n_draws == 100
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({k: (("chain", "draw"), v) for k, v in trace.items()}),
            "observed_data": xr.Dataset({"y": ("unit", frame["y"].to_numpy())}),
        }
    )
    assert Fit(model, tree, frame).kind == "posterior"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "s"}, r"parameter 's' has no draws"),
        (lambda t: {**t, "b": np.zeros((2, 50, 3))}, r"'b' has shape \(3,\) in the trace and \(\)"),
        (lambda t: {**t, "b": np.full((2, 50), np.nan)}, r"draws of 'b' are not all finite"),
        (lambda t: {**t, "y": np.zeros((2, 50, 8))}, r"'y' is observed in the data, but drawn"),
        (lambda t: {**t, "b": np.zeros(50)}, r"draws of 'b' have 1 dimensions"),
        (lambda t: xr.DataTree.from_dict({"prior": xr.Dataset()}), r"trace has no posterior"),
        (lambda t: xr.Dataset({"b": ("sample", np.zeros(3))}), r"posterior has dims \('sample',\)"),
        (lambda t: [1, 2], r"Draws of type list cannot be read"),
    ],
)
def test_a_pair_that_does_not_belong_together_is_refused_with_reasons(model, change, message):
    trace = given({"a": (), "b": (), "s": ()})
    with pytest.raises(FitMismatchError, match=message):
        Fit(model, change(trace), data(8))


def test_other_data_than_those_sampled_are_noticed(model):
    frame = data(8)
    trace = given({"a": (), "b": (), "s": ()})
    posterior = xr.Dataset({k: (("chain", "draw"), v) for k, v in trace.items()})

    def seen(y):
        groups = {"posterior": posterior, "observed_data": xr.Dataset({"y": ("unit", y)})}
        return xr.DataTree.from_dict(groups)

    with pytest.raises(FitMismatchError, match=r"'y' had other values in 8 cells"):
        Fit(model, seen(frame["y"].to_numpy() + 1), frame)
    with pytest.raises(FitMismatchError, match=r"'y' had shape \(9,\).*has \(8,\)"):
        Fit(model, seen(np.zeros(9)), frame)
    with pytest.raises(FitMismatchError, match=r"Neither the model nor `data`"):
        Fit(model, posterior)


def test_latents_and_empty_cells_have_to_be_in_the_trace(model):
    frame = data(8)
    frame.loc[2, "x"] = np.nan
    trace = given({"a": (), "b": (), "s": ()})
    with pytest.raises(FitMismatchError, match=r"'x' has 1 empty cells, and 'x_unobserved'"):
        Fit(model, trace, frame)
    cells = given({"x_unobserved": (1,)})
    assert Fit(model, trace | cells, frame).value("x").shape == (100, 8)
    joined = np.broadcast_to(np.nan_to_num(frame["x"], nan=7.0), (2, 50, 8))
    assert (Fit(model, trace | {"x": joined}, frame).value("x")[:, 2] == 7.0).all()
    latent = Fit(model, trace | given({"x": (8,)}), frame[["y"]])
    assert latent.latent == ("x",)
    with pytest.raises(FitMismatchError, match=r"latent variable 'x' has no draws"):
        Fit(model, trace, frame[["y"]])


def test_pymc_s_own_trace_of_an_imputing_model_is_read():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pm.Model(coords={"unit": range(3)}) as model:
            m = pm.Normal("m")
            x = pm.Normal("x", m, 1, dims="unit", observed=[1.0, np.nan, 3.0])
            pm.Normal("y", x, 1, dims="unit", observed=[1.0, 2.0, 3.0])
            trace = pm.sample(50, tune=100, chains=2, cores=1, random_seed=1, quiet=True)
    found = Fit(model, trace)
    assert found.missing["x"].tolist() == [False, True, False]
    np.testing.assert_array_equal(
        found.value("x")[:, 1], trace["posterior"]["x"].values.reshape(100, 3)[:, 1]
    )


# ---------------------------------------------------------------------- prior and truth


def test_prior_has_the_moments_of_the_prior(model):
    found = prior(model, draws=4000, seed=1)
    assert (found.kind, found.sizes, found.data) == ("prior", None, None)
    # standard errors 10 / sqrt(4000) = .16 of the mean and 10 / sqrt(8000) = .11 of the sd
    assert abs(float(found.posterior["a"].mean())) < 0.6
    assert float(found.posterior["a"].std()) == pytest.approx(10, abs=0.5)
    assert prior(model, units=50, draws=2, seed=1).sizes["unit"] == 50


def test_prior_with_data_draws_latents_from_their_equations(model):
    frame = data(300)
    found = prior(model, frame[["y"]], draws=40, seed=1)
    assert found.value("x").shape == (40, 300)
    # 12,000 standard normals, whatever y is
    assert abs(found.value("x").mean()) < 5 / np.sqrt(12_000)
    assert found.value("x").std() == pytest.approx(1, abs=5 / np.sqrt(24_000))
    assert any("x: drawn from their equations" in note for note in found.notes)


def test_prior_under_a_potential_is_sampled():
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        pm.Potential("sharp", -0.5 * b**2 * 8)  # precision 1 + 8: sd 1/3
        pm.Normal("y", b, 1, dims="unit")
    found = prior(model, draws=1000, seed=1)
    assert found.posterior["b"].shape == (1, 1000)
    # ess of at least 300 by NUTS: standard error of the sd 1/3 / sqrt(600) = .014, times four
    assert float(found.posterior["b"].std()) == pytest.approx(1 / 3, abs=0.055)


@pytest.mark.slow
def test_a_prior_under_an_order_or_a_sign_is_that_of_the_density():
    """Of two ordered standard normals the lower has mean -1 / sqrt(pi); |b| has sqrt(2 / pi)."""
    with pm.Model(coords={"unit": [0]}) as model:
        a = pm.Normal("a", shape=2, transform=transforms.ordered, initval=[-1.0, 1.0])
        b = pm.Normal("b", transform=transforms.log, initval=1.0)
        pm.Normal("y", a[0] + a[1] * b, pm.HalfNormal("s"), dims="unit")
    drawn = prior(model, draws=1000, seed=1).posterior
    assert np.all(drawn["a"][..., 0] < drawn["a"][..., 1])
    # sds .83 and .6 over an effective size of at least 250, four standard errors
    np.testing.assert_allclose(
        drawn["a"].mean(("chain", "draw")), [-(np.pi**-0.5), np.pi**-0.5], atol=0.21
    )
    assert float(drawn["b"].mean()) == pytest.approx(np.sqrt(2 / np.pi), abs=0.15)
    assert float(drawn["b"].min()) > 0
    with pytest.raises(ModelError, match="a, b have transforms that restrict the prior"):
        Repeater(model, units=3).prior(1)


@pytest.mark.slow
def test_what_the_model_itself_observes_of_its_parameters_counts():
    """lam ~ Gamma(2, 1), 35 events in 10, 1 and 4 in 1 each: Gamma(42, 13)."""
    with pm.Model(coords={"unit": range(2)}) as model:
        rate = pm.Gamma("lam", 2, 1)
        pm.Poisson("earlier", 10 * rate, observed=35)
        pm.Poisson("y", rate, dims="unit", observed=[1, 4])
    ((block, why),) = make_plan(structure_of(model), {"y"}).rest
    assert block.unknowns == ("lam",)
    assert why == "the model observes 'earlier', which is no column of units"
    found = fit(model, draws=500, tune=500, chains=2, seed=1, progressbar=False)
    # four standard errors with an effective size of at least 300
    assert float(found.posterior["lam"].mean()) == pytest.approx(
        42 / 13, abs=4 * 42**0.5 / 13 / 300**0.5
    )


def test_an_improper_prior_cannot_be_drawn():
    with pm.Model(coords={"unit": [0]}) as model:
        pm.Normal("y", pm.Flat("b"), 1, dims="unit")
    with pytest.raises(ModelError, match="A prior cannot be drawn from"):
        prior(model, draws=2)


def test_truth_repeats_parameters_and_draws_what_is_unknown(model):
    params = {"a": 1.0, "b": 2.0, "s": 0.5}
    bare = truth(model, params, draws=3)
    assert bare.posterior["b"].values.tolist() == [[2.0, 2.0, 2.0]]
    assert bare.sizes is None
    frame = data(30)
    whole = truth(model, params, frame)
    assert whole.methods == {"a, b, s": "given"}
    assert whole.value("x").shape == (30,)
    latent = truth(model, params, frame[["y"]], draws=400, seed=1)
    # x | y is Normal with precision 1 + 4 / .25 = 17 and mean 2 (y - 1) / .25 / 17
    mean = 2 * (frame["y"].to_numpy() - 1) / 0.25 / 17
    found = latent.value("x")
    # 400 draws, thinned: standard error of a mean 1 / sqrt(17 * 300) = .014; 30 of them, 5 se
    np.testing.assert_allclose(found.mean(axis=0), mean, atol=0.07)
    assert found.std(axis=0).mean() == pytest.approx(1 / np.sqrt(17), rel=0.05)


def test_truth_of_a_discrete_latent_is_exact_and_needs_no_chain():
    with pm.Model(coords={"unit": [0]}) as model:
        m = pm.Normal("m")
        u = pm.Bernoulli("u", 0.5, dims="unit")
        pm.Normal("y", m * u, 1, dims="unit")
    found = truth(model, {"m": 2.0}, {"y": [0.0, 1.0, 2.0]}, draws=4000, seed=1)
    # log odds of u = 1 are 2 y - 2; standard error at most .008
    p = 1 / (1 + np.exp(-(2 * np.array([0.0, 1.0, 2.0]) - 2)))
    np.testing.assert_allclose(found.value("u").mean(axis=0), p, atol=4 * 0.008)


def test_mistakes_in_known_parameters_are_named(model):
    with pytest.raises(ParameterError, match="No value for 's'"):
        truth(model, {"a": 1.0, "b": 2.0})
    with pytest.raises(BayesCausalError, match="draws=0"):
        prior(model, draws=0)
    with pytest.raises(DataError, match="Both data and units"):
        prior(model, data(5), units=5)
    with pytest.raises(DataError, match=r"units names 'uni'.*Did you mean 'unit'"):
        prior(model, units={"uni": 5})
    with pytest.raises(DataError, match=r"units=0 along 'unit'"):
        prior(model, units=0)


# ------------------------------------------------------------------------------- on disk


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_saved_fit_is_the_same_fit(fitted, tmp_path, suffix):
    path = tmp_path / f"fit{suffix}"
    fitted.save(path)
    fitted.save(path)  # an old one is replaced
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    again = load_fit(path, make())
    xr.testing.assert_equal(again.posterior, fitted.posterior)
    for name, column in fitted.columns.items():
        np.testing.assert_array_equal(again.columns[name], column)
        assert again.columns[name].dtype == column.dtype
    for field in ("kind", "seed", "notes", "methods", "sizes", "labels", "observed", "latent"):
        assert getattr(again, field) == getattr(fitted, field), field
    np.testing.assert_array_equal(again.value("x", slice(0, 5)), fitted.value("x", slice(0, 5)))
    assert again.diagnostics == fitted.diagnostics


def test_a_fit_without_data_or_with_text_labels_can_be_saved(model, tmp_path):
    known = truth(model, {"a": 1.0, "b": 2.0, "s": 0.5}, units=7)
    known.save(tmp_path / "t.nc")
    assert load_fit(tmp_path / "t.nc", model).sizes == known.sizes
    frame = data(3).set_index(pd.Index(["p", "q", "r"]))
    known = truth(model, {"a": 1.0, "b": 2.0, "s": 0.5}, frame)
    known.save(tmp_path / "t.nc")
    assert load_fit(tmp_path / "t.nc", model).coords["unit"].tolist() == ["p", "q", "r"]


def test_fits_keep_the_values_of_data_that_is_not_of_the_units(tmp_path):
    """y ~ N(k b x, 1), b ~ N(0, 1): the effect is k b, with b about k x'y / (1 + k^2 x'x)."""
    columns = {"x": np.arange(6.0), "y": np.array([0.5, 1.0, 1.5, 4.0, 3.0, 6.0])}
    with pm.Model(coords={"unit": range(6), "group": range(2)}) as model:
        x = pm.Data("x", columns["x"], dims="unit")
        k, on = pm.Data("k", 2.0), pm.Data("on", np.array([True, False]), dims="group")
        mean = on[0] * k * pm.Normal("b") * x
        pm.Normal("y", mean, 1, dims="unit")
    again = bc.Refitter(model, ["x", "y"], draws=500)
    fits = [fit(model, columns, draws=500, seed=1), again.fit(columns, seed=1)]
    fits[0].save(tmp_path / "fit.nc")
    with model:
        pm.set_data({"k": 30.0, "on": np.array([False, True])})
    fits += [load_fit(tmp_path / "fit.nc", model), again.fit(columns, seed=2)]
    product, square = columns["x"] @ columns["y"], columns["x"] @ columns["x"]
    precision = 1 + 4 * square
    for each in fits:
        effect = bc.estimate(each, bc.ATE("x", "y"))
        error = 2 / np.sqrt(precision * 2000)  # of the mean of as many draws
        assert abs(effect.mean() - 2 * 2 * product / precision) < 5 * error


def test_another_model_is_refused_with_what_differs(fitted, tmp_path):
    path = tmp_path / "fit.nc"
    fitted.save(path)
    with pm.Model(coords={"unit": [0]}) as other:
        a, b = pm.Normal("a", 0, 10), pm.Laplace("b", 0, 10)
        s = pm.HalfNormal("s", 5)
        x = pm.Normal("x", a, 1, dims="unit")
        pm.Normal("y", a + b * x, s, dims="unit")
    with pytest.raises(FitMismatchError) as caught:
        load_fit(path, other)
    text = str(caught.value)
    for part in ("'mu' is gone", "'b' was Normal and is Laplace", "the arrow a -> x is new"):
        assert part in text


def test_files_that_are_no_fit_are_refused_and_nothing_half_done_is_left(fitted, tmp_path):
    with pytest.raises(DataError, match=r"ends in '.txt'. Expected: '.nc' or '.zarr'"):
        fitted.save(tmp_path / "fit.txt")
    with pytest.raises(DataError, match="There is no folder"):
        fitted.save(tmp_path / "nowhere" / "fit.nc")
    with pytest.raises(DataError, match="There is no file"):
        load_fit(tmp_path / "fit.nc", make())
    (tmp_path / "text.nc").write_text("no")
    with pytest.raises(FitMismatchError, match="cannot be read"):
        load_fit(tmp_path / "text.nc", make())
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "bare.nc", engine="h5netcdf")
    with pytest.raises(FitMismatchError, match="holds no fit"):
        load_fit(tmp_path / "bare.nc", make())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bare.nc", "text.nc"]


def test_writing_that_fails_leaves_the_old_file(fitted, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    fitted.save(path)
    before = path.read_bytes()

    def broken(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", broken)
    with pytest.raises(OSError, match="disk full"):
        fitted.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]
