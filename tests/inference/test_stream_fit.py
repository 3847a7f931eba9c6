"""One pass over rows that stay where they are gives the draws of the table in memory."""

from __future__ import annotations

import builtins
import decimal
import pickle
import sys

import dask
import dask.dataframe as dd
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal import datasets
from bayescausal.inference.stream import distinct_rows, gather, source
from bayescausal.inference.stream import grouped_equations as shortened
from bayescausal.inference.stream.source import ArrowSource, is_source, open_source
from bayescausal.types import BayesCausalError, DataError, FixedUnitsError, ModelError

FAST = {"seed": 5, "draws": 50, "chains": 2, "progressbar": False}


@pytest.fixture(scope="module")
def mixed():
    """Discrete, grouped, linear and count equations; some rows of each."""
    with pm.Model(coords={"unit": [0], "region": ["north", "south", "west"]}) as model:
        share = pm.Dirichlet("share", np.ones(3), dims="region")
        region_of = pm.Categorical("where", p=share, dims="unit")
        humid = pm.Normal("humid", 0, 1, dims="unit")
        p = pm.Beta("p", 1, 1, dims="region")
        dilution = pm.Bernoulli("dilution", p[region_of], dims="unit")
        rate = pm.Gamma("rate", 2, 1, dims="region")
        pm.Poisson("faults", rate[region_of], dims="unit")
        base = pm.Normal("base", 0, 2, dims="region")
        b = pm.Normal("b", 0, 2, shape=2)
        sigma = pm.HalfNormal("sigma", 1)
        mean = base[region_of] + b[0] * dilution + b[1] * humid
        pm.Normal("coating", mean, sigma, dims="unit")
    return model


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    n = 5_000
    where = rng.integers(0, 3, n)
    humid, dilution = rng.normal(size=n), rng.random(n) < 0.3 + 0.2 * (where == 1)
    return pd.DataFrame(
        {
            "where": where,
            "humid": humid,
            "dilution": dilution,
            "faults": rng.poisson(1 + where),
            "coating": where - 0.5 * dilution + 0.3 * humid + rng.normal(size=n),
            "note": "x",
        }
    )


@pytest.fixture(scope="module")
def whole(mixed, rows):
    return bc.fit(mixed, rows, **FAST)


def written(rows, path, **options):
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), path, **options)
    return path


def folder(rows, path):
    path.mkdir()
    for i, part in enumerate(np.array_split(np.arange(len(rows)), 4)):
        written(rows.iloc[part], path / f"part-{i}.parquet")
    (path / "README.txt").write_text("not rows")
    return path


def partitioned(rows, path):
    pq.write_to_dataset(
        pa.Table.from_pandas(rows, preserve_index=False), path, partition_cols=["where"]
    )
    return path


def relation(rows):
    return duckdb.connect().from_arrow(pa.Table.from_pandas(rows, preserve_index=False))


SOURCES = {
    "file": lambda rows, path: written(rows, path / "a.parquet", row_group_size=700),
    "text path": lambda rows, path: str(written(rows, path / "a.parquet")),
    "folder": lambda rows, path: folder(rows, path / "rows"),
    "key=value folders": lambda rows, path: partitioned(rows, path / "rows"),
    "pattern": lambda rows, path: str(folder(rows, path / "rows") / "*.parquet"),
    "pyarrow": lambda rows, path: ds.dataset(folder(rows, path / "rows"), exclude_invalid_files=1),
    "arrow in memory": lambda rows, path: ds.dataset(pa.Table.from_pandas(rows)),
    "duckdb": lambda rows, path: relation(rows),
    "dask": lambda rows, path: dd.from_pandas(rows, npartitions=5),
}


def gap(one, other):
    assert set(one.posterior) == set(other.posterior)
    return max(float(abs(one.posterior[n] - other.posterior[n]).max()) for n in one.posterior)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_draws_of_the_table_in_memory(name, mixed, rows, whole, tmp_path):
    data = SOURCES[name](rows, tmp_path)
    assert is_source(data)
    with dask.config.set(scheduler="threads"):
        found = bc.fit(mixed, data, **FAST)
    assert gap(found, whole) < 1e-9
    assert dict(found.methods) == dict(whole.methods)
    assert found.sizes["unit"] == len(rows)
    assert len(found.data) == len(rows)
    assert found.notes[0].startswith("Fitted in one pass over the 5,000 rows of ") or any(
        "one pass over the 5,000 rows" in note for note in found.notes
    )


