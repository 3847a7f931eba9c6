"""Scales, functionals, populations and conditions: formulas, words, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from bayescausal.effects.estimands.conditions import EVERYONE, Where, parse_given
from bayescausal.effects.estimands.functionals import Mean, Probability, Quantile, parse_functional
from bayescausal.effects.estimands.notation import LATEX, PLAIN
from bayescausal.effects.estimands.populations import Superpopulation, Target, parse_population
from bayescausal.effects.estimands.scales import SCALES, EffectScale, parse_scale
from bayescausal.types import EstimandError, UndefinedEffectError

probs = st.floats(0.01, 0.99)


# ----------------------------------------------------------------------------- scales


@settings(max_examples=50, deadline=None)
@given(probs, probs)
def test_scales_are_their_formulas(a, b):
    value = {name: float(scale.combine(a, b)) for name, scale in SCALES.items()}
    assert value["difference"] == a - b
    assert value["ratio"] == a / b
    assert value["log ratio"] == pytest.approx(np.log(a) - np.log(b), abs=1e-12)
    assert value["odds ratio"] == pytest.approx(a * (1 - b) / (b * (1 - a)), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(probs)
def test_equal_worlds_give_the_null(a):
    for scale in SCALES.values():
        assert float(scale.combine(a, a)) == pytest.approx(scale.null, abs=1e-12)


def test_a_scale_says_truly_whether_it_is_collapsible():
    """Two strata of weight 1/2: collapsible means the marginal lies within the strata's values."""
    rng = np.random.default_rng(0)
    outside = dict.fromkeys(SCALES, False)
    for _ in range(2000):
        a, b = rng.uniform(0.01, 0.99, size=(2, 2))
        for name, scale in SCALES.items():
            parts = scale.combine(a, b)
            whole = float(scale.combine(a.mean(), b.mean()))
            outside[name] |= not parts.min() - 1e-9 <= whole <= parts.max() + 1e-9
    assert not outside["difference"]
    assert not outside["ratio"]
    assert outside["odds ratio"]
    assert [s.name for s in SCALES.values() if s.collapsible] == ["difference", "ratio"]
    assert "not collapsible" in SCALES["odds ratio"].sentence


@pytest.mark.parametrize(
    ("scale", "a", "b", "message"),
    [
        ("ratio", [0.1, 0.2], [0.0, 0.1], "1 of 2 draws.*is zero.*scale='difference'"),
        ("log ratio", [0.1, 0.2], [0.0, 0.1], "1 of 2 draws"),
        ("log ratio", [-0.1], [0.1], "not both positive"),
        ("log ratio", [0.0], [0.1], "not both positive"),
        ("odds ratio", [1.5], [0.5], "outside \\[0, 1\\].*Probability"),
        ("odds ratio", [1.0], [0.5], "0 or 1, so its odds are 0 or infinite"),
        ("odds ratio", [0.5], [0.0], "0 or 1"),
        ("odds ratio", [0.5], [1.0], "0 or 1"),
    ],
)
def test_where_a_scale_does_not_exist_it_is_refused(scale, a, b, message):
    with pytest.raises(UndefinedEffectError, match=message):
        parse_scale(scale).combine(a, b)


def test_a_scale_keeps_the_dims_of_arrays():
    a = xr.DataArray([[0.2, 0.4]], dims=("chain", "draw"))
    out = parse_scale("odds ratio").combine(a, a / 2)
    assert out.dims == ("chain", "draw")
    np.testing.assert_allclose(out, [[0.25 * 9, (2 / 3) * 4]])


@pytest.mark.parametrize("name", ["odds_ratio", "Odds-Ratio", " odds  ratio "])
def test_spellings_of_a_scale(name):
    assert parse_scale(name) is SCALES["odds ratio"]


