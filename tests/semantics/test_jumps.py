"""Slopes where the outcome jumps: exact, or refused.

The kind: a difference of two close worlds is taken for a derivative where the outcome is a step, so
that it measures which units lie next to the step. Looked at: comparisons, rounding, signs, integer
conversions; in the outcome, in a Deterministic and behind a mediator that is drawn; counts that
must be drawn; events counted in draws; quantiles; searches in tables, orders, numbers read as truth
values; steps inside a CustomDist; quotients whose denominator crosses 0; a threshold that draws put
on both sides of a common level. The step has the units of the treatment. What is continuous
although it compares (splines, rectified lines, ``maximum``) is answered, and so are thresholds that
a common level is away from.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.types import EstimandError, InterventionError

X = np.random.default_rng(1).normal(size=500)
TABLE = np.array([-1.0, 0.0, 2.0, 9.0])


def known_of(mean, **more):
    """X -> Y with a mean, for 500 units."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", mean(x), 1, dims="unit")
    return bc.truth(model, {}, {"x": X, "y": np.zeros_like(X), **more})


@pytest.mark.parametrize(
    ("mean", "where"),
    [
        (lambda x: 2 * (x > 0), "a comparison of x"),
        (lambda x: pt.switch(2 * x + 1 > 0.3, 5.0, x), "a comparison of x"),
        (lambda x: pt.floor(x), "rounding of x"),
        (lambda x: pt.sign(x), "a sign of x"),
        (lambda x: pt.cast(3 * x, "int64"), "a conversion to integers of x"),
        (lambda x: pt.cast(pt.maximum(x, 0), "bool"), "a conversion to truth values of x"),
        (lambda x: pt.switch(pt.maximum(x, 0), 2.0, 0.0), "a number read as a truth value of x"),
        (lambda x: pt.as_tensor(TABLE)[pt.searchsorted(TABLE, x)], "a search in a table of x"),
        (lambda x: 1.0 * pt.argsort(pt.argsort(x)), "a choice of the largest or an order of x"),
        (lambda x: pt.abs(x) / x, "a division by an expression that crosses 0 of x"),
    ],
)
def test_steps_are_refused(mean, where):
    """2 * 1(X > 0) has the average derivative 2 phi(0) = .80, and no unit shows it."""
    with pytest.raises(EstimandError, match=f"jumps with {where}") as error:
        bc.estimate(known_of(mean), bc.Slope("x", "y"))
    assert "treated=Shift(0.5), control=Shift(-0.5)" in str(error.value)


@pytest.mark.parametrize(
    "dist",
    [
        lambda mu, size: pm.Normal.dist(2 * (mu > 0), 1, size=size),
        lambda mu, size: 2 * (mu > 0) + pm.Normal.dist(0, 1, size=size),
        lambda mu, size: pm.math.exp(pt.floor(mu) * pm.Normal.dist(1, 0.1, size=size)),
    ],
)
def test_steps_inside_a_custom_distribution(dist):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.CustomDist("y", x, dist=dist, dims="unit")
    known = bc.truth(model, {}, {"x": X, "y": np.ones_like(X)})
    with pytest.raises(EstimandError, match=r"jumps with (a comparison|rounding) of x"):
        bc.estimate(known, bc.Slope("x", "y"))


def test_a_smooth_custom_distribution():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.CustomDist(
            "y", x, dist=lambda mu, size: mu**2 + pm.Normal.dist(0, 1, size=size), dims="unit"
        )
    known = bc.truth(model, {}, {"x": X, "y": np.ones_like(X)})
    assert bc.estimate(known, bc.Slope("x", "y")).mean() == pytest.approx(np.mean(2 * X))


def test_quotients_whose_denominator_keeps_its_sign():
    for mean, right in (
        (lambda x: 1 / (3 + x**2), -2 * X / (3 + X**2) ** 2),
        (lambda x: 1 / (x + 50), -1 / (X + 50) ** 2),
    ):
        found = bc.estimate(known_of(mean), bc.Slope("x", "y"))
        assert found.mean() == pytest.approx(np.mean(right), rel=1e-5)


