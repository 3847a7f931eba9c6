"""Forests as rows of numbers: their value, their prior, the stamp of their draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph.replace import vectorize_graph

import bayescausal as bc
from bayescausal.model.forests.op import forest_value
from bayescausal.model.forests.packed import (
    LEAF,
    columns_used,
    evaluate_forests,
    pack,
    stacked,
    unpack,
)
from bayescausal.model.forests.prior import Shape, cuts_of
from bayescausal.model.forests.stamp import beside, forests_in, stamped
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.read import structure_of
from bayescausal.types import DataError, FitMismatchError, ModelError, ParameterError


def walked(x, trees, constant):
    """The value of a forest, from the root of each tree down, row by row."""
    out = np.full(len(x), float(constant))
    for tree in trees:
        for i, row in enumerate(x):
            k = 0
            while tree.column[k] != LEAF:
                k = k + 1 if row[tree.column[k]] <= tree.value[k] else tree.right[k]
            out[i] += tree.value[k]
    return out


def drawn(count, p=4, trees=7, seed=0):
    rng = np.random.default_rng(seed)
    cuts = cuts_of(rng.normal(size=(30, p)).round(1))
    return [Shape(trees, 0.95, 1.0, float(k), 2.0, cuts=cuts).draw(rng) for k in range(count)]


def test_the_value_of_packed_forests_is_that_of_walking_down_their_trees():
    x = np.random.default_rng(1).normal(size=(2500, 4)).round(1)  # ties at thresholds, three blocks
    forests = drawn(5)
    found = evaluate_forests(x, stacked(forests))
    for forest, value in zip(forests, found, strict=True):
        trees, constant = unpack(forest)
        np.testing.assert_allclose(value, walked(x, trees, constant), rtol=0, atol=1e-12)
        np.testing.assert_array_equal(pack(trees, constant), forest)
    assert max(len(t.column) for f in forests for t in unpack(f)[0]) > 8  # deep ones among them
    assert set(columns_used(stacked(forests))) == {0, 1, 2, 3}


def test_leading_axes_are_broadcast_and_missing_covariates_have_no_value():
    x = np.random.default_rng(2).normal(size=(3, 1, 6, 4))
    x[1, 0, 2, 3] = np.nan
    forests = stacked(drawn(2))
    found = evaluate_forests(x, forests)
    assert found.shape == (3, 2, 6)
    for i in range(3):
        for j in range(2):
            np.testing.assert_array_equal(found[i, j], evaluate_forests(x[i, 0], forests[j]))
    assert np.isnan(found[1, :, 2]).all()
    assert np.isnan(found).sum() == 2


def test_the_operation_takes_draws_of_forests_as_a_leading_axis():
    x, f = pt.matrix("x"), pt.vector("f")
    many = pt.matrix("many")
    [out] = vectorize_graph([forest_value(x, f) * 2], {f: many})
    values, forests = np.random.default_rng(3).normal(size=(5, 4)), stacked(drawn(3))
    call = pytensor.function([x, many], [out, out.shape], mode=PY_MODE)
    found, shape = call(values, forests)
    np.testing.assert_array_equal(found, 2 * evaluate_forests(values, forests))
    assert shape.tolist() == [3, 5]
    with pytest.raises(TypeError, match="matrix of covariates"):
        forest_value(pt.vector("v"), f)


def test_the_prior_has_the_moments_of_its_definition():
    """Each of m leaves that a point falls in is Normal(0, s / sqrt(m)); nodes stop at depth d."""
    rng, shape = np.random.default_rng(4), None
    shape = Shape(
        10, 0.6, 1.5, 3.0, 2.0, weights=(1.0, 3.0), cuts=cuts_of(rng.normal(size=(50, 2)))
    )
    forests = [shape.draw(rng) for _ in range(600)]
    x = np.array([[0.1, -0.3]])
    value = evaluate_forests(x, stacked(forests))[:, 0]
    assert abs(value.mean() - 3.0) < 4 * 2.0 / np.sqrt(600)
    assert abs(value.var() / 4.0 - 1) < 4 * np.sqrt(2 / 600)
    trees = [t for f in forests for t in unpack(f)[0]]
    split = np.mean([t.column[0] != LEAF for t in trees])
    assert abs(split - 0.6) < 4 * np.sqrt(0.24 / len(trees))
    below = [t.column[1] != LEAF for t in trees if t.column[0] != LEAF]
    chance = 0.6 * 2**-1.5
    assert abs(np.mean(below) - chance) < 4 * np.sqrt(chance * (1 - chance) / len(below))
    roots = np.array([t.column[0] for t in trees if t.column[0] != LEAF])
    assert abs((roots == 1).mean() - 0.75) < 4 * np.sqrt(0.1875 / len(roots))


def test_thresholds_are_values_of_the_data_and_a_constant_column_is_never_split():
    x = np.column_stack([np.ones(9), np.arange(9) % 3])
    assert [c.tolist() for c in cuts_of(x)] == [[], [0.0, 1.0]]
    assert len(cuts_of(np.arange(500.0)[:, None])[0]) == 100
    shape = Shape(40, 0.95, 2.0, 0.0, 1.0, cuts=cuts_of(x))
    forest = shape.draw(np.random.default_rng(5))
    assert columns_used(forest).tolist() == [1]
    with pytest.raises(ModelError, match="thresholds among the values of its covariates"):
        Shape(3, 0.95, 2.0, 0.0, 1.0).draw(np.random.default_rng(5))


# ----------------------------------------------------------------------- in a model


@pytest.fixture(scope="module")
def world():
    """A mediator, a forest for the outcome, and a linear term beside it."""
    rng = np.random.default_rng(6)
    n = 120
    x = rng.normal(size=n)
    t = rng.binomial(1, 1 / (1 + np.exp(-x)))
    m = 0.5 * t + x + rng.normal(size=n)
    y = np.sin(2 * x) + t * (1 + x) + 0.4 * m + 0.3 * rng.normal(size=n)
    data = pd.DataFrame({"x": x, "t": t, "m": m, "y": y})
    formulas = ["x ~ 1", "t ~ x", "m ~ t + x", "y ~ bart(x, t, m=8) + m"]
    model = bc.model_from_formulas(formulas, {"t": "bernoulli"}, data)
    params = bc.prior(model, data, draws=40, seed=1)
    return model, data, params


FOREST = "f_y_bart(x, t)_forest"


def test_a_forest_is_a_parameter_and_its_value_no_parent_of_its_own(world):
    model, _, params = world
    structure = structure_of(model)
    assert forests_in(structure) == (FOREST,)
    assert FOREST in structure.parameters
    assert params.forests == (FOREST,)
    assert FOREST not in params.parameters
    assert set(structure.graph.edges) == {
        ("x", "t"), ("t", "m"), ("x", "m"), ("x", "y"), ("t", "y"), ("m", "y"),
    }  # fmt: skip
    assert not structure.mixing
    assert set(beside(structure, FOREST)) == {"b_y_m", "sigma_y"}


def test_worlds_evaluate_the_forest_of_each_draw_at_that_worlds_parents(world):
    _, data, params = world
    forests = params.posterior[FOREST].values[0]
    b = {p: params.posterior[p].values[0] for p in params.parameters}

    def value(t):
        return evaluate_forests(np.column_stack([data["x"], t]), forests)

    ones, zeros = np.ones(len(data)), np.zeros(len(data))
    direct = (value(ones) - value(zeros)).mean(axis=1)
    through = b["b_y_m"] * b["b_m_t"]
    for question, right in (
        (bc.ATE("t", "y"), direct + through),
        (bc.NDE("t", "y"), direct),
        (bc.NIE("t", "y"), through),
    ):
        found = bc.estimate(params, question, seed=2)
        np.testing.assert_allclose(found.draws.values.ravel(), right, atol=1e-9)
    unit = bc.estimate(params, bc.ITE("t", "y"), seed=2).draws.values.reshape(40, -1)
    np.testing.assert_allclose(unit, value(ones) - value(zeros) + through[:, None], atol=1e-9)


def test_counterfactuals_keep_the_noise_about_the_forest(world):
    _, data, params = world
    forests, b = params.posterior[FOREST].values[0], params.posterior
    t = data["t"].to_numpy()
    other = 1 - t
    found = bc.counterfactual(params, {"t": other}, seed=1).sel(world="counterfactual")

    def value(t):
        return evaluate_forests(np.column_stack([data["x"], t]), forests)

    moved = (b["b_y_m"] * b["b_m_t"]).values[0][:, None] * (other - t)
    right = data["y"].to_numpy() + value(other) - value(t) + moved
    np.testing.assert_allclose(found["y"].values[0], right, atol=1e-9)


@pytest.mark.parametrize(
    ("family", "mean"),
    [("bernoulli", lambda f: 1 / (1 + np.exp(-f))), ("poisson", np.exp)],
)
def test_beside_other_likelihoods_the_forest_is_on_the_scale_of_the_link(family, mean):
    rng = np.random.default_rng(7)
    x, t = rng.normal(size=80), rng.binomial(1, 0.5, 80)
    y = rng.binomial(1, 0.3, 80) if family == "bernoulli" else rng.poisson(1.4, 80)
    data = pd.DataFrame({"x": x, "t": t, "y": y})
    families = {"t": "bernoulli", "y": family}
    model = bc.model_from_formulas(["x ~ 1", "t ~ x", "y ~ t * bart(x, m=6)"], families, data)
    params = bc.prior(model, data, draws=15, seed=2)
    effect = bc.estimate(params, bc.ATE("t", "y"), seed=1).draws.values.ravel()
    own = data[["x"]].to_numpy()
    level = evaluate_forests(own, params.posterior["f_y_bart(x)_forest"].values[0])
    slope = evaluate_forests(own, params.posterior["f_y_t:bart(x)_forest"].values[0])
    right = (mean(level + slope) - mean(level)).mean(axis=1)
    np.testing.assert_allclose(effect, right, atol=1e-9)


def test_known_parameters_take_a_packed_forest_and_say_where_one_comes_from(world):
    model, data, params = world
    values = {p: params.posterior[p].values[0, 3] for p in params.structure.parameters}
    fit = bc.truth(model, values, data)
    right = bc.estimate(params, bc.ATE("t", "y"), seed=2).draws.values.ravel()[3]
    assert float(bc.estimate(fit, bc.ATE("t", "y"), seed=1)) == pytest.approx(right, abs=1e-9)
    assert len(bc.simulate(model, values, units=7, seed=1)) == 7
    without = {p: v for p, v in values.items() if p != FOREST}
    with pytest.raises(ParameterError, match=r"packed row of trees: take one from its prior"):
        bc.simulate(model, without, units=7, seed=1)
    with pytest.raises(ParameterError, match="is no forest"):
        bc.simulate(model, {**values, FOREST: np.arange(9.0)}, units=7, seed=1)


def test_simulations_with_a_forest_are_refused_where_an_equation_is_not_defined():
    """They were NaN, and data= was refused for dims of the forest."""
    x = np.linspace(1.0, 2.0, 20)
    data = pd.DataFrame({"x": x, "t": np.tile([0, 1], 10), "y": np.sin(x)})
    model = bc.model_from_formulas("y ~ t + log(x) + bart(x, m=3)", data=data)
    params = bc.prior(model, data, draws=1, seed=1)
    values = {p: params.posterior[p].values[0, 0] for p in params.structure.parameters}
    values |= {"sigma_y": 1e-9, "b_y_t": 2.0}
    for column in ("y", "x"):
        known = bc.simulate(model, values, data=data.assign(t=0), seed=1)[column]
        treated = bc.simulate(model, values, data=data.assign(t=1), seed=1)[column]
        np.testing.assert_allclose(treated - known, 2.0 * (column == "y"), atol=1e-7)
    wrong = data.assign(x=x - 1.5)
    refused = pytest.raises(DataError, match=r"not defined for the data: log\(x\) is NaN at x=-0.5")
    with refused:
        bc.simulate(model, values, data=wrong, seed=1)
    with refused:
        bc.estimate(bc.truth(model, values, wrong), bc.ATE("t", "y"))


# ------------------------------------------------------------------------ the stamp


@pytest.fixture(scope="module")
def known(world):
    """Draws that carry stamps, as those of a posterior do."""
    _, _, params = world
    posterior = params.posterior
    arrays = {str(n): v.values for n, v in posterior.data_vars.items()}
    made = stamped(params.structure, arrays)
    return posterior.assign({n: (posterior[n].dims, v) for n, v in made.items()})


@pytest.mark.parametrize("moved", [FOREST, "sigma_y", "b_y_m"])
def test_forests_beside_the_scale_of_another_draw_are_refused(world, known, moved):
    model, data, _ = world
    bc.Fit(model, known, data)
    with pytest.raises(FitMismatchError, match=r"forests of .* stand beside .* of another draw"):
        bc.Fit(model, known.assign({moved: known[moved].roll(draw=1)}), data)


def test_a_fault_planted_into_a_fit_is_caught_where_the_forest_is_read(world, known):
    model, data, _ = world
    fit = bc.Fit(model, known.copy(deep=True), data)
    bc.estimate(fit, bc.ATE("t", "y"), seed=1)
    sigma = fit.draws["posterior"].variables["sigma_y"].values
    sigma[0, [2, 3]] = sigma[0, [3, 2]]
    with pytest.raises(FitMismatchError, match="2 of 40 forests"):
        bc.estimate(fit, bc.ATE("t", "y"), seed=1)


def test_whole_draws_may_be_thinned_reordered_saved_and_loaded(world, known, tmp_path):
    model, data, _ = world
    right = bc.estimate(bc.Fit(model, known, data), bc.ATE("t", "y"), seed=1)
    thinned = bc.Fit(model, known.isel(draw=slice(None, None, -4)), data)
    found = bc.estimate(thinned, bc.ATE("t", "y"), seed=1)
    np.testing.assert_allclose(found.draws.values[0], right.draws.values[0, ::-4])
    for suffix in (".nc", ".zarr") if _has("zarr") else (".nc",):
        thinned.save(tmp_path / f"fit{suffix}")
        again = bc.load_fit(tmp_path / f"fit{suffix}", model)
        np.testing.assert_array_equal(
            bc.estimate(again, bc.ATE("t", "y"), seed=1).draws.values, found.draws.values
        )


def _has(package):
    import importlib.util

    return importlib.util.find_spec(package) is not None
