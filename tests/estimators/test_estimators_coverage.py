"""Intervals of the estimators hold the truth as often as they say, over 1,000 data sets each."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom, norm

import bayescausal as bc
from bayescausal.draws.intervals import narrowest
from bayescausal.estimators import Matching, Stratification, TwoStageLeastSquares

DATASETS, UNITS, DRAWS = 1000, 400, 500


def confounded(rng):
    """E[y_1 - y_0] = 2 + E[z] = 2; all models that are used are right."""
    z = rng.normal(size=UNITS)
    x = rng.binomial(1, expit(0.7 * z))
    return {"z": z, "x": x, "y": 2 * x + x * z + z + rng.normal(size=UNITS)}


def cells(rng):
    """The same of a confounder with four values, which strata of the propensity hold apart."""
    z = rng.integers(0, 4, UNITS)
    x = rng.binomial(1, 0.2 + 0.2 * z)
    return {"z": z, "x": x, "y": 2 * x + x * (z - 1.5) + z + rng.normal(size=UNITS)}


def instrumented(rng):
    u, z = rng.normal(size=UNITS), rng.binomial(1, 0.5, UNITS)
    x = (1.5 * z + u + rng.normal(size=UNITS) > 0.7).astype(int)
    return {"z": z, "x": x, "y": 2 * x + u + rng.normal(size=UNITS)}


def mediated(rng):
    """x -> m -> y with a hidden common cause of x and y: the effect is 2 (E[m_1] - E[m_0]) = 1."""
    u = rng.normal(size=UNITS)
    x = rng.binomial(1, expit(u))
    m = rng.normal(0.5 * x, 1)
    return {"x": x, "m": m, "y": 2 * m + u + rng.normal(size=UNITS)}


BACK = "z -> x -> y; z -> y"
STUDIES = {
    "back door": (
        confounded,
        BACK,
        ["stratified", "ipw", "aipw", "tmle", Matching(metric="mahalanobis")],
        2.0,
    ),
    "cells": (cells, BACK, [Stratification(strata=20), Matching(metric="exact")], 2.0),
    "instrument": (instrumented, "z -> x -> y; x <-> y", [TwoStageLeastSquares()], 2.0),
    "front door": (mediated, "x -> m -> y; x <-> y", ["front_door"], 1.0),
}


def held(study, datasets=DATASETS):
    """Return how many intervals held the truth, by estimator."""
    make, graph, estimators, truth = STUDIES[study]
    question = bc.ATE("x", "y", population="superpopulation")
    count: Counter[str] = Counter()
    for seed in range(datasets):
        data = make(np.random.default_rng(seed))
        found = bc.triangulate(
            graph, question, estimators=estimators, data=data, draws=DRAWS, seed=seed
        )
        for name, effect in found.effects.items():
            low, high = effect.interval(0.94)
            count[name] += int(low <= truth <= high)
    return count


def expected() -> float:
    """Return how often the interval of a right bootstrap holds the truth, with so few draws.

    The narrowest interval of 500 draws is narrower than that of the distribution they are from, by
    simulation of Normal draws; and the bootstrap's variance is that of the residuals of an arm of
    200 units, low by its two coefficients and by one: 3 / 200.
    """
    rng = np.random.default_rng(0)
    short = np.sqrt(1 - 3 / (UNITS / 2))
    low, high = narrowest(rng.normal(0, short, (DRAWS, 4000)), 0.94)
    return float(np.mean(norm.cdf(high) - norm.cdf(low)))


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_intervals_hold_the_truth_as_often_as_they_say(study):
    """Inside the binomial band that a right interval leaves once in a thousand."""
    low = binom.ppf(0.0005, DATASETS, expected())
    high = binom.ppf(0.9995, DATASETS, 0.94)
    for name, count in held(study).items():
        assert low <= count <= high, (name, count)
