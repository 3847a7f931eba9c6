"""The engine under every answer: addressed noise, chunks, what worlds admit and say."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.evaluation.noise import BLOCK, FreshNoise, replicates_per_group
from bayescausal.types import (
    DataError,
    EstimandError,
    InterventionError,
    UndefinedEffectError,
    UnknownVariableError,
)


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        x = pm.Bernoulli("x", logit_p=z, dims="unit")
        n = pm.Poisson("n", pm.math.exp(0.3 * x + 0.2 * z), dims="unit")
        pm.Normal("y", 0.5 * n + z, 1, dims="unit")
        pm.Categorical("c", p=[0.2, 0.5, 0.3], dims="unit")
    return model


@pytest.fixture(scope="module")
def known(model: pm.Model) -> bc.Fit:
    data = bc.simulate(model, {}, units=40, seed=3, unit_dims="unit")
    return bc.truth(model, {}, data, draws=3, seed=5)


def test_noise_is_a_function_of_its_address_alone() -> None:
    source = FreshNoise(7)
    whole = source.draw("v", "normal", range(6), 0, 2, (2 * BLOCK + 5,), along=0)
    later = source.draw("v", "normal", [4], 0, 2, (BLOCK + 5,), along=0, start=BLOCK)
    assert np.array_equal(whole[4, :, BLOCK:], later[0])
    fewer = source.draw("v", "normal", [2], 0, 1, (2 * BLOCK + 5,), along=0)
    assert np.array_equal(whole[2, 0, :BLOCK], fewer[0, 0, :BLOCK])


@pytest.mark.parametrize("other", [("w", "normal", 7, 0), ("v", "logistic", 7, 0),
                                   ("v", "normal", 8, 0), ("v", "normal", 7, 1)])  # fmt: skip
def test_noise_differs_between_variables_bases_seeds_and_groups(other: tuple) -> None:
    name, base, seed, group = other
    one = FreshNoise(7).draw("v", "normal", [0], 0, 1, (2000,), along=0).ravel()
    two = FreshNoise(seed).draw(name, base, [0], group, 1, (2000,), along=0).ravel()
    # 5 standard errors of a correlation of independent noise, 1/sqrt(2000)
    assert abs(np.corrcoef(one, two)[0, 1]) < 5 / np.sqrt(2000)


def test_noise_along_a_later_axis_is_the_same_noise() -> None:
    source = FreshNoise(1)
    first = source.draw("v", "normal", [0], 0, 1, (9, 4), along=0)
    second = source.draw("v", "normal", [0], 0, 1, (4, 9), along=1)
    assert np.array_equal(first[0, 0], second[0, 0].T)


def test_few_units_take_many_replicates_at_a_time() -> None:
    assert replicates_per_group(1) == 1024
    assert replicates_per_group(10**6) == 1


def test_a_world_draws_the_same_whatever_stands_beside_it(known: bc.Fit) -> None:
    alone = bc.worlds(known, {"a": {"x": 1}}, kind="draw", seed=2)
    among = bc.worlds(known, {"b": {"x": 0}, "a": {"x": 1}, "n": {}}, kind="draw", seed=2)
    for name in ("n", "y"):
        assert np.array_equal(alone[name].sel(world="a"), among[name].sel(world="a"))


def test_what_no_intervention_reaches_is_kept(known: bc.Fit) -> None:
    both = bc.worlds(known, {"a": {"x": 1}, "n": {}}, kind="draw")
    for name in ("z", "c"):
        assert np.all(both[name].values == known.columns[name])
    assert np.all(both["x"].sel(world="n") == known.columns["x"])
    assert not np.all(both["y"].sel(world="n") == known.columns["y"])


def test_expected_is_the_mean_of_draws(model: pm.Model, known: bc.Fit) -> None:
    expected = bc.worlds(known, {"a": {"x": 1}}, variables="y")["y"].values[0, 0, 0]
    z = known.columns["z"]
    exact = 0.5 * np.exp(0.3 + 0.2 * z) + z
    # Poisson mediators are simulated: sd of 0.5 n is 0.5 sqrt(mean) per replicate, 4096 replicates
    assert np.all(np.abs(expected - exact) < 5 * 0.5 * np.sqrt(np.exp(0.3 + 0.2 * z) / 4096))


def test_worlds_say_what_is_wrong(model: pm.Model, known: bc.Fit) -> None:
    with pytest.raises(EstimandError, match=r"kind is 'expcted'.*Did you mean 'expected'"):
        bc.worlds(known, {"a": {}}, kind="expcted")
    with pytest.raises(InterventionError, match="No worlds are given"):
        bc.worlds(known, {})
    with pytest.raises(DataError, match="no units"):
        bc.worlds(bc.truth(model, {}, unit_dims="unit"), {"a": {"x": 1}})
    with pytest.raises(UnknownVariableError, match="'q' is not a variable"):
        bc.worlds(known, {"a": {"x": 1}}, variables=["q"])


def test_a_nominal_variable_has_no_expectation() -> None:
    with pm.Model(coords={"unit": [0]}) as nominal:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        p = pm.math.stack([0.2 + 0.1 * x, 0.5 - 0.1 * x, 0.3 + 0 * x], axis=-1)
        pm.Categorical("c", p=p, dims="unit")
    known = bc.truth(nominal, {}, {"x": [0, 1], "c": [1, 2]})
    with pytest.raises(UndefinedEffectError, match="categories"):
        bc.worlds(known, {"a": {"x": 1}}, variables="c")
    assert list(bc.worlds(known, {"a": {"x": 1}}).data_vars) == ["x"]


@pytest.mark.parametrize(
    ("do", "said"),
    [
        ({"n": bc.Shift(-50)}, r"outside the support of the Poisson variable 'n'"),
        ({"x": bc.Policy(lambda z: 2 + 0 * z)}, r"x=f\(z\) gives 2"),
        ({"x": bc.Stochastic(pm.Poisson.dist(30))}, r"outside the support of the Bernoulli"),
    ],
)
def test_modified_treatments_must_stay_in_their_support(known: bc.Fit, do: dict, said: str) -> None:
    with pytest.raises(InterventionError, match=said):
        bc.worlds(known, {"a": do}, kind="draw")
    with pytest.raises(InterventionError, match=said):
        bc.estimate(known, bc.Contrast("y", do))
    with pytest.raises(InterventionError, match=said):
        bc.counterfactual(known, do, coupling="monotone")


def test_the_room_and_the_verb_of_one_name() -> None:
    import bayescausal.evaluation.noise  # loads the room as a module

    assert callable(bc.worlds)
    assert bayescausal.worlds is bc.worlds
