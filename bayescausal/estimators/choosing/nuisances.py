r"""Scores of models of outcome and treatment, by which some are chosen.

Each model predicts folds that it was not fitted to. Four numbers tell how well:

* *outcome loss*: :math:`\frac1n \sum_i \{Y_i - \hat m_{T_i}(X_i)\}^2`, the Brier score of an
  outcome of 0 and 1;
* *treatment loss*: the mean of :math:`-\log` of the chance given to what happened;
* *R-loss* [1]_: what is left of :math:`Y - \hat m(X)`, :math:`\hat m = \hat e \hat m_1 +
  (1 - \hat e) \hat m_0`, after one effect times :math:`T - \hat e(X)`;
* *DR-loss*: the variance of the doubly robust scores of the units, which is that of the estimate
  times their number: of pairs one of which is right, that with the smallest is most precise [2]_.

A small loss is no proof: a propensity that tells the arms apart well may leave no overlap, and a
DR-loss is also small where a wrong outcome model and a wrong propensity agree. Losses of models
that were chosen among many are a little too small.

References
----------
.. [1] X. Nie and S. Wager, "Quasi-oracle estimation of heterogeneous treatment effects",
   Biometrika 108 (2021), 299-319.
.. [2] W. Cao, A. A. Tsiatis and M. Davidian, "Improving efficiency and robustness of the doubly
   robust estimator for a population mean with incomplete data", Biometrika 96 (2009), 723-734.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.estimators.learners.scores import doubly_robust_scores, refuse_scores
from bayescausal.estimators.nuisance.folds import folds_of, splits
from bayescausal.estimators.nuisance.learners import chances_of, outcomes_of
from bayescausal.estimators.nuisance.outcome import response
from bayescausal.estimators.nuisance.propensity import Logistic, propensity
from bayescausal.estimators.problem.problem import clustered_error
from bayescausal.estimators.problem.reading import read_problem
from bayescausal.types import EstimandError, IdentificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bayescausal.annotations import Data, GraphLike
    from bayescausal.effects.estimands.estimand import Estimand
    from bayescausal.estimators.problem.problem import Problem
    from bayescausal.inference.record import Fit

__all__ = ["nuisance_scores"]


def nuisance_scores(
    given: Fit | GraphLike,
    estimand: Estimand,
    *,
    outcome: Mapping[str, object] | Sequence[object] = ("auto",),
    treatment: Mapping[str, object] | Sequence[object] = ("logistic",),
    data: Data | None = None,
    adjust: str | Iterable[str] | None = None,
    folds: int = 5,
) -> pd.DataFrame:
    """Score models of the outcome and of the treatment on units that they have not seen.

    Parameters
    ----------
    given : Fit, or a graph in any form
    estimand : Estimand
        The question, which says what is adjusted for.
    outcome : mapping of str to model, or sequence of models
        As ``outcome=`` of :class:`bayescausal.estimators.AIPW`.
    treatment : mapping of str to model, or sequence of models
        As its ``treatment=``.
    data, adjust
        As in :func:`bayescausal.triangulate`.
    folds : int
        2 or more.

    Returns
    -------
    DataFrame
        One row a pair: ``outcome_loss``, ``treatment_loss``, ``r_loss``, ``dr_loss``, and
        ``estimate`` and ``se`` of the average of its doubly robust scores over all units.

    Raises
    ------
    IdentificationError
        If no adjustment identifies the effect.
    EstimandError
        If the question is not about all units, or there are fewer than two folds.
    DataError
        If a model fails.

    References
    ----------
    X. Nie and S. Wager, "Quasi-oracle estimation of heterogeneous treatment effects", Biometrika
    108 (2021), 299-319.

    Examples
    --------
    >>> import numpy as np, bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> z = rng.normal(size=400)
    >>> x = rng.binomial(1, 1 / (1 + np.exp(-z)))
    >>> data = {"z": z, "x": x, "y": 2 * x + z + rng.normal(size=400)}
    >>> logistic = bc.estimators.Logistic
    >>> scores = bc.estimators.nuisance_scores("z -> x -> y; z -> y", bc.ATE("x", "y"), data=data,
    ...     treatment={"as it is": logistic(), "drawn to none": logistic(penalty=1e6)})
    >>> scores["treatment_loss"].idxmin()
    ('auto', 'as it is')
    """
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise EstimandError(f"folds={folds!r}.", expected="a whole number of 2 or more.")
    problem = read_problem(given, estimand, data=data, adjust=adjust)
    if problem.adjust is None:
        raise IdentificationError(f"No adjustment identifies it: {problem.refused}")
    refuse_scores(problem)
    problem.refuse_arms()
    worlds = {n: _outcomes(problem, m, folds) for n, m in _named(outcome, "outcome").items()}
    chances = {n: _chance(problem, m, folds) for n, m in _named(treatment, "treatment").items()}
    rows = {
        (first, second): _scores(problem, both, e)
        for first, both in worlds.items()
        for second, e in chances.items()
    }
    index = pd.MultiIndex.from_tuples(list(rows), names=("outcome", "treatment"))
    return pd.DataFrame(list(rows.values()), index=index)


# ------------------------------------------------------------------------------- private


def _scores(problem: Problem, both: np.ndarray, e: np.ndarray) -> dict[str, float]:
    y, t = problem.y, problem.treated
    own = np.where(t, both[0], both[1])
    happened = np.clip(np.where(t, e, 1 - e), 1e-15, 1.0)
    left, moved = y - (e * both[0] + (1 - e) * both[1]), t - e
    size = float(moved @ moved)
    one = float(left @ moved / size) if size > 0 else 0.0
    scores = doubly_robust_scores(problem, both, e)
    return {
        "outcome_loss": float(np.mean((y - own) ** 2)),
        "treatment_loss": float(-np.mean(np.log(happened))),
        "r_loss": float(np.mean((left - one * moved) ** 2)),
        "dr_loss": float(scores.var()),
        "estimate": float(scores.mean()),
        "se": clustered_error(problem, (scores - scores.mean()) / problem.n),
    }


def _outcomes(problem: Problem, model: object, folds: int) -> np.ndarray:
    """Return the outcome in both worlds ``(2, unit)``, predicted by fits to other folds."""
    if not isinstance(model, str):
        return outcomes_of(problem, model, folds, together=False)
    own = response(problem, model)
    treated = _held_out(problem, folds, lambda w: own.under(w).values(0))
    return np.stack([treated, _held_out(problem, folds, lambda w: own.under(w).values(1))])


def _chance(problem: Problem, model: object, folds: int) -> np.ndarray:
    """Return the propensity of each unit, predicted by fits to other folds."""
    if isinstance(model, str | Logistic):
        return _held_out(problem, folds, propensity(problem, model).under)
    return chances_of(problem, model, folds)


def _held_out(
    problem: Problem, folds: int, predict: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return predictions of each fold under weights that leave it out."""
    found = np.empty(problem.n)
    for seen, asked in splits(folds_of(problem, folds)):
        weights = np.zeros((1, problem.n))
        weights[0, seen] = problem.n / len(seen)
        found[asked] = predict(weights)[0][asked]
    return found


def _named(models: object, role: str) -> dict[str, Any]:
    """Return models by name: those given, or what each is called."""
    if isinstance(models, Mapping):
        return {str(name): model for name, model in models.items()}
    given = list(models) if isinstance(models, list | tuple) else [models]
    names = [m if isinstance(m, str) else type(m).__name__ for m in given]
    if len(set(names)) < len(names):
        raise EstimandError(
            f"{role}= has two models of one name, {', '.join(names)}.",
            expected="a mapping of names to models.",
        )
    return dict(zip(names, given, strict=True))
