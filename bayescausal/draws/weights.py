r"""Weights over units: the Bayesian bootstrap, weighted means and weighted quantiles.

The units at hand are a sample. When the question is about where they came from, the population
itself is unknown, and its Bayesian answer with the least assumption is the Bayesian bootstrap
[1]_: the population is the sample re-weighted by

.. math:: w \sim \mathrm{Dirichlet}(1, \dots, 1), \qquad \sum_i w_i = 1,

one vector for each posterior draw, the same in all worlds. Where units come in clusters
(pupils in schools) the clusters are what was sampled: the weights are drawn over clusters, and
each unit carries its cluster's weight, normalised over units.

It fails where the sample is not a draw from the population (selection), and where units are few:
no weight is ever put on a unit that was not seen.

Weights depend on ``(seed, draw)`` alone: computing draws in blocks, in another order or one by
one gives the same numbers. A weighted quantile is the left-continuous inverse of the weighted
distribution function, the smallest value with cumulative weight at least q.

References
----------
.. [1] D. B. Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981), 130-134.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import ArrayLike

    type Values = ArrayLike | xr.DataArray

__all__ = ["bayesian_bootstrap", "weighted_mean", "weighted_quantile"]

# Keeps this stream apart from others made from the same seed.
_STREAM = 0x57A7


def bayesian_bootstrap(
    n: int,
    draws: int | Sequence[int] | np.ndarray,
    seed: int,
    clusters: ArrayLike | None = None,
    counts: ArrayLike | None = None,
) -> np.ndarray:
    """Draw Bayesian-bootstrap weights over units.

    - `n`: number of units.
    - `draws`: how many draws (0, 1, ... counted), or the numbers of the wanted draws.
    - `seed`: the weights of a draw depend on this and on the draw's number alone.
    - `clusters`: label of the cluster of each unit; the Dirichlet is then over clusters.
    - `counts`: how many units each of the `n` stands for: its weight is the sum of theirs, a Gamma
      of that shape before all are divided by their sum.

    References
    ----------
    D. B. Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981), 130-134.

    Examples
    --------
    >>> whole = bayesian_bootstrap(5, 10, seed=1)
    >>> bool((whole[3:7] == bayesian_bootstrap(5, range(3, 7), seed=1)).all())
    True
    """
    if n < 1:
        raise DataError(f"A bootstrap over {n} units.", expected="At least one unit.")
    numbers = np.arange(draws) if isinstance(draws, (int, np.integer)) else np.asarray(draws)
    codes, sizes = _cluster_codes(n, clusters)
    key = np.random.SeedSequence(int(seed), spawn_key=(_STREAM,)).generate_state(2, np.uint64)
    weights = np.empty((len(numbers), n))
    for row, draw in enumerate(numbers):
        counter = np.array([0, 0, 0, int(draw)], dtype=np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key, counter=counter))
        if counts is not None:
            weights[row] = rng.standard_gamma(np.asarray(counts, dtype=float))
            weights[row] /= weights[row].sum()
        elif codes is None:
            weights[row] = rng.standard_exponential(n)
            weights[row] /= weights[row].sum()
        else:
            each = rng.standard_exponential(len(sizes))
            weights[row] = (each / (each @ sizes))[codes]
    return weights


def weighted_mean(
    values: Values,
    weights: Values | None = None,
    axis: int = -1,
) -> np.ndarray:
    """Return the weighted mean along an axis.

    - `weights`: non-negative, broadcast against `values`; need not sum to one. Default: equal.
    - `axis`: the axis that is averaged.
    """
    v = np.asarray(values, dtype=float)
    if weights is None:
        return np.asarray(v.mean(axis=axis))
    v, w = np.broadcast_arrays(v, np.asarray(weights, dtype=float))
    total = _total(w, axis)
    return np.asarray((v * w).sum(axis=axis) / total)


def weighted_quantile(
    values: Values,
    q: float,
    weights: Values | None = None,
    axis: int = -1,
) -> np.ndarray:
    """Return the weighted quantile along an axis.

    - `q`: between 0 and 1.
    - `weights`: non-negative, broadcast against `values`; need not sum to one. Default: equal.
    - `axis`: the axis along which the distribution lies.
    """
    v = np.asarray(values, dtype=float)
    if weights is None:
        n = v.shape[axis]
        place = min(max(math.ceil(n * q * (1 - 1e-12)) - 1, 0), n - 1)
        return np.asarray(np.take(np.partition(v, place, axis=axis), place, axis=axis))
    v, w = np.broadcast_arrays(v, np.asarray(weights, dtype=float))
    total = np.expand_dims(_total(w, axis), axis)
    order = np.argsort(v, axis=axis, kind="stable")
    cumulative = np.cumsum(np.take_along_axis(w, order, axis), axis=axis)
    # a relative slack of 1e-12 keeps q * total reachable when the sum was rounded
    reached = cumulative >= q * total * (1 - 1e-12)
    reached &= cumulative > 0
    first = np.expand_dims(np.argmax(reached, axis=axis), axis)
    at = np.take_along_axis(order, first, axis)
    return np.asarray(np.take_along_axis(v, at, axis).squeeze(axis))


def _total(weights: np.ndarray, axis: int) -> np.ndarray:
    total = weights.sum(axis=axis)
    if np.any(weights < 0) or not np.all(total > 0):
        raise DataError(
            "Weights are negative or sum to zero.", expected="Non-negative weights, one positive."
        )
    return np.asarray(total)


def _cluster_codes(n: int, clusters: ArrayLike | None) -> tuple[np.ndarray | None, np.ndarray]:
    if clusters is None:
        return None, np.ones(n)
    labels = np.asarray(clusters)
    if labels.shape != (n,):
        raise DataError(
            f"Cluster labels of shape {labels.shape} for {n} units.",
            expected="One label for each unit.",
        )
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return codes, sizes.astype(float)
