"""Joint states of discrete latents: their sum, and drawing them back.

With :math:`\\ell_i(s)` the log-density of what reads cell :math:`i`, the cell being in state
:math:`s`, the sum is :math:`\\log \\sum_s e^{\\ell_i(s)}` and the conditional is
:math:`P(z_i = s) = e^{\\ell_i(s)} / \\sum_t e^{\\ell_i(t)}`: both need the one array.

References
----------
.. [1] Stan Development Team, *Stan User's Guide*, chapter "Latent discrete parameters".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescausal.model.interventions.support import support_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytensor.graph.basic import Variable

__all__ = ["MAX_STATES", "Group", "few_states", "joined"]

#: Numbers that are evaluated at a time.
BLOCK = 1_000_000
#: Joint states per unit up to which a discrete latent is summed out.
MAX_STATES = 64


@dataclass(frozen=True, eq=False)
class Group:
    """Discrete latents of one shape that meet in a factor."""

    names: tuple[str, ...]  # the latents
    dims: tuple[tuple[str, ...], ...]  # their dims
    states: np.ndarray  # joint states: one row each, one column per latent
    inputs: tuple[str, ...]  # free variables that the density reads
    # From values of those in many draws to an array (draws, states, *shape), of rows where equal
    # units share one; without inputs to (states, *shape).
    log_density: Callable[..., Any]
    cells: int  # numbers of one draw
    code: np.ndarray | None = None  # (int) The row of each unit, where equal units share one

    def probabilities(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return P(joint state | everything else), an array (states, *shape)."""
        p = self._of_draws({n: np.asarray(v)[None] for n, v in values.items()})[0]
        return p if self.code is None else p[:, self.code]

    def _of_draws(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the probabilities of many draws, (draws, states, *shape), of distinct rows."""
        held = [values[n] for n in self.inputs]
        if not held:
            return _normalised(self.log_density()[0][None], 1)
        count = len(held[0])
        if count == 1:  # one of many would be broadcast, which is not allowed at run time
            held = [np.concatenate([v, v]) for v in held]
        return _normalised(self.log_density(*held)[0][:count], 1)

    def recover(self, posterior: xr.Dataset, rng: np.random.Generator) -> dict[str, xr.DataArray]:
        """Draw the joint state of every cell, for every draw."""
        chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
        held = {n: posterior[n].transpose("chain", "draw", ...).values for n in self.inputs}
        small = np.min_scalar_type(int(np.abs(self.states).max()) * -1 - 1)
        out: list[np.ndarray] = []
        step = max(2, BLOCK // self.cells)
        for c, start in product(range(chains), range(0, draws, step)):
            cut = slice(start, min(start + step, draws))
            block = self._of_draws({n: v[c, cut] for n, v in held.items()})
            for d in range(start, cut.stop):
                pick = self._pick(block[d - start if self.inputs else 0], rng)
                if not out:
                    out = [np.empty((chains, draws, *pick.shape), small) for _ in self.names]
                for j, array in enumerate(out):
                    array[c, d] = self.states[pick, j]
        coords = {"chain": posterior["chain"], "draw": posterior["draw"]}
        return {
            name: xr.DataArray(array, dims=("chain", "draw", *dims), coords=coords)
            for name, array, dims in zip(self.names, out, self.dims, strict=True)
        }

    def _pick(self, p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the number of the joint state of every unit, from probabilities of its row."""
        below = np.cumsum(p, axis=0)[:-1]  # the last state is what is left
        if self.code is None:
            return np.asarray((below < rng.random(p.shape[1:])).sum(axis=0))
        row = (below < 0.5).sum(axis=0)
        settled = np.all((below <= 0) | (below >= 1), axis=0)
        pick = row[self.code]
        open_ = np.flatnonzero(~settled[self.code])  # of the others the state is certain
        u = rng.random(len(open_))
        pick[open_] = (below[:, self.code[open_]] < u).sum(axis=0)
        return np.asarray(pick)


def _normalised(lp: np.ndarray, axis: int) -> np.ndarray:
    weight = np.exp(lp - lp.max(axis=axis, keepdims=True))
    return np.asarray(weight / weight.sum(axis=axis, keepdims=True))


def few_states(rv: Variable) -> np.ndarray | None:
    """Return the values a discrete variable can take, if they are few and the same everywhere."""
    if rv.owner.op.ndim_supp:
        return None
    support = support_of(rv, held=False)
    low, high = np.unique(support.lower), np.unique(support.upper)
    if len(low) != 1 or len(high) != 1 or not np.isfinite([low[0], high[0]]).all():
        return None
    count = int(high[0] - low[0]) + 1
    return np.arange(int(low[0]), int(high[0]) + 1) if 1 <= count <= MAX_STATES else None


def joined(
    latents: Mapping[str, np.ndarray], factors: Mapping[str, frozenset[str]]
) -> list[tuple[str, ...]]:
    """Return the latents in groups that share no factor, in the order of the model."""
    parts: list[set[str]] = [{name} for name in latents]
    for reads in factors.values():
        touched = [p for p in parts if p & reads]
        if len(touched) > 1:
            parts = [p for p in parts if p not in touched] + [set().union(*touched)]
    return [tuple(n for n in latents if n in part) for part in parts]
