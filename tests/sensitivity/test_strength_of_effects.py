"""The robustness value of an Effect, strengths as they are said, grids around zero.

Kinds of fault, with their siblings:

* A function that is listed for effects asks for what an effect does not have. Looked at: `e_value`
  (takes effects), `hidden_confounder` (takes fits and questions).
* A number of a sentence without its sign, or rounded past what it is: the tipping point and the
  strength beside it. Looked at: the largest strength of a grid of negative ones (was 0), the
  benchmarks (signed where they are compared, sizes where they are sizes).
* A grid whose middle is 1e-16: default grids, grids that a user makes by linspace, grids of no
  width.
"""

from __future__ import annotations

import dataclasses
import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayescausal as bc
from bayescausal.sensitivity.confounding.benchmarks import default_strengths
from bayescausal.sensitivity.confounding.hidden import _values
from bayescausal.types import EstimandError

ATE = bc.ATE("x", "y")


def linear():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        x = pm.Normal("x", pm.Normal("a", 0, 3) * z, pm.HalfNormal("s", 3), dims="unit")
        mu = pm.Normal("b", 0, 3) * x + pm.Normal("c", 0, 3) * z
        pm.Normal("y", mu, pm.HalfNormal("t", 3), dims="unit")
    return model


def table(sign=1.0, n=400):
    rng = np.random.default_rng(4)
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    return {"x": x, "y": sign * (0.3 * x + 0.4 * z + rng.normal(size=n)), "z": z}


def fitted(sign=1.0):
    return bc.fit(linear(), table(sign), draws=500, chains=2, seed=1, progressbar=False)


@pytest.fixture(scope="module")
def fit():
    return fitted()


def least_squares(data):
    """t and df of x in y ~ x + z, no intercept, as the model has none."""
    design = np.column_stack([data["x"], data["z"]])
    beta, rss = np.linalg.lstsq(design, data["y"])[:2]
    df = len(design) - 2
    se = np.sqrt(rss[0] / df * np.linalg.inv(design.T @ design)[0, 0])
    return beta[0] / se, df


def cinelli_hazlett(t, df):
    f = abs(t) / np.sqrt(df)
    return (np.sqrt(f**4 + 4 * f**2) - f**2) / 2


def test_of_an_effect_it_is_that_of_its_fit(fit):
    effect = bc.estimate(fit, ATE)
    found = bc.robustness_value(effect)
    right = cinelli_hazlett(*least_squares(table()))
    # the posterior mean of f is the t ratio's up to O(1 / n) and 1,000 draws: sd .05 / sqrt(1000)
    assert float(found) == pytest.approx(right, abs=0.02)
    assert (found.draws == bc.robustness_value(fit, ATE).draws).all()
    assert (found.draws == bc.robustness_value(fit, effect).draws).all()
    half = bc.robustness_value(effect, q=0.5)
    assert (half.draws < found.draws).all()


def test_with_degrees_of_freedom_mean_over_sd_is_the_t(fit):
    effect = bc.estimate(fit, ATE)
    t, df = least_squares(table())
    found = bc.robustness_value(effect, df=df)
    assert found == pytest.approx(float(bc.robustness_value(effect.mean() / effect.sd(), df=df)))
    assert found == pytest.approx(cinelli_hazlett(t, df), rel=0.1)  # sd of 1,000 draws: 2%
    assert bc.robustness_value(effect, df=df, alpha=0.05) < found


def test_a_treatment_without_an_equation_says_what_to_do():
    """The residuals of the treatment are not in a model that holds it as pm.Data; its t is."""
    data = pd.DataFrame(table())
    model = bc.model_from_formulas(["y ~ x + z"], data=data)
    own = bc.fit(model, data, draws=500, chains=2, seed=1, progressbar=False)
    effect = bc.estimate(own, ATE)
    with pytest.raises(EstimandError, match=r"'x' an equation.*robustness_value\(effect, df="):
        bc.robustness_value(effect)
    t, df = least_squares(table())
    assert bc.robustness_value(effect, df=df) == pytest.approx(cinelli_hazlett(t, df), rel=0.15)


def test_what_varies_beyond_a_mediator_is_said():
    data = pd.DataFrame(table())
    data["m"] = data.x + np.random.default_rng(1).normal(size=len(data))
    model = bc.model_from_formulas(["x ~ z", "m ~ x", "y ~ m + x + z"], data=data)
    own = bc.fit(model, data, draws=100, chains=2, seed=1, progressbar=False)
    found = bc.robustness_value(bc.estimate(own, ATE))
    assert "of x and of y given m (on which it does not act)" in found.notes[0]


