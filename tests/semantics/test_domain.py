"""The domain of equations: levels at which an equation has no value are refused, by name.

The kind: an intervention (or a table of units) takes an equation where it is not defined, and NaN,
a wrapped index or a truncated fraction becomes a number. Looked at: logarithms, roots, quotients,
categories with numeric codes, indexes too large and negative, parameters outside their range
(a probability above 1, a negative mean), overflow; for Normal, Poisson, Bernoulli, Binomial and
categories; through averages, quantiles, unit effects, counterfactuals, drawn worlds, doses, shifts,
scales, policies, new distributions, tables of units, data, simulation; behind mediators that are
drawn; and what must go on being answered.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayescausal as bc
from bayescausal.types import (
    DataError,
    EmptySubgroupError,
    EstimandError,
    InterventionError,
    UndefinedEffectError,
)

DOSE = np.array([1.0, 2.0, 3.0, 4.0])
UNITS = {"unit": range(4)}


def log_dose(family):
    """Y reads log(dose): not defined below 0."""
    with pm.Model(coords=UNITS) as model:
        dose = pm.Data("dose", DOSE, dims="unit")
        eta = 0.5 * pt.log(dose)
        if family == "normal":
            pm.Normal("y", eta, 1, dims="unit")
        elif family == "poisson":
            pm.Poisson("y", pt.exp(eta), dims="unit")
        else:
            pm.Bernoulli("y", logit_p=eta, dims="unit")
    return bc.truth(model, {}, {"dose": DOSE, "y": [0, 1, 1, 0]})


ASKED = {
    "average": lambda k, **do: bc.estimate(k, bc.ATE("dose", "y", **do)),
    "quantile": lambda k, **do: bc.estimate(k, bc.QTE("dose", "y", q=0.5, **do)),
    "unit": lambda k, **do: bc.estimate(k, bc.ITE("dose", "y", coupling="monotone", **do)),
    "event": lambda k, **do: bc.estimate(
        k, bc.ATE("dose", "y", functional=bc.Probability(above=0.5), **do)
    ),
    "counterfactual": lambda k, treated, control: bc.counterfactual(
        k, {"a": {"dose": treated}, "b": {"dose": control}}, coupling="monotone"
    ),
    "drawn": lambda k, treated, control: bc.worlds(
        k, {"a": {"dose": treated}, "b": {"dose": control}}, kind="draw"
    ),
    "expected": lambda k, treated, control: bc.worlds(
        k, {"a": {"dose": treated}, "b": {"dose": control}}
    ),
}


@pytest.mark.parametrize("family", ["normal", "poisson", "bernoulli"])
@pytest.mark.parametrize("asked", ASKED)
def test_a_logarithm_of_a_negative_level(family, asked):
    known = log_dose(family)
    with pytest.raises(InterventionError) as error:
        ASKED[asked](known, treated=2.0, control=-1.0)
    text = str(error.value)
    for part in ("do(dose=-1)", "equation of 'y'", "log(dose) is NaN", "dose = 1, 2, 3, 4"):
        assert part in text


def test_levels_inside_the_domain_are_answered():
    """log(4) - log(1), by half."""
    known = log_dose("normal")
    effect = bc.estimate(known, bc.ATE("dose", "y", treated=4.0, control=1.0))
    assert effect.mean() == pytest.approx(0.5 * np.log(4.0))


def test_the_default_control_of_a_numeric_category():
    """Codes 1 to 3: 0, the default control, is none of them."""
    data = pd.DataFrame({"g": [1, 2, 3, 1, 2, 3], "y": [0.0, 1, 2, 3, 1, 2]})
    model = bc.model_from_formulas(["y ~ C(g)"], data=data)
    known = bc.truth(model, {"b_y_Intercept": 1.0, "b_y_C(g)": [0.5, 2.5], "sigma_y": 1.0}, data)
    with pytest.raises(InterventionError, match=r"no\s+unit has g = 0|g is none of 1, 2, 3"):
        bc.estimate(known, bc.ATE("g", "y"))
    with pytest.raises(InterventionError, match="g is none of 1, 2, 3, at g=9"):
        bc.estimate(known, bc.Expected("y", {"g": 9}))
    effect = bc.estimate(known, bc.ATE("g", "y", treated=3, control=2))
    assert effect.mean() == pytest.approx(2.0)
    with pytest.raises(EstimandError, match="'g' is a label, so there is no derivative"):
        bc.estimate(known, bc.Slope("g", "y"))


def grouped(groups=(0, 1, 2, 0)):
    with pm.Model(coords={**UNITS, "group": range(3)}) as model:
        g = pm.Data("g", np.array([0, 1, 2, 0]), dims="unit")
        a = pm.Normal("a", 0, 1, dims="group")
        pm.Normal("y", a[g], 1, dims="unit")
    return model, {"a": [1.0, 5.0, 9.9]}, {"g": list(groups), "y": [0.0, 1, 0, 1]}


@pytest.mark.parametrize(
    ("act", "entry"),
    [
        (-1, -1),
        (7, 7),
        ([0, 1, 2, 3], 3),
        (bc.Shift(1), 3),
        (bc.Shift(-1), -1),
        (bc.Scale(2), 4),
        (bc.Policy(lambda g: g + 5), 5),
        (bc.Policy(lambda g: np.where(g > 1, -1, g)), -1),
        (bc.Stochastic(pm.DiracDelta.dist(3)), 3),
    ],
)
def test_an_index_out_of_range(act, entry):
    model, values, data = grouped()
    known = bc.truth(model, values, data)
    wanted = rf"equation of 'y'.*entry {entry} of a, which has entries 0 to 2"
    with pytest.raises(InterventionError, match=wanted):
        bc.estimate(known, bc.Expected("y", {"g": act}))
    with pytest.raises(InterventionError, match=wanted):
        bc.counterfactual(known, {"g": act})
    with pytest.raises(InterventionError, match=wanted):
        bc.simulate(model, values, do={"g": act}, seed=1)


def test_indexes_of_doses_tables_and_data():
    model, values, data = grouped()
    known = bc.truth(model, values, data)
    with pytest.raises(InterventionError, match="entry 3 of a"):
        bc.estimate(known, bc.DoseResponse("g", "y", values=[0, 1, 3]))
    curve = bc.estimate(known, bc.DoseResponse("g", "y", values=[0, 1, 2]))
    np.testing.assert_allclose(curve.draws.values.ravel(), values["a"])
    for entry in (7, -1):
        table = pd.DataFrame({"g": [0, entry]})
        shift = bc.Policy(lambda g: 0 * g)
        with pytest.raises(DataError, match=f"units as they are: it reads entry {entry} of a"):
            bc.estimate(known, bc.ATE("g", "y", treated=shift, population=table))
    with pytest.raises(DataError, match=r"equation of 'y' is not defined for the data.*entry 9"):
        bc.truth(model, values, grouped((0, 1, 9, 0))[2])


def test_an_index_that_counts_from_the_end_in_the_data():
    """-1 that units have is the model's own way to say "the last"."""
    model, values, data = grouped((0, 1, -1, 0))
    known = bc.truth(model, values, data)
    assert bc.estimate(known, bc.Expected("y", {"g": -1})).mean() == pytest.approx(9.9)
    with pytest.raises(InterventionError, match="entry -2 of a"):
        bc.estimate(known, bc.Expected("y", {"g": -2}))


