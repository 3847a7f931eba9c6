"""falsify: claims, correction, comparison, suggestions, words, and its error rate."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.checks.falsification.claims import adjusted
from bayescausal.checks.falsification.falsify import falsify
from bayescausal.reporting.falsify import plot_falsification, plot_permutations
from bayescausal.types import (
    DataError,
    EstimandError,
    MixingError,
    UnitDimsError,
    UnknownVariableError,
)

mpl.use("Agg")

GRAPH = "z -> x -> m -> y; z -> y; z -> w; m -> b; w -> b"


def world(seed, rows, direct=0.0):
    """Data of all types from GRAPH, plus an edge x -> y of the given strength."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=rows)
    x = (z + rng.logistic(size=rows) > 0).astype(int)
    m = x + rng.normal(size=rows)
    w = rng.poisson(np.exp(0.5 * z))
    b = m + 0.5 * w - 1 + rng.logistic(size=rows) > 0
    y = m + 0.5 * z**2 + direct * x + rng.normal(size=rows)
    return pd.DataFrame({"z": z, "x": x, "m": m, "w": w, "b": b, "y": y})


@pytest.fixture(scope="module")
def wrong():
    return falsify(GRAPH, world(0, 1000, direct=0.5), seed=1)


def test_a_true_graph_stands_and_beats_permuted_ones():
    found = falsify(GRAPH, world(1, 1000), seed=1)
    assert found.verdict == "not refuted"
    assert not found.refuted
    assert found.as_bad <= 0.05
    assert len(found.permuted_violations) == found.permuted == 50
    assert len(found.suggestions) == 0
    text = found.sentence()
    assert text.startswith("Not refuted: 8 implied independences tested, none fails at level 0.05.")
    assert "It does better than" in text


def test_a_missing_edge_is_found_and_suggested(wrong):
    assert wrong.verdict == "refuted in part"
    refuted = wrong.tests[wrong.tests["refuted"]]
    assert list(refuted["claim"]) == ["x ⊥ y | m, z"]
    [row] = refuted.to_dict("records")
    assert row["effect_lb"] > 0
    assert row["p_value"] <= row["q_value"] <= 0.05
    assert wrong.suggestions["edge"].tolist() == ["x -> y", "x <-> y"]
    assert wrong.suggestions["refuted"].tolist() == [0, 0]
    assert "Adding x -> y would leave nothing refuted; so would x <-> y." in wrong.sentence()


def test_a_scrambled_graph_does_no_better_than_chance():
    data = world(1, 1000)
    mixed = data.rename(columns=dict(zip("zxmwby", "bywmzx", strict=True)))
    found = falsify(GRAPH, mixed, seed=1)
    assert found.verdict == "refuted"
    assert found.as_bad > 0.05
    assert "It does no better than" in found.sentence()


def test_the_summary_and_the_shown_forms(wrong):
    table = wrong.summary()
    assert table.index[0] == "x ⊥ y | m, z"
    assert (np.diff(table["p_value"]) >= 0).all()
    assert ((table["effect_lb"] <= table["effect"]) & (table["effect"] <= table["effect_ub"])).all()
    assert set(table["test"]) <= {"G", "CMH", "GCM", "partial correlation"}
    assert "x ⊥ y | m, z" in repr(wrong)
    assert str(wrong) == wrong.sentence()
    assert "<table" in wrong._repr_html_()


def test_names_are_escaped_in_html():
    rng = np.random.default_rng(1)
    data = {"<b>": rng.normal(size=50), "y": rng.normal(size=50), "c": rng.normal(size=50)}
    shown = falsify('"<b>" -> c <- y', data, permutations=0)._repr_html_()
    assert "<b>" not in shown


def test_the_same_seed_gives_the_same_permutations():
    data = world(2, 300)
    one, two, three = (falsify(GRAPH, data, seed=s).permuted_violations for s in (5, 5, 6))
    assert (one == two).all()
    assert (one != three).any()


