"""Is one column a function of another, as far as the order of its values shows it?

In the order of the other column it goes up, or down, and turns a few times at most. By chance that
is as likely as the data's orders that look so among all orders.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["CHANCE", "is_function", "log_choose"]

#: The order must be less likely than this by chance.
CHANCE = 1e-6


def is_function(
    values: np.ndarray, of: np.ndarray, turns: int = 0, *, labels: bool = False
) -> bool:
    """Tell whether values are a function of others that turns a few times at most, not by chance.

    - `values`, `of`: one number for each unit; units with a missing one are left out.
    - `turns`: how often it may turn; 0: a monotone function.
    - `labels`: whether the values stand for labels, which have no order: that of the means of `of`
      is taken, and is one of many.

    Examples
    --------
    >>> import numpy as np
    >>> score = np.linspace(-1, 1, 40)
    >>> is_function(score >= 0, score), is_function(score % 0.2 > 0.1, score)
    (True, False)
    >>> is_function(score**2, score), is_function(score**2, score, turns=1)
    (False, True)
    """
    x, z = np.asarray(values, dtype=float), np.asarray(of, dtype=float)
    known = np.isfinite(x) & np.isfinite(z)
    x, z = x[known], z[known]
    if labels and len(x):
        codes, counts = np.unique(x, return_inverse=True, return_counts=True)[1:]
        x = np.argsort(np.argsort(np.bincount(codes, z) / counts))[codes].astype(float)
    order = np.lexsort((x, z))
    x, z = x[order], z[order]
    steps, ties = np.diff(x), np.diff(z) == 0
    if not len(steps) or np.any(steps[ties]):
        return False
    signs = np.sign(steps[steps != 0])
    seen = int(np.count_nonzero(np.diff(signs)))
    if not len(signs) or seen > turns:
        return False
    counts = np.unique(x, return_counts=True)[1]
    orders = math.lgamma(len(x) + 1) - sum(math.lgamma(c + 1) for c in counts)
    pieces = len(counts) * (seen + 1)  # where each value ends in each piece between two turns
    like = math.lgamma(len(counts) + 1) if labels else math.log(2)
    like += log_choose(len(x) + pieces, pieces) if seen else 0.0
    return like - orders < math.log(CHANCE)


def log_choose(n: int, k: int) -> float:
    """Return the logarithm of a binomial coefficient."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
