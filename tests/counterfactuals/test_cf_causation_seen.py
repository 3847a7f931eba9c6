"""Probabilities of causation over units whose own outcome was seen (``population="finite"``).

They were held within the bounds of the whole population, which do not hold for the very units: PN
of 40 units .293 where enumeration of what was seen gives .237.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc


@pytest.fixture(scope="module")
def binary():
    """Return known parameters, the table, and each unit's ends of P(E if treated, not if not)."""
    rng = np.random.default_rng(1)
    n = 40
    x, t = rng.integers(0, 2, n), rng.integers(0, 2, n)

    def chance(t):
        return 1 / (1 + np.exp(0.5 - 1.1 * t + 1.6 * x * t - 0.7 * x))

    y = rng.binomial(1, chance(t))
    with pm.Model(coords={"unit": np.arange(n)}) as model:
        group = pm.Data("x", x, dims="unit")
        treated = pm.Bernoulli("t", 0.5, dims="unit")
        level = -0.5 + 1.1 * treated - 1.6 * group * treated + 0.7 * group
        pm.Bernoulli("y", logit_p=level, dims="unit")
    data = pd.DataFrame({"x": x, "t": t, "y": y})
    p1, p0 = chance(1), chance(0)
    # Bayes: P(E_1, not E_0 | seen) is that joint probability over the chance of what was seen,
    # and 0 for a treated unit without E and an untreated one with E
    share = np.where(t == 1, y / p1, (1 - y) / (1 - p0))
    low, high = np.maximum(p1 - p0, 0) * share, np.minimum(p1, 1 - p0) * share
    return bc.truth(model, {}, data), data, low, high


ASKED = {
    bc.PNS: lambda d: np.ones(len(d), bool),
    bc.PN: lambda d: (d.t == 1) & (d.y == 1),
    bc.PS: lambda d: (d.t == 0) & (d.y == 0),
}


@pytest.mark.parametrize("ask", ASKED)
def test_a_binary_outcome_is_enumerated(binary, ask):
    known, data, low, high = binary
    who = ASKED[ask](data).to_numpy() if ask is not bc.PNS else ASKED[ask](data)
    effect = bc.estimate(known, ask("t", "y", population="finite", coupling="monotone"), seed=1)
    error = 5 * float(effect.mc_error)
    assert 0 < error < 0.005
    assert float(effect.mean()) == pytest.approx(low[who].mean(), abs=error)
    np.testing.assert_allclose(effect.bounds.values.ravel(), [low[who].mean(), high[who].mean()])


def test_by_groups_and_given_the_outcome(binary):
    known, data, low, high = binary
    ask = {"population": "finite", "coupling": "monotone"}
    split = bc.estimate(known, bc.PNS("t", "y", by="x", **ask), seed=1)
    wanted = [[e[data.x == v].mean() for e in (low, high)] for v in (0, 1)]
    np.testing.assert_allclose(split.bounds.values.reshape(2, 2), wanted)
    given = bc.estimate(known, bc.PNS("t", "y", given={"y": 1}, **ask), seed=1)
    who = data.y == 1
    np.testing.assert_allclose(given.bounds.values.ravel(), [low[who].mean(), high[who].mean()])


def test_a_continuous_outcome_keeps_its_rank_and_has_no_bounds():
    t = np.array([0, 1, 0, 1, 1, 0])
    y = np.array([0.5, 1.2, 1.9, 2.4, 0.8, 1.1])
    with pm.Model(coords={"unit": range(6)}) as model:
        treated = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Gamma("y", alpha=2.0 + treated, beta=1.5, dims="unit")
    known = bc.truth(model, {}, pd.DataFrame({"t": t, "y": y}))
    event = bc.Probability(at_least=1.0)
    ask = {"event": event, "population": "finite", "coupling": "monotone"}
    # the unit at one rank in both worlds: its outcome in the other is a quantile of that rank
    rank = stats.gamma.cdf(y, 2.0 + t, scale=1 / 1.5)
    one, zero = (stats.gamma.ppf(rank, 2.0 + level, scale=1 / 1.5) for level in (1, 0))
    changed = (one >= 1) & (zero < 1)
    pns = bc.estimate(known, bc.PNS("t", "y", **ask))
    pn = bc.estimate(known, bc.PN("t", "y", **ask))
    assert float(pns.mean()) == changed.mean()
    assert float(pn.mean()) == changed[(t == 1) & (y >= 1)].mean()
    assert pns.bounds is None
    assert any("more was seen of each unit" in note for note in pns.notes)
    margins = bc.estimate(known, bc.PNS("t", "y", bounds="margins", **ask))
    assert any("the margins are those of a population" in note for note in margins.notes)
