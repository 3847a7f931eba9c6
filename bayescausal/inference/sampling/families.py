r"""Log-likelihoods of generalised linear equations, at many values of the coefficients at once.

With :math:`\eta_i = o_i + x_i'c` and counts :math:`w_i` of equal rows, up to what reads no unknown,

=================  ========================================================================
logistic           :math:`\sum w_i \{y_i \eta_i - n_i \log(1 + e^{\eta_i})\}`
probit             :math:`\sum w_i \{y_i \log\Phi(\eta_i) + (n_i - y_i) \log\Phi(-\eta_i)\}`
Poisson            :math:`\sum w_i \{y_i \eta_i - e^{\eta_i}\}`
Negative Binomial  :math:`\sum w_i \{y_i \eta_i - (y_i + a) \log(a + e^{\eta_i}) + a \log a +
                   \log\Gamma(y_i + a) - \log\Gamma(a)\}`
Gamma              :math:`\sum w_i \{(a - 1) \log y_i - y_i / s_i - a \log s_i - \log\Gamma(a)\},
                   \quad s_i = e^{\eta_i} a^p`
=================  ========================================================================

What is linear in the coefficients is added up once; the rest is one exponential for each row and
point [1]_. The logarithm of a logistic row is taken of products of many rows, each factor of which
lies between 1 and 2.

References
----------
.. [1] P. McCullagh and J. A. Nelder, *Generalized Linear Models*, 2nd ed., Chapman & Hall, 1989.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, vstack
from scipy.special import digamma, erfcx, expit, gammaln, log_ndtr, ndtr, ndtri, polygamma

if TYPE_CHECKING:
    from bayescausal.annotations import Array

__all__ = ["FAMILIES", "Equation"]

#: Rows and points whose predictors are held at a time; products of so many rows are finite.
ROWS, POINTS = 512, 512
#: Families, and whether they have a shape besides the coefficients.
FAMILIES = {
    "logistic": False, "probit": False, "poisson": False, "negative binomial": True, "gamma": True,
}  # fmt: skip
#: Rows of which a few are looked at for equal ones, and the share of different ones that is few.
LOOK, FEW = 2_000, 0.5


@dataclass(frozen=True, eq=False)
class Equation:
    """The rows of one equation.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(2)
    >>> rows = Equation("poisson", 0 * one, one[:, None], np.array([1.0, 2.0]), one, one)
    >>> rows.log_likelihood(np.zeros((1, 1)), None).tolist()
    [-2.0]
    """

    family: str  # in :data:`FAMILIES`
    offset: Array  # (n_rows)
    x: Array | csr_array  # (n_rows, n_coefficients)
    # y, trials, counts: (n_rows)
    y: Array
    trials: Array
    counts: Array
    power: int = 0  # of the shape in the scale of a Gamma variable

    def __add__(self, other: Equation) -> Equation:
        names = "offset", "y", "trials", "counts"
        both: dict[str, Any] = {
            n: np.concatenate([getattr(self, n), getattr(other, n)]) for n in names
        }
        join = vstack if isinstance(self.x, csr_array) else np.concatenate
        return replace(self, x=join([self.x, other.x]), **both)

    def merged(self) -> Equation:
        """Return the same likelihood with equal rows counted, where many are equal."""
        rows = np.column_stack([self.offset, self.y, self.trials])
        weights = np.random.default_rng(1).normal(size=3 + self.x.shape[1])
        key = rows @ weights[:3] + self.x @ weights[3:]
        few = key[:: max(1, len(key) // LOOK)]
        if len(key) < 2 or len(np.unique(few)) > FEW * len(few):
            return self
        _, first, which, counts = np.unique(
            key, return_index=True, return_inverse=True, return_counts=True
        )
        if not np.array_equal(rows[first][which], rows) or abs(self.x[first][which] - self.x).max():
            return self
        total = np.bincount(which, self.counts, len(counts))
        return self.some(first, total)

    def some(self, rows: Array | slice, counts: Array) -> Equation:
        """Return some rows, with other counts."""
        parts: dict[str, Any] = {n: getattr(self, n)[rows] for n in ("offset", "x", "y", "trials")}
        return replace(self, **parts, counts=counts)

    def log_likelihood(self, points: Array, shape: Array | None) -> Array:
        """Return the log-likelihood at points, shape (n_points, n_coefficients).

        `shape` are values of the shape at these points, for the families that have one.
        """
        found = [
            self._at(points[i : i + POINTS], None if shape is None else shape[i : i + POINTS])
            for i in range(0, len(points), POINTS)
        ]
        return np.concatenate([np.zeros(0), *found])

    def _at(self, points: Array, shape: Array | None) -> Array:
        linear = self.counts if self.family == "gamma" else self.y * self.counts
        linear = 0 * linear if self.family == "probit" else linear
        along = linear @ self.x @ points.T + linear @ self.offset
        rest = np.zeros(len(points))
        by_rows = np.ascontiguousarray(points.T)
        for start in range(0, len(self.y), ROWS):
            rows = slice(start, start + ROWS)
            eta = self.x[rows] @ by_rows
            if self.offset[rows].any():
                eta += self.offset[rows, None]
            rest += self._rows(rows, eta, shape)
        if shape is None:
            return along + rest
        return self._with_shape(along, rest, shape)

    def _rows(self, rows: slice, eta: Array, shape: Array | None) -> Array:
        """Return the part that needs each row: of logistic and Poisson rows with its sign."""
        counts = self.counts[rows]
        if self.family == "poisson":
            return -(counts @ np.exp(eta, out=eta))
        if self.family == "gamma":
            np.negative(eta, out=eta)
            return np.asarray((counts * self.y[rows]) @ np.exp(eta, out=eta))
        if self.family == "negative binomial":
            assert shape is not None
            np.exp(eta, out=eta)
            eta += shape
            np.log(eta, out=eta)
            return -((counts * self.y[rows]) @ eta + shape * (counts @ eta))
        if self.family == "probit":
            ones, zeros = counts * self.y[rows], counts * (self.trials - self.y)[rows]
            up, down = ones > 0, zeros > 0
            return np.asarray(
                ones[up] @ _log_normal(eta[up]) + zeros[down] @ _log_normal(-eta[down])
            )
        weight = counts * self.trials[rows]
        upper = weight @ eta
        np.abs(eta, out=eta)
        upper += weight @ eta
        np.negative(eta, out=eta)
        np.exp(eta, out=eta)
        if (weight == 1.0).all():
            eta += 1.0
            return np.asarray(-0.5 * upper - np.log(np.multiply.reduce(eta, axis=0)))
        return np.asarray(-0.5 * upper - weight @ np.log1p(eta, out=eta))

    def _with_shape(self, along: Array, rest: Array, a: Array) -> Array:
        n = self.counts.sum()
        if self.family == "gamma":
            logs = self.counts @ np.log(self.y)
            scale = self.power * np.log(a)
            return (a - 1) * logs - rest * np.exp(-scale) - a * (along + n * scale) - n * gammaln(a)
        whole = along + rest + n * (a * np.log(a) - gammaln(a))
        for value, count in self.tallies:
            whole += count * gammaln(value + a)
        return np.asarray(whole)

    @cached_property
    def tallies(self) -> list[tuple[float, float]]:
        """Each value of the outcome, and how often it is there."""
        values, which = np.unique(self.y, return_inverse=True)
        return list(zip(values, np.bincount(which, self.counts), strict=True))

    def gradient(self, points: Array, shape: Array | None) -> Array:
        """Return the slope in the coefficients at points, shape (n_points, n_coefficients)."""
        out = np.zeros_like(points)
        a = np.ones(len(points)) if shape is None else shape
        by_rows = np.ascontiguousarray(points.T)
        for start in range(0, len(self.y), ROWS):
            some = self.some(slice(start, start + ROWS), self.counts[start : start + ROWS])
            eta = some.offset[:, None] + some.x @ by_rows
            out += (some.x.T @ some.across().slopes_at(eta, a)[0]).T
        return out

    def mean_slopes(self, points: Array, shape: float) -> tuple[Array, Array]:
        """Return the means over points of the two derivatives of each row, as :meth:`slopes`."""
        by_rows, found = np.ascontiguousarray(points.T), []
        for start in range(0, len(self.y), ROWS):
            some = self.some(slice(start, start + ROWS), self.counts[start : start + ROWS])
            eta = some.offset[:, None] + some.x @ by_rows
            found.append([v.mean(axis=1) for v in some.across().slopes_at(eta, shape)])
        first, second = (np.concatenate(v) for v in zip(*found, strict=True))
        return first, second

    def start(self) -> Array:
        """Return predictors near to the outcomes themselves."""
        if self.family == "logistic":
            return np.log((self.y + 0.5) / (self.trials - self.y + 0.5))
        if self.family == "probit":
            return np.asarray(ndtri((self.y + 0.5) / (self.trials + 1.0)))
        return np.log(self.y + (0.0 if self.family == "gamma" else 0.5))

    def across(self) -> Equation:
        """Return rows whose slopes are asked at several predictors each, (n_rows, n_points)."""
        parts: dict[str, Any] = {n: getattr(self, n)[:, None] for n in ("y", "trials", "counts")}
        return replace(self, **parts)

    def slopes(self, coefficients: Array, shape: float) -> tuple[Array, Array]:
        """Return the first and minus the second derivative of each row in its predictor."""
        return self.slopes_at(self.offset + self.x @ coefficients, shape)

    def shape_slopes(self, coefficients: Array, shape: float) -> tuple[float, float, Array]:
        """Return derivatives of a Negative Binomial likelihood in the logarithm of its shape.

        The first, the second, and that of the slope of each row in its predictor.
        """
        a, eta = shape, self.offset + self.x @ coefficients
        mean = np.exp(eta)
        both, off = mean + a, self.y - mean
        share = off / both
        first = -float(self.counts @ (np.log1p(mean / a) + share))
        second = float(self.counts @ ((mean / a + share) / both))
        values, counts = np.array(self.tallies).reshape(-1, 2).T
        first += float(counts @ (digamma(values + a) - digamma(a)))
        second += float(counts @ (polygamma(1, values + a) - polygamma(1, a)))
        return a * first, a**2 * second + a * first, self.counts * (a * mean * share / both)

    def slopes_at(self, eta: Array, shape: Array | float) -> tuple[Array, Array]:
        """Return the same at predictors."""
        a = shape
        if self.family == "logistic":
            p = expit(eta)
            first, second = self.y - self.trials * p, self.trials * p * (1 - p)
        elif self.family == "probit":
            ones, zeros = self.y, self.trials - self.y
            up, down = (np.sqrt(2 / np.pi) / erfcx(sign * eta / np.sqrt(2)) for sign in (-1, 1))
            first = ones * up - zeros * down
            second = ones * up * (up + eta) + zeros * down * (down - eta)
        elif self.family == "poisson":
            mean = np.exp(eta)
            first, second = self.y - mean, mean
        elif self.family == "gamma":
            size = self.y * np.exp(-eta) * a**-self.power
            first, second = size - a, size
        else:
            p = expit(eta - np.log(a))
            first, second = self.y - (self.y + a) * p, (self.y + a) * p * (1 - p)
        return self.counts * first, self.counts * second


def _log_normal(x: Array) -> Array:
    """Return the logarithm of the Normal distribution function."""
    return np.asarray(np.log(ndtr(x)) if x.min(initial=0.0) > -30 else log_ndtr(x))
