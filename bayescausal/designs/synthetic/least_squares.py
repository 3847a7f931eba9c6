r"""Weights on a simplex by least squares: the classical synthetic control without covariates.

.. math:: \min_w \sum_t (y_t - \sum_j w_j Y_{jt})^2, \qquad w_j \ge 0, \quad \sum_j w_j = 1 .

Solved as non-negative least squares with one more, heavy, row for the sum [1]_.

References
----------
.. [1] C. L. Lawson and R. J. Hanson, *Solving Least Squares Problems*, SIAM, 1995, chapter 23.
"""

from __future__ import annotations

import numpy as np

__all__ = ["simplex_weights"]

#: Weight of the row that makes weights add up to one, relative to the others.
HEAVY = 1e5


def simplex_weights(y: np.ndarray, pool: np.ndarray, *, intercept: bool = False) -> np.ndarray:
    """Return the weights on the simplex that fit a series best.

    - `y` (n_times)
    - `pool` (n_donors, n_times)
    - `intercept`: whether a constant is allowed beside them.

    Examples
    --------
    >>> import numpy as np
    >>> pool = np.array([[1.0, 2.0, 4.0], [3.0, 1.0, 0.0]])
    >>> simplex_weights(0.25 * pool[0] + 0.75 * pool[1], pool).round(6).tolist()
    [0.25, 0.75]
    """
    from scipy.optimize import nnls

    if intercept:
        y, pool = y - y.mean(), pool - pool.mean(axis=1, keepdims=True)
    heavy = HEAVY * max(float(np.abs(pool).max()), float(np.abs(y).max()), 1e-300)
    rows = np.vstack([pool.T, np.full(len(pool), heavy)])
    found, _ = nnls(rows, np.append(y, heavy), maxiter=100 * len(pool))
    return np.asarray(found / found.sum())