@pytest.mark.parametrize("mean", [lambda x: 1 / x**2, lambda x: x**-2.0, lambda x: pt.log(x**2)])
def test_a_pole_at_the_level_is_no_slope_of_zero(mean):
    """Both sides of a pole are alike, and their difference would be 0; beside it is a slope."""
    known = known_of(mean)
    with pytest.raises(InterventionError, match=r"do\(x=0\) is impossible.* infinite at x=0"):
        bc.estimate(known, bc.Slope("x", "y", at=0.0))
    wanted = {"log": 1.0}.get(str(mean(pt.dscalar()).owner.op.scalar_op), -2 / 2.0**3)
    assert float(bc.estimate(known, bc.Slope("x", "y", at=2.0))) == pytest.approx(wanted, rel=1e-4)


def test_a_negative_power_is_a_quotient():
    """1 / x at .0001 has the slope -1e8; a step of .001 sd goes over the pole: +1e6."""
    with pytest.raises(EstimandError, match="crosses 0 of x"):
        bc.estimate(known_of(lambda x: x**-1.0), bc.Slope("x", "y", at=1e-4))


def test_a_step_that_is_not_small_beside_the_distance_to_a_pole_is_refused():
    """1 / x ** 2 at .0004 has the slope -3.1e10; a step of .001 sd goes over the pole: -1.2e9."""
    known, right = known_of(lambda x: 1 / x**2), -2 / 4e-4**3
    with pytest.raises(EstimandError, match=r"not small beside the distance.*step=9e-07"):
        bc.estimate(known, bc.Slope("x", "y", at=4e-4))
    found = bc.estimate(known, bc.Slope("x", "y", at=4e-4, step=1e-6))
    assert float(found.mean()) == pytest.approx(right, rel=1e-4)
    assert float(bc.estimate(known, bc.Slope("x", "y", at=0.1))) == pytest.approx(-2e3, rel=1e-3)


def test_a_threshold_that_the_draws_put_on_both_sides_of_a_level():
    """A change point c ~ Normal(2, 1): 1.25 was given at x = 2, by the draws next to it; far from
    all draws the slope is that of the line."""
    with pm.Model(coords={"unit": [0]}) as model:
        c = pm.Normal("c", 2, 1)
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", 2 * (x > c) + 3 * x, 1, dims="unit")
    prior = bc.prior(model, {"x": X, "y": X}, draws=200, seed=1)
    assert 2 < np.abs(prior.posterior["c"] - 2).max() < 20
    with pytest.raises(EstimandError, match="a comparison of x"):
        bc.estimate(prior, bc.Slope("x", "y", at=2.0))
    assert bc.estimate(prior, bc.Slope("x", "y", at=30.0)).mean() == pytest.approx(3.0)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e17])
@pytest.mark.parametrize("data", [True, False])
def test_the_step_has_the_units_of_the_treatment(unit, data):
    """d/dh E sigmoid((x + h) / unit): .001 was 1,000 sd of a treatment in millionths, and nothing
    beside a time in nanoseconds."""
    with pm.Model(coords={"unit": range(500)}) as model:
        x = pm.Normal("x", 0, unit, dims="unit")
        pm.Normal("y", pm.math.sigmoid(x / unit), 1, dims="unit")
    table = {"x": X * unit, "y": np.zeros_like(X)} if data else None
    found = bc.estimate(bc.truth(model, {}, table, draws=40, seed=1), bc.Slope("x", "y"), seed=1)
    z, weight = np.polynomial.hermite_e.hermegauss(60)
    p = 1 / (1 + np.exp(-X)) if data else 1 / (1 + np.exp(-z))
    right = np.average(p * (1 - p), weights=None if data else weight) / unit
    error = 1e-5 * right if data else 4 * found.draws.std() / np.sqrt(40)
    assert float(error) < 0.01 * right
    assert abs(found.mean() - right) < error


