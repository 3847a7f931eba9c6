"""Effects combined draw by draw.

A difference of effects has a posterior of its own, and it is the posterior of the draw-by-draw
differences: subtracting means is right, subtracting interval ends never is. It needs draws that
belong together, that is the same posterior draws in the same order. Numbers of chains or draws
that differ are refused; equal numbers from two unrelated fits cannot be told apart here.
"""

from __future__ import annotations

import operator
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pandas as pd

from bayescausal.draws.named import DRAW_DIMS, cells
from bayescausal.effects.bounds import flipped
from bayescausal.effects.words.sentence import whom
from bayescausal.types import EstimandError, UndefinedEffectError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr

    from bayescausal.effects.effect import Effect

__all__ = ["CHANGES_SIGN", "combine", "joint_verdict", "negative", "over", "wrapped"]

#: Verdicts from the weakest.
_STRENGTH = ("not identified", "undecided", "under assumption", "identified")

#: What a ratio means little of.
CHANGES_SIGN = (
    "{what} takes both signs: a ratio depends on where zero lies and explodes where the "
    "denominator passes it. A difference says more."
)

#: Averages over units are good to this, relative to their size.
ROUNDING = 1e-12

_ACTS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def wrapped(label: str) -> str:
    """Return a label in brackets, if it has several words.

    Examples
    --------
    >>> wrapped("ATE X -> Y")
    '(ATE X -> Y)'
    """
    return f"({label})" if " " in label else label


def combine(a: Effect | float, b: Effect | float, sign: str) -> Any:
    """Combine effects, or an effect and a number, draw by draw.

    - `a`, `b`: at least one effect.
    - `sign`: ``"+"``, ``"-"``, ``"*"`` or ``"/"``.
    Returns (dict): the fields of the combined effect; ``NotImplemented`` for anything that is no
    number.
    Raises EstimandError if the draws do not belong together.
    Raises UndefinedEffectError for a ratio with a zero denominator in some draw.

    Examples
    --------
    >>> from bayescausal.effects.effect import Effect
    >>> combine(Effect([1.0, 2.0], name="gain"), 2.0, "*")["name"]
    'gain * 2'
    """
    act = _ACTS[sign]
    for side in (a, b):
        if not _is_effect(side) and (
            isinstance(side, bool) or not isinstance(side, (int, float, np.number))
        ):
            return NotImplemented
    effects = [side for side in (a, b) if _is_effect(side)]
    x: Any
    y: Any
    x, y = (side.draws if _is_effect(side) else float(side) for side in (a, b))
    if len(effects) == 2:
        y = _aligned(x, y, effects)
    if sign == "/" and bool(np.any(np.asarray(y) == 0)):
        raise UndefinedEffectError(
            "The ratio of effects divides by zero in some draw.",
            remedy="Ask their difference, or the estimand with scale='ratio'.",
        )
    labels = [wrapped(s.label) if _is_effect(s) else f"{float(s):g}" for s in (a, b)]
    nulls = [s.null if _is_effect(s) else None for s in (a, b)]
    seeds = {e.seed for e in effects}
    decided, notes = joint_verdict(effects)
    if sign == "/" and _both_signs(y):
        notes.append(CHANGES_SIGN.format(what=labels[1]))
    return {
        "draws": _without_rounding(act(x, y), x, y) if sign in "+-" else act(x, y),
        "identification": decided,
        "mc_error": _error(a, b, sign),
        "seed": seeds.pop() if len(seeds) == 1 else None,
        "population": over(effects),
        "notes": tuple(dict.fromkeys([*(note for e in effects for note in e.notes), *notes])),
        "null": _null(nulls, (a, b), act, sign),
        "name": f" {sign} ".join(labels),
        "kind": effects[0].kind if len({e.kind for e in effects}) == 1 else None,
    }


def negative(effect: Effect) -> Effect:
    """Return an effect with the opposite sign."""
    return replace(
        effect,
        draws=-effect.draws,
        estimand=None,
        population=over([effect]),
        null=None if effect.null is None else -effect.null,
        bounds=flipped(effect.bounds),
        name=f"-{wrapped(effect.label)}",
    )


