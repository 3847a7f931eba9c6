"""Pictures of units: the marks stand at the numbers, and what is left out is said."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayescausal as bc
from bayescausal.draws.intervals import hdi
from bayescausal.effects.effect import Effect
from bayescausal.reporting.drawn.units import plot_counterfactual, plot_ite
from bayescausal.types import DataError, EstimandError, UnknownVariableError


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def dataset(values, dims=("unit",), worlds=("factual", "counterfactual"), name="y", **coords):
    """Return what counterfactual returns, from values (world, chain, draw, ...)."""
    array = xr.DataArray(np.asarray(values, float), dims=("world", "chain", "draw", *dims))
    return array.assign_coords(world=list(worlds), **coords).to_dataset(name=name)


def continuous(units: int, draws: int = 200, worlds: int = 1, seed: int = 1):
    """Return a seen factual value and Normal counterfactual draws for each unit."""
    rng = np.random.default_rng(seed)
    seen = np.broadcast_to(rng.normal(size=units), (1, 2, draws // 2, units))
    rest = rng.normal(size=(worlds, 2, draws // 2, units)) + seen + 2
    names = ["factual", *(["counterfactual"] if worlds == 1 else "abcdefg"[:worlds])]
    return dataset(np.concatenate([seen, rest]), worlds=names)


def effect(units: int, draws: int = 100, null: float | None = None, seed: int = 2, **labels):
    rng = np.random.default_rng(seed)
    values = rng.normal(np.linspace(-3, 3, units), 0.5, size=(2, draws // 2, units))
    array = xr.DataArray(values, dims=("chain", "draw", "unit"), coords=labels)
    return Effect(array, null=null, name="gain")


def lines(ax):
    """Return the named series of marks, ``name -> (x, y)``, without what is NaN."""
    found = {}
    for line in ax.lines:
        x, y = (np.asarray(v, dtype=float) for v in line.get_data())
        if not str(line.get_label()).startswith("_child"):
            keep = np.isfinite(x)
            found[line.get_label()] = (x[keep], y[keep])
    return found


def segments(ax):
    """Return every interval that is drawn, as rows (low, high, level)."""
    kind = mpl.collections.LineCollection
    parts = [s for c in ax.collections if isinstance(c, kind) for s in c.get_segments()]
    return np.array([(s[0, 0], s[1, 0], s[0, 1]) for s in parts if len(s) == 2])


def words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# ------------------------------------------------------------------- counterfactuals


def test_marks_stand_at_the_factual_value_the_mean_and_the_hdi():
    cf = continuous(20)
    ax = plot_counterfactual(cf, "y", prob=0.8)
    found = lines(ax)
    would = cf["y"].sel(world="counterfactual")
    np.testing.assert_allclose(found["factual"][0], cf["y"].sel(world="factual")[0, 0])
    np.testing.assert_allclose(found["factual"][1], np.arange(20))
    np.testing.assert_allclose(found["counterfactual"][0], would.mean(("chain", "draw")))
    np.testing.assert_allclose(segments(ax)[:, :2], hdi(would, prob=0.8).values)
    np.testing.assert_allclose(segments(ax)[:, 2], np.arange(20))
    assert "80% HDI" in ax.get_xlabel()
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first unit is on top


def test_few_units_have_densities_and_more_have_intervals_alone():
    hills = [len(plot_counterfactual(continuous(n), "y").collections) for n in (12, 13)]
    assert hills == [1 + 12, 1]


def test_a_hill_is_highest_where_its_draws_are():
    ax = plot_counterfactual(continuous(1, draws=4000), "y")
    [hill] = [c for c in ax.collections if isinstance(c, mpl.collections.PolyCollection)]
    outline = hill.get_paths()[0].vertices
    peak = outline[outline[:, 1].argmin(), 0]
    # A Normal of sd 1; 4,000 draws place the mode of their density within some 0.3 of the mean.
    assert peak == pytest.approx(lines(ax)["counterfactual"][0][0], abs=0.4)


def test_several_worlds_have_lanes_of_their_own_and_the_factual_bar_crosses_them():
    ax = plot_counterfactual(continuous(15, worlds=3), "y")
    assert words(ax) == ["factual", "a", "b", "c"]
    found = lines(ax)
    levels = np.array([found[name][1] for name in "abc"])
    assert (np.diff(levels, axis=0) > 0.1).all()
    assert (np.abs(levels - np.arange(15)) < 0.5).all()
    bars = [s for c in ax.collections for s in c.get_segments() if s[0, 0] == s[1, 0]]
    assert len(bars) == 15


def test_what_was_not_seen_has_an_open_mark_and_an_interval():
    cf = continuous(14)
    cf["y"][0, :, :, 3] += np.random.default_rng(3).normal(size=(2, 100))
    ax = plot_counterfactual(cf, "y")
    assert len(lines(ax)["factual"][0]) == 13
    unseen = segments(ax)[-1]
    np.testing.assert_allclose(unseen[:2], hdi(cf["y"][0, ..., 3], prob=0.94).values)
    assert 3 < unseen[2] < 3.5


def test_rounding_is_not_taken_for_something_unseen():
    cf = continuous(14)
    cf["y"][0] *= 1 + 1e-15 * np.random.default_rng(4).normal(size=(2, 100, 14))
    assert len(lines(plot_counterfactual(cf, "y"))["factual"][0]) == 14


def test_whole_numbers_are_discs_with_the_area_of_their_probability():
    seen = np.broadcast_to([0.0, 1.0], (1, 1, 10, 2))
    would = np.array([[1] * 7 + [0] * 3, [1] * 10]).T.reshape(1, 1, 10, 2)
    ax = plot_counterfactual(dataset(np.concatenate([seen, would])), "y")
    found = {}
    for circles in ax.collections:
        filled = len(circles.get_facecolor()) > 0
        places = circles.get_offsets()  # none of the one that is for the legend
        for (x, row), size in zip(places, circles.get_sizes()[: len(places)], strict=True):
            found[filled, float(x), float(row)] = size
    full = found[False, 0.0, 0.0]  # the ring around what was seen
    areas = {key: size / full for key, size in found.items()}
    assert areas == pytest.approx(
        {
            (False, 0.0, 0.0): 1.0,
            (False, 1.0, 1.0): 1.0,
            (True, 0.0, 0.0): 0.3,
            (True, 1.0, 0.0): 0.7,
            (True, 1.0, 1.0): 1.0,
        }
    )
    assert "probability" in ax.get_xlabel()
    assert words(ax) == ["factual", "counterfactual"]


def test_many_whole_numbers_are_intervals():
    values = np.random.default_rng(5).integers(0, 1000, size=(2, 1, 100, 3))
    ax = plot_counterfactual(dataset(values), "y")
    assert "HDI" in ax.get_xlabel()


@pytest.mark.parametrize(
    ("chosen", "rows"),
    [
        ("c", ["c"]),
        (["d", "a"], ["d", "a"]),
        (slice("b", "d"), ["b", "c", "d"]),
        ([True, False, False, True], ["a", "d"]),
    ],
)
def test_units_are_chosen_by_label_slice_or_mask(chosen, rows):
    cf = continuous(4).assign_coords(unit=list("abcd"))
    ax = plot_counterfactual(cf, "y", units=chosen)
    assert [t.get_text() for t in ax.get_yticklabels()] == rows
    seen = cf["y"].sel(world="factual", unit=rows)[0, 0]
    np.testing.assert_allclose(lines(ax)["factual"][0], seen)


def test_units_without_labels_are_chosen_by_position():
    cf = continuous(5)
    ax = plot_counterfactual(cf, "y", units=[4, 0])
    np.testing.assert_allclose(lines(ax)["factual"][0], cf["y"][0, 0, 0, [4, 0]])
    with pytest.raises(DataError, match=r"units=\[7\] is not along 'unit'"):
        plot_counterfactual(cf, "y", units=[7])


def test_several_dims_make_one_row_for_each_cell():
    values = np.random.default_rng(6).normal(size=(2, 1, 50, 2, 3))
    cf = dataset(values, ("school", "pupil"), school=["north", "south"])
    ax = plot_counterfactual(cf, "y", units="south")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["south, 0", "south, 1", "south, 2"]
    assert ax.get_ylabel() == "school, pupil"


def test_what_has_no_units_is_one_row():
    values = np.random.default_rng(8).normal(size=(2, 1, 50))
    ax = plot_counterfactual(dataset(values, ()), "y")
    assert len(lines(ax)["counterfactual"][0]) == 1
    assert ax.get_ylabel() == "y"


def test_many_units_are_thinned_and_the_axis_says_so():
    ax = plot_counterfactual(continuous(1203, draws=20), "y")
    assert len(lines(ax)["factual"][0]) == 500
    assert ax.get_ylabel() == "unit (500 of 1,203 drawn)"
    assert not ax.get_yticklabels()
    assert plot_counterfactual(continuous(500, draws=20), "y").get_ylabel() == "unit (500)"


def test_impossible_draws_are_left_out_and_counted():
    cf = continuous(15)
    cf["y"][1, 0, :40, 2] = np.nan
    cf["y"][1, ..., 5] = np.nan
    ax = plot_counterfactual(cf, "y")
    assert ax.get_ylabel() == "unit (2 impossible under the model in some draws)"
    left = cf["y"][1, ..., 2].values
    assert lines(ax)["counterfactual"][0][2] == pytest.approx(left[np.isfinite(left)].mean())
    assert len(lines(ax)["counterfactual"][0]) == 14


def test_the_answer_of_counterfactual_is_drawn():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        y = pm.Normal("y", 2 * x, 1, dims="unit")
        pm.Bernoulli("z", logit_p=y, dims="unit")
    data = {"x": [1.0, 2.0, 0.0], "y": [2.5, 3.0, 0.5], "z": [1, 1, 0]}
    known = bc.truth(model, {}, data, draws=30, seed=1)
    cf = bc.counterfactual(known, {"x": 0}, coupling="monotone")
    found = lines(plot_counterfactual(cf, "y"))
    # y - 2 x: the noise of each unit, since x = 0
    np.testing.assert_allclose(found["counterfactual"][0], [0.5, -1.0, 0.5])
    assert "probability" in plot_counterfactual(cf, "z").get_xlabel()


def test_given_axes_are_used_and_nothing_is_opened():
    _, axes = plt.subplots(1, 2)
    before = plt.get_fignums()
    assert plot_counterfactual(continuous(3), "y", ax=axes[1]) is axes[1]
    assert plot_ite(effect(3), ax=axes[0]) is axes[0]
    assert plt.get_fignums() == before


def test_dollar_signs_are_shown_as_they_are():
    values = np.random.default_rng(7).normal(size=(2, 1, 50, 2))
    cf = dataset(values, worlds=("factual", "a $5 rise"), name="pay $", unit=["$x$", "y$"])
    ax = plot_counterfactual(cf, "pay $")
    ax.figure.canvas.draw()
    assert words(ax)[-1] == r"a \$5 rise"


def test_wrong_counterfactuals_are_refused():
    cf = continuous(4)
    with pytest.raises(UnknownVariableError, match=r"'yy' is not .* Did you mean 'y'"):
        plot_counterfactual(cf, "yy")
    with pytest.raises(DataError, match="dims world, chain and draw"):
        plot_counterfactual(cf["y"], "y")
    with pytest.raises(DataError, match=r"The worlds are counterfactual.*'factual' and another"):
        plot_counterfactual(cf.isel(world=[1]), "y")
    with pytest.raises(EstimandError, match=r"prob=1\.5"):
        plot_counterfactual(cf, "y", prob=1.5)
    with pytest.raises(DataError, match=r"mask has shape \(2,\).*4 unit labels"):
        plot_counterfactual(cf, "y", units=[True, False])
    with pytest.raises(DataError, match="No unit is selected"):
        plot_counterfactual(cf, "y", units=[False] * 4)
    with pytest.raises(DataError, match=r"not along 'unit'.*labels such as 'a', 'b'"):
        plot_counterfactual(cf.assign_coords(unit=list("abcd")), "y", units="e")
    with pytest.raises(DataError, match="'y' has no units to choose from"):
        plot_counterfactual(cf.isel(unit=0, drop=True), "y", units=0)
    assert plt.get_fignums() == []


# --------------------------------------------------------------------------- effects


def test_the_caterpillar_is_sorted_and_coloured_by_its_intervals():
    # linspace(-3, 3, 9) has steps of 0.75 and the HDI of sd 0.5 is about 0.94 to each side
    given = effect(9).draws.isel(unit=[3, 0, 8, 5, 1, 4, 7, 2, 6])
    whole = Effect(given, name="gain")
    ends = hdi(given, prob=0.94).values
    ax = plot_ite(whole)
    found = lines(ax)
    above, below = (ends[:, 0] > 0).sum(), (ends[:, 1] < 0).sum()
    assert words(ax) == [
        f"above 0: {above}",
        f"includes 0: {9 - above - below}",
        f"below 0: {below}",
    ]
    means = whole.mean().values
    highest = np.sort(means[ends[:, 0] > 0])[::-1]
    np.testing.assert_allclose(found[f"above 0: {above}"][0], highest)
    drawn = segments(ax)
    assert sorted(drawn[:, 2]) == list(range(9))
    by_level = drawn[np.argsort(drawn[:, 2])]
    np.testing.assert_allclose(by_level[:, :2], ends[np.argsort(-means)])


def test_the_order_given_can_be_kept():
    whole = effect(9, unit=list("abcdefghi"))
    ax = plot_ite(whole, order=False)
    assert [t.get_text() for t in ax.get_yticklabels()] == list("abcdefghi")
    by_level = segments(ax)[np.argsort(segments(ax)[:, 2])]
    np.testing.assert_allclose(by_level[:, :2], hdi(whole.draws, prob=0.94).values)
    assert "sorted" not in ax.get_ylabel()
    assert "sorted" in plot_ite(whole).get_ylabel()


def test_the_null_is_that_of_the_scale():
    ax = plot_ite(effect(5, null=1.0))
    assert {word.split(":")[0] for word in words(ax)} == {"above 1", "includes 1", "below 1"}
    assert any((np.asarray(line.get_xdata()) == 1.0).all() for line in ax.lines)


def test_without_a_null_there_is_one_colour_and_no_line():
    named = bc.Expected("y", do={"x": 1})
    ax = plot_ite(Effect(effect(5).draws, estimand=named, name="gain"))
    assert words(ax) == ["5 unit"]
    assert len(ax.lines) == 1


def test_counts_are_of_all_units_though_few_are_drawn():
    whole = effect(1500, draws=20)
    ax = plot_ite(whole)
    assert sum(int(w.split(": ")[1].replace(",", "")) for w in words(ax)) == 1500
    assert sum(len(x) for name, (x, _) in lines(ax).items() if ":" in name) == 500
    assert ax.get_ylabel() == "unit (sorted, 500 of 1,500 drawn)"
    # both ends of the sorted units are drawn
    drawn = np.concatenate([x for name, (x, _) in lines(ax).items() if ":" in name])
    assert drawn.max() == whole.mean().max()
    assert drawn.min() == whole.mean().min()


def test_one_known_draw_is_a_point():
    known = Effect(xr.DataArray([[[0.4, 0.0]]], dims=("chain", "draw", "unit")))
    ax = plot_ite(known)
    assert words(ax) == ["above 0: 1", "includes 0: 1"]


def test_wrong_effects_are_refused():
    with pytest.raises(EstimandError, match=r"gain is one number.*ITE"):
        plot_ite(Effect([1.0, 2.0], name="gain"))
    with pytest.raises(EstimandError, match=r"plot_ite of ndarray.*an Effect"):
        plot_ite(np.ones((4, 3)))
    with pytest.raises(EstimandError, match="prob=0"):
        plot_ite(effect(3), prob=0)
    assert plt.get_fignums() == []