@pytest.mark.parametrize("batch", [1, 699, 6_000])
def test_where_the_pieces_end_does_not_matter(batch, mixed, rows, whole, tmp_path, monkeypatch):
    few = rows.iloc[:100] if batch == 1 else rows
    path = written(few, tmp_path / "a.parquet", row_group_size=1_111)
    monkeypatch.setattr(ArrowSource.batches, "__defaults__", (batch,))
    monkeypatch.setattr(gather, "ROWS", max(batch // 2, 1))
    expected = bc.fit(mixed, few, **FAST) if batch == 1 else whole
    assert gap(bc.fit(mixed, path, **FAST), expected) < 1e-9


def test_too_many_distinct_rows_become_statistics_on_the_way(mixed, rows, whole, monkeypatch):
    """Counts that grow past their limit are turned into the samplers' own sums."""
    monkeypatch.setattr(gather, "MOST", 8)
    turned = []
    plain = gather.Gathering.turn
    monkeypatch.setattr(gather.Gathering, "turn", lambda *a: turned.append(a[2]) or plain(*a))
    monkeypatch.setattr(ArrowSource.batches, "__defaults__", (500,))
    found = bc.fit(mixed, ds.dataset(pa.Table.from_pandas(rows)), **FAST)
    assert len(turned) > 3
    assert gap(found, whole) < 1e-9


def test_rows_that_all_differ_are_not_counted(mixed, rows, whole, monkeypatch):
    monkeypatch.setattr(gather, "SHARE", 0.0)
    plain = gather.count_rows

    def wide(batch, columns):
        found = plain(batch, columns)
        return pa.concat_tables([found] * 400)  # as if there were many

    monkeypatch.setattr(gather, "count_rows", wide)
    found = bc.fit(mixed, ds.dataset(pa.Table.from_pandas(rows)), **FAST)
    assert gap(found, whole) < 1e-9


# ------------------------------------------------------------------------ kinds of column


def as_type(rows, **types):
    table = pa.Table.from_pandas(rows, preserve_index=False)
    for name, kind in types.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, table[name].cast(kind))
    return table


LABELS = np.array(["north", "south", "west"])


def labelled(rows, make):
    table = pa.Table.from_pandas(rows, preserve_index=False)
    return table.set_column(0, "where", make(LABELS[rows["where"]]))


@pytest.mark.parametrize(
    "make",
    [
        lambda rows: as_type(rows, dilution=pa.int8(), where=pa.uint8(), faults=pa.int16()),
        lambda rows: as_type(rows, dilution=pa.float64(), where=pa.float32(), faults=pa.float64()),
        lambda rows: as_type(rows, faults=pa.decimal128(24, 2), where=pa.decimal128(20, 0)),
        lambda rows: labelled(rows, pa.array),
        lambda rows: labelled(rows, lambda v: pa.array(v, pa.large_string())),
        lambda rows: labelled(rows, lambda v: pa.array(v).dictionary_encode()),
        lambda rows: labelled(
            rows,
            lambda v: pa.Array.from_pandas(
                pd.Categorical(v, categories=["north", "south", "west"])
            ),
        ),
    ],
    ids=["small integers", "floats", "decimals", "text", "large text", "dictionary", "categorical"],
)
def test_every_kind_of_column_gives_the_same_draws(make, mixed, rows, whole, tmp_path):
    pq.write_table(make(rows), tmp_path / "a.parquet", row_group_size=1_300)
    found = bc.fit(mixed, tmp_path / "a.parquet", **FAST)
    assert gap(found, whole) < 1e-9
    frame = pq.read_table(tmp_path / "a.parquet").to_pandas()
    plain = {"scheduler": "synchronous", "dataframe.convert-string": False}
    texts = isinstance(frame["where"].iloc[0], str) and frame["where"].dtype != "category"
    for where in (frame["where"], *([frame["where"].astype(object)] if texts else [])):
        with dask.config.set(plain):
            parts = dd.from_pandas(frame.assign(where=where), npartitions=3)
            again = bc.fit(mixed, parts, **FAST)
        assert gap(again, whole) < 1e-9


def test_duckdb_enums_decimals_and_quoted_names():
    with pm.Model(coords={"unit": [0], "colour": ["red", "blue"]}) as model:
        p = pm.Dirichlet("p", np.ones(2), dims="colour")
        odd = pm.Categorical('a "b"', p=p, dims="unit")
        m = pm.Normal("m", 0, 1, dims="colour")
        pm.Normal("y", m[odd], 1, dims="unit")
    rows = pd.DataFrame({'a "b"': ["red", "blue", "red", "red"], "y": [0.5, 1.5, 0.25, 1.0]})
    connection = duckdb.connect()
    connection.execute("create type colours as enum ('blue', 'red')")
    connection.execute('create table t ("a ""b""" colours, y decimal(8, 3))')
    connection.executemany("insert into t values (?, ?)", rows.values.tolist())
    found = bc.fit(model, connection.table("t"), **FAST)
    rows['a "b"'] = pd.Categorical(rows['a "b"'], categories=["red", "blue"])
    assert gap(found, bc.fit(model, rows, **FAST)) < 1e-9
    assert found.labels == {'a "b"': ("red", "blue")}
    found = bc.fit(
        model, connection.sql('select "a ""b"""::varchar as "a ""b""", y from t'), **FAST
    )
    assert found.labels == {'a "b"': ("red", "blue")}


def test_labels_that_several_dims_might_know_are_looked_up(tmp_path):
    coords = {"unit": [0], "colour": ["red", "blue"], "taste": ["sweet", "sour"]}
    with pm.Model(coords=coords) as model:
        p = pm.Dirichlet("p", np.ones(2), dims="taste")
        pm.Categorical("v", p=p, dims="unit")
    path = written(pd.DataFrame({"v": ["sour", "sweet", "sour"]}), tmp_path / "a.parquet")
    assert bc.fit(model, path, **FAST).labels == {"v": ("sweet", "sour")}
    coords = {k: coords[k] for k in ("unit", "colour")}
    with pm.Model(coords=coords | {"k": range(3)}) as model:
        pm.Categorical("v", p=pm.Dirichlet("p", np.ones(3), dims="k"), dims="unit")
    rows = pd.DataFrame({"v": pd.Categorical(["b", "a"], categories=["c", "a", "b"])})
    rows.to_parquet(tmp_path / "c.parquet")
    found = bc.fit(model, tmp_path / "c.parquet", **FAST)
    assert found.labels == {"v": ("c", "a", "b")}
    assert gap(found, bc.fit(model, rows, **FAST)) < 1e-9
    with pm.Model(coords=coords | {"taste": ["sweet", "sour"]}) as model:
        p = pm.Dirichlet("p", np.ones(2), dims="taste")
        pm.Categorical("v", p=p, dims="unit")
    path = written(pd.DataFrame({"v": ["big", "small"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"'v' holds labels .*does not say which category"):
        bc.fit(model, path, **FAST)


@pytest.fixture(scope="module")
def loose():
    """A logistic equation of discrete columns, a Laplace prior, a Beta one, an idle unknown."""
    with pm.Model(coords={"unit": [0], "grp": list("abc")}) as model:
        x = pm.Bernoulli("x", 0.3, dims="unit")
        g = pm.Categorical("g", p=np.ones(3) / 3, dims="unit")
        al = pm.Normal("al", 0, 1, dims="grp")
        b = pm.Normal("b")
        pm.Bernoulli("t", logit_p=al[g] + b * x, dims="unit")
        z = pm.Normal("z", 0, 1, dims="unit")
        lam, s, c = pm.Laplace("lam", 0, 1), pm.HalfNormal("s"), pm.Normal("c")
        pm.Normal("y", c + lam * z + b * x, s, dims="unit")  # it shares b with a logistic one
        p = pm.Beta("p", 1, 1)
        pm.Bernoulli("w", p, dims="unit")
        pm.Normal("unread", 0, 3)
    rng = np.random.default_rng(4)
    n = 3_000
    rows = pd.DataFrame({"x": rng.random(n) < 0.3, "g": rng.integers(0, 3, n)})
    rows["z"], rows["w"] = rng.normal(size=n), rng.random(n) < 0.7
    rows["t"] = rng.random(n) < 1 / (1 + np.exp(0.5 - 0.3 * rows.g - 0.7 * rows.x))
    rows["y"] = 0.3 + 0.5 * rows.z + rng.normal(size=n)
    return model, rows


class Caught(Exception):
    """Holds the model that was to be sampled."""


def test_gathered_numbers_make_the_model_that_compress_makes(loose, tmp_path, monkeypatch):
    """Log-densities differ by a constant: no sampling is needed to see it."""
    model, rows = loose

    def catch(structure, conditioned, **options):
        raise Caught(conditioned.model)

    monkeypatch.setattr(shortened, "draw_unknowns", catch)
    path = written(rows, tmp_path / "a.parquet", row_group_size=900)
    for data in (path, relation(rows), dd.from_pandas(rows, npartitions=2)):
        with pytest.raises(Caught) as caught, dask.config.set(scheduler="synchronous"):
            bc.fit(model, data, **FAST)
        [small] = caught.value.args
        assert small["t_counts"].get_value().sum() == len(rows)
        assert len(small["t_counts"].get_value()) == 12
        assert {v.name for v in small.free_RVs} == {"al", "b", "lam", "s", "c", "unread"}
    whole = bc.compress(model, rows)
    start = whole.initial_point()
    rng = np.random.default_rng(5)
    moved = {n: np.asarray(v + rng.normal(0, 0.3, np.shape(v))) for n, v in start.items()}
    moved["p_logodds__"] = start["p_logodds__"]
    mine, theirs = small.compile_logp(), whole.compile_logp()
    names = set(small.initial_point())
    points = [{n: v for n, v in point.items() if n in names} for point in (start, moved)]
    change = mine(points[1]) - mine(points[0])
    np.testing.assert_allclose(change, theirs(moved) - theirs(start), rtol=1e-9)


@pytest.mark.slow  # two Markov chains are compiled and run
def test_equations_that_are_not_conjugate_are_fitted_from_gathered_numbers(loose, tmp_path):
    model, rows = loose
    path = written(rows, tmp_path / "a.parquet", row_group_size=900)
    options = {**FAST, "draws": 800}
    found, whole = bc.fit(model, path, **options), bc.fit(model, rows, **options)
    np.testing.assert_array_equal(found.posterior["p"], whole.posterior["p"])
    assert found.methods["p"] == "conjugate (Beta)"
    assert any(m == "compressed (nuts)" and "lam" in n for n, m in found.methods.items())
    assert any("of t is compressed to 12 distinct rows" in n for n in found.notes)
    one, other = found.summary(), whole.summary()
    spread = np.hypot(one["mcse_mean"], other["mcse_mean"])
    # ten numbers, each within 4.5 standard errors: false alarms 7e-5
    assert float((abs(one["mean"] - other["mean"]) / spread).drop("p").max()) < 4.5
    question = bc.ATE("x", "t")
    # two means of 1,600 draws, effectively 500 or more, of sd 0.02: six standard errors
    assert abs(bc.estimate(found, question).mean() - bc.estimate(whole, question).mean()) < 0.008


def test_vectors_come_in_columns_of_their_own(tmp_path):
    with pm.Model(coords={"unit": [0], "taste": ["sweet", "sour"]}) as model:
        v = pm.MvNormal("v", np.zeros(2), np.eye(2), dims=("unit", "taste"))
        a, b = pm.Normal("a"), pm.Normal("b", shape=2)
        pm.Normal("y", a + v @ b, 1, dims="unit")
    values = np.random.default_rng(2).normal(size=(60, 3))
    rows = pd.DataFrame(values, columns=["v[sweet]", "v[sour]", "y"])
    found = bc.fit(model, written(rows, tmp_path / "a.parquet"), **FAST)
    assert gap(found, bc.fit(model, rows, **FAST)) < 1e-9
    assert next(found.data.chunks(7))["v"].shape == (7, 2)


def test_data_of_the_units_and_supports_that_depend_on_them(tmp_path):
    with pm.Model(coords={"unit": [0]}) as model:
        trials = pm.Data("trials", [1], dims="unit")
        p = pm.Beta("p", 1, 1)
        pm.Binomial("hits", trials, p, dims="unit")
    rows = pd.DataFrame({"trials": [3, 5, 9, 9], "hits": [1, 5, 2, 9]})
    found = bc.fit(model, written(rows, tmp_path / "a.parquet"), **FAST)
    assert gap(found, bc.fit(model, rows, **FAST)) < 1e-9
    rows["hits"] = [4, 5, 2, 10]
    with pytest.raises(DataError, match=r"'hits' is 4.* in 2 of the 4 rows .*outside the support"):
        bc.fit(model, written(rows, tmp_path / "b.parquet"), **FAST)
    with pytest.raises(DataError, match=r"no column for 'trials', pm.Data of the model"):
        bc.fit(model, written(rows[["hits"]], tmp_path / "c.parquet"), **FAST)


# ------------------------------------------------------------------------------- refused


class Unread(ArrowSource):
    """A source that must not be read."""

    def __init__(self, rows):
        super().__init__(ds.dataset(pa.Table.from_pandas(rows, preserve_index=False)), "the rows")

    def batches(self, columns, rows=0):
        raise AssertionError("rows were read")

    head = distinct = reduce = batches


def logistic(rows=None):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b")
        pm.Bernoulli("y", logit_p=a + b * x, dims="unit")
    return model


ROWS = pd.DataFrame({"x": [0.5, -1.0, 0.2], "y": [0, 1, 1]})


def test_a_model_that_is_not_compressible_says_so_before_reading_and_names_the_equation():
    with pytest.raises(ModelError, match=r"equation of 'y' cannot be fitted in one pass.*No row"):
        bc.fit(logistic(), Unread(ROWS), **FAST)


@pytest.mark.parametrize(
    ("make", "rows", "error", "message"),
    [
        (logistic, ROWS[["x"]].assign(yy=1), ModelError, r"'y' has no column.*Did you mean 'yy'"),
        (logistic, pd.DataFrame({"X1": [1.0]}), DataError, r"No column of the rows.*among: x, y"),
        (
            logistic,
            ROWS.assign(x=pd.Timestamp("2020")),
            DataError,
            r"column of 'x' holds timestamp",
        ),
    ],
)
def test_what_the_columns_lack_is_said_before_reading(make, rows, error, message):
    with pytest.raises(error, match=message):
        bc.fit(make(), Unread(rows), **FAST)


def linear(sigma=1.0):
    with pm.Model(coords={"unit": [0]}) as model:
        a, b = pm.Normal("a"), pm.Normal("b")
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", a + b * x, sigma, dims="unit")
    return model


def test_shapes_that_are_no_rows_are_refused_before_reading():
    with pytest.raises(BayesCausalError, match=r"method='nuts' is for rows in memory"):
        bc.fit(linear(), Unread(ROWS), method="nuts", **FAST)
    with pm.Model(coords={"unit": range(3)}) as model:
        b = pm.Normal("b")
        pm.Normal("y", b * np.arange(3.0), 1, dims="unit")
    with pytest.raises(FixedUnitsError, match=r"arrays of length 3 of its own"):
        bc.fit(model, Unread(ROWS), **FAST)
    with pm.Model(coords={"unit": range(3)}) as model:
        x = pm.Normal("x", dims="unit", observed=[0.0, 1.0, 2.0])
        b = pm.Normal("b")
        pm.Normal("y", b * x, 1, dims="unit")
    with pytest.raises(ModelError, match=r"observes 'x' itself"):
        bc.fit(model, Unread(ROWS), **FAST)
    with pm.Model(coords={"school": [0], "pupil": [0]}) as model:
        a = pm.Normal("a")
        pm.Normal("y", a, 1, dims=("school", "pupil"))
    with pytest.raises(ModelError, match=r"several dims \(school, pupil\)"):
        bc.fit(model, Unread(ROWS), **FAST)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"humid": [0.1, None, np.nan, 1.0]}, r"'humid' is empty in 2 of the 4 rows"),
        ({"dilution": [True, None, None, None]}, r"'dilution' is empty in 3 of the 4 rows"),
        ({"where": ["north", "east", "east", "west"]}, r"does not know in 2 of.*'east'"),
        ({"faults": [0.0, 1.5, 2.0, 2.5]}, r"'faults' is not a whole number in 2 of.*as 1.5"),
        ({"faults": [0, -1, 2, -3]}, r"'faults' is -1, or another.* in 2 of.*Poisson"),
        ({"where": [0, 3, 1, 2]}, r"'where' is 3.*1 of the 4 rows.*an integer from 0 to 2"),
        ({"coating": [0.0, np.inf, 1.0, 1.0]}, r"'coating' is inf in 1 of the 4 rows"),
        ({"where": [None, 0, 1, 2], "coating": [None] * 4}, r"'(where|coating)' is empty.*Also"),
    ],
)
@pytest.mark.parametrize("engine", ["arrow", "duckdb"])
def test_rows_that_do_not_fit_are_counted_and_refused(change, message, engine, mixed):
    rows = {
        "where": [0, 1, 2, 0],
        "humid": [0.0, 1.0, 2.0, 3.0],
        "dilution": [True, False, True, True],
        "faults": [0, 1, 2, 3],
        "coating": [0.0, 1.0, 2.0, 4.0],
        **change,
    }
    table = pa.table(rows)
    data = ds.dataset(table) if engine == "arrow" else duckdb.connect().from_arrow(table)
    with pytest.raises(DataError, match=message):
        bc.fit(mixed, data, **FAST)


