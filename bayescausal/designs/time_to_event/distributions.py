r"""Distributions of times that PyMC does not have: log-logistic, and piecewise constant hazards.

.. math::

   \log T \sim Logistic(\mu, s), \qquad
   h(t) = e^{\eta} h_j \quad (c_{j-1} < t \le c_j).

They are PyMC distributions like any other. What worlds need of them, both tails and the quantile,
stands in the table of families (:mod:`bayescausal.model.noise.families.times`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.random.op import RandomVariable

from bayescausal.model.noise.families.times import (
    log_logistic_quantile,
    piecewise_exponential_quantile,
)

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array

__all__ = ["LogLogistic", "PiecewiseExponential"]


class LogLogisticRV(RandomVariable):
    """Draws times whose logarithm is logistic."""

    name = "LogLogistic"
    signature = "(),()->()"
    dtype = "floatX"
    _print_name = ("LogLogistic", "\\operatorname{LogLogistic}")

    @classmethod
    def rng_fn(
        cls, rng: np.random.Generator, mu: Array, s: Array, size: tuple[int, ...] | None
    ) -> Array:
        """Draw."""
        shape = np.broadcast_shapes(np.shape(mu), np.shape(s)) if size is None else size
        return np.asarray(log_logistic_quantile(rng.logistic(size=shape), mu, s))


class LogLogistic(pm.distributions.continuous.PositiveContinuous):
    """A time whose logarithm is ``Logistic(mu, s)``.

    Its odds of being over at a time are ``(t / exp(mu)) ** (1 / s)``.
    """

    rv_type = LogLogisticRV
    rv_op = LogLogisticRV()

    @classmethod
    def dist(cls, mu: Any, s: Any, **options: Any) -> TensorVariable:
        """Return the distribution."""
        return super().dist([pt.as_tensor(mu), pt.as_tensor(s)], **options)

    @staticmethod
    def support_point(rv: TensorVariable, size: Any, mu: Any, s: Any) -> TensorVariable:
        """Return the median."""
        return pt.exp(mu) + pt.zeros_like(rv)

    @staticmethod
    def logp(value: TensorVariable, mu: Any, s: Any) -> TensorVariable:
        """Return the log-density."""
        z = (_log(value) - mu) / s
        found = -pt.softplus(z) - pt.softplus(-z) - pt.log(s) - _log(value)
        return pt.switch(pt.gt(value, 0), found, -np.inf)

    @staticmethod
    def logcdf(value: TensorVariable, mu: Any, s: Any) -> TensorVariable:
        """Return the logarithm of the distribution function."""
        z = (_log(value) - mu) / s
        return pt.switch(pt.gt(value, 0), -pt.softplus(-z), -np.inf)

    @staticmethod
    def logccdf(value: TensorVariable, mu: Any, s: Any) -> TensorVariable:
        """Return the logarithm of the survival function."""
        z = (_log(value) - mu) / s
        return pt.switch(pt.gt(value, 0), -pt.softplus(z), 0.0)


class PiecewiseExponentialRV(RandomVariable):
    """Draws times whose hazard is constant between cuts."""

    name = "PiecewiseExponential"
    signature = "(),(j),(k)->()"
    dtype = "floatX"
    _print_name = ("PiecewiseExponential", "\\operatorname{PiecewiseExponential}")

    @classmethod
    def rng_fn(
        cls,
        rng: np.random.Generator,
        eta: Array,
        log_hazards: Array,
        cuts: Array,
        size: tuple[int, ...] | None,
    ) -> Array:
        """Draw."""
        batch = (np.shape(eta), np.shape(log_hazards)[:-1], np.shape(cuts)[:-1])
        ell = rng.logistic(size=np.broadcast_shapes(*batch) if size is None else size)
        return np.asarray(piecewise_exponential_quantile(ell, eta, log_hazards, cuts))


class PiecewiseExponential(pm.distributions.continuous.PositiveContinuous):
    """A time with the hazard ``exp(eta + log_hazards[j])`` between the cuts j - 1 and j.

    There is one hazard more than there are cuts; the last holds from the last cut on.
    """

    rv_type = PiecewiseExponentialRV
    rv_op = PiecewiseExponentialRV()

    @classmethod
    def dist(cls, eta: Any, log_hazards: Any, cuts: Any, **options: Any) -> TensorVariable:
        """Return the distribution."""
        return super().dist([pt.as_tensor(v) for v in (eta, log_hazards, cuts)], **options)

    @staticmethod
    def support_point(
        rv: TensorVariable, size: Any, eta: Any, log_hazards: Any, cuts: Any
    ) -> TensorVariable:
        """Return the mean under the first hazard."""
        return pt.exp(-eta - log_hazards[..., 0]) + pt.zeros_like(rv)

    @staticmethod
    def logp(value: TensorVariable, eta: Any, log_hazards: Any, cuts: Any) -> TensorVariable:
        """Return the log-density."""
        piece = pt.gt(value[..., None], cuts).sum(axis=-1)
        here = pt.eq(piece[..., None], pt.arange(log_hazards.shape[-1]))
        log_hazard = eta + pt.switch(here, log_hazards, 0.0).sum(axis=-1)
        found = log_hazard - pt.exp(eta) * _cumulative(value, log_hazards, cuts)
        return pt.switch(pt.ge(value, 0), found, -np.inf)

    @staticmethod
    def logcdf(value: TensorVariable, eta: Any, log_hazards: Any, cuts: Any) -> TensorVariable:
        """Return the logarithm of the distribution function."""
        return pt.log1mexp(-pt.exp(eta) * _cumulative(value, log_hazards, cuts))

    @staticmethod
    def logccdf(value: TensorVariable, eta: Any, log_hazards: Any, cuts: Any) -> TensorVariable:
        """Return the logarithm of the survival function."""
        return -pt.exp(eta) * _cumulative(value, log_hazards, cuts)


# ------------------------------------------------------------------------------- private


def _log(value: TensorVariable) -> TensorVariable:
    """Return the logarithm of a positive value; of others something finite."""
    return pt.log(pt.switch(pt.gt(value, 0), value, 1.0))


def _cumulative(value: TensorVariable, log_hazards: Any, cuts: Any) -> TensorVariable:
    """Return the cumulative hazard for ``eta = 0``."""
    nothing = pt.zeros_like(cuts[..., :1])
    starts = pt.concatenate([nothing, cuts], axis=-1)
    widths = pt.concatenate([cuts, nothing + np.inf], axis=-1) - starts
    inside = pt.clip(value[..., None] - starts, 0.0, widths)
    return (pt.exp(log_hazards) * inside).sum(axis=-1)
