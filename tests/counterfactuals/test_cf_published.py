"""Published results, to the digits that are printed or to rounding."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from cf_oracles import gumbel_joint

import bayescausal as bc


def joe():
    with pm.Model(coords={"unit": ["Joe"]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        h = pm.Normal("h", 0.5 * x, 1, dims="unit")
        pm.Normal("y", 0.7 * x + 0.4 * h, 1, dims="unit")
    return bc.truth(model, {}, {"x": [0.5], "h": [1.0], "y": [1.5]})


def test_joes_homework():
    """Pearl, Glymour and Jewell (2016), section 4.2: 1.90 with H = 2, 1.55 with X = 0 too."""
    worlds = {"homework": {"h": 2}, "both": {"h": 2, "x": 0}}
    found = bc.counterfactual(joe(), worlds, variables="y")["y"]
    assert abs(float(found.sel(world="homework").squeeze()) - 1.90) < 1e-12
    assert abs(float(found.sel(world="both").squeeze()) - 1.55) < 1e-12
    noise = bc.abduct(joe())
    assert abs(noise["U_h"].item() - 0.75) < 1e-12
    assert abs(noise["U_y"].item() - 0.75) < 1e-12


def mediation():
    with pm.Model(coords={"unit": [0]}) as model:
        t = pm.Bernoulli("t", 0.5, dims="unit")
        m = pm.Bernoulli("m", p=0.40 + 0.35 * t, dims="unit")
        p = 0.2 + 0.1 * m + 0.2 * t + 0.3 * m * t  # .20, .30, .40, .80
        pm.Bernoulli("y", p=p, dims="unit")
    return bc.truth(model, {}, draws=3)


def test_pearls_mediation_table():
    """Pearl (2012): NDE .32, NIE .035, TE .46; the direct and the indirect do not add up."""
    wanted = {"TE": 0.46, "NDE": 0.32, "NIE": 0.035, "reversed": -0.14, "NIE/TE": 0.076087}
    asked = [
        bc.TE("t", "y"),
        bc.NDE("t", "y"),
        bc.NIE("t", "y"),
        bc.NIE("t", "y", reverse=True),
    ]
    together = bc.estimate(mediation(), asked)
    apart = [bc.estimate(mediation(), a) for a in asked]
    for effects in (together, apart):
        for effect, name in zip(effects, ("TE", "NDE", "NIE", "reversed"), strict=True):
            np.testing.assert_allclose(effect.draws.values, wanted[name], atol=1e-12)
    total, _, indirect, _ = together
    assert abs(indirect.mean() / total.mean() - wanted["NIE/TE"]) < 1e-6


def leukaemia():
    """Exposed to fallout 30 of 69,160, unexposed 16 of 59,026; no confounding."""
    with pm.Model(coords={"unit": [0]}) as model:
        exposed = pm.Bernoulli("exposed", 69_160 / (69_160 + 59_026), dims="unit")
        p = 16 / 59_026 + (30 / 69_160 - 16 / 59_026) * exposed
        pm.Bernoulli("died", p=p, dims="unit")
    return bc.truth(model, {})


@pytest.mark.parametrize("bounds", ["model", "margins"])
def test_radiation_and_leukaemia(bounds):
    """Finkelstein and Levin's counts in Pearl (2009), section 9.3."""
    options = {"coupling": "monotone", "bounds": bounds, "population": "model"}
    necessity, sufficiency, both = bc.estimate(
        leukaemia(), [kind("exposed", "died", **options) for kind in (bc.PN, bc.PS, bc.PNS)]
    )
    # the digits are those that are printed; without covariates nothing is simulated but, for the
    # margins, the frequencies of fresh units
    assert abs(necessity.mean() - 0.375100) < 5e-7
    assert abs(both.mean() - 0.00016271) < 5e-9
    assert abs(sufficiency.mean() - 0.00016275) < 5e-9
    if bounds == "model":
        np.testing.assert_allclose(necessity.bounds.values.reshape(-1), [0.3751, 1], atol=5e-6)
    else:
        np.testing.assert_allclose(necessity.bounds.values.reshape(-1), [0.3751, 1], atol=0.02)


def three(order):
    """Three categories with P(Y_a) = .2, .3, .5 and P(Y_b) = .5, .3, .2, laid in an order."""
    a, b = np.array([0.2, 0.3, 0.5])[list(order)], np.array([0.5, 0.3, 0.2])[list(order)]
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Categorical("y", p=a + (b - a) * x[:, None], dims="unit")
    return bc.truth(model, {}, {"x": [0], "y": [list(order).index(2)]}, draws=20_000, seed=8)


@pytest.mark.parametrize(
    ("order", "coupling", "wanted"),
    [
        ((0, 1, 2), "gumbel", 6 / 13),
        ((1, 0, 2), "gumbel", 6 / 13),
        ((0, 1, 2), "monotone", 0.0),
        ((1, 0, 2), "monotone", 0.60),
    ],
)
def test_one_law_three_counterfactuals(order, coupling, wanted):
    """P(Y_b = 0 | Y_a = 2): .461 with Gumbel noise, 0 and .60 under two orders of a quantile."""
    found = bc.counterfactual(three(order), {"x": 1}, variables="y", coupling=coupling)
    share = (found["y"].sel(world="counterfactual").values == order.index(0)).mean()
    # 4 standard errors of a share over 20,000 independent draws
    assert abs(share - wanted) <= 4 * np.sqrt(wanted * (1 - wanted) / 20_000) + 1e-12
    if coupling == "gumbel":
        joint = gumbel_joint([0.2, 0.3, 0.5], [0.5, 0.3, 0.2])
        assert abs(joint[2, 0] / 0.5 - 6 / 13) < 1e-12


@pytest.mark.parametrize("coupling", ["monotone", "gumbel"])
def test_the_bounds_of_the_three_categories(coupling):
    """P(Y_b = 2 | Y_a = 2) lies in [0, .4] whatever the coupling, so PN of "Y = 2" in [.6, 1]."""
    a, b = np.array([0.2, 0.3, 0.5]), np.array([0.5, 0.3, 0.2])
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Categorical("y", p=a + (b - a) * x[:, None], dims="unit")
    ask = bc.PN("x", "y", event=2, treated=0, control=1, coupling=coupling, population="model")
    effect = bc.estimate(bc.truth(model, {}), ask)
    np.testing.assert_allclose(effect.bounds.values.reshape(-1), [0.6, 1.0], atol=1e-9)
    joint = {"monotone": 0.2, "gumbel": gumbel_joint(a, b)[2, 2]}[coupling]
    # 4 Monte Carlo errors, as reported
    assert abs(effect.mean() - (1 - joint / 0.5)) <= max(4 * float(effect.mc_error), 1e-9)
