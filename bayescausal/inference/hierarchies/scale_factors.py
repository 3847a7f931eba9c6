r"""The factors of a posterior of scales and coefficients, and which of them reads which scale.

Coefficients :math:`c` are read by the equations as *effective* ones, :math:`e = e_0(h) + E(h) c`. A
factor is the prior of a scale, the prior of a coefficient given the scales, or the rows of an
equation given the effective coefficients and the noise. What a factor says of the scales depends on
what is held while these move: the effective coefficients, or the *standardised* ones,
:math:`(c_j - m_j) / s_j`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.sparse import csr_array

from bayescausal.inference.hierarchies.parts import FLAT, VECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.hierarchies.affine_map import AffineMap
    from bayescausal.inference.hierarchies.parts import Hierarchy
    from bayescausal.inference.hierarchies.scale_map import ScaleMap

__all__ = ["At", "Factors", "Posterior"]

#: Entries in a column of the sums from which on these are held as a dense array.
FILLED = 30


class _Sums(Protocol):
    @property
    def reference(self) -> Array: ...
    @property
    def count(self) -> float: ...
    @property
    def gram(self) -> csr_array: ...
    @property
    def moment(self) -> Array: ...
    @property
    def square(self) -> float: ...


class Posterior(Protocol):
    """A block with its sums: :class:`.coefficients.GaussianPosterior`."""

    hierarchy: Hierarchy
    map: ScaleMap
    affine: AffineMap

    @property
    def sums(self) -> Sequence[_Sums]:
        """Those of each equation."""

    def coefficients(self, points: Array, rng: np.random.Generator) -> Array:
        """Return coefficients given scales."""


@dataclass(frozen=True, eq=False)
class At:
    """What scales determine, of n chains."""

    prior: Array  # (n, ...) Log-densities of the scales
    noise: Array  # (n, n_equations)
    spread: Array  # (n, n_residuals) Prior sds
    entries: Array  # (n, n_entries) Of J
    base: Array  # (n, n_rows)

    def taken(self, others: At, chosen: Array) -> At:
        """Return of each chain this (0), or one of the others, of which there are t times n."""
        n = len(chosen)
        pairs = ((getattr(v, f.name) for v in (self, others)) for f in fields(self))
        return At(*(np.concatenate([a, b])[chosen * n + np.arange(n)] for a, b in pairs))


class Factors:
    """The factors of the posterior: of scales, coefficients and equations."""

    def __init__(self, posterior: Posterior) -> None:
        self.posterior = posterior
        self.map, self.affine, self.sums = posterior.map, posterior.affine, posterior.sums
        self.grams = [s.gram.toarray() if s.gram.nnz > FILLED * s.gram.shape[0] else s.gram
                      for s in self.sums]  # fmt: skip
        self.priors = [p for p in posterior.hierarchy.priors if p.family != FLAT]
        if any(p.family in VECTOR for p in self.priors):
            raise ArithmeticError("it has many scales beside correlated coefficients")
        pattern, first = self.affine.pattern, self.affine.effective
        self.columns, starts = pattern.indices, pattern.indptr
        self.size = pattern.shape[1]
        entries = np.arange(pattern.nnz)
        self.incidence = csr_array(
            (np.ones(pattern.nnz), (self.columns, entries)), shape=(self.size, pattern.nnz)
        )
        self.none = np.zeros(self.size, dtype=bool)
        width = np.diff(starts)
        self.filled = np.flatnonzero(width)
        self.starts = starts[:-1][self.filled]
        rows = np.repeat(np.arange(len(width)), width)
        # residual i is that of coefficient own[i]
        self.own = self.columns[self.affine.fixed == 1.0]
        apart = np.bincount(self.columns[rows >= first], minlength=pattern.shape[1]) == 1
        moving = np.zeros(len(width), dtype=bool)
        moving[self.affine.moving] = True
        single = (rows < first) & (width[rows] == 1)
        once = np.bincount(self.columns[rows < first], minlength=pattern.shape[1]) == 1
        chosen = single & moving[rows] & (once & apart)[self.columns]
        # what is held where the effective coefficients are: entries, rows and columns
        self.carried = np.flatnonzero(chosen), rows[chosen], self.columns[chosen]
        # and where the standardised ones are: residuals and columns
        alone = (width[first:] == 1) & apart[self.own]
        self.standard = np.flatnonzero(alone), self.own[alone]

    def at(self, points: Array) -> At:
        n = len(points)
        scales = self.map.scales(points)
        noise = np.ones((n, len(self.sums)))
        for k, sigma in enumerate(scales.sigmas):
            if sigma is not None:
                noise[:, k] = sigma
        known = (s for s in scales.spreads if s is not None)
        spreads = [np.zeros((n, 0))]
        for prior, spread in zip(self.priors, known, strict=True):
            if prior.which is not None:
                spreads.append(spread.reshape(n, -1)[:, prior.which.reshape(-1)])
            elif prior.shared:
                spreads.append(np.repeat(spread.reshape(n, 1), prior.size, axis=1))
            else:
                spreads.append(np.broadcast_to(spread, (n, *prior.shape)).reshape(n, -1))
        entries, base = (np.broadcast_to(v, (n, v.shape[1])) for v in self.affine(self.map, points))
        return At(scales.terms, noise, np.concatenate(spreads, axis=1), entries, base)

    def rows(self, at: At, flat: Array) -> Array:
        """Return effective coefficients and residuals."""
        out = at.base.copy()
        moved = at.entries * flat[:, self.columns]
        out[:, self.filled] += np.add.reduceat(moved, self.starts, axis=1)
        return out

    def standardised(self, weak: Array) -> Array:
        """Return of each coefficient whether it is held standardised: the weak that can be.

        `weak` (bool): of each coefficient with a prior.
        """
        out = self.none.copy()
        out[self.standard[1]] = weak[self.standard[0]]
        return out

    def holding(self, at: At, flat: Array, standard: Array) -> Callable[[At], Array]:
        """Return a function from other scales to the coefficients that leave something as it is.

        The standardised coefficients of `standard` (bool, a coefficient each), and of the others
        the effective ones.
        """
        entry, row, column = (v[~standard[self.carried[2]]] for v in self.carried)
        residual, own = (v[standard[self.standard[1]]] for v in self.standard)
        z = (flat[:, own] + at.base[:, self.affine.effective + residual]) / at.spread[:, residual]
        effective = at.base[:, row] + at.entries[:, entry] * flat[:, column]

        def back(new: At) -> Array:
            times = len(new.base) // len(flat)
            out = np.tile(flat, (times, 1))
            moved = np.tile(effective, (times, 1)) - new.base[:, row]
            out[:, column] = moved / new.entries[:, entry]
            moved = new.spread[:, residual] * np.tile(z, (times, 1))
            out[:, own] = moved - new.base[:, self.affine.effective + residual]
            return out

        return back

    def terms(self, at: At, flat: Array, standard: Array) -> Array:
        """Return the log-factors, (n, n_factors), of what is free where something is held."""
        rows = self.rows(at, flat)
        first = self.affine.effective
        own = -0.5 * (rows[:, first:] / at.spread) ** 2 - np.log(at.spread)
        entry, _, column = self.carried
        volume = np.zeros((len(rows), flat.shape[1]))
        volume[:, column] = np.log(np.abs(at.entries[:, entry]))
        own -= volume[:, self.own]
        own[:, self.standard[0][standard[self.standard[1]]]] = 0.0
        seen, start = [], 0
        for k, sums in enumerate(self.sums):
            stop = start + len(sums.moment)
            step = rows[:, start:stop] - sums.reference
            push = (self.grams[k] @ step.T).T - 2 * sums.moment
            square = sums.square + (step * push).sum(axis=1)
            start, sd = stop, at.noise[:, k]
            seen.append(-sums.count * np.log(sd) - 0.5 * square / sd**2)
        out = np.concatenate([at.prior, own, np.stack(seen, axis=1)], axis=1)
        return np.where(np.isnan(out), -np.inf, out)

    def reads(self) -> Array:
        """Return which factor reads which scale, (n_factors, n_scales), by moving each."""
        size, rng = self.map.dimension, np.random.default_rng(5)
        found = np.zeros((0, size), dtype=bool)
        for point in self.map.starts[[0, 1, len(self.map.starts) - 1]]:
            flat = rng.standard_normal((1, self.size))
            steps = np.concatenate([np.zeros((1, size)), np.diag(rng.uniform(0.2, 0.6, size))])
            now, moved = self.at(point[None]), self.at(point + steps)
            value = self.terms(moved, self.holding(now, flat, self.none)(moved), self.none)
            with np.errstate(invalid="ignore"):
                far = np.abs(value[1:] - value[:1]) > 1e-9 * (1 + np.abs(value[:1]))
            far |= np.isfinite(value[1:]) != np.isfinite(value[:1])
            found = far.T | (found if len(found) else False)
        return found

    def of_coefficients(self, reads: Array) -> Array:
        """Return the part of `reads` that is about the priors of coefficients."""
        stop = len(reads) - len(self.sums)
        return reads[stop - len(self.own) : stop]

    def weak(self, at: At) -> Array:
        """Return the coefficients about which their priors say more than the equations, (n, ...).

        Each by itself: what others tell of it is left out.
        """
        diagonal = np.zeros(self.affine.pattern.shape[0])
        which = np.zeros(len(diagonal), dtype=int)
        start = 0
        for k, sums in enumerate(self.sums):
            stop = start + len(sums.moment)
            diagonal[start:stop], which[start:stop] = sums.gram.diagonal(), k
            start = stop
        rows = self.affine.pattern.tocoo().row
        precision = at.entries**2 * diagonal[rows] / at.noise[:, which[rows]] ** 2
        total = (self.incidence @ precision.T).T
        return total[:, self.own] * at.spread**2 < 1.0
