"""The compiled sweep behind Makarov's bounds: one pass over two sorted samples.

This module imports numba; import it only inside functions. The compiled code is cached on disk.
"""

from __future__ import annotations

from numba import guvectorize

__all__ = ["sweep"]


@guvectorize(
    ["void(float64[:], float64[:], float64, boolean, float64[:], float64[:])"],
    "(k),(k),(),()->(),()",
    cache=True,
)
def sweep(one, zero, d, strict, lower, upper):  # type: ignore[no-untyped-def]
    """Follow ``F1(y) - F0(y - d)`` through all its jumps; return its supremum and infimum.

    At a tie the two jump together, and which of the values on the way counts is what makes the
    bounds sharp for outcomes with atoms: for ``P(Y1 - Y0 <= d)`` the difference after `one` has
    jumped alone (from above) and after both have (from below); for ``P(Y1 - Y0 < d)``, `strict`,
    after both and after `zero` has jumped alone.
    """
    k = one.shape[0]
    i = 0
    j = 0
    best = 0
    worst = 0
    while i < k or j < k:
        y = one[i] if i < k else zero[j] + d
        if j < k and zero[j] + d < y:
            y = zero[j] + d
        if strict:
            while j < k and zero[j] + d <= y:
                j += 1
            worst = min(worst, i - j)
            while i < k and one[i] <= y:
                i += 1
            best = max(best, i - j)
        else:
            while i < k and one[i] <= y:
                i += 1
            best = max(best, i - j)
            while j < k and zero[j] + d <= y:
                j += 1
            worst = min(worst, i - j)
    lower[0] = best / k
    upper[0] = 1.0 + worst / k
