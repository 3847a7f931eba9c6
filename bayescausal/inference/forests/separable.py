r"""Forests in equations whose rows are independent: the moves of reversible jumps, compiled.

The posterior, the prior and the proposals are those of :mod:`.reversible_jump`, which takes any
likelihood. Where the log-likelihood is a sum over rows of what each reads of the predictor
(:mod:`.linear_forests`), a row belongs to one leaf of a tree, and leaves are independent given the
tree and all else. So

* a jump draws only the leaves anew that it makes, and looks only at the rows in them;
* each leaf that is drawn anew by itself is taken or not by itself [1]_.

Coefficients are drawn in the same sweep by an elliptical slice [2]_ about a Gaussian that touches
their density, given the rest, at its mode: with :math:`N(m, V)` in the place of the prior and what
is left of the density in that of the likelihood, the step is exact for any m and V that do not
depend on the coefficients. A scale or shape is drawn by slice sampling of its logarithm. The
forests, coefficients, spreads (:mod:`.spreads`) and the scale of a draw are written down at the end
of the same sweep.

References
----------
.. [1] A. R. Linero, Generalized Bayesian additive regression trees models: beyond conditional
   conjugacy, *Journal of the American Statistical Association* 120, 2025.
.. [2] R. Nishihara, I. Murray and R. P. Adams, Parallel MCMC with generalized elliptical slice
   sampling, *Journal of Machine Learning Research* 15, 2014.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from bayescausal.inference.forests.chains import Run, draw_chains, seen_rows, slice_step
from bayescausal.inference.forests.linear_forests import NORMAL
from bayescausal.inference.forests.moves import Rules
from bayescausal.inference.forests.spreads import Factors, same_as, shift
from bayescausal.inference.sampling.families import Equation
from bayescausal.model.forests.packed import LEAF, stacked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from bayescausal.annotations import Array
    from bayescausal.inference.forests.linear_forests import LinearForests
    from bayescausal.inference.forests.row_densities import Rows
    from bayescausal.inference.forests.tree_loops import Trees

__all__ = ["METHOD", "draw_separable"]

METHOD = "reversible jump"
#: Sweeps that are left out, sweeps for each draw, and nodes for which a tree has room at first.
BURN_IN, EACH, ROOM = 500, 2, 15
#: The most Newton steps to a mode, and the step that ends them, in standard deviations.
STEPS, CLOSE = 50, 1e-3


def draw_separable(
    form: LinearForests,
    *,
    draws: int,
    chains: int,
    seed: Sequence[int],
    tune: int | None,
    cores: int | None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Draw the unknowns of an equation, as :func:`.chains.draw_chains`."""
    burn = BURN_IN if tune is None else tune
    return draw_chains(_Chain, form, draws=draws, burn=burn, chains=chains, seed=seed, cores=cores)


def _loops(name: str) -> ModuleType:
    return importlib.import_module(f"bayescausal.inference.forests.{name}")


