r"""Factors with several columns: categories, splines, polynomials.

Such a factor is a function of one unit with a vector of coefficients,
:math:`f(x; b) = \sum_k b_k\, c_k(x)`. It is never written as a matrix of numbers, which would be
frozen at the data, but as an expression in :math:`x`, so that it has a value at every value that
an intervention may set:

* a *category* is a table lookup, :math:`f(x; b) = b_x`, the first level being the reference
  (:math:`b_0 = 0`) unless all levels are coded;
* a *spline* is a polynomial on each interval between knots, found by comparing :math:`x` with the
  knots. ``bs`` is the B-spline basis [1]_, ``ns`` and ``cr`` the natural cubic spline in its
  cardinal basis: coefficients are the heights at the knots above the first, and the function is a
  straight line beyond the outer knots. Beyond them ``bs`` goes on with its last polynomial, which
  soon leaves any sensible range;
* ``poly`` are polynomials orthogonal over the data [2]_, by their three-term recurrence.

Knots and recurrences are taken from the data once.

When it fails: a category that the data never showed has no coefficient. Its value is NaN, which
no later step takes for an answer.

References
----------
.. [1] C. de Boor, *A Practical Guide to Splines*, Springer, 1978.
.. [2] W. J. Kennedy and J. E. Gentle, *Statistical Computing*, Dekker, 1980, section 8.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytensor.tensor as pt
from scipy.interpolate import BSpline, CubicSpline, PPoly

from bayescausal.types import FormulaError

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.model.formulas.values import Value

__all__ = ["Categories", "Piecewise", "Polynomials", "natural_pieces", "spline"]


@dataclass(frozen=True, eq=False)
class Categories:
    """A categorical factor."""

    label: str  # as written in the formula
    levels: tuple[Any, ...]  # the first is the reference
    # The variable: codes 0, 1, ... in the order of the levels, or values among `keys`.
    value: Value
    keys: tuple[Any, ...] | None = None  # the value that stands for each level; None for codes
    full: bool = False  # whether the reference level has a coefficient too

    @property
    def labels(self) -> tuple[Any, ...]:
        """The levels that have a coefficient."""
        return tuple(self.levels if self.full else self.levels[1:])

    @property
    def dim(self) -> str:
        """The dim of the coefficients."""
        return f"{self.label}_level" if self.full else f"{self.label}_vs_{self.levels[0]}"

    def contract(self, b: TensorVariable) -> TensorVariable:
        """Return the coefficient of each unit's level."""
        if self.keys is not None:
            hits = [pt.eq(self.value.symbolic, key) for key in self.keys]
            known = hits[0]
            for hit in hits[1:]:
                known = pt.or_(known, hit)
            out: Any = pt.switch(known, 0.0, np.nan)
            for k, hit in enumerate(hits if self.full else hits[1:]):
                out = out + pt.switch(hit, b[k], 0.0)
            return out
        table = b if self.full else pt.concatenate([np.zeros(1), b])
        return table[self.value.symbolic]

    def columns(self) -> list[Any]:
        """Return the indicator of each level that has a coefficient."""
        keys = tuple(range(len(self.levels))) if self.keys is None else self.keys
        used = keys if self.full else keys[1:]
        return [pt.cast(pt.eq(self.value.symbolic, k), "float64") for k in used]

    def numbers(self) -> np.ndarray | None:
        """Return the indicators as numbers, (n, K)."""
        if self.value.numeric is None:
            return None
        keys = np.arange(len(self.levels)) if self.keys is None else np.asarray(self.keys)
        out = np.asarray(self.value.numeric)[:, None] == keys[None, 0 if self.full else 1 :]
        return out.astype(float)


