"""How far each column of an equation moves it by itself: the scale of a weak prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["own_spread"]


def own_spread(columns: Sequence[np.ndarray]) -> list[float]:
    """Return the root mean square of what a constant and each column add to all others.

    A Normal prior of 2.5 standard deviations of the outcome per such a unit weighs less than a
    sixth of one row in every direction, however the columns lie to each other. A column that adds
    nothing has its own root mean square.

    Examples
    --------
    >>> import numpy as np
    >>> own_spread([np.array([-1.0, 1.0, -1.0, 1.0])])
    [1.0, 1.0]
    """
    design = np.column_stack([np.ones(len(columns[0])), *columns])
    sizes = np.sqrt(np.mean(design**2, axis=0))
    sizes[sizes == 0] = 1.0
    r = np.linalg.qr(design / sizes / np.sqrt(len(design)), mode="r")
    found = []
    for j, size in enumerate(sizes):
        others = np.delete(r, j, axis=1)
        rest = r[:, j] - others @ np.linalg.lstsq(others, r[:, j], rcond=1e-12)[0]
        own = float(np.linalg.norm(rest))
        found.append(float(size) * (own if own > 1e-9 else 1.0))
    return found
