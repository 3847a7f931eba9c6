"""Averages in closed form and over fewer units are the numbers that units one by one give."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.effects.averaging.collapse import chebyshev_weights
from bayescausal.effects.evaluation import inner_draws as running
from bayescausal.effects.evaluation.question import resolve

N, S = 3_000, 25
RNG = np.random.default_rng(7)


def draws_of(model, centre=0.4, spread=0.3):
    rng = np.random.default_rng(3)
    names = [v.name for v in model.free_RVs if not v.name.startswith(("x", "z", "m", "y", "g"))]
    shapes = model.eval_rv_shapes()
    made = {}
    for name in names:
        values = rng.normal(centre, spread, size=(2, S, *shapes[name]))
        made[name] = np.abs(values) if name.startswith("s") else values
    return made


def linear():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        x = pm.Bernoulli("x", logit_p=z, dims="unit")
        a, b, c, s = pm.Normal("a"), pm.Normal("b"), pm.Normal("c"), pm.HalfNormal("s")
        m = pm.Normal("m", a * x + z**2 * c, s, dims="unit")
        pm.Normal("y", (b + c * z) * m + pm.math.exp(a) * x - z / (1 + a**2), s, dims="unit")
    return model


def switched():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        x = pm.Normal("x", z, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b")
        pm.Normal(
            "y", pm.math.switch(z > 0, a * x, b) + pm.math.log1pexp(z) * a * b, 1, dims="unit"
        )
    return model


def group():
    with pm.Model(coords={"unit": [0], "k": range(4)}) as model:
        g = pm.Categorical("g", p=np.ones(4) / 4, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        a, b = pm.Normal("a", dims="k"), pm.Normal("b")
        pm.Bernoulli("y", logit_p=a[g] + b * x * (g + 1), dims="unit")
    return model


def looked_up():
    """Coefficients of groups, of two groupings at once, times columns and parameters."""
    with pm.Model(coords={"unit": [0], "k": range(4), "two": range(2)}) as model:
        g = pm.Categorical("g", p=np.ones(4) / 4, dims="unit")
        z = pm.Normal("z", dims="unit")
        x = pm.Bernoulli("x", logit_p=z, dims="unit")
        a, c = pm.Normal("a", dims="k"), pm.Normal("c", dims=("k", "two"))
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        m = a[3 - g] * x + z
        slope = pm.math.switch(z > 0, b * a[g], c[g, x] / (1 + z**2))
        pm.Normal("y", (b - c[g, x]) * z - a[g] * a[g] * x + slope / b + b * m, s, dims="unit")
    return model


def logistic():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        x = pm.Bernoulli("x", logit_p=z, dims="unit")
        a, b, c = pm.Normal("a"), pm.Normal("b"), pm.Normal("c")
        pm.Bernoulli("y", logit_p=a + b * x + 3 * c * z, dims="unit")
    return model


def counts():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        x = pm.Bernoulli("x", logit_p=z, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b")
        pm.Poisson("y", pm.math.exp(a + b * x + 0.5 * a * z), dims="unit")
    return model


MODELS = {f.__name__: f for f in (linear, switched, group, looked_up, logistic, counts)}
CLOSED, FEWER = {"linear", "switched", "looked_up"}, {"group", "logistic", "counts"}


def fitted(name, n=6_000):
    model = MODELS[name]()
    values = draws_of(model)
    first = {k: v[0, 0] for k, v in values.items()}
    data = bc.simulate(model, first, units=n, seed=1)
    return bc.Fit(model, values, data), data


def questions(data):
    mask = np.arange(len(data)) % 3 == 0
    covariate = "g" if "g" in data else "z"
    given = {"g": 1} if "g" in data else {"z": (0.0, 1.0)}
    levels = {"treated": 1, "control": 0} if data["x"].dtype.kind in "iu" else {}
    asked = [
        bc.ATE("x", "y"),
        bc.CATE("x", "y", given=given),
        bc.CATE("x", "y", given=mask),
        bc.Expected("y", {"x": 1}, given=given),
        bc.ATE("x", "y", scale="ratio"),
        bc.ATE("x", "y", population="superpopulation"),
    ]
    if levels:
        asked += [bc.ATT("x", "y"), bc.ATU("x", "y")]
    assert covariate in data
    return asked


@pytest.mark.parametrize("name", [n for n in MODELS if n != "linear"])
def test_shortcuts_change_no_number(name, monkeypatch):
    fit, data = fitted(name)
    asked = questions(data)
    quick = [bc.estimate(fit, q) for q in asked]
    with monkeypatch.context() as patch:
        patch.setattr(running, "closed_form", lambda *_: None)
        patch.setattr(running, "collapse", lambda *_: None)
        plain = [bc.estimate(fit, q) for q in asked]
    for one, two in zip(quick, plain, strict=True):
        np.testing.assert_allclose(one.draws, two.draws, rtol=1e-9, atol=1e-10)


def test_a_mediators_noise_is_integrated_out():
    """The closed form against the algebra done by hand, for the average of every subgroup."""
    fit, data = fitted("linear")
    z, x = data["z"].to_numpy(), data["x"].to_numpy()
    a, b, c = (fit.posterior[k].values[..., None] for k in "abc")

    def outcome(level):
        return (b + c * z) * (a * level + z**2 * c) + np.exp(a) * level - z / (1 + a**2)

    mask = np.arange(len(data)) % 3 == 0
    near = (z >= 0.0) & (z <= 1.0)
    effect = outcome(1) - outcome(0)
    for question, truth in (
        (bc.ATE("x", "y"), effect.mean(axis=-1)),
        (bc.CATE("x", "y", given={"z": (0.0, 1.0)}), effect[..., near].mean(axis=-1)),
        (bc.CATE("x", "y", given=mask), effect[..., mask].mean(axis=-1)),
        (bc.ATT("x", "y"), effect[..., x == 1].mean(axis=-1)),
        (bc.ATU("x", "y"), effect[..., x == 0].mean(axis=-1)),
        (bc.Expected("y", {"x": 1}), outcome(1).mean(axis=-1)),
        (bc.ATE("x", "y", scale="ratio"), outcome(1).mean(axis=-1) / outcome(0).mean(axis=-1)),
    ):
        answer = bc.estimate(fit, question)
        assert answer.mc_error == 0
        np.testing.assert_allclose(answer.draws.values, truth, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_the_shortcut_that_is_meant_is_taken(name):
    fit, _ = fitted(name)
    question = resolve(fit, bc.ATE("x", "y"))
    run = running.Run.of(question, 1)
    assert (run.closed is not None) == (name in CLOSED)
    if name in FEWER:
        assert run.fewer is not None
        assert run.fewer[0].units.count * 3 <= question.units.count


@pytest.mark.parametrize("write", [lambda a, b: a @ b, pm.math.dot])
def test_products_of_matrices_beside_groups_are_in_closed_form(write):
    """The lengths of the matrix and of the weights are known from the dim alone."""
    rng = np.random.default_rng(0)
    n, columns = 30, {"g": rng.integers(0, 4, 30), "x": np.arange(30) % 2}
    columns["X"] = rng.normal(size=(n, 3))
    params = {"w": np.array([1.0, -2.0, 0.5]), "r": rng.normal(size=4)}
    with pm.Model(coords={"unit": range(n), "p": ["a", "b", "c"], "k": range(4)}) as model:
        X = pm.Data("X", np.zeros((n, 3)), dims=("unit", "p"))
        g = pm.Data("g", np.zeros(n, dtype=int), dims="unit")
        x = pm.Data("x", np.zeros(n), dims="unit")
        w, r = pm.Normal("w", dims="p"), pm.Normal("r", dims="k")
        pm.Normal("y", write(X, w) * (1 + x) + r[g] * x, 1, dims="unit")
    run = running.Run.of(resolve(bc.truth(model, params, columns), bc.Expected("y", {"x": 2})), 1)
    assert run.closed is not None
    right = np.mean(3 * columns["X"] @ params["w"] + 2 * params["r"][columns["g"]])
    assert run.closed.reduce(slice(0, 1)).total.item() == pytest.approx(right, abs=1e-12)


def test_a_step_in_a_continuous_column_is_found_out():
    """Nodes cannot see a jump: the check on the units themselves drops them."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        a = pm.Normal("a")
        pm.Bernoulli("y", logit_p=pm.math.switch(z > a, 2.0, -1.0) * x, dims="unit")
    data = bc.simulate(model, {"a": 0.3}, units=20_000, seed=1)
    draws = np.random.default_rng(1).normal(0.3, 0.5, size=(1, 12))
    effect = bc.estimate(bc.Fit(model, {"a": draws}, data), bc.ATE("x", "y"))
    p = 1 / (1 + np.exp(-np.array([-1.0, 2.0])))
    above = np.array([(data["z"] > a).mean() for a in draws[0]])
    np.testing.assert_allclose(effect.draws.values[0], above * p[1] + (1 - above) * p[0] - 0.5)


