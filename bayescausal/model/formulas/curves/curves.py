r"""Curves that learn their shape: penalised splines, Gaussian processes, monotone and Hill curves.

``s(x)`` is a natural cubic spline :math:`f` under the penalty
:math:`\int f''(x)^2 dx / \tau^2`. What the penalty leaves free, a line, is an ordinary term ``x``.
The rest has a basis :math:`Z` in which the penalty is a prior [1]_,

.. math:: f(x) = b\,x + Z(x)\, r, \qquad r_k \sim N(0, \tau),

so that the smoothness is learnt as the spread of group effects is, and in Gaussian equations the
weights leave the chain exactly as those do. The columns of :math:`Z` are orthogonal to 1 and
:math:`x` over the data and of mean square 1 together: :math:`\tau` is the standard deviation of
what the curve adds to the line. A surface ``s(x, z)`` is the tensor product of two such curves in
its analysis of variance [2]_: ``x``, ``z``, ``x:z``, and five penalised parts with spreads of their
own, ``s(x)``, ``s(z)``, ``s(x):z``, ``x:s(z)``, ``s(x):s(z)``.

``hsgp(x)`` is a Gaussian process in its Hilbert-space form on :math:`[c - L, c + L]` [3]_,

.. math:: f(x) = \sum_{j=1}^{m} \sqrt{S(\omega_j; \ell)}\; r_j\; L^{-1/2}
          \sin(\omega_j (x - c + L)), \qquad \omega_j = \pi j / 2L, \quad r_j \sim N(0, \tau),

with :math:`S` the spectral density of a Matérn 5/2 or squared exponential kernel of length scale
:math:`\ell`; of several variables, the product kernel. ``mono(x)`` is a monotone spline: a sum of
integrated splines with weights above 0 [4]_. ``hill(x)`` saturates,
:math:`h\, x^n / (k^n + x^n)`.

Each is an expression in :math:`x`, so that interventions move it. All may be multiplied:
``t * s(x)`` is an effect of ``t`` that varies with ``x``; ``s(x, by=g)`` has a curve for each level
of ``g``. So that the prior of ``year * s(x)`` does not say that nothing changes in 20 years of
2,000, numbers with a zero far from their data multiply a curve about their mean (:mod:`..beyond`).

All but ``hill`` are a matrix of functions of :math:`x` times weights: in these the equation is
affine.

When they fail: beyond the outer knots ``s`` goes on straight and ``mono`` flat, whatever is true
there; ``hsgp`` has no value beyond its boundary, which is that of the data and of what questions
ask about (``reach=``; ``lower=`` and ``upper=`` of a term); length
scales below :math:`2.65\,L/m` need more terms.

References
----------
.. [1] S. N. Wood, *Generalized Additive Models: An Introduction with R*, 2nd ed., CRC Press, 2017,
   sections 5.3.1 and 5.8.
.. [2] S. N. Wood, F. Scheipl and J. J. Faraway, Straightforward intermediate rank tensor product
   smoothing in mixed models, *Statistics and Computing* 23, 2013.
.. [3] G. Riutort-Mayol et al., Practical Hilbert space approximate Bayesian Gaussian processes for
   probabilistic programming, *Statistics and Computing* 33, 2023.
.. [4] J. O. Ramsay, Monotone regression splines in action, *Statistical Science* 3(4), 1988.
"""

from __future__ import annotations

import warnings
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.model.formulas.beyond import FAR
from bayescausal.model.formulas.columns import Categories
from bayescausal.model.formulas.curves.penalised import add_penalised
from bayescausal.model.formulas.curves.processes import add_process
from bayescausal.model.formulas.curves.shapes import add_hill, add_monotone
from bayescausal.model.formulas.curves.trees import add_trees
from bayescausal.model.formulas.priors import near
from bayescausal.model.formulas.terms import factor_of
from bayescausal.model.formulas.tokens import pointed
from bayescausal.model.formulas.values import Value
from bayescausal.types import FormulaError, FormulaWarning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayescausal.model.formulas.build import Equation
    from bayescausal.model.formulas.curves.curve_terms import CurveTerm
    from bayescausal.model.formulas.terms import Vector

__all__ = ["add_curve"]


def add_curve(equation: Equation, term: CurveTerm) -> list[Any]:
    """Add the curve of one term to the model at hand; return it for each contrast.

    - `equation`: the formula that it is in.
    - `term`: a product with one or more curves in it.
    """
    numbers: dict[str, Value] = {}
    vectors: list[Vector] = []
    for text, lookup in zip(term.factors, term.lookup, strict=True):
        found = factor_of(text, lookup, equation.formula, equation.scope)
        if isinstance(found, Value):
            numbers[text] = found
        elif isinstance(found, Categories):
            vectors.append(Categories(found.label, found.levels, found.value, found.keys, True))
        else:
            raise FormulaError(
                f"{text!r} and {term.curves[0].label!r} are both curves."
                f"{pointed(equation.formula.text, text)}",
                remedy=f"Write the surface: s(x, z) instead of {text} : {term.curves[0].label}.",
            )
    held = _about(equation, term, numbers)
    if term.trees:
        return [add_trees(equation, term, held, vectors)]
    kinds = {curve.kind for curve in term.curves}
    kind = kinds.pop() if len(kinds) == 1 else "several kinds of curve"
    if kind == "s":
        return add_penalised(equation, term, held, vectors)
    if kind == "hsgp" and len(term.curves) == 1:
        return add_process(equation, term, held, vectors)
    if vectors or equation.contrasts or len(term.curves) > 1:
        what = vectors[0].label if vectors else "another curve" if term.curves[1:] else "a softmax"
        raise FormulaError(
            f"{term.label!r} multiplies {kind} by {what}."
            f"{pointed(equation.formula.text, term.curves[0].label)}",
            expected="s() where curves differ between levels or are multiplied.",
        )
    return [(add_monotone if kind == "mono" else add_hill)(equation, term, held)]


def _about(equation: Equation, term: CurveTerm, numbers: Mapping[str, Value]) -> list[Value]:
    """Return the numbers that multiply a curve: about their mean where their zero is far from it.

    That is done beside the curve without the number, ``year * s(x)``: the products span the same.
    The least value stands for the mean of a monotone curve, which stays monotone.
    """

    def beside(gone: tuple[str, ...]) -> bool:
        """Whether the curve without some numbers is in the equation."""
        left = frozenset(term.factors) - set(gone)
        return curve.kind == "effect" or any(
            (frozenset(c.factors), c.lines, c.curves) == (left, term.lines, term.curves)
            for c in equation.formula.curves
        )

    curve, moved = term.curves[0], tuple[str, ...]()
    out = dict(numbers)
    for text, value in numbers.items():
        if value.numeric is None:
            continue
        seen = np.asarray(value.numeric, dtype=float)
        seen = seen[np.isfinite(seen)]
        far = seen.size > 0 and abs(seen.mean()) > FAR * seen.std() > 0
        sets = [(*s, text) for k in range(len(moved) + 1) for s in combinations(moved, k)]
        if not (far and all(map(beside, sets))):
            continue
        moved = (*moved, text)
        middle = seen.min() if curve.kind == "mono" else seen.mean()
        zero = near(middle, seen.std())
        out[text] = Value(value.symbolic - zero, value.numeric - zero)
        warnings.warn(
            f"{term.label}: zero is far from the data of {text}, so the curve is multiplied by "
            f"its distance from {zero:g}: {curve.label} by itself is the curve there.",
            FormulaWarning,
            stacklevel=4,
        )
    return list(out.values())
