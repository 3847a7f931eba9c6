"""Messages of the engine that no other test meets: what is wrong, and what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import (
    CouplingError,
    DataError,
    EstimandError,
    IdentificationError,
    InterventionError,
)


@pytest.fixture(scope="module")
def known() -> bc.Fit:
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        x = pm.Bernoulli("x", logit_p=z, dims="unit")
        pm.Normal("y", x + z, 1, dims="unit")
        pm.Bernoulli("d", logit_p=x, dims="unit")
    data = {"z": [0.0, 1.0, -1.0], "x": [0, 1, 1], "y": [0.1, 1.0, 0.5], "d": [0, 1, 1]}
    return bc.truth(model, {}, data, unit_dims="unit", seed=1)


@pytest.fixture(scope="module")
def labelled() -> bc.Fit:
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Categorical("x", p=[0.2, 0.3, 0.5], dims="unit")
        pm.Normal("y", 1.0 * x, 1, dims="unit")
    data = pd.DataFrame(
        {"x": pd.Categorical(["low", "high", "mid"], ["low", "mid", "high"]), "y": [0.0, 2.0, 1.0]}
    )
    return bc.truth(model, {}, data, seed=1)


def test_evidence_needs_rows(known: bc.Fit) -> None:
    with pytest.raises(DataError, match=r"The evidence has no rows"):
        bc.counterfactual(known, {"x": 1}, evidence=pd.DataFrame({"x": []}))


def test_a_target_population_is_complete(known: bc.Fit) -> None:
    table = pd.DataFrame({"z": [0.0, np.nan]})
    with pytest.raises(DataError, match=r"The target population has empty cells in 'z'"):
        bc.estimate(known, bc.ATE("x", "y", population=table))


def test_one_cluster_label_per_unit(known: bc.Fit) -> None:
    asked = bc.Superpopulation(clusters=[1, 2])
    with pytest.raises(DataError, match=r"The cluster labels have shape \(2,\)\..*3 labels"):
        bc.estimate(known, bc.ATE("x", "y", population=asked))


def test_labels_of_categories_are_levels(labelled: bc.Fit) -> None:
    effect = bc.estimate(labelled, bc.ATE("x", "y", treated="high", control="low"))
    assert float(effect) == pytest.approx(2.0)
    with pytest.raises(EstimandError, match=r"'hihg' is not a category of 'x'.*low, mid, high"):
        bc.estimate(labelled, bc.ATE("x", "y", treated="hihg", control="low"))


def test_a_policy_that_fails_says_so(known: bc.Fit) -> None:
    def broken(z: np.ndarray) -> np.ndarray:
        return np.linalg.inv(np.asarray(z, dtype=float))

    with pytest.raises(InterventionError, match=r"The policy for 'x' failed: .*one value per unit"):
        bc.estimate(known, bc.ATE("x", "y", treated=bc.Policy(broken)))

    def nan(z: np.ndarray) -> np.ndarray:
        return np.full(np.shape(np.asarray(z, dtype=float)), np.nan)

    with pytest.raises(InterventionError, match=r"The policy for 'x' returned NaN"):
        bc.estimate(known, bc.ATE("x", "y", treated=bc.Policy(nan)))


def test_strict_refuses_what_is_not_identified(known: bc.Fit) -> None:
    model = known.model
    hidden = bc.truth(
        model, {}, {k: v for k, v in known.columns.items() if k != "z"}, unit_dims="unit", seed=1
    )
    with pytest.raises(IdentificationError, match=r"It would be identified if z were measured"):
        bc.estimate(hidden, bc.ATE("x", "y"), strict=True)
    assert bc.estimate(known, bc.ATE("x", "y"), strict=True).identification


def test_a_coupling_is_asked_for_by_name(known: bc.Fit) -> None:
    with pytest.raises(CouplingError, match=r"PNS x -> d depends on how the noise of 'd'"):
        bc.estimate(known, bc.PNS("x", "d"))
    with pytest.raises(CouplingError, match=r"coupling='monotnoe' .*Did you mean 'monotone'"):
        bc.counterfactual(known, {"x": 1}, coupling="monotnoe")
    with pytest.raises(CouplingError, match=r"The coupling of 'd' is missing"):
        bc.counterfactual(known, {"x": 1}, coupling={"y": "monotone"})


def test_both_units_and_evidence_are_too_much(known: bc.Fit) -> None:
    with pytest.raises(DataError, match=r"Both units= and evidence= are given"):
        bc.counterfactual(known, {"x": 1}, units=[0], evidence=pd.DataFrame({"x": [1]}))
    with pytest.raises(InterventionError, match=r"A world is called 'factual'"):
        bc.counterfactual(known, {"factual": {"x": 1}}, coupling="monotone")
