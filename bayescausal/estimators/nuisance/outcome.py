r"""The outcome given the treatment and what is adjusted for, :math:`m_t(x) = E[Y \mid T=t, X=x]`.

Linear or logistic, its coefficients are fitted anew under the weights of each draw: apart in each
arm (which is all interactions of the treatment), or together with one coefficient of the treatment.
A model with ``fit`` and ``predict`` is fitted once, on other folds than those it predicts.

Averages of predictions over many units are averages of the columns times coefficients where the
model is linear; nothing of the size draws times units is made for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from bayescausal.estimators.nuisance.learners import outcomes_of
from bayescausal.estimators.numerics.least_squares import (
    least_squares,
    refuse_ties,
    with_constant,
)
from bayescausal.estimators.numerics.logistic import logistic_point, logistic_regressions
from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["Fitted", "Response", "response"]

FORMS = ("auto", "linear", "logistic")


@dataclass(frozen=True, eq=False)
class Fitted:
    """The outcome's model under a block of weights.

    Attributes
    ----------
    coefficients : ndarray (2, draw, column) or None
        Of the treated and the control world on a design with a constant.
    predictions : ndarray (2, unit) or None
        Where there are no coefficients.
    """

    design: np.ndarray
    coefficients: np.ndarray | None
    predictions: np.ndarray | None
    logistic: bool

    def total(self, k: int, weights: np.ndarray, design: np.ndarray | None = None) -> np.ndarray:
        """Return the weighted sum of predictions in a world, ``(draw,)``; 0 is the treated one.

        Parameters
        ----------
        weights : ndarray (draw or 1, unit)
        design : ndarray, optional
            Of other units than those it was fitted to.
        """
        if self.coefficients is None:
            assert self.predictions is not None
            return np.asarray(weights @ self.predictions[k])
        rows = self.design if design is None else design
        beta = self.coefficients[k]
        if not self.logistic:
            return np.asarray(((weights @ rows) * beta).sum(axis=1))
        return np.asarray((weights * expit(beta @ rows.T)).sum(axis=1))

    def values(self, k: int, design: np.ndarray | None = None) -> np.ndarray:
        """Return the predictions ``(draw or 1, unit)`` in a world; 0 is the treated one."""
        if self.coefficients is None:
            assert self.predictions is not None
            return self.predictions[k][None]
        found = self.coefficients[k] @ (self.design if design is None else design).T
        return np.asarray(expit(found) if self.logistic else found)


@dataclass(frozen=True, eq=False)
class Response:
    """The outcome's model of a problem: under any weights, and at equal ones.

    Attributes
    ----------
    point : ndarray (2, unit)
        Predictions at equal weights in the treated and the control world.
    refits : bool
        Whether it is fitted anew for each draw.
    """

    problem: Problem
    design: np.ndarray
    logistic: bool
    together: bool
    point: np.ndarray
    start: np.ndarray | None  #: coefficients at equal weights, as they are fitted
    refits: bool

    def under(self, weights: np.ndarray) -> Fitted:
        """Return the model under a block of weights."""
        if not self.refits:
            return Fitted(self.design, None, self.point, self.logistic)
        key = ("outcome", self.logistic, self.together)
        beta = self.problem.remember(key, weights, lambda: self._coefficients(weights))
        return Fitted(self.design, beta, None, self.logistic)

    def _coefficients(self, weights: np.ndarray) -> np.ndarray:
        """Return coefficients ``(2, draw, column)``."""
        problem, what = self.problem, f"the regression of {self.problem.outcome}"
        if self.together:
            rows = problem.arm >= 0
            design = _with_arm(self.design, problem.treated)[rows]
            beta = self._solved(design, rows, weights, 0, what)
            return _worlds(beta)
        found = [
            self._solved(self.design[rows], rows, weights, k, what)
            for k, rows in enumerate((problem.treated, problem.control))
        ]
        return np.stack(found)

    def _solved(
        self, design: np.ndarray, rows: np.ndarray, weights: np.ndarray, k: int, what: str
    ) -> np.ndarray:
        y, own = self.problem.y[rows], weights[:, rows]
        if not self.logistic:
            return least_squares(design, y, own, what)
        assert self.start is not None
        return logistic_regressions(design, y, own, self.start[k], what=what)[0]


def response(
    problem: Problem, model: Any = "auto", *, together: bool = False, folds: int = 5
) -> Response:
    """Return the model of the outcome of a problem.

    Parameters
    ----------
    model : {"auto", "linear", "logistic"} or an object with fit and predict
        ``"auto"``: logistic where the outcome is 0 or 1, linear otherwise.
    together : bool
        One coefficient of the treatment for all units, instead of a regression in each arm.
    folds : int
        Of a model that is fitted once: it predicts the folds that it was not fitted to; 1: its own.

    Raises
    ------
    EstimandError
        For an unknown form, and a logistic one of an outcome that is not 0 or 1.
    """
    if not isinstance(model, str):
        point = outcomes_of(problem, model, folds, together=together)
        return Response(problem, np.empty((problem.n, 0)), False, together, point, None, False)
    if model not in FORMS:
        raise EstimandError(
            f"outcome={model!r}.",
            expected=f"one of {', '.join(FORMS)}, or an object with fit and predict.",
            names=closest(model, FORMS)[:1],
        )
    logistic = model == "logistic" or (model == "auto" and problem.binary)
    if logistic and not problem.binary:
        raise EstimandError(
            f"outcome='logistic' for {problem.outcome!r}, which is not 0 or 1.",
            expected="outcome='linear'.",
        )
    design = with_constant(problem.x)
    start = _start(problem, design, logistic, together)
    coefficients = start if not together else _worlds(start)[:, 0]
    point = coefficients @ design.T
    point = expit(point) if logistic else point
    return Response(problem, design, logistic, together, point, start, True)


# ------------------------------------------------------------------------------- private


def _start(problem: Problem, design: np.ndarray, logistic: bool, together: bool) -> np.ndarray:
    """Return the coefficients at equal weights, as they are fitted: ``(1 or 2, column)``."""
    names = ("constant", *problem.names)
    what = f"the regression of {problem.outcome}"
    if together:
        rows = problem.arm >= 0
        parts = [(_with_arm(design, problem.treated)[rows], rows)]
        said = [(what, (problem.treatment, *names))]
    else:
        parts = [(design[rows], rows) for rows in (problem.treated, problem.control)]
        said = [(f"{what} among the {who}", names) for who in ("treated", "untreated")]
    found = []
    for (own, rows), (label, columns) in zip(parts, said, strict=True):
        refuse_ties(own, columns, label)
        y = problem.y[rows]
        if logistic:
            found.append(logistic_point(own, y, None, 0.0, label))
        else:
            found.append(least_squares(own, y, np.ones((1, len(y))), label)[0])
    return np.stack(found)


def _with_arm(design: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Return the design with the treatment in front of the constant."""
    return np.column_stack([treated.astype(float), design])


def _worlds(beta: np.ndarray) -> np.ndarray:
    """Return the coefficients in both worlds of one model with the treatment in front."""
    control = beta[..., 1:]
    treated = control.copy()
    treated[..., 0] += beta[..., 0]
    return np.stack([treated, control])
