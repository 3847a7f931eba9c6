"""A column of a design matrix is a variable; a question on the whole matrix says what it sets.

Siblings looked at: every place where a question names a variable (treatment, several treatments,
worlds, shifts, policies, subgroups, doses, slopes, direct effects, counterfactuals, identify,
roles, intervene, refutation, reports, other units), labels that are numbers, dims without labels,
unknown labels, random vectors, several dims beside that of the units, rows that stay in their
source, and a model whose units have their number from the matrix.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.inference.stream.source_data import is_streamed
from bayescausal.types import UnknownVariableError

N = 120
RNG = np.random.default_rng(4)
X = RNG.normal(size=(N, 3))
X[:, 0] += X[:, 1]
Y = X @ [1.0, 2.0, 3.0] + RNG.normal(size=N)
B = np.array([1.0, -2.0, 0.5])


def matrix(labels: object = ("age", "bmi", "t"), observed: bool = True) -> pm.Model:
    coords = {} if labels is None else {"unit": range(N), "predictor": list(labels)}
    with pm.Model(coords=coords) as model:
        x = pm.Data("X", X, dims=("unit", "predictor"))
        b = pm.Normal("b", 0, 5, dims="predictor") if labels else pm.Normal("b", 0, 5, shape=3)
        mu = x @ b + b[2] * x[:, 0] * x[:, 1]
        pm.Normal("y", mu, 1, dims="unit", observed=Y if observed else None)
    return model


KNOWN = bc.truth(matrix(), {"b": B}, {"X": X, "y": Y})
#: d E[y] / d age of each unit: b_age + b_t * bmi
SLOPES = B[0] + B[2] * X[:, 1]
AGE = X[:, 0]

QUESTIONS = {
    "difference": (bc.ATE("X[age]", "y"), SLOPES.mean()),
    "two columns": (bc.ATE(["X[age]", "X[bmi]"], "y"), B[0] + B[1] + B[2]),
    "shift": (
        bc.ATE("X[age]", "y", treated=bc.Shift(2), control=bc.Shift(0)),
        2 * SLOPES.mean(),
    ),
    "policy": (
        bc.ATE("X[age]", "y", treated=bc.Policy(lambda v: v, reads=["X[bmi]"]), control=0),
        (SLOPES * X[:, 1]).mean(),
    ),
    "subgroup": (bc.CATE("X[age]", "y", given={"X[bmi]": (0, 9)}), SLOPES[X[:, 1] >= 0].mean()),
    "slope": (bc.Slope("X[age]", "y"), SLOPES.mean()),
    "the treated column": (
        bc.CATE("X[t]", "y", given={"X[age]": (0, 9)}),
        B[2],
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_column_is_asked_about_by_its_label(name: str):
    question, right = QUESTIONS[name]
    assert bc.estimate(KNOWN, question).mean() == pytest.approx(right, abs=1e-9)


def test_doses_worlds_counterfactuals_and_other_units_take_columns():
    dose = bc.estimate(KNOWN, bc.DoseResponse("X[age]", "y", values=[0, 2], control=0))
    assert np.allclose(np.ravel(dose.mean())[-1], 2 * SLOPES.mean())
    world = bc.worlds(KNOWN, {"a": {"X[age]": 1}, "b": {"X[age]": 0}}, variables="y")["y"]
    assert np.allclose(world.sel(world="a") - world.sel(world="b"), SLOPES)
    other = bc.counterfactual(KNOWN, {"X[age]": bc.Shift(1)}, variables=["y", "X[age]"])
    gap = other.sel(world="counterfactual") - other.sel(world="factual")
    assert np.allclose(gap["y"], SLOPES)
    assert np.allclose(gap["X[age]"], 1)
    units = pd.DataFrame({"X[age]": [0.0, 0.0], "X[bmi]": [1.0, 3.0], "X[t]": [0.0, 0.0]})
    there = bc.estimate(KNOWN, bc.ATE("X[age]", "y", population=units))
    assert there.mean() == pytest.approx(B[0] + B[2] * 2.0)


def test_the_model_is_rewritten_and_not_changed():
    model = matrix()
    cut = bc.intervene(model, {"X[age]": 2.0})
    assert np.allclose(cut["X"].eval(), np.c_[np.full(N, 2.0), X[:, 1:]])
    assert list(model.named_vars) == list(matrix().named_vars)
    roles = bc.roles(model, "X[age]", "y")
    assert {"X[age]", "X[bmi]", "X[t]", "y"} == set(roles)
    assert bc.identify(model, "X[age]", "y").status == "identified"
    assert bc.identify(KNOWN, "X[age]", "y").status == "identified"


def test_a_fit_answers_by_least_squares_and_can_be_refuted_and_reported():
    with pm.Model(coords={"unit": range(N), "predictor": ["age", "bmi", "t"]}) as model:
        x = pm.Data("X", X, dims=("unit", "predictor"))
        b, sd = pm.Normal("b", 0, 50, dims="predictor"), pm.HalfNormal("sd", 5)
        pm.Normal("y", x @ b, sd, dims="unit", observed=Y)
    fit = bc.fit(model, draws=1000, seed=1, progressbar=False)
    effect = bc.estimate(fit, bc.ATE("X[age]", "y"))
    cov = np.linalg.inv(X.T @ X)
    right = cov @ X.T @ Y
    sd = np.sqrt(((Y - X @ right) ** 2).sum() / (N - 3) * cov[0, 0])
    assert effect.mean() == pytest.approx(right[0], abs=0.1 * sd)
    assert effect.sd() == pytest.approx(sd, rel=0.1)
    check = bc.refute(fit, bc.ATE("X[age]", "y"), tests="permuted", replicates=3, seed=1)
    assert check.verdict == "pass"
    assert "X[age]" in bc.report(fit, bc.ATE("X[age]", "y"), checks=False).markdown


def test_a_whole_matrix_says_what_it_sets():
    effect = bc.estimate(KNOWN, bc.ATE("X", "y"))
    assert effect.mean() == pytest.approx(B.sum() + B[2])
    [note] = [n for n in effect.notes if n.startswith("X is a vector")]
    assert "3 entries along predictor (age, bmi, t)" in note
    assert "sets all of them at once" in note
    assert "'X[age]'" in note
    assert not bc.estimate(KNOWN, bc.ATE("X[age]", "y")).notes


def test_labels_may_be_numbers_or_missing():
    for labels, name in (((10, 20, 30), "X[10]"), (None, "X[0]")):
        known = bc.truth(matrix(labels), {"b": B}, {"X": X, "y": Y})
        assert bc.estimate(known, bc.ATE(name, "y")).mean() == pytest.approx(SLOPES.mean())
    fewer = bc.truth(matrix(None), {"b": B}, {"X": X[:7], "y": Y[:7]})
    assert bc.estimate(fewer, bc.ATE("X[0]", "y")).mean() == pytest.approx(SLOPES[:7].mean())


def test_a_column_that_is_not_there_is_refused():
    with pytest.raises(UnknownVariableError, match=r"no column 'agee'.*Did you mean 'X\[age\]'"):
        bc.estimate(KNOWN, bc.ATE("X[agee]", "y"))
    with pytest.raises(UnknownVariableError, match="no column 'agee'"):
        bc.intervene(matrix(), {"X[agee]": 1})
    with pm.Model(coords={"unit": range(N), "predictor": ["age", "bmi", "t"]}) as model:
        x = pm.Normal("X", dims=("unit", "predictor"))
        pm.Normal("y", x.sum(axis=1), dims="unit")
    with pytest.raises(UnknownVariableError, match="one equation for all its entries"):
        bc.identify(model, "X[age]", "y")


def two_dims(order: tuple[str, ...]) -> tuple[pm.Model, np.ndarray, np.ndarray]:
    """Return a model on a matrix for each unit, its values and the coefficients."""
    coords = {"unit": range(N), "predictor": ["age", "bmi"], "time": ["t0", "t1", "t2"]}
    values = np.random.default_rng(8).normal(size=(N, 2, 3))
    slopes = np.arange(1.0, 7.0).reshape(2, 3)
    axes = [("unit", "predictor", "time").index(d) for d in order]
    with pm.Model(coords=coords) as model:
        x = pm.Data("X", values.transpose(axes), dims=order)
        b = pm.Normal("b", 0, 5, dims=[d for d in order if d != "unit"])
        at = order.index("unit")
        rest = tuple(i for i in range(3) if i != at)
        pm.Normal(
            "y",
            (x * b.dimshuffle(*["x" if i == at else rest.index(i) for i in range(3)])).sum(
                axis=rest
            ),
            1,
            dims="unit",
        )
    events = [d for d in order if d != "unit"]
    return model, values.transpose(axes), slopes if events[0] == "predictor" else slopes.T


@pytest.mark.parametrize(
    ("order", "name"),
    [
        (("unit", "predictor", "time"), "X[bmi,t1]"),
        (("predictor", "unit", "time"), "X[bmi,t1]"),
        (("time", "predictor", "unit"), "X[t1,bmi]"),
    ],
)
def test_entries_of_a_matrix_of_each_unit(order: tuple[str, ...], name: str):
    model, values, slopes = two_dims(order)
    y = np.random.default_rng(9).normal(size=N)
    known = bc.truth(model, {"b": slopes}, {"X": values, "y": y})
    assert bc.estimate(known, bc.ATE(name, "y")).mean() == pytest.approx(5.0)  # row bmi, column t1
    assert bc.identify(known, bc.ATE(name, "y")).status == "identified"
    cut = bc.intervene(model, {name: 7.0})["X"].eval()
    at = tuple(slice(None) if d == "unit" else 1 for d in order)
    right = values.copy()
    right[at] = 7.0
    assert np.array_equal(cut, right)
    with pytest.raises(UnknownVariableError, match=r"Did you mean 'X\["):
        bc.estimate(known, bc.ATE(name.replace("bmi", "bmj"), "y"))
    [note] = [n for n in bc.estimate(known, bc.ATE("X", "y")).notes if n.startswith("X is")]
    assert "6 entries along" in note


@pytest.mark.parametrize("dims", [1, 2])
def test_columns_of_a_matrix_that_stays_in_its_source(tmp_path, dims: int):
    rng = np.random.default_rng(12)
    shape, own = ((3,), ("predictor",)) if dims == 1 else ((2, 2), ("predictor", "time"))
    coords = {"unit": [0], "predictor": ["age", "bmi", "t"][: shape[0]], "time": ["t0", "t1"]}
    with pm.Model(coords=coords) as model:
        x = pm.Data("X", np.zeros((1, *shape)), dims=("unit", *own))
        b, v = pm.Normal("b", 0, 5, dims=own), pm.InverseGamma("v", 3, 3)
        pm.Normal("y", (x * b).sum(axis=tuple(range(1, dims + 1))), v**0.5, dims="unit")
    labels = [coords[d] for d in own]
    names = [f"X[{','.join(cell)}]" for cell in itertools.product(*labels)]
    rows = pd.DataFrame(rng.normal(size=(90, len(names))), columns=names)
    rows["y"] = rows[names] @ np.arange(1.0, len(names) + 1) + rng.normal(size=90)
    rows.to_parquet(tmp_path / "rows.parquet")
    options = {"draws": 300, "chains": 2, "seed": 1, "progressbar": False}
    there = bc.fit(model, str(tmp_path / "rows.parquet"), **options)
    here = bc.fit(model, rows, **options)
    assert is_streamed(there)
    last = names[-1]
    for question in (
        bc.ATE(last, "y"),
        bc.Slope(last, "y"),
        bc.ATE(last, "y", treated=bc.Policy(lambda v: 2 * v, reads=[names[0]]), control=0),
        bc.CATE(last, "y", given={names[0]: (0, 9)}),
    ):
        mine, theirs = bc.estimate(there, question), bc.estimate(here, question)
        assert np.allclose(mine.draws, theirs.draws), question
        assert mine.identification.status == theirs.identification.status == "identified"
    right = there.posterior["b"].values.reshape(2, 300, -1)[..., -1]
    assert np.allclose(bc.estimate(there, bc.ATE(last, "y")).draws, right)
    with pytest.raises(UnknownVariableError, match=r"Did you mean 'X\["):
        bc.estimate(there, bc.ATE(last[:-1] + "0]", "y"))
