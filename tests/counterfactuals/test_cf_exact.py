"""Closed forms: linear-Gaussian units by matrix algebra, discrete units by enumeration."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from cf_oracles import States, frequencies_fit, gumbel_joint, quantile_joint

import bayescausal as bc


def linear(rng, size):
    weights = np.tril(rng.normal(0, 0.9, (size, size)) * (rng.random((size, size)) < 0.7), -1)
    for i in range(1, size):
        weights[i, i - 1] = rng.uniform(0.4, 1.2)
    return weights


def linear_model(weights):
    """``v = B v + s e`` with the weights and scales as parameters."""
    size = len(weights)
    with pm.Model(coords={"unit": [0], "row": range(size), "column": range(size)}) as model:
        b = pm.Normal("b", weights, 0.5, dims=("row", "column"))
        s = pm.Exponential("s", 1.0, dims="row")
        values = []
        for i in range(size):
            mu = sum((b[i, j] * values[j] for j in range(i) if weights[i, j]), 0.1)
            values.append(pm.Normal(f"v{i}", mu, s[i], dims="unit"))
    return model


@pytest.mark.parametrize("seed", range(4))
def test_linear_gaussian_units_equal_the_closed_form_in_every_draw(seed):
    """``(I - B_do)^-1 (e_hat + c_do)`` with ``e_hat = (I - B) v - c``, to 1e-10."""
    rng = np.random.default_rng([5, seed])
    size = 4 + seed % 2
    weights = linear(rng, size)
    model = linear_model(weights)
    data = {f"v{i}": rng.normal(0, 2, 7) for i in range(size)}
    fit = bc.prior(model, data, draws=20, seed=seed)
    set_at, kept = int(rng.integers(0, size - 2)), np.stack([data[f"v{i}"] for i in range(size)])
    found = bc.counterfactual(fit, {f"v{set_at}": 1.7, f"v{size - 2}": bc.Shift(0.4)})
    effect = bc.estimate(fit, bc.ITE(f"v{set_at}", f"v{size - 1}", treated=1.7, control=-0.4))
    for draw in range(20):
        b = fit.posterior["b"].values[0, draw] * (weights != 0)
        noise = (np.eye(size) - b) @ kept - 0.1
        cut, constant = b.copy(), noise + 0.1
        constant[size - 2] += 0.4
        cut[set_at], constant[set_at] = 0.0, 1.7
        wanted = np.linalg.solve(np.eye(size) - cut, constant)
        for i in range(size):
            value = found[f"v{i}"].sel(world="counterfactual").values[0, draw]
            assert np.abs(value - wanted[i]).max() <= 1e-10 * max(1, np.abs(wanted[i]).max())
        cut = b.copy()
        cut[set_at] = 0.0
        total = 2.1 * np.linalg.inv(np.eye(size) - cut)[size - 1, set_at]
        assert np.abs(effect.draws.values[0, draw] - total).max() <= 1e-10 * max(1, abs(total))


@pytest.mark.parametrize("kinds", [("monotone",) * 3, ("gumbel",) * 3, ("monotone", "gumbel") * 2])
def test_discrete_units_equal_the_enumeration_of_exogenous_states(kinds):
    rng = np.random.default_rng([17, len(kinds)])
    scm = States.random(rng, [3, 3, 2] if len(kinds) == 3 else [2, 3, 3, 2])
    draws = 4_000
    model = scm.model()
    units = [s for s in scm.states() if scm.weight(s) > 0]
    units = [units[i] for i in rng.choice(len(units), 6, replace=False)]
    data = {n: np.array([u[i] for u in units]) for i, n in enumerate(scm.names)}
    fit = bc.truth(model, {}, data, draws=draws, seed=3)
    coupling = dict(zip(scm.names, kinds, strict=True))
    worlds = {"low": {"v0": 0}, "high": {"v0": 1}, "both": {"v0": 0, "v1": 2}}
    found = bc.counterfactual(fit, worlds, coupling=coupling)
    for world, do in worlds.items():
        held = {scm.names.index(n): v for n, v in do.items()}
        values = np.stack([found[n].sel(world=world).values[0] for n in scm.names], axis=-1)
        for u, state in enumerate(units):
            law = scm.given(dict(enumerate(state)), held, kinds)
            counts = Counter(tuple(int(v) for v in row) for row in values[:, u])
            # 3 worlds x 6 units x 3 couplings
            assert frequencies_fit(counts, law, tests=54), (world, state)


def test_the_gumbel_joint_of_the_oracle_has_the_right_margins_and_agrees_with_simulation():
    rng = np.random.default_rng(2)
    p, q = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
    for joint in (gumbel_joint(p, q), quantile_joint(p, q)):
        np.testing.assert_allclose(joint.sum(axis=1), p, atol=1e-12)
        np.testing.assert_allclose(joint.sum(axis=0), q, atol=1e-12)
    noise = rng.gumbel(size=(200_000, 4))
    one, two = ((np.log(x) + noise).argmax(axis=1) for x in (p, q))
    counts = Counter(zip(one.tolist(), two.tolist(), strict=True))
    joint = gumbel_joint(p, q)
    law = {(i, k): joint[i, k] for i in range(4) for k in range(4)}
    assert frequencies_fit(counts, law)


def test_counts_and_binary_outcomes_equal_the_overlap_of_intervals():
    """Poisson and Bernoulli under a common rank, by the distribution functions alone."""
    from scipy import stats

    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        k = pm.Poisson("k", 2.0 + 1.5 * x, dims="unit")
        pm.Bernoulli("y", p=0.2 + 0.03 * k + 0.2 * x, dims="unit")
    data = {"x": [0, 1, 0, 1], "k": [1, 6, 4, 0], "y": [1, 0, 0, 1]}
    draws = 4_000
    fit = bc.truth(model, {}, data, draws=draws, seed=1)
    found = bc.counterfactual(fit, {"x": [1, 0, 1, 0]}, coupling="monotone")
    values = np.stack(
        [found[n].sel(world="counterfactual").values[0] for n in ("k", "y")], axis=-1
    ).astype(int)
    for u in range(4):
        x, k, y = (data[n][u] for n in ("x", "k", "y"))
        grid = np.arange(60)
        p_k = stats.poisson(2.0 + 1.5 * x).pmf(grid)
        q_k = stats.poisson(2.0 + 1.5 * (1 - x)).pmf(grid)
        law_k = quantile_joint(p_k, q_k)[k] / p_k[k]
        p = 0.2 + 0.03 * k + 0.2 * x
        law = {}
        for other in grid[law_k > 1e-12]:
            q = min(0.2 + 0.03 * other + 0.2 * (1 - x), 1.0)
            joint = quantile_joint([1 - p, p], [1 - q, q])[y]
            for z in (0, 1):
                law[int(other), z] = law_k[other] * joint[z] / joint.sum()
        counts = Counter(tuple(row) for row in values[:, u].tolist())
        assert frequencies_fit(counts, law, tests=4)


def _recorded_to_one_digit(law):
    """Return known parameters, a table with many equal values of m, and each unit's effect of m."""
    rng = np.random.default_rng(0)
    n = 60
    x, z = rng.integers(0, 2, n), rng.normal(size=n)
    m, y = rng.choice([0.5, 0.7, 1.1, 1.5, 2.3], n), rng.normal(size=n)
    with pm.Model(coords={"unit": range(n)}) as model:
        base = pm.Data("z", z, dims="unit")
        treat = pm.Bernoulli("x", 0.5, dims="unit")
        med = law(0.37 * treat + base)
        pm.Deterministic("high", med >= 1.1, dims="unit")
        pm.Normal("y", med * (1 + treat) + 3.0 * (med >= 1.1), 1, dims="unit")
    return bc.truth(model, {}, pd.DataFrame({"x": x, "z": z, "m": m, "y": y})), x, z, m, y