class _Chain:
    """One chain; its first sweep is made at once, so that a fork has the compiled loops."""

    def __init__(self, form: LinearForests, seed: np.random.SeedSequence) -> None:
        self.form, self.rng = form, np.random.default_rng(seed)
        self.densities, self.loops = _loops("row_densities"), _loops("tree_loops")
        self.extra = 1.0 if form.extra is None else form.extra.start
        self.b = self.near = form.middle.copy()  # near the mode, from which it is looked for
        self.priors, self.trees, self.x, self.index = [], [], [], []
        for shape, x, weight in zip(form.shapes, form.x, form.weights, strict=True):
            rules = Rules(shape, x)
            starts = np.cumsum([0, *map(len, shape.cuts)])
            cuts = np.concatenate([*shape.cuts, np.zeros(0)])
            self.priors.append(
                self.loops.Prior(
                    rules.upto, starts, cuts, float(shape.alpha), float(shape.beta), shape.leaf
                )
            )
            self.trees.append(self._stumps(shape.trees, len(x)))
            self.x.append(np.ascontiguousarray(x.T))
            self.index.append(np.flatnonzero(weight))
        self.spreads = [Factors(spread, self.rng) for spread in form.spreads]
        self.same = [same_as(form, k) for k in range(len(form.forests))]
        self.eta = self._predictor()
        self._sweep()

    def _stumps(self, m: int, n: int) -> Trees:
        whole = (m, ROOM)
        parent = np.full(whole, -1)
        parent[:, 0] = 0
        trees: Trees = self.loops.Trees(
            column=np.full(whole, LEAF), split=np.zeros(whole), leaf=np.zeros(whole),
            low=np.zeros(whole, int), parent=parent, depth=np.zeros(whole, int),
            at=np.zeros((m, n), np.int32),
        )  # fmt: skip
        return trees

    def run(self, draws: int, burn: int) -> Run:
        """Return the draws of the chain."""
        form, count = self.form, len(self.form.forests)
        b, extra = np.empty((draws, len(self.b))), np.empty((draws, 1))
        rows = seen_rows(form)
        seen, spreads = np.empty((count, draws, len(rows))), np.empty((count, draws))
        forests: list[list[Array]] = [[] for _ in range(count)]
        for _ in range(burn):
            self._sweep()
        self.near = self.b  # not moved any more where draws are kept
        for i in range(draws):
            for _ in range(EACH):
                self._sweep()
            b[i], extra[i] = self.b, self.extra
            for k, shape in enumerate(form.shapes):
                seen[k, i] = self.values[k][rows]
                trees, spread = self.trees[k], self.spreads[k]
                trees = trees._replace(leaf=trees.leaf / spread.inner)
                forests[k].append(self.loops.packed(trees, shape.constant))
                spreads[k, i] = spread.value
        return Run(b, extra, seen, [stacked(f) for f in forests], spreads)

    def _sweep(self) -> None:
        """Move every tree, the coefficients and the scale or shape."""
        form = self.form
        rows, eta = self._rows(), self.eta
        for k, prior in enumerate(self.priors):
            self._make_room(k)
            spread = self.spreads[k]
            weight = spread.outer * form.weights[k]
            prior = prior._replace(leaf=spread.inner * prior.leaf)
            self.loops.sweep(
                self.rng, rows, prior, self.trees[k], self.x[k], weight, self.index[k], eta
            )
            if form.spreads[k] is not None:
                eta = self._spread(k, rows, eta)
        if len(self.b):
            self._coefficients(rows, eta - form.design @ self.b)
            self._constants()
        self.eta = self._predictor()
        if form.extra is not None:
            self._extra()

    def _spread(self, k: int, rows: Rows, eta: Array) -> Array:
        """Draw the spread of a forest; return the predictor with it."""
        spread, trees = self.spreads[k], self.trees[k]
        column = self.form.weights[k] * self.loops.values(trees)
        rest = eta - spread.outer * column
        _, second = self.densities.slopes(rows, eta)
        spread.given_data(
            lambda outer: float(self.densities.heights(rows, rest + outer * column).sum()),
            float(second @ column**2),
        )
        leaves = trees.leaf[(trees.parent >= 0) & (trees.column == LEAF)]
        spread.given_leaves(float(leaves @ leaves), len(leaves), self.form.shapes[k].leaf)
        return rest + spread.outer * column

    def _constants(self) -> None:
        """Move the constants of forests against coefficients of the same number."""
        for k, direction in enumerate(self.same):
            spread, trees = self.spreads[k], self.trees[k]
            if direction is None or not spread.outer:
                continue
            leaf = (trees.parent >= 0) & (trees.column == LEAF)
            held = float(trees.leaf[leaf].sum()), int(leaf.sum())
            far = shift(self.form, k, self.b, direction, spread, held)
            self.b = self.b + far * direction
            trees.leaf[leaf] -= far / (spread.outer * len(trees.column))

    def _predictor(self) -> Array:
        """Return the predictor, without the rounding of many differences."""
        form = self.form
        self.values = [
            shape.constant + self.loops.values(trees) / spread.inner
            for shape, trees, spread in zip(form.shapes, self.trees, self.spreads, strict=True)
        ]
        eta = form.offset + form.design @ self.b
        for weight, value, spread in zip(form.weights, self.values, self.spreads, strict=True):
            eta += spread.value * weight * value
        return eta

    def _rows(self) -> Rows:
        """Return the rows of the likelihood."""
        form = self.form
        unit = 1.0 if form.extra is None else form.extra.unit
        rows: Rows = self.densities.Rows(
            family=self.densities.FAMILIES.index(form.family),
            y=form.y * self.extra**-form.power,
            trials=form.trials,
            extra=self.extra * unit,
        )
        return rows

    def _make_room(self, k: int) -> None:
        """Double the places of nodes where a tree has none left for a split."""
        trees = self.trees[k]
        if (trees.parent < 0).any(axis=1).all():
            return
        filled: dict[str, Array] = {}
        for name, array in trees._asdict().items():
            if name != "at":
                more = np.full_like(array, -1 if name == "parent" else 0)
                filled[name] = np.concatenate([array, more[:, :1], more], axis=1)
        self.trees[k] = trees._replace(**filled)

    def _coefficients(self, rows: Rows, rest: Array) -> None:
        """Draw the coefficients given all else, `rest` being the predictor without them."""
        form = self.form

        def height(b: Array) -> float:
            far = (b - form.middle) @ form.precision @ (b - form.middle)
            return float(self.densities.heights(rows, rest + form.design @ b).sum() - far / 2)

        mode = self.near
        here = height(mode)
        for _ in range(STEPS):
            first, second = self.densities.slopes(rows, rest + form.design @ mode)
            precision = (form.design.T * second) @ form.design + form.precision
            push = form.design.T @ first - form.precision @ (mode - form.middle)
            step = cho_solve(cho_factor(precision, lower=True), push)
            size = float(push @ step)
            while not (there := height(mode + step)) > here and size > CLOSE**2:
                step, size = step / 2, size / 4
            mode, here = mode + step, there
            if size <= CLOSE**2:
                break
        root = np.linalg.cholesky(precision)

        def left(b: Array) -> float:
            return height(b) + 0.5 * float(np.sum((root.T @ (b - mode)) ** 2))

        noise = solve_triangular(root.T, self.rng.standard_normal(len(mode)))
        level = left(self.b) - self.rng.exponential()
        angle = self.rng.uniform(0, 2 * np.pi)
        low, high = angle - 2 * np.pi, angle
        while True:
            new = mode + (self.b - mode) * np.cos(angle) + noise * np.sin(angle)
            if left(new) > level:
                self.b = new
                return
            low, high = (low, angle) if angle > 0 else (angle, high)
            angle = self.rng.uniform(low, high)

    def _extra(self) -> None:
        """Draw the scale or shape given all else, by slice sampling of its logarithm."""
        form, extra, eta, n = self.form, self.form.extra, self.eta, len(self.eta)
        assert extra is not None
        far = float(np.sum((form.y - eta) ** 2)) / extra.unit**2
        equation = Equation(
            form.family, eta, np.zeros((n, 0)), form.y, form.trials, np.ones(n), form.power
        )

        def density(log: float) -> float:
            value = float(np.exp(log))
            prior = log + extra.log_prior(value)
            if form.family == NORMAL:
                return prior - n * log - far / (2 * value**2)
            return prior + float(equation.log_likelihood(np.zeros((1, 0)), np.array([value]))[0])

        self.extra = float(np.exp(slice_step(density, np.log(self.extra), 0.5, self.rng)))
