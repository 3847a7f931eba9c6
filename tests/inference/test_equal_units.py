"""Latent strata of equal units: against enumeration, and the trial of vitamin A.

Sommer and Zeger's table: 23,682 children, six kinds of rows. The complier effect as published with
the counts (Imbens and Rubin 1997): 3.2 per thousand, standard deviation 1.1.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.inference.conditioning.remainder import Remainder, open_remainder
from bayescausal.inference.data.read import read_data
from bayescausal.inference.marginalize import marginal
from bayescausal.inference.marginalize.marginal import marginalise

#: assigned, received, survived, children
TABLE = [
    (0, 0, 0, 74),
    (0, 0, 1, 11514),
    (1, 0, 0, 34),
    (1, 0, 1, 2385),
    (1, 1, 0, 12),
    (1, 1, 1, 9663),
]
NAMES = ["assigned", "received", "survived"]


def children(share: float = 1.0) -> pd.DataFrame:
    rows = [(z, d, y) for z, d, y, n in TABLE for _ in range(max(round(n * share), 1))]
    return pd.DataFrame(rows, columns=NAMES)


def strata(n: int) -> pm.Model:
    """One-sided noncompliance: a child is a complier or never takes; exclusion is in the arrows."""
    with pm.Model(coords={"child": range(n), "type": ["never", "complier"]}) as model:
        share = pm.Dirichlet("share", np.ones(2), dims="type")
        kind = pm.Categorical("kind", share, dims="child")
        assigned = pm.Bernoulli("assigned", 0.5, dims="child")
        received = pm.Bernoulli("received", pt.eq(kind, 1) * assigned * 1.0, dims="child")
        p = pm.Beta("p", 1, 1, shape=(2, 2))
        pm.Bernoulli("survived", p[kind, received], dims="child")
    return model


@pytest.fixture(scope="module")
def fit() -> bc.Fit:
    return bc.fit(strata(len(children())), children(), seed=1, draws=500, progressbar=False)


def test_vitamin_a_is_fitted_by_kind(fit):
    assert "23,682 units of 6 distinct kinds are summed up by kind" in " ".join(fit.notes)
    assert "nuts" not in fit.methods.values()
    p = fit.posterior["p"].values.reshape(-1, 2, 2)
    effect = p[:, 1, 1] - p[:, 1, 0]
    assert effect.mean() == pytest.approx(3.226e-3, abs=1.5e-4)
    assert effect.std() == pytest.approx(1.144e-3, rel=0.08)
    assert float(fit.posterior["share"].values[..., 1].mean()) == pytest.approx(
        9675 / (9675 + 2419), abs=3e-4
    )


def test_types_are_drawn_back_from_their_conditional(fit):
    data = children()
    kind = fit.posterior["kind"].values.reshape(-1, len(data))
    z, d, y = (data[n].to_numpy() for n in NAMES)
    assert np.all(kind[:, (z == 1) & (d == 1)] == 1)
    assert np.all(kind[:, (z == 1) & (d == 0)] == 0)
    p = fit.posterior["p"].values.reshape(-1, 2, 2)[:, :, 0]
    share = fit.posterior["share"].values.reshape(-1, 2)
    for value in (0, 1):
        joint = share * (p if value else 1 - p)
        wanted = joint[:, 1] / joint.sum(axis=1)
        open_ = (z == 0) & (y == value)
        seen = kind[:, open_].mean(axis=1)
        se = np.sqrt(np.mean(wanted * (1 - wanted)) / open_.sum() / len(wanted))
        assert seen.mean() == pytest.approx(wanted.mean(), abs=5 * se)


def test_the_density_by_kind_is_that_of_the_rows(monkeypatch):
    """At random points, with continuous covariates of few values and a latent with three states."""
    n = 300
    rng = np.random.default_rng(3)
    x = rng.integers(0, 3, n) / 2.0
    with pm.Model(coords={"unit": range(n)}) as model:
        column = pm.Data("x", x, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b", shape=3)
        kind = pm.Categorical(
            "kind",
            pm.math.softmax(pt.stack([0 * column, a * column, column], axis=-1), axis=-1),
            dims="unit",
        )
        pm.Poisson("y", pt.exp(b[kind] + 0.1 * column), dims="unit")
    structure, _, conformed, _ = read_data(model, {"x": x, "y": rng.integers(0, 3, n)}, None)
    conditioned = open_remainder(structure, conformed, Remainder()).conditioned
    short = marginalise(structure, conditioned)
    assert "300 units of 9 distinct kinds" in short.notes[0]
    monkeypatch.setattr(marginal, "equal_units", lambda *_: None)
    whole = marginalise(structure, conditioned)
    values = [m.model.compile_logp(mode="FAST_COMPILE") for m in (short, whole)]
    for _ in range(3):
        point = {"a": rng.normal(), "b": rng.normal(size=3)}
        one, two = (f(point) for f in values)
        assert float(one) == pytest.approx(float(two), rel=1e-12)
        rows = [m.groups[0].probabilities(point) for m in (short, whole)]
        np.testing.assert_allclose(rows[0], rows[1], atol=1e-12)


def test_units_that_differ_keep_their_rows():
    n = 300
    x = np.random.default_rng(3).normal(size=n)
    with pm.Model(coords={"unit": range(n)}) as model:
        column = pm.Data("x", x, dims="unit")
        b = pm.Normal("b")
        kind = pm.Bernoulli("kind", 0.3, dims="unit")
        pm.Normal("y", b * kind + column, 1, dims="unit")
    structure, _, conformed, _ = read_data(model, {"x": x, "y": x}, None)
    found = marginalise(structure, open_remainder(structure, conformed, Remainder()).conditioned)
    assert found.groups[0].code is None
    assert not found.short
