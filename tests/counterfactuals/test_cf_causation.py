"""Probabilities of causation: enumeration, both kinds of bounds, and what is refused."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from cf_oracles import JOINTS, States

import bayescausal as bc


def strata():
    """Two strata with P(y1) .9 / .1 and P(y0) .1 / .9."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.5, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Bernoulli("y", p=0.1 + 0.8 * (x + z - 2 * x * z), dims="unit")
    return model


def test_two_strata():
    """Margins [0, .5], model [.4, .5] (issue 3): PNS, half of the units in each stratum."""
    data = {"z": [0, 0, 1, 1], "x": [0, 1, 0, 1], "y": [0, 1, 1, 0]}
    known = bc.truth(strata(), {}, data)
    model = bc.estimate(known, bc.PNS("x", "y", coupling="monotone"))
    np.testing.assert_allclose(model.bounds.values.reshape(-1), [0.4, 0.5], atol=1e-12)
    np.testing.assert_allclose(model.draws.values, 0.4, atol=1e-12)
    margins = bc.estimate(known, bc.PNS("x", "y", coupling="monotone", bounds="margins"))
    np.testing.assert_allclose(margins.bounds.values.reshape(-1), [0.0, 0.5], atol=1e-12)
    np.testing.assert_allclose(margins.draws.values, 0.4, atol=1e-12)


def margins_by_hand(scm, names):
    """Tian and Pearl's (19), (24), (25) for a two-valued treatment, from the population's sums."""
    t, y = (scm.names.index(n) for n in names)
    p1, p0 = (
        sum(scm.weight(s, {t: x}) for s in scm.states() if s[t] == x and s[y] == 1) for x in (1, 0)
    )
    cell = np.zeros((2, 2))
    for s in scm.states():
        cell[s[t], s[y]] += scm.weight(s)
    py = cell[:, 1].sum()
    return {
        bc.PN: (
            max(0, (py - p0) / cell[1, 1]),
            min(1, (1 - p0 - cell[0, 0]) / cell[1, 1]),
        ),
        bc.PS: (max(0, (p1 - py) / cell[0, 0]), min(1, (p1 - cell[1, 1]) / cell[0, 0])),
        bc.PNS: (
            max(0, p1 - p0, py - p0, p1 - py),
            min(p1, 1 - p0, cell[1, 1] + cell[0, 0], p1 - p0 + cell[1, 0] + cell[0, 1]),
        ),
    }


def joint_by_hand(scm, names, kinds):
    """P(X = x, Y_1 = a, Y_0 = b), by enumeration of both worlds at once."""
    t, y = (scm.names.index(n) for n in names)
    out = np.zeros((2, 2, 2))
    states = list(scm.states())
    for one in states:
        for zero in states:
            if one[t] != 1 or zero[t] != 0 or any(one[i] != zero[i] for i in range(t)):
                continue
            p = 1.0
            for i in range(len(scm.names)):
                if i < t:
                    p *= scm.row(i, one)[one[i]]
                elif i > t:
                    p *= JOINTS[kinds[i]](scm.row(i, one), scm.row(i, zero))[one[i], zero[i]]
            for x in (0, 1):
                out[x, one[y], zero[y]] += p * scm.row(t, one)[x]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["monotone", "gumbel"])
def test_random_models_equal_enumeration_and_lie_inside_both_bounds(seed, kind):
    """A confounder, a treatment, a mediator of three values, an outcome: fresh units."""
    rng = np.random.default_rng([23, seed])
    scm = States.random(rng, [2, 2, 3, 2])
    kinds = (kind,) * 4
    joint = joint_by_hand(scm, ("v1", "v3"), kinds)
    wanted = {
        bc.PN: joint[1, 1, 0] / joint[1, 1].sum(),
        bc.PS: joint[0, 1, 0] / joint[0, :, 0].sum(),
        bc.PNS: joint[:, 1, 0].sum(),
    }
    hand = margins_by_hand(scm, ("v1", "v3"))
    known = bc.truth(scm.model(), {}, draws=1, seed=seed)
    options = {"coupling": kind, "population": "model"}
    for ask, value in wanted.items():
        effect = bc.estimate(known, ask("v1", "v3", **options))
        # five Monte Carlo errors as reported: 6e-7 by chance, 33 comparisons
        assert abs(effect.mean() - value) <= 5 * float(effect.mc_error) + 1e-9, ask
        low, high = effect.bounds.values.reshape(-1)
        wide = bc.estimate(known, ask("v1", "v3", bounds="margins", **options))
        lower, upper = wide.bounds.values.reshape(-1)
        # 60,000 fresh units or more stand behind the bounds: shares to .5 / sqrt(n), times five,
        # divided by the share of those at one level with the event
        share = {bc.PN: joint[1, 1].sum(), bc.PS: joint[0, :, 0].sum(), bc.PNS: 1.0}[ask]
        slack = 5 * 0.5 / np.sqrt(60_000) / share
        assert low - slack <= value <= high + slack
        assert lower - slack <= low + slack
        assert high - slack <= upper + slack
        np.testing.assert_allclose([lower, upper], hand[ask], atol=2 * slack)


