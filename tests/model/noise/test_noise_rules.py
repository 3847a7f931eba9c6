"""Rules: what they say of themselves, the traps, and what they refuse."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from noise_families import functions, quiet
from pytensor.graph.replace import graph_replace, vectorize_graph
from scipy import special, stats

from bayescausal.model.noise import COUPLINGS, family_of, noise_rule, sample_gumbel, sample_interval
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.types import NoiseFormError


@pytest.mark.parametrize(
    ("rv", "base", "discrete", "event_ndim"),
    [
        (pm.Normal.dist(), "normal", False, 0),
        (pm.LogNormal.dist(), "normal", False, 0),
        (pm.LogitNormal.dist(), "normal", False, 0),
        (pm.MvNormal.dist(np.zeros(2), np.eye(2)), "normal", False, 1),
        (pm.StudentT.dist(nu=4), "logistic", False, 0),
        (pm.Poisson.dist(3), "logistic", True, 0),
        (pm.Bernoulli.dist(0.5), "logistic", True, 0),
        (pm.Categorical.dist([0.5, 0.5]), "logistic", True, 0),
        (pm.Censored.dist(pm.Normal.dist(), 0, None), "logistic", True, 0),
    ],
)
def test_rule_describes_itself(rv, base, discrete, event_ndim):
    rule = noise_rule(rv)
    assert (rule.base, rule.discrete, rule.event_ndim) == (base, discrete, event_ndim)


# ------------------------------------------------------------------------------------ traps


def test_bernoulli_keeps_the_linear_predictor():
    # p = sigmoid(-800) underflows to zero, and sigmoid(800) rounds to one; eta does not
    eta, u = pt.vector("eta"), pt.vector("u")
    rule = noise_rule(pm.Bernoulli.dist(logit_p=eta))
    value = rule.forward(u)
    f = pytensor.function([eta, u], [value, *rule.interval(value)], mode=PY_MODE)
    etas = np.array([-800.0, -800.0, 800.0, 800.0, 0.3])
    one, lo, hi = f(etas, np.array([799.0, 801.0, -799.0, -801.0, -0.2]))
    np.testing.assert_array_equal(one, [0, 1, 1, 0, 1])
    np.testing.assert_array_equal(lo, [-np.inf, 800, -800, -np.inf, -0.3])
    np.testing.assert_array_equal(hi, [800, np.inf, np.inf, -800, np.inf])


def test_counts_far_above_the_mean_come_back_exactly():
    # at 20 of mean 0.5 the level rounds to one in double precision; the survival side does not
    mu, v, u = pt.vector("mu"), pt.lvector("v"), pt.vector("u")
    rule = noise_rule(pm.Poisson.dist(mu))
    interval = pytensor.function([mu, v], list(rule.interval(v)), mode=PY_MODE)
    forward = pytensor.function([mu, u], rule.forward(u), mode=PY_MODE)
    means = np.repeat([0.5, 5.0, 80.0, 2000.0], 5)
    values = np.array(
        [
            *(20, 30, 40, 60, 100),
            *(50, 70, 90, 120, 150),
            *(200, 300, 350, 400, 450),
            *(2800, 3000, 3200, 3300, 3500),
        ]
    )
    lo, hi = interval(means, values)
    assert np.all(np.isfinite(lo) & np.isfinite(hi) & (lo > 20) & (lo < hi))
    assert hi.max() > 400
    rng = np.random.default_rng(1)
    for _ in range(50):
        noise = sample_interval("logistic", lo, hi, rng)
        np.testing.assert_array_equal(forward(means, noise), values)


def test_normal_far_out_is_its_residual():
    _, forward, interval = functions(pm.Normal.dist(2.0, 0.5))
    np.testing.assert_array_equal(interval(np.array([102.0]))[0], [200.0])
    np.testing.assert_array_equal(forward(np.array([200.0])), [102.0])


def test_integer_parameters_are_not_taken_in_half_precision():
    # the constants 2, 1, 4 are int8 to PyTensor, and log1p(kappa**2) of them a float16
    _, forward, _ = functions(pm.AsymmetricLaplace.dist(kappa=2, mu=1, b=4))
    expected = stats.laplace_asymmetric(2, 1, 0.25).ppf(special.expit([-3.0, 3.0]))
    np.testing.assert_allclose(forward(np.array([-3.0, 3.0])), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("rv", "impossible"),
    [
        (pm.Poisson.dist(3.0), [-1]),
        (pm.Binomial.dist(5, 0.5), [6, -1]),
        (pm.Bernoulli.dist(0.5), [2, -1]),
        (pm.Bernoulli.dist(0.0), [1]),
        (pm.Categorical.dist([0.5, 0.0, 0.5]), [1, 3]),
        (pm.ZeroInflatedPoisson.dist(0.5, 1.0), [-2]),
        (pm.DiscreteUniform.dist(1, 3), [0, 4]),
        (pm.Truncated.dist(pm.Poisson.dist(3.0), lower=1), [0]),
    ],
)
def test_impossible_count_has_no_noise(rv, impossible):
    _, _, interval = functions(rv)
    lo, hi = interval(np.array(impossible))
    assert np.isnan(lo).all()
    assert np.isnan(hi).all()


@pytest.mark.parametrize("rv", [pm.Poisson.dist(3.0), pm.Geometric.dist(0.5), pm.Gamma.dist(2, 1)])
def test_noise_that_is_nan_raises_nothing(rv):
    _, forward, _ = functions(rv)
    value = forward(np.array([np.nan, 0.0]))
    if rv.dtype == "float64":
        assert np.isnan(value[0])
    else:  # an integer cannot be NaN: the lowest one, which no observation equals
        assert value[0] == np.iinfo("int64").min
    assert value[1] > 0


def test_gamma_that_underflows_to_zero_comes_back():
    _, forward, interval = functions(pm.Gamma.dist(0.001, 1.0))
    value = forward(np.array([-10.0, 2.0]))
    assert value[0] == 0
    np.testing.assert_array_equal(forward(interval(value)[0])[0], 0.0)


def test_rule_is_bound_to_parents_and_not_to_the_variable():
    with pm.Model(coords={"unit": range(3)}) as model:
        x = pm.Normal("x", dims="unit")
        pm.Poisson("y", pm.math.exp(x), dims="unit")
    u, value = pt.vector("u"), pt.vector("value")
    forward = noise_rule(model["y"]).forward(u)
    replaced = graph_replace([forward], {model["x"]: value})[0]
    # nothing random is left: seven units where the model has three
    f = pytensor.function([u, value], replaced, mode=PY_MODE)
    noise = np.random.default_rng(2).logistic(size=7)
    parents = np.linspace(-1, 2, 7)
    expected = stats.poisson(np.exp(parents)).ppf(special.expit(noise))
    np.testing.assert_array_equal(f(noise, parents), expected)


# --------------------------------------------------------------------------------- couplings


def test_gumbel_noise_gives_each_category_its_share():
    p = np.array([0.125, 0.5, 0.0, 0.375])
    rule, forward, _ = functions(pm.Categorical.dist(p), "gumbel")
    assert (rule.base, rule.event_ndim) == ("gumbel", 1)
    (count,) = rule.event_shape
    assert int(pt.as_tensor(count).eval(mode=PY_MODE)) == 4
    value = forward(np.random.default_rng(3).gumbel(size=(20_000, 4)))
    seen = np.bincount(value, minlength=4)
    assert seen[2] == 0
    keep = p > 0
    assert stats.chisquare(seen[keep], 20_000 * p[keep]).pvalue > 1e-4


def test_gumbel_noise_drawn_for_a_category_gives_it_back():
    rng = np.random.default_rng(4)
    p = rng.dirichlet([0.2] * 5, size=2000)
    categories = (p.cumsum(axis=1) < rng.random((2000, 1))).sum(axis=1).clip(0, 4)
    rule = noise_rule(pm.Categorical.dist(p), coupling="gumbel")
    log_p = rule.log_p.eval(mode=PY_MODE)
    noise = sample_gumbel(log_p, categories, rng)
    u = pt.matrix("u")
    forward = quiet(pytensor.function([u], rule.forward(u), mode=PY_MODE))
    np.testing.assert_array_equal(forward(noise), categories)


def test_gumbel_rule_has_no_interval():
    rule = noise_rule(pm.Categorical.dist([0.5, 0.5]), coupling="gumbel")
    with pytest.raises(NoiseFormError, match=r"no interval gives a category.*sample_gumbel"):
        rule.interval(pt.lvector())


@pytest.mark.parametrize("rv", [pm.Normal.dist(), pm.Gamma.dist(2, 1), pm.Bernoulli.dist(0.5)])
def test_coupling_does_not_matter_for_continuous_and_two_valued_variables(rv):
    rules = [noise_rule(rv, coupling=coupling) for coupling in COUPLINGS]
    assert rules[0].base == rules[1].base


def test_gumbel_coupling_of_a_count_is_refused():
    with pytest.raises(NoiseFormError, match=r"needs a finite set of categories, found Poisson"):
        noise_rule(pm.Poisson.dist(2), coupling="gumbel")


def test_unknown_coupling_is_refused_with_the_closest():
    with pytest.raises(NoiseFormError, match=r"'gumble' is not known.*Did you mean 'gumbel'"):
        noise_rule(pm.Poisson.dist(2), coupling="gumble")


# ---------------------------------------------------------------------------------- refusals


def test_what_is_not_random_is_refused():
    with pytest.raises(NoiseFormError, match="weight is not a random variable"):
        noise_rule(pt.scalar("weight"))


def opaque():
    return pm.CustomDist.dist(0.0, logp=lambda v, m: -((v - m) ** 2), class_name="Opaque")


@pytest.mark.parametrize(
    ("build", "family"),
    [
        (lambda: pm.Dirichlet.dist([1.0, 1.0]), "Dirichlet"),
        (lambda: pm.Multinomial.dist(3, [0.5, 0.5]), "Multinomial"),
        (lambda: pm.Flat.dist(), "Flat"),
        (opaque, "Opaque"),
    ],
)
def test_family_without_a_rule_is_named(build, family):
    rv = build()
    assert family in family_of(rv)
    with pytest.raises(NoiseFormError, match=rf"{family}.* has no noise form.*Deterministic"):
        noise_rule(rv)


def test_refusal_names_the_variable():
    with pm.Model(coords={"k": range(2)}):
        share = pm.Dirichlet("share", [1.0, 1.0], dims="k")
    with pytest.raises(NoiseFormError, match="'share' ~ Dirichlet has no noise form"):
        noise_rule(share)


# -------------------------------------------------------------------------------- CustomDist


CUSTOM = {
    "shifted": (lambda m, size: 3 - 2 * pm.Exponential.dist(m, size=size), 1.0),
    "logged": (lambda m, size: pm.math.log(pm.Gamma.dist(m, 1.0, size=size)), 2.0),
    "scaled": (lambda m, size: pm.StudentT.dist(nu=4, mu=m, sigma=1, size=size) / -4, 1.0),
    "count": (lambda m, size: 2 - pm.Poisson.dist(m, size=size), 3.0),
    "plain": (lambda m, size: pm.Weibull.dist(m, 1.0, size=size), 2.0),
}


@pytest.mark.parametrize("name", CUSTOM)
def test_custom_distribution_is_followed_inwards(name):
    dist, parameter = CUSTOM[name]
    rv = pm.CustomDist.dist(parameter, dist=dist)
    rule, forward, interval = functions(rv)
    rng = np.random.default_rng(11)
    noise = rng.logistic(size=3000)
    value = forward(noise)
    assert value.dtype == rv.dtype
    # still the quantile function, also through decreasing maps
    assert np.all(np.diff(forward(np.sort(noise))) >= 0)
    lo, hi = interval(value)
    again = forward(sample_interval("logistic", lo, hi, rng))
    np.testing.assert_allclose(again, value, rtol=1e-9, atol=1e-12)
    if not rule.discrete:
        np.testing.assert_allclose(lo, noise, rtol=1e-9, atol=1e-9)
    drawn = pm.draw(rv, draws=3000, random_seed=1, mode=PY_MODE)
    assert stats.ks_2samp(value, drawn).pvalue > 1e-4


@pytest.mark.parametrize(
    "dist",
    [
        lambda m, size: pm.Normal.dist(m, 1, size=size) ** 2,
        lambda m, size: abs(pm.Normal.dist(m, 1, size=size)),
        lambda m, size: pm.Normal.dist(m, 1, size=size) + pm.Gamma.dist(2, 1, size=size),
    ],
)
def test_custom_distribution_that_is_not_monotone_is_refused(dist):
    with pytest.raises(NoiseFormError, match=r"not an increasing or decreasing map.*Deterministic"):
        noise_rule(pm.CustomDist.dist(1.0, dist=dist))


# ------------------------------------------------------------------- vectors and time series

LOWER = np.array([[1.0, 0.0], [0.5, 2.0]])
VECTORS = {
    "MvNormal": lambda: pm.MvNormal.dist(np.array([1.0, 2.0]), chol=LOWER, size=6),
    "MvNormalTau": lambda: pm.MvNormal.dist(np.ones((6, 2)), tau=np.linalg.inv(LOWER @ LOWER.T)),
    "MvNormalBatch": lambda: pm.MvNormal.dist(
        np.ones((6, 2)), cov=np.stack([(i + 1) * LOWER @ LOWER.T for i in range(6)])
    ),
    "MatrixNormal": lambda: pm.MatrixNormal.dist(
        mu=np.ones((2, 3)), rowchol=LOWER, colcov=np.eye(3) + 0.5
    ),
    "GaussianRandomWalk": lambda: pm.GaussianRandomWalk.dist(
        mu=np.arange(4.0), sigma=2, init_dist=pm.Normal.dist(3, 1), steps=5
    ),
    "MvGaussianRandomWalk": lambda: pm.MvGaussianRandomWalk.dist(
        mu=np.ones(2), chol=LOWER, init_dist=pm.MvNormal.dist(np.zeros(2), np.eye(2)), steps=4
    ),
    "LogisticWalk": lambda: pm.RandomWalk.dist(
        init_dist=pm.Exponential.dist(1.0), innovation_dist=pm.Laplace.dist(0, 1), steps=3
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vector_rule_is_a_map_of_its_innovations(name):
    rv = VECTORS[name]()
    rule = noise_rule(rv)
    u = pt.tensor("u", shape=(None,) * rv.ndim)
    many = pt.tensor("many", shape=(None,) * (rv.ndim + 1))
    value = rule.forward(u)
    assert value.dtype == rv.dtype
    f = pytensor.function(
        [many], vectorize_graph([value, *rule.interval(value)], {u: many}), mode=PY_MODE
    )
    single = pytensor.function([u], value, mode=PY_MODE)
    drawn = pm.draw(rv, draws=4000, random_seed=3, mode=PY_MODE)
    rng = np.random.default_rng(4)
    noise = (rng.logistic if rule.base == "logistic" else rng.normal)(size=drawn.shape)
    batch, lo, hi = f(noise)
    np.testing.assert_allclose(batch[7], single(noise[7]), rtol=1e-13)
    np.testing.assert_array_equal(lo, hi)
    np.testing.assert_allclose(lo, noise, rtol=1e-9, atol=1e-9)
    # the same means and covariances as PyMC's own draws: differences of two means of 4000 in
    # units of their standard error, at 5 sd for at most 28 entries (p < 2e-5)
    flat, other = batch.reshape(4000, -1), drawn.reshape(4000, -1)
    error = np.sqrt((flat.var(axis=0) + other.var(axis=0)) / 4000)
    assert np.all(np.abs(flat.mean(axis=0) - other.mean(axis=0)) < 5 * error)
    for x, y in ((flat, other), (np.diff(flat, axis=1), np.diff(other, axis=1))):
        ratio = x.var(axis=0) / y.var(
            axis=0
        )  # sd of the log ratio: 2 / sqrt(4000) sqrt(kurtosis/2)
        assert np.all(np.abs(np.log(ratio)) < 5 * 2 / np.sqrt(4000) * 1.6)


@pytest.mark.parametrize("constant", [False, True])
def test_autoregression_is_its_recursion(constant):
    rhos = np.array([5.0, 0.5, 0.25] if constant else [0.5, 0.25])
    rv = pm.AR.dist(
        rhos, sigma=1.5, constant=constant, init_dist=pm.Normal.dist(1, 2), steps=5, shape=(3, 7)
    )
    rule = noise_rule(rv)
    u, many = pt.matrix("u"), pt.tensor3("many")
    value = rule.forward(u)
    graph = vectorize_graph([value, *rule.interval(value)], {u: many})
    noise = np.random.default_rng(6).normal(size=(4, 3, 7))
    x, lo, hi = pytensor.function([many], graph, mode=PY_MODE)(noise)
    expected = 1.5 * noise + (5.0 if constant else 0.0)
    expected[..., :2] = 1 + 2 * noise[..., :2]
    for t in range(2, 7):
        expected[..., t] += 0.5 * expected[..., t - 1] + 0.25 * expected[..., t - 2]
    np.testing.assert_allclose(x, expected, rtol=1e-13)
    np.testing.assert_allclose(lo, noise, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(lo, hi)


def test_zero_sum_normal_sums_to_zero_and_comes_back():
    rv = pm.ZeroSumNormal.dist(1.5, shape=(4, 3), n_zerosum_axes=2)
    rule = noise_rule(rv)
    u = pt.matrix("u")
    value = rule.forward(u)
    again = rule.forward(rule.interval(value)[0])
    f = pytensor.function([u], [value, again], mode=PY_MODE)
    one, two = f(np.random.default_rng(5).normal(size=(4, 3)))
    np.testing.assert_allclose(one.sum(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(one.sum(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(two, one, atol=1e-14)


def test_random_walk_of_two_kinds_of_noise_is_refused():
    rv = pm.RandomWalk.dist(
        init_dist=pm.Exponential.dist(1.0), innovation_dist=pm.Normal.dist(0, 1), steps=3
    )
    with pytest.raises(NoiseFormError, match=r"RandomWalk of Exponential and Normal.*scales"):
        noise_rule(rv)


def test_autoregression_from_another_start_is_refused():
    rv = pm.AR.dist([0.5], sigma=1.0, init_dist=pm.Exponential.dist(1.0), steps=3)
    with pytest.raises(NoiseFormError, match=r"AR that starts from Exponential.*init_dist"):
        noise_rule(rv)
