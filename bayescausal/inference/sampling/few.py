"""A posterior of a few unknowns whose density costs little: drawn without a chain of steps.

The unknowns are split into groups that share no factor of the posterior. The density of each group
is evaluated at thousands of points at once, a mixture is fitted to it, and the draws are made from
the mixture by independence Metropolis-Hastings, which leaves the density exactly invariant
(:mod:`..densities.few_unknowns` [1]_). Nothing is compiled.

Where the mixture is seen not to fit, as on a ridge of what data do not tell apart, another is made
of many Gaussians that stand along it (:mod:`.ridges`). Where that does not fit either (several
modes that it did not find, a heavy tail), there are no draws, and a Markov chain is run.

References
----------
.. [1] L. Tierney, Markov chains for exploring posterior distributions, *Annals of Statistics* 22,
   1994, section 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from pymc.model.fgraph import deepcopy_shared_variable
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.raise_op import CheckAndRaise
from pytensor.scan.op import Scan
from pytensor.tensor.sharedvar import TensorSharedVariable
from scipy.linalg import solve_triangular

from bayescausal.inference.conditioning.factors import Factors
from bayescausal.inference.densities.few_unknowns import draw_density
from bayescausal.inference.densities.ridges import draw_ridge
from bayescausal.inference.hierarchies.scale_map import STARTS, ScaleMap
from bayescausal.inference.marginalize.variable_elimination import joined
from bayescausal.model.interventions.support import is_discrete
from bayescausal.types import BayesCausalError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayescausal.annotations import Array
    from bayescausal.inference.densities.few_unknowns import LogDensity

__all__ = ["METHOD", "Few", "draw_few"]

#: How such a block was drawn, in words.
METHOD = "mixture (independence Metropolis)"
#: The most unknowns of a group, unconstrained.
MOST = 12
#: The most work at one point: nodes of the density times numbers in its largest array.
WORK = 300_000
#: Numbers of an array that are evaluated at a time.
BLOCK = 1_000_000
#: The highest log-density whose differences double precision holds.
HIGHEST = 1e12
#: How much less an unknown varies given others, for it to be taken from these.
FAR = 30.0


def draw_few(model: pm.Model, *, draws: int, chains: int, seed: int) -> dict[str, Array] | None:
    """Return draws of all unknowns, (chain, draw, ...); None where a Markov chain is needed.

    `model`: conditioned. Raises ModelError if its density cannot be computed.
    """
    few = Few.of(model)
    return None if few is None else few.draw({}, draws=draws, chains=chains, seed=seed)


@dataclass(eq=False)
class Few:
    """The unknowns of a conditioned model, ready to be drawn for any values of its data."""

    model: pm.Model
    # Unknowns that share factors of the posterior, and the log-density of what reads them.
    groups: tuple[tuple[Sequence[str], list[Variable]], ...]

    @classmethod
    def of(cls, model: pm.Model) -> Few | None:
        """Return the groups of a model; None where it has no unknown, or discrete ones."""
        free = model.free_RVs
        if not free or any(is_discrete(rv) for rv in free):
            return None
        reading = Factors(model).reading({str(rv.name): () for rv in free})
        groups = []
        for names in joined({str(rv.name): np.empty(0) for rv in free}, reading):
            factors = [n for n, reads in reading.items() if reads & set(names) and n not in names]
            terms = [model.logp(vars=[model[n] for n in factors])] if factors else []
            groups.append((names, terms))
        return cls(model, tuple(groups))

    @cached_property
    def made(self) -> tuple[tuple[ScaleMap, ...], tuple[SharedVariable, ...]] | None:
        """The density of each group, and the data that they read; None where one is not known.

        The data are copies: other values in them change nothing elsewhere.
        """
        read = ancestors([t for _, terms in self.groups for t in terms])
        own = {v: deepcopy_shared_variable(v) for v in read if isinstance(v, TensorSharedVariable)}
        densities = []
        for names, terms in self.groups:
            try:
                density = ScaleMap.of(
                    self.model, names, {}, [], clone_replace(terms, own), [], [], {}
                )
            except (NotImplementedError, BayesCausalError, ValueError):
                return None
            if not 0 < density.dimension <= MOST:
                return None
            densities.append(density)
        return tuple(densities), tuple(own.values())

    def draw(
        self, data: Mapping[str, Any], *, draws: int, chains: int, seed: int
    ) -> dict[str, Array] | None:
        """Return draws of all unknowns, (chain, draw, ...); None where a Markov chain is needed.

        - `data`: values in the place of those that the model holds, by name.
        """
        costs = [_cost(terms, data) for _, terms in self.groups]
        if sum(work for _, work in costs) > WORK or self.made is None:
            return None
        densities, own = self.made
        for variable in own:
            if variable.name in data:
                array = np.asarray(data[variable.name], dtype=variable.type.dtype)
                variable.set_value(array, borrow=True)
        found: dict[str, Array] = {}
        for (names, _), density, (rows, _) in zip(self.groups, densities, costs, strict=True):
            value, size = _log_density(density, max(2, BLOCK // rows)), chains * draws
            rng = np.random.default_rng([seed, crc32(",".join(sorted(names)).encode())])
            sheared = _sheared(density.starts)
            starts = solve_triangular(sheared, density.starts.T, lower=True).T
            try:
                points = _drawn(partial(_mapped, value, sheared), starts, size, rng)
            except ArithmeticError:
                return None
            for name, each in density.values(points @ sheared.T).items():
                found[name] = each.reshape(chains, draws, *each.shape[1:])
        return found


def _drawn(value: LogDensity, starts: Array, size: int, rng: np.random.Generator) -> Array:
    """Return draws: from a few Gaussians, or from many along a ridge."""
    try:
        return draw_density(value, starts, size, rng)
    except ArithmeticError:
        return draw_ridge(value, starts, size, rng)


def _mapped(value: LogDensity, matrix: Array, points: Array) -> Array:
    return value(points @ matrix.T)


def _sheared(starts: Array) -> Array:
    """Return the matrix of unknowns in which none is nearly a sum of others in its prior.

    An intercept is where a column is zero: far from the mean of it, that is a slope times the mean.
    Such an unknown is taken from what those before it say of it. The identity where there is none.
    """
    drawn = starts[STARTS:]
    told = np.zeros((starts.shape[1], starts.shape[1]))
    if len(drawn) < STARTS:  # an improper prior has no draws
        return np.eye(len(told))
    about = drawn - drawn.mean(axis=0)
    spread = about.std(axis=0)
    for k in range(1, len(spread)):
        before, own = about[:, :k] / spread[:k], about[:, k]
        weights = np.linalg.lstsq(before, own, rcond=None)[0]
        if (own - before @ weights).std() < spread[k] / FAR:
            told[k, :k] = weights / spread[:k]
    rest = np.eye(len(told)) - told
    return np.asarray(solve_triangular(rest, np.eye(len(told)), lower=True, unit_diagonal=True))


def _log_density(density: ScaleMap, block: int) -> Callable[[Array], Array]:
    """Return the log-density of the unknowns, at so many points at a time."""

    def value(points: Array) -> Array:
        out = np.empty(len(points))
        for start in range(0, len(points), block):
            cut = slice(start, start + block)
            found = density.scales(points[cut])
            out[cut] = found.log_prior + sum(s for s in found.sigmas if s is not None)
        if (out > HIGHEST).any():  # such as a sum of squares below zero, by what cancels in it
            raise ModelError(
                f"The log-density of the unknowns reaches {out[out > HIGHEST].max():.3g}: numbers "
                "cancel in it that double precision does not tell apart.",
                remedy="Centre columns far from zero that are multiplied or raised to a power: in "
                "formulas, poly(x, 3) or powers of center(x).",
            )
        return out

    return value


def _cost(terms: list[Variable], data: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many numbers the largest array of a density has, and its work at one point."""
    rows, nodes = 1, 0
    for variable in ancestors(terms):
        if isinstance(variable, SharedVariable):
            held = data[variable.name] if variable.name in data else variable.get_value(borrow=True)
            rows = max(rows, int(np.size(held)))
        elif isinstance(variable, Constant):
            rows = max(rows, int(np.size(variable.data)))
        elif variable.owner is not None and not isinstance(variable.owner.op, CheckAndRaise):
            slow = isinstance(variable.owner.op, Scan) or not _known(variable)
            nodes += WORK if slow else 1
    return rows, nodes * rows


def _known(variable: Variable) -> bool:
    """Whether an operation is PyTensor's own, and so evaluated at many points at once."""
    return type(variable.owner.op).__module__.startswith("pytensor.")
