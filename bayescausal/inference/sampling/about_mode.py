r"""Draws of coefficients of a generalised linear equation: a Gaussian, made exact by Metropolis.

The posterior of coefficients :math:`c` (and of a shape :math:`a`, as :math:`\log a`) has one mode;
Newton's method finds it and the curvature there. Proposals come from a Student-t law about it, or
about the Gaussian that is nearest to the posterior in Kullback-Leibler divergence, whose mean and
covariance solve

.. math:: Q = P + X' \operatorname{diag} E[-\ell''(\eta_i)]\, X, \qquad
   0 = X' E[\ell'(\eta_i)] - P (m - m_0), \qquad \eta_i \sim N(o_i + x_i'm,\; x_i' Q^{-1} x_i)

[1]_, and are accepted by independence Metropolis-Hastings, so that the draws are exact. Where no
such law fits well, a mixture is fitted (:mod:`..densities.few_unknowns`); where that does not fit
either (separation, a flat direction), there are no draws, and a Markov chain has to be run.

Of many rows the log-density is nearly a polynomial where the posterior lies. It is fitted at some
points, evaluated on all rows, and *certified* at others
(:func:`~bayescausal.inference.conditioning.smooth.near_mode`); without the certificate the rows are
evaluated.

References
----------
.. [1] M. Opper and C. Archambeau, "The variational Gaussian approximation revisited", *Neural
   Computation* 21, 2009.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import gammaln

from bayescausal.inference.conditioning.smooth import near_mode
from bayescausal.inference.densities.few_unknowns import draw_density
from bayescausal.inference.densities.metropolis import TAIL, effective_share, independence_chain

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array
    from bayescausal.inference.sampling.families import Equation
    from bayescausal.inference.sampling.ordered import Gaps

__all__ = ["Posterior", "draw_about_mode"]

#: Steps of Newton's method; squared distance to the mode, in units of the posterior's width, at
#: which it ends, and at which it may where no step rises.
STEPS, CLOSE, LEVEL = 60, 1e-5, 1e-2
#: Proposals that are tried for each law, and its degrees of freedom.
PILOT, FREEDOM = 400, (7.0, 40.0, 300.0)
#: Unknowns up to which a mixture is fitted.
MIXED = 8
#: The shape of the tail of ratios below which a Gaussian is surely good enough.
SURE = 0.4
#: Logs of shapes from which a second mode is looked for; how much lower it may be and count.
SHAPES, FAR = (-3.0, 3.0, 6.0, 9.0), 30.0
#: Rows above which a first mode is looked for on some, and a polynomial is tried.
MANY = 20_000
#: Rows up to which the nearest Gaussian is looked for, its nodes and steps.
NEAR, NODES, MOVES = 20_000, 15, 25


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior of one equation."""

    rows: Equation
    # precision, push: of the coefficients' Gaussian prior: its precision, and that times its mean.
    precision: Array
    push: Array
    log_prior: Callable[[Array], Array] | None  # of the shape; None where there is none
    gaps: Gaps | None = None  # of ordered categories: a factor of the cutpoints alone

    def log_density(self, points: Array) -> Array:
        """Return the log-density at coefficients, followed by the logarithm of the shape."""
        shape = None
        c = points
        if self.log_prior is not None:
            c = points[:, :-1]
            shape = np.exp(np.clip(points[:, -1], -300, 300))
        with np.errstate(all="ignore"):
            found = self.rows.log_likelihood(c, shape) + c @ self.push
            found -= 0.5 * np.einsum("ni,ij,nj->n", c, self.precision, c)
            if self.gaps is not None:
                found += self.gaps.value(c)
            if self.log_prior is not None and shape is not None:
                found += self.log_prior(shape) + points[:, -1]
        return np.where(np.isfinite(found), found, -np.inf)

    def slopes(self, point: Array) -> tuple[Array, Array]:
        """Return the gradient, and minus the matrix of second derivatives."""
        if self.log_prior is None:
            return self._of_coefficients(point, 1.0)
        step = 1e-4
        logs = point[-1] + step * np.array([-1.0, 0.0, 1.0])
        if analytic := self.rows.family == "negative binomial":
            heights = self.log_prior(np.exp(logs)) + logs
        else:
            heights = self.log_density(np.column_stack([np.tile(point[:-1], (3, 1)), logs]))
        low, here, high = heights
        slope, bend = (high - low) / (2 * step), (high - 2 * here + low) / step**2
        if analytic:
            with np.errstate(all="ignore"):
                own = self.rows.shape_slopes(point[:-1], float(np.exp(point[-1])))
            slope, bend, cross = slope + own[0], bend + own[1], self.rows.x.T @ own[2]
        else:
            ends = [self._of_coefficients(point[:-1], float(np.exp(v)))[0] for v in logs[[0, 2]]]
            cross = (ends[1] - ends[0]) / (2 * step)
        first, second = self._of_coefficients(point[:-1], float(np.exp(point[-1])))
        curvature = np.block([[second, -cross[:, None]], [-cross, np.atleast_2d(-bend)]])
        return np.append(first, slope), curvature

    def _of_coefficients(self, c: Array, shape: float) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            first, second = self.rows.slopes(c, shape)
            x = self.rows.x
            curvature = self.precision + (x * second[:, None]).T @ x
        gradient = x.T @ first + self.push - self.precision @ c
        if self.gaps is not None:
            more = self.gaps.slopes(c)
            return gradient + more[0], curvature + more[1]
        return gradient, curvature

    def start(self) -> Array:
        """Return a point at which the density is finite, as a rule."""
        size = self.rows.x.shape[1]
        if self.gaps is not None:
            return self.gaps.start(size)
        return np.zeros(size + (self.log_prior is not None))

    def part(self, share: int) -> Posterior:
        """Return the posterior of every so many rows, each counted as often."""
        held = np.arange(0, len(self.rows.y), share)
        rows = self.rows.some(held, share * self.rows.counts[held])
        return replace(self, rows=rows)


