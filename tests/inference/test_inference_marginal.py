"""Discrete latents: the sum is exact, the way back is exact, and what cannot be summed is left."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import xarray as xr
from models import pair

from bayescausal.inference import as_table, condition, conform
from bayescausal.inference.marginalize.marginal import marginalise
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.read import structure_of


def conditioned(model, data, unit_dims=None):
    structure = structure_of(model, unit_dims=unit_dims, named=list(data))
    known = condition(structure, conform(as_table(data, structure), structure))
    return structure, known, marginalise(structure, known)


def logp(model):
    return model.compile_logp(mode=PY_MODE)


def by_enumeration(known, states, shapes, point):
    """Sum exp(joint log-density) over every assignment of every discrete latent."""
    joint = logp(known.model)
    names = list(states)
    grids = [itertools.product(states[n], repeat=int(np.prod(shapes[n]))) for n in names]
    terms = [
        joint({**point, **{n: np.reshape(c, shapes[n]) for n, c in zip(names, combo, strict=True)}})
        for combo in itertools.product(*grids)
    ]
    return np.logaddexp.reduce(terms)


def confounded():
    with pm.Model(coords={"unit": [0]}) as model:
        p = pm.Beta("p", 2, 2)
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        u = pm.Bernoulli("u", p, dims="unit")
        x = pm.Bernoulli("x", logit_p=b * u - 0.3, dims="unit")
        pm.Normal("y", x + 2 * u, s, dims="unit")
    return model, {"x": [0, 1, 1], "y": [0.0, 2.0, 3.0]}, {"u": [0, 1]}, {"u": (3,)}, None


def three_categories():
    with pm.Model(coords={"unit": [0]}) as model:
        w = pm.Normal("w", shape=3)
        z = pm.Categorical("z", p=pm.math.softmax(w), dims="unit")
        pm.Poisson("y", pt.exp(w)[z], dims="unit")
    return model, {"y": [0, 3, 1]}, {"z": [0, 1, 2]}, {"z": (3,)}, None


def schools():
    with pm.Model(coords={"school": range(2), "pupil": range(5)}) as model:
        idx = pm.Data("idx", np.zeros(5, int), dims="pupil")
        b = pm.Normal("b")
        z = pm.Bernoulli("z", 0.4, dims="school")
        pm.Normal("y", b * z[idx], 1, dims="pupil")
    data = {"idx": [1, 0, 0, 1, 1], "y": [0.0, 1.0, 2.0, 0.5, -1.0]}
    return model, data, {"z": [0, 1]}, {"z": (2,)}, ("school", "pupil")


def panel():
    with pm.Model(coords={"unit": range(2), "time": range(3)}) as model:
        b = pm.Normal("b")
        z = pm.Bernoulli("z", 0.4, dims="unit")
        pm.Normal("y", b * z[:, None], 1, dims=("unit", "time"))
    data = {"y": np.arange(6.0).reshape(2, 3)}
    return model, data, {"z": [0, 1]}, {"z": (2,)}, ("unit", "time")


def two_together():
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        z = pm.Bernoulli("z", 0.4, dims="unit")
        w = pm.Binomial("w", 2, pm.math.sigmoid(b * z), dims="unit")
        pm.Normal("y", w - z, 1, dims="unit")
    return model, {"y": [0.0, 1.5]}, {"z": [0, 1], "w": [0, 1, 2]}, {"z": (2,), "w": (2,)}, None


def continuous_child():
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        z = pm.Bernoulli("z", 0.4, dims="unit")
        m = pm.Normal("m", b * z, 1, dims="unit")
        g = pm.LogNormal("g", b * z, 1, dims="unit")
        pm.Normal("y", m + g, 1, dims="unit")
    return model, {"y": [0.0, 1.5]}, {"z": [0, 1]}, {"z": (2,)}, None


def imputed_child():
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        z = pm.Bernoulli("z", 0.4, dims="unit")
        m = pm.Normal("m", b * z, 1, dims="unit")
        pm.Normal("y", m - z, 1, dims="unit")
    data = {"m": [0.3, np.nan, 1.0], "y": [0.0, 1.5, 2.0]}
    return model, data, {"z": [0, 1]}, {"z": (3,)}, None


def observed_child_with_children():
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        z = pm.Bernoulli("z", 0.4, dims="unit")
        m = pm.Normal("m", b * z, 1, dims="unit")
        v = pm.Deterministic("v", m**2, dims="unit")
        pm.Normal("y", v, 1, dims="unit")
    return model, {"m": [0.3, -0.2], "y": [0.0, 1.5]}, {"z": [0, 1]}, {"z": (2,)}, None


def with_potential():
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        z = pm.Bernoulli("z", 0.4, dims="unit")
        pm.Normal("y", b * z, 1, dims="unit")
        pm.Potential("select", -0.5 * z * b**2, dims="unit")
    return model, {"y": [0.0, 1.5]}, {"z": [0, 1]}, {"z": (2,)}, None


CASES = [
    confounded,
    three_categories,
    schools,
    panel,
    two_together,
    continuous_child,
    imputed_child,
    observed_child_with_children,
    with_potential,
]


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_marginal_density_is_the_enumerated_sum(case):
    model, data, states, shapes, unit_dims = case()
    _, known, marginal = conditioned(model, data, unit_dims)
    assert marginal is not None
    assert set(marginal.names) == set(states)
    assert not set(states) & set(marginal.model.named_vars)
    rng = np.random.default_rng(3)
    density = logp(marginal.model)
    for _ in range(3):
        point = {
            k: np.asarray(v + rng.normal(size=np.shape(v)) * 0.7)  # any point will do
            for k, v in marginal.model.initial_point().items()
        }
        wanted = by_enumeration(known, states, shapes, point)
        assert density(point) == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("case", [confounded, two_together, schools], ids=lambda f: f.__name__)
def test_probabilities_are_the_enumerated_conditionals(case):
    model, data, states, shapes, unit_dims = case()
    _, known, marginal = conditioned(model, data, unit_dims)
    (group,) = marginal.groups
    point = {k: np.asarray(v + 0.4) for k, v in marginal.model.initial_point().items()}
    values = {rv.name: rv for rv in marginal.model.free_RVs}
    natural = marginal.model.replace_rvs_by_values(list(values.values()))
    inputs = [marginal.model.rvs_to_values[rv] for rv in values.values()]
    f = pm.compile(inputs, natural, mode=PY_MODE)
    drawn = dict(zip(values, f(**point), strict=True))
    p = group.probabilities(drawn)
    # by enumeration: the conditional of the first cell, everything else summed out
    joint = logp(known.model)
    names = list(states)
    grids = [itertools.product(states[n], repeat=int(np.prod(shapes[n]))) for n in names]
    weight = np.zeros(len(group.states))
    for combo in itertools.product(*grids):
        here = {n: np.reshape(c, shapes[n]) for n, c in zip(names, combo, strict=True)}
        first = [here[n].ravel()[0] for n in group.names]
        weight[np.flatnonzero((group.states == first).all(axis=1))[0]] += np.exp(
            joint({**point, **here})
        )
    np.testing.assert_allclose(p.reshape(len(p), -1)[:, 0], weight / weight.sum(), rtol=1e-9)


def test_recovered_states_have_the_right_frequencies():
    model, data, *_ = confounded()
    _, _, marginal = conditioned(model, data)
    n = 4000
    posterior = xr.Dataset(
        {
            name: (("chain", "draw"), np.full((1, n), value))
            for name, value in {"p": 0.4, "b": 0.7, "s": 1.1}.items()
        }
    )
    drawn = marginal.recover(posterior, np.random.default_rng(0))["u"]
    assert drawn.dims == ("chain", "draw", "unit")
    assert drawn.dtype == np.int8
    p = marginal.groups[0].probabilities({"p": 0.4, "b": 0.7, "s": 1.1})[1]
    # binomial standard error; four of them over three cells leave 2e-4 to chance, and the
    # seed is fixed
    np.testing.assert_array_less(
        np.abs(drawn.values[0].mean(axis=0) - p), 4 * np.sqrt(p * (1 - p) / n) + 1e-12
    )


def test_an_equation_that_mixes_units_is_left_alone():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.4, dims="unit")
        pm.Normal("y", z - z.mean(), 1, dims="unit")
    assert conditioned(model, {"y": [0.0, 1.0, 2.0]})[2] is None


def test_too_many_states_are_left_alone_and_the_rest_is_summed():
    with pm.Model(coords={"unit": [0]}) as model:
        n = pm.Poisson("n", 3, dims="unit")
        big = pm.Binomial("big", 100, 0.3, dims="unit")
        z = pm.Bernoulli("z", 0.4, dims="unit")
        pm.Normal("y", z, 1, dims="unit")
        pm.Normal("v", n + big, 1, dims="unit")
    _, _, marginal = conditioned(model, {"y": [0.0, 1.0], "v": [20.0, 30.0]})
    assert marginal.names == ("z",)
    assert {rv.name for rv in marginal.model.free_RVs} == {"n", "big"}


def test_latents_of_different_shape_that_meet_are_left_alone():
    with pm.Model(coords={"unit": range(2), "time": range(3)}) as model:
        z = pm.Bernoulli("z", 0.4, dims="unit")
        w = pm.Bernoulli("w", 0.2 + 0.5 * z[:, None], dims=("unit", "time"))
        pm.Normal("y", w, 1, dims=("unit", "time"))
    assert conditioned(model, {"y": np.zeros((2, 3))}, ("unit", "time"))[2] is None


def test_nothing_discrete_is_nothing_to_do():
    model = pair()
    assert conditioned(model, {"y": [0.0, 1.0]})[2] is None


def test_hundred_thousand_units_take_seconds():
    import time

    rng = np.random.default_rng(0)
    n = 100_000
    model = confounded()[0]
    data = {"x": rng.integers(0, 2, n), "y": rng.normal(size=n)}
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, _, marginal = conditioned(model, data)
    assert marginal.names == ("u",)
    assert time.perf_counter() - start < 20  # 2 s alone on two cores; others may share them
