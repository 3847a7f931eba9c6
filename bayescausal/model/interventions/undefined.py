"""Where a check of an equation fails, and the words for it.

The values come from whoever evaluates the checks of :mod:`bayescausal.model.interventions.domain`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array
    from bayescausal.model.interventions.equation_walk import Check

__all__ = ["fails", "failure"]

#: A spread below this share of its natural value is none.
NOTHING = 1e-8


def fails(check: Check, here: Sequence[Any], natural: Sequence[Any] | None) -> Array:
    """Return where a check fails, elementwise.

    - `here`: what is tested; the length of a table.
    - `natural`: the same without interventions: an index that counts from the end is the model's
      own way where the units' own values do so.
    """
    tested = np.asarray(here[0])
    if check.kind == "parameter":
        return ~tested.astype(bool)
    if check.kind == "spread":
        usual = 0.0 if natural is None else np.abs(np.asarray(natural[0]))
        size = 1.0 if natural is None else _shrunk(check, here, natural)
        return np.abs(tested) <= NOTHING * usual * size**2
    if check.kind == "number":
        return ~np.isfinite(tested)
    length = int(np.min(here[1]))
    known = () if natural is None else np.unique(np.asarray(natural[0]))
    outside = (tested >= length) | (tested < -length)
    # an entry that has its own number too is not meant by one that counts from the end
    twice = np.isin(tested + length, known)
    return outside | ((tested < 0) & (twice | ~np.isin(tested, known)))


def _shrunk(check: Check, here: Sequence[Any], natural: Sequence[Any]) -> float:
    """Return how small what a spread is of is beside its natural size, at most 1."""
    count = len(check.reads)
    pairs = zip(here[-count:], natural[-count:], check.direct or (True,) * count, strict=True)
    sizes = [[float(np.max(np.abs(v), initial=0.0)) for v in (a, b)] for a, b, own in pairs if own]
    return max((min(1.0, a / b) for a, b in sizes if a > 0 and b > 0), default=1.0)


def failure(check: Check, here: list[np.ndarray], bad: np.ndarray) -> tuple[str, str]:
    """Return what fails, with the values that it fails at, and what would hold.

    - `here`: what is tested, the length of a table, the values of its steps, those of what it
      reads.
    - `bad` (bool): from :func:`fails`.
    """
    names = ", ".join(check.reads)
    tail = _at(check, here, bad, check.reads)
    value = np.broadcast_to(here[0], bad.shape)[bad].flat[0]
    if check.kind == "index":
        last = int(np.min(here[1])) - 1
        if value == -1 and any(f" {read}=-1," in f"{tail}," for read in check.reads):
            tail += " (the code that pandas gives an empty cell)"
        return (
            f"it reads entry {int(value)} of {check.words}, which has entries 0 to {last},{tail}",
            f"values of {names} that give an entry from 0 to {last}.",
        )
    if check.kind == "parameter":
        return f"{check.words} does not hold{tail}", f"values of {names} with {check.words}."
    if check.kind == "spread":
        return (
            f"it divides by a spread of {names} over the units, which is 0 where all units have "
            "one level",
            f"different levels of {names}.",
        )
    for step, result in zip(check.steps, here[1:], strict=False):
        if np.all(np.isfinite(result)):
            continue
        tails = (_at(check, here, where, step.reads) for where in (~np.isfinite(result), bad))
        tail = next(filter(None, tails), "")
        if step.keys:
            known = ", ".join(f"{k:g}" for k in step.keys)
            return f"{', '.join(step.reads)} is none of {known},{tail}", f"one of {known}."
        if step.limits:
            low, high = (f"{v:.4g}" for v in step.limits)
            return (
                f"{step.words} is beyond the boundary of a curve, from {low} to {high},{tail}",
                "values within it. It is wider in a model that is made with reach=, the "
                "questions that are asked (model_from_formulas).",
            )
        kind = "NaN" if np.any(np.isnan(result)) else "infinite"
        return f"{step.words} is {kind}{tail}", f"values at which {step.words} is finite."
    kind = "NaN" if np.isnan(value) else "infinite"
    return f"a parameter is {kind}{tail}", f"values of {names} at which it is finite."


def _at(check: Check, here: list[np.ndarray], bad: np.ndarray, names: Sequence[str]) -> str:
    """Return the values, where a check first fails, of what it reads: those of names."""
    out = []
    for name, value in zip(check.reads, here[-len(check.reads) :], strict=True):
        array = np.asarray(value, dtype=float)
        pairs = zip(array.shape, bad.shape, strict=False)  # a parameter may have other dims
        along = array.ndim == bad.ndim and all(1 in pair or pair[0] == pair[1] for pair in pairs)
        if name in names and (along or array.size == 1):
            where, array = np.broadcast_arrays(bad, array)
            out.append(f"{name}={array[where].flat[0]:.6g}")
    return f" at {', '.join(out)}" if out else ""
