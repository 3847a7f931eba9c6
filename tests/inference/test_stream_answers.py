"""Questions about rows that are not in memory have the answers of the table in memory."""

from __future__ import annotations

import dask
import dask.dataframe as dd
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pymc as pm
import pytest
from models import slope

import bayescausal as bc
from bayescausal import datasets
from bayescausal.effects.averaging.closed_form import ClosedForm
from bayescausal.effects.evaluation.streamed import streamed_run
from bayescausal.inference.stream import source_data as held
from bayescausal.inference.stream.source import ArrowSource
from bayescausal.types import DataError, EmptySubgroupError, EstimandError

FAST = {"seed": 5, "draws": 50, "chains": 2, "progressbar": False}


@pytest.fixture(scope="module")
def stones():
    example = datasets.kidney_stones()
    table = pa.Table.from_pandas(example.data, preserve_index=False)
    whole = bc.fit(example.model, example.data, **FAST)
    relation = duckdb.connect().from_arrow(table)
    return (
        whole,
        bc.fit(example.model, ds.dataset(table), **FAST),
        bc.fit(example.model, relation, **FAST),
    )


@pytest.mark.parametrize(
    "question",
    [
        bc.ATE("treatment", "success"),
        bc.ATT("treatment", "success"),
        bc.ATU("treatment", "success"),
        bc.CATE("treatment", "success", given={"large": 1}),
        bc.CATE("treatment", "success", given=lambda large: large == 0),
        bc.ATE("treatment", "success", by="large"),
        bc.ATE("treatment", "success", scale="odds ratio"),
        bc.Association("treatment", "success"),
        bc.Expected("success", {"treatment": 1}),
        bc.PN("treatment", "success", coupling="monotone"),
        bc.PNS("treatment", "success", coupling="monotone"),
        bc.ATE("treatment", "success", population="model"),
        bc.ATE("treatment", "success", population=pd.DataFrame({"large": [0, 1, 1]})),
    ],
    ids=lambda q: f"{q.label()} {q.population.name}",
)
def test_distinct_rows_answer_like_all_of_them(question, stones):
    whole, *others = stones
    expected = bc.estimate(whole, question)
    for fit in others:
        found = bc.estimate(fit, question)
        np.testing.assert_allclose(found.draws, expected.draws, rtol=0, atol=1e-9)
        assert found.population == expected.population
        assert found.notes == expected.notes
        assert str(found) == str(expected)


