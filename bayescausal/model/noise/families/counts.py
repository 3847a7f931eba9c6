"""Counts and categories: both tails, and fast quantiles.

For a discrete variable the noise that gives the value ``k`` is an interval of the logistic scale,

    ``logit F(k - 1) < l <= logit F(k)``,

so both tails are needed at ``k`` and at ``k - 1``. They come from the incomplete gamma and beta
functions where those exist [1]_:

===================  ================================================
Poisson              ``S(k) = P(k + 1, mu)``
Binomial             ``S(k) = I_p(k + 1, n - k)``
NegativeBinomial     ``S(k) = I_{1-p}(k + 1, n)``
===================  ================================================

and from sums outwards from ``k`` for the beta-binomial and hypergeometric. The quantiles of the
first three are found by a compiled sequential search (:mod:`.kernels`), a few hundredths of a
second for a million values of moderate mean; where that does not apply, from a Cornish-Fisher guess
[2]_ and a search on the integers.

When it fails: beyond 1e-308 the special functions underflow and the logit is infinite.

References
----------
.. [1] N. L. Johnson, A. W. Kemp and S. Kotz, *Univariate Discrete Distributions*, 3rd ed.,
   Wiley, 2005, chapters 3 to 6.
.. [2] E. A. Cornish and R. A. Fisher, "Moments and cumulants in the specification of
   distributions", Revue de l'Institut International de Statistique 5 (1938) 307-320.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy import inf
from scipy import special as sp

from bayescausal.model.noise.families.continuous import clamp, log1mexp, pair
from bayescausal.model.noise.families.search import invert_integer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bayescausal.annotations import Array

    type Pair = tuple[Array, Array]

__all__ = ["categorical_quantile"]


def _kernel(name: str) -> Callable[..., Array]:
    """Return a compiled loop; numba, which takes a second to load, is loaded on first use."""
    from bayescausal.model.noise.families import kernels

    found: Callable[..., Array] = getattr(kernels, name)
    return found


def _on(k: Array, first: Array | float, last: Array | float, two: Pair) -> Pair:
    """Nothing before the first value, everything at the last."""
    return clamp(k < first, k >= last, two)


def poisson(k: Array, mu: Array) -> Pair:
    """Return both log tails of ``Poisson(mu)``."""
    k = np.floor(k)
    safe = np.maximum(k, 0.0) + 1.0
    return _on(k, 0, inf, pair(sp.gammaincc(safe, mu), sp.gammainc(safe, mu)))


def binomial(k: Array, n: Array, p: Array) -> Pair:
    """Return both log tails of ``Binomial(n, p)``."""
    k = np.floor(k)
    safe = np.clip(k, 0.0, np.maximum(n - 1.0, 0.0))
    rest = np.maximum(n - safe, 0.5)
    return _on(k, 0, n, pair(sp.betaincc(safe + 1, rest, p), sp.betainc(safe + 1, rest, p)))


def negative_binomial(k: Array, n: Array, p: Array) -> Pair:
    """Return both log tails of the number of failures before `n` successes."""
    k = np.floor(k)
    safe = np.maximum(k, 0.0) + 1.0
    return _on(k, 0, inf, pair(sp.betainc(n, safe, p), sp.betaincc(n, safe, p)))


def geometric(k: Array, p: Array) -> Pair:
    """Return both log tails of ``Geometric(p)`` on 1, 2, ..."""
    log_s = np.maximum(np.floor(k), 0.0) * np.log1p(-p)
    return _on(np.floor(k), 1, inf, (log1mexp(log_s), log_s))


def discrete_weibull(k: Array, q: Array, beta: Array) -> Pair:
    """Return both log tails of ``DiscreteWeibull(q, beta)``: ``S(k) = q^((k + 1)^beta)``."""
    log_s = (np.maximum(np.floor(k), -1.0) + 1.0) ** beta * np.log(q)
    return _on(np.floor(k), 0, inf, (log1mexp(log_s), log_s))


def discrete_uniform(k: Array, lower: Array, upper: Array) -> Pair:
    """Return both log tails of ``DiscreteUniform(lower, upper)``."""
    k, count = np.floor(k), upper - lower + 1.0
    below = np.clip((k - lower + 1.0) / count, 0.0, 1.0)
    return _on(k, lower, upper, pair(below, np.clip((upper - k) / count, 0.0, 1.0)))


def bernoulli(k: Array, p: Array) -> Pair:
    """Return both log tails of ``Bernoulli(p)``."""
    k, p = np.broadcast_arrays(np.floor(k), p)
    return _on(k, 0, 1, (np.log1p(-p), np.log(p)))


def categorical(k: Array, p: Array) -> Pair:
    """Return both log tails of ``Categorical(p)``, in the order of the categories (last axis)."""
    k = np.floor(k)
    categories = np.arange(p.shape[-1])
    at_most = categories <= k[..., None]
    below = np.where(at_most, p, 0.0).sum(axis=-1)
    return _on(k, 0, p.shape[-1] - 1, pair(below, np.where(at_most, 0.0, p).sum(axis=-1)))


def beta_binomial(k: Array, n: Array, alpha: Array, beta: Array) -> Pair:
    """Return both log tails of ``BetaBinomial(n, alpha, beta)``."""
    k = np.floor(k)
    beta_binomial_tail = _kernel("beta_binomial_tail")
    two = (beta_binomial_tail(k, n, alpha, beta, side) for side in (0.0, 1.0))
    return _on(k, 0, n, _complete(*two))


def hypergeometric(k: Array, good: Array, bad: Array, n: Array) -> Pair:
    """Return both log tails of the number of good ones among `n` drawn from good and bad."""
    k = np.floor(k)
    hypergeometric_tail = _kernel("hypergeometric_tail")
    two = (hypergeometric_tail(k, good, bad, n, side) for side in (0.0, 1.0))
    return _on(k, np.maximum(0, n - bad), np.minimum(good, n), _complete(*two))


def _complete(log_f: Array, log_s: Array) -> Pair:
    """Take the larger tail from the smaller one."""
    low_side = log_f < log_s
    return np.where(low_side, log_f, log1mexp(log_s)), np.where(low_side, log1mexp(log_f), log_s)


# ------------------------------------------------------------------------------- quantiles


def _cornish_fisher(ell: Array, mean: Array, sd: Array, skew: Array) -> Array:
    """Return the normal quantile with its first correction for skewness."""
    z = -np.sign(ell) * sp.ndtri_exp(sp.log_expit(-np.abs(ell)))
    return mean + sd * (z + skew * (z**2 - 1.0) / 6.0)


def _finish(
    out: Array,
    ell: Array,
    params: Sequence[Array],
    tails: Callable[..., Pair],
    last: Array | float,
    moments: tuple[Array, Array, Array],
) -> Array:
    """Fill in the elements where the sequential search gave up."""
    rest = np.flatnonzero(out.ravel() < 0)
    if rest.size == 0:
        return out

    def pick(x: Array | float) -> Array:
        return np.broadcast_to(x, out.shape).ravel()[rest]

    guess = _cornish_fisher(pick(ell), *(pick(m) for m in moments))
    out.ravel()[rest] = invert_integer(
        lambda k, rows: tails(k, *rows),
        pick(ell),
        [pick(p) for p in params],
        (np.zeros(rest.size), pick(last)),
        guess,
    )
    return out


def poisson_quantile(ell: Array, mu: Array) -> Array:
    """Return the quantile of ``Poisson(mu)`` at the level ``sigmoid(ell)``."""
    out = np.atleast_1d(_kernel("poisson_search")(ell, mu))
    sd = np.sqrt(np.maximum(mu, 0.0))
    moments = (mu, sd, 1.0 / np.maximum(sd, 1e-300))
    return _finish(out, ell, (mu,), poisson, inf, moments).reshape(np.broadcast(ell, mu).shape)


def binomial_quantile(ell: Array, n: Array, p: Array) -> Array:
    """Return the quantile of ``Binomial(n, p)`` at the level ``sigmoid(ell)``."""
    out = np.atleast_1d(_kernel("binomial_search")(ell, n, p))
    sd = np.sqrt(np.maximum(n * p * (1 - p), 0.0))
    moments = (n * p, sd, (1 - 2 * p) / np.maximum(sd, 1e-300))
    return _finish(out, ell, (n, p), binomial, n, moments).reshape(np.broadcast(ell, n, p).shape)


def negative_binomial_quantile(ell: Array, n: Array, p: Array) -> Array:
    """Return the quantile of ``NegativeBinomial(n, p)`` at the level ``sigmoid(ell)``."""
    out = np.atleast_1d(_kernel("negative_binomial_search")(ell, n, p))
    q = np.maximum(1.0 - p, 0.0)
    sd = np.sqrt(n * q) / p
    moments = (n * q / p, sd, (2.0 - p) / np.maximum(np.sqrt(n * q), 1e-300))
    shape = np.broadcast(ell, n, p).shape
    return _finish(out, ell, (n, p), negative_binomial, inf, moments).reshape(shape)


def categorical_quantile(ell: Array, p: Array) -> Array:
    """Return the category at the level ``sigmoid(ell)``, in the order of the last axis of `p`.

    Categories are passed from the first on while the level is in the lower half, and from the
    last back while it is in the upper half, so that rare categories at both ends keep their share.
    """
    count = p.shape[-1]
    shape = np.broadcast_shapes(np.shape(ell), p.shape[:-1])
    low_level, high_level = sp.expit(ell), sp.expit(-ell)
    up, below = np.zeros(shape), np.zeros(p.shape[:-1])
    down, above = np.full(shape, count - 1.0), np.zeros(p.shape[:-1])
    for j in range(count - 1):
        below = below + p[..., j]
        up += low_level > below
        above = above + p[..., count - 1 - j]
        down -= high_level >= above
    return np.where(np.isnan(ell), np.nan, np.where(ell <= 0, up, np.maximum(down, 0.0)))
