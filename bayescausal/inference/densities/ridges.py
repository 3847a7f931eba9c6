r"""Draws from a density that lies along a curve or a surface: components as wide as it is.

What data do not tell apart leaves a *ridge*: with a latent common cause of a treatment and an
outcome, the strength of the one effect and the noise trade places, while everything that the data
determine, a covariance of the observed columns, stays where it is. A few components cover a curved
ridge badly. Here each component stands on the ridge where it was found, along the axes that the
density has there, and each axis is as long as the density is: up to where it has fallen by half a
nat on both sides. Across the ridge that is its width; along it the ridge bends away, so that its
curvature decides. Components are added where importance weights say that the density is and the
mixture is not [1]_; the mixture is what independence Metropolis-Hastings proposes from, and how
well it fits is measured there (:mod:`..densities.metropolis`).

References
----------
.. [1] O. Cappe, A. Guillin, J. M. Marin and C. P. Robert, Population Monte Carlo, *Journal of
   Computational and Graphical Statistics* 13(4), 2004.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from bayescausal.inference.densities.few_unknowns import Mixture, draw_learned
from bayescausal.inference.densities.metropolis import ACCEPTED, finite
from bayescausal.inference.densities.modes import derivatives, modes, units_of, uphill

if TYPE_CHECKING:
    from bayescausal.annotations import Array
    from bayescausal.inference.densities.few_unknowns import Evaluated, LogDensity

__all__ = ["draw_ridge"]

#: Components that a round adds by each rule, steps that weigh them, the least weight.
ADDED, STEPS, LEAST = 4, 20, 1e-3
#: Lengths at which an axis is tried, in those of the component that is there; steps towards the
#: crest.
LENGTHS, CLIMBS = 2.0 ** np.arange(6, -9, -1), 6
#: The step of differences, the curvature from which a direction leads across the ridge, how far
#: a step goes.
STEP, ACROSS, FAR = 0.3, 0.3, 3.0
#: How far apart components stand on a ridge, how many nats below the top it ends, the most points
#: at which the density is asked on the way.
APART, DEEP, POINTS = (2.0, -2.0, 4.0, -4.0), 12.0, 60_000
#: How much shorter an axis is that is not followed; how many nats a new component is higher than
#: others.
SHORT, HIGHER = 4.0, 0.5
#: The length of an axis that has no end.
ENDLESS = 1e3
#: Of the component about all points: its width and weight.
WIDE, SHARE = 2.0, 0.05


def draw_ridge(
    log_density: LogDensity, starts: Array, size: int, rng: np.random.Generator
) -> Array:
    """Return draws from a density of a few real unknowns that may lie along a ridge.

    Arguments, result and errors are those of :func:`..densities.few_unknowns.draw_density`.

    Examples
    --------
    >>> import numpy as np
    >>> def banana(u):  # u_1 given u_0 is N(u_0 ** 2, 0.05 ** 2)
    ...     return -(u[:, 0] ** 2) / 2 - (u[:, 1] - u[:, 0] ** 2) ** 2 / (2 * 0.05**2)
    >>> draws = draw_ridge(banana, np.ones((4, 2)), 4_000, np.random.default_rng(1))
    >>> bool(abs(draws[:, 1].mean() - 1) < 5 * np.sqrt(2 / 3_000))
    True
    """
    units = units_of(finite(log_density), starts)
    value, starts = finite(lambda u: log_density(u * units)), starts / units
    found = [(at, np.linalg.cholesky(spread)) for at, spread in modes(value, starts)]
    try:
        mixture = _along(_limited(value), found)
    except np.linalg.LinAlgError:
        raise ArithmeticError("the density has a component without a width") from None
    drawn = draw_learned(value, mixture, partial(_learned, value), size, rng, most=ACCEPTED)
    return np.asarray(drawn * units)


def _limited(value: LogDensity) -> LogDensity:
    """Return a density that may be asked at so many points: wide ridges are left to chains."""
    spent = 0

    def counted(points: Array) -> Array:
        nonlocal spent
        spent += len(points)
        if spent > POINTS:
            raise ArithmeticError("the density lies along ridges that are too wide")
        return value(points)

    return counted


@dataclass(frozen=True, eq=False)
class _Component:
    """A component on a ridge: its centre, the height there, its axes as columns."""

    centre: Array
    height: float
    axes: Array

    def at(self, point: Array) -> float:
        """Return how high the component is at a point."""
        return self.height - 0.5 * float(
            (np.linalg.solve(self.axes, point - self.centre) ** 2).sum()
        )


def _along(value: LogDensity, starts: list[tuple[Array, Array]]) -> Mixture:
    """Return components along the ridges that begin at some points, to where these end.

    From each component a step leads along its longer axes, and back to the crest across them. Where
    the density there is higher than the components that are known, there is another.
    """
    components = [_component(value, at, factor) for at, factor in starts]
    top = max(b.height for b in components)
    queue = deque(components)
    while queue:
        component = queue.popleft()
        lengths = np.linalg.norm(component.axes, axis=0)
        if not lengths.max() < ENDLESS:
            raise ArithmeticError("the density lies along ridges that do not end")
        for axis in np.flatnonzero(lengths > lengths.max() / SHORT).tolist():
            for step in APART:
                at = component.centre + step * component.axes[:, axis]
                at, height = _crest(value, at, component.axes, axis)
                known = logsumexp([b.at(at) for b in components])
                if height < max(top - DEEP, known + HIGHER):
                    continue
                components.append(_component(value, at, component.axes, climb=False))
                queue.append(components[-1])
                top = max(top, height)
    heights = np.array([b.height + np.linalg.slogdet(b.axes)[1] for b in components])
    return _mixture(components, np.exp(heights - heights.max()))


def _mixture(components: list[_Component], weights: Array) -> Mixture:
    centres = np.stack([b.centre for b in components])
    factors = np.stack([np.linalg.cholesky(b.axes @ b.axes.T) for b in components])
    return Mixture(weights / weights.sum(), centres, factors)


def _learned(
    value: LogDensity, seen: Evaluated, mixture: Mixture, rng: np.random.Generator
) -> Mixture:
    """Return the mixture with components at some of the points, and new weights."""
    weights = seen.weights
    heavy = weights > LEAST / len(weights)
    points, weights = seen.points[heavy], weights[heavy] / weights[heavy].sum()
    lack = seen.heights[heavy] - mixture.log_density(points)
    lacking = weights * np.exp(lack - lack.max())
    where = [rng.choice(len(points), ADDED, p=w / w.sum()) for w in (weights, lacking)]
    some = points[np.concatenate(where)]
    nearest = mixture.parts(some)[0].argmax(axis=0)
    components = [
        _component(value, at, mixture.factors[k]) for at, k in zip(some, nearest, strict=True)
    ]
    more = _mixture(components, np.ones(len(components)))
    whole = Mixture(
        np.concatenate([mixture.weights, more.weights]),
        np.concatenate([mixture.centres, more.centres]),
        np.concatenate([mixture.factors, more.factors]),
    )
    heights = whole.parts(points)[0] - np.log(whole.weights)[:, None]
    heights = np.exp(heights - heights.max(axis=0))
    share = np.full(len(heights), 1 / len(heights))
    for _ in range(STEPS):
        share *= heights @ (weights / (share @ heights))
    kept = share > LEAST
    share = share[kept] + LEAST
    whole = Mixture(share / share.sum(), whole.centres[kept], whole.factors[kept])
    return whole.beside((weights @ points)[None], points, weights, scale=WIDE, share=SHARE)


def _component(value: LogDensity, at: Array, factor: Array, *, climb: bool = True) -> _Component:
    """Return a component at a point, or on the crest of the ridge nearest to it.

    `factor`: of a component that is about as wide, within some powers of two.
    """
    d = len(at)
    if climb:
        at, height = _crest(value, at, factor)
    else:
        height = float(value(at[None])[0])

    def seen(u: Array) -> Array:
        return value(at + u @ factor.T)

    axes = np.linalg.eigh(-derivatives(seen, np.zeros(d), height, STEP)[1])[1]
    steps = (LENGTHS[:, None, None] * axes.T).reshape(-1, d)
    fallen = height - 0.5 * (seen(steps) + seen(-steps)).reshape(-1, d)
    first = np.argmax(fallen < 2.0, axis=0)  # the longest at which it has not fallen far
    length = LENGTHS[first] / np.sqrt(2 * np.maximum(fallen[first, np.arange(d)], 0.1))
    return _Component(at, height, factor @ axes * length)


def _crest(
    value: LogDensity, at: Array, factor: Array, held: int | None = None
) -> tuple[Array, float]:
    """Climb to the crest of a ridge across it, and along none of its axes `held`."""
    d = len(at)
    height = float(value(at[None])[0])
    free = np.arange(d) != held
    for _ in range(CLIMBS):
        here = at

        def seen(u: Array, here: Array = here) -> Array:
            return value(here + u @ factor.T)

        slope, curve = derivatives(seen, np.zeros(d), height, STEP)
        values, axes = np.linalg.eigh(-curve[np.ix_(free, free)])
        across = values > ACROSS
        push = np.zeros(d)
        push[free] = axes @ np.where(
            across, axes.T @ slope[free] / np.where(across, values, 1.0), 0.0
        )
        push *= min(1.0, FAR / max(float(np.abs(push).max()), 1e-12))
        at, height, gain = uphill(value, at, height, factor @ push, 6)
        if gain < 0.1:
            break
    return at, height
