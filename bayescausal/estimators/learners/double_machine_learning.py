r"""Double machine learning: an average with nuisances learnt from other folds.

*Interactive*: the average of doubly robust scores [1]_, for effects that differ between units.
*Partially linear*, :math:`Y = \theta T + g(X) + U`:

.. math:: \hat\theta = \frac{\sum_i w_i \{T_i - \hat e(X_i)\} \{Y_i - \hat m(X_i)\}}
                            {\sum_i w_i \{T_i - \hat e(X_i)\}^2},

the regression of residual on residual. It assumes one effect for all; where effects differ it is
their average weighted by the variance of the treatment given covariates, and the answer says so.
Errors of the two nuisances enter as a product.

References
----------
.. [1] V. Chernozhukov, D. Chetverikov, M. Demirer, E. Duflo, C. Hansen, W. Newey and J. Robins,
   "Double/debiased machine learning for treatment and structural parameters", The Econometrics
   Journal 21 (2018), C1-C68, equations 4.3 and 5.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayescausal.estimators.doubly_robust.aipw import AIPW
from bayescausal.estimators.estimator import INFLUENCE, Estimator, Prepared
from bayescausal.estimators.learners.learner import boosting
from bayescausal.estimators.learners.scores import mean_outcome
from bayescausal.estimators.nuisance.propensity import propensity
from bayescausal.estimators.problem.problem import clustered_error
from bayescausal.types import DataError, EstimandError, closest

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["DML"]

FORMS = ("interactive", "partially linear")


@dataclass(frozen=True)
class DML(Estimator):
    """Double machine learning of an average effect.

    Parameters
    ----------
    form : {"interactive", "partially linear"}
        Effects that differ between units, or one for all.
    outcome : object with fit and predict, optional
        Default: gradient boosted trees.
    treatment : "logistic", Logistic, or an object with fit and predict_proba
    folds : int
        2 or more.

    References
    ----------
    V. Chernozhukov et al., "Double/debiased machine learning for treatment and structural
    parameters", The Econometrics Journal 21 (2018), C1-C68.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.DML(form="partially linear").label()
    "DML(form='partially linear')"
    """

    name: ClassVar[str] = "dml"
    models: ClassVar[str] = "both"
    assumes: ClassVar[str] = "the product of the errors of outcome and propensity is small; overlap"

    form: str = "interactive"
    outcome: Any = None
    treatment: Any = "logistic"
    folds: int = 5

    def check(self, problem: Problem) -> None:
        """Refuse an unknown form, and what the partially linear one has no answer to."""
        if self.form not in FORMS:
            raise EstimandError(
                f"form={self.form!r}.",
                expected=f"one of {', '.join(map(repr, FORMS))}.",
                names=closest(self.form, FORMS)[:1],
            )
        if isinstance(self.folds, int) and self.folds < 2:
            raise EstimandError(
                f"folds={self.folds!r}: errors of models that predict their own units do not enter "
                "as a product.",
                expected="2 or more.",
            )
        super().check(problem)
        if self.form == FORMS[1] and problem.estimand.scale.name != "difference":
            raise EstimandError(
                f"{self.label()} gives the difference of two means and not the means.",
                expected='scale="difference".',
            )

    def prepared(self, problem: Problem) -> Prepared:
        """Return the average, ready for any weights."""
        model = boosting(problem) if self.outcome is None else self.outcome
        if self.form == FORMS[0]:
            return AIPW(outcome=model, treatment=self.treatment, folds=self.folds).prepared(problem)
        m = mean_outcome(problem, model, self.folds)
        e = propensity(problem, self.treatment, self.folds).point
        t, y = problem.treated - e, problem.y - m
        if not np.sum(t**2) > 1e-8 * problem.n:
            raise DataError(
                f"Covariates tell {problem.treatment!r} of every unit: nothing of it is left.",
                remedy="Look at the overlap, and adjust for less if less identifies the effect.",
            )
        theta = float(t @ y / (t @ t))
        psi = t * (y - theta * t) / np.sum(t**2)
        return Prepared(
            lambda w: np.asarray((w @ (t * y)) / (w @ t**2)),
            self.draws_text(problem, INFLUENCE, ", on other folds than those they predict"),
            chance=e,
            se=clustered_error(problem, psi),
            notes=(
                "Partially linear: one effect for all units is assumed. Where effects differ, this "
                "is their average weighted by the variance of the treatment given covariates.",
            ),
        )
