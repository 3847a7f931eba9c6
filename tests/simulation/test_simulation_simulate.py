"""Simulation: the right law, the right shape, and every mistake by its name."""

from __future__ import annotations

import time

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.inference import as_table
from bayescausal.model.structure.read import structure_of
from bayescausal.simulation import simulate
from bayescausal.types import (
    BayesCausalError,
    DataError,
    FixedUnitsError,
    InterventionError,
    ParameterError,
    PotentialError,
    UnknownVariableError,
)

TRUTH = {"b_d0": 0.4893, "b_hd": -0.39, "b_c0": 0.5128, "b_dc": -0.421, "b_hc": -0.54, "sigma": 0.2}


@pytest.fixture(scope="module")
def coating():
    with pm.Model(coords={"unit": [0]}) as model:
        humid = pm.Normal("humid", 0, 1, dims="unit")
        b_d0, b_hd = pm.Normal("b_d0"), pm.Normal("b_hd")
        dilution = pm.Bernoulli("dilution", logit_p=b_d0 + b_hd * humid, dims="unit")
        b_c0, b_dc, b_hc = pm.Normal("b_c0"), pm.Normal("b_dc"), pm.Normal("b_hc")
        sigma = pm.HalfNormal("sigma")
        mu = pm.Deterministic("mu", b_c0 + b_dc * dilution + b_hc * humid, dims="unit")
        pm.Normal("coating", mu, sigma, dims="unit")
    return model


def test_moments_and_regression_are_those_of_the_equations(coating):
    n = 200_000
    frame = simulate(coating, TRUTH, units=n, seed=1)
    assert list(frame.columns) == ["humid", "dilution", "coating"]
    assert frame.index.name == "unit"
    assert frame["dilution"].dtype == np.int64
    # standard errors are at most 1/sqrt(n) = .0022 (sd 1) and, with sigma = .2, below
    # .2 / sqrt(n * .2) = .001 for coefficients; five of them
    assert abs(frame["humid"].mean()) < 5 / np.sqrt(n)
    x = np.column_stack([np.ones(n), frame["dilution"], frame["humid"]])
    fitted = np.linalg.lstsq(x, frame["coating"], rcond=None)[0]
    np.testing.assert_allclose(fitted, [0.5128, -0.421, -0.54], atol=0.005)
    p = 1 / (1 + np.exp(-(0.4893 - 0.39 * frame["humid"])))
    assert abs((frame["dilution"] - p).mean()) < 5 * 0.5 / np.sqrt(n)


def test_same_seed_same_data_and_other_seed_other_data(coating):
    one = simulate(coating, TRUTH, units=5, seed=1)
    assert one.equals(simulate(coating, TRUTH, units=5, seed=1))
    assert not one.equals(simulate(coating, TRUTH, units=5, seed=2))
    assert len(simulate(coating, TRUTH)) == 1000


def test_a_million_units_take_seconds(coating):
    start = time.perf_counter()
    assert len(simulate(coating, TRUTH, units=1_000_000, seed=1)) == 1_000_000
    assert time.perf_counter() - start < 10  # 0.6 s alone on two cores; others may share them


def test_interventions_replace_equations_and_leave_what_comes_before(coating):
    plain = simulate(coating, TRUTH, units=50, seed=1)
    one = simulate(coating, TRUTH, units=50, seed=1, do={"dilution": 1})
    assert (one["dilution"] == 1).all()
    assert one["humid"].equals(plain["humid"])
    mixed = simulate(coating, TRUTH, units=50, seed=1, do={"dilution": [0, 1] * 25})
    assert mixed["dilution"].tolist() == [0, 1] * 25
    moved = simulate(coating, TRUTH, units=50, seed=1, do={"humid": bc.Shift(1.0)})
    np.testing.assert_allclose(moved["humid"], plain["humid"] + 1)
    expression = {"coating": coating["humid"] * 3}
    by_hand = simulate(coating, TRUTH, units=50, seed=1, do=expression)
    np.testing.assert_allclose(by_hand["coating"], 3 * by_hand["humid"])
    with pytest.raises(UnknownVariableError, match="Did you mean 'dilution'"):
        simulate(coating, TRUTH, do={"dilutoin": 1})
    with pytest.raises(InterventionError, match="mapping"):
        simulate(coating, TRUTH, do=["dilution"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": None}, r"No value for 'sigma'. Expected: A value for each of"),
        ({"sigm": 1.0}, r"'sigm' is not a parameter of this model. Did you mean 'sigma'"),
        ({"humid": 0.0}, r"'humid' is a structural variable, not a parameter.*do=\{'humid'"),
        ({"mu": 0.0}, r"'mu' is a structural variable"),
        ({"sigma": -1.0}, r"'sigma' is -1, outside the support of its HalfNormal prior"),
        ({"b_d0": np.nan}, r"'b_d0' is not finite"),
        ({"b_d0": "high"}, r"'b_d0' is 'high'. Expected: Numbers"),
        ({"b_d0": [1.0, 2.0]}, r"'b_d0' has shape \(2,\). Expected: \(\), or one number"),
    ],
)
def test_parameters_are_checked_by_name_shape_and_support(coating, change, message):
    params = {k: v for k, v in {**TRUTH, **change}.items() if v is not None}
    with pytest.raises(ParameterError, match=message):
        simulate(coating, params, units=3)
    with pytest.raises(ParameterError, match="params is a list"):
        simulate(coating, [1.0], units=3)