def draw_about_mode(posterior: Posterior, size: int, rng: np.random.Generator) -> Array:
    """Return draws, shape (size, n_unknowns), nearly independent.

    Raises ArithmeticError if no Gaussian is near to the posterior: no mode, a heavy tail, proposals
      that are hardly accepted.
    """
    mode, root = _mode(posterior)
    if posterior.log_prior is not None:
        _refuse_several(posterior, mode)
    value: Callable[[Array], Array] = posterior.log_density
    if len(posterior.rows.y) >= MANY:
        value = near_mode(value, mode, root, rng)
    laws = [_Law(mode, root, f) for f in FREEDOM]
    near = _nearest(posterior, mode)
    if near is not None:
        laws += [_Law(*near, f) for f in FREEDOM]
    tried = []
    for law in laws:
        points = law.draw(PILOT, rng)
        tried.append(value(points) - law.log_density(points))
    best = int(np.argmax([effective_share(r) for r in tried]))

    def propose(count: int) -> tuple[Array, Array]:
        points = laws[best].draw(count, rng)
        return points, value(points) - laws[best].log_density(points)

    try:
        # a chain of Gaussians whose tails are too short misses what lies there for long
        mixed = len(mode) <= MIXED
        return independence_chain(propose, tried[best], size, rng, tail=SURE if mixed else TAIL)
    except ArithmeticError:
        if len(mode) > MIXED:
            raise

    def back(z: Array) -> Array:
        """Return points from coordinates in which the density is about as wide everywhere."""
        return np.asarray(mode + solve_triangular(root.T, z.T).T)

    starts = np.concatenate([0 * mode[None], 0.5 * (laws[best].draw(20, rng) - mode) @ root])
    return back(draw_density(lambda z: value(back(z)), starts, size, rng))


@dataclass(frozen=True, eq=False)
class _Law:
    """A Student-t law: its centre, the root of its precision (lower), degrees of freedom."""

    centre: Array
    root: Array
    freedom: float

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        noise = rng.standard_normal((len(self.centre), count))
        stretch = np.sqrt(self.freedom / rng.chisquare(self.freedom, count))
        moved = solve_triangular(self.root.T, noise) * stretch
        return np.asarray(self.centre + moved.T)

    def log_density(self, points: Array) -> Array:
        f, d = self.freedom, len(self.centre)
        distance = (((points - self.centre) @ self.root) ** 2).sum(axis=1)
        constant = gammaln((f + d) / 2) - gammaln(f / 2) - d / 2 * np.log(f * np.pi)
        constant += np.log(np.diag(self.root)).sum()
        return np.asarray(constant - (f + d) / 2 * np.log1p(distance / f))


def _mode(posterior: Posterior) -> tuple[Array, Array]:
    """Return the mode, and the root of the precision there."""
    point = posterior.start()
    share = len(posterior.rows.y) // (MANY // 2)
    if share > 1:
        try:
            point = _climb(posterior.part(share), point)[0]
        except ArithmeticError:
            point = posterior.start()
    return _climb(posterior, point)


