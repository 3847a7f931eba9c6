"""Weights: independent of chunking, Dirichlet moments, weighted means and quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayescausal.draws.weights import bayesian_bootstrap, weighted_mean, weighted_quantile
from bayescausal.types import DataError


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 15), st.integers(0, 2**40), st.data())
def test_weights_do_not_depend_on_blocks_or_order(n, draws, seed, data):
    whole = bayesian_bootstrap(n, draws, seed)
    order = data.draw(st.permutations(range(draws)))
    np.testing.assert_array_equal(bayesian_bootstrap(n, order, seed), whole[list(order)])
    cut = data.draw(st.integers(0, draws))
    parts = [bayesian_bootstrap(n, part, seed) for part in (range(cut), range(cut, draws))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_allclose(whole.sum(axis=1), 1.0, rtol=1e-12)


def test_weights_are_flat_dirichlet():
    n, draws = 5, 20_000
    w = bayesian_bootstrap(n, draws, seed=1)
    # Dirichlet(1..1): mean 1/n, variance (n-1)/(n^2 (n+1)), covariance -1/(n^2 (n+1))
    sd = np.sqrt((n - 1) / (n**2 * (n + 1)))
    assert np.abs(w.mean(axis=0) - 1 / n).max() < 5 * sd / np.sqrt(draws)
    # P(w_1 > t) = (1 - t)^(n-1); five standard errors of a share
    for t in (0.1, 0.3, 0.6):
        p = (1 - t) ** (n - 1)
        assert abs((w[:, 0] > t).mean() - p) < 5 * np.sqrt(p * (1 - p) / draws)
    # the covariance of two weights: its standard error is below sd^2 * sqrt(3 / draws)
    covariance = np.cov(w[:, 0], w[:, 3])[0, 1]
    assert abs(covariance + 1 / (n**2 * (n + 1))) < 5 * sd**2 * np.sqrt(3 / draws)


def test_draws_and_seeds_are_independent():
    w = bayesian_bootstrap(2000, 3, seed=1)
    other = bayesian_bootstrap(2000, 3, seed=2)
    # correlation of independent vectors of length 2000 has sd 1/sqrt(2000) = 0.022
    for a, b in ((w[0], w[1]), (w[1], w[2]), (w[0], other[0])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(2000)


def test_clusters_share_one_weight():
    labels = ["a", "b", "a", "c", "c", "c"]
    w = bayesian_bootstrap(6, 50, seed=3, clusters=labels)
    np.testing.assert_array_equal(w[:, 0], w[:, 2])
    np.testing.assert_array_equal(w[:, 3], w[:, 5])
    assert (w[:, 0] != w[:, 1]).all()
    np.testing.assert_allclose(w.sum(axis=1), 1.0)
    single = bayesian_bootstrap(6, 50, seed=3, clusters=range(6))
    np.testing.assert_allclose(single, bayesian_bootstrap(6, 50, seed=3), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bayesian_bootstrap(0, 1, 1), "At least one unit"),
        (lambda: bayesian_bootstrap(3, 1, 1, clusters=["a"]), "One label for each unit"),
        (lambda: weighted_mean([1.0, 2.0], [0.0, 0.0]), "sum to zero"),
        (lambda: weighted_quantile([1.0, 2.0], 0.5, [-1.0, 2.0]), "negative"),
    ],
)
def test_bad_weights_are_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 4)), min_size=1, max_size=15),
    st.floats(0.01, 0.99),
)
def test_whole_weights_are_repeated_rows(pairs, q):
    values, counts = (np.array(x) for x in zip(*pairs, strict=True))
    if counts.sum() == 0:
        return
    rows = np.repeat(values, counts).astype(float)
    np.testing.assert_allclose(weighted_mean(values, counts), rows.mean(), atol=1e-12)
    # left-continuous inverse; skip a q that lies within rounding of a step
    steps = np.arange(1, len(rows)) / len(rows)
    if len(steps) and np.abs(steps - q).min() < 1e-9:
        return
    assert weighted_quantile(values, q, counts) == np.quantile(rows, q, method="inverted_cdf")


def test_equal_weights_reach_the_step_in_spite_of_rounding():
    values = np.arange(1.0, 11.0)
    for q in np.arange(1, 10) / 10:
        assert weighted_quantile(values, q, np.full(10, 0.1)) == round(10 * q)


def test_quantiles_along_an_axis_with_weights_by_draw():
    values = np.array([[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]])
    weights = np.array([[1.0], [1.0], [8.0]])
    assert weighted_quantile(values, 0.5, weights, axis=0).tolist() == [3.0, 7.0]
    assert weighted_mean(values, weights, axis=0).tolist() == [2.7, 6.7]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=30), st.integers(1, 99))
def test_without_weights_all_count_the_same(values, percent):
    q = percent / 100
    found = weighted_quantile([values, values], q)
    # the definition in whole numbers, so that no rounding decides at a step
    enough = [v for v in values if 100 * sum(u <= v for u in values) >= percent * len(values)]
    assert found.tolist() == [min(enough)] * 2
    assert found[0] == weighted_quantile(values, q, np.ones(len(values)))
