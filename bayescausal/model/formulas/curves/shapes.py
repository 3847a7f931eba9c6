"""Curves of a known shape: monotone, saturating."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from scipy.interpolate import BSpline, PPoly

from bayescausal.model.formulas.columns import Piecewise
from bayescausal.model.formulas.curves.weights import argument_of, plain, seen_of, size_of
from bayescausal.model.formulas.priors import Prior, digits
from bayescausal.model.formulas.terms import Effect, product_of, safe
from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.model.formulas.build import Equation
    from bayescausal.model.formulas.curves.curve_terms import CurveTerm
    from bayescausal.model.formulas.values import Value

__all__ = ["add_hill", "add_monotone"]


def add_monotone(equation: Equation, term: CurveTerm, numbers: list[Value]) -> TensorVariable:
    """Add a sum of integrated splines with weights of one sign."""
    [curve] = term.curves
    options = curve.checked({"k", "direction"}, equation.formula)
    direction = options.get("direction", "increasing")
    if direction not in ("increasing", "decreasing"):
        raise FormulaError(
            f"direction={direction!r} in {curve.label!r}.{curve.mark(equation.formula)}",
            expected="'increasing' or 'decreasing'.",
        )
    value = argument_of(equation, curve, 0)
    different = np.unique(seen_of(value, curve, equation))
    count = options.get("k", 6)
    whole = isinstance(count, int) and not isinstance(count, bool)
    if not whole or count < 2 or len(different) < 3:
        raise FormulaError(
            f"{curve.label!r} has k={count!r} knots and {len(different)} different values."
            f"{curve.mark(equation.formula)}",
            expected="a whole number k of 2 or more, and three values or more.",
        )
    breaks = np.unique(np.quantile(different, np.linspace(0, 1, min(count, len(different)))))
    degree = 2
    knots = np.r_[[breaks[0]] * degree, breaks, [breaks[-1]] * degree]
    total = len(knots) - degree - 1
    ends = np.r_[[breaks[0]] * (degree + 1), breaks, [breaks[-1]] * (degree + 1)]
    inner = slice(degree + 1, degree + len(breaks))
    pieces = []
    for j in range(total):  # the integral of one is the sum of the next higher degree from j + 1
        rows = (np.arange(total + 1) > j).astype(float)
        pieces.append(PPoly.from_spline(BSpline(ends, rows, degree + 1)).c[::-1, inner].T)
    powers = np.stack(pieces, axis=1)
    below = np.zeros((1, total, degree + 2))
    above = below.copy()
    above[0, :, 0] = 1.0
    span = breaks[-1] - breaks[0]
    breaks = np.r_[breaks[0] - span, breaks, breaks[-1] + span]
    basis = Piecewise(plain(curve.label), value, breaks, np.concatenate([below, powers, above]))
    effect = Effect(safe(term.label), product_of(numbers), (basis,))
    equation._coords(effect.dims)
    size = 2.5 * equation.scale.sd / size_of(effect.number) / (0.8 * total)
    prior = Prior("HalfNormal", (digits(size),))
    b = equation.priors.make(
        f"b_{equation.name}_{effect.label}", equation.name, (effect.label,), prior,
        tuple(effect.dims),
    )  # fmt: skip
    return effect.times(b if direction == "increasing" else -b)


def add_hill(equation: Equation, term: CurveTerm, numbers: list[Value]) -> TensorVariable:
    """Add a Hill curve: its height, the dose of half of it, and its steepness."""
    [curve] = term.curves
    curve.checked(set(), equation.formula)
    value = argument_of(equation, curve, 0)
    seen = seen_of(value, curve, equation)
    if np.any(seen < 0) or not np.any(seen > 0):
        raise FormulaError(
            f"{curve.label!r} has values below 0 in the data.{curve.mark(equation.formula)}",
            expected="doses from 0.",
        )
    number = product_of(numbers)
    size = digits(2.5 * equation.scale.sd / size_of(number))
    middle = digits(np.log(np.median(seen[seen > 0])))
    priors = {
        "top": Prior("Normal", (0, size)),
        "half": Prior("LogNormal", (middle, 1)),
        "steep": Prior("LogNormal", (0, 0.5)),
    }
    label = safe(term.label)
    top, half, steep = (
        equation.priors.make(f"{kind}_{equation.name}_{label}", equation.name, (f"{kind} {label}",),
                             prior, ())
        for kind, prior in priors.items()
    )  # fmt: skip
    dose = value.symbolic
    raised = pt.switch(pt.eq(dose, 0), 0.0, pt.switch(pt.eq(dose, 0), 1.0, dose) ** steep)
    out = top * raised / (half**steep + raised)
    return out if number is None else out * number.symbolic