def test_bad_rows_counted_by_the_engine_are_refused_too():
    stones = datasets.kidney_stones()
    bad = stones.data.assign(success=stones.data["success"] * 2)
    for data in (relation(bad), ds.dataset(pa.Table.from_pandas(bad))):
        with pytest.raises(DataError, match=r"'success' is 2, or .* in 562 of the 700 rows"):
            bc.fit(stones.model, data, **FAST)


def test_labels_where_numbers_belong_are_refused():
    rows = pd.DataFrame({"x": ["a", "b"], "y": [0.0, 1.0]})
    with pytest.raises(DataError, match=r"'x' holds labels.*model says Normal, not categorical"):
        bc.fit(linear(), Unread(rows), **FAST)


def test_a_form_that_the_numbers_contradict_is_refused(tmp_path):
    with pm.Model(coords={"unit": [0], "k": range(2)}) as model:
        p = pm.Beta("p", 1, 1, dims="k")
        x = pm.Poisson("x", 1.0, dims="unit")
        pm.Bernoulli("y", 0.5 * p[0] * x, dims="unit")
    rows = pd.DataFrame({"x": [0, 1, 2], "y": [0, 1, 1]})
    with pytest.raises(ModelError, match=r"equation of 'y'"):
        bc.fit(model, written(rows, tmp_path / "a.parquet"), **FAST)


