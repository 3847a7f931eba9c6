r"""The censored likelihood of parametric families, maximised: a comparison that costs no sampling.

.. math:: \ell = \sum_{event} \log f(t_i) + \sum_{right} \log S(t_i) + \sum_{left} \log F(t_i)
   + \sum_{interval} \log(S(t_i) - S(u_i)) - \sum_i \log S(a_i)

with :math:`a_i` the time of entry [1]_.

References
----------
.. [1] J. P. Klein and M. L. Moeschberger, *Survival Analysis*, 2nd ed., Springer, 2003,
   section 3.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats
from scipy.optimize import minimize

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.designs.time_to_event.records import Records

__all__ = ["censored_likelihood", "maximum_likelihood"]


def _law(family: str, middle: Array, scale: float) -> Any:
    """Return the distribution for a predictor and the logarithm of the other parameter."""
    size = np.exp(scale)
    if family == "weibull":
        return stats.weibull_min(size, scale=np.exp(middle))
    if family == "exponential":
        return stats.expon(scale=np.exp(middle))
    if family == "lognormal":
        return stats.lognorm(size, scale=np.exp(middle))
    if family == "loglogistic":
        return stats.fisk(1.0 / size, scale=np.exp(middle))
    return stats.gamma(size, scale=np.exp(middle) / size)


def censored_likelihood(family: str, records: Records, middle: Array, scale: float) -> float:
    """Return the log-likelihood of a table for a predictor and the log of the other parameter."""
    time, status = records.times, records.status
    with np.errstate(all="ignore"):
        law = _law(family, middle, scale)
        entered = law.logsf(0.0 if records.entry is None else records.entry)
        before = entered + np.log1p(-np.exp(law.logsf(time) - entered))
        terms = np.select(
            [status == 1, status == 0, status == 2], [law.logpdf(time), law.logsf(time), before]
        )
        if records.upper is not None:
            inside = law.logsf(time) + np.log1p(-np.exp(law.logsf(records.upper) - law.logsf(time)))
            terms = np.where(status == 3, inside, terms)
        total = float(np.sum(terms - entered))
    return total if np.isfinite(total) else -np.inf


def maximum_likelihood(records: Records, design: Array) -> list[dict[str, Any]]:
    """Return the maximum of each family: its name, log-likelihood and AIC."""
    wide = np.std(design, axis=0)
    x = (design - design.mean(axis=0)) / np.where(wide > 0, wide, 1.0)
    rows = []
    for family in ("weibull", "exponential", "lognormal", "loglogistic", "gamma"):
        free = family != "exponential"

        def loss(p: Array, family: str = family, free: bool = free) -> float:
            middle = p[0] + x @ p[1 : 1 + x.shape[1]]
            value = -censored_likelihood(family, records, middle, p[-1] if free else 0.0)
            return value if np.isfinite(value) else 1e12

        start = np.zeros(1 + x.shape[1] + free)
        start[0] = -np.log(records.rate())
        found = minimize(loss, start, method="BFGS")
        best = minimize(loss, found.x, method="Nelder-Mead", options={"maxiter": 200})
        height = -min(float(best.fun), float(found.fun))
        rows.append(
            {"family": family, "log-likelihood": height, "AIC": 2 * len(start) - 2 * height}
        )
    return rows
