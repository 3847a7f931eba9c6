"""``by=`` gives the cells that have units, and names those that have none."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.types import EmptySubgroupError

# two cohorts, treated from 2 and from 3 on; one never; times 1 to 4
FIRST = np.repeat([2, 3, 9], 4)
TIME = np.tile([1, 2, 3, 4], 3)
D = (TIME >= FIRST).astype(int)
EFFECT = 10.0 * FIRST + TIME


def panel(noisy: bool = False) -> bc.Fit:
    n = len(FIRST)
    with pm.Model(coords={"row": range(n)}) as model:
        first, time = (pm.Data(k, v, dims="row") for k, v in (("first", FIRST), ("time", TIME)))
        d = pm.Data("d", D, dims="row")
        if noisy:
            m = pm.Normal("m", d, 1, dims="row")
            pm.Normal("y", pt.tanh(m) + time, 1.0, dims="row")
        else:
            pm.Normal("y", d * (10.0 * first + time), 1.0, dims="row")
    data = {"first": FIRST, "time": TIME, "d": D, "y": EFFECT}
    return bc.truth(model, {}, data | ({"m": EFFECT} if noisy else {}))


def test_times_without_treated_units_are_left_out_and_named():
    att = bc.estimate(panel(), bc.ATT("d", "y", by="time"))
    assert att.draws["time"].values.tolist() == [2, 3, 4]
    wanted = [EFFECT[(D == 1) & (t == TIME)].mean() for t in (2, 3, 4)]
    np.testing.assert_allclose(att.mean(), wanted)
    assert "1 of 4 subgroups are left out, for no unit with d=1 is in them: time=1." in att.notes


def test_a_ragged_grid_has_one_dim_of_the_cells_that_have_units():
    att = bc.estimate(panel(), bc.ATT("d", "y", by=["first", "time"]))
    assert att.dims == ("cell",)
    cells = [(2, 2), (2, 3), (2, 4), (3, 3), (3, 4)]
    assert att.draws["cell"].values.tolist() == cells
    np.testing.assert_allclose(att.mean(), [10 * g + t for g, t in cells])
    assert float(att.draws.sel(first=3, time=4).mean()) == 34
    table = att.summary()
    assert table.index.names == ["first", "time"]
    assert table.loc[(2, 3), "mean"] == 23
    assert "first=2, time=1" in att.notes[0]
    assert len(att.to_dict()["cells"]) == 5
    assert "for each value of first and time" in att.sentence()
    assert repr(att).count("\n") == 7


def test_simulated_answers_too():
    att = bc.estimate(panel(noisy=True), bc.ATT("d", "y", by="time"), seed=2)
    assert att.draws["time"].values.tolist() == [2, 3, 4]
    assert att.draws.notnull().all()


def test_where_no_cell_has_units_the_question_is_refused():
    with pytest.raises(EmptySubgroupError, match="0 of 12 units"):
        bc.estimate(panel(), bc.ATT("d", "y", treated=2, by="time"))


def test_groups_by_what_treatment_changes_are_those_that_were_observed():
    """Of units that are treated as they were, E[Y(1) | K = k] is the mean of what was seen.

    The groups were the values of K drawn anew, with others in them and 9 never.
    """
    with pm.Model(coords={"unit": range(6)}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        k = pm.Poisson("k", 2 + x, dims="unit")
        pm.Normal("y", x + k, 1.0, dims="unit")
    data = {"x": [1] * 6, "k": [0, 2, 9, 9, 2, 0], "y": [0.0, 1, 2, 5, 4, 9]}
    known = bc.truth(model, {}, data, draws=2, seed=1)
    effect = bc.estimate(known, bc.Expected("y", {"x": 1}, by="k", coupling="monotone"))
    assert effect.draws["k"].values.tolist() == [0, 2, 9]
    np.testing.assert_allclose(effect.draws.isel(chain=0, draw=0), [4.5, 2.5, 3.5])
