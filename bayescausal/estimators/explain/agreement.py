r"""Do several estimators agree? A joint statement, and which reading fits where they do not.

Let :math:`\delta` be the differences of all estimators from the first. The draws of all come from
the same weights, so :math:`\delta` has a joint posterior, with mean m and covariance C. The
estimators agree at level p if no difference, :math:`\delta = 0`, lies within the region of
probability p around m,

.. math:: P\{(\delta - m)' C^{-1} (\delta - m) < m' C^{-1} m\} < p .

Intervals that overlap say less: two estimators from one sample may differ by more than they can
although each is uncertain [1]_.

Agreement speaks for the modelling and says nothing of what all share: the graph, the data, the set.

References
----------
.. [1] J. A. Hausman, "Specification tests in econometrics", Econometrica 46 (1978), 1251-1271.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

__all__ = ["Agreement", "agreement"]

#: Directions of the differences with less of their variance count as rounding.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Agreement:
    """Whether numbers with joint draws agree."""

    # The probability of the region around the differences that just reaches no difference.
    level: float
    # The two that differ most, in standard deviations of their difference; the larger first.
    pair: tuple[str, str]
    # gap, sd: mean and standard deviation of that difference.
    gap: float
    sd: float


def agreement(draws: dict[str, np.ndarray]) -> Agreement:
    """Return whether numbers agree, from their joint draws ``(draw,)``.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> a = rng.normal(size=1000)
    >>> agreement({"a": a, "b": a + 3 + 0.1 * rng.normal(size=1000)}).level
    1.0
    """
    names = list(draws)
    values = np.stack([draws[n] for n in names], axis=1)
    delta = values[:, 1:] - values[:, :1]
    middle = delta.mean(axis=0)
    level = _level(delta, middle)
    least = ROUNDING * float(values.std(axis=0).max())
    best: tuple[float, tuple[str, str], float, float] = (-1.0, (names[0], names[-1]), 0.0, 0.0)
    for i, j in itertools.combinations(range(len(names)), 2):
        apart = values[:, i] - values[:, j]
        gap, sd = float(apart.mean()), float(apart.std())
        size = abs(gap) / sd if sd > least else 0.0
        if size > best[0]:
            pair = (names[i], names[j]) if gap >= 0 else (names[j], names[i])
            best = (size, pair, abs(gap), sd)
    return Agreement(level, best[1], best[2], best[3])


def _level(delta: np.ndarray, middle: np.ndarray) -> float:
    """Return the share of draws nearer to the middle than no difference is."""
    centred = delta - middle
    covariance = centred.T @ centred / len(delta)
    size = float(np.trace(covariance))
    if size <= 0:
        return 1.0 if np.any(middle) else 0.0
    values, axes = np.linalg.eigh(covariance)
    kept = values > ROUNDING * values.max()
    turned = axes[:, kept] / np.sqrt(values[kept])
    distance = ((centred @ turned) ** 2).sum(axis=1)
    return float((distance < ((middle @ turned) ** 2).sum()).mean())
