r"""What survival data say without a model: Kaplan-Meier curves, restricted means, Cox regression.

With :math:`d_j` events at time :math:`t_j` among :math:`n_j` at risk (entered before, and not yet
gone), the product-limit estimate [1]_ and the variance of its logarithm (Greenwood) are

.. math:: \hat S(t) = \prod_{t_j \le t} \Big(1 - \frac{d_j}{n_j}\Big), \qquad
   \sum_{t_j \le t} \frac{d_j}{n_j (n_j - d_j)},

the restricted mean is the area below :math:`\hat S` up to a limit, and the partial likelihood [2]_
gives a log hazard ratio whatever the baseline is (ties by Efron's formula).

References
----------
.. [1] E. L. Kaplan and P. Meier, "Nonparametric estimation from incomplete observations", Journal
   of the American Statistical Association 53(282), 1958.
.. [2] D. R. Cox, "Regression models and life-tables", Journal of the Royal Statistical Society B
   34(2), 1972.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = ["Curve", "aalen_johansen", "cox", "kaplan_meier"]


@dataclass(frozen=True, eq=False)
class Curve:
    """A product-limit estimate."""

    times: Array  # of events, in order
    survival: Array  # from each of them on
    log_variance: Array  # Greenwood's variance of the logarithm of `survival`
    at_risk: Array  # how many were, just before each

    def at(self, times: Array) -> Array:
        """Return the curve at some times."""
        place = np.searchsorted(self.times, times, side="right")
        return np.concatenate([[1.0], self.survival])[place]

    def error(self, times: Array) -> Array:
        """Return the standard error of the curve at some times."""
        place = np.searchsorted(self.times, times, side="right")
        spread = np.sqrt(np.concatenate([[0.0], self.log_variance]))[place]
        return self.at(times) * np.where(np.isfinite(spread), spread, 0.0)

    def restricted_mean(self, upto: float) -> tuple[float, float]:
        """Return the area below the curve up to a limit, and its standard error."""
        inside = self.times[self.times < upto]
        edges = np.concatenate([[0.0], inside, [upto]])
        pieces = self.at(edges[:-1]) * np.diff(edges)
        after = pieces[::-1].cumsum()[::-1][1:]  # the area that is left from each event on
        jumps = np.diff(np.concatenate([[0.0], self.log_variance[: len(inside)]]))
        jumps = np.where(np.isfinite(jumps), jumps, 0.0)
        return float(pieces.sum()), float(np.sqrt(np.sum(after**2 * jumps)))


def kaplan_meier(
    time: Array, event: Array, entry: Array | None = None, weights: Array | None = None
) -> Curve:
    """Return the product-limit estimate.

    - `time`: of the event, or of censoring.
    - `event` (bool): whether it is an event.
    - `entry`: from when on a unit could be seen: it is at risk after it.
    - `weights`: of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> curve = kaplan_meier(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 0, 1, 0]) == 1)
    >>> curve.survival
    array([0.75 , 0.375])
    """
    time, event = np.asarray(time, float), np.asarray(event, bool)
    held = np.ones(len(time)) if weights is None else np.asarray(weights, float)
    times = np.unique(time[event & (held > 0)])
    events = np.zeros(len(times))
    np.add.at(events, np.searchsorted(times, time[event & (held > 0)]), held[event & (held > 0)])
    risk = _above(time, held, times)
    if entry is not None:
        risk = risk - _above(np.asarray(entry, float), held, times)
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(1.0 - events / risk)
        variance = np.cumsum(events / (risk * (risk - events)))
    return Curve(times, np.clip(survival, 0.0, 1.0), variance, risk)


def _above(values: Array, weights: Array, times: Array) -> Array:
    """Return, of each time, the weight of the values from it on."""
    order = np.argsort(values, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weights[order])])
    return np.asarray(total[-1] - total[np.searchsorted(values[order], times, side="left")])


def aalen_johansen(
    time: Array, cause: Array, at: Array, entry: Array | None = None
) -> dict[int, tuple[Array, Array]]:
    r"""Return the cumulative incidence of each cause at some times, and its standard error.

    :math:`\hat F_k(t) = \sum_{t_j \le t} \hat S(t_j-)\, d_{kj} / n_j`, with :math:`\hat S` of any
    event; the standard error is that of the delta method.

    - `time`, `cause`: of each row; the cause is 0 where the row is censored, else 1, 2, ...
    - `at`: times.
    - `entry`: from when on a row could be seen.

    Examples
    --------
    >>> import numpy as np
    >>> found = aalen_johansen(np.arange(1.0, 5.0), np.array([1, 2, 0, 1]), np.array([2.0, 4.0]))
    >>> found[1][0], found[2][0]
    (array([0.25, 0.75]), array([0.25, 0.25]))
    """
    whole = kaplan_meier(time, cause > 0, entry)
    before = np.concatenate([[1.0], whole.survival])[:-1]
    risk, found = whole.at_risk, {}
    deaths = _counts(time[cause > 0], whole.times)
    place = np.searchsorted(whole.times, at, side="right")
    for kind in range(1, int(cause.max(initial=0)) + 1):
        own = _counts(time[cause == kind], whole.times)
        curve = np.concatenate([[0.0], np.cumsum(before * own / risk)])
        errors = []
        for value, n in zip(curve[place], place, strict=True):
            gap = value - curve[1 : n + 1]
            d, y, b = deaths[:n], risk[:n], before[:n]
            with np.errstate(divide="ignore", invalid="ignore"):
                rest = np.where(y > d, gap**2 * d / (y * (y - d)), 0.0)
            parts = rest + b**2 * own[:n] * (y - own[:n]) / y**3 - 2 * gap * b * own[:n] / y**2
            errors.append(float(np.sqrt(max(parts.sum(), 0.0))))
        found[kind] = curve[place], np.array(errors)
    return found


def _counts(time: Array, grid: Array) -> Array:
    """Return how many times lie at each point of a grid that has them all."""
    return np.bincount(np.searchsorted(grid, time), minlength=len(grid)).astype(float)


def cox(
    time: Array, event: Array, design: Array, entry: Array | None = None
) -> tuple[Array, Array]:
    """Return the coefficients of a Cox regression, and their standard errors.

    - `time`, `event`, `entry`: as in :func:`kaplan_meier`.
    - `design` (n, p): the columns.
    Raises ArithmeticError if the partial likelihood has no maximum: one column tells all events
      apart.

    Examples
    --------
    >>> import numpy as np
    >>> time, x = np.arange(1.0, 7.0), np.array([[1.0], [0], [1], [0], [1], [0]])
    >>> cox(time, np.ones(6, bool), x)[0].round(3)
    array([0.632])
    """
    time, event = np.asarray(time, float), np.asarray(event, bool)
    middle = design.mean(axis=0)
    x = design - middle
    beta = np.zeros(x.shape[1])
    times, tied = np.unique(time[event], return_inverse=True)
    for _ in range(40):
        slope, curve = _score(time, event, x, beta, times, tied, entry)
        try:
            step = np.linalg.solve(curve, slope)
        except np.linalg.LinAlgError:
            raise ArithmeticError("the columns do not tell the units apart") from None
        beta = beta + step * min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            return beta, np.sqrt(np.diag(np.linalg.inv(curve)))
    raise ArithmeticError("the partial likelihood has no maximum")


def _score(
    time: Array,
    event: Array,
    x: Array,
    beta: Array,
    times: Array,
    tied: Array,
    entry: Array | None,
) -> tuple[Array, Array]:
    """Return slope and curvature of the partial log-likelihood, ties by Efron's formula."""
    risk = np.exp(x @ beta)
    p = x.shape[1]
    moments = np.concatenate([risk[:, None], risk[:, None] * x, risk[:, None] * _outer(x)], axis=1)
    over = np.stack([_above(time, m, times) for m in moments.T], axis=1)
    if entry is not None:
        over = over - np.stack([_above(entry, m, times) for m in moments.T], axis=1)
    dying = np.zeros_like(over)
    np.add.at(dying, tied, moments[event])
    count = np.bincount(tied, minlength=len(times))
    slope = x[event].sum(axis=0)
    curve = np.zeros((p, p))
    for k in range(int(count.max())):
        some = count > k
        left = over[some] - (k / count[some])[:, None] * dying[some]
        mean = left[:, 1 : p + 1] / left[:, :1]
        square = left[:, p + 1 :] / left[:, :1] - _outer(mean)
        slope = slope - mean.sum(axis=0)
        curve = curve + square.sum(axis=0).reshape(p, p)
    return slope, curve


def _outer(x: Array) -> Array:
    """Return the products of the columns of each row."""
    return np.asarray((x[:, :, None] * x[:, None, :]).reshape(len(x), -1))