@pytest.mark.parametrize("population", ["sample", "finite"])
def test_units_at_the_bound_of_a_subgroup_belong_to_it(population):
    """What was observed forms groups, not what noise gives back: 1.1 is not 1.0999999999999999."""
    known, x, _, m, _ = _recorded_to_one_digit(lambda mu: pm.Normal("m", mu, 0.77, dims="unit"))
    one, none = (m + 0.37 * (level - x) for level in (1, 0))  # m with x at each level
    # a unit's own world has its own m to the last digit; the other world is beside no threshold
    one, none = np.where(x == 1, m, one), np.where(x == 0, m, none)
    own = 2 * one + 3.0 * (one >= 1.1) - none - 3.0 * (none >= 1.1)
    asked = {
        "at least": (lambda m: m >= 1.1, m >= 1.1),
        "range": ({"m": (1.1, 2.0)}, (m >= 1.1) & (m <= 2.0)),
        "value": ({"m": 1.1}, m == 1.1),
        "function": ({"high": True}, m >= 1.1),
    }
    for given, who in asked.values():
        found = bc.estimate(known, bc.CATE("x", "y", given=given, population=population))
        np.testing.assert_allclose(float(found), own[who].mean(), atol=1e-9)
    for name, groups in (("m", m), ("high", m >= 1.1)):
        found = bc.estimate(known, bc.ATE("x", "y", by=name, population=population))
        right = [own[groups == g].mean() for g in np.unique(groups)]
        np.testing.assert_allclose(found.draws.values.ravel(), right, atol=1e-9)