def test_the_remedy_is_exact():
    """E[2 (1(X + .5 > 0) - 1(X - .5 > 0))] is twice the share of units within a half of 0."""
    effect = bc.estimate(
        known_of(lambda x: 2 * (x > 0)),
        bc.ATE("x", "y", treated=bc.Shift(0.5), control=bc.Shift(-0.5)),
    )
    assert effect.mean() == pytest.approx(2 * np.mean(np.abs(X) < 0.5))


@pytest.mark.parametrize(
    ("mean", "derivative"),
    [
        (lambda x: pt.switch(x > 0, x**2, 0.0), lambda x: 2 * x * (x > 0)),
        (lambda x: pt.switch(2 * x + 1 > 0, 2 * x + 1, 0.0), lambda x: 2.0 * (2 * x + 1 > 0)),
        (lambda x: (x > 0.5) * (x - 0.5), lambda x: 1.0 * (x > 0.5)),
        (lambda x: (x < 3) * (x - 3), lambda x: 1.0 * (x < 3)),
        (lambda x: x * pt.sign(x), np.sign),
        (lambda x: pt.maximum(x, 0.2) + pt.abs(x), lambda x: (x > 0.2) + np.sign(x)),
    ],
)
def test_bends_are_answered(mean, derivative):
    """Two worlds a step of 1e-3 apart: exact but for the few units within a step of the bend."""
    effect = bc.estimate(known_of(mean), bc.Slope("x", "y", step=1e-5))
    assert np.min(np.abs(X[:, None] - [0, 0.5, -0.5, 0.2, 3])) > 1e-5
    assert effect.mean() == pytest.approx(np.mean(derivative(X)), rel=1e-5)


def test_a_spline_is_answered():
    data = {"x": X, "y": X**2}
    model = bc.model_from_formulas(["x ~ 1", "y ~ bs(x, df=5)"], data=data)
    values = dict.fromkeys(("b_x_Intercept", "sigma_x", "b_y_Intercept", "sigma_y"), 0.5)
    coefficients = np.arange(1.0, 6.0)
    [name] = [v.name for v in model.free_RVs if v.name not in {*values, "x", "y"}]
    known = bc.truth(model, {**values, name: coefficients}, data)
    worlds = bc.worlds(known, {"a": {"x": X + 1e-4}, "b": {"x": X - 1e-4}}, variables="y")[
        "y"
    ].values
    right = np.mean(worlds[0] - worlds[1]) / 2e-4
    assert bc.estimate(known, bc.Slope("x", "y")).mean() == pytest.approx(right, rel=1e-3)


def test_a_common_level_away_from_the_threshold():
    known = known_of(lambda x: 2 * (x > 0) + 3 * x)
    assert bc.estimate(known, bc.Slope("x", "y", at=2.0)).mean() == pytest.approx(3.0)
    with pytest.raises(EstimandError, match="a comparison of x"):
        bc.estimate(known, bc.Slope("x", "y", at=0.0))


def mediated(family, read):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        m = family(x)
        pm.Normal("y", read(m), 1, dims="unit")
    return bc.truth(model, {}, {"x": X, "m": np.ones_like(X, dtype=int), "y": np.zeros_like(X)})


def test_a_threshold_behind_a_drawn_mediator():
    known = mediated(lambda x: pm.Normal("m", x, 1, dims="unit"), lambda m: 2 * (m > 0))
    with pytest.raises(EstimandError, match="a comparison of m in the equation of 'y'"):
        bc.estimate(known, bc.Slope("x", "y"))


def test_a_count_that_is_drawn():
    """3 with a Monte Carlo error of .7 was given for 1.13."""
    known = mediated(lambda x: pm.Poisson("m", pt.exp(x / 2), dims="unit"), lambda m: 2 * m)
    with pytest.raises(EstimandError, match="the whole numbers of 'm'"):
        bc.estimate(known, bc.Slope("x", "y"))


