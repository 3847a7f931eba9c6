r"""Weighted least squares at a cutoff, and the jump of a density.

The jump is the coefficient of the side in a polynomial of each side, its standard error the
sandwich with the factor :math:`n / (n - k)` (HC1). The density is that of McCrary [1]_: counts in
fine bins, smoothed by a local linear fit with a triangular kernel on each side; the variance of the
log of the jump is :math:`\frac{24}{5 n h} (1 / f_+ + 1 / f_-)`.

References
----------
.. [1] J. McCrary, "Manipulation of the running variable in the regression discontinuity design: a
   density test", *Journal of Econometrics* 142 (2008), 698-714.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.designs.discontinuity.bandwidth import kernel_weights
from bayescausal.designs.discontinuity.window import eligible_of

if TYPE_CHECKING:
    from bayescausal.designs.discontinuity.window import Window

__all__ = ["density_jump", "local_jump"]


def local_jump(
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    window: Window,
    order: int,
    others: np.ndarray | None = None,
    *,
    kink: bool = False,
) -> tuple[float, float, int]:
    """Return the jump of `y` at ``x = 0`` (of its slope in a kink), its standard error, the rows.

    NaN where a side has too few rows.
    """
    kept = weights > 0
    x, y, w = x[kept], y[kept], weights[kept]
    rule = eligible_of(x, window.side, window.ties).astype(float)
    if min(len(np.unique(x[rule == s])) for s in (0, 1)) < order + 1:
        return np.nan, np.nan, len(x)
    unit = float(np.abs(x).max()) or 1.0
    u = x / unit
    acting = rule * u if kink else rule
    columns = [acting, np.ones_like(u)]
    for k in range(1, order + 1):
        columns.append(u**k)
        if not (kink and k == 1):
            columns.append(rule * u**k)
    if others is not None:
        columns += list(others[kept].T)
    design = np.column_stack(columns)
    root = np.sqrt(w)
    q, r = np.linalg.qr(design * root[:, None])
    coefficients = np.linalg.lstsq(r, q.T @ (root * y), rcond=None)[0]
    residual = y - design @ coefficients
    half = np.linalg.lstsq(r, q.T, rcond=None)[0]
    rest = len(x) - design.shape[1]
    variance = float(np.sum((half[0] * root * residual) ** 2)) * len(x) / max(rest, 1)
    scale = unit if kink else 1.0
    return float(coefficients[0]) / scale, float(np.sqrt(variance)) / scale, len(x)


def density_jump(distance: np.ndarray) -> tuple[float, float, float]:
    """Return the jump of the log density at zero, its standard error and the bandwidth."""
    x = np.asarray(distance, dtype=float)
    n = len(x)
    bin_width = 2 * float(np.std(x)) / np.sqrt(n)
    index = np.floor(x / bin_width).astype(int)
    low, high = int(index.min()), int(index.max())
    counts = np.bincount(index - low, minlength=high - low + 1)
    middle = (np.arange(low, high + 1) + 0.5) * bin_width
    heights = counts / (n * bin_width)
    width = float(np.mean([_pilot(middle, heights, s) for s in (-1, 1)]))
    sides = [_height_at_zero(middle, heights, s, width) for s in (-1, 1)]
    if min(sides) <= 0:
        return np.nan, np.nan, width
    below, above = sides
    se = float(np.sqrt(24 / 5 / (n * width) * (1 / above + 1 / below)))
    return float(np.log(above / below)), se, width


def _pilot(middle: np.ndarray, heights: np.ndarray, side: int) -> float:
    """Return the bandwidth of one side from a fourth-order polynomial through its bins."""
    own = middle * side > 0
    reach = float(np.abs(middle[own]).max())
    if own.sum() < 7:
        return reach
    z = np.abs(middle[own]) / reach
    basis = np.vander(z, 5, increasing=True)
    found = np.linalg.lstsq(basis, heights[own], rcond=None)[0]
    variance = float(np.mean((heights[own] - basis @ found) ** 2))
    bend = 2 * found[2] + 6 * found[3] * z + 12 * found[4] * z**2
    total = float(np.sum(bend**2)) / reach**4
    if not total > 0:
        return reach
    return min(float(3.348 * (variance * reach / total) ** 0.2), reach)


def _height_at_zero(middle: np.ndarray, heights: np.ndarray, side: int, width: float) -> float:
    """Return the density at zero from one side."""
    own = middle * side > 0
    weights = kernel_weights(middle[own], width, "triangular")
    kept = weights > 0
    if kept.sum() < 2:
        return 0.0
    root = np.sqrt(weights[kept])
    design = np.column_stack([np.ones(int(kept.sum())), middle[own][kept]])
    fitted = np.linalg.lstsq(design * root[:, None], root * heights[own][kept], rcond=None)[0]
    return float(fitted[0])
