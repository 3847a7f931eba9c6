"""The mean of a random variable given its parents, where it is known exactly.

``E[v | parents]`` is what an expected outcome is made of: averaged over units it needs no noise of
the outcome itself, only of what lies upstream. It is *not* the outcome at its parents' means.

PyMC knows the mean of most families; this adds the truncated, hurdle, censored and interpolated
ones, takes mixtures apart so that each component may use what is here, and says which means do not
exist. Three answers are possible: an expression; ``None`` (the mean exists, its closed form does
not: average over noise); or an error (it does not exist, or categories have no mean).

When it fails: a mean that exists only for some parameter values (StudentT with ``nu <= 1``, Pareto
and InverseGamma with ``alpha <= 1``) is NaN where it does not exist.

References
----------
.. [1] N. L. Johnson, S. Kotz and N. Balakrishnan, *Continuous Univariate Distributions*, 2nd ed.,
   Wiley, 1994, volume 1, section 13.10 (truncated normal).
.. [2] J. Tobin, "Estimation of relationships for limited dependent variables", Econometrica 26
   (1958) 24-36 (censored normal).
"""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.scalar as ps
import pytensor.tensor as pt
from pymc.distributions.censored import CensoredRV
from pymc.distributions.continuous import FlatRV, HalfFlatRV, InterpolatedRV, TruncatedNormalRV
from pymc.distributions.custom import CustomSymbolicDistRV
from pymc.distributions.distribution import DiracDeltaRV
from pymc.distributions.mixture import _BaseMixtureRV
from pymc.distributions.moments.means import _mean as _pymc_mean
from pymc.distributions.multivariate import CARRV, LKJCorrRV, MatrixNormalRV, ZeroSumNormalRV
from pymc.distributions.shape_utils import maybe_resize, rv_size_is_none
from pymc.distributions.timeseries import RandomWalkRV
from pymc.distributions.truncated import TruncatedRV
from pymc.exceptions import UndefinedMomentException
from pytensor.tensor.random.basic import (
    CategoricalRV,
    CauchyRV,
    ExponentialRV,
    GeometricRV,
    NegBinomialRV,
    NormalRV,
    PoissonRV,
    StudentTRV,
    VonMisesRV,
)

from bayescausal.model.noise.ops import double
from bayescausal.model.noise.read_off import family_of, inner_expression, is_random, random_input
from bayescausal.types import UndefinedEffectError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Variable
    from pytensor.graph.op import Op
    from pytensor.tensor.variable import TensorVariable

__all__ = ["mean_of", "mean_rule"]

_SQRT_2PI = float(np.sqrt(2 * np.pi))


def mean_of(rv: TensorVariable) -> TensorVariable | None:
    """Return the exact mean of a random variable given its parents.

    `rv`: a random variable of a PyMC model, or one made by ``.dist``.

    Examples
    --------
    >>> import pymc as pm
    >>> from bayescausal.model.noise import mean_of
    >>> float(mean_of(pm.Gamma.dist(alpha=2.0, beta=4.0)).eval(mode="FAST_COMPILE"))
    0.5
    >>> mean_of(pm.LogitNormal.dist(0.0, 1.0)) is None
    True
    """
    return mean_rule(rv.owner.op, rv)


@singledispatch
def mean_rule(op: Op, rv: TensorVariable) -> TensorVariable | None:
    if family_of(rv) in ("Cauchy", "HalfCauchy"):
        raise _undefined(rv)
    try:
        value = _pymc_mean(op, rv, *_double_inputs(rv))
    except UndefinedMomentException as error:
        raise _undefined(rv) from error
    except NotImplementedError:
        return None
    return value if str(value.dtype).startswith("float") else value.astype("float64")


def _params(rv: TensorVariable) -> list[TensorVariable]:
    """Return the parameters of a random variable in double precision."""
    return [double(p) for p in rv.owner.op.dist_params(rv.owner)]


def _double_inputs(rv: TensorVariable) -> list[Any]:
    """Return all inputs of a random variable, its parameters in double precision."""
    node = rv.owner
    if getattr(node.op, "extended_signature", "") is None:
        return list(node.inputs)
    params = {id(p) for p in node.op.dist_params(node) if not is_random(p)}
    return [double(v) if id(v) in params else v for v in node.inputs]


def _undefined(rv: TensorVariable) -> UndefinedEffectError:
    family = family_of(rv)
    name = f"{rv.name!r} ~ {family}" if rv.name else family
    return UndefinedEffectError(
        f"The mean of {name} does not exist.",
        remedy="Ask for a quantile instead, bc.QTE(..., q=0.5), or for a probability, "
        "functional=bc.Probability(above=...).",
    )


