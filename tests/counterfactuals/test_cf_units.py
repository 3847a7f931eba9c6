"""Which units, which worlds, which models: selections, couplings, panels, latents, messages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from models import pair

import bayescausal as bc
from bayescausal.types import DataError

LABELS = ["ann", "bob", "cid", "dot", "eve"]


def clinic(draws=6):
    with pm.Model(coords={"person": [0]}) as model:
        b = pm.Normal("b", 0, 1)
        x = pm.Bernoulli("x", 0.4, dims="person")
        c = pm.Categorical("c", p=pm.math.stack([0.3, 0.2, 0.5])[None, :], dims="person")
        k = pm.Poisson("k", pm.math.exp(0.5 * x + 0.2 * c), dims="person")
        pm.Normal("y", b * x + k, 1, dims="person")
    data = pd.DataFrame(
        {
            "x": [0, 1, 0, 1, 1],
            "c": [0, 1, 2, 2, 0],
            "k": [1, 4, 0, 2, 3],
            "y": [0.5, 4.0, 0.0, 2.0, 1.0],
        },
        index=pd.Index(LABELS, name="person"),
    )
    return bc.prior(model, data, draws=draws, seed=4)


ASK = {"do": {"x": 1}, "coupling": "monotone"}


@pytest.mark.parametrize(
    ("chosen", "rows"),
    [
        ("dot", [3]),
        (["eve", "bob"], [4, 1]),
        ({"eve", "bob"}, [1, 4]),
        (slice("bob", "dot"), [1, 2, 3]),
        (slice(None, "bob"), [0, 1]),
        (np.array([True, False, False, True, False]), [0, 3]),
        (np.array([True, False, False, True, False], dtype=object), [0, 3]),
        (pd.Series([True, False, False, True, False], LABELS, dtype="boolean"), [0, 3]),
    ],
)
def test_units_by_label_list_slice_and_mask_have_the_same_noise(chosen, rows):
    fit = clinic()
    whole = bc.counterfactual(fit, **ASK)
    some = bc.counterfactual(fit, units=chosen, **ASK)
    assert some["person"].values.tolist() == [LABELS[r] for r in rows]
    for name in ("x", "c", "k", "y"):
        np.testing.assert_array_equal(
            some[name].values, whole[name].isel(person=rows).values, err_msg=name
        )


def test_masks_of_objects_choose_units_whose_labels_are_numbers():
    """As labels, True and False are the numbers 1 and 0."""
    with pm.Model(coords={"unit": [0]}) as model:
        pm.Normal("y", 0, 1, dims="unit")
    fit = bc.truth(model, {}, {"y": [0.1, 0.2, 0.3, 0.4]})
    mask = np.array([False, False, True, True], dtype=object)
    assert bc.counterfactual(fit, {}, units=mask)["unit"].values.tolist() == [2, 3]
    mask[0] = pd.NA
    with pytest.raises(DataError, match=r"empty for 1 of 4 units.*fillna"):
        bc.counterfactual(fit, {}, units=pd.Series(mask, dtype="boolean"))


DAYS = pd.date_range("2020-03-01", periods=4)


@pytest.fixture(scope="module")
def series():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Data("x", np.zeros(1), dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    return bc.truth(model, {}, pd.DataFrame({"x": [0.0, 1, 2, 3], "y": 1.0}, index=DAYS))


@pytest.mark.parametrize(
    ("chosen", "rows"),
    [
        (DAYS[2], [2]),
        ("2020-03-03", [2]),
        (np.datetime64("2020-03-03"), [2]),
        (DAYS[[3, 1]], [3, 1]),
        (slice("2020-03-02", "2020-03-03"), [1, 2]),
    ],
)
def test_units_that_are_dates_are_chosen_as_dates(series, chosen, rows):
    found = bc.counterfactual(series, {"x": 0.0}, units=chosen)
    assert [str(day)[:10] for day in found["unit"].values] == [str(d.date()) for d in DAYS[rows]]


def test_units_that_are_dates_are_shown_as_dates(series):
    """Not as the nanoseconds since 1970."""
    with pytest.raises(DataError, match=r"labels such as '2020-03-01', '2020-03-02'"):
        bc.counterfactual(series, {"x": 0.0}, units="2021-01-01")
    effect = bc.estimate(series, bc.ITE("x", "y", treated=bc.Scale(0.5)))
    assert "-1.5 (unit=2020-03-04) to 0 (unit=2020-03-01)" in effect.sentence()
    days = [str(day.date()) for day in DAYS]
    shown = [text.get_text() for text in bc.plot_forest(effect).get_yticklabels()]
    assert shown == [f"unit={day}" for day in days]
    assert {text.get_text() for text in bc.plot_ite(effect).get_yticklabels()} == {*days}


def test_selected_units_beyond_the_first_block_of_noise():
    """Noise is addressed in blocks of 8,192 units; a selection crosses them."""
    rng = np.random.default_rng(1)
    count = 20_000
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Poisson("k", 2 + x, dims="unit")
    fit = bc.truth(model, {}, {"x": rng.integers(0, 2, count), "k": rng.poisson(2, count)}, draws=2)
    ask = {"do": {"x": 1}, "coupling": "monotone", "variables": "k"}
    whole = bc.counterfactual(fit, **ask)["k"]
    rows = [19_999, 5, 8_191, 8_192, 16_384]
    some = bc.counterfactual(fit, units=rows, **ask)["k"]
    np.testing.assert_array_equal(some.values, whole.isel(unit=rows).values)
    assert len(np.unique(whole.sel(world="counterfactual").values)) > 3


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("bbo", "'bbo' is not a label of 'person'.*Did you mean 'bob'"),
        (["ann", "zoe"], "'zoe' is not a label"),
        (slice("dot", "zed"), "'zed' is not a label"),
        (np.array([True, False]), "mask has shape.*5 person labels"),
        (np.zeros(5, dtype=bool), "No person is selected"),
        (slice("dot", "ann"), "No person is selected"),
    ],
)
def test_units_that_are_not_there(chosen, message):
    with pytest.raises(bc.BayesCausalError, match=message):
        bc.counterfactual(clinic(), units=chosen, **ASK)


def test_several_worlds_and_same_noise_in_separate_calls():
    fit = clinic()
    together = bc.counterfactual(
        fit,
        {"treated": {"x": 1}, "not": {"x": 0}, "more": {"x": 1, "k": bc.Shift(1)}},
        coupling="monotone",
    )
    assert together["world"].values.tolist() == ["factual", "treated", "not", "more"]
    for world, do in {"treated": {"x": 1}, "not": {"x": 0}}.items():
        alone = bc.counterfactual(fit, do, coupling="monotone")
        for name in ("k", "y"):
            np.testing.assert_array_equal(
                alone[name].sel(world="counterfactual").values,
                together[name].sel(world=world).values,
            )
    gap = together["y"].sel(world="more") - together["y"].sel(world="treated")
    np.testing.assert_allclose(gap.values, 1.0, atol=1e-12)
    other = bc.counterfactual(fit, {"x": 0}, coupling="monotone", seed=99)
    assert other.attrs["seed"] == 99
    assert (other["k"].values != together["k"].sel(world=["factual", "not"]).values).any()


def test_shift_scale_and_policy_at_the_level_of_units():
    with pm.Model(coords={"unit": [0]}) as model:
        w = pm.Normal("w", 0, 1, dims="unit")
        x = pm.Normal("x", w, 1, dims="unit")
        pm.Normal("y", 2 * x + w, 1, dims="unit")
    data = {"w": np.array([-1.0, 2.0]), "x": np.array([1.0, -3.0]), "y": np.array([0.0, 5.0])}
    known = bc.truth(model, {}, data)
    worlds = {
        "shift": {"x": bc.Shift(0.5)},
        "scale": {"x": bc.Scale(3)},
        "policy": {"x": bc.Policy(lambda w: w > 0)},
        "own": {"w": 0, "x": bc.Policy(lambda x: x + 1)},
    }
    found = bc.counterfactual(known, worlds)["y"].isel(chain=0, draw=0)
    np.testing.assert_allclose(found.sel(world="shift"), data["y"] + 1)
    np.testing.assert_allclose(found.sel(world="scale"), data["y"] + 4 * data["x"])
    np.testing.assert_allclose(found.sel(world="policy"), data["y"] + 2 * ([0, 1] - data["x"]))
    # with w set to 0 x would have been x - w, and then 1 more
    np.testing.assert_allclose(
        found.sel(world="own"), data["y"] + 2 * (1 - data["w"]) - data["w"], atol=1e-12
    )
    effect = bc.estimate(known, bc.ITE("x", "y", treated=bc.Shift(0.5)))
    np.testing.assert_allclose(effect.draws.values, 1.0, atol=1e-12)
    ruled = bc.estimate(known, bc.ITE("x", "y", treated=bc.Policy(lambda w: w > 0)))
    np.testing.assert_allclose(ruled.draws.values[0, 0], 2 * ([0, 1] - data["x"]), atol=1e-12)


@pytest.mark.parametrize(
    ("coupling", "message"),
    [
        (None, "depends on how the noise of 'k'.*monotone.*gumbel.*Averages"),
        ("monotne", "not known.*Did you mean 'monotone'"),
        ({"c": "gumbel"}, "coupling of 'k' is missing"),
        ({"kk": "monotone"}, "'kk' is not a variable"),
        ({"k": "gumbel"}, "needs a finite set of categories"),
    ],
)
def test_couplings_that_are_missing_or_wrong(coupling, message):
    with pytest.raises(bc.BayesCausalError, match=message):
        bc.counterfactual(clinic(), {"x": 1}, coupling=coupling)


def test_no_coupling_is_asked_for_where_it_does_not_matter():
    fit = clinic()
    bc.counterfactual(fit, {"k": 2})  # only y is recomputed, and it is continuous
    bc.counterfactual(fit, {"x": 1}, variables=["x", "c"])
    found = bc.counterfactual(fit, {"x": 1}, coupling={"k": "monotone"})
    notes = " ".join(found.attrs["notes"])
    assert "Rank preservation" in notes
    assert "Coupling of 'k': monotone" in notes
    assert found.attrs["coupling"] == ["k: monotone"]


@pytest.mark.parametrize(
    ("do", "message"),
    [
        ({"xx": 1}, "'xx' is not a variable"),
        ({"x": 2}, "support|Bernoulli|0 or 1"),
        ({"factual": {"x": 1}}, "called 'factual'"),
        ({"k": [1, 2]}, "length|shape|values"),
    ],
)
def test_worlds_that_are_refused(do, message):
    with pytest.raises(bc.BayesCausalError, match=message):
        bc.counterfactual(clinic(), do, coupling="monotone")


def test_without_units():
    model = pair()
    known = bc.truth(model, {})
    for call in (
        lambda: bc.counterfactual(known, {"x": 1}),
        lambda: bc.abduct(known),
        lambda: bc.estimate(known, bc.ITE("x", "y")),
    ):
        with pytest.raises(bc.BayesCausalError, match="made without data"):
            call()


def test_impossible_values_are_reported_not_hidden():
    with pm.Model(coords={"unit": [0]}) as model:
        s = pm.Uniform("s", 0, 2)
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Uniform("y", 0, s + x, dims="unit")
    known = bc.truth(model, {"s": 1.0}, {"x": [0, 0, 1], "y": [0.5, 1.5, 1.5]})
    found = bc.counterfactual(known, {"x": 1})
    assert any("impossible" in n and "unit 1" in n for n in found.attrs["notes"])
    assert np.isnan(found["y"].sel(world="counterfactual").values.ravel()).tolist() == [
        False, True, False,
    ]  # fmt: skip
    assert "unit 1" in bc.abduct(known).attrs["impossible"]
    with pytest.raises(bc.BayesCausalError, match=r"impossible.*Leave these units out"):
        bc.estimate(known, bc.ITE("x", "y"))


def test_what_follows_from_an_impossible_count_is_not_a_number():
    """A NaN noise cannot be an integer; neither it nor what reads it may look like a value."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        k = pm.Binomial("k", n=3 + 2 * x, p=0.5, dims="unit")
        pm.Normal("y", (k > 2) * 1.0, 1, dims="unit")
    known = bc.truth(model, {}, {"x": [0, 0], "k": [1, 5], "y": [0.0, 1.0]}, draws=3)
    found = bc.counterfactual(known, {"x": 1}, coupling="monotone")
    for name in ("k", "y"):
        assert np.isfinite(found[name].values[..., 0]).all()
        assert np.isnan(found[name].values[..., 1]).all()
    assert (found["x"].sel(world="counterfactual").values == 1).all()
    alone = bc.counterfactual(known, {"x": 1}, variables="y", coupling="monotone")
    assert np.isnan(alone["y"].values[..., 1]).all()