@pytest.mark.parametrize(
    "law",
    [
        lambda mu: pm.Normal("m", mu, 0.77, dims="unit"),
        lambda mu: pm.Gamma("m", 2.3, pm.math.exp(mu), dims="unit"),
        lambda mu: pm.LogNormal("m", mu, 0.7, dims="unit"),
    ],
)
def test_a_threshold_at_a_recorded_value_is_consistent(law):
    """In the world that a unit had, its outcome is its own: the threshold is at a value of m."""
    known, x, _, m, y = _recorded_to_one_digit(law)
    found = bc.counterfactual(known, {"one": {"x": 1}, "none": {"x": 0}, "as it was": {}})
    for name, seen in (("m", m), ("y", y)):
        there = {w: found[name].sel(world=w).values.ravel() for w in ("one", "none", "as it was")}
        np.testing.assert_allclose(np.where(x == 1, there["one"], there["none"]), seen, atol=1e-9)
        np.testing.assert_array_equal(there["as it was"], seen)


@pytest.mark.parametrize("family", ["Normal", "StudentT", "Gamma"])
def test_a_level_that_a_unit_has_leaves_its_values_to_the_last_digit(family):
    """So that "no better than before" is not false by a rounding error; others do change."""
    rng = np.random.default_rng(4)
    t, y = rng.integers(0, 2, 200).astype(float), rng.gamma(2.0, 1.0, 200)
    laws = {
        "Normal": lambda m: pm.Normal("y", m, 0.7, dims="unit"),
        "StudentT": lambda m: pm.StudentT("y", nu=4, mu=m, sigma=0.7, dims="unit"),
        "Gamma": lambda m: pm.Gamma("y", mu=pm.math.exp(m), sigma=0.7, dims="unit"),
    }
    with pm.Model(coords={"unit": range(200)}) as model:
        b = pm.Normal("b")
        laws[family](b * pm.Data("t", t, dims="unit"))
    known = bc.truth(model, {"b": 0.31}, {"t": t, "y": y})
    found = bc.counterfactual(known, {"t": 1.0})["y"].sel(world="counterfactual").values.ravel()
    assert np.array_equal(found[t == 1], y[t == 1])
    assert np.all(found[t == 0] != y[t == 0])
