r"""Means within strata, averaged over a population, under many sets of weights at once.

.. math:: \hat E_g[Y_t] = \sum_s \frac{\sum_{i \in s} g_i w_i}{\sum_i g_i w_i}\;
   \frac{\sum_{i \in s, T_i = t} w_i Y_i}{\sum_{i \in s, T_i = t} w_i} .
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["complete", "implied_weights", "stratified_means"]


def complete(problem: Problem, stratum: np.ndarray) -> np.ndarray:
    """Return which units are in a stratum with units of both arms."""
    count = int(stratum.max()) + 1
    both = np.bincount(stratum[problem.treated], minlength=count) > 0
    both &= np.bincount(stratum[problem.control], minlength=count) > 0
    return np.asarray(both[stratum])


def stratified_means(
    problem: Problem, stratum: np.ndarray, kept: np.ndarray, population: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function of weights that gives the means of both worlds ``(2, draw)``.

    - `stratum` (unit, int)
    - `kept` (unit, bool): those in complete strata.
    - `population` (unit): the weight of each unit in the population.
    """
    rows = np.flatnonzero(kept)
    order = rows[np.lexsort((problem.arm[rows], stratum[rows]))]
    key = stratum[order] * 2 + problem.treated[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    y, g = problem.y[order], population[order]

    def draw(weights: np.ndarray) -> np.ndarray:
        own = weights[:, order]
        averaged = problem.averaging(weights)[:, order]
        total = np.add.reduceat(own, starts, axis=1)
        mean = np.add.reduceat(own * y, starts, axis=1) / total
        share = np.add.reduceat(averaged * g, starts, axis=1)
        share = share[:, 0::2] + share[:, 1::2]
        share = share / share.sum(axis=1, keepdims=True)
        return np.stack([(share * mean[:, 1::2]).sum(axis=1), (share * mean[:, 0::2]).sum(axis=1)])

    return draw


def implied_weights(
    problem: Problem, stratum: np.ndarray, kept: np.ndarray, population: np.ndarray
) -> np.ndarray:
    """Return what each unit weighs in the mean of its arm."""
    count = int(stratum.max()) + 1
    share = np.bincount(stratum[kept], weights=population[kept], minlength=count)
    share = share / share.sum()
    found = np.zeros(problem.n)
    for arm in (problem.treated & kept, problem.control & kept):
        size = np.bincount(stratum[arm], minlength=count)
        found[arm] = (share / np.maximum(size, 1))[stratum[arm]]
    return found
