"""Ends of a support that are data: those of the units, never what the model holds meanwhile."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy.special import expit

import bayescausal as bc
from bayescausal.model.interventions.support import support_of
from bayescausal.types import InterventionError

X = np.array([0, 1, 0, 1, 0, 1])
CHANCE = expit(0) - expit(-1)


def trials(counts, held):
    """A count among `counts` trials; the model holds `held` in their place until it has data."""
    with pm.Model(coords={"unit": [0]}) as model:
        n = pm.Data("n", [held], dims="unit")
        x = pm.Data("x", [0], dims="unit")
        y = pm.Binomial("y", n=n, p=pm.math.invlogit(-1 + x), dims="unit")
        pm.Deterministic("rate", y / n, dims="unit")
        pm.Normal("z", 2.0 * y, 1, dims="unit")
    data = pd.DataFrame({"n": counts, "x": X, "y": np.minimum(counts, 1), "z": 0.0})
    return bc.truth(model, {}, data)


@pytest.mark.parametrize("held", [1, 30])
@pytest.mark.parametrize("counts", [np.full(6, 5), np.arange(1, 7)])
def test_functions_of_a_count_among_trials_that_are_data(counts, held):
    fit = trials(counts, held)
    for question, right in [
        (bc.ATE("x", "rate"), CHANCE),
        (bc.ATE("x", "z"), 2 * CHANCE * counts.mean()),
        (bc.Expected("rate", {"x": 1}), expit(0)),
    ]:
        found = bc.estimate(fit, question)
        assert abs(float(found.mean()) - right) <= 5 * float(found.mc_error) + 1e-12


def test_levels_beyond_the_trials_of_a_unit_are_refused():
    fit = trials(np.arange(1, 7), held=1)
    assert float(bc.estimate(fit, bc.ATE("y", "z", treated=1, control=0)).mean()) == 2
    with pytest.raises(InterventionError, match=r"do\(y = 4\) is impossible for 3 units"):
        bc.estimate(fit, bc.ATE("y", "z", treated=4, control=0))


def test_levels_of_trials_beside_a_level_of_data_with_more_dims():
    """y = k + the sum of three items: 3 + 0 against 1 + 3."""
    with pm.Model(coords={"unit": range(4), "item": range(3)}) as model:
        items = pm.Data("items", np.ones((4, 3)), dims=("unit", "item"))
        n = pm.Data("n", np.full(4, 5), dims="unit")
        k = pm.Binomial("k", n, 0.5, dims="unit")
        pm.Normal("y", k + items.sum(axis=1), 1, dims="unit")
    data = {"items": np.ones((4, 3)), "n": np.full(4, 5), "k": np.arange(4), "y": np.zeros(4)}
    asked = bc.Contrast("y", {"k": 3, "items": 0.0}, {"k": 1, "items": 1.0})
    assert bc.estimate(bc.truth(model, {}, data), asked).mean() == pytest.approx(-1.0)


def test_an_end_that_is_data_is_known_where_it_is_given():
    with pm.Model(coords={"unit": [0]}):
        n = pm.Data("n", [1], dims="unit")
        y = pm.Binomial("y", n=n, p=0.5, dims="unit")
    assert np.isinf(support_of(y).upper)
    assert support_of(y, {n: np.array([3, 4])}).upper.tolist() == [3, 4]


def test_only_the_units_that_are_asked_about_must_be_able():
    counts = np.arange(1, 7)
    fit = trials(counts, held=1)
    for given in ({"n": (4, None)}, counts >= 4):
        asked = bc.CATE("y", "z", treated=4, control=0, given=given)
        assert float(bc.estimate(fit, asked).mean()) == 8
    with pytest.raises(InterventionError, match=r"do\(y = 4\) is impossible for 1 units"):
        bc.estimate(fit, bc.CATE("y", "z", treated=4, control=0, given={"n": (3, None)}))


def test_a_level_beyond_the_trials_is_not_simulated():
    with pm.Model(coords={"unit": range(3)}) as model:
        n = pm.Data("n", [3, 4, 5], dims="unit")
        pm.Binomial("y", n=n, p=0.5, dims="unit")
    assert bc.simulate(model, {}, do={"y": 3}, seed=1)["y"].tolist() == [3, 3, 3]
    for level in (4, bc.Set(4), np.array([3, 4, 6])):
        with pytest.raises(InterventionError, match="is impossible for 1 units"):
            bc.simulate(model, {}, do={"y": level}, seed=1)
    table = {"n": [4, 4], "y": [0, 0]}
    assert bc.simulate(model, {}, data=table, do={"y": 4}, seed=1)["y"].tolist() == [4, 4]
