r"""The variance of matching, by Abadie and Imbens, and draws that have it.

With replacement the number of times that a unit is used as a match does not become normal with the
sample, and the bootstrap of the whole procedure is invalid [1]_. Conditional on the matches the
estimator is linear in the outcomes, with variance

.. math:: \hat V = \frac{1}{n^2} \sum_i (\hat Y_{1i} - \hat Y_{0i} - \hat\tau)^2
   + \frac{1}{n^2} \sum_i (K_i^2 + 2 K_i - Q_i)\, \hat\sigma_i^2

for all units, and for the treated [2]_

.. math:: \hat V = \frac{1}{n_1^2} \sum_{T_i = 1} (Y_i - \hat Y_{0i} - \hat\tau)^2
   + \frac{1}{n_1^2} \sum_{T_i = 0} (K_i^2 - Q_i)\, \hat\sigma_i^2 ,

:math:`K_i` and :math:`Q_i` being the sums of a unit's weights, and of their squares, as a match of
others, and :math:`\hat\sigma_i^2` the spread of the outcome among its nearest units of its own arm.
About the units at hand, with the covariates they have, it is :math:`\sum_i (g_i + K_i)^2
\hat\sigma_i^2 / (\sum_i g_i)^2`.

The draws are the linear form under the Bayesian-bootstrap weights, the matches held, which is a
valid bootstrap [3]_, stretched to this variance: so they go together with those of others.

References
----------
.. [1] A. Abadie and G. W. Imbens, "On the failure of the bootstrap for matching estimators",
   Econometrica 76 (2008), 1537-1557.
.. [2] A. Abadie and G. W. Imbens, "Large sample properties of matching estimators for average
   treatment effects", Econometrica 74 (2006), 235-267.
.. [3] T. Otsu and Y. Rai, "Bootstrap inference of matching estimators for average treatment
   effects", Journal of the American Statistical Association 112 (2017), 1720-1732.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.estimators.matching.neighbours import nearest

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["abadie_imbens", "linear_form", "spread_around"]

#: Nearest units of the own arm that tell the spread of the outcome.
SAME = 2


def spread_around(problem: Problem, points: np.ndarray, many: int = SAME) -> np.ndarray:
    """Return the variance of each unit's outcome, from its nearest units of its own arm."""
    found = np.zeros(problem.n)
    for arm in (problem.treated, problem.control):
        own, y = points[arm], problem.y[arm]
        j = min(many, len(y) - 1)
        if j < 1:
            continue
        near = nearest(own, own, j + 1, "first")
        total = (near @ y) * (j + 1)
        itself = near.diagonal() > 0  # not, if others at its own place stand before it
        others = np.where(itself, (total - y) / j, total / (j + 1))
        count = np.where(itself, j, j + 1)
        found[arm] = count / (count + 1.0) * (y - others) ** 2
    return found


def abadie_imbens(
    problem: Problem,
    asked: np.ndarray,
    match: csr_array,
    imputed: np.ndarray,
    sigma2: np.ndarray,
) -> float:
    """Return the standard error of the average difference over the units asked about.

    - `asked` (unit, bool): those in the population that were matched.
    - `match` (unit, unit): the weights of the matches of those.
    - `imputed` (2, unit): their outcomes in the treated and the control world.
    """
    n = asked.sum()
    used = np.asarray(match.sum(axis=0)).reshape(-1)
    if problem.fixed:
        return float(np.sqrt((((asked + used) ** 2) * sigma2).sum()) / n)
    squared = np.asarray(match.power(2).sum(axis=0)).reshape(-1)
    apart = (imputed[0] - imputed[1])[asked]
    first = ((apart - apart.mean()) ** 2).sum()
    second = ((used**2 + 2 * used * asked - squared) * sigma2).sum()
    return float(np.sqrt(max(first + second, 0.0)) / n)


def linear_form(
    problem: Problem,
    asked: np.ndarray,
    match: csr_array,
    fitted: np.ndarray,
    means: np.ndarray,
) -> np.ndarray:
    """Return what each unit adds to the two means, ``(2, unit)``, beside their value.

    - `fitted` (2, unit): the outcome predicted in both worlds.
    - `means` (2): the two means.
    """
    n = asked.sum()
    used = np.asarray(match.sum(axis=0)).reshape(-1)
    residual = np.where(problem.treated, problem.y - fitted[0], problem.y - fitted[1])
    own = np.stack([problem.treated, problem.control]) * (asked + used) * residual
    if not problem.fixed:
        own = own + asked * (fitted - means[:, None])
    return np.asarray(own / n)
