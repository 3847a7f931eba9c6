r"""Draws from a smooth density of few unknowns: a Gaussian at the mode, made exact by Metropolis.

The proposal is the Student-t law of the Laplace approximation
(:mod:`bayescausal.inference.sampling.laplace`), :math:`q = t_7(\hat u, H^{-1})`; a chain that
accepts each proposal with probability

.. math:: \min\Big(1, \frac{p(u') / q(u')}{p(u) / q(u)}\Big)

leaves the posterior invariant whatever the proposal is [1]_. With many rows the posterior is nearly
a Gaussian, most proposals are accepted, and a few thousand values of the density are all that is
needed, no gradient among them. Where the Gaussian does not fit (a low acceptance, a heavy tail of
the ratios), or climbing from other points ends at another mode, there are no draws, and a Markov
chain has to be run.

References
----------
.. [1] L. Tierney, "Markov chains for exploring posterior distributions", Annals of Statistics 22,
   1994, section 2.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from bayescausal.inference.densities.metropolis import independence_chain
from bayescausal.inference.sampling.laplace import LaplaceApproximation, untransformed
from bayescausal.model.interventions.support import is_discrete

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["MOST", "independence_draws"]

#: The most unknowns.
MOST = 30
#: Proposals that are tried first; points from which a mode is looked for, and how far they lie.
PILOT, CLIMBS, AWAY = 400, 2, 2.0


def independence_draws(model: pm.Model, *, draws: int, chains: int, seed: int) -> xr.Dataset:
    """Draw from a model by independence Metropolis-Hastings about its mode.

    Raises ArithmeticError if there are discrete or many unknowns, no mode or several, or the
      proposals do not fit.
    """
    if any(is_discrete(rv) for rv in model.free_RVs):
        raise ArithmeticError("there are discrete unknowns")
    found = LaplaceApproximation(model, most=MOST)
    names = sorted(rv.name for rv in model.free_RVs)
    rng = np.random.default_rng([seed, crc32(",".join(names).encode()), 1])
    _refuse_other_modes(found, rng)
    pilot = found.propose(PILOT, rng)[1]
    points = independence_chain(lambda n: found.propose(n, rng), pilot, draws * chains, rng)
    return untransformed(found, points, draws, chains)


def _refuse_other_modes(found: LaplaceApproximation, rng: np.random.Generator) -> None:
    """Climb from points around, and refuse a density on which that ends elsewhere."""
    for _ in range(CLIMBS):
        start = found.mode + AWAY * rng.standard_normal(len(found.mode))
        try:
            other = found.climb(start)
        except ArithmeticError:
            continue
        gap = found.root.T @ (other - found.mode)
        if float(gap @ gap) > 0.25 and found.density(other) > found.density(found.mode) - 12.0:
            raise ArithmeticError("it has several modes")