def _size(rv: TensorVariable) -> TensorVariable | None:
    """Return the size argument of a random variable, None if it has none."""
    op, node = rv.owner.op, rv.owner
    return op.size_param(node) if hasattr(op, "size_param") else None


def _sized(rv: TensorVariable, value: TensorVariable) -> TensorVariable:
    size = _size(rv)
    return value if size is None else maybe_resize(value, size)


# ------------------------------------------------------------------- no mean, or not in closed form


@mean_rule.register(FlatRV)
@mean_rule.register(HalfFlatRV)
@mean_rule.register(CauchyRV)
def _no_mean(op: Op, rv: TensorVariable) -> None:
    raise _undefined(rv)


@mean_rule.register(CategoricalRV)
def _categories(op: Op, rv: TensorVariable) -> None:
    name = repr(rv.name) if rv.name else "this variable"
    raise UndefinedEffectError(
        f"The values of {name} are categories, which have no mean.",
        remedy="Ask for the probability of a category: functional=Probability(...).",
    )


@mean_rule.register(VonMisesRV)  # a mean direction, not the mean of the angle on [-pi, pi]
@mean_rule.register(CARRV)
@mean_rule.register(LKJCorrRV)
def _unknown(op: Op, rv: TensorVariable) -> None:
    return None


# ---------------------------------------------------------------------------------- own formulas


@mean_rule.register(StudentTRV)
def _student_t(op: Op, rv: TensorVariable) -> TensorVariable:
    nu, mu, _ = pt.broadcast_arrays(*_params(rv))
    return _sized(rv, pt.switch(nu > 1, mu, np.nan))


@mean_rule.register(MatrixNormalRV)
def _matrix_normal(op: Op, rv: TensorVariable) -> TensorVariable:
    mu = _params(rv)[0]
    size = _size(rv)
    if size is None or rv_size_is_none(size):
        return mu
    return pt.broadcast_to(mu, (*size, mu.shape[-2], mu.shape[-1]))


@mean_rule.register(ZeroSumNormalRV)
def _zero_sum(op: Op, rv: TensorVariable) -> TensorVariable:
    return pt.zeros(tuple(rv.shape))


def _truncated_normal_mean(
    mu: TensorVariable, sigma: TensorVariable, lower: TensorVariable, upper: TensorVariable
) -> TensorVariable:
    """Return ``mu + sigma (phi(a) - phi(b)) / (Phi(b) - Phi(a))``, by the smaller tail.

    Far out the ratio is that of two tiny numbers, so numerator and denominator are divided by the
    density at the bound nearer to the centre, which leaves Mills ratios.
    """
    a, b = (lower - mu) / sigma, (upper - mu) / sigma
    flip = pt.lt(-a, b)  # use symmetry so that the interval lies mostly below zero
    left, right = pt.switch(flip, -b, a), pt.switch(flip, -a, b)
    # phi(right) is the larger density when right <= 0; otherwise nothing underflows
    near = pt.switch(right < 0, right, 0.0)
    density_right = pt.switch(pt.isinf(right), 0.0, pt.exp(0.5 * (near - right) * (near + right)))
    density_left = pt.switch(pt.isinf(left), 0.0, pt.exp(0.5 * (near - left) * (near + left)))
    half = 0.5 * near**2
    mass = pt.exp(half + _log_ndtr(right)) - pt.exp(half + _log_ndtr(left))
    standard = (density_left - density_right) / (_SQRT_2PI * mass)
    return mu + sigma * pt.switch(flip, -standard, standard)


def _log_ndtr(x: TensorVariable) -> TensorVariable:
    """Return ``log Phi(x)`` through erfcx, good in the far lower tail."""
    low = pt.minimum(x, 0.0)
    low = pt.switch(pt.isinf(low), -1.0, low)
    far = pt.log(0.5 * pt.erfcx(-low / np.sqrt(2.0))) - 0.5 * low**2
    far = pt.switch(pt.isinf(x), -np.inf, far)
    return pt.switch(x < 0, far, pt.log1p(-0.5 * pt.erfc(pt.maximum(x, 0.0) / np.sqrt(2.0))))


@mean_rule.register(TruncatedNormalRV)
def _truncated_normal(op: Op, rv: TensorVariable) -> TensorVariable:
    return _sized(rv, _truncated_normal_mean(*_params(rv)))


