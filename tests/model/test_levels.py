"""A dim that tells outcomes apart is not taken for units, and a panel stays one.

Siblings looked at: coefficients of one dim, a matrix of coefficients, a non-centred prior, a
product through an index, outcomes stacked by hand, a binary outcome, generative and observed
models; and what must not be refused: panels with covariates along both dims, unit and time
intercepts, random slopes, a growth curve, pupils in schools.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.types import UnitDimsError

N = 300
RNG = np.random.default_rng(1)
T = RNG.binomial(1, 0.5, N).astype(float)
Y = np.c_[1.33 * T, 2.6 * T] + RNG.normal(size=(N, 2))
COORDS = {"unit": range(N), "item": ["a", "b"], "predictor": ["t"]}


def outcomes(kind: str, observed: bool = True) -> pm.Model:
    with pm.Model(coords=COORDS) as model:
        t = pm.Data("t", T, dims="unit")
        a = pm.Normal("a", 0, 5, dims="item")
        if kind == "vector":
            mu = a + pm.Normal("b", 0, 5, dims="item") * t[:, None]
        elif kind == "random treatment":
            x = pm.Bernoulli("x", 0.5, dims="unit", observed=T if observed else None)
            mu = a + pm.Normal("b", 0, 5, dims="item") * x[:, None]
        elif kind == "matrix":
            mu = a + t[:, None] @ pm.Normal("b", 0, 5, dims=("predictor", "item"))
        elif kind == "non-centred":
            z = pm.Normal("z", 0, 1, dims="item")
            b = pm.Deterministic("b", pm.Normal("m", 0, 5) + pm.HalfNormal("s") * z, dims="item")
            mu = a + b * t[:, None]
        elif kind == "index":
            g = pm.Data("g", T.astype(int), dims="unit")
            mu = a + pm.Normal("b", 0, 5, dims=("item", "predictor"))[:, 0][None, :] * pt.eq(
                g[:, None], 1
            )
        elif kind == "stacked":
            b = [pm.Normal(f"b{i}", 0, 5) for i in range(2)]
            mu = a + pt.stack([b[0] * t, b[1] * t], axis=1)
        elif kind == "binary":
            p = pm.math.invlogit(a + pm.Normal("b", 0, 5, dims="item") * t[:, None])
            pm.Bernoulli("y", p, observed=1 * (Y > 1) if observed else None, dims=("unit", "item"))
            return model
        pm.Normal("y", mu, 1, observed=Y if observed else None, dims=("unit", "item"))
    return model


@pytest.mark.parametrize("observed", [True, False])
@pytest.mark.parametrize(
    "kind",
    ["vector", "random treatment", "matrix", "non-centred", "index", "stacked", "binary"],
)
def test_outcomes_are_not_pooled_without_a_word(kind: str, observed: bool):
    model = outcomes(kind, observed)
    with pytest.raises(UnitDimsError) as caught:
        bc.graph_of(model)
    said = str(caught.value)
    for part in ("'item'", "unit_dims='unit'", "unit_dims=('unit', 'item')"):
        assert part in said
    with pytest.raises(UnitDimsError):
        bc.fit(model, None if observed else {"t": T, "y": Y}, progressbar=False)
    assert list(bc.graph_of(model, unit_dims="unit"))[-1] == "y"
    bc.graph_of(model, unit_dims=("unit", "item"))


def test_the_remedy_gives_an_effect_for_each_outcome():
    fit = bc.fit(outcomes("vector"), unit_dims="unit", draws=500, seed=1, progressbar=False)
    assert "b" in fit.structure.parameters
    got = bc.estimate(fit, bc.ATE("t", "y")).mean()
    expected = Y[T == 1].mean(0) - Y[T == 0].mean(0)  # least squares, nearly flat priors
    assert np.allclose(got, expected, atol=4 * np.sqrt(4 / N / 2000) + 0.01)


def panel(kind: str, observed: bool) -> pm.Model:
    n, k = 6, 4
    x = np.random.default_rng(2).normal(size=(n, k))
    seen = x if observed else None
    with pm.Model(coords={"unit": range(n), "time": range(k)}) as model:
        both = ("unit", "time")
        if kind == "growth":
            when = pm.Data("when", np.arange(k), dims="time")
            spread = pm.HalfNormal("spread")
            mu = pm.Normal("slope", 0, spread, dims="unit")[:, None] * when
        elif kind == "intercepts":
            t = pm.Data("t", np.ones(n), dims="unit")
            mu = t[:, None] + pm.Normal("u", dims="unit")[:, None] + pm.Normal("w", dims="time")
        else:
            v = pm.Data("x", x, dims=both) if kind == "data" else pm.Normal("x", dims=both)
            t = pm.Data("t", np.ones(n), dims="unit")
            effect = pm.Normal("effect", dims="time")
            slope = pm.Normal("slope", dims="unit")
            mu = effect * t[:, None] + slope[:, None] * v
            if observed and kind == "variable":
                model = pm.observe(model, {"x": x})
                with model:
                    pm.Normal("y", model["x"] * model["effect"], 1, dims=both, observed=seen)
                return model
        pm.Normal("y", mu, 1, dims=both, observed=seen)
    return model


@pytest.mark.parametrize("observed", [True, False])
@pytest.mark.parametrize("kind", ["growth", "intercepts", "data", "variable"])
def test_a_panel_is_read_as_one(kind: str, observed: bool):
    model = panel(kind, observed)
    assert bc.graph_of(model).nodes["y"]["dims"] == ("unit", "time")
    assert set(bc.graph_of(model).nodes) & {"x", "when", "t"}


@pytest.mark.parametrize("timed", [False, True])
def test_entries_that_may_be_different_outcomes_are_said(timed):
    """A hierarchy over items looks like a growth curve: nothing but the outcome lies along it."""
    with pm.Model(coords={"item": ["a", "b"], "unit": range(60)}) as model:
        t = pm.Bernoulli("t", 0.5, dims="unit")
        wave = pm.Data("wave", [0.0, 1.0], dims="item") if timed else np.zeros(2)
        mu, tau = pm.Normal("mu"), pm.HalfNormal("tau")
        b = pm.Normal("b", mu, tau, dims="item")
        pm.Normal("y", b[:, None] * t[None, :] + wave[:, None], 1, dims=("item", "unit"))
    rng = np.random.default_rng(0)
    data = {"t": rng.integers(0, 2, 60), "y": rng.normal(size=(2, 60))}
    data |= {"wave": [0.0, 1.0]} if timed else {}
    draws = {"mu": np.zeros((1, 3)), "tau": np.ones((1, 3)), "b": np.array([[[1.0, 3.0]] * 3])}
    effect = bc.estimate(bc.Fit(model, draws, data), bc.ATE("t", "y"))
    assert effect.mean() == pytest.approx(2.0)  # the average of effects of 1 and 3
    said = [note for note in effect.notes if "unit_dims='unit' gives an effect for each" in note]
    assert len(said) == (not timed)
    each = bc.estimate(bc.Fit(model, draws, data, unit_dims="unit"), bc.ATE("t", "y"))
    np.testing.assert_allclose(each.mean(), [1.0, 3.0])
