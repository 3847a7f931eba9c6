r"""Linear-Gaussian equations with bounded coefficients: a Gibbs sampler on the sums over rows.

A linear block (:mod:`..closed_forms.linear`) in which some coefficients have a prior that is the
exponential of a quadratic between bounds,

.. math:: \log p(c_j) = a_j - \tfrac12 p_j c_j^2 + h_j c_j, \qquad l_j \le c_j \le u_j,

a half-Normal or truncated Normal, a Uniform or an Exponential. Weights of one sign (monotone
splines), effects that can only help, coefficients within a range are of this form. Then the
coefficients given the noise are Normal between walls, and a sweep has two steps:

1. the coefficients, by following the exact Hamiltonian trajectory of that Normal for a quarter of
   its period, reflected at the walls [1]_;
2. the noise given the coefficients, along a line.

The density of the coefficients is log-concave, so that there is one mode. Four chains run at once;
if they have not mixed, they run on, each time twice as far.

References
----------
.. [1] A. Pakman and L. Paninski, Exact Hamiltonian Monte Carlo for truncated multivariate
   Gaussians, *Journal of Computational and Graphical Statistics* 23(2), 2014.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import LinAlgError, cholesky
from scipy.optimize import lsq_linear

from bayescausal.inference.closed_forms.affine import shapes_of
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.linear_form import linear_block
from bayescausal.inference.closed_forms.simplex import gibbs_loops
from bayescausal.inference.hierarchies.gibbs import CHAINS, SHORTEST, run_until_mixed
from bayescausal.model.structure.function_graph import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bayescausal.annotations import Array
    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.inference.closed_forms.linear import LinearBlock, LinearStatistics
    from bayescausal.model.structure.structure import Structure

__all__ = ["BoundedBlock", "bounded_block"]

#: Sweeps before the first draw.
WARM = 200
#: Coefficients: their number enters cubed, once in every sweep.
MOST = 200

#: The prior of a coefficient by its family: precision, slope at zero, lower and upper bound.
PRIORS: dict[str, Callable[..., tuple[Array, Array, Array, Array]]] = {
    "HalfNormalRV": lambda loc, s: (1 / s**2, loc / s**2, loc, np.full_like(s, np.inf)),
    "TruncatedNormalRV": lambda m, s, low, high: (1 / s**2, m / s**2, low, high),
    "UniformRV": lambda low, high: (0 * low, 0 * low, low, high),
    "ExponentialRV": lambda s: (0 * s, -1 / s, 0 * s, np.full_like(s, np.inf)),
}


@dataclass(frozen=True, eq=False)
class _Bounds:
    """What is known of the coefficients of one name before the data, each (n_coefficients)."""

    precision: Array
    slope: Array
    lower: Array
    upper: Array


def bounded_block(
    structure: Structure, block: Block, columns: Collection[str]
) -> BoundedBlock | str:
    """Return the sampler of a linear block with bounded coefficients, or why there is none."""
    nodes = [structure.variable(f.name).owner for f in block.observed]
    if not nodes or any(type(n.op).__name__ not in ("NormalRV", "LogNormalRV") for n in nodes):
        return "its equations are not Normal"
    spreads = [n.op.dist_params(n)[1] for n in nodes]
    leaves = {*structure.model.basic_RVs, *structure.model.data_vars}
    noise = {v.name for v in named_parents(spreads, leaves)}
    found = {
        n: structure.variable(n)
        for n in block.unknowns
        if n not in noise and type(structure.variable(n).owner.op).__name__ in PRIORS
    }
    if not found:
        return "no coefficient has a bounded prior"
    shapes, bounds = shapes_of(structure, list(found)), {}
    for name, rv in found.items():
        params = rv.owner.op.dist_params(rv.owner)
        if named_parents(params, leaves):
            return f"the prior of {name!r} has unknown parameters"
        numbers = np.broadcast_arrays(*(np.asarray(p, float) for p in evaluate(list(params))))
        wide = (np.broadcast_to(p, shapes[name]).reshape(-1) for p in numbers)
        bounds[name] = _Bounds(*PRIORS[type(rv.owner.op).__name__](*wide))
    linear = linear_block(structure, block, columns, flat=frozenset(found))
    if isinstance(linear, str):
        return linear
    if linear.size > MOST:
        return f"it has more than {MOST} coefficients, some of them bounded"
    return BoundedBlock(linear, bounds)


class BoundedBlock:
    """A block with bounded coefficients. Made by :func:`bounded_block`.

    - `names`, `columns`, `observed` (tuple of str): as of a linear block.
    - `method` (str): how it is drawn, in words.
    """

    method = "gibbs (truncated Normal)"

    def __init__(self, linear: LinearBlock, bounds: Mapping[str, _Bounds]) -> None:
        self.names, self.columns, self.observed = linear.names, linear.columns, linear.observed
        size = linear.size
        precision, slope = np.zeros(size), np.zeros(size)
        self.lower, self.upper = np.full(size, -np.inf), np.full(size, np.inf)
        start = 0
        for name, shape in linear.shapes.items():
            stop = start + int(np.prod(shape))
            if name in bounds:
                own, at = bounds[name], slice(start, stop)
                precision[at], slope[at] = own.precision, own.slope
                self.lower[at], self.upper[at] = own.lower, own.upper
            start = stop
        prior = replace(
            linear.prior,
            known_gram=linear.prior.known_gram + np.diag(precision),
            known_moment=linear.prior.known_moment + slope,
        )
        self.linear, self.prior = linear, prior

    def statistics(
        self,
        chunk: Mapping[str, Array],
        counts: Array | None = None,
        *,
        reference: Array | None = None,
    ) -> LinearStatistics:
        """Return the statistics of some rows; arguments as of a linear block."""
        return self.linear.statistics(chunk, counts, reference=reference)

    def draw(
        self, statistics: LinearStatistics, size: int, seed: Sequence[int]
    ) -> dict[str, Array]:
        """Return draws of the unknowns: several chains, one after the other.

        Raises ArithmeticError if the coefficients are not determined, or the chains do not mix.
        """
        rng = np.random.default_rng(seed)
        chains = _Chains(self, statistics, rng)
        wanted = -(-size // CHAINS)
        length = max(wanted, SHORTEST)
        both, _ = run_until_mixed(chains.run, length)
        some = np.linspace(0, length - 1, wanted).astype(int)
        both = both[:, some].reshape(-1, both.shape[2])[:size]
        flat, lines = both[:, : self.linear.size], both[:, self.linear.size :]
        out = self.linear.unflattened(chains.reference + flat)
        if self.linear.scalar is not None:
            assert self.linear.line is not None
            out[self.linear.scalar] = self.linear.line.to_interval(lines[:, 0])
        return out


class _Chains:
    """Several chains of a block, ready for sweeps; coefficients are taken about a reference."""

    def __init__(
        self, block: BoundedBlock, statistics: LinearStatistics, rng: np.random.Generator
    ) -> None:
        linear = block.linear
        rough = (statistics + block.prior).fitted()
        first = statistics.about(np.clip(rough, block.lower, block.upper))
        noise = max(first.square / max(first.count, 1.0), 1e-300)
        self.reference, width = _mode(first, block, noise)
        data, prior = statistics.about(self.reference), block.prior.about(self.reference)
        self.table, self.first, self.start, self.step = np.zeros((2, 1)), 0.0, 0.0, 1.0
        if linear.scalar is not None:
            table = linear.table(data.square, data.count)
            self.table = np.stack([table.log_prior, table.log_g])
            self.first, self.start, self.step = table.first, table.start, table.step
        lower, upper = block.lower - self.reference, block.upper - self.reference
        self.numbers = (
            data.gram, data.moment, data.square, data.count,
            prior.known_gram + data.known_gram, prior.known_moment + data.known_moment,
            lower, upper, self.start, self.step, self.table,
        )  # fmt: skip
        apart = rng.standard_normal((CHAINS, linear.size)) * width
        self.at = [(np.clip(c, lower, upper), self.first) for c in apart]
        self.rngs = rng.spawn(CHAINS)
        self.run(1, WARM)

    def run(self, length: int, thin: int) -> tuple[Array, Array]:
        """Return every so many-th of the next coefficients and noises, (chain, draw, which).

        Both in one array; then the noises, known or not.
        """
        sweeps = gibbs_loops().sweeps

        def one(k: int) -> tuple[Array, Array, bool]:
            try:
                made: tuple[Array, Array, bool] = sweeps(
                    self.rngs[k], *self.at[k], *self.numbers, length, thin
                )
            except np.linalg.LinAlgError:
                raise ArithmeticError("the coefficients are not determined") from None
            return made

        with ThreadPoolExecutor(max_workers=min(CHAINS, os.cpu_count() or 1)) as pool:
            found = list(pool.map(one, range(CHAINS)))
        if not all(whole for *_, whole in found):
            raise ArithmeticError("a trajectory between bounds has too many reflections")
        self.at = [(c[-1], float(t[-1])) for c, t, _ in found]
        flat, lines = np.stack([c for c, *_ in found]), np.stack([t for _, t, _ in found])
        unknown = [lines[..., None]] if self.table.shape[1] > 1 else []
        return np.concatenate([flat, *unknown], axis=2), lines


def _mode(statistics: LinearStatistics, block: BoundedBlock, noise: float) -> tuple[Array, Array]:
    """Return the coefficients with the highest density at a noise, and their rough widths."""
    prior = block.prior.about(statistics.reference)
    gram = statistics.gram / noise + statistics.known_gram + prior.known_gram
    push = statistics.moment / noise + statistics.known_moment + prior.known_moment
    scale = 1 / np.sqrt(np.maximum(np.diag(gram), 1e-300))
    try:
        root = cholesky(gram * scale * scale[:, None])
    except (LinAlgError, ValueError):
        raise ArithmeticError("the coefficients are not determined") from None
    target = np.linalg.solve(root.T, push * scale)
    lower, upper = (b - statistics.reference for b in (block.lower, block.upper))
    if not np.all(lower < upper):
        raise ArithmeticError("a coefficient has no room between its bounds")
    found = lsq_linear(root, target, (lower / scale, upper / scale)).x * scale
    return np.clip(statistics.reference + found, block.lower, block.upper), scale