def test_scales_are_written():
    text = {name: scale.text("A", "B") for name, scale in SCALES.items()}
    assert text == {
        "difference": "A - B",
        "ratio": "A / B",
        "log ratio": "log(A / B)",
        "odds ratio": "odds(A) / odds(B)",
    }
    assert SCALES["ratio"].write(LATEX, "A", "B") == r"\frac{A}{B}"


@pytest.mark.parametrize("bad", ["differense", 3, None])
def test_an_unknown_scale_is_refused(bad):
    with pytest.raises(EstimandError, match=r"is not a scale.*odds ratio"):
        parse_scale(bad)
    if bad == "differense":
        with pytest.raises(EstimandError, match="Did you mean 'difference'"):
            parse_scale(bad)


def test_a_scale_of_ones_own():
    nnt = EffectScale(
        "nnt", lambda a, b: 1 / (a - b), np.inf, False, "Number needed to treat.",
        lambda n, a, b: n.fraction("1", f"({a} - {b})"),
    )  # fmt: skip
    assert parse_scale(nnt).combine(0.5, 0.25) == 4.0
    assert nnt.text("A", "B") == "1 / (A - B)"


# ------------------------------------------------------------------------ functionals


def test_functionals_of_weighted_values():
    y, w = [0.0, 1.0, 2.0, 10.0], [1.0, 1.0, 1.0, 5.0]
    assert Mean().of(y, w) == 53 / 8
    assert Quantile(0.375).of(y, w) == 2.0
    assert Quantile(0.38).of(y, w) == 10.0
    for event, share in (
        (Probability(above=1), 6 / 8),
        (Probability(below=1), 1 / 8),
        (Probability(between=(1, 2)), 2 / 8),
        (Probability(equals=10), 5 / 8),
        (Probability(at_least=1), 7 / 8),
        (Probability(at_most=1), 2 / 8),
    ):
        assert event.of(y, w) == share
        assert event.of(np.array([y, y]), w).tolist() == [share, share]


def test_nan_is_in_no_event_and_labels_are_compared():
    assert not Probability(below=1).indicator(np.nan)
    assert Probability(equals="a").indicator(np.array(["a", "b"])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("functional", "text", "latex", "shown"),
    [
        (Mean(), "E[Y | Z]", r"\mathbb{E}\left[Y \mid Z\right]", "'mean'"),
        (Quantile(0.9), "Q_0.9[Y | Z]", r"Q_{0.9}\left[Y \mid Z\right]", "Quantile(q=0.9)"),
        (Probability(above=2), "P(Y > 2 | Z)", r"\mathbb{P}\left(Y > 2 \mid Z\right)",
         "Probability(above=2)"),
        (Probability(below=2), "P(Y < 2 | Z)", r"\mathbb{P}\left(Y < 2 \mid Z\right)",
         "Probability(below=2)"),
        (Probability(between=(0, 1)), "P(0 <= Y <= 1 | Z)",
         r"\mathbb{P}\left(0 \le Y \le 1 \mid Z\right)", "Probability(between=(0, 1))"),
        (Probability(equals="a_b"), "P(Y=a_b | Z)",
         r"\mathbb{P}\left(Y=\mathrm{a\_b} \mid Z\right)", "Probability(equals='a_b')"),
        (Probability(at_least=2), "P(Y >= 2 | Z)", r"\mathbb{P}\left(Y \ge 2 \mid Z\right)",
         "Probability(at_least=2)"),
        (Probability(at_most=2), "P(Y <= 2 | Z)", r"\mathbb{P}\left(Y \le 2 \mid Z\right)",
         "Probability(at_most=2)"),
    ],
)  # fmt: skip
def test_functionals_are_written(functional, text, latex, shown):
    assert functional.text("Y", "Z") == text
    assert functional.write(LATEX, "Y", "Z") == latex
    assert repr(functional) == shown


