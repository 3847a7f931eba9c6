"""Quantiles in closed form, written once for NumPy and for PyTensor.

A continuous law with distribution function ``F`` is a deterministic function of a standard
logistic variable ``ell`` (the logit of a uniform quantile level):

    ``v = F^-1(u)``, with ``u = sigmoid(ell)`` and ``1 - u = sigmoid(-ell)``.

Each function below is written in whichever of ``u`` and ``1 - u`` is small, so that it is exact in
both tails; for instance the exponential needs only ``-log(1 - u) = softplus(ell)``.

The first argument ``xp`` is a namespace of elementary functions, either :data:`NUMPY` or the
symbolic one made by :func:`symbolic`, so that the same lines serve numerical inversion inside
truncated laws and differentiable graphs.

When it fails: nothing here checks parameters; impossible ones give NaN.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
from scipy import special as sp

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array, ArrayNamespace

    type Pair = tuple[Array, Array]
    type Values = Array | TensorVariable

__all__ = ["NUMPY", "symbolic"]

LOG2 = float(np.log(2.0))
SQRT2 = float(np.sqrt(2.0))


def _softplus(x: Array) -> Array:
    return -sp.log_expit(-x)


#: The elementary functions on NumPy arrays.
NUMPY = cast(
    "ArrayNamespace",
    SimpleNamespace(
        where=np.where,
        exp=np.exp,
        log=np.log,
        log1p=np.log1p,
        expm1=np.expm1,
        sqrt=np.sqrt,
        tan=np.tan,
        erfinv=sp.erfinv,
        ndtri_exp=sp.ndtri_exp,
        sigmoid=sp.expit,
        softplus=_softplus,
        maximum=np.maximum,
        ceil=np.ceil,
        floor=np.floor,
    ),
)


@cache
def symbolic() -> ArrayNamespace:
    """Return the elementary functions on PyTensor variables."""
    import pytensor.tensor as pt

    return cast(
        "ArrayNamespace",
        SimpleNamespace(
            where=pt.switch,
            exp=pt.exp,
            log=pt.log,
            log1p=pt.log1p,
            expm1=pt.expm1,
            sqrt=pt.sqrt,
            tan=pt.tan,
            erfinv=pt.erfinv,
            ndtri_exp=pt.ndtri_exp,
            sigmoid=pt.sigmoid,
            softplus=pt.softplus,
            maximum=pt.maximum,
            ceil=pt.ceil,
            floor=pt.floor,
        ),
    )


def uniform(xp: ArrayNamespace, ell: Values, lower: Values, upper: Values) -> Values:
    width = upper - lower
    return xp.where(ell < 0, lower + width * xp.sigmoid(ell), upper - width * xp.sigmoid(-ell))


def exponential(xp: ArrayNamespace, ell: Values, scale: Values) -> Values:
    return scale * xp.softplus(ell)


def weibull(xp: ArrayNamespace, ell: Values, alpha: Values, beta: Values) -> Values:
    return beta * xp.softplus(ell) ** (1.0 / alpha)


def pareto(xp: ArrayNamespace, ell: Values, alpha: Values, m: Values) -> Values:
    return m * xp.exp(xp.softplus(ell) / alpha)


def kumaraswamy(xp: ArrayNamespace, ell: Values, a: Values, b: Values) -> Values:
    return (-xp.expm1(-xp.softplus(ell) / b)) ** (1.0 / a)


def gumbel(xp: ArrayNamespace, ell: Values, mu: Values, beta: Values) -> Values:
    # -log(softplus(-ell)), which is ell itself once exp(-ell) is below rounding
    inner = xp.where(ell > 40, ell, -xp.log(xp.softplus(-xp.where(ell > 40, 0.0 * ell, ell))))
    return mu + beta * inner


def logistic(xp: ArrayNamespace, ell: Values, mu: Values, s: Values) -> Values:
    return mu + s * ell


def laplace(xp: ArrayNamespace, ell: Values, mu: Values, b: Values) -> Values:
    return mu + b * xp.where(ell < 0, LOG2 - xp.softplus(-ell), xp.softplus(ell) - LOG2)


def asymmetric_laplace(
    xp: ArrayNamespace, ell: Values, b: Values, kappa: Values, mu: Values
) -> Values:
    log_u, log_s = -xp.softplus(-ell), -xp.softplus(ell)
    below = log_u + xp.log1p(1.0 / kappa**2)
    above = log_s + xp.log1p(kappa**2)
    return mu + xp.where(below < 0, below * kappa, -above / kappa) / b


def cauchy(xp: ArrayNamespace, ell: Values, alpha: Values, beta: Values) -> Values:
    tail = beta / xp.tan(np.pi * xp.sigmoid(xp.where(ell < 0, ell, -ell)))
    return alpha + xp.where(ell < 0, -tail, tail)


def half_cauchy(xp: ArrayNamespace, ell: Values, beta: Values) -> Values:
    half = xp.tan(0.5 * np.pi * xp.sigmoid(xp.where(ell < 0, ell, -ell)))
    return beta * xp.where(ell < 0, half, 1.0 / half)


def half_normal(xp: ArrayNamespace, ell: Values, loc: Values, sigma: Values) -> Values:
    near = SQRT2 * xp.erfinv(xp.sigmoid(xp.where(ell < 0, ell, 0.0 * ell)))
    return loc + sigma * xp.where(ell < 0, near, -xp.ndtri_exp(-xp.softplus(ell) - LOG2))


def moyal(xp: ArrayNamespace, ell: Values, mu: Values, sigma: Values) -> Values:
    near = SQRT2 * xp.erfinv(xp.sigmoid(xp.where(ell > 0, -ell, 0.0 * ell)))
    w = xp.where(ell > 0, near, -xp.ndtri_exp(-xp.softplus(-ell) - LOG2))
    return mu - 2.0 * sigma * xp.log(w)


def triangular(
    xp: ArrayNamespace, ell: Values, lower: Values, mode: Values, upper: Values
) -> Values:
    width = upper - lower
    left = xp.sigmoid(ell) * width <= mode - lower
    return xp.where(
        left,
        lower + xp.sqrt(xp.sigmoid(ell) * width * (mode - lower)),
        upper - xp.sqrt(xp.sigmoid(-ell) * width * (upper - mode)),
    )


def geometric(xp: ArrayNamespace, ell: Values, p: Values) -> Values:
    return xp.maximum(1.0, xp.ceil(-xp.softplus(ell) / xp.log1p(-p)))


def discrete_weibull(xp: ArrayNamespace, ell: Values, q: Values, beta: Values) -> Values:
    return xp.maximum(0.0, xp.ceil((-xp.softplus(ell) / xp.log(q)) ** (1.0 / beta)) - 1.0)


def discrete_uniform(xp: ArrayNamespace, ell: Values, lower: Values, upper: Values) -> Values:
    count = upper - lower + 1.0
    low = lower + xp.maximum(0.0, xp.ceil(count * xp.sigmoid(ell)) - 1.0)
    high = xp.maximum(lower * 1.0, upper - xp.floor(count * xp.sigmoid(-ell)))
    return xp.where(ell < 0, low, high)


# ------------------------------------------------ quantiles that need a special function


def _two_sided(ell: Array, low: Callable[[Array], Array], high: Callable[[Array], Array]) -> Array:
    """Evaluate `low` at ``sigmoid(ell)`` where ell <= 0, else `high` at ``sigmoid(-ell)``."""
    level = sp.expit(-np.abs(ell))
    value = np.where(
        ell <= 0, low(np.where(ell <= 0, level, 0.5)), high(np.where(ell > 0, level, 0.5))
    )
    return np.where(np.isnan(ell), np.nan, value)


def normal(ell: Array, mu: Array, sigma: Array) -> Array:
    z = sp.ndtri_exp(sp.log_expit(-np.abs(ell)))
    return mu + sigma * np.where(ell <= 0, z, -z)


def log_normal(ell: Array, mu: Array, sigma: Array) -> Array:
    return np.exp(normal(ell, mu, sigma))


def student_t(ell: Array, nu: Array, mu: Array, sigma: Array) -> Array:
    z = sp.stdtrit(nu, sp.expit(-np.abs(ell)))
    return mu + sigma * np.where(ell <= 0, z, -z)


def gamma(ell: Array, alpha: Array, scale: Array) -> Array:
    low = lambda u: sp.gammaincinv(alpha, u)  # noqa: E731
    return scale * _two_sided(ell, low, lambda s: sp.gammainccinv(alpha, s))


def inverse_gamma(ell: Array, alpha: Array, beta: Array) -> Array:
    low = lambda u: sp.gammainccinv(alpha, u)  # noqa: E731
    return beta / _two_sided(ell, low, lambda s: sp.gammaincinv(alpha, s))


def beta(ell: Array, alpha: Array, beta: Array) -> Array:
    low = lambda u: sp.betaincinv(alpha, beta, u)  # noqa: E731
    return _two_sided(ell, low, lambda s: sp.betainccinv(alpha, beta, s))


def half_student_t(ell: Array, nu: Array, sigma: Array) -> Array:
    def near(u: Array) -> Array:
        share = sp.betaincinv(0.5, 0.5 * nu, u)
        return np.sqrt(nu * share / (1.0 - share))

    return sigma * _two_sided(ell, near, lambda s: -sp.stdtrit(nu, 0.5 * s))


def skew_student_t(ell: Array, a: Array, b: Array, mu: Array, sigma: Array) -> Array:
    def score(share: Array) -> Array:
        return (2.0 * share - 1.0) * np.sqrt(a + b) / (2.0 * np.sqrt(share * (1.0 - share)))

    low = lambda u: score(sp.betaincinv(a, b, u))  # noqa: E731
    return mu + sigma * _two_sided(ell, low, lambda s: -score(sp.betaincinv(b, a, s)))


# -------------------------------------------------------- what a quantile must lie between


def skew_normal_bracket(ell: Array, mu: Array, sigma: Array, alpha: Array) -> Pair:
    """A positive skew moves a normal to the right, a half normal being the limit."""
    middle = normal(ell, mu, sigma)
    right = half_normal(NUMPY, ell, 0.0 * alpha, sigma)
    left = -half_normal(NUMPY, -ell, 0.0 * alpha, sigma)
    return np.where(alpha >= 0, middle, mu + left), np.where(alpha >= 0, mu + right, middle)


def ex_gaussian_bracket(ell: Array, mu: Array, sigma: Array, nu: Array) -> Pair:
    """A sum is above its normal part, and exceeds ``a + b`` no oftener than one part does."""
    log_s = -_softplus(ell) - LOG2
    half = log_s - np.log1p(-np.exp(log_s))
    return normal(ell, mu, sigma), normal(-half, mu, sigma) - nu * log_s
