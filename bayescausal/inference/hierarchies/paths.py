r"""Laws of Gaussian paths: random walks and autoregressions as coefficients.

A path :math:`c_1, \dots, c_T` along an ordered dim is a coefficient vector whose prior mean reads
the path itself, one or more steps before [1]_,

.. math::

   c_t \sim N(m_t(c_{t-1}, \dots, c_{t-p}, h),\; s_t(h)),

with :math:`m_t = c_{t-1} + \mu` for a random walk and
:math:`m_t = \rho_0 + \sum_k \rho_k c_{t-k}` for an autoregression; the first entries have a law of
their own. The residuals :math:`c_t - m_t` are a map of the path with a unit lower triangular
matrix, of determinant one, and of a band of width :math:`p`. So the density of the path is the
product of those of its residuals, its precision is banded, and its integral costs as much as a
Kalman filter: linear in :math:`T`. Nothing is assumed of stationarity: the law is what PyMC says
it is, whatever :math:`\rho` is.

References
----------
.. [1] H. Rue and L. Held, *Gaussian Markov Random Fields*, Chapman & Hall, 2005, chapters 1-2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.timeseries import AutoRegressiveRV, RandomWalkRV
from pytensor.tensor.random.basic import NormalRV

from bayescausal.inference.closed_forms.affine import NotAffineError
from bayescausal.model.structure.function_graph import evaluate

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array

__all__ = ["PATHS", "PathLaw", "is_path", "path_law"]

PATHS = ("RandomWalkRV", "AutoRegressiveRV")


@dataclass(frozen=True, eq=False)
class PathLaw:
    """The law of a path given itself, earlier."""

    mean: TensorVariable  # of each entry; reads the path
    spread: TensorVariable  # of each entry; or a vector of different sds, which `which` points into
    which: Array | None  # (int) In the shape of the path


def is_path(variable: Variable) -> bool:
    """Whether a random variable is a random walk or an autoregression."""
    return type(getattr(variable.owner, "op", None)).__name__ in PATHS


def path_law(rv: TensorVariable, shape: tuple[int, ...]) -> PathLaw:
    """Return the law of a Gaussian path.

    - `rv`: a random walk or an autoregression; it stands for its own values in the law.
    - `shape`: of it; the last axis is time.
    Raises NotAffineError if its start or its innovations are not Normal.

    Examples
    --------
    >>> import pymc as pm
    >>> rv = pm.GaussianRandomWalk.dist(sigma=2.0, init_dist=pm.Normal.dist(0, 5), shape=4)
    >>> law = path_law(rv, (4,))
    >>> law.spread.eval(mode="FAST_COMPILE").tolist(), law.which.tolist()
    ([5.0, 2.0], [0, 1, 1, 1])
    """
    op = rv.owner.op
    if isinstance(op, RandomWalkRV):
        start, innovation = rv.owner.inputs[:2]
        drift, sigma = (_timed(v, len(shape)) for v in _normal(innovation, rv))
        mean, order = rv[..., :-1] + drift, 1
        first, first_sd = (_timed(v, len(shape)) for v in _normal(start, rv))
    else:
        assert isinstance(op, AutoRegressiveRV)
        rhos, noise, start = rv.owner.inputs[:3]
        order = op.ar_order
        first, first_sd = _normal(start, rv)
        constant = int(op.constant_term)
        if int(evaluate([rhos.shape[-1]])[0]) != order + constant:
            raise NotAffineError(f"{rv.name!r} has other lags than coefficients")
        sigma = noise[..., None]
        lags = [
            rhos[..., k + constant, None] * rv[..., order - 1 - k : shape[-1] - 1 - k]
            for k in range(order)
        ]
        mean = pt.add(*lags) if order > 1 else lags[0]
        mean = mean + rhos[..., 0, None] if constant else mean
    if shape[-1] <= order:
        raise NotAffineError(f"{rv.name!r} is not longer than its start")
    parts = (*shape[:-1], order), (*shape[:-1], shape[-1] - order)
    whole = _joined([first, mean], parts)
    single = [v for v in (first_sd, sigma) if all(v.type.broadcastable)]
    if len(single) < 2:
        return PathLaw(whole, _joined([first_sd, sigma], parts), None)
    which = np.broadcast_to((np.arange(shape[-1]) >= order).astype(int), shape)
    return PathLaw(whole, pt.stack([v.flatten()[0] for v in single]), which)


def _normal(inner: Variable, rv: TensorVariable) -> tuple[TensorVariable, TensorVariable]:
    """Return the mean and sd of a distribution within another."""
    node = inner.owner
    if node is None or not isinstance(node.op, NormalRV):
        raise NotAffineError(f"{rv.name!r} has a start or innovations that are not Normal")
    mean, spread = node.op.dist_params(node)
    return mean, spread


def _timed(parameter: TensorVariable, ndim: int) -> TensorVariable:
    """Return a parameter of steps with their axis last: PyMC has it first."""
    if parameter.type.ndim == ndim:
        return pt.moveaxis(parameter, 0, -1) if ndim > 1 else parameter
    return parameter[..., None]


def _joined(
    pieces: list[TensorVariable], shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> TensorVariable:
    wide = [pt.broadcast_to(v, s) for v, s in zip(pieces, shapes, strict=True)]
    return pt.concatenate(wide, axis=-1)