def over(effects: Sequence[Any]) -> str | None:
    """Return over whom effects are together: each with its subgroup, once."""
    return "; ".join(dict.fromkeys(w for w in map(whom, effects) if w)) or None


def joint_verdict(effects: Sequence[Any]) -> tuple[Any, list[str]]:
    """Return the verdict on what several effects make together, and what it leaves unsaid.

    It is known only if each of them is: the weakest verdict holds, with all that any assumes.
    """
    found = [e.identification for e in effects]
    if any(v is None for v in found):
        return None, []
    said = [str(v) for v in found]
    weakest = min(found, key=lambda v: _STRENGTH.index(v.status) if v.status in _STRENGTH else 0)
    if len(set(said)) == 1 or not is_dataclass(weakest):
        return weakest, []
    names = ("assumptions", "warnings")
    merged = {n: tuple(dict.fromkeys(a for v in found for a in getattr(v, n))) for n in names}
    each = [f"{e.label}: {text}" for e, text in zip(effects, said, strict=True)]
    return replace(weakest, **merged), each  # type: ignore[type-var]


def _without_rounding(
    total: xr.DataArray, x: xr.DataArray | float, y: xr.DataArray | float
) -> xr.DataArray:
    """Return a sum or difference, zero where it is the rounding error of equal numbers."""
    some = np.abs(total) > ROUNDING * (np.abs(x) + np.abs(y))
    return total.where(some | ~np.isfinite(total), 0.0)


def _both_signs(values: xr.DataArray | float) -> bool:
    array = np.asarray(values)
    return bool((array < 0).any() and (array > 0).any())


def _aligned(x: xr.DataArray, y: xr.DataArray, effects: list[Any]) -> xr.DataArray:
    """Return y on the chain and draw labels of x; refuse draws that do not belong together."""
    sizes = [tuple(d.sizes[dim] for dim in DRAW_DIMS) for d in (x, y)]
    if sizes[0] != sizes[1]:
        raise EstimandError(
            f"{effects[0].label} has {sizes[0][0]} x {sizes[0][1]} draws, "
            f"{effects[1].label} has {sizes[1][0]} x {sizes[1][1]}.",
            expected="Effects from the same posterior draws.",
        )
    for dim in set(cells(x)) & set(cells(y)):
        if not x.indexes.get(dim, pd.RangeIndex(x.sizes[dim])).equals(
            y.indexes.get(dim, pd.RangeIndex(y.sizes[dim]))
        ):
            raise EstimandError(
                f"{effects[0].label} and {effects[1].label} differ in the labels of {dim!r}.",
                expected="The same labels, in the same order.",
            )
    return y.assign_coords({dim: x[dim] for dim in DRAW_DIMS})


def _null(
    nulls: list[float | None], sides: tuple[Any, Any], act: Callable[[Any, Any], Any], sign: str
) -> float | None:
    """Return the value that means no effect: equal effects for two, the moved null for one."""
    if all(_is_effect(side) for side in sides):
        return {"-": 0.0, "/": 1.0}.get(sign, 0.0 if sign == "+" and nulls == [0.0, 0.0] else None)
    values = [n if _is_effect(s) else float(s) for n, s in zip(nulls, sides, strict=True)]
    if None in values or (sign == "/" and values[1] == 0):
        return None
    return float(act(*values))


def _error(a: Any, b: Any, sign: str) -> Any:
    """Return a bound on the Monte Carlo error: errors of shared noise add at worst."""
    if any(_is_effect(side) and side.mc_error is None for side in (a, b)):
        return None
    ea: Any
    eb: Any
    ea, eb = (side.mc_error if _is_effect(side) else 0.0 for side in (a, b))
    if sign in "+-":
        return ea + eb
    ma: Any
    mb: Any
    ma, mb = (side.mean() if _is_effect(side) else float(side) for side in (a, b))
    if sign == "*":
        return abs(ma) * eb + abs(mb) * ea
    return (ea + abs(ma / mb) * eb) / abs(mb) if np.all(np.asarray(mb) != 0) else None


def _is_effect(side: object) -> TypeGuard[Effect]:
    return hasattr(side, "draws") and hasattr(side, "mc_error")
