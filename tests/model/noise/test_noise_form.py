"""The noise form of whole models."""

from __future__ import annotations

import warnings

import numpy as np
import pymc as pm
import pytensor
import pytest
from scipy import stats

from bayescausal.model.noise.noise_form import noise_form
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.types import ModelError, NoiseFormError, UnknownVariableError

UNITS = 3000


def mixed_model(units=UNITS):
    """A chain through eight families, with data, a Deterministic and parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyMC has no default transform for hurdles
        with pm.Model(coords={"unit": range(units)}) as model:
            slope = pm.Normal("slope", 0.5, 1e-3)
            sigma = pm.HalfNormal("sigma", 1.0)
            age = pm.Data("age", np.linspace(-1, 1, units), dims="unit")
            x = pm.Normal("x", age, 1, dims="unit")
            t = pm.Bernoulli("t", logit_p=x + 0.5, dims="unit")
            grade = pm.OrderedLogistic(
                "grade", eta=slope * x, cutpoints=[-1.0, 0.0, 1.0], compute_p=False, dims="unit"
            )
            k = pm.Poisson("k", pm.math.exp(0.3 * x + 0.2 * t), dims="unit")
            total = pm.Deterministic("total", k + grade, dims="unit")
            g = pm.Gamma("g", 2.0, pm.math.exp(-0.1 * k), dims="unit")
            h = pm.HurdleGamma("h", psi=0.4, alpha=2.0, beta=1.0 + t, dims="unit")
            pm.Normal("y", slope * total + g - h, 1 + 0 * sigma, dims="unit")
    return model


NAMES = ["x", "t", "grade", "k", "total", "g", "h", "y"]


def draw(model, names, seed):
    """Draw once without compiling."""
    with np.errstate(all="ignore"):
        values = pm.draw([model[n] for n in names], random_seed=seed, mode=PY_MODE)
    return dict(zip(names, values, strict=True))


@pytest.fixture(scope="module")
def model():
    return mixed_model()


@pytest.mark.parametrize("coupling", ["monotone", {"grade": "gumbel"}])
def test_noise_form_and_density_form_have_the_same_distribution(model, coupling):
    explicit = noise_form(model, coupling=coupling)
    ours, theirs = draw(explicit, NAMES, 1), draw(model, NAMES, 2)
    for name in NAMES:
        assert ours[name].dtype == theirs[name].dtype
        # Bonferroni over eight variables and two couplings
        assert stats.ks_2samp(ours[name], theirs[name]).pvalue > 1e-3 / 16
    # and jointly: rank correlations differ by chance only, sd sqrt(2 / 3000), 5 sd for 28 pairs
    one = stats.spearmanr(np.column_stack([ours[n] for n in NAMES])).statistic
    two = stats.spearmanr(np.column_stack([theirs[n] for n in NAMES])).statistic
    assert np.abs(one - two).max() < 5 * np.sqrt(2 / UNITS)


def test_names_dims_and_parameters_are_kept(model):
    explicit = noise_form(model)
    structural = ["g", "grade", "h", "k", "t", "x", "y"]
    assert sorted(v.name for v in explicit.deterministics) == sorted([*structural, "total"])
    free = sorted(rv.name for rv in explicit.free_RVs)
    assert free == sorted(["sigma", "slope", *(f"U_{n}" for n in structural)])
    assert explicit.observed_RVs == []
    assert [v.name for v in explicit.data_vars] == ["age"]
    assert explicit.coords == model.coords
    for name in [*structural, "total"]:
        assert explicit.named_vars_to_dims[name] == ("unit",)
        assert explicit[name].type.dtype == model[name].type.dtype
    assert all(explicit.named_vars_to_dims[f"U_{n}"] == ("unit",) for n in structural)
    # the model that was given is as it was
    assert {rv.name for rv in model.free_RVs} >= {"x", "y"}
    bases = {name: type(explicit[f"U_{name}"].owner.op).__name__ for name in ("x", "k")}
    assert bases == {"x": "NormalRV", "k": "LogisticRV"}


def test_gumbel_noise_has_a_dim_for_the_categories(model):
    explicit = noise_form(model, coupling={"grade": "gumbel"})
    assert explicit.named_vars_to_dims["U_grade"] == ("unit", "U_grade_category")
    assert int(explicit.dim_lengths["U_grade_category"].eval(mode=PY_MODE)) == 4
    assert draw(explicit, ["U_grade"], 1)["U_grade"].shape == (UNITS, 4)


def test_two_surgeries_share_the_noise(model):
    explicit = noise_form(model)
    zero = pm.do(explicit, {"t": np.zeros(UNITS, int)})
    one = pm.do(explicit, {"t": np.ones(UNITS, int)})
    names = ["x", "k", "y"]
    inputs = [f"U_{n}" for n in NAMES if n not in ("t", "total")]
    rng = np.random.default_rng(3)
    noise = {
        n: rng.standard_normal(UNITS) if n in ("U_x", "U_y") else rng.logistic(size=UNITS)
        for n in inputs
    }
    found = []
    for world in (zero, one):
        f = pytensor.function(
            [world[n] for n in (*inputs, "slope", "sigma")],
            [world[n] for n in names],
            mode=PY_MODE,
            on_unused_input="ignore",
        )
        with np.errstate(all="ignore"):
            found.append(f(*noise.values(), 0.5, 1.0))
    (x0, k0, _), (x1, k1, _) = found
    np.testing.assert_array_equal(x0, x1)
    assert np.all(k1 >= k0)  # the same rank at a larger mean
    assert np.any(k1 > k0)


def test_noise_form_can_be_copied_and_compiled_by_the_default_back_end():
    with pm.Model(coords={"unit": range(20)}) as small:
        x = pm.Gamma("x", 2.0, 1.0, dims="unit")
        pm.Poisson("y", x, dims="unit")
    copy = noise_form(small).copy()
    assert [rv.name for rv in copy.free_RVs] == ["U_x", "U_y"]
    x, y = pm.draw([copy["x"], copy["y"]], random_seed=1)
    assert x.shape == y.shape == (20,)
    assert y.dtype == "int64"
    assert np.all(x > 0)


def test_observed_variables_are_computed():
    with pm.Model(coords={"unit": range(4)}) as observed:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, dims="unit", observed=np.zeros(4))
    explicit = noise_form(observed)
    assert [v.name for v in explicit.deterministics] == ["y"]
    y = draw(explicit, ["y"], 1)["y"]
    assert y.shape == (4,)
    assert np.all(y != 0)


def test_initial_values_of_parameters_are_kept():
    with pm.Model(coords={"unit": range(4)}) as model:
        mu = pm.Normal("mu", initval=0.25)
        pm.Normal("y", mu, 1, dims="unit", initval=np.ones(4))
    explicit = noise_form(model)
    assert float(explicit.rvs_to_initial_values[explicit["mu"]]) == 0.25
    assert explicit.initial_point()["mu"] == 0.25


def test_vector_nodes_and_panels():
    with pm.Model(coords={"unit": range(5), "time": range(6), "k": range(2)}) as model:
        pair = pm.MvNormal("pair", np.zeros(2), np.eye(2) + 0.5, dims=("unit", "k"))
        walk = pm.GaussianRandomWalk(
            "walk", sigma=1.0, init_dist=pm.Normal.dist(0, 1), dims=("unit", "time")
        )
        pm.Normal("y", walk + pair[:, :1], 1, dims=("unit", "time"))
    explicit = noise_form(model, unit_dims=("unit", "time"))
    values = draw(explicit, ["pair", "walk", "y"], 1)
    assert {n: v.shape for n, v in values.items()} == {
        "pair": (5, 2),
        "walk": (5, 6),
        "y": (5, 6),
    }


def test_imputed_variable_keeps_its_two_parts():
    data = np.array([0.5, np.nan, 1.5, np.nan])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pm.Model(coords={"unit": range(4)}) as model:
            x = pm.Normal("x", 2.0, 1.0, observed=data, dims="unit")
            pm.Normal("y", x, 1, dims="unit")
    explicit = noise_form(model)
    assert {"x", "x_observed", "x_unobserved", "y"} <= {v.name for v in explicit.deterministics}
    values = draw(explicit, ["x", "x_unobserved", "U_x_unobserved"], 1)
    np.testing.assert_allclose(values["x"][[1, 3]], 2.0 + values["U_x_unobserved"])


# --------------------------------------------------------------------------------- refusals


def small_model(name="share"):
    with pm.Model(coords={"unit": range(3), "k": range(2)}) as model:
        pm.Dirichlet(name, [1.0, 1.0], dims=("unit", "k"))
    return model


def test_family_without_a_rule_is_named_with_its_variable():
    with pytest.raises(NoiseFormError, match="'share' ~ Dirichlet has no noise form"):
        noise_form(small_model())


def test_coupling_by_an_unknown_name_is_refused(model):
    with pytest.raises(UnknownVariableError, match="'grad' is not a random structural variable"):
        noise_form(model, coupling={"grad": "gumbel"})


def test_coupling_of_another_type_is_refused(model):
    with pytest.raises(NoiseFormError, match=r"coupling is a int.*mapping"):
        noise_form(model, coupling=3)


def test_gumbel_for_all_is_refused_at_the_first_count(model):
    with pytest.raises(NoiseFormError, match="found Poisson"):
        noise_form(model, coupling="gumbel")


def test_name_of_the_noise_must_be_free():
    with pm.Model(coords={"unit": range(3)}) as model:
        u = pm.Normal("U_y", dims="unit")
        pm.Normal("y", u, 1, dims="unit")
    with pytest.raises(ModelError, match=r"already has a variable called 'U_y'.*Rename"):
        noise_form(model)
