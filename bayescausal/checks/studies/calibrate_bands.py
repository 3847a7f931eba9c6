r"""Are ranks uniform? Simultaneous bands for their distribution function, exact.

If a posterior is right, the rank of the truth among L independent draws is uniform on
:math:`0, \dots, L` [1]_. Of N ranks, the count at or below :math:`j` is

.. math:: C_j \sim \text{Binomial}(N, F_j), \qquad F_j = (j + 1) / (L + 1),

and the counts form a Markov chain in :math:`j`. A band is made of pointwise binomial intervals of
one level :math:`\gamma`, chosen so that *all* of :math:`C_0, \dots, C_{L-1}` stay inside with
probability :math:`1 - \alpha` [2]_: that probability is computed exactly by stepping through the
chain,

.. math:: C_j - C_{j-1} \mid C_{j-1} = c \;\sim\; \text{Binomial}(N - c,\; p_j / (1 - F_{j-1})),

and the same recursion with other :math:`p_j` gives the power against a wrong posterior. The p-value
of a set of ranks is the probability of an excursion as unlikely as its own worst one. It is valid,
and slightly conservative since counts are whole.

It fails where the draws are correlated: ranks are then not uniform under a right posterior either.

References
----------
.. [1] S. Talts, M. Betancourt, D. Simpson, A. Vehtari and A. Gelman, "Validating Bayesian inference
   algorithms with simulation-based calibration", 2018, arXiv:1804.06788.
.. [2] T. Säilynoja, P.-C. Bürkner and A. Vehtari, "Graphical test for discrete uniformity and its
   applications in goodness-of-fit evaluation and multiple sample comparison", Statistics and
   Computing 32, 2022.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special, stats

from bayescausal.draws.intervals import narrowest
from bayescausal.types import DataError

__all__ = ["Bands", "bands", "counts_of", "hdi_content", "p_value", "power", "rank_law"]

#: Points of the quadrature over the truth's place in the posterior.
NODES = 4001
#: Fewest and most sets of draws from which the content of an interval is computed.
SETS = (1000, 4000)

Bands = tuple[np.ndarray, np.ndarray]


def counts_of(ranks: np.ndarray, draws: int) -> np.ndarray:
    """Return how many ranks are at or below each value but the last.

    ``ranks``: between 0 and `draws`.
    ``draws``: among which was ranked.
    Raises DataError if a rank is outside.

    Examples
    --------
    >>> counts_of([0, 0, 2, 3], 3).tolist()
    [2, 2, 3]
    """
    whole = np.asarray(ranks).astype(int)
    if whole.size and (whole.min() < 0 or whole.max() > draws):
        raise DataError(
            f"Ranks from {whole.min()} to {whole.max()} among {draws} draws.",
            expected=f"Whole numbers from 0 to {draws}.",
        )
    return np.cumsum(np.bincount(whole, minlength=draws + 1))[:-1]


@lru_cache(maxsize=64)
def bands(replicates: int, draws: int, level: float = 0.95) -> Bands:
    """Return the smallest and the largest counts inside the simultaneous band.

    ``replicates``: ranks.
    ``draws``: among which was ranked.
    ``level``: Probability that ranks of a right posterior stay inside throughout, at least.
    Result: ``lower, upper``: both inside.

    Examples
    --------
    >>> lower, upper = bands(100, 9, 0.95)
    >>> lower.tolist(), upper.tolist()
    ([3, 11, 19, 28, 37, 47, 58, 69, 82], [18, 31, 42, 53, 63, 72, 81, 89, 97])
    """
    uniform = np.full(draws + 1, 1.0 / (draws + 1))
    low, high = 0.0, 1.0 - level
    for _ in range(20):
        middle = 0.5 * (low + high)
        if _stays(uniform, replicates, *_pointwise(replicates, draws, middle)) >= level:
            low = middle
        else:
            high = middle
    return _pointwise(replicates, draws, low)


def p_value(ranks: np.ndarray, draws: int) -> float:
    """Return the probability that ranks of a right posterior stray as far.

    ``draws``: among which was ranked.

    Examples
    --------
    >>> import numpy as np
    >>> even = np.arange(1000) % 100
    >>> p_value(even, 99), p_value(even // 2, 99) < 1e-9
    (1.0, True)
    """
    counts = counts_of(ranks, draws)
    n = len(np.asarray(ranks))
    worst = float(np.min(_rarity(n, draws)[counts, np.arange(draws)]))
    if worst >= 1.0:
        return 1.0
    # Just above the worst one, so that it is itself outside.
    lower, upper = _pointwise(n, draws, worst * (1 + 1e-9))
    uniform = np.full(draws + 1, 1.0 / (draws + 1))
    return float(np.clip(1.0 - _stays(uniform, n, lower, upper), 0.0, 1.0))


def power(law: np.ndarray, replicates: int, level: float = 0.95) -> float:
    """Return the probability that ranks with another law leave the band.

    ``law`` (draws + 1,): Probability of each rank, such as :func:`rank_law` gives.
    ``level``: of the band.

    Examples
    --------
    >>> round(power(rank_law(99, scale=0.9), 1000), 2)
    0.87
    """
    lower, upper = bands(replicates, len(law) - 1, level)
    inside = _stays(np.asarray(law, dtype=float), replicates, lower, upper)
    return float(np.clip(1.0 - inside, 0.0, 1.0))


def rank_law(draws: int, *, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Return the law of ranks where a normal posterior has another sd or another mean.

    ``scale``: its sd, as a multiple of the right one.
    ``shift``: its mean minus the right one, in right sds.

    Examples
    --------
    >>> rank_law(3).round(6).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    z = np.linspace(-8.5, 8.5, NODES)
    weight = stats.norm.pdf(z)
    weight /= weight.sum()
    below = special.ndtr((z - shift) / scale)
    values = np.arange(draws + 1)[:, None]
    return np.asarray(stats.binom.pmf(values, draws, below[None]) @ weight)


@lru_cache(maxsize=256)
def hdi_content(draws: int, prob: float) -> float:
    """Return how much of a normal posterior the HDI of that many independent draws holds.

    The narrowest of many intervals is chosen because it is narrow, so it holds less than its name
    says: .931 for 94% of 400 draws, .938 of 4,000.

    ``draws``: independent ones.

    Examples
    --------
    >>> round(hdi_content(400, 0.94), 3), round(hdi_content(4000, 0.94), 3)
    (0.931, 0.938)
    """
    rng = np.random.default_rng(0)
    sets = int(np.clip(4_000_000 // draws, *SETS))
    total, left = 0.0, sets
    while left:
        some = min(left, max(1, 4_000_000 // draws))
        low, high = narrowest(np.sort(rng.normal(size=(draws, some)), axis=0), prob)
        total += float((special.ndtr(high) - special.ndtr(low)).sum())
        left -= some
    return total / sets


# ------------------------------------------------------------------------------- private


@lru_cache(maxsize=16)
def _rarity(replicates: int, draws: int) -> np.ndarray:
    """Return twice the smaller tail of every count, (count, value)."""
    chance = (np.arange(draws) + 1) / (draws + 1)
    counts = np.arange(replicates + 1)[:, None]
    below = special.bdtr(counts, replicates, chance)
    above = np.vstack([np.ones(draws), 1.0 - below[:-1]])
    far = counts > replicates * chance  # where 1 - below loses its digits
    above = np.where(far, special.bdtrc(counts - 1, replicates, chance), above)
    return np.asarray(2.0 * np.minimum(below, above))


def _pointwise(replicates: int, draws: int, gamma: float) -> Bands:
    """Return the smallest and largest counts whose two-sided probability is above gamma."""
    inside = _rarity(replicates, draws) > gamma
    return inside.argmax(axis=0), replicates - inside[::-1].argmax(axis=0)


def _stays(law: np.ndarray, replicates: int, lower: np.ndarray, upper: np.ndarray) -> float:
    """Return the probability that the counts stay inside, step by step."""
    factorial = special.gammaln(np.arange(replicates + 2) + 1.0)
    before = np.concatenate([[0.0], np.cumsum(law)[:-1]])
    at, chance = np.array([0]), np.array([1.0])
    for j in range(len(law) - 1):
        left = 1.0 - before[j]
        step = float(np.clip(law[j] / left, 0.0, 1.0)) if left > 0 else 1.0
        to = np.arange(lower[j], upper[j] + 1)
        if not len(to):
            return 0.0
        k = to[None, :] - at[:, None]
        n = replicates - at[:, None]
        inside = (k >= 0) & (k <= n)
        k = np.where(inside, k, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            log = (
                factorial[n]
                - factorial[k]
                - factorial[n - k]
                + special.xlogy(k, step)
                + special.xlog1py(n - k, -step)
            )
        chance = chance @ np.where(inside, np.exp(log), 0.0)
        at = to
    return float(chance.sum())
