"""Conditioning: the density is the one that PyMC's own means give, and the model is left alone."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import stats

from bayescausal.inference import as_table, condition, conform
from bayescausal.inference.saving import fingerprint
from bayescausal.model.structure.function_graph import data_values, dim_sizes, evaluate, open_model
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.read import structure_of
from bayescausal.types import DataError, FixedUnitsError, ModelError


def conditioned(model, data):
    structure = structure_of(model, named=list(data))
    return condition(structure, conform(as_table(data, structure), structure))


def logp(model):
    return model.compile_logp(mode=PY_MODE)


def coating(unit):
    with pm.Model(coords={"unit": unit}) as model:
        humid = pm.Normal("humid", 0, 1, dims="unit")
        b = pm.Normal("b")
        dilution = pm.Bernoulli("dilution", logit_p=b * humid, dims="unit")
        sigma = pm.HalfNormal("sigma")
        mu = pm.Deterministic("mu", b * dilution + humid, dims="unit")
        pm.Normal("coating", mu, sigma, dims="unit")
    return model


DATA = {"humid": [0.1, -0.4, 1.2], "dilution": [0, 1, 1], "coating": [0.2, 0.9, 1.0]}


def test_density_is_that_of_pm_observe_and_of_the_formula():
    known = conditioned(coating([0]), DATA).model
    arrays = {k: np.asarray(v) for k, v in DATA.items()}
    by_pymc = pm.observe(coating(range(3)), arrays)
    point = {"b": 0.7, "sigma_log__": np.log(0.6)}
    h, d, c = (np.asarray(DATA[k]) for k in ("humid", "dilution", "coating"))
    by_hand = (
        stats.norm.logpdf(0.7)
        + stats.halfnorm.logpdf(0.6)
        + np.log(0.6)  # the Jacobian of sigma = exp(.)
        + stats.norm.logpdf(h).sum()
        + stats.bernoulli.logpmf(d, 1 / (1 + np.exp(-0.7 * h))).sum()
        + stats.norm.logpdf(c, 0.7 * d + h, 0.6).sum()
    )
    assert logp(known)(point) == pytest.approx(by_hand, rel=1e-12)
    assert logp(by_pymc)(point) == pytest.approx(by_hand, rel=1e-12)


def test_the_users_model_is_not_changed():
    model = coating([0])
    names = list(model.named_vars)
    before = fingerprint(structure_of(model)), dim_sizes(model), dict(model.coords)
    initial = dict(model.rvs_to_initial_values)
    conditioned(model, dict(DATA.items()) | {"humid": [0.1, np.nan, 1.2]})
    assert (fingerprint(structure_of(model)), dim_sizes(model), dict(model.coords)) == before
    assert list(model.named_vars) == names
    assert dict(model.rvs_to_initial_values) == initial
    assert not model.observed_RVs


def test_observed_columns_are_data_that_can_be_changed():
    known = conditioned(coating([0]), DATA)
    assert known.data_names == {k: f"{k}_data" for k in DATA}
    other = {k: np.asarray(v) * 0 + 1 for k, v in DATA.items()}
    again = conditioned(coating([0]), other).model
    with known.model:
        pm.set_data({known.data_names[k]: v for k, v in other.items()})
    point = {"b": 0.7, "sigma_log__": -0.5}
    assert logp(known.model)(point) == pytest.approx(logp(again)(point), rel=1e-12)


@pytest.mark.parametrize("name", ["humid", "coating"])
def test_empty_cells_are_pymc_s_imputed_pairs(name):
    data = {k: np.array(v, float) for k, v in DATA.items()}
    data[name][1] = np.nan
    known = conditioned(coating([0]), data)
    whole = conditioned(coating([0]), DATA).model
    point = {"b": 0.7, "sigma_log__": -0.5}
    at = {**point, f"{name}_unobserved": np.array([DATA[name][1]])}
    # with the cell put back the joint density is the density of the whole data
    assert logp(known.model)(at) == pytest.approx(logp(whole)(point), rel=1e-12)
    read = structure_of(known.model)
    assert read.imputed == {name: (f"{name}_observed", f"{name}_unobserved")}
    assert set(read.nodes) >= {"humid", "dilution", "coating"}


def test_a_column_left_whole_is_free_and_its_cells_are_data():
    data = {k: np.array(v, float) for k, v in DATA.items()}
    data["humid"][1] = np.nan
    structure = structure_of(coating([0]))
    known = condition(structure, conform(as_table(data, structure), structure), ["humid"])
    assert [rv.name for rv in known.model.free_RVs if rv.type.ndim] == ["humid"]
    assert set(known.partly) == {"humid"}
    assert known.partly["humid"].mask.get_value().tolist() == np.isnan(data["humid"]).tolist()
    values = known.partly["humid"].values.get_value()
    assert values.tolist() == np.nan_to_num(data["humid"]).tolist()


def test_empty_cells_of_a_positive_variable_have_its_transform():
    with pm.Model(coords={"unit": [0]}) as model:
        g = pm.Gamma("g", 2, 1, dims="unit")
        pm.Normal("y", g, 1, dims="unit")
    known = conditioned(model, {"g": [1.0, None, 2.0], "y": [0.0, 1.0, 2.0]}).model
    at = {"g_unobserved_log__": np.log([1.5])}
    wanted = (
        stats.gamma.logpdf([1.0, 1.5, 2.0], 2).sum()
        + np.log(1.5)
        + stats.norm.logpdf([0.0, 1.0, 2.0], [1.0, 1.5, 2.0]).sum()
    )
    assert logp(known)(at) == pytest.approx(wanted, rel=1e-12)


def test_a_column_that_the_model_imputes_itself_cannot_be_another():
    with pm.Model(coords={"unit": range(2)}) as m:
        b = pm.Normal("b")
        with pytest.warns(Warning, match="missing values"):
            pm.Normal("y", b, 1, dims="unit", observed=[1.0, np.nan])
    same = conditioned(m, {"y": [1.0, np.nan]}).model
    point = {"b": 0.0, "y_unobserved": np.array([0.5])}
    assert logp(same)(point) == pytest.approx(logp(m)(point))
    for other in ([2.0, np.nan], [1.0, 2.0], [1.0, np.nan, 2.0]):
        with pytest.raises(DataError, match="imputes 'y' itself"):
            conditioned(m, {"y": other})


def test_vectors_may_be_empty_whole_or_in_part_unless_bound_together():
    with pm.Model(coords={"unit": [0], "k": range(2)}) as model:
        pm.MvNormal("y", np.zeros(2), np.array([[1.0, 0.5], [0.5, 1.0]]), dims=("unit", "k"))
    y = np.array([[0.1, 0.2], [np.nan, np.nan], [0.3, 0.4]])
    whole = conditioned(model, {"y": y}).model
    cov = np.array([[1.0, 0.5], [0.5, 1.0]])
    full = np.where(np.isnan(y), 0.7, y)
    wanted = stats.multivariate_normal.logpdf(full, np.zeros(2), cov).sum()
    assert logp(whole)({"y_unobserved": np.full((1, 2), 0.7)}) == pytest.approx(wanted)
    y[0, 1] = np.nan
    part = conditioned(model, {"y": y}).model
    full = np.where(np.isnan(y), 0.7, y)
    wanted = stats.multivariate_normal.logpdf(full, np.zeros(2), cov).sum()
    assert logp(part)({"y_unobserved": np.full(3, 0.7)}) == pytest.approx(wanted)
    with pm.Model(coords={"unit": [0], "k": range(3)}) as model:
        pm.Dirichlet("y", np.ones(3), dims=("unit", "k"))
    with pytest.raises(DataError, match=r"'y' has vectors that are empty in part"):
        conditioned(model, {"y": [[0.2, 0.3, np.nan], [0.1, 0.1, 0.8]]})


def test_units_and_labels_are_those_of_the_data():
    import pandas as pd

    frame = pd.DataFrame(DATA, index=["a", "b", "c"])
    known = conditioned(coating([0]), frame).model
    assert known.coords["unit"] == ("a", "b", "c")
    assert dim_sizes(known)["unit"] == 3


def test_unit_level_data_and_the_dims_they_carry_are_set():
    with pm.Model() as model:
        x = pm.Data("x", np.zeros(2), dims="unit")
        pm.Normal("y", pm.Normal("b") * x, 1, dims="unit")
    known = conditioned(model, {"x": [1.0, 2.0, 3.0], "y": [0.0, 1.0, 2.0]}).model
    assert data_values(known)["x"].tolist() == [1.0, 2.0, 3.0]
    assert data_values(model)["x"].tolist() == [0.0, 0.0]
    wanted = stats.norm.logpdf(0.5) + stats.norm.logpdf([0, 1, 2], [0.5, 1.0, 1.5]).sum()
    assert logp(known)({"b": 0.5}) == pytest.approx(wanted)


def test_custom_initial_values_are_kept():
    with pm.Model(coords={"unit": [0]}) as model:
        cut = pm.Normal(
            "cut",
            0,
            1,
            shape=2,
            transform=pm.distributions.transforms.ordered,
            initval=np.array([-1.0, 1.0]),
        )
        x = pm.Normal("x", dims="unit", initval=np.array([0.5]))
        pm.OrderedLogistic("y", eta=x, cutpoints=cut, compute_p=False, dims="unit")
    known = conditioned(model, {"y": [0, 1, 2]}).model
    assert known.rvs_to_initial_values[known["cut"]].tolist() == [-1.0, 1.0]
    assert known.rvs_to_initial_values[known["x"]] is None  # of another length: let go


def test_nested_models_work_from_the_outside_and_are_refused_from_the_inside():
    with pm.Model(coords={"unit": [0]}) as outer:
        b = pm.Normal("b")
        with pm.Model(name="inner") as inner:
            x = pm.Normal("x", b, 1, dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    known = conditioned(outer, {"inner::x": [0.0, 1.0], "y": [0.0, 1.0]}).model
    assert np.isfinite(logp(known)({"b": 0.0}))
    with pytest.raises(ModelError, match=r"'inner' is nested in another model.*outer model"):
        open_model(inner)


def test_potentials_stay_in_the_density():
    model = coating([0])
    with model:
        pm.Potential("select", -(model["coating"] ** 2))
    point = {"b": 0.7, "sigma_log__": -0.5}
    with_it = logp(conditioned(model, DATA).model)(point)
    without = logp(conditioned(coating([0]), DATA).model)(point)
    assert with_it == pytest.approx(without - np.sum(np.square(DATA["coating"])), rel=1e-12)


def test_a_model_frozen_at_its_length_is_refused():
    from pymc.model.transform.optimization import freeze_dims_and_data

    with pm.Model(coords={"unit": range(2)}) as model:
        x = pm.Data("x", np.zeros(2), dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    frozen = freeze_dims_and_data(model)
    with pytest.raises(ModelError, match=r"'x' is frozen in the model"):
        conditioned(frozen, {"x": [1.0, 1.0], "y": [0.0, 1.0]})
    with pm.Model(coords={"unit": range(2)}) as model:
        pm.Normal("y", pm.Normal("b"), 1, dims="unit")
    with pytest.raises(FixedUnitsError, match=r"fixes the length of 'unit' at 2|length 2"):
        conditioned(freeze_dims_and_data(model), {"y": [0.0, 1.0, 2.0]})


def test_evaluation_without_a_compiler_keeps_precision_far_out():
    x = np.array([-800.0, -40.0, -1e-9, 0.0, 1e-9, 17.9, 40.0, 800.0])
    v = pt.vector("v")
    soft, less, cut, cube = evaluate(
        [pt.softplus(v), pt.log1mexp(-pt.abs(v) - 1e-12), pt.clip(v, -1, 1), v**3], {v: x}
    )
    np.testing.assert_allclose(soft, np.logaddexp(0, x), rtol=1e-14)
    below = -np.abs(x) - 1e-12
    wanted = np.where(below > -0.69, np.log(-np.expm1(below)), np.log1p(-np.exp(below)))
    np.testing.assert_allclose(less, wanted, rtol=1e-12)
    np.testing.assert_array_equal(cut, np.clip(x, -1, 1))
    np.testing.assert_allclose(cube, x**3, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@pytest.mark.parametrize("shape", [(), (9,), (3, 1, 3)])
def test_logistic_function_without_a_compiler(dtype, shape):
    x = np.array([-709, -40, -2, -1, 0, 1, 17, 40, 800])
    x = np.resize(x, shape).astype(dtype)
    v = pt.tensor("v", shape=shape, dtype=dtype)
    function = pytensor.function([v], pt.sigmoid(v), mode=PY_MODE)
    given = x.copy()
    with np.errstate(all="raise", under="ignore"):
        found = function(x)
    assert found.dtype == pt.sigmoid(v).type.dtype
    assert found.shape == shape
    np.testing.assert_array_equal(x, given)  # nothing is written to
    exact = np.array([1 / (1 + Decimal(-float(i)).exp()) for i in x.ravel()], dtype=float)
    limits = np.finfo(found.dtype)
    np.testing.assert_allclose(found.ravel(), exact, rtol=4 * limits.eps, atol=limits.tiny)