@dataclass(frozen=True, eq=False)
class Piecewise:
    """A spline: on each interval a polynomial in the distance from its left end."""

    label: str
    value: Value  # the argument
    breaks: np.ndarray  # (M + 1) Ends of the intervals; the outer two go on for ever
    # (M, K, D + 1) Coefficients of every column on every interval, constant first.
    powers: np.ndarray
    full: bool = True

    @property
    def dim(self) -> str:
        """The dim of the coefficients."""
        return f"{self.label}_column"

    @property
    def labels(self) -> tuple[str, ...]:
        """One number for each column."""
        return tuple(str(k + 1) for k in range(self.powers.shape[1]))

    def contract(self, b: TensorVariable) -> TensorVariable:
        """Return the spline with coefficients `b`."""
        return pt.dot(self.basis(), b)

    def columns(self) -> list[Any]:
        """Return each basis function."""
        basis = self.basis()
        return [basis[..., k] for k in range(self.powers.shape[1])]

    def basis(self) -> TensorVariable:
        """Return all functions, the last axis: by Horner's rule, on the interval of the argument.

        What is multiplied with coefficients is then a matrix that reads no unknown.
        """
        x = self.value.symbolic
        place: Any = pt.zeros_like(x, dtype="int64")
        left: Any = float(self.breaks[0])
        for k, knot in enumerate(self.breaks[1:-1], start=1):
            beyond = pt.ge(x, knot)
            place = pt.switch(beyond, np.int64(k), place)
            left = pt.switch(beyond, float(knot), left)
        t = pt.expand_dims(x - left, -1)
        tables = [pt.constant(self.powers[:, :, d]) for d in range(self.powers.shape[2])]
        out: Any = tables[-1][place]
        for table in reversed(tables[:-1]):
            out = table[place] + t * out
        return cast("TensorVariable", out)

    def numbers(self) -> np.ndarray | None:
        """Return the basis at the data, (n, K)."""
        if self.value.numeric is None:
            return None
        x = np.asarray(self.value.numeric, dtype=float)
        place = np.searchsorted(self.breaks[1:-1], x, side="right")
        t = (x - self.breaks[place])[:, None]
        out = np.zeros((len(x), self.powers.shape[1]))
        for d in reversed(range(self.powers.shape[2])):
            out = self.powers[place, :, d] + t * out
        return out


@dataclass(frozen=True, eq=False)
class Polynomials:
    """Orthogonal polynomials of degree 1 to K."""

    label: str
    value: Value
    # alpha, norm: of the recurrence: ``p[k+1] = (x - alpha[k]) p[k] - norm[k] / norm[k-1] p[k-1]``.
    alpha: np.ndarray
    norm: np.ndarray
    full: bool = True

    @property
    def dim(self) -> str:
        """The dim of the coefficients."""
        return f"{self.label}_degree"

    @property
    def labels(self) -> tuple[str, ...]:
        """The degrees."""
        return tuple(str(k + 1) for k in range(len(self.alpha)))

    def columns(self) -> list[Any]:
        """Return each polynomial."""
        return self._run(self.value.symbolic)

    def contract(self, b: TensorVariable) -> TensorVariable:
        """Return the polynomial with coefficients `b`."""
        parts = [b[k] * column for k, column in enumerate(self.columns())]
        return sum(parts[1:], parts[0])

    def numbers(self) -> np.ndarray | None:
        """Return the polynomials at the data, (n, K)."""
        if self.value.numeric is None:
            return None
        return np.stack(self._run(np.asarray(self.value.numeric, dtype=float)), axis=1)

    def _run(self, x: TensorVariable) -> list[Any]:
        before: Any = 0.0
        now: Any = 1.0
        out = []
        for k in range(len(self.alpha)):
            back = float(self.norm[k] / self.norm[k - 1]) if k else 0.0
            before, now = now, (x - float(self.alpha[k])) * now - back * before
            out.append(now / float(np.sqrt(self.norm[k + 1])))
        return out


# ----------------------------------------------------------------------------- splines


def spline(
    kind: str, label: str, value: Value, options: dict[str, Any], mark: str
) -> Piecewise | Polynomials:
    """Return a spline or orthogonal polynomial with knots from the data.

    - `label`: as written in the formula.
    - `value`: the argument.
    - `options`: ``df``, ``knots`` (inner ones), ``degree`` (``bs``, ``poly``), ``lower``,
      ``upper``.
    - `mark`: lines with a caret, for messages.

    Examples
    --------
    >>> import numpy as np, pytensor.tensor as pt
    >>> from bayescausal.model.formulas.values import Value
    >>> x = Value(pt.vector("x"), np.linspace(0, 1, 50))
    >>> spline("ns", "ns(x, df=3)", x, {"df": 3}, "").numbers().shape
    (50, 3)
    """
    allowed = {
        "bs": {"df", "knots", "degree", "lower", "upper"},
        "poly": {"degree"},
    }.get(kind, {"df", "knots", "lower", "upper"})
    unknown = [o for o in options if o not in allowed]
    if unknown:
        raise FormulaError(
            f"{kind}() takes no option {unknown[0]!r}.{mark}",
            expected=", ".join(sorted(allowed)),
        )
    for name in ("df", "degree"):
        if name in options and not (isinstance(options[name], int) and options[name] >= 1):
            raise FormulaError(
                f"{name}={options[name]!r} in {label!r}.{mark}", expected="a whole number from 1."
            )
    seen = value.numeric
    if seen is not None:
        seen = np.asarray(seen, dtype=float)
        seen = seen[np.isfinite(seen)]
    if kind == "poly":
        return _poly(label, value, seen, int(options.get("degree", 1)), mark)
    degree = int(options.get("degree", 3)) if kind == "bs" else 3
    breaks = _breaks(kind, label, seen, options, degree, mark)
    if kind == "bs":
        knots = np.r_[[breaks[0]] * degree, breaks, [breaks[-1]] * degree]
        count = len(knots) - degree - 1
        pieces = [PPoly.from_spline(BSpline(knots, row, degree)) for row in np.eye(count)[1:]]
        inside = slice(degree, degree + len(breaks) - 1)
        powers = np.stack([p.c[::-1, inside].T for p in pieces], axis=1)
        return Piecewise(label, value, breaks, powers)
    return _natural(label, value, breaks)


