"""A posterior of a few unknowns whose density costs a few rows: drawn without a chain of steps.

Once discrete latents are summed out and equal units share one term, a trial with noncompliance is a
density of six numbers over six rows. It is evaluated at thousands of points at once, a mixture is
fitted to it, and the draws are made from the mixture by independence Metropolis-Hastings, which
leaves the density exactly invariant (:mod:`..hierarchies.few_unknowns` [1]_). Nothing is compiled.

Where the mixture is seen not to fit (several modes that it did not find, a heavy tail), there are
no draws, and a Markov chain is run.

References
----------
.. [1] L. Tierney, Markov chains for exploring posterior distributions, *Annals of Statistics* 22,
   1994, section 2.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from bayescausal.inference.hierarchies.few_unknowns import draw_density
from bayescausal.inference.hierarchies.scale_map import ScaleMap
from bayescausal.model.interventions.support import is_discrete
from bayescausal.types import BayesCausalError

if TYPE_CHECKING:
    import pymc as pm

    from bayescausal.annotations import Array

__all__ = ["METHOD", "draw_few"]

#: How such a block was drawn, in words.
METHOD = "mixture (independence Metropolis)"
#: The most unknowns, unconstrained.
MOST = 12


def draw_few(model: pm.Model, *, draws: int, chains: int, seed: int) -> dict[str, Array] | None:
    """Return draws of all unknowns, (chain, draw, ...); None where a Markov chain is needed.

    `model`: conditioned; its density should cost little.
    """
    free = model.free_RVs
    if not free or any(is_discrete(rv) for rv in free):
        return None
    names = [str(rv.name) for rv in free]
    try:
        rest = model.logp(vars=[*model.observed_RVs, *model.potentials])
        density = ScaleMap.of(model, names, {}, [], [rest], [], [], {})
    except (NotImplementedError, BayesCausalError, ValueError):
        return None
    if not 0 < density.dimension <= MOST:
        return None

    def log_density(points: Array) -> Array:
        found = density.scales(points)
        assert found.sigmas[0] is not None
        return np.asarray(found.log_prior + found.sigmas[0])

    rng = np.random.default_rng([seed, crc32(",".join(sorted(names)).encode())])
    try:
        points = draw_density(log_density, density.starts, chains * draws, rng)
    except ArithmeticError:
        return None
    values = density.values(points)
    return {n: v.reshape(chains, draws, *v.shape[1:]) for n, v in values.items()}
