r"""Tails and quantiles of times to an event that PyMC has no distribution of.

Log-logistic: :math:`\log T \sim Logistic(\mu, s)`. Piecewise exponential: the hazard is
:math:`e^{\eta} h_j` between the cuts :math:`c_{j-1}` and :math:`c_j`, so that

.. math:: -\log S(t) = e^{\eta} H(t), \qquad
   H(t) = \sum_j h_j \min(\max(t - c_{j-1}, 0),\; c_j - c_{j-1}),

and a time is :math:`H^{-1}(e^{-\eta} E)` of a standard exponential :math:`E` [1]_. After the last
cut the hazard stays what it is, which is an assumption where nobody was followed so long.

References
----------
.. [1] D. Collett, *Modelling Survival Data in Medical Research*, 3rd ed., CRC Press, 2015,
   section 6.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.model.noise.families.continuous import log1mexp

if TYPE_CHECKING:
    from bayescausal.annotations import Array

    type Pair = tuple[Array, Array]

__all__ = [
    "log_logistic",
    "log_logistic_quantile",
    "piecewise_exponential",
    "piecewise_exponential_quantile",
]


def log_logistic(x: Array, mu: Array, s: Array) -> Pair:
    """Return both log tails of a time whose logarithm is ``Logistic(mu, s)``."""
    with np.errstate(divide="ignore"):
        z = (np.log(np.maximum(x, 0.0)) - mu) / s
    return -np.logaddexp(0.0, -z), -np.logaddexp(0.0, z)


def log_logistic_quantile(ell: Array, mu: Array, s: Array) -> Array:
    """Return the quantile at the level ``sigmoid(ell)``."""
    return np.exp(mu + s * ell)


def piecewise_exponential(x: Array, eta: Array, log_hazards: Array, cuts: Array) -> Pair:
    """Return both log tails of a time with a hazard that is constant between cuts."""
    starts, widths = _pieces(cuts)
    inside = np.clip(np.asarray(x, float)[..., None] - starts, 0.0, widths)
    log_s = -np.exp(eta) * (np.exp(log_hazards) * inside).sum(axis=-1)
    return log1mexp(log_s), log_s


def piecewise_exponential_quantile(
    ell: Array, eta: Array, log_hazards: Array, cuts: Array
) -> Array:
    """Return the quantile at the level ``sigmoid(ell)``."""
    widths = _pieces(cuts)[1]
    hazards = np.exp(log_hazards)
    gone = np.cumsum(hazards[..., :-1] * widths[..., :-1], axis=-1)
    before = np.concatenate([np.zeros_like(gone[..., :1]), gone], axis=-1)
    total = np.logaddexp(0.0, ell) * np.exp(-eta)
    return np.clip((total[..., None] - before) / hazards, 0.0, widths).sum(axis=-1)


def _pieces(cuts: Array) -> Pair:
    """Return where each piece starts, and how long it is."""
    cuts = np.asarray(cuts, float)
    starts = np.concatenate([np.zeros_like(cuts[..., :1]), cuts], axis=-1)
    ends = np.concatenate([cuts, np.full_like(cuts[..., :1], np.inf)], axis=-1)
    return starts, ends - starts
