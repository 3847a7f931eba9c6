"""A treatment that begins at a value of a running variable, or at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.graph.identification.positivity import CONTINUITY, TREND
from bayescausal.model.study_designs.thresholds import LEAST, bends_at, steps_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.graph import Identification
    from bayescausal.model.structure.structure import Structure

__all__ = ["at_a_boundary", "switches_once"]


def at_a_boundary(
    found: Identification,
    x: str,
    y: str,
    values: Mapping[str, np.ndarray],
    structure: Structure,
) -> Identification:
    """Name what a treatment that begins at a value of one variable rests on at that value."""
    if len(found.function_of) != 1:
        return found
    [r] = found.function_of
    own, score = values.get(x), values.get(r)
    bends = x in structure.full and bool(bends_at(structure, x, {r}, values))
    if own is not None and score is not None and own.shape == score.shape and own.ndim == 1:
        after = 1 if _is_time(score, structure, r) else LEAST
        if not bends and not switches_once(own, score, after):
            return found
    elif not bends and (x not in structure.full or not steps_at(structure, x, {r}, values)):
        return found
    if score is not None and _is_time(score, structure, r):
        method = TREND
        text = (
            f"without {x}, {y} would have gone on with {r} as its equation says, and nothing else "
            f"changed when {x} did"
        )
    else:
        method = CONTINUITY
        what = f"the slope of {y}" if bends else y
        text = (
            f"but for {x}, {what} changes continuously with {r} where {x} "
            f"{'begins' if bends else 'changes'}, and units do not choose their side of it"
        )
    return replace(found, method=method, assumptions=(*found.assumptions, f"{method}: {text}"))


def switches_once(x: np.ndarray, r: np.ndarray, after: int = LEAST) -> bool:
    """Whether a two-valued column changes once along another, which has some values on each side.

    `after`: values of the other on the upper side, at least.

    Examples
    --------
    >>> import numpy as np
    >>> switches_once(np.array([0, 0, 0, 1, 1, 1]), np.arange(6.0))
    True
    >>> switches_once(np.array([0, 0, 0, 1, 1, 1]), np.array([0.0, 0, 0, 3, 4, 5]))  # a dose
    False
    """
    if r.dtype.kind not in "iuf":
        return False
    kept = np.isfinite(np.asarray(x, dtype=float)) & np.isfinite(np.asarray(r, dtype=float))
    x, r = x[kept], r[kept]
    levels = np.unique(x)
    if len(levels) != 2:
        return False
    low, high = r[x == levels[0]], r[x == levels[1]]
    if low.max() > high.min():
        low, high = high, low
    enough = len(np.unique(low)) >= LEAST and len(np.unique(high)) >= after
    return bool(enough and low.max() < high.min())


def _is_time(r: np.ndarray, structure: Structure, name: str) -> bool:
    """Whether a column runs evenly along the rows, one row for each value: a series."""
    dims = structure.dims.get(name, ())
    steps = np.diff(np.asarray(r, dtype=float))
    if r.ndim != 1 or len(r) < 3 or len(dims) != 1:
        return False
    return bool(np.all(steps != 0) and np.allclose(steps, steps[0], rtol=1e-6))
