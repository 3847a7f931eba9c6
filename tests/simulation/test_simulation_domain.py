"""A simulation, a population, a fit: where an equation is not defined, it is named.

The kind: NaN is drawn, or a count that is made of it, and the table looks like any other. Looked
at: logarithms of 0 and below, roots, 0 / 0, indexes, parameters outside their range; of data, of
parameters, of variables that are drawn, through a named Deterministic; for families with NaN and
for those that have none; and what a condition guards, or an infinite step that ends finite.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.simulation.repeat import Repeater
from bayescausal.types import DataError, InterventionError, NotFiniteError, ParameterError

UNITS = {"unit": range(4)}
GOOD, ZERO, BELOW = [4.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0], [-1.0, 1.0, 2.0, 3.0]
STEPS = {
    "log(x)": pt.log,
    "sqrt(x)": pt.sqrt,
    "a division by x": lambda x: (x - 4.0) * (1 / x),
}


def outcome(family, eta):
    if family == "normal":
        pm.Normal("y", eta, 1, dims="unit")
    elif family == "bernoulli":
        pm.Bernoulli("y", logit_p=eta, dims="unit")
    elif family == "categorical":
        pm.Categorical("y", p=pt.stack([pt.sigmoid(eta), pt.sigmoid(-eta)], axis=-1), dims="unit")
    else:
        pm.Poisson("y", pt.exp(eta), dims="unit")


def of_data(step, family="normal"):
    with pm.Model(coords=UNITS) as model:
        x = pm.Data("x", np.ones(4), dims="unit")
        outcome(family, pm.Normal("b") + step(x))
    return model


@pytest.mark.parametrize("family", ["normal", "bernoulli", "categorical", "poisson"])
@pytest.mark.parametrize("step", ["log(x)", "sqrt(x)"])
def test_columns_at_which_an_equation_is_not_defined(step, family):
    """It gave NaN, or a 0 that looks like any other."""
    model = of_data(STEPS[step], family)
    wanted = rf"'y' is not defined for the data: {step[:-2]}x.* is NaN at x=-1".replace("(", r"\(")
    with pytest.raises(DataError, match=wanted):
        bc.simulate(model, {"b": 0.5}, data={"x": BELOW}, seed=1)
    assert np.all(model["x"].get_value() == 1)
    assert len(bc.simulate(model, {"b": 0.5}, data={"x": GOOD}, seed=1)) == 4


def test_infinite_values_are_refused_where_they_stay():
    """log(0) is the mean of a normal variable, and a probability or a mean of 0 elsewhere."""
    for family in ("normal", "bernoulli", "poisson"):
        model = of_data(pt.log, family)
        if family == "normal":
            with pytest.raises(DataError, match=r"log\(x\) is infinite at x=0"):
                bc.simulate(model, {"b": 0.5}, data={"x": ZERO}, seed=1)
        else:
            table = bc.simulate(model, {"b": 0.5}, data={"x": ZERO}, seed=1)
            assert table["y"].to_numpy()[0] == 0
    with pytest.raises(DataError, match=r"a division by .*x is infinite at x=0"):
        bc.simulate(of_data(STEPS["a division by x"]), {"b": 0}, data={"x": ZERO}, seed=1)
    guarded = of_data(lambda x: pt.switch(x > 0, pt.log(x), 0.0))
    assert np.isfinite(bc.simulate(guarded, {"b": 0}, data={"x": BELOW}, seed=1)["y"]).all()


def drawn(inside, family="normal", named=False):
    """Y reads log(inside(x, a)) of a drawn x and a parameter a."""
    with pm.Model(coords=UNITS) as model:
        x, a = pm.Normal("x", 0, 1, dims="unit"), pm.Normal("a")
        eta = pt.log(inside(x, a))
        outcome(family, pm.Deterministic("eta", eta, dims="unit") if named else eta)
    return model


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("family", ["normal", "bernoulli"])
def test_parameters_and_drawn_values(family, named):
    equation = "eta" if named else "y"
    model = drawn(lambda x, a: a + 0 * x, family, named)
    with pytest.raises(ParameterError, match=rf"of '{equation}' .*log\(.*\) is NaN at a=-1"):
        bc.simulate(model, {"a": -1}, seed=1)
    own = drawn(lambda x, a: x + a, family, named)
    for simulate in (bc.simulate, lambda m, p, seed: Repeater(m).draw(p, seed)):
        with pytest.raises(
            ParameterError, match=rf"of '{equation}' .*log\(.*\) is NaN at a=0, x=-"
        ):
            simulate(own, {"a": 0.0}, seed=1)
        assert np.isfinite(simulate(own, {"a": 9.0}, seed=1)["y"]).all()
    with pytest.raises(InterventionError, match=r"do\(x=-10\) is impossible: .*is NaN at"):
        bc.simulate(own, {"a": 9.0}, do={"x": -10.0}, seed=1)


def test_what_cannot_be_drawn_is_named():
    """A probability of 2, a mean of NaN, an index beyond its table: errors of NumPy."""
    with pm.Model(coords=UNITS) as model:
        x, b = pm.Data("x", np.array(GOOD), dims="unit"), pm.Normal("b")
        pm.Binomial("y", 3, b * x, dims="unit")
    with pytest.raises(ParameterError, match=r"p <= 1 does not hold at b=0\.5, x=4"):
        bc.simulate(model, {"b": 0.5}, seed=1)
    with pm.Model(coords=UNITS) as model:
        g = pm.Data("g", np.array([0, 1, 2, 1]), dims="unit")
        pm.Normal("y", pm.Normal("a", shape=2)[g], 1, dims="unit")
    with pytest.raises(
        DataError, match=r"it reads entry 2 of a.*, which has entries 0 to 1, at g=2"
    ):
        bc.simulate(model, {"a": [0.0, 1.0]}, seed=1)


@pytest.mark.parametrize("values", [ZERO, BELOW])
def test_a_population_names_it_too(values):
    """It said "1 of 1 draws are NaN or infinite"."""
    with pm.Model(coords=UNITS) as model:
        x, b = pm.Data("x", np.ones(4), dims="unit"), pm.Normal("b")
        t = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Normal("y", b * pt.log(x) + t, 1, dims="unit")
    data = {"x": values, "t": [0, 1, 0, 1], "y": [0.0, 1.0, 0.0, 1.0]}
    wanted = rf"of 'y' is not defined for the data: log\(x\) is .* at x={values[0]:g}\."
    for known in (bc.truth(model, {"b": 1.0}, data), bc.prior(model, data, draws=5, seed=1)):
        with np.errstate(invalid="ignore"), pytest.raises(DataError, match=wanted):
            bc.estimate(known, bc.ATE("t", "y"))
    # what is asked at levels where it is defined is answered
    assert float(
        bc.estimate(bc.truth(model, {"b": 1.0}, data), bc.ATE("x", "y", treated=np.e, control=1.0))
    ) == pytest.approx(1.0)


@pytest.mark.parametrize("values", [ZERO, BELOW])
def test_a_fit_names_it_too(values):
    """It named y, and the sampler's start."""
    data = {"x": values, "y": [0.0, 1.0, 0.0, 1.0]}
    wanted = rf"log\(x\) is .* at x={values[0]:g}\."
    with np.errstate(invalid="ignore"), pytest.raises(DataError, match=wanted):
        bc.fit(of_data(pt.log), data, chains=1, draws=5, tune=5, seed=1, progressbar=False)


