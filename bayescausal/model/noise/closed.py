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
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special as sp

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BRACKETS", "CLOSED", "NUMERIC", "NUMPY", "symbolic"]

LOG2 = float(np.log(2.0))
SQRT2 = float(np.sqrt(2.0))


def _softplus(x: Any) -> Any:
    return -sp.log_expit(-x)


#: The elementary functions on NumPy arrays.
NUMPY = SimpleNamespace(
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
)


@cache
def symbolic() -> SimpleNamespace:
    """Return the elementary functions on PyTensor variables."""
    import pytensor.tensor as pt

    return SimpleNamespace(
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
    )


def _uniform(xp: Any, ell: Any, lower: Any, upper: Any) -> Any:
    width = upper - lower
    return xp.where(ell < 0, lower + width * xp.sigmoid(ell), upper - width * xp.sigmoid(-ell))


def _exponential(xp: Any, ell: Any, scale: Any) -> Any:
    return scale * xp.softplus(ell)


def _weibull(xp: Any, ell: Any, alpha: Any, beta: Any) -> Any:
    return beta * xp.softplus(ell) ** (1.0 / alpha)


def _pareto(xp: Any, ell: Any, alpha: Any, m: Any) -> Any:
    return m * xp.exp(xp.softplus(ell) / alpha)


def _kumaraswamy(xp: Any, ell: Any, a: Any, b: Any) -> Any:
    return (-xp.expm1(-xp.softplus(ell) / b)) ** (1.0 / a)


def _gumbel(xp: Any, ell: Any, mu: Any, beta: Any) -> Any:
    # -log(softplus(-ell)), which is ell itself once exp(-ell) is below rounding
    inner = xp.where(ell > 40, ell, -xp.log(xp.softplus(-xp.where(ell > 40, 0.0 * ell, ell))))
    return mu + beta * inner


def _logistic(xp: Any, ell: Any, mu: Any, s: Any) -> Any:
    return mu + s * ell


def _laplace(xp: Any, ell: Any, mu: Any, b: Any) -> Any:
    return mu + b * xp.where(ell < 0, LOG2 - xp.softplus(-ell), xp.softplus(ell) - LOG2)


def _asymmetric_laplace(xp: Any, ell: Any, b: Any, kappa: Any, mu: Any) -> Any:
    log_u, log_s = -xp.softplus(-ell), -xp.softplus(ell)
    below = log_u + xp.log1p(1.0 / kappa**2)
    above = log_s + xp.log1p(kappa**2)
    return mu + xp.where(below < 0, below * kappa, -above / kappa) / b


def _cauchy(xp: Any, ell: Any, alpha: Any, beta: Any) -> Any:
    tail = beta / xp.tan(np.pi * xp.sigmoid(xp.where(ell < 0, ell, -ell)))
    return alpha + xp.where(ell < 0, -tail, tail)


def _half_cauchy(xp: Any, ell: Any, beta: Any) -> Any:
    half = xp.tan(0.5 * np.pi * xp.sigmoid(xp.where(ell < 0, ell, -ell)))
    return beta * xp.where(ell < 0, half, 1.0 / half)


def _half_normal(xp: Any, ell: Any, loc: Any, sigma: Any) -> Any:
    near = SQRT2 * xp.erfinv(xp.sigmoid(xp.where(ell < 0, ell, 0.0 * ell)))
    return loc + sigma * xp.where(ell < 0, near, -xp.ndtri_exp(-xp.softplus(ell) - LOG2))


def _moyal(xp: Any, ell: Any, mu: Any, sigma: Any) -> Any:
    near = SQRT2 * xp.erfinv(xp.sigmoid(xp.where(ell > 0, -ell, 0.0 * ell)))
    w = xp.where(ell > 0, near, -xp.ndtri_exp(-xp.softplus(-ell) - LOG2))
    return mu - 2.0 * sigma * xp.log(w)


def _triangular(xp: Any, ell: Any, lower: Any, mode: Any, upper: Any) -> Any:
    width = upper - lower
    left = xp.sigmoid(ell) * width <= mode - lower
    return xp.where(
        left,
        lower + xp.sqrt(xp.sigmoid(ell) * width * (mode - lower)),
        upper - xp.sqrt(xp.sigmoid(-ell) * width * (upper - mode)),
    )


def _geometric(xp: Any, ell: Any, p: Any) -> Any:
    return xp.maximum(1.0, xp.ceil(-xp.softplus(ell) / xp.log1p(-p)))


def _discrete_weibull(xp: Any, ell: Any, q: Any, beta: Any) -> Any:
    return xp.maximum(0.0, xp.ceil((-xp.softplus(ell) / xp.log(q)) ** (1.0 / beta)) - 1.0)


def _discrete_uniform(xp: Any, ell: Any, lower: Any, upper: Any) -> Any:
    count = upper - lower + 1.0
    low = lower + xp.maximum(0.0, xp.ceil(count * xp.sigmoid(ell)) - 1.0)
    high = xp.maximum(lower * 1.0, upper - xp.floor(count * xp.sigmoid(-ell)))
    return xp.where(ell < 0, low, high)


