"""Makarov's bounds: closed form for shifted normals, linear programmes for discrete margins."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from scipy.optimize import linprog
from scipy.stats import norm

import bayescausal as bc
from bayescausal.effects.unit_level.makarov import cdf_bounds


def by_linear_programme(one, zero, event):
    """Least and largest P(event(Y1 - Y0)) over all joints of two equally likely samples."""
    k = len(one)
    cost = event(np.subtract.outer(one, zero)).astype(float).ravel()
    rows = np.kron(np.eye(k), np.ones(k))
    columns = np.kron(np.ones(k), np.eye(k))
    equal = np.vstack([rows, columns])
    right = np.full(2 * k, 1 / k)
    ends = [linprog(s * cost, A_eq=equal, b_eq=right, bounds=(0, None)).fun for s in (1, -1)]
    return ends[0], -ends[1]


@pytest.mark.parametrize("seed", range(12))
def test_equal_to_a_linear_programme_with_and_without_ties(seed):
    rng = np.random.default_rng(seed)
    k = 8
    if seed % 2:
        one, zero = rng.integers(-2, 4, k).astype(float), rng.integers(0, 3, k).astype(float)
    else:
        one, zero = rng.normal(0.5, 1, k), rng.normal(0, 2, k)
    one, zero = np.sort(one), np.sort(zero)
    for d in (-1.0, 0.0, 0.5, 2.0):
        for strict in (False, True):
            found = [float(b) for b in cdf_bounds(one, zero, d, strict=strict)]
            event = (lambda z, d=d: z < d) if strict else (lambda z, d=d: z <= d)
            np.testing.assert_allclose(found, by_linear_programme(one, zero, event), atol=1e-9)


def normals(shift=1.0, sd=1.0):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", shift * x, 1 + (sd - 1) * x, dims="unit")
    return model


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_shifted_normals(shift):
    """Fan and Park (2010): with equal variances, ``2 Phi(|d - shift| / 2) - 1``.

    Lower ``max(0, 2 Phi((d - shift) / 2) - 1)``, upper ``min(1, 2 Phi((d - shift) / 2))``.
    The margins are 128 quantiles at (k + 1/2) / 128, so the bounds are exact to 1 / 128.
    """
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2, 30)
    known = bc.truth(normals(shift), {}, {"x": x, "y": shift * x + rng.normal(size=30)})
    for d in (-0.5, 0.5, 2.0):
        effect = bc.estimate(known, bc.ITE("x", "y", functional=bc.Probability(at_most=d)))
        low = max(0.0, 2 * norm.cdf((d - shift) / 2) - 1)
        high = min(1.0, 2 * norm.cdf((d - shift) / 2))
        assert effect.mean() == float(shift <= d)  # a common rank: the effect is the shift
        wanted = [min(low, effect.mean()), max(high, effect.mean())]
        np.testing.assert_allclose(effect.bounds.values.reshape(-1), wanted, atol=1 / 128)
        harm = bc.estimate(known, bc.ITE("x", "y", functional=bc.Probability(above=d)))
        np.testing.assert_allclose(
            harm.bounds.values.reshape(-1), 1 - np.array(wanted)[::-1], atol=1 / 128
        )


def test_quantiles_of_the_effect():
    """Median of the effect: the bounds invert those of the distribution function.

    Upper F reaches q at ``shift + 2 Phi^-1(q / 2)``, lower F at ``shift + 2 Phi^-1((1 + q) / 2)``.
    An error of 1/128 in probability is one of 1/128 over the density ``phi(z)`` of the bound.
    """
    known = bc.truth(normals(1.0), {}, {"x": [0, 1, 1], "y": [0.3, 1.0, 2.0]})
    effect = bc.estimate(known, bc.ITE("x", "y", functional=bc.Quantile(0.5)))
    ends = 1 + 2 * norm.ppf([0.25, 0.75])
    slack = 1 / 128 / norm.pdf(norm.ppf(0.25))
    np.testing.assert_allclose(effect.bounds.values.reshape(-1), ends, atol=slack)
    assert abs(effect.mean() - 1.0) < 1e-12


def binary(p1, p0):
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Bernoulli("y", p=p0 + (p1 - p0) * x, dims="unit")
    return model


def test_the_share_who_are_harmed():
    """P(Y1 < Y0) of two coins: between max(0, p0 - p1) and min(1 - p1, p0)."""
    p1, p0 = 0.75, 0.375  # multiples of 1 / 128
    known = bc.truth(
        binary(p1, p0), {}, {"x": [0, 1] * 20, "y": [0, 1, 1, 1] * 10}, draws=200, seed=1
    )
    options = {"coupling": "monotone"}
    wanted = {
        bc.Probability(below=0): (max(0, p0 - p1), min(1 - p1, p0)),
        bc.Probability(above=0): (max(0, p1 - p0), min(p1, 1 - p0)),
        bc.Probability(at_most=0): (1 - min(p1, 1 - p0), 1 - max(0, p1 - p0)),
        bc.Probability(at_least=0): (1 - min(1 - p1, p0), 1 - max(0, p0 - p1)),
    }
    for functional, ends in wanted.items():
        effect = bc.estimate(known, bc.ITE("x", "y", functional=functional, **options))
        # what the units at hand gave may lie outside what holds for new ones: then it is the end
        low = np.minimum(ends[0], effect.draws.values)
        high = np.maximum(ends[1], effect.draws.values)
        np.testing.assert_allclose(effect.bounds.sel(bound="lower").values, low, atol=1e-9)
        np.testing.assert_allclose(effect.bounds.sel(bound="upper").values, high, atol=1e-9)


def test_margins_are_wider_than_within_covariates():
    """Two kinds of units: within each the effect is certain to be the same sign."""
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Bernoulli("z", 0.5, dims="unit")
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", 10 * z + 3 * x, 0.1, dims="unit")
    data = {"z": [0, 0, 1, 1], "x": [0, 1, 0, 1], "y": [0.0, 3.0, 10.0, 13.0]}
    known = bc.truth(model, {}, data)
    harm = bc.Probability(below=0)
    model_bounds = bc.estimate(known, bc.ITE("x", "y", functional=harm)).bounds.values
    margins = bc.estimate(known, bc.ITE("x", "y", functional=harm, bounds="margins")).bounds.values
    np.testing.assert_allclose(model_bounds.reshape(-1), [0, 0], atol=1e-12)
    # the margins alone allow the low half of the treated to be the high half of the untreated
    np.testing.assert_allclose(margins.reshape(-1), [0, 0.5], atol=1 / 128)


def test_bounds_are_for_differences():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Gamma("y", 2 + x, 1, dims="unit")
    known = bc.truth(model, {}, {"x": [0, 1], "y": [0.5, 1.0]})
    with pytest.raises(bc.BayesCausalError, match="for differences"):
        bc.estimate(known, bc.ITE("x", "y", functional=bc.Quantile(0.5), scale="ratio"))
