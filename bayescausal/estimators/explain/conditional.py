r"""Conditional effects of learners, and whether their ranking of the units holds.

A learner may be wrong about every size and right about the order. Both are looked at by doubly
robust scores :math:`\psi_i`, whose average over any group of units is its average effect:

* *GATES*: the average of the scores in groups of the units by predicted effect [1]_;
* the *benefit curve* (Qini): :math:`\frac1n \sum_{i \in \text{top } q} \psi_i` of treating the
  share :math:`q` with the largest predictions, and *RATE*, the area between it and the line of
  random assignment [2]_: 0 where the prediction says nothing of the effect.

Predictions of a learner and the outcomes in its scores come from other folds, the logistic
propensity from all units; the intervals are those of Bayesian-bootstrap weights on the scores.

References
----------
.. [1] V. Chernozhukov, M. Demirer, E. Duflo and I. Fernández-Val, "Generic machine learning
   inference on heterogeneous treatment effects in randomized experiments", 2018.
.. [2] S. Yadlowsky, S. Fleming, N. Shah, E. Brunskill and S. Wager, "Evaluating treatment
   prioritization rules via rank-weighted average treatment effects", Journal of the American
   Statistical Association 120 (2025).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.draws.intervals import narrowest
from bayescausal.draws.summary import interval_columns
from bayescausal.estimators.learners.learner import boosting
from bayescausal.estimators.learners.scores import doubly_robust_scores, losses, refuse_scores
from bayescausal.estimators.nuisance.learners import outcomes_of
from bayescausal.estimators.nuisance.propensity import propensity
from bayescausal.estimators.numerics.bootstrap import weight_blocks
from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from bayescausal.estimators.triangulation import Triangulation

__all__ = ["benefit", "conditional_effects", "gates", "losses_of"]

#: Draws of the bootstrap, and points of a benefit curve.
DRAWS, POINTS = 1000, 21
#: Folds of the nuisances of the scores.
FOLDS = 5


def conditional_effects(found: Triangulation) -> pd.DataFrame:
    """Return the effect at each unit's covariates, a column an estimator."""
    columns = {}
    for name, each in found.answers.items():
        fitted = each.prepared[0].fitted
        if fitted is not None and not found.question.by:
            columns[name] = fitted[0] - fitted[1]
    if not columns:
        raise EstimandError(
            "None of these estimators has an effect for each unit, or the question is by groups.",
            remedy='Ask a learner, such as "x_learner", without by=.',
        )
    table = pd.DataFrame(columns, index=pd.Index(found.problem.places, name="unit"))
    return table.sort_index()


def losses_of(found: Triangulation, outcome: object, treatment: object, folds: int) -> pd.DataFrame:
    """Return the R-loss and the DR-loss of all conditional effects."""
    refuse_scores(found.problem)
    table = conditional_effects(found).loc[found.problem.places]
    effects = {str(name): table[name].to_numpy() for name in table}
    model = boosting(found.problem) if outcome is None else outcome
    return losses(found.problem, effects, model, folds, treatment)


def gates(found: Triangulation, name: str, groups: int) -> pd.DataFrame:
    """Return the average score of groups by predicted effect."""
    most = found.problem.n
    if isinstance(groups, bool) or not isinstance(groups, int) or not 1 <= groups <= most:
        raise EstimandError(f"groups={groups!r}.", expected=f"a whole number from 1 to {most:,}.")
    tau, scores = _scored(found, name)
    rank = np.argsort(np.argsort(tau, kind="stable"), kind="stable")
    group = rank * groups // len(tau)
    member = np.stack([group == g for g in range(groups)], axis=1).astype(float)
    draws = _draws(found, lambda w: (w * scores) @ member / (w @ member))
    low, high = narrowest(draws, 0.94)
    lower, upper = interval_columns(0.94)
    return pd.DataFrame(
        {
            "units": member.sum(axis=0).astype(int),
            "predicted": tau @ member / member.sum(axis=0),
            "mean": scores @ member / member.sum(axis=0),
            "sd": draws.std(axis=0, ddof=1),
            lower: low,
            upper: high,
        },
        index=pd.RangeIndex(1, groups + 1, name="group"),
    )


def benefit(found: Triangulation, name: str) -> pd.DataFrame:
    """Return the benefit curve by scores, and its area beyond random assignment."""
    tau, scores = _scored(found, name)
    order = np.argsort(-tau, kind="stable")
    share = np.linspace(0, 1, POINTS)

    def curve(weights: np.ndarray) -> np.ndarray:
        own = weights[:, order] / weights.sum(axis=1, keepdims=True)
        zero = np.zeros((len(own), 1))
        mass = np.concatenate([zero, np.cumsum(own, axis=1)], axis=1)
        total = np.concatenate([zero, np.cumsum(own * scores[order], axis=1)], axis=1)
        # the share of the population that a draw stands for, and not of the units at hand
        gain = np.stack([np.interp(share, m, t) for m, t in zip(mass, total, strict=True)])
        beyond = gain - share * gain[:, -1:]
        area = (beyond[:, 1:] + beyond[:, :-1]) @ np.diff(share) / 2
        return np.concatenate([gain, area[:, None]], axis=1)

    draws = _draws(found, curve)
    low, high = narrowest(draws, 0.94)
    lower, upper = interval_columns(0.94)
    values = {"mean": curve(np.ones((1, len(tau))))[0], lower: low, upper: high}
    return pd.DataFrame(values, index=pd.Index([*share.tolist(), "RATE"], name="share treated"))


def _scored(found: Triangulation, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted effects and scores in the order of the problem."""
    refuse_scores(found.problem)
    table = conditional_effects(found)
    if name not in table:
        raise EstimandError(
            f"{name!r} has no effect for each unit.",
            expected=f"one of {', '.join(map(str, table))}.",
            names=closest(name, map(str, table))[:1],
        )
    problem = found.problem
    both = problem.once(
        ("scores", FOLDS), lambda: outcomes_of(problem, boosting(problem), FOLDS, together=False)
    )
    chance = propensity(problem, "logistic", FOLDS).point
    scores = doubly_robust_scores(problem, both, chance)
    return table.loc[problem.places, name].to_numpy(), scores


def _draws(found: Triangulation, of: object) -> np.ndarray:
    """Return what a function gives under the weights of each draw."""
    problem = found.problem
    assert callable(of)
    total = problem.n if problem.clusters is None else len(problem.clusters)
    seed = int(next(iter(found.answers.values())).effect.seed or 0)
    blocks = weight_blocks(total, DRAWS, seed, problem.clusters)
    parts = [of(weights[:, problem.rows]) for _, weights in blocks]
    return np.concatenate(parts)
