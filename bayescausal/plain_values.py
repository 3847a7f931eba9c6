"""Values and distributions as a person would write them: the words of interventions."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["family", "short"]


def short(value: object) -> str:
    """Return a value; arrays by their size.

    Examples
    --------
    >>> short(2.0), short([1, 2, 3])
    ('2', '[3 values]')
    """
    shape = getattr(value, "shape", (len(value),) if isinstance(value, list | tuple) else None)
    if shape not in (None, ()):
        return f"[{' x '.join(map(str, shape))} values]"
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)
    whole = abs(number) < 1e15 and number == round(number)  # as draws.digits.level_text
    return f"{number + 0.0:.0f}" if whole else f"{number:.6g}"


def family(variable: Any) -> str:
    """Return a distribution with its parameters, and of mixtures with their components.

    Parameters that PyMC computes from the ones it was given have the names of the former.

    Examples
    --------
    >>> import pymc as pm
    >>> family(pm.Bernoulli.dist(0.3)), family(pm.Exponential.dist(4.0))
    ('Bernoulli(0.3)', 'Exponential(scale=0.25)')
    """
    node: Any = getattr(variable, "owner", None)
    op: Any = getattr(node, "op", None)
    if not hasattr(op, "_print_name"):  # a number
        value = variable.eval(mode="FAST_COMPILE") if hasattr(variable, "eval") else variable
        many = getattr(value, "ndim", 1) and 0 < getattr(value, "size", 9) <= 8
        return f"[{', '.join(map(short, value.ravel()))}]" if many else short(value)
    if hasattr(op, "extended_signature"):  # made of others
        words = [family(p) for p in node.inputs if getattr(p.type, "shape", (0,)) != (0,)]
    else:
        given = op.dist_params(node)
        words = [family(p) for p in given]
        names = [*inspect.signature(op.__call__).parameters]
        if "args" not in names and (names[0] == "scale" or any(p.owner for p in given)):
            words = [f"{n}={w}" for n, w in zip(names, words, strict=False)]
    return f"{op._print_name[0]}({', '.join(words)})"
