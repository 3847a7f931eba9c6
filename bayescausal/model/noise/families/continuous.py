"""Both tails of every continuous family, on the log scale.

A quantile that is to survive the tails needs ``log F(x)`` *and* ``log S(x) = log(1 - F(x))``,
each to full relative precision on its own side: ``1 - F`` is exactly zero long before ``S`` is.
The logit of the distribution function,

    ``logit F(x) = log F(x) - log S(x)``,

is then accurate over the whole line, from ``-700`` to ``+700`` and beyond, where the bare
quantile level ``F(x)`` has been one for long.

Every function here takes the value first and then the parameters of the PyMC random variable,
in its order, and returns the pair ``(log F, log S)``; all are NumPy and broadcast. A value below
the support gives ``(-inf, 0)``, above it ``(0, -inf)``.

When it fails: the von Mises distribution function is summed from a series, so its tails are
good to 1e-15 absolute only; scipy's incomplete gamma and beta functions underflow at 1e-308, so
values beyond that have an infinite logit (the evidence is, to the model, impossible).

References
----------
.. [1] N. M. Temme, *Special Functions*, Wiley, 1996, chapter 11 (incomplete gamma and beta).
.. [2] D. B. Owen, "Tables for computing bivariate normal probabilities", Annals of
   Mathematical Statistics 27 (1956) 1075-1090 (the skew normal's T function).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy import inf, pi
from scipy import special as sp

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array

    type Pair = tuple[Array, Array]

__all__ = ["between", "clamp", "log1mexp", "logdiffexp", "logsumexp", "pair"]

LOG2 = float(np.log(2.0))


# ------------------------------------------------------------------ arithmetic in logarithms


def log1mexp(x: Array) -> Array:
    """Return ``log(1 - exp(x))`` for ``x <= 0`` without cancellation."""
    x = np.minimum(x, 0.0)
    return np.where(x > -LOG2, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def logdiffexp(a: Array, b: Array) -> Array:
    """Return ``log(exp(a) - exp(b))`` for ``a >= b``, ``-inf`` where they are equal."""
    difference = np.where(np.isneginf(a) & np.isneginf(b), 0.0, b - a)
    return np.where(np.isneginf(a), -inf, a + log1mexp(difference))


def logsumexp(x: Array) -> Array:
    """Return ``log(sum(exp(x)))`` over the last axis."""
    top = x.max(axis=-1, keepdims=True)
    safe = np.where(np.isneginf(top), 0.0, top)
    return np.log(np.exp(x - safe).sum(axis=-1)) + safe[..., 0]


def pair(lower: Array, upper: Array) -> Pair:
    """Return the logarithms of two probabilities that sum to one.

    The smaller one is taken as it is, the larger from the complement of the smaller.
    """
    low_side = lower < upper
    small = np.where(low_side, lower, upper)
    log_small, log_large = np.log(small), np.log1p(-small)
    return np.where(low_side, log_small, log_large), np.where(low_side, log_large, log_small)


def between(start: Pair, end: Pair) -> Array:
    """Return ``log(F_end - F_start)`` from the side on which the two are small."""
    upper_half = start[0] > start[1]
    with np.errstate(invalid="ignore"):
        low = logdiffexp(end[0], np.minimum(start[0], end[0]))
        high = logdiffexp(start[1], np.minimum(end[1], start[1]))
    return np.where(upper_half, high, low)


def clamp(before: Array, done: Array, two: Pair) -> Pair:
    """Put in what is certain: nothing `before` the first value, everything once `done`."""
    log_f = np.where(before, -inf, np.where(done, 0.0, two[0]))
    return log_f, np.where(before, 0.0, np.where(done, -inf, two[1]))


def _from_survival(log_s: Array) -> Pair:
    return log1mexp(log_s), log_s


def _swap(two: Pair) -> Pair:
    return two[1], two[0]


# ------------------------------------------------------------------------- the whole line


def normal(x: Array, mu: Array, sigma: Array) -> Pair:
    """Return both log tails of ``Normal(mu, sigma)``."""
    z = (x - mu) / sigma
    return sp.log_ndtr(z), sp.log_ndtr(-z)


def logistic(x: Array, mu: Array, s: Array) -> Pair:
    """Return both log tails of ``Logistic(mu, s)``."""
    z = (x - mu) / s
    return sp.log_expit(z), sp.log_expit(-z)


def laplace(x: Array, mu: Array, b: Array) -> Pair:
    """Return both log tails of ``Laplace(mu, b)``."""
    z = (x - mu) / b
    small = 0.5 * np.exp(-np.abs(z))
    near, far = -np.abs(z) - LOG2, np.log1p(-small)
    return np.where(z < 0, near, far), np.where(z < 0, far, near)


def asymmetric_laplace(x: Array, b: Array, kappa: Array, mu: Array) -> Pair:
    """Return both log tails of ``AsymmetricLaplace(b, kappa, mu)``."""
    z = b * (x - mu)
    below = np.minimum(z, 0.0) / kappa - np.log1p(1.0 / kappa**2)
    above = -np.maximum(z, 0.0) * kappa - np.log1p(kappa**2)
    left = z < 0
    return np.where(left, below, log1mexp(above)), np.where(left, log1mexp(below), above)


def cauchy(x: Array, alpha: Array, beta: Array) -> Pair:
    """Return both log tails of ``Cauchy(alpha, beta)``."""
    z = (x - alpha) / beta
    return pair(np.arctan2(1.0, -z) / pi, np.arctan2(1.0, z) / pi)


def gumbel(x: Array, mu: Array, beta: Array) -> Pair:
    """Return both log tails of ``Gumbel(mu, beta)``: ``F = exp(-exp(-z))``."""
    return _swap(_from_survival(-np.exp(-(x - mu) / beta)))


def moyal(x: Array, mu: Array, sigma: Array) -> Pair:
    """Return both log tails of ``Moyal(mu, sigma)``: ``F = erfc(exp(-z / 2) / sqrt 2)``."""
    w = np.exp(-0.5 * (x - mu) / sigma)
    log_f = LOG2 + sp.log_ndtr(-w)
    return log_f, np.where(w < 1, np.log(sp.erf(w / np.sqrt(2.0))), log1mexp(log_f))


def student_t(x: Array, nu: Array, mu: Array, sigma: Array) -> Pair:
    """Return both log tails of ``StudentT(nu, mu, sigma)``."""
    z = (x - mu) / sigma
    small = sp.stdtr(nu, -np.abs(z))
    near, far = np.log(small), np.log1p(-small)
    return np.where(z < 0, near, far), np.where(z < 0, far, near)


def skew_student_t(x: Array, a: Array, b: Array, mu: Array, sigma: Array) -> Pair:
    """Return both log tails of ``SkewStudentT(a, b, mu, sigma)`` (Jones and Faddy)."""
    z = (x - mu) / sigma
    radius = np.sqrt(a + b + z**2)
    rest = (a + b) / (2.0 * radius * (radius + np.abs(z)))
    y, one_minus_y = np.where(z < 0, rest, 1 - rest), np.where(z < 0, 1 - rest, rest)
    return pair(sp.betainc(a, b, y), sp.betainc(b, a, one_minus_y))


def ex_gaussian(x: Array, mu: Array, sigma: Array, nu: Array) -> Pair:
    """Return both log tails of ``ExGaussian(mu, sigma, nu)``, a normal plus an exponential."""
    z, ratio = (x - mu) / sigma, sigma / nu
    # exp(-(x - mu)/nu + ratio^2/2) Phi(z - ratio), with the exponents kept together
    shifted = ratio * (0.5 * ratio - z) + sp.log_ndtr(z - ratio)
    log_s = np.logaddexp(sp.log_ndtr(-z), shifted)
    upper = z > 0
    log_f = logdiffexp(sp.log_ndtr(z), np.minimum(shifted, sp.log_ndtr(z)))
    return np.where(upper, log1mexp(log_s), log_f), np.where(upper, log_s, log1mexp(log_f))


def skew_normal(x: Array, mu: Array, sigma: Array, alpha: Array) -> Pair:
    """Return both log tails of ``SkewNormal(mu, sigma, alpha)``: ``Phi(z) - 2 T(z, alpha)``."""
    z, alpha = np.broadcast_arrays((x - mu) / sigma, alpha)
    t = 2.0 * sp.owens_t(z, alpha)
    below, above = sp.ndtr(z), sp.ndtr(-z)
    lower, upper = below - t, above + t
    log_f, log_s = pair(np.clip(lower, 0, 1), np.clip(upper, 0, 1))
    for side, log_tail, whole, part in ((1, log_f, below, lower), (-1, log_s, above, upper)):
        lost = (part < 1e-3 * whole) & np.isfinite(z)
        if lost.any():
            log_tail[lost] = _skew_normal_tail(side * z[lost], side * alpha[lost])
    return log_f, log_s


def _skew_normal_tail(z: Array, alpha: Array) -> Array:
    """Return ``log F(z)`` where ``Phi - 2T`` cancels, by quadrature of the log-concave density."""

    def log_density(t: Array, a: Array) -> Array:
        return LOG2 - 0.5 * t**2 - 0.5 * np.log(2 * pi) + sp.log_ndtr(a * t)

    # density'(z) / density(z): the rate at which the density falls off to the left
    hazard = np.exp(-0.5 * (alpha * z) ** 2 - 0.5 * np.log(2 * pi) - sp.log_ndtr(alpha * z))
    rate = -z + alpha * hazard
    return log_density(z, alpha) + _laguerre(
        lambda s: log_density(z[:, None] - s, alpha[:, None]) - log_density(z, alpha)[:, None], rate
    )


def _laguerre(log_ratio: Callable[[Array], Array], rate: Array) -> Array:
    """Return ``log int_0^inf exp(log_ratio(s)) ds`` for a concave log_ratio of slope -rate at 0."""
    nodes, weights = np.polynomial.legendre.leggauss(96)
    t = 20.0 * (nodes + 1.0)  # exp(-40) is below rounding
    values = np.exp(log_ratio(t / rate[:, None])) * (20.0 * weights)
    return np.log(values.sum(axis=-1)) - np.log(rate)


def von_mises(x: Array, mu: Array, kappa: Array) -> Pair:
    """Return both log tails of ``VonMises(mu, kappa)`` on ``[-pi, pi]``, cut at ``-pi``."""
    from scipy.stats import vonmises

    start = vonmises.cdf(-pi - mu, kappa)
    lower = np.clip(vonmises.cdf(np.clip(x, -pi, pi) - mu, kappa) - start, 0.0, 1.0)
    return pair(lower, 1.0 - lower)


# ---------------------------------------------------------------------- the positive half


def exponential(x: Array, scale: Array) -> Pair:
    """Return both log tails of the exponential with mean `scale`."""
    return _from_survival(-np.maximum(x, 0.0) / scale)


def weibull(x: Array, alpha: Array, beta: Array) -> Pair:
    """Return both log tails of ``Weibull(alpha, beta)``."""
    return _from_survival(-((np.maximum(x, 0.0) / beta) ** alpha))


def log_normal(x: Array, mu: Array, sigma: Array) -> Pair:
    """Return both log tails of ``LogNormal(mu, sigma)``."""
    return normal(np.log(np.maximum(x, 0.0)), mu, sigma)


def half_normal(x: Array, loc: Array, sigma: Array) -> Pair:
    """Return both log tails of ``HalfNormal(sigma)``, moved to `loc`."""
    z = np.maximum(x - loc, 0.0) / sigma
    log_s = LOG2 + sp.log_ndtr(-z)
    return np.where(z < 1, np.log(sp.erf(z / np.sqrt(2.0))), log1mexp(log_s)), log_s


def half_cauchy(x: Array, beta: Array) -> Pair:
    """Return both log tails of ``HalfCauchy(beta)``."""
    z = np.maximum(x, 0.0) / beta
    return pair(2 / pi * np.arctan2(z, 1.0), 2 / pi * np.arctan2(1.0, z))


def half_student_t(x: Array, nu: Array, sigma: Array) -> Pair:
    """Return both log tails of ``HalfStudentT(nu, sigma)``."""
    z = np.maximum(x, 0.0) / sigma
    return pair(sp.betainc(0.5, 0.5 * nu, z**2 / (nu + z**2)), 2.0 * sp.stdtr(nu, -z))


def gamma(x: Array, alpha: Array, scale: Array) -> Pair:
    """Return both log tails of the gamma with shape `alpha` and `scale`."""
    z = np.maximum(x, 0.0) / scale
    return pair(sp.gammainc(alpha, z), sp.gammaincc(alpha, z))


def inverse_gamma(x: Array, alpha: Array, beta: Array) -> Pair:
    """Return both log tails of ``InverseGamma(alpha, beta)``."""
    z = beta / np.maximum(x, 0.0)
    return pair(sp.gammaincc(alpha, z), sp.gammainc(alpha, z))


def wald(x: Array, mu: Array, lam: Array, alpha: Array) -> Pair:
    """Return both log tails of ``Wald(mu, lam)`` moved by `alpha` (inverse Gaussian)."""
    y = np.maximum(x - alpha, 0.0)
    root = np.sqrt(lam / y)
    first = root * (y / mu - 1.0)
    other = 2.0 * lam / mu + sp.log_ndtr(-root * (y / mu + 1.0))
    other = np.where(np.isposinf(root), -inf, other)
    log_f = np.logaddexp(sp.log_ndtr(first), other)
    log_s = logdiffexp(sp.log_ndtr(-first), np.minimum(other, sp.log_ndtr(-first)))
    upper = first > 0
    return np.where(upper, log1mexp(log_s), log_f), np.where(upper, log_s, log1mexp(log_f))


def rice(x: Array, b: Array, sigma: Array) -> Pair:
    """Return both log tails of ``Rice(b = nu / sigma, sigma)`` by the noncentral chi-square."""
    from scipy.stats import ncx2

    z = np.maximum(x, 0.0) / sigma
    return pair(ncx2.cdf(z**2, 2, b**2), ncx2.sf(z**2, 2, b**2))


# -------------------------------------------------------------------------- bounded support


def uniform(x: Array, lower: Array, upper: Array) -> Pair:
    """Return both log tails of ``Uniform(lower, upper)``."""
    width = upper - lower
    return pair(np.clip((x - lower) / width, 0, 1), np.clip((upper - x) / width, 0, 1))


def beta(x: Array, alpha: Array, beta: Array) -> Pair:
    """Return both log tails of ``Beta(alpha, beta)``."""
    x = np.clip(x, 0.0, 1.0)
    return pair(sp.betainc(alpha, beta, x), sp.betaincc(alpha, beta, x))


def kumaraswamy(x: Array, a: Array, b: Array) -> Pair:
    """Return both log tails of ``Kumaraswamy(a, b)``: ``S = (1 - x^a)^b``."""
    return _from_survival(b * np.log1p(-(np.clip(x, 0.0, 1.0) ** a)))


def triangular(x: Array, lower: Array, mode: Array, upper: Array) -> Pair:
    """Return both log tails of ``Triangular(lower, mode, upper)``."""
    x = np.clip(x, lower, upper)
    width = upper - lower
    below = (x - lower) ** 2 / (width * (mode - lower))
    above = (upper - x) ** 2 / (width * (upper - mode))
    left = x < mode
    return pair(np.where(left, below, 1 - above), np.where(left, 1 - below, above))


def pareto(x: Array, alpha: Array, m: Array) -> Pair:
    """Return both log tails of ``Pareto(alpha, m)``: ``S = (m / x)^alpha``."""
    return _from_survival(-alpha * np.log(np.maximum(x, m) / m))


def interpolated(x: Array, points: Array, pdf: Array, cdf: Array) -> Pair:
    """Return both log tails of a density that is linear between points.

    `points`, `pdf` and `cdf` carry the points on the last axis.
    """
    x = np.asarray(x)
    knots, density = np.broadcast_arrays(points, pdf)
    steps = np.diff(knots, axis=-1)
    mass = 0.5 * steps * (density[..., 1:] + density[..., :-1])
    x = np.clip(x, knots[..., 0], knots[..., -1])
    inside = np.clip((x[..., None] - knots[..., :-1]) / steps, 0.0, 1.0)
    rise = density[..., 1:] - density[..., :-1]
    below = steps * inside * (density[..., :-1] + 0.5 * rise * inside)
    rest = steps * (1 - inside) * (density[..., 1:] - 0.5 * rise * (1 - inside))
    total = mass.sum(axis=-1)
    return pair(below.sum(axis=-1) / total, rest.sum(axis=-1) / total)
