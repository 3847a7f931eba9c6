"""Outcomes truncated at both ends: events of what a parent that was set does to them.

PyMC writes their distribution function on a copy of the graph above, in which the parent was not
the one that was set: P(y > 1 | do(t=0)) of an Exponential .62 for .64, probabilities below zero.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc

N = 6
Z = np.linspace(-1.0, 1.0, N)
SCALE = {level: np.exp(0.2 + 0.6 * level + 0.4 * Z) for level in (0, 1)}


def known(law):
    """Return known parameters of a treatment by chance and an outcome with this law."""
    with pm.Model(coords={"unit": np.arange(N)}) as model:
        z = pm.Data("z", Z, dims="unit")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        law("y", pm.math.exp(0.2 + 0.6 * t + 0.4 * z))
    return bc.truth(model, {}, pd.DataFrame({"z": Z, "t": [0, 1] * 3, "y": [1, 2] * 3}))


def test_a_truncated_exponential():
    fit = known(
        lambda name, scale: pm.Truncated(
            name, pm.Exponential.dist(scale=scale), lower=0.5, upper=4.0, dims="unit"
        )
    )
    events = [bc.Probability(above=1.0), bc.Probability(between=(1.0, 3.0))]
    asked = [bc.Expected("y", {"t": t}, functional=e) for t in (0, 1) for e in events]
    found = [float(e) for e in bc.estimate(fit, asked)]
    wanted = []
    for t in (0, 1):

        def cdf(a, scale=SCALE[t]):
            below, above = (stats.expon.cdf(end, scale=scale) for end in (0.5, 4.0))
            return (stats.expon.cdf(a, scale=scale) - below) / (above - below)

        wanted += [np.mean(1 - cdf(1.0)), np.mean(cdf(3.0) - cdf(1.0))]
    assert found == pytest.approx(wanted, abs=1e-10)


def test_a_truncated_count():
    fit = known(
        lambda name, mean: pm.Truncated(name, pm.Poisson.dist(mean), lower=1, upper=5, dims="unit")
    )
    asked = [bc.Expected("y", {"t": t}, functional=bc.Probability(equals=2)) for t in (0, 1)]
    mass = [stats.poisson.pmf(np.arange(1, 6)[:, None], SCALE[t]) for t in (0, 1)]
    wanted = [np.mean(m[1] / m.sum(axis=0)) for m in mass]
    assert [float(e) for e in bc.estimate(fit, asked)] == pytest.approx(wanted, abs=1e-10)
