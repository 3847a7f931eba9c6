"""Several treatments of which an earlier one moves a later one, set together.

The kind: a question is refused for what another one, asked along with it, would need. ``ATE = p ATT
+ (1 - p) ATU`` ties three questions together where one treatment has two values; units treated at
all times and units treated at none are not all units, and who is treated later is itself an effect
of the treatment. Looked at: two and three times, with and without a mediator between them,
probabilities, and designs of panels.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import CouplingError

N = 8


def in_time(times):
    """A treatment moves a covariate, which moves the next treatment; the outcome reads all."""
    rng = np.random.default_rng(times)
    with pm.Model(coords={"unit": range(N)}) as model:
        mean, before = 0.0, 0.0
        for k in range(times):
            at = pm.Bernoulli(f"l{k}", 0.2 + 0.3 * before, dims="unit")
            before = pm.Bernoulli(f"a{k}", 0.3 + 0.4 * at, dims="unit")
            mean = mean + (k + 1.0) * before + 2.0 * at * before + at
        pm.Normal("y", mean, 1, dims="unit")
    data = {f"{v}{k}": rng.integers(0, 2, N) for k in range(times) for v in "la"}
    return bc.truth(model, {}, {**data, "y": np.zeros(N)}), data


def mean_of(times, a, first):
    """E[y] where all are treated (a = 1) or none: l0 as observed, P(l = 1) = .2 + .3 a later."""
    total = 0.0
    for k in range(times):
        share = first if k == 0 else 0.2 + 0.3 * a
        total = total + (k + 1) * a + 2 * share * a + share
    return np.mean(total)


@pytest.mark.parametrize("times", [2, 3])
def test_treated_always_against_never(times):
    known, data = in_time(times)
    names = [f"a{k}" for k in range(times)]
    right = mean_of(times, 1, data["l0"]) - mean_of(times, 0, data["l0"])
    effect = bc.estimate(known, bc.ATE(names, "y"))
    assert abs(float(effect) - right) < 5 * effect.mc_error + 1e-9
    both = bc.estimate(known, [bc.ATE(names, "y"), bc.Expected("y", dict.fromkeys(names, 0))])
    assert abs(float(both[0]) - right) < 5 * both[0].mc_error + 1e-9
    with pytest.raises(CouplingError, match="subgroup is formed by a1"):
        bc.estimate(known, bc.ATT(names, "y"))


def test_the_panel_design_answers_what_it_is_for():
    """y at the last time reads its own treatment, of effect 1, and its own covariate, of .5."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        a = 0
        for t in range(3):
            covariate = int(rng.random() < 0.4 + 0.2 * a)
            a = int(rng.random() < 0.3 + 0.3 * covariate)
            rows.append((i, t, covariate, a, a + 0.5 * covariate + rng.normal()))
    data = pd.DataFrame(rows, columns=["id", "t", "l", "a", "y"])
    design = bc.designs.panel(data, "y", "a", unit="id", time="t", covariates="l")
    prior = bc.prior(design, draws=20, seed=1)
    for name in ("ATE", "at_1"):
        assert np.isfinite(float(bc.estimate(prior, design.effects[name])))
