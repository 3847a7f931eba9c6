"""Levels that a label or a truth value does not have.

The kind: a value is cast, or compared, and becomes another level without a word: ``do(t=2)`` of
truth values is ``do(t=1)``; a label that is compared with 2 and 3 is at the reference level
wherever it is neither; a label held as floats points between two entries. Looked at: set values,
arrays, shifts, scales, policies, new distributions, doses; average, unit-level and drawn worlds,
counterfactuals, intervene; and what must go on being answered.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.effects.words.from_text import check_levels
from bayescausal.types import (
    EstimandError,
    InterventionError,
    UndefinedEffectError,
    UnknownVariableError,
)

UNITS = {"unit": range(6)}
ARMS = np.array([1, 2, 3, 1, 2, 3])


@pytest.fixture(scope="module")
def truth_values():
    treated = np.array([True, False, True, False, True, True])
    with pm.Model(coords=UNITS) as model:
        t = pm.Data("t", treated, dims="unit")
        pm.Normal("y", 0.5 * t, 1, dims="unit")
    return bc.truth(model, {}, {"t": treated, "y": np.zeros(6)}, seed=1)


def compared(dtype):
    """Two arms beside a reference, by comparisons: means 0, 1 and 5."""
    with pm.Model(coords=UNITS) as model:
        arm = pm.Data("arm", ARMS.astype(dtype), dims="unit")
        mean = 1.0 * pt.eq(arm, 2) + 5.0 * pt.eq(arm, 3)
        pm.Normal("y", mean, 1, dims="unit")
    return bc.truth(model, {}, {"arm": ARMS.astype(dtype), "y": np.zeros(6)}, seed=1)


@pytest.mark.parametrize(
    "act",
    [2, np.array([0, 1, 2, 0, 1, 0]), bc.Shift(1), bc.Scale(2), bc.Policy(lambda t: t + 1),
     bc.Policy(lambda t: 0.5 * t), bc.Stochastic(pm.Poisson.dist(3.0))],
)  # fmt: skip
def test_truth_values_take_no_third_value(truth_values, act):
    for ask in (
        lambda: bc.estimate(truth_values, bc.Expected("y", {"t": act})),
        lambda: bc.worlds(truth_values, {"a": {"t": act}}, kind="draw"),
        lambda: bc.counterfactual(truth_values, {"t": act}),
    ):
        with pytest.raises(InterventionError, match="'t'"):
            ask()


def test_a_third_value_of_truth_values_is_not_simulated(truth_values):
    with pytest.raises(InterventionError, match=r"'t' is of type bool. Expected: 0 or 1"):
        bc.intervene(truth_values.model, {"t": 2})
    with pytest.raises(InterventionError, match="of type bool, out of its values"):
        bc.intervene(truth_values.model, {"t": bc.Shift(1)})


def test_truth_values_are_answered(truth_values):
    assert float(bc.estimate(truth_values, bc.ATE("t", "y"))) == pytest.approx(0.5)
    turned = bc.ATE("t", "y", treated=bc.Policy(lambda t: 1 - t))
    assert float(bc.estimate(truth_values, turned)) == pytest.approx(0.5 * (2 - 4) / 6)
    drawn = bc.Expected("y", {"t": bc.Stochastic(pm.Bernoulli.dist(0.25))})
    effect = bc.estimate(truth_values, drawn)
    assert abs(float(effect) - 0.125) < 5 * effect.mc_error + 1e-12


@pytest.mark.parametrize("dtype", [int, float])
@pytest.mark.parametrize("act", [7, 0, bc.Shift(1), bc.Policy(lambda arm: arm + 4)])
def test_a_label_has_no_other_level(dtype, act):
    known = compared(dtype)
    for ask in (
        lambda: bc.estimate(known, bc.ATE("arm", "y", treated=act, control=1)),
        lambda: bc.worlds(known, {"a": {"arm": act}}),
        lambda: bc.counterfactual(known, {"arm": act}),
    ):
        with pytest.raises(
            InterventionError, match=r"no unit has arm=.*of 'y' does not name it.*1, 2, 3"
        ):
            ask()


def test_levels_that_units_or_equations_name_are_answered():
    known = compared(int)
    for level, mean in ((1, 0.0), (2, 1.0), (3, 5.0)):
        assert float(bc.estimate(known, bc.Expected("y", {"arm": level}))) == pytest.approx(mean)
    with pm.Model(coords=UNITS) as model:  # of one number: it, and whatever else
        dose = pm.Data("dose", np.array([0, 1, 3, 0, 1, 3]), dims="unit")
        pm.Normal("y", 2.0 * pt.neq(dose, 0), 1, dims="unit")
    data = {"dose": np.array([0, 1, 3, 0, 1, 3]), "y": np.zeros(6)}
    effect = bc.estimate(bc.truth(model, {}, data), bc.ATE("dose", "y", treated=2))
    assert float(effect) == pytest.approx(2.0)


def test_a_label_held_as_floats_points_at_entries():
    with pm.Model(coords=UNITS) as model:
        arm = pm.Data("arm", ARMS.astype(float), dims="unit")
        a = pm.Normal("a", shape=4)
        pm.Normal("y", a[arm.astype("int64")], 1, dims="unit")
    data = {"arm": ARMS.astype(float), "y": np.zeros(6)}
    known = bc.truth(model, {"a": np.arange(4.0) ** 2}, data)
    two = bc.estimate(known, bc.ATE("arm", "y", treated=3, control=2))
    assert float(two) == pytest.approx(5.0)
    with pytest.raises(InterventionError, match=r"arm=2.5 lies between the entries of a table"):
        bc.estimate(known, bc.ATE("arm", "y", treated=2.5, control=1))


def test_an_index_that_the_model_draws_is_not_put_down_to_the_units():
    x = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
    with pm.Model(coords=UNITS) as model:
        dose = pm.Data("x", x, dims="unit")
        m = pm.Poisson("m", pt.exp(0.2 * dose), dims="unit")
        a = pm.Normal("a", shape=4)
        pm.Normal("y", a[m], 1, dims="unit")
    data = {"x": x, "m": [0, 1, 2, 3, 0, 1], "y": np.zeros(6)}
    known = bc.truth(model, {"a": np.arange(4.0) ** 2}, data)
    with pytest.raises(UndefinedEffectError, match=r"values that the model itself gives 'm'"):
        bc.estimate(known, bc.ATE("x", "y"))
    effect = bc.estimate(known, bc.ATE("m", "y", treated=3, control=0))
    assert float(effect) == pytest.approx(9.0)


def test_counts_of_a_truncated_distribution_take_whole_numbers():
    """Binomial(n, 1/2) without 0: its mean is (n / 2) / (1 - 2**-n)."""
    trials = np.array([3, 4, 5, 3, 4, 5])
    with pm.Model(coords=UNITS) as model:
        n = pm.Data("n", trials, dims="unit")
        pm.Truncated("y", pm.Binomial.dist(n, 0.5), lower=1, upper=9, dims="unit")
    known = bc.truth(model, {}, {"n": trials, "y": np.ones(6, dtype=int)})
    right = [k / 2 / (1 - 2.0**-k) for k in (6, 2)]
    effect = bc.estimate(known, bc.ATE("n", "y", treated=6, control=2))
    assert abs(float(effect) - (right[0] - right[1])) < 5 * effect.mc_error + 1e-9
    for act in (2.5, bc.Shift(0.5), bc.Scale(1.5)):
        with pytest.raises(InterventionError, match="whole number"):
            bc.estimate(known, bc.Expected("y", {"n": act}))


@pytest.mark.parametrize("ask", ["estimate", "heterogeneity", "triangulate", "question"])
def test_a_subgroup_of_a_label_that_there_is_not_names_the_labels(ask):
    """Found once as "0 of 40 units ...: widen the condition to a range", which labels have not."""
    data = pd.DataFrame({"sex": list("fm") * 20, "t": [0, 0, 1, 1] * 10, "y": np.arange(40.0)})
    model = bc.model_from_formulas(["y ~ t + sex"], data=data)
    question = bc.ATE("t", "y", given={"sex": "male"})
    calls = {
        "estimate": lambda: bc.estimate(bc.truth(model, {
            "b_y_Intercept": 0.0, "b_y_t": 1.0, "b_y_sex": [0.0], "sigma_y": 1.0}, data), question),
        "heterogeneity": lambda: bc.heterogeneity(bc.prior(model, data, draws=4, seed=1), question),
        "triangulate": lambda: bc.triangulate("sex -> t; t -> y; sex -> y", question, data=data),
        "question": lambda: check_levels(question, {"sex": ("f", "m")}),
    }  # fmt: skip
    with pytest.raises(EstimandError) as raised:
        calls[ask]()
    assert "f, m" in str(raised.value)
    assert "range" not in str(raised.value)


# --------------------------------------------------------------- conditions on labels and dates

DAYS = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"])
#: The effect on each day.
BY_DAY = np.array([1.0, 2.0, 4.0])


@pytest.fixture(scope="module", params=["text", "dates", "other"])
def daily(request):
    """Two units on each of three days, one treated; the effect differs between days."""
    labels = {
        "text": ["a", "b", "c"],
        "dates": DAYS,
        "other": pd.IntervalIndex.from_breaks(range(4)),
    }
    labels = pd.Index(labels[request.param])
    with pm.Model(coords=UNITS) as model:
        day = pm.Categorical("day", np.full(3, 1 / 3), dims="unit")
        t = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Normal("y", t * pt.as_tensor(BY_DAY)[day], 1, dims="unit")
    data = pd.DataFrame(
        {"day": pd.Categorical(labels.repeat(2), labels), "t": [0, 1] * 3, "y": np.zeros(6)}
    )
    return labels, data, bc.truth(model, {}, data)


def test_a_condition_names_labels_as_a_treatment_does(daily):
    """A date was refused as "not a value", while ``do`` took it."""
    labels, data, known = daily
    asked = {
        1.0: {"day": labels[0]},
        2.0: {"day": str(labels[1])},
        2.5: {"day": {labels[0], labels[2]}},
        3.0: data["day"].isin(labels[1:]),
    }
    for right, given in asked.items():
        assert float(bc.estimate(known, bc.CATE("t", "y", given=given))) == pytest.approx(right)


@pytest.mark.parametrize("wrong", ["d", {"d"}, ["d"], 7, bc.Probability(equals="d")])
def test_a_label_that_there_is_not_is_named(daily, wrong):
    """A misspelt label in a set gave the answer of the others, a single one sent to a range."""
    labels, _, known = daily
    if isinstance(wrong, set | list):
        wrong = type(wrong)([*wrong, labels[0]])
    with pytest.raises(EstimandError, match=r"('d'|7) is not a category of 'day'") as error:
        bc.estimate(known, bc.CATE("t", "y", given={"day": wrong}))
    assert all(str(label) in str(error.value) for label in labels)
    assert "range" not in str(error.value)


def test_a_column_that_the_model_does_not_have_is_no_category_without_labels():
    """It is no variable, whatever its values are: a mask picks its units."""
    data = pd.DataFrame({"x": [0.0, 1.0, 2.0], "y": 0.0, "region": ["north", "south", "north"]})
    model = bc.model_from_formulas(["y ~ x"], data=data)
    known = bc.truth(model, {"b_y_Intercept": 0.0, "b_y_x": 2.0, "sigma_y": 1.0}, data)
    with pytest.raises(UnknownVariableError, match=r"'region' is not .* given=\(data\['region'\]"):
        bc.estimate(known, bc.CATE("x", "y", given={"region": "north"}))
    north = bc.CATE("x", "y", given=(data["region"] == "north").to_numpy())
    assert bc.estimate(known, north).mean() == pytest.approx(2.0)


def test_a_group_of_an_association_is_named_too(daily):
    labels, _, known = daily
    with pytest.raises(EstimandError, match="'d' is not a category of 'day'"):
        bc.estimate(known, bc.Association("day", "y", treated="d", control=labels[0]))
    with pytest.raises(EstimandError, match="'b' cannot be one"):
        bc.estimate(known, bc.CATE("t", "y", given={"t": "b"}))


def test_a_range_of_dates_ends_in_a_mask_that_is_answered():
    """The remedy of the range, and that of the column, taken at their word."""
    data = pd.DataFrame({"day": DAYS.repeat(2), "x": np.arange(6.0), "y": np.zeros(6)})
    with pm.Model(coords=UNITS) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", x**2, 1, dims="unit")
    known = bc.truth(model, {}, data)
    low, high = DAYS[1:]
    answers = []
    for given in ({"day": (low, high)}, {"day": (str(low), None)}, {"day": (1, 2)}):
        with pytest.raises((EstimandError, UnknownVariableError)) as error:
            bc.CATE("x", "y", given=given) and bc.estimate(known, bc.CATE("x", "y", given=given))
        call = str(error.value).split("given=")[-1].rstrip(".")
        mask = eval(call, {"data": data, "low": low, "high": high, "level": low})
        answers.append(bc.estimate(known, bc.CATE("x", "y", treated=bc.Shift(1), given=mask)))
    # (x + 1)^2 - x^2 = 2 x + 1, over x = 2, ..., 5 and over x = 2, 3
    assert [float(a) for a in answers] == pytest.approx([8.0, 8.0, 6.0])


@pytest.mark.parametrize("asked", ["CATE", "Association"])
@pytest.mark.parametrize("held", ["index", "numeric category"])
def test_a_set_of_numbers_with_a_label_that_nobody_has_is_refused(held, asked):
    """Labels held as numbers: {1, 7} was the subgroup of 1 without a word."""
    data = pd.DataFrame({"arm": [1, 2, 3] * 2, "t": [0, 0, 0, 1, 1, 1], "y": 0.0})
    if held == "index":
        with pm.Model(coords=UNITS) as model:
            arm, t = (pm.Data(n, data[n].to_numpy(), dims="unit") for n in ("arm", "t"))
            pm.Normal("y", pt.as_tensor([0.0, 1.0, 2.0, 5.0])[arm] * t, 1, dims="unit")
        known = bc.truth(model, {}, data)
    else:
        table = data.assign(arm=pd.Categorical(data["arm"]))
        model = bc.model_from_formulas("y ~ 0 + arm:t", data=table)
        [name] = [v.name for v in model.free_RVs if v.name.startswith("b_")]
        known = bc.truth(model, {name: [1.0, 2.0, 5.0], "sigma_y": 1.0}, table)

    def ask(levels):
        if asked == "CATE":
            return bc.CATE("t", "y", given={"arm": levels})
        return bc.Association("arm", "y", treated=levels, control=2)

    right = {"CATE": (1 + 5) / 2, "Association": (1 + 5) / 2 / 2 - 2 / 2}[asked]
    assert float(bc.estimate(known, ask({1, 3}))) == pytest.approx(right)
    with pytest.raises(EstimandError, match=r"No unit has arm=7.*levels among 1, 2, 3"):
        bc.estimate(known, ask({1, 7}))