def panel():
    with pm.Model(coords={"unit": range(3), "time": range(4)}) as model:
        a = pm.Normal("a", 0, 1, dims="unit")
        x = pm.Bernoulli("x", logit_p=a[:, None], dims=("unit", "time"))
        pm.Normal("y", a[:, None] + 1.5 * x, 0.5, dims=("unit", "time"))
    return model


def test_a_panel():
    rng = np.random.default_rng(0)
    data = {"a": rng.normal(size=3), "x": rng.integers(0, 2, (3, 4)), "y": rng.normal(size=(3, 4))}
    known = bc.truth(panel(), {}, data)
    found = bc.counterfactual(known, {"x": 1})
    np.testing.assert_allclose(
        found["y"].sel(world="counterfactual").values[0, 0], data["y"] + 1.5 * (1 - data["x"])
    )
    effect = bc.estimate(known, bc.ITE("x", "y"))
    assert effect.draws.dims == ("chain", "draw", "unit", "time")
    np.testing.assert_allclose(effect.draws.values, 1.5, atol=1e-12)
    one = bc.counterfactual(known, {"x": 1}, units=[2])
    np.testing.assert_array_equal(one["y"].values, found["y"].isel(unit=[2]).values)
    noise = bc.abduct(known)["U_y"]
    np.testing.assert_allclose(
        noise.values[0, 0], (data["y"] - data["a"][:, None] - 1.5 * data["x"]) / 0.5
    )


