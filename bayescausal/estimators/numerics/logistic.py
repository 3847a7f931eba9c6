r"""Logistic regression under many sets of weights at once.

The weighted maximum of :math:`\sum_i w_i \{y_i \eta_i - \log(1 + e^{\eta_i})\} -
\tfrac{\lambda}{2} \lVert \beta \rVert^2` (the constant is not penalised) solves

.. math:: \sum_i w_i (y_i - p_i)\, x_i = \lambda \beta .

Newton's steps start at the solution for equal weights, from which that of a draw is
:math:`O(n^{-1/2})` away; the second derivatives stay those at the start as long as steps shrink
fast, since each such step leaves a share of :math:`O(n^{-1/2})` of the distance [1]_. Only where
they do not are they made anew. The measure of the distance is Newton's decrement, that is, standard
errors of the coefficients.

It fails where a combination of the columns separates the two outcomes: the maximum then lies at
infinity, and chances of 0 and 1 are no estimates. That is refused by name.

References
----------
.. [1] C. T. Kelley, *Iterative Methods for Linear and Nonlinear Equations*, SIAM, 1995, chapter 5
   (the chord method).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from bayescausal.estimators.numerics.least_squares import cross_products, scales_of, solve
from bayescausal.types import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["SEPARATED", "logistic_point", "logistic_regressions"]

#: Largest linear predictor of a solution; beyond it the maximum lies at infinity.
SEPARATED = 30.0
#: Newton's decrement, in standard errors, at which a solution is taken.
CLOSE = 1e-4
#: Share of a step that the next may have without new second derivatives.
SHRINKS = 0.2
STEPS = 60


def logistic_point(
    design: np.ndarray,
    y: np.ndarray,
    weights: ArrayLike | None = None,
    penalty: float = 0.0,
    what: str = "the logistic regression",
) -> np.ndarray:
    """Return the coefficients ``(column,)`` under one set of weights.

    Parameters
    ----------
    penalty : float
        Of half the squared coefficients, the first (the constant) excepted: 1 / C of sklearn.

    Raises
    ------
    DataError
        If the columns separate the two outcomes, or Newton's steps do not arrive.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.estimators.numerics.logistic import logistic_point
    >>> beta = logistic_point(np.ones((4, 1)), np.array([0.0, 0.0, 0.0, 1.0]))
    >>> round(float(beta[0]), 6) == round(float(np.log(1 / 3)), 6)
    True
    """
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    size = scales_of(design)
    scaled = design / size
    lift = _penalties(size, penalty)
    beta = np.zeros(design.shape[1])
    value = _loss(scaled, y, w, beta, lift)
    for _ in range(STEPS):
        p = expit(scaled @ beta)
        gradient = (w * (y - p)) @ scaled - lift * beta
        hessian = cross_products(scaled, (w * p * (1 - p))[None])[0] + np.diag(lift)
        try:
            step = solve(hessian[None], gradient[None], what)[0]
        except DataError as error:
            raise _separated(what) from error
        decrement = float(step @ gradient)
        share = 1.0
        while share > 1e-6:  # a full step may overshoot far from the maximum
            trial = _loss(scaled, y, w, beta + share * step, lift)
            if trial <= value + 1e-12 * abs(value):
                break
            share /= 2
        beta, value = beta + share * step, trial
        if np.abs(scaled @ beta).max() > SEPARATED and penalty == 0:
            raise _separated(what)
        if decrement < 1e-16:
            break
    else:
        raise DataError(f"{what} did not converge in {STEPS} Newton steps.")
    return np.asarray(beta / size)


def logistic_regressions(
    design: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    start: np.ndarray,
    penalty: float = 0.0,
    what: str = "the logistic regression",
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients ``(draw, column)`` and chances ``(draw, unit)`` under many weights.

    Parameters
    ----------
    start : ndarray (column,)
        The solution for equal weights.

    Raises
    ------
    DataError
        If a draw does not arrive.
    """
    size = scales_of(design)
    scaled = design / size
    lift = _penalties(size, penalty)
    p0 = expit(design @ start)
    hessian = cross_products(scaled * np.sqrt(p0 * (1 - p0))[:, None], weights) + np.diag(lift)
    beta = np.broadcast_to(start * size, (len(weights), len(size)))
    gradient = weights @ (scaled * (y - p0)[:, None]) - lift * beta
    chance, last = p0[None], np.inf
    for _ in range(STEPS):
        step = solve(hessian, gradient, what)
        decrement = np.sqrt(max(float(np.einsum("bk,bk->b", step, gradient).max()), 0.0))
        if decrement < CLOSE and np.ndim(chance) == 2 and len(chance) == len(weights):
            return beta / size, chance
        beta = beta + step
        chance = expit(beta @ scaled.T)
        gradient = (weights * (y - chance)) @ scaled - lift * beta
        if decrement > SHRINKS * last:
            hessian = cross_products(scaled, weights * chance * (1 - chance)) + np.diag(lift)
        last = decrement
    raise _separated(what)


# ------------------------------------------------------------------------------- private


def _penalties(size: np.ndarray, penalty: float) -> np.ndarray:
    """Return the penalty of each scaled coefficient; the constant, the first, has none."""
    lift = penalty / size**2
    lift[0] = 0.0
    return np.asarray(lift)


def _loss(x: np.ndarray, y: np.ndarray, w: np.ndarray, beta: np.ndarray, lift: np.ndarray) -> float:
    eta = x @ beta
    return float(w @ (np.logaddexp(0, eta) - y * eta) + 0.5 * lift @ beta**2)


def _separated(what: str) -> DataError:
    return DataError(
        f"{what} has no finite solution: the columns tell apart, for some units without error, who "
        "is at which level, so there is no overlap.",
        expected="units of both levels among those that are alike.",
        remedy="Ask about units inside the overlap (given=), merge rare levels, or pass a "
        "penalised model: treatment=bc.estimators.Logistic(penalty=1).",
    )
