r"""Weights on a simplex in a linear-Gaussian equation: drawn from sums over rows.

.. math::

   y_i \sim N(o_i + x_i' w + z_i' c,\; g(s)), \qquad
   w \sim \mathrm{Dirichlet}(\alpha), \qquad c \sim N, \qquad s \sim \pi

is a synthetic control: the weights of donors, and beside them an intercept and effects. Given
:math:`w`, the coefficients :math:`c` are integrated out as in :mod:`.linear`; what is left of the
rows is a quadratic form in :math:`w`. On it a *Gibbs sampler* moves: one weight against another,
:math:`(w_i, w_j) \to (w_i + u, w_j - u)`, whose law is a Gaussian in :math:`u` times two powers, by
slice sampling on the logit of the share [1]_; and :math:`s`, with :math:`c` integrated out. A small
concentration :math:`\alpha` piles the weights up in corners, of which a gradient tells little and
from which a transfer gets out. Several chains are started from different weights and thinned by
their autocorrelation, so that draws are nearly independent; how well they mix is told by the same
diagnostics as of any chain. The last step, :math:`c \mid w, s`, is exact.

It costs as much per sweep as the square of the weights, whatever the number of rows. It fails, as
any sampler, for so many weights and so little noise that the chains do not meet.

References
----------
.. [1] R. M. Neal, "Slice sampling", Annals of Statistics 31(3), 2003.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayescausal.inference.closed_forms.affine import NotAffineError
from bayescausal.inference.closed_forms.blocks import named_parents
from bayescausal.inference.closed_forms.linear import (
    Diagonal,
    LinearBlock,
    LinearStatistics,
)
from bayescausal.inference.closed_forms.linear_form import linear_block
from bayescausal.model.structure.function_graph import evaluate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from types import ModuleType

    from bayescausal.inference.closed_forms.blocks import Block
    from bayescausal.model.structure.structure import Structure

__all__ = ["SimplexBlock", "gibbs_loops", "simplex_block"]

#: Chains, sweeps before the first draw, and sweeps of the trial that thinning is told from.
CHAINS, WARM, TRIAL = 4, 300, 400
#: Transfers in a sweep, by weight; the most sweeps between draws.
TRANSFERS, THIN = 5, 24
#: Weights: their square enters.
MOST = 400


def simplex_block(
    structure: Structure, block: Block, columns: Collection[str]
) -> SimplexBlock | str:
    """Return the sampler of a block with weights on simplices, or why there is none."""
    weights = {
        n: structure.variable(n)
        for n in block.unknowns
        if type(structure.variable(n).owner.op).__name__ == "DirichletRV"
    }
    if not weights:
        return "no weights on a simplex"
    leaves = {*structure.model.basic_RVs, *structure.model.data_vars}
    alphas = {}
    for name, rv in weights.items():
        (alpha,) = rv.owner.op.dist_params(rv.owner)
        if named_parents([alpha], leaves):
            return f"the concentration of {name!r} is not a number"
        alphas[name] = np.asarray(evaluate([alpha])[0], dtype=float)
    found = linear_block(structure, block, columns, flat=frozenset(weights))
    if isinstance(found, str):
        return found
    if sum(int(np.prod(found.shapes[n])) for n in weights) > MOST:
        return f"it has more than {MOST} weights"
    return SimplexBlock(found, alphas)


class SimplexBlock:
    """A block with weights on simplices. Made by :func:`simplex_block`.

    - `names`, `columns`, `observed` (tuple of str): as of a linear block.
    - `method` (str): how it is drawn, in words.
    """

    method = "simplex (coefficients integrated out)"

    def __init__(self, linear: LinearBlock, alphas: Mapping[str, np.ndarray]) -> None:
        self.linear, self.alphas = linear, alphas
        self.names, self.columns, self.observed = linear.names, linear.columns, linear.observed

    def statistics(
        self,
        chunk: Mapping[str, np.ndarray],
        counts: np.ndarray | None = None,
        *,
        reference: np.ndarray | None = None,
    ) -> LinearStatistics:
        """Return the statistics of some rows; arguments as of a linear block."""
        if reference is None:
            reference = self._even()
        return self.linear.statistics(chunk, counts, reference=reference)

    def _even(self) -> np.ndarray:
        """Return even weights, other coefficients zero."""
        parts = []
        for name, shape in self.linear.shapes.items():
            value = 1.0 / shape[-1] if name in self.alphas else 0.0
            parts.append(np.full(int(np.prod(shape)), value))
        return np.concatenate(parts)

    def _places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the places of weights, the first and last of each simplex, the concentrations."""
        places, groups, prior, start, seen = [], [], [], 0, 0
        for name, shape in self.linear.shapes.items():
            size = int(np.prod(shape))
            if name in self.alphas:
                places.append(np.arange(start, start + size))
                first = seen + np.arange(size) // shape[-1] * shape[-1]
                groups.append(np.stack([first, first + shape[-1]], axis=1))
                prior.append(np.broadcast_to(self.alphas[name], shape).reshape(-1))
                seen += size
            start += size
        return np.concatenate(places), np.concatenate(groups), np.concatenate(prior)

    def draw(
        self, statistics: LinearStatistics, size: int, seed: Sequence[int]
    ) -> dict[str, np.ndarray]:
        """Return draws of the unknowns: several chains, one after the other.

        Refused are weights whose chains hold still.
        """
        rng = np.random.default_rng(seed)
        walker = _Walker(self, statistics)
        per = -(-size // CHAINS)
        with ThreadPoolExecutor(max_workers=min(CHAINS, os.cpu_count() or 1)) as pool:
            found = list(pool.map(walker.run, rng.spawn(CHAINS), [per] * CHAINS))
        weights = np.concatenate([w for w, _ in found])[:size]
        lines = np.concatenate([t for _, t in found])[:size]
        return walker.complete(weights, lines, rng)


class _Walker:
    """The posterior of a block, ready for sweeps."""

    def __init__(self, block: SimplexBlock, statistics: LinearStatistics) -> None:
        self.block, linear = block, block.linear
        self.places, self.groups, self.prior = block._places()
        statistics = statistics.about(block._even())
        prior = linear.prior.about(block._even())
        rest = np.setdiff1d(np.arange(linear.size), self.places)
        if np.any(prior.known_gram[self.places]) or np.any(statistics.known_gram):
            raise NotAffineError("weights on a simplex with a second equation")
        self.rest = rest
        part = self._part(statistics, rest)
        self.form = Diagonal(part, self._part(prior, rest))
        gram = statistics.gram
        self.gram = np.ascontiguousarray(gram[np.ix_(self.places, self.places)])
        self.moment = np.ascontiguousarray(statistics.moment[self.places])
        self.square, self.count = statistics.square, statistics.count
        back = self.form.back.T if len(rest) else np.zeros((0, 0))
        across = gram[np.ix_(rest, self.places)]
        self.pull = np.ascontiguousarray(back @ across) if len(rest) else np.zeros((0, len(gram)))
        if not len(rest):
            self.pull = np.zeros((0, len(self.places)))
        self._line()

    @staticmethod
    def _part(statistics: LinearStatistics, rest: np.ndarray) -> LinearStatistics:
        inner = np.ix_(rest, rest)
        return replace(
            statistics,
            reference=statistics.reference[rest],
            gram=statistics.gram[inner],
            moment=statistics.moment[rest],
            known_gram=statistics.known_gram[inner],
            known_moment=statistics.known_moment[rest],
        )

    def _line(self) -> None:
        """Tabulate the prior and the noise along a line."""
        if self.block.linear.scalar is None:
            raise NotAffineError("weights on a simplex with known noise")
        self.table = self.block.linear.table(self.square, self.count)

    def _sweep(
        self, rng: np.random.Generator, at: tuple[np.ndarray, float], sweeps: int, keep: int
    ) -> tuple[np.ndarray, np.ndarray]:
        form = self.form
        reference = self.block._even()[self.places]
        found: tuple[np.ndarray, np.ndarray] = gibbs_loops().walk(
            rng,
            at[0],
            self.groups,
            self.prior,
            reference,
            self.gram,
            self.moment,
            float(self.square),
            float(self.count),
            self.pull,
            form.f,
            form.e,
            form.p,
            form.q,
            self.table.start,
            self.table.step,
            self.table.log_prior,
            self.table.log_g,
            at[1],
            sweeps,
            keep,
            TRANSFERS * len(self.places),
        )
        return found

    def run(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return draws of one chain, thinned by its autocorrelation."""
        weights = np.empty(len(self.places))
        for first, last in np.unique(self.groups, axis=0):
            weights[first:last] = np.maximum(rng.dirichlet(np.ones(last - first)), 1e-12)
            weights[first:last] /= weights[first:last].sum()
        w, t = self._sweep(rng, (weights, self.table.first), WARM, 1)
        w, t = self._sweep(rng, (w[-1], float(t[-1])), TRIAL, 1)
        fitted = w @ np.linalg.eigh(self.gram)[1][:, -3:]
        keep = int(np.clip(max(_lag(v) for v in (t, *fitted.T)), 2, THIN))
        return self._sweep(rng, (w[-1], float(t[-1])), size * keep, keep)

    def complete(
        self, weights: np.ndarray, lines: np.ndarray, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return all unknowns, the coefficients drawn given weights and noise."""
        linear, form = self.block.linear, self.form
        assert linear.scalar is not None
        assert linear.line is not None
        size = len(weights)
        log_g = self.table.noise(lines)
        flat = np.empty((size, linear.size))
        flat[:, self.places] = weights
        if len(self.rest):
            delta = weights - self.block._even()[self.places]
            f = form.f - delta @ self.pull.T
            v = np.exp(2 * log_g)[:, None]
            total = form.p + form.q / v
            z = (form.e + f / v) / total
            z = z + (rng.standard_normal(z.shape) @ form.vectors) / np.sqrt(total)
            flat[:, self.rest] = form.reference + z @ form.back.T
        out = linear.unflattened(flat)
        out[linear.scalar] = linear.line.to_interval(lines)
        return out


def _lag(values: np.ndarray) -> int:
    """Return how far apart values are nearly independent: twice their correlation time."""
    about = values - values.mean()
    power = np.abs(np.fft.rfft(about, 2 * len(about))) ** 2
    correlation = np.fft.irfft(power)[: len(about) // 2]
    if not correlation[0] > 0:
        return 1
    correlation = correlation / correlation[0]
    below = np.flatnonzero(correlation < 0.05)
    upto = int(below[0]) if len(below) else len(correlation)
    return int(np.ceil(2 * correlation[:upto].sum()))


def gibbs_loops() -> ModuleType:
    """Return the compiled loops of blocks that are drawn in sweeps; they load numba."""
    from bayescausal.inference.closed_forms import gibbs_kernels

    return gibbs_kernels
