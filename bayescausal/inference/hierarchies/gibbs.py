r"""Many scales beside coefficients: a Gibbs sampler on the sums over rows.

A scale for each coefficient (a horseshoe [1]_, a penalty for each of many curves, many groupings)
is too many unknowns for a proposal that covers them all. A sweep has three steps, each of which
leaves the posterior exactly invariant:

1. the coefficients :math:`c` given the scales, from their Normal distribution;
2. the scales given the *effective* coefficients (what the equations read, centred or not): here

   .. math:: p(h \mid e, y) \propto p(h) \prod_j N(e_j; a_j(h), d_j(h)^2) \prod_k p(y_k \mid e, h)

   falls into factors of which most read one or two scales. Scales that share no factor are moved at
   once, by each to one of ten points [3]_; those of one coefficient each with it integrated out
   (:mod:`.collapsed`);
3. the scales of several coefficients again, given the *standardised* ones :math:`(c_j - m_j) / s_j`
   [2]_: the two parametrisations mix where the other does not.

Which factor reads which scale is found by moving each. The steps are tuned in the warm-up. Four
chains run at once; if they have not mixed, they run on, each time twice as far.

References
----------
.. [1] C. M. Carvalho, N. G. Polson and J. G. Scott, The horseshoe estimator for sparse signals,
   *Biometrika* 97(2), 2010.
.. [2] Y. Yu and X.-L. Meng, To center or not to center: that is not the question, *Journal of
   Computational and Graphical Statistics* 20(3), 2011.
.. [3] H. Tjelmeland, Using all Metropolis-Hastings proposals to estimate mean values, preprint,
   Norwegian University of Science and Technology, 2004.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.draws.diagnostics import diagnose
from bayescausal.inference.hierarchies.collapsed import Collapsed
from bayescausal.inference.hierarchies.scale_factors import Factors

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array
    from bayescausal.inference.hierarchies.scale_factors import At, Posterior

__all__ = ["CHAINS", "SHORTEST", "draw_by_gibbs", "run_until_mixed"]

#: Chains, sweeps of the warm-up, points that are tried in a move.
CHAINS, WARM, TRIED = 4, 400, 10
#: Draws of a chain that are made at least, to see whether they mix; fewer are picked from them.
SHORTEST = 100
#: Chains that have not mixed run on, up to so many times as far.
LONGEST = 8
#: The worst r_hat and the least effective sample size at which they stop, and what is too bad.
RHAT, LEAST, SEVERE = 1.015, 400.0, 1.05
#: How often one stays where one is, at which tuning aims.
AIM = 0.25
#: A scale that so many coefficients read is moved given the standardised ones too.
SEVERAL = 3
#: How often these are moved in a sweep: of all scales they mix least.
AGAIN = 2


def draw_by_gibbs(posterior: Posterior, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return draws of unconstrained scales and of coefficients, chain after chain.

    - `posterior`: of a block, with its sums.
    - `size`: how many draws.
    Returns points (size, n_scales) and coefficients (size, n_coefficients).
    Raises ArithmeticError if the block has not this form, or its chains do not mix.
    """
    chain = _Chain(Factors(posterior), rng)
    for sweep in range(WARM):
        chain.sweep(tuning=(sweep + 1) ** -0.6)
    wanted = -(-size // CHAINS)
    length = max(wanted, SHORTEST)
    points, flat = run_until_mixed(chain.run, length)
    some = np.linspace(0, length - 1, wanted).astype(int)
    points, flat = (v[:, some].reshape(-1, v.shape[2])[:size] for v in (points, flat))
    return points, flat


def run_until_mixed(
    run: Callable[[int, int], tuple[Array, Array]],
    length: int,
    *,
    enough: float = LEAST,
    share: float = 0.2,
    floor: float = 0.0,
    longest: int = LONGEST,
) -> tuple[Array, Array]:
    """Return the draws of chains that run on, each time twice as far, until they have mixed.

    - `run`: from a length and a thinning to two arrays of the next draws, (chain, draw, ...);
      mixing is looked at in the first.
    - `enough`, `share`: effective draws, and of all draws the share, at which they stop.
    - `floor`: the share of effective draws that is too small at the end.
    - `longest`: how many times as far they run at most.
    Raises ArithmeticError if they do not mix.
    """
    first, second = run(length, 1)
    thin = 1
    while True:
        found = diagnose(np.moveaxis(first, 2, 0))
        worst = float(np.fmax.reduce(found["r_hat"]))
        least = float(np.fmin.reduce(found["ess_bulk"]))
        if worst < RHAT and least > min(enough, share * CHAINS * length):
            return first, second
        if least * longest / thin < floor * CHAINS * length:
            raise ArithmeticError(f"its chains mix slowly: {least:.0f} effective draws")
        if thin >= longest:
            if worst < SEVERE and least > floor * CHAINS * length:
                return first, second
            raise ArithmeticError(f"its chains do not mix: r_hat {worst:.2f}")
        thin *= 2
        more = run(length - length // 2, thin)
        kept = (v[:, 1::2] for v in (first, second))
        first, second = (np.concatenate(v, axis=1) for v in zip(kept, more, strict=True))


class _Chain:
    """Several chains that run at once."""

    def __init__(self, factors: Factors, rng: np.random.Generator) -> None:
        self.factors, self.rng = factors, rng
        which = rng.choice(len(factors.map.starts) // 2, CHAINS, replace=False)
        self.points = factors.map.starts[which]
        self.flat = factors.posterior.coefficients(self.points, rng)
        self.at = factors.at(self.points)
        reads = factors.reads()
        self.reads, self.classes = reads.astype(float), _classes(reads)
        self.collapsed = [Collapsed(factors, reads, scales) for scales in self.classes]
        done = np.concatenate([np.zeros(0, dtype=int), *(c.scales for c in self.collapsed)])
        self.collapsed = [part for part in self.collapsed if len(part.scales)]
        self.classes = [left for c in self.classes if len(left := c[~np.isin(c, done)])]
        self.width = np.full(reads.shape[1], -0.7)
        self.directions = _directions(factors, factors.of_coefficients(reads))
        self.lengths = np.full(len(self.directions), -1.5)
        self.standard = factors.standardised(~factors.none[factors.own])
        self.seen: list[Array] = []

    def sweep(self, tuning: float = 0.0) -> tuple[Array, Array]:
        """Move once; return points and coefficients."""
        self._apart(tuning)
        for _ in range(AGAIN if len(self.directions) else 0):
            self._together(tuning)
        self.flat = self.factors.posterior.coefficients(self.points, self.rng)
        if tuning:
            self.seen.append(self.factors.weak(self.at).mean(axis=0))
            weak = np.mean(self.seen[len(self.seen) // 2 :], axis=0) > 0.5
            self.standard = self.factors.standardised(weak)
        return self.points, self.flat

    def run(self, length: int, thin: int) -> tuple[Array, Array]:
        """Return every so many-th of the next points and coefficients, (chain, draw, ...)."""
        states = []
        for _ in range(length):
            for _ in range(thin - 1):
                self.sweep()
            states.append(self.sweep())
        points, flat = zip(*states, strict=True)
        return np.stack(points, axis=1), np.stack(flat, axis=1)

    def _collapsed(self, part: Collapsed, tuning: float) -> None:
        """Move scales of one coefficient each, with these integrated out."""
        scales, factors = part.scales, self.factors
        moves = self._moves(np.exp(self.width[scales]), len(scales))
        points = np.tile(self.points, (TRIED, 1, 1))
        points[..., scales] += moves
        with np.errstate(all="ignore"):
            tried = factors.at(points.reshape(-1, points.shape[2]))
        chosen, effective, taken = part.move(self.at, tried, self.flat, self.rng)
        rest = part.rest(self.at, self.flat)
        self.points = self.points.copy()
        self.points[:, scales] += _taken(np.zeros_like(moves[0]), moves, chosen)
        self.at = factors.at(self.points)
        self.flat = part.flat(self.at, self.flat, effective)
        self.width[scales] += tuning * 4 * (AIM - (chosen == 0).mean(axis=0))
        _compare(part.rest(self.at, self.flat), rest)
        _compare(part.given(self.at, self.flat), taken)

    def _apart(self, tuning: float) -> None:
        """Move each scale, given the effective coefficients."""
        factors, none = self.factors, self.factors.none
        for part in self.collapsed:
            self._collapsed(part, tuning)
        back = factors.holding(self.at, self.flat, none)
        value = factors.terms(self.at, self.flat, none)
        for scales in self.classes:
            reads = self.reads[:, scales]
            moves = self._moves(np.exp(self.width[scales]), len(scales))
            points = np.tile(self.points, (TRIED, 1, 1))
            points[..., scales] += moves
            found, _ = self._terms(points, back, none)
            chosen, stay = self._choice((found - value) @ reads)
            self.points = self.points.copy()
            self.points[:, scales] += _taken(np.zeros_like(moves[0]), moves, chosen)
            value = _taken(value, found, chosen @ reads.T.astype(int))
            self.width[scales] += tuning * 4 * (AIM - stay)
        self.at = factors.at(self.points)
        self.flat = back(self.at)
        _compare(factors.terms(self.at, self.flat, none), value)

    def _together(self, tuning: float) -> None:
        """Move scales of several coefficients, given the standardised ones where these are weak."""
        factors = self.factors
        back = factors.holding(self.at, self.flat, self.standard)
        value = factors.terms(self.at, self.flat, self.standard).sum(axis=1)[:, None]
        for i, direction in enumerate(self.directions):
            moves = self._moves(np.exp(self.lengths[i]), 1)
            points = self.points + moves * direction
            found, new = self._terms(points, back, self.standard)
            found = found.sum(axis=2)[..., None]
            chosen, stay = self._choice(found - value)
            self.points = _taken(self.points, points, np.broadcast_to(chosen, self.points.shape))
            value = _taken(value, found, chosen)
            self.at = self.at.taken(new, chosen[:, 0])
            self.lengths[i] += tuning * 4 * (AIM - stay[0])
        self.flat = back(self.at)

    def _moves(self, width: Array | float, size: int) -> Array:
        """Return moves to points about a point near to where one is, (TRIED, CHAINS, size) [3]_.

        Whichever of them one stands at, the others are drawn alike, so that choosing among all in
        proportion to their density leaves it invariant.
        """
        steps = width * self.rng.standard_t(3, (TRIED + 1, CHAINS, size))
        return np.asarray(steps[1:] - steps[0])

    def _terms(
        self, points: Array, back: Callable[[At], Array], standard: Array
    ) -> tuple[Array, At]:
        with np.errstate(all="ignore"):
            new = self.factors.at(points.reshape(-1, points.shape[2]))
            found = self.factors.terms(new, back(new), standard)
        return np.maximum(found, -1e300).reshape(*points.shape[:2], -1), new

    def _choice(self, ratio: Array) -> tuple[Array, Array]:
        """Return which of the points is taken, 0 where one stays, and how often one would."""
        whole = np.concatenate([np.zeros((1, *ratio.shape[1:])), ratio])
        noisy = whole + self.rng.gumbel(size=whole.shape)
        stay = np.exp(-np.logaddexp.reduce(whole, axis=0))
        return noisy.argmax(axis=0), stay.mean(axis=0)


def _compare(found: Array, value: Array) -> None:
    """Raise ArithmeticError unless factors are what they were taken to be."""
    if not np.allclose(value, found, rtol=1e-6, atol=1e-6):
        raise ArithmeticError("a factor reads other scales in some places than in others")


def _taken(first: Array, others: Array, chosen: Array) -> Array:
    """Return of each entry the first, or one of the others."""
    whole = np.concatenate([first[None], others])
    return np.asarray(np.take_along_axis(whole, chosen[None], axis=0)[0])


def _directions(factors: Factors, reads: Array) -> Array:
    """Return the directions in which scales are moved together, (n_directions, n_scales).

    Each scale that several coefficients read; and against those of one coefficient each, where
    that leaves the product alone.
    """
    size = reads.shape[1]
    several = reads.sum(axis=0) >= SEVERAL
    found = []
    for k in np.flatnonzero(several):
        alone = np.eye(size)[k]
        found.append(alone)
        against = alone - (reads[reads[:, k]].any(axis=0) & ~several)
        start = factors.map.starts[:1]
        spreads = [factors.at(start + 0.3 * v).spread for v in (0 * alone, alone, against)]
        entries = [factors.at(start + 0.3 * v).entries for v in (0 * alone, alone, against)]
        sizes = [
            np.abs(np.log(np.abs(np.concatenate([s, e], axis=1)) + 1e-300))
            for s, e in zip(spreads, entries, strict=True)
        ]
        if np.abs(sizes[2] - sizes[0]).sum() < 0.5 * np.abs(sizes[1] - sizes[0]).sum():
            found.append(against)
    return np.array(found).reshape(-1, size)


def _classes(reads: Array) -> list[Array]:
    """Return scales in classes that share no factor, greedily."""
    of = reads.astype(float)
    meet = of.T @ of > 0
    out: list[list[int]] = []
    for k in np.argsort(-meet.sum(axis=0), kind="stable"):
        free = (c for c in out if not meet[k, c].any())
        found = next(free, None)
        if found is None:
            out.append([int(k)])
        else:
            found.append(int(k))
    return [np.array(c) for c in out]