def test_few_variables_use_every_permutation_and_say_when_it_tells_little():
    rng = np.random.default_rng(2)
    z = rng.normal(size=400)
    x = z + rng.normal(size=400)
    data = {"z": z, "x": x, "y": x + rng.normal(size=400)}
    found = falsify("z -> x -> y", data)
    assert found.permuted == 6
    assert found.same_claims == pytest.approx(1 / 3)  # the two orders with x in the middle
    flat = falsify("z; x; y", {k: rng.normal(size=50) for k in "zxy"})
    assert flat.same_claims == 1
    assert "make the same claims" in flat.sentence()


def test_a_graph_without_claims_is_untestable():
    rng = np.random.default_rng(3)
    data = {"x": rng.normal(size=30), "y": rng.normal(size=30)}
    found = falsify("x -> y", data)
    assert found.verdict == "untestable"
    assert "no data could refute it" in found.sentence() == repr(found)
    with pytest.raises(EstimandError, match="nothing to draw"):
        plot_falsification(found)
    still = falsify("x; y", {**data, "x": np.ones(30)})
    assert still.verdict == "untestable"
    assert "x is constant" in still.sentence()


def test_an_untested_claim_is_counted_and_named():
    data = world(1, 200).assign(w=1)
    text = falsify(GRAPH, data, permutations=0).sentence()
    assert "not tested (" in text
    assert "w is constant" in text


def test_latents_are_not_tested_and_missing_values_are_left_out():
    data = world(3, 400).drop(columns="z")
    data.loc[:49, "m"] = np.nan
    found = falsify("z [latent]; " + GRAPH, data, permutations=0)
    assert not any("z" in (r.left, r.right, *r.given) for r in found.tests.itertuples())
    assert found.tests.set_index("claim").loc["b ⊥ x | m, w", "rows"] == 350
    assert found.rows == 400


def test_a_model_is_tested_with_what_the_data_measure():
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("u", dims="unit")
        x = pm.Normal("x", u, dims="unit")
        m = pm.Normal("m", x, dims="unit")
        pm.Normal("y", m + u, dims="unit")
    data = bc.simulate(model, {}, units=500, seed=1)
    assert [*falsify(model, data).tests["claim"]] == ["m ⊥ u | x", "x ⊥ y | m, u"]
    found = falsify(model, data.drop(columns="m"))
    assert found.unmeasured == ("m",)
    assert "Taken as unmeasured: m." in found.sentence()
    with pytest.raises(DataError, match="columns for u of"):
        falsify(model, data[["u"]])


def test_units_that_touch_are_refused():
    with pm.Model(coords={"unit": range(5)}) as model:
        x = pm.Normal("x", dims="unit")
        m = pm.Normal("m", x - x.mean(), dims="unit")
        pm.Normal("y", m, dims="unit")
    data = {n: np.arange(5.0) for n in "xmy"}
    with pytest.raises(MixingError, match="units of the model depend on each other"):
        falsify(model, data)
    with pm.Model(coords={"school": range(2), "pupil": range(3)}) as nested:
        x = pm.Normal("x", dims="school")
        pm.Normal("y", x[:, None], dims=("school", "pupil"))
    with pytest.raises(UnitDimsError, match="several unit dims, school, pupil"):
        falsify(nested, {"x": [0.0, 1.0], "y": [0.0, 1.0]}, unit_dims=("school", "pupil"))


def test_mistakes_are_named():
    data = world(1, 50)
    with pytest.raises(UnknownVariableError, match="'z' is not a column of the data"):
        falsify(GRAPH, data.drop(columns="z"))
    with pytest.raises(UnknownVariableError, match="'q' is not a variable of this graph"):
        falsify(GRAPH, data, discrete={"q": True})
    for options, words in (
        ({"level": 1.5}, "level=1.5"),
        ({"correction": "bonferoni"}, "'bonferoni' is not a correction"),
        ({"method": "chi"}, "'chi' is not a test"),
        ({"permutations": -1}, "permutations=-1"),
    ):
        with pytest.raises(EstimandError, match=words):
            falsify(GRAPH, data, **options)
    with pytest.raises(DataError, match="do not make a table"):
        falsify("x; y", {"x": [1.0], "y": [1.0, 2.0]})
    with pytest.raises(DataError, match="several columns named 'x'"):
        falsify("x; y", pd.DataFrame([[1, 2, 3]], columns=["x", "x", "y"]))
    with pytest.raises(DataError, match="no rows"):
        falsify("x; y", pd.DataFrame({"x": [], "y": []}))


