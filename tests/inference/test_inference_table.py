"""Data come in many forms and mean the same; what does not fit is refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pymc as pm
import pytest
import xarray as xr

from bayescausal.inference import Table, as_table, conform, own_table
from bayescausal.model.structure.read import structure_of
from bayescausal.types import DataError, FitWarning, FixedUnitsError


@pytest.fixture(scope="module")
def flat():
    with pm.Model(coords={"unit": [0], "grade": ["low", "mid", "high"]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        c = pm.Categorical("c", p=np.ones(3) / 3, dims="unit")
        k = pm.Poisson("k", 2, dims="unit")
        pm.Normal("y", x + c + k, 1, dims="unit")
    return structure_of(model)


ROWS = {"x": [0, 1, 1], "c": [2, 0, 1], "k": [0, 3, 1], "y": [0.5, -1.0, 2.0]}


def columns(data, structure):
    return conform(as_table(data, structure), structure).columns


@pytest.mark.parametrize(
    "make",
    [
        pd.DataFrame,
        pl.DataFrame,
        lambda d: pl.DataFrame(d).lazy(),
        pa.table,
        dict,
        lambda d: {k: np.asarray(v) for k, v in d.items()},
        lambda d: {k: pd.Series(v) for k, v in d.items()},
        lambda d: xr.Dataset({k: ("unit", v) for k, v in d.items()}),
        lambda d: pd.DataFrame(d, index=["a", "b", "c"]),
        lambda d: pd.DataFrame(d).convert_dtypes(),
        lambda d: pd.DataFrame(d, dtype=object),
        lambda d: pd.DataFrame({**d, "x": [False, True, True], "k": [0.0, 3.0, 1.0]}),
        lambda d: pd.DataFrame({**d, "note": ["a", "b", "c"]}),
    ],
)
def test_every_form_of_data_gives_the_same_columns(flat, make):
    found = columns(make(ROWS), flat)
    assert set(found) == set(ROWS)
    for name, values in ROWS.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == flat.variable(name).type.dtype


def test_table_is_a_record_of_columns_and_goes_in_chunks(flat):
    table = as_table(pd.DataFrame(ROWS, index=["a", "b", "c"]), flat)
    assert len(table) == 3
    assert set(table.columns) == set(ROWS)
    assert "x" in table
    assert table.index.tolist() == ["a", "b", "c"]
    assert [len(c["y"]) for c in table.chunks(rows=2)] == [2, 1]
    assert np.concatenate([c["y"] for c in table.chunks(rows=2)]).tolist() == ROWS["y"]
    assert as_table(table, flat) is table
    with pytest.raises(DataError, match=r"rows=0"):
        next(table.chunks(rows=0))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**ROWS, "x": [0, 1, 2]}, r"'x' is 2 at unit=2, outside the support of its Bernoulli"),
        ({**ROWS, "k": [0, -1, 1]}, r"'k' is -1 at unit=1.*integer of at least 0"),
        ({**ROWS, "k": [0, 1.5, 1]}, r"'k' is 1.5 at unit=1, but the variable is discrete"),
        ({**ROWS, "c": [0, 3, 3]}, r"'c' is 3 at unit=1 \(and 1 more like it\)"),
        ({**ROWS, "y": [0.0, np.inf, 1.0]}, r"'y' is inf at unit=1"),
        (
            {**ROWS, "x": [0, None, 1]},
            r"'x' is discrete and has 1 empty cells, the first",
        ),
        ({**ROWS, "y": [np.nan] * 3}, r"'y' has no value at all"),
        ({**ROWS, "y": ["a", "b", "c"]}, r"'y' is 'a' at unit=0, but the model says Normal"),
        ({**ROWS, "x": ["no", "yes", "yes"]}, r"'x' is 'no' at unit=0, but the model says Bern"),
        ({**ROWS, "y": [0.0, 1.0]}, r"'y' has length 2 along 'unit', against 3 of 'x'"),
        ({**ROWS, "y": [[0.0, 1.0, 2.0]]}, r"'y' has 2 dimensions"),
        ({**ROWS, "y": [[0.0], [1.0, 2.0]]}, r"'y' is ragged"),
        ({"yy": [1.0]}, r"No column of the data is a variable of the model.*Did you mean 'y'"),
        (pd.DataFrame({"x": [], "y": []}), r"no rows"),
        (pd.DataFrame([[1, 2.0, 3.0]], columns=["x", "y", "y"]), r"several columns named 'y'"),
        (xr.Dataset({"y": ("person", [1.0])}), r"'y' has dims \('person',\)"),
        (3.0, r"Data of type float cannot be read"),
        (pl.Series([1, 2]), r"Data of type Series cannot be read"),
        ({**ROWS, "y": [], "x": [], "c": [], "k": []}, r"no units along 'unit'"),
        ({**ROWS, "unit": [1, 1, 2]}, r"labels of 'unit' are not unique"),
    ],
)
def test_data_that_do_not_fit_are_refused_by_name(flat, data, message):
    with pytest.raises(DataError, match=message):
        columns(data, flat)


def test_fields_of_packed_records_are_read(flat):
    """Nine bytes a record: no float lies at a multiple of eight."""
    packed = np.zeros(3, dtype=np.dtype([("flag", "i1"), ("y", "f8")]))
    packed["y"] = [0.5, 1.5, 2.5]
    assert not packed["y"].flags.aligned
    found = as_table({**ROWS, "y": packed["y"]}, flat)["y"]
    assert found.flags.aligned
    assert found.tolist() == [0.5, 1.5, 2.5]


def test_labels_become_codes_where_the_model_is_categorical(flat):
    labels = ["high", "low", "mid"]
    by_coords = conform(as_table({**ROWS, "c": labels}, flat), flat)
    assert by_coords.columns["c"].tolist() == [2, 0, 1]
    assert by_coords.labels["c"] == ("low", "mid", "high")
    assert any("0 = low" in note for note in by_coords.notes)
    own = pd.Categorical(["c", "a", "b"], categories=["a", "b", "c"])
    assert columns(pd.DataFrame({**ROWS, "c": own}), flat)["c"].tolist() == [2, 0, 1]
    enum = pl.Series(["c", "a", "b"], dtype=pl.Enum(["a", "b", "c"]))
    assert columns(pl.DataFrame({**ROWS, "c": enum}), flat)["c"].tolist() == [2, 0, 1]
    loose = pl.Series(labels, dtype=pl.Categorical)
    assert columns(pl.DataFrame({**ROWS, "c": loose}), flat)["c"].tolist() == [2, 0, 1]
    by_alphabet = pd.Series(labels).astype("category")  # high, low, mid: an accident of spelling
    assert columns(pd.DataFrame({**ROWS, "c": by_alphabet}), flat)["c"].tolist() == [2, 0, 1]
    with pytest.raises(DataError, match=r"'c' holds labels \('p', 'q', 'r'\)"):
        columns({**ROWS, "c": ["p", "q", "r"]}, flat)
    with pytest.raises(DataError, match=r"'c' has 2 categories: a, b. Expected: 3"):
        columns(pd.DataFrame({**ROWS, "c": pd.Categorical(["a", "b", "a"])}), flat)


def test_without_a_column_is_latent_and_empty_cells_are_imputed_in_words(flat):
    data = {k: v for k, v in ROWS.items() if k != "k"} | {"y": [0.5, None, 2.0]}
    found = conform(as_table(data, flat), flat)
    assert found.latent == ("k",)
    assert found.missing["y"].tolist() == [False, True, False]
    assert "k has no column and so is latent." in found.notes
    assert any("y: 1 of 3 cells are empty" in n and "at random" in n for n in found.notes)


def test_unit_level_data_are_required_and_complete():
    with pm.Model() as model:
        age = pm.Data("age", np.zeros(2), dims="unit")
        group = pm.Data("group", np.zeros(2, int), dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * age + group, 1, dims="unit")
    structure = structure_of(model)
    good = {"age": [1, 2, 3], "group": [0.0, 1.0, 1.0], "y": [0.0, 1.0, 2.0]}
    found = columns(good, structure)
    assert found["age"].dtype == np.float64
    assert found["group"].dtype == np.int32
    with pytest.raises(DataError, match=r"no column for 'age', pm.Data.*Did you mean 'ages'"):
        columns({"ages": [1, 2, 3], "group": [0, 1, 1], "y": [0.0, 1.0, 2.0]}, structure)
    with pytest.raises(DataError, match=r"'age' is pm.Data and has 1 empty cells"):
        columns({**good, "age": [1, None, 3]}, structure)
    with pytest.raises(DataError, match=r"'age' is 'x' at unit=0, but the model says data"):
        columns({**good, "age": ["x", "y", "z"]}, structure)
    with pytest.raises(DataError, match=r"'age' has 2 dimensions"):
        columns({**good, "age": [[1, 2, 3]]}, structure)


def test_ends_of_a_support_may_be_data_or_numbers():
    with pm.Model() as model:
        n = pm.Data("n", np.ones(2, int), dims="unit")
        p = pm.Beta("p", 1, 1)
        pm.Binomial("k", n, p, dims="unit")
        pm.Uniform("u", 0, pm.HalfNormal("top"), dims="unit")
    structure = structure_of(model)
    assert columns({"n": [3, 5], "k": [3, 5], "u": [0.0, 9.0]}, structure)["k"].tolist() == [3, 5]
    with pytest.raises(DataError, match=r"'k' is 4 at unit=0.*Binomial.*bounds of each unit"):
        columns({"n": [3, 5], "k": [4, 5], "u": [0.0, 9.0]}, structure)
    with pytest.raises(DataError, match=r"'u' is -1.0 at unit=0"):
        columns({"n": [3, 5], "k": [3, 5], "u": [-1.0, 9.0]}, structure)


def test_a_model_with_arrays_of_its_own_fixes_the_number_of_units():
    with pm.Model(coords={"unit": range(3)}) as model:
        pm.Normal("y", pm.Normal("b") * np.arange(3.0), 1, dims="unit")
    structure = structure_of(model)
    assert columns({"y": [1.0, 2.0, 3.0]}, structure)["y"].shape == (3,)
    with pytest.raises(FixedUnitsError, match=r"4 units along 'unit'.*length 3.*pm.Data"):
        as_table({"y": [1.0, 2.0, 3.0, 4.0]}, structure)


@pytest.fixture(scope="module")
def panel():
    with pm.Model(coords={"unit": [0], "time": [0]}) as model:
        a = pm.Normal("a", dims="unit")
        x = pm.Normal("x", a[:, None], 1, dims=("unit", "time"))
        pm.Normal("y", x, 1, dims=("unit", "time"))
    return structure_of(model)


def tidy():
    frame = pd.DataFrame(
        {
            "unit": list("bbaa"),
            "time": [1, 2, 1, 2],
            "a": [5.0, 5.0, 7.0, 7.0],
            "x": [1.0, 2.0, 3.0, 4.0],
            "y": [1.5, 2.5, 3.5, 4.5],
        }
    )
    return frame


def test_a_panel_in_rows_index_or_arrays_is_the_same(panel):
    wanted = {"a": [7.0, 5.0], "x": [[3.0, 4.0], [1.0, 2.0]], "y": [[3.5, 4.5], [1.5, 2.5]]}
    rng = np.random.default_rng(0)
    for data in (
        tidy(),
        tidy().iloc[rng.permutation(4)],
        tidy().set_index(["unit", "time"]),
        pl.DataFrame(tidy()),
        {k: np.array(v) for k, v in wanted.items()},
        xr.Dataset(
            {
                "a": ("unit", wanted["a"]),
                "x": (("unit", "time"), wanted["x"]),
                "y": (("time", "unit"), np.transpose(wanted["y"])),
            }
        ),
    ):
        table = as_table(data, panel)
        for name, value in wanted.items():
            np.testing.assert_array_equal(table[name], value)
    table = as_table(tidy(), panel)
    assert len(table) == 4
    assert table.index.tolist() == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]


def test_a_panel_with_a_missing_row_has_an_empty_cell(panel):
    found = conform(as_table(tidy().iloc[:3], panel), panel)
    assert found.missing["x"].tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.assign(time=[1, 1, 1, 2]), r"Two rows have unit=b, time=1"),
        (lambda d: d.assign(a=[5.0, 6.0, 7.0, 7.0]), r"'a' varies within unit=b: 5.0 and 6.0"),
        (lambda d: d.drop(columns="time"), r"no labels for 'time'.*'unit', 'time'"),
        (lambda d: d.drop(columns=["unit", "time"]), r"no labels for 'unit', 'time'"),
        (lambda d: d.assign(unit=["b", None, "a", "a"]), r"labels of 'unit' have missing"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(panel, change, message):
    with pytest.raises(DataError, match=message):
        as_table(change(tidy()), panel)


def test_pupils_within_schools_as_rows_and_as_arrays():
    with pm.Model(coords={"school": range(2), "pupil": range(3)}) as model:
        idx = pm.Data("idx", np.zeros(3, int), dims="pupil")
        w = pm.Bernoulli("w", 0.5, dims="school")
        pm.Normal("y", w[idx], 1, dims="pupil")
    structure = structure_of(model, unit_dims=("school", "pupil"))
    frame = pd.DataFrame(
        {"school": [0, 1, 1], "idx": [0, 1, 1], "w": [1, 0, 0], "y": [0.1, 0.2, 0.3]}
    )
    arrays = {"idx": [0, 1, 1], "w": [1, 0], "y": [0.1, 0.2, 0.3]}
    for data in (frame, arrays):
        table = as_table(data, structure)
        assert table["w"].tolist() == [1, 0]
        assert table["y"].tolist() == [0.1, 0.2, 0.3]
    with pytest.raises(DataError, match=r"'w' varies within school=1: 0 and 1"):
        as_table(frame.assign(w=[1, 0, 1]), structure)


def test_vectors_are_spread_over_columns():
    with pm.Model(coords={"unit": [0], "part": ["a", "b"]}) as model:
        m = pm.Normal("m", dims="part")
        pm.MvNormal("y", m, np.eye(2), dims=("unit", "part"))
    structure = structure_of(model)
    frame = pd.DataFrame({"y[a]": [1.0, 2.0, 3.0], "y[b]": [4.0, 5.0, 6.0]})
    value = [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    np.testing.assert_array_equal(as_table(frame, structure)["y"], value)
    np.testing.assert_array_equal(as_table({"y": value}, structure)["y"], value)
    with pytest.raises(DataError, match=r"vector 'y' lacks the columns y\[b\]"):
        as_table(frame[["y[a]"]], structure)
    with pytest.raises(DataError, match=r"'y' is a vector over part"):
        as_table(pd.DataFrame({"y": [1.0]}), structure)
    with pytest.raises(DataError, match=r"length 3 along 'part', against 2 of the model"):
        as_table({"y": np.zeros((4, 3))}, structure)


def test_what_the_model_observes_itself_is_a_table():
    with pm.Model(coords={"unit": range(3)}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    seen = pm.observe(model, {"y": np.array([1.0, 2.0, 3.0])})
    structure = structure_of(seen)
    assert own_table(structure)["y"].tolist() == [1.0, 2.0, 3.0]
    both = own_table(structure, as_table({"x": [0.0, 0.0, 1.0]}, structure))
    assert set(both.columns) == {"x", "y"}
    with pytest.raises(DataError, match=r"'y' has length 3 along 'unit', against 2 of the labels"):
        own_table(structure, as_table({"x": [0.0, 1.0]}, structure))


def test_pymc_imputed_pairs_are_read_back_as_empty_cells():
    with pm.Model(coords={"unit": range(3)}) as m:
        with pytest.warns(Warning, match="missing values"):
            x = pm.Normal("x", 0, 1, dims="unit", observed=[1.0, np.nan, 3.0])
        pm.Normal("y", x, 1, dims="unit", observed=[1.0, 2.0, 3.0])
    np.testing.assert_array_equal(own_table(structure_of(m))["x"], [1.0, np.nan, 3.0])


def test_a_table_can_be_made_by_hand(flat):
    table = Table({"y": np.arange(2.0)}, {"y": ("unit",)}, {"unit": np.arange(2)}, ("unit",))
    assert repr(table) == "Table(y; unit: 2)"
    assert conform(as_table(table, flat), flat).latent == ("c", "k", "x")


@pytest.mark.parametrize(
    ("variable", "column", "said"),
    [
        ("dilution", "dilutoin", "refused"),
        ("coating", "coat", "warned"),
        ("dilution", "diluted", "warned"),
        ("humid", "hum", "warned"),
        ("humid", "humidity", "warned"),
        ("income", "outcome", ""),
        ("income_1990", "income_age", ""),
        ("u", "un", ""),
        ("ability", "school", ""),
    ],
)
def test_a_column_called_nearly_like_a_variable_without_one(variable, column, said):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal(variable, 0, 1, dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    structure = structure_of(model)
    table = as_table({"y": [1.0, 2.0], column: [0.0, 1.0]}, structure)
    if said == "refused":
        with pytest.raises(DataError, match=f"Did you mean {column!r}"):
            conform(table, structure)
    elif said == "warned":
        words = f"{variable!r} has no column and is taken as latent, .* column {column!r}"
        with pytest.warns(FitWarning, match=words):
            assert conform(table, structure).latent == (variable,)
    else:
        assert conform(table, structure).latent == (variable,)  # a warning would be an error
