"""Kind: one column under two names, so that an arrow which the data show is cut without a word.

Looked at: copies of a modelled variable in ``pm.Data`` (as they are, transformed, rounded, with
empty cells filled, as a product with another column, as a column of a design matrix), two random
variables of one column, columns without an equation that follow from each other (``age2``),
streams, and rows in another order than the values that a model holds itself.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.inference.data.duplicate_columns import _near, relation

N = 80
RNG = np.random.default_rng(0)
X = RNG.normal(size=N)
M = 0.8 * X + RNG.normal(size=N)
Y = 0.3 * X + 0.5 * M + RNG.normal(size=N)


def mediated(random: bool = False) -> pm.Model:
    """Return x -> m, x -> y, and y reads `mc` in the place of m."""
    with pm.Model(coords={"unit": range(N)}) as model:
        x = pm.Data("x", X, dims="unit")
        a, b, c = pm.Normal("a"), pm.Normal("b"), pm.Normal("c")
        pm.Normal("m", a * x, 1, dims="unit")
        if random:
            copy = pm.Normal("mc", 0, 1, dims="unit")
        else:
            copy = pm.Data("mc", np.zeros(N), dims="unit")
        pm.Normal("y", b * x + c * copy, 1, dims="unit")
    return model


HOLES = np.where(np.arange(N) == 3, np.nan, M)
COPIES = {
    "numbers": (M, M, "the numbers of the variable 'm'"),
    "log": (np.exp(M), M, "the logarithm of"),
    "square": (M, M**2, "the square of"),
    "standardised square": (M, (M**2 - 1) / 3, "the square of"),
    "rounded": (M, M.round(2), "the rounded value of"),
    "single": (M, M.astype(np.float32), "single precision of"),
    "filled": (HOLES, np.nan_to_num(HOLES), "the numbers of"),
    "product": (M, M * X, "the product of the variable 'm' and 'x'"),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_of_a_variable_in_the_equation_of_another_is_refused(kind):
    m, copy, said = COPIES[kind]
    data = pd.DataFrame({"x": X, "m": m, "mc": copy, "y": Y})
    with pytest.raises(bc.BayesCausalError, match=f"'mc' holds {said}.*write the variable m"):
        bc.truth(mediated(), {"a": 0.8, "b": 0.3, "c": 0.5}, data)


def test_other_columns_are_no_copies():
    data = pd.DataFrame({"x": X, "m": M, "mc": M + 0.01 * M**2, "y": Y})
    fit = bc.truth(mediated(), {"a": 0.8, "b": 0.3, "c": 0.5}, data)
    assert float(bc.estimate(fit, bc.ATE("x", "y"))) == pytest.approx(0.3)
    assert not any("same numbers" in note for note in fit.notes)
    ties = np.tile([0.0, 1.0], 5)
    assert relation(ties, 1 - ties) is None  # ten zeros and ones may agree by chance


@pytest.mark.parametrize("made", [np.argsort(np.argsort(M)), M > 0, np.clip(M, -1, 1), -np.sinh(M)])
def test_a_function_of_a_variable_in_its_place_is_noted(made):
    data = pd.DataFrame({"x": X, "m": M, "mc": made.astype(float), "y": Y})
    values = {"a": 0.8, "b": 0.3, "c": 0.5}
    fit = bc.truth(mediated(), values, data)
    [note] = [n for n in fit.notes if "mc is a function of the variable m in the data" in n]
    assert note in bc.estimate(fit, bc.ATE("x", "y")).notes
    assert note not in bc.estimate(fit, bc.ATE("mc", "y")).notes
    both = bc.Contrast("y", {"x": 1, "mc": 1.0}, {"x": 0, "mc": 0.0})
    assert note not in bc.estimate(fit, both).notes
    shuffled = data.assign(mc=RNG.permutation(data["mc"]))
    assert not any("function of" in n for n in bc.truth(mediated(), values, shuffled).notes)


def test_two_variables_of_one_column_are_refused():
    data = pd.DataFrame({"x": X, "m": M, "mc": M, "y": Y})
    with pytest.raises(bc.BayesCausalError, match="variables 'm' and 'mc' hold the same numbers"):
        bc.truth(mediated(random=True), {"a": 0.8, "b": 0.3, "c": 0.5}, data)


def test_a_column_of_a_design_matrix_may_be_the_copy():
    with pm.Model(coords={"unit": range(N), "k": ["x", "m"]}) as model:
        matrix = pm.Data("X", np.c_[X, M], dims=("unit", "k"))
        a, b = pm.Normal("a"), pm.Normal("b", dims="k")
        pm.Normal("m", a * pm.Data("x", X, dims="unit"), 1, dims="unit", observed=M)
        pm.Normal("y", matrix @ b, 1, dims="unit", observed=Y)
    with pytest.raises(bc.BayesCausalError, match=r"'X\[m\]' holds the numbers of"):
        bc.truth(model, {"a": 0.8, "b": [0.3, 0.5]})


def test_columns_that_follow_from_each_other_are_noted():
    data = pd.DataFrame({"age": X, "z": M, "age2": X**2, "az": X * M, "y": Y})
    model = bc.model_from_formulas(["y ~ age + z + age2 + az"], data=data)
    values = dict.fromkeys(["b_y_Intercept", "b_y_age", "b_y_z", "b_y_age2", "b_y_az"], 0.0)
    notes = bc.truth(model, {**values, "sigma_y": 1.0}, data).notes
    assert any("age2 is the square of age: setting one" in note for note in notes)
    assert any("az is the product of age and z" in note for note in notes)


def test_dummies_of_one_category_are_noted_where_one_is_set_alone():
    """Low and high dose against placebo: in a log link the two do not add up as they do alone."""
    rng = np.random.default_rng(4)
    arm = rng.permutation(np.arange(90) % 3)
    counts = rng.poisson(1.0, 90)
    data = pd.DataFrame({"low": arm == 1, "high": arm == 2, "y": counts}).astype(int)
    values = {"b_y_Intercept": 0.0, "b_y_low": 1.0, "b_y_high": 2.0}
    model = bc.model_from_formulas(["y ~ low + high"], data=data, families={"y": "poisson"})
    known = bc.truth(model, values, data)
    [note] = [n for n in known.notes if "never 1 together" in n]
    alone = bc.estimate(known, bc.ATE("low", "y"))
    assert note in alone.notes
    asked = eval(note.partition("ask for ")[2].rstrip("."), {"Contrast": bc.Contrast})
    both = {"low": 1, "high": 0}, {"low": 0, "high": 0}
    assert note not in bc.estimate(known, asked).notes
    assert alone.mean() == pytest.approx((np.e - 1) * (2 + np.e**2) / 3)
    assert bc.estimate(known, bc.Contrast("y", *both)).mean() == pytest.approx(np.e - 1)
    # two arms of a factorial trial that do meet, and ones that by chance do not
    crossed = data.assign(high=(np.arange(90) % 2))
    model = bc.model_from_formulas(["y ~ low + high"], data=crossed, families={"y": "poisson"})
    assert not bc.truth(
        model, {"b_y_Intercept": 0.0, "b_y_low": 1.0, "b_y_high": 2.0}, crossed
    ).notes
    few = data.iloc[:6]
    model = bc.model_from_formulas(["y ~ low + high"], data=few, families={"y": "poisson"})
    assert not bc.truth(model, {"b_y_Intercept": 0.0, "b_y_low": 1.0, "b_y_high": 2.0}, few).notes


def test_effects_of_a_column_say_what_stays_as_it_is():
    data = pd.DataFrame({"age": X, "age2": X**2, "y": Y})
    model = bc.model_from_formulas(["y ~ age + age2"], data=data)
    values = {"b_y_Intercept": 0.0, "b_y_age": 1.0, "b_y_age2": 0.0, "sigma_y": 1.0}
    known = bc.truth(model, values, data)
    said = bc.estimate(known, bc.ATE("age", "y")).notes
    assert any("age2 is the square of age: setting one" in note for note in said)
    both = bc.estimate(known, bc.Contrast("y", {"age": 1, "age2": 1}, {"age": 0, "age2": 0})).notes
    assert not any("setting one" in note for note in both)


def test_streams_are_looked_through_too(tmp_path):
    data = pd.DataFrame({"x": X, "m": M, "mc": M, "y": Y})
    data.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(bc.BayesCausalError, match="'mc' holds the numbers of the variable 'm'"):
        bc.fit(mediated(), str(tmp_path / "rows.parquet"), seed=1, progressbar=False)


# ------------------------------------------------------------- values that the model holds


@pytest.mark.parametrize("held", ["data", "observed"])
def test_what_the_model_holds_goes_to_the_units_of_the_same_label(held):
    """y = 3 x in every unit: at any order of the rows the slope of the expectation at b = 3 is 3,
    and the noise that is abducted is zero, so y would be 6 if x were 2."""
    order = RNG.permutation(N)
    labels = [f"id{i}" for i in range(N)]

    def made(coords: list) -> pm.Model:
        with pm.Model(coords={"unit": coords}) as model:
            x = pm.Data("x", X if held == "data" else np.zeros(N), dims="unit")
            seen = {"observed": 3 * X} if held == "observed" else {}
            pm.Normal("y", pm.Normal("b") * x, 1, dims="unit", **seen)
        return model

    column = {"y": 3 * X} if held == "data" else {"x": X}
    rows = pd.DataFrame(column, index=labels).iloc[order]
    fit = bc.truth(made(labels), {"b": 3.0}, rows)
    world = bc.counterfactual(fit, {"x": 2.0})
    np.testing.assert_allclose(world["y"].isel(world=-1).values.ravel(), 6.0)
    unlabelled = pd.DataFrame(column).iloc[order]
    with pytest.raises(bc.BayesCausalError, match=r"another order along 'unit'.*reset_index"):
        bc.truth(made(list(range(N))), {"b": 3.0}, unlabelled)
    again = bc.truth(made(list(range(N))), {"b": 3.0}, pd.DataFrame(column))
    assert float(bc.estimate(again, bc.ATE("x", "y"))) == pytest.approx(3.0)


def test_columns_that_are_compared_roughly_are_all_that_are_related():
    rng = np.random.default_rng(0)
    x, positive = rng.normal(size=(4, 300)), np.exp(rng.normal(size=300))
    columns = [*x, positive, np.log(positive), positive**2, 1 / positive, np.sqrt(positive)]
    columns += [2 * x[0] + 1, np.round(x[1], 2), x[2].astype(np.float32).astype(float)]
    columns += [x[3] ** 3, np.exp(x[0]), np.log1p(positive), rng.integers(0, 3, 300)]
    columns.append(np.where(rng.random(300) < 0.1, np.nan, x[1]))
    near = _near(columns)
    related = 0
    for i, j in itertools.permutations(range(len(columns)), 2):
        if relation(columns[i], columns[j]) is not None:
            related += 1
            assert near[i, j], (i, j)
    assert related > 12
    assert near.sum() < len(columns) ** 2 / 2
    assert _near(columns[:3]).all()
