r"""Forests beside any likelihood: trees that jump between sizes, each given all the others.

Let :math:`\lambda_i` be what all other trees and terms come to in row i, and tree T have leaves
:math:`\mu`. What is drawn is

.. math:: p(T, \mu \mid \lambda) \propto p(T) \prod_l N(\mu_l; 0, s^2 / m)
   \; L\big(\lambda + \mu_{T(x)}\big),

whatever the likelihood L: the density of everything that reads the forest. A move splits a leaf,
takes a split back, or asks something else in a last split, *and draws all leaves anew* from

.. math:: q(\mu \mid T', \lambda) = \prod_l \big\{0.9\, t_5(\mu_l; c_l, h_l) +
   0.1\, N(\mu_l; 0, s^2 / m)\big\},

with centre and scale after two Newton steps from 0 in the log-density of each leaf. That depends on
T' and on :math:`\lambda`, not on the present leaves, so the move back has a density of the same
form and the jump is accepted by Metropolis, Hastings and Green's ratio [1]_ [2]_. The prior's part
bounds what is drawn from by a multiple of what it is drawn with: where the curvature at one place
says nothing of the rest (two modes, flat tails) a chain could otherwise stand still at a leaf that
:math:`t_5` hardly ever proposes. Where the tree stays, its leaves are drawn anew by themselves.

The derivatives are only used to propose: a likelihood that ties units together is drawn from as
exactly as one that does not, if less fast. The engine of PyMC-BART is not used: it draws leaves
about their present values and not from their conditional law, and gives intervals that are about
half as wide as those of the posterior it is to draw from.

References
----------
.. [1] P. J. Green, Reversible jump Markov chain Monte Carlo computation and Bayesian model
   determination, *Biometrika* 82(4), 1995.
.. [2] A. R. Linero, Generalized Bayesian additive regression trees models: beyond conditional
   conjugacy, *Journal of the American Statistical Association* 120, 2025.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytensor.tensor as pt
from pymc.pytensorf import compile as compile_function
from pymc.pytensorf import join_nonshared_inputs, make_shared_replacements
from pymc.step_methods.arraystep import ArrayStepShared

from bayescausal.inference.forests.moves import (
    BACK,
    DF,
    LOG_T,
    PRIOR,
    SPLIT,
    Growing,
    Rules,
    changed,
    grown,
    pruned,
    stump,
)
from bayescausal.model.forests.packed import pack, stacked
from bayescausal.types import ModelError

if TYPE_CHECKING:
    import pymc as pm
    from pytensor.tensor.variable import TensorVariable

    from bayescausal.annotations import Array
    from bayescausal.model.forests.prior import Shape

__all__ = ["ReversibleJump", "stored_forests"]


class _Proposal(NamedTuple):
    """Where the leaves of a tree are looked for: (leaf,)."""

    places: Array
    centre: Array
    scale: Array
    spread: float  # the prior's

    def draw(self, rng: np.random.Generator) -> Array:
        count = len(self.places)
        near = self.centre + self.scale * rng.standard_t(DF, count)
        return np.where(rng.random(count) < PRIOR, self.spread * rng.normal(size=count), near)

    def log_density(self, leaves: Array) -> float:
        z = (leaves - self.centre) / self.scale
        near = LOG_T - np.log(self.scale) - (DF + 1) / 2 * np.log1p(z**2 / DF)
        prior = _normal(leaves, self.spread)
        return float(np.logaddexp(np.log1p(-PRIOR) + near, np.log(PRIOR) + prior).sum())


def _normal(leaves: Array, spread: float) -> Array:
    """Return the log-density of each leaf in the prior."""
    return -0.5 * (leaves / spread) ** 2 - np.log(spread * np.sqrt(2 * np.pi))


def _reads(rv: TensorVariable, variable: TensorVariable) -> bool:
    """Whether the equation of a variable names another one, not by way of a third."""
    stack, seen = list(rv.owner.inputs), set()
    while stack:
        top = stack.pop()
        if top is variable:
            return True
        if top in seen or top.owner is None:
            continue
        seen.add(top)
        if not hasattr(top.owner.op, "ndim_supp"):
            stack.extend(top.owner.inputs)
    return False


class ReversibleJump(ArrayStepShared):
    """One forest's step: a move for each of its trees.

    - `model`: in which the value of the forest at the data, `name`, is a free vector.
    - `shape`: with thresholds.
    - `x` (n, p)
    - `folder`: where each chain leaves its forests.
    """

    name = "reversible_jump"
    default_blocked = False
    generates_stats = True
    stats_dtypes_shapes: dict[str, tuple[type, list[int]]] = {"tune": (bool, [])}  # noqa: RUF012

    def __init__(self, model: pm.Model, name: str, shape: Shape, x: Array, folder: str) -> None:
        self.shape, self.folder, self.x = shape, folder, np.asarray(x, dtype=float)
        self.rules = Rules(shape, self.x)
        self.tune, self.draws = True, 0
        value = model.rvs_to_values[model[name]]
        point = model.initial_point()
        shared = make_shared_replacements(point, [value], model)
        readers = [
            rv for rv in (*model.basic_RVs, *model.potentials)
            if rv.name != name and _reads(rv, model[name])
        ]  # fmt: skip
        [total], flat = join_nonshared_inputs(point, [model.logp(vars=readers)], [value], shared)
        try:
            slope = pt.grad(total, flat)
            bend = pt.grad(slope.sum(), flat)
        except NotImplementedError as error:
            raise ModelError(
                f"What reads the forest {name!r} has no derivatives: {error}",
                remedy="Take a likelihood that is differentiable in the forest.",
            ) from error
        self.density = compile_function([flat], [total, slope, bend])
        self.density.trust_input = True
        super().__init__([value], shared)

    def setup_chain(self, rng: Any, tune: int, draws: int) -> None:
        """Begin a chain: its own random numbers, no splits."""
        super().setup_chain(rng, tune, draws)
        self.rng = np.random.default_rng(rng)
        self.tune, self.draws = tune > 0, draws
        m, n = self.shape.trees, len(self.x)
        self.trees = [stump(n) for _ in range(m)]
        self.leaves = [np.zeros(1) for _ in range(m)]  # one number for each node
        self.value = np.full(n, self.shape.constant)
        self.kept: list[Array] = []

    def astep(self, q0: Any) -> tuple[Array, list[dict[str, Any]]]:
        """Move every tree; after the last draw, write the forests of the chain."""
        with np.errstate(all="ignore"):
            at = float(self.density(self.value)[0])
            for j in range(self.shape.trees):
                at = self._move(j, at)
        value = np.full(len(self.x), self.shape.constant)
        for tree, leaves in zip(self.trees, self.leaves, strict=True):
            value += leaves[tree.at]  # without the rounding of many differences
        self.value = value
        if not self.tune:
            pairs = zip(self.trees, self.leaves, strict=True)
            packed = pack([t.with_leaves(v) for t, v in pairs], self.shape.constant)
            self.kept.append(packed)
            if len(self.kept) == self.draws:
                np.save(Path(self.folder) / f"{uuid.uuid4().hex}.npy", stacked(self.kept))
        return value.copy(), [{"tune": self.tune}]

    def _move(self, j: int, at: float) -> float:
        """Move tree j, from a log-likelihood of `at`; return that after it.

        First to another tree, then to other leaves of the tree that it has then: leaves that were
        moved only where the first is refused would not leave the posterior as it is.
        """
        tree, leaves = self.trees[j], self.leaves[j]
        rest = self.value - leaves[tree.at]
        _, slope, bend = self.density(rest)
        here = self._proposal(tree, rest, slope, bend)
        now = at + self._prior(leaves[here.places]) - here.log_density(leaves[here.places])
        other, ratio = self._other(tree)
        if other is not None:
            there = self._proposal(other, rest, slope, bend)
            if self._accepted(j, other, there, rest, now - ratio):
                tree, leaves, here, at = other, self.leaves[j], there, self.likelihood
                own = leaves[here.places]
                now = at + self._prior(own) - here.log_density(own)
        if self._accepted(j, tree, here, rest, now):
            return self.likelihood
        return at

    def _accepted(
        self, j: int, tree: Growing, proposal: _Proposal, rest: Array, now: float
    ) -> bool:
        """Draw the leaves of a tree, and take both with the probability of Metropolis."""
        drawn = proposal.draw(self.rng)
        leaves = np.zeros(len(tree.column))
        leaves[proposal.places] = drawn
        value = rest + leaves[tree.at]
        likelihood = float(self.density(value)[0])
        new = likelihood + self._prior(drawn) - proposal.log_density(drawn)
        if not self._taken(new - now):
            return False
        self.trees[j], self.leaves[j], self.value = tree, leaves, value
        self.likelihood = likelihood
        return True

    def _prior(self, leaves: Array) -> float:
        """Return the log-density of leaves."""
        return float(_normal(leaves, self.shape.leaf).sum())

    def _taken(self, log_ratio: float) -> bool:
        """Whether a proposal is taken, by the logarithm of its ratio."""
        return bool(np.log(self.rng.random()) < log_ratio)

    def _proposal(self, tree: Growing, rest: Array, slope: Array, bend: Array) -> _Proposal:
        """Return where leaves are looked for, from derivatives at 0: two Newton steps."""
        places = np.array(tree.leaves)
        size, precision = len(tree.column), self.shape.leaf**-2.0
        leaves = np.zeros(size)
        for again in (False, True):
            if again:
                _, slope, bend = self.density(rest + leaves[tree.at])
            up = np.bincount(tree.at, np.nan_to_num(slope), size)[places]
            bent = np.bincount(tree.at, np.nan_to_num(bend), size)[places]
            information = precision + np.maximum(-bent, 0.0)
            step = (up - precision * leaves[places]) / information
            leaves[places] += np.clip(step, -5 * self.shape.leaf, 5 * self.shape.leaf)
        return _Proposal(places, leaves[places], information**-0.5, self.shape.leaf)

    def _splits(self, depth: int) -> float:
        """Return the log ratio of the priors of a tree with and without a split at a depth."""
        a = self.shape.alpha
        own, below = a * (1.0 + depth) ** -self.shape.beta, a * (2.0 + depth) ** -self.shape.beta
        return float(np.log(own) + 2 * np.log1p(-below) - np.log1p(-own))

    def _other(self, tree: Growing) -> tuple[Growing | None, float]:
        """Return another tree, and the log ratio of priors and of choices, there over here.

        What a node asks is drawn from its prior, so that it cancels.
        """
        rng, x = self.rng, self.x
        if not self.rules.any:
            return None, 0.0
        leaves, last = tree.leaves, tree.last_splits
        which = rng.random() if last else 0.0
        if which < SPLIT:
            k = leaves[rng.integers(len(leaves))]
            other = grown(tree, k, self.rules.draw(rng), x)
            chance = SPLIT if last else 1.0
            choices = np.log(BACK / len(other.last_splits)) - np.log(chance / len(leaves))
            return other, self._splits(tree.depth[k]) + float(choices)
        k = last[rng.integers(len(last))]
        if which < SPLIT + BACK:
            other = pruned(tree, k)
            chance = SPLIT if other.last_splits else 1.0
            choices = np.log(chance / len(other.leaves)) - np.log(BACK / len(last))
            return other, float(choices) - self._splits(tree.depth[k])
        return changed(tree, k, self.rules.draw(rng), x), 0.0

    @staticmethod
    def competence(var: Any, has_grad: bool) -> int:
        """Only for forests, to which it is given."""
        return 0


def stored_forests(folder: str) -> list[Array]:
    """Return the forests of each chain that has ended: (draw, k), chains in no order."""
    return [np.load(path) for path in sorted(Path(folder).glob("*.npy"))]
