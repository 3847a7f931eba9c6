r"""The expectation of a treatment given covariates, as a column that forests split on.

.. math:: g(E[t \mid x]) = b_0 + b' z(x) + \sum_k g_k(x),

a regression on the standardised covariates and the squares of those with more than two values, and
small trees boosted from there (:mod:`bayescausal.model.forests.boosting`): logistic if the
treatment is 0 or 1. The penalty of the coefficients and the number of trees are those of the least
loss in five parts of the rows, each held out once; trees start from the best regression and from
one with hardly any coefficients, and the better of the two is kept. It is estimated when the model
is built, from at most :data:`ROWS` rows, and is a function of the covariates in every world.

It fails where the treatment follows what neither a smooth sum of covariates nor steps along them
describe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from scipy.special import expit

from bayescausal.model.forests.boosting import boosted, loss
from bayescausal.model.forests.op import known_forest
from bayescausal.model.forests.packed import evaluate_forests, pack
from bayescausal.model.forests.prior import CUTS
from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.model.formulas.build import Equation
    from bayescausal.model.formulas.curves.curve_terms import Curve

__all__ = ["expected_treatment", "thresholds"]

#: Rows that it is estimated from, at most, and the parts that are held out.
ROWS, FOLDS = 10_000, 5
#: Standard deviations of the Normal priors of coefficients to choose from.
SPREADS = (2.5, 0.5, 0.1, 0.02)


def expected_treatment(
    equation: Equation, curve: Curve, columns: list[Any], seen: Array
) -> tuple[Any, Array]:
    """Return the expected treatment given the covariates, as an expression and as numbers."""
    name = curve.options["of"]
    column = equation.scope.columns[name]
    if column.numeric is None or (column.levels is not None and len(column.levels) > 2):
        raise FormulaError(
            f"{name!r} in {curve.text!r} is no treatment of one number."
            f"{curve.mark(equation.formula)}",
            expected="a treatment that is 0 or 1, or a dose, with a column in data=.",
        )
    t = np.asarray(column.numeric, dtype=float)
    whole = np.isfinite(t) & np.isfinite(seen).all(axis=1)
    middle, spread = seen[whole].mean(axis=0), seen[whole].std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    bent = np.array([len(np.unique(v[whole])) > 2 for v in seen.T])
    z = (seen - middle) / spread
    design = np.column_stack([np.ones(len(z)), z, z[:, bent] ** 2])
    binary = bool(np.isin(t[whole], (0, 1)).all())
    level, unit = (0.0, 1.0) if binary else (t[whole].mean(), t[whole].std() or 1.0)
    b, forest = _estimate(seen[whole], design[whole], (t[whole] - level) / unit, binary)
    away = [(c - m) / s for c, m, s in zip(columns, middle, spread, strict=True)]
    squares = [a**2 for a, square in zip(away, bent, strict=True) if square]
    eta = sum((w * a for w, a in zip(b[1:], [*away, *squares], strict=True)), start=b[0])
    values = design @ b
    if forest is not None:
        eta = eta + known_forest(pt.stack(columns, axis=1), forest)
        values = values + evaluate_forests(seen, forest)
    return (
        (pt.sigmoid(eta), expit(values)) if binary else (level + unit * eta, level + unit * values)
    )


def thresholds(values: Array) -> Array:
    """Return thresholds midway between the propensities of the data.

    They are computed once as numbers and again in the model, so that the last digits differ; those
    that differ by no more are one.

    Examples
    --------
    >>> import numpy as np
    >>> thresholds(np.array([0.25, 0.75, 0.25 + 1e-16]))
    array([0.5])
    """
    own = np.unique(values[np.isfinite(values)])
    apart = np.diff(own) > 1e-9 * np.abs(own).max(initial=0.0)
    between = ((own[1:] + own[:-1]) / 2)[apart]
    if len(between) > CUTS:
        between = np.unique(np.quantile(between, np.linspace(0, 1, CUTS), method="lower"))
    return between


def _estimate(x: Array, design: Array, y: Array, binary: bool) -> tuple[Array, Array | None]:
    """Return the coefficients, to six digits, and the trees, packed; None where there are none."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(y))[:ROWS]
    x, design, y = x[rows], design[rows], y[rows]
    folds = [np.arange(len(y)) % FOLDS == k for k in range(FOLDS)]
    fits, totals = {}, {}
    for spread in SPREADS:
        own = [design @ _regression(design[~held], y[~held], spread, binary) for held in folds]
        fits[spread] = own
        totals[spread] = sum(
            loss(y[h], f[h], binary).sum() for h, f in zip(folds, own, strict=True)
        )
    found = []
    for spread in {min(SPREADS, key=totals.__getitem__), SPREADS[-1]}:
        b = np.array([float(f"{v:.6g}") for v in _regression(design, y, spread, binary)])
        starts = list(zip(folds, fits[spread], strict=True))
        found.append((*boosted(x, y, starts, design @ b, binary), b))
    trees, _, b = min(found, key=lambda each: each[1])
    return b, pack(trees, 0.0) if trees else None


def _regression(x: Array, y: Array, spread: float, logistic: bool) -> Array:
    """Return the mode of a regression, linear or logistic, by Newton's steps."""
    ridge = np.full(x.shape[1], spread**-2)
    ridge[0] = 1e-6

    def height(at: Array) -> float:
        return float(loss(y, x @ at, logistic).sum() + 0.5 * ridge @ at**2)

    b = np.zeros(x.shape[1])
    for _ in range(50 if logistic else 1):
        mean = expit(x @ b) if logistic else x @ b
        weight = mean * (1 - mean) if logistic else np.ones(len(y))
        step = np.linalg.solve((x.T * weight) @ x + np.diag(ridge), x.T @ (y - mean) - ridge * b)
        while np.abs(step).max() > 1e-10 and not height(b + step) <= height(b) + 1e-9:
            step = step / 2
        b = b + step
        if np.abs(step).max() < 1e-10:
            break
    return b
