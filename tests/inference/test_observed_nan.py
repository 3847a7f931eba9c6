"""NaN in ``observed=`` says what NaN in ``data=`` says.

Siblings looked at: families with one and several parameters, group indices, two unit-level dims,
broadcast parameters, censored and mixed outcomes, vectors, a covariate that other equations read,
discrete variables (left as PyMC has them), other data for such a model.
"""

from __future__ import annotations

import warnings

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.inference.conditioning.condition import condition
from bayescausal.inference.data.read import read_data
from bayescausal.model.structure.read import structure_of

N = 60
RNG = np.random.default_rng(6)
T = RNG.binomial(1, 0.5, N).astype(float)
Y = 2 * T + RNG.normal(size=N)
Y2 = np.c_[Y, -Y]
HOLES = np.where(np.arange(N) < 4, np.nan, Y)
HOLES2 = Y2.copy()
HOLES2[3, 1] = HOLES2[7, 0] = np.nan


def normal(mu, s, a, g):
    pm.Normal("y", mu, s, observed=HOLES, dims="unit")


FAMILIES = {
    "normal": normal,
    "log-normal": lambda mu, s, a, g: pm.LogNormal("y", mu, s, observed=np.exp(HOLES), dims="unit"),
    "student": lambda mu, s, a, g: pm.StudentT(
        "y", nu=4, mu=mu, sigma=s, observed=HOLES, dims="unit"
    ),
    "an index": lambda mu, s, a, g: pm.Normal("y", a[g], s, observed=HOLES, dims="unit"),
    "spread": lambda mu, s, a, g: pm.Normal("y", mu, s * pt.exp(mu), observed=HOLES, dims="unit"),
    "scalars": lambda mu, s, a, g: pm.Normal("y", a[0], s, observed=HOLES, dims="unit"),
    "two dims": lambda mu, s, a, g: pm.Normal(
        "y", mu[:, None] + a, s, observed=HOLES2, dims=("unit", "item")
    ),
    "broadcast": lambda mu, s, a, g: pm.Normal(
        "y", mu[:, None], s, observed=HOLES2, dims=("unit", "item")
    ),
    "censored": lambda mu, s, a, g: pm.Censored(
        "y", pm.Normal.dist(mu, s), lower=-9, upper=9, observed=HOLES, dims="unit"
    ),
    "mixture": lambda mu, s, a, g: pm.NormalMixture(
        "y", w=[0.5, 0.5], mu=pt.stack([mu, mu + 1], -1), sigma=s, observed=HOLES, dims="unit"
    ),
    "vector": lambda mu, s, a, g: pm.MvNormal(
        "y",
        mu[:, None] + a,
        np.eye(2),
        observed=np.where(np.arange(N)[:, None] < 3, np.nan, Y2),
        dims=("unit", "item"),
    ),
    "covariate": lambda mu, s, a, g: pm.Normal(
        "w", pm.Normal("y", mu, s, observed=HOLES, dims="unit"), 1, observed=Y, dims="unit"
    ),
}


def made(family: str) -> pm.Model:
    with (
        warnings.catch_warnings(action="ignore"),
        pm.Model(coords={"unit": range(N), "item": ["a", "b"]}) as model,
    ):
        t, g = pm.Data("t", T, dims="unit"), pm.Data("g", np.arange(N) % 2, dims="unit")
        b, s, a = pm.Normal("b"), pm.HalfNormal("s", 3), pm.Normal("a", 0, 5, dims="item")
        FAMILIES[family](b * t, s, a, g)
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_the_equation_is_whole_again_and_has_the_density_of_pymc_s_pair(family: str):
    model = made(family)
    structure, _, conformed, _ = read_data(model, None, "unit")
    assert not structure.imputed
    assert not structure.mixes()
    assert np.isnan(conformed.columns["y"]).sum() == conformed.missing["y"].sum() > 0
    known = condition(structure, conformed).model
    point = model.initial_point(random_seed=1)
    assert set(point) == set(known.initial_point())
    rng = np.random.default_rng(1)
    point = {k: v + 0.1 * rng.normal(size=np.shape(v)) for k, v in point.items()}
    assert known.compile_logp()(point) == pytest.approx(model.compile_logp()(point), rel=1e-12)
    assert bc.graph_of(model, unit_dims="unit").nodes["y"]["mixes"] == {}
    assert [v.name for v in model.free_RVs][-1].startswith(("y_", "a", "w"))  # not changed


def test_the_fit_is_that_of_the_same_nan_in_the_data():
    quick = {"draws": 500, "chains": 2, "seed": 1, "progressbar": False}
    here = bc.fit(made("normal"), **quick)
    with pm.Model(coords={"unit": [0]}) as model:
        t = pm.Data("t", [0.0], dims="unit")
        b, s = pm.Normal("b"), pm.HalfNormal("s", 3)
        pm.Normal("y", b * t, s, dims="unit")
    there = bc.fit(model, {"t": T, "y": HOLES}, **quick)
    for population in ("sample", "superpopulation"):
        question = bc.ATE("t", "y", population=population)
        one, other = bc.estimate(here, question), bc.estimate(there, question)
        assert one.mean() == pytest.approx(other.mean(), abs=0.25 * other.sd())
        assert one.sd() == pytest.approx(other.sd(), rel=0.25)
    assert not any("mixes" in n or "position" in n for n in here.notes)
    check = bc.refute(here, bc.ATE("t", "y"), tests="bootstrap", replicates=2, seed=1)
    assert np.isfinite(check.table["found"]).all()


def test_other_data_take_the_place_of_what_was_observed():
    quick = {"draws": 200, "chains": 2, "seed": 1, "progressbar": False}
    data = {"t": T, "g": np.arange(N) % 2, "y": Y}
    fit = bc.fit(made("normal"), data, **quick)
    assert not fit.missing
    assert any("other values in the data" in note for note in fit.notes)


def test_a_discrete_variable_with_empty_cells_stays_a_pair():
    with warnings.catch_warnings(action="ignore"), pm.Model(coords={"unit": range(4)}) as model:
        p = pm.Beta("p", 1, 1)
        pm.Bernoulli("x", p, observed=np.ma.masked_values([0, 1, -1, 1], -1), dims="unit")
    assert read_data(model, None, None)[0].imputed
    assert structure_of(model).imputed