def test_an_event_and_its_complement_cover_every_value():
    y = np.array([-1.0, 0.0, 0.5, 1.0, 3.0])
    for event in (
        Probability(above=1),
        Probability(below=1),
        Probability(between=(0, 1)),
        Probability(equals=1),
        Probability(at_least=1),
        Probability(at_most=1),
    ):
        text = event.event(PLAIN, "y", happens=False).replace("0 <= y <= 1", "((0<=y)&(y<=1))")
        text = text.replace("not ", "~").replace(" != ", "!=")
        other = eval(text, {"y": y})
        assert (event.indicator(y) ^ other).all()


@pytest.mark.parametrize("q", [0, 1, -0.1, 1.5, "0.5", None, float("nan"), [0.5]])
def test_a_quantile_outside_0_1_is_refused(q):
    with pytest.raises(EstimandError, match="0 < q < 1"):
        Quantile(q)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ({}, "found none"),
        ({"above": 1, "below": 2}, "found above, below"),
        ({"above": float("inf")}, "above=inf is not a finite number"),
        ({"above": "tall"}, "is not a finite number.*ask equals='tall'"),
        ({"equals": [1]}, "or a category"),
        ({"between": (2, 1)}, "is not a range"),
        ({"between": 3}, "is not a range"),
        ({"between": (0, np.nan)}, "is not a range"),
    ],
)
def test_a_bad_event_is_refused(events, message):
    with pytest.raises(EstimandError, match=message):
        Probability(**events)


def test_names_of_functionals():
    assert parse_functional("mean") == Mean()
    assert parse_functional("Median") == Quantile(0.5)
    assert parse_functional(Quantile(0.2)) == Quantile(0.2)
    with pytest.raises(EstimandError, match=r"'maen' is not a functional.*Did you mean 'mean'"):
        parse_functional("maen")


# ------------------------------------------------------------------------ populations


def test_populations_say_who_they_are():
    words = {
        name: parse_population(name).words
        for name in ("sample", "finite", "superpopulation", "model")
    }
    assert len(set(words.values())) == 4
    assert "own noise" in words["finite"]
    assert "fresh units" in words["model"]
    assert "over units" in words["superpopulation"]
    assert repr(parse_population("sample")) == "'sample'"


def test_clusters_and_targets():
    by_label = Superpopulation(clusters=[1, 1, 2])
    assert by_label.words.endswith("over clusters")
    assert repr(by_label) == "Superpopulation(clusters=[3 values])"
    assert repr(Superpopulation("school")) == "Superpopulation(clusters='school')"
    frame = pd.DataFrame({"z": [1, 2, 3]})
    target = parse_population(frame)
    assert isinstance(target, Target)
    assert target.data is frame
    assert repr(target) == "<table of 3 units>"
    assert parse_population(target) is target


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("sampel", "'sampel' is not a population.*Did you mean 'sample'"),
        (3, "int is not a population"),
        (pd.DataFrame({"z": []}), "no rows"),
    ],
)
def test_a_bad_population_is_refused(bad, message):
    with pytest.raises(EstimandError, match=message):
        parse_population(bad)


# ------------------------------------------------------------------------- conditions

Z = np.array([0.0, 1.0, 2.0, 3.0, np.nan])


@pytest.mark.parametrize(
    ("spec", "text", "members"),
    [
        (1, "z=1", [0, 1, 0, 0, 0]),
        (True, "z=1", [0, 1, 0, 0, 0]),
        ((1, 2), "1 <= z <= 2", [0, 1, 1, 0, 0]),
        ((None, 1), "z <= 1", [1, 1, 0, 0, 0]),
        ((1.5, None), "z >= 1.5", [0, 0, 1, 1, 0]),
        ({3, 0}, "z in {0, 3}", [1, 0, 0, 1, 0]),
        ([2, 0], "z in {2, 0}", [1, 0, 1, 0, 0]),
        (np.array([2, 0]), "z in {2, 0}", [1, 0, 1, 0, 0]),
        ({2}, "z=2", [0, 0, 1, 0, 0]),
        (range(2), "z in {0, 1}", [1, 1, 0, 0, 0]),
        (lambda v: v > 1, "f(z)", [0, 0, 1, 1, 0]),
        (Probability(above=2), "z > 2", [0, 0, 0, 1, 0]),
    ],
)
def test_what_a_mapping_asks(spec, text, members):
    condition = parse_given({"z": spec})
    assert condition.describe() == text
    assert condition.reads == ("z",)
    assert condition.member({"z": Z}).tolist() == [bool(m) for m in members]