#: Family -> quantile as a function of (namespace, logistic noise, parameters).
CLOSED: dict[str, Callable[..., Any]] = {
    "AsymmetricLaplace": _asymmetric_laplace,
    "Cauchy": _cauchy,
    "DiscreteUniform": _discrete_uniform,
    "DiscreteWeibull": _discrete_weibull,
    "Exponential": _exponential,
    "Geometric": _geometric,
    "Gumbel": _gumbel,
    "HalfCauchy": _half_cauchy,
    "HalfNormal": _half_normal,
    "Kumaraswamy": _kumaraswamy,
    "Laplace": _laplace,
    "Logistic": _logistic,
    "Moyal": _moyal,
    "Pareto": _pareto,
    "Triangular": _triangular,
    "Uniform": _uniform,
    "Weibull": _weibull,
}


# ------------------------------------------------ quantiles that need a special function


def _two_sided(ell: np.ndarray, low: Callable[..., Any], high: Callable[..., Any]) -> np.ndarray:
    """Evaluate `low` at ``sigmoid(ell)`` where ell <= 0, else `high` at ``sigmoid(-ell)``."""
    level = sp.expit(-np.abs(ell))
    value = np.where(
        ell <= 0, low(np.where(ell <= 0, level, 0.5)), high(np.where(ell > 0, level, 0.5))
    )
    return np.where(np.isnan(ell), np.nan, value)


def _normal(ell: np.ndarray, mu: Any, sigma: Any) -> np.ndarray:
    z = sp.ndtri_exp(sp.log_expit(-np.abs(ell)))
    return mu + sigma * np.where(ell <= 0, z, -z)


def _log_normal(ell: np.ndarray, mu: Any, sigma: Any) -> np.ndarray:
    return np.exp(_normal(ell, mu, sigma))


def _student_t(ell: np.ndarray, nu: Any, mu: Any, sigma: Any) -> np.ndarray:
    z = sp.stdtrit(nu, sp.expit(-np.abs(ell)))
    return mu + sigma * np.where(ell <= 0, z, -z)


def _gamma(ell: np.ndarray, alpha: Any, scale: Any) -> np.ndarray:
    low = lambda u: sp.gammaincinv(alpha, u)  # noqa: E731
    return scale * _two_sided(ell, low, lambda s: sp.gammainccinv(alpha, s))


def _inverse_gamma(ell: np.ndarray, alpha: Any, beta: Any) -> np.ndarray:
    low = lambda u: sp.gammainccinv(alpha, u)  # noqa: E731
    return beta / _two_sided(ell, low, lambda s: sp.gammaincinv(alpha, s))


def _beta(ell: np.ndarray, alpha: Any, beta: Any) -> np.ndarray:
    low = lambda u: sp.betaincinv(alpha, beta, u)  # noqa: E731
    return _two_sided(ell, low, lambda s: sp.betainccinv(alpha, beta, s))


def _half_student_t(ell: np.ndarray, nu: Any, sigma: Any) -> np.ndarray:
    def near(u: np.ndarray) -> np.ndarray:
        share = sp.betaincinv(0.5, 0.5 * nu, u)
        return np.sqrt(nu * share / (1.0 - share))

    return sigma * _two_sided(ell, near, lambda s: -sp.stdtrit(nu, 0.5 * s))


def _skew_student_t(ell: np.ndarray, a: Any, b: Any, mu: Any, sigma: Any) -> np.ndarray:
    def score(share: np.ndarray) -> np.ndarray:
        return (2.0 * share - 1.0) * np.sqrt(a + b) / (2.0 * np.sqrt(share * (1.0 - share)))

    low = lambda u: score(sp.betaincinv(a, b, u))  # noqa: E731
    return mu + sigma * _two_sided(ell, low, lambda s: -score(sp.betaincinv(b, a, s)))


#: Family -> quantile as a function of (logistic noise, parameters), NumPy only.
NUMERIC: dict[str, Callable[..., np.ndarray]] = {
    "Beta": _beta,
    "Gamma": _gamma,
    "HalfStudentT": _half_student_t,
    "InverseGamma": _inverse_gamma,
    "LogNormal": _log_normal,
    "Normal": _normal,
    "SkewStudentT": _skew_student_t,
    "StudentT": _student_t,
}


# -------------------------------------------------------- what a quantile must lie between


def _skew_normal_bracket(ell: np.ndarray, mu: Any, sigma: Any, alpha: Any) -> Any:
    """A positive skew moves a normal to the right, a half normal being the limit."""
    normal = _normal(ell, mu, sigma)
    right = _half_normal(NUMPY, ell, 0.0 * alpha, sigma)
    left = -_half_normal(NUMPY, -ell, 0.0 * alpha, sigma)
    return np.where(alpha >= 0, normal, mu + left), np.where(alpha >= 0, mu + right, normal)


def _ex_gaussian_bracket(ell: np.ndarray, mu: Any, sigma: Any, nu: Any) -> Any:
    """A sum is above its normal part, and exceeds ``a + b`` no oftener than one part does."""
    log_s = -_softplus(ell) - LOG2
    half = log_s - np.log1p(-np.exp(log_s))
    return _normal(ell, mu, sigma), _normal(-half, mu, sigma) - nu * log_s


#: Family -> two values that enclose the quantile, for families that are searched.
BRACKETS: dict[str, Callable[..., Any]] = {
    "ExGaussian": _ex_gaussian_bracket,
    "SkewNormal": _skew_normal_bracket,
}
