"""Kind: what a column is was decided in several places, from its values and not its type.

Looked at: Decimals (pandas objects, Arrow, DuckDB), pandas categories whose labels are numbers (in
formulas, in an index of a PyMC model, as groups, in the order of `levels`), booleans, nullable and
Arrow-backed numbers, objects that are integers, dates and durations, polars Enum, tables of target
populations and of evidence whose categories come in another order, streams.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.inference.data.read import read_data
from bayescausal.model.kinds import kind_of
from bayescausal.types import FormulaError

NUMBERS = [
    pd.Series([Decimal("1.5"), Decimal("2")]),
    pd.Series([Decimal("1.5"), Decimal("2")], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
    pd.Series([1.5, 2.0], dtype="Float64"),
    pd.Series([1.5, 2.0], dtype="double[pyarrow]"),
    pd.Series([1.5, 2], dtype=object),
    np.array([1.5, 2.0]),
    np.array([Decimal("1.5"), 2], dtype=object),
]


@pytest.mark.parametrize("column", NUMBERS, ids=lambda c: str(c.dtype))
def test_numbers_are_numbers_in_any_type(column):
    kind = kind_of(column)
    assert (kind.what, kind.values.dtype.kind, kind.values.tolist()) == ("number", "f", [1.5, 2.0])


def test_whole_numbers_labels_dates_and_empty_cells():
    assert kind_of(pd.Series([1, 2], dtype=object)).values.dtype.kind == "i"
    assert kind_of(pd.Series([True, False], dtype="boolean")).values.dtype.kind == "b"
    empty = kind_of(pd.Series([1, None], dtype="Int64")).values
    assert empty[0] == 1
    assert np.isnan(empty[1])
    assert kind_of(pd.Categorical([3, 1], categories=[3, 1])).categories == (3, 1)
    assert kind_of(["1", 2]).what == "label"
    assert kind_of(pd.Series(["a", None])).values.tolist() == ["a", None]
    for date in (dt.date(2020, 1, 1), dt.timedelta(1), pd.Timestamp("2020"), pd.Period("2020")):
        assert kind_of(pd.Series([date])).what == "date"


def decimals(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    x = rng.normal(size=n).round(2)
    return pd.DataFrame({"x": x, "y": (2 * x + rng.normal(0, 0.1, n)).round(2)})


def test_decimals_give_the_slope_of_floats():
    import duckdb

    plain = decimals()
    made = plain.map(lambda v: Decimal(f"{v:.2f}"))
    arrow = pa.table({n: pa.array(made[n], pa.decimal128(8, 2)) for n in made})
    table = duckdb.sql("select cast(x as decimal(8,2)) x, cast(y as decimal(8,2)) y from plain")
    found = []
    for data in (plain, made, arrow, table.arrow().read_all()):
        model = bc.model_from_formulas(["y ~ x"], data=data)
        assert list(model.coords) == ["unit"]
        fit = bc.fit(model, data, seed=1, draws=200, chains=2, progressbar=False)
        found.append(float(bc.estimate(fit, bc.ATE("x", "y"))))
    np.testing.assert_allclose(found, found[0], rtol=1e-9)


# ------------------------------------------------------- labels that are no text


@pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning")
def test_intervals_and_dates_are_labels_by_their_text():
    """`pandas.cut` and dates, in a model that runs chains: coords of samplers are texts."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"age": rng.uniform(0, 3, 90), "day": np.tile([0, 1], 45)})
    data["y"] = (rng.random(90) < 0.3 + 0.1 * data.age).astype(int)
    data["band"] = pd.cut(data.age, [0, 1, 2, 3])
    data["when"] = pd.to_datetime(data.day, unit="D")
    model = bc.model_from_formulas(["y ~ band + (1 | when)"], {"y": "bernoulli"}, data=data)
    assert list(model.coords["band_level"]) == ["(0, 1]", "(1, 2]", "(2, 3]"]
    fit = bc.fit(model, data, seed=1, draws=50, chains=2, progressbar=False)
    one = bc.ATE("band", "y", treated=pd.Interval(2, 3), control=pd.Interval(0, 1))
    two = bc.ATE("band", "y", treated="(2, 3]", control="(0, 1]")
    assert float(bc.estimate(fit, one)) == float(bc.estimate(fit, two))


