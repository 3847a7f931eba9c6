"""A treatment that begins at a value of a running variable, or at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.graph.identification.positivity import CONTINUITY, TREND
from bayescausal.model.study_designs.thresholds import comparisons, kinks

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
    bends = x in structure.full and bool(kinks(structure, x, {r}))
    if own is not None and score is not None and own.shape == score.shape and own.ndim == 1:
        if not bends and (score.dtype.kind not in "iuf" or not switches_once(own, score)):
            return found
    elif not bends and (x not in structure.full or not comparisons(structure, x, {r})):
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


def switches_once(x: np.ndarray, r: np.ndarray) -> bool:
    """Whether a two-valued column changes once along another."""
    kept = np.isfinite(np.asarray(x, dtype=float)) & np.isfinite(np.asarray(r, dtype=float))
    x, r = x[kept], r[kept]
    levels = np.unique(x)
    if len(levels) != 2:
        return False
    low, high = r[x == levels[0]], r[x == levels[1]]
    return bool(low.max() < high.min() or high.max() < low.min())


def _is_time(r: np.ndarray, structure: Structure, name: str) -> bool:
    """Whether a column runs evenly along the rows, one row for each value: a series."""
    dims = structure.dims.get(name, ())
    steps = np.diff(np.asarray(r, dtype=float))
    if r.ndim != 1 or len(r) < 3 or len(dims) != 1:
        return False
    return bool(np.all(steps != 0) and np.allclose(steps, steps[0], rtol=1e-6))
