"""Estimands of units and paths: ITE, finite populations, post-treatment groups, paths."""

from __future__ import annotations

import itertools

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc


def post_treatment(count=0, seed=0):
    """m = x + u, Z = 1[m > .5], y = m x with x a coin and u standard normal."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Normal("m", x, 1, dims="unit")
        pm.Deterministic("z", (m > 0.5) * 1, dims="unit")
        pm.Normal("y", m * x, 0.5, dims="unit")
    if not count:
        return model
    return model, bc.simulate(model, {}, units=count, seed=seed)


def test_a_group_formed_after_treatment_is_a_counterfactual_question():
    """E[y_1 - y_0 | Z = 1] with y_1 - y_0 = 1 + u.

    u given m = x + u > .5 has mean phi(.5) / Phi(-.5) = 1.141 for x = 0 and
    phi(-.5) / Phi(.5) = .509 for x = 1, weighted by how many each gives: (phi + phi) / 1 = .704.
    Restricting the units and redrawing their noise gives 1.00.
    """
    model, data = post_treatment(4_000, seed=2)
    known = bc.truth(model, {}, data)
    u = data["m"].to_numpy() - data["x"].to_numpy()
    chosen = data["m"].to_numpy() > 0.5
    effect = bc.estimate(known, bc.CATE("x", "y", given={"z": 1}))
    assert abs(effect.mean() - (1 + u[chosen].mean())) < 1e-9
    assert abs(effect.mean() - 1.704) < 4 * u[chosen].std() / np.sqrt(chosen.sum())
    assert any("post-treatment (z)" in n for n in effect.notes)
    everyone = bc.estimate(known, bc.ATE("x", "y"))
    assert abs(everyone.mean() - 1.0) <= 5 * float(everyone.mc_error) + 1e-9


def test_a_finite_population_is_the_mean_of_unit_effects():
    rng = np.random.default_rng(4)
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b", 1, 1)
        w = pm.Bernoulli("w", 0.5, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Gamma("m", 2 + x + w, 1, dims="unit")
        pm.Normal("y", b * x * m, 1, dims="unit")
    data = {name: rng.integers(0, 2, 20) for name in ("w", "x")}
    data |= {"m": rng.gamma(2, 1, 20), "y": rng.normal(size=20)}
    fit = bc.prior(model, data, draws=10, seed=1)
    units = bc.estimate(fit, bc.ITE("x", "y"))
    finite = bc.estimate(fit, bc.ATE("x", "y", population="finite"))
    np.testing.assert_allclose(finite.draws.values, units.draws.values.mean(axis=-1), atol=1e-10)
    sample = bc.estimate(fit, bc.ATE("x", "y"))
    assert np.abs(sample.draws.values - finite.draws.values).max() > 0.01
    chosen = np.flatnonzero(data["w"] == 1)
    some = bc.estimate(fit, bc.ITE("x", "y", given={"w": 1}))
    np.testing.assert_allclose(some.draws.values, units.draws.values[..., chosen], atol=1e-12)
    np.testing.assert_array_equal(some.draws["unit"].values, chosen)


def test_the_effect_on_each_unit_equals_its_two_counterfactuals():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        k = pm.Poisson("k", 1 + x, dims="unit")
        pm.LogNormal("y", 0.2 * k * x, 1, dims="unit")
    data = {"x": [0, 1, 1], "k": [0, 2, 5], "y": [0.5, 1.0, 9.0]}
    known = bc.truth(model, {}, data, draws=30, seed=3)
    worlds = bc.counterfactual(known, {"one": {"x": 1}, "zero": {"x": 0}}, coupling="monotone")["y"]
    one, zero = worlds.sel(world="one").values, worlds.sel(world="zero").values
    for scale, by_hand in {"difference": one - zero, "ratio": one / zero}.items():
        effect = bc.estimate(known, bc.ITE("x", "y", coupling="monotone", scale=scale))
        np.testing.assert_allclose(effect.draws.values, by_hand, rtol=1e-12)
        assert any("Coupling of k" in n for n in effect.notes)
    share = bc.estimate(
        known, bc.ITE("x", "y", coupling="monotone", functional=bc.Probability(below=0))
    )
    np.testing.assert_allclose(share.draws.values, (one < zero).mean(axis=-1))


def paths_model():
    """x -> a -> y, x -> c -> y, a -> c, x -> y: binary, tables by hand."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        a = pm.Bernoulli("a", p=0.2 + 0.5 * x, dims="unit")
        c = pm.Bernoulli("c", p=0.1 + 0.3 * x + 0.4 * a, dims="unit")
        pm.Bernoulli("y", p=0.05 + 0.2 * x + 0.3 * a + 0.15 * c + 0.2 * a * c * x, dims="unit")
    return model


