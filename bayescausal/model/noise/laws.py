"""Laws: what can be computed about a univariate distribution, and how laws are put together.

A law knows both log tails of its distribution function, ``log F(x)`` and ``log S(x)``, and the same
just below ``x``; the difference is an atom. From these alone come the quantile (by a closed form, a
compiled kernel or a search) and the noise interval of a value. Laws are combined as PyMC combines
distributions:

==============  =======================================================================
mixture         ``F = sum_i w_i F_i``, and the same for ``S``
truncation      ``F = (F_0 - F_0(a-)) / (F_0(b) - F_0(a-))`` on ``[a, b]``
censoring       the quantile of the base, clipped; atoms at the bounds
Dirac           one atom
==============  =======================================================================

so that zero-inflated, hurdle and censored families, and mixtures of anything, need nothing of their
own. A law is a value: it holds no parameters. They are passed as a flat sequence of arrays, in the
order of the law, each with `cores` trailing axes of its own beyond the batch.

When it fails: truncation to an interval of probability below 1e-300 has no digits left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy import inf
from scipy import special as sp

from bayescausal.model.noise.families.closed import NUMPY
from bayescausal.model.noise.families.continuous import (
    between,
    clamp,
    log1mexp,
    logdiffexp,
    logsumexp,
)
from bayescausal.model.noise.families.search import search_law
from bayescausal.model.noise.families.table import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array

    type Pair = tuple[Array, Array]

__all__ = ["Censored", "Dirac", "Law", "Leaf", "Mixture", "Truncated", "noise_interval"]


class Law(Protocol):
    """What a law can do. `kind` is "continuous", "integer" or "mixed"."""

    @property
    def kind(self) -> str:
        """Whether values are continuous, integers, or continuous with atoms."""

    @property
    def cores(self) -> tuple[int, ...]:
        """Number of trailing axes of each parameter that are not batch axes."""

    def tails(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return ``log P(X <= x)`` and ``log P(X > x)``."""

    def left(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return ``log P(X < x)`` and ``log P(X >= x)``."""

    def atoms(self, params: Sequence[Array]) -> list[Array]:
        """Return the values that have positive probability, for mixed laws."""

    def support(self, params: Sequence[Array]) -> tuple[Array | float, Array | float]:
        """Return the first and last value, for integer laws."""

    def bracket(self, ell: Array, params: Sequence[Array]) -> Pair | None:
        """Return values known to enclose the quantile, if there are any."""

    def quantile(self, ell: Array, params: Sequence[Array]) -> Array:
        """Return the quantile at the level ``sigmoid(ell)``."""


@dataclass(frozen=True)
class Leaf:
    """A family with tails of its own."""

    family: str

    @property
    def kind(self) -> str:
        """Whether values are continuous or integers."""
        return "continuous" if FAMILIES[self.family].support is None else "integer"

    @property
    def cores(self) -> tuple[int, ...]:
        """Trailing axes of each parameter."""
        return FAMILIES[self.family].core_ndims

    def tails(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return both log tails at x."""
        return FAMILIES[self.family].tails(np.asarray(x, float), *params)

    def left(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return both log tails just below x."""
        x = np.asarray(x, float)
        return self.tails(np.ceil(x) - 1.0 if self.kind == "integer" else x, params)

    def atoms(self, params: Sequence[Array]) -> list[Array]:
        """Return no atoms: a leaf is continuous or integer."""
        return []

    def support(self, params: Sequence[Array]) -> tuple[Array | float, Array | float]:
        """Return the first and last value of an integer family."""
        support = FAMILIES[self.family].support
        assert support is not None
        return support(*params)

    def bracket(self, ell: Array, params: Sequence[Array]) -> Pair | None:
        """Return quantiles of simpler families on both sides, where such are known."""
        known = FAMILIES[self.family].bracket
        return known(ell, *params) if known else None

    def quantile(self, ell: Array, params: Sequence[Array]) -> Array:
        """Return the quantile in closed form, by a kernel, or by search."""
        known = FAMILIES[self.family]
        if known.closed is not None:
            return known.closed(NUMPY, ell, *params)
        return known.quantile(ell, *params) if known.quantile else search_law(self, ell, params)


@dataclass(frozen=True)
class Dirac:
    """All probability at one value."""

    integer: bool

    @property
    def kind(self) -> str:
        """Integer, or mixed (an atom among real numbers)."""
        return "integer" if self.integer else "mixed"

    @property
    def cores(self) -> tuple[int, ...]:
        """One scalar parameter: where it is."""
        return (0,)

    def tails(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return both log tails at x."""
        reached = x >= params[0]
        return np.where(reached, 0.0, -inf), np.where(reached, -inf, 0.0)

    def left(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return both log tails just below x."""
        passed = x > params[0]
        return np.where(passed, 0.0, -inf), np.where(passed, -inf, 0.0)

    def atoms(self, params: Sequence[Array]) -> list[Array]:
        """Return the one value."""
        return [params[0]]

    def support(self, params: Sequence[Array]) -> tuple[Array | float, Array | float]:
        """Return the one value twice."""
        return params[0], params[0]

    def bracket(self, ell: Array, params: Sequence[Array]) -> Pair | None:
        """Return nothing: the quantile needs no search."""
        return None

    def quantile(self, ell: Array, params: Sequence[Array]) -> Array:
        """Return the one value."""
        return np.where(np.isnan(ell), np.nan, params[0])


@dataclass(frozen=True)
class Mixture:
    """A mixture of several laws, or (`stacked`) of one law along the last parameter axis.

    With `in_order` there are two parts, an atom and a law that lies above it (a hurdle), and the
    quantile is that of the second part at the level that is left.
    """

    parts: tuple[Law, ...]
    stacked: bool = False
    in_order: bool = False

    @property
    def kind(self) -> str:
        """Integer or continuous if all parts are, mixed otherwise."""
        kinds = {part.kind for part in self.parts}
        return kinds.pop() if len(kinds) == 1 else "mixed"

    @property
    def cores(self) -> tuple[int, ...]:
        """The weights, then the parameters of the parts."""
        inner = [core for part in self.parts for core in part.cores]
        return (1, *(core + self.stacked for core in inner))

    def _split(self, params: Sequence[Array]) -> list[tuple[Law, Sequence[Array]]]:
        rest: Sequence[Array] = list(params[1:])
        out: list[tuple[Law, Sequence[Array]]] = []
        for part in self.parts:
            count = len(part.cores)
            out.append((part, rest[:count]))
            rest = rest[count:]
        return out

    def _mix(self, x: Array, params: Sequence[Array], side: str) -> Pair:
        with np.errstate(divide="ignore"):
            log_w = np.log(params[0])
        x = np.asarray(x, float)
        if self.stacked:
            ((part, inner),) = self._split(params)
            log_f, log_s = getattr(part, side)(x[..., None], inner)
            return logsumexp(log_w + log_f), logsumexp(log_w + log_s)
        totals: list[Array] = []
        for j, (part, inner) in enumerate(self._split(params)):
            pairs = [log_w[..., j] + tail for tail in getattr(part, side)(x, inner)]
            totals = [np.logaddexp(*two) for two in zip(totals, pairs, strict=True)] if j else pairs
        return totals[0], totals[1]

    def tails(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return the weighted sums of the tails of the parts."""
        return self._mix(x, params, "tails")

    def left(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return the weighted sums of the tails of the parts just below x."""
        return self._mix(x, params, "left")

    def atoms(self, params: Sequence[Array]) -> list[Array]:
        """Return the atoms of all parts."""
        found = [atom for part, inner in self._split(params) for atom in part.atoms(inner)]
        if self.stacked:
            found = [atom[..., j] for atom in found for j in range(atom.shape[-1])]
        return found

    def support(self, params: Sequence[Array]) -> tuple[Array | float, Array | float]:
        """Return the widest support of the parts."""
        bounds = [part.support(inner) for part, inner in self._split(params)]
        if self.stacked:
            low, high = (np.asarray(b, float) for b in bounds[0])
            return (low.min(axis=-1) if low.ndim else low, high.max(axis=-1) if high.ndim else high)
        first, last = zip(*bounds, strict=True)
        low, high = first[0], last[0]
        for lower, upper in bounds[1:]:
            low, high = np.minimum(low, lower), np.maximum(high, upper)
        return low, high

    def bracket(self, ell: Array, params: Sequence[Array]) -> Pair | None:
        """Return the least and the largest quantile of the parts, which enclose that of all."""
        if self.stacked:
            ((part, inner),) = self._split(params)
            each = part.quantile(ell[..., None], inner)
            return each.min(axis=-1), each.max(axis=-1)
        found = [part.quantile(ell, inner) for part, inner in self._split(params)]
        return np.minimum.reduce(found), np.maximum.reduce(found)

    def quantile(self, ell: Array, params: Sequence[Array]) -> Array:
        """Return the quantile by search between those of the parts."""
        if not self.in_order:
            return search_law(self, ell, params)
        weights = params[0]
        (_, (atom,)), (part, inner) = self._split(params)
        log_s = sp.log_expit(-ell) - np.log(weights[..., 1])
        log_f = logdiffexp(sp.log_expit(ell), np.log(weights[..., 0])) - np.log(weights[..., 1])
        log_f = np.where(log_s < -1.0, log1mexp(log_s), log_f)
        value = part.quantile(np.where(log_s < 0.0, log_f - log_s, 0.0), inner)
        return np.where(np.isnan(ell), np.nan, np.where(log_s < 0.0, value, atom))


@dataclass(frozen=True)
class Truncated:
    """A law given that it lies between two bounds (the last two parameters), both included."""

    base: Law

    @property
    def kind(self) -> str:
        """As the base."""
        return self.base.kind

    @property
    def cores(self) -> tuple[int, ...]:
        """The parameters of the base, then lower and upper."""
        return (*self.base.cores, 0, 0)

    def _condition(self, inside: Pair, params: Sequence[Array]) -> Pair:
        *inner, lower, upper = params
        start = self.base.left(lower, inner)
        end = self.base.tails(upper, inner)
        whole = between(start, end)
        return between(start, inside) - whole, between(inside, end) - whole

    def tails(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return both log tails at x."""
        lower, upper = params[-2], params[-1]
        x = np.asarray(x, float)
        two = self._condition(self.base.tails(np.clip(x, lower, upper), params[:-2]), params)
        return clamp(x < lower, x >= upper, two)

    def left(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return both log tails just below x."""
        lower, upper = params[-2], params[-1]
        x = np.asarray(x, float)
        two = self._condition(self.base.left(np.clip(x, lower, upper), params[:-2]), params)
        return clamp(x <= lower, x > upper, two)

    def atoms(self, params: Sequence[Array]) -> list[Array]:
        """Return the atoms of the base."""
        return self.base.atoms(params[:-2])

    def support(self, params: Sequence[Array]) -> tuple[Array | float, Array | float]:
        """Return the support of the base within the bounds."""
        first, last = self.base.support(params[:-2])
        return np.maximum(first, np.ceil(params[-2])), np.minimum(last, np.floor(params[-1]))

    def bracket(self, ell: Array, params: Sequence[Array]) -> Pair | None:
        """Return nothing: the quantile needs no search."""
        return None

    def quantile(self, ell: Array, params: Sequence[Array]) -> Array:
        """Return the base's quantile at the level moved between those of the bounds."""
        *inner, lower, upper = params
        start, end = self.base.left(lower, inner), self.base.tails(upper, inner)
        whole = between(start, end)
        log_f = np.logaddexp(start[0], sp.log_expit(ell) + whole)
        log_s = np.logaddexp(end[1], sp.log_expit(-ell) + whole)
        return np.clip(self.base.quantile(log_f - log_s, inner), lower, upper)


@dataclass(frozen=True)
class Censored:
    """A law moved to the nearer of two bounds (the last two parameters) when it lies outside."""

    base: Law

    @property
    def kind(self) -> str:
        """Integer stays integer; continuous gets atoms at the bounds."""
        return "integer" if self.base.kind == "integer" else "mixed"

    @property
    def cores(self) -> tuple[int, ...]:
        """The parameters of the base, then lower and upper."""
        return (*self.base.cores, 0, 0)

    def tails(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return both log tails at x."""
        return clamp(x < params[-2], x >= params[-1], self.base.tails(x, params[:-2]))

    def left(self, x: Array, params: Sequence[Array]) -> Pair:
        """Return both log tails just below x."""
        return clamp(x <= params[-2], x > params[-1], self.base.left(x, params[:-2]))

    def atoms(self, params: Sequence[Array]) -> list[Array]:
        """Return the bounds and the atoms of the base."""
        return [params[-2], params[-1], *self.base.atoms(params[:-2])]

    def support(self, params: Sequence[Array]) -> tuple[Array | float, Array | float]:
        """Return the support of the base within the bounds."""
        first, last = self.base.support(params[:-2])
        return np.maximum(first, params[-2]), np.minimum(last, params[-1])

    def bracket(self, ell: Array, params: Sequence[Array]) -> Pair | None:
        """Return nothing: the quantile needs no search."""
        return None

    def quantile(self, ell: Array, params: Sequence[Array]) -> Array:
        """Return the quantile of the base, clipped."""
        return np.clip(self.base.quantile(ell, params[:-2]), params[-2], params[-1])


# ------------------------------------------------------------------------- what laws give


def noise_interval(law: Law, x: Array, params: Sequence[Array], *, possible: bool = True) -> Pair:
    """Return the logistic noise ``(lo, hi]`` that gives the value x; ``lo == hi`` off the atoms.

    Where the value must be `possible`, one without probability under an integer law gives NaN.
    """
    log_f, log_s = law.tails(x, params)
    hi = log_f - log_s
    if law.kind == "continuous":
        return hi, hi
    log_f, log_s = law.left(x, params)
    lo = log_f - log_s
    if law.kind == "integer" and possible:
        empty = ~(lo < hi) | (np.floor(x) != x)
        return np.where(empty, np.nan, lo), np.where(empty, np.nan, hi)
    return lo, hi