def test_an_entry_of_minus_one_that_is_computed_is_no_empty_cell():
    """floor(-.2) is -1: no cell of the data holds that code."""
    with pm.Model(coords={"unit": [0]}) as model:
        a = pm.Normal("a", shape=3)
        x = pm.Data("x", [0.5], dims="unit")
        pm.Normal("y", a[pt.floor(x).astype(int)], 1, dims="unit")
    known = bc.truth(model, {"a": [1.0, 2.0, 3.0]}, {"x": [0.5, 1.5], "y": [0.0, 0.0]})
    with pytest.raises(InterventionError, match=r"entry -1 of a.* at x=-0\.2\. Expected"):
        bc.estimate(known, bc.Expected("y", {"x": -0.2}))


def test_an_empty_cell_of_pandas_is_not_the_last_group():
    """Codes of a category are -1 where a cell is empty: beside the last group's own number."""
    model, values, data = grouped((0, 1, -1, 2))
    with pytest.raises(DataError, match=r"entry -1.*the code that pandas gives an empty cell"):
        bc.truth(model, values, data)
    with pytest.raises(DataError, match="entry -1"):
        bc.fit(model, data)


def test_a_default_level_of_a_label_that_no_unit_has():
    with pm.Model(coords={**UNITS, "group": range(4)}) as model:
        g = pm.Data("g", np.array([1, 2, 3, 1]), dims="unit")
        a = pm.Normal("a", 0, 1, dims="group")
        pm.Normal("y", a[g], 1, dims="unit")
    known = bc.truth(model, {"a": [1.0, 5.0, 9.5, 3.0]}, {"g": [1, 2, 3, 1], "y": np.zeros(4)})
    with pytest.raises(InterventionError, match=r"no unit has g = 0.*levels among 1, 2, 3"):
        bc.estimate(known, bc.ATE("g", "y"))
    assert bc.estimate(known, bc.ATE("g", "y", treated=2, control=1)).mean() == pytest.approx(4.5)
    # named, it is in the model, and the model answers
    assert bc.estimate(known, bc.ATE("g", "y", control=0)).mean() == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("make", "condition", "slope"),
    [
        (lambda d: pm.Bernoulli("y", p=0.1 + 0.2 * d, dims="unit"), "0 <= p <= 1", 0.2),
        (lambda d: pm.Poisson("y", mu=1 + 0.2 * d, dims="unit"), "mu >= 0", 0.2),
        (lambda d: pm.Binomial("y", 5, p=0.1 + 0.2 * d, dims="unit"), "0 <= p <= 1", 1.0),
    ],
)
def test_parameters_outside_their_range(make, condition, slope):
    """A linear probability of 2.1 was averaged as if it were one, and drawn as 0."""
    with pm.Model(coords=UNITS) as model:
        make(pm.Data("dose", DOSE, dims="unit"))
    known = bc.truth(model, {}, {"dose": DOSE, "y": [0, 1, 1, 0]})
    for asked in ("average", "unit", "drawn"):
        with pytest.raises(InterventionError, match=f"{condition} does not hold at dose=-10"):
            ASKED[asked](known, treated=1.0, control=-10.0)
    effect = bc.estimate(known, bc.ATE("dose", "y", treated=2.0, control=1.0))
    assert effect.mean() == pytest.approx(slope)


