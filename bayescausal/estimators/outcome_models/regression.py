r"""Regression adjustment: the coefficient of the treatment.

.. math:: Y = \alpha + \tau T + \beta' X + \varepsilon, \qquad
   \sum_i w_i\, (1, T_i, X_i)' (Y_i - \alpha - \tau T_i - \beta' X_i) = 0 .

Consistent for the effect if the outcome is linear in what is adjusted for and the effect is the
same for all. If the effect varies, :math:`\tau` is an average of it over units weighted by the
variance of the treatment given x, not over the population [1]_. It extrapolates where the arms do
not overlap, without a sign of it; the weights that it implies for the units [2]_, some of them
negative, tell.

The draws refit it under Bayesian-bootstrap weights, whose spread is that of the robust
(heteroskedasticity-consistent) standard error; the classical and the HC3 error stand beside them.

References
----------
.. [1] J. D. Angrist and J.-S. Pischke, *Mostly Harmless Econometrics*, Princeton University Press,
   2009, section 3.3.
.. [2] A. Chattopadhyay and J. R. Zubizarreta, "On the implied weights of linear regression for
   causal inference", Biometrika 110 (2023), 615-629.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bayescausal.estimators.estimator import Estimator, Prepared
from bayescausal.estimators.nuisance.averages import population_weights
from bayescausal.estimators.numerics.least_squares import (
    LeastSquares,
    refuse_ties,
    scales_of,
    with_constant,
)
from bayescausal.estimators.problem.encoding import far_means
from bayescausal.estimators.problem.problem import clustered_error

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["Regression"]


@dataclass(frozen=True)
class Regression(Estimator):
    """Ordinary least squares of the outcome on the treatment and what is adjusted for.

    References
    ----------
    J. D. Angrist and J.-S. Pischke, *Mostly Harmless Econometrics*, Princeton University Press,
    2009, chapter 3.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.Regression().models
    'outcome'
    """

    name: ClassVar[str] = "regression"
    models: ClassVar[str] = "outcome"
    assumes: ClassVar[str] = "outcome linear in the covariates; one effect for all"
    transports: ClassVar[bool] = True
    takes_doses: ClassVar[bool] = True
    other_levels: ClassVar[bool] = True

    def prepared(self, problem: Problem) -> Prepared:
        """Return the regression, ready to be fitted under any weights."""
        dosed = problem.dose is not None and bool((problem.arm < 0).any())
        if dosed:
            assert problem.dose is not None
            assert problem.levels is not None
            zero = float(far_means(problem.dose))
            column, (high, low) = problem.dose - zero, (v - zero for v in problem.levels)
            rows = slice(0, problem.n)
        else:
            column, high, low = problem.treated.astype(float), 1.0, 0.0
            rows = slice(0, problem.arms[1].stop)
        covariates = with_constant(problem.x)
        design = np.column_stack([column, covariates])[rows]
        y, gap = problem.y[rows], high - low
        refuse_ties(design, (problem.treatment, "constant", *problem.names), "the regression")
        model = LeastSquares(design, y)
        beta = model.under(np.ones((1, len(y))))[0]

        def draw(weights: np.ndarray) -> np.ndarray:
            found = model.under(weights[:, rows])
            if problem.target is not None:
                middle = found[:, 1:] @ with_constant(problem.target.x).mean(axis=0)
            else:
                own = population_weights(problem, weights)
                middle = (found[:, 1:] * ((own @ covariates) / own.sum(axis=1)[:, None])).sum(1)
            return np.stack([middle + high * found[:, 0], middle + low * found[:, 0]])

        implied = np.zeros(problem.n)
        implied[rows] = _contrast(design)
        errors = _errors(design, y - design @ beta)
        if problem.clusters is not None:
            parts = np.zeros(problem.n)
            parts[rows] = implied[rows] * (y - design @ beta)
            errors["clustered"] = clustered_error(problem, parts)
        errors = {name: value * abs(gap) for name, value in errors.items()}
        robust = "clustered" if problem.clusters is not None else "hc3"
        notes = [
            f"Least squares: {beta[0] * gap:.6g}, standard error {errors['classical']:.4g} "
            f"(robust, {'by clusters' if robust == 'clustered' else 'HC3'}: {errors[robust]:.4g})."
        ]
        if dosed:
            notes.append(f"The outcome is taken to be linear in {problem.treatment}.")
        negative = float(((implied * np.where(problem.treated, 1, -1)) < 0).mean())
        if negative > 0 and not dosed:
            notes.append(
                f"{negative:.0%} of the units have a negative weight: it extrapolates there."
            )
        return Prepared(
            draw,
            self.draws_text(problem),
            weights=None if dosed else np.where(problem.treated, implied, -implied),
            fitted=None if dosed else (covariates @ beta[1:])[None] + np.array([[beta[0]], [0.0]]),
            se=errors[robust],
            numbers=errors,
            notes=tuple(notes),
        )


def _contrast(design: np.ndarray) -> np.ndarray:
    """Return the weights with which outcomes enter the coefficient of the first column."""
    size = scales_of(design)
    scaled = design / size
    first = np.linalg.solve(scaled.T @ scaled, np.eye(design.shape[1])[0])
    return np.asarray(scaled @ first / size[0])


def _errors(design: np.ndarray, residual: np.ndarray) -> dict[str, float]:
    """Return the classical and the HC3 standard error of the first coefficient."""
    n, k = design.shape
    size = scales_of(design)
    scaled = design / size
    inverse = np.linalg.inv(scaled.T @ scaled)
    first = scaled @ inverse[0] / size[0]
    leverage = np.minimum(((scaled @ inverse) * scaled).sum(axis=1), 1 - 1e-12)
    classical = np.sqrt((residual @ residual) / max(n - k, 1) * inverse[0, 0]) / size[0]
    robust = np.sqrt(((first * residual / (1 - leverage)) ** 2).sum())
    return {"classical": float(classical), "hc3": float(robust)}
