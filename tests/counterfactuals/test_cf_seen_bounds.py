"""Averages over units whose own discrete outcome was seen: bounds beside the chosen coupling.

The oracle is a linear program over all couplings of the outcome's values in the two worlds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy.optimize import linprog
from scipy.stats import binom

import bayescausal as bc
from bayescausal.effects.unit_level.finite_bounds import rank_shares
from bayescausal.types import CouplingError


def couplings(p_seen, p_other, counts, gain, sense):
    """Return the extreme of sum_y counts[y] E[gain(other) | seen = y] over all couplings."""
    k, m = len(p_seen), len(p_other)
    cost = (sense * counts / p_seen)[:, None] * np.asarray(gain)[None, :]
    rows = [np.kron(np.eye(k)[i], np.ones(m)) for i in range(k)]
    columns = [np.kron(np.ones(k), np.eye(m)[j]) for j in range(m)]
    found = linprog(
        -cost.reshape(-1), A_eq=np.array(rows + columns), b_eq=np.concatenate([p_seen, p_other])
    )
    assert found.success
    return -sense * found.fun


@pytest.mark.parametrize("seed", range(12))
def test_shares_are_the_extreme_coupling(seed):
    rng = np.random.default_rng(seed)
    k, m = rng.integers(2, 5, size=2)
    p_seen, p_other = rng.dirichlet(np.ones(k)), rng.dirichlet(np.ones(m))
    counts = rng.integers(0, 6, size=k).astype(float)
    gain = np.sort(rng.normal(size=m))
    low, high = rank_shares(counts, p_seen)
    edges = np.concatenate([[0.0], np.cumsum(p_other)])
    for sense in (1.0, -1.0):
        a, b = (low, high) if sense > 0 else (1 - high, 1 - low)
        total = sum(
            n
            * np.sum(np.clip(np.minimum(v, edges[1:]) - np.maximum(u, edges[:-1]), 0, None) * gain)
            / (v - u)
            for n, u, v in zip(counts, a, b, strict=True)
        )
        assert total == pytest.approx(couplings(p_seen, p_other, counts, gain, sense), abs=1e-9)


def binary(n_rows):
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.5, dims="unit")
        x = pm.Bernoulli("x", 0.3 + 0.4 * z, dims="unit")
        a, b = pm.Normal("a"), pm.Normal("b")
        pm.Bernoulli("y", logit_p=a + b * x + 0.5 * z, dims="unit")
    params = {"a": -0.4, "b": 1.1}
    return model, params, bc.simulate(model, params, units=n_rows, seed=3)


def p(params, x, z):
    return 1 / (1 + np.exp(-(params["a"] + params["b"] * x + 0.5 * z)))


def test_no_silent_coupling_of_a_discrete_outcome():
    model, params, data = binary(40)
    fit = bc.truth(model, params, data)
    for ask in (
        bc.ATE("x", "y", population="finite"),
        bc.Expected("y", {"x": 1}, population="finite"),
        bc.ATE("x", "y", given={"y": 1}),
    ):
        with pytest.raises(CouplingError, match=r"noise of 'y'.*coupling=\"monotone\""):
            bc.estimate(fit, ask)
    assert bc.estimate(fit, bc.ATE("x", "y")).bounds is None  # averages do not depend on it
    natural = bc.estimate(fit, bc.Expected("y", population="finite"))
    assert natural.mean() == pytest.approx(data["y"].mean())


@pytest.mark.parametrize("given", [None, pytest.param({"z": 1}, marks=pytest.mark.slow), {"y": 1}])
def test_bounds_of_a_binary_outcome_are_those_of_all_couplings(given):
    model, params, data = binary(60)
    fit = bc.truth(model, params, data)
    kept = data if given is None else data[data[next(iter(given))] == 1]
    want = np.zeros(2)
    for (x, z), rows in kept.groupby(["x", "z"]):
        seen, other = p(params, x, z), p(params, 1 - x, z)
        counts = np.array([(rows["y"] == 0).sum(), (rows["y"] == 1).sum()], dtype=float)
        fact = rows["y"].sum()
        ends = [
            couplings(np.array([1 - seen, seen]), np.array([1 - other, other]), counts, [0, 1], s)
            for s in (-1.0, 1.0)
        ]
        want += [fact - ends[1], fact - ends[0]] if x else [ends[0] - fact, ends[1] - fact]
    want /= len(kept)
    for coupling in ("monotone", "gumbel"):
        effect = bc.estimate(
            fit, bc.ATE("x", "y", population="finite", given=given, coupling=coupling)
        )
        np.testing.assert_allclose(effect.bounds.values.reshape(-1), want, atol=1e-10)
        assert want[0] - 1e-12 <= effect.mean() <= want[1] + 1e-12
        assert any("Coupling of y" in note for note in effect.notes)
    assert want[0] < want[1]


def test_bounds_draw_by_draw_with_a_continuous_parent_are_unit_by_unit():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        b = pm.Normal("b")
        pm.Binomial("y", 4, logit_p=b * x + z, dims="unit")
    rng = np.random.default_rng(2)
    data = bc.simulate(model, {"b": 0.8}, units=15, seed=1)
    draws = rng.normal(0.8, 0.3, size=(1, 6))
    fit = bc.Fit(model, {"b": draws}, data)
    effect = bc.estimate(fit, bc.ATE("x", "y", population="finite", coupling="monotone"))
    support = np.arange(5)
    for s, slope in enumerate(draws[0]):
        want = np.zeros(2)
        for row in data.itertuples():
            law = [binom.pmf(support, 4, 1 / (1 + np.exp(-(slope * v + row.z)))) for v in (0, 1)]
            counts = (support == row.y).astype(float)
            ends = [couplings(law[row.x], law[1 - row.x], counts, support, e) for e in (-1.0, 1.0)]
            want += (
                [row.y - ends[1], row.y - ends[0]] if row.x else [ends[0] - row.y, ends[1] - row.y]
            )
        np.testing.assert_allclose(effect.bounds.values[0, s], want / len(data), atol=1e-7)
    assert np.all(effect.draws >= effect.bounds.sel(bound="lower"))
    assert np.all(effect.draws <= effect.bounds.sel(bound="upper"))


def test_a_count_has_bounds_and_by_splits_them():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.5, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        b = pm.Normal("b")
        pm.Poisson("y", pm.math.exp(0.2 + b * x + 0.3 * z), dims="unit")
    data = bc.simulate(model, {"b": 0.4}, units=50, seed=4)
    fit = bc.truth(model, {"b": 0.4}, data)
    effect = bc.estimate(fit, bc.ATE("x", "y", population="finite", coupling="monotone", by="z"))
    whole = bc.estimate(fit, bc.ATE("x", "y", population="finite", coupling="monotone"))
    share = data["z"].mean()
    mixed = (1 - share) * effect.bounds.sel(z=0) + share * effect.bounds.sel(z=1)
    np.testing.assert_allclose(mixed.values, whole.bounds.values, atol=1e-9)


def test_where_there_are_no_bounds_it_is_said():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Normal("m", x, dims="unit")
        pm.Bernoulli("y", logit_p=m, dims="unit")
    data = bc.simulate(model, {}, units=20, seed=4)
    fit = bc.truth(model, {}, pd.DataFrame(data))
    effect = bc.estimate(fit, bc.ATE("x", "y", population="finite", coupling="monotone"))
    assert effect.bounds is None
    assert any("No bounds" in note and "m is recomputed" in note for note in effect.notes)