def test_corrections():
    p = [0.001, np.nan, 0.2, 0.012, 0.02]
    by = adjusted(p, "benjamini-yekutieli")
    bh = adjusted(p)
    # by hand: 4 p-values; BH 4 p / rank, made monotone; BY times 1 + 1/2 + 1/3 + 1/4
    assert bh[[0, 2, 3, 4]] == pytest.approx([0.004, 0.2, 0.024, 0.08 / 3])
    assert by[[0, 3]] == pytest.approx(np.array([0.004, 0.024]) * 25 / 12)
    assert np.isnan(bh[1])
    assert adjusted(p, "none")[2] == 0.2
    assert adjusted([0.9, 0.95], "benjamini-yekutieli").max() == 1.0


def test_all_separators_and_no_suggestions():
    data = world(0, 500, direct=0.5)
    few = falsify(GRAPH, data, permutations=0, suggest=False)
    many = falsify(GRAPH, data, permutations=0, suggest=False, one_per_pair=False)
    assert len(many.tests) > len(few.tests)
    assert many.refuted
    assert len(many.suggestions) == 0
    assert many.permuted == 0
    with pytest.raises(EstimandError, match="No permuted graph"):
        plot_permutations(many)


def test_the_pictures(wrong):
    ax = plot_falsification(wrong)
    assert [t.get_text() for t in ax.get_yticklabels()] == list(wrong.summary().index)
    assert len(plot_falsification(wrong, most=3).get_yticklabels()) == 3
    assert plot_permutations(wrong, ax=ax) is ax
    mpl.pyplot.close("all")


@pytest.mark.slow
def test_falsify_keeps_its_error_rate_and_finds_a_moderate_edge_at_1000_rows():
    """400 data sets. All claims true: refuted in at most 0.05 * 400 = 20, sd 4.4; 4 sd more is 38.

    An edge x -> y of 0.35 (the outcome's own noise is 1: a partial correlation of 0.15) must be
    found in 80%, the usual mark for a moderate effect: 320, less 4 sd (8) is 288.
    """
    options = {"permutations": 0, "suggest": False}
    false = found = 0
    for seed in range(400):
        false += falsify(GRAPH, world(seed, 1000), **options).refuted
        tests = falsify(GRAPH, world(seed, 1000, direct=0.35), **options).tests
        found += bool(tests.set_index("claim").loc["x ⊥ y | m, z", "refuted"])
    print(f"false refutations {false / 400:.3f}, edge found {found / 400:.3f}")
    assert false <= 38
    assert found >= 288


@pytest.mark.parametrize("categorical", [True, False])
def test_an_index_is_no_number_however_many_groups_there_are(categorical):
    """Two variables that depend on the group alone are independent given it, not given a line."""
    rng = np.random.default_rng(19)
    groups = 20
    w_of = y_of = rng.normal(0, 2, groups)  # on no line and no curve
    g = np.tile(np.arange(groups), 100)
    data = {"g": g, "w": w_of[g] + rng.normal(size=2000), "y": y_of[g] + rng.normal(size=2000)}
    with pm.Model(coords={"unit": [0], "group": range(groups)}) as model:
        if categorical:
            own = pm.Categorical("g", np.full(groups, 1 / groups), dims="unit")
        else:
            own = pm.Data("g", [0], dims="unit")
        a, b = pm.Normal("a", dims="group"), pm.Normal("b", dims="group")
        pm.Normal("w", a[own], 1, dims="unit")
        pm.Normal("y", b[own], 1, dims="unit")
    found = bc.falsify(model, data, permutations=0, seed=1)
    assert found.tests["p_value"].min() > 0.01
    graph = bc.falsify("g -> w; g -> y", data, permutations=0, seed=1)
    assert graph.tests["p_value"].min() < 1e-6  # a graph does not say what the numbers are
    said = bc.falsify("g -> w; g -> y", data, permutations=0, seed=1, discrete={"g": True})
    assert said.tests["p_value"].min() > 0.01
