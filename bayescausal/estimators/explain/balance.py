r"""How alike the arms are before and after an estimator's weights.

.. math:: d = \frac{\bar x_1 - \bar x_0}{\sqrt{(s_1^2 + s_0^2) / 2}},

the spread being that before weighting, so that both differences have one unit [1]_. Of an estimator
that is linear in the outcomes (regression, matching) the weights are those with which these enter
the two means.

References
----------
.. [1] P. C. Austin, "Balance diagnostics for comparing the distribution of baseline covariates
   between treatment groups in propensity-score matched samples", Statistics in Medicine 28
   (2009), 3083-3107.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.estimators.weighting.balancing import effective_size

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["differences", "weight_summary"]


def differences(problem: Problem, weights: np.ndarray | None = None) -> pd.Series:
    """Return the standardised difference of each column between the arms.

    ``weights``: ``(unit,)``; default: equal within each arm. Empty cells are left out.
    """
    one, zero = problem.treated, problem.control
    x = problem.x
    own = np.ones(problem.n) if weights is None else weights
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [_mean(x[a], own[a]) for a in (one, zero)]
        spread = np.sqrt((np.nanvar(x[one], axis=0) + np.nanvar(x[zero], axis=0)) / 2)
        gap = means[0] - means[1]
        found = np.where(gap == 0, 0.0, gap / spread)  # without spread infinitely far apart
    return pd.Series(found, index=list(problem.names), dtype=float)


def _mean(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean of each column over its cells that are not empty."""
    there = np.isfinite(x)
    return np.asarray((weights @ np.where(there, x, 0.0)) / (weights @ there))


def weight_summary(problem: Problem, weights: np.ndarray | None) -> dict[str, float]:
    """Return the effective sizes of both arms, the largest weight, and what balance is left."""
    nothing = float("nan")
    if weights is None:
        return {
            "ess_treated": nothing,
            "ess_control": nothing,
            "largest_weight": nothing,
            "balance": nothing,
        }
    shares = [np.abs(weights[a]) / max(np.abs(weights[a]).sum(), 1e-300)
              for a in (problem.treated, problem.control)]  # fmt: skip
    left = differences(problem, weights).abs()
    return {
        "ess_treated": effective_size(weights[problem.treated]),
        "ess_control": effective_size(weights[problem.control]),
        "largest_weight": float(max(s.max() for s in shares)),
        "balance": float(left.max()) if len(left) else 0.0,
    }
