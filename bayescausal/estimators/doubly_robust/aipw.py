r"""Augmented inverse probability weighting: doubly robust.

.. math:: \hat E_g[Y_t] = \frac{1}{\sum_i g_i} \sum_i
   \big\{ g_i\, \hat m_t(X_i) + \omega_t(\hat e_i)\, 1\{T_i = t\}\, (Y_i - \hat m_t(X_i)) \big\}

with :math:`\omega_1 = 1/e` and :math:`\omega_0 = 1/(1-e)` for all units, the odds for the treated
or the untreated. It is consistent if the model of the outcome or the model of the treatment is
right [1]_, and efficient if both are. With learners, each predicting folds that it was not fitted
to, their errors enter as a product, and the interval is right if that product shrinks faster than
:math:`n^{-1/2}` [2]_. Where the propensity is near 0 or 1 the second term explodes as in weighting.

References
----------
.. [1] J. M. Robins, A. Rotnitzky and L. P. Zhao, "Estimation of regression coefficients when some
   regressors are not always observed", Journal of the American Statistical Association 89 (1994),
   846-866.
.. [2] V. Chernozhukov, D. Chetverikov, M. Demirer, E. Duflo, C. Hansen, W. Newey and J. Robins,
   "Double/debiased machine learning for treatment and structural parameters", The Econometrics
   Journal 21 (2018), C1-C68.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bayescausal.estimators.doubly_robust.influence import DoublyRobust, corrected

if TYPE_CHECKING:
    from bayescausal.estimators.estimator import Prepared
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["AIPW"]


@dataclass(frozen=True)
class AIPW(DoublyRobust):
    """Predictions of the outcome, corrected by the weighted residuals.

    Parameters
    ----------
    outcome : {"auto", "linear", "logistic"} or an object with fit and predict
        ``"auto"``: logistic where the outcome is 0 or 1, linear otherwise.
    treatment : "logistic", Logistic, or an object with fit and predict_proba
        The model of the treatment.
    folds : int
        A learner predicts the folds that it was not fitted to; 1: its own.
    interactions : bool, optional
        Whether the outcome has a model in each arm, or one that reads the treatment. Default: one,
        with a coefficient of the treatment, for "linear" and "logistic"; of a learner, each arm.

    References
    ----------
    V. Chernozhukov et al., "Double/debiased machine learning for treatment and structural
    parameters", The Econometrics Journal 21 (2018), C1-C68.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.AIPW().models
    'both'
    """

    name: ClassVar[str] = "aipw"

    def prepared(self, problem: Problem) -> Prepared:
        """Return the corrected averages, ready for any weights."""
        chance, model, text = self.fitted(problem)
        return corrected(problem, chance, model, text)
