"""Noise conditioned on what it must explain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from bayescausal.model.noise import sample_base, sample_gumbel, sample_interval
from bayescausal.types import NoiseFormError

CDF = {"normal": special.log_ndtr, "logistic": special.log_expit}


@pytest.mark.parametrize("base", ["normal", "logistic"])
@pytest.mark.parametrize(
    ("lo", "hi"),
    [
        (-0.5, 0.75),
        (-np.inf, -1.0),
        (1.0, np.inf),
        (-np.inf, np.inf),
        (-np.inf, 3.0),
        (-3.0, np.inf),
        (5.0, 5.5),
        (-30.0, -29.0),
        (29.0, 30.0),
        (300.0, 301.0),
        (-300.0, -299.5),
        (25.0, np.inf),
    ],
)
def test_interval_noise_follows_the_conditioned_base(base, lo, hi):
    rng = np.random.default_rng(1)
    x = sample_interval(base, np.full(5000, lo), np.full(5000, hi), rng)
    assert np.all((lo < x) & (x <= hi))
    # by symmetry in the lower half, where levels keep their digits; exact truncated cdf in logs
    sign = -1.0 if lo + hi > 0 else 1.0
    start, end, y = (lo, hi, x) if sign > 0 else (-hi, -lo, -x)
    logs = [CDF[base](np.asarray(v, float)) for v in (start, y, end)]
    level = np.exp(logs[1] - logs[2])
    floor = 0.0 if np.isneginf(start) else np.exp(logs[0] - logs[2])
    assert stats.kstest((level - floor) / (1 - floor), "uniform").pvalue > 1e-4 / 24


def test_equal_ends_give_that_number_and_empty_ones_nan():
    rng = np.random.default_rng(2)
    lo = np.array([1.5, -np.inf, np.nan, 2.0, 0.0])
    hi = np.array([1.5, -np.inf, 1.0, 1.0, np.nan])
    np.testing.assert_array_equal(
        sample_interval("logistic", lo, hi, rng), [1.5, -np.inf, np.nan, np.nan, np.nan]
    )


def test_one_number_is_used_per_element_whatever_the_ends():
    lo, hi = np.array([0.0, 0.0]), np.array([0.0, 1.0])
    mixed = sample_interval("logistic", lo, hi, np.random.default_rng(3))
    open_ = sample_interval("logistic", [0.0, 0.0], [1.0, 1.0], np.random.default_rng(3))
    assert mixed[1] == open_[1]


def test_gumbel_posterior_mixes_back_to_the_prior():
    # drawing the category, then the noise given it, must give independent standard Gumbels
    rng = np.random.default_rng(4)
    p = np.array([0.1, 0.6, 0.3])
    k = rng.choice(3, p=p, size=20_000)
    noise = sample_gumbel(np.log(p), k, rng)
    np.testing.assert_array_equal(np.argmax(np.log(p) + noise, axis=-1), k)
    for j in range(3):
        assert stats.kstest(noise[:, j], stats.gumbel_r().cdf).pvalue > 1e-4 / 3
    # correlations of independent noise: sd 1/sqrt(20000), 4.5 sd for three pairs
    correlation = np.corrcoef(noise.T)[np.triu_indices(3, 1)]
    assert np.all(np.abs(correlation) < 4.5 / np.sqrt(20_000))


def test_gumbel_evidence_that_is_impossible_gives_nan():
    rng = np.random.default_rng(5)
    log_p = np.array([[-np.inf, 0.0], [np.log(0.5), np.log(0.5)]])
    noise = sample_gumbel(log_p, [0, 5], rng)
    assert np.isnan(noise).all()
    noise = sample_gumbel(log_p, [1, 0], rng)
    assert np.isfinite(noise).all()


@pytest.mark.parametrize("base", ["normal", "logistic", "gumbel"])
def test_base_noise_is_standard(base):
    x = sample_base(base, (4000,), np.random.default_rng(6))
    reference = {"normal": stats.norm, "logistic": stats.logistic, "gumbel": stats.gumbel_r}[base]
    assert stats.kstest(x, reference().cdf).pvalue > 1e-4


def test_unknown_base_is_refused():
    rng = np.random.default_rng(7)
    with pytest.raises(NoiseFormError, match=r"'uniform' is no base noise.*gumbel"):
        sample_base("uniform", (2,), rng)
    with pytest.raises(NoiseFormError, match=r"'gumbel' scale is not drawn from intervals"):
        sample_interval("gumbel", 0.0, 1.0, rng)