def test_an_observed_population_given_a_subgroup_and_by():
    """Within strata PN is 1 - p0 / p1 where the treatment helps, 0 where it harms."""
    data = {"z": [0, 0, 1, 1], "x": [0, 1, 0, 1], "y": [0, 1, 1, 0]}
    known = bc.truth(strata(), {}, data)
    by = bc.estimate(known, bc.PN("x", "y", coupling="monotone", by="z"))
    np.testing.assert_allclose(by.draws.sel(z=0).values, 1 - 0.1 / 0.9, atol=1e-12)
    np.testing.assert_allclose(by.draws.sel(z=1).values, 0.0, atol=1e-12)
    np.testing.assert_allclose(by.bounds.sel(z=0).values.reshape(-1), [8 / 9, 1], atol=1e-12)
    given = bc.estimate(known, bc.PS("x", "y", coupling="monotone", given={"z": 0}))
    np.testing.assert_allclose(given.draws.values, 0.8 / 0.9, atol=1e-12)


def test_events_of_continuous_outcomes():
    """PNS of a threshold, one common rank: the difference of the two tails."""
    from scipy.stats import norm

    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", 0.8 * x, 1, dims="unit")
    known = bc.truth(model, {}, {"x": [0, 1, 1], "y": [0.0, 1.0, 2.0]})
    effect = bc.estimate(known, bc.PNS("x", "y", event=bc.Probability(above=0.5)))
    p1, p0 = norm.sf(0.5 - 0.8), norm.sf(0.5)
    np.testing.assert_allclose(effect.draws.values, p1 - p0, atol=1e-12)
    np.testing.assert_allclose(
        effect.bounds.values.reshape(-1), [p1 - p0, min(p1, 1 - p0)], atol=1e-12
    )
    inside = bc.estimate(
        known,
        bc.PNS(
            "x",
            "y",
            event=bc.Probability(between=(0.5, 1.5)),
        ),
    )
    rank = norm.cdf([0.5 - 0.8, 1.5 - 0.8]), norm.cdf([0.5, 1.5])
    one, zero = rank
    both = max(min(one[1], zero[1]) - max(one[0], zero[0]), 0)
    wanted = (one[1] - one[0]) - both
    assert abs(inside.mean() - wanted) <= 5 * float(inside.mc_error) + 1e-9


def test_the_coupling_is_asked_for_where_it_matters_and_only_there():
    data = {"z": [0, 1], "x": [0, 1], "y": [0, 1]}
    known = bc.truth(strata(), {}, data)
    for ask in (bc.PN, bc.PS, bc.PNS, bc.ITE):
        with pytest.raises(bc.BayesCausalError, match=r"depends on how the noise of 'y'.*monotone"):
            bc.estimate(known, ask("x", "y"))
    bc.estimate(known, bc.ATE("x", "y"))
    effect = bc.estimate(known, bc.PNS("x", "y", coupling="monotone"))
    assert any("monotone" in n and "cannot tell" in n for n in effect.notes)
    assert any("sharp given the model" in n for n in effect.notes)


def test_value_and_bounds_in_every_posterior_draw():
    """A model's posterior draws move the value and its bounds together."""
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b", 0, 1)
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Bernoulli("y", logit_p=b * x, dims="unit")
    fit = bc.prior(model, {"x": [0, 1], "y": [1, 1]}, draws=40, seed=2)
    effect = bc.estimate(fit, bc.PNS("x", "y", coupling="monotone"))
    b = fit.posterior["b"].values
    p1 = 1 / (1 + np.exp(-b))
    np.testing.assert_allclose(effect.draws.values, np.maximum(p1 - 0.5, 0), atol=1e-12)
    np.testing.assert_allclose(
        effect.bounds.values,
        np.stack([np.maximum(p1 - 0.5, 0), np.minimum(p1, 0.5)], -1),
        atol=1e-12,
    )