def _breaks(
    kind: str, label: str, seen: Array | None, options: dict[str, Any], degree: int, mark: str
) -> np.ndarray:
    """Return the outer and inner knots: as given, or at quantiles of the data."""
    if seen is None and not {"knots", "lower", "upper"} <= set(options):
        raise FormulaError(
            f"{label!r} takes its knots from data, and there are none for it.{mark}",
            remedy="Pass data= with the column, or give knots=[...], lower= and upper=.",
        )
    if seen is not None and len(np.unique(seen)) < 3:
        raise FormulaError(
            f"{label!r} has fewer than three different values in the data.{mark}",
            remedy="Use the variable itself, or C() of it.",
        )
    lower = float(options.get("lower", seen.min() if seen is not None else 0))
    upper = float(options.get("upper", seen.max() if seen is not None else 0))
    if "knots" in options:
        if "df" in options:
            raise FormulaError(f"{label!r} has knots and df.{mark}", expected="one of them.")
        inner = np.sort(np.asarray(options["knots"], dtype=float).ravel())
    else:
        fewest = degree if kind == "bs" else 1
        df = int(options.get("df", max(4, fewest)))
        if df < fewest:
            raise FormulaError(
                f"{label!r} has df={df}.{mark}", expected=f"df={fewest} or more, or a lower degree."
            )
        inner = np.quantile(np.asarray(seen), np.linspace(0, 1, df - fewest + 2)[1:-1])
    breaks = np.r_[lower, inner, upper]
    if not np.all(np.diff(breaks) > 0):
        raise FormulaError(
            f"The knots of {label!r} are not in order: "
            f"{', '.join(f'{k:g}' for k in breaks)}.{mark}",
            expected="different inner knots, between the smallest and the largest value.",
            remedy="Use a smaller df, or give knots=[...].",
        )
    return breaks


def _natural(label: str, value: Value, knots: np.ndarray) -> Piecewise:
    """Return the cardinal natural cubic spline without its first column, straight outside."""
    if len(knots) == 2:
        slope = 1.0 / (knots[1] - knots[0])
        return Piecewise(label, value, knots, np.array([[[0.0, slope, 0.0, 0.0]]]))
    return Piecewise(label, value, *natural_pieces(knots, np.eye(len(knots))[:, 1:]))


def natural_pieces(knots: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return natural cubic splines through heights at knots, straight outside.

    - `knots` (M)
    - `heights` (M, K): one column for each spline.
    Returns:
    - `breaks` (M + 2)
    - `powers` (M + 1, K, 4): as in :class:`Piecewise`.
    """
    inner = CubicSpline(knots, heights, bc_type="natural")
    pieces = np.moveaxis(inner.c[::-1], 0, 2)  # (M - 1, K, 4), constant first
    rise = [inner(knots[0], 1), inner(knots[-1], 1)]
    ends = [inner(knots[0]), inner(knots[-1])]
    width = knots[-1] - knots[0]
    first = np.stack([ends[0] - rise[0] * width, rise[0], 0 * rise[0], 0 * rise[0]], axis=1)
    last = np.stack([ends[1], rise[1], 0 * rise[1], 0 * rise[1]], axis=1)
    breaks = np.r_[knots[0] - width, knots, knots[-1] + width]
    return breaks, np.concatenate([first[None], pieces, last[None]])


def _poly(label: str, value: Value, seen: Array | None, degree: int, mark: str) -> Polynomials:
    """Return the recurrence of the polynomials that are orthogonal over the data."""
    if seen is None:
        raise FormulaError(
            f"{label!r} is made orthogonal over data, and there are none for it.{mark}",
            remedy="Pass data= with the column, or write x + I(x**2).",
        )
    if degree >= len(np.unique(seen)):
        raise FormulaError(
            f"{label!r} has degree {degree}, and the data have {len(np.unique(seen))} different "
            f"values.{mark}",
            expected="a degree below that number.",
        )
    alpha, norm = [], [float(len(seen))]
    before, now = np.zeros_like(seen), np.ones_like(seen)
    for k in range(degree):
        alpha.append(float(np.sum(seen * now**2) / norm[k]))
        back = norm[k] / norm[k - 1] if k else 0.0
        before, now = now, (seen - alpha[k]) * now - back * before
        norm.append(float(np.sum(now**2)))
    return Polynomials(label, value, np.asarray(alpha), np.asarray(norm))
