r"""Penalised splines: the curve about a line, in a basis in which its penalty is a prior.

The natural cubic spline with heights :math:`\beta` at its knots has
:math:`\int f''^2 = \beta' S \beta` [1]_. With :math:`S = U \Lambda U'`, its two null directions are
the constant and the line; the others, divided by :math:`\Lambda^{1/2}`, have independent Normal
weights of one standard deviation [2]_.

References
----------
.. [1] S. N. Wood, *Generalized Additive Models: An Introduction with R*, 2nd ed., CRC Press, 2017,
   section 5.3.1.
.. [2] The same, section 5.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.interpolate import CubicSpline

from bayescausal.model.formulas.columns import Piecewise, natural_pieces
from bayescausal.model.formulas.curves.curve_terms import Curve
from bayescausal.model.formulas.curves.weights import (
    add_spread,
    add_weights,
    argument_of,
    plain,
    seen_of,
    size_of,
)
from bayescausal.model.formulas.terms import Effect, product_of, safe
from bayescausal.model.formulas.values import Value
from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from bayescausal.model.formulas.build import Equation
    from bayescausal.model.formulas.curves.curve_terms import CurveTerm
    from bayescausal.model.formulas.terms import Vector

__all__ = ["add_penalised"]

#: Knots of a curve in one variable, and of each margin of a surface.
KNOTS, MARGIN = 10, 6


def add_penalised(
    equation: Equation, term: CurveTerm, numbers: list[Value], vectors: list[Vector]
) -> list[Any]:
    """Add a product of penalised splines, numbers and categories."""
    default = MARGIN if term.lines or term.curves[1:] else KNOTS
    curves = [_spline(equation, c, default) for c in term.curves]
    lines = [_line(equation, a, term.curves[0]) for a in term.lines]
    effect = Effect(safe(term.label), product_of(numbers), (*vectors, *lines, *curves))
    along = {c.dim: c.labels for c in vectors}
    scale = 2.5 * equation.scale.sd / size_of(effect.number)
    sd = add_spread(equation, effect.label, tuple(along), along, scale)
    return add_weights(equation, effect, sd, tuple(along))


def _line(equation: Equation, argument: str, curve: Curve) -> Piecewise:
    """Return the constant and the standardised line of one margin of a surface."""
    margin = Curve("s", (argument,), {}, curve.text)
    value = argument_of(equation, margin, 0)
    seen = seen_of(value, margin, equation)
    low, middle, spread = seen.min(), seen.mean(), seen.std()
    powers = np.array([[[1.0, 0.0], [(low - middle) / spread, 1 / spread]]])
    return Piecewise(f"line({plain(argument)})", value, np.array([low, seen.max()]), powers)


def _spline(equation: Equation, curve: Curve, default: int) -> Piecewise:
    """Return the part of a natural cubic spline that is penalised, as in [1]_."""
    options = curve.checked({"k"}, equation.formula)
    value = argument_of(equation, curve, 0)
    seen = seen_of(value, curve, equation)
    count = int(options.get("k", default))
    if isinstance(options.get("k", 4), bool) or count != options.get("k", count) or count < 4:
        raise FormulaError(
            f"k={options['k']!r} in {curve.label!r}.{curve.mark(equation.formula)}",
            expected="a whole number from 4: the knots of the curve.",
        )
    different = np.unique(seen)
    if len(different) < 4:
        raise FormulaError(
            f"{curve.label!r} has {len(different)} different values in the data."
            f"{curve.mark(equation.formula)}",
            expected="four or more.",
            remedy="Use the variable itself, or C() of it.",
        )
    knots = np.unique(np.quantile(different, np.linspace(0, 1, min(count, len(different)))))
    basis = CubicSpline(knots, np.eye(len(knots)), bc_type="natural")
    width = np.diff(knots)
    mass = np.diag(np.r_[width, 0] + np.r_[0, width]) / 3
    mass += (np.diag(width, 1) + np.diag(width, -1)) / 6
    bend = basis(knots, 2)
    penalty = bend.T @ mass @ bend
    size, turn = np.linalg.eigh((penalty + penalty.T) / 2)
    turn = turn[:, 2:] / np.sqrt(size[2:])
    breaks, powers = natural_pieces(knots, np.eye(len(knots)))
    powers = np.einsum("mkd,kj->mjd", powers, turn)
    middle, spread = seen.mean(), seen.std()
    line = np.stack([np.ones_like(seen), (seen - middle) / spread], axis=1)
    free = Piecewise("", Value(value.symbolic, seen), breaks, powers).numbers()
    assert free is not None
    h = np.linalg.lstsq(line, free, rcond=None)[0]
    left = (breaks[:-1] - middle) / spread
    powers[:, :, 0] -= h[0] + left[:, None] * h[1]
    powers[:, :, 1] -= h[1] / spread
    rest = free - line @ h
    powers /= np.sqrt((rest**2).sum(axis=1).mean())
    return Piecewise(f"s({plain(curve.arguments[0])}; k={len(knots)})", value, breaks, powers)