def test_dictionaries_of_arrow_are_labels():
    """Groups in another order than their means: a line through the codes would miss them."""
    data = grouped()
    data["y"] += np.random.default_rng(1).normal(0, 0.01, len(data))
    column = pa.array(data.g).dictionary_encode()
    for table in (pa.table({"g": column, "y": data.y}), {"g": column, "y": data.y.to_numpy()}):
        model = bc.model_from_formulas(["y ~ g"], data=table)
        fit = bc.fit(model, table, seed=1, draws=200, chains=2, progressbar=False)
        got = float(bc.estimate(fit, bc.ATE("g", "y", treated=1, control=2)))
        assert got == pytest.approx(MEAN[1] - MEAN[2], abs=0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning")
@pytest.mark.parametrize("right", ["bs(x, df=4)", "poly(x, 2)"])
def test_commas_in_the_name_of_a_term_are_no_two_dims(right):
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": rng.normal(size=40), "y": np.tile([0, 1], 20)})
    model = bc.model_from_formulas([f"y ~ {right}"], {"y": "bernoulli"}, data=data)
    fit = bc.fit(model, data, seed=1, draws=50, chains=2, progressbar=False)
    assert fit.posterior[f"b_y_{right}"].ndim == 3


# ------------------------------------------------------- labels that are numbers

MEAN = {0: 0.0, 1: 5.0, 2: -3.0}


def grouped(n: int = 60) -> pd.DataFrame:
    g = np.tile([2, 0, 1], n // 3)
    return pd.DataFrame({"g": g, "y": [MEAN[k] for k in g]})


@pytest.mark.parametrize("levels", [[2, 1, 0], [1, 0, 2], [0, 1, 2]])
@pytest.mark.parametrize("how", ["levels", "category", "shifted", "halves"])
def test_labels_that_are_numbers_keep_their_coefficients(levels, how):
    """b[level] = mean of the level minus that of the reference, so every effect is a difference of
    two means."""
    data, options, add, by = grouped(), {}, 0, 1.0
    if how == "levels":
        options = {"levels": {"g": levels}}
    else:
        add, by = (1, 1.0) if how == "shifted" else (0, 0.5 if how == "halves" else 1.0)
        data["g"] = pd.Categorical(data.g * by + add, categories=[v * by + add for v in levels])
    model = bc.model_from_formulas(["y ~ g"], data=data, **options)
    name = next(d for d in model.coords if d.startswith("g_vs_"))
    labels = [int((v - add) / by) for v in model.coords[name]]
    assert labels == levels[1:]
    reference = MEAN[levels[0]]
    truth = bc.truth(
        model,
        {"b_y_Intercept": reference, "b_y_g": [MEAN[v] - reference for v in labels], "sigma_y": 1},
        data,
    )
    for one, two in [(1, 2), (0, 2), (1, 0)]:
        ask = bc.ATE("g", "y", treated=one * by + add, control=two * by + add)
        assert float(bc.estimate(truth, ask)) == pytest.approx(MEAN[one] - MEAN[two])


@pytest.mark.parametrize("levels", [[2, 1, 0], [3, 1, 2]])
def test_groups_whose_labels_are_numbers_keep_their_effects(levels):
    data = grouped()
    add = min(levels)
    data["g"] = pd.Categorical(data.g + add, categories=levels)
    model = bc.model_from_formulas(["y ~ 1 + (1 | g)"], data=data)
    assert list(model.coords["g_level"]) == levels
    values = {"b_y_Intercept": 0.0, "sigma_y": 1.0, "sd_y_1|g": 1.0,
              "z_y_1|g": [MEAN[v - add] for v in levels]}  # fmt: skip
    truth = bc.truth(model, values, data)
    got = float(bc.estimate(truth, bc.ATE("g", "y", treated=1 + add, control=2 + add)))
    assert got == pytest.approx(MEAN[1] - MEAN[2])


def indexed(labels: list) -> pm.Model:
    with pm.Model(coords={"unit": [0], "group": labels}) as model:
        g = pm.Data("g", np.zeros(1, dtype=int), dims="unit")
        b = pm.Normal("b", dims="group")
        pm.Normal("y", b[g], 1, dims="unit")
    return model


@pytest.mark.parametrize("labels", [[1, 2, 3], [3, 1, 2]])
def test_a_category_of_numbers_is_an_index_by_the_labels_of_the_model(labels):
    data = grouped()
    data["g"] = pd.Categorical(data.g + 1, categories=[1, 2, 3])
    truth = bc.truth(indexed(labels), {"b": [MEAN[v - 1] for v in labels]}, data)
    assert truth.labels["g"] == tuple(labels)
    got = float(bc.estimate(truth, bc.ATE("g", "y", treated=2, control=3)))
    assert got == pytest.approx(MEAN[1] - MEAN[2])


def test_a_modelled_category_whose_levels_are_numbers_in_another_order_needs_labels():
    data = grouped()
    with pytest.raises(FormulaError, match=r"(?s)holds the numbers 2, 1, 0.*pd\.Categorical"):
        bc.model_from_formulas(
            ["g ~ 1", "y ~ g"], {"g": "categorical"}, data=data, levels={"g": [2, 1, 0]}
        )
    data["g"] = pd.Categorical(data.g, categories=[2, 1, 0])
    model = bc.model_from_formulas(["g ~ 1", "y ~ g"], {"g": "categorical"}, data=data)
    truth = bc.truth(
        model,
        {"b_g_Intercept": [0.0, 0.0], "b_y_Intercept": -3.0, "b_y_g": [8.0, 3.0], "sigma_y": 1.0},
        data,
    )
    assert float(bc.estimate(truth, bc.ATE("g", "y", treated=1, control=0))) == pytest.approx(5.0)


# --------------------------------------------------------- tables that come later


def named() -> bc.Fit:
    """Return y = b[g] x, with b = 0, 5, -3 for a, b, c."""
    data = pd.DataFrame({"g": pd.Categorical(list("abcabc"), categories=list("abc"))})
    data["x"] = 1.0
    data["y"] = data.g.map({"a": 0.0, "b": 5.0, "c": -3.0}).astype(float)
    with pm.Model(coords={"unit": [0]}) as model:
        g = pm.Data("g", np.zeros(1, dtype=int), dims="unit")
        x = pm.Data("x", np.zeros(1), dims="unit")
        b = pm.Normal("b", shape=3)
        pm.Normal("y", b[g] * x, 1, dims="unit")
    return bc.truth(model, {"b": [0.0, 5.0, -3.0]}, data)


def test_categories_of_a_target_population_are_those_of_the_fit():
    truth = named()
    others = pd.DataFrame({"g": pd.Categorical(["b", "b"], categories=list("cba")), "x": 1.0})
    got = bc.estimate(truth, bc.ATE("x", "y", population=others))
    assert float(got) == pytest.approx(5.0)
    wrong = pd.DataFrame({"g": pd.Categorical(["z", "b"]), "x": 1.0})
    with pytest.raises(bc.BayesCausalError, match="'z' in the table, which is none"):
        bc.estimate(truth, bc.ATE("x", "y", population=wrong))


def test_categories_of_evidence_are_those_of_the_fit():
    """y = 6 with b = 5: noise 1, which is kept where x is 2: 5 * 2 + 1."""
    seen = pd.DataFrame(
        {"g": pd.Categorical(["b"], categories=list("cba")), "x": [1.0], "y": [6.0]}
    )
    world = bc.counterfactual(named(), {"x": 2.0}, evidence=seen)
    assert float(world["y"].isel(world=-1).mean()) == pytest.approx(11.0)


def test_worlds_and_counterfactuals_take_the_labels_that_effects_take():
    """y = b[g] x: 5 at label b. Text labels have codes too; labels that are numbers have none."""
    fit = named()
    for level in ("b", bc.Set("b"), 1, ["b"] * 6, [1] * 6):
        world = bc.counterfactual(fit, {"g": level}, units=[0, 3] if np.ndim(level) == 0 else None)
        np.testing.assert_allclose(world["y"].isel(world=-1), 5.0)
        both = bc.worlds(fit, {"b": {"g": level}}, variables="y")
        np.testing.assert_allclose(both["y"], 5.0)
    each = bc.Contrast("y", {"g": list("bbbccc")}, {"g": "a"})
    assert float(bc.estimate(fit, each)) == pytest.approx((5 - 3) / 2)
    with pytest.raises(bc.BayesCausalError, match=r"'z' is not a category of 'g'.*one of a, b, c"):
        bc.counterfactual(fit, {"g": "z"})
    data = pd.DataFrame({"g": pd.Categorical([2, 0, 1] * 20, categories=[2, 0, 1]), "y": 0.0})
    model = bc.model_from_formulas(["g ~ 1", "y ~ 0 + g"], families={"g": "categorical"}, data=data)
    (b,) = (v.name for v in model.free_RVs if v.name.startswith("b_y"))
    known = {b: [7.0, 4.0, 1.0], "sigma_y": 1.0}
    known |= {v.name: np.zeros(v.shape.eval()) for v in model.free_RVs if v.name.startswith("b_g")}
    fit = bc.truth(model, known, data)
    effect = float(bc.estimate(fit, bc.ATE("g", "y", treated=2, control=1)))
    assert effect == pytest.approx(7.0 - 1.0)
    pair = {"two": {"g": 2}, "one": {"g": 1}}
    mean = bc.worlds(fit, pair, variables="y")["y"].mean(("chain", "draw", "unit"))
    assert float(mean.sel(world="two") - mean.sel(world="one")) == pytest.approx(effect)
    unit = bc.counterfactual(fit, pair, variables="y", coupling="gumbel")["y"].mean(
        ("chain", "draw", "unit")
    )
    assert float(unit.sel(world="two") - unit.sel(world="one")) == pytest.approx(effect)


RULES = {
    "compared": lambda g, x: x * (g == "b"),
    "where": lambda g, x: np.where(g == "b", x, 0.0),
    "among": lambda g, x: x * np.isin(g, ["b"]),
    "looked up": lambda g, x: (
        x * np.array([{"b": 1.0}.get(v, 0.0) for v in g.ravel()]).reshape(g.shape)
    ),
    "by code": lambda g, x: x * (g == 1),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules_read_the_labels_of_categories(rule):
    """y = b[g] x with x = 1: 5 for the two of six units at b, 0 for others. It was 0: a code is no
    word."""
    contrast = bc.Contrast("y", {"x": bc.Policy(RULES[rule])}, {"x": 0.0})
    assert float(bc.estimate(named(), contrast)) == pytest.approx(5.0 * 2 / 6)
    world = bc.counterfactual(named(), {"x": bc.Policy(RULES[rule])}, variables="y")
    np.testing.assert_allclose(world["y"].isel(world=-1).values.ravel(), [0, 5, 0, 0, 5, 0])


def test_rules_return_labels_or_codes():
    rules = [
        lambda x: np.where(x > 0, "b", "c"),
        lambda x: "b",
        lambda x: np.where(x > 0, 1, 2),
        lambda x: 1,
    ]
    for rule in rules:
        contrast = bc.Contrast("y", {"g": bc.Policy(rule)}, {"g": "c"})
        assert float(bc.estimate(named(), contrast)) == pytest.approx(5.0 + 3.0)
    wrong = bc.Contrast("y", {"g": bc.Policy(lambda x: np.where(x > 0, "z", "c"))}, {"g": "c"})
    with pytest.raises(bc.BayesCausalError, match="'z' is not a category of 'g'"):
        bc.estimate(named(), wrong)


def test_a_range_of_labels_is_refused():
    for asked in ((0, 1), bc.Probability(at_least=1)):
        with pytest.raises(bc.BayesCausalError, match=r"'g': its values are labels \(a, b, c\)"):
            bc.estimate(named(), bc.CATE("x", "y", given={"g": asked}))


def test_words_where_there_are_numbers_are_refused():
    with pm.Model(coords={"unit": [0]}) as model:
        g = pm.Data("g", [0], dims="unit")
        x = pm.Normal("x", dims="unit")
        pm.Normal("y", pm.Normal("b", shape=3)[g] * x, 1, dims="unit")
    fit = bc.truth(
        model, {"b": [1.0, 2.0, 3.0]}, {"g": [0, 1, 2], "x": np.ones(3), "y": np.ones(3)}
    )
    rule = bc.Policy(lambda g, x: x * (g == "north"))
    with pytest.raises(
        bc.BayesCausalError, match="compares g with text, but the model holds numbers"
    ):
        bc.estimate(fit, bc.Contrast("y", {"x": rule}, {"x": 0.0}))


def test_plain_numbers_that_may_be_codes_or_labels_are_refused():
    """A rule reads the labels 2, 0, 1 and not their places; a table must say which it holds."""
    data = pd.DataFrame({"g": pd.Categorical([2, 0, 1] * 20, categories=[2, 0, 1]), "x": 1.0})
    data["y"] = 0.0
    model = bc.model_from_formulas(["g ~ 1", "y ~ 0 + g:x"], {"g": "categorical"}, data=data)
    values = {v.name: np.zeros(v.shape.eval()) for v in model.free_RVs if v.name[:2] == "b_"}
    slopes = next(name for name in values if name.startswith("b_y"))
    fit = bc.truth(model, values | {slopes: [7.0, 4.0, 1.0], "sigma_y": 1.0}, data)
    rule = bc.Policy(lambda g, x: x * (g == 2))
    assert float(bc.estimate(fit, bc.Contrast("y", {"x": rule}, {"x": 0.0}))) == pytest.approx(
        7 / 3
    )
    table = pd.DataFrame({"g": [2, 2], "x": [1.0, 1.0]})
    with pytest.raises(
        bc.BayesCausalError, match=r"(?s)numbers in another order: 2, 0, 1.*Categorical"
    ):
        bc.estimate(fit, bc.ATE("x", "y", population=table))
    table["g"] = pd.Categorical(table.g)
    assert float(bc.estimate(fit, bc.ATE("x", "y", population=table))) == pytest.approx(7.0)


def test_polars_enums_keep_their_order():
    polars = pytest.importorskip("polars")
    data = polars.DataFrame({"g": ["hi", "lo", "mid"] * 4, "y": np.arange(12.0)}).with_columns(
        polars.col("g").cast(polars.Enum(["lo", "mid", "hi"]))
    )
    model = bc.model_from_formulas(["y ~ g"], data=data)
    assert list(model.coords["g_level"]) == ["lo", "mid", "hi"]
    mapping = {"g": pd.Categorical(["hi", "lo"] * 3, categories=["lo", "hi"]), "y": np.arange(6.0)}
    assert list(bc.model_from_formulas(["y ~ g"], data=mapping).coords["g_level"]) == ["lo", "hi"]


def test_streams_read_decimals_and_categories_of_numbers(tmp_path):
    data = grouped(300)
    rng = np.random.default_rng(2)
    data["x"] = rng.normal(size=300).round(2)
    data["y"] += data.x + rng.normal(0, 0.1, 300).round(2)
    data["g"] = pd.Categorical(data.g + 1, categories=[3, 1, 2])
    model = bc.model_from_formulas(["y ~ g + x"], data=data)
    table = pa.Table.from_pandas(data, preserve_index=False)
    x = pa.array([Decimal(f"{v:.2f}") for v in data.x], pa.decimal128(8, 2))
    table = table.set_column(table.schema.get_field_index("x"), "x", x)
    pq.write_table(table, tmp_path / "rows.parquet")
    whole = bc.fit(model, data, seed=1, draws=200, chains=2, progressbar=False)
    path = str(tmp_path / "rows.parquet")
    stream = bc.fit(model, path, seed=1, draws=200, chains=2, progressbar=False)
    ask = bc.ATE("g", "y", treated=2, control=3)
    one, two = (float(bc.estimate(f, ask)) for f in (whole, stream))
    assert one == pytest.approx(two, abs=1e-6)
    assert one == pytest.approx(MEAN[1] - MEAN[2], abs=0.1)


def test_streams_count_numbers_that_equations_take_for_categories(tmp_path):
    """t ~ C(g) was refused, for reading continuous columns."""
    data = pd.DataFrame({"g": [1, 1, 2, 2, 2, 3] * 20, "x": 0.5, "t": [0, 1, 1, 0, 1, 1] * 20})
    data.to_parquet(tmp_path / "rows.parquet")
    for right, counted in (("C(g)", True), ("g", False), ("x", False)):
        model = bc.model_from_formulas(f"t ~ {right}", {"t": "bernoulli"}, data=data)
        table = read_data(model, str(tmp_path / "rows.parquet"), None, passes=True).table
        name = "x" if right == "x" else "g"
        assert table.finite(["t", name]) == counted


@pytest.mark.parametrize("dtype", ["float32", "float16", "Float32", "float[pyarrow]"])
def test_single_precision_means_the_decimal_that_was_stored(dtype):
    """The nearest single to 0.3 is above 0.3, and the range up to 0.3 includes its end."""
    found = kind_of(pd.Series([0.1, 0.2, 0.3, -7.5], dtype=dtype))
    assert found.values.tolist() == [0.1, 0.2, 0.3, -7.5]
    assert found.values.dtype == float


def test_single_precision_keeps_its_value():
    values = np.random.default_rng(0).normal(size=60) * 10.0 ** np.arange(-30, 30)
    values = np.append(values, [0, np.inf, -np.inf, np.nan, 16777216, 1 / 3]).astype("float32")
    found = kind_of(values).values
    assert np.array_equal(found.astype("float32"), values, equal_nan=True)
    assert np.array_equal(found, values.astype(float), equal_nan=True)  # 1/3 has no few digits


def test_a_range_on_a_column_in_single_precision_has_both_its_ends():
    z = np.array([1, 2, 3, 4], dtype="float32") / np.float32(10)
    with pm.Model(coords={"unit": [0]}) as model:
        z_ = pm.Data("z", [0.0], dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", x * z_, 1, dims="unit")
    data = pd.DataFrame({"z": z, "x": [0, 1, 0, 1], "y": z})
    fit = bc.truth(model, {}, data)
    found = bc.estimate(fit, bc.CATE("x", "y", given={"z": (0.1, 0.3)}))
    assert float(found.mean()) == pytest.approx(0.2, abs=1e-12)
    one = bc.estimate(fit, bc.CATE("x", "y", given={"z": 0.3}))
    assert float(one.mean()) == pytest.approx(0.3, abs=1e-12)


@pytest.mark.parametrize("wide", ["Int128", "UInt128"])
def test_polars_integers_of_128_bits_are_numbers(wide):
    if not hasattr(pl, wide):
        pytest.skip("this polars has none")
    kind = getattr(pl, wide)
    table = pl.DataFrame({"x": pl.Series([1, 2, 4], dtype=kind), "y": [1.0, 2.0, 3.0]})
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Data("x", [0.0], dims="unit")
        pm.Normal("y", pm.Normal("b") * x, 1, dims="unit")
    fit = bc.fit(model, table, draws=20, chains=1, seed=1, progressbar=False)
    assert fit.value("x").tolist() == [1.0, 2.0, 4.0]
    written = bc.model_from_formulas(["y ~ x"], data=table)
    assert written["x"].get_value().tolist() == [1.0, 2.0, 4.0]
