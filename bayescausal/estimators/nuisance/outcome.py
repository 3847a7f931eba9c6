r"""The outcome given the treatment and what is adjusted for, :math:`m_t(x) = E[Y \mid T=t, X=x]`.

Linear or logistic, its coefficients are fitted anew under the weights of each draw: apart in each
arm (which is all interactions of the treatment), or together with one coefficient of the treatment.
A model with ``fit`` and ``predict`` is fitted once, on other folds than those it predicts.

Averages of predictions over many units are averages of the columns times coefficients where the
model is linear; nothing of the size draws times units is made for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from bayescausal.estimators.nuisance.learners import outcomes_of
from bayescausal.estimators.numerics.least_squares import LeastSquares, refuse_ties, with_constant
from bayescausal.estimators.numerics.logistic import LogisticRegressions, logistic_point
from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["Fitted", "Response", "response"]

FORMS = ("auto", "linear", "logistic")


@dataclass(frozen=True, eq=False)
class Fitted:
    """The outcome's model under a block of weights."""

    design: np.ndarray
    # Of the treated and the control world on a design with a constant.
    coefficients: np.ndarray | None
    predictions: np.ndarray | None  # where there are no coefficients
    logistic: bool

    def total(self, k: int, weights: np.ndarray, design: np.ndarray | None = None) -> np.ndarray:
        """Return the weighted sum of predictions in a world, ``(draw,)``; 0 is the treated one.

        - `weights` (draw or 1, unit)
        - `design`: of other units than those it was fitted to.
        """
        if self.coefficients is None:
            assert self.predictions is not None
            return np.asarray(weights @ self.predictions[k])
        rows = self.design if design is None else design
        beta = self.coefficients[k]
        if not self.logistic:
            return np.asarray(((weights @ rows) * beta).sum(axis=1))
        return np.asarray((weights * expit(beta @ rows.T)).sum(axis=1))

    def total_of(self, k: int, weights: np.ndarray, rows: slice) -> np.ndarray:
        """Return the weighted sum of the predictions of some units, ``weights`` being theirs."""
        if self.coefficients is None:
            assert self.predictions is not None
            return np.asarray(weights @ self.predictions[k][rows])
        return self.total(k, weights, self.design[rows])

    def values(self, k: int, design: np.ndarray | None = None) -> np.ndarray:
        """Return the predictions ``(draw or 1, unit)`` in a world; 0 is the treated one."""
        if self.coefficients is None:
            assert self.predictions is not None
            return self.predictions[k][None]
        found = self.coefficients[k] @ (self.design if design is None else design).T
        return np.asarray(expit(found) if self.logistic else found)


@dataclass(frozen=True, eq=False)
class Response:
    """The outcome's model of a problem: under any weights, and at equal ones."""

    problem: Problem
    design: np.ndarray
    logistic: bool
    together: bool
    point: np.ndarray  # (2, unit) Predictions at equal weights in the treated and the control world
    models: tuple[LeastSquares | LogisticRegressions, ...] = ()
    rows: tuple[slice, ...] = ()  #: the units that each is fitted to

    @property
    def refits(self) -> bool:
        """Whether it is fitted anew for each draw."""
        return bool(self.models)

    def under(self, weights: np.ndarray) -> Fitted:
        """Return the model under a block of weights."""
        if not self.refits:
            return Fitted(self.design, None, self.point, self.logistic)
        key = ("outcome", self.logistic, self.together)
        beta = self.problem.remember(key, weights, lambda: self._coefficients(weights))
        return Fitted(self.design, beta, None, self.logistic)

    def _coefficients(self, weights: np.ndarray) -> np.ndarray:
        """Return coefficients ``(2, draw, column)``."""
        found = [
            model.under(weights[:, rows])[0]
            if isinstance(model, LogisticRegressions)
            else model.under(weights[:, rows])
            for model, rows in zip(self.models, self.rows, strict=True)
        ]
        return _worlds(found[0]) if self.together else np.stack(found)


def response(
    problem: Problem, model: object = "auto", *, together: bool = False, folds: int = 5
) -> Response:
    """Return the model of the outcome of a problem.

    - `model` ({"auto", "linear", "logistic"} or an object with fit and predict): ``"auto"``:
      logistic where the outcome is 0 or 1, linear otherwise.
    - `together`: one coefficient of the treatment for all units, instead of a regression in each
      arm.
    - `folds`: of a model that is fitted once: it predicts the folds that it was not fitted to; 1:
      its own.
    Raises EstimandError for an unknown form, and a logistic one of an outcome that is not 0 or 1.
    """
    if not isinstance(model, str):
        point = outcomes_of(problem, model, folds, together=together)
        return Response(problem, np.empty((problem.n, 0)), False, together, point)
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
    models, rows, starts = _fits(problem, design, logistic, together)
    coefficients = _worlds(starts[0]) if together else np.stack(starts)
    point = coefficients @ design.T
    point = expit(point) if logistic else point
    return Response(problem, design, logistic, together, point, models, rows)


# ------------------------------------------------------------------------------- private


def _fits(
    problem: Problem, design: np.ndarray, logistic: bool, together: bool
) -> tuple[tuple[LeastSquares | LogisticRegressions, ...], tuple[slice, ...], list[np.ndarray]]:
    """Return the regressions, whom each is fitted to, and their solutions at equal weights."""
    names = ("constant", *problem.names)
    what = f"the regression of {problem.outcome}"
    arms = problem.arms
    if together:
        both = slice(0, arms[1].stop)
        parts = [(_with_arm(design, problem.treated), both, what, (problem.treatment, *names))]
    else:
        parts = [
            (design, arm, f"{what} among the {who}", names)
            for arm, who in zip(arms, ("treated", "untreated"), strict=True)
        ]
    models: list[LeastSquares | LogisticRegressions] = []
    starts = []
    for whole, rows, label, columns in parts:
        own, y = whole[rows], problem.y[rows]
        refuse_ties(own, columns, label)
        if logistic:
            starts.append(logistic_point(own, y, None, 0.0, label))
            models.append(LogisticRegressions(own, y, starts[-1], what=label))
        else:
            models.append(LeastSquares(own, y, label))
            starts.append(models[-1].under(np.ones((1, len(y))))[0])  # type: ignore[arg-type]
    return tuple(models), tuple(p[1] for p in parts), starts


def _with_arm(design: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Return the design with the treatment in front of the constant."""
    return np.column_stack([treated.astype(float), design])


def _worlds(beta: np.ndarray) -> np.ndarray:
    """Return the coefficients in both worlds of one model with the treatment in front."""
    control = beta[..., 1:]
    treated = control.copy()
    treated[..., 0] += beta[..., 0]
    return np.stack([treated, control])
