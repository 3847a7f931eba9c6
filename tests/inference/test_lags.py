"""A lag held as data is seen in the numbers, and refused or noted; times as variables work."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.inference.data.lags import is_lag
from bayescausal.types import DataError

UNITS, TIMES = 40, 6
B, RHO = 1.01, 0.5756


def panel(seed=1, treatment="binary"):
    rng = np.random.default_rng(seed)
    y, x = np.zeros((UNITS, TIMES + 1)), np.zeros((UNITS, TIMES + 1))
    for t in range(1, TIMES + 1):
        x[:, t] = rng.random(UNITS) < 0.4 if treatment == "binary" else rng.normal(size=UNITS)
        y[:, t] = B * x[:, t] + RHO * y[:, t - 1] + 0.3 * rng.normal(size=UNITS)
    unit, time = np.divmod(np.arange(UNITS * TIMES), TIMES)
    return pd.DataFrame(
        {
            "unit": unit,
            "time": time + 1,
            "x": x[:, 1:].ravel(),
            "y": y[:, 1:].ravel(),
            "x_before": x[:, :-1].ravel(),
            "y_before": y[:, :-1].ravel(),
        }
    )


def held(names=("y_before", "x"), random=()):
    with pm.Model(coords={"row": [0]}) as model:
        values = {n: pm.Data(n, [0.0], dims="row") for n in names if n not in random}
        values |= {n: pm.Normal(n, 0, 2, dims="row") for n in random}
        mean = sum(pm.Normal(f"b_{n}", 0, 1) * values[n] for n in names)
        pm.Normal("y", mean, pm.HalfNormal("sigma", 1), dims="row")
    return model


ORDERS = {
    "units then times": lambda d: d,
    "times then units": lambda d: d.sort_values(["time", "unit"]),
    "times downwards": lambda d: d.sort_values(["unit", "time"], ascending=[True, False]),
    "any order": lambda d: d.sample(frac=1, random_state=2),
    "the first time left out": lambda d: d[d["time"] > 1],
}


@pytest.mark.parametrize("order", list(ORDERS))
def test_the_lag_of_an_outcome_is_refused_in_any_order_of_the_rows(order):
    with pytest.raises(DataError, match="'y_before' holds the variable 'y' one time before") as e:
        bc.fit(held(), ORDERS[order](panel()), progressbar=False)
    assert "over (unit, time)" in str(e.value)
    assert "y_before = pm.Normal('y_before', ...)" in str(e.value)


@pytest.mark.parametrize("order", ["units then times", "times then units", "times downwards"])
def test_the_lag_of_a_treatment_with_an_equation_is_refused(order):
    with pm.Model(coords={"row": [0]}) as model:
        before = pm.Data("x_before", [0], dims="row")
        x = pm.Bernoulli("x", 0.4, dims="row")
        pm.Normal("y", pm.Normal("b") * x + pm.Normal("c") * before, 1.0, dims="row")
    data = ORDERS[order](panel()).astype({"x": int, "x_before": int})
    with pytest.raises(DataError, match="'x_before' holds the variable 'x' one time before"):
        bc.fit(model, data, progressbar=False)


def test_units_of_different_length_are_told_apart_by_a_column_of_the_model():
    data = panel().astype({"x": int, "x_before": int})
    data = data[(data["unit"] % 3 > 0) | (data["time"] > 2)]
    with pm.Model(coords={"row": [0], "who": range(UNITS)}) as model:
        who, before = pm.Data("unit", [0], dims="row"), pm.Data("x_before", [0], dims="row")
        x = pm.Bernoulli("x", 0.4, dims="row")
        mean = pm.Normal("a", dims="who")[who] + pm.Normal("b") * x + before
        pm.Normal("y", mean, 1.0, dims="row")
    with pytest.raises(DataError, match="one time before"):
        bc.fit(model, data, progressbar=False)


def test_a_lag_up_to_origin_and_unit_and_along_an_axis():
    y = np.random.default_rng(3).normal(size=60)
    lag = np.append(0.0, y[:-1])
    assert is_lag(2 * lag - 1, y)
    assert is_lag((lag - lag.mean()) / lag.std(), y)
    array = y.reshape(10, 6)
    assert is_lag(np.column_stack([np.zeros(10), array[:, :-1]]), array)
    assert is_lag(np.vstack([np.zeros(6), array[:-1]]), array)


def test_what_is_no_lag():
    rng = np.random.default_rng(4)
    y, walk = rng.normal(size=60), np.cumsum(rng.normal(size=60))
    zero_one = (rng.random(60) < 0.5).astype(int)
    for copy, source in (
        (y, y),
        (y**2, y),
        (rng.permutation(60), rng.permutation(60)),  # ranks
        (walk + 0.01 * rng.normal(size=60), walk),
        (np.arange(60), np.arange(60) + 1),
        (zero_one, (rng.random(60) < 0.5).astype(int)),
        ((np.arange(60) >= 31).astype(int), (np.arange(60) >= 30).astype(int)),  # two policies
        (y[:5], y[:5]),
    ):
        assert not is_lag(np.asarray(copy), np.asarray(source))


def test_two_columns_without_an_equation_are_noted():
    fit = bc.fit(
        held(("x", "x_before")), panel(treatment="normal"), draws=50, seed=1, progressbar=False
    )
    assert any("x_before holds x one time before" in note for note in fit.notes)


def test_the_past_with_an_equation_of_its_own_is_a_cause_and_is_noted():
    model = held(("y_before", "x"), random=("y_before",))
    fit = bc.fit(model, panel(), draws=300, seed=1, progressbar=False)
    assert any("y_before holds y one time before" in note for note in fit.notes)
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    assert abs(float(effect.mean()) - B) < 0.1  # within one time, the past as it was


def wide(times=TIMES):
    """A variable for each time: the lagged array inside the model, unrolled."""
    with pm.Model(coords={"unit": [0]}) as model:
        b, rho, s = pm.Normal("b"), pm.Normal("rho", 0, 1), pm.HalfNormal("s", 1)
        before = None
        for t in range(1, times + 1):
            x = pm.Bernoulli(f"x_{t}", 0.4, dims="unit")
            mean = b * x if before is None else b * x + rho * before
            before = pm.Normal(f"y_{t}", mean, s, dims="unit")
    return model


def test_with_a_variable_for_each_time_an_effect_goes_through_the_times():
    truth = {"b": B, "rho": RHO, "s": 0.3}
    known = bc.truth(wide(), truth, bc.simulate(wide(), truth, units=UNITS, seed=1))
    once = bc.estimate(known, bc.ATE("x_2", "y_4"))
    assert np.isclose(float(once.mean()), B * RHO**2)
    on = {f"x_{t}": 1 for t in range(1, TIMES + 1)}
    always = bc.estimate(known, bc.Contrast(f"y_{TIMES}", on, dict.fromkeys(on, 0)))
    assert np.isclose(float(always.mean()), B * (1 - RHO**TIMES) / (1 - RHO))  # to 2.38


def test_the_times_are_fitted_in_closed_form():
    data = panel().pivot(index="unit", columns="time", values=["x", "y"])
    data.columns = [f"{v}_{t}" for v, t in data.columns]
    data = data.astype({f"x_{t}": int for t in range(1, TIMES + 1)})
    fit = bc.fit(wide(), data, seed=1, progressbar=False)
    assert set(fit.methods.values()) == {"conjugate (linear-Gaussian)"}
    on = {f"x_{t}": 1 for t in range(1, TIMES + 1)}
    effect = bc.estimate(fit, bc.Contrast(f"y_{TIMES}", on, dict.fromkeys(on, 0)))
    want = B * (1 - RHO**TIMES) / (1 - RHO)
    assert abs(float(effect.mean()) - want) < 4 * float(effect.draws.std())


def test_a_column_that_is_constant_but_for_rounding_holds_no_lag():
    """The end of a study at which most are censored, and the next number after it."""
    times = np.minimum(np.random.default_rng(1).weibull(1.3, 200) * 3, 5.0)
    ends = np.where(times == 5.0, 5.0, np.nextafter(5.0, np.inf))
    assert not is_lag(ends, times)
    data = {"time": times, "status": (times < 5).astype(int), "rx": np.tile([0, 1], 100)}
    design = bc.designs.survival(data, time="time", event="status", treatment="rx")
    assert bc.prior(design, draws=5, seed=1).sizes == {"unit": 200}