def test_numbers_broadcast_to_the_shape_of_a_parameter():
    with pm.Model(coords={"unit": [0], "k": ["a", "b"]}) as model:
        b = pm.Normal("b", dims="k")
        c = pm.Normal("c", shape=3)
        half = pm.Deterministic("half", c / 2)
        pm.Normal("y", b.sum() + half.sum(), 0.1, dims="unit")
    assert len(simulate(model, {"b": 1.0, "c": [1.0, 2.0, 3.0]}, units=2)) == 2
    with pytest.raises(ParameterError, match=r"'b' has shape \(3,\). Expected: \(2,\) along"):
        simulate(model, {"b": [1.0, 2.0, 3.0], "c": 0.0})
    with pytest.raises(ParameterError, match="'half' is computed by the model"):
        simulate(model, {"b": 1.0, "c": 0.0, "half": 0.0})


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (0, r"units=0 along 'unit'"),
        (2.5, r"units=2.5 along 'unit'"),
        ({"uint": 3}, r"units names 'uint'.*Did you mean 'unit'"),
    ],
)
def test_units_are_counts_along_unit_dims(coating, units, message):
    with pytest.raises(DataError, match=message):
        simulate(coating, TRUTH, units=units)
    with pytest.raises(BayesCausalError, match=r"seed=-1 is no seed"):
        simulate(coating, TRUTH, seed=-1)


def test_unit_level_data_come_with_their_own_number_of_units():
    with pm.Model() as model:
        x = pm.Data("x", [1.0, 2.0, 3.0], dims="unit")
        pm.Normal("y", x, 0.1, dims="unit")
    frame = simulate(model, {}, seed=1)
    assert frame["x"].tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(FixedUnitsError, match=r"7 units were asked.*pm.Data 'x' is of length 3"):
        simulate(model, {}, units=7)
    with pm.Model(coords={"unit": range(3)}) as model:
        pm.Normal("y", np.arange(3.0), 1, dims="unit")
    with pytest.raises(FixedUnitsError, match=r"arrays of its own of length 3"):
        simulate(model, {}, units=7)


def test_potentials_select_and_are_refused_unless_ignored(coating):
    model = coating.copy()
    with model:
        pm.Potential("select", -model["coating"])
    with pytest.raises(PotentialError, match="'select'"):
        simulate(model, TRUTH)
    assert len(simulate(model, TRUTH, units=3, ignore_potentials=True)) == 3


def test_improper_variables_cannot_be_drawn():
    with pm.Model(coords={"unit": [0]}) as model:
        pm.Normal("y", pm.Flat("x", dims="unit"), 1, dims="unit")
    with pytest.raises(BayesCausalError, match="cannot be drawn"):
        simulate(model, {})


def test_a_panel_has_rows_for_every_pair_and_repeats_what_is_constant():
    coords = {"unit": range(3), "time": range(4)}
    with pm.Model(coords=coords) as model:
        a = pm.Normal("a", dims="unit")
        pm.Normal("y", a[:, None], 1, dims=("unit", "time"))
    frame = simulate(model, {}, units=2, seed=1)
    assert frame.index.names == ["unit", "time"]
    assert len(frame) == 8
    assert (frame.groupby("unit")["a"].nunique() == 1).all()
    assert len(simulate(model, {}, units={"unit": 5, "time": 2})) == 10
    table = as_table(frame, structure_of(model))  # and it comes back as it was
    assert table["a"].shape == (2,)
    assert table["y"].ravel().tolist() == frame["y"].tolist()


def test_pupils_are_lined_up_with_their_schools():
    with pm.Model(coords={"school": range(2), "pupil": range(4)}) as model:
        idx = pm.Data("idx", [0, 1, 1, 0], dims="pupil")
        w = pm.Bernoulli("w", 0.5, dims="school")
        pm.Normal("y", w[idx], 1, dims="pupil")
    dims = ("school", "pupil")
    frame = simulate(model, {}, unit_dims=dims, seed=3)
    assert frame.index.tolist() == [(0, 0), (1, 1), (1, 2), (0, 3)]
    table = as_table(frame, structure_of(model, unit_dims=dims))
    assert table["w"].shape == (2,)
    with pm.Model(coords={"school": range(2), "pupil": range(4)}) as model:
        w = pm.Normal("w", dims="school")
        pm.Normal("y", w.sum(), 1, dims="pupil")
    with pytest.raises(DataError, match=r"cannot be lined up with 'school': no integer pm.Data"):
        simulate(model, {}, unit_dims=dims)


def test_vectors_are_spread_over_columns():
    with pm.Model(coords={"unit": [0], "part": ["a", "b"]}) as model:
        pm.MvNormal("y", np.zeros(2), np.eye(2), dims=("unit", "part"))
    frame = simulate(model, {}, units=3, seed=1)
    assert list(frame.columns) == ["y[a]", "y[b]"]
    assert as_table(frame, structure_of(model))["y"].shape == (3, 2)


def test_labels_of_the_model_are_kept_where_they_fit():
    with pm.Model(coords={"unit": ["a", "b"]}) as model:
        pm.Normal("y", 0, 1, dims="unit")
    assert simulate(model, {}, units=2).index.tolist() == ["a", "b"]
    assert simulate(model, {}, units=3).index.tolist() == [0, 1, 2]
