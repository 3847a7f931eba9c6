"""Whether, in the data, a treatment is a function of a variable that is adjusted for.

A column that no equation explains may be a function of another all the same: the treatment above a
threshold of a score, a policy that begins in a year. The units then show it: in the order of the
score the treatment never goes back. By chance that happens with probability
``2 / (number of distinct orders of the treatment's values)``; less than :data:`CHANCE`, and it is
taken for a function [1]_.

It fails where the function is not monotone, or reads several variables: then overlap
(:func:`bayescausal.overlap`) shows it.

References
----------
.. [1] G. W. Imbens and T. Lemieux, "Regression discontinuity designs: a guide to practice",
   Journal of Econometrics 142, 2008.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bayescausal.inference.record import Fit

__all__ = ["function_in_data", "is_monotone_function"]

#: The order must be less likely than this by chance.
CHANCE = 1e-6
#: What is no function among so many units is none among all.
FIRST = 1000


def function_in_data(fit: Fit, name: str, of: str) -> bool:
    """Tell whether a column of a fit is a monotone function of another.

    Parameters
    ----------
    fit : Fit
        With data in memory; False without.
    name, of : str
        The columns. Labels have no order, so they are never taken for functions.

    Returns
    -------
    bool
    """
    columns = {n: fit.columns.get(n) for n in (name, of)}
    if any(c is None or n in fit.labels for n, c in columns.items()):
        return False
    dims = [fit.structure.dims.get(n, ()) for n in (name, of)]
    left, right = (np.asarray(columns[n]) for n in (name, of))
    if dims[0] != dims[1] or left.shape != right.shape or left.dtype.kind not in "biuf":
        return False
    return is_monotone_function(left.ravel(), right.ravel())


def is_monotone_function(values: np.ndarray, of: np.ndarray) -> bool:
    """Tell whether values are a monotone function of others, and not by chance.

    Parameters
    ----------
    values, of : numpy array
        One number for each unit; units with a missing one are left out.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.effects.positivity import is_monotone_function
    >>> score = np.linspace(-1, 1, 40)
    >>> is_monotone_function(score >= 0, score), is_monotone_function(score % 0.2 > 0.1, score)
    (True, False)
    """
    x, z = np.asarray(values, dtype=float), np.asarray(of, dtype=float)
    known = np.isfinite(x) & np.isfinite(z)
    x, z = x[known], z[known]
    if not (_is_in_order(x[:FIRST], z[:FIRST]) and _is_in_order(x, z)):
        return False
    counts = np.unique(x, return_counts=True)[1]
    orders = math.lgamma(len(x) + 1) - sum(math.lgamma(c + 1) for c in counts)
    return math.log(2) - orders < math.log(CHANCE)


def _is_in_order(x: np.ndarray, z: np.ndarray) -> bool:
    """Whether values are a monotone function of others."""
    order = np.lexsort((x, z))
    steps, ties = np.diff(x[order]), np.diff(z[order]) == 0
    if not len(steps) or np.any(steps[ties]):
        return False
    return bool(np.all(steps >= 0) or np.all(steps <= 0))
