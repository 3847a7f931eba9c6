"""Events of zero-inflated and hurdle outcomes are answered at the parents that a world sets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc

LOW, HIGH = np.exp(0.3), np.exp(0.8)  # the mean without and with treatment
TABLE = pd.DataFrame({"d": [0, 1, 0], "y": [0, 2, 3]})


def _at_least_two_of_hurdle(law):
    return 0.6 * law.sf(1) / law.sf(0)


CASES = {
    "ZeroInflatedPoisson": ({}, lambda m: 0.6 * stats.poisson(m).sf(1)),
    "ZeroInflatedNegativeBinomial": (
        {"alpha": 2.0},
        lambda m: 0.6 * stats.nbinom(2, 2 / (2 + m)).sf(1),
    ),
    "HurdlePoisson": ({}, lambda m: _at_least_two_of_hurdle(stats.poisson(m))),
    "HurdleNegativeBinomial": (
        {"alpha": 2.0},
        lambda m: _at_least_two_of_hurdle(stats.nbinom(2, 2 / (2 + m))),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_events_of_mixtures_are_at_the_parents_that_a_world_sets(name):
    more, right = CASES[name]
    with pm.Model(coords={"unit": range(3)}) as model:
        d = pm.Data("d", np.zeros(3), dims="unit")
        getattr(pm, name)("y", psi=0.6, mu=pm.math.exp(0.3 + 0.5 * d), dims="unit", **more)
    event = bc.Probability(above=1.5)
    effect = bc.estimate(bc.truth(model, {}, TABLE), bc.ATE("d", "y", functional=event))
    assert float(effect) == pytest.approx(right(HIGH) - right(LOW), abs=1e-9)