def test_latent_variables_keep_their_draw():
    """A latent cause that the treatment does not reach cancels; one that it reaches is moved."""
    with pm.Model(coords={"unit": [0]}) as model:
        u = pm.Normal("u", 0, 1, dims="unit")
        x = pm.Normal("x", u, 1, dims="unit")
        m = pm.Normal("m", 0.5 * x, 1, dims="unit")
        pm.Normal("y", u + x + 2 * m, 1, dims="unit")
    known = bc.truth(model, {}, {"x": [0.5, 1.0], "y": [2.0, -1.0]}, draws=10, seed=2)
    found = bc.counterfactual(known, {"x": bc.Shift(1)})
    np.testing.assert_allclose(
        found["y"].sel(world="factual").values, np.broadcast_to([2.0, -1.0], (1, 10, 2)), rtol=1e-9
    )
    change = found.sel(world="counterfactual") - found.sel(world="factual")
    np.testing.assert_allclose(change["u"].values, 0.0, atol=1e-12)
    np.testing.assert_allclose(change["m"].values, 0.5, atol=1e-9)
    np.testing.assert_allclose(change["y"].values, 2.0, atol=1e-9)


def test_cells_that_were_imputed():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        m = pm.Normal("m", x, 1, dims="unit")
        pm.Normal("y", m - x, 1, dims="unit")
    data = {"x": [0.5, 1.0, -1.0], "m": [0.2, np.nan, 1.0], "y": [2.0, -1.0, 0.3]}
    known = bc.truth(model, {}, data, draws=8, seed=2)
    found = bc.counterfactual(known, {"x": bc.Shift(1)})
    factual = found.sel(world="factual")
    assert len(np.unique(factual["m"].values[0, :, 1])) == 8
    np.testing.assert_allclose(factual["m"].values[0, :, [0, 2]].T, [[0.2, 1.0]] * 8, rtol=1e-9)
    np.testing.assert_allclose(factual["y"].values[0], [data["y"]] * 8, rtol=1e-9)
    change = found.sel(world="counterfactual") - factual
    np.testing.assert_allclose(change["m"].values, 1.0, atol=1e-9)
    np.testing.assert_allclose(change["y"].values, 0.0, atol=1e-9)


