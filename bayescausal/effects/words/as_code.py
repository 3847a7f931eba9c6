"""A question as the call that makes it: the way back of :mod:`.from_text`."""

from __future__ import annotations

import ast
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
from bayescausal.types import Intervention, Stochastic

if TYPE_CHECKING:
    from bayescausal.effects.estimands.estimand import Estimand

__all__ = ["as_code"]

#: Names within the text of an array.
ARRAYS = ("array", "bool", "float32", "int8", "int16", "int32", "object", "uint8")


def as_code(estimand: Estimand, define: dict[str, str] | None = None) -> str | None:
    """Return a question as the call that makes it; None where it holds what code cannot say here.

    `define`: takes the names that then stand for such things, and what each is. Default: None.

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
        if not _runs(shown):
            if define is None:
                return None
            shown = f"{each.name}_{len(define) + 1}"
            define[shown] = _told(each.name, value, estimand)
        parts.append(shown if not each.kw_only else f"{each.name}={shown}")
    return f"{estimand.title}({', '.join(parts)})"


# --------------------------------------------------------------------------- private


def _plain(value: object, levels: bool) -> str:
    if isinstance(value, Condition):
        held = {name: _ends(spec) for name, spec in value.clauses}
        known = int | float | str | tuple | set | frozenset
        plain = all(name and isinstance(spec, known) for name, spec in held.items())
        return repr(held) if plain else "<a mask or a rule>"
    if isinstance(value, np.ndarray | np.generic):
        return repr(value.tolist())
    return repr(list(value) if isinstance(value, tuple) and not levels else value)


def _runs(shown: str) -> bool:
    """Whether a text is code of names of the package, numbers and labels alone."""
    try:
        nodes = list(ast.walk(ast.parse(shown, mode="eval")))
    except SyntaxError:
        return False
    names = [n.id for n in nodes if isinstance(n, ast.Name)]
    cut = any(isinstance(n, ast.Lambda) or getattr(n, "value", None) is ... for n in nodes)
    return not cut and all(name[:1].isupper() or name in ARRAYS for name in names)


def _told(field: str, value: object, estimand: Estimand) -> str:
    """Return in words what code cannot say."""
    if isinstance(value, Condition):
        return f"the units with {value.describe()}"
    if not isinstance(value, Intervention):
        return f"the {field} of {estimand.label()}"
    what = "PyMC distribution" if isinstance(value, Stochastic) else "rule"
    return f"bc.{type(value).__name__} of your {what}: {value.describe(estimand.treatments[0])}"


def _ends(spec: Any) -> Any:
    """Return a range with None where it has no end."""
    if not isinstance(spec, tuple):
        return spec
    return tuple(None if isinstance(v, float) and math.isinf(v) else v for v in spec)
