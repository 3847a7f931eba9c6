r"""The Bayesian bootstrap that all estimators of one problem share, block by block.

A draw of the distribution that the units came from is a weight of each of them,
:math:`w \sim \mathrm{Dirichlet}(1, \dots, 1)` times the number of units [1]_; an estimator is a
function of that distribution, so its value under the weights is a draw of its posterior [2]_. The
weights of a draw depend on the seed and the draw's number alone. Estimators that are given the same
weights can be compared draw by draw: most of what two of them have in common (the sample) cancels
in their difference.

Weights are made for a block of draws at a time, so that memory does not grow with their number.

References
----------
.. [1] D. B. Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981), 130-134.
.. [2] G. Chamberlain and G. W. Imbens, "Nonparametric applications of Bayesian inference", Journal
   of Business & Economic Statistics 21 (2003), 12-18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.draws.weights import bayesian_bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import ArrayLike

__all__ = ["BLOCK", "weight_blocks"]

#: Weights (draws times units) that are held at once.
BLOCK = 4_000_000


def weight_blocks(
    n: int, draws: int, seed: int, clusters: ArrayLike | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Generate blocks of weights ``(draw, unit)`` whose rows sum to the number of units.

    Examples
    --------
    >>> [(where, weights.shape) for where, weights in weight_blocks(10, 3, seed=1)]
    [(slice(0, 3, None), (3, 10))]
    """
    step = max(1, min(draws, BLOCK // n))
    for start in range(0, draws, step):
        stop = min(start + step, draws)
        weights = bayesian_bootstrap(n, range(start, stop), seed, clusters)
        weights *= n
        yield slice(start, stop), weights
