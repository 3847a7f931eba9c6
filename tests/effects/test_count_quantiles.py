"""Quantiles of counts from their distribution functions, against enumeration."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayescausal as bc
from bayescausal.effects.averaging.count_quantiles import mixture_quantile, parameters_of
from bayescausal.effects.evaluation.question import resolve
from bayescausal.model.noise.laws import Leaf
from bayescausal.model.noise.read_off import law_of

FAMILIES = {
    "Poisson": (lambda r, s: [r.gamma(2, 3, s)], stats.poisson),
    "Bernoulli": (lambda r, s: [r.random(s)], stats.bernoulli),
    "Binomial": (lambda r, s: [r.integers(0, 30, s).astype(float), r.random(s)], stats.binom),
    "NegativeBinomial": (lambda r, s: [r.gamma(2, 2, s), r.beta(2, 5, s)], stats.nbinom),
    "Geometric": (lambda r, s: [r.beta(2, 8, s)], stats.geom),
    "BetaBinomial": (
        lambda r, s: [r.integers(1, 30, s).astype(float), r.gamma(2, 2, s), r.gamma(2, 2, s)],
        stats.betabinom,
    ),
}


def _enumerated(cdf, weights, q, first=0, most=20_000):
    """The smallest k at which the weighted mean of distribution functions reaches q."""
    for k in range(first, most):
        if weights @ cdf(k) >= q * weights.sum():
            return float(k)
    raise AssertionError("not reached")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("q", [0.05, 0.5, 0.93])
def test_mixture_quantiles(family, q):
    rng = np.random.default_rng(4)
    make, law = FAMILIES[family]
    params, weights = make(rng, (6, 20)), rng.random((6, 20))
    if family == "Poisson":
        params[0][3] *= 500  # large: searched
        params[0][4] = 0
    found = mixture_quantile(Leaf(family), params, weights, q)
    for d in range(6):
        own = [p[d] for p in params]
        assert found[d] == _enumerated(lambda k, own=own: law.cdf(k, *own), weights[d], q)


def test_extreme_parameters():
    ends = mixture_quantile(
        Leaf("Binomial"), [np.full((1, 2), 4.0), np.array([[0.0, 1.0]])], None, 0.6
    )
    assert ends.tolist() == [4.0]
    nothing = mixture_quantile(Leaf("Poisson"), [np.array([[np.nan, 1.0]])], None, 0.5)
    wrong = mixture_quantile(Leaf("Poisson"), [np.array([[-1.0, 1.0]])], None, 0.5)
    assert np.isnan([*nothing, *wrong]).all()


def _asked(variable, truth, x, **options):
    with pm.Model(coords={"unit": [0]}) as model:
        x_ = pm.Data("x", np.zeros(1), dims="unit")
        t = pm.Bernoulli("t", 0.5, dims="unit")
        variable(x_, t)
    rng = np.random.default_rng(2)
    t = rng.integers(0, 2, len(x))
    data = bc.simulate(model, truth, units=len(x), seed=1, data={"x": x, "t": t})
    posterior = {k: v + 0.1 * rng.normal(size=(1, 30)) for k, v in truth.items()}
    return bc.Fit(model, posterior, data)


def test_effect_on_a_quantile_of_a_count_is_exact():
    x = np.random.default_rng(1).normal(size=40)

    def outcome(x, t):
        line = pm.Normal("a") + pm.Normal("b") * t + pm.Normal("c") * x
        pm.Poisson("y", pm.math.exp(line), dims="unit")

    fit = _asked(outcome, {"a": 1.0, "b": 0.8, "c": 0.5}, x)
    effect = bc.estimate(fit, bc.QTE("t", "y", q=0.8))
    a, b, c = (np.asarray(fit.value(n)) for n in "abc")
    expected = []
    for d in range(30):
        arms = [np.exp(a[d] + b[d] * t + c[d] * x) for t in (0, 1)]
        two = [_enumerated(lambda k, m=m: stats.poisson.cdf(k, m), np.ones(40), 0.8) for m in arms]
        expected.append(two[1] - two[0])
    np.testing.assert_array_equal(np.asarray(effect.draws).ravel(), expected)
    assert effect.mc_error == 0
    # of a subgroup, and of the units' weights
    group = bc.estimate(fit, bc.QTE("t", "y", q=0.8, given={"x": lambda x: x > 0}))
    arms = [np.exp(a[3] + b[3] * t + c[3] * x[x > 0]) for t in (0, 1)]
    two = [_enumerated(lambda k, m=m: stats.poisson.cdf(k, m), np.ones(len(m)), 0.8) for m in arms]
    assert np.asarray(group.draws).ravel()[3] == two[1] - two[0]
    wide = bc.estimate(fit, bc.QTE("t", "y", q=0.8, population="superpopulation"))
    assert wide.mc_error == 0
    assert abs(wide.mean() - effect.mean()) < 2


def test_zero_inflated_counts():
    x = np.random.default_rng(1).normal(size=30)

    def outcome(x, t):
        mu = pm.math.exp(pm.Normal("a") + pm.Normal("b") * t + 0.5 * x)
        pm.ZeroInflatedPoisson("y", psi=0.6, mu=mu, dims="unit")

    fit = _asked(outcome, {"a": 1.0, "b": 0.7}, x)
    effect = bc.estimate(fit, bc.Expected("y", {"t": 1}, functional=bc.Quantile(0.7)))
    mu = np.exp(np.asarray(fit.value("a"))[7] + np.asarray(fit.value("b"))[7] + 0.5 * x)
    told = _enumerated(lambda k: 0.4 + 0.6 * stats.poisson.cdf(k, mu), np.ones(30), 0.7)
    assert np.asarray(effect.draws).ravel()[7] == told
    law, _ = law_of(fit.structure.variable("y"))
    assert law.cores.count(1) == 1
    assert effect.mc_error == 0


def test_random_parents_are_simulated():
    with pm.Model(coords={"unit": [0]}) as model:
        t = pm.Bernoulli("t", 0.5, dims="unit")
        m = pm.Normal("m", t, 1, dims="unit")
        pm.Poisson("y", pm.math.exp(0.5 * m), dims="unit")
    fit = bc.truth(model, {}, {"t": [0, 1], "m": [0.2, 0.3], "y": [1, 2]})
    assert parameters_of(resolve(fit, bc.QTE("t", "y", q=0.9))) is None
    assert parameters_of(resolve(fit, bc.QTE("m", "y", q=0.9))) is not None