def test_a_spread_that_the_mean_does_not_read():
    """A negative sd matters to who draws, not to an average of means."""
    with pm.Model(coords=UNITS) as model:
        dose = pm.Data("dose", DOSE, dims="unit")
        pm.Normal("y", 2 * dose, 1 + 0.1 * dose, dims="unit")
    known = bc.truth(model, {}, {"dose": DOSE, "y": np.zeros(4)})
    effect = bc.estimate(known, bc.ATE("dose", "y", treated=1.0, control=-20.0))
    assert effect.mean() == pytest.approx(42.0)
    with pytest.raises(InterventionError, match="sigma > 0 does not hold at dose=-20"):
        bc.estimate(known, bc.QTE("dose", "y", q=0.5, treated=1.0, control=-20.0))


def behind_a_mediator(at, sd):
    with pm.Model(coords=UNITS) as model:
        x = pm.Data("x", DOSE, dims="unit")
        m = pm.Normal("m", at + x, sd, dims="unit")
        pm.Poisson("y", 1 + pt.log(m), dims="unit")
    return bc.truth(model, {}, {"x": DOSE, "m": at + DOSE, "y": [1, 2, 1, 2]}, seed=1)


@pytest.mark.parametrize(
    "question",
    [
        bc.ATE("x", "y"),
        bc.QTE("x", "y", q=0.9),
        bc.ATE("x", "y", functional=bc.Probability(above=2)),
    ],
)
def test_what_a_mediator_draws(question):
    """log(m) of a normal m: with mean 1 and sd 1 it is NaN for one draw in six."""
    with pytest.raises(UndefinedEffectError, match=r"itself gives 'm': log\(m\) is NaN"):
        bc.estimate(behind_a_mediator(0.0, 1.0), question)
    with pytest.raises(InterventionError, match=r"do\(x=-9\).*log\(m\) is NaN at m=-"):
        bc.estimate(
            behind_a_mediator(5.0, 0.1),
            bc.Expected("y", {"x": -9.0}, functional=question.functional),
        )


def test_a_unit_keeps_its_own_noise_when_it_is_tried():
    """Fresh draws of m would be negative; the units' own are not."""
    known = behind_a_mediator(0.0, 1.0)
    for act in (bc.Shift(1.0), bc.Shift(2.0)):
        both = bc.counterfactual(known, {"x": act}, coupling="monotone", variables=["m", "y"])
        moved = both["m"].sel(world="counterfactual").values.ravel()
        np.testing.assert_allclose(moved, DOSE + act.by)
    with pytest.raises(InterventionError, match=r"log\(m\) is NaN"):
        bc.counterfactual(known, {"x": bc.Shift(-2.0)}, coupling="monotone")


