"""Pictures of effects: what is drawn is what the draws say, on the axes that were given."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch

import bayescausal as bc
from bayescausal.draws.digits import numbers
from bayescausal.draws.intervals import hdi
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands import ATE, DoseResponse
from bayescausal.figures import style
from bayescausal.figures.read import percent
from bayescausal.types import DataError, EstimandError, UnknownVariableError

DRAWS = np.random.default_rng(1).normal(0.2, 0.1, 2000)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def cells(dim, labels, centres, size=400):
    draws = np.random.default_rng(2).normal(centres, 0.2, (2, size, len(labels)))
    return xr.DataArray(draws, dims=("chain", "draw", dim), coords={dim: labels})


def words(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def line(ax, label: str):
    [found] = [each for each in ax.lines if str(each.get_label()).startswith(label)]
    return found


# ------------------------------------------------------------------------------- one number


def test_interval_mean_and_shares_are_counted_from_the_draws():
    ax = bc.plot_effect(DRAWS, reference=0, rope=(-0.1, 0.1), truth=0.25, label="gain")
    assert np.allclose(line(ax, "94% HDI").get_xdata(), hdi(DRAWS))
    assert np.allclose(line(ax, "mean").get_xdata(), DRAWS.mean())
    assert f"above 0: {percent((DRAWS > 0).mean())}" in words(ax)
    inside = percent(((DRAWS >= -0.1) & (DRAWS <= 0.1)).mean())
    assert f"ROPE -0.1 to 0.1: {inside}" in words(ax)
    assert line(ax, "truth 0.25").get_xdata()[0] == 0.25
    assert ax.get_xlabel() == "gain"


def test_a_reference_far_away_is_said_and_not_drawn():
    near, far = (bc.plot_effect(0.01 * DRAWS + shift, reference=0) for shift in (0.001, 5.0))
    assert near.get_xlim()[0] < 0 < near.get_xlim()[1]
    assert far.get_xlim()[0] > 4.9
    assert "above 0: 100%" in words(far)
    assert [t.get_text() for t in far.texts] == ["0"]
    region = bc.plot_effect(0.01 * DRAWS + 5.0, rope=(-0.1, 0.1))
    assert region.get_xlim()[0] > 4.9
    assert "ROPE -0.1 to 0.1: 0%" in words(region)


def test_one_draw_is_a_line_without_shares():
    ax = bc.plot_effect(Effect([0.4], ATE("x", "y")))
    assert words(ax) == ["value 0.4", "no effect (0)"]


def test_names_with_dollars_are_no_mathematics():
    ax = bc.plot_effect(DRAWS, label="cost $x$")
    ax.figure.canvas.draw()
    assert ax.get_xlabel() == r"cost \$x\$"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prob": 94}, "prob=94"),
        ({"rope": (1, 0)}, "rope="),
        ({"rope": 0.1}, "rope=0.1"),
        ({"truth": "much"}, "truth='much'"),
        ({"reference": np.nan}, "reference=nan"),
    ],
)
def test_bad_options_are_refused_and_leave_no_figure(options, said):
    before = plt.get_fignums()
    with pytest.raises(EstimandError, match=said):
        bc.plot_effect(DRAWS, **options)
    assert plt.get_fignums() == before


def test_several_cells_are_no_single_density():
    with pytest.raises(EstimandError, match=r"several cells \(Z\).*plot_forest"):
        bc.plot_effect(cells("Z", ["a", "b"], [0.0, 1.0]))


# -------------------------------------------------------------------------------------- forest


def test_rows_stand_in_order_with_their_intervals():
    effects = {"men": DRAWS, "women": DRAWS + 1}
    ax = bc.plot_forest(effects, reference=0, truth=[0.2, 1.2])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["men", "women"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    outer = [
        each for each in ax.lines if len(each.get_xdata()) == 2 and each.get_linewidth() == 1.5
    ]
    assert np.allclose(outer[1].get_xdata(), hdi(DRAWS + 1))
    assert any("1.20  [1.0" in t.get_text() or "1.2  [1.0" in t.get_text() for t in ax.texts)


def test_a_line_for_no_effect_only_where_all_agree():
    same = bc.plot_forest([Effect(DRAWS, ATE("x", "y")), Effect(DRAWS, ATE("x", "w"))])
    mixed = bc.plot_forest([Effect(DRAWS, ATE("x", "y")), Effect(DRAWS, null=1.0)])
    assert len(same.lines) == len(mixed.lines) + 1


def test_many_rows_lose_their_names():
    ax = bc.plot_forest(cells("unit", list(range(100)), np.zeros(100), size=20))
    assert list(ax.get_yticks()) == []
    assert ax.get_ylabel() == "100 rows"


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ([], {}, "nothing to draw"),
        ([DRAWS], {"labels": ["a", "b"]}, "2 labels for 1 rows"),
        ([DRAWS], {"truth": [1, 2]}, "2 true values for 1 rows"),
    ],
)
def test_what_does_not_fit_a_forest_is_refused(given, options, said):
    with pytest.raises(EstimandError, match=said):
        bc.plot_forest(given, **options)


# ------------------------------------------------------------------------------- dose, worlds


def test_bands_are_pointwise_intervals_in_order_of_dose():
    draws = cells("dose", [2.0, 0.0, 1.0], [4.0, 0.0, 1.0])
    ax = bc.plot_dose_response(draws, prob=0.94, label="pain", seen=[0.1, np.nan, 1.9])
    mean = line(ax, "mean")
    assert mean.get_xdata().tolist() == [0.0, 1.0, 2.0]
    assert np.allclose(mean.get_ydata(), draws.sortby("dose").mean(("chain", "draw")))
    [band] = ax.collections
    ends = hdi(draws.sortby("dose"))
    corners = band.get_paths()[0].vertices
    assert np.isclose(corners[:, 1].max(), ends.max())
    assert np.isclose(corners[:, 1].min(), ends.min())
    assert line(ax, "doses seen").get_xdata().tolist() == [0.1, 1.9]


def test_a_second_dim_gives_a_curve_each():
    one = cells("dose", [0.0, 1.0], [0.0, 1.0])
    both = xr.concat([one, one + 1], dim="sex").assign_coords(sex=["f", "m"])
    ax = bc.plot_dose_response(both)
    assert {"sex=f", "sex=m"} <= set(words(ax))


@pytest.mark.parametrize(
    ("given", "options", "error", "said"),
    [
        (DRAWS, {}, EstimandError, "one number, not a curve"),
        (cells("Z", ["a", "b"], [0, 1]), {}, EstimandError, "no dim whose labels are numbers"),
        (cells("dose", [0, 1], [0, 1]), {"dose": "dos"}, UnknownVariableError, "mean 'dose'"),
        (cells("dose", [0, 1], [0, 1]), {"truth": [1]}, EstimandError, "1 true values for 2"),
    ],
)
def test_what_is_no_curve_is_refused(given, options, error, said):
    with pytest.raises(error, match=said):
        bc.plot_dose_response(given, **options)


def world_draws(values):
    return xr.DataArray(
        values, dims=("world", "chain", "draw", "unit"), coords={"world": ["low", "high"]}, name="y"
    )


def test_worlds_show_the_average_over_units_across_draws():
    values = np.random.default_rng(3).normal([[[[0.0]]], [[[2.0]]]], 1.0, (2, 2, 100, 30))
    ax = bc.plot_worlds(world_draws(values), order=["high", "low"])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["high", "low"]
    averages = values[1].mean(axis=-1).ravel()
    assert np.allclose(line(ax, "94% HDI").get_xdata(), hdi(averages))


def test_few_whole_numbers_are_discs_with_their_shares():
    values = np.zeros((2, 1, 10, 4))
    values[1, ..., :3] = 1
    ax = bc.plot_worlds(world_draws(values))
    assert [t.get_text() for t in ax.texts] == ["100%", "25%", "75%"]


def test_what_is_no_world_is_refused():
    with pytest.raises(DataError, match=r"from bayescausal\.worlds"):
        bc.plot_worlds([1.0])
    array = world_draws(np.zeros((2, 1, 2, 1)))
    with pytest.raises(UnknownVariableError, match=r"'hihg'.*mean 'high'"):
        bc.plot_worlds(array, order=["hihg"])
    pair = xr.Dataset({"y": array, "z": array})
    with pytest.raises(DataError, match="2 variables: y, z"):
        bc.plot_worlds(pair)
    with pytest.raises(UnknownVariableError, match="'w' is not"):
        bc.plot_worlds(pair, "w")


# ------------------------------------------------------------------------------------- effects


def test_an_effect_picks_its_picture():
    one = Effect(DRAWS, ATE("x", "y")).plot()
    assert one.get_xlabel() == "ATE x -> y"
    forest = Effect(cells("Z", ["a", "b"], [0, 1]), ATE("x", "y", by="Z")).plot()
    assert [t.get_text() for t in forest.get_yticklabels()] == ["Z=a", "Z=b"]
    dose = DoseResponse("dose", "y", values=[0, 1])
    curve = Effect(cells("dose", [0, 1], [0, 1]), dose).plot()
    assert curve.get_xlabel() == "dose"


def test_given_axes_are_used_and_nothing_is_opened():
    _, axes = plt.subplots(1, 2)
    open_before = plt.get_fignums()
    assert Effect(DRAWS).plot(ax=axes[1]) is axes[1]
    assert bc.plot_forest([DRAWS], ax=axes[0]) is axes[0]
    assert plt.get_fignums() == open_before


# --------------------------------------------------------------------------------------- style


@pytest.mark.parametrize("name", ["default", "dark_background"])
@pytest.mark.parametrize("colour", [style.BLUE, style.ORANGE, style.GREEN, style.PURPLE])
def test_marks_stand_out_on_light_and_dark(name, colour):
    with plt.style.context(name):
        light = [luminance(c) for c in (colour, style.paper())]
        text = [luminance(c) for c in (style.ink(), style.paper())]
    assert (max(light) + 0.05) / (min(light) + 0.05) >= 3
    assert (max(text) + 0.05) / (min(text) + 0.05) >= 7


def luminance(colour) -> float:
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_a_wide_legend_is_broken_into_rows():
    ax = plt.figure(figsize=(3, 2)).add_subplot()
    for k in range(4):
        ax.plot([0, 1], label=f"a rather long label {k}")
    style.legend_above(ax)
    assert ax.get_legend().get_window_extent().width <= 1.02 * ax.get_window_extent().width


def test_digits_and_shares():
    assert numbers(0.5, 1.234, -0.004) == ["1.23", "0.00"]
    assert numbers(30.0, 1794.4) == ["1,794"]
    assert [percent(p) for p in (0.0, 1e-5, 0.5, 0.99999, 1.0)] == [
        "0%",
        "< 0.1%",
        "50.0%",
        "> 99.9%",
        "100%",
    ]


# --------------------------------------------------------------------------------- the graph


def ways(ax) -> dict[str, int]:
    """Count the arrow heads of each colour."""
    heads = [p for p in ax.patches if isinstance(p, FancyArrowPatch)]
    found = {"causal": style.ORANGE, "open": style.PURPLE}
    count = {}
    for name, colour in found.items():
        same = [p for p in heads if to_rgb(p.get_edgecolor()[:3]) == to_rgb(colour)]
        count[name] = sum(type(p.get_arrowstyle()).__name__ == "CurveFilledB" for p in same)
    return count


FORK = nx.DiGraph([("Z", "X"), ("Z", "Y"), ("X", "Y"), ("X", "D")])


@pytest.mark.parametrize(
    ("adjustment", "open_edges", "legend"),
    [
        ("auto", 0, {"adjusted for", "causal path"}),
        (["Z"], 0, {"adjusted for", "causal path"}),
        ([], 2, {"open back door", "causal path"}),
        (None, 0, set()),
    ],
)
def test_adjustment_and_open_back_doors_are_marked(adjustment, open_edges, legend):
    ax = bc.plot_graph(FORK, treatment="X", outcome="Y", adjustment=adjustment)
    assert ways(ax) == {"causal": 1, "open": open_edges}
    shown = {t.get_text() for t in ax.texts}
    assert legend <= shown
    assert {"adjusted for", "open back door", "causal path"} & shown == legend


def test_a_latent_confounder_leaves_its_door_open():
    ax = bc.plot_graph("X -> Y; X <-> Y", treatment="X", outcome="Y")
    assert ways(ax) == {"causal": 1, "open": 2}


def test_adjusting_for_a_collider_opens_a_door():
    m_bias = "A -> X; A -> C; B -> C; B -> Y; X -> Y"
    shut = bc.plot_graph(m_bias, treatment="X", outcome="Y", adjustment=[])
    opened = bc.plot_graph(m_bias, treatment="X", outcome="Y", adjustment=["C"])
    assert ways(shut)["open"] == 0
    assert ways(opened)["open"] == 4


def test_an_unknown_adjustment_is_refused():
    with pytest.raises(UnknownVariableError, match="'Q' is not"):
        bc.plot_graph(FORK, treatment="X", outcome="Y", adjustment=["Q"])
