r"""Are numbers between 0 and 1 uniform? A simultaneous band for their distribution function.

Of N independent uniform numbers the count below z is binomial with probability z. At each of K
points the observed count has a two-sided tail probability; the smallest over the points,

.. math:: \gamma = \min_k \; 2 \min\{ F_k(c_k),\; 1 - F_k(c_k - 1) \},

is the statistic [1]_. Its distribution for uniform numbers is simulated (with a fixed seed, so the
same numbers give the same answer), which gives a p-value and the band that the whole curve stays
inside with the stated probability.

References
----------
.. [1] T. Säilynoja, P.-C. Bürkner and A. Vehtari, "Graphical test for discrete uniformity and its
   applications in goodness-of-fit evaluation and multiple sample comparison", Statistics and
   Computing 32 (2022), 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

__all__ = ["Uniformity", "uniformity"]

#: Points of the curve, and simulated curves.
POINTS, CURVES = 100, 4000


@dataclass(frozen=True, eq=False)
class Uniformity:
    """How far numbers are from uniform.

    ``p_value``: of the smallest tail probability over the points.
    ``gap``: the largest distance between the curve and the diagonal, of its points.
    ``at``: the points.
    ``curve``: the share of numbers below each point, less the point.
    ``lower``, ``upper``: the band of the curve that 95% of uniform samples stay inside.
    """

    p_value: float
    gap: float
    at: np.ndarray
    curve: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def uniformity(values: np.ndarray) -> Uniformity:
    """Compare numbers between 0 and 1 with the uniform distribution; the band holds 95%.

    Examples
    --------
    >>> import numpy as np
    >>> even, bent = (np.arange(500) + 0.5) / 500, np.random.default_rng(1).beta(2, 2, 500)
    >>> uniformity(even).p_value > 0.9, uniformity(bent).p_value < 0.01
    (True, True)
    """
    n = len(values)
    at = _points(n)
    counts = np.searchsorted(np.sort(values), at, side="right")
    null = _null(n)
    smallest = _tails(counts[None], n, at).min()
    p_value = (1 + (null <= smallest * (1 + 1e-12)).sum()) / (len(null) + 1)
    level = float(np.quantile(null, 0.05))
    lower = stats.binom.ppf(level / 2, n, at) / n - at
    upper = stats.binom.isf(level / 2, n, at) / n - at
    curve = counts / n - at
    return Uniformity(float(p_value), float(np.abs(curve).max()), at, curve, lower, upper)


# ------------------------------------------------------------------------------- private


def _points(n: int) -> np.ndarray:
    many = min(POINTS, max(n, 2))
    return np.arange(1, many) / many


def _tails(counts: np.ndarray, n: int, at: np.ndarray) -> np.ndarray:
    """Return two-sided tail probabilities of binomial counts, (curve, point)."""
    below = stats.binom.cdf(counts, n, at)
    above = stats.binom.sf(counts - 1, n, at)
    return np.asarray(np.minimum(2 * np.minimum(below, above), 1.0))


@lru_cache(maxsize=64)
def _null(n: int) -> np.ndarray:
    """Return the statistic of simulated uniform samples."""
    at = _points(n)
    rng = np.random.default_rng(20221)
    cells = np.diff(np.concatenate([[0.0], at, [1.0]]))
    counts = rng.multinomial(n, cells, size=CURVES).cumsum(axis=1)[:, :-1]
    return _tails(counts, n, at).min(axis=1)
