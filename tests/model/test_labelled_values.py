"""Labels decide, not places: values of units and groups that come in another order."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayescausal as bc
from bayescausal.types import DataError, FitMismatchError, FixedUnitsError

RNG = np.random.default_rng(6)
N = 60
IDS = [f"u{i:02d}" for i in range(N)]
Z = RNG.normal(size=N)
DATA = pd.DataFrame({"z": Z, "x": np.arange(N) % 2, "y": Z}, index=IDS)
SORTED = DATA.sort_values("z")


@pytest.fixture(scope="module")
def fit():
    """The effect on a unit is 1 + 2 z."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Data("z", [0.0], dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", x * (1 + 2 * z) + z, 1, dims="unit")
    return bc.truth(model, {}, DATA)


def number(fit, question):
    return float(bc.estimate(fit, question).mean())


@pytest.mark.parametrize("kind", [lambda s: s, lambda s: xr.DataArray(s, dims="unit")])
def test_masks_and_levels_of_units(fit, kind):
    mask = kind(SORTED["z"] > 0.5)
    found = number(fit, bc.CATE("x", "y", given=mask))
    assert found == pytest.approx((1 + 2 * Z)[Z > 0.5].mean(), abs=1e-12)
    level = kind((SORTED["z"] > 0).astype(int))
    right = np.where(Z > 0, 1 + 2 * Z, 0).mean()
    for act in (bc.Set(level), level):
        found = number(fit, bc.Contrast("y", {"x": act}, {"x": 0}))
        assert found == pytest.approx(right, abs=1e-12)
    world = bc.worlds(fit, {"rule": {"x": bc.Set(level)}}, variables="y")["y"].to_numpy().ravel()
    assert world == pytest.approx(np.where(Z > 0, 1 + 3 * Z, Z))
    other = bc.counterfactual(fit, {"x": bc.Set(level)})["x"].sel(world="counterfactual")
    assert other.to_numpy().ravel().tolist() == (Z > 0).astype(int).tolist()


def test_other_labels_are_refused_and_places_are_no_labels(fit):
    mask = pd.Series(Z > 0.5, index=[f"v{i}" for i in range(N)])
    with pytest.raises(DataError, match="The mask given=, along 'unit', has the label 'v0'"):
        bc.estimate(fit, bc.CATE("x", "y", given=mask))
    by_place = mask.reset_index(drop=True)
    right = (1 + 2 * Z)[Z > 0.5].mean()
    for each in (by_place, mask.to_numpy()):
        assert number(fit, bc.CATE("x", "y", given=each)) == pytest.approx(right, abs=1e-12)


