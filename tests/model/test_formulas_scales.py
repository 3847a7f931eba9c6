"""A scale that depends on a column: ``families={"y": "gaussian(sigma=t)"}``."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.types import FormulaError

N = 60


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    z, t = rng.normal(10, 2, N), rng.integers(0, 2, N)
    y = 1 + z + 2 * t + np.where(t == 1, 0.5, 2) * rng.normal(size=N)
    return pd.DataFrame({"z": z, "t": t, "g": np.where(t == 1, "b", "a"), "y": y})


def logp(model, at):
    """Return the log-density of y at values of the parameters, by PyMC, after conditioning."""
    point = {model[n]: np.asarray(v, dtype=float) for n, v in at.items()}
    found = pm.logp(model["y"], at["y"])
    return float(found.sum().eval({k: v for k, v in point.items() if k.name != "y"}))


def test_a_number_moves_the_logarithm_of_the_scale_about_its_mean(data):
    model = bc.model_from_formulas(["y ~ t"], {"y": "gaussian(sigma=z)"}, data)
    assert list(bc.graph_of(model).edges) == [("t", "y"), ("z", "y")]
    priors = bc.prior_summary(model)["prior"]
    assert priors["b_sigma_y_z"] == f"Normal(0, {0.5 / data['z'].std(ddof=0):.3g})"
    found = logp(model, {
        "y": data["y"], "b_y_Intercept": 1.0, "b_y_t": 2.0, "sigma_y": 1.5, "b_sigma_y_z": -0.2
    })  # fmt: skip
    middle = round(data["z"].mean(), 2)  # to three digits of its scale
    scale = 1.5 * np.exp(-0.2 * (data["z"] - middle))
    right = stats.norm.logpdf(data["y"], 1 + 2 * data["t"], scale).sum()
    assert found == pytest.approx(right, rel=1e-9)


def test_each_label_has_a_scale(data):
    model = bc.model_from_formulas(["y ~ z"], {"y": "gaussian(sigma=g)"}, data)
    assert list(bc.graph_of(model).edges) == [("g", "y"), ("z", "y")]
    assert tuple(model.coords["g_level"]) == ("a", "b")
    found = logp(model, {
        "y": data["y"], "b_y_Intercept": 1.0, "b_y_z": 2.0, "sigma_y": [1.5, 0.4]
    })  # fmt: skip
    scale = np.where(data["g"] == "b", 0.4, 1.5)
    right = stats.norm.logpdf(data["y"], 1 + 2 * data["z"], scale).sum()
    assert found == pytest.approx(right, rel=1e-9)


@pytest.mark.parametrize("family", ["student-t", "lognormal"])
def test_other_families_have_one_too(data, family):
    some = data.assign(y=np.exp(data["y"] / 10))
    model = bc.model_from_formulas(["y ~ z"], {"y": f"{family}(sigma=t)"}, some)
    assert "b_sigma_y_t" in model.named_vars
    assert ("t", "y") in bc.graph_of(model).edges


def test_unequal_variances_are_recovered_and_move_the_noise_of_a_unit(data):
    """Known parameters: the noise of a unit is that many scales, whichever its treatment.

    With y = b t + s e^(c (t - m)) u, Y(1) = b + s e^(c (1 - m)) u of a unit seen at t = 0.
    """
    model = bc.model_from_formulas(["y ~ t"], {"y": "gaussian(sigma=t)"}, data)
    c, s, m = -1.2, 1.1, round(data["t"].mean(), 3)
    values = {"b_y_Intercept": 11.0, "b_y_t": 2.0, "sigma_y": s, "b_sigma_y_t": c}
    known = bc.truth(model, values, data=data)
    found = bc.estimate(known, bc.ITE("t", "y")).mean().values
    t, y = data["t"].to_numpy(), data["y"].to_numpy()
    noise = (y - 11 - 2 * t) / (s * np.exp(c * (t - m)))
    right = 2 + noise * s * (np.exp(c * (1 - m)) - np.exp(-c * m))
    np.testing.assert_allclose(found, right, rtol=2e-3, atol=2e-3)


def test_two_variances_have_the_posterior_of_quadrature(data):
    """The mean of each label apart (y ~ 0 + g): its scale has a one-dimensional posterior."""
    model = bc.model_from_formulas(
        ["y ~ 0 + g"],
        {"y": "gaussian(sigma=g)"},
        data,
        priors={"y": {"g": "Normal(0, 30)", "sigma": "Exponential(0.5)"}},
    )
    fit = bc.fit(model, data, draws=2000, chains=2, seed=2, progressbar=False)
    found = fit.posterior["sigma_y"].values
    grid = np.linspace(0.2, 8, 4000)
    for k, label in enumerate("ab"):
        y = data.loc[data["g"] == label, "y"].to_numpy()
        n, mean = len(y), y.mean()
        square = np.sum((y - mean) ** 2)
        # the mean integrated out: ybar ~ N(0, 30^2 + s^2 / n)
        log = -(n - 1) * np.log(grid) - square / (2 * grid**2) - 0.5 * grid
        log += stats.norm.logpdf(mean, 0, np.sqrt(900 + grid**2 / n))
        weight = np.exp(log - log.max())
        weight /= weight.sum()
        right = weight @ grid
        sd = np.sqrt(weight @ (grid - right) ** 2)
        # effective draws of independence Metropolis: half of them at least
        assert abs(found[..., k].mean() - right) < 4 * sd / np.sqrt(2000)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("gaussian(sigma=2)", "the name of a column.*A fixed scale is a prior"),
        ("poisson(sigma=t)", "for gaussian, student-t and lognormal"),
        ("gaussian(sigma=nope)", "'nope' has no formula"),
        ("gaussian(sigma=y)", "both sides"),
    ],
)
def test_what_no_scale_depends_on_is_refused(data, family, message):
    with pytest.raises(FormulaError, match=message):
        bc.model_from_formulas(["y ~ t"], {"y": family}, data)


def test_its_source_is_the_same_model(data):
    model = bc.model_from_formulas(["y ~ t"], {"y": "gaussian(sigma=t)"}, data)
    space: dict[str, object] = {"data": data}
    exec(bc.model_source(model), space)
    again = space["model"]
    values = {"b_y_Intercept": 11.0, "b_y_t": 2.0, "sigma_y": 1.5, "b_sigma_y_t": 0.3}
    values = {"y": data["y"], **values}
    assert logp(again, values) == pytest.approx(logp(model, values), rel=1e-6)