def test_members_broadcast_over_draws_and_all_clauses_hold():
    latent = np.arange(6.0).reshape(2, 3)
    condition = parse_given({"u": (1, 4), "z": 1})
    assert condition.member({"u": latent, "z": np.array([1, 1, 0])}).tolist() == [
        [False, True, False],
        [True, True, False],
    ]
    masked = parse_given([True, False, True]) & parse_given({"u": (1, None)})
    assert masked.member({"u": latent}).tolist() == [[False, False, True], [True, False, True]]
    assert masked.masks[0].tolist() == [True, False, True]
    assert masked.describe() == "mask of 2 of 3 units, u >= 1"


def test_functions_name_what_they_read():
    condition = parse_given(lambda a, b, limit=1: a - b > limit)
    assert condition.reads == ("a", "b")
    assert condition.member({"a": np.array([3, 1]), "b": np.array([1, 1])}).tolist() == [
        True,
        False,
    ]
    odd = parse_given(Where(lambda x: x > 0, reads="body mass"))
    assert odd.reads == ("body mass",)
    assert odd.latex() == r"f(\mathrm{body\ mass})"


def test_nobody_is_left_out_without_a_condition():
    assert parse_given(None) is EVERYONE
    assert not EVERYONE
    assert EVERYONE.member({}).item() is True
    assert repr(EVERYONE) == "Condition(everyone)"
    assert parse_given(EVERYONE) is EVERYONE


def test_labels_are_conditions_too():
    condition = parse_given({"site": {"north", "east"}})
    assert condition.describe() == "site in {east, north}"
    assert condition.member({"site": np.array(["east", "west"])}).tolist() == [True, False]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "asks nothing"),
        ("Z", "cannot be read"),
        (3, "cannot be read"),
        ([1, 2, 3], "cannot be read.*mask of booleans"),
        ({3: 1}, "3 is not the name of a variable"),
        ({"z": (1, 2, 3)}, "a tuple of 3 is not a range.*a set for several"),
        ({"z": (2, 1)}, "the range \\(2, 1\\) is empty"),
        ({"z": ("a", 1)}, "'a' is not a limit"),
        ({"z": (np.nan, 1)}, "nan is not a limit"),
        ({"z": set()}, "no value is allowed"),
        ({"z": np.nan}, "nan is not a value"),
        ({"z": None}, "None is not a value"),
        (lambda *args: True, "cannot be told from its arguments.*Where"),
        (lambda: True, "cannot be told from its arguments"),
    ],
)
def test_a_bad_condition_is_refused(given, message):
    with pytest.raises(EstimandError, match=message):
        parse_given(given)


@pytest.mark.parametrize(
    ("condition", "values", "message"),
    [
        (parse_given({"z": 1}), {"w": [1]}, "reads 'z', whose values are not there.*Values: w"),
        (
            parse_given({"z": 1}) & parse_given([True, False]),
            {"z": np.ones(3)},
            "shape \\(2,\\) for units of shape \\(3,\\)",
        ),
        (parse_given(lambda z: z + 1), {"z": np.ones(3)}, "returned float64, not booleans"),
    ],
)
def test_membership_that_cannot_be_told_is_refused(condition, values, message):
    with pytest.raises(EstimandError, match=message):
        condition.member(values)


def test_where_takes_a_function():
    with pytest.raises(EstimandError, match="Where takes a function, found int"):
        Where(3)
