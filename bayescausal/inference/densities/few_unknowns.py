r"""Draws of a few unknowns from a density that can be evaluated at many points at once.

A mixture of Student-t distributions is fitted to the density: first at the modes, with the
curvature there, then by a few rounds of *adaptive importance sampling*, in which the components
move to the weighted mean and covariance of what each of them explains [1]_. From the last mixture
the draws are made by *independence Metropolis-Hastings*, which leaves the density exactly
invariant, thinned until neighbours are nearly independent [2]_. How well the mixture fits is
measured: the share of proposals that is accepted, and the shape k of the generalised Pareto tail of
the importance ratios [3]_. Where it is near and does not fit, chains repair it (:mod:`.ensemble`);
where it is not near, there are no draws.

References
----------
.. [1] O. Cappe, R. Douc, A. Guillin, J.-M. Marin and C. P. Robert, Adaptive importance sampling in
   general mixture classes, *Statistics and Computing* 18, 2008.
.. [2] L. Tierney, Markov chains for exploring posterior distributions, *Annals of Statistics* 22,
   1994, section 2.3.
.. [3] A. Vehtari, D. Simpson, A. Gelman, Y. Yao and J. Gabry, Pareto smoothed importance sampling,
   *JMLR* 25, 2024.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln, logsumexp

from bayescausal.inference.densities.ensemble import draw_ensemble
from bayescausal.inference.densities.metropolis import (
    EFFECTIVE,
    TAIL,
    acceptance,
    effective_share,
    finite,
    independence_chain,
    tail_shape,
)
from bayescausal.inference.densities.modes import modes, units_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array

    type LogDensity = Callable[[Array], Array]
    type Learner = Callable[[Evaluated, Mixture, np.random.Generator], Mixture]

__all__ = [
    "Evaluated",
    "Mixture",
    "draw_density",
    "draw_learned",
    "mixture_of",
]

#: Degrees of freedom of the mixture: heavier tails than any posterior of a scale's logarithm.
FREEDOM = 6.0
#: Points of a round, and rounds; points of a round after draws that a mixture did not cover, tries.
ROUND, ROUNDS = 1_000, 12
LONG, TRIES = 3_000, 3
#: Share of proposals that is accepted where all but a tail is covered.
MOST = 0.75
#: Share of proposals that is accepted where a mixture is near enough for chains to repair it.
NEAR = 0.1
#: Share of effective points at which the mixture is good.
GOOD = 0.75
#: The shape of the tail up to which a mixture covers it.
LIGHT = 0.4
#: Components that a round adds, steps of expectation-maximisation, the width of what finds tails.
ADDED, STEPS, WIDE = 3, 8, 2.0


def draw_density(
    log_density: LogDensity, starts: Array, size: int, rng: np.random.Generator
) -> Array:
    """Return draws from a density of a few real unknowns.

    - `log_density`: from points, shape (n, d), to the log-density up to a constant, shape (n,);
      minus infinity or NaN where there is none.
    - `starts` (n, d): points among which a start is looked for, such as draws from the prior.
    - `size`: how many draws.
    Returns (size, d): nearly independent.
    Raises ArithmeticError if the mixture does not fit: the density has tails or modes that it did
      not find.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> draws = draw_density(lambda u: -(u**2).sum(axis=1) / 2, np.ones((4, 2)), 4_000, rng)
    >>> bool(np.all(np.abs(draws.mean(axis=0)) < 5 / np.sqrt(3_000)))
    True
    """
    units = units_of(finite(log_density), starts)
    value, starts = finite(lambda u: log_density(u * units)), starts / units
    drawn = draw_learned(value, _start(modes(value, starts)), Evaluated.learned, size, rng)
    return np.asarray(drawn * units)


def draw_learned(
    value: LogDensity,
    mixture: Mixture,
    learn: Learner,
    size: int,
    rng: np.random.Generator,
    *,
    most: float = MOST,
) -> Array:
    """Return draws by way of a mixture that is made to fit: see :func:`draw_density`.

    - `learn`: from what was evaluated to a mixture that is nearer to the density.
    - `most`: share of proposals that is accepted where all but a tail is covered.
    """
    seen = Evaluated([], np.zeros((0, mixture.centres.shape[1])), np.zeros(0), np.zeros(0))
    mixture, ratio = _fitted(value, mixture, seen, learn, rng)
    held = [ratio]

    def propose(count: int) -> tuple[Array, Array]:
        points = mixture.draw(count, rng)
        heights = value(points)
        held[0] = heights - seen.add(mixture, points, heights)
        return points, held[0]

    for tries_left in reversed(range(TRIES)):
        try:
            return independence_chain(propose, held[0], size, rng)
        except ArithmeticError:
            ratio = held[0]
            if not np.isfinite(ratio).any():
                raise
            accepted = acceptance(ratio)
            if NEAR < accepted < most and tail_shape(ratio) < TAIL:
                return draw_ensemble(value, mixture, size, rng)
            if not tries_left or accepted < most:
                raise
            # among so many draws there are some from a tail that the rounds did not see
            mixture = learn(seen, mixture, rng)
            mixture, held[0] = _fitted(value, mixture, seen, learn, rng, size=LONG)
    raise AssertionError  # the last try returns or raises


def mixture_of(log_density: LogDensity, starts: Array, rng: np.random.Generator) -> Mixture:
    """Return a mixture that is near to a density; arguments as above.

    Raises ArithmeticError if it does not fit.
    """
    value = finite(log_density)
    seen = Evaluated([], np.zeros((0, starts.shape[1])), np.zeros(0), np.zeros(0))
    mixture, ratio = _fitted(value, _start(modes(value, starts)), seen, Evaluated.learned, rng)
    if effective_share(ratio) < EFFECTIVE:
        raise ArithmeticError("no mixture is near to the density of the scales")
    return mixture


# ------------------------------------------------------------------------- the mixture


@dataclass(frozen=True, eq=False)
class Mixture:
    """Student-t distributions: weights, centres, Cholesky factors of their scale matrices."""

    weights: Array
    centres: Array
    factors: Array

    def draw(self, size: int, rng: np.random.Generator) -> Array:
        which = rng.choice(len(self.weights), size=size, p=self.weights)
        noise = rng.standard_normal((size, self.centres.shape[1]))
        stretch = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, size))
        moved = np.einsum("nij,nj->ni", self.factors[which], noise)
        return np.asarray(self.centres[which] + stretch[:, None] * moved)

    def parts(self, points: Array) -> tuple[Array, Array]:
        """Return the log-densities of the components, weighted, and the squared distances."""
        d = points.shape[1]
        heights, distances = [], []
        for weight, centre, factor in zip(self.weights, self.centres, self.factors, strict=True):
            z = np.linalg.inv(factor) @ (points - centre).T
            distance = (z**2).sum(axis=0)
            constant = gammaln((FREEDOM + d) / 2) - gammaln(FREEDOM / 2)
            constant -= d / 2 * np.log(FREEDOM * np.pi) + np.log(np.diag(factor)).sum()
            heights.append(
                np.log(weight) + constant - (FREEDOM + d) / 2 * np.log1p(distance / FREEDOM)
            )
            distances.append(distance)
        return np.stack(heights), np.stack(distances)

    def log_density(self, points: Array) -> Array:
        return np.asarray(logsumexp(self.parts(points)[0], axis=0))

    def moved(self, points: Array, weights: Array) -> Mixture:
        """Return the mixture nearer to weighted points: one step of expectation-maximisation."""
        heights, distances = self.parts(points)
        share = np.exp(heights - logsumexp(heights, axis=0)) * weights
        stretch = (FREEDOM + points.shape[1]) / (FREEDOM + distances)
        kept, centres, factors = [], [], []
        for part, pull in zip(share, share * stretch, strict=True):
            total = part.sum()
            if total < 0.01 or total**2 < 20 * points.shape[1] * (part**2).sum():
                continue  # too little, or too few effective points
            centre = pull @ points / pull.sum()
            rest = points - centre
            factor = _factor((pull * rest.T) @ rest / total)
            if factor is not None:
                kept.append(total)
                centres.append(centre)
                factors.append(factor)
        if not kept:
            return self
        return Mixture(np.array(kept) / sum(kept), np.stack(centres), np.stack(factors))

    def beside(
        self,
        centres: Array,
        points: Array,
        weights: Array,
        *,
        scale: float = 0.5,
        share: float = 0.3,
    ) -> Mixture:
        """Return the mixture with more components, as wide as weighted points times `scale`."""
        rest = points - weights @ points
        factor = _factor((weights * rest.T) @ rest)
        if factor is None:
            return self
        n = len(centres)
        return Mixture(
            np.concatenate([(1 - share) * self.weights, np.full(n, share / n)]),
            np.concatenate([self.centres, centres]),
            np.concatenate([self.factors, np.stack([scale * factor] * n)]),
        )


def _factor(covariance: Array) -> Array | None:
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return None


@dataclass(eq=False)
class Evaluated:
    """Points that were evaluated, their heights, and the mixtures that they were drawn from."""

    used: list[Mixture]
    points: Array
    heights: Array
    drawn: Array  # the log-density of the points in all mixtures together
    sizes: list[float] = field(default_factory=list)

    def add(self, mixture: Mixture, points: Array, heights: Array) -> Array:
        """Add points of a mixture; return its log-density there."""
        found = mixture.log_density(points)
        size = np.log(len(points) / ROUND)
        own = [m.log_density(points) + n for m, n in zip(self.used, self.sizes, strict=True)]
        before = np.logaddexp(self.drawn, mixture.log_density(self.points) + size)
        self.drawn = np.concatenate([before, logsumexp([*own, found + size], axis=0)])
        self.used.append(mixture)
        self.sizes.append(size)
        self.points = np.concatenate([self.points, points])
        self.heights = np.concatenate([self.heights, heights])
        return found

    @property
    def weights(self) -> Array:
        """The importance weights of the points."""
        ratio = self.heights - self.drawn
        return np.exp(ratio - logsumexp(ratio))

    def learned(self, mixture: Mixture, rng: np.random.Generator) -> Mixture:
        """Return a mixture nearer to the density."""
        points, weights = self.points, self.weights
        mixture = mixture.beside(points[rng.choice(len(points), ADDED, p=weights)], points, weights)
        for _ in range(STEPS):
            mixture = mixture.moved(points, weights)
        return mixture.beside((weights @ points)[None], points, weights, scale=WIDE, share=0.05)


def _start(found: list[tuple[Array, Array]]) -> Mixture:
    """Return a mixture of the Gaussians at some modes.

    Narrow, as it is at a mode, and wide, for tails and for modes that lie beside it.
    """
    factors = [np.linalg.cholesky(covariance) for _, covariance in found]
    return Mixture(
        np.tile([0.6, 0.3, 0.1], len(found)) / len(found),
        np.repeat([centre for centre, _ in found], 3, axis=0),
        np.concatenate([[f, 1.5 * f, 3.0 * f] for f in factors]),
    )


def _fitted(
    value: LogDensity,
    mixture: Mixture,
    seen: Evaluated,
    learn: Learner,
    rng: np.random.Generator,
    *,
    size: int = ROUND,
) -> tuple[Mixture, Array]:
    """Return a mixture that is near to the density, and ratios at points drawn from it.

    The points of all rounds count, weighted by the mixture of the mixtures that they were drawn
    from.
    """
    sure, best = 0, 0.0
    for _ in range(ROUNDS):
        fresh = mixture.draw(size, rng)
        height = value(fresh)
        if not np.isfinite(height).any():
            raise ArithmeticError("no proposal for its scales lies where there is density")
        fresh_ratio = height - seen.add(mixture, fresh, height)
        share = effective_share(fresh_ratio)
        good = share > GOOD or (share > EFFECTIVE and share < best + 0.05)
        best = max(best, share)
        sure = sure + 1 if good and tail_shape(fresh_ratio) < LIGHT else 0
        if sure == 2:
            return mixture, fresh_ratio
        if sure:
            continue
        mixture = learn(seen, mixture, rng)
    fresh = mixture.draw(size, rng)
    return mixture, value(fresh) - mixture.log_density(fresh)