def test_the_square_of_noise_has_no_mean_of_zero():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Normal("m", x, 2.0, dims="unit")
        pm.Normal("y", m * m, 1, dims="unit")
    fit = bc.truth(model, {}, bc.simulate(model, {}, units=2000, seed=1))
    effect = bc.estimate(fit, bc.Expected("y", {"x": 1}))
    assert effect.mc_error > 0
    assert abs(effect.mean() - 5.0) < 5 * effect.mc_error


def test_units_counted_by_position_are_not_averaged_away():
    """An expression may count its units: that differs between them without any column."""
    import pytensor.tensor as pt

    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * pt.arange(x.shape[0]) * x, 1, dims="unit")
    data = {"x": np.zeros(5), "y": np.zeros(5)}
    fit = bc.Fit(model, {"b": np.array([[1.0, 2.0]])}, data)
    effect = bc.estimate(fit, bc.ATE("x", "y"))
    np.testing.assert_allclose(effect.draws.values[0], [2.0, 4.0])


def test_nodes_integrate_smooth_functions():
    x = np.random.default_rng(2).standard_t(3, size=5_000)
    nodes, weights = chebyshev_weights(x)
    assert len(nodes) <= 512
    assert weights.sum() == pytest.approx(len(x))
    for power in range(8):
        assert weights @ nodes**power == pytest.approx((x**power).sum(), rel=1e-9)
    same, once = chebyshev_weights(np.full(10, 3.0))
    assert once @ np.sin(same) == pytest.approx(10 * np.sin(3.0), rel=1e-12)


def test_a_million_units_cost_what_a_thousand_do():
    """The work is counted, not timed: units are visited once, not once per draw."""
    fit, _ = fitted("linear", n=60_000)
    seen = []
    original = bc.Fit.value

    def spy(self, name, chain_draw=slice(None)):
        found = original(self, name, chain_draw)
        seen.append(np.size(found))
        return found

    bc.Fit.value = spy
    try:
        bc.estimate(fit, bc.ATE("x", "y"))
    finally:
        bc.Fit.value = original
    assert sum(seen) < 20 * 60_000
