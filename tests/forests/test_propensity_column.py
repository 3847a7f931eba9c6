"""The expected treatment of ``bcf()``: regression and boosted trees, chosen by rows held out."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import bayescausal as bc
from bayescausal.model.forests.boosting import RATE, boosted, loss
from bayescausal.model.forests.op import forest_at
from bayescausal.model.forests.packed import LEAF, evaluate_forests, pack
from bayescausal.model.forests.prior import forest_of
from bayescausal.model.formulas.curves import trees as forests
from bayescausal.model.structure.function_graph import evaluate

pytestmark = [
    pytest.mark.filterwarnings("ignore::bayescausal.types.FitWarning"),
    pytest.mark.filterwarnings("ignore::bayescausal.types.FormulaWarning"),
]


def column_of(model, value):
    """The last column that a forest splits on."""
    [columns] = evaluate([forest_at(model[value]).inputs[0]])
    return columns[:, -1]


def propensity(data, formula="y ~ bcf(t, by=({}), m=2, m_effect=2)"):
    names = ", ".join(n for n in data if n.startswith("x"))
    binary = bool(data["t"].dropna().isin((0, 1)).all())
    families = {"t": "bernoulli" if binary else "gaussian"}
    model = bc.model_from_formulas(["t ~ 1", formula.format(names)], families, data)
    return column_of(model, f"f_y_prognosis({names})")


def test_a_boosted_tree_is_the_best_of_all_trees_of_its_depth():
    """All stumps, and below each the best of all, by least squares with a penalty of 1."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (80, 2)).astype(float)
    y = x[:, 0] * (x[:, 1] > 1) + 0.1 * rng.normal(size=80)
    held = np.arange(80) % 2 == 0
    zero = np.zeros(80)
    tree = boosted(x, y, [(held, zero)], zero, binary=False)[0][0]

    def score(rows):
        return y[rows].sum() ** 2 / (1 + rows.sum())

    def best(rows):
        found = {
            (j, c): score(rows & (x[:, j] <= c)) + score(rows & (x[:, j] > c))
            for j, c in itertools.product((0, 1), (0.0, 1.0, 2.0))
        }
        top = max(found, key=found.__getitem__)
        return top if found[top] > score(rows) else None

    def check(k, rows, depth):
        split = best(rows) if depth < 3 else None
        if split is None:
            assert tree.column[k] == LEAF
            assert tree.value[k] == pytest.approx(RATE * y[rows].sum() / (1 + rows.sum()), rel=1e-5)
            return
        j, c = split
        assert (tree.column[k], tree.value[k]) == (j, c)
        check(k + 1, rows & (x[:, j] <= c), depth + 1)
        check(int(tree.right[k]), rows & (x[:, j] > c), depth + 1)

    check(0, np.ones(80, dtype=bool), 0)


def test_trees_find_a_step_and_hardly_anything_where_there_is_nothing():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(600, 3))
    folds = [np.arange(600) % 5 == k for k in range(5)]
    start = np.zeros(600)
    noise = (rng.random(600) < 0.5).astype(float)
    few, _ = boosted(x, noise, [(f, start) for f in folds], start, binary=True)
    assert np.abs(expit(evaluate_forests(x, pack(few, 0.0))) - 0.5).mean() < 0.07
    mean = np.where(x[:, 1] > 0.3, 0.9, 0.1)
    y = (rng.random(600) < mean).astype(float)
    trees, lost = boosted(x, y, [(f, start) for f in folds], start, binary=True)
    found = expit(evaluate_forests(x, pack(trees, 0.0)))
    assert np.abs(found - mean).mean() < 0.07
    assert lost < 600 * np.log(2) / 1.5


def test_loss_is_minus_the_log_density():
    f = np.array([0.3, -2.0])
    mean = expit(f)
    right = -np.log([mean[0], 1 - mean[1]])
    np.testing.assert_allclose(loss(np.array([1.0, 0.0]), f, binary=True), right)
    np.testing.assert_allclose(loss(np.array([1.0, 0.0]), f, binary=False), [0.245, 2.0])


