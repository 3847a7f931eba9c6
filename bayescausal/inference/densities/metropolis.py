r"""Independence Metropolis-Hastings: draws from a density that proposals nearly have.

Proposals come from one distribution, whatever the state is; with the ratios :math:`r = p / q`, one
is accepted with probability :math:`\min(1, r' / r)`, which leaves the density exactly invariant
[1]_. How well the proposals fit is measured by the share that is accepted, by the share that is
effective, and by the shape k of the generalised Pareto tail of the ratios [2]_. Where they do not
fit, there are no draws.

References
----------
.. [1] L. Tierney, Markov chains for exploring posterior distributions, *Annals of Statistics* 22,
   1994, section 2.3.
.. [2] A. Vehtari, D. Simpson, A. Gelman, Y. Yao and J. Gabry, Pareto smoothed importance sampling,
   *JMLR* 25, 2024.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array

    type LogDensity = Callable[[Array], Array]

__all__ = [
    "ACCEPTED",
    "EFFECTIVE",
    "TAIL",
    "acceptance",
    "effective_share",
    "finite",
    "independence_chain",
    "tail_shape",
]

#: Of usable draws: the worst shape of the tail, the smallest shares of proposals that are accepted
#: and that are effective.
TAIL, ACCEPTED, EFFECTIVE = 0.7, 0.3, 0.4
#: Correlation of neighbours up to which draws are thinned, and the most thinning.
NEIGHBOURS, THIN = 0.2, 12
#: Proposals before the first draw.
WARM = 100


def independence_chain(
    propose: Callable[[int], tuple[Array, Array]],
    pilot: Array,
    size: int,
    rng: np.random.Generator,
    *,
    tail: float = TAIL,
) -> Array:
    """Return draws by independence Metropolis-Hastings, thinned until nearly independent.

    - `propose`: from a number to as many proposals, shape (n, d), and their log importance ratios.
    - `pilot`: ratios of proposals that were tried before: they say how much is rejected.
    - `size`: how many draws.
    - `tail`: the largest shape of the tail of the ratios.
    Returns (size, d).
    Raises ArithmeticError if the proposals do not fit the density.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> def propose(n):
    ...     points = rng.uniform(0, 1, (n, 1))
    ...     return points, np.log(points[:, 0] + 1)  # the density 2 (1 + u) / 3
    >>> draws = independence_chain(propose, propose(500)[1], 4_000, rng)
    >>> bool(abs(draws.mean() - 5 / 9) < 0.02)
    True
    """
    rejected = 1 - _checked(pilot, tail)
    thin = int(np.clip(np.ceil(np.log(NEIGHBOURS) / np.log(max(rejected, 1e-9))), 1, THIN))
    points, ratio = propose(WARM + thin * size)
    _checked(ratio, tail)
    return np.asarray(points[_metropolis(ratio, rng)[WARM:][thin - 1 :: thin]])


def _checked(ratio: Array, tail: float) -> float:
    """Return the share of proposals that is accepted, if the mixture fits."""
    finite = ratio[np.isfinite(ratio)]
    if len(finite) < len(ratio) / 4:
        raise ArithmeticError("most proposals lie where there is no density")
    accepted = acceptance(ratio)
    if accepted < ACCEPTED or effective_share(ratio) < EFFECTIVE:
        raise ArithmeticError(f"only {accepted:.0%} of the proposals are accepted")
    shape = tail_shape(ratio)
    if not shape < tail:
        raise ArithmeticError(f"the ratios of the proposals have a heavy tail (k = {shape:.2f})")
    return accepted


def tail_shape(ratio: Array) -> float:
    """Return the shape k of the tail of log importance ratios: a generalised Pareto law's [3]_.

    It is what ArviZ finds; that takes seconds to load.

    .. [3] J. Zhang and M. A. Stephens, "A new and efficient estimation method for the generalized
       Pareto distribution", Technometrics 51(3), 2009.
    """
    finite = np.sort(ratio[np.isfinite(ratio)])
    if np.ptp(finite) < 1e-9:
        return -np.inf
    count = len(finite)
    tail = int(3 * np.sqrt(count)) if count > 225 else count // 5
    if tail < 5:
        return np.inf
    weights = np.exp(finite - finite[-1])
    excess = weights[-tail:] - weights[-tail - 1]
    quartile = excess[int(tail / 4 + 0.5) - 1]
    if not quartile > 0:
        return np.inf
    steps = 30 + int(np.sqrt(tail))
    b = 1 - np.sqrt(steps / (np.arange(1, steps + 1) - 0.5))
    b = b / (3 * quartile) + 1 / excess[-1]
    k = np.log1p(-b[:, None] * excess).mean(axis=1)
    height = tail * (np.log(-b / k) - k - 1)
    share = np.exp(height - logsumexp(height))
    middle = float((b * share).sum() / share.sum())
    shape = float(np.log1p(-middle * excess).mean())
    return (tail * shape + 10 * 0.5) / (tail + 10)


def acceptance(ratio: Array) -> float:
    """Return the share of proposals that a stationary independence chain accepts."""
    height = ratio[np.isfinite(ratio)]
    weights = np.exp(height - height.max())
    state = np.sort(weights)
    # mean over states (by weight) of the mean over proposals of min(1, w' / w)
    below = np.concatenate([[0.0], np.cumsum(state)])[:-1]
    above = len(state) - np.arange(len(state))
    return float(np.sum(below + above * state) / (len(ratio) * state.sum()))


def _metropolis(ratio: Array, rng: np.random.Generator) -> Array:
    """Return which proposal the chain is at, after each."""
    threshold = np.log(rng.random(len(ratio)))
    at = int(np.argmax(np.isfinite(ratio)))
    where = np.empty(len(ratio), dtype=np.int64)
    for i, (height, least) in enumerate(zip(ratio.tolist(), threshold.tolist(), strict=True)):
        if height - ratio[at] > least:
            at = i
        where[i] = at
    return where


def effective_share(ratio: Array) -> float:
    """Return the share of effective points."""
    if not np.isfinite(ratio).any():
        return 0.0
    weights = np.exp(ratio - logsumexp(ratio))
    return 1.0 / (len(ratio) * float((weights**2).sum()))


def finite(log_density: LogDensity) -> LogDensity:
    """Return a log-density that is minus infinity where it is not a number."""

    def value(points: Array) -> Array:
        with np.errstate(all="ignore"):
            found = np.asarray(log_density(points), dtype=float)
        return np.where(np.isfinite(found), found, -np.inf)

    return value