def test_an_effect_without_its_fit_says_what_is_missing(fit):
    effect = bc.estimate(fit, ATE)
    copy = dataclasses.replace(effect)
    for lone in (copy, bc.Effect([0.1, 0.2]), -effect):
        with pytest.raises(EstimandError, match=r"robustness_value\(fit, effect\)"):
            bc.robustness_value(lone)
    assert bc.robustness_value(copy, df=398) > 0
    draws = xr.DataArray(np.zeros((1, 5, 2)), dims=("chain", "draw", "z"))
    with pytest.raises(EstimandError, match="several cells"):
        bc.robustness_value(bc.Effect(draws))
    with pytest.raises(EstimandError, match="an effect, which holds its own question"):
        bc.robustness_value(effect, ATE)
    with pytest.raises(EstimandError, match=r"'ratio'.*E-value"):
        bc.robustness_value(bc.Effect([1.1, 1.2], bc.ATE("x", "y", scale="ratio")), df=100)
    with pytest.raises(EstimandError, match="no sd"):
        bc.robustness_value(bc.Effect([1.0, 1.0]), df=100)


def test_a_fit_is_not_kept_alive_by_its_effects():
    rng = np.random.default_rng(1)
    trace = {n: np.abs(rng.normal(size=(1, 10))) for n in ("a", "b", "c", "s", "t")}
    own = bc.Fit(linear(), trace, table())
    effect = bc.estimate(own, ATE)
    held = weakref.ref(own)
    del own
    gc.collect()
    if held() is None:  # whatever else holds it is not the effect
        with pytest.raises(EstimandError, match="draws alone"):
            bc.robustness_value(effect)


# ------------------------------------------------------------------------------ sentences


@pytest.mark.parametrize(("sign", "gamma"), [(1.0, -0.625), (-1.0, 0.625)])
def test_the_tipping_point_has_its_sign_and_the_strength_its_digits(sign, gamma):
    """Omitted-variable bias: delta = effect (gamma^2 + sd_x^2) / gamma moves the mean to 0. The
    grid is one that crashed, and one of negative strengths."""
    tops = np.random.default_rng(1).uniform(0.9, 0.96, 300).round(3)
    top = next(t for t in tops if np.linspace(-t, t, 7)[3] != 0)
    found = bc.hidden_confounder(
        fitted(sign), ATE, gamma=gamma, delta=np.linspace(-top, top, 7), draws=50, seed=2
    )
    data = table(sign)
    rest = data["x"] - data["z"] * (data["z"] @ data["x"]) / (data["z"] @ data["z"])
    wanted = float(found.effect) * rest.var() / gamma
    tip = found.tipping_point.loc[gamma, "mean"]
    assert tip == pytest.approx(wanted, rel=0.08)
    assert tip < 0
    assert f"adds {gamma:.3f} to x must add {tip:.2g} to y" in found.sentence()
    assert found.surface["delta"].values[3] == 0.0
    assert len(found.surface["delta"]) == 7


# ---------------------------------------------------------------------------------- grids


def test_default_grids_hold_zero_whatever_their_range():
    """Of linspace(-top, top, 7) one in eight has a middle of 1e-16."""
    tops = np.random.default_rng(1).uniform(0.01, 5, 300)
    assert sum(np.linspace(-t, t, 7)[3] != 0 for t in tops) > 10
    for top in tops:
        allowed = SimpleNamespace(gamma=np.inf, delta=lambda g: np.inf)
        where = SimpleNamespace(
            links=("logit", "logit"), treatment="x", outcome="y", sd=1.0, kind="normal"
        )
        strengths = pd.DataFrame({"on_treatment": [50 * top], "on_outcome": [50 * top]})
        first = default_strengths(where, None, strengths, allowed)
        second = default_strengths(where, None, strengths, allowed, first)
        assert 0.0 in second
        assert 0.0 in first
        assert (len(first), len(second)) == (5, 7)
        np.testing.assert_array_equal(second, -second[::-1])
        own = _values(np.linspace(-top, top, 7), "delta", None)
        assert len(own) == 7
        assert own[3] == 0.0
        assert not np.signbit(own[3])
    assert _values(0, "gamma", None).tolist() == [0.0]
