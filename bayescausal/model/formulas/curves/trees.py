r"""Sums of trees in formulas: ``bart(x, z, t)``, ``t * bart(x)``, ``bcf(t, by=(x, z))``.

``bart(x, z)`` is a sum of trees that split on its arguments, of categories on each of their levels
[1]_. Its prior has the standard deviation of the response (1.5 on a scale of log-odds or logs)
about the response's mean, so the equation has no other intercept.

``bcf(t, by=(x, z))`` is a Bayesian causal forest [2]_,

.. math:: \mu(x, z, \hat e(x, z)) + \{b + s\, \tau(x, z, \hat e(x, z))\}\, t,

with two forests. That of effects has fewer and shallower trees and a spread :math:`s` that is
learnt, half-Normal: effects are drawn to a constant, a coefficient of its own. Both may split on
the propensity :math:`\hat e` (:mod:`.propensity`). The first has to, as often as on any covariate:
where the treatment goes to those whose outcome would be high anyway, a forest without it is drawn
to smooth away what the treatment follows, and the effect takes that up (regularisation-induced
confounding). The second has to, once for twenty splits on covariates, where some units are never
treated, or always: nothing tells their effect, and of many covariates trees hardly ever ask the one
that says so. A forest without the propensity carries the effect of the others over to them as if it
were known; thresholds along it keep them apart, and the posterior is wide there.

It fails where the effect goes beyond the data in another way: a forest is flat there, whatever is
true.

References
----------
.. [1] H. A. Chipman, E. I. George and R. E. McCulloch, BART: Bayesian additive regression trees,
   *Annals of Applied Statistics* 4(1), 2010.
.. [2] P. R. Hahn, J. S. Murray and C. M. Carvalho, Bayesian regression tree models for causal
   inference: regularization, confounding, and heterogeneous effects, *Bayesian Analysis* 15(3),
   2020.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.special import logit, ndtri

from bayescausal.model.forests.op import forest_value
from bayescausal.model.forests.prior import Forest, Shape, cuts_of
from bayescausal.model.formulas.columns import Categories
from bayescausal.model.formulas.curves.propensity import expected_treatment, thresholds
from bayescausal.model.formulas.curves.weights import add_spread, argument_of, seen_of, size_of
from bayescausal.model.formulas.priors import digits
from bayescausal.model.formulas.terms import factor_of, product_of, safe
from bayescausal.model.formulas.variables import UNIT
from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.model.formulas.build import Equation
    from bayescausal.model.formulas.curves.curve_terms import Curve, CurveTerm
    from bayescausal.model.formulas.terms import Vector
    from bayescausal.model.formulas.values import Value

__all__ = ["add_trees"]

#: Trees, and how their nodes split, by default: of a forest, and of one of effects.
DEFAULTS: dict[str, dict[str, float]] = {
    "bart": {"m": 50, "alpha": 0.95, "beta": 2.0},
    "prognosis": {"m": 100, "alpha": 0.95, "beta": 2.0},
    "effect": {"m": 50, "alpha": 0.25, "beta": 3.0},
}
#: How often the propensity is asked about, in proportion to all covariates.
SHARE = 0.05


def add_trees(
    equation: Equation, term: CurveTerm, numbers: list[Value], vectors: list[Vector]
) -> TensorVariable:
    """Add a forest, times numbers, and return its value for each unit."""
    curve = term.curves[0]
    if equation.contrasts:
        raise FormulaError(
            f"{curve.text!r} stands in the equation of {equation.name!r}, which has a sum for each "
            f"of its categories.{curve.mark(equation.formula)}",
            expected="an outcome that is a number, binary, a count or ordered.",
            remedy="Take s(x) or hsgp(x), or an outcome of two categories at a time.",
        )
    if len(term.curves) > 1 or vectors:
        raise FormulaError(
            f"{curve.text!r} is multiplied by "
            f"{vectors[0].label if vectors else term.curves[1].text}."
            f"{curve.mark(equation.formula)}",
            expected="a number: 0 and 1 for two arms.",
            remedy="Put the other variable among the arguments of bart(), or code it as 0 and 1.",
        )
    columns, seen = _covariates(equation, curve)
    weights: tuple[float, ...] = ()
    if curve.kind != "bart":
        if curve.text not in equation.propensities:
            found = expected_treatment(equation, curve, columns, seen)
            equation.propensities[curve.text] = found
        symbolic, numeric = equation.propensities[curve.text]
        share = SHARE * len(columns)
        own = max(1.0, share) if curve.kind == "prognosis" else share
        weights = (*(1.0,) * len(columns), own)
        columns.append(symbolic)
    number = product_of(numbers)
    cuts = cuts_of(seen)
    if weights:
        cuts = (*cuts, thresholds(numeric))
    shape = replace(_shape(equation, curve, number, cuts), weights=weights)
    learnt = curve.kind == "effect"
    name = f"f_{equation.name}_{safe(term.label)}"
    for label in (name, f"{name}_forest"):
        equation.priors.claim(label, f"the forest {curve.label!r}")
    forest = Forest(f"{name}_forest", replace(shape, spread=1.0) if learnt else shape)
    value = pm.Deterministic(name, forest_value(pt.stack(columns, axis=1), forest), dims=UNIT)
    if learnt:
        value = value * add_spread(equation, term.label, (), {}, shape.spread)
    return value if number is None else value * number.symbolic


def _shape(
    equation: Equation, curve: Curve, number: Value | None, cuts: tuple[Array, ...]
) -> Shape:
    """Return the prior of a forest from its options and the scale of the response."""
    names = {"m", "alpha", "beta", "spread"}
    options: Mapping[str, Any] = {k: v for k, v in curve.options.items() if k != "of"}
    if odd := [o for o in options if o not in names]:
        raise FormulaError(
            f"{curve.text!r} takes no option {odd[0]!r}.{curve.mark(equation.formula)}",
            expected=f"{', '.join(sorted(names))}, and with _effect those of the effects' forest "
            "in bcf().",
        )
    scale = equation.scale
    default = scale.sd if equation.choice.link == "identity" else 1.5 * scale.sd
    held = {
        **DEFAULTS[curve.kind],
        "spread": digits(default / size_of(number)),
        **options,
    }
    suffix = "_effect" if curve.kind == "effect" else ""
    for key, value in held.items():
        fits = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        if not fits or (key == "m" and value != int(value)) or (key == "alpha" and value >= 1):
            raise FormulaError(
                f"{key}{suffix}={value!r} in {curve.text!r}.{curve.mark(equation.formula)}",
                expected="a whole number of trees m, alpha between 0 and 1, beta and spread above "
                "0.",
            )
    return Shape(
        trees=int(held["m"]),
        alpha=float(held["alpha"]),
        beta=float(held["beta"]),
        constant=0.0 if number is not None else _middle(equation),
        spread=float(held["spread"]),
        cuts=cuts,
    )


def _middle(equation: Equation) -> float:
    """Return the mean of the response on the scale of the predictor."""
    link, numeric = equation.choice.link, equation.column.numeric
    if link in ("logit", "probit") and numeric is not None and not equation.ordinal:
        seen = numeric[np.isfinite(numeric)]
        trials = equation.choice.trials
        top = trials if isinstance(trials, int) else max(1.0, float(seen.max(initial=1.0)))
        share = float(np.clip(seen.mean() / top, 0.01, 0.99)) if seen.size else 0.5
        return np.asarray(digits(logit(share) if link == "logit" else ndtri(share))).item()
    return 0.0 if equation.ordinal else np.asarray(digits(equation.scale.mean)).item()


def _covariates(equation: Equation, curve: Curve) -> tuple[list[Any], Array]:
    """Return the columns that a forest splits on, as expressions and as numbers."""
    columns: list[Any] = []
    seen: list[Array] = []
    for k, text in enumerate(curve.arguments):
        name = text.strip("`")
        column = equation.scope.columns.get(name)
        if column is not None and column.levels is not None:
            found = factor_of(name, True, equation.formula, equation.scope)
            assert isinstance(found, Categories)
            full = Categories(
                found.label, found.levels, found.value, found.keys, len(found.levels) > 2
            )
            numbers = full.numbers()
            if numbers is None:
                raise _without_data(equation, curve)
            columns += full.columns()
            seen += list(numbers.T)
            continue
        value = argument_of(equation, curve, k)
        seen_of(value, curve, equation)
        columns.append(pt.cast(value.symbolic, "float64"))
        seen.append(np.asarray(value.numeric, dtype=float))
    return columns, np.column_stack(seen)


def _without_data(equation: Equation, curve: Curve) -> FormulaError:
    return FormulaError(
        f"{curve.label!r} takes its thresholds from data, and there are none for it."
        f"{curve.mark(equation.formula)}",
        remedy="Pass data= with the column.",
    )