def test_the_bootstrap_of_counts_is_the_bootstrap_of_rows():
    """The mean of 200 rows, 60 of them ones: Beta(60, 140) under the Bayesian bootstrap."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.5, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        b = pm.Beta("b", 1, 1)
        pm.Bernoulli("w", b, dims="unit")
        pm.Normal("y", x * z, 1, dims="unit")
    table = pa.table({"z": [1] * 60 + [0] * 140, "x": [0, 1] * 100, "w": [0] * 200,
                      "y": [0.0] * 200})  # fmt: skip
    fit = bc.fit(model, ds.dataset(table), seed=1, draws=2_000, chains=4)
    found = bc.estimate(fit, bc.ATE("x", "y", population="superpopulation"))
    draws = found.draws.values.reshape(-1)
    mean, var = 0.3, 0.3 * 0.7 / 201
    n = len(draws)  # 4.5 standard errors of a mean, 4.5 of a variance (sqrt(2 / n)): P < 1.4e-5
    assert abs(draws.mean() - mean) < 4.5 * np.sqrt(var / n)
    assert abs(draws.var() / var - 1) < 4.5 * np.sqrt(2 / n) * 1.1
    assert found.population.endswith("200 seen")


@pytest.fixture(scope="module")
def mixed():
    with pm.Model(coords={"unit": [0], "region": ["a", "b", "c"]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        g = pm.Categorical("g", p=np.ones(3) / 3, dims="unit")
        share = pm.Beta("share", 1, 1, dims="region")
        t = pm.Bernoulli("t", share[g], dims="unit")
        base = pm.Normal("base", 0, 2, dims="region")
        b, d, e = pm.Normal("b"), pm.Normal("d"), pm.Normal("e")
        sigma = pm.HalfNormal("sigma")
        pm.LogNormal("y", base[g] + b * x + d * t + e * t * x, sigma, dims="unit")
        c = pm.Normal("c")
        pm.Normal("z", c * t * x + 0.3 * x, 1.0, dims="unit")
    rng = np.random.default_rng(1)
    n = 3_000
    rows = pd.DataFrame({"x": rng.normal(size=n), "g": rng.integers(0, 3, n)})
    rows["t"] = rng.random(n) < 0.4
    rows["y"] = np.exp(0.1 * rows.g - 0.5 * rows.x + 0.3 * rows.t + 0.3 * rng.normal(size=n))
    rows["z"] = rows.t * rows.x + 0.3 * rows.x + rng.normal(size=n)
    return model, rows


@pytest.fixture(scope="module")
def three(mixed):
    model, rows = mixed
    plain = ArrowSource.batches.__defaults__
    ArrowSource.batches.__defaults__ = (700,)
    table = pa.Table.from_pandas(rows, preserve_index=False)
    with dask.config.set(scheduler="synchronous"):
        yield (
            bc.fit(model, rows, **FAST),
            bc.fit(model, ds.dataset(table), **FAST),
            bc.fit(model, dd.from_pandas(rows, npartitions=3), **FAST),
        )
    ArrowSource.batches.__defaults__ = plain


@pytest.mark.parametrize(
    "question",
    [
        bc.ATE("t", "z"),
        bc.ATE("t", "y"),
        bc.ATT("t", "y"),
        bc.CATE("t", "z", given={"x": (0, 1)}),
        bc.ATE("t", "z", by="g"),
        bc.ATE("x", "z", treated=bc.Shift(1)),
        bc.Expected("z"),
    ],
    ids=lambda q: q.label() + str(q.by),
)
def test_pieces_add_up_to_the_answer(question, three):
    whole, *others = three
    expected = bc.estimate(whole, question)
    for fit in others:
        found = bc.estimate(fit, question)
        np.testing.assert_allclose(found.draws, expected.draws, rtol=1e-9, atol=1e-9)
        assert found.population == expected.population
        assert found.notes == expected.notes


def test_simulated_noise_differs_between_pieces_and_its_error_is_told():
    """The mean of exp(tanh(noise)) has no closed form: both answers are right within error."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        a = pm.Normal("a")
        m = pm.Normal("m", a + x, 1, dims="unit")
        pm.LogNormal("y", pm.math.tanh(m), 1.0, dims="unit")
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"x": rng.normal(size=2_000)})
    rows["m"] = rows.x + rng.normal(size=2_000)
    rows["y"] = np.exp(np.tanh(rows.m) + rng.normal(size=2_000))
    question = bc.ATE("x", "y", treated=bc.Shift(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArrowSource.batches, "__defaults__", (500,))
        table = pa.Table.from_pandas(rows, preserve_index=False)
        few = {**FAST, "draws": 20}
        found = bc.estimate(bc.fit(model, ds.dataset(table), **few), question)
    expected = bc.estimate(bc.fit(model, rows, **few), question)
    assert 0 < found.mc_error < 0.1
    # 40 draws, each with an error of mc_error: 5 standard errors of one difference, P < 3e-5
    error = np.hypot(found.mc_error, expected.mc_error)
    assert float(abs(found.draws - expected.draws).max()) < 5.5 * error


def test_pieces_of_any_length_take_the_same_replicates():
    """Else long pieces count for less than short ones, and batches without draws for zeros."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        m = pm.Normal("m", x, pm.HalfNormal("s"), dims="unit")
        pm.Normal("y", pm.math.tanh(m), 0.1, dims="unit")
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({n: rng.normal(size=1_024) for n in "xmy"})
    question = bc.Expected("y", {"x": bc.Shift(1)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArrowSource.batches, "__defaults__", (700,))
        fit = bc.fit(model, ds.dataset(pa.Table.from_pandas(rows, preserve_index=False)), **FAST)
        run = streamed_run(fit, question, 1)
        for replicates in (8, 9, 13):  # 700 rows: groups of 2; the 324 after them: of 6
            sums = run.passed(slice(0, 4), replicates)
            np.testing.assert_allclose(sums.den, replicates * 1_024)
            assert (sums.batches != 0).all()
        found = bc.estimate(fit, question)
    assert found.mc_error < 2 * bc.estimate(bc.fit(model, rows, **FAST), question).mc_error


def test_numbers_of_the_models_own_are_not_taken_for_columns_of_a_piece(monkeypatch):
    """Four numbers of the model, and pieces of four rows."""
    scale, g = np.array([1.0, 2.0, 4.0, 8.0]), np.arange(12) % 4
    with pm.Model(coords={"unit": [0], "k": range(4)}) as model:
        x, t = pm.Normal("x", 0, 1, dims="unit"), pm.Bernoulli("t", 0.5, dims="unit")
        group = pm.Categorical("g", p=np.ones(4) / 4, dims="unit")
        w = pm.Normal("w", 0, 1, dims="k")
        pm.Normal("y", (scale * w)[group] * x * (1 + t), 1, dims="unit")
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"x": rng.normal(size=12), "t": np.arange(12) // 6, "g": g})
    rows["y"] = rng.normal(size=12)
    monkeypatch.setattr(ArrowSource.batches, "__defaults__", (4,))
    fit = bc.fit(model, ds.dataset(pa.Table.from_pandas(rows, preserve_index=False)), **FAST)
    found = bc.estimate(fit, bc.ATE("t", "y"))
    w = np.asarray(fit.posterior["w"]) * scale
    np.testing.assert_allclose(found.draws, np.mean(w[..., g] * rows.x.to_numpy(), axis=-1))


def test_a_value_that_is_not_defined_is_not_counted_as_zero(three, monkeypatch):
    run = streamed_run(three[1], bc.ATE("t", "z"), 1)
    right = ClosedForm._averages

    def undefined(self, rows):
        averages, size = right(self, rows)
        return {key: value * np.nan for key, value in averages.items()}, size

    monkeypatch.setattr(ClosedForm, "_averages", undefined)
    assert np.isnan(run.passed(None, 1).num).all()


@pytest.mark.parametrize(
    ("question", "error", "message"),
    [
        (bc.ITE("t", "z"), EstimandError, r"an answer for each of 3,000 units"),
        (bc.ATE("t", "z", population="finite"), EstimandError, r"each unit's own noise"),
        (bc.ATE("t", "y", population="superpopulation"), EstimandError, r"weights each unit anew"),
        (
            bc.ATE("t", "z", population=bc.Superpopulation(clusters="g")),
            EstimandError,
            r"Clusters of 3,000 units",
        ),
        (bc.CATE("t", "z", given=np.ones(3_000, bool)), EstimandError, r"A mask selects rows"),
        (bc.ATE("t", "z", treated=np.ones(3_000, int)), EstimandError, r"a value for each unit"),
        (bc.QTE("t", "y", q=0.5), EstimandError, r"no average over units"),
        (bc.CATE("t", "z", given={"y": (0, 1)}), EstimandError, r"each unit's own noise|coupling"),
        (bc.ATE("t", "z", by="x"), EstimandError, r"by='x' has too many values"),
        (bc.CATE("t", "z", given={"x": (90, 91)}), EmptySubgroupError, r"0 of 3,000 units have"),
        (bc.CATE("t", "z", given={"g": 1, "t": 7}), EmptySubgroupError, r"0 of 3,000 units have"),
    ],
    ids=str,
)
def test_what_needs_all_rows_at_once_is_refused(question, error, message, three):
    with pytest.raises(error, match=message):
        bc.estimate(three[1], question)


def test_rows_that_changed_since_the_fit_are_refused(tmp_path, mixed):
    model, rows = mixed
    path = tmp_path / "rows.parquet"
    rows.to_parquet(path)
    fit = bc.fit(model, path, **FAST)
    rows.iloc[:100].to_parquet(path)
    for question in (bc.ATE("t", "z"), bc.CATE("t", "z", given={"t": 1})):
        with pytest.raises(DataError, match="has 100 rows now, and had 3,000"):
            bc.estimate(fit, question)


def test_a_question_that_reads_nothing_of_the_units_needs_no_pass(three, monkeypatch):
    model = slope()
    table = pa.table({"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 2.5]})
    fit = bc.fit(model, ds.dataset(table), **FAST)

    def never(*_):
        raise AssertionError("rows were read")

    monkeypatch.setattr(ArrowSource, "reduce", never)
    monkeypatch.setattr(held, "distinct_rows", never)
    found = bc.estimate(fit, bc.ATE("x", "y"))
    np.testing.assert_allclose(found.draws, fit.posterior["b"])
    assert found.population == "the 3 units at hand"


@pytest.mark.parametrize(("codes", "said"), [((0, 1, -1), "pandas' code"), ((0, 1, 3), "no entry")])
def test_indexes_beyond_their_table_are_refused_in_a_stream(tmp_path, codes, said):
    """-1 would be the last group, and 3 of three groups none."""
    with pm.Model(coords={"unit": [0], "group": range(3)}) as model:
        g = pm.Data("g", [0], dims="unit")
        pm.Normal("y", pm.Normal("b", 0, 10, dims="group")[g], 1, dims="unit")
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"g": np.resize(codes, 60), "y": rng.normal(size=60)})
    table.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=f"'g' is {codes[2]}, .* in 20 of the 60 rows.*{said}"):
        bc.fit(model, str(tmp_path / "rows.parquet"), progressbar=False)
    table["g"] = np.resize((0, 1, 2), 60)
    table.to_parquet(tmp_path / "rows.parquet")
    assert bc.fit(model, str(tmp_path / "rows.parquet"), progressbar=False).n_draws


@pytest.mark.parametrize("family", ["normal", "bernoulli"])
def test_entries_that_expressions_point_at_are_refused_in_a_stream(family):
    """Year -1 of a group would be its last; entries that all count from the end are meant."""
    coords = {"unit": [0], "group": range(3), "year": range(2)}
    with pm.Model(coords=coords) as model:
        g, t = (pm.Data(n, [0], dims="unit") for n in ("g", "t"))
        mean = pm.Normal("b", 0, 10, dims=("group", "year"))[g - 3, t]
        if family == "normal":
            pm.Normal("y", mean, 1, dims="unit")
        else:
            pm.Bernoulli("y", logit_p=mean, dims="unit")
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {"g": np.arange(120) % 3, "t": np.arange(120) // 3 % 2, "y": rng.integers(0, 2, 120)}
    )

    def fitted(rows):
        source = ds.dataset(pa.Table.from_pandas(rows, preserve_index=False).to_batches(50))
        return bc.fit(model, source, **FAST)

    if family == "normal":  # 20 rows each: the posterior has precision 20 + 1 / 100
        means = table.groupby(["g", "t"])["y"].mean().to_numpy().reshape(3, 2)
        found = fitted(table).posterior["b"].mean(("chain", "draw")).to_numpy()
        gap = np.abs(found - means * 20 / 20.01)
        assert gap.max() < 5 / np.sqrt(20.01 * 100)
    for column, value, entry in (("t", -1, "-1"), ("t", 2, "2"), ("g", 3, "0"), ("g", 6, "3")):
        wrong = table.copy()
        wrong.loc[110, column] = value
        with pytest.raises(DataError, match=f"it reads entry {entry}|it reads entry -[123] "):
            fitted(wrong)