def by_enumeration(edges):
    """E[Y(1 along the chosen edges)] - E[Y(0)], each edge carrying its own value of the parent.

    `edges` are those that carry the treated value of their parent. The chosen value of a node
    and its control value share their noise; a sum over a uniform rank cut at both thresholds.
    """

    def pick(edge, one, zero):
        return one if edge in edges else zero

    def pair(p1, p0):
        """Joint of (chosen, control) values for a common rank."""
        low, high = min(p1, p0), max(p1, p0)
        return {(1, 1): low, (1, 0): p1 - low, (0, 1): p0 - low, (0, 0): 1 - high}

    total = 0.0
    a_p = [0.2 + 0.5 * v for v in (pick(("x", "a"), 1, 0), 0)]
    for (a1, a0), pa in pair(*a_p).items():
        c1 = 0.1 + 0.3 * pick(("x", "c"), 1, 0) + 0.4 * pick(("a", "c"), a1, a0)
        c0 = 0.1 + 0.4 * a0
        for (u1, u0), pc in pair(c1, c0).items():
            x = pick(("x", "y"), 1, 0)
            a, c = pick(("a", "y"), a1, a0), pick(("c", "y"), u1, u0)
            chosen = 0.05 + 0.2 * x + 0.3 * a + 0.15 * c + 0.2 * a * c * x
            control = 0.05 + 0.3 * a0 + 0.15 * u0
            total += pa * pc * (chosen - control)
    return total


@pytest.mark.parametrize(
    ("chosen", "edges"),
    [
        (["x -> y"], {("x", "y")}),
        (["x -> c -> y"], {("x", "c"), ("c", "y")}),
        (["x -> y", "x -> c -> y"], {("x", "y"), ("x", "c"), ("c", "y")}),
        (
            ["x -> a -> y", "x -> a -> c -> y"],
            {("x", "a"), ("a", "y"), ("a", "c"), ("c", "y")},
        ),
        (
            ["x -> y", "x -> a -> y", "x -> a -> c -> y", "x -> c -> y"],
            set(
                itertools.chain(
                    [("x", "y"), ("x", "a"), ("x", "c")], [("a", "c"), ("a", "y"), ("c", "y")]
                )
            ),
        ),
    ],
)
def test_path_specific_effects_equal_enumeration(chosen, edges):
    known = bc.truth(paths_model(), {}, draws=1, seed=4)
    effect = bc.estimate(known, bc.PSE("x", "y", paths=chosen, population="model"))
    assert abs(effect.mean() - by_enumeration(edges)) <= 5 * float(effect.mc_error) + 1e-9
    assert float(effect.mc_error) < 0.01


@pytest.mark.parametrize(
    ("chosen", "witness"),
    [
        (["x -> a -> y"], "'a' is a recanting witness"),
        (["x -> a -> c -> y"], "'a' is a recanting witness"),
    ],
)
def test_a_recanting_witness_is_named(chosen, witness):
    known = bc.truth(paths_model(), {}, draws=1)
    with pytest.raises(bc.BayesCausalError, match=witness):
        bc.estimate(known, bc.PSE("x", "y", paths=chosen, population="model"))


def test_what_an_ite_refuses():
    with pm.Model(coords={"unit": [0]}) as model:
        w = pm.Bernoulli("w", 0.5, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Normal("m", x + w, 1, dims="unit")
        pm.Normal("y", m * x, 0.5, dims="unit")
    data = {"w": [0, 1], "x": [0, 1], "m": [0.1, 1.0], "y": [0.0, 1.0]}
    known = bc.truth(model, {}, data)
    with pytest.raises(bc.BayesCausalError, match="by unit already"):
        bc.estimate(known, bc.ITE("x", "y", by="w"))
    with pytest.raises(bc.BayesCausalError, match="population='model' has no units"):
        bc.estimate(known, bc.ITE("x", "y", population="model"))
    with pytest.raises(bc.BayesCausalError, match="0 of 2 units"):
        bc.estimate(known, bc.ITE("x", "y", given={"m": (7.0, 8.0)}))


MEMORY = """
import resource, time
import numpy as np, pymc as pm, xarray as xr
import bayescausal as bc

with pm.Model(coords={"unit": [0]}) as model:
    b = pm.Normal("b", 0, 1)
    humid = pm.Normal("humid", 0, 1, dims="unit")
    x = pm.Bernoulli("x", logit_p=humid, dims="unit")
    pm.Normal("y", b * x + humid, 0.5, dims="unit")
rng = np.random.default_rng(0)
n = 10_000
data = {"humid": rng.normal(size=n), "x": rng.integers(0, 2, n), "y": rng.normal(size=n)}
fit = bc.prior(model, data, draws=4_000, seed=1)
start = time.perf_counter()
effect = bc.estimate(fit, bc.ITE("x", "y"))
print(time.perf_counter() - start)
assert effect.draws.sizes["unit"] == n and effect.draws.sizes["draw"] == 4_000
assert np.abs(effect.draws.values - fit.posterior["b"].values[..., None]).max() < 1e-12
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)
"""


@pytest.mark.slow
def test_four_thousand_draws_of_ten_thousand_units_fit_in_two_gigabytes():
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr
    seconds, gigabytes = map(float, done.stdout.split())
    assert gigabytes < 2, (seconds, gigabytes)
