"""Vectors and time series as maps of standard normals.

A multivariate normal is an affine map of as many standard normals as it has entries, through the
lower Cholesky factor ``L`` of its covariance:

    ``v := mu + L U``,  ``U = L^-1 (v - mu)``.

The map is one of many (any rotation of U gives the same distribution), so the joint distribution
of one unit's vector in two worlds depends on the order of its entries when the covariance differs
between the worlds; where only the mean differs, it does not.

Random walks and autoregressions are maps of their innovations,

    ``v_t := v_{t-1} + e_t``,  ``v_t := c + rho_1 v_{t-1} + ... + rho_p v_{t-p} + sigma U_t``,

in the order of time. A zero-sum normal is the projection of normals; the noise along the direction
that is projected away has no effect, and inversion gives it as zero.

When it fails: a covariance that is not positive definite has no Cholesky factor; the Dirichlet
and the multinomial have no such map and are refused.

References
----------
.. [1] J. E. Gentle, *Random Number Generation and Monte Carlo Methods*, 2nd ed., Springer, 2003,
   section 5.3.
.. [2] J. D. Hamilton, *Time Series Analysis*, Princeton University Press, 1994, chapter 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.multivariate import MatrixNormalRV, ZeroSumNormalRV
from pymc.distributions.timeseries import AutoRegressiveRV, RandomWalkRV
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.type import TensorType

from bayescausal.model.noise.ops import silent_in_numba
from bayescausal.model.noise.read_off import family_of
from bayescausal.model.noise.rules import NoiseRule, noise_rule, rule_of
from bayescausal.types import NoiseFormError

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

    type Pair = tuple[TensorVariable, TensorVariable]

__all__ = ["Recursion", "solve", "times"]


# ------------------------------------------------------------------------------ affine maps


def times(chol: TensorVariable, u: TensorVariable) -> TensorVariable:
    """Return ``L u`` along the last axis of u; one matrix for all units is one product."""
    if chol.ndim == 2:
        return pt.matmul(u, chol.mT)
    return pt.matmul(chol, u[..., None])[..., 0]


def solve(chol: TensorVariable, rest: TensorVariable) -> TensorVariable:
    """Return ``L^-1 rest`` along the last axis."""
    if chol.ndim == 2 and rest.ndim >= 2:
        return pt.linalg.solve_triangular(chol, rest.mT, lower=True, b_ndim=2).mT
    return pt.linalg.solve_triangular(chol, rest, lower=True, b_ndim=1)


@rule_of.register(MvNormalRV)
def _mv_normal(op: Op, rv: TensorVariable, coupling: str) -> NoiseRule:
    mu, cov = op.dist_params(rv.owner)
    chol = pt.linalg.cholesky(cov)

    def interval(value: TensorVariable) -> Pair:
        z = solve(chol, value - mu)
        return z, z

    return NoiseRule(
        "MvNormal",
        "normal",
        False,
        1,
        lambda u: mu + times(chol, pt.as_tensor_variable(u)),
        interval,
    )


@rule_of.register(MatrixNormalRV)
def _matrix_normal(op: Op, rv: TensorVariable, coupling: str) -> NoiseRule:
    mu, rows, columns = op.dist_params(rv.owner)

    def forward(u: TensorVariable) -> TensorVariable:
        return mu + pt.matmul(pt.matmul(rows, u), columns.mT)

    def interval(value: TensorVariable) -> Pair:
        half = pt.linalg.solve_triangular(rows, value - mu, lower=True, b_ndim=2)
        z = pt.linalg.solve_triangular(columns, half.mT, lower=True, b_ndim=2).mT
        return z, z

    return NoiseRule("MatrixNormal", "normal", False, 2, forward, interval)


@rule_of.register(ZeroSumNormalRV)
def _zero_sum(op: Op, rv: TensorVariable, coupling: str) -> NoiseRule:
    sigma = op.dist_params(rv.owner)[0]
    axes = range(-op.ndim_supp, 0)

    def forward(u: TensorVariable) -> TensorVariable:
        u = pt.as_tensor_variable(u)
        for axis in axes:
            u = u - u.mean(axis=axis, keepdims=True)
        return sigma * u

    def interval(value: TensorVariable) -> Pair:
        z = value / sigma
        return z, z

    return NoiseRule("ZeroSumNormal", "normal", False, op.ndim_supp, forward, interval)


# ------------------------------------------------------------------------------ time series


def _same_base(rv: TensorVariable, *rules: NoiseRule) -> str:
    bases = {rule.base for rule in rules}
    if len(bases) > 1 or bases == {"gumbel"}:
        parts = " and ".join(rule.family for rule in rules)
        raise NoiseFormError(
            f"{family_of(rv)} of {parts} has no noise form: their noises have different scales.",
            remedy="Take the start and the innovations from one kind of family (all normal, say).",
        )
    return bases.pop()


@rule_of.register(RandomWalkRV)
def _random_walk(op: Op, rv: TensorVariable, coupling: str) -> NoiseRule:
    start, innovation, _ = rv.owner.inputs
    first, later = (noise_rule(part, coupling="monotone") for part in (start, innovation))
    base, time = _same_base(rv, first, later), -op.ndim_supp

    def forward(u: TensorVariable) -> TensorVariable:
        u = pt.moveaxis(pt.as_tensor_variable(u), time, 0)
        steps = pt.concatenate([first.forward(u[:1]), later.forward(u[1:])], axis=0)
        return pt.moveaxis(pt.cumsum(steps, axis=0), 0, time)

    def interval(value: TensorVariable) -> Pair:
        path = pt.moveaxis(pt.as_tensor_variable(value), time, 0)
        ends = zip(first.interval(path[:1]), later.interval(path[1:] - path[:-1]), strict=True)
        lo, hi = (pt.moveaxis(pt.concatenate(list(two), axis=0), 0, time) for two in ends)
        return lo, hi

    discrete = first.discrete or later.discrete
    return NoiseRule(family_of(rv), base, discrete, op.ndim_supp, forward, interval)


@rule_of.register(AutoRegressiveRV)
def _autoregression(op: Op, rv: TensorVariable, coupling: str) -> NoiseRule:
    rhos, sigma, start, *_ = rv.owner.inputs
    order, sigma = op.ar_order, pt.expand_dims(sigma, -1)
    rule = noise_rule(start)
    if rule.base != "normal":
        raise NoiseFormError(
            f"AR that starts from {rule.family} has no noise form: its noise is not normal.",
            remedy="Give AR an init_dist that is Normal, LogNormal or MvNormal.",
        )
    constant = rhos[..., :1] if op.constant_term else None
    lags = rhos[..., 1:] if op.constant_term else rhos

    def forward(u: TensorVariable) -> TensorVariable:
        u = pt.as_tensor_variable(u)
        shocks = sigma * u[..., order:]
        shocks = shocks if constant is None else shocks + constant
        return Recursion()(pt.concatenate([rule.forward(u[..., :order]), shocks], axis=-1), lags)

    def interval(value: TensorVariable) -> Pair:
        value = pt.as_tensor_variable(value)
        shocks = value[..., order:]
        for lag in range(1, order + 1):
            past = value[..., order - lag : value.shape[-1] - lag]
            shocks = shocks - lags[..., lag - 1 : lag] * past
        shocks = shocks if constant is None else shocks - constant
        z = pt.concatenate([rule.interval(value[..., :order])[0], shocks / sigma], axis=-1)
        return z, z

    return NoiseRule("AR", "normal", False, 1, forward, interval)


class Recursion(Op):
    """``x_t = e_t + sum_i rho_i x_{t-i}`` along the last axis; the first entries are given."""

    __props__ = ()

    def make_node(self, shocks: TensorVariable, lags: TensorVariable) -> Apply:
        """Build the node, aligning batch axes."""
        shocks, lags = pt.as_tensor_variable(shocks), pt.as_tensor_variable(lags)
        ndim = max(shocks.ndim, lags.ndim)
        inputs = [
            pt.shape_padleft(v, ndim - v.ndim) if v.ndim < ndim else v for v in (shocks, lags)
        ]
        return Apply(self, inputs, [TensorType("float64", (None,) * ndim)()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[Any]]) -> None:
        """Run through time, all series at once."""
        shocks, lags = inputs
        batch = np.broadcast_shapes(shocks.shape[:-1], lags.shape[:-1])
        x = np.array(np.broadcast_to(shocks, (*batch, shocks.shape[-1])), dtype=np.float64)
        order = lags.shape[-1]
        for t in range(order, x.shape[-1]):
            x[..., t] += np.sum(lags[..., ::-1] * x[..., t - order : t], axis=-1)
        outputs[0][0] = x

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the broadcast batch shape and the time axis."""
        batch = pt.broadcast_shape(*(s[:-1] for s in shapes), arrays_are_shapes=True)
        return [(*batch, shapes[0][-1])]


@_vectorize_node.register(Recursion)
def _vectorize(op: Op, node: Apply, *batched: TensorVariable) -> Apply:
    return op.make_node(*batched)


silent_in_numba(Recursion)
