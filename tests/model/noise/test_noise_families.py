"""Each family's function of the noise against scipy, and its inverse against itself."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from noise_families import continuous, counts, functions, mixed, quiet
from pytensor.graph.replace import vectorize_graph
from scipy import integrate, special, stats

from bayescausal.model.noise import noise_rule, sample_base, sample_interval
from bayescausal.model.noise.families.continuous import skew_normal
from bayescausal.model.structure.interpreted import PY_MODE

CONTINUOUS = continuous()
COUNTS = counts()
MIXED = mixed()

#: Levels from 1e-8 to 1 - 1e-8; the reference distribution functions lose digits further out.
LOGITS = np.concatenate([np.linspace(-18, 18, 145), [1e-3, -1e-3, 0.0]])
#: Families whose scipy reference is itself good to fewer digits (series or generic quadrature).
COARSE = {
    "VonMises": 1e-6,
    "SkewNormal": 1e-7,
    "Interpolated": 1e-6,
    "TruncatedGamma": 1e-6,
    "Wald": 1e-6,
}


def as_noise(base, ell):
    """The logit of a level as noise of the rule's base."""
    if base == "logistic":
        return ell
    z = special.ndtri_exp(special.log_expit(-np.abs(ell)))
    return np.where(ell <= 0, z, -z)


@pytest.mark.parametrize("family", CONTINUOUS)
def test_continuous_value_has_the_level_of_its_noise(family):
    rv, reference = CONTINUOUS[family]
    rule, forward, _ = functions(rv)
    value = forward(as_noise(rule.base, LOGITS))
    assert value.dtype == rv.dtype
    tolerance = COARSE.get(family, 1e-9)
    for side, sign in ((reference.cdf, 1), (reference.sf, -1)):
        here = LOGITS * sign <= 0
        level, x = special.expit(sign * LOGITS[here]), value[here]
        # the value is a double: a few roundings of it move its level by this much
        rounding = 4 * np.abs(side(x + 2 * np.spacing(x)) - side(x - 2 * np.spacing(x)))
        # and some references subtract from one, which costs 4e-16 absolute
        assert np.all(np.abs(side(x) - level) <= tolerance * level + rounding + 4e-16)


@pytest.mark.parametrize("alpha", [0.125, 1.0, 10.0, -3.0])
@pytest.mark.parametrize("z", [-9.0, -6.0, -3.0, -1.0, 2.0, 5.0, 8.0])
def test_skew_normal_tail_where_its_two_terms_cancel(alpha, z):
    def density(s):
        return 2 * stats.norm.pdf(z - s) * special.ndtr(alpha * (z - s))

    exact = sum(
        integrate.quad(density, a, b, epsabs=0, epsrel=1e-13, limit=500)[0]
        for a, b in ((0, 3), (3, 30))
    )
    with np.errstate(all="ignore"):
        log_f, log_s = skew_normal(np.array([z]), 0.0, 1.0, alpha)
    # Phi - 2T is used while it keeps three digits fewer than a double has
    np.testing.assert_allclose(np.exp(log_f), exact, rtol=1e-11)
    np.testing.assert_allclose(np.exp(log_f) + np.exp(log_s), 1.0, rtol=1e-14)


@pytest.mark.parametrize("family", COUNTS)
def test_count_is_the_smallest_value_that_reaches_the_level(family):
    rv, reference = COUNTS[family]
    _, forward, _ = functions(rv)
    value = forward(LOGITS)
    assert value.dtype == rv.dtype
    for side, sign in ((reference.cdf, 1), (reference.sf, -1)):
        here = LOGITS * sign <= 0
        level, k = special.expit(sign * LOGITS[here]), value[here].astype(float)
        at, before = side(k), side(k - 1)
        slack = 1e-12 * level  # a level that is a jump of F up to rounding may go either way
        if sign == 1:
            assert np.all(before < level + slack)
            assert np.all(at >= level - slack)
        else:
            assert np.all(before > level - slack)
            assert np.all(at <= level + slack)


