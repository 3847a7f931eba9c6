r"""Draws by an ensemble of chains that propose from a mixture, and from each other.

Where a mixture is near to a density of a few unknowns and not near enough for independent draws
(shares of a whole that may be nearly nothing, scales whose tail bends), many chains at once repair
it. Each step proposes a point of the mixture, which moves far, and then, in one half of the chains
after the other, a *differential evolution*

.. math:: x_i' = x_i + \gamma\, (x_a - x_b), \qquad a \neq b \text{ of the other half},

which moves some of the unknowns [3]_ as far as the density is wide [1]_ [2]_. Both leave the
density exactly invariant. Chains that have not mixed start anew where they are and are thinned
twice as much.

References
----------
.. [1] C. J. F. ter Braak, A Markov chain Monte Carlo version of the genetic algorithm Differential
   Evolution, *Statistics and Computing* 16, 2006.
.. [2] J. Goodman and J. Weare, Ensemble samplers with affine invariance, *Communications in Applied
   Mathematics and Computational Science* 5, 2010.
.. [3] J. A. Vrugt and others, Accelerating Markov chain Monte Carlo simulation by differential
   evolution with self-adaptive randomized subspace sampling, *International Journal of Nonlinear
   Sciences and Numerical Simulation* 10, 2009.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.draws.diagnostics import diagnose

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayescausal.annotations import Array
    from bayescausal.inference.densities.few_unknowns import Mixture

__all__ = ["draw_ensemble"]

#: Chains, the fewest draws of each, steps of the warm-up, and tries for a start.
CHAINS, EACH, WARM, TRIES = 100, 40, 40, 20
#: Steps between draws; the worst r_hat and the least share of the draws that is effective.
THINNED, RHAT, GOOD = (1, 2, 4, 8, 16, 32), 1.03, 0.4
#: The r_hat above which no longer run is tried, from so many steps between draws.
HOPELESS, SEEN = 1.3, 4
#: Shares of the unknowns that move at once [3]_.
SOME = (0.1, 0.3, 1.0)
#: The width of a move that is best for a Gaussian of one dimension, and by how much it varies.
WIDTH, VARIED = 2.38, (0.1, 1.1)


def draw_ensemble(
    value: Callable[[Array], Array], mixture: Mixture, size: int, rng: np.random.Generator
) -> Array:
    """Return draws from a density, chain after chain.

    - `value`: from points (n, d) to the log-density (n), minus infinity where there is none.
    - `mixture`: near to it.
    - `size`: how many draws.
    Returns (size, d).
    Raises ArithmeticError if the chains do not mix.

    Examples
    --------
    >>> import numpy as np
    >>> from bayescausal.inference.densities.few_unknowns import Mixture
    >>> rng = np.random.default_rng(1)
    >>> mixture = Mixture(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
    >>> draws = draw_ensemble(lambda u: u[:, 0] - np.exp(u[:, 0]), mixture, 4_000, rng)
    >>> bool(abs(np.exp(draws).mean() - 1) < 5 / np.sqrt(1_600))  # an exponential variable
    True
    """
    chains = _Ensemble(value, mixture, rng)
    chains.run(1, WARM)
    length = max(-(-size // CHAINS), EACH)
    some = np.linspace(0, CHAINS * length - 1, size).astype(int)
    worst = np.inf
    for thin in THINNED:
        points = chains.run(length, thin)
        found = diagnose(np.moveaxis(points, 2, 0))
        worst = float(np.fmax.reduce(found["r_hat"]))
        share = float(np.fmin.reduce(found["ess_bulk"])) / (CHAINS * length)
        if worst < RHAT and share > GOOD:
            return points.reshape(-1, points.shape[2])[some]
        if worst > HOPELESS and thin >= SEEN:
            break
    raise ArithmeticError(f"the chains of an ensemble do not mix: r_hat {worst:.2f}")


class _Ensemble:
    """Chains, the log-density where they are, and that of the mixture."""

    def __init__(
        self, value: Callable[[Array], Array], mixture: Mixture, rng: np.random.Generator
    ) -> None:
        self.value, self.mixture, self.rng = value, mixture, rng
        found = np.zeros((0, mixture.centres.shape[1]))
        for _ in range(TRIES):
            points = mixture.draw(CHAINS, rng)
            found = np.concatenate([found, points[np.isfinite(value(points))]])
            if len(found) >= CHAINS:
                break
        else:
            raise ArithmeticError("most proposals lie where there is no density")
        self.points = found[:CHAINS]
        self.height = value(self.points)

    def run(self, length: int, thin: int) -> Array:
        """Return every so many-th of the next points, (chain, draw, unknown)."""
        points = []
        for _ in range(length):
            for _ in range(thin):
                self._far()
                self._near(slice(0, CHAINS // 2), slice(CHAINS // 2, CHAINS))
                self._near(slice(CHAINS // 2, CHAINS), slice(0, CHAINS // 2))
            points.append(self.points.copy())
        return np.stack(points, axis=1)

    def _far(self) -> None:
        points = self.mixture.draw(CHAINS, self.rng)
        both = self.mixture.log_density(np.concatenate([self.points, points]))
        back, there = both[:CHAINS], both[CHAINS:]
        self._take(slice(0, CHAINS), points, back - there)

    def _near(self, own: slice, others: slice) -> None:
        at, count = self.points[others], CHAINS // 2
        first = self.rng.integers(0, count, count)
        second = (first + self.rng.integers(1, count, count)) % count
        moved = self.rng.random(at.shape) < self.rng.choice(SOME, (count, 1))
        moved[np.arange(count), self.rng.integers(0, at.shape[1], count)] = True
        width = WIDTH / np.sqrt(2 * moved.sum(axis=1)) * self.rng.uniform(*VARIED, count)
        step = width[:, None] * moved * (at[first] - at[second])
        self._take(own, self.points[own] + step, np.zeros(count))

    def _take(self, own: slice, points: Array, more: Array) -> None:
        height = self.value(points)
        with np.errstate(invalid="ignore"):
            taken = np.log(self.rng.random(len(points))) < height - self.height[own] + more
        self.points[own] = np.where(taken[:, None], points, self.points[own])
        self.height[own] = np.where(taken, height, self.height[own])