@mean_rule.register(TruncatedRV)
def _truncated(op: Op, rv: TensorVariable) -> TensorVariable | None:
    *inputs, lower, upper = rv.owner.inputs
    if not _infinite(upper):
        return None
    base = op.base_rv_op.make_node(*inputs).default_output()
    if isinstance(op.base_rv_op, ExponentialRV):  # memoryless
        (scale,) = _params(base)
        return _sized(base, pt.maximum(lower, 0.0) + scale)
    if isinstance(op.base_rv_op, GeometricRV):
        (p,) = _params(base)
        return _sized(base, pt.maximum(pt.ceil(lower), 1.0) - 1.0 + 1.0 / p)
    if not (_is_constant(lower) and np.all(np.asarray(lower.data) == 1)):
        return None
    if isinstance(op.base_rv_op, PoissonRV):  # E[X | X > 0]
        (mu,) = _params(base)
        return _sized(base, mu / -pt.expm1(-mu))
    if isinstance(op.base_rv_op, NegBinomialRV):
        n, p = _params(base)
        return _sized(base, n * (1.0 - p) / p / -pt.expm1(n * pt.log(p)))
    return None


def _is_constant(variable: Variable) -> bool:
    return hasattr(variable, "data") and variable.owner is None


def _infinite(bound: Variable) -> bool:
    return _is_constant(bound) and bool(np.all(np.isposinf(np.asarray(bound.data, float))))


@mean_rule.register(CensoredRV)
def _censored(op: Op, rv: TensorVariable) -> TensorVariable | None:
    base, lower, upper = rv.owner.inputs
    if not isinstance(base.owner.op, NormalRV):
        return None
    mu, sigma = _params(base)
    a, b = (lower - mu) / sigma, (upper - mu) / sigma
    # E[clip(z, a, b)] = b - int_a^b Phi, and int Phi = z Phi + phi
    below = pt.switch(pt.isinf(a), 0.0, _phi_integral(a))
    above = pt.switch(pt.isinf(b), 0.0, _phi_integral(-b))
    return _sized(base, mu + sigma * (below - above))


def _phi_integral(a: TensorVariable) -> TensorVariable:
    """Return ``E[max(a - Z, 0)] = a Phi(a) + phi(a)`` for a standard normal Z."""
    a = pt.switch(pt.isinf(a), 0.0, a)
    return a * pt.exp(_log_ndtr(a)) + pt.exp(-0.5 * a**2) / _SQRT_2PI


@mean_rule.register(InterpolatedRV)
def _interpolated(op: Op, rv: TensorVariable) -> TensorVariable:
    points, pdf, _ = _params(rv)
    points, pdf = pt.broadcast_arrays(points, pdf)
    x0, x1, f0, f1 = points[..., :-1], points[..., 1:], pdf[..., :-1], pdf[..., 1:]
    mass = 0.5 * (x1 - x0) * (f0 + f1)
    moment = (x1 - x0) * (x0 * (2 * f0 + f1) + x1 * (f0 + 2 * f1)) / 6.0
    return _sized(rv, moment.sum(axis=-1) / mass.sum(axis=-1))


@mean_rule.register(DiracDeltaRV)
def _dirac(op: Op, rv: TensorVariable) -> TensorVariable:
    return _sized(rv, double(rv.owner.inputs[-1]))


@mean_rule.register(_BaseMixtureRV)
def _mixture(op: Op, rv: TensorVariable) -> TensorVariable | None:
    _, weights, *components = rv.owner.inputs
    means = [mean_of(component) for component in components]
    if any(value is None for value in means):
        return None
    axis = -op.ndim_supp - 1
    stacked = means[0] if len(means) == 1 else pt.stack(means, axis=axis)
    weights = pt.shape_padright(weights, op.ndim_supp)
    return pt.sum(weights * stacked, axis=axis)


@mean_rule.register(RandomWalkRV)
def _random_walk(op: Op, rv: TensorVariable) -> TensorVariable | None:
    parts = [mean_of(part) for part in rv.owner.inputs[:2]]
    if parts[0] is None or parts[1] is None:
        return None
    steps = pt.concatenate([parts[0], parts[1]], axis=0)
    return pt.moveaxis(pt.cumsum(steps, axis=0), 0, -op.ndim_supp)


@mean_rule.register(CustomSymbolicDistRV)
def _custom(op: Op, rv: TensorVariable) -> TensorVariable | None:
    if op.ndim_supp:
        return None
    return _mean_of_expression(inner_expression(rv), rv.owner.inputs)


def _mean_of_expression(
    expression: TensorVariable, given: Sequence[Variable]
) -> TensorVariable | None:
    """Return the mean of an affine function of one random variable, else None."""
    if is_random(expression) and expression not in given:
        return mean_of(expression)
    position = random_input(expression, given)
    if position is None:
        return None
    node = expression.owner
    scalar_op = node.op.scalar_op
    affine = isinstance(scalar_op, ps.Add | ps.Sub | ps.Mul | ps.Neg) or (
        isinstance(scalar_op, ps.TrueDiv) and position == 0
    )
    inner = _mean_of_expression(node.inputs[position], given) if affine else None
    if inner is None:
        return None
    inputs = list(node.inputs)
    inputs[position] = inner
    return node.op(*inputs)
