"""Ends of intervals: bounds on an answer, and how many draws lie between two limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bayescausal.draws.named import DRAW_DIMS
from bayescausal.types import EstimandError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["checked_bounds", "flipped", "share_inside"]


def share_inside(draws: xr.DataArray, **limits: object) -> xr.DataArray:
    """Return the share of draws ``above`` a limit, ``below`` one, or ``between`` two.

    Raises EstimandError unless exactly one of these is given, with numbers in order.
    """
    asked = {key: value for key, value in limits.items() if value is not None}
    if len(asked) != 1:
        raise EstimandError(
            f"probability() of {', '.join(asked) or 'nothing'}.",
            expected="One of above=, below=, between=(low, high).",
        )
    [(key, limit)] = asked.items()
    ends = _limits(key, limit)
    if key == "between":
        inside = (draws >= ends[0]) & (draws <= ends[1])
    else:
        inside = draws > ends[0] if key == "above" else draws < ends[0]
    return inside.mean(DRAW_DIMS)


def checked_bounds(bounds: xr.DataArray, draws: xr.DataArray) -> xr.DataArray:
    """Return bounds with the dims of the draws and a last dim ``bound``; refuse any others."""
    wanted = {str(d): n for d, n in draws.sizes.items()} | {"bound": 2}
    sizes = {str(d): n for d, n in getattr(bounds, "sizes", {}).items()}
    if sizes != wanted:
        raise EstimandError(f"Bounds with sizes {sizes}.", expected=f"Sizes {wanted}.")
    return bounds.transpose(*draws.dims, "bound")


def flipped(bounds: xr.DataArray | None) -> xr.DataArray | None:
    """Return the bounds of the negative: ends change places."""
    if bounds is None:
        return None
    turned = -bounds.isel(bound=[1, 0])
    return turned.assign_coords(bound=bounds["bound"]) if "bound" in bounds.coords else turned


# --------------------------------------------------------------------------- private


def _limits(key: str, limit: object) -> tuple[float, ...]:
    ends = tuple(limit) if isinstance(limit, (tuple, list)) else (limit,)
    try:
        numbers = tuple(float(end) for end in ends)
    except (TypeError, ValueError):
        numbers = ()
    wanted = 2 if key == "between" else 1
    if len(numbers) != wanted or any(math.isnan(n) for n in numbers) or numbers[0] > numbers[-1]:
        raise EstimandError(
            f"{key}={limit!r}.",
            expected="(low, high), low <= high." if wanted == 2 else "A number.",
        )
    return numbers
