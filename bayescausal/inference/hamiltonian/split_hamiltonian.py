r"""Draws of coefficients and scales of a generalised linear equation: a Gaussian, and what is left.

The log-likelihood is nearly a quadratic function of the effective coefficients,

.. math:: \ell(e, a) = \hat\ell(a) + s(a) \{ g'(e - \hat e) - \tfrac12 (e - \hat e)' H (e - \hat e)
   \} + r(e, a), \qquad H = X' \operatorname{diag} E[-\ell''(\eta_i)] X, \quad
   g = X' E[\ell'(\eta_i)],

with means over the posterior itself [1]_. Without :math:`r` the coefficients integrate out
(:mod:`..hierarchies.coefficients`): that gives a mixture for the scales :math:`h`, and
:math:`c = \mu(h) + R(h) z` with standard Normal :math:`z`. In :math:`(h, z)` the posterior is this
product times :math:`e^r`, so that the two hardly depend on each other. It is drawn exactly,

* where :math:`r` hardly varies (many rows in each group), by independence Metropolis-Hastings;
* else by many short chains, whose steps propose other scales at the same :math:`z`, and move
  :math:`z` by Hamiltonian Monte Carlo in which the Gaussian part is a rotation and the gradient of
  :math:`r` alone is split in steps [2]_.

Chains that do not mix run on; where they still do not, there are no draws.

References
----------
.. [1] M. Opper and C. Archambeau, "The variational Gaussian approximation revisited", *Neural
   Computation* 21, 2009.
.. [2] B. Shahbaba, S. Lan, W. O. Johnson and R. M. Neal, "Split Hamiltonian Monte Carlo",
   *Statistics and Computing* 24, 2014.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.sparse import csr_array

from bayescausal.draws.diagnostics import diagnose
from bayescausal.inference.densities.few_unknowns import mixture_of
from bayescausal.inference.densities.metropolis import effective_share, independence_chain
from bayescausal.inference.densities.modes import climb
from bayescausal.inference.hierarchies.coefficients import GaussianPosterior, Sums

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.inference.densities.few_unknowns import Mixture
    from bayescausal.inference.hierarchies.parts import Hierarchy
    from bayescausal.inference.hierarchies.scale_map import Scales
    from bayescausal.inference.sampling.families import Equation

__all__ = ["Rows", "draw_about_gaussian"]

#: Steps in which the Gaussian is fitted, draws that stand for the posterior, numbers that these
#: take at most; the move, in standard deviations, at which it is.
STEPS, MEANS, NUMBERS, CLOSE = 40, 32, 3_000_000, 0.1
#: Logarithms of shapes at which the rows are evaluated; rows that say how sharp they are there.
SHAPES, SOME = np.arange(-5.0, 10.1, 0.25), 2_000
#: Proposals that are tried, and evaluated at a time; the share of them that is effective, and the
#: shape of the tail of their ratios, with which no chain is needed.
PILOT, SURE, SHORT = 400, 0.5, 0.4
#: The fewest and the most chains, and the least draws of each: fewer are picked from them.
CHAINS, EACH = (20, 80), 50
#: Steps of the warm-up, the most splits of a move, the acceptance that these aim at.
WARM, SPLITS, AIM = 30, 12, 0.8
#: Steps between draws: chains that have not mixed start anew where they are, twice as far apart.
THINNED = 1, 2, 4, 8
#: The worst r_hat and drift, the least effective share of the draws, and that of the last try.
RHAT, DRIFT, GOOD, LEAST = 1.03, 4.0, 0.5, 0.2
#: Coefficients of which mixing is looked at.
LOOKED = 60


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of an equation in its effective coefficients. Those of two sets add."""

    equation: Equation
    given: dict[str, Array]  # columns of groups that the priors read

    def __add__(self, other: Rows) -> Rows:
        return replace(self, equation=self.equation + other.equation)