def test_numbers_of_units_in_another_order_may_be_places_and_are_refused():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Data("z", [0.0], dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", x * (1 + 2 * z) + z, 1, dims="unit")
    rows = DATA.reset_index(drop=True)
    known = bc.truth(model, {}, rows)
    mask = rows.sort_values("z")["z"] > 0.5
    asked = {
        "given": lambda: bc.estimate(known, bc.CATE("x", "y", given=mask)),
        "level": lambda: bc.worlds(known, {"rule": {"x": mask.astype(int)}}),
        "units": lambda: bc.counterfactual(known, {"x": 1}, units=mask),
        "columns": lambda: bc.fit(model, dict(rows) | {"z": rows.sort_values("z")["z"]}),
    }
    for ask in asked.values():
        with pytest.raises(DataError, match=r"numbers 0, 1, 2, \.\.\. of the units in another"):
            ask()


def test_whom_to_treat_carries_the_labels_of_the_units(fit):
    shuffled = DATA.sample(frac=1, random_state=2)
    known = bc.truth(fit.model, {}, shuffled)
    rule = bc.policy(known, bc.ATE("x", "y"), rule="threshold")
    assert rule.treat.index.tolist() == shuffled.index.tolist()
    gain = bc.Contrast("y", {"x": bc.Set(rule.treat[DATA.index].astype(int))}, {"x": 0})
    right = (1 + 2 * shuffled["z"])[rule.treat].sum() / N
    assert number(known, gain) == pytest.approx(right, abs=1e-12)
    assert bc.heterogeneity(known, bc.ATE("x", "y")).units.index.tolist() == list(shuffled.index)
    chosen = bc.counterfactual(fit, {"x": 1}, units=(SORTED["z"] > 0.5))
    assert chosen["unit"].to_numpy().tolist() == DATA.index[Z > 0.5].tolist()


@pytest.mark.parametrize(
    "value",
    [
        pd.Series([2.0, 5.0, 1.0], index=["a", "b", "c"]),
        xr.DataArray([2.0, 5.0, 1.0], coords={"school": ["a", "b", "c"]}),
        [1.0, 2.0, 5.0],
    ],
)
def test_parameters_of_groups(value):
    with pm.Model(coords={"unit": [0], "school": ["c", "a", "b"]}) as model:
        a = pm.Normal("a", dims="school")
        g = pm.Data("g", [0], dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", a[g] * x, 1, dims="unit")
    data = pd.DataFrame({"g": np.arange(N) % 3, "x": np.arange(N) % 2, "y": Z})
    known = bc.truth(model, {"a": value}, data)
    assert bc.estimate(known, bc.ATE("x", "y", by="g")).mean().to_numpy().tolist() == [1, 2, 5]
    draws = xr.Dataset({"a": xr.DataArray(np.asarray(value), dims="school")})
    draws = draws.expand_dims(chain=1, draw=4)
    if isinstance(value, xr.DataArray):
        trace = draws.assign_coords(school=["a", "b", "c"])
        found = bc.Fit(model, trace, data=data)
        assert bc.estimate(found, bc.ATE("x", "y", by="g")).mean().to_numpy().tolist() == [1, 2, 5]
        with pytest.raises(FitMismatchError, match="'a' in the trace, along 'school', has the"):
            bc.Fit(model, draws.assign_coords(school=["a", "b", "d"]), data=data)


@pytest.mark.parametrize("kind", [pd.Series, lambda s: xr.DataArray(s, dims="unit")])
def test_columns_of_a_mapping(kind):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Data("x", [0.0], dims="unit")
        b = pm.Normal("b", 0, 10)
        pm.Normal("y", b * x, 0.01, dims="unit")
    x = DATA["z"]
    columns = {"x": kind(x), "y": kind((2 * x).sort_values())}
    found = bc.fit(model, columns, seed=1, progressbar=False, draws=100, chains=2)
    assert float(found.posterior["b"].mean()) == pytest.approx(2, abs=0.01)
    with pytest.raises(DataError, match="Column 'y', along 'unit', has the label 'w0'"):
        bc.fit(model, {"x": kind(x), "y": kind(pd.Series(Z, [f"w{i}" for i in range(N)]))})


@pytest.mark.parametrize("kind", [pd.Series, xr.DataArray])
def test_columns_without_a_model(kind):
    rng = np.random.default_rng(3)
    x = pd.Series(rng.integers(0, 2, N), index=pd.Index(IDS, name="id"))
    y = (3.0 * x + 1).sort_values(kind="stable")
    columns = {"x": kind(x), "y": kind(y)}
    found = bc.triangulate("x -> y", bc.ATE("x", "y"), data=columns, draws=20,
                           estimators=["regression"])  # fmt: skip
    assert found.table.loc["regression", "estimate"] == pytest.approx(3)
    clusters = pd.Series(np.arange(N), index=IDS)[::-1]
    some = bc.ATE("x", "y", given=(x > -1)[::-1], population=bc.Superpopulation(clusters=clusters))
    again = bc.triangulate("x -> y", some, data=pd.DataFrame({"x": x, "y": y[IDS]}), draws=20,
                           estimators=["regression"])  # fmt: skip
    assert again.table.loc["regression", "estimate"] == pytest.approx(3)


def test_arrays_of_the_model_beside_rows_in_another_order():
    w = np.roll(np.eye(N), 1, axis=1)
    with pm.Model(coords={"unit": IDS}) as model:
        z = pm.Data("z", Z, dims="unit")
        pm.Normal("y", pm.math.dot(w, z), 1, dims="unit")
    with pytest.raises(FixedUnitsError, match="its labels in another order"):
        bc.truth(model, {}, SORTED)
    bc.truth(model, {}, DATA)
    bc.truth(model, {}, DATA.reset_index(drop=True))


@pytest.mark.parametrize("empty", [np.nan, None])
def test_empty_labels_of_clusters_are_refused(fit, empty):
    labels = pd.Series(["a", "b"] * (N // 2), index=IDS, dtype=object)
    labels.iloc[:3] = empty
    asked = bc.ATE("x", "y", population=bc.Superpopulation(clusters=labels))
    with pytest.raises(DataError, match="clusters= is empty for 3 of 60 units"):
        bc.estimate(fit, asked)
    with pytest.raises(DataError, match="clusters= is empty for 3 of 60 units"):
        bc.triangulate("z -> x -> y; z -> y", asked, data=DATA)


def effect_model():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Data("z", [0.0], dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", x * (1 + 2 * z) + z, 1, dims="unit")
    return model


def test_labels_of_several_levels():
    index = pd.MultiIndex.from_product([range(6), range(10)], names=["school", "pupil"])
    table = DATA.set_axis(index)
    mask = table.sample(frac=1, random_state=3)["z"] > 0.5
    right = (1 + 2 * Z)[Z > 0.5].mean()
    for data in (table, dict(table), dict(table) | {"z": table["z"].sort_values()}):
        known = bc.truth(effect_model(), {}, data)
        assert number(known, bc.CATE("x", "y", given=mask)) == pytest.approx(right, abs=1e-12)
    other = pd.Series(Z > 0.5, index=index.set_levels(range(10, 16), level=0))
    with pytest.raises(DataError, match="has the label"):
        bc.estimate(known, bc.CATE("x", "y", given=other))


def grouped(school, levels=0.0):
    with pm.Model(coords={"unit": [0], "school": school}) as model:
        w = pm.Data("w", np.broadcast_to(levels, len(school)) * 1.0, dims="school")
        a = pm.Normal("a", dims="school")
        g, x = pm.Data("g", [0], dims="unit"), pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", (w + a)[g] * x, 1, dims="unit")
    return model


def test_a_series_without_labels_of_groups_counts_places():
    """0, 1, 2 beside a, b, c are places; beside 1, 2, 3 they may be labels, and are refused."""
    columns = {"g": np.arange(N) % 3, "x": np.arange(N) % 2, "y": Z}
    values = pd.Series([10.0, 20.0, 30.0])
    known = bc.truth(grouped(list("cab")), {"a": values}, columns)
    by = bc.estimate(known, bc.ATE("x", "y", by="g")).mean()
    assert by.to_numpy().tolist() == [10.0, 20.0, 30.0]
    with pytest.raises(DataError, match="'a', along 'school', has the label 0"):
        bc.truth(grouped([1, 2, 3]), {"a": values}, columns)


def test_values_of_groups_and_numbers_are_those_of_the_data(tmp_path):
    """Those that the model holds are its placeholder; labels decide which is which."""
    columns = {"g": np.arange(N) % 3, "x": np.arange(N) % 2, "y": Z}
    held = np.array([3.0, 1.0, 2.0])
    by_label = pd.Series([1.0, 2.0, 3.0], index=list("abc"))
    for w in (held, by_label):
        known = bc.truth(grouped(list("cab")), {"a": np.zeros(3)}, {**columns, "w": w})
        found = bc.estimate(known, bc.ATE("x", "y", by="g"))
        assert found.mean().to_numpy().tolist() == [3, 1, 2]
    table = pd.DataFrame({k: v[:4] for k, v in columns.items()})
    assert bc.estimate(known, bc.ATE("x", "y", population=table)).mean() == pytest.approx(9 / 4)
    with pm.Model(coords={"unit": range(4)}) as model:
        rate, x = pm.Data("rate", 1.0), pm.Data("x", np.zeros(4), dims="unit")
        pm.Normal("y", rate * x, 1, dims="unit")
    data = {"rate": 3.0, "x": np.arange(4.0), "y": np.zeros(4)}
    fit = bc.truth(model, {}, data)
    fit.save(tmp_path / "fit.nc")
    for each in (fit, bc.load_fit(tmp_path / "fit.nc", model)):
        assert bc.estimate(each, bc.ATE("x", "y")).mean() == pytest.approx(3)
    assert float(model["rate"].get_value()) == 1.0
    drawn = [bc.simulate(model, {}, data={**data, "rate": r}, seed=1)["y"] for r in (3.0, 1.0)]
    np.testing.assert_allclose(drawn[0] - drawn[1], 2 * data["x"])
    with pytest.raises(DataError, match=r"'rate' has 1 dimensions.*in a mapping"):
        bc.simulate(model, {}, data=pd.DataFrame(data))
    refit = bc.Refitter(model, ["x", "y"])
    with pytest.raises(DataError, match=r"'rate' is pm\.Data that is not of the units.*set_data"):
        refit.fit(data, seed=1)