def test_a_rare_draw_that_is_not_defined_ends_in_words():
    """One draw in 700 is negative: 1 + log(m) is NaN, and no count is made of it."""
    known = behind_a_mediator(2.0, 1.0)
    with pytest.raises((UndefinedEffectError, InterventionError), match="'y' is not defined"):
        bc.estimate(
            known,
            bc.ATE(
                "x", "y", treated=1.0, control=0.0, population="sample", functional=bc.Quantile(0.5)
            ),
        )


def test_overflow_is_no_count():
    with pm.Model(coords=UNITS) as model:
        x = pm.Data("x", DOSE, dims="unit")
        m = pm.Poisson("m", pt.exp(200 * x), dims="unit")
        pm.Normal("y", m, 1, dims="unit")
    known = bc.truth(model, {}, {"x": np.zeros(4), "m": np.ones(4, int), "y": np.zeros(4)})
    with pytest.raises(UndefinedEffectError, match="'m' is not defined for some values"):
        bc.estimate(known, bc.ATE("x", "y", treated=4.0, control=0.0))


def test_what_a_condition_guards_is_defined():
    """``switch(dose > 0, log(dose), 0)`` has a value everywhere."""
    with pm.Model(coords=UNITS) as model:
        dose = pm.Data("dose", DOSE, dims="unit")
        pm.Normal("y", pt.switch(dose > 0, pt.log(dose), 0.0), 1, dims="unit")
    known = bc.truth(model, {}, {"dose": DOSE, "y": np.zeros(4)})
    effect = bc.estimate(known, bc.ATE("dose", "y", treated=np.e, control=-1.0))
    assert effect.mean() == pytest.approx(1.0)


@pytest.mark.parametrize("level", [0.1, 2.0])
def test_standardising_inside_the_model(level):
    """All units at one level have no spread, whatever rounding makes of it (0.1 has a mean of
    0.1 + 1e-17 over some numbers of units)."""
    values = np.array([0.1, 1.0, 2.0, 0.5, 0.7, 1.1, 0.3])
    with pm.Model(coords={"unit": range(7)}) as model:
        x = pm.Data("x", values, dims="unit")
        pm.Normal("y", 3 * (x - x.mean()) / x.std(), 1, dims="unit")
    known = bc.truth(model, {}, {"x": values, "y": np.zeros(7)})
    wanted = "divides by a spread of x over the units, which is 0 .* Standardise by fixed numbers"
    with pytest.raises(InterventionError, match=wanted):
        bc.estimate(known, bc.ATE("x", "y", treated=level, control=5.0))
    # a shift moves the mean along and changes nothing; a scale likewise
    for act in (bc.Shift(2.0), bc.Scale(3.0)):
        assert bc.estimate(known, bc.ATE("x", "y", treated=act)).mean() == pytest.approx(
            0, abs=1e-9
        )


@pytest.mark.parametrize("named", [False, True])
def test_a_named_rate_that_becomes_0_is_no_spread(named):
    """Without exposure nothing is counted: E[y | do(dose=d)] = 2 d, whether the rate has a name or
    not. A spread is one over the units: a Deterministic and a sum within a unit are none."""
    with pm.Model(coords=UNITS) as model:
        dose = pm.Data("dose", DOSE, dims="unit")
        rate = pm.Deterministic("rate", 2 * dose, dims="unit") if named else 2 * dose
        pm.NegativeBinomial("y", mu=rate, alpha=2.0, dims="unit")
        total = pt.stack([rate, rate], axis=1).sum(axis=1)
        pm.Normal("z", 1 / total, 1, dims="unit")
    known = bc.truth(model, {}, {"dose": DOSE, "y": np.zeros(4, int), "z": np.zeros(4)})
    curve = bc.estimate(known, bc.DoseResponse("dose", "y", values=[0, 1, 2]))
    assert curve.mean().to_numpy() == pytest.approx([0, 2, 4])
    with pytest.raises(InterventionError, match=r"a division by an expression of .* is infinite"):
        bc.estimate(known, bc.Expected("z", {"dose": 0}))


# ------------------------------------------------------------------ fractions of integers


def counted(dtype):
    with pm.Model(coords=UNITS) as model:
        dose = pm.Data("dose", DOSE.astype(dtype), dims="unit")
        w = pm.Poisson("w", 2, dims="unit")
        t = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Normal("y", 0.5 * dose + w + t, 1, dims="unit")
    data = {"dose": DOSE.astype(dtype), "w": [1, 2, 0, 3], "t": [0, 1, 0, 1], "y": np.zeros(4)}
    return model, bc.truth(model, {}, data)