def test_a_binary_mediator_is_summed_and_answered():
    """d/dh of 2 sigmoid(x + h), averaged."""
    p = 1 / (1 + np.exp(-X))
    for read in (
        lambda m: 2 * m,
        lambda m: pt.switch(pt.eq(m, 1), 2.0, 0.0),
        lambda m: 2 * (m > 0),
    ):
        known = mediated(lambda x: pm.Bernoulli("m", logit_p=x, dims="unit"), read)
        effect = bc.estimate(known, bc.Slope("x", "y"))
        assert effect.mean() == pytest.approx(np.mean(2 * p * (1 - p)), rel=1e-5)


def test_quantiles_and_events():
    known = known_of(lambda x: x**2)
    with pytest.raises(EstimandError, match="the one unit that stands at the quantile"):
        bc.estimate(known, bc.Slope("x", "y", functional=bc.Quantile(0.5)))
    effect = bc.estimate(known, bc.Slope("x", "y", functional=bc.Probability(above=1.0)))
    density = np.exp(-((1 - X**2) ** 2) / 2) / np.sqrt(2 * np.pi)
    assert effect.mean() == pytest.approx(np.mean(2 * X * density), rel=1e-4, abs=1e-6)


def test_inner_draws_of_a_slope_are_as_many_as_its_own_scale_needs():
    """M drawn, Y nonlinear: the error is small beside the slope, whatever the step."""
    known = mediated(lambda x: pm.Normal("m", x, 1, dims="unit"), lambda m: pt.sigmoid(3 * m))
    z = np.linspace(-8, 8, 4001)
    weight = np.exp(-(z**2) / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    p = 1 / (1 + np.exp(-3 * (X[:, None] + z)))
    right = np.mean((3 * p * (1 - p)) @ weight)
    effect = bc.estimate(known, bc.Slope("x", "y"))
    assert effect.mc_error < 0.01
    assert abs(effect.mean() - right) < 5 * effect.mc_error


@pytest.mark.parametrize(
    "dose",
    [
        lambda z: pm.Gamma("d", 3, pt.exp(-0.3 * z), dims="unit"),
        lambda z: pm.Weibull("d", 3, pt.exp(0.3 * z), dims="unit"),
        lambda z: pm.Uniform("d", 1, 1 + pt.exp(z), dims="unit"),
    ],
)
def test_a_slope_in_a_dose_of_fresh_units_of_any_family(dose):
    """y = 2 d: the slope is 2. The step is taken from doses drawn by their noise."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * dose(z) + z, 1, dims="unit")
    known = bc.truth(model, {"b": 2.0}, units=200, seed=1)
    found = bc.estimate(known, bc.Slope("d", "y", at=1.5))
    assert float(found) == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("drawn", [False, True])
def test_a_step_is_small_beside_the_least_of_positive_doses(drawn):
    """dy/dx of log x is 1 / x; a symmetric step h is wrong by (h / x)^2 / 3 of it at most."""
    dose = np.exp(np.linspace(-7, 7, 40))  # a thousandth of the sd is 80 times the least
    with pm.Model(coords={"unit": range(40)}) as model:
        laid = pm.LogNormal("x", 0, 2, dims="unit") if drawn else pm.Data("x", dose, dims="unit")
        pm.Normal("y", 2 * pm.math.log(laid), 1, dims="unit")
    fit = bc.truth(model, {}, pd.DataFrame({"x": dose, "y": 0.0}))
    found = float(bc.estimate(fit, bc.Slope("x", "y"), progressbar=False))
    assert found == pytest.approx(np.mean(2 / dose), rel=0.01**2)
    at = float(bc.estimate(fit, bc.Slope("x", "y", at=1e-4), progressbar=False))
    assert at == pytest.approx(2e4, rel=0.02**2)  # h is a hundredth of x, or a little more
