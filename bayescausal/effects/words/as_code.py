"""A question as the call that makes it: the way back of :mod:`.from_text`."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.effects.estimands.conditions import Condition
from bayescausal.effects.estimands.parsing import (
    NATURAL_UNLESS_SET,
    has_default_control,
    is_default,
)

if TYPE_CHECKING:
    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["as_code"]


def as_code(estimand: Estimand) -> str | None:
    """Return a question as the call that makes it; None where it holds what code cannot say here.

    Examples
    --------
    >>> from bayescausal.effects.estimands import CATE
    >>> as_code(CATE("x", "y", given={"z": 1}))
    "CATE('x', 'y', given={'z': 1})"
    """
    parts = []
    for each in sorted(dataclasses.fields(estimand), key=lambda f: bool(f.kw_only)):
        value = getattr(estimand, each.name)
        if each.default is NATURAL_UNLESS_SET and has_default_control(estimand):
            continue
        if each.kw_only and is_default(each.name, value, each.default):
            continue
        # a pair of levels of one treatment is a range; several treatments have lists
        pair = each.name in ("treated", "control") and len(estimand.treatments) <= 1
        shown = _plain(value, pair)
        if "<" in shown or "lambda" in shown or "..." in shown:
            return None
        parts.append(shown if not each.kw_only else f"{each.name}={shown}")
    return f"{estimand.title}({', '.join(parts)})"


# --------------------------------------------------------------------------- private


def _plain(value: object, levels: bool) -> str:
    if isinstance(value, Condition):
        held = {name: _ends(spec) for name, spec in value.clauses}
        known = int | float | str | tuple | set | frozenset
        plain = all(name and isinstance(spec, known) for name, spec in held.items())
        return repr(held) if plain else "<a mask or a rule>"
    if isinstance(value, np.ndarray):
        return repr(value.tolist())
    return repr(list(value) if isinstance(value, tuple) and not levels else value)


def _ends(spec: Any) -> Any:
    """Return a range with None where it has no end."""
    if not isinstance(spec, tuple):
        return spec
    return tuple(None if isinstance(v, float) and math.isinf(v) else v for v in spec)
