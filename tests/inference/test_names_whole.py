"""Kind: names that were joined are parsed back, or given to a function that reads them.

Looked at: `fit.methods`, the table of `fit.summary`, saved fits, entries of vectors in tables,
`prior_sensitivity`, `prior_check` of a model with data of its own (whose units it replaced).
"""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.model.names import Joined, names_of, owner_of
from bayescausal.types import FixedUnitsError

NAMES = ["b, c", "a[0]", "x->y"]


def odd() -> tuple[pm.Model, pd.DataFrame]:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({n: rng.normal(size=50) for n in ("p", "q[r]")})
    data["y"] = data.p - data["q[r]"] + rng.normal(size=50)
    with pm.Model(coords={"unit": [0]}) as model:
        one, two, three = (pm.Normal(n) for n in NAMES)
        p = pm.Data("p", np.zeros(1), dims="unit")
        q = pm.Data("q[r]", np.zeros(1), dims="unit")
        pm.Normal("y", one + two * p + three * q, 1, dims="unit")
    return model, data


def test_keys_keep_their_names():
    key = Joined(NAMES)
    assert key == "b, c, a[0], x->y"
    assert names_of(key) == names_of(pickle.loads(pickle.dumps(key))) == tuple(NAMES)
    assert names_of("a, b") == ("a, b",)
    assert owner_of("a[0][1,2]", {"a", "a[0]"}) == "a[0]"
    assert owner_of("a[0]", {"b"}) is None


def test_methods_of_odd_names_are_found(tmp_path):
    model, data = odd()
    fit = bc.fit(model, data, seed=1, draws=100, chains=2, progressbar=False)
    assert set(fit.summary()["method"]) == {"conjugate (linear-Gaussian)"}
    fit.save(tmp_path / "fit.nc")
    again = bc.load_fit(tmp_path / "fit.nc", model)
    assert again.methods == fit.methods
    assert [set(names_of(n)) for n in again.methods] == [set(NAMES)]
    others = data.drop(columns="y").assign(**{"q[r]": 2.0})
    got = bc.estimate(fit, bc.ATE("p", "y", population=others))
    assert float(got) == pytest.approx(float(fit.posterior["a[0]"].mean()))


def test_a_parameter_with_a_comma_in_its_name_is_one_whatever_drew_it():
    model, data = odd()
    values = dict.fromkeys(NAMES, 0.5)
    sizes = {"draws": 300, "seed": 1}
    laplace = bc.fit(model, data, method="laplace", chains=2, progressbar=False, **sizes)
    nuts = bc.fit(model, data, method="nuts", chains=2, progressbar=False, **sizes)
    for fit in (bc.prior(model, data, **sizes), bc.truth(model, values, data), laplace, nuts):
        assert sorted(n for key in fit.methods for n in names_of(key)) == sorted(NAMES)


def test_a_parameter_may_be_called_like_a_list_of_types():
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": rng.normal(size=80)})
    data["y"] = np.sin(data.x) + rng.normal(size=80)
    model = bc.model_from_formulas(["y ~ ns(x, 4)"], data=data)
    fit = bc.fit(model, data, seed=1, draws=200, chains=2, progressbar=False)
    check = bc.prior_sensitivity(fit, bc.ATE("x", "y"))
    assert "prior of b_y_ns(x, 4) ^ 0.8" in check.table.index


def test_the_prior_of_a_model_with_data_of_its_own_is_checked_at_these():
    data = pd.DataFrame({"x": np.linspace(0, 1, 73), "g": ["a", "b"] * 36 + ["a"]})
    data["y"] = data.x
    model = bc.model_from_formulas(["y ~ x + g"], data=data)
    check = bc.prior_check(model, draws=50, seed=1)
    assert list(check.table.index) == ["y"]
    assert list(bc.prior_check(model, units=73, draws=50, seed=1).table.index) == ["y"]
    with pytest.raises(FixedUnitsError, match=r"77 units were asked for.*of length 73"):
        bc.prior_check(model, units=77, seed=1)