def test_a_treatment_at_the_level_of_schools():
    with pm.Model(coords={"school": range(2), "pupil": range(4)}) as model:
        where = np.array([0, 0, 1, 1])
        t = pm.Bernoulli("t", 0.5, dims="school")
        r = pm.Normal("r", 0.5 * t, 1, dims="school")
        pm.Normal("y", 2 * t[where] + r[where], 1, dims="pupil")
    data = {"t": [0, 1], "r": [0.3, -0.2], "y": [0.0, 1.0, 2.0, 3.0]}
    known = bc.truth(model, {}, data, unit_dims=("school", "pupil"))
    found = bc.counterfactual(known, {"t": 1})
    np.testing.assert_allclose(
        found["y"].sel(world="counterfactual").values.ravel(), [2.5, 3.5, 2.0, 3.0]
    )
    np.testing.assert_allclose(found["r"].sel(world="counterfactual").values.ravel(), [0.8, -0.2])
    np.testing.assert_allclose(found["y"].sel(world="factual").values.ravel(), data["y"])


def test_a_new_random_mechanism_has_noise_of_its_own():
    """Stochastic draws afresh: not the unit's noise pushed through another quantile function."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", 2 * x, 1, dims="unit")
    known = bc.truth(model, {}, {"x": [3.0, 0.0], "y": [6.5, 1.0]}, draws=4_000, seed=1)
    do = {"x": bc.Stochastic(pm.Exponential.dist(1.0))}
    found = bc.counterfactual(known, do).sel(world="counterfactual")
    x, y = found["x"].values[0], found["y"].values[0]
    # an exponential has mean 1, sd 1: 4.5 standard errors; of its sd sqrt((9 - 1) / 4 n)
    assert np.abs(x.mean(axis=0) - 1).max() < 4.5 / np.sqrt(4_000)
    assert np.abs(x.std(axis=0) - 1).max() < 4.5 * np.sqrt(2 / 4_000)
    assert abs(np.corrcoef(x.T)[0, 1]) < 4.5 / np.sqrt(4_000)
    np.testing.assert_allclose(y - 2 * x, np.broadcast_to([0.5, 1.0], y.shape), atol=1e-9)
    one = bc.counterfactual(known, do, units=[1])["x"].values
    np.testing.assert_array_equal(one[1, 0, :, 0], x[:, 1])
    effect = bc.estimate(known, bc.ITE("x", "y", treated=do["x"], control=0))
    np.testing.assert_allclose(effect.draws.values[0], 2 * x, atol=1e-9)


def test_a_new_mechanism_of_what_another_world_reaches_is_refused():
    with pm.Model(coords={"unit": [0]}) as model:
        w = pm.Normal("w", 0, 1, dims="unit")
        x = pm.Normal("x", w, 1, dims="unit")
        pm.Normal("y", 2 * x, 1, dims="unit")
    known = bc.truth(model, {}, {"w": [0.0], "x": [3.0], "y": [6.5]})
    worlds = {"one": {"w": 1}, "two": {"x": bc.Stochastic(pm.Normal.dist(0, 1))}}
    with pytest.raises(bc.BayesCausalError, match=r"'x' is drawn from a new.*separate calls"):
        bc.counterfactual(known, worlds)
