r"""Scales of one coefficient each, moved with the coefficient integrated out.

A scale :math:`h` that nothing reads but the prior of one effective coefficient
:math:`e_j \sim N(a(h), d(h)^2)`, and a prior of its own, is drawn from

.. math:: p(h \mid e_{-j}, y) \propto p(h) \int N(e_j; a, d^2)\, p(y \mid e)\, de_j, \qquad
   \log \int = -\tfrac12 \log(1 + p d^2)
   + \frac{m l + \tfrac12 l^2 d^2 - \tfrac12 p m^2}{1 + p d^2} + \text{const},

and then :math:`e_j` from its Normal distribution: one step for both [1]_. Here
:math:`m = a - r`, about the reference :math:`r` of the sums, and :math:`-\tfrac12 p u^2 + l u` is
the log-likelihood of :math:`u = e_j - r` given the other coefficients. Coefficient by coefficient:
each step reads those before.

References
----------
.. [1] J. S. Liu, The collapsed Gibbs sampler in Bayesian computations with applications to a gene
   regulation problem, *Journal of the American Statistical Association* 89(427), 1994.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import block_diag, csr_array

from bayescausal.inference.hierarchies.sparse_gaussian import kernels

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.inference.hierarchies.scale_factors import At, Factors

__all__ = ["Collapsed"]


class Collapsed:
    """The scales of a class that are moved so.

    - `reads` (n_factors, n_scales): which factor reads which scale.
    - `scales` (int): of which none shares a factor with another.

    `scales`: those of them that have one coefficient each.
    """

    def __init__(self, factors: Factors, reads: Array, scales: Array) -> None:
        self.factors, first = factors, factors.affine.effective
        pattern = factors.affine.pattern
        rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
        inside = rows < first
        # The one row that reads it, by itself; and no prior but its own.
        single = inside & (np.diff(pattern.indptr)[rows] == 1)
        for part in (inside, ~inside):
            single &= (np.bincount(factors.columns[part], minlength=factors.size) == 1)[
                factors.columns
            ]
        entry_of = dict(zip(factors.columns[single], np.flatnonzero(single), strict=True))
        own = factors.of_coefficients(reads)
        seen = reads[len(reads) - len(factors.sums) :].any(axis=0)
        found = [
            (k, residual, entry_of[factors.own[residual]])
            for k in scales
            if own[:, k].sum() == 1 and not seen[k]
            for residual in np.flatnonzero(own[:, k])
            if factors.own[residual] in entry_of
        ]
        self.scales, self.residuals, self.entries = np.array(found, dtype=int).reshape(-1, 3).T
        self.rows, self.columns = rows[self.entries], factors.columns[self.entries]
        self.priors = reads[: len(reads) - len(factors.sums) - len(factors.own), self.scales]
        self.unread = np.flatnonzero(~self.priors.any(axis=1))
        # What no move touches: other rows, and sds of other residuals.
        self.others = np.delete(
            np.arange(pattern.shape[0]), [*self.rows, *(first + self.residuals)]
        )
        self.spreads = np.delete(np.arange(len(factors.own)), self.residuals)
        self.gram = csr_array(block_diag([s.gram for s in factors.sums], format="csr"))
        self.reference = np.concatenate([s.reference for s in factors.sums])
        self.moment = np.concatenate([s.moment for s in factors.sums])
        sizes = [len(s.moment) for s in factors.sums]
        self.equation = np.repeat(np.arange(len(sizes)), sizes)

    def move(
        self, at: At, tried: At, flat: Array, rng: np.random.Generator
    ) -> tuple[Array, Array, Array]:
        """Return which point each scale takes, 0 where it stays, and its coefficients.

        - `at`: of n chains; `tried`: of t times n, all scales moved.
        - `flat` (n, n_coefficients)
        Returns (n, n_scales), the effective coefficients (n, n_scales) there, and their means, sds
        and priors (3, n, n_scales) that were taken for granted.
        """
        n = len(flat)
        with np.errstate(all="ignore"):
            there = self._given(tried, np.tile(flat, (len(tried.base) // n, 1)))
        middle, spread, prior = (
            np.concatenate([own[None], more.reshape(-1, *own.shape)])
            for own, more in zip(self._given(at, flat), there, strict=True)
        )
        usable = (prior > -1e299) & np.isfinite(middle) & np.isfinite(spread) & (spread > 0)
        noisy = np.where(usable, prior + rng.gumbel(size=prior.shape), -np.inf)
        step = self.factors.rows(at, flat)[:, : len(self.reference)] - self.reference
        push = self.moment - (self.gram @ step.T).T
        precision = 1 / at.noise[:, self.equation] ** 2
        chosen = np.zeros((n, len(self.scales)), dtype=np.int64)
        kernels().collapse(
            self.gram.indptr, self.gram.indices, self.gram.data, self.rows, middle, spread, noisy,
            precision, rng.standard_normal((n, len(self.scales))), step, push, chosen,
        )  # fmt: skip
        taken = np.stack(
            [np.take_along_axis(v, chosen[None], axis=0)[0] for v in (middle, spread, prior)]
        )
        return chosen, step[:, self.rows] + self.reference[self.rows], taken

    def _given(self, at: At, flat: Array) -> tuple[Array, Array, Array]:
        """Return mean (about the reference) and sd of the coefficients, and priors of scales."""
        entry = at.entries[:, self.entries]
        residual = self.factors.affine.effective + self.residuals
        own = flat[:, self.columns] - self.factors.rows(at, flat)[:, residual]  # its prior mean
        middle = at.base[:, self.rows] + entry * own - self.reference[self.rows]
        spread = np.abs(entry) * at.spread[:, self.residuals]
        return middle, spread, np.fmax(at.prior, -1e300) @ self.priors

    def flat(self, at: At, flat: Array, effective: Array) -> Array:
        """Return coefficients of which these are the effective ones."""
        out = flat.copy()
        out[:, self.columns] = (effective - at.base[:, self.rows]) / at.entries[:, self.entries]
        return out

    def given(self, at: At, flat: Array) -> Array:
        """Return means, sds and priors of the coefficients and scales, (3, n, n_scales)."""
        return np.stack(self._given(at, flat))

    def rest(self, at: At, flat: Array) -> Array:
        """Return all that a move leaves as it is, (n, ...)."""
        rows = self.factors.rows(at, flat)[:, self.others]
        parts = at.noise, at.spread[:, self.spreads], at.prior[:, self.unread], rows
        return np.concatenate(parts, axis=1)