@pytest.mark.parametrize("family", CONTINUOUS)
def test_continuous_inverse_is_exact_into_the_tails(family):
    rv, _ = CONTINUOUS[family]
    rule, forward, interval = functions(rv)
    if rule.base == "logistic":
        noise = np.concatenate([np.linspace(-40, 40, 1601), np.linspace(-300, 300, 61)])
    else:
        noise = np.linspace(-20, 20, 801)
    if family == "VonMises":  # its tails are good to 1e-15 absolute only
        noise = np.linspace(-12, 12, 401)
    if family == "LogitNormal":  # sigmoid rounds to one
        noise = noise[np.abs(noise) < 10]
    value = forward(noise)
    lo, hi = interval(value)
    np.testing.assert_array_equal(lo, hi)
    again = forward(lo)
    scale = np.subtract(*forward(as_noise(rule.base, np.array([1.0, -1.0]))))
    # relative to the value or, where it passes through zero, to the width of the distribution
    assert np.all(np.abs(again - value) <= 1e-9 * np.maximum(np.abs(value), 1e-3 * scale))


@pytest.mark.parametrize("family", COUNTS)
def test_count_inverse_gives_the_count_back_exactly(family):
    rv, _ = COUNTS[family]
    _, forward, interval = functions(rv)
    rng = np.random.default_rng(5)
    noise = np.concatenate([rng.logistic(size=4000), np.linspace(-60, 60, 601)])
    value = forward(noise)
    lo, hi = interval(value)
    assert np.all(lo < hi)
    # the noise that gave the value lies in its interval, up to rounding at the ends
    assert np.all(noise > lo - 1e-9)
    assert np.all(noise <= hi + 1e-9)
    np.testing.assert_array_equal(forward(sample_interval("logistic", lo, hi, rng)), value)


