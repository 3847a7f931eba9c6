"""Gaussian processes in their Hilbert-space form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt

from bayescausal.model.formulas.curves.harmonics import Harmonics
from bayescausal.model.formulas.curves.weights import (
    add_spread,
    add_weights,
    argument_of,
    plain,
    seen_of,
    size_of,
)
from bayescausal.model.formulas.priors import Prior, digits
from bayescausal.model.formulas.terms import Effect, product_of, safe
from bayescausal.model.formulas.values import names_in
from bayescausal.model.structure.function_graph import evaluate
from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.model.formulas.build import Equation
    from bayescausal.model.formulas.curves.curve_terms import Curve, CurveTerm
    from bayescausal.model.formulas.terms import Vector
    from bayescausal.model.formulas.values import Value

__all__ = ["add_process"]

#: Terms of a Gaussian process of one variable, and of each of several.
TERMS, EACH = 20, 8
#: Its boundary, in half ranges of the data and questions (or of `lower` to `upper`).
BOUNDARY = 1.5


def add_process(
    equation: Equation, term: CurveTerm, numbers: list[Value], vectors: list[Vector]
) -> list[Any]:
    """Add a Gaussian process, one for each level of the categories."""
    [curve] = term.curves
    options = curve.checked({"m", "c", "cov", "lower", "upper"}, equation.formula)
    kernel = options.get("cov", "matern52")
    if kernel not in ("matern52", "expquad"):
        raise FormulaError(
            f"cov={kernel!r} in {curve.label!r}.{curve.mark(equation.formula)}",
            expected="'matern52' or 'expquad'.",
        )
    bases = [_harmonics(equation, curve, k, options) for k in range(len(curve.arguments))]
    effect = Effect(safe(term.label), product_of(numbers), (*vectors, *bases))
    along = {c.dim: c.labels for c in vectors}
    scale = 2.5 * equation.scale.sd / size_of(effect.number)
    sd = add_spread(equation, effect.label, tuple(along), along, scale)
    lead = (slice(None),) * len(along)
    scales: Any = sd[(*lead, *(None,) * len(bases))]
    for k, (basis, argument) in enumerate(zip(bases, curve.arguments, strict=True)):
        half = np.ptp(seen_of(basis.value, curve, equation)) / 2  # whatever is asked about
        name = safe(effect.label if len(bases) == 1 else f"{effect.label}[{plain(argument)}]")
        prior = Prior("LogNormal", (digits(np.log(0.7 * half)), 0.6))
        ell = equation.priors.make(
            f"ell_{equation.name}_{name}", equation.name, (f"ell {name}",), prior, tuple(along)
        )
        gaps = (None,) * k, (None,) * (len(bases) - 1 - k)
        root = _root_density(kernel, ell[(*lead, None)], basis.frequencies)
        scales = scales * root[(*lead, *gaps[0], slice(None), *gaps[1])]
    return add_weights(equation, effect, scales, tuple(along), whole=True)


def _root_density(kernel: str, ell: TensorVariable, frequencies: Array) -> TensorVariable:
    """Return the square root of the spectral density of a kernel of variance 1."""
    if kernel == "expquad":
        return (2 * np.pi) ** 0.25 * pt.sqrt(ell) * pt.exp(-(ell**2) * frequencies**2 / 4)
    height = np.sqrt(16 / 3 * 5**2.5)
    return height * pt.sqrt(ell) * (5 + ell**2 * frequencies**2) ** -1.5


def _asked(equation: Equation, value: Value, curve: Curve, k: int) -> list[float]:
    """Return the argument of a curve at the levels that questions are about, others as seen."""
    scope = equation.scope
    names = names_in(curve.arguments[k], equation.formula.text)
    found: list[float] = []
    for name in names:
        for level in scope.reach.get(name, ()):
            held = {n: np.asarray(scope.columns[n].numeric, dtype=float) for n in names}
            held[name] = np.full_like(held[name], level)
            [values] = evaluate([value.symbolic], {scope.variables[n]: held[n] for n in names})
            found += values[np.isfinite(values)].tolist()
    return found


def _harmonics(equation: Equation, curve: Curve, k: int, options: Mapping[str, Any]) -> Harmonics:
    """Return the basis of one argument.

    Its interval is that of the data and of what is asked about, or from `lower` to `upper`.
    """
    value = argument_of(equation, curve, k)
    seen = seen_of(value, curve, equation)
    several = len(curve.arguments) > 1

    def of(name: str, default: float) -> float:
        held = options.get(name, default)
        held = held[k] if isinstance(held, list | tuple) and len(held) > k else held
        if isinstance(held, bool) or not isinstance(held, int | float):
            raise FormulaError(
                f"{name}={options[name]!r} in {curve.label!r}.{curve.mark(equation.formula)}",
                expected="a number, or a list with one for each variable.",
            )
        return float(held)

    ends = [seen.min(), seen.max(), *_asked(equation, value, curve, k)]
    least, most = min(ends), max(ends)
    low, high = of("lower", float(least)), of("upper", float(most))
    longer = 1.0 if "lower" in options or "upper" in options else (most - least) / np.ptp(seen)
    count = of("m", float(np.ceil((EACH if several else TERMS) * longer)))
    wide = of("c", BOUNDARY)
    if low > seen.min() or high < seen.max() or not high > low:
        raise FormulaError(
            f"{curve.label!r} goes from {low:g} to {high:g}.{curve.mark(equation.formula)}",
            expected=f"all of the data, which go from {seen.min():g} to {seen.max():g}.",
        )
    if low > least or high < most:
        raise FormulaError(
            f"{curve.label!r} goes from {low:g} to {high:g}.{curve.mark(equation.formula)}",
            expected=f"all that is asked about (reach=), from {least:g} to {most:g}.",
        )
    if count < 1 or count != int(count) or wide < 1.2:
        raise FormulaError(
            f"m={count:g}, c={wide:g} in {curve.label!r}.{curve.mark(equation.formula)}",
            expected="a whole number of terms from 1, and a boundary factor of 1.2 or more.",
        )
    label = f"hsgp({plain(curve.arguments[k])}; m={int(count)})"
    return Harmonics(label, value, (low + high) / 2, wide * (high - low) / 2, int(count))