def _refuse_several(posterior: Posterior, mode: Array) -> None:
    """Refuse a shape with a second mode: proposals about one of them do not see the other.

    A climb that ends nowhere says nothing of what is there: it is refused too, unless the density
    that it began at, with the coefficients of the mode, is too low to count.
    """
    share = max(len(posterior.rows.y) // (MANY // 2), 1)
    some = posterior.part(share) if share > 1 else posterior
    for shape in SHAPES:
        start = np.append(np.zeros(len(mode) - 1), shape)
        try:
            other = _climb(some, start)[0]
        except ArithmeticError:
            other = np.append(mode[:-1], shape)
        heights = some.log_density(np.stack([mode, other]))
        if abs(other[-1] - mode[-1]) > 1.0 and heights[1] > heights[0] - FAR:
            raise ArithmeticError("the posterior of the shape has several modes")


def _climb(posterior: Posterior, point: Array) -> tuple[Array, Array]:
    """Climb by Newton's method, with shorter steps where a whole one does not rise."""
    height = float(posterior.log_density(point[None])[0])
    if not np.isfinite(height):
        raise ArithmeticError("the density is not finite where the climb begins")
    for _ in range(STEPS):
        gradient, curvature = posterior.slopes(point)
        if not np.isfinite(curvature).all():
            raise ArithmeticError("the density has no curvature")
        move = _newton(gradient, curvature)
        if float(gradient @ move) < CLOSE:
            root = _root(curvature)
            if root is None:
                raise ArithmeticError("the density is not curved downwards at its mode")
            return point, root
        length = 1.0
        while length > 1e-8:
            there = float(posterior.log_density((point + length * move)[None])[0])
            if there > height:
                break
            length /= 2
        else:
            if float(gradient @ move) < LEVEL:  # as high as rounding lets it climb
                root = _root(curvature)
                if root is not None:
                    return point, root
            raise ArithmeticError("no step rises")
        point, height = point + length * move, there
        if np.abs(point).max() > 1e6:
            raise ArithmeticError("the density has no mode")
    raise ArithmeticError("the density has no mode that Newton's method finds")


def _root(curvature: Array) -> Array | None:
    try:
        return np.linalg.cholesky((curvature + curvature.T) / 2)
    except np.linalg.LinAlgError:
        return None


def _newton(gradient: Array, curvature: Array) -> Array:
    """Return Newton's step; where the density is not curved downwards, a damped one."""
    width = np.sqrt(np.maximum(np.abs(np.diag(curvature)), 1e-12))
    damp = 0.0
    for _ in range(30):
        root = _root(curvature + damp * np.diag(width**2))
        if root is not None:
            return np.asarray(cho_solve((root, True), gradient))
        damp = max(10 * damp, 1e-3)
    raise ArithmeticError("the density is not curved downwards")


def _nearest(posterior: Posterior, mode: Array) -> tuple[Array, Array] | None:
    """Return the Gaussian that is nearest to the posterior; None where it is not looked for."""
    rows = posterior.rows
    other = posterior.log_prior is not None or posterior.gaps is not None
    if other or len(rows.y) > NEAR:
        return None
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    centre = mode
    curvature = posterior.slopes(mode)[1]
    for _ in range(MOVES):
        try:
            factor = cho_factor((curvature + curvature.T) / 2, lower=True)
        except np.linalg.LinAlgError:
            return None
        half = solve_triangular(factor[0], rows.x.T, lower=True)
        spread = np.sqrt((half**2).sum(axis=0))
        eta = rows.offset + rows.x @ centre
        first, second = np.zeros(len(eta)), np.zeros(len(eta))
        with np.errstate(all="ignore"):
            for node, weight in zip(nodes, weights, strict=True):
                one, two = rows.slopes_at(eta + node * spread, 1.0)
                first, second = first + weight * one, second + weight * two
        gradient = rows.x.T @ first + posterior.push - posterior.precision @ centre
        curvature = posterior.precision + (rows.x * second[:, None]).T @ rows.x
        if not np.isfinite(curvature).all() or not np.isfinite(gradient).all():
            return None
        move = _newton(gradient, curvature)
        centre = centre + move
        if float(gradient @ move) < 1e-6:
            root = _root(curvature)
            return None if root is None else (centre, root)
    return None
