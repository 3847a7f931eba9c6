"""Folds for cross-fitting: who is predicted by models that did not see them.

Folds hold equal shares of both arms. Units of one cluster are in one fold: a model would otherwise
have seen the neighbours of those that it predicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.types import DataError, EstimandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bayescausal.estimators.problem.problem import Problem

__all__ = ["folds_of", "splits"]


def folds_of(problem: Problem, folds: int, seed: int = 0) -> np.ndarray:
    """Return the fold of each unit.

    Raises EstimandError if `folds` is no whole number of 1 or more.
    Raises DataError if an arm has fewer units (or there are fewer clusters) than folds.
    """
    if isinstance(folds, bool) or not isinstance(folds, int | np.integer) or folds < 1:
        raise EstimandError(f"folds={folds!r}.", expected="a whole number of 1 or more.")
    if folds == 1:
        return np.zeros(problem.n, dtype=int)
    rng = np.random.default_rng(seed)
    if problem.clusters is not None:
        _, codes = np.unique(problem.clusters[problem.rows], return_inverse=True)
        count = int(codes.max()) + 1
        if count < folds:
            raise DataError(
                f"{count} clusters for {folds} folds.", remedy=f"Ask folds={count} or fewer."
            )
        return np.asarray((rng.permutation(count) % folds)[codes])
    fold = np.zeros(problem.n, dtype=int)
    for level in np.unique(problem.arm):
        inside = np.flatnonzero(problem.arm == level)
        if level >= 0 and len(inside) < folds:
            raise DataError(
                f"{len(inside)} units at one level of {problem.treatment!r} for {folds} folds.",
                remedy=f"Ask folds={max(len(inside), 1)} or fewer.",
            )
        fold[rng.permutation(inside)] = np.arange(len(inside)) % folds
    return fold


def splits(fold: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Generate whom a model is fitted to and whom it predicts, fold by fold.

    Examples
    --------
    >>> import numpy as np
    >>> [(a.tolist(), b.tolist()) for a, b in splits(np.array([0, 1, 0]))]
    [([1], [0, 2]), ([0, 2], [1])]
    """
    count = int(fold.max()) + 1
    for k in range(count):
        inside = np.flatnonzero(fold == k)
        yield (np.flatnonzero(fold != k) if count > 1 else inside), inside
