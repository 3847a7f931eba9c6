"""Quantiles and probabilities of the mixture over units and noise, against distribution functions.

A quantile effect is a difference of marginal quantiles; the probability of an event given the
parents is exact where the law has a distribution function, and averaged over the units.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import special, stats
from scm_oracles import within

import bayescausal as bc


def mixture_of_units():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Normal("y", z + t * (1 + z), 1 + t, dims="unit")
    return model


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_qte_is_a_difference_of_marginal_quantiles(q):
    """Y | do(0) ~ N(0, 1 + 1), Y | do(1) ~ N(1, 4 + 4) marginally over Z and the noise."""
    known = bc.truth(mixture_of_units(), {}, draws=4)
    effect = bc.estimate(known, bc.QTE("t", "y", q=q, population="model"))
    wanted = 1 + stats.norm.ppf(q) * (np.sqrt(8) - np.sqrt(2))
    assert effect.mc_error < 0.02
    assert within(effect, wanted)


def test_quantile_in_the_sample_is_that_of_the_mixture_over_its_units():
    z = np.array([-1.0, 0.0, 2.0])
    known = bc.truth(mixture_of_units(), {}, {"z": z, "t": [0, 1, 1], "y": [0.0, 1.0, 5.0]})

    def quantile(q, centre, sd):
        from scipy.optimize import brentq

        return brentq(lambda v: stats.norm.cdf(v, centre, sd).mean() - q, -50, 50)

    effect = bc.estimate(known, bc.QTE("t", "y", q=0.8))
    assert within(effect, quantile(0.8, 1 + 2 * z, 2.0) - quantile(0.8, z, 1.0))
    median = bc.estimate(known, bc.Expected("y", {"t": 0}, functional="median"))
    assert within(median, quantile(0.5, z, 1.0))


def test_probability_of_an_event_is_exact_where_the_law_has_a_cdf():
    z = np.array([-1.0, 0.0, 2.0])
    known = bc.truth(mixture_of_units(), {}, {"z": z, "t": [0, 1, 1], "y": [0.0, 1.0, 5.0]})
    for event, wanted in [
        (bc.Probability(above=1.5), stats.norm.sf(1.5, 1 + 2 * z, 2).mean()),
        (bc.Probability(below=0.3), stats.norm.cdf(0.3, 1 + 2 * z, 2).mean()),
        (
            bc.Probability(between=(0.0, 2.0)),
            (stats.norm.cdf(2, 1 + 2 * z, 2) - stats.norm.cdf(0, 1 + 2 * z, 2)).mean(),
        ),
    ]:
        effect = bc.estimate(known, bc.Expected("y", {"t": 1}, functional=event))
        assert effect.mc_error == 0
        # PyMC's Normal cdf has sqrt(2) in single precision, off by 1.7e-8 of itself, which moves
        # the cdf by 1.7e-8 |z phi(z)| <= 4.2e-9, twice for an interval
        assert effect.mean() == pytest.approx(wanted, abs=8.4e-9)


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        ({"equals": 2}, lambda p: p.pmf(2)),
        ({"above": 2}, lambda p: p.sf(2)),
        ({"at_least": 2}, lambda p: p.sf(1)),
        ({"below": 2}, lambda p: p.cdf(1)),
        ({"at_most": 2}, lambda p: p.cdf(2)),
        ({"between": (1, 3)}, lambda p: p.cdf(3) - p.cdf(0)),
    ],
)
def test_probability_of_events_of_a_count(event, wanted):
    with pm.Model(coords={"unit": [0]}) as model:
        t = pm.Bernoulli("t", 0.5, dims="unit")
        pm.Poisson("y", 1.5 + t, dims="unit")
    known = bc.truth(model, {}, {"t": [0, 1], "y": [1, 2]})
    effect = bc.estimate(known, bc.ATE("t", "y", functional=bc.Probability(**event)))
    value = wanted(stats.poisson(2.5)) - wanted(stats.poisson(1.5))
    assert effect.mean() == pytest.approx(value, rel=1e-9)


#: Outcomes whose distribution function PyMC sums up over values, and P(Y <= 4) of each unit.
SUMMED = {
    "beta-binomial": (
        lambda x, t: pm.BetaBinomial("y", n=9, alpha=x, beta=1 + t, dims="unit"),
        lambda x, t: stats.betabinom.cdf(4, 9, x, 1 + t),
    ),
    "hypergeometric": (
        lambda x, t: pm.HyperGeometric(
            "y", N=30, k=(10 * x + 5 * t).astype(int), n=10, dims="unit"
        ),
        lambda x, t: stats.hypergeom.cdf(4, 30, (10 * x + 5 * t).astype(int), 10),
    ),
    "mixture": (
        lambda x, t: pm.Mixture(
            "y",
            [0.3, 0.7],
            [
                pm.BetaBinomial.dist(n=9, alpha=x, beta=1 + t),
                pm.BetaBinomial.dist(n=9, alpha=2, beta=x),
            ],
            dims="unit",
        ),
        lambda x, t: (
            0.3 * stats.betabinom.cdf(4, 9, x, 1 + t) + 0.7 * stats.betabinom.cdf(4, 9, 2, x)
        ),
    ),
}


@pytest.mark.parametrize("units", [5, 7])
@pytest.mark.parametrize("name", SUMMED)
def test_a_distribution_function_that_is_a_sum_is_summed_for_each_unit(name, units):
    """With five units and the five values 0 to 4, the sum over values ran along the units."""
    write, cdf = SUMMED[name]
    values = np.linspace(0.5, 2.0, units)
    with pm.Model(coords={"unit": range(units)}) as model:
        x, t = pm.Data("x", values, dims="unit"), pm.Data("t", np.zeros(units), dims="unit")
        write(x, t)
    fit = bc.truth(model, {}, {"x": values, "t": np.zeros(units), "y": np.ones(units)})
    event = bc.Probability(at_most=4)
    found = bc.estimate(fit, bc.ATE("t", "y", functional=event))
    assert found.mc_error == 0.0
    assert float(found) == pytest.approx(np.mean(cdf(values, 1.0) - cdf(values, 0.0)), abs=1e-9)
    above = bc.estimate(fit, bc.ATE("t", "y", functional=bc.Probability(above=4)))
    assert float(above) == pytest.approx(-float(found), abs=1e-12)


def test_events_and_quantiles_of_numeric_labels_are_about_the_labels():
    """An answer from 10 to 50, held as codes 0 to 4: P(Y >= 10 (k + 1)) = 1 - expit(c_k - .8 t)."""
    cuts = np.array([-1.0, 0.0, 0.5, 1.5])
    answers = pd.Categorical(np.tile([10, 20, 30, 40, 50], 12), ordered=True)
    data = pd.DataFrame({"t": np.tile([0.0, 1.0], 30), "y": answers})
    model = bc.model_from_formulas(["y ~ t"], {"y": "ordinal"}, data=data)
    fit = bc.truth(model, {"b_y_t": 0.8, "cutpoints_y": cuts}, data)
    beyond = {t: [1.0, *(1 - special.expit(cuts - 0.8 * t)), 0.0] for t in (0, 1)}

    def effect(**event):
        found = bc.estimate(fit, bc.ATE("t", "y", functional=bc.Probability(**event)))
        return float(found)

    gain = np.subtract(beyond[1], beyond[0])
    for k, level in enumerate([10, 20, 30, 40, 50]):
        assert effect(equals=level) == pytest.approx(gain[k] - gain[k + 1], abs=1e-9)
        assert effect(at_least=level) == pytest.approx(gain[k], abs=1e-9)
        assert effect(above=level) == pytest.approx(gain[k + 1], abs=1e-9)
    assert effect(below=30) == pytest.approx(-gain[2], abs=1e-9)
    assert effect(at_most=34) == pytest.approx(-gain[3], abs=1e-9)
    assert effect(between=(15, 40)) == pytest.approx(gain[1] - gain[4], abs=1e-9)
    assert effect(between=(21, 29)) == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(bc.BayesCausalError, match="4 is not a category of 'y'"):
        effect(equals=4)
    caused = bc.PNS("t", "y", event=bc.Probability(at_least=40), coupling="monotone")
    assert float(bc.estimate(fit, caused)) == pytest.approx(gain[3], abs=1e-9)
    for t, right in ((0.0, 20.0), (1.0, 40.0)):
        median = bc.Expected("y", {"t": t}, functional="median")
        assert (
            float(bc.estimate(fit, median))
            == right
            == 10 * (1 + sum(np.array(beyond[t][1:5]) > 0.5))
        )
