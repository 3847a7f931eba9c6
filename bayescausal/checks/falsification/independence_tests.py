r"""Tests of one independence, ``x independent of y given z``, by the types of the variables.

=====================  ===========================  ==========================================
test                   for                          statistic
=====================  ===========================  ==========================================
partial correlation    numbers, linear means        :math:`r\sqrt{\nu / (1 - r^2)}`, Student's t
GCM [1]_               anything else                :math:`n\, \bar R' \hat\Sigma^{-1} \bar R`,
                                                    F; R the products of residuals
G                      discrete, well filled        :math:`2 \sum o \log(o / e)`, chi square
CMH [2]_               discrete, thinly filled      the same counts, summed over strata first
=====================  ===========================  ==========================================

``"auto"`` uses the first that holds for the types: a partial correlation needs linear means (by AIC
against splines and products) and residuals of which at least one has an even spread; G needs
expected counts of five in nineteen cells of twenty, and of two in all.

The effect size is on the scale of a correlation. For one product of residuals it is their
correlation, with a sign. For the others, :math:`\sqrt{\lambda / (n + \lambda)}` (for G
:math:`\sqrt{1 - e^{-\lambda / n}}`, n rows: twice the information in nats [3]_), where
:math:`\lambda` is the noncentrality, at least zero; its interval inverts the noncentral
chi square.

*When they fail.* Correlations of residuals see dependence of the means: ``y = x ** 2`` with x
symmetric has none. CMH sees association in one direction across strata. The mean may be
rougher than the regressions. All take the rows to be independent.

References
----------
.. [1] R. D. Shah and J. Peters, "The hardness of conditional independence testing and the
   generalised covariance measure", The Annals of Statistics 48, 2020.
.. [2] A. Agresti, *Categorical Data Analysis*, 3rd ed., Wiley, 2013, sections 6.4 and 8.4.
.. [3] E. H. Linfoot, "An informational measure of correlation", Information and Control 1, 1957.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, stats

from bayescausal.checks.falsification.regression import Column, Residuals, residuals
from bayescausal.types import DataError, EstimandError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["METHODS", "Outcome", "check_independence"]

#: The tests that can be asked for.
METHODS = ("auto", "partial correlation", "GCM", "G", "CMH")

#: Probability of the intervals.
PROB = 0.94

#: Fewer degrees of freedom than this are no test.
FEWEST = 5


@dataclass(frozen=True)
class Outcome:
    """What a test of one independence found.

    ``method``: the test.
    ``rows``: how many rows it used.
    ``statistic``, ``df``, ``p_value``: the statistic, its degrees of freedom, and the probability
        of one as large; NaN where there was nothing to test.
    ``effect``, ``lower``, ``upper``: the strength on the scale of a correlation, and its 94%
        interval.
    ``note``: Why nothing was tested, or why the test is rough.
    """

    method: str
    rows: int
    statistic: float = np.nan
    df: float = np.nan
    p_value: float = np.nan
    effect: float = np.nan
    lower: float = np.nan
    upper: float = np.nan
    note: str = ""


def check_independence(
    left: Sequence[Column],
    right: Sequence[Column],
    given: Sequence[Column] = (),
    *,
    method: str = "auto",
) -> Outcome:
    """Test whether two variables are independent given others.

    ``left``, ``right``: the two variables; several columns each if they are vectors.
    ``given``: what is held fixed.
    ``method``: one of `METHODS`.
    Raises EstimandError for an unknown test; DataError if the test asked for does not suit the
        types.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.checks.falsification.regression import Column
    >>> rng = np.random.default_rng(1)
    >>> z = rng.normal(size=500)
    >>> x, y = z + rng.normal(size=500), z + rng.normal(size=500)
    >>> x, y, z = (Column(n, v, False) for n, v in zip("xyz", (x, y, z)))
    >>> marginal, partial = check_independence([x], [y]), check_independence([x], [y], [z])
    >>> marginal.p_value < 1e-6, partial.p_value > 0.05
    (True, True)
    """
    if method not in METHODS:
        raise EstimandError(
            f"{method!r} is not a test.",
            expected=f"one of {', '.join(METHODS)}.",
            names=closest(str(method), METHODS)[:1],
        )
    everything = [*left, *right, *given]
    discrete = all(c.discrete for c in everything) and len(left) == len(right) == 1
    if method in ("G", "CMH") and not discrete:
        other = next((c.name for c in everything if not c.discrete), left[0].name)
        raise DataError(
            f"{other} is not discrete, and {method} counts.",
            expected="discrete variables.",
            remedy="Use GCM, or auto.",
        )
    if discrete and method in ("auto", "G", "CMH"):
        found = _counted(left[0], right[0], list(given), method)
        if found is not None:
            return found
    return _by_residuals(list(left), list(right), list(given), method)


# --------------------------------------------------------------------------- private


def _counted(left: Column, right: Column, given: list[Column], method: str) -> Outcome | None:
    """Run G or CMH; None where the strata are too thin for either."""
    tables = _strata(left, right, given)
    rows = int(tables.sum())
    used = tables[(tables.sum(axis=2) > 0).sum(axis=1) > 1]
    used = used[(used.sum(axis=1) > 0).sum(axis=1) > 1]
    varied = all(len(np.unique(c.values)) > 1 for c in (left, right))
    if method == "auto" and given and varied and used.sum() < rows / 2:
        return None
    if not len(used):
        return Outcome(method.replace("auto", "G"), rows, note=_nothing(left, right, given))
    margins = used.sum(axis=2, keepdims=True), used.sum(axis=1, keepdims=True)
    total = used.sum(axis=(1, 2), keepdims=True)
    expected = margins[0] * margins[1] / total
    real = expected[expected > 0]
    dense = (real >= 5).mean() >= 0.95 and real.min() >= 2
    if method == "G" or (method == "auto" and dense):
        some = used > 0
        statistic = 2 * float((used[some] * np.log(used[some] / expected[some])).sum())
        df = float((((margins[0] > 0).sum(axis=1) - 1) * ((margins[1] > 0).sum(axis=2) - 1)).sum())
        found = _chi_square("G", rows, statistic, df)
        few = int((real < 5).sum())
        thin = f"{few} of {real.size} cells expect fewer than 5 rows: the p value is rough, use CMH"
        return found if dense else replace(found, note=thin)
    statistic, df = _cmh(used, expected, margins, total)
    return _chi_square("CMH", rows, statistic, df)


def _strata(left: Column, right: Column, given: list[Column]) -> np.ndarray:
    """Return the counts (stratum, left, right)."""
    x, y = (np.unique(c.values, return_inverse=True)[1] for c in (left, right))
    stratum = np.zeros(len(x), dtype=int)
    for column in given:
        code = np.unique(column.values, return_inverse=True)[1]
        stratum = np.unique(stratum * (code.max() + 1) + code, return_inverse=True)[1]
    shape = (stratum.max() + 1, x.max() + 1, y.max() + 1)
    counts = np.zeros(shape)
    np.add.at(counts, (stratum, x, y), 1.0)
    return counts


def _cmh(
    tables: np.ndarray, expected: np.ndarray, margins: tuple[np.ndarray, ...], total: np.ndarray
) -> tuple[float, float]:
    """Return the generalised Cochran-Mantel-Haenszel statistic and its degrees of freedom."""
    n = total[:, 0, 0]
    keep = n > 1
    gap = (tables - expected)[keep].sum(axis=0)[1:, 1:].ravel()
    n = n[keep]
    rows, columns = margins[0][keep, 1:, 0] / n[:, None], margins[1][keep, 0, 1:] / n[:, None]

    def spread(share: np.ndarray) -> np.ndarray:
        diagonal = share[:, :, None] * np.eye(share.shape[1])
        return np.asarray(diagonal - share[:, :, None] * share[:, None, :])

    a, b = spread(rows), spread(columns)
    weight = n**2 / (n - 1)
    size = a.shape[1] * b.shape[1]
    variance = np.einsum("h,hij,hkl->ikjl", weight, a, b).reshape(size, size)
    inverse, rank = _pseudo_inverse(variance)
    return float(gap @ inverse @ gap), float(rank)


def _by_residuals(
    left: list[Column], right: list[Column], given: list[Column], method: str
) -> Outcome:
    """Run a partial correlation or the GCM."""
    bases: dict[str, np.ndarray] = {}
    rows = len(left[0].values)
    one, other = (_joined([residuals(c, given, bases) for c in side]) for side in (left, right))
    single = one.values.shape[1] == other.values.shape[1] == 1
    label = method if method != "auto" else "GCM"
    if not (one.values.any() and other.values.any()):
        return Outcome(label, rows, note=_nothing(left[0], right[0], given, one))
    if method == "partial correlation" and not single:
        raise DataError(
            f"{left[0].name} or {right[0].name} is not one number.",
            expected="numbers, or two levels.",
            remedy="Use GCM, or auto.",
        )
    if method == "partial correlation":
        basis = bases["linear"]
        one, other = (_linear(c[0], basis) for c in (left, right))
    numbers = not any(c.discrete for c in (*left, *right))
    plain = {one.basis, other.basis} == {"linear"} and not (one.uneven and other.uneven)
    if max(one.used, other.used) + FEWEST > rows:
        return Outcome(label, rows, note="there are too few rows")
    if method == "partial correlation" or (method == "auto" and single and numbers and plain):
        return _correlation(one, other, rows)
    return _covariance(one, other, rows)


def _joined(parts: list[Residuals]) -> Residuals:
    return Residuals(
        np.hstack([p.values for p in parts]),
        max(p.used for p in parts),
        max((p.basis for p in parts), key=lambda b: (b != "linear", b)),
        any(p.uneven for p in parts),
    )


def _linear(column: Column, basis: np.ndarray) -> Residuals:
    values = column.values.astype(float)[:, None]
    left = values - basis @ (basis.T @ values)
    return Residuals(left, basis.shape[1], "linear", False)


def _correlation(one: Residuals, other: Residuals, rows: int) -> Outcome:
    """Student's t of a partial correlation; the interval by Fisher's transformation."""
    u, v = one.values[:, 0], other.values[:, 0]
    r = float(np.clip(u @ v / np.sqrt((u @ u) * (v @ v)), -1.0, 1.0))
    df = rows - one.used - 1
    statistic = r * np.sqrt(df / max(1 - r * r, 1e-300))
    low, high = _fisher(r, 1 / np.sqrt(max(df - 1, 1)))
    p = float(2 * stats.t.sf(abs(statistic), df))
    return Outcome("partial correlation", rows, float(statistic), df, p, r, low, high)


def _covariance(one: Residuals, other: Residuals, rows: int) -> Outcome:
    """Return the generalised covariance measure, as a quadratic form.

    Under independence the residual of the product has variance ``(n - p) s2 t2`` while the squared
    products have mean ``(1 - p / n)^2 s2 t2``: the statistic is scaled down by ``1 - p / n``.
    """
    products = (one.values[:, :, None] * other.values[:, None, :]).reshape(rows, -1)
    mean = products.mean(axis=0)
    centred = products - mean
    inverse, k = _pseudo_inverse(centred.T @ centred / rows)
    used = max(one.used, other.used)
    statistic = float(rows * mean @ inverse @ mean) * (1 - used / rows)
    df = rows - used - k
    if df < FEWEST:
        return Outcome("GCM", rows, note="there are too few rows")
    p = float(stats.f.sf(statistic / k * df / (df + k - 1), k, df))
    if products.shape[1] > 1:
        effect, low, high = _noncentral(statistic, k, rows, lambda x: x / (1 + x))
        return Outcome("GCM", rows, statistic, k, p, effect, low, high)
    u, v = (x.values[:, 0] / np.sqrt((x.values**2).mean()) for x in (one, other))
    r = float(np.clip((u * v).mean(), -1.0, 1.0))
    influence = u * v - r * (u**2 + v**2) / 2
    error = influence.std() / np.sqrt(max(rows - used, 1)) / max(1 - r * r, 1e-12)
    low, high = _fisher(r, float(error))
    return Outcome("GCM", rows, float(np.sign(r) * np.sqrt(statistic)), df, p, r, low, high)


def _chi_square(method: str, rows: int, statistic: float, df: float) -> Outcome:
    p = float(stats.chi2.sf(statistic, df))
    shape = (lambda x: -np.expm1(-x)) if method == "G" else (lambda x: x / (1 + x))
    effect, low, high = _noncentral(statistic, df, rows, shape)
    return Outcome(method, rows, statistic, df, p, effect, low, high)


def _noncentral(statistic: float, df: float, rows: int, shape) -> tuple[float, float, float]:  # type: ignore[no-untyped-def]
    """Return the strength ``sqrt(shape(lambda / n))`` and its interval."""
    tail = (1 - PROB) / 2

    def limit(q: float) -> float:
        if stats.chi2.sf(statistic, df) >= q:
            return 0.0
        top = 4 * statistic + 100

        def gap(size: float) -> float:
            return float(stats.ncx2.sf(statistic, df, size) - q)

        return float(optimize.brentq(gap, 1e-9, top)) if gap(1e-9) < 0 < gap(top) else 0.0

    sizes = (max(statistic - df, 0.0), limit(tail), limit(1 - tail))
    if statistic > 1e4:  # normal approximation: the noncentral law is slow and not needed here
        wide = stats.norm.isf(tail) * 2 * np.sqrt(statistic)
        sizes = (statistic - df, max(statistic - df - wide, 0.0), statistic - df + wide)
    effect, low, high = (float(np.sqrt(shape(size / rows))) for size in sizes)
    return effect, low, high


def _fisher(r: float, error: float) -> tuple[float, float]:
    wide = stats.norm.isf((1 - PROB) / 2) * error
    middle = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    return float(np.tanh(middle - wide)), float(np.tanh(middle + wide))


def _pseudo_inverse(matrix: np.ndarray) -> tuple[np.ndarray, int]:
    size, turn = np.linalg.eigh(matrix)
    keep = size > 1e-9 * max(size[-1], 1e-300)
    kept = turn[:, keep]
    return np.asarray((kept / size[keep]) @ kept.T), int(keep.sum())


def _nothing(left: Column, right: Column, given: list[Column], one: Residuals | None = None) -> str:
    """Say which variable leaves nothing to test."""
    for column in (left, right):
        if len(np.unique(column.values)) < 2:
            return f"{column.name} is constant"
    name = left.name if one is None or not one.values.any() else right.name
    if one is None:
        name = f"{left.name} or {right.name}"
    return f"{name} is determined by {', '.join(c.name for c in given)}"