def draw_about_gaussian(
    hierarchy: Hierarchy, rows: Rows, size: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Return draws of the unknowns.

    Raises ArithmeticError if no Gaussian is found, or the chains do not mix.
    """
    work = _Around(_Reference(hierarchy, rows, rng), rng)
    pilot = work.propose(PILOT)[1]
    try:
        if effective_share(pilot) < SURE:
            raise ArithmeticError("a chain is quicker")
        whole = independence_chain(work.propose, pilot, size, rng, tail=SHORT)
        points, flat = np.split(whole, [whole.shape[1] - work.size], axis=1)
    except ArithmeticError:
        points, flat = _Chains(work, size).draw(size)
    return work.reference.unknowns(points, flat)


class _Reference(GaussianPosterior):
    """The posterior with a quadratic function in the place of the rows."""

    def __init__(self, hierarchy: Hierarchy, rows: Rows, rng: np.random.Generator) -> None:
        self.seen = rows.equation.merged()
        self.splines: tuple[CubicSpline, CubicSpline] | None = None
        eta = self.seen.start()
        first, second = self.seen.slopes_at(eta, 1.0)
        zero = np.zeros(self.seen.x.shape[1])
        gap = self.seen.offset - eta
        super().__init__(hierarchy, rows.given, [self._sums(zero, first - second * gap, second)])
        self.point = self.map.starts[np.argmax(self.log_density(self.map.starts))]
        count = int(np.clip(NUMBERS // len(self.seen.y), 4, MEANS)) // 2
        noise = rng.standard_normal((count, self.form.size))
        self.noise = np.concatenate([noise, -noise])
        pattern, stop = self.affine.pattern, self.affine.pattern.indptr[self.affine.effective]
        lengths = np.diff(pattern.indptr[: self.affine.effective + 1])
        self.entries = pattern.indices[:stop], np.repeat(np.arange(len(lengths)), lengths)
        self.incidence = [
            csr_array((np.ones(stop), (place, np.arange(stop))), shape=(size, stop))
            for place, size in zip(self.entries, (pattern.shape[1], len(lengths)), strict=True)
        ]
        self._fit()

    def _sums(self, reference: Array, first: Array, second: Array) -> Sums:
        x = self.seen.x
        gram = csr_array(csr_array(x.T * second) @ x)
        return Sums(reference, 0.0, gram, x.T @ first, 0.0)

    def _fit(self) -> None:
        """Move the centre and the curvature to means over the posterior, until they stay."""
        for step in range(STEPS):
            self.point = climb(self.log_density, self.point)[1]
            points = np.tile(self.point, (len(self.noise), 1))
            _, arguments, square = self.pieces(points)
            _, means, factors = self.form.factored(*arguments, square)
            moves = self.form.spread(factors, self.noise)
            jacobian, _, _, shift = arguments
            delta = self.moved(jacobian, shift, means + moves)
            if not np.isfinite(delta).all() or np.abs(delta).max() > 1e6:
                break
            off = np.abs(delta.mean(axis=0)) / np.maximum(delta.std(axis=0), 1e-12)
            self.recentre(delta)
            if off.max() < CLOSE and step > 1:
                return
        raise ArithmeticError("no Gaussian is near to the posterior of its coefficients")

    def recentre(self, delta: Array) -> None:
        """Take other rows' slopes: the means over effective coefficients, about the reference."""
        effective = self.reference + delta
        centre = effective.mean(axis=0)
        shape = self.map.scales(self.point[None]).sigmas[0]
        self.seen_shape = 1.0 if shape is None else float(shape[0])
        first, second = self.seen.mean_slopes(effective, self.seen_shape)
        self.sums = [self._sums(centre, first, second)]
        self.reference, self.moment = centre, self.sums[0].moment
        self.about[: len(centre)] = centre
        values = self._terms().values
        if len(values) != len(self.form.values):
            raise ArithmeticError("the rows have no curvature")
        self.form.values = values
        if shape is not None:
            self.splines = self._of_shape(centre)

    def _of_shape(self, centre: Array) -> tuple[CubicSpline, CubicSpline]:
        """Return the log-likelihood at the centre, and the log of its sharpness, by log shape."""
        shapes = np.exp(SHAPES)
        height = self.seen.log_likelihood(np.tile(centre, (len(shapes), 1)), shapes)
        held = np.arange(0, len(self.seen.y), max(1, len(self.seen.y) // SOME))
        some = self.seen.some(held, self.seen.counts[held])
        eta = (some.offset + some.x @ centre)[:, None]
        sharp = some.across().slopes_at(eta, np.append(shapes, self.seen_shape))[1].sum(axis=0)
        return CubicSpline(SHAPES, height), CubicSpline(SHAPES, np.log(sharp[:-1] / sharp[-1]))

    def rows(self, scales: Scales) -> tuple[Array, Array]:
        """Return the sharpness of the rows, and their log-likelihood at the centre."""
        [shape] = scales.sigmas
        one = np.ones(len(scales.terms))
        if shape is None or self.splines is None:
            return one[:, None], 0.0 * one
        at = np.clip(np.log(shape), SHAPES[0], SHAPES[-1])
        height, sharp = (s(at) for s in self.splines)
        return np.exp(sharp)[:, None], height

    def moved(self, jacobian: Array, shift: Array, flat: Array) -> Array:
        """Return the effective coefficients, about the reference."""
        column, _ = self.entries
        terms = jacobian[:, : len(column)] * flat[:, column]
        return np.asarray((self.incidence[1] @ terms.T).T + shift[:, : self.affine.effective])

    def pulled(self, jacobian: Array, slope: Array) -> Array:
        """Return slopes in the coefficients, from those in the effective ones."""
        _, row = self.entries
        return np.asarray((self.incidence[0] @ (jacobian[:, : len(row)] * slope[:, row]).T).T)


@dataclass(frozen=True, eq=False)
class _Place:
    """What some scales determine, of n chains."""

    points: Array  # (n, n_scales)
    height: Array  # (n) Log-density of the scales, without r
    proposal: Array  # (n) Log-density of the mixture
    # jacobian, shift: (n, ...) From coefficients to effective ones about the reference.
    jacobian: Array
    shift: Array
    mean: Array  # (n, n_coefficients)
    factors: Array  # (n, ...) Cholesky factors of the precision
    sharp: Array  # (n)
    level: Array  # (n) Log-likelihood at the centre
    shape: Array  # (n)

    def taken(self, other: _Place, which: Array) -> _Place:
        """Return this place, or another in some chains."""
        parts = {}
        for f in fields(self):
            own, new = getattr(self, f.name), getattr(other, f.name)
            parts[f.name] = np.where(which.reshape(-1, *(1,) * (own.ndim - 1)), new, own)
        return _Place(**parts)


class _Around:
    """The posterior about its Gaussian."""

    def __init__(self, reference: _Reference, rng: np.random.Generator) -> None:
        self.reference, self.rng = reference, rng
        starts = np.concatenate([reference.point[None], reference.map.starts])
        self.mixture: Mixture = mixture_of(reference.log_density, starts, rng)
        self.size = reference.form.size

    def place(self, points: Array) -> _Place:
        ref, n = self.reference, len(points)
        with np.errstate(all="ignore"):
            scales = ref.map.scales(points)
            sharp, level = ref.rows(scales)
            height, arguments, square = ref.pieces(points, scales)
            jacobian, weights, linear, shift = (np.nan_to_num(a) for a in arguments)
            heights, mean, factors = ref.form.factored(jacobian, weights, linear, shift, square)
        shape = scales.sigmas[0]
        jacobian, shift = (np.broadcast_to(v, (n, v.shape[1])) for v in (jacobian, shift))
        total = height + heights
        factors[~np.isfinite(total)] = 1.0  # there is none
        return _Place(
            points,
            np.where(np.isfinite(total), total, -np.inf),
            self.mixture.log_density(points),
            jacobian,
            shift,
            mean,
            factors,
            sharp[:, 0],
            level,
            np.ones(n) if shape is None else shape,
        )

    def coefficients(self, at: _Place, z: Array) -> Array:
        return at.mean + self.reference.form.spread(at.factors, z)

    def rest(self, at: _Place, flat: Array) -> Array:
        """Return r: by how much the rows differ from the quadratic function."""
        ref = self.reference
        delta = ref.moved(at.jacobian, at.shift, flat)
        curved = (ref.sums[0].gram @ delta.T).T
        own = ref.seen.log_likelihood(ref.reference + delta, at.shape if ref.splines else None)
        quadratic = ((ref.moment - 0.5 * curved) * delta).sum(axis=1)
        found = own - at.level - at.sharp * quadratic
        return np.where(np.isfinite(found) & np.isfinite(at.height), found, -np.inf)

    def slope(self, at: _Place, flat: Array) -> Array:
        """Return the gradient of r in z."""
        ref = self.reference
        delta = ref.moved(at.jacobian, at.shift, flat)
        curved = (ref.sums[0].gram @ delta.T).T
        own = ref.seen.gradient(ref.reference + delta, at.shape)
        push = ref.pulled(at.jacobian, own - at.sharp[:, None] * (ref.moment - curved))
        return ref.form.gathered(at.factors, push)

    def propose(self, count: int) -> tuple[Array, Array]:
        """Return scales and coefficients without r, and their log importance ratios."""
        points, found, step = self.mixture.draw(count, self.rng), [], PILOT
        for part in (points[i : i + step] for i in range(0, count, step)):
            at = self.place(part)
            flat = self.coefficients(at, self.rng.standard_normal((len(part), self.size)))
            with np.errstate(all="ignore"):
                ratio = at.height - at.proposal + self.rest(at, flat)
            found.append((flat, np.where(np.isfinite(ratio), ratio, -np.inf)))
        flat, ratio = (np.concatenate(v) for v in zip(*found, strict=True))
        return np.concatenate([points, flat], axis=1), ratio


class _Chains:
    """Many chains of scales and z, that run at once."""

    def __init__(self, work: _Around, size: int) -> None:
        self.work, self.rng = work, work.rng
        self.count = int(np.clip(size // EACH, *CHAINS))
        spread = np.atleast_2d(np.cov(work.mixture.draw(1_000, self.rng).T))
        self.walk = np.linalg.cholesky(spread) / np.sqrt(len(spread))
        self.splits = 2.0
        starts = work.mixture.draw(self.count, self.rng)  # wider, so that tails are seen
        wider = self.rng.uniform(1, 3, (self.count, 1))
        self.at = work.place(starts.mean(axis=0) + wider * (starts - starts.mean(axis=0)))
        self.z = self.rng.standard_normal((self.count, work.size))
        self.flat = work.coefficients(self.at, self.z)
        self.rest = work.rest(self.at, self.flat)

    def draw(self, size: int) -> tuple[Array, Array]:
        """Return draws, chain after chain, of the first run that is seen to mix."""
        for step in range(WARM):
            self.step(tuning=step < WARM // 2)
        length = max(-(-size // self.count), EACH)
        some = np.linspace(0, self.count * length - 1, size).astype(int)
        for thin in THINNED:
            points, flat, rest = self.run(length, thin)
            worst, share, drift = self.mixing(points, flat, rest)
            enough = GOOD if thin < THINNED[-1] else LEAST
            if worst < RHAT and share > enough and drift < DRIFT:
                points, flat = (v.reshape(-1, v.shape[2])[some] for v in (points, flat))
                return points, flat
        raise ArithmeticError(f"the chains of its coefficients do not mix: r_hat {worst:.2f}")

    def run(self, length: int, thin: int) -> tuple[Array, Array, Array]:
        """Return every so many-th of the next scales, coefficients and r, (chain, draw, ...)."""
        states = []
        for _ in range(length):
            for _ in range(thin):
                self.step()
            states.append((self.at.points, self.flat, self.rest[:, None]))
        points, flat, rest = zip(*states, strict=True)
        return np.stack(points, axis=1), np.stack(flat, axis=1), np.stack(rest, axis=1)

    def mixing(self, points: Array, flat: Array, rest: Array) -> tuple[float, float, float]:
        """Return the worst r_hat, the least share of the draws that is effective, and the drift.

        That is the difference of the means of the two halves, in standard errors between chains.
        """
        some = np.linspace(0, flat.shape[2] - 1, min(LOOKED, flat.shape[2])).astype(int)
        whole = np.concatenate([points, flat[:, :, some], rest], axis=2)
        found = diagnose(np.moveaxis(whole, 2, 0))
        share = np.fmin.reduce(found["ess_bulk"]) / (whole.shape[0] * whole.shape[1])
        half = whole.shape[1] // 2
        moved = whole[:, half:].mean(axis=1) - whole[:, :half].mean(axis=1)
        drift = np.abs(moved.mean(axis=0)) / (moved.std(axis=0) / np.sqrt(len(moved)) + 1e-300)
        return float(np.fmax.reduce(found["r_hat"])), float(share), float(drift.max())

    def step(self, *, tuning: bool = False) -> None:
        """Move the scales at the same z, and z."""
        self._scales(near=False)
        self._scales(near=True)
        accepted = self._rotate()
        if tuning:
            self.splits = float(np.clip(self.splits * np.exp(AIM - accepted), 1, SPLITS))

    def _scales(self, *, near: bool) -> None:
        work, old = self.work, self.at
        if near:
            noise = self.rng.standard_normal(old.points.shape)
            noise /= np.sqrt(self.rng.chisquare(3, (self.count, 1)) / 3)
            points = old.points + noise @ self.walk.T
        else:
            points = work.mixture.draw(self.count, self.rng)
        new = work.place(points)
        flat = work.coefficients(new, self.z)
        rest = work.rest(new, flat)
        with np.errstate(all="ignore"):
            ratio = new.height + rest - old.height - self.rest
            if not near:
                ratio -= new.proposal - old.proposal
        taken = np.log(self.rng.random(self.count)) < ratio
        self.at = old.taken(new, taken)
        self.flat = np.where(taken[:, None], flat, self.flat)
        self.rest = np.where(taken, rest, self.rest)

    def _rotate(self) -> float:
        """Move z; return the share that is accepted."""
        work, at = self.work, self.at
        splits = max(1, int(self.splits + self.rng.random()))
        angle = np.pi / 2 * self.rng.uniform(0.7, 1.1) / splits
        cos, sin = np.cos(angle), np.sin(angle)
        z, v, flat = self.z, self.rng.standard_normal(self.z.shape), self.flat
        energy = self.rest - 0.5 * ((z**2) + (v**2)).sum(axis=1)
        with np.errstate(all="ignore"):
            v = v + 0.5 * angle * work.slope(at, flat)
            for k in range(splits):
                z, v = z * cos + v * sin, v * cos - z * sin
                flat = work.coefficients(at, z)
                v = v + (0.5 if k == splits - 1 else 1.0) * angle * work.slope(at, flat)
            rest = work.rest(at, flat)
            gain = rest - 0.5 * ((z**2) + (v**2)).sum(axis=1) - energy
        gain = np.where(np.isnan(gain), -np.inf, gain)
        taken = np.log(self.rng.random(self.count)) < gain
        self.z = np.where(taken[:, None], z, self.z)
        self.flat = np.where(taken[:, None], flat, self.flat)
        self.rest = np.where(taken, rest, self.rest)
        return float(np.exp(np.minimum(gain, 0.0)).mean())
