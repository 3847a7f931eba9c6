"""Compiled loops for counts: sequential search up from zero, a few nanoseconds a step.

For a count with probabilities ``p_0, p_1, ...`` that follow from each other by a simple ratio,

    ``p_{k+1} = p_k r(k)``,   ``F(k) = p_0 + ... + p_k``,

the quantile is found by adding terms until the level is reached. This is exact where it applies and
gives up (returns -1) where it does not: where ``p_0`` underflows, where it would take too many
steps, and in the far upper tail, where ``1 - F`` has lost its digits. The caller then searches with
special functions.

The compiled code is cached on disk.

References
----------
.. [1] L. Devroye, *Non-Uniform Random Variate Generation*, Springer, 1986, section III.2.
"""

from __future__ import annotations

import math

from numba import vectorize

__all__ = [
    "beta_binomial_tail",
    "binomial_search",
    "hypergeometric_tail",
    "negative_binomial_search",
    "poisson_search",
]

#: Above this logit (1 - u < 6e-6) the sum of the lower tail says too little about the upper.
_FAR = 12.0
_STEPS = 1200
_UNDERFLOW = -600.0
_BIG = 1e280


@vectorize(["float64(float64, float64)"], cache=True)
def poisson_search(ell, mu):  # type: ignore[no-untyped-def]
    """Return the Poisson quantile, or -1 where the search does not apply."""
    if not (ell < _FAR and 0.0 <= mu <= -_UNDERFLOW):
        return -1.0
    u = 1.0 / (1.0 + math.exp(-ell))
    term = math.exp(-mu)
    total = term
    k = 0
    while total < u:
        k += 1
        if k > _STEPS:
            return -1.0
        term *= mu / k
        total += term
    return float(k)


@vectorize(["float64(float64, float64, float64)"], cache=True)
def binomial_search(ell, n, p):  # type: ignore[no-untyped-def]
    """Return the binomial quantile, or -1 where the search does not apply."""
    mirrored = p > 0.5
    if mirrored:  # count failures from the other end
        p = 1.0 - p
        ell = -ell
    if not (ell < _FAR and p >= 0.0 and n >= 0.0) or n * math.log1p(-p) < _UNDERFLOW:
        return -1.0
    u = 1.0 / (1.0 + math.exp(-ell))
    term = math.exp(n * math.log1p(-p))
    odds = p / (1.0 - p)
    total = term
    k = 0.0
    while total < u and k < n:
        term *= odds * (n - k) / (k + 1.0)
        k += 1.0
        if k > _STEPS:
            return -1.0
        total += term
    return n - k if mirrored else k


@vectorize(["float64(float64, float64, float64)"], cache=True)
def negative_binomial_search(ell, n, p):  # type: ignore[no-untyped-def]
    """Return the negative binomial quantile, or -1 where the search does not apply."""
    if not (ell < _FAR and 0.0 < p <= 1.0 and n > 0.0) or n * math.log(p) < _UNDERFLOW:
        return -1.0
    u = 1.0 / (1.0 + math.exp(-ell))
    term = math.exp(n * math.log(p))
    total = term
    k = 0.0
    while total < u:
        term *= (1.0 - p) * (k + n) / (k + 1.0)
        k += 1.0
        if k > _STEPS:
            return -1.0
        total += term
    return k


@vectorize(["float64(float64, float64, float64, float64, float64)"], cache=True)
def beta_binomial_tail(k, n, a, b, upper):  # type: ignore[no-untyped-def]
    """Return ``log P(X <= k)``, or ``log P(X > k)`` where `upper`, by adding from k outwards."""
    start = k + 1.0 if upper else k
    if start < 0.0 or start > n:
        return -math.inf
    log_term = (
        math.lgamma(n + 1.0)
        - math.lgamma(start + 1.0)
        - math.lgamma(n - start + 1.0)
        + math.lgamma(start + a)
        + math.lgamma(n - start + b)
        - math.lgamma(n + a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + math.lgamma(a + b)
    )
    term = 1.0
    total = 1.0
    j = start
    while total < _BIG:
        if upper:
            if j >= n:
                break
            term *= (n - j) * (j + a) / ((j + 1.0) * (n - j - 1.0 + b))
            j += 1.0
        else:
            if j <= 0.0:
                break
            term *= j * (n - j + b) / ((n - j + 1.0) * (j - 1.0 + a))
            j -= 1.0
        total += term
    if total >= _BIG:  # the other side is below 1e-280 of this one
        return 0.0
    return min(log_term + math.log(total), 0.0)


@vectorize(["float64(float64, float64, float64, float64, float64)"], cache=True)
def hypergeometric_tail(k, good, bad, n, upper):  # type: ignore[no-untyped-def]
    """Return ``log P(X <= k)``, or ``log P(X > k)`` where `upper`, by adding from k outwards."""
    first = max(0.0, n - bad)
    last = min(good, n)
    start = k + 1.0 if upper else k
    if start < first or start > last:
        return -math.inf
    log_term = (
        math.lgamma(good + 1.0)
        - math.lgamma(start + 1.0)
        - math.lgamma(good - start + 1.0)
        + math.lgamma(bad + 1.0)
        - math.lgamma(n - start + 1.0)
        - math.lgamma(bad - n + start + 1.0)
        - math.lgamma(good + bad + 1.0)
        + math.lgamma(n + 1.0)
        + math.lgamma(good + bad - n + 1.0)
    )
    term = 1.0
    total = 1.0
    j = start
    while total < _BIG:
        if upper:
            if j >= last:
                break
            term *= (good - j) * (n - j) / ((j + 1.0) * (bad - n + j + 1.0))
            j += 1.0
        else:
            if j <= first:
                break
            term *= j * (bad - n + j) / ((good - j + 1.0) * (n - j + 1.0))
            j -= 1.0
        total += term
    if total >= _BIG:  # the other side is below 1e-280 of this one
        return 0.0
    return min(log_term + math.log(total), 0.0)
