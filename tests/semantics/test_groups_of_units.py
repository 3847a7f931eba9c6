"""Subgroups of units by what is known of their group: ATT of pupils of a treatment of schools.

The kind of fault: "cannot be told" where the model holds the index that tells. Siblings that were
looked at: ATT, ATU, `given=` (values, ranges, functions), `by=`, either order of the unit dims,
posterior draws; two indices to one dim, and none, are still refused.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import EstimandError

OF = np.repeat(np.arange(4), [1, 2, 3, 6])
X = np.array([1, 0, 1, 0])
SIZE = np.array([10.0, 20.0, 30.0, 40.0])
W = np.random.default_rng(1).normal(size=12)


def schools(unit_dims=("school", "pupil"), second=False, index=True, draws=1):
    with pm.Model(coords={"school": range(4), "pupil": range(12)}) as model:
        of = pm.Data("of", OF, dims="pupil")
        first = pm.Data("first", OF[::-1].copy(), dims="pupil")
        size = pm.Data("size", SIZE, dims="school")
        b = pm.Normal("b")
        x = pm.Bernoulli("x", pm.math.sigmoid(size / 20 - 1), dims="school")
        w = pm.Normal("w", 0, 1, dims="pupil")
        mu = b * x[of] * w if index else b * x.mean() * w
        mu = mu + 0.1 * size[first] if second else mu + 0.0 * first
        pm.Normal("y", mu, 1, dims="pupil")
    data = {"of": OF, "first": OF[::-1], "size": SIZE, "x": X, "w": W, "y": np.zeros(12)}
    return bc.truth(model, {"b": 1.0}, data, draws=draws, seed=1, unit_dims=unit_dims)


@pytest.mark.parametrize("unit_dims", [("school", "pupil"), ("pupil", "school")])
def test_pupils_of_treated_schools(unit_dims):
    """The effect on a pupil is b w = w, so each average is that of w over the pupils meant."""
    fit = schools(unit_dims, draws=3)
    treated = X[OF] == 1
    for ask, who in (
        (bc.ATE("x", "y"), np.ones(12, dtype=bool)),
        (bc.ATT("x", "y"), treated),
        (bc.ATU("x", "y"), ~treated),
        (bc.CATE("x", "y", given={"size": (15, 35)}), (SIZE[OF] > 15) & (SIZE[OF] < 35)),
        (bc.CATE("x", "y", given=lambda size, w: (size > 25) & (w > 0)), (SIZE[OF] > 25) & (W > 0)),
    ):
        found = bc.estimate(fit, ask)
        np.testing.assert_allclose(found.draws.values, W[who].mean(), rtol=1e-9)
    parted = bc.estimate(fit, bc.ATE("x", "y", by="size"))
    for group, size in enumerate(SIZE):
        cell = parted.draws.sel(size=size).values
        np.testing.assert_allclose(cell, W[group == OF].mean(), rtol=1e-9)


def test_where_the_model_does_not_say_it_is_refused():
    for fit in (schools(second=True), schools(index=False)):
        with pytest.raises(EstimandError, match="which pupil belongs cannot be told"):
            bc.estimate(fit, bc.ATT("x", "y"))


def test_the_groups_of_an_association_name_the_condition():
    with pm.Model(coords={"unit": range(8)}) as model:
        z = pm.Bernoulli("z", 0.5, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", x + z, pm.HalfNormal("s"), dims="unit")
    data = {"z": [0, 0, 0, 1, 1, 1, 1, 1], "x": [0, 1, 1, 0, 0, 1, 1, 1], "y": np.arange(8.0)}
    effect = bc.estimate(
        bc.truth(model, {"s": 1.0}, data), bc.Association("x", "y", given={"z": 1})
    )
    assert effect.population == "the 8 units at hand, 3 where x=1, z=1 and 2 where x=0, z=1"


def test_a_value_of_a_curve_that_is_the_control_but_for_rounding_has_no_effect():
    values = np.linspace(0, 1, 11)
    assert values[3] != 0.3
    with pm.Model(coords={"unit": range(4)}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", pm.Normal("b", shape=()) * x, 1, dims="unit")
    known = bc.truth(model, {"b": 3.0}, {"x": np.zeros(4), "y": np.zeros(4)})
    curve = bc.estimate(known, bc.DoseResponse("x", "y", values=values, control=0.3))
    found = np.ravel(curve.mean())
    assert found[3] == 0
    np.testing.assert_allclose(found, 3 * (values - 0.3), atol=1e-12)
    near = bc.DoseResponse("x", "y", values=[0.3, 0.3 + 1e-9], control=0.3)
    assert np.ravel(bc.estimate(known, near).mean())[1] == pytest.approx(3e-9, rel=1e-6)
