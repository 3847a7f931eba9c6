"""What curves have in common: their arguments, the spread of their weights, the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm

from bayescausal.model.formulas.priors import Prior, digits
from bayescausal.model.formulas.values import degree_of, evaluate_factor, names_in
from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.model.formulas.build import Equation
    from bayescausal.model.formulas.curves.curve_terms import Curve
    from bayescausal.model.formulas.terms import Effect
    from bayescausal.model.formulas.values import Value

__all__ = ["add_spread", "add_weights", "argument_of", "plain", "seen_of", "size_of"]


def argument_of(equation: Equation, curve: Curve, k: int) -> Value:
    """Return one argument of a curve as an expression and as numbers."""
    text = curve.arguments[k]
    names = names_in(text, equation.formula.text)
    for name in names:
        if equation.scope.columns[name].levels is not None:
            raise FormulaError(
                f"{name!r} is categorical, and {curve.label!r} treats it as a number."
                f"{curve.mark(equation.formula)}",
                remedy=f"Write {name}, or a curve for each level: s(x, by={name}).",
            )
    if not names or degree_of(text, equation.formula.text) == 0:
        raise FormulaError(
            f"{curve.label!r} reads no variable.{curve.mark(equation.formula)}",
            remedy="Leave it out.",
        )
    floats = {n: equation.scope.value(n, as_float=True) for n in names}
    return evaluate_factor(text, floats, equation.formula.text)


def seen_of(value: Value, curve: Curve, equation: Equation) -> Array:
    """Return the finite values of an argument in the data."""
    if value.numeric is None:
        raise FormulaError(
            f"{curve.label!r} takes its shape from data, and there are none for it."
            f"{curve.mark(equation.formula)}",
            remedy="Pass data= with the column.",
        )
    seen = np.asarray(value.numeric, dtype=float)
    seen = seen[np.isfinite(seen)]
    if len(np.unique(seen)) < 2:
        raise FormulaError(
            f"{curve.label!r} has one value in the data.{curve.mark(equation.formula)}",
            expected="a variable that varies.",
        )
    return seen


def size_of(number: Value | None) -> float:
    """Return the root mean square of what multiplies a curve; 1 where it is not known."""
    if number is None or number.numeric is None:
        return 1.0
    seen = np.asarray(number.numeric, dtype=float)
    seen = seen[np.isfinite(seen)]
    root = float(np.sqrt(np.mean(seen**2))) if seen.size else 0.0
    return root if root > 0 else 1.0


def plain(text: str) -> str:
    return text.replace("`", "")


def add_spread(
    equation: Equation, label: str, dims: tuple[str, ...], coords: Mapping[str, Any], scale: float
) -> TensorVariable:
    """Add the standard deviation of a curve about its line, one for each level."""
    equation._coords(coords)
    prior = Prior("HalfNormal", (digits(scale),))
    inner = (*dims, *equation.contrast_dim)
    return equation.priors.make(
        f"sd_{equation.name}_{label}", equation.name, (f"sd {label}", label), prior, inner
    )


def add_weights(
    equation: Equation,
    effect: Effect,
    scale: TensorVariable,
    lead: tuple[str, ...],
    *,
    whole: bool = False,
) -> list[Any]:
    """Add the weights of a curve, and return the curve for each contrast of the response.

    `scale`: standard deviations of the weights: along the dims `lead`, or of each (`whole`).
    """
    dims = effect.dims
    equation._coords(dims)
    inner = (*dims, *equation.contrast_dim)
    name = f"{equation.name}_{effect.label}"
    for kind in ("z", "r"):
        equation.priors.claim(f"{kind}_{name}", f"the curve {effect.label!r}")
    if not whole:
        gap = (None,) * (len(dims) - len(lead))
        more = (slice(None),) * len(equation.contrast_dim)
        scale = scale[(*(slice(None),) * len(lead), *gap, *more)] if lead or more else scale
    if equation.noncentered:
        z = pm.Normal(f"z_{name}", 0, 1, dims=inner)
        r = pm.Deterministic(f"r_{name}", z * scale, dims=inner)
    else:
        r = pm.Normal(f"r_{name}", 0, scale, dims=inner)
    return [effect.times(part) for part in equation._split(r, len(dims))]