#: dose averages 2.5 and counts half
FRACTIONS = {
    "slope": (bc.Slope("dose", "y"), 0.5),
    "slope at": (bc.Slope("dose", "y", at=2), 0.5),
    "shift": (bc.ATE("dose", "y", treated=bc.Shift(0.5)), 0.25),
    "scale": (bc.ATE("dose", "y", treated=bc.Scale(1.1)), 0.5 * 0.1 * 2.5),
    "policy": (bc.ATE("dose", "y", treated=bc.Policy(lambda dose: 0.9 * dose)), -0.5 * 0.1 * 2.5),
    "set": (bc.ATE("dose", "y", treated=1.5, control=0.25), 0.5 * 1.25),
    "values": (bc.ATE("dose", "y", treated=DOSE + 0.5, control=DOSE), 0.25),
    "numpy policy": (
        bc.ATE("dose", "y", treated=bc.Policy(lambda dose: np.where(dose > 2, 0.9 * dose, dose))),
        -0.5 * 0.1 * (3 + 4) / 4,
    ),
    "new distribution": (
        bc.ATE("dose", "y", treated=bc.Stochastic(pm.DiracDelta.dist(0.5)), control=0),
        0.25,
    ),
}


@pytest.mark.parametrize("dtype", [int, float])
@pytest.mark.parametrize("asked", FRACTIONS)
def test_integer_columns_that_are_read_as_numbers(dtype, asked):
    question, right = FRACTIONS[asked]
    assert bc.estimate(counted(dtype)[1], question).mean() == pytest.approx(right)


@pytest.mark.parametrize("act", [0.5, bc.Shift(0.5), bc.Policy(lambda dose: dose + 0.5)])
def test_integer_columns_of_other_doors(act):
    model, known = counted(int)
    wanted = DOSE + 0.5 if act != 0.5 else np.full(4, 0.5)
    for drawn in (
        bc.simulate(model, {}, do={"dose": act}, seed=1)["dose"].to_numpy(),
        pm.draw(bc.intervene(model, {"dose": act})["dose"]),
        bc.counterfactual(known, {"dose": act})["dose"].sel(world="counterfactual").values.ravel(),
    ):
        np.testing.assert_allclose(drawn, wanted)
    expression = bc.intervene(model, {"dose": 0.5 * model["dose"]})
    np.testing.assert_allclose(pm.draw(expression["dose"]), DOSE / 2)


@pytest.mark.parametrize("law", [pm.Poisson.dist(3.0), pm.Normal.dist(3.0, 1e-9)])
def test_a_new_distribution_of_integer_data(law):
    """Types of the distribution and of the data differ: int64, int32, float64."""
    model, _ = counted(int)
    drawn = bc.simulate(model, {}, do={"dose": bc.Stochastic(law)}, seed=1)["dose"].to_numpy()
    np.testing.assert_allclose(np.round(drawn), drawn, atol=1e-6)
    assert 0 < drawn.mean() < 10


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("w", lambda w: 0.3 * w + 0.1),
        ("w", lambda w: np.where(w > 1, 0.3 * w, w + 0.5)),
        ("t", lambda t: 0.3 + 0.5 * t),
    ],
)
def test_fractions_of_integer_variables_are_refused(name, rule):
    model, known = counted(int)
    wanted = f"policy for '{name}' gives .* takes whole numbers.* Round .* Stochastic"
    with pytest.raises(InterventionError, match=wanted):
        bc.estimate(known, bc.ATE(name, "y", treated=bc.Policy(rule, reads=[name])))
    with pytest.raises(InterventionError, match=wanted):
        bc.simulate(model, {}, do={name: bc.Policy(rule, reads=[name])}, seed=1)


def test_a_policy_that_rounds_is_answered():
    """w = 1, 2, 0, 3 becomes 0, 1, 0, 1."""
    _, known = counted(int)
    rule = bc.Policy(lambda w: np.floor(0.5 * w))
    assert bc.estimate(known, bc.ATE("w", "y", treated=rule)).mean() == pytest.approx(-1.0)


