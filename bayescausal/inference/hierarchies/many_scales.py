r"""Coefficients with a scale of their own each: draws by blocked Gibbs steps.

Where a block has many scales (a horseshoe has one for each column), its density in the scales
:math:`h` is no longer drawn at once. What is used instead is that each effective coefficient reads
one coefficient, so that

.. math:: e_k \mid h \sim N(\mu_k(h), D_k(h)^2), \qquad y \mid e, h \sim N(o + X e, \sigma(h)^2),

centred or not: for :math:`e_k = z_k \tau \lambda_k` with a standard normal :math:`z_k`,
:math:`D_k = \tau \lambda_k`. One round [1]_, [2]_ is

1. the *shared* scales (:math:`\tau`, :math:`\sigma`: those that many terms read) by Metropolis
   steps on the density from which all coefficients are integrated out, then the coefficients from
   their exact conditional, both on :math:`X'X, X'y, y'y`;
2. the other scales given the coefficients: they fall into classes whose members share no term of
   the density, and those of a class are moved all at once, each to one of several proposals [3]_.

Each step leaves the density exactly invariant. Step sizes are fitted in rounds that are left out.
Which scale each term reads is found by moving one scale at a time. Several chains run side by side;
where they do not agree there are no draws.

References
----------
.. [1] E. Makalic and D. F. Schmidt, "A simple sampler for the horseshoe estimator", IEEE Signal
   Processing Letters 23(1), 2016.
.. [2] D. A. van Dyk and T. Park, "Partially collapsed Gibbs samplers", Journal of the American
   Statistical Association 103, 2008.
.. [3] H. Tjelmeland, "Using all Metropolis-Hastings proposals to estimate mean values", Preprint
   Statistics 4/2004, NTNU Trondheim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse import csr_array

from bayescausal.draws.diagnostics import diagnose
from bayescausal.inference.hierarchies.affine_map import affine_map
from bayescausal.inference.hierarchies.parts import NORMAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.hierarchies.coefficients import CoefficientStatistics
    from bayescausal.inference.hierarchies.parts import Hierarchy
    from bayescausal.inference.hierarchies.scale_map import ScaleMap

__all__ = ["draw_many_scales"]

#: Coefficients, and scales that many terms read, of which there may be.
MOST, SHARED = 500, 12
#: Terms of the density from which a scale counts as shared.
MANY = 4
#: Chains, rounds of each that are left out, and at least so many that are thinned to the draws.
CHAINS, WARM, ROUNDS = 4, 800, 3_000
#: Metropolis steps of the shared scales in a round; proposals for each of the others.
STEPS, PROPOSALS = 1, 15
#: Rounds after which the shape of steps is fitted anew.
LEARN = (100, 200, 400, 700)
#: Share of steps that is to be accepted.
WANTED = 0.3
#: Largest split R-hat of a scale's logarithm.
R_HAT = 1.05


def draw_many_scales(
    hierarchy: Hierarchy, statistics: CoefficientStatistics, size: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Return draws of all unknowns, chain after chain.

    Raises ArithmeticError if the block has another form, or the chains do not agree.
    """
    work = _Gibbs(hierarchy, statistics)
    state = work.start(rng)
    length = -(-size // CHAINS)
    steps = _Steps(work, rng)
    points = np.empty((CHAINS, length, work.made.dimension))
    effective = np.empty((CHAINS, length, work.size))
    for k in range(WARM):
        state = steps.round(state, learn=k + 1)
    thin = max(ROUNDS // length, 1)
    for k in range(length):
        for _ in range(thin):
            state = steps.round(state)
        points[:, k], effective[:, k] = state.points, state.effective
    r_hat = diagnose(np.moveaxis(points, 2, 0))["r_hat"]
    if length >= 100 and not np.nanmax(r_hat) < R_HAT:
        raise ArithmeticError(f"chains of its scales do not agree (r_hat {np.nanmax(r_hat):.2f})")
    whole = points.reshape(-1, points.shape[2])[:size]
    flat = work.coefficients(whole, effective.reshape(-1, work.size)[:size])
    work.affine.verify(work.made, whole[:3], flat[:3])
    return work.made.back(whole, flat) | work.made.values(whole)


class _Terms(NamedTuple):
    """The density at some points: of each scale, and what the coefficients and rows read of it."""

    prior: Array  # (n, n_terms)
    mean: Array  # (n, n_effective)
    sd: Array
    noise: Array  # (n, n_equations)


@dataclass(frozen=True)
class _State:
    points: Array  # (chain, scale)
    effective: Array  # (chain, n_effective)
    terms: _Terms


class _Gibbs:
    """A block whose effective coefficients read one coefficient each."""

    def __init__(self, hierarchy: Hierarchy, statistics: CoefficientStatistics) -> None:
        self.made: ScaleMap = hierarchy.map.at(statistics.given)
        self.priors = hierarchy.priors
        if any(p.family != NORMAL for p in self.priors):
            raise ArithmeticError("a prior of its coefficients is not Normal")
        self.affine = affine_map(self.made, hierarchy.shapes)
        self.sums = [s.about(s.fitted()) for s in statistics.sums]
        self.size = self.affine.effective
        if self.size > MOST:
            raise ArithmeticError(f"it has {self.size} coefficients with {MOST} scales or fewer")
        self._read_pattern()
        self.reference = np.concatenate([s.reference for s in self.sums])
        self.moment = np.concatenate([s.moment for s in self.sums])
        lengths = [len(s.moment) for s in self.sums]
        self.equation = np.repeat(np.arange(len(self.sums)), lengths)
        self.grams = np.zeros((len(self.sums), self.size, self.size))
        for k, (own, start) in enumerate(
            zip(self.sums, np.cumsum([0, *lengths[:-1]]), strict=True)
        ):
            inside = slice(start, start + lengths[k])
            self.grams[k, inside, inside] = own.gram.toarray()
        self.squares = np.array([s.square for s in self.sums])
        self.counts = np.array([s.count for s in self.sums])

    def _read_pattern(self) -> None:
        """Find which coefficient each effective one reads; refuse where it is not one for one."""
        pattern, count = self.affine.pattern, self.affine.effective
        lengths = np.diff(pattern.indptr)
        own = pattern.indices[: pattern.indptr[count]]
        if np.any(lengths != 1) or len(own) != pattern.shape[1] or len(np.unique(own)) < len(own):
            raise ArithmeticError("its effective coefficients read several coefficients each")
        self.own = own  # the coefficient of each effective one
        residual = np.empty(pattern.shape[1], dtype=np.int64)
        residual[pattern.indices[pattern.indptr[count] :]] = np.arange(count, pattern.shape[0])
        self.residual = residual[own]  # its row among the residuals of the priors

    def _slopes(self, points: Array) -> tuple[Array, Array, Array]:
        """Return slope and constant of effective coefficients, and the mean of what each reads."""
        n = len(points)
        entries, base = (
            np.broadcast_to(v, (n, v.shape[1])) for v in self.affine(self.made, points)
        )
        return entries[:, : self.size], base[:, : self.size], -base[:, self.residual]

    def terms(self, points: Array) -> _Terms:
        """Return what the density is made of."""
        n = len(points)
        scales = self.made.each(points)
        slope, constant, mean = self._slopes(points)
        spreads = []
        for prior, spread in zip(self.priors, scales.spreads, strict=True):
            assert spread is not None
            if prior.which is not None:
                wide = spread.reshape(n, -1)[:, prior.which.reshape(-1)]
            elif prior.shared:
                wide = np.repeat(spread.reshape(n, 1), prior.size, axis=1)
            else:
                wide = np.broadcast_to(spread, (n, *prior.shape)).reshape(n, -1)
            spreads.append(wide)
        sd = np.concatenate(spreads, axis=1)[:, self.own]
        noise = np.ones((n, len(self.sums)))
        for k, sigma in enumerate(scales.sigmas):
            if sigma is not None:
                noise[:, k] = sigma
        return _Terms(scales.log_prior, constant + slope * mean, np.abs(slope) * sd, noise)

    def factors(self, terms: _Terms, effective: Array, squares: Array) -> Array:
        """Return the terms of the log-density given the coefficients, (n, n_factors)."""
        with np.errstate(all="ignore"):
            own = -np.log(terms.sd) - 0.5 * ((effective - terms.mean) / terms.sd) ** 2
            rows = -self.counts * np.log(terms.noise) - 0.5 * squares / terms.noise**2
        found = np.concatenate([terms.prior, own, rows], axis=1)
        return np.where(np.isnan(found), -np.inf, found)

    def picked(self, which: Array, old: _Terms, new: _Terms) -> _Terms:
        """Return the terms that were chosen, (n, n_factors): 0 for the old ones."""
        first, last = old.prior.shape[1], old.prior.shape[1] + self.size
        parts = (which[:, :first], which[:, first:last], which[:, first:last], which[:, last:])
        out = []
        for at, before, after in zip(parts, old, new, strict=True):
            every = np.concatenate(
                [before[:, None], after.reshape(len(before), -1, before.shape[1])], axis=1
            )
            out.append(np.take_along_axis(every, at[:, None], axis=1)[:, 0])
        return _Terms(*out)

    def residual_squares(self, effective: Array) -> Array:
        """Return the sum of squares of each equation, (n, n_equations)."""
        step = effective - self.reference
        out = np.tile(self.squares, (len(step), 1))
        for k, gram in enumerate(self.grams):
            inside = self.equation == k
            own = step[:, inside]
            out[:, k] += np.einsum("ni,ij,nj->n", own, gram[np.ix_(inside, inside)], own)
            out[:, k] -= 2 * own @ self.moment[inside]
        return np.maximum(out, 0.0)

    def collapsed(self, terms: _Terms) -> tuple[Array, Array, Array]:
        """Return the log-density without the coefficients, and the factor and mean of these."""
        with np.errstate(all="ignore"):
            weight = 1.0 / terms.noise**2
            own = 1.0 / terms.sd**2
            prior = terms.mean - self.reference
            right = weight[:, self.equation] * self.moment + own * prior
            precision = np.einsum("ne,eij->nij", weight, self.grams)
            height = terms.prior.sum(axis=1) - np.log(terms.sd).sum(axis=1)
            height -= np.log(terms.noise) @ self.counts
            height -= 0.5 * (weight @ self.squares + (own * prior**2).sum(axis=1))
        places = np.arange(self.size)
        precision[:, places, places] += own
        good = np.isfinite(precision).all(axis=(1, 2)) & np.isfinite(right).all(axis=1)
        good &= np.isfinite(height)
        precision[~good], right[~good] = np.eye(self.size), 0.0
        factor = np.linalg.cholesky(precision)
        half = np.stack([_solved(a, b) for a, b in zip(factor, right, strict=True)])
        height += 0.5 * (half**2).sum(axis=1)
        height -= np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        return np.where(good, height, -np.inf), factor, half

    def drawn(self, factor: Array, half: Array, rng: np.random.Generator) -> Array:
        """Return effective coefficients given the scales."""
        noise = half + rng.standard_normal(half.shape)
        back = [_solved(a, b, trans=1) for a, b in zip(factor, noise, strict=True)]
        return self.reference + np.stack(back)

    def coefficients(self, points: Array, effective: Array) -> Array:
        """Return the coefficients that the effective ones read."""
        flat = np.empty_like(effective)
        for start in range(0, len(points), 1_000):
            inside = slice(start, start + 1_000)
            slope, constant, _ = self._slopes(points[inside])
            flat[inside, self.own] = (effective[inside] - constant) / slope
        return flat

    def start(self, rng: np.random.Generator) -> _State:
        """Return likely points."""
        points = self.made.starts
        height = np.concatenate([self.collapsed(self.terms(p[None]))[0] for p in points])
        if not np.isfinite(height).any():
            raise ArithmeticError("no start for its scales lies where there is density")
        best = points[np.argsort(-height)[:CHAINS]]
        best = best[np.arange(CHAINS) % len(best)]
        terms = self.terms(best)
        height, factor, half = self.collapsed(terms)
        if not np.isfinite(height).all():
            raise ArithmeticError("few starts for its scales lie where there is density")
        return _State(best, self.drawn(factor, half, rng), terms)


class _Steps:
    """Metropolis steps, and what they learn in the rounds that are left out."""

    def __init__(self, work: _Gibbs, rng: np.random.Generator) -> None:
        self.work, self.rng = work, rng
        reads = _reads(work)
        counts = reads[work.terms(work.made.starts[:1]).prior.shape[1] :].sum(axis=0)
        noise = reads[-len(work.sums) :].any(axis=0)
        self.shared = np.flatnonzero((counts >= MANY) | noise | (counts == 0))
        if len(self.shared) > SHARED:
            raise ArithmeticError(f"{len(self.shared)} of its scales are read by many terms")
        rest = np.setdiff1d(np.arange(reads.shape[1]), self.shared)
        self.classes = [
            (own, csr_array(reads[:, own].astype(float)), _owner(reads[:, own]))
            for own in _classes(reads, rest)
        ]
        self.size = 0.3
        self.factor = np.eye(len(self.shared))
        self.seen: list[Array] = []
        self.widths = np.ones(reads.shape[1])

    def round(self, state: _State, learn: int = 0) -> _State:
        """Return the state after a round; `learn` counts those that are left out."""
        state = self._shared(state, learn)
        squares = self.work.residual_squares(state.effective)
        for each in self.classes:
            state = self._others(state, squares, *each)
        if learn:
            self._learn(state.points, learn)
        return state

    def _learn(self, points: Array, learn: int) -> None:
        """Fit the sizes and the shape of steps to where the chains have been."""
        self.seen.append(points)
        if learn not in LEARN:
            return
        late = np.concatenate(self.seen[len(self.seen) // 2 :])
        self.widths = np.maximum(late.std(axis=0), 0.05)
        own = self.shared
        if len(own):
            spread = np.cov(late[:, own].T).reshape(len(own), len(own))
            self.factor = np.linalg.cholesky(spread + 1e-6 * np.eye(len(own)))
            self.size = 2.4 / np.sqrt(len(own))

    def _shared(self, state: _State, learn: int) -> _State:
        """Move the shared scales without the coefficients, and draw these given all scales."""
        work, rng, own = self.work, self.rng, self.shared
        points, terms = state.points, state.terms
        height, factor, half = work.collapsed(terms)
        for _ in range(STEPS if len(own) else 0):
            proposal = points.copy()
            step = rng.standard_normal((len(points), len(own))) @ self.factor.T
            proposal[:, own] += self.size * step
            new = work.terms(proposal)
            level, *rest = work.collapsed(new)
            taken = np.log(rng.random(len(points))) < level - height
            points = np.where(taken[:, None], proposal, points)
            terms = _Terms(*(_chosen(taken, a, b) for a, b in zip(new, terms, strict=True)))
            height = np.where(taken, level, height)
            factor, half = (_chosen(taken, a, b) for a, b in zip(rest, (factor, half), strict=True))
            if learn:
                self.size *= np.exp((taken.mean() - WANTED) / np.sqrt(learn))
        return _State(points, work.drawn(factor, half, rng), terms)

    def _others(
        self, state: _State, squares: Array, own: Array, reads: csr_array, owner: Array
    ) -> _State:
        """Move the scales of one class, given the coefficients.

        About a point that is drawn about the present one, others are drawn alike; which of them is
        the next is drawn by its density.
        """
        work, rng = self.work, self.rng
        chains, count, width = len(state.points), len(own), self.widths[own]
        now = state.points[:, own]
        centre = now + width * rng.standard_normal(now.shape)
        others = centre[:, None] + width * rng.standard_normal((chains, PROPOSALS, count))
        points = np.repeat(state.points[:, None], PROPOSALS, axis=1)
        points[..., own] = others
        new = work.terms(points.reshape(chains * PROPOSALS, -1))
        effective, rows = (np.repeat(v, PROPOSALS, axis=0) for v in (state.effective, squares))
        level = work.factors(new, effective, rows) @ reads
        held = work.factors(state.terms, state.effective, squares) @ reads
        level = np.concatenate([held[:, None], level.reshape(chains, PROPOSALS, count)], axis=1)
        at = np.argmax(level + rng.gumbel(size=level.shape), axis=1)
        moved = state.points.copy()
        every = np.concatenate([now[:, None], others], axis=1)
        moved[:, own] = np.take_along_axis(every, at[:, None], axis=1)[:, 0]
        which = np.where(owner >= 0, at[:, owner], 0)  # of each term, whose scale it reads
        return _State(moved, state.effective, work.picked(which, state.terms, new))


def _solved(factor: Array, right: Array, trans: int = 0) -> Array:
    return solve_triangular(factor, right, trans=trans, lower=True, check_finite=False)


def _chosen(taken: Array, new: Array, old: Array) -> Array:
    return np.where(taken.reshape(-1, *(1,) * (new.ndim - 1)), new, old)


def _reads(work: _Gibbs) -> Array:
    """Return which scale each term of the density reads, (n_factors, n_scales)."""
    size = work.made.dimension
    found = None
    for point in work.made.starts[[0, len(work.made.starts) - 1]]:
        moved = np.concatenate([point[None], point + 0.37 * np.eye(size)])
        prior, mean, sd, noise = work.terms(moved)
        differ = [np.nan_to_num(v[1:]) != np.nan_to_num(v[:1]) for v in (prior, mean, sd, noise)]
        own = np.concatenate([differ[0], differ[1] | differ[2], differ[3]], axis=1).T
        found = own if found is None else found | own
    assert found is not None
    return found


def _owner(reads: Array) -> Array:
    """Return which of some scales each term reads; -1 for none."""
    return np.where(reads.any(axis=1), reads.argmax(axis=1), -1)


def _classes(reads: Array, scales: Sequence[int] | Array) -> list[Array]:
    """Return classes of scales of which no two are read by the same term."""
    classes: list[tuple[list[int], Array]] = []
    for scale in scales:
        own = reads[:, scale]
        for members, taken in classes:
            if not (taken & own).any():
                members.append(int(scale))
                taken |= own
                break
        else:
            classes.append(([int(scale)], own.copy()))
    return [np.array(members) for members, _ in classes]