def test_empty_missing_and_broken_files_are_refused(tmp_path):
    empty = written(ROWS.iloc[:0], tmp_path / "empty.parquet")
    with pytest.raises(DataError, match="has no rows"):
        bc.fit(linear(), empty, **FAST)
    with pytest.raises(DataError, match="has no rows"):
        bc.fit(linear(), relation(ROWS.iloc[:0]), **FAST)
    with pytest.raises(DataError, match=r"no Parquet file at .*gone.parquet"):
        bc.fit(linear(), tmp_path / "gone.parquet", **FAST)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"no Parquet file at .*none"):
        bc.fit(linear(), tmp_path / "none", **FAST)
    (tmp_path / "text.parquet").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r"text.parquet cannot be read"):
        bc.fit(linear(), tmp_path / "text.parquet", **FAST)
    wrong = relation(ROWS.assign(z="a")).project("z::int as x, y::double as y")
    with pytest.raises(DataError, match=r"DuckDB relation cannot be read"):
        bc.fit(linear(), wrong, **FAST)


def test_files_of_different_columns_are_refused(tmp_path):
    written(ROWS, tmp_path / "a.parquet")
    written(ROWS.drop(columns="y"), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"'y' is empty in 3 of the 6 rows"):
        bc.fit(linear(), tmp_path, **FAST)


