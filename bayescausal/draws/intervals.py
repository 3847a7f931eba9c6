r"""Credible intervals of draws: highest density and equal tails.

The *highest density interval* (HDI) at probability p is the narrowest interval that holds a share
p of the draws. With sorted draws ``x_(1) <= ... <= x_(n)`` and ``k = floor(p n)``,

.. math:: [x_{(i)}, x_{(i+k)}], \qquad i = \arg\min_i \; x_{(i+k)} - x_{(i)},

the leftmost where several are equally narrow. The *equal-tailed interval* (ETI) leaves
``(1 - p) / 2`` of the draws on each side.

The HDI moves under a change of scale (the HDI of ``log r`` is not the log of the HDI of ``r``), so
it is always taken on the scale that is shown; the ETI does not. With two separate modes a single
interval holds what lies between them too. Intervals are over draws, never over units. The
probability is 0.94 throughout and written explicitly, since defaults elsewhere differ.

References
----------
R. J. Hyndman, "Computing and graphing highest density regions", The American Statistician 50
(1996), 120-126.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.draws.named import DRAW_DIMS, as_draws
from bayescausal.types import EstimandError, closest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from bayescausal.draws.named import HasDraws

__all__ = ["check_kind", "check_prob", "ends_of", "eti", "hdi", "inside", "interval", "narrowest"]


def interval(
    draws: ArrayLike | xr.DataArray | HasDraws, prob: float = 0.94, kind: str = "hdi"
) -> xr.DataArray:
    """Return a credible interval.

    - `draws`: draws, as :func:`~bayescausal.draws.named.as_draws` takes them.
    - `prob`: between 0 and 1, both excluded.
    - `kind`: ``"hdi"`` or ``"eti"``.
    """
    return {"hdi": hdi, "eti": eti}[check_kind(kind)](draws, prob)


def hdi(draws: ArrayLike | xr.DataArray | HasDraws, prob: float = 0.94) -> xr.DataArray:
    """Return the narrowest interval that holds a share `prob` of the draws.

    Parameters
    ----------
    draws, prob
        As for :func:`interval`.

    Returns
    -------
    DataArray, dims (..., ci_bound)
        Lower and upper end.

    References
    ----------
    R. J. Hyndman, "Computing and graphing highest density regions", The American Statistician 50
    (1996), 120-126.

    Examples
    --------
    >>> import bayescausal as bc
    >>> bc.hdi([0.0, 1.0, 1.1, 1.2, 9.0], prob=0.5).values.tolist()
    [1.0, 1.2]
    """
    return _over_draws(draws, prob, narrowest)


def eti(draws: ArrayLike | xr.DataArray | HasDraws, prob: float = 0.94) -> xr.DataArray:
    """Return the interval with equal probability on both sides.

    `draws`, `prob`: as for :func:`interval`.
    """
    return _over_draws(draws, prob, _equal_tails)


def narrowest(draws: ArrayLike, prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the narrowest interval of draws along the first axis.

    Examples
    --------
    >>> import numpy as np
    >>> [end.item() for end in narrowest(np.array([0.0, 1.0, 1.1, 1.2, 9.0]), 0.5)]
    [1.0, 1.2]
    """
    ordered = np.sort(np.asarray(draws), axis=0)
    between = inside(len(ordered), prob)
    width = np.subtract(ordered[between:], ordered[: len(ordered) - between], dtype=float)
    first = np.argmin(width, axis=0)[None]
    low, high = (np.take_along_axis(ordered, first + k, axis=0)[0] for k in (0, between))
    return np.asarray(low), np.asarray(high)


def inside(size: int, prob: float) -> int:
    """Return how many places lie between the ends of the narrowest interval of so many draws."""
    return min(int(np.floor(prob * size)), size - 1)


def ends_of(draws: np.ndarray, prob: float, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of an interval of draws along the first axis; `kind` as in `interval`."""
    return narrowest(draws, prob) if kind == "hdi" else _equal_tails(draws, prob)


def check_kind(kind: str) -> str:
    """Return the kind of an interval, or refuse it."""
    if kind not in ("hdi", "eti"):
        raise EstimandError(
            f"{kind!r} is not a kind of interval.",
            expected="'hdi' or 'eti'.",
            names=closest(str(kind), ("hdi", "eti"))[:1],
        )
    return kind


def check_prob(prob: float) -> float:
    """Return a probability strictly between 0 and 1, or refuse it."""
    if isinstance(prob, (str, bool)) or np.ndim(prob) or not 0 < prob < 1:
        raise EstimandError(f"prob={prob!r}.", expected="A probability between 0 and 1.")
    return float(prob)


def _over_draws(
    draws: ArrayLike | xr.DataArray | HasDraws,
    prob: float,
    ends: Callable[[np.ndarray, float], tuple[Any, Any]],
) -> xr.DataArray:
    """Apply a pair of ends along the flattened draws of each cell."""
    prob = check_prob(prob)
    named = as_draws(draws)
    values = named.values.reshape((-1, *named.shape[2:]))
    both = np.stack(ends(values, prob), axis=-1)
    first = named.isel(dict.fromkeys(DRAW_DIMS, 0), drop=True)
    return xr.DataArray(
        both,
        dims=(*first.dims, "ci_bound"),
        coords={**first.coords, "ci_bound": ["lower", "upper"]},
    )


def _equal_tails(values: np.ndarray, prob: float) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    return low, high
