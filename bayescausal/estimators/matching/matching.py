r"""Matching: each unit beside those of the other arm that are most like it.

.. math:: \hat Y_{0i} = \frac1k \sum_{j \in J_k(i)} Y_j, \qquad
   \hat\tau = \frac{1}{\sum_i g_i} \sum_i g_i\, (\hat Y_{1i} - \hat Y_{0i}),

:math:`J_k(i)` being the k nearest units of the other arm, by the propensity, by Mahalanobis'
distance, or all that agree exactly once columns are coarsened [1]_ [2]_. Consistent if the matches
are alike; on several continuous columns a difference of order :math:`n^{-1/p}` is left, which the
bias correction [3]_ removes by regression: :math:`Y_j + \hat m_0(X_i) - \hat m_0(X_j)`.

Without replacement, and with a caliper, some units stay without a match, and the answer is about
the others; it says so. The standard error is Abadie and Imbens'
(:mod:`~bayescausal.estimators.matching.variance`); it takes an estimated propensity as known, which
for all units is on the wide side [4]_.

References
----------
.. [1] E. A. Stuart, "Matching methods for causal inference: a review and a look forward",
   Statistical Science 25 (2010), 1-21.
.. [2] S. M. Iacus, G. King and G. Porro, "Causal inference without balance checking: coarsened
   exact matching", Political Analysis 20 (2012), 1-24.
.. [3] A. Abadie and G. W. Imbens, "Bias-corrected matching estimators for average treatment
   effects", Journal of Business & Economic Statistics 29 (2011), 1-11.
.. [4] A. Abadie and G. W. Imbens, "Matching on the estimated propensity score", Econometrica 84
   (2016), 781-807.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.sparse import csr_array

from bayescausal.estimators.estimator import Estimator, Prepared
from bayescausal.estimators.matching.coarsened import coarsened_means
from bayescausal.estimators.matching.neighbours import greedy, nearest, searched
from bayescausal.estimators.matching.options import check_options
from bayescausal.estimators.matching.variance import abadie_imbens, linear_form, spread_around
from bayescausal.estimators.nuisance.learners import check_learner
from bayescausal.estimators.nuisance.outcome import response
from bayescausal.estimators.nuisance.propensity import propensity
from bayescausal.estimators.numerics.least_squares import refuse_ties, with_constant
from bayescausal.estimators.problem.problem import clustered_error
from bayescausal.types import DataError, EstimandError

if TYPE_CHECKING:
    from bayescausal.estimators.problem.problem import Problem

__all__ = ["Matching"]

DRAWS = (
    "Draws: the bootstrap of matching is invalid, since matches jump; these are the estimate's "
    "linear form, matches held, under Bayesian-bootstrap weights over {what}{scaled}."
)
STRETCHED = ", stretched to the variance of Abadie and Imbens"


@dataclass(frozen=True)
class Matching(Estimator):
    """The average difference from matched units of the other arm.

    Parameters
    ----------
    k : int
        Matches of each unit.
    metric : {"propensity", "mahalanobis", "exact"}
        By what units are alike; ``"exact"``: the same values, columns coarsened into `bins`.
    caliper : float, optional
        Farthest match: in standard deviations of the propensity, or as Mahalanobis' distance.
    replace : bool
        Whether a unit may be the match of several. Without, ask ATT or ATU.
    order : {"largest", "smallest", "data", "random"}
        Without replacement: who chooses first, by the propensity.
    ties : {"first", "average"}
        Of those equally near, the first in the data, or all.
    bias_correction : bool
        Whether differences that matching left are taken away by linear regression.
    treatment : "logistic", Logistic, or an object with fit and predict_proba
        The model of the treatment.
    bins : int, optional
        For ``"exact"``: numbers with more values are cut at so many quantiles; None: they are not.
    search : object with fit and kneighbors, optional
        A search of one's own, such as scikit-learn's NearestNeighbors.
    folds : int
        Of a learner for the treatment; 1: it predicts those that it was fitted to.

    References
    ----------
    A. Abadie and G. W. Imbens, "Large sample properties of matching estimators for average
    treatment effects", Econometrica 74 (2006), 235-267.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.estimators.Matching(k=2, caliper=0.2).label()
    'Matching(k=2, caliper=0.2)'
    """

    name: ClassVar[str] = "matching"
    models: ClassVar[str] = "treatment"
    assumes: ClassVar[str] = "matched units are alike; overlap"
    groups: ClassVar[tuple[str, ...]] = ("all", "treated", "control")

    k: int = 1
    metric: str = "propensity"
    caliper: float | None = None
    replace: bool = True
    order: str = "largest"
    ties: str = "first"
    bias_correction: bool = False
    treatment: Any = "logistic"
    bins: int | None = 5
    search: Any = None
    folds: int = 1

    def __post_init__(self) -> None:
        check_options(self)
        if self.search is not None and not hasattr(self.search, "kneighbors"):
            raise EstimandError(
                f"search={self.search!r}.", expected="an object with fit and kneighbors."
            )
        if not isinstance(self.treatment, str) and not hasattr(self.treatment, "penalty"):
            check_learner(self.treatment, "treatment")

    def check(self, problem: Problem) -> None:
        """Refuse matching without replacement of all with all."""
        super().check(problem)
        if not self.replace and self.metric != "exact" and problem.group == "all":
            raise EstimandError(
                f"{self.label()} uses each unit once, so it matches one arm to the other.",
                expected="ATT or ATU, or replace=True.",
            )

    def prepared(self, problem: Problem) -> Prepared:
        """Return the matches, and the means of both worlds under any weights."""
        if self.metric == "exact":
            return coarsened_means(self, problem, self.bins)
        chance, points, scale = self._points(problem)
        limit = np.inf if self.caliper is None else self.caliper * scale
        match = self._matches(problem, points, chance, limit)
        whole = np.asarray(match.sum(axis=1)).reshape(-1) > 0
        wanted = problem.population().astype(bool)
        asked = wanted & whole
        if not asked.any():
            raise DataError(
                "No unit has a match within the caliper.",
                remedy="Ask for a larger caliper=, or none.",
            )
        outcome = response(problem, "linear") if len(problem.names) else None
        fitted = _arm_means(problem) if outcome is None else outcome.point
        imputed = self._imputed(problem, match, fitted)
        means = imputed[:, asked].mean(axis=1)
        match = _only(match, asked)
        error = abadie_imbens(problem, asked, match, imputed, spread_around(problem, points))
        parts = linear_form(problem, asked, match, fitted, means)
        stretch = 1.0
        clustered = problem.clusters is not None
        if not clustered:
            size = float(np.sqrt(((parts[0] - parts[1]) ** 2).sum()))
            stretch = error / size if size > 0 else 0.0
        else:
            error = clustered_error(problem, parts[0] - parts[1])

        def draw(weights: np.ndarray) -> np.ndarray:
            return means[:, None] + stretch * ((weights - 1.0) @ parts.T).T

        used = np.asarray(match.sum(axis=0)).reshape(-1) + asked
        own = np.where(problem.treated, used / max(used[problem.treated].sum(), 1e-300), 0.0)
        own += np.where(problem.control, used / max(used[problem.control].sum(), 1e-300), 0.0)
        text = DRAWS.format(
            what="clusters" if clustered else problem.units, scaled="" if clustered else STRETCHED
        )
        return Prepared(
            draw,
            text,
            weights=own,
            chance=chance,
            se=error,
            centred=True,
            whom=_whom(problem, wanted, asked),
            notes=self._notes(problem, points, match, asked, limit, chance),
        )

    def _points(self, problem: Problem) -> tuple[np.ndarray | None, np.ndarray, float]:
        """Return the propensity, the places of the units, and the unit of their distances."""
        if self.metric == "mahalanobis":
            design = with_constant(problem.x)
            refuse_ties(design, ("constant", *problem.names), "Mahalanobis' distance")
            if not len(problem.names):
                return None, np.zeros((problem.n, 1)), 1.0
            spread = np.atleast_2d(np.cov(problem.x, rowvar=False))
            root = np.linalg.cholesky(np.linalg.inv(spread))
            return None, problem.x @ root, 1.0
        chance = propensity(problem, self.treatment, self.folds).point
        return chance, chance[:, None], float(chance.std(ddof=1))

    def _matches(
        self, problem: Problem, points: np.ndarray, chance: np.ndarray | None, limit: float
    ) -> csr_array:
        """Return the matches ``(unit, unit)`` of those in the population."""
        rows, columns, values = [], [], []
        for arm, other in (
            (problem.treated, problem.control),
            (problem.control, problem.treated),
        ):
            if problem.group in ("treated", "control") and not problem.population()[arm].any():
                continue
            own, theirs = np.flatnonzero(arm), np.flatnonzero(other)
            if self.replace and len(theirs) < self.k:
                raise DataError(
                    f"{len(theirs)} units in the other arm for k={self.k} matches.",
                    remedy="Ask for fewer.",
                )
            if self.search is not None:
                part = searched(points[own], points[theirs], self.k, self.search, limit)
            elif self.replace:
                ties = self.ties if problem.names else "average"  # all are as near as each other
                part = nearest(points[own], points[theirs], self.k, ties, limit)
            else:
                part = greedy(points[own], points[theirs], self.k, self._turns(chance, own), limit)
            found = part.tocoo()
            rows.append(own[found.row])
            columns.append(theirs[found.col])
            values.append(found.data)
        places = (np.concatenate(rows), np.concatenate(columns))
        return csr_array((np.concatenate(values), places), shape=(problem.n, problem.n))

    def _turns(self, chance: np.ndarray | None, own: np.ndarray) -> np.ndarray:
        """Return the order in which units choose."""
        if self.order == "random":
            return np.random.default_rng(0).permutation(len(own))
        if self.order == "data" or chance is None:
            return np.arange(len(own))
        sign = -1.0 if self.order == "largest" else 1.0
        return np.argsort(sign * chance[own], kind="stable")

    def _imputed(self, problem: Problem, match: csr_array, fitted: np.ndarray) -> np.ndarray:
        """Return the outcome of each unit in the treated and the control world."""
        other = match @ problem.y
        if self.bias_correction:
            own = np.where(problem.treated, fitted[1], fitted[0])  # in the world it was not in
            there = np.where(problem.treated, match @ fitted[1], match @ fitted[0])
            other = other + own * (np.asarray(match.sum(axis=1)).reshape(-1) > 0) - there
        return np.stack(
            [
                np.where(problem.treated, problem.y, other),
                np.where(problem.control, problem.y, other),
            ]
        )

    def _notes(
        self,
        problem: Problem,
        points: np.ndarray,
        match: csr_array,
        asked: np.ndarray,
        limit: float,
        chance: np.ndarray | None,
    ) -> tuple[str, ...]:
        notes = []
        used = int((np.asarray(match.sum(axis=0)).reshape(-1) > 0).sum())
        notes.append(f"{int(asked.sum()):,} {problem.units} are matched with {used:,} others.")
        if chance is not None:
            notes.append(
                "The variance takes the estimated propensity as known, which for all units is on "
                "the wide side."
            )
        if self.replace and self.search is None and self.ties == "first" and problem.names:
            every = 0
            for arm, other in (
                (problem.treated, problem.control),
                (problem.control, problem.treated),
            ):
                own = np.flatnonzero(arm & asked)
                if len(own):
                    all_ = nearest(points[own], points[other], self.k, "average", limit)
                    every += int((np.diff(all_.indptr) > self.k).sum())
            if every:
                notes.append(
                    f"Ties: {every:,} {problem.units} have further matches that are as near; the "
                    "first in the data are taken (ties='average' takes all)."
                )
        return tuple(notes)


# ------------------------------------------------------------------------------- private


def _only(match: csr_array, asked: np.ndarray) -> csr_array:
    """Return the matches of those asked about alone."""
    keep = csr_array((asked.astype(float), (np.arange(len(asked)),) * 2), shape=match.shape)
    return csr_array(keep @ match)


def _arm_means(problem: Problem) -> np.ndarray:
    """Return the mean of each arm for every unit, where nothing is adjusted for."""
    means = [problem.y[arm].mean() for arm in (problem.treated, problem.control)]
    return np.repeat(np.array(means)[:, None], problem.n, axis=1)


def _whom(problem: Problem, wanted: np.ndarray, asked: np.ndarray) -> str:
    """Return the population where some of it stayed without a match."""
    if int(wanted.sum()) == int(asked.sum()):
        return ""
    who = {"all": "", "treated": "treated ", "control": "untreated "}[problem.group]
    return f"the {int(asked.sum()):,} of {int(wanted.sum()):,} {who}{problem.units} with a match"