def held_out(seed, columns, mean):
    """The log loss in 2,000 new units, beside those of the truth and of the share of the treated.

    Their treatment is an empty cell, so that nothing is learnt from them.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2_400, columns))
    e = mean(x)
    t = (rng.random(2_400) < e).astype(float)
    data = pd.DataFrame(x, columns=[f"x{k}" for k in range(columns)])
    data["t"], data["y"] = np.where(np.arange(2_400) < 400, t, np.nan), rng.normal(size=2_400)
    found, new = propensity(data), np.arange(2_400) >= 400

    def loss_of(p):
        p = np.broadcast_to(p, t.shape)[new]
        return -np.mean(t[new] * np.log(p) + (1 - t[new]) * np.log(1 - p))

    return loss_of(found), loss_of(e), loss_of(t[:400].mean())


def test_many_columns_do_not_make_it_worse_than_the_share_of_the_treated():
    """Eighty columns of noise: their squares, without a penalty to choose, gave .6 above it."""
    ours, _, share = held_out(2, 80, lambda x: np.full(len(x), 0.2))
    assert ours < share + 0.03


@pytest.mark.parametrize(
    ("seed", "mean"),
    [
        (3, lambda x: expit(2 * x[:, 0] - 2 * x[:, 1])),
        (4, lambda x: expit(2 - 2 * x[:, 0] ** 2)),
        (5, lambda x: np.where(x[:, 2] > 0, 0.02, 0.6)),
    ],
)
def test_it_learns_lines_bends_and_steps(seed, mean):
    """Two and a half times the loss that 20 coefficients cost in 400 rows, q / (2 n).

    The regression by itself loses .08 on a step; lines by themselves .2 on a bend.
    """
    ours, best, share = held_out(seed, 10, mean)
    assert ours - best < 2.5 * 20 / (2 * 400)
    assert share > best + 0.2


def test_a_dose_has_its_mean_on_its_own_scale():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(500, 2))
    mean = 1_000 + 50 * (x[:, 0] > 0) + 10 * x[:, 1]
    data = pd.DataFrame(x, columns=["x0", "x1"])
    data["t"], data["y"] = mean + 5 * rng.normal(size=500), rng.normal(size=500)
    assert np.sqrt(np.mean((propensity(data) - mean) ** 2)) < 8


@pytest.fixture(scope="module")
def apart():
    """Two in five units are never treated."""
    rng = np.random.default_rng(7)
    n = 400
    x = rng.normal(size=(n, 6))
    never = x[:, 2] > 0.2
    t = np.where(never, 0, rng.integers(0, 2, n))
    tau = 2 * x[:, 0] - 3 * never
    y = x[:, 0] + tau * t + 0.5 * rng.normal(size=n)
    data = pd.DataFrame(x, columns=[f"x{k}" for k in range(6)]).assign(t=t, y=y)
    return data, never, tau


def test_both_forests_split_on_it(apart):
    data, never, _ = apart
    names = ", ".join(n for n in data if n.startswith("x"))
    model = bc.model_from_formulas([f"y ~ bcf(t, by=({names}))"], data=data)
    values = [f"f_y_prognosis({names})", f"f_y_t:effect({names})"]
    first, second = (column_of(model, v) for v in values)
    np.testing.assert_array_equal(first, second)
    assert np.quantile(first[never], 0.95) < 0.1 < np.quantile(first[~never], 0.05)
    for value in values:
        shape = forest_of(model[f"{value}_forest"])
        assert len(shape.cuts) == 7
        assert shape.weights == (*(1.0,) * 6, 1.0 if value == values[0] else pytest.approx(0.3))
    wide = data.assign(**{f"x{k}": data["x0"] * k for k in range(6, 40)})
    names = ", ".join(n for n in wide if n.startswith("x"))
    many = bc.model_from_formulas([f"y ~ bcf(t, by=({names}))"], data=wide)
    assert forest_of(many[f"f_y_t:effect({names})_forest"]).weights == (*(1.0,) * 40, 2.0)


def test_the_effect_of_units_that_are_never_treated_is_wide(monkeypatch):
    """Sixty covariates, of which one says who is never treated.

    A planted fault, a forest of effects that does not ask the propensity, is half as wide there.
    """
    rng = np.random.default_rng(7)
    x = rng.normal(size=(400, 60))
    never = x[:, 2] > 0.2
    t = np.where(never, 0, rng.integers(0, 2, 400))
    tau = 4 * x[:, 0] + 3 * (x[:, 1] > 0) * x[:, 4] - 2 * never
    y = x[:, 0] + tau * t + 0.5 * rng.normal(size=400)
    data = pd.DataFrame(x, columns=[f"x{k}" for k in range(60)]).assign(t=t, y=y)
    names = ", ".join(n for n in data if n.startswith("x"))

    def spread():
        model = bc.model_from_formulas([f"y ~ bcf(t, by=({names}), m=30)"], data=data)
        fit = bc.fit(model, data, draws=150, chains=2, seed=1, progressbar=False)
        units = bc.estimate(fit, bc.ITE("t", "y"), seed=1).draws
        along = units.stack(s=("chain", "draw")).transpose("s", ...).to_numpy()
        return along[:, never].mean(axis=1).std()

    whole = spread()
    monkeypatch.setattr(forests, "SHARE", 1e-9)
    assert whole > 1.5 * spread()


def test_the_model_is_written_with_its_trees(apart):
    pytest.importorskip("pymc_bart")
    data, *_ = apart
    names = ", ".join(n for n in data if n.startswith("x"))
    model = bc.model_from_formulas([f"y ~ bcf(t, by=({names}), m=2, m_effect=2)"], data=data)
    space = {"data": data}
    exec(bc.model_source(model), space)
    again = bc.fit(space["model"], data, draws=5, chains=1, tune=5, seed=1, progressbar=False)
    for value in (f"f_y_prognosis({names})", f"f_y_t:effect({names})"):
        written = again.structure.model
        np.testing.assert_allclose(column_of(written, value), column_of(model, value), rtol=1e-9)
