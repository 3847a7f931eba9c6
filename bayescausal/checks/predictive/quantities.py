r"""Test quantities: numbers that a data set has, compared with those of its replicas.

A quantity :math:`T(v)` of the data is held against :math:`T(v^{(s)})` of the replicas; its
posterior predictive p-value is two-sided,

.. math:: p = 2 \min\{ P(T(v^{(s)}) \ge T(v)),\; P(T(v^{(s)}) \le T(v)) \}.

==========  =======================================================================
numbers     mean, sd, min, max, skewness; the share of exact zeros if there are any
counts      mean, sd, max, share of zeros
binary      share of ones
categories  share of each level
==========  =======================================================================

and for each parent that is a number, the *trend* (the covariance of the value with the parent) and
the *curve* (with the squared distance of the parent from its mean): a straight line fitted to bent
data has the right mean and sd, and the wrong curve.

Quantities that were fitted (the mean of a regression) agree almost always; their p-values lie near
1 and detect little. Those that the model did not aim at are the ones that tell [1]_.

References
----------
.. [1] A. Gelman, X.-L. Meng and H. Stern, "Posterior predictive assessment of model fitness via
   realized discrepancies", Statistica Sinica 6 (1996), 733-807.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from bayescausal.types import EstimandError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bayescausal.checks.predictive.replicas import Replicas

__all__ = ["p_value", "quantities_of"]

#: Levels of a category, and parents, that are looked at.
MOST = 8


def quantities_of(
    replicas: Replicas, own: Mapping[str, Callable[[np.ndarray], float]] | None
) -> dict[str, tuple[float, np.ndarray]]:
    """Return each test quantity of the data and of every replica.

    ``own``: further quantities: from a one-dimensional array of values to a number.
    Raises EstimandError if an own quantity does not give a finite number.
    """
    both = np.vstack([replicas.seen, replicas.drawn])
    found = {}
    for name, function in _builtin(replicas).items():
        values = np.asarray(function(both), dtype=float)
        found[name] = (float(values[0]), values[1:])
    for name, alone in (own or {}).items():
        values = np.asarray([_number(name, alone, row) for row in both])
        found[name] = (float(values[0]), values[1:])
    return found


def p_value(seen: float, drawn: np.ndarray) -> float:
    """Return the two-sided posterior predictive p-value.

    Where no replica is as far out, the smallest value that so many draws can show is replaced by
    that of a normal distribution with their mean and sd, if it lies more than four sd out.

    ``seen``: the quantity of the data.
    ``drawn`` (draw,): that of the replicas.

    Examples
    --------
    >>> import numpy as np
    >>> p_value(0.0, np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
    1.0
    """
    above, below = (drawn >= seen).sum(), (drawn <= seen).sum()
    least = min(above, below)
    p = min(2 * (1 + least) / (len(drawn) + 1), 1.0)
    if not least:
        spread = drawn.std()
        z = abs(seen - drawn.mean()) / spread if spread > 0 else np.inf
        if z > 4:
            p = min(p, 2 * float(stats.norm.sf(z)))
    return float(p)


# ------------------------------------------------------------------------------- private


def _builtin(replicas: Replicas) -> dict[str, Callable[[np.ndarray], Any]]:
    table: dict[str, Callable[[np.ndarray], Any]] = {}
    seen, kind = replicas.seen, replicas.kind
    if kind == "categories":
        levels = np.unique(seen)
        for level in levels[:MOST]:
            table[f"share of {level:g}"] = partial(_share, at=float(level))
        return table
    table["share of ones" if kind == "binary" else "mean"] = lambda x: x.mean(axis=1)
    if kind != "binary":
        table["sd"] = lambda x: x.std(axis=1)
        if kind == "number":
            table["min"] = lambda x: x.min(axis=1)
            table["skewness"] = _skewness
        table["max"] = lambda x: x.max(axis=1)
        if kind == "count" or (seen == 0).any():
            table["share of zeros"] = lambda x: (x == 0).mean(axis=1)
    for name, z in list(replicas.parents.items())[:MOST]:
        centred = z - z.mean()
        table[f"trend in {name}"] = partial(_along, direction=centred / centred.std())
        if len(np.unique(z)) > 2:
            square = centred**2 - (centred**2).mean()
            square = square - centred * (square @ centred) / (centred @ centred)
            if square.std() > 1e-9 * centred.std() ** 2:
                table[f"curve in {name}"] = partial(_along, direction=square / square.std())
    return table


def _share(x: np.ndarray, at: float) -> np.ndarray:
    return np.asarray((x == at).mean(axis=1))


def _along(x: np.ndarray, direction: np.ndarray) -> np.ndarray:
    return np.asarray(x @ direction / len(direction))


def _skewness(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=1, keepdims=True)
    spread = x.std(axis=1)
    return np.asarray((centred**3).mean(axis=1) / np.where(spread > 0, spread, 1.0) ** 3)


def _number(name: str, function: Callable[[np.ndarray], float], row: np.ndarray) -> float:
    value = np.asarray(function(row.copy()))
    if value.ndim or value.dtype.kind not in "biuf" or not np.isfinite(value):
        raise EstimandError(
            f"The quantity {name!r} gave {value!r}.",
            expected="A finite number, from a one-dimensional array of values.",
        )
    return float(value)
