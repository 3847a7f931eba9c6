"""Families that PyMC builds of others: parameters, probabilities and maps that were not read.

Kind: a family whose operation does not say which inputs are its parameters (truncated counts, and
hurdles over them), whose events have no exact probability (laws with atoms), or whose map is
monotone with parameters that are themselves random. Siblings looked at: hurdle, zero-inflated and
truncated counts, `truth` and `fit` with data, quantiles, averages, unit effects, probabilities of
causation. Right values are closed forms.
"""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.effects.evaluation.events import Event
from bayescausal.model.interventions.support import params_of
from bayescausal.types import FitWarning

MU = {0: 1.5, 1: 3.0}


def model_of(outcome):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        b = pm.Normal("b")
        outcome(1.5 * pt.exp(b * x))
    return model


def positive(law):
    """P(Y > k | Y > 0) of a count."""
    return lambda k: law.sf(np.maximum(k, 0)) / law.sf(0)


COUNTS = {
    "HurdlePoisson": (
        lambda mu: pm.HurdlePoisson("y", psi=0.7, mu=mu, dims="unit"),
        lambda mu: lambda k: 0.7 * positive(stats.poisson(mu))(k),
        [0, 2, 3, 1],
    ),
    "HurdleNegativeBinomial": (
        lambda mu: pm.HurdleNegativeBinomial("y", psi=0.7, mu=mu, alpha=2.0, dims="unit"),
        lambda mu: lambda k: 0.7 * positive(stats.nbinom(2.0, 2.0 / (2.0 + mu)))(k),
        [0, 2, 3, 1],
    ),
    "TruncatedPoisson": (
        lambda mu: pm.Truncated("y", pm.Poisson.dist(mu), lower=1, dims="unit"),
        lambda mu: positive(stats.poisson(mu)),
        [1, 2, 3, 1],
    ),
    "ZeroInflatedPoisson": (
        lambda mu: pm.ZeroInflatedPoisson("y", psi=0.7, mu=mu, dims="unit"),
        lambda mu: lambda k: 0.7 * stats.poisson(mu).sf(k),
        [0, 2, 3, 1],
    ),
}


@pytest.mark.parametrize("family", COUNTS)
def test_counts_with_a_part_of_their_own_at_zero(family):
    outcome, tail, values = COUNTS[family]
    model, b = model_of(outcome), np.log(2.0)
    survive = {x: tail(mu) for x, mu in MU.items()}
    known = bc.truth(model, {"b": b})
    event = bc.Probability(above=2)
    pns = bc.estimate(known, bc.PNS("x", "y", event=event, coupling="monotone"))
    assert float(pns) == pytest.approx(survive[1](2) - survive[0](2), rel=1e-6)
    grid = np.arange(0, 200)
    means = {x: np.sum(each(grid)) for x, each in survive.items()}
    assert float(bc.estimate(known, bc.ATE("x", "y"))) == pytest.approx(means[1] - means[0])
    seen = bc.truth(model, {"b": b}, {"x": [0, 1, 0, 1], "y": values})
    assert bc.estimate(seen, bc.ITE("x", "y", coupling="monotone")).draws.shape == (1, 1, 4)


@pytest.mark.parametrize("family", ["HurdlePoisson", "TruncatedPoisson"])
def test_medians_of_counts(family):
    outcome, tail, _ = COUNTS[family]
    grid = np.arange(0, 50)  # the median is the first k with P(Y > k) <= 1 / 2
    median = {x: grid[np.argmax(tail(mu)(grid) <= 0.5)] for x, mu in MU.items()}
    known = bc.truth(model_of(outcome), {"b": np.log(2.0)})
    found = bc.estimate(known, bc.QTE("x", "y", q=0.5))
    assert float(found) == pytest.approx(median[1] - median[0])


def test_a_fit_reads_the_parameters_of_a_truncated_count():
    model = model_of(COUNTS["TruncatedPoisson"][0])
    data = {"x": [0, 1, 0, 1], "y": [1, 2, 3, 1]}
    with pytest.warns(FitWarning):  # ten draws: it is the reading that counts
        fit = bc.fit(model, data, draws=10, tune=10, chains=1, seed=1, sampler="pymc")
    assert fit.n_draws == 10
    ends = params_of(pm.Truncated.dist(pm.Poisson.dist(2.5), 1, 6))[1:]
    assert [p.eval().item() for p in ends] == [1, 6]


@pytest.mark.parametrize(
    ("event", "right"),
    [
        ({"above": 0}, 0.7),
        ({"at_least": 0}, 1.0),
        ({"at_most": 0}, 0.3),
        ({"below": 0}, 0.0),
        ({"equals": 0}, 0.3),
        ({"above": 1.0}, 0.7 * stats.gamma(2, scale=0.5).sf(1.0)),
        ({"between": (0, 1.0)}, 0.3 + 0.7 * stats.gamma(2, scale=0.5).cdf(1.0)),
    ],
)
def test_events_of_laws_with_atoms_are_exact(event, right):
    rv = pm.HurdleGamma.dist(psi=0.7, alpha=2.0, beta=2.0)
    found = Event(bc.Probability(**event)).of_law(rv)
    assert float(found.eval(mode="FAST_COMPILE")) == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize(
    ("above", "right"),
    [(-1, 1.0), (0, 1.0), (1, 1.0), (2, (1 / 4 - 1 / 32) / (1 / 2 - 1 / 32)), (5, 0.0), (9, 0.0)],
)
def test_events_outside_of_a_truncated_count_are_sure_or_impossible(above, right):
    # a geometric of 1/2 has P(Y > k) = 2**-k; cut to 2..5, P(Y > 2) = (1/4 - 1/32) / (1/2 - 1/32)
    # PyMC's own distribution function of the geometric is right to nine digits
    rv = pm.Truncated.dist(pm.Geometric.dist(0.5), lower=2, upper=5)
    found = Event(bc.Probability(above=above)).of_law(rv)
    assert float(found.eval(mode="FAST_COMPILE")) == pytest.approx(right, abs=1e-8)


def test_maps_with_parameters_that_are_random():
    """`mu + noise` and `exp(mu) * noise`, with a mu that differs by unit: increasing maps."""
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        m = pm.Normal("m", 3 * x, 1, dims="unit")
        b = pm.Normal("b")
        pm.CustomDist(
            "y", b * x, dist=lambda mu, size: mu + pm.Gumbel.dist(0, 1, size=size), dims="unit"
        )
        pm.CustomDist(
            "w",
            m,  # a random variable itself
            b * x,
            dist=lambda mu, eta, size: mu - pt.exp(eta) * pm.Exponential.dist(2.0, size=size),
            dims="unit",
        )
    values = {"x": [0.0, 1.0], "m": [0.5, 2.0], "y": [0.3, 4.0], "w": [-1.0, 0.0]}
    known = bc.truth(model, {"b": 2.0}, values)
    assert float(bc.estimate(known, bc.ATE("x", "y"))) == pytest.approx(2.0)
    np.testing.assert_allclose(bc.estimate(known, bc.ITE("x", "y")).draws.values.ravel(), 2.0)
    # w = m - exp(2 x) e with m = 3 x + u: the unit's own e and u
    both = bc.counterfactual(known, {"x": 1.0}, variables="w").sel(world="counterfactual")
    e = (np.array(values["m"]) - values["w"]) / np.exp(2 * np.array(values["x"]))
    own = np.array(values["m"]) + 3 * (1 - np.array(values["x"])) - np.exp(2.0) * e
    np.testing.assert_allclose(both["w"].values.ravel(), own)
