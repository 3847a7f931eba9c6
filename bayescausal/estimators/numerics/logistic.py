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

from bayescausal.estimators.numerics.least_squares import (
    CrossProducts,
    cross_products,
    scales_of,
    solve,
)
from bayescausal.types import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["SEPARATED", "LogisticRegressions", "logistic_point"]

#: Largest linear predictor of a solution; beyond it the maximum lies at infinity.
SEPARATED = 30.0
#: Newton's decrement, in standard errors, at which a solution is taken.
CLOSE = 1e-3
#: Largest change of a linear predictor along which chances are taken to be straight (to 1e-6).
LINEAR = 3e-3
#: Share of a step that the next may have without new second derivatives.
SHRINKS = 0.2
#: Largest change of a linear predictor in one step: further away second derivatives mislead.
REACH = 1.5
STEPS = 60


def logistic_point(
    design: np.ndarray,
    y: np.ndarray,
    weights: ArrayLike | None = None,
    penalty: float = 0.0,
    what: str = "the logistic regression",
) -> np.ndarray:
    """Return the coefficients ``(column,)`` under one set of weights.

    `penalty`: of half the squared coefficients, the first (the constant) excepted: 1 / C of
    sklearn.
    Raises DataError if the columns separate the two outcomes, or Newton's steps do not arrive.

    Examples
    --------
    >>> import numpy as np
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


class LogisticRegressions:
    """A logistic regression, ready for many sets of weights.

    `start` (column): the solution for equal weights.
    """

    def __init__(
        self,
        design: np.ndarray,
        y: np.ndarray,
        start: np.ndarray,
        penalty: float = 0.0,
        what: str = "the logistic regression",
    ) -> None:
        self.size = scales_of(design)
        self.design, self.y, self.what = design / self.size, y, what
        self.start, self.lift = start * self.size, _penalties(self.size, penalty)
        self.eta = self.design @ self.start
        self.p = expit(self.eta)
        curved = self.design * np.sqrt(self.p * (1 - self.p))[:, None]
        self.curvature = CrossProducts(curved)
        self.pull = self.design * (self.y - self.p)[:, None]
        self.widest = np.abs(self.design).max(axis=0)

    def under(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return coefficients ``(draw, column)`` and chances ``(draw, unit)`` under each set.

        Raises DataError if a draw does not arrive.
        """
        x, y = self.design, self.y
        beta = np.tile(self.start, (len(weights), 1))
        hessian = self.curvature.under(weights) + np.diag(self.lift)
        gradient = weights @ self.pull - self.lift * beta
        found, chance = np.empty_like(beta), np.empty_like(weights)
        eta, p = self.eta, self.p
        left, last = np.arange(len(weights)), np.full(len(weights), np.inf)
        for number in range(STEPS):
            step = solve(hessian, gradient, self.what)
            far = np.sqrt(np.maximum(np.einsum("bk,bk->b", step, gradient), 0.0))
            move = step @ x.T
            bound = np.abs(step) @ self.widest
            if number:
                shrunk = np.minimum(1.0, far / np.where(last > 0, last, far + 1.0))
                done = (far * shrunk < CLOSE) & (bound < LINEAR)
                if done.any():
                    found[left[done]] = beta[done] + step[done]
                    own = p[done]
                    chance[left[done]] = own + own * (1 - own) * move[done]
                    go = ~done
                    if not go.any():
                        return found / self.size, chance
                    left, beta, eta, weights = left[go], beta[go], eta[go], weights[go]
                    hessian, step, move = hessian[go], step[go], move[go]
                    far, last, bound = far[go], last[go], bound[go]
            share = np.ones(len(left))
            if bound.max() > REACH:
                share = np.minimum(1.0, REACH / np.maximum(np.abs(move).max(axis=1), 1e-300))
                step, move = share[:, None] * step, share[:, None] * move
            beta = beta + step
            move += eta
            eta = move
            p = expit(eta)
            gradient = (weights * (y - p)) @ x - self.lift * beta
            slow = (far > SHRINKS * last) | (share < 1)
            if slow.any():
                curved = weights[slow] * p[slow] * (1 - p[slow])
                hessian[slow] = cross_products(x, curved) + np.diag(self.lift)
            last = far
        raise _separated(self.what)


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
        "is at which level. Of a treatment that means that there is no overlap.",
        expected="units of both levels among those that are alike.",
        remedy="Ask about units inside the overlap (given=), merge rare levels, or pass a "
        "penalised model: treatment=bc.estimators.Logistic(penalty=1), or for the outcome "
        "outcome=sklearn.linear_model.LogisticRegression().",
    )