@pytest.mark.parametrize("family", MIXED)
def test_mixed_family_has_intervals_at_its_atoms_and_points_elsewhere(family):
    rv, atoms = MIXED[family]
    rule, forward, interval = functions(rv)
    assert rule.discrete
    rng = np.random.default_rng(6)
    noise = rng.logistic(size=3000)
    value = forward(noise)
    lo, hi = interval(value)
    at_atom = np.isin(value, atoms)
    assert at_atom.any()
    assert np.all(lo[at_atom] < hi[at_atom])
    np.testing.assert_array_equal(lo[~at_atom], hi[~at_atom])
    again = forward(sample_interval("logistic", lo, hi, rng))
    np.testing.assert_array_equal(again[at_atom], value[at_atom])
    np.testing.assert_allclose(again[~at_atom], value[~at_atom], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("family", [*CONTINUOUS, *COUNTS, *MIXED])
def test_batching_a_graph_adds_axes_on_the_left(family):
    rv = {**CONTINUOUS, **COUNTS, **MIXED}[family][0]
    rule = noise_rule(rv)
    u = pt.vector("u")
    many = pt.tensor3("many")
    single = quiet(pytensor.function([u], rule.forward(u), mode=PY_MODE))
    graph = vectorize_graph(rule.forward(u), {u: many})
    assert graph.dtype == rv.dtype
    batched = quiet(pytensor.function([many], graph, mode=PY_MODE))
    noise = np.random.default_rng(7).logistic(size=(2, 3, 5))
    looped = np.array([[single(row) for row in block] for block in noise])
    np.testing.assert_array_equal(batched(noise), looped)


PARAMETRISED = {
    "Normal": lambda a, b: pm.Normal.dist(a, b),
    "Gamma": lambda a, b: pm.Gamma.dist(a, b),
    "Poisson": lambda a, b: pm.Poisson.dist(a * b),
    "Categorical": lambda a, b: pm.Categorical.dist(
        pt.stack([a, b, a * b], axis=-1) / (a + b + a * b)[..., None]
    ),
    "Mixture": lambda a, b: pm.NormalMixture.dist(
        pt.stack([a, b], axis=-1) / (a + b)[..., None], pt.stack([a, -b], -1), 1.0
    ),
    "ZeroInflated": lambda a, b: pm.ZeroInflatedPoisson.dist(a / (a + b), b),
    "Hurdle": lambda a, b: pm.HurdleNegativeBinomial.dist(a / (a + b), mu=b, alpha=a),
    "Censored": lambda a, b: pm.Censored.dist(pm.Normal.dist(a, b), 0.0, 2.0),
    "Truncated": lambda a, b: pm.Truncated.dist(pm.Gamma.dist(a, b), lower=0.25, upper=4.0),
}


@pytest.mark.parametrize("family", PARAMETRISED)
def test_batched_parameters_equal_a_loop_over_them(family):
    build = PARAMETRISED[family]
    # one row of parameters and noise per draw
    a, b, u = pt.vector("a"), pt.vector("b"), pt.vector("u")
    rule = noise_rule(build(a, b))
    forward = rule.forward(u)
    lo, hi = rule.interval(forward)
    wide = {v: pt.matrix(v.name) for v in (a, b, u)}
    batched = pytensor.function(
        list(wide.values()), vectorize_graph([forward, lo, hi], wide), mode=PY_MODE
    )
    single = pytensor.function([a, b, u], [forward, lo, hi], mode=PY_MODE)
    rng = np.random.default_rng(8)
    arrays = [rng.uniform(0.5, 3, (3, 4)), rng.uniform(0.5, 3, (3, 4)), rng.logistic(size=(3, 4))]
    with np.errstate(all="ignore"):
        together = batched(*arrays)
        rows = [single(*(x[i] for x in arrays)) for i in range(3)]
    for j in range(3):
        np.testing.assert_allclose(
            together[j], np.stack([row[j] for row in rows]), rtol=1e-12, atol=0
        )


@pytest.mark.parametrize("family", ["Gamma", "Poisson", "Censored", "Truncated", "Hurdle"])
def test_one_parameter_for_all_units_is_batched_beside_one_for_each(family):
    a, b, u = pt.scalar("a"), pt.vector("b"), pt.vector("u")
    forward = noise_rule(PARAMETRISED[family](a, b)).forward(u)
    graph = vectorize_graph(forward, {a: (many := pt.vector("many")), u: (wide := pt.matrix("w"))})
    batched = quiet(pytensor.function([many, b, wide], graph, mode=PY_MODE))
    single = quiet(pytensor.function([a, b, u], forward, mode=PY_MODE))
    rng = np.random.default_rng(9)
    each, unit, noise = rng.uniform(0.5, 3, 6), rng.uniform(0.5, 3, 4), rng.logistic(size=(6, 4))
    looped = np.stack([single(x, unit, row) for x, row in zip(each, noise, strict=True)])
    np.testing.assert_allclose(batched(each, unit, noise), looped, rtol=1e-12, atol=0)


@pytest.mark.parametrize("family", [*CONTINUOUS, *COUNTS])
def test_fresh_noise_follows_the_family(family):
    rv, reference = {**CONTINUOUS, **COUNTS}[family]
    rule, forward, _ = functions(rv)
    rng = np.random.default_rng(sum(map(ord, family)))
    value = forward(sample_base(rule.base, (4000,), rng)).astype(float)
    # the level of the value, drawn uniformly over its jump, is uniform under the reference
    jump = reference.cdf(value) - reference.cdf(value - 1) if rule.discrete else 0.0
    level = reference.cdf(value) - rng.random(4000) * jump
    # Bonferroni over the families at 1e-4 in all
    assert stats.kstest(level, "uniform").pvalue > 1e-4 / (len(CONTINUOUS) + len(COUNTS))


@pytest.mark.parametrize("family", CONTINUOUS)
def test_larger_noise_gives_a_larger_value(family):
    rv, _ = CONTINUOUS[family]
    _, forward, _ = functions(rv)
    assert np.all(np.diff(forward(np.linspace(-9, 9, 301))) > 0)
