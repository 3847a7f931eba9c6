r"""The mean of what lies below a limit, ``E[min(v, c)]`` given the parents of v.

It is the area above the distribution function up to the limit,

.. math:: E[\min(V, c)] = c - \int_{-\infty}^{c} F(t)\,dt
                        = c - F(c) \int_0^1 \bigl(c - q(F(c)\,s)\bigr)\,ds,

the restricted mean of a time to an event [1]_. It is known in closed form for the normal,
lognormal, exponential, Weibull and gamma families, is a finite sum for integers, and adds up over
mixtures; for every other continuous law the last integral, over levels and so without a scale, is
taken by the double-exponential rule [2]_, whose nodes crowd at both ends, where a quantile may be
singular.

It does not exist where the lower tail has no mean (Cauchy), and is NaN where it exists for some
parameters only (a Student t with one degree of freedom or less): the integral is seen not to settle
at its lower end.

References
----------
.. [1] P. Royston and M. K. B. Parmar, "Restricted mean survival time", BMC Medical Research
   Methodology 13, 2013.
.. [2] H. Takahasi and M. Mori, "Double exponential formulas for numerical integration",
   Publications of the RIMS 9, 1974.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node
from pytensor.tensor.random.basic import CategoricalRV
from pytensor.tensor.type import TensorType
from scipy import special as sp

from bayescausal.model.noise.laws import Censored, Dirac, Leaf, Mixture
from bayescausal.model.noise.means import mean_of
from bayescausal.model.noise.ops import _align, _batch_shape, _static_batch, double, silent_in_numba
from bayescausal.model.noise.read_off import family_of, law_of
from bayescausal.model.noise.rules import noise_rule
from bayescausal.types import NoiseFormError, UndefinedEffectError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array, Tensor
    from bayescausal.model.noise.laws import Law

__all__ = ["restricted_mean", "restricted_mean_of"]

#: Step of the rule, and where it ends below and above: levels of 1e-45 and 1 - 1e-20.
STEP, BELOW, ABOVE = 0.125, 4.25, 3.375
#: The share of the lowest level in the integral, above which it has not settled.
SETTLED = 1e-9
#: Families whose lower tail has no mean.
NO_MEAN = ("Cauchy",)


def restricted_mean_of(rv: TensorVariable, upto: float) -> TensorVariable | None:
    """Return ``E[min(rv, upto)]`` given the parents; None where it is not known exactly.

    - `rv`: a univariate random variable.
    - `upto`: the limit.
    Raises UndefinedEffectError if it does not exist, or the values are categories.

    Examples
    --------
    >>> import pymc as pm
    >>> found = restricted_mean_of(pm.Exponential.dist(scale=2.0), 2.0)
    >>> round(float(found.eval(mode="FAST_COMPILE")), 6)
    1.264241
    """
    if rv.owner.op.ndim_supp:
        return None
    if isinstance(rv.owner.op, CategoricalRV):
        return mean_of(rv)  # raises: categories are no numbers
    limit = pt.constant(float(upto))
    try:
        law, params = law_of(rv)
    except NoiseFormError:
        return _by_noise(rv, limit)
    if _has_no_mean(law):
        raise _undefined(rv)
    found: TensorVariable = _Restricted(law)(limit, *(double(p) for p in params))
    return found


def restricted_mean(law: Law, upto: Array, params: Sequence[Array]) -> Array:
    """Return ``E[min(v, upto)]`` of a law, for arrays that broadcast.

    Examples
    --------
    >>> from bayescausal.model.noise.laws import Leaf
    >>> float(restricted_mean(Leaf("Uniform"), 1.0, [0.0, 4.0]).round(6))
    0.875
    """
    c = np.asarray(upto, dtype=float)
    if isinstance(law, Dirac):
        return np.minimum(params[0], c)
    if isinstance(law, Mixture):
        return _mixed(law, c, params)
    if law.kind == "integer":
        return _summed(law, c, params)
    if isinstance(law, Censored):
        *inner, lower, upper = params
        return _clipped(law.base, c, inner, lower, upper)
    if isinstance(law, Leaf) and law.family in CLOSED:
        return CLOSED[law.family](c, *params)
    return _integrated(law, c, params)


# --------------------------------------------------------------------- closed forms


def _normal(c: Array, mu: Array, sigma: Array) -> Array:
    z = (c - mu) / sigma
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.asarray(mu * sp.ndtr(z) - sigma * density + c * sp.ndtr(-z))


def _log_normal(c: Array, mu: Array, sigma: Array) -> Array:
    z = (np.log(np.maximum(c, 0.0)) - mu) / sigma
    below = np.exp(mu + 0.5 * sigma**2 + sp.log_ndtr(z - sigma))
    return np.where(c > 0, below + c * sp.ndtr(-z), c)


def _exponential(c: Array, scale: Array) -> Array:
    return np.where(c > 0, -scale * np.expm1(-np.maximum(c, 0.0) / scale), c)


def _weibull(c: Array, alpha: Array, beta: Array) -> Array:
    h = (np.maximum(c, 0.0) / beta) ** alpha
    below = beta * sp.gamma(1 + 1 / alpha) * sp.gammainc(1 + 1 / alpha, h)
    return np.where(c > 0, below + c * np.exp(-h), c)


def _gamma(c: Array, alpha: Array, scale: Array) -> Array:
    z = np.maximum(c, 0.0) / scale
    below = alpha * scale * sp.gammainc(alpha + 1, z)
    return np.where(c > 0, below + c * sp.gammaincc(alpha, z), c)


CLOSED: dict[str, Callable[..., Array]] = {
    "Normal": _normal,
    "LogNormal": _log_normal,
    "Exponential": _exponential,
    "Weibull": _weibull,
    "Gamma": _gamma,
}


# --------------------------------------------------------------------- sums and integrals


def _mixed(law: Mixture, c: Array, params: Sequence[Array]) -> Array:
    weights, parts = params[0], law._split(params)
    if law.stacked:
        ((part, inner),) = parts
        return np.asarray((weights * restricted_mean(part, c[..., None], inner)).sum(axis=-1))
    each = [restricted_mean(part, c, inner) for part, inner in parts]
    return np.asarray(sum(weights[..., j] * value for j, value in enumerate(each)))


def _summed(law: Law, c: Array, params: Sequence[Array]) -> Array:
    """Return ``c - sum_k F(k) (min(k + 1, c) - k)`` of an integer law, from its first value on."""
    first, limit = law.support(params)[0], float(c.reshape(-1)[0])
    start = int(np.min(first))
    total: Array = np.zeros(())
    for k in range(start, int(np.ceil(limit))):
        at = np.asarray(float(k))
        total = total + np.exp(law.tails(at, params)[0]) * (min(k + 1.0, limit) - k)
    return np.asarray(limit - total)


def _clipped(base: Law, c: Array, inner: Sequence[Array], lower: Array, upper: Array) -> Array:
    """Return ``E[min(max(T, lower), upper, c)]``; where a bound is infinite it does nothing."""
    top = np.minimum(upper, c)
    whole = restricted_mean(base, top, inner)
    bounded = np.isfinite(lower)
    low = np.where(bounded, lower, 0.0)
    lifted = whole + np.where(bounded, low - restricted_mean(base, low, inner), 0.0)
    return np.where(top > lower, lifted, top)


def _integrated(law: Law, c: Array, params: Sequence[Array]) -> Array:
    log_f, log_s = law.tails(c, params)
    parts: list[Array] = []
    for log_level, log_rest, weight in _nodes():
        below = log_f + log_level
        above = np.logaddexp(log_s, log_f + log_rest)
        gap = c - law.quantile(np.where(np.isneginf(log_f), 0.0, below - above), params)
        part = weight * np.maximum(gap, 0.0)
        parts = [parts[0], parts[1] + part] if parts else [part, part]
    lowest, total = parts
    total = np.where(lowest > SETTLED * total, np.nan, total)
    return np.where(np.isneginf(log_f), c, c - np.exp(log_f) * total)


def _nodes() -> list[tuple[float, float, float]]:
    """Return ``log s``, ``log(1 - s)`` and the weight of each node of the rule on (0, 1)."""
    t = np.arange(-BELOW, ABOVE + STEP / 2, STEP)
    x = np.pi * np.sinh(t)
    log_s, log_rest = sp.log_expit(x), sp.log_expit(-x)
    weight = STEP * np.pi * np.cosh(t) * np.exp(log_s + log_rest)
    return list(zip(log_s.tolist(), log_rest.tolist(), weight.tolist(), strict=True))


def _by_noise(rv: TensorVariable, limit: TensorVariable) -> TensorVariable | None:
    """Return the integral over the noise of an increasing or decreasing map, nodes first."""
    try:
        rule = noise_rule(rv)
    except NoiseFormError:
        return None
    if rule.discrete or rule.event_ndim or rule.base not in ("normal", "logistic"):
        return None
    if rule.family in NO_MEAN:
        raise _undefined(rv)
    end, _ = rule.interval(limit)
    log_f, log_s = _tails(end, rule.base)
    nodes = np.array(_nodes())
    lead = (slice(None), *(None,) * rv.type.ndim)
    level, rest, weight = (pt.constant(nodes[:, i][lead]) for i in range(3))
    below, above = log_f + level, pt.logaddexp(log_s, log_f + rest)
    parts = weight * pt.maximum(limit - rule.forward(_noise_at(below, above, rule.base)), 0.0)
    total = pt.sum(parts, axis=0)
    total = pt.switch(parts[0] > SETTLED * total, np.nan, total)
    return limit - pt.exp(log_f) * total


def _tails(noise: TensorVariable, base: str) -> tuple[TensorVariable, TensorVariable]:
    if base == "logistic":
        return -pt.softplus(-noise), -pt.softplus(noise)
    root = np.sqrt(2.0)
    return pt.log(0.5 * pt.erfc(-noise / root)), pt.log(0.5 * pt.erfc(noise / root))


def _noise_at(below: TensorVariable, above: TensorVariable, base: str) -> TensorVariable:
    """Return the noise at a level, from the logarithms of the level and of the rest."""
    if base == "logistic":
        return below - above
    low = pt.lt(below, above)
    z = pt.ndtri_exp(pt.switch(low, below, above))
    return pt.switch(low, z, -z)


# ------------------------------------------------------------------------- the operation


def _has_no_mean(law: Law) -> bool:
    if isinstance(law, Leaf):
        return law.family in NO_MEAN
    return isinstance(law, Mixture) and any(map(_has_no_mean, law.parts))


def _undefined(rv: TensorVariable) -> UndefinedEffectError:
    name = f"{rv.name!r} ~ {family_of(rv)}" if rv.name else family_of(rv)
    return UndefinedEffectError(
        f"The mean of {name} below a limit does not exist: its lower tail has none.",
        remedy="Ask for a quantile or a probability instead (functional=...).",
    )


@silent_in_numba
class _Restricted(Op):
    """The restricted mean of a law up to the limit in the first input."""

    __props__ = ("law",)

    def __init__(self, law: Law) -> None:
        self.law = law

    def make_node(self, upto: Tensor, *params: Any) -> Apply:
        """Build the node, aligning batch axes."""
        cores = (0, *self.law.cores)
        inputs = _align([pt.as_tensor_variable(v) for v in (upto, *params)], cores)
        return Apply(self, inputs, [TensorType("float64", _static_batch(inputs, cores))()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[Any]]) -> None:
        """Evaluate the restricted mean."""
        upto, *params = (np.asarray(v, dtype=np.float64) for v in inputs)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            value = restricted_mean(self.law, upto, params)
        cores = (0, *self.law.cores)
        shapes = [np.shape(v)[: np.ndim(v) - c] for v, c in zip(inputs, cores, strict=True)]
        outputs[0][0] = np.array(np.broadcast_to(value, np.broadcast_shapes(*shapes)))

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the broadcast batch shape."""
        return [_batch_shape(shapes, (0, *self.law.cores))]


@_vectorize_node.register(_Restricted)
def _vectorize(op: _Restricted, node: Apply, *batched: TensorVariable) -> Apply:
    return op.make_node(*batched)
