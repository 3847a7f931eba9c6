"""Slopes and levels at which an equation has a kink or a pole."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.types import EstimandError, InterventionError

N = 60
#: From -1.5 to 1.5 in steps of .05, without 0: no unit is next to a kink.
X = np.delete(np.linspace(-1.5, 1.5, N + 1), N // 2)


def known(f):
    with pm.Model(coords={"unit": range(N)}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", pm.Normal("b") * f(x), 1, dims="unit")
    return bc.truth(model, {"b": 2.0}, {"x": X, "y": np.zeros(N)})


@pytest.mark.parametrize(
    "f",
    [
        pt.abs,
        lambda x: pt.sqrt(pt.abs(x)),
        lambda x: pt.sqrt(x**2),
        lambda x: x * pt.log(pt.abs(x)),
        lambda x: pt.sign(x) * pt.abs(x) ** (1 / 3),
        lambda x: pt.maximum(x, 0),
    ],
)
def test_no_slope_at_a_kink(f):
    with pytest.raises(EstimandError, match="kink"):
        bc.estimate(known(f), bc.Slope("x", "y", at=0))


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda x: pt.log(pt.abs(x)), 1 / X),
        (lambda x: pt.sqrt(pt.abs(x)), np.sign(X) * 0.5 / np.sqrt(np.abs(X))),
        (lambda x: pt.sqrt(x**2 + 1), X / np.sqrt(X**2 + 1)),
    ],
)
def test_the_slope_beside_a_kink_is_the_average_derivative(f, slope):
    fit = known(f)
    found = float(bc.estimate(fit, bc.Slope("x", "y")).mean())
    assert found == pytest.approx(2 * slope.mean(), abs=1e-3)  # the error is of the step squared
    right = X > 0
    found = float(bc.estimate(fit, bc.Slope("x", "y", given={"x": (0, None)})).mean())
    assert found == pytest.approx(2 * slope[right].mean(), rel=1e-3)


def test_who_is_not_asked_about_may_stand_at_a_pole():
    x = np.r_[0.0, X[1:]]
    with pm.Model(coords={"unit": range(N)}) as model:
        own = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", pm.Normal("b") * pt.abs(own), 1, dims="unit")
    fit = bc.truth(model, {"b": 2.0}, {"x": x, "y": np.zeros(N)})
    assert float(bc.estimate(fit, bc.Slope("x", "y", given={"x": (0.01, None)})).mean()) == (
        pytest.approx(2.0)
    )
    with pytest.raises(EstimandError, match=r"kink|crosses 0"):
        bc.estimate(known(lambda x: 1 / (x - 0.0501)), bc.Slope("x", "y"))
    far = bc.Slope("x", "y", given={"x": (0.5, None)})
    found = float(bc.estimate(known(lambda x: 1 / (x - 0.0501)), far).mean())
    assert found == pytest.approx(np.mean(-2 / (X[X >= 0.5] - 0.0501) ** 2), rel=1e-3)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x / pt.abs(x),
        lambda x: 1 + pt.exp(x) * (x / pt.abs(x)) + x,
        lambda x: 1 / pt.abs(x),
    ],
)
def test_a_quotient_by_an_absolute_value_is_not_defined_at_0(f):
    fit = known(f)
    for asked in (
        bc.Expected("y", {"x": 0.0}),
        bc.ATE("x", "y", treated=1, control=0),
        bc.Slope("x", "y", at=0),
    ):
        with pytest.raises(InterventionError, match="equation of 'y' is not defined there"):
            bc.estimate(fit, asked)


def test_a_guarded_quotient_is_defined_at_0():
    fit = known(lambda x: pt.switch(pt.eq(x, 0), 0, x / pt.abs(x)))
    assert float(bc.estimate(fit, bc.Expected("y", {"x": 0.0})).mean()) == 0
    assert float(bc.estimate(fit, bc.ATE("x", "y", treated=1, control=0)).mean()) == 2


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda x: pt.log(pt.abs(x)), lambda x: 1 / x),
        (lambda x: pt.log(x**2), lambda x: 2 / x),
        (lambda x: pt.abs(x) ** -0.5, lambda x: -0.5 * np.sign(x) / abs(x) ** 1.5),
        (lambda x: 1 / pt.abs(x), lambda x: -np.sign(x) / x**2),
        (lambda x: 1 / x**2, lambda x: -2 / x**3),
    ],
)
def test_a_unit_at_a_pole_that_is_alike_on_both_sides_has_no_slope(f, slope):
    x = np.r_[0.0, X[1:]]
    with pm.Model(coords={"unit": range(N)}) as model:
        own = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", pm.Normal("b") * f(own), 1, dims="unit")
    fit = bc.truth(model, {"b": 2.0}, {"x": x, "y": np.zeros(N)})
    for given in ({}, {"given": {"x": (-0.2, 0.2)}}):
        with pytest.raises(EstimandError, match="kink or a pole"):
            bc.estimate(fit, bc.Slope("x", "y", **given))
    found = float(bc.estimate(fit, bc.Slope("x", "y", given={"x": (0.2, None)})).mean())
    assert found == pytest.approx(2 * slope(x[x > 0.19]).mean(), rel=1e-3)
