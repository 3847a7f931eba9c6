r"""Kernels, and a bandwidth for the local linear fit at a cutoff.

The rule is that of Imbens and Kalyanaraman [1]_: the bandwidth that minimises a first-order
expansion of the squared error of the jump,

.. math::

   h = C_K \left( \frac{\sigma^2_- + \sigma^2_+}
       {f(c)\,[(m''_+ - m''_-)^2 + r_+ + r_-]} \right)^{1/5} n^{-1/5},

with the density :math:`f` and the variances :math:`\sigma^2_\pm` at the cutoff, the curvatures
:math:`m''_\pm` on each side, each estimated in a pilot bandwidth of its own, and :math:`r_\pm`,
which keep a difference of curvatures near zero from giving an endless bandwidth.

It is a choice for one purpose, the mean squared error of a straight-line fit. It balances bias
against noise, so the bias is not negligible at it: look at the effect over bandwidths.

References
----------
.. [1] G. Imbens and K. Kalyanaraman, "Optimal bandwidth choice for the regression discontinuity
   estimator", *Review of Economic Studies* 79 (2012), 933-959.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bayescausal.types import DataError

__all__ = ["KERNELS", "kernel_weights", "optimal_bandwidth"]

#: Kernels and the constants of the rule for each.
KERNELS: Final = {"triangular": 3.4375, "uniform": 5.4000, "epanechnikov": 3.1999}


def kernel_weights(distance: np.ndarray, bandwidth: float, kernel: str) -> np.ndarray:
    """Return the weight of each row by its distance from the cutoff, 1 at the cutoff.

    Examples
    --------
    >>> import numpy as np
    >>> kernel_weights(np.array([0.0, 1.0, 2.0]), 2.0, "triangular").tolist()
    [1.0, 0.5, 0.0]
    """
    if kernel == "uniform":
        return (np.abs(distance) <= bandwidth).astype(float)
    u = np.abs(distance) / bandwidth
    found = 1 - u if kernel == "triangular" else 1 - u**2
    return np.maximum(found, 0.0)


def optimal_bandwidth(
    running: np.ndarray, outcome: np.ndarray, cutoff: float, kernel: str = "triangular"
) -> float:
    """Return the bandwidth of Imbens and Kalyanaraman for a local linear fit.

    - `running`, `outcome`: one number a row, none missing.
    - `kernel` ("triangular", "uniform" or "epanechnikov")
    Raises DataError if a side has too few rows for its curvature.
    """
    x, y = np.asarray(running, float) - cutoff, np.asarray(outcome, float)
    n, right = len(x), x >= 0
    pilot = 1.84 * float(np.std(x, ddof=1)) * n**-0.2
    close = np.abs(x) <= pilot
    counts = [int((close & side).sum()) for side in (~right, right)]
    if min(counts) < 3:
        raise _too_few(counts)
    density = sum(counts) / (2 * n * pilot)
    variances = [float(np.var(y[close & side], ddof=1)) for side in (~right, right)]
    cubic = np.column_stack([np.ones(n), right, x, x**2, x**3])
    third = 6 * float(np.linalg.lstsq(cubic, y, rcond=None)[0][4])
    floor = (1e-4 * float(np.std(y)) / max(float(np.std(x)), 1e-300) ** 3) ** 2
    curvature, regular = [], 0.0
    for side, variance in zip((~right, right), variances, strict=True):
        width = 3.56 * (variance / (density * max(third**2, floor))) ** (1 / 7)
        width *= int(side.sum()) ** (-1 / 7)
        within = side & (np.abs(x) <= width)
        if len(np.unique(x[within])) < 4:
            raise _too_few([int(within.sum())])
        local = np.column_stack([np.ones(int(within.sum())), x[within], x[within] ** 2])
        curvature.append(2 * float(np.linalg.lstsq(local, y[within], rcond=None)[0][2]))
        regular += 2160 * variance / (int(within.sum()) * width**4)
    bend = (curvature[1] - curvature[0]) ** 2 + regular
    if not bend > 0:
        return float(np.max(np.abs(x)))  # no noise and no bend: all rows
    return KERNELS[kernel] * (sum(variances) / (density * bend * n)) ** 0.2


def _too_few(counts: list[int]) -> DataError:
    return DataError(
        "There are too few rows at the cutoff to choose a bandwidth: "
        f"{' below and '.join(map(str, counts))} in the pilot bandwidth.",
        expected="four or more different values on each side.",
        remedy="Pass bandwidth=, or bandwidth=float('inf') for all rows.",
    )
