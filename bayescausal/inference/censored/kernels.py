r"""The log-likelihood of censored times and its derivatives, in one pass over the rows.

For :math:`z_i = k (\log t_i - \eta_i)` and :math:`e_i = e^{z_i}` a Weibull time gives

.. math::

   \ell = \sum_i d_i (\log k - \log t_i + z_i) - e_i, \qquad
   \frac{\partial \ell}{\partial \eta_i} = k (e_i - d_i), \qquad
   \frac{\partial \ell}{\partial k} = \sum_i \frac{d_i}{k} + (\log t_i - \eta_i)(d_i - e_i),

:math:`d_i = 1` for an event and 0 where it is censored on the right [1]_; one exponential a row,
which is arithmetic (:mod:`bayescausal.inference.closed_forms.logistic`), and no branch, so that the
compiler runs several rows at a time. Times censored on the left, and log-normal and log-logistic
times, take a plain loop with :math:`z_i = (\log t_i - \eta_i) / s`.

It matters where a covariate is continuous: no statistic of fewer numbers is sufficient.

References
----------
.. [1] J. P. Klein and M. L. Moeschberger, *Survival Analysis*, 2nd ed., Springer, 2003,
   chapter 12.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType, grad_not_implemented
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_basic

from bayescausal.inference.closed_forms.logistic import _exp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Variable

__all__ = ["TimeSum"]

#: The logarithm of the largest cumulative hazard of a row, 1e8: beyond, the density counts as zero,
#: so that no chain starts on a slope as steep as that.
HIGH = math.log(1e8)
#: Beyond so many standard deviations the Normal tail is summed from its series.
DEEP = 20.0
ROOT = math.sqrt(2.0)
HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


@numba.njit(cache=True, fastmath={"contract"}, error_model="numpy", boundscheck=False)
def _weibull(
    eta: np.ndarray, k: float, log_t: np.ndarray, kind: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """Return the log-likelihood of Weibull times, but for the Jacobian, and its derivatives."""
    n = eta.shape[0]
    slope = np.empty(n)
    total, in_k, events, earlier, worst = 0.0, 0.0, 0.0, 0, 0.0
    for i in range(n):
        w = log_t[i] - eta[i]
        z = max(k * w, -700.0)
        worst = max(worst, z)
        e = _exp(min(z, HIGH))
        d = 1.0 if kind[i] == 1.0 else 0.0
        total += d * z - e
        in_k += w * (d - e)
        slope[i] = k * (e - d)
        events += d
        earlier += kind[i] == 2.0
    if earlier:
        for i in range(n):
            if kind[i] == 2.0:
                w = log_t[i] - eta[i]
                e = math.exp(min(max(k * w, -700.0), HIGH))
                gone = -math.expm1(-e)
                r = e * math.exp(-e) / gone
                total += e + math.log(gone)
                in_k += w * (e + r)
                slope[i] = -k * r
    if worst > HIGH:
        total = -np.inf
    return total + events * math.log(k), slope, in_k + events / k


@numba.njit(cache=True, error_model="numpy")
def _later(z: float) -> tuple[float, float]:
    """Return the log of the upper Normal tail at z, and the hazard there."""
    if z > DEEP:
        q = 1.0 / (z * z)
        series = 1.0 - q * (1.0 - 3.0 * q * (1.0 - 5.0 * q * (1.0 - 7.0 * q)))
        return -0.5 * z * z - HALF_LOG_TAU - math.log(z) + math.log(series), z / series
    tail = 0.5 * math.erfc(z / ROOT)
    log_tail = math.log1p(-0.5 * math.erfc(-z / ROOT)) if z < 0.0 else math.log(tail)
    return log_tail, math.exp(-0.5 * z * z - HALF_LOG_TAU) / tail


@numba.njit(cache=True, error_model="numpy")
def _lognormal(
    eta: np.ndarray, s: float, log_t: np.ndarray, kind: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """Return the log-likelihood of log-normal times, but for the Jacobian, and its derivatives."""
    n = eta.shape[0]
    slope = np.empty(n)
    total, in_s = 0.0, 0.0
    for i in range(n):
        z = (log_t[i] - eta[i]) / s
        if kind[i] == 1.0:
            total += -0.5 * z * z - math.log(s) - HALF_LOG_TAU
            slope[i] = z / s
            in_s += (z * z - 1.0) / s
        else:
            sign = 1.0 if kind[i] == 0.0 else -1.0
            log_tail, hazard = _later(sign * z)
            total += log_tail
            slope[i] = sign * hazard / s
            in_s += sign * hazard * z / s
    return total, slope, in_s


@numba.njit(cache=True, error_model="numpy")
def _loglogistic(
    eta: np.ndarray, s: float, log_t: np.ndarray, kind: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """Return the log-likelihood of log-logistic times, but for the Jacobian, with derivatives."""
    n = eta.shape[0]
    slope = np.empty(n)
    total, in_s = 0.0, 0.0
    for i in range(n):
        z = (log_t[i] - eta[i]) / s
        e = math.exp(-abs(z))
        log_one = math.log1p(e)
        p = (1.0 if z > 0.0 else e) / (1.0 + e)
        over, under = max(z, 0.0) + log_one, max(-z, 0.0) + log_one  # -log S, -log F
        if kind[i] == 1.0:
            total += -over - under - math.log(s)
            in_z, own = 1.0 - 2.0 * p, -1.0 / s
        elif kind[i] == 0.0:
            total -= over
            in_z, own = -p, 0.0
        else:
            total -= under
            in_z, own = 1.0 - p, 0.0
        slope[i] = -in_z / s
        in_s += own - in_z * z / s
    return total, slope, in_s


KERNELS = {"weibull": _weibull, "lognormal": _lognormal, "loglogistic": _loglogistic}


class TimeSum(Op):
    """``(eta, shape, log t, kind) -> (log-likelihood, slope in eta, slope in the shape)``.

    The likelihood is that of ``log t``: the Jacobian ``-log t`` of events is left out.
    """

    __props__ = ("family",)

    def __init__(self, family: str) -> None:
        self.family = family

    def make_node(self, eta: Variable, shape: Variable, log_t: Variable, kind: Variable) -> Apply:
        """Take vectors of the rows, and one number."""
        inputs = [pt.as_tensor(v).astype("float64") for v in (eta, shape, log_t, kind)]
        return Apply(self, inputs, [pt.dscalar(), pt.dvector(), pt.dscalar()])

    def perform(
        self, node: Apply, inputs: Sequence[np.ndarray], outputs: list[list[np.ndarray]]
    ) -> None:
        """Evaluate."""
        eta, shape, log_t, kind = inputs
        rows = (np.ascontiguousarray(v) for v in (eta, log_t, kind))
        eta, log_t, kind = rows
        total, slope, in_shape = KERNELS[self.family](eta, float(shape), log_t, kind)
        outputs[0][0], outputs[1][0], outputs[2][0] = (
            np.asarray(total),
            slope,
            np.asarray(in_shape),
        )

    def infer_shape(
        self, node: Apply, shapes: Sequence[tuple[Variable, ...]]
    ) -> list[tuple[Variable, ...]]:
        """Return the shapes of the outputs."""
        return [(), shapes[0], ()]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Outputs move with the predictor and the shape; the data are given."""
        return [[True] * 3, [True] * 3, [False] * 3, [False] * 3]

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], gradients: Sequence[Variable]
    ) -> list[Variable]:
        """Return the gradient in predictor and shape; there are no second derivatives."""
        _, slope, in_shape = outputs
        total, *others = gradients
        log_t, kind = DisconnectedType()(), DisconnectedType()()
        if any(not isinstance(g.type, DisconnectedType) for g in others):
            missing = [grad_not_implemented(self, i, v) for i, v in enumerate(inputs[:2])]
            return [*missing, log_t, kind]
        return [total * slope, total * in_shape, log_t, kind]


@numba_basic.register_funcify_default_op_cache_key(TimeSum)
def _funcify(op: TimeSum, node: Apply, **_: Any) -> Callable[..., Any]:
    kernel = KERNELS[op.family]

    @numba_basic.numba_njit
    def run(
        eta: np.ndarray, shape: np.ndarray, log_t: np.ndarray, kind: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        total, slope, in_shape = kernel(
            np.ascontiguousarray(eta),
            shape.item(),
            np.ascontiguousarray(log_t),
            np.ascontiguousarray(kind),
        )
        return np.asarray(total), slope, np.asarray(in_shape)

    return run