@pytest.mark.parametrize(("a", "how"), [(0.0, "infinite"), (-1.0, "NaN")])
def test_a_population_without_data(a, how):
    with pm.Model(coords=UNITS) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", pt.log(pm.Normal("a")) + x, 1, dims="unit")
    known = bc.truth(model, {"a": a}, seed=1)
    wanted = rf"of 'y' .*log\(.*\) is {how} at a={a:g}"
    with np.errstate(invalid="ignore"), pytest.raises(ParameterError, match=wanted):
        bc.estimate(known, bc.ATE("x", "y"))


def test_numbers_that_are_not_finite_for_another_reason_stay_as_they_are_said():
    with pytest.raises(NotFiniteError, match="1 of 2 draws are NaN or infinite"):
        bc.Effect(draws=np.array([1.0, np.nan]), estimand=bc.ATE("x", "y"))


@pytest.mark.parametrize("labels", [(1, 2, 3), (2, 0, 1), (10, 20, 30), ("c", "a", "b")])
@pytest.mark.parametrize("given", ["its order", "sorted", "text"])
def test_labels_of_a_table_point_at_the_entries_that_a_fit_takes(labels, given):
    """Categories 2, 0, 1 of the model's groups were taken for the entries 2, 0 and 1."""
    with pm.Model(coords={"unit": [0], "group": labels}) as model:
        g = pm.Data("g", [0], dims="unit")
        pm.Normal("y", pm.Normal("a", dims="group")[g], 1e-9, dims="unit")
    held = [labels[i] for i in (0, 1, 1, 0)]
    column = pd.Categorical(held, categories=labels if given == "its order" else None)
    data = pd.DataFrame({"g": held if given == "text" else column})
    if given == "text" and not isinstance(labels[0], str):  # plain numbers are entries
        data["g"] = [0, 1, 1, 0]
    known = {"a": [5.0, 7.0, 9.0]}
    assert bc.simulate(model, known, data=data, seed=1)["y"].round(6).tolist() == [5, 7, 7, 5]
    fit = bc.truth(model, known, data.assign(y=0.0))
    assert float(bc.estimate(fit, bc.Expected("y", {"g": bc.Shift(0)}))) == pytest.approx(6.0)
