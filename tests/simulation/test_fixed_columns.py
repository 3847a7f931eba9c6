"""Fixed covariates: taken as they are, or their rows drawn to another number of units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import DataError

TABLE = pd.DataFrame({"x": [0.0, 1.0, 2.0], "g": [0, 1, 1], "y": [9.0, 9.0, 9.0]})


def study() -> pm.Model:
    with pm.Model(coords={"unit": [0], "group": range(2)}) as model:
        x, g = pm.Data("x", [0.0], dims="unit"), pm.Data("g", [0], dims="unit")
        b, a = pm.Normal("b"), pm.Normal("a", dims="group")
        pm.Normal("y", a[g] + b * x, 1e-6, dims="unit")
    return model


TRUTH = {"a": [10.0, 20.0], "b": 2.0}


def test_columns_are_taken_as_they_are_and_the_model_is_not_changed():
    model = study()
    found = bc.simulate(model, TRUTH, data=TABLE, seed=1)
    assert found["x"].tolist() == [0.0, 1.0, 2.0]
    np.testing.assert_allclose(found["y"], [10.0, 22.0, 24.0], atol=1e-4)
    assert model["x"].get_value().tolist() == [0.0]


def test_rows_are_drawn_to_another_number_of_units():
    found = bc.simulate(study(), TRUTH, data=TABLE, units=3000, seed=1)
    rows = set(zip(found["x"], found["g"], strict=True))
    assert rows == {(0.0, 0), (1.0, 1), (2.0, 1)}
    share = (found["x"] == 0).mean()
    assert share == pytest.approx(1 / 3, abs=4 * np.sqrt(2 / 9 / 3000))
    again = bc.simulate(study(), TRUTH, data=TABLE, units=3000, seed=1)
    pd.testing.assert_frame_equal(found, again)


def test_tables_that_do_not_fit_are_refused():
    model = study()
    with pytest.raises(DataError, match="no column 'g'"):
        bc.simulate(model, TRUTH, data=TABLE[["x"]])
    with pytest.raises(DataError, match="not complete, or no numbers"):
        bc.simulate(model, TRUTH, data=TABLE.assign(x=[1.0, np.nan, 2.0]))
    with pytest.raises(DataError, match="units=0"):
        bc.simulate(model, TRUTH, data=TABLE, units=0)
    with pm.Model(coords={"unit": [0]}) as plain:
        pm.Normal("y", 0, 1, dims="unit")
    with pytest.raises(DataError, match="has none for its units"):
        bc.simulate(plain, {}, data=TABLE)
