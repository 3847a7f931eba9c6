"""The table of univariate families: what is known of each, in one place.

A family needs both tails of its distribution function on the log scale; everything else about its
noise follows from them. What is known beside the tails makes it faster:

* ``closed``: the quantile in closed form, written once for NumPy and PyTensor;
* ``quantile``: the quantile by a special function or a compiled loop;
* ``bracket``: two values that enclose the quantile, which is otherwise searched on the whole line.

A family of integers says in ``support`` where its values begin and end. How a family is added:
``docs/howto/new_distribution.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from numpy import inf, maximum, minimum

from bayescausal.model.noise.families import closed, continuous, counts, times

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array

    type Pair = tuple[Array, Array]
    type Ends = tuple[Array | float, Array | float]

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True)
class Family:
    """What is known of a univariate family. Parameters come in the order of PyMC's operation.

    Parameters
    ----------
    tails : callable
        ``(x, *parameters) -> (log F(x), log S(x))``, for arrays that broadcast.
    closed : callable, optional
        ``(xp, ell, *parameters) -> quantile`` at the level ``sigmoid(ell)``; `xp` is NumPy or
        PyTensor.
    quantile : callable, optional
        ``(ell, *parameters) -> quantile``, for arrays.
    bracket : callable, optional
        ``(ell, *parameters) -> (low, high)``, between which the quantile lies.
    support : callable, optional
        Of a family of integers: ``(*parameters) -> (first, last)``.
    cores : tuple of int, optional
        Trailing axes of each parameter, where a parameter is itself a vector.
    """

    tails: Callable[..., Pair]
    closed: Callable[..., Any] | None = None
    quantile: Callable[..., Array] | None = None
    bracket: Callable[..., Pair] | None = None
    support: Callable[..., Ends] | None = None
    cores: tuple[int, ...] | None = None

    @cached_property
    def core_ndims(self) -> tuple[int, ...]:
        """Trailing axes of each parameter: none, unless `cores` says so."""
        return self.cores or (0,) * (self.tails.__code__.co_argcount - 1)


#: Families by the name that PyMC prints.
FAMILIES: dict[str, Family] = {
    # the whole line
    "AsymmetricLaplace": Family(continuous.asymmetric_laplace, closed=closed.asymmetric_laplace),
    "Cauchy": Family(continuous.cauchy, closed=closed.cauchy),
    "ExGaussian": Family(continuous.ex_gaussian, bracket=closed.ex_gaussian_bracket),
    "Gumbel": Family(continuous.gumbel, closed=closed.gumbel),
    "Laplace": Family(continuous.laplace, closed=closed.laplace),
    "Logistic": Family(continuous.logistic, closed=closed.logistic),
    "Moyal": Family(continuous.moyal, closed=closed.moyal),
    "Normal": Family(continuous.normal, quantile=closed.normal),
    "SkewNormal": Family(continuous.skew_normal, bracket=closed.skew_normal_bracket),
    "SkewStudentT": Family(continuous.skew_student_t, quantile=closed.skew_student_t),
    "StudentT": Family(continuous.student_t, quantile=closed.student_t),
    # the positive half
    "Exponential": Family(continuous.exponential, closed=closed.exponential),
    "Gamma": Family(continuous.gamma, quantile=closed.gamma),
    "HalfCauchy": Family(continuous.half_cauchy, closed=closed.half_cauchy),
    "HalfNormal": Family(continuous.half_normal, closed=closed.half_normal),
    "HalfStudentT": Family(continuous.half_student_t, quantile=closed.half_student_t),
    "InverseGamma": Family(continuous.inverse_gamma, quantile=closed.inverse_gamma),
    "LogLogistic": Family(times.log_logistic, quantile=times.log_logistic_quantile),
    "LogNormal": Family(continuous.log_normal, quantile=closed.log_normal),
    "Pareto": Family(continuous.pareto, closed=closed.pareto),
    "PiecewiseExponential": Family(
        times.piecewise_exponential,
        quantile=times.piecewise_exponential_quantile,
        cores=(0, 1, 1),
    ),
    "Rice": Family(continuous.rice),
    "Wald": Family(continuous.wald),
    "Weibull": Family(continuous.weibull, closed=closed.weibull),
    # bounded
    "Beta": Family(continuous.beta, quantile=closed.beta),
    "Interpolated": Family(continuous.interpolated, cores=(1, 1, 1)),
    "Kumaraswamy": Family(continuous.kumaraswamy, closed=closed.kumaraswamy),
    "Triangular": Family(continuous.triangular, closed=closed.triangular),
    "Uniform": Family(continuous.uniform, closed=closed.uniform),
    "VonMises": Family(continuous.von_mises),
    # counts and categories
    "Bernoulli": Family(counts.bernoulli, support=lambda p: (0.0, 1.0)),
    "BetaBinomial": Family(counts.beta_binomial, support=lambda n, alpha, beta: (0.0, n)),
    "Binomial": Family(
        counts.binomial, quantile=counts.binomial_quantile, support=lambda n, p: (0.0, n)
    ),
    "Categorical": Family(
        counts.categorical,
        quantile=counts.categorical_quantile,
        support=lambda p: (0.0, p.shape[-1] - 1.0),
        cores=(1,),
    ),
    "DiscreteUniform": Family(
        counts.discrete_uniform,
        closed=closed.discrete_uniform,
        support=lambda lower, upper: (lower, upper),
    ),
    "DiscreteWeibull": Family(
        counts.discrete_weibull, closed=closed.discrete_weibull, support=lambda q, beta: (0.0, inf)
    ),
    "Geometric": Family(counts.geometric, closed=closed.geometric, support=lambda p: (1.0, inf)),
    "HyperGeometric": Family(
        counts.hypergeometric, support=lambda good, bad, n: (maximum(0, n - bad), minimum(good, n))
    ),
    "NegativeBinomial": Family(
        counts.negative_binomial,
        quantile=counts.negative_binomial_quantile,
        support=lambda n, p: (0.0, inf),
    ),
    "Poisson": Family(
        counts.poisson, quantile=counts.poisson_quantile, support=lambda mu: (0.0, inf)
    ),
}