@pytest.mark.parametrize(
    ("package", "data", "extra"),
    [("pyarrow", "rows.parquet", "duckdb"), ("duckdb", None, "duckdb"), ("dask", None, "dask")],
)
def test_an_engine_that_is_not_installed_is_named_with_its_extra(package, data, extra, monkeypatch):
    data = data or (relation(ROWS) if package == "duckdb" else dd.from_pandas(ROWS, npartitions=1))
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.partition(".")[0] in ("pyarrow", package):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    for name in [n for n in sys.modules if n.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", absent)
    monkeypatch.setattr(source, "required", source.required)
    with pytest.raises(BayesCausalError, match=rf"not installed.*bayescausal\[{extra}\]"):
        open_source(data)


# -------------------------------------------------------------- the record, and in memory


def test_a_fit_without_its_rows_says_so(mixed, rows, tmp_path):
    fit = bc.fit(mixed, written(rows, tmp_path / "a.parquet"), **FAST)
    for ask in (
        lambda: fit.value("humid"),
        lambda: fit.columns["humid"],
        lambda: fit.data["humid"],
        lambda: fit.save(tmp_path / "fit.nc"),
        lambda: bc.worlds(fit, {"one": {"dilution": 1}}),
        lambda: bc.counterfactual(fit, {"dilution": 1}, variables="coating"),
    ):
        with pytest.raises(DataError, match="not in memory"):
            ask()
    assert not (tmp_path / "fit.nc").exists()
    assert "humid" in fit.columns
    assert fit.columns.get("humid") is None
    assert fit.latent == ()
    assert fit.data.sizes["unit"] == len(fit.data.index) == len(rows)
    assert "5,000 rows of" in repr(fit.data)
    assert "5000 units" in repr(fit)
    blocks = list(fit.data.chunks(1_999))
    assert [len(b["humid"]) for b in blocks] == [1_999, 1_999, 1_002]
    for name in fit.data.columns:
        found = np.concatenate([b[name] for b in blocks])
        np.testing.assert_array_equal(found, rows[name])
    with pytest.raises(DataError, match="cannot advance"):
        next(fit.data.chunks(0))
    assert fit.data.ignored == ("note",)


def test_what_needs_all_rows_reads_them_into_memory(tmp_path, monkeypatch):
    path = written(ROWS, tmp_path / "a.parquet")
    known = bc.truth(linear(), {"a": 0.0, "b": 1.0}, path)
    np.testing.assert_array_equal(known.value("x"), ROWS["x"])
    assert bc.prior(linear(), path, draws=3).sizes["unit"] == 3
    table = pa.table({"x": [decimal.Decimal("0.5")], "y": [1.0]})
    known = bc.truth(linear(), {"a": 0.0, "b": 1.0}, ds.dataset(table))
    assert known.value("x").tolist() == [0.5]
    monkeypatch.setattr(source.in_memory, "__defaults__", (5,))
    with pytest.raises(DataError, match=r"more than 5 cells, and all rows are needed"):
        bc.truth(linear(), {"a": 0.0, "b": 1.0}, path)


def test_tallies_add():
    one = distinct_rows.count_rows(
        pa.record_batch({"a": [1, 1, None], "b": ["x", "x", "y"]}), ["a", "b"]
    )
    two = distinct_rows.count_rows(pa.record_batch({"a": [1, 2], "b": ["x", "x"]}), ["a", "b"])
    both = distinct_rows.merged(one, two).to_pylist()
    assert {(r["a"], r["b"]): r[distinct_rows.COUNT] for r in both} == {
        (1, "x"): 3,
        (None, "y"): 1,
        (2, "x"): 1,
    }
    none = distinct_rows.count_rows(pa.record_batch({"a": [1, 2]}), [])
    assert distinct_rows.merged(none, none)[distinct_rows.COUNT].to_pylist() == [4]


FAMILIES = {
    "normal": (lambda m, k, d: pm.Normal("y", m, k, dims=d), lambda r, w: r.normal(w, 1 + w)),
    "log_normal": (
        lambda m, k, d: pm.LogNormal("y", m, k, dims=d),
        lambda r, w: np.exp(r.normal(w, 1)),
    ),
    "exponential": (
        lambda m, k, d: pm.Exponential("y", lam=k, dims=d),
        lambda r, w: r.exponential(1.0 + w),
    ),
    "gamma": (
        lambda m, k, d: pm.Gamma("y", alpha=k, beta=1 + m**2, dims=d),
        lambda r, w: r.gamma(2.0 + w),
    ),
    "inverse_gamma": (
        lambda m, k, d: pm.InverseGamma("y", alpha=k, beta=1 + m**2, dims=d),
        lambda r, w: 1 / r.gamma(2.0 + w),
    ),
    "beta": (
        lambda m, k, d: pm.Beta("y", alpha=k, beta=1 + m**2, dims=d),
        lambda r, w: r.beta(2.0 + w, 3.0),
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_means_of_a_family_add_up_over_pieces_like_rows_in_memory(family):
    """Discrete parents, a continuous outcome: points from nine pieces are those of all rows."""
    from bayescausal.inference.closed_forms.compress import reducible
    from bayescausal.inference.closed_forms.reduce import CellTerm
    from bayescausal.inference.data.conform import Conformed
    from bayescausal.inference.stream.grouped_equations import PointSums
    from bayescausal.model.structure.read import structure_of

    law, draw = FAMILIES[family]
    with pm.Model(coords={"unit": [0], "region": range(3)}) as model:
        where = pm.Categorical("where", p=np.ones(3) / 3, dims="unit")
        t = pm.Bernoulli("t", 0.5, dims="unit")
        m = pm.Normal("m", 0, 1, dims="region")
        k = pm.Gamma("k", 2, 1, dims="region")
        law(m[where] + 0.1 * t, k[where], "unit")
    rng = np.random.default_rng(4)
    data = {"where": rng.integers(0, 3, 900), "t": rng.integers(0, 2, 900)}
    data["y"] = draw(rng, data["where"])
    structure = structure_of(model, unit_dims="unit")
    known = Conformed(dict.fromkeys(data), {}, (), {}, {}, {}, ())
    options = reducible(structure, known, ["y"])["y"]
    [term] = [o for o in options if isinstance(o, CellTerm)]
    sums = PointSums(term)
    cuts = np.array_split(np.argsort(rng.random(900)), 9)
    parts = [pickle.loads(pickle.dumps(sums.statistics({n: v[c] for n, v in data.items()})))
             for c in cuts]  # fmt: skip
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    found, whole = total.numbers(term, data), term.measure(data)
    assert set(found) == set(whole)
    for name in whole:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-12, atol=1e-12, err_msg=name)


def test_sums_of_a_concentrated_gamma_lose_nothing():
    """Relative spread 1e-6: log(A/G) is 5e-13, and must be right to many digits after adding."""
    from bayescausal.inference.closed_forms.points import POINTS

    rng = np.random.default_rng(2)
    y = 1 + 1e-6 * rng.normal(size=4000)
    family, one = POINTS["GammaRV"], np.zeros(2000, dtype=int)
    halves = [family.summaries(h, one, np.array([2000.0])) for h in np.split(y, 2)]
    weights, code = np.full(2, 2000.0), np.zeros(2, dtype=int)
    merged = family.merged(np.concatenate(halves, axis=1), weights, code, np.array([4000.0]))
    exact = np.mean((y / y.mean() - 1) ** 2) / 2  # to relative order 1e-6
    assert merged[1, 0] == pytest.approx(exact, rel=1e-5)


@pytest.mark.slow
def test_a_gamma_outcome_with_discrete_parents_is_fitted_in_one_pass(tmp_path):
    with pm.Model(coords={"unit": [0], "arm": range(2)}) as model:
        t = pm.Bernoulli("t", 0.4, dims="unit")
        shape = pm.Gamma("shape", 2, 1)
        mean = pm.Gamma("mean", 2, 1, dims="arm")
        pm.Gamma("y", alpha=shape, beta=shape / mean[t], dims="unit")
    rng = np.random.default_rng(3)
    t = rng.integers(0, 2, 3000)
    data = pd.DataFrame({"t": t, "y": rng.gamma(2.0, (1.0 + t) / 2.0)})
    path = written(data, tmp_path / "gamma.parquet", row_group_size=500)
    options = {"seed": 2, "draws": 300, "chains": 2, "progressbar": False}
    found, whole = bc.fit(model, str(path), **options), bc.fit(model, data, **options)
    assert found.methods == whole.methods == {"mean, shape": "compressed (nuts)"}
    for name in ("mean", "shape"):  # the same numbers up to rounding, which chains amplify
        one, two = found.posterior[name], whole.posterior[name]
        gap = one.mean(("chain", "draw")) - two.mean(("chain", "draw"))
        assert (np.abs(gap) < 5 * np.sqrt(2 / 150) * two.std(("chain", "draw"))).all()
    assert any("4 points for 3,000 rows" in note for note in found.notes)