def test_counts_and_labels_take_whole_numbers():
    with pm.Model(coords=UNITS) as model:
        n = pm.Data("n", np.arange(1, 5), dims="unit")
        pm.Binomial("y", n, 0.5, dims="unit")
    known = bc.truth(model, {}, {"n": np.arange(1, 5), "y": [0, 1, 0, 1]})
    assert bc.estimate(known, bc.ATE("n", "y", treated=bc.Shift(2))).mean() == pytest.approx(1.0)
    for act in (1.5, bc.Shift(0.5), bc.Scale(1.1), bc.Policy(lambda n: 0.5 * n)):
        with pytest.raises(InterventionError, match="whole number"):
            bc.estimate(known, bc.ATE("n", "y", treated=act))
    model, values, data = grouped()
    known = bc.truth(model, values, data)
    for act in (0.5, bc.Shift(0.5), bc.Policy(lambda g: 0.5 * g)):
        with pytest.raises(InterventionError, match="whole number"):
            bc.estimate(known, bc.ATE("g", "y", treated=act))
    with pytest.raises(EstimandError, match="'g' is a label, so there is no derivative in it"):
        bc.estimate(known, bc.Slope("g", "y"))


# ------------------------------------------------------------------------- associations


def test_an_association_of_a_continuous_variable_says_which_ranges():
    """The remedy, taken at its word, gives the difference of the two halves."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=400)
    with pm.Model(coords={"unit": [0]}) as model:
        a = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", 2 * a, 1, dims="unit")
    known = bc.truth(model, {}, {"x": x, "y": 2 * x})
    with pytest.raises(EmptySubgroupError, match="compare two ranges") as error:
        bc.estimate(known, bc.Association("x", "y"))
    call = str(error.value).split(", as ")[1].rstrip(".")
    asked = eval(call, {"Association": bc.Association})
    middle = asked.treated[0]
    right = 2 * x[x >= middle].mean() - 2 * x[x <= middle].mean()
    assert bc.estimate(known, asked).mean() == pytest.approx(right)
    with pytest.raises(EmptySubgroupError, match="compare two ranges"):
        bc.estimate(bc.truth(model, {}), bc.Association("x", "y"))


SPREADS = {
    "named sd": lambda x: (x - x.mean()) / pm.Deterministic("sd", x.std()),
    "named both": lambda x: (
        pm.Deterministic("c", x - x.mean(), dims="unit") / pm.Deterministic("sd", x.std())
    ),
    "power": lambda x: (x - x.mean()) * x.var() ** -0.5,
    "reciprocal": lambda x: (x - x.mean()) * pt.reciprocal(x.std()),
    "logarithm": lambda x: (x - x.mean()) * pt.exp(-pt.log(x.std())),
    "range": lambda x: (x - x.mean()) / (pt.sort(x)[-1] - pt.sort(x)[0]),
}


def _standardised(mean):
    x = np.random.default_rng(3).normal(size=7)
    with pm.Model(coords={"unit": range(7)}) as model:
        t = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", 2 * mean(t), 1, dims="unit")
    return bc.truth(model, {}, {"x": x, "y": np.zeros(7)})


@pytest.mark.parametrize("level", [0, 0.1, 123.4])
@pytest.mark.parametrize("name", SPREADS)
def test_a_spread_of_one_level_however_it_is_written(name, level):
    """0 / 0 was 0 at the default control, where the sd had a name or was raised to a power."""
    known = _standardised(SPREADS[name])
    with pytest.raises(InterventionError, match="0 where all units have one level") as error:
        bc.estimate(known, bc.Expected("y", {"x": level}))
    assert "take the mean and sd of the data once" in str(error.value)


def test_a_spread_that_is_small_or_guarded_is_one():
    """Scaling by 1e-12 changes no standardised value; a guard in the denominator gives 0 / eps."""
    plain = _standardised(lambda x: (x - x.mean()) / x.std())
    shrunk = bc.worlds(plain, {"a": {"x": bc.Scale(1e-12)}, "b": {}}, variables="y")["y"].values
    np.testing.assert_allclose(shrunk[0], shrunk[1], rtol=1e-6)
    for guard in (
        lambda x: x.std() + 1e-12,
        lambda x: pm.Deterministic("sd", x.std()) + 1e-12,
        lambda x: pt.maximum(x.std(), 1e-12),
        lambda x: pt.sqrt(x.var() + 1e-12),
    ):
        known = _standardised(lambda x, guard=guard: (x - x.mean()) / guard(x))
        found = bc.estimate(known, bc.Expected("y", {"x": 0.5}))
        assert found.mean() == pytest.approx(0.0, abs=1e-3)
    share = _standardised(lambda x: x / x.sum())
    found = bc.estimate(share, bc.Expected("y", {"x": 1e-10}))
    assert found.mean() == pytest.approx(2 / 7)
